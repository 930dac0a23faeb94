//! Movements of goods and value into bins, pools, lots, serials and accounts; transfers, counts and expectations.

use std::collections::VecDeque;

use super::row::{Count, Expectation, Stream, Transfer, TransferLine};
use super::undo::{BinScalars, PoolScalars, Undo};
use super::{Closed, Ledger, TENANT_POOL};
use crate::domain::amount::{Number, share};
use crate::domain::catalogue::command::ValuationMethod;
use crate::domain::catalogue::event::StockPolicyDefined;
use crate::domain::count::event::{CountOpened, CountRecorded};
use crate::domain::event::Event;
use crate::domain::id::{CountId, ExpectationId, Position, Sku, StreamNumber, TransferId};
use crate::domain::limit::COUNT_MOVEMENTS_KEPT_MAX;
use crate::domain::stock::bin::{Bin, Cell, Policy};
use crate::domain::stock::event::{Movement, Origin, StockExpected};
use crate::domain::time::Timestamp;
use crate::domain::transfer::event::{TransferDispatched, TransferReceived};
use crate::domain::valuation::{Layer, Pool};

use super::row::{Lot, SerialAt, Tracked};

const RANGE: &str = "its figures leave the range, or a cost layer is overdrawn";

impl Ledger {
    /// The bin of an item at a location, made if nothing ever happened there; its scalars are on the undo log afterwards.
    pub(super) fn touch_bin(&mut self, item_at: u32, location: u32) -> Result<(&mut Bin, &mut Vec<Undo>, usize), &'static str> {
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        let slot = match item.bins.iter().position(|(at, _)| *at == location) {
            Some(slot) => slot,
            None => {
                item.bins.push((location, Box::default()));
                self.undo.push(Undo::BinAdded { item: item_at });
                item.bins.len().saturating_sub(1)
            }
        };
        let (_, bin) = item.bins.get_mut(slot).ok_or("its bin is not in memory")?;
        self.undo.push(Undo::Bin { item: item_at, slot, old: BinScalars::of(bin) });
        Ok((bin, &mut self.undo, slot))
    }

    fn touch_pool(&mut self, item_at: u32, location: u32) -> Result<(&mut Pool, &mut Vec<Undo>, usize), &'static str> {
        let item = self.items.get(item_at as usize).ok_or("its item is not in memory")?;
        let key = self.pool_key(item, location);
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        let slot = match item.pools.iter().position(|(at, _)| *at == key) {
            Some(slot) => slot,
            None => {
                item.pools.push((key, Box::default()));
                self.undo.push(Undo::PoolAdded { item: item_at });
                item.pools.len().saturating_sub(1)
            }
        };
        let (_, pool) = item.pools.get_mut(slot).ok_or("its pool is not in memory")?;
        self.undo.push(Undo::Pool { item: item_at, slot, old: PoolScalars::of(pool) });
        Ok((pool, &mut self.undo, slot))
    }

    /// Applies every movement of an event.
    pub(super) fn apply_movements(&mut self, event: &Event, effective_at: Timestamp) -> Result<(), &'static str> {
        let mut sum: i64 = 0;
        for m in event.movements() {
            self.apply(m, effective_at)?;
            sum = sum.checked_add(m.quantity).ok_or(RANGE)?;
        }
        if event.conserves() && sum != 0 {
            return Err("it does not conserve quantity");
        }
        Ok(())
    }

    fn apply(&mut self, m: &Movement, effective_at: Timestamp) -> Result<(), &'static str> {
        let item_at = *self.item_index.get(&m.sku).ok_or("its item is not defined")?;
        let location = *self.location_index.get(&m.location).ok_or("its location is not defined")?;
        let lot = self.lot_number(item_at, m)?;
        self.apply_to_bin(m, (item_at, location, lot), effective_at)?;
        self.apply_to_serials(m, item_at, location)?;
        if !m.is_inside_pool() {
            self.apply_to_pool(m, (item_at, location, lot), effective_at)?;
        }
        if let Some(id) = m.detail.as_ref().and_then(|d| d.expectation.as_ref()) {
            self.fulfil(id, m.quantity)?;
        }
        if m.quantity == 0 && m.value != 0 {
            self.revalue_under_way(m, item_at, location)?;
        }
        self.note_for_counts(m, (item_at, location, lot), effective_at);
        self.post(&m.postings, effective_at)
    }

    /// Goods under way whose value changes: every transfer's lines take their part by units, the last one the rest.
    fn revalue_under_way(&mut self, m: &Movement, item_at: u32, location: u32) -> Result<(), &'static str> {
        let item = self.items.get(item_at as usize).ok_or("its item is not in memory")?;
        let pool = self.pool_key(item, location);
        let mut open: Vec<(StreamNumber, TransferId)> = self
            .transfers
            .iter()
            .filter(|(_, t)| t.is_open && self.pool_key(item, t.via) == pool)
            .map(|(id, t)| (t.stream.number, id.clone()))
            .collect();
        if open.is_empty() || pool == TENANT_POOL {
            return Ok(());
        }
        open.sort();
        let by_layer = m.layers.iter().map(|l| (Some(l.layer), l.value));
        let whole = m.layers.is_empty().then_some((None, m.value));
        for (layer, value) in by_layer.chain(whole).collect::<Vec<_>>() {
            let lines = open.iter().filter_map(|(_, id)| self.transfers.get(id)).flat_map(|t| &t.lines);
            let units = lines.filter(|l| l.item == item_at).map(|l| l.units_of(layer));
            let mut left = (value, units.fold(0_i64, i64::saturating_add));
            for (_, id) in &open {
                let mut t = self.transfers.get(id).ok_or("its transfer is not in memory")?.clone();
                for line in t.lines.iter_mut().filter(|l| l.item == item_at && l.units_of(layer) != 0) {
                    let units = line.units_of(layer);
                    let part = share(left.0, units, left.1).ok_or(RANGE)?;
                    left = (left.0.checked_sub(part).ok_or(RANGE)?, left.1.saturating_sub(units));
                    line.revalue(layer, part).ok_or(RANGE)?;
                }
                self.put_transfer(id, t);
            }
        }
        Ok(())
    }

    /// The number of a movement's lot; a lot that comes in for the first time begins here.
    fn lot_number(&mut self, item_at: u32, m: &Movement) -> Result<u32, &'static str> {
        let Some(code) = m.lot() else { return Ok(0) };
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        if let Some((number, _)) = item.lot(code) {
            return Ok(number);
        }
        if m.quantity < 0 {
            return Err("its lot is not there");
        }
        let tracked = tracked(item, &mut self.undo, item_at);
        let expires_at = m.detail.as_ref().and_then(|d| d.lot_expires_at);
        tracked.lots.push(Lot { code: code.clone(), expires_at });
        let number = u32::try_from(tracked.lots.len()).map_err(|_| "there are too many lots")?;
        tracked.lot_index.insert(code.clone(), number);
        self.undo.push(Undo::LotAdded { item: item_at });
        Ok(number)
    }

    fn apply_to_bin(
        &mut self,
        m: &Movement,
        (item, location, lot): (u32, u32, u32),
        effective_at: Timestamp,
    ) -> Result<(), &'static str> {
        if m.quantity == 0 {
            return Ok(());
        }
        let (bin, undo, slot) = self.touch_bin(item, location)?;
        if bin.on_hand <= 0 && m.quantity > 0 {
            bin.since = effective_at;
        }
        bin.on_hand = bin.on_hand.checked_add(m.quantity).ok_or(RANGE)?;
        let status = m.status();
        if !status.is_sellable() {
            bin.unsellable = bin.unsellable.checked_add(m.quantity).ok_or(RANGE)?;
        }
        if lot != 0 || !status.is_sellable() {
            let old = bin.cell(lot, status).copied().unwrap_or(Cell { lot, status, on_hand: 0, held: 0 });
            undo.push(Undo::Cell { item, slot, old });
            let on_hand = old.on_hand.checked_add(m.quantity).filter(|n| *n >= 0).ok_or("a lot or status is overdrawn")?;
            bin.set_cell(Cell { on_hand, ..old });
        }
        if m.quantity > 0 {
            self.note_freed(item, location);
        }
        Ok(())
    }

    fn apply_to_serials(&mut self, m: &Movement, item_at: u32, location: u32) -> Result<(), &'static str> {
        let serials = m.serials();
        if serials.is_empty() {
            return Ok(());
        }
        if i64::try_from(serials.len()).ok() != m.quantity.checked_abs() {
            return Err("its serials are not as many as its units");
        }
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        let has_layers = item.definition.method == ValuationMethod::Specific;
        let tracked = tracked(item, &mut self.undo, item_at);
        let status = m.status();
        let mut layers = m.layers.iter().flat_map(|l| {
            let units = usize::try_from(l.quantity.unsigned_abs()).unwrap_or(0);
            std::iter::repeat_n(l.layer, units)
        });
        for serial in serials {
            let layer = if has_layers { layers.next() } else { None };
            let old = if m.quantity > 0 {
                // Inside its pool a unit keeps its layer: the movement out of its place went before.
                tracked.serials.insert(serial.clone(), SerialAt { location, status, layer: layer.unwrap_or(0) })
            } else {
                tracked.serials.remove(serial)
            };
            if old.is_some() == (m.quantity > 0) {
                return Err("one of its serials is there already, or not there");
            }
            self.undo.push(Undo::Serial { item: item_at, serial: serial.clone(), old });
        }
        Ok(())
    }

    fn apply_to_pool(
        &mut self,
        m: &Movement,
        (item_at, location, lot): (u32, u32, u32),
        effective_at: Timestamp,
    ) -> Result<(), &'static str> {
        let item = self.items.get(item_at as usize).ok_or("its item is not in memory")?;
        let lot = if item.definition.method == ValuationMethod::Specific { lot } else { 0 };
        let (pool, undo, slot) = self.touch_pool(item_at, location)?;
        let mut newest = 0;
        for change in &m.layers {
            undo.push(Undo::Layer { item: item_at, slot, number: change.layer, old: pool.layer(change.layer) });
            newest = newest.max(change.layer);
        }
        pool.apply(m, lot, effective_at).ok_or(RANGE)?;
        if pool.quantity == 0 && pool.value != 0 {
            return Err("it leaves value without quantity");
        }
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        if newest >= item.next_layer {
            self.undo.push(Undo::ItemStream { item: item_at, stream: item.stream, next_layer: item.next_layer });
            item.next_layer = newest.checked_add(1).ok_or(RANGE)?;
        }
        Ok(())
    }

    /// A method that keeps layers takes each pool over as one; one that keeps none drops them.
    pub(super) fn convert_layers(&mut self, item_at: u32, has: bool) -> Result<(), &'static str> {
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        for (slot, (_, pool)) in item.pools.iter_mut().enumerate() {
            let mut new = VecDeque::new();
            if has && pool.quantity > 0 {
                new.push_back(Layer { number: item.next_layer, quantity: pool.quantity, value: pool.value, lot: 0 });
                item.next_layer = item.next_layer.checked_add(1).ok_or(RANGE)?;
            }
            let old = std::mem::replace(&mut pool.layers, new);
            self.undo.push(Undo::Layers { item: item_at, slot, old });
        }
        Ok(())
    }

    pub(super) fn set_standard_cost(&mut self, sku: &Sku, cost: Number) -> Result<(), &'static str> {
        let at = *self.item_index.get(sku).ok_or("its item is not defined")?;
        let item = self.items.get_mut(at as usize).ok_or("its item is not in memory")?;
        let mut definition = item.definition.clone();
        definition.standard_cost = Some(cost);
        let old = std::mem::replace(&mut item.definition, definition);
        self.undo.push(Undo::ItemDefinition { item: at, old });
        Ok(())
    }

    pub(super) fn define_policy(&mut self, d: &StockPolicyDefined) -> Result<(), &'static str> {
        let item = *self.item_index.get(&d.sku).ok_or("its item is not defined")?;
        let location = *self.location_index.get(&d.location).ok_or("its location is not defined")?;
        let policy = Policy { backorder: d.backorder, backorder_limit: d.backorder_limit, safety_stock: d.safety_stock };
        let (bin, undo, slot) = self.touch_bin(item, location)?;
        let new = (policy != Policy::default()).then(|| Box::new(policy));
        undo.push(Undo::Policy { item, slot, old: std::mem::replace(&mut bin.policy, new) });
        self.note_freed(item, location);
        Ok(())
    }

    pub(super) fn expect_goods(&mut self, e: &StockExpected, stream: Stream) -> Result<(), &'static str> {
        let item = *self.item_index.get(&e.sku).ok_or("its item is not defined")?;
        let location = *self.location_index.get(&e.location).ok_or("its location is not defined")?;
        let (bin, _, _) = self.touch_bin(item, location)?;
        bin.incoming = bin.incoming.checked_add(e.quantity).ok_or(RANGE)?;
        let new = Expectation { stream, item, location, outstanding: e.quantity, is_open: true };
        self.put_expectation(&e.id, new);
        Ok(())
    }

    fn put_expectation(&mut self, id: &ExpectationId, new: Expectation) {
        if !new.is_open {
            self.note_closed(Closed::Expectation(id.clone()));
        }
        let old = self.expectations.insert(id.clone(), new).map(Box::new);
        self.undo.push(Undo::Expectation { id: id.clone(), old });
    }

    /// Part of an expected receipt came in. More than was expected completes it.
    fn fulfil(&mut self, id: &ExpectationId, units: i64) -> Result<(), &'static str> {
        let mut e = self.expectations.get(id).ok_or("its expected receipt is not in memory")?.clone();
        let part = units.min(e.outstanding);
        let (bin, _, _) = self.touch_bin(e.item, e.location)?;
        bin.incoming = bin.incoming.saturating_sub(part);
        e.outstanding = e.outstanding.saturating_sub(part);
        e.is_open = e.outstanding > 0;
        self.put_expectation(id, e);
        Ok(())
    }

    pub(super) fn cancel_expectation(&mut self, id: &ExpectationId, stream: Stream) -> Result<(), &'static str> {
        let mut e = self.expectations.get(id).ok_or("its expected receipt is not in memory")?.clone();
        let (bin, _, _) = self.touch_bin(e.item, e.location)?;
        bin.incoming = bin.incoming.saturating_sub(e.outstanding);
        (e.stream, e.outstanding, e.is_open) = (stream, 0, false);
        self.put_expectation(id, e);
        Ok(())
    }

    fn put_transfer(&mut self, id: &TransferId, new: Transfer) {
        if !new.is_open {
            self.note_closed(Closed::Transfer(id.clone()));
        }
        let old = self.transfers.insert(id.clone(), new).map(Box::new);
        self.undo.push(Undo::Transfer { id: id.clone(), old });
    }

    pub(super) fn dispatch(&mut self, e: &TransferDispatched, stream: Stream) -> Result<(), &'static str> {
        let location = |code| self.location_index.get(code).copied().ok_or("its location is not defined");
        let (from, to, via) = (location(&e.from)?, location(&e.to)?, location(&e.via)?);
        let mut lines = Vec::new();
        // Every second movement is the one into transit.
        for m in e.movements.iter().skip(1).step_by(2) {
            let item = *self.item_index.get(&m.sku).ok_or("its item is not defined")?;
            let known = self.items.get(item as usize).ok_or("its item is not in memory")?;
            let lot = m.lot().and_then(|code| known.lot(code)).map_or(0, |(number, _)| number);
            let is_inside_pool = m.is_inside_pool();
            let layers = m.layers.iter().filter(|_| !is_inside_pool);
            let layers = layers.map(|l| Layer { number: l.layer, quantity: l.quantity, value: l.value, lot }).collect();
            let (quantity, value, serials) = (m.quantity, m.value, m.serials().to_vec());
            lines.push(TransferLine { item, lot, quantity, value, layers, serials, is_inside_pool });
        }
        self.put_transfer(&e.id, Transfer { stream, is_open: true, from, to, via, lines });
        Ok(())
    }

    /// What left transit is under way no more. Movements out of transit stand in the lines' order, and of a line good,
    /// damaged, lost.
    pub(super) fn receive_transfer(&mut self, e: &TransferReceived, stream: Stream) -> Result<(), &'static str> {
        let mut t = self.transfers.get(&e.id).ok_or("its transfer is not in memory")?.clone();
        let via = self.locations.get(t.via as usize).ok_or("its location is not in memory")?.definition.code.clone();
        let mut outgoing = e.movements.iter().filter(|m| m.quantity < 0 && m.location == via);
        for a in &e.arrivals {
            let line = t.lines.get_mut(a.line as usize).ok_or("it has no such line")?;
            for _ in [a.good, a.damaged, a.short].iter().filter(|units| **units > 0) {
                let m = outgoing.next().ok_or("a movement out of transit is missing")?;
                line.take(m).ok_or(RANGE)?;
            }
        }
        t.stream = stream;
        t.is_open = !e.is_final;
        self.put_transfer(&e.id, t);
        Ok(())
    }

    pub(super) fn cancel_transfer(&mut self, id: &TransferId, stream: Stream) -> Result<(), &'static str> {
        let mut t = self.transfers.get(id).ok_or("its transfer is not in memory")?.clone();
        (t.stream, t.is_open) = (stream, false);
        t.lines.clear();
        self.put_transfer(id, t);
        Ok(())
    }

    pub(super) fn open_count(&mut self, e: &CountOpened, stream: Stream) -> Result<(), &'static str> {
        let location = *self.location_index.get(&e.location).ok_or("its location is not defined")?;
        // What moved before this was recorded is not remembered, whatever time the opening is dated.
        let (opened_at, differences, moved) = (self.recorded_at, Default::default(), Default::default());
        let new = Count { stream, is_open: true, location, opened_at, differences, moved };
        self.put_count(&e.id, new);
        self.undo.push(Undo::OpenCounts(self.open_counts.clone()));
        self.open_counts.push(e.id.clone());
        Ok(())
    }

    fn put_count(&mut self, id: &CountId, new: Count) {
        let old = self.counts.insert(id.clone(), new).map(Box::new);
        self.undo.push(Undo::Count { id: id.clone(), old });
    }

    pub(super) fn record_count(&mut self, e: &CountRecorded, stream: Stream) -> Result<(), &'static str> {
        let mut count = self.counts.get(&e.id).ok_or("its count is not in memory")?.clone();
        for l in &e.lines {
            let item_at = *self.item_index.get(&l.sku).ok_or("its item is not defined")?;
            let location = *self.location_index.get(&l.location).ok_or("its location is not defined")?;
            let item = self.items.get(item_at as usize).ok_or("its item is not in memory")?;
            let lot = match &l.lot {
                Some(code) => item.lot(code).ok_or("its lot is not there")?.0,
                None => 0,
            };
            let difference = l.counted.checked_sub(l.expected).ok_or(RANGE)?;
            count.differences.insert((item_at, location, lot, l.status), difference);
        }
        count.stream = stream;
        self.put_count(&e.id, count);
        Ok(())
    }

    pub(super) fn close_count(&mut self, id: &CountId, stream: Stream) -> Result<(), &'static str> {
        let mut count = self.counts.get(id).ok_or("its count is not in memory")?.clone();
        (count.stream, count.is_open) = (stream, false);
        count.differences.clear();
        count.moved.clear();
        self.put_count(id, count);
        self.undo.push(Undo::OpenCounts(self.open_counts.clone()));
        self.open_counts.retain(|open| open != id);
        self.note_closed(Closed::Count(id.clone()));
        Ok(())
    }

    /// A count recorded later than it was made must know what moved in between.
    fn note_for_counts(&mut self, m: &Movement, (item, location, lot): (u32, u32, u32), effective_at: Timestamp) {
        if self.open_counts.is_empty() || m.quantity == 0 {
            return;
        }
        for id in self.open_counts.clone() {
            let Some(outer) = self.counts.get(&id).map(|c| c.location) else { continue };
            if !self.is_within(location, outer) {
                continue;
            }
            if let Some(count) = self.counts.get_mut(&id)
                && count.moved.len() <= COUNT_MOVEMENTS_KEPT_MAX
            {
                count.moved.push((effective_at, (item, location, lot, m.status()), m.quantity));
                self.undo.push(Undo::CountMoved { id });
            }
        }
    }

    pub(super) fn set_goods_stream(&mut self, position: Position, stream: Stream) {
        if let Some(goods) = self.goods.get_mut(&position) {
            self.undo.push(Undo::Goods { position, old: Box::new(goods.clone()) });
            goods.stream = stream;
        }
    }

    /// Goods came back along an earlier movement. What is not in memory is read from the log when it is named again.
    pub(super) fn note_returned(&mut self, of: Origin, m: &Movement, stream: Stream) {
        self.set_goods_stream(of.position, stream);
        if let Some(goods) = self.goods.get_mut(&of.position) {
            super::absorb::add_returned(goods, of, m);
        }
    }
}

/// An item's lots and serials, made if it has none yet.
fn tracked<'a>(item: &'a mut super::row::Item, undo: &mut Vec<Undo>, item_at: u32) -> &'a mut Tracked {
    if item.tracked.is_none() {
        undo.push(Undo::Tracked { item: item_at });
    }
    item.tracked.get_or_insert_default()
}
