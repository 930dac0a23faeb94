//! Stock: items with their levels, found while one types, and places with what is there.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ROWS;
use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Facts, Field, Form, Links, Row, Show, Table, code, encode, event_link, extra, figures, item_link, link, number, phrase,
    place_link, query, status, text, words,
};
use crate::console::session::Session;
use crate::problem::Problem;

/// What lists take.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    search: String,
    cursor: String,
}

fn tabs(here: &str) -> Links {
    let tab = |words: &str, path: &str| (words.to_owned(), path.to_owned(), here == path);
    Links { label: "Stock", links: vec![tab("By item", "/console/stock"), tab("By location", "/console/locations")] }
}

fn search_form(action: &str, asked: &Asked, hint: &'static str, target: &'static str) -> Form {
    let field = Field::new("search", "search", "Search", asked.search.clone()).hint(hint);
    Form { action: action.to_owned(), fields: vec![field], button: "Search", target }
}

pub(in crate::console) async fn list(session: Session, State(console): State<Console>, Query(asked): Query<Asked>) -> Response {
    let shown = items(&console, &session, &asked).await;
    session.show(&console, shown).await
}

async fn items(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let asking = query(&[("limit", ROWS), ("search", asked.search.trim()), ("cursor", &asked.cursor)]);
    let found = console.get(session, &format!("/v1/items{asking}")).await?;
    let items = found.json.list("data");
    let levels = levels(console, session, items).await?;
    let level = |sku: &str| levels.iter().find(|level| level["sku"] == *sku).unwrap_or(&Value::Null);
    let columns = [
        words("Item"),
        words("Name"),
        figures("On hand"),
        figures("Available"),
        figures("Reserved"),
        figures("Incoming"),
        words("Unit"),
        figures("Value"),
        extra("Method"),
        words(""),
    ];
    let table = Table::new("items", "Items", columns)
        .quiet()
        .empty("No item has these words in its code or name.")
        .fill(items, |item| item_row(item, level(&item.text("sku"))))
        .pages(&session.here, "cursor", &found.json.text("next_cursor"));
    Ok(View::new(Section::Stock, "Stock")
        .at(found.position)
        .part(tabs("/console/stock"))
        .part(search_form("/console/stock", asked, "Code or words of the name", "items"))
        .part(table))
}

/// Levels of the items of a page, in one call.
async fn levels(console: &Console, session: &Session, items: &[Value]) -> Result<Vec<Value>, Problem> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let skus: Vec<String> = items.iter().map(|item| item.text("sku")).collect();
    let found = console.post(session, "/v1/stock/lookup", &json!({ "skus": skus })).await?;
    Ok(found.json.list("data").to_vec())
}

fn item_row(item: &Value, level: &Value) -> Row {
    let state = if item["retired"] == true { "retired" } else { "" };
    Row::of([
        item_link(&item.text("sku")),
        text(item.text("name")),
        number(level.text("on_hand")),
        number(level.text("available")),
        number(level.text("reserved")),
        number(level.text("incoming")),
        text(item.text("unit")),
        number(level.text("value")),
        text(phrase(&item.text("method"))),
        status(state),
    ])
}

pub(in crate::console) async fn locations(
    session: Session,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Response {
    let shown = all_locations(&console, &session, &asked).await;
    session.show(&console, shown).await
}

fn location_link(code_of: &str) -> Show {
    link(format!("/console/locations/{}", encode(code_of)), code(code_of))
}

async fn all_locations(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let asking = query(&[("limit", ROWS), ("search", asked.search.trim()), ("cursor", &asked.cursor)]);
    let found = console.get(session, &format!("/v1/locations{asking}")).await?;
    let row = |location: &Value| {
        Row::of([
            location_link(&location.text("code")),
            text(location.text("name")),
            text(phrase(&location.text("kind"))),
            location_link(&location.text("parent")),
            status(if location["retired"] == true { "retired" } else { "" }),
        ])
    };
    let columns = [words("Location"), words("Name"), words("Kind"), words("Inside of"), words("")];
    let table = Table::new("locations", "Locations", columns)
        .quiet()
        .empty("No location has these words in its code or name.")
        .fill(found.json.list("data"), row)
        .pages(&session.here, "cursor", &found.json.text("next_cursor"));
    Ok(View::new(Section::Stock, "Locations")
        .at(found.position)
        .part(tabs("/console/locations"))
        .part(search_form("/console/locations", asked, "Code or words of the name", "locations"))
        .part(table))
}

pub(in crate::console) async fn location(
    session: Session,
    State(console): State<Console>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shown = one_location(&console, &session, &name, &asked).await;
    session.show(&console, shown).await
}

async fn one_location(console: &Console, session: &Session, name: &str, asked: &Asked) -> Shown {
    let path = format!("/v1/locations/{}", encode(name));
    let asking = query(&[("limit", ROWS), ("cursor", &asked.cursor)]);
    let stock = format!("{path}/stock{asking}");
    let (location, stock) = tokio::join!(console.get(session, &path), console.get(session, &stock));
    let (location, stock) = (location?.json, stock?);
    let row = |level: &Value| {
        let sku = level.text("sku");
        Row::of([
            link(format!("/console/stock/{}/{}", encode(&sku), encode(name)), code(&sku)),
            text(level.text("name")),
            number(level.text("on_hand")),
            number(level.text("available")),
            number(level.text("reserved")),
            number(level.text("allocated")),
            number(level.text("incoming")),
            number(level.text("value")),
            event_link(&level.text("position")),
        ])
    };
    let columns = [
        words("Item"),
        words("Name"),
        figures("On hand"),
        figures("Available"),
        figures("Reserved"),
        figures("Allocated"),
        figures("Incoming"),
        figures("Value"),
        figures("Last event"),
    ];
    let table = Table::new("stock", "Items that were ever here", columns)
        .empty("Nothing was ever here.")
        .fill(stock.json.list("data"), row)
        .pages(&session.here, "cursor", &stock.json.text("next_cursor"))
        .note("What is inside of locations within this one is shown with them. Value is the place's share of its cost pool.");
    let facts = [
        ("Name", text(location.text("name"))),
        ("Kind", text(phrase(&location.text("kind")))),
        ("Inside of", location_link(&location.text("parent"))),
        ("East, metres", number(location.text("x"))),
        ("North, metres", number(location.text("y"))),
        ("State", status(if location["retired"] == true { "retired" } else { "" })),
        ("Defined by", event_link(&location.text("position"))),
        ("History", link(super::event::stream_path(&format!("location-{name}")), text("Its events"))),
    ];
    Ok(View::new(Section::Stock, location.text("code"))
        .below("Locations", "/console/locations")
        .at(stock.position)
        .part(Facts::new("", facts))
        .part(table))
}

/// A level of an item at a place.
pub(super) fn level_row(sku: &str, level: &Value) -> Row {
    Row::of([
        place_link(sku, &level.text("location")),
        number(level.text("on_hand")),
        number(level.text("sellable")),
        number(level.text("available")),
        number(level.text("reserved")),
        number(level.text("allocated")),
        number(level.text("backordered")),
        number(level.text("incoming")),
        number(level.text("safety_stock")),
        number(level.text("value")),
        event_link(&level.text("position")),
    ])
}

/// The columns of [`level_row`].
pub(super) fn level_columns() -> [crate::console::part::Column; 11] {
    [
        words("Location"),
        figures("On hand"),
        figures("Sellable"),
        figures("Available"),
        figures("Reserved"),
        figures("Allocated"),
        figures("Backordered"),
        figures("Incoming"),
        figures("Safety"),
        figures("Value"),
        figures("Last event"),
    ]
}
