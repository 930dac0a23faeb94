//! Proofs over the log.

pub mod bundle;
pub mod checkpoint;
pub mod keys;
pub mod leaf;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod replay;
pub mod row;
pub mod tree;
