//! Signed checkpoints as they were given out: inserted, never changed.
//!
//! **Shape**: head + keys → [`sign`] → a row and its note; [`find`], [`newest`], [`list`] read them.
//! **Correctness**: 1. Nothing is signed that is inconsistent with the newest one signed before: the older tree is first
//! proven to be the beginning of the newer one. 2. One size has one text: a head whose root at that size is another one is
//! [`ProveError::Damaged`], not a second checkpoint. 3. Two nodes that sign at once write one row; the other reads it.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgExecutor, Row};

use super::tree::{ProveError, prove_consistency};
use super::{Error, read};
use crate::audit::checkpoint::{Checkpoint, origin};
use crate::audit::keys::Keys;
use crate::audit::merkle::{Hash, hex};
use crate::audit::note;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

/// A checkpoint as it was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Events in the tree.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// When it was signed first.
    pub signed_at: Timestamp,
}

/// A tenant whose head a checkpoint may be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose log.
    pub tenant: TenantId,
    /// Its code.
    pub code: String,
    /// Its newest position.
    pub head: u64,
    /// Size of the newest checkpoint; 0 for none.
    pub signed: u64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT size, root, note, (extract(epoch FROM signed_at) * 1000000)::bigint FROM checkpoint WHERE tenant_id = $1",
            $rest
        )
    };
}

fn signed_from(row: &PgRow) -> Result<Signed, Error> {
    let wrong = || Error::from(sqlx::Error::Decode("checkpoint".into()));
    Ok(Signed {
        size: u64::try_from(row.try_get::<i64, _>(0)?).map_err(|_| wrong())?,
        root: row.try_get::<&[u8], _>(1)?.try_into().map_err(|_| wrong())?,
        note: row.try_get(2)?,
        signed_at: Timestamp(row.try_get(3)?),
    })
}

fn as_bigint(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The checkpoint of a size.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId, size: u64) -> Result<Option<Signed>, Error> {
    let row = sqlx::query(select!(" AND size = $2")).bind(tenant.0).bind(as_bigint(size)).fetch_optional(executor).await?;
    row.as_ref().map(signed_from).transpose()
}

/// The largest checkpoint.
///
/// # Errors
/// [`Error::Database`].
pub async fn newest(executor: impl PgExecutor<'_>, tenant: TenantId) -> Result<Option<Signed>, Error> {
    Ok(list(executor, tenant, None, 1).await?.pop())
}

/// Checkpoints below a size (all, if none is given), largest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(executor: impl PgExecutor<'_>, tenant: TenantId, below: Option<u64>, limit: i64) -> Result<Vec<Signed>, Error> {
    let rows = sqlx::query(select!(" AND size < $2 ORDER BY size DESC LIMIT $3"))
        .bind(tenant.0)
        .bind(below.map_or(i64::MAX, as_bigint))
        .bind(limit)
        .fetch_all(executor)
        .await?;
    rows.iter().map(signed_from).collect()
}

/// Every tenant with a log, and how far it is signed.
///
/// # Errors
/// [`Error::Database`].
pub async fn standings(executor: impl PgExecutor<'_>) -> Result<Vec<Standing>, Error> {
    let rows = sqlx::query(
        "SELECT t.tenant_id, t.code, h.position, \
                coalesce((SELECT max(c.size) FROM checkpoint c WHERE c.tenant_id = t.tenant_id), 0) \
         FROM tenant t JOIN tenant_head h ON h.tenant_id = t.tenant_id WHERE h.position > 0 ORDER BY t.tenant_id",
    )
    .fetch_all(executor)
    .await?;
    let of_row = |row: &PgRow| {
        Ok(Standing {
            tenant: TenantId(row.try_get(0)?),
            code: row.try_get(1)?,
            head: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
            signed: u64::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0),
        })
    };
    rows.iter().map(of_row).collect()
}

/// Signs the present head of the tenant with this code, unless that was done before: then that checkpoint is answered.
/// Its note is signed anew where a newer key has come into use since; the text is the same.
///
/// # Errors
/// [`ProveError`]; `Damaged` when the log is not a continuation of what was signed before.
pub async fn sign(pool: &PgPool, tenant: TenantId, code: &str, keys: &Keys) -> Result<Signed, ProveError> {
    let head = read::head(pool, tenant).await?.filter(|head| head.position > 0).ok_or(ProveError::NoLog(tenant))?;
    let (size, root) = (head.frontier.size(), head.frontier.root());
    let checkpoint = Checkpoint { origin: origin(keys.name(), code), size, root };
    let note = keys.sign(&checkpoint.text()).map_err(|e| ProveError::Impossible(e.to_string()))?;
    match newest(pool, tenant).await? {
        Some(known) if known.size >= size => return resign(pool, tenant, (known, &checkpoint), note, keys).await,
        Some(known) => must_continue(pool, tenant, &known, &checkpoint).await?,
        None => {}
    }
    insert(pool, tenant, &checkpoint, &note).await?;
    let stored = find(pool, tenant, size).await?.ok_or_else(|| damaged(tenant, "a checkpoint is gone".to_owned()))?;
    must_equal(tenant, &stored, &checkpoint)?;
    Ok(stored)
}

/// There is one of this size or beyond it already.
async fn resign(
    pool: &PgPool,
    tenant: TenantId,
    (newest, checkpoint): (Signed, &Checkpoint),
    note: String,
    keys: &Keys,
) -> Result<Signed, ProveError> {
    let known = if newest.size == checkpoint.size { newest } else { beyond(pool, tenant, newest, checkpoint.size).await? };
    if known.size == checkpoint.size {
        must_equal(tenant, &known, checkpoint)?;
    }
    let newest_key: Vec<_> = keys.verifiers().take(1).cloned().collect();
    let is_signed_by_it = note::open(&known.note, &newest_key).is_ok();
    Ok(if is_signed_by_it || known.size != checkpoint.size { known } else { Signed { note, ..known } })
}

/// A checkpoint beyond the head that was read: another node was faster, or the log was cut.
async fn beyond(pool: &PgPool, tenant: TenantId, newest: Signed, size: u64) -> Result<Signed, ProveError> {
    let head = read::head(pool, tenant).await?.map_or(0, |head| head.frontier.size());
    if head < newest.size {
        let what = format!("it ends at {size}, but a checkpoint of {} events was signed", newest.size);
        return Err(damaged(tenant, what));
    }
    Ok(newest)
}

async fn must_continue(pool: &PgPool, tenant: TenantId, known: &Signed, next: &Checkpoint) -> Result<(), ProveError> {
    let proven = prove_consistency(pool, tenant, known.size, Some(next.size)).await?;
    if proven.from_root != known.root || proven.to_root != next.root {
        let what = format!(
            "its first {} events have the root {}, not {} as was signed",
            known.size,
            hex(&proven.from_root),
            hex(&known.root)
        );
        return Err(damaged(tenant, what));
    }
    Ok(())
}

fn must_equal(tenant: TenantId, stored: &Signed, checkpoint: &Checkpoint) -> Result<(), ProveError> {
    if stored.root != checkpoint.root {
        let what = format!("another root than {} was signed for {} events", hex(&checkpoint.root), stored.size);
        return Err(damaged(tenant, what));
    }
    Ok(())
}

fn damaged(tenant: TenantId, what: String) -> ProveError {
    ProveError::Damaged { tenant, what }
}

async fn insert(pool: &PgPool, tenant: TenantId, checkpoint: &Checkpoint, note: &str) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO checkpoint (tenant_id, size, root, note) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, size) DO NOTHING",
    )
    .bind(tenant.0)
    .bind(as_bigint(checkpoint.size))
    .bind(checkpoint.root.as_slice())
    .bind(note)
    .execute(pool)
    .await?;
    Ok(())
}
