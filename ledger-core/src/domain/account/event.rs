//! Facts of what groups accounts and postings: whole definitions, so that the newest one is the present state.

use minicbor::{Decode, Encode};

use super::command::TaxDirection;
use crate::domain::amount::Number;
use crate::domain::id::{AccountCode, AccountSetCode, DimensionCode, DimensionValue, TaxCode, Text};

/// A set of accounts as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccountSetDefined {
    /// The set.
    #[n(0)]
    pub code: AccountSetCode,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// Accounts in it.
    #[n(2)]
    pub accounts: Vec<AccountCode>,
    /// Sets whose accounts are in it.
    #[n(3)]
    pub sets: Vec<AccountSetCode>,
    /// Out of use.
    #[n(4)]
    pub retired: bool,
}

/// A dimension as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DimensionDefined {
    /// The dimension.
    #[n(0)]
    pub code: DimensionCode,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// The only values it may have; any if absent.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub values: Option<Vec<DimensionValue>>,
    /// Out of use.
    #[n(3)]
    pub retired: bool,
}

/// A tax code as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaxCodeDefined {
    /// The code.
    #[n(0)]
    pub code: TaxCode,
    /// Display name.
    #[n(1)]
    pub name: Text,
    /// Per cent.
    #[n(2)]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::domain::shown::Decimal))]
    pub rate: Number,
    /// Whether the tax is owed or recoverable.
    #[n(3)]
    pub direction: TaxDirection,
    /// Where the tax is posted.
    #[n(4)]
    pub account: AccountCode,
    /// Out of use.
    #[n(5)]
    pub retired: bool,
}
