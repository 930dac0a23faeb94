//! The log itself: events by filter, as they are recorded, and one by one with the proof that it is in the log.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::ROWS;
use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Column, Facts, Field, Form, Heading, Links, Live, Note, Row, Show, Table, Verbatim, code, encode, event_link, extra, figures,
    link, number, phrase, query, stream_link, text, time, words,
};
use crate::console::session::Session;
use crate::header::LAST_EVENT_ID;
use crate::problem::Problem;
use crate::query::event_type;

/// Which events.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    r#type: String,
    stream: String,
    before: String,
    after: String,
}

/// The events of a stream, or of whatever else a stream is named.
pub(super) fn stream_path(stream: &str) -> String {
    format!("/console/events{}", query(&[("stream", stream)]))
}

/// Types of events for a form: all, or those whose name begins with a word.
pub(super) fn type_options(begins: &str) -> Vec<(String, String)> {
    let known = event_type::names().filter(|name| name.starts_with(begins) || begins.is_empty());
    let any = (String::new(), "Any".to_owned());
    std::iter::once(any).chain(known.map(|name| (name.to_owned(), phrase(name)))).collect()
}

/// An event in a list of the newest.
pub(super) fn event_row(event: &Value) -> Row {
    Row::of([
        event_link(&event.text("position")),
        time(event.text("recorded_at")),
        text(phrase(&event.text("type"))),
        stream_link(&event.text("stream")),
        text(event.text("reference")),
    ])
}

fn columns() -> [Column; 7] {
    [figures("Position"), words("Recorded"), words("What"), words("Stream"), words("Reference"), words("Reason"), extra("Actor")]
}

fn wide_row(event: &Value) -> Row {
    let mut row = event_row(event);
    row.cells.extend([text(event.text("reason")), text(event["command"].text("actor"))]);
    row
}

pub(in crate::console) async fn list(session: Session, State(console): State<Console>, Query(asked): Query<Asked>) -> Response {
    let shown = view(&console, &session, &asked).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let stream = asked.stream.trim();
    let filter = [("type", &*asked.r#type), ("stream", stream)];
    // After a position the log is read forwards; from the end, backwards.
    let is_forwards = !asked.after.is_empty();
    let place = if is_forwards {
        [("after", &*asked.after), ("before", ""), ("order", "")]
    } else {
        [("after", ""), ("before", &*asked.before), ("order", "newest")]
    };
    let pairs = [&filter[..], &place[..], &[("limit", ROWS)]].concat();
    let found = console.get(session, &format!("/v1/events{}", query(&pairs))).await?;
    let next = if found.json["more"] == true {
        found.json.text(if is_forwards { "next_after" } else { "next_before" })
    } else {
        String::new()
    };
    let table = Table::new("events", "Events", columns())
        .quiet()
        .empty("No event looked at is like that. A page filtered by type looks at 10,000 events; there may be more after it.")
        .fill(found.json.list("data"), wide_row)
        .pages(&session.here, if is_forwards { "after" } else { "before" }, &next);
    let form = Form {
        action: "/console/events".into(),
        fields: vec![
            Field::select("type", "Type", asked.r#type.clone(), type_options("")),
            Field::new("search", "stream", "Stream", stream).hint("Such as item-ABC"),
            Field::new("number", "after", "After position", asked.after.clone()).hint("Newest first"),
        ],
        button: "Show",
        target: "",
    };
    let mut view = View::new(Section::Events, "Events").at(found.position).part(form);
    if !is_forwards && asked.before.is_empty() {
        let newest = found.json.list("data").first().map_or_else(|| "0".to_owned(), |event| event.text("position"));
        view = view.part(Live { source: format!("/console/events/live{}", query(&filter)), after: newest });
    }
    Ok(view.part(table))
}

/// Events as they are recorded (WHATWG HTML §9.2), for the page that follows them.
pub(in crate::console) async fn live(
    session: Session,
    State(console): State<Console>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let filter = [("type", &*asked.r#type), ("stream", asked.stream.trim()), ("after", &asked.after)];
    let mut asking = HeaderMap::new();
    asking.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    asking.extend(headers.get(&LAST_EVENT_ID).map(|id| (LAST_EVENT_ID, id.clone())));
    let path = format!("/v1/events{}", query(&filter));
    match console.send(&session, Method::GET, &path, asking, Body::empty()).await {
        Ok(stream) => stream,
        Err(problem) => problem.into_response(),
    }
}

pub(in crate::console) async fn show(session: Session, State(console): State<Console>, Path(at): Path<String>) -> Response {
    let shown = one(&console, &session, &at).await;
    session.show(&console, shown).await
}

async fn one(console: &Console, session: &Session, at: &str) -> Shown {
    let event = format!("/v1/events/{}", encode(at));
    let proof = format!("/v1/audit/proofs/inclusion{}", query(&[("position", at)]));
    let (event, proof) = tokio::join!(console.get(session, &event), console.get_if_there(session, &proof));
    let found = event?;
    let event = &found.json;
    let (stream, version) = (event.text("stream"), event["version"].as_u64().unwrap_or(1));
    let beside = format!("/v1/streams/{}?after={}&limit=3", encode(&stream), version.saturating_sub(2));
    let beside = console.get(session, &beside).await?;
    let title = format!("{} at {}", phrase(&event.text("type")), event.text("position"));
    let mut view = View::new(Section::Events, capital(&title))
        .below("Events", "/console/events")
        .at(found.position.clone())
        .part(neighbours(event, found.position.as_deref()))
        .part(facts(event))
        .part(Verbatim::json("What is recorded", &event["data"]))
        .part_if(command(event))
        .part(stream_table(&beside.json, version, &stream));
    view = match proof {
        Ok(Some(proof)) => view
            .part(Heading { id: "proof", title: "Proof that it is in the log".into() })
            .part(proof_facts(&proof.json))
            .part(path_table(&proof.json))
            .part(Verbatim { title: "The leaf's bytes, base64".into(), text: proof.json.text("leaf"), is_folded: true }),
        Ok(None) => view,
        Err(problem) => view.part(no_proof(&problem)),
    };
    Ok(view.part(Verbatim::json("The API's answer", event).folded()))
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The event before and the event after.
fn neighbours(event: &Value, head: Option<&str>) -> Links {
    let position = event["position"].as_i64().unwrap_or(0);
    let head = head.and_then(|head| head.parse::<i64>().ok()).unwrap_or(position);
    let near = [("Previous event", position.saturating_sub(1)), ("Next event", position.saturating_add(1))];
    let there = near.into_iter().filter(|(_, near)| (1..=head).contains(near));
    Links {
        label: "Neighbours in the log",
        links: there.map(|(words, near)| (words.to_owned(), format!("/console/events/{near}"), false)).collect(),
    }
}

fn facts(event: &Value) -> Facts {
    Facts::new(
        "",
        [
            ("Type", text(phrase(&event.text("type")))),
            ("Position", number(event.text("position"))),
            ("Stream", stream_link(&event.text("stream"))),
            ("Version in the stream", number(event.text("version"))),
            ("Recorded", time(event.text("recorded_at"))),
            ("Effective", time(event.text("effective_at"))),
            ("Reference", text(event.text("reference"))),
            ("Reason", code(event.text("reason"))),
        ],
    )
}

/// The command that the event is of.
fn command(event: &Value) -> Option<Facts> {
    let command = event.get("command")?;
    let mut facts = vec![
        ("Command", code(command.text("id"))),
        ("Actor", actor_link(&command.text("actor"))),
        ("Events of it", number(command.text("events"))),
        ("First of them", event_link(&event.text("command_position"))),
        ("Correlation", text(command.text("correlation_id"))),
        ("Trace", code(command.text("traceparent"))),
    ];
    let metadata = command["metadata"].as_object().into_iter().flatten();
    facts.extend(metadata.map(|(_, pairs)| ("Metadata", text(crate::console::ask::plain(pairs)))));
    Some(Facts::new("The command", facts))
}

fn stream_table(events: &Value, version: u64, stream: &str) -> Table {
    let row = |event: &Value| {
        let is_this = event["version"].as_u64() == Some(version);
        let mut row = Row::of([
            number(event.text("version")),
            event_link(&event.text("position")),
            time(event.text("recorded_at")),
            text(phrase(&event.text("type"))),
            text(event.text("reference")),
        ]);
        row.kind = if is_this { "here" } else { "" };
        row
    };
    let columns = [figures("Version"), figures("Position"), words("Recorded"), words("What"), words("Reference")];
    let mut table = Table::new("stream", format!("Beside it in the stream {stream}"), columns).fill(events.list("data"), row);
    table.next = None;
    table
}

/// What the proof is of.
fn proof_facts(proof: &Value) -> Facts {
    Facts::new(
        "",
        [
            ("Events in the tree", number(proof.text("size"))),
            ("Leaf number, from 0", number(proof.text("index"))),
            ("Root", code(proof.text("root"))),
            ("The leaf's hash", code(proof.text("leaf_hash"))),
        ],
    )
}

/// The hashes from the leaf to the root.
fn path_table(proof: &Value) -> Table {
    let row =
        |(at, hash): (usize, &Value)| Row::of([number(at.saturating_add(1).to_string()), code(crate::console::ask::plain(hash))]);
    let mut table = Table::new("path", "From the leaf to the root (RFC 6962)", [figures("Step"), words("Hash beside it")])
        .empty("The leaf is the root.");
    table.rows.extend(proof.list("path").iter().enumerate().map(row));
    let note =
        "Hash the leaf's bytes, then what comes out with each of these in turn: the last is the root, which checkpoints sign.";
    table.note(note)
}

fn no_proof(problem: &Problem) -> Note {
    let detail = problem.body(None).get("detail").map(crate::console::ask::plain).unwrap_or_default();
    Note { tone: "warn", words: format!("No proof at present: {detail}") }
}

/// A link to the events of a command's actor, where the audit page can look for them.
pub(super) fn actor_link(actor: &str) -> Show {
    link(format!("/console/audit/trail{}", query(&[("actor", actor)])), text(actor))
}
