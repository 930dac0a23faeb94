//! Period decisions.

use super::command::{ClosePeriod, CloseYear, DefineCalendar, ReopenPeriod};
use super::event::{CalendarDefined, Digest, PeriodClosed, PeriodReopened, Seal, YearClosed};
use super::{Month, seal};
use crate::domain::catalogue::command::MovementKind;
use crate::domain::event::{Event, Posting};
use crate::domain::id::{ReasonCode, Text};
use crate::domain::journal::exchange::exchange_account as ruled;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Account, Ledger};

pub(crate) fn define_calendar(ledger: &Ledger, c: &DefineCalendar) -> Result<Vec<Event>, Rejection> {
    let periods = ledger.periods();
    if !(1..=12).contains(&c.year_starts_month) {
        return Err(Rejection::NumberOutOfRange { field: Text::trusted("year_starts_month") });
    }
    if c.year_starts_month == periods.year_starts {
        return Ok(Vec::new());
    }
    if periods.closed_through.is_some() || ledger.is_anything_numbered() {
        return Err(Rejection::CalendarFixed);
    }
    Ok(vec![Event::CalendarDefined(CalendarDefined { year_starts_month: c.year_starts_month })])
}

pub(crate) fn close_period(ledger: &Ledger, c: &ClosePeriod) -> Result<Vec<Event>, Rejection> {
    let (periods, soft) = (ledger.periods(), c.soft == Some(true));
    let through = if soft { periods.soft_through } else { periods.closed_through };
    if through >= Some(c.period) {
        return Ok(Vec::new());
    }
    let ends_at = c.period.end();
    if !soft && ledger.now() < ends_at {
        return Err(Rejection::PeriodNotOver { period: c.period, ends_at });
    }
    let sealed = || Seal {
        position: ledger.position(),
        log_root: ledger.log_root().map(Digest),
        balances_root: Digest(seal::balances_root(ledger, c.period)),
    };
    Ok(vec![Event::PeriodClosed(PeriodClosed { period: c.period, soft, seal: (!soft).then(sealed) })])
}

pub(crate) fn reopen_period(ledger: &Ledger, c: &ReopenPeriod, reason: Option<&ReasonCode>) -> Result<Vec<Event>, Rejection> {
    if reason.is_none() {
        return Err(Rejection::ReasonRequired);
    }
    match ledger.periods().soft_through {
        Some(closed_through) if closed_through > c.period => {
            Err(Rejection::LaterPeriodClosed { period: c.period, closed_through })
        }
        Some(closed_through) if closed_through == c.period => {
            Ok(vec![Event::PeriodReopened(PeriodReopened { period: c.period })])
        }
        Some(_) | None => Err(Rejection::PeriodNotClosed { period: c.period }),
    }
}

pub(crate) fn close_year(ledger: &Ledger, c: &CloseYear) -> Result<Vec<Event>, Rejection> {
    let last = Month::last_of_year(c.year, ledger.periods().year_starts).map_err(|_| Rejection::YearOutOfRange)?;
    let ends_at = last.end();
    if ledger.now() < ends_at {
        return Err(Rejection::PeriodNotOver { period: last, ends_at });
    }
    let mut postings = Vec::new();
    let of_the_year = |a: &&Account| a.definition.account_type.is_of_the_year();
    for account in ledger.accounts().iter().filter(of_the_year) {
        close_account(account, last, &mut postings)?;
    }
    if postings.is_empty() {
        return Ok(Vec::new());
    }
    if ledger.periods().closed_through >= Some(last) {
        return Err(Rejection::PeriodIsClosed { period: last, soft: false });
    }
    // Taking revenue away debits: what is debited more than credited is a profit.
    let result: i128 = postings.iter().map(|p| i128::from(p.amount)).sum();
    let result = i64::try_from(result).map_err(|_| range())?;
    if result != 0 {
        postings.push(Posting::new(ruled(ledger, MovementKind::RetainedEarnings)?, result.saturating_neg()));
    }
    Ok(vec![Event::YearClosed(YearClosed { year: c.year, money: ledger.money(), postings, result })])
}

fn range() -> Rejection {
    Rejection::NumberOutOfRange { field: Text::trusted("balance") }
}

/// The postings that leave nothing of an account at a month's end: one per foreign currency, one for the rest.
fn close_account(account: &Account, last: Month, postings: &mut Vec<Posting>) -> Result<(), Rejection> {
    let units = |n: i128| i64::try_from(n.saturating_neg()).map_err(|_| range());
    let mut rest = account.at(last).balance();
    for book in account.books() {
        let (held, base) = book.at(last);
        if held == 0 && base == 0 {
            continue;
        }
        rest = rest.saturating_sub(base);
        let (code, currency) = (account.definition.code.clone(), book.currency.clone());
        postings.push(Posting::in_currency(code, units(base)?, currency, units(held)?, book.scale));
    }
    if rest != 0 {
        postings.push(Posting::new(account.definition.code.clone(), units(rest)?));
    }
    Ok(())
}
