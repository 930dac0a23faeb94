//! The cache.
//!
//! **Shape**: changed values → a bounded map that keeps the newest per key → one task writes them in pipelines.
//! **Correctness**: 1. A value is applied only if what is there is older (a Lua call compares), so values may arrive in
//! any order and from several projectors. 2. What is in the cache is what was written there, unless a write failed, values
//! were dropped because too many waited, or a projector began, ended or gave its tenants to another in between: then older
//! values may stand where newer ones should, so all keys are removed before anything is written again. Removing is always right: a miss is answered by
//! the database. 3. Whatever happens (a cache that no projector reaches, one that was restored, a projector that was paused
//! in the middle of a write), a value ends [`TTL`] after its commit: its end is an instant of the cache's own clock, read
//! before the values are taken, so a pause afterwards can only shorten its life.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::IntoConnectionInfo;
use ::redis::aio::ConnectionManager;
use ledger_core::domain::id::{AccountCode, Sku, TenantId};
use ledger_core::view::{AccountView, Cached, StockView, account_cache_key, stock_cache_key};
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

/// Life of a value, from its commit.
const TTL: Duration = Duration::from_secs(60);
/// Time to write what is left when the projector ends.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// Values waiting to be written; beyond that the cache is emptied instead.
const WAITING_MAX: usize = 100_000;
/// Values of one pipeline.
const PIPELINE_MAX: usize = 1_000;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);
/// An idle connection is looked at this often, so that a cache that was away is not taken for the one before.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Keys looked at in one step of a purge.
const SCAN_COUNT: usize = 1_000;

const SET_IF_NEWER: &str = include_str!("set_if_newer.lua");

/// A value for the cache.
#[derive(Clone, Debug)]
pub struct Entry {
    key: String,
    as_of: i64,
    value: String,
    committed: Instant,
}

impl Entry {
    pub(crate) fn stock(tenant: TenantId, sku: &Sku, cached: Cached<StockView>) -> Option<Self> {
        Self::new(stock_cache_key(tenant, sku), cached)
    }

    pub(crate) fn account(tenant: TenantId, code: &AccountCode, cached: Cached<AccountView>) -> Option<Self> {
        Self::new(account_cache_key(tenant, code), cached)
    }

    fn new<T: serde::Serialize>(key: String, cached: Cached<T>) -> Option<Self> {
        let cached = Cached { key, ..cached };
        let value = serde_json::to_string(&cached).ok()?;
        Some(Self { key: cached.key, as_of: cached.as_of, value, committed: Instant::now() })
    }
}

#[derive(Debug)]
struct Waiting {
    values: HashMap<String, Entry>,
    /// What the cache holds may be stale.
    purge: bool,
}

/// The way to the cache.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    waiting: Arc<Mutex<Waiting>>,
    news: Arc<Notify>,
}

impl Sink {
    pub(crate) fn new() -> Self {
        let waiting = Waiting { values: HashMap::new(), purge: true };
        Self { waiting: Arc::new(Mutex::new(waiting)), news: Arc::new(Notify::new()) }
    }

    /// Leaves values to be written; never waits for the cache.
    pub(crate) async fn leave(&self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().await;
        for entry in entries {
            waiting.values.insert(entry.key.clone(), entry);
        }
        if waiting.values.len() > WAITING_MAX {
            waiting.values.clear();
            waiting.purge = true;
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// What the cache holds may be older than the views: it is emptied before anything is written again.
    pub(crate) async fn distrust(&self) {
        self.waiting.lock().await.purge = true;
        self.news.notify_one();
    }

    /// Writes until stopped, and then what is left, if the cache takes it. `ok` tells whether the cache answers.
    pub(crate) async fn run(self, url: String, ok: watch::Sender<bool>, stop: CancellationToken) {
        let mut connection: Option<ConnectionManager> = None;
        let mut farewell: Option<Instant> = None;
        let mut is_said = false;
        loop {
            if stop.is_cancelled() && *farewell.get_or_insert_with(Instant::now) + FAREWELL_MAX < Instant::now() {
                return;
            }
            let done = match &mut connection {
                Some(c) => self.write_some(c).await,
                None => connect(&url).await.map(|c| {
                    connection = Some(c);
                    true
                }),
            };
            ok.send_if_modified(|was| std::mem::replace(was, done.is_ok()) != done.is_ok());
            match done {
                Ok(true) => {}
                Ok(false) if stop.is_cancelled() => return,
                Ok(false) => {
                    is_said = false;
                    let idle = tokio::time::sleep(PROBE_INTERVAL);
                    tokio::select! { () = self.news.notified() => {} () = idle => {} () = stop.cancelled() => {} }
                }
                Err(error) => {
                    // Some values may be written and some not, or the cache is another one than before: what stands in
                    // their place may be older than they are.
                    self.waiting.lock().await.purge = true;
                    if !std::mem::replace(&mut is_said, true) {
                        tracing::warn!(error = &error as &dyn std::error::Error, "the cache cannot be written");
                    }
                    metrics::counter!("ledger_cache_write_failures_total").increment(1);
                    if stop.is_cancelled() {
                        return;
                    }
                    tokio::select! { () = tokio::time::sleep(PAUSE) => {} () = stop.cancelled() => {} }
                }
            }
        }
    }

    /// Purges, or writes some values; false when there was nothing to do.
    async fn write_some(&self, connection: &mut ConnectionManager) -> Result<bool, ::redis::RedisError> {
        if self.waiting.lock().await.purge {
            purge(connection).await?;
            self.waiting.lock().await.purge = false;
        }
        let (seconds, micros): (u64, u64) = ::redis::cmd("TIME").query_async(connection).await?;
        let now = Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros));
        let some: Vec<Entry> = {
            let waiting = self.waiting.lock().await;
            waiting.values.values().take(PIPELINE_MAX).cloned().collect()
        };
        if some.is_empty() {
            return Ok(false);
        }
        let mut pipeline = ::redis::pipe();
        for entry in &some {
            let end = now.saturating_add(TTL).saturating_sub(entry.committed.elapsed());
            pipeline.cmd("EVAL").arg(SET_IF_NEWER).arg(1).arg(&entry.key).arg(entry.as_of).arg(&entry.value);
            pipeline.arg(u64::try_from(end.as_millis()).unwrap_or(0)).ignore();
        }
        pipeline.query_async::<()>(connection).await?;
        let mut waiting = self.waiting.lock().await;
        for entry in &some {
            if waiting.values.get(&entry.key).is_some_and(|newest| newest.as_of == entry.as_of) {
                waiting.values.remove(&entry.key);
            }
        }
        metrics::counter!("ledger_cache_writes_total").increment(u64::try_from(some.len()).unwrap_or(0));
        Ok(true)
    }
}

async fn connect(url: &str) -> Result<ConnectionManager, ::redis::RedisError> {
    let config = ::redis::aio::ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(Duration::from_secs(5)))
        .set_number_of_retries(1);
    let info = url.into_connection_info()?;
    // A pipeline goes out in several packets; without this the last waits for the acknowledgement of the first.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    ConnectionManager::new_with_config(::redis::Client::open(info.set_tcp_settings(tcp))?, config).await
}

/// Empties the cache of what is ours.
///
/// # Errors
/// What the cache says.
pub async fn empty(url: &str) -> Result<(), ::redis::RedisError> {
    purge(&mut connect(url).await?).await
}

/// Removes every key of ours, a few at a time so that others are served meanwhile.
async fn purge(connection: &mut ConnectionManager) -> Result<(), ::redis::RedisError> {
    let mut cursor: u64 = 0;
    loop {
        let (next, keys): (u64, Vec<String>) = ::redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg("ledger:{*}:*")
            .arg("COUNT")
            .arg(SCAN_COUNT)
            .query_async(connection)
            .await?;
        if !keys.is_empty() {
            ::redis::cmd("UNLINK").arg(&keys).query_async::<()>(connection).await?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}
