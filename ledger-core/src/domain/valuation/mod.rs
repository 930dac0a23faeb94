//! What goods cost. A [`Pool`] is the stock of one item that shares one cost: all of it under one topmost location, or
//! all of the tenant's. The functions here say what a movement does to it and never change it.
//!
//! **Shape**: pool + quantity → [`Change`] (quantity, value, layers, provisional part).
//! **Correctness**: amounts are stored, never rates. An issue takes its share of the pool, all of it with the last
//! unit, so quantity 0 ⇒ value 0. Layers always sum to the pool while it is above zero; at or below zero there are
//! none. Below zero, what was issued at a provisional cost is remembered and settled on receipt.

mod inbound;
mod outbound;

use std::collections::VecDeque;

pub use inbound::{Inbound, average_cost, inbound};
pub use outbound::{Outbound, Pick, outbound, take_layers};

use super::amount::add;
use super::stock::event::{LayerChange, Movement, Provisional};
use super::time::Timestamp;

/// Quantity and amount of one receipt that is still on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Receipts of an item in order.
    pub number: i64,
    /// Units of the item.
    pub quantity: i64,
    /// Units of the currency.
    pub value: i64,
    /// With specific cost by lot: the lot's number in its item; else 0.
    pub lot: u32,
}

/// The stock of one item that shares one cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Units.
    pub quantity: i64,
    /// Value of them.
    pub value: i64,
    /// Issued below zero at a provisional cost, not settled yet: units and value.
    pub provisional: (i64, i64),
    /// Value and units of the newest receipt: the provisional cost when the pool is empty.
    pub last_cost: (i64, i64),
    /// The latest effective time of any movement here: a settlement is not dated before what it settles.
    pub effective_max: Timestamp,
    /// Oldest first, with methods that keep them.
    pub layers: VecDeque<Layer>,
}

impl Pool {
    /// The layer as it is, found by its number.
    #[must_use]
    pub fn layer(&self, number: i64) -> Option<Layer> {
        let at = self.layers.binary_search_by_key(&number, |l| l.number).ok()?;
        self.layers.get(at).copied()
    }

    /// Folds a movement in; `None` when a figure leaves the range or a layer is overdrawn. A layer that begins belongs
    /// to `lot`.
    #[must_use]
    pub fn apply(&mut self, m: &Movement, lot: u32, effective_at: Timestamp) -> Option<()> {
        self.quantity = self.quantity.checked_add(m.quantity)?;
        self.value = self.value.checked_add(m.value)?;
        self.effective_max = self.effective_max.max(effective_at);
        if m.quantity > 0 && m.value >= 0 {
            self.last_cost = (m.value, m.quantity);
        }
        if let Some(p) = &m.provisional {
            self.provisional = (self.provisional.0.checked_add(p.quantity)?, self.provisional.1.checked_add(p.value)?);
        }
        for change in &m.layers {
            let known = self.layer(change.layer);
            let (quantity, value) = known.map_or((0, 0), |l| (l.quantity, l.value));
            let quantity = quantity.checked_add(change.quantity)?;
            let value = value.checked_add(change.value)?;
            if quantity < 0 || (quantity == 0 && value != 0) {
                return None;
            }
            let lot = known.map_or(lot, |l| l.lot);
            self.set_layer(change.layer, (quantity != 0).then_some(Layer { number: change.layer, quantity, value, lot }));
        }
        Some(())
    }

    /// Puts a layer in its place, or takes it away.
    pub fn set_layer(&mut self, number: i64, layer: Option<Layer>) {
        match (self.layers.binary_search_by_key(&number, |l| l.number), layer) {
            (Ok(at), Some(layer)) => {
                if let Some(slot) = self.layers.get_mut(at) {
                    *slot = layer;
                }
            }
            (Ok(at), None) => {
                self.layers.remove(at);
            }
            (Err(at), Some(layer)) => self.layers.insert(at, layer),
            (Err(_), None) => {}
        }
    }
}

/// What a movement does to one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Signed units of the item.
    pub quantity: i64,
    /// Signed units of the currency.
    pub value: i64,
    /// FIFO only.
    pub layers: Vec<LayerChange>,
    /// Only below zero.
    pub provisional: Option<Provisional>,
}

/// A value-only change: where there are layers, it is the newest open one's.
#[must_use]
pub fn value_only(balance: &Pool, value: i64) -> Option<Change> {
    add(balance.value, value)?;
    // All of it, also where that leaves the layer below zero: the costing policy of the books this is checked against.
    let layers = balance.layers.back().map(|newest| LayerChange { layer: newest.number, quantity: 0, value });
    let layers = layers.into_iter().collect();
    Some(Change { quantity: 0, value, layers, provisional: None })
}

/// Puts `value` on the layers that `changes` leave open: on the newest one; of a value below zero no layer takes more
/// than it has, the older ones follow. What even all of them do not have stays with the newest. None open: nothing.
#[must_use]
pub fn spread(pool: &Pool, changes: &mut Vec<LayerChange>, value: i64) -> Option<()> {
    let mut left = value;
    let mut newest = None;
    for layer in pool.layers.iter().rev() {
        let change = changes.iter().find(|c| c.layer == layer.number);
        let (taken, changed) = change.map_or((0, 0), |c| (c.quantity, c.value));
        if layer.quantity.checked_add(taken)? <= 0 {
            continue;
        }
        newest = newest.or(Some(layer.number));
        let floor = layer.value.checked_add(changed)?.max(0).checked_neg()?;
        let part = left.max(floor);
        put(changes, layer.number, part)?;
        left = left.checked_sub(part)?;
        if left == 0 {
            return Some(());
        }
    }
    newest.map_or(Some(()), |number| put(changes, number, left))
}

fn put(changes: &mut Vec<LayerChange>, layer: i64, value: i64) -> Option<()> {
    if value == 0 {
        return Some(());
    }
    match changes.iter_mut().find(|c| c.layer == layer) {
        Some(change) => change.value = add(change.value, value)?,
        None => changes.push(LayerChange { layer, quantity: 0, value }),
    }
    Some(())
}

#[cfg(test)]
mod tests;
