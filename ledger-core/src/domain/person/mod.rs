//! People, of whom the log holds an opaque id and a salted commitment and nothing else.
//!
//! **Shape**: what is known of a person (name, address …) lies with its salt in a table beside the log
//! ([`crate::store::person`](crate::store)); the fact says who and the commitment to it.
//! **Correctness**: with data and salt anybody can compute the commitment again and so prove what was recorded; once both
//! are erased, the commitment is 32 bytes that fit every data alike, and the log, its hashes and its proofs are as before.

pub mod command;
pub mod commitment;
pub(crate) mod decide;
pub mod event;
