//! Finding out what became of a batch whose commit was not answered.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};
use sqlx::{PgConnection, Row};
use tokio::time::{Instant, sleep};

use crate::domain::id::{CommandId, TenantId};
use crate::store::{Error, command_log, pool};

/// After this long the callers are told that the outcome is unknown.
const SETTLE_SECONDS_MAX: u64 = 20;
/// Between two attempts to reach the database.
const SETTLE_PAUSE_MILLIS: u64 = 100;

/// For each tenant, one command that is there exactly if the tenant's part was written.
pub(super) type Witnesses = FxHashMap<TenantId, CommandId>;

/// Which tenants' parts were written, and a fresh connection; `None` when that could not be found out in time.
///
/// An absent row alone proves nothing: the lost transaction may still be running. Its head locks are therefore waited
/// for first; whoever holds them afterwards sees how it ended.
pub(super) async fn settle(url: &str, witnesses: &Witnesses) -> Option<(FxHashSet<TenantId>, PgConnection)> {
    let deadline = Instant::now().checked_add(Duration::from_secs(SETTLE_SECONDS_MAX))?;
    while Instant::now() < deadline {
        match try_settle(url, witnesses).await {
            Ok(done) => return Some(done),
            Err(error) => {
                tracing::warn!(error = %error, "cannot yet find out what became of a batch");
                sleep(Duration::from_millis(SETTLE_PAUSE_MILLIS)).await;
            }
        }
    }
    None
}

async fn try_settle(url: &str, witnesses: &Witnesses) -> Result<(FxHashSet<TenantId>, PgConnection), Error> {
    let mut connection = pool::connect_writer(url).await?;
    let mut tenants: Vec<i64> = witnesses.keys().map(|t| t.0).collect();
    tenants.sort_unstable();
    let locked =
        sqlx::query("SELECT tenant_id FROM tenant_head WHERE tenant_id = ANY ($1::bigint[]) ORDER BY tenant_id FOR UPDATE")
            .bind(&tenants)
            .fetch_all(&mut connection)
            .await?;
    let mut written = FxHashSet::default();
    for row in &locked {
        let tenant = TenantId(row.try_get(0)?);
        let Some(witness) = witnesses.get(&tenant) else {
            continue;
        };
        if !command_log::find(&mut connection, tenant, &[*witness]).await?.is_empty() {
            written.insert(tenant);
        }
    }
    Ok((written, connection))
}
