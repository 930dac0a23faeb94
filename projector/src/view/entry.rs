//! Journal entries by hand, with what is pending of them.

use ledger_core::domain::event::{Event, Posting, Recorded};
use ledger_core::domain::id::{AccountCode, CurrencyCode, EntryId, Position, StreamVersion};
use ledger_core::domain::journal::event::{DocumentNumber, JournalEntryFreed, JournalEntrySettled};
use ledger_core::domain::time::Timestamp;
use ledger_core::view::entry::{EntryStatus, EntryStep, EntryView, PostingView};

use super::Tables;
use super::posting::{Sides, currency_of, sides};

const ABSENT: &str = "its journal entry is not there";
/// Later events shown with an entry; of more, the newest. The log has them all.
const STEPS_MAX: usize = 1_000;

/// A row of `view_entry`, and its rows of `view_pending` while it is pending.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryRow {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// Its first event.
    pub opened_at_position: Position,
    /// Its newest event.
    pub position: Position,
    /// Where it stands.
    pub status: EntryStatus,
    /// What it posted was taken back.
    pub reversed: bool,
    /// When its first event happened.
    pub effective_at: Timestamp,
    /// When its first event was recorded.
    pub recorded_at: Timestamp,
    /// Void from this instant on, while it is pending.
    pub expires_at: Option<Timestamp>,
    /// The first number it was given; those of later steps are in the body.
    pub number: Option<DocumentNumber>,
    /// What it says.
    pub body: EntryView,
}

/// A row of `view_pending`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the view")]
pub struct PendingRow {
    pub account: AccountCode,
    pub currency: CurrencyCode,
    pub expires_at: Option<Timestamp>,
    pub sides: Sides,
}

impl EntryRow {
    /// What is pending of it, by line. Nothing is left of a line that is not there.
    pub fn pending(&self) -> impl Iterator<Item = (i32, PendingRow)> {
        let lines = (0_i32..).zip(&self.body.pending);
        lines.filter_map(|(line, view)| {
            let p = view.posting()?;
            let row = PendingRow {
                account: p.account.clone(),
                currency: currency_of(&p, 0).0,
                expires_at: self.expires_at,
                sides: sides(&p)?,
            };
            (row.sides != Sides::default()).then_some((line, row))
        })
    }
}

/// What is left of pending postings; `None` where something else or more is freed than there is.
fn subtract(pending: &[PostingView], freed: &[Posting], money: u8) -> Option<Vec<PostingView>> {
    if pending.len() != freed.len() {
        return None;
    }
    // From nothing to the whole of it, on its own side.
    let within = |part: i64, whole: i64| if whole >= 0 { (0..=whole).contains(&part) } else { (whole..=0).contains(&part) };
    let mut left = Vec::with_capacity(pending.len());
    for (view, f) in pending.iter().zip(freed) {
        let mut rest = view.posting()?;
        let units = |p: &Posting| p.foreign().map_or(0, |(_, units, _)| units);
        let whole = (rest.amount, units(&rest));
        let is_same = (&rest.account, currency_of(&rest, money)) == (&f.account, currency_of(f, money));
        if !is_same || !within(f.amount, whole.0) || !within(units(f), whole.1) {
            return None;
        }
        rest.amount = rest.amount.checked_sub(f.amount)?;
        if let Some(left) = rest.detail.as_mut().and_then(|d| d.currency_amount.as_mut()) {
            *left = left.checked_sub(units(f))?;
        }
        left.push(PostingView::new(&rest, money));
    }
    Some(left)
}

impl Tables {
    pub(super) fn fold_entry(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        match &recorded.fact.event {
            Event::JournalEntryPosted(e) => {
                let body = EntryView {
                    description: e.description.clone(),
                    rates: e.rates.clone().unwrap_or_default(),
                    postings: PostingView::all(&e.postings, e.money),
                    ..EntryView::default()
                };
                let row = self.open_entry(recorded, &e.id, EntryStatus::Posted, body);
                row.number.clone_from(&e.number);
            }
            Event::CurrencyRevalued(e) => {
                let body = EntryView {
                    rates: vec![e.rate.clone()],
                    period: Some(e.period),
                    postings: PostingView::all(&e.postings, e.money),
                    ..EntryView::default()
                };
                self.open_entry(recorded, &e.id, EntryStatus::Posted, body);
            }
            Event::JournalEntryHeld(e) => {
                let held = PostingView::all(&e.postings, e.money);
                let body = EntryView {
                    description: e.description.clone(),
                    rates: e.rates.clone().unwrap_or_default(),
                    pending: held.clone(),
                    held,
                    ..EntryView::default()
                };
                let row = self.open_entry(recorded, &e.id, EntryStatus::Pending, body);
                row.expires_at = e.expires_at;
            }
            Event::JournalEntrySettled(e) => self.settle_entry(recorded, e)?,
            Event::JournalEntryVoided(e) => self.free_entry(recorded, e, EntryStatus::Voided)?,
            Event::JournalEntryExpired(e) => self.free_entry(recorded, e, EntryStatus::Expired)?,
            Event::JournalEntryReversed(e) => {
                self.step_entry(recorded, &e.id, e.number.as_ref())?.reversed = true;
            }
            _no_entry => {}
        }
        Ok(())
    }

    fn open_entry(&mut self, recorded: &Recorded, id: &EntryId, status: EntryStatus, body: EntryView) -> &mut EntryRow {
        let note = &recorded.fact.note;
        let row = EntryRow {
            stream_version: recorded.stream_version,
            opened_at_position: recorded.position,
            position: recorded.position,
            status,
            reversed: false,
            effective_at: recorded.effective_at(),
            recorded_at: recorded.recorded_at,
            expires_at: None,
            number: None,
            body: EntryView { reference: note.reference.clone(), reason: note.reason.clone(), ..body },
        };
        self.dirty.entries.insert(id.clone());
        self.entries.entry(id.clone()).insert_entry(row).into_mut()
    }

    /// The row of an entry that something more happens to.
    fn step_entry(
        &mut self,
        recorded: &Recorded,
        id: &EntryId,
        number: Option<&DocumentNumber>,
    ) -> Result<&mut EntryRow, &'static str> {
        let row = self.entries.get_mut(id).ok_or(ABSENT)?;
        (row.stream_version, row.position) = (recorded.stream_version, recorded.position);
        let note = &recorded.fact.note;
        row.body.steps.push(EntryStep {
            r#type: recorded.fact.event.type_name().to_owned(),
            position: recorded.position,
            effective_at: recorded.effective_at(),
            recorded_at: recorded.recorded_at,
            reference: note.reference.clone(),
            reason: note.reason.clone(),
            number: number.cloned(),
        });
        let excess = row.body.steps.len().saturating_sub(STEPS_MAX);
        row.body.steps.drain(..excess);
        self.dirty.entries.insert(id.clone());
        Ok(row)
    }

    fn settle_entry(&mut self, recorded: &Recorded, e: &JournalEntrySettled) -> Result<(), &'static str> {
        let row = self.step_entry(recorded, &e.id, e.number.as_ref())?;
        let left = subtract(&row.body.pending, &e.freed, e.money).ok_or("it frees what is not pending")?;
        let posted = PostingView::all(&e.postings, e.money);
        let (first, later) = if row.body.postings.is_empty() { (posted, Vec::new()) } else { (Vec::new(), posted) };
        row.body.postings.extend(first);
        for posted in later {
            let sum = row.body.postings.iter_mut().find_map(|p| Some((p.plus(&posted)?, p)));
            match sum {
                Some((sum, p)) => *p = sum,
                None => row.body.postings.push(posted),
            }
        }
        if row.number.is_none() {
            row.number.clone_from(&e.number);
        }
        (row.status, row.body.pending) =
            if e.is_open { (EntryStatus::Pending, left) } else { (EntryStatus::Settled, Vec::new()) };
        Ok(())
    }

    fn free_entry(&mut self, recorded: &Recorded, e: &JournalEntryFreed, status: EntryStatus) -> Result<(), &'static str> {
        let row = self.step_entry(recorded, &e.id, None)?;
        subtract(&row.body.pending, &e.freed, e.money).ok_or("it frees what is not pending")?;
        row.body.freed = PostingView::all(&e.freed, e.money);
        (row.status, row.body.pending) = (status, Vec::new());
        Ok(())
    }
}
