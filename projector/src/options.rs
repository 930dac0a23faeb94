//! What a projector is built with.

use std::time::Duration;

use ledger_core::domain::id::{EntryId, ReservationId, TenantId};
use sqlx::postgres::PgPool;
use tokio::sync::mpsc;

/// What has lapsed and is not recorded as expired.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// A reservation.
    Hold(ReservationId),
    /// A pending journal entry.
    Entry(EntryId),
}

impl Due {
    /// The word in metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Entry(_) => "entry",
        }
    }
}

/// Where it reads and writes, and how much at once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Log and views.
    pub pool: PgPool,
    /// Cache; none: nothing is cached.
    pub redis_url: Option<String>,
    /// Broker; none: nothing is published.
    pub nats_url: Option<String>,
    /// Monitoring address of the broker, such as `http://127.0.0.1:8222`: tells whether it syncs; none: it is not asked.
    pub nats_monitor_url: Option<String>,
    /// Publish nothing to a broker that is not known to sync every message before it acknowledges it.
    pub feed_requires_sync: bool,
    /// Takes what has lapsed and is not recorded as expired; none: the sweep is off.
    pub due: Option<mpsc::Sender<(TenantId, Vec<Due>)>>,
    /// Between two looks at the heads when there is nothing to do.
    pub poll_interval: Duration,
    /// Between two looks for what has lapsed.
    pub sweep_interval: Duration,
    /// Between two looks for complete runs of events that the trail lacks.
    pub trail_interval: Duration,
    /// Between two steps of the audit that never ends.
    pub sample_interval: Duration,
    /// Events of one transaction: large, because a hot row is written once for all of them.
    pub batch_events: i64,
    /// Tenants worked on at once, for views and for the feed each.
    pub tenants_at_once: usize,
    /// Messages on their way to the broker per tenant.
    pub publish_window: usize,
}

impl Options {
    /// What suits one node; cache, broker and sweep are off until they are named.
    #[must_use]
    pub fn standard(pool: PgPool) -> Self {
        Self {
            pool,
            redis_url: None,
            nats_url: None,
            nats_monitor_url: None,
            feed_requires_sync: false,
            due: None,
            poll_interval: Duration::from_millis(15),
            sweep_interval: Duration::from_millis(500),
            trail_interval: Duration::from_millis(500),
            sample_interval: Duration::from_secs(3),
            batch_events: 10_000,
            tenants_at_once: 4,
            publish_window: 1_000,
        }
    }
}
