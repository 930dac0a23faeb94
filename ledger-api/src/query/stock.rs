//! Stock levels.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::amount::share;
use ledger_core::domain::id::{LocationCode, Position, Sku};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
pub(super) use ledger_core::view::{Pooled, spread};
use ledger_core::view::{StockAtLocation, StockView, stock_cache_key};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;

use super::as_of::{self, AsOfQuery, PastStock};
use super::{Exact, Reading, Version, corrupt};
use crate::command::Body;
use crate::limit::{LEVELS_MAX, LOOKUP_SKUS_MAX};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Sums over places.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Quantities {
    /// Physically present, whatever the status.
    on_hand: Exact,
    /// Of these, what may be promised at all.
    sellable: Exact,
    /// Held by reservations that have not lapsed.
    reserved: Exact,
    /// Held by confirmed reservations.
    allocated: Exact,
    /// Not promised.
    safety_stock: Exact,
    /// Sellable less reserved, allocated and safety stock; below zero while reservations wait for stock.
    available: Exact,
    /// Of reserved and allocated: waits for stock.
    backordered: Exact,
    /// Expected from suppliers.
    incoming: Exact,
    /// Value of what is on hand: of a place, its share of its cost pool.
    value: Exact,
}

impl Quantities {
    fn of(levels: &[StockAtLocation], scale: u8, money: u8) -> Self {
        let sum = |f: fn(&StockAtLocation) -> i64| levels.iter().fold(0_i128, |sum, l| sum.saturating_add(i128::from(f(l))));
        Self {
            on_hand: Exact::new(sum(|l| l.on_hand), scale),
            sellable: Exact::new(sum(|l| l.on_hand.saturating_sub(l.unsellable)), scale),
            reserved: Exact::new(sum(|l| l.reserved), scale),
            allocated: Exact::new(sum(|l| l.allocated), scale),
            safety_stock: Exact::new(sum(|l| l.safety), scale),
            available: Exact::new(sum(StockAtLocation::available), scale),
            backordered: Exact::new(sum(|l| l.waiting), scale),
            incoming: Exact::new(sum(|l| l.incoming), scale),
            value: Exact::new(sum(|l| l.value), money),
        }
    }
}

/// One item at one location.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LevelBody {
    /// Where.
    #[schema(value_type = String)]
    location: LocationCode,
    /// Newest event that touched it; 0 when none did.
    position: i64,
    #[serde(flatten)]
    quantities: Quantities,
}

/// One item at every location that ever held it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StockBody {
    /// The item.
    #[schema(value_type = String)]
    sku: Sku,
    /// Version of the item's stream: what `If-Match` takes.
    stream_version: i64,
    /// Newest event that touched any of its levels; 0 when none did.
    position: i64,
    #[serde(flatten)]
    quantities: Quantities,
    /// Sorted by location.
    locations: Vec<LevelBody>,
}

impl From<StockView> for StockBody {
    fn from(mut view: StockView) -> Self {
        let (scale, money) = (view.scale, view.money);
        let quantities = Quantities::of(&view.locations, scale, money);
        spread(&mut view.locations);
        let level = |l: StockAtLocation| {
            let quantities = Quantities::of(std::slice::from_ref(&l), scale, money);
            LevelBody { location: l.location, position: l.position, quantities }
        };
        let locations = view.locations.into_iter().map(level).collect();
        Self { sku: view.sku, stream_version: view.stream_version, position: view.position, quantities, locations }
    }
}

#[derive(sqlx::FromRow)]
struct LevelsRow {
    as_of: i64,
    sku: Option<String>,
    stream_version: Option<i64>,
    scale: Option<i16>,
    #[sqlx(flatten)]
    level: LevelColumns,
}

/// The columns of a level; none of them where an item never was.
#[derive(sqlx::FromRow)]
struct LevelColumns {
    location: Option<String>,
    pool: Option<String>,
    position: Option<i64>,
    on_hand: Option<i64>,
    unsellable: Option<i64>,
    reserved: Option<i64>,
    allocated: Option<i64>,
    waiting: Option<i64>,
    incoming: Option<i64>,
    safety: Option<i64>,
    value: Option<i64>,
    money: Option<i16>,
}

/// Items found, and the position they are at.
struct Levels {
    as_of: Position,
    items: Vec<StockView>,
    /// There are more levels than one answer shows.
    is_cut: bool,
}

async fn read_levels(pool: PgPool, tenant: i64, skus: Vec<String>, now: Timestamp) -> Result<Levels, store::Error> {
    let rows_max = i64::try_from(LEVELS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let rows: Vec<LevelsRow> = sqlx::query_as(include_str!("stock_levels.sql"))
        .bind(tenant)
        .bind(skus)
        .bind(now.0)
        .bind(rows_max)
        .fetch_all(&pool)
        .await?;
    let (as_of, is_cut) = (rows.first().map_or(0, |row| row.as_of), rows.len() > LEVELS_MAX);
    let mut items: Vec<StockView> = Vec::new();
    for row in rows {
        let (Some(sku), Some(stream_version), Some(scale)) = (&row.sku, row.stream_version, row.scale) else { continue };
        let scale = u8::try_from(scale).map_err(|_| corrupt("view_item.definition.scale"))?;
        if items.last().is_none_or(|item| item.sku.as_str() != sku) {
            let sku = Sku::parse(sku).map_err(|_| corrupt("view_item.sku"))?;
            items.push(StockView { sku, stream_version, position: 0, scale, money: 0, locations: Vec::new() });
        }
        if let (Some(item), Some((level, money))) = (items.last_mut(), level_from(row.level)?) {
            item.position = item.position.max(level.position);
            item.money = money;
            item.locations.push(level);
        }
    }
    Ok(Levels { as_of, items, is_cut })
}

/// The level in a row, with its decimals of value; `None` for an item that was never anywhere.
fn level_from(row: LevelColumns) -> Result<Option<(StockAtLocation, u8)>, store::Error> {
    let Some(location) = row.location else { return Ok(None) };
    let wrong = || corrupt("view_stock_level");
    let units = |column: Option<i64>| column.ok_or_else(wrong);
    let level = StockAtLocation {
        location: LocationCode::parse(&location).map_err(|_| corrupt("view_stock_level.location"))?,
        pool: row.pool.ok_or_else(wrong)?,
        position: units(row.position)?,
        on_hand: units(row.on_hand)?,
        unsellable: units(row.unsellable)?,
        reserved: units(row.reserved)?,
        allocated: units(row.allocated)?,
        waiting: units(row.waiting)?,
        incoming: units(row.incoming)?,
        safety: units(row.safety)?,
        value: units(row.value)?,
    };
    let money = row.money.and_then(|m| u8::try_from(m).ok()).ok_or_else(|| corrupt("view_stock_level.money"))?;
    Ok(Some((level, money)))
}

/// Some items from the cache where it has them, the rest from the database. All of them at one position, unless they
/// come from the cache, whose values are each as new as their newest event.
async fn find(api: &Api, reading: &Reading, skus: &[Sku]) -> Result<Levels, Problem> {
    let keys: Vec<String> = skus.iter().map(|sku| stock_cache_key(reading.tenant, sku)).collect();
    let now = api.pipeline.now();
    let cached = api.cache.get::<StockView>(&keys, now, reading.position_min).await;
    let sound: Option<Vec<_>> =
        skus.iter().zip(cached).map(|(sku, cached)| cached.filter(|cached| cached.body.sku == *sku)).collect();
    if let Some(cached) = sound {
        // The answer as a whole includes what its oldest part includes.
        let as_of = cached.iter().map(|c| c.as_of).min().unwrap_or(0);
        return Ok(Levels { as_of, items: cached.into_iter().map(|c| c.body).collect(), is_cut: false });
    }
    let api = &reading.settle(api).await?;
    let skus = skus.iter().map(|sku| sku.as_str().to_owned()).collect();
    let levels = api.detached(read_levels(api.pool.clone(), reading.tenant.0, skus, api.pipeline.now())).await?;
    if levels.is_cut {
        return Err(Problem::new(Fault::ResultTooLarge, format!("more than {LEVELS_MAX} levels; ask for fewer items")));
    }
    Ok(levels)
}

/// What an item's stock is now, or was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "made once per answer")]
pub(crate) enum StockAnswer {
    /// Now.
    Now(StockBody),
    /// As of some time or position.
    Past(PastStock),
}

/// Shows an item's stock
///
/// Every location that ever held it, and the sums. A hold is free at the instant it expires. With `as_of` (effective
/// time), `as_of_position` or `recorded_before`: what was on hand then, and its value.
#[utoipa::path(get, path = "/v1/stock/{sku}", tag = "Stock", operation_id = "get_stock",
    params(("sku" = Sku, Path, description = "The item"), AsOfQuery, ReadHeaders), responses(ReadAnswer<StockAnswer>))]
pub(crate) async fn get_item(
    State(api): State<Api>,
    reading: Reading,
    Named(sku): Named<Sku>,
    Asked(query): Asked<AsOfQuery>,
) -> Result<Response, Problem> {
    let within = match &query.within {
        Some(outer) => Some(inside(&api, &reading, outer).await?),
        None => None,
    };
    if query.is_past() {
        let api = reading.settle(&api).await?;
        let (as_of, past) = as_of::find(&api, reading.tenant.0, (&sku, None), &query, within.as_deref()).await?;
        return reading.show(as_of, Version::Body, &StockAnswer::Past(past));
    }
    let found = find(&api, &reading, std::slice::from_ref(&sku)).await?;
    let mut item = found.items.into_iter().next().ok_or_else(|| unknown_item(&sku))?;
    let version = item.stream_version;
    if let Some(within) = within {
        // A pool's value is spread over all of its places before some are left out.
        spread(&mut item.locations);
        item.locations.retain(|l| within.contains(&l.location));
        item.locations.iter_mut().for_each(|l| l.pool = l.location.to_string());
    }
    reading.show(found.as_of, Version::Derived(version), &StockAnswer::Now(item.into()))
}

/// One item's levels from the database, and the position they are at.
pub(super) async fn levels_of(api: &Api, reading: &Reading, sku: &Sku) -> Result<(Position, StockView), Problem> {
    let skus = vec![sku.as_str().to_owned()];
    let levels = api.detached(read_levels(api.pool.clone(), reading.tenant.0, skus, api.pipeline.now())).await?;
    if levels.is_cut {
        return Err(Problem::new(Fault::ResultTooLarge, format!("more than {LEVELS_MAX} levels")));
    }
    Ok((levels.as_of, levels.items.into_iter().next().ok_or_else(|| unknown_item(sku))?))
}

/// A location and every location inside of it.
pub(super) async fn inside(api: &Api, reading: &Reading, outer: &LocationCode) -> Result<Vec<LocationCode>, Problem> {
    let api = &reading.settle(api).await?;
    let (pool, tenant, code) = (api.pool.clone(), reading.tenant.0, outer.as_str().to_owned());
    let read = async move {
        let codes: Vec<String> = sqlx::query_scalar(include_str!("within.sql")).bind(tenant).bind(code).fetch_all(&pool).await?;
        codes
            .iter()
            .map(|code| LocationCode::parse(code).map_err(|_| corrupt("view_location.code")))
            .collect::<Result<Vec<_>, store::Error>>()
    };
    let found = api.detached(read).await?;
    if found.is_empty() { Err(unknown_location(outer)) } else { Ok(found) }
}

pub(super) fn unknown_item(sku: &Sku) -> Problem {
    Problem::unknown(ledger_core::domain::rejection::Rejection::UnknownItem { sku: sku.clone() })
}

pub(super) fn unknown_location(location: &LocationCode) -> Problem {
    Problem::unknown(ledger_core::domain::rejection::Rejection::UnknownLocation { location: location.clone() })
}

/// Refuses what names something that is not there.
pub(super) fn must_be_known(item: (bool, &Sku), location: (bool, &LocationCode)) -> Result<(), Problem> {
    match (item, location) {
        ((false, sku), _) => Err(unknown_item(sku)),
        (_, (false, location)) => Err(unknown_location(location)),
        ((true, _), (true, _)) => Ok(()),
    }
}

/// A level's columns, with those of its item and its cost pool.
#[derive(sqlx::FromRow)]
pub(super) struct LevelRow {
    pub(super) as_of: i64,
    stream_version: Option<i64>,
    scale: Option<i16>,
    pub(super) location_known: bool,
    position: Option<i64>,
    pool: Option<String>,
    on_hand: Option<i64>,
    unsellable: Option<i64>,
    reserved: Option<i64>,
    allocated: Option<i64>,
    waiting: Option<i64>,
    incoming: Option<i64>,
    safety: Option<i64>,
    value: Option<i64>,
    money: Option<i16>,
    pool_on_hand: Option<i64>,
    pool_value: Option<i64>,
    cells: String,
}

/// Goods of one lot or status at one place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CellBody {
    /// The lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lot: Option<String>,
    /// What may be done with them.
    status: StockStatus,
    /// Physically present.
    on_hand: Exact,
}

/// One item at one location.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StockAtBody {
    /// The item.
    #[schema(value_type = String)]
    sku: Sku,
    /// Version of the item's stream: what `If-Match` takes.
    stream_version: i64,
    #[serde(flatten)]
    level: LevelBody,
    /// By lot and status; what is sellable and of no lot is not listed.
    cells: Vec<CellBody>,
}

/// What an item's stock at one location is now, or was.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "made once per answer")]
pub(crate) enum StockAtAnswer {
    /// Now.
    Now(StockAtBody),
    /// As of some time or position.
    Past(PastStock),
}

/// Shows an item's stock at one location
///
/// Zero where it never was. With `as_of` (effective time), `as_of_position` or `recorded_before`: what was on hand then,
/// and the value posted for this place.
#[utoipa::path(get, path = "/v1/stock/{sku}/{location}", tag = "Stock", operation_id = "get_stock_at_location",
    params(("sku" = Sku, Path, description = "The item"), ("location" = LocationCode, Path, description = "Where"), AsOfQuery, ReadHeaders),
    responses(ReadAnswer<StockAtAnswer>))]
pub(crate) async fn get_level(
    State(api): State<Api>,
    reading: Reading,
    Named((sku, location)): Named<(Sku, LocationCode)>,
    Asked(query): Asked<AsOfQuery>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    if query.within.is_some() {
        return Err(Problem::new(Fault::ParameterInvalid, "within is for all locations of an item"));
    }
    if query.is_past() {
        let (as_of, past) = as_of::find(&api, reading.tenant.0, (&sku, Some(&location)), &query, None).await?;
        return reading.show(as_of, Version::Body, &StockAtAnswer::Past(past));
    }
    let row =
        api.detached(read_level(api.pool.clone(), reading.tenant.0, (sku.clone(), location.clone()), api.pipeline.now())).await?;
    must_be_known((row.stream_version.is_some(), &sku), (row.location_known, &location))?;
    let (as_of, version) = (row.as_of, row.stream_version.unwrap_or(0));
    let (level, cells) = level_body(row, location)?;
    let body = StockAtBody { sku, stream_version: version, level, cells };
    reading.show(as_of, Version::Derived(version), &StockAtAnswer::Now(body))
}

async fn read_level(pool: PgPool, tenant: i64, at: (Sku, LocationCode), now: Timestamp) -> Result<LevelRow, store::Error> {
    let row = sqlx::query_as(include_str!("stock_level.sql"))
        .bind(tenant)
        .bind(at.0.as_str())
        .bind(at.1.as_str())
        .bind(now.0)
        .fetch_one(&pool)
        .await?;
    Ok(row)
}

/// A level as it is shown, and its lots and statuses.
pub(super) fn level_body(row: LevelRow, location: LocationCode) -> Result<(LevelBody, Vec<CellBody>), Problem> {
    let decimals = |n: Option<i16>| u8::try_from(n.unwrap_or(0)).map_err(|_| corrupt("view_stock_level"));
    let (scale, money) = (decimals(row.scale)?, decimals(row.money)?);
    let on_hand = row.on_hand.unwrap_or(0);
    let of_pool = row.pool_value.zip(row.pool_on_hand);
    let value = match of_pool {
        // Alone in its pool, or of an empty one: what is posted here.
        Some((value, units)) if units != 0 && units != on_hand => share(value, on_hand, units).unwrap_or(0),
        Some(_) | None => row.value.unwrap_or(0),
    };
    let level = StockAtLocation {
        location,
        pool: row.pool.unwrap_or_default(),
        position: row.position.unwrap_or(0),
        on_hand,
        unsellable: row.unsellable.unwrap_or(0),
        reserved: row.reserved.unwrap_or(0),
        allocated: row.allocated.unwrap_or(0),
        waiting: row.waiting.unwrap_or(0),
        incoming: row.incoming.unwrap_or(0),
        safety: row.safety.unwrap_or(0),
        value,
    };
    let cells: Vec<(String, usize, i64)> = serde_json::from_str(&row.cells).map_err(|_| corrupt("view_stock_cell"))?;
    let cells = cells
        .into_iter()
        .map(|(lot, status, units)| {
            let status = *StockStatus::ALL.get(status).ok_or_else(|| corrupt("view_stock_cell.status"))?;
            Ok(CellBody { lot: (!lot.is_empty()).then_some(lot), status, on_hand: Exact::new(units, scale) })
        })
        .collect::<Result<Vec<_>, store::Error>>()?;
    let quantities = Quantities::of(std::slice::from_ref(&level), scale, money);
    Ok((LevelBody { location: level.location, position: level.position, quantities }, cells))
}

/// Items to look up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupBody {
    /// At most 1,000.
    #[schema(min_items = 1, max_items = 1000, value_type = Vec<String>)]
    skus: Vec<Sku>,
}

/// Items found, in the order they were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LookupAnswer {
    /// One per known item.
    data: Vec<StockBody>,
    /// Items that do not exist.
    #[schema(value_type = Vec<String>)]
    unknown: Vec<Sku>,
}

/// Shows the stock of many items
///
/// Up to 1,000 in one call, in the order asked for.
#[utoipa::path(post, path = "/v1/stock/lookup", tag = "Stock", operation_id = "lookup_stock",
    params(ReadHeaders), request_body = LookupBody, responses(ReadAnswer<LookupAnswer>))]
pub(crate) async fn lookup(State(api): State<Api>, reading: Reading, body: Body<LookupBody>) -> Result<Response, Problem> {
    let skus = body.value.skus;
    if skus.is_empty() || skus.len() > LOOKUP_SKUS_MAX {
        return Err(Problem::new(Fault::ParameterInvalid, format!("from 1 to {LOOKUP_SKUS_MAX} skus are taken")));
    }
    let found = find(&api, &reading, &skus).await?;
    reading.show(found.as_of, Version::None, &in_order(skus, found.items))
}

/// Each item asked for once, in the order asked.
fn in_order(skus: Vec<Sku>, items: Vec<StockView>) -> LookupAnswer {
    let mut found: HashMap<Sku, StockView> = items.into_iter().map(|item| (item.sku.clone(), item)).collect();
    let mut seen = std::collections::HashSet::new();
    let mut answer = LookupAnswer { data: Vec::new(), unknown: Vec::new() };
    for sku in skus {
        if !seen.insert(sku.clone()) {
            continue;
        }
        match found.remove(&sku) {
            Some(item) => answer.data.push(item.into()),
            None => answer.unknown.push(sku),
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_answer_has_sums_and_places() {
        let level = |code: &str, on_hand, reserved, value| StockAtLocation {
            location: LocationCode::parse(code).unwrap(),
            pool: code.to_owned(),
            position: 4,
            on_hand,
            unsellable: 0,
            reserved,
            allocated: 0,
            waiting: 0,
            incoming: 0,
            safety: 0,
            value,
        };
        let view = StockView {
            sku: Sku::parse("A").unwrap(),
            stream_version: 3,
            position: 4,
            scale: 1,
            money: 2,
            locations: vec![level("L", 105, 5, 1_000), level("M", -5, 0, -50)],
        };
        assert_eq!(
            serde_json::to_value(StockBody::from(view)).unwrap(),
            serde_json::json!({
                "sku": "A", "stream_version": 3, "position": 4,
                "on_hand": "10.0", "sellable": "10.0", "reserved": "0.5", "allocated": "0.0", "safety_stock": "0.0",
                "available": "9.5", "backordered": "0.0", "incoming": "0.0", "value": "9.50",
                "locations": [
                    {"location": "L", "position": 4, "on_hand": "10.5", "sellable": "10.5", "reserved": "0.5", "allocated": "0.0",
                     "safety_stock": "0.0", "available": "10.0", "backordered": "0.0", "incoming": "0.0", "value": "10.00"},
                    {"location": "M", "position": 4, "on_hand": "-0.5", "sellable": "-0.5", "reserved": "0.0", "allocated": "0.0",
                     "safety_stock": "0.0", "available": "-0.5", "backordered": "0.0", "incoming": "0.0", "value": "-0.50"},
                ],
            })
        );
    }
}
