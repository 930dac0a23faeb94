//! What accounts and postings are grouped by: account sets, dimensions, tax codes.

pub mod command;
pub(crate) mod decide;
pub mod event;
