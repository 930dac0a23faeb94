//! The calendar, the closing of periods and of fiscal years.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::period::Month;
use ledger_core::domain::period::command::{ClosePeriod, CloseYear, DefineCalendar, ReopenPeriod};
use serde::{Deserialize, Deserializer};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CalendarResult, CommandAnswers, CommandHeaders, PeriodResult, YearResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Says when fiscal years begin
///
/// In which month; January without this. Fixed once a period is closed or a document numbered.
#[utoipa::path(put, path = "/v1/calendar", tag = "Periods", params(CommandHeaders),
    request_body = DefineCalendar, responses(CommandAnswers<CalendarResult>))]
pub(crate) async fn put_calendar(
    State(api): State<Api>,
    caller: Caller,
    body: Body<DefineCalendar>,
) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Closes a period
///
/// And every earlier one with it. A closed period takes no postings and is sealed; with `soft` it takes adjusting entries
/// still. The body may be left out.
#[utoipa::path(post, path = "/v1/periods/{id}/close", tag = "Periods",
    params(("id" = Month, Path, description = "The month"), CommandHeaders),
    request_body = ClosePeriod, responses(CommandAnswers<PeriodResult>))]
pub(crate) async fn close_period(
    State(api): State<Api>,
    caller: Caller,
    Named(period): Named<Month>,
    BodyOrNone(mut body): BodyOrNone<ClosePeriod>,
) -> Result<Response, Problem> {
    fill(&mut body.period, period)?;
    submit(&api, caller, body).await
}

/// Opens a period again
///
/// Needs a `reason`. Later ones must be open.
#[utoipa::path(post, path = "/v1/periods/{id}/reopen", tag = "Periods",
    params(("id" = Month, Path, description = "The month"), CommandHeaders),
    request_body = ReopenPeriod, responses(CommandAnswers<PeriodResult>))]
pub(crate) async fn reopen_period(
    State(api): State<Api>,
    caller: Caller,
    Named(period): Named<Month>,
    mut body: Body<ReopenPeriod>,
) -> Result<Response, Problem> {
    fill(&mut body.value.period, period)?;
    submit(&api, caller, body.value).await
}

/// A year in a path: four digits, of those that periods lie in.
pub(crate) struct Year(i32);

impl<'de> Deserialize<'de> for Year {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        // The one rule for what a year is: January of it is a period.
        let january: Result<Month, _> = format!("{text}-01").parse();
        january.map(|month| Self(month.parts().0)).map_err(|_| serde::de::Error::custom("is not a year such as 2026"))
    }
}

/// Closes a fiscal year
///
/// Carries revenue and expense to retained earnings, dated with the year's last instant, and closes its periods. Again
/// after a reopening it carries what has changed. The body may be left out.
#[utoipa::path(post, path = "/v1/years/{year}/close", tag = "Periods",
    params(("year" = i32, Path, description = "The calendar year in which it begins", minimum = 1970, maximum = 9990), CommandHeaders),
    request_body = CloseYear, responses(CommandAnswers<YearResult>))]
pub(crate) async fn close_year(
    State(api): State<Api>,
    caller: Caller,
    Named(Year(year)): Named<Year>,
    BodyOrNone(mut body): BodyOrNone<CloseYear>,
) -> Result<Response, Problem> {
    fill(&mut body.year, year)?;
    submit(&api, caller, body).await
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn years_have_four_digits() {
        let year = |text: &'static str| {
            let text: StrDeserializer<'_, Error> = text.into_deserializer();
            Year::deserialize(text).map(|Year(year)| year).ok()
        };
        assert_eq!((year("2026"), year("1970")), (Some(2026), Some(1970)));
        for bad in ["", "26", "+2026", "-2026", "02026", "1969", "9999", "2026-01", "year"] {
            assert_eq!(year(bad), None, "{bad}");
        }
    }
}
