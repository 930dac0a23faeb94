//! Goods and value that moved, and goods that are expected.

use ledger_core::domain::amount::Number;
use ledger_core::domain::id::{ExpectationId, LocationCode, LotCode, Position, Sku};
use ledger_core::domain::stock::event::{
    ExpectationCancelled, Movement, StandardCostChanged, StockCostAdded, StockExpected, StockMoved, StockTransferred,
};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use serde::Serialize;

fn value_of(m: &Movement) -> Number {
    Number::from_units(m.value, m.money)
}

/// Quantity and value as they changed: below zero for what went out.
#[derive(Serialize)]
pub(super) struct Moved<'a> {
    sku: &'a Sku,
    location: &'a LocationCode,
    quantity: Number,
    value: Number,
    /// Absent: sellable.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StockStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<&'a LotCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settlement: Option<Number>,
}

impl<'a> Moved<'a> {
    pub(super) fn new(m: &'a Movement, settled: Option<&Movement>) -> Self {
        Self {
            sku: &m.sku,
            location: &m.location,
            quantity: Number::from_units(m.quantity, m.scale),
            value: value_of(m),
            status: Some(m.status()).filter(|s| !s.is_sellable()),
            lot: m.lot(),
            settlement: settled.map(value_of),
        }
    }
}

/// The goods among a fact's movements, in its order; what moved value alone settled something below zero.
#[derive(Serialize)]
pub(super) struct Goods<'a> {
    movements: Vec<Moved<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settlement: Option<Number>,
}

impl<'a> From<&'a [Movement]> for Goods<'a> {
    fn from(movements: &'a [Movement]) -> Self {
        let goods = movements.iter().filter(|m| m.quantity != 0);
        Self { movements: goods.map(|m| Moved::new(m, None)).collect(), settlement: settlement(movements) }
    }
}

impl<'a> Goods<'a> {
    /// Those that came in: of what is carried from place to place, each line once.
    pub(super) fn arrived(movements: &'a [Movement]) -> Self {
        let goods = movements.iter().filter(|m| m.quantity > 0);
        Self { movements: goods.map(|m| Moved::new(m, None)).collect(), settlement: settlement(movements) }
    }
}

/// The sum of what a fact of several movements settled below zero.
pub(super) fn settlement(movements: &[Movement]) -> Option<Number> {
    let settled = movements.iter().filter(|m| m.quantity == 0);
    settled
        .map(|m| (m.value, m.money))
        .reduce(|(sum, money), (value, _)| (sum.saturating_add(value), money))
        .map(|(sum, money)| Number::from_units(sum, money))
}

/// Quantity and value as they arrived.
#[derive(Serialize)]
pub(super) struct Transferred<'a> {
    sku: &'a Sku,
    from: &'a LocationCode,
    to: &'a LocationCode,
    quantity: Number,
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StockStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<&'a LotCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settlement: Option<Number>,
}

impl<'a> Transferred<'a> {
    pub(super) fn new(t: &'a StockTransferred, settled: Option<&Movement>) -> Self {
        let Moved { sku, location, quantity, value, status, lot, settlement } = Moved::new(&t.incoming, settled);
        Self { sku, from: &t.outgoing.location, to: location, quantity, value, status, lot, settlement }
    }
}

/// What goods were and what they are. Their value stays with them.
#[derive(Serialize)]
pub(super) struct StatusChanged<'a> {
    sku: &'a Sku,
    location: &'a LocationCode,
    from: StockStatus,
    to: StockStatus,
    quantity: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<&'a LotCode>,
}

impl<'a> From<&'a StockTransferred> for StatusChanged<'a> {
    fn from(t: &'a StockTransferred) -> Self {
        let to = &t.incoming;
        Self {
            sku: &to.sku,
            location: &to.location,
            from: t.outgoing.status(),
            to: to.status(),
            quantity: Number::from_units(to.quantity, to.scale),
            lot: to.lot(),
        }
    }
}

/// A kit made or taken apart: it and its components, one above zero, the others below.
#[derive(Serialize)]
pub(super) struct Kit<'a> {
    sku: &'a Sku,
    #[serde(flatten)]
    goods: Goods<'a>,
}

impl<'a> From<&'a StockMoved> for Kit<'a> {
    fn from(e: &'a StockMoved) -> Self {
        Self { sku: &e.sku, goods: e.movements.as_slice().into() }
    }
}

/// Where cost added to a receipt went.
#[derive(Serialize)]
pub(super) struct CostAdded<'a> {
    receipt: Position,
    line: u32,
    amount: Number,
    on_hand: Number,
    sold: Number,
    movements: Vec<Moved<'a>>,
}

impl<'a> From<&'a StockCostAdded> for CostAdded<'a> {
    /// Both parts have the sign of the amount and are posted, inventory or expense first, so the postings add up to it.
    fn from(e: &'a StockCostAdded) -> Self {
        let money = e.movements.first().map_or(0, |m| m.money);
        let shown = |units| Number::from_units(units, money);
        let mut postings = e.movements.iter().flat_map(|m| &m.postings).map(|p| p.amount).peekable();
        let is_less = postings.peek().is_some_and(|first| *first < 0);
        let debits = postings.filter(|amount| *amount > 0).fold(0_i64, i64::saturating_add);
        let amount = if is_less { debits.saturating_neg() } else { debits };
        let on_hand = e.movements.iter().fold(0_i64, |sum, m| sum.saturating_add(m.value));
        let changed = e.movements.iter().filter(|m| m.value != 0);
        Self {
            receipt: e.receipt.position,
            line: e.receipt.line,
            amount: shown(amount),
            on_hand: shown(on_hand),
            sold: shown(amount.saturating_sub(on_hand)),
            movements: changed.map(|m| Moved::new(m, None)).collect(),
        }
    }
}

/// A new standard cost and the value it changed.
#[derive(Serialize)]
pub(super) struct StandardCost<'a> {
    sku: &'a Sku,
    standard_cost: Number,
    movements: Vec<Moved<'a>>,
}

impl<'a> From<&'a StandardCostChanged> for StandardCost<'a> {
    fn from(e: &'a StandardCostChanged) -> Self {
        let movements = e.movements.iter().map(|m| Moved::new(m, None)).collect();
        Self { sku: &e.sku, standard_cost: e.standard_cost, movements }
    }
}

/// An expected receipt after the command.
#[derive(Serialize)]
pub(super) struct Expectation<'a> {
    id: &'a ExpectationId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a Sku>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a LocationCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
}

impl<'a> From<&'a StockExpected> for Expectation<'a> {
    fn from(e: &'a StockExpected) -> Self {
        Self {
            id: &e.id,
            status: "open",
            sku: Some(&e.sku),
            location: Some(&e.location),
            quantity: Some(Number::from_units(e.quantity, e.scale)),
            due_at: Some(e.due_at),
        }
    }
}

impl<'a> From<&'a ExpectationCancelled> for Expectation<'a> {
    fn from(e: &'a ExpectationCancelled) -> Self {
        Self { id: &e.id, status: "cancelled", sku: None, location: None, quantity: None, due_at: None }
    }
}
