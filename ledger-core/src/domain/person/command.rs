//! Commands about people. They stand alone: each goes with a change of what lies beside the log.

use crate::domain::command::action;
use crate::domain::id::PersonId;
use crate::domain::period::event::Digest;

action! {
    /// Records that the data of a person is as committed to, or has changed.
    pub struct RecordPerson {
        /// The person; in `PUT /v1/people/{id}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: PersonId,
        /// To the data ([`super::commitment`]). Computed here, never taken from a caller.
        #[n(11)]
        #[serde(skip)]
        #[cfg_attr(feature = "openapi", schema(ignore))]
        pub commitment: Digest,
    }
}

action! {
    /// Erases a person's data, all that was ever recorded of it. Needs a `reason`. The id is not free again.
    pub struct ErasePerson {
        /// The person; in `DELETE /v1/people/{id}` the path says it.
        #[n(10)]
        #[serde(default)]
        pub id: PersonId,
    }
}
