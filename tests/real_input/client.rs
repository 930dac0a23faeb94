//! The HTTP side: sends a request until it is answered, and on purpose sometimes twice.
//!
//! **Shape**: [`Client::send`] = [`Client::settle`] once or twice + the comparison; `settle` = attempts with pauses.
//! **Correctness**: every attempt of a request has the same key and the same body, so a lost answer is asked for again
//! instead of guessed. Only what a repeat can change is retried: 409 `command_in_progress`, 429, 503, a broken
//! connection. Two answers to one key must be equal to the last event, and at most one of them may be the first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::answer::{self, Answer, Reading};
use crate::options::Options;
use crate::request::{Kind, Request, Verb};

/// First pause before a request is sent again, doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// See [`PAUSE_MIN`].
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// No answer by then is a broken connection.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// Whether a request is sent a second time although it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Never,
    /// Right after the answer.
    After,
    /// Together with the first.
    Together,
}

/// What happened on the way.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) attempts: AtomicU64,
    pub(crate) repeated_after: AtomicU64,
    pub(crate) repeated_together: AtomicU64,
    pub(crate) in_progress: AtomicU64,
    pub(crate) unavailable: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) broken: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One tenant's access to a ledger.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
    patience: Duration,
    pub(crate) counters: Counters,
}

/// What one attempt came to.
enum Attempt<T> {
    Answered(T),
    /// Worth sending again, after this long at least.
    Later(String, Duration),
}

impl Client {
    pub(crate) fn new(options: &Options, key: &str) -> Result<Self> {
        ensure!(!key.is_empty(), "no API key: give --key or LEDGER_KEY");
        let http = reqwest::Client::builder()
            .timeout(ANSWER_TIME)
            .pool_max_idle_per_host(usize::from(options.clients) * 2)
            .tcp_nodelay(true)
            .build()?;
        let url = options.url.trim_end_matches('/').to_owned();
        let patience = Duration::from_secs(options.patience_seconds);
        Ok(Self { http, url, key: key.to_owned(), patience, counters: Counters::default() })
    }

    /// Sends a command until it is answered, twice when `repeat` says so, and compares the answers.
    pub(crate) async fn send(&self, request: &Request, repeat: Repeat) -> Result<Answer> {
        match repeat {
            Repeat::Never => self.settle(request).await,
            Repeat::After => {
                count(&self.counters.repeated_after);
                let first = self.settle(request).await?;
                let again = self.settle(request).await?;
                ensure!(again.replayed, "{}: sent again after its answer and not marked as a repetition", request.key);
                answer::same(request, &first, &again)?;
                Ok(first)
            }
            Repeat::Together => {
                count(&self.counters.repeated_together);
                let (one, other) = futures::future::try_join(self.settle(request), self.settle(request)).await?;
                ensure!(one.replayed || other.replayed, "{}: sent twice at once, and both are the first", request.key);
                answer::same(request, &one, &other)?;
                Ok(one)
            }
        }
    }

    async fn settle(&self, request: &Request) -> Result<Answer> {
        let build = || {
            let url = format!("{}{}", self.url, request.path);
            let builder = match request.verb {
                Verb::Put => self.http.put(url),
                Verb::Post => self.http.post(url),
            };
            let builder = match request.kind {
                Kind::Command => builder.header("Idempotency-Key", &request.key),
                Kind::Batch => builder,
            };
            builder.header(CONTENT_TYPE, "application/json").body(request.body.clone())
        };
        let name = format!("{} {}", request.path, request.key);
        self.until_answered(&name, build, |headers, body| answer::read(request, headers, body)).await
    }

    /// Reads a path from a state that includes `position`.
    pub(crate) async fn read(&self, path: &str, position: u64) -> Result<Value> {
        let build = || {
            let builder = self.http.get(format!("{}{path}", self.url));
            builder.header("Ledger-Min-Position", position).header("Prefer", "wait=30")
        };
        let read = |headers: &HeaderMap, body| {
            let shown = answer::position_shown(headers);
            ensure!(shown.is_some_and(|shown| shown >= position), "shows position {shown:?}, not {position}");
            Ok(Reading::Taken(body))
        };
        self.until_answered(path, build, read).await
    }

    /// Attempts with growing pauses until there is an answer that a repetition would not change.
    async fn until_answered<T>(
        &self,
        name: &str,
        build: impl Fn() -> RequestBuilder,
        read: impl Fn(&HeaderMap, Value) -> Result<Reading<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            let (reason, at_least) = match self.attempt(build(), &read).await.with_context(|| name.to_owned())? {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Later(reason, at_least) => (reason, at_least),
            };
            if started.elapsed() > self.patience {
                bail!("{name}: no answer for {} s; last: {reason}", self.patience.as_secs());
            }
            tokio::time::sleep(pause.max(at_least)).await;
            pause = pause.saturating_mul(2).min(PAUSE_MAX);
        }
    }

    async fn attempt<T>(
        &self,
        builder: RequestBuilder,
        read: impl Fn(&HeaderMap, Value) -> Result<Reading<T>>,
    ) -> Result<Attempt<T>> {
        count(&self.counters.attempts);
        let answered = async {
            let response = builder.bearer_auth(&self.key).send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, response.bytes().await?))
        };
        let (status, headers, bytes) = match answered.await {
            Ok(answered) => answered,
            Err(error) if reqwest::Error::is_builder(&error) => return Err(error.into()),
            Err(error) => {
                count(&self.counters.broken);
                return Ok(Attempt::Later(format!("{:#}", anyhow::Error::from(error)), Duration::ZERO));
            }
        };
        let said = String::from_utf8_lossy(&bytes);
        let counter = match self.transient(status, &said) {
            Some(counter) => counter,
            None => {
                ensure!(status.is_success(), "{status} {said}");
                let body = serde_json::from_slice(&bytes).with_context(|| format!("{status} {said}"))?;
                match read(&headers, body)? {
                    Reading::Taken(answer) => return Ok(Attempt::Answered(answer)),
                    Reading::InProgress => &self.counters.in_progress,
                    Reading::Unavailable => &self.counters.unavailable,
                }
            }
        };
        count(counter);
        // The command that is in progress ends long before the second that Retry-After speaks of.
        let pause = if status == StatusCode::CONFLICT { None } else { headers.get(RETRY_AFTER) };
        let seconds = pause.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
        Ok(Attempt::Later(format!("{status} {said}"), Duration::from_secs(seconds)))
    }

    /// Where to count an answer that the same request may change; `None` for one that stands.
    fn transient(&self, status: StatusCode, said: &str) -> Option<&AtomicU64> {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Some(&self.counters.rate_limited),
            StatusCode::CONFLICT if said.contains(answer::IN_PROGRESS) => Some(&self.counters.in_progress),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Some(&self.counters.unavailable)
            }
            _stands => None,
        }
    }
}
