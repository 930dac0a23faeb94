//! A journal entry on its way in: signed rows → `post_entry`.
//!
//! **Correctness**: nothing is rounded and no side is guessed: what does not sum to zero goes to the domain, which
//! refuses it with the difference. Only what the domain cannot be asked is answered here: rows of nothing at all, and a
//! single row.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use ledger_core::domain::amount::Number;
use ledger_core::domain::id::Text;
use ledger_core::domain::limit::SCALE_MAX;
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use super::row::Unsent;

/// A day of the calendar, UTC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(String);

impl Day {
    /// Its first instant.
    pub(super) fn midnight(&self) -> String {
        format!("{self}T00:00:00Z")
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = Self(text.to_owned());
        let is_day = text.len() == 10 && Timestamp::parse(&day.midnight()).is_ok();
        if is_day { Ok(day) } else { Err(format!("`{text}` is no day such as 2026-01-31")) }
    }
}

/// One row of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) account: String,
    /// Debit +, credit −.
    pub(super) amount: Number,
    /// What else the posting says, as the command names it.
    pub(super) detail: Map<String, Value>,
}

impl Line {
    fn into_posting(mut self) -> Value {
        let side = if self.amount.is_negative() { "credit" } else { "debit" };
        self.detail.insert("account".to_owned(), self.account.into());
        self.detail.insert(side.to_owned(), self.amount.decimal().abs().to_string().into());
        Value::Object(self.detail)
    }

    /// A row of nothing; one that restates a foreign balance has no amount either, but a base value.
    fn is_nothing(&self) -> bool {
        self.amount.is_zero() && !self.detail.contains_key("base")
    }
}

/// An entry as its source tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) id: String,
    /// RFC 3339.
    pub(super) effective_at: Option<String>,
    pub(super) description: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) series: Option<String>,
    pub(super) lines: Vec<Line>,
}

impl Entry {
    /// The command, or why there is none.
    pub(super) fn into_command(mut self) -> Result<Value, Unsent> {
        self.lines.retain(|line| !line.is_nothing());
        match self.lines.as_slice() {
            [] => return Err(Unsent::Skipped("every amount is zero")),
            [only] => return Err(one_sided(only)?),
            [_, _, ..] => {}
        }
        let postings: Vec<Value> = self.lines.into_iter().map(Line::into_posting).collect();
        let mut command = json!({"type": "post_entry", "id": self.id, "postings": postings});
        let said = [
            ("effective_at", self.effective_at),
            ("description", self.description),
            ("reference", self.reference),
            ("series", self.series),
        ];
        for (field, text) in said.into_iter().filter_map(|(field, text)| Some((field, text?))) {
            command[field] = text.into();
        }
        Ok(command)
    }

    /// The balances a ledger starts with on `day`. What they miss of zero goes to the account named for it, if one is.
    pub(super) fn opening(prefix: &str, day: &Day, mut lines: Vec<Line>, balance_to: Option<&str>) -> Result<Self> {
        let mut description = format!("Opening balances {day}");
        if let Some(account) = balance_to
            && let Some(line) = balancing(&lines, account)?
        {
            description.push_str(&format!("; {} on {account} balances them", line.amount));
            lines.push(line);
        }
        let (id, effective_at) = (format!("{prefix}opening-{day}"), Some(day.midnight()));
        Ok(Self { id, effective_at, description: Some(description), lines, ..Self::default() })
    }
}

fn one_sided(line: &Line) -> Result<Unsent> {
    let side = line.amount.decimal().abs().to_string();
    let (debits, credits) = if line.amount.is_negative() { ("0", side.as_str()) } else { (side.as_str(), "0") };
    Ok(Unsent::Refused(Box::new(Rejection::EntryUnbalanced {
        debits: Text::parse(debits)?,
        credits: Text::parse(credits)?,
        difference: Text::parse(&line.amount.to_string())?,
        currency: None,
    })))
}

/// The row that brings these to zero, if they are not there.
fn balancing(lines: &[Line], account: &str) -> Result<Option<Line>> {
    let sum: i128 = lines.iter().map(|line| nano(line.amount)).sum();
    if sum == 0 {
        return Ok(None);
    }
    let amount = shown(sum.wrapping_neg()).and_then(|text| Number::parse(&text).ok());
    let amount = amount.context("the balances miss zero by more than 18 digits")?;
    Ok(Some(Line { account: account.to_owned(), amount, detail: Map::new() }))
}

/// A number in the smallest units there are. At most 10^27 each: 10^11 of them fit.
pub(super) fn nano(number: Number) -> i128 {
    let missing = u32::from(SCALE_MAX).saturating_sub(number.decimal().scale());
    number.decimal().mantissa().saturating_mul(10_i128.pow(missing))
}

/// Such units as a plain decimal without needless zeros; `None` beyond 28 digits.
pub(super) fn shown(nano: i128) -> Option<String> {
    let decimal = Decimal::try_from_i128_with_scale(nano, u32::from(SCALE_MAX)).ok()?;
    Some(decimal.normalize().to_string())
}

/// An amount as books write it: a plain decimal; zeros in front are forgiven.
pub(super) fn amount(text: &str) -> Result<Number> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let bare = digits.trim_start_matches('0');
    let zero = if bare.starts_with(|c: char| c.is_ascii_digit()) || bare.len() == digits.len() { "" } else { "0" };
    Number::parse(&format!("{sign}{zero}{bare}")).with_context(|| format!("the amount `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(account: &str, text: &str) -> Line {
        Line { account: account.to_owned(), amount: amount(text).unwrap(), detail: Map::new() }
    }

    fn entry(lines: Vec<Line>) -> Entry {
        Entry { id: "e".to_owned(), lines, ..Entry::default() }
    }

    #[test]
    fn amounts_are_plain_decimals() {
        for (text, is) in [("0012.50", "12.50"), ("-00", "0"), ("0", "0"), ("0.10", "0.10"), ("-007", "-7"), ("100", "100")] {
            assert_eq!(amount(text).unwrap(), Number::parse(is).unwrap(), "{text}");
        }
        for text in ["", "-", "12,50", ".50", "1 000", "+5", "5.", "1e3", "00.", "1_000", "9999999999999999999"] {
            assert!(amount(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        assert_eq!("2024-02-29".parse::<Day>().unwrap().midnight(), "2024-02-29T00:00:00Z");
        for text in ["2023-02-29", "2024-2-9", "20240229", "2024-02-29T10:00:00Z", ""] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn rows_of_nothing_are_dropped_and_one_row_is_out_of_balance() {
        let command = entry(vec![line("1", "5"), line("2", "0.00"), line("3", "-5")]).into_command().unwrap();
        let postings = json!([{"account": "1", "debit": "5"}, {"account": "3", "credit": "5"}]);
        assert_eq!(command, json!({"type": "post_entry", "id": "e", "postings": postings}));
        assert!(matches!(entry(vec![line("1", "0"), line("2", "-0.00")]).into_command(), Err(Unsent::Skipped(_))));
        let Err(Unsent::Refused(why)) = entry(vec![line("1", "0"), line("2", "-2.50")]).into_command() else { panic!() };
        let why = serde_json::to_value(&why).unwrap();
        assert_eq!((&why["code"], &why["difference"]), (&json!("entry_unbalanced"), &json!("-2.50")));
    }

    #[test]
    fn an_opening_is_balanced_only_where_asked_and_exactly() {
        let day: Day = "2026-01-01".parse().unwrap();
        let lines = vec![line("1", "100.10"), line("2", "-0.105")];
        assert_eq!(Entry::opening("", &day, lines.clone(), None).unwrap().lines, lines);
        let balanced = Entry::opening("x-", &day, lines.clone(), Some("9")).unwrap();
        assert_eq!(balanced.lines.last().unwrap(), &line("9", "-99.995"));
        assert_eq!(balanced.id, "x-opening-2026-01-01");
        assert!(balanced.description.unwrap().contains("-99.995 on 9"));
        let even = vec![line("1", "1"), line("2", "-1.00")];
        assert_eq!(Entry::opening("", &day, even.clone(), Some("9")).unwrap().lines, even);
        let huge = vec![line("1", "999999999999999999"); 10];
        assert!(Entry::opening("", &day, huge, Some("9")).is_err());
    }
}
