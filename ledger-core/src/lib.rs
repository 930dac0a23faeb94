//! The ledger: a pure domain, an append-only event store per tenant, a pipeline that decides and commits in groups,
//! and the proofs that nothing was changed. See the crate's README for the chapters.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a test that cannot go on should stop"))]

pub mod audit;
pub mod domain;
pub mod outward;
#[cfg(feature = "postgres")]
pub mod pipeline;
#[cfg(feature = "postgres")]
pub mod store;
pub mod view;
