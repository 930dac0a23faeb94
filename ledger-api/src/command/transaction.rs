//! Several commands that stand or fall together.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::command::Action;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Form;
use super::body::JsonBytes;
use super::element::{self, Place};
use super::{Caller, submit_steps};
use crate::json::is_object;
use crate::openapi::{CommandAnswers, CommandHeaders, StepResult, TransactionBody};
use crate::problem::{Flaw, Problem};
use crate::state::Api;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

/// The steps of a transaction's body.
///
/// # Errors
/// The first flaw, with its place in the whole body.
pub(super) fn steps(bytes: &[u8]) -> Result<Vec<Action>, Flaw> {
    steps_of(&commands(bytes)?)
}

/// The unread commands of `{"commands": […]}`.
pub(super) fn commands(bytes: &[u8]) -> Result<Vec<&RawValue>, Flaw> {
    if !is_object(bytes) {
        return Err(Flaw { pointer: String::new(), detail: "the body is an object with a list of commands".into() });
    }
    serde_json::from_slice::<Envelope<'_>>(bytes)
        .map(|envelope| envelope.commands)
        .map_err(|error| Flaw { pointer: "/commands".into(), detail: error.to_string() })
}

/// Each command of a transaction as its action.
pub(super) fn steps_of(commands: &[&RawValue]) -> Result<Vec<Action>, Flaw> {
    let step = |(number, raw): (usize, &&RawValue)| {
        let text = raw.get();
        element::head(text)
            .and_then(|head| element::action(text, &head, Place::Transaction))
            .map_err(|flaw| Flaw { pointer: format!("/commands/{number}{}", flaw.pointer), detail: flaw.detail })
    };
    commands.iter().enumerate().map(step).collect()
}

/// Does several things as one
///
/// The commands are decided in order, each seeing what the ones before it did, and committed together: all or nothing.
/// When one is refused, the problem carries its number as `step`. At most 4,096 commands. A dry run tries them out as one.
#[utoipa::path(post, path = "/v1/transactions", tag = "Many at once", params(CommandHeaders),
    request_body = TransactionBody, responses(CommandAnswers<StepResult>))]
pub(crate) async fn transact(State(api): State<Api>, caller: Caller, request: JsonBytes) -> Result<Response, Problem> {
    caller.expect_no_version()?;
    let steps = steps(&request.0).map_err(Problem::malformed)?;
    submit_steps(&api, caller, steps, Form::Transaction).await
}
