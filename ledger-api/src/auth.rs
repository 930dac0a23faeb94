//! Who calls: every request under `/v1` names a key, and the key names the tenant. There is no way around it.

mod cache;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::TenantId;
use ledger_core::store::api_key::{self, KeyRow};
use subtle::ConstantTimeEq;

pub(crate) use cache::{KeyCache, KnownKey};

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
        // Put there by the process itself (`inside.rs`, `console/ask.rs`): what comes from outside has headers, and no extensions.
        if let Some(inside) = parts.extensions.get::<Self>() {
            return Ok(inside.clone());
        }
        let text = header::bearer(&parts.headers).ok_or_else(unauthenticated)?;
        let key = by_text(api, text).await?;
        Ok(Self { tenant: key.row.tenant, context: Arc::clone(&key.context) })
    }
}

/// The key with this text, if calls may be made with it.
///
/// # Errors
/// `unauthenticated`, `tenant_suspended`, or `unavailable` when it is not known and the database cannot be asked.
pub(crate) async fn by_text(api: &Api, text: &str) -> Result<Arc<KnownKey>, Problem> {
    let key = api_key::parse(text).ok_or_else(unauthenticated)?;
    by_proof(api, key.tenant, key.id, |row| bool::from(row.hash.ct_eq(&key.hash))).await
}

/// The key with this name, if calls may be made with it and `is_proven` says that the caller has it. The proof is looked
/// at first, so that nothing else of the key can be learnt without it; it must compare in constant time.
///
/// # Errors
/// See [`by_text`].
pub(crate) async fn by_proof(
    api: &Api,
    tenant: TenantId,
    id: &str,
    is_proven: impl FnOnce(&KeyRow) -> bool,
) -> Result<Arc<KnownKey>, Problem> {
    let known = api.keys.find(api, tenant, id).await?.ok_or_else(unauthenticated)?;
    let row = &known.row;
    if !is_proven(row) || row.revoked || row.expires_at.is_some_and(|at| at <= api.pipeline.now()) {
        return Err(unauthenticated());
    }
    if row.suspended {
        return Err(Problem::new(Fault::TenantSuspended, Fault::TenantSuspended.sentence()));
    }
    Ok(known)
}

/// One answer whatever is wrong with the key: which keys exist is nobody's business.
pub(crate) fn unauthenticated() -> Problem {
    Problem::new(Fault::Unauthenticated, Fault::Unauthenticated.sentence())
}
