//! What every command says beside its body.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::{CommandId, TenantId};

use crate::auth::Principal;
use crate::header;
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Who sends a command, under which identity, deciding on which version.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) context: Arc<Context>,
    pub(crate) id: CommandId,
    version: Option<u64>,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let principal = Principal::from_request_parts(parts, api).await?;
        let headers = &parts.headers;
        let (id, version) = (header::command_id(headers)?, header::expected_version(headers)?);
        let context = traced(&principal, headers);
        Ok(Self { tenant: principal.tenant, context, id, version })
    }
}

/// The key's context, with the request's trace when it has one.
pub(crate) fn traced(principal: &Principal, headers: &axum::http::HeaderMap) -> Arc<Context> {
    match header::traceparent(headers) {
        None => Arc::clone(&principal.context),
        Some(trace) => Arc::new(Context { traceparent: Some(trace), ..Context::clone(&principal.context) }),
    }
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
