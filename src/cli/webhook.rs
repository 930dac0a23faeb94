//! `ledgerd webhook`: endpoints outside, seen and put right by hand.

use std::process::ExitCode;

use anyhow::{Result, bail};
use ledger_core::domain::id::TenantId;
use ledger_core::store::tenant;
use ledger_core::store::webhook::{self, Delivery, Status, Webhook};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};
use super::output;

/// Deliveries shown of one endpoint.
const DELIVERIES_MAX: i64 = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List endpoints, how far each is, and what keeps it.
    #[command(after_help = "Example:\n  ledgerd webhook list --tenant acme")]
    List {
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List deliveries that were given up, and endpoints that were switched off. Exit code 3 when there are any.
    #[command(after_help = "Example:\n  ledgerd webhook dead")]
    Dead {
        /// Of this tenant only.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Try an endpoint again now: what it waits with, what is set aside, what was given up.
    #[command(
        after_help = "Example:\n  ledgerd webhook retry --tenant acme shop\n  ledgerd webhook retry --tenant acme shop --position 4711"
    )]
    Retry {
        /// Code of the tenant.
        #[arg(long)]
        tenant: String,
        /// The endpoint's name.
        id: String,
        /// Only the delivery of the event at this position.
        #[arg(long)]
        position: Option<i64>,
    },
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let pool = args.urls.resolve()?.pool().await?;
    match args.verb {
        Verb::List { tenant } => list(&pool, &hooks(&pool, tenant.as_deref()).await?, json).await?,
        Verb::Dead { tenant } => return dead(&pool, &hooks(&pool, tenant.as_deref()).await?, json).await,
        Verb::Retry { tenant, id, position } => {
            retry(&pool, connect::tenant(&pool, &tenant).await?, &id, position, json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn hooks(pool: &PgPool, tenant: Option<&str>) -> Result<Vec<Webhook>> {
    Ok(match tenant {
        Some(code) => webhook::list(pool, connect::tenant(pool, code).await?).await?,
        None => webhook::list_all(pool).await?,
    })
}

async fn codes(pool: &PgPool) -> Result<impl Fn(TenantId) -> String> {
    let tenants = tenant::list(pool).await?;
    Ok(move |id: TenantId| tenants.iter().find(|t| t.id == id).map_or_else(|| id.to_string(), |t| t.code.clone()))
}

fn as_json(hook: &Webhook, code: &str) -> Value {
    let d = &hook.definition;
    json!({
        "tenant": code, "id": hook.id, "url": d.url, "description": d.description, "types": d.types, "categories": d.categories,
        "streams": d.streams, "enabled": d.enabled, "disabled_why": hook.disabled_why, "position": hook.position,
        "failures": hook.failures, "failing_since": hook.failing_since, "next_attempt_at": hook.next_at,
        "last_error": hook.last_error, "last_delivered_at": hook.last_delivered_at, "parked": hook.parked, "dead": hook.dead,
    })
}

fn state(hook: &Webhook) -> &'static str {
    match (hook.definition.enabled, hook.failures) {
        (false, _) if hook.disabled_why.is_some() => "switched off",
        (false, _) => "off",
        (true, 0) => "well",
        (true, _) => "failing",
    }
}

async fn list(pool: &PgPool, hooks: &[Webhook], json: bool) -> Result<()> {
    let code = codes(pool).await?;
    if json {
        return output::print_json(&hooks.iter().map(|hook| as_json(hook, &code(hook.tenant))).collect::<Vec<_>>());
    }
    let rows = hooks.iter().map(|hook| {
        let why = hook.disabled_why.as_ref().or(hook.last_error.as_ref());
        [
            code(hook.tenant),
            hook.id.clone(),
            hook.definition.url.clone(),
            state(hook).to_owned(),
            hook.position.to_string(),
            hook.parked.to_string(),
            hook.dead.to_string(),
            why.cloned().unwrap_or_default(),
        ]
    });
    output::print(&output::table(["tenant", "webhook", "url", "state", "position", "set aside", "given up", "why"], rows))
}

async fn dead(pool: &PgPool, hooks: &[Webhook], json: bool) -> Result<ExitCode> {
    let code = codes(pool).await?;
    let (mut found, mut rows) = (Vec::new(), Vec::new());
    for hook in hooks {
        if let Some(why) = &hook.disabled_why {
            found.push(json!({"tenant": code(hook.tenant), "webhook": hook.id, "disabled_why": why}));
            rows.push([code(hook.tenant), hook.id.clone(), String::new(), String::new(), format!("switched off: {why}")]);
        }
        let of = (hook.tenant, hook.id.as_str());
        for d in webhook::deliveries(pool, of, Some(Status::Dead), 0, DELIVERIES_MAX).await? {
            let Delivery { position, attempts, error, .. } = d;
            found.push(json!({"tenant": code(hook.tenant), "webhook": hook.id, "position": position, "attempts": attempts,
                "http_status": d.http_status, "error": error, "at": d.updated_at}));
            let cells = [position.to_string(), attempts.to_string(), error.unwrap_or_default()];
            let [position, attempts, error] = cells;
            rows.push([code(hook.tenant), hook.id.clone(), position, attempts, error]);
        }
    }
    let is_well = found.is_empty();
    if json {
        output::print_json(&found)?;
    } else {
        output::print(&output::table(["tenant", "webhook", "position", "attempts", "why"], rows))?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

async fn retry(pool: &PgPool, tenant: TenantId, id: &str, position: Option<i64>, json: bool) -> Result<()> {
    if webhook::find(pool, tenant, id).await?.is_none() {
        bail!("there is no webhook {id}");
    }
    let deliveries = webhook::retry(pool, (tenant, id), position).await?;
    let is_woken = position.is_none() && webhook::wake(pool, tenant, id).await?;
    if deliveries == 0 && position.is_some() {
        bail!("no delivery of that position is set aside or given up");
    }
    if json {
        return output::print_json(&json!({"deliveries": deliveries, "woken": is_woken}));
    }
    let waited = if is_woken { "; the one it waits with too" } else { "" };
    output::print(&format!("{deliveries} deliveries are tried again now{waited}"))
}
