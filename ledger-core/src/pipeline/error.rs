//! Why a command has no answer. None of these is the business saying no.

/// A fault between a command and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The queue is full.
    #[error("too many commands are waiting")]
    Busy,
    /// There is no such tenant.
    #[error("unknown tenant")]
    UnknownTenant,
    /// The same command is running right now.
    #[error("a command with this id is in progress")]
    InProgress,
    /// The database cannot be written at the moment; nothing was.
    #[error("the ledger cannot be written at the moment")]
    Unavailable,
    /// The connection was lost during the commit and what happened could not be found out in time. Asking again with
    /// the same id tells.
    #[error("it is not known whether the command was recorded")]
    OutcomeUnknown,
    /// The tenant's log does not check; it takes no commands until it is looked at.
    #[error("the tenant is stopped because its log does not check")]
    TenantStopped,
    /// The process is going down.
    #[error("the ledger is shutting down")]
    ShuttingDown,
}
