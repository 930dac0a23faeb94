//! Journal entries posted by hand, and their reversal.

pub mod command;
pub(crate) mod decide;
pub mod event;
