//! Follows one tenant's events: each once, in order, none missing.
//!
//! ```no_run
//! # use std::collections::BTreeMap;
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ledger_subscriber::{Event, FileStore, Options, Subscriber};
//! use tokio_util::sync::CancellationToken;
//!
//! // The effect of an event, and the position it is kept with.
//! let store = FileStore::open("seen.json", BTreeMap::new(), |seen: &mut BTreeMap<String, u64>, event: &Event| {
//!     *seen.entry(event.r#type.clone()).or_default() += 1;
//! })?;
//! let options = Options::new("nats://127.0.0.1:4222", "http://127.0.0.1:8080", "lk_…", "acme", "seen");
//! Subscriber::new(options, store).run(CancellationToken::new()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Shape**: a durable pull consumer of the tenant's subjects → messages → compared with the last position → [`Store`].
//! What the broker does not have is read from `GET /v1/events?after=`, and so is everything while there is no broker.
//! **Correctness**: positions of a tenant are 1, 2, 3 … without gaps, so arithmetic is enough. 1. A position not above the
//! last one is a duplicate and is dropped. 2. The next one is applied, with its position in the same step: a crash between
//! effect and position cannot happen, because there is no between; that is the [`Store`]'s one duty. 3. A position further
//! on is a gap: the log is read over HTTP up to it. 4. A broker that lost its newest messages shows no gap until the next
//! one: so when nothing comes for a while the log is looked at. 5. A message is acknowledged after its effect; what was
//! not is delivered again, see 1.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should stop"))]

mod error;
mod event;
mod feed;
mod log;
mod store;
mod subscriber;

pub use error::Error;
pub use event::Event;
pub use store::{FileError, FileStore, Store};
pub use subscriber::{Counts, Options, Subscriber};
