//! Why following ended, or has to be tried again.

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker failed or is away.
    #[error("broker: {0}")]
    Broker(String),
    /// The log could not be read over HTTP now.
    #[error("reading the log: {0}")]
    Log(String),
    /// The key may not read the log, or the address is not a ledger's.
    #[error("the log refuses to be read: {status} {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What was said.
        detail: String,
    },
    /// A message or an event is not what this program knows.
    #[error("position {position}: {what}")]
    Malformed {
        /// Where, 0 where not even that is known.
        position: i64,
        /// What is wrong.
        what: String,
    },
    /// The broker or this subscriber is ahead of the log: the ledger was restored from an older backup, or this is another
    /// ledger.
    #[error("position {seen} was seen, but the log ends at {head}: is it another ledger, or an older one?")]
    Ahead {
        /// What was seen.
        seen: i64,
        /// Where the log ends.
        head: i64,
    },
    /// The store could not keep the effect.
    #[error("store: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// True when trying again later may succeed without anything being mended.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Broker(_) | Self::Log(_) => true,
            Self::Refused { .. } | Self::Malformed { .. } | Self::Ahead { .. } | Self::Store(_) => false,
        }
    }
}
