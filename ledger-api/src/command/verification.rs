//! A verification of the whole tenant, asked for.
//!
//! **Correctness**: it is a background job of the same name, made of the caller's idempotency key; the same key is the same
//! verification.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header as names};
use axum::response::{IntoResponse, Response};
use ledger_core::domain::rejection::{Refusal, Rejection};
use ledger_core::store::job::{self, Enqueued, NewJob, Priority};
use ledger_core::store::verification;
use uuid::Uuid;

use crate::auth::Principal;
use crate::header::{self, IDEMPOTENT_REPLAYED};
use crate::openapi::{AcceptedAnswer, KeyHeaders};
use crate::problem::{Fault, Problem};
use crate::query::verification::{self as shown, VerificationBody};
use crate::state::Api;

/// Attempts before it is given up: it fails only where the database does.
const ATTEMPTS_MAX: i32 = 5;

/// Has the whole tenant verified
///
/// Its log is replayed from nothing and everything that was derived from it compared with the replay: views, tree, checkpoints,
/// stored answers, cache and event feed. The answer says where the verification can be looked at; its report stays there. The
/// same key again is the same verification.
#[utoipa::path(post, path = "/v1/audit/verifications", tag = "Audit", operation_id = "create_verification", params(KeyHeaders),
    responses(AcceptedAnswer<VerificationBody>))]
pub(crate) async fn create_verification(
    State(api): State<Api>,
    principal: Principal,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = header::command_id(&headers)?
        .ok_or_else(|| Problem::new(Fault::IdempotencyKeyMissing, Fault::IdempotencyKeyMissing.sentence()))?;
    let (id, pool, tenant) = (Uuid::from_bytes(id.0), api.pool.clone(), principal.tenant);
    let actor = principal.context.actor.as_ref().map_or_else(|| "the API".to_owned(), ToString::to_string);
    let enqueued = api.detached(async move {
        let job = NewJob {
            id: Some(id),
            fingerprint: Some([0; 16]),
            priority: Priority::Normal,
            actor: Some(&actor),
            attempts_max: ATTEMPTS_MAX,
            ..NewJob::new(verification::JOB, "{}")
        };
        let enqueued = job::enqueue(&pool, tenant, &job).await?;
        if matches!(enqueued, Enqueued::New(_) | Enqueued::Known(_)) {
            verification::ask(&pool, tenant, id, &actor).await?;
        }
        Ok::<_, ledger_core::store::Error>(enqueued)
    });
    let is_known = match enqueued.await? {
        Enqueued::New(_) => false,
        Enqueued::Known(_) => true,
        Enqueued::Differs(_) => {
            return Err(Problem::refused(&Refusal { step: None, rejection: Rejection::CommandIdReused }, false));
        }
        Enqueued::Full => return Err(Problem::new(Fault::TooManyJobs, Fault::TooManyJobs.sentence())),
    };
    let body = serde_json::to_vec(&shown::find(&api, tenant, id).await?).map_err(super::answer::unwritable)?;
    let mut response = (StatusCode::ACCEPTED, [(names::CONTENT_TYPE, "application/json")], body).into_response();
    let headers = response.headers_mut();
    headers.insert(names::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(HeaderValue::try_from(format!("/v1/audit/verifications/{id}")).ok().map(|value| (names::LOCATION, value)));
    if is_known {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
