//! Goods coming into a pool.

use super::{Change, Pool};
use crate::domain::amount::{add, share};
use crate::domain::catalogue::command::ValuationMethod;
use crate::domain::stock::event::{LayerChange, Provisional};

/// What comes in, and the settlement it causes below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// What happens to the pool; quantity above zero.
    pub change: Change,
    /// A value-only change that comes first, while quantity is still below zero: real cost in place of the provisional
    /// one, and so much that nothing is left when the goods bring quantity to exactly zero.
    pub settlement: Option<Change>,
}

/// Puts `quantity` (> 0) at `cost` in. `layers` are those the goods bring along (transfer), else a new one is made
/// with the number `next_layer`. `None` on overflow.
#[must_use]
pub fn inbound(
    pool: &Pool,
    method: ValuationMethod,
    quantity: i64,
    cost: i64,
    next_layer: i64,
    brought: &[LayerChange],
) -> Option<Inbound> {
    let on_hand = add(pool.quantity, quantity)?;
    let settlement = settle(pool, quantity, cost, on_hand)?;
    let value = add(add(pool.value, settlement.as_ref().map_or(0, |s| s.value))?, cost)?;
    let layers = match () {
        () if !method.keeps_layers() || on_hand <= 0 => Vec::new(),
        // Below zero there were no layers: what is left over is one layer with the whole pool.
        () if pool.quantity < 0 => {
            let number = brought.last().map_or(next_layer, |l| l.layer);
            vec![LayerChange { layer: number, quantity: on_hand, value }]
        }
        () if brought.is_empty() => vec![LayerChange { layer: next_layer, quantity, value: cost }],
        () => brought.to_vec(),
    };
    Some(Inbound { change: Change { quantity, value: cost, layers, provisional: None }, settlement })
}

/// `on_hand` is what it will be once the goods are in.
fn settle(pool: &Pool, quantity: i64, cost: i64, on_hand: i64) -> Option<Option<Change>> {
    if pool.quantity >= 0 {
        return Some(None);
    }
    let (open_quantity, open_value) = pool.provisional;
    let settled = quantity.min(pool.quantity.checked_neg()?).min(open_quantity);
    let (real, provisional) =
        if settled == 0 { (0, 0) } else { (share(cost, settled, quantity)?, share(open_value, settled, open_quantity)?) };
    let difference = provisional.checked_sub(real)?;
    let residue = if on_hand == 0 { add(add(pool.value, cost)?, difference)? } else { 0 };
    let change = difference.checked_sub(residue)?;
    if settled == 0 && change == 0 {
        return Some(None);
    }
    let provisional =
        (settled != 0).then_some(Provisional { quantity: settled.checked_neg()?, value: provisional.checked_neg()? });
    Some(Some(Change { quantity: 0, value: change, layers: Vec::new(), provisional }))
}

/// What `quantity` costs at the present average, else at the newest known unit cost, else nothing.
#[must_use]
pub fn average_cost(pool: &Pool, quantity: i64) -> Option<i64> {
    let (last_value, last_quantity) = pool.last_cost;
    if pool.quantity > 0 {
        share(pool.value, quantity, pool.quantity)
    } else if last_quantity > 0 {
        share(last_value, quantity, last_quantity)
    } else {
        Some(0)
    }
}
