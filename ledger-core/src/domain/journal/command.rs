//! Journal commands.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{
    AccountCode, CurrencyCode, DimensionCode, DimensionValue, EntryId, PartyCode, SeriesCode, TaxCode, Text,
};
use crate::domain::period::Month;
use crate::domain::time::Timestamp;

/// Declares the optional fields of a struct with the attributes that every one of them has.
macro_rules! with_options {
    ($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$fdoc:meta])* pub $field:ident: $type:ty,)*
        options { $($(#[$odoc:meta])* pub $option:ident: $otype:ty,)* }
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
            $(
                $(#[$odoc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[cfg_attr(feature = "openapi", schema(nullable = false))]
                pub $option: Option<$otype>,
            )*
        }
    };
}

with_options! {
    /// One posting: a debit or a credit, exactly one of the two, above zero.
    pub struct EntryLine {
        /// The account.
        #[n(0)]
        pub account: AccountCode,
        options {
            /// Amount on the debit side, in `currency`.
            #[n(1)]
            pub debit: Number,
            /// Amount on the credit side, in `currency`.
            #[n(2)]
            pub credit: Number,
            /// ISO 4217 code; the base currency if absent.
            #[n(3)]
            pub currency: CurrencyCode,
            /// What a foreign amount is worth in the base currency; by the entry's rate if absent.
            #[n(4)]
            pub base: Number,
            /// Values of dimensions, such as `{"cost_centre": "100"}`; at most 8.
            #[n(5)]
            #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
            pub dimensions: BTreeMap<DimensionCode, DimensionValue>,
            /// The customer or supplier. It stays in the log: the id of a person, not a name.
            #[n(6)]
            pub party: PartyCode,
            /// The open item it begins or settles, such as an invoice's number.
            #[n(7)]
            pub item: Text,
            /// When the open item is due.
            #[n(8)]
            pub due_at: Timestamp,
            /// The tax code: on the code's own account the posting is tax, elsewhere it is what the tax is due on.
            #[n(9)]
            pub tax: TaxCode,
            /// What for.
            #[n(10)]
            pub memo: Text,
        }
    }
}

/// What one unit of a currency is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExchangeRate {
    /// The currency.
    #[n(0)]
    pub currency: CurrencyCode,
    /// Base currency for one unit of it; above zero.
    #[n(1)]
    pub rate: Number,
}

with_options! {
    /// What must hold of an account for an entry to be taken.
    pub struct Condition {
        /// The account.
        #[n(0)]
        pub account: AccountCode,
        options {
            /// Its balance, debits less credits, in the base currency.
            #[n(1)]
            pub balance: Number,
            /// The newest event that posted to it; 0 for none.
            #[n(2)]
            pub position: u64,
        }
    }
}

/// Which of an entry's two accounts bounds its amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Balancing {
    /// The debited one.
    #[n(0)]
    Debit,
    /// The credited one.
    #[n(1)]
    Credit,
    /// Both.
    #[n(2)]
    Both,
}

action! {
    /// Posts a balanced set of debits and credits, or holds it. Inventory accounts take postings from stock facts only.
    ///
    /// Debits equal credits in every currency, except in currencies whose rate the entry states; at those rates it
    /// balances in the base currency. What leaves an asset or liability in a foreign currency takes its share of the
    /// value it is carried at, and the difference is posted as an exchange gain or loss.
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
        /// Rates of the foreign currencies in it.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 32))]
        pub rates: Option<Vec<ExchangeRate>>,
        /// Gives it the series' next number of the fiscal year, without gaps.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub series: Option<SeriesCode>,
        /// True for an entry that may be dated in a soft-closed period.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub adjusting: Option<bool>,
        /// True holds it: it moves pending balances until it is settled, voided or timed out.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub pending: Option<bool>,
        /// Of a pending entry: it is void this many seconds after its recording, to the instant. Never if absent.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, minimum = 1, maximum = 31_622_400))]
        pub ttl_seconds: Option<u32>,
        /// Of two postings in one currency: cuts their amount to what these accounts have, so that none is overdrawn.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub balancing: Option<Balancing>,
        /// What must hold, or the entry is refused.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 32))]
        pub conditions: Option<Vec<Condition>>,
    }
}

action! {
    /// Posts a pending entry, whole or in part. What is not settled is set free, unless `keep_open`.
    pub struct SettleEntry {
        /// The entry; in `POST /v1/journal/entries/{id}/settle` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: EntryId,
        /// Of its debits, in its only currency: each posting takes its share. All of it if absent.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub amount: Option<Number>,
        /// True keeps what is not settled pending.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub keep_open: Option<bool>,
        /// Gives it the series' next number of the fiscal year, without gaps.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub series: Option<SeriesCode>,
    }
}

action! {
    /// Sets a pending entry free; nothing is posted.
    pub struct VoidEntry {
        /// The entry; in `POST /v1/journal/entries/{id}/void` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: EntryId,
    }
}

action! {
    /// Records that a pending entry timed out. Asked by the sweeper only.
    pub struct ExpireEntry {
        /// The entry.
        #[n(10)]
        pub id: EntryId,
    }
}

action! {
    /// Posts the exact opposite of what an entry posted, once.
    pub struct ReverseEntry {
        /// The entry; in `POST /v1/journal/entries/{id}/reverse` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: EntryId,
        /// Gives the reversal the series' next number of the fiscal year, without gaps.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub series: Option<SeriesCode>,
        /// True for a reversal that may be dated in a soft-closed period.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub adjusting: Option<bool>,
    }
}

action! {
    /// Restates the balances in one currency at a period's end to its rate. The difference of every monetary account is
    /// posted as an unrealised exchange gain or loss, dated with the period's last instant, and reversed in the next
    /// period's first.
    pub struct RevalueCurrency {
        /// The entry's id; a UUIDv7 if absent.
        #[n(10)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub id: Option<EntryId>,
        /// The currency.
        #[n(11)]
        pub currency: CurrencyCode,
        /// Base currency for one unit of it at the period's end.
        #[n(12)]
        pub rate: Number,
        /// The month.
        #[n(13)]
        pub period: Month,
    }
}
