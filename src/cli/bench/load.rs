//! The pipeline in process: closed-loop callers, spread over many items and on one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ledger_core::domain::catalogue::command::OpenTenant;
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::id::{CommandId, TenantId, Text};
use ledger_core::pipeline::{Handle, Outcome};

use super::{Bench, Line, percent, rate};
use crate::cli::create_tenant;

/// Callers at once.
pub(super) const CALLERS: [usize; 3] = [64, 256, 1_024];

/// An action as its JSON says it.
pub(super) fn action(json: serde_json::Value) -> Result<Action> {
    Ok(serde_json::from_value(json)?)
}

pub(super) fn command(context: &Arc<Context>, action: Action) -> Command {
    let fresh = uuid::Uuid::now_v7();
    Command::new(CommandId::from_key(&fresh.to_string()), Arc::clone(context), vec![action], fresh)
}

pub(super) fn sku(item: usize) -> String {
    format!("SKU-{item:06}")
}

/// A tenant with this many items, each with plenty on hand.
pub(super) async fn tenant(bench: &Bench, code: &str, items: usize) -> Result<TenantId> {
    let open = OpenTenant {
        code: Text::parse(code)?,
        name: Text::parse(code)?,
        currency: Text::parse("EUR")?,
        currency_scale: 2,
        ..OpenTenant::default()
    };
    let tenant = create_tenant(&bench.pool, &bench.pipeline, open).await?;
    let context = Arc::new(Context::default());
    let mut commands = vec![command(&context, action(serde_json::json!({"type": "define_location", "code": "MAIN"}))?)];
    for item in 0..items {
        commands.push(command(&context, action(serde_json::json!({"type": "define_item", "sku": sku(item)}))?));
        let receive = serde_json::json!({"type": "receive", "sku": sku(item), "location": "MAIN", "quantity": "100000000", "unit_cost": "1.37"});
        commands.push(command(&context, action(receive)?));
    }
    for answer in bench.pipeline.submit_many(tenant, commands).await {
        accepted(answer?.outcome)?;
    }
    Ok(tenant)
}

pub(super) fn accepted(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Accepted { .. } => Ok(()),
        Outcome::Unchanged => bail!("a command changed nothing"),
        Outcome::Refused(refusal) => bail!("a command was refused: {}", refusal.rejection.code()),
    }
}

/// Issues one unit at a time, from `callers` tasks, until `total` are durable; answers how long it took and latencies.
pub(super) async fn issue(
    pipeline: &Handle,
    tenant: TenantId,
    items: usize,
    callers: usize,
    total: usize,
) -> Result<(Duration, Vec<Duration>)> {
    let started = Instant::now();
    let context = Arc::new(Context { actor: Some(Text::parse("key:bench")?), ..Context::default() });
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let (pipeline, context) = (pipeline.clone(), Arc::clone(&context));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(total / callers);
            for turn in 0..total / callers {
                let item = (caller * 7_919 + turn * 104_729) % items;
                let issue = action(serde_json::json!({"type": "issue", "sku": sku(item), "location": "MAIN", "quantity": "1"}))?;
                let sent = Instant::now();
                accepted(pipeline.submit(tenant, command(&context, issue)).await?.outcome)?;
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

/// The latency below which so many per cent lie, in microseconds.
pub(super) fn quantile(sorted: &[Duration], percent: usize) -> Option<u64> {
    let at = (sorted.len().saturating_mul(percent) / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).and_then(|d| u64::try_from(d.as_micros()).ok())
}

/// Spread and hot, at each number of callers. Answers the tenant that holds the spread items.
pub(super) async fn pipeline(bench: &mut Bench) -> Result<TenantId> {
    let items = bench.size.items;
    let spread = tenant(bench, "bench-spread", items).await?;
    let hot = tenant(bench, "bench-hot", 1).await?;
    for callers in CALLERS {
        let name = format!("pipeline, {callers} callers");
        if !bench.wants(&name) {
            continue;
        }
        let total = bench.size.commands;
        let (took, latencies) = issue(&bench.pipeline, spread, items, callers, total).await?;
        let spread_rate = rate(latencies.len(), took);
        bench.lines.push(Line {
            p50_micros: quantile(&latencies, 50),
            p99_micros: quantile(&latencies, 99),
            ..Line::new(format!("{name}, {items} items"), spread_rate, "durable commands, idempotency included")
        });
        let (took, latencies) = issue(&bench.pipeline, hot, 1, callers, total).await?;
        let hot_rate = rate(latencies.len(), took);
        bench.lines.push(Line {
            p50_micros: quantile(&latencies, 50),
            p99_micros: quantile(&latencies, 99),
            ratio_percent: percent(hot_rate, spread_rate),
            ..Line::new(format!("{name}, one hot item"), hot_rate, "ratio: of spread")
        });
    }
    Ok(spread)
}
