//! One item: what there is of it and where, who holds it, its lots, and how both quantity and value came about.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::stock::{level_columns, level_row};
use crate::console::Console;
use crate::console::ask::Fields;
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Chart, Facts, Note, Row, Table, Tile, Tiles, code, encode, event_link, figures, item_link, link, number, phrase, query,
    status, text, time, words,
};
use crate::console::session::Session;
use crate::problem::Problem;

/// Levels shown: the API's answer has all, sorted by location.
const LEVELS_SHOWN: usize = 500;
/// Holds and lots shown; the lists they are of have more.
const BESIDE: &str = "20";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    from: String,
    to: String,
}

pub(in crate::console) async fn show(
    session: Session,
    State(console): State<Console>,
    Path(sku): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shown = view(&console, &session, &sku, &asked).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session, sku: &str, asked: &Asked) -> Shown {
    let name = encode(sku);
    let paths = [
        format!("/v1/items/{name}"),
        format!("/v1/stock/{name}"),
        format!("/v1/items/{name}/history{}", query(&[("from", &asked.from), ("to", &asked.to)])),
        format!("/v1/reservations{}", query(&[("item", sku), ("limit", BESIDE)])),
        format!("/v1/lots{}", query(&[("item", sku), ("limit", BESIDE)])),
    ];
    let [item, stock, history, holds, lots] = &paths;
    let (item, stock, history, holds, lots) = tokio::join!(
        console.get(session, item),
        console.get(session, stock),
        console.get(session, history),
        console.get(session, holds),
        console.get(session, lots),
    );
    let (item, stock, holds, lots) = (item?.json, stock?, holds?.json, lots?.json);
    let levels = stock.json.list("locations");
    let shown = levels.get(..levels.len().min(LEVELS_SHOWN)).unwrap_or(levels);
    let mut table = Table::new("levels", "Levels", level_columns())
        .empty("It was never anywhere.")
        .fill(shown, |level| level_row(sku, level));
    table.rows.push(total(&stock.json));
    if shown.len() < levels.len() {
        table = table.note(format!("The first {LEVELS_SHOWN} of {} locations. The total is of all.", levels.len()));
    }
    let title = item.text("sku");
    Ok(View::new(Section::Stock, title)
        .below("Stock", "/console/stock")
        .at(stock.position)
        .part(tiles(&stock.json))
        .part(facts(sku, &item))
        .part(table)
        .part_if(chart(&history))
        .part_if(history.err().map(|problem| unavailable(&problem)))
        .part_if(components(&item))
        .part_if(holds_table(sku, &holds))
        .part_if(lots_table(&lots)))
}

/// A chart of a history; none where nothing moved.
pub(super) fn chart(history: &Result<crate::console::ask::Answer, Problem>) -> Option<Chart> {
    let points = history.as_ref().ok()?.json.list("points");
    let title = "On hand and value over time";
    (!points.is_empty()).then(|| Chart::new(title, points, ["at", "on_hand", "value"], ["On hand", "Value"]))
}

/// Why there is no chart: the figures above it are shown all the same.
pub(super) fn unavailable(problem: &Problem) -> Note {
    let detail = problem.body(None).get("detail").map(crate::console::ask::plain).unwrap_or_default();
    Note { tone: "warn", words: format!("No chart: {detail}") }
}

/// What there is of an item, everywhere or at one place.
pub(super) fn tiles(stock: &Value) -> Tiles {
    let tile = |label, field: &str| Tile { label, figure: number(stock.text(field)), beside: Vec::new(), href: None };
    Tiles {
        tiles: vec![
            tile("On hand", "on_hand"),
            tile("Available", "available"),
            tile("Reserved", "reserved"),
            tile("Allocated", "allocated"),
            tile("Incoming", "incoming"),
            tile("Value", "value"),
        ],
    }
}

fn facts(sku: &str, item: &Value) -> Facts {
    let units = item.list("units").iter().map(|unit| {
        let (code, per) = (unit.text("code"), unit.text("numerator"));
        let of = unit.text("denominator");
        if of == "1" || of.is_empty() { format!("{code} of {per}") } else { format!("{code} of {per}/{of}") }
    });
    Facts::new(
        "",
        [
            ("Name", text(item.text("name"))),
            ("Unit", text(item.text("unit"))),
            ("Other units", text(units.collect::<Vec<_>>().join(", "))),
            ("Decimals", number(item.text("scale"))),
            ("Costing", text(phrase(&item.text("method")))),
            ("Standard cost", number(item.text("standard_cost"))),
            ("Cost pool", text(phrase(&item.text("pool")))),
            ("Tracking", text(phrase(&item.text("tracking")))),
            ("Posting class", code(item.text("posting_class"))),
            ("Below zero", text(phrase(&item.text("negative_stock")))),
            ("State", status(if item["retired"] == true { "retired" } else { "" })),
            ("Defined by", event_link(&item.text("position"))),
            ("History", link(super::event::stream_path(&format!("item-{sku}")), text("Its events"))),
        ],
    )
}

fn total(stock: &Value) -> Row {
    let sum = |field: &str| number(stock.text(field));
    Row::total([
        text("Total"),
        sum("on_hand"),
        sum("sellable"),
        sum("available"),
        sum("reserved"),
        sum("allocated"),
        sum("backordered"),
        sum("incoming"),
        sum("safety_stock"),
        sum("value"),
        text(""),
    ])
}

fn components(item: &Value) -> Option<Table> {
    let list = item.list("components");
    let row = |part: &Value| Row::of([item_link(&part.text("sku")), number(part.text("quantity"))]);
    let columns = [words("Component"), figures("Quantity of one")];
    (!list.is_empty()).then(|| Table::new("components", "Made of", columns).fill(list, row))
}

fn holds_table(sku: &str, holds: &Value) -> Option<Table> {
    let list = holds.list("data");
    if list.is_empty() {
        return None;
    }
    let row = |hold: &Value| {
        let lines: Vec<&Value> = hold.list("lines").iter().filter(|line| line["sku"] == *sku).collect();
        let column = |field: &str| lines.iter().map(|line| line.text(field)).collect::<Vec<_>>().join(", ");
        Row::of([
            super::reservation::hold_link(&hold.text("id")),
            status(hold.text("status")),
            text(hold.text("owner")),
            code(column("location")),
            number(column("quantity")),
            time(hold.text("expires_at")),
        ])
    };
    let columns =
        [words("Reservation"), words("Status"), words("Owner"), words("Location"), figures("Quantity"), words("Free at")];
    let mut table = Table::new("holds", "Held by", columns).fill(list, row);
    if holds.has("next_cursor") {
        table.next = Some(format!("/console/reservations{}", query(&[("item", sku)])));
    }
    Some(table)
}

fn lots_table(lots: &Value) -> Option<Table> {
    let list = lots.list("data");
    let row = |lot: &Value| {
        Row::of([
            code(lot.text("lot")),
            number(lot.text("on_hand")),
            number(lot.text("sellable")),
            number(lot.text("held")),
            time(lot.text("expires_at")),
        ])
    };
    let columns = [words("Lot"), figures("On hand"), figures("Sellable"), figures("Held"), words("Expires")];
    let table = || Table::new("lots", "Lots", columns.clone()).fill(list, row);
    let is_cut = lots.has("next_cursor");
    (!list.is_empty()).then(|| if is_cut { table().note(format!("The first {BESIDE}.")) } else { table() })
}
