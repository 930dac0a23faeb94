//! Lots and serials.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::{Serial, Sku};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::page::Place;
use super::{Exact, Reading, Version, corrupt};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// Which lots.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LotQuery {
    /// Of this item.
    #[param(value_type = Option<String>, nullable = false)]
    item: Option<Sku>,
    /// Those that expire before this instant, the next to expire first.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    expires_before: Option<Timestamp>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// A lot.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LotBody {
    /// The item.
    sku: String,
    /// The lot.
    lot: String,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>, nullable = false)]
    expires_at: Option<Timestamp>,
    /// Physically present, anywhere.
    on_hand: Exact,
    /// Of these, what may be promised at all.
    sellable: Exact,
    /// Held by reservations.
    held: Exact,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    sku: Option<String>,
    lot: Option<String>,
    expires_at: Option<i64>,
    scale: Option<i16>,
    on_hand: i64,
    sellable: i64,
    held: i64,
}

fn body(row: Row) -> Result<Option<LotBody>, store::Error> {
    let (Some(sku), Some(lot)) = (row.sku, row.lot) else { return Ok(None) };
    let scale = row.scale.and_then(|n| u8::try_from(n).ok()).ok_or_else(|| corrupt("view_item.definition.scale"))?;
    Ok(Some(LotBody {
        sku,
        lot,
        expires_at: row.expires_at.map(Timestamp),
        on_hand: Exact::new(row.on_hand, scale),
        sellable: Exact::new(row.sellable, scale),
        held: Exact::new(row.held, scale),
    }))
}

/// Where a page begins: expiry (0 in the list by item), item and lot.
type Key = (i64, String, String);

/// Lists lots
///
/// By item and lot, or with `expires_before` the next to expire first.
#[utoipa::path(get, path = "/v1/lots", tag = "Stock", operation_id = "list_lots",
    params(LotQuery, ReadHeaders), responses(PageAnswer<LotBody>))]
pub(crate) async fn list_lots(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<LotQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let scope = format!("{}:{}", query.item.as_ref().map_or("", Sku::as_str), query.expires_before.map_or(0, |at| at.0));
    let place = Place::new(&reading, &uri, &scope, query.limit)?;
    let after: Key = place.after(query.cursor.as_deref())?.unwrap_or((i64::MIN, String::new(), String::new()));
    let api = reading.settle(&api).await?;
    let (item, before, now) = (query.item.clone(), query.expires_before, api.pipeline.now());
    let rows = api.detached(read(api.pool.clone(), reading.tenant.0, (item, before, now), after, place.rows_to_read())).await?;
    let as_of = rows.first().map_or(0, |r| r.as_of);
    let lots = rows.into_iter().filter_map(|row| body(row).transpose()).collect::<Result<Vec<_>, _>>()?;
    place.show(&reading, as_of, lots, |l| (before.and(l.expires_at).map_or(0, |at| at.0), l.sku.clone(), l.lot.clone()))
}

async fn read(
    pool: PgPool,
    tenant: i64,
    (item, before, now): (Option<Sku>, Option<Timestamp>, Timestamp),
    (expiry, sku, lot): Key,
    rows: i64,
) -> Result<Vec<Row>, store::Error> {
    let statement = if before.is_some() { include_str!("lots_expiring.sql") } else { include_str!("lots.sql") };
    let query = sqlx::query_as(statement).bind(tenant).bind(sku).bind(lot).bind(rows);
    let query = query.bind(item.map(|sku| sku.as_str().to_owned())).bind(now.0);
    Ok(match before {
        Some(before) => query.bind(before.0).bind(expiry).fetch_all(&pool).await?,
        None => query.fetch_all(&pool).await?,
    })
}

/// Where a unit is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SerialBody {
    /// The item.
    #[schema(value_type = String)]
    sku: Sku,
    /// The unit.
    #[schema(value_type = String)]
    serial: Serial,
    /// Where.
    location: String,
    /// What may be done with it.
    status: StockStatus,
}

/// Shows where a unit is
///
/// Only units on hand are known here; where others went is in the item's events.
#[utoipa::path(get, path = "/v1/serials/{sku}/{serial}", tag = "Stock", operation_id = "get_serial",
    params(("sku" = Sku, Path, description = "The item"), ("serial" = Serial, Path, description = "The unit"), ReadHeaders),
    responses(ReadAnswer<SerialBody>))]
pub(crate) async fn get_serial(
    State(api): State<Api>,
    reading: Reading,
    Named((sku, serial)): Named<(Sku, Serial)>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let (as_of, found) = api.detached(read_serial(api.pool.clone(), reading.tenant.0, (sku.clone(), serial.clone()))).await?;
    let Some((location, status)) = found else {
        return Err(Problem::unknown(Rejection::UnknownSerial { serial }));
    };
    let status = usize::try_from(status).ok().and_then(|at| StockStatus::ALL.get(at).copied());
    let status = status.ok_or_else(|| corrupt("view_serial.status"))?;
    reading.show(as_of, Version::Body, &SerialBody { sku, serial, location, status })
}

type Found = (i64, Option<(String, i16)>);

async fn read_serial(pool: PgPool, tenant: i64, (sku, serial): (Sku, Serial)) -> Result<Found, store::Error> {
    let row: (i64, Option<String>, Option<i16>) = sqlx::query_as(
        "SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1), unit.location, unit.status \
         FROM (VALUES (1)) AS one (n) LEFT JOIN view_serial unit ON unit.tenant_id = $1 AND unit.sku = $2 AND unit.serial = $3",
    )
    .bind(tenant)
    .bind(sku.as_str())
    .bind(serial.as_str())
    .fetch_one(&pool)
    .await?;
    Ok((row.0, row.1.zip(row.2)))
}
