//! Stock counts: opened at a location, recorded line by line, posted as differences.

use minicbor::{Decode, Encode};

use crate::domain::amount::Number;
use crate::domain::command::action;
use crate::domain::id::{CountId, LocationCode, LotCode, Sku};
use crate::domain::stock::status::StockStatus;

action! {
    /// Begins a count. Movements go on meanwhile and are not lost.
    pub struct OpenCount {
        /// The caller's own id; a UUIDv7 if absent.
        #[n(10)]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(nullable = false))]
        pub id: Option<CountId>,
        /// Where; the locations inside it are counted too.
        #[n(11)]
        pub location: LocationCode,
    }
}

/// What was found of one item.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountLine {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Where; the count's own location if absent.
    #[n(1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub location: Option<LocationCode>,
    /// The lot, for an item tracked by lot.
    #[n(2)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub lot: Option<LotCode>,
    /// Of the goods; sellable if absent.
    #[n(3)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub status: Option<StockStatus>,
    /// How many there are, in base units.
    #[n(4)]
    pub counted: Number,
}

action! {
    /// Says what was counted. What was expected is taken as of `effective_at`, the moment counted. A line that is counted
    /// again replaces what was said of it before.
    pub struct RecordCount {
        /// The count; in `POST /v1/stock/counts/{id}/lines` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: CountId,
        /// What was counted.
        #[n(11)]
        #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 1000))]
        pub lines: Vec<CountLine>,
    }
}

action! {
    /// Adjusts stock by the differences found.
    pub struct PostCount {
        /// The count; in `POST /v1/stock/counts/{id}/post` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: CountId,
    }
}

action! {
    /// Ends a count without consequence.
    pub struct CancelCount {
        /// The count; in `POST /v1/stock/counts/{id}/cancel` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: CountId,
    }
}
