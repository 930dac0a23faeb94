//! The event feed over NATS JetStream.
//!
//! **Shape**: heads and cursors → tenants with news → a [`flow`] each, several at once: pages of the log → [`message`] →
//! JetStream → acknowledgements in order → the tenant's cursor. What is known of it all goes into a [`State`].
//! **Correctness**: 1. A message is made from a committed event only, and is the same whenever it is made. 2. Positions are
//! published in order per tenant, by one flow at a time; after any failure publishing begins again at the cursor, so a
//! message may come twice, never not at all. The broker drops duplicates by `Nats-Msg-Id` within its window; beyond it a
//! subscriber does, by position: they have no gaps. 3. The cursor is moved from the value it is known to have, so
//! [`republish`] holds even while a flow is under way, and two projectors on one tenant do no harm. 4. A tenant whose log
//! cannot be read, or whose message the broker refuses, stops alone, exactly before that event; a slow one takes up one
//! place, and gives it back after its turn. 5. A broker that is away, idle or not, is noticed; one that came back with less
//! than it had acknowledged is sent what is missing at its end ([`stream::rewind`]).

mod cursor;
mod durability;
pub(crate) mod flow;
pub(crate) mod message;
mod stream;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::connection::State as Connection;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::{read, tenant};
use sqlx::postgres::PgPool;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) use flow::lead_in;
pub(crate) use message::{Message, POSITION, Writer, token};

pub use cursor::{progress, republish};
pub use durability::{Durability, look as look_at_durability};
pub use stream::messages;

use crate::{Error, Leases, Options, stop};

/// Name of the stream.
pub const STREAM: &str = "LEDGER";
/// Pause after the broker failed, doubled up to the limit below.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest wait for an acknowledgement.
const ACK_TIME_MAX: Duration = Duration::from_secs(10);
/// A tenant whose log cannot be read, or whose message is refused, is tried again after this long.
const STOPPED_PAUSE: Duration = Duration::from_secs(10);
/// A tenant whose flow failed for a reason that passes is tried again after this long.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at how old the oldest unpublished event is.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

fn broker(error: impl std::fmt::Display) -> Error {
    Error::Broker(error.to_string())
}

/// How the feed is, for health answers and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What is known of the broker's syncing; none before it was reached.
    pub durability: Option<Durability>,
    /// Events recorded and not yet published, over all tenants.
    pub lag_events: i64,
    /// Events recorded and not yet published, of the tenant furthest behind.
    pub worst_lag_events: i64,
    /// Age of that tenant's oldest unpublished event.
    pub worst_lag_seconds: i64,
    /// Tenants whose feed cannot go on.
    pub stopped: BTreeSet<TenantId>,
}

/// What the loop is given.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) options: Options,
    pub(crate) url: String,
    /// Which tenants it publishes.
    pub(crate) leases: Leases,
    /// Whether the broker answers.
    pub(crate) ok: watch::Sender<bool>,
    pub(crate) state: watch::Sender<State>,
    /// There is work: do not wait for the next look.
    pub(crate) nudged: Arc<Notify>,
    pub(crate) stop: CancellationToken,
}

/// Publishes until stopped.
pub(crate) async fn run(part: Part) {
    let mut pause = PAUSE;
    while !part.stop.is_cancelled() {
        let Err(error) = connected(&part).await else { return };
        if part.ok.send_replace(false) {
            tracing::warn!(error = &error as &dyn std::error::Error, "publishing stopped, will go on from the cursors");
            pause = PAUSE;
        } else {
            tracing::debug!(error = &error as &dyn std::error::Error, "the broker cannot be used yet");
        }
        metrics::counter!("ledger_publish_failures_total").increment(1);
        tokio::select! { () = tokio::time::sleep(pause) => {} () = part.stop.cancelled() => {} }
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

/// Connects to the broker; a name and password may stand in the URL, which the client library does not look at.
///
/// # Errors
/// [`Error::Broker`].
pub async fn connect(url: &str) -> Result<async_nats::Client, Error> {
    let address: async_nats::ServerAddr = url.parse().map_err(broker)?;
    let mut options =
        async_nats::ConnectOptions::new().name("ledgerd").connection_timeout(Duration::from_secs(2)).max_reconnects(1);
    if let (Some(user), Some(password)) = (address.username(), address.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    options.connect(address).await.map_err(broker)
}

/// From one connection to its end.
async fn connected(part: &Part) -> Result<(), Error> {
    let client = connect(&part.url).await?;
    note_durability(part, durability::look(&client, part.options.nats_monitor_url.as_deref()).await)?;
    let in_flight_max = part.options.publish_window.saturating_mul(part.options.tenants_at_once);
    let context = ContextBuilder::new().timeout(ACK_TIME_MAX).max_ack_inflight(in_flight_max).build(client);
    let stream = stream::ensure(&context).await?;
    let codes = codes(&part.options.pool).await?;
    stream::rewind(&part.options.pool, &stream, &codes, &part.stop).await?;
    part.ok.send_replace(true);
    let mut flows = Flows::new(part, context, codes);
    let done = flows.keep_going().await;
    flows.finish(done.is_err()).await;
    done
}

/// Says what came out, once; refuses a broker that is not known to sync where that is demanded.
fn note_durability(part: &Part, found: Durability) -> Result<(), Error> {
    let is_news = part.state.borrow().durability.as_ref() != Some(&found);
    part.state.send_modify(|state| state.durability = Some(found.clone()));
    let refuses = part.options.feed_requires_sync && found != Durability::Synced;
    if is_news && found != Durability::Synced {
        if refuses {
            tracing::error!(broker = %found.sentence(), "nothing is published, for syncing is required");
        } else {
            tracing::warn!(broker = %found.sentence(), "the feed is a copy that can be published again");
        }
    }
    if refuses { Err(broker(found.sentence())) } else { Ok(()) }
}

async fn codes(pool: &PgPool) -> Result<HashMap<TenantId, Arc<str>>, Error> {
    Ok(tenant::list(pool).await?.into_iter().map(|t| (t.id, message::token(&t.code).into())).collect())
}

/// A tenant whose flow has ended, and how.
type Done = (TenantId, Result<Result<(), Error>, JoinError>);

/// The flows over one connection.
struct Flows<'a> {
    part: &'a Part,
    context: Context,
    codes: HashMap<TenantId, Arc<str>>,
    running: JoinSet<Done>,
    active: HashSet<TenantId>,
    paused: HashMap<TenantId, Instant>,
    /// When each tenant had its last turn: whoever waited longest comes first.
    turns: HashMap<TenantId, u64>,
    turn: u64,
    /// The connection is gone.
    lost: CancellationToken,
    lag_looked_at: Option<Instant>,
}

impl<'a> Flows<'a> {
    fn new(part: &'a Part, context: Context, codes: HashMap<TenantId, Arc<str>>) -> Self {
        Self {
            part,
            context,
            codes,
            running: JoinSet::new(),
            active: HashSet::new(),
            paused: HashMap::new(),
            turns: HashMap::new(),
            turn: 0,
            lost: CancellationToken::new(),
            lag_looked_at: None,
        }
    }

    /// Starts flows and takes them back until told to stop, or until the broker fails.
    async fn keep_going(&mut self) -> Result<(), Error> {
        let part = self.part;
        while !part.stop.is_cancelled() {
            // An idle connection says nothing when it ends.
            if self.context.client().connection_state() != Connection::Connected {
                return Err(broker("the connection is lost"));
            }
            // The broker's connection outlives an outage of the database.
            if let Err(error) = self.look().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for what to publish failed");
            }
            tokio::select! {
                Some(done) = self.running.join_next() => self.take_back(done).await?,
                () = tokio::time::sleep(part.options.poll_interval) => {}
                () = part.nudged.notified() => {}
                () = part.stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Waits for every flow; without a connection they have nothing to wait for themselves.
    async fn finish(&mut self, is_lost: bool) {
        if is_lost {
            self.lost.cancel();
        }
        while let Some(done) = self.running.join_next().await {
            if let Err(error) = self.take_back(done).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a flow ended with the connection");
            }
        }
    }

    /// Finds tenants with news and gives each a flow, while there are places.
    async fn look(&mut self) -> Result<(), Error> {
        let pool = &self.part.options.pool;
        let mut behind = cursor::behind(pool).await?;
        self.note_lag(&behind).await?;
        let now = Instant::now();
        self.paused.retain(|_, until| *until > now);
        let leases = &self.part.leases;
        behind.retain(|b| leases.holds(b.tenant) && !self.active.contains(&b.tenant) && !self.paused.contains_key(&b.tenant));
        if behind.iter().any(|b| !self.codes.contains_key(&b.tenant)) {
            self.codes = codes(pool).await?;
        }
        behind.sort_by_key(|b| (self.turns.get(&b.tenant).copied(), b.tenant));
        for b in behind {
            if self.active.len() >= self.part.options.tenants_at_once {
                break;
            }
            let Some(code) = self.codes.get(&b.tenant).map(Arc::clone) else { continue };
            self.start(b, code);
        }
        Ok(())
    }

    fn start(&mut self, behind: cursor::Behind, code: Arc<str>) {
        let flow = flow::Flow {
            options: self.part.options.clone(),
            context: self.context.clone(),
            code,
            tenant: behind.tenant,
            leases: self.part.leases.clone(),
            stop: self.part.stop.clone(),
            lost: self.lost.clone(),
        };
        self.turn = self.turn.saturating_add(1);
        self.turns.insert(behind.tenant, self.turn);
        self.active.insert(behind.tenant);
        let task = tokio::spawn(flow.run(behind.cursor));
        self.running.spawn(async move { (behind.tenant, task.await) });
    }

    /// What became of a flow.
    ///
    /// # Errors
    /// [`Error::Broker`]: then it is the same for all.
    async fn take_back(&mut self, done: Result<Done, JoinError>) -> Result<(), Error> {
        let (tenant, done) = done.map_err(Error::Panic)?;
        self.active.remove(&tenant);
        let done = done.unwrap_or_else(|panic| Err(Error::Panic(panic)));
        let mut stopped = false;
        let result = match done {
            Ok(()) => Ok(()),
            Err(error @ Error::Broker(_)) => return Err(error),
            Err(error) if error.is_transient() => {
                tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "publishing failed, will be tried again");
                self.paused.insert(tenant, Instant::now() + FAILED_PAUSE);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "the tenant's feed is stopped");
                metrics::counter!("ledger_publish_stops_total").increment(1);
                stop::note(&self.part.options.pool, tenant, stop::Part::Feed, &error).await;
                self.paused.insert(tenant, Instant::now() + STOPPED_PAUSE);
                stopped = true;
                Ok(())
            }
        };
        self.note_stopped(tenant, stopped);
        result
    }

    fn note_stopped(&self, tenant: TenantId, is_stopped: bool) {
        self.part.state.send_if_modified(
            |state| {
                if is_stopped { state.stopped.insert(tenant) } else { state.stopped.remove(&tenant) }
            },
        );
        let stopped = u32::try_from(self.part.state.borrow().stopped.len()).unwrap_or(u32::MAX);
        metrics::gauge!("ledger_publish_stopped_tenants").set(stopped);
    }

    /// How far the feed is behind: events at every look, the age of the oldest of them now and then.
    async fn note_lag(&mut self, behind: &[cursor::Behind]) -> Result<(), Error> {
        let worst = behind.iter().max_by_key(|b| b.lag());
        let (all, most) = (behind.iter().fold(0_i64, |sum, b| sum.saturating_add(b.lag())), worst.map_or(0, cursor::Behind::lag));
        let mut seconds = None;
        if worst.is_none() {
            seconds = Some(0);
        } else if self.lag_looked_at.is_none_or(|at| at.elapsed() >= LAG_INTERVAL) {
            self.lag_looked_at = Some(Instant::now());
            seconds = Some(age(&self.part.options.pool, worst).await?);
        }
        let gauge = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        metrics::gauge!("ledger_publish_lag_events").set(gauge(all));
        metrics::gauge!("ledger_publish_lag_worst_events").set(gauge(most));
        if let Some(seconds) = seconds {
            metrics::gauge!("ledger_publish_lag_worst_seconds").set(gauge(seconds));
        }
        self.part.state.send_if_modified(|state| {
            let before = (state.lag_events, state.worst_lag_events, state.worst_lag_seconds);
            (state.lag_events, state.worst_lag_events) = (all, most);
            state.worst_lag_seconds = seconds.unwrap_or(state.worst_lag_seconds);
            before != (state.lag_events, state.worst_lag_events, state.worst_lag_seconds)
        });
        Ok(())
    }
}

/// Seconds since the first event a tenant's feed lacks was recorded, by the database's clock.
async fn age(pool: &PgPool, worst: Option<&cursor::Behind>) -> Result<i64, Error> {
    let Some(worst) = worst else { return Ok(0) };
    let after: Position = worst.cursor;
    let oldest = read::raw_page(pool, worst.tenant, after, 1).await?;
    let Some(oldest) = oldest.first() else { return Ok(0) };
    let now = read::clock(pool).await?;
    Ok(now.0.saturating_sub(oldest.recorded_at.0).max(0) / 1_000_000)
}
