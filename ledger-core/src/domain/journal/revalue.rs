//! Restating foreign balances at a period's end (IAS 21.23).
//!
//! The difference is posted in the period's last instant and taken back in the next one's first, so that what a balance
//! is carried at stays what was paid for it: what is realised later is measured against that, whatever was restated
//! meanwhile, and a period restated late changes nothing that was realised after it.

use super::command::{ExchangeRate, RevalueCurrency};
use super::decide::scale_of;
use super::event::{CurrencyRevalued, JournalEntryReversed};
use super::exchange::{at_rate, exchange_account};
use crate::domain::catalogue::command::MovementKind;
use crate::domain::event::{Event, Posting};
use crate::domain::id::{EntryId, Text};
use crate::domain::rejection::Rejection;
use crate::domain::state::Ledger;

pub(crate) fn revalue_currency(ledger: &Ledger, c: &RevalueCurrency, fresh: &EntryId) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh).clone();
    // The base currency is worth itself.
    let unknown = || Rejection::UnknownCurrency { currency: c.currency.clone() };
    let scale = scale_of(ledger, &c.currency)?.ok_or_else(unknown)?;
    if c.rate.is_zero() || c.rate.is_negative() {
        return Err(Rejection::RateNotPositive { currency: c.currency.clone() });
    }
    if ledger.entry(id.as_str()).is_some() {
        return Err(Rejection::EntryExists { entry: id });
    }
    let range = || Rejection::NumberOutOfRange { field: Text::trusted("rate") };
    let (mut postings, mut sum) = (Vec::new(), 0_i64);
    for account in ledger.accounts().iter().filter(|a| a.definition.is_monetary() && !a.definition.retired) {
        let Some(book) = account.book(&c.currency) else { continue };
        let (units, base) = book.at(c.period);
        let restated = at_rate(units, scale, c.rate, ledger.money()).ok_or_else(range)?;
        let difference = i64::try_from(i128::from(restated).saturating_sub(base)).map_err(|_| range())?;
        if difference == 0 {
            continue;
        }
        sum = sum.checked_add(difference).ok_or_else(range)?;
        postings.push(Posting::in_currency(account.definition.code.clone(), difference, c.currency.clone(), 0, scale));
    }
    if sum != 0 {
        postings.push(Posting::new(exchange_account(ledger, MovementKind::UnrealisedExchange)?, sum.saturating_neg()));
    }
    if postings.is_empty() {
        return Ok(Vec::new());
    }
    let rate = ExchangeRate { currency: c.currency.clone(), rate: c.rate };
    let money = ledger.money();
    let back = JournalEntryReversed {
        id: id.clone(),
        reverses: ledger.position().saturating_add(1),
        money,
        postings: postings.iter().map(Posting::reversed).collect(),
        number: None,
        exchange_difference: None,
    };
    let revalued = CurrencyRevalued { id, rate, period: c.period, money, postings };
    Ok(vec![Event::CurrencyRevalued(revalued), Event::JournalEntryReversed(back)])
}
