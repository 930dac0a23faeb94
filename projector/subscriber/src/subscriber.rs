//! The loop: messages in, gaps mended, effects kept.

use std::time::Duration;

use async_nats::jetstream::Message;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::event::Said;
use crate::feed::{self, broker};
use crate::log::Log;
use crate::{Error, Event, Store};

/// Pause after a failure, doubled up to the limit below.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The log may be read from a copy that is a moment behind the feed: so often it is asked again before it is taken for
/// another one.
const AHEAD_ATTEMPTS_MAX: u32 = 20;
/// Between two such attempts.
const AHEAD_PAUSE: Duration = Duration::from_millis(250);

/// What to follow, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Broker, such as `nats://user:password@host:4222`.
    pub nats_url: String,
    /// The ledger's API, such as `https://host:8080`.
    pub api_url: String,
    /// A key of the tenant.
    pub api_key: String,
    /// The tenant's code.
    pub tenant: String,
    /// Name of the durable consumer: one per effect, the same after every restart.
    pub durable: String,
    /// Messages on their way, not yet acknowledged. 1,000.
    pub in_flight_max: usize,
    /// Events handed to the store at once, at most: a large batch costs one commit. 500.
    pub batch_max: usize,
    /// After so long without a message the log is looked at, in case the broker lost its newest ones. 5 s.
    pub quiet_max: Duration,
}

impl Options {
    /// What suits most.
    #[must_use]
    pub fn new(nats_url: &str, api_url: &str, api_key: &str, tenant: &str, durable: &str) -> Self {
        Self {
            nats_url: nats_url.to_owned(),
            api_url: api_url.to_owned(),
            api_key: api_key.to_owned(),
            tenant: tenant.to_owned(),
            durable: durable.to_owned(),
            in_flight_max: 1_000,
            batch_max: 500,
            quiet_max: Duration::from_secs(5),
        }
    }
}

/// What happened on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that came over the broker.
    pub from_feed: u64,
    /// Events read from the log over HTTP.
    pub from_log: u64,
    /// Messages dropped because their position was there already.
    pub duplicates: u64,
    /// Times that a message was not the next one.
    pub gaps: u64,
    /// Times that the broker or the API failed and was tried again.
    pub failures: u64,
}

/// Follows a tenant's events.
#[derive(Debug)]
pub struct Subscriber<S> {
    options: Options,
    store: S,
    position: i64,
    counts: Counts,
}

impl<S: Store> Subscriber<S> {
    /// One that begins after the store's position.
    pub fn new(options: Options, store: S) -> Self {
        Self { options, store, position: 0, counts: Counts::default() }
    }

    /// Follows until told to stop; what was begun is finished. Answers what happened, and the store.
    ///
    /// # Errors
    /// An [`Error`] that waiting does not mend. What was applied before is kept.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(Counts, S), Error> {
        let log = Log::new(&self.options.api_url, &self.options.api_key)?;
        self.position = self.store.position().await.map_err(|e| Error::Store(Box::new(e)))?;
        let mut pause = PAUSE;
        let mut is_known = false;
        while !stop.is_cancelled() {
            let before = self.position;
            let done = async {
                if !is_known {
                    self.recognise(&log).await?;
                    is_known = true;
                }
                self.session(&log, &stop).await
            };
            match done.await {
                Ok(()) => break,
                Err(error) if !error.is_transient() => return Err(error),
                Err(error) => {
                    self.counts.failures += 1;
                    tracing::info!(position = self.position, %error, "following was interrupted");
                }
            }
            // Without the broker the log alone will do.
            match self.read_log(&log).await {
                Err(error) if !error.is_transient() => return Err(error),
                Ok(()) | Err(_) => {}
            }
            pause = if self.position > before { PAUSE } else { pause.saturating_mul(2).min(PAUSE_MAX) };
            tokio::select! { () = tokio::time::sleep(pause) => {} () = stop.cancelled() => {} }
        }
        Ok((self.counts, self.store))
    }

    /// The log must have what was applied before: else it is another one, and applying it would mix the two.
    async fn recognise(&mut self, log: &Log) -> Result<(), Error> {
        if self.position == 0 {
            return Ok(());
        }
        let before = self.position.saturating_sub(1);
        for _ in 0..AHEAD_ATTEMPTS_MAX {
            if !log.after(before).await?.data.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(AHEAD_PAUSE).await;
        }
        Err(Error::Ahead { seen: self.position, head: before })
    }

    /// From one connection to its end.
    async fn session(&mut self, log: &Log, stop: &CancellationToken) -> Result<(), Error> {
        let messages = feed::open(&self.options, self.position).await?;
        if messages.begins_at_end {
            self.read_log(log).await?;
        }
        let mut chunks = messages.stream.ready_chunks(self.options.batch_max);
        loop {
            let chunk = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                chunk = tokio::time::timeout(self.options.quiet_max, chunks.next()) => chunk,
            };
            match chunk {
                Ok(Some(chunk)) => {
                    let (messages, failure) = split(chunk);
                    self.take(log, &messages).await?;
                    if let Some(failure) = failure {
                        return Err(failure);
                    }
                }
                Ok(None) => return Err(broker("the subscription ended")),
                Err(_nothing_came) => self.read_log(log).await?,
            }
        }
    }

    /// Applies what is new in some messages, then acknowledges them all.
    async fn take(&mut self, log: &Log, messages: &[Message]) -> Result<(), Error> {
        let mut next: Vec<Event> = Vec::with_capacity(messages.len());
        for message in messages {
            let said = Said::parse(&message.payload)?;
            let last = next.last().map_or(self.position, |event| event.position);
            let position = said.position();
            if position <= last {
                self.counts.duplicates += 1;
                continue;
            }
            match said {
                Said::Whole(event) if position == last.saturating_add(1) => next.push(*event),
                Said::Whole(_) | Said::Reference(_) => {
                    self.counts.from_feed += self.apply(&std::mem::take(&mut next)).await?;
                    if position > self.position.saturating_add(1) {
                        self.counts.gaps += 1;
                        tracing::info!(after = self.position, position, "a gap, reading the log");
                    }
                    self.read_log_to(log, position).await?;
                }
            }
        }
        self.counts.from_feed += self.apply(&next).await?;
        match messages.last() {
            // Acknowledging the last one acknowledges those before it.
            Some(last) => last.ack().await.map_err(broker),
            None => Ok(()),
        }
    }

    /// Reads the log to its end.
    async fn read_log(&mut self, log: &Log) -> Result<(), Error> {
        loop {
            let page = log.after(self.position).await?;
            self.counts.from_log += self.apply(&page.data).await?;
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Reads the log as far as it takes to include a position.
    async fn read_log_to(&mut self, log: &Log, target: i64) -> Result<(), Error> {
        let mut attempts = 0;
        while self.position < target {
            let page = log.after(self.position).await?;
            if page.data.is_empty() {
                attempts += 1;
                if attempts >= AHEAD_ATTEMPTS_MAX {
                    return Err(Error::Ahead { seen: target, head: self.position });
                }
                tokio::time::sleep(AHEAD_PAUSE).await;
            }
            self.counts.from_log += self.apply(&page.data).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, events: &[Event]) -> Result<u64, Error> {
        let mut applied = 0;
        for batch in events.chunks(self.options.batch_max.max(1)) {
            self.store.apply(batch).await.map_err(|e| Error::Store(Box::new(e)))?;
            self.position = batch.last().map_or(self.position, |event| event.position);
            applied += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        }
        Ok(applied)
    }
}

type Came = Result<Message, async_nats::jetstream::consumer::pull::MessagesError>;

/// Messages up to the first failure.
fn split(chunk: Vec<Came>) -> (Vec<Message>, Option<Error>) {
    let mut messages = Vec::with_capacity(chunk.len());
    for one in chunk {
        match one {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, Some(broker(error))),
        }
    }
    (messages, None)
}
