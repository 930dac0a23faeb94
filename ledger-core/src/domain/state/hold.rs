//! Reservations in the state: what they hold, who waits, when they lapse.

use std::cmp::Reverse;

use smallvec::SmallVec;

use super::row::{Line, NO_ITEM, Reservation, ReservationStatus, Stream};
use super::undo::Undo;
use super::{Closed, Ledger};
use crate::domain::id::{Position, ReservationId, Text};
use crate::domain::reservation::event::HeldLine;
use crate::domain::stock::bin::Cell;
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

impl Ledger {
    /// An event's lines by indices.
    pub(super) fn lines(&self, held: &[HeldLine]) -> Result<SmallVec<[Line; 1]>, &'static str> {
        let mut lines = SmallVec::with_capacity(held.len());
        for l in held {
            let item_at = *self.item_index.get(&l.sku).ok_or("its item is not defined")?;
            let location = *self.location_index.get(&l.location).ok_or("its location is not defined")?;
            let item = self.items.get(item_at as usize).ok_or("its item is not in memory")?;
            let lot = match &l.lot {
                Some(code) => item.lot(code).ok_or("its lot is not there")?.0,
                None => 0,
            };
            let kit = match &l.kit {
                Some(kit) => *self.item_index.get(kit).ok_or("its kit is not defined")?,
                None => NO_ITEM,
            };
            lines.push(Line { item: item_at, location, quantity: l.quantity, waiting: l.waiting(), lot, kit });
        }
        Ok(lines)
    }

    pub(super) fn put_reservation(&mut self, id: &ReservationId, reservation: Reservation) {
        if let Some(owner) = &reservation.owner {
            self.set_owner(&owner.clone(), id, true);
        }
        let old = self.reservations.insert(id.clone(), reservation).map(Box::new);
        self.undo.push(Undo::Reservation { id: id.clone(), old });
    }

    pub(super) fn touch_reservation(&mut self, id: &ReservationId, change: impl FnOnce(&mut Reservation)) {
        if let Some(r) = self.reservations.get_mut(id) {
            self.undo.push(Undo::Reservation { id: id.clone(), old: Some(Box::new(r.clone())) });
            change(r);
        }
    }

    fn set_owner(&mut self, owner: &Text, id: &ReservationId, present: bool) {
        let is_there = self.owners.get(owner).is_some_and(|ids| ids.contains(id));
        self.undo.push(Undo::Owner { owner: owner.clone(), id: id.clone(), was_there: is_there });
        self.place_owner(owner, id, present);
    }

    pub(super) fn place_owner(&mut self, owner: &Text, id: &ReservationId, present: bool) {
        if present {
            self.owners.entry(owner.clone()).or_default().insert(id.clone());
        } else if let Some(ids) = self.owners.get_mut(owner) {
            ids.remove(id);
            if ids.is_empty() {
                self.owners.remove(owner);
            }
        }
    }

    fn set_waiting(&mut self, at: (u32, u32), key: (Reverse<u8>, Position, ReservationId), present: bool) {
        let was_there = self.waiting.get(&at).is_some_and(|keys| keys.contains(&key));
        self.undo.push(Undo::Waiting { at, key: key.clone(), was_there });
        self.place_waiting(at, key, present);
    }

    pub(super) fn place_waiting(&mut self, at: (u32, u32), key: (Reverse<u8>, Position, ReservationId), present: bool) {
        if present {
            self.waiting.entry(at).or_default().insert(key);
        } else if let Some(keys) = self.waiting.get_mut(&at) {
            keys.remove(&key);
            if keys.is_empty() {
                self.waiting.remove(&at);
            }
        }
    }

    pub(super) fn set_expiry(&mut self, at: Timestamp, id: &ReservationId, present: bool) {
        let key = (at, id.clone());
        let was_there = if present { !self.expiries.insert(key) } else { self.expiries.remove(&key) };
        self.undo.push(Undo::Expiry { at, id: id.clone(), was_there });
    }

    /// Takes or frees what a reservation's lines hold in a status that holds.
    fn hold(&mut self, id: &ReservationId, status: ReservationStatus, is_taken: bool) {
        let Some(r) = self.reservations.get(id) else { return };
        if !status.holds() {
            return;
        }
        let (lines, key) = (r.lines.clone(), (Reverse(r.priority), r.stream.number, id.clone()));
        let sign = |units: i64| if is_taken { units } else { units.saturating_neg() };
        for l in lines {
            let Ok((bin, undo, slot)) = self.touch_bin(l.item, l.location) else { continue };
            let total = if status == ReservationStatus::Allocated { &mut bin.allocated } else { &mut bin.reserved };
            *total = total.saturating_add(sign(l.quantity));
            bin.waiting = bin.waiting.saturating_add(sign(l.waiting));
            if l.lot != 0 {
                let status = StockStatus::Sellable;
                let old = bin.cell(l.lot, status).copied().unwrap_or(Cell { lot: l.lot, status, on_hand: 0, held: 0 });
                undo.push(Undo::Cell { item: l.item, slot, old });
                let firm = l.quantity.saturating_sub(l.waiting);
                bin.set_cell(Cell { held: old.held.saturating_add(sign(firm)), ..old });
            }
            if l.waiting != 0 {
                self.set_waiting((l.item, l.location), key.clone(), is_taken);
            }
            if !is_taken {
                self.note_freed(l.item, l.location);
            }
        }
    }

    /// Changes where a reservation stands, and with it what is held.
    pub(super) fn set_status(&mut self, id: &ReservationId, status: ReservationStatus) {
        let Some(was) = self.reservations.get(id).map(|r| r.status) else { return };
        self.hold(id, was, false);
        self.touch_reservation(id, |r| r.status = status);
        self.hold(id, status, true);
    }

    /// Notes that stock may have become free at a place where somebody waits for it.
    pub(super) fn note_freed(&mut self, item: u32, location: u32) {
        let at = (item, location);
        if self.waiting.contains_key(&at) && !self.freed.contains(&at) {
            self.freed.push(at);
        }
    }

    /// Places where stock may have become free since the last call.
    pub(crate) fn take_freed(&mut self) -> Vec<(u32, u32)> {
        std::mem::take(&mut self.freed)
    }

    /// Other lines from now on; when they hold nothing any more the reservation is closed.
    pub(super) fn set_lines(&mut self, id: &ReservationId, held: &[HeldLine], stream: Stream) -> Result<(), &'static str> {
        let lines = self.lines(held)?;
        let r = self.reservations.get(id).ok_or("its reservation is not in memory")?;
        let (status, old) = (r.status, r.lines.clone());
        self.hold(id, status, false);
        self.touch_reservation(id, |r| {
            r.stream = stream;
            r.lines = lines;
        });
        self.hold(id, status, true);
        // Another line of its own may wait for what one gave up; only now does it wait again.
        old.iter().for_each(|l| self.note_freed(l.item, l.location));
        Ok(())
    }

    pub(super) fn close_reservation(
        &mut self,
        id: &ReservationId,
        status: ReservationStatus,
        stream: Stream,
    ) -> Result<(), &'static str> {
        let r = self.reservations.get(id).ok_or("its reservation is not in memory")?;
        let (at, owner, lines) = (r.expires_at, r.owner.clone(), r.lines.clone());
        self.set_status(id, status);
        self.touch_reservation(id, |r| r.stream = stream);
        self.set_expiry(at, id, false);
        if let Some(owner) = owner {
            self.set_owner(&owner, id, false);
        }
        self.note_closed(Closed::Reservation(id.clone()));
        // Also of one that lapsed before: only now does a fact say so.
        lines.iter().for_each(|l| self.note_freed(l.item, l.location));
        Ok(())
    }
}
