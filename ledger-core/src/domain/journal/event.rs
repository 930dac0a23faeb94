//! Journal facts.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use crate::domain::event::Posting;
use crate::domain::id::{EntryId, Position, Text};
use crate::domain::stock::event::ShownPostings;

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
}

impl serde::Serialize for JournalEntryPosted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntryPosted", 3)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("description", &self.description)?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
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
}

impl serde::Serialize for JournalEntryReversed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("JournalEntryReversed", 3)?;
        s.serialize_field("id", &self.id)?;
        s.serialize_field("reverses_position", &self.reverses)?;
        s.serialize_field("postings", &ShownPostings(&self.postings, self.money))?;
        s.end()
    }
}
