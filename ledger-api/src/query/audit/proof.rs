//! Inclusion and consistency proofs.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::Position;
use ledger_core::store::tree;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{as_position, base64, hexes, proven};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::Asked;
use crate::problem::Problem;
use crate::query::cursor::hex;
use crate::query::{Reading, Version};
use crate::state::Api;

/// Which event in which tree.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InclusionQuery {
    /// The event.
    #[param(minimum = 1, value_type = i64, example = 1)]
    position: Position,
    /// Size of the tree, such as that of a checkpoint; the whole log if absent.
    #[param(minimum = 1, nullable = false)]
    size: Option<u64>,
}

/// That an event is in the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InclusionProof)]
pub(crate) struct InclusionBody {
    /// The event.
    position: i64,
    /// Number of its leaf, from 0.
    index: u64,
    /// Size of the tree.
    size: u64,
    /// Root of that tree, in hexadecimal: to be compared with a checkpoint's.
    root: String,
    /// The event as it is hashed, in base64: every column of its row.
    leaf: String,
    /// SHA-256 of a zero byte and the leaf, in hexadecimal.
    leaf_hash: String,
    /// The other sides on the way to the root, nearest first, in hexadecimal (RFC 6962, section 2.1.1).
    path: Vec<String>,
}

/// Proves that an event is in the log
///
/// Hash a zero byte and `leaf`, then with the `path` up to the `root` (RFC 9162, section 2.1.3.2), and compare that with the
/// root of a checkpoint of this `size`. The proof was checked against the log's head before it was answered.
#[utoipa::path(get, path = "/v1/audit/proofs/inclusion", tag = "Audit", operation_id = "get_inclusion_proof",
    params(InclusionQuery, ReadHeaders), responses(ReadAnswer<InclusionBody>))]
pub(crate) async fn get_inclusion_proof(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<InclusionQuery>,
) -> Result<Response, Problem> {
    let (pool, tenant) = (api.pool.clone(), reading.tenant);
    let found = proven(&api, async move { tree::prove_inclusion(&pool, tenant, query.position, query.size).await }).await?;
    let body = InclusionBody {
        position: found.position,
        index: found.position.unsigned_abs().saturating_sub(1),
        size: found.size,
        root: hex(&found.root),
        leaf: base64(&found.leaf),
        leaf_hash: hex(&found.leaf_hash),
        path: hexes(&found.path),
    };
    reading.show(as_position(found.head), Version::Derived(as_position(found.size)), &body)
}

/// Which two trees.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsistencyQuery {
    /// Size of the older tree.
    #[param(minimum = 1, example = 1)]
    from: u64,
    /// Size of the newer tree; the whole log if absent.
    #[param(minimum = 1, nullable = false)]
    to: Option<u64>,
}

/// That nothing was changed between two sizes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsistencyProof)]
pub(crate) struct ConsistencyBody {
    /// Size of the older tree.
    from: u64,
    /// Its root, in hexadecimal.
    from_root: String,
    /// Size of the newer tree.
    to: u64,
    /// Its root, in hexadecimal.
    to_root: String,
    /// In the order of RFC 6962, section 2.1.2, in hexadecimal; empty where the sizes are the same.
    path: Vec<String>,
}

/// Proves that the log was only added to
///
/// The older tree is the beginning of the newer one: check the `path` as RFC 9162, section 2.1.4.2 says, with the roots of
/// the two checkpoints.
#[utoipa::path(get, path = "/v1/audit/proofs/consistency", tag = "Audit", operation_id = "get_consistency_proof",
    params(ConsistencyQuery, ReadHeaders), responses(ReadAnswer<ConsistencyBody>))]
pub(crate) async fn get_consistency_proof(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<ConsistencyQuery>,
) -> Result<Response, Problem> {
    let (pool, tenant) = (api.pool.clone(), reading.tenant);
    let found = proven(&api, async move { tree::prove_consistency(&pool, tenant, query.from, query.to).await }).await?;
    let body = ConsistencyBody {
        from: found.from,
        from_root: hex(&found.from_root),
        to: found.to,
        to_root: hex(&found.to_root),
        path: hexes(&found.path),
    };
    reading.show(as_position(found.head), Version::Derived(as_position(found.to)), &body)
}
