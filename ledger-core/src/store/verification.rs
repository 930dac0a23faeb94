//! Verifications asked for, with their reports; the sample that never ends, and what it found.
//!
//! **Correctness**: a report is filed once: a job that runs again after it was filed changes nothing. A finding of the
//! sample stays until a whole verification of its tenant finds nothing.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use super::Error;
use crate::audit::replay::Finding;
use crate::domain::id::{Position, TenantId};
use crate::domain::time::Timestamp;

/// The kind of job that verifies.
pub const JOB: &str = "verify";
/// Findings of the sample kept per tenant; damage repeats itself.
const FINDINGS_MAX: i64 = 1_000;

/// One that was asked for.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Its name, and that of its job.
    pub id: Uuid,
    /// Who wants to know.
    pub asked_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// What came of it; none while it is not finished.
    pub filed: Option<Filed>,
    /// What its job says: a word, units done, of so many. None when the job is forgotten.
    pub job: Option<(String, i64, Option<i64>)>,
}

/// What came of a verification.
#[derive(Clone, Debug)]
pub struct Filed {
    /// When it ended.
    pub finished_at: Timestamp,
    /// Where the log's head stood.
    pub position: Position,
    /// How much does not hold.
    pub findings: i32,
}

/// A report to file.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Where the log's head stood.
    pub position: Position,
    /// How much does not hold.
    pub findings: usize,
    /// All of it as JSON.
    pub report: &'a str,
    /// All of it as a form.
    pub form: &'a str,
}

/// Notes that one was asked for; asked for again, it is the same.
///
/// # Errors
/// [`Error::Database`].
pub async fn ask(pool: &PgPool, tenant: TenantId, id: Uuid, asked_by: &str) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO verification (tenant_id, verification_id, asked_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(tenant.0)
        .bind(id)
        .bind(asked_by)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Files a report, unless one is filed already.
///
/// # Errors
/// [`Error::Database`].
pub async fn file(pool: &PgPool, tenant: TenantId, id: Uuid, report: Report<'_>) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "UPDATE verification SET finished_at = now(), position = $3, findings = $4, report = $5::jsonb, form = $6 \
         WHERE tenant_id = $1 AND verification_id = $2 AND finished_at IS NULL",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(report.position)
    .bind(i32::try_from(report.findings).unwrap_or(i32::MAX))
    .bind(report.report)
    .bind(report.form)
    .execute(&mut *tx)
    .await?;
    if report.findings == 0 {
        sqlx::query("DELETE FROM audit_finding WHERE tenant_id = $1").bind(tenant.0).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

const COLUMNS: &str = include_str!("verification.sql");

fn micros(row: &PgRow, at: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(at)?.map(Timestamp))
}

fn from_row(row: &PgRow) -> Result<Verification, Error> {
    let filed = match micros(row, 3)? {
        None => None,
        Some(finished_at) => Some(Filed { finished_at, position: row.try_get(4)?, findings: row.try_get(5)? }),
    };
    let job = match row.try_get::<Option<String>, _>(6)? {
        None => None,
        Some(status) => Some((status, row.try_get(7)?, row.try_get(8)?)),
    };
    let created_at = micros(row, 2)?.unwrap_or_default();
    Ok(Verification { id: row.try_get(0)?, asked_by: row.try_get(1)?, created_at, filed, job })
}

/// One of a tenant's.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId, id: Uuid) -> Result<Option<Verification>, Error> {
    let rows = sqlx::query(COLUMNS)
        .bind(tenant.0)
        .bind(Some(id))
        .bind(None::<i64>)
        .bind(None::<Uuid>)
        .bind(1_i64)
        .fetch_all(executor)
        .await?;
    rows.first().map(from_row).transpose()
}

/// A tenant's, the newest first, before a place.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    before: Option<(Timestamp, Uuid)>,
    limit: i64,
) -> Result<Vec<Verification>, Error> {
    let rows = sqlx::query(COLUMNS)
        .bind(tenant.0)
        .bind(None::<Uuid>)
        .bind(before.map(|(at, _)| at.0))
        .bind(before.map(|(_, id)| id))
        .bind(limit)
        .fetch_all(executor)
        .await?;
    rows.iter().map(from_row).collect()
}

/// The report that was filed: as JSON, and as a form.
///
/// # Errors
/// [`Error::Database`].
pub async fn report(executor: impl PgExecutor<'_>, tenant: TenantId, id: Uuid) -> Result<Option<(String, String)>, Error> {
    let row = sqlx::query(
        "SELECT report::text, form FROM verification WHERE tenant_id = $1 AND verification_id = $2 AND finished_at IS NOT NULL",
    )
    .bind(tenant.0)
    .bind(id)
    .fetch_optional(executor)
    .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Notes what a step of the sample found, and that the tenant was looked at.
///
/// # Errors
/// [`Error::Database`].
pub async fn sampled(pool: &PgPool, tenant: TenantId, findings: &[Finding]) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query(
        "INSERT INTO audit_sample AS s (tenant_id, runs) VALUES ($1, 1) \
         ON CONFLICT (tenant_id) DO UPDATE SET runs = s.runs + 1, sampled_at = now()",
    )
    .bind(tenant.0)
    .execute(&mut *tx)
    .await?;
    for f in findings {
        sqlx::query(
            "INSERT INTO audit_finding AS f (tenant_id, position, invariant, until, what) \
             SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM audit_finding WHERE tenant_id = $1) < $6 \
             ON CONFLICT (tenant_id, position, invariant) DO UPDATE SET times = f.times + 1, last_seen = now(), \
             until = excluded.until, what = excluded.what",
        )
        .bind(tenant.0)
        .bind(f.position)
        .bind(f.invariant)
        .bind(f.until)
        .bind(&f.what)
        .bind(FINDINGS_MAX)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Tenants with a log, the one that the sample looked at longest ago first.
///
/// # Errors
/// [`Error::Database`].
pub async fn to_sample(executor: impl PgExecutor<'_>, limit: i64) -> Result<Vec<TenantId>, Error> {
    let tenants: Vec<i64> = sqlx::query_scalar(
        "SELECT h.tenant_id FROM tenant_head h LEFT JOIN audit_sample s USING (tenant_id) WHERE h.position > 0 \
         ORDER BY s.sampled_at NULLS FIRST, h.tenant_id LIMIT $1",
    )
    .bind(limit)
    .fetch_all(executor)
    .await?;
    Ok(tenants.into_iter().map(TenantId).collect())
}

/// Runs that the sample has looked at, and findings that stand, over all tenants.
///
/// # Errors
/// [`Error::Database`].
pub async fn summary(executor: impl PgExecutor<'_>) -> Result<(i64, i64), Error> {
    let row =
        sqlx::query("SELECT (SELECT coalesce(sum(runs), 0)::bigint FROM audit_sample), (SELECT count(*) FROM audit_finding)")
            .fetch_one(executor)
            .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}
