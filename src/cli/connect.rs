//! Which database, cache and broker a verb talks to: the URL given, or the servers that `ledgerd up` runs here.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ledger_core::domain::id::TenantId;
use ledger_core::store::{self, pool};
use sqlx::postgres::PgPool;

use crate::supervisor;

/// Connections of a one-shot verb.
const CONNECTIONS_MAX: u32 = 4;

/// Where the parts are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Urls {
    /// Postgres.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Standbys of that Postgres, separated by commas: they answer reads that they are new enough for.
    #[arg(
        long = "database-replica-url",
        global = true,
        env = "DATABASE_REPLICA_URL",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) database_replica_urls: Vec<String>,
    /// Redis.
    #[arg(long, global = true, env = "REDIS_URL", hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// NATS with JetStream.
    #[arg(long, global = true, env = "NATS_URL", hide_env_values = true)]
    pub(crate) nats_url: Option<String>,
    /// Monitoring address of NATS, such as http://127.0.0.1:8222: tells whether it syncs what it acknowledges.
    #[arg(long, global = true, env = "NATS_MONITOR_URL", hide_env_values = true)]
    pub(crate) nats_monitor_url: Option<String>,
    /// Publish nothing to a NATS that is not known to sync every message before it acknowledges it.
    #[arg(long, global = true, env = "LEDGERD_FEED_REQUIRE_SYNC")]
    pub(crate) feed_require_sync: bool,
    /// Data directory of `ledgerd up`, used where no URL is given.
    #[arg(long, global = true, env = "LEDGERD_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What `up` leaves in its data directory for the other verbs.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Known {
    pub(crate) database_url: String,
    pub(crate) redis_url: Option<String>,
    pub(crate) nats_url: Option<String>,
    pub(crate) http: String,
}

/// The file [`Known`] is kept in; it may hold credentials and is readable by its owner only.
pub(crate) const KNOWN_FILE: &str = "urls.json";

impl Urls {
    /// Fills in what `ledgerd up` runs, if it does.
    pub(crate) fn resolve(mut self) -> Result<Self> {
        if self.database_url.is_none() {
            let dir = supervisor::data_dir(self.data_dir.as_deref())?;
            let file = dir.join(KNOWN_FILE);
            let text = std::fs::read_to_string(&file).with_context(|| {
                format!("DATABASE_URL is not set, and no `ledgerd up` has left its address in {}", file.display())
            })?;
            let known: Known = serde_json::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
            self.database_url = Some(known.database_url);
            self.redis_url = self.redis_url.or(known.redis_url);
            self.nats_url = self.nats_url.or(known.nats_url);
        }
        Ok(self)
    }

    /// The database's URL.
    pub(crate) fn database(&self) -> Result<&str> {
        self.database_url.as_deref().context("DATABASE_URL is not set")
    }

    /// A pool per replica; none needs to be there.
    pub(crate) fn replicas(&self, connections_max: u32) -> Result<Vec<PgPool>> {
        let pool = |url: &String| {
            let options = pool::Options { url: url.trim().to_owned(), connections_max, application_name: "ledgerd reads" };
            pool::connect_replica(&options).context("DATABASE_REPLICA_URL")
        };
        self.database_replica_urls.iter().filter(|url| !url.trim().is_empty()).map(pool).collect()
    }

    /// A small pool.
    pub(crate) async fn pool(&self) -> Result<PgPool> {
        let options =
            pool::Options { url: self.database()?.to_owned(), connections_max: CONNECTIONS_MAX, application_name: "ledgerd cli" };
        pool::connect(&options).await.context("connecting to Postgres")
    }
}

/// The tenant with this code.
pub(crate) async fn tenant(pool: &PgPool, code: &str) -> Result<TenantId> {
    let tenant = store::tenant::find_by_code(pool, code).await?;
    Ok(tenant.with_context(|| format!("there is no tenant {code}; `ledgerd tenant list` shows them"))?.id)
}
