//! Bodies: read within a limit and a time, then parsed straight into the action.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::header;
use crate::json;
use crate::limit::{BODY_BYTES_MAX, BODY_READ_TIME};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// A JSON body.
pub(crate) struct Body<T> {
    pub(crate) value: T,
    /// As it came, for the rare second look.
    pub(crate) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        must_be_json(&request)?;
        let bytes = read_body(request, BODY_BYTES_MAX).await?;
        Ok(Self { value: json::parse(&bytes)?, bytes })
    }
}

/// A JSON body that may be left out, where everything in it is optional.
pub(crate) struct BodyOrNone<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<Api> for BodyOrNone<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        let typed = must_be_json(&request);
        let bytes = read_body(request, BODY_BYTES_MAX).await?;
        // A chunked body may turn out to be empty; then its type does not matter.
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        json::parse(&bytes).map(Self)
    }
}

fn must_be_json(request: &Request) -> Result<(), Problem> {
    match header::media_type(request.headers()) {
        Some(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        _another_or_none => Err(Problem::new(Fault::UnsupportedMediaType, Fault::UnsupportedMediaType.sentence())),
    }
}

/// The whole body, at most `limit` bytes.
///
/// # Errors
/// `body_too_large`, `request_timeout`, or `malformed` when the client broke off.
pub(crate) async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(Fault::BodyTooLarge, format!("this path takes at most {limit} bytes")).with("bytes_max", limit);
    let limit_bytes = u64::try_from(limit).unwrap_or(u64::MAX);
    // A stated length is refused before a byte is read.
    if request.body().size_hint().lower() > limit_bytes {
        return Err(too_large());
    }
    let reading = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(BODY_READ_TIME, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Fault::Malformed, "the body broke off")),
        Err(_) => Err(Problem::new(Fault::RequestTimeout, Fault::RequestTimeout.sentence())),
    }
}

/// A JSON body that its handler parses itself.
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl FromRequest<Api> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Api) -> Result<Self, Problem> {
        must_be_json(&request)?;
        read_body(request, BODY_BYTES_MAX).await.map(Self)
    }
}
