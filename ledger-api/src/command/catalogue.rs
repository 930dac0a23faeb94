//! Items, locations, stock policies, accounts, what groups them, and posting rules.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::account::command::{DefineAccountSet, DefineDimension, DefineTaxCode};
use ledger_core::domain::catalogue::command::{
    DefineAccount, DefineItem, DefineLocation, DefinePostingRule, DefineStockPolicy, MovementKind,
};
use ledger_core::domain::id::{AccountCode, AccountSetCode, DimensionCode, LocationCode, PostingClass, Sku, TaxCode};
use serde::Deserialize;

use super::{Body, Caller, fill, mismatch, submit};
use crate::openapi::{
    AccountResult, AccountSetResult, CommandAnswers, CommandHeaders, DimensionResult, ItemResult, LocationResult, PolicyResult,
    RuleResult, TaxCodeResult,
};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Defines an item or changes it
///
/// The whole definition; the same one again changes nothing. Scale, tracking, pool and posting class are fixed while there
/// is stock or a hold. A new method takes the stock over at its present value; the way to `standard` posts the difference.
#[utoipa::path(put, path = "/v1/items/{sku}", tag = "Catalogue",
    params(("sku" = Sku, Path, description = "The item"), CommandHeaders), request_body = DefineItem, responses(CommandAnswers<ItemResult>))]
pub(crate) async fn put_item(
    State(api): State<Api>,
    caller: Caller,
    Named(sku): Named<Sku>,
    mut body: Body<DefineItem>,
) -> Result<Response, Problem> {
    fill(&mut body.value.sku, sku)?;
    submit(&api, caller, body.value).await
}

/// Defines a location or changes it
///
/// The whole definition; the same one again changes nothing. With a parent it is inside of that one: what lies under one
/// topmost location is a warehouse, and a location with stock stays in its own.
#[utoipa::path(put, path = "/v1/locations/{code}", tag = "Catalogue",
    params(("code" = LocationCode, Path, description = "The location"), CommandHeaders),
    request_body = DefineLocation, responses(CommandAnswers<LocationResult>))]
pub(crate) async fn put_location(
    State(api): State<Api>,
    caller: Caller,
    Named(code): Named<LocationCode>,
    mut body: Body<DefineLocation>,
) -> Result<Response, Problem> {
    fill(&mut body.value.code, code)?;
    submit(&api, caller, body.value).await
}

/// Defines a stock policy
///
/// How much of an item at a location is kept back, and whether more may be promised than there is. The whole definition;
/// the same one again changes nothing.
#[utoipa::path(put, path = "/v1/stock/{sku}/{location}/policy", tag = "Catalogue",
    params(("sku" = Sku, Path, description = "The item"), ("location" = LocationCode, Path, description = "Where"), CommandHeaders),
    request_body = DefineStockPolicy, responses(CommandAnswers<PolicyResult>))]
pub(crate) async fn put_stock_policy(
    State(api): State<Api>,
    caller: Caller,
    Named((sku, location)): Named<(Sku, LocationCode)>,
    mut body: Body<DefineStockPolicy>,
) -> Result<Response, Problem> {
    fill(&mut body.value.sku, sku)?;
    fill(&mut body.value.location, location)?;
    submit(&api, caller, body.value).await
}

/// Opens an account or changes it
///
/// The whole definition; the same one again changes nothing. The type is fixed once something was posted. `minimum` and
/// `maximum` bound the balance on the account's normal side: what would leave them is refused.
#[utoipa::path(put, path = "/v1/accounts/{code}", tag = "Catalogue",
    params(("code" = AccountCode, Path, description = "The account"), CommandHeaders),
    request_body = DefineAccount, responses(CommandAnswers<AccountResult>))]
pub(crate) async fn put_account(
    State(api): State<Api>,
    caller: Caller,
    Named(code): Named<AccountCode>,
    mut body: Body<DefineAccount>,
) -> Result<Response, Problem> {
    fill(&mut body.value.code, code)?;
    submit(&api, caller, body.value).await
}

/// Defines an account set or changes it
///
/// The whole definition; the same one again changes nothing. Reports sum the accounts in it and in the sets in it.
#[utoipa::path(put, path = "/v1/account-sets/{code}", tag = "Catalogue",
    params(("code" = AccountSetCode, Path, description = "The set"), CommandHeaders),
    request_body = DefineAccountSet, responses(CommandAnswers<AccountSetResult>))]
pub(crate) async fn put_account_set(
    State(api): State<Api>,
    caller: Caller,
    Named(code): Named<AccountSetCode>,
    mut body: Body<DefineAccountSet>,
) -> Result<Response, Problem> {
    fill(&mut body.value.code, code)?;
    submit(&api, caller, body.value).await
}

/// Defines a dimension or changes it
///
/// The whole definition; the same one again changes nothing. With `values` no other value is taken from now on.
#[utoipa::path(put, path = "/v1/dimensions/{code}", tag = "Catalogue",
    params(("code" = DimensionCode, Path, description = "The dimension"), CommandHeaders),
    request_body = DefineDimension, responses(CommandAnswers<DimensionResult>))]
pub(crate) async fn put_dimension(
    State(api): State<Api>,
    caller: Caller,
    Named(code): Named<DimensionCode>,
    mut body: Body<DefineDimension>,
) -> Result<Response, Problem> {
    fill(&mut body.value.code, code)?;
    submit(&api, caller, body.value).await
}

/// Defines a tax code or changes it
///
/// The whole definition; the same one again changes nothing. A new rate is for new postings: give it a code of its own
/// where both are in use.
#[utoipa::path(put, path = "/v1/tax-codes/{code}", tag = "Catalogue",
    params(("code" = TaxCode, Path, description = "The tax code"), CommandHeaders),
    request_body = DefineTaxCode, responses(CommandAnswers<TaxCodeResult>))]
pub(crate) async fn put_tax_code(
    State(api): State<Api>,
    caller: Caller,
    Named(code): Named<TaxCode>,
    mut body: Body<DefineTaxCode>,
) -> Result<Response, Problem> {
    fill(&mut body.value.code, code)?;
    submit(&api, caller, body.value).await
}

/// What a posting rule's body says of its movement: the parsed action cannot tell a default from a word.
#[derive(Deserialize)]
struct NamedMovement {
    movement: Option<MovementKind>,
}

/// Says where a movement of a posting class posts
///
/// The rule holds from now on; what was posted before stays.
#[utoipa::path(put, path = "/v1/posting-rules/{movement}/{class}", tag = "Catalogue",
    params(("movement" = MovementKind, Path, description = "Which fact"), ("class" = PostingClass, Path, description = "The posting class"),
        CommandHeaders),
    request_body = DefinePostingRule, responses(CommandAnswers<RuleResult>))]
pub(crate) async fn put_posting_rule(
    State(api): State<Api>,
    caller: Caller,
    Named((movement, class)): Named<(MovementKind, PostingClass)>,
    mut body: Body<DefinePostingRule>,
) -> Result<Response, Problem> {
    let named: Option<NamedMovement> = serde_json::from_slice(&body.bytes).ok();
    let is_named = named.is_some_and(|n| n.movement.is_some());
    if is_named && body.value.movement != movement {
        return Err(mismatch());
    }
    body.value.movement = movement;
    fill(&mut body.value.class, class)?;
    submit(&api, caller, body.value).await
}
