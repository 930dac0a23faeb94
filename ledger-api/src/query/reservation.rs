//! Reservations.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::{Position, ReservationId, Sku, Text};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::page::Place;
use super::{Reading, Version, corrupt};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// One line of a reservation.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct LineBody {
    /// The item.
    sku: String,
    /// Where.
    location: String,
    /// Exact decimal.
    #[schema(value_type = super::Exact)]
    quantity: String,
    /// How many of these wait for stock to come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<super::Exact>)]
    waiting: Option<String>,
    /// Of an item tracked by lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lot: Option<String>,
    /// The kit this is a component of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    kit: Option<String>,
}

/// A reservation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReservationBody {
    /// The reservation.
    id: String,
    /// `held`, `allocated`, `released`, `expired` or `committed`. A hold whose instant has come is `expired`, recorded or
    /// not.
    status: String,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    owner: Option<String>,
    /// Free at this instant; absent while allocated, which does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Timestamp>)]
    expires_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = Timestamp)]
    opened_at: Timestamp,
    /// What is, or was, held.
    lines: Vec<LineBody>,
    /// Version of its stream: what `If-Match` takes.
    stream_version: i64,
    /// Newest event that touched it.
    position: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    reservation_id: Option<String>,
    stream_version: Option<i64>,
    position: Option<i64>,
    status: Option<String>,
    owner: Option<String>,
    expires_at: Option<i64>,
    opened_at: Option<i64>,
    lines: Option<String>,
}

impl Row {
    /// The reservation in a row as it is at `now`; `None` in the one row of an empty list.
    fn body(self, now: Timestamp) -> Result<Option<ReservationBody>, store::Error> {
        let Some(id) = self.reservation_id else { return Ok(None) };
        let wrong = || corrupt("view_reservation");
        let recorded = self.status.ok_or_else(wrong)?;
        let expires_at = match recorded.as_str() {
            "allocated" => None,
            _every_other => Some(self.expires_at.map(Timestamp).ok_or_else(wrong)?),
        };
        let has_lapsed = recorded == "held" && expires_at.is_some_and(|at| at <= now);
        let status = if has_lapsed { "expired".to_owned() } else { recorded };
        Ok(Some(ReservationBody {
            id,
            status,
            owner: self.owner,
            expires_at,
            opened_at: self.opened_at.map(Timestamp).ok_or_else(wrong)?,
            lines: serde_json::from_str(&self.lines.ok_or_else(wrong)?).map_err(|_| wrong())?,
            stream_version: self.stream_version.ok_or_else(wrong)?,
            position: self.position.ok_or_else(wrong)?,
        }))
    }
}

fn bodies(rows: Vec<Row>, now: Timestamp) -> Result<(Position, Vec<ReservationBody>), store::Error> {
    let as_of = rows.first().map_or(0, |row| row.as_of);
    let bodies = rows.into_iter().filter_map(|row| row.body(now).transpose()).collect::<Result<_, _>>()?;
    Ok((as_of, bodies))
}

/// Shows a reservation
#[utoipa::path(get, path = "/v1/reservations/{id}", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), ReadHeaders), responses(ReadAnswer<ReservationBody>))]
pub(crate) async fn get_reservation(
    State(api): State<Api>,
    reading: Reading,
    Named(id): Named<ReservationId>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let rows = api.detached(read_one(api.pool.clone(), reading.tenant.0, id.clone())).await?;
    let (as_of, bodies) = bodies(rows, api.pipeline.now())?;
    let unknown = || Problem::unknown(Rejection::UnknownReservation { reservation: id.clone() });
    let body = bodies.into_iter().next().ok_or_else(unknown)?;
    // Between the instant of expiry and its record the body changes without its stream.
    reading.show(as_of, Version::Derived(body.stream_version), &body)
}

async fn read_one(pool: PgPool, tenant: i64, id: ReservationId) -> Result<Vec<Row>, store::Error> {
    Ok(sqlx::query_as(include_str!("reservation.sql")).bind(tenant).bind(id.as_str()).fetch_all(&pool).await?)
}

/// Which reservations.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReservationQuery {
    /// Those that hold this item at present.
    #[param(value_type = Option<String>, nullable = false)]
    item: Option<Sku>,
    /// Those of this owner, closed ones included.
    #[param(value_type = Option<String>, nullable = false)]
    owner: Option<Text>,
    /// Holds that lapse before this instant and have not yet.
    #[param(nullable = false)]
    expires_before: Option<Timestamp>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Lists reservations
///
/// By id; with `expires_before` alone, the next to lapse first.
#[utoipa::path(get, path = "/v1/reservations", tag = "Reservations", params(ReservationQuery, ReadHeaders),
    responses(PageAnswer<ReservationBody>))]
pub(crate) async fn list_reservations(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<ReservationQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let scope = format!("{:?}/{:?}/{:?}", query.item, query.owner, query.expires_before);
    let place = Place::new(&reading, &uri, &scope, query.limit)?;
    let after = place.after::<(i64, String)>(query.cursor.as_deref())?;
    let api = reading.settle(&api).await?;
    let now = api.pipeline.now();
    let rows = api.detached(read_page(api.pool.clone(), reading.tenant.0, query, after, place.rows_to_read(), now)).await?;
    let (as_of, bodies) = bodies(rows, now)?;
    // The instant only orders those that lapse; the other lists go by id.
    place.show(&reading, as_of, bodies, |body| (body.expires_at.map_or(0, |at| at.0), body.id.clone()))
}

/// One statement per kind of filter: each walks an index that fits it.
async fn read_page(
    pool: PgPool,
    tenant: i64,
    query: ReservationQuery,
    after: Option<(i64, String)>,
    rows: i64,
    now: Timestamp,
) -> Result<Vec<Row>, store::Error> {
    let (after_instant, after_id) = after.unwrap_or((now.0, String::new()));
    let before = query.expires_before.map(|at| at.0);
    let owner = query.owner.as_ref().map(Text::as_str);
    let rows = match (&query.item, owner, before) {
        (Some(item), owner, before) => {
            let q = sqlx::query_as(include_str!("reservations_by_item.sql")).bind(tenant).bind(after_id).bind(rows);
            q.bind(item.as_str()).bind(before).bind(now.0).bind(owner).fetch_all(&pool).await?
        }
        (None, Some(owner), before) => {
            let q = sqlx::query_as(include_str!("reservations_by_owner.sql")).bind(tenant).bind(after_id).bind(rows);
            q.bind(owner).bind(before).bind(now.0).fetch_all(&pool).await?
        }
        (None, None, Some(before)) => {
            // The cursor may be older than the present instant; what has lapsed since is skipped.
            let (instant, id) = if after_instant > now.0 { (after_instant, after_id) } else { (now.0, LAST_ID.to_owned()) };
            let q = sqlx::query_as(include_str!("reservations_due.sql")).bind(tenant).bind(id).bind(rows);
            q.bind(before).bind(instant).fetch_all(&pool).await?
        }
        (None, None, None) => {
            let q = sqlx::query_as(include_str!("reservations_all.sql")).bind(tenant).bind(after_id).bind(rows);
            q.fetch_all(&pool).await?
        }
    };
    Ok(rows)
}

/// Sorts after every id: a hold that lapses at the very instant has lapsed.
const LAST_ID: &str = "\u{10ffff}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_expired_at_its_instant() {
        let row = |status: &str| Row {
            as_of: 3,
            reservation_id: Some("r".into()),
            stream_version: Some(1),
            position: Some(2),
            status: Some(status.into()),
            owner: None,
            expires_at: Some(1_000),
            opened_at: Some(0),
            lines: Some(r#"[{"sku":"A","location":"L","quantity":"1.5","waiting":"0.5","lot":"B1","kit":"K"}]"#.into()),
        };
        let body = |status, now| row(status).body(Timestamp(now)).unwrap().unwrap();
        let status = |status, now| body(status, now).status;
        assert_eq!(status("held", 999), "held");
        assert_eq!(status("held", 1_000), "expired");
        assert_eq!(status("committed", 1_000), "committed");
        assert_eq!(status("allocated", 1_000), "allocated");
        let allocated = serde_json::to_value(body("allocated", 1_000)).unwrap();
        assert!(allocated.get("expires_at").is_none());
        assert_eq!(
            allocated["lines"],
            serde_json::json!([{"sku": "A", "location": "L", "quantity": "1.5", "waiting": "0.5", "lot": "B1", "kit": "K"}])
        );
    }
}
