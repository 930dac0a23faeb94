//! Value without quantity: revaluation, a new standard cost, write-down, cost added to a receipt.

use super::command::{AddCost, CostKind, Revalue};
use super::event::{LayerChange, Movement, Origin, StandardCostChanged, StockCostAdded};
use super::place::{Place, Working, out_of_range, units};
use crate::domain::amount::{Number, extend, share};
use crate::domain::catalogue::command::{MovementKind, ValuationMethod};
use crate::domain::event::{Event, Posting};
use crate::domain::id::Text;
use crate::domain::posting_rule::post;
use crate::domain::rejection::Rejection;
use crate::domain::state::{Ledger, shown};
use crate::domain::valuation::{Change, Layer, Pool, spread, value_only};

pub(crate) fn revalue(ledger: &Ledger, c: &Revalue) -> Result<Vec<Event>, Rejection> {
    match (c.value_change, c.standard_cost, c.net_realisable_value) {
        (Some(change), None, None) => change_value(ledger, c, change),
        (None, Some(cost), None) => change_standard(ledger, c, cost),
        (None, None, Some(worth)) => write_down(ledger, c, worth),
        _none_or_several => Err(Rejection::RevaluationAmbiguous),
    }
}

fn place<'w>(working: &'w Working<'_>, c: &Revalue) -> Result<Place<'w>, Rejection> {
    let location = c.location.as_ref().ok_or(Rejection::LocationRequired { line: 0 })?;
    Place::storage(working, &c.sku, location)
}

fn change_value(ledger: &Ledger, c: &Revalue, change: Number) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = place(&working, c)?;
    let value = units(change, place.money(), "value_change")?;
    if value == 0 {
        return Err(Rejection::ZeroChange { field: Text::trusted("value_change") });
    }
    let accounts = place.accounts(MovementKind::Revaluation, c.counter_account.as_ref())?;
    if place.pool.quantity <= 0 {
        return Err(Rejection::RevaluationWithoutStock);
    }
    let change = value_only(&place.pool, value).ok_or(Rejection::NumberOutOfRange { field: Text::trusted("value_change") })?;
    let after = place.pool.value.saturating_add(value);
    if after < 0 && !place.allows_negative() {
        return Err(Rejection::ValueBelowZero { value: shown(after, place.money()) });
    }
    Ok(vec![Event::StockRevalued(place.movement(change, post(&accounts, value), None))])
}

/// A new standard cost revalues every pool of the item.
fn change_standard(ledger: &Ledger, c: &Revalue, cost: Number) -> Result<Vec<Event>, Rejection> {
    let (item_at, item) = ledger
        .item(c.sku.as_str())
        .filter(|(_, i)| !i.definition.retired)
        .ok_or_else(|| Rejection::UnknownItem { sku: c.sku.clone() })?;
    if item.definition.method != ValuationMethod::Standard {
        return Err(Rejection::NotStandardCost { sku: c.sku.clone() });
    }
    if cost.is_negative() {
        return Err(Rejection::CostNegative { field: Text::trusted("standard_cost") });
    }
    if item.definition.standard_cost == Some(cost) {
        return Ok(Vec::new());
    }
    let movements = to_standard(ledger, item_at, cost, c)?;
    Ok(vec![Event::StandardCostChanged(StandardCostChanged { sku: c.sku.clone(), standard_cost: cost, movements })])
}

/// What brings every pool of an item to its standard value.
fn to_standard(ledger: &Ledger, item_at: u32, cost: Number, c: &Revalue) -> Result<Vec<Movement>, Rejection> {
    pools(ledger, item_at, |place, pool| {
        let accounts = place.accounts(MovementKind::Revaluation, c.counter_account.as_ref())?;
        let wanted = extend(pool.quantity, place.scale(), cost, place.money()).ok_or_else(out_of_range)?;
        let value = wanted.checked_sub(pool.value).ok_or_else(out_of_range)?;
        // The method that is left may keep layers, and until the item has changed they make up the pool.
        let change = value_only(pool, value).ok_or_else(out_of_range)?;
        Ok((value != 0).then(|| place.movement(change, post(&accounts, value), None)))
    })
}

/// As [`to_standard`], for an item whose method becomes standard.
pub(crate) fn converted(ledger: &Ledger, item_at: u32, cost: Number) -> Result<Vec<Event>, Rejection> {
    let movements = to_standard(ledger, item_at, cost, &Revalue::default())?;
    Ok(movements.into_iter().map(Event::StockRevalued).collect())
}

/// One movement per pool of an item that has any stock, at a place that belongs to it.
fn pools(
    ledger: &Ledger,
    item_at: u32,
    mut movement: impl FnMut(&Place<'_>, &Pool) -> Result<Option<Movement>, Rejection>,
) -> Result<Vec<Movement>, Rejection> {
    let working = Working::new(ledger);
    let Some(item) = ledger.items().get(item_at as usize) else { return Ok(Vec::new()) };
    let mut movements = Vec::new();
    for (key, pool) in item.pools.iter().filter(|(_, p)| p.quantity != 0) {
        let of_pool = |at: &u32| ledger.pool_key(item, *at) == *key;
        let there = item.bins.iter().filter(|(_, b)| b.on_hand != 0).map(|(at, _)| *at).find(of_pool);
        if let Some(place) = there.and_then(|at| Place::at(&working, item_at, at)) {
            movements.extend(movement(&place, pool)?);
        }
    }
    Ok(movements)
}

/// IAS 2.28: the lower of cost and net realisable value, item by item. Newest layers first, none below its share.
fn write_down(ledger: &Ledger, c: &Revalue, worth: Number) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = place(&working, c)?;
    if worth.is_negative() {
        return Err(Rejection::CostNegative { field: Text::trusted("net_realisable_value") });
    }
    let accounts = place.accounts(MovementKind::Revaluation, c.counter_account.as_ref())?;
    let pool = &place.pool;
    if pool.quantity <= 0 {
        return Err(Rejection::RevaluationWithoutStock);
    }
    let wanted = extend(pool.quantity, place.scale(), worth, place.money()).ok_or_else(out_of_range)?;
    let down = pool.value.checked_sub(wanted).ok_or_else(out_of_range)?;
    if down <= 0 {
        return Ok(Vec::new());
    }
    let mut left = down;
    let mut layers = Vec::new();
    for layer in pool.layers.iter().rev() {
        let floor = extend(layer.quantity, place.scale(), worth, place.money()).ok_or_else(out_of_range)?;
        let part = layer.value.saturating_sub(floor).clamp(0, left);
        if part > 0 {
            layers.push(LayerChange { layer: layer.number, quantity: 0, value: part.saturating_neg() });
            left = left.saturating_sub(part);
        }
    }
    // Rounding each layer's floor may leave units of the currency over.
    spread(pool, &mut layers, left.saturating_neg()).ok_or_else(out_of_range)?;
    layers.sort_by_key(|l| l.layer);
    let value = down.saturating_neg();
    let change = Change { value, layers, ..Change::default() };
    Ok(vec![Event::StockRevalued(place.movement(change, post(&accounts, value), None))])
}

/// Splits an amount between what of a receipt is still on hand, layer by layer, and what is sold already.
pub(crate) fn add_cost(ledger: &Ledger, c: &AddCost) -> Result<Vec<Event>, Rejection> {
    let unknown = || Rejection::UnknownMovement { position: c.receipt, line: c.line };
    let goods = ledger.goods(c.receipt).ok_or_else(unknown)?;
    let mut received = (0_u32..).zip(&goods.movements).filter(|(at, m)| m.quantity > 0 && c.line.is_none_or(|line| line == *at));
    let (line, movement) = received.next().ok_or_else(unknown)?;
    if received.next().is_some() {
        return Err(unknown());
    }
    let amount = units(c.amount, ledger.money(), "amount")?;
    if amount == 0 {
        return Err(Rejection::ZeroChange { field: Text::trusted("amount") });
    }
    let working = Working::new(ledger);
    let place = Place::of(&working, &movement.sku, &movement.location)?;
    let kind = match c.kind {
        CostKind::LandedCost => MovementKind::LandedCost,
        CostKind::PriceDifference => MovementKind::Receipt,
    };
    let accounts = place.accounts(kind, c.counter_account.as_ref())?;
    let mut movements = still_there(&working, &place, movement, amount)?;
    let there = movements.iter().try_fold(0_i64, |sum, m| sum.checked_add(m.value)).ok_or_else(out_of_range)?;
    let sold = amount.checked_sub(there).ok_or_else(out_of_range)?;
    // With a standard cost nothing is sold at what it cost: all of it is a variance.
    let expense = match place.method() {
        ValuationMethod::Standard => place.rule(MovementKind::PriceVariance)?,
        ValuationMethod::Fifo | ValuationMethod::MovingAverage | ValuationMethod::Specific => place.rule(MovementKind::Issue)?,
    };
    for m in &mut movements {
        let at = Place::of(&working, &m.sku, &m.location)?;
        must_not_go_below_zero(&at, m)?;
        let inventory = at.inventory()?;
        m.postings = balanced([(inventory, m.value), (accounts.counter.clone(), m.value.saturating_neg())]);
    }
    if sold != 0 {
        let postings = balanced([(expense, sold), (accounts.counter.clone(), sold.saturating_neg())]);
        match movements.first_mut() {
            Some(first) => first.postings.extend(postings),
            None => movements.push(place.movement(Change::default(), postings, None)),
        }
    }
    let receipt = Origin { position: c.receipt, line };
    Ok(vec![Event::StockCostAdded(StockCostAdded { receipt, movements })])
}

/// A receipt that turns out cheaper by more than what is left of it is worth is a mistake.
fn must_not_go_below_zero(place: &Place<'_>, m: &Movement) -> Result<(), Rejection> {
    let of_layers = m.layers.iter().filter_map(|l| place.pool.layer(l.layer)?.value.checked_add(l.value));
    let after = of_layers.chain([place.pool.value.saturating_add(m.value)]).min().unwrap_or(0);
    if after < 0 && m.value < 0 && !place.allows_negative() {
        return Err(Rejection::ValueBelowZero { value: shown(after, place.money()) });
    }
    Ok(())
}

fn balanced(sides: [(crate::domain::id::AccountCode, i64); 2]) -> Vec<Posting> {
    sides.into_iter().filter(|(_, amount)| *amount != 0).map(|(account, amount)| Posting::new(account, amount)).collect()
}

/// Value-only movements for what of a receipt is still on hand. Where layers are kept: of its layer, in whatever pool;
/// in an average: as much of the pool as the receipt could still make up.
fn still_there(working: &Working<'_>, place: &Place<'_>, receipt: &Movement, amount: i64) -> Result<Vec<Movement>, Rejection> {
    match place.method() {
        ValuationMethod::Standard => Ok(Vec::new()),
        ValuationMethod::MovingAverage => {
            let there = place.pool.quantity.clamp(0, receipt.quantity);
            let value = share(amount, there, receipt.quantity).ok_or_else(out_of_range)?;
            let change = Change { value, ..Change::default() };
            Ok((value != 0 && there > 0).then(|| place.movement(change, Vec::new(), None)).into_iter().collect())
        }
        ValuationMethod::Fifo | ValuationMethod::Specific => {
            let Some(number) = receipt.layers.first().map(|l| l.layer) else { return Ok(Vec::new()) };
            let mut left = (amount, receipt.quantity);
            let mut movements = Vec::new();
            let found: Vec<(u32, Layer)> =
                place.item.pools.iter().filter_map(|(key, p)| Some((*key, p.layer(number)?))).collect();
            for (key, layer) in found {
                let bins = place.item.bins.iter().filter(|(_, b)| b.on_hand != 0).map(|(at, _)| *at);
                let Some(at) = bins.into_iter().find(|at| working.ledger.pool_key(place.item, *at) == key) else { continue };
                let Some(at) = Place::at(working, place.item_at, at) else { continue };
                let units = layer.quantity.min(left.1);
                let value = share(left.0, units, left.1).ok_or_else(out_of_range)?;
                left = (left.0.saturating_sub(value), left.1.saturating_sub(units));
                if value != 0 {
                    let layers = vec![LayerChange { layer: number, quantity: 0, value }];
                    movements.push(at.movement(Change { value, layers, ..Change::default() }, Vec::new(), None));
                }
            }
            Ok(movements)
        }
    }
}
