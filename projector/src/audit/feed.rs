//! What the broker keeps of a tenant's events against the log: each message is the one this program would publish, and
//! between the first and the last none is missing.
//!
//! **Shape**: an ordered consumer that exists as long as this looks → messages, a batch at a time → the log at their
//! positions, written as messages again → compared.
//! **Correctness**: a message may be there twice (it is published at least once), but every copy must be equal. What the
//! broker is sent meanwhile is not looked at: the look ends at the message that was last when it began.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use futures::StreamExt;
use ledger_core::audit::replay::Finding;
use ledger_core::domain::id::Position;
use ledger_core::store::read;
use ledger_core::store::tenant::Tenant;
use sqlx::postgres::PgPool;

use super::{Compared, Report};
use crate::Error;
use crate::feed::{self, POSITION, STREAM, Writer};

/// Messages looked at together.
const BATCH_MESSAGES: usize = 2_000;
/// Positions read from the log together.
const BATCH_POSITIONS: Position = 4_000;
/// Longest wait for a message that the broker said it has.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);
/// The word for every finding here.
const INVARIANT: &str = "feed_equals_log";
/// Gaps told one by one.
const GAPS_MAX: usize = 20;

/// A broker that is away is said and not counted.
///
/// # Errors
/// [`Error`] of the database.
pub(super) async fn compare(pool: &PgPool, url: &str, tenant: &Tenant, report: &mut Report) -> Result<(), Error> {
    let mut look = Look { pool, tenant, code: feed::token(&tenant.code), seen: Seen::default(), findings: Vec::new() };
    match look.look(url).await {
        Ok(()) => {}
        Err(Error::Broker(why)) => {
            report.skipped("feed", format!("the broker could not be asked: {why}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    look.find_gaps();
    let Look { seen, findings, .. } = look;
    findings.into_iter().for_each(|finding| report.found(finding));
    let note = match (seen.runs.first_key_value(), seen.runs.last_key_value()) {
        (Some((first, _)), Some((_, last))) => format!("messages, of positions {first} to {last}"),
        _none => "the stream has none of the tenant's messages".to_owned(),
    };
    report.compared.push(Compared { what: "feed", count: Some(seen.messages), position: None, note: Some(note) });
    Ok(())
}

/// Messages that were there.
#[derive(Default)]
struct Seen {
    messages: u64,
    /// Positions without a gap: the first of each run, and its last.
    runs: BTreeMap<Position, Position>,
}

impl Seen {
    fn add(&mut self, position: Position) {
        self.messages = self.messages.saturating_add(1);
        let before = self.runs.range(..=position).next_back().map(|(first, last)| (*first, *last));
        let (first, mut last) = match before {
            Some((_, last)) if last >= position => return,
            Some((first, last)) if last.saturating_add(1) == position => (first, position),
            _not_adjacent => (position, position),
        };
        if let Some(end) = self.runs.remove(&position.saturating_add(1)) {
            last = end;
        }
        self.runs.insert(first, last);
    }
}

/// A message as the broker keeps it.
struct Kept {
    /// The stream's own number of it.
    sequence: u64,
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
}

struct Look<'a> {
    pool: &'a PgPool,
    tenant: &'a Tenant,
    code: String,
    seen: Seen,
    findings: Vec<Finding>,
}

fn broker(error: impl std::fmt::Display) -> Error {
    Error::Broker(error.to_string())
}

impl Look<'_> {
    async fn look(&mut self, url: &str) -> Result<(), Error> {
        let client = feed::connect(url).await?;
        let payload_max = client.server_info().max_payload;
        let stream = jetstream::new(client).get_stream(STREAM).await.map_err(broker)?;
        let subject = format!("ledger.{}.>", self.code);
        let Some(last) = last_sequence(&stream, &subject).await? else { return Ok(()) };
        let config = OrderedConfig { filter_subject: subject, ..OrderedConfig::default() };
        let mut messages = stream.create_consumer(config).await.map_err(broker)?.messages().await.map_err(broker)?;
        let mut batch = Vec::new();
        loop {
            let next = tokio::time::timeout(MESSAGE_TIME_MAX, messages.next()).await.map_err(broker)?;
            let message = next.ok_or_else(|| broker("the messages ended"))?.map_err(broker)?;
            let sequence = message.info().map_err(broker)?.stream_sequence;
            if sequence <= last {
                let (subject, headers) = (message.subject.to_string(), message.headers.clone().unwrap_or_default());
                batch.push(Kept { sequence, subject, headers, payload: message.payload.to_vec() });
            }
            let is_end = sequence >= last;
            if batch.len() >= BATCH_MESSAGES || is_end {
                self.compare_batch(std::mem::take(&mut batch), payload_max).await?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    async fn compare_batch(&mut self, batch: Vec<Kept>, payload_max: usize) -> Result<(), Error> {
        let mut placed: Vec<(Position, Kept)> = Vec::with_capacity(batch.len());
        for message in batch {
            let position = message.headers.get(POSITION).and_then(|p| p.as_str().parse().ok());
            match position {
                Some(position) => placed.push((position, message)),
                None => self.find(0, format!("message {} of the stream names no position", message.sequence)),
            }
        }
        placed.sort_by_key(|(position, ..)| *position);
        let mut rest = placed.as_slice();
        while let Some((first, ..)) = rest.first() {
            // Those that stand close together are read together.
            let end = rest.iter().position(|(at, ..)| at.saturating_sub(*first) >= BATCH_POSITIONS).unwrap_or(rest.len());
            let (near, far) = rest.split_at(end);
            self.compare_near(near, payload_max).await?;
            rest = far;
        }
        Ok(())
    }

    async fn compare_near(&mut self, near: &[(Position, Kept)], payload_max: usize) -> Result<(), Error> {
        let (Some((first, ..)), Some((last, ..))) = (near.first(), near.last()) else { return Ok(()) };
        let after = first.saturating_sub(1);
        let rows = read::raw_page(self.pool, self.tenant.id, after, last.saturating_sub(after)).await?;
        let mut writer = Writer::new(&self.code, self.tenant.id, payload_max);
        if rows.first().is_some_and(|row| row.command_id.is_none()) {
            // A log that is damaged there has been told of already.
            let _ = feed::lead_in(self.pool, self.tenant.id, after, &mut writer).await;
        }
        let mut expected = BTreeMap::new();
        for row in &rows {
            let written = row.decode().ok().and_then(|stored| writer.write(&stored).ok());
            expected.insert(row.position, written);
        }
        for (position, message) in near {
            let sequence = message.sequence;
            self.seen.add(*position);
            match expected.get(position) {
                None => {
                    self.find(*position, format!("message {sequence} of the stream is of a position that the log does not have"))
                }
                Some(None) => {}
                Some(Some(written)) => {
                    if let Some(part) = difference(written, message) {
                        let what = format!(
                            "message {sequence} of the stream is not what is published of this event: its {part} differs"
                        );
                        self.find(*position, what);
                    }
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, position: Position, what: String) {
        if self.findings.len() < super::report::FINDINGS_MAX {
            self.findings.push(Finding::new(position, INVARIANT, what));
        }
    }

    fn find_gaps(&mut self) {
        let runs: Vec<(Position, Position)> = self.seen.runs.iter().map(|(first, last)| (*first, *last)).collect();
        for pair in runs.windows(2).take(GAPS_MAX) {
            let [(_, before), (after, _)] = *pair else { continue };
            let (first, last) = (before.saturating_add(1), after.saturating_sub(1));
            let what =
                format!("the stream lacks the messages of positions {first} to {last}; `ledgerd republish` sends them again");
            self.findings.push(Finding { until: Some(last), ..Finding::new(first, INVARIANT, what) });
        }
    }
}

/// The stream's sequence of a subject's newest message.
async fn last_sequence(stream: &Stream, subject: &str) -> Result<Option<u64>, Error> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message.sequence)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(broker(error)),
    }
}

/// Which part of a message is not as it would be written.
fn difference(written: &feed::Message, kept: &Kept) -> Option<&'static str> {
    if kept.subject != written.subject {
        return Some("subject");
    }
    if kept.payload != written.payload {
        return Some("body");
    }
    let is_kept = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
        values.first().map(HeaderValue::as_str) == kept.headers.get(name.clone()).map(HeaderValue::as_str)
    };
    (!written.headers.iter().all(is_kept)).then_some("headers")
}

/// Compares the newest message of a tenant alone.
///
/// # Errors
/// [`Error`].
pub(super) async fn look_at_last(pool: &PgPool, url: &str, tenant: &Tenant) -> Result<Vec<Finding>, Error> {
    let mut look = Look { pool, tenant, code: feed::token(&tenant.code), seen: Seen::default(), findings: Vec::new() };
    let client = feed::connect(url).await?;
    let payload_max = client.server_info().max_payload;
    let stream = jetstream::new(client).get_stream(STREAM).await.map_err(broker)?;
    let subject = format!("ledger.{}.>", look.code);
    let last = match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(last) => last,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(Vec::new()),
        Err(error) => return Err(broker(error)),
    };
    let (sequence, subject, payload) = (last.sequence, last.subject.to_string(), last.payload.to_vec());
    look.compare_batch(vec![Kept { sequence, subject, headers: last.headers, payload }], payload_max).await?;
    Ok(look.findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_seen_in_any_order_become_runs() {
        let mut seen = Seen::default();
        for position in [3, 4, 1, 7, 5, 2, 4, 9, 8] {
            seen.add(position);
        }
        assert_eq!(seen.runs, BTreeMap::from([(1, 5), (7, 9)]));
        assert_eq!(seen.messages, 9);
    }
}
