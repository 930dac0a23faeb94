//! The pure domain: no clock, no randomness, no I/O, no floats. Time and ids come in as arguments.
//!
//! `decide` says which facts a command makes of a state; `evolve` folds a fact into the state. Everything else here
//! is what those two need.

pub mod account;
pub mod allocation;
pub mod amount;
pub mod catalogue;
pub mod codec;
pub mod command;
pub mod count;
pub mod currency;
pub mod decider;
pub mod event;
pub mod id;
pub mod journal;
pub mod limit;
pub mod period;
pub mod person;
pub mod posting_rule;
pub mod rejection;
pub mod reservation;
#[cfg(feature = "openapi")]
pub mod shown;
pub mod state;
pub mod stock;
#[cfg(test)]
mod tests;
pub mod time;
pub mod transfer;
pub mod unit;
pub mod valuation;
