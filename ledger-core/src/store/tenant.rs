//! The registry of tenants.

use sqlx::postgres::PgPool;
use sqlx::{PgExecutor, Row};

use super::Error;
use crate::domain::id::TenantId;

/// Two registrations at once may pick the same number; the loser tries again, this often.
const REGISTER_ATTEMPTS_MAX: u32 = 16;

/// A registered tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its number.
    pub id: TenantId,
    /// Its code.
    pub code: String,
    /// Takes no calls.
    pub suspended: bool,
}

/// Gives a tenant its number and an empty log; the one it has, if the code is registered already.
///
/// # Errors
/// [`Error::Database`].
pub async fn register(pool: &PgPool, code: &str) -> Result<TenantId, Error> {
    for _ in 1..REGISTER_ATTEMPTS_MAX {
        if let Some(known) = find_by_code(pool, code).await? {
            return Ok(known.id);
        }
        match try_register(pool, code).await {
            Err(Error::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {}
            done => return done,
        }
    }
    try_register(pool, code).await
}

async fn try_register(pool: &PgPool, code: &str) -> Result<TenantId, Error> {
    let id: i64 = sqlx::query_scalar(
        "WITH registered AS ( \
             INSERT INTO tenant (tenant_id, code) SELECT coalesce(max(tenant_id), 0) + 1, $1 FROM tenant RETURNING tenant_id \
         ), head AS ( \
             INSERT INTO tenant_head (tenant_id, position, recorded_at, frontier) SELECT tenant_id, 0, 0, ''::bytea FROM registered \
         ) SELECT tenant_id FROM registered",
    )
    .bind(code)
    .fetch_one(pool)
    .await?;
    Ok(TenantId(id))
}

fn tenant_from(row: &sqlx::postgres::PgRow) -> Result<Tenant, Error> {
    Ok(Tenant { id: TenantId(row.try_get(0)?), code: row.try_get(1)?, suspended: row.try_get(2)? })
}

/// The tenant with this code.
///
/// # Errors
/// [`Error::Database`].
pub async fn find_by_code(executor: impl PgExecutor<'_>, code: &str) -> Result<Option<Tenant>, Error> {
    let row =
        sqlx::query("SELECT tenant_id, code, suspended FROM tenant WHERE code = $1").bind(code).fetch_optional(executor).await?;
    row.as_ref().map(tenant_from).transpose()
}

/// The tenant with this number.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId) -> Result<Option<Tenant>, Error> {
    let row = sqlx::query("SELECT tenant_id, code, suspended FROM tenant WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_optional(executor)
        .await?;
    row.as_ref().map(tenant_from).transpose()
}

/// Every tenant, by number.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(executor: impl PgExecutor<'_>) -> Result<Vec<Tenant>, Error> {
    let rows = sqlx::query("SELECT tenant_id, code, suspended FROM tenant ORDER BY tenant_id").fetch_all(executor).await?;
    rows.iter().map(tenant_from).collect()
}

/// Suspends a tenant or lifts the suspension; false when there is no such tenant.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_suspended(executor: impl PgExecutor<'_>, code: &str, suspended: bool) -> Result<bool, Error> {
    let done =
        sqlx::query("UPDATE tenant SET suspended = $2 WHERE code = $1").bind(code).bind(suspended).execute(executor).await?;
    Ok(done.rows_affected() == 1)
}
