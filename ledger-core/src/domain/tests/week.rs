//! The walk that the domain's README shows as a table, command by command. Every figure of the table is read from the
//! document and compared with the ledger.

use serde_json::{Value, json};

use super::*;
use crate::domain::amount::Number;

const README: &str = include_str!("../README.md");

/// A row of the README's walk: day, command, and figures by the column's title.
struct Row {
    day: String,
    command: String,
    figures: Vec<(String, String)>,
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

fn rows() -> Vec<Row> {
    let chapter = README.split("## A week of a shop").nth(1).unwrap();
    let mut table = chapter.lines().skip_while(|line| !line.starts_with("| Day")).take_while(|line| line.starts_with('|'));
    let titles = cells(table.next().unwrap());
    table
        .skip(1)
        .map(|line| {
            let cells = cells(line);
            assert_eq!(cells.len(), titles.len(), "{line}");
            let figures = titles.iter().cloned().zip(cells.iter().cloned()).skip(3).collect();
            Row { day: cells[0].clone(), command: cells[1].clone(), figures }
        })
        .collect()
}

fn stamp(day: i64, hour: i64) -> String {
    START.plus_seconds(day * 86_400 + hour * 3_600).to_string()
}

/// What is done on which day at which hour. A return and landed cost name earlier rows by their place in the walk.
fn walk(positions: &[Position], step: usize) -> Option<(i64, i64, Value)> {
    let tea =
        |location: &str, lot: &str, quantity: &str| json!({"sku": "tea", "location": location, "lot": lot, "quantity": quantity});
    let of = |verb: &str, mut json: Value, fields: Value| {
        json["type"] = verb.into();
        for (name, value) in fields.as_object().unwrap() {
            json[name] = value.clone();
        }
        json
    };
    let none = || json!({});
    Some(match step {
        0 => (0, 9, of("receive", tea("W", "L1", "100"), json!({"unit_cost": "2.00"}))),
        1 => (
            1,
            9,
            of(
                "dispatch_transfer",
                json!({"id": "D", "from": "W", "to": "S"}),
                json!({"lines": [{"sku": "tea", "lot": "L1", "quantity": "40"}]}),
            ),
        ),
        2 => (
            1,
            15,
            of(
                "reserve",
                json!({"id": "O", "ttl_seconds": 604_800}),
                json!({"lines": [{"sku": "tea", "location": "S", "quantity": "30"}]}),
            ),
        ),
        3 => (
            2,
            8,
            of(
                "receive_transfer",
                json!({"id": "D", "is_final": true}),
                json!({"lines": [{"line": 0, "quantity": "36", "damaged": "2"}]}),
            ),
        ),
        4 => (2, 9, of("confirm_reservation", json!({"id": "O"}), none())),
        5 => (2, 17, of("commit_reservation", json!({"id": "O"}), none())),
        6 => (3, 8, of("receive", tea("S", "L2", "50"), json!({"unit_cost": "3.00"}))),
        7 => (3, 11, of("issue", tea("S", "L2", "10"), none())),
        8 => (4, 9, of("open_count", json!({"id": "C", "location": "S"}), none())),
        9 => (4, 11, of("issue", tea("S", "L2", "5"), none())),
        10 => (
            4,
            12,
            of(
                "record_count",
                json!({"id": "C", "effective_at": stamp(4, 10)}),
                json!({"lines": [{"sku": "tea", "lot": "L2", "counted": "39"}]}),
            ),
        ),
        11 => (4, 13, of("post_count", json!({"id": "C"}), none())),
        12 => (5, 10, of("return", tea("S", "L2", "4"), json!({"original": positions[7]}))),
        13 => (6, 10, of("add_cost", json!({"receipt": positions[0], "kind": "landed_cost"}), json!({"amount": "10.00"}))),
        _ => return None,
    })
}

fn shop() -> Book {
    let mut book = Book::with_transit("fifo");
    for code in ["W", "S"] {
        book.ok(json!({"type": "define_location", "code": code}));
    }
    book.ok(json!({"type": "define_item", "sku": "tea", "method": "fifo", "tracking": "lot"}));
    book.ok(json!({"type": "define_stock_policy", "sku": "tea", "location": "S", "backorder": "allow"}));
    book
}

/// The figure a column speaks of, as the document writes it.
fn figure(book: &Book, title: &str) -> String {
    let money = |cents: i128| Number::from_units(i64::try_from(cents).unwrap(), 2).to_string();
    let shop = book.bin("tea", "S");
    match title {
        "Warehouse" => book.bin("tea", "W").on_hand.to_string(),
        "Under way" => book.bin("tea", "T").on_hand.to_string(),
        "Shop" => shop.on_hand.to_string(),
        "Available" => shop.available().to_string(),
        "Waiting" => shop.waiting.to_string(),
        "Stock value" => money(book.ledger.stock_and_inventory().0),
        account => money(book.account(account.split(' ').next().unwrap())),
    }
}

#[test]
fn a_week_of_a_shop() {
    let mut book = shop();
    let rows = rows();
    let mut positions = Vec::new();
    for (step, row) in rows.iter().enumerate() {
        let (day, hour, json) =
            walk(&positions, step).unwrap_or_else(|| panic!("the document has a row too many: {}", row.command));
        let name = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][usize::try_from(day).unwrap()];
        assert_eq!((row.day.as_str(), row.command.as_str()), (name, json["type"].as_str().unwrap()), "row {step}");
        book.at(day * 86_400 + hour * 3_600);
        positions.push(book.ok(json)[0].position);
        assert!(row.figures.len() >= 10, "the document lost its figures");
        for (title, written) in &row.figures {
            assert_eq!(*written, figure(&book, title), "row {step}, {} {}: {title}", row.day, row.command);
        }
    }
    assert!(walk(&positions, rows.len()).is_none(), "the document lacks the last rows");
    // The layers at the end of the week: Monday's receipt in the warehouse and the shop, Thursday's in the shop.
    assert_eq!(book.layers("tea", "W"), [(60, 12_600)]);
    assert_eq!(book.layers("tea", "S"), [(2, 420), (44, 13_200)]);
}
