//! `ledgerd key`.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use ledger_core::domain::time::Timestamp;
use ledger_core::store::api_key;

use super::connect::{self, Urls};
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
    /// Make a key; its text is shown once and kept nowhere.
    #[command(after_help = "Example:\n  ledgerd key create --tenant acme --name checkout --expires 2027-01-01T00:00:00Z")]
    Create {
        #[arg(long)]
        tenant: String,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// RFC 3339 instant after which it is refused.
        #[arg(long)]
        expires: Option<String>,
    },
    /// List a tenant's keys, without their secrets.
    #[command(after_help = "Example:\n  ledgerd key list --tenant acme")]
    List {
        #[arg(long)]
        tenant: String,
    },
    /// Take a key back; servers notice within seconds.
    #[command(after_help = "Example:\n  ledgerd key revoke --tenant acme 0193f0c2a1b4")]
    Revoke {
        #[arg(long)]
        tenant: String,
        /// The key's id, as `list` shows it.
        id: String,
    },
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let pool = args.urls.resolve()?.pool().await?;
    match args.verb {
        Verb::Create { tenant, name, expires } => {
            let expires = expires.map(|t| Timestamp::parse(&t)).transpose().context("--expires")?;
            let key = api_key::create(&pool, connect::tenant(&pool, &tenant).await?, &name, expires).await?;
            if json {
                output::print_json(&serde_json::json!({"id": key.id, "key": key.text}))?;
            } else {
                output::print(&key.text)?;
            }
        }
        Verb::List { tenant } => {
            let keys = api_key::list(&pool, connect::tenant(&pool, &tenant).await?).await?;
            let expires = |k: &api_key::KeyRow| k.expires_at.map_or_else(String::new, |t| t.to_string());
            if json {
                let rows: Vec<_> = keys
                    .iter()
                    .map(|k| serde_json::json!({"id": k.id, "name": k.name, "expires": k.expires_at, "revoked": k.revoked}))
                    .collect();
                output::print_json(&rows)?;
            } else {
                let state = |k: &api_key::KeyRow| if k.revoked { "revoked" } else { "valid" }.to_owned();
                let rows = keys.iter().map(|k| [k.id.clone(), k.name.clone(), expires(k), state(k)]);
                output::print(&output::table(["id", "name", "expires", "state"], rows))?;
            }
        }
        Verb::Revoke { tenant, id } => {
            let revoked = api_key::revoke(&pool, connect::tenant(&pool, &tenant).await?, &id).await?;
            ensure!(revoked, "there is no valid key {id}");
            output::print(&format!("key {id} is revoked"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
