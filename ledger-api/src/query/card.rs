//! The stock card: movements of an item at a location with running quantity and value.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::{LocationCode, Position, Sku};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::balance::position_before;
use super::moment::{Since, Until};
use super::page::{Age, Place};
use super::{Exact, Reading, corrupt, event_type, stock};
use crate::limit::MOVEMENTS_SCANNED_MAX;
use crate::openapi::{PageAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Which movements.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CardQuery {
    /// Recorded then or later.
    #[param(nullable = false)]
    from: Option<Since>,
    /// Recorded then or earlier.
    #[param(nullable = false)]
    to: Option<Until>,
    /// Movements of this type only. At most 10,000 are looked at per call: a page may have few rows, or none, and still a
    /// successor.
    #[param(schema_with = event_type::schema, required = false)]
    r#type: Option<String>,
    /// The oldest first if absent.
    #[param(inline, nullable = false)]
    order: Option<Age>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

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
    looked_position: Option<i64>,
    looked_line: Option<i32>,
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

/// Where a page begins and how far the card goes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    order: Age,
    /// Behind this movement, in the order.
    after: (Position, i32),
    /// The last position in the order.
    last: Position,
    type_number: Option<i16>,
    rows: i64,
}

/// Shows a stock card
///
/// The movements of an item at a location, in the order the log accepted them, with running quantity and value.
#[utoipa::path(get, path = "/v1/stock/{sku}/{location}/card", tag = "Stock", operation_id = "get_stock_card",
    params(("sku" = Sku, Path, description = "The item"), ("location" = LocationCode, Path, description = "Where"), CardQuery, ReadHeaders),
    responses(PageAnswer<CardLine>))]
pub(crate) async fn get_card(
    State(api): State<Api>,
    reading: Reading,
    Named((sku, location)): Named<(Sku, LocationCode)>,
    Asked(query): Asked<CardQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let scope = format!("{:?}/{:?}/{:?}/{:?}", query.from, query.to, query.r#type, query.order);
    let place = Place::new(&reading, &uri, &scope, query.limit)?;
    let after = place.after::<(i64, i32)>(query.cursor.as_deref())?;
    let api = reading.settle(&api).await?;
    let bounds = bounds(&api, &reading, &query, (after, place.rows_to_read())).await?;
    let at = (sku.clone(), location.clone());
    let rows = api.detached(read(api.pool.clone(), reading.tenant.0, at, bounds)).await?;
    let (as_of, item_known, location_known) =
        rows.first().map_or((0, false, false), |r| (r.as_of, r.item_known, r.location_known));
    stock::must_be_known((item_known, &sku), (location_known, &location))?;
    let looked_to = rows.first().and_then(|row| row.looked_position.zip(row.looked_line));
    let mut lines = rows.into_iter().filter_map(|row| row.line().transpose()).collect::<Result<Vec<_>, _>>()?;
    let next = place.cut(&mut lines, |line| (line.position, line.line)).or_else(|| place.cursor(&looked_to?));
    place.show_page(&reading, as_of, lines, next)
}

async fn bounds(
    api: &Api,
    reading: &Reading,
    query: &CardQuery,
    (after, rows): (Option<(i64, i32)>, i64),
) -> Result<Bounds, Problem> {
    let number = |name: &String| {
        event_type::number(name).ok_or_else(|| Problem::new(Fault::ParameterInvalid, format!("there is no event type {name:?}")))
    };
    let type_number = query.r#type.as_ref().map(number).transpose()?;
    // Recording times never run backwards, so a span of them is a span of positions.
    let first = match query.from {
        Some(from) => position_before(api, reading.tenant, from.0).await?.saturating_add(1),
        None => 1,
    };
    let last = match query.to {
        Some(to) => position_before(api, reading.tenant, Timestamp(to.0.0.saturating_add(1))).await?,
        None => Position::MAX,
    };
    let order = query.order.unwrap_or_default();
    let (start, last) = match order {
        Age::Oldest => ((first.saturating_sub(1), i32::MAX), last),
        Age::Newest => ((last, i32::MAX), first),
    };
    Ok(Bounds { order, after: after.unwrap_or(start), last, type_number, rows })
}

async fn read(pool: PgPool, tenant: i64, at: (Sku, LocationCode), bounds: Bounds) -> Result<Vec<Row>, store::Error> {
    let statement = match bounds.order {
        Age::Oldest => include_str!("card.sql"),
        Age::Newest => include_str!("card_newest.sql"),
    };
    let query = sqlx::query_as(statement).bind(tenant).bind(at.0.as_str()).bind(at.1.as_str());
    let query = query.bind(bounds.after.0).bind(bounds.after.1).bind(bounds.rows).bind(bounds.last);
    let scanned_max = if bounds.type_number.is_some() { MOVEMENTS_SCANNED_MAX } else { bounds.rows };
    Ok(query.bind(bounds.type_number).bind(scanned_max).fetch_all(&pool).await?)
}
