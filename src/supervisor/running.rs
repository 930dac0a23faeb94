//! The servers while they run: their addresses, their end, and for tests their outages.
//!
//! # Correctness
//! - Each server is behind a mutex of its own: stopping one, or the watch restarting one, never waits for another.
//! - A server is restarted only while it is *wanted*; `stop_part` and `kill_part` withdraw that first, so an outage a test
//!   made lasts until the test ends it.
//! - `stop` is idempotent and also what `Drop` does: no way out leaves servers behind.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};

use super::lock::Lock;
use super::place::Place;
use super::process::{self, Launcher, Server};
use super::recipe::Recipe;
use super::{Lifetime, Name, OnExit, Options, Part, strays};

const WATCH_EVERY: Duration = Duration::from_millis(100);
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// A server that lived this long is taken for healthy: its next restart comes at once again.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Servers that answer, until [`Running::stop`] or drop.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) database_url: String,
    /// `None`: absent.
    pub(crate) redis_url: Option<String>,
    /// `None`: absent. A private one's holds its password.
    pub(crate) nats_url: Option<String>,
    /// Postgres, Redis, NATS.
    pub(crate) parts: Vec<Part>,
    /// `None` when nothing is private.
    pub(crate) data_dir: Option<PathBuf>,
    slots: Arc<Vec<Slot>>,
    launcher: Option<Launcher>,
    watch: Mutex<Option<JoinHandle<()>>>,
    closing: Arc<AtomicBool>,
    place: Option<Place>,
    lock: Option<Lock>,
    say: fn(&str),
}

#[derive(Debug)]
struct Slot {
    name: Name,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    recipe: Recipe,
    /// `None` only between a failed restart and the next.
    server: Option<Server>,
    wanted: bool,
    since: Instant,
    back_off: Duration,
    not_before: Instant,
}

impl Running {
    pub(super) fn empty(options: &Options) -> Self {
        Self {
            database_url: String::new(),
            redis_url: None,
            nats_url: None,
            parts: Vec::new(),
            data_dir: None,
            slots: Arc::default(),
            launcher: None,
            watch: Mutex::new(None),
            closing: Arc::default(),
            place: None,
            lock: None,
            say: options.say,
        }
    }

    pub(super) fn hold(&mut self, lock: Lock, place: &Place) {
        self.data_dir = Some(place.root.clone());
        self.place = Some(place.clone());
        self.lock = Some(lock);
    }

    pub(super) fn launcher(&mut self, place: &Place, options: &Options) -> Launcher {
        self.launcher.insert(Launcher::new(&place.user, options.guard_exe.as_deref())).clone()
    }

    pub(super) fn adopt(&mut self, servers: Vec<(Recipe, Server)>) {
        let now = Instant::now();
        let slot = |(mut recipe, server): (Recipe, Server)| {
            recipe.closing = Arc::clone(&self.closing);
            recipe.say = self.say;
            let name = recipe.name;
            let state = State { recipe, server: Some(server), wanted: true, since: now, back_off: BACK_OFF_MIN, not_before: now };
            Slot { name, state: Mutex::new(state) }
        };
        self.slots = Arc::new(servers.into_iter().map(slot).collect());
    }

    pub(super) fn watch(&self, options: &Options) -> Result<()> {
        let Some(launcher) = self.launcher.clone() else { return Ok(()) };
        if options.on_exit == OnExit::Leave {
            return Ok(());
        }
        let (slots, closing) = (Arc::clone(&self.slots), Arc::clone(&self.closing));
        let watch = move || {
            while !closing.load(Ordering::Relaxed) {
                for slot in slots.iter() {
                    slot.look(&launcher);
                }
                thread::park_timeout(WATCH_EVERY);
            }
        };
        let thread =
            thread::Builder::new().name("supervisor-watch".to_owned()).spawn(watch).context("cannot watch the servers")?;
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Tells a second `up` on this directory where the first one is found.
    pub(crate) fn announce(&self, console: &str) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| lock.write(console))
    }

    /// Stops NATS, Redis, Postgres in this order; an ephemeral directory is removed.
    pub(crate) fn stop(&self) -> Result<()> {
        self.closing.store(true, Ordering::Relaxed);
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = watch {
            thread.thread().unpark();
            thread.join().map_err(|_| anyhow::anyhow!("the watch over the servers panicked"))?;
        }
        let mut outcome = Ok(());
        for name in [Name::Nats, Name::Redis, Name::Postgres] {
            // One that refuses must not keep the next from stopping.
            outcome = outcome.and(self.slot(name).map_or(Ok(()), |slot| slot.lock().end(name)));
        }
        match &self.place {
            Some(place) if place.lifetime == Lifetime::Ephemeral && place.root.exists() => outcome.and(place.remove()),
            Some(_) | None => outcome,
        }
    }

    /// A clean stop of one private server; it stays down until [`Running::start_part`].
    pub(crate) fn stop_part(&self, name: Name) -> Result<()> {
        self.private(name)?.lock().end(name)
    }

    /// `kill -9` of one private server (of Postgres: the postmaster); it stays down until [`Running::start_part`].
    pub(crate) fn kill_part(&self, name: Name) -> Result<()> {
        let mut state = self.private(name)?.lock();
        state.wanted = false;
        match &mut state.server {
            Some(server) => server.stop(&[]).map(drop).with_context(|| format!("cannot kill {}", name.as_str())),
            None => Ok(()),
        }
    }

    /// Starts a stopped or killed private server again, at the same address.
    pub(crate) fn start_part(&self, name: Name) -> Result<()> {
        let launcher = self.launcher.as_ref().context("no server is private")?;
        let mut state = self.private(name)?.lock();
        if let Some(server) = &mut state.server
            && server.ended()?.is_none()
        {
            state.wanted = true;
            return Ok(());
        }
        state.begin(launcher)
    }

    /// Freezes every process of one private server: it holds its connections and answers nothing.
    pub(crate) fn pause_part(&self, name: Name) -> Result<()> {
        self.private(name)?.lock().signal_all(Signal::STOP)
    }

    pub(crate) fn resume_part(&self, name: Name) -> Result<()> {
        self.private(name)?.lock().signal_all(Signal::CONT)
    }

    /// `None`: not private, or not running.
    pub(crate) fn pid_of(&self, name: Name) -> Option<u32> {
        let mut state = self.slot(name)?.lock();
        let server = state.server.as_mut()?;
        matches!(server.ended(), Ok(None)).then(|| server.pid())
    }

    fn slot(&self, name: Name) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    fn private(&self, name: Name) -> Result<&Slot> {
        self.slot(name).with_context(|| format!("{} is not ours to stop or start", name.as_str()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            (self.say)(&format!("stopping the servers: {error:#}"));
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restarts a server that ended though it is wanted.
    fn look(&self, launcher: &Launcher) {
        // Somebody is stopping or starting it: the next look sees the outcome.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let now = Instant::now();
        if !state.wanted || now < state.not_before {
            return;
        }
        let say = state.recipe.say;
        let name = self.name.as_str();
        if let Some(server) = &mut state.server {
            match server.ended() {
                Ok(None) | Err(_) => return,
                Ok(Some(status)) => say(&format!("{name} ended ({status}); starting it again")),
            }
            state.server = None;
            if state.since.elapsed() > HEALTHY_AFTER {
                state.back_off = BACK_OFF_MIN;
            }
        }
        if let Err(error) = state.begin(launcher) {
            say(&format!("{name} does not start, next attempt in {:?}: {error:#}", state.back_off));
        }
        state.not_before = Instant::now() + state.back_off;
        state.back_off = (state.back_off * 2).min(BACK_OFF_MAX);
    }
}

impl State {
    fn begin(&mut self, launcher: &Launcher) -> Result<()> {
        self.wanted = true;
        self.server = Some(self.recipe.start(launcher)?);
        self.since = Instant::now();
        Ok(())
    }

    fn end(&mut self, name: Name) -> Result<()> {
        self.wanted = false;
        if let Some(server) = &mut self.server
            && server.ended()?.is_none()
        {
            // What is frozen sits out every signal but the last, and Postgres waits for each of its backends.
            self.signal_all(Signal::CONT)?;
        }
        match &mut self.server {
            Some(server) => server.stop(self.recipe.ladder).map(drop).with_context(|| format!("cannot stop {}", name.as_str())),
            None => Ok(()),
        }
    }

    fn signal_all(&self, signal: Signal) -> Result<()> {
        for pid in strays::all(self.recipe.name, &self.recipe.dir) {
            let pid = process::pid(pid).context("the process id is out of range")?;
            match kill_process(pid, signal) {
                // Backends come and go.
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error).context("cannot send a signal to a server"),
            }
        }
        Ok(())
    }
}
