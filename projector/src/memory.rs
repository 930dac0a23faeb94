//! Rows of tenants between batches.
//!
//! **Correctness**: rows are lent to one task at a time, so a tenant cannot be folded twice at once. Both limits drop what
//! was used longest ago; dropping is always right, because rows are loaded again at the cursor they then stand at.

use std::collections::{HashMap, HashSet};

use ledger_core::domain::id::TenantId;

use crate::tenant::TenantViews;

/// Tenants whose rows stay in memory.
const TENANTS_KEPT_MAX: usize = 1_024;
/// Rows kept over all tenants: about 300 bytes each.
const ROWS_KEPT_MAX: usize = 2_000_000;

/// What is not lent at the moment.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    kept: HashMap<TenantId, (u64, TenantViews)>,
    lent: HashSet<TenantId>,
    rows: usize,
    /// Counts returns: the order of use.
    turn: u64,
}

impl Memory {
    /// A tenant's rows, empty if there are none; none while they are lent already.
    pub(crate) fn lend(&mut self, tenant: TenantId) -> Option<TenantViews> {
        if !self.lent.insert(tenant) {
            return None;
        }
        let views = self.kept.remove(&tenant).map_or_else(|| TenantViews::new(tenant), |(_, views)| views);
        self.rows = self.rows.saturating_sub(views.rows());
        Some(views)
    }

    /// Whether a task has the tenant's rows.
    pub(crate) fn is_lent(&self, tenant: TenantId) -> bool {
        self.lent.contains(&tenant)
    }

    /// A tenant's rows went with their task.
    pub(crate) fn give_up(&mut self, tenant: TenantId) {
        self.lent.remove(&tenant);
    }

    /// Keeps a tenant's rows, and lets go of others while there are too many.
    pub(crate) fn take_back(&mut self, views: TenantViews) {
        self.turn = self.turn.saturating_add(1);
        self.rows = self.rows.saturating_add(views.rows());
        self.lent.remove(&views.tenant());
        self.kept.insert(views.tenant(), (self.turn, views));
        while self.kept.len() > TENANTS_KEPT_MAX || self.rows > ROWS_KEPT_MAX {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (turn, _))| *turn).map(|(tenant, _)| *tenant) else { return };
            if let Some((_, views)) = self.kept.remove(&oldest) {
                self.rows = self.rows.saturating_sub(views.rows());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_lent_once_and_the_tenant_used_longest_ago_goes_first() {
        let mut memory = Memory::default();
        let first = memory.lend(TenantId(0)).unwrap();
        assert!(memory.lend(TenantId(0)).is_none());
        memory.take_back(first);
        for tenant in 1..=i64::try_from(TENANTS_KEPT_MAX).unwrap() {
            let views = memory.lend(TenantId(tenant)).unwrap();
            memory.take_back(views);
        }
        assert_eq!(memory.kept.len(), TENANTS_KEPT_MAX);
        assert!(!memory.kept.contains_key(&TenantId(0)));
        assert!(memory.lent.is_empty());
    }
}
