//! Transfers in two steps.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::TransferId;
use ledger_core::domain::transfer::command::{CancelTransfer, DispatchTransfer, ReceiveTransfer};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, TwoStepTransferResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Dispatches a transfer
///
/// Goods leave one location for another and are in transit until they are received: owned and valued, not sellable.
#[utoipa::path(post, path = "/v1/stock/transfers/{id}/dispatch", tag = "Stock",
    params(("id" = TransferId, Path, description = "The transfer"), CommandHeaders),
    request_body = DispatchTransfer, responses(CommandAnswers<TwoStepTransferResult>))]
pub(crate) async fn dispatch_transfer(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<TransferId>,
    mut body: Body<DispatchTransfer>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    submit(&api, caller, body.value).await
}

/// Receives a transfer
///
/// Line by line, good and damaged, or all that is under way when the body is left out. What has not arrived stays under
/// way until a receipt that is final says it is lost; more than was sent is found stock.
#[utoipa::path(post, path = "/v1/stock/transfers/{id}/receive", tag = "Stock",
    params(("id" = TransferId, Path, description = "The transfer"), CommandHeaders),
    request_body = ReceiveTransfer, responses(CommandAnswers<TwoStepTransferResult>))]
pub(crate) async fn receive_transfer(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<TransferId>,
    BodyOrNone(mut body): BodyOrNone<ReceiveTransfer>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Cancels a transfer
///
/// What is still under way goes back to where it came from, with its value. The body may be left out.
#[utoipa::path(post, path = "/v1/stock/transfers/{id}/cancel", tag = "Stock",
    params(("id" = TransferId, Path, description = "The transfer"), CommandHeaders),
    request_body = CancelTransfer, responses(CommandAnswers<TwoStepTransferResult>))]
pub(crate) async fn cancel_transfer(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<TransferId>,
    BodyOrNone(mut body): BodyOrNone<CancelTransfer>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}
