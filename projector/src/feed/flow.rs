//! One tenant's events on their way to the broker.
//!
//! **Shape**: pages read ahead → [`super::message`] → a sliding window of messages not yet acknowledged → acknowledgements
//! awaited in order while the next messages go out → the cursor, moved over the acknowledged prefix by a task beside it.
//! **Correctness**: 1. Only what follows the cursor without a gap is published, in order. 2. The cursor never passes a
//! message that is not acknowledged: the first acknowledgement that fails ends the flow, and those after it count for
//! nothing. 3. Each move names the value it begins at; where that is not so, somebody else publishes or asked for all of it
//! again, and the flow ends, to begin anew at what is stored.

use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::read;
use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::message::Writer;
use super::{broker, cursor};
use crate::page::Ahead;
use crate::{Error, Leases, Options};

/// Messages of one tenant before its place goes to whoever waits.
const EVENTS_IN_A_ROW_MAX: i64 = 50_000;
/// Between two moves of the cursor: each is a transaction.
const MOVE_INTERVAL: Duration = Duration::from_millis(25);
/// Rows looked at in one go for the beginning of a command.
const LEAD_IN_ROWS: i64 = 256;

/// A tenant's flow, not running yet.
pub(super) struct Flow {
    pub(super) options: Options,
    pub(super) context: Context,
    pub(super) code: Arc<str>,
    pub(super) tenant: TenantId,
    /// Another projector's turn ends this one's.
    pub(super) leases: Leases,
    /// Publish nothing new.
    pub(super) stop: CancellationToken,
    /// The connection is gone: no acknowledgement will come.
    pub(super) lost: CancellationToken,
}

/// What is under way and how far it came.
struct Window {
    waiting: VecDeque<(Position, PublishAckFuture)>,
    /// Everything up to here is with the broker.
    acknowledged: Position,
    /// What the cursor's row holds, as far as is known.
    stored: Position,
    moving: Option<(Position, JoinHandle<Result<bool, Error>>)>,
    moved_at: Instant,
    /// The cursor was not where this flow had left it.
    is_overtaken: bool,
}

impl Flow {
    /// Publishes what follows the cursor until there is nothing more, or its turn is over.
    ///
    /// # Errors
    /// [`Error`]; the cursor stands after what was acknowledged.
    pub(super) async fn run(self, from: Position) -> Result<(), Error> {
        let mut window = Window::at(from);
        let published = self.publish(&mut window, from).await;
        let mut drained = Ok(());
        while drained.is_ok() && !window.waiting.is_empty() {
            drained = self.acknowledge_one(&mut window).await;
        }
        let moved = window.finish_moving(&self.options.pool, self.tenant).await;
        published.and(drained).and(moved)
    }

    async fn publish(&self, window: &mut Window, from: Position) -> Result<(), Error> {
        let pool = &self.options.pool;
        let limit = i64::try_from(self.options.publish_window).unwrap_or(i64::MAX);
        let mut ahead = Ahead::default();
        let mut writer = Writer::new(&self.code, self.tenant, self.context.client().server_info().max_payload);
        let mut last = from;
        let is_wanted = || !self.stop.is_cancelled() && self.leases.holds(self.tenant);
        while is_wanted() && !window.is_overtaken && last.saturating_sub(from) < EVENTS_IN_A_ROW_MAX {
            let page = ahead.take(pool, self.tenant, last, limit).await?;
            let Some(end) = page.events.last().map(|stored| stored.recorded.position) else { return Ok(()) };
            if page.is_full {
                ahead.start(pool, self.tenant, end, limit);
            }
            if last == from && page.events.first().is_some_and(|first| first.command.is_none()) {
                lead_in(pool, self.tenant, from, &mut writer).await?;
            }
            for stored in &page.events {
                while window.waiting.len() >= self.options.publish_window {
                    self.acknowledge_one(window).await?;
                }
                let message = writer.write(stored).map_err(broker)?;
                let position = stored.recorded.position;
                let sent = self.context.publish_with_headers(message.subject, message.headers, message.payload.into()).await;
                window.waiting.push_back((position, sent.map_err(|error| fault(position, &error))?));
            }
            last = end;
        }
        Ok(())
    }

    /// Waits for the oldest acknowledgement. A failure is the end of all behind it.
    async fn acknowledge_one(&self, window: &mut Window) -> Result<(), Error> {
        let Some((position, acknowledgement)) = window.waiting.pop_front() else { return Ok(()) };
        let done = tokio::select! {
            biased;
            done = async move { acknowledgement.await } => done.map_err(|error| fault(position, &error)),
            () = self.lost.cancelled() => Err(broker("the connection is lost")),
        };
        match done {
            Ok(done) => {
                window.acknowledged = position;
                metrics::counter!("ledger_published_messages_total").increment(1);
                if done.duplicate {
                    metrics::counter!("ledger_redelivered_messages_total").increment(1);
                }
                window.move_now_and_then(&self.options.pool, self.tenant).await
            }
            Err(error) => {
                window.waiting.clear();
                Err(error)
            }
        }
    }
}

impl Window {
    fn at(position: Position) -> Self {
        Self {
            waiting: VecDeque::new(),
            acknowledged: position,
            stored: position,
            moving: None,
            moved_at: Instant::now(),
            is_overtaken: false,
        }
    }

    /// Has the cursor follow, beside the publishing, no more often than [`MOVE_INTERVAL`].
    async fn move_now_and_then(&mut self, pool: &PgPool, tenant: TenantId) -> Result<(), Error> {
        if self.moved_at.elapsed() < MOVE_INTERVAL || self.moving.as_ref().is_some_and(|(_, task)| !task.is_finished()) {
            return Ok(());
        }
        self.moved().await?;
        self.start_moving(pool, tenant);
        Ok(())
    }

    /// Has the cursor stand after all that is acknowledged.
    async fn finish_moving(&mut self, pool: &PgPool, tenant: TenantId) -> Result<(), Error> {
        self.moved().await?;
        self.start_moving(pool, tenant);
        self.moved().await
    }

    /// In a task of its own: it holds a database call, so nothing may cut it short.
    fn start_moving(&mut self, pool: &PgPool, tenant: TenantId) {
        if self.is_overtaken || self.acknowledged <= self.stored {
            return;
        }
        let (pool, from, to) = (pool.clone(), self.stored, self.acknowledged);
        self.moving = Some((to, tokio::spawn(async move { cursor::move_from(&pool, tenant, from, to).await })));
        self.moved_at = Instant::now();
    }

    async fn moved(&mut self) -> Result<(), Error> {
        let Some((to, task)) = self.moving.take() else { return Ok(()) };
        if task.await.map_err(Error::Panic)?? {
            self.stored = to;
        } else {
            self.is_overtaken = true;
        }
        Ok(())
    }
}

/// What the events before a position that does not begin a command say of it: a message is the same whenever it is sent.
pub(crate) async fn lead_in(pool: &PgPool, tenant: TenantId, after: Position, writer: &mut Writer<'_>) -> Result<(), Error> {
    let mut end = after;
    while end > 0 {
        let begin = end.saturating_sub(LEAD_IN_ROWS).max(0);
        let rows = read::raw_page(pool, tenant, begin, end.saturating_sub(begin)).await?;
        if let Some(first) = rows.iter().rev().find(|row| row.command_id.is_some()) {
            writer.go_on(&first.decode()?, after);
            return Ok(());
        }
        end = begin;
    }
    Ok(())
}

/// A broker that fails is tried again, for all tenants; one that refuses a message stops its tenant.
fn fault(position: Position, error: &PublishError) -> Error {
    let refused = match error.kind() {
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending => false,
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::WrongLastSequence | PublishErrorKind::MaxPayloadExceeded => true,
        // A full disk and a missing leader are the server's (5xx); what is wrong with the message is ours (4xx).
        PublishErrorKind::Other => error
            .source()
            .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>())
            .is_some_and(|said| said.code() < 500),
    };
    if refused { Error::Refused { position, why: error.to_string() } } else { broker(error) }
}
