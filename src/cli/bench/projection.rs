//! The projector: how fast it catches up, and whether it keeps up with what is written meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::domain::id::TenantId;
use ledger_core::store::read;
use tokio_util::sync::CancellationToken;

use super::load::issue;
use super::{Bench, Line, percent, rate};

/// Longest wait for the projector.
const CATCH_UP_MAX: Duration = Duration::from_secs(300);

pub(super) async fn cursors(bench: &Bench) -> Result<i64> {
    let sum: Option<i64> = sqlx::query_scalar("SELECT sum(position)::bigint FROM view_cursor").fetch_one(&bench.pool).await?;
    Ok(sum.unwrap_or(0))
}

pub(super) async fn heads(bench: &Bench) -> Result<i64> {
    Ok(read::heads(&bench.pool).await?.iter().map(|h| h.position).sum())
}

/// Where a tenant's log ends.
pub(super) async fn head(bench: &Bench, tenant: TenantId) -> Result<i64> {
    Ok(read::head(&bench.pool, tenant).await?.map_or(0, |head| head.position))
}

pub(super) async fn catch_up(bench: &Bench) -> Result<Duration> {
    let started = Instant::now();
    while cursors(bench).await? < heads(bench).await? {
        ensure!(started.elapsed() < CATCH_UP_MAX, "the projector does not catch up");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(started.elapsed())
}

pub(super) async fn projection(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    if !bench.wants("projector") {
        return Ok(());
    }
    let (service, handle) = projector::Service::new(projector::Options {
        redis_url: bench.redis_url.clone(),
        ..projector::Options::standard(bench.pool.clone())
    });
    let stop = CancellationToken::new();
    let before = cursors(bench).await?;
    let task = tokio::spawn(service.run(stop.clone()));
    let took = catch_up(bench).await?;
    let events = usize::try_from(cursors(bench).await?.saturating_sub(before))?;
    bench.lines.push(Line::new("projector, alone", rate(events, took), "events into views and Redis, catching up"));

    let (begin, started) = (cursors(bench).await?, Instant::now());
    let (took, latencies) = issue(&bench.pipeline, tenant, bench.size.items, 256, bench.size.commands).await?;
    let written = rate(latencies.len(), took);
    let projected = rate(usize::try_from(cursors(bench).await?.saturating_sub(begin))?, started.elapsed());
    bench.lines.push(Line {
        ratio_percent: percent(projected, written),
        ..Line::new(
            "projector, while 256 callers write",
            projected,
            format!("events; ratio: of the {written}/s written on the same cores"),
        )
    });
    let took = catch_up(bench).await?;
    bench.lines.push(Line::new("projector, backlog after that", 0, format!("gone in {} ms", took.as_millis())));
    stop.cancel();
    drop(handle);
    task.await??;
    Ok(())
}
