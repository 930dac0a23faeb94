//! Copies of the views brought forward to where the views stand.
//!
//! **Correctness**: a copy is folded no further than its view, by the views' own code and its own cursor. Tenants are folded
//! at once, each in order. A fault that passes is tried again; any other ends the rebuild.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ledger_core::domain::id::{Position, TenantId};
use sqlx::Row;
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Options, Progress};
use crate::Error;
use crate::memory::Memory;
use crate::tenant::{Batch, TenantViews};

/// Rounds in a row that ended with a fault that passes.
const FAULTS_MAX: u32 = 20;
/// Between two of them.
const FAULT_PAUSE: Duration = Duration::from_millis(500);

/// A tenant whose copy is behind.
struct Behind {
    tenant: TenantId,
    view: Position,
    copy: Position,
}

/// Brings copies forward.
pub(super) struct Chase {
    pool: PgPool,
    batch: Batch,
    tenants_at_once: usize,
    progress: watch::Sender<Progress>,
    memory: Memory,
    folded: Arc<AtomicI64>,
}

type Done = (TenantViews, Result<(), Error>);

impl Chase {
    pub(super) fn new(pool: PgPool, options: &Options, progress: watch::Sender<Progress>) -> Self {
        let batch = Batch { events_max: options.batch_events, is_cached: false };
        let tenants_at_once = options.tenants_at_once.max(1);
        Self { pool, batch, tenants_at_once, progress, memory: Memory::default(), folded: Arc::default() }
    }

    /// Folds until the copies lack no more than `rest` events, or it is told to stop; answers how many were folded since
    /// the beginning. `before` is what was there then.
    pub(super) async fn bring_within(&mut self, rest: i64, before: i64, stop: &CancellationToken) -> Result<i64, Error> {
        let mut faults = 0;
        loop {
            let behind = self.behind().await?;
            let lag = behind.iter().fold(0_i64, |sum, b| sum.saturating_add(b.view.saturating_sub(b.copy)));
            let folded = self.folded.load(Ordering::Relaxed);
            self.progress.send_modify(|p| {
                p.done = p.done.max(before.saturating_add(folded));
                p.total = p.done.saturating_add(lag);
            });
            if lag <= rest || stop.is_cancelled() {
                return Ok(folded);
            }
            match self.round(behind, stop).await {
                Ok(()) => faults = 0,
                Err(error) if error.is_transient() && faults < FAULTS_MAX => {
                    faults += 1;
                    tracing::warn!(error = &error as &dyn std::error::Error, "folding failed, will be tried again");
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn behind(&self) -> Result<Vec<Behind>, Error> {
        let rows = sqlx::query(include_str!("behind.sql")).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| Ok(Behind { tenant: TenantId(row.try_get(0)?), view: row.try_get(1)?, copy: row.try_get(2)? }))
            .collect()
    }

    /// Folds each tenant as far as its view stood when it was looked at.
    async fn round(&mut self, behind: Vec<Behind>, stop: &CancellationToken) -> Result<(), Error> {
        let mut tasks: JoinSet<Done> = JoinSet::new();
        let mut queue = behind.into_iter();
        let mut failed = None;
        loop {
            while failed.is_none()
                && tasks.len() < self.tenants_at_once
                && let Some(b) = queue.next()
            {
                if let Some(views) = self.memory.lend(b.tenant) {
                    let (pool, batch, folded) = (self.pool.clone(), self.batch, Arc::clone(&self.folded));
                    let (progress, stop) = (self.progress.clone(), stop.clone());
                    tasks.spawn(async move { fold(pool, batch, views, b.view, (folded, progress), stop).await });
                }
            }
            match tasks.join_next().await {
                None => return failed.map_or(Ok(()), Err),
                Some(Ok((views, done))) => {
                    self.memory.take_back(views);
                    failed = failed.or(done.err());
                }
                Some(Err(panic)) => failed = failed.or(Some(Error::Panic(panic))),
            }
        }
    }
}

async fn fold(
    pool: PgPool,
    batch: Batch,
    mut views: TenantViews,
    end: Position,
    (folded, progress): (Arc<AtomicI64>, watch::Sender<Progress>),
    stop: CancellationToken,
) -> Done {
    while !stop.is_cancelled() {
        match views.fold_page(&pool, batch, end.saturating_add(1)).await {
            // Outrun by another fold of the same copy; its rows are loaded again.
            Ok(step) if step.is_outrun => {}
            Ok(step) if step.events == 0 => break,
            Ok(step) => {
                let events = i64::try_from(step.events).unwrap_or(0);
                folded.fetch_add(events, Ordering::Relaxed);
                progress.send_modify(|p| p.done = p.done.saturating_add(events));
            }
            Err(error) => return (views, Err(error)),
        }
    }
    (views, Ok(()))
}
