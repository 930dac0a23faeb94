//! Stock commands: each moves one item at one location (a transfer: between two).

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{AccountCode, ExpectationId, LocationCode, LotCode, Position, Serial, Sku, UnitCode};
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;

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
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// When a new lot expires.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot_expires_at: Option<Timestamp>,
        /// One per unit, for an item tracked by serial.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods; sellable if absent.
        #[n(20)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
        /// The expected receipt this is part of.
        #[n(21)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub expectation: Option<ExpectationId>,
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
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// One per unit, for an item tracked by serial.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods; sellable if absent.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
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
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// One per unit, for an item tracked by serial.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods; sellable if absent.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
        /// Position of the issue that is returned: the goods come back at exactly the value and the layers they left with.
        #[n(20)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<i64>))]
        pub original: Option<Position>,
        /// Which movement of that event, from 0; may be left out when there is one of this item.
        #[n(21)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub line: Option<u32>,
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
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// When a new lot expires.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot_expires_at: Option<Timestamp>,
        /// One per unit, for an item tracked by serial.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods; sellable if absent.
        #[n(20)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
    }
}

action! {
    /// Changes the value of what is on hand, not its quantity: by a signed amount, to a new standard cost, or down to
    /// what it can still be sold for. Exactly one of the three.
    pub struct Revalue {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where; a new standard cost concerns every location.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub location: Option<LocationCode>,
        /// Signed amount added to the value.
        #[n(12)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub value_change: Option<Number>,
        /// Instead of the posting rule's account.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
        /// New standard cost of one base unit.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub standard_cost: Option<Number>,
        /// What one base unit can still be sold for; the value comes down to it and never goes up.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub net_realisable_value: Option<Number>,
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
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// One per unit, for an item tracked by serial.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods, before and after; sellable if absent.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
    }
}

action! {
    /// Goods go back to their supplier, at the cost of the receipt that is named or at the present one.
    pub struct ReturnToSupplier {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where from.
        #[n(11)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// One per unit, for an item tracked by serial.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods; sellable if absent.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
        /// Position of the receipt: its layers go first and its price is what the supplier owes.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<i64>))]
        pub receipt: Option<Position>,
        /// Instead of the posting rule's account.
        #[n(18)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
        /// Which movement of that event, from 0; may be left out when there is one of this item.
        #[n(19)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub line: Option<u32>,
    }
}

action! {
    /// Goods stay where they are and keep their value; what may be done with them changes.
    pub struct ChangeStatus {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where.
        #[n(11)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// One per unit, for an item tracked by serial.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// What they are; sellable if absent.
        #[n(16)]
        #[serde(default)]
        pub from: StockStatus,
        /// What they become.
        #[n(17)]
        pub to: StockStatus,
    }
}

action! {
    /// Goods are thrown away; `reason` is required.
    pub struct Scrap {
        /// The item.
        #[n(10)]
        pub sku: Sku,
        /// Where.
        #[n(11)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// The lot, for an item tracked by lot.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub lot: Option<LotCode>,
        /// One per unit, for an item tracked by serial.
        #[n(15)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 10000))]
        pub serials: Option<Vec<Serial>>,
        /// Of the goods; sellable if absent.
        #[n(16)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub status: Option<StockStatus>,
        /// Instead of the posting rule's account.
        #[n(17)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// Components become kits, at the cost of the components.
    pub struct Assemble {
        /// The kit.
        #[n(10)]
        pub sku: Sku,
        /// Where.
        #[n(11)]
        pub location: LocationCode,
        /// How many kits, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
    }
}

action! {
    /// Kits become components; the kits' cost is split by the components' present cost.
    pub struct Disassemble {
        /// The kit.
        #[n(10)]
        pub sku: Sku,
        /// Where.
        #[n(11)]
        pub location: LocationCode,
        /// How many kits, above zero.
        #[n(12)]
        pub quantity: Number,
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(13)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
    }
}

/// What makes a receipt cost more or less afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum CostKind {
    /// Freight, duty, insurance.
    #[default]
    #[n(0)]
    LandedCost,
    /// The supplier's invoice differs from the receipt.
    #[n(1)]
    PriceDifference,
}

action! {
    /// A receipt cost more or less than was recorded. What of it is still on hand changes its value, layer by layer; what is
    /// sold already goes to cost of goods sold.
    pub struct AddCost {
        /// Position of the receipt.
        #[n(10)]
        #[cfg_attr(feature = "openapi", schema(value_type = i64))]
        pub receipt: Position,
        /// Which movement of that event, from 0; may be left out when there is one.
        #[n(11)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub line: Option<u32>,
        /// Signed amount.
        #[n(12)]
        pub amount: Number,
        /// Why.
        #[n(13)]
        #[serde(default)]
        pub kind: CostKind,
        /// Instead of the posting rule's account.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub counter_account: Option<AccountCode>,
    }
}

action! {
    /// Goods are expected from a supplier: incoming, not on hand.
    pub struct Expect {
        /// The caller's own id; a UUIDv7 if absent.
        #[n(10)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub id: Option<ExpectationId>,
        /// The item.
        #[n(11)]
        pub sku: Sku,
        /// Where to.
        #[n(12)]
        pub location: LocationCode,
        /// How many, above zero.
        #[n(13)]
        pub quantity: Number,
        /// Unit of `quantity` and of a unit cost; the base unit if absent.
        #[n(14)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub unit: Option<UnitCode>,
        /// When.
        #[n(15)]
        pub due_at: Timestamp,
    }
}

action! {
    /// What is still expected will not come.
    pub struct CancelExpectation {
        /// The expected receipt; in `POST /v1/stock/expectations/{id}/cancel` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: ExpectationId,
    }
}
