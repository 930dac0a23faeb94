//! Questions to the API, in this process: the same routes, checks and answers that other programs get.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tower::ServiceExt;

use super::Console;
use super::session::Session;
use crate::header::{IDEMPOTENCY_KEY, LEDGER_POSITION};
use crate::limit::CONSOLE_ANSWER_BYTES_MAX;
use crate::problem::{Fault, Problem};

/// An answer of the API.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) json: Value,
    /// The position it shows.
    pub(super) position: Option<String>,
}

impl Console {
    /// What the API answers to a read.
    ///
    /// # Errors
    /// The API's own problem.
    pub(super) async fn get(&self, session: &Session, path: &str) -> Result<Answer, Problem> {
        self.call(session, Method::GET, path, HeaderMap::new(), Body::empty()).await
    }

    /// As [`Console::get`]; `None` where the API has no such operation, or no such thing.
    ///
    /// # Errors
    /// Any problem but one of status 404.
    pub(super) async fn get_if_there(&self, session: &Session, path: &str) -> Result<Option<Answer>, Problem> {
        match self.get(session, path).await {
            Ok(answer) => Ok(Some(answer)),
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Asks the API to do something, once.
    ///
    /// # Errors
    /// The API's own problem.
    pub(super) async fn post(&self, session: &Session, path: &str, body: &Value) -> Result<Answer, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let key = uuid::Uuid::now_v7().to_string();
        headers.extend(HeaderValue::try_from(key).ok().map(|key| (IDEMPOTENCY_KEY, key)));
        self.call(session, Method::POST, path, headers, Body::from(body.to_string())).await
    }

    async fn call(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Answer, Problem> {
        let response = self.send(session, method, path, headers, body).await?;
        let position = response.headers().get(LEDGER_POSITION).and_then(|p| p.to_str().ok()).map(str::to_owned);
        let unreadable = |_| Problem::new(Fault::ResultTooLarge, "the answer is too long for a page");
        let bytes = axum::body::to_bytes(response.into_body(), CONSOLE_ANSWER_BYTES_MAX).await.map_err(unreadable)?;
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { json, position })
    }

    /// The API's answer as it comes, if it is no problem.
    ///
    /// # Errors
    /// The API's own problem.
    pub(super) async fn send(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response, Problem> {
        let failed = || Problem::new(Fault::Internal, Fault::Internal.sentence());
        let mut request = Request::builder().method(method).uri(path).body(body).map_err(|_| {
            // Every name in a path is encoded, so this is a name that no path can have.
            Problem::new(Fault::NotFound, Fault::NotFound.sentence())
        })?;
        request.headers_mut().extend(headers);
        request.extensions_mut().insert(session.principal.clone());
        let mut response = match self.inner.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            return Err(problem);
        }
        let status = response.status();
        // Readiness says 503 with a body that is worth showing.
        let is_told = response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == "application/json");
        if (status.is_client_error() || status.is_server_error()) && !is_told {
            return Err(if status.is_server_error() { failed() } else { Problem::from_status(status) });
        }
        Ok(response)
    }
}

/// Fields of an answer as text, exactly as they stand there.
pub(super) trait Fields {
    /// A field's text; empty where there is none.
    fn text(&self, field: &str) -> String;
    /// A list; empty where there is none.
    fn list(&self, field: &str) -> &[Value];
    /// Whether a field is there and not null.
    fn has(&self, field: &str) -> bool;
}

impl Fields for Value {
    fn text(&self, field: &str) -> String {
        self.get(field).map_or_else(String::new, plain)
    }

    fn list(&self, field: &str) -> &[Value] {
        self.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn has(&self, field: &str) -> bool {
        self.get(field).is_some_and(|value| !value.is_null())
    }
}

/// A value's text: a string without its quotes, a number's digits as they were written.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
