//! Holds: stock promised for a while, then committed, released or expired.

pub mod command;
pub(crate) mod decide;
pub mod event;
