//! Everything that changes the ledger.
//!
//! **Shape**: [`Caller`] (key, idempotency key, expected version) + [`Body`] → an action → the pipeline → an
//! [`answer`]. One submodule per noun; each handler says which action its path means and nothing else.

pub(crate) mod answer;
pub(crate) mod batch;
mod body;
mod caller;
pub(crate) mod catalogue;
pub(crate) mod count;
pub(crate) mod element;
pub(crate) mod job;
pub(crate) mod journal;
pub(crate) mod period;
pub(crate) mod person;
pub(crate) mod reservation;
mod result;
pub(crate) mod stock;
pub(crate) mod transaction;
pub(crate) mod transfer;
pub(crate) mod verb;
pub(crate) mod verification;
pub(crate) mod webhook;

use axum::response::Response;
use std::sync::Arc;

use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::id::{
    AccountCode, AccountSetCode, CommandId, CountId, DimensionCode, EntryId, ExpectationId, LocationCode, PersonId, PostingClass,
    ReservationId, Sku, TaxCode, TransferId,
};
use ledger_core::domain::period::Month;
use uuid::Uuid;

use crate::problem::{Fault, Problem};
use crate::state::Api;
use answer::{Form, Manner};
pub(crate) use body::{Body, BodyOrNone, read_body};
pub(crate) use caller::Caller;
use verb::Verb;

/// Submits one action and renders its answer.
async fn submit<V: Verb>(api: &Api, caller: Caller, mut verb: V) -> Result<Response, Problem> {
    caller.expect_version(verb.expected_version())?;
    submit_steps(api, caller, vec![verb.into_action()], Form::Single).await
}

async fn submit_steps(api: &Api, caller: Caller, steps: Vec<Action>, form: Form) -> Result<Response, Problem> {
    let dry_run = caller.dry_run;
    let command = command(caller.id, caller.context, steps, dry_run);
    let answer = api.pipeline.submit(caller.tenant, command).await?;
    answer::respond(answer, Manner { form, dry_run })
}

fn command(id: CommandId, context: Arc<Context>, steps: Vec<Action>, dry_run: bool) -> Command {
    Command { dry_run, ..Command::new(id, context, steps, Uuid::now_v7()) }
}

/// An identity that no caller has: a dry run is not remembered, so it takes nobody's key.
fn nobodys_id() -> CommandId {
    CommandId(Uuid::now_v7().into_bytes())
}

/// A code that a path may fill.
trait Name: PartialEq {
    fn is_unset(&self) -> bool;
}

macro_rules! names {
    ($($name:ident)*) => {
        $(impl Name for $name {
            fn is_unset(&self) -> bool {
                $name::is_unset(self)
            }
        })*
    };
}

names! {
    Sku LocationCode AccountCode PostingClass ReservationId EntryId ExpectationId TransferId CountId AccountSetCode
    DimensionCode TaxCode PersonId
}

impl Name for Month {
    /// January of year 0 is before every period there is.
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

/// A fiscal year.
impl Name for i32 {
    fn is_unset(&self) -> bool {
        *self == 0
    }
}

/// Puts the name from the path into the body's field; a body that names another thing is refused.
fn fill<T: Name>(field: &mut T, path: T) -> Result<(), Problem> {
    if !field.is_unset() && *field != path {
        return Err(mismatch());
    }
    *field = path;
    Ok(())
}

fn mismatch() -> Problem {
    Problem::new(Fault::PathBodyMismatch, Fault::PathBodyMismatch.sentence())
}
