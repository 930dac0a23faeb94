//! The public keys, and the way from each to the next.

use axum::extract::State;
use axum::response::Response;
use ledger_core::audit::keys::Statement;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::problem::{Fault, Problem};
use crate::query::{Reading, Version};
use crate::state::Api;

/// The keys that sign checkpoints.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditKeys)]
pub(crate) struct KeysBody {
    /// Which log: the name of the keys, and the tenant.
    #[schema(example = "ledgerd/acme")]
    origin: String,
    /// Verifier keys that sign at present, newest first.
    #[schema(example = json!(["ledgerd+1f0cf0b5+AZf1z7zPbXZl9eWrZ1cMvJ3mYv0c1nTPmBqJwXyvLh0s"]))]
    verifier_keys: Vec<String>,
    /// Verifier keys that signed earlier checkpoints and do no more.
    retired_keys: Vec<String>,
    /// Rotations, oldest first.
    rotations: Vec<RotationBody>,
}

/// A key that took another one's place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyRotation)]
pub(crate) struct RotationBody {
    /// Verifier key that was in use.
    old: String,
    /// Verifier key that took its place.
    new: String,
    /// A note that says so, signed by both: who trusts the old key can trust the new one.
    statement: String,
}

impl From<&Statement> for RotationBody {
    fn from(statement: &Statement) -> Self {
        Self { old: statement.old.to_string(), new: statement.new.to_string(), statement: statement.note.clone() }
    }
}

/// Shows the keys that sign checkpoints
///
/// Take the first one from elsewhere (whoever runs the service, a contract, a printed page): a key that comes from here
/// proves nothing by itself. From a key that is known, the statements lead to those in use.
#[utoipa::path(get, path = "/v1/audit/keys", tag = "Audit", operation_id = "list_audit_keys", params(ReadHeaders),
    responses(ReadAnswer<KeysBody>))]
pub(crate) async fn list_audit_keys(State(api): State<Api>, reading: Reading) -> Result<Response, Problem> {
    let keys = api.signing.borrow().clone().ok_or_else(|| Problem::new(Fault::NoSigningKey, Fault::NoSigningKey.sentence()))?;
    let book = api.books.of(&api, reading.tenant).await?;
    let verifier_keys: Vec<String> = keys.verifiers().map(ToString::to_string).collect();
    let retired_keys = keys.known().iter().map(ToString::to_string).filter(|key| !verifier_keys.contains(key)).collect();
    let body = KeysBody {
        origin: ledger_core::audit::checkpoint::origin(keys.name(), &book.code),
        verifier_keys,
        retired_keys,
        rotations: keys.statements().iter().map(RotationBody::from).collect(),
    };
    // Keys are of no position: a read that asks for one is not held up by them.
    let unbounded = Reading { position_min: None, ..reading };
    unbounded.show(0, Version::Derived(0), &body)
}
