//! Catalogue facts: whole definitions, so that the newest one is the present state.

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use super::command::{
    AccountType, Backorder, Component, CostPool, LimitOn, LocationKind, MovementKind, NegativeStock, Tracking, ValuationMethod,
};
use crate::domain::amount::Number;
use crate::domain::id::{AccountCode, CurrencyCode, DimensionCode, LocationCode, PostingClass, Sku, Text};
use crate::domain::unit::UnitOfMeasure;

/// The log's first event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// Absent: none.
    #[n(8)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tracking: Option<Tracking>,
    /// Absent: per warehouse.
    #[n(9)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub pool: Option<CostPool>,
    /// Cost of one base unit.
    #[n(10)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<crate::domain::shown::Decimal>))]
    pub standard_cost: Option<Number>,
    /// Alternate units.
    #[n(11)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub units: Option<Vec<UnitOfMeasure>>,
    /// What one is made of.
    #[n(12)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub components: Option<Vec<Component>>,
}

impl ItemDefinition {
    /// What tells one unit from another.
    #[must_use]
    pub fn tracking(&self) -> Tracking {
        self.tracking.unwrap_or_default()
    }

    /// Which stock shares one cost.
    #[must_use]
    pub fn pool(&self) -> CostPool {
        self.pool.unwrap_or_default()
    }

    /// What one is made of; empty for what is no kit.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        self.components.as_deref().unwrap_or(&[])
    }
}

/// A location as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// What it is inside of.
    #[n(4)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub parent: Option<LocationCode>,
    /// Metres east on the tenant's plan.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub x: Option<i32>,
    /// Metres north on the tenant's plan.
    #[n(6)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub y: Option<i32>,
}

/// What is kept back of an item at a location, and what may be promised beyond it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StockPolicyDefined {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where.
    #[n(1)]
    pub location: LocationCode,
    /// Decimals of the quantities.
    #[n(2)]
    pub scale: u8,
    /// Whether more may be promised than there is.
    #[n(3)]
    pub backorder: Backorder,
    /// Units below zero at the most, with `limited`.
    #[n(4)]
    pub backorder_limit: i64,
    /// Units that are not promised.
    #[n(5)]
    pub safety_stock: i64,
}

impl serde::Serialize for StockPolicyDefined {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut s = serializer.serialize_struct("StockPolicyDefined", 5)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("location", &self.location)?;
        s.serialize_field("backorder", &self.backorder)?;
        s.serialize_field("backorder_limit", &Number::from_units(self.backorder_limit, self.scale))?;
        s.serialize_field("safety_stock", &Number::from_units(self.safety_stock, self.scale))?;
        s.end()
    }
}

/// An account as defined.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub parent: Option<AccountCode>,
    /// Closed to new postings.
    #[n(4)]
    pub retired: bool,
    /// The only currency it takes; any if absent.
    #[n(5)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub currency: Option<CurrencyCode>,
    /// Lowest balance on the normal side.
    #[n(6)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<crate::domain::shown::Decimal>))]
    pub minimum: Option<Number>,
    /// Highest balance on the normal side.
    #[n(7)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<crate::domain::shown::Decimal>))]
    pub maximum: Option<Number>,
    /// What the limits hold for; absent: posted and pending.
    #[n(8)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub limit_on: Option<LimitOn>,
    /// Restated at a period's end; absent: assets and liabilities are.
    #[n(9)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub monetary: Option<bool>,
    /// Dimensions that a posting by hand must have.
    #[n(10)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub required_dimensions: Option<Vec<DimensionCode>>,
}

impl AccountDefinition {
    /// An account of which nothing more is said.
    #[must_use]
    pub const fn new(code: AccountCode, name: Text, account_type: AccountType) -> Self {
        Self {
            code,
            name,
            account_type,
            parent: None,
            retired: false,
            currency: None,
            minimum: None,
            maximum: None,
            limit_on: None,
            monetary: None,
            required_dimensions: None,
        }
    }

    /// Whether it has a limit.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.minimum.is_some() || self.maximum.is_some()
    }

    /// Whether its foreign balances are restated at a period's end.
    #[must_use]
    pub fn is_monetary(&self) -> bool {
        self.monetary.unwrap_or(self.account_type.is_carried())
    }
}

/// Where a movement of a class posts from now on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
