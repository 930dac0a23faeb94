//! Movements of goods and value.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::ExpectationId;
use ledger_core::domain::stock::command::{
    AddCost, Adjust, Assemble, CancelExpectation, ChangeStatus, Disassemble, Expect, Issue, Receive, Return, ReturnToSupplier,
    Revalue, Scrap, Transfer,
};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{
    CommandAnswers, CommandHeaders, CostAddedResult, ExpectationResult, KitResult, MovedResult, RevaluedResult,
    StatusChangedResult, TransferResult,
};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Receives goods
///
/// At a unit cost or a total cost, exactly one of the two; an item at standard cost needs neither, and what it really cost
/// beyond its standard is a variance. Posts Dr inventory, Cr the receipt rule's account. What waits for this stock is
/// filled at once: `reservation_filled` events follow.
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
/// With `original`, the position of the issue, at exactly the value and the layers they left with, and never more than
/// left. Otherwise at a stated cost, or else at the present one.
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
/// From one location to another in one step; their value goes with them, and stays where it is when both share one cost
/// pool.
#[utoipa::path(post, path = "/v1/stock/transfers", tag = "Stock", params(CommandHeaders), request_body = Transfer, responses(CommandAnswers<TransferResult>))]
pub(crate) async fn transfer(State(api): State<Api>, caller: Caller, body: Body<Transfer>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Revalues stock
///
/// The quantity stays. Exactly one of three: `value_change` adds a signed amount to the value at a location;
/// `standard_cost` is the item's new standard everywhere; `net_realisable_value` brings the value at a location down to
/// what the goods can still be sold for, and changes nothing where it is lower already.
#[utoipa::path(post, path = "/v1/stock/revaluations", tag = "Stock", params(CommandHeaders), request_body = Revalue, responses(CommandAnswers<RevaluedResult>))]
pub(crate) async fn revalue(State(api): State<Api>, caller: Caller, body: Body<Revalue>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Returns goods to their supplier
///
/// At the cost of the receipt that is named, or else at the present one. With a receipt its layers go first, its price is
/// what the supplier owes, and the difference to the present cost is a variance.
#[utoipa::path(post, path = "/v1/stock/supplier-returns", tag = "Stock", params(CommandHeaders), request_body = ReturnToSupplier, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn return_to_supplier(
    State(api): State<Api>,
    caller: Caller,
    body: Body<ReturnToSupplier>,
) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Changes the status of goods
///
/// They stay where they are and keep their value. Only sellable goods are available, so goods that others hold are not
/// changed. What becomes sellable fills what waits for it.
#[utoipa::path(post, path = "/v1/stock/status-changes", tag = "Stock", params(CommandHeaders), request_body = ChangeStatus, responses(CommandAnswers<StatusChangedResult>))]
pub(crate) async fn change_status(State(api): State<Api>, caller: Caller, body: Body<ChangeStatus>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Scraps goods
///
/// At the present cost, to the scrap rule's account; a reason is required.
#[utoipa::path(post, path = "/v1/stock/scraps", tag = "Stock", params(CommandHeaders), request_body = Scrap, responses(CommandAnswers<MovedResult>))]
pub(crate) async fn scrap(State(api): State<Api>, caller: Caller, body: Body<Scrap>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Assembles kits
///
/// Takes the components of an item that has some and brings the kits in at what they cost, in one fact.
#[utoipa::path(post, path = "/v1/stock/assemblies", tag = "Stock", params(CommandHeaders), request_body = Assemble, responses(CommandAnswers<KitResult>))]
pub(crate) async fn assemble(State(api): State<Api>, caller: Caller, body: Body<Assemble>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Disassembles kits
///
/// Takes kits and brings their components in; the kits' cost is split by the components' present cost, in one fact.
#[utoipa::path(post, path = "/v1/stock/disassemblies", tag = "Stock", params(CommandHeaders), request_body = Disassemble, responses(CommandAnswers<KitResult>))]
pub(crate) async fn disassemble(State(api): State<Api>, caller: Caller, body: Body<Disassemble>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Adds cost to a receipt
///
/// Landed cost, or an invoice that differs from the receipt: signed. What of the goods is still on hand changes its value,
/// layer by layer; the part of what is sold already goes to cost of goods sold.
#[utoipa::path(post, path = "/v1/stock/added-costs", tag = "Stock", params(CommandHeaders), request_body = AddCost, responses(CommandAnswers<CostAddedResult>))]
pub(crate) async fn add_cost(State(api): State<Api>, caller: Caller, body: Body<AddCost>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Expects goods
///
/// Incoming from a supplier, not on hand. A receipt that names the expectation counts against it.
#[utoipa::path(post, path = "/v1/stock/expectations", tag = "Stock", params(CommandHeaders), request_body = Expect, responses(CommandAnswers<ExpectationResult>))]
pub(crate) async fn expect(State(api): State<Api>, caller: Caller, body: Body<Expect>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Cancels an expected receipt
///
/// What is still expected will not come. The body may be left out.
#[utoipa::path(post, path = "/v1/stock/expectations/{id}/cancel", tag = "Stock",
    params(("id" = ExpectationId, Path, description = "The expected receipt"), CommandHeaders),
    request_body = CancelExpectation, responses(CommandAnswers<ExpectationResult>))]
pub(crate) async fn cancel_expectation(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ExpectationId>,
    BodyOrNone(mut body): BodyOrNone<CancelExpectation>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}
