//! Many independent commands in one request, a verdict for each.
//!
//! **Shape**: the body is cut into elements (JSON list or lines) → each element into a command or its flaw → the sound
//! ones go to the pipeline together → verdicts in the order of the elements.
//! **Correctness**: an element is cut out before it is looked at, so one that is malformed, refused or too long costs
//! itself alone. Only a body whose elements cannot be told apart is refused as a whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header as names};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::id::{CommandId, Position};
use ledger_core::pipeline::{self, Answer, Outcome};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::answer::{Form, Manner, Shown, status, unwritable};
use super::caller::{is_dry_run, traced};
use super::element::{self, Place};
use super::{command, nobodys_id, read_body, transaction};
use crate::auth::Principal;
use crate::header::{DRY_RUN, LEDGER_POSITION, accepts, command_id_from, media_type};
use crate::limit::{BATCH_BODY_BYTES_MAX, BATCH_COMMANDS_MAX};
use crate::openapi::{BatchAnswers, BatchBody, BatchHeaders};
use crate::problem::{Fault, Flaw, Problem};
use crate::state::Api;

/// Newline-delimited JSON: one command, or one verdict, per line.
const NDJSON: &str = "application/x-ndjson";

/// The word of an element that is several commands in one.
pub(crate) const TRANSACTION: &str = "transaction";

/// A batch's body and how its answer is to be written.
pub(crate) struct Parcel {
    bytes: Bytes,
    are_lines: bool,
    answer_lines: bool,
    terms: Terms,
}

/// What holds for every element of a batch.
struct Terms {
    context: Arc<Context>,
    dry_run: bool,
}

impl Parcel {
    async fn receive(request: Request, principal: &Principal) -> Result<Self, Problem> {
        let headers: &HeaderMap = request.headers();
        let are_lines = match media_type(headers) {
            Some(m) if m.eq_ignore_ascii_case(NDJSON) => true,
            Some(m) if m.eq_ignore_ascii_case("application/json") => false,
            _another_or_none => {
                return Err(Problem::new(Fault::UnsupportedMediaType, "a batch is application/json or application/x-ndjson"));
            }
        };
        let answer_lines = accepts(headers, NDJSON);
        let terms = Terms { context: traced(principal, headers)?, dry_run: is_dry_run(headers, request.uri())? };
        Ok(Self { bytes: read_body(request, BATCH_BODY_BYTES_MAX).await?, are_lines, answer_lines, terms })
    }

    /// The text of each element.
    fn elements(&self) -> Result<Vec<&[u8]>, Problem> {
        let elements: Vec<&[u8]> = if self.are_lines {
            self.bytes
                .split(|b| *b == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
                .take(BATCH_COMMANDS_MAX.saturating_add(1))
                .collect()
        } else {
            let commands = transaction::commands(&self.bytes).map_err(Problem::malformed)?;
            commands.into_iter().map(|raw| raw.get().as_bytes()).collect()
        };
        if elements.len() > BATCH_COMMANDS_MAX {
            let detail = format!("a batch may have at most {BATCH_COMMANDS_MAX} commands");
            return Err(Problem::new(Fault::BatchTooLong, detail).with("commands_max", BATCH_COMMANDS_MAX));
        }
        Ok(elements)
    }
}

/// Where an element's verdict goes.
struct Slot {
    id: Option<String>,
    form: Form,
    /// Absent when the element was sent on and has an answer coming.
    problem: Option<Problem>,
}

/// Does many things, each by itself
///
/// Up to 8,192 independent commands, as `{"commands": […]}` or, as `application/x-ndjson`, one per line. Each carries
/// its idempotency key as `id` and gets a verdict: the status it would have had alone, and the answer or the problem.
/// They are decided in order; one that is malformed or refused harms no other. An element of type `transaction`
/// carries `commands` that stand or fall together. The answer is a JSON object, or one verdict per line when `Accept`
/// names `application/x-ndjson`. In a dry run no command sees what another one would do, and `id` may be left out; what
/// belongs together is tried out as a transaction.
#[utoipa::path(post, path = "/v1/batches", tag = "Many at once", params(BatchHeaders),
    request_body(content((BatchBody = "application/json"), (String = "application/x-ndjson"))), responses(BatchAnswers))]
pub(crate) async fn run_batch(State(api): State<Api>, principal: Principal, request: Request) -> Result<Response, Problem> {
    // Several times its body in memory: so many at once and no more.
    let _place = api.batches.try_acquire().map_err(|_| Problem::new(Fault::Busy, "too many batches are under way"))?;
    let parcel = Parcel::receive(request, &principal).await?;
    let mut commands = Vec::new();
    let slots: Vec<Slot> = parcel.elements()?.into_iter().map(|text| sort(text, &parcel.terms, &mut commands)).collect();
    let answers = api.pipeline.submit_many(principal.tenant, commands).await;
    respond(&slots, &answers, parcel.answer_lines, parcel.terms.dry_run)
}

/// Puts an element's command with the others, or its flaw into its slot.
fn sort(text: &[u8], terms: &Terms, commands: &mut Vec<Command>) -> Slot {
    let flawed = |id: Option<String>, flaw: Flaw| Slot { id, form: Form::Single, problem: Some(Problem::malformed(flaw)) };
    let Ok(text) = std::str::from_utf8(text) else {
        return flawed(None, Flaw { pointer: String::new(), detail: "not UTF-8".into() });
    };
    let head = match element::head(text) {
        Ok(head) => head,
        Err(flaw) => return flawed(None, flaw),
    };
    let shown_id = head.id.as_ref().map(|id| id.to_string());
    let id = match identity(shown_id.as_deref(), terms.dry_run) {
        Ok(id) => id,
        Err(problem) => return Slot { id: shown_id, form: Form::Single, problem: Some(problem) },
    };
    let (form, steps) = match &*head.word {
        TRANSACTION => (Form::Transaction, steps_of_transaction(text)),
        _one_action => (Form::Single, element::action(text, &head, Place::Batch).map(|action| vec![action])),
    };
    match steps {
        Ok(steps) => {
            commands.push(command(id, Arc::clone(&terms.context), steps, terms.dry_run));
            Slot { id: shown_id, form, problem: None }
        }
        Err(flaw) => flawed(shown_id, flaw),
    }
}

/// An element's identity. In a dry run it needs none, and the one it has is not used up.
fn identity(key: Option<&str>, dry_run: bool) -> Result<CommandId, Problem> {
    let key_invalid = || Problem::new(Fault::IdempotencyKeyInvalid, Fault::IdempotencyKeyInvalid.sentence());
    let id = key.map(|key| command_id_from(key).ok_or_else(key_invalid)).transpose()?;
    let missing = || Problem::new(Fault::IdempotencyKeyMissing, "a command in a batch needs an id: its idempotency key");
    if dry_run { Ok(nobodys_id()) } else { id.ok_or_else(missing) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransactionElement<'a> {
    #[serde(rename = "id", default)]
    _id: Option<IgnoredAny>,
    #[serde(rename = "type")]
    _word: IgnoredAny,
    #[serde(borrow)]
    commands: Vec<&'a RawValue>,
}

fn steps_of_transaction(text: &str) -> Result<Vec<Action>, Flaw> {
    let element: TransactionElement<'_> =
        serde_json::from_str(text).map_err(|error| Flaw { pointer: "/commands".into(), detail: error.to_string() })?;
    transaction::steps_of(&element.commands)
}

#[derive(Serialize)]
struct Verdict<'a> {
    id: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Map<String, Value>>,
}

impl<'a> Verdict<'a> {
    fn problem(slot: &'a Slot, problem: &Problem) -> Self {
        let (status, replayed) = (problem.status().as_u16(), problem.is_replayed());
        Self { id: slot.id.as_deref(), status, replayed, answer: None, problem: Some(problem.body(None)) }
    }

    fn answer(slot: &'a Slot, answer: &'a Answer, dry_run: bool) -> Self {
        let events = match &answer.outcome {
            Outcome::Accepted { events } => events.as_slice(),
            Outcome::Unchanged => &[],
            Outcome::Refused(refusal) => return Self::problem(slot, &Problem::refused(refusal, answer.replayed)),
        };
        let shown = Shown::new(answer.position, events, Manner { form: slot.form, dry_run });
        Self {
            id: slot.id.as_deref(),
            status: status(answer, dry_run).as_u16(),
            replayed: answer.replayed,
            answer: Some(shown),
            problem: None,
        }
    }
}

/// Writes the verdicts one after another, never all of them as values.
fn respond(
    slots: &[Slot],
    answers: &[Result<Answer, pipeline::Error>],
    as_lines: bool,
    dry_run: bool,
) -> Result<Response, Problem> {
    let mut body = Vec::with_capacity(slots.len().saturating_mul(256));
    let mut position: Position = 0;
    let mut coming = answers.iter();
    body.extend_from_slice(if as_lines { b"" } else { br#"{"results":["# });
    for (number, slot) in slots.iter().enumerate() {
        if number > 0 && !as_lines {
            body.push(b',');
        }
        let verdict = match (&slot.problem, &slot.problem.is_none().then(|| coming.next()).flatten()) {
            (Some(problem), _) => Verdict::problem(slot, problem),
            (None, Some(Ok(answer))) => {
                position = position.max(answer.position);
                Verdict::answer(slot, answer, dry_run)
            }
            (None, Some(Err(error))) => Verdict::problem(slot, &Problem::from(*error)),
            (None, None) => Verdict::problem(slot, &Problem::from(pipeline::Error::ShuttingDown)),
        };
        serde_json::to_writer(&mut body, &verdict).map_err(unwritable)?;
        if as_lines {
            body.push(b'\n');
        }
    }
    body.extend_from_slice(if as_lines { b"" } else { b"]}" });
    let media_type = if as_lines { NDJSON } else { "application/json" };
    let mut response = Body::from(body).into_response();
    response.headers_mut().insert(names::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if position > 0 {
        response.headers_mut().insert(LEDGER_POSITION, position.into());
    }
    if dry_run {
        response.headers_mut().insert(DRY_RUN, HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_as(text: &str, dry_run: bool) -> (Slot, Vec<Command>) {
        let mut commands = Vec::new();
        let slot = sort(text.as_bytes(), &Terms { context: Arc::default(), dry_run }, &mut commands);
        (slot, commands)
    }

    fn sorted(text: &str) -> (Slot, Vec<Command>) {
        sorted_as(text, false)
    }

    #[test]
    fn a_bad_element_keeps_its_id_and_sends_nothing() {
        for (text, id, code) in [
            ("{", None, "malformed"),
            (r#"{"type":"receive"}"#, None, "idempotency_key_missing"),
            (r#"{"id":"","type":"receive"}"#, Some(""), "idempotency_key_invalid"),
            (r#"{"id":"k","type":"receive"}"#, Some("k"), "malformed"),
            (r#"{"id":"k","type":"nothing"}"#, Some("k"), "malformed"),
            (r#"{"id":"k","type":"transaction"}"#, Some("k"), "malformed"),
            (r#"{"id":"k","type":"transaction","commands":[{"type":"transaction","commands":[]}]}"#, Some("k"), "malformed"),
        ] {
            let (slot, commands) = sorted(text);
            assert!(commands.is_empty(), "{text}");
            assert_eq!((slot.id.as_deref(), slot.problem.map(|p| p.code())), (id, Some(code)), "{text}");
        }
    }

    #[test]
    fn good_elements_become_commands() {
        let (slot, commands) = sorted(r#"{"id":"k","type":"receive","sku":"A","location":"L","quantity":"1","unit_cost":"2"}"#);
        assert!(slot.problem.is_none());
        assert_eq!(commands[0].id, CommandId::from_key("k"));
        let text = r#"{"id":"k","type":"transaction","commands":[{"type":"define_item","sku":"A"},{"type":"define_location","code":"L"}]}"#;
        let (slot, commands) = sorted(text);
        assert_eq!((slot.form, commands[0].steps.len()), (Form::Transaction, 2));
    }

    #[test]
    fn a_dry_run_takes_no_key() {
        let text = r#"{"id":"k","type":"release_reservation","reservation":"r"}"#;
        let (slot, commands) = sorted_as(text, true);
        assert_eq!((slot.id.as_deref(), commands[0].dry_run), (Some("k"), true));
        assert_ne!(commands[0].id, CommandId::from_key("k"));
        assert!(!sorted(text).1[0].dry_run);
        for (text, code) in [
            (r#"{"type":"release_reservation","reservation":"r"}"#, None),
            (r#"{"type":"transaction","commands":[{"type":"define_item","sku":"A"}]}"#, None),
            (r#"{"id":"","type":"release_reservation","reservation":"r"}"#, Some("idempotency_key_invalid")),
            (r#"{"type":"release_reservation"}"#, Some("malformed")),
        ] {
            let (slot, commands) = sorted_as(text, true);
            assert_eq!((slot.problem.map(|p| p.code()), commands.is_empty()), (code, code.is_some()), "{text}");
        }
    }

    #[test]
    fn verdicts_stand_in_the_order_of_the_elements() {
        let problem = Problem::malformed(Flaw { pointer: String::new(), detail: "bad".into() });
        let slots = [
            Slot { id: Some("a".into()), form: Form::Single, problem: None },
            Slot { id: None, form: Form::Single, problem: Some(problem) },
            Slot { id: Some("c".into()), form: Form::Single, problem: None },
        ];
        let unchanged = Answer { position: 7, replayed: true, outcome: Outcome::Unchanged };
        let response = respond(&slots, &[Ok(unchanged), Err(pipeline::Error::InProgress)], true, false).unwrap();
        assert!(!response.headers().contains_key(DRY_RUN));
        assert_eq!(response.headers()[LEDGER_POSITION], "7");
        let body = futures::executor::block_on(http_body_util::BodyExt::collect(response.into_body())).unwrap().to_bytes();
        let lines: Vec<Value> =
            body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        let told: Vec<_> = lines.iter().map(|l| (l["id"].as_str(), l["status"].as_u64())).collect();
        assert_eq!(told, [(Some("a"), Some(200)), (None, Some(400)), (Some("c"), Some(409))]);
    }
}
