//! Waiting for the views to reach a position.
//!
//! **Shape**: readers subscribe to their tenant's position; one poller asks the database for all tenants that somebody
//! waits for, every few milliseconds, and only while somebody waits.
//! **Correctness**: a position once seen is reached for good, as far as a reader can tell here; the read itself checks
//! again what it shows. However many wait, the database is asked one question at a time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledger_core::domain::id::{Position, TenantId};
use sqlx::Row;
use tokio::sync::{Notify, Semaphore, watch};

use crate::limit::{POSITION_POLL, POSITION_WAITERS_MAX};
use crate::state::Api;

/// See the module.
#[derive(Debug)]
pub(crate) struct Positions {
    awaited: Mutex<HashMap<TenantId, watch::Sender<Position>>>,
    wake: Notify,
    places: Semaphore,
}

impl Positions {
    pub(crate) fn new() -> Self {
        Self { awaited: Mutex::new(HashMap::new()), wake: Notify::new(), places: Semaphore::new(POSITION_WAITERS_MAX) }
    }

    /// Returns when the views of a tenant include `position`; the position they are at when they do not in time.
    pub(crate) async fn reached(&self, api: &Api, tenant: TenantId, position: Position, wait: Duration) -> Result<(), Position> {
        if position <= 0 {
            return Ok(());
        }
        let mut seen = self.subscribe(tenant);
        let Ok(_place) = self.places.try_acquire() else { return Err(*seen.borrow()) };
        self.wake.notify_one();
        let reached = seen.wait_for(|at| *at >= position);
        tokio::select! {
            // Nothing here holds a database call, so it may be dropped.
            done = tokio::time::timeout(wait, reached) => {
                if matches!(done, Ok(Ok(_))) {
                    return Ok(());
                }
            }
            () = api.stopping.cancelled() => {}
        }
        Err(*seen.borrow())
    }

    fn subscribe(&self, tenant: TenantId) -> watch::Receiver<Position> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.entry(tenant).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Tenants somebody waits for; those nobody waits for any more are forgotten.
    fn awaited(&self) -> Vec<i64> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.retain(|_, seen| seen.receiver_count() > 0);
        awaited.keys().map(|tenant| tenant.0).collect()
    }

    fn tell(&self, positions: &[(i64, Position)]) {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        for (tenant, position) in positions {
            if let Some(seen) = awaited.get(&TenantId(*tenant)) {
                seen.send_if_modified(|at| std::mem::replace(at, *position) != *position);
            }
        }
    }
}

/// Looks for as long as the service runs.
pub(crate) async fn poll(api: Api) {
    while !api.stopping.is_cancelled() {
        let tenants = api.positions.awaited();
        if tenants.is_empty() {
            tokio::select! {
                () = api.positions.wake.notified() => continue,
                () = api.stopping.cancelled() => return,
            }
        }
        let pool = api.pool.clone();
        let found = api.detached(async move {
            let rows = sqlx::query("SELECT tenant_id, position FROM view_cursor WHERE tenant_id = ANY ($1)")
                .bind(tenants)
                .fetch_all(&pool)
                .await?;
            let position = |row: &sqlx::postgres::PgRow| Ok::<(i64, Position), sqlx::Error>((row.try_get(0)?, row.try_get(1)?));
            Ok(rows.iter().map(position).collect::<Result<Vec<_>, _>>()?)
        });
        // A database that is away is asked again; whoever waits gets its 503 when its time is over.
        if let Ok(positions) = found.await {
            api.positions.tell(&positions);
        }
        tokio::time::sleep(POSITION_POLL).await;
    }
}
