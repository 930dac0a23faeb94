//! The answer of a command: where it stands in the log, what was recorded, and what that means.
//!
//! **Correctness**: everything but `Idempotent-Replayed` and the status is a function of the recorded events, so a
//! replay, rebuilt from the log by whichever node, reads like the first answer byte for byte. A dry run goes the same
//! way with the events that would have been recorded, and shows them as the log would: nobody can read them later.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger_core::domain::event::{Event, Recorded};
use ledger_core::domain::id::{Position, StreamVersion};
use ledger_core::domain::time::Timestamp;
use ledger_core::pipeline::{Answer, Outcome};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use super::result;
use crate::header::{DRY_RUN, IDEMPOTENT_REPLAYED, LEDGER_POSITION};
use crate::problem::{Fault, Problem};

/// How `result` is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One object: what became of the one thing asked for.
    Single,
    /// A list with one object per event.
    Transaction,
}

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) form: Form,
    /// Nothing of it stayed.
    pub(crate) dry_run: bool,
}

/// The body of an answer.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    position: Position,
    events: Events<'a>,
    result: result::Result<'a>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(position: Position, recorded: &'a [Recorded], manner: Manner) -> Self {
        let Manner { form, dry_run } = manner;
        let (events, result) = (Events { recorded, is_whole: dry_run }, result::Result { events: recorded, form });
        Self { dry_run, position, events, result }
    }
}

#[derive(Debug)]
struct Events<'a> {
    recorded: &'a [Recorded],
    is_whole: bool,
}

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.recorded.len()))?;
        for recorded in self.recorded {
            list.serialize_element(&EventLine {
                r#type: recorded.fact.event.type_name(),
                stream: Displayed(recorded.fact.event.subject()),
                version: recorded.stream_version,
                position: recorded.position,
                effective_at: self.is_whole.then(|| recorded.effective_at()),
                data: self.is_whole.then_some(&recorded.fact.event),
            })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct EventLine<'a> {
    r#type: &'static str,
    stream: Displayed<ledger_core::domain::event::Subject>,
    version: StreamVersion,
    position: Position,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Event>,
}

/// Written as its `Display` text, without a string in between.
pub(crate) struct Displayed<T>(pub(crate) T);

impl<T: std::fmt::Display> Serialize for Displayed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// 201 for new facts, 200 when nothing was to do or stays, or the answer is an earlier one.
pub(crate) fn status(answer: &Answer, dry_run: bool) -> StatusCode {
    match (&answer.outcome, answer.replayed || dry_run) {
        (Outcome::Accepted { .. }, false) => StatusCode::CREATED,
        (Outcome::Accepted { .. }, true) | (Outcome::Unchanged | Outcome::Refused(_), _) => StatusCode::OK,
    }
}

/// The answer as a response; a refusal as its problem.
///
/// # Errors
/// The refusal.
pub(crate) fn respond(answer: Answer, manner: Manner) -> Result<Response, Problem> {
    let status = status(&answer, manner.dry_run);
    let events = match &answer.outcome {
        Outcome::Accepted { events } => events.as_slice(),
        Outcome::Unchanged => &[],
        Outcome::Refused(refusal) => return Err(Problem::refused(refusal, answer.replayed)),
    };
    let mut body = Vec::with_capacity(512);
    serde_json::to_writer(&mut body, &Shown::new(answer.position, events, manner)).map_err(unwritable)?;
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(LEDGER_POSITION, answer.position.into());
    if answer.replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    if manner.dry_run {
        headers.insert(DRY_RUN, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// A value that cannot be written as JSON is a bug.
pub(crate) fn unwritable(error: serde_json::Error) -> Problem {
    tracing::error!(error = &error as &dyn std::error::Error, "an answer cannot be written");
    Problem::new(Fault::Internal, Fault::Internal.sentence())
}
