//! What may be done with goods that are on hand.

use minicbor::{Decode, Encode};

/// A stock status. Only `sellable` stock is available; every status is on hand and keeps its value.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum StockStatus {
    /// May be promised and shipped.
    #[default]
    #[n(0)]
    Sellable,
    /// Waits for inspection.
    #[n(1)]
    QualityControl,
    /// Broken.
    #[n(2)]
    Damaged,
    /// Kept apart.
    #[n(3)]
    Quarantined,
    /// Not to be moved.
    #[n(4)]
    Blocked,
}

impl StockStatus {
    /// Every status, in order.
    pub const ALL: [Self; 5] = [Self::Sellable, Self::QualityControl, Self::Damaged, Self::Quarantined, Self::Blocked];

    /// The word in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sellable => "sellable",
            Self::QualityControl => "quality_control",
            Self::Damaged => "damaged",
            Self::Quarantined => "quarantined",
            Self::Blocked => "blocked",
        }
    }

    /// True for the one status that may be promised.
    #[must_use]
    pub const fn is_sellable(self) -> bool {
        match self {
            Self::Sellable => true,
            Self::QualityControl | Self::Damaged | Self::Quarantined | Self::Blocked => false,
        }
    }
}
