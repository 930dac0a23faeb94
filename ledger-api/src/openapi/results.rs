//! Schemas of `result`, as `command::result` writes it.
#![allow(dead_code, reason = "schemas of the document")]

use ledger_core::domain::catalogue::command::{AccountType, LocationKind, MovementKind, NegativeStock, ValuationMethod};
use ledger_core::domain::time::Timestamp;
use utoipa::ToSchema;

use crate::query::Exact;

/// Goods or value that came (above zero) or went (below zero).
#[derive(ToSchema)]
pub(crate) struct MovedResult {
    sku: String,
    location: String,
    quantity: Exact,
    value: Exact,
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
    value: Exact,
    /// What replacing provisional cost by the real one changed.
    #[schema(nullable = false)]
    settlement: Option<Exact>,
}

/// A reservation after the command.
#[derive(ToSchema)]
pub(crate) struct ReservationResult {
    id: String,
    /// `held`, `released`, `expired` or `committed`.
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
}

/// One side of a journal entry.
#[derive(ToSchema)]
pub(crate) struct PostingResult {
    account: String,
    #[schema(nullable = false)]
    debit: Option<Exact>,
    #[schema(nullable = false)]
    credit: Option<Exact>,
}

/// A journal entry as posted.
#[derive(ToSchema)]
pub(crate) struct EntryResult {
    id: String,
    description: Option<String>,
    postings: Vec<PostingResult>,
}

/// A journal entry's reversal.
#[derive(ToSchema)]
pub(crate) struct ReversalResult {
    /// The entry that is reversed.
    id: String,
    /// Where that entry stands in the log.
    reverses_position: i64,
    postings: Vec<PostingResult>,
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
}

/// A location as defined.
#[derive(ToSchema)]
pub(crate) struct LocationResult {
    code: String,
    name: String,
    kind: LocationKind,
    retired: bool,
}

/// An account as defined.
#[derive(ToSchema)]
pub(crate) struct AccountResult {
    code: String,
    name: String,
    account_type: AccountType,
    parent: Option<String>,
    retired: bool,
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
