//! Request headers of the contract, as parameters.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

/// What a command takes beside its path and body.
pub(crate) struct CommandHeaders;

impl IntoParams for CommandHeaders {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [CommandKeyHeaders::into_params(&place), BatchHeaders::into_params(&place)].concat()
    }
}

/// What a batch takes, whose elements carry their own ids and versions.
pub(crate) struct BatchHeaders;

impl IntoParams for BatchHeaders {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        [DryRunHeader::into_params(&place), DryRunQuery::into_params(&place), TraceHeaders::into_params(&place)].concat()
    }
}

/// Headers of a command that names one stream.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "parameters of the document; parsed in `header`")]
struct CommandKeyHeaders {
    /// The caller's name for this command: 1 to 255 printable ASCII characters, bare or as a quoted string. Every command
    /// needs one, except a dry run, which leaves it unused.
    #[param(
        rename = "Idempotency-Key",
        nullable = false,
        min_length = 1,
        max_length = 257,
        pattern = "^[ -~]+$",
        example = "8e03978e-40d5-43dd-bc93-6894a57f9324"
    )]
    idempotency_key: Option<String>,
    /// The stream version decided on, as an `ETag` gave it. The same as `expected_version` in the body.
    #[param(rename = "If-Match", nullable = false, pattern = "^\"[0-9]{1,18}(-[0-9a-f]+)?\"$", example = "\"7\"")]
    if_match: Option<String>,
    /// `*`: the stream must not exist yet. The same as `expected_version: 0` in the body.
    #[param(rename = "If-None-Match", nullable = false, pattern = "^\\*$")]
    if_none_match: Option<String>,
}

/// The header of what is asked for once, and is no command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "parameters of the document; parsed in `header`")]
pub(crate) struct KeyHeaders {
    /// The caller's name for what is asked for: 1 to 255 printable ASCII characters. The same again is the same.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 257, pattern = "^[ -~]+$", example = "export-2026-11")]
    idempotency_key: String,
    /// Echoed when it has at most 128 bytes.
    #[param(rename = "X-Request-Id", nullable = false)]
    request_id: Option<String>,
}

/// How to ask first.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "parameters of the document; parsed in `header`")]
struct DryRunHeader {
    /// `true`: decides and answers as ever, with the whole `data` of every event, and records nothing.
    #[param(rename = "Dry-Run", nullable = false)]
    dry_run: Option<bool>,
}

/// The same where headers are hard to set.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "parameters of the document; parsed in `command::caller`")]
struct DryRunQuery {
    /// The same as the header `Dry-Run`.
    #[param(nullable = false)]
    dry_run: Option<bool>,
}

/// Headers of whatever is recorded.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "parameters of the document; parsed in `header`")]
struct TraceHeaders {
    /// W3C trace context; stored with each command. One that is malformed is ignored.
    #[param(rename = "traceparent", nullable = false)]
    traceparent: Option<String>,
    /// Ties the commands of one conversation together; stored with each command and found by `/v1/audit/trail`.
    #[param(rename = "X-Correlation-Id", nullable = false, min_length = 1, max_length = 256, example = "order-2041")]
    correlation_id: Option<String>,
    /// What made the caller ask; stored with each command.
    #[param(rename = "X-Causation-Id", nullable = false, min_length = 1, max_length = 256)]
    causation_id: Option<String>,
    /// Echoed when it has at most 128 bytes.
    #[param(rename = "X-Request-Id", nullable = false)]
    request_id: Option<String>,
}

/// Headers of a read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "parameters of the document; parsed in `header`")]
pub(crate) struct ReadHeaders {
    /// The answer must include every event up to this position. `head`: everything committed before the request arrived,
    /// through whichever node.
    #[param(rename = "Ledger-Min-Position", nullable = false, pattern = "^([0-9]{1,18}|head)$", example = "1042")]
    position_min: Option<String>,
    /// `wait=SECONDS`: how long to wait for that position; 5 if absent, at most 30.
    #[param(rename = "Prefer", nullable = false, example = "wait=5")]
    prefer: Option<String>,
    /// Tags of representations the caller has.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
    /// Echoed when it has at most 128 bytes.
    #[param(rename = "X-Request-Id", nullable = false)]
    request_id: Option<String>,
}
