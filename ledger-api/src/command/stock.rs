//! Movements of goods and value.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::stock::command::{Adjust, Issue, Receive, Return, Revalue, Transfer};

use super::{Body, Caller, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, MovedResult, TransferResult};
use crate::problem::Problem;
use crate::state::Api;

/// Receives goods
///
/// At a unit cost or a total cost, exactly one of the two. Posts Dr inventory, Cr the receipt rule's account.
#[utoipa::path(post, path = "/v1/stock/receipts", tag = "Stock", params(CommandHeaders), request_body = Receive, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn receive(State(api): State<Api>, caller: Caller, body: Body<Receive>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Issues goods
///
/// Without a reservation, at the cost the item's valuation method computes or at a stated one. Goods that others hold
/// are not taken.
#[utoipa::path(post, path = "/v1/stock/issues", tag = "Stock", params(CommandHeaders), request_body = Issue, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn issue(State(api): State<Api>, caller: Caller, body: Body<Issue>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Takes goods back from a customer
///
/// At a stated cost, or else at the present average.
#[utoipa::path(post, path = "/v1/stock/returns", tag = "Stock", params(CommandHeaders), request_body = Return, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn return_goods(State(api): State<Api>, caller: Caller, body: Body<Return>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Adjusts stock by a difference
///
/// Signed; a reason is required. There is no way to set stock to a number: movements made meanwhile would be lost.
#[utoipa::path(post, path = "/v1/stock/adjustments", tag = "Stock", params(CommandHeaders), request_body = Adjust, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn adjust(State(api): State<Api>, caller: Caller, body: Body<Adjust>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Transfers goods
///
/// From one location to another in one step; their value goes with them.
#[utoipa::path(post, path = "/v1/stock/transfers", tag = "Stock", params(CommandHeaders), request_body = Transfer, responses(CommandAnswers<TransferResult>))]
pub(crate) async fn transfer(State(api): State<Api>, caller: Caller, body: Body<Transfer>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Revalues stock
///
/// Adds a signed amount to the value of what is on hand; the quantity stays.
#[utoipa::path(post, path = "/v1/stock/revaluations", tag = "Stock", params(CommandHeaders), request_body = Revalue, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn revalue(State(api): State<Api>, caller: Caller, body: Body<Revalue>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}
