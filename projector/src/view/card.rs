//! The stock card: one row per movement, with what was there afterwards.

use ledger_core::domain::codec;
use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{LocationCode, LotCode, Position, ReasonCode, Sku, Text};
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;

use super::row::Level;

/// A row of `view_stock_card`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the columns of the view")]
pub struct Card {
    pub sku: Sku,
    pub location: LocationCode,
    pub position: Position,
    pub line: i32,
    pub type_number: i16,
    pub scale: u8,
    pub money: u8,
    pub effective_at: Timestamp,
    pub recorded_at: Timestamp,
    pub quantity: i64,
    pub value: i64,
    pub on_hand_after: i64,
    pub value_after: i64,
    pub reference: Option<Text>,
    pub reason: Option<ReasonCode>,
    pub lane: i16,
    pub lane_on_hand: i64,
    pub lane_value: i64,
    pub status: StockStatus,
    pub lot: Option<LotCode>,
}

impl Card {
    pub(super) fn new(
        recorded: &Recorded,
        line: i32,
        m: &Movement,
        after: &Level,
        (lane, [lane_on_hand, lane_value]): (i16, [i64; 2]),
    ) -> Self {
        Self {
            sku: m.sku.clone(),
            location: m.location.clone(),
            position: recorded.position,
            line,
            type_number: codec::type_number(&recorded.fact.event),
            scale: m.scale,
            money: m.money,
            effective_at: recorded.effective_at(),
            recorded_at: recorded.recorded_at,
            quantity: m.quantity,
            value: m.value,
            on_hand_after: after.on_hand,
            value_after: after.value,
            reference: recorded.fact.note.reference.clone(),
            reason: recorded.fact.note.reason.clone(),
            lane,
            lane_on_hand,
            lane_value,
            status: m.status(),
            lot: m.lot().cloned(),
        }
    }
}
