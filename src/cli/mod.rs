//! The command line: one file per verb.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage (clap), 3 looked at and found wanting (`verify`, `doctor`, refused rows).

mod bench;
mod checkpoint;
pub(crate) mod connect;
mod doctor;
mod down;
pub(crate) mod export;
pub(crate) mod import;
mod job;
mod key;
mod migrate;
mod offline;
mod output;
mod project;
mod rebuild;
mod replay;
mod republish;
mod serve;
mod tenant;
mod up;
mod verify;
mod webhook;

pub(crate) use connect::Urls;
pub(crate) use tenant::create as create_tenant;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Looked at, and found wanting.
pub(crate) const WANTING: u8 = 3;

/// Event-sourced inventory ledger and accounting core.
#[derive(Debug, Parser)]
#[command(name = "ledgerd", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// Write the log as JSON lines.
    #[arg(long, global = true, env = "LEDGERD_LOG_JSON")]
    log_json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start everything here: servers of its own, a demo tenant, the API and the projector.
    #[command(after_help = "Example:\n  ledgerd up --listen 127.0.0.1:8080")]
    Up(up::Args),
    /// Stop what `up` left running in a data directory.
    #[command(after_help = "Example:\n  ledgerd down")]
    Down(down::Args),
    /// Serve the HTTP API.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://… ledgerd serve --listen 0.0.0.0:8080")]
    Serve(serve::Args),
    /// Run the projector: views, Redis, NATS, expiry sweep.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://… NATS_URL=nats://… ledgerd project")]
    Project(project::Args),
    /// Bring the database's schema up to date.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://… ledgerd migrate")]
    Migrate(migrate::Args),
    /// Create, list, suspend and resume tenants.
    #[command(after_help = "Example:\n  ledgerd tenant create acme --currency EUR")]
    Tenant(tenant::Args),
    /// Create, list and revoke API keys.
    #[command(after_help = "Example:\n  ledgerd key create --tenant acme --name checkout")]
    Key(key::Args),
    /// Send commands, journals, opening balances or SIE books from a file.
    #[command(after_help = import::EXAMPLES)]
    Import(import::Args),
    /// Write a tenant's log, stock or balances to a file.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme events > acme.ndjson")]
    Export(export::Args),
    /// List background jobs, and run again, cancel or delete them.
    #[command(after_help = "Example:\n  ledgerd job list --tenant acme --status dead")]
    Job(job::Args),
    /// Replay a tenant's log from nothing and say what its stock and balances were, at any position or time.
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Args),
    /// Replay a tenant's log from nothing and compare everything with it.
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Fold views anew beside those in use, and put the new ones in their places.
    #[command(after_help = rebuild::EXAMPLES)]
    Rebuild(rebuild::Args),
    /// List webhooks, and try their deliveries again.
    #[command(after_help = "Example:\n  ledgerd webhook list --tenant acme")]
    Webhook(webhook::Args),
    /// Publish a tenant's events to NATS again, such as after the broker lost its data.
    #[command(after_help = "Example:\n  ledgerd republish --tenant acme --follow")]
    Republish(republish::Args),
    /// Sign the logs' heads, keep copies out of reach, manage the keys.
    #[command(after_help = "Example:\n  ledgerd checkpoint export --to s3://audit/ledger")]
    Checkpoint(checkpoint::Args),
    /// Measure this machine and print ratios within one run.
    #[command(after_help = "Example:\n  ledgerd bench --only pipeline")]
    Bench(bench::Args),
    /// Say what is installed, reachable and configured, and what is not.
    #[command(after_help = "Example:\n  ledgerd doctor")]
    Doctor(doctor::Args),
}

/// How often checkpoints are signed.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CheckpointInterval {
    /// Seconds between checkpoints of a log that goes on, where the projector runs.
    #[arg(long, env = "LEDGERD_CHECKPOINT_INTERVAL", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    checkpoint_interval: u64,
}

impl CheckpointInterval {
    /// As time.
    pub(crate) const fn time(&self) -> Duration {
        Duration::from_secs(self.checkpoint_interval)
    }
}

/// Runs the verb.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let json = cli.json;
    match cli.verb {
        Verb::Up(args) => up::run(args).await,
        Verb::Down(args) => down::run(&args),
        Verb::Serve(args) => serve::run(args).await,
        Verb::Project(args) => project::run(args).await,
        Verb::Migrate(args) => migrate::run(&args, json).await,
        Verb::Tenant(args) => tenant::run(args, json).await,
        Verb::Key(args) => key::run(args, json).await,
        Verb::Import(args) => import::run(args, json).await,
        Verb::Export(args) => export::run(args).await,
        Verb::Job(args) => job::run(args, json).await,
        Verb::Replay(args) => replay::run(args, json).await,
        Verb::Webhook(args) => webhook::run(args, json).await,
        Verb::Verify(args) => verify::run(args, json).await,
        Verb::Rebuild(args) => rebuild::run(args, json).await,
        Verb::Republish(args) => republish::run(args, json).await,
        Verb::Checkpoint(args) => checkpoint::run(args, json).await,
        Verb::Bench(args) => bench::run(args, json).await,
        Verb::Doctor(args) => doctor::run(args, json).await,
    }
}

/// Sets the log up: warnings for one-shot verbs, more for what stays running; `RUST_LOG` decides otherwise.
pub(crate) fn log(cli: &Cli) {
    let level = match &cli.verb {
        Verb::Serve(_) | Verb::Project(_) => "info",
        _one_shot => "warn",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::stderr().is_terminal();
    let set = if cli.log_json { log.json().try_init() } else { log.with_ansi(ansi).try_init() };
    if let Err(error) = set {
        eprintln!("no log: {error}");
    }
}

/// Looked at and found wanting: ends the process with that exit code.
#[derive(Debug)]
pub(crate) struct Wanting(pub(crate) String);

impl std::fmt::Display for Wanting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wanting {}

/// Says why, with its causes.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("ledgerd: {error:#}");
    if error.is::<Wanting>() { ExitCode::from(WANTING) } else { ExitCode::FAILURE }
}
