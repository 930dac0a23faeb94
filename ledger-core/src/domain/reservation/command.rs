//! Reservation commands.

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{LocationCode, ReservationId, Sku, Text};

/// One line of a reservation.
#[derive(Clone, Debug, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReserveLine {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where.
    #[n(1)]
    pub location: LocationCode,
    /// How many, above zero.
    #[n(2)]
    pub quantity: Number,
}

action! {
    /// Holds every line or none. Demand is summed per item and location before it is tested.
    pub struct Reserve {
        /// The caller's own id; a UUIDv7 if absent.
        #[n(10)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub id: Option<ReservationId>,
        /// For whom: a cart, an order, a customer.
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
    }
}

action! {
    /// Gives everything held back.
    pub struct ReleaseReservation {
        /// The reservation; in `POST /v1/reservations/{id}/release` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
    }
}

action! {
    /// Ships what is held: issues every line, values it and posts its cost.
    pub struct CommitReservation {
        /// The reservation; in `POST /v1/reservations/{id}/commit` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ReservationId,
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
