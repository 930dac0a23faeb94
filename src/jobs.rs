//! What each kind of background job does: the one list of handlers.

use std::time::Duration;

use projector::job::{Kind, Registry};

use crate::node::Parts;

/// Every kind that this program runs.
pub(crate) fn registry(_parts: &Parts) -> Registry {
    let sweep = Kind { name: projector::SWEEP, at_once_max: 1, kept: Duration::ZERO };
    Registry::new().with(sweep, projector::Sweep)
}
