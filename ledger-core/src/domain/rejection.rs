//! Why the business says no: facts about the world with their data, each with a stable code.

use minicbor::{Decode, Encode};

use super::catalogue::command::MovementKind;
use super::id::{
    AccountCode, AccountSetCode, CountId, CurrencyCode, DimensionCode, DimensionValue, EntryId, ExpectationId, LocationCode,
    LotCode, PersonId, Position, PostingClass, ReservationId, Serial, Sku, TaxCode, Text, TransferId, UnitCode,
};
use super::period::Month;
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
        /// Absent: the base currency.
        #[n(3)]
        #[serde(skip_serializing_if = "Option::is_none")]
        currency: Option<CurrencyCode>,
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
    #[n(44)]
    UnknownUnit {
        #[n(0)]
        unit: UnitCode,
    },
    #[n(45)]
    UnitInexact {
        #[n(0)]
        field: Text,
        #[n(1)]
        unit: UnitCode,
    },
    #[n(46)]
    UnknownLot {
        #[n(0)]
        lot: LotCode,
    },
    #[n(47)]
    LotRequired,
    #[n(48)]
    LotExpired {
        #[n(0)]
        lot: LotCode,
        #[n(1)]
        expired_at: Timestamp,
    },
    #[n(49)]
    LotExpiryDiffers {
        #[n(0)]
        lot: LotCode,
    },
    #[n(50)]
    UnknownSerial {
        #[n(0)]
        serial: Serial,
    },
    #[n(51)]
    SerialExists {
        #[n(0)]
        serial: Serial,
    },
    #[n(52)]
    SerialsRequired {
        #[n(0)]
        quantity: Text,
    },
    #[n(53)]
    TrackingMismatch {
        #[n(0)]
        field: Text,
    },
    #[n(54)]
    LocationNotStorage {
        #[n(0)]
        location: LocationCode,
    },
    #[n(55)]
    LocationNotTransit {
        #[n(0)]
        location: LocationCode,
    },
    #[n(56)]
    TransitLocationRequired,
    #[n(57)]
    LocationRequired {
        #[n(0)]
        line: u32,
    },
    #[n(58)]
    LocationOutsideCount {
        #[n(0)]
        location: LocationCode,
    },
    #[n(59)]
    LocationWithoutCoordinates {
        #[n(0)]
        location: LocationCode,
    },
    #[n(60)]
    LocationCycle {
        #[n(0)]
        location: LocationCode,
    },
    #[n(61)]
    LocationTooDeep {
        #[n(0)]
        depth_max: u32,
    },
    #[n(62)]
    SameStatus,
    #[n(63)]
    UnknownMovement {
        #[n(0)]
        position: Position,
        #[n(1)]
        line: Option<u32>,
    },
    #[n(64)]
    ReturnExceedsIssue {
        #[n(0)]
        returnable: Text,
    },
    #[n(65)]
    RevaluationAmbiguous,
    #[n(66)]
    NotStandardCost {
        #[n(0)]
        sku: Sku,
    },
    #[n(67)]
    StandardCostRequired {
        #[n(0)]
        sku: Sku,
    },
    #[n(68)]
    MethodNeedsTracking {
        #[n(0)]
        sku: Sku,
    },
    #[n(69)]
    ScaleNotWhole {
        #[n(0)]
        sku: Sku,
    },
    #[n(70)]
    UnitInvalid {
        #[n(0)]
        unit: UnitCode,
    },
    #[n(71)]
    ComponentInvalid {
        #[n(0)]
        sku: Sku,
    },
    #[n(72)]
    ComponentInexact {
        #[n(0)]
        sku: Sku,
    },
    #[n(73)]
    NotAKit {
        #[n(0)]
        sku: Sku,
    },
    #[n(74)]
    UnknownExpectation {
        #[n(0)]
        expectation: ExpectationId,
    },
    #[n(75)]
    ExpectationExists {
        #[n(0)]
        expectation: ExpectationId,
    },
    #[n(76)]
    ExpectationClosed {
        #[n(0)]
        expectation: ExpectationId,
    },
    #[n(77)]
    DueTimeOutOfRange,
    #[n(78)]
    UnknownTransfer {
        #[n(0)]
        transfer: TransferId,
    },
    #[n(79)]
    TransferExists {
        #[n(0)]
        transfer: TransferId,
    },
    #[n(80)]
    TransferClosed {
        #[n(0)]
        transfer: TransferId,
    },
    #[n(81)]
    UnknownLine {
        #[n(0)]
        line: u32,
    },
    #[n(82)]
    UnknownCount {
        #[n(0)]
        count: CountId,
    },
    #[n(83)]
    CountExists {
        #[n(0)]
        count: CountId,
    },
    #[n(84)]
    CountClosed {
        #[n(0)]
        count: CountId,
    },
    #[n(85)]
    CountedOutsideCount {
        #[n(0)]
        opened_at: Timestamp,
    },
    #[n(86)]
    CountedTooLate,
    #[n(87)]
    StrategyIncomplete {
        #[n(0)]
        field: Text,
    },
    #[n(88)]
    OwnerRequired,
    #[n(89)]
    ReservationOwnerDiffers {
        #[n(0)]
        reservation: ReservationId,
    },
    #[n(90)]
    ReservationAllocated {
        #[n(0)]
        reservation: ReservationId,
    },
    #[n(91)]
    ReservationWaiting {
        #[n(0)]
        line: u32,
        #[n(1)]
        waiting: Text,
    },
    #[n(92)]
    LineTooSmall {
        #[n(0)]
        line: u32,
        #[n(1)]
        held: Text,
    },
    #[n(93)]
    UnknownCurrency {
        #[n(0)]
        currency: CurrencyCode,
    },
    #[n(94)]
    RateRequired {
        #[n(0)]
        currency: CurrencyCode,
    },
    #[n(124)]
    RateUnused {
        #[n(0)]
        currency: CurrencyCode,
    },
    #[n(95)]
    RateNotPositive {
        #[n(0)]
        currency: CurrencyCode,
    },
    #[n(96)]
    AccountCurrencyDiffers {
        #[n(0)]
        account: AccountCode,
        #[n(1)]
        currency: CurrencyCode,
    },
    #[n(97)]
    AccountClosed {
        #[n(0)]
        account: AccountCode,
    },
    #[n(98)]
    LimitInvalid {
        #[n(0)]
        account: AccountCode,
    },
    #[n(99)]
    LimitExceeded {
        #[n(0)]
        account: AccountCode,
        #[n(1)]
        limit: Text,
        #[n(2)]
        bound: Text,
        #[n(3)]
        balance: Text,
    },
    #[n(100)]
    UnknownDimension {
        #[n(0)]
        dimension: DimensionCode,
    },
    #[n(101)]
    UnknownDimensionValue {
        #[n(0)]
        dimension: DimensionCode,
        #[n(1)]
        value: DimensionValue,
    },
    #[n(102)]
    DimensionRequired {
        #[n(0)]
        account: AccountCode,
        #[n(1)]
        dimension: DimensionCode,
    },
    #[n(103)]
    TooManyDimensions {
        #[n(0)]
        dimensions_max: u32,
    },
    #[n(104)]
    UnknownTaxCode {
        #[n(0)]
        tax: TaxCode,
    },
    #[n(105)]
    UnknownAccountSet {
        #[n(0)]
        account_set: AccountSetCode,
    },
    #[n(106)]
    AccountSetCycle {
        #[n(0)]
        account_set: AccountSetCode,
    },
    #[n(107)]
    BalanceDiffers {
        #[n(0)]
        account: AccountCode,
        #[n(1)]
        expected: Text,
        #[n(2)]
        actual: Text,
    },
    #[n(108)]
    AccountMoved {
        #[n(0)]
        account: AccountCode,
        #[n(1)]
        expected: u64,
        #[n(2)]
        actual: Position,
    },
    #[n(109)]
    BalancingNeedsTwo,
    #[n(110)]
    NothingToBalance,
    #[n(111)]
    TtlWithoutPending,
    #[n(112)]
    EntryNotPending {
        #[n(0)]
        entry: EntryId,
        #[n(1)]
        status: Text,
    },
    #[n(113)]
    EntryNotPosted {
        #[n(0)]
        entry: EntryId,
        #[n(1)]
        status: Text,
    },
    #[n(114)]
    EntryExpired {
        #[n(0)]
        entry: EntryId,
        #[n(1)]
        expired_at: Timestamp,
    },
    #[n(115)]
    EntryNotExpired {
        #[n(0)]
        entry: EntryId,
    },
    #[n(116)]
    SettlementExceedsPending {
        #[n(0)]
        entry: EntryId,
        #[n(1)]
        pending: Text,
    },
    #[n(117)]
    SettlementAmbiguous {
        #[n(0)]
        entry: EntryId,
    },
    #[n(118)]
    #[serde(rename = "period_closed")]
    PeriodIsClosed {
        #[n(0)]
        period: Month,
        #[n(1)]
        soft: bool,
    },
    #[n(119)]
    PeriodNotOver {
        #[n(0)]
        period: Month,
        #[n(1)]
        ends_at: Timestamp,
    },
    #[n(120)]
    PeriodNotClosed {
        #[n(0)]
        period: Month,
    },
    #[n(121)]
    LaterPeriodClosed {
        #[n(0)]
        period: Month,
        #[n(1)]
        closed_through: Month,
    },
    #[n(122)]
    YearOutOfRange,
    #[n(123)]
    CalendarFixed,
    #[n(125)]
    UnknownPerson {
        #[n(0)]
        person: PersonId,
    },
    #[n(126)]
    PersonErased {
        #[n(0)]
        person: PersonId,
    },
}

/// Variants and their codes: one list makes [`Rejection::code`], which is exhaustive, and [`Rejection::CODES`].
macro_rules! codes {
    ($($variant:ident => $code:literal,)*) => {
        impl Rejection {
            /// Every code there is.
            pub const CODES: &[&str] = &[$($code),*];

            /// The stable code; the same word that JSON shows under `code`.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)*
                }
            }
        }
    };
}

codes! {
    UnknownItem => "unknown_item",
    UnknownLocation => "unknown_location",
    UnknownAccount => "unknown_account",
    UnknownReservation => "unknown_reservation",
    UnknownEntry => "unknown_entry",
    PostingRuleMissing => "posting_rule_missing",
    QuantityNotPositive => "quantity_not_positive",
    ScaleExceeded => "scale_exceeded",
    NumberOutOfRange => "number_out_of_range",
    CostRequired => "cost_required",
    CostAmbiguous => "cost_ambiguous",
    CostNegative => "cost_negative",
    InsufficientStock => "insufficient_stock",
    StatedCostExceedsValue => "stated_cost_exceeds_value",
    RevaluationWithoutStock => "revaluation_without_stock",
    ValueBelowZero => "value_below_zero",
    SameLocation => "same_location",
    ReasonRequired => "reason_required",
    ZeroChange => "zero_change",
    TtlOutOfRange => "ttl_out_of_range",
    LinesOutOfRange => "lines_out_of_range",
    ReservationExists => "reservation_exists",
    ReservationExpired => "reservation_expired",
    ReservationClosed => "reservation_closed",
    ReservationNotExpired => "reservation_not_expired",
    ExpiryNotLater => "expiry_not_later",
    EntryUnbalanced => "entry_unbalanced",
    EntryExists => "entry_exists",
    EntryAlreadyReversed => "entry_already_reversed",
    PostingSideInvalid => "posting_side_invalid",
    InventoryAccount => "inventory_account",
    VersionMismatch => "version_mismatch",
    EffectiveTimeOutOfRange => "effective_time_out_of_range",
    ItemInUse => "item_in_use",
    LocationInUse => "location_in_use",
    AccountInUse => "account_in_use",
    AccountCycle => "account_cycle",
    ClassHasStock => "class_has_stock",
    ScaleOutOfRange => "scale_out_of_range",
    TenantAlreadyOpen => "tenant_already_open",
    TransactionEmpty => "transaction_empty",
    TransactionTooLong => "transaction_too_long",
    MetadataTooLarge => "metadata_too_large",
    CommandIdReused => "command_id_reused",
    UnknownUnit => "unknown_unit",
    UnitInexact => "unit_inexact",
    UnknownLot => "unknown_lot",
    LotRequired => "lot_required",
    LotExpired => "lot_expired",
    LotExpiryDiffers => "lot_expiry_differs",
    UnknownSerial => "unknown_serial",
    SerialExists => "serial_exists",
    SerialsRequired => "serials_required",
    TrackingMismatch => "tracking_mismatch",
    LocationNotStorage => "location_not_storage",
    LocationNotTransit => "location_not_transit",
    TransitLocationRequired => "transit_location_required",
    LocationRequired => "location_required",
    LocationOutsideCount => "location_outside_count",
    LocationWithoutCoordinates => "location_without_coordinates",
    LocationCycle => "location_cycle",
    LocationTooDeep => "location_too_deep",
    SameStatus => "same_status",
    UnknownMovement => "unknown_movement",
    ReturnExceedsIssue => "return_exceeds_issue",
    RevaluationAmbiguous => "revaluation_ambiguous",
    NotStandardCost => "not_standard_cost",
    StandardCostRequired => "standard_cost_required",
    MethodNeedsTracking => "method_needs_tracking",
    ScaleNotWhole => "scale_not_whole",
    UnitInvalid => "unit_invalid",
    ComponentInvalid => "component_invalid",
    ComponentInexact => "component_inexact",
    NotAKit => "not_a_kit",
    UnknownExpectation => "unknown_expectation",
    ExpectationExists => "expectation_exists",
    ExpectationClosed => "expectation_closed",
    DueTimeOutOfRange => "due_time_out_of_range",
    UnknownTransfer => "unknown_transfer",
    TransferExists => "transfer_exists",
    TransferClosed => "transfer_closed",
    UnknownLine => "unknown_line",
    UnknownCount => "unknown_count",
    CountExists => "count_exists",
    CountClosed => "count_closed",
    CountedOutsideCount => "counted_outside_count",
    CountedTooLate => "counted_too_late",
    StrategyIncomplete => "strategy_incomplete",
    OwnerRequired => "owner_required",
    ReservationOwnerDiffers => "reservation_owner_differs",
    ReservationAllocated => "reservation_allocated",
    ReservationWaiting => "reservation_waiting",
    LineTooSmall => "line_too_small",
    UnknownCurrency => "unknown_currency",
    RateRequired => "rate_required",
    RateNotPositive => "rate_not_positive",
    RateUnused => "rate_unused",
    AccountCurrencyDiffers => "account_currency_differs",
    AccountClosed => "account_closed",
    LimitInvalid => "limit_invalid",
    LimitExceeded => "limit_exceeded",
    UnknownDimension => "unknown_dimension",
    UnknownDimensionValue => "unknown_dimension_value",
    DimensionRequired => "dimension_required",
    TooManyDimensions => "too_many_dimensions",
    UnknownTaxCode => "unknown_tax_code",
    UnknownAccountSet => "unknown_account_set",
    AccountSetCycle => "account_set_cycle",
    BalanceDiffers => "balance_differs",
    AccountMoved => "account_moved",
    BalancingNeedsTwo => "balancing_needs_two",
    NothingToBalance => "nothing_to_balance",
    TtlWithoutPending => "ttl_without_pending",
    EntryNotPending => "entry_not_pending",
    EntryNotPosted => "entry_not_posted",
    EntryExpired => "entry_expired",
    EntryNotExpired => "entry_not_expired",
    SettlementExceedsPending => "settlement_exceeds_pending",
    SettlementAmbiguous => "settlement_ambiguous",
    PeriodIsClosed => "period_closed",
    PeriodNotOver => "period_not_over",
    PeriodNotClosed => "period_not_closed",
    LaterPeriodClosed => "later_period_closed",
    YearOutOfRange => "year_out_of_range",
    CalendarFixed => "calendar_fixed",
    UnknownPerson => "unknown_person",
    PersonErased => "person_erased",
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
