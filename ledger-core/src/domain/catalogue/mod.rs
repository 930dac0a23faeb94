//! Items, locations, accounts and posting rules: what the other commands name.

mod chart;
pub mod command;
pub(crate) mod decide;
pub mod event;
