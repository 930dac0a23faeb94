//! Stock counts: differences as of the moment counted. Values in cents.

use serde_json::{Value, json};

use super::*;

fn stamp(seconds: i64) -> String {
    START.plus_seconds(seconds).to_string()
}

fn open(id: &str, location: &str) -> Value {
    json!({"type": "open_count", "id": id, "location": location})
}

fn record(id: &str, sku: &str, counted: &str) -> Value {
    json!({"type": "record_count", "id": id, "lines": [{"sku": sku, "counted": counted}]})
}

fn post(id: &str) -> Value {
    json!({"type": "post_count", "id": id})
}

/// Counted, expected and difference of the only line of a recording, as JSON shows them.
fn line(events: &[Recorded]) -> (String, String, String) {
    let shown = serde_json::to_value(&events[0].fact.event).unwrap();
    let field = |name: &str| shown["lines"][0][name].as_str().unwrap().to_owned();
    (field("counted"), field("expected"), field("difference"))
}

#[test]
fn set_to_n_counts_lose_movements_made_meanwhile() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    book.ok(open("C", "A"));
    // At 10 s somebody counts 8; 3 are sold at 15 s; at 20 s the paper is typed in.
    book.at(15);
    book.ok(json!({"type": "issue", "sku": "X", "location": "A", "quantity": "3"}));
    book.at(20);
    let mut typed_in = record("C", "X", "8");
    typed_in["effective_at"] = stamp(10).into();
    assert_eq!(line(&book.ok(typed_in)), ("8".into(), "10".into(), "-2".into()));
    // Before it is posted 5 more come in.
    book.at(25);
    book.receive("X", "A", "5", "10.00");
    book.ok(post("C"));
    // 10 − 3 + 5 − 2, not 8. The 2 missing ones are of the oldest layer.
    assert_eq!((book.level("X", "A"), book.layers("X", "A")), ((10, 0, 1_500), vec![(5, 500), (5, 1_000)]));
    assert_eq!((book.account("5100"), book.code(post("C"))), (200, "count_closed"));
}

#[test]
fn what_moved_at_the_very_moment_counted_came_before_it() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    book.ok(open("C", "A"));
    book.at(10);
    book.ok(json!({"type": "issue", "sku": "X", "location": "A", "quantity": "3"}));
    book.at(11);
    let mut typed_in = record("C", "X", "7");
    typed_in["effective_at"] = stamp(10).into();
    assert_eq!(line(&book.ok(typed_in.clone())).2, "0");
    // A microsecond earlier it had not.
    typed_in["effective_at"] = Timestamp(START.plus_seconds(10).0 - 1).to_string().into();
    assert_eq!(line(&book.ok(typed_in)).2, "-3");
}

#[test]
fn found_goods_cost_what_is_there() {
    let mut book = Book::new("moving_average", "forbid");
    book.receive("X", "A", "3", "1.00");
    book.ok(open("C", "A"));
    book.ok(record("C", "X", "9"));
    // Counted again: the second look replaces the first.
    book.ok(record("C", "X", "5"));
    book.ok(post("C"));
    // 1.00 × 2 / 3.
    assert_eq!((book.level("X", "A"), book.account("5100")), ((5, 0, 167), -67));
}

#[test]
fn statuses_lots_and_inner_places_are_counted_apart() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "L", "method": "specific", "tracking": "lot"}));
    book.ok(json!({"type": "define_location", "code": "A1", "parent": "A"}));
    for (lot, location, total) in [("L1", "A", "10.00"), ("L2", "A1", "20.00")] {
        book.ok(json!({"type": "receive", "sku": "L", "location": location, "quantity": "10", "total_cost": total, "lot": lot}));
    }
    book.ok(json!({"type": "change_status", "sku": "L", "location": "A", "quantity": "4", "lot": "L1", "from": "sellable", "to": "damaged"}));
    book.ok(open("C", "A"));
    let lines = json!([{"sku": "L", "lot": "L1", "counted": "5"}, {"sku": "L", "lot": "L1", "status": "damaged", "counted": "5"},
        {"sku": "L", "lot": "L2", "location": "A1", "counted": "7"}]);
    book.ok(json!({"type": "record_count", "id": "C", "lines": lines}));
    assert_eq!(book.code(json!({"type": "record_count", "id": "C", "lines": [{"sku": "L", "counted": "1"}]})), "lot_required");
    let outside = json!({"type": "record_count", "id": "C", "lines": [{"sku": "X", "location": "B", "counted": "1"}]});
    assert_eq!(book.code(outside), "location_outside_count");
    book.ok(post("C"));
    // L1: 1 lost at 1.00, and 1 damaged found at the average of 29.00 over 19, 1.53; L2: 3 lost at 2.00.
    assert_eq!((book.bin("L", "A").on_hand, book.bin("L", "A").unsellable, book.bin("L", "A1").on_hand), (10, 5, 7));
    assert_eq!((book.account("5100"), book.account("1300")), (100 - 153 + 600, 3_000 - 547));
    assert_eq!(book.layers("L", "A"), [(9, 900), (7, 1_400), (1, 153)]);
}

#[test]
fn promised_stock_is_not_counted_away() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    book.ok(reserve("R", 600, &[("X", "8")]));
    book.ok(open("C", "A"));
    book.ok(record("C", "X", "7"));
    assert_eq!(shortage(&book.refused(post("C"))), ("3".into(), "2".into()));
    // Whose promise is broken is decided by releasing it.
    book.ok(json!({"type": "release_reservation", "id": "R"}));
    book.ok(post("C"));
    assert_eq!(book.level("X", "A"), (7, 0, 700));
}

#[test]
fn a_cancelled_count_changes_nothing() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    book.ok(open("C", "A"));
    book.ok(record("C", "X", "7"));
    book.ok(json!({"type": "cancel_count", "id": "C"}));
    assert_eq!((book.level("X", "A"), book.code(record("C", "X", "7"))), ((10, 0, 1_000), "count_closed"));
}

#[test]
fn what_was_counted_stays_what_it_is_until_it_is_posted() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(open("C", "A"));
    book.ok(record("C", "X", "5"));
    // Five units are about to be found: they are of an item without serials, at a place in use.
    for change in
        [json!({"sku": "X", "method": "fifo", "tracking": "serial"}), json!({"sku": "X", "method": "fifo", "retired": true})]
    {
        let mut define = change;
        define["type"] = "define_item".into();
        assert_eq!(book.code(define), "item_in_use");
    }
    assert_eq!(book.code(json!({"type": "define_location", "code": "A", "retired": true})), "location_in_use");
    book.ok(post("C"));
    assert_eq!(book.level("X", "A"), (5, 0, 0));
}

#[test]
fn a_count_made_too_long_ago_is_made_again() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(open("C", "A"));
    book.at(1);
    let found =
        action(json!({"type": "adjust", "sku": "X", "location": "A", "difference": "1", "total_cost": "0", "reason": "R"}));
    for _ in 0..3 {
        book.run(vec![found.clone(); 3_334]).unwrap();
    }
    book.at(2);
    // 10,002 movements since, 10,000 are remembered.
    let mut late = record("C", "X", "0");
    late["effective_at"] = stamp(0).into();
    assert_eq!(book.code(late), "counted_too_late");
    assert_eq!(line(&book.ok(record("C", "X", "10000"))), ("10000".into(), "10002".into(), "-2".into()));
}
