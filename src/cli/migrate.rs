//! `ledgerd migrate`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use ledger_core::store;

use super::connect::Urls;
use super::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    urls: Urls,
}

pub(crate) async fn run(args: &Args, json: bool) -> Result<ExitCode> {
    let urls = args.urls.clone().resolve()?;
    store::migrate(urls.database()?).await.context("migrating")?;
    if json {
        output::print_json(&serde_json::json!({"migrated": true}))?
    } else {
        output::print("the schema is up to date")?
    }
    Ok(ExitCode::SUCCESS)
}
