//! Reservation facts.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use crate::domain::allocation::Choice;
use crate::domain::amount::Number;
use crate::domain::id::{LocationCode, LotCode, ReservationId, Sku, Text};
use crate::domain::rejection::Shortage;
use crate::domain::stock::event::Movement;
use crate::domain::time::Timestamp;

/// One held line. Its number is its place in the list and never changes: a line given up stays with quantity 0.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeldLine {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where.
    #[n(1)]
    pub location: LocationCode,
    /// Decimals of `quantity`.
    #[n(2)]
    pub scale: u8,
    /// Units of the item.
    #[n(3)]
    pub quantity: i64,
    /// Units of these that wait for stock to come in: a backorder.
    #[n(4)]
    pub waiting: Option<i64>,
    /// The lot, for an item tracked by lot; none while it waits.
    #[n(5)]
    pub lot: Option<LotCode>,
    /// The kit this is a component of.
    #[n(6)]
    pub kit: Option<Sku>,
}

impl HeldLine {
    /// Units that wait for stock.
    #[must_use]
    pub fn waiting(&self) -> i64 {
        self.waiting.unwrap_or(0)
    }
}

impl serde::Serialize for HeldLine {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("HeldLine", 3)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("location", &self.location)?;
        s.serialize_field("quantity", &Number::from_units(self.quantity, self.scale))?;
        if let Some(waiting) = self.waiting {
            s.serialize_field("waiting", &Number::from_units(waiting, self.scale))?;
        }
        if let Some(lot) = &self.lot {
            s.serialize_field("lot", lot)?;
        }
        if let Some(kit) = &self.kit {
            s.serialize_field("kit", kit)?;
        }
        s.end()
    }
}

impl<'de> serde::Deserialize<'de> for HeldLine {
    /// The inverse of its serialization: a quantity shows all of its decimals.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Shown {
            sku: Sku,
            location: LocationCode,
            quantity: Number,
            #[serde(default)]
            waiting: Option<Number>,
            #[serde(default)]
            lot: Option<LotCode>,
            #[serde(default)]
            kit: Option<Sku>,
        }
        let Shown { sku, location, quantity, waiting, lot, kit } = Shown::deserialize(deserializer)?;
        let out_of_range = || serde::de::Error::custom("quantity out of range");
        let scale = u8::try_from(quantity.decimal().scale()).map_err(|_| out_of_range())?;
        let units = |n: Number| n.units_at(scale).ok_or_else(out_of_range);
        Ok(Self { sku, location, scale, quantity: units(quantity)?, waiting: waiting.map(units).transpose()?, lot, kit })
    }
}

/// Stock is held until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReservationOpened {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// For whom.
    #[n(1)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub owner: Option<Text>,
    /// Free at this instant.
    #[n(2)]
    pub expires_at: Timestamp,
    /// What is held.
    #[n(3)]
    pub lines: Vec<HeldLine>,
    /// Of what waits, when stock comes in: the highest first. Absent: 0.
    #[n(4)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub priority: Option<u8>,
    /// How the places were chosen, where the caller named none.
    #[n(5)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub choice: Option<Box<Choice>>,
    /// With `allow_partial`: what could not be held.
    #[n(6)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub shortages: Option<Vec<Shortage>>,
}

/// Held for longer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReservationExtended {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// Free at this instant.
    #[n(1)]
    pub expires_at: Timestamp,
}

/// Given back, or lapsed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReservationClosed {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// What was held until then.
    #[n(1)]
    pub lines: Vec<HeldLine>,
}

/// Other quantities, places or lots are held from now on; or stock came in for what waited.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReservationLines {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// All of its lines.
    #[n(1)]
    pub lines: Vec<HeldLine>,
}

/// Allocated to an order: without expiry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReservationConfirmed {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
}

/// Shipped, whole or in part: issued, valued and posted in this one fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReservationCommitted {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// In the lines' order.
    #[n(1)]
    pub movements: Vec<Movement>,
    /// What is still held, when only a part was shipped.
    #[n(2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub remaining: Option<Vec<HeldLine>>,
}
