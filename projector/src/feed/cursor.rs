//! How far each tenant's log is published.

use ledger_core::domain::id::{Position, TenantId};
use sqlx::Row;
use sqlx::postgres::PgPool;

use crate::Error;

/// A tenant with events to publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    pub(super) tenant: TenantId,
    pub(super) cursor: Position,
    pub(super) head: Position,
}

impl Behind {
    /// Events not yet published.
    pub(super) const fn lag(&self) -> i64 {
        self.head.saturating_sub(self.cursor)
    }
}

/// Tenants whose feed is behind their log.
pub(super) async fn behind(pool: &PgPool) -> Result<Vec<Behind>, Error> {
    let rows = sqlx::query(
        "SELECT h.tenant_id, coalesce(c.position, 0), h.position FROM tenant_head h LEFT JOIN feed_cursor c USING (tenant_id) \
         WHERE h.position > coalesce(c.position, 0)",
    )
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| Ok(Behind { tenant: TenantId(row.try_get(0)?), cursor: row.try_get(1)?, head: row.try_get(2)? }))
        .collect()
}

/// Every cursor.
pub(super) async fn all(pool: &PgPool) -> Result<Vec<(TenantId, Position)>, Error> {
    let rows = sqlx::query("SELECT tenant_id, position FROM feed_cursor ORDER BY tenant_id").fetch_all(pool).await?;
    rows.iter().map(|row| Ok((TenantId(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// Moves a cursor, unless it is not where it was: then somebody published as well, or asked for all of it again. False
/// when it was not moved. It does not wait for the disk: a move that a crash undoes only has messages sent twice.
pub(super) async fn move_from(pool: &PgPool, tenant: TenantId, from: Position, to: Position) -> Result<bool, Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
    let done = sqlx::query(
        "INSERT INTO feed_cursor AS c (tenant_id, position) VALUES ($1, $3) \
         ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position WHERE c.position = $2",
    )
    .bind(tenant.0)
    .bind(from)
    .bind(to)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// Publishes a tenant's events again, from after `position`. For a broker that lost what it had. Within its duplicate
/// window the broker still takes what it was sent before for sent, even if it was purged meanwhile.
///
/// # Errors
/// [`Error::Database`].
pub async fn republish(pool: &PgPool, tenant: TenantId, position: Position) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "INSERT INTO feed_cursor (tenant_id, position) VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position",
    )
    .bind(tenant.0)
    .bind(position)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// How far a tenant is published, and how far its log goes.
///
/// # Errors
/// [`Error::Database`].
pub async fn progress(pool: &PgPool, tenant: TenantId) -> Result<(Position, Position), Error> {
    let row = sqlx::query(
        "SELECT coalesce(c.position, 0), h.position FROM tenant_head h LEFT JOIN feed_cursor c USING (tenant_id) WHERE h.tenant_id = $1",
    )
    .bind(tenant.0)
    .fetch_optional(pool)
    .await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.try_get(0)?, row.try_get(1)?)))
}
