//! Views made anew: how fast, and how long anybody waits for the swap.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use projector::rebuild::{self, Options, Progress, Report};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::load::{issue, tenant};
use super::projection::{catch_up, cursors};
use super::{Bench, Line, rate};

/// Tenants that share the events.
const TENANTS: usize = 4;
/// Items of each.
const ITEMS: usize = 1_000;
/// Callers that write meanwhile.
const WRITERS: usize = 64;

pub(super) async fn rebuild(bench: &mut Bench) -> Result<()> {
    if !bench.wants("rebuild") {
        return Ok(());
    }
    let mut last = None;
    for n in 0..TENANTS {
        let tenant = tenant(bench, &format!("bench-rebuild-{n}"), ITEMS).await?;
        issue(&bench.pipeline, tenant, ITEMS, 256, bench.size.commands * 5 / TENANTS).await?;
        last = Some(tenant);
    }
    let (service, handle) = projector::Service::new(projector::Options::standard(bench.pool.clone()));
    let stop = CancellationToken::new();
    let task = tokio::spawn(service.run(stop.clone()));
    catch_up(bench).await?;
    let events = usize::try_from(cursors(bench).await?)?;
    let (took, report) = one(bench).await?;
    let what = format!(
        "{events} events into fresh tables of all views, all compared and equal; views stood still {} ms, readers waited {} ms",
        report.views_held_millis, report.readers_held_millis
    );
    bench.lines.push(Line::new("rebuild, nobody writes", rate(events, took), what));
    if let Some(tenant) = last {
        let pipeline = bench.pipeline.clone();
        let writing = CancellationToken::new();
        let stop_writing = writing.clone();
        let writer = tokio::spawn(async move {
            let (mut written, began) = (0, Instant::now());
            while !stop_writing.is_cancelled() {
                written += issue(&pipeline, tenant, ITEMS, WRITERS, WRITERS * 20).await?.1.len();
            }
            anyhow::Ok(rate(written, began.elapsed()))
        });
        let (took, report) = one(bench).await?;
        writing.cancel();
        let written = writer.await??;
        let what = format!(
            "as before, while {WRITERS} callers write {written}/s; views stood still {} ms, readers waited {} ms",
            report.views_held_millis, report.readers_held_millis
        );
        bench.lines.push(Line::new("rebuild, under load", rate(events, took), what));
    }
    stop.cancel();
    drop(handle);
    task.await??;
    Ok(())
}

/// From the first table to the swap, with everything compared.
async fn one(bench: &Bench) -> Result<(Duration, Report)> {
    let options = Options { compare: true, ..Options::all(bench.url.clone()) };
    let (progress, _seen) = watch::channel(Progress::default());
    let began = Instant::now();
    let report = rebuild::run(&options, progress, &CancellationToken::new()).await?;
    ensure!(report.differences.is_empty(), "the views are not what the log gives: {:?}", report.differences);
    Ok((began.elapsed(), report))
}
