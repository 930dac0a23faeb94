//! Facts of a stock count.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use crate::domain::amount::Number;
use crate::domain::id::{CountId, LocationCode, LotCode, Sku};
use crate::domain::stock::event::Movement;
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

/// A count began.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountOpened {
    /// The count.
    #[n(0)]
    pub id: CountId,
    /// Where, with everything inside it.
    #[n(1)]
    pub location: LocationCode,
}

/// What was found of one item, beside what was expected at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CountedLine {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where.
    #[n(1)]
    pub location: LocationCode,
    /// The lot.
    #[n(2)]
    pub lot: Option<LotCode>,
    /// What may be done with them.
    #[n(3)]
    pub status: StockStatus,
    /// Decimals of the quantities.
    #[n(4)]
    pub scale: u8,
    /// Units found.
    #[n(5)]
    pub counted: i64,
    /// Units on hand at the moment counted.
    #[n(6)]
    pub expected: i64,
}

impl serde::Serialize for CountedLine {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = |units| Number::from_units(units, self.scale);
        let mut s = serializer.serialize_struct("CountedLine", 7)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("location", &self.location)?;
        if let Some(lot) = &self.lot {
            s.serialize_field("lot", lot)?;
        }
        s.serialize_field("status", &self.status)?;
        s.serialize_field("counted", &shown(self.counted))?;
        s.serialize_field("expected", &shown(self.expected))?;
        s.serialize_field("difference", &shown(self.counted.saturating_sub(self.expected)))?;
        s.end()
    }
}

/// Some lines were counted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountRecorded {
    /// The count.
    #[n(0)]
    pub id: CountId,
    /// The moment counted.
    #[n(1)]
    pub counted_at: Timestamp,
    /// What was found.
    #[n(2)]
    pub lines: Vec<CountedLine>,
}

/// The differences were adjusted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountPosted {
    /// The count.
    #[n(0)]
    pub id: CountId,
    /// One per line that differed.
    #[n(1)]
    pub movements: Vec<Movement>,
}

/// The count ended without consequence.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountCancelled {
    /// The count.
    #[n(0)]
    pub id: CountId,
}
