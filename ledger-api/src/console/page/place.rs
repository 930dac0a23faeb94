//! One item at one location: the level, and the stock card with every movement.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::ROWS;
use super::event::type_options;
use super::item::{chart, tiles, unavailable};
use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Field, Form, Row, Table, code, encode, event_link, extra, figures, number, phrase, query, status, text, time, words,
};
use crate::console::session::Session;

/// Which movements.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    from: String,
    to: String,
    r#type: String,
    order: String,
    cursor: String,
}

pub(in crate::console) async fn show(
    session: Session,
    State(console): State<Console>,
    Path(at): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let shown = view(&console, &session, (&at.0, &at.1), &asked).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session, (sku, location): (&str, &str), asked: &Asked) -> Shown {
    let path = format!("/v1/stock/{}/{}", encode(sku), encode(location));
    let order = if asked.order.is_empty() { "newest" } else { &asked.order };
    let filter = [
        ("limit", ROWS),
        ("order", order),
        ("from", &asked.from),
        ("to", &asked.to),
        ("type", &asked.r#type),
        ("cursor", &asked.cursor),
    ];
    let card = format!("{path}/card{}", query(&filter));
    let span = query(&[("location", location), ("from", &asked.from), ("to", &asked.to)]);
    let history = format!("/v1/items/{}/history{span}", encode(sku));
    let (level, card, history) =
        tokio::join!(console.get(session, &path), console.get(session, &card), console.get(session, &history));
    let (level, card) = (level?.json, card?);
    let table = Table::new("card", "Stock card", card_columns())
        .empty("No movement is like that.")
        .fill(card.json.list("data"), card_row)
        .pages(&session.here, "cursor", &card.json.text("next_cursor"))
        .note("In the order the log accepted the movements. From and to are recording times.");
    Ok(View::new(Section::Stock, format!("{sku} at {location}"))
        .below("Stock", "/console/stock")
        .below(sku, format!("/console/stock/{}", encode(sku)))
        .at(card.position)
        .part(tiles(&level))
        .part_if(cells(&level))
        .part_if(chart(&history))
        .part_if(history.err().map(|problem| unavailable(&problem)))
        .part(form(session, asked, order))
        .part(table))
}

/// Lots and statuses at the place.
fn cells(level: &Value) -> Option<Table> {
    let list = level.list("cells");
    let row = |cell: &Value| Row::of([code(cell.text("lot")), status(cell.text("status")), number(cell.text("on_hand"))]);
    let columns = [words("Lot"), words("Status"), figures("On hand")];
    (!list.is_empty()).then(|| Table::new("cells", "By lot and status", columns).fill(list, row))
}

fn form(session: &Session, asked: &Asked, order: &str) -> Form {
    let action = session.here.split('?').next().unwrap_or_default().to_owned();
    let orders = [("newest", "Newest first"), ("oldest", "Oldest first")];
    Form {
        action,
        fields: vec![
            Field::new("date", "from", "From", asked.from.clone()),
            Field::new("date", "to", "To", asked.to.clone()),
            Field::select("type", "Movement", asked.r#type.clone(), type_options("stock")),
            Field::select("order", "Order", order, orders),
        ],
        button: "Show",
        target: "card",
    }
}

fn card_columns() -> [crate::console::part::Column; 11] {
    [
        figures("Position"),
        words("Recorded"),
        extra("Effective"),
        words("Movement"),
        figures("Quantity"),
        figures("On hand"),
        figures("Value"),
        figures("Value after"),
        words("Reference"),
        words("Reason"),
        words("Lot, status"),
    ]
}

fn card_row(line: &Value) -> Row {
    let state = line.text("status");
    let place = [code(line.text("lot")), status(if state == "sellable" { String::new() } else { state })];
    Row::of([
        event_link(&line.text("position")),
        time(line.text("recorded_at")),
        time(line.text("effective_at")),
        text(phrase(&line.text("type"))),
        number(line.text("quantity")),
        number(line.text("on_hand_after")),
        number(line.text("value")),
        number(line.text("value_after")),
        text(line.text("reference")),
        text(line.text("reason")),
        crate::console::part::Show::Many(place.into()),
    ])
}
