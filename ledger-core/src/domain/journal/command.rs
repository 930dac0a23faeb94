//! Journal commands.

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{AccountCode, EntryId, Text};

/// One posting: a debit or a credit, exactly one of the two, above zero.
#[derive(Clone, Debug, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryLine {
    /// The account.
    #[n(0)]
    pub account: AccountCode,
    /// Amount on the debit side.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub debit: Option<Number>,
    /// Amount on the credit side.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub credit: Option<Number>,
}

action! {
    /// Posts a balanced set of debits and credits. Inventory accounts take postings from stock facts only.
    pub struct PostEntry {
        /// The caller's own id; a UUIDv7 if absent.
        #[n(10)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub id: Option<EntryId>,
        /// What for.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub description: Option<Text>,
        /// Two or more.
        #[n(12)]
        #[cfg_attr(feature = "openapi", schema(min_items = 2, max_items = 1000))]
        pub postings: Vec<EntryLine>,
    }
}

action! {
    /// Posts the exact opposite of an entry, once.
    pub struct ReverseEntry {
        /// The entry; in `POST /v1/journal/entries/{id}/reverse` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: EntryId,
    }
}
