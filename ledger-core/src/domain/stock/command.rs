//! Stock commands: each moves one item at one location (a transfer: between two).

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{AccountCode, LocationCode, Sku};

action! {
    /// Goods come in at a unit cost or a total cost; exactly one of the two.
    pub struct Receive {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where to.
        #[n(11)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Cost of one base unit; the amount is rounded half to even.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit_cost: Option<Number>,
        /// Cost of all of it.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub total_cost: Option<Number>,
        /// Instead of the posting rule's account.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// Goods go out, at the cost the valuation method computes or at a stated one.
    pub struct Issue {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where from.
        #[n(11)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Takes this amount of value instead of the computed one.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub stated_cost: Option<Number>,
        /// Instead of the posting rule's account.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// Goods come back from a customer, at a stated cost or else at the present average.
    pub struct Return {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where to.
        #[n(11)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Cost of one base unit.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit_cost: Option<Number>,
        /// Cost of all of it.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub total_cost: Option<Number>,
        /// Instead of the posting rule's account.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// A signed difference between book and shelf; `reason` is required. A cost may be stated only for goods found.
    pub struct Adjust {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where.
        #[n(11)]
        pub location: LocationCode,
        /// Found (above zero) or lost (below zero).
        #[n(12)]
        pub difference: Number,
        /// Cost of one base unit found.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit_cost: Option<Number>,
        /// Cost of all that was found.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub total_cost: Option<Number>,
        /// Instead of the posting rule's account.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// Changes the value of what is on hand, not its quantity.
    pub struct Revalue {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where.
        #[n(11)]
        pub location: LocationCode,
        /// Signed amount added to the value.
        #[n(12)]
        pub value_change: Number,
        /// Instead of the posting rule's account.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// Carries goods and their value from one location to another in one step.
    pub struct Transfer {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where from.
        #[n(11)]
        pub from: LocationCode,
        /// Where to.
        #[n(12)]
        pub to: LocationCode,
        /// How many, above zero.
        #[n(13)]
        pub quantity: Number,
    }
}
