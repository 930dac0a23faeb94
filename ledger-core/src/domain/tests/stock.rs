//! Units, statuses, lots, serials, what comes back and goes back, what is expected. Values in cents.

use serde_json::json;

use super::*;

const A_DAY: i64 = 24 * 3_600;

fn stamp(seconds: i64) -> String {
    START.plus_seconds(seconds).to_string()
}

fn issue(sku: &str, quantity: &str) -> serde_json::Value {
    json!({"type": "issue", "sku": sku, "location": "A", "quantity": quantity})
}

fn give_back(original: Position, quantity: &str) -> serde_json::Value {
    json!({"type": "return", "sku": "X", "location": "A", "quantity": quantity, "original": original})
}

fn serials(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|n| format!("SN-{n:05}")).collect()
}

#[test]
fn check_here_write_there_sells_exactly_a_hundred() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "100", "100.00");
    let sold = (0..1_000).filter(|_| book.run(vec![action(issue("X", "1"))]).is_ok()).count();
    assert_eq!((sold, book.level("X", "A")), (100, (0, 0, 0)));
}

#[test]
fn counter_and_log_kept_apart_are_one_source_here() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    book.ok(reserve("R", 60, &[("X", "4")]));
    book.ok(issue("X", "3"));
    let mut again = Ledger::default();
    for recorded in &book.log {
        again.evolve(recorded).unwrap();
    }
    assert_eq!(again.fingerprint(), book.ledger.fingerprint());
}

#[test]
fn concurrent_first_movement_of_a_new_item_location_finds_version_zero() {
    let mut book = Book::new("fifo", "forbid");
    // Nothing was ever held: version 0 says so, and the second who says so is refused.
    let mut first = reserve("R", 60, &[("X", "1")]);
    first["expected_version"] = 0.into();
    book.receive("X", "A", "5", "5.00");
    book.ok(first.clone());
    assert_eq!(book.code(first), "version_mismatch");
    // Two first receipts at a place of its own, both decided on the same version of the item.
    let mut receive = json!({"type": "receive", "sku": "X", "location": "B", "quantity": "1", "unit_cost": "1"});
    receive["expected_version"] = 2.into();
    book.ok(receive.clone());
    assert_eq!(book.code(receive.clone()), "version_mismatch");
    receive["expected_version"] = 3.into();
    book.ok(receive);
    assert_eq!(book.level("X", "B"), (2, 0, 200));
}

#[test]
fn identical_timestamps_are_ordered_by_the_log() {
    let mut book = Book::new("fifo", "forbid");
    for total in ["10.00", "20.00"] {
        let mut receive = json!({"type": "receive", "sku": "X", "location": "A", "quantity": "10", "total_cost": total});
        receive["effective_at"] = stamp(-A_DAY).into();
        book.ok(receive);
    }
    let mut out = issue("X", "12");
    out["effective_at"] = stamp(-A_DAY).into();
    book.ok(out);
    // 10 at 1.00, then 2 at 2.00.
    assert_eq!((book.account("5000"), book.layers("X", "A")), (1_400, vec![(8, 1_600)]));
}

#[test]
fn one_third_and_one_ninth_unit_factors() {
    let mut book = Book::new("moving_average", "forbid");
    let units = json!([{"code": "third", "numerator": 1, "denominator": 3}, {"code": "ninth", "numerator": 1, "denominator": 9},
        {"code": "box", "numerator": 12, "denominator": 1}]);
    for (sku, scale) in [("U", 0), ("V", 9)] {
        book.ok(json!({"type": "define_item", "sku": sku, "unit": "each", "scale": scale, "units": units}));
    }
    let receive = |sku: &str, quantity: &str, unit: &str, cost: &str| json!({"type": "receive", "sku": sku, "location": "A", "quantity": quantity, "unit": unit, "unit_cost": cost});
    // A unit cost is that of the unit said: 3 × 1.00, 9 × 0.50, 2 × 12.00, 1 × 0.50.
    for (quantity, unit, cost) in [("3", "third", "1.00"), ("9", "ninth", "0.50"), ("2", "box", "12.00"), ("1", "each", "0.50")] {
        book.ok(receive("U", quantity, unit, cost));
    }
    assert_eq!(book.level("U", "A"), (1 + 1 + 24 + 1, 0, 300 + 450 + 2_400 + 50));
    // A third is no number of units at any scale: refused, never rounded.
    for sku in ["U", "V"] {
        assert_eq!(book.code(receive(sku, "1", "third", "1.00")), "unit_inexact");
        assert_eq!(book.code(receive(sku, "3", "ninth", "1.00")), "unit_inexact");
    }
    let mut half_a_box = issue("U", "0.5");
    half_a_box["unit"] = "box".into();
    book.ok(half_a_box);
    // 32.00 × 6 / 27 = 7.111…
    assert_eq!(book.level("U", "A"), (21, 0, 2_489));
}

#[test]
fn seventy_issues_of_a_tenth_from_seven_leave_nothing() {
    for method in ["fifo", "moving_average"] {
        let mut book = Book::new(method, "forbid");
        book.receive("Y", "A", "7", "10.01");
        for _ in 0..70 {
            book.ok(issue("Y", "0.1"));
        }
        assert_eq!((book.level("Y", "A"), book.account("5000")), ((0, 0, 0), 1_001));
        assert_eq!(shortage(&book.refused(issue("Y", "0.1"))), ("0.1".into(), "0.0".into()));
    }
}

#[test]
fn floats_and_epsilons_would_hold_33_59_of_33_5999() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "W", "scale": 4, "method": "fifo"}));
    book.receive("W", "A", "33.5999", "1.00");
    book.ok(reserve("R1", 60, &[("W", "33.59")]));
    assert_eq!(shortage(&book.refused(reserve("R2", 60, &[("W", "0.0100")]))), ("0.0100".into(), "0.0099".into()));
    book.ok(reserve("R2", 60, &[("W", "0.0099")]));
    for id in ["R1", "R2"] {
        book.ok(json!({"type": "commit_reservation", "id": id}));
    }
    assert_eq!(book.level("W", "A"), (0, 0, 0));
}

#[test]
fn a_status_keeps_goods_on_hand_and_worth_their_value_but_not_available() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    let change = |quantity: &str, from: &str, to: &str| json!({"type": "change_status", "sku": "X", "location": "A", "quantity": quantity, "from": from, "to": to});
    book.ok(change("4", "sellable", "damaged"));
    assert_eq!((book.level("X", "A"), book.bin("X", "A").available()), ((10, 0, 1_000), 6));
    assert_eq!(shortage(&book.refused(reserve("R", 60, &[("X", "7")]))), ("7".into(), "6".into()));
    assert_eq!(shortage(&book.refused(change("5", "damaged", "sellable"))), ("5".into(), "4".into()));
    // What is held cannot be blocked: 6 are held, none is free.
    book.ok(reserve("R", 60, &[("X", "6")]));
    assert_eq!(shortage(&book.refused(change("1", "sellable", "blocked"))), ("1".into(), "0".into()));
    let mut carry = json!({"type": "transfer", "sku": "X", "from": "A", "to": "B", "quantity": "1"});
    carry["status"] = "damaged".into();
    book.ok(carry);
    assert_eq!((book.bin("X", "B").on_hand, book.bin("X", "B").available()), (1, 0));
    let scrap = json!({"type": "scrap", "sku": "X", "location": "A", "quantity": "2", "status": "damaged"});
    assert_eq!(book.code(scrap.clone()), "reason_required");
    let mut scrap = scrap;
    scrap["reason"] = "BROKEN".into();
    book.ok(scrap);
    assert_eq!((book.account("5500"), book.account("1300")), (200, 800));
    book.ok(change("1", "damaged", "sellable"));
    assert_eq!(book.bin("X", "A").available(), 1);
}

#[test]
fn fifo_when_the_lot_shipped_is_another_lot() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "L", "method": "fifo", "tracking": "lot"}));
    for (lot, total) in [("L1", "10.00"), ("L2", "20.00")] {
        book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "10", "total_cost": total, "lot": lot}));
    }
    let of = |lot: &str, quantity: &str| json!({"type": "issue", "sku": "L", "location": "A", "quantity": quantity, "lot": lot});
    // The second lot leaves, the oldest layer is what it costs.
    book.ok(of("L2", "4"));
    assert_eq!((book.account("5000"), book.layers("L", "A")), (400, vec![(6, 600), (10, 2_000)]));
    assert_eq!(shortage(&book.refused(of("L2", "7"))), ("7".into(), "6".into()));
    // 6 at 1.00 and 4 at 2.00.
    book.ok(of("L1", "10"));
    assert_eq!((book.account("5000"), book.level("L", "A")), (400 + 1_400, (6, 0, 1_200)));
    assert_eq!(book.code(of("L3", "1")), "unknown_lot");
}

#[test]
fn a_lot_past_its_expiry_is_not_sold_but_may_be_scrapped() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "L", "method": "fifo", "tracking": "lot"}));
    book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "5", "total_cost": "5.00", "lot": "L1",
        "lot_expires_at": stamp(60)}));
    let out = json!({"type": "issue", "sku": "L", "location": "A", "quantity": "1", "lot": "L1"});
    book.at(59);
    book.ok(out.clone());
    book.ok(json!({"type": "reserve", "id": "R", "ttl_seconds": 600, "lines": [{"sku": "L", "location": "A", "quantity": "1"}]}));
    book.at(60);
    assert_eq!(book.code(out), "lot_expired");
    assert_eq!(book.code(json!({"type": "commit_reservation", "id": "R"})), "lot_expired");
    assert_eq!(shortage(&book.refused(reserve("R2", 60, &[("L", "1")]))), ("1".into(), "0".into()));
    // One of the four is held.
    book.ok(json!({"type": "scrap", "sku": "L", "location": "A", "quantity": "3", "lot": "L1", "reason": "OLD"}));
    assert_eq!((book.account("5500"), book.level("L", "A")), (300, (1, 1, 100)));
}

#[test]
fn ten_thousand_serials_in_one_command() {
    let mut book = Book::with_transit("fifo");
    book.ok(json!({"type": "define_item", "sku": "S", "method": "specific", "tracking": "serial"}));
    for (from, total) in [(0, "12345.67"), (5_000, "1.00")] {
        let numbers = serials(from..from + 5_000);
        book.ok(
            json!({"type": "receive", "sku": "S", "location": "A", "quantity": "5000", "total_cost": total, "serials": numbers}),
        );
    }
    let all = serials((0..10_000).rev());
    let out = json!({"type": "issue", "sku": "S", "location": "A", "quantity": "10000", "serials": all});
    let issued = book.ok(out)[0].position;
    assert_eq!((book.level("S", "A"), book.account("5000")), ((0, 0, 0), 1_234_667));
    book.ok(json!({"type": "return", "sku": "S", "location": "A", "quantity": "10000", "serials": all, "original": issued}));
    assert_eq!((book.layers("S", "A"), book.account("5000")), (vec![(5_000, 1_234_567), (5_000, 100)], 0));
    book.ok(json!({"type": "dispatch_transfer", "id": "D", "from": "A", "to": "B",
        "lines": [{"sku": "S", "quantity": "10000", "serials": all}]}));
    // The newest 5,000 arrive, one is broken, the others never do: each is worth what its own layer says.
    book.ok(json!({"type": "receive_transfer", "id": "D", "is_final": true, "lines": [{"line": 0, "quantity": "4999",
        "damaged": "1", "serials": serials(5_000..9_999), "damaged_serials": serials(9_999..10_000)}]}));
    assert_eq!((book.level("S", "B"), book.account("5100"), book.account("1310")), ((5_000, 0, 100), 1_234_567, 0));
    let one_more = serials(20_000..30_001);
    let too_many =
        json!({"type": "receive", "sku": "S", "location": "A", "quantity": "10001", "total_cost": "1", "serials": one_more});
    assert_eq!(book.code(too_many), "lines_out_of_range");
}

#[test]
fn a_serial_is_one_unit_at_one_place_in_one_status() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "S", "method": "fifo", "tracking": "serial"}));
    let with = |verb: &str, location: &str, serials: &[&str]| json!({"type": verb, "sku": "S", "location": location, "quantity": serials.len().to_string(), "serials": serials});
    let mut receive = with("receive", "A", &["S1", "S2", "S3"]);
    receive["total_cost"] = "3.00".into();
    book.ok(receive.clone());
    assert_eq!(book.code(receive), "serial_exists");
    assert_eq!(book.code(with("issue", "A", &["S1", "S1"])), "serial_exists");
    assert_eq!(book.code(with("issue", "B", &["S1"])), "unknown_serial");
    book.ok(json!({"type": "transfer", "sku": "S", "from": "A", "to": "B", "quantity": "1", "serials": ["S1"]}));
    book.ok(json!({"type": "change_status", "sku": "S", "location": "A", "quantity": "1", "serials": ["S2"], "to": "blocked", "from": "sellable"}));
    assert_eq!(book.code(with("issue", "A", &["S2"])), "unknown_serial");
    let issued = book.ok(with("issue", "B", &["S1"]))[0].position;
    // Another unit does not come back along this one's issue.
    let mut back = with("return", "B", &["S9"]);
    back["original"] = issued.into();
    assert_eq!(book.code(back), "unknown_serial");
    let mut back = with("return", "A", &["S1"]);
    back["original"] = issued.into();
    book.ok(back);
    assert_eq!(book.level("S", "A"), (3, 0, 300 - 100 + 100));
}

#[test]
fn return_of_an_issue_that_took_several_layers() {
    let mut book = Book::new("fifo", "forbid");
    for total in ["3.00", "6.00", "12.00"] {
        book.receive("X", "A", "3", total);
    }
    let issued = book.ok(issue("X", "8"))[0].position;
    assert_eq!(book.account("5000"), 300 + 600 + 800);
    // What left last comes back first: 2 at 4.00 and 2 at 2.00.
    book.ok(give_back(issued, "4"));
    assert_eq!((book.account("5000"), book.layers("X", "A")), (1_700 - 1_200, vec![(2, 400), (3, 1_200)]));
    book.ok(give_back(issued, "4"));
    assert_eq!((book.account("5000"), book.layers("X", "A")), (0, vec![(3, 300), (3, 600), (3, 1_200)]));
    match book.refused(give_back(issued, "1")) {
        Rejection::ReturnExceedsIssue { returnable } => assert_eq!(returnable.as_str(), "0"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn return_valued_at_the_wrong_layer() {
    for method in ["fifo", "moving_average"] {
        let mut book = Book::new(method, "forbid");
        book.receive("X", "A", "3", "1.00");
        let issued = book.ok(issue("X", "3"))[0].position;
        book.receive("X", "A", "3", "27.00");
        // 1.00 in three returns: 0.33, then half of 0.67 to even, then the rest; never the present 9.00.
        let values: Vec<i64> =
            (0..3).map(|_| book.ok(give_back(issued, "1"))[0].fact.event.movements().map(|m| m.value).sum()).collect();
        assert_eq!((values, book.account("5000")), (vec![33, 34, 33], 0));
        assert_eq!(book.level("X", "A"), (6, 0, 2_800));
    }
    // Without the issue it left by, the present average is all there is to go by.
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "4", "4.00");
    book.ok(issue("X", "2"));
    book.ok(json!({"type": "return", "sku": "X", "location": "A", "quantity": "1", "total_cost": "0.50"}));
    assert_eq!(book.level("X", "A"), (3, 0, 250));
}

#[test]
fn what_went_below_zero_brings_back_exactly_what_it_left_with() {
    let mut book = Book::new("fifo", "allow");
    book.receive("X", "A", "5", "5.00");
    book.receive("X", "A", "5", "10.00");
    // 5.00 and 10.00 of the layers, and 5 more provisionally at the newest cost.
    let issued = book.ok(issue("X", "15"))[0].position;
    assert_eq!((book.account("5000"), book.level("X", "A")), (2_500, (-5, 0, -1_000)));
    // 3 of the layer that left last, at 2.00: they settle 3 of the 5 at what was assumed.
    book.ok(give_back(issued, "3"));
    assert_eq!((book.account("5000"), book.account("5200"), book.level("X", "A")), (1_900, 0, (-2, 0, -400)));
    // The other 12 bring the other 19.00; 2 of them cost 3.17 where 4.00 was assumed.
    book.ok(give_back(issued, "12"));
    assert_eq!((book.account("5000"), book.account("5200")), (0, -83));
    assert_eq!((book.level("X", "A"), book.layers("X", "A")), ((10, 0, 1_583), vec![(10, 1_583)]));
}

#[test]
fn goods_come_back_along_a_sale_of_theirs_and_nothing_else() {
    let mut book = Book::new("fifo", "forbid");
    for sku in ["L", "M"] {
        book.ok(json!({"type": "define_item", "sku": sku, "method": "specific", "tracking": "lot"}));
    }
    for lot in ["L1", "L2"] {
        book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "5", "total_cost": "5.00", "lot": lot}));
    }
    let issued = book.ok(json!({"type": "issue", "sku": "L", "location": "A", "quantity": "2", "lot": "L1"}))[0].position;
    let back = |original: Position, lot: &str| json!({"type": "return", "sku": "L", "location": "A", "quantity": "1", "lot": lot, "original": original});
    // A unit of the other lot would lie in this lot's layer and never leave again.
    assert_eq!(book.code(back(issued, "L2")), "unknown_lot");
    assert_eq!(book.code(back(issued + 50, "L1")), "unknown_movement");
    let moved = json!({"type": "transfer", "sku": "L", "from": "A", "to": "B", "quantity": "1", "lot": "L2"});
    let moved = book.ok(moved)[0].position;
    assert_eq!(book.code(back(moved, "L2")), "unknown_movement", "what was carried elsewhere was not sold");
    book.ok(back(issued, "L1"));
    // A position that had no event yet when it was first named has one now.
    let next = book.ledger.position() + 1;
    assert_eq!(book.code(back(next, "L1")), "unknown_movement");
    book.ok(json!({"type": "issue", "sku": "L", "location": "A", "quantity": "2", "lot": "L1"}));
    book.ok(back(next, "L1"));
    assert_eq!((book.account("5000"), book.level("L", "A").0), (100 + 100, 7));
}

#[test]
fn goods_go_back_to_their_supplier_at_the_price_of_their_receipt() {
    // What leaves is worth 8.00 by its own layer, 6.00 by the average; the supplier owes 8.00 either way.
    for (method, variance, left) in [("fifo", 0, 2_200), ("moving_average", -200, 2_400)] {
        let mut book = Book::new(method, "forbid");
        book.receive("X", "A", "10", "10.00");
        let receipt = json!({"type": "receive", "sku": "X", "location": "A", "quantity": "10", "total_cost": "20.00"});
        let receipt = book.ok(receipt)[0].position;
        let back = |quantity: &str| json!({"type": "return_to_supplier", "sku": "X", "location": "A", "quantity": quantity, "receipt": receipt});
        book.ok(back("4"));
        assert_eq!((book.account("2100"), book.account("5400"), book.level("X", "A")), (-2_200, variance, (16, 0, left)));
        assert_eq!(book.code(back("7")), "return_exceeds_issue");
        book.ok(back("6"));
        assert_eq!(book.account("2100"), -1_000);
    }
}

#[test]
fn a_receipt_returned_in_parts_owes_exactly_its_price() {
    let mut book = Book::new("fifo", "forbid");
    let receipt = json!({"type": "receive", "sku": "X", "location": "A", "quantity": "3", "total_cost": "1.00"});
    let receipt = book.ok(receipt)[0].position;
    for owed in [67, 33, 0] {
        book.ok(json!({"type": "return_to_supplier", "sku": "X", "location": "A", "quantity": "1", "receipt": receipt}));
        assert_eq!(book.account("2100"), -owed);
    }
    assert_eq!((book.level("X", "A"), book.account("5400")), ((0, 0, 0), 0));
}

#[test]
fn what_is_expected_is_incoming_until_it_is_there() {
    let mut book = Book::new("fifo", "forbid");
    let expect = |id: &str, quantity: &str| json!({"type": "expect", "id": id, "sku": "X", "location": "A", "quantity": quantity, "due_at": stamp(A_DAY)});
    book.ok(expect("E1", "10"));
    book.ok(expect("E2", "5"));
    let against = |id: &str, location: &str, quantity: &str| json!({"type": "receive", "sku": "X", "location": location, "quantity": quantity, "unit_cost": "1", "expectation": id});
    assert_eq!((book.bin("X", "A").incoming, book.bin("X", "A").on_hand), (15, 0));
    book.ok(against("E1", "A", "4"));
    assert_eq!((book.bin("X", "A").incoming, book.bin("X", "A").on_hand), (11, 4));
    assert_eq!(book.code(against("E1", "B", "1")), "unknown_expectation");
    // More than was expected completes it, and takes nothing off the other one.
    book.ok(against("E1", "A", "9"));
    assert_eq!((book.bin("X", "A").incoming, book.bin("X", "A").on_hand), (5, 13));
    assert_eq!(book.code(against("E1", "A", "1")), "expectation_closed");
    book.ok(json!({"type": "cancel_expectation", "id": "E2"}));
    assert_eq!(book.bin("X", "A").incoming, 0);
}

#[test]
fn deleted_and_recreated_sku_must_not_inherit_holds() {
    let mut book = Book::new("fifo", "forbid");
    let define = |retired: bool| json!({"type": "define_item", "sku": "X", "method": "fifo", "retired": retired});
    book.receive("X", "A", "5", "5.00");
    book.ok(reserve("R1", 60, &[("X", "5")]));
    assert_eq!(book.code(define(true)), "item_in_use");
    book.at(60);
    book.ok(issue("X", "5"));
    // The hold has lapsed but no sweeper came by: nothing is held, the item may go.
    book.ok(define(true));
    assert_eq!(book.code(issue("X", "1")), "unknown_item");
    assert_eq!(book.code(reserve("R2", 60, &[("X", "1")])), "unknown_item");
    book.ok(define(false));
    book.receive("X", "A", "5", "5.00");
    let expire = |id: &str| {
        Action::ExpireReservation(crate::domain::reservation::command::ExpireReservation {
            id: id.parse().unwrap(),
            ..Default::default()
        })
    };
    book.run(vec![expire("R1")]).unwrap();
    assert_eq!((book.level("X", "A"), book.bin("X", "A").available()), ((5, 0, 500), 5));
    book.ok(reserve("R3", 60, &[("X", "5")]));
}

#[test]
fn a_scale_is_fixed_with_the_first_movement() {
    let mut book = Book::new("moving_average", "allow");
    let rescale = |scale: u8| json!({"type": "define_item", "sku": "N", "scale": scale, "negative_stock": "allow"});
    book.ok(rescale(0));
    book.ok(rescale(2));
    book.ok(json!({"type": "receive", "sku": "N", "location": "A", "quantity": "1", "total_cost": "7.00"}));
    book.ok(issue("N", "1"));
    // Nothing is there, but the newest cost is remembered per unit of this scale.
    assert_eq!(book.code(rescale(0)), "item_in_use");
    book.ok(issue("N", "1"));
    assert_eq!(book.level("N", "A"), (-100, 0, -700));
}

#[test]
fn no_sum_of_quantities_leaves_the_range() {
    let mut book = Book::new("moving_average", "allow");
    book.ok(json!({"type": "define_location", "code": "A1", "parent": "A"}));
    let most = "900000000000000000";
    // The pool of A and A1 stays near zero while its two places run apart.
    let out = json!({"type": "issue", "sku": "X", "location": "A", "quantity": most});
    let within = json!({"type": "receive", "sku": "X", "location": "A1", "quantity": most, "total_cost": "0"});
    book.ok(out.clone());
    book.ok(within.clone());
    assert_eq!((book.code(out), book.code(within)), ("number_out_of_range", "number_out_of_range"));
    let carry = json!({"type": "transfer", "sku": "X", "from": "A", "to": "A1", "quantity": most});
    assert_eq!(book.code(carry), "number_out_of_range");
    let expect = json!({"type": "expect", "sku": "X", "location": "B", "quantity": most, "due_at": stamp(1)});
    book.ok(expect.clone());
    assert_eq!(book.code(expect), "number_out_of_range");
    book.ok(json!({"type": "define_stock_policy", "sku": "Y", "location": "A", "backorder": "allow"}));
    let wait = |id: &str| reserve(id, 60, &[("Y", "90000000000000000")]);
    book.ok(wait("R1"));
    assert_eq!(book.code(wait("R2")), "number_out_of_range");
}

#[test]
fn locks_over_slow_outside_work_are_holds_with_an_expiry() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "5", "5.00");
    book.ok(reserve("R", 60, &[("X", "2")]));
    // The payment takes its time, and others go on with what is not held.
    book.at(30);
    book.ok(issue("X", "3"));
    assert_eq!(book.code(issue("X", "1")), "insufficient_stock");
    book.at(59);
    book.ok(json!({"type": "commit_reservation", "id": "R"}));
    assert_eq!((book.level("X", "A"), book.account("5000")), ((0, 0, 0), 500));
}
