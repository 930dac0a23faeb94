//! Accounting periods: soft close, close with a seal, reopen, and the close of a fiscal year.
//!
//! A period is a calendar month, UTC. Closing one closes every earlier one with it, so what is closed is always a
//! prefix of time and a guard is one comparison.

pub mod command;
pub(crate) mod decide;
pub mod event;
mod month;
pub mod seal;

pub use month::{Month, MonthError};
