//! Journal entries by hand.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::EntryId;
use ledger_core::domain::journal::command::{PostEntry, ReverseEntry};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, EntryResult, ReversalResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Posts a journal entry
///
/// Debits equal credits. Inventory accounts take postings from stock facts only.
#[utoipa::path(post, path = "/v1/journal/entries", tag = "Journal", params(CommandHeaders), request_body = PostEntry, responses(CommandAnswers<EntryResult>))]
pub(crate) async fn post_entry(State(api): State<Api>, caller: Caller, body: Body<PostEntry>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Reverses a journal entry
///
/// Posts its exact opposite, once. The body may be left out.
#[utoipa::path(post, path = "/v1/journal/entries/{id}/reverse", tag = "Journal",
    params(("id" = EntryId, Path, description = "The entry"), CommandHeaders),
    request_body = ReverseEntry, responses(CommandAnswers<ReversalResult>))]
pub(crate) async fn reverse(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<EntryId>,
    BodyOrNone(mut body): BodyOrNone<ReverseEntry>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}
