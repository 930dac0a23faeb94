//! `ledgerd up`: everything on this machine, with something to look at.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use ledger_core::store::api_key;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connect::{KNOWN_FILE, Known, Urls};
use super::output;
use crate::signing::{self, Signing};
use crate::supervisor::{self, Source};
use crate::{demo, node};

/// Where it listens if nobody says otherwise; another port when this one is taken.
const LISTEN: &str = "127.0.0.1:8080";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; 127.0.0.1:8080, or a free port when that is taken.
    #[arg(long, env = "LEDGERD_LISTEN")]
    listen: Option<SocketAddr>,
    /// Do not make the demo tenant.
    #[arg(long)]
    no_demo: bool,
    /// Do not install missing servers.
    #[arg(long)]
    no_install: bool,
    #[command(flatten)]
    interval: super::CheckpointInterval,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let options = supervisor::Options {
        data_dir: args.urls.data_dir.clone(),
        database: Source::from(args.urls.database_url.clone()),
        redis: Source::from(args.urls.redis_url.clone()),
        nats: Source::from(args.urls.nats_url.clone()),
        install: if args.no_install { supervisor::Install::Never } else { supervisor::Install::WhenMissing },
        ..supervisor::Options::service(supervisor::guard::this_program())
    };
    let started = tokio::task::spawn_blocking(move || supervisor::start(options)).await?;
    let servers = match started {
        Ok(servers) => servers,
        Err(error) => match error.downcast_ref::<supervisor::AlreadyRunning>() {
            // What was asked for is so.
            Some(running) => {
                output::print(&running.to_string())?;
                return Ok(ExitCode::SUCCESS);
            }
            None => return Err(error),
        },
    };
    let done = live(&args, &servers).await;
    tokio::task::spawn_blocking(move || servers.stop()).await??;
    done?;
    output::print("stopped; the data is kept")?;
    Ok(ExitCode::SUCCESS)
}

async fn live(args: &Args, servers: &supervisor::Running) -> Result<()> {
    let urls = Urls {
        database_url: Some(servers.database_url.clone()),
        redis_url: servers.redis_url.clone(),
        nats_url: servers.nats_url.clone(),
        ..args.urls.clone()
    };
    ledger_core::store::migrate(urls.database()?).await.context("migrating")?;
    let parts = node::connect(&urls).await?;
    let dir = supervisor::data_dir(args.urls.data_dir.as_deref())?;
    let (stop, projecting) = (CancellationToken::new(), CancellationToken::new());
    let key_file = signing_keys(&args.signing, &dir)?;
    let audit = node::Audit::start(&parts, &args.signing, Some(key_file), projecting.clone()).await?;
    let keys = audit.keys.clone();
    let demo_key = if args.no_demo { None } else { Some(make_demo(&parts, &dir).await?) };
    let listener = listen(args.listen).await?;
    let address = format!("http://{}", listener.local_addr()?);
    remember(&dir, &urls, &address)?;
    servers.announce(&address)?;

    let (handle, projector) = node::projector(&parts, &urls, projecting.clone());
    let checkpointer = audit.checkpointer(&parts, args.interval.time(), projecting.clone());
    let feed = node::Feed::of(&handle);
    let replicas = urls.replicas(node::POOL_CONNECTIONS_MAX)?;
    let api = node::api(parts.pool.clone(), replicas, urls.redis_url.as_deref(), parts.pipeline.clone(), feed, keys).await?;
    let serving = tokio::spawn(node::serve(api, listener, stop.clone()));
    output::print(&welcome(servers, &address, demo_key.as_deref()))?;
    node::told_to_stop().await?;
    output::print("\nstopping …")?;
    stop.cancel();
    serving.await??;
    projecting.cancel();
    drop(handle);
    projector.await??;
    checkpointer.await?;
    parts.finish().await
}

async fn listen(wanted: Option<SocketAddr>) -> Result<TcpListener> {
    match wanted {
        Some(address) => TcpListener::bind(address).await.with_context(|| format!("listening on {address}")),
        None => match TcpListener::bind(LISTEN).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(TcpListener::bind("127.0.0.1:0").await?),
            bound => bound.with_context(|| format!("listening on {LISTEN}")),
        },
    }
}

/// The keys that sign checkpoints: the file that is named, or one of its own, made at the first start.
fn signing_keys(signing: &Signing, dir: &Path) -> Result<PathBuf> {
    if let Some(file) = &signing.signing_keys {
        return Ok(file.clone());
    }
    let file = signing::data_file(Some(dir))?;
    if !file.exists() {
        signing::create(&file, signing.name())?;
    }
    Ok(file)
}

/// The demo tenant, and the key to it: made once, kept where only the owner reads.
async fn make_demo(parts: &node::Parts, dir: &Path) -> Result<String> {
    let (tenant, _) = demo::seed(&parts.pool, &parts.pipeline).await?;
    let file = dir.join("demo.key");
    if let Ok(kept) = std::fs::read_to_string(&file) {
        let known = match api_key::parse(kept.trim()) {
            Some(parsed) => {
                api_key::find(&parts.pool, tenant, parsed.id).await?.is_some_and(|k| !k.revoked && k.hash == parsed.hash)
            }
            None => false,
        };
        if known {
            return Ok(kept.trim().to_owned());
        }
    }
    let key = api_key::create(&parts.pool, tenant, "demo", None).await?;
    write_private(&file, key.text.as_bytes())?;
    Ok(key.text)
}

fn remember(dir: &Path, urls: &Urls, http: &str) -> Result<()> {
    let known = Known {
        database_url: urls.database()?.to_owned(),
        redis_url: urls.redis_url.clone(),
        nats_url: urls.nats_url.clone(),
        http: http.to_owned(),
    };
    write_private(&dir.join(KNOWN_FILE), &serde_json::to_vec(&known)?)
}

fn write_private(path: &PathBuf, bytes: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let write = || {
        let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(bytes)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn welcome(servers: &supervisor::Running, address: &str, key: Option<&str>) -> String {
    let mut text = format!(
        "{}\n\n  API      {address}\n  Docs     {address}/docs\n  Console  {address}/console\n",
        supervisor::table::render(&servers.parts)
    );
    let Some(key) = key else { return text };
    let curl = |name: &str, quantity: &str| {
        let body =
            format!(r#"{{"ttl_seconds":900,"lines":[{{"sku":"GRINDER-K6","location":"BERLIN","quantity":"{quantity}"}}]}}"#);
        format!(
            "curl -si {address}/v1/reservations -H 'Authorization: Bearer {key}' \\\n       -H 'Idempotency-Key: {name}' -H 'Content-Type: application/json' \\\n       -d '{body}'"
        )
    };
    text.push_str(&format!("  Key      {key}   (tenant {})\n", demo::TENANT));
    // What stands behind the # is not sent, so the key is in no log.
    text.push_str(&format!("\n  Open the console, signed in:  {address}/console/login#{key}\n\n"));
    text.push_str(&format!("  1. Reserve two grinders:\n     {}\n\n", curl("try-1", "2")));
    text.push_str(&format!(
        "  2. The same again changes nothing and answers the same (Idempotent-Replayed: true):\n     {}\n\n",
        curl("try-1", "2")
    ));
    text.push_str(&format!("  3. More than there are is refused, with what is available:\n     {}\n\n", curl("try-2", "9999")));
    text.push_str("  4. Replay everything and print the proof:  ledgerd verify --tenant demo\n\n  Ctrl-C stops everything; the data is kept.");
    text
}
