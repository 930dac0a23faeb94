//! Reservation commands.

use minicbor::{Decode, Encode};

use crate::domain::allocation::Strategy;
use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{LocationCode, LotCode, ReservationId, Serial, Sku, Text, UnitCode};

/// One line of a reservation.
#[derive(Clone, Debug, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReserveLine {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where, or inside of what; with a strategy that chooses, anywhere if absent.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub location: Option<LocationCode>,
    /// How many, above zero.
    #[n(2)]
    pub quantity: Number,
    /// Unit of `quantity` and of a unit cost; the base unit if absent.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub unit: Option<UnitCode>,
    /// The lot, for an item tracked by lot.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub lot: Option<LotCode>,
}

action! {
    /// Holds every line or none, or with `allow_partial` what there is of each. Demand is summed per item and place before
    /// it is tested. A kit is held as its components.
    pub struct Reserve {
        /// The caller's own id; a UUIDv7 if absent.
        #[n(10)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub id: Option<ReservationId>,
        /// For whom: a cart, an order, a customer. It stays in the log: the id of a person, not a name.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
        /// Seconds until the hold is free again.
        #[n(12)]
        pub ttl_seconds: u32,
        /// What is held.
        #[n(13)]
        #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
        pub lines: Vec<ReserveLine>,
        /// How places are chosen.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub strategy: Option<Strategy>,
        /// With `priority_list`: where to look, first choice first.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 1000))]
        pub locations: Option<Vec<LocationCode>>,
        /// With `nearest`: near to what.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub near: Option<LocationCode>,
        /// Hold what there is of each line; a kit is held whole or not at all.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub allow_partial: Option<bool>,
        /// Of a backorder when stock comes in: the highest first, 0 if absent.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub priority: Option<u8>,
        /// Release what this owner holds already, so that one's own hold is never in one's way.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub replace_own: Option<bool>,
    }
}

action! {
    /// Moves the expiry to `ttl_seconds` from now; never to an earlier instant.
    pub struct ExtendReservation {
        /// The reservation; in `POST /v1/reservations/{id}/extend` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// Seconds from now until the hold is free again.
        #[n(11)]
        pub ttl_seconds: u32,
        /// When given, the hold must be this owner's.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}

action! {
    /// Gives everything back that is held.
    pub struct ReleaseReservation {
        /// The reservation; in `POST /v1/reservations/{id}/release` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// When given, the hold must be this owner's.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}

/// What is shipped of one line.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CommitLine {
    /// The line, from 0.
    #[n(0)]
    pub line: u32,
    /// How many, in base units; all of the line if absent.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub quantity: Option<Number>,
    /// One per unit, for an item tracked by serial.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
    pub serials: Option<Vec<Serial>>,
}

action! {
    /// Ships what is held, whole or in part: issues it, values it and posts its cost.
    pub struct CommitReservation {
        /// The reservation; in `POST /v1/reservations/{id}/commit` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// What is shipped; everything if absent.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 1000))]
        pub lines: Option<Vec<CommitLine>>,
        /// When given, the hold must be this owner's.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}

action! {
    /// Records that a hold has lapsed. Sent by the sweeper; the stock was free at the instant itself.
    pub struct ExpireReservation {
        /// The reservation.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
    }
}

/// A line's new quantity.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineQuantity {
    /// The line, from 0.
    #[n(0)]
    pub line: u32,
    /// How many are held from now on, in base units.
    #[n(1)]
    pub quantity: Number,
}

action! {
    /// Holds fewer or more of some lines. A line that grows needs only the difference.
    pub struct ChangeReservation {
        /// The reservation; in `POST /v1/reservations/{id}/change` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// New quantities; 0 gives a line up.
        #[n(11)]
        #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
        pub lines: Vec<LineQuantity>,
        /// When given, the hold must be this owner's.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}

action! {
    /// Holds fewer of some lines.
    pub struct ReduceReservation {
        /// The reservation; in `POST /v1/reservations/{id}/reduce` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// New quantities; 0 gives a line up.
        #[n(11)]
        #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
        pub lines: Vec<LineQuantity>,
        /// When given, the hold must be this owner's.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}

action! {
    /// Holds a line at another location or of another lot.
    pub struct MoveReservation {
        /// The reservation; in `POST /v1/reservations/{id}/move` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// The line, from 0.
        #[n(11)]
        pub line: u32,
        /// Where it is held from now on.
        #[n(12)]
        pub to: LocationCode,
        /// The lot, for an item tracked by lot.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// When given, the hold must be this owner's.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}

action! {
    /// Makes a hold firm: allocated to an order, without expiry.
    pub struct ConfirmReservation {
        /// The reservation; in `POST /v1/reservations/{id}/confirm` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
        /// When given, the hold must be this owner's.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub owner: Option<Text>,
    }
}
