//! Endpoints outside that are sent events, and what is remembered of their deliveries.
//!
//! **Correctness**: an endpoint's cursor is moved from the value it stood at, so two that deliver at once repeat, but never
//! skip. Deliveries have rows only while they are set aside, when they are given up, and for the last few that went well: what
//! was delivered before is below the cursor and not listed. A secret is kept as it is, because a signature needs it.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, PgExecutor, Row};

use super::Error;
use crate::domain::id::{Position, TenantId};
use crate::domain::time::Timestamp;

/// Endpoints of one tenant.
pub const WEBHOOKS_MAX: i64 = 50;
/// Deliveries of one endpoint that may be set aside or given up at once; beyond that it counts as down.
pub const PARKED_MAX: i64 = 10_000;
/// Deliveries that went well and are listed.
pub const DELIVERED_KEPT: i64 = 100;
/// A secret that was replaced signs along for this many seconds more: a day.
pub const OLD_SECRET_SECONDS: i64 = 24 * 3_600;
/// Bytes of a secret: Standard Webhooks asks for 24 to 64.
pub const SECRET_BYTES: usize = 32;
/// Characters kept of an error.
const ERROR_CHARS_MAX: usize = 500;

/// What its owner says of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// Where messages go.
    pub url: String,
    /// For people.
    pub description: Option<String>,
    /// Event types; none: all.
    pub types: Vec<String>,
    /// Categories; none: all.
    pub categories: Vec<String>,
    /// Prefixes of streams' names; none: all.
    pub streams: Vec<String>,
    /// Whether anything is sent.
    pub enabled: bool,
}

impl Definition {
    /// True when an event goes out to it.
    #[must_use]
    pub fn wants(&self, type_name: &str, category: &str, stream: &str) -> bool {
        let named = |list: &[String], word: &str| list.is_empty() || list.iter().any(|w| w == word);
        named(&self.types, type_name)
            && named(&self.categories, category)
            && (self.streams.is_empty() || self.streams.iter().any(|prefix| stream.starts_with(prefix.as_str())))
    }
}

/// An endpoint as it stands.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Whose.
    pub tenant: TenantId,
    /// Its name.
    pub id: String,
    /// What its owner said.
    pub definition: Definition,
    /// Why the program switched it off itself.
    pub disabled_why: Option<String>,
    /// Everything up to here was delivered, is set aside, or does not concern it.
    pub position: Position,
    /// Failed attempts of the delivery that is next.
    pub failures: i32,
    /// Since when it has failed.
    pub failing_since: Option<Timestamp>,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// Why it failed.
    pub last_error: Option<String>,
    /// When something was last taken.
    pub last_delivered_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its owner last changed it.
    pub updated_at: Timestamp,
    /// Deliveries set aside.
    pub parked: i64,
    /// Deliveries given up.
    pub dead: i64,
}

/// What became of a wish for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// It is as said now.
    Changed,
    /// The tenant has as many as it may have.
    Full,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It was taken.
    Delivered,
    /// Set aside, because a later one was taken while it was not; tried again later.
    Parked,
    /// Given up.
    Dead,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Parked, Self::Dead];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Parked => "parked",
            Self::Dead => "dead",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// A delivery that is remembered.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Of which event.
    pub position: Position,
    /// Where it stands.
    pub status: Status,
    /// How often it was tried.
    pub attempts: i32,
    /// What the endpoint answered last.
    pub http_status: Option<i16>,
    /// Why it failed last.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_at: Option<Timestamp>,
    /// When it was last tried.
    pub updated_at: Timestamp,
}

fn corrupt(what: &'static str) -> Error {
    Error::from(sqlx::Error::Decode(what.into()))
}

/// What a text column takes of an error.
fn kept(error: &str) -> String {
    error.chars().filter(|c| *c != '\0').take(ERROR_CHARS_MAX).collect()
}

/// Makes or changes an endpoint. A new one begins behind `after`, at the end of the log if absent, with this secret. One that
/// the program had switched off, and is enabled now, is tried again at once.
///
/// # Errors
/// [`Error::Database`].
pub async fn put(
    pool: &PgPool,
    tenant: TenantId,
    id: &str,
    definition: &Definition,
    after: Option<Position>,
    secret: &[u8; SECRET_BYTES],
) -> Result<Put, Error> {
    let mut tx = pool.begin().await?;
    let done = if change(&mut tx, tenant, id, definition).await? {
        Put::Changed
    } else if insert(&mut tx, tenant, id, definition, after).await? {
        add_secret(&mut tx, tenant, id, secret).await?;
        Put::Created
    } else {
        Put::Full
    };
    tx.commit().await?;
    Ok(done)
}

async fn change(tx: &mut PgConnection, tenant: TenantId, id: &str, d: &Definition) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE webhook SET url = $3, description = $4, types = $5, categories = $6, streams = $7, enabled = $8, \
         disabled_why = CASE WHEN $8 THEN NULL ELSE disabled_why END, \
         failing_since = CASE WHEN $8 AND NOT enabled THEN NULL ELSE failing_since END, \
         next_at = CASE WHEN url <> $3 OR $8 AND NOT enabled THEN NULL ELSE next_at END, updated_at = now() \
         WHERE tenant_id = $1 AND webhook_id = $2",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(&d.url)
    .bind(&d.description)
    .bind(&d.types)
    .bind(&d.categories)
    .bind(&d.streams)
    .bind(d.enabled)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn insert(
    tx: &mut PgConnection,
    tenant: TenantId,
    id: &str,
    d: &Definition,
    after: Option<Position>,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO webhook (tenant_id, webhook_id, url, description, types, categories, streams, enabled, position) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, least(coalesce($9, h.position), h.position) FROM tenant_head h \
         WHERE h.tenant_id = $1 AND $10 > (SELECT count(*) FROM webhook WHERE tenant_id = $1)",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(&d.url)
    .bind(&d.description)
    .bind(&d.types)
    .bind(&d.categories)
    .bind(&d.streams)
    .bind(d.enabled)
    .bind(after)
    .bind(WEBHOOKS_MAX)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn add_secret(tx: &mut PgConnection, tenant: TenantId, id: &str, secret: &[u8]) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO webhook_secret (tenant_id, webhook_id, number, secret) \
         SELECT $1, $2, coalesce(max(number), 0) + 1, $3 FROM webhook_secret WHERE tenant_id = $1 AND webhook_id = $2",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(secret)
    .execute(tx)
    .await?;
    Ok(())
}

/// Replaces an endpoint's secret; the one before signs along for a day. False when there is no such endpoint.
///
/// # Errors
/// [`Error::Database`].
pub async fn rotate(pool: &PgPool, tenant: TenantId, id: &str, secret: &[u8; SECRET_BYTES]) -> Result<bool, Error> {
    let mut tx = pool.begin().await?;
    let found = sqlx::query("SELECT 1 FROM webhook WHERE tenant_id = $1 AND webhook_id = $2 FOR UPDATE")
        .bind(tenant.0)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    if found.is_none() {
        return Ok(false);
    }
    sqlx::query("DELETE FROM webhook_secret WHERE tenant_id = $1 AND webhook_id = $2 AND expires_at IS NOT NULL")
        .bind(tenant.0)
        .bind(id)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "UPDATE webhook_secret SET expires_at = now() + $3::bigint * interval '1 second' WHERE tenant_id = $1 AND webhook_id = $2",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(OLD_SECRET_SECONDS)
    .execute(&mut *tx)
    .await?;
    add_secret(&mut tx, tenant, id, secret).await?;
    tx.commit().await?;
    Ok(true)
}

/// The secrets that sign at present, the newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn secrets(executor: impl PgExecutor<'_>, tenant: TenantId, id: &str) -> Result<Vec<Vec<u8>>, Error> {
    Ok(sqlx::query_scalar(
        "SELECT secret FROM webhook_secret WHERE tenant_id = $1 AND webhook_id = $2 AND coalesce(expires_at, 'infinity') > now() \
         ORDER BY number DESC",
    )
    .bind(tenant.0)
    .bind(id)
    .fetch_all(executor)
    .await?)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT w.tenant_id, w.webhook_id, w.url, w.description, w.types, w.categories, w.streams, w.enabled, w.disabled_why, ",
            "w.position, w.failures, (extract(epoch FROM w.failing_since) * 1000000)::bigint AS failing_since, ",
            "(extract(epoch FROM w.next_at) * 1000000)::bigint AS next_at, w.last_error, ",
            "(extract(epoch FROM w.last_delivered_at) * 1000000)::bigint AS last_delivered_at, ",
            "(extract(epoch FROM w.created_at) * 1000000)::bigint AS created_at, ",
            "(extract(epoch FROM w.updated_at) * 1000000)::bigint AS updated_at, ",
            "(SELECT count(*) FROM webhook_delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.webhook_id ",
            "AND d.status = 'parked') AS parked, ",
            "(SELECT count(*) FROM webhook_delivery d WHERE d.tenant_id = w.tenant_id AND d.webhook_id = w.webhook_id ",
            "AND d.status = 'dead') AS dead FROM webhook w WHERE ",
            $rest
        )
    };
}

fn webhook_from(row: &PgRow) -> Result<Webhook, Error> {
    let time = |name: &str| row.try_get::<Option<i64>, _>(name).map(|t| t.map(Timestamp));
    Ok(Webhook {
        tenant: TenantId(row.try_get("tenant_id")?),
        id: row.try_get("webhook_id")?,
        definition: Definition {
            url: row.try_get("url")?,
            description: row.try_get("description")?,
            types: row.try_get("types")?,
            categories: row.try_get("categories")?,
            streams: row.try_get("streams")?,
            enabled: row.try_get("enabled")?,
        },
        disabled_why: row.try_get("disabled_why")?,
        position: row.try_get("position")?,
        failures: row.try_get("failures")?,
        failing_since: time("failing_since")?,
        next_at: time("next_at")?,
        last_error: row.try_get("last_error")?,
        last_delivered_at: time("last_delivered_at")?,
        created_at: Timestamp(row.try_get("created_at")?),
        updated_at: Timestamp(row.try_get("updated_at")?),
        parked: row.try_get("parked")?,
        dead: row.try_get("dead")?,
    })
}

/// One endpoint.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId, id: &str) -> Result<Option<Webhook>, Error> {
    let row = sqlx::query(select!("w.tenant_id = $1 AND w.webhook_id = $2")).bind(tenant.0).bind(id);
    row.fetch_optional(executor).await?.as_ref().map(webhook_from).transpose()
}

/// A tenant's endpoints by name; there are at most [`WEBHOOKS_MAX`].
///
/// # Errors
/// [`Error::Database`].
pub async fn list(executor: impl PgExecutor<'_>, tenant: TenantId) -> Result<Vec<Webhook>, Error> {
    let rows = sqlx::query(select!("w.tenant_id = $1 ORDER BY w.webhook_id")).bind(tenant.0).fetch_all(executor).await?;
    rows.iter().map(webhook_from).collect()
}

/// Every tenant's endpoints: for whoever runs the service.
///
/// # Errors
/// [`Error::Database`].
pub async fn list_all(executor: impl PgExecutor<'_>) -> Result<Vec<Webhook>, Error> {
    let rows = sqlx::query(select!("true ORDER BY w.tenant_id, w.webhook_id")).fetch_all(executor).await?;
    rows.iter().map(webhook_from).collect()
}

/// Removes an endpoint with its secrets and what is remembered of its deliveries; false when there is none.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete(executor: impl PgExecutor<'_>, tenant: TenantId, id: &str) -> Result<bool, Error> {
    let done = sqlx::query("DELETE FROM webhook WHERE tenant_id = $1 AND webhook_id = $2");
    Ok(done.bind(tenant.0).bind(id).execute(executor).await?.rows_affected() == 1)
}

/// Endpoints that have something to be sent now and nobody who sends it, at most `limit`.
///
/// # Errors
/// [`Error::Database`].
pub async fn due(executor: impl PgExecutor<'_>, kind: &str, limit: i64) -> Result<Vec<(TenantId, String)>, Error> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as(include_str!("webhook/due.sql")).bind(kind).bind(limit).fetch_all(executor).await?;
    Ok(rows.into_iter().map(|(tenant, id)| (TenantId(tenant), id)).collect())
}

/// Moves an endpoint's cursor, unless it is not where it was; notes these positions as delivered. False when it was not moved,
/// and when nothing more is to be sent to this URL.
///
/// # Errors
/// [`Error::Database`].
pub async fn move_from(
    pool: &PgPool,
    (tenant, id): (TenantId, &str),
    from: Position,
    to: Position,
    delivered: &[Position],
    url: &str,
) -> Result<bool, Error> {
    let mut tx = pool.begin().await?;
    let goes_on: Option<bool> = sqlx::query_scalar(
        "UPDATE webhook SET position = $4, failures = 0, failing_since = NULL, next_at = NULL, last_error = NULL, \
         last_delivered_at = CASE WHEN $5 THEN now() ELSE last_delivered_at END \
         WHERE tenant_id = $1 AND webhook_id = $2 AND position = $3 RETURNING enabled AND url = $6",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(from)
    .bind(to)
    .bind(!delivered.is_empty())
    .bind(url)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(goes_on) = goes_on else { return Ok(false) };
    if !delivered.is_empty() {
        note_delivered(&mut tx, (tenant, id), delivered).await?;
    }
    tx.commit().await?;
    Ok(goes_on)
}

/// Lists the last few deliveries that went well, and forgets older ones.
async fn note_delivered(tx: &mut PgConnection, (tenant, id): (TenantId, &str), delivered: &[Position]) -> Result<(), Error> {
    let kept = usize::try_from(DELIVERED_KEPT).unwrap_or(usize::MAX);
    let newest = delivered.get(delivered.len().saturating_sub(kept)..).unwrap_or_default();
    sqlx::query(
        "INSERT INTO webhook_delivery AS d (tenant_id, webhook_id, position, status, attempts, http_status) \
         SELECT $1, $2, p.position, 'delivered', 1, 200 FROM unnest($3::bigint[]) AS p (position) \
         ON CONFLICT (tenant_id, webhook_id, position) DO UPDATE SET status = 'delivered', attempts = d.attempts + 1, \
         http_status = 200, error = NULL, next_at = NULL, updated_at = now()",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(newest)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "DELETE FROM webhook_delivery WHERE tenant_id = $1 AND webhook_id = $2 AND status = 'delivered' AND position <= \
         (SELECT position FROM webhook_delivery WHERE tenant_id = $1 AND webhook_id = $2 AND status = 'delivered' \
          ORDER BY position DESC OFFSET $3 LIMIT 1)",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(DELIVERED_KEPT)
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes that the next delivery failed and when it is tried again; answers how often it failed, and for how many seconds it
/// has, `None` when there is no such endpoint.
///
/// # Errors
/// [`Error::Database`].
pub async fn note_failure(
    executor: impl PgExecutor<'_>,
    (tenant, id): (TenantId, &str),
    error: &str,
    pause_micros: i64,
) -> Result<Option<(i32, i64)>, Error> {
    Ok(sqlx::query_as(
        "UPDATE webhook SET failures = failures + 1, failing_since = coalesce(failing_since, now()), last_error = $3, \
         next_at = now() + $4::bigint * interval '1 microsecond' WHERE tenant_id = $1 AND webhook_id = $2 \
         RETURNING failures, extract(epoch FROM now() - failing_since)::bigint",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(kept(error))
    .bind(pause_micros)
    .fetch_optional(executor)
    .await?)
}

/// Switches an endpoint off, saying why.
///
/// # Errors
/// [`Error::Database`].
pub async fn disable(executor: impl PgExecutor<'_>, (tenant, id): (TenantId, &str), why: &str) -> Result<(), Error> {
    sqlx::query("UPDATE webhook SET enabled = false, disabled_why = $3 WHERE tenant_id = $1 AND webhook_id = $2")
        .bind(tenant.0)
        .bind(id)
        .bind(kept(why))
        .execute(executor)
        .await?;
    Ok(())
}

/// An attempt at a delivery that failed.
#[derive(Clone, Debug)]
pub struct Failed<'a> {
    /// Of which event.
    pub position: Position,
    /// How often it was tried by now.
    pub attempts: i32,
    /// What the endpoint answered.
    pub http_status: Option<i16>,
    /// Why.
    pub error: &'a str,
    /// Tried again after so many microseconds; `None`: given up.
    pub pause_micros: Option<i64>,
}

/// Sets a delivery aside, or gives it up.
///
/// # Errors
/// [`Error::Database`].
pub async fn park(executor: impl PgExecutor<'_>, (tenant, id): (TenantId, &str), failed: &Failed<'_>) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO webhook_delivery (tenant_id, webhook_id, position, status, attempts, http_status, error, next_at) \
         SELECT tenant_id, webhook_id, $3, CASE WHEN $7::bigint IS NULL THEN 'dead' ELSE 'parked' END, $4, $5, $6, \
         now() + $7::bigint * interval '1 microsecond' FROM webhook WHERE tenant_id = $1 AND webhook_id = $2 \
         ON CONFLICT (tenant_id, webhook_id, position) DO UPDATE SET status = excluded.status, attempts = excluded.attempts, \
         http_status = excluded.http_status, error = excluded.error, next_at = excluded.next_at, updated_at = now()",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(failed.position)
    .bind(failed.attempts)
    .bind(failed.http_status)
    .bind(kept(failed.error))
    .bind(failed.pause_micros)
    .execute(executor)
    .await?;
    Ok(())
}

/// Notes that a delivery that was set aside was taken.
///
/// # Errors
/// [`Error::Database`].
pub async fn note_taken(pool: &PgPool, of: (TenantId, &str), position: Position) -> Result<(), Error> {
    let mut tx = pool.begin().await?;
    note_delivered(&mut tx, of, &[position]).await?;
    tx.commit().await?;
    Ok(())
}

fn delivery_from(row: &PgRow) -> Result<Delivery, Error> {
    Ok(Delivery {
        position: row.try_get(0)?,
        status: Status::parse(row.try_get(1)?).ok_or_else(|| corrupt("a delivery's status"))?,
        attempts: row.try_get(2)?,
        http_status: row.try_get(3)?,
        error: row.try_get(4)?,
        next_at: row.try_get::<Option<i64>, _>(5)?.map(Timestamp),
        updated_at: Timestamp(row.try_get(6)?),
    })
}

macro_rules! deliveries {
    ($rest:literal) => {
        concat!(
            "SELECT position, status, attempts, http_status, error, (extract(epoch FROM next_at) * 1000000)::bigint, ",
            "(extract(epoch FROM updated_at) * 1000000)::bigint FROM webhook_delivery WHERE tenant_id = $1 AND webhook_id = $2 AND ",
            $rest
        )
    };
}

/// Deliveries of an endpoint that are set aside and due, by position.
///
/// # Errors
/// [`Error::Database`].
pub async fn parked_due(
    executor: impl PgExecutor<'_>,
    (tenant, id): (TenantId, &str),
    limit: i64,
) -> Result<Vec<Delivery>, Error> {
    let rows = sqlx::query(deliveries!("status = 'parked' AND next_at <= now() ORDER BY position LIMIT $3"));
    rows.bind(tenant.0).bind(id).bind(limit).fetch_all(executor).await?.iter().map(delivery_from).collect()
}

/// Deliveries of an endpoint after a position, by position.
///
/// # Errors
/// [`Error::Database`].
pub async fn deliveries(
    executor: impl PgExecutor<'_>,
    (tenant, id): (TenantId, &str),
    status: Option<Status>,
    after: Position,
    limit: i64,
) -> Result<Vec<Delivery>, Error> {
    let rows = sqlx::query(deliveries!("($3::text IS NULL OR status = $3) AND position > $4 ORDER BY position LIMIT $5"));
    let rows = rows.bind(tenant.0).bind(id).bind(status.map(Status::as_str)).bind(after).bind(limit).fetch_all(executor).await?;
    rows.iter().map(delivery_from).collect()
}

/// Has deliveries that are set aside or given up tried again now: one position, or all. Answers how many.
///
/// # Errors
/// [`Error::Database`].
pub async fn retry(
    executor: impl PgExecutor<'_>,
    (tenant, id): (TenantId, &str),
    position: Option<Position>,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "UPDATE webhook_delivery SET status = 'parked', attempts = 0, next_at = now() WHERE tenant_id = $1 AND webhook_id = $2 \
         AND status IN ('parked', 'dead') AND ($3::bigint IS NULL OR position = $3)",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(position)
    .execute(executor)
    .await?;
    Ok(done.rows_affected())
}

/// Has an endpoint that waits after a failure tried now; false when there is none, or it does not wait.
///
/// # Errors
/// [`Error::Database`].
pub async fn wake(executor: impl PgExecutor<'_>, tenant: TenantId, id: &str) -> Result<bool, Error> {
    let done =
        sqlx::query("UPDATE webhook SET next_at = NULL WHERE tenant_id = $1 AND webhook_id = $2 AND enabled AND next_at > now()");
    Ok(done.bind(tenant.0).bind(id).execute(executor).await?.rows_affected() == 1)
}

/// How many deliveries are given up, over all tenants, and how many endpoints the program switched off.
///
/// # Errors
/// [`Error::Database`].
pub async fn dead(executor: impl PgExecutor<'_>) -> Result<(i64, i64), Error> {
    Ok(sqlx::query_as(
        "SELECT (SELECT count(*) FROM webhook_delivery WHERE status = 'dead'), \
         (SELECT count(*) FROM webhook WHERE disabled_why IS NOT NULL)",
    )
    .fetch_one(executor)
    .await?)
}
