//! One tenant's views: a page of its log into rows and cursor, in one transaction.
//!
//! **Correctness**: 1. The cursor moves from the value the rows in memory stand at, in the transaction that writes them.
//! Its generation is part of that value: rows of tables that were rebuilt meanwhile are loaded again, and whoever loads
//! them makes sure that this program may write them. 2. Memory counts only after that commit: it is taken out before a batch and put back after it, so an error or a panic
//! on the way leaves nothing half folded behind. 3. An event that does not fit stops the tenant exactly there; what stands
//! before it is shown.

use std::collections::HashSet;

use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{Position, Sku, TenantId};
use ledger_core::view::version;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};

use crate::Error;
use crate::page::Ahead;
use crate::sink::redis::Entry;
use crate::view::Tables;

/// Movements and postings of one transaction, about: a batch of large entries is cut.
const BATCH_ROWS_MAX: usize = 100_000;

/// Rows in memory, and the cursor they stand at.
#[derive(Debug)]
pub(crate) struct TenantViews {
    tenant: TenantId,
    tables: Tables,
    /// None: memory holds nothing.
    cursor: Option<Cursor>,
    ahead: Ahead,
}

/// Where stored rows stand.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    position: Position,
    /// Raised when rebuilt tables take the place of the old ones.
    generation: i64,
}

/// What one batch did.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Events folded; 0 when there was nothing, or another projector was faster.
    pub(crate) events: usize,
    /// The rows were not those in memory: another projector was faster, or they were rebuilt.
    pub(crate) is_outrun: bool,
    /// New values for the cache.
    pub(crate) entries: Vec<Entry>,
}

/// How much at once, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// Most events.
    pub(crate) events_max: i64,
    /// Values for the cache are wanted.
    pub(crate) is_cached: bool,
}

impl TenantViews {
    pub(crate) fn new(tenant: TenantId) -> Self {
        Self { tenant, tables: Tables::default(), cursor: None, ahead: Ahead::default() }
    }

    /// Whose they are.
    pub(crate) const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Rows in memory.
    pub(crate) fn rows(&self) -> usize {
        self.tables.rows()
    }

    /// Folds the next page, if there is one.
    ///
    /// # Errors
    /// [`Error`]; memory is dropped, the database is as before.
    pub(crate) async fn step(&mut self, pool: &PgPool, batch: Batch) -> Result<Step, Error> {
        let done = self.fold_page(pool, batch, Position::MAX).await;
        if let Err(Error::Misfit { position, .. }) = &done {
            let step = self.fold_page(pool, batch, *position).await?;
            if step.events > 0 {
                return Ok(step);
            }
        }
        done
    }

    /// Lets go of the page that was read ahead.
    pub(crate) fn forget_ahead(&mut self) {
        self.ahead = Ahead::default();
    }

    /// Folds the next page as far as the event before `end`.
    ///
    /// # Errors
    /// As [`TenantViews::step`].
    pub(crate) async fn fold_page(&mut self, pool: &PgPool, batch: Batch, end: Position) -> Result<Step, Error> {
        let (mut tables, cursor) = match self.cursor.take() {
            Some(cursor) => (std::mem::take(&mut self.tables), cursor),
            None => (Tables::default(), stored_cursor(pool, self.tenant).await?),
        };
        let wanted = end.saturating_sub(cursor.position).saturating_sub(1).min(batch.events_max);
        let page = self.ahead.take(pool, self.tenant, cursor.position, wanted).await?;
        let sound = page.events.into_iter().map(|s| s.recorded).take_while(|e| e.position < end);
        let (events, is_cut) = within_rows(sound, BATCH_ROWS_MAX);
        let Some((next, recorded_at)) = events.last().map(|e| (e.position, e.recorded_at)) else {
            // Nothing new: memory is as good as it was.
            (self.tables, self.cursor) = (tables, Some(cursor));
            return Ok(Step::default());
        };
        if (page.is_full || is_cut) && end.saturating_sub(next) > batch.events_max {
            self.ahead.start(pool, self.tenant, next, batch.events_max);
        }
        let mut tx = pool.begin().await?;
        // The first statement of the transaction, so that a slower projector waits here and then finds itself slower.
        let moved = sqlx::query(include_str!("tenant/move_cursor.sql"))
            .bind(self.tenant.0)
            .bind(cursor.position)
            .bind(next)
            .bind(recorded_at.0)
            .bind(cursor.generation)
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() != 1 {
            tx.rollback().await?;
            return Ok(Step { is_outrun: true, ..Step::default() });
        }
        reach_rows_by_key(&mut tx).await?;
        tables.load_for(&mut tx, self.tenant, &events).await?;
        for recorded in &events {
            tables.fold(recorded)?;
        }
        tables.write(&mut tx, self.tenant).await?;
        if batch.is_cached {
            tables.load_expiries(&mut tx, self.tenant).await?;
        }
        tx.commit().await?;
        let entries = if batch.is_cached { entries(self.tenant, &tables, next) } else { Vec::new() };
        tables.written();
        (self.tables, self.cursor) = (tables, Some(Cursor { position: next, ..cursor }));
        Ok(Step { events: events.len(), is_outrun: false, entries })
    }
}

/// As many events as give about so many movements and postings, at least one; whether there were more.
fn within_rows(events: impl Iterator<Item = Recorded>, rows_max: usize) -> (Vec<Recorded>, bool) {
    let (mut taken, mut rows) = (Vec::new(), 0_usize);
    for recorded in events {
        let event = &recorded.fact.event;
        let (held, freed, _) = event.pending();
        let more = event.movements().count() + event.postings().count() + held.len() + freed.len();
        rows = rows.saturating_add(more);
        if rows > rows_max && !taken.is_empty() {
            return (taken, true);
        }
        taken.push(recorded);
    }
    (taken, false)
}

/// Rows are reached by their full keys, whatever the statistics say of a tenant that is fresh or has grown.
async fn reach_rows_by_key(db: &mut PgConnection) -> Result<(), Error> {
    sqlx::query(include_str!("tenant/reach_rows_by_key.sql")).execute(db).await?;
    Ok(())
}

/// Values of everything that changed.
fn entries(tenant: TenantId, tables: &Tables, as_of: Position) -> Vec<Entry> {
    let skus: HashSet<Sku> = tables.changed_skus();
    let stock = skus.iter().filter_map(|sku| Entry::stock(tenant, sku, tables.stock(sku, as_of)?));
    let accounts =
        tables.changed_accounts().into_iter().filter_map(|code| Entry::account(tenant, code, tables.account(code, as_of)?));
    stock.chain(accounts).collect()
}

/// The cursor as stored; made at 0 for a tenant that has none.
async fn stored_cursor(pool: &PgPool, tenant: TenantId) -> Result<Cursor, Error> {
    let (views, versions) = version::columns();
    let mut tx = pool.begin().await?;
    sqlx::query(
        "INSERT INTO view_cursor (tenant_id, position, recorded_at) VALUES ($1, 0, 0) ON CONFLICT (tenant_id) DO NOTHING",
    )
    .bind(tenant.0)
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query(include_str!("tenant/stored_cursor.sql"))
        .bind(tenant.0)
        .bind(views)
        .bind(versions)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    match row.try_get::<Option<String>, _>(2)? {
        Some(newer) => Err(Error::Newer(newer)),
        None => Ok(Cursor { position: row.try_get(0)?, generation: row.try_get(1)? }),
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::event::{Event, Fact, Note, Posting};
    use ledger_core::domain::journal::event::JournalEntryPosted;
    use ledger_core::domain::time::Timestamp;

    use super::*;

    fn entry(position: Position, postings: usize) -> Recorded {
        let postings = vec![Posting::new("1".parse().unwrap(), 1); postings];
        let id = position.to_string().parse().unwrap();
        let event = Event::JournalEntryPosted(JournalEntryPosted {
            id,
            description: None,
            money: 2,
            postings,
            rates: None,
            number: None,
            exchange_difference: None,
        });
        let fact = Fact { event, effective_at: None, note: Note::default() };
        Recorded { position, stream: position, stream_version: 1, recorded_at: Timestamp(0), fact }
    }

    #[test]
    fn a_batch_is_cut_before_the_event_that_is_too_much_but_not_before_the_first() {
        let taken = |sizes: &[usize], rows_max| {
            let events = (1..).zip(sizes).map(|(position, size)| entry(position, *size));
            let (events, is_cut) = within_rows(events, rows_max);
            (events.len(), is_cut)
        };
        assert_eq!(taken(&[2, 2, 2], 6), (3, false));
        assert_eq!(taken(&[2, 2, 2], 5), (2, true));
        assert_eq!(taken(&[9, 2], 5), (1, true));
        assert_eq!(taken(&[9], 5), (1, false));
        assert_eq!(taken(&[], 5), (0, false));
    }
}
