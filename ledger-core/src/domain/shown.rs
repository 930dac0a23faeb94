//! Schemas of what facts show. Facts whose JSON is derived have derived schemas; where it is written by hand, the schema is
//! that of a struct here with the fields that are written.
//!
//! **Shape**: [`payloads`] pairs every event type with its schema; the OpenAPI document, the JSON Schemas and the AsyncAPI
//! document are made of it.
//! **Correctness**: every stored form of every event is checked against these in a test, strictly: a field that is written
//! and not described fails, and so does one that is described and not written.

#![allow(dead_code, reason = "schemas are types, nobody makes a value of these")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::catalogue::command::Backorder;
use super::event::Category;
use super::id::{
    AccountCode, CurrencyCode, DimensionCode, DimensionValue, EntryId, ExpectationId, LocationCode, LotCode, PartyCode, Serial,
    Sku, TaxCode, Text,
};
use super::journal::command::ExchangeRate;
use super::journal::event::DocumentNumber;
use super::period::Month;
use super::stock::event::Origin;
use super::stock::status::StockStatus;
use super::time::Timestamp;

/// An exact decimal, as it is shown: always a string.
pub struct Decimal;

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"))
            .description(Some("Exact decimal; shows all decimals of its item or currency"))
            .into()
    }
}
impl ToSchema for Decimal {}

/// 32 bytes in hexadecimal.
struct Hash;

impl PartialSchema for Hash {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{64}$"));
        schema.description(Some("32 bytes of SHA-256 in hexadecimal")).into()
    }
}
impl ToSchema for Hash {}

/// One line of an entry. Either a debit or a credit; a foreign amount beside it likewise.
#[derive(ToSchema)]
#[schema(as = EventPosting)]
struct Posting {
    /// The account.
    account: AccountCode,
    /// Debited, in the base currency.
    #[schema(nullable = false)]
    debit: Option<Decimal>,
    /// Credited, in the base currency.
    #[schema(nullable = false)]
    credit: Option<Decimal>,
    /// A currency other than the base currency.
    #[schema(nullable = false)]
    currency: Option<CurrencyCode>,
    /// Debited in it.
    #[schema(nullable = false)]
    currency_debit: Option<Decimal>,
    /// Credited in it.
    #[schema(nullable = false)]
    currency_credit: Option<Decimal>,
    /// Values of dimensions.
    #[schema(nullable = false, value_type = Option<BTreeMap<String, DimensionValue>>)]
    dimensions: Option<BTreeMap<DimensionCode, DimensionValue>>,
    /// The customer or supplier.
    #[schema(nullable = false)]
    party: Option<PartyCode>,
    /// The open item it begins or settles.
    #[schema(nullable = false)]
    item: Option<Text>,
    /// When the open item is due.
    #[schema(nullable = false)]
    due_at: Option<Timestamp>,
    /// The tax code.
    #[schema(nullable = false)]
    tax: Option<TaxCode>,
    /// What for.
    #[schema(nullable = false)]
    memo: Option<Text>,
}

/// What happened to one cost layer.
#[derive(ToSchema)]
#[schema(as = EventLayer)]
struct Layer {
    /// The layer's number within its item: receipts in order.
    layer: i64,
    /// Signed.
    quantity: Decimal,
    /// Signed.
    value: Decimal,
}

/// Change of what was issued below zero at a provisional cost and still waits for the real one.
#[derive(ToSchema)]
#[schema(as = EventProvisional)]
struct Provisional {
    /// Signed.
    quantity: Decimal,
    /// Signed.
    value: Decimal,
}

/// Goods or value coming to (+) or leaving (−) one item at one location, and where that posts.
#[derive(ToSchema)]
#[schema(as = EventMovement)]
pub(super) struct Movement {
    /// The item.
    sku: Sku,
    /// Where.
    location: LocationCode,
    /// Signed.
    quantity: Decimal,
    /// Signed, in the base currency.
    value: Decimal,
    /// Balanced; empty when no value moves between accounts.
    postings: Vec<Posting>,
    /// With methods that keep layers.
    #[schema(nullable = false)]
    layers: Option<Vec<Layer>>,
    /// Only below zero.
    #[schema(nullable = false)]
    provisional: Option<Provisional>,
    /// Absent: sellable.
    #[schema(nullable = false)]
    status: Option<StockStatus>,
    /// The lot they belong to.
    #[schema(nullable = false)]
    lot: Option<LotCode>,
    /// When that lot expires.
    #[schema(nullable = false)]
    lot_expires_at: Option<Timestamp>,
    /// One per unit.
    #[schema(nullable = false)]
    serials: Option<Vec<Serial>>,
    /// The earlier movement this one undoes in part, or makes dearer.
    #[schema(nullable = false)]
    of: Option<Origin>,
    /// The expected receipt it is part of.
    #[schema(nullable = false)]
    expectation: Option<ExpectationId>,
}

/// Goods are expected.
#[derive(ToSchema)]
pub(super) struct StockExpected {
    /// The expected receipt.
    id: ExpectationId,
    /// The item.
    sku: Sku,
    /// Where to.
    location: LocationCode,
    /// How many.
    quantity: Decimal,
    /// When.
    due_at: Timestamp,
}

/// What is kept back of an item at a location, and what may be promised beyond it.
#[derive(ToSchema)]
pub(super) struct StockPolicyDefined {
    /// The item.
    sku: Sku,
    /// Where.
    location: LocationCode,
    /// Whether more may be promised than there is.
    backorder: Backorder,
    /// Below zero at the most, with `limited`.
    backorder_limit: Decimal,
    /// Not promised.
    safety_stock: Decimal,
}

/// What was found of one item, beside what was expected at that moment.
#[derive(ToSchema)]
#[schema(as = EventCountedLine)]
pub(super) struct CountedLine {
    /// The item.
    sku: Sku,
    /// Where.
    location: LocationCode,
    /// The lot.
    #[schema(nullable = false)]
    lot: Option<LotCode>,
    /// What may be done with them.
    status: StockStatus,
    /// Found.
    counted: Decimal,
    /// On hand at the moment counted.
    expected: Decimal,
    /// Found less expected.
    difference: Decimal,
}

/// One held line. Its number is its place in the list and never changes: a line given up stays with quantity 0.
#[derive(ToSchema)]
#[schema(as = EventHeldLine)]
pub(super) struct HeldLine {
    /// The item.
    sku: Sku,
    /// Where.
    location: LocationCode,
    /// How much.
    quantity: Decimal,
    /// Of these, what waits for stock to come in.
    #[schema(nullable = false)]
    waiting: Option<Decimal>,
    /// The lot, for an item tracked by lot.
    #[schema(nullable = false)]
    lot: Option<LotCode>,
    /// The kit this is a component of.
    #[schema(nullable = false)]
    kit: Option<Sku>,
}

/// A place that could serve a demand.
#[derive(ToSchema)]
#[schema(as = EventCandidate)]
struct Candidate {
    /// Where.
    location: LocationCode,
    /// Which lot.
    #[schema(nullable = false)]
    lot: Option<LotCode>,
    /// What may be promised.
    available: Decimal,
    /// What the strategy orders by: place in the list, squared distance in metres², expiry or arrival in microseconds.
    rank: i64,
}

/// One demand with the places that were considered.
#[derive(ToSchema)]
#[schema(as = EventDemand)]
pub(super) struct Demand {
    /// The item.
    sku: Sku,
    /// Asked for.
    quantity: Decimal,
    /// In the strategy's order.
    candidates: Vec<Candidate>,
}

/// A balanced entry, posted by hand.
#[derive(ToSchema)]
pub(super) struct JournalEntryPosted {
    /// The entry.
    id: EntryId,
    /// What for.
    #[schema(required = true)]
    description: Option<Text>,
    /// Σ = 0.
    postings: Vec<Posting>,
    /// Rates of the foreign currencies in it.
    #[schema(nullable = false)]
    rates: Option<Vec<ExchangeRate>>,
    /// Its place in a series.
    #[schema(nullable = false)]
    number: Option<DocumentNumber>,
    /// Gained (above zero) or lost by exchange; a posting of it is among these.
    #[schema(nullable = false)]
    exchange_difference: Option<Decimal>,
}

/// A balanced entry that moves pending balances only.
#[derive(ToSchema)]
pub(super) struct JournalEntryHeld {
    /// The entry.
    id: EntryId,
    /// What for.
    #[schema(required = true)]
    description: Option<Text>,
    /// Σ = 0.
    pending: Vec<Posting>,
    /// Void from this instant on.
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// Rates of the foreign currencies in it.
    #[schema(nullable = false)]
    rates: Option<Vec<ExchangeRate>>,
}

/// A pending entry posted, whole or in part.
#[derive(ToSchema)]
pub(super) struct JournalEntrySettled {
    /// The entry.
    id: EntryId,
    /// What is posted. Σ = 0.
    postings: Vec<Posting>,
    /// What is no longer pending: at least what is posted.
    freed: Vec<Posting>,
    /// Something is still pending.
    is_open: bool,
    /// Its place in a series.
    #[schema(nullable = false)]
    number: Option<DocumentNumber>,
    /// Gained (above zero) or lost by exchange; a posting of it is among these.
    #[schema(nullable = false)]
    exchange_difference: Option<Decimal>,
}

/// A pending entry set free, by a caller or by its instant.
#[derive(ToSchema)]
pub(super) struct JournalEntryFreed {
    /// The entry.
    id: EntryId,
    /// What is no longer pending.
    freed: Vec<Posting>,
}

/// The exact opposite of an entry.
#[derive(ToSchema)]
pub(super) struct JournalEntryReversed {
    /// The entry that is reversed.
    id: EntryId,
    /// Where that entry stands in the log.
    reverses_position: i64,
    /// Each posting of the entry with the other sign.
    postings: Vec<Posting>,
    /// Its place in a series.
    #[schema(nullable = false)]
    number: Option<DocumentNumber>,
    /// Gained (above zero) or lost by exchange; a posting of it is among these.
    #[schema(nullable = false)]
    exchange_difference: Option<Decimal>,
}

/// Balances in one currency restated to its rate at a period's end; an entry like any other, which can be reversed.
#[derive(ToSchema)]
pub(super) struct CurrencyRevalued {
    /// The entry.
    id: EntryId,
    /// The currency.
    currency: CurrencyCode,
    /// Base currency for one unit of it.
    rate: Decimal,
    /// At the end of this month.
    period: Month,
    /// Σ = 0.
    postings: Vec<Posting>,
}

/// Revenue and expense of a fiscal year carried to retained earnings.
#[derive(ToSchema)]
pub(super) struct YearClosed {
    /// The calendar year in which it began.
    year: i32,
    /// What was carried: a profit above zero, a loss below.
    result: Decimal,
    /// Σ = 0.
    postings: Vec<Posting>,
}

/// The schema of one type is that of another.
macro_rules! shown_as {
    ($($fact:path => $shown:ty),* $(,)?) => {$(
        impl PartialSchema for $fact {
            fn schema() -> RefOr<Schema> {
                <$shown>::schema()
            }
        }
        impl ToSchema for $fact {
            fn name() -> Cow<'static, str> {
                <$shown>::name()
            }
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$shown>::schemas(schemas);
            }
        }
    )*};
}

shown_as! {
    super::stock::event::Movement => Movement,
    super::stock::event::StockExpected => StockExpected,
    super::catalogue::event::StockPolicyDefined => StockPolicyDefined,
    super::count::event::CountedLine => CountedLine,
    super::reservation::event::HeldLine => HeldLine,
    super::allocation::Demand => Demand,
    super::period::event::Digest => Hash,
    super::period::event::YearClosed => YearClosed,
    super::journal::event::JournalEntryPosted => JournalEntryPosted,
    super::journal::event::JournalEntryHeld => JournalEntryHeld,
    super::journal::event::JournalEntrySettled => JournalEntrySettled,
    super::journal::event::JournalEntryFreed => JournalEntryFreed,
    super::journal::event::JournalEntryReversed => JournalEntryReversed,
    super::journal::event::CurrencyRevalued => CurrencyRevalued,
}

/// What an event of some type says.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "schemas have none")]
pub struct Payload {
    /// The event type.
    pub type_name: &'static str,
    /// Where it is published.
    pub category: Category,
    /// The schema's name.
    pub name: Cow<'static, str>,
    /// Its schema.
    pub schema: RefOr<Schema>,
    /// Named schemas that it refers to, directly or not.
    pub parts: Vec<(String, RefOr<Schema>)>,
}

/// Every event type, in the order of their numbers.
#[must_use]
pub fn payloads() -> Vec<Payload> {
    vec![
        of::<super::catalogue::event::TenantOpened>("tenant_opened", Category::Catalogue),
        of::<super::catalogue::event::ItemDefinition>("item_defined", Category::Catalogue),
        of::<super::catalogue::event::ItemDefinition>("item_changed", Category::Catalogue),
        of::<super::catalogue::event::LocationDefinition>("location_defined", Category::Catalogue),
        of::<super::catalogue::event::LocationDefinition>("location_changed", Category::Catalogue),
        of::<super::catalogue::event::AccountDefinition>("account_opened", Category::Catalogue),
        of::<super::catalogue::event::AccountDefinition>("account_changed", Category::Catalogue),
        of::<super::catalogue::event::PostingRuleDefinition>("posting_rule_defined", Category::Catalogue),
        of::<super::catalogue::event::StockPolicyDefined>("stock_policy_defined", Category::Catalogue),
        of::<super::account::event::AccountSetDefined>("account_set_defined", Category::Catalogue),
        of::<super::account::event::DimensionDefined>("dimension_defined", Category::Catalogue),
        of::<super::account::event::TaxCodeDefined>("tax_code_defined", Category::Catalogue),
        of::<super::period::event::CalendarDefined>("calendar_defined", Category::Period),
        of::<super::stock::event::Movement>("stock_received", Category::Stock),
        of::<super::stock::event::Movement>("stock_issued", Category::Stock),
        of::<super::stock::event::Movement>("stock_returned", Category::Stock),
        of::<super::stock::event::Movement>("stock_adjusted", Category::Stock),
        of::<super::stock::event::Movement>("stock_revalued", Category::Stock),
        of::<super::stock::event::StockTransferred>("stock_transferred", Category::Stock),
        of::<super::stock::event::Movement>("stock_settled", Category::Stock),
        of::<super::stock::event::Movement>("stock_returned_to_supplier", Category::Stock),
        of::<super::stock::event::Movement>("stock_scrapped", Category::Stock),
        of::<super::stock::event::StockTransferred>("stock_status_changed", Category::Stock),
        of::<super::stock::event::StockMoved>("stock_assembled", Category::Stock),
        of::<super::stock::event::StockMoved>("stock_disassembled", Category::Stock),
        of::<super::stock::event::StockCostAdded>("stock_cost_added", Category::Stock),
        of::<super::stock::event::StandardCostChanged>("standard_cost_changed", Category::Stock),
        of::<super::stock::event::StockExpected>("stock_expected", Category::Stock),
        of::<super::stock::event::ExpectationCancelled>("expectation_cancelled", Category::Stock),
        of::<super::reservation::event::ReservationOpened>("reservation_opened", Category::Reservation),
        of::<super::reservation::event::ReservationExtended>("reservation_extended", Category::Reservation),
        of::<super::reservation::event::ReservationClosed>("reservation_released", Category::Reservation),
        of::<super::reservation::event::ReservationClosed>("reservation_expired", Category::Reservation),
        of::<super::reservation::event::ReservationCommitted>("reservation_committed", Category::Reservation),
        of::<super::reservation::event::ReservationLines>("reservation_changed", Category::Reservation),
        of::<super::reservation::event::ReservationConfirmed>("reservation_confirmed", Category::Reservation),
        of::<super::reservation::event::ReservationLines>("reservation_filled", Category::Reservation),
        of::<super::journal::event::JournalEntryPosted>("journal_entry_posted", Category::Journal),
        of::<super::journal::event::JournalEntryReversed>("journal_entry_reversed", Category::Journal),
        of::<super::journal::event::JournalEntryHeld>("journal_entry_held", Category::Journal),
        of::<super::journal::event::JournalEntrySettled>("journal_entry_settled", Category::Journal),
        of::<super::journal::event::JournalEntryFreed>("journal_entry_voided", Category::Journal),
        of::<super::journal::event::JournalEntryFreed>("journal_entry_expired", Category::Journal),
        of::<super::journal::event::CurrencyRevalued>("currency_revalued", Category::Journal),
        of::<super::period::event::YearClosed>("year_closed", Category::Period),
        of::<super::period::event::PeriodClosed>("period_closed", Category::Period),
        of::<super::period::event::PeriodReopened>("period_reopened", Category::Period),
        of::<super::person::event::PersonRecorded>("person_recorded", Category::Catalogue),
        of::<super::person::event::PersonErased>("person_erased", Category::Catalogue),
        of::<super::transfer::event::TransferDispatched>("transfer_dispatched", Category::Stock),
        of::<super::transfer::event::TransferReceived>("transfer_received", Category::Stock),
        of::<super::transfer::event::TransferCancelled>("transfer_cancelled", Category::Stock),
        of::<super::count::event::CountOpened>("count_opened", Category::Stock),
        of::<super::count::event::CountRecorded>("count_recorded", Category::Stock),
        of::<super::count::event::CountPosted>("count_posted", Category::Stock),
        of::<super::count::event::CountCancelled>("count_cancelled", Category::Stock),
    ]
}

fn of<T: ToSchema>(type_name: &'static str, category: Category) -> Payload {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    Payload { type_name, category, name: T::name(), schema: T::schema(), parts }
}
