//! Holds.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::ReservationId;
use ledger_core::domain::reservation::command::{CommitReservation, ExtendReservation, ReleaseReservation, Reserve};

use super::{Body, BodyOrNone, Caller, fill, submit};
use crate::openapi::{CommandAnswers, CommandHeaders, ReservationResult};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// Reserves goods
///
/// Holds every line or none, until `ttl_seconds` are over. Demand is summed per item and location before it is tested;
/// when it is not covered, the problem lists every shortage.
#[utoipa::path(post, path = "/v1/reservations", tag = "Reservations", params(CommandHeaders), request_body = Reserve, responses(CommandAnswers<ReservationResult>))]
pub(crate) async fn reserve(State(api): State<Api>, caller: Caller, body: Body<Reserve>) -> Result<Response, Problem> {
    submit(&api, caller, body.value).await
}

/// Extends a hold
///
/// To `ttl_seconds` from now; never to an earlier instant. An expired hold cannot be revived.
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
/// Issues every line, values it and posts its cost, in one fact. The body may be left out.
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
