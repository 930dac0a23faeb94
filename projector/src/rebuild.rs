//! Views folded anew beside the ones in use, and put in their places.
//!
//! **Shape**: [`run`]: empty copies of all views and a cursor in a schema of their own (`prepare.sql`) → the projector's own
//! fold over connections that find that schema first ([`chase`]), as far as the views in use stand → at one position per
//! tenant, compared if that is wanted ([`compare`]) → swapped, as catalogue entries (`swap.sql`) → what was replaced is
//! dropped.
//! **Correctness**: 1. The copies move with their own cursor in one transaction, as the views do: a rebuild that is killed
//! goes on where it stopped. 2. The swap holds a lock on `view_cursor` that every projector needs before it writes a view
//! row, so the views stand still while the copies are brought to exactly the same positions; commands and readers go on.
//! 3. Readers wait for the catalogue's work only, and if a lock is not to be had at once the swap steps back and tries
//! again. A reader sees the old rows or the new ones, of the same position. 4. Projectors find another generation at the
//! cursor and load their rows again; plans that were prepared are made anew by the server, from the same columns. 5. The
//! tables' names, indexes, constraints, settings and grants stay as they were.

mod chase;
mod compare;

use std::time::{Duration, Instant};

use ledger_core::store::pool;
use ledger_core::view::version::{self, VIEWS};
use sqlx::postgres::PgPool;
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use compare::Difference;

use crate::Error;
use chase::Chase;

/// Copies are here, until they take their places.
const SCHEMA: &str = "ledger_rebuild";
/// Names the one rebuild that may run in a database.
const LOCK: i64 = 0x6c65_6467_6572_7662;
/// The one before may have ended without the server having noticed.
const LOCK_TRIES: usize = 20;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// With so many events to go, the views may stand still for the rest.
const REST_MAX: i64 = 5_000;
/// Longest wait for projectors to finish their batch.
const PROJECTORS_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '5s'";
/// Longest wait for readers: as long, those who come later wait too.
const READERS_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '150ms'; SET LOCAL statement_timeout = '1s'";
/// Tries to get all locks.
const SWAP_ATTEMPTS_MAX: u32 = 200;
/// Between two of them.
const SWAP_PAUSE: Duration = Duration::from_millis(300);

/// What to rebuild.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database, directly and as the owner of the tables.
    pub url: String,
    /// Views that get new tables: names of [`VIEWS`].
    pub views: Vec<&'static str>,
    /// Compare old and new rows before the swap.
    pub compare: bool,
    /// Do not go on with copies that are there.
    pub fresh: bool,
    /// Events of one transaction.
    pub batch_events: i64,
    /// Tenants folded at once.
    pub tenants_at_once: usize,
}

impl Options {
    /// All views.
    #[must_use]
    pub fn all(url: String) -> Self {
        let views = VIEWS.iter().map(|(view, _)| *view).collect();
        Self { url, views, compare: false, fresh: false, batch_events: 5_000, tenants_at_once: 4 }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Events in the copies.
    pub done: i64,
    /// Events in the views.
    pub total: i64,
}

/// What was done.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// Views with new tables.
    pub views: Vec<&'static str>,
    /// Events that an earlier run had folded already.
    pub resumed_at: i64,
    /// Events folded by this one.
    pub events: i64,
    /// Milliseconds of folding.
    pub fold_millis: u64,
    /// Milliseconds for which the views stood still before the swap.
    pub views_held_millis: u64,
    /// Milliseconds for which readers had to wait.
    pub readers_held_millis: u64,
    /// Tries that ended because someone was reading.
    pub retries: u32,
    /// Whether old and new rows were compared.
    pub compared: bool,
    /// Views whose rows were not what the log gives.
    pub differences: Vec<Difference>,
    /// It was told to stop before it was done; what is folded is kept.
    pub stopped: bool,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Takes the lock of rebuilds. It is of the session, so that it ends with this process however it ends; the server may notice
/// that a moment later, so the next one waits a little.
async fn is_alone(owner: &mut PgConnection) -> Result<bool, Error> {
    for _ in 0..LOCK_TRIES {
        if sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *owner).await? {
            return Ok(true);
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Ok(false)
}

/// Rebuilds. Told to stop, it leaves the copies for the next time.
///
/// # Errors
/// [`Error`]; the views in use are as before.
pub async fn run(options: &Options, progress: watch::Sender<Progress>, stop: &CancellationToken) -> Result<Report, Error> {
    let mut owner = PgConnection::connect(&options.url).await?;
    if !is_alone(&mut owner).await? {
        return Err(Error::RebuildUnderWay);
    }
    prepare(&mut owner, options).await?;
    let connections = u32::try_from(options.tenants_at_once).unwrap_or(u32::MAX).saturating_mul(2).saturating_add(2);
    let pool = pool::Options { url: options.url.clone(), connections_max: connections, application_name: "ledgerd rebuild" };
    let pool = pool::connect_beside(&pool, SCHEMA).await?;
    let done = Rebuild { owner, pool: pool.clone(), options, chase: Chase::new(pool.clone(), options, progress) }.run(stop).await;
    pool.close().await;
    done
}

async fn prepare(owner: &mut PgConnection, options: &Options) -> Result<(), Error> {
    let migration: i64 = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut *owner).await?;
    let views: Vec<String> = VIEWS.iter().map(|(view, version)| format!("{view} {version}")).collect();
    let made_for = format!("views in the making: schema {migration}, {}", views.join(", "));
    if options.fresh {
        sqlx::raw_sql("DROP SCHEMA IF EXISTS ledger_rebuild CASCADE").execute(&mut *owner).await?;
    }
    let (views, _) = version::columns();
    sqlx::query(
        "SELECT set_config('client_min_messages', 'warning', false), set_config('ledger.views', $1, false), \
         set_config('ledger.made_for', $2, false), set_config('ledger.swapped', $3, false)",
    )
    .bind(views.join(","))
    .bind(made_for)
    .bind(options.views.join(","))
    .execute(&mut *owner)
    .await?;
    sqlx::raw_sql(include_str!("rebuild/prepare.sql")).execute(owner).await?;
    Ok(())
}

/// A rebuild under way.
struct Rebuild<'a> {
    owner: PgConnection,
    pool: PgPool,
    options: &'a Options,
    chase: Chase,
}

impl Rebuild<'_> {
    async fn run(mut self, stop: &CancellationToken) -> Result<Report, Error> {
        let mut report = Report { views: self.options.views.clone(), ..Report::default() };
        report.resumed_at = sqlx::query_scalar("SELECT coalesce(sum(position), 0)::bigint FROM ledger_rebuild.view_cursor")
            .fetch_one(&mut self.owner)
            .await?;
        let started = Instant::now();
        report.events = self.chase.bring_within(REST_MAX, report.resumed_at, stop).await?;
        report.fold_millis = millis(started.elapsed());
        if stop.is_cancelled() {
            return Ok(Report { stopped: true, ..report });
        }
        sqlx::raw_sql(include_str!("rebuild/analyze.sql")).execute(&mut self.owner).await?;
        if self.options.compare {
            report.differences = self.compare(stop).await?;
            report.compared = true;
        }
        while !stop.is_cancelled() {
            self.chase.bring_within(REST_MAX, report.resumed_at, stop).await?;
            if let Some((views, readers)) = self.try_swap(stop).await? {
                (report.views_held_millis, report.readers_held_millis) = (millis(views), millis(readers));
                self.drop_rest().await;
                return Ok(report);
            }
            report.retries = report.retries.saturating_add(1);
            if report.retries >= SWAP_ATTEMPTS_MAX {
                return Err(Error::RebuildNoGap);
            }
            tokio::select! { () = tokio::time::sleep(SWAP_PAUSE) => {} () = stop.cancelled() => {} }
        }
        Ok(Report { stopped: true, ..report })
    }

    /// Puts the copies in place, at the positions of the views; for how long the views stood still and readers waited. None
    /// when somebody was in the way.
    async fn try_swap(&mut self, stop: &CancellationToken) -> Result<Option<(Duration, Duration)>, Error> {
        let Self { owner, chase, options, .. } = self;
        let mut tx = owner.begin().await?;
        let done = async {
            sqlx::raw_sql(PROJECTORS_LOCK_TIMEOUT).execute(&mut *tx).await?;
            sqlx::raw_sql("LOCK TABLE public.view_cursor IN SHARE MODE").execute(&mut *tx).await?;
            let views_held = Instant::now();
            chase.bring_within(0, 0, stop).await?;
            if stop.is_cancelled() {
                return Ok(None);
            }
            sqlx::raw_sql(READERS_LOCK_TIMEOUT).execute(&mut *tx).await?;
            let readers_held = Instant::now();
            sqlx::raw_sql(include_str!("rebuild/swap.sql")).execute(&mut *tx).await?;
            let (views, versions): (Vec<_>, Vec<_>) = VIEWS.iter().copied().filter(|(v, _)| options.views.contains(v)).unzip();
            sqlx::query(include_str!("rebuild/set_version.sql")).bind(views).bind(versions).execute(&mut *tx).await?;
            Ok(Some((views_held, readers_held)))
        };
        match done.await {
            Ok(Some((views_held, readers_held))) => {
                tx.commit().await?;
                Ok(Some((views_held.elapsed(), readers_held.elapsed())))
            }
            Ok(None) => {
                tx.rollback().await?;
                Ok(None)
            }
            Err(error) if is_in_the_way(&error) => {
                tx.rollback().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What the old and the new rows differ in, at one position. The views stand still only until both are seen.
    async fn compare(&mut self, stop: &CancellationToken) -> Result<Vec<Difference>, Error> {
        let Self { owner, pool, options, chase } = self;
        let mut attempts = 0;
        loop {
            chase.bring_within(REST_MAX, 0, stop).await?;
            let mut tx = owner.begin().await?;
            sqlx::raw_sql(PROJECTORS_LOCK_TIMEOUT).execute(&mut *tx).await?;
            let locked = sqlx::raw_sql("LOCK TABLE public.view_cursor IN SHARE MODE").execute(&mut *tx).await;
            match locked.map_err(Error::from) {
                Ok(_) => {
                    chase.bring_within(0, 0, stop).await?;
                    let seen = compare::Seen::now(pool).await?;
                    tx.rollback().await?;
                    return seen.differences(&options.views).await;
                }
                Err(error) if is_in_the_way(&error) && attempts < SWAP_ATTEMPTS_MAX => attempts += 1,
                Err(error) => return Err(error),
            }
            tx.rollback().await?;
        }
    }

    /// Drops the old tables, and the copies that were not wanted. If somebody still reads them, the next rebuild does.
    async fn drop_rest(&mut self) {
        for sql in ["DROP SCHEMA ledger_retired CASCADE", "DROP SCHEMA ledger_rebuild CASCADE"] {
            if let Err(error) = sqlx::raw_sql(sql).execute(&mut self.owner).await {
                tracing::warn!(%error, "what was replaced is still there");
            }
        }
    }
}

/// Whether a lock was not to be had: in time, all of them in time, or because somebody waited for ours.
fn is_in_the_way(error: &Error) -> bool {
    let Error::Database(sqlx::Error::Database(error)) = error else { return false };
    matches!(error.code().as_deref(), Some("55P03" | "57014" | "40P01"))
}
