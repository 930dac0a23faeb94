//! Stock counts.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::count::command::{CancelCount, OpenCount, PostCount, RecordCount};
use ledger_core::domain::id::CountId;

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, CountResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Begins a count
///
/// Of a location and everything inside it. Movements go on meanwhile and are not lost.
#[utoipa::path(post, path = "/v1/stock/counts", tag = "Stock", params(CommandHeaders), request_body = OpenCount, responses(CommandAnswers<CountResult>))]
pub(crate) async fn open_count(State(api): State<Api>, caller: Caller, body: Body<OpenCount>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Records what was counted
///
/// Compared with what was on hand at `effective_at`, the moment counted. A line that is counted again replaces what was
/// said of it before. Nothing is adjusted yet.
#[utoipa::path(post, path = "/v1/stock/counts/{id}/lines", tag = "Stock",
    params(("id" = CountId, Path, description = "The count"), CommandHeaders),
    request_body = RecordCount, responses(CommandAnswers<CountResult>))]
pub(crate) async fn record_count(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<CountId>,
    mut body: Body<RecordCount>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    submit(&api, caller, body.value).await
}

/// Posts a count
///
/// Adjusts stock by every difference found, in one fact. Goods that others hold are not adjusted away: the problem lists
/// them. The body may be left out.
#[utoipa::path(post, path = "/v1/stock/counts/{id}/post", tag = "Stock",
    params(("id" = CountId, Path, description = "The count"), CommandHeaders),
    request_body = PostCount, responses(CommandAnswers<CountResult>))]
pub(crate) async fn post_count(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<CountId>,
    BodyOrNone(mut body): BodyOrNone<PostCount>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Cancels a count
///
/// Ends it without consequence. The body may be left out.
#[utoipa::path(post, path = "/v1/stock/counts/{id}/cancel", tag = "Stock",
    params(("id" = CountId, Path, description = "The count"), CommandHeaders),
    request_body = CancelCount, responses(CommandAnswers<CountResult>))]
pub(crate) async fn cancel_count(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<CountId>,
    BodyOrNone(mut body): BodyOrNone<CancelCount>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}
