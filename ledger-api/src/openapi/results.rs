//! Schemas of `result`, as `command::result` writes it.
#![allow(dead_code, reason = "schemas of the document")]

use std::collections::BTreeMap;

use ledger_core::domain::account::command::TaxDirection;
use ledger_core::domain::allocation::Strategy;
use ledger_core::domain::catalogue::command::{
    AccountType, Backorder, Component, CostPool, LimitOn, LocationKind, MovementKind, NegativeStock, Tracking, ValuationMethod,
};
use ledger_core::domain::journal::command::ExchangeRate;
use ledger_core::domain::journal::event::DocumentNumber;
use ledger_core::domain::period::Month;
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::domain::unit::UnitOfMeasure;
use utoipa::ToSchema;

use crate::query::Exact;

/// Goods or value that came (above zero) or went (below zero).
#[derive(ToSchema)]
pub(crate) struct MovedResult {
    sku: String,
    location: String,
    quantity: Exact,
    value: Exact,
    /// Of the goods; sellable if absent.
    #[schema(nullable = false)]
    status: Option<StockStatus>,
    /// Of an item tracked by lot.
    #[schema(nullable = false)]
    lot: Option<String>,
    /// What replacing provisional cost by the real one changed.
    #[schema(nullable = false)]
    settlement: Option<Exact>,
}

/// Goods and value carried from one location to another.
#[derive(ToSchema)]
pub(crate) struct TransferResult {
    sku: String,
    from: String,
    to: String,
    quantity: Exact,
    /// Zero when both share one cost pool.
    value: Exact,
    /// Of the goods; sellable if absent.
    #[schema(nullable = false)]
    status: Option<StockStatus>,
    /// Of an item tracked by lot.
    #[schema(nullable = false)]
    lot: Option<String>,
    /// What replacing provisional cost by the real one changed.
    #[schema(nullable = false)]
    settlement: Option<Exact>,
}

/// What was revalued: stock at a location, or an item whose standard cost changed.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum RevaluedResult {
    Moved(MovedResult),
    StandardCost(StandardCostResult),
}

/// A new standard cost and the value it changed.
#[derive(ToSchema)]
pub(crate) struct StandardCostResult {
    sku: String,
    standard_cost: Exact,
    /// Value only, one per cost pool.
    movements: Vec<MovedResult>,
}

/// What goods were and what they are.
#[derive(ToSchema)]
pub(crate) struct StatusChangedResult {
    sku: String,
    location: String,
    from: StockStatus,
    to: StockStatus,
    quantity: Exact,
    /// Of an item tracked by lot.
    #[schema(nullable = false)]
    lot: Option<String>,
}

/// Kits made or taken apart.
#[derive(ToSchema)]
pub(crate) struct KitResult {
    /// The kit.
    sku: String,
    /// Of the kit and of its components: what came above zero, what went below.
    movements: Vec<MovedResult>,
    /// What replacing provisional cost by the real one changed.
    #[schema(nullable = false)]
    settlement: Option<Exact>,
}

/// Where cost added to a receipt went.
#[derive(ToSchema)]
pub(crate) struct CostAddedResult {
    /// Position of the receipt.
    receipt: i64,
    /// Which movement of that event, from 0.
    line: u32,
    amount: Exact,
    /// To the value of what is still there.
    on_hand: Exact,
    /// To cost of goods sold; of an item at standard cost, to the variance.
    sold: Exact,
    /// Value only, of what is still there.
    movements: Vec<MovedResult>,
}

/// An expected receipt after the command.
#[derive(ToSchema)]
pub(crate) struct ExpectationResult {
    id: String,
    /// `open` or `cancelled`.
    status: String,
    #[schema(nullable = false)]
    sku: Option<String>,
    #[schema(nullable = false)]
    location: Option<String>,
    #[schema(nullable = false)]
    quantity: Option<Exact>,
    #[schema(nullable = false)]
    due_at: Option<Timestamp>,
}

/// A transfer in two steps after the command.
#[derive(ToSchema)]
pub(crate) struct TwoStepTransferResult {
    id: String,
    /// `dispatched`, `partly_received`, `received` or `cancelled`.
    status: String,
    #[schema(nullable = false)]
    from: Option<String>,
    #[schema(nullable = false)]
    to: Option<String>,
    /// The location in transit.
    #[schema(nullable = false)]
    via: Option<String>,
    #[schema(nullable = false)]
    due_at: Option<Timestamp>,
    /// When dispatched: the lines, in transit. When cancelled: what went back.
    #[schema(nullable = false)]
    movements: Option<Vec<MovedResult>>,
    /// When received.
    #[schema(nullable = false)]
    arrivals: Option<Vec<ArrivalResult>>,
    /// What replacing provisional cost by the real one changed.
    #[schema(nullable = false)]
    settlement: Option<Exact>,
}

/// What became of one line of a transfer.
#[derive(ToSchema)]
pub(crate) struct ArrivalResult {
    /// From 0.
    line: u32,
    sku: String,
    /// Of what was sent: arrived in good order.
    good: Exact,
    /// Of what was sent: arrived damaged.
    damaged: Exact,
    /// Never arrived, and will not.
    short: Exact,
    /// More than was sent.
    over: Exact,
    /// Of what arrived; zero when it stays in its cost pool.
    value: Exact,
}

/// A stock count after the command.
#[derive(ToSchema)]
pub(crate) struct CountResult {
    id: String,
    /// `open`, `posted` or `cancelled`.
    status: String,
    /// When opened.
    #[schema(nullable = false)]
    location: Option<String>,
    /// The moment counted.
    #[schema(nullable = false)]
    counted_at: Option<Timestamp>,
    /// What was recorded.
    #[schema(nullable = false)]
    lines: Option<Vec<CountedResult>>,
    /// When posted: the differences.
    #[schema(nullable = false)]
    movements: Option<Vec<MovedResult>>,
    /// What replacing provisional cost by the real one changed.
    #[schema(nullable = false)]
    settlement: Option<Exact>,
}

/// What was found, beside what was on hand at that moment.
#[derive(ToSchema)]
pub(crate) struct CountedResult {
    sku: String,
    location: String,
    /// Of an item tracked by lot.
    #[schema(nullable = false)]
    lot: Option<String>,
    status: StockStatus,
    counted: Exact,
    expected: Exact,
    difference: Exact,
}

/// A reservation after the command.
#[derive(ToSchema)]
pub(crate) struct ReservationResult {
    id: String,
    /// `held`, `allocated`, `changed`, `partly_committed`, `released` or `committed`; of others' events in a transaction
    /// also `filled`.
    status: String,
    #[schema(nullable = false)]
    owner: Option<String>,
    /// While held.
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// What is held, was given back or was shipped.
    #[schema(nullable = false)]
    lines: Option<Vec<ResultLine>>,
    /// Of what was shipped.
    #[schema(nullable = false)]
    cost: Option<Exact>,
    /// Every line as it is held on, when only a part was shipped.
    #[schema(nullable = false)]
    remaining: Option<Vec<ResultLine>>,
    /// Of what waits for stock.
    #[schema(nullable = false)]
    priority: Option<u8>,
    /// How the places were chosen.
    #[schema(nullable = false)]
    strategy: Option<Strategy>,
    /// With `allow_partial`: what could not be held.
    #[schema(nullable = false)]
    shortages: Option<Vec<ShortageResult>>,
}

/// What could not be held of a line.
#[derive(ToSchema)]
pub(crate) struct ShortageResult {
    /// From 0.
    line: u32,
    item: String,
    location: String,
    requested: Exact,
    available: Exact,
}

/// One line of a reservation.
#[derive(ToSchema)]
pub(crate) struct ResultLine {
    sku: String,
    location: String,
    quantity: Exact,
    /// Of what was shipped.
    #[schema(nullable = false)]
    cost: Option<Exact>,
    /// How many of these wait for stock to come in.
    #[schema(nullable = false)]
    waiting: Option<Exact>,
    /// Of an item tracked by lot.
    #[schema(nullable = false)]
    lot: Option<String>,
    /// The kit this is a component of.
    #[schema(nullable = false)]
    kit: Option<String>,
}

/// One side of a journal entry.
#[derive(ToSchema)]
pub(crate) struct PostingResult {
    account: String,
    /// In the base currency.
    #[schema(nullable = false)]
    debit: Option<Exact>,
    /// In the base currency.
    #[schema(nullable = false)]
    credit: Option<Exact>,
    /// A foreign currency.
    #[schema(nullable = false)]
    currency: Option<String>,
    /// In that currency.
    #[schema(nullable = false)]
    currency_debit: Option<Exact>,
    /// In that currency.
    #[schema(nullable = false)]
    currency_credit: Option<Exact>,
    #[schema(nullable = false)]
    dimensions: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    party: Option<String>,
    /// The open item.
    #[schema(nullable = false)]
    item: Option<String>,
    #[schema(nullable = false)]
    due_at: Option<Timestamp>,
    #[schema(nullable = false)]
    tax: Option<String>,
    #[schema(nullable = false)]
    memo: Option<String>,
}

/// A journal entry after the command.
#[derive(ToSchema)]
pub(crate) struct EntryResult {
    id: String,
    /// `posted`, `pending`, `settled`, `partly_settled`, `voided` or `reversed`.
    status: String,
    /// Of the postings shown, in the base currency: their debits, which are their credits.
    amount: Exact,
    /// Of the postings shown: the same per foreign currency.
    #[schema(nullable = false)]
    currencies: Option<Vec<CurrencySums>>,
    description: Option<String>,
    /// When posted, settled or reversed: what was posted.
    #[schema(nullable = false)]
    postings: Option<Vec<PostingResult>>,
    /// When pending: what is held.
    #[schema(nullable = false)]
    pending: Option<Vec<PostingResult>>,
    /// When settled or voided: what is pending no longer.
    #[schema(nullable = false)]
    freed: Option<Vec<PostingResult>>,
    /// When settled: whether something is pending still.
    #[schema(nullable = false)]
    is_open: Option<bool>,
    /// When pending: void from this instant on.
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
    /// As the entry states them.
    #[schema(nullable = false)]
    rates: Option<Vec<ExchangeRate>>,
    /// When posted: what was gained (above zero) or lost by exchange, which the last posting's account took.
    #[schema(nullable = false)]
    exchange_difference: Option<Exact>,
    /// Its place in a series.
    #[schema(nullable = false)]
    number: Option<DocumentNumber>,
    /// When reversed: where the entry stands in the log.
    #[schema(nullable = false)]
    reverses_position: Option<i64>,
}

/// What is debited and credited in one currency.
#[derive(ToSchema)]
pub(crate) struct CurrencySums {
    currency: String,
    debits: Exact,
    credits: Exact,
}

/// Balances in one currency restated, until the next period.
#[derive(ToSchema)]
pub(crate) struct CurrencyRevaluedResult {
    /// The entry.
    id: String,
    currency: String,
    rate: Exact,
    period: Month,
    postings: Vec<PostingResult>,
    /// What the value of each account rose by, debits less credits.
    differences: Vec<AccountDifference>,
    /// Gained (above zero) or lost.
    total: Exact,
}

/// What one account's value rose by.
#[derive(ToSchema)]
pub(crate) struct AccountDifference {
    account: String,
    difference: Exact,
}

/// When fiscal years begin.
#[derive(ToSchema)]
pub(crate) struct CalendarResult {
    /// 1 to 12.
    year_starts_month: u8,
}

/// A period after the command.
#[derive(ToSchema)]
pub(crate) struct PeriodResult {
    period: Month,
    /// `closed`, `soft_closed` or `open`.
    status: String,
    /// When closed: whether it takes adjusting entries still.
    #[schema(nullable = false)]
    soft: Option<bool>,
    /// When closed, not softly.
    #[schema(nullable = false)]
    seal: Option<SealResult>,
}

/// What a closed period rests on.
#[derive(ToSchema)]
pub(crate) struct SealResult {
    /// The log's last event before it was closed.
    position: i64,
    /// Root of the log's tree (RFC 6962) over the events up to there, in hexadecimal.
    #[schema(nullable = false)]
    log_root: Option<String>,
    /// Root of a tree over every account's balance at the period's end, in hexadecimal.
    balances_root: String,
}

/// A fiscal year that was closed.
#[derive(ToSchema)]
pub(crate) struct YearResult {
    year: i32,
    /// What was carried to retained earnings: a profit above zero, a loss below.
    result: Exact,
    /// How many postings the event has.
    postings_count: usize,
}

/// An item as defined.
#[derive(ToSchema)]
pub(crate) struct ItemResult {
    sku: String,
    name: String,
    unit: String,
    scale: u8,
    method: ValuationMethod,
    posting_class: String,
    negative_stock: NegativeStock,
    retired: bool,
    /// What tells one unit from another; nothing if absent.
    #[schema(nullable = false)]
    tracking: Option<Tracking>,
    /// Which stock shares one cost; a warehouse's if absent.
    #[schema(nullable = false)]
    pool: Option<CostPool>,
    #[schema(nullable = false)]
    standard_cost: Option<Exact>,
    /// Alternate units.
    #[schema(nullable = false)]
    units: Option<Vec<UnitOfMeasure>>,
    /// What one is made of.
    #[schema(nullable = false)]
    components: Option<Vec<Component>>,
}

/// A location as defined.
#[derive(ToSchema)]
pub(crate) struct LocationResult {
    code: String,
    name: String,
    kind: LocationKind,
    retired: bool,
    /// The location this one is inside of.
    #[schema(nullable = false)]
    parent: Option<String>,
    #[schema(nullable = false)]
    x: Option<i32>,
    #[schema(nullable = false)]
    y: Option<i32>,
}

/// A stock policy as defined.
#[derive(ToSchema)]
pub(crate) struct PolicyResult {
    sku: String,
    location: String,
    backorder: Backorder,
    /// With `limited`: how many units at the most.
    backorder_limit: Exact,
    /// Units that are not promised.
    safety_stock: Exact,
}

/// An account as defined.
#[derive(ToSchema)]
pub(crate) struct AccountResult {
    code: String,
    name: String,
    account_type: AccountType,
    parent: Option<String>,
    retired: bool,
    /// The only currency it takes; any if absent.
    #[schema(nullable = false)]
    currency: Option<String>,
    /// Of the balance on its normal side.
    #[schema(nullable = false)]
    minimum: Option<Exact>,
    /// Of the balance on its normal side.
    #[schema(nullable = false)]
    maximum: Option<Exact>,
    /// What the limits hold for; `available` if absent.
    #[schema(nullable = false)]
    limit_on: Option<LimitOn>,
    /// Whether it is revalued; true for assets and liabilities if absent.
    #[schema(nullable = false)]
    monetary: Option<bool>,
    /// What every posting by hand must have.
    #[schema(nullable = false)]
    required_dimensions: Option<Vec<String>>,
}

/// An account set as defined.
#[derive(ToSchema)]
pub(crate) struct AccountSetResult {
    code: String,
    name: String,
    accounts: Vec<String>,
    /// Sets whose accounts are in it.
    sets: Vec<String>,
    retired: bool,
}

/// A dimension as defined.
#[derive(ToSchema)]
pub(crate) struct DimensionResult {
    code: String,
    name: String,
    /// The only values it may have; any if absent.
    #[schema(nullable = false)]
    values: Option<Vec<String>>,
    retired: bool,
}

/// A tax code as defined.
#[derive(ToSchema)]
pub(crate) struct TaxCodeResult {
    code: String,
    name: String,
    /// Per cent.
    rate: Exact,
    direction: TaxDirection,
    /// Where the tax is posted.
    account: String,
    retired: bool,
}

/// A person after the command.
#[derive(ToSchema)]
pub(crate) struct PersonResult {
    id: String,
    /// `recorded` or `erased`.
    status: String,
    /// To the data, 32 bytes in hexadecimal; absent where they are erased.
    #[schema(nullable = false)]
    commitment: Option<String>,
}

/// A posting rule as defined.
#[derive(ToSchema)]
pub(crate) struct RuleResult {
    movement: MovementKind,
    class: String,
    account: String,
}

/// What one event of a transaction means: one of the results of the single commands.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct StepResult(());
