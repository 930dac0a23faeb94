//! Sends events to endpoints outside.
//!
//! **Shape**: [`fan_out`] finds endpoints that are behind their tenant's log and makes a job for each; the job's handler
//! ([`Deliver`]) reads the log after the endpoint's cursor, page by page, and posts what the endpoint wants: the same
//! CloudEvents as on the broker, signed as Standard Webhooks says.
//! **Correctness**: 1. In position order, one at a time per endpoint, from committed events only. 2. At least once: the cursor
//! moves over what was taken, a few deliveries at a time; a node that dies in between has those repeated. The id of a message
//! is that of its event, so a receiver can tell. 3. A failed delivery is repeated after a pause that doubles, and what comes
//! after it waits: an endpoint that is down gets everything, in order, when it is back. 4. When the same delivery failed
//! [`HOLD_ATTEMPTS`] times, the next one is tried: if that is taken, the endpoint is well and cannot take this one event, which
//! is set aside (`parked`) and tried again ever more rarely for days, then given up (`dead`) and kept listed; the others go on.
//! If the next one fails too, the endpoint is down, and nothing is set aside. 5. An endpoint that has taken nothing for
//! [`DISABLE_AFTER`], or says 410 Gone, is switched off, loudly; switched on again it goes on where it was.

mod send;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::outward::Allow;
use ledger_core::store::job::{self, NewJob, Priority};
use ledger_core::store::read::Stored;
use ledger_core::store::webhook::{self, Failed, PARKED_MAX, Webhook};
use ledger_core::store::{self, read, tenant};
use serde_json::json;
use sqlx::postgres::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::feed::flow::lead_in;
use crate::feed::message;
use crate::job::{Failure, Handler, Outcome, Task, doubled, jittered};
use crate::{Error, Leases, page};
use send::{Envelope, Refusal, Sender};

/// The kind of [`Deliver`].
pub const WEBHOOK: &str = "webhook";
/// Between two looks for endpoints that are behind.
const POLL: Duration = Duration::from_millis(200);
/// Endpoints found in one look.
const DUE_MAX: i64 = 500;
/// Events of one page.
const PAGE_EVENTS: i64 = 500;
/// Bytes of a message; a larger event is named by where it can be read.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// The cursor is moved at the latest after so many deliveries, or so much time: what a killed node repeats.
const SAVE_DELIVERIES: usize = 50;
/// See [`SAVE_DELIVERIES`].
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// A job's share of time; an endpoint with more to come gets another one, behind those that wait.
const RUN_TIME_MAX: Duration = Duration::from_secs(30);
/// Failed attempts after which a later event is tried.
pub const HOLD_ATTEMPTS: i32 = 3;
/// Pages looked through for a later event that the endpoint wants.
const PROBE_PAGES_MAX: usize = 20;
/// Longest pause of an endpoint that is down.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// A delivery that was set aside waits this many times the first pause, and twice as long each further time …
const PARKED_PAUSES: u32 = 60;
/// … up to this …
const PARKED_PAUSE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// … and is given up after so many attempts: with a first pause of five seconds, after four days.
const PARKED_ATTEMPTS_MAX: i32 = HOLD_ATTEMPTS + 11;
/// Deliveries set aside that one run tries again.
const PARKED_AT_ONCE: i64 = 100;
/// An endpoint that takes nothing for this long is switched off.
pub const DISABLE_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hosts and networks that messages may go to though they are not public.
    pub allow: Allow,
    /// Pause after the first failed attempt.
    pub pause: Duration,
}

impl Options {
    /// Public endpoints only; the first repetition after five seconds.
    #[must_use]
    pub fn standard() -> Self {
        Self { allow: Allow::default(), pause: Duration::from_secs(5) }
    }
}

/// Makes a job for each endpoint that has something to be sent, until stopped: for the tenants this projector works for. That
/// only spares the others the looking; a second job for an endpoint is not made, whoever asks.
pub async fn fan_out(pool: PgPool, leases: Leases, nudged: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match wake_due(&pool, &leases).await {
            Ok(0) => {}
            Ok(_) => nudged.notify_one(),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for endpoints that are behind failed");
            }
        }
        tokio::select! { () = tokio::time::sleep(POLL) => {} () = stop.cancelled() => {} }
    }
}

async fn wake_due(pool: &PgPool, leases: &Leases) -> Result<usize, store::Error> {
    let mut due = webhook::due(pool, WEBHOOK, DUE_MAX).await?;
    due.retain(|(tenant, _)| leases.holds(*tenant));
    for (tenant, id) in &due {
        let payload = json!({ "webhook": id }).to_string();
        let job = NewJob { priority: Priority::Urgent, unique_key: Some(id), ..NewJob::new(WEBHOOK, &payload) };
        job::enqueue(pool, *tenant, &job).await?;
    }
    Ok(due.len())
}

/// What a job is asked to do with an endpoint.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    webhook: String,
    /// Send it a message that says nothing.
    #[serde(default)]
    test: bool,
    /// Send it events again.
    replay: Option<Span>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    after: Position,
    to: Position,
}

/// Sends an endpoint what it is to get.
#[derive(Debug)]
pub struct Deliver {
    sender: Sender,
    pause: Duration,
}

impl Deliver {
    /// One for all endpoints: connections are kept for a while.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { sender: Sender::new(options.allow), pause: options.pause }
    }

    async fn deliver(&self, task: &Task) -> Outcome {
        let payload: Payload =
            serde_json::from_value(task.payload.clone()).map_err(|error| Failure::ForGood(error.to_string()))?;
        let Some(hook) = webhook::find(&task.pool, task.tenant, &payload.webhook).await? else { return Ok(None) };
        let Some(tenant) = tenant::find(&task.pool, task.tenant).await? else { return Ok(None) };
        let secrets = webhook::secrets(&task.pool, task.tenant, &hook.id).await?;
        let code = message::token(&tenant.code);
        let round = Round { task, sender: &self.sender, pause: self.pause, hook: &hook, secrets, code };
        match payload.replay {
            _ if payload.test => round.test().await,
            Some(span) => round.replay(span).await,
            None if hook.definition.enabled => round.drain().await,
            None => Ok(None),
        }
    }
}

impl Handler for Deliver {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        Box::pin(self.deliver(task))
    }
}

/// One job's work for one endpoint.
struct Round<'a> {
    task: &'a Task,
    sender: &'a Sender,
    pause: Duration,
    hook: &'a Webhook,
    secrets: Vec<Vec<u8>>,
    code: String,
}

/// How far a page was sent.
enum Sent {
    /// To its end.
    Whole,
    /// The endpoint is to be left alone, or somebody else delivers, or the time is over.
    NoFurther,
}

/// The cursor with what was taken since it was last written down.
struct Cursor {
    at: Position,
    taken: Vec<Position>,
    saved_at: Instant,
    /// Taken out of order, when an earlier one was not.
    ahead: Option<Position>,
}

impl Round<'_> {
    const fn of(&self) -> (TenantId, &str) {
        (self.task.tenant, self.hook.id.as_str())
    }

    /// Writes the messages that follow a position: the same as if it had written those before.
    async fn writer(&self, after: Position) -> Result<message::Writer<'_>, Failure> {
        let mut writer = message::Writer::new(&self.code, self.task.tenant, MESSAGE_BYTES_MAX);
        lead_in(&self.task.pool, self.task.tenant, after, &mut writer).await?;
        Ok(writer)
    }

    fn wants(&self, stored: &Stored) -> bool {
        let event = &stored.recorded.fact.event;
        self.hook.definition.wants(event.type_name(), event.category().as_str(), &event.subject().to_string())
    }

    /// Sends the event that is next for its writer.
    async fn send(&self, writer: &mut message::Writer<'_>, stored: &Stored) -> Result<Result<u16, Refusal>, Failure> {
        let message = writer.write(stored).map_err(|error| Failure::again(&error))?;
        let id = format!("{}:{}", self.task.tenant, stored.recorded.position);
        let sent = self.post(&id, &message.payload).await;
        let word = if sent.is_ok() { "taken" } else { "refused" };
        metrics::counter!("ledger_webhook_attempts_total", "outcome" => word).increment(1);
        Ok(sent)
    }

    /// Sends an event out of the order.
    async fn send_one(&self, stored: &Stored) -> Result<Result<u16, Refusal>, Failure> {
        let mut writer = self.writer(stored.recorded.position.saturating_sub(1)).await?;
        self.send(&mut writer, stored).await
    }

    async fn post(&self, id: &str, body: &[u8]) -> Result<u16, Refusal> {
        self.sender.send(Envelope { url: &self.hook.definition.url, id, body, secrets: &self.secrets }).await
    }

    /// A message that says nothing but that it came.
    async fn test(&self) -> Outcome {
        let id = format!("test:{}", self.task.id);
        let body = json!({
            "specversion": "1.0", "id": id, "source": format!("/tenants/{}", self.code), "type": "ledger.test",
            "datacontenttype": "application/json", "data": {"webhook": self.hook.id},
        });
        let started = Instant::now();
        let answer = self.post(&id, body.to_string().as_bytes()).await;
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Some(match answer {
            Ok(status) => json!({"delivered": true, "status": status, "took_ms": took_ms}),
            Err(refusal) => {
                json!({"delivered": false, "status": refusal.http_status, "error": refusal.why, "took_ms": took_ms})
            }
        }))
    }

    /// Events of a span once more, beside what goes out anyway; after a failure from where it was.
    async fn replay(&self, span: Span) -> Outcome {
        let task = self.task;
        let mut at = span.after.max(task.progress.done());
        let mut writer = self.writer(at).await?;
        while at < span.to {
            let page = page::read(&task.pool, task.tenant, at, PAGE_EVENTS).await?;
            if page.events.is_empty() {
                break;
            }
            for stored in page.events.iter().take_while(|s| s.recorded.position <= span.to) {
                task.go_on()?;
                if !self.wants(stored) {
                    writer.skip(stored);
                } else if let Err(refusal) = self.send(&mut writer, stored).await? {
                    task.save_progress().await?;
                    return Err(Failure::Again(format!("position {}: {}", stored.recorded.position, refusal.why)));
                }
                task.progress.set(stored.recorded.position, Some(span.to));
            }
            at = page.events.last().map_or(span.to, |s| s.recorded.position);
            task.save_progress().await?;
        }
        Ok(Some(json!({"after": span.after, "to": span.to})))
    }

    /// What was set aside and is due, then everything after the cursor.
    async fn drain(&self) -> Outcome {
        self.send_parked().await?;
        let (task, until) = (self.task, Instant::now() + RUN_TIME_MAX);
        let now = read::clock(&task.pool).await?;
        if self.hook.next_at.is_some_and(|at| at > now) {
            // What was set aside was due, the endpoint's next delivery is not.
            return Ok(None);
        }
        let mut cursor = Cursor { at: self.hook.position, taken: Vec::new(), saved_at: Instant::now(), ahead: None };
        let mut writer = self.writer(cursor.at).await?;
        let mut after = cursor.at;
        loop {
            let page = match page::read(&task.pool, task.tenant, after, PAGE_EVENTS).await {
                Ok(page) => page,
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => return self.unreadable(&error).await,
            };
            let Some(last) = page.events.last() else { return Ok(None) };
            after = last.recorded.position;
            match self.send_page(&page.events, &mut cursor, &mut writer, until).await? {
                Sent::Whole => {}
                Sent::NoFurther => return Ok(None),
            }
        }
    }

    async fn send_page(
        &self,
        events: &[Stored],
        cursor: &mut Cursor,
        writer: &mut message::Writer<'_>,
        until: Instant,
    ) -> Result<Sent, Failure> {
        let mut position = cursor.at;
        for (at, stored) in events.iter().enumerate() {
            position = stored.recorded.position;
            if cursor.ahead == Some(position) {
                writer.skip(stored);
                cursor.taken.push(position);
            } else if !self.wants(stored) {
                writer.skip(stored);
            } else {
                match self.send(writer, stored).await? {
                    Ok(_) => cursor.taken.push(position),
                    Err(refusal) => {
                        let before = position.saturating_sub(1);
                        let later = events.get(at.saturating_add(1)..).unwrap_or_default();
                        if !self.save(cursor, before).await? || !self.set_back(stored, &refusal, later, cursor).await? {
                            return Ok(Sent::NoFurther);
                        }
                    }
                }
            }
            let is_over = self.task.stop.is_cancelled() || Instant::now() >= until;
            let is_due = is_over || cursor.taken.len() >= SAVE_DELIVERIES || cursor.saved_at.elapsed() >= SAVE_INTERVAL;
            if is_due && (!self.save(cursor, position).await? || is_over) {
                self.task.go_on()?;
                return Ok(Sent::NoFurther);
            }
        }
        Ok(if self.save(cursor, position).await? { Sent::Whole } else { Sent::NoFurther })
    }

    /// Writes the cursor down; false when somebody else moved it and goes on, or the endpoint was switched off or moved.
    async fn save(&self, cursor: &mut Cursor, to: Position) -> Result<bool, Failure> {
        cursor.saved_at = Instant::now();
        if to <= cursor.at {
            return Ok(true);
        }
        let url = &self.hook.definition.url;
        let goes_on = webhook::move_from(&self.task.pool, self.of(), cursor.at, to, &cursor.taken, url).await?;
        cursor.at = to;
        cursor.taken.clear();
        Ok(goes_on)
    }

    /// What a refusal means for the endpoint. True: this event is set aside, go on behind it.
    async fn set_back(&self, stored: &Stored, refusal: &Refusal, later: &[Stored], cursor: &mut Cursor) -> Result<bool, Failure> {
        let (pool, of) = (&self.task.pool, self.of());
        if refusal.is_gone() {
            return self.disable("it answered 410 Gone").await.map(|()| false);
        }
        let attempt = if cursor.at == self.hook.position { self.hook.failures.saturating_add(1) } else { 1 };
        let pause = jittered(doubled(self.pause, attempt, PAUSE_MAX)).max(refusal.retry_after.unwrap_or_default());
        let noted = webhook::note_failure(pool, of, &refusal.why, micros(pause)).await?;
        let Some((failures, seconds)) = noted else { return Ok(false) };
        tracing::info!(tenant = %of.0, webhook = of.1, failures, why = refusal.why, "an endpoint did not take an event");
        if u64::try_from(seconds).is_ok_and(|s| s >= DISABLE_AFTER.as_secs()) {
            return self.disable(&format!("it took nothing for {seconds} seconds: {}", refusal.why)).await.map(|()| false);
        }
        if failures < HOLD_ATTEMPTS || self.hook.parked.saturating_add(self.hook.dead) >= PARKED_MAX {
            return Ok(false);
        }
        let Some(taken) = self.probe(stored, later).await? else { return Ok(false) };
        let position = stored.recorded.position;
        self.park(position, failures, refusal).await?;
        cursor.ahead = Some(taken);
        tracing::warn!(tenant = %of.0, webhook = of.1, position, why = refusal.why, "an event is set aside: a later one was taken");
        self.save(cursor, position).await
    }

    /// Tries the next event that the endpoint wants; its position if it was taken.
    async fn probe(&self, stored: &Stored, later: &[Stored]) -> Result<Option<Position>, Failure> {
        if let Some(next) = later.iter().find(|s| self.wants(s)) {
            return self.send_one(next).await.map(|sent| sent.is_ok().then_some(next.recorded.position));
        }
        let mut after = later.last().unwrap_or(stored).recorded.position;
        for _ in 0..PROBE_PAGES_MAX {
            let page = page::read(&self.task.pool, self.task.tenant, after, PAGE_EVENTS).await?;
            let Some(last) = page.events.last() else { break };
            if let Some(next) = page.events.iter().find(|s| self.wants(s)) {
                return self.send_one(next).await.map(|sent| sent.is_ok().then_some(next.recorded.position));
            }
            after = last.recorded.position;
        }
        Ok(None)
    }

    /// Sets a delivery aside until later, or gives it up.
    async fn park(&self, position: Position, attempts: i32, refusal: &Refusal) -> Result<(), Failure> {
        let further = attempts.saturating_sub(HOLD_ATTEMPTS).saturating_add(1);
        let pause = doubled(self.pause.saturating_mul(PARKED_PAUSES), further, PARKED_PAUSE_MAX);
        let is_given_up = attempts >= PARKED_ATTEMPTS_MAX;
        let failed = Failed {
            position,
            attempts,
            http_status: refusal.http_status.and_then(|status| i16::try_from(status).ok()),
            error: &refusal.why,
            pause_micros: (!is_given_up).then(|| micros(jittered(pause))),
        };
        webhook::park(&self.task.pool, self.of(), &failed).await?;
        if is_given_up {
            tracing::error!(tenant = %self.task.tenant, webhook = self.hook.id, position, why = refusal.why, "a delivery is given up");
            metrics::counter!("ledger_webhook_given_up_total").increment(1);
        }
        Ok(())
    }

    /// Tries again what was set aside and is due.
    async fn send_parked(&self) -> Result<(), Failure> {
        let task = self.task;
        for delivery in webhook::parked_due(&task.pool, self.of(), PARKED_AT_ONCE).await? {
            task.go_on()?;
            let before = delivery.position.saturating_sub(1);
            let page = page::read(&task.pool, task.tenant, before, 1).await?;
            let Some(stored) = page.events.first() else { continue };
            match self.send_one(stored).await? {
                Ok(_) => webhook::note_taken(&task.pool, self.of(), delivery.position).await?,
                Err(refusal) => {
                    self.park(delivery.position, delivery.attempts.saturating_add(1), &refusal).await?;
                    // Nobody is there: the others need not be tried now.
                    if refusal.http_status.is_none() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    async fn disable(&self, why: &str) -> Result<(), Failure> {
        webhook::disable(&self.task.pool, self.of(), why).await?;
        tracing::error!(tenant = %self.task.tenant, webhook = self.hook.id, why, "an endpoint is switched off");
        metrics::counter!("ledger_webhooks_disabled_total").increment(1);
        Ok(())
    }

    /// The log itself cannot be read any further: the endpoint waits, as everything of this tenant does.
    async fn unreadable(&self, error: &Error) -> Outcome {
        tracing::error!(tenant = %self.task.tenant, webhook = self.hook.id, error = error as &dyn std::error::Error, "the log cannot be sent");
        webhook::note_failure(&self.task.pool, self.of(), "the log cannot be read", micros(PAUSE_MAX)).await?;
        Ok(None)
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
