//! Who calls: every request under `/v1` names a key, and the key names the tenant. There is no way around it.

mod cache;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::TenantId;
use ledger_core::store::api_key::{self, KeyRow};
use subtle::ConstantTimeEq;

pub(crate) use cache::KeyCache;

use crate::header;
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// A caller whose key was checked.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    /// Whose data it sees: this tenant's, and no other's.
    pub(crate) tenant: TenantId,
    /// What is stored with its commands.
    pub(crate) context: Arc<Context>,
}

impl FromRequestParts<Api> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        // Put there by the process itself (`inside.rs`): what comes from outside has headers, and no extensions.
        if let Some(inside) = parts.extensions.get::<Self>() {
            return Ok(inside.clone());
        }
        let text = header::bearer(&parts.headers).ok_or_else(unauthenticated)?;
        let key = api_key::parse(text).ok_or_else(unauthenticated)?;
        let known = api.keys.find(api, key.tenant, key.id).await?.ok_or_else(unauthenticated)?;
        if !is_valid(&known.row, &key.hash, api) {
            return Err(unauthenticated());
        }
        if known.row.suspended {
            return Err(Problem::new(Fault::TenantSuspended, Fault::TenantSuspended.sentence()));
        }
        Ok(Self { tenant: known.row.tenant, context: Arc::clone(&known.context) })
    }
}

/// The secret's hash is compared in constant time, and first, so that nothing else of the key can be learnt without it.
fn is_valid(row: &KeyRow, hash: &[u8; 32], api: &Api) -> bool {
    let same = bool::from(row.hash.ct_eq(hash));
    same && !row.revoked && row.expires_at.is_none_or(|at| at > api.pipeline.now())
}

/// One answer whatever is wrong with the key: which keys exist is nobody's business.
fn unauthenticated() -> Problem {
    Problem::new(Fault::Unauthenticated, Fault::Unauthenticated.sentence())
}
