//! Available to promise: what is available now, and when more comes.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::amount::Number;
use ledger_core::domain::id::{LocationCode, Sku};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::{Exact, Reading, Version, corrupt, stock};
use crate::limit::EXPECTATIONS_MAX;
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// What is to be promised.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PromiseQuery {
    /// How many; 1 if absent.
    #[param(value_type = Option<String>, nullable = false)]
    quantity: Option<String>,
    /// Until when; any time if absent.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    by: Option<Timestamp>,
    /// Only this location and those inside of it.
    #[param(value_type = Option<String>, nullable = false)]
    within: Option<LocationCode>,
}

/// What will be available from some time on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Available {
    /// From when.
    #[schema(value_type = Timestamp)]
    at: Timestamp,
    /// How many come then.
    incoming: Exact,
    /// How many there are then that nobody holds.
    available: Exact,
}

/// Whether and when a quantity can be promised.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Promise {
    /// The item.
    #[schema(value_type = String)]
    sku: Sku,
    /// How many were asked for.
    quantity: Exact,
    /// Whether there will be as many in time.
    promised: bool,
    /// Since when there are; absent when there will not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>, nullable = false)]
    at: Option<Timestamp>,
    /// How many there are now that nobody holds; below zero while reservations wait.
    available: Exact,
    /// What is expected, the first to come first. What is overdue counts as coming now.
    expected: Vec<Available>,
}

/// Shows what can be promised
///
/// What is available now at the item's locations, and what is expected there: whether `quantity` can be promised `by` a
/// time, and since when.
#[utoipa::path(get, path = "/v1/stock/{sku}/promise", tag = "Stock", operation_id = "get_promise",
    params(("sku" = Sku, Path, description = "The item"), PromiseQuery, ReadHeaders), responses(ReadAnswer<Promise>))]
pub(crate) async fn get_promise(
    State(api): State<Api>,
    reading: Reading,
    Named(sku): Named<Sku>,
    Asked(query): Asked<PromiseQuery>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let within = match &query.within {
        Some(outer) => Some(stock::inside(&api, &reading, outer).await?),
        None => None,
    };
    let is_inside = |at: &LocationCode| within.as_ref().is_none_or(|codes| codes.contains(at));
    let now = api.pipeline.now();
    let (as_of, item) = stock::levels_of(&api, &reading, &sku).await?;
    let scale = item.scale;
    let wanted = Number::parse(query.quantity.as_deref().unwrap_or("1")).ok().and_then(|n| n.units_at(scale));
    let wanted = wanted.filter(|n| *n > 0).ok_or_else(|| {
        Problem::new(Fault::ParameterInvalid, format!("quantity is a number above zero with at most {scale} decimals"))
    })?;
    let mut available =
        item.locations.iter().filter(|l| is_inside(&l.location)).fold(0_i64, |sum, l| sum.saturating_add(l.available()));
    let (first, mut at) = (available, (available >= wanted).then_some(now));
    let mut expected = Vec::new();
    for row in api.detached(read(api.pool.clone(), reading.tenant.0, sku.clone())).await? {
        let location = LocationCode::parse(&row.location).map_err(|_| corrupt("view_document.body.location"))?;
        if !is_inside(&location) {
            continue;
        }
        let units = Number::parse(&row.outstanding).ok().and_then(|n| n.units_at(scale));
        let units = units.ok_or_else(|| corrupt("view_document.body.outstanding"))?;
        available = available.saturating_add(units);
        let due_at = Timestamp(row.due_at).max(now);
        if at.is_none() && available >= wanted {
            at = Some(due_at);
        }
        let (incoming, available) = (Exact::new(units, scale), Exact::new(available, scale));
        expected.push(Available { at: due_at, incoming, available });
    }
    let promised = at.is_some_and(|at| query.by.is_none_or(|by| at <= by));
    let (quantity, available) = (Exact::new(wanted, scale), Exact::new(first, scale));
    reading.show(as_of, Version::Body, &Promise { sku, quantity, promised, at, available, expected })
}

#[derive(sqlx::FromRow)]
struct Row {
    due_at: i64,
    location: String,
    outstanding: String,
}

async fn read(pool: PgPool, tenant: i64, sku: Sku) -> Result<Vec<Row>, store::Error> {
    let rows_max = i64::try_from(EXPECTATIONS_MAX).unwrap_or(i64::MAX);
    let query = sqlx::query_as(include_str!("promise.sql")).bind(tenant).bind(sku.as_str()).bind(rows_max);
    Ok(query.fetch_all(&pool).await?)
}
