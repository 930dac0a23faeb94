//! Whether to send requests here.
//!
//! **Correctness**: liveness depends on nothing, so an outage elsewhere never has the process restarted. Readiness
//! asks each part with a time limit and is remembered for a moment, so probes cannot load what they probe. Without
//! cache or broker every answer is still right: that is degraded, not down.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ledger_core::store::{self, job, webhook};
use ledger_core::view::version;
use serde::Serialize;
use sqlx::{PgPool, Row};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::limit::{HEALTH_REUSE, HEALTH_TIME_MAX, PROJECTOR_LAG_MAX};
use crate::query::replica::{ReplicaHealth, Standing};
use crate::state::Api;

/// State of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// Works.
    Up,
    /// Does not.
    Down,
    /// Is not used here.
    Absent,
}

/// State of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whole {
    /// Everything works.
    Ready,
    /// Requests are answered, slower or with older views.
    Degraded,
    /// Requests cannot be answered.
    Unavailable,
}

/// How far the views are behind the logs.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Lag {
    /// Events recorded and not yet in the views, over all tenants.
    events: i64,
    /// Tenants with such events.
    tenants: i64,
    /// Seconds since the views of the tenant that lags longest were last brought forward; 0 when none lags.
    seconds: i64,
    /// Tenants whose log cannot be folded or published beyond a position; `ledgerd doctor` names them.
    stopped: i64,
    /// Views whose rows are of another version than this program's: `ledgerd rebuild` is due, or a newer program.
    views_outdated: i64,
}

/// What the audit that never ends has looked at, a run of 256 events of some tenant at a time.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Audit {
    /// Runs looked at, over all tenants.
    checked: i64,
    /// What does not hold and was not cleared by a whole verification since.
    findings: i64,
}

/// How the event feed over NATS is, where it is published by this process.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct FeedHealth {
    /// Whether the broker syncs each message before it acknowledges it: `synced`, `unsynced`, or `unknown` where it does
    /// not say. Nothing of the log depends on it.
    pub durability: &'static str,
    /// Events recorded and not yet published, over all tenants.
    pub events: i64,
    /// Age of the oldest unpublished event of the tenant furthest behind.
    pub seconds: i64,
    /// Tenants whose feed cannot go on.
    pub stopped: usize,
}

/// Asks how the feed is.
pub type FeedState = Arc<dyn Fn() -> FeedHealth + Send + Sync>;

/// What is done beside the requests, over all tenants. None of it makes the service less ready; what is dead waits for somebody
/// to look.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Beside {
    /// Jobs that wait for their time or a place.
    queued: i64,
    /// Jobs that failed for good.
    dead: i64,
    /// Deliveries to webhooks that were given up.
    deliveries_dead: i64,
    /// Webhooks that were switched off because they took nothing.
    webhooks_off: i64,
}

/// Readiness, part by part.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    status: Whole,
    database: Part,
    /// Read replicas, in the order they were named; the primary answers for those that are not fresh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replicas: Vec<ReplicaHealth>,
    /// The cache of ready answers.
    cache: Part,
    /// The event feed's broker.
    broker: Part,
    /// The event feed; absent where it is not published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    feed: Option<FeedHealth>,
    /// The pipeline that records commands.
    writer: Part,
    projector: Lag,
    audit: Audit,
    jobs: Beside,
}

/// Liveness.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Liveness {
    /// `live`.
    status: &'static str,
}

/// The last readiness, for a moment. Its lock also lets one probe work while the others wait for its answer.
#[derive(Debug, Default)]
pub(crate) struct HealthCache(Mutex<Option<(Instant, Readiness)>>);

/// Tells that the process runs
///
/// Depends on nothing.
#[utoipa::path(get, path = "/health/live", tag = "Operations", operation_id = "get_liveness",
    responses((status = 200, description = "It runs", body = Liveness), crate::openapi::ProbeProblems), security(()))]
pub(crate) async fn live() -> Json<Liveness> {
    Json(Liveness { status: "live" })
}

/// Tells whether requests can be answered
///
/// `degraded` answers 200: without cache or broker everything is still right.
#[utoipa::path(get, path = "/health/ready", tag = "Operations", operation_id = "get_readiness",
    responses((status = 200, description = "Requests are answered", body = Readiness),
        (status = 503, description = "Requests cannot be answered", body = Readiness), crate::openapi::ProbeProblems),
    security(()))]
pub(crate) async fn ready(State(api): State<Api>) -> Response {
    let readiness = readiness(&api).await;
    let status = match readiness.status {
        Whole::Ready | Whole::Degraded => StatusCode::OK,
        Whole::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness)).into_response()
}

async fn readiness(api: &Api) -> Readiness {
    let mut last = api.health.0.lock().await;
    if let Some((at, readiness)) = &*last
        && at.elapsed() < HEALTH_REUSE
    {
        return readiness.clone();
    }
    let (lag, beside, cache) = tokio::join!(projector_lag(api), beside(api), api.cache.is_up());
    let part = |is_up: bool| if is_up { Part::Up } else { Part::Down };
    let mut readiness = Readiness {
        status: Whole::Ready,
        database: part(lag.is_some()),
        replicas: api.replicas.health(),
        cache: cache.map_or(Part::Absent, part),
        broker: api.broker.as_ref().map_or(Part::Absent, |broker| part(*broker.borrow())),
        feed: api.feed.as_ref().map(|state| state()),
        writer: part(api.pipeline.is_ready() && !api.stopping.is_cancelled()),
        projector: lag.map(|(lag, _)| lag).unwrap_or_default(),
        audit: lag.map(|(_, audit)| audit).unwrap_or_default(),
        jobs: beside.unwrap_or_default(),
    };
    readiness.status = whole(&readiness);
    *last = Some((Instant::now(), readiness.clone()));
    readiness
}

fn whole(r: &Readiness) -> Whole {
    if r.database == Part::Down || r.writer == Part::Down {
        return Whole::Unavailable;
    }
    let replica_missing = r.replicas.iter().any(|replica| replica.state != Standing::Fresh);
    let feed_stopped = r.feed.is_some_and(|feed| feed.stopped > 0);
    let Lag { events, stopped, views_outdated, .. } = r.projector;
    if replica_missing || feed_stopped || stopped > 0 || views_outdated > 0 || r.audit.findings > 0 {
        return Whole::Degraded;
    }
    if r.cache == Part::Down || r.broker == Part::Down || events > PROJECTOR_LAG_MAX {
        return Whole::Degraded;
    }
    Whole::Ready
}

/// `None` when the database does not answer.
async fn projector_lag(api: &Api) -> Option<(Lag, Audit)> {
    let reading = api.detached(read_lag(api.pool.clone()));
    tokio::time::timeout(HEALTH_TIME_MAX, reading).await.ok()?.ok()
}

/// `None` when the database does not answer.
async fn beside(api: &Api) -> Option<Beside> {
    let reading = api.detached(count_beside(api.pool.clone()));
    tokio::time::timeout(HEALTH_TIME_MAX, reading).await.ok()?.ok()
}

async fn count_beside(pool: PgPool) -> Result<Beside, store::Error> {
    let counts = job::counts(&pool).await?;
    let of = |status| counts.iter().filter(|(_, s, _)| *s == status).fold(0_i64, |sum, (_, _, n)| sum.saturating_add(*n));
    let (deliveries_dead, webhooks_off) = webhook::dead(&pool).await?;
    Ok(Beside { queued: of(job::Status::Queued), dead: of(job::Status::Dead), deliveries_dead, webhooks_off })
}

async fn read_lag(pool: PgPool) -> Result<(Lag, Audit), store::Error> {
    let (views, versions) = version::columns();
    let row = sqlx::query(include_str!("health_lag.sql")).bind(views).bind(versions).fetch_one(&pool).await?;
    let (checked, findings) = store::verification::summary(&pool).await?;
    let lag = Lag {
        events: row.try_get(0)?,
        tenants: row.try_get(1)?,
        seconds: row.try_get(2)?,
        stopped: row.try_get(3)?,
        views_outdated: row.try_get(4)?,
    };
    Ok((lag, Audit { checked, findings }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_database_and_writer_make_it_unavailable() {
        let all = Readiness {
            status: Whole::Ready,
            database: Part::Up,
            replicas: Vec::new(),
            cache: Part::Up,
            broker: Part::Absent,
            feed: None,
            writer: Part::Up,
            projector: Lag::default(),
            audit: Audit::default(),
            jobs: Beside { dead: 7, ..Beside::default() },
        };
        assert_eq!(whole(&all), Whole::Ready);
        assert_eq!(whole(&Readiness { cache: Part::Down, ..all.clone() }), Whole::Degraded);
        assert_eq!(whole(&Readiness { audit: Audit { checked: 1, findings: 1 }, ..all.clone() }), Whole::Degraded);
        assert_eq!(whole(&Readiness { broker: Part::Down, ..all.clone() }), Whole::Degraded);
        let feed = |stopped| Some(FeedHealth { durability: "unsynced", events: 7, seconds: 1, stopped });
        assert_eq!(whole(&Readiness { feed: feed(0), ..all.clone() }), Whole::Ready);
        assert_eq!(whole(&Readiness { feed: feed(1), ..all.clone() }), Whole::Degraded);
        for projector in [Lag { stopped: 1, ..all.projector }, Lag { views_outdated: 1, ..all.projector }] {
            assert_eq!(whole(&Readiness { projector, ..all.clone() }), Whole::Degraded);
        }
        assert_eq!(whole(&Readiness { writer: Part::Down, ..all.clone() }), Whole::Unavailable);
        assert_eq!(whole(&Readiness { database: Part::Down, cache: Part::Down, ..all.clone() }), Whole::Unavailable);
    }
}
