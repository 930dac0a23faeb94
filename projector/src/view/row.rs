//! The rows of the views, as values.

use ledger_core::domain::catalogue::event::{AccountDefinition, ItemDefinition, LocationDefinition};
use ledger_core::domain::id::{Position, StreamVersion, Text};
use ledger_core::domain::reservation::event::HeldLine;
use ledger_core::domain::time::Timestamp;

/// A row of `view_item`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// Newest event of its stream.
    pub position: Position,
    /// As defined.
    pub definition: ItemDefinition,
}

/// A row of `view_location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// Newest event of its stream.
    pub position: Position,
    /// As defined.
    pub definition: LocationDefinition,
}

/// A row of `view_account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// Newest event that concerned its definition.
    pub position: Position,
    /// As defined.
    pub definition: AccountDefinition,
    /// Takes postings from stock facts only.
    pub holds_inventory: bool,
}

/// A row of `view_stock_level`, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Newest event that touched it.
    pub position: Position,
    /// Physically present.
    pub on_hand: i64,
    /// In open reservations, lapsed ones included.
    pub reserved: i64,
    /// Value of what is on hand.
    pub value: i64,
    /// Decimals of quantities.
    pub scale: u8,
    /// Decimals of values.
    pub money: u8,
}

/// A row of `view_account_balance`, in units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Newest event that posted to it.
    pub position: Position,
    /// Decimals of the amounts.
    pub money: u8,
    /// Σ debits.
    pub debits: i128,
    /// Σ credits.
    pub credits: i128,
}

/// Where a reservation stands in its view. A lapsed one is still held here until it is recorded as expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Holds stock.
    Held,
    /// Given back.
    Released,
    /// Recorded as expired.
    Expired,
    /// Shipped.
    Committed,
}

impl Status {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Committed => "committed",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Held, Self::Released, Self::Expired, Self::Committed].into_iter().find(|s| s.as_str() == word)
    }
}

/// A row of `view_reservation`, and the rows of `view_hold` while it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// Newest event of its stream.
    pub position: Position,
    /// Where it stands.
    pub status: Status,
    /// For whom.
    pub owner: Option<Text>,
    /// Free at this instant.
    pub expires_at: Timestamp,
    /// When it was recorded.
    pub opened_at: Timestamp,
    /// What is, or was, held.
    pub lines: Vec<HeldLine>,
}
