//! States in memory, and how they come there: by folding the log.

use std::collections::VecDeque;
use std::time::Instant;

use rustc_hash::FxHashSet;
use sqlx::postgres::PgPool;

use super::error::Error;
use crate::audit::merkle::Frontier;
use crate::domain::id::{CommandId, TenantId};
use crate::domain::state::Ledger;
use crate::store::read;

/// Rows per page while a log is folded.
const LOAD_PAGE_ROWS: i64 = 5_000;
/// Ids of commands remembered per tenant; older ones are found by the append itself, at the price of deciding again.
const RECENT_COMMANDS_MAX: usize = 262_144;

/// One tenant in memory.
#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) ledger: Ledger,
    pub(super) frontier: Frontier,
    pub(super) recent: Recent,
    pub(super) used_at: Instant,
}

/// Ids of the newest commands, by their first 8 bytes: a hint that one may have been answered before.
#[derive(Debug, Default)]
pub(super) struct Recent {
    set: FxHashSet<u64>,
    order: VecDeque<u64>,
}

fn short(id: CommandId) -> u64 {
    let (first, _) = id.0.split_at(8);
    first.try_into().map_or(0, u64::from_be_bytes)
}

impl Recent {
    pub(super) fn may_hold(&self, id: CommandId) -> bool {
        self.set.contains(&short(id))
    }

    pub(super) fn insert(&mut self, id: CommandId) {
        if self.set.insert(short(id)) {
            self.order.push_back(short(id));
        }
        if self.order.len() > RECENT_COMMANDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}

impl Tenant {
    /// Folds a tenant's whole log and checks it against the tree in its head.
    pub(super) async fn load(pool: &PgPool, tenant: TenantId) -> Result<Self, Error> {
        if read::head(pool, tenant).await.map_err(|e| fault(tenant, &e))?.is_none() {
            return Err(Error::UnknownTenant);
        }
        let mut state =
            Self { ledger: Ledger::default(), frontier: Frontier::default(), recent: Recent::default(), used_at: Instant::now() };
        state.read_tail(pool, tenant).await?;
        Ok(state)
    }

    /// Folds in what others have appended, up to the head as it is now.
    pub(super) async fn read_tail(&mut self, pool: &PgPool, tenant: TenantId) -> Result<(), Error> {
        let head = read::head(pool, tenant).await.map_err(|e| fault(tenant, &e))?.ok_or(Error::UnknownTenant)?;
        let mut scratch = Vec::new();
        while self.ledger.position() < head.position {
            let missing = head.position.saturating_sub(self.ledger.position());
            let rows = read::raw_page(pool, tenant, self.ledger.position(), missing.min(LOAD_PAGE_ROWS))
                .await
                .map_err(|e| fault(tenant, &e))?;
            if rows.is_empty() {
                tracing::error!(%tenant, position = self.ledger.position(), head = head.position, "the log ends before its head");
                return Err(Error::TenantStopped);
            }
            for row in &rows {
                let stored = row.decode().map_err(|e| fault(tenant, &e.into()))?;
                self.ledger.evolve(&stored.recorded).map_err(|misfit| {
                    tracing::error!(%tenant, error = %misfit, "the log does not fold");
                    Error::TenantStopped
                })?;
                self.frontier.push(row.leaf_hash(&mut scratch));
                if let Some(command) = stored.command {
                    self.recent.insert(command.id);
                }
            }
            self.ledger.commit();
        }
        if self.ledger.position() == head.position && self.frontier != head.frontier {
            tracing::error!(%tenant, position = head.position, "the events differ from the tree in the head");
            return Err(Error::TenantStopped);
        }
        Ok(())
    }
}

/// A fault while reading: gone with time, or the log is damaged.
pub(super) fn fault(tenant: TenantId, error: &crate::store::Error) -> Error {
    use std::error::Error as _;
    if error.is_transient() {
        tracing::warn!(%tenant, error = %error, source = error.source(), "reading the log failed");
        Error::Unavailable
    } else {
        tracing::error!(%tenant, error = %error, source = error.source(), "reading the log failed");
        Error::TenantStopped
    }
}
