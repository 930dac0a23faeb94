//! Stock facts: quantity, value, layers and postings of one movement together.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use crate::domain::amount::Number;
use crate::domain::event::{Posting, ShownPostings};
use crate::domain::id::{ExpectationId, LocationCode, LotCode, Position, Serial, Sku};
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

/// What happened to one cost layer. A layer that is not there yet begins with this change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LayerChange {
    /// The layer's number within its item: receipts in order.
    #[n(0)]
    pub layer: i64,
    /// Signed units of the item.
    #[n(1)]
    pub quantity: i64,
    /// Signed units of the currency.
    #[n(2)]
    pub value: i64,
}

/// Change of what was issued below zero at a provisional cost and still waits for the real one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Provisional {
    /// Signed units of the item.
    #[n(0)]
    pub quantity: i64,
    /// Signed units of the currency.
    #[n(1)]
    pub value: i64,
}

/// Goods or value coming to (+) or leaving (−) one item at one location, and where that posts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Movement {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where.
    #[n(1)]
    pub location: LocationCode,
    /// Decimals of `quantity`, so that the event can be read alone.
    #[n(2)]
    pub scale: u8,
    /// Decimals of `value` and of the postings.
    #[n(3)]
    pub money: u8,
    /// Signed units of the item.
    #[n(4)]
    pub quantity: i64,
    /// Signed units of the currency.
    #[n(5)]
    pub value: i64,
    /// Balanced; empty when no value moves between accounts.
    #[n(6)]
    pub postings: Vec<Posting>,
    /// FIFO only.
    #[n(7)]
    pub layers: Vec<LayerChange>,
    /// Only below zero.
    #[n(8)]
    pub provisional: Option<Provisional>,
    /// What else is known of the goods; most movements have none.
    #[n(9)]
    pub detail: Option<Box<Detail>>,
}

/// What is known of some goods beyond item, place, quantity and value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Detail {
    /// Absent: sellable.
    #[n(0)]
    pub status: Option<StockStatus>,
    /// The lot they belong to.
    #[n(1)]
    pub lot: Option<LotCode>,
    /// When that lot expires.
    #[n(2)]
    pub lot_expires_at: Option<Timestamp>,
    /// One per unit; with specific cost in the order of the layers.
    #[n(3)]
    pub serials: Option<Vec<Serial>>,
    /// The earlier movement this one undoes in part, or makes dearer.
    #[n(4)]
    pub of: Option<Origin>,
    /// The expected receipt it is part of.
    #[n(5)]
    pub expectation: Option<ExpectationId>,
    /// True when the goods stay inside their cost pool: places change, the pool does not.
    #[n(6)]
    pub inside_pool: Option<bool>,
}

/// One movement of an earlier event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Origin {
    /// The event's position.
    #[n(0)]
    #[cfg_attr(feature = "openapi", schema(value_type = i64))]
    pub position: Position,
    /// The movement's place in it, from 0.
    #[n(1)]
    pub line: u32,
}

impl Movement {
    /// What may be done with the goods.
    #[must_use]
    pub fn status(&self) -> StockStatus {
        self.detail.as_ref().and_then(|d| d.status).unwrap_or_default()
    }

    /// The lot of the goods.
    #[must_use]
    pub fn lot(&self) -> Option<&LotCode> {
        self.detail.as_ref().and_then(|d| d.lot.as_ref())
    }

    /// The serials of the goods.
    #[must_use]
    pub fn serials(&self) -> &[Serial] {
        self.detail.as_ref().and_then(|d| d.serials.as_deref()).unwrap_or(&[])
    }

    /// Whether the goods stay inside their cost pool.
    #[must_use]
    pub fn is_inside_pool(&self) -> bool {
        self.detail.as_ref().and_then(|d| d.inside_pool).unwrap_or(false)
    }

    /// The movement it refers to.
    #[must_use]
    pub fn of(&self) -> Option<Origin> {
        self.detail.as_ref().and_then(|d| d.of)
    }
}

impl serde::Serialize for Movement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("Movement", 7)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("location", &self.location)?;
        s.serialize_field("quantity", &Number::from_units(self.quantity, self.scale))?;
        s.serialize_field("value", &Number::from_units(self.value, self.money))?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        if self.layers.is_empty() {
            s.skip_field("layers")?;
        } else {
            let shown: Vec<ShownLayer> = self.layers.iter().map(|l| ShownLayer::new(l, self)).collect();
            s.serialize_field("layers", &shown)?;
        }
        match &self.provisional {
            Some(p) => {
                let shown = ShownLayer {
                    layer: None,
                    quantity: Number::from_units(p.quantity, self.scale),
                    value: Number::from_units(p.value, self.money),
                };
                s.serialize_field("provisional", &shown)?;
            }
            None => s.skip_field("provisional")?,
        }
        if let Some(d) = &self.detail {
            if let Some(status) = &d.status {
                s.serialize_field("status", status)?;
            }
            if let Some(lot) = &d.lot {
                s.serialize_field("lot", lot)?;
            }
            if let Some(at) = &d.lot_expires_at {
                s.serialize_field("lot_expires_at", at)?;
            }
            if let Some(serials) = &d.serials {
                s.serialize_field("serials", serials)?;
            }
            if let Some(of) = &d.of {
                s.serialize_field("of", of)?;
            }
            if let Some(expectation) = &d.expectation {
                s.serialize_field("expectation", expectation)?;
            }
        }
        s.end()
    }
}

#[derive(serde::Serialize)]
struct ShownLayer {
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<i64>,
    quantity: Number,
    value: Number,
}

impl ShownLayer {
    fn new(change: &LayerChange, of: &Movement) -> Self {
        Self {
            layer: Some(change.layer),
            quantity: Number::from_units(change.quantity, of.scale),
            value: Number::from_units(change.value, of.money),
        }
    }
}

/// Goods and their value carried from one location to another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StockTransferred {
    /// What left.
    #[n(0)]
    pub outgoing: Movement,
    /// What arrived: the same quantity and value.
    #[n(1)]
    pub incoming: Movement,
}

/// Several movements of one fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StockMoved {
    /// The item the fact is about.
    #[n(0)]
    pub sku: Sku,
    /// In the order they are applied.
    #[n(1)]
    pub movements: Vec<Movement>,
}

/// A receipt turned out dearer or cheaper.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StockCostAdded {
    /// The receipt.
    #[n(0)]
    pub receipt: Origin,
    /// Value only: what of it is still on hand. The first one also posts what was sold already.
    #[n(1)]
    pub movements: Vec<Movement>,
}

/// A new standard cost, and what it does to the stock on hand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StandardCostChanged {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Cost of one base unit.
    #[n(1)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::domain::shown::Decimal))]
    pub standard_cost: Number,
    /// One per cost pool whose value changes.
    #[n(2)]
    pub movements: Vec<Movement>,
}

/// Goods are expected.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StockExpected {
    /// The expected receipt.
    #[n(0)]
    pub id: ExpectationId,
    /// The item.
    #[n(1)]
    pub sku: Sku,
    /// Where to.
    #[n(2)]
    pub location: LocationCode,
    /// Decimals of `quantity`.
    #[n(3)]
    pub scale: u8,
    /// Units of the item.
    #[n(4)]
    pub quantity: i64,
    /// When.
    #[n(5)]
    pub due_at: Timestamp,
}

impl serde::Serialize for StockExpected {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("StockExpected", 5)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("location", &self.location)?;
        s.serialize_field("quantity", &Number::from_units(self.quantity, self.scale))?;
        s.serialize_field("due_at", &self.due_at)?;
        s.end()
    }
}

/// What is still expected will not come.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExpectationCancelled {
    /// The expected receipt.
    #[n(0)]
    pub id: ExpectationId,
}
