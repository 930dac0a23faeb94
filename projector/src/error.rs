//! Faults of the projector.

use ledger_core::domain::id::Position;
use ledger_core::store;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log could not be read.
    #[error("reading the log")]
    Store(#[from] store::Error),
    /// The views could not be read or written.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// A stored view row is not what this program writes.
    #[error("a view row cannot be read: {0}")]
    Row(String),
    /// An event does not fit the views before it.
    #[error("the event at position {position} does not fit the views: {what}")]
    Misfit {
        /// Where.
        position: Position,
        /// What is wrong.
        what: &'static str,
    },
    /// The rows in the database are a newer program's; what was to be written is not.
    #[error("rows of a newer version of this program stand in {0}; run that version")]
    Newer(String),
    /// It was told to end before it was done.
    #[error("stopped before its end")]
    Stopped,
    /// Views are being rebuilt already.
    #[error("another `ledgerd rebuild` is under way")]
    RebuildUnderWay,
    /// The copies could not take the views' places.
    #[error("the views were in use all the time, and the copies did not get their places; they are kept: run it again")]
    RebuildNoGap,
    /// A bug; what it was doing is given up.
    #[error("a task panicked")]
    Panic(#[source] tokio::task::JoinError),
    /// The broker said no, or could not be reached.
    #[error("broker: {0}")]
    Broker(String),
    /// The broker does not take a message and will not take it later.
    #[error("the broker refuses the message at position {position}: {why}")]
    Refused {
        /// Where.
        position: Position,
        /// What it said.
        why: String,
    },
}

impl From<ledger_core::audit::row::RowError> for Error {
    fn from(error: ledger_core::audit::row::RowError) -> Self {
        Self::Store(error.into())
    }
}

impl Error {
    /// True when trying again later may succeed without anything being mended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Database(_) | Self::Broker(_) => true,
            Self::Row(_) | Self::Misfit { .. } | Self::Refused { .. } | Self::Newer(_) | Self::Stopped | Self::Panic(_) => false,
            Self::RebuildUnderWay | Self::RebuildNoGap => false,
        }
    }
}
