//! The console over a long history: how long each page takes, whole, over loopback, in one session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ledger_core::domain::command::Context;
use ledger_core::domain::id::TenantId;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::http::serve;
use super::load::{accepted, action, command, issue, quantile, sku, tenant};
use super::projection::catch_up;
use super::{Bench, Line, rate};

/// Each page is asked for so many times.
const VIEWS: usize = 60;
/// Items that move; the first one moves most.
const ITEMS: usize = 2_000;
/// Journal entries by hand.
const ENTRIES: usize = 2_000;
/// Open holds.
const HOLDS: usize = 500;

pub(super) async fn console(bench: &mut Bench) -> Result<()> {
    if !bench.wants("console") {
        return Ok(());
    }
    let movements = bench.size.commands * 5;
    let code = tenant(bench, "bench-console", ITEMS).await?;
    issue(&bench.pipeline, code, ITEMS, 1_024.min(movements), movements / 2).await?;
    issue(&bench.pipeline, code, 1, 1_024.min(movements), movements / 2).await?;
    beside(bench, code).await?;
    let (service, handle) = projector::Service::new(projector::Options::standard(bench.pool.clone()));
    let stop = CancellationToken::new();
    let task = tokio::spawn(service.run(stop.clone()));
    catch_up(bench).await?;
    let server = serve(bench, code).await?;
    let mut client = Client::connect(server.address, &server.key).await?;
    let cookie = client.sign_in().await?;
    for (name, path) in pages() {
        let mut latencies = Vec::with_capacity(VIEWS);
        for _ in 0..VIEWS {
            let sent = Instant::now();
            let status = client.view(&path, &cookie).await?;
            ensure!(status == 200, "{path} answered {status}: {}", client.last_answer());
            latencies.push(sent.elapsed());
        }
        latencies.sort_unstable();
        let took = latencies.iter().sum::<Duration>();
        bench.lines.push(Line {
            p50_micros: quantile(&latencies, 50),
            p99_micros: quantile(&latencies, 99),
            ..Line::new(format!("console, {name}"), rate(VIEWS, took), format!("{movements} movements; one at a time"))
        });
    }
    server.stop().await?;
    stop.cancel();
    drop(handle);
    task.await??;
    Ok(())
}

/// Entries and holds, so that no page is empty.
async fn beside(bench: &Bench, tenant: TenantId) -> Result<()> {
    let context = Arc::new(Context::default());
    let mut commands = Vec::new();
    for (code, kind) in [("9000", "asset"), ("9100", "revenue")] {
        let account = serde_json::json!({"type": "define_account", "code": code, "name": code, "account_type": kind});
        commands.push(command(&context, action(account)?));
    }
    for n in 0..ENTRIES {
        let entry = serde_json::json!({"type": "post_entry", "id": format!("E-{n}"), "description": "An entry",
            "postings": [{"account": "9000", "debit": "12.50"}, {"account": "9100", "credit": "12.50"}]});
        commands.push(command(&context, action(entry)?));
    }
    for n in 0..HOLDS {
        let hold = serde_json::json!({"type": "reserve", "id": format!("H-{n}"), "owner": "somebody", "ttl_seconds": 86_400,
            "lines": [{"sku": sku(n), "location": "MAIN", "quantity": "1"}]});
        commands.push(command(&context, action(hold)?));
    }
    for answer in bench.pipeline.submit_many(tenant, commands).await {
        accepted(answer?.outcome)?;
    }
    Ok(())
}

/// What is looked at most, and what reads most: item 0 has half of all movements.
fn pages() -> Vec<(&'static str, String)> {
    let hot = sku(0);
    vec![
        ("overview", "/console".into()),
        ("stock", "/console/stock".into()),
        ("stock, search", "/console/stock?search=sku-0019".into()),
        ("item", format!("/console/stock/{hot}")),
        ("stock card", format!("/console/stock/{hot}/MAIN")),
        ("stock card, one type", format!("/console/stock/{hot}/MAIN?type=stock_received")),
        ("location", "/console/locations/MAIN".into()),
        ("reservations", "/console/reservations".into()),
        ("journal", "/console/journal".into()),
        ("journal, one account", "/console/journal?account=9000".into()),
        ("entry", "/console/journal/E-7".into()),
        ("accounts", "/console/accounts".into()),
        ("account", "/console/accounts/1300".into()),
        ("trial balance", "/console/reports/trial-balance?rollup=true".into()),
        ("trial balance, as of a day", "/console/reports/trial-balance?as_of=2026-01-01".into()),
        ("balance sheet", "/console/reports/balance-sheet".into()),
        ("income statement", "/console/reports/income-statement".into()),
        ("general ledger", "/console/reports/general-ledger".into()),
        ("inventory valuation", "/console/reports/inventory-valuation".into()),
        ("reconciliation", "/console/reports/reconciliation".into()),
        ("events", "/console/events".into()),
        ("events, one type", "/console/events?type=stock_issued".into()),
        ("events, a rare type", "/console/events?type=item_defined".into()),
        ("events, a long stream", format!("/console/events?stream=item-{hot}")),
        ("event", "/console/events/5000".into()),
        ("audit", "/console/audit".into()),
        ("who did what", "/console/audit/trail?actor=key%3Abench".into()),
    ]
}

impl Client {
    /// Signs in to the console; answers the cookie.
    async fn sign_in(&mut self) -> Result<String> {
        let form = format!("key={}", self.key());
        let request = format!(
            "POST /console/login HTTP/1.1\r\nhost: ledger\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        let status = self.send(request.as_bytes()).await?;
        ensure!(status == 303, "signing in answered {status}");
        let answer = self.last_answer();
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).context("no cookie was set")?;
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }

    /// Asks for a page in a session; answers the status.
    async fn view(&mut self, path: &str, cookie: &str) -> Result<u16> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: ledger\r\ncookie: {cookie}\r\n\r\n").as_bytes()).await
    }
}
