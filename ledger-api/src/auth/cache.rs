//! Rows of API keys, remembered for seconds.
//!
//! **Shape**: (tenant, key id) → row, or that there is none; at most [`KEYS_CACHED_MAX`].
//! **Correctness**: 1. A row is used for at most [`KEY_CACHE_TIME`], so a key taken back is refused everywhere by then.
//! 2. The secret is never here, only its hash, and is compared on every request. 3. From [`KEY_REFRESH_AGE`] on one
//! caller has the row read again while the others use the old one, so a busy key never waits for the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ledger_core::domain::command::Context;
use ledger_core::domain::id::{TenantId, Text};
use ledger_core::store::api_key::{self, KeyRow};
use tokio::sync::Semaphore;

use crate::limit::{KEY_CACHE_TIME, KEY_LOOKUPS_AT_ONCE_MAX, KEY_REFRESH_AGE, KEYS_CACHED_MAX};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// A key's row with what is made of it once.
#[derive(Debug)]
pub(crate) struct KnownKey {
    pub(crate) row: KeyRow,
    /// `key:<id>` as actor.
    pub(crate) context: Arc<Context>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Option<Arc<KnownKey>>,
    read_at: Instant,
    is_refreshing: bool,
}

enum Remembered {
    Usable(Option<Arc<KnownKey>>),
    /// As above, and this caller is the one to have it read again.
    Ageing(Option<Arc<KnownKey>>),
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct KeyCache {
    entries: Mutex<HashMap<(TenantId, Box<str>), Entry>>,
    lookups: Semaphore,
}

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self { entries: Mutex::new(HashMap::new()), lookups: Semaphore::new(KEY_LOOKUPS_AT_ONCE_MAX) }
    }

    /// The row of a key; `None` when there is no such key.
    ///
    /// # Errors
    /// `unavailable` when it is not remembered and the database cannot be asked.
    pub(crate) async fn find(&self, api: &Api, tenant: TenantId, id: &str) -> Result<Option<Arc<KnownKey>>, Problem> {
        match self.remembered(tenant, id) {
            Remembered::Usable(key) => Ok(key),
            Remembered::Ageing(key) => {
                let (api, id) = (api.clone(), Box::<str>::from(id));
                // Fails only while the database is away; the row is used until its time is over.
                tokio::spawn(async move { api.keys.read(&api, tenant, &id).await.map(drop) });
                Ok(key)
            }
            Remembered::Nothing => {
                let Ok(_place) = self.lookups.acquire().await else {
                    return Err(Problem::new(Fault::ShuttingDown, Fault::ShuttingDown.sentence()));
                };
                // Whoever waited for the place may find that another caller has read the row meanwhile.
                match self.remembered(tenant, id) {
                    Remembered::Usable(key) | Remembered::Ageing(key) => Ok(key),
                    Remembered::Nothing => self.read(api, tenant, id).await,
                }
            }
        }
    }

    fn remembered(&self, tenant: TenantId, id: &str) -> Remembered {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get_mut(&(tenant, Box::<str>::from(id))) else { return Remembered::Nothing };
        let age = entry.read_at.elapsed();
        if age >= KEY_CACHE_TIME {
            return Remembered::Nothing;
        }
        if age >= KEY_REFRESH_AGE && !entry.is_refreshing {
            entry.is_refreshing = true;
            return Remembered::Ageing(entry.key.clone());
        }
        Remembered::Usable(entry.key.clone())
    }

    async fn read(&self, api: &Api, tenant: TenantId, id: &str) -> Result<Option<Arc<KnownKey>>, Problem> {
        let (pool, name) = (api.pool.clone(), id.to_owned());
        let read_at = Instant::now();
        let row = api.detached(async move { api_key::find(&pool, tenant, &name).await }).await?;
        let key = row.map(|row| {
            let context = Context { actor: Text::parse(&format!("key:{}", row.id)).ok(), ..Context::default() };
            Arc::new(KnownKey { row, context: Arc::new(context) })
        });
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEYS_CACHED_MAX {
            entries.retain(|_, entry| entry.read_at.elapsed() < KEY_CACHE_TIME);
        }
        // Full of fresh entries: somebody guesses keys. Then nothing more is remembered, and lookups are bounded.
        let place = (tenant, Box::<str>::from(id));
        if entries.len() < KEYS_CACHED_MAX || entries.contains_key(&place) {
            entries.insert(place, Entry { key: key.clone(), read_at, is_refreshing: false });
        }
        Ok(key)
    }
}
