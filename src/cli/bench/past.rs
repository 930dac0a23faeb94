//! The past: as-of reads over a long history, and late facts before it.
//!
//! Both are measured on an item with a handful of movements and on one with very many: the ratio is what the history
//! costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::domain::command::Context;
use ledger_core::domain::id::TenantId;
use ledger_core::store::read;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::http::{Server, serve};
use super::load::{accepted, action, command, issue, quantile, sku, tenant};
use super::projection::catch_up;
use super::{Bench, Line, percent, rate};

/// Movements of the item without a history.
const FEW: usize = 10;
/// Times asked for.
const READS: usize = 2_000;
/// Facts recorded late.
const LATE: usize = 200;

pub(super) async fn past(bench: &mut Bench) -> Result<()> {
    if !bench.wants("past") {
        return Ok(());
    }
    let many = bench.size.commands * 5;
    let code = tenant(bench, "bench-past", 2).await?;
    let began = read::clock(&bench.pool).await?;
    // Item 1 moves a few times, item 0 very often, both over the whole time.
    issue_one(bench, code, 1, FEW / 2).await?;
    issue(&bench.pipeline, code, 1, 1_024.min(many), many).await?;
    issue_one(bench, code, 1, FEW / 2).await?;
    let ended = read::clock(&bench.pool).await?;
    let (service, handle) = projector::Service::new(projector::Options::standard(bench.pool.clone()));
    let stop = CancellationToken::new();
    let task = tokio::spawn(service.run(stop.clone()));
    catch_up(bench).await?;
    let server = serve(bench, code).await?;
    let few = as_of(&server, 1, (began.0, ended.0)).await?;
    let long = as_of(&server, 0, (began.0, ended.0)).await?;
    report(bench, "past, as-of read", FEW, &few, &few);
    report(bench, "past, as-of read", many, &long, &few);
    let few = late(bench, code, 1).await?;
    let long = late(bench, code, 0).await?;
    report(bench, "past, late receipt into the views", FEW, &few, &few);
    report(bench, "past, late receipt into the views", many, &long, &few);
    server.stop().await?;
    stop.cancel();
    drop(handle);
    task.await??;
    Ok(())
}

/// The ratio is that of the medians: a history that costs nothing gives about 100.
fn report(bench: &mut Bench, name: &str, movements: usize, sorted: &[Duration], few: &[Duration]) {
    let took = sorted.iter().sum();
    let (p50, base) = (quantile(sorted, 50), quantile(few, 50));
    bench.lines.push(Line {
        p50_micros: p50,
        p99_micros: quantile(sorted, 99),
        ratio_percent: p50.zip(base).and_then(|(p50, base)| percent(p50, base)),
        ..Line::new(
            format!("{name}, {movements} movements"),
            rate(sorted.len(), took),
            "one at a time; ratio: p50 to that of few",
        )
    });
}

async fn issue_one(bench: &Bench, tenant: TenantId, item: usize, times: usize) -> Result<()> {
    let context = Arc::new(Context::default());
    for _ in 0..times {
        let issue = action(serde_json::json!({"type": "issue", "sku": sku(item), "location": "MAIN", "quantity": "1"}))?;
        accepted(bench.pipeline.submit(tenant, command(&context, issue)).await?.outcome)?;
    }
    Ok(())
}

/// Reads at times spread evenly over the history; sorted.
async fn as_of(server: &Server, item: usize, (began, ended): (i64, i64)) -> Result<Vec<Duration>> {
    let mut client = Client::connect(server.address, &server.key).await?;
    let mut latencies = Vec::with_capacity(READS);
    for turn in 0..READS {
        let at = began + (ended - began) / i64::try_from(READS)? * i64::try_from((turn * 7_919) % READS)?;
        let at = ledger_core::domain::time::Timestamp(at);
        let path = format!("/v1/stock/{}/MAIN?as_of={at}", sku(item));
        let sent = Instant::now();
        let status = client.get(&path).await?;
        ensure!(status == 200, "answered {status}: {}", client.last_answer());
        latencies.push(sent.elapsed());
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// Receipts dated before every movement, each until the views have it; sorted.
async fn late(bench: &Bench, tenant: TenantId, item: usize) -> Result<Vec<Duration>> {
    let context = Arc::new(Context::default());
    let mut latencies = Vec::with_capacity(LATE);
    for _ in 0..LATE {
        let receipt = serde_json::json!({"type": "receive", "sku": sku(item), "location": "MAIN", "quantity": "1", "unit_cost": "2",
            "effective_at": "2020-01-01T00:00:00Z"});
        let sent = Instant::now();
        accepted(bench.pipeline.submit(tenant, command(&context, action(receipt)?)).await?.outcome)?;
        catch_up(bench).await?;
        latencies.push(sent.elapsed());
    }
    latencies.sort_unstable();
    Ok(latencies)
}
