//! Commands of what groups accounts and postings.

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{AccountCode, AccountSetCode, DimensionCode, DimensionValue, TaxCode, Text};

/// Which side of a VAT return a tax code belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TaxDirection {
    /// Tax on what is sold: owed.
    #[default]
    #[n(0)]
    Output,
    /// Tax on what is bought: recoverable.
    #[n(1)]
    Input,
}

action! {
    /// Defines a set of accounts that reports sum, or changes it. An account may be in many sets, and a set in others.
    pub struct DefineAccountSet {
        /// The set; in `PUT /v1/account-sets/{code}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub code: AccountSetCode,
        /// Display name.
        #[n(11)]
        #[serde(default)]
        pub name: Text,
        /// Accounts in it.
        #[n(12)]
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        pub accounts: Vec<AccountCode>,
        /// Sets whose accounts are in it.
        #[n(13)]
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
        pub sets: Vec<AccountSetCode>,
        /// True takes it out of use.
        #[n(14)]
        #[serde(default)]
        pub retired: bool,
    }
}

action! {
    /// Defines what postings may be told apart by beside their account, such as `cost_centre`, or changes it.
    pub struct DefineDimension {
        /// The dimension; in `PUT /v1/dimensions/{code}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub code: DimensionCode,
        /// Display name.
        #[n(11)]
        #[serde(default)]
        pub name: Text,
        /// The only values it may have; any if absent.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 1000))]
        pub values: Option<Vec<DimensionValue>>,
        /// True takes it out of use.
        #[n(13)]
        #[serde(default)]
        pub retired: bool,
    }
}

action! {
    /// Defines a tax code, or changes it. A posting with the code on the code's own account is tax; on any other account
    /// it is what the tax is due on.
    pub struct DefineTaxCode {
        /// The code; in `PUT /v1/tax-codes/{code}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub code: TaxCode,
        /// Display name.
        #[n(11)]
        #[serde(default)]
        pub name: Text,
        /// Per cent, such as `25` or `5.5`.
        #[n(12)]
        pub rate: Number,
        /// Whether the tax is owed or recoverable.
        #[n(13)]
        #[serde(default)]
        pub direction: TaxDirection,
        /// Where the tax is posted.
        #[n(14)]
        pub account: AccountCode,
        /// True takes it out of use.
        #[n(15)]
        #[serde(default)]
        pub retired: bool,
    }
}
