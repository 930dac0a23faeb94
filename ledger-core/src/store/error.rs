//! Faults of the store. Business refusals are never here.

use crate::audit::merkle::FrontierError;
use crate::audit::row::RowError;
use crate::domain::id::TenantId;

/// A fault between this program and its database, or in what the database holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database said no, or could not be reached.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migration")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A stored event, or who asked for it, cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A stored answer cannot be read.
    #[error("tenant {tenant}: a stored answer cannot be read")]
    Command {
        /// Whose log.
        tenant: TenantId,
        /// What is wrong.
        #[source]
        source: minicbor::decode::Error,
    },
    /// The head's frontier does not fit its position.
    #[error("tenant {tenant}: the head is damaged")]
    Head {
        /// Whose log.
        tenant: TenantId,
        /// What is wrong.
        #[source]
        source: FrontierError,
    },
}

/// What is known of a statement that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The database answered with an error: nothing was written.
    NotDone,
    /// The connection was lost or the server was going down: it may have been written.
    Unknown,
}

impl Error {
    /// True when trying again later may succeed without anything being mended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(source) => match source {
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::Protocol(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_state(&code)),
                _ => false,
            },
            Self::Migrate(_) | Self::Row(_) | Self::Command { .. } | Self::Head { .. } => false,
        }
    }

    /// What is known of the statement that failed with this.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            // 57P01..57P03 may arrive while the commit is being made durable, 08… say the connection is gone.
            Self::Database(sqlx::Error::Database(error)) => match error.code() {
                Some(code) if code.starts_with("57P") || code.starts_with("08") => Outcome::Unknown,
                Some(_) => Outcome::NotDone,
                None => Outcome::Unknown,
            },
            Self::Database(_) => Outcome::Unknown,
            Self::Migrate(_) | Self::Row(_) | Self::Command { .. } | Self::Head { .. } => Outcome::NotDone,
        }
    }
}

/// SQLSTATE classes that pass: connection, resources (disk, memory, connections), operator intervention, rollback of a
/// deadlock or serialization failure, lock time-out, read-only server.
fn is_transient_state(code: &str) -> bool {
    ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03" || code == "25006"
}
