//! What each kind of background job does: the one list of handlers.
//!
//! **Correctness**: every handler may be run again after it was cut short. An export or a report is made anew; an import's
//! rows have identities made of the job's, so those that were recorded are found answered; a delivery is at least once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::BoxFuture;
use ledger_core::audit::keys::Keys;
use ledger_core::audit::note::Verifier;
use ledger_core::domain::id::TenantId;
use ledger_core::pipeline;
use ledger_core::store::{self, verification};
use projector::audit;
use projector::job::{Failure, Handler, Kind, Outcome, Output, Registry, Task};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::cli::export::{self, Pages};
use crate::cli::import::Upload;
use crate::node::Parts;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Results are kept this long.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Bytes of an import; the API takes no more than this.
const IMPORT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Every kind that this program runs.
pub(crate) fn registry(parts: &Parts) -> Registry {
    // Endpoints mostly let us wait; folding a log and deciding commands take the processor.
    let webhook = Kind { name: projector::webhook::WEBHOOK, at_once_max: 16, kept: DAY };
    let export = Kind { name: "export", at_once_max: 2, kept: KEPT };
    let import = Kind { name: "import", at_once_max: 2, kept: KEPT };
    let verify = Kind { name: verification::JOB, at_once_max: 1, kept: KEPT };
    let sweep = Kind { name: projector::SWEEP, at_once_max: 1, kept: DAY };
    let registry = Registry::new()
        .with(webhook, projector::webhook::Deliver::new(parts.webhooks.clone()))
        .with(export, Export)
        .with(import, Import(parts.pipeline.clone()))
        .with(verify, Verify(parts.verified.clone()))
        .with(sweep, projector::Sweep);
    match inside(parts) {
        Ok(inside) => registry.with(Kind { name: "report", at_once_max: 2, kept: KEPT }, Report(inside)),
        Err(error) => {
            tracing::error!("reports are not made here: {error:#}");
            registry
        }
    }
}

/// The API's own routes, for reports.
fn inside(parts: &Parts) -> Result<ledger_api::Inside> {
    let resources = ledger_api::Resources {
        pool: parts.pool.clone(),
        replicas: Vec::new(),
        cache: None,
        pipeline: parts.pipeline.clone(),
        metrics: ledger_api::install_metrics().context("installing the recorder of metrics")?,
        broker: None,
        feed: None,
        keys: tokio::sync::watch::channel(None).1,
    };
    Ok(ledger_api::Service::new(ledger_api::Options::standard(), resources).inside())
}

fn asked<T: for<'de> Deserialize<'de>>(task: &Task) -> Result<T, Failure> {
    T::deserialize(&task.payload).map_err(|error| Failure::ForGood(format!("the request cannot be read: {error}")))
}

/// What failed for a reason that may pass, and what did not.
fn failed(error: anyhow::Error) -> Failure {
    match error.downcast::<Stopped>() {
        Ok(Stopped(failure)) => failure,
        Err(error) => Failure::Again(format!("{error:#}")),
    }
}

/// A job's failure on its way through code that knows nothing of jobs.
#[derive(Debug, thiserror::Error)]
#[error("the job ends")]
struct Stopped(Failure);

/// Writes what a tenant's log says into a file.
struct Export;

#[derive(Deserialize)]
struct ExportRequest {
    what: What,
    #[serde(default)]
    after: i64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Events,
    Stock,
    Valuation,
    Cards,
    Balances,
}

/// Pages of an export as chunks of the job's result.
struct Filed<'a> {
    task: &'a Task,
    output: Output,
}

impl Pages for Filed<'_> {
    async fn page(&mut self, made: &mut Vec<u8>, position: i64) -> Result<()> {
        self.task.go_on().map_err(Stopped)?;
        self.output.buffer().append(made);
        self.output.flush().await.map_err(Stopped)?;
        self.task.progress.set(position, None);
        Ok(())
    }
}

impl Handler for Export {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        Box::pin(write(task))
    }
}

async fn write(task: &Task) -> Outcome {
    let request: ExportRequest = asked(task)?;
    let media_type = match request.what {
        What::Events => "application/x-ndjson",
        What::Stock | What::Valuation | What::Cards | What::Balances => "text/csv; charset=utf-8; header=present",
    };
    let mut filed = Filed { task, output: task.output(media_type).await? };
    let (pool, tenant) = (&task.pool, task.tenant);
    let folded = || async { export::fold(pool, tenant).await.map_err(failed) };
    match request.what {
        What::Events => export::events(pool, tenant, request.after, &mut filed).await.map_err(failed)?,
        What::Cards => export::cards(pool, tenant, &mut filed).await.map_err(failed)?,
        What::Stock => export::stock(&folded().await?, filed.output.buffer()).map_err(failed)?,
        What::Valuation => export::valuation(&folded().await?, filed.output.buffer()).map_err(failed)?,
        What::Balances => export::balances(&folded().await?, filed.output.buffer()).map_err(failed)?,
    }
    let bytes = filed.output.finish().await?;
    Ok(Some(json!({ "bytes": bytes })))
}

/// Makes a report by asking the API as the tenant, so that there is one way to make it.
struct Report(ledger_api::Inside);

#[derive(Deserialize)]
struct ReportRequest {
    report: String,
    #[serde(default)]
    parameters: std::collections::BTreeMap<String, String>,
    format: Option<String>,
}

impl Handler for Report {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        Box::pin(report(&self.0, task))
    }
}

async fn report(inside: &ledger_api::Inside, task: &Task) -> Outcome {
    let ReportRequest { report, mut parameters, format } = asked(task)?;
    parameters.insert("format".to_owned(), format.unwrap_or_else(|| "json".to_owned()));
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    let path = format!("/v1/reports/{}?{}", encoded(&report), query.join("&"));
    let actor = task.actor.as_deref().unwrap_or("job");
    let answer = inside.get(task.tenant, actor, &path).await;
    if !answer.status.is_success() {
        let why = String::from_utf8_lossy(&answer.body).into_owned();
        let is_passing = answer.status.as_u16() == 503 || answer.status.as_u16() == 500;
        return Err(if is_passing { Failure::Again(why) } else { Failure::ForGood(why) });
    }
    let media_type = match answer.media_type.split(';').next() {
        Some("text/csv") => "text/csv; charset=utf-8; header=present",
        Some("text/html") => "text/html; charset=utf-8",
        _json => "application/json",
    };
    let mut output = task.output(media_type).await?;
    output.buffer().extend_from_slice(&answer.body);
    let bytes = output.finish().await?;
    Ok(Some(json!({ "bytes": bytes })))
}

/// A name or value as part of a query (RFC 3986).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Verifies a tenant and files the report.
struct Verify(Verified);

/// What is compared with the log beside the database, and with which keys.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    redis_url: Option<String>,
    nats_url: Option<String>,
    /// The node's own; set once they are read.
    keys: Arc<OnceLock<watch::Receiver<Option<Arc<Keys>>>>>,
}

impl Verified {
    pub(crate) fn new(redis_url: Option<String>, nats_url: Option<String>) -> Self {
        Self { redis_url, nats_url, keys: Arc::default() }
    }

    /// Stored checkpoints must be signed with the public halves of these.
    pub(crate) fn trust(&self, keys: watch::Receiver<Option<Arc<Keys>>>) {
        // The first ones stay: a node reads its keys once and is told of changes.
        let _ = self.keys.set(keys);
    }

    fn verifiers(&self) -> Vec<Verifier> {
        let keys = self.keys.get().and_then(|keys| keys.borrow().clone());
        keys.map(|keys| keys.known()).unwrap_or_default()
    }
}

/// Parts of a log read at once: there are others who want the processor.
const VERIFY_TASKS: usize = 1;

impl Handler for Verify {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        Box::pin(verify(&self.0, task))
    }
}

async fn verify(with: &Verified, task: &Task) -> Outcome {
    let tenant = store::tenant::list(&task.pool).await?.into_iter().find(|t| t.id == task.tenant);
    let tenant = tenant.ok_or_else(|| Failure::ForGood("there is no such tenant".to_owned()))?;
    let asked_by = task.actor.clone().unwrap_or_else(|| "a job".to_owned());
    verification::ask(&task.pool, task.tenant, task.id, &asked_by).await?;
    let options = audit::Options {
        pool: task.pool.clone(),
        redis_url: with.redis_url.clone(),
        nats_url: with.nats_url.clone(),
        is_log_only: false,
        tasks: VERIFY_TASKS,
        verifiers: with.verifiers(),
        stop: task.stop.clone(),
        asked_by,
        program: env!("CARGO_PKG_VERSION"),
    };
    let told = |at: i64, of: i64| task.progress.set(at, Some(of));
    let report = match audit::verify(&options, &tenant, told).await {
        Err(projector::Error::Stopped) => return Err(Failure::Stopped),
        done => done?,
    };
    let json = serde_json::to_string(&report).map_err(|error| Failure::ForGood(error.to_string()))?;
    let (position, findings, form) = (report.head, report.findings.len(), report.text());
    let filed = verification::Report { position, findings, report: &json, form: &form };
    verification::file(&task.pool, task.tenant, task.id, filed).await?;
    if findings > 0 {
        tracing::error!(tenant = %task.tenant, findings, "a verification found what does not hold");
    }
    Ok(Some(json!({ "findings": findings })))
}

/// Sends the commands of an upload.
struct Import(pipeline::Handle);

impl Handler for Import {
    fn run<'a>(&'a self, task: &'a Task) -> BoxFuture<'a, Outcome> {
        Box::pin(import(&self.0, task))
    }
}

async fn import(pipeline: &pipeline::Handle, task: &Task) -> Outcome {
    let bytes = task.input(IMPORT_BYTES_MAX).await?;
    let actor = task.actor.as_deref().unwrap_or("job:import");
    let name = format!("job:{}", task.id);
    let mut upload = Upload::read(&bytes, &name, actor).map_err(|error| Failure::ForGood(format!("{error:#}")))?;
    drop(bytes);
    let mut output = task.output("application/x-ndjson").await?;
    let rows = i64::try_from(upload.left()).unwrap_or(i64::MAX);
    while upload.left() > 0 {
        task.go_on()?;
        let lines = send(&mut upload, pipeline, task.tenant).await?;
        output.buffer().extend_from_slice(&lines);
        output.flush().await?;
        let left = i64::try_from(upload.left()).unwrap_or(i64::MAX);
        task.progress.set(rows.saturating_sub(left), Some(rows));
    }
    output.finish().await?;
    serde_json::to_value(&upload.summary).map(Some).map_err(|error| Failure::ForGood(error.to_string()))
}

/// A part of the rows. While the pipeline has no room or no database, the run ends; the next one finds what was recorded.
async fn send(upload: &mut Upload, pipeline: &pipeline::Handle, tenant: TenantId) -> Result<Vec<u8>, Failure> {
    upload.send(pipeline, tenant).await.map_err(|error| Failure::Again(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn what_a_caller_names_stays_in_its_place() {
        assert_eq!(encoded("trial-balance"), "trial-balance");
        assert_eq!(encoded("../stock?a=b&c#d é"), "..%2Fstock%3Fa%3Db%26c%23d%20%C3%A9");
    }
}
