//! What is done now and then: lapsed holds and pending entries handed over to be recorded, old refusals forgotten.
//!
//! **Correctness**: what lapses is free at its instant whatever happens here; this only has it recorded. The views say what
//! is due and may lag, so what was handed over is not handed over again for [`HANDED_PAUSE`]: each needless command would
//! leave a stored answer behind.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ledger_core::domain::id::TenantId;
use ledger_core::store::{command_log, read, tenant};
use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio_util::sync::CancellationToken;

use crate::{Due, Error, Leases, Options};

/// Holds, and pending entries, handed over per tenant and look.
const DUE_MAX: i64 = 500;
/// What was handed over is left alone for this long, in case its record is only not in the view yet.
const HANDED_PAUSE: Duration = Duration::from_secs(10);
/// Things remembered as handed over.
const HANDED_MAX: usize = 20_000;
/// Stored refusals answer a repeated command for this long.
const REFUSALS_KEPT_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Between two looks for old refusals.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);
/// Refusals removed in one transaction.
const FORGET_MAX: i64 = 5_000;
/// Such transactions per tenant and look: 1,600 refusals a second may come in for ever.
const FORGET_BATCHES_MAX: usize = 200;

/// What was handed over, and when.
type Handed = HashMap<(TenantId, Due), Instant>;

/// Runs until stopped.
pub(crate) async fn run(options: Options, leases: Leases, stop: CancellationToken) {
    let mut forgotten_at: Option<Instant> = None;
    let mut handed = Handed::new();
    while !stop.is_cancelled() {
        if let Err(error) = sweep(&options, &leases, &mut handed).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "looking for what has lapsed failed");
        }
        if leases.holds_any() && forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_INTERVAL) {
            if let Err(error) = forget(&options, &leases, &stop).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "forgetting old refusals failed");
            }
            forgotten_at = Some(Instant::now());
        }
        tokio::select! { () = tokio::time::sleep(options.sweep_interval) => {} () = stop.cancelled() => {} }
    }
}

/// Finds what has lapsed by the database's clock, of all tenants at once.
async fn sweep(options: &Options, leases: &Leases, handed: &mut Handed) -> Result<(), Error> {
    let Some(due) = &options.due else { return Ok(()) };
    handed.retain(|_, at| at.elapsed() < HANDED_PAUSE);
    let known = i64::try_from(handed.len()).unwrap_or(i64::MAX);
    let rows =
        sqlx::query(include_str!("housekeeping/due.sql")).bind(DUE_MAX.saturating_add(known)).fetch_all(&options.pool).await?;
    let mut lapsed: HashMap<TenantId, Vec<Due>> = HashMap::new();
    for row in &rows {
        let (tenant, found) = (TenantId(row.try_get(0)?), due_from(row)?);
        if leases.holds(tenant) && !handed.contains_key(&(tenant, found.clone())) {
            lapsed.entry(tenant).or_default().push(found);
        }
    }
    for (tenant, found) in lapsed {
        let room = HANDED_MAX.saturating_sub(handed.len());
        let found: Vec<_> = found.into_iter().take(room).collect();
        // A full channel means that the last ones are still being recorded: they will be found again.
        if found.is_empty() || due.try_send((tenant, found.clone())).is_err() {
            return Ok(());
        }
        for one in &found {
            metrics::counter!("ledger_lapsed_total", "kind" => one.kind()).increment(1);
        }
        handed.extend(found.into_iter().map(|one| ((tenant, one), Instant::now())));
    }
    Ok(())
}

fn due_from(row: &PgRow) -> Result<Due, Error> {
    let (is_entry, id): (bool, &str) = (row.try_get(1)?, row.try_get(2)?);
    let due = if is_entry { id.parse().map(Due::Entry) } else { id.parse().map(Due::Hold) };
    due.map_err(|e| Error::Row(format!("{id}: {e}")))
}

async fn forget(options: &Options, leases: &Leases, stop: &CancellationToken) -> Result<(), Error> {
    let before = read::clock(&options.pool).await?.0.saturating_sub(REFUSALS_KEPT_MICROS);
    for t in tenant::list(&options.pool).await? {
        for _ in 0..FORGET_BATCHES_MAX {
            if stop.is_cancelled() || !leases.holds(t.id) || forget_of(options, t.id, before).await? < u64::try_from(FORGET_MAX).unwrap_or(0) {
                break;
            }
        }
    }
    Ok(())
}

async fn forget_of(options: &Options, tenant: TenantId, before: i64) -> Result<u64, Error> {
    let mut tx = options.pool.begin().await?;
    let gone = command_log::forget_quiet(&mut tx, tenant, before, FORGET_MAX).await?;
    tx.commit().await?;
    if gone > 0 {
        tracing::info!(%tenant, gone, "old refusals forgotten");
    }
    Ok(gone)
}
