//! Decisions of a transfer in two steps.

use rustc_hash::FxHashSet;

use super::command::{CancelTransfer, DispatchTransfer, ReceiveLine, ReceiveTransfer};
use super::event::{Arrival, TransferCancelled, TransferDispatched, TransferReceived};
use crate::domain::amount::share;
use crate::domain::catalogue::command::{LocationKind, MovementKind, Tracking};
use crate::domain::event::Event;
use crate::domain::id::{LocationCode, Serial, Text, TransferId};
use crate::domain::limit::DOCUMENT_LINES_MAX;
use crate::domain::rejection::{Rejection, Shortage};
use crate::domain::state::{Ledger, Transfer, TransferLine};
use crate::domain::stock::event::{LayerChange, Movement};
use crate::domain::stock::place::{Place, Said, Selected, Working, out_of_range, units};
use crate::domain::stock::status::StockStatus;
use crate::domain::valuation::{Change, Layer, Outbound};

fn lines_in_range(lines: usize) -> Result<(), Rejection> {
    if (1..=DOCUMENT_LINES_MAX).contains(&lines) {
        return Ok(());
    }
    Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max: u32::try_from(DOCUMENT_LINES_MAX).unwrap_or(u32::MAX) })
}

/// Where goods are meanwhile: the location named, or the only one there is.
fn transit<'l>(ledger: &'l Ledger, named: Option<&LocationCode>) -> Result<&'l LocationCode, Rejection> {
    if let Some(code) = named {
        let found = ledger.location(code.as_str()).filter(|(_, l)| !l.definition.retired);
        let (_, found) = found.ok_or_else(|| Rejection::UnknownLocation { location: code.clone() })?;
        return match found.definition.kind {
            LocationKind::Transit => Ok(&found.definition.code),
            LocationKind::Storage => Err(Rejection::LocationNotTransit { location: code.clone() }),
        };
    }
    let mut all = ledger.transit_locations();
    match (all.next(), all.next()) {
        (Some((_, only)), None) => Ok(&only.definition.code),
        (None, _) | (Some(_), Some(_)) => Err(Rejection::TransitLocationRequired),
    }
}

pub(crate) fn dispatch(ledger: &Ledger, c: &DispatchTransfer) -> Result<Vec<Event>, Rejection> {
    lines_in_range(c.lines.len())?;
    if c.from == c.to {
        return Err(Rejection::SameLocation);
    }
    let via = transit(ledger, c.via.as_ref())?;
    let mut working = Working::new(ledger);
    let mut movements = Vec::with_capacity(c.lines.len().saturating_mul(2));
    let mut shortages: Vec<Shortage> = Vec::new();
    for (number, line) in (0_u32..).zip(&c.lines) {
        let from = Place::storage(&working, &line.sku, &c.from)?;
        Place::storage(&working, &line.sku, &c.to)?;
        let quantity = from.quantity(line.quantity, line.unit.as_ref())?;
        let said = Said { lot: line.lot.as_ref(), serials: line.serials.as_deref(), ..Said::default() };
        let goods = from.select(quantity, said)?;
        // What goes under way must be there, whatever may go below zero.
        let free = from.free_of(&goods);
        if quantity > free {
            shortages.push(from.shortage(number, quantity, free));
            continue;
        }
        let to = Place::find(&working, &line.sku, via)?;
        let carried = from.carry(&to, quantity, &goods, StockStatus::Sellable)?;
        for m in [carried.outgoing, carried.incoming] {
            working.apply(&m)?;
            movements.push(m);
        }
    }
    if !shortages.is_empty() {
        return Err(Rejection::InsufficientStock { shortages });
    }
    if ledger.transfer(c.id.as_str()).is_some() {
        return Err(Rejection::TransferExists { transfer: c.id.clone() });
    }
    let (from, to, via) = (c.from.clone(), c.to.clone(), via.clone());
    Ok(vec![Event::TransferDispatched(TransferDispatched { id: c.id.clone(), from, to, via, due_at: c.due_at, movements })])
}

fn open<'l>(ledger: &'l Ledger, id: &TransferId) -> Result<&'l Transfer, Rejection> {
    let t = ledger.transfer(id.as_str()).ok_or_else(|| Rejection::UnknownTransfer { transfer: id.clone() })?;
    if t.is_open { Ok(t) } else { Err(Rejection::TransferClosed { transfer: id.clone() }) }
}

/// `quantity` of what a line has under way, at the line's own value and layers: value travels with its goods, whatever
/// else is in transit. Units with serials and specific cost leave their own layers.
fn out_of_transit(line: &TransferLine, quantity: i64, by_layer: Option<&[(i64, i64)]>) -> Option<Outbound> {
    let mut layers = Vec::new();
    let mut take = |l: &Layer, part: i64| -> Option<()> {
        let value = share(l.value, part, l.quantity)?.checked_neg()?;
        layers.push(LayerChange { layer: l.number, quantity: part.checked_neg()?, value });
        Some(())
    };
    match by_layer {
        Some(groups) => {
            for (number, units) in groups {
                take(line.layers.iter().find(|l| l.number == *number)?, *units)?;
            }
        }
        None => {
            let mut wanted = quantity;
            for l in &line.layers {
                let part = wanted.min(l.quantity);
                if part > 0 {
                    take(l, part)?;
                    wanted = wanted.checked_sub(part)?;
                }
            }
        }
    }
    let value = if layers.is_empty() {
        share(line.value, quantity, line.quantity)?.checked_neg()?
    } else {
        layers.iter().try_fold(0_i64, |sum, l| sum.checked_add(l.value))?
    };
    let change = Change { quantity: quantity.checked_neg()?, value, layers, provisional: None };
    Some(Outbound { change, cost: value.checked_neg()?, residue: 0 })
}

/// What a command says arrived of one line, in units.
struct Arrived {
    arrival: Arrival,
    good: Vec<Serial>,
    damaged: Vec<Serial>,
    lost: Vec<Serial>,
}

fn arrived(ledger: &Ledger, t: &Transfer, said: &ReceiveLine, is_final: bool) -> Result<Arrived, Rejection> {
    let unknown = || Rejection::UnknownLine { line: said.line };
    let line = t.lines.get(said.line as usize).ok_or_else(unknown)?;
    let item = ledger.items().get(line.item as usize).ok_or_else(unknown)?;
    let scale = item.definition.scale;
    let positive = |n, field| match units(n, scale, field)? {
        n if n >= 0 => Ok(n),
        _below_zero => Err(Rejection::QuantityNotPositive { field: Text::trusted(field) }),
    };
    let good = positive(said.quantity, "quantity")?;
    let damaged = said.damaged.map_or(Ok(0), |n| positive(n, "damaged"))?;
    let sum = good.checked_add(damaged).ok_or_else(out_of_range)?;
    // Damaged goods are of what was sent; of more than that, the surplus counts as good.
    let of_sent = sum.min(line.quantity);
    let damaged = damaged.min(of_sent);
    let over = sum.saturating_sub(of_sent);
    let short = if is_final { line.quantity.saturating_sub(of_sent) } else { 0 };
    let arrival = Arrival { line: said.line, good: of_sent.saturating_sub(damaged), damaged, short, over };
    let (good, damaged, lost) = match item.definition.tracking() {
        Tracking::Serial => serials(line, said, &arrival, scale)?,
        Tracking::None | Tracking::Lot => Default::default(),
    };
    Ok(Arrived { arrival, good, damaged, lost })
}

type Sorted = (Vec<Serial>, Vec<Serial>, Vec<Serial>);

/// Which units arrived in good order, damaged, or not at all; in the line's order, which is that of its layers.
fn serials(line: &TransferLine, said: &ReceiveLine, arrival: &Arrival, scale: u8) -> Result<Sorted, Rejection> {
    let required = |n: i64| Rejection::SerialsRequired { quantity: crate::domain::state::shown(n, scale) };
    if arrival.over != 0 {
        // What was never sent has no number here; it is found stock, adjusted by its own command.
        return Err(required(line.quantity));
    }
    let damaged = said.damaged_serials.as_deref().unwrap_or(&[]);
    let all = arrival.good.saturating_add(arrival.damaged) == line.quantity;
    let broken: FxHashSet<&Serial> = damaged.iter().collect();
    let good: Vec<Serial> = match &said.serials {
        Some(serials) => serials.clone(),
        None if all => line.serials.iter().filter(|s| !broken.contains(s)).cloned().collect(),
        None => return Err(required(arrival.good)),
    };
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    if count(good.len()) != arrival.good || count(damaged.len()) != arrival.damaged {
        return Err(required(arrival.good.saturating_add(arrival.damaged)));
    }
    let sent: FxHashSet<&Serial> = line.serials.iter().collect();
    let mut seen: FxHashSet<&Serial> = FxHashSet::default();
    if let Some(stranger) = good.iter().chain(damaged).find(|s| !sent.contains(s) || !seen.insert(s)) {
        return Err(Rejection::UnknownSerial { serial: stranger.clone() });
    }
    let of_line = |is_one: &dyn Fn(&Serial) -> bool| line.serials.iter().filter(|s| is_one(s)).cloned().collect::<Vec<_>>();
    let lost = if arrival.short > 0 { of_line(&|s| !seen.contains(s)) } else { Vec::new() };
    Ok((of_line(&|s| seen.contains(s) && !broken.contains(s)), of_line(&|s| broken.contains(s)), lost))
}

pub(crate) fn receive(ledger: &Ledger, c: &ReceiveTransfer) -> Result<Vec<Event>, Rejection> {
    let t = open(ledger, &c.id)?;
    let said: Vec<ReceiveLine> = match &c.lines {
        Some(lines) if !lines.is_empty() => lines.clone(),
        Some(_) | None => everything(ledger, t),
    };
    lines_in_range(said.len())?;
    let mut seen = FxHashSet::default();
    if let Some(twice) = said.iter().find(|l| !seen.insert(l.line)) {
        return Err(Rejection::UnknownLine { line: twice.line });
    }
    let mut lines = said.iter().map(|l| arrived(ledger, t, l, c.is_final)).collect::<Result<Vec<_>, _>>()?;
    if c.is_final {
        // What no line speaks of never arrived.
        for number in (0_u32..).take(t.lines.len()).filter(|n| !seen.contains(n)) {
            let nothing = ReceiveLine { line: number, serials: Some(Vec::new()), ..ReceiveLine::default() };
            lines.push(arrived(ledger, t, &nothing, true)?);
        }
    }
    lines.sort_by_key(|l| l.arrival.line);
    let mut receipt = Receipt { t, left: t.lines.clone(), working: Working::new(ledger), movements: Vec::new() };
    let mut arrivals = Vec::with_capacity(lines.len());
    for line in lines {
        receipt.take(&line)?;
        arrivals.push(line.arrival);
    }
    if receipt.movements.is_empty() && !c.is_final {
        return Err(Rejection::ZeroChange { field: Text::trusted("quantity") });
    }
    let is_final = receipt.left.iter().all(|l| l.quantity == 0);
    Ok(vec![Event::TransferReceived(TransferReceived { id: c.id.clone(), arrivals, movements: receipt.movements, is_final })])
}

pub(crate) fn cancel(ledger: &Ledger, c: &CancelTransfer) -> Result<Vec<Event>, Rejection> {
    let t = open(ledger, &c.id)?;
    let mut back = Receipt { t, left: t.lines.clone(), working: Working::new(ledger), movements: Vec::new() };
    for number in (0_u32..).take(t.lines.len()) {
        let line = t.lines.get(number as usize).ok_or(Rejection::UnknownLine { line: number })?;
        if line.quantity > 0 {
            let part = Part { quantity: line.quantity, goes: Goes::Into(t.from, StockStatus::Sellable), serials: &line.serials };
            back.part(number, &part)?;
        }
    }
    Ok(vec![Event::TransferCancelled(TransferCancelled { id: c.id.clone(), movements: back.movements })])
}

/// All that is under way, in good order.
fn everything(ledger: &Ledger, t: &Transfer) -> Vec<ReceiveLine> {
    let lines = (0_u32..).zip(&t.lines).filter(|(_, l)| l.quantity > 0);
    lines
        .filter_map(|(line, l)| {
            let scale = ledger.items().get(l.item as usize)?.definition.scale;
            let quantity = crate::domain::amount::Number::from_units(l.quantity, scale);
            Some(ReceiveLine { line, quantity, ..ReceiveLine::default() })
        })
        .collect()
}

/// Where a part of a line goes from transit.
#[derive(Clone, Copy)]
enum Goes {
    /// To this location, in this status.
    Into(u32, StockStatus),
    /// It will not arrive any more.
    Lost,
}

/// Units of one line that go the same way.
struct Part<'s> {
    quantity: i64,
    goes: Goes,
    serials: &'s [Serial],
}

/// A receipt in the making.
struct Receipt<'l> {
    t: &'l Transfer,
    left: Vec<TransferLine>,
    working: Working<'l>,
    movements: Vec<Movement>,
}

impl Receipt<'_> {
    /// Good, damaged, lost: one movement out of transit each, in this order, as the fold takes them.
    fn take(&mut self, line: &Arrived) -> Result<(), Rejection> {
        let a = &line.arrival;
        let into = |status| Goes::Into(self.t.to, status);
        let parts = [
            Part { quantity: a.good, goes: into(StockStatus::Sellable), serials: &line.good },
            Part { quantity: a.damaged, goes: into(StockStatus::Damaged), serials: &line.damaged },
            Part { quantity: a.short, goes: Goes::Lost, serials: &line.lost },
        ];
        let sent = self.left.get(a.line as usize).cloned().ok_or(Rejection::UnknownLine { line: a.line })?;
        for part in parts.iter().filter(|p| p.quantity > 0) {
            self.part(a.line, part)?;
        }
        if a.over > 0 { self.find_more(a.over, &sent) } else { Ok(()) }
    }

    fn part(&mut self, number: u32, part: &Part<'_>) -> Result<(), Rejection> {
        let unknown = || Rejection::UnknownLine { line: number };
        let line = self.left.get(number as usize).ok_or_else(unknown)?;
        let via = Place::at(&self.working, line.item, self.t.via).ok_or_else(unknown)?;
        let serials = (!part.serials.is_empty()).then(|| part.serials.to_vec());
        // The line's serials stand in the order of its layers, and so does every part of them.
        let groups = via.layers_of(part.serials);
        let lot = via.item.lot_at(line.lot).map(|l| l.code.clone());
        let goods = Selected { lot, lot_at: line.lot, serials, groups, ..Selected::default() };
        let by_layer = (!goods.groups.is_empty() && !line.layers.is_empty()).then_some(goods.groups.as_slice());
        let own = || out_of_transit(line, part.quantity, by_layer).ok_or_else(out_of_range);
        let movements = match part.goes {
            Goes::Lost if line.is_inside_pool => vec![via.take_out(part.quantity, MovementKind::Adjustment, None, &goods)?],
            Goes::Lost => vec![lose(&via, own()?, &goods)?],
            Goes::Into(location, status) => {
                let to = Place::at(&self.working, line.item, location).ok_or_else(unknown)?;
                let carried = if line.is_inside_pool {
                    via.carry(&to, part.quantity, &goods, status)?
                } else {
                    let arrived = Selected { status, ..goods.clone() }.detail();
                    via.carried(&to, part.quantity, own()?, (goods.detail(), arrived))?
                };
                // What it settles below zero comes first, as everywhere.
                carried.settlement.into_iter().chain([carried.outgoing, carried.incoming]).collect()
            }
        };
        let via = via.location.clone();
        let line = self.left.get_mut(number as usize).ok_or_else(unknown)?;
        for m in &movements {
            if m.location == via && m.quantity < 0 {
                line.take(m).ok_or_else(out_of_range)?;
            }
            self.working.apply(m)?;
        }
        self.movements.extend(movements);
        Ok(())
    }

    /// More than was sent is found stock, at the cost of what was sent.
    fn find_more(&mut self, over: i64, sent: &TransferLine) -> Result<(), Rejection> {
        let to = Place::at(&self.working, sent.item, self.t.to).ok_or_else(out_of_range)?;
        let cost = match sent.quantity {
            0 => to.present_cost(over)?,
            quantity => share(sent.value, over, quantity).ok_or_else(out_of_range)?,
        };
        let accounts = to.accounts(MovementKind::Adjustment, None)?;
        let lot = to.item.lot_at(sent.lot).map(|l| l.code.clone());
        let goods = Selected { lot, lot_at: sent.lot, ..Selected::default() };
        let (settlement, m) = to.bring_in(over, cost, &accounts, goods.detail(), &[])?;
        for m in settlement.into_iter().chain([m]) {
            self.working.apply(&m)?;
            self.movements.push(m);
        }
        Ok(())
    }
}

/// What will not arrive any more is an adjustment.
fn lose(via: &Place<'_>, o: Outbound, goods: &Selected) -> Result<Movement, Rejection> {
    let accounts = via.accounts(MovementKind::Adjustment, None)?;
    via.outgoing(o, &accounts, goods.detail())
}
