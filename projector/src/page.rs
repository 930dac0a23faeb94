//! A page of a log as far as it can be read.
//!
//! **Correctness**: what is handed on follows the position before it without a gap. A row that does not decode or is not
//! the next one ends the page; what stands before it is sound and is handed on, and the fault comes up again, alone, when
//! the reader has got there. So a tenant stops exactly at its bad event, not a page before it.

use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::read::{self, Raw, Stored};
use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;

use crate::Error;

/// Events in order, and what ended them before their time.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) events: Vec<Stored>,
    /// There were as many rows as were asked for: there may be more.
    pub(crate) is_full: bool,
}

/// The events after a position, at most `limit`.
///
/// # Errors
/// [`Error`] when the database fails, or when the very next row is no event that can follow.
pub(crate) async fn read(pool: &PgPool, tenant: TenantId, after: Position, limit: i64) -> Result<Page, Error> {
    let rows = read::raw_page(pool, tenant, after, limit).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n >= limit);
    sound_prefix(&rows, after).map(|events| Page { events, is_full })
}

fn sound_prefix(rows: &[Raw], after: Position) -> Result<Vec<Stored>, Error> {
    let mut events = Vec::with_capacity(rows.len());
    let mut last = after;
    for row in rows {
        let next = match row.decode() {
            Ok(stored) if last.checked_add(1) == Some(row.position) => Ok(stored),
            Ok(_) => Err(Error::Misfit { position: row.position, what: "events before it are missing" }),
            Err(error) => Err(Error::Store(error.into())),
        };
        match next {
            Ok(stored) => events.push(stored),
            Err(error) if events.is_empty() => return Err(error),
            Err(_comes_up_again_when_it_is_next) => break,
        }
        last = row.position;
    }
    Ok(events)
}

/// The page that is read while the one before it is written.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Option<(Position, JoinHandle<Result<Page, Error>>)>);

impl Ahead {
    /// Starts to read in a task of its own: it holds a database call, so nothing may cut it short.
    pub(crate) fn start(&mut self, pool: &PgPool, tenant: TenantId, after: Position, limit: i64) {
        let pool = pool.clone();
        self.0 = Some((after, tokio::spawn(async move { read(&pool, tenant, after, limit).await })));
    }

    /// The page after a position: the one begun if it is that one, else a fresh one.
    ///
    /// # Errors
    /// As [`read()`].
    pub(crate) async fn take(&mut self, pool: &PgPool, tenant: TenantId, after: Position, limit: i64) -> Result<Page, Error> {
        if let Some((from, task)) = self.0.take()
            && from == after
            && let Ok(done) = task.await
        {
            return done;
        }
        read(pool, tenant, after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::time::Timestamp;

    use super::*;

    fn row(position: Position, type_number: i16) -> Raw {
        Raw {
            tenant: TenantId(1),
            position,
            stream: 1,
            stream_version: position,
            recorded_at: Timestamp(0),
            effective_at: None,
            type_number,
            schema_version: 1,
            leaf_check: 0,
            // A location's definition: code, name, kind, retired.
            payload: vec![0x84, 0x61, b'A', 0x61, b'A', 0x00, 0xf4],
            command_id: None,
            fingerprint: None,
            stream_key: None,
            meta: None,
        }
    }

    fn positions(rows: &[Raw], after: Position) -> Result<Vec<Position>, String> {
        let events = sound_prefix(rows, after).map_err(|e| e.to_string())?;
        Ok(events.iter().map(|s| s.recorded.position).collect())
    }

    #[test]
    fn a_page_ends_before_what_cannot_be_read_or_does_not_follow() {
        assert_eq!(positions(&[row(3, 4), row(4, 5)], 2), Ok(vec![3, 4]));
        assert_eq!(positions(&[row(3, 4), row(4, 99), row(5, 5)], 2), Ok(vec![3]));
        assert_eq!(positions(&[row(3, 4), row(5, 5)], 2), Ok(vec![3]));
        assert!(positions(&[row(4, 99)], 3).is_err());
        assert!(positions(&[row(5, 5)], 3).is_err());
        assert_eq!(positions(&[], 3), Ok(Vec::new()));
    }
}
