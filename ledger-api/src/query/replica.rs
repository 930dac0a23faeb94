//! Read replicas: which one may answer, and what happens when it does not.
//!
//! **Shape**: one task per replica measures it ([`watch()`]) → [`Replicas::choose`] gives a read one that is new enough, by
//! position where the caller names one and by age where not → [`with_fallback`] asks the primary when that did not answer.
//! **Correctness**: 1. A replica's age is measured against the primary's own log: it has replayed everything that was durable
//! at an instant not longer ago than [`REPLICA_AGE_MAX`]. Its clock takes no part. 2. A position counts as reached only when
//! the replica itself has shown it; the answer's own position is compared again before it is sent. 3. A server that is no
//! standby of the primary (another cluster, a promoted one, the primary itself) answers nothing. 4. Only a read that can be
//! asked again goes to a replica: whatever goes wrong there, the caller gets the primary's answer.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store;
use sqlx::postgres::PgPool;
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::{Notify, watch};

use crate::limit::{
    REPLICA_AGE_MAX, REPLICA_ASK_TIME_MAX, REPLICA_PROBE_INTERVAL, REPLICA_PROBE_TIME_MAX, REPLICA_TENANTS_REMEMBERED_MAX,
};
use crate::problem::Problem;
use crate::state::Api;

/// How a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Answers reads.
    Fresh,
    /// Too old; answers only reads that name a position it has.
    Stale,
    /// Is not there, or is no standby of the primary.
    Down,
}

/// A replica as health answers tell of it.
#[derive(Clone, Copy, Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct ReplicaHealth {
    pub(crate) state: Standing,
    /// Milliseconds of the primary's log it may lack; absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    age_milliseconds: Option<u64>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Replica {
    number: usize,
    /// Another one after the server was away: calls that hang in the old one keep its connections.
    pool: Mutex<PgPool>,
    health: watch::Sender<ReplicaHealth>,
    /// Positions of views that were seen here.
    seen: Mutex<HashMap<TenantId, Position>>,
}

impl Replica {
    fn new(number: usize, pool: PgPool) -> Self {
        let health = watch::Sender::new(ReplicaHealth { state: Standing::Down, age_milliseconds: None });
        Self { number, pool: Mutex::new(pool), health, seen: Mutex::new(HashMap::new()) }
    }

    /// Where it is read.
    fn pool(&self) -> PgPool {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn standing(&self) -> Standing {
        self.health.borrow().state
    }

    fn seen(&self, tenant: TenantId) -> Position {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant).copied().unwrap_or(0)
    }

    /// Asks it where the views of a tenant are.
    async fn ask(&self, api: &Api, tenant: TenantId) -> Option<Position> {
        let pool = self.pool();
        let asked = api.detached(async move {
            let query = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1");
            Ok(query.bind(tenant.0).fetch_one(&pool).await?)
        });
        let position: Position = tokio::time::timeout(REPLICA_ASK_TIME_MAX, asked).await.ok()?.ok()?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REPLICA_TENANTS_REMEMBERED_MAX {
            seen.clear();
        }
        seen.insert(tenant, position);
        Some(position)
    }

    fn set(&self, age: Option<Duration>) {
        let state = match age {
            None => Standing::Down,
            Some(age) if age <= REPLICA_AGE_MAX => Standing::Fresh,
            Some(_) => Standing::Stale,
        };
        let age_milliseconds = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let was = self.health.send_replace(ReplicaHealth { state, age_milliseconds });
        if was.state == state {
            return;
        }
        if state == Standing::Down {
            self.forget();
            tracing::warn!(replica = self.number, "a read replica is away, the primary answers");
        } else {
            tracing::info!(replica = self.number, ?state, "a read replica is looked at again");
        }
        let is_fresh = u8::from(state == Standing::Fresh);
        metrics::gauge!("ledger_replica_fresh", "replica" => self.number.to_string()).set(is_fresh);
    }

    /// Begins anew: what comes back may be another server.
    fn forget(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = pool.options().clone().connect_lazy_with(pool.connect_options().as_ref().clone());
        *pool = fresh;
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    list: Vec<Arc<Replica>>,
    next: AtomicUsize,
}

impl Replicas {
    pub(crate) fn new(pools: Vec<PgPool>) -> Self {
        let list = pools.into_iter().enumerate().map(|(number, pool)| Arc::new(Replica::new(number, pool))).collect();
        Self { list, next: AtomicUsize::new(0) }
    }

    /// How they are, in the order they were named.
    pub(crate) fn health(&self) -> Vec<ReplicaHealth> {
        self.list.iter().map(|replica| *replica.health.borrow()).collect()
    }

    /// Those that are there, each in turn the first.
    fn there(&self) -> Vec<Arc<Replica>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.list.len()).unwrap_or(0);
        let in_turn = self.list.iter().cycle().skip(first).take(self.list.len());
        in_turn.filter(|replica| replica.standing() != Standing::Down).cloned().collect()
    }

    /// One whose views of a tenant include a position, if it is known or the next one says so; without a position, any
    /// that is fresh.
    async fn choose(&self, api: &Api, tenant: TenantId, position_min: Option<Position>) -> Option<Arc<Replica>> {
        let there = self.there();
        let Some(min) = position_min else {
            return there.into_iter().find(|replica| replica.standing() == Standing::Fresh);
        };
        let next = there.first().cloned()?;
        if let Some(known) = there.into_iter().find(|replica| replica.seen(tenant) >= min) {
            return Some(known);
        }
        (next.ask(api, tenant).await? >= min).then_some(next)
    }
}

/// One attempt of a read that can be asked again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt(Arc<Chosen>);

#[derive(Debug, Default)]
struct Chosen {
    /// Decided once: what one answer is made of comes from one place.
    replica: OnceLock<Option<Arc<Replica>>>,
    made: Notify,
}

impl Attempt {
    /// The pool this attempt reads from: that of a replica that is new enough, if there is one.
    pub(crate) async fn pool(&self, api: &Api, tenant: TenantId, position_min: Option<Position>) -> Option<PgPool> {
        if self.0.replica.get().is_none() {
            let replica = api.replicas.choose(api, tenant, position_min).await;
            if self.0.replica.set(replica).is_ok() {
                self.0.made.notify_one();
            }
        }
        self.replica().map(|replica| replica.pool())
    }

    fn replica(&self) -> Option<&Arc<Replica>> {
        self.0.replica.get().and_then(Option::as_ref)
    }

    /// Resolves when the replica this reads from goes away.
    async fn lost(&self) {
        self.0.made.notified().await;
        if let Some(replica) = self.replica()
            && replica.health.subscribe().wait_for(|health| health.state == Standing::Down).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Whether a replica was read and what came of it is nothing to tell the caller.
    fn has_failed(&self, response: &Response) -> bool {
        let is_failure = |problem: &Problem| matches!(problem.code(), "unavailable" | "behind" | "internal");
        self.replica().is_some() && response.extensions().get::<Problem>().is_some_and(is_failure)
    }
}

/// Around every read: lets it use a replica, and asks the primary when that fails.
pub(crate) async fn with_fallback(State(api): State<Api>, request: Request, next: Next) -> Response {
    if api.replicas.list.is_empty() || request.method() != Method::GET {
        return next.run(request).await;
    }
    let (parts, _empty) = request.into_parts();
    let attempt = Attempt::default();
    let mut first = Request::from_parts(parts.clone(), Body::empty());
    first.extensions_mut().insert(attempt.clone());
    // Every database call is in a task of its own, so the attempt may be dropped.
    let answered = tokio::select! {
        response = next.clone().run(first) => Some(response),
        () = attempt.lost() => None,
    };
    match answered.filter(|response| !attempt.has_failed(response)) {
        Some(response) => response,
        None => {
            metrics::counter!("ledger_replica_fallbacks_total").increment(1);
            next.run(Request::from_parts(parts, Body::empty())).await
        }
    }
}

/// How far the primary's log was durable, and when that was asked.
type Marks = Arc<Mutex<VecDeque<(Instant, i64)>>>;

/// Measures the replicas for as long as the service runs.
pub(crate) async fn watch(api: Api) {
    if api.replicas.list.is_empty() {
        return;
    }
    let marks = Marks::default();
    let mut tasks = tokio::task::JoinSet::new();
    for replica in &api.replicas.list {
        tasks.spawn(watch_one(api.clone(), Arc::clone(replica), Arc::clone(&marks)));
    }
    let mut primary = None;
    while !api.stopping.is_cancelled() {
        let asked = Instant::now();
        // A connection of its own: one that does not answer is dropped, never given back.
        let (connection, found) = probe(primary.take(), &api.pool, asked_primary).await;
        primary = connection;
        if let Some((durable, _)) = found {
            let mut marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.push_back((asked, durable));
            while marks.len() > MARKS_MAX {
                marks.pop_front();
            }
        }
        tokio::select! { () = tokio::time::sleep(REPLICA_PROBE_INTERVAL) => {} () = api.stopping.cancelled() => {} }
    }
    while tasks.join_next().await.is_some() {}
}

/// Measurements of the primary that are kept: beyond them a replica is stale whatever its age.
const MARKS_MAX: usize = 256;

async fn watch_one(api: Api, replica: Arc<Replica>, marks: Marks) {
    let mut connection = None;
    let mut cluster: Option<i64> = None;
    while !api.stopping.is_cancelled() {
        if cluster.is_none() {
            cluster = probe(None, &api.pool, asked_primary).await.1.map(|(_, cluster)| cluster);
        }
        let (kept, found) = probe(connection.take(), &replica.pool(), asked_replica).await;
        connection = kept;
        let age = found.filter(|(_, theirs)| cluster == Some(*theirs)).map(|(replayed, _)| age(&marks, replayed));
        replica.set(age);
        tokio::select! { () = tokio::time::sleep(REPLICA_PROBE_INTERVAL) => {} () = api.stopping.cancelled() => {} }
    }
}

/// How long ago the primary had nothing more than this.
fn age(marks: &Marks, replayed: i64) -> Duration {
    let marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
    let newest = marks.iter().rev().find(|(_, durable)| *durable <= replayed);
    newest.map_or(Duration::MAX, |(asked, _)| asked.elapsed())
}

/// Asks over a connection of its own, made when there is none; gives it back only if it answered.
async fn probe<'a, F, A>(connection: Option<PgConnection>, pool: &PgPool, ask: F) -> (Option<PgConnection>, Option<(i64, i64)>)
where
    F: FnOnce(PgConnection) -> A,
    A: Future<Output = Result<(PgConnection, Option<(i64, i64)>), sqlx::Error>> + 'a,
{
    let asking = async {
        let connection = match connection {
            Some(connection) => connection,
            None => PgConnection::connect_with(&pool.connect_options()).await?,
        };
        ask(connection).await
    };
    match tokio::time::timeout(REPLICA_PROBE_TIME_MAX, asking).await {
        Ok(Ok((connection, found))) => (Some(connection), found),
        Ok(Err(_)) | Err(_) => (None, None),
    }
}

/// How far the log is durable, and which database of which cluster it is.
async fn asked_primary(mut db: PgConnection) -> Result<(PgConnection, Option<(i64, i64)>), sqlx::Error> {
    let row = sqlx::query(
        "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint, system_identifier # hashtextextended(current_database(), 0) \
         FROM pg_control_system() \
         WHERE NOT pg_is_in_recovery()",
    )
    .fetch_optional(&mut db)
    .await?;
    let found = row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?;
    Ok((db, found))
}

/// How far a standby has replayed, and of which database; nothing of what is none.
async fn asked_replica(mut db: PgConnection) -> Result<(PgConnection, Option<(i64, i64)>), sqlx::Error> {
    let row = sqlx::query(
        "SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint, system_identifier # hashtextextended(current_database(), 0) \
         FROM pg_control_system() \
         WHERE pg_is_in_recovery() AND pg_last_wal_replay_lsn() IS NOT NULL",
    )
    .fetch_optional(&mut db)
    .await?;
    let found = row.map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?;
    Ok((db, found))
}

/// A page of the log, or the primary's when the replica's log may end before it.
pub(crate) async fn of_log<T, F, R>(
    api: &Api,
    replica: Option<PgPool>,
    is_whole: impl Fn(&T) -> bool,
    read: R,
) -> Result<T, Problem>
where
    T: Send + 'static,
    R: Fn(PgPool) -> F,
    F: Future<Output = Result<T, store::Error>> + Send + 'static,
{
    if let Some(pool) = replica {
        let found = api.detached(read(pool)).await?;
        if is_whole(&found) {
            count("replica");
            return Ok(found);
        }
    }
    count("primary");
    api.detached(read(api.pool.clone())).await
}

/// Counts a read of the database.
pub(crate) fn count(pool: &'static str) {
    metrics::counter!("ledger_reads_total", "pool" => pool).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_as_old_as_the_last_mark_it_has_passed() {
        let now = Instant::now();
        let marks = Marks::default();
        assert_eq!(age(&marks, 100), Duration::MAX);
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        marks.lock().unwrap().extend([(ago(30), 100), (ago(20), 200), (ago(10), 300)]);
        let seconds = |replayed| age(&marks, replayed).as_secs();
        assert_eq!([100, 199, 200, 300, 9_999].map(seconds), [30, 30, 20, 10, 10]);
        assert_eq!(age(&marks, 99), Duration::MAX);
    }
}
