//! What an auditor asks for: signed checkpoints, the keys to them, proofs.
//!
//! **Correctness**: nothing here needs to be believed. A checkpoint is opened with a verifier key that the auditor has from
//! elsewhere; a proof leads from bytes the auditor hashes to the root in a checkpoint. What does not lead there is not
//! answered but logged as damage, with the tenant's name.

pub(crate) mod checkpoint;
pub(crate) mod keys;
pub(crate) mod proof;
pub(crate) mod seal;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger_core::audit::merkle::Hash;
use ledger_core::domain::id::Position;
use ledger_core::store;
use ledger_core::store::tree::ProveError;

use super::cursor::hex;
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Standard base64.
fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn hexes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| hex(hash)).collect()
}

fn as_position(size: u64) -> Position {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Runs work that proves something in a task of its own.
///
/// # Errors
/// As the work's; damage is logged here, once, where the tenant is known.
async fn proven<T, F>(api: &Api, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ProveError>> + Send + 'static,
{
    let split = async move {
        match work.await {
            Err(ProveError::Store(error)) => Err(error),
            done => Ok(done),
        }
    };
    api.detached(split).await?.map_err(|error| refused(&error))
}

fn refused(error: &ProveError) -> Problem {
    match error {
        ProveError::Store(source) => {
            let fault = if store::Error::is_transient(source) { Fault::Unavailable } else { Fault::Internal };
            Problem::new(fault, fault.sentence())
        }
        ProveError::NoLog(_) => Problem::new(Fault::UnknownTenant, Fault::UnknownTenant.sentence()),
        ProveError::Impossible(what) => Problem::new(Fault::ParameterInvalid, what.clone()),
        ProveError::Behind => Problem::new(Fault::Behind, error.to_string()),
        ProveError::Damaged { tenant, what } => damaged(*tenant, what),
    }
}

/// Says so loudly.
fn damaged(tenant: ledger_core::domain::id::TenantId, what: &str) -> Problem {
    tracing::error!(%tenant, what, "THE LOG IS DAMAGED: what is stored is not what was appended");
    ::metrics::counter!("ledger_log_damaged_total").increment(1);
    Problem::new(Fault::LogDamaged, Fault::LogDamaged.sentence())
}
