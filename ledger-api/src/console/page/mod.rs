//! The pages, a file for each noun.

pub(super) mod account;
pub(super) mod audit;
pub(super) mod background;
pub(super) mod event;
pub(super) mod item;
pub(super) mod journal;
pub(super) mod login;
pub(super) mod overview;
pub(super) mod place;
pub(super) mod report;
pub(super) mod reservation;
pub(super) mod stock;

use axum::extract::State;
use axum::response::Response;

use super::Console;
use super::session::Session;
use crate::problem::{Fault, Problem};

/// Rows of a page's table.
pub(super) const ROWS: &str = "50";

/// What is at no path of the console.
pub(super) async fn missing(session: Session, State(console): State<Console>) -> Response {
    session.show(&console, Err(Problem::new(Fault::NotFound, Fault::NotFound.sentence()))).await
}
