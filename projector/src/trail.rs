//! The trail: the tree's inner nodes and who did what, kept beside each log for auditors.
//!
//! **Shape**: per tenant: complete runs of the log after `trail_cursor` → [`fold`] → one transaction: nodes of every level
//! that is complete by then, mentions, cursor. Less urgent than the views: it looks seldom, takes much at once, and works
//! on few tenants at a time.
//! **Correctness**: 1. Exactly once: the transaction moves the cursor from where its rows begin; if another projector was
//! faster, nothing is written. 2. The cursor stands at the end of a run. What is after it, fewer than a run once this has
//! caught up, readers read from the log itself, so a trail that is slow costs time, never an answer. 3. Every row is
//! checked against the hash it was appended with; one that fails, or that is missing, stops its tenant before its run,
//! loudly, and no other. 4. Setting a cursor back to 0 has its tenant's nodes written again and those that differ put right.

mod fold;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ledger_core::audit::merkle::Hash;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::read::{self, Raw};
use ledger_core::view::trail::{RUN, run_of, run_start};
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Row};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Error, Leases, Options, stop};

/// Tenants worked on at once.
const TENANTS_AT_ONCE: usize = 2;
/// Runs of one transaction.
const BATCH_RUNS_MAX: i64 = 32;
/// Batches of one tenant before its place goes to whoever waits.
const BATCHES_IN_A_ROW_MAX: usize = 16;
/// Levels of nodes: 256^7 events are more than a position can count.
const LEVELS_MAX: i16 = 7;
/// A stopped tenant is tried again after this long.
const STOPPED_PAUSE: Duration = Duration::from_secs(60);
/// A tenant whose step failed for a reason that passes is tried again after this long.
const FAILED_PAUSE: Duration = Duration::from_secs(2);

/// Follows the logs until stopped.
pub(crate) async fn run(options: Options, leases: Leases, stop: CancellationToken) {
    let mut paused: HashMap<TenantId, Instant> = HashMap::new();
    let mut running: JoinSet<(TenantId, Result<(), Error>)> = JoinSet::new();
    let mut busy: HashMap<tokio::task::Id, TenantId> = HashMap::new();
    while !stop.is_cancelled() {
        paused.retain(|_, until| *until > Instant::now());
        let behind = behind(&options.pool).await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "looking for what the trail lacks failed");
            Vec::new()
        });
        for tenant in behind {
            if running.len() >= TENANTS_AT_ONCE {
                break;
            }
            if !leases.holds(tenant) || paused.contains_key(&tenant) || busy.values().any(|t| *t == tenant) {
                continue;
            }
            let (pool, stop) = (options.pool.clone(), stop.clone());
            let task = running.spawn(async move { (tenant, catch_up(&pool, tenant, &stop).await) });
            busy.insert(task.id(), tenant);
        }
        tokio::select! {
            Some(done) = running.join_next_with_id() => {
                let (id, done) = match done {
                    Ok((id, (_, done))) => (id, done),
                    Err(panic) => (panic.id(), Err(Error::Panic(panic))),
                };
                if let Some(tenant) = busy.remove(&id)
                    && let Some(pause) = note(&options.pool, tenant, done).await
                {
                    paused.insert(tenant, Instant::now() + pause);
                }
            }
            () = tokio::time::sleep(options.trail_interval) => {}
            () = stop.cancelled() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Tells how a tenant's turn ended; for how long it is left alone, if at all.
async fn note(pool: &PgPool, tenant: TenantId, done: Result<(), Error>) -> Option<Duration> {
    match done {
        Ok(()) => None,
        Err(error) if error.is_transient() => {
            tracing::warn!(%tenant, error = &error as &dyn std::error::Error, "the trail failed, will be tried again");
            Some(FAILED_PAUSE)
        }
        Err(error) => {
            tracing::error!(%tenant, error = &error as &dyn std::error::Error, "the tenant's trail is stopped");
            metrics::counter!("ledger_trail_stops_total").increment(1);
            stop::note(pool, tenant, stop::Part::Trail, &error).await;
            Some(STOPPED_PAUSE)
        }
    }
}

/// Tenants with a complete run to follow; whoever waited longest first.
async fn behind(pool: &PgPool) -> Result<Vec<TenantId>, Error> {
    let rows = sqlx::query(include_str!("trail/behind.sql")).bind(RUN).fetch_all(pool).await?;
    let mut lag = 0_i64;
    let mut tenants = Vec::with_capacity(rows.len());
    for row in &rows {
        tenants.push(TenantId(row.try_get(0)?));
        lag = lag.saturating_add(row.try_get(1)?);
    }
    metrics::gauge!("ledger_trail_lag_events").set(u32::try_from(lag).unwrap_or(u32::MAX));
    Ok(tenants)
}

async fn catch_up(pool: &PgPool, tenant: TenantId, stop: &CancellationToken) -> Result<(), Error> {
    for _ in 0..BATCHES_IN_A_ROW_MAX {
        let runs = step(pool, tenant).await?;
        let events = runs.saturating_mul(RUN);
        metrics::counter!("ledger_trail_events_total").increment(u64::try_from(events).unwrap_or(0));
        if runs < BATCH_RUNS_MAX || stop.is_cancelled() {
            return Ok(());
        }
    }
    Ok(())
}

/// Follows the next complete runs; how many.
async fn step(pool: &PgPool, tenant: TenantId) -> Result<i64, Error> {
    let cursor = stored_cursor(pool, tenant).await?;
    // Somebody may have set the cursor into a run: that run is done again.
    let start = run_start(run_of(cursor.saturating_add(1)));
    let rows = read::raw_page(pool, tenant, start, BATCH_RUNS_MAX.saturating_mul(RUN)).await?;
    let context = context_at(pool, tenant, start, &rows).await?;
    // Tens of milliseconds of hashing, beside the requests and not before them.
    let folded = tokio::task::spawn_blocking(move || fold::fold(&rows, start, context)).await.map_err(Error::Panic)??;
    let runs = i64::try_from(folded.roots.len()).unwrap_or(0);
    if runs == 0 {
        return Ok(0);
    }
    let mut tx = pool.begin().await?;
    // The first statement of the transaction, so that a slower projector waits here and then finds itself slower.
    let moved = sqlx::query(include_str!("trail/move_cursor.sql"))
        .bind(tenant.0)
        .bind(cursor)
        .bind(start.saturating_add(runs.saturating_mul(RUN)))
        .execute(&mut *tx)
        .await?;
    if moved.rows_affected() != 1 {
        tx.rollback().await?;
        return Ok(0);
    }
    // What a crash takes of these it takes together with the cursor.
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
    write_nodes(&mut tx, tenant, run_of(start.saturating_add(1)), folded.roots).await?;
    write_mentions(&mut tx, tenant, folded.mentions).await?;
    tx.commit().await?;
    Ok(runs)
}

/// The command under way where a page begins.
async fn context_at(pool: &PgPool, tenant: TenantId, start: Position, rows: &[Raw]) -> Result<Context, Error> {
    let begins_inside = start > 0 && rows.first().is_some_and(|row| row.command_id.is_none());
    if !begins_inside {
        return Ok(Context::default());
    }
    Ok(read::command_at(pool, tenant, start).await?.map(|command| command.meta.context).unwrap_or_default())
}

/// The cursor as stored; made at 0 for a tenant that has none.
async fn stored_cursor(pool: &PgPool, tenant: TenantId) -> Result<Position, Error> {
    let find = || sqlx::query_scalar("SELECT position FROM trail_cursor WHERE tenant_id = $1").bind(tenant.0);
    if let Some(position) = find().fetch_optional(pool).await? {
        return Ok(position);
    }
    let mut tx = pool.begin().await?;
    sqlx::query("INSERT INTO trail_cursor (tenant_id, position) VALUES ($1, 0) ON CONFLICT (tenant_id) DO NOTHING")
        .bind(tenant.0)
        .execute(&mut *tx)
        .await?;
    let position = find().fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(position)
}

/// Nodes of a level, the first of them number `first`.
struct Level {
    number: i16,
    first: i64,
    hashes: Vec<Hash>,
}

/// Writes the roots of runs, and of every larger subtree that they complete.
async fn write_nodes(tx: &mut PgConnection, tenant: TenantId, first: i64, roots: Vec<Hash>) -> Result<(), Error> {
    let mut level = Level { number: 1, first, hashes: roots };
    let (mut numbers, mut indices, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    while !level.hashes.is_empty() {
        for (hash, index) in level.hashes.iter().zip(level.first..) {
            numbers.push(level.number);
            indices.push(index);
            hashes.push(hash.to_vec());
        }
        if level.number == LEVELS_MAX {
            break;
        }
        level = above(tx, tenant, level).await?;
    }
    let nodes = sqlx::query(include_str!("trail/nodes.sql"));
    nodes.bind(tenant.0).bind(numbers).bind(indices).bind(hashes).execute(tx).await?;
    Ok(())
}

/// The nodes that new ones complete on the next level. Those of the first that were written before are read.
async fn above(tx: &mut PgConnection, tenant: TenantId, below: Level) -> Result<Level, Error> {
    let width = usize::try_from(RUN).unwrap_or(usize::MAX);
    let first = below.first.div_euclid(RUN);
    let begun = first.saturating_mul(RUN);
    let end = below.first.saturating_add(i64::try_from(below.hashes.len()).unwrap_or(0));
    let mut above = Level { number: below.number.saturating_add(1), first, hashes: Vec::new() };
    if end < begun.saturating_add(RUN) {
        return Ok(above);
    }
    let mut hashes = earlier(tx, tenant, below.number, begun, below.first).await?;
    hashes.extend(below.hashes);
    above.hashes = hashes.chunks_exact(width).map(|below| fold::root(below.iter().copied())).collect();
    Ok(above)
}

/// Nodes of a level from one number to before another, all of them.
async fn earlier(tx: &mut PgConnection, tenant: TenantId, level: i16, from: i64, before: i64) -> Result<Vec<Hash>, Error> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT hash FROM view_tree_node WHERE tenant_id = $1 AND level = $2 AND index >= $3 AND index < $4 ORDER BY index",
    )
    .bind(tenant.0)
    .bind(level)
    .bind(from)
    .bind(before)
    .fetch_all(tx)
    .await?;
    let hashes: Vec<Hash> = rows.into_iter().filter_map(|hash| hash.try_into().ok()).collect();
    match i64::try_from(hashes.len()) == Ok(before.saturating_sub(from)) {
        true => Ok(hashes),
        false => Err(Error::Row(format!("nodes {from} to {before} of level {level} are not all there"))),
    }
}

async fn write_mentions(
    tx: &mut PgConnection,
    tenant: TenantId,
    mentions: Vec<(ledger_core::view::trail::Mention, String, i64)>,
) -> Result<(), Error> {
    let (mut kinds, mut words, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, word, run) in mentions {
        kinds.push(kind.number());
        words.push(word);
        runs.push(run);
    }
    let insert = sqlx::query(include_str!("trail/mentions.sql"));
    insert.bind(tenant.0).bind(kinds).bind(words).bind(runs).execute(tx).await?;
    Ok(())
}
