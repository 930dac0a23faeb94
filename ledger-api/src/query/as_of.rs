//! Stock as it was: as of an effective time (as known now, late facts included), as of a position or a recording time
//! (as known then), or both.

use ledger_core::domain::id::{LocationCode, Position, Sku, TenantId};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::balance::Known;
use super::{Exact, corrupt, stock};
use crate::limit::LEVELS_MAX;
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// As of when.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOfQuery {
    /// Effective time: everything that had happened by then, as known now.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    as_of: Option<Timestamp>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// Everything recorded before this instant, as known then.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    recorded_before: Option<Timestamp>,
    /// Only this location and those inside of it.
    #[param(value_type = Option<String>, nullable = false)]
    pub(super) within: Option<LocationCode>,
}

impl AsOfQuery {
    /// Whether the past is asked for.
    pub(super) const fn is_past(&self) -> bool {
        self.as_of.is_some() || self.as_of_position.is_some() || self.recorded_before.is_some()
    }
}

/// What was at one place.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PastLevel {
    /// Where.
    #[schema(value_type = String)]
    pub(super) location: LocationCode,
    /// Physically present, whatever the status.
    on_hand: Exact,
    /// Its share of the value of its cost pool.
    value: Exact,
}

/// What an item had been.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PastStock {
    /// The item.
    #[schema(value_type = String)]
    sku: Sku,
    /// The effective time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>, nullable = false)]
    as_of: Option<Timestamp>,
    /// The last event that is counted in.
    as_of_position: i64,
    /// Σ over all places.
    on_hand: Exact,
    /// Σ over all places.
    value: Exact,
    /// Sorted by location.
    locations: Vec<PastLevel>,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    stream_version: Option<i64>,
    scale: Option<i16>,
    location_known: bool,
    location: Option<String>,
    pool: Option<String>,
    money: Option<i16>,
    on_hand: Option<i64>,
    value: Option<i64>,
}

/// A place's quantities in units.
struct Past {
    location: LocationCode,
    pool: String,
    on_hand: i64,
    value: i64,
}

/// What was asked for, and the view's position.
pub(super) async fn find(
    api: &Api,
    tenant: i64,
    (sku, location): (&Sku, Option<&LocationCode>),
    query: &AsOfQuery,
    within: Option<&[LocationCode]>,
) -> Result<(Position, PastStock), Problem> {
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let upto = known.upto(api, TenantId(tenant)).await?.unwrap_or(i64::MAX);
    let read = read(api.pool.clone(), tenant, (sku.clone(), location.cloned()), (query.as_of, upto));
    let rows = api.detached(read).await?;
    let first = rows.first().ok_or_else(|| corrupt("view_cursor"))?;
    let known = (first.stream_version.is_some(), location.is_none() || first.location_known);
    match location {
        Some(location) => stock::must_be_known((known.0, sku), (known.1, location))?,
        None if !known.0 => return Err(stock::unknown_item(sku)),
        None => {}
    }
    if rows.len() > LEVELS_MAX {
        return Err(Problem::new(Fault::ResultTooLarge, format!("more than {LEVELS_MAX} places; ask for one location")));
    }
    let (as_of, scale) = (first.as_of, decimals(first.scale)?);
    let money = rows.iter().find_map(|r| r.money).map_or(Ok(0), |m| decimals(Some(m)))?;
    let mut past = rows.into_iter().filter_map(|r| past(r).transpose()).collect::<Result<Vec<_>, _>>()?;
    stock::spread(&mut past);
    if let Some(within) = within {
        past.retain(|p| within.contains(&p.location));
    }
    let sum = |f: fn(&Past) -> i64| past.iter().fold(0_i128, |sum, p| sum.saturating_add(i128::from(f(p))));
    let (on_hand, value) = (Exact::new(sum(|p| p.on_hand), scale), Exact::new(sum(|p| p.value), money));
    let locations = past
        .iter()
        .map(|p| PastLevel {
            location: p.location.clone(),
            on_hand: Exact::new(p.on_hand, scale),
            value: Exact::new(p.value, money),
        })
        .collect();
    let as_of_position = upto.min(as_of);
    Ok((as_of, PastStock { sku: sku.clone(), as_of: query.as_of, as_of_position, on_hand, value, locations }))
}

fn decimals(n: Option<i16>) -> Result<u8, store::Error> {
    u8::try_from(n.unwrap_or(0)).map_err(|_| corrupt("view_stock_level"))
}

fn past(row: Row) -> Result<Option<Past>, store::Error> {
    let (Some(location), Some(pool)) = (row.location, row.pool) else { return Ok(None) };
    let location = LocationCode::parse(&location).map_err(|_| corrupt("view_stock_level.location"))?;
    Ok(Some(Past { location, pool, on_hand: row.on_hand.unwrap_or(0), value: row.value.unwrap_or(0) }))
}

impl stock::Pooled for Past {
    fn pool(&self) -> &str {
        &self.pool
    }

    fn on_hand(&self) -> i64 {
        self.on_hand
    }

    fn value(&mut self) -> &mut i64 {
        &mut self.value
    }
}

async fn read(
    pool: PgPool,
    tenant: i64,
    (sku, location): (Sku, Option<LocationCode>),
    (as_of, upto): (Option<Timestamp>, Position),
) -> Result<Vec<Row>, store::Error> {
    let rows_max = i64::try_from(LEVELS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let location = location.as_ref().map(LocationCode::as_str);
    let rows = match as_of {
        None => {
            let query = sqlx::query_as(include_str!("as_of_position.sql")).bind(tenant).bind(sku.as_str()).bind(location);
            query.bind(upto).bind(rows_max).fetch_all(&pool).await?
        }
        Some(at) => {
            let query = sqlx::query_as(include_str!("as_of_time.sql")).bind(tenant).bind(sku.as_str()).bind(location);
            query.bind(at.0).bind(rows_max).bind(upto).fetch_all(&pool).await?
        }
    };
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pools_value_is_spread_to_the_last_unit() {
        let past = |code: &str, pool: &str, on_hand, value| Past {
            location: LocationCode::parse(code).unwrap(),
            pool: pool.to_owned(),
            on_hand,
            value,
        };
        let mut rows = vec![past("A1", "A", 1, 100), past("A2", "A", 2, 0), past("B", "B", 5, 77)];
        stock::spread(&mut rows);
        let values: Vec<i64> = rows.iter().map(|p| p.value).collect();
        assert_eq!(values, [33, 67, 77]);
    }
}
