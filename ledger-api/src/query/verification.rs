//! Verifications as they stand, and their reports.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header as names};
use axum::response::{IntoResponse, Response};
use ledger_core::domain::id::TenantId;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::verification::{self, Verification};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::corrupt;
use super::job::show;
use super::page::{PageQuery, Place};
use crate::auth::Principal;
use crate::openapi::{PlainAnswer, PlainPageAnswer};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Where a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerificationStatus {
    /// Waits for its turn.
    Queued,
    /// Is under way.
    Running,
    /// Its report is filed.
    Done,
    /// Could not be done; ask for another one.
    Failed,
}

/// A verification of the whole tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerificationBody {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    status: VerificationStatus,
    /// Whose key asked for it.
    asked_by: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finished_at: Option<Timestamp>,
    /// Events replayed so far.
    done: i64,
    /// Of so many, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    of: Option<i64>,
    /// Where the log's head stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    position: Option<i64>,
    /// Whether everything that was looked at holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    sound: Option<bool>,
    /// How much does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    findings: Option<i32>,
    /// The whole report: what was compared, and every finding with its position, its invariant and a sentence. Of one that is
    /// done, where it is asked for by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    report: Option<Box<RawValue>>,
}

impl VerificationBody {
    fn new(v: Verification) -> Self {
        let (status, done, of) = match (&v.filed, &v.job) {
            (Some(filed), _) => (VerificationStatus::Done, filed.position, Some(filed.position)),
            (None, Some((word, done, of))) => {
                let status = match word.as_str() {
                    "queued" => VerificationStatus::Queued,
                    "running" | "done" => VerificationStatus::Running,
                    _dead_or_cancelled => VerificationStatus::Failed,
                };
                (status, *done, *of)
            }
            (None, None) => (VerificationStatus::Failed, 0, None),
        };
        Self {
            id: v.id,
            status,
            asked_by: v.asked_by,
            created_at: v.created_at,
            finished_at: v.filed.as_ref().map(|f| f.finished_at),
            done,
            of,
            position: v.filed.as_ref().map(|f| f.position),
            sound: v.filed.as_ref().map(|f| f.findings == 0),
            findings: v.filed.as_ref().map(|f| f.findings),
            report: None,
        }
    }
}

fn unknown() -> Problem {
    Problem::new(Fault::NotFound, "there is no such verification")
}

/// One of a tenant's.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find(api: &Api, tenant: TenantId, id: Uuid) -> Result<VerificationBody, Problem> {
    let pool = api.pool.clone();
    let found = api.detached(async move { verification::find(&pool, tenant, id).await }).await?;
    Ok(VerificationBody::new(found.ok_or_else(unknown)?))
}

/// Lists verifications
///
/// The newest first, without their reports.
#[utoipa::path(get, path = "/v1/audit/verifications", tag = "Audit", operation_id = "list_verifications", params(PageQuery),
    responses(PlainPageAnswer<VerificationBody>))]
pub(crate) async fn list_verifications(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::of(principal.tenant, &uri, "", query.limit)?;
    let before = place.after::<(i64, Uuid)>(query.cursor.as_deref())?.map(|(at, id)| (Timestamp(at), id));
    let (pool, tenant, limit) = (api.pool.clone(), principal.tenant, place.rows_to_read());
    let found = api.detached(async move { verification::list(&pool, tenant, before, limit).await }).await?;
    place.plain(found.into_iter().map(VerificationBody::new).collect(), |v| (v.created_at.0, v.id))
}

/// Shows a verification
///
/// With its report once it is done. As `text/plain` the report is a form to file.
#[utoipa::path(get, path = "/v1/audit/verifications/{id}", tag = "Audit", operation_id = "get_verification",
    params(("id" = String, Path, description = "The verification", format = "uuid")),
    responses(PlainAnswer<VerificationBody>))]
pub(crate) async fn get_verification(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut body = find(&api, principal.tenant, id).await?;
    let (pool, tenant) = (api.pool.clone(), principal.tenant);
    let filed = api.detached(async move { verification::report(&pool, tenant, id).await }).await?;
    let wants_form = headers.get(names::ACCEPT).and_then(|a| a.to_str().ok()).is_some_and(|a| a.starts_with("text/plain"));
    match filed {
        Some((_, form)) if wants_form => {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            let no_store = HeaderValue::from_static("no-store");
            Ok(([(names::CONTENT_TYPE, plain), (names::CACHE_CONTROL, no_store)], form).into_response())
        }
        Some((report, _)) => {
            let report = RawValue::from_string(report).map_err(|_| Problem::from(corrupt("a verification's report")))?;
            body.report = Some(report);
            show(&body)
        }
        None => show(&body),
    }
}
