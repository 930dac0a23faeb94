//! Goods leaving a pool.

use super::{Balance, Change, keeps_layers};
use crate::domain::amount::{add, share};
use crate::domain::catalogue::command::ValuationMethod;
use crate::domain::stock::event::{LayerChange, Provisional};

/// What leaves, and at what cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// What happens to the pool; quantity and value are negative.
    pub change: Change,
    /// What the counterpart bears: the computed or the stated cost.
    pub cost: i64,
    /// Value left over when a stated cost emptied the pool; it leaves too, to the settlement account.
    pub residue: i64,
}

/// Takes `quantity` (> 0) out. `stated` replaces the computed cost. `None` on overflow.
///
/// What is not on hand goes out at the newest known unit cost and is remembered as provisional.
#[must_use]
pub fn outbound(balance: &Balance, method: ValuationMethod, quantity: i64, stated: Option<i64>) -> Option<Outbound> {
    let left = add(balance.on_hand, quantity.checked_neg()?)?;
    let covered = quantity.min(balance.on_hand.max(0));
    let uncovered = quantity.checked_sub(covered)?;
    let mut layers = if keeps_layers(method) { take_layers(balance, covered)? } else { Vec::new() };
    let covered_cost = match () {
        () if covered == 0 => 0,
        () if keeps_layers(method) => layers.iter().try_fold(0_i64, |sum, l| sum.checked_sub(l.value))?,
        () => share(balance.value, covered, balance.on_hand)?,
    };
    let (last_value, last_quantity) = balance.last_cost;
    let provisional_cost = if uncovered == 0 || last_quantity == 0 { 0 } else { share(last_value, uncovered, last_quantity)? };
    let cost = match stated {
        Some(stated) => stated,
        None => add(covered_cost, provisional_cost)?,
    };
    let after = add(balance.value, cost.checked_neg()?)?;
    let residue = if left == 0 { after } else { 0 };
    if let Some(stated) = stated
        && left > 0
        && let Some(rest) = covered_cost.checked_sub(stated).filter(|rest| *rest != 0)
    {
        put_on_newest(balance, &mut layers, rest)?;
    }
    let provisional = (uncovered > 0 && stated.is_none()).then_some(Provisional { quantity: uncovered, value: provisional_cost });
    let value = add(cost, residue)?.checked_neg()?;
    Some(Outbound { change: Change { quantity: quantity.checked_neg()?, value, layers, provisional }, cost, residue })
}

/// Oldest layers first; the last one touched is split by [`share`].
fn take_layers(balance: &Balance, quantity: i64) -> Option<Vec<LayerChange>> {
    let mut wanted = quantity;
    let mut taken = Vec::new();
    for layer in &balance.layers {
        if wanted == 0 {
            break;
        }
        let part = wanted.min(layer.quantity);
        let value = share(layer.value, part, layer.quantity)?;
        taken.push(LayerChange { layer: layer.number, quantity: part.checked_neg()?, value: value.checked_neg()? });
        wanted = wanted.checked_sub(part)?;
    }
    (wanted == 0).then_some(taken)
}

/// The difference between layer cost and stated cost stays with the newest layer that is still open.
fn put_on_newest(balance: &Balance, layers: &mut Vec<LayerChange>, rest: i64) -> Option<()> {
    let Some(newest) = balance.layers.back() else {
        return Some(());
    };
    match layers.iter_mut().find(|l| l.layer == newest.number) {
        Some(change) => change.value = add(change.value, rest)?,
        None => layers.push(LayerChange { layer: newest.number, quantity: 0, value: rest }),
    }
    Some(())
}
