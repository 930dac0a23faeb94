//! API keys: random, shown once, stored as SHA-256. A key has 256 random bits, so a slow hash would add nothing.

use sha2::{Digest, Sha256};
use sqlx::{PgExecutor, Row};

use super::Error;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

/// A new key.
#[derive(Clone)]
pub struct NewKey {
    /// What lists and logs show.
    pub id: String,
    /// The whole key; nothing keeps it.
    pub text: String,
}

/// A key as stored.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// Whose.
    pub tenant: TenantId,
    /// What lists and logs show.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the whole text.
    pub hash: [u8; 32],
    /// Valid until then.
    pub expires_at: Option<Timestamp>,
    /// Taken back.
    pub revoked: bool,
    /// Its tenant takes no calls.
    pub suspended: bool,
}

/// A key's text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedKey<'a> {
    /// Whose it says it is.
    pub tenant: TenantId,
    /// Which it says it is.
    pub id: &'a str,
    /// SHA-256 of the whole text; compare in constant time.
    pub hash: [u8; 32],
}

/// Longest text looked at.
const KEY_TEXT_BYTES_MAX: usize = 128;

/// Takes `lk_<tenant>_<id>_<secret>` apart; `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<ParsedKey<'_>> {
    if text.len() > KEY_TEXT_BYTES_MAX {
        return None;
    }
    let mut parts = text.strip_prefix("lk_")?.splitn(3, '_');
    let (tenant, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
    if id.is_empty() || secret.is_empty() {
        return None;
    }
    Some(ParsedKey { tenant: TenantId(tenant.parse().ok()?), id, hash: Sha256::digest(text.as_bytes()).into() })
}

/// Makes a key. The randomness is the operating system's, drawn through UUIDv4 (122 random bits each).
///
/// # Errors
/// [`Error::Database`].
pub async fn create(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    name: &str,
    expires_at: Option<Timestamp>,
) -> Result<NewKey, Error> {
    let draw = || uuid::Uuid::new_v4().simple().to_string();
    let id: String = draw().chars().take(12).collect();
    let text = format!("lk_{tenant}_{id}_{}{}", draw(), draw());
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    sqlx::query(
        "INSERT INTO api_key (tenant_id, key_id, name, hash, expires_at) \
         VALUES ($1, $2, $3, $4, to_timestamp($5::bigint / 1000000.0))",
    )
    .bind(tenant.0)
    .bind(&id)
    .bind(name)
    .bind(hash.as_slice())
    .bind(expires_at.map(|t| t.0))
    .execute(executor)
    .await?;
    Ok(NewKey { id, text })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT k.tenant_id, k.key_id, k.name, k.hash, (extract(epoch FROM k.expires_at) * 1000000)::bigint, ",
            "k.revoked_at IS NOT NULL, t.suspended FROM api_key k JOIN tenant t USING (tenant_id) WHERE k.tenant_id = $1",
            $rest
        )
    };
}

fn key_from(row: &sqlx::postgres::PgRow) -> Result<KeyRow, Error> {
    let stored: &[u8] = row.try_get(3)?;
    let mut hash = [0; 32];
    if stored.len() == hash.len() {
        hash.copy_from_slice(stored);
    }
    Ok(KeyRow {
        tenant: TenantId(row.try_get(0)?),
        id: row.try_get(1)?,
        name: row.try_get(2)?,
        hash,
        expires_at: row.try_get::<Option<i64>, _>(4)?.map(Timestamp),
        revoked: row.try_get(5)?,
        suspended: row.try_get(6)?,
    })
}

/// One key.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId, key_id: &str) -> Result<Option<KeyRow>, Error> {
    let row = sqlx::query(select!(" AND k.key_id = $2")).bind(tenant.0).bind(key_id).fetch_optional(executor).await?;
    row.as_ref().map(key_from).transpose()
}

/// A tenant's keys, oldest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(executor: impl PgExecutor<'_>, tenant: TenantId) -> Result<Vec<KeyRow>, Error> {
    let rows = sqlx::query(select!(" ORDER BY k.created_at, k.key_id")).bind(tenant.0).fetch_all(executor).await?;
    rows.iter().map(key_from).collect()
}

/// Takes a key back; false when there is none, or it was taken back before.
///
/// # Errors
/// [`Error::Database`].
pub async fn revoke(executor: impl PgExecutor<'_>, tenant: TenantId, key_id: &str) -> Result<bool, Error> {
    let done = sqlx::query("UPDATE api_key SET revoked_at = now() WHERE tenant_id = $1 AND key_id = $2 AND revoked_at IS NULL")
        .bind(tenant.0)
        .bind(key_id)
        .execute(executor)
        .await?;
    Ok(done.rows_affected() == 1)
}
