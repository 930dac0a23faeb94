//! Period facts.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use super::Month;
use crate::domain::amount::Number;
use crate::domain::event::{Posting, ShownPostings};
use crate::domain::id::Position;

/// When fiscal years begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CalendarDefined {
    /// 1 to 12.
    #[n(0)]
    pub year_starts_month: u8,
}

/// 32 bytes of SHA-256; JSON shows them in hexadecimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a closed period rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Seal {
    /// The log's last event before it was closed.
    #[n(0)]
    #[cfg_attr(feature = "openapi", schema(value_type = i64))]
    pub position: Position,
    /// Root of the log's tree (RFC 6962) over the events 1 to `position`: every entry the period has. Absent where a
    /// transaction had changed the log's end before.
    #[n(1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub log_root: Option<Digest>,
    /// Root of a tree over every account's balance at the period's end ([`super::seal`]).
    #[n(2)]
    pub balances_root: Digest,
}

/// A period takes no more postings, or only adjusting ones.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeriodClosed {
    /// The newest one that is closed.
    #[n(0)]
    pub period: Month,
    /// Adjusting entries are still taken.
    #[n(1)]
    pub soft: bool,
    /// Of a close that is not soft.
    #[n(2)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub seal: Option<Seal>,
}

/// A period takes postings again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeriodReopened {
    /// It, and every later one.
    #[n(0)]
    pub period: Month,
}

/// Revenue and expense of a fiscal year carried to retained earnings.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct YearClosed {
    /// The calendar year in which it began.
    #[n(0)]
    pub year: i32,
    /// Decimals of the amounts.
    #[n(1)]
    pub money: u8,
    /// Σ = 0.
    #[n(2)]
    pub postings: Vec<Posting>,
    /// What was carried: a profit above zero, a loss below.
    #[n(3)]
    pub result: i64,
}

impl serde::Serialize for YearClosed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("YearClosed", 3)?;
        s.serialize_field("year", &self.year)?;
        s.serialize_field("result", &Number::from_units(self.result, self.money))?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        s.end()
    }
}
