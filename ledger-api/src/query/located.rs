//! What is at a location, item by item.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::LocationCode;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::page::Place;
use super::stock::{LevelBody, LevelRow, level_body, unknown_location};
use super::{PageQuery, Reading};
use crate::openapi::{PageAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// An item at the location.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocatedBody {
    /// The item.
    sku: String,
    /// Its display name.
    name: String,
    #[serde(flatten)]
    level: LevelBody,
}

#[derive(sqlx::FromRow)]
struct Row {
    sku: Option<String>,
    name: Option<String>,
    #[sqlx(flatten)]
    level: LevelRow,
}

/// Lists the stock at a location
///
/// Every item that was ever there, by item, with its level. What is in locations inside of it is not counted.
#[utoipa::path(get, path = "/v1/locations/{code}/stock", tag = "Stock", operation_id = "list_stock_at_location",
    params(("code" = LocationCode, Path, description = "The location"), PageQuery, ReadHeaders),
    responses(PageAnswer<LocatedBody>))]
pub(crate) async fn list_stock(
    State(api): State<Api>,
    reading: Reading,
    Named(location): Named<LocationCode>,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::new(&reading, &uri, "", query.limit)?;
    let after = place.after::<String>(query.cursor.as_deref())?.unwrap_or_default();
    let api = reading.settle(&api).await?;
    let (tenant, now) = (reading.tenant.0, api.pipeline.now());
    let rows = api.detached(read(api.pool.clone(), tenant, (location.clone(), after), place.rows_to_read(), now)).await?;
    let (as_of, is_known) = rows.first().map_or((0, false), |row| (row.level.as_of, row.level.location_known));
    if !is_known {
        return Err(unknown_location(&location));
    }
    let body = |row: Row| -> Option<Result<LocatedBody, Problem>> {
        let (sku, name) = (row.sku?, row.name.unwrap_or_default());
        Some(level_body(row.level, location.clone()).map(|(level, _)| LocatedBody { sku, name, level }))
    };
    let bodies = rows.into_iter().filter_map(body).collect::<Result<Vec<_>, _>>()?;
    place.show(&reading, as_of, bodies, |body| body.sku.clone())
}

async fn read(
    pool: PgPool,
    tenant: i64,
    (location, after): (LocationCode, String),
    rows: i64,
    now: Timestamp,
) -> Result<Vec<Row>, store::Error> {
    let query = sqlx::query_as(include_str!("located.sql")).bind(tenant).bind(location.as_str()).bind(after);
    Ok(query.bind(rows).bind(now.0).fetch_all(&pool).await?)
}
