//! A subscriber of the kind that users write, with an effect that shows any loss, doubling or disorder.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ledger_subscriber::{Counts, Error, Event, FileStore, Options, Store, Subscriber};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Client, Node, Tenant, World};

/// Every event in it, in the order it was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Effect {
    pub(super) events: i64,
    digest: u64,
}

impl Effect {
    pub(super) fn take_in(&mut self, position: i64, r#type: &str, stream: &str, data: &serde_json::Value) {
        assert_eq!(position, self.events + 1, "a position was left out or came twice");
        let mut hasher = DefaultHasher::new();
        (self.digest, position, r#type, stream, data.to_string()).hash(&mut hasher);
        *self = Self { events: position, digest: hasher.finish() };
    }

    /// The same from the log itself, up to a position.
    pub(super) async fn of_log(c: &Client, head: i64) -> Self {
        let mut effect = Self::default();
        while effect.events < head {
            let page = c.get(&format!("/v1/events?after={}&limit=1000", effect.events)).await.expect(200);
            for event in page.json["data"].as_array().unwrap().iter().take(usize::try_from(head - effect.events).unwrap()) {
                let text = |name: &str| event[name].as_str().unwrap();
                effect.take_in(event["position"].as_i64().unwrap(), text("type"), text("stream"), &event["data"]);
            }
        }
        effect
    }
}

type Fold = fn(&mut Effect, &Event);

/// Keeps the effect in a file and shows how far it came.
pub(super) struct Shown {
    store: FileStore<Effect, Fold>,
    position: Arc<AtomicI64>,
}

impl Store for Shown {
    type Error = ledger_subscriber::FileError;

    async fn position(&mut self) -> Result<i64, Self::Error> {
        self.store.position().await
    }

    async fn apply(&mut self, events: &[Event]) -> Result<(), Self::Error> {
        self.store.apply(events).await?;
        self.position.store(self.store.state().events, Ordering::Release);
        Ok(())
    }
}

/// A running subscriber.
pub(super) struct Follower {
    pub(super) position: Arc<AtomicI64>,
    stop: CancellationToken,
    task: JoinHandle<Result<(Counts, Shown), Error>>,
}

impl Follower {
    pub(super) fn start(world: &World, node: &Node, tenant: &Tenant, durable: &str, file: &Path) -> Self {
        let mut options = Options::new(world.nats_url.as_deref().unwrap(), &node.url, &tenant.key, &tenant.code, durable);
        options.quiet_max = std::time::Duration::from_secs(2);
        let fold: Fold = |effect, event| effect.take_in(event.position, &event.r#type, &event.stream, &event.data);
        let (position, stop) = (Arc::new(AtomicI64::new(0)), CancellationToken::new());
        let store = FileStore::open(file, Effect::default(), fold).unwrap();
        position.store(store.state().events, Ordering::Release);
        let store = Shown { store, position: Arc::clone(&position) };
        let task = tokio::spawn(Subscriber::new(options, store).run(stop.clone()));
        Self { position, stop, task }
    }

    pub(super) fn at(&self) -> i64 {
        self.position.load(Ordering::Acquire)
    }

    /// As if its process were killed: whatever it was about to do does not happen.
    pub(super) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(super) async fn finish(self) -> (Counts, Effect) {
        self.stop.cancel();
        let (counts, shown) = self.task.await.unwrap().unwrap();
        (counts, *shown.store.state())
    }
}
