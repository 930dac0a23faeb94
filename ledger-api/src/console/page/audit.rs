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
    Action, Facts, Field, Form, Links, Note, Row, Show, Table, Verbatim, code, encode, event_link, extra, figures, link, number,
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
    match verification["sound"].as_bool() {
        Some(true) => "clean".to_owned(),
        Some(false) => "findings".to_owned(),
        None => verification.text("status"),
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
        let (title, text) = ("The log's head, signed".to_owned(), found.json.text("note"));
        view.part(Verbatim { title, text, is_folded: false })
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
        Row::of([
            link(format!("/console/audit/verifications/{}", encode(&id)), code(&id)),
            status(verdict(one)),
            number(one.text("findings")),
            event_link(&one.text("position")),
            time(one.text("created_at")),
            time(one.text("finished_at")),
            text(one.text("asked_by")),
        ])
    };
    let columns = [
        words("Verification"),
        words("Verdict"),
        figures("Findings"),
        figures("Up to"),
        words("Asked for"),
        words("Finished"),
        extra("Asked by"),
    ];
    Table::new("verifications", "Verifications", columns).empty("Nothing was verified yet.").fill(found.list("data"), row)
}

fn checkpoint_table(found: &Value) -> Table {
    let row = |one: &Value| Row::of([event_link(&one.text("size")), time(one.text("signed_at")), code(one.text("root"))]);
    let columns = [figures("Size"), words("Signed"), words("Root")];
    Table::new("checkpoints", "Checkpoints", columns).empty("No checkpoint was signed yet.").fill(found.list("data"), row)
}

fn key_table(found: &Value) -> Table {
    let kinds = [("verifier_keys", "signs"), ("retired_keys", "retired")];
    let mut table = Table::new("keys", "Keys that verify the checkpoints", [words("Verifier key"), words("")])
        .empty("No key signs checkpoints here.")
        .note("Keep a copy of these where the owner of this database cannot write.");
    for (field, word) in kinds {
        table.rows.extend(found.list(field).iter().map(|key| Row::of([code(plain(key)), status(word)])));
    }
    table
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
    let progress = match (one.text("done"), one.text("of")) {
        (done, of) if !of.is_empty() => Show::Many(vec![number(done), text("of"), number(of), text("events")]),
        (done, _) => Show::Many(vec![number(done), text("events")]),
    };
    let report = &one["report"];
    let facts = [
        ("Verdict", status(verdict(one))),
        ("Looked at", progress),
        ("Up to", event_link(&one.text("position"))),
        ("Root", code(report.text("root"))),
        ("Asked for", time(one.text("created_at"))),
        ("Finished", time(one.text("finished_at"))),
        ("Asked by", text(one.text("asked_by"))),
    ];
    let row = |finding: &Value| {
        Row::of([event_link(&finding.text("position")), text(phrase(&finding.text("invariant"))), text(finding.text("what"))])
    };
    let columns = [figures("Position"), words("What must hold"), words("Finding")];
    let view = View::new(Section::Audit, "Verification")
        .below("Audit", "/console/audit")
        .at(found.position.clone())
        .part(Facts::new("", facts));
    if report.is_null() {
        let words = "Not done yet. Open this page again to see how far it is.".to_owned();
        return Ok(view.part(Note { tone: "plain", words }));
    }
    let findings = Table::new("findings", "Findings", columns)
        .empty("None: everything that was looked at holds.")
        .fill(report.list("findings"), row);
    Ok(view.part(findings).part(Verbatim::json("The whole report", report).folded()))
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
        .quiet()
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
