//! Reservations: who holds what, and until when.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::ROWS;
use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Facts, Field, Form, Row, Show, Table, code, encode, event_link, figures, item_link, link, number, place_link, query, status,
    text, time, words,
};
use crate::console::session::Session;

/// Every hold lapses before then: the open ones, the next to lapse first.
const END_OF_TIME: &str = "2199-12-31T23:59:59Z";

/// Which reservations.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    /// `open` or `all`.
    show: String,
    owner: String,
    item: String,
    cursor: String,
}

pub(super) fn hold_link(id: &str) -> Show {
    link(format!("/console/reservations/{}", encode(id)), code(id))
}

pub(in crate::console) async fn list(session: Session, State(console): State<Console>, Query(asked): Query<Asked>) -> Response {
    let shown = view(&console, &session, &asked).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let before = if asked.show == "all" { "" } else { END_OF_TIME };
    let filter = [
        ("limit", ROWS),
        ("owner", asked.owner.trim()),
        ("item", asked.item.trim()),
        ("expires_before", before),
        ("cursor", &asked.cursor),
    ];
    let found = console.get(session, &format!("/v1/reservations{}", query(&filter))).await?;
    let row = |hold: &Value| {
        let lines = hold.list("lines");
        let what = lines.iter().take(3).map(|line| Show::Many(vec![number(line.text("quantity")), item_link(&line.text("sku"))]));
        let mut what: Vec<Show> = what.collect();
        if lines.len() > what.len() {
            what.push(text(format!("and {} more", lines.len().saturating_sub(3))));
        }
        Row::of([
            hold_link(&hold.text("id")),
            status(hold.text("status")),
            text(hold.text("owner")),
            Show::Many(what),
            time(hold.text("opened_at")),
            time(hold.text("expires_at")),
            event_link(&hold.text("position")),
        ])
    };
    let columns = [
        words("Reservation"),
        words("Status"),
        words("Owner"),
        words("Holds"),
        words("Opened"),
        words("Free at"),
        figures("Last event"),
    ];
    let table = Table::new("holds", "Reservations", columns)
        .quiet()
        .empty("No reservation is like that.")
        .fill(found.json.list("data"), row)
        .pages(&session.here, "cursor", &found.json.text("next_cursor"));
    let show = [("open", "Held, next to lapse first"), ("all", "All, by id")];
    let form = Form {
        action: "/console/reservations".into(),
        fields: vec![
            Field::select("show", "Show", if before.is_empty() { "all" } else { "open" }, show),
            Field::new("search", "owner", "Owner", asked.owner.clone()).hint("Exactly"),
            Field::new("search", "item", "Item", asked.item.clone()).hint("Exactly"),
        ],
        button: "Show",
        target: "holds",
    };
    Ok(View::new(Section::Reservations, "Reservations").at(found.position).part(form).part(table))
}

pub(in crate::console) async fn show(session: Session, State(console): State<Console>, Path(id): Path<String>) -> Response {
    let shown = one(&console, &session, &id).await;
    session.show(&console, shown).await
}

async fn one(console: &Console, session: &Session, id: &str) -> Shown {
    let found = console.get(session, &format!("/v1/reservations/{}", encode(id))).await?;
    let hold = &found.json;
    let row = |line: &Value| {
        Row::of([
            item_link(&line.text("sku")),
            place_link(&line.text("sku"), &line.text("location")),
            number(line.text("quantity")),
            number(line.text("waiting")),
            code(line.text("lot")),
            item_link(&line.text("kit")),
        ])
    };
    let columns =
        [words("Item"), words("Location"), figures("Quantity"), figures("Waits for stock"), words("Lot"), words("Part of kit")];
    let facts = [
        ("Status", status(hold.text("status"))),
        ("Owner", text(hold.text("owner"))),
        ("Opened", time(hold.text("opened_at"))),
        ("Free at", time(hold.text("expires_at"))),
        ("Version", number(hold.text("stream_version"))),
        ("Last event", event_link(&hold.text("position"))),
        ("History", link(super::event::stream_path(&format!("reservation-{id}")), text("Its events"))),
    ];
    Ok(View::new(Section::Reservations, hold.text("id"))
        .below("Reservations", "/console/reservations")
        .at(found.position)
        .part(Facts::new("", facts))
        .part(Table::new("lines", "Lines", columns).empty("Nothing is held any more.").fill(hold.list("lines"), row)))
}
