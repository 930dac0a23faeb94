//! Account sets, dimensions, tax codes, posting rules, the calendar, periods and years: the newest definition as JSON.
//!
//! **Correctness**: a closed period closes every earlier one with it, so the status of a month is the strictest one that
//! the rows of that month and of later ones have. Where the newest closed period is reopened, the month before it stays
//! as the reopened one was: its row says so from then on.

use ledger_core::domain::amount::Number;
use ledger_core::domain::event::{Event, Recorded};
use ledger_core::domain::id::{Position, StreamVersion};
use ledger_core::domain::period::Month;
use ledger_core::domain::period::event::{PeriodClosed, YearClosed};
use serde_json::{Value, json};

use super::Tables;

/// What is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefinitionKind {
    /// A set of accounts.
    AccountSet,
    /// A dimension.
    Dimension,
    /// A tax code.
    TaxCode,
    /// A posting rule; its code is `<movement>/<class>`.
    PostingRule,
    /// The calendar; its code is `calendar`.
    Calendar,
    /// A period that was closed or reopened; its code is its month.
    Period,
    /// A fiscal year that was closed; its code is the calendar year in which it begins.
    Year,
}

impl DefinitionKind {
    /// Every kind.
    pub(super) const ALL: [Self; 7] =
        [Self::AccountSet, Self::Dimension, Self::TaxCode, Self::PostingRule, Self::Calendar, Self::Period, Self::Year];

    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountSet => "account_set",
            Self::Dimension => "dimension",
            Self::TaxCode => "tax_code",
            Self::PostingRule => "posting_rule",
            Self::Calendar => "calendar",
            Self::Period => "period",
            Self::Year => "year",
        }
    }
}

/// Kind and code.
pub type DefinitionKey = (DefinitionKind, String);

/// A row of `view_definition`.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionRow {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// The event that said it.
    pub position: Position,
    /// What it says.
    pub body: Value,
}

fn period(month: Month) -> DefinitionKey {
    (DefinitionKind::Period, month.to_string())
}

fn year(year: i32) -> DefinitionKey {
    (DefinitionKind::Year, year.to_string())
}

/// Keys of the rows that folding an event looks at before it writes them.
pub(super) fn keys(event: &Event) -> Vec<DefinitionKey> {
    match event {
        Event::PeriodReopened(e) => vec![period(e.period), period(e.period.before())],
        Event::YearClosed(e) => vec![year(e.year)],
        _what_it_defines_is_whole => Vec::new(),
    }
}

impl Tables {
    pub(super) fn fold_definitions(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        use DefinitionKind::{AccountSet, Calendar, Dimension, PostingRule, TaxCode};
        match &recorded.fact.event {
            Event::AccountSetDefined(d) => self.define(recorded, (AccountSet, d.code.to_string()), shown(d)?),
            Event::DimensionDefined(d) => self.define(recorded, (Dimension, d.code.to_string()), shown(d)?),
            Event::TaxCodeDefined(d) => self.define(recorded, (TaxCode, d.code.to_string()), shown(d)?),
            Event::PostingRuleDefined(d) => {
                self.define(recorded, (PostingRule, format!("{}/{}", d.movement.as_str(), d.class)), shown(d)?);
            }
            Event::CalendarDefined(d) => self.define(recorded, (Calendar, "calendar".to_owned()), shown(d)?),
            Event::PeriodClosed(e) => self.close_period(recorded, e),
            Event::PeriodReopened(e) => self.reopen_period(recorded, e.period)?,
            Event::YearClosed(e) => self.close_year(recorded, e)?,
            _no_definition => {}
        }
        Ok(())
    }

    fn define(&mut self, recorded: &Recorded, key: DefinitionKey, body: Value) {
        let row = DefinitionRow { stream_version: recorded.stream_version, position: recorded.position, body };
        self.definitions.insert(key.clone(), row);
        self.dirty.definitions.insert(key);
    }

    fn close_period(&mut self, recorded: &Recorded, e: &PeriodClosed) {
        let body = json!({
            "status": if e.soft { "soft_closed" } else { "closed" },
            "position": recorded.position,
            "closed_at": recorded.recorded_at,
            "reason": recorded.fact.note.reason,
            "seal": e.seal,
        });
        self.define(recorded, period(e.period), body);
    }

    fn reopen_period(&mut self, recorded: &Recorded, month: Month) -> Result<(), &'static str> {
        let closed = self.definitions.get(&period(month)).ok_or("the period it reopens is not closed")?.body.clone();
        let before = self.definitions.get(&period(month.before())).and_then(|row| row.body.get("status"));
        // A month that was closed for good by itself keeps its own seal.
        if before.is_none_or(|status| *status != "closed" && Some(status) != closed.get("status")) {
            let mut body = closed;
            if let Some(seal) = body.get_mut("seal") {
                *seal = Value::Null;
            }
            self.define(recorded, period(month.before()), body);
        }
        let body = json!({
            "status": "open",
            "position": recorded.position,
            "closed_at": null,
            "reopened_at": recorded.recorded_at,
            "reason": recorded.fact.note.reason,
            "seal": null,
        });
        self.define(recorded, period(month), body);
        Ok(())
    }

    /// A year may be closed again when something was posted in it later: its result is the sum.
    fn close_year(&mut self, recorded: &Recorded, e: &YearClosed) -> Result<(), &'static str> {
        const RANGE: &str = "the year's result leaves the range";
        let key = year(e.year);
        let mut result = i128::from(e.result);
        if let Some(earlier) = self.definitions.get(&key).and_then(|row| row.body.get("result")) {
            let earlier = earlier.as_str().and_then(|text| Number::parse(text).ok()).and_then(|n| n.units_at(e.money));
            result += i128::from(earlier.ok_or(RANGE)?);
        }
        let result = Number::from_units(i64::try_from(result).map_err(|_| RANGE)?, e.money);
        let body = json!({"closed_at": recorded.recorded_at, "position": recorded.position, "result": result});
        self.define(recorded, key, body);
        Ok(())
    }
}

fn shown(definition: &impl serde::Serialize) -> Result<Value, &'static str> {
    serde_json::to_value(definition).map_err(|_| "it cannot be shown")
}
