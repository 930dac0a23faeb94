//! What goods are worth, by every method, and what changes it afterwards. Values in cents; 1300 is inventory, 5000 cost
//! of goods sold, 5200 settlement, 5300 revaluation, 5400 variance.

use serde_json::{Value, json};

use super::*;

const A_DAY: i64 = 86_400;

fn stamp(day: i64) -> String {
    START.plus_seconds(day * A_DAY).to_string()
}

fn receive(quantity: &str, total: &str) -> Value {
    json!({"type": "receive", "sku": "X", "location": "A", "quantity": quantity, "total_cost": total})
}

fn issue(quantity: &str) -> Value {
    json!({"type": "issue", "sku": "X", "location": "A", "quantity": quantity})
}

fn define(sku: &str, fields: Value) -> Value {
    let mut json = fields;
    json["type"] = "define_item".into();
    json["sku"] = sku.into();
    json
}

fn add_cost(receipt: Position, amount: &str, kind: &str) -> Value {
    json!({"type": "add_cost", "receipt": receipt, "amount": amount, "kind": kind})
}

/// Units and value of an item as of the end of a day, by effective time, from what the log holds.
fn as_of(book: &Book, day: i64) -> (i64, i64) {
    let until = START.plus_seconds(day * A_DAY);
    let known = book.log.iter().filter(|r| r.effective_at() <= until).flat_map(|r| r.fact.event.movements());
    known.fold((0, 0), |sum, m| (sum.0 + m.quantity, sum.1 + m.value))
}

fn names(events: &[Recorded]) -> Vec<&'static str> {
    events.iter().map(|e| e.fact.event.type_name()).collect()
}

#[test]
fn standard_cost_leaves_the_difference_as_a_variance() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(define("X", json!({"method": "standard", "standard_cost": "2.00"})));
    let receipt = book.ok(receive("10", "23.00"))[0].position;
    assert_eq!((book.level("X", "A"), book.account("2100"), book.account("5400")), ((10, 0, 2_000), -2_300, 300));
    book.ok(issue("4"));
    assert_eq!((book.account("5000"), book.level("X", "A").2), (800, 1_200));
    // Without a cost it comes in at the standard.
    book.ok(json!({"type": "receive", "sku": "X", "location": "B", "quantity": "2"}));
    // A new standard reaches every pool: 6 and 2 at 0.50 more.
    book.ok(json!({"type": "revalue", "sku": "X", "standard_cost": "2.50"}));
    assert_eq!((book.level("X", "A").2, book.level("X", "B").2, book.account("5300")), (1_500, 500, -400));
    assert_eq!(book.ok(json!({"type": "revalue", "sku": "X", "standard_cost": "2.50"})).len(), 0);
    assert_eq!(book.code(define("X", json!({"method": "standard", "standard_cost": "3.00"}))), "item_in_use");
    // What a receipt cost beyond that is a variance too, sold or not.
    book.ok(add_cost(receipt, "1.00", "landed_cost"));
    assert_eq!((book.account("5400"), book.account("2110"), book.level("X", "A").2), (400, -100, 1_500));
}

#[test]
fn below_zero_a_standard_is_the_cost() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(define("X", json!({"method": "standard", "standard_cost": "1.00", "negative_stock": "allow"})));
    book.ok(receive("2", "2.00"));
    book.ok(issue("5"));
    assert_eq!((book.account("5000"), book.level("X", "A")), (500, (-3, 0, -300)));
    assert_eq!(names(&book.ok(receive("10", "12.00"))), ["stock_received"]);
    assert_eq!((book.level("X", "A"), book.account("5400"), book.account("5200")), ((7, 0, 700), 200, 0));
}

#[test]
fn specific_cost_is_that_of_the_lot_or_the_unit() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(define("L", json!({"method": "specific", "tracking": "lot"})));
    book.ok(define("S", json!({"method": "specific", "tracking": "serial"})));
    for (lot, total) in [("L1", "5.00"), ("L2", "15.00")] {
        book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "5", "total_cost": total, "lot": lot}));
    }
    for (serial, total) in [("S1", "1.00"), ("S2", "7.00")] {
        book.ok(
            json!({"type": "receive", "sku": "S", "location": "A", "quantity": "1", "total_cost": total, "serials": [serial]}),
        );
    }
    let out = |lot: &str, quantity: &str| json!({"type": "issue", "sku": "L", "location": "A", "quantity": quantity, "lot": lot});
    book.ok(out("L2", "2"));
    book.ok(out("L1", "1"));
    book.ok(json!({"type": "issue", "sku": "S", "location": "A", "quantity": "1", "serials": ["S2"]}));
    assert_eq!((book.account("5000"), book.level("S", "A")), (600 + 100 + 700, (1, 0, 100)));
    // The last of the newest lot leaves at 8.00 of its 9.00: 1.00 stays with the layer that is still open.
    let mut stated = out("L2", "3");
    stated["stated_cost"] = "8.00".into();
    book.ok(stated);
    assert_eq!((book.account("5000"), book.layers("L", "A")), (1_400 + 800, vec![(4, 500)]));
    // A reservation of a lot ships that lot.
    book.ok(json!({"type": "reserve", "id": "R", "ttl_seconds": 60, "lines": [{"sku": "L", "location": "A", "quantity": "4", "lot": "L1"}]}));
    book.ok(json!({"type": "commit_reservation", "id": "R"}));
    assert_eq!(book.level("L", "A"), (0, 0, 0));
}

#[test]
fn a_pool_of_the_whole_tenant_has_one_average() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(define("X", json!({"pool": "tenant"})));
    book.receive("X", "A", "10", "10.00");
    book.receive("X", "B", "10", "30.00");
    book.ok(issue("5"));
    assert_eq!((book.account("5000"), book.level("X", "A"), book.level("X", "B").0), (1_000, (5, 0, 3_000), 10));
    let carried = book.ok(json!({"type": "transfer", "sku": "X", "from": "B", "to": "A", "quantity": "10"}));
    assert!(carried[0].fact.event.movements().all(|m| m.value == 0 && m.postings.is_empty()));
    assert_eq!(book.code(define("X", json!({}))), "item_in_use", "its stock cannot change pools on paper");
}

#[test]
fn a_new_method_takes_the_stock_over_at_its_value() {
    let mut book = Book::new("moving_average", "forbid");
    book.ok(receive("10", "10.00"));
    book.ok(receive("10", "20.00"));
    book.ok(define("X", json!({"method": "fifo"})));
    assert_eq!(book.layers("X", "A"), [(20, 3_000)]);
    book.ok(receive("5", "20.00"));
    book.ok(issue("20"));
    assert_eq!((book.account("5000"), book.layers("X", "A")), (3_000, vec![(5, 2_000)]));
    // To the standard, 5 at 3.00: the difference is posted, and the layers go.
    let events = book.ok(define("X", json!({"method": "standard", "standard_cost": "3.00"})));
    assert_eq!(names(&events), ["stock_revalued", "item_changed"]);
    assert_eq!((book.level("X", "A"), book.account("5300"), book.layers("X", "A")), ((5, 0, 1_500), 500, vec![]));
    book.ok(define("X", json!({"method": "moving_average"})));
    assert_eq!(book.level("X", "A"), (5, 0, 1_500));
    // Which layer belongs to which lot is only known from receipts.
    book.ok(define("L", json!({"method": "fifo", "tracking": "lot"})));
    book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "1", "total_cost": "1", "lot": "L1"}));
    assert_eq!(book.code(define("L", json!({"method": "specific", "tracking": "lot"}))), "item_in_use");
}

#[test]
fn landed_cost_after_part_was_sold() {
    let mut book = Book::new("fifo", "forbid");
    let receipt = book.ok(receive("10", "10.00"))[0].position;
    book.ok(receive("10", "20.00"));
    book.ok(issue("4"));
    // 6 of 10 are there: 3.00 on their layer, 2.00 on what was sold. The other receipt is none of its business.
    book.ok(add_cost(receipt, "5.00", "landed_cost"));
    assert_eq!(book.layers("X", "A"), [(6, 900), (10, 2_000)]);
    assert_eq!((book.account("5000"), book.account("2110"), book.account("1300")), (400 + 200, -500, 2_900));
    book.ok(issue("6"));
    book.ok(add_cost(receipt, "1.00", "landed_cost"));
    assert_eq!((book.account("5000"), book.level("X", "A")), (600 + 900 + 100, (10, 0, 2_000)));
}

#[test]
fn landed_cost_in_an_average_is_of_what_could_still_be_there() {
    let mut book = Book::new("moving_average", "forbid");
    let receipt = book.ok(receive("10", "10.00"))[0].position;
    book.ok(issue("4"));
    book.ok(receive("10", "20.00"));
    // 16 on hand, 10 received: nobody can say that any of them is gone.
    book.ok(add_cost(receipt, "5.00", "landed_cost"));
    assert_eq!((book.level("X", "A").2, book.account("5000")), (2_600 + 500, 400));
    // 31.00 × 12 / 16 = 23.25; of 4 left 2.00 of 5.00 stay.
    book.ok(issue("12"));
    book.ok(add_cost(receipt, "5.00", "landed_cost"));
    assert_eq!((book.level("X", "A").2, book.account("5000")), (775 + 200, 400 + 2_325 + 300));
}

#[test]
fn a_price_difference_is_between_supplier_stock_and_what_was_sold() {
    let mut book = Book::new("fifo", "forbid");
    let receipt = book.ok(receive("10", "10.00"))[0].position;
    book.ok(issue("5"));
    book.ok(add_cost(receipt, "-2.00", "price_difference"));
    assert_eq!((book.account("2100"), book.account("5000"), book.level("X", "A").2), (-800, 400, 400));
    // Cheaper by more than what is left is worth is a mistake: half of it is 4.01 of 4.00.
    assert_eq!(book.code(add_cost(receipt, "-8.02", "price_difference")), "value_below_zero");
    book.ok(add_cost(receipt, "-8.00", "price_difference"));
    assert_eq!(book.level("X", "A"), (5, 0, 0));
}

#[test]
fn a_write_down_to_net_realisable_value_never_goes_up() {
    let mut book = Book::new("fifo", "forbid");
    let down = |worth: &str| json!({"type": "revalue", "sku": "X", "location": "A", "net_realisable_value": worth});
    book.ok(receive("10", "10.00"));
    book.ok(receive("10", "30.00"));
    // 20 at 1.50 are 30.00: 10.00 less, of the layer that is above it.
    book.ok(down("1.50"));
    assert_eq!((book.layers("X", "A"), book.account("5300")), (vec![(10, 1_000), (10, 2_000)], 1_000));
    assert_eq!((book.ok(down("1.50")).len(), book.ok(down("9.00")).len()), (0, 0));
    book.ok(down("0.50"));
    assert_eq!((book.layers("X", "A"), book.account("5300")), (vec![(10, 500), (10, 500)], 3_000));
}

#[test]
fn a_write_down_that_rounds_keeps_layers_equal_to_the_pool() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(receive("1", "0.02"));
    book.ok(receive("1", "0.02"));
    // Each layer may keep 0.015, which rounds to 0.02; both together 0.03.
    book.ok(json!({"type": "revalue", "sku": "X", "location": "A", "net_realisable_value": "0.015"}));
    assert_eq!((book.level("X", "A"), book.layers("X", "A")), ((2, 0, 3), vec![(1, 2), (1, 1)]));
    book.ok(issue("2"));
    assert_eq!((book.level("X", "A"), book.account("5000")), ((0, 0, 0), 3));
}

#[test]
fn a_value_change_is_the_newest_layers_and_a_stated_cost_takes_no_more_than_there_is() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(receive("10", "30.00"));
    book.ok(receive("1", "1.00"));
    book.ok(json!({"type": "revalue", "sku": "X", "location": "A", "value_change": "-2.00"}));
    assert_eq!(book.layers("X", "A"), [(10, 3_000), (1, -100)]);
    book.ok(json!({"type": "revalue", "sku": "X", "location": "A", "value_change": "0.50"}));
    assert_eq!(book.layers("X", "A"), [(10, 3_000), (1, -50)]);
    // 1 of the oldest, worth 3.00, leaves at 29.00: 26.00 too much. The newest has none of it; of the 27.00 left, 1.00 stays.
    let mut stated = issue("1");
    stated["stated_cost"] = "29.00".into();
    book.ok(stated);
    assert_eq!(book.layers("X", "A"), [(9, 100), (1, -50)]);
}

#[test]
fn late_receipt_before_an_issue() {
    let mut book = Book::new("fifo", "forbid");
    book.at(A_DAY);
    book.ok(receive("10", "10.00"));
    book.at(3 * A_DAY);
    book.ok(issue("4"));
    book.at(4 * A_DAY);
    let mut late = receive("10", "50.00");
    late["effective_at"] = stamp(2).into();
    assert_eq!(names(&book.ok(late)), ["stock_received"]);
    // The issue stays as issued; layers are consumed in the order the ledger learnt of them.
    assert_eq!((book.account("5000"), book.layers("X", "A")), (400, vec![(6, 600), (10, 5_000)]));
    // As known now: on the second day there were 20 already.
    assert_eq!((as_of(&book, 1), as_of(&book, 2), as_of(&book, 3)), ((10, 1_000), (20, 6_000), (16, 5_600)));
}

#[test]
fn late_receipt_of_what_was_issued_below_zero_settles_no_earlier_than_the_issue() {
    let mut book = Book::new("fifo", "allow");
    book.at(A_DAY);
    book.ok(receive("10", "10.00"));
    book.at(3 * A_DAY);
    book.ok(issue("15"));
    book.at(4 * A_DAY);
    let mut late = receive("8", "16.00");
    late["effective_at"] = stamp(2).into();
    let events = book.ok(late);
    assert_eq!(names(&events), ["stock_settled", "stock_received"]);
    let dates: Vec<_> = events.iter().map(|e| e.effective_at().to_string()).collect();
    assert_eq!(dates, [stamp(3), stamp(2)]);
    // 5 were assumed to cost 1.00 and cost 2.00. As of the second day nothing of that had happened.
    assert_eq!((book.account("5200"), as_of(&book, 2), as_of(&book, 3)), (500, (18, 2_600), (3, 600)));
}

#[test]
fn history_rewritten_for_late_facts() {
    for later in [10, 1_000] {
        let mut book = Book::new("fifo", "forbid");
        book.ok(receive("2000", "2000.00"));
        for _ in 0..later {
            book.at(2 * A_DAY);
            book.ok(issue("1"));
        }
        let before = book.log.clone();
        let mut late = receive("5", "1.00");
        late["effective_at"] = stamp(1).into();
        assert_eq!(book.ok(late).len(), 1, "a late fact is one fact, after {later} as after none");
        assert_eq!(book.log[..before.len()], before);
    }
}

#[test]
fn current_cost_used_for_past_dates() {
    let mut book = Book::new("moving_average", "forbid");
    book.ok(receive("10", "10.00"));
    book.at(A_DAY);
    book.ok(issue("2"));
    book.at(2 * A_DAY);
    book.ok(receive("8", "88.00"));
    // What was there on the first day is worth what it was worth then: the value is in the events.
    assert_eq!((as_of(&book, 1), as_of(&book, 2)), ((8, 800), (16, 9_600)));
}
