//! The log as server-sent events (WHATWG HTML §9.2): what is there, then what comes.
//!
//! **Shape**: each stream reads pages after its last position; at the end of the log it looks again a few times a
//! second. Backpressure is the connection's: nothing is read before the last page was taken.
//! **Correctness**: positions have no gaps, so a client that goes on from `Last-Event-ID` misses and repeats nothing.

use std::convert::Infallible;
use std::time::Instant;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use ledger_core::domain::id::{Position, TenantId};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

use super::event::{EventBody, Filter, Found, find};
use crate::limit::{FEED_HEARTBEAT, FEED_POLL};
use crate::problem::{Fault, Problem};
use crate::state::Api;

struct Feed {
    api: Api,
    tenant: TenantId,
    filter: Filter,
    after: Position,
    spoke_at: Instant,
    _place: OwnedSemaphorePermit,
}

/// Opens a stream after a position.
///
/// # Errors
/// `busy` when too many are open.
pub(super) fn open(api: &Api, tenant: TenantId, filter: Filter, after: Position) -> Result<Response, Problem> {
    let place =
        Arc::clone(&api.feeds).try_acquire_owned().map_err(|_| Problem::new(Fault::Busy, "too many event streams are open"))?;
    let feed = Feed { api: api.clone(), tenant, filter, after, spoke_at: Instant::now(), _place: place };
    let pages = stream::unfold(feed, |mut feed| async move {
        let page = feed.next().await?;
        Some((Ok::<Bytes, Infallible>(page), feed))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Asks proxies not to collect the stream before passing it on.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

impl Feed {
    /// The next piece of the stream; `None` ends it, and the client comes back with `Last-Event-ID`.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // A client that is far behind would otherwise be served to the end of the log.
            if self.api.stopping.is_cancelled() {
                return None;
            }
            let found =
                self.api.detached(find(self.api.pool.clone(), self.tenant, self.filter.clone(), self.after)).await.ok()?;
            self.after = found.scanned_to;
            if !found.events.is_empty() {
                self.spoke_at = Instant::now();
                return written(&found);
            }
            if self.spoke_at.elapsed() >= FEED_HEARTBEAT {
                self.spoke_at = Instant::now();
                return Some(nothing_until(self.after));
            }
            if found.is_more {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(FEED_POLL) => {}
                () = self.api.stopping.cancelled() => return None,
            }
        }
    }
}

/// An event without data is none, but its `id` is remembered (§9.2.6): a filtered stream does not look again at what it has
/// looked at.
fn nothing_until(position: Position) -> Bytes {
    Bytes::from(format!(": nothing new\nid: {position}\n\n"))
}

fn written(found: &Found) -> Option<Bytes> {
    let mut text = Vec::with_capacity(found.events.len().saturating_mul(512));
    for stored in &found.events {
        let body = EventBody::from(stored);
        text.extend_from_slice(
            format!("id: {}\nevent: {}\ndata: ", stored.recorded.position, stored.recorded.fact.event.type_name()).as_bytes(),
        );
        // JSON has no line breaks outside its strings, and inside they are escaped: one data line.
        serde_json::to_writer(&mut text, &body).ok()?;
        text.extend_from_slice(b"\n\n");
    }
    Some(Bytes::from(text))
}
