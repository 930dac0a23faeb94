//! What is done now and then: lapsed holds handed over to be recorded, old refusals forgotten.
//!
//! **Correctness**: a hold is free at its instant whatever happens here; this only has it recorded. The view says which
//! holds are due and may lag, so what was handed over is not handed over again for [`HANDED_PAUSE`]: each needless command
//! would leave a stored answer behind.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ledger_core::domain::id::{ReservationId, TenantId};
use ledger_core::store::{command_log, read, tenant};
use sqlx::Row;
use tokio_util::sync::CancellationToken;

use crate::{Error, Options};

/// Holds handed over per tenant and look.
const DUE_MAX: i64 = 500;
/// A hold handed over is left alone for this long, in case its record is only not in the view yet.
const HANDED_PAUSE: Duration = Duration::from_secs(10);
/// Holds remembered as handed over.
const HANDED_MAX: usize = 20_000;
/// Stored refusals answer a repeated command for this long.
const REFUSALS_KEPT_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Between two looks for old refusals.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);
/// Refusals removed in one transaction.
const FORGET_MAX: i64 = 5_000;
/// Such transactions per tenant and look: 1,600 refusals a second may come in for ever.
const FORGET_BATCHES_MAX: usize = 200;

/// Holds handed over, and when.
type Handed = HashMap<(TenantId, ReservationId), Instant>;

/// Runs until stopped.
pub(crate) async fn run(options: Options, stop: CancellationToken) {
    let mut forgotten_at: Option<Instant> = None;
    let mut handed = Handed::new();
    while !stop.is_cancelled() {
        if let Err(error) = sweep(&options, &mut handed).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "looking for lapsed holds failed");
        }
        if forgotten_at.is_none_or(|at| at.elapsed() >= FORGET_INTERVAL) {
            if let Err(error) = forget(&options, &stop).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "forgetting old refusals failed");
            }
            forgotten_at = Some(Instant::now());
        }
        tokio::select! { () = tokio::time::sleep(options.sweep_interval) => {} () = stop.cancelled() => {} }
    }
}

/// Finds holds whose instant has come by the database's clock, of all tenants at once.
async fn sweep(options: &Options, handed: &mut Handed) -> Result<(), Error> {
    let Some(due) = &options.due else { return Ok(()) };
    handed.retain(|_, at| at.elapsed() < HANDED_PAUSE);
    let known = i64::try_from(handed.len()).unwrap_or(i64::MAX);
    let rows =
        sqlx::query(include_str!("housekeeping/due.sql")).bind(DUE_MAX.saturating_add(known)).fetch_all(&options.pool).await?;
    let mut lapsed: HashMap<TenantId, Vec<ReservationId>> = HashMap::new();
    for row in &rows {
        let tenant = TenantId(row.try_get(0)?);
        let id: ReservationId = row.try_get::<&str, _>(1)?.parse().map_err(|e| Error::Row(format!("view_reservation: {e}")))?;
        if !handed.contains_key(&(tenant, id.clone())) {
            lapsed.entry(tenant).or_default().push(id);
        }
    }
    for (tenant, ids) in lapsed {
        let room = HANDED_MAX.saturating_sub(handed.len());
        let ids: Vec<_> = ids.into_iter().take(room).collect();
        // A full channel means that the last ones are still being recorded: they will be found again.
        if ids.is_empty() || due.try_send((tenant, ids.clone())).is_err() {
            return Ok(());
        }
        metrics::counter!("ledger_lapsed_holds_total").increment(u64::try_from(ids.len()).unwrap_or(0));
        handed.extend(ids.into_iter().map(|id| ((tenant, id), Instant::now())));
    }
    Ok(())
}

async fn forget(options: &Options, stop: &CancellationToken) -> Result<(), Error> {
    let before = read::clock(&options.pool).await?.0.saturating_sub(REFUSALS_KEPT_MICROS);
    for t in tenant::list(&options.pool).await? {
        for _ in 0..FORGET_BATCHES_MAX {
            if stop.is_cancelled() || forget_of(options, t.id, before).await? < u64::try_from(FORGET_MAX).unwrap_or(0) {
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
