//! Starting and ending one child process.
//!
//! # Shape
//! `Launcher` (user, guard) ─► `Command` ─► spawner thread ─► `Server` (a running child) ─► `stop` by a ladder of signals.
//!
//! # Correctness
//! The kernel sends the parent-death signal when the *thread* that spawned the child ends. A worker of an async runtime may
//! end at any time, so every child is spawned by one thread that lives as long as the process.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::guard;
use super::place::User;

/// How long between two looks at a process that is about to change.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

/// Rungs of a stop: the signal, and how long it may take before the next one. SIGKILL follows the last.
pub(super) type Ladder = &'static [(Signal, Duration)];

/// A child inherits these variables only. Others carry secrets of ours (`DATABASE_URL`) or bend a server (`PGDATA`,
/// `PGOPTIONS`). The loader's stay, for servers in unusual places and for tests that preload a clock or a failing disk.
const INHERITED: [&str; 9] = [
    "PATH",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LD_PRELOAD",
    "FAKETIME",
    "FAKETIME_TIMESTAMP_FILE",
    "FAKETIME_NO_CACHE",
    "DONT_FAKE_MONOTONIC",
];

#[derive(Clone, Debug)]
enum Guard {
    Program(PathBuf),
    Setpriv(PathBuf),
    None,
}

/// Knows as whom and behind which guard to start a program.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    user: User,
    guard: Guard,
}

/// A command ready to spawn; the file is the guard's program, open until then.
pub(super) struct Prepared {
    pub(super) command: Command,
    guard_file: Option<File>,
}

impl Launcher {
    pub(super) fn new(user: &User, guard_exe: Option<&Path>) -> Self {
        let guard = match (guard_exe, super::find::on_path("setpriv")) {
            (Some(exe), _) if cfg!(target_os = "linux") => Guard::Program(exe.to_owned()),
            (_, Some(setpriv)) if cfg!(target_os = "linux") => Guard::Setpriv(setpriv),
            (_, _) => Guard::None,
        };
        Self { user: user.clone(), guard }
    }

    /// `program arguments…` as the servers' user, working in `dir`, ended by `at_our_death`.
    pub(super) fn command(&self, program: &Path, args: &[OsString], dir: &Path, at_our_death: Signal) -> Result<Prepared> {
        let mut guard_file = None;
        let mut command = match &self.guard {
            Guard::Program(exe) => {
                let file = File::open(exe).with_context(|| format!("cannot open the guard {}", exe.display()))?;
                // By descriptor, not by path: the servers' user often cannot reach a build directory under /root.
                let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
                guard_file = Some(file);
                command
                    .arg0("ledgerd")
                    .args([guard::VERB, "--parent-pid", &std::process::id().to_string()])
                    .args(["--signal", &at_our_death.as_raw().to_string(), "--"])
                    .arg(program);
                command
            }
            Guard::Setpriv(setpriv) => {
                let mut command = Command::new(setpriv);
                // It knows signals by name only.
                let name = match at_our_death {
                    Signal::QUIT => "QUIT",
                    Signal::TERM => "TERM",
                    _ => "KILL",
                };
                command.args(["--pdeathsig", name, "--"]).arg(program);
                command
            }
            Guard::None => Command::new(program),
        };
        command.args(args).current_dir(dir).process_group(0).env_clear().stdin(Stdio::null());
        command.envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
        command.env("HOME", dir).env("LC_ALL", "C").env("TZ", "UTC");
        if self.user.is_other() {
            // The standard library clears the supplementary groups with the user id.
            command.uid(self.user.uid).gid(self.user.gid);
        }
        Ok(Prepared { command, guard_file })
    }

    /// Runs a short program to its end, feeding it `input`.
    pub(super) fn run(&self, program: &Path, args: &[OsString], dir: &Path, input: &str) -> Result<Output> {
        let mut prepared = self.command(program, args, dir, Signal::KILL)?;
        prepared.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(prepared).with_context(|| format!("cannot start {}", program.display()))?;
        if let Some(mut pipe) = child.stdin.take() {
            // A program that ends without reading says so by its exit status.
            let _ = io::Write::write_all(&mut pipe, input.as_bytes());
        }
        child.wait_with_output().with_context(|| format!("cannot wait for {}", program.display()))
    }
}

type Job = (Prepared, mpsc::SyncSender<io::Result<Child>>);

/// Spawns on the thread that never ends.
pub(super) fn spawn(prepared: Prepared) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();

    let gone = || io::Error::other("the spawning thread is gone");
    let jobs = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Job>();
        let serve = move || {
            for (mut prepared, answer) in receiver {
                let child = prepared.command.spawn();
                drop(prepared.guard_file);
                // Nobody waits for the answer any more: then nobody would reap the child either.
                if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(child) {
                    let _ = orphan.kill();
                    let _ = orphan.wait();
                }
            }
        };
        // If the thread cannot be made its receiver is dropped, and each caller is told below.
        let _ = thread::Builder::new().name("supervisor-spawn".to_owned()).spawn(serve);
        Mutex::new(sender)
    });
    let (answer, child) = mpsc::sync_channel(1);
    jobs.lock().unwrap_or_else(PoisonError::into_inner).send((prepared, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// A child that runs, or ran.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
}

impl Server {
    pub(super) const fn new(child: Child) -> Self {
        Self { child }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `Some` once it has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// A signal to the process itself; nothing happens if it has ended (its id is ours until it is reaped).
    pub(super) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_none() {
            let pid = pid(self.pid()).context("the process id is out of range")?;
            kill_process(pid, signal).context("cannot send a signal to a server")?;
        }
        Ok(())
    }

    /// Climbs the ladder until the process has ended, by force at last.
    pub(super) fn stop(&mut self, ladder: Ladder) -> Result<ExitStatus> {
        for (signal, limit) in ladder {
            self.signal(*signal)?;
            if let Some(status) = self.wait(*limit)? {
                return Ok(status);
            }
        }
        self.child.kill().context("cannot kill a server")?;
        self.child.wait().context("cannot wait for a killed server")
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(GLANCE);
        }
    }
}

pub(super) fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}
