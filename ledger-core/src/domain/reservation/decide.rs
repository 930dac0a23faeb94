//! Reservation decisions.

use rustc_hash::FxHashMap;

use super::command::{CommitReservation, ExpireReservation, ExtendReservation, ReleaseReservation, Reserve};
use super::event::{HeldLine, ReservationClosed, ReservationCommitted, ReservationExtended, ReservationOpened};
use crate::domain::amount::add;
use crate::domain::catalogue::command::MovementKind;
use crate::domain::event::Event;
use crate::domain::id::{ReservationId, Text};
use crate::domain::limit::{RESERVATION_LINES_MAX, RESERVATION_TTL_SECONDS_MAX};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Ledger, Reservation, ReservationStatus};
use crate::domain::stock::decide::Place;
use crate::domain::time::Timestamp;

fn expiry(now: Timestamp, ttl_seconds: u32) -> Result<Timestamp, Rejection> {
    if ttl_seconds == 0 || ttl_seconds > RESERVATION_TTL_SECONDS_MAX {
        return Err(Rejection::TtlOutOfRange { seconds_max: RESERVATION_TTL_SECONDS_MAX });
    }
    Ok(now.plus_seconds(i64::from(ttl_seconds)))
}

pub(crate) fn reserve(ledger: &Ledger, c: &Reserve, now: Timestamp, fresh: &ReservationId) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh);
    if c.lines.is_empty() || c.lines.len() > RESERVATION_LINES_MAX {
        let lines_max = u32::try_from(RESERVATION_LINES_MAX).unwrap_or(u32::MAX);
        return Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max });
    }
    let expires_at = expiry(now, c.ttl_seconds)?;
    if ledger.reservation(id.as_str()).is_some() {
        return Err(Rejection::ReservationExists { reservation: id.clone() });
    }
    let mut lines = Vec::with_capacity(c.lines.len());
    // Demand per item and location, in order of its first line.
    let mut demand: Vec<(u32, Place<'_>, i64)> = Vec::new();
    let mut seen: FxHashMap<(u32, u32), usize> = FxHashMap::default();
    for (number, line) in (0_u32..).zip(&c.lines) {
        let place = Place::find(ledger, &line.sku, &line.location)?;
        let quantity = place.quantity(line.quantity)?;
        let definition = &place.item.definition;
        lines.push(HeldLine { sku: definition.sku.clone(), location: line.location.clone(), scale: definition.scale, quantity });
        let key = (place.item_at, place.location_at);
        match seen.get(&key).and_then(|at| demand.get_mut(*at)) {
            Some((_, _, sum)) => {
                *sum = add(*sum, quantity).ok_or(Rejection::NumberOutOfRange { field: Text::trusted("quantity") })?;
            }
            None => {
                seen.insert(key, demand.len());
                demand.push((number, place, quantity));
            }
        }
    }
    let shortages: Vec<_> = demand
        .iter()
        .filter(|(_, place, quantity)| *quantity > place.available())
        .map(|(line, place, quantity)| place.shortage(*line, *quantity, place.available()))
        .collect();
    if !shortages.is_empty() {
        return Err(Rejection::InsufficientStock { shortages });
    }
    Ok(vec![Event::ReservationOpened(ReservationOpened { id: id.clone(), owner: c.owner.clone(), expires_at, lines })])
}

/// A reservation that still holds its stock.
fn held<'a>(ledger: &'a Ledger, id: &ReservationId) -> Result<&'a Reservation, Rejection> {
    let r = ledger.reservation(id.as_str()).ok_or_else(|| Rejection::UnknownReservation { reservation: id.clone() })?;
    match r.status {
        ReservationStatus::Held => Ok(r),
        ReservationStatus::Lapsed | ReservationStatus::Expired => {
            Err(Rejection::ReservationExpired { reservation: id.clone(), expired_at: r.expires_at })
        }
        ReservationStatus::Released | ReservationStatus::Committed => {
            Err(Rejection::ReservationClosed { reservation: id.clone(), status: Text::trusted(r.status.as_str()) })
        }
    }
}

pub(crate) fn extend(ledger: &Ledger, c: &ExtendReservation, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id)?;
    let expires_at = expiry(now, c.ttl_seconds)?;
    if expires_at <= r.expires_at {
        return Err(Rejection::ExpiryNotLater { expires_at: r.expires_at });
    }
    Ok(vec![Event::ReservationExtended(ReservationExtended { id: c.id.clone(), expires_at })])
}

pub(crate) fn release(ledger: &Ledger, c: &ReleaseReservation) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id)?;
    let lines = held_lines(ledger, r)?;
    Ok(vec![Event::ReservationReleased(ReservationClosed { id: c.id.clone(), lines })])
}

pub(crate) fn expire(ledger: &Ledger, c: &ExpireReservation) -> Result<Vec<Event>, Rejection> {
    let r = ledger.reservation(c.id.as_str()).ok_or_else(|| Rejection::UnknownReservation { reservation: c.id.clone() })?;
    match r.status {
        ReservationStatus::Held => Err(Rejection::ReservationNotExpired { reservation: c.id.clone(), expires_at: r.expires_at }),
        ReservationStatus::Lapsed => {
            let lines = held_lines(ledger, r)?;
            Ok(vec![Event::ReservationExpired(ReservationClosed { id: c.id.clone(), lines })])
        }
        // Two sweepers may find the same hold: the second has nothing to do.
        ReservationStatus::Released | ReservationStatus::Expired | ReservationStatus::Committed => Ok(Vec::new()),
    }
}

/// Issues every line. Lines of one item at one location follow each other, so each is costed on what the one before
/// left; the state they are decided on is therefore a scratch pool per item and location.
pub(crate) fn commit(ledger: &Ledger, c: &CommitReservation) -> Result<Vec<Event>, Rejection> {
    let r = held(ledger, &c.id)?;
    let lines = held_lines(ledger, r)?;
    let mut movements = Vec::with_capacity(lines.len());
    let mut scratch = crate::domain::stock::decide::Scratch::default();
    for line in &lines {
        let place = Place::find_held(ledger, &line.sku, &line.location)?;
        let movement = scratch.take_out(place, line.quantity, MovementKind::Issue)?;
        movements.push(movement);
    }
    Ok(vec![Event::ReservationCommitted(ReservationCommitted { id: c.id.clone(), movements })])
}

fn held_lines(ledger: &Ledger, r: &Reservation) -> Result<Vec<HeldLine>, Rejection> {
    r.lines
        .iter()
        .map(|l| {
            // Items and locations are never taken out of the catalogue, so both indices are there.
            let item = ledger.items().get(l.item as usize).map(|i| &i.definition);
            let location = ledger.locations().get(l.location as usize).map(|l| &l.definition);
            let (Some(item), Some(location)) = (item, location) else {
                return Err(Rejection::NumberOutOfRange { field: Text::trusted("lines") });
            };
            Ok(HeldLine { sku: item.sku.clone(), location: location.code.clone(), scale: item.scale, quantity: l.quantity })
        })
        .collect()
}
