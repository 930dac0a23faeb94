//! Stock decisions. Each is a flat list of guards in documented order (things named → numbers → policy → stock),
//! then the facts; after the last guard it must succeed.

use super::command::{
    Adjust, CancelExpectation, ChangeStatus, Expect, Issue, Receive, Return, ReturnToSupplier, Scrap, Transfer,
};
use super::event::{ExpectationCancelled, StockExpected, StockTransferred};
use super::origin;
use super::place::{Place, Said, Working, out_of_range, settled_first};
use crate::domain::amount::add;
use crate::domain::catalogue::command::MovementKind;
use crate::domain::event::Event;
use crate::domain::id::{ExpectationId, Text};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Ledger, shown};
use crate::domain::time::Timestamp;

pub(crate) fn receive(ledger: &Ledger, c: &Receive) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    if let Some(id) = &c.expectation {
        let known = ledger
            .expectation(id.as_str())
            .filter(|e| (e.item, e.location) == (place.item_at, place.location_at))
            .ok_or_else(|| Rejection::UnknownExpectation { expectation: id.clone() })?;
        if !known.is_open {
            return Err(Rejection::ExpectationClosed { expectation: id.clone() });
        }
    }
    let stated = place.stated_cost((c.quantity, c.unit.as_ref()), c.unit_cost, c.total_cost)?;
    let cost = stated.or(place.standard(quantity)?).ok_or(Rejection::CostRequired)?;
    let accounts = place.accounts(MovementKind::Receipt, c.counter_account.as_ref())?;
    let said = Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, lot_expires_at: c.lot_expires_at };
    let goods = place.admit(quantity, said)?;
    let (settlement, movement) = place.bring_in(quantity, cost, &accounts, goods.detail_for(c.expectation.as_ref()), &[])?;
    Ok(settled_first(settlement, Event::StockReceived(movement)))
}

pub(crate) fn issue(ledger: &Ledger, c: &Issue) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    let stated = c.stated_cost.map(|cost| place.amount(cost, "stated_cost")).transpose()?;
    let accounts = place.accounts(MovementKind::Issue, c.counter_account.as_ref())?;
    let goods = place
        .select(quantity, Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, ..Said::default() })?;
    place.must_not_be_expired(&goods)?;
    place.must_cover(quantity, &goods)?;
    if let Some(stated) = stated
        && stated > place.pool.value
        && !place.allows_negative()
    {
        let (stated, value) = (shown(stated, place.money()), shown(place.pool.value, place.money()));
        return Err(Rejection::StatedCostExceedsValue { stated, value });
    }
    let o = place.outbound(quantity, stated, &goods, None)?;
    place.outgoing(o, &accounts, goods.detail()).map(|m| vec![Event::StockIssued(m)])
}

pub(crate) fn return_goods(ledger: &Ledger, c: &Return) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    let stated = place.stated_cost((c.quantity, c.unit.as_ref()), c.unit_cost, c.total_cost)?;
    let accounts = place.accounts(MovementKind::Return, c.counter_account.as_ref())?;
    let said = Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, ..Said::default() };
    let goods = place.admit(quantity, said)?;
    let Some(position) = c.original else {
        let cost = match stated {
            Some(cost) => cost,
            None => place.present_cost(quantity)?,
        };
        let (settlement, movement) = place.bring_in(quantity, cost, &accounts, goods.detail(), &[])?;
        return Ok(settled_first(settlement, Event::StockReturned(movement)));
    };
    if stated.is_some() {
        return Err(Rejection::CostAmbiguous);
    }
    let back = origin::coming_back(&place, (position, c.line), quantity, &goods)?;
    let detail = origin::detail_of(&goods, back.of, back.serials);
    let (settlement, movement) = place.bring_in(quantity, back.value, &accounts, detail, &back.layers)?;
    Ok(settled_first(settlement, Event::StockReturned(movement)))
}

pub(crate) fn return_to_supplier(ledger: &Ledger, c: &ReturnToSupplier) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    let accounts = place.accounts(MovementKind::Receipt, c.counter_account.as_ref())?;
    let goods = place
        .select(quantity, Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, ..Said::default() })?;
    let receipt = match c.receipt {
        Some(position) => Some(origin::going_back(&place, (position, c.line), quantity, &goods)?),
        None => None,
    };
    place.must_cover(quantity, &goods)?;
    let movement = match receipt {
        None => place.take_out(quantity, MovementKind::Receipt, c.counter_account.as_ref(), &goods)?,
        Some(receipt) => receipt.take_out(&place, quantity, &accounts, &goods)?,
    };
    Ok(vec![Event::StockReturnedToSupplier(movement)])
}

pub(crate) fn adjust(ledger: &Ledger, c: &Adjust) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let difference = place.signed(c.difference, c.unit.as_ref(), "difference")?;
    if c.reason.is_none() {
        return Err(Rejection::ReasonRequired);
    }
    if difference == 0 {
        return Err(Rejection::ZeroChange { field: Text::trusted("difference") });
    }
    let said = Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, lot_expires_at: c.lot_expires_at };
    if difference < 0 {
        if c.unit_cost.is_some() || c.total_cost.is_some() {
            return Err(Rejection::CostAmbiguous);
        }
        let lost = difference.checked_neg().ok_or_else(out_of_range)?;
        let goods = place.select(lost, said)?;
        place.must_cover(lost, &goods)?;
        let movement = place.take_out(lost, MovementKind::Adjustment, c.counter_account.as_ref(), &goods)?;
        return Ok(vec![Event::StockAdjusted(movement)]);
    }
    let cost = match place.stated_cost((c.difference, c.unit.as_ref()), c.unit_cost, c.total_cost)? {
        Some(cost) => cost,
        None => place.present_cost(difference)?,
    };
    let accounts = place.accounts(MovementKind::Adjustment, c.counter_account.as_ref())?;
    let goods = place.admit(difference, said)?;
    let (settlement, movement) = place.bring_in(difference, cost, &accounts, goods.detail(), &[])?;
    Ok(settled_first(settlement, Event::StockAdjusted(movement)))
}

pub(crate) fn scrap(ledger: &Ledger, c: &Scrap) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    if c.reason.is_none() {
        return Err(Rejection::ReasonRequired);
    }
    let goods = place
        .select(quantity, Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, ..Said::default() })?;
    place.must_cover(quantity, &goods)?;
    let movement = place.take_out(quantity, MovementKind::Scrap, c.counter_account.as_ref(), &goods)?;
    Ok(vec![Event::StockScrapped(movement)])
}

pub(crate) fn transfer(ledger: &Ledger, c: &Transfer) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let from = Place::storage(&working, &c.sku, &c.from)?;
    let to = Place::storage(&working, &c.sku, &c.to)?;
    if from.location_at == to.location_at {
        return Err(Rejection::SameLocation);
    }
    let quantity = from.quantity(c.quantity, c.unit.as_ref())?;
    let goods =
        from.select(quantity, Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: c.status, ..Said::default() })?;
    from.must_cover(quantity, &goods)?;
    let carried = from.carry(&to, quantity, &goods, goods.status)?;
    let transferred = StockTransferred { outgoing: carried.outgoing, incoming: carried.incoming };
    Ok(settled_first(carried.settlement, Event::StockTransferred(transferred)))
}

pub(crate) fn change_status(ledger: &Ledger, c: &ChangeStatus) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    if c.from == c.to {
        return Err(Rejection::SameStatus);
    }
    let said = Said { lot: c.lot.as_ref(), serials: c.serials.as_deref(), status: Some(c.from), ..Said::default() };
    let goods = place.select(quantity, said)?;
    // What is not there cannot change, whatever may go below zero.
    let free = place.free_of(&goods);
    if quantity > free {
        return Err(Rejection::InsufficientStock { shortages: vec![place.shortage(0, quantity, free)] });
    }
    let carried = place.carry(&place, quantity, &goods, c.to)?;
    let changed = StockTransferred { outgoing: carried.outgoing, incoming: carried.incoming };
    Ok(vec![Event::StockStatusChanged(changed)])
}

pub(crate) fn expect(ledger: &Ledger, c: &Expect, now: Timestamp, fresh: &ExpectationId) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh);
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity, c.unit.as_ref())?;
    if c.due_at < Timestamp(0) || c.due_at > now.plus_seconds(crate::domain::limit::DUE_AHEAD_SECONDS_MAX) {
        return Err(Rejection::DueTimeOutOfRange);
    }
    if ledger.expectation(id.as_str()).is_some() {
        return Err(Rejection::ExpectationExists { expectation: id.clone() });
    }
    add(place.bin.incoming, quantity).ok_or_else(out_of_range)?;
    Ok(vec![Event::StockExpected(StockExpected {
        id: id.clone(),
        sku: c.sku.clone(),
        location: c.location.clone(),
        scale: place.scale(),
        quantity,
        due_at: c.due_at,
    })])
}

pub(crate) fn cancel_expectation(ledger: &Ledger, c: &CancelExpectation) -> Result<Vec<Event>, Rejection> {
    let unknown = || Rejection::UnknownExpectation { expectation: c.id.clone() };
    let known = ledger.expectation(c.id.as_str()).ok_or_else(unknown)?;
    if !known.is_open {
        return Err(Rejection::ExpectationClosed { expectation: c.id.clone() });
    }
    Ok(vec![Event::ExpectationCancelled(ExpectationCancelled { id: c.id.clone() })])
}
