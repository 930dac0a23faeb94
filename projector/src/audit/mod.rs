//! `verify`: a tenant's log replayed from nothing, and everything that was derived from it compared with the replay.
//!
//! **Shape**: what is stored is read first, then the head, then the log up to it ([`Log`], several parts at once)
//! → [`Replay`] (invariants, tree, checkpoints), [`views`] (rows of the views), [`trail`] (nodes, mentions) → [`cache`],
//! [`feed`], [`answers`] → a [`Report`].
//! **Correctness**: 1. Nothing compared is trusted: the replay begins at position 1 every time. 2. Views and nodes are
//! compared at the positions their own cursors stood at when they were read, which the head, read later, includes; so a
//! tenant may go on working meanwhile. 3. What could not be compared, because it is off or away, is said in the report and
//! not counted as sound. 4. Folding is done beside the runtime's own threads, a part of the log at a time.

mod answers;
mod cache;
mod checkpoints;
mod feed;
mod report;
pub(crate) mod sample;
mod trail;
mod views;

use std::time::{Duration, Instant};

use ledger_core::audit::merkle::hex;
use ledger_core::audit::note::Verifier;
use ledger_core::audit::replay::{Finding, Outcome, Replay};
use ledger_core::audit::row::{Head, Read};
use ledger_core::domain::id::Position;
use ledger_core::store::log::Log;
use ledger_core::store::tenant::Tenant;
use ledger_core::store::{self, read};
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

pub use report::{Compared, Report};

use crate::Error;
use trail::Trail;
use views::Views;

/// The projector gets this long to catch up before its views are compared.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);
/// Between two looks at it meanwhile.
const CATCH_UP_INTERVAL: Duration = Duration::from_millis(200);
/// Looks in a row at which it has not moved: then it is not running, or has nothing left to do.
const CATCH_UP_LOOKS: u32 = 5;

/// What is verified, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Log and views.
    pub pool: PgPool,
    /// Cache; none: it is not compared.
    pub redis_url: Option<String>,
    /// Broker; none: the feed is not compared.
    pub nats_url: Option<String>,
    /// The log alone.
    pub is_log_only: bool,
    /// Parts of the log read at once.
    pub tasks: usize,
    /// Keys that checkpoints may be signed with; none: their signatures are not looked at.
    pub verifiers: Vec<Verifier>,
    /// Ends it early, with [`Error::Stopped`].
    pub stop: CancellationToken,
    /// Who wants to know.
    pub asked_by: String,
    /// Version of the program.
    pub program: &'static str,
}

/// All that is folded, and what it is compared with.
struct Work {
    replay: Replay,
    views: Option<Views>,
    trail: Option<Trail>,
}

impl Work {
    fn fold(&mut self, rows: Vec<Read>) {
        for row in rows {
            let leaf_is_sound = row.is_as_written;
            let Some(stored) = self.replay.push(row) else { continue };
            if let Some(trail) = self.trail.as_mut().filter(|_| leaf_is_sound) {
                trail.fold(&stored);
            }
            if let Some(views) = &mut self.views {
                views.fold(&stored.recorded);
            }
        }
    }
}

/// Verifies a tenant. `progress` is told the position that is reached and the last one.
///
/// # Errors
/// [`Error`] when log, views or registry cannot be read; what is away beside them is said in the report.
pub async fn verify(options: &Options, tenant: &Tenant, progress: impl Fn(Position, Position) + Sync) -> Result<Report, Error> {
    let pool = &options.pool;
    let started = read::clock(pool).await?;
    let clock = Instant::now();
    let mut report = Report::new(options, tenant, started);
    if !options.is_log_only {
        wait_for_views(pool, tenant).await?;
    }
    let views = if options.is_log_only { None } else { Some(Views::read(pool, tenant.id).await?) };
    let trail = if options.is_log_only { None } else { Some(Trail::read(pool, tenant.id).await?) };
    let claims = checkpoints::read(options, tenant, &mut report).await?;
    let head = head(pool, tenant, &mut report).await?;
    report.head = head.position;
    let mut work = Box::new(Work { replay: Replay::new(claims.iter().map(|claim| claim.size)), views, trail });
    // A head that was raised does not lead beyond the rows.
    let until = head.position.min(read::last_position(pool, tenant.id).await?);
    let mut log = Log::open(pool, tenant.id, 0, until, options.tasks);
    while let Some(rows) = log.next().await? {
        if rows.is_empty() {
            // A whole part is missing: that the log ends before its head will be said.
            break;
        }
        work = tokio::task::spawn_blocking(move || {
            work.fold(rows);
            work
        })
        .await
        .map_err(Error::Panic)?;
        if let Some(views) = &mut work.views {
            views.look_at_differences(pool, tenant.id).await?;
        }
        progress(work.replay.position(), head.position);
        if options.stop.is_cancelled() {
            return Err(Error::Stopped);
        }
    }
    beyond(pool, tenant, &head, &mut report).await?;
    let Work { replay, views, trail } = *work;
    let outcome = replay.finish(head.frontier.as_ref(), claims);
    report.note_log(&outcome, clock.elapsed());
    compare(options, tenant, (outcome, views, trail), &mut report).await?;
    report.finished = read::clock(pool).await?;
    Ok(report)
}

/// Everything that was derived from the log.
async fn compare(
    options: &Options,
    tenant: &Tenant,
    (outcome, views, trail): (Outcome, Option<Views>, Option<Trail>),
    report: &mut Report,
) -> Result<(), Error> {
    let Outcome { ledger, nodes, .. } = outcome;
    drop(ledger);
    answers::compare(&options.pool, tenant.id, report).await?;
    if options.is_log_only {
        return Ok(());
    }
    if let Some(trail) = trail {
        trail.compare(&nodes, report);
    }
    if let Some((folded, at)) = views.and_then(|views| views.compare(report)) {
        match &options.redis_url {
            Some(url) => cache::compare((&options.pool, url), tenant.id, &folded, at, report).await?,
            None => report.skipped("cache", "no cache is configured"),
        }
    }
    match &options.nats_url {
        Some(url) => feed::compare(&options.pool, url, tenant, report).await?,
        None => report.skipped("feed", "no broker is configured"),
    }
    Ok(())
}

/// A head as far as it can be read.
struct Ends {
    position: Position,
    frontier: Option<Head>,
}

async fn head(pool: &PgPool, tenant: &Tenant, report: &mut Report) -> Result<Ends, Error> {
    match read::head(pool, tenant.id).await {
        Ok(Some(head)) => Ok(Ends { position: head.position, frontier: Some(head) }),
        Ok(None) => {
            report.found(Finding::new(0, "log_reaches_its_head", "the tenant has no head"));
            Ok(Ends { position: read::last_position(pool, tenant.id).await?, frontier: None })
        }
        Err(error @ store::Error::Head { .. }) => {
            let position = read::last_position(pool, tenant.id).await?;
            report.found(Finding::new(position, "tree_equals_head", error.to_string()));
            Ok(Ends { position, frontier: None })
        }
        Err(error) => Err(error.into()),
    }
}

/// What stands beyond the head was not appended by this program.
async fn beyond(pool: &PgPool, tenant: &Tenant, head: &Ends, report: &mut Report) -> Result<(), Error> {
    let last = read::last_position(pool, tenant.id).await?;
    let now = match read::head(pool, tenant.id).await {
        Ok(now) => now.map_or(0, |h| h.position),
        Err(store::Error::Head { .. }) => head.position,
        Err(error) => return Err(error.into()),
    };
    if last > head.position.max(now) {
        let what = format!("the head stands at {now}, but the log goes on");
        report.found(Finding::new(now.saturating_add(1), "log_reaches_its_head", what));
    }
    Ok(())
}

/// Views may lag while commands come in; one that does not catch up is compared where it stands.
async fn wait_for_views(pool: &PgPool, tenant: &Tenant) -> Result<(), Error> {
    let head = read::last_position(pool, tenant.id).await?;
    let deadline = Instant::now() + CATCH_UP_MAX;
    let (mut before, mut looks) = (None, 0);
    while Instant::now() < deadline && looks < CATCH_UP_LOOKS {
        let cursor: Option<i64> = sqlx::query_scalar("SELECT position FROM view_cursor WHERE tenant_id = $1")
            .bind(tenant.id.0)
            .fetch_optional(pool)
            .await?;
        if cursor.unwrap_or(0) >= head {
            return Ok(());
        }
        looks = if before == Some(cursor) { looks + 1 } else { 0 };
        before = Some(cursor);
        tokio::time::sleep(CATCH_UP_INTERVAL).await;
    }
    Ok(())
}

/// Money as people write it.
fn money(units: i128, scale: u8) -> String {
    ledger_core::view::wide_decimal(units, scale)
}

/// Lower-case hex of a root.
fn root(hash: &[u8; 32]) -> String {
    hex(hash)
}
