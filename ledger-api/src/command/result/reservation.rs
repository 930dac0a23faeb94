//! Holds.

use ledger_core::domain::allocation::Strategy;
use ledger_core::domain::amount::Number;
use ledger_core::domain::id::{LocationCode, LotCode, ReservationId, Sku, Text};
use ledger_core::domain::rejection::Shortage;
use ledger_core::domain::reservation::event::{HeldLine, ReservationCommitted, ReservationExtended, ReservationOpened};
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;
use serde::Serialize;

/// A reservation after the command.
#[derive(Serialize)]
pub(super) struct Reservation<'a> {
    id: &'a ReservationId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Lines<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<&'a [HeldLine]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    /// How the places were chosen; what they were chosen from is in the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortages: Option<&'a [Shortage]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Lines<'a> {
    Held(&'a [HeldLine]),
    Shipped(Vec<Shipped<'a>>),
}

impl<'a> Reservation<'a> {
    pub(super) fn new(id: &'a ReservationId, status: &'static str) -> Self {
        Self {
            id,
            status,
            owner: None,
            expires_at: None,
            lines: None,
            cost: None,
            remaining: None,
            priority: None,
            strategy: None,
            shortages: None,
        }
    }

    pub(super) fn with_lines(id: &'a ReservationId, status: &'static str, lines: &'a [HeldLine]) -> Self {
        Self { lines: Some(Lines::Held(lines)), ..Self::new(id, status) }
    }
}

impl<'a> From<&'a ReservationOpened> for Reservation<'a> {
    fn from(e: &'a ReservationOpened) -> Self {
        Self {
            owner: e.owner.as_ref(),
            expires_at: Some(e.expires_at),
            priority: e.priority,
            strategy: e.choice.as_ref().map(|choice| choice.strategy),
            shortages: e.shortages.as_deref(),
            ..Self::with_lines(&e.id, "held", &e.lines)
        }
    }
}

impl<'a> From<&'a ReservationExtended> for Reservation<'a> {
    fn from(e: &'a ReservationExtended) -> Self {
        Self { expires_at: Some(e.expires_at), ..Self::new(&e.id, "held") }
    }
}

impl<'a> From<&'a ReservationCommitted> for Reservation<'a> {
    /// The event does not say whether what remains is held for a while or allocated.
    fn from(e: &'a ReservationCommitted) -> Self {
        let cost = e.movements.iter().fold(0_i64, |sum, m| sum.saturating_sub(m.value));
        let money = e.movements.first().map_or(0, |m| m.money);
        let status = if e.remaining.is_some() { "partly_committed" } else { "committed" };
        Self {
            lines: Some(Lines::Shipped(e.movements.iter().map(Shipped::from).collect())),
            cost: Some(Number::from_units(cost, money)),
            remaining: e.remaining.as_deref(),
            ..Self::new(&e.id, status)
        }
    }
}

/// What was shipped, with its cost: both above zero, as a delivery note has them.
#[derive(Serialize)]
struct Shipped<'a> {
    sku: &'a Sku,
    location: &'a LocationCode,
    quantity: Number,
    cost: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    lot: Option<&'a LotCode>,
}

impl<'a> From<&'a Movement> for Shipped<'a> {
    fn from(m: &'a Movement) -> Self {
        Self {
            sku: &m.sku,
            location: &m.location,
            quantity: Number::from_units(m.quantity.saturating_neg(), m.scale),
            cost: Number::from_units(m.value.saturating_neg(), m.money),
            lot: m.lot(),
        }
    }
}
