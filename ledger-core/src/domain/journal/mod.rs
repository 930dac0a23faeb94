//! Journal entries posted by hand: at once or in two phases, in one currency or several, and their reversal.

pub mod command;
pub(crate) mod decide;
pub mod event;
pub(crate) mod exchange;
pub(crate) mod guard;
pub(crate) mod revalue;
