//! What an operator decides; the other limits are in `limit.rs`, each with its reason.

use std::time::Duration;

use ledger_core::outward::Allow;

/// Options of the service. There is no default: whoever starts it says what it may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// Reads that may hold or wait for a database connection at once.
    pub reads_max: usize,
    /// Every request is answered by then. Must exceed the longest `Prefer: wait` (30 s).
    pub request_deadline: Duration,
    /// After the signal to stop, requests under way get this long.
    pub shutdown_grace: Duration,
    /// Hosts and networks that webhooks may name though they are not public.
    pub webhook_allow: Allow,
}

impl Options {
    /// What suits one node with two to eight cores.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            connections_max: 10_000,
            reads_max: 256,
            request_deadline: Duration::from_secs(45),
            shutdown_grace: Duration::from_secs(10),
            webhook_allow: Allow::default(),
        }
    }
}
