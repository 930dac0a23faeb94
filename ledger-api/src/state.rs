//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;

use ledger_core::audit::keys::Keys;
use ledger_core::outward::Allow;
use ledger_core::{pipeline, store};
use metrics_exporter_prometheus::PrometheusHandle;
use redis::aio::ConnectionManager;
use sqlx::PgPool;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::KeyCache;
use crate::health::{FeedState, HealthCache};
use crate::limit::{BATCHES_AT_ONCE_MAX, FEEDS_MAX, READ_PLACE_TIME};
use crate::openapi::Document;
use crate::options::Options;
use crate::problem::{Fault, Problem};
use crate::query::cache::Cache;
use crate::query::position::Positions;
use crate::query::replica::Replicas;
use crate::query::tenant::Books;

/// What the service is built from; whoever starts it owns the other ends.
#[allow(missing_debug_implementations, reason = "connections have nothing to show")]
pub struct Resources {
    /// For reads and keys; commands go through the pipeline's own connections.
    pub pool: PgPool,
    /// Read replicas of the same database; none: the pool above answers every read.
    pub replicas: Vec<PgPool>,
    /// Where the projector leaves ready answers; without it every read asks the database.
    pub cache: Option<ConnectionManager>,
    /// Decides and records commands.
    pub pipeline: pipeline::Handle,
    /// Renders `/metrics`; see [`crate::install_metrics`].
    pub metrics: PrometheusHandle,
    /// Whether the broker's connection is up; `None` when the feed is not published.
    pub broker: Option<watch::Receiver<bool>>,
    /// How the feed is; `None` when it is not published from here.
    pub feed: Option<FeedState>,
    /// What signs checkpoints; `None` in it while there is no key.
    pub keys: watch::Receiver<Option<Arc<Keys>>>,
}

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    shared: Arc<Shared>,
    /// Where this request reads; the primary, unless [`crate::query::Reading::settle`] found a replica for it.
    pub(crate) pool: PgPool,
}

/// See [`Api`].
pub(crate) struct Shared {
    pub(crate) replicas: Replicas,
    pub(crate) cache: Cache,
    pub(crate) pipeline: pipeline::Handle,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) broker: Option<watch::Receiver<bool>>,
    pub(crate) feed: Option<FeedState>,
    pub(crate) keys: KeyCache,
    pub(crate) signing: watch::Receiver<Option<Arc<Keys>>>,
    pub(crate) positions: Positions,
    pub(crate) books: Books,
    pub(crate) health: HealthCache,
    pub(crate) document: Document,
    pub(crate) batches: Semaphore,
    pub(crate) webhook_allow: Allow,
    pub(crate) feeds: Arc<Semaphore>,
    /// Cancelled when the service is told to stop: streams end, waiters go.
    pub(crate) stopping: CancellationToken,
    reads: Arc<Semaphore>,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Api {
    pub(crate) fn new(options: &Options, resources: Resources) -> Self {
        let reads = Arc::new(Semaphore::new(options.reads_max));
        let shared = Arc::new(Shared {
            replicas: Replicas::new(resources.replicas),
            cache: Cache::new(resources.cache),
            pipeline: resources.pipeline,
            prometheus: resources.metrics,
            broker: resources.broker,
            feed: resources.feed,
            keys: KeyCache::new(),
            signing: resources.keys,
            positions: Positions::new(),
            books: Books::default(),
            health: HealthCache::default(),
            document: Document::default(),
            batches: Semaphore::new(BATCHES_AT_ONCE_MAX),
            webhook_allow: options.webhook_allow.clone(),
            feeds: Arc::new(Semaphore::new(FEEDS_MAX)),
            stopping: CancellationToken::new(),
            reads,
        });
        Self { shared, pool: resources.pool }
    }

    /// The same, reading elsewhere.
    pub(crate) fn reading(&self, pool: PgPool) -> Self {
        Self { shared: Arc::clone(&self.shared), pool }
    }

    /// Runs a read of the database in a task of its own.
    ///
    /// A future that holds a database call must never be dropped half way (a connection would go back to the pool in
    /// the middle of an exchange), but a handler is dropped whenever its client hangs up or its deadline passes.
    ///
    /// # Errors
    /// `busy` when there is no place for it in time, `unavailable` when the database is away, `internal` otherwise.
    pub(crate) async fn detached<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, store::Error>> + Send + 'static,
    {
        let busy = || Problem::new(Fault::Busy, Fault::Busy.sentence());
        let place = tokio::time::timeout(READ_PLACE_TIME, Arc::clone(&self.reads).acquire_owned())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        let task = tokio::spawn(async move {
            let found = work.await;
            drop(place);
            found
        });
        match task.await {
            Ok(found) => found.map_err(Problem::from),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a read ended before its time");
                Err(Problem::new(Fault::Internal, Fault::Internal.sentence()))
            }
        }
    }
}
