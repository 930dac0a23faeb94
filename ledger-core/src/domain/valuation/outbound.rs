//! Goods leaving a pool.

use super::{Change, Layer, Pool, spread};
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

/// Which layers goods are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick<'a> {
    /// The oldest first.
    #[default]
    Oldest,
    /// One layer first, then the oldest.
    First(i64),
    /// The oldest of one lot.
    Lot(u32),
    /// So many units of each of these.
    Named(&'a [(i64, i64)]),
}

/// Takes `quantity` (> 0) out. `stated` replaces the computed cost. `None` on overflow.
///
/// What is not on hand goes out at the newest known unit cost and is remembered as provisional.
#[must_use]
pub fn outbound(pool: &Pool, method: ValuationMethod, quantity: i64, stated: Option<i64>, pick: Pick<'_>) -> Option<Outbound> {
    let left = add(pool.quantity, quantity.checked_neg()?)?;
    let covered = quantity.min(pool.quantity.max(0));
    let uncovered = quantity.checked_sub(covered)?;
    let mut layers = if method.keeps_layers() { take_layers(pool, covered, pick)? } else { Vec::new() };
    let covered_cost = match () {
        () if covered == 0 => 0,
        () if method.keeps_layers() => layers.iter().try_fold(0_i64, |sum, l| sum.checked_sub(l.value))?,
        () => share(pool.value, covered, pool.quantity)?,
    };
    let (last_value, last_quantity) = pool.last_cost;
    let provisional_cost = if uncovered == 0 || last_quantity == 0 { 0 } else { share(last_value, uncovered, last_quantity)? };
    let cost = match stated {
        Some(stated) => stated,
        None => add(covered_cost, provisional_cost)?,
    };
    let after = add(pool.value, cost.checked_neg()?)?;
    let residue = if left == 0 { after } else { 0 };
    if let Some(stated) = stated
        && left > 0
        && let Some(rest) = covered_cost.checked_sub(stated).filter(|rest| *rest != 0)
    {
        // The difference between layer cost and stated cost stays.
        spread(pool, &mut layers, rest)?;
    }
    let provisional = (uncovered > 0 && stated.is_none()).then_some(Provisional { quantity: uncovered, value: provisional_cost });
    let value = add(cost, residue)?.checked_neg()?;
    Some(Outbound { change: Change { quantity: quantity.checked_neg()?, value, layers, provisional }, cost, residue })
}

/// What `quantity` units take of the layers; the last one touched is split by [`share`]. `None` when they do not have it.
#[must_use]
pub fn take_layers(pool: &Pool, quantity: i64, pick: Pick<'_>) -> Option<Vec<LayerChange>> {
    let mut taken = Taken { wanted: quantity, changes: Vec::new() };
    match pick {
        Pick::Oldest => taken.oldest(pool.layers.iter())?,
        Pick::Lot(lot) => taken.oldest(pool.layers.iter().filter(|l| l.lot == lot))?,
        Pick::First(number) => {
            if let Some(first) = pool.layer(number) {
                taken.of(&first, quantity)?;
            }
            taken.oldest(pool.layers.iter().filter(|l| l.number != number))?;
        }
        Pick::Named(parts) => {
            for (number, units) in parts {
                taken.of(&pool.layer(*number)?, *units)?;
            }
        }
    }
    (taken.wanted == 0).then_some(taken.changes)
}

struct Taken {
    wanted: i64,
    changes: Vec<LayerChange>,
}

impl Taken {
    fn oldest<'a>(&mut self, layers: impl Iterator<Item = &'a Layer>) -> Option<()> {
        for layer in layers {
            if self.wanted == 0 {
                break;
            }
            self.of(layer, self.wanted)?;
        }
        Some(())
    }

    fn of(&mut self, layer: &Layer, most: i64) -> Option<()> {
        let part = self.wanted.min(layer.quantity).min(most);
        if part > 0 {
            let value = share(layer.value, part, layer.quantity)?;
            let (quantity, value) = (part.checked_neg()?, value.checked_neg()?);
            self.changes.push(LayerChange { layer: layer.number, quantity, value });
            self.wanted = self.wanted.checked_sub(part)?;
        }
        Some(())
    }
}
