//! Count decisions.

use super::command::{CancelCount, CountLine, OpenCount, PostCount, RecordCount};
use super::event::{CountCancelled, CountOpened, CountPosted, CountRecorded, CountedLine};
use crate::domain::catalogue::command::{LocationKind, MovementKind, Tracking};
use crate::domain::event::Event;
use crate::domain::id::{CountId, Text};
use crate::domain::limit::{COUNT_LINES_MAX, COUNT_MOVEMENTS_KEPT_MAX, DOCUMENT_LINES_MAX};
use crate::domain::rejection::{Rejection, Shortage};
use crate::domain::state::{Count, CountKey, Ledger, shown};
use crate::domain::stock::place::{Place, Selected, Working, out_of_range, units};
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

pub(crate) fn open(ledger: &Ledger, c: &OpenCount, fresh: &CountId) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh);
    let unknown = || Rejection::UnknownLocation { location: c.location.clone() };
    let (_, location) = ledger.location(c.location.as_str()).filter(|(_, l)| !l.definition.retired).ok_or_else(unknown)?;
    match location.definition.kind {
        LocationKind::Storage => {}
        LocationKind::Transit => return Err(Rejection::LocationNotStorage { location: c.location.clone() }),
    }
    if ledger.count(id.as_str()).is_some() {
        return Err(Rejection::CountExists { count: id.clone() });
    }
    Ok(vec![Event::CountOpened(CountOpened { id: id.clone(), location: c.location.clone() })])
}

fn running<'l>(ledger: &'l Ledger, id: &CountId) -> Result<&'l Count, Rejection> {
    let count = ledger.count(id.as_str()).ok_or_else(|| Rejection::UnknownCount { count: id.clone() })?;
    if count.is_open { Ok(count) } else { Err(Rejection::CountClosed { count: id.clone() }) }
}

pub(crate) fn record(ledger: &Ledger, c: &RecordCount, now: Timestamp) -> Result<Vec<Event>, Rejection> {
    let count = running(ledger, &c.id)?;
    let too_many = c.lines.len() > DOCUMENT_LINES_MAX || count.differences.len().saturating_add(c.lines.len()) > COUNT_LINES_MAX;
    if c.lines.is_empty() || too_many {
        let lines_max = u32::try_from(DOCUMENT_LINES_MAX).unwrap_or(u32::MAX);
        return Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max });
    }
    let counted_at = c.effective_at.unwrap_or(now);
    if counted_at < count.opened_at || counted_at > now {
        return Err(Rejection::CountedOutsideCount { opened_at: count.opened_at });
    }
    let working = Working::new(ledger);
    let lines = c.lines.iter().map(|l| counted(&working, count, l, counted_at)).collect::<Result<Vec<_>, _>>()?;
    Ok(vec![Event::CountRecorded(CountRecorded { id: c.id.clone(), counted_at, lines })])
}

fn counted(working: &Working<'_>, count: &Count, l: &CountLine, counted_at: Timestamp) -> Result<CountedLine, Rejection> {
    let ledger = working.ledger;
    let own = ledger.locations().get(count.location as usize).map(|l| &l.definition.code);
    let location = l.location.as_ref().or(own).ok_or(Rejection::LocationRequired { line: 0 })?;
    let place = Place::storage(working, &l.sku, location)?;
    if !ledger.is_within(place.location_at, count.location) {
        return Err(Rejection::LocationOutsideCount { location: location.clone() });
    }
    let found = units(l.counted, place.scale(), "counted")?;
    if found < 0 {
        return Err(Rejection::QuantityNotPositive { field: Text::trusted("counted") });
    }
    let status = l.status.unwrap_or_default();
    let lot = match (place.item.definition.tracking(), &l.lot) {
        (Tracking::None, None) => 0,
        (Tracking::Lot, Some(code)) => place.item.lot(code).ok_or_else(|| Rejection::UnknownLot { lot: code.clone() })?.0,
        (Tracking::Lot, None) => return Err(Rejection::LotRequired),
        (Tracking::None, Some(_)) => return Err(Rejection::TrackingMismatch { field: Text::trusted("lot") }),
        // A number of units does not say which; units found or missing are adjusted by their serials.
        (Tracking::Serial, _) => return Err(Rejection::SerialsRequired { quantity: shown(found, place.scale()) }),
    };
    let key = (place.item_at, place.location_at, lot, status);
    let expected = expected(&place, count, key, counted_at).ok_or(Rejection::CountedTooLate)?;
    Ok(CountedLine {
        sku: l.sku.clone(),
        location: location.clone(),
        lot: l.lot.clone(),
        status,
        scale: place.scale(),
        counted: found,
        expected,
    })
}

/// What was on hand at the moment counted: what is there now less what moved since. `None` when too much moved.
fn expected(place: &Place<'_>, count: &Count, key: CountKey, counted_at: Timestamp) -> Option<i64> {
    let (_, _, lot, status) = key;
    let now = match place.bin.cell(lot, status) {
        Some(cell) => cell.on_hand,
        None if lot == 0 && status.is_sellable() => place.bin.sellable(),
        None => 0,
    };
    if counted_at < place.ledger.now() && count.moved.len() > COUNT_MOVEMENTS_KEPT_MAX {
        return None;
    }
    let mut since = count.moved.iter().filter(|(at, moved, _)| *at > counted_at && *moved == key);
    since.try_fold(now, |left, (_, _, units)| left.checked_sub(*units))
}

pub(crate) fn post(ledger: &Ledger, c: &PostCount) -> Result<Vec<Event>, Rejection> {
    let count = running(ledger, &c.id)?;
    let mut working = Working::new(ledger);
    let mut movements = Vec::new();
    let mut shortages: Vec<Shortage> = Vec::new();
    let differing = count.differences.iter().filter(|(_, difference)| **difference != 0);
    for (line, ((item, location, lot, status), difference)) in (0_u32..).zip(differing) {
        let place = Place::at(&working, *item, *location).ok_or_else(out_of_range)?;
        let goods = selected(&place, *lot, *status);
        if *difference < 0 {
            let lost = difference.saturating_neg();
            let free = place.free_of(&goods);
            // What is promised cannot be adjusted away: the promise is released first, by whoever decides whose.
            if lost > free && !(status.is_sellable() && place.allows_negative()) {
                shortages.push(place.shortage(line, lost, free));
                continue;
            }
            let m = place.take_out(lost, MovementKind::Adjustment, None, &goods)?;
            working.apply(&m)?;
            movements.push(m);
        } else {
            let cost = place.present_cost(*difference)?;
            let accounts = place.accounts(MovementKind::Adjustment, None)?;
            let (settlement, m) = place.bring_in(*difference, cost, &accounts, goods.detail(), &[])?;
            for m in settlement.into_iter().chain([m]) {
                working.apply(&m)?;
                movements.push(m);
            }
        }
    }
    if !shortages.is_empty() {
        return Err(Rejection::InsufficientStock { shortages });
    }
    Ok(vec![Event::CountPosted(CountPosted { id: c.id.clone(), movements })])
}

fn selected(place: &Place<'_>, lot: u32, status: StockStatus) -> Selected {
    let code = place.item.lot_at(lot).map(|l| l.code.clone());
    Selected { status, lot: code, lot_at: lot, ..Selected::default() }
}

pub(crate) fn cancel(ledger: &Ledger, c: &CancelCount) -> Result<Vec<Event>, Rejection> {
    running(ledger, &c.id)?;
    Ok(vec![Event::CountCancelled(CountCancelled { id: c.id.clone() })])
}
