//! The append: one statement, one round trip, one commit for a batch of many tenants' commands.
//!
//! **Shape**: [`Batch`] (columns, built command by command) → `append.sql` → a [`Verdict`] per tenant.
//! **Correctness**: 1. Positions come from the head row, locked and compared inside the statement: position order is
//! commit order, a rollback gives the numbers back, a stale writer gets [`Verdict::Conflict`]. 2. Command ids and
//! stream names are looked up in the same statement before anything is written, so a known one refuses its tenant's
//! part by name and harms no other tenant's. 3. The unique keys on (stream, version), command id and stream name stand
//! behind that: were the checks wrong, the statement would fail rather than write twice.

use rustc_hash::FxHashMap;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Error;
use super::command_log::QuietRow;
use crate::domain::id::{CommandId, Position, TenantId};
use crate::domain::time::Timestamp;

/// Columns of one statement.
#[derive(Debug, Default)]
pub struct Batch {
    heads: Heads,
    events: Events,
    quiet: Quiet,
}

#[derive(Debug, Default)]
struct Heads {
    tenant: Vec<i64>,
    expected: Vec<i64>,
    next: Vec<i64>,
    recorded_at: Vec<i64>,
    frontier: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Events {
    tenant: Vec<i64>,
    position: Vec<i64>,
    stream: Vec<i64>,
    stream_version: Vec<i64>,
    recorded_at: Vec<i64>,
    effective_at: Vec<Option<i64>>,
    type_number: Vec<i16>,
    schema_version: Vec<i16>,
    leaf_check: Vec<i32>,
    payload: Vec<Vec<u8>>,
    command_id: Vec<Option<Uuid>>,
    fingerprint: Vec<Option<Uuid>>,
    stream_key: Vec<Option<Uuid>>,
    meta: Vec<Option<Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Quiet {
    tenant: Vec<i64>,
    command_id: Vec<Uuid>,
    position: Vec<i64>,
    recorded_at: Vec<i64>,
    fingerprint: Vec<Uuid>,
    answer: Vec<Vec<u8>>,
}

/// One event's row.
#[derive(Debug)]
#[allow(missing_docs, reason = "the columns of the table event")]
pub struct EventRow {
    pub position: Position,
    pub stream: i64,
    pub stream_version: i64,
    pub recorded_at: Timestamp,
    pub effective_at: Option<Timestamp>,
    pub type_number: i16,
    pub schema_version: i16,
    pub leaf_check: i32,
    pub payload: Vec<u8>,
    pub command: Option<(CommandId, [u8; 16], Vec<u8>)>,
    pub stream_key: Option<[u8; 16]>,
}

/// What became of one tenant's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Written and durable.
    Appended,
    /// The head is not where it was thought to be; nothing of the tenant's was written.
    Conflict,
    /// Some commands were answered before, or some streams exist; nothing of the tenant's was written.
    Known {
        /// Commands with an answer in the log.
        commands: Vec<CommandId>,
        /// Streams (by the 16-byte key of their name) that are not new.
        streams: Vec<[u8; 16]>,
    },
}

/// What the statement said.
#[derive(Debug)]
pub struct Verdicts {
    /// The database's clock when the statement ran.
    pub clock: Timestamp,
    /// Per tenant of the batch.
    pub tenants: FxHashMap<TenantId, Verdict>,
}

impl Batch {
    /// The head of one tenant: where it is thought to be and where it goes (the same place if nothing but answers is
    /// written). Call once per tenant.
    pub fn head(&mut self, tenant: TenantId, expected: Position, next: Position, recorded_at: Timestamp, frontier: Vec<u8>) {
        let h = &mut self.heads;
        h.tenant.push(tenant.0);
        h.expected.push(expected);
        h.next.push(next);
        h.recorded_at.push(recorded_at.0);
        h.frontier.push(frontier);
    }

    /// One event.
    pub fn event(&mut self, tenant: TenantId, row: EventRow) {
        let e = &mut self.events;
        e.tenant.push(tenant.0);
        e.position.push(row.position);
        e.stream.push(row.stream);
        e.stream_version.push(row.stream_version);
        e.recorded_at.push(row.recorded_at.0);
        e.effective_at.push(row.effective_at.map(|t| t.0));
        e.type_number.push(row.type_number);
        e.schema_version.push(row.schema_version);
        e.leaf_check.push(row.leaf_check);
        e.payload.push(row.payload);
        e.stream_key.push(row.stream_key.map(Uuid::from_bytes));
        let (id, fingerprint, meta) = match row.command {
            Some((id, fingerprint, meta)) => (Some(Uuid::from_bytes(id.0)), Some(Uuid::from_bytes(fingerprint)), Some(meta)),
            None => (None, None, None),
        };
        e.command_id.push(id);
        e.fingerprint.push(fingerprint);
        e.meta.push(meta);
    }

    /// The answer of a command that made no event.
    pub fn answer(&mut self, row: QuietRow, answer: Vec<u8>) {
        let q = &mut self.quiet;
        q.tenant.push(row.tenant.0);
        q.command_id.push(Uuid::from_bytes(row.id.0));
        q.position.push(row.position);
        q.recorded_at.push(row.recorded_at.0);
        q.fingerprint.push(Uuid::from_bytes(row.fingerprint));
        q.answer.push(answer);
    }

    /// Rows it would write.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.events.tenant.len().saturating_add(self.quiet.tenant.len())
    }
}

/// Writes the batch, or says per tenant why not.
///
/// # Errors
/// [`Error`]; its [`outcome`](Error::outcome) tells whether the batch may have been written all the same.
pub async fn append(connection: &mut PgConnection, batch: &Batch) -> Result<Verdicts, Error> {
    let (h, e, q) = (&batch.heads, &batch.events, &batch.quiet);
    let rows = sqlx::query(include_str!("append.sql"))
        .bind(&h.tenant)
        .bind(&h.expected)
        .bind(&h.next)
        .bind(&h.recorded_at)
        .bind(&h.frontier)
        .bind(&e.tenant)
        .bind(&e.position)
        .bind(&e.stream)
        .bind(&e.stream_version)
        .bind(&e.recorded_at)
        .bind(&e.effective_at)
        .bind(&e.type_number)
        .bind(&e.schema_version)
        .bind(&e.payload)
        .bind(&e.command_id)
        .bind(&e.fingerprint)
        .bind(&e.stream_key)
        .bind(&e.meta)
        .bind(&q.tenant)
        .bind(&q.command_id)
        .bind(&q.position)
        .bind(&q.recorded_at)
        .bind(&q.fingerprint)
        .bind(&q.answer)
        .bind(&e.leaf_check)
        .fetch_all(connection)
        .await?;
    let mut verdicts =
        Verdicts { clock: Timestamp::default(), tenants: h.tenant.iter().map(|t| (TenantId(*t), Verdict::Conflict)).collect() };
    for row in rows {
        let (verdict, tenant): (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
        match verdict {
            0 => verdicts.clock = Timestamp(row.try_get(2)?),
            1 => {
                verdicts.tenants.insert(TenantId(tenant), Verdict::Appended);
            }
            3 | 4 => note_known(&mut verdicts, TenantId(tenant), verdict == 3, row.try_get::<Uuid, _>(3)?.into_bytes()),
            _the_head_itself => {}
        }
    }
    Ok(verdicts)
}

fn note_known(verdicts: &mut Verdicts, tenant: TenantId, is_command: bool, id: [u8; 16]) {
    let verdict = verdicts.tenants.entry(tenant).or_insert(Verdict::Conflict);
    if !matches!(verdict, Verdict::Known { .. }) {
        *verdict = Verdict::Known { commands: Vec::new(), streams: Vec::new() };
    }
    if let Verdict::Known { commands, streams } = verdict {
        if is_command { commands.push(CommandId(id)) } else { streams.push(id) }
    }
}
