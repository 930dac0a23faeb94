//! From the commit to those who wait for it: a subscriber of the broker, a reader of the views.
//!
//! **Shape**: callers write and note when each command was answered; a subscriber notes when each message came; a watcher
//! notes when the views came to each position. The three lists are joined by position.
//! **Correctness**: every event of the run is counted, none is left out as late. At half load commands go out when they are
//! due, answered or not, so that a stall is charged to all it delays. The clock starts when the answer is there, which is
//! when a caller may first expect the message; a message that overtakes its answer counts as 0. The watcher looks every
//! millisecond or so, and is that much late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::pipeline::Outcome;
use tokio::task::JoinHandle;

use super::feed::{Projector, all_published};
use super::load::{action, command, quantile, sku};
use super::projection::catch_up;
use super::{Bench, Line, rate};

/// Callers at once, at full load; tasks that keep the pace at half.
const CALLERS: usize = 256;
/// Commands a second where nothing waits for anything else: what remains is how soon news is noticed.
const LIGHT_LOAD: u32 = 100;
/// Commands of each caller then.
const LIGHT_TURNS: usize = 2;
/// Longest wait for a message or a view.
const ARRIVAL_MAX: Duration = Duration::from_secs(120);
/// Between two looks at the views.
const WATCH_PAUSE: Duration = Duration::from_millis(1);

/// When what was said of a position was so.
type Moments = Vec<(Position, Instant)>;

pub(super) async fn latency(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    if !bench.wants("latency") {
        return Ok(());
    }
    let Some(url) = bench.nats_url.clone() else {
        bench.lines.push(Line::new("latency", 0, "left out: there is no broker"));
        return Ok(());
    };
    let projector = Projector::start(bench, Some(url.clone()));
    tokio::try_join!(catch_up(bench), all_published(bench))?;
    let total = bench.size.commands / 2 / CALLERS * CALLERS;
    let full = one_load(bench, (tenant, &url), "full load", total, None).await?;
    // Each of the callers sends every `CALLERS / (full / 2)` seconds.
    let pace = Duration::from_nanos(2_000_000_000 * u64::try_from(CALLERS)? / full.max(1));
    one_load(bench, (tenant, &url), "half load", total, Some(pace)).await?;
    let pace = Duration::from_secs(1) * u32::try_from(CALLERS)? / LIGHT_LOAD;
    one_load(bench, (tenant, &url), "light load", LIGHT_TURNS * CALLERS, Some(pace)).await?;
    projector.stop().await
}

/// Writes at one load and measures both ways; answers how much was written per second.
async fn one_load(
    bench: &mut Bench,
    (tenant, url): (TenantId, &str),
    name: &str,
    total: usize,
    pace: Option<Duration>,
) -> Result<u64> {
    let messages = subscribe(url, tenant, total).await?;
    let head = super::projection::head(bench, tenant).await?;
    let views = watch(bench, tenant, head, total);
    let started = Instant::now();
    let committed = write(bench, tenant, total, pace).await?;
    let written = rate(total, started.elapsed());
    let how = if pace.is_some() { "open loop" } else { "closed loop" };
    for (what, moments) in [("message", messages.await??), ("view", views.await??)] {
        let latencies = join(&committed, &moments)?;
        bench.lines.push(Line {
            p50_micros: quantile(&latencies, 50),
            p99_micros: quantile(&latencies, 99),
            ..Line::new(
                format!("latency, commit to {what}, {name}"),
                written,
                format!("{how}, {CALLERS} callers; longest {} ms", latencies.last().map_or(0, Duration::as_millis)),
            )
        });
    }
    tokio::try_join!(catch_up(bench), all_published(bench))?;
    Ok(written)
}

/// Issues one unit at a time; answers when each event was known to be durable, by position.
async fn write(bench: &Bench, tenant: TenantId, total: usize, pace: Option<Duration>) -> Result<Moments> {
    let (items, context) = (bench.size.items, Arc::new(Context::default()));
    let mut tasks = Vec::new();
    for caller in 0..CALLERS {
        let (pipeline, context) = (bench.pipeline.clone(), Arc::clone(&context));
        tasks.push(tokio::spawn(async move {
            let begin = Instant::now() + pace.unwrap_or_default() * u32::try_from(caller)? / u32::try_from(CALLERS)?;
            let mut open = tokio::task::JoinSet::new();
            let mut moments = Moments::new();
            for turn in 0..total / CALLERS {
                if let Some(pace) = pace {
                    tokio::time::sleep_until((begin + pace * u32::try_from(turn)?).into()).await;
                }
                let item = sku((caller * 7_919 + turn * 104_729) % items);
                let issue = action(serde_json::json!({"type": "issue", "sku": item, "location": "MAIN", "quantity": "1"}))?;
                let (pipeline, command) = (pipeline.clone(), command(&context, issue));
                open.spawn(async move {
                    let answer = pipeline.submit(tenant, command).await?;
                    ensure!(matches!(answer.outcome, Outcome::Accepted { .. }), "a command was not accepted");
                    anyhow::Ok((answer.position, Instant::now()))
                });
                if pace.is_none() {
                    moments.extend(open.join_next().await.transpose()?.transpose()?);
                }
            }
            while let Some(done) = open.join_next().await {
                moments.push(done??);
            }
            anyhow::Ok(moments)
        }));
    }
    let mut all = Moments::with_capacity(total);
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(all)
}

/// Receives the next so many messages of a tenant, as any subscriber would.
async fn subscribe(url: &str, tenant: TenantId, total: usize) -> Result<JoinHandle<Result<Moments>>> {
    let stream = jetstream::new(projector::feed::connect(url).await?).get_stream(projector::feed::STREAM).await?;
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::New, ..pull::OrderedConfig::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?;
    let prefix = format!("{tenant}:");
    Ok(tokio::spawn(async move {
        let mut moments = Moments::with_capacity(total);
        while moments.len() < total {
            let message = tokio::time::timeout(ARRIVAL_MAX, messages.next()).await.context("messages stay away")?;
            let message = message.context("the subscription ended")??;
            let arrived = Instant::now();
            let id = message.headers.as_ref().and_then(|h| h.get("Nats-Msg-Id")).context("a message has no id")?;
            if let Some(position) = id.as_str().strip_prefix(&prefix) {
                moments.push((position.parse()?, arrived));
            }
        }
        Ok(moments)
    }))
}

/// Looks again and again how far a tenant's views are, until they have so many events more.
fn watch(bench: &Bench, tenant: TenantId, head: Position, total: usize) -> JoinHandle<Result<Moments>> {
    let pool = bench.pool.clone();
    tokio::spawn(async move {
        let (mut seen, last) = (head, head.saturating_add(i64::try_from(total)?));
        let (mut moments, started) = (Moments::with_capacity(total), Instant::now());
        while seen < last {
            let at: i64 = sqlx::query_scalar("SELECT position FROM view_cursor WHERE tenant_id = $1")
                .bind(tenant.0)
                .fetch_one(&pool)
                .await?;
            let now = Instant::now();
            moments.extend((seen.saturating_add(1)..=at).map(|position| (position, now)));
            seen = at.max(seen);
            ensure!(started.elapsed() < ARRIVAL_MAX * 2, "the views stay behind");
            tokio::time::sleep(WATCH_PAUSE).await;
        }
        Ok(moments)
    })
}

/// How long each committed event took to arrive, sorted.
fn join(committed: &Moments, arrived: &Moments) -> Result<Vec<Duration>> {
    let mut arrived = arrived.clone();
    arrived.sort_unstable_by_key(|(position, at)| (*position, *at));
    let mut latencies = Vec::with_capacity(committed.len());
    for (position, at) in committed {
        let first = arrived.partition_point(|(p, _)| p < position);
        match arrived.get(first) {
            Some((p, seen)) if p == position => latencies.push(seen.saturating_duration_since(*at)),
            Some(_) | None => bail!("position {position} never arrived"),
        }
    }
    latencies.sort_unstable();
    Ok(latencies)
}
