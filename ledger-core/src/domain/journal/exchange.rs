//! What the postings of an entry are worth in the base currency.
//!
//! **Shape**: base postings as they are; foreign ones at the stated value, else at the entry's rate, else - for a
//! currency that nets to zero and has no rate - at what it was carried at. What leaves an asset or a liability takes its
//! share of the value it was carried at (weighted average, as stock does), and the difference is an exchange gain or loss
//! (IAS 21.28).
//! **Correctness**: 1. The entry must balance at its rates before any gain or loss is taken, to the rounding of one unit
//! per exchanged posting: a wrong amount is never hidden in a gain. 2. The last unit of a currency takes the whole of
//! what is left of its value, and what a reversal leaves is posted as a difference: an asset or liability that holds no
//! currency holds no value of it.

use super::command::{EntryLine, ExchangeRate};
use super::decide::{detail, must_balance, rate_of, show, sides};
use crate::domain::amount::{Number, share};
use crate::domain::catalogue::command::MovementKind;
use crate::domain::catalogue::decide::DEFAULT_CLASS;
use crate::domain::currency::exchange;
use crate::domain::event::Posting;
use crate::domain::id::{AccountCode, CurrencyCode, PostingClass, Text};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Account, Ledger};

/// A line whose account, currency and amount are checked.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) line: &'a EntryLine,
    pub(super) account: &'a Account,
    /// 1 for a debit, −1 for a credit.
    pub(super) sign: i64,
    /// Above zero, in units of its currency.
    pub(super) units: i64,
    /// A currency other than the base currency, with its decimals.
    pub(super) foreign: Option<(&'a CurrencyCode, u8)>,
    /// What it is worth, as stated: units of the base currency.
    pub(super) base: Option<i64>,
}

impl Draft<'_> {
    fn signed(&self) -> i64 {
        self.units.saturating_mul(self.sign)
    }

    fn posting(&self, amount: i64) -> Posting {
        let foreign = self.foreign.map(|(code, scale)| (code, self.signed(), scale));
        Posting { account: self.line.account.clone(), amount, detail: detail(self.line, foreign) }
    }
}

/// What an entry posts.
#[derive(Debug)]
pub(super) struct Valued {
    /// Σ = 0.
    pub(super) postings: Vec<Posting>,
    /// Gained (above zero) or lost by exchange; a posting of it is among them.
    pub(super) difference: i64,
}

impl Valued {
    /// The difference, if there is one.
    pub(super) fn told(&self) -> Option<i64> {
        Some(self.difference).filter(|d| *d != 0)
    }
}

fn range() -> Rejection {
    Rejection::NumberOutOfRange { field: Text::trusted("base") }
}

/// The postings of checked lines, with what the exchange gained or lost.
pub(super) fn valued(
    ledger: &Ledger,
    drafts: &[Draft<'_>],
    rates: &[ExchangeRate],
    is_pending: bool,
) -> Result<Valued, Rejection> {
    if drafts.iter().all(|d| d.foreign.is_none()) {
        if let Some(unused) = rates.first() {
            return Err(Rejection::RateUnused { currency: unused.currency.clone() });
        }
        must_balance(sides(drafts.iter().map(Draft::signed)), ledger.money(), None)?;
        return Ok(Valued { postings: drafts.iter().map(|d| d.posting(d.signed())).collect(), difference: 0 });
    }
    check_each_currency(drafts, rates)?;
    let mut carried = Carried::default();
    let mut at_rate = Vec::with_capacity(drafts.len());
    for d in drafts {
        at_rate.push(match (d.foreign, d.base) {
            (None, _) => Some(d.signed()),
            (Some(_), Some(base)) => Some(base.saturating_mul(d.sign)),
            (Some((code, scale)), None) => match rate_of(rates, code) {
                Some(rate) => Some(exchange(d.signed(), scale, *rate, ledger.money()).ok_or_else(range)?),
                None => None,
            },
        });
    }
    check_at_rates(ledger, drafts, &at_rate)?;
    let mut amounts = Vec::with_capacity(drafts.len());
    for (d, rated) in drafts.iter().zip(&at_rate) {
        let value = match (d.foreign, d.base, is_pending) {
            (Some((code, _)), None, false) if d.account.definition.account_type.is_carried() => carried.value(d, code, *rated)?,
            _base_stated_or_not_carried => *rated,
        };
        amounts.push(value);
    }
    spread_unrated(drafts, &mut amounts)?;
    let mut postings = Vec::with_capacity(drafts.len().saturating_add(1));
    let mut sum: i128 = 0;
    for (d, amount) in drafts.iter().zip(amounts) {
        let amount = amount.ok_or_else(range)?;
        sum = sum.saturating_add(i128::from(amount));
        postings.push(d.posting(amount));
    }
    let difference = i64::try_from(sum).map_err(|_| range())?;
    if difference != 0 {
        postings.push(Posting::new(exchange_account(ledger, MovementKind::Exchange)?, difference.saturating_neg()));
    }
    if is_pending {
        return Ok(Valued { postings, difference });
    }
    let cleared = cleared(ledger, postings)?;
    Ok(Valued { difference: difference.saturating_add(cleared.difference), ..cleared })
}

/// Adds what the exchange gained or lost where postings leave an asset or liability without units of a currency, but not
/// without value: a reversal, or a part of a pending entry, takes what was posted, not what is carried.
pub(super) fn cleared(ledger: &Ledger, mut postings: Vec<Posting>) -> Result<Valued, Rejection> {
    let mut after: Vec<(&Account, CurrencyCode, u8, i128, i128)> = Vec::new();
    for p in &postings {
        let Some((code, units, scale)) = p.foreign() else { continue };
        let found = ledger.account(p.account.as_str()).filter(|(_, a)| a.definition.account_type.is_carried());
        let Some((_, account)) = found else { continue };
        let at = match after.iter().position(|(a, c, ..)| a.definition.code == account.definition.code && c == code) {
            Some(at) => at,
            None => {
                let (held, base) = account.book(code).map_or((0, 0), |b| (b.sides.balance(), b.base));
                after.push((account, code.clone(), scale, held, base));
                after.len().saturating_sub(1)
            }
        };
        let (.., held, base) = after.get_mut(at).ok_or_else(range)?;
        *held = held.saturating_add(i128::from(units));
        *base = base.saturating_add(i128::from(p.amount));
    }
    let mut sum = 0_i64;
    for (account, currency, scale, held, base) in after {
        if held != 0 || base == 0 {
            continue;
        }
        let amount = i64::try_from(base.saturating_neg()).map_err(|_| range())?;
        sum = sum.checked_sub(amount).ok_or_else(range)?;
        postings.push(Posting::in_currency(account.definition.code.clone(), amount, currency, 0, scale));
    }
    if sum != 0 {
        postings.push(Posting::new(exchange_account(ledger, MovementKind::Exchange)?, sum));
    }
    Ok(Valued { postings, difference: sum.saturating_neg() })
}

/// Where exchange gains and losses are posted.
pub(crate) fn exchange_account(ledger: &Ledger, movement: MovementKind) -> Result<AccountCode, Rejection> {
    let class = PostingClass::trusted(DEFAULT_CLASS);
    let account = ledger.ruled_account(movement, &class).cloned();
    account.ok_or(Rejection::PostingRuleMissing { movement, class })
}

/// Debits equal credits in every foreign currency without a rate; no rate is stated in vain.
fn check_each_currency(drafts: &[Draft<'_>], rates: &[ExchangeRate]) -> Result<(), Rejection> {
    let is_there = |currency: &CurrencyCode| drafts.iter().any(|d| d.foreign.is_some_and(|(code, _)| code == currency));
    if let Some(unused) = rates.iter().find(|r| !is_there(&r.currency)) {
        return Err(Rejection::RateUnused { currency: unused.currency.clone() });
    }
    let mut seen: Vec<&CurrencyCode> = Vec::new();
    for (code, scale) in drafts.iter().filter_map(|d| d.foreign) {
        if seen.contains(&code) || rate_of(rates, code).is_some() {
            continue;
        }
        seen.push(code);
        let of_it = drafts.iter().filter(|d| d.foreign.is_some_and(|(c, _)| c == code));
        must_balance(sides(of_it.clone().map(Draft::signed)), scale, Some(code))?;
        let stated = of_it.clone().filter(|d| d.base.is_some()).count();
        if stated != 0 && stated != of_it.count() {
            return Err(Rejection::RateRequired { currency: code.clone() });
        }
    }
    Ok(())
}

/// At the rates, and with the stated values, debits equal credits but for rounding.
fn check_at_rates(ledger: &Ledger, drafts: &[Draft<'_>], at_rate: &[Option<i64>]) -> Result<(), Rejection> {
    let exchanged = drafts.iter().zip(at_rate).filter(|(d, rated)| d.foreign.is_some() && d.base.is_none() && rated.is_some());
    let rounding = i128::try_from(exchanged.count()).unwrap_or(i128::MAX);
    let sides = sides(at_rate.iter().flatten().copied());
    let difference = sides.balance();
    if difference.checked_abs().is_some_and(|d| d <= rounding) {
        return Ok(());
    }
    let (debits, credits) = (show(sides.debits, ledger.money()), show(sides.credits, ledger.money()));
    Err(Rejection::EntryUnbalanced { debits, credits, difference: show(difference, ledger.money()), currency: None })
}

/// What is left of the accounts' foreign balances while an entry's postings take from them.
#[derive(Default)]
struct Carried<'a> {
    left: Vec<(&'a AccountCode, &'a CurrencyCode, i128, i128)>,
}

impl<'a> Carried<'a> {
    /// The value of a posting: what reduces the balance takes its share of it, the rest is at the rate. `None` where a
    /// rate would be needed and is not there.
    fn value(&mut self, d: &Draft<'a>, code: &'a CurrencyCode, rated: Option<i64>) -> Result<Option<i64>, Rejection> {
        let account = &d.account.definition.code;
        let at = match self.left.iter().position(|(a, c, _, _)| *a == account && *c == code) {
            Some(at) => at,
            None => {
                let (units, base) = d.account.book(code).map_or((0, 0), |b| (b.sides.balance(), b.base));
                self.left.push((account, code, units, base));
                self.left.len().saturating_sub(1)
            }
        };
        let (_, _, units, base) = self.left.get_mut(at).ok_or_else(range)?;
        let signed = d.signed();
        let reduces = (*units > 0 && signed < 0) || (*units < 0 && signed > 0);
        let value = if reduces {
            let taken = units.unsigned_abs().min(u128::from(signed.unsigned_abs()));
            let (taken, whole) =
                (i64::try_from(taken).map_err(|_| range())?, i64::try_from(units.unsigned_abs()).map_err(|_| range())?);
            let of_base = share(i64::try_from(*base).map_err(|_| range())?, taken, whole).ok_or_else(range)?.saturating_neg();
            let beyond = signed.saturating_abs().saturating_sub(taken);
            match (beyond, rated) {
                (0, _) => Some(of_base),
                (_, Some(rated)) => {
                    Some(of_base.saturating_add(share(rated, beyond, signed.saturating_abs()).ok_or_else(range)?))
                }
                (_, None) => return Err(Rejection::RateRequired { currency: code.clone() }),
            }
        } else {
            rated
        };
        *units = units.saturating_add(i128::from(signed));
        *base = base.saturating_add(i128::from(value.unwrap_or(0)));
        Ok(value)
    }
}

/// In a currency without a rate, what is carried away is what arrives: the postings that took nothing from a balance
/// share the value of those that did.
fn spread_unrated(drafts: &[Draft<'_>], amounts: &mut [Option<i64>]) -> Result<(), Rejection> {
    let mut done: Vec<&CurrencyCode> = Vec::new();
    for at in 0..drafts.len() {
        let Some((code, _)) = drafts.get(at).and_then(|d| d.foreign).filter(|(code, _)| !done.contains(code)) else { continue };
        done.push(code);
        let of_it: Vec<usize> =
            (0..drafts.len()).filter(|n| drafts.get(*n).is_some_and(|d| d.foreign.is_some_and(|(c, _)| c == code))).collect();
        let amount = |n: &usize, amounts: &[Option<i64>]| amounts.get(*n).copied().flatten();
        let open: Vec<usize> = of_it.iter().copied().filter(|n| amount(n, amounts).is_none()).collect();
        if open.is_empty() {
            continue;
        }
        let known: i64 = of_it.iter().filter_map(|n| amount(n, amounts)).fold(0, i64::saturating_add);
        let signed = |n: &usize| drafts.get(*n).map_or(0, Draft::signed);
        let mut whole: i64 = open.iter().map(signed).fold(0, i64::saturating_add);
        if open.len() == of_it.len() || whole == 0 {
            return Err(Rejection::RateRequired { currency: code.clone() });
        }
        let mut value = known.saturating_neg();
        for n in &open {
            let part = if whole == 0 { value } else { share(value, signed(n), whole).ok_or_else(range)? };
            value = value.saturating_sub(part);
            whole = whole.saturating_sub(signed(n));
            if let Some(slot) = amounts.get_mut(*n) {
                *slot = Some(part);
            }
        }
    }
    Ok(())
}

/// Units of a foreign balance at a rate.
pub(crate) fn at_rate(units: i128, scale: u8, rate: Number, base_scale: u8) -> Option<i64> {
    exchange(i64::try_from(units).ok()?, scale, rate, base_scale)
}
