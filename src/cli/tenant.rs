//! `ledgerd tenant`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use ledger_core::domain::catalogue::command::{ChartTemplate, OpenTenant};
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::currency;
use ledger_core::domain::id::{CommandId, CurrencyCode, TenantId, Text};
use ledger_core::pipeline::{self, Outcome};
use ledger_core::store;
use sqlx::postgres::PgPool;

use super::connect::Urls;
use super::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Register a tenant and open its log with the default chart of accounts.
    #[command(after_help = "Example:\n  ledgerd tenant create acme --name 'Acme Ltd' --currency GBP")]
    Create {
        /// Code: lower-case letters, digits and dashes; part of NATS subjects.
        code: String,
        /// Display name; the code if absent.
        #[arg(long)]
        name: Option<String>,
        /// ISO 4217 code of the base currency.
        #[arg(long, default_value = "EUR")]
        currency: String,
        /// Decimals of the base currency; those of ISO 4217 if absent.
        #[arg(long)]
        currency_scale: Option<u8>,
        /// Chart of accounts to begin with: trading, retail, manufacturing, services, marketplace, or empty.
        #[arg(long, default_value = "trading", value_parser = chart)]
        chart: ChartTemplate,
    },
    /// List tenants.
    #[command(after_help = "Example:\n  ledgerd tenant list --json")]
    List,
    /// Refuse all calls of a tenant; nothing is lost.
    #[command(after_help = "Example:\n  ledgerd tenant suspend acme")]
    Suspend { code: String },
    /// Lift a suspension.
    #[command(after_help = "Example:\n  ledgerd tenant resume acme")]
    Resume { code: String },
}

/// Longest tenant code: a token of a NATS subject.
const CODE_CHARS_MAX: usize = 48;

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let urls = args.urls.resolve()?;
    let pool = urls.pool().await?;
    match args.verb {
        Verb::Create { code, name, currency, currency_scale, chart } => {
            let open = OpenTenant {
                chart: (chart != ChartTemplate::default()).then_some(chart),
                ..describe(&code, name.as_deref(), &currency, currency_scale)?
            };
            let (handle, tasks) =
                pipeline::start(pipeline::Options::for_cores(urls.database()?.to_owned(), 1), pool.clone()).await?;
            let tenant = create(&pool, &handle, open).await?;
            drop(handle);
            for task in tasks {
                task.await?;
            }
            if json {
                output::print_json(&serde_json::json!({"tenant": tenant.0, "code": code}))?;
            } else {
                output::print(&format!(
                    "tenant {code} has number {tenant}; next: ledgerd key create --tenant {code} --name first"
                ))?;
            }
        }
        Verb::List => list(&pool, json).await?,
        Verb::Suspend { code } => set_suspended(&pool, &code, true).await?,
        Verb::Resume { code } => set_suspended(&pool, &code, false).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The word of a chart of accounts.
fn chart(word: &str) -> Result<ChartTemplate, serde_json::Error> {
    serde_json::from_value(serde_json::Value::from(word))
}

fn describe(code: &str, name: Option<&str>, currency: &str, currency_scale: Option<u8>) -> Result<OpenTenant> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        !code.is_empty() && code.len() <= CODE_CHARS_MAX && code.chars().all(allowed),
        "a tenant code has 1 to {CODE_CHARS_MAX} lower-case letters, digits and dashes"
    );
    let known = CurrencyCode::parse(currency).context("a currency is an ISO 4217 code such as EUR")?;
    let currency_scale = currency_scale.or_else(|| currency::scale(&known));
    let currency_scale =
        currency_scale.with_context(|| format!("ISO 4217 has no currency {currency}; say its --currency-scale"))?;
    Ok(OpenTenant {
        code: Text::parse(code)?,
        name: Text::parse(name.unwrap_or(code))?,
        currency: Text::parse(currency)?,
        currency_scale,
        ..OpenTenant::default()
    })
}

/// Registers a tenant and opens its log. Again with the same words: the same tenant.
pub(crate) async fn create(pool: &PgPool, handle: &pipeline::Handle, open: OpenTenant) -> Result<TenantId> {
    let tenant = store::tenant::register(pool, open.code.as_str()).await?;
    let context = Context { actor: Some(Text::parse("cli")?), ..Context::default() };
    let id = CommandId::from_key("ledgerd:open-tenant");
    let command = Command::new(id, Arc::new(context), vec![Action::OpenTenant(open)], uuid::Uuid::now_v7());
    match handle.submit(tenant, command).await.context("opening the tenant's log")?.outcome {
        Outcome::Accepted { .. } | Outcome::Unchanged => Ok(tenant),
        Outcome::Refused(refusal) => bail!("the tenant exists with other settings: {}", refusal.rejection.code()),
    }
}

async fn list(pool: &PgPool, json: bool) -> Result<()> {
    let tenants = store::tenant::list(pool).await?;
    let heads = store::read::heads(pool).await?;
    let position = |id: TenantId| heads.iter().find(|h| h.tenant == id).map_or(0, |h| h.position);
    if json {
        let rows: Vec<_> = tenants
            .iter()
            .map(|t| serde_json::json!({"tenant": t.id.0, "code": t.code, "position": position(t.id), "suspended": t.suspended}))
            .collect();
        return output::print_json(&rows);
    }
    let rows = tenants.iter().map(|t| {
        let state = if t.suspended { "suspended" } else { "active" };
        [t.id.to_string(), t.code.clone(), position(t.id).to_string(), state.to_owned()]
    });
    output::print(&output::table(["tenant", "code", "position", "state"], rows))
}

async fn set_suspended(pool: &PgPool, code: &str, suspended: bool) -> Result<()> {
    ensure!(store::tenant::set_suspended(pool, code, suspended).await?, "there is no tenant {code}");
    output::print(&format!("tenant {code} is {}", if suspended { "suspended" } else { "active" }))
}
