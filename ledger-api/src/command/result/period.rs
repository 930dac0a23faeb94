//! Accounting periods and fiscal years.

use ledger_core::domain::period::event::{PeriodClosed, PeriodReopened, YearClosed};
use serde::Serialize;

use crate::query::Exact;

/// A period after the command: the event as it is, and what the period is now.
#[derive(Serialize)]
pub(super) struct Period<'a, E> {
    #[serde(flatten)]
    event: &'a E,
    status: &'static str,
}

impl<'a> From<&'a PeriodClosed> for Period<'a, PeriodClosed> {
    fn from(event: &'a PeriodClosed) -> Self {
        Self { event, status: if event.soft { "soft_closed" } else { "closed" } }
    }
}

impl<'a> From<&'a PeriodReopened> for Period<'a, PeriodReopened> {
    fn from(event: &'a PeriodReopened) -> Self {
        Self { event, status: "open" }
    }
}

/// A fiscal year that was closed. Its postings, one or more per account of the year, are in the event.
#[derive(Serialize)]
pub(super) struct Year {
    year: i32,
    /// A profit above zero, a loss below.
    result: Exact,
    postings_count: usize,
}

impl From<&YearClosed> for Year {
    fn from(event: &YearClosed) -> Self {
        let result = Exact::new(i128::from(event.result), event.money);
        Self { year: event.year, result, postings_count: event.postings.len() }
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::event::Posting;
    use ledger_core::domain::id::AccountCode;
    use ledger_core::domain::period::Month;
    use ledger_core::domain::period::event::{Digest, Seal};
    use serde_json::{Value, json};

    use super::*;

    fn json_of(value: impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn a_period_shows_its_seal() {
        let period: Month = "2026-11".parse().unwrap();
        let seal = Seal { position: 7, log_root: None, balances_root: Digest([0xab; 32]) };
        let closed = PeriodClosed { period, soft: false, seal: Some(seal) };
        assert_eq!(
            json_of(Period::from(&closed)),
            json!({
                "period": "2026-11", "status": "closed", "soft": false,
                "seal": {"position": 7, "balances_root": "ab".repeat(32)},
            })
        );
        let softly = PeriodClosed { soft: true, seal: None, ..closed };
        assert_eq!(json_of(Period::from(&softly)), json!({"period": "2026-11", "status": "soft_closed", "soft": true}));
        let reopened = PeriodReopened { period };
        assert_eq!(json_of(Period::from(&reopened)), json!({"period": "2026-11", "status": "open"}));
    }

    #[test]
    fn a_year_says_how_much_was_posted() {
        let posting = |account, amount| Posting::new(AccountCode::parse(account).unwrap(), amount);
        let postings = vec![posting("4000", 500), posting("5000", -200), posting("3100", -300)];
        let closed = YearClosed { year: 2026, money: 2, postings, result: 300 };
        assert_eq!(json_of(Year::from(&closed)), json!({"year": 2026, "result": "3.00", "postings_count": 3}));
    }
}
