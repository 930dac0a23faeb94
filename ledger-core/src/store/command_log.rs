//! What a command was answered: rebuilt from its events, or stored when it made none.

use std::convert::Infallible;

use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, Row};
use uuid::Uuid;

use super::Error;
use super::read::{columns, page, raw};
use crate::domain::event::Recorded;
use crate::domain::id::{CommandId, Position, TenantId};
use crate::domain::rejection::Refusal;
use crate::domain::time::Timestamp;

/// The answer of a command that made no event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QuietAnswer {
    /// Why it was refused; `None` when everything asked for was already so.
    #[n(0)]
    pub refusal: Option<Refusal>,
    /// First four bytes of the hash over its row. It stands in no tree: it tells damage, not forgery. Rows of older
    /// programs have none.
    #[n(1)]
    pub check: Option<u32>,
}

/// A row of the table `command_without_event`, but for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the table command_without_event")]
pub struct QuietRow {
    pub tenant: TenantId,
    pub id: CommandId,
    pub fingerprint: [u8; 16],
    pub position: Position,
    pub recorded_at: Timestamp,
}

impl QuietRow {
    /// The bytes that are stored of an answer.
    ///
    /// # Errors
    /// None for a refusal that this program makes.
    pub fn encode(&self, refusal: Option<Refusal>) -> Result<Vec<u8>, minicbor::encode::Error<Infallible>> {
        let plain = QuietAnswer { refusal, check: None };
        let check = self.check(&minicbor::to_vec(&plain)?);
        minicbor::to_vec(QuietAnswer { check: Some(check), ..plain })
    }

    /// What is wrong with the bytes stored of its answer; `None` when nothing is. A row without a check can only be read.
    #[must_use]
    pub fn fault(&self, answer: &[u8]) -> Option<&'static str> {
        let Ok(decoded) = minicbor::decode::<QuietAnswer>(answer) else { return Some("it cannot be read") };
        let plain = QuietAnswer { refusal: decoded.refusal.clone(), check: None };
        let (Ok(whole), Ok(plain)) = (minicbor::to_vec(&decoded), minicbor::to_vec(&plain)) else {
            return Some("it cannot be written again");
        };
        let is_as_written = decoded.check.is_none_or(|check| check == self.check(&plain));
        (whole != answer || !is_as_written).then_some("it was changed after it was given")
    }

    fn check(&self, answer: &[u8]) -> u32 {
        let mut hash = Sha256::new();
        for number in [self.tenant.0, self.position, self.recorded_at.0] {
            hash.update(number.to_be_bytes());
        }
        hash.update(self.id.0);
        hash.update(self.fingerprint);
        hash.update(answer);
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        u32::from_be_bytes([a, b, c, d])
    }
}

/// Up to `limit` rows of commands that made no event, by command id after one; each with its answer's bytes.
///
/// # Errors
/// [`Error::Database`].
pub async fn quiet_page(
    executor: impl PgExecutor<'_>,
    tenant: TenantId,
    after: Option<CommandId>,
    limit: i64,
) -> Result<Vec<(QuietRow, Vec<u8>)>, Error> {
    let rows = sqlx::query(
        "SELECT command_id, fingerprint, position, recorded_at, answer FROM command_without_event \
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR command_id > $2) ORDER BY command_id LIMIT $3",
    )
    .bind(tenant.0)
    .bind(after.map(|id| Uuid::from_bytes(id.0)))
    .bind(limit)
    .fetch_all(executor)
    .await?;
    let row = |row: &PgRow| {
        let of = QuietRow {
            tenant,
            id: CommandId(row.try_get::<Uuid, _>(0)?.into_bytes()),
            fingerprint: row.try_get::<Uuid, _>(1)?.into_bytes(),
            position: row.try_get(2)?,
            recorded_at: Timestamp(row.try_get(3)?),
        };
        Ok((of, row.try_get(4)?))
    };
    rows.iter().map(row).collect()
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
        let stored = raw(row)?.decode()?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rejection::Rejection;

    fn row() -> QuietRow {
        QuietRow {
            tenant: TenantId(3),
            id: CommandId([1; 16]),
            fingerprint: [2; 16],
            position: 17,
            recorded_at: Timestamp(1_800_000_000_000_000),
        }
    }

    #[test]
    fn any_flipped_bit_of_an_answer_or_of_its_row_is_told() {
        for refusal in [None, Some(Refusal { step: Some(2), rejection: Rejection::CommandIdReused })] {
            let answer = row().encode(refusal.clone()).unwrap();
            assert_eq!(minicbor::decode::<QuietAnswer>(&answer).unwrap().refusal, refusal);
            assert_eq!(row().fault(&answer), None);
            for bit in 0..answer.len() * 8 {
                let mut flipped = answer.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(row().fault(&flipped).is_some(), "bit {bit}");
            }
            for changed in [
                QuietRow { tenant: TenantId(2), ..row() },
                QuietRow { id: CommandId([0; 16]), ..row() },
                QuietRow { fingerprint: [3; 16], ..row() },
                QuietRow { position: 16, ..row() },
                QuietRow { recorded_at: Timestamp(1_800_000_000_000_001), ..row() },
            ] {
                assert!(changed.fault(&answer).is_some(), "{changed:?}");
            }
        }
    }

    #[test]
    fn an_answer_of_an_older_program_is_read() {
        let old = minicbor::to_vec(QuietAnswer { refusal: None, check: None }).unwrap();
        assert_eq!(row().fault(&old), None);
        assert!(row().fault(&[old, vec![0]].concat()).is_some());
    }
}
