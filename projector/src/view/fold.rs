//! One event into the rows. Pure.

use ledger_core::domain::catalogue::command::MovementKind;
use ledger_core::domain::event::{Event, Recorded, Subject};
use ledger_core::domain::id::ReservationId;
use ledger_core::domain::reservation::event::HeldLine;
use ledger_core::domain::time::Timestamp;

use super::card::Card;
use super::row::{Account, Item, Level, Location, Reservation, Status};
use super::{Known, Tables};
use crate::Error;

/// Keys an event may touch, gathered over a batch.
#[derive(Debug, Default)]
pub(crate) struct Wanted(pub(super) Known);

impl Tables {
    /// Adds the keys of the rows that folding this event needs and that were not looked up yet. The lines of a
    /// reservation that closes are those of its row, so reservations are loaded before the rest.
    pub(super) fn wanted(&self, recorded: &Recorded, wanted: &mut Wanted) {
        let event = &recorded.fact.event;
        let Known { skus, locations, accounts, reservations } = &mut wanted.0;
        match event.subject() {
            Subject::Item(sku) => {
                skus.insert(sku);
            }
            Subject::Location(code) => {
                locations.insert(code);
            }
            Subject::Account(code) => {
                accounts.insert(code);
            }
            Subject::Reservation(id) => {
                reservations.insert(id);
            }
            Subject::Tenant | Subject::PostingRule(..) | Subject::Entry(_) => {}
        }
        skus.extend(event.movements().map(|m| m.sku.clone()));
        accounts.extend(event.postings().map(|(p, _)| p.account.clone()));
        match event {
            Event::PostingRuleDefined(d) => {
                accounts.insert(d.account.clone());
            }
            Event::ReservationOpened(e) => skus.extend(e.lines.iter().map(|l| l.sku.clone())),
            Event::ReservationReleased(e) | Event::ReservationExpired(e) => skus.extend(e.lines.iter().map(|l| l.sku.clone())),
            Event::ReservationExtended(e) => {
                // Its holds move, so the items' next expiry changes.
                let lines = self.reservations.get(&e.id).into_iter().flat_map(|r| &r.lines);
                skus.extend(lines.map(|l| l.sku.clone()));
            }
            _the_subject_and_the_movements_say_it => {}
        }
        skus.retain(|k| !self.known.skus.contains(k));
        locations.retain(|k| !self.known.locations.contains(k));
        accounts.retain(|k| !self.known.accounts.contains(k));
        reservations.retain(|k| !self.known.reservations.contains(k));
    }

    /// Applies one event.
    ///
    /// # Errors
    /// [`Error::Misfit`] when it cannot follow the rows as they are.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), Error> {
        self.fold_event(recorded).map_err(|what| Error::Misfit { position: recorded.position, what })
    }

    fn fold_event(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let (position, stream_version) = (recorded.position, recorded.stream_version);
        match &recorded.fact.event {
            Event::ItemDefined(d) | Event::ItemChanged(d) => {
                self.items.insert(d.sku.clone(), Item { stream_version, position, definition: d.clone() });
                self.dirty.items.insert(d.sku.clone());
            }
            Event::LocationDefined(d) | Event::LocationChanged(d) => {
                self.locations.insert(d.code.clone(), Location { stream_version, position, definition: d.clone() });
                self.dirty.locations.insert(d.code.clone());
            }
            Event::AccountOpened(d) | Event::AccountChanged(d) => {
                let holds_inventory = self.accounts.get(&d.code).is_some_and(|a| a.holds_inventory);
                self.accounts
                    .insert(d.code.clone(), Account { stream_version, position, definition: d.clone(), holds_inventory });
                self.dirty.accounts.insert(d.code.clone());
            }
            Event::PostingRuleDefined(d) if d.movement == MovementKind::Inventory => {
                let account = self.accounts.get_mut(&d.account).ok_or("its account is not there")?;
                (account.holds_inventory, account.position) = (true, position);
                self.dirty.accounts.insert(d.account.clone());
            }
            Event::ReservationOpened(e) => {
                let row = Reservation {
                    stream_version,
                    position,
                    status: Status::Held,
                    owner: e.owner.clone(),
                    expires_at: e.expires_at,
                    opened_at: recorded.recorded_at,
                    lines: e.lines.clone(),
                };
                self.hold(position, &e.lines, 1)?;
                self.set_holds(&e.id, &e.lines, None, Some(e.expires_at));
                self.reservations.insert(e.id.clone(), row);
                self.dirty.reservations.insert(e.id.clone());
            }
            Event::ReservationExtended(e) => {
                let row = self.reservations.get_mut(&e.id).ok_or("its reservation is not there")?;
                let old = std::mem::replace(&mut row.expires_at, e.expires_at);
                (row.stream_version, row.position) = (stream_version, position);
                let lines = row.lines.clone();
                self.set_holds(&e.id, &lines, Some(old), Some(e.expires_at));
                self.dirty.reservations.insert(e.id.clone());
            }
            Event::ReservationReleased(e) => self.close(&e.id, Status::Released, recorded)?,
            Event::ReservationExpired(e) => self.close(&e.id, Status::Expired, recorded)?,
            Event::ReservationCommitted(e) => self.close(&e.id, Status::Committed, recorded)?,
            _movements_and_postings_follow => {}
        }
        self.fold_stream(recorded);
        self.fold_movements(recorded)?;
        self.fold_postings(recorded)
    }

    /// Every event of an item's stream raises its version.
    fn fold_stream(&mut self, recorded: &Recorded) {
        if let Subject::Item(sku) = recorded.fact.event.subject()
            && let Some(item) = self.items.get_mut(&sku)
        {
            (item.stream_version, item.position) = (recorded.stream_version, recorded.position);
            self.dirty.items.insert(sku);
        }
    }

    fn fold_movements(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        for (line, m) in (0_i32..).zip(recorded.fact.event.movements()) {
            let level = self.levels.entry(m.sku.clone()).or_default().entry(m.location.clone()).or_default();
            (level.position, level.scale, level.money) = (recorded.position, m.scale, m.money);
            level.on_hand = level.on_hand.checked_add(m.quantity).ok_or("on hand leaves the range")?;
            level.value = level.value.checked_add(m.value).ok_or("the value leaves the range")?;
            self.cards.push(Card::new(recorded, line, m, level));
            self.dirty.levels.insert((m.sku.clone(), m.location.clone()));
        }
        Ok(())
    }

    fn fold_postings(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        for (p, money) in recorded.fact.event.postings() {
            let balance = self.balances.entry(p.account.clone()).or_default();
            (balance.position, balance.money) = (recorded.position, money);
            let amount = i128::from(p.amount);
            let total = if amount >= 0 { &mut balance.debits } else { &mut balance.credits };
            *total = total.checked_add(amount.abs()).ok_or("a total leaves the range")?;
            self.dirty.balances.insert(p.account.clone());
        }
        Ok(())
    }

    fn close(&mut self, id: &ReservationId, status: Status, recorded: &Recorded) -> Result<(), &'static str> {
        let row = self.reservations.get_mut(id).ok_or("its reservation is not there")?;
        (row.status, row.stream_version, row.position) = (status, recorded.stream_version, recorded.position);
        let (lines, expires_at) = (row.lines.clone(), row.expires_at);
        self.dirty.reservations.insert(id.clone());
        self.set_holds(id, &lines, Some(expires_at), None);
        self.hold(recorded.position, &lines, -1)
    }

    fn hold(&mut self, position: i64, lines: &[HeldLine], sign: i64) -> Result<(), &'static str> {
        for l in lines {
            let level = self
                .levels
                .entry(l.sku.clone())
                .or_default()
                .entry(l.location.clone())
                .or_insert(Level { scale: l.scale, ..Level::default() });
            level.position = position;
            let change = l.quantity.checked_mul(sign).ok_or("reserved leaves the range")?;
            level.reserved = level.reserved.checked_add(change).ok_or("reserved leaves the range")?;
            self.dirty.levels.insert((l.sku.clone(), l.location.clone()));
        }
        Ok(())
    }

    pub(super) fn set_holds(&mut self, id: &ReservationId, lines: &[HeldLine], old: Option<Timestamp>, new: Option<Timestamp>) {
        for (number, l) in (0_i32..).zip(lines) {
            let holds = self.holds.entry(l.sku.clone()).or_default();
            if let Some(old) = old {
                holds.remove(&(old, id.clone(), number));
            }
            if let Some(new) = new {
                holds.insert((new, id.clone(), number));
            }
        }
    }
}
