//! Catalogue commands. Each defines or changes; the same definition again changes nothing.

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{AccountCode, CurrencyCode, DimensionCode, LocationCode, PostingClass, Sku, Text};
use crate::domain::unit::UnitOfMeasure;

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
    /// Every unit at the item's standard cost; what a receipt really cost beyond that is a variance.
    #[n(2)]
    Standard,
    /// Each lot or serial at what it cost itself.
    #[n(3)]
    Specific,
}

impl ValuationMethod {
    /// Whether it keeps cost layers.
    #[must_use]
    pub const fn keeps_layers(self) -> bool {
        match self {
            Self::Fifo | Self::Specific => true,
            Self::MovingAverage | Self::Standard => false,
        }
    }
}

/// What tells one unit of an item from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Tracking {
    /// Nothing.
    #[default]
    #[n(0)]
    None,
    /// The lot it belongs to.
    #[n(1)]
    Lot,
    /// Its own number.
    #[n(2)]
    Serial,
}

/// Which stock of an item shares one cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CostPool {
    /// All of it under one topmost location.
    #[default]
    #[n(0)]
    Warehouse,
    /// All of the tenant's.
    #[n(1)]
    Tenant,
}

/// What one kit is made of.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Component {
    /// The component.
    #[n(0)]
    pub sku: Sku,
    /// Base units of it in one base unit of the kit.
    #[n(1)]
    pub quantity: Number,
}

/// Whether more may be promised than there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Backorder {
    /// Never.
    #[default]
    #[n(0)]
    Forbid,
    /// Down to a limit.
    #[n(1)]
    Limited,
    /// Always.
    #[n(2)]
    Allow,
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
    /// Goods under way: owned and valued, not sellable. Only transfers in two steps move stock here.
    #[n(1)]
    Transit,
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

    /// True where a foreign amount that leaves takes its share of the value it was carried at.
    #[must_use]
    pub const fn is_carried(self) -> bool {
        match self {
            Self::Asset | Self::Liability => true,
            Self::Equity | Self::Revenue | Self::Expense => false,
        }
    }

    /// True for what a fiscal year's close carries to retained earnings.
    #[must_use]
    pub const fn is_of_the_year(self) -> bool {
        match self {
            Self::Revenue | Self::Expense => true,
            Self::Asset | Self::Liability | Self::Equity => false,
        }
    }
}

/// What an account's limits hold for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LimitOn {
    /// What is posted together with what is pending towards the limit.
    #[default]
    #[n(0)]
    Available,
    /// What is posted.
    #[n(1)]
    Posted,
}

/// Charts of accounts to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChartTemplate {
    /// Buys and sells goods.
    #[default]
    #[n(0)]
    Trading,
    /// Sells to consumers in shops and online: tills, card clearing, gift cards, returns.
    #[n(1)]
    Retail,
    /// Makes goods: work in progress, labour and overhead absorbed.
    #[n(2)]
    Manufacturing,
    /// Sells services: unbilled and deferred revenue, payroll.
    #[n(3)]
    Services,
    /// Holds others' money: wallets, escrow, payouts, fees.
    #[n(4)]
    Marketplace,
    /// No account and no rule: for books that bring their own chart.
    #[n(5)]
    Empty,
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
    /// The inventory account of the class for goods under way.
    #[n(7)]
    Transit,
    /// Goods thrown away.
    #[n(8)]
    Scrap,
    /// Components into kits and back.
    #[n(9)]
    Production,
    /// What a receipt cost more or less than the standard, a return to a supplier than the present cost.
    #[n(10)]
    PriceVariance,
    /// Landed cost not invoiced yet.
    #[n(11)]
    LandedCost,
    /// Exchange gains and losses on what was settled.
    #[n(12)]
    Exchange,
    /// Exchange gains and losses on what is restated at a period's end.
    #[n(13)]
    UnrealisedExchange,
    /// Where a closed year's result goes.
    #[n(14)]
    RetainedEarnings,
}

impl MovementKind {
    /// Every kind, in order.
    pub const ALL: [Self; 15] = [
        Self::Inventory,
        Self::Receipt,
        Self::Issue,
        Self::Return,
        Self::Adjustment,
        Self::Revaluation,
        Self::Settlement,
        Self::Transit,
        Self::Scrap,
        Self::Production,
        Self::PriceVariance,
        Self::LandedCost,
        Self::Exchange,
        Self::UnrealisedExchange,
        Self::RetainedEarnings,
    ];

    /// The kind whose rule holds where this one has none: tenants opened before it was there have no rule for it.
    #[must_use]
    pub const fn otherwise(self) -> Option<Self> {
        match self {
            Self::Transit => Some(Self::Inventory),
            Self::Scrap | Self::Production => Some(Self::Adjustment),
            Self::PriceVariance => Some(Self::Settlement),
            Self::LandedCost => Some(Self::Receipt),
            Self::UnrealisedExchange => Some(Self::Exchange),
            Self::Inventory
            | Self::Receipt
            | Self::Issue
            | Self::Return
            | Self::Adjustment
            | Self::Revaluation
            | Self::Settlement
            | Self::Exchange
            | Self::RetainedEarnings => None,
        }
    }

    /// Whether its account takes postings from stock facts only.
    #[must_use]
    pub const fn holds_inventory(self) -> bool {
        match self {
            Self::Inventory | Self::Transit => true,
            Self::Receipt
            | Self::Issue
            | Self::Return
            | Self::Adjustment
            | Self::Revaluation
            | Self::Settlement
            | Self::Scrap
            | Self::Production
            | Self::PriceVariance
            | Self::LandedCost
            | Self::Exchange
            | Self::UnrealisedExchange
            | Self::RetainedEarnings => false,
        }
    }

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
            Self::Transit => "transit",
            Self::Scrap => "scrap",
            Self::Production => "production",
            Self::PriceVariance => "price_variance",
            Self::LandedCost => "landed_cost",
            Self::Exchange => "exchange",
            Self::UnrealisedExchange => "unrealised_exchange",
            Self::RetainedEarnings => "retained_earnings",
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
        /// The chart of accounts to begin with; `trading` if absent.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chart: Option<ChartTemplate>,
    }
}

action! {
    /// Defines an item or changes it. Scale is fixed with the first movement; tracking, pool and posting class while there
    /// is stock or a hold. A new valuation method takes the stock over at its present value; the way to `standard` posts
    /// the difference.
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
        /// What tells one unit from another.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub tracking: Option<Tracking>,
        /// Which stock shares one cost.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub pool: Option<CostPool>,
        /// Cost of one base unit; method `standard` needs it.
        #[n(20)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub standard_cost: Option<Number>,
        /// Alternate units, each an exact ratio of base units.
        #[n(21)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 32))]
        pub units: Option<Vec<UnitOfMeasure>>,
        /// What one unit is made of, which makes it a kit.
        #[n(22)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 100))]
        pub components: Option<Vec<Component>>,
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
        /// The location this one is inside of: a zone in a warehouse, a bin in a zone.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub parent: Option<LocationCode>,
        /// Metres east on any plan that is the same for all of the tenant's locations; for the nearest one.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub x: Option<i32>,
        /// Metres north on that plan.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub y: Option<i32>,
    }
}

action! {
    /// How much of an item at a location is kept back, and whether more may be promised than there is.
    pub struct DefineStockPolicy {
        /// The item; in `PUT /v1/stock/{sku}/{location}/policy` the path says it.
        #[n(10)]
        #[serde(default)]
        pub sku: Sku,
        /// The location; in `PUT /v1/stock/{sku}/{location}/policy` the path says it.
        #[n(11)]
        #[serde(default)]
        pub location: LocationCode,
        /// Whether more may be promised than there is.
        #[n(12)]
        #[serde(default)]
        pub backorder: Backorder,
        /// With `limited`: how many units at the most.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub backorder_limit: Option<Number>,
        /// Units that are not promised.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub safety_stock: Option<Number>,
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
        /// The only currency it takes (ISO 4217); any if absent.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub currency: Option<CurrencyCode>,
        /// Its balance, on its normal side, may not fall below this.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub minimum: Option<Number>,
        /// Its balance, on its normal side, may not rise above this.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub maximum: Option<Number>,
        /// What the limits hold for; `available` if absent.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub limit_on: Option<LimitOn>,
        /// Whether its balances in foreign currencies are restated at a period's end; true for assets and liabilities if
        /// absent.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub monetary: Option<bool>,
        /// Dimensions that every posting to it by hand must have.
        #[n(20)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 8))]
        pub required_dimensions: Option<Vec<DimensionCode>>,
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
