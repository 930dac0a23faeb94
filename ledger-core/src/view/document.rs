//! Transfers, counts and expected receipts as reads answer them. Quantities are decimals at their item's scale.

use serde::{Deserialize, Serialize};

use crate::domain::amount::Number;
use crate::domain::id::{LocationCode, LotCode, Sku};
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An expected receipt.
    Expectation,
    /// A transfer in two steps.
    Transfer,
    /// A stock count.
    Count,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Expectation, Self::Transfer, Self::Count];

    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expectation => "expectation",
            Self::Transfer => "transfer",
            Self::Count => "count",
        }
    }
}

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentStatus {
    /// Something is still to come.
    Open,
    /// Done.
    Closed,
    /// Ended without being done.
    Cancelled,
}

impl DocumentStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Cancelled];

    /// The word in the table and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An expected receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExpectationView {
    /// The item.
    pub sku: Sku,
    /// Where to.
    pub location: LocationCode,
    /// How many were expected.
    pub quantity: Number,
    /// How many are still to come.
    pub outstanding: Number,
    /// When.
    pub due_at: Timestamp,
}

/// A transfer in two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferView {
    /// Where from.
    pub from: LocationCode,
    /// Where to.
    pub to: LocationCode,
    /// Where the goods are meanwhile.
    pub via: LocationCode,
    /// When they should arrive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub due_at: Option<Timestamp>,
    /// A line's number is its place.
    pub lines: Vec<TransferLineView>,
}

/// One line of a transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferLineView {
    /// The item.
    pub sku: Sku,
    /// The lot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub lot: Option<LotCode>,
    /// How many left.
    pub sent: Number,
    /// Arrived in good order.
    pub received: Number,
    /// Arrived damaged.
    pub damaged: Number,
    /// Never arrived.
    pub short: Number,
    /// More than was sent.
    pub over: Number,
    /// Neither arrived nor given up.
    pub under_way: Number,
}

/// A stock count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountView {
    /// Where, with everything inside it.
    pub location: LocationCode,
    /// What was counted; a line counted again stands once.
    pub lines: Vec<CountLineView>,
}

/// One line of a count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountLineView {
    /// The item.
    pub sku: Sku,
    /// Where.
    pub location: LocationCode,
    /// The lot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub lot: Option<LotCode>,
    /// What may be done with them.
    pub status: StockStatus,
    /// How many were found.
    pub counted: Number,
    /// How many there were at that moment by the book.
    pub expected: Number,
    /// Found less expected.
    pub difference: Number,
    /// The moment counted.
    pub counted_at: Timestamp,
}

/// What a document says.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// An expected receipt.
    Expectation(ExpectationView),
    /// A transfer.
    Transfer(TransferView),
    /// A count.
    Count(CountView),
}
