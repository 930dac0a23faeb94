//! `ledgerd project`.

use std::process::ExitCode;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::connect::Urls;
use crate::node;
use crate::signing::Signing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    interval: super::CheckpointInterval,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let key_file = args.signing.file(&args.urls)?;
    let urls = args.urls.resolve()?;
    let parts = node::connect(&urls).await?;
    let stop = CancellationToken::new();
    let audit = node::Audit::start(&parts, &args.signing, key_file, stop.clone()).await?;
    let checkpointer = audit.checkpointer(&parts, args.interval.time(), stop.clone());
    let (handle, task) = node::projector(&parts, &urls, stop.clone());
    node::told_to_stop().await?;
    stop.cancel();
    drop(handle);
    task.await??;
    checkpointer.await?;
    parts.finish().await?;
    Ok(ExitCode::SUCCESS)
}
