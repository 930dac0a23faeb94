//! Where views go besides the database.

pub mod redis;
