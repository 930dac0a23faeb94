//! The demo tenant: a coffee roaster's stock, orders and accounts, so that there is something to look at.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use ledger_core::domain::catalogue::command::OpenTenant;
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::id::{CommandId, TenantId, Text};
use ledger_core::pipeline::{self, Outcome};
use sqlx::postgres::PgPool;

use crate::cli::create_tenant;

/// Code of the demo tenant.
pub(crate) const TENANT: &str = "demo";

/// Its commands, one per line; each has a key, so that a second start finds them done.
const COMMANDS: &str = include_str!("demo.ndjson");

#[derive(serde::Deserialize)]
struct Keyed {
    key: String,
    #[serde(flatten)]
    action: serde_json::Value,
}

/// Makes the tenant and its history, or finds them made. Answers the tenant and the position it stands at.
pub(crate) async fn seed(pool: &PgPool, pipeline: &pipeline::Handle) -> Result<(TenantId, i64)> {
    let open = OpenTenant {
        code: Text::parse(TENANT)?,
        name: Text::parse("Demo Coffee Roasters")?,
        currency: Text::parse("EUR")?,
        currency_scale: 2,
        ..OpenTenant::default()
    };
    let tenant = create_tenant(pool, pipeline, open).await?;
    let context = Arc::new(Context { actor: Some(Text::parse("demo")?), ..Context::default() });
    let mut commands = Vec::new();
    for line in COMMANDS.lines() {
        let Keyed { key, action } = serde_json::from_str(line)?;
        let action: Action = serde_json::from_value(action).with_context(|| format!("demo command {key}"))?;
        commands.push(Command::new(CommandId::from_key(&key), Arc::clone(&context), vec![action], uuid::Uuid::now_v7()));
    }
    let mut position = 0;
    for answer in pipeline.submit_many(tenant, commands).await {
        let answer = answer.context("seeding the demo tenant")?;
        position = position.max(answer.position);
        if let Outcome::Refused(refusal) = answer.outcome {
            bail!("a demo command was refused: {}", refusal.rejection.code());
        }
    }
    Ok((tenant, position))
}
