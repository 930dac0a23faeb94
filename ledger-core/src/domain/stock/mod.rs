//! Movements of goods: what comes in, goes out, is found, lost, revalued or carried elsewhere.

pub mod bin;
pub mod command;
pub(crate) mod decide;
pub mod event;
pub(crate) mod kit;
pub(crate) mod origin;
pub(crate) mod place;
pub mod status;
pub(crate) mod value;
