//! The hidden verb `guard`: binds the life of a server to ours, then becomes that server.
//!
//! `ledgerd guard --parent-pid N --signal S -- program arguments…`
//!
//! A program of its own because the standard library can run code between `fork` and `exec` only through an unsafe hook.
//! Ids are dropped before this program is executed: a change of ids clears the parent-death signal, `exec` keeps it.
//! Call it first thing in `main`, before any thread exists.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

/// The verb, as the supervisor writes it.
pub(crate) const VERB: &str = "guard";

/// This very program, for [`super::Options::guard_exe`]. On Linux by the kernel's own link: it stays right when the file
/// was replaced by a newer build while we run.
pub(crate) fn this_program() -> Option<PathBuf> {
    cfg!(target_os = "linux").then(|| PathBuf::from("/proc/self/exe"))
}

/// Runs the verb with the arguments that follow it. Returns only to report why the server could not be executed.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> Result<Infallible> {
    let order = parse(args)?;
    bind(order.parent, order.signal)?;
    let error = Command::new(&order.program).args(&order.args).exec();
    Err(error).with_context(|| format!("cannot execute {}", order.program.display()))
}

struct Order {
    parent: i32,
    signal: i32,
    program: PathBuf,
    args: Vec<OsString>,
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Order> {
    let mut args = args.into_iter();
    let mut parent = None;
    let mut signal = None;
    loop {
        let flag = args.next().context("guard: `--` and a program are missing")?;
        match flag.to_str() {
            Some("--") => break,
            Some("--parent-pid") => parent = Some(number(args.next())?),
            Some("--signal") => signal = Some(number(args.next())?),
            Some(_) | None => anyhow::bail!("guard: unknown argument {}", flag.display()),
        }
    }
    Ok(Order {
        parent: parent.context("guard: --parent-pid is missing")?,
        signal: signal.context("guard: --signal is missing")?,
        program: args.next().context("guard: the program is missing")?.into(),
        args: args.collect(),
    })
}

fn number(value: Option<OsString>) -> Result<i32> {
    let value = value.context("guard: a number is missing")?;
    value.to_str().and_then(|text| text.parse().ok()).with_context(|| format!("guard: {} is no number", value.display()))
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn bind(parent: i32, signal: i32) -> Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let signal = Signal::from_named_raw(signal).with_context(|| format!("guard: no signal {signal}"))?;
    set_parent_process_death_signal(Some(signal)).context("guard: cannot ask for the parent-death signal")?;
    // If the parent died before the line above, no signal will ever come: somebody else has adopted us by now.
    let actual = getppid().map(|pid| pid.as_raw_nonzero().get());
    anyhow::ensure!(actual == Some(parent), "guard: the parent {parent} is gone");
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn bind(_parent: i32, _signal: i32) -> Result<()> {
    Ok(())
}
