//! Ready answers that the projector leaves in Redis.
//!
//! **Correctness**: 1. The cache is asked, never believed: a value counts only if it parses, names the key it was asked by,
//! has no hold that lapsed meanwhile and is new enough ([`is_fresh`]). 2. A cache that is away, slow or full of rubbish
//! costs [`CACHE_TIME_MAX`] once and is left alone for [`CACHE_PAUSE`]; the database answers instead.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ledger_core::domain::id::Position;
use ledger_core::domain::time::Timestamp;
use ledger_core::view::{Cached, is_fresh};
use metrics::Counter;
use redis::aio::ConnectionManager;
use serde::de::DeserializeOwned;

use crate::limit::{CACHE_PAUSE, CACHE_TIME_MAX};

/// See the module.
pub(crate) struct Cache {
    connection: Option<ConnectionManager>,
    started: Instant,
    /// Milliseconds after `started` until which the cache is left alone.
    paused_until: AtomicU64,
    hits: Counter,
    misses: Counter,
    failures: Counter,
}

impl Cache {
    pub(crate) fn new(connection: Option<ConnectionManager>) -> Self {
        let counter = |outcome: &'static str| metrics::counter!("ledger_cache_reads_total", "outcome" => outcome);
        Self {
            connection,
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
            hits: counter("hit"),
            misses: counter("miss"),
            failures: counter("failure"),
        }
    }

    /// True when there is a cache to ask; `None` when none was configured.
    pub(crate) async fn is_up(&self) -> Option<bool> {
        let mut connection = self.connection.clone()?;
        let ping = async move { redis::cmd("PING").query_async::<String>(&mut connection).await };
        Some(matches!(tokio::time::timeout(CACHE_TIME_MAX, ping).await, Ok(Ok(_))))
    }

    /// Usable values of some keys, in their order.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        keys: &[String],
        now: Timestamp,
        position_min: Option<Position>,
    ) -> Vec<Option<Cached<T>>> {
        let Some(values) = self.read(keys).await else { return keys.iter().map(|_| None).collect() };
        let usable = |(value, key): (Option<Vec<u8>>, &String)| {
            let cached = value.and_then(|bytes| serde_json::from_slice::<Cached<T>>(&bytes).ok());
            let cached = cached.filter(|cached| cached.key == *key && is_fresh(cached, now, position_min));
            if cached.is_some() {
                self.hits.increment(1)
            } else {
                self.misses.increment(1)
            }
            cached
        };
        values.into_iter().zip(keys).map(usable).collect()
    }

    async fn read(&self, keys: &[String]) -> Option<Vec<Option<Vec<u8>>>> {
        let mut connection = self.connection.clone()?;
        if self.elapsed() < self.paused_until.load(Ordering::Relaxed) {
            return None;
        }
        let mut command = redis::cmd("MGET");
        command.arg(keys);
        // Dropping this at the deadline leaves no connection half used: replies are matched to requests by the client.
        let reply = tokio::time::timeout(CACHE_TIME_MAX, command.query_async::<Vec<Option<Vec<u8>>>>(&mut connection)).await;
        match reply {
            Ok(Ok(values)) if values.len() == keys.len() => Some(values),
            Ok(Ok(_)) | Ok(Err(_)) | Err(_) => {
                self.failures.increment(1);
                let pause = u64::try_from(CACHE_PAUSE.as_millis()).unwrap_or(u64::MAX);
                self.paused_until.store(self.elapsed().saturating_add(pause), Ordering::Relaxed);
                None
            }
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
