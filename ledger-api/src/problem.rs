//! Every answer that says no: RFC 9457 `application/problem+json`.
//!
//! **Shape**: a [`Kind`] (code, status, title, page) + a detail and data of this occurrence = a [`Problem`]. Handlers
//! return it; [`render`](Problem::render) runs once at the edge, which knows the path it happened at.
//! **Correctness**: a kind cannot exist without its page (`include_str!`), and a rejection not without its kind (an
//! exhaustive match), so no code is ever shown that `/problems/{code}` does not explain.

mod fault;
pub(crate) mod pages;
mod rejected;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use ledger_core::domain::rejection::{Refusal, Rejection};
use ledger_core::{pipeline, store};
use serde_json::{Map, Value};

pub(crate) use fault::Fault;

/// Media type of every problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// What is the same for every occurrence of a code.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// Markdown for people.
    pub(crate) page: &'static str,
    /// Seconds after which the same request may pass.
    pub(crate) retry_after: Option<u32>,
}

/// Every kind there is.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    fault::KINDS.iter().chain(rejected::KINDS)
}

/// One thing wrong with a body, with its place as a JSON Pointer (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Flaw {
    pub(crate) pointer: String,
    pub(crate) detail: String,
}

/// One occurrence. Cheap to clone; the edge takes it out of the response's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Arc<Occurrence>);

#[derive(Clone, Debug)]
struct Occurrence {
    kind: &'static Kind,
    detail: Cow<'static, str>,
    data: Map<String, Value>,
    replayed: bool,
}

impl Problem {
    /// A fault of the request or of the machine, with the words for this occurrence.
    pub(crate) fn new(fault: Fault, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Occurrence { kind: fault.kind(), detail: detail.into(), data: Map::new(), replayed: false }))
    }

    /// A body that cannot be read.
    pub(crate) fn malformed(flaw: Flaw) -> Self {
        let detail = if flaw.pointer.is_empty() { flaw.detail.clone() } else { format!("{}: {}", flaw.pointer, flaw.detail) };
        let entry = serde_json::json!({ "pointer": flaw.pointer, "detail": flaw.detail });
        Self::new(Fault::Malformed, detail).with("errors", Value::Array(vec![entry]))
    }

    /// The business says no.
    pub(crate) fn refused(refusal: &Refusal, replayed: bool) -> Self {
        let rejection = &refusal.rejection;
        let (kind, detail) = rejected::describe(rejection);
        let mut data = match serde_json::to_value(rejection) {
            Ok(Value::Object(data)) => data,
            // Rejections are plain structs with text keys; were one not, its code and detail still tell the story.
            _no_data => Map::new(),
        };
        data.remove("code");
        // `status` means the HTTP status here.
        if let Some(status) = data.remove("status") {
            let whose = if data.contains_key("entry") { "entry_status" } else { "reservation_status" };
            data.insert(whose.into(), status);
        }
        if let Some(step) = refusal.step {
            data.insert("step".into(), step.into());
        }
        Self(Arc::new(Occurrence { kind, detail: detail.into(), data, replayed }))
    }

    /// A read names something that is not there: the same problem a command would get.
    pub(crate) fn unknown(rejection: Rejection) -> Self {
        Self::refused(&Refusal { step: None, rejection }, false)
    }

    /// Adds data of this occurrence.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        Arc::make_mut(&mut self.0).data.insert(name.into(), value.into());
        self
    }

    /// A problem for a bare status that some layer below answered with.
    pub(crate) fn from_status(status: StatusCode) -> Self {
        let fault = match status.as_u16() {
            404 => Fault::NotFound,
            405 => Fault::MethodNotAllowed,
            408 => Fault::RequestTimeout,
            413 => Fault::BodyTooLarge,
            415 => Fault::UnsupportedMediaType,
            400..=499 => Fault::Malformed,
            _ => Fault::Internal,
        };
        Self::new(fault, fault.kind().title)
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.0.kind.code
    }

    /// True when an earlier command with this id was answered with it.
    pub(crate) fn is_replayed(&self) -> bool {
        self.0.replayed
    }

    /// The JSON members. `instance` is the path it happened at.
    pub(crate) fn body(&self, instance: Option<&str>) -> Map<String, Value> {
        let kind = self.0.kind;
        let mut body = self.0.data.clone();
        body.insert("type".into(), format!("/problems/{}", kind.code).into());
        body.insert("title".into(), kind.title.into());
        body.insert("status".into(), kind.status.into());
        body.insert("detail".into(), self.0.detail.as_ref().into());
        body.insert("code".into(), kind.code.into());
        if let Some(instance) = instance {
            body.insert("instance".into(), instance.into());
        }
        body
    }

    /// Writes the problem into a response, keeping the headers that are there (`Allow`).
    pub(crate) fn render<B: From<Bytes>>(&self, response: &mut Response<B>, instance: &str) {
        let body = serde_json::to_vec(&self.body(Some(instance))).unwrap_or_default();
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.kind.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.0.kind.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ledger\""));
        }
        if self.0.replayed {
            headers.insert(crate::header::IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        *response.body_mut() = B::from(Bytes::from(body));
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<pipeline::Error> for Problem {
    fn from(error: pipeline::Error) -> Self {
        let fault = match error {
            pipeline::Error::Busy => Fault::Busy,
            pipeline::Error::UnknownTenant => Fault::UnknownTenant,
            pipeline::Error::InProgress => Fault::CommandInProgress,
            pipeline::Error::Unavailable => Fault::Unavailable,
            pipeline::Error::OutcomeUnknown => Fault::OutcomeUnknown,
            pipeline::Error::TenantStopped => Fault::TenantStopped,
            pipeline::Error::ShuttingDown => Fault::ShuttingDown,
        };
        Self::new(fault, fault.sentence())
    }
}

impl From<store::Error> for Problem {
    /// What went wrong inside stays in the log; the caller learns whether to come again.
    fn from(error: store::Error) -> Self {
        let fault = if error.is_transient() { Fault::Unavailable } else { Fault::Internal };
        tracing::error!(error = &error as &dyn std::error::Error, code = fault.kind().code, "a read failed");
        Self::new(fault, fault.sentence())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ledger_core::domain::id::{EntryId, ReservationId, Text};

    use super::*;

    #[test]
    fn every_code_is_used_once_and_has_a_page_that_names_it() {
        let mut seen = HashSet::new();
        for kind in kinds() {
            assert!(seen.insert(kind.code), "{} twice", kind.code);
            assert!((400..600).contains(&kind.status), "{}", kind.code);
            assert!(kind.page.starts_with(&format!("# {}\n", kind.title)), "{}: the page's title", kind.code);
            let lines = kind.page.lines().count();
            assert!((3..=12).contains(&lines), "{}: {lines} lines", kind.code);
            assert!(kind.page.contains(&format!("`{}`", kind.code)), "{}: the page names its code", kind.code);
        }
    }

    #[test]
    fn pages_and_kinds_are_the_same_set() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/problem");
        let files: HashSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
            .collect();
        let codes: HashSet<String> = kinds().map(|k| k.code.to_owned()).collect();
        assert_eq!(files, codes);
    }

    #[test]
    fn a_rejection_shows_its_data_and_keeps_the_http_status() {
        let id = ReservationId::parse("r-1").unwrap();
        let rejection = Rejection::ReservationClosed { reservation: id, status: Text::parse("released").unwrap() };
        let problem = Problem::refused(&Refusal { step: Some(3), rejection }, true);
        let body = Value::Object(problem.body(Some("/v1/x")));
        assert_eq!(
            body,
            serde_json::json!({
                "type": "/problems/reservation_closed", "title": "Reservation closed", "status": 409,
                "detail": "reservation r-1 is released already", "instance": "/v1/x", "code": "reservation_closed",
                "reservation": "r-1", "reservation_status": "released", "step": 3,
            })
        );
        assert!(problem.is_replayed());
    }

    #[test]
    fn an_entry_has_a_status_of_its_own() {
        let entry = EntryId::parse("e-1").unwrap();
        let rejection = Rejection::EntryNotPending { entry, status: Text::parse("voided").unwrap() };
        let body = Problem::refused(&Refusal { step: None, rejection }, false).body(None);
        assert_eq!((&body["status"], &body["entry_status"], &body["entry"]), (&409.into(), &"voided".into(), &"e-1".into()));
    }

    #[test]
    fn codes_of_the_domain_are_the_codes_shown() {
        for rejection in [
            Rejection::CostRequired,
            Rejection::CommandIdReused,
            Rejection::TransactionEmpty,
            Rejection::NothingToBalance,
            Rejection::YearOutOfRange,
            Rejection::PeriodIsClosed { period: "2026-11".parse().unwrap(), soft: true },
        ] {
            assert_eq!(rejected::describe(&rejection).0.code, rejection.code());
        }
        let shown: HashSet<&str> = rejected::KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(shown, Rejection::CODES.iter().copied().collect());
    }

    #[test]
    fn what_the_caller_decided_on_is_a_precondition() {
        let failed: HashSet<&str> = kinds().filter(|kind| kind.status == 412).map(|kind| kind.code).collect();
        assert_eq!(failed, HashSet::from(["version_mismatch", "balance_differs", "account_moved"]));
    }
}
