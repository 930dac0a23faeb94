//! The rows of the views, as values.

use ledger_core::domain::catalogue::event::{AccountDefinition, ItemDefinition, LocationDefinition};
use ledger_core::domain::id::{LocationCode, Position, StreamVersion, Text};
use ledger_core::domain::reservation::event::HeldLine;
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;

use super::lane::Lane;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Newest event that touched it.
    pub position: Position,
    /// Physically present.
    pub on_hand: i64,
    /// Of these, not sellable.
    pub unsellable: i64,
    /// In held reservations, lapsed ones included.
    pub reserved: i64,
    /// In confirmed reservations.
    pub allocated: i64,
    /// Of reserved and allocated: waits for stock.
    pub waiting: i64,
    /// Expected from suppliers.
    pub incoming: i64,
    /// Not promised.
    pub safety: i64,
    /// Posted for this place.
    pub value: i64,
    /// Decimals of quantities.
    pub scale: u8,
    /// Decimals of values.
    pub money: u8,
    /// Topmost location of its cost pool; empty for the tenant's one pool.
    pub pool: String,
    /// Running totals by effective time.
    pub lanes: Vec<Lane<2>>,
}

/// A row of `view_lot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The event it first came in with.
    pub position: Position,
}

/// A row of `view_serial`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial {
    /// Where the unit is.
    pub location: LocationCode,
    /// What may be done with it.
    pub status: StockStatus,
}

/// Where a reservation stands in its view. A lapsed one is still held here until it is recorded as expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Holds stock.
    Held,
    /// Holds stock for an order, without expiry.
    Allocated,
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
            Self::Allocated => "allocated",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Committed => "committed",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Held, Self::Allocated, Self::Released, Self::Expired, Self::Committed].into_iter().find(|s| s.as_str() == word)
    }

    /// Whether it holds stock.
    #[must_use]
    pub const fn holds(self) -> bool {
        match self {
            Self::Held | Self::Allocated => true,
            Self::Released | Self::Expired | Self::Committed => false,
        }
    }
}

impl Reservation {
    /// The instant its holds lapse: a confirmed one never does.
    #[must_use]
    pub const fn lapses_at(&self) -> Timestamp {
        match self.status {
            Status::Allocated => Timestamp(i64::MAX),
            Status::Held | Status::Released | Status::Expired | Status::Committed => self.expires_at,
        }
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
    /// Of what waits.
    pub priority: u8,
    /// What is, or was, held.
    pub lines: Vec<HeldLine>,
}
