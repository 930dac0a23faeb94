//! Holds: stock promised for a while or for an order, then shipped, released or expired.

pub mod command;
pub(crate) mod decide;
pub mod event;
pub(crate) mod open;
