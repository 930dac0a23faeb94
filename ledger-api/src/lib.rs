//! The ledger over HTTP: commands, queries, problems, and the document that describes them.
//!
//! **Shape**: `router.rs` lists every route · `command/` turns bodies into actions for the pipeline · `query/` reads
//! the views · `auth/` says whose · `problem/` says no · `edge.rs` is around every request · `service.rs` accepts
//! connections · `openapi/` describes all of it from the same types · `console/` shows it to people.
//! **Correctness**: this crate decides nothing. What a command does is the domain's; that it happens once and wholly
//! is the pipeline's; which tenant it is for is the credential's. Nothing here writes to the log; jobs and webhooks, which
//! are not of it, go through `ledger_core::store`.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should stop"))]

mod asyncapi;
mod auth;
mod command;
mod console;
mod edge;
mod header;
mod health;
mod inside;
mod json;
mod limit;
mod metrics;
mod openapi;
mod options;
mod path;
mod problem;
mod query;
mod router;
mod service;
mod state;

pub use asyncapi::asyncapi;
pub use health::{FeedHealth, FeedState};
pub use inside::{Inside, InsideAnswer};
pub use metrics::install_metrics;
pub use openapi::{document, event_schemas};
pub use options::Options;
pub use service::{Error, Service};
pub use state::Resources;
