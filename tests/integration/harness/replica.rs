//! A real standby of the private Postgres: copied with `pg_basebackup`, streaming.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use sqlx::{Connection, PgConnection};

use super::World;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A standby; gone with its files when dropped.
pub(crate) struct Replica {
    dir: PathBuf,
    binaries: PathBuf,
    owner: (u32, u32),
    settings: Vec<String>,
    server: Option<Child>,
    pub(crate) url: String,
}

impl Replica {
    /// Copies the world's Postgres and follows it.
    pub(crate) async fn start(world: &World) -> Self {
        let mut db = world.owner().await;
        let (data, run, binaries, connections): (String, String, String, String) = sqlx::query_as(
            "SELECT current_setting('data_directory'), current_setting('unix_socket_directories'), \
             (SELECT setting FROM pg_config WHERE name = 'BINDIR'), current_setting('max_connections')",
        )
        .fetch_one(&mut db)
        .await
        .unwrap();
        let meta = std::fs::metadata(&data).unwrap();
        let owner = (meta.uid(), meta.gid());
        let name = format!("ledger-replica-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&dir, Some(owner.0), Some(owner.1)).unwrap();
        let url = format!("postgres://ledger@localhost/ledger?host={}&port=5432", dir.to_str().unwrap().replace('/', "%2F"));
        let settings = vec![
            "listen_addresses=".to_owned(),
            format!("unix_socket_directories={}", dir.display()),
            "unix_socket_permissions=0700".to_owned(),
            "port=5432".to_owned(),
            format!("max_connections={connections}"),
            "shared_buffers=64MB".to_owned(),
        ];
        let mut replica = Self { dir, binaries: binaries.into(), owner, settings, server: None, url };
        let run = run.trim_matches('"');
        let data = replica.data();
        let mut copy = replica.command("pg_basebackup");
        copy.arg("-D").arg(data).args(["-R", "-X", "stream", "-c", "fast", "-h", run, "-p", "5432", "-U", "ledger"]);
        let copied = copy.output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        replica.serve().await;
        replica
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(Path::new("/")).stdin(Stdio::null());
        let us = std::fs::metadata("/proc/self").unwrap().uid();
        if us != self.owner.0 {
            command.uid(self.owner.0).gid(self.owner.1);
        }
        command
    }

    /// Starts the server, as after [`Replica::kill`], and waits until it answers.
    pub(crate) async fn serve(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        self.server = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while PgConnection::connect(&self.url).await.is_err() {
            assert!(Instant::now() < deadline, "the standby does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a statement on the standby.
    pub(crate) async fn execute(&self, statement: &'static str) {
        let mut db = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query(statement).execute(&mut db).await.unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.server.as_ref().unwrap().id()).unwrap()).unwrap()
    }

    /// Halts every process of it: connections stay open and say nothing.
    pub(crate) fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    /// Each process of a server leads a session of its own.
    fn signal_all(&self, signal: Signal) {
        let postmaster = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", postmaster.as_raw_nonzero())).unwrap();
        for child in children.split_whitespace() {
            if let Some(pid) = child.parse().ok().and_then(Pid::from_raw) {
                let _gone_meanwhile = kill_process(pid, signal);
            }
        }
        kill_process_group(postmaster, signal).unwrap();
    }

    /// Ends it at once, connections and all.
    pub(crate) fn kill(&mut self) {
        kill_process(self.pid(), Signal::QUIT).unwrap();
        self.server.take().unwrap().wait().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.signal_all(Signal::CONT);
            self.kill();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
