//! Reading a log: by position, by stream, by head. Every reader is `position > $last`.

use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use super::Error;
use crate::audit::merkle::Frontier;
use crate::domain::event::stream_key;
use crate::domain::id::{Position, StreamVersion, TenantId};
use crate::domain::time::Timestamp;

pub use crate::audit::row::{Head, Meta, Raw, Stored, StoredCommand};

/// Rows of one page at most, whatever is asked for: far from where positions would overflow.
const ROWS_MAX: i64 = i32::MAX as i64;

/// The columns of [`Raw`], in its order.
macro_rules! columns {
    () => {
        "tenant_id, position, stream, stream_version, recorded_at, effective_at, type, schema_version, leaf_check, payload, command_id, fingerprint, stream_key, meta"
    };
}
pub(super) use columns;

pub(super) fn raw(row: &PgRow) -> Result<Raw, sqlx::Error> {
    let uuid = |at: usize| row.try_get::<Option<Uuid>, _>(at).map(|u| u.map(Uuid::into_bytes));
    Ok(Raw {
        tenant: TenantId(row.try_get(0)?),
        position: row.try_get(1)?,
        stream: row.try_get(2)?,
        stream_version: row.try_get(3)?,
        recorded_at: Timestamp(row.try_get(4)?),
        effective_at: row.try_get::<Option<i64>, _>(5)?.map(Timestamp),
        type_number: row.try_get(6)?,
        schema_version: row.try_get(7)?,
        leaf_check: row.try_get(8)?,
        payload: row.try_get(9)?,
        command_id: uuid(10)?,
        fingerprint: uuid(11)?,
        stream_key: uuid(12)?,
        meta: row.try_get(13)?,
    })
}

pub(super) fn raws(rows: &[PgRow]) -> Result<Vec<Raw>, Error> {
    rows.iter().map(|row| raw(row).map_err(Error::from)).collect()
}

/// Up to `limit` rows after a position, in order.
///
/// # Errors
/// [`Error::Database`].
pub async fn raw_page(executor: impl PgExecutor<'_>, tenant: TenantId, after: Position, limit: i64) -> Result<Vec<Raw>, Error> {
    // The end is known, for positions have no gaps: told so, a planner without statistics cannot sort the whole rest of
    // the log for a page of it. Where there is a gap all the same, the page begins behind it, and the caller sees that.
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM event WHERE tenant_id = $1 AND position > $2 AND position < $3 + (SELECT position FROM event \
         WHERE tenant_id = $1 AND position > $2 ORDER BY position LIMIT 1) ORDER BY position LIMIT $3"
    ))
    .bind(tenant.0)
    .bind(after)
    .bind(limit.min(ROWS_MAX))
    .fetch_all(executor)
    .await?;
    raws(&rows)
}

/// Up to `limit` events after a position, in order.
///
/// # Errors
/// [`Error`]; a row that cannot be decoded is named by its position.
pub async fn page(executor: impl PgExecutor<'_>, tenant: TenantId, after: Position, limit: i64) -> Result<Vec<Stored>, Error> {
    raw_page(executor, tenant, after, limit).await?.iter().map(|raw| Ok(raw.decode()?)).collect()
}

/// Up to `limit` events of a stream after a version, in order; empty when there is no such stream.
///
/// # Errors
/// [`Error`].
pub async fn stream(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    name: &str,
    after: StreamVersion,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    streams(executor, tenant, &[stream_key(name)], after, limit).await
}

/// As [`stream`] for several names at once, given by their keys; `limit` is for all together.
///
/// # Errors
/// [`Error`].
pub async fn streams(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    keys: &[[u8; 16]],
    after: StreamVersion,
    limit: i64,
) -> Result<Vec<Stored>, Error> {
    let keys: Vec<Uuid> = keys.iter().map(|k| Uuid::from_bytes(*k)).collect();
    // Two steps by full key each: asked in one, the planner may walk the whole log in the order of the result.
    let rows = sqlx::query(concat!(
        "WITH named AS MATERIALIZED (SELECT f.stream FROM unnest($2::uuid[]) AS k (key) CROSS JOIN LATERAL ",
        "(SELECT stream FROM event WHERE tenant_id = $1 AND stream_key = k.key LIMIT 1) f), ",
        "found AS MATERIALIZED (SELECT e.* FROM named n CROSS JOIN LATERAL (SELECT * FROM event WHERE tenant_id = $1 ",
        "AND stream = n.stream AND stream_version > $3 ORDER BY stream_version LIMIT $4) e) SELECT ",
        columns!(),
        " FROM found ORDER BY position LIMIT $4"
    ))
    .bind(tenant.0)
    .bind(keys)
    .bind(after)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    raws(&rows)?.iter().map(|raw| Ok(raw.decode()?)).collect()
}

/// The command that made the event at a position; `None` when nothing up to there belongs to one. A command's events stand
/// one after another, so it is the last one that begins at or before it.
///
/// # Errors
/// [`Error`].
pub async fn command_at(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    position: Position,
) -> Result<Option<StoredCommand>, Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM event WHERE tenant_id = $1 AND position <= $2 AND command_id IS NOT NULL ORDER BY position DESC LIMIT 1"
    ))
    .bind(tenant.0)
    .bind(position)
    .fetch_optional(executor)
    .await?;
    row.as_ref().map_or(Ok(None), |row| Ok(raw(row)?.command()?))
}

fn head_from(row: &PgRow) -> Result<Head, Error> {
    let (tenant, position) = (TenantId(row.try_get(0)?), row.try_get::<i64, _>(1)?);
    let size = u64::try_from(position).unwrap_or(0);
    let frontier = Frontier::from_bytes(size, row.try_get::<&[u8], _>(3)?).map_err(|source| Error::Head { tenant, source })?;
    Ok(Head { tenant, position, recorded_at: Timestamp(row.try_get(2)?), frontier })
}

/// Every tenant's head.
///
/// # Errors
/// [`Error`].
pub async fn heads(executor: impl PgExecutor<'_>) -> Result<Vec<Head>, Error> {
    let rows = sqlx::query("SELECT tenant_id, position, recorded_at, frontier FROM tenant_head ORDER BY tenant_id")
        .fetch_all(executor)
        .await?;
    rows.iter().map(head_from).collect()
}

/// One tenant's head; `None` when there is no such tenant.
///
/// # Errors
/// [`Error`].
pub async fn head(executor: impl PgExecutor<'_>, tenant: TenantId) -> Result<Option<Head>, Error> {
    let row = sqlx::query("SELECT tenant_id, position, recorded_at, frontier FROM tenant_head WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(head_from).transpose()
}

/// The position of the last row of a tenant's log, whatever its head says; 0 for an empty log.
///
/// # Errors
/// [`Error::Database`].
pub async fn last_position(executor: impl PgExecutor<'_>, tenant: TenantId) -> Result<Position, Error> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT max(position) FROM event WHERE tenant_id = $1").bind(tenant.0).fetch_one(executor).await?;
    Ok(found.unwrap_or(0))
}

/// The last position recorded before an instant; 0 when there is none. About 20 look-ups by key in a million events.
///
/// # Errors
/// [`Error::Database`].
pub async fn position_before(executor: impl PgExecutor<'_>, tenant: TenantId, before: Timestamp) -> Result<Position, Error> {
    let found: Option<i64> =
        sqlx::query_scalar(include_str!("position_before.sql")).bind(tenant.0).bind(before.0).fetch_optional(executor).await?;
    Ok(found.unwrap_or(0))
}

/// As [`position_before`] for several instants at once, in their order.
///
/// # Errors
/// [`Error::Database`].
pub async fn positions_before(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    before: &[Timestamp],
) -> Result<Vec<Position>, Error> {
    let instants: Vec<i64> = before.iter().map(|at| at.0).collect();
    Ok(sqlx::query_scalar(include_str!("positions_before.sql")).bind(tenant.0).bind(instants).fetch_all(executor).await?)
}

/// The event that a command begins with, of the command that the event at a position is of. Its events stand one after
/// another and only the first one has the command, so it is the nearest one at or before the position.
///
/// # Errors
/// [`Error`].
pub async fn command_of(executor: impl PgExecutor<'_>, tenant: TenantId, position: Position) -> Result<Option<Stored>, Error> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM event WHERE tenant_id = $1 AND position <= $2 AND command_id IS NOT NULL ORDER BY position DESC LIMIT 1"
    ))
    .bind(tenant.0)
    .bind(position)
    .fetch_all(executor)
    .await?;
    let first = raws(&rows)?.first().map(Raw::decode).transpose()?;
    let reaches = |stored: &Stored| {
        let events = stored.command.as_ref().map_or(0, |command| i64::from(command.meta.events));
        position < stored.recorded.position.saturating_add(events)
    };
    Ok(first.filter(reaches))
}

/// The database's clock: what expiries are measured by.
///
/// # Errors
/// [`Error::Database`].
pub async fn clock(executor: impl PgExecutor<'_>) -> Result<Timestamp, Error> {
    let micros: i64 =
        sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetch_one(executor).await?;
    Ok(Timestamp(micros))
}
