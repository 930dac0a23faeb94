//! What the tests stand on: private servers, the real process, a client.
//!
//! **Shape**: [`World::start`] (servers, schema) → [`World::node`] (a `ledgerd serve` process) and
//! [`World::tenant`] (code + key) → [`Client`].

pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod node;
pub(crate) mod proxy;
pub(crate) mod replica;
pub(crate) mod s3;

use std::process::Command;

use serde_json::Value;

pub(crate) use client::{Answer, Client};
pub(crate) use node::Node;

use crate::supervisor::{self, Name, Options, Running, Source};

/// The binary under test.
pub(crate) const LEDGERD: &str = env!("CARGO_BIN_EXE_ledgerd");

/// Which servers a test needs beside Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    Database,
    DatabaseAndRedis,
    All,
}

/// Private servers with the schema in place; gone when dropped.
pub(crate) struct World {
    pub(crate) servers: Running,
    pub(crate) database_url: String,
    pub(crate) redis_url: Option<String>,
    pub(crate) nats_url: Option<String>,
}

/// A tenant and a key to it.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub(crate) code: String,
    pub(crate) number: i64,
    pub(crate) key: String,
}

/// What HTTP clients ask for even where nothing is encrypted; whoever comes second finds it there.
pub(crate) fn install_tls() {
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

impl World {
    pub(crate) async fn start(parts: Parts) -> Self {
        install_tls();
        let mut options = Options::ephemeral(Some(LEDGERD.into()));
        if parts == Parts::Database {
            options.redis = Source::Absent;
        }
        if parts != Parts::All {
            options.nats = Source::Absent;
        }
        let servers = tokio::task::spawn_blocking(move || supervisor::start(options)).await.unwrap().unwrap();
        let database_url = servers.database_url.clone();
        let redis_url = servers.redis_url.clone();
        let nats_url = servers.nats_url.clone();
        let world = Self { servers, database_url, redis_url, nats_url };
        world.ledgerd(&["migrate"]);
        world
    }

    /// A `ledgerd` command with the servers' addresses.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LEDGERD);
        command.args(args).env("DATABASE_URL", &self.database_url).env_remove("REDIS_URL").env_remove("NATS_URL");
        if let Some(url) = &self.redis_url {
            command.env("REDIS_URL", url);
        }
        if let Some(url) = &self.nats_url {
            command.env("NATS_URL", url);
        }
        command
    }

    /// Runs a verb that must succeed; answers what it printed as JSON, null if nothing.
    pub(crate) fn ledgerd(&self, args: &[&str]) -> Value {
        let (code, out, err) = self.ledgerd_any(args);
        assert_eq!(code, 0, "ledgerd {args:?}: {err}{out}");
        serde_json::from_str(&out).unwrap_or(Value::Null)
    }

    /// Runs a verb; answers exit code, standard output, standard error.
    pub(crate) fn ledgerd_any(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.command(args).arg("--json").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// A new tenant with a key.
    pub(crate) fn tenant(&self, code: &str) -> Tenant {
        let created = self.ledgerd(&["tenant", "create", code, "--currency", "EUR"]);
        let key = self.ledgerd(&["key", "create", "--tenant", code, "--name", "test"]);
        Tenant {
            code: code.to_owned(),
            number: created["tenant"].as_i64().unwrap(),
            key: key["key"].as_str().unwrap().to_owned(),
        }
    }

    /// A `ledgerd serve` process that also projects.
    pub(crate) async fn node(&self) -> Node {
        Node::start(self, &["--projector"]).await
    }

    /// A connection as the owner of the tables, who may do what the service may not.
    pub(crate) async fn owner(&self) -> sqlx::PgConnection {
        use sqlx::Connection;
        sqlx::PgConnection::connect(&self.database_url).await.unwrap()
    }

    /// Replays a tenant and compares views and Redis; answers exit code and report.
    pub(crate) fn verify(&self, tenant: &str) -> (i32, Value) {
        let (code, out, err) = self.ledgerd_any(&["verify", "--tenant", tenant]);
        let report = serde_json::from_str(&out).unwrap_or_else(|_| panic!("verify printed no report: {out}{err}"));
        (code, report)
    }

    /// `verify` finds nothing wrong.
    pub(crate) fn verify_clean(&self, tenant: &str) {
        let (code, report) = self.verify(tenant);
        assert_eq!(code, 0, "{report:#}");
    }

    pub(crate) async fn stop_part(&self, name: Name) {
        self.servers.stop_part(name).unwrap();
    }

    pub(crate) async fn start_part(&self, name: Name) {
        self.servers.start_part(name).unwrap();
    }
}
