//! What holds for every page: where a form may come from, and what a browser may do with the answer.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Nothing but files of this server: no inline script, no inline style, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses forms of other sites, and says what may be done with the page.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && !is_ours(request.headers(), request.uri()) {
        return (StatusCode::FORBIDDEN, "this form was sent by another site\n").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers would then send forms without their origin.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    // A report for printers comes with a policy of its own, just as strict.
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether a form comes from a page of this server. Browsers say so in one of two headers, which no page can set; what is
/// no browser has no cookie to misuse.
fn is_ours(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN) else { return true };
    let host = text(header::HOST).or_else(|| uri.authority().map(|authority| authority.as_str()));
    origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == host)
}

/// Whether the browser speaks https, perhaps to a proxy in front of this server.
pub(super) fn is_https(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    text(header::ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
        || text(header::HeaderName::from_static("x-forwarded-proto")) == Some("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_sites_are_refused() {
        let ours = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs.iter().map(|(n, v)| (header::HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
            is_ours(&headers, &Uri::from_static("/console/login"))
        };
        assert!(ours(&[("sec-fetch-site", "same-origin"), ("origin", "https://a"), ("host", "inner")]));
        assert!(!ours(&[("sec-fetch-site", "cross-site"), ("origin", "https://a"), ("host", "a")]));
        assert!(!ours(&[("sec-fetch-site", "same-site")]));
        assert!(ours(&[("origin", "http://a:8080"), ("host", "a:8080")]));
        for origin in ["http://b:8080", "null", "http://a:8081", ""] {
            assert!(!ours(&[("origin", origin), ("host", "a:8080")]), "{origin}");
        }
        assert!(ours(&[("host", "a:8080")]));
    }
}
