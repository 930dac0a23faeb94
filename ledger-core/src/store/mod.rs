//! The event store: the only place with statements on the event tables.
//!
//! **Shape**: [`append`] writes a batch of decided commands in one statement; [`read`] pages through a log; [`log`] reads
//! all of one, several parts at once; [`trail`] reads it for who did what; [`command_log`] finds what a command was
//! answered; [`tenant`] and [`api_key`] keep the registry; [`person`] keeps what is known of people, beside the log; [`job`]
//! what is done beside the requests, [`webhook`] who is told; [`tree`] proves, [`checkpoint`] keeps what was signed, and
//! [`verification`] what auditors asked for and were told.
//! **Correctness**: see [`append`]. Nothing here updates or deletes an event, and the role it runs under could not.

pub mod api_key;
pub mod append;
pub mod checkpoint;
pub mod command_log;
mod error;
pub mod job;
pub mod log;
pub mod person;
pub mod pool;
pub mod read;
pub mod tenant;
pub mod trail;
pub mod tree;
pub mod verification;
pub mod webhook;

pub use error::{Error, Outcome};

use sqlx::Connection;

/// Migrations, embedded; each runs once, in order, in a transaction.
static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// The newest migration this program knows.
#[must_use]
pub fn schema_version() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

/// Brings the database's schema up to this program's. Connects directly as the URL's own user, who owns the tables.
///
/// # Errors
/// [`Error`] when the database cannot be reached, or holds migrations this program does not know in the wrong order.
pub async fn migrate(url: &str) -> Result<(), Error> {
    let mut connection = sqlx::PgConnection::connect(url).await?;
    MIGRATOR.run(&mut connection).await.map_err(Error::Migrate)?;
    connection.close().await?;
    Ok(())
}
