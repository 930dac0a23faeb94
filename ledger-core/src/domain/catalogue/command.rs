//! Catalogue commands. Each defines or changes; the same definition again changes nothing.

use minicbor::{Decode, Encode};

use crate::domain::command::action;
use crate::domain::id::{AccountCode, LocationCode, PostingClass, Sku, Text};

/// How an item's issues are costed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ValuationMethod {
    /// One pool per item and warehouse; an issue takes its share.
    #[default]
    #[n(0)]
    MovingAverage,
    /// One layer per receipt, oldest first.
    #[n(1)]
    Fifo,
}

/// Whether on hand may go below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum NegativeStock {
    /// Refuse.
    #[default]
    #[n(0)]
    Forbid,
    /// Issue at provisional cost, settle on receipt.
    #[n(1)]
    Allow,
}

/// What a location is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LocationKind {
    /// Holds stock.
    #[default]
    #[n(0)]
    Storage,
}

/// Type of an account; decides its normal side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AccountType {
    /// Debit side.
    #[default]
    #[n(0)]
    Asset,
    /// Credit side.
    #[n(1)]
    Liability,
    /// Credit side.
    #[n(2)]
    Equity,
    /// Credit side.
    #[n(3)]
    Revenue,
    /// Debit side.
    #[n(4)]
    Expense,
}

impl AccountType {
    /// True where a debit raises the balance.
    #[must_use]
    pub const fn is_debit_normal(self) -> bool {
        match self {
            Self::Asset | Self::Expense => true,
            Self::Liability | Self::Equity | Self::Revenue => false,
        }
    }
}

/// Which fact a posting rule speaks of. `inventory` is the item's own account, the others its counterpart.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MovementKind {
    /// The inventory account of the class.
    #[default]
    #[n(0)]
    Inventory,
    /// Goods received: GRNI.
    #[n(1)]
    Receipt,
    /// Goods issued: cost of goods sold.
    #[n(2)]
    Issue,
    /// Goods back from a customer.
    #[n(3)]
    Return,
    /// Difference found: shrinkage.
    #[n(4)]
    Adjustment,
    /// Value changed without quantity.
    #[n(5)]
    Revaluation,
    /// Provisional cost of negative stock against the real one, and what is left when quantity reaches zero.
    #[n(6)]
    Settlement,
}

impl MovementKind {
    /// Every kind, in order.
    pub const ALL: [Self; 7] =
        [Self::Inventory, Self::Receipt, Self::Issue, Self::Return, Self::Adjustment, Self::Revaluation, Self::Settlement];

    /// The word used in paths and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Receipt => "receipt",
            Self::Issue => "issue",
            Self::Return => "return",
            Self::Adjustment => "adjustment",
            Self::Revaluation => "revaluation",
            Self::Settlement => "settlement",
        }
    }
}

action! {
    /// First command of a log: names the tenant and its base currency, and installs the default chart and rules.
    pub struct OpenTenant {
        /// The tenant's code.
        #[n(10)]
        pub code: Text,
        /// Display name.
        #[n(11)]
        pub name: Text,
        /// ISO 4217 code of the base currency.
        #[n(12)]
        pub currency: Text,
        /// Decimals of the base currency.
        #[n(13)]
        pub currency_scale: u8,
    }
}

action! {
    /// Defines an item or changes it. Scale, method and posting class are fixed once there is stock or a hold.
    pub struct DefineItem {
        /// The item; in `PUT /v1/items/{sku}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub sku: Sku,
        /// Display name.
        #[n(11)]
        #[serde(default)]
        pub name: Text,
        /// Base unit, such as `each` or `kg`.
        #[n(12)]
        #[serde(default)]
        pub unit: Text,
        /// Decimals of a quantity, 0 to 9.
        #[n(13)]
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(maximum = 9))]
        pub scale: u8,
        /// How issues are costed.
        #[n(14)]
        #[serde(default)]
        pub method: ValuationMethod,
        /// Chooses the posting rules; `default` if absent.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub posting_class: Option<PostingClass>,
        /// Whether on hand may go below zero.
        #[n(16)]
        #[serde(default)]
        pub negative_stock: NegativeStock,
        /// True takes the item out of use; it must hold no stock and no value.
        #[n(17)]
        #[serde(default)]
        pub retired: bool,
    }
}

action! {
    /// Defines a location or changes it.
    pub struct DefineLocation {
        /// The location; in `PUT /v1/locations/{code}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub code: LocationCode,
        /// Display name.
        #[n(11)]
        #[serde(default)]
        pub name: Text,
        /// What it is.
        #[n(12)]
        #[serde(default)]
        pub kind: LocationKind,
        /// True takes the location out of use; it must hold no stock.
        #[n(13)]
        #[serde(default)]
        pub retired: bool,
    }
}

action! {
    /// Opens an account or changes it. The type is fixed once something was posted.
    pub struct DefineAccount {
        /// The account; in `PUT /v1/accounts/{code}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub code: AccountCode,
        /// Display name.
        #[n(11)]
        #[serde(default)]
        pub name: Text,
        /// Asset, liability, equity, revenue or expense.
        #[n(12)]
        pub account_type: AccountType,
        /// The account this one is summed into.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub parent: Option<AccountCode>,
        /// True closes the account to new postings; its balance must be zero.
        #[n(14)]
        #[serde(default)]
        pub retired: bool,
    }
}

action! {
    /// Says where a movement kind of a posting class posts. `inventory` accounts take postings from stock facts only.
    pub struct DefinePostingRule {
        /// The movement; in `PUT /v1/posting-rules/{movement}/{class}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub movement: MovementKind,
        /// The class; in `PUT /v1/posting-rules/{movement}/{class}` the path says it.
        #[n(11)]
        #[serde(default)]
        pub class: PostingClass,
        /// The account.
        #[n(12)]
        pub account: AccountCode,
    }
}
