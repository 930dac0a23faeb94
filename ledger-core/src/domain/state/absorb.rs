//! Taking back into memory what was dropped from it: closed streams, and the goods of earlier events.

use super::row::{Count, Expectation, Goods, Person, Reservation, ReservationStatus, Stream, Transfer};
use super::{Closed, Ledger, Misfit};
use crate::domain::event::{Event, Recorded};
use crate::domain::id::{Position, ReservationId};
use crate::domain::stock::event::{Movement, Origin};

/// Adds what came back of an earlier movement.
pub(super) fn add_returned(goods: &mut Goods, of: Origin, m: &Movement) {
    let mut add = |layer: i64, quantity: i64, value: i64| {
        let sum = goods.returned.entry((of.line, layer)).or_default();
        *sum = (sum.0.saturating_add(quantity), sum.1.saturating_add(value));
    };
    add(0, m.quantity, m.value);
    for l in &m.layers {
        add(l.layer, l.quantity, l.value);
    }
}

/// What was bought or sold: goods come back along a sale, go back along a receipt, and a receipt can turn out dearer.
const fn has_goods(event: &Event) -> bool {
    match event {
        Event::StockReceived(_) | Event::StockIssued(_) | Event::ReservationCommitted(_) => true,
        _moved_inside_or_not_at_all => false,
    }
}

impl Ledger {
    /// Takes streams, read back from the log, into memory: their events from the first to the newest, all of them at or
    /// before this state's position. Only what is closed is ever dropped, so no stock changes.
    ///
    /// # Errors
    /// [`Misfit`] when a stream is one that is always in memory, or names what is not there.
    pub fn absorb(&mut self, events: &[Recorded]) -> Result<(), Misfit> {
        for recorded in events {
            let stream = Stream { number: recorded.stream, version: recorded.stream_version };
            self.absorb_one(recorded, stream).map_err(|what| Misfit { position: recorded.position, what })?;
        }
        Ok(())
    }

    fn absorb_one(&mut self, recorded: &Recorded, stream: Stream) -> Result<(), &'static str> {
        match &recorded.fact.event {
            Event::ReservationOpened(e) => {
                let r = Reservation {
                    stream,
                    status: ReservationStatus::Released,
                    owner: e.owner.clone(),
                    expires_at: e.expires_at,
                    priority: e.priority.unwrap_or(0),
                    lines: self.lines(&e.lines)?,
                };
                self.reservations.insert(e.id.clone(), r);
                self.note_closed(Closed::Reservation(e.id.clone()));
            }
            Event::ReservationExtended(e) => self.amend(&e.id, stream, |r| r.expires_at = e.expires_at),
            Event::ReservationReleased(e) => self.amend(&e.id, stream, |r| r.status = ReservationStatus::Released),
            Event::ReservationExpired(e) => self.amend(&e.id, stream, |r| r.status = ReservationStatus::Expired),
            Event::ReservationCommitted(e) => {
                let status = if e.remaining.is_some() { ReservationStatus::Released } else { ReservationStatus::Committed };
                self.amend(&e.id, stream, |r| r.status = status);
            }
            Event::ReservationChanged(e) | Event::ReservationFilled(e) => {
                let lines = self.lines(&e.lines)?;
                self.amend(&e.id, stream, |r| r.lines = lines);
            }
            Event::ReservationConfirmed(e) => self.amend(&e.id, stream, |_| ()),
            Event::JournalEntryPosted(_)
            | Event::JournalEntryReversed(_)
            | Event::JournalEntryHeld(_)
            | Event::JournalEntrySettled(_)
            | Event::JournalEntryVoided(_)
            | Event::JournalEntryExpired(_)
            | Event::CurrencyRevalued(_) => self.absorb_entry(recorded, stream),
            Event::StockExpected(e) => {
                let item = *self.item_index.get(&e.sku).ok_or("its item is not defined")?;
                let location = *self.location_index.get(&e.location).ok_or("its location is not defined")?;
                let closed = Expectation { stream, item, location, outstanding: 0, is_open: false };
                self.expectations.insert(e.id.clone(), closed);
                self.note_closed(Closed::Expectation(e.id.clone()));
            }
            Event::ExpectationCancelled(e) => {
                if let Some(expectation) = self.expectations.get_mut(&e.id) {
                    expectation.stream = stream;
                }
            }
            Event::TransferDispatched(e) => {
                let closed = Transfer { stream, is_open: false, from: 0, to: 0, via: 0, lines: Vec::new() };
                self.transfers.insert(e.id.clone(), closed);
                self.note_closed(Closed::Transfer(e.id.clone()));
            }
            Event::TransferReceived(e) => self.amend_transfer(&e.id, stream),
            Event::TransferCancelled(e) => self.amend_transfer(&e.id, stream),
            Event::CountOpened(e) => {
                let location = *self.location_index.get(&e.location).ok_or("its location is not defined")?;
                let opened_at = recorded.recorded_at;
                let (differences, moved) = Default::default();
                self.counts.insert(e.id.clone(), Count { stream, is_open: false, location, opened_at, differences, moved });
                self.note_closed(Closed::Count(e.id.clone()));
            }
            Event::CountRecorded(e) => self.amend_count(&e.id, stream),
            Event::CountPosted(e) => self.amend_count(&e.id, stream),
            Event::CountCancelled(e) => self.amend_count(&e.id, stream),
            Event::PersonRecorded(e) => self.absorb_person(&e.id, Person { stream, commitment: Some(e.commitment) }),
            Event::PersonErased(e) => self.absorb_person(&e.id, Person { stream, commitment: None }),
            _catalogue_and_stock => return Err("it belongs to a stream that is always in memory"),
        }
        Ok(())
    }

    fn amend(&mut self, id: &ReservationId, stream: Stream, change: impl FnOnce(&mut Reservation)) {
        if let Some(r) = self.reservations.get_mut(id) {
            r.stream = stream;
            change(r);
        }
    }

    fn amend_transfer(&mut self, id: &crate::domain::id::TransferId, stream: Stream) {
        if let Some(t) = self.transfers.get_mut(id) {
            t.stream = stream;
        }
    }

    fn absorb_person(&mut self, id: &crate::domain::id::PersonId, person: Person) {
        if self.people.insert(id.clone(), person).is_none() {
            self.note_closed(Closed::Person(id.clone()));
        }
    }

    fn amend_count(&mut self, id: &crate::domain::id::CountId, stream: Stream) {
        if let Some(c) = self.counts.get_mut(id) {
            c.stream = stream;
        }
    }

    /// Takes an earlier event, and what happened to its goods since, into memory. `event` is `None` where the log has
    /// none yet: then there is nothing to remember, for it may have one later. `later` is its goods' stream up to this
    /// state's position.
    pub fn absorb_goods(&mut self, position: Position, event: Option<&Recorded>, later: &[Recorded]) {
        let Some(event) = event.map(|r| &r.fact.event) else { return };
        let movements = if has_goods(event) { event.movements().cloned().collect() } else { Vec::new() };
        let mut goods = Goods { stream: Stream::default(), movements, returned: Default::default() };
        for recorded in later {
            goods.stream = Stream { number: recorded.stream, version: recorded.stream_version };
            if let Event::StockReturned(m) | Event::StockReturnedToSupplier(m) = &recorded.fact.event
                && let Some(of) = m.of()
            {
                add_returned(&mut goods, of, m);
            }
        }
        self.goods.insert(position, goods);
        self.note_closed(Closed::Goods(position));
    }
}
