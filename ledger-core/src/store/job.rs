//! Background jobs: a queue in the database the log is in.
//!
//! **Shape**: [`enqueue`] → `queued` → [`claim`] → `running` → [`finish`] (`done`), or [`fail`] (`queued` again later, or
//! `dead` after the last attempt). [`retry`] brings a dead or cancelled one back, [`cancel`] ends one early. Who claims, and
//! what a job does, is not known here.
//! **Correctness**: 1. A job is claimed by locking its row and skipping locked ones, so by one worker at a time. 2. A worker
//! holds it by a lease on the database's clock; when the lease runs out ([`lost`]) the job runs again, so whatever it does
//! must bear being done twice. 3. A worker that was taken for dead and comes back writes nothing: every statement of a run
//! names worker and attempt, and result chunks belong to an attempt. 4. At most [`QUEUED_MAX`] jobs of a tenant wait.
//!
//! Why no library: graphile_worker 0.14 numbers jobs from an identity sequence, keys its tables without the tenant, wakes its
//! workers by NOTIFY on every insert, deletes a job when it is done, and knows neither results nor progress nor how many jobs
//! a tenant may have running; apalis, underway and sqlxmq are bound to extensions or to older drivers. This needs nothing but
//! rows, works behind a pooler in transaction mode, and can be distributed by tenant.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, PgExecutor, Row};
use uuid::Uuid;

use super::Error;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

/// Every kind there is: the labels of metrics.
pub const KINDS: [&str; 6] = ["webhook", "export", "import", "report", "verify", "sweep"];
/// Jobs of one tenant that may wait at once.
pub const QUEUED_MAX: i64 = 1_000;
/// Attempts when nobody says otherwise: with pauses doubling from five seconds to an hour, about three hours.
pub const ATTEMPTS_MAX: i32 = 12;
/// Bytes of one chunk of a job's input or result.
pub const CHUNK_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a job's result.
pub const RESULT_BYTES_MAX: u64 = 1 << 30;
/// What is over, and nobody decided otherwise, is kept this long: a week.
pub const KEPT_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Characters kept of an error.
const ERROR_CHARS_MAX: usize = 2_000;
/// A job that was looked for after it could not be inserted may just have ended; then it is inserted again, this often.
const ENQUEUE_ATTEMPTS_MAX: usize = 5;

/// Which jobs go first. Each has places of its own at the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits for it.
    Urgent,
    /// Somebody wants it soon.
    #[default]
    Normal,
    /// Whenever there is time.
    Background,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Background];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Background => "background",
        }
    }

    /// The priority with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }

    /// Its number in the database.
    const fn number(self) -> i16 {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Background => 2,
        }
    }

    fn from_number(number: i16) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|p| p.number() == number).ok_or_else(|| corrupt("a job's priority"))
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Waits for its time and a place.
    Queued,
    /// A worker has it.
    Running,
    /// Ended well.
    Done,
    /// Failed for good; kept until somebody has it run again or deletes it.
    Dead,
    /// Ended because somebody said so.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Dead, Self::Cancelled];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// True when nothing more happens by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

/// A job to be.
#[derive(Clone, Debug)]
pub struct NewJob<'a> {
    /// Its name, where the caller has one: asked for again, it is the same job.
    pub id: Option<Uuid>,
    /// Digest of what is asked for, with a name: the same name for something else is [`Enqueued::Differs`].
    pub fingerprint: Option<[u8; 16]>,
    /// Which handler.
    pub kind: &'a str,
    /// Which places.
    pub priority: Priority,
    /// While such a job waits or runs, another one of its kind with this key is not made.
    pub unique_key: Option<&'a str>,
    /// On whose behalf.
    pub actor: Option<&'a str>,
    /// What the handler needs to know: JSON.
    pub payload: &'a str,
    /// Not before then; at once if absent.
    pub run_at: Option<Timestamp>,
    /// Runs that may fail before it is dead.
    pub attempts_max: i32,
    /// A large input, kept in chunks.
    pub input: &'a [u8],
}

impl<'a> NewJob<'a> {
    /// A job of normal priority, to run at once.
    #[must_use]
    pub const fn new(kind: &'a str, payload: &'a str) -> Self {
        Self {
            id: None,
            fingerprint: None,
            kind,
            priority: Priority::Normal,
            unique_key: None,
            actor: None,
            payload,
            run_at: None,
            attempts_max: ATTEMPTS_MAX,
            input: &[],
        }
    }
}

/// What became of a wish for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is new.
    New(Uuid),
    /// There is one with this name or this key already.
    Known(Uuid),
    /// The name was given to something else before.
    Differs(Uuid),
    /// The tenant has as many jobs waiting as it may have.
    Full,
}

/// How far a job has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units of work done.
    pub done: i64,
    /// Of so many, if that is known.
    pub of: Option<i64>,
    /// In words.
    pub note: Option<String>,
}

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: Uuid,
    /// What it does.
    pub kind: String,
    /// Which places it takes.
    pub priority: Priority,
    /// Where it stands.
    pub status: Status,
    /// See [`NewJob::unique_key`].
    pub unique_key: Option<String>,
    /// On whose behalf.
    pub actor: Option<String>,
    /// JSON.
    pub payload: String,
    /// Not before then.
    pub run_at: Timestamp,
    /// Runs begun.
    pub attempts: i32,
    /// Runs that may fail.
    pub attempts_max: i32,
    /// Somebody wants it ended.
    pub cancel: bool,
    /// How far it is.
    pub progress: Progress,
    /// What it answered: JSON.
    pub result: Option<String>,
    /// Media type of its result, when it has one in chunks.
    pub result_type: Option<String>,
    /// The attempt whose chunks are the result.
    pub result_attempt: Option<i32>,
    /// Why its last run failed.
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its last run began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// When it may be forgotten.
    pub expires_at: Option<Timestamp>,
}

/// A job in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: Uuid,
    /// Which handler.
    pub kind: String,
    /// Which places it takes.
    pub priority: Priority,
    /// On whose behalf.
    pub actor: Option<String>,
    /// JSON.
    pub payload: String,
    /// This run's number, from 1.
    pub attempt: i32,
    /// Runs that may fail.
    pub attempts_max: i32,
    /// How far an earlier run said it had come.
    pub progress: i64,
}

/// One run of one job by one worker: whoever may write about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: Uuid,
    /// Of which attempt.
    pub attempt: i32,
    /// By whom.
    pub worker: Uuid,
}

/// What a run answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished<'a> {
    /// JSON.
    pub result: Option<&'a str>,
    /// Media type of the chunks it wrote, if it wrote a result.
    pub result_type: Option<&'a str>,
    /// The row is forgotten after this many microseconds; at once if zero.
    pub kept_micros: i64,
}

/// How a run ended that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// Failed: again after so many microseconds, unless that was the last attempt.
    Failed(&'a str, i64),
    /// Failed, and would fail again.
    FailedForGood(&'a str),
    /// Goes on after so many microseconds; this run counts for nothing.
    Postponed(i64),
    /// Somebody cancelled it.
    Cancelled,
}

fn corrupt(what: &'static str) -> Error {
    Error::from(sqlx::Error::Decode(what.into()))
}

/// Makes a job, with its input, in a transaction.
///
/// # Errors
/// [`Error::Database`].
pub async fn enqueue(pool: &PgPool, tenant: TenantId, job: &NewJob<'_>) -> Result<Enqueued, Error> {
    let mut tx = pool.begin().await?;
    let done = enqueue_in_tx(&mut tx, tenant, job).await?;
    tx.commit().await?;
    Ok(done)
}

/// As [`enqueue`] in the caller's transaction: the job is there when that commits, and not before.
///
/// # Errors
/// [`Error::Database`].
pub async fn enqueue_in_tx(connection: &mut PgConnection, tenant: TenantId, job: &NewJob<'_>) -> Result<Enqueued, Error> {
    let id = job.id.unwrap_or_else(Uuid::now_v7);
    for _ in 0..ENQUEUE_ATTEMPTS_MAX {
        if insert(&mut *connection, tenant, id, job).await? {
            write_chunks(&mut *connection, tenant, id, job.input).await?;
            return Ok(Enqueued::New(id));
        }
        match known(&mut *connection, tenant, id, job).await? {
            Some(known) => return Ok(known),
            None if is_full(&mut *connection, tenant).await? => return Ok(Enqueued::Full),
            // The one that was in the way has ended since.
            None => {}
        }
    }
    Ok(Enqueued::Full)
}

async fn insert(connection: &mut PgConnection, tenant: TenantId, id: Uuid, job: &NewJob<'_>) -> Result<bool, Error> {
    let done = sqlx::query(include_str!("job/enqueue.sql"))
        .bind(tenant.0)
        .bind(id)
        .bind(job.kind)
        .bind(job.priority.number())
        .bind(job.unique_key)
        .bind(job.fingerprint.map(Uuid::from_bytes))
        .bind(job.actor)
        .bind(job.payload)
        .bind(job.run_at.map(|t| t.0))
        .bind(job.attempts_max)
        .bind(QUEUED_MAX)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn write_chunks(connection: &mut PgConnection, tenant: TenantId, id: Uuid, input: &[u8]) -> Result<(), Error> {
    for (number, bytes) in (0_i32..).zip(input.chunks(CHUNK_BYTES_MAX)) {
        sqlx::query("INSERT INTO job_chunk (tenant_id, job_id, attempt, number, bytes) VALUES ($1, $2, 0, $3, $4)")
            .bind(tenant.0)
            .bind(id)
            .bind(number)
            .bind(bytes)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The job that stands where a new one wanted to.
async fn known(connection: &mut PgConnection, tenant: TenantId, id: Uuid, job: &NewJob<'_>) -> Result<Option<Enqueued>, Error> {
    let named: Option<(Option<Uuid>, String)> =
        sqlx::query_as("SELECT fingerprint, kind FROM job WHERE tenant_id = $1 AND job_id = $2")
            .bind(tenant.0)
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
    if let Some((fingerprint, kind)) = named {
        let is_same = kind == job.kind && fingerprint.map(Uuid::into_bytes) == job.fingerprint;
        return Ok(Some(if is_same { Enqueued::Known(id) } else { Enqueued::Differs(id) }));
    }
    let Some(key) = job.unique_key else { return Ok(None) };
    let of_key: Option<Uuid> = sqlx::query_scalar(
        "SELECT job_id FROM job WHERE tenant_id = $1 AND kind = $2 AND unique_key = $3 AND status IN ('queued', 'running')",
    )
    .bind(tenant.0)
    .bind(job.kind)
    .bind(key)
    .fetch_optional(connection)
    .await?;
    Ok(of_key.map(Enqueued::Known))
}

async fn is_full(connection: &mut PgConnection, tenant: TenantId) -> Result<bool, Error> {
    let waiting: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM job WHERE tenant_id = $1 AND status = 'queued' LIMIT $2) waiting",
    )
    .bind(tenant.0)
    .bind(QUEUED_MAX)
    .fetch_one(connection)
    .await?;
    Ok(waiting >= QUEUED_MAX)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, job_id, kind, priority, status, unique_key, actor, payload::text AS payload, ",
            "(extract(epoch FROM run_at) * 1000000)::bigint AS run_at, attempts, attempts_max, cancel, progress, progress_of, ",
            "progress_note, result::text AS result, result_type, result_attempt, last_error, ",
            "(extract(epoch FROM created_at) * 1000000)::bigint AS created_at, ",
            "(extract(epoch FROM started_at) * 1000000)::bigint AS started_at, ",
            "(extract(epoch FROM finished_at) * 1000000)::bigint AS finished_at, ",
            "(extract(epoch FROM expires_at) * 1000000)::bigint AS expires_at FROM job WHERE ",
            $rest
        )
    };
}

fn job_from(row: &PgRow) -> Result<Job, Error> {
    let time = |name: &str| row.try_get::<Option<i64>, _>(name).map(|t| t.map(Timestamp));
    Ok(Job {
        tenant: TenantId(row.try_get("tenant_id")?),
        id: row.try_get("job_id")?,
        kind: row.try_get("kind")?,
        priority: Priority::from_number(row.try_get("priority")?)?,
        status: Status::parse(row.try_get("status")?).ok_or_else(|| corrupt("a job's status"))?,
        unique_key: row.try_get("unique_key")?,
        actor: row.try_get("actor")?,
        payload: row.try_get("payload")?,
        run_at: Timestamp(row.try_get("run_at")?),
        attempts: row.try_get("attempts")?,
        attempts_max: row.try_get("attempts_max")?,
        cancel: row.try_get("cancel")?,
        progress: Progress {
            done: row.try_get("progress")?,
            of: row.try_get("progress_of")?,
            note: row.try_get("progress_note")?,
        },
        result: row.try_get("result")?,
        result_type: row.try_get("result_type")?,
        result_attempt: row.try_get("result_attempt")?,
        last_error: row.try_get("last_error")?,
        created_at: Timestamp(row.try_get("created_at")?),
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        expires_at: time("expires_at")?,
    })
}

/// One job.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId, id: Uuid) -> Result<Option<Job>, Error> {
    let row = sqlx::query(select!("tenant_id = $1 AND job_id = $2")).bind(tenant.0).bind(id).fetch_optional(executor).await?;
    row.as_ref().map(job_from).transpose()
}

/// Which jobs.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// Of this kind.
    pub kind: Option<&'a str>,
    /// That stand so.
    pub status: Option<Status>,
    /// Behind this one in the list: when it was asked for, and its name.
    pub before: Option<(Timestamp, Uuid)>,
}

/// A tenant's jobs, newest first.
///
/// # Errors
/// [`Error::Database`].
pub async fn list(executor: impl PgExecutor<'_>, tenant: TenantId, filter: &Filter<'_>, limit: i64) -> Result<Vec<Job>, Error> {
    let (at, id) = filter.before.unzip();
    let rows = sqlx::query(select!(
        "tenant_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR status = $3) \
         AND ($4::bigint IS NULL OR (created_at, job_id) < (to_timestamp($4::bigint / 1000000.0), $5)) \
         ORDER BY created_at DESC, job_id DESC LIMIT $6"
    ))
    .bind(tenant.0)
    .bind(filter.kind)
    .bind(filter.status.map(Status::as_str))
    .bind(at.map(|t| t.0))
    .bind(id)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.iter().map(job_from).collect()
}

/// Jobs of every tenant that stand so, of a kind if one is named, newest first: for whoever runs the service.
///
/// # Errors
/// [`Error::Database`].
pub async fn list_all(
    executor: impl PgExecutor<'_>,
    kind: Option<&str>,
    status: Option<Status>,
    limit: i64,
) -> Result<Vec<Job>, Error> {
    let rows = sqlx::query(select!(
        "($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR status = $2) ORDER BY created_at DESC, job_id DESC LIMIT $3"
    ))
    .bind(kind)
    .bind(status.map(Status::as_str))
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.iter().map(job_from).collect()
}

/// How many jobs are queued, running or dead, by kind.
///
/// # Errors
/// [`Error::Database`].
pub async fn counts(executor: impl PgExecutor<'_>) -> Result<Vec<(String, Status, i64)>, Error> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT kind, status, count(*) FROM job WHERE status IN ('queued', 'running', 'dead') GROUP BY kind, status ORDER BY 1, 2",
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .map(|(kind, status, count)| Ok((kind, Status::parse(&status).ok_or_else(|| corrupt("a job's status"))?, count)))
        .collect()
}

/// What became of a wish to change a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so, or will be as soon as its worker hears of it.
    Yes,
    /// There is no such job.
    Unknown,
    /// It does not stand so that this could be done.
    NotNow(Status),
}

async fn changed(executor: impl PgExecutor<'_>, tenant: TenantId, id: Uuid, rows: u64) -> Result<Changed, Error> {
    if rows > 0 {
        return Ok(Changed::Yes);
    }
    Ok(find(executor, tenant, id).await?.map_or(Changed::Unknown, |job| Changed::NotNow(job.status)))
}

/// Has a dead or cancelled job run again, from its first attempt; one that waits for its next attempt runs at once.
///
/// # Errors
/// [`Error::Database`].
pub async fn retry(pool: &PgPool, tenant: TenantId, id: Uuid) -> Result<Changed, Error> {
    // Another one with its key that waits or runs does its work already: then it stays as it is.
    let done = sqlx::query(
        "UPDATE job j SET attempts = CASE status WHEN 'queued' THEN attempts ELSE 0 END, status = 'queued', run_at = now(), \
         cancel = false, finished_at = NULL, expires_at = NULL \
         WHERE tenant_id = $1 AND job_id = $2 AND (status = 'queued' OR status IN ('dead', 'cancelled') AND NOT EXISTS \
         (SELECT 1 FROM job o WHERE o.tenant_id = $1 AND o.kind = j.kind AND o.unique_key = j.unique_key \
          AND o.status IN ('queued', 'running')))",
    )
    .bind(tenant.0)
    .bind(id)
    .execute(pool)
    .await?;
    changed(pool, tenant, id, done.rows_affected()).await
}

/// Ends a job that waits; tells the worker of one that runs.
///
/// # Errors
/// [`Error::Database`].
pub async fn cancel(pool: &PgPool, tenant: TenantId, id: Uuid) -> Result<Changed, Error> {
    let done = sqlx::query(
        "UPDATE job SET cancel = true, status = CASE status WHEN 'queued' THEN 'cancelled' ELSE status END, \
         finished_at = CASE status WHEN 'queued' THEN now() END, \
         expires_at = CASE status WHEN 'queued' THEN now() + $3::bigint * interval '1 microsecond' END \
         WHERE tenant_id = $1 AND job_id = $2 AND status IN ('queued', 'running')",
    )
    .bind(tenant.0)
    .bind(id)
    .bind(KEPT_MICROS)
    .execute(pool)
    .await?;
    changed(pool, tenant, id, done.rows_affected()).await
}

/// Deletes a job that is over, with its result.
///
/// # Errors
/// [`Error::Database`].
pub async fn delete(pool: &PgPool, tenant: TenantId, id: Uuid) -> Result<Changed, Error> {
    let done = sqlx::query("DELETE FROM job WHERE tenant_id = $1 AND job_id = $2 AND status IN ('done', 'dead', 'cancelled')")
        .bind(tenant.0)
        .bind(id)
        .execute(pool)
        .await?;
    changed(pool, tenant, id, done.rows_affected()).await
}

/// Gives a worker the next job of a priority, of these kinds, of none of these tenants.
///
/// # Errors
/// [`Error::Database`].
pub async fn claim(
    pool: &PgPool,
    worker: Uuid,
    priority: Priority,
    kinds: &[&str],
    full: &[i64],
    lease_micros: i64,
) -> Result<Option<Claimed>, Error> {
    let row = sqlx::query(include_str!("job/claim.sql"))
        .bind(priority.number())
        .bind(kinds)
        .bind(full)
        .bind(worker)
        .bind(lease_micros)
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Claimed {
        tenant: TenantId(row.try_get(0)?),
        id: row.try_get(1)?,
        kind: row.try_get(2)?,
        priority: Priority::from_number(row.try_get(3)?)?,
        actor: row.try_get(4)?,
        payload: row.try_get(5)?,
        attempt: row.try_get(6)?,
        attempts_max: row.try_get(7)?,
        progress: row.try_get(8)?,
    }))
}

/// A worker's sign of life for the runs it knows of: a claim whose answer was lost is not kept alive by it. Answers which of
/// them are still its own, and whether each is to be cancelled.
///
/// # Errors
/// [`Error::Database`].
pub async fn beat(pool: &PgPool, worker: Uuid, runs: &[Run], lease_micros: i64) -> Result<Vec<(TenantId, Uuid, bool)>, Error> {
    let (tenants, ids): (Vec<i64>, Vec<Uuid>) = runs.iter().map(|run| (run.tenant.0, run.id)).unzip();
    let rows: Vec<(i64, Uuid, bool)> = sqlx::query_as(
        "UPDATE job j SET leased_until = now() + $2::bigint * interval '1 microsecond' \
         FROM unnest($3::bigint[], $4::uuid[]) AS r (tenant_id, job_id) \
         WHERE j.tenant_id = r.tenant_id AND j.job_id = r.job_id AND j.worker = $1 AND j.status = 'running' \
         RETURNING j.tenant_id, j.job_id, j.cancel",
    )
    .bind(worker)
    .bind(lease_micros)
    .bind(tenants)
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(tenant, id, cancel)| (TenantId(tenant), id, cancel)).collect())
}

/// Takes back the jobs of workers that gave no sign of life; answers them, and what they are now.
///
/// # Errors
/// [`Error::Database`].
pub async fn lost(pool: &PgPool) -> Result<Vec<(TenantId, Uuid, String, Status)>, Error> {
    let rows = sqlx::query(include_str!("job/lost.sql")).bind(KEPT_MICROS).fetch_all(pool).await?;
    let lost = |row: &PgRow| {
        let status = Status::parse(row.try_get(3)?).ok_or_else(|| corrupt("a job's status"))?;
        Ok((TenantId(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?, status))
    };
    rows.iter().map(lost).collect()
}

/// Notes how far a run has come; false when the job is no longer this run's.
///
/// # Errors
/// [`Error::Database`].
pub async fn note(executor: impl PgExecutor<'_>, run: Run, progress: &Progress) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE job SET progress = $5, progress_of = $6, progress_note = $7 \
         WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND worker = $4 AND status = 'running'",
    )
    .bind(run.tenant.0)
    .bind(run.id)
    .bind(run.attempt)
    .bind(run.worker)
    .bind(progress.done)
    .bind(progress.of)
    .bind(&progress.note)
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes what an earlier run of the same number left of a result.
///
/// # Errors
/// [`Error::Database`].
pub async fn clear(executor: impl PgExecutor<'_>, run: Run) -> Result<(), Error> {
    sqlx::query("DELETE FROM job_chunk WHERE tenant_id = $1 AND job_id = $2 AND attempt = $3")
        .bind(run.tenant.0)
        .bind(run.id)
        .bind(run.attempt)
        .execute(executor)
        .await?;
    Ok(())
}

/// Adds a piece to a run's result; false when the job is no longer this run's.
///
/// # Errors
/// [`Error::Database`].
pub async fn write(executor: impl PgExecutor<'_>, run: Run, number: i32, bytes: &[u8]) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO job_chunk (tenant_id, job_id, attempt, number, bytes) SELECT tenant_id, job_id, attempts, $5, $6 FROM job \
         WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND worker = $4 AND status = 'running'",
    )
    .bind(run.tenant.0)
    .bind(run.id)
    .bind(run.attempt)
    .bind(run.worker)
    .bind(number)
    .bind(bytes)
    .execute(executor)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A piece of a job's input (attempt 0) or of a run's result; `None` behind the last one.
///
/// # Errors
/// [`Error::Database`].
pub async fn chunk(
    executor: impl PgExecutor<'_>,
    (tenant, id, attempt): (TenantId, Uuid, i32),
    number: i32,
) -> Result<Option<Vec<u8>>, Error> {
    Ok(sqlx::query_scalar("SELECT bytes FROM job_chunk WHERE tenant_id = $1 AND job_id = $2 AND attempt = $3 AND number = $4")
        .bind(tenant.0)
        .bind(id)
        .bind(attempt)
        .bind(number)
        .fetch_optional(executor)
        .await?)
}

/// Ends a run well; false when the job is no longer this run's, and then it is as if it had not run.
///
/// # Errors
/// [`Error::Database`].
pub async fn finish(pool: &PgPool, run: Run, finished: &Finished<'_>) -> Result<bool, Error> {
    if finished.kept_micros == 0 {
        let done = sqlx::query(
            "DELETE FROM job WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND worker = $4 AND status = 'running'",
        )
        .bind(run.tenant.0)
        .bind(run.id)
        .bind(run.attempt)
        .bind(run.worker)
        .execute(pool)
        .await?;
        return Ok(done.rows_affected() == 1);
    }
    let mut tx = pool.begin().await?;
    let done = sqlx::query(
        "UPDATE job SET status = 'done', worker = NULL, leased_until = NULL, finished_at = now(), result = $5::jsonb, \
         result_type = $6, result_attempt = CASE WHEN $6 IS NOT NULL THEN attempts END, \
         expires_at = now() + $7::bigint * interval '1 microsecond' \
         WHERE tenant_id = $1 AND job_id = $2 AND attempts = $3 AND worker = $4 AND status = 'running'",
    )
    .bind(run.tenant.0)
    .bind(run.id)
    .bind(run.attempt)
    .bind(run.worker)
    .bind(finished.result)
    .bind(finished.result_type)
    .bind(finished.kept_micros)
    .execute(&mut *tx)
    .await?;
    let is_ours = done.rows_affected() == 1;
    if is_ours {
        // Its input and what earlier attempts left behind are of no more use.
        sqlx::query("DELETE FROM job_chunk WHERE tenant_id = $1 AND job_id = $2 AND (attempt <> $3 OR $4)")
            .bind(run.tenant.0)
            .bind(run.id)
            .bind(run.attempt)
            .bind(finished.result_type.is_none())
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(is_ours)
}

/// Ends a run that did not end well; answers where the job stands now, `None` when it is no longer this run's.
///
/// # Errors
/// [`Error::Database`].
pub async fn fail(executor: impl PgExecutor<'_>, run: Run, ended: &Ended<'_>) -> Result<Option<Status>, Error> {
    let (word, error, micros) = match *ended {
        Ended::Failed(error, pause) => ("failed", Some(error), pause),
        Ended::FailedForGood(error) => ("dead", Some(error), 0),
        Ended::Postponed(pause) => ("postponed", None, pause),
        Ended::Cancelled => ("cancelled", None, 0),
    };
    // A text column takes no NUL.
    let error: Option<String> = error.map(|e| e.chars().filter(|c| *c != '\0').take(ERROR_CHARS_MAX).collect());
    let status: Option<String> = sqlx::query_scalar(include_str!("job/fail.sql"))
        .bind(run.tenant.0)
        .bind(run.id)
        .bind(run.attempt)
        .bind(run.worker)
        .bind(word)
        .bind(error)
        .bind(micros)
        .bind(KEPT_MICROS)
        .fetch_optional(executor)
        .await?;
    status.map(|word| Status::parse(&word).ok_or_else(|| corrupt("a job's status"))).transpose()
}

/// Forgets what may be forgotten of a tenant's jobs, at most `limit`; answers how many went.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget(executor: impl PgExecutor<'_>, tenant: TenantId, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM job WHERE tenant_id = $1 AND job_id IN (SELECT job_id FROM job WHERE tenant_id = $1 AND expires_at < now() \
         AND status IN ('done', 'cancelled') ORDER BY expires_at LIMIT $2)",
    )
    .bind(tenant.0)
    .bind(limit)
    .execute(executor)
    .await?;
    Ok(done.rows_affected())
}
