//! The private Postgres: `initdb` once, the database `ledger`, and the command line it is started with.
//!
//! # Correctness
//! - Trust authentication is safe here and only here: there is no TCP, and the socket lies in a directory that only the
//!   servers' user and root can enter. Whoever can, could as well read the files.
//! - The cluster is made in `postgres.new` and renamed when whole; an interrupted first start begins anew.
//! - Durability settings stand on the command line, where `ALTER SYSTEM` and configuration files cannot reach them.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::find::Binary;
use super::place::{self, Place};
use super::process::{Ladder, Launcher};
use super::recipe::{Ready, Recipe};
use super::{Lifetime, Name, Options, Tuning, strays};

/// Owner of the cluster, and so a superuser: migrations make the lesser roles that the service works with.
const OWNER: &str = "ledger";
const DATABASE: &str = "ledger";
/// Part of the socket's name only.
const PORT: &str = "5432";

/// Fast shutdown rolls back and writes a checkpoint; immediate leaves that to the next start.
const LADDER: Ladder = &[(Signal::INT, Duration::from_secs(30)), (Signal::QUIT, Duration::from_secs(6))];

/// Replaying 8 GB of log on a slow disk takes minutes.
const READY_LIMIT: Duration = Duration::from_secs(600);

/// What an acknowledged command rests on.
const DURABILITY: [(&str, &str); 3] = [("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on")];

pub(super) fn refuse_unsafe(tuning: &Tuning) -> Result<()> {
    for (name, _) in &tuning.settings {
        let name = name.to_ascii_lowercase();
        anyhow::ensure!(
            DURABILITY.iter().all(|(fixed, _)| *fixed != name),
            "{name} is not tunable: acknowledged commands depend on it"
        );
    }
    Ok(())
}

pub(super) fn recipe(binary: &Binary, place: &Place, launcher: &Launcher, options: &Options) -> Result<Recipe> {
    let dir = place.dir(Name::Postgres);
    if !dir.join("PG_VERSION").exists() {
        initialise(binary, place, launcher).context("cannot make a Postgres cluster")?;
    }
    Ok(Recipe {
        name: Name::Postgres,
        version: binary.text.clone(),
        url: format!("postgres://{OWNER}@localhost/{DATABASE}?host={}&port={PORT}", place::encode(&place.run)),
        address: place.run.join(format!(".s.PGSQL.{PORT}")).display().to_string(),
        program: binary.path.clone(),
        args: arguments(binary, place, &options.tuning)?,
        ready: Ready::PostmasterPid(strays::pid_file(Name::Postgres, &dir)),
        log: place.log(Name::Postgres),
        dir,
        ready_limit: READY_LIMIT,
        ladder: LADDER,
        // Immediate: a checkpoint could take longer than the two seconds a corpse may be warm. Recovery is its job anyway.
        at_our_death: Signal::QUIT,
        say: options.say,
        closing: Arc::default(),
    })
}

fn arguments(binary: &Binary, place: &Place, tuning: &Tuning) -> Result<Vec<OsString>> {
    let mb = |value: u64| format!("{value}MB");
    let run = place.run.to_str().context("the data directory's path is not UTF-8")?;
    let mut settings: Vec<(&str, String)> = vec![
        ("listen_addresses", String::new()),
        ("unix_socket_directories", format!("\"{run}\"")),
        ("unix_socket_permissions", "0700".to_owned()),
        ("port", PORT.to_owned()),
        ("max_connections", tuning.max_connections.to_string()),
        ("shared_buffers", mb(tuning.shared_buffers_mb)),
        ("max_wal_size", mb(tuning.max_wal_size_mb)),
        // Segments kept for reuse: a burst of appends need not create files.
        ("min_wal_size", mb((tuning.max_wal_size_mb / 8).max(80))),
        ("checkpoint_timeout", "15min".to_owned()),
        ("checkpoint_completion_target", "0.9".to_owned()),
        ("wal_compression", compression(binary).to_owned()),
        // Statements touch a few rows by key: compiling them costs more than running them.
        ("jit", "off".to_owned()),
        ("autovacuum", "on".to_owned()),
        ("password_encryption", "scram-sha-256".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".to_owned()),
    ];
    if syncfs_reports_errors() {
        // Before recovery every file is synced, one by one or the file system at once: 3.2 s against 0.4 s for the restart
        // of a killed server that holds a few hundred megabytes.
        settings.push(("recovery_init_sync_method", "syncfs".to_owned()));
    }
    settings.extend(tuning.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    settings.extend(DURABILITY.map(|(name, value)| (name, value.to_owned())));

    let mut args: Vec<OsString> = vec!["-D".into(), place.dir(Name::Postgres).into()];
    for (name, value) in settings {
        args.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    Ok(args)
}

/// Linux from 5.8; older kernels swallow a failed write here.
fn syncfs_reports_errors() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|number| number.trim().parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 8)
}

/// LZ4 is a build option; a server without it refuses the word. Asking the server takes a process, its file tells as well.
fn compression(binary: &Binary) -> &'static str {
    let needle = b"LZ4_compress";
    let linked = fs::read(&binary.path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle));
    if linked { "lz4" } else { "pglz" }
}

fn initialise(binary: &Binary, place: &Place, launcher: &Launcher) -> Result<()> {
    let dir = place.dir(Name::Postgres);
    let fresh = dir.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("cannot remove {}", fresh.display()))?;
    }
    // What a previous version of us, or a person, left as an empty folder must not stand in the way of the rename.
    let _ = fs::remove_dir(&dir);
    anyhow::ensure!(!dir.exists(), "{} exists but holds no cluster", dir.display());

    place.own_folder(&fresh)?;
    init_db(binary, place, launcher, &fresh)?;
    create_database(binary, place, launcher, &fresh)?;
    fs::rename(&fresh, &dir).with_context(|| format!("cannot move the cluster to {}", dir.display()))
}

/// Code-point order whatever the machine; `C` where the system has no `C.UTF-8`.
fn init_db(binary: &Binary, place: &Place, launcher: &Launcher, dir: &Path) -> Result<()> {
    let initdb = binary.path.with_file_name("initdb");
    let mut failure = String::new();
    for locale in ["C.UTF-8", "C"] {
        let mut args: Vec<OsString> = vec!["-D".into(), dir.into()];
        // Checksums: without them a flipped bit is read as another number, silently.
        args.extend(["-k", "-E", "UTF8", "--locale", locale, "-A", "trust", "-U", OWNER].map(OsString::from));
        if place.lifetime == Lifetime::Ephemeral {
            args.push("--no-sync".into());
        }
        let output = launcher.run(&initdb, &args, dir, "")?;
        if output.status.success() {
            return Ok(());
        }
        failure = format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    anyhow::bail!("initdb fails with {failure}")
}

/// In single-user mode: no server, no client.
fn create_database(binary: &Binary, place: &Place, launcher: &Launcher, dir: &Path) -> Result<()> {
    let mut args: Vec<OsString> = vec!["--single".into(), "-D".into(), dir.into()];
    if place.lifetime == Lifetime::Ephemeral {
        // A throw-away cluster that nobody has read yet; the server itself always runs with fsync on.
        args.extend(["-c".into(), "fsync=off".into()]);
    }
    args.push("postgres".into());
    let output = launcher.run(&binary.path, &args, dir, &format!("CREATE DATABASE {DATABASE}\n"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // A failing statement does not fail the program.
    let failed = !output.status.success() || said.contains("ERROR:") || said.contains("FATAL:");
    if failed {
        let mut log = fs::OpenOptions::new().create(true).append(true).open(place.log(Name::Postgres))?;
        log.write_all(&output.stderr)?;
        anyhow::bail!("CREATE DATABASE fails: {}", said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_cannot_be_tuned_away() {
        for name in ["fsync", "FSYNC", "full_page_writes", "synchronous_commit"] {
            let mut tuning = Tuning::small();
            tuning.settings.push((name.to_owned(), "off".to_owned()));
            assert!(refuse_unsafe(&tuning).is_err(), "{name}");
        }
        assert!(refuse_unsafe(&Tuning::small()).is_ok());
    }
}
