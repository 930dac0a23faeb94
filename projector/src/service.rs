//! The projector's loops.
//!
//! **Shape**: [`Service::run`] keeps its parts going: leases, views ([`crate::catch_up`]), the cache, the feed, the trail,
//! and housekeeping.
//! **Correctness**: 1. When told to stop, every part finishes what it has begun. The cache ends after the views, so that
//! their last values reach it; the leases are given back when nothing is under way any more. 2. A part that panics is begun
//! again, loudly.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ledger_core::domain::id::TenantId;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::catch_up::Loop;
use crate::lease::{Keeper, Leases};
use crate::sink::redis::Sink;
use crate::{Error, Options, feed, housekeeping, trail};

/// Between the panic of a part and its next start.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// A projector, not running yet.
#[derive(Debug)]
pub struct Service {
    options: Options,
    nudged: Arc<Notify>,
    feed_nudged: Arc<Notify>,
    keeper: Keeper,
    leases: Leases,
    redis_ok: watch::Sender<bool>,
    broker_ok: watch::Sender<bool>,
    feed: watch::Sender<feed::State>,
    stopped: watch::Sender<HashSet<TenantId>>,
    lag: watch::Sender<i64>,
}

/// What others may ask of a projector. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    nudged: Arc<Notify>,
    feed_nudged: Arc<Notify>,
    leases: Leases,
    redis_ok: Option<watch::Receiver<bool>>,
    broker_ok: Option<watch::Receiver<bool>>,
    feed: watch::Receiver<feed::State>,
    stopped: watch::Receiver<HashSet<TenantId>>,
    lag: watch::Receiver<i64>,
}

impl Handle {
    /// There is work: do not wait for the next look.
    pub fn nudge(&self) {
        self.nudged.notify_one();
        self.feed_nudged.notify_one();
    }

    /// Which tenants it works for.
    #[must_use]
    pub fn leases(&self) -> Leases {
        self.leases.clone()
    }

    /// Whether the broker answers; none when nothing is published.
    #[must_use]
    pub fn broker(&self) -> Option<watch::Receiver<bool>> {
        self.broker_ok.clone()
    }

    /// How the feed is; none when nothing is published.
    #[must_use]
    pub fn feed(&self) -> Option<watch::Receiver<feed::State>> {
        self.broker_ok.as_ref().map(|_| self.feed.clone())
    }

    /// Whether the cache can be written; none when nothing is cached.
    #[must_use]
    pub fn cache(&self) -> Option<watch::Receiver<bool>> {
        self.redis_ok.clone()
    }

    /// Tenants whose log cannot be folded.
    #[must_use]
    pub fn stopped(&self) -> HashSet<TenantId> {
        self.stopped.borrow().clone()
    }

    /// Events the views are behind the logs, over all tenants.
    #[must_use]
    pub fn lag(&self) -> watch::Receiver<i64> {
        self.lag.clone()
    }
}

impl Service {
    /// A projector and the handle to it.
    #[must_use]
    pub fn new(options: Options) -> (Self, Handle) {
        let (nudged, feed_nudged) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (feed, feed_seen) = watch::channel(feed::State::default());
        let (redis_ok, redis_seen) = watch::channel(false);
        let (broker_ok, broker_seen) = watch::channel(false);
        let (stopped, stopped_seen) = watch::channel(HashSet::new());
        let (lag, lag_seen) = watch::channel(0);
        let (keeper, leases) = Keeper::new(options.pool.clone(), Arc::clone(&nudged));
        let handle = Handle {
            nudged: Arc::clone(&nudged),
            feed_nudged: Arc::clone(&feed_nudged),
            feed: feed_seen,
            leases: leases.clone(),
            redis_ok: options.redis_url.as_ref().map(|_| redis_seen),
            broker_ok: options.nats_url.as_ref().map(|_| broker_seen),
            stopped: stopped_seen,
            lag: lag_seen,
        };
        (Self { options, nudged, feed_nudged, keeper, leases, redis_ok, broker_ok, feed, stopped, lag }, handle)
    }

    /// Runs until stopped; finishes what is begun.
    ///
    /// # Errors
    /// None at present: faults are logged, counted and tried again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let (mut parts, mut last) = (JoinSet::new(), JoinSet::new());
        let (views_done, all_done) = (CancellationToken::new(), CancellationToken::new());
        let (keeper, done) = (self.keeper.clone(), all_done.clone());
        last.spawn(keep("leases", stop.clone(), move || keeper.clone().run(done.clone())));
        let sink = self.options.redis_url.clone().map(|url| {
            let (sink, ok, done) = (Sink::new(), self.redis_ok.clone(), views_done.clone());
            let part = sink.clone();
            parts.spawn(keep("cache", stop.clone(), move || part.clone().run(url.clone(), ok.clone(), done.clone())));
            sink
        });
        let options = &self.options;
        if let Some(url) = options.nats_url.clone() {
            let part = feed::Part {
                options: options.clone(),
                url,
                leases: self.leases.clone(),
                ok: self.broker_ok.clone(),
                state: self.feed.clone(),
                nudged: Arc::clone(&self.feed_nudged),
                stop: stop.clone(),
            };
            parts.spawn(keep("feed", stop.clone(), move || feed::run(part.clone())));
        }
        let (following, leases, part) = (options.clone(), self.leases.clone(), stop.clone());
        let begin = move || trail::run(following.clone(), leases.clone(), part.clone());
        parts.spawn(keep("trail", stop.clone(), begin));
        let (sampling, leases, part) = (options.clone(), self.leases.clone(), stop.clone());
        let begin = move || audit::sample::run(sampling.clone(), leases.clone(), part.clone());
        parts.spawn(keep("audit", stop.clone(), begin));
        let (options, leases, part) = (options.clone(), self.leases.clone(), stop.clone());
        let begin = move || housekeeping::run(options.clone(), leases.clone(), part.clone());
        parts.spawn(keep("housekeeping", stop.clone(), begin));
        self.views(sink).run(&stop).await;
        views_done.cancel();
        while parts.join_next().await.is_some() {}
        all_done.cancel();
        while last.join_next().await.is_some() {}
        Ok(())
    }

    fn views(self, sink: Option<Sink>) -> Loop {
        let Self { options, nudged, leases, stopped, lag, .. } = self;
        Loop { options, leases, sink, nudged, stopped, lag }
    }
}

/// Begins a part again should it panic.
pub async fn keep<F>(name: &'static str, stop: CancellationToken, part: impl Fn() -> F + Send)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(part()).await {
        tracing::error!(%error, part = name, "a part of the projector panicked");
        metrics::counter!("ledger_projector_panics_total").increment(1);
        tokio::select! { () = tokio::time::sleep(PANIC_PAUSE) => {} () = stop.cancelled() => return }
    }
}
