//! `ledgerd project`.

use std::process::ExitCode;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::connect::Urls;
use crate::node;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    urls: Urls,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let urls = args.urls.resolve()?;
    let parts = node::connect(&urls).await?;
    let stop = CancellationToken::new();
    let (handle, task) = node::projector(&parts, &urls, stop.clone());
    node::told_to_stop().await?;
    stop.cancel();
    drop(handle);
    task.await??;
    parts.finish().await?;
    Ok(ExitCode::SUCCESS)
}
