//! Composes a running node out of its parts: pipeline, API, projector.
//!
//! **Shape**: pool and pipeline → [`api`] and/or [`projector()`], each a task that ends when the token is cancelled.
//! **Correctness**: the API stops first, so that no command is taken that could not be answered; then the projector;
//! the pipeline ends when its last handle is dropped, after finishing what is queued.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ledger_core::audit::keys::Keys;
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::id::{CommandId, TenantId, Text};
use ledger_core::domain::journal::command::ExpireEntry;
use ledger_core::domain::reservation::command::ExpireReservation;
use ledger_core::pipeline;
use ledger_core::store::pool;
use projector::Due;
use sqlx::postgres::PgPool;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::checkpointer::{self, Checkpointer};
use crate::cli::Urls;
use crate::jobs;
use crate::signing::{self, Signing};
use crate::witness::Place;

/// Connections for reads and views; writers have their own.
pub(crate) const POOL_CONNECTIONS_MAX: u32 = 16;
/// Between two nudges of the projector: a first commit is looked at once, a stream of them 200 times a second.
const NUDGE_PAUSE: Duration = Duration::from_millis(5);
/// Lists of what has lapsed, waiting to be recorded.
const DUE_QUEUE_MAX: usize = 64;

/// What a node is made of.
pub(crate) struct Parts {
    pub(crate) pool: PgPool,
    pub(crate) pipeline: pipeline::Handle,
    /// Where webhooks may lead, and when they are tried again.
    pub(crate) webhooks: projector::webhook::Options,
    /// What a verification compares with the log beside the database.
    pub(crate) verified: jobs::Verified,
    pipeline_tasks: Vec<JoinHandle<()>>,
}

/// Connects to the database and starts the pipeline.
pub(crate) async fn connect(urls: &Urls) -> Result<Parts> {
    let webhooks = webhooks()?;
    let verified = jobs::Verified::new(urls.redis_url.clone(), urls.nats_url.clone());
    let url = urls.database()?.to_owned();
    let options = pool::Options { url: url.clone(), connections_max: POOL_CONNECTIONS_MAX, application_name: "ledgerd" };
    let pool = pool::connect(&options).await.context("connecting to Postgres")?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let (pipeline, pipeline_tasks) =
        pipeline::start(pipeline::Options::for_cores(url, cores), pool.clone()).await.context("starting the pipeline")?;
    Ok(Parts { pool, pipeline, webhooks, verified, pipeline_tasks })
}

/// `LEDGERD_WEBHOOK_ALLOW`: hosts and networks, with commas between, that webhooks may lead to though they are not public, and
/// without TLS. `LEDGERD_WEBHOOK_PAUSE`: seconds after the first failed attempt; it doubles from there.
fn webhooks() -> Result<projector::webhook::Options> {
    let mut options = projector::webhook::Options::standard();
    if let Ok(allow) = std::env::var("LEDGERD_WEBHOOK_ALLOW") {
        options.allow = allow.parse().context("LEDGERD_WEBHOOK_ALLOW")?;
    }
    if let Ok(seconds) = std::env::var("LEDGERD_WEBHOOK_PAUSE") {
        let seconds: u64 = seconds.parse().context("LEDGERD_WEBHOOK_PAUSE")?;
        ensure!((1..=3_600).contains(&seconds), "LEDGERD_WEBHOOK_PAUSE must be from 1 to 3600 seconds");
        options.pause = Duration::from_secs(seconds);
    }
    Ok(options)
}

impl Parts {
    /// Waits until everything queued is answered. Every other handle must be gone by now.
    pub(crate) async fn finish(self) -> Result<()> {
        drop(self.pipeline);
        for task in self.pipeline_tasks {
            task.await?;
        }
        self.pool.close().await;
        Ok(())
    }
}

/// The HTTP service.
pub(crate) async fn api(
    pool: PgPool,
    replicas: Vec<PgPool>,
    redis_url: Option<&str>,
    pipeline: pipeline::Handle,
    feed: Feed,
    keys: watch::Receiver<Option<Arc<Keys>>>,
) -> Result<ledger_api::Service> {
    let metrics = ledger_api::install_metrics()?;
    let Feed { broker, state } = feed;
    let resources =
        ledger_api::Resources { pool, replicas, cache: cache(redis_url).await, pipeline, metrics, broker, feed: state, keys };
    let options = ledger_api::Options { webhook_allow: webhooks()?.allow, ..ledger_api::Options::standard() };
    Ok(ledger_api::Service::new(options, resources))
}

/// What health answers tell of the feed; nothing where it is not published from here.
#[derive(Default)]
pub(crate) struct Feed {
    broker: Option<watch::Receiver<bool>>,
    state: Option<ledger_api::FeedState>,
}

impl Feed {
    /// The feed of a projector in this process.
    pub(crate) fn of(projector: &projector::Handle) -> Self {
        let state = projector.feed().map(|state| -> ledger_api::FeedState {
            Arc::new(move || {
                let state = state.borrow();
                ledger_api::FeedHealth {
                    durability: state.durability.as_ref().map_or("unknown", projector::feed::Durability::as_str),
                    events: state.lag_events,
                    seconds: state.worst_lag_seconds,
                    stopped: state.stopped.len(),
                }
            })
        });
        Self { broker: projector.broker(), state }
    }
}

/// A connection to the cache; none, and a warning, when it cannot be had: reads then come from Postgres.
async fn cache(url: Option<&str>) -> Option<redis::aio::ConnectionManager> {
    let client = match redis::Client::open(url?) {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "REDIS_URL is wrong: reads come from Postgres");
            return None;
        }
    };
    let config = redis::aio::ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(500)))
        .set_response_timeout(Some(Duration::from_millis(100)))
        .set_max_delay(Duration::from_secs(2));
    match redis::aio::ConnectionManager::new_lazy_with_config(client, config) {
        Ok(manager) => Some(manager),
        Err(error) => {
            tracing::warn!(%error, "no cache: reads come from Postgres");
            None
        }
    }
}

/// Serves until the token is cancelled.
pub(crate) async fn serve(service: ledger_api::Service, listener: TcpListener, stop: CancellationToken) -> Result<()> {
    Ok(service.run(listener, stop).await?)
}

/// The projector, with what has lapsed handed to the pipeline.
pub(crate) fn projector(parts: &Parts, urls: &Urls, stop: CancellationToken) -> (projector::Handle, JoinHandle<Result<()>>) {
    let (due, mut lapsed) = mpsc::channel::<(TenantId, Vec<Due>)>(DUE_QUEUE_MAX);
    let (service, handle) = projector::Service::new(projector::Options {
        pool: parts.pool.clone(),
        redis_url: urls.redis_url.clone(),
        nats_url: urls.nats_url.clone(),
        nats_monitor_url: urls.nats_monitor_url.clone(),
        feed_requires_sync: urls.feed_require_sync,
        due: Some(due),
        ..projector::Options::standard(parts.pool.clone())
    });
    let nudged = Arc::new(Notify::new());
    let worker =
        projector::job::Options { pool: parts.pool.clone(), registry: jobs::registry(parts), nudged: Arc::clone(&nudged) };
    tokio::spawn(nudge(handle.clone(), parts.pipeline.committed(), stop.clone()));
    let (pool, leases) = (parts.pool.clone(), handle.leases());
    let pipeline = parts.pipeline.clone();
    let task = tokio::spawn(async move {
        let part = stop.clone();
        let working = projector::keep("jobs", stop.clone(), move || projector::job::run(worker.clone(), part.clone()));
        let working = tokio::spawn(working);
        let part = stop.clone();
        let telling = projector::keep("webhooks", stop.clone(), move || {
            projector::webhook::fan_out(pool.clone(), leases.clone(), Arc::clone(&nudged), part.clone())
        });
        let telling = tokio::spawn(telling);
        let sweep = tokio::spawn(async move {
            while let Some((tenant, due)) = lapsed.recv().await {
                expire(&pipeline, tenant, due).await;
            }
        });
        service.run(stop).await?;
        telling.await?;
        working.await?;
        sweep.await?;
        Ok(())
    });
    (handle, task)
}

/// Keys, and the logs held against the witness: before anything is served or projected.
pub(crate) struct Audit {
    pub(crate) keys: watch::Receiver<Option<Arc<Keys>>>,
    place: Option<Place>,
    witnessed: HashMap<TenantId, u64>,
}

impl Audit {
    /// Reads the keys and compares every log with what was witnessed of it.
    ///
    /// # Errors
    /// [`crate::cli::Wanting`] when a log is not a continuation of that.
    pub(crate) async fn start(parts: &Parts, signing: &Signing, file: Option<PathBuf>, stop: CancellationToken) -> Result<Self> {
        let place = signing.witness.as_deref().map(Place::parse).transpose()?;
        let keys = signing::watch(signing.clone(), file, stop)?;
        parts.verified.trust(keys.clone());
        let first = keys.borrow().clone();
        let witnessed = match &place {
            Some(place) => checkpointer::compare(&parts.pool, first.as_ref(), place).await?,
            None => HashMap::new(),
        };
        Ok(Self { keys, place, witnessed })
    }

    /// Signs and copies every interval until the token is cancelled.
    pub(crate) fn checkpointer(self, parts: &Parts, interval: Duration, stop: CancellationToken) -> JoinHandle<()> {
        let Self { keys, place, witnessed } = self;
        let checkpointer = Checkpointer { pool: parts.pool.clone(), keys, place, interval, witnessed };
        tokio::spawn(checkpointer.run(stop))
    }
}

/// Tells a projector in this process of commits, so that views and feed need not wait for their next look.
pub(crate) async fn nudge(projector: projector::Handle, committed: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = committed.notified() => projector.nudge(),
            () = stop.cancelled() => return,
        }
        tokio::time::sleep(NUDGE_PAUSE).await;
    }
}

/// Records what has lapsed as expired. What was extended, settled or closed meanwhile is refused or unchanged, which is
/// right.
async fn expire(pipeline: &pipeline::Handle, tenant: TenantId, due: Vec<Due>) {
    let context = Arc::new(Context { actor: Text::parse("sweeper").ok(), ..Context::default() });
    let commands = due
        .into_iter()
        .map(|due| {
            let fresh = uuid::Uuid::now_v7();
            let action = match due {
                Due::Hold(id) => Action::ExpireReservation(ExpireReservation { id, ..ExpireReservation::default() }),
                Due::Entry(id) => Action::ExpireEntry(ExpireEntry { id, ..ExpireEntry::default() }),
            };
            Command::new(CommandId::from_key(&fresh.to_string()), Arc::clone(&context), vec![action], fresh)
        })
        .collect();
    for answer in pipeline.submit_many(tenant, commands).await {
        if let Err(error) = answer {
            tracing::warn!(%tenant, %error, "what has lapsed is not recorded yet");
        }
    }
}

/// Resolves when the process is told to stop: Ctrl-C or SIGTERM.
pub(crate) async fn told_to_stop() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
