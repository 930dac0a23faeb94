//! Restating foreign balances at a period's end (IAS 21.23).

use super::command::{ExchangeRate, RevalueCurrency};
use super::decide::scale_of;
use super::event::CurrencyRevalued;
use super::exchange::{at_rate, exchange_account};
use crate::domain::catalogue::command::MovementKind;
use crate::domain::event::{Event, Posting, PostingDetail};
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
        let detail = PostingDetail {
            currency: Some(c.currency.clone()),
            currency_amount: Some(0),
            currency_scale: Some(scale),
            ..PostingDetail::default()
        };
        let account = account.definition.code.clone();
        postings.push(Posting { account, amount: difference, detail: Some(Box::new(detail)) });
    }
    if sum != 0 {
        postings.push(Posting::new(exchange_account(ledger, MovementKind::UnrealisedExchange)?, sum.saturating_neg()));
    }
    if postings.is_empty() {
        return Ok(Vec::new());
    }
    let rate = ExchangeRate { currency: c.currency.clone(), rate: c.rate };
    Ok(vec![Event::CurrencyRevalued(CurrencyRevalued { id, rate, period: c.period, money: ledger.money(), postings })])
}
