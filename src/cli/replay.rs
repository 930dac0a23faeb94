//! `ledgerd replay`: what a tenant's stock and balances were at any position or time, from its events alone.
//!
//! **Shape**: the log, read and decoded in several parts at once ([`Log`]) → [`Replay`] (state, invariants, tree), and the
//! sums of all movements and postings that count ([`Sums`]) → tables.
//! **Correctness**: no view is read and nothing is compared. Invariants that do not hold are told all the same, because
//! figures of a log that contradicts itself mean nothing: exit code 3.

mod sums;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ledger_core::audit::merkle::hex;
use ledger_core::audit::replay::{Finding, Replay};
use ledger_core::audit::row::Read;
use ledger_core::domain::id::Position;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::log::Log;
use ledger_core::store::read;
use ledger_core::store::tenant::Tenant;
use sqlx::postgres::PgPool;
use tokio::task::JoinSet;

use super::connect::Urls;
use super::output;
use sums::{Account, Stock, Sums};

pub(super) const EXAMPLES: &str = "Examples:\n  ledgerd replay --tenant acme --position 1000\n  \
     ledgerd replay --tenant acme --time 2026-10-01T00:00:00Z --stock\n  ledgerd replay --tenant acme --effective 2026-09-30 --accounts --json";
/// Tenants replayed at once.
const TENANTS_AT_ONCE: usize = 4;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Code of the tenant.
    #[arg(long, required_unless_present = "all")]
    tenant: Option<String>,
    /// Every tenant, several at once.
    #[arg(long, conflicts_with_all = ["tenant", "position"])]
    all: bool,
    /// Up to this event, as known then.
    #[arg(long, conflicts_with = "time")]
    position: Option<Position>,
    /// Everything recorded before this instant, as known then; a day stands for its first instant.
    #[arg(long, value_parser = first_instant)]
    time: Option<Timestamp>,
    /// Only what had happened by then; a day stands for its last instant. Holds have no effective time and are left out.
    #[arg(long, value_parser = last_instant)]
    effective: Option<Timestamp>,
    /// Stock only.
    #[arg(long)]
    stock: bool,
    /// Accounts only.
    #[arg(long)]
    accounts: bool,
    /// Only this item; may be given several times.
    #[arg(long = "sku", value_name = "SKU")]
    skus: Vec<String>,
    /// Only this account; may be given several times.
    #[arg(long = "account", value_name = "CODE")]
    codes: Vec<String>,
    #[command(flatten)]
    urls: Urls,
}

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

fn first_instant(text: &str) -> Result<Timestamp, String> {
    let is_day = text.len() == 10 && !text.contains('T');
    let text = if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(&text).map_err(|e| e.to_string())
}

fn last_instant(text: &str) -> Result<Timestamp, String> {
    let first = first_instant(text)?;
    Ok(if text.contains('T') { first } else { Timestamp(first.0.saturating_add(DAY_MICROS).saturating_sub(1)) })
}

/// What one tenant had.
#[derive(Debug, serde::Serialize)]
struct Then {
    tenant: String,
    /// The last event that is counted in, and when it was recorded.
    position: Position,
    recorded_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<Timestamp>,
    /// Of the tree over the events up to there.
    root: String,
    events_per_second: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<Account>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<Vec<Stock>>,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let pool = args.urls.clone().resolve()?.pool().await?;
    let tenants = super::verify::tenants(&pool, args.tenant.as_deref()).await?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let tasks = if tenants.len() > 1 { 1 } else { cores };
    let mut waiting = tenants.into_iter();
    let (mut running, mut done) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < TENANTS_AT_ONCE
            && let Some(tenant) = waiting.next()
        {
            let (pool, args) = (pool.clone(), args.clone());
            running.spawn(async move { replay(&pool, tenant, &args, tasks).await });
        }
        let Some(one) = running.join_next().await else { break };
        done.push(one??);
    }
    done.sort_by(|a: &Then, b| a.tenant.cmp(&b.tenant));
    match (json, done.as_slice()) {
        (true, [one]) if !args.all => output::print_json(one)?,
        (true, many) => output::print_json(&many)?,
        (false, many) => many.iter().try_for_each(|then| output::print(&shown(then)))?,
    }
    let is_clean = done.iter().all(|then| then.findings.is_empty());
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

/// What is folded.
struct Work {
    replay: Replay,
    sums: Sums,
}

impl Work {
    fn fold(&mut self, rows: Vec<Read>) {
        for row in rows {
            if let Some(stored) = self.replay.push(row) {
                self.sums.fold(&stored.recorded);
            }
        }
    }
}

async fn replay(pool: &PgPool, tenant: Tenant, args: &Args, tasks: usize) -> Result<Then> {
    let until = until(pool, &tenant, args).await.with_context(|| format!("tenant {}", tenant.code))?;
    let started = Instant::now();
    let bar = if args.all { indicatif::ProgressBar::hidden() } else { super::verify::bar()? };
    bar.set_length(until.unsigned_abs());
    let mut work = Box::new(Work { replay: Replay::default(), sums: Sums::new(args.effective) });
    let mut log = Log::open(pool, tenant.id, 0, until, tasks);
    while let Some(rows) = log.next().await? {
        work = tokio::task::spawn_blocking(move || {
            work.fold(rows);
            work
        })
        .await?;
        bar.set_position(work.replay.position().unsigned_abs());
    }
    bar.finish_and_clear();
    let Work { replay, sums } = *work;
    let (position, millis) = (replay.position(), started.elapsed().as_millis().max(1));
    let outcome = replay.finish(None, Vec::new());
    let mut ledger = outcome.ledger;
    let recorded_at = (position > 0).then(|| ledger.recorded_at());
    if let Some(time) = args.time {
        // Holds that had lapsed by then held nothing.
        ledger.advance(Timestamp(time.0.saturating_sub(1)));
    }
    let wants = |one: bool, other: bool| one || !other;
    Ok(Then {
        tenant: tenant.code,
        position,
        recorded_at,
        effective: args.effective,
        root: hex(&outcome.root),
        events_per_second: u64::try_from(u128::from(outcome.events).saturating_mul(1_000) / millis)?,
        accounts: wants(args.accounts, args.stock).then(|| sums.accounts(&ledger, &args.codes)),
        stock: wants(args.stock, args.accounts).then(|| sums.stock(&ledger, &args.skus)),
        findings: outcome.findings,
    })
}

/// The last event to count in.
async fn until(pool: &PgPool, tenant: &Tenant, args: &Args) -> Result<Position> {
    let head = read::head(pool, tenant.id).await?.context("the tenant has no head")?.position;
    match (args.position, args.time) {
        (Some(position), _) if position > head => bail!("the log ends at position {head}"),
        (Some(position), _) if position < 0 => bail!("a position is not below zero"),
        (Some(position), _) => Ok(position),
        (None, Some(time)) => Ok(read::position_before(pool, tenant.id, time).await?.min(head)),
        (None, None) => Ok(head),
    }
}

fn shown(then: &Then) -> String {
    let at = then.recorded_at.map_or_else(String::new, |at| format!(", recorded {at}"));
    let effective = then.effective.map_or_else(String::new, |at| format!(", effective by {at}"));
    let mut text = format!(
        "tenant {}\n  as of         position {}{at}{effective}\n  root          {}\n  replayed      {} events/s\n",
        then.tenant, then.position, then.root, then.events_per_second
    );
    if let Some(accounts) = &then.accounts {
        let rows = accounts.iter().flat_map(Account::rows);
        let heading = ["account", "currency", "debits", "credits", "balance", "in base currency"];
        text.push_str(&format!("{}\n", output::table(heading, rows)));
    }
    if let Some(stock) = &then.stock {
        let heading = ["item", "location", "on hand", "reserved", "allocated", "value"];
        text.push_str(&format!("{}\n", output::table(heading, stock.iter().flat_map(Stock::rows))));
    }
    for f in &then.findings {
        text.push_str(&format!("  FOUND         position {}: {}: {}\n", f.position, f.invariant, f.what));
    }
    text
}
