//! What is known of people, beside the log.
//!
//! **Shape**: [`begin`] stores data and salt under the command's id → the command is decided → [`settle`] makes the row what
//! the log says. [`mark_erasure`] → the command → [`erase`] removes every row of the person. [`sweep`] does the second half
//! of either where nobody came to it.
//! **Correctness**: 1. The row is there before the event is, so no event lacks its data; what is left without an event goes.
//! 2. A repeated call finds its row and so its salt: the same data make the same commitment, the same fingerprint, and are
//! answered from the log; other data are refused. 3. Only the log says what became of a command and whether somebody is
//! erased; these tables never do. 4. A row is removed as unknown only long after it was last submitted, by the database's
//! clock: no command is under way for [`UNKNOWN_KEPT`]. 5. The mark of an erasure outlives the process that made it, and
//! rows of the person that come in after it are removed with the others.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::{PgExecutor, Row};
use uuid::Uuid;

use super::Error;
use super::read::{Stored, raw};
use crate::domain::codec;
use crate::domain::event::{Event, Subject, stream_key};
use crate::domain::id::{CommandId, PersonId, Position, TenantId};
use crate::domain::person::commitment::Salt;
use crate::domain::person::event::PersonErased;

/// A row whose command the log does not know is kept this long after it was last submitted. A command waits for seconds.
pub const UNKNOWN_KEPT: Duration = Duration::from_secs(3_600);
/// The salt of a command that recorded nothing is kept as long as its answer is.
pub const QUIET_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A person as the log and this table know it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where the log ended when it was read.
    pub as_of: Position,
    /// The newest event of the person.
    pub newest: Stored,
    /// What lies beside the log for that event.
    pub kept: Option<Kept>,
}

/// Data with its salt.
#[derive(Clone)]
pub struct Kept {
    /// What the commitment was made with.
    pub salt: Salt,
    /// Deterministic CBOR.
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kept({} bytes)", self.data.len())
    }
}

fn key(person: &PersonId) -> Uuid {
    Uuid::from_bytes(stream_key(&Subject::Person(person.clone()).to_string()))
}

/// The stored number of the event that erases.
fn erases() -> i16 {
    codec::type_number(&Event::PersonErased(PersonErased { id: PersonId::default() }))
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

/// 256 bits that are not what they should be.
fn salt_from(bytes: &[u8]) -> Result<Salt, Error> {
    bytes.try_into().map(Salt).map_err(|_| Error::Database(sqlx::Error::Decode("a salt has 32 bytes".into())))
}

/// A person; `None` when there never was one of this id.
///
/// # Errors
/// [`Error`].
pub async fn find(executor: impl PgExecutor<'_>, tenant: TenantId, person: &PersonId) -> Result<Option<Found>, Error> {
    let row = sqlx::query(include_str!("person/find.sql")).bind(tenant.0).bind(key(person)).fetch_optional(executor).await?;
    let Some(row) = row else { return Ok(None) };
    let newest = raw(&row)?.decode()?;
    let kept = match (row.try_get::<Option<&[u8]>, _>("salt")?, row.try_get::<Option<Vec<u8>>, _>("data")?) {
        (Some(salt), Some(data)) => Some(Kept { salt: salt_from(salt)?, data }),
        _nothing_or_not_whole => None,
    };
    Ok(Some(Found { as_of: row.try_get("as_of")?, newest, kept }))
}

/// What a command that records a person finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The data are stored; the commitment is made with this salt.
    With(Salt),
    /// The person is erased: nothing is stored.
    Erased,
    /// The command's id was used for other data.
    Differs,
}

/// The salt that data would be recorded with: the one they are recorded with already, so that recording the same again
/// changes nothing, or a new one. `None` for a person who is erased.
///
/// # Errors
/// [`Error`].
pub async fn salt_for(pool: &PgPool, tenant: TenantId, person: &PersonId, data: &[u8]) -> Result<Option<Salt>, Error> {
    let Some(found) = find(pool, tenant, person).await? else { return Ok(Some(draw())) };
    if matches!(found.newest.recorded.fact.event, Event::PersonErased(_)) {
        return Ok(None);
    }
    Ok(Some(found.kept.filter(|kept| kept.data == data).map_or_else(draw, |kept| kept.salt)))
}

/// Randomness of the operating system, drawn through UUIDv4 (122 random bits each), three for 256 bits.
fn draw() -> Salt {
    use sha2::Digest;
    let drawn = [Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4()];
    let hash = drawn.iter().fold(sha2::Sha256::new(), |hash, part| hash.chain_update(part.as_bytes()));
    Salt(hash.finalize().into())
}

/// Stores data for a command that is about to be submitted; finds them there when it was submitted before.
///
/// # Errors
/// [`Error`].
pub async fn begin(pool: &PgPool, tenant: TenantId, person: &PersonId, command: CommandId, data: &[u8]) -> Result<Begun, Error> {
    let Some(salt) = salt_for(pool, tenant, person, data).await? else { return Ok(Begun::Erased) };
    let row = sqlx::query(
        // The answer of a command that recorded nothing is forgotten some day: then the same one may record the data after all.
        "INSERT INTO person_data AS known (tenant_id, command_id, person_id, salt, data) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant_id, command_id) DO UPDATE SET stored_at = now(), data = coalesce(known.data, excluded.data), \
         settled = known.settled AND known.data IS NOT NULL \
         WHERE known.person_id = excluded.person_id RETURNING salt, data",
    )
    .bind(tenant.0)
    .bind(Uuid::from_bytes(command.0))
    .bind(person.as_str())
    .bind(salt.0.as_slice())
    .bind(data)
    .fetch_optional(pool)
    .await?;
    match row {
        Some(row) if row.try_get::<&[u8], _>(1)? == data => salt_from(row.try_get(0)?).map(Begun::With),
        _of_another_person_or_with_other_data => Ok(Begun::Differs),
    }
}

/// Makes a command's row what the log says, once the command has its answer.
///
/// # Errors
/// [`Error::Database`].
pub async fn settle(executor: impl PgExecutor<'_>, tenant: TenantId, person: &PersonId, command: CommandId) -> Result<(), Error> {
    settle_after(executor, tenant, person, command, Duration::ZERO).await.map(|_| ())
}

/// As [`settle`] for a command whose answer is not known; 1 if the row went.
async fn settle_after(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    person: &PersonId,
    command: CommandId,
    unknown_kept: Duration,
) -> Result<i64, Error> {
    let row = sqlx::query(include_str!("person/settle.sql"))
        .bind(tenant.0)
        .bind(key(person))
        .bind(Uuid::from_bytes(command.0))
        .bind(erases())
        .bind(seconds(unknown_kept))
        .fetch_one(executor)
        .await?;
    Ok(row.try_get(0)?)
}

/// Says that a person is about to be erased: from here on it will be done to the end, whoever does it.
///
/// # Errors
/// [`Error::Database`].
pub async fn mark_erasure(executor: impl PgExecutor<'_>, tenant: TenantId, person: &PersonId) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO person_erasure (tenant_id, person_id) VALUES ($1, $2) \
         ON CONFLICT (tenant_id, person_id) DO UPDATE SET begun_at = now()",
    )
    .bind(tenant.0)
    .bind(person.as_str())
    .execute(executor)
    .await?;
    Ok(())
}

/// Removes data and salt of every version of a person whom the log says is erased; how many rows went.
///
/// # Errors
/// [`Error::Database`].
pub async fn erase(executor: impl PgExecutor<'_>, tenant: TenantId, person: &PersonId) -> Result<i64, Error> {
    let row = sqlx::query(include_str!("person/erase.sql"))
        .bind(tenant.0)
        .bind(key(person))
        .bind(person.as_str())
        .bind(erases())
        .bind(seconds(UNKNOWN_KEPT))
        .fetch_one(executor)
        .await?;
    Ok(row.try_get(1)?)
}

/// What one look of the sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows of people who are erased.
    pub erased: i64,
    /// Rows whose command never happened.
    pub unknown: i64,
    /// Salts of commands that recorded nothing and whose answers are forgotten.
    pub quiet: i64,
}

/// Does what was left undone, of every tenant, at most `limit` of each kind.
///
/// # Errors
/// [`Error`].
pub async fn sweep(pool: &PgPool, limit: i64) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    let marked = sqlx::query("SELECT tenant_id, person_id FROM person_erasure ORDER BY begun_at LIMIT $1").bind(limit);
    for row in marked.fetch_all(pool).await? {
        let person = PersonId::trusted(row.try_get(1)?);
        swept.erased = swept.erased.saturating_add(erase(pool, TenantId(row.try_get(0)?), &person).await?);
    }
    let unsettled = sqlx::query(
        "SELECT tenant_id, person_id, command_id FROM person_data \
         WHERE NOT settled AND stored_at <= now() - make_interval(secs => $1) ORDER BY stored_at LIMIT $2",
    );
    for row in unsettled.bind(seconds(UNKNOWN_KEPT)).bind(limit).fetch_all(pool).await? {
        let (person, command) = (PersonId::trusted(row.try_get(1)?), CommandId(row.try_get::<Uuid, _>(2)?.into_bytes()));
        let gone = settle_after(pool, TenantId(row.try_get(0)?), &person, command, UNKNOWN_KEPT).await?;
        swept.unknown = swept.unknown.saturating_add(gone);
    }
    let quiet = sqlx::query(
        "DELETE FROM person_data d USING (SELECT tenant_id, command_id FROM person_data \
         WHERE data IS NULL AND stored_at <= now() - make_interval(secs => $1) ORDER BY stored_at LIMIT $2) old \
         WHERE d.tenant_id = old.tenant_id AND d.command_id = old.command_id AND d.data IS NULL \
         AND d.stored_at <= now() - make_interval(secs => $1)",
    );
    let quiet = quiet.bind(seconds(QUIET_KEPT)).bind(limit).execute(pool).await?;
    swept.quiet = i64::try_from(quiet.rows_affected()).unwrap_or(i64::MAX);
    Ok(swept)
}
