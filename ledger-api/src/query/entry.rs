//! Journal entries: what was posted by hand, held, settled, voided or reversed.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::{AccountCode, EntryId, Position, SeriesCode};
use ledger_core::domain::journal::event::DocumentNumber;
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::view::entry::{EntryStatus, EntryView};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::page::{Age, Place};
use super::{Reading, Version, corrupt};
use crate::limit::ENTRIES_SCANNED_MAX;
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// A journal entry.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntryBody {
    /// Its id.
    id: String,
    /// Where it stands. A pending entry whose instant has come is `expired`, recorded or not.
    status: EntryStatus,
    /// Its opposite was posted.
    reversed: bool,
    /// Its number in its series.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    number: Option<DocumentNumber>,
    /// When it happened in the world.
    #[schema(value_type = Timestamp)]
    effective_at: Timestamp,
    /// When the log accepted it.
    #[schema(value_type = Timestamp)]
    recorded_at: Timestamp,
    /// Of a pending entry: void from this instant on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Timestamp>)]
    expires_at: Option<Timestamp>,
    /// Its first event.
    opened_at_position: i64,
    /// Version of its stream: what `If-Match` takes.
    stream_version: i64,
    /// Its newest event.
    position: i64,
    #[serde(flatten)]
    view: EntryView,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    entry_id: Option<String>,
    stream_version: Option<i64>,
    opened_at_position: Option<i64>,
    position: Option<i64>,
    status: Option<String>,
    reversed: Option<bool>,
    effective_at: Option<i64>,
    recorded_at: Option<i64>,
    expires_at: Option<i64>,
    series: Option<String>,
    number_year: Option<i32>,
    number: Option<i64>,
    body: Option<String>,
}

impl Row {
    /// The entry in a row as it is at `now`; `None` in the one row of an empty list.
    fn body(self, now: Timestamp) -> Result<Option<EntryBody>, store::Error> {
        let wrong = || corrupt("view_entry");
        let number = self.number()?;
        let Some(id) = self.entry_id else { return Ok(None) };
        let word = self.status.ok_or_else(wrong)?;
        let mut status = EntryStatus::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(wrong)?;
        let mut view: EntryView = self.body.and_then(|body| serde_json::from_str(&body).ok()).ok_or_else(wrong)?;
        let expires_at = self.expires_at.map(Timestamp);
        if status == EntryStatus::Pending && expires_at.is_some_and(|at| at <= now) {
            status = EntryStatus::Expired;
            view.freed = std::mem::take(&mut view.pending);
        }
        Ok(Some(EntryBody {
            id,
            status,
            reversed: self.reversed.ok_or_else(wrong)?,
            number,
            effective_at: self.effective_at.map(Timestamp).ok_or_else(wrong)?,
            recorded_at: self.recorded_at.map(Timestamp).ok_or_else(wrong)?,
            expires_at,
            opened_at_position: self.opened_at_position.ok_or_else(wrong)?,
            stream_version: self.stream_version.ok_or_else(wrong)?,
            position: self.position.ok_or_else(wrong)?,
            view,
        }))
    }

    fn number(&self) -> Result<Option<DocumentNumber>, store::Error> {
        let (Some(series), Some(year), Some(number)) = (&self.series, self.number_year, self.number) else { return Ok(None) };
        let wrong = || corrupt("view_entry.series");
        let series = SeriesCode::parse(series).map_err(|_| wrong())?;
        Ok(Some(DocumentNumber { series, year, number: u64::try_from(number).map_err(|_| wrong())? }))
    }
}

fn bodies(rows: Vec<Row>, now: Timestamp) -> Result<(Position, Vec<EntryBody>), store::Error> {
    let as_of = rows.first().map_or(0, |row| row.as_of);
    let bodies = rows.into_iter().filter_map(|row| row.body(now).transpose()).collect::<Result<_, _>>()?;
    Ok((as_of, bodies))
}

/// Shows a journal entry
///
/// What it posted, what of it is pending, and what happened to it.
#[utoipa::path(get, path = "/v1/journal/entries/{id}", tag = "Journal", operation_id = "get_entry",
    params(("id" = EntryId, Path, description = "The entry"), ReadHeaders), responses(ReadAnswer<EntryBody>))]
pub(crate) async fn get_entry(State(api): State<Api>, reading: Reading, Named(id): Named<EntryId>) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let rows = api.detached(read_one(api.pool.clone(), reading.tenant.0, id.clone())).await?;
    let (as_of, bodies) = bodies(rows, api.pipeline.now())?;
    let unknown = || Problem::unknown(Rejection::UnknownEntry { entry: id.clone() });
    let body = bodies.into_iter().next().ok_or_else(unknown)?;
    // Between the instant of expiry and its record the body changes without its stream.
    reading.show(as_of, Version::Derived(body.stream_version), &body)
}

async fn read_one(pool: PgPool, tenant: i64, id: EntryId) -> Result<Vec<Row>, store::Error> {
    Ok(sqlx::query_as(include_str!("entry.sql")).bind(tenant).bind(id.as_str()).fetch_all(&pool).await?)
}

/// Which entries.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntryQuery {
    /// Only those that stand here at present.
    #[param(inline, nullable = false)]
    status: Option<EntryStatus>,
    /// Only those that post to this account, or would.
    #[param(value_type = Option<String>, nullable = false)]
    account: Option<AccountCode>,
    /// Only those that have a number of this series, by number; not beside `status` or `account`.
    #[param(value_type = Option<String>, nullable = false)]
    series: Option<SeriesCode>,
    /// Of a series: the fiscal year, named by the calendar year in which it begins.
    #[param(nullable = false)]
    year: Option<i32>,
    /// The oldest first if absent; not beside `series`.
    #[param(inline, nullable = false)]
    order: Option<Age>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Lists journal entries
///
/// In the order of the log, or the newest first; of a series, by number, so that a gap would show. With `status` or `account`, at most 10,000
/// entries are looked at per call: a page may have few rows, or none, and still a successor.
#[utoipa::path(get, path = "/v1/journal/entries", tag = "Journal", operation_id = "list_entries", params(EntryQuery, ReadHeaders),
    responses(PageAnswer<EntryBody>))]
pub(crate) async fn list_entries(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<EntryQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let scope = format!("{:?}/{:?}/{:?}/{:?}/{:?}", query.status, query.account, query.series, query.year, query.order);
    let place = Place::new(&reading, &uri, &scope, query.limit)?;
    let is_filtered = query.status.is_some() || query.account.is_some();
    match (query.series.clone(), query.year) {
        (Some(_), _) if is_filtered => {
            Err(Problem::new(Fault::ParameterInvalid, "series: its entries are not filtered by status or account"))
        }
        (Some(_), _) if query.order.is_some() => {
            Err(Problem::new(Fault::ParameterInvalid, "order: the entries of a series stand by number"))
        }
        (None, Some(_)) => Err(Problem::new(Fault::ParameterInvalid, "year: of a series only")),
        (Some(series), year) => list_numbered(&api, &reading, &place, (series, year), query.cursor.as_deref()).await,
        (None, None) => list_in_order(&api, &reading, &place, query).await,
    }
}

async fn list_numbered(
    api: &Api,
    reading: &Reading,
    place: &Place<'_>,
    (series, year): (SeriesCode, Option<i32>),
    cursor: Option<&str>,
) -> Result<Response, Problem> {
    // Numbers begin at 1.
    let after = place.after::<(i32, i64)>(cursor)?.unwrap_or((year.unwrap_or(i32::MIN), 0));
    let api = &reading.settle(api).await?;
    let (pool, tenant, rows) = (api.pool.clone(), reading.tenant.0, place.rows_to_read());
    let read = async move {
        let query = sqlx::query_as(include_str!("entries_numbered.sql")).bind(tenant).bind(series.as_str());
        Ok(query.bind(after.0).bind(after.1).bind(rows).bind(year).fetch_all(&pool).await?)
    };
    let (as_of, bodies) = bodies(api.detached(read).await?, api.pipeline.now())?;
    place.show(reading, as_of, bodies, |body| {
        body.number.as_ref().map_or((i32::MAX, i64::MAX), |n| (n.year, i64::try_from(n.number).unwrap_or(i64::MAX)))
    })
}

async fn list_in_order(api: &Api, reading: &Reading, place: &Place<'_>, query: EntryQuery) -> Result<Response, Problem> {
    let order = query.order.unwrap_or_default();
    let start = if order == Age::Oldest { 0 } else { Position::MAX };
    let after = place.after::<Position>(query.cursor.as_deref())?.unwrap_or(start);
    let is_filtered = query.status.is_some() || query.account.is_some();
    let api = &reading.settle(api).await?;
    let (now, tenant, rows) = (api.pipeline.now(), reading.tenant.0, place.rows_to_read());
    let pool = api.pool.clone();
    let read = async move {
        let statement = match order {
            Age::Oldest => include_str!("entries.sql"),
            Age::Newest => include_str!("entries_newest.sql"),
        };
        let statement = sqlx::query_as(statement).bind(tenant).bind(after).bind(rows);
        let statement = statement.bind(query.status.map(EntryStatus::as_str)).bind(query.account.map(|a| a.to_string()));
        Ok(statement.bind(now.0).bind(ENTRIES_SCANNED_MAX).fetch_all(&pool).await?)
    };
    let (as_of, mut found) = bodies(api.detached(read).await?, now)?;
    let mut next = place.cut(&mut found, |body| body.opened_at_position);
    if next.is_none() && is_filtered {
        let looked_at = api.detached(looked_at(api.pool.clone(), tenant, (order, after), as_of)).await?;
        next = looked_at.and_then(|position| place.cursor(&position));
    }
    place.show_page(reading, as_of, found, next)
}

/// Where the last entry stands that a filtered page looked at; `None` when the list ends before.
async fn looked_at(
    pool: PgPool,
    tenant: i64,
    (order, after): (Age, Position),
    as_of: Position,
) -> Result<Option<Position>, store::Error> {
    let statement = match order {
        Age::Oldest => include_str!("entries_looked_at.sql"),
        Age::Newest => include_str!("entries_looked_at_newest.sql"),
    };
    let query = sqlx::query_scalar(statement).bind(tenant).bind(after);
    Ok(query.bind(ENTRIES_SCANNED_MAX).bind(as_of).fetch_optional(&pool).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_entry_is_expired_at_its_instant() {
        let row = |status: &str| Row {
            as_of: 3,
            entry_id: Some("e".into()),
            stream_version: Some(1),
            opened_at_position: Some(2),
            position: Some(2),
            status: Some(status.into()),
            reversed: Some(false),
            effective_at: Some(0),
            recorded_at: Some(0),
            expires_at: Some(1_000),
            series: Some("INV".into()),
            number_year: Some(2026),
            number: Some(7),
            body: Some(
                r#"{"postings":[],"held":[{"account":"1","debit":"5.00"}],"pending":[{"account":"1","debit":"5.00"}]}"#.into(),
            ),
        };
        let shown = |status, now| serde_json::to_value(row(status).body(Timestamp(now)).unwrap().unwrap()).unwrap();
        let before = shown("pending", 999);
        assert_eq!((&before["status"], &before["pending"][0]["debit"]), (&"pending".into(), &"5.00".into()));
        let after = shown("pending", 1_000);
        assert_eq!(
            (&after["status"], after.get("pending"), &after["freed"][0]["debit"]),
            (&"expired".into(), None, &"5.00".into())
        );
        assert_eq!(shown("voided", 1_000)["status"], "voided");
        assert_eq!(after["number"], serde_json::json!({"series": "INV", "year": 2026, "number": 7}));
    }
}
