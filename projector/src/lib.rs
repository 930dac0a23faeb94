//! Folds the tenant logs into views, Redis and NATS.
//!
//! **Shape**: heads and cursors → tenants with news ([`catch_up`]), of the shards this projector has ([`lease`]) → a page of
//! the log → [`view::Tables`] (pure fold of rows) → one transaction: rows and cursor → Redis. Beside it, per tenant, the
//! [`feed`]: log → JetStream → its cursor; the [`job`] worker, and the [`webhook`] endpoints it serves; and the [`trail`], for auditors: log → tree nodes and mentions → its cursor.
//! **Correctness**: 1. Exactly once: the transaction moves the cursor from the value the rows stand at; if another
//! projector was faster, nothing is written and the rows in memory are dropped. 2. Nothing is published or cached before
//! its commit, because both begin from what is committed. 3. Redis and NATS may be away: views go on, publishing resumes
//! from its own cursor. 4. A log that cannot be read stops its tenant alone, loudly ([`stop`]), and is tried again later.
//! 5. Several projectors share the work; nothing but the cursors keeps them right.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should stop"))]

pub mod audit;
mod catch_up;
mod error;
pub mod feed;
mod housekeeping;
pub mod job;
mod lease;
mod memory;
mod options;
mod page;
pub mod rebuild;
mod service;
pub mod sink;
mod stop;
mod tenant;
mod trail;
pub mod version;
pub mod view;
pub mod webhook;

pub use error::Error;
pub use housekeeping::{SWEEP, Sweep};
pub use lease::Leases;
pub use options::{Due, Options};
pub use service::{Handle, Service, keep};
