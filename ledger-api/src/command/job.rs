//! Background jobs, asked for and ended.
//!
//! **Correctness**: a job's name is made of the caller's idempotency key, so the same key is the same job for as long as the
//! job is kept; what was asked for is kept as a digest, so the same key for something else is refused.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header as names};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ledger_core::domain::id::digest16;
use ledger_core::domain::rejection::{Refusal, Rejection};
use ledger_core::store::job::{self, Changed, Enqueued, NewJob, Priority};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::read_body;
use crate::auth::Principal;
use crate::header::{self, IDEMPOTENT_REPLAYED};
use crate::json;
use crate::limit::{BODY_BYTES_MAX, IMPORT_BODY_BYTES_MAX, IMPORT_PLACES, JOB_PARAMETERS_MAX};
use crate::openapi::{AcceptedAnswer, KeyHeaders, PlainAnswer};
use crate::path::Named;
use crate::problem::{Fault, Flaw, Problem};
use crate::query::job::{self as shown, JobBody, JobPriority};
use crate::query::report::Format;
use crate::state::Api;

/// Newline-delimited JSON: one command per line.
const NDJSON: &str = "application/x-ndjson";

/// What a caller may ask for with a JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobKind {
    /// Write the log, or what it says now, to a file.
    Export,
    /// Make a report into a file.
    Report,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportWhat {
    /// Every event as NDJSON.
    Events,
    /// Quantity and value per item and location as CSV.
    Stock,
    /// Cost pools with their layers as CSV.
    Valuation,
    /// Every movement with running totals as CSV.
    Cards,
    /// Debits, credits and balance per account as CSV.
    Balances,
}

/// A job of kind `export` or `report`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobRequest {
    pub(crate) kind: JobKind,
    /// `normal` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) priority: Option<JobPriority>,
    /// Of an export: what of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "events")]
    pub(crate) what: Option<ExportWhat>,
    /// Of an export of events: begin after this position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, maximum = 9_223_372_036_854_775_807_i64)]
    pub(crate) after: Option<u64>,
    /// Of a report: its name in `/v1/reports/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 64, pattern = "^[a-z][a-z-]*$", example = "trial-balance")]
    pub(crate) report: Option<String>,
    /// Of a report: its query parameters by name; `format` stands by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) parameters: Option<BTreeMap<String, String>>,
    /// Of a report: `json` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) format: Option<Format>,
}

impl JobRequest {
    /// # Errors
    /// `malformed` when a field is missing, or belongs to another kind.
    fn check(&self) -> Result<(), Problem> {
        let flaw = |pointer: &str, detail: &str| {
            Err(Problem::malformed(Flaw { pointer: pointer.to_owned(), detail: detail.to_owned() }))
        };
        let is_export = self.kind == JobKind::Export;
        for (pointer, is_given, belongs) in [
            ("/what", self.what.is_some(), is_export),
            ("/after", self.after.is_some(), is_export && self.what == Some(ExportWhat::Events)),
            ("/report", self.report.is_some(), !is_export),
            ("/parameters", self.parameters.is_some(), !is_export),
            ("/format", self.format.is_some(), !is_export),
        ] {
            if is_given && !belongs {
                return flaw(pointer, "means nothing for this job");
            }
        }
        if is_export && self.what.is_none() {
            return flaw("/what", "is missing");
        }
        if self.after.is_some_and(|after| i64::try_from(after).is_err()) {
            return flaw("/after", "is no position");
        }
        let is_name = |name: &String| name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if !is_export && !self.report.as_ref().is_some_and(is_name) {
            return flaw("/report", "must be the name of a report, such as trial-balance");
        }
        if self.parameters.as_ref().is_some_and(|p| p.len() > JOB_PARAMETERS_MAX) {
            return flaw("/parameters", "are too many");
        }
        Ok(())
    }
}

/// What is asked for: the job's kind, payload and input.
pub(crate) struct Asked {
    kind: &'static str,
    payload: String,
    input: Bytes,
    priority: Priority,
    fingerprint: [u8; 16],
}

impl FromRequest<Api> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        match header::media_type(request.headers()) {
            Some(m) if m.eq_ignore_ascii_case(NDJSON) => {
                let busy = || Problem::new(Fault::Busy, "too many uploads are under way");
                let _places = api.batches.try_acquire_many(IMPORT_PLACES).map_err(|_| busy())?;
                let input = read_body(request, IMPORT_BODY_BYTES_MAX).await?;
                if input.trim_ascii().is_empty() {
                    return Err(Problem::malformed(Flaw { pointer: String::new(), detail: "there is no command".to_owned() }));
                }
                let fingerprint = digest16(&input);
                let payload = serde_json::json!({"bytes": input.len()}).to_string();
                Ok(Self { kind: "import", payload, input, priority: Priority::Normal, fingerprint })
            }
            Some(m) if m.eq_ignore_ascii_case("application/json") => {
                let bytes = read_body(request, BODY_BYTES_MAX).await?;
                let asked: JobRequest = json::parse(&bytes)?;
                asked.check()?;
                let kind = match asked.kind {
                    JobKind::Export => "export",
                    JobKind::Report => "report",
                };
                let payload = serde_json::to_string(&asked).map_err(super::answer::unwritable)?;
                let priority = asked.priority.map_or(Priority::Normal, JobPriority::stored);
                Ok(Self { kind, fingerprint: digest16(payload.as_bytes()), payload, input: Bytes::new(), priority })
            }
            _another_or_none => {
                Err(Problem::new(Fault::UnsupportedMediaType, "a job is application/json, an import application/x-ndjson"))
            }
        }
    }
}

/// Asks for a background job
///
/// As `application/json`: an `export` or a `report`. As `application/x-ndjson`: an import of commands, one per line, each with
/// its `type` and, if wanted, a `key` of its own; a line that is refused harms no other, and the result lists them. The answer
/// says where the job can be looked at; its result is at `/v1/jobs/{id}/result` once it is `done`, for a week. The same key
/// again is the same job.
#[utoipa::path(post, path = "/v1/jobs", tag = "Jobs", operation_id = "create_job", params(KeyHeaders),
    request_body(content((JobRequest = "application/json"), (String = "application/x-ndjson"))), responses(AcceptedAnswer<JobBody>))]
pub(crate) async fn create_job(State(api): State<Api>, principal: Principal, request: Request) -> Result<Response, Problem> {
    let id = header::command_id(request.headers())?
        .ok_or_else(|| Problem::new(Fault::IdempotencyKeyMissing, Fault::IdempotencyKeyMissing.sentence()))?;
    let asked = Asked::from_request(request, &api).await?;
    enqueue(&api, &principal, Uuid::from_bytes(id.0), asked).await
}

async fn enqueue(api: &Api, principal: &Principal, id: Uuid, asked: Asked) -> Result<Response, Problem> {
    let (pool, tenant) = (api.pool.clone(), principal.tenant);
    let actor = principal.context.actor.as_ref().map(ToString::to_string);
    let done = api.detached(async move {
        let job = NewJob {
            id: Some(id),
            fingerprint: Some(asked.fingerprint),
            priority: asked.priority,
            actor: actor.as_deref(),
            input: &asked.input,
            ..NewJob::new(asked.kind, &asked.payload)
        };
        job::enqueue(&pool, tenant, &job).await
    });
    accepted(api, principal, done.await?).await
}

/// 202 with the job, and where it is.
pub(crate) async fn accepted(api: &Api, principal: &Principal, enqueued: Enqueued) -> Result<Response, Problem> {
    let (id, is_known) = match enqueued {
        Enqueued::New(id) => (id, false),
        Enqueued::Known(id) => (id, true),
        Enqueued::Differs(_) => {
            return Err(Problem::refused(&Refusal { step: None, rejection: Rejection::CommandIdReused }, false));
        }
        Enqueued::Full => return Err(Problem::new(Fault::TooManyJobs, Fault::TooManyJobs.sentence())),
    };
    let body = shown::find(api, principal.tenant, id).await?;
    let body = serde_json::to_vec(&body).map_err(super::answer::unwritable)?;
    let mut response = (StatusCode::ACCEPTED, [(names::CONTENT_TYPE, "application/json")], body).into_response();
    let headers = response.headers_mut();
    headers.insert(names::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(HeaderValue::try_from(format!("/v1/jobs/{id}")).ok().map(|value| (names::LOCATION, value)));
    if is_known {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The job after a change, or why there was none.
async fn changed(api: &Api, principal: &Principal, id: Uuid, changed: Changed) -> Result<Response, Problem> {
    match changed {
        Changed::Yes => shown::show(&shown::find(api, principal.tenant, id).await?),
        Changed::Unknown => Err(shown::unknown()),
        Changed::NotNow(status) => {
            let detail = format!("the job is {}", status.as_str());
            Err(Problem::new(Fault::JobState, detail).with("job_status", status.as_str()))
        }
    }
}

/// Cancels a job
///
/// One that waits is cancelled at once; one that runs is told, and ends soon.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "Jobs", operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job", format = "uuid")), responses(PlainAnswer<JobBody>))]
pub(crate) async fn cancel_job(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<Uuid>,
) -> Result<Response, Problem> {
    let (pool, tenant) = (api.pool.clone(), principal.tenant);
    let done = api.detached(async move { job::cancel(&pool, tenant, id).await }).await?;
    changed(&api, &principal, id, done).await
}

/// Has a job run again
///
/// One that is dead or cancelled, from its first attempt; one that waits for its next attempt, at once.
#[utoipa::path(post, path = "/v1/jobs/{id}/retry", tag = "Jobs", operation_id = "retry_job",
    params(("id" = String, Path, description = "The job", format = "uuid")), responses(PlainAnswer<JobBody>))]
pub(crate) async fn retry_job(State(api): State<Api>, principal: Principal, Named(id): Named<Uuid>) -> Result<Response, Problem> {
    let (pool, tenant) = (api.pool.clone(), principal.tenant);
    let done = api.detached(async move { job::retry(&pool, tenant, id).await }).await?;
    changed(&api, &principal, id, done).await
}
