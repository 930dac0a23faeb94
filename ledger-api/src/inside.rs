//! The same answers for parts of the same process: through the same routes, without a socket and a key.
//!
//! **Correctness**: a request made here carries its principal as an extension. Nothing that arrives over a connection can have
//! one, because extensions are no part of HTTP.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::{TenantId, Text};

use crate::auth::Principal;
use crate::edge::Edge;
use crate::limit::INSIDE_BYTES_MAX;

/// Asks as a tenant. Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "routes have nothing to show")]
pub struct Inside(Edge);

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct InsideAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// Media type of the body.
    pub media_type: String,
    /// The body.
    pub body: Bytes,
}

impl Inside {
    pub(crate) const fn new(edge: Edge) -> Self {
        Self(edge)
    }

    /// Reads a path with its query as a tenant. An answer that is too large, or a path that is none, is an answer too.
    pub async fn get(&self, tenant: TenantId, actor: &str, path: &str) -> InsideAnswer {
        let broken = |status| InsideAnswer { status, media_type: String::new(), body: Bytes::new() };
        let Ok(mut request) = Request::get(path).body(Body::empty()) else { return broken(StatusCode::BAD_REQUEST) };
        let context = Arc::new(Context { actor: Text::parse(actor).ok(), ..Context::default() });
        request.extensions_mut().insert(Principal { tenant, context });
        let response = self.0.answer(request).await;
        let status = response.status();
        let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        match to_bytes(response.into_body(), INSIDE_BYTES_MAX).await {
            Ok(body) => InsideAnswer { status, media_type, body },
            Err(_) => broken(StatusCode::PAYLOAD_TOO_LARGE),
        }
    }
}
