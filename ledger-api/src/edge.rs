//! What happens around every request: the outermost and the innermost ring.
//!
//! **Shape**: hyper → [`Edge::answer`] (framing checks, deadline, panic guard, problem rendering, counting) → router.
//! **Correctness**: whatever goes wrong inside (no route, a panic, a deadline, a bare status from a library) leaves
//! here as `application/problem+json`. One plain call instead of a stack of layers: this is on every command's path.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use tower::Service;

use crate::header::REQUEST_ID;
use crate::limit::REQUEST_ID_BYTES_MAX;
use crate::metrics::RequestMetrics;
use crate::options::Options;
use crate::problem::{Fault, Problem};

/// Around the router; cheap to clone.
#[derive(Clone)]
pub(crate) struct Edge {
    router: Router,
    metrics: Arc<RequestMetrics>,
    options: Arc<Options>,
}

/// The route a request matched, handed outwards on the response: requests learn it only inside the router.
#[derive(Clone)]
struct Route(MatchedPath);

/// Innermost: notes the route.
pub(crate) async fn note_route(matched: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Route(matched));
    response
}

impl Edge {
    pub(crate) fn new(router: Router, metrics: Arc<RequestMetrics>, options: Options) -> Self {
        Self { router, metrics, options: Arc::new(options) }
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().clone());
        let request_id = request.headers().get(&REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned();
        let mut response = self.route(request).await;
        let problem = response.extensions_mut().remove::<Problem>().or_else(|| undescribed(&response));
        if let Some(problem) = problem {
            problem.render(&mut response, path.path());
        }
        if let Some(id) = request_id {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        let route = response.extensions_mut().remove::<Route>();
        self.metrics.record(route.as_ref().map(|r| r.0.as_str()), &method, response.status(), started.elapsed());
        response
    }

    async fn route(&self, request: Request) -> Response {
        if let Some(problem) = framing_problem(request.headers(), request.method()) {
            let mut response = axum::response::IntoResponse::into_response(problem);
            // What follows on this connection may be half of somebody's request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return response;
        }
        let answering = AssertUnwindSafe(self.router.clone().call(request)).catch_unwind();
        match tokio::time::timeout(self.options.request_deadline, answering).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_panic)) => {
                // The panic hook has written what and where.
                axum::response::IntoResponse::into_response(Problem::new(Fault::Internal, Fault::Internal.sentence()))
            }
            Err(_) => axum::response::IntoResponse::into_response(Problem::new(
                Fault::DeadlineExceeded,
                Fault::DeadlineExceeded.sentence(),
            )),
        }
    }
}

/// Shapes that two parsers could read as different requests (RFC 9112 §3.2, §6.3).
fn framing_problem(headers: &HeaderMap, method: &Method) -> Option<Problem> {
    let doubled = |name| headers.get_all(name).iter().nth(1).is_some();
    if doubled(header::HOST) {
        return Some(Problem::new(Fault::HeaderInvalid, "host: given more than once").with("header", "host"));
    }
    if doubled(header::CONTENT_LENGTH)
        || (headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING))
    {
        return Some(Problem::new(Fault::HeaderInvalid, "content-length: ambiguous").with("header", "content-length"));
    }
    (method == Method::CONNECT).then(|| Problem::new(Fault::MethodNotAllowed, Fault::MethodNotAllowed.sentence()))
}

/// A problem for a failure that no handler described. Problems rendered by hand keep their bodies.
fn undescribed(response: &Response<Body>) -> Option<Problem> {
    let status = response.status();
    let is_failure = status.is_client_error() || status.is_server_error();
    (is_failure && !response.headers().contains_key(header::CONTENT_TYPE)).then(|| Problem::from_status(status))
}
