//! The stock card: movements of an item at a location with running quantity and value.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::{LocationCode, Sku};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::page::Place;
use super::{Exact, PageQuery, Reading, corrupt, event_type, stock};
use crate::openapi::{PageAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// One movement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CardLine {
    /// The event's place in the log.
    position: i64,
    /// The movement's place in its event.
    line: i32,
    /// What happened.
    r#type: &'static str,
    /// When it happened in the world.
    #[schema(value_type = Timestamp)]
    effective_at: Timestamp,
    /// When the log accepted it; the card's order.
    #[schema(value_type = Timestamp)]
    recorded_at: Timestamp,
    /// Signed: what came in is above zero.
    quantity: Exact,
    /// Signed.
    value: Exact,
    /// Quantity at this place after it.
    on_hand_after: Exact,
    /// Value posted for this place after it.
    value_after: Exact,
    /// What may be done with the goods.
    status: StockStatus,
    /// The lot of the goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lot: Option<String>,
    /// The caller's document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reference: Option<String>,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    item_known: bool,
    location_known: bool,
    position: Option<i64>,
    line: Option<i32>,
    r#type: Option<i16>,
    scale: Option<i16>,
    money: Option<i16>,
    effective_at: Option<i64>,
    recorded_at: Option<i64>,
    quantity: Option<i64>,
    value: Option<i64>,
    on_hand_after: Option<i64>,
    value_after: Option<i64>,
    reference: Option<String>,
    reason: Option<String>,
    status: Option<i16>,
    lot: Option<String>,
}

impl Row {
    /// The movement in a row; `None` in the one row of an empty card.
    fn line(self) -> Result<Option<CardLine>, store::Error> {
        let Some(position) = self.position else { return Ok(None) };
        let wrong = || corrupt("view_stock_card");
        let decimals = |n: Option<i16>| n.and_then(|n| u8::try_from(n).ok()).ok_or_else(wrong);
        let (scale, money) = (decimals(self.scale)?, decimals(self.money)?);
        let exact = |units: Option<i64>, scale| units.map(|units| Exact::new(units, scale)).ok_or_else(wrong);
        Ok(Some(CardLine {
            position,
            line: self.line.ok_or_else(wrong)?,
            r#type: self.r#type.and_then(event_type::name).ok_or_else(wrong)?,
            effective_at: self.effective_at.map(Timestamp).ok_or_else(wrong)?,
            recorded_at: self.recorded_at.map(Timestamp).ok_or_else(wrong)?,
            quantity: exact(self.quantity, scale)?,
            value: exact(self.value, money)?,
            on_hand_after: exact(self.on_hand_after, scale)?,
            value_after: exact(self.value_after, money)?,
            status: self.status.and_then(|n| StockStatus::ALL.get(usize::try_from(n).ok()?).copied()).ok_or_else(wrong)?,
            lot: self.lot,
            reference: self.reference,
            reason: self.reason,
        }))
    }
}

/// Shows a stock card
///
/// The movements of an item at a location, in the order the log accepted them, with running quantity and value.
#[utoipa::path(get, path = "/v1/stock/{sku}/{location}/card", tag = "Stock", operation_id = "get_stock_card",
    params(("sku" = Sku, Path, description = "The item"), ("location" = LocationCode, Path, description = "Where"), PageQuery, ReadHeaders),
    responses(PageAnswer<CardLine>))]
pub(crate) async fn get_card(
    State(api): State<Api>,
    reading: Reading,
    Named((sku, location)): Named<(Sku, LocationCode)>,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::new(&reading, &uri, "", query.limit)?;
    let after = place.after::<(i64, i32)>(query.cursor.as_deref())?.unwrap_or((0, 0));
    let api = reading.settle(&api).await?;
    let at = (sku.clone(), location.clone());
    let rows = api.detached(read(api.pool.clone(), reading.tenant.0, at, after, place.rows_to_read())).await?;
    let (as_of, item_known, location_known) =
        rows.first().map_or((0, false, false), |r| (r.as_of, r.item_known, r.location_known));
    stock::must_be_known((item_known, &sku), (location_known, &location))?;
    let lines = rows.into_iter().filter_map(|row| row.line().transpose()).collect::<Result<Vec<_>, _>>()?;
    place.show(&reading, as_of, lines, |line| (line.position, line.line))
}

async fn read(
    pool: PgPool,
    tenant: i64,
    at: (Sku, LocationCode),
    after: (i64, i32),
    rows: i64,
) -> Result<Vec<Row>, store::Error> {
    let rows = sqlx::query_as(include_str!("card.sql"))
        .bind(tenant)
        .bind(at.0.as_str())
        .bind(at.1.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(rows)
        .fetch_all(&pool)
        .await?;
    Ok(rows)
}
