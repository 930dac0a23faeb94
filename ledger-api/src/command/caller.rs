//! What every command says beside its body.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use ledger_core::domain::command::Context;
use ledger_core::domain::id::{CommandId, TenantId};
use serde::Deserialize;

use super::nobodys_id;
use crate::auth::Principal;
use crate::header::{self, CAUSATION_ID, CORRELATION_ID, DRY_RUN};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Who sends a command, under which identity, deciding on which version.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) context: Arc<Context>,
    pub(crate) id: CommandId,
    /// Decided and answered like any other, but nothing of it stays.
    pub(crate) dry_run: bool,
    version: Option<u64>,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let principal = Principal::from_request_parts(parts, api).await?;
        let headers = &parts.headers;
        let dry_run = is_dry_run(headers, &parts.uri)?;
        let (id, version) = (identity(headers, dry_run)?, header::expected_version(headers)?);
        let context = traced(&principal, headers)?;
        Ok(Self { tenant: principal.tenant, context, id, dry_run, version })
    }
}

/// The command's identity. A dry run needs no key; one that is given must still be one, but is not used up.
fn identity(headers: &HeaderMap, dry_run: bool) -> Result<CommandId, Problem> {
    match header::command_id(headers)? {
        _any_or_none if dry_run => Ok(nobodys_id()),
        Some(id) => Ok(id),
        None => Err(Problem::new(Fault::IdempotencyKeyMissing, Fault::IdempotencyKeyMissing.sentence())),
    }
}

/// What a command may say in its query.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandQuery {
    dry_run: Option<bool>,
}

/// Whether the caller only wants to know what would happen, by `Dry-Run: true` or `?dry_run=true`.
///
/// # Errors
/// Anything else in the query, and contradictions: a wish for a dry run that is not understood must not become a command.
pub(crate) fn is_dry_run(headers: &HeaderMap, uri: &Uri) -> Result<bool, Problem> {
    let query = match uri.query() {
        None => CommandQuery::default(),
        Some(_) => match Query::try_from_uri(uri) {
            Ok(Query(query)) => query,
            Err(rejection) => return Err(Problem::new(Fault::ParameterInvalid, rejection.body_text())),
        },
    };
    match (header::dry_run(headers)?, query.dry_run) {
        (Some(said), Some(asked)) if said != asked => Err(header::invalid(&DRY_RUN, "the query says otherwise")),
        (said, asked) => Ok(said.or(asked).unwrap_or(false)),
    }
}

/// The key's context, with what the request says of its trace, its conversation and its cause.
///
/// # Errors
/// `header_invalid` for an id that cannot be recorded.
pub(crate) fn traced(principal: &Principal, headers: &HeaderMap) -> Result<Arc<Context>, Problem> {
    let traceparent = header::traceparent(headers);
    let correlation_id = header::recorded_id(headers, &CORRELATION_ID)?;
    let causation_id = header::recorded_id(headers, &CAUSATION_ID)?;
    if traceparent.is_none() && correlation_id.is_none() && causation_id.is_none() {
        return Ok(Arc::clone(&principal.context));
    }
    Ok(Arc::new(Context { traceparent, correlation_id, causation_id, ..Context::clone(&principal.context) }))
}

impl Caller {
    /// Moves the header's version into the body's field.
    pub(crate) fn expect_version(&self, field: &mut Option<u64>) -> Result<(), Problem> {
        match (self.version, *field) {
            (None, _) => Ok(()),
            (Some(header), Some(body)) if header != body => {
                Err(Problem::new(Fault::ExpectedVersionAmbiguous, Fault::ExpectedVersionAmbiguous.sentence()))
            }
            (Some(header), _) => {
                *field = Some(header);
                Ok(())
            }
        }
    }

    /// For commands that name no single stream.
    pub(crate) fn expect_no_version(&self) -> Result<(), Problem> {
        if self.version.is_none() {
            return Ok(());
        }
        Err(Problem::new(Fault::HeaderInvalid, "if-match: a transaction names its versions per command, as expected_version"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(header: Option<&'static str>, uri: &'static str) -> Result<bool, &'static str> {
        let headers = header.map(|value| (DRY_RUN, HeaderValue::from_static(value))).into_iter().collect();
        is_dry_run(&headers, &Uri::from_static(uri)).map_err(|problem| problem.code())
    }

    #[test]
    fn a_dry_run_is_asked_for_in_plain_words_or_refused() {
        for (header, uri, want) in [
            (None, "/v1/x", Ok(false)),
            (Some("true"), "/v1/x", Ok(true)),
            (Some("false"), "/v1/x", Ok(false)),
            (None, "/v1/x?dry_run=true", Ok(true)),
            (None, "/v1/x?dry_run=false", Ok(false)),
            (Some("true"), "/v1/x?dry_run=true", Ok(true)),
            (Some("true"), "/v1/x?dry_run=false", Err("header_invalid")),
            (Some("yes"), "/v1/x", Err("header_invalid")),
            (Some(""), "/v1/x", Err("header_invalid")),
            (None, "/v1/x?dry_run=1", Err("parameter_invalid")),
            (None, "/v1/x?dry_run", Err("parameter_invalid")),
            (None, "/v1/x?dryrun=true", Err("parameter_invalid")),
            (None, "/v1/x?dry_run=true&dry_run=true", Err("parameter_invalid")),
        ] {
            assert_eq!(asked(header, uri), want, "{header:?} {uri}");
        }
    }

    #[test]
    fn a_dry_run_needs_no_key_and_takes_none() {
        let key = |value| HeaderMap::from_iter([(header::IDEMPOTENCY_KEY, HeaderValue::from_static(value))]);
        assert_eq!(identity(&key("k"), false).unwrap(), CommandId::from_key("k"));
        assert_ne!(identity(&key("k"), true).unwrap(), CommandId::from_key("k"));
        assert_ne!(identity(&HeaderMap::new(), true).unwrap(), identity(&HeaderMap::new(), true).unwrap());
        assert_eq!(identity(&HeaderMap::new(), false).unwrap_err().code(), "idempotency_key_missing");
        assert_eq!(identity(&key(""), true).unwrap_err().code(), "idempotency_key_invalid");
    }
}
