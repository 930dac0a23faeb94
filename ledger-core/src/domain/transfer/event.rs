//! Facts of a transfer in two steps.

use minicbor::{Decode, Encode};

use crate::domain::id::{LocationCode, TransferId};
use crate::domain::stock::event::Movement;
use crate::domain::time::Timestamp;

/// Goods are under way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferDispatched {
    /// The transfer.
    #[n(0)]
    pub id: TransferId,
    /// Where from.
    #[n(1)]
    pub from: LocationCode,
    /// Where to.
    #[n(2)]
    pub to: LocationCode,
    /// The location of kind transit they are at meanwhile.
    #[n(3)]
    pub via: LocationCode,
    /// When they should arrive.
    #[n(4)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub due_at: Option<Timestamp>,
    /// Two per line: out of `from`, into `via`.
    #[n(5)]
    pub movements: Vec<Movement>,
}

/// What a receipt did to one line; quantities in units of the item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Arrival {
    /// The line, from 0.
    #[n(0)]
    pub line: u32,
    /// Of what was sent: arrived in good order.
    #[n(1)]
    pub good: i64,
    /// Of what was sent: arrived damaged.
    #[n(2)]
    pub damaged: i64,
    /// Never arrived, and will not.
    #[n(3)]
    pub short: i64,
    /// More than was sent.
    #[n(4)]
    pub over: i64,
}

/// Goods arrived, whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferReceived {
    /// The transfer.
    #[n(0)]
    pub id: TransferId,
    /// Per line.
    #[n(1)]
    pub arrivals: Vec<Arrival>,
    /// Out of transit and in; what was lost out only, what was too much in only.
    #[n(2)]
    pub movements: Vec<Movement>,
    /// Nothing more is under way.
    #[n(3)]
    pub is_final: bool,
}

/// What was under way went back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransferCancelled {
    /// The transfer.
    #[n(0)]
    pub id: TransferId,
    /// Two per line: out of transit, into where it came from.
    #[n(1)]
    pub movements: Vec<Movement>,
}
