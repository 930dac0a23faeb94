//! The calendar, accounting periods and fiscal years.
//!
//! **Correctness**: a closed period closes every earlier one with it, so a month stands where the strictest word of its
//! own row and of those of later months puts it.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::domain::period::Month;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::balance::{must_fit, rows_max};
use super::{Exact, Page, Reading, Version, corrupt};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Which postings a period takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodStatus {
    /// All.
    #[default]
    Open,
    /// Adjusting entries.
    SoftClosed,
    /// None.
    Closed,
}

/// What a closed period rests on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub(crate) struct SealBody {
    /// The log's last event before it was closed.
    position: i64,
    /// Root of the log's tree (RFC 6962) over the events 1 to `position`, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    log_root: Option<String>,
    /// Root of a tree over every account's balance at the period's end, in hexadecimal.
    balances_root: String,
}

/// What was last said of a period, as the view has it.
#[derive(Clone, Debug, Default, Deserialize)]
struct Said {
    status: PeriodStatus,
    #[serde(default)]
    closed_at: Option<Timestamp>,
    #[serde(default)]
    reopened_at: Option<Timestamp>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    seal: Option<SealBody>,
}

/// An accounting period: a calendar month, UTC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PeriodBody {
    /// The month.
    id: Month,
    /// Which postings it takes.
    status: PeriodStatus,
    /// Its first instant.
    starts_at: Timestamp,
    /// The first instant after it.
    ends_at: Timestamp,
    /// The fiscal year it belongs to.
    fiscal_year: i32,
    /// The later period whose closing closed this one too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closed_with: Option<Month>,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closed_at: Option<Timestamp>,
    /// When it was reopened last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reopened_at: Option<Timestamp>,
    /// Why, as a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Of a period that is closed, not softly: its own, or that of the later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    seal: Option<SealBody>,
}

/// When fiscal years begin.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalendarBody {
    /// 1 for January to 12.
    year_starts_month: u8,
    /// Version of the stream of the calendar and the periods: what `If-Match` takes.
    stream_version: i64,
    /// The event that made it so; 0 while nothing was said.
    position: i64,
}

/// A fiscal year.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct YearBody {
    /// The calendar year in which it begins.
    year: i32,
    /// Its first instant.
    starts_at: Timestamp,
    /// The first instant after it.
    ends_at: Timestamp,
    /// Revenue and expense were carried to retained earnings.
    closed: bool,
    /// When that was done last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    closed_at: Option<Timestamp>,
    /// What was carried: profit above zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Exact>)]
    result: Option<String>,
    /// The event that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<i64>,
    /// Its months.
    periods: Vec<PeriodBody>,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    version: i64,
    kind: Option<String>,
    code: Option<String>,
    position: Option<i64>,
    body: Option<String>,
}

/// What was said of the calendar, of some periods and later ones, and of one year.
#[derive(Debug)]
struct Calendar {
    as_of: Position,
    /// Of the stream all of this is in.
    version: i64,
    starts: u8,
    /// The event that said when years begin.
    position: Position,
    /// By month.
    periods: Vec<(Month, Said)>,
    closed: Option<(Position, Closing)>,
}

#[derive(Debug, Deserialize)]
struct Starts {
    year_starts_month: u8,
}

#[derive(Debug, Deserialize)]
struct Closing {
    closed_at: Timestamp,
    result: String,
}

fn parse<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, store::Error> {
    serde_json::from_str(body).map_err(|_| corrupt("view_definition"))
}

impl Calendar {
    fn new(rows: Vec<Row>) -> Result<Self, store::Error> {
        let (as_of, version) = rows.first().map_or((0, 0), |row| (row.as_of, row.version));
        let mut calendar = Self { as_of, version, starts: 1, position: 0, periods: Vec::new(), closed: None };
        for row in rows {
            let (Some(kind), Some(code), Some(position), Some(body)) = (row.kind, row.code, row.position, row.body) else {
                continue;
            };
            match kind.as_str() {
                "calendar" => (calendar.starts, calendar.position) = (parse::<Starts>(&body)?.year_starts_month, position),
                "period" => {
                    let month = code.parse().map_err(|_| corrupt("view_definition.code"))?;
                    calendar.periods.push((month, parse(&body)?));
                }
                _a_year => calendar.closed = Some((position, parse(&body)?)),
            }
        }
        Ok(calendar)
    }

    /// A month's own word, or that of a later month where it is stricter.
    fn period(&self, month: Month) -> PeriodBody {
        let own = self.periods.iter().find(|(m, _)| *m == month);
        let later = self.periods.iter().filter(|(m, _)| *m > month);
        // Of equally strict ones the nearest.
        let strictest = later.rev().max_by_key(|(_, said)| said.status);
        let decisive = match (own, strictest) {
            (Some((_, own)), Some((_, said))) if own.status >= said.status => None,
            (_, strictest) => strictest.filter(|(_, said)| said.status != PeriodStatus::Open),
        };
        let said = decisive.or(own).map(|(_, said)| said.clone()).unwrap_or_default();
        PeriodBody {
            id: month,
            status: said.status,
            starts_at: month.start(),
            ends_at: month.end(),
            fiscal_year: month.fiscal_year(self.starts),
            closed_with: decisive.map(|(month, _)| *month),
            closed_at: said.closed_at,
            reopened_at: said.reopened_at,
            reason: said.reason,
            seal: said.seal,
        }
    }

    /// The months of a fiscal year.
    fn months(&self, year: i32) -> Result<impl Iterator<Item = Month> + use<>, Problem> {
        let first = Month::new(year, self.starts).map_err(|_| out_of_range())?;
        Ok(std::iter::successors(Some(first), |month| Some(month.next())).take(12))
    }
}

fn out_of_range() -> Problem {
    Problem::new(Fault::ParameterInvalid, "year: must be from 1970 to 9990")
}

async fn read(api: &Api, tenant: TenantId, from: Month, year: Option<i32>) -> Result<Calendar, Problem> {
    let (pool, from) = (api.pool.clone(), from.to_string());
    let read = async move {
        let query = sqlx::query_as(include_str!("periods.sql")).bind(tenant.0).bind(from).bind(year.map(|y| y.to_string()));
        Ok(query.bind(rows_max()).fetch_all(&pool).await?)
    };
    let rows: Vec<Row> = api.detached(read).await?;
    must_fit(rows.len(), "periods")?;
    Ok(Calendar::new(rows)?)
}

/// The period whose closing closed a month, and the last event before that; `None` for one that is open or closed softly.
/// First the position this is known up to.
pub(super) async fn sealed(api: &Api, tenant: TenantId, month: Month) -> Result<(Position, Option<(Month, Position)>), Problem> {
    let calendar = read(api, tenant, month, None).await?;
    let period = calendar.period(month);
    Ok((calendar.as_of, period.seal.map(|seal| (period.closed_with.unwrap_or(month), seal.position))))
}

/// The first instant of the fiscal year that an instant lies in.
pub(super) async fn year_start(api: &Api, tenant: TenantId, at: Timestamp) -> Result<Timestamp, Problem> {
    let month = Month::of(at);
    let calendar = read(api, tenant, month, None).await?;
    Ok(Month::new(month.fiscal_year(calendar.starts), calendar.starts).map_or(Timestamp(i64::MIN), Month::start))
}

/// Shows the calendar
///
/// Fiscal years begin in January while nothing else was said.
#[utoipa::path(get, path = "/v1/calendar", tag = "Periods", operation_id = "get_calendar", params(ReadHeaders),
    responses(ReadAnswer<CalendarBody>))]
pub(crate) async fn get_calendar(State(api): State<Api>, reading: Reading) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let found = read(&api, reading.tenant, Month::new(9990, 12).map_err(|_| out_of_range())?, None).await?;
    let body = CalendarBody { year_starts_month: found.starts, stream_version: found.version, position: found.position };
    reading.show(found.as_of, Version::Stream(found.version), &body)
}

/// Which periods.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeriodQuery {
    /// The fiscal year, named by the calendar year in which it begins; the present one if absent.
    #[param(minimum = 1970, maximum = 9990, nullable = false)]
    year: Option<i32>,
}

/// Lists accounting periods
///
/// The twelve months of a fiscal year.
#[utoipa::path(get, path = "/v1/periods", tag = "Periods", operation_id = "list_periods", params(PeriodQuery, ReadHeaders),
    responses(PageAnswer<PeriodBody>))]
pub(crate) async fn list_periods(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PeriodQuery>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let present = Month::of(api.pipeline.now());
    // A fiscal year begins at most eleven months before a month of it.
    let from = match query.year {
        Some(year) => Month::new(year, 1).map_err(|_| out_of_range())?,
        None => Month(present.0.saturating_sub(12)),
    };
    let found = read(&api, reading.tenant, from, None).await?;
    let months = found.months(query.year.unwrap_or_else(|| present.fiscal_year(found.starts)))?;
    let data: Vec<PeriodBody> = months.map(|month| found.period(month)).collect();
    reading.show(found.as_of, Version::Body, &Page::whole(data))
}

/// Shows an accounting period
///
/// Whether it takes postings, and of a closed one the seal: what an auditor compares with the log and the balances.
#[utoipa::path(get, path = "/v1/periods/{id}", tag = "Periods", operation_id = "get_period",
    params(("id" = Month, Path, description = "The month"), ReadHeaders), responses(ReadAnswer<PeriodBody>))]
pub(crate) async fn get_period(
    State(api): State<Api>,
    reading: Reading,
    Named(month): Named<Month>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let found = read(&api, reading.tenant, month, None).await?;
    reading.show(found.as_of, Version::Derived(found.version), &found.period(month))
}

/// Shows a fiscal year
///
/// Its months, and what its closing carried to retained earnings.
#[utoipa::path(get, path = "/v1/years/{year}", tag = "Periods", operation_id = "get_year",
    params(("year" = i32, Path, description = "The calendar year in which it begins", minimum = 1970, maximum = 9990), ReadHeaders),
    responses(ReadAnswer<YearBody>))]
pub(crate) async fn get_year(State(api): State<Api>, reading: Reading, Named(year): Named<i32>) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let from = Month::new(year, 1).map_err(|_| out_of_range())?;
    let mut found = read(&api, reading.tenant, from, Some(year)).await?;
    let closing = found.closed.take();
    let periods: Vec<PeriodBody> = found.months(year)?.map(|month| found.period(month)).collect();
    let (Some(first), Some(last)) = (periods.first(), periods.last()) else { return Err(out_of_range()) };
    let body = YearBody {
        year,
        starts_at: first.starts_at,
        ends_at: last.ends_at,
        closed: closing.is_some(),
        closed_at: closing.as_ref().map(|(_, c)| c.closed_at),
        position: closing.as_ref().map(|(position, _)| *position),
        result: closing.map(|(_, c)| c.result),
        periods,
    };
    reading.show(found.as_of, Version::Derived(found.version), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, code: &str, body: &str) -> Row {
        let text = |text: &str| Some(text.to_owned());
        Row { as_of: 9, version: 4, kind: text(kind), code: text(code), position: Some(7), body: text(body) }
    }

    fn closed(status: &str) -> String {
        let seal = if status == "closed" { r#"{"position":6,"log_root":null,"balances_root":"ab"}"# } else { "null" };
        format!(r#"{{"status":"{status}","position":7,"closed_at":"2026-04-01T00:00:00Z","reason":null,"seal":{seal}}}"#)
    }

    #[test]
    fn a_month_is_as_closed_as_the_strictest_later_one() {
        let rows = vec![
            row("calendar", "calendar", r#"{"year_starts_month":7}"#),
            row("period", "2026-02", &closed("closed")),
            row("period", "2026-03", r#"{"status":"open","position":7,"closed_at":null,"reopened_at":"2026-05-01T00:00:00Z"}"#),
            row("period", "2026-05", &closed("soft_closed")),
        ];
        let calendar = Calendar::new(rows).unwrap();
        let period = |month: &str| calendar.period(month.parse().unwrap());
        let found = |month: &str| (period(month).status, period(month).closed_with.map(|m| m.to_string()));
        assert_eq!(found("2026-01"), (PeriodStatus::Closed, Some("2026-02".into())));
        assert_eq!(found("2026-02"), (PeriodStatus::Closed, None));
        assert_eq!(found("2026-03"), (PeriodStatus::SoftClosed, Some("2026-05".into())));
        assert_eq!(found("2026-05"), (PeriodStatus::SoftClosed, None));
        assert_eq!(found("2026-06"), (PeriodStatus::Open, None));
        assert_eq!(period("2026-01").seal.map(|seal| seal.balances_root), Some("ab".into()));
        assert_eq!([period("2026-06").fiscal_year, period("2026-07").fiscal_year], [2025, 2026]);
        let months: Vec<String> = calendar.months(2025).unwrap().map(|m| m.to_string()).collect();
        assert_eq!((months.len(), months[0].as_str(), months[11].as_str()), (12, "2025-07", "2026-06"));
    }

    #[test]
    fn a_reopened_period_shows_when() {
        let open =
            r#"{"status":"open","position":7,"closed_at":null,"reopened_at":"2026-05-01T00:00:00Z","reason":"LATE","seal":null}"#;
        let period = Calendar::new(vec![row("period", "2026-03", open)]).unwrap().period("2026-03".parse().unwrap());
        assert_eq!((period.status, period.reopened_at.is_some(), period.reason), (PeriodStatus::Open, true, Some("LATE".into())));
    }
}
