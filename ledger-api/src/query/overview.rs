//! How a tenant's ledger is: how far its log and what follows it are, what is open, and how much was recorded of late.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::{self, read};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{Reading, Version};
use crate::limit::{ACTIVITY_MINUTES, OVERVIEW_COUNT_MAX};
use crate::openapi::{LinkedAnswer, ReadHeaders};
use crate::problem::{Fault, Problem};
use crate::state::Api;

const MINUTE_MICROS: i64 = 60_000_000;

/// Whose ledger it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OverviewTenant {
    /// The tenant.
    code: String,
    /// Display name.
    name: String,
    /// ISO 4217 code of the base currency.
    currency: String,
}

/// Where the log ends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OverviewHead {
    /// Position of the newest event; 0 for none.
    position: i64,
    /// When that was recorded.
    #[schema(value_type = Timestamp)]
    recorded_at: Timestamp,
}

/// How far something follows the log.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Follower {
    /// The last event it includes.
    position: i64,
    /// Events it does not include yet.
    behind: i64,
}

/// A count that stops at a limit.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Counted {
    /// How many; at most 10,000.
    count: i64,
    /// True when there may be more.
    is_cut: bool,
}

/// One minute.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActiveMinute {
    /// Its first instant.
    #[schema(value_type = Timestamp)]
    minute: Timestamp,
    /// Events recorded in it.
    events: i64,
}

/// How a tenant's ledger is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// Whose it is.
    tenant: OverviewTenant,
    /// Where the log ends.
    head: OverviewHead,
    /// What reads answer from.
    views: Follower,
    /// What subscribers were sent; absent while nothing was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    feed: Option<Follower>,
    /// What audits look things up in; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    trail: Option<Follower>,
    /// Reservations that hold goods until an instant to come.
    open_holds: Counted,
    /// Journal entries that are neither posted nor set free.
    pending_entries: Counted,
    /// The last 60 minutes, the present one last.
    activity: Vec<ActiveMinute>,
}

#[derive(sqlx::FromRow)]
struct Row {
    position: i64,
    recorded_at: i64,
    views: Option<i64>,
    feed: Option<i64>,
    trail: Option<i64>,
    holds: i64,
    pending: i64,
}

/// Shows how the ledger is
///
/// Where the log ends, how far its followers are behind, what is open, and the events of the last hour by minute.
#[utoipa::path(get, path = "/v1/overview", tag = "Log", operation_id = "get_overview", params(ReadHeaders),
    responses(LinkedAnswer<Overview>))]
pub(crate) async fn get_overview(State(api): State<Api>, reading: Reading) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let book = api.books.of(&api, reading.tenant).await?;
    let now = api.pipeline.now();
    let row = api.detached(read_row(api.pool.clone(), reading.tenant.0, now)).await?;
    let row = row.ok_or_else(|| Problem::new(Fault::UnknownTenant, Fault::UnknownTenant.sentence()))?;
    let (pool, tenant, bounds) = (api.pool.clone(), reading.tenant, minutes(now));
    let asked = bounds.clone();
    let positions = api.detached(async move { read::positions_before(&pool, tenant, &asked).await }).await?;
    let follower = |position: i64| Follower { position, behind: row.position.saturating_sub(position).max(0) };
    let counted = |count: i64| Counted { count, is_cut: count >= OVERVIEW_COUNT_MAX };
    let views = follower(row.views.unwrap_or(0));
    let body = Overview {
        tenant: OverviewTenant { code: book.code.clone(), name: book.name.clone(), currency: book.currency.clone() },
        head: OverviewHead { position: row.position, recorded_at: Timestamp(row.recorded_at) },
        views,
        feed: row.feed.map(follower),
        trail: row.trail.map(follower),
        open_holds: counted(row.holds),
        pending_entries: counted(row.pending),
        activity: activity(&bounds, &positions, row.position),
    };
    reading.show(views.position, Version::None, &body)
}

async fn read_row(pool: PgPool, tenant: i64, now: Timestamp) -> Result<Option<Row>, store::Error> {
    let query = sqlx::query_as(include_str!("overview.sql")).bind(tenant).bind(now.0).bind(OVERVIEW_COUNT_MAX);
    Ok(query.fetch_optional(&pool).await?)
}

/// First instants of the last minutes, oldest first.
fn minutes(now: Timestamp) -> Vec<Timestamp> {
    let this = now.0.div_euclid(MINUTE_MICROS);
    let first = |ago: i64| Timestamp(this.saturating_sub(ago).saturating_mul(MINUTE_MICROS));
    (0..ACTIVITY_MINUTES).rev().map(first).collect()
}

/// Events of each minute: positions have no gaps, so what was recorded in it is the difference of those at its ends.
fn activity(bounds: &[Timestamp], positions: &[i64], head: i64) -> Vec<ActiveMinute> {
    let ends = positions.iter().skip(1).copied().chain([head]);
    let minutes = bounds.iter().zip(positions.iter().zip(ends));
    minutes.map(|(minute, (begin, end))| ActiveMinute { minute: *minute, events: end.saturating_sub(*begin).max(0) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_whole_and_end_with_the_present_one() {
        let now = Timestamp::parse("2026-11-30T10:20:30.5Z").unwrap();
        let minutes = minutes(now);
        assert_eq!(minutes.len(), 60);
        assert_eq!(
            (minutes[0].to_string(), minutes[59].to_string()),
            ("2026-11-30T09:21:00Z".into(), "2026-11-30T10:20:00Z".into())
        );
        let positions: Vec<i64> = (0..60).map(|n| n / 2).collect();
        let activity = activity(&minutes, &positions, 40);
        assert_eq!(activity.iter().map(|m| m.events).sum::<i64>(), 40);
        assert_eq!((activity[0].events, activity[1].events, activity[59].events), (0, 1, 11));
    }
}
