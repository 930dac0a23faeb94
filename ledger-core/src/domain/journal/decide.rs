//! Journal decisions.

use super::command::{
    Balancing, Condition, EntryLine, ExchangeRate, ExpireEntry, PostEntry, ReverseEntry, SettleEntry, VoidEntry,
};
use super::event::{
    DocumentNumber, JournalEntryFreed, JournalEntryHeld, JournalEntryPosted, JournalEntryReversed, JournalEntrySettled,
};
use super::exchange::{self, Draft};
use crate::domain::amount::{Number, share};
use crate::domain::currency;
use crate::domain::event::{Event, Posting, PostingDetail};
use crate::domain::id::{CurrencyCode, EntryId, SeriesCode, Text};
use crate::domain::limit::{CONDITIONS_MAX, DIMENSIONS_MAX, ENTRY_POSTINGS_MAX, PENDING_TTL_SECONDS_MAX, RATES_MAX};
use crate::domain::period::Month;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Account, Entry, EntryStatus, Ledger, Sides};
use crate::domain::stock::place::units;
use crate::domain::time::Timestamp;

/// When an entry happened, and when it is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) effective_at: Timestamp,
    pub(crate) now: Timestamp,
}

/// Units as a decimal; sums have more digits than an amount, but fewer than a 28-digit decimal.
pub(crate) fn show(units: i128, scale: u8) -> Text {
    Text::trusted(&rust_decimal::Decimal::from_i128_with_scale(units, u32::from(scale)).to_string())
}

pub(crate) fn lines_in(count: usize, lines_min: u32, max: usize) -> Result<(), Rejection> {
    let lines_max = u32::try_from(max).unwrap_or(u32::MAX);
    match u32::try_from(count) {
        Ok(count) if (lines_min..=lines_max).contains(&count) => Ok(()),
        Ok(_) | Err(_) => Err(Rejection::LinesOutOfRange { lines_min, lines_max }),
    }
}

pub(crate) fn post_entry(ledger: &Ledger, c: &PostEntry, fresh: &EntryId, times: Times) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh).clone();
    lines_in(c.postings.len(), 2, ENTRY_POSTINGS_MAX)?;
    let is_pending = c.pending == Some(true);
    let expires_at = match c.ttl_seconds {
        Some(_) if !is_pending => return Err(Rejection::TtlWithoutPending),
        Some(seconds) if !(1..=PENDING_TTL_SECONDS_MAX).contains(&seconds) => {
            return Err(Rejection::TtlOutOfRange { seconds_max: PENDING_TTL_SECONDS_MAX });
        }
        seconds => seconds.map(|seconds| times.now.plus_seconds(i64::from(seconds))),
    };
    check_conditions(ledger, c.conditions.as_deref().unwrap_or(&[]))?;
    let rates = c.rates.as_deref().unwrap_or(&[]);
    lines_in(rates.len(), 0, RATES_MAX)?;
    for rate in rates {
        scale_of(ledger, &rate.currency)?;
        if rate.rate.is_zero() || rate.rate.is_negative() {
            return Err(Rejection::RateNotPositive { currency: rate.currency.clone() });
        }
    }
    let mut drafts = (0_u32..).zip(&c.postings).map(|(n, line)| draft(ledger, n, line)).collect::<Result<Vec<_>, _>>()?;
    if let Some(balancing) = c.balancing {
        cut(&mut drafts, balancing)?;
    }
    let valued = exchange::valued(ledger, &drafts, rates, is_pending)?;
    let exchange_difference = valued.told();
    let postings = valued.postings;
    if ledger.entry(id.as_str()).is_some() {
        return Err(Rejection::EntryExists { entry: id });
    }
    let (description, money) = (c.description.clone(), ledger.money());
    let rates = (!rates.is_empty()).then(|| rates.to_vec());
    if is_pending {
        return Ok(vec![Event::JournalEntryHeld(JournalEntryHeld { id, description, money, postings, expires_at, rates })]);
    }
    let number = number(ledger, c.series.as_ref(), times.effective_at);
    let posted = JournalEntryPosted { id, description, money, postings, rates, number, exchange_difference };
    Ok(vec![Event::JournalEntryPosted(posted)])
}

/// The next number of a series in the fiscal year of an instant.
fn number(ledger: &Ledger, series: Option<&SeriesCode>, at: Timestamp) -> Option<DocumentNumber> {
    let year = Month::of(at).fiscal_year(ledger.periods().year_starts);
    series.map(|series| DocumentNumber { series: series.clone(), year, number: ledger.next_number(series, year) })
}

/// Decimals of a foreign currency; `None` for the base currency.
pub(crate) fn scale_of(ledger: &Ledger, code: &CurrencyCode) -> Result<Option<u8>, Rejection> {
    if ledger.is_base(code) {
        return Ok(None);
    }
    currency::scale(code).map(Some).ok_or_else(|| Rejection::UnknownCurrency { currency: code.clone() })
}

fn check_conditions(ledger: &Ledger, conditions: &[Condition]) -> Result<(), Rejection> {
    lines_in(conditions.len(), 0, CONDITIONS_MAX)?;
    for c in conditions {
        let unknown = || Rejection::UnknownAccount { account: c.account.clone() };
        let (_, account) = ledger.account(c.account.as_str()).ok_or_else(unknown)?;
        if let Some(expected) = c.balance {
            let expected = i128::from(units(expected, ledger.money(), "balance")?);
            if account.balance() != expected {
                let (expected, actual) = (show(expected, ledger.money()), show(account.balance(), ledger.money()));
                return Err(Rejection::BalanceDiffers { account: c.account.clone(), expected, actual });
            }
        }
        if let Some(expected) = c.position
            && i64::try_from(expected) != Ok(account.position)
        {
            return Err(Rejection::AccountMoved { account: c.account.clone(), expected, actual: account.position });
        }
    }
    Ok(())
}

/// A line whose account, currency and amount are checked.
fn draft<'a>(ledger: &'a Ledger, number: u32, line: &'a EntryLine) -> Result<Draft<'a>, Rejection> {
    let unknown = || Rejection::UnknownAccount { account: line.account.clone() };
    let (_, account) = ledger.account(line.account.as_str()).ok_or_else(unknown)?;
    if account.definition.retired {
        return Err(Rejection::AccountClosed { account: line.account.clone() });
    }
    if account.holds_inventory {
        return Err(Rejection::InventoryAccount { account: line.account.clone() });
    }
    let foreign = match &line.currency {
        Some(code) => scale_of(ledger, code)?.map(|scale| (code, scale)),
        None => None,
    };
    let scale = foreign.map_or(ledger.money(), |(_, scale)| scale);
    let positive = |number: Number, scale: u8, field: &'static str| match units(number, scale, field)? {
        amount if amount > 0 => Ok(amount),
        _zero_or_below => Err(Rejection::QuantityNotPositive { field: Text::trusted(field) }),
    };
    let (sign, units) = match (line.debit, line.credit) {
        (Some(debit), None) => (1, positive(debit, scale, "debit")?),
        (None, Some(credit)) => (-1, positive(credit, scale, "credit")?),
        (Some(_), Some(_)) | (None, None) => return Err(Rejection::PostingSideInvalid { line: number }),
    };
    let base = match line.base {
        Some(base) if foreign.is_some() => Some(units_or_zero(base, ledger.money())?),
        Some(_) => return Err(Rejection::RateNotPositive { currency: line.currency.clone().unwrap_or_default() }),
        None => None,
    };
    check_dimensions(ledger, line, account)?;
    if let Some(tax) = &line.tax {
        let known = ledger.tax_code(tax).filter(|t| !t.retired);
        known.ok_or_else(|| Rejection::UnknownTaxCode { tax: tax.clone() })?;
    }
    Ok(Draft { line, account, sign, units, foreign, base })
}

fn units_or_zero(number: Number, scale: u8) -> Result<i64, Rejection> {
    match units(number, scale, "base")? {
        amount if amount >= 0 => Ok(amount),
        _below_zero => Err(Rejection::QuantityNotPositive { field: Text::trusted("base") }),
    }
}

fn check_dimensions(ledger: &Ledger, line: &EntryLine, account: &Account) -> Result<(), Rejection> {
    let said = line.dimensions.as_ref();
    if said.is_some_and(|d| d.len() > DIMENSIONS_MAX) {
        return Err(Rejection::TooManyDimensions { dimensions_max: u32::try_from(DIMENSIONS_MAX).unwrap_or(u32::MAX) });
    }
    for (dimension, value) in said.into_iter().flatten() {
        let known = ledger.dimension(dimension).filter(|d| !d.retired);
        let known = known.ok_or_else(|| Rejection::UnknownDimension { dimension: dimension.clone() })?;
        if known.values.as_ref().is_some_and(|values| !values.contains(value)) {
            return Err(Rejection::UnknownDimensionValue { dimension: dimension.clone(), value: value.clone() });
        }
    }
    let required = account.definition.required_dimensions.iter().flatten();
    match required.into_iter().find(|d| !said.is_some_and(|said| said.contains_key(*d))) {
        None => Ok(()),
        Some(dimension) => Err(Rejection::DimensionRequired { account: line.account.clone(), dimension: dimension.clone() }),
    }
}

/// Cuts the amount of two postings to what the balancing accounts have on the other side.
fn cut(drafts: &mut [Draft<'_>], balancing: Balancing) -> Result<(), Rejection> {
    let [a, b] = drafts else { return Err(Rejection::BalancingNeedsTwo) };
    if a.sign == b.sign || a.units != b.units || a.foreign.is_some() || b.foreign.is_some() {
        return Err(Rejection::BalancingNeedsTwo);
    }
    let (debit, credit) = if a.sign > 0 { (&*a, &*b) } else { (&*b, &*a) };
    let room = |have: i128, gone: i128, pending: i128| have.saturating_sub(gone).saturating_sub(pending);
    let of_debit = room(debit.account.credits, debit.account.debits, debit.account.pending.debits);
    let of_credit = room(credit.account.debits, credit.account.credits, credit.account.pending.credits);
    let room = match balancing {
        Balancing::Debit => of_debit,
        Balancing::Credit => of_credit,
        Balancing::Both => of_debit.min(of_credit),
    };
    let units = i128::from(a.units).min(room);
    match i64::try_from(units) {
        Ok(units) if units > 0 => {
            (a.units, b.units) = (units, units);
            Ok(())
        }
        Ok(_) | Err(_) => Err(Rejection::NothingToBalance),
    }
}

/// What a line says beside its account and amount; `None` when it says nothing.
pub(super) fn detail(line: &EntryLine, foreign: Option<(&CurrencyCode, i64, u8)>) -> Option<Box<PostingDetail>> {
    let detail = PostingDetail {
        currency: foreign.map(|(code, _, _)| code.clone()),
        currency_amount: foreign.map(|(_, units, _)| units),
        currency_scale: foreign.map(|(_, _, scale)| scale),
        dimensions: line.dimensions.clone().filter(|d| !d.is_empty()),
        party: line.party.clone(),
        item: line.item.clone(),
        due_at: line.due_at,
        tax: line.tax.clone(),
        memo: line.memo.clone(),
    };
    (detail != PostingDetail::default()).then(|| Box::new(detail))
}

fn pending_entry<'a>(ledger: &'a Ledger, id: &EntryId) -> Result<&'a Entry, Rejection> {
    let entry = ledger.entry(id.as_str()).ok_or_else(|| Rejection::UnknownEntry { entry: id.clone() })?;
    match entry.status {
        EntryStatus::Pending => Ok(entry),
        // Recorded or not: the same answer with the sweeper stopped.
        EntryStatus::Lapsed | EntryStatus::Expired => {
            Err(Rejection::EntryExpired { entry: id.clone(), expired_at: entry.expires_at.unwrap_or_default() })
        }
        EntryStatus::Posted | EntryStatus::Settled | EntryStatus::Voided => {
            Err(Rejection::EntryNotPending { entry: id.clone(), status: Text::trusted(entry.status.as_str()) })
        }
    }
}

pub(crate) fn settle_entry(ledger: &Ledger, c: &SettleEntry, times: Times) -> Result<Vec<Event>, Rejection> {
    let entry = pending_entry(ledger, &c.id)?;
    let settled = match c.amount {
        None => entry.pending.clone(),
        Some(amount) => part(ledger, c, &entry.pending, amount)?,
    };
    let is_open = c.keep_open == Some(true) && settled != entry.pending;
    let freed = if is_open { settled.clone() } else { entry.pending.clone() };
    let is_something = |p: &Posting| p.amount != 0 || p.foreign().is_some_and(|(_, units, _)| units != 0);
    let cleared = exchange::cleared(ledger, settled.into_iter().filter(is_something).collect())?;
    let exchange_difference = cleared.told();
    let postings = cleared.postings;
    let number = number(ledger, c.series.as_ref(), times.effective_at);
    let (id, money) = (c.id.clone(), ledger.money());
    let settled = JournalEntrySettled { id, money, postings, freed, is_open, number, exchange_difference };
    Ok(vec![Event::JournalEntrySettled(settled)])
}

/// The part of pending postings whose debits are `amount`: every posting takes its share, the last of a side the rest.
fn part(ledger: &Ledger, c: &SettleEntry, pending: &[Posting], amount: Number) -> Result<Vec<Posting>, Rejection> {
    let currency = pending.first().and_then(Posting::foreign).map(|(code, _, scale)| (code, scale));
    let is_same = |p: &Posting| p.foreign().map(|(code, _, scale)| (code, scale)) == currency;
    if !pending.iter().all(is_same) {
        return Err(Rejection::SettlementAmbiguous { entry: c.id.clone() });
    }
    let scale = currency.map_or(ledger.money(), |(_, scale)| scale);
    let amount = units(amount, scale, "amount")?;
    if amount <= 0 {
        return Err(Rejection::QuantityNotPositive { field: Text::trusted("amount") });
    }
    let in_currency = |p: &Posting| p.foreign().map_or(p.amount, |(_, units, _)| units);
    let whole: i128 = pending.iter().map(|p| i128::from(in_currency(p).max(0))).sum();
    if i128::from(amount) > whole {
        return Err(Rejection::SettlementExceedsPending { entry: c.id.clone(), pending: show(whole, scale) });
    }
    let range = || Rejection::NumberOutOfRange { field: Text::trusted("amount") };
    let whole = i64::try_from(whole).map_err(|_| range())?;
    // Base values follow the units: what the debits are worth is what the credits are worth.
    let base: i128 = pending.iter().map(|p| i128::from(p.amount.max(0))).sum();
    let base = i64::try_from(base).map_err(|_| range())?;
    let base_part = share(base, amount, whole).ok_or_else(range)?;
    let mut left = [(amount, whole, base_part, base); 2];
    let mut taken = Vec::with_capacity(pending.len());
    for p in pending {
        let units = in_currency(p);
        let side = left.get_mut(usize::from(units < 0)).ok_or_else(range)?;
        let of_units = share(side.0, units.saturating_abs(), side.1).ok_or_else(range)?;
        let of_base = if side.3 == 0 { 0 } else { share(side.2, p.amount.saturating_abs(), side.3).ok_or_else(range)? };
        side.0 = side.0.saturating_sub(of_units);
        side.1 = side.1.saturating_sub(units.saturating_abs());
        side.2 = side.2.saturating_sub(of_base);
        side.3 = side.3.saturating_sub(p.amount.saturating_abs());
        let mut part = p.clone();
        part.amount = of_base.saturating_mul(units.signum());
        if let Some(detail) = &mut part.detail {
            detail.currency_amount = detail.currency_amount.map(|_| of_units.saturating_mul(units.signum()));
        }
        taken.push(part);
    }
    Ok(taken)
}

pub(crate) fn void_entry(ledger: &Ledger, c: &VoidEntry) -> Result<Vec<Event>, Rejection> {
    let freed = pending_entry(ledger, &c.id)?.pending.clone();
    Ok(vec![Event::JournalEntryVoided(JournalEntryFreed { id: c.id.clone(), money: ledger.money(), freed })])
}

pub(crate) fn expire_entry(ledger: &Ledger, c: &ExpireEntry) -> Result<Vec<Event>, Rejection> {
    let entry = ledger.entry(c.id.as_str()).ok_or_else(|| Rejection::UnknownEntry { entry: c.id.clone() })?;
    match entry.status {
        EntryStatus::Lapsed => {
            let freed = entry.pending.clone();
            Ok(vec![Event::JournalEntryExpired(JournalEntryFreed { id: c.id.clone(), money: ledger.money(), freed })])
        }
        EntryStatus::Pending => Err(Rejection::EntryNotExpired { entry: c.id.clone() }),
        // Recorded already, or settled in time.
        EntryStatus::Posted | EntryStatus::Settled | EntryStatus::Voided | EntryStatus::Expired => Ok(Vec::new()),
    }
}

pub(crate) fn reverse_entry(ledger: &Ledger, c: &ReverseEntry, times: Times) -> Result<Vec<Event>, Rejection> {
    let entry = ledger.entry(c.id.as_str()).ok_or_else(|| Rejection::UnknownEntry { entry: c.id.clone() })?;
    if entry.reversed {
        return Err(Rejection::EntryAlreadyReversed { entry: c.id.clone() });
    }
    if !matches!(entry.status, EntryStatus::Posted | EntryStatus::Settled) {
        return Err(Rejection::EntryNotPosted { entry: c.id.clone(), status: Text::trusted(entry.status.as_str()) });
    }
    // A closed account takes no postings, not even a reversal: the guard says so.
    let cleared = exchange::cleared(ledger, entry.postings.iter().map(Posting::reversed).collect())?;
    let exchange_difference = cleared.told();
    let postings = cleared.postings;
    let number = number(ledger, c.series.as_ref(), times.effective_at);
    let (id, reverses, money) = (c.id.clone(), entry.stream.number, ledger.money());
    let reversed = JournalEntryReversed { id, reverses, money, postings, number, exchange_difference };
    Ok(vec![Event::JournalEntryReversed(reversed)])
}

/// Σ debits and Σ credits of signed units.
pub(super) fn sides(amounts: impl IntoIterator<Item = i64>) -> Sides {
    let mut sides = Sides::default();
    for amount in amounts {
        let amount = i128::from(amount);
        if amount >= 0 {
            sides.debits = sides.debits.saturating_add(amount);
        } else {
            sides.credits = sides.credits.saturating_sub(amount);
        }
    }
    sides
}

/// Refuses debits that differ from credits.
pub(super) fn must_balance(sides: Sides, scale: u8, currency: Option<&CurrencyCode>) -> Result<(), Rejection> {
    if sides.debits == sides.credits {
        return Ok(());
    }
    let (debits, credits) = (show(sides.debits, scale), show(sides.credits, scale));
    Err(Rejection::EntryUnbalanced { debits, credits, difference: show(sides.balance(), scale), currency: currency.cloned() })
}

/// The rate that an entry states for a currency.
pub(super) fn rate_of<'a>(rates: &'a [ExchangeRate], currency: &CurrencyCode) -> Option<&'a Number> {
    rates.iter().find(|r| r.currency == *currency).map(|r| &r.rate)
}
