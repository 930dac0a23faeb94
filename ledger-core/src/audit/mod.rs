//! Proofs over the log.

pub mod leaf;
pub mod merkle;
#[cfg(feature = "postgres")]
pub mod replay;
