//! `ledgerd job`: background jobs, seen and put right by hand.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use ledger_core::domain::id::TenantId;
use ledger_core::store::job::{self, Changed, Filter, Job, Status};
use ledger_core::store::tenant;
use serde_json::{Value, json};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::connect::{self, Urls};
use super::output;

/// Characters of an error in a table.
const ERROR_CHARS_SHOWN: usize = 60;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Code of the tenant.
    #[arg(long)]
    tenant: String,
    /// The job's id, as `list` shows it.
    id: Uuid,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List jobs, newest first.
    #[command(after_help = "Example:\n  ledgerd job list --kind export --status running")]
    List {
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
        /// Of this kind only.
        #[arg(long)]
        kind: Option<String>,
        /// Only those that stand so: queued, running, done, dead, cancelled.
        #[arg(long, value_parser = status)]
        status: Option<Status>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// List dead jobs: those that failed for good. Exit code 3 when there are any.
    #[command(after_help = "Example:\n  ledgerd job dead")]
    Dead {
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show one job whole. Exit code 3 when it is dead.
    #[command(after_help = "Example:\n  ledgerd job show --tenant acme 0193f0c2-a1b4-7000-8000-000000000001")]
    Show(Which),
    /// Run a dead or cancelled job again; one that waits for its next attempt runs at once.
    #[command(after_help = "Example:\n  ledgerd job retry --tenant acme 0193f0c2-a1b4-7000-8000-000000000001")]
    Retry(Which),
    /// End a job that waits or runs.
    #[command(after_help = "Example:\n  ledgerd job cancel --tenant acme 0193f0c2-a1b4-7000-8000-000000000001")]
    Cancel(Which),
    /// Delete a job that is over, with its result.
    #[command(after_help = "Example:\n  ledgerd job delete --tenant acme 0193f0c2-a1b4-7000-8000-000000000001")]
    Delete(Which),
}

fn status(word: &str) -> Result<Status, String> {
    Status::parse(word).ok_or_else(|| "one of queued, running, done, dead, cancelled".to_owned())
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let pool = args.urls.resolve()?.pool().await?;
    match args.verb {
        Verb::List { tenant, kind, status, limit } => {
            let jobs = read(&pool, tenant.as_deref(), kind.as_deref(), status, i64::from(limit)).await?;
            list(&pool, &jobs, json).await?;
        }
        Verb::Dead { tenant } => {
            let jobs = read(&pool, tenant.as_deref(), None, Some(Status::Dead), 10_000).await?;
            list(&pool, &jobs, json).await?;
            if !jobs.is_empty() {
                return Ok(ExitCode::from(super::WANTING));
            }
        }
        Verb::Show(which) => {
            let job = job::find(&pool, connect::tenant(&pool, &which.tenant).await?, which.id).await?;
            let job = job.with_context(|| format!("there is no job {}", which.id))?;
            show(&pool, &job, json).await?;
            if job.status == Status::Dead {
                return Ok(ExitCode::from(super::WANTING));
            }
        }
        Verb::Retry(which) => {
            let tenant = connect::tenant(&pool, &which.tenant).await?;
            said(job::retry(&pool, tenant, which.id).await?, &which, "runs again", json)?;
        }
        Verb::Cancel(which) => {
            let tenant = connect::tenant(&pool, &which.tenant).await?;
            said(job::cancel(&pool, tenant, which.id).await?, &which, "is cancelled, or will be when its worker stops", json)?;
        }
        Verb::Delete(which) => {
            let tenant = connect::tenant(&pool, &which.tenant).await?;
            said(job::delete(&pool, tenant, which.id).await?, &which, "is deleted", json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn said(changed: Changed, which: &Which, what: &str, json: bool) -> Result<()> {
    match changed {
        Changed::Yes if json => output::print_json(&json!({"id": which.id, "changed": true})),
        Changed::Yes => output::print(&format!("job {} {what}", which.id)),
        Changed::Unknown => bail!("there is no job {}", which.id),
        // A second one for the same thing is not made while the first waits or runs.
        Changed::NotNow(Status::Dead | Status::Cancelled) => bail!("another job does what job {} was to do", which.id),
        Changed::NotNow(status) => bail!("job {} is {}", which.id, status.as_str()),
    }
}

async fn read(pool: &PgPool, tenant: Option<&str>, kind: Option<&str>, status: Option<Status>, limit: i64) -> Result<Vec<Job>> {
    let jobs = match tenant {
        Some(code) => {
            let filter = Filter { kind, status, before: None };
            job::list(pool, connect::tenant(pool, code).await?, &filter, limit).await?
        }
        None => job::list_all(pool, kind, status, limit).await?,
    };
    Ok(jobs)
}

/// Codes of tenants by number.
async fn codes(pool: &PgPool) -> Result<impl Fn(TenantId) -> String> {
    let tenants = tenant::list(pool).await?;
    Ok(move |id: TenantId| tenants.iter().find(|t| t.id == id).map_or_else(|| id.to_string(), |t| t.code.clone()))
}

fn parsed(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

fn as_json(job: &Job, code: &str) -> Value {
    json!({
        "tenant": code, "id": job.id, "kind": job.kind, "priority": job.priority.as_str(), "status": job.status.as_str(),
        "actor": job.actor, "payload": parsed(Some(&job.payload)), "run_at": job.run_at, "attempts": job.attempts,
        "attempts_max": job.attempts_max, "progress": {"done": job.progress.done, "of": job.progress.of, "note": job.progress.note},
        "result": parsed(job.result.as_deref()), "result_type": job.result_type, "last_error": job.last_error,
        "cancel_asked": job.cancel, "created_at": job.created_at, "started_at": job.started_at, "finished_at": job.finished_at,
        "expires_at": job.expires_at,
    })
}

async fn list(pool: &PgPool, jobs: &[Job], json: bool) -> Result<()> {
    let code = codes(pool).await?;
    if json {
        return output::print_json(&jobs.iter().map(|j| as_json(j, &code(j.tenant))).collect::<Vec<_>>());
    }
    let rows = jobs.iter().map(|j| {
        [
            code(j.tenant),
            j.id.to_string(),
            j.kind.clone(),
            j.priority.as_str().to_owned(),
            j.status.as_str().to_owned(),
            format!("{}/{}", j.attempts, j.attempts_max),
            progress(j),
            j.last_error.as_deref().unwrap_or_default().chars().take(ERROR_CHARS_SHOWN).collect(),
        ]
    });
    output::print(&output::table(["tenant", "id", "kind", "priority", "status", "attempts", "progress", "last error"], rows))
}

fn progress(job: &Job) -> String {
    let done = job.progress.of.map_or_else(|| job.progress.done.to_string(), |of| format!("{}/{of}", job.progress.done));
    match &job.progress.note {
        Some(note) => format!("{done} {note}"),
        None => done,
    }
}

async fn show(pool: &PgPool, job: &Job, json: bool) -> Result<()> {
    let value = as_json(job, &codes(pool).await?(job.tenant));
    if json {
        return output::print_json(&value);
    }
    let rows = value.as_object().into_iter().flatten().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        [name.clone(), text]
    });
    output::print(&output::table(["field", "value"], rows))
}
