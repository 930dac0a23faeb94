//! Signed checkpoints.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use ledger_core::audit::checkpoint::origin;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::checkpoint::{self, Signed};
use serde::Serialize;
use utoipa::ToSchema;

use super::{as_position, base64, proven};
use crate::header;
use crate::openapi::{CheckpointAnswer, PageAnswer, ReadHeaders};
use crate::path::Asked;
use crate::problem::{Fault, Problem};
use crate::query::cursor::hex;
use crate::query::page::Place;
use crate::query::{PageQuery, Reading, Version};
use crate::state::Api;

/// A signed head of the log's tree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub(crate) struct CheckpointBody {
    /// Which log: the name of the keys, and the tenant.
    #[schema(example = "ledgerd/acme")]
    origin: String,
    /// Events in it: the position of the last one.
    size: u64,
    /// Root of the tree (RFC 6962) over the events 1 to `size`, in hexadecimal.
    #[schema(example = "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62")]
    root: String,
    /// The same in base64, as the note has it.
    #[schema(example = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")]
    root_base64: String,
    /// When it was signed first.
    signed_at: Timestamp,
    /// The signed note (C2SP tlog-checkpoint): the only part to be believed, once a known key has opened it.
    note: String,
}

impl CheckpointBody {
    fn new(origin: &str, signed: Signed) -> Self {
        Self {
            origin: origin.to_owned(),
            size: signed.size,
            root: hex(&signed.root),
            root_base64: base64(&signed.root),
            signed_at: signed.signed_at,
            note: signed.note,
        }
    }
}

/// Signs the log as it is
///
/// The present head of the log's tree as a signed note (C2SP tlog-checkpoint), kept for ever; asked again before anything
/// was recorded, the same one. It is signed only after the newest checkpoint before it was proven to be its beginning. With
/// `Accept: text/plain` the note alone.
#[utoipa::path(
    get,
    path = "/v1/audit/checkpoint",
    tag = "Audit",
    operation_id = "get_checkpoint",
    params(ReadHeaders),
    responses(CheckpointAnswer)
)]
pub(crate) async fn get_checkpoint(State(api): State<Api>, reading: Reading, headers: HeaderMap) -> Result<Response, Problem> {
    let keys = api.signing.borrow().clone().ok_or_else(|| Problem::new(Fault::NoSigningKey, Fault::NoSigningKey.sentence()))?;
    let book = api.books.of(&api, reading.tenant).await?;
    let origin = origin(keys.name(), &book.code);
    let (pool, tenant) = (api.pool.clone(), reading.tenant);
    let signed = proven(&api, async move { checkpoint::sign(&pool, tenant, &book.code, &keys).await }).await?;
    let (as_of, version) = (as_position(signed.size), Version::Derived(as_position(signed.size)));
    if header::accepts(&headers, "text/plain") {
        return reading.send(as_of, version, "text/plain; charset=utf-8", signed.note.into_bytes());
    }
    reading.show(as_of, version, &CheckpointBody::new(&origin, signed))
}

/// Lists checkpoints
///
/// Every one that was signed, the newest first.
#[utoipa::path(get, path = "/v1/audit/checkpoints", tag = "Audit", operation_id = "list_checkpoints",
    params(PageQuery, ReadHeaders), responses(PageAnswer<CheckpointBody>))]
pub(crate) async fn list_checkpoints(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::new(&reading, &uri, "", query.limit)?;
    let below: Option<u64> = place.after(query.cursor.as_deref())?;
    let (pool, tenant, rows) = (api.pool.clone(), reading.tenant, place.rows_to_read());
    let found = api
        .detached(async move {
            let head = ledger_core::store::read::head(&pool, tenant).await?;
            Ok((head.map_or(0, |head| head.position), checkpoint::list(&pool, tenant, below, rows).await?))
        })
        .await?;
    let bodies = found.1.into_iter().map(|signed| CheckpointBody::new(&origin_of(&signed), signed)).collect();
    place.show(&reading, found.0, bodies, |body: &CheckpointBody| body.size)
}

/// As it was signed: the name of the keys may have been another one then.
fn origin_of(signed: &Signed) -> String {
    signed.note.lines().next().unwrap_or_default().to_owned()
}
