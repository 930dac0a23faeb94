//! Movements of goods: what comes in, goes out, is found, lost, revalued or carried elsewhere.

pub mod command;
pub(crate) mod decide;
pub mod event;
