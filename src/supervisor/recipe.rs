//! How to start one server, how to know that it answers, how to stop it: one value per server, one procedure for all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::process::{GLANCE, Ladder, Launcher, Server, spawn};
use super::{Name, strays};

/// A log beyond this size is set aside at the next start, and the one before it is lost.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
const LOG_TAIL_BYTES: u64 = 2048;
/// One question to a server that has just opened its socket.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) name: Name,
    pub(super) version: String,
    /// What clients connect to; may hold a password.
    pub(super) url: String,
    /// The same, fit to be shown.
    pub(super) address: String,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Working directory, which is also how we know the process again.
    pub(super) dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) ready: Ready,
    pub(super) ready_limit: Duration,
    pub(super) ladder: Ladder,
    /// Sent by the kernel when we die without a word. Nothing may be left two seconds later.
    pub(super) at_our_death: Signal,
    pub(super) say: fn(&str),
    /// Set when the whole is being stopped: a start in progress is given up.
    pub(super) closing: Arc<AtomicBool>,
}

/// The sign that a server takes work.
#[derive(Clone, Debug)]
pub(super) enum Ready {
    /// Line 8 of `postmaster.pid` says `ready`: the protocol of `pg_ctl --wait`, no client needed.
    PostmasterPid(PathBuf),
    /// PING on the socket brings PONG (and not LOADING).
    RedisPing(PathBuf),
    /// The greeting on the port says that JetStream is on; it comes after the store was recovered.
    NatsInfo(u16),
}

impl Recipe {
    /// Starts the server and returns when it answers.
    pub(super) fn start(&self, launcher: &Launcher) -> Result<Server> {
        strays::clear(self.name, &self.dir, self.say)?;
        strays::remove_pid_file(self.name, &self.dir)?;
        let log = open_log(&self.log)?;
        let from = log.metadata()?.len();

        let mut prepared = launcher.command(&self.program, &self.args, &self.dir, self.at_our_death)?;
        prepared.command.stdout(log.try_clone()?).stderr(log);
        let child = spawn(prepared).with_context(|| format!("cannot start {}", self.program.display()))?;
        let mut server = Server::new(child);
        if let Err(error) = self.wait_ready(&mut server, from) {
            server.stop(self.ladder)?;
            return Err(error);
        }
        Ok(server)
    }

    fn wait_ready(&self, server: &mut Server, log_from: u64) -> Result<()> {
        let begin = Instant::now();
        let mut told = false;
        loop {
            if let Some(status) = server.ended()? {
                anyhow::bail!(
                    "{} ended at once ({status}); {} says:\n{}",
                    self.name.as_str(),
                    self.log.display(),
                    tail(&self.log, log_from)
                );
            }
            if self.ready.holds(server.pid()) {
                return Ok(());
            }
            anyhow::ensure!(!self.closing.load(Ordering::Relaxed), "the start of {} was given up", self.name.as_str());
            anyhow::ensure!(
                begin.elapsed() < self.ready_limit,
                "{} does not answer after {} s; {} says:\n{}",
                self.name.as_str(),
                self.ready_limit.as_secs(),
                self.log.display(),
                tail(&self.log, log_from)
            );
            if !told && begin.elapsed() > Duration::from_secs(5) {
                told = true;
                (self.say)(&format!("waiting for {} to recover", self.name.as_str()));
            }
            thread::sleep(GLANCE);
        }
    }
}

impl Ready {
    fn holds(&self, pid: u32) -> bool {
        match self {
            Self::PostmasterPid(path) => {
                let text = fs::read_to_string(path).unwrap_or_default();
                let mut lines = text.lines();
                let ours = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid);
                ours && lines.nth(6).is_some_and(|status| status.trim() == "ready")
            }
            Self::RedisPing(socket) => redis_answers(socket).unwrap_or(false),
            Self::NatsInfo(port) => nats_greets(*port).unwrap_or(false),
        }
    }
}

fn redis_answers(socket: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0_u8; 7];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG\r\n")
}

fn nats_greets(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let mut greeting = [0_u8; 4096];
    let mut filled = 0;
    while filled < greeting.len() && !greeting[..filled].contains(&b'\n') {
        match stream.read(&mut greeting[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let greeting = String::from_utf8_lossy(&greeting[..filled]);
    Ok(greeting.starts_with("INFO ") && greeting.contains("\"jetstream\":true"))
}

/// Opened by us: the servers inherit the descriptor and need no right to the directory.
fn open_log(path: &Path) -> Result<File> {
    if fs::metadata(path).is_ok_and(|found| found.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1")).with_context(|| format!("cannot set {} aside", path.display()))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// The end of what was logged since `from`.
fn tail(path: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let start = from.max(file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}
