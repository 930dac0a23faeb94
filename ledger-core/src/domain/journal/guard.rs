//! What must hold of the facts of any action that post or make pending: the period takes them, the accounts do.

use rustc_hash::FxHashMap;

use super::decide::show;
use crate::domain::catalogue::command::LimitOn;
use crate::domain::command::Action;
use crate::domain::event::{Event, Fact, Posting};
use crate::domain::id::{AccountCode, CurrencyCode, Text};
use crate::domain::limit::ACCOUNT_TOTAL_MAX;
use crate::domain::period::Month;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Account, Ledger, Sides};

/// Refuses facts that a closed period, or an account's closing, currency or limit forbids.
pub(crate) fn guard(ledger: &Ledger, action: &Action, facts: &[Fact]) -> Result<(), Rejection> {
    check_totals(ledger, facts)?;
    let mut limited: Vec<Change<'_>> = Vec::new();
    for fact in facts {
        check_period(ledger, action, fact)?;
        let is_exempt = matches!(fact.event, Event::YearClosed(_));
        for (p, _) in fact.event.postings() {
            let account = account_of(ledger, p)?;
            if account.definition.is_limited() && !is_exempt {
                change(&mut limited, account, p, What::Posted);
            }
        }
        let (held, freed, _) = fact.event.pending();
        for p in held {
            let account = account_of(ledger, p)?;
            if account.definition.is_limited() {
                change(&mut limited, account, p, What::Held);
            }
        }
        for p in freed {
            if let Some((_, account)) = ledger.account(p.account.as_str()).filter(|(_, a)| a.definition.is_limited()) {
                change(&mut limited, account, p, What::Freed);
            }
        }
    }
    limited.iter().try_for_each(|c| c.check(ledger))
}

fn check_period(ledger: &Ledger, action: &Action, fact: &Fact) -> Result<(), Rejection> {
    let periods = ledger.periods();
    let at = fact.effective_at.unwrap_or_else(|| ledger.now());
    // Almost always true: one comparison.
    if at >= periods.free_from {
        return Ok(());
    }
    if fact.event.movements().next().is_none() && fact.event.postings().next().is_none() {
        return Ok(());
    }
    let soft = at >= periods.open_from;
    let is_adjusting = match action {
        Action::PostEntry(c) => c.adjusting == Some(true),
        Action::ReverseEntry(c) => c.adjusting == Some(true),
        Action::RevalueCurrency(_) | Action::CloseYear(_) => true,
        _another => false,
    };
    if soft && is_adjusting { Ok(()) } else { Err(Rejection::PeriodIsClosed { period: Month::of(at), soft }) }
}

fn account_of<'a>(ledger: &'a Ledger, p: &Posting) -> Result<&'a Account, Rejection> {
    let unknown = || Rejection::UnknownAccount { account: p.account.clone() };
    let (_, account) = ledger.account(p.account.as_str()).ok_or_else(unknown)?;
    if account.definition.retired {
        return Err(Rejection::AccountClosed { account: p.account.clone() });
    }
    if let Some(only) = &account.definition.currency {
        let is_it = match p.foreign() {
            Some((code, _, _)) => code == only,
            None => ledger.is_base(only),
        };
        if !is_it {
            return Err(Rejection::AccountCurrencyDiffers { account: p.account.clone(), currency: only.clone() });
        }
    }
    Ok(account)
}

/// Totals, posted and pending, stay within 64 bits whatever one action adds to them.
fn check_totals(ledger: &Ledger, facts: &[Fact]) -> Result<(), Rejection> {
    let added = || {
        let posted = facts.iter().flat_map(|f| f.event.postings().map(|(p, _)| (p, false)));
        posted.chain(facts.iter().flat_map(|f| f.event.pending().0.iter().map(|p| (p, true))))
    };
    // Almost always true: every account would have room for the largest of them as often as there are postings.
    let (count, most) = added().fold((0_i128, 0_u64), |(n, most), (p, _)| {
        let units = p.foreign().map_or(0, |(_, units, _)| units.unsigned_abs());
        (n.saturating_add(1), most.max(p.amount.unsigned_abs()).max(units))
    });
    let room = ACCOUNT_TOTAL_MAX.saturating_sub(count.saturating_mul(i128::from(most)));
    let is_roomy = |s: Sides| s.debits <= room && s.credits <= room;
    let mut sums: FxHashMap<(&AccountCode, Option<&CurrencyCode>, bool), Sides> = FxHashMap::default();
    for (p, is_pending) in added() {
        let Some((_, account)) = ledger.account(p.account.as_str()) else { continue };
        let foreign = p.foreign().map(|(code, units, _)| (code, units, account.book(code)));
        let of = |posted: Sides, pending: Sides| if is_pending { pending } else { posted };
        let base = of(account.sides(), account.recorded_pending);
        let in_foreign = foreign.and_then(|(_, _, b)| b).map_or(Sides::default(), |b| of(b.sides, b.recorded_pending));
        if is_roomy(base) && is_roomy(in_foreign) {
            continue;
        }
        let units = [Some((None, base, p.amount)), foreign.map(|(code, units, _)| (Some(code), in_foreign, units))];
        for (currency, now, amount) in units.into_iter().flatten() {
            let sides = sums.entry((&p.account, currency, is_pending)).or_insert(now);
            let fits = sides.apply(i128::from(amount), 1).is_some();
            if !fits || sides.debits > ACCOUNT_TOTAL_MAX || sides.credits > ACCOUNT_TOTAL_MAX {
                return Err(Rejection::NumberOutOfRange { field: Text::trusted("balance") });
            }
        }
    }
    Ok(())
}

/// How a posting changes an account.
#[derive(Clone, Copy)]
enum What {
    Posted,
    Held,
    Freed,
}

/// What an action changes of a limited account.
struct Change<'a> {
    account: &'a Account,
    posted: Sides,
    pending: Sides,
}

/// In the account's own currency where it has one, else in the base currency.
fn units_of(account: &Account, p: &Posting) -> i64 {
    match (&account.definition.currency, p.foreign()) {
        (Some(_), Some((_, units, _))) => units,
        _base_value => p.amount,
    }
}

fn change<'a>(limited: &mut Vec<Change<'a>>, account: &'a Account, p: &Posting, what: What) {
    let at = match limited.iter().position(|c| c.account.definition.code == account.definition.code) {
        Some(at) => at,
        None => {
            limited.push(Change { account, posted: Sides::default(), pending: Sides::default() });
            limited.len().saturating_sub(1)
        }
    };
    if let Some(change) = limited.get_mut(at) {
        let (sides, sign) = match what {
            What::Posted => (&mut change.posted, 1),
            What::Held => (&mut change.pending, 1),
            What::Freed => (&mut change.pending, -1),
        };
        // 1,000 postings of 18 digits fit 128 bits.
        let _ = sides.apply(i128::from(units_of(account, p)), sign);
    }
}

impl Change<'_> {
    fn check(&self, ledger: &Ledger) -> Result<(), Rejection> {
        let d = &self.account.definition;
        let foreign = d.currency.as_ref().filter(|only| !ledger.is_base(only));
        let (posted, pending, scale) = match foreign {
            None => (self.account.sides(), self.account.pending, ledger.money()),
            Some(code) => match self.account.book(code) {
                Some(b) => (b.sides, b.pending, b.scale),
                None => (Sides::default(), Sides::default(), crate::domain::currency::scale(code).unwrap_or(0)),
            },
        };
        let is_debit = d.account_type.is_debit_normal();
        let normal = |s: Sides| if is_debit { s.balance() } else { s.balance().saturating_neg() };
        // What counts against the lower bound is what lowers the balance, and the other way round.
        let lowering = |s: Sides| if is_debit { s.credits } else { s.debits };
        let raising = |s: Sides| if is_debit { s.debits } else { s.credits };
        let counts_pending = d.limit_on.unwrap_or_default() == LimitOn::Available;
        let with = |side: &dyn Fn(Sides) -> i128| {
            if counts_pending { side(pending).saturating_add(side(self.pending)) } else { 0 }
        };
        let after = normal(posted).saturating_add(normal(self.posted));
        let (low, high) = (after.saturating_sub(with(&lowering)), after.saturating_add(with(&raising)));
        let change = |side: &dyn Fn(Sides) -> i128| {
            let held = if counts_pending { side(self.pending) } else { 0 };
            held.saturating_add(side(self.posted))
        };
        let bound = |number: Option<crate::domain::amount::Number>| number.and_then(|n| n.units_at(scale)).map(i128::from);
        if let Some(minimum) = bound(d.minimum)
            && low < minimum
            && change(&lowering) > 0
        {
            return Err(exceeded(&d.code, "minimum", minimum, low, scale));
        }
        if let Some(maximum) = bound(d.maximum)
            && high > maximum
            && change(&raising) > 0
        {
            return Err(exceeded(&d.code, "maximum", maximum, high, scale));
        }
        Ok(())
    }
}

fn exceeded(account: &AccountCode, limit: &'static str, bound: i128, balance: i128, scale: u8) -> Rejection {
    let (bound, balance) = (show(bound, scale), show(balance, scale));
    Rejection::LimitExceeded { account: account.clone(), limit: Text::trusted(limit), bound, balance }
}
