//! What is done now and then: lapsed holds and pending entries handed over to be recorded; what was kept long enough
//! forgotten, by a job per tenant; what is kept of people made what the log says.
//!
//! **Correctness**: what lapses is free at its instant whatever happens here; this only has it recorded. The views say what
//! is due and may lag, so what was handed over is not handed over again for [`HANDED_PAUSE`]: each needless command would
//! leave a stored answer behind.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use ledger_core::domain::id::TenantId;
use ledger_core::store::job::{NewJob, Priority};
use ledger_core::store::{self, command_log, person, read};
use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio_util::sync::CancellationToken;

use crate::job::{Handler, Outcome, Task};
use crate::{Due, Error, Leases, Options};

/// Holds, and pending entries, handed over per tenant and look.
const DUE_MAX: i64 = 500;
/// What was handed over is left alone for this long, in case its record is only not in the view yet.
const HANDED_PAUSE: Duration = Duration::from_secs(10);
/// Things remembered as handed over.
const HANDED_MAX: usize = 20_000;
/// Stored refusals answer a repeated command for this long.
const REFUSALS_KEPT_MICROS: i64 = 30 * 24 * 3_600 * 1_000_000;
/// Between two looks for tenants that have something to forget.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);
/// Rows removed in one transaction.
const FORGET_MAX: i64 = 5_000;

/// Jobs removed in one statement: each may have a gigabyte of chunks.
const FORGET_JOBS_MAX: i64 = 2;

/// Rows kept of people that one look goes through, of each kind; the rest are found by the next one.
const PEOPLE_MAX: i64 = 5_000;

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
            if let Err(error) = schedule(&options, &leases).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "looking for what may be forgotten failed");
            }
            if let Err(error) = tidy_people(&options).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "erasing what is left of people failed");
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

/// Ends erasures that were cut off, and removes what was stored for commands that never happened.
async fn tidy_people(options: &Options) -> Result<(), Error> {
    let swept = person::sweep(&options.pool, PEOPLE_MAX).await?;
    for (kind, rows) in [("erased", swept.erased), ("unknown", swept.unknown), ("quiet", swept.quiet)] {
        metrics::counter!("ledger_people_swept_total", "kind" => kind).increment(rows.unsigned_abs());
    }
    if swept != person::Swept::default() {
        tracing::info!(?swept, "what was left of people removed");
    }
    Ok(())
}

/// A job for each tenant that has something to forget.
async fn schedule(options: &Options, leases: &Leases) -> Result<(), Error> {
    let before = read::clock(&options.pool).await?.0.saturating_sub(REFUSALS_KEPT_MICROS);
    let tenants: Vec<i64> =
        sqlx::query_scalar(include_str!("housekeeping/forgettable.sql")).bind(before).fetch_all(&options.pool).await?;
    for tenant in tenants.into_iter().map(TenantId).filter(|tenant| leases.holds(*tenant)) {
        let sweep = NewJob { priority: Priority::Background, unique_key: Some(SWEEP), ..NewJob::new(SWEEP, "{}") };
        store::job::enqueue(&options.pool, tenant, &sweep).await?;
    }
    Ok(())
}

/// The kind of [`Sweep`].
pub const SWEEP: &str = "sweep";

/// Forgets what has been kept long enough: refusals, jobs that are over with their results.
///
/// A job per tenant, because there may be much of it and nobody waits for it. Recording what has lapsed is no job: it is due
/// within half a second, all day long, and a job row for each look would cost more than the look.
#[derive(Clone, Copy, Debug)]
pub struct Sweep;

impl Handler for Sweep {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        Box::pin(forget(task))
    }
}

async fn forget(task: &Task) -> Outcome {
    let before = read::clock(&task.pool).await?.0.saturating_sub(REFUSALS_KEPT_MICROS);
    let full = u64::try_from(FORGET_MAX).unwrap_or(0);
    let mut gone = 0_i64;
    loop {
        task.go_on()?;
        let mut tx = task.pool.begin().await?;
        let refusals = command_log::forget_quiet(&mut tx, task.tenant, before, FORGET_MAX).await?;
        tx.commit().await?;
        // With each job go the chunks of its result: fewer at a time.
        let jobs = store::job::forget(&task.pool, task.tenant, FORGET_JOBS_MAX).await?;
        gone = gone.saturating_add(i64::try_from(refusals.saturating_add(jobs)).unwrap_or(0));
        task.progress.set(gone, None);
        if refusals < full && jobs < u64::try_from(FORGET_JOBS_MAX).unwrap_or(0) {
            tracing::info!(tenant = %task.tenant, gone, "what was kept long enough is forgotten");
            return Ok(None);
        }
    }
}
