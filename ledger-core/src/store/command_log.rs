//! What a command was answered: rebuilt from its events, or stored when it made none.

use minicbor::{Decode, Encode};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Error;
use super::read::{Raw, columns, page};
use crate::domain::event::Recorded;
use crate::domain::id::{CommandId, Position, TenantId};
use crate::domain::rejection::Refusal;

/// The answer of a command that made no event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QuietAnswer {
    /// Why it was refused; `None` when everything asked for was already so.
    #[n(0)]
    pub refusal: Option<Refusal>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// It made these events.
    Events(Vec<Recorded>),
    /// It made none, decided at this position.
    Quiet(Position, QuietAnswer),
}

/// A command found in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Which.
    pub id: CommandId,
    /// Of what was asked then.
    pub fingerprint: [u8; 16],
    /// What it was answered.
    pub answered: Answered,
}

/// The answers of those of `ids` that were answered before.
///
/// # Errors
/// [`Error`].
pub async fn find(connection: &mut PgConnection, tenant: TenantId, ids: &[CommandId]) -> Result<Vec<Found>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| Uuid::from_bytes(id.0)).collect();
    let mut found = Vec::new();
    let firsts = sqlx::query(concat!(
        "SELECT ",
        columns!(),
        " FROM event WHERE tenant_id = $1 AND command_id = ANY ($2::uuid[]) AND command_id IS NOT NULL"
    ))
    .bind(tenant.0)
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for row in &firsts {
        let stored = Raw::from_row(row)?.decode()?;
        let Some(command) = stored.command else {
            continue;
        };
        let mut events = vec![stored.recorded];
        if command.meta.events > 1
            && let Some(first) = events.first()
        {
            let more = i64::from(command.meta.events).saturating_sub(1);
            let rest = page(&mut *connection, tenant, first.position, more).await?;
            events.extend(rest.into_iter().map(|s| s.recorded));
        }
        found.push(Found { id: command.id, fingerprint: command.fingerprint, answered: Answered::Events(events) });
    }
    let quiet = sqlx::query(
        "SELECT command_id, fingerprint, position, answer FROM command_without_event WHERE tenant_id = $1 AND command_id = ANY ($2::uuid[])",
    )
    .bind(tenant.0)
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for row in &quiet {
        let answer = minicbor::decode(row.try_get::<&[u8], _>(3)?).map_err(|source| Error::Command { tenant, source })?;
        found.push(Found {
            id: CommandId(row.try_get::<Uuid, _>(0)?.into_bytes()),
            fingerprint: row.try_get::<Uuid, _>(1)?.into_bytes(),
            answered: Answered::Quiet(row.try_get(2)?, answer),
        });
    }
    Ok(found)
}

/// Removes stored refusals older than `before` (microseconds), at most `limit`; answers how many went.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_quiet(connection: &mut PgConnection, tenant: TenantId, before: i64, limit: i64) -> Result<u64, Error> {
    let done = sqlx::query(
        "DELETE FROM command_without_event WHERE tenant_id = $1 AND command_id IN \
         (SELECT command_id FROM command_without_event WHERE tenant_id = $1 AND recorded_at < $2 ORDER BY recorded_at LIMIT $3)",
    )
    .bind(tenant.0)
    .bind(before)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
