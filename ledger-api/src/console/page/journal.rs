//! The journal: entries by hand, with their postings.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::ROWS;
use crate::console::Console;
use crate::console::ask::{Fields, plain};
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Facts, Field, Form, Row, Show, Table, account_link, code, encode, event_link, figures, link, number, phrase, query, status,
    text, time, words,
};
use crate::console::session::Session;

/// Which entries.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    status: String,
    account: String,
    series: String,
    cursor: String,
}

fn entry_link(id: &str) -> Show {
    link(format!("/console/journal/{}", encode(id)), code(id))
}

pub(in crate::console) async fn list(session: Session, State(console): State<Console>, Query(asked): Query<Asked>) -> Response {
    let shown = view(&console, &session, &asked).await;
    session.show(&console, shown).await
}

/// An entry's document number.
fn numbered(entry: &Value) -> String {
    let number = &entry["number"];
    match number {
        Value::Object(_) => format!("{} {}/{}", number.text("series"), number.text("year"), number.text("number")),
        other => plain(other),
    }
}

async fn view(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let series = asked.series.trim();
    // A series is read by number, so that a gap would show.
    let order = if series.is_empty() { "newest" } else { "" };
    let filter = [
        ("limit", ROWS),
        ("order", order),
        ("status", &asked.status),
        ("account", asked.account.trim()),
        ("series", series),
        ("cursor", &asked.cursor),
    ];
    let found = console.get(session, &format!("/v1/journal/entries{}", query(&filter))).await?;
    let row = |entry: &Value| {
        Row::of([
            entry_link(&entry.text("id")),
            status(if entry["reversed"] == true { "reversed".into() } else { entry.text("status") }),
            time(entry.text("effective_at")),
            text(entry.text("description")),
            text(entry.text("reference")),
            text(numbered(entry)),
            Show::Many(accounts(entry)),
            event_link(&entry.text("opened_at_position")),
        ])
    };
    let columns = [
        words("Entry"),
        words("Status"),
        words("Effective"),
        words("Description"),
        words("Reference"),
        words("Number"),
        words("Accounts"),
        figures("Position"),
    ];
    let table = Table::new("entries", "Journal entries", columns)
        .quiet()
        .empty("No entry is like that. A filtered page looks at 10,000 entries; there may be more after it.")
        .fill(found.json.list("data"), row)
        .pages(&session.here, "cursor", &found.json.text("next_cursor"));
    let statuses = [
        ("", "Any"),
        ("posted", "Posted"),
        ("pending", "Pending"),
        ("settled", "Settled"),
        ("voided", "Voided"),
        ("expired", "Expired"),
    ];
    let form = Form {
        action: "/console/journal".into(),
        fields: vec![
            Field::select("status", "Status", asked.status.clone(), statuses),
            Field::new("search", "account", "Account", asked.account.clone()).hint("Code"),
            Field::new("search", "series", "Series, by number", asked.series.clone()).hint("Such as INV"),
        ],
        button: "Show",
        target: "entries",
    };
    Ok(View::new(Section::Journal, "Journal").at(found.position).part(form).part(table))
}

/// Postings that count, or would.
fn postings(entry: &Value) -> Vec<&Value> {
    let posted = entry.list("postings").iter();
    posted.chain(if entry.list("postings").is_empty() { entry.list("held") } else { &[] }).collect()
}

fn accounts(entry: &Value) -> Vec<Show> {
    let mut codes: Vec<String> = postings(entry).iter().map(|posting| posting.text("account")).collect();
    codes.dedup();
    let more = codes.len().saturating_sub(4);
    codes.truncate(4);
    let mut shown: Vec<Show> = codes.iter().map(|code| account_link(code)).collect();
    if more > 0 {
        shown.push(text(format!("and {more} more")));
    }
    shown
}

pub(in crate::console) async fn show(session: Session, State(console): State<Console>, Path(id): Path<String>) -> Response {
    let shown = one(&console, &session, &id).await;
    session.show(&console, shown).await
}

async fn one(console: &Console, session: &Session, id: &str) -> Shown {
    let found = console.get(session, &format!("/v1/journal/entries/{}", encode(id))).await?;
    let entry = &found.json;
    let facts = [
        ("Status", status(entry.text("status"))),
        ("Reversed", status(if entry["reversed"] == true { "reversed" } else { "" })),
        ("Description", text(entry.text("description"))),
        ("Reference", text(entry.text("reference"))),
        ("Reason", code(entry.text("reason"))),
        ("Number", text(numbered(entry))),
        ("Effective", time(entry.text("effective_at"))),
        ("Recorded", time(entry.text("recorded_at"))),
        ("Void from", time(entry.text("expires_at"))),
        ("Version", number(entry.text("stream_version"))),
        ("First event", event_link(&entry.text("opened_at_position"))),
        ("Last event", event_link(&entry.text("position"))),
        ("History", link(super::event::stream_path(&format!("entry-{id}")), text("Its events"))),
    ];
    let mut view = View::new(Section::Journal, entry.text("id"))
        .below("Journal", "/console/journal")
        .at(found.position)
        .part(Facts::new("", facts));
    let lists = [("postings", "Postings"), ("held", "Held"), ("pending", "Still pending"), ("freed", "Freed")];
    for (field, title) in lists {
        let list = entry.list(field);
        if !list.is_empty() {
            view = view.part(Table::new(field, title, columns()).fill(list, posting_row));
        }
    }
    Ok(view.part_if(steps(entry)))
}

fn columns() -> [crate::console::part::Column; 8] {
    [
        words("Account"),
        figures("Debit"),
        figures("Credit"),
        figures("In its currency"),
        words("Party"),
        words("Item, due"),
        words("Tax, dimensions"),
        words("Memo"),
    ]
}

fn posting_row(posting: &Value) -> Row {
    let dimensions = posting["dimensions"].as_object().into_iter().flatten();
    let dimensions = dimensions.map(|(name, value)| text(format!("{name}: {}", plain(value))));
    let extra = std::iter::once(code(posting.text("tax"))).chain(dimensions);
    let foreign = [("currency_debit", "Dr"), ("currency_credit", "Cr")].into_iter().find(|(field, _)| posting.has(field));
    let foreign = foreign.map_or(text(""), |(field, side)| {
        Show::Many(vec![number(posting.text(field)), text(format!("{} {side}", posting.text("currency")))])
    });
    Row::of([
        account_link(&posting.text("account")),
        number(posting.text("debit")),
        number(posting.text("credit")),
        foreign,
        code(posting.text("party")),
        Show::Many(vec![code(posting.text("item")), time(posting.text("due_at"))]),
        Show::Many(extra.collect()),
        text(posting.text("memo")),
    ])
}

/// What happened to the entry after its first event.
fn steps(entry: &Value) -> Option<Table> {
    let list = entry.list("steps");
    let row = |step: &Value| {
        Row::of([
            event_link(&step.text("position")),
            time(step.text("recorded_at")),
            text(phrase(&step.text("type"))),
            text(step.text("reference")),
            text(step.text("reason")),
        ])
    };
    let columns = [figures("Position"), words("Recorded"), words("What"), words("Reference"), words("Reason")];
    (!list.is_empty()).then(|| Table::new("steps", "What happened to it", columns).fill(list, row))
}
