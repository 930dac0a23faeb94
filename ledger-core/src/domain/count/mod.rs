//! Stock counts: what is stored is the difference as of the moment counted, so that movements made meanwhile stay.

pub mod command;
pub(crate) mod decide;
pub mod event;
