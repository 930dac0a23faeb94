//! The event feed over NATS JetStream.
//!
//! **Shape**: per tenant: log after `feed_cursor` → [`message`] → publish, a window at a time → acknowledgements in order →
//! the cursor moves over the contiguous acknowledged prefix. Several tenants at once, each in a task of its own.
//! **Correctness**: 1. A message is made from a committed event only. 2. Positions are published in order per tenant; after
//! any failure publishing begins again at the cursor, so a message may come twice, never not at all. The broker drops
//! duplicates by `Nats-Msg-Id` within its window; beyond it a subscriber does, by position: they have no gaps. 3. The
//! cursor is moved from the value the window began at, so [`republish`] holds even while a window is under way. 4. A log
//! that cannot be read stops its own tenant's feed, exactly before the bad event. 5. A broker that is away, idle or not, is
//! noticed; one that came back with less than it had acknowledged is sent what is missing at its end ([`rewind`]).

mod cursor;
pub(crate) mod message;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::tenant;
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use cursor::republish;

use crate::{Error, Options, page};

/// Name of the stream.
pub const STREAM: &str = "LEDGER";
/// Pause after the broker failed, doubled up to the limit below.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the acknowledgements of one window.
const ACK_TIME_MAX: Duration = Duration::from_secs(10);
/// The broker remembers message ids this long.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// A tenant whose log cannot be read is tried again after this long.
const STOPPED_PAUSE: Duration = Duration::from_secs(10);

fn broker(error: impl std::fmt::Display) -> Error {
    Error::Broker(error.to_string())
}

/// Publishes until stopped. `ok` tells whether the broker answers.
pub(crate) async fn run(options: Options, url: String, ok: watch::Sender<bool>, stop: CancellationToken) {
    let mut pause = PAUSE;
    while !stop.is_cancelled() {
        let Err(error) = publish(&options, &url, &ok, &stop).await else { return };
        if ok.send_replace(false) {
            tracing::warn!(error = &error as &dyn std::error::Error, "publishing stopped, will go on from the cursor");
            pause = PAUSE;
        }
        metrics::counter!("ledger_publish_failures_total").increment(1);
        tokio::select! { () = tokio::time::sleep(pause) => {} () = stop.cancelled() => {} }
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

async fn publish(options: &Options, url: &str, ok: &watch::Sender<bool>, stop: &CancellationToken) -> Result<(), Error> {
    let client = connect(url).await?;
    let context = jetstream::new(client);
    let stream = ensure_stream(&context).await?;
    let mut codes = codes(&options.pool).await?;
    rewind(&options.pool, &stream, &codes, stop).await?;
    ok.send_replace(true);
    let mut paused: HashMap<TenantId, Instant> = HashMap::new();
    while !stop.is_cancelled() {
        // An idle connection says nothing when it ends.
        if context.client().connection_state() != State::Connected {
            return Err(broker("the connection is lost"));
        }
        paused.retain(|_, until| *until > Instant::now());
        let mut behind = cursor::behind(&options.pool).await?;
        let lag = behind.iter().fold(0_i64, |sum, b| sum.saturating_add(b.head.saturating_sub(b.cursor)));
        metrics::gauge!("ledger_publish_lag_events").set(u32::try_from(lag).unwrap_or(u32::MAX));
        behind.retain(|b| !paused.contains_key(&b.tenant));
        if behind.is_empty() {
            tokio::select! { () = tokio::time::sleep(options.poll_interval) => {} () = stop.cancelled() => {} }
            continue;
        }
        if behind.iter().any(|b| !codes.contains_key(&b.tenant)) {
            codes = self::codes(&options.pool).await?;
        }
        behind.truncate(options.tenants_at_once);
        for tenant in windows(options, &context, &codes, behind).await? {
            paused.insert(tenant, Instant::now() + STOPPED_PAUSE);
        }
    }
    Ok(())
}

async fn codes(pool: &PgPool) -> Result<HashMap<TenantId, Arc<str>>, Error> {
    Ok(tenant::list(pool).await?.into_iter().map(|t| (t.id, message::token(&t.code).into())).collect())
}

/// Makes the stream if it is not there, as after its loss.
async fn ensure_stream(context: &Context) -> Result<Stream, Error> {
    let config = Config {
        name: STREAM.to_owned(),
        subjects: vec!["ledger.>".to_owned()],
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    let stream = context.get_or_create_stream(config).await.map_err(broker)?;
    // Old servers accept what they do not know and drop it: look at what came of it.
    let made = &stream.cached_info().config;
    if made.duplicate_window != DUPLICATE_WINDOW || made.storage != StorageType::File {
        tracing::warn!(config = ?made, "the stream {STREAM} is not as it should be");
    }
    Ok(stream)
}

/// Takes cursors back to the last message the broker has, where that is an earlier one: acknowledged messages at the end
/// are what a broker without syncing loses in a power cut. A stream that has none of a tenant's messages was purged or is
/// new: that is for `republish`, because filling it again may not be wanted.
async fn rewind(
    pool: &PgPool,
    stream: &Stream,
    codes: &HashMap<TenantId, Arc<str>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    for (tenant, position) in cursor::all(pool).await? {
        let Some(code) = codes.get(&tenant).filter(|_| position > 0) else { continue };
        if stop.is_cancelled() {
            return Ok(());
        }
        let last = match stream.get_last_raw_message_by_subject(&format!("ledger.{code}.>")).await {
            Ok(message) => message.headers.get(message::POSITION).and_then(|p| p.as_str().parse::<Position>().ok()),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(broker(error)),
        };
        match last {
            Some(last) if last < position => {
                tracing::warn!(%tenant, position, last, "the broker lost acknowledged messages, publishing them again");
                cursor::move_from(pool, tenant, position, last).await?;
            }
            Some(_) => {}
            None => {
                tracing::warn!(%tenant, position, "the stream has none of the tenant's messages up to here; republish fills it")
            }
        }
    }
    Ok(())
}

/// One window of each of some tenants. Answers those whose log cannot be read.
async fn windows(
    options: &Options,
    context: &Context,
    codes: &HashMap<TenantId, Arc<str>>,
    behind: Vec<cursor::Behind>,
) -> Result<HashSet<TenantId>, Error> {
    let mut tasks = JoinSet::new();
    for b in behind {
        if let Some(code) = codes.get(&b.tenant) {
            let (options, context, code) = (options.clone(), context.clone(), Arc::clone(code));
            tasks.spawn(async move { (b.tenant, window(&options, &context, &code, b).await) });
        }
    }
    let mut stopped = HashSet::new();
    let mut failed = None;
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok((_, Ok(()))) => {}
            Ok((_, Err(error))) if error.is_transient() => failed = Some(error),
            Ok((tenant, Err(error))) => {
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "the tenant's feed is stopped");
                metrics::counter!("ledger_publish_stops_total").increment(1);
                stopped.insert(tenant);
            }
            Err(panic) => failed = Some(Error::Panic(panic)),
        }
    }
    failed.map_or(Ok(stopped), Err)
}

/// Publishes a window of one tenant's events and moves its cursor over those acknowledged.
async fn window(options: &Options, context: &Context, code: &str, at: cursor::Behind) -> Result<(), Error> {
    let limit = i64::try_from(options.publish_window).unwrap_or(i64::MAX);
    let page = page::read(&options.pool, at.tenant, at.cursor, limit).await?;
    let mut writer = message::Writer::new(code, at.tenant, context.client().server_info().max_payload);
    let mut acknowledgements = Vec::with_capacity(page.events.len());
    let mut failed = None;
    for stored in &page.events {
        let message = writer.write(stored).map_err(broker)?;
        match context.publish_with_headers(message.subject, message.headers, message.payload.into()).await {
            Ok(acknowledgement) => acknowledgements.push((stored.recorded.position, acknowledgement)),
            Err(error) => {
                failed = Some(broker(error));
                break;
            }
        }
    }
    let mut acknowledged = at.cursor;
    let deadline = tokio::time::Instant::now() + ACK_TIME_MAX;
    for (position, acknowledgement) in acknowledgements {
        // Giving up the wait for a message gives up nothing but the wait: the cursor stays before it.
        match tokio::time::timeout_at(deadline, async move { acknowledgement.await }).await {
            Ok(Ok(_)) => acknowledged = position,
            Ok(Err(error)) => {
                failed = failed.or(Some(broker(error)));
                break;
            }
            Err(_) => {
                failed = failed.or_else(|| Some(broker("no acknowledgement in time")));
                break;
            }
        }
    }
    if acknowledged > at.cursor && cursor::move_from(&options.pool, at.tenant, at.cursor, acknowledged).await? {
        let count = acknowledged.saturating_sub(at.cursor);
        metrics::counter!("ledger_published_messages_total").increment(u64::try_from(count).unwrap_or(0));
    }
    failed.map_or(Ok(()), Err)
}
