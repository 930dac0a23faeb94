//! Facts about people: nothing here tells anything of them.

use minicbor::{Decode, Encode};

use crate::domain::id::PersonId;
use crate::domain::period::event::Digest;

/// The data of a person is recorded, or has changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonRecorded {
    /// Whose.
    #[n(0)]
    pub id: PersonId,
    /// To all of the data, which lies beside the log.
    #[n(1)]
    pub commitment: Digest,
}

/// The data of a person, and every salt of it, is removed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonErased {
    /// Whose.
    #[n(0)]
    pub id: PersonId,
}
