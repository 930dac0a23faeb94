//! `ledgerd serve`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connect::Urls;
use super::output;
use crate::node;
use crate::signing::Signing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "LEDGERD_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Run the projector in this process too.
    #[arg(long)]
    projector: bool,
    /// Bring the schema up to date first.
    #[arg(long)]
    migrate: bool,
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
    if args.migrate {
        ledger_core::store::migrate(urls.database()?).await.context("migrating")?;
    }
    let parts = node::connect(&urls).await?;
    let stop = CancellationToken::new();
    let projecting = CancellationToken::new();
    let audit = node::Audit::start(&parts, &args.signing, key_file, projecting.clone()).await?;
    let keys = audit.keys.clone();
    let projector = args.projector.then(|| node::projector(&parts, &urls, projecting.clone()));
    let checkpointer = args.projector.then(|| audit.checkpointer(&parts, args.interval.time(), projecting.clone()));
    let feed = projector.as_ref().map(|(handle, _)| node::Feed::of(handle)).unwrap_or_default();
    let replicas = urls.replicas(node::POOL_CONNECTIONS_MAX)?;
    let api = node::api(parts.pool.clone(), replicas, urls.redis_url.as_deref(), parts.pipeline.clone(), feed, keys).await?;
    let listener = TcpListener::bind(&args.listen).await.with_context(|| format!("listening on {}", args.listen))?;
    output::print(&format!("http://{}", listener.local_addr()?))?;
    let serving = tokio::spawn(node::serve(api, listener, stop.clone()));
    node::told_to_stop().await?;
    stop.cancel();
    serving.await??;
    projecting.cancel();
    if let Some((handle, task)) = projector {
        drop(handle);
        task.await??;
    }
    if let Some(task) = checkpointer {
        task.await?;
    }
    parts.finish().await?;
    Ok(ExitCode::SUCCESS)
}
