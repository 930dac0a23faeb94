//! Stock facts: quantity, value, layers and postings of one movement together.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use crate::domain::amount::Number;
use crate::domain::event::Posting;
use crate::domain::id::{LocationCode, Sku};

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

/// Postings as JSON shows them: `{"account", "debit"}` or `{"account", "credit"}`.
pub(crate) struct ShownPostings<'a>(pub(crate) &'a [Posting], pub(crate) u8);

impl serde::Serialize for ShownPostings<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Shown<'a> {
            account: &'a crate::domain::id::AccountCode,
            #[serde(skip_serializing_if = "Option::is_none")]
            debit: Option<Number>,
            #[serde(skip_serializing_if = "Option::is_none")]
            credit: Option<Number>,
        }
        serializer.collect_seq(self.0.iter().map(|p| {
            let amount = Number::from_units(p.amount.saturating_abs(), self.1);
            let (debit, credit) = if p.amount >= 0 { (Some(amount), None) } else { (None, Some(amount)) };
            Shown { account: &p.account, debit, credit }
        }))
    }
}

/// Goods and their value carried from one location to another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
pub struct StockTransferred {
    /// What left.
    #[n(0)]
    pub outgoing: Movement,
    /// What arrived: the same quantity and value.
    #[n(1)]
    pub incoming: Movement,
}
