//! Reservation facts.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use crate::domain::amount::Number;
use crate::domain::id::{LocationCode, ReservationId, Sku, Text};
use crate::domain::stock::event::Movement;
use crate::domain::time::Timestamp;

/// One held line.
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
    /// Units of the item, above zero.
    #[n(3)]
    pub quantity: i64,
}

impl serde::Serialize for HeldLine {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("HeldLine", 3)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("location", &self.location)?;
        s.serialize_field("quantity", &Number::from_units(self.quantity, self.scale))?;
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
        }
        let Shown { sku, location, quantity } = Shown::deserialize(deserializer)?;
        let out_of_range = || serde::de::Error::custom("quantity out of range");
        let scale = u8::try_from(quantity.decimal().scale()).map_err(|_| out_of_range())?;
        Ok(Self { sku, location, scale, quantity: quantity.units_at(scale).ok_or_else(out_of_range)? })
    }
}

/// Stock is held until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct ReservationOpened {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// For whom.
    #[n(1)]
    pub owner: Option<Text>,
    /// Free at this instant.
    #[n(2)]
    pub expires_at: Timestamp,
    /// What is held.
    #[n(3)]
    pub lines: Vec<HeldLine>,
}

/// Held for longer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
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
pub struct ReservationClosed {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// What was held until then.
    #[n(1)]
    pub lines: Vec<HeldLine>,
}

/// Shipped: every line issued, valued and posted in this one fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct ReservationCommitted {
    /// The reservation.
    #[n(0)]
    pub id: ReservationId,
    /// One per line, in the lines' order.
    #[n(1)]
    pub movements: Vec<Movement>,
}
