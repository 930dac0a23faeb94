//! Journal entries by hand, and what restates foreign balances.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::EntryId;
use ledger_core::domain::journal::command::{PostEntry, RevalueCurrency, ReverseEntry, SettleEntry, VoidEntry};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, CurrencyRevaluedResult, EntryResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Posts a journal entry
///
/// Debits equal credits, in every currency whose rate the entry does not state. Inventory accounts take postings from
/// stock facts only. A `pending` entry moves pending balances until it is settled, voided or timed out. A dry run shows
/// every posting, exchange differences and all.
#[utoipa::path(post, path = "/v1/journal/entries", tag = "Journal", params(CommandHeaders), request_body = PostEntry, responses(CommandAnswers<EntryResult>))]
pub(crate) async fn post_entry(State(api): State<Api>, caller: Caller, body: Body<PostEntry>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Settles a pending entry
///
/// Posts all of it, or a part; the rest is set free unless `keep_open`. The body may be left out.
#[utoipa::path(post, path = "/v1/journal/entries/{id}/settle", tag = "Journal",
    params(("id" = EntryId, Path, description = "The entry"), CommandHeaders),
    request_body = SettleEntry, responses(CommandAnswers<EntryResult>))]
pub(crate) async fn settle_entry(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<EntryId>,
    BodyOrNone(mut body): BodyOrNone<SettleEntry>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Voids a pending entry
///
/// Sets it free; nothing is posted. The body may be left out.
#[utoipa::path(post, path = "/v1/journal/entries/{id}/void", tag = "Journal",
    params(("id" = EntryId, Path, description = "The entry"), CommandHeaders),
    request_body = VoidEntry, responses(CommandAnswers<EntryResult>))]
pub(crate) async fn void_entry(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<EntryId>,
    BodyOrNone(mut body): BodyOrNone<VoidEntry>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Reverses a journal entry
///
/// Posts the exact opposite of what it posted, once. The body may be left out.
#[utoipa::path(post, path = "/v1/journal/entries/{id}/reverse", tag = "Journal",
    params(("id" = EntryId, Path, description = "The entry"), CommandHeaders),
    request_body = ReverseEntry, responses(CommandAnswers<EntryResult>))]
pub(crate) async fn reverse(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<EntryId>,
    BodyOrNone(mut body): BodyOrNone<ReverseEntry>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Restates the balances in one currency
///
/// At a period's end, to its rate. The difference of every monetary account is posted as an unrealised exchange gain or
/// loss, dated with the period's last instant, and taken back in the next period's first.
#[utoipa::path(post, path = "/v1/journal/revaluations", tag = "Journal", params(CommandHeaders),
    request_body = RevalueCurrency, responses(CommandAnswers<CurrencyRevaluedResult>))]
pub(crate) async fn revalue_currency(
    State(api): State<Api>,
    caller: Caller,
    body: Body<RevalueCurrency>,
) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}
