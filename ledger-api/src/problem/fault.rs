//! What is wrong with a request before the business is asked, and what is wrong with the machine.

use super::Kind;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident => $status:literal $code:literal $title:literal $(retry $retry:literal)?, $sentence:literal;)*) => {
        /// A fault by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $variant,)* }

        /// Kinds of faults, in the enum's order.
        pub(super) static KINDS: &[Kind] = &[$(faults!(@kind $status $code $title $($retry)?),)*];

        impl Fault {
            /// What is the same for every occurrence.
            pub(crate) const fn kind(self) -> &'static Kind {
                match self { $(Self::$variant => &faults!(@kind $status $code $title $($retry)?),)* }
            }

            /// What to tell when there is nothing more to say.
            pub(crate) const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
    (@kind $status:literal $code:literal $title:literal $($retry:literal)?) => {
        Kind { code: $code, status: $status, title: $title, page: include_str!(concat!($code, ".md")), retry_after: faults!(@retry $($retry)?) }
    };
    (@retry) => { None };
    (@retry $retry:literal) => { Some($retry) };
}

faults! {
    /// The body is not what the schema says.
    Malformed => 400 "malformed" "Malformed request", "the request is not well formed";
    /// A header cannot be read.
    HeaderInvalid => 400 "header_invalid" "Header invalid", "a header cannot be read";
    /// A path or query parameter cannot be read.
    ParameterInvalid => 400 "parameter_invalid" "Parameter invalid", "a parameter cannot be read";
    /// A cursor that was not handed out for this list.
    CursorInvalid => 400 "cursor_invalid" "Cursor invalid", "the cursor was not handed out for this list";
    /// No `Idempotency-Key`.
    IdempotencyKeyMissing => 400 "idempotency_key_missing" "Idempotency key missing", "a command needs an Idempotency-Key header";
    /// An `Idempotency-Key` that is none.
    IdempotencyKeyInvalid => 400 "idempotency_key_invalid" "Idempotency key invalid", "an idempotency key has 1 to 255 printable ASCII characters";
    /// `If-Match` and `expected_version` differ.
    ExpectedVersionAmbiguous => 400 "expected_version_ambiguous" "Expected version ambiguous", "If-Match and expected_version name different versions";
    /// The path names one thing and the body another.
    PathBodyMismatch => 400 "path_body_mismatch" "Path and body differ", "the path names one thing and the body another";
    /// No valid credential.
    Unauthenticated => 401 "unauthenticated" "Not authenticated", "a valid API key is needed";
    /// The tenant takes no calls.
    TenantSuspended => 403 "tenant_suspended" "Tenant suspended", "this tenant takes no calls at present";
    /// The key's tenant has no log.
    UnknownTenant => 403 "unknown_tenant" "Tenant not open", "this tenant's log has not been opened";
    /// No such path.
    NotFound => 404 "not_found" "Not found", "there is nothing at this path";
    /// No such stream.
    UnknownStream => 404 "unknown_stream" "Unknown stream", "there is no such stream";
    /// The path takes other methods.
    MethodNotAllowed => 405 "method_not_allowed" "Method not allowed", "this path does not take this method; see Allow";
    /// The body did not arrive in time.
    RequestTimeout => 408 "request_timeout" "Request timeout", "the body did not arrive in time";
    /// The same command is being worked on.
    CommandInProgress => 409 "command_in_progress" "Command in progress" retry 1, "a command with this idempotency key is being worked on";
    /// The job does not stand so that this could be done.
    JobState => 409 "job_state" "Job state", "the job does not stand so that this could be done";
    /// Over the body limit.
    BodyTooLarge => 413 "body_too_large" "Body too large", "the body is larger than this path takes";
    /// Over the batch limit.
    BatchTooLong => 413 "batch_too_long" "Batch too long", "a batch may have at most 8192 commands";
    /// Not JSON.
    UnsupportedMediaType => 415 "unsupported_media_type" "Unsupported media type", "the body must be application/json";
    /// More rows than a report shows.
    ResultTooLarge => 422 "result_too_large" "Result too large", "the answer would have more rows than one answer may have";
    /// The tenant has as many webhooks as it may have.
    TooManyWebhooks => 422 "too_many_webhooks" "Too many webhooks", "a tenant may have at most 50 webhooks";
    /// A webhook's URL leads where nothing is to be sent.
    WebhookUrlRefused => 422 "webhook_url_refused" "Webhook URL refused", "messages go to https URLs at public addresses only";
    /// As many jobs wait as may wait.
    TooManyJobs => 429 "too_many_jobs" "Too many jobs" retry 60, "as many jobs of this tenant wait as may wait at once";
    /// A bug.
    Internal => 500 "internal" "Internal error", "something went wrong here; it has been logged";
    /// What is stored is not what was appended.
    LogDamaged => 500 "log_damaged" "Log damaged", "what is stored of this log is not what was appended; nothing is proven of it";
    /// Nothing to sign with.
    NoSigningKey => 503 "no_signing_key" "No signing key", "this node has no key to sign checkpoints with";
    /// The queue is full.
    Busy => 503 "busy" "Busy" retry 1, "more is asked than can be done at present";
    /// A part is down.
    Unavailable => 503 "unavailable" "Unavailable" retry 1, "the database cannot be reached at present";
    /// Committed or not: not known yet.
    OutcomeUnknown => 503 "outcome_unknown" "Outcome unknown" retry 1, "whether the command was recorded is not known yet; ask again with the same idempotency key";
    /// The tenant's log was stopped.
    TenantStopped => 503 "tenant_stopped" "Tenant stopped" retry 60, "this tenant's log was stopped because of a fault in its data";
    /// The process is about to end.
    ShuttingDown => 503 "shutting_down" "Shutting down" retry 1, "this node is shutting down";
    /// The views have not reached the position asked for.
    Behind => 503 "behind" "Behind" retry 1, "the views have not reached this position yet";
    /// Not answered in time.
    DeadlineExceeded => 503 "deadline_exceeded" "Deadline exceeded" retry 1, "the request was not answered in time; a command may still complete: ask again with the same idempotency key";
}
