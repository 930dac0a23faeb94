//! Proofs over the log.

pub mod leaf;
pub mod merkle;
pub mod replay;
pub mod row;
