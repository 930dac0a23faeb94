//! Reading a log from Postgres, and folding it from nothing with every check and the tree, as `replay` and `verify` do.

use std::time::Instant;

use anyhow::{Result, ensure};
use ledger_core::audit::replay::Replay;
use ledger_core::domain::id::TenantId;
use ledger_core::store::log::Log;
use ledger_core::store::read;

use super::{Bench, Line, rate};

pub(super) async fn replay(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    if !bench.wants("replay") {
        return Ok(());
    }
    let Some(head) = read::head(&bench.pool, tenant).await? else { return Ok(()) };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut kept = Vec::new();
    for tasks in [1, cores] {
        kept.clear();
        let started = Instant::now();
        let mut log = Log::open(&bench.pool, tenant, 0, head.position, tasks);
        while let Some(rows) = log.next().await? {
            kept.extend(rows);
        }
        let name = format!("replay: read, {tasks} at once");
        let note = "events, from Postgres by COPY, decoded and hashed; Postgres takes its part of the cores";
        bench.lines.push(Line::new(name, rate(kept.len(), started.elapsed()), note));
    }
    let (started, count) = (Instant::now(), kept.len());
    let mut replay = Replay::default();
    for row in kept {
        replay.push(row);
    }
    let findings = replay.finish(Some(&head), Vec::new()).findings;
    ensure!(findings.is_empty(), "the log does not check: {findings:?}");
    bench.lines.push(Line::new(
        "replay: fold",
        rate(count, started.elapsed()),
        "events, read before, all invariants and the tree",
    ));
    let started = Instant::now();
    let mut replay = Replay::default();
    let mut log = Log::open(&bench.pool, tenant, 0, head.position, cores);
    while let Some(rows) = log.next().await? {
        for row in rows {
            replay.push(row);
        }
    }
    let events = replay.finish(Some(&head), Vec::new()).events;
    let note = "events, from Postgres, all invariants and the tree checked";
    bench.lines.push(Line::new("replay", rate(usize::try_from(events)?, started.elapsed()), note));
    Ok(())
}
