//! `ledgerd bench`: what this machine does, as ratios within one run.
//!
//! **Shape**: private servers with production settings (fsync and synchronous_commit on) → one measurement per file →
//! a table. The client shares the machine's cores with everything it measures.
//! **Correctness**: every command counted was answered as accepted; the bare limit writes the very rows the pipeline
//! wrote, in batches of the same size, by one INSERT … SELECT FROM unnest.

mod bare;
mod client;
mod console;
mod feed;
mod http;
mod latency;
mod load;
mod memory;
mod money;
mod past;
mod projection;
mod proofs;
mod rebuild;
mod replay;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use ledger_core::pipeline;
use ledger_core::store::{self, pool};
use sqlx::postgres::PgPool;

use super::output;
use crate::supervisor;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A twentieth of the work: shows that every measurement still runs, measures little.
    #[arg(long)]
    short: bool,
    /// Only the measurements whose name contains this.
    #[arg(long)]
    only: Option<String>,
}

/// How much to do.
#[derive(Clone, Copy, Debug)]
struct Size {
    commands: usize,
    items: usize,
    memory_items: usize,
}

/// One line of the table.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Line {
    name: String,
    /// Per second.
    rate: u64,
    p50_micros: Option<u64>,
    p99_micros: Option<u64>,
    /// What the rate is to be compared with, in per cent of it.
    ratio_percent: Option<u64>,
    note: String,
}

impl Line {
    fn new(name: impl Into<String>, rate: u64, note: impl Into<String>) -> Self {
        Self { name: name.into(), rate, p50_micros: None, p99_micros: None, ratio_percent: None, note: note.into() }
    }
}

/// Per second, of so many in so long.
fn rate(count: usize, took: Duration) -> u64 {
    let nanos = took.as_nanos().max(1);
    u64::try_from(u128::try_from(count).unwrap_or(0).saturating_mul(1_000_000_000) / nanos).unwrap_or(u64::MAX)
}

fn percent(part: u64, whole: u64) -> Option<u64> {
    part.saturating_mul(100).checked_div(whole)
}

/// The servers and the pipeline under measurement.
struct Bench {
    url: String,
    redis_url: Option<String>,
    nats_url: Option<String>,
    pool: PgPool,
    pipeline: pipeline::Handle,
    size: Size,
    lines: Vec<Line>,
    only: Option<String>,
    bar: ProgressBar,
}

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.bar.set_message(name.to_owned());
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let options = supervisor::Options {
        tuning: supervisor::Tuning::service(),
        ..supervisor::Options::ephemeral(supervisor::guard::this_program())
    };
    let running = tokio::task::spawn_blocking(move || supervisor::start(options)).await??;
    let url = running.database_url.clone();
    store::migrate(&url).await?;
    let pool = pool::connect(&pool::Options { url: url.clone(), connections_max: 8, application_name: "ledgerd bench" }).await?;
    let (pipeline, _tasks) = pipeline::start(pipeline::Options::for_cores(url.clone(), 2), pool.clone()).await?;
    let size = if args.short {
        Size { commands: 10_000, items: 1_000, memory_items: 50_000 }
    } else {
        Size { commands: 200_000, items: 10_000, memory_items: 1_000_000 }
    };
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let (redis_url, nats_url) = (running.redis_url.clone(), running.nats_url.clone());
    let mut bench = Bench { url, redis_url, nats_url, pool, pipeline, size, lines: Vec::new(), only: args.only, bar };
    measure(&mut bench).await?;
    bench.bar.finish_and_clear();
    let lines = std::mem::take(&mut bench.lines);
    drop(bench);
    tokio::task::spawn_blocking(move || running.stop()).await?.context("stopping the servers")?;
    if json {
        output::print_json(&lines)?;
    } else {
        let micros = |m: Option<u64>| m.map_or_else(String::new, |m| format!("{}.{:02} ms", m / 1_000, m % 1_000 / 10));
        let rows = lines.into_iter().map(|l| {
            let ratio = l.ratio_percent.map_or_else(String::new, |r| format!("{r} %"));
            [l.name, format!("{}/s", l.rate), micros(l.p50_micros), micros(l.p99_micros), ratio, l.note]
        });
        output::print(&output::table(["measurement", "rate", "p50", "p99", "ratio", "note"], rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(bench: &mut Bench) -> Result<()> {
    let spread = load::pipeline(bench).await?;
    bare::limits(bench, spread).await?;
    http::http(bench, spread).await?;
    replay::replay(bench, spread).await?;
    projection::projection(bench, spread).await?;
    feed::feed(bench, spread).await?;
    latency::latency(bench, spread).await?;
    rebuild::rebuild(bench).await?;
    past::past(bench).await?;
    money::money(bench).await?;
    proofs::proofs(bench).await?;
    console::console(bench).await?;
    memory::memory(bench)
}
