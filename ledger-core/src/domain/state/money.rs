//! Postings, pending entries, what groups accounts, and the accounting periods in the state.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::account::Pending;
use super::row::{Entry, EntryStatus, Stream};
use super::undo::Undo;
use super::{Closed, Ledger};
use crate::domain::account::event::{AccountSetDefined, DimensionDefined, TaxCodeDefined};
use crate::domain::event::{Event, Posting, Recorded};
use crate::domain::id::{AccountSetCode, CurrencyCode, DimensionCode, EntryId, SeriesCode, TaxCode};
use crate::domain::journal::event::{DocumentNumber, JournalEntryFreed, JournalEntryHeld, JournalEntrySettled};
use crate::domain::period::event::PeriodClosed;
use crate::domain::period::{Month, seal};
use crate::domain::time::Timestamp;

/// Which periods take postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// The stream of calendar and periods.
    pub stream: Stream,
    /// The month in which fiscal years begin, 1 to 12.
    pub year_starts: u8,
    /// Every month up to this one is closed.
    pub closed_through: Option<Month>,
    /// Every month up to this one is closed or soft-closed.
    pub soft_through: Option<Month>,
    /// The first instant that is not closed.
    pub open_from: Timestamp,
    /// The first instant that is neither closed nor soft-closed.
    pub free_from: Timestamp,
}

impl Default for Periods {
    fn default() -> Self {
        let (open_from, free_from) = (Timestamp(i64::MIN), Timestamp(i64::MIN));
        let stream = Stream::default();
        Self { stream, year_starts: 1, closed_through: None, soft_through: None, open_from, free_from }
    }
}

impl Periods {
    fn set(&mut self, closed: Option<Month>, soft: Option<Month>) {
        let soft = soft.max(closed);
        (self.closed_through, self.soft_through) = (closed, soft);
        self.open_from = closed.map_or(Timestamp(i64::MIN), Month::end);
        self.free_from = soft.map_or(Timestamp(i64::MIN), Month::end);
    }
}

/// What groups accounts and postings, what is numbered, and the periods.
#[derive(Clone, Debug, Default)]
pub struct Money {
    pub(super) sets: FxHashMap<AccountSetCode, (AccountSetDefined, Stream)>,
    pub(super) dimensions: FxHashMap<DimensionCode, (DimensionDefined, Stream)>,
    pub(super) taxes: FxHashMap<TaxCode, (TaxCodeDefined, Stream)>,
    /// The last number given, by series and fiscal year.
    pub(super) series: FxHashMap<(SeriesCode, i32), u64>,
    pub(super) periods: Periods,
    /// Pending entries by the instant they are void from.
    pub(super) expiries: BTreeSet<(Timestamp, EntryId)>,
}

impl Ledger {
    /// A set of accounts.
    #[must_use]
    pub fn account_set(&self, code: &AccountSetCode) -> Option<&AccountSetDefined> {
        self.money.sets.get(code).map(|(d, _)| d)
    }

    /// A dimension.
    #[must_use]
    pub fn dimension(&self, code: &DimensionCode) -> Option<&DimensionDefined> {
        self.money.dimensions.get(code).map(|(d, _)| d)
    }

    /// A tax code.
    #[must_use]
    pub fn tax_code(&self, code: &TaxCode) -> Option<&TaxCodeDefined> {
        self.money.taxes.get(code).map(|(d, _)| d)
    }

    /// Which periods take postings.
    #[must_use]
    pub const fn periods(&self) -> &Periods {
        &self.money.periods
    }

    /// The number that the next document of a series has in a fiscal year.
    #[must_use]
    pub fn next_number(&self, series: &SeriesCode, year: i32) -> u64 {
        self.money.series.get(&(series.clone(), year)).copied().unwrap_or(0).saturating_add(1)
    }

    /// Whether any document was numbered.
    pub(crate) fn is_anything_numbered(&self) -> bool {
        !self.money.series.is_empty()
    }

    /// Pending entries that have lapsed and wait to be recorded as expired, oldest first, at most `limit`.
    #[must_use]
    pub fn lapsed_entries(&self, limit: usize) -> Vec<EntryId> {
        self.money.expiries.iter().take_while(|(at, _)| *at <= self.now).take(limit).map(|(_, id)| id.clone()).collect()
    }

    /// Pending entries whose instant has come since `old` move no pending balance from here on.
    pub(super) fn lapse_entries(&mut self, old: Timestamp) {
        let from = (Timestamp(old.0.saturating_add(1)), EntryId::default());
        let due: Vec<EntryId> =
            self.money.expiries.range(from..).take_while(|(at, _)| *at <= self.now).map(|(_, id)| id.clone()).collect();
        for id in due {
            let Some(entry) = self.entries.get(&id).filter(|e| e.status == EntryStatus::Pending) else { continue };
            let pending = entry.pending.clone();
            // What was made pending can be taken away again.
            let _ = self.pend(&pending, -1, Pending::Lapsed);
            self.touch_entry(&id, |e| e.status = EntryStatus::Lapsed);
        }
    }

    pub(super) fn post(&mut self, postings: &[Posting], effective_at: Timestamp) -> Result<(), &'static str> {
        if postings.is_empty() {
            return Ok(());
        }
        let month = Month::of(effective_at);
        let mut sum: i128 = 0;
        for p in postings {
            let at = *self.account_index.get(&p.account).ok_or("its account is not defined")?;
            let account = self.accounts.get_mut(at as usize).ok_or("its account is not in memory")?;
            self.undo.push(Undo::Posted { account: at, posting: p.clone(), month, position: account.position });
            account.position = self.position;
            account.apply(p, month, 1).ok_or("its account's total leaves the range")?;
            sum = sum.checked_add(i128::from(p.amount)).ok_or("its postings leave the range")?;
        }
        if sum == 0 { Ok(()) } else { Err("its postings do not balance") }
    }

    fn pend(&mut self, postings: &[Posting], sign: i128, what: Pending) -> Result<(), &'static str> {
        for p in postings {
            let at = *self.account_index.get(&p.account).ok_or("its account is not defined")?;
            let account = self.accounts.get_mut(at as usize).ok_or("its account is not in memory")?;
            self.undo.push(Undo::Pended { account: at, posting: p.clone(), sign, what });
            account.pend(p, sign, what).ok_or("its account's pending total leaves the range")?;
        }
        Ok(())
    }

    /// What is not exchanged balances in its own currency too.
    pub(super) fn check_currencies(event: &Event) -> Result<(), &'static str> {
        let mut sums: Vec<(&CurrencyCode, i128)> = Vec::new();
        for (p, _) in event.postings() {
            let Some((currency, units, _)) = p.foreign() else { continue };
            match sums.iter_mut().find(|(c, _)| *c == currency) {
                Some((_, sum)) => *sum = sum.saturating_add(i128::from(units)),
                None => sums.push((currency, i128::from(units))),
            }
        }
        let is_exchanged = |currency: &CurrencyCode| event.rates().iter().any(|r| r.currency == *currency);
        // A part of a pending entry, or its opposite, is exchanged at the rates that entry stated.
        let follows = matches!(event, Event::JournalEntrySettled(_) | Event::JournalEntryReversed(_) | Event::YearClosed(_));
        let unbalanced = sums.iter().any(|(currency, sum)| *sum != 0 && !is_exchanged(currency));
        if unbalanced && !follows { Err("its postings do not balance in a foreign currency") } else { Ok(()) }
    }

    pub(super) fn put_entry(&mut self, id: &EntryId, entry: Entry) {
        let old = self.entries.insert(id.clone(), entry).map(Box::new);
        self.undo.push(Undo::Entry { id: id.clone(), old });
    }

    fn touch_entry(&mut self, id: &EntryId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(id) {
            self.undo.push(Undo::Entry { id: id.clone(), old: Some(Box::new(entry.clone())) });
            change(entry);
        }
    }

    fn set_entry_expiry(&mut self, at: Option<Timestamp>, id: &EntryId, present: bool) {
        let Some(at) = at else { return };
        let was_there = self.money.expiries.contains(&(at, id.clone()));
        self.undo.push(Undo::EntryExpiry { at, id: id.clone(), was_there });
        self.place_entry_expiry(at, id, present);
    }

    pub(super) fn place_entry_expiry(&mut self, at: Timestamp, id: &EntryId, present: bool) {
        if present {
            self.money.expiries.insert((at, id.clone()));
        } else {
            self.money.expiries.remove(&(at, id.clone()));
        }
    }

    /// An entry that is posted at once.
    pub(super) fn post_entry(&mut self, id: &EntryId, postings: &[Posting], stream: Stream) {
        self.put_entry(id, Entry::posted(stream, postings.to_vec()));
        self.note_closed(Closed::Entry(id.clone()));
    }

    pub(super) fn hold_entry(&mut self, e: &JournalEntryHeld, stream: Stream) -> Result<(), &'static str> {
        self.pend(&e.postings, 1, Pending::Both)?;
        let (postings, pending) = (Vec::new(), e.postings.clone());
        let entry = Entry { stream, status: EntryStatus::Pending, reversed: false, postings, pending, expires_at: e.expires_at };
        self.put_entry(&e.id, entry);
        self.set_entry_expiry(e.expires_at, &e.id, true);
        Ok(())
    }

    pub(super) fn settle_entry(&mut self, e: &JournalEntrySettled, stream: Stream) -> Result<(), &'static str> {
        self.pend(&e.freed, -1, Pending::Both)?;
        let entry = self.entries.get(&e.id).ok_or("its entry is not in memory")?;
        let left = subtract(&entry.pending, &e.freed).ok_or("it frees what is not pending")?;
        let expires_at = entry.expires_at;
        self.touch_entry(&e.id, |entry| {
            entry.stream = stream;
            entry.pending = left;
            entry.postings.extend(e.postings.iter().cloned());
            if !e.is_open {
                entry.status = EntryStatus::Settled;
            }
        });
        if !e.is_open {
            self.set_entry_expiry(expires_at, &e.id, false);
            self.note_closed(Closed::Entry(e.id.clone()));
        }
        Ok(())
    }

    pub(super) fn free_entry(&mut self, e: &JournalEntryFreed, status: EntryStatus, stream: Stream) -> Result<(), &'static str> {
        let entry = self.entries.get(&e.id).ok_or("its entry is not in memory")?;
        let expires_at = entry.expires_at;
        let what = if entry.status == EntryStatus::Lapsed { Pending::Recorded } else { Pending::Both };
        self.pend(&e.freed, -1, what)?;
        self.touch_entry(&e.id, |entry| {
            (entry.stream, entry.status) = (stream, status);
            entry.pending.clear();
        });
        self.set_entry_expiry(expires_at, &e.id, false);
        self.note_closed(Closed::Entry(e.id.clone()));
        Ok(())
    }

    pub(super) fn reverse_entry(&mut self, id: &EntryId, postings: &[Posting], stream: Stream) {
        let mut entry = self.entries.get(id).cloned().unwrap_or_else(|| {
            let postings = postings.iter().map(Posting::reversed).collect();
            Entry::posted(stream, postings)
        });
        (entry.stream, entry.reversed) = (stream, true);
        self.put_entry(id, entry);
    }

    pub(super) fn number(&mut self, number: Option<&DocumentNumber>) -> Result<(), &'static str> {
        let Some(n) = number else { return Ok(()) };
        if n.number != self.next_number(&n.series, n.year) {
            return Err("its document number is not the next one");
        }
        let key = (n.series.clone(), n.year);
        let old = self.money.series.insert(key.clone(), n.number);
        self.undo.push(Undo::Series { key, old });
        Ok(())
    }

    fn touch_periods(&mut self, stream: Stream, change: impl FnOnce(&mut Periods)) {
        self.undo.push(Undo::Periods(self.money.periods));
        self.money.periods.stream = stream;
        change(&mut self.money.periods);
    }

    pub(super) fn define_calendar(&mut self, year_starts: u8, stream: Stream) {
        self.touch_periods(stream, |p| p.year_starts = year_starts);
    }

    pub(super) fn close_period(&mut self, e: &PeriodClosed, stream: Stream) -> Result<(), &'static str> {
        if let Some(sealed) = e.seal
            && sealed.balances_root.0 != seal::balances_root(self, e.period)
        {
            return Err("its seal is not that of the balances");
        }
        self.touch_periods(stream, |p| {
            if e.soft {
                p.set(p.closed_through, p.soft_through.max(Some(e.period)));
            } else {
                p.set(p.closed_through.max(Some(e.period)), p.soft_through);
            }
        });
        Ok(())
    }

    pub(super) fn reopen_period(&mut self, period: Month, stream: Stream) {
        let before = Some(period.before());
        self.touch_periods(stream, |p| {
            // Where nothing was closed before, nothing is closed.
            let earlier = |through: Option<Month>| through.map(|m| m.min(period.before()));
            p.set(earlier(p.closed_through), earlier(p.soft_through).min(before));
        });
    }

    pub(super) fn close_year(&mut self, stream: Stream) {
        self.touch_periods(stream, |_| ());
    }

    pub(super) fn define_account_set(&mut self, d: &AccountSetDefined, stream: Stream) {
        let old = self.money.sets.insert(d.code.clone(), (d.clone(), stream)).map(Box::new);
        self.undo.push(Undo::AccountSet { code: d.code.clone(), old });
    }

    pub(super) fn define_dimension(&mut self, d: &DimensionDefined, stream: Stream) {
        let old = self.money.dimensions.insert(d.code.clone(), (d.clone(), stream)).map(Box::new);
        self.undo.push(Undo::Dimension { code: d.code.clone(), old });
    }

    pub(super) fn define_tax_code(&mut self, d: &TaxCodeDefined, stream: Stream) {
        let old = self.money.taxes.insert(d.code.clone(), (d.clone(), stream)).map(Box::new);
        self.undo.push(Undo::TaxCode { code: d.code.clone(), old });
    }

    /// A journal entry's events read back from the log: what is closed.
    pub(super) fn absorb_entry(&mut self, recorded: &Recorded, stream: Stream) {
        let status = match &recorded.fact.event {
            Event::JournalEntryVoided(_) => Some(EntryStatus::Voided),
            Event::JournalEntryExpired(_) => Some(EntryStatus::Expired),
            Event::JournalEntrySettled(_) => Some(EntryStatus::Settled),
            Event::JournalEntryHeld(_) => Some(EntryStatus::Voided),
            Event::JournalEntryPosted(_) | Event::CurrencyRevalued(_) => Some(EntryStatus::Posted),
            _reversal => None,
        };
        let crate::domain::event::Subject::Entry(id) = recorded.fact.event.subject() else { return };
        let is_first = recorded.stream_version == 1;
        if is_first {
            self.note_closed(Closed::Entry(id.clone()));
        }
        let entry = self.entries.entry(id).or_insert_with(|| Entry::posted(stream, Vec::new()));
        entry.stream = stream;
        if let Event::JournalEntryHeld(held) = &recorded.fact.event {
            entry.expires_at = held.expires_at;
        }
        match status {
            Some(status) => {
                entry.status = status;
                entry.postings.extend(recorded.fact.event.postings().map(|(p, _)| p.clone()));
            }
            None => entry.reversed = true,
        }
    }
}

/// What is left of pending postings; `None` when more is taken than there is. Both have the same postings in the same
/// order.
pub(crate) fn subtract(pending: &[Posting], freed: &[Posting]) -> Option<Vec<Posting>> {
    if pending.len() != freed.len() {
        return None;
    }
    let mut left = Vec::with_capacity(pending.len());
    for (p, f) in pending.iter().zip(freed) {
        // What is taken lies on the same side, and is no more than what is there.
        let minus = |whole: i64, part: i64| {
            let is_part = part == 0 || (part.signum() == whole.signum() && part.unsigned_abs() <= whole.unsigned_abs());
            whole.checked_sub(part).filter(|_| is_part)
        };
        let (whole, part) = (p.foreign(), f.foreign());
        if p.account != f.account || whole.map(|(code, ..)| code) != part.map(|(code, ..)| code) {
            return None;
        }
        let mut rest = p.clone();
        rest.amount = minus(p.amount, f.amount)?;
        if let (Some(detail), Some((_, whole, _)), Some((_, part, _))) = (&mut rest.detail, whole, part) {
            detail.currency_amount = Some(minus(whole, part)?);
        }
        left.push(rest);
    }
    Some(left)
}
