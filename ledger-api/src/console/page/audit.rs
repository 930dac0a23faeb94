//! The audit: is the log what it was, who says so, and who did what.

use axum::Form as Sent;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ROWS;
use super::event::{actor_link, type_options};
use super::login::Token;
use crate::console::Console;
use crate::console::ask::{Answer, Fields, plain};
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Action, Facts, Field, Form, Links, Note, Row, Table, Verbatim, code, encode, event_link, extra, figures, link, number,
    phrase, query, status, stream_link, text, time, words,
};
use crate::console::session::Session;
use crate::problem::Problem;

/// Checkpoints and verifications shown.
const NEWEST: &str = "10";

fn tabs(here: &str) -> Links {
    let tab = |words: &str, path: &str| (words.to_owned(), path.to_owned(), here == path);
    Links { label: "Audit", links: vec![tab("Verification", "/console/audit"), tab("Who did what", "/console/audit/trail")] }
}

/// What a verification came to, in a word.
pub(super) fn verdict(verification: &Value) -> String {
    let report = &verification["report"];
    let counted =
        |value: &Value| value.as_u64().or_else(|| value.as_array().map(|list| u64::try_from(list.len()).unwrap_or(u64::MAX)));
    let findings = counted(&verification["findings"]).or_else(|| counted(&report["findings"]));
    match (verification.text("status").as_str(), findings) {
        ("done" | "finished" | "succeeded" | "completed", Some(0)) => "clean".to_owned(),
        (_, Some(1..)) => "findings".to_owned(),
        (word, _) => word.to_owned(),
    }
}

pub(in crate::console) async fn show(session: Session, State(console): State<Console>) -> Response {
    let shown = view(&console, &session).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session) -> Shown {
    let checkpoints = format!("/v1/audit/checkpoints?limit={NEWEST}");
    let verifications = format!("/v1/audit/verifications?limit={NEWEST}");
    let (checkpoint, checkpoints, keys, verifications, overview) = tokio::join!(
        console.get_if_there(session, "/v1/audit/checkpoint"),
        console.get_if_there(session, &checkpoints),
        console.get_if_there(session, "/v1/audit/keys"),
        console.get_if_there(session, &verifications),
        console.get(session, "/v1/overview"),
    );
    let mut view = View::new(Section::Audit, "Audit").at(overview?.position).part(tabs("/console/audit"));
    view = add(view, verifications, |view, found| view.part(verify_now(session)).part(verification_table(&found.json)));
    view = add(view, checkpoint, |view, found| {
        view.part(Verbatim { title: "The newest checkpoint, signed".into(), text: note_of(&found.json), is_folded: false })
    });
    view = add(view, checkpoints, |view, found| view.part(checkpoint_table(&found.json)));
    Ok(add(view, keys, |view, found| view.part(key_table(&found.json))))
}

/// A section, if the API has what it shows; what keeps the API from answering is said in its place.
fn add(view: View, found: Result<Option<Answer>, Problem>, section: impl FnOnce(View, Answer) -> View) -> View {
    match found {
        Ok(Some(found)) => section(view, found),
        Ok(None) => view,
        Err(problem) => {
            let detail = problem.body(None).get("detail").map(plain).unwrap_or_default();
            view.part(Note { tone: "warn", words: detail })
        }
    }
}

fn note_of(checkpoint: &Value) -> String {
    let text = checkpoint.text("note");
    if text.is_empty() { plain(checkpoint) } else { text }
}

fn verify_now(session: &Session) -> Action {
    Action {
        action: "/console/audit/verify".into(),
        token: session.token.clone(),
        button: "Verify now",
        words: "Replays the log and compares it with its proofs, its invariants and everything made of it.".into(),
    }
}

fn verification_table(found: &Value) -> Table {
    let row = |one: &Value| {
        let id = one.text("id");
        let report = &one["report"];
        let position = if report.has("events") { report.text("events") } else { one.text("position") };
        Row::of([
            link(format!("/console/audit/verifications/{}", encode(&id)), code(&id)),
            status(verdict(one)),
            number(position),
            time(one.text("started_at")),
            time(one.text("finished_at")),
            text(one.text("asked_by")),
        ])
    };
    let columns =
        [words("Verification"), words("Verdict"), figures("Events"), words("Started"), words("Finished"), extra("Asked by")];
    Table::new("verifications", "Verifications", columns).empty("Nothing was verified yet.").fill(found.list("data"), row)
}

fn checkpoint_table(found: &Value) -> Table {
    let row = |one: &Value| {
        let root = one["root"].as_object().map_or_else(|| one.text("root"), |_| one["root"].text("hex"));
        Row::of([event_link(&one.text("size")), time(one.text("signed_at")), code(root)])
    };
    let columns = [figures("Size"), words("Signed"), words("Root")];
    Table::new("checkpoints", "Checkpoints", columns).empty("No checkpoint was signed yet.").fill(found.list("data"), row)
}

fn key_table(found: &Value) -> Table {
    let names = ["keys", "data", "verifier_keys"];
    let list = names.into_iter().map(|name| found.list(name)).find(|list| !list.is_empty()).unwrap_or(&[]);
    let row = |key: &Value| match key {
        Value::Object(_) => {
            let text_of = ["verifier_key", "key", "text"].into_iter().map(|name| key.text(name)).find(|t| !t.is_empty());
            Row::of([code(text_of.unwrap_or_default()), status(key.text("status"))])
        }
        key => Row::of([code(plain(key)), text("")]),
    };
    Table::new("keys", "Keys that verify the checkpoints", [words("Verifier key"), words("")])
        .empty("No key signs checkpoints here.")
        .fill(list, row)
        .note("Keep a copy of these where the owner of this database cannot write.")
}

/// Starts a verification, for a form of this session only.
pub(in crate::console) async fn verify(session: Session, State(console): State<Console>, Sent(sent): Sent<Token>) -> Response {
    if !sent.is_of(&session) {
        return (StatusCode::FORBIDDEN, "this form is of another session\n").into_response();
    }
    match console.post(&session, "/v1/audit/verifications", &json!({})).await {
        Ok(started) => {
            let id = started.json.text("id");
            let target =
                if id.is_empty() { "/console/audit".to_owned() } else { format!("/console/audit/verifications/{}", encode(&id)) };
            Redirect::to(&target).into_response()
        }
        Err(problem) => session.show(&console, Err(problem)).await,
    }
}

pub(in crate::console) async fn verification(
    session: Session,
    State(console): State<Console>,
    Path(id): Path<String>,
) -> Response {
    let shown = one_verification(&console, &session, &id).await;
    session.show(&console, shown).await
}

async fn one_verification(console: &Console, session: &Session, id: &str) -> Shown {
    let found = console.get(session, &format!("/v1/audit/verifications/{}", encode(id))).await?;
    let one = &found.json;
    let report = &one["report"];
    let progress = &one["progress"];
    let of = match (progress.text("done"), progress.text("total")) {
        (done, total) if !done.is_empty() && !total.is_empty() => format!("{done} of {total}"),
        (done, _) => done,
    };
    let facts = [
        ("Verdict", status(verdict(one))),
        ("Progress", text(of)),
        ("Events", number(report.text("events"))),
        ("Root", code(report.text("root"))),
        ("Started", time(one.text("started_at"))),
        ("Finished", time(one.text("finished_at"))),
        ("Asked by", text(one.text("asked_by"))),
    ];
    let findings = if report.has("findings") { report.list("findings") } else { one.list("findings") };
    let row = |finding: &Value| {
        let words = ["sentence", "detail", "what", "words"].into_iter().map(|name| finding.text(name)).find(|t| !t.is_empty());
        Row::of([
            event_link(&finding.text("position")),
            text(phrase(&finding.text("invariant"))),
            text(words.unwrap_or_default()),
        ])
    };
    let columns = [figures("Position"), words("What must hold"), words("Finding")];
    let mut view = View::new(Section::Audit, "Verification")
        .below("Audit", "/console/audit")
        .at(found.position.clone())
        .part(Facts::new("", facts))
        .part(Table::new("findings", "Findings", columns).empty("None.").fill(findings, row));
    if !report.is_null() {
        view = view.part(Verbatim::json("The whole report", report).folded());
    }
    Ok(view)
}

/// What to look for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    actor: String,
    reference: String,
    reason: String,
    r#type: String,
    stream: String,
    from: String,
    to: String,
    cursor: String,
}

pub(in crate::console) async fn trail(session: Session, State(console): State<Console>, Query(asked): Query<Asked>) -> Response {
    let shown = trail_view(&console, &session, &asked).await;
    session.show(&console, shown).await
}

async fn trail_view(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let filter = [
        ("limit", ROWS),
        ("actor", asked.actor.trim()),
        ("reference", asked.reference.trim()),
        ("reason", asked.reason.trim()),
        ("type", &asked.r#type),
        ("stream", asked.stream.trim()),
        ("from", &asked.from),
        ("to", &asked.to),
        ("cursor", &asked.cursor),
    ];
    let view = View::new(Section::Audit, "Who did what").below("Audit", "/console/audit").part(tabs("/console/audit/trail"));
    let view = view.part(trail_form(asked));
    let found = match console.get(session, &format!("/v1/audit/trail{}", query(&filter))).await {
        Ok(found) => found,
        Err(problem) if problem.status() == StatusCode::BAD_REQUEST => {
            let words = problem.body(None).get("detail").map(plain).unwrap_or_default();
            return Ok(view.part(Note { tone: "bad", words }));
        }
        Err(problem) => return Err(problem),
    };
    let row = |one: &Value| {
        Row::of([
            event_link(&one.text("position")),
            time(one.text("recorded_at")),
            actor_link(&one.text("actor")),
            text(phrase(&one.text("type"))),
            stream_link(&one.text("stream")),
            text(one.text("reference")),
            text(one.text("reason")),
            time(one.text("effective_at")),
        ])
    };
    let columns = [
        figures("Position"),
        words("Recorded"),
        words("Actor"),
        words("What"),
        words("Stream"),
        words("Reference"),
        words("Reason"),
        extra("Effective"),
    ];
    let table = Table::new("trail", "Events, newest first", columns)
        .empty("Nothing looked at is like that; there may be more on the next page.")
        .fill(found.json.list("data"), row)
        .pages(&session.here, "cursor", &found.json.text("next_cursor"));
    Ok(view.at(found.position).part(table))
}

fn trail_form(asked: &Asked) -> Form {
    Form {
        action: "/console/audit/trail".into(),
        fields: vec![
            Field::new("text", "actor", "Actor", asked.actor.clone()).hint("Such as key:…"),
            Field::new("text", "reference", "Reference", asked.reference.clone()),
            Field::new("text", "reason", "Reason", asked.reason.clone()),
            Field::select("type", "Type", asked.r#type.clone(), type_options("")),
            Field::new("text", "stream", "Stream", asked.stream.clone()).hint("Such as item-ABC"),
            Field::new("date", "from", "From", asked.from.clone()),
            Field::new("date", "to", "To", asked.to.clone()),
        ],
        button: "Search",
        target: "",
    }
}
