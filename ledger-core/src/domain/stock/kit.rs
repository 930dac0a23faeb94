//! Kits: components become kits at their cost, and kits become components again.

use super::command::{Assemble, Disassemble};
use super::event::{Movement, StockMoved};
use super::place::{Place, Selected, Working, out_of_range};
use super::status::StockStatus;
use crate::domain::amount::{Number, share};
use crate::domain::catalogue::command::{MovementKind, Tracking};
use crate::domain::event::Event;
use crate::domain::id::{LocationCode, Sku, UnitCode};
use crate::domain::rejection::{Rejection, Shortage};
use crate::domain::state::{Item, Ledger};

/// Components with their units.
type Parts<'l> = Vec<(&'l Sku, i64)>;

/// Units of each component in `kits` units of a kit.
pub(crate) fn explode<'l>(ledger: &'l Ledger, kit: &'l Item, kits: i64) -> Result<Parts<'l>, Rejection> {
    let mut parts = Vec::new();
    for c in kit.definition.components() {
        let scale = ledger.item(c.sku.as_str()).map(|(_, i)| i.definition.scale);
        let scale = scale.ok_or_else(|| Rejection::UnknownItem { sku: c.sku.clone() })?;
        // Both were checked when the kit was defined, but a scale may have changed since.
        let per_kit = c.quantity.units_at(scale).ok_or_else(out_of_range)?;
        let whole = i128::from(per_kit).checked_mul(i128::from(kits));
        let ten = 10_i128.checked_pow(u32::from(kit.definition.scale));
        let (Some(whole), Some(ten)) = (whole, ten) else { return Err(out_of_range()) };
        if whole.checked_rem(ten) != Some(0) {
            return Err(Rejection::ComponentInexact { sku: c.sku.clone() });
        }
        let units = whole.checked_div(ten).and_then(|n| i64::try_from(n).ok()).ok_or_else(out_of_range)?;
        parts.push((&c.sku, units));
    }
    Ok(parts)
}

/// Item, kit units and components of a command.
fn kits<'w>(
    working: &'w Working<'_>,
    (sku, location): (&Sku, &LocationCode),
    quantity: (Number, Option<&UnitCode>),
) -> Result<(i64, Parts<'w>), Rejection> {
    let place = Place::storage(working, sku, location)?;
    let units = place.quantity(quantity.0, quantity.1)?;
    if place.item.definition.components().is_empty() {
        return Err(Rejection::NotAKit { sku: sku.clone() });
    }
    untracked(&place)?;
    Ok((units, explode(place.ledger, place.item, units)?))
}

/// Kits and their components are not tracked: nothing says which lot went into which kit.
fn untracked(place: &Place<'_>) -> Result<(), Rejection> {
    match place.item.definition.tracking() {
        Tracking::None => Ok(()),
        Tracking::Lot => Err(Rejection::LotRequired),
        Tracking::Serial => Err(Rejection::SerialsRequired { quantity: "1".parse().unwrap_or_default() }),
    }
}

pub(crate) fn assemble(ledger: &Ledger, c: &Assemble) -> Result<Vec<Event>, Rejection> {
    let outer = Working::new(ledger);
    let (units, parts) = kits(&outer, (&c.sku, &c.location), (c.quantity, c.unit.as_ref()))?;
    let mut working = Working::new(ledger);
    let goods = Selected::of(StockStatus::Sellable);
    let mut movements = Vec::with_capacity(parts.len().saturating_add(1));
    let mut shortages: Vec<Shortage> = Vec::new();
    let mut cost: i64 = 0;
    for (line, (sku, wanted)) in (0_u32..).zip(parts) {
        let place = Place::storage(&working, sku, &c.location)?;
        untracked(&place)?;
        if wanted > place.free_of(&goods) {
            shortages.push(place.shortage(line, wanted, place.free_of(&goods)));
            continue;
        }
        let movement = place.take_out(wanted, MovementKind::Production, None, &goods)?;
        cost = cost.checked_sub(movement.value).ok_or_else(out_of_range)?;
        working.apply(&movement)?;
        movements.push(movement);
    }
    if !shortages.is_empty() {
        return Err(Rejection::InsufficientStock { shortages });
    }
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let accounts = place.accounts(MovementKind::Production, None)?;
    let (settlement, movement) = place.bring_in(units, cost, &accounts, None, &[])?;
    movements.extend(settlement);
    movements.push(movement);
    Ok(vec![Event::StockAssembled(StockMoved { sku: c.sku.clone(), movements })])
}

pub(crate) fn disassemble(ledger: &Ledger, c: &Disassemble) -> Result<Vec<Event>, Rejection> {
    let outer = Working::new(ledger);
    let (units, parts) = kits(&outer, (&c.sku, &c.location), (c.quantity, c.unit.as_ref()))?;
    let mut working = Working::new(ledger);
    let goods = Selected::of(StockStatus::Sellable);
    let kit = Place::storage(&working, &c.sku, &c.location)?;
    let free = kit.free_of(&goods);
    if units > free {
        return Err(Rejection::InsufficientStock { shortages: vec![kit.shortage(0, units, free)] });
    }
    let out = kit.take_out(units, MovementKind::Production, None, &goods)?;
    // The kits' cost, split by what the components cost now; by their number where that is nothing.
    let weights = parts
        .iter()
        .map(|(sku, n)| Place::storage(&working, sku, &c.location)?.present_cost(*n))
        .collect::<Result<Vec<i64>, Rejection>>()?;
    let is_known = weights.iter().all(|w| *w >= 0) && weights.iter().any(|w| *w > 0);
    let weights = if is_known { weights } else { parts.iter().map(|(_, n)| *n).collect() };
    let mut whole = weights.iter().try_fold(0_i64, |sum, w| sum.checked_add(*w)).ok_or_else(out_of_range)?;
    let mut left = out.value.saturating_neg();
    working.apply(&out)?;
    let mut movements: Vec<Movement> = vec![out];
    for ((sku, n), weight) in parts.into_iter().zip(weights) {
        let cost = if whole == 0 { left } else { share(left, weight, whole).ok_or_else(out_of_range)? };
        (left, whole) = (left.saturating_sub(cost), whole.saturating_sub(weight));
        let place = Place::storage(&working, sku, &c.location)?;
        untracked(&place)?;
        let accounts = place.accounts(MovementKind::Production, None)?;
        let (settlement, movement) = place.bring_in(n, cost, &accounts, None, &[])?;
        for m in settlement.into_iter().chain([movement]) {
            working.apply(&m)?;
            movements.push(m);
        }
    }
    Ok(vec![Event::StockDisassembled(StockMoved { sku: c.sku.clone(), movements })])
}
