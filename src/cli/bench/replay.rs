//! Folding a log from nothing, with every check and the tree, as `verify` does.

use std::time::Instant;

use anyhow::{Result, ensure};
use ledger_core::audit::replay::Replay;
use ledger_core::domain::id::TenantId;
use ledger_core::store::read;

use super::{Bench, Line, rate};

/// Rows per page.
const PAGE_ROWS: i64 = 5_000;

pub(super) async fn replay(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    if !bench.wants("replay") {
        return Ok(());
    }
    let started = Instant::now();
    let mut replay = Replay::default();
    let mut count = 0;
    loop {
        let rows = read::raw_page(&bench.pool, tenant, replay.ledger.position(), PAGE_ROWS).await?;
        if rows.is_empty() {
            break;
        }
        count += rows.len();
        for row in &rows {
            replay.push(row);
        }
    }
    let took = started.elapsed();
    if let Some(head) = read::head(&bench.pool, tenant).await? {
        let (_, _, findings) = replay.finish(&head);
        ensure!(findings.is_empty(), "the log does not check: {findings:?}");
    }
    bench.lines.push(Line::new("replay", rate(count, took), "events, from Postgres, all invariants and the tree checked"));
    Ok(())
}
