//! Tenants that stand still, where everyone can see them.
//!
//! **Correctness**: a row says that a part of the projector could not go beyond a position of a tenant's log; it is written
//! anew at every attempt and keeps its first instant. It goes as soon as that part's cursor has passed the position,
//! whoever moved it: a projector that takes over knows nothing of its predecessor's stops.

use ledger_core::domain::id::TenantId;
use sqlx::postgres::PgPool;

use crate::Error;

/// Characters of a reason.
const WHY_CHARS_MAX: usize = 500;

/// What stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Rows and cache.
    Views,
    /// Messages to the broker.
    Feed,
    /// Tree nodes and mentions.
    Trail,
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Views => "views",
            Self::Feed => "feed",
            Self::Trail => "trail",
        }
    }
}

/// Remembers that a tenant's part does not get beyond its cursor. That it could not be remembered is only said: the part is
/// tried again and stops again.
pub(crate) async fn note(pool: &PgPool, tenant: TenantId, part: Part, error: &Error) {
    if let Err(error) = write(pool, tenant, part, error).await {
        tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "the stop is not noted");
    }
}

async fn write(pool: &PgPool, tenant: TenantId, part: Part, error: &Error) -> Result<(), Error> {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why.push_str(": ");
        why.push_str(&cause.to_string());
        source = cause.source();
    }
    // The column takes no NUL, and a reason may quote a row.
    let why: String = why.chars().filter(|c| !c.is_control()).take(WHY_CHARS_MAX).collect();
    let mut tx = pool.begin().await?;
    sqlx::query(include_str!("stop/note.sql")).bind(tenant.0).bind(part.as_str()).bind(why).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Forgets stops that were passed.
///
/// # Errors
/// [`Error::Database`].
pub(crate) async fn forget_passed(pool: &PgPool) -> Result<(), Error> {
    sqlx::query(include_str!("stop/forget_passed.sql")).execute(pool).await?;
    Ok(())
}
