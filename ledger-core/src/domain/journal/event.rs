//! Journal facts.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use super::command::ExchangeRate;
use crate::domain::amount::Number;
use crate::domain::event::{Posting, ShownPostings};
use crate::domain::id::{EntryId, Position, SeriesCode, Text};
use crate::domain::period::Month;
use crate::domain::time::Timestamp;

/// A number that no other document of the series has in the fiscal year; they have no gaps.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentNumber {
    /// The series.
    #[n(0)]
    pub series: SeriesCode,
    /// The calendar year in which the fiscal year begins.
    #[n(1)]
    pub year: i32,
    /// From 1.
    #[n(2)]
    pub number: u64,
}

/// A balanced entry, posted by hand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalEntryPosted {
    /// The entry.
    #[n(0)]
    pub id: EntryId,
    /// What for.
    #[n(1)]
    pub description: Option<Text>,
    /// Decimals of the amounts.
    #[n(2)]
    pub money: u8,
    /// Σ = 0.
    #[n(3)]
    pub postings: Vec<Posting>,
    /// Rates of the foreign currencies in it.
    #[n(4)]
    pub rates: Option<Vec<ExchangeRate>>,
    /// Its place in a series.
    #[n(5)]
    pub number: Option<DocumentNumber>,
    /// Gained (above zero) or lost by exchange; a posting of it is among these.
    #[n(6)]
    pub exchange_difference: Option<i64>,
}

impl serde::Serialize for JournalEntryPosted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntryPosted", 5)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("description", &self.description)?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        if let Some(rates) = &self.rates {
            s.serialize_field("rates", rates)?;
        }
        serialize_tail(&mut s, self.number.as_ref(), self.exchange_difference, self.money)?;
        s.end()
    }
}

/// What every event that posts an entry ends with: its number and what the exchange gained, where there are any.
fn serialize_tail<S: SerializeStruct>(
    s: &mut S,
    number: Option<&DocumentNumber>,
    difference: Option<i64>,
    money: u8,
) -> Result<(), S::Error> {
    if let Some(number) = number {
        s.serialize_field("number", number)?;
    }
    match difference {
        Some(units) => s.serialize_field("exchange_difference", &Number::from_units(units, money)),
        None => Ok(()),
    }
}

/// A balanced entry that moves pending balances only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalEntryHeld {
    /// The entry.
    #[n(0)]
    pub id: EntryId,
    /// What for.
    #[n(1)]
    pub description: Option<Text>,
    /// Decimals of the amounts.
    #[n(2)]
    pub money: u8,
    /// Σ = 0.
    #[n(3)]
    pub postings: Vec<Posting>,
    /// Void from this instant on.
    #[n(4)]
    pub expires_at: Option<Timestamp>,
    /// Rates of the foreign currencies in it.
    #[n(5)]
    pub rates: Option<Vec<ExchangeRate>>,
}

impl serde::Serialize for JournalEntryHeld {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntryHeld", 5)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("description", &self.description)?;
        s.serialize_field("pending", &ShownPostings(&self.postings, self.money))?;
        if let Some(at) = &self.expires_at {
            s.serialize_field("expires_at", at)?;
        }
        if let Some(rates) = &self.rates {
            s.serialize_field("rates", rates)?;
        }
        s.end()
    }
}

/// A pending entry posted, whole or in part.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalEntrySettled {
    /// The entry.
    #[n(0)]
    pub id: EntryId,
    /// Decimals of the amounts.
    #[n(1)]
    pub money: u8,
    /// What is posted. Σ = 0.
    #[n(2)]
    pub postings: Vec<Posting>,
    /// What is no longer pending: at least what is posted.
    #[n(3)]
    pub freed: Vec<Posting>,
    /// Something is still pending.
    #[n(4)]
    pub is_open: bool,
    /// Its place in a series.
    #[n(5)]
    pub number: Option<DocumentNumber>,
    /// Gained (above zero) or lost by exchange; a posting of it is among these.
    #[n(6)]
    pub exchange_difference: Option<i64>,
}

impl serde::Serialize for JournalEntrySettled {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntrySettled", 5)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        s.serialize_field("freed", &ShownPostings(&self.freed, self.money))?;
        s.serialize_field("is_open", &self.is_open)?;
        serialize_tail(&mut s, self.number.as_ref(), self.exchange_difference, self.money)?;
        s.end()
    }
}

/// A pending entry set free, by a caller or by its instant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalEntryFreed {
    /// The entry.
    #[n(0)]
    pub id: EntryId,
    /// Decimals of the amounts.
    #[n(1)]
    pub money: u8,
    /// What is no longer pending.
    #[n(2)]
    pub freed: Vec<Posting>,
}

impl serde::Serialize for JournalEntryFreed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntryFreed", 2)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("freed", &ShownPostings(&self.freed, self.money))?;
        s.end()
    }
}

/// The exact opposite of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct JournalEntryReversed {
    /// The entry that is reversed.
    #[n(0)]
    pub id: EntryId,
    /// Where that entry stands in the log.
    #[n(1)]
    pub reverses: Position,
    /// Decimals of the amounts.
    #[n(2)]
    pub money: u8,
    /// Each posting of the entry with the other sign.
    #[n(3)]
    pub postings: Vec<Posting>,
    /// Its place in a series.
    #[n(4)]
    pub number: Option<DocumentNumber>,
    /// Gained (above zero) or lost by exchange; a posting of it is among these.
    #[n(5)]
    pub exchange_difference: Option<i64>,
}

impl serde::Serialize for JournalEntryReversed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntryReversed", 4)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("reverses_position", &self.reverses)?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        serialize_tail(&mut s, self.number.as_ref(), self.exchange_difference, self.money)?;
        s.end()
    }
}

/// Balances in one currency restated to its rate at a period's end; an entry like any other, which can be reversed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CurrencyRevalued {
    /// The entry.
    #[n(0)]
    pub id: EntryId,
    /// The currency and its rate.
    #[n(1)]
    pub rate: ExchangeRate,
    /// At the end of this month.
    #[n(2)]
    pub period: Month,
    /// Decimals of the amounts.
    #[n(3)]
    pub money: u8,
    /// Σ = 0.
    #[n(4)]
    pub postings: Vec<Posting>,
}

impl serde::Serialize for CurrencyRevalued {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("CurrencyRevalued", 5)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("currency", &self.rate.currency)?;
        s.serialize_field("rate", &self.rate.rate)?;
        s.serialize_field("period", &self.period)?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        s.end()
    }
}
