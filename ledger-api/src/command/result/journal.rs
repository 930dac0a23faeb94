//! Journal entries, and balances restated to a rate.

use ledger_core::domain::event::Posting;
use ledger_core::domain::id::{AccountCode, CurrencyCode};
use ledger_core::domain::journal::event::{
    CurrencyRevalued, JournalEntryFreed, JournalEntryHeld, JournalEntryPosted, JournalEntryReversed, JournalEntrySettled,
};
use serde::Serialize;

use crate::query::Exact;

/// An entry after the command: the event as it is, the entry's state, and what the event's postings come to.
#[derive(Serialize)]
pub(super) struct Entry<'a, E> {
    #[serde(flatten)]
    event: &'a E,
    status: &'static str,
    /// Σ debits in the base currency, which is Σ credits.
    amount: Exact,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    currencies: Vec<Sums<'a>>,
}

impl<'a, E> Entry<'a, E> {
    fn new(event: &'a E, status: &'static str, postings: &'a [Posting], money: u8) -> Self {
        let amount = postings.iter().fold(0_i128, |sum, p| sum.saturating_add(i128::from(p.amount.max(0))));
        Self { event, status, amount: Exact::new(amount, money), currencies: sums(postings) }
    }
}

impl<'a> Entry<'a, JournalEntryFreed> {
    pub(super) fn freed(e: &'a JournalEntryFreed, status: &'static str) -> Self {
        Self::new(e, status, &e.freed, e.money)
    }
}

impl<'a> From<&'a JournalEntryPosted> for Entry<'a, JournalEntryPosted> {
    fn from(e: &'a JournalEntryPosted) -> Self {
        Self::new(e, "posted", &e.postings, e.money)
    }
}

impl<'a> From<&'a JournalEntryHeld> for Entry<'a, JournalEntryHeld> {
    fn from(e: &'a JournalEntryHeld) -> Self {
        Self::new(e, "pending", &e.postings, e.money)
    }
}

impl<'a> From<&'a JournalEntrySettled> for Entry<'a, JournalEntrySettled> {
    fn from(e: &'a JournalEntrySettled) -> Self {
        let status = if e.is_open { "partly_settled" } else { "settled" };
        Self::new(e, status, &e.postings, e.money)
    }
}

impl<'a> From<&'a JournalEntryReversed> for Entry<'a, JournalEntryReversed> {
    fn from(e: &'a JournalEntryReversed) -> Self {
        Self::new(e, "reversed", &e.postings, e.money)
    }
}

/// What is debited and credited in one foreign currency.
#[derive(Serialize)]
struct Sums<'a> {
    currency: &'a CurrencyCode,
    debits: Exact,
    credits: Exact,
}

/// In the order in which the currencies come.
fn sums(postings: &[Posting]) -> Vec<Sums<'_>> {
    let mut units: Vec<(&CurrencyCode, u8, i128, i128)> = Vec::new();
    for (currency, amount, scale) in postings.iter().filter_map(Posting::foreign) {
        let amount = i128::from(amount);
        let (debit, credit) = (amount.max(0), amount.min(0).saturating_neg());
        match units.iter_mut().find(|(known, ..)| *known == currency) {
            Some((_, _, debits, credits)) => {
                (*debits, *credits) = (debits.saturating_add(debit), credits.saturating_add(credit));
            }
            None => units.push((currency, scale, debit, credit)),
        }
    }
    let shown = |(currency, scale, debits, credits)| Sums {
        currency,
        debits: Exact::new(debits, scale),
        credits: Exact::new(credits, scale),
    };
    units.into_iter().map(shown).collect()
}

/// Balances in one currency restated: the event as it is, and what changed.
#[derive(Serialize)]
pub(super) struct Revalued<'a> {
    #[serde(flatten)]
    event: &'a CurrencyRevalued,
    differences: Vec<Difference<'a>>,
    /// Gained if above zero.
    total: Exact,
}

/// What an account's value rose by, debits less credits.
#[derive(Serialize)]
struct Difference<'a> {
    account: &'a AccountCode,
    difference: Exact,
}

impl<'a> From<&'a CurrencyRevalued> for Revalued<'a> {
    fn from(e: &'a CurrencyRevalued) -> Self {
        // The posting that is in no foreign currency is where the total went.
        let restated = || e.postings.iter().filter(|p| p.foreign().is_some());
        let total = restated().fold(0_i128, |sum, p| sum.saturating_add(i128::from(p.amount)));
        let shown = |p: &'a Posting| Difference { account: &p.account, difference: Exact::new(p.amount, e.money) };
        Self { event: e, differences: restated().map(shown).collect(), total: Exact::new(total, e.money) }
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::amount::Number;
    use ledger_core::domain::event::PostingDetail;
    use ledger_core::domain::id::{EntryId, SeriesCode, Text};
    use ledger_core::domain::journal::command::ExchangeRate;
    use ledger_core::domain::journal::event::DocumentNumber;
    use ledger_core::domain::time::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn posting(account: &str, amount: i64) -> Posting {
        Posting::new(AccountCode::parse(account).unwrap(), amount)
    }

    fn usd(account: &str, amount: i64, units: i64) -> Posting {
        let detail = PostingDetail {
            currency: Some(CurrencyCode::parse("USD").unwrap()),
            currency_amount: Some(units),
            currency_scale: Some(2),
            ..PostingDetail::default()
        };
        Posting { detail: Some(Box::new(detail)), ..posting(account, amount) }
    }

    fn rate(rate: &str) -> ExchangeRate {
        ExchangeRate { currency: CurrencyCode::parse("USD").unwrap(), rate: Number::parse(rate).unwrap() }
    }

    fn posted(postings: Vec<Posting>, rates: Option<Vec<ExchangeRate>>) -> JournalEntryPosted {
        let id = EntryId::parse("e").unwrap();
        JournalEntryPosted { id, description: None, money: 2, postings, rates, number: None, exchange_difference: None }
    }

    fn json_of(value: impl Serialize) -> Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn an_entry_shows_what_it_comes_to() {
        let number = DocumentNumber { series: SeriesCode::parse("INV").unwrap(), year: 2026, number: 7 };
        let plain = JournalEntryPosted {
            number: Some(number),
            description: Some(Text::parse("rent").unwrap()),
            ..posted(vec![posting("6000", 1_000), posting("6010", 250), posting("1000", -1_250)], None)
        };
        assert_eq!(
            json_of(Entry::from(&plain)),
            json!({
                "id": "e", "description": "rent", "status": "posted", "amount": "12.50",
                "number": {"series": "INV", "year": 2026, "number": 7},
                "postings": [
                    {"account": "6000", "debit": "10.00"}, {"account": "6010", "debit": "2.50"},
                    {"account": "1000", "credit": "12.50"},
                ],
            })
        );
    }

    #[test]
    fn sums_are_exact_beyond_one_number() {
        let most = ledger_core::domain::limit::NUMBER_UNITS_MAX;
        let many = posted((0..1_000).map(|n| posting("1000", if n % 2 == 0 { most } else { -most })).collect(), None);
        assert_eq!(json_of(Entry::from(&many))["amount"], "4999999999999999995.00");
    }

    #[test]
    fn what_the_exchange_gained_is_shown_with_the_sums_of_the_currency() {
        // Sold 100.00 dollars, carried at 90.00, for 95.00.
        let sold = vec![usd("1100", -9_000, -10_000), posting("1000", 9_500), posting("6100", -500)];
        let sold = JournalEntryPosted { exchange_difference: Some(500), ..posted(sold, Some(vec![rate("0.95")])) };
        let shown = json_of(Entry::from(&sold));
        assert_eq!(shown["exchange_difference"], "5.00");
        assert_eq!(shown["currencies"], json!([{"currency": "USD", "debits": "0.00", "credits": "100.00"}]));
        let plain = json_of(Entry::from(&posted(vec![posting("6000", 1), posting("1000", -1)], None)));
        assert_eq!((&plain["exchange_difference"], &plain["currencies"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_pending_entry_is_followed_to_its_end() {
        let id = EntryId::parse("e").unwrap();
        let pair = |units: i64| vec![posting("2000", units), posting("1000", -units)];
        let lines = |amount: &str| json!([{"account": "2000", "debit": amount}, {"account": "1000", "credit": amount}]);
        let held = JournalEntryHeld {
            id: id.clone(),
            description: None,
            money: 2,
            postings: pair(1_000),
            expires_at: Some(Timestamp(1_000_000)),
            rates: None,
        };
        assert_eq!(
            json_of(Entry::from(&held)),
            json!({
                "id": "e", "description": null, "status": "pending", "amount": "10.00", "pending": lines("10.00"),
                "expires_at": "1970-01-01T00:00:01Z",
            })
        );
        let part = JournalEntrySettled {
            id: id.clone(),
            money: 2,
            postings: pair(400),
            freed: pair(400),
            is_open: true,
            number: None,
            exchange_difference: None,
        };
        let shown = json_of(Entry::from(&part));
        assert_eq!((&shown["status"], &shown["amount"]), (&json!("partly_settled"), &json!("4.00")));
        assert_eq!((&shown["postings"], &shown["freed"]), (&lines("4.00"), &lines("4.00")));
        let rest = JournalEntrySettled { is_open: false, freed: pair(600), ..part };
        assert_eq!(json_of(Entry::from(&rest))["status"], "settled");
        let freed = JournalEntryFreed { id: id.clone(), money: 2, freed: pair(600) };
        assert_eq!(
            json_of(Entry::freed(&freed, "voided")),
            json!({"id": "e", "status": "voided", "amount": "6.00", "freed": lines("6.00")})
        );
        let reversed =
            JournalEntryReversed { id, reverses: 7, money: 2, postings: pair(-400), number: None, exchange_difference: None };
        let shown = json_of(Entry::from(&reversed));
        assert_eq!(
            (&shown["status"], &shown["reverses_position"], &shown["amount"]),
            (&json!("reversed"), &json!(7), &json!("4.00"))
        );
    }

    #[test]
    fn a_revaluation_says_what_each_account_gained() {
        let revalued = CurrencyRevalued {
            id: EntryId::parse("e").unwrap(),
            rate: rate("0.9"),
            period: "2026-11".parse().unwrap(),
            money: 2,
            postings: vec![usd("1100", 500, 0), usd("2000", -200, 0), posting("6110", -300)],
        };
        let shown = json_of(Revalued::from(&revalued));
        assert_eq!(
            (&shown["currency"], &shown["rate"], &shown["period"], &shown["total"]),
            (&json!("USD"), &json!("0.9"), &json!("2026-11"), &json!("3.00"))
        );
        assert_eq!(
            shown["differences"],
            json!([{"account": "1100", "difference": "5.00"}, {"account": "2000", "difference": "-2.00"}])
        );
        assert_eq!(shown["postings"].as_array().map(Vec::len), Some(3));
    }
}
