//! Reading a log for who did what: some runs of it, a stream backwards, and the commands that events belong to.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::PgConnection;
use uuid::Uuid;

use super::Error;
use super::read::{Raw, StoredCommand, columns, raws};
use crate::domain::event::stream_key;
use crate::domain::id::{Position, TenantId};

/// An event's row and the command that made it.
#[derive(Clone, Debug)]
pub struct Deed {
    /// The row.
    pub row: Raw,
    /// None for an event that belongs to no command, which this program never writes.
    pub command: Option<Arc<StoredCommand>>,
}

/// Every event of some runs, in order.
///
/// # Errors
/// [`Error`].
pub async fn runs(db: &mut PgConnection, tenant: TenantId, runs: &[i64]) -> Result<Vec<Deed>, Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM unnest($2::bigint[]) AS r (run) CROSS JOIN LATERAL (SELECT * FROM event WHERE tenant_id = $1 ",
        "AND position > r.run * 256 AND position <= r.run * 256 + 256 ORDER BY position LIMIT 256) e ORDER BY position"
    ))
    .bind(tenant.0)
    .bind(runs)
    .fetch_all(&mut *db)
    .await?;
    with_commands(db, tenant, raws(&rows)?).await
}

/// The last events of a stream up to a position, in order; none when there is no such stream.
///
/// # Errors
/// [`Error`].
pub async fn stream_upto(
    db: &mut PgConnection,
    tenant: TenantId,
    name: &str,
    upto: Position,
    limit: i64,
) -> Result<Vec<Deed>, Error> {
    // Positions and versions rise together: the version at the position is found by halving.
    let rows = sqlx::query(concat!(
        "WITH RECURSIVE newest AS MATERIALIZED (SELECT e.stream, e.stream_version FROM (SELECT stream FROM event ",
        "WHERE tenant_id = $1 AND stream_key = $2 LIMIT 1) n CROSS JOIN LATERAL (SELECT stream, stream_version FROM event ",
        "WHERE tenant_id = $1 AND stream = n.stream ORDER BY stream_version DESC LIMIT 1) e), ",
        "halved AS (SELECT stream, 0::bigint AS low, stream_version AS high FROM newest UNION ALL ",
        "SELECT h.stream, CASE WHEN m.position <= $3 THEN m.stream_version ELSE h.low END, ",
        "CASE WHEN m.position <= $3 THEN h.high ELSE m.stream_version - 1 END FROM halved h ",
        "JOIN LATERAL (SELECT position, stream_version FROM event WHERE tenant_id = $1 AND stream = h.stream ",
        "AND stream_version = (h.low + h.high + 1) / 2) m ON h.low < h.high), ",
        "found AS MATERIALIZED (SELECT e.* FROM halved h CROSS JOIN LATERAL (SELECT * FROM event WHERE tenant_id = $1 ",
        "AND stream = h.stream AND stream_version <= h.low ORDER BY stream_version DESC LIMIT $4) e WHERE h.low >= h.high) ",
        "SELECT ",
        columns!(),
        " FROM found ORDER BY position"
    ))
    .bind(tenant.0)
    .bind(Uuid::from_bytes(stream_key(name)))
    .bind(upto)
    .bind(limit)
    .fetch_all(&mut *db)
    .await?;
    with_commands(db, tenant, raws(&rows)?).await
}

/// Finds the command of each row; rows come in order.
async fn with_commands(db: &mut PgConnection, tenant: TenantId, rows: Vec<Raw>) -> Result<Vec<Deed>, Error> {
    let begun = begun_before(db, tenant, &unbegun(&rows)).await?;
    let (mut current, mut last) = (None, None);
    let mut deeds = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(command) = row.command()? {
            current = Some(Arc::new(command));
        } else if last.and_then(|at: Position| at.checked_add(1)) != Some(row.position) {
            current = begun.range(..=row.position).next_back().map(|(_, command)| Arc::clone(command));
        }
        last = Some(row.position);
        deeds.push(Deed { row, command: current.clone() });
    }
    Ok(deeds)
}

/// Where a stretch of neighbouring rows begins inside of a command.
fn unbegun(rows: &[Raw]) -> Vec<Position> {
    let mut last: Option<Position> = None;
    let mut places = Vec::new();
    for row in rows {
        if row.command_id.is_none() && last.and_then(|at| at.checked_add(1)) != Some(row.position) {
            places.push(row.position);
        }
        last = Some(row.position);
    }
    places
}

/// The last command that begins at or before each of some positions, by the position it begins at. A command's events
/// stand one after another, so it is the one that made the event there.
async fn begun_before(
    db: &mut PgConnection,
    tenant: TenantId,
    places: &[Position],
) -> Result<BTreeMap<Position, Arc<StoredCommand>>, Error> {
    if places.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM unnest($2::bigint[]) AS p (place) CROSS JOIN LATERAL (SELECT * FROM event WHERE tenant_id = $1 ",
        "AND position <= p.place AND command_id IS NOT NULL ORDER BY position DESC LIMIT 1) e"
    ))
    .bind(tenant.0)
    .bind(places)
    .fetch_all(&mut *db)
    .await?;
    let mut begun = BTreeMap::new();
    for row in raws(&rows)? {
        if let Some(command) = row.command()? {
            begun.insert(row.position, Arc::new(command));
        }
    }
    Ok(begun)
}
