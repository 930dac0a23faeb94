//! Catalogue facts: whole definitions, so that the newest one is the present state.

use minicbor::{Decode, Encode};

use super::command::{AccountType, LocationKind, MovementKind, NegativeStock, ValuationMethod};
use crate::domain::id::{AccountCode, LocationCode, PostingClass, Sku, Text};

/// The log's first event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct TenantOpened {
    /// The tenant's code.
    #[n(0)]
    pub code: Text,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// ISO 4217 code of the base currency.
    #[n(2)]
    pub currency: Text,
    /// Decimals of the base currency.
    #[n(3)]
    pub currency_scale: u8,
}

/// An item as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct ItemDefinition {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// Base unit.
    #[n(2)]
    pub unit: Text,
    /// Decimals of a quantity.
    #[n(3)]
    pub scale: u8,
    /// How issues are costed.
    #[n(4)]
    pub method: ValuationMethod,
    /// Chooses the posting rules.
    #[n(5)]
    pub posting_class: PostingClass,
    /// Whether on hand may go below zero.
    #[n(6)]
    pub negative_stock: NegativeStock,
    /// Out of use.
    #[n(7)]
    pub retired: bool,
}

/// A location as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct LocationDefinition {
    /// The location.
    #[n(0)]
    pub code: LocationCode,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// What it is.
    #[n(2)]
    pub kind: LocationKind,
    /// Out of use.
    #[n(3)]
    pub retired: bool,
}

/// An account as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct AccountDefinition {
    /// The account.
    #[n(0)]
    pub code: AccountCode,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// Decides the normal side.
    #[n(2)]
    pub account_type: AccountType,
    /// The account this one is summed into.
    #[n(3)]
    pub parent: Option<AccountCode>,
    /// Closed to new postings.
    #[n(4)]
    pub retired: bool,
}

/// Where a movement of a class posts from now on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct PostingRuleDefinition {
    /// The movement.
    #[n(0)]
    pub movement: MovementKind,
    /// The class.
    #[n(1)]
    pub class: PostingClass,
    /// The account.
    #[n(2)]
    pub account: AccountCode,
}
