//! Background jobs as they stand, and their results.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header as names};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use ledger_core::domain::id::TenantId;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::job::{self, Filter, Job, Priority, Status};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{corrupt, page::Place};
use crate::auth::Principal;
use crate::command::answer::unwritable;
use crate::openapi::{DownloadAnswer, PlainAnswer, PlainPageAnswer};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Which jobs go first; each has places of its own at the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobPriority {
    /// Somebody waits for it.
    Urgent,
    /// Somebody wants it soon.
    Normal,
    /// Whenever there is time.
    Background,
}

impl JobPriority {
    pub(crate) const fn stored(self) -> Priority {
        match self {
            Self::Urgent => Priority::Urgent,
            Self::Normal => Priority::Normal,
            Self::Background => Priority::Background,
        }
    }

    const fn of(priority: Priority) -> Self {
        match priority {
            Priority::Urgent => Self::Urgent,
            Priority::Normal => Self::Normal,
            Priority::Background => Self::Background,
        }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// Waits for its time and a place.
    Queued,
    /// Is being done.
    Running,
    /// Ended well.
    Done,
    /// Failed for good.
    Dead,
    /// Ended because somebody said so.
    Cancelled,
}

impl JobStatus {
    const fn stored(self) -> Status {
        match self {
            Self::Queued => Status::Queued,
            Self::Running => Status::Running,
            Self::Done => Status::Done,
            Self::Dead => Status::Dead,
            Self::Cancelled => Status::Cancelled,
        }
    }

    const fn of(status: Status) -> Self {
        match status {
            Status::Queued => Self::Queued,
            Status::Running => Self::Running,
            Status::Done => Self::Done,
            Status::Dead => Self::Dead,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// How far a job has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobProgress {
    /// Units of its work.
    done: i64,
    /// Of so many, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    of: Option<i64>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    note: Option<String>,
}

/// A background job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobBody {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// `export`, `report`, `import`, `webhook`, `verify` or `sweep`.
    kind: String,
    priority: JobPriority,
    status: JobStatus,
    /// What was asked for.
    #[schema(value_type = Object)]
    request: Box<RawValue>,
    /// Runs begun, and how many may fail.
    attempts: i32,
    attempts_max: i32,
    progress: JobProgress,
    /// What it answered, in few words; of a `done` job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    result: Option<Box<RawValue>>,
    /// Media type of its result, when there is one to be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    result_type: Option<String>,
    /// Why its last run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_error: Option<String>,
    /// True when it is to end and has not yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cancelling: bool,
    created_at: Timestamp,
    /// Not before then.
    run_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    finished_at: Option<Timestamp>,
    /// When it may be forgotten, with its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Timestamp>,
}

impl JobBody {
    fn new(job: Job) -> Result<Self, Problem> {
        let raw = |text: String| RawValue::from_string(text).map_err(|_| Problem::from(corrupt("a job's JSON")));
        Ok(Self {
            id: job.id,
            kind: job.kind,
            priority: JobPriority::of(job.priority),
            status: JobStatus::of(job.status),
            request: raw(job.payload)?,
            attempts: job.attempts,
            attempts_max: job.attempts_max,
            progress: JobProgress { done: job.progress.done, of: job.progress.of, note: job.progress.note },
            result: job.result.map(raw).transpose()?,
            result_type: job.result_type,
            last_error: job.last_error,
            cancelling: job.cancel && !job.status.is_over(),
            created_at: job.created_at,
            run_at: job.run_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            expires_at: job.expires_at,
        })
    }
}

/// A job that is not there, or another tenant's.
pub(crate) fn unknown() -> Problem {
    Problem::new(Fault::NotFound, "there is no such job; it may have been forgotten")
}

async fn read(api: &Api, tenant: TenantId, id: Uuid) -> Result<Job, Problem> {
    let pool = api.pool.clone();
    api.detached(async move { job::find(&pool, tenant, id).await }).await?.ok_or_else(unknown)
}

/// One job.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find(api: &Api, tenant: TenantId, id: Uuid) -> Result<JobBody, Problem> {
    JobBody::new(read(api, tenant, id).await?)
}

/// Renders something that is not part of the log: nothing may keep it.
pub(crate) fn show(body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(body).map_err(unwritable)?;
    Ok(([(names::CONTENT_TYPE, "application/json"), (names::CACHE_CONTROL, "no-store")], body).into_response())
}

/// Which jobs.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// Of this kind only.
    #[param(max_length = 32, nullable = false, example = "export")]
    kind: Option<String>,
    /// Only those that stand so.
    #[param(nullable = false, inline)]
    status: Option<JobStatus>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Lists background jobs
///
/// The newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "Jobs", operation_id = "list_jobs", params(JobQuery),
    responses(PlainPageAnswer<JobBody>))]
pub(crate) async fn list_jobs(
    State(api): State<Api>,
    principal: Principal,
    Asked(query): Asked<JobQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let scope = format!("{:?}:{:?}", query.kind, query.status);
    let place = Place::of(principal.tenant, &uri, &scope, query.limit)?;
    let before = place.after::<(i64, Uuid)>(query.cursor.as_deref())?.map(|(at, id)| (Timestamp(at), id));
    let (pool, tenant, limit) = (api.pool.clone(), principal.tenant, place.rows_to_read());
    let jobs = api.detached(async move {
        let filter = Filter { kind: query.kind.as_deref(), status: query.status.map(JobStatus::stored), before };
        job::list(&pool, tenant, &filter, limit).await
    });
    let bodies = jobs.await?.into_iter().map(JobBody::new).collect::<Result<Vec<_>, _>>()?;
    place.plain(bodies, |job| (job.created_at.0, job.id))
}

/// Shows a background job
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "Jobs", operation_id = "get_job",
    params(("id" = String, Path, description = "The job", format = "uuid")), responses(PlainAnswer<JobBody>))]
pub(crate) async fn get_job(State(api): State<Api>, principal: Principal, Named(id): Named<Uuid>) -> Result<Response, Problem> {
    show(&find(&api, principal.tenant, id).await?)
}

/// Fetches a job's result
///
/// The file that an export, a report or an import made, as it was made. An answer that breaks off before its end has no last
/// chunk: a client sees that.
#[utoipa::path(get, path = "/v1/jobs/{id}/result", tag = "Jobs", operation_id = "get_job_result",
    params(("id" = String, Path, description = "The job", format = "uuid")), responses(DownloadAnswer))]
pub(crate) async fn get_job_result(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<Uuid>,
) -> Result<Response, Problem> {
    let job = read(&api, principal.tenant, id).await?;
    let (Some(media_type), Some(attempt)) = (job.result_type, job.result_attempt) else {
        return Err(if job.status.is_over() {
            Problem::new(Fault::NotFound, "this job made no file")
        } else {
            let detail = format!("the job is {}", job.status.as_str());
            Problem::new(Fault::JobState, detail).with("job_status", job.status.as_str())
        });
    };
    let extension = match media_type.split(';').next() {
        Some("text/csv") => "csv",
        Some("application/x-ndjson") => "ndjson",
        Some("application/json") => "json",
        Some("text/html") => "html",
        _another => "txt",
    };
    let file = format!("attachment; filename=\"{}-{id}.{extension}\"", job.kind);
    let chunks = stream::try_unfold((api, 0_i32), move |(api, number)| async move {
        let (pool, of) = (api.pool.clone(), (job.tenant, id, attempt));
        let chunk = api.detached(async move { job::chunk(&pool, of, number).await }).await;
        let next = |bytes: Vec<u8>| (Bytes::from(bytes), (api, number.saturating_add(1)));
        chunk.map(|chunk| chunk.map(next)).map_err(|_| std::io::Error::other("the result cannot be read any further"))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(names::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(names::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.extend(HeaderValue::try_from(media_type).ok().map(|value| (names::CONTENT_TYPE, value)));
    headers.extend(HeaderValue::try_from(file).ok().map(|value| (names::CONTENT_DISPOSITION, value)));
    Ok(response)
}
