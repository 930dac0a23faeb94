//! `ledgerd export`: a tenant's log, or what it says now, on standard output. Stock and balances are folded from the
//! log itself, not read from views.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::Result;
use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::TenantId;
use ledger_core::domain::state::Ledger;
use ledger_core::store::read::{self, Stored};
use ledger_core::view::decimal;
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};

/// Events per page.
const PAGE_EVENTS: i64 = 5_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code of the tenant.
    #[arg(long)]
    tenant: String,
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum What {
    /// Every event as NDJSON.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme events > acme.ndjson")]
    Events {
        /// Begin after this position.
        #[arg(long, default_value_t = 0)]
        after: i64,
    },
    /// Quantity and value per item and location as CSV.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme stock > stock.csv")]
    Stock,
    /// Debits, credits and balance per account as CSV.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme balances > balances.csv")]
    Balances,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let pool = args.urls.clone().resolve()?.pool().await?;
    let tenant = connect::tenant(&pool, &args.tenant).await?;
    let done = match args.what {
        What::Events { after } => events(&pool, tenant, after).await,
        What::Stock => stock(&fold(&pool, tenant).await?),
        What::Balances => balances(&fold(&pool, tenant).await?),
    };
    match done {
        // Whoever reads the pipe has seen enough.
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe))
}

async fn events(pool: &PgPool, tenant: TenantId, after: i64) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut last = after;
    loop {
        let page = read::page(pool, tenant, last, PAGE_EVENTS).await?;
        let Some(newest) = page.last() else { break };
        last = newest.recorded.position;
        for stored in &page {
            serde_json::to_writer(&mut out, &line(stored))?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn line(stored: &Stored) -> serde_json::Value {
    let Recorded { position, stream_version, recorded_at, fact, .. } = &stored.recorded;
    serde_json::json!({
        "position": position,
        "stream": fact.event.subject().to_string(),
        "version": stream_version,
        "type": fact.event.type_name(),
        "recorded_at": recorded_at,
        "effective_at": stored.recorded.effective_at(),
        "reference": fact.note.reference,
        "reason": fact.note.reason,
        "actor": stored.command.as_ref().and_then(|c| c.meta.context.actor.as_ref()),
        "data": fact.event,
    })
}

/// What a tenant's log says now, folded from its first event.
pub(super) async fn fold(pool: &PgPool, tenant: TenantId) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    loop {
        let page = read::page(pool, tenant, ledger.position(), PAGE_EVENTS).await?;
        if page.is_empty() {
            return Ok(ledger);
        }
        for stored in page {
            ledger.evolve(&stored.recorded)?;
        }
        ledger.commit();
    }
}

fn stock(ledger: &Ledger) -> Result<()> {
    let mut out = csv::Writer::from_writer(std::io::stdout().lock());
    out.write_record(["sku", "location", "on_hand", "reserved", "value"])?;
    for item in ledger.items() {
        for (at, b) in &item.balances {
            let location = usize::try_from(*at).ok().and_then(|at| ledger.locations().get(at));
            let location = location.map_or("", |l| l.definition.code.as_str());
            let scale = item.definition.scale;
            let (sku, location) = (plain(item.definition.sku.as_str()), plain(location));
            out.write_record([
                sku,
                location,
                decimal(b.on_hand, scale),
                decimal(b.reserved, scale),
                decimal(b.value, ledger.money()),
            ])?;
        }
    }
    Ok(out.flush()?)
}

fn balances(ledger: &Ledger) -> Result<()> {
    let mut out = csv::Writer::from_writer(std::io::stdout().lock());
    out.write_record(["account", "name", "debits", "credits", "balance"])?;
    let money = ledger.money();
    for account in ledger.accounts() {
        let show = |units: i128| amount(units, money);
        let (code, name) = (plain(account.definition.code.as_str()), plain(account.definition.name.as_str()));
        let balance = account.debits.saturating_sub(account.credits);
        out.write_record([code, name, show(account.debits), show(account.credits), show(balance)])?;
    }
    Ok(out.flush()?)
}

/// Units of any size as a decimal.
fn amount(units: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
    let sign = if units < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A cell that no spreadsheet takes for a formula (OWASP CSV injection).
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}
