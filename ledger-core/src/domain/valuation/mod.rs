//! What goods cost. A [`Balance`] is the pool of one item at one location; the functions here say what a movement
//! does to it and never change it.
//!
//! **Shape**: balance + quantity → [`Change`] (quantity, value, layers, provisional part).
//! **Correctness**: amounts are stored, never rates. An issue takes its share of the pool, all of it with the last
//! unit, so quantity 0 ⇒ value 0. FIFO layers always sum to the pool while on hand is above zero; at or below zero
//! there are none. Below zero, what was issued at a provisional cost is remembered and settled on receipt.

mod inbound;
mod outbound;

use std::collections::VecDeque;

pub use inbound::{Inbound, average_cost, inbound};
pub use outbound::{Outbound, outbound};

use super::amount::add;
use super::catalogue::command::ValuationMethod;
use super::stock::event::{LayerChange, Movement, Provisional};

/// Quantity and amount of one receipt that is still on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Receipts of an item in order.
    pub number: i64,
    /// Units of the item.
    pub quantity: i64,
    /// Units of the currency.
    pub value: i64,
}

/// The pool of one item at one location.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Units on hand.
    pub on_hand: i64,
    /// Units held by open reservations that have not lapsed.
    pub reserved: i64,
    /// Value of what is on hand.
    pub value: i64,
    /// Issued below zero at a provisional cost, not settled yet: units and value.
    pub provisional: (i64, i64),
    /// Value and units of the newest receipt: the provisional cost when the pool is empty.
    pub last_cost: (i64, i64),
    /// FIFO layers, oldest first.
    pub layers: VecDeque<Layer>,
}

impl Balance {
    /// On hand less what is held.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand.saturating_sub(self.reserved)
    }

    /// The layer as it is, found by its number.
    #[must_use]
    pub fn layer(&self, number: i64) -> Option<Layer> {
        let at = self.layers.binary_search_by_key(&number, |l| l.number).ok()?;
        self.layers.get(at).copied()
    }

    /// Folds a movement in; `None` when a figure leaves the range or a layer is overdrawn.
    #[must_use]
    pub fn apply(&mut self, m: &Movement) -> Option<()> {
        self.on_hand = self.on_hand.checked_add(m.quantity)?;
        self.value = self.value.checked_add(m.value)?;
        if m.quantity > 0 && m.value >= 0 {
            self.last_cost = (m.value, m.quantity);
        }
        if let Some(p) = &m.provisional {
            self.provisional = (self.provisional.0.checked_add(p.quantity)?, self.provisional.1.checked_add(p.value)?);
        }
        for change in &m.layers {
            let (quantity, value) = self.layer(change.layer).map_or((0, 0), |l| (l.quantity, l.value));
            let quantity = quantity.checked_add(change.quantity)?;
            let value = value.checked_add(change.value)?;
            if quantity < 0 || (quantity == 0 && value != 0) {
                return None;
            }
            self.set_layer(change.layer, (quantity != 0).then_some(Layer { number: change.layer, quantity, value }));
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

/// A value-only change: FIFO puts it on the newest open layer.
#[must_use]
pub fn value_only(balance: &Balance, value: i64) -> Option<Change> {
    add(balance.value, value)?;
    let layers = match balance.layers.back() {
        Some(newest) => vec![LayerChange { layer: newest.number, quantity: 0, value }],
        None => Vec::new(),
    };
    Some(Change { quantity: 0, value, layers, provisional: None })
}

/// Whether the method keeps layers.
const fn keeps_layers(method: ValuationMethod) -> bool {
    match method {
        ValuationMethod::Fifo => true,
        ValuationMethod::MovingAverage => false,
    }
}

#[cfg(test)]
mod tests;
