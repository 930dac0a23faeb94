//! The one integration binary. Every test starts private servers and the real `ledgerd` process, and goes through its
//! HTTP API, its command line or its database; nothing of ours is mocked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    missing_docs,
    reason = "a test that cannot go on should stop, and says what it measures"
)]

mod harness;
#[path = "../../src/supervisor/mod.rs"]
mod supervisor;

mod audit;
mod auditors;
mod cli;
mod commands;
mod console;
mod faults;
mod feed;
mod golden;
mod jobs;
mod money;
mod peers;
mod person;
mod projector;
mod proofs;
mod reads;
mod schemas;
mod sie;
mod stock;
mod tidy;
mod tigerbeetle;
mod trail;
