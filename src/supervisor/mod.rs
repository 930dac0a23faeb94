//! Private Postgres, Redis and NATS (JetStream) servers under one data directory, so that `ledgerd up` needs nothing
//! configured and a test gets real servers of its own. Any of the three is replaced by giving its URL.
//!
//! # Shape
//! ```text
//! Options ─► place (directory, user) ─► lock ─► find (binary, version) ─► install (only what is missing)
//!                                                        │
//!              Recipe (program, arguments, readiness, how to stop) ◄─ postgres.rs / redis.rs / nats.rs
//!                                                        │
//!   spawner thread ─► guard (parent-death signal) ─► exec the server ─► wait until it answers ─► Running
//!                                                                                                  │
//!                                           watch thread: restart with back-off ◄──────────────────┘
//! ```
//! `DATA/` holds `ledgerd.lock`, `log/`, `run/` (sockets), `postgres/`, `redis/`, `nats/` and, where we had to install them,
//! `servers/`. Everything here blocks: from async code call [`start`] and [`Running::stop`] in `spawn_blocking`.
//!
//! # Correctness
//! 1. **Never root.** As root the servers run as `postgres`, else `nobody`. Root owns `DATA` itself and writes only there or
//!    to files it creates exclusively, so a server that is taken over cannot lead root through a symbolic link.
//! 2. **One owner per directory.** An exclusive `flock` on `ledgerd.lock`, held for the life of the process and released by
//!    the kernel whatever the death: a second start is refused and told who holds it.
//! 3. **No orphans.** Each server asks the kernel for a signal at our death. The request is bound to the spawning *thread*,
//!    so one thread that never ends spawns them all; it is lost when ids change, so ids are dropped first; and it comes too
//!    late if we died in between, so the guard then compares its parent with the one it was told. Where the kernel has no
//!    such signal (macOS) the next start, or [`down`], stops what is left.
//! 4. **No second server on one set of files.** Before each start the processes of that program that work in that directory
//!    are stopped and waited for: Postgres by its own protocol, and with its last backend gone, since an orphaned backend
//!    beside a new postmaster destroys data.
//! 5. **Durability is not tunable.** `fsync`, `full_page_writes`, `synchronous_commit` are given on the command line, which
//!    beats every file; [`Tuning::settings`] that name them are refused.
//! 6. **A half-made cluster is never seen.** `initdb` and `CREATE DATABASE` work beside, and one rename puts the result in place.
//! 7. **Nothing listens where a stranger can ask.** Postgres and Redis have only a socket in a 0700 directory; NATS has no
//!    Unix sockets, so it gets a loopback port that is not the standard one and a random password.
//! 8. **Clean stop in order**: NATS, Redis, then Postgres by fast shutdown, each with a limit and then by force. Servers lead
//!    their own process groups, so Ctrl-C reaches only us and the order holds.

// The binary and the integration tests include this module by path; each uses a different half of it.
#![allow(dead_code, reason = "shared by the binary and the test binary")]

mod find;
pub(crate) mod guard;
mod install;
mod lock;
mod nats;
mod place;
mod postgres;
mod process;
mod recipe;
mod redis;
mod running;
mod strays;
pub(crate) mod table;

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

#[allow(unused_imports, reason = "the test binary does not look at it")]
pub(crate) use lock::AlreadyRunning;
pub(crate) use running::Running;

use find::Binary;
use lock::Lock;
use place::Place;
use recipe::Recipe;

/// One of the three servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Postgres,
    Redis,
    Nats,
}

impl Name {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Redis => "Redis",
            Self::Nats => "NATS",
        }
    }
}

/// Where a server comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Start one of our own.
    Private,
    /// Use the one at this URL; we neither start nor stop it.
    Url(String),
    /// Do without. Refused for Postgres, which holds the truth.
    Absent,
}

impl From<Option<String>> for Source {
    fn from(url: Option<String>) -> Self {
        url.map_or(Self::Private, Self::Url)
    }
}

/// Where a part of the running system came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Private,
    Url,
    Absent,
}

impl Origin {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Url => "url",
            Self::Absent => "absent",
        }
    }
}

/// What became of one server: a row of the table that `up` prints.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: Name,
    /// Empty when we did not start it and so have not asked.
    pub(crate) version: String,
    pub(crate) origin: Origin,
    /// Without credentials; for an absent part, what is done instead.
    pub(crate) address: String,
    pub(crate) data_dir: Option<PathBuf>,
}

/// How long the data directory lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Kept,
    /// Made fresh under the temporary directory, removed at the stop. What a killed run left is removed by the next one.
    Ephemeral,
}

/// May missing servers be installed with the system's package client?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Install {
    WhenMissing,
    Never,
}

/// What to do when a server ends that should be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnExit {
    /// Start it again, with back-off: Postgres ends itself on an fsync error and recovers only once the disk does.
    Restart,
    Leave,
}

/// Sizes for the private Postgres.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    pub(crate) shared_buffers_mb: u64,
    pub(crate) max_wal_size_mb: u64,
    pub(crate) max_connections: u32,
    /// Further `name`, `value` pairs, applied last. Durability settings are refused.
    pub(crate) settings: Vec<(String, String)>,
}

impl Tuning {
    /// A quarter of the memory we may use, at most 2 GB: beyond that the page cache serves an append-mostly log as well.
    pub(crate) fn service() -> Self {
        Self {
            shared_buffers_mb: (place::memory_mb() / 4).clamp(128, 2048),
            max_wal_size_mb: 8192,
            max_connections: 200,
            settings: Vec::new(),
        }
    }

    pub(crate) const fn small() -> Self {
        Self { shared_buffers_mb: 256, max_wal_size_mb: 1024, max_connections: 200, settings: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `None`: `/var/lib/ledgerd` as root, else `$XDG_DATA_HOME/ledgerd`; ignored when [`Lifetime::Ephemeral`].
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) lifetime: Lifetime,
    pub(crate) database: Source,
    pub(crate) redis: Source,
    pub(crate) nats: Source,
    pub(crate) install: Install,
    /// A program whose verb `guard` is [`guard::run`]. `None`: `setpriv` where there is one, else no guard at all.
    pub(crate) guard_exe: Option<PathBuf>,
    pub(crate) tuning: Tuning,
    pub(crate) on_exit: OnExit,
    /// Receives a line for the user, now and then.
    pub(crate) say: fn(&str),
}

impl Options {
    /// What `ledgerd up` starts from.
    pub(crate) fn service(guard_exe: Option<PathBuf>) -> Self {
        Self {
            data_dir: None,
            lifetime: Lifetime::Kept,
            database: Source::Private,
            redis: Source::Private,
            nats: Source::Private,
            install: Install::WhenMissing,
            guard_exe,
            tuning: Tuning::service(),
            on_exit: OnExit::Restart,
            say: |line| eprintln!("{line}"),
        }
    }

    /// What a test starts from: own directory, gone afterwards; nothing installed; a killed server stays dead.
    pub(crate) fn ephemeral(guard_exe: Option<PathBuf>) -> Self {
        Self {
            lifetime: Lifetime::Ephemeral,
            install: Install::Never,
            tuning: Tuning::small(),
            on_exit: OnExit::Leave,
            ..Self::service(guard_exe)
        }
    }
}

/// Starts what `options` ask for and returns once every server answers.
pub(crate) fn start(options: Options) -> Result<Running> {
    anyhow::ensure!(options.database != Source::Absent, "Postgres holds the ledger: it cannot be absent");
    postgres::refuse_unsafe(&options.tuning)?;
    let sources = [(Name::Postgres, &options.database), (Name::Redis, &options.redis), (Name::Nats, &options.nats)];
    let wanted: Vec<Name> = sources.iter().filter(|(_, source)| **source == Source::Private).map(|(name, _)| *name).collect();

    let mut running = Running::empty(&options);
    if wanted.is_empty() {
        return describe(running, sources, &[]);
    }
    let place = Place::prepare(&options)?;
    running.hold(Lock::take(&place.lock_path())?, &place);
    let found = find_all(&place, &wanted, &options)?;
    let recipes = start_all(&place, &found, &options, &mut running)?;
    describe(running, sources, &recipes)
}

/// The data directory that is meant when this one, or none, is given.
pub(crate) fn data_dir(given: Option<&Path>) -> Result<PathBuf> {
    place::resolve(given)
}

/// Stops what runs in a data directory: the ledgerd that holds it, or the servers that a killed one left behind.
pub(crate) fn down(data_dir: Option<&Path>, say: fn(&str)) -> Result<Down> {
    let root = place::resolve(data_dir)?;
    let lock_path = root.join(lock::FILE);
    if !lock_path.exists() {
        return Ok(Down::NothingRan);
    }
    let held = lock::stop_holder(&lock_path)?;
    // From here nobody can start while we stop what is left.
    let _lock = Lock::take(&lock_path)?;
    let mut left = Vec::new();
    for name in [Name::Nats, Name::Redis, Name::Postgres] {
        if strays::clear(name, &root.join(place::folder(name)), say)? {
            left.push(name);
        }
    }
    Ok(match (held, left.is_empty()) {
        (Some(pid), _) => Down::Stopped { pid },
        (None, false) => Down::Strays(left),
        (None, true) => Down::NothingRan,
    })
}

/// What [`down`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    Stopped { pid: u32 },
    Strays(Vec<Name>),
    NothingRan,
}

/// A private server that is up, or the reason why it is not.
type Found = (Name, Result<Binary, String>);

/// Looks for the wanted binaries, installs what is missing if allowed, looks again. Only Postgres is indispensable.
fn find_all(place: &Place, wanted: &[Name], options: &Options) -> Result<Vec<Found>> {
    let look = || -> Vec<Found> { wanted.iter().map(|name| (*name, find::find(*name, place))).collect() };
    let mut found = look();
    let missing: Vec<Name> = found.iter().filter(|(_, binary)| binary.is_err()).map(|(name, _)| *name).collect();
    if !missing.is_empty() && options.install == Install::WhenMissing {
        if let Err(error) = install::run(place, &missing, options.say) {
            (options.say)(&format!("installing failed: {error:#}"));
        }
        found = look();
    }
    for (name, binary) in &found {
        if let (Name::Postgres, Err(reason)) = (name, binary) {
            anyhow::bail!("{reason}\n{}", install::POSTGRES_ADVICE);
        }
    }
    Ok(found)
}

/// Starts the found servers side by side: NATS and Redis are up while Postgres still makes its first cluster.
fn start_all(
    place: &Place,
    found: &[Found],
    options: &Options,
    running: &mut Running,
) -> Result<Vec<(Name, Result<Recipe, String>)>> {
    let launcher = running.launcher(place, options);
    let started: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = found
            .iter()
            .map(|(name, binary)| {
                let launcher = &launcher;
                let thread = scope.spawn(move || match binary {
                    Ok(binary) => start_one(*name, binary, place, launcher, options).map_err(|error| format!("{error:#}")),
                    Err(reason) => Err(reason.clone()),
                });
                (*name, thread)
            })
            .collect();
        threads
            .into_iter()
            .map(|(name, thread)| (name, thread.join().unwrap_or_else(|_| Err("its start panicked".to_owned()))))
            .collect()
    });

    // Adopt every server before judging any: what `running` holds is stopped when it is dropped.
    let mut recipes = Vec::new();
    let mut servers = Vec::new();
    for (name, outcome) in started {
        recipes.push((
            name,
            outcome.map(|(recipe, server)| {
                servers.push((recipe.clone(), server));
                recipe
            }),
        ));
    }
    running.adopt(servers);
    for (name, outcome) in &recipes {
        if let (Name::Postgres, Err(reason)) = (name, outcome) {
            anyhow::bail!("Postgres does not start: {reason}");
        }
    }
    running.watch(options)?;
    Ok(recipes)
}

fn start_one(
    name: Name,
    binary: &Binary,
    place: &Place,
    launcher: &process::Launcher,
    options: &Options,
) -> Result<(Recipe, process::Server)> {
    match name {
        Name::Postgres => {
            let recipe = postgres::recipe(binary, place, launcher, options)?;
            let server = recipe.start(launcher)?;
            Ok((recipe, server))
        }
        Name::Redis => {
            let recipe = redis::recipe(binary, place)?;
            let server = recipe.start(launcher)?;
            Ok((recipe, server))
        }
        Name::Nats => nats::start(binary, place, launcher),
    }
}

/// Fills in the URLs and the rows of the table, in the order Postgres, Redis, NATS.
fn describe(mut running: Running, sources: [(Name, &Source); 3], recipes: &[(Name, Result<Recipe, String>)]) -> Result<Running> {
    for (name, source) in sources {
        let (url, part) = match source {
            Source::Url(url) => (Some(url.clone()), given(name, url)),
            Source::Absent => (None, absent(name, "turned off")),
            Source::Private => match recipes.iter().find(|(other, _)| *other == name).map(|(_, outcome)| outcome) {
                Some(Ok(recipe)) => (Some(recipe.url.clone()), started(recipe)),
                Some(Err(reason)) => (None, absent(name, reason)),
                None => (None, absent(name, "not started")),
            },
        };
        match name {
            Name::Postgres => running.database_url = url.context("Postgres has no address")?,
            Name::Redis => running.redis_url = url,
            Name::Nats => running.nats_url = url,
        }
        running.parts.push(part);
    }
    Ok(running)
}

fn started(recipe: &Recipe) -> Part {
    Part {
        name: recipe.name,
        version: recipe.version.clone(),
        origin: Origin::Private,
        address: recipe.address.clone(),
        data_dir: Some(recipe.dir.clone()),
    }
}

fn given(name: Name, url: &str) -> Part {
    Part { name, version: String::new(), origin: Origin::Url, address: place::address_of(url), data_dir: None }
}

fn absent(name: Name, reason: &str) -> Part {
    let instead = match name {
        Name::Postgres => "nothing works without it",
        Name::Redis => "the cache is off, Postgres answers",
        Name::Nats => "the feed over NATS is off",
    };
    Part { name, version: String::new(), origin: Origin::Absent, address: format!("{instead} ({reason})"), data_dir: None }
}
