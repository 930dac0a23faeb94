//! A whole log, read as fast as it can be: several parts at once, handed on in order.
//!
//! **Shape**: [`Log::open`] → as many tasks as asked for, each a part of [`PART_POSITIONS`] by binary COPY, hashed and
//! decoded where it is read → [`Log::next`] → [`Read`]s in the order of the log.
//! **Correctness**: 1. A part is a range of positions, and every position up to the last asked for is in exactly one: what
//! is missing is missing in the database. 2. The first part begins before position 1, so rows that stand where none may
//! stand are read too. 3. At most one part per task is in memory beside the one handed on. 4. No task is cut short: a log
//! that is dropped lets them end by themselves.

use std::collections::VecDeque;

use futures::StreamExt;
use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;

use super::Error;
use crate::audit::leaf;
use crate::audit::row::Read;
use crate::domain::id::{Position, TenantId};

/// Positions of one part: large beside a round trip, small beside what may be in memory.
const PART_POSITIONS: i64 = 8_192;
/// What a binary COPY begins with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Columns of a row.
const COLUMNS: i16 = 14;

/// A log being read.
#[derive(Debug)]
pub struct Log {
    pool: PgPool,
    tenant: TenantId,
    /// Where the next part begins.
    after: Position,
    until: Position,
    tasks: usize,
    ahead: VecDeque<JoinHandle<Result<Vec<Read>, Error>>>,
}

impl Log {
    /// A tenant's log after a position (0: from its beginning) and up to another, read by so many tasks at once; each takes
    /// a connection of the pool while it reads.
    #[must_use]
    pub fn open(pool: &PgPool, tenant: TenantId, after: Position, until: Position, tasks: usize) -> Self {
        let mut log = Self { pool: pool.clone(), tenant, after, until, tasks: tasks.max(1), ahead: VecDeque::new() };
        log.read_ahead();
        log
    }

    fn read_ahead(&mut self) {
        while self.ahead.len() < self.tasks && self.after < self.until {
            let to = self.after.saturating_add(PART_POSITIONS).min(self.until);
            // What stands before the first position is nobody's, and has to come up.
            let from = if self.after <= 0 { Position::MIN } else { self.after };
            let (pool, tenant) = (self.pool.clone(), self.tenant);
            self.ahead.push_back(tokio::spawn(async move { part(&pool, tenant, from, to).await }));
            self.after = to;
        }
    }

    /// The next part; `None` after the last. A part of which the database has nothing is empty.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn next(&mut self) -> Result<Option<Vec<Read>>, Error> {
        let Some(part) = self.ahead.pop_front() else { return Ok(None) };
        let rows = part.await.map_err(|panic| Error::Database(sqlx::Error::Protocol(panic.to_string())))??;
        self.read_ahead();
        Ok(Some(rows))
    }
}

/// Rows of some positions.
async fn part(pool: &PgPool, tenant: TenantId, after: Position, until: Position) -> Result<Vec<Read>, Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT set_config('ledger.tenant', $1, true), set_config('ledger.after', $2, true), set_config('ledger.until', $3, true)")
        .bind(tenant.0.to_string())
        .bind(after.to_string())
        .bind(until.to_string())
        .execute(&mut *tx)
        .await?;
    let mut rows = Vec::new();
    let mut scratch = Vec::new();
    let mut is_first = true;
    let mut stream = tx.copy_out_raw(include_str!("log.sql")).await?;
    while let Some(message) = stream.next().await {
        let message = message?;
        let mut bytes = message.as_ref();
        if std::mem::take(&mut is_first) {
            bytes = header(bytes).ok_or_else(malformed)?;
        }
        while let Some(after_count) = row_follows(&mut bytes).ok_or_else(malformed)? {
            let (row, leaf_check, rest) = fields(after_count).ok_or_else(malformed)?;
            rows.push(Read::new(&row, leaf_check, &mut scratch));
            bytes = rest;
        }
    }
    drop(stream);
    tx.rollback().await?;
    Ok(rows)
}

fn malformed() -> Error {
    Error::Database(sqlx::Error::Protocol("a COPY of the log is not as the manual describes it".to_owned()))
}

/// What follows the header.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(SIGNATURE)?;
    let (_flags, rest) = rest.split_at_checked(4)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)
}

/// Steps over a row's number of columns: `Some(None)` at the end, `None` when it is not ours.
#[allow(clippy::option_option, reason = "the end of the data and bytes that are no COPY are two things")]
fn row_follows<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    if bytes.is_empty() {
        return Some(None);
    }
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    match i16::from_be_bytes(*count) {
        -1 if rest.is_empty() => Some(None),
        COLUMNS => Some(Some(rest)),
        _another_table => None,
    }
}

/// One row's columns and what follows them.
fn fields(mut bytes: &[u8]) -> Option<(leaf::Row<'_>, i32, &[u8])> {
    let b = &mut bytes;
    let row = leaf::Row {
        tenant: number(b)?,
        position: number(b)?,
        stream: number(b)?,
        stream_version: number(b)?,
        recorded_at: number(b)?,
        effective_at: match field(b)? {
            None => None,
            Some(bytes) => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
        },
        type_number: i16::from_be_bytes(field(b)??.try_into().ok()?),
        schema_version: i16::from_be_bytes(field(b)??.try_into().ok()?),
        payload: &[],
        command_id: None,
        fingerprint: None,
        stream_key: None,
        meta: None,
    };
    let leaf_check = i32::from_be_bytes(field(b)??.try_into().ok()?);
    let row = leaf::Row {
        payload: field(b)??,
        command_id: uuid(b)?,
        fingerprint: uuid(b)?,
        stream_key: uuid(b)?,
        meta: field(b)?,
        ..row
    };
    Some((row, leaf_check, bytes))
}

/// The next column: `Some(None)` for NULL, `None` when the bytes end.
#[allow(clippy::option_option, reason = "NULL and the end of the bytes are two things")]
fn field<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = i32::from_be_bytes(*length);
    if length == -1 {
        *bytes = rest;
        return Some(None);
    }
    let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(value))
}

fn number(bytes: &mut &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(field(bytes)??.try_into().ok()?))
}

#[allow(clippy::option_option, reason = "NULL and the end of the bytes are two things")]
fn uuid<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8; 16]>> {
    match field(bytes)? {
        None => Some(None),
        Some(value) => Some(Some(value.try_into().ok()?)),
    }
}
