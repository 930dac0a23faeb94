//! Transfers in two steps: what left one location and has not arrived at the other is owned and valued, not sellable.

pub mod command;
pub(crate) mod decide;
pub mod event;
