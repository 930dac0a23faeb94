//! Connections.
//!
//! **Correctness**: every connection takes the role `ledger_service`, which cannot change events. A connection that
//! comes out of the pool is rolled back first: a transaction left open by a cancelled `begin` (sqlx #4385) would
//! otherwise swallow later writes. Server-side limits bound every statement, lock wait and idle transaction.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};

use super::Error;

/// How long a caller waits for a connection of the pool.
const ACQUIRE_SECONDS_MAX: u64 = 10;
/// The same, where the primary can be asked instead.
const REPLICA_ACQUIRE_SECONDS_MAX: u64 = 2;
/// Bound of one statement. Long reads page.
const STATEMENT_TIMEOUT: &str = "30s";
/// Bound of a wait for a lock.
const LOCK_TIMEOUT: &str = "10s";
/// Bound of a transaction that nobody works on.
const IDLE_TRANSACTION_TIMEOUT: &str = "60s";

/// Ends a transaction that was left open. A bare ROLLBACK would have the server log a warning whenever there is none.
const CLOSE_TRANSACTION: &str = "BEGIN; ROLLBACK";

/// Where to connect, and how often.
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://…`; a socket directory goes into `?host=`.
    pub url: String,
    /// Most connections at once.
    pub connections_max: u32,
    /// Shown in `pg_stat_activity`.
    pub application_name: &'static str,
}

fn connect_options(url: &str, application_name: &str) -> Result<PgConnectOptions, Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name(application_name).disable_statement_logging().options([
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("lock_timeout", LOCK_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_TIMEOUT),
        // The ROLLBACK below warns when there is nothing to roll back.
        ("client_min_messages", "error"),
    ]))
}

/// A pool for reads and for the projector's transactions.
///
/// # Errors
/// [`Error`] when the URL is wrong or the first connection fails.
pub async fn connect(options: &Options) -> Result<PgPool, Error> {
    pool_of(options, connect_options(&options.url, options.application_name)?).await
}

/// A pool whose statements find their tables in `schema` first, and then where they always are. A commit returns before it
/// is on disk: for work that is done again when it is lost, cursor and all. Needs a direct URL, not that of a pooler.
///
/// # Errors
/// As [`connect`].
pub async fn connect_beside(options: &Options, schema: &str) -> Result<PgPool, Error> {
    let path = format!("{schema}, public");
    let connect = connect_options(&options.url, options.application_name)?;
    pool_of(options, connect.options([("search_path", path.as_str()), ("synchronous_commit", "off")])).await
}

async fn pool_of(options: &Options, connect: PgConnectOptions) -> Result<PgPool, Error> {
    let pool = pool_options(options).min_connections(1).acquire_timeout(Duration::from_secs(ACQUIRE_SECONDS_MAX));
    Ok(pool.connect_with(connect).await?)
}

/// A pool for reads of a replica, which need not be there now or ever: there is another way to the answer, so nobody
/// waits for it long.
///
/// # Errors
/// [`Error`] when the URL is wrong.
pub fn connect_replica(options: &Options) -> Result<PgPool, Error> {
    let connect = connect_options(&options.url, options.application_name)?;
    Ok(pool_options(options).acquire_timeout(Duration::from_secs(REPLICA_ACQUIRE_SECONDS_MAX)).connect_lazy_with(connect))
}

fn pool_options(options: &Options) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(options.connections_max)
        .after_connect(|connection, _| Box::pin(async move { take_role(connection).await }))
        .before_acquire(|connection, _| Box::pin(async move { connection.execute(CLOSE_TRANSACTION).await.map(|_| true) }))
}

/// One connection of its own for a writer. Its plans touch rows by full key only, whatever the statistics say: a plan
/// made while a table was small must not scan it when it is large.
///
/// # Errors
/// [`Error`] when the database cannot be reached.
pub async fn connect_writer(url: &str) -> Result<PgConnection, Error> {
    let options = connect_options(url, "ledgerd writer")?.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_material", "off"),
        ("jit", "off"),
    ]);
    let mut connection = PgConnection::connect_with(&options).await?;
    take_role(&mut connection).await?;
    Ok(connection)
}

async fn take_role(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute("SET ROLE ledger_service").await.map(|_| ())
}
