//! `ledgerd export`: a tenant's log, or what it says now, on standard output. Stock and balances are folded from the
//! log itself, not read from views.
//!
//! **Shape**: NDJSON and CSV are here. Books for other programs are one walk of the log ([`journal`]) in the
//! [`journal::Syntax`] of each: [`beancount`], [`hledger`]; [`names`] finds what they may call our accounts and items.

mod audit;
mod beancount;
mod hledger;
mod journal;
mod names;

use std::io::{StdoutLock, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use ledger_core::domain::amount::share;
use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::TenantId;
use ledger_core::domain::state::Ledger;
use ledger_core::store::read::{self, Stored};
use ledger_core::view::decimal;
use projector::view::Tables;
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};
use beancount::Beancount;
use hledger::Hledger;

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

#[derive(Clone, Debug, clap::Subcommand)]
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
    /// Cost pools with their layers as CSV.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme valuation > valuation.csv")]
    Valuation,
    /// Every movement with running quantity and value as CSV: the stock cards, in the order of the log.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme cards > cards.csv")]
    Cards,
    /// Debits, credits and balance per account as CSV.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme balances > balances.csv")]
    Balances,
    /// The books for Beancount: accounts, items, prices, and a transaction per event that posts or moves.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme beancount > acme.beancount && bean-check acme.beancount")]
    Beancount,
    /// The log and the checkpoints signed over it, for an auditor to verify with `ledgerd verify --offline`.
    #[command(
        after_help = "Example:\n  ledgerd export --tenant acme audit > acme.bundle && ledgerd verify --offline acme.bundle"
    )]
    Audit {
        /// Lines of JSON as they are, not compressed.
        #[arg(long)]
        plain: bool,
        /// File of the node's signing keys: with it, the newest event is signed for too.
        #[arg(long, env = "LEDGERD_SIGNING_KEYS", value_name = "FILE")]
        signing_keys: Option<PathBuf>,
    },
    /// The books for hledger: accounts, items, prices, and a transaction per event that posts or moves.
    #[command(after_help = "Example:\n  ledgerd export --tenant acme hledger > acme.journal && hledger -f acme.journal check")]
    Hledger,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let pool = args.urls.clone().resolve()?.pool().await?;
    let tenant = connect::tenant(&pool, &args.tenant).await?;
    let done = match args.what {
        What::Events { after } => events(&pool, tenant, after, &mut Printed).await,
        What::Stock => print(stock, &fold(&pool, tenant).await?),
        What::Valuation => print(valuation, &fold(&pool, tenant).await?),
        What::Cards => cards(&pool, tenant, &mut Printed).await,
        What::Balances => print(balances, &fold(&pool, tenant).await?),
        What::Audit { plain, signing_keys } => audit::audit(&pool, (tenant, &args.tenant), signing_keys.as_deref(), plain).await,
        What::Beancount => journal::export::<Beancount>(&pool, tenant).await,
        What::Hledger => journal::export::<Hledger>(&pool, tenant).await,
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

/// Where pages go while they are made.
pub(crate) trait Pages {
    /// What was made of the log up to a position; the buffer is empty afterwards.
    async fn page(&mut self, made: &mut Vec<u8>, position: i64) -> Result<()>;
}

/// Standard output.
#[derive(Default)]
struct Printed;

impl Pages for Printed {
    async fn page(&mut self, made: &mut Vec<u8>, _: i64) -> Result<()> {
        std::io::stdout().lock().write_all(made)?;
        made.clear();
        Ok(())
    }
}

fn print(what: fn(&Ledger, &mut StdoutLock<'static>) -> Result<()>, ledger: &Ledger) -> Result<()> {
    what(ledger, &mut std::io::stdout().lock())
}

/// Every event as NDJSON.
pub(crate) async fn events(pool: &PgPool, tenant: TenantId, after: i64, out: &mut impl Pages) -> Result<()> {
    let (mut last, mut made) = (after, Vec::new());
    loop {
        let page = read::page(pool, tenant, last, PAGE_EVENTS).await?;
        let Some(newest) = page.last() else { break };
        last = newest.recorded.position;
        for stored in &page {
            serde_json::to_writer(&mut made, &line(stored))?;
            made.push(b'\n');
        }
        out.page(&mut made, last).await?;
    }
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
pub(crate) async fn fold(pool: &PgPool, tenant: TenantId) -> Result<Ledger> {
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

/// Quantities in every state, per item and place.
pub(crate) fn stock(ledger: &Ledger, out: &mut impl Write) -> Result<()> {
    let mut out = csv::Writer::from_writer(out);
    out.write_record([
        "sku",
        "location",
        "on_hand",
        "sellable",
        "reserved",
        "allocated",
        "available",
        "backordered",
        "incoming",
        "value",
    ])?;
    for item in ledger.items() {
        let (scale, sku) = (item.definition.scale, plain(item.definition.sku.as_str()));
        for (at, b) in &item.bins {
            let pool = item.pool(ledger.pool_key(item, *at));
            // Of a place, its share of its cost pool; `valuation` has the pools themselves.
            let value = pool.and_then(|p| if p.quantity == 0 { Some(0) } else { share(p.value, b.on_hand, p.quantity) });
            let quantities = [b.on_hand, b.sellable(), b.reserved, b.allocated, b.available(), b.waiting, b.incoming];
            let record = [sku.clone(), place(ledger, *at)].into_iter().chain(quantities.map(|n| decimal(n, scale)));
            out.write_record(record.chain([decimal(value.unwrap_or(0), ledger.money())]))?;
        }
    }
    Ok(out.flush()?)
}

/// A location's code; empty for the tenant's one cost pool.
fn place(ledger: &Ledger, at: u32) -> String {
    let location = usize::try_from(at).ok().and_then(|at| ledger.locations().get(at));
    plain(location.map_or("", |l| l.definition.code.as_str()))
}

/// Cost pools with their layers: a row per layer, or one for a pool that keeps none.
pub(crate) fn valuation(ledger: &Ledger, out: &mut impl Write) -> Result<()> {
    let mut out = csv::Writer::from_writer(out);
    out.write_record(["sku", "method", "pool", "layer", "lot", "quantity", "value"])?;
    let money = ledger.money();
    for item in ledger.items() {
        let definition = &item.definition;
        let (sku, scale) = (plain(definition.sku.as_str()), definition.scale);
        let method = serde_json::to_value(definition.method)?;
        let method = method.as_str().unwrap_or_default().to_owned();
        for (key, pool) in item.pools.iter().filter(|(_, p)| p.quantity != 0 || p.value != 0) {
            let head = [sku.clone(), method.clone(), place(ledger, *key)];
            let row = |layer: String, lot: String, quantity, value| {
                let tail = [layer, lot, decimal(quantity, scale), decimal(value, money)];
                head.clone().into_iter().chain(tail)
            };
            if pool.layers.is_empty() {
                out.write_record(row(String::new(), String::new(), pool.quantity, pool.value))?;
            }
            for l in &pool.layers {
                let lot = item.lot_at(l.lot).map_or(String::new(), |lot| plain(lot.code.as_str()));
                out.write_record(row(l.number.to_string(), lot, l.quantity, l.value))?;
            }
        }
    }
    Ok(out.flush()?)
}

/// Every movement, in the order of the log, with what was there afterwards.
pub(crate) async fn cards(pool: &PgPool, tenant: TenantId, pages: &mut impl Pages) -> Result<()> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "position",
        "line",
        "type",
        "sku",
        "location",
        "lot",
        "status",
        "effective_at",
        "recorded_at",
        "quantity",
        "value",
        "on_hand_after",
        "value_after",
        "reference",
        "reason",
    ])?;
    let (mut tables, mut last) = (Tables::default(), 0);
    loop {
        let page = read::page(pool, tenant, last, PAGE_EVENTS).await?;
        let Some(newest) = page.last() else { break };
        last = newest.recorded.position;
        for stored in &page {
            tables.fold(&stored.recorded)?;
            tables.postings.clear();
            let what = stored.recorded.fact.event.type_name();
            for c in tables.cards.drain(..) {
                out.write_record([
                    c.position.to_string(),
                    c.line.to_string(),
                    what.to_owned(),
                    plain(c.sku.as_str()),
                    plain(c.location.as_str()),
                    c.lot.map_or(String::new(), |lot| plain(lot.as_str())),
                    c.status.as_str().to_owned(),
                    c.effective_at.to_string(),
                    c.recorded_at.to_string(),
                    decimal(c.quantity, c.scale),
                    decimal(c.value, c.money),
                    decimal(c.on_hand_after, c.scale),
                    decimal(c.value_after, c.money),
                    c.reference.map_or(String::new(), |t| plain(t.as_str())),
                    c.reason.map_or(String::new(), |t| plain(t.as_str())),
                ])?;
            }
        }
        let mut made = out.into_inner().map_err(|error| error.into_error())?;
        pages.page(&mut made, last).await?;
        out = csv::Writer::from_writer(made);
    }
    let mut rest = out.into_inner().map_err(|error| error.into_error())?;
    pages.page(&mut rest, last).await
}

/// Debits, credits and balance per account.
pub(crate) fn balances(ledger: &Ledger, out: &mut impl Write) -> Result<()> {
    let mut out = csv::Writer::from_writer(out);
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
