//! Money: entries of few and many postings, a hot account, statements and balances over a long history, a trial balance of
//! many accounts, and a fresh tenant beside a huge one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::id::TenantId;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::read;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::http::{Server, serve};
use super::load::{accepted, action, command, quantile, tenant};
use super::projection::catch_up;
use super::{Bench, Line, percent, rate};

/// Callers at once.
const CALLERS: usize = 1_024;
/// Postings of a large entry.
const LARGE: usize = 200;
/// Accounts that entries are spread over.
const SPREAD: usize = 1_000;
/// Reads of each kind.
const READS: usize = 1_000;
/// Reads of a trial balance.
const REPORTS: usize = 20;
/// Entries and reads of a tenant that was just made.
const FRESH: usize = 1_000;
/// Commands sent together.
const CHUNK: usize = 1_000;

pub(super) async fn money(bench: &mut Bench) -> Result<()> {
    if !bench.wants("money") {
        return Ok(());
    }
    let (service, handle) = projector::Service::new(projector::Options::standard(bench.pool.clone()));
    let stop = CancellationToken::new();
    let task = tokio::spawn(service.run(stop.clone()));
    let alone = fresh(bench, "bench-fresh-1").await?;
    let code = tenant(bench, "bench-money", 0).await?;
    accounts(bench, code, SPREAD.max(bench.size.commands / 20)).await?;
    entries(bench, code).await?;
    history(bench, code).await?;
    let beside = fresh(bench, "bench-fresh-2").await?;
    for ((name, first), (_, second)) in alone.iter().zip(&beside) {
        let base = quantile(first, 50);
        report(bench, &format!("money, fresh tenant, {name}, alone"), first, base);
        report(bench, &format!("money, fresh tenant, {name}, beside a huge one"), second, base);
    }
    stop.cancel();
    drop(handle);
    task.await??;
    Ok(())
}

/// Latencies as a line; the ratio is that of the medians.
fn report(bench: &mut Bench, name: &str, sorted: &[Duration], base: Option<u64>) {
    let p50 = quantile(sorted, 50);
    bench.lines.push(Line {
        p50_micros: p50,
        p99_micros: quantile(sorted, 99),
        ratio_percent: p50.zip(base).and_then(|(p50, base)| percent(p50, base)),
        ..Line::new(name, rate(sorted.len(), sorted.iter().sum()), "one at a time; ratio: p50 to that of the first")
    });
}

fn name(account: usize) -> String {
    format!("A{account:06}")
}

async fn send(bench: &Bench, tenant: TenantId, commands: Vec<Command>) -> Result<()> {
    for answer in bench.pipeline.submit_many(tenant, commands).await {
        accepted(answer?.outcome)?;
    }
    Ok(())
}

async fn accounts(bench: &Bench, tenant: TenantId, count: usize) -> Result<()> {
    let context = Arc::new(Context::default());
    let define = |n| action(json!({"type": "define_account", "code": name(n), "account_type": "liability"}));
    for from in (0..count).step_by(CHUNK) {
        let chunk = (from..count.min(from + CHUNK)).map(|n| define(n).map(|a| command(&context, a)));
        send(bench, tenant, chunk.collect::<Result<_>>()?).await?;
    }
    Ok(())
}

/// Debits on the first account, credits on the others, 1.00 each.
fn entry(debit: &str, credits: impl Iterator<Item = String>) -> Result<Action> {
    let credits: Vec<Value> = credits.map(|account| json!({"account": account, "credit": "1"})).collect();
    let mut postings = vec![json!({"account": debit, "debit": credits.len().to_string()})];
    postings.extend(credits);
    action(json!({"type": "post_entry", "postings": postings}))
}

/// Entries from many callers at once; `make` says which entry a caller's turn is.
async fn post(
    bench: &Bench,
    tenant: TenantId,
    total: usize,
    make: fn(usize, usize) -> Result<Action>,
) -> Result<(Duration, Vec<Duration>)> {
    let started = Instant::now();
    let context = Arc::new(Context::default());
    let mut tasks = Vec::new();
    let callers = CALLERS.min(total);
    for caller in 0..callers {
        let (pipeline, context) = (bench.pipeline.clone(), Arc::clone(&context));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(total / callers);
            for turn in 0..total / callers {
                let action = make(caller, turn)?;
                let sent = Instant::now();
                accepted(pipeline.submit(tenant, command(&context, action)).await?.outcome)?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::with_capacity(total);
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    Ok((took, latencies))
}

fn spread(caller: usize, turn: usize) -> Result<Action> {
    let at = caller * 7_919 + turn * 104_729;
    entry(&name(at % SPREAD), std::iter::once(name((at + 1) % SPREAD)))
}

fn hot(caller: usize, turn: usize) -> Result<Action> {
    entry("1000", std::iter::once(name((caller * 7_919 + turn * 104_729) % SPREAD)))
}

fn large(caller: usize, turn: usize) -> Result<Action> {
    let at = caller * 7_919 + turn * 104_729;
    entry("1000", (1..LARGE).map(|n| name((at + n) % SPREAD)))
}

async fn entries(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    let total = bench.size.commands;
    let (took, latencies) = post(bench, tenant, total, spread).await?;
    let base = rate(latencies.len(), took);
    let line = |name: String, rate, latencies: &[Duration], note: &str| Line {
        p50_micros: quantile(latencies, 50),
        p99_micros: quantile(latencies, 99),
        ..Line::new(name, rate, note)
    };
    bench.lines.push(line(format!("money, entry of 2 postings, {SPREAD} accounts"), base, &latencies, "durable entries"));
    let (took, latencies) = post(bench, tenant, total, hot).await?;
    let of_hot = rate(latencies.len(), took);
    let hot = line("money, entry of 2 postings, one hot account".into(), of_hot, &latencies, "ratio: of spread");
    bench.lines.push(Line { ratio_percent: percent(of_hot, base), ..hot });
    let (took, latencies) = post(bench, tenant, total / 20, large).await?;
    let postings = rate(latencies.len() * LARGE, took);
    let name = format!("money, postings in entries of {LARGE}");
    bench.lines.push(line(name, postings, &latencies, "postings, not entries"));
    Ok(())
}

/// Two accounts, half of the postings each, over the whole time; then what reading them costs.
async fn history(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    let (many, context) = (bench.size.commands * 50, Arc::new(Context::default()));
    let began = read::clock(&bench.pool).await?;
    let few = |n: usize| entry("5000", std::iter::once(name(n)));
    let half: Vec<Value> = (0..LARGE)
        .map(|n| if n % 2 == 0 { json!({"account": "1000", "debit": "1"}) } else { json!({"account": "4000", "credit": "1"}) })
        .collect();
    let started = Instant::now();
    send(bench, tenant, (0..5).map(|n| few(n).map(|a| command(&context, a))).collect::<Result<_>>()?).await?;
    for chunk in 0..(many / LARGE).div_ceil(CHUNK) {
        let left = (many / LARGE).saturating_sub(chunk * CHUNK).min(CHUNK);
        let entry = || action(json!({"type": "post_entry", "postings": half})).map(|a| command(&context, a));
        send(bench, tenant, (0..left).map(|_| entry()).collect::<Result<_>>()?).await?;
        // The history is long, not the queue before the views.
        catch_up(bench).await?;
    }
    send(bench, tenant, (0..5).map(|n| few(n).map(|a| command(&context, a))).collect::<Result<_>>()?).await?;
    catch_up(bench).await?;
    let postings = rate(many, started.elapsed());
    bench.lines.push(Line::new(format!("money, {many} postings posted and projected"), postings, "postings"));
    let ended = read::clock(&bench.pool).await?;
    let server = serve(bench, tenant).await?;
    let times = (began, ended);
    for (what, path) in [("as-of balance", "balance?as_of="), ("statement page", "statement?limit=100&from=")] {
        let short = reads(&server, "5000", path, times).await?;
        let long = reads(&server, "4000", path, times).await?;
        let base = quantile(&short, 50);
        report(bench, &format!("money, {what}, 10 postings"), &short, base);
        report(bench, &format!("money, {what}, {} postings", many / 2), &long, base);
    }
    let mut client = Client::connect(server.address, &server.key).await?;
    let middle = Timestamp(began.0 + (ended.0 - began.0) / 2);
    let now = timed(&mut client, REPORTS, |_| "/v1/reports/trial-balance".to_owned()).await?;
    let past = timed(&mut client, REPORTS, |_| format!("/v1/reports/trial-balance?as_of={middle}")).await?;
    let accounts = SPREAD.max(bench.size.commands / 20);
    report(bench, &format!("money, trial balance, {accounts} accounts"), &now, quantile(&now, 50));
    report(bench, &format!("money, trial balance as of a time, {accounts} accounts"), &past, quantile(&now, 50));
    server.stop().await
}

async fn reads(server: &Server, account: &str, path: &str, (began, ended): (Timestamp, Timestamp)) -> Result<Vec<Duration>> {
    let mut client = Client::connect(server.address, &server.key).await?;
    let step = (ended.0 - began.0) / i64::try_from(READS)?;
    timed(&mut client, READS, |turn| {
        let at = Timestamp(began.0 + step * i64::try_from((turn * 7_919) % READS).unwrap_or(0));
        format!("/v1/accounts/{account}/{path}{at}")
    })
    .await
}

/// Sorted latencies of reads.
async fn timed(client: &mut Client, reads: usize, path: impl Fn(usize) -> String) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(reads);
    for turn in 0..reads {
        let path = path(turn);
        let sent = Instant::now();
        let status = client.get(&path).await?;
        ensure!(status == 200, "{path} answered {status}: {}", client.last_answer());
        latencies.push(sent.elapsed());
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// A tenant made now: entries one at a time, and reads of them, before any statistics know of it.
async fn fresh(bench: &Bench, code: &str) -> Result<Vec<(&'static str, Vec<Duration>)>> {
    let tenant = tenant(bench, code, 0).await?;
    accounts(bench, tenant, 100).await?;
    let context = Arc::new(Context::default());
    let mut written = Vec::with_capacity(FRESH);
    for turn in 0..FRESH {
        let entry = command(&context, entry("1000", std::iter::once(name(turn % 100)))?);
        let sent = Instant::now();
        accepted(bench.pipeline.submit(tenant, entry).await?.outcome)?;
        written.push(sent.elapsed());
    }
    written.sort_unstable();
    catch_up(bench).await?;
    let server = serve(bench, tenant).await?;
    let mut client = Client::connect(server.address, &server.key).await?;
    let page = timed(&mut client, FRESH, |_| "/v1/accounts/1000/statement?limit=100".to_owned()).await?;
    server.stop().await?;
    Ok(vec![("entry", written), ("statement page", page)])
}
