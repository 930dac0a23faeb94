//! The projector's loops.
//!
//! **Shape**: [`Service::run`] keeps five parts going: views (here and in [`crate::tenant`]), the cache, the feed, the
//! trail, and housekeeping. The view loop asks which tenants are behind, gives each a task, and asks again when one is done, when it
//! is nudged, or after the poll interval.
//! **Correctness**: 1. A tenant has at most one task, so its log is folded in order. 2. A tenant with a long way to go
//! holds one place; the others are looked at meanwhile. 3. No task is cancelled: when told to stop, the loop begins
//! nothing new and waits. The cache ends after the views, so that their last values reach it. 4. A part that panics is
//! begun again, loudly.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger_core::domain::id::TenantId;
use sqlx::Row;
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::memory::Memory;
use crate::sink::redis::Sink;
use crate::tenant::{Batch, TenantViews};
use crate::{Error, Options, feed, housekeeping, trail};

/// A stopped tenant is tried again after this long.
const STOPPED_PAUSE: Duration = Duration::from_secs(10);
/// A tenant whose step failed for a reason that passes is tried again after this long.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// Batches of one tenant before its place goes to whoever waits.
const BATCHES_IN_A_ROW_MAX: usize = 16;
/// Between the panic of a part and its next start.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// A projector, not running yet.
#[derive(Debug)]
pub struct Service {
    options: Options,
    nudged: Arc<Notify>,
    feed_nudged: Arc<Notify>,
    redis_ok: watch::Sender<bool>,
    broker_ok: watch::Sender<bool>,
    feed: watch::Sender<feed::State>,
    stopped: watch::Sender<HashSet<TenantId>>,
    lag: watch::Sender<i64>,
}

/// What others may ask of a projector. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    nudged: Arc<Notify>,
    feed_nudged: Arc<Notify>,
    redis_ok: Option<watch::Receiver<bool>>,
    broker_ok: Option<watch::Receiver<bool>>,
    feed: watch::Receiver<feed::State>,
    stopped: watch::Receiver<HashSet<TenantId>>,
    lag: watch::Receiver<i64>,
}

impl Handle {
    /// There is work: do not wait for the next look.
    pub fn nudge(&self) {
        self.nudged.notify_one();
        self.feed_nudged.notify_one();
    }

    /// Whether the broker answers; none when nothing is published.
    #[must_use]
    pub fn broker(&self) -> Option<watch::Receiver<bool>> {
        self.broker_ok.clone()
    }

    /// How the feed is; none when nothing is published.
    #[must_use]
    pub fn feed(&self) -> Option<watch::Receiver<feed::State>> {
        self.broker_ok.as_ref().map(|_| self.feed.clone())
    }

    /// Whether the cache can be written; none when nothing is cached.
    #[must_use]
    pub fn cache(&self) -> Option<watch::Receiver<bool>> {
        self.redis_ok.clone()
    }

    /// Tenants whose log cannot be folded.
    #[must_use]
    pub fn stopped(&self) -> HashSet<TenantId> {
        self.stopped.borrow().clone()
    }

    /// Events the views are behind the logs, over all tenants.
    #[must_use]
    pub fn lag(&self) -> watch::Receiver<i64> {
        self.lag.clone()
    }
}

impl Service {
    /// A projector and the handle to it.
    #[must_use]
    pub fn new(options: Options) -> (Self, Handle) {
        let (nudged, feed_nudged) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (feed, feed_seen) = watch::channel(feed::State::default());
        let (redis_ok, redis_seen) = watch::channel(false);
        let (broker_ok, broker_seen) = watch::channel(false);
        let (stopped, stopped_seen) = watch::channel(HashSet::new());
        let (lag, lag_seen) = watch::channel(0);
        let handle = Handle {
            nudged: Arc::clone(&nudged),
            feed_nudged: Arc::clone(&feed_nudged),
            feed: feed_seen,
            redis_ok: options.redis_url.as_ref().map(|_| redis_seen),
            broker_ok: options.nats_url.as_ref().map(|_| broker_seen),
            stopped: stopped_seen,
            lag: lag_seen,
        };
        (Self { options, nudged, feed_nudged, redis_ok, broker_ok, feed, stopped, lag }, handle)
    }

    /// Runs until stopped; finishes what is begun.
    ///
    /// # Errors
    /// None at present: faults are logged, counted and tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut parts = JoinSet::new();
        let views_done = CancellationToken::new();
        let sink = self.options.redis_url.clone().map(|url| {
            let (sink, ok, done) = (Sink::new(), self.redis_ok.clone(), views_done.clone());
            let part = sink.clone();
            parts.spawn(keep("cache", stop.clone(), move || part.clone().run(url.clone(), ok.clone(), done.clone())));
            sink
        });
        let options = &self.options;
        if let Some(url) = options.nats_url.clone() {
            let part = feed::Part {
                options: options.clone(),
                url,
                ok: self.broker_ok.clone(),
                state: self.feed.clone(),
                nudged: Arc::clone(&self.feed_nudged),
                stop: stop.clone(),
            };
            parts.spawn(keep("feed", stop.clone(), move || feed::run(part.clone())));
        }
        let (following, part) = (options.clone(), stop.clone());
        parts.spawn(keep("trail", stop.clone(), move || trail::run(following.clone(), part.clone())));
        let (options, part) = (options.clone(), stop.clone());
        parts.spawn(keep("housekeeping", stop.clone(), move || housekeeping::run(options.clone(), part.clone())));
        self.views(sink, &stop).await;
        views_done.cancel();
        while parts.join_next().await.is_some() {}
        Ok(())
    }

    async fn views(&self, sink: Option<Sink>, stop: &CancellationToken) {
        let mut memory = Memory::default();
        let mut paused: HashMap<TenantId, Instant> = HashMap::new();
        let mut running: JoinSet<Done> = JoinSet::new();
        while !stop.is_cancelled() {
            let behind = behind(&self.options.pool).await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for news failed");
                Vec::new()
            });
            self.note_lag(&behind);
            paused.retain(|_, until| *until > Instant::now());
            for (tenant, _) in behind {
                if running.len() >= self.options.tenants_at_once {
                    break;
                }
                if !paused.contains_key(&tenant)
                    && let Some(views) = memory.lend(tenant)
                {
                    let task = tokio::spawn(catch_up(self.options.clone(), sink.clone(), views));
                    running.spawn(async move { (tenant, task.await) });
                }
            }
            tokio::select! {
                Some(Ok(done)) = running.join_next() => self.take_back(done, &mut memory, &mut paused),
                () = tokio::time::sleep(self.options.poll_interval) => {}
                () = self.nudged.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn take_back(&self, (tenant, done): Done, memory: &mut Memory, paused: &mut HashMap<TenantId, Instant>) {
        let done = match done {
            Ok((views, done)) => {
                memory.take_back(views);
                done
            }
            Err(panic) => {
                memory.give_up(tenant);
                Err(Error::Panic(panic))
            }
        };
        match done {
            Ok(()) => {
                self.stopped.send_if_modified(|s| s.remove(&tenant));
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "projecting failed, will be tried again");
                paused.insert(tenant, Instant::now() + FAILED_PAUSE);
            }
            Err(error) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "the tenant's projection is stopped");
                metrics::counter!("ledger_projector_stops_total").increment(1);
                paused.insert(tenant, Instant::now() + STOPPED_PAUSE);
                self.stopped.send_if_modified(|s| s.insert(tenant));
            }
        }
        let stopped = u32::try_from(self.stopped.borrow().len()).unwrap_or(u32::MAX);
        metrics::gauge!("ledger_projector_stopped_tenants").set(stopped);
    }

    fn note_lag(&self, behind: &[(TenantId, i64)]) {
        let lag = behind.iter().fold(0_i64, |sum, (_, lag)| sum.saturating_add(*lag));
        self.lag.send_replace(lag);
        metrics::gauge!("ledger_projector_lag_events").set(u32::try_from(lag).unwrap_or(u32::MAX));
    }
}

/// A tenant whose task has ended, and how.
type Done = (TenantId, Result<(TenantViews, Result<(), Error>), tokio::task::JoinError>);

/// Begins a part again should it panic.
async fn keep<F>(name: &'static str, stop: CancellationToken, part: impl Fn() -> F + Send)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(part()).await {
        tracing::error!(%error, part = name, "a part of the projector panicked");
        metrics::counter!("ledger_projector_panics_total").increment(1);
        tokio::select! { () = tokio::time::sleep(PANIC_PAUSE) => {} () = stop.cancelled() => return }
    }
}

/// Tenants whose cursor is behind their head, and by how much; whoever waited longest first.
async fn behind(pool: &PgPool) -> Result<Vec<(TenantId, i64)>, Error> {
    let rows = sqlx::query(include_str!("service/behind.sql")).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((TenantId(row.try_get(0)?), row.try_get(1)?))).collect()
}

async fn catch_up(options: Options, sink: Option<Sink>, mut views: TenantViews) -> (TenantViews, Result<(), Error>) {
    let batch = Batch { events_max: options.batch_events, is_cached: sink.is_some() };
    for _ in 0..BATCHES_IN_A_ROW_MAX {
        let started = Instant::now();
        let step = match views.step(&options.pool, batch).await {
            Ok(step) => step,
            Err(error) => return (views, Err(error)),
        };
        if step.events == 0 {
            break;
        }
        metrics::counter!("ledger_projected_events_total").increment(u64::try_from(step.events).unwrap_or(0));
        metrics::histogram!("ledger_projector_batch_events").record(u32::try_from(step.events).unwrap_or(u32::MAX));
        metrics::histogram!("ledger_projector_batch_seconds").record(started.elapsed());
        if let Some(sink) = &sink {
            sink.leave(step.entries).await;
        }
        if i64::try_from(step.events).is_ok_and(|n| n < batch.events_max) {
            break;
        }
    }
    (views, Ok(()))
}
