//! Signs checkpoints in the background and copies them to the witness; at the start, holds the logs against it.
//!
//! **Shape**: every interval: tenants whose head moved → [`checkpoint::sign`] → a row → its note → the witness's place.
//! **Correctness**: 1. A log that is shorter than what was witnessed, or has another root at that size, is not served: the
//! process does not start. 2. Nothing is signed of a damaged log; that is told, loudly, every interval. 3. A place that is
//! away loses nothing: the newest checkpoint is copied when it is back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use ledger_core::audit::checkpoint::{Checkpoint, origin};
use ledger_core::audit::keys::Keys;
use ledger_core::audit::merkle::{Hash, hex};
use ledger_core::audit::note;
use ledger_core::domain::id::TenantId;
use ledger_core::store::checkpoint::{self, Standing};
use ledger_core::store::tree::{self, ProveError};
use sqlx::postgres::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::Wanting;
use crate::witness::Place;

/// Tenants compared with the witness at once.
const COMPARED_AT_ONCE: usize = 8;

/// Signs and copies.
pub(crate) struct Checkpointer {
    pub(crate) pool: PgPool,
    pub(crate) keys: watch::Receiver<Option<Arc<Keys>>>,
    pub(crate) place: Option<Place>,
    pub(crate) interval: Duration,
    /// Size of the newest copy, by tenant.
    pub(crate) witnessed: HashMap<TenantId, u64>,
}

impl Checkpointer {
    /// Runs until the token is cancelled. A round under way is finished: no database call is dropped half way.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.round(&stop).await {
                tracing::warn!(error = format!("{error:#}"), "checkpoints could not be made this time");
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn round(&mut self, stop: &CancellationToken) -> Result<()> {
        for standing in checkpoint::standings(&self.pool).await? {
            if stop.is_cancelled() {
                return Ok(());
            }
            if let Err(error) = self.tenant(&standing).await {
                tracing::warn!(tenant = standing.code, error = format!("{error:#}"), "no checkpoint this time");
            }
        }
        Ok(())
    }

    async fn tenant(&mut self, standing: &Standing) -> Result<()> {
        let keys = self.keys.borrow().clone();
        let mut newest = standing.signed;
        if let Some(keys) = keys.filter(|_| standing.head > standing.signed) {
            match checkpoint::sign(&self.pool, standing.tenant, &standing.code, &keys).await {
                Ok(signed) => newest = signed.size,
                // The nodes of its tree are still being written.
                Err(ProveError::Behind) => tracing::info!(tenant = standing.code, "not signed yet: its tree is being built"),
                Err(error @ ProveError::Damaged { .. }) => {
                    tracing::error!(tenant = standing.code, %error, "NOT SIGNED: the log is not a continuation of what was signed");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let Some(place) = self.place.as_ref() else { return Ok(()) };
        if newest > self.witnessed.get(&standing.tenant).copied().unwrap_or(0)
            && let Some(signed) = checkpoint::find(&self.pool, standing.tenant, newest).await?
        {
            place.put(&standing.code, signed.size, &signed.note).await?;
            self.witnessed.insert(standing.tenant, signed.size);
        }
        Ok(())
    }
}

/// Holds every tenant's log against the newest copy of its checkpoints. Answers the sizes of those copies.
///
/// # Errors
/// [`Wanting`] when a log is not a continuation of what was witnessed; another error when that cannot be told.
pub(crate) async fn compare(pool: &PgPool, keys: Option<&Arc<Keys>>, place: &Place) -> Result<HashMap<TenantId, u64>> {
    let mut witnessed = HashMap::new();
    place.must_be_there()?;
    if keys.is_none() {
        tracing::warn!("there is no signing key: what the witness keeps is compared, but its signatures are not checked");
    }
    for some in tenants(pool).await?.chunks(COMPARED_AT_ONCE) {
        let mut tasks = JoinSet::new();
        for (tenant, code) in some {
            let (pool, keys, place, tenant, code) = (pool.clone(), keys.cloned(), place.clone(), *tenant, code.clone());
            tasks.spawn(async move { Ok((tenant, compare_one(&pool, keys.as_deref(), &place, tenant, &code).await?)) });
        }
        while let Some(done) = tasks.join_next().await {
            let (tenant, size): (TenantId, u64) = done?.map_err(|error: anyhow::Error| error)?;
            witnessed.insert(tenant, size);
        }
    }
    Ok(witnessed)
}

/// Every registered tenant, also one whose log is empty now.
async fn tenants(pool: &PgPool) -> Result<Vec<(TenantId, String)>> {
    let known = ledger_core::store::tenant::list(pool).await?;
    Ok(known.into_iter().map(|tenant| (tenant.id, tenant.code)).collect())
}

async fn compare_one(pool: &PgPool, keys: Option<&Keys>, place: &Place, tenant: TenantId, code: &str) -> Result<u64> {
    let Some(copy) = place.newest(code).await? else { return Ok(0) };
    let checkpoint = match keys {
        Some(keys) => Checkpoint::open(&copy.note, &keys.known(), &origin(keys.name(), code)).map(|(checkpoint, _)| checkpoint),
        None => note::text(&copy.note).map_err(Into::into).and_then(Checkpoint::parse),
    };
    let checkpoint = checkpoint.map_err(|error| Wanting(format!("tenant {code}: {}: {error}", copy.name)))?;
    let differing = differs(pool, tenant, &checkpoint).await?;
    match differing {
        None => Ok(checkpoint.size),
        Some(what) => {
            let text = format!(
                "tenant {code}: {what}; witnessed in {}. The log was cut, changed, or restored from an older backup: not started",
                copy.name
            );
            Err(Wanting(text).into())
        }
    }
}

/// Why a log is not a continuation of a checkpoint; `None` when it is.
pub(crate) async fn differs(pool: &PgPool, tenant: TenantId, checkpoint: &Checkpoint) -> Result<Option<String>> {
    let size = checkpoint.size;
    let head = ledger_core::store::read::head(pool, tenant).await?.map_or(0, |head| head.frontier.size());
    if head < size {
        return Ok(Some(format!("the log has {head} events, a checkpoint of {size} events was signed")));
    }
    let is_other = |root: Hash| {
        let text =
            || format!("its first {size} events have the root {}, not {} as was signed", hex(&root), hex(&checkpoint.root));
        (root != checkpoint.root).then(text)
    };
    match tree::root_at(pool, tenant, size).await {
        Ok(root) => Ok(is_other(root)),
        // Without nodes the log itself is read: right, and slower.
        Err(ProveError::Behind) => Ok(is_other(tree::root_from_log(pool, tenant, size).await?)),
        Err(ProveError::Damaged { what, .. }) => Ok(Some(what)),
        Err(error) => Err(error).context("working out the root"),
    }
}
