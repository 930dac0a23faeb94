//! Installs missing servers by the system's ordinary package clients.
//!
//! The work is done by `deploy/install-servers`, embedded here so that the binary needs no other file: people can read it and
//! run it themselves. It is told what is missing, looks again, and touches nothing that is there.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Name;
use super::place::{self, Place};

const SCRIPT: &str = include_str!("../../deploy/install-servers");

pub(super) const POSTGRES_ADVICE: &str = "Install Postgres 15 or newer and start again:\n  \
     Debian, Ubuntu:  sudo apt-get install postgresql\n  \
     Fedora:          sudo dnf install postgresql-server\n  \
     macOS:           brew install postgresql@17 redis nats-server\n\
     or give the URL of one that runs (DATABASE_URL).";

pub(super) fn run(place: &Place, missing: &[Name], say: fn(&str)) -> Result<()> {
    let names: Vec<&str> = missing.iter().map(|name| place::folder(*name)).collect();
    say(&format!("not installed here: {}; installing", names.join(", ")));
    let log_path = place.log_dir().join("install.log");
    let log = std::fs::File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    // The script as an argument, not on standard input, which package clients like to read.
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT, "install-servers", "--into"])
        .arg(place.servers())
        .args(names)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("cannot run sh")?;
    if let Some(lines) = child.stdout.take() {
        for line in BufReader::new(lines).lines() {
            say(&line.context("cannot read what the install script says")?);
        }
    }
    let status = child.wait().context("cannot wait for the install script")?;
    anyhow::ensure!(status.success(), "{status}; see {}", log_path.display());
    Ok(())
}
