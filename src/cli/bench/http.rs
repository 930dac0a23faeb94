//! The HTTP API over loopback, the load generator in the same process.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ledger_core::domain::id::TenantId;
use ledger_core::store::api_key;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::load::{quantile, sku};
use super::{Bench, Line, rate};
use crate::node;

/// Keep-alive connections.
const CONNECTIONS: usize = 64;
/// Commands of one call of `POST /v1/batches`.
const BATCH_COMMANDS: usize = 500;
/// Connections that send batches.
const BATCH_CONNECTIONS: usize = 4;

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) key: String,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Result<()>>,
}

pub(super) async fn serve(bench: &Bench, tenant: TenantId) -> Result<Server> {
    let key = api_key::create(&bench.pool, tenant, "bench", None).await?.text;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let keys = tokio::sync::watch::channel(None).1;
    let api = node::api(bench.pool.clone(), Vec::new(), None, bench.pipeline.clone(), node::Feed::default(), keys).await?;
    let stopped = stop.clone();
    let task = tokio::spawn(node::serve(api, listener, stopped));
    Ok(Server { address, key, stop, task })
}

/// One call: path, id, body.
type Call = (&'static str, String, Vec<u8>);

fn issue(items: usize, connection: usize, turn: usize) -> Call {
    let item = sku((connection * 7_919 + turn * 104_729) % items);
    let body = format!("{{\"sku\":\"{item}\",\"location\":\"MAIN\",\"quantity\":\"1\"}}");
    ("/v1/stock/issues", uuid::Uuid::now_v7().to_string(), body.into_bytes())
}

fn batch(items: usize, connection: usize, turn: usize) -> Call {
    let commands: Vec<_> = (0..BATCH_COMMANDS)
        .map(|n| {
            let item = sku((connection * 7_919 + (turn * BATCH_COMMANDS + n) * 104_729) % items);
            serde_json::json!({"id": uuid::Uuid::now_v7().to_string(), "type": "issue", "sku": item, "location": "MAIN", "quantity": "1"})
        })
        .collect();
    let body = serde_json::json!({"commands": commands}).to_string();
    ("/v1/batches", uuid::Uuid::now_v7().to_string(), body.into_bytes())
}

/// Calls from so many connections, each as soon as the one before is answered, or at a fixed pace. With a pace,
/// latency counts from when the call was due, so that a stall is charged to every call it delays.
async fn load(
    server: &Server,
    connections: usize,
    calls: usize,
    pace: Option<Duration>,
    make: impl Fn(usize, usize) -> Call + Copy + Send + 'static,
) -> Result<(Duration, Vec<Duration>)> {
    let mut tasks = Vec::new();
    let started = Instant::now();
    for connection in 0..connections {
        let mut client = Client::connect(server.address, &server.key).await?;
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let begin = Instant::now() + pace.unwrap_or_default() * u32::try_from(connection)? / u32::try_from(connections)?;
            for turn in 0..calls / connections {
                let due = match pace {
                    Some(pace) => {
                        let due = begin + pace * u32::try_from(turn)?;
                        tokio::time::sleep_until(due.into()).await;
                        due
                    }
                    None => Instant::now(),
                };
                let (path, id, body) = make(connection, turn);
                let status = client.post(path, &id, &body).await?;
                ensure!(status == 201 || status == 200, "answered {status}: {}", client.last_answer());
                latencies.push(due.elapsed());
            }
            anyhow::Ok(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    Ok((took, latencies))
}

/// Single commands and batches, against one server.
pub(super) async fn http(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    if !bench.wants("HTTP") {
        return Ok(());
    }
    let server = serve(bench, tenant).await?;
    singles(bench, &server).await?;
    batches(bench, &server).await?;
    server.stop().await
}

impl Server {
    pub(super) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.task.await?
    }
}

/// At full and at half load.
async fn singles(bench: &mut Bench, server: &Server) -> Result<()> {
    let items = bench.size.items;
    let (took, latencies) = load(server, CONNECTIONS, bench.size.commands / 2, None, move |c, t| issue(items, c, t)).await?;
    let full = rate(latencies.len(), took);
    bench.lines.push(Line {
        p50_micros: quantile(&latencies, 50),
        p99_micros: quantile(&latencies, 99),
        ..Line::new(format!("HTTP single commands, {CONNECTIONS} connections"), full, "closed loop")
    });
    // Each connection sends every `connections / (full / 2)` seconds.
    let pace = Duration::from_nanos(2_000_000_000 * u64::try_from(CONNECTIONS)? / full.max(1));
    let (took, latencies) =
        load(server, CONNECTIONS, bench.size.commands / 4, Some(pace), move |c, t| issue(items, c, t)).await?;
    bench.lines.push(Line {
        p50_micros: quantile(&latencies, 50),
        p99_micros: quantile(&latencies, 99),
        ..Line::new("HTTP single commands, half load", rate(latencies.len(), took), "open loop, latency from when due")
    });
    Ok(())
}

async fn batches(bench: &mut Bench, server: &Server) -> Result<()> {
    let items = bench.size.items;
    let calls = (bench.size.commands / BATCH_COMMANDS).max(BATCH_CONNECTIONS);
    let (took, latencies) = load(server, BATCH_CONNECTIONS, calls, None, move |c, t| batch(items, c, t)).await?;
    bench.lines.push(Line {
        p50_micros: quantile(&latencies, 50),
        p99_micros: quantile(&latencies, 99),
        ..Line::new(
            format!("HTTP batches of {BATCH_COMMANDS}, {BATCH_CONNECTIONS} connections"),
            rate(latencies.len() * BATCH_COMMANDS, took),
            "commands; latencies are of whole calls",
        )
    });
    Ok(())
}
