//! Opening a reservation: demands, places, shortages.
//!
//! **Shape**: lines → demands (kits exploded) → candidates in the strategy's order → pieces per demand → held lines.
//! **Correctness**: demands for one item and place are summed before they are tested; what one demand takes is not there
//! for the next ([`Taken`]); every short line is reported. What is not there waits only where the policy of the place
//! allows it, and only where one place was meant.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::command::{Reserve, ReserveLine};
use super::decide::{expiry, held_lines};
use super::event::{HeldLine, ReservationClosed, ReservationOpened};
use crate::domain::allocation::{self, Candidate, Choice, Demand, Facts, Strategy, nearest};
use crate::domain::amount::add;
use crate::domain::catalogue::command::{LocationKind, Tracking};
use crate::domain::event::Event;
use crate::domain::id::{LocationCode, LotCode, ReservationId, Text};
use crate::domain::limit::{CANDIDATES_MAX, PRIORITY_LOCATIONS_MAX, RESERVATION_LINES_MAX};
use crate::domain::rejection::{Rejection, Shortage};
use crate::domain::state::{Ledger, ReservationStatus};
use crate::domain::stock::kit::explode;
use crate::domain::stock::place::{Place, Working, out_of_range};
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

/// One item wanted, and where.
#[derive(Clone, Copy)]
struct Want<'c> {
    /// The command's line it belongs to.
    line: u32,
    item: u32,
    /// Units.
    quantity: i64,
    /// At, or inside of.
    location: Option<u32>,
    lot: Option<&'c LotCode>,
    /// The kit it is a component of.
    kit: Option<u32>,
}

/// Units of a demand at one place.
#[derive(Clone)]
struct Piece {
    location: u32,
    lot: u32,
    units: i64,
    waiting: i64,
}

/// What earlier demands of this command took, per item and place, and per lot of it; and what of them waits.
#[derive(Default)]
struct Taken {
    firm: FxHashMap<(u32, u32, u32), i64>,
    waiting: FxHashMap<(u32, u32), i64>,
}

impl Taken {
    fn of(&self, item: u32, location: u32, lot: u32) -> i64 {
        self.firm.get(&(item, location, lot)).copied().unwrap_or(0)
    }

    fn waiting(&self, item: u32, location: u32) -> i64 {
        self.waiting.get(&(item, location)).copied().unwrap_or(0)
    }

    fn add(&mut self, item: u32, piece: &Piece) {
        let firm = piece.units.saturating_sub(piece.waiting);
        let sum = self.waiting.entry((item, piece.location)).or_default();
        *sum = sum.saturating_add(piece.waiting);
        let mut put = |lot: u32, units: i64| {
            let sum = self.firm.entry((item, piece.location, lot)).or_default();
            *sum = sum.saturating_add(units);
        };
        // Lot 0 is the place as a whole.
        put(0, firm);
        if piece.lot != 0 {
            put(piece.lot, firm);
        }
    }
}

/// Everything about one `reserve` that every demand needs.
struct Opening<'l, 'c> {
    working: &'c Working<'l>,
    strategy: Option<Strategy>,
    listed: Vec<u32>,
    near: Option<(i32, i32)>,
    now: Timestamp,
}

pub(crate) fn reserve(ledger: &Ledger, c: &Reserve, now: Timestamp, fresh: &ReservationId) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh);
    let lines_max = u32::try_from(RESERVATION_LINES_MAX).unwrap_or(u32::MAX);
    if c.lines.is_empty() || c.lines.len() > RESERVATION_LINES_MAX {
        return Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max });
    }
    let expires_at = expiry(now, c.ttl_seconds)?;
    if ledger.reservation(id.as_str()).is_some() {
        return Err(Rejection::ReservationExists { reservation: id.clone() });
    }
    let mut working = Working::new(ledger);
    let mut events = replaced(ledger, &mut working, c)?;
    let opening = Opening::new(&working, c, now)?;
    let mut wants = Vec::with_capacity(c.lines.len());
    for (number, line) in (0_u32..).zip(&c.lines) {
        opening.wants(number, line, &mut wants)?;
    }
    if wants.len() > RESERVATION_LINES_MAX {
        return Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max });
    }
    let Held { lines, demands, shortages } =
        if c.allow_partial == Some(true) { opening.partly(&wants)? } else { opening.wholly(&wants)? };
    if lines.is_empty() {
        return Err(Rejection::InsufficientStock { shortages });
    }
    let choice = opening
        .strategy
        .filter(|s| *s != Strategy::Given)
        .map(|strategy| Box::new(Choice { strategy, version: allocation::VERSION, demands }));
    let shortages = (!shortages.is_empty()).then_some(shortages);
    let (owner, priority) = (c.owner.clone(), c.priority.filter(|p| *p > 0));
    let opened = ReservationOpened { id: id.clone(), owner, expires_at, lines, priority, choice, shortages };
    events.push(Event::ReservationOpened(opened));
    Ok(events)
}

/// With `replace_own`: what this owner holds already is released, and free for the new demand. What is confirmed stays:
/// an order is not undone by a new basket.
fn replaced(ledger: &Ledger, working: &mut Working<'_>, c: &Reserve) -> Result<Vec<Event>, Rejection> {
    if c.replace_own != Some(true) {
        return Ok(Vec::new());
    }
    let owner = c.owner.as_ref().ok_or(Rejection::OwnerRequired)?;
    let mut events = Vec::new();
    for (id, r) in ledger.owned_by(owner).filter(|(_, r)| r.status == ReservationStatus::Held) {
        for l in &r.lines {
            working.unhold(l.item, l.location, l.lot, l.quantity.saturating_sub(l.waiting));
            working.unwait(l.item, l.location, l.waiting);
        }
        let lines = held_lines(ledger, r)?;
        events.push(Event::ReservationReleased(ReservationClosed { id: id.clone(), lines }));
    }
    Ok(events)
}

/// What came of the demands.
struct Held {
    lines: Vec<HeldLine>,
    demands: Vec<Demand>,
    shortages: Vec<Shortage>,
}

impl<'l, 'c> Opening<'l, 'c> {
    fn new(working: &'c Working<'l>, c: &'c Reserve, now: Timestamp) -> Result<Self, Rejection> {
        let ledger = working.ledger;
        let find = |code: &LocationCode| {
            let found = ledger.location(code.as_str()).filter(|(_, l)| !l.definition.retired);
            found.ok_or_else(|| Rejection::UnknownLocation { location: code.clone() })
        };
        let listed = c.locations.as_deref().unwrap_or(&[]);
        if listed.len() > PRIORITY_LOCATIONS_MAX {
            let lines_max = u32::try_from(PRIORITY_LOCATIONS_MAX).unwrap_or(u32::MAX);
            return Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max });
        }
        if (c.strategy == Some(Strategy::PriorityList)) == listed.is_empty() {
            return Err(Rejection::StrategyIncomplete { field: Text::trusted("locations") });
        }
        if (c.strategy == Some(Strategy::Nearest)) != c.near.is_some() {
            return Err(Rejection::StrategyIncomplete { field: Text::trusted("near") });
        }
        let listed = listed.iter().map(|code| find(code).map(|(at, _)| at)).collect::<Result<Vec<_>, _>>()?;
        let near = match &c.near {
            None => None,
            Some(code) => {
                let (_, l) = find(code)?;
                let at = l.definition.x.zip(l.definition.y);
                Some(at.ok_or_else(|| Rejection::LocationWithoutCoordinates { location: code.clone() })?)
            }
        };
        Ok(Self { working, strategy: c.strategy, listed, near, now })
    }

    /// A line's demands: its item, or the components of a kit.
    fn wants(&self, number: u32, line: &'c ReserveLine, wants: &mut Vec<Want<'c>>) -> Result<(), Rejection> {
        let ledger = self.working.ledger;
        let (item, known) = ledger
            .item(line.sku.as_str())
            .filter(|(_, i)| !i.definition.retired)
            .ok_or_else(|| Rejection::UnknownItem { sku: line.sku.clone() })?;
        let location = match &line.location {
            Some(code) => {
                let found = ledger.location(code.as_str()).filter(|(_, l)| !l.definition.retired);
                let (at, l) = found.ok_or_else(|| Rejection::UnknownLocation { location: code.clone() })?;
                if l.definition.kind != LocationKind::Storage {
                    return Err(Rejection::LocationNotStorage { location: code.clone() });
                }
                Some(at)
            }
            None if matches!(self.strategy, None | Some(Strategy::Given)) => {
                return Err(Rejection::LocationRequired { line: number });
            }
            None => None,
        };
        // The place only lends its arithmetic of units.
        let place = Place::at(self.working, item, location.unwrap_or(0)).ok_or_else(out_of_range)?;
        let quantity = place.quantity(line.quantity, line.unit.as_ref())?;
        if line.lot.is_some() && known.definition.tracking() != Tracking::Lot {
            return Err(Rejection::TrackingMismatch { field: Text::trusted("lot") });
        }
        if known.definition.components().is_empty() {
            wants.push(Want { line: number, item, quantity, location, lot: line.lot.as_ref(), kit: None });
            return Ok(());
        }
        for (sku, units) in explode(ledger, known, quantity)? {
            let (part, _) = ledger.item(sku.as_str()).ok_or_else(|| Rejection::UnknownItem { sku: sku.clone() })?;
            wants.push(Want { line: number, item: part, quantity: units, location, lot: None, kit: Some(item) });
        }
        Ok(())
    }

    /// Every place that could serve a demand, in the strategy's order.
    fn candidates(&self, want: &Want<'_>, quantity: i64, taken: &Taken) -> Result<Vec<(Candidate, u32, u32)>, Rejection> {
        let ledger = self.working.ledger;
        let item = ledger.items().get(want.item as usize).ok_or_else(out_of_range)?;
        let strategy = self.strategy.unwrap_or(Strategy::Given);
        let wanted_lot = match want.lot {
            Some(code) => Some(item.lot(code).ok_or_else(|| Rejection::UnknownLot { lot: code.clone() })?.0),
            None => None,
        };
        let mut found = Vec::new();
        for (at, _) in &item.bins {
            let Some(location) = ledger.locations().get(*at as usize).map(|l| &l.definition) else { continue };
            let is_inside = want.location.is_none_or(|outer| ledger.is_within(*at, outer));
            if !is_inside || location.kind != LocationKind::Storage || location.retired {
                continue;
            }
            let Some(place) = Place::at(self.working, want.item, *at) else { continue };
            let left = place.bin.promisable().saturating_sub(taken.of(want.item, *at, 0));
            let facts = |expires_at| Facts {
                listed: self.listed.iter().position(|outer| ledger.is_within(*at, *outer)),
                distance: self.near.zip(location.x.zip(location.y)).map(|(near, at)| nearest::distance(near, at)),
                expires_at,
                since: place.bin.since,
            };
            let mut put = |lot: u32, code: Option<LotCode>, available: i64, expires_at| {
                let available = available.min(left).max(0);
                if available > 0
                    && let Some(rank) = allocation::rank(strategy, &facts(expires_at))
                {
                    found.push((Candidate { location: location.code.clone(), lot: code, available, rank }, *at, lot));
                }
            };
            match item.definition.tracking() {
                Tracking::None | Tracking::Serial => put(0, None, left, None),
                Tracking::Lot => {
                    let lots = free_lots(&place, self.now);
                    for (number, code, units) in lots.into_iter().filter(|(n, _, _)| wanted_lot.is_none_or(|w| w == *n)) {
                        let expires_at = item.lot_at(number).and_then(|l| l.expires_at);
                        let units = units.saturating_sub(taken.of(want.item, *at, number));
                        put(number, Some(code), units, expires_at);
                    }
                }
            }
        }
        Ok(self.ordered(strategy, quantity, found))
    }

    fn ordered(&self, strategy: Strategy, quantity: i64, found: Vec<(Candidate, u32, u32)>) -> Vec<(Candidate, u32, u32)> {
        let mut indices: FxHashMap<(LocationCode, Option<LotCode>), (u32, u32)> = FxHashMap::default();
        let mut candidates: Vec<Candidate> = Vec::with_capacity(found.len());
        for (candidate, at, lot) in found {
            indices.insert((candidate.location.clone(), candidate.lot.clone()), (at, lot));
            candidates.push(candidate);
        }
        allocation::order(strategy, quantity, &mut candidates);
        candidates.truncate(CANDIDATES_MAX);
        candidates
            .into_iter()
            .filter_map(|c| {
                let (at, lot) = *indices.get(&(c.location.clone(), c.lot.clone()))?;
                Some((c, at, lot))
            })
            .collect()
    }

    /// Serves one demand as far as it goes; units that nothing serves come back too.
    fn serve(&self, want: &Want<'_>, quantity: i64, taken: &Taken) -> Result<(Vec<Piece>, Demand, i64), Rejection> {
        let found = self.candidates(want, quantity, taken)?;
        let item = self.working.ledger.items().get(want.item as usize).ok_or_else(out_of_range)?;
        let candidates: Vec<Candidate> = found.iter().map(|(c, _, _)| c.clone()).collect();
        let chosen = allocation::take(quantity, &candidates);
        let served: i64 = chosen.iter().map(|(_, units)| units).sum();
        let mut pieces: Vec<Piece> = chosen
            .into_iter()
            .filter_map(|(at, units)| {
                let (_, location, lot) = found.get(at)?;
                Some(Piece { location: *location, lot: *lot, units, waiting: 0 })
            })
            .collect();
        let mut missing = quantity.saturating_sub(served);
        if missing > 0
            && let Some(place) = self.waits_at(want)
            && may_wait(&place, missing, taken.waiting(want.item, place.location_at))?
        {
            let at = place.location_at;
            match pieces.iter_mut().find(|p| p.location == at && p.lot == 0) {
                Some(piece) => {
                    piece.units = piece.units.saturating_add(missing);
                    piece.waiting = missing;
                }
                None => pieces.push(Piece { location: at, lot: 0, units: missing, waiting: missing }),
            }
            missing = 0;
        }
        let (sku, scale) = (item.definition.sku.clone(), item.definition.scale);
        Ok((pieces, Demand { sku, scale, quantity, candidates }, missing))
    }

    /// The one place where what is missing may wait: the line's own, or the first of the list. What names a lot does
    /// not wait: nothing says that what comes in will be of it.
    fn waits_at(&self, want: &Want<'_>) -> Option<Place<'_>> {
        if want.lot.is_some() {
            return None;
        }
        let at = want.location.or_else(|| self.listed.first().copied())?;
        // Where the list does not look there may be plenty: nobody waits there.
        let is_listed = self.listed.is_empty() || self.listed.iter().any(|outer| self.working.ledger.is_within(at, *outer));
        Place::at(self.working, want.item, at).filter(|place| is_listed && place.kind == LocationKind::Storage)
    }

    fn shortage(&self, want: &Want<'_>, requested: i64, available: i64) -> Result<Shortage, Rejection> {
        let ledger = self.working.ledger;
        let item = &ledger.items().get(want.item as usize).ok_or_else(out_of_range)?.definition;
        let location = want.location.or_else(|| self.listed.first().copied());
        let location = location.and_then(|at| ledger.locations().get(at as usize)).map(|l| l.definition.code.clone());
        Ok(Shortage {
            line: want.line,
            sku: item.sku.clone(),
            location: location.unwrap_or_default(),
            requested: crate::domain::state::shown(requested, item.scale),
            available: crate::domain::state::shown(available, item.scale),
        })
    }

    fn line(&self, want: &Want<'_>, piece: &Piece) -> Result<HeldLine, Rejection> {
        let ledger = self.working.ledger;
        let item = ledger.items().get(want.item as usize).ok_or_else(out_of_range)?;
        let location = &ledger.locations().get(piece.location as usize).ok_or_else(out_of_range)?.definition;
        Ok(HeldLine {
            sku: item.definition.sku.clone(),
            location: location.code.clone(),
            scale: item.definition.scale,
            quantity: piece.units,
            waiting: (piece.waiting > 0).then_some(piece.waiting),
            lot: item.lot_at(piece.lot).map(|l| l.code.clone()),
            kit: want.kit.and_then(|kit| ledger.items().get(kit as usize)).map(|kit| kit.definition.sku.clone()),
        })
    }

    /// All or nothing: demands for one item and place are one.
    fn wholly(&self, wants: &[Want<'c>]) -> Result<Held, Rejection> {
        type Key<'k> = (u32, Option<u32>, Option<&'k LotCode>);
        let mut order: Vec<Key<'c>> = Vec::new();
        let mut summed: FxHashMap<Key<'c>, Vec<usize>> = FxHashMap::default();
        for (at, want) in wants.iter().enumerate() {
            let key = (want.item, want.location, want.lot);
            let group = summed.entry(key).or_default();
            if group.is_empty() {
                order.push(key);
            }
            group.push(at);
        }
        let mut taken = Taken::default();
        let (mut demands, mut shortages) = (Vec::with_capacity(order.len()), Vec::new());
        // By the place of the demand among the lines: the lines come out in the order they were asked for.
        let mut served: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
        for key in order {
            let group = summed.get(&key).map(Vec::as_slice).unwrap_or(&[]);
            let of_group: Vec<&Want<'c>> = group.iter().filter_map(|at| wants.get(*at)).collect();
            let Some(first) = of_group.first() else { continue };
            let sum = of_group.iter().try_fold(0_i64, |sum, w| add(sum, w.quantity)).ok_or_else(out_of_range)?;
            let (pieces, demand, missing) = self.serve(first, sum, &taken)?;
            if missing > 0 {
                shortages.push(self.shortage(first, sum, sum.saturating_sub(missing))?);
                continue;
            }
            pieces.iter().for_each(|p| taken.add(first.item, p));
            demands.push(demand);
            let mut left = pieces.into_iter();
            let mut current = left.next();
            for (at, want) in group.iter().zip(of_group) {
                let mut wanted = want.quantity;
                while let Some(piece) = current.as_mut().filter(|_| wanted > 0) {
                    let part = split(piece, wanted);
                    wanted = wanted.saturating_sub(part.units);
                    served.entry(*at).or_default().push(part);
                    if piece.units == 0 {
                        current = left.next();
                    }
                }
            }
        }
        if !shortages.is_empty() {
            return Err(Rejection::InsufficientStock { shortages });
        }
        let mut lines = Vec::new();
        for (at, pieces) in served {
            let want = wants.get(at).ok_or_else(out_of_range)?;
            for piece in &pieces {
                lines.push(self.line(want, piece)?);
            }
        }
        Ok(Held { lines, demands, shortages })
    }

    /// What there is of each line; all components of a kit or none.
    fn partly(&self, wants: &[Want<'c>]) -> Result<Held, Rejection> {
        let mut taken = Taken::default();
        let mut held = Held { lines: Vec::new(), demands: Vec::new(), shortages: Vec::new() };
        for of_line in wants.chunk_by(|a, b| a.line == b.line) {
            let mut pieces = Vec::new();
            let mut demands = Vec::new();
            let mut short = Vec::new();
            for want in of_line {
                let (served, demand, missing) = self.serve(want, want.quantity, &taken)?;
                if missing > 0 {
                    short.push(self.shortage(want, want.quantity, want.quantity.saturating_sub(missing))?);
                }
                served.iter().for_each(|p| taken.add(want.item, p));
                pieces.extend(served.into_iter().map(|p| (want, p)));
                demands.push(demand);
            }
            let is_kit = of_line.iter().any(|w| w.kit.is_some());
            if is_kit && !short.is_empty() {
                for (want, piece) in &pieces {
                    let back =
                        Piece { units: piece.units.saturating_neg(), waiting: piece.waiting.saturating_neg(), ..piece.clone() };
                    taken.add(want.item, &back);
                }
            } else {
                for (want, piece) in &pieces {
                    held.lines.push(self.line(want, piece)?);
                }
                held.demands.extend(demands);
            }
            held.shortages.extend(short);
        }
        Ok(held)
    }
}

/// Whether `missing` more units may wait at a place, beside what of this command waits there already.
fn may_wait(place: &Place<'_>, missing: i64, already: i64) -> Result<bool, Rejection> {
    let waits = add(missing, already).ok_or_else(out_of_range)?;
    add(place.bin.reserved, place.bin.allocated).and_then(|held| add(held, waits)).ok_or_else(out_of_range)?;
    Ok(place.bin.backorder_room().is_none_or(|room| waits <= room))
}

/// Takes up to `wanted` units off a piece, what is there first and what waits last.
fn split(piece: &mut Piece, wanted: i64) -> Piece {
    let units = wanted.min(piece.units);
    let firm = piece.units.saturating_sub(piece.waiting);
    let waiting = units.saturating_sub(firm.min(units));
    piece.units = piece.units.saturating_sub(units);
    piece.waiting = piece.waiting.saturating_sub(waiting);
    Piece { units, waiting, ..piece.clone() }
}

/// Lots that may be promised at a place, the first to expire first, with their free units.
pub(super) fn free_lots(place: &Place<'_>, now: Timestamp) -> Vec<(u32, LotCode, i64)> {
    let mut lots: Vec<_> = place
        .bin
        .cells
        .iter()
        .filter(|c| c.lot != 0 && c.status == StockStatus::Sellable)
        .filter_map(|c| {
            let lot = place.item.lot_at(c.lot)?;
            let units = c.on_hand.saturating_sub(c.held);
            let is_good = lot.expires_at.is_none_or(|at| at > now);
            (is_good && units > 0).then(|| (lot.expires_at.map_or(i64::MAX, |at| at.0), c.lot, lot.code.clone(), units))
        })
        .collect();
    lots.sort();
    lots.into_iter().map(|(_, number, code, units)| (number, code, units)).collect()
}
