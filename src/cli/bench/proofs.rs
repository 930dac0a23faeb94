//! Proofs in a long log whose tree nodes are there, at places drawn evenly: what an auditor waits for, HTTP left out.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::audit::merkle::Hash;
use ledger_core::audit::tree::{Nodes, Subtree};
use ledger_core::domain::id::TenantId;
use ledger_core::store::{read, tree};

use super::load::{issue, quantile, tenant};
use super::{Bench, Line, rate};

/// Proofs of each kind.
const PROOFS: u64 = 1_000;
/// Rows per page.
const PAGE_ROWS: i64 = 5_000;
/// Nodes per statement.
const NODES: usize = 1_000;
/// A step that visits a log evenly and in no order (2^64 over the golden ratio).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

pub(super) async fn proofs(bench: &mut Bench) -> Result<()> {
    if !bench.wants("proofs") {
        return Ok(());
    }
    let log = tenant(bench, "bench-proofs", 1_000).await?;
    issue(&bench.pipeline, log, 1_000, 1_024, bench.size.commands * 5).await?;
    let leaves = leaves(bench, log).await?;
    let size = u64::try_from(leaves.len())?;
    write_nodes(bench, log, leaves).await?;
    let drawn = |n: u64| u64::try_from((u128::from(n.wrapping_mul(STEP)) * u128::from(size)) >> 64).map_or(1, |at| at + 1);
    let (mut inclusion, mut prefix, mut consistency) = (Vec::new(), Vec::new(), Vec::new());
    for n in 1..=PROOFS {
        let (at, other) = (drawn(n), drawn(n + PROOFS));
        let position = i64::try_from(at)?;
        let began = Instant::now();
        tree::prove_inclusion(&bench.pool, log, position, None).await?;
        inclusion.push(began.elapsed());
        let began = Instant::now();
        tree::prove_inclusion(&bench.pool, log, i64::try_from(at.min(other))?, Some(at.max(other))).await?;
        prefix.push(began.elapsed());
        let began = Instant::now();
        tree::prove_consistency(&bench.pool, log, at.min(other), Some(at.max(other))).await?;
        consistency.push(began.elapsed());
    }
    report(bench, "proofs, inclusion in the whole log", size, inclusion);
    report(bench, "proofs, inclusion in an earlier tree", size, prefix);
    report(bench, "proofs, consistency of two earlier trees", size, consistency);
    Ok(())
}

fn report(bench: &mut Bench, name: &str, size: u64, mut took: Vec<Duration>) {
    took.sort_unstable();
    let line = Line {
        p50_micros: quantile(&took, 50),
        p99_micros: quantile(&took, 99),
        ..Line::new(name, rate(took.len(), took.iter().sum()), format!("{size} events, one after another, each checked"))
    };
    bench.lines.push(line);
}

async fn leaves(bench: &Bench, log: TenantId) -> Result<Vec<Hash>> {
    let (mut leaves, mut scratch, mut last) = (Vec::new(), Vec::new(), 0);
    loop {
        let rows = read::raw_page(&bench.pool, log, last, PAGE_ROWS).await?;
        let Some(end) = rows.last() else { return Ok(leaves) };
        last = end.position;
        leaves.extend(rows.iter().map(|row| row.leaf_hash(&mut scratch)));
    }
}

/// As the projector's trail writes them.
async fn write_nodes(bench: &Bench, log: TenantId, leaves: Vec<Hash>) -> Result<()> {
    let mut count = u64::try_from(leaves.len())?;
    let nodes = Nodes::of_leaves(leaves);
    for level in 1_u8.. {
        count /= 256;
        let all: Vec<(i64, Option<Hash>)> =
            (0..count).map(|at| (i64::try_from(at).unwrap_or(i64::MAX), nodes.get(Subtree::stored(level, at)))).collect();
        if all.is_empty() {
            break;
        }
        ensure!(all.iter().all(|(_, hash)| hash.is_some()), "a complete node has a hash");
        for some in all.chunks(NODES) {
            let (index, hash): (Vec<i64>, Vec<Vec<u8>>) =
                some.iter().map(|(index, hash)| (*index, hash.unwrap_or_default().to_vec())).unzip();
            sqlx::query(
                "INSERT INTO view_tree_node (tenant_id, level, index, hash) SELECT $1, $2, n.index, n.hash \
                 FROM unnest($3::bigint[], $4::bytea[]) AS n (index, hash) ON CONFLICT (tenant_id, level, index) DO NOTHING",
            )
            .bind(log.0)
            .bind(i16::from(level))
            .bind(index)
            .bind(hash)
            .execute(&bench.pool)
            .await?;
        }
    }
    Ok(())
}
