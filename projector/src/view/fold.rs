//! One event into the rows. Pure.

use ledger_core::domain::catalogue::command::CostPool;
use ledger_core::domain::event::{Event, Recorded, Subject};
use ledger_core::domain::id::{LocationCode, ReservationId, Sku};
use ledger_core::domain::limit::LOCATION_DEPTH_MAX;
use ledger_core::domain::reservation::event::HeldLine;
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;

use super::card::Card;
use super::lane::deal;
use super::row::{Account, Item, Level, Location, Lot, Reservation, Serial, Status};
use super::{CellKey, Known, Tables};
use crate::Error;

/// Keys an event may touch, gathered over a batch.
#[derive(Debug, Default)]
pub(crate) struct Wanted(pub(super) Known);

impl Tables {
    /// Adds the keys of the rows that folding this event needs and that were not looked up yet. The lines of a
    /// reservation that closes are those of its row, so reservations are loaded before the rest.
    pub(super) fn wanted(&self, recorded: &Recorded, wanted: &mut Wanted) {
        let event = &recorded.fact.event;
        let Known { skus, accounts, reservations, documents, entries, definitions, all_locations: _ } = &mut wanted.0;
        match event.subject() {
            Subject::Item(sku) => {
                skus.insert(sku);
            }
            Subject::Account(code) => {
                accounts.insert(code);
            }
            Subject::Reservation(id) => {
                reservations.insert(id);
            }
            Subject::Entry(id) => {
                entries.insert(id);
            }
            Subject::Tenant
            | Subject::Location(_)
            | Subject::PostingRule(..)
            | Subject::Expectation(_)
            | Subject::Transfer(_)
            | Subject::Count(_)
            | Subject::AccountSet(_)
            | Subject::Dimension(_)
            | Subject::TaxCode(_)
            | Subject::Periods
            | Subject::Person(_)
            | Subject::Goods(_) => {}
        }
        for key in super::document::keys(event) {
            if let Some(e) = self.documents.get(&key).and_then(|d| d.expected()) {
                skus.insert(e.0.clone());
            }
            documents.insert(key);
        }
        skus.extend(event.movements().map(|m| m.sku.clone()));
        accounts.extend(event.postings().map(|(p, _)| p.account.clone()));
        let (held, freed, _) = event.pending();
        accounts.extend(held.iter().chain(freed).map(|p| p.account.clone()));
        definitions.extend(super::definition::keys(event));
        match event {
            Event::PostingRuleDefined(d) => {
                accounts.insert(d.account.clone());
            }
            Event::StockExpected(e) => {
                skus.insert(e.sku.clone());
            }
            _the_subject_and_the_movements_say_it => {}
        }
        if let Some((id, lines)) = lines_of(event) {
            skus.extend(lines.iter().map(|l| l.sku.clone()));
            // What it held until now is in its row.
            let known = self.reservations.get(id).into_iter().flat_map(|r| &r.lines);
            skus.extend(known.map(|l| l.sku.clone()));
        }
        skus.retain(|k| !self.known.skus.contains(k));
        documents.retain(|k| !self.known.documents.contains(k));
        accounts.retain(|k| !self.known.accounts.contains(k));
        reservations.retain(|k| !self.known.reservations.contains(k));
        entries.retain(|k| !self.known.entries.contains(k));
        definitions.retain(|k| !self.known.definitions.contains(k));
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
            Event::PostingRuleDefined(d) if d.movement.holds_inventory() => {
                let account = self.accounts.get_mut(&d.account).ok_or("its account is not there")?;
                (account.holds_inventory, account.position) = (true, position);
                self.dirty.accounts.insert(d.account.clone());
            }
            Event::StockPolicyDefined(e) => self.level(&e.sku, &e.location, position, e.scale)?.safety = e.safety_stock,
            Event::ReservationOpened(e) => {
                let row = Reservation {
                    stream_version,
                    position,
                    status: Status::Held,
                    owner: e.owner.clone(),
                    expires_at: e.expires_at,
                    opened_at: recorded.recorded_at,
                    priority: e.priority.unwrap_or(0),
                    lines: e.lines.clone(),
                };
                self.reservations.insert(e.id.clone(), row);
                self.hold(recorded, &e.id, 1)?;
            }
            Event::ReservationExtended(e) => self.amend(recorded, &e.id, |row| row.expires_at = e.expires_at)?,
            Event::ReservationConfirmed(e) => self.amend(recorded, &e.id, |row| row.status = Status::Allocated)?,
            Event::ReservationChanged(e) | Event::ReservationFilled(e) => {
                self.amend(recorded, &e.id, |row| row.lines.clone_from(&e.lines))?;
            }
            Event::ReservationReleased(e) => self.amend(recorded, &e.id, |row| row.status = Status::Released)?,
            Event::ReservationExpired(e) => self.amend(recorded, &e.id, |row| row.status = Status::Expired)?,
            Event::ReservationCommitted(e) => self.amend(recorded, &e.id, |row| match &e.remaining {
                Some(remaining) => row.lines.clone_from(remaining),
                None => row.status = Status::Committed,
            })?,
            Event::StandardCostChanged(e) => {
                if let Some(item) = self.items.get_mut(&e.sku) {
                    item.definition.standard_cost = Some(e.standard_cost);
                    self.dirty.items.insert(e.sku.clone());
                }
            }
            _movements_and_postings_follow => {}
        }
        self.fold_stream(recorded);
        self.fold_documents(recorded)?;
        self.fold_definitions(recorded)?;
        self.fold_entry(recorded)?;
        self.fold_movements(recorded)?;
        self.fold_postings(recorded)
    }

    /// Every event of an item's stream raises its version.
    fn fold_stream(&mut self, recorded: &Recorded) {
        if let Subject::Item(sku) = recorded.fact.event.subject()
            && let Some(item) = self.items.get_mut(&sku)
        {
            (item.stream_version, item.position) = (recorded.stream_version, recorded.position);
            self.dirty.item_versions.insert(sku);
        }
    }

    fn fold_movements(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let effective_at = recorded.effective_at().0;
        for (line, m) in (0_i32..).zip(recorded.fact.event.movements()) {
            let pool = self.pool(&m.sku, &m.location);
            let level = self.level(&m.sku, &m.location, recorded.position, m.scale)?;
            (level.money, level.pool) = (m.money, pool);
            level.on_hand = level.on_hand.checked_add(m.quantity).ok_or("on hand leaves the range")?;
            level.value = level.value.checked_add(m.value).ok_or("the value leaves the range")?;
            if !m.status().is_sellable() {
                level.unsellable = level.unsellable.checked_add(m.quantity).ok_or("a status leaves the range")?;
            }
            let lane = deal(&mut level.lanes, effective_at, [m.quantity, m.value]).ok_or("a lane leaves the range")?;
            let card = Card::new(recorded, line, m, level, lane);
            self.cards.push(card);
            self.fold_cell(m)?;
            self.fold_tracked(recorded.position, m);
        }
        Ok(())
    }

    /// Topmost location of the cost pool of an item at a place; empty for the tenant's one pool.
    fn pool(&self, sku: &Sku, location: &LocationCode) -> String {
        if self.items.get(sku).is_some_and(|i| i.definition.pool() == CostPool::Tenant) {
            return String::new();
        }
        let parent = |at: &&LocationCode| self.locations.get(*at).and_then(|l| l.definition.parent.as_ref());
        let up = std::iter::successors(Some(location), parent).take(LOCATION_DEPTH_MAX);
        up.last().unwrap_or(location).to_string()
    }

    fn fold_cell(&mut self, m: &Movement) -> Result<(), &'static str> {
        if m.quantity == 0 || (m.lot().is_none() && m.status().is_sellable()) {
            return Ok(());
        }
        let lot = m.lot().map(ToString::to_string).unwrap_or_default();
        let key: CellKey = (m.location.clone(), lot, m.status());
        let cells = self.cells.entry(m.sku.clone()).or_default();
        let units = cells.entry(key.clone()).or_default();
        *units = units.checked_add(m.quantity).ok_or("a lot or status leaves the range")?;
        if *units == 0 {
            cells.remove(&key);
        }
        self.dirty.cells.insert((m.sku.clone(), key));
        Ok(())
    }

    fn fold_tracked(&mut self, position: i64, m: &Movement) {
        if let Some(lot) = m.lot().filter(|_| m.quantity > 0) {
            let expires_at = m.detail.as_ref().and_then(|d| d.lot_expires_at);
            self.lots.entry((m.sku.clone(), lot.clone())).or_insert(Lot { expires_at, position });
        }
        for serial in m.serials() {
            let there = (m.quantity > 0).then(|| Serial { location: m.location.clone(), status: m.status() });
            self.serials.insert((m.sku.clone(), serial.clone()), there);
        }
    }

    /// A row's level, about to change.
    pub(super) fn level(
        &mut self,
        sku: &Sku,
        location: &LocationCode,
        position: i64,
        scale: u8,
    ) -> Result<&mut Level, &'static str> {
        let levels = self.levels.entry(sku.clone()).or_default();
        if !levels.contains_key(location) {
            let pool = self.pool(sku, location);
            let levels = self.levels.entry(sku.clone()).or_default();
            levels.insert(location.clone(), Level { pool, ..Level::default() });
        }
        let level = self.levels.get_mut(sku).and_then(|l| l.get_mut(location)).ok_or("its level is not there")?;
        (level.position, level.scale) = (position, scale);
        self.dirty.levels.insert((sku.clone(), location.clone()));
        Ok(level)
    }

    /// Changes a reservation: what it held before is free, what it holds then is held.
    fn amend(
        &mut self,
        recorded: &Recorded,
        id: &ReservationId,
        change: impl FnOnce(&mut Reservation),
    ) -> Result<(), &'static str> {
        self.hold(recorded, id, -1)?;
        let row = self.reservations.get_mut(id).ok_or("its reservation is not there")?;
        change(row);
        (row.stream_version, row.position) = (recorded.stream_version, recorded.position);
        self.hold(recorded, id, 1)
    }

    /// Takes (1) or frees (−1) what a reservation's lines hold.
    fn hold(&mut self, recorded: &Recorded, id: &ReservationId, sign: i64) -> Result<(), &'static str> {
        const RANGE: &str = "what is held leaves the range";
        let row = self.reservations.get(id).ok_or("its reservation is not there")?.clone();
        self.dirty.reservations.insert(id.clone());
        if !row.status.holds() {
            return Ok(());
        }
        for l in &row.lines {
            let level = self.level(&l.sku, &l.location, recorded.position, l.scale)?;
            let total = if row.status == Status::Allocated { &mut level.allocated } else { &mut level.reserved };
            *total = l.quantity.checked_mul(sign).and_then(|n| total.checked_add(n)).ok_or(RANGE)?;
            level.waiting = l.waiting().checked_mul(sign).and_then(|n| level.waiting.checked_add(n)).ok_or(RANGE)?;
        }
        let (old, new) = if sign < 0 { (Some(row.lapses_at()), None) } else { (None, Some(row.lapses_at())) };
        self.set_holds(id, &row.lines, old, new);
        Ok(())
    }

    pub(super) fn set_holds(&mut self, id: &ReservationId, lines: &[HeldLine], old: Option<Timestamp>, new: Option<Timestamp>) {
        for (number, l) in (0_i32..).zip(lines).filter(|(_, l)| l.quantity > 0) {
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

/// The reservation an event changes, with the lines it names.
fn lines_of(event: &Event) -> Option<(&ReservationId, &[HeldLine])> {
    match event {
        Event::ReservationOpened(e) => Some((&e.id, &e.lines)),
        Event::ReservationReleased(e) | Event::ReservationExpired(e) => Some((&e.id, &e.lines)),
        Event::ReservationChanged(e) | Event::ReservationFilled(e) => Some((&e.id, &e.lines)),
        Event::ReservationExtended(e) => Some((&e.id, &[])),
        Event::ReservationConfirmed(e) => Some((&e.id, &[])),
        Event::ReservationCommitted(e) => Some((&e.id, e.remaining.as_deref().unwrap_or(&[]))),
        _no_reservation => None,
    }
}
