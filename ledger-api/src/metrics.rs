//! What is counted about requests, under labels known when the program starts: nothing a caller sends becomes one.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, Unit};
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::state::Api;

/// Bounds of the request-duration buckets, in seconds: fine around the answer times promised, coarse beyond.
const DURATION_BUCKETS: [f64; 14] = [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const REQUESTS: &str = "ledger_http_requests_total";
const DURATION: &str = "ledger_http_request_duration_seconds";
const CONNECTIONS: &str = "ledger_http_connections";
/// Statuses this service answers with; anything else is counted as 0.
const STATUSES: [u16; 24] =
    [200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 428, 429, 431, 500, 501, 502, 503, 504];
/// The route of requests that match none.
const UNMATCHED: &str = "unmatched";
/// Methods that are routed.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// Installs the process's recorder of metrics, once, and returns what renders them. Call before anything is counted; a
/// second service of the same process gets the same one.
///
/// # Errors
/// When a recorder of somebody else's is installed already.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = INSTALLED.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)?
        .install_recorder()?;
    ::metrics::describe_counter!(REQUESTS, "Requests answered, by route, method and status");
    ::metrics::describe_histogram!(DURATION, Unit::Seconds, "Time from the request's head to the answer's, by route and method");
    ::metrics::describe_gauge!(CONNECTIONS, "Connections open");
    ::metrics::describe_counter!("ledger_cache_reads_total", "Values asked of the cache, by outcome");
    Ok(INSTALLED.get_or_init(|| handle).clone())
}

/// Handles of one method of one route. What was never answered is not shown.
struct Line {
    route: ::metrics::SharedString,
    method: &'static str,
    by_status: [OnceLock<Counter>; STATUSES.len()],
    other: OnceLock<Counter>,
    duration: OnceLock<Histogram>,
}

impl Line {
    fn new(route: &str, method: &'static str) -> Self {
        Self {
            route: ::metrics::SharedString::from(route.to_owned()),
            method,
            by_status: [const { OnceLock::new() }; STATUSES.len()],
            other: OnceLock::new(),
            duration: OnceLock::new(),
        }
    }

    fn duration(&self) -> &Histogram {
        self.duration.get_or_init(|| ::metrics::histogram!(DURATION, "route" => self.route.clone(), "method" => self.method))
    }

    fn counter(&self, status: u16) -> &Counter {
        let at = STATUSES.iter().position(|known| *known == status);
        let (place, status) = match at.and_then(|at| self.by_status.get(at)) {
            Some(place) => (place, status),
            None => (&self.other, 0),
        };
        place.get_or_init(|| {
            ::metrics::counter!(REQUESTS, "route" => self.route.clone(), "method" => self.method, "status" => status.to_string())
        })
    }
}

/// Every handle, made once.
pub(crate) struct RequestMetrics {
    routes: HashMap<Box<str>, Vec<Line>>,
    unmatched: Line,
    pub(crate) connections: Gauge,
}

impl RequestMetrics {
    /// For the routes of the document.
    pub(crate) fn new<'a>(routes: impl IntoIterator<Item = &'a str>) -> Self {
        let lines = |route: &str| (Box::from(route), METHODS.iter().map(|method| Line::new(route, method)).collect());
        Self {
            routes: routes.into_iter().map(lines).collect(),
            unmatched: Line::new(UNMATCHED, "other"),
            connections: ::metrics::gauge!(CONNECTIONS),
        }
    }

    /// Counts one answer.
    pub(crate) fn record(&self, route: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
        let lines = route.and_then(|route| self.routes.get(route));
        let line = lines.and_then(|lines| lines.iter().find(|line| line.method == method.as_str())).unwrap_or(&self.unmatched);
        line.counter(status.as_u16()).increment(1);
        line.duration().record(took);
    }
}

/// Shows the metrics
///
/// In the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "Operations", operation_id = "get_metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"), crate::openapi::PublicProblems),
    security(()))]
pub(crate) async fn show_metrics(State(api): State<Api>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.prometheus.render()).into_response()
}
