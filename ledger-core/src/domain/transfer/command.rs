//! Transfers in two steps: dispatched, under way, received.

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{LocationCode, LotCode, Serial, Sku, TransferId, UnitCode};
use crate::domain::time::Timestamp;

/// One line of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DispatchLine {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// How many, above zero.
    #[n(1)]
    pub quantity: Number,
    /// Unit of `quantity` and of a unit cost; the base unit if absent.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub unit: Option<UnitCode>,
    /// The lot, for an item tracked by lot.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub lot: Option<LotCode>,
    /// One per unit, for an item tracked by serial.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
    pub serials: Option<Vec<Serial>>,
}

action! {
    /// Goods leave one location for another and are under way until they are received; their value goes with them.
    pub struct DispatchTransfer {
        /// The transfer; in `POST /v1/stock/transfers/{id}/dispatch` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: TransferId,
        /// Where from.
        #[n(11)]
        pub from: LocationCode,
        /// Where to.
        #[n(12)]
        pub to: LocationCode,
        /// The location of kind transit; may be left out where there is one.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub via: Option<LocationCode>,
        /// When they should arrive.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub due_at: Option<Timestamp>,
        /// What is sent.
        #[n(15)]
        #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
        pub lines: Vec<DispatchLine>,
    }
}

/// What arrived of one line.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReceiveLine {
    /// The line, from 0.
    #[n(0)]
    pub line: u32,
    /// How many arrived in good order, in base units; more than were sent are found stock.
    #[n(1)]
    pub quantity: Number,
    /// How many arrived damaged.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub damaged: Option<Number>,
    /// One per unit, for an item tracked by serial.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
    pub serials: Option<Vec<Serial>>,
    /// Of those that arrived damaged.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
    pub damaged_serials: Option<Vec<Serial>>,
}

action! {
    /// Goods arrive. Without lines, all that is under way, in good order.
    pub struct ReceiveTransfer {
        /// The transfer; in `POST /v1/stock/transfers/{id}/receive` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: TransferId,
        /// What arrived.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 1000))]
        pub lines: Option<Vec<ReceiveLine>>,
        /// True when nothing more will come: what is missing is lost, and posted as an adjustment.
        #[n(12)]
        #[serde(default)]
        pub is_final: bool,
    }
}

action! {
    /// What is under way goes back to where it came from.
    pub struct CancelTransfer {
        /// The transfer; in `POST /v1/stock/transfers/{id}/cancel` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: TransferId,
    }
}
