//! One ledgerd per data directory.
//!
//! The lock is the kernel's `flock`, so it cannot outlive its holder. The text in the file (process id, console address) is
//! only for people and for `ledgerd down`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use super::process;

/// Also the mark by which we know a directory for ours.
pub(super) const FILE: &str = "ledgerd.lock";

/// A holder needs at most the sum of the stop ladders to end.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The data directory belongs to another ledgerd; the text says which and what to do.
#[derive(Debug)]
pub(crate) struct AlreadyRunning(String);

impl std::fmt::Display for AlreadyRunning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AlreadyRunning {}

#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refusal(path)),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let lock = Self { file };
        lock.write("")?;
        Ok(lock)
    }

    /// Records where people find this instance.
    pub(super) fn write(&self, address: &str) -> Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}\n{address}", std::process::id()).context("cannot write the lock file")
    }
}

/// Asks the holder to end and waits for the lock. `None`: nobody held it.
pub(super) fn stop_holder(path: &Path) -> Result<Option<u32>> {
    let file = open(path)?;
    if file.try_lock().is_ok() {
        return Ok(None);
    }
    let (raw, _) = holder(path);
    let raw = raw.with_context(|| format!("{} is held, but by whom it does not say", path.display()))?;
    let pid = process::pid(raw).context("the lock file holds no process id")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("cannot stop process {raw}"))?;
    let deadline = Instant::now() + STOP_LIMIT;
    while file.try_lock().is_err() {
        anyhow::ensure!(Instant::now() < deadline, "process {raw} does not end");
        thread::sleep(process::GLANCE);
    }
    Ok(Some(raw))
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

fn refusal(path: &Path) -> anyhow::Error {
    let dir = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let (pid, address) = holder(path);
    let pid = pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    let open = if address.is_empty() { String::new() } else { format!("; open {address}") };
    let text = format!(
        "already running in {}{pid}{open} (stop it with Ctrl-C there or `ledgerd down`, or give another --data-dir)",
        dir.display()
    );
    anyhow::Error::new(AlreadyRunning(text))
}

fn holder(path: &Path) -> (Option<u32>, String) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.parse().ok());
    (pid, lines.next().unwrap_or_default().to_owned())
}
