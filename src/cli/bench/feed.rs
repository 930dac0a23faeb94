//! The feed: how fast it publishes a backlog, and whether it and the projector keep up with what is written meanwhile.
//!
//! **Correctness**: counted is what the broker has acknowledged: the cursor moves over nothing else.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::domain::id::TenantId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::load::issue;
use super::projection::{catch_up, cursors, heads};
use super::{Bench, Line, percent, rate};

/// Longest wait for the feed.
const PUBLISHED_MAX: Duration = Duration::from_secs(300);
/// Callers that write meanwhile.
const CALLERS: usize = 256;

/// A projector as a node runs it, cache and broker included.
pub(super) struct Projector {
    stop: CancellationToken,
    task: JoinHandle<Result<(), projector::Error>>,
}

impl Projector {
    pub(super) fn start(bench: &Bench, nats_url: Option<String>) -> Self {
        let (service, handle) = projector::Service::new(projector::Options {
            redis_url: bench.redis_url.clone(),
            nats_url,
            ..projector::Options::standard(bench.pool.clone())
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(service.run(stop.clone()));
        let (committed, stopped) = (bench.pipeline.committed(), stop.clone());
        tokio::spawn(crate::node::nudge(handle, committed, stopped));
        Self { stop, task }
    }

    pub(super) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }
}

/// Σ over all tenants of what is published.
async fn published(bench: &Bench) -> Result<i64> {
    let sum: Option<i64> = sqlx::query_scalar("SELECT sum(position)::bigint FROM feed_cursor").fetch_one(&bench.pool).await?;
    Ok(sum.unwrap_or(0))
}

/// Waits until everything recorded is published.
pub(super) async fn all_published(bench: &Bench) -> Result<Duration> {
    let started = Instant::now();
    while published(bench).await? < heads(bench).await? {
        ensure!(started.elapsed() < PUBLISHED_MAX, "the feed does not catch up");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(started.elapsed())
}

pub(super) async fn feed(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    if !bench.wants("feed") {
        return Ok(());
    }
    let Some(nats_url) = bench.nats_url.clone() else {
        bench.lines.push(Line::new("feed", 0, "left out: there is no broker"));
        return Ok(());
    };
    let (items, commands) = (bench.size.items, bench.size.commands);
    let (took, latencies) = issue(&bench.pipeline, tenant, items, CALLERS, commands).await?;
    let written = rate(latencies.len(), took);
    bench.lines.push(Line::new("feed: written alone", written, format!("events, {CALLERS} callers; nothing else runs")));
    views_alone(bench, written).await?;

    let (before, started) = (published(bench).await?, Instant::now());
    let projector = Projector::start(bench, Some(nats_url));
    all_published(bench).await?;
    let alone = rate(usize::try_from(published(bench).await?.saturating_sub(before))?, started.elapsed());
    bench.lines.push(Line {
        ratio_percent: percent(alone, written),
        ..Line::new("feed: published alone", alone, "messages acknowledged, connecting included; ratio: of written alone")
    });
    together(bench, tenant).await?;
    projector.stop().await
}

/// The views of the same events, before anything is published.
async fn views_alone(bench: &mut Bench, written: u64) -> Result<()> {
    let (before, projector) = (cursors(bench).await?, Projector::start(bench, None));
    let took = catch_up(bench).await?;
    let alone = rate(usize::try_from(cursors(bench).await?.saturating_sub(before))?, took);
    bench.lines.push(Line {
        ratio_percent: percent(alone, written),
        ..Line::new("feed: projected alone", alone, "events into views and Redis; ratio: of written alone")
    });
    projector.stop().await
}

/// All three at once, on the same cores.
async fn together(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    let (items, commands) = (bench.size.items, bench.size.commands);
    let (viewed, sent, started) = (cursors(bench).await?, published(bench).await?, Instant::now());
    let (took, latencies) = issue(&bench.pipeline, tenant, items, CALLERS, commands).await?;
    let written = rate(latencies.len(), took);
    let so_far = started.elapsed();
    let viewed = rate(usize::try_from(cursors(bench).await?.saturating_sub(viewed))?, so_far);
    let sent = rate(usize::try_from(published(bench).await?.saturating_sub(sent))?, so_far);
    let note = format!("ratio: of the {written}/s that {CALLERS} callers write meanwhile");
    for (name, rate) in [("feed: projected while written", viewed), ("feed: published while written", sent)] {
        bench.lines.push(Line { ratio_percent: percent(rate, written), ..Line::new(name, rate, note.clone()) });
    }
    let (views, feed) = tokio::try_join!(catch_up(bench), all_published(bench))?;
    let note = format!("views gone in {} ms, messages in {} ms", views.as_millis(), feed.as_millis());
    bench.lines.push(Line::new("feed: backlog after that", 0, note));
    Ok(())
}
