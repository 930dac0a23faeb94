//! Proofs over the log.

pub mod checkpoint;
pub mod keys;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod proof;
#[cfg(feature = "postgres")]
pub mod replay;
pub mod tree;
