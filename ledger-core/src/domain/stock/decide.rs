//! Stock decisions. Each is a flat list of guards in documented order (things named → numbers → policy → stock),
//! then the facts; after the last guard it must succeed.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::command::{Adjust, Issue, Receive, Return, Revalue, Transfer};
use super::event::{Movement, StockTransferred};
use crate::domain::amount::{Number, extend};
use crate::domain::catalogue::command::{MovementKind, NegativeStock};
use crate::domain::event::{Event, Posting};
use crate::domain::id::{AccountCode, LocationCode, Sku, Text};
use crate::domain::posting_rule::{Accounts, post, post_with_residue};
use crate::domain::rejection::{Rejection, Shortage};
use crate::domain::state::{Item, Ledger, shown};
use crate::domain::valuation::{Balance, Change, Outbound, average_cost, inbound, outbound, value_only};

/// One item at one location, found and in use.
pub(crate) struct Place<'a> {
    ledger: &'a Ledger,
    pub(crate) item: &'a Item,
    pub(crate) item_at: u32,
    pub(crate) location_at: u32,
    location: &'a LocationCode,
    balance: Cow<'a, Balance>,
}

impl<'a> Place<'a> {
    pub(crate) fn find(ledger: &'a Ledger, sku: &Sku, location: &LocationCode) -> Result<Self, Rejection> {
        let (item_at, item) = ledger
            .item(sku.as_str())
            .filter(|(_, i)| !i.definition.retired)
            .ok_or_else(|| Rejection::UnknownItem { sku: sku.clone() })?;
        let (location_at, found) = ledger
            .location(location.as_str())
            .filter(|(_, l)| !l.definition.retired)
            .ok_or_else(|| Rejection::UnknownLocation { location: location.clone() })?;
        Ok(Self::at(ledger, (item_at, item), (location_at, &found.definition.code)))
    }

    /// As [`Place::find`] for stock that is already held: a hold outlives the retirement of what it holds.
    pub(crate) fn find_held(ledger: &'a Ledger, sku: &Sku, location: &LocationCode) -> Result<Self, Rejection> {
        let (item_at, item) = ledger.item(sku.as_str()).ok_or_else(|| Rejection::UnknownItem { sku: sku.clone() })?;
        let (location_at, found) =
            ledger.location(location.as_str()).ok_or_else(|| Rejection::UnknownLocation { location: location.clone() })?;
        Ok(Self::at(ledger, (item_at, item), (location_at, &found.definition.code)))
    }

    fn at(ledger: &'a Ledger, (item_at, item): (u32, &'a Item), (location_at, location): (u32, &'a LocationCode)) -> Self {
        let balance = match ledger.balance(item_at, location_at) {
            Some(b) => Cow::Borrowed(b),
            None => Cow::Owned(Balance::default()),
        };
        Self { ledger, item, item_at, location_at, location, balance }
    }

    /// A quantity at the item's scale, above zero.
    pub(crate) fn quantity(&self, number: Number) -> Result<i64, Rejection> {
        let quantity = units(number, self.item.definition.scale, "quantity")?;
        if quantity > 0 { Ok(quantity) } else { Err(Rejection::QuantityNotPositive { field: Text::trusted("quantity") }) }
    }

    fn money(&self) -> u8 {
        self.ledger.money()
    }

    fn amount(&self, number: Number, field: &'static str) -> Result<i64, Rejection> {
        let amount = units(number, self.money(), field)?;
        if amount >= 0 { Ok(amount) } else { Err(Rejection::CostNegative { field: Text::trusted(field) }) }
    }

    /// The one cost the caller states; `None` when it states none.
    fn stated_cost(&self, quantity: i64, unit: Option<Number>, total: Option<Number>) -> Result<Option<i64>, Rejection> {
        match (unit, total) {
            (Some(_), Some(_)) => Err(Rejection::CostAmbiguous),
            (None, Some(total)) => self.amount(total, "total_cost").map(Some),
            (Some(unit), None) if unit.is_negative() => Err(Rejection::CostNegative { field: Text::trusted("unit_cost") }),
            (Some(unit), None) => extend(quantity, self.item.definition.scale, unit, self.money())
                .map(Some)
                .ok_or(Rejection::NumberOutOfRange { field: Text::trusted("unit_cost") }),
            (None, None) => Ok(None),
        }
    }

    /// The accounts of a movement: the rule's, or the caller's counterpart.
    fn accounts(&self, movement: MovementKind, counter: Option<&AccountCode>) -> Result<Accounts, Rejection> {
        let counter = match counter {
            Some(account) => {
                let (_, found) = self
                    .ledger
                    .account(account.as_str())
                    .filter(|(_, a)| !a.definition.retired)
                    .ok_or_else(|| Rejection::UnknownAccount { account: account.clone() })?;
                if found.holds_inventory {
                    return Err(Rejection::InventoryAccount { account: account.clone() });
                }
                account.clone()
            }
            None => self.rule(movement)?,
        };
        Ok(Accounts { inventory: self.rule(MovementKind::Inventory)?, counter })
    }

    fn rule(&self, movement: MovementKind) -> Result<AccountCode, Rejection> {
        let class = &self.item.definition.posting_class;
        self.ledger
            .rule(movement, class)
            .map(|r| r.account.clone())
            .ok_or_else(|| Rejection::PostingRuleMissing { movement, class: class.clone() })
    }

    fn movement(&self, change: Change, postings: Vec<Posting>) -> Movement {
        Movement {
            sku: self.item.definition.sku.clone(),
            location: self.location.clone(),
            scale: self.item.definition.scale,
            money: self.money(),
            quantity: change.quantity,
            value: change.value,
            postings,
            layers: change.layers,
            provisional: change.provisional,
        }
    }

    fn allows_negative(&self) -> bool {
        match self.item.definition.negative_stock {
            NegativeStock::Allow => true,
            NegativeStock::Forbid => false,
        }
    }

    pub(crate) fn shortage(&self, line: u32, requested: i64, available: i64) -> Shortage {
        let scale = self.item.definition.scale;
        Shortage {
            line,
            sku: self.item.definition.sku.clone(),
            location: self.location.clone(),
            requested: shown(requested, scale),
            available: shown(available.max(0), scale),
        }
    }

    /// Units that a new demand may take: nothing that others hold.
    pub(crate) fn available(&self) -> i64 {
        self.balance.available()
    }

    fn must_cover(&self, quantity: i64) -> Result<(), Rejection> {
        if quantity <= self.available() || self.allows_negative() {
            return Ok(());
        }
        Err(Rejection::InsufficientStock { shortages: vec![self.shortage(0, quantity, self.available())] })
    }

    /// The facts of goods coming in at `cost`: the settlement they cause below zero, then the movement.
    fn bring_in(
        &self,
        quantity: i64,
        cost: i64,
        accounts: &Accounts,
        fact: fn(Movement) -> Event,
    ) -> Result<Vec<Event>, Rejection> {
        let i = inbound(&self.balance, self.item.definition.method, quantity, cost, self.item.next_layer, &[])
            .ok_or_else(out_of_range)?;
        let received = fact(self.movement(i.change, post(accounts, cost)));
        Ok(self.settled(i.settlement)?.into_iter().chain([received]).collect())
    }

    fn settled(&self, settlement: Option<Change>) -> Result<Option<Event>, Rejection> {
        let Some(change) = settlement else {
            return Ok(None);
        };
        let accounts = self.accounts(MovementKind::Settlement, None)?;
        let postings = post(&accounts, change.value);
        Ok(Some(Event::StockSettled(self.movement(change, postings))))
    }

    /// The movement of goods going out at the computed cost. The caller has checked that stock covers it.
    pub(crate) fn take_out(
        &self,
        quantity: i64,
        movement: MovementKind,
        counter: Option<&AccountCode>,
    ) -> Result<Movement, Rejection> {
        let accounts = self.accounts(movement, counter)?;
        let o = outbound(&self.balance, self.item.definition.method, quantity, None).ok_or_else(out_of_range)?;
        self.outgoing(o, &accounts)
    }

    fn outgoing(&self, o: Outbound, accounts: &Accounts) -> Result<Movement, Rejection> {
        let postings = if o.residue == 0 {
            post(accounts, o.change.value)
        } else {
            let settlement = self.rule(MovementKind::Settlement)?;
            post_with_residue(accounts, &settlement, o.cost, o.residue).ok_or_else(out_of_range)?
        };
        Ok(self.movement(o.change, postings))
    }
}

/// Pools as they stand in the middle of a command that takes from the same pool more than once.
#[derive(Default)]
pub(crate) struct Scratch(FxHashMap<(u32, u32), Balance>);

impl Scratch {
    /// Takes `quantity` out of what earlier calls left.
    pub(crate) fn take_out(
        &mut self,
        mut place: Place<'_>,
        quantity: i64,
        movement: MovementKind,
    ) -> Result<Movement, Rejection> {
        let key = (place.item_at, place.location_at);
        if let Some(left) = self.0.remove(&key) {
            place.balance = Cow::Owned(left);
        }
        let taken = place.take_out(quantity, movement, None)?;
        let mut left = place.balance.into_owned();
        left.apply(&taken).ok_or_else(out_of_range)?;
        self.0.insert(key, left);
        Ok(taken)
    }
}

/// A number at a scale, in units.
pub(crate) fn units(number: Number, scale: u8, field: &'static str) -> Result<i64, Rejection> {
    if number.decimal().scale() > u32::from(scale) {
        return Err(Rejection::ScaleExceeded { field: Text::trusted(field), scale });
    }
    number.units_at(scale).ok_or(Rejection::NumberOutOfRange { field: Text::trusted(field) })
}

fn out_of_range() -> Rejection {
    Rejection::NumberOutOfRange { field: Text::trusted("quantity") }
}

pub(crate) fn receive(ledger: &Ledger, c: &Receive) -> Result<Vec<Event>, Rejection> {
    let place = Place::find(ledger, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity)?;
    let cost = place.stated_cost(quantity, c.unit_cost, c.total_cost)?.ok_or(Rejection::CostRequired)?;
    let accounts = place.accounts(MovementKind::Receipt, c.counter_account.as_ref())?;
    place.bring_in(quantity, cost, &accounts, Event::StockReceived)
}

pub(crate) fn issue(ledger: &Ledger, c: &Issue) -> Result<Vec<Event>, Rejection> {
    let place = Place::find(ledger, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity)?;
    let stated = c.stated_cost.map(|cost| place.amount(cost, "stated_cost")).transpose()?;
    let accounts = place.accounts(MovementKind::Issue, c.counter_account.as_ref())?;
    place.must_cover(quantity)?;
    if let Some(stated) = stated
        && stated > place.balance.value
        && !place.allows_negative()
    {
        let (stated, value) = (shown(stated, place.money()), shown(place.balance.value, place.money()));
        return Err(Rejection::StatedCostExceedsValue { stated, value });
    }
    let o = outbound(&place.balance, place.item.definition.method, quantity, stated).ok_or_else(out_of_range)?;
    place.outgoing(o, &accounts).map(|m| vec![Event::StockIssued(m)])
}

pub(crate) fn return_goods(ledger: &Ledger, c: &Return) -> Result<Vec<Event>, Rejection> {
    let place = Place::find(ledger, &c.sku, &c.location)?;
    let quantity = place.quantity(c.quantity)?;
    let cost = match place.stated_cost(quantity, c.unit_cost, c.total_cost)? {
        Some(cost) => cost,
        None => average_cost(&place.balance, quantity).ok_or_else(out_of_range)?,
    };
    let accounts = place.accounts(MovementKind::Return, c.counter_account.as_ref())?;
    place.bring_in(quantity, cost, &accounts, Event::StockReturned)
}

pub(crate) fn adjust(ledger: &Ledger, c: &Adjust) -> Result<Vec<Event>, Rejection> {
    let place = Place::find(ledger, &c.sku, &c.location)?;
    let difference = units(c.difference, place.item.definition.scale, "difference")?;
    if c.reason.is_none() {
        return Err(Rejection::ReasonRequired);
    }
    if difference == 0 {
        return Err(Rejection::ZeroChange { field: Text::trusted("difference") });
    }
    if difference < 0 {
        if c.unit_cost.is_some() || c.total_cost.is_some() {
            return Err(Rejection::CostAmbiguous);
        }
        let lost = difference.checked_neg().ok_or_else(out_of_range)?;
        place.must_cover(lost)?;
        let movement = place.take_out(lost, MovementKind::Adjustment, c.counter_account.as_ref())?;
        return Ok(vec![Event::StockAdjusted(movement)]);
    }
    let cost = match place.stated_cost(difference, c.unit_cost, c.total_cost)? {
        Some(cost) => cost,
        None => average_cost(&place.balance, difference).ok_or_else(out_of_range)?,
    };
    let accounts = place.accounts(MovementKind::Adjustment, c.counter_account.as_ref())?;
    place.bring_in(difference, cost, &accounts, Event::StockAdjusted)
}

pub(crate) fn revalue(ledger: &Ledger, c: &Revalue) -> Result<Vec<Event>, Rejection> {
    let place = Place::find(ledger, &c.sku, &c.location)?;
    let value = units(c.value_change, place.money(), "value_change")?;
    if value == 0 {
        return Err(Rejection::ZeroChange { field: Text::trusted("value_change") });
    }
    let accounts = place.accounts(MovementKind::Revaluation, c.counter_account.as_ref())?;
    if place.balance.on_hand <= 0 {
        return Err(Rejection::RevaluationWithoutStock);
    }
    let change = value_only(&place.balance, value).ok_or(Rejection::NumberOutOfRange { field: Text::trusted("value_change") })?;
    let after = place.balance.value.saturating_add(value);
    if after < 0 && !place.allows_negative() {
        return Err(Rejection::ValueBelowZero { value: shown(after, place.money()) });
    }
    Ok(vec![Event::StockRevalued(place.movement(change, post(&accounts, value)))])
}

pub(crate) fn transfer(ledger: &Ledger, c: &Transfer) -> Result<Vec<Event>, Rejection> {
    let from = Place::find(ledger, &c.sku, &c.from)?;
    let to = Place::find(ledger, &c.sku, &c.to)?;
    if from.location_at == to.location_at {
        return Err(Rejection::SameLocation);
    }
    let quantity = from.quantity(c.quantity)?;
    from.must_cover(quantity)?;
    let method = from.item.definition.method;
    let o = outbound(&from.balance, method, quantity, None).ok_or_else(out_of_range)?;
    let brought: Vec<_> = o
        .change
        .layers
        .iter()
        .map(|l| super::event::LayerChange {
            layer: l.layer,
            quantity: l.quantity.saturating_neg(),
            value: l.value.saturating_neg(),
        })
        .collect();
    // Below zero the layers do not make up the quantity: what arrives is one layer of its own.
    let whole = brought.iter().map(|l| l.quantity).sum::<i64>() == quantity;
    let brought = if whole { brought } else { Vec::new() };
    let i = inbound(&to.balance, method, quantity, o.cost, to.item.next_layer, &brought).ok_or_else(out_of_range)?;
    // Both ends post to the class's one inventory account: the transfer itself posts nothing.
    let outgoing = from.movement(o.change, Vec::new());
    let incoming = to.movement(i.change, Vec::new());
    let transferred = Event::StockTransferred(StockTransferred { outgoing, incoming });
    Ok(to.settled(i.settlement)?.into_iter().chain([transferred]).collect())
}
