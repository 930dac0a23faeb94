//! `ledgerd verify`: a tenant's log replayed from nothing, and everything else compared with the replay.
//!
//! **Shape**: rows → [`Replay`] (invariants, tree) and [`Tables`] (views) → compared with the head, the view tables at
//! their cursor, and Redis. Exit code 3 and a report when anything differs. Postings and stock cards, which only ever
//! grow, are compared a run of positions at a time ([`Digests`]) and not kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_core::audit::merkle::hex;
use ledger_core::audit::replay::{Finding, Replay};
use ledger_core::domain::id::TenantId;
use ledger_core::store::{self, read};
use ledger_core::view::{Cached, account_cache_key, stock_cache_key};
use projector::view::{
    Card, Digest, Digests, PostingRow, Stored, Tables, cards_between, load_all, positions_of, postings_between, run_of,
};
use sqlx::postgres::PgPool;

use super::connect::Urls;
use super::output;

/// Rows per page.
const PAGE_ROWS: i64 = 5_000;
/// Cached values asked for at once.
const CACHE_KEYS: usize = 1_000;
/// Differences told per view.
const DIFFERENCES_MAX: usize = 10;
/// With so many findings, rows of postings and cards are not looked for one by one any more.
const APPENDED_FINDINGS_MAX: usize = 10 * DIFFERENCES_MAX;
/// The projector gets this long to catch up before its views are compared.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code of the tenant; every tenant if absent.
    #[arg(long)]
    tenant: Option<String>,
    /// Check the log alone, not the views and the cache.
    #[arg(long)]
    log_only: bool,
    #[command(flatten)]
    urls: Urls,
}

/// What was found of one tenant.
#[derive(Debug, serde::Serialize)]
struct Report {
    tenant: String,
    events: i64,
    root: String,
    events_per_second: u64,
    views_at: Option<i64>,
    cached_values: Option<usize>,
    stock_value: String,
    inventory_accounts: String,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let urls = args.urls.clone().resolve()?;
    let pool = urls.pool().await?;
    let tenants = match &args.tenant {
        Some(code) => {
            let found = store::tenant::find_by_code(&pool, code).await?;
            vec![found.with_context(|| format!("there is no tenant {code}; `ledgerd tenant list` shows them"))?]
        }
        None => store::tenant::list(&pool).await?,
    };
    let mut reports = Vec::new();
    for tenant in tenants {
        reports.push(verify(&pool, &urls, tenant.id, tenant.code, args.log_only).await?);
    }
    let is_clean = reports.iter().all(|r| r.findings.is_empty());
    if json {
        match reports.as_slice() {
            [one] if args.tenant.is_some() => output::print_json(one)?,
            many => output::print_json(&many)?,
        }
    } else {
        for report in &reports {
            output::print(&shown(report))?;
        }
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

fn shown(r: &Report) -> String {
    let mut text = format!(
        "tenant {}\n  events        {} replayed, {}/s\n  root          {}\n  stock value   {}\n  inventory     {}\n",
        r.tenant, r.events, r.events_per_second, r.root, r.stock_value, r.inventory_accounts
    );
    if let Some(at) = r.views_at {
        text.push_str(&format!("  views         compared at position {at}\n"));
    }
    if let Some(count) = r.cached_values {
        text.push_str(&format!("  cache         {count} values compared\n"));
    }
    for f in &r.findings {
        text.push_str(&format!("  FOUND         position {}: {}: {}\n", f.position, f.invariant, f.what));
    }
    text.push_str(if r.findings.is_empty() { "  verdict       everything holds" } else { "  verdict       NOT SOUND" });
    text
}

async fn verify(pool: &PgPool, urls: &Urls, tenant: TenantId, code: String, log_only: bool) -> Result<Report> {
    let head = read::head(pool, tenant).await?.context("the tenant has no head")?;
    if !log_only {
        wait_for_views(pool, tenant, head.position).await?;
    }
    let mut stored = if log_only { None } else { Some(load_all(pool, tenant).await?) };
    let views_at = stored.as_ref().map(|s| s.position);
    let bar = bar(head.position)?;
    let started = Instant::now();
    let mut replay = Replay::default();
    let mut folded = Tables::default();
    let mut findings = Vec::new();
    let mut last = 0;
    'pages: loop {
        // Beyond the head too: what stands there was not appended by this program.
        let rows = read::raw_page(pool, tenant, last, PAGE_ROWS).await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            last = row.position;
            if row.position > head.position {
                let now = read::head(pool, tenant).await?.map_or(0, |h| h.position);
                if row.position > now {
                    let what = format!("the head stands at {now}, but the log goes on");
                    findings.push(Finding { position: row.position, invariant: "log_reaches_its_head", what });
                }
                break 'pages;
            }
            let Some(event) = replay.push(row) else { break 'pages };
            if replay.is_broken() {
                break 'pages;
            }
            let Some(stored) = stored.as_mut().filter(|s| row.position <= s.position) else { continue };
            if let Err(error) = folded.fold(&event.recorded) {
                findings.push(Finding { position: row.position, invariant: "views_equal_replay", what: error.to_string() });
            }
            if row.position == stored.position || row.position == positions_of(run_of(row.position)).1 {
                compare_run(pool, tenant, row.position, (&mut folded, stored), &mut findings).await?;
            }
        }
        bar.set_position(u64::try_from(last).unwrap_or(0));
    }
    bar.finish_and_clear();
    let took = started.elapsed();
    let (ledger, root, found) = replay.finish(&head);
    findings.extend(found);
    let mut cached_values = None;
    if let (Some(at), Some(stored)) = (views_at, &stored) {
        compare_tables(&folded, stored, &mut findings);
        if let Some(url) = &urls.redis_url {
            cached_values = compare_cache(url, tenant, &folded, at, &mut findings).await;
        }
    }
    let (stock, inventory) = ledger.stock_and_inventory();
    let money = |units: i128| rust_decimal::Decimal::from_i128_with_scale(units, u32::from(ledger.money())).to_string();
    Ok(Report {
        tenant: code,
        events: ledger.position(),
        root: hex(&root),
        events_per_second: u64::try_from(u128::from(ledger.position().unsigned_abs()) * 1_000 / took.as_millis().max(1))?,
        views_at,
        cached_values,
        stock_value: money(stock),
        inventory_accounts: money(inventory),
        findings,
    })
}

fn bar(length: i64) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(length.unsigned_abs()).with_style(style))
}

/// Views may lag while commands come in; one that does not catch up is compared where it stands.
async fn wait_for_views(pool: &PgPool, tenant: TenantId, position: i64) -> Result<()> {
    let deadline = Instant::now() + CATCH_UP_MAX;
    let mut before = -1;
    loop {
        let cursor: Option<i64> = sqlx::query_scalar("SELECT position FROM view_cursor WHERE tenant_id = $1")
            .bind(tenant.0)
            .fetch_optional(pool)
            .await?;
        let cursor = cursor.unwrap_or(0);
        // No projector running, or nothing left to do: no use waiting.
        if cursor >= position || cursor == before || Instant::now() >= deadline {
            return Ok(());
        }
        before = cursor;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Compares the rows that the events of one run added, and forgets them.
async fn compare_run(
    pool: &PgPool,
    tenant: TenantId,
    position: i64,
    (folded, stored): (&mut Tables, &mut Stored),
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let (run, at) = (run_of(position), stored.position);
    let (first, _) = positions_of(run);
    let is_room = |findings: &Vec<Finding>| findings.len() < APPENDED_FINDINGS_MAX;
    let cards = std::mem::take(&mut folded.cards);
    if stored.cards.take(run) != cards.iter().collect::<Digest>() && is_room(findings) {
        let found = cards_between(pool, tenant, (first, position)).await?;
        let key = |c: &Card| (c.position, c.line, c.sku.clone(), c.location.clone());
        compare("view_stock_card", &by_key(cards, key), &by_key(found, key), at, findings);
    }
    let postings = std::mem::take(&mut folded.postings);
    if stored.postings.take(run) != postings.iter().collect::<Digest>() && is_room(findings) {
        let found = postings_between(pool, tenant, (first, position)).await?;
        let key = |p: &PostingRow| (p.position, p.line, p.account.clone(), p.currency.clone(), p.lane);
        compare("view_posting", &by_key(postings, key), &by_key(found, key), at, findings);
    }
    Ok(())
}

/// Rows by what the table has as their key, so that none stands for another.
fn by_key<R, K: Eq + Hash>(rows: Vec<R>, key: impl Fn(&R) -> K) -> HashMap<K, R> {
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

/// Rows of events that the log does not have.
fn compare_rest(view: &'static str, rest: &Digests, at: i64, findings: &mut Vec<Finding>) {
    for (run, digest) in rest.rest().take(DIFFERENCES_MAX) {
        let (first, last) = positions_of(run);
        let what = format!("{view} has {} rows of positions {first} to {last}, which the replay does not give", digest.rows());
        findings.push(Finding { position: at, invariant: "views_equal_replay", what });
    }
}

fn compare_tables(folded: &Tables, stored: &Stored, findings: &mut Vec<Finding>) {
    let at = stored.position;
    compare_rest("view_stock_card", &stored.cards, at, findings);
    compare_rest("view_posting", &stored.postings, at, findings);
    let pending: HashMap<_, _> =
        folded.entries.iter().flat_map(|(id, e)| e.pending().map(|(line, p)| ((id.clone(), line), p))).collect();
    compare("view_pending", &pending, &stored.pending, at, findings);
    let stored = &stored.tables;
    compare("view_item", &folded.items, &stored.items, at, findings);
    compare("view_stock_level", &flat(folded), &flat(stored), at, findings);
    compare("view_location", &folded.locations, &stored.locations, at, findings);
    compare("view_account", &folded.accounts, &stored.accounts, at, findings);
    compare("view_account_balance", &balances(folded), &balances(stored), at, findings);
    compare("view_entry", &folded.entries, &stored.entries, at, findings);
    compare("view_definition", &folded.definitions, &stored.definitions, at, findings);
    compare("view_reservation", &folded.reservations, &stored.reservations, at, findings);
    compare("view_hold", &holds(folded), &holds(stored), at, findings);
    compare("view_stock_cell", &cells(folded), &cells(stored), at, findings);
    compare("view_lot", &folded.lots, &stored.lots, at, findings);
    compare("view_serial", &on_hand(folded), &on_hand(stored), at, findings);
    compare("view_document", &folded.documents, &stored.documents, at, findings);
}

fn balances(tables: &Tables) -> HashMap<(String, String), projector::view::Balance> {
    let rows = tables.balances.iter().flat_map(|(account, rows)| rows.iter().map(move |(currency, b)| (account, currency, b)));
    rows.map(|(account, currency, b)| ((account.to_string(), currency.to_string()), b.clone())).collect()
}

fn flat(tables: &Tables) -> HashMap<(String, String), projector::view::Level> {
    let level = |(sku, levels): (&ledger_core::domain::id::Sku, &BTreeMap<_, _>)| {
        let sku = sku.to_string();
        levels
            .iter()
            .map(move |(location, level): (&ledger_core::domain::id::LocationCode, &projector::view::Level)| {
                ((sku.clone(), location.to_string()), level.clone())
            })
            .collect::<Vec<_>>()
    };
    tables.levels.iter().flat_map(level).collect()
}

fn cells(tables: &Tables) -> HashMap<(String, projector::view::CellKey), i64> {
    let of_sku = |(sku, cells): (&ledger_core::domain::id::Sku, &BTreeMap<projector::view::CellKey, i64>)| {
        let sku = sku.to_string();
        cells.iter().map(move |(key, units)| ((sku.clone(), key.clone()), *units)).collect::<Vec<_>>()
    };
    tables.cells.iter().flat_map(of_sku).collect()
}

/// Units that are there; the fold also knows those that left.
fn on_hand(tables: &Tables) -> HashMap<(String, String), projector::view::Serial> {
    let there = tables.serials.iter().filter_map(|((sku, serial), at)| Some((sku.to_string(), serial.to_string(), at.clone()?)));
    there.map(|(sku, serial, at)| ((sku, serial), at)).collect()
}

fn holds(tables: &Tables) -> HashMap<String, BTreeSet<(i64, String, i32)>> {
    let open = tables.holds.iter().filter(|(_, holds)| !holds.is_empty());
    open.map(|(sku, holds)| (sku.to_string(), holds.iter().map(|(at, id, line)| (at.0, id.to_string(), *line)).collect()))
        .collect()
}

fn compare<K, V>(view: &'static str, folded: &HashMap<K, V>, stored: &HashMap<K, V>, at: i64, findings: &mut Vec<Finding>)
where
    K: Eq + Hash + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    let differing = folded.iter().filter(|(key, row)| stored.get(*key) != Some(row)).map(|(key, row)| (key, Some(row)));
    let surplus = stored.keys().filter(|key| !folded.contains_key(*key)).map(|key| (key, None));
    for (key, row) in differing.chain(surplus).take(DIFFERENCES_MAX) {
        let what = match (row, stored.get(key)) {
            (Some(row), Some(stored)) => format!("{view} {key:?} holds {stored:?}, the replay gives {row:?}"),
            (Some(_), None) => format!("{view} lacks {key:?}"),
            (None, _) => format!("{view} has {key:?}, which the replay does not give"),
        };
        findings.push(Finding { position: at, invariant: "views_equal_replay", what });
    }
}

/// Every cached value must be what the replay gives; answers how many there were, none when the cache is away.
async fn compare_cache(url: &str, tenant: TenantId, folded: &Tables, at: i64, findings: &mut Vec<Finding>) -> Option<usize> {
    let client = redis::Client::open(url).ok()?;
    let mut connection = match client.get_multiplexed_async_connection().await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(%error, "the cache is away and was not compared");
            return None;
        }
    };
    let stock = folded
        .items
        .keys()
        .filter_map(|sku| Some((stock_cache_key(tenant, sku), serde_json::to_value(folded.stock(sku, at)?).ok()?)));
    let accounts = folded
        .balances
        .keys()
        .filter_map(|code| Some((account_cache_key(tenant, code), serde_json::to_value(folded.account(code, at)?).ok()?)));
    let expected: Vec<(String, serde_json::Value)> = stock.chain(accounts).collect();
    let mut count = 0;
    for chunk in expected.chunks(CACHE_KEYS) {
        let keys: Vec<&str> = chunk.iter().map(|(key, _)| key.as_str()).collect();
        let values: Vec<Option<String>> = redis::cmd("MGET").arg(&keys).query_async(&mut connection).await.ok()?;
        for ((key, expected), value) in chunk.iter().zip(values) {
            let Some(value) = value else { continue };
            count += 1;
            let difference = match serde_json::from_str::<Cached<serde_json::Value>>(&value) {
                Err(error) => Some(format!("{key} holds what is no value of ours: {error}")),
                // Newer than the views that were compared: commands came in meanwhile.
                Ok(cached) if cached.as_of > at => None,
                Ok(cached) if expected.get("body") == Some(&cached.body) => None,
                Ok(cached) => Some(format!("{key} holds {}, the replay gives {}", cached.body, expected["body"])),
            };
            if let Some(what) = difference {
                findings.push(Finding { position: at, invariant: "cache_equals_replay", what });
            }
        }
    }
    Some(count)
}
