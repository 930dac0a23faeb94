//! The tree of locations, cost pools, and transfers in two steps. Values in cents; 1300 is inventory, 1310 in transit.

use serde_json::{Value, json};

use super::*;

fn dispatch(id: &str, quantity: &str) -> Value {
    json!({"type": "dispatch_transfer", "id": id, "from": "A", "to": "B", "lines": [{"sku": "X", "quantity": quantity}]})
}

fn arrive(id: &str, quantity: &str, damaged: &str, is_final: bool) -> Value {
    json!({"type": "receive_transfer", "id": id, "is_final": is_final,
        "lines": [{"line": 0, "quantity": quantity, "damaged": damaged}]})
}

fn warehouse() -> Book {
    let mut book = Book::with_transit("moving_average");
    for (code, parent) in [("A1", "A"), ("A2", "A"), ("A11", "A1")] {
        book.ok(json!({"type": "define_location", "code": code, "parent": parent}));
    }
    book
}

#[test]
fn value_travels_in_two_steps() {
    for method in ["fifo", "moving_average"] {
        let mut book = Book::with_transit(method);
        book.receive("X", "A", "10", "15.00");
        book.ok(dispatch("D", "4"));
        assert_eq!((book.level("X", "A"), book.level("X", "T")), ((6, 0, 900), (4, 0, 600)));
        assert_eq!((book.account("1300"), book.account("1310"), book.bin("X", "B").on_hand), (900, 600, 0));
        // Owned and valued, but nobody can have it.
        assert_eq!(book.code(json!({"type": "issue", "sku": "X", "location": "T", "quantity": "1"})), "location_not_storage");
        book.ok(json!({"type": "receive_transfer", "id": "D"}));
        assert_eq!((book.level("X", "B"), book.level("X", "T")), ((4, 0, 600), (0, 0, 0)));
        assert_eq!((book.account("1300"), book.account("1310")), (1_500, 0));
        assert_eq!(book.code(arrive("D", "1", "0", false)), "transfer_closed");
        assert_eq!(book.code(json!({"type": "cancel_transfer", "id": "D"})), "transfer_closed");
    }
}

#[test]
fn short_damaged_and_lost_receipts_are_recorded() {
    let mut book = Book::with_transit("fifo");
    book.receive("X", "A", "10", "10.01");
    // 10.01 × 6 / 10 = 6.006.
    book.ok(dispatch("D", "6"));
    assert_eq!(book.account("1310"), 601);
    // 2 of 6 at 6.01 are 2.00; 1 of 4 at 4.01 is 1.00; 3 at 3.01 are still under way.
    book.ok(arrive("D", "2", "1", false));
    assert_eq!((book.level("X", "B"), book.bin("X", "B").unsellable, book.account("1310")), ((3, 0, 300), 1, 301));
    // 1 more at 1.00, and 2 at 2.01 never come: shrinkage.
    book.ok(arrive("D", "1", "0", true));
    assert_eq!((book.level("X", "B"), book.account("1310"), book.account("5100")), ((4, 0, 400), 0, 201));
    assert_eq!(book.level("X", "A"), (4, 0, 400));
}

#[test]
fn more_than_was_sent_is_found_at_the_cost_of_what_was_sent() {
    let mut book = Book::with_transit("fifo");
    book.receive("X", "A", "10", "10.00");
    book.ok(dispatch("D", "2"));
    // Of two sent and three there one is damaged: that one was sent.
    book.ok(arrive("D", "2", "1", false));
    assert_eq!((book.level("X", "B"), book.bin("X", "B").unsellable), ((3, 0, 300), 1));
    assert_eq!((book.account("5100"), book.account("1310")), (-100, 0));
    assert_eq!(book.code(arrive("D", "1", "0", false)), "transfer_closed");
}

#[test]
fn a_cancelled_transfer_brings_back_layers_and_value() {
    let mut book = Book::with_transit("fifo");
    book.receive("X", "A", "3", "1.00");
    book.receive("X", "A", "3", "2.00");
    book.ok(dispatch("D", "4"));
    book.ok(arrive("D", "1", "0", false));
    // One third of the first layer arrived; the rest goes back to where it was.
    assert_eq!((book.layers("X", "B"), book.layers("X", "T")), (vec![(1, 33)], vec![(2, 67), (1, 67)]));
    book.ok(json!({"type": "cancel_transfer", "id": "D"}));
    assert_eq!((book.layers("X", "A"), book.account("1310")), (vec![(2, 67), (3, 200)], 0));
}

#[test]
fn two_transfers_of_one_layer_keep_their_own_values() {
    let mut book = Book::with_transit("fifo");
    book.receive("X", "A", "3", "1.00");
    // 0.33, then half of 0.67 to even.
    book.ok(dispatch("D1", "1"));
    book.ok(dispatch("D2", "1"));
    assert_eq!(book.layers("X", "T"), [(2, 67)]);
    book.ok(json!({"type": "receive_transfer", "id": "D2"}));
    assert_eq!(book.level("X", "B"), (1, 0, 34));
    book.ok(json!({"type": "receive_transfer", "id": "D1"}));
    assert_eq!((book.level("X", "B"), book.account("1310")), ((2, 0, 67), 0));
}

#[test]
fn a_warehouse_is_one_cost_pool_whatever_its_zones() {
    let mut book = warehouse();
    book.receive("X", "A11", "10", "10.00");
    book.receive("X", "A2", "10", "30.00");
    let entries = (book.account("1300"), book.account("2100"));
    book.ok(json!({"type": "transfer", "sku": "X", "from": "A11", "to": "A2", "quantity": "6"}));
    assert_eq!((book.account("1300"), book.account("2100")), entries, "a walk inside the warehouse is worth nothing");
    assert_eq!((book.bin("X", "A11").on_hand, book.bin("X", "A2").on_hand), (4, 16));
    // 5 of 20 at 40.00.
    book.ok(json!({"type": "issue", "sku": "X", "location": "A11", "quantity": "4"}));
    assert_eq!((book.account("5000"), book.level("X", "A2").2), (800, 3_200));
    assert_eq!(shortage(&book.refused(json!({"type": "issue", "sku": "X", "location": "A11", "quantity": "1"}))).1, "0");
}

#[test]
fn stock_does_not_change_its_pool_on_paper() {
    let mut book = warehouse();
    book.receive("X", "A11", "1", "1.00");
    let put = |code: &str, parent: &str| json!({"type": "define_location", "code": code, "parent": parent});
    assert_eq!(book.code(put("A1", "B")), "location_in_use");
    assert_eq!(book.code(put("A1", "A11")), "location_cycle");
    assert_eq!(book.code(json!({"type": "define_location", "code": "A1"})), "location_in_use");
    // Inside the warehouse it may.
    book.ok(put("A11", "A2"));
    book.ok(put("A1", "B"));
    assert_eq!(book.level("X", "A2").2, 100);
}

#[test]
fn storage_and_transit_do_not_mix_in_one_tree() {
    let mut book = warehouse();
    let define =
        |code: &str, kind: &str, parent: &str| json!({"type": "define_location", "code": code, "kind": kind, "parent": parent});
    assert_eq!(book.code(define("T1", "transit", "A")), "location_not_transit");
    assert_eq!(book.code(define("A3", "storage", "T")), "location_not_storage");
    book.ok(define("T1", "transit", "T"));
    assert_eq!(book.code(json!({"type": "define_location", "code": "T", "kind": "storage"})), "location_in_use");
    assert_eq!(book.code(json!({"type": "define_location", "code": "A1", "kind": "transit"})), "location_in_use");
}

#[test]
fn where_goods_are_on_their_way_to_stays_in_use() {
    let mut book = Book::with_transit("fifo");
    book.receive("X", "A", "4", "4.00");
    book.ok(dispatch("D", "4"));
    for (code, change) in [("B", "retired"), ("A", "retired"), ("T", "retired")] {
        let mut define = json!({"type": "define_location", "code": code});
        define["kind"] = if code == "T" { "transit" } else { "storage" }.into();
        define[change] = true.into();
        assert_eq!(book.code(define), "location_in_use", "{code}");
    }
    assert_eq!(book.code(json!({"type": "define_location", "code": "B", "kind": "transit"})), "location_in_use");
    // The layers under way are those of this method.
    assert_eq!(book.code(json!({"type": "define_item", "sku": "X", "method": "moving_average"})), "item_in_use");
    book.ok(json!({"type": "receive_transfer", "id": "D"}));
    book.ok(json!({"type": "define_item", "sku": "X", "method": "moving_average"}));
    book.ok(json!({"type": "define_location", "code": "A", "retired": true}));
}

#[test]
fn a_pool_of_the_whole_tenant_keeps_its_value_where_it_is() {
    for method in ["fifo", "moving_average"] {
        let mut book = Book::with_transit(method);
        book.ok(json!({"type": "define_item", "sku": "X", "method": method, "pool": "tenant"}));
        book.receive("X", "A", "4", "10.00");
        book.ok(dispatch("D", "4"));
        assert_eq!((book.account("1300"), book.account("1310"), book.bin("X", "T").on_hand), (1_000, 0, 4));
        // Three of four never arrive: 7.50.
        book.ok(arrive("D", "1", "0", true));
        assert_eq!((book.level("X", "B"), book.account("5100"), book.account("1310")), ((1, 0, 250), 750, 0));
        // And when all is lost, nothing is left of its value.
        book.ok(json!({"type": "transfer", "sku": "X", "from": "B", "to": "A", "quantity": "1"}));
        book.ok(dispatch("E", "1"));
        book.ok(json!({"type": "receive_transfer", "id": "E", "is_final": true, "lines": [{"line": 0, "quantity": "0"}]}));
        assert_eq!((book.level("X", "B"), book.account("5100"), book.account("1300")), ((0, 0, 0), 1_000, 0));
    }
}

#[test]
fn a_new_standard_reaches_what_is_under_way() {
    let mut book = Book::with_transit("fifo");
    book.ok(json!({"type": "define_item", "sku": "X", "method": "standard", "standard_cost": "1.00"}));
    book.receive("X", "A", "10", "10.00");
    book.ok(dispatch("D1", "3"));
    book.ok(dispatch("D2", "1"));
    book.ok(json!({"type": "revalue", "sku": "X", "standard_cost": "1.25"}));
    assert_eq!((book.level("X", "A"), book.account("1310"), book.account("5300")), ((6, 0, 750), 500, -250));
    book.ok(json!({"type": "receive_transfer", "id": "D2"}));
    assert_eq!((book.level("X", "B"), book.account("1310")), ((1, 0, 125), 375));
    book.ok(json!({"type": "receive_transfer", "id": "D1"}));
    assert_eq!((book.level("X", "B"), book.account("1310")), ((4, 0, 500), 0));
}

#[test]
fn landed_cost_reaches_what_is_under_way() {
    let mut book = Book::with_transit("fifo");
    let receipt = json!({"type": "receive", "sku": "X", "location": "A", "quantity": "10", "total_cost": "10.00"});
    let receipt = book.ok(receipt)[0].position;
    book.ok(dispatch("D1", "3"));
    book.ok(dispatch("D2", "1"));
    book.ok(json!({"type": "issue", "sku": "X", "location": "A", "quantity": "4"}));
    // 2 in A, 4 under way, 4 sold.
    book.ok(json!({"type": "add_cost", "receipt": receipt, "amount": "10.00", "kind": "landed_cost"}));
    assert_eq!((book.level("X", "A").2, book.account("1310"), book.account("5000")), (200 + 200, 400 + 400, 400 + 400));
    book.ok(json!({"type": "receive_transfer", "id": "D1"}));
    assert_eq!((book.level("X", "B"), book.account("1310")), ((3, 0, 600), 200));
    book.ok(json!({"type": "cancel_transfer", "id": "D2"}));
    assert_eq!((book.layers("X", "A"), book.account("1310")), (vec![(3, 600)], 0));
}

#[test]
fn serials_arrive_by_name() {
    let mut book = Book::with_transit("fifo");
    book.ok(json!({"type": "define_item", "sku": "S", "method": "specific", "tracking": "serial"}));
    for (serial, cost) in [("S1", "1.00"), ("S2", "2.00"), ("S3", "4.00")] {
        book.ok(
            json!({"type": "receive", "sku": "S", "location": "A", "quantity": "1", "total_cost": cost, "serials": [serial]}),
        );
    }
    book.receive("X", "A", "1", "1.00");
    book.ok(json!({"type": "dispatch_transfer", "id": "D", "from": "A", "to": "B", "lines": [
        {"sku": "S", "quantity": "3", "serials": ["S3", "S1", "S2"]}, {"sku": "X", "quantity": "1"}]}));
    let arrive = |line: Value| json!({"type": "receive_transfer", "id": "D", "lines": [line]});
    assert_eq!(book.code(arrive(json!({"line": 0, "quantity": "1"}))), "serials_required");
    assert_eq!(book.code(arrive(json!({"line": 0, "quantity": "1", "serials": ["S9"]}))), "unknown_serial");
    book.ok(arrive(json!({"line": 0, "quantity": "1", "damaged": "1", "serials": ["S2"], "damaged_serials": ["S3"]})));
    assert_eq!((book.level("S", "B"), book.bin("S", "B").unsellable, book.account("1310")), ((2, 0, 600), 1, 200));
    book.ok(arrive(json!({"line": 0, "quantity": "1"})));
    // All three are there: a fourth has no number.
    assert_eq!(book.code(arrive(json!({"line": 0, "quantity": "1"}))), "serials_required");
    book.ok(json!({"type": "receive_transfer", "id": "D"}));
    assert_eq!((book.level("S", "B"), book.account("1310")), ((3, 0, 700), 0));
    assert_eq!(
        book.code(json!({"type": "issue", "sku": "S", "location": "B", "quantity": "1", "serials": ["S3"]})),
        "unknown_serial"
    );
    book.ok(json!({"type": "issue", "sku": "S", "location": "B", "quantity": "1", "serials": ["S2"]}));
    assert_eq!(book.account("5000"), 200);
}

#[test]
fn every_line_of_a_dispatch_that_is_short_is_reported() {
    let mut book = Book::with_transit("fifo");
    book.receive("X", "A", "5", "5.00");
    let lines = json!([{"sku": "X", "quantity": "4"}, {"sku": "Y", "quantity": "1.5"}, {"sku": "X", "quantity": "4"}]);
    match book.refused(json!({"type": "dispatch_transfer", "id": "D", "from": "A", "to": "B", "lines": lines})) {
        Rejection::InsufficientStock { shortages } => {
            let shown: Vec<_> = shortages.iter().map(|s| (s.line, s.requested.as_str(), s.available.as_str())).collect();
            assert_eq!(shown, [(1, "1.5", "0.0"), (2, "4", "1")]);
        }
        other => panic!("{other:?}"),
    }
}
