//! Reservation decisions, but for opening one (`open.rs`).

use super::command::{
    ChangeReservation, CommitLine, CommitReservation, ConfirmReservation, ExpireReservation, ExtendReservation, LineQuantity,
    MoveReservation, ReduceReservation, ReleaseReservation,
};
use super::event::{
    HeldLine, ReservationClosed, ReservationCommitted, ReservationConfirmed, ReservationExtended, ReservationLines,
};
use crate::domain::catalogue::command::{MovementKind, Tracking};
use crate::domain::event::Event;
use crate::domain::id::{ReservationId, Serial, Text};
use crate::domain::limit::RESERVATION_TTL_SECONDS_MAX;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Ledger, Reservation, ReservationStatus, shown};
use crate::domain::stock::place::{Place, Selected, Working, out_of_range, units};
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

pub(super) fn expiry(now: Timestamp, ttl_seconds: u32) -> Result<Timestamp, Rejection> {
    if ttl_seconds == 0 || ttl_seconds > RESERVATION_TTL_SECONDS_MAX {
        return Err(Rejection::TtlOutOfRange { seconds_max: RESERVATION_TTL_SECONDS_MAX });
    }
    Ok(now.plus_seconds(i64::from(ttl_seconds)))
}

/// A reservation that still holds its stock, and is the owner's if one is named.
fn held<'a>(ledger: &'a Ledger, id: &ReservationId, owner: Option<&Text>) -> Result<&'a Reservation, Rejection> {
    let r = ledger.reservation(id.as_str()).ok_or_else(|| Rejection::UnknownReservation { reservation: id.clone() })?;
    if owner.is_some() && r.owner.as_ref() != owner {
        return Err(Rejection::ReservationOwnerDiffers { reservation: id.clone() });
    }
    match r.status {
        ReservationStatus::Held | ReservationStatus::Allocated => Ok(r),
        ReservationStatus::Lapsed | ReservationStatus::Expired => {
            Err(Rejection::ReservationExpired { reservation: id.clone(), expired_at: r.expires_at })
        }
        ReservationStatus::Released | ReservationStatus::Committed => {
            Err(Rejection::ReservationClosed { reservation: id.clone(), status: Text::trusted(r.status.as_str()) })
        }
    }
}

pub(crate) fn extend(ledger: &Ledger, c: &ExtendReservation, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id, c.owner.as_ref())?;
    if r.status == ReservationStatus::Allocated {
        return Err(Rejection::ReservationAllocated { reservation: c.id.clone() });
    }
    let expires_at = expiry(now, c.ttl_seconds)?;
    if expires_at <= r.expires_at {
        return Err(Rejection::ExpiryNotLater { expires_at: r.expires_at });
    }
    Ok(vec![Event::ReservationExtended(ReservationExtended { id: c.id.clone(), expires_at })])
}

pub(crate) fn release(ledger: &Ledger, c: &ReleaseReservation) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id, c.owner.as_ref())?;
    let lines = held_lines(ledger, r)?;
    Ok(vec![Event::ReservationReleased(ReservationClosed { id: c.id.clone(), lines })])
}

pub(crate) fn confirm(ledger: &Ledger, c: &ConfirmReservation) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id, c.owner.as_ref())?;
    if r.status == ReservationStatus::Allocated {
        return Ok(Vec::new());
    }
    Ok(vec![Event::ReservationConfirmed(ReservationConfirmed { id: c.id.clone() })])
}

pub(crate) fn expire(ledger: &Ledger, c: &ExpireReservation) -> Result<Vec<Event>, Rejection> {
    let r = ledger.reservation(c.id.as_str()).ok_or_else(|| Rejection::UnknownReservation { reservation: c.id.clone() })?;
    match r.status {
        ReservationStatus::Held => Err(Rejection::ReservationNotExpired { reservation: c.id.clone(), expires_at: r.expires_at }),
        ReservationStatus::Lapsed => {
            let lines = held_lines(ledger, r)?;
            Ok(vec![Event::ReservationExpired(ReservationClosed { id: c.id.clone(), lines })])
        }
        // Two sweepers may find the same hold: the second has nothing to do. A confirmed one does not expire.
        ReservationStatus::Allocated
        | ReservationStatus::Released
        | ReservationStatus::Expired
        | ReservationStatus::Committed => Ok(Vec::new()),
    }
}

/// New quantities; a line that grows needs only the difference, for its own hold is not in its way.
fn changed(
    ledger: &Ledger,
    (id, owner): (&ReservationId, Option<&Text>),
    wanted: &[LineQuantity],
    may_grow: bool,
) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, id, owner)?;
    let mut lines = held_lines(ledger, r)?;
    let mut working = Working::new(ledger);
    let mut more = vec![0_i64; lines.len()];
    let mut seen = rustc_hash::FxHashSet::default();
    for w in wanted {
        let unknown = || Rejection::UnknownLine { line: w.line };
        let at = w.line as usize;
        let (line, known) = lines.get_mut(at).zip(r.lines.get(at)).filter(|_| seen.insert(at)).ok_or_else(unknown)?;
        let quantity = units(w.quantity, line.scale, "quantity")?;
        if quantity < 0 {
            return Err(Rejection::QuantityNotPositive { field: Text::trusted("quantity") });
        }
        let grows = quantity.saturating_sub(line.quantity);
        if grows > 0 && !may_grow {
            return Err(Rejection::LineTooSmall { line: w.line, held: shown(line.quantity, line.scale) });
        }
        if let Some(slot) = more.get_mut(at) {
            *slot = grows;
        }
        if grows < 0 {
            // What waits is given up first; the rest is there for the lines that grow.
            let of_waiting = line.waiting().min(grows.saturating_neg());
            working.unwait(known.item, known.location, of_waiting);
            working.unhold(known.item, known.location, known.lot, grows.saturating_neg().saturating_sub(of_waiting));
            line.waiting = Some(line.waiting().saturating_sub(of_waiting)).filter(|n| *n > 0);
            line.quantity = quantity;
        }
    }
    let mut shortages = Vec::new();
    let grown = (0_u32..).zip(lines.iter_mut().zip(&r.lines)).zip(&more).filter(|(_, more)| **more > 0);
    for ((number, (line, known)), more) in grown {
        let place = Place::find(&working, &line.sku, &line.location)?;
        // A line that waits has no lot yet: more of it could be held, but nothing would say of which lot.
        if place.item.definition.tracking() == Tracking::Lot && known.lot == 0 {
            return Err(Rejection::LotRequired);
        }
        let goods = Selected { lot_at: known.lot, ..Selected::default() };
        let there = place.bin.promisable().min(place.free_of(&goods));
        let quantity = line.quantity.saturating_add(*more);
        if *more > there {
            shortages.push(place.shortage(number, quantity, line.quantity.saturating_add(there)));
            continue;
        }
        // What one line takes is not there for the next.
        working.unhold(known.item, known.location, known.lot, more.saturating_neg());
        line.quantity = quantity;
    }
    if !shortages.is_empty() {
        return Err(Rejection::InsufficientStock { shortages });
    }
    let is_changed = more.iter().any(|more| *more != 0);
    if !is_changed {
        return Ok(Vec::new());
    }
    if lines.iter().all(|l| l.quantity == 0) {
        let lines = held_lines(ledger, r)?;
        return Ok(vec![Event::ReservationReleased(ReservationClosed { id: id.clone(), lines })]);
    }
    Ok(vec![Event::ReservationChanged(ReservationLines { id: id.clone(), lines })])
}

pub(crate) fn change(ledger: &Ledger, c: &ChangeReservation) -> Result<Vec<Event>, Rejection> {
    changed(ledger, (&c.id, c.owner.as_ref()), &c.lines, true)
}

pub(crate) fn reduce(ledger: &Ledger, c: &ReduceReservation) -> Result<Vec<Event>, Rejection> {
    changed(ledger, (&c.id, c.owner.as_ref()), &c.lines, false)
}

pub(crate) fn relocate(ledger: &Ledger, c: &MoveReservation) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id, c.owner.as_ref())?;
    let mut lines = held_lines(ledger, r)?;
    let unknown = || Rejection::UnknownLine { line: c.line };
    let known = r.lines.get(c.line as usize).copied().ok_or_else(unknown)?;
    let line = lines.get_mut(c.line as usize).filter(|l| l.quantity > 0).ok_or_else(unknown)?;
    let mut working = Working::new(ledger);
    // Its own hold is not in its way.
    working.unhold(known.item, known.location, known.lot, known.quantity.saturating_sub(known.waiting));
    working.unwait(known.item, known.location, known.waiting);
    let place = Place::storage(&working, &line.sku, &c.to)?;
    let lot_at = match (place.item.definition.tracking(), &c.lot) {
        (Tracking::Lot, Some(code)) => place.item.lot(code).ok_or_else(|| Rejection::UnknownLot { lot: code.clone() })?.0,
        (Tracking::Lot, None) => return Err(Rejection::LotRequired),
        (Tracking::None | Tracking::Serial, Some(_)) => {
            return Err(Rejection::TrackingMismatch { field: Text::trusted("lot") });
        }
        (Tracking::None | Tracking::Serial, None) => 0,
    };
    let goods = Selected { lot_at, ..Selected::default() };
    let there = place.bin.promisable().min(place.free_of(&goods));
    if line.quantity > there {
        return Err(Rejection::InsufficientStock { shortages: vec![place.shortage(c.line, line.quantity, there)] });
    }
    if (known.location, known.lot, known.waiting) == (place.location_at, lot_at, 0) {
        return Ok(Vec::new());
    }
    (line.location, line.lot, line.waiting) = (c.to.clone(), c.lot.clone(), None);
    Ok(vec![Event::ReservationChanged(ReservationLines { id: c.id.clone(), lines })])
}

/// One line's part of a shipment.
struct Shipped<'c> {
    line: usize,
    quantity: i64,
    serials: Option<&'c [Serial]>,
}

fn shipped<'c>(lines: &[HeldLine], said: Option<&'c [CommitLine]>) -> Result<Vec<Shipped<'c>>, Rejection> {
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        let all = lines.iter().enumerate().filter(|(_, l)| l.quantity > 0);
        return Ok(all.map(|(line, l)| Shipped { line, quantity: l.quantity, serials: None }).collect());
    };
    let mut seen = rustc_hash::FxHashSet::default();
    said.iter()
        .map(|s| {
            let unknown = || Rejection::UnknownLine { line: s.line };
            let line = s.line as usize;
            let l = lines.get(line).filter(|l| l.quantity > 0 && seen.insert(line)).ok_or_else(unknown)?;
            let quantity = match s.quantity {
                Some(number) => units(number, l.scale, "quantity")?,
                None => l.quantity,
            };
            if quantity <= 0 {
                return Err(Rejection::QuantityNotPositive { field: Text::trusted("quantity") });
            }
            if quantity > l.quantity {
                return Err(Rejection::LineTooSmall { line: s.line, held: shown(l.quantity, l.scale) });
            }
            Ok(Shipped { line, quantity, serials: s.serials.as_deref() })
        })
        .collect()
}

/// Issues what is shipped. Lines of one item at one place follow each other, so each is costed on what the one before
/// left.
pub(crate) fn commit(ledger: &Ledger, c: &CommitReservation) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id, c.owner.as_ref())?;
    let mut lines = held_lines(ledger, r)?;
    let parts = shipped(&lines, c.lines.as_deref())?;
    let mut movements = Vec::with_capacity(parts.len());
    let mut working = Working::new(ledger);
    for (at, part) in parts.iter().enumerate() {
        let number = u32::try_from(part.line).unwrap_or(u32::MAX);
        let known = r.lines.get(part.line).copied().ok_or(Rejection::UnknownLine { line: number })?;
        let line = lines.get_mut(part.line).ok_or(Rejection::UnknownLine { line: number })?;
        if part.quantity > line.quantity.saturating_sub(line.waiting()) {
            return Err(Rejection::ReservationWaiting { line: number, waiting: shown(line.waiting(), line.scale) });
        }
        let place = Place::of(&working, &line.sku, &line.location)?;
        let said = crate::domain::stock::place::Said { lot: line.lot.as_ref(), serials: part.serials, ..Default::default() };
        let goods = if place.item.definition.tracking() == Tracking::None && part.serials.is_none() {
            Selected::of(StockStatus::Sellable)
        } else {
            place.select(part.quantity, said)?
        };
        place.must_not_be_expired(&goods)?;
        let movement = place.take_out(part.quantity, MovementKind::Issue, None, &goods)?;
        line.quantity = line.quantity.saturating_sub(part.quantity);
        // A pool with thousands of layers is only copied where a later line needs what this one left.
        let is_needed =
            parts.iter().skip(at.saturating_add(1)).any(|p| r.lines.get(p.line).is_some_and(|l| l.item == known.item));
        if is_needed {
            working.apply(&movement)?;
        }
        movements.push(movement);
    }
    let remaining = lines.iter().any(|l| l.quantity > 0).then_some(lines);
    Ok(vec![Event::ReservationCommitted(ReservationCommitted { id: c.id.clone(), movements, remaining })])
}

/// Stock that came in goes to who waits for it, in order. `None` when nobody gets any.
pub(crate) fn filled(ledger: &Ledger, id: &ReservationId, (item, location): (u32, u32)) -> Option<Event> {
    let r = ledger.reservation(id.as_str()).filter(|r| r.status.holds())?;
    let working = Working::new(ledger);
    let place = Place::at(&working, item, location)?;
    let mut free = place.bin.free().saturating_sub(place.bin.policy().safety_stock);
    let mut lines = held_lines(ledger, r).ok()?;
    let mut more = Vec::new();
    let mut is_filled = false;
    let mut lots = super::open::free_lots(&place, ledger.now());
    for (line, known) in lines.iter_mut().zip(&r.lines) {
        if (known.item, known.location) != (item, location) || known.waiting == 0 || free <= 0 {
            continue;
        }
        if place.item.definition.tracking() != Tracking::Lot {
            let part = known.waiting.min(free);
            line.waiting = Some(known.waiting.saturating_sub(part)).filter(|n| *n > 0);
            free = free.saturating_sub(part);
            is_filled = true;
            continue;
        }
        // What waits has no lot; what is filled moves to a line of its own per lot.
        for (_, code, units) in &mut lots {
            let waiting = line.waiting();
            let part = waiting.min(*units).min(free);
            if part <= 0 {
                continue;
            }
            *units = units.saturating_sub(part);
            free = free.saturating_sub(part);
            line.quantity = line.quantity.saturating_sub(part);
            line.waiting = Some(waiting.saturating_sub(part)).filter(|n| *n > 0);
            more.push(HeldLine { quantity: part, waiting: None, lot: Some(code.clone()), ..line.clone() });
            is_filled = true;
        }
    }
    lines.extend(more);
    is_filled.then(|| Event::ReservationFilled(ReservationLines { id: id.clone(), lines }))
}

/// A reservation's lines as events have them.
pub(super) fn held_lines(ledger: &Ledger, r: &Reservation) -> Result<Vec<HeldLine>, Rejection> {
    r.lines
        .iter()
        .map(|l| {
            // Items and locations are never taken out of the catalogue, so both indices are there.
            let item = ledger.items().get(l.item as usize).ok_or_else(out_of_range)?;
            let location = &ledger.locations().get(l.location as usize).ok_or_else(out_of_range)?.definition;
            Ok(HeldLine {
                sku: item.definition.sku.clone(),
                location: location.code.clone(),
                scale: item.definition.scale,
                quantity: l.quantity,
                waiting: (l.waiting > 0).then_some(l.waiting),
                lot: item.lot_at(l.lot).map(|lot| lot.code.clone()),
                kit: ledger.items().get(l.kit as usize).map(|kit| kit.definition.sku.clone()),
            })
        })
        .collect()
}
