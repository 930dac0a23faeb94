//! Goods that come back along the movement they left by, or go back along the one they came by.
//!
//! **Correctness**: what comes back is taken from what is still out, layer by layer, the layers that left last first;
//! the last unit takes the remainder, so that a movement that has come back whole has brought back exactly its value.

use rustc_hash::FxHashSet;

use super::event::{Detail, LayerChange, Movement, Origin};
use super::place::{Place, Selected, out_of_range};
use crate::domain::amount::share;
use crate::domain::catalogue::command::{MovementKind, ValuationMethod};
use crate::domain::event::Posting;
use crate::domain::id::{Position, Serial};
use crate::domain::posting_rule::{Accounts, post_with_variance};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Goods, shown};

/// What comes back.
pub(super) struct Back {
    pub(super) of: Origin,
    pub(super) value: i64,
    /// With methods that keep them.
    pub(super) layers: Vec<LayerChange>,
    /// In the layers' order.
    pub(super) serials: Option<Vec<Serial>>,
}

pub(super) fn detail_of(goods: &Selected, of: Origin, serials: Option<Vec<Serial>>) -> Option<Box<Detail>> {
    let known = goods.detail().map(|d| *d).unwrap_or_default();
    Some(Box::new(Detail { of: Some(of), serials: serials.or(known.serials), ..known }))
}

/// The movement a command names: of this item, in the right direction.
fn named<'g>(
    place: &Place<'g>,
    (position, line): (Position, Option<u32>),
    is_right: fn(&Movement) -> bool,
) -> Result<(Origin, &'g Movement, &'g Goods), Rejection> {
    let unknown = || Rejection::UnknownMovement { position, line };
    let goods = place.ledger.goods(position).ok_or_else(unknown)?;
    let sku = &place.item.definition.sku;
    let mut found =
        (0_u32..).zip(&goods.movements).filter(|(at, m)| m.sku == *sku && is_right(m) && line.is_none_or(|line| line == *at));
    let (at, movement) = found.next().ok_or_else(unknown)?;
    match found.next() {
        None => Ok((Origin { position, line: at }, movement, goods)),
        // Several of them, and none said which.
        Some(_) => Err(unknown()),
    }
}

/// Units and value of a movement out that did not come back yet.
fn still_out(of: Origin, movement: &Movement, goods: &Goods) -> Option<(i64, i64)> {
    let (came, came_value) = goods.returned.get(&(of.line, 0)).copied().unwrap_or((0, 0));
    Some((movement.quantity.checked_neg()?.checked_sub(came)?, movement.value.checked_neg()?.checked_sub(came_value)?))
}

/// The goods a command speaks of are those of the movement: of its lot, and among its units.
fn must_be_of(movement: &Movement, selected: &Selected) -> Result<(), Rejection> {
    if let (Some(lot), Some(said)) = (movement.lot(), &selected.lot)
        && lot != said
    {
        return Err(Rejection::UnknownLot { lot: said.clone() });
    }
    let known: FxHashSet<&Serial> = movement.serials().iter().collect();
    match selected.serials.iter().flatten().find(|s| !known.contains(s)) {
        Some(stranger) => Err(Rejection::UnknownSerial { serial: stranger.clone() }),
        None => Ok(()),
    }
}

/// `quantity` of what an issue took, at exactly the value and the layers it left with.
pub(super) fn coming_back(
    place: &Place<'_>,
    at: (Position, Option<u32>),
    quantity: i64,
    selected: &Selected,
) -> Result<Back, Rejection> {
    let (of, movement, goods) = named(place, at, |m| m.quantity < 0)?;
    let still_out = still_out(of, movement, goods);
    let units_out = still_out.map_or(0, |(units, _)| units);
    if quantity > units_out {
        return Err(Rejection::ReturnExceedsIssue { returnable: shown(units_out, place.scale()) });
    }
    must_be_of(movement, selected)?;
    // Of goods that had no lot when they left, nobody knows which layer is which lot's.
    let same_lot = movement.lot() == selected.lot.as_ref();
    let keeps = place.method().keeps_layers() && !movement.layers.is_empty() && same_lot;
    if !keeps {
        let value = still_out.and_then(|(units, value)| share(value, quantity, units)).ok_or_else(out_of_range)?;
        return Ok(Back { of, value, layers: Vec::new(), serials: None });
    }
    let serials = selected.serials.as_deref();
    let (layers, serials) = layers_back((of, movement, goods), quantity, serials).ok_or_else(out_of_range)?;
    let value = layers.iter().try_fold(0_i64, |sum, l| sum.checked_add(l.value)).ok_or_else(out_of_range)?;
    Ok(Back { of, value, layers, serials })
}

type Layers = (Vec<LayerChange>, Option<Vec<Serial>>);

fn layers_back((of, movement, goods): (Origin, &Movement, &Goods), quantity: i64, serials: Option<&[Serial]>) -> Option<Layers> {
    let still_out_of_all = || still_out(of, movement, goods);
    let still_out = |l: &LayerChange| -> Option<(i64, i64)> {
        let (came, came_value) = goods.returned.get(&(of.line, l.layer)).copied().unwrap_or((0, 0));
        Some((l.quantity.checked_neg()?.checked_sub(came)?, l.value.checked_neg()?.checked_sub(came_value)?))
    };
    let mut layers = Vec::new();
    let Some(serials) = serials.filter(|_| movement.serials().len() > 1 && movement.layers.len() > 1) else {
        let mut wanted = quantity;
        for l in movement.layers.iter().rev() {
            let (units, value) = still_out(l)?;
            let part = wanted.min(units);
            if part > 0 {
                layers.push(LayerChange { layer: l.layer, quantity: part, value: share(value, part, units)? });
                wanted = wanted.checked_sub(part)?;
            }
        }
        // In the order of the layers, oldest first, as every movement has them.
        layers.sort_by_key(|l| l.layer);
        // What went below zero had no layer: it comes back with the newest one that did.
        let of_layers = (wanted == 0).then_some((layers, None));
        return of_layers.or_else(|| below_zero(movement, still_out_of_all(), quantity));
    };
    // Serials and layers of a movement stand in one order: each unit goes back to its own layer.
    let serials: FxHashSet<&Serial> = serials.iter().collect();
    let mut at = movement.serials().iter();
    let mut ordered = Vec::new();
    for l in &movement.layers {
        let units = usize::try_from(l.quantity.unsigned_abs()).ok()?;
        let of_layer: Vec<&Serial> = at.by_ref().take(units).filter(|s| serials.contains(s)).collect();
        let part = i64::try_from(of_layer.len()).ok()?;
        if part > 0 {
            let (units, value) = still_out(l)?;
            layers.push(LayerChange { layer: l.layer, quantity: part, value: share(value, part, units)? });
            ordered.extend(of_layer.into_iter().cloned());
        }
    }
    Some((layers, Some(ordered)))
}

/// An issue that went below zero and kept no layers for all of it: one layer of its own, at the average of what is
/// still out, so that all of it together brings back what all of it took.
fn below_zero(movement: &Movement, still_out: Option<(i64, i64)>, quantity: i64) -> Option<Layers> {
    let (units, value) = still_out?;
    let layer = movement.layers.last()?.layer;
    Some((vec![LayerChange { layer, quantity, value: share(value, quantity, units)? }], None))
}

/// A receipt that goods go back along.
pub(super) struct Receipt {
    of: Origin,
    layer: Option<i64>,
    /// What the supplier owes for them.
    price: i64,
}

/// `quantity` of what a receipt brought, at its price.
pub(super) fn going_back(
    place: &Place<'_>,
    at: (Position, Option<u32>),
    quantity: i64,
    selected: &Selected,
) -> Result<Receipt, Rejection> {
    let (of, movement, goods) = named(place, at, |m| m.quantity > 0)?;
    // What went back has a negative quantity here.
    let gone = goods.returned.get(&(of.line, 0)).map_or(0, |(units, _)| units.saturating_neg());
    let left = movement.quantity.saturating_sub(gone);
    if quantity > left {
        return Err(Rejection::ReturnExceedsIssue { returnable: shown(left, place.scale()) });
    }
    must_be_of(movement, selected)?;
    let counter = movement.postings.iter().find(|p| p.amount < 0).map_or(movement.value, |p| p.amount.saturating_neg());
    // As a difference of running totals, so that all parts together are the whole price.
    let upto = |units: i64| share(counter, units, movement.quantity);
    let price = upto(gone.saturating_add(quantity)).zip(upto(gone)).and_then(|(to, from)| to.checked_sub(from));
    let price = price.ok_or_else(out_of_range)?;
    Ok(Receipt { of, layer: movement.layers.first().map(|l| l.layer), price })
}

impl Receipt {
    /// Out at cost, the receipt's own layer first; the counterpart bears the receipt's price, the difference is a variance.
    pub(super) fn take_out(
        &self,
        place: &Place<'_>,
        quantity: i64,
        accounts: &Accounts,
        goods: &Selected,
    ) -> Result<Movement, Rejection> {
        let first = self.layer.filter(|_| place.method() == ValuationMethod::Fifo);
        let o = place.outbound(quantity, None, goods, first)?;
        let value = o.change.value;
        let variance = place.rule(MovementKind::PriceVariance)?;
        let price = self.price.checked_neg().ok_or_else(out_of_range)?;
        let postings: Vec<Posting> = post_with_variance(accounts, &variance, value, price).ok_or_else(out_of_range)?;
        Ok(place.movement(o.change, postings, detail_of(goods, self.of, None)))
    }
}
