//! Path and query parameters, parsed into the domain's types; what cannot be parsed is a problem, not plain text.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::limit::{PAGE_ROWS, PAGE_ROWS_MAX};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// What the path names.
pub(crate) struct Named<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, api).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(Fault::ParameterInvalid, rejection.body_text())),
        }
    }
}

/// What the query asks for. Unknown and repeated fields are refused: a filter that is not understood must not widen
/// the answer.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, api).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::new(Fault::ParameterInvalid, rejection.body_text())),
        }
    }
}

/// Rows of a page.
///
/// # Errors
/// `parameter_invalid` beyond 1 to 1,000.
pub(crate) fn rows(limit: Option<u32>) -> Result<i64, Problem> {
    let limit = limit.unwrap_or(PAGE_ROWS);
    if limit == 0 || limit > PAGE_ROWS_MAX {
        return Err(Problem::new(Fault::ParameterInvalid, format!("limit must be from 1 to {PAGE_ROWS_MAX}")));
    }
    Ok(i64::from(limit))
}
