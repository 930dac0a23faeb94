//! Servers that outlived the ledgerd that started them.
//!
//! # Correctness
//! A process is ours to stop only if it is this program *and* works in this data directory; a number in a pid file proves
//! neither. Where there is no /proc, the pid file names the process and its command line must name the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use super::{Name, process};

const GRACE: Duration = Duration::from_secs(30);
const AFTER_KILL: Duration = Duration::from_secs(10);

/// Stops what is left in a server's directory and waits until it is gone. Says if there was anything.
pub(super) fn clear(name: Name, dir: &Path, say: fn(&str)) -> Result<bool> {
    let found = all(name, dir);
    if found.is_empty() {
        return Ok(false);
    }
    // The leader ends its own. Without it the rest are orphans: Postgres backends notice that within a moment,
    // unless they are busy, and none of them may see the next postmaster.
    if let Some(leader) = leader(name, dir).filter(|pid| found.contains(pid)) {
        say(&format!("stopping a {} left by an earlier run (pid {leader})", name.as_str()));
        let signal = match name {
            Name::Postgres => Signal::INT,
            Name::Redis | Name::Nats => Signal::TERM,
        };
        send(leader, signal);
        wait_gone(name, dir, GRACE);
    } else {
        wait_gone(name, dir, Duration::from_millis(500));
    }
    for pid in all(name, dir) {
        send(pid, Signal::KILL);
    }
    anyhow::ensure!(wait_gone(name, dir, AFTER_KILL), "{} processes of an earlier run do not end", name.as_str());
    Ok(true)
}

/// A pid file whose process is not a server of ours keeps Postgres from starting when the number was given to another
/// process, as happens in each new container. Call only when [`clear`] has found or left nothing.
pub(super) fn remove_pid_file(name: Name, dir: &Path) -> Result<()> {
    let path = pid_file(name, dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn pid_file(name: Name, dir: &Path) -> PathBuf {
    dir.join(match name {
        Name::Postgres => "postmaster.pid",
        Name::Redis => "redis.pid",
        Name::Nats => "nats.pid",
    })
}

/// Every process of this server, the backends of Postgres included.
pub(super) fn all(name: Name, dir: &Path) -> Vec<u32> {
    if Path::new("/proc/self/cwd").exists() {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        return entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| works_in(*pid, dir) && is_named(name, &comm(*pid)))
            .collect();
    }
    leader(name, dir).filter(|pid| is_named(name, &command_line(*pid))).into_iter().collect()
}

fn works_in(pid: u32, dir: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir)
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

fn command_line(pid: u32) -> String {
    let output = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn is_named(name: Name, text: &str) -> bool {
    match name {
        Name::Postgres => text.contains("postgres"),
        Name::Redis => text.contains("redis-server") || text.contains("valkey-server"),
        Name::Nats => text.contains("nats-server"),
    }
}

fn leader(name: Name, dir: &Path) -> Option<u32> {
    fs::read_to_string(pid_file(name, dir)).ok()?.lines().next()?.trim().parse().ok()
}

/// It may have ended meanwhile: then there is nothing to do.
fn send(raw: u32, signal: Signal) {
    if let Some(pid) = process::pid(raw) {
        let _ = kill_process(pid, signal);
    }
}

fn wait_gone(name: Name, dir: &Path, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while !all(name, dir).is_empty() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(process::GLANCE);
    }
    true
}
