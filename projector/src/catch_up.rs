//! The view loop: which tenants are behind, and whose turn it is.
//!
//! **Shape**: [`Loop::run`] asks which tenants of this projector's shards are behind, gives each a task, and asks again
//! when one is done, when it is nudged, or after the poll interval. A task folds batches ([`TenantViews::step`]).
//! **Correctness**: 1. A tenant has at most one task here, so its log is folded in order. 2. Tenants with more than a batch
//! to go never have the last place, nor do the others while one of those waits; each gives up its place after a batch while
//! somebody waits, and whoever waited longest comes first. So a small tenant waits for no long one, and a long one is never
//! kept waiting for ever. 3. A tenant that cannot go on is left alone for a while and takes no place meanwhile; that it stands
//! still is in `projection_stop`. 4. Who has caught up rests a little: while commands come in a stream, batches are larger
//! for it, and the time is theirs who write. 5. No task is cancelled: when told to stop, the loop begins
//! nothing new and waits. 6. Rows of a newer program stop all of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ledger_core::domain::id::TenantId;
use sqlx::Row;
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::lease::{Held, Leases};
use crate::memory::Memory;
use crate::sink::redis::Sink;
use crate::stop::{self, Part};
use crate::tenant::{Batch, TenantViews};
use crate::{Error, Options, version};

/// A stopped tenant is tried again after this long.
const STOPPED_PAUSE: Duration = Duration::from_secs(10);
/// A tenant whose step failed for a reason that passes is tried again after this long.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// Batches of one tenant before the loop looks at it again.
const BATCHES_IN_A_ROW_MAX: usize = 16;
/// While more tenants than this wait, a page read ahead is not kept until its tenant's turn comes again.
const WAITING_WITH_PAGE_MAX: usize = 16;
/// After a batch that was not full its tenant rests for the time it took, divided by this, and no longer than [`REST_MAX`].
const REST_PART: u32 = 4;
/// See [`REST_PART`].
const REST_MAX: Duration = Duration::from_millis(25);
/// Stopped tenants that have a metric of their own.
const STOPPED_SHOWN_MAX: usize = 100;

/// What the loop is made of.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) options: Options,
    pub(crate) leases: Leases,
    pub(crate) sink: Option<Sink>,
    pub(crate) nudged: Arc<Notify>,
    pub(crate) stopped: watch::Sender<HashSet<TenantId>>,
    pub(crate) lag: watch::Sender<i64>,
}

/// A tenant whose task has ended, and how.
type Done = (TenantId, Result<(TenantViews, Result<Rest, Error>), tokio::task::JoinError>);
/// For how long it is left alone.
type Rest = Duration;

/// What the loop remembers from one look to the next.
#[derive(Debug, Default)]
struct State {
    memory: Memory,
    paused: HashMap<TenantId, Instant>,
    running: JoinSet<Done>,
    /// Of those with a task: what had more than a batch to go.
    long: HashSet<TenantId>,
    /// Tenants that are behind and have no place.
    waiting: Arc<AtomicUsize>,
    held: Held,
    /// This program is too old for the rows.
    refused_until: Option<Instant>,
}

impl State {
    /// Until the next look: no longer than this, nor than until somebody's rest ends.
    fn pause(&self, longest: Duration) -> Duration {
        let now = Instant::now();
        self.paused.values().map(|until| until.saturating_duration_since(now)).min().map_or(longest, |rest| rest.min(longest))
    }
}

impl Loop {
    /// Runs until stopped; finishes what is begun.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut state = State::default();
        self.look_at_versions().await;
        while !stop.is_cancelled() {
            let behind = behind(&self.options.pool).await.unwrap_or_else(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for news failed");
                Vec::new()
            });
            self.note_lag(&behind);
            self.note_leases(&mut state).await;
            self.begin(behind, &mut state);
            let pause = state.pause(self.options.poll_interval);
            tokio::select! {
                Some(Ok(done)) = state.running.join_next() => self.take_back(done, &mut state).await,
                () = tokio::time::sleep(pause) => {}
                () = self.nudged.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        while state.running.join_next().await.is_some() {}
    }

    /// Says so when the rows are of another version than those made here. Where there are none yet, they are of this one.
    async fn look_at_versions(&self) {
        let pool = &self.options.pool;
        let looked = async {
            version::claim_empty(pool).await?;
            version::compare(pool).await
        };
        match looked.await {
            Ok(found) if !found.older.is_empty() => {
                tracing::warn!(views = found.older.join(", "), "rows of an older version: `ledgerd rebuild all` makes them new");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "looking for the views' versions failed"),
        }
    }

    /// Gives each tenant that is behind a task, as long as there is room.
    fn begin(&self, behind: Vec<(TenantId, i64)>, state: &mut State) {
        let now = Instant::now();
        state.paused.retain(|_, until| *until > now);
        if state.refused_until.is_some_and(|until| until > now) {
            return;
        }
        let room = self.options.tenants_at_once;
        let ready = |t: &TenantId| state.held.has(*t) && !state.paused.contains_key(t) && !state.memory.is_lent(*t);
        let ready: Vec<(TenantId, bool)> =
            behind.into_iter().filter(|(t, _)| ready(t)).map(|(t, lag)| (t, lag > self.options.batch_events)).collect();
        let is_long_waiting = ready.iter().any(|(_, is_long)| *is_long);
        let mut waiting = 0_usize;
        for (tenant, is_long) in ready {
            let short = state.running.len().saturating_sub(state.long.len());
            // One place is kept for the other kind.
            let is_last = if is_long { state.long.len() + 1 >= room } else { is_long_waiting && short + 1 >= room };
            if state.running.len() >= room || (is_last && room > 1) {
                waiting = waiting.saturating_add(1);
            } else if let Some(views) = state.memory.lend(tenant) {
                if is_long {
                    state.long.insert(tenant);
                }
                let (options, sink, leases) = (self.options.clone(), self.sink.clone(), self.leases.clone());
                let task = tokio::spawn(catch_up(options, sink, leases, Arc::clone(&state.waiting), views));
                state.running.spawn(async move { (tenant, task.await) });
            }
        }
        state.waiting.store(waiting, Ordering::Relaxed);
    }

    /// Shards that came from another projector may have values in the cache that it did not live to replace.
    async fn note_leases(&self, state: &mut State) {
        let held = self.leases.now();
        if held.has_more_than(state.held)
            && let Some(sink) = &self.sink
        {
            sink.distrust().await;
        }
        state.held = held;
    }

    async fn take_back(&self, (tenant, done): Done, state: &mut State) {
        state.long.remove(&tenant);
        let done = match done {
            Ok((views, done)) => {
                state.memory.take_back(views);
                done
            }
            Err(panic) => {
                state.memory.give_up(tenant);
                Err(Error::Panic(panic))
            }
        };
        match done {
            Ok(rest) => {
                if !rest.is_zero() {
                    state.paused.insert(tenant, Instant::now() + rest);
                }
                self.note_going(tenant);
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "projecting failed, will be tried again");
                state.paused.insert(tenant, Instant::now() + FAILED_PAUSE);
            }
            Err(error @ Error::Newer(_)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "nothing is projected by this program");
                state.refused_until = Some(Instant::now() + STOPPED_PAUSE);
            }
            Err(error) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "the tenant's projection is stopped");
                state.paused.insert(tenant, Instant::now() + STOPPED_PAUSE);
                self.note_stop(tenant, &error).await;
            }
        }
        metrics::gauge!("ledger_projector_refused").set(u8::from(state.refused_until.is_some_and(|u| u > Instant::now())));
    }

    fn note_going(&self, tenant: TenantId) {
        if self.stopped.send_if_modified(|s| s.remove(&tenant)) {
            metrics::gauge!("ledger_projector_stopped", "tenant" => tenant.to_string()).set(0);
            self.count_stopped();
        }
    }

    async fn note_stop(&self, tenant: TenantId, error: &Error) {
        metrics::counter!("ledger_projector_stops_total").increment(1);
        self.stopped.send_if_modified(|s| s.insert(tenant));
        if self.stopped.borrow().len() <= STOPPED_SHOWN_MAX {
            metrics::gauge!("ledger_projector_stopped", "tenant" => tenant.to_string()).set(1);
        }
        self.count_stopped();
        stop::note(&self.options.pool, tenant, Part::Views, error).await;
    }

    fn count_stopped(&self) {
        let stopped = u32::try_from(self.stopped.borrow().len()).unwrap_or(u32::MAX);
        metrics::gauge!("ledger_projector_stopped_tenants").set(stopped);
    }

    fn note_lag(&self, behind: &[(TenantId, i64)]) {
        let lag = behind.iter().fold(0_i64, |sum, (_, lag)| sum.saturating_add(*lag));
        self.lag.send_replace(lag);
        metrics::gauge!("ledger_projector_lag_events").set(u32::try_from(lag).unwrap_or(u32::MAX));
    }
}

/// Tenants whose cursor is behind their head, and by how much; whoever waited longest first.
async fn behind(pool: &PgPool) -> Result<Vec<(TenantId, i64)>, Error> {
    let rows = sqlx::query(include_str!("catch_up/behind.sql")).fetch_all(pool).await?;
    rows.iter().map(|row| Ok((TenantId(row.try_get(0)?), row.try_get(1)?))).collect()
}

async fn catch_up(
    options: Options,
    sink: Option<Sink>,
    leases: Leases,
    waiting: Arc<AtomicUsize>,
    mut views: TenantViews,
) -> (TenantViews, Result<Rest, Error>) {
    let batch = Batch { events_max: options.batch_events, is_cached: sink.is_some() };
    for _ in 0..BATCHES_IN_A_ROW_MAX {
        let started = Instant::now();
        let step = match views.step(&options.pool, batch).await {
            Ok(step) => step,
            Err(error) => return (views, Err(error)),
        };
        if let Some(sink) = sink.as_ref().filter(|_| step.is_outrun) {
            sink.distrust().await;
        }
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
            return (views, Ok(started.elapsed().checked_div(REST_PART).unwrap_or_default().min(REST_MAX)));
        }
        let others = waiting.load(Ordering::Relaxed);
        if others > 0 || !leases.holds(views.tenant()) {
            if others > WAITING_WITH_PAGE_MAX {
                views.forget_ahead();
            }
            break;
        }
    }
    (views, Ok(Rest::ZERO))
}
