//! Runs background jobs.
//!
//! **Shape**: [`Registry`] says which handler does which kind. [`run()`] claims jobs (`ledger_core::store::job`) while there
//! are places free, gives each a task with its own stop token, and writes down how it ended.
//! **Correctness**: 1. Each priority has places of its own, so background work never holds up urgent work; within a priority
//! a tenant has a few, so one tenant's thousand jobs do not hold up another's one; and each kind has a limit. All three are
//! per worker: two workers do twice as much. 2. While a job runs its lease is extended every second; a worker that dies is
//! noticed when the lease runs out, and the job runs again. Handlers must bear that: what they do twice must be as if done
//! once. 3. A failed run is tried again after a pause that doubles, with jitter; after the last attempt the job is dead and
//! stays listed. 4. Told to stop, nothing new is claimed, every handler is told, and jobs it gave back run elsewhere, without
//! an attempt being counted.

mod output;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use ledger_core::domain::id::TenantId;
use ledger_core::store;
use ledger_core::store::job::{self, Run};
use serde_json::Value;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use output::Output;
pub use worker::{Options, run};
pub(crate) use worker::{doubled, jittered};

use crate::Error;

/// How a run may end other than well.
#[derive(Debug)]
pub enum Failure {
    /// It may go better later.
    Again(String),
    /// It would fail again: no further attempt.
    ForGood(String),
    /// There is more to do then; this is no failure.
    Later(Duration),
    /// It was told to stop, and did.
    Stopped,
}

impl Failure {
    /// With all the causes of an error in one line.
    pub fn again(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Again(causes(error))
    }
}

/// An error and its causes.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.is_transient() { Self::again(&error) } else { Self::ForGood(causes(&error)) }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::from(Error::Store(error))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::from(store::Error::from(error))
    }
}

/// What a run answers: a small JSON value shown with the job; of one that answers nothing, nothing is kept. A large result
/// goes through [`Task::output`].
pub type Outcome = Result<Option<Value>, Failure>;

/// Does one kind of job. Runs may be repeated: after a failure, and after the worker died in the middle of one.
pub trait Handler: Send + Sync + 'static {
    /// Runs one job to its end, or until [`Task::stop`] is cancelled.
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome>;
}

/// A kind of job.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word for it.
    pub name: &'static str,
    /// Jobs of it that one worker runs at once.
    pub at_once_max: usize,
    /// A job that answered something is kept this long, with its result.
    pub kept: Duration,
}

/// Which handler does what.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, (Kind, Arc<dyn Handler>)>);

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Registry {
    /// Nothing yet: a worker with it claims nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; the last one of a name counts.
    #[must_use]
    pub fn with(mut self, kind: Kind, handler: impl Handler) -> Self {
        self.0.insert(kind.name, (kind, Arc::new(handler)));
        self
    }

    fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.0.values().map(|(kind, _)| kind)
    }

    fn get(&self, name: &str) -> Option<(Kind, Arc<dyn Handler>)> {
        self.0.get(name).map(|(kind, handler)| (*kind, Arc::clone(handler)))
    }
}

/// One run of a job, as its handler sees it.
#[derive(Clone, Debug)]
pub struct Task {
    /// Whose.
    pub tenant: TenantId,
    /// Which job.
    pub id: Uuid,
    /// On whose behalf.
    pub actor: Option<String>,
    /// What was asked for.
    pub payload: Value,
    /// The run's number, from 1.
    pub attempt: i32,
    /// How far it is, told to whoever looks.
    pub progress: Progress,
    /// Cancelled when the run is to end: stop soon, and answer [`Failure::Stopped`].
    pub stop: CancellationToken,
    /// For what the handler does.
    pub pool: PgPool,
    run: Run,
}

impl Task {
    /// # Errors
    /// [`Failure::Stopped`] once the run is to end: for the loops of handlers.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.stop.is_cancelled() { Err(Failure::Stopped) } else { Ok(()) }
    }

    /// The job's whole input, at most `bytes_max`.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read, or is larger.
    pub async fn input(&self, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let mut input = Vec::new();
        for number in 0.. {
            let Some(bytes) = job::chunk(&self.pool, (self.tenant, self.id, 0), number).await? else { break };
            input.extend_from_slice(&bytes);
            if input.len() > bytes_max {
                return Err(Failure::ForGood(format!("the input is larger than {bytes_max} bytes")));
            }
        }
        Ok(input)
    }

    /// Begins the job's result.
    ///
    /// # Errors
    /// [`Failure`] when the database cannot be written.
    pub async fn output(&self, media_type: &'static str) -> Result<Output, Failure> {
        job::clear(&self.pool, self.run).await?;
        self.progress.note_result(media_type);
        Ok(Output::new(self.pool.clone(), self.run))
    }
}

/// What a run has to say while it goes on. Cheap to clone; what is set is written down about once a second.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    progress: job::Progress,
    is_new: bool,
    result_type: Option<&'static str>,
}

impl Progress {
    fn starting_at(done: i64) -> Self {
        let progress = job::Progress { done, ..job::Progress::default() };
        Self(Arc::new(Mutex::new(Said { progress, ..Said::default() })))
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Units of work done; in the first call of a run, where the one before it had got to.
    #[must_use]
    pub fn done(&self) -> i64 {
        self.said().progress.done
    }

    /// So much is done, of so much if that is known.
    pub fn set(&self, done: i64, of: Option<i64>) {
        let mut said = self.said();
        (said.progress.done, said.progress.of, said.is_new) = (done, of, true);
    }

    /// What it is at, in words.
    pub fn say(&self, note: impl Into<String>) {
        let mut said = self.said();
        (said.progress.note, said.is_new) = (Some(note.into()), true);
    }

    fn take_news(&self) -> Option<job::Progress> {
        let mut said = self.said();
        std::mem::take(&mut said.is_new).then(|| said.progress.clone())
    }

    fn note_result(&self, media_type: &'static str) {
        self.said().result_type = Some(media_type);
    }

    fn result_type(&self) -> Option<&'static str> {
        self.said().result_type
    }
}

impl Task {
    /// Writes the progress down now: a later run goes on from there.
    ///
    /// # Errors
    /// [`Failure::Stopped`] when the job is no longer this run's.
    pub async fn save_progress(&self) -> Result<(), Failure> {
        let Some(progress) = self.progress.take_news() else { return Ok(()) };
        if job::note(&self.pool, self.run, &progress).await? { Ok(()) } else { Err(Failure::Stopped) }
    }
}
