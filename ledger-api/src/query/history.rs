//! How an item's quantity and value came about: both at evenly spaced times, for charts.
//!
//! **Correctness**: each point is the as-of answer for its time ([`super::as_of`]), all of them as known after one event.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::{LocationCode, Sku};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::moment::{Since, Until};
use super::{Exact, Reading, Version, corrupt, stock};
use crate::limit::{HISTORY_LOOKUPS_MAX, HISTORY_POINTS, HISTORY_POINTS_MAX};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Which span, and of which place.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// At this location only.
    #[param(value_type = Option<String>, nullable = false)]
    location: Option<LocationCode>,
    /// First point, an effective time; when the item first moved if absent.
    #[param(nullable = false)]
    from: Option<Since>,
    /// Last point, an effective time; the present instant if absent.
    #[param(nullable = false)]
    to: Option<Until>,
    /// How many, 2 to 1,000; 120 if absent.
    #[param(minimum = 2, maximum = 1000, nullable = false)]
    points: Option<u32>,
}

/// What there was at one time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryPoint {
    /// Effective time.
    #[schema(value_type = Timestamp)]
    at: Timestamp,
    /// Physically present, whatever the status.
    on_hand: Exact,
    /// What it was worth; of one location, the value posted for it.
    value: Exact,
}

/// An item's quantity and value over time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// The item.
    #[schema(value_type = String)]
    sku: Sku,
    /// The location asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    location: Option<LocationCode>,
    /// Every point includes every event up to here, and none after it.
    as_of_position: i64,
    /// By time, evenly spaced; none where nothing ever moved.
    points: Vec<HistoryPoint>,
}

#[derive(sqlx::FromRow)]
struct Span {
    as_of: i64,
    item_known: bool,
    location_known: bool,
    scale: Option<i16>,
    money: Option<i16>,
    places: i64,
    began: Option<i64>,
}

/// Shows an item's history
///
/// What was on hand and what it was worth at evenly spaced times, everywhere or at one location, as known now. Each point
/// is what `as_of` of the same time answers. Points times places may be 20,000.
#[utoipa::path(get, path = "/v1/items/{sku}/history", tag = "Stock", operation_id = "get_item_history",
    params(("sku" = Sku, Path, description = "The item"), HistoryQuery, ReadHeaders), responses(ReadAnswer<History>))]
pub(crate) async fn get_history(
    State(api): State<Api>,
    reading: Reading,
    Named(sku): Named<Sku>,
    Asked(query): Asked<HistoryQuery>,
) -> Result<Response, Problem> {
    let count = query.points.unwrap_or(HISTORY_POINTS);
    if !(2..=HISTORY_POINTS_MAX).contains(&count) {
        return Err(Problem::new(Fault::ParameterInvalid, format!("points must be from 2 to {HISTORY_POINTS_MAX}")));
    }
    let api = reading.settle(&api).await?;
    let at = (sku.clone(), query.location.clone());
    let span = api.detached(read_span(api.pool.clone(), reading.tenant.0, at.clone())).await?;
    match &query.location {
        Some(location) => stock::must_be_known((span.item_known, &sku), (span.location_known, location))?,
        None if !span.item_known => return Err(stock::unknown_item(&sku)),
        None => {}
    }
    if span.places.saturating_mul(i64::from(count)) > HISTORY_LOOKUPS_MAX {
        let words = format!("{count} points at {} places are more than {HISTORY_LOOKUPS_MAX}; ask for one location", span.places);
        return Err(Problem::new(Fault::ResultTooLarge, words));
    }
    let now = api.pipeline.now();
    let from = query.from.map(|since| since.0).or(span.began.map(Timestamp));
    let to = query.to.map_or(now, |until| until.0);
    let points = match from {
        Some(from) if from.0 > to.0 && query.from.is_some() => {
            return Err(Problem::new(Fault::ParameterInvalid, "from: must not be after to"));
        }
        Some(from) if span.began.is_some() => {
            let instants = instants(from.min(to), to, count);
            api.detached(read(api.pool.clone(), reading.tenant.0, at, instants, span.as_of)).await?
        }
        _nothing_moved => Vec::new(),
    };
    let points = shown(points, &span)?;
    let body = History { sku, location: query.location, as_of_position: span.as_of, points };
    reading.show(span.as_of, Version::None, &body)
}

/// So many times from the first to the last.
fn instants(from: Timestamp, to: Timestamp, count: u32) -> Vec<i64> {
    let steps = i128::from(count.saturating_sub(1).max(1));
    let length = i128::from(to.0).saturating_sub(i128::from(from.0));
    let at = |n: u32| {
        let passed = length.saturating_mul(i128::from(n)).div_euclid(steps);
        i64::try_from(i128::from(from.0).saturating_add(passed)).unwrap_or(to.0)
    };
    (0..count).map(at).collect()
}

fn shown(points: Vec<(i64, i64, i64)>, span: &Span) -> Result<Vec<HistoryPoint>, store::Error> {
    let decimals = |n: Option<i16>| u8::try_from(n.unwrap_or(0)).map_err(|_| corrupt("view_stock_level"));
    let (scale, money) = (decimals(span.scale)?, decimals(span.money)?);
    let point = |(at, on_hand, value)| HistoryPoint {
        at: Timestamp(at),
        on_hand: Exact::new(on_hand, scale),
        value: Exact::new(value, money),
    };
    Ok(points.into_iter().map(point).collect())
}

async fn read_span(pool: PgPool, tenant: i64, at: (Sku, Option<LocationCode>)) -> Result<Span, store::Error> {
    let query = sqlx::query_as(include_str!("history_span.sql")).bind(tenant).bind(at.0.as_str());
    Ok(query.bind(at.1.as_ref().map(LocationCode::as_str)).fetch_one(&pool).await?)
}

async fn read(
    pool: PgPool,
    tenant: i64,
    at: (Sku, Option<LocationCode>),
    instants: Vec<i64>,
    upto: i64,
) -> Result<Vec<(i64, i64, i64)>, store::Error> {
    let query = sqlx::query_as(include_str!("history.sql")).bind(tenant).bind(at.0.as_str());
    let query = query.bind(at.1.as_ref().map(LocationCode::as_str)).bind(instants).bind(upto);
    Ok(query.fetch_all(&pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_evenly_spaced_and_reach_both_ends() {
        assert_eq!(instants(Timestamp(0), Timestamp(10), 3), [0, 5, 10]);
        assert_eq!(instants(Timestamp(-5), Timestamp(5), 2), [-5, 5]);
        assert_eq!(instants(Timestamp(7), Timestamp(7), 2), [7, 7]);
        let all = instants(Timestamp(i64::MIN), Timestamp(i64::MAX), 1_000);
        assert_eq!((all[0], all[999], all.is_sorted()), (i64::MIN, i64::MAX, true));
    }
}
