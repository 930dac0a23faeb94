//! Why the business says no: facts about the world with their data, each with a stable code.

use minicbor::{Decode, Encode};

use super::catalogue::command::MovementKind;
use super::event::Posting;
use super::id::{AccountCode, EntryId, LocationCode, PostingClass, ReservationId, Sku, Text};
use super::time::Timestamp;

/// One demand that stock does not cover. Numbers at the item's scale.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Shortage {
    /// First line that asks for it, from 0.
    #[n(0)]
    pub line: u32,
    /// The item.
    #[n(1)]
    #[serde(rename = "item")]
    pub sku: Sku,
    /// Where.
    #[n(2)]
    pub location: LocationCode,
    /// Sum of all lines for this item and location.
    #[n(3)]
    pub requested: Text,
    /// What could be had.
    #[n(4)]
    pub available: Text,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are the documentation; each code has a page of its own")]
pub enum Rejection {
    #[n(0)]
    UnknownItem {
        #[n(0)]
        sku: Sku,
    },
    #[n(1)]
    UnknownLocation {
        #[n(0)]
        location: LocationCode,
    },
    #[n(2)]
    UnknownAccount {
        #[n(0)]
        account: AccountCode,
    },
    #[n(3)]
    UnknownReservation {
        #[n(0)]
        reservation: ReservationId,
    },
    #[n(4)]
    UnknownEntry {
        #[n(0)]
        entry: EntryId,
    },
    #[n(5)]
    PostingRuleMissing {
        #[n(0)]
        movement: MovementKind,
        #[n(1)]
        class: PostingClass,
    },
    #[n(6)]
    QuantityNotPositive {
        #[n(0)]
        field: Text,
    },
    #[n(7)]
    ScaleExceeded {
        #[n(0)]
        field: Text,
        #[n(1)]
        scale: u8,
    },
    #[n(8)]
    NumberOutOfRange {
        #[n(0)]
        field: Text,
    },
    #[n(9)]
    CostRequired,
    #[n(10)]
    CostAmbiguous,
    #[n(11)]
    CostNegative {
        #[n(0)]
        field: Text,
    },
    #[n(12)]
    InsufficientStock {
        #[n(0)]
        shortages: Vec<Shortage>,
    },
    #[n(13)]
    StatedCostExceedsValue {
        #[n(0)]
        stated: Text,
        #[n(1)]
        value: Text,
    },
    #[n(14)]
    RevaluationWithoutStock,
    #[n(15)]
    ValueBelowZero {
        #[n(0)]
        value: Text,
    },
    #[n(16)]
    SameLocation,
    #[n(17)]
    ReasonRequired,
    #[n(18)]
    ZeroChange {
        #[n(0)]
        field: Text,
    },
    #[n(19)]
    TtlOutOfRange {
        #[n(0)]
        seconds_max: u32,
    },
    #[n(20)]
    LinesOutOfRange {
        #[n(0)]
        lines_min: u32,
        #[n(1)]
        lines_max: u32,
    },
    #[n(21)]
    ReservationExists {
        #[n(0)]
        reservation: ReservationId,
    },
    #[n(22)]
    ReservationExpired {
        #[n(0)]
        reservation: ReservationId,
        #[n(1)]
        expired_at: Timestamp,
    },
    #[n(23)]
    ReservationClosed {
        #[n(0)]
        reservation: ReservationId,
        #[n(1)]
        status: Text,
    },
    #[n(24)]
    ReservationNotExpired {
        #[n(0)]
        reservation: ReservationId,
        #[n(1)]
        expires_at: Timestamp,
    },
    #[n(25)]
    ExpiryNotLater {
        #[n(0)]
        expires_at: Timestamp,
    },
    #[n(26)]
    EntryUnbalanced {
        #[n(0)]
        debits: Text,
        #[n(1)]
        credits: Text,
        #[n(2)]
        difference: Text,
    },
    #[n(27)]
    EntryExists {
        #[n(0)]
        entry: EntryId,
    },
    #[n(28)]
    EntryAlreadyReversed {
        #[n(0)]
        entry: EntryId,
    },
    #[n(29)]
    PostingSideInvalid {
        #[n(0)]
        line: u32,
    },
    #[n(30)]
    InventoryAccount {
        #[n(0)]
        account: AccountCode,
    },
    #[n(31)]
    VersionMismatch {
        #[n(0)]
        expected: u64,
        #[n(1)]
        actual: u64,
    },
    #[n(32)]
    EffectiveTimeOutOfRange,
    #[n(33)]
    ItemInUse {
        #[n(0)]
        sku: Sku,
        #[n(1)]
        field: Text,
    },
    #[n(34)]
    LocationInUse {
        #[n(0)]
        location: LocationCode,
    },
    #[n(35)]
    AccountInUse {
        #[n(0)]
        account: AccountCode,
    },
    #[n(36)]
    AccountCycle {
        #[n(0)]
        account: AccountCode,
    },
    #[n(37)]
    ClassHasStock {
        #[n(0)]
        class: PostingClass,
    },
    #[n(38)]
    ScaleOutOfRange {
        #[n(0)]
        scale_max: u8,
    },
    #[n(39)]
    TenantAlreadyOpen,
    #[n(40)]
    TransactionEmpty,
    #[n(41)]
    TransactionTooLong {
        #[n(0)]
        steps_max: u32,
    },
    #[n(42)]
    MetadataTooLarge {
        #[n(0)]
        pairs_max: u32,
    },
    #[n(43)]
    CommandIdReused,
}

impl Rejection {
    /// The stable code; the same word that JSON shows under `code`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownItem { .. } => "unknown_item",
            Self::UnknownLocation { .. } => "unknown_location",
            Self::UnknownAccount { .. } => "unknown_account",
            Self::UnknownReservation { .. } => "unknown_reservation",
            Self::UnknownEntry { .. } => "unknown_entry",
            Self::PostingRuleMissing { .. } => "posting_rule_missing",
            Self::QuantityNotPositive { .. } => "quantity_not_positive",
            Self::ScaleExceeded { .. } => "scale_exceeded",
            Self::NumberOutOfRange { .. } => "number_out_of_range",
            Self::CostRequired => "cost_required",
            Self::CostAmbiguous => "cost_ambiguous",
            Self::CostNegative { .. } => "cost_negative",
            Self::InsufficientStock { .. } => "insufficient_stock",
            Self::StatedCostExceedsValue { .. } => "stated_cost_exceeds_value",
            Self::RevaluationWithoutStock => "revaluation_without_stock",
            Self::ValueBelowZero { .. } => "value_below_zero",
            Self::SameLocation => "same_location",
            Self::ReasonRequired => "reason_required",
            Self::ZeroChange { .. } => "zero_change",
            Self::TtlOutOfRange { .. } => "ttl_out_of_range",
            Self::LinesOutOfRange { .. } => "lines_out_of_range",
            Self::ReservationExists { .. } => "reservation_exists",
            Self::ReservationExpired { .. } => "reservation_expired",
            Self::ReservationClosed { .. } => "reservation_closed",
            Self::ReservationNotExpired { .. } => "reservation_not_expired",
            Self::ExpiryNotLater { .. } => "expiry_not_later",
            Self::EntryUnbalanced { .. } => "entry_unbalanced",
            Self::EntryExists { .. } => "entry_exists",
            Self::EntryAlreadyReversed { .. } => "entry_already_reversed",
            Self::PostingSideInvalid { .. } => "posting_side_invalid",
            Self::InventoryAccount { .. } => "inventory_account",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::EffectiveTimeOutOfRange => "effective_time_out_of_range",
            Self::ItemInUse { .. } => "item_in_use",
            Self::LocationInUse { .. } => "location_in_use",
            Self::AccountInUse { .. } => "account_in_use",
            Self::AccountCycle { .. } => "account_cycle",
            Self::ClassHasStock { .. } => "class_has_stock",
            Self::ScaleOutOfRange { .. } => "scale_out_of_range",
            Self::TenantAlreadyOpen => "tenant_already_open",
            Self::TransactionEmpty => "transaction_empty",
            Self::TransactionTooLong { .. } => "transaction_too_long",
            Self::MetadataTooLarge { .. } => "metadata_too_large",
            Self::CommandIdReused => "command_id_reused",
        }
    }
}

/// A refused command: the reason, and in a transaction the step that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// From 0; absent for a command of one action.
    #[n(0)]
    pub step: Option<u32>,
    /// Why.
    #[n(1)]
    pub rejection: Rejection,
}

/// Σ debits and Σ credits of postings, in units.
#[must_use]
pub fn sides(postings: &[Posting]) -> (i128, i128) {
    postings.iter().fold((0, 0), |(debits, credits), p| {
        let amount = i128::from(p.amount);
        if amount >= 0 { (debits.saturating_add(amount), credits) } else { (debits, credits.saturating_sub(amount)) }
    })
}
