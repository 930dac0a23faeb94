//! `/problems/{code}`: what a code means and what to do.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{Fault, Problem, kinds};
use crate::path::Named;

/// Explains a problem code
///
/// What the code means and what to do about it, in Markdown.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    tag = "Operations",
    params(("code" = String, Path, description = "The `code` of a problem", example = "insufficient_stock")),
    responses((status = 200, description = "The page", body = String, content_type = "text/markdown"), crate::openapi::PublicProblems),
    security(())
)]
pub(crate) async fn show_page(Named(code): Named<String>) -> Result<Response, Problem> {
    let kind =
        kinds().find(|kind| kind.code == code).ok_or_else(|| Problem::new(Fault::NotFound, "there is no such problem code"))?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], kind.page).into_response())
}
