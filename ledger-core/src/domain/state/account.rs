//! Accounts in the state: totals posted and pending, in the base currency and per foreign currency, and by month.
//!
//! **Correctness**: every change is additive, so its inverse is the same change with the other sign
//! ([`Account::apply`] with `-1`). Months are kept for what a period's end needs: revaluation, the close of a year, the
//! seal. A month or book that a change makes stays when the change is taken back; an empty one equals none.

use crate::domain::catalogue::event::AccountDefinition;
use crate::domain::event::Posting;
use crate::domain::id::{CurrencyCode, Position};
use crate::domain::period::Month;

use super::row::Stream;

/// Σ debits and Σ credits, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Σ debits.
    pub debits: i128,
    /// Σ credits.
    pub credits: i128,
}

impl Sides {
    /// Debits less credits.
    #[must_use]
    pub const fn balance(self) -> i128 {
        self.debits.saturating_sub(self.credits)
    }

    /// True when nothing was posted, or all of it was taken back.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.debits == 0 && self.credits == 0
    }

    /// Adds a signed amount (`sign` 1), or takes it away again (−1).
    pub(crate) fn apply(&mut self, amount: i128, sign: i128) -> Option<()> {
        let total = if amount >= 0 { &mut self.debits } else { &mut self.credits };
        *total = total.checked_add(amount.checked_abs()?.checked_mul(sign)?)?;
        Some(())
    }

    fn plus(self, other: Self) -> Self {
        Self { debits: self.debits.saturating_add(other.debits), credits: self.credits.saturating_add(other.credits) }
    }
}

/// Which pending totals change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// An entry was held, settled or set free: what is in force and what is recorded.
    Both,
    /// An entry's instant has come: what is in force.
    Lapsed,
    /// That was recorded: what is recorded.
    Recorded,
}

/// What an account holds in one foreign currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    /// The currency.
    pub currency: CurrencyCode,
    /// Its decimals.
    pub scale: u8,
    /// Posted, in units of the currency.
    pub sides: Sides,
    /// What it is carried at: debits less credits, in units of the base currency.
    pub base: i128,
    /// Pending, in units of the currency.
    pub pending: Sides,
    /// The same, with what has lapsed and is not recorded as expired.
    pub(crate) recorded_pending: Sides,
    /// By month: posted in units of the currency, and its base value.
    months: Vec<(Month, Sides, i128)>,
}

impl Book {
    /// Balance in units of the currency and its base value at a month's end.
    #[must_use]
    pub fn at(&self, month: Month) -> (i128, i128) {
        let until = self.months.iter().filter(|(m, _, _)| *m <= month);
        until.fold((0, 0), |(units, base), (_, sides, b)| (units.saturating_add(sides.balance()), base.saturating_add(*b)))
    }
}

/// An account and its totals.
#[derive(Clone, Debug)]
pub struct Account {
    /// Newest definition.
    pub definition: AccountDefinition,
    /// Its stream.
    pub stream: Stream,
    /// Σ debits in units of the base currency.
    pub debits: i128,
    /// Σ credits in units of the base currency.
    pub credits: i128,
    /// Pending, in units of the base currency.
    pub pending: Sides,
    /// The same, with what has lapsed and is not recorded as expired: what the views hold.
    pub(crate) recorded_pending: Sides,
    /// Newest event that posted to it; 0 for none.
    pub position: Position,
    /// Takes postings from stock facts only: it is, or was, some class's inventory account.
    pub holds_inventory: bool,
    /// What was posted in foreign currencies; it is in the totals at its base value.
    books: Vec<Book>,
    /// By month, in order.
    months: Vec<(Month, Sides)>,
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        let totals = |a: &Self| (a.debits, a.credits, a.pending, a.recorded_pending);
        let rest = |a: &Self| (a.stream, a.position, a.holds_inventory);
        (&self.definition, totals(self), rest(self)) == (&other.definition, totals(other), rest(other))
            && self.books().eq(other.books())
            && self.months().eq(other.months())
    }
}

impl Account {
    pub(super) fn new(definition: AccountDefinition, stream: Stream) -> Self {
        let none = Sides::default();
        Self {
            definition,
            stream,
            debits: 0,
            credits: 0,
            pending: none,
            recorded_pending: none,
            position: 0,
            holds_inventory: false,
            books: Vec::new(),
            months: Vec::new(),
        }
    }

    /// Debits less credits, in units of the base currency.
    #[must_use]
    pub const fn balance(&self) -> i128 {
        self.debits.saturating_sub(self.credits)
    }

    /// Posted, in units of the base currency.
    #[must_use]
    pub const fn sides(&self) -> Sides {
        Sides { debits: self.debits, credits: self.credits }
    }

    /// What was posted in foreign currencies.
    pub fn books(&self) -> impl Iterator<Item = &Book> {
        self.books.iter().filter(|b| !b.sides.is_zero() || b.base != 0 || !b.pending.is_zero() || !b.recorded_pending.is_zero())
    }

    /// What was posted in one foreign currency.
    #[must_use]
    pub fn book(&self, currency: &CurrencyCode) -> Option<&Book> {
        self.books.iter().find(|b| b.currency == *currency)
    }

    pub(super) fn months(&self) -> impl Iterator<Item = &(Month, Sides)> {
        self.months.iter().filter(|(_, sides)| !sides.is_zero())
    }

    /// What was posted by a month's end, in units of the base currency.
    #[must_use]
    pub fn at(&self, month: Month) -> Sides {
        self.months.iter().filter(|(m, _)| *m <= month).fold(Sides::default(), |sum, (_, sides)| sum.plus(*sides))
    }

    /// Posts (`sign` 1), or takes it back (−1). `None` when a total leaves the range.
    pub(super) fn apply(&mut self, p: &Posting, month: Month, sign: i128) -> Option<()> {
        let amount = i128::from(p.amount);
        let mut sides = self.sides();
        sides.apply(amount, sign)?;
        (self.debits, self.credits) = (sides.debits, sides.credits);
        month_of(&mut self.months, month, |m| m.0, || (month, Sides::default()))?.1.apply(amount, sign)?;
        if let Some((currency, units, scale)) = p.foreign() {
            let base = amount.checked_mul(sign)?;
            let book = self.book_mut(currency, scale)?;
            book.sides.apply(i128::from(units), sign)?;
            book.base = book.base.checked_add(base)?;
            let row = month_of(&mut book.months, month, |m| m.0, || (month, Sides::default(), 0))?;
            row.1.apply(i128::from(units), sign)?;
            row.2 = row.2.checked_add(base)?;
        }
        Some(())
    }

    /// Makes a posting pending (`sign` 1), or no longer pending (−1).
    pub(super) fn pend(&mut self, p: &Posting, sign: i128, what: Pending) -> Option<()> {
        let apply = |pending: &mut Sides, recorded: &mut Sides, units: i64| {
            if what != Pending::Recorded {
                pending.apply(i128::from(units), sign)?;
            }
            if what == Pending::Lapsed { Some(()) } else { recorded.apply(i128::from(units), sign) }
        };
        apply(&mut self.pending, &mut self.recorded_pending, p.amount)?;
        if let Some((currency, units, scale)) = p.foreign() {
            let book = self.book_mut(currency, scale)?;
            apply(&mut book.pending, &mut book.recorded_pending, units)?;
        }
        Some(())
    }

    fn book_mut(&mut self, currency: &CurrencyCode, scale: u8) -> Option<&mut Book> {
        let at = match self.books.iter().position(|b| b.currency == *currency) {
            Some(at) => at,
            None => {
                let (none, currency) = (Sides::default(), currency.clone());
                let months = Vec::new();
                self.books.push(Book { currency, scale, sides: none, base: 0, pending: none, recorded_pending: none, months });
                self.books.len().checked_sub(1)?
            }
        };
        self.books.get_mut(at)
    }
}

/// A month's row, made in its place if there is none. Facts come mostly in order: the search begins at the end.
fn month_of<T>(rows: &mut Vec<T>, month: Month, key: impl Fn(&T) -> Month, new: impl FnOnce() -> T) -> Option<&mut T> {
    let at = match rows.iter().rposition(|row| key(row) <= month) {
        Some(at) if rows.get(at).is_some_and(|row| key(row) == month) => at,
        before => {
            let at = before.map_or(0, |at| at.saturating_add(1));
            rows.insert(at, new());
            at
        }
    };
    rows.get_mut(at)
}
