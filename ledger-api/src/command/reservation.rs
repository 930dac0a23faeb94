//! Holds.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::ReservationId;
use ledger_core::domain::reservation::command::{
    ChangeReservation, CommitReservation, ConfirmReservation, ExtendReservation, MoveReservation, ReduceReservation,
    ReleaseReservation, Reserve,
};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, ReservationResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Reserves goods
///
/// Holds every line or none, until `ttl_seconds` are over; a kit as its components. Demand is summed per item and location
/// before it is tested; when it is not covered, the problem lists every shortage.
///
/// - A `strategy` chooses the places: the answer's lines say which.
/// - With `allow_partial`, what there is of each line is held and the answer lists the `shortages`.
/// - Where the stock policy allows backorders, what is not there waits, and is filled when stock comes in: the highest
///   `priority` first.
/// - With `replace_own`, what the same owner held before is released in the same commit.
#[utoipa::path(post, path = "/v1/reservations", tag = "Reservations", params(CommandHeaders), request_body = Reserve, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn reserve(State(api): State<Api>, caller: Caller, body: Body<Reserve>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Extends a hold
///
/// To `ttl_seconds` from now; never to an earlier instant. An expired hold cannot be revived, and one that is confirmed
/// does not expire.
#[utoipa::path(post, path = "/v1/reservations/{id}/extend", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = ExtendReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn extend(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    mut body: Body<ExtendReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    submit(&api, caller, body.value).await
}

/// Ships what is held
///
/// Issues every line, values it and posts its cost, in one fact. With `lines`, only so much of those: the rest is held on,
/// and the answer lists it as `remaining`. What still waits for stock cannot be shipped. The body may be left out.
#[utoipa::path(post, path = "/v1/reservations/{id}/commit", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = CommitReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn commit(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    BodyOrNone(mut body): BodyOrNone<CommitReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Gives back what is held
///
/// The body may be left out.
#[utoipa::path(post, path = "/v1/reservations/{id}/release", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = ReleaseReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn release(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    BodyOrNone(mut body): BodyOrNone<ReleaseReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}

/// Changes what is held
///
/// New quantities of some lines, all or none; 0 gives a line up, and giving up all of them releases the hold. A line that
/// grows needs only the difference to be there.
#[utoipa::path(post, path = "/v1/reservations/{id}/change", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = ChangeReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn change(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    mut body: Body<ChangeReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    submit(&api, caller, body.value).await
}

/// Reduces what is held
///
/// New quantities of some lines, none above what it is; otherwise as a change. It cannot fail for want of stock.
#[utoipa::path(post, path = "/v1/reservations/{id}/reduce", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = ReduceReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn reduce(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    mut body: Body<ReduceReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    submit(&api, caller, body.value).await
}

/// Moves a line
///
/// Holds it at another location or of another lot, where all of it must be there.
#[utoipa::path(post, path = "/v1/reservations/{id}/move", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = MoveReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn relocate(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    mut body: Body<MoveReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.value.id, id)?;
    submit(&api, caller, body.value).await
}

/// Confirms a hold
///
/// Allocates it to an order: it does not expire any more. The body may be left out.
#[utoipa::path(post, path = "/v1/reservations/{id}/confirm", tag = "Reservations",
    params(("id" = ReservationId, Path, description = "The reservation"), CommandHeaders),
    request_body = ConfirmReservation, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn confirm(
    State(api): State<Api>,
    caller: Caller,
    Named(id): Named<ReservationId>,
    BodyOrNone(mut body): BodyOrNone<ConfirmReservation>,
) -> Result<Response, Problem> {
    fill(&mut body.id, id)?;
    submit(&api, caller, body).await
}
