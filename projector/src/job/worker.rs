//! The worker: claims, runs, gives signs of life, writes down how it ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger_core::domain::id::TenantId;
use ledger_core::store::job::{self, Claimed, Ended, Finished, Priority, Run, Status};
use serde_json::Value;
use sqlx::postgres::PgPool;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Failure, Kind, Outcome, Progress, Registry, Task};

/// Jobs of each priority that one worker runs at once: the urgent ones mostly wait for others' servers.
const PLACES: [(Priority, usize); 3] = [(Priority::Urgent, 16), (Priority::Normal, 4), (Priority::Background, 2)];
/// Of these, the most that one tenant may have.
const TENANT_PLACES: [(Priority, usize); 3] = [(Priority::Urgent, 8), (Priority::Normal, 2), (Priority::Background, 1)];
/// A worker that gives no sign of life for this long is taken for dead.
const LEASE: Duration = Duration::from_secs(15);
/// Between two signs of life; progress and the wish to cancel travel with them.
const BEAT: Duration = Duration::from_secs(1);
/// Between two looks for jobs when nobody says that there are any.
const POLL: Duration = Duration::from_millis(200);
/// Between two looks for the jobs of dead workers, and two counts of all jobs.
const LOOK_AROUND: Duration = Duration::from_secs(3);
/// Pause after the first failed attempt; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Told to stop, handlers get this long; what is not back by then runs again elsewhere.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// How a run ended is written down as often as this, a second apart, while the database is away.
const FINISH_ATTEMPTS_MAX: usize = 10;

/// What a worker is built with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the jobs are.
    pub pool: PgPool,
    /// What it can do.
    pub registry: Registry,
    /// Wakes it when there is a job.
    pub nudged: Arc<Notify>,
}

/// What a run's end and its signs of life need to know of it.
#[derive(Clone, Debug)]
struct Running {
    run: Run,
    kind: Kind,
    priority: Priority,
    stop: CancellationToken,
    progress: Progress,
}

/// What one worker runs.
#[derive(Clone, Debug, Default)]
struct Hands(Arc<Mutex<HashMap<(TenantId, Uuid), Running>>>);

impl Hands {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(TenantId, Uuid), Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Running> {
        self.lock().values().cloned().collect()
    }

    /// Kinds that have a place free.
    fn kinds<'a>(&self, registry: &'a Registry) -> Vec<&'a str> {
        let running = self.lock();
        let of = |name| running.values().filter(|r| r.kind.name == name).count();
        registry.kinds().filter(|kind| of(kind.name) < kind.at_once_max).map(|kind| kind.name).collect()
    }

    /// Whether a priority has a place free.
    fn has_place(&self, priority: Priority) -> bool {
        let taken = self.lock().values().filter(|r| r.priority == priority).count();
        PLACES.iter().any(|(p, places)| *p == priority && taken < *places)
    }

    /// Tenants that have all their places of a priority.
    fn full(&self, priority: Priority) -> Vec<i64> {
        let places = TENANT_PLACES.iter().find(|(p, _)| *p == priority).map_or(0, |(_, places)| *places);
        let mut taken: HashMap<i64, usize> = HashMap::new();
        for running in self.lock().values().filter(|r| r.priority == priority) {
            let count = taken.entry(running.run.tenant.0).or_default();
            *count = count.saturating_add(1);
        }
        taken.into_iter().filter(|(_, count)| *count >= places).map(|(tenant, _)| tenant).collect()
    }
}

/// Runs jobs until stopped.
pub async fn run(options: Options, stop: CancellationToken) {
    let worker = Uuid::now_v7();
    let hands = Hands::default();
    let ended = CancellationToken::new();
    let beating = tokio::spawn(beat(options.pool.clone(), worker, hands.clone(), ended.clone()));
    let mut tasks = JoinSet::new();
    while !stop.is_cancelled() {
        if let Err(error) = claim(&options, worker, &hands, &mut tasks).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "looking for jobs failed");
        }
        tokio::select! {
            Some(_) = tasks.join_next() => {}
            () = options.nudged.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            () = stop.cancelled() => {}
        }
    }
    for running in hands.all() {
        running.stop.cancel();
    }
    let finishing = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIME_MAX, finishing).await.is_err() {
        tracing::warn!(jobs = hands.all().len(), "jobs did not stop in time; they will run again");
        // They are left to themselves: a database call that is cut short spoils its connection.
        tasks.detach_all();
    }
    ended.cancel();
    if let Err(error) = beating.await {
        tracing::error!(error = &error as &dyn std::error::Error, "the worker's signs of life ended before their time");
    }
}

/// Fills the free places.
async fn claim(options: &Options, worker: Uuid, hands: &Hands, tasks: &mut JoinSet<()>) -> Result<(), ledger_core::store::Error> {
    let lease = micros(LEASE);
    for priority in Priority::ALL {
        while hands.has_place(priority) {
            let kinds = hands.kinds(&options.registry);
            if kinds.is_empty() {
                return Ok(());
            }
            let full = hands.full(priority);
            let Some(claimed) = job::claim(&options.pool, worker, priority, &kinds, &full, lease).await? else { break };
            begin(options, worker, hands, tasks, claimed);
        }
    }
    Ok(())
}

fn begin(options: &Options, worker: Uuid, hands: &Hands, tasks: &mut JoinSet<()>, claimed: Claimed) {
    // Only registered kinds are asked for.
    let Some((kind, handler)) = options.registry.get(&claimed.kind) else { return };
    let run = Run { tenant: claimed.tenant, id: claimed.id, attempt: claimed.attempt, worker };
    let running = Running {
        run,
        kind,
        priority: claimed.priority,
        stop: CancellationToken::new(),
        progress: Progress::starting_at(claimed.progress),
    };
    hands.lock().insert((run.tenant, run.id), running.clone());
    let (hands, pool) = (hands.clone(), options.pool.clone());
    tasks.spawn(async move {
        let started = Instant::now();
        let outcome = match serde_json::from_str::<Value>(&claimed.payload) {
            Err(error) => Err(Failure::ForGood(format!("the payload cannot be read: {error}"))),
            Ok(payload) => {
                let task = Task {
                    tenant: run.tenant,
                    id: run.id,
                    actor: claimed.actor,
                    payload,
                    attempt: run.attempt,
                    progress: running.progress.clone(),
                    stop: running.stop.clone(),
                    pool: pool.clone(),
                    run,
                };
                // In a task of its own, so that a panic ends this run and no more.
                match tokio::spawn(async move { handler.run(&task).await }).await {
                    Ok(outcome) => outcome,
                    Err(error) => Err(Failure::Again(format!("the handler broke: {error}"))),
                }
            }
        };
        metrics::histogram!("ledger_job_seconds", "kind" => kind.name).record(started.elapsed());
        // First out of hand: once its end is written down this worker may claim it anew, under the same name.
        hands.lock().remove(&(run.tenant, run.id));
        end(&pool, &running, outcome).await;
    });
}

/// Writes down how a run ended. While the database is away it is tried for some seconds; then the job runs again.
async fn end(pool: &PgPool, running: &Running, outcome: Outcome) {
    let run = running.run;
    for _ in 0..FINISH_ATTEMPTS_MAX {
        match try_end(pool, running, &outcome).await {
            Ok(status) => {
                let word = status.map_or("lost", Status::as_str);
                metrics::counter!("ledger_job_runs_total", "kind" => running.kind.name, "became" => word).increment(1);
                if status == Some(Status::Dead) {
                    tracing::error!(tenant = %run.tenant, job = %run.id, kind = running.kind.name, ?outcome, "a job is dead");
                }
                return;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, job = %run.id, "how a job ended is not written down yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Where the job stands now; `None` when it is no longer this run's.
async fn try_end(pool: &PgPool, running: &Running, outcome: &Outcome) -> Result<Option<Status>, ledger_core::store::Error> {
    let run = running.run;
    if let Some(progress) = running.progress.take_news() {
        job::note(pool, run, &progress).await?;
    }
    let ended = match outcome {
        Ok(outcome) => {
            let result = outcome.as_ref().map(Value::to_string);
            let finished = Finished {
                result: result.as_deref(),
                result_type: running.progress.result_type(),
                kept_micros: if outcome.is_some() { micros(running.kind.kept).max(1) } else { 0 },
            };
            return Ok(job::finish(pool, run, &finished).await?.then_some(Status::Done));
        }
        Err(Failure::Again(why)) => Ended::Failed(why, micros(pause(run.attempt))),
        Err(Failure::ForGood(why)) => Ended::FailedForGood(why),
        Err(Failure::Later(pause)) => Ended::Postponed(micros(*pause)),
        // Whether it was cancelled, or its worker ends, the database knows.
        Err(Failure::Stopped) => Ended::Postponed(0),
    };
    job::fail(pool, run, &ended).await
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The pause after a failed attempt: doubles from [`PAUSE`] to [`PAUSE_MAX`], and a fifth more or less, so that what failed
/// together is not tried again together.
fn pause(attempt: i32) -> Duration {
    jittered(doubled(PAUSE, attempt, PAUSE_MAX))
}

/// A pause that doubles with each attempt after the first.
pub(crate) fn doubled(first: Duration, attempt: i32, max: Duration) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(31);
    first.saturating_mul(2_u32.saturating_pow(doublings)).min(max)
}

/// A fifth more or less.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let percent = Uuid::new_v4().as_u128().checked_rem(41).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    pause.saturating_mul(percent.saturating_add(80)) / 100
}

/// Gives signs of life, carries progress out and the wish to cancel in; now and then takes back what dead workers left.
async fn beat(pool: PgPool, worker: Uuid, hands: Hands, ended: CancellationToken) {
    let mut looked_at: Option<Instant> = None;
    while !ended.is_cancelled() {
        if let Err(error) = sign(&pool, worker, &hands).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a worker's sign of life failed");
        }
        if looked_at.is_none_or(|at| at.elapsed() >= LOOK_AROUND) {
            if let Err(error) = look_around(&pool).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for lost jobs failed");
            }
            looked_at = Some(Instant::now());
        }
        tokio::select! { () = tokio::time::sleep(BEAT) => {} () = ended.cancelled() => {} }
    }
}

async fn sign(pool: &PgPool, worker: Uuid, hands: &Hands) -> Result<(), ledger_core::store::Error> {
    let running = hands.all();
    if running.is_empty() {
        return Ok(());
    }
    let runs: Vec<Run> = running.iter().map(|r| r.run).collect();
    let ours = job::beat(pool, worker, &runs, micros(LEASE)).await?;
    for r in running {
        match ours.iter().find(|(tenant, id, _)| (*tenant, *id) == (r.run.tenant, r.run.id)) {
            Some((_, _, is_cancelled)) => {
                if *is_cancelled {
                    r.stop.cancel();
                }
                if let Some(progress) = r.progress.take_news() {
                    job::note(pool, r.run, &progress).await?;
                }
            }
            // Somebody took this worker for dead, or the run has just ended.
            None => r.stop.cancel(),
        }
    }
    Ok(())
}

async fn look_around(pool: &PgPool) -> Result<(), ledger_core::store::Error> {
    for (tenant, id, kind, status) in job::lost(pool).await? {
        tracing::warn!(%tenant, job = %id, kind, now = status.as_str(), "a job's worker gave no sign of life");
        metrics::counter!("ledger_jobs_lost_total", "kind" => kind).increment(1);
    }
    let counts = job::counts(pool).await?;
    for status in [Status::Queued, Status::Running, Status::Dead] {
        for kind in job::KINDS {
            let count = counts.iter().find(|(k, s, _)| k == kind && *s == status).map_or(0, |(_, _, count)| *count);
            metrics::gauge!("ledger_jobs", "kind" => kind, "status" => status.as_str())
                .set(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds: Vec<u64> = (1..=12).map(|n| doubled(PAUSE, n, PAUSE_MAX).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]);
        assert_eq!(doubled(PAUSE, i32::MAX, PAUSE_MAX), PAUSE_MAX);
        assert_eq!(doubled(PAUSE, 0, PAUSE_MAX), PAUSE);
    }

    #[test]
    fn pauses_differ_by_a_fifth_at_most() {
        let pause = Duration::from_secs(100);
        let drawn: Vec<u64> = (0..200).map(|_| jittered(pause).as_secs()).collect();
        assert!(drawn.iter().all(|s| (80..=120).contains(s)), "{drawn:?}");
        assert!(drawn.iter().any(|s| *s != drawn[0]));
    }
}
