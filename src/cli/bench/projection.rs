//! The projector: how fast it catches up, and whether it keeps up with what is written meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::domain::id::TenantId;
use ledger_core::store::read;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::load::issue;
use super::{Bench, Line, percent, rate};

/// Tenants of the measurement with several.
const TENANTS: usize = 4;
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
    let mut tenants = vec![tenant];
    alone(bench, "projector, alone", &tenants).await?;
    while tenants.len() < TENANTS {
        let code = format!("bench-beside-{}", tenants.len());
        tenants.push(super::load::tenant(bench, &code, bench.size.items).await?);
    }
    alone(bench, &format!("projector, alone, {} tenants", tenants.len()), &tenants).await?;

    let running = Running::start(bench);
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
    running.stop().await
}

/// Catching up with what callers write all day, for so many tenants at once.
async fn alone(bench: &mut Bench, name: &str, tenants: &[TenantId]) -> Result<()> {
    // What there is so far is of many kinds.
    let running = Running::start(bench);
    catch_up(bench).await?;
    running.stop().await?;
    let (before, started) = (cursors(bench).await?, Instant::now());
    let callers = 256 / tenants.len();
    let each = |tenant| issue(&bench.pipeline, tenant, bench.size.items, callers, bench.size.commands / tenants.len());
    futures::future::try_join_all(tenants.iter().copied().map(each)).await?;
    let events = usize::try_from(heads(bench).await?.saturating_sub(before))?;
    let written = rate(events, started.elapsed());
    let running = Running::start(bench);
    let projected = rate(events, catch_up(bench).await?);
    running.stop().await?;
    bench.lines.push(Line {
        ratio_percent: percent(projected, written),
        ..Line::new(name, projected, format!("events into views and Redis, catching up; ratio: of the {written}/s written alone"))
    });
    Ok(())
}

/// A projector with a cache and no broker.
struct Running {
    stop: CancellationToken,
    handle: projector::Handle,
    task: JoinHandle<Result<(), projector::Error>>,
}

impl Running {
    fn start(bench: &Bench) -> Self {
        let (service, handle) = projector::Service::new(projector::Options {
            redis_url: bench.redis_url.clone(),
            ..projector::Options::standard(bench.pool.clone())
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(service.run(stop.clone()));
        Self { stop, handle, task }
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        drop(self.handle);
        Ok(self.task.await??)
    }
}
