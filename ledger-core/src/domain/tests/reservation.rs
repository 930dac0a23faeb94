//! Holds: strategies, partial ones, owners, changes, shipments, backorders. Values in cents.

use serde_json::{Value, json};

use super::*;
use crate::domain::reservation::command::ExpireReservation;

fn at(location: &str, quantity: &str) -> Value {
    json!({"sku": "X", "location": location, "quantity": quantity})
}

fn hold(id: &str, lines: Value) -> Value {
    json!({"type": "reserve", "id": id, "ttl_seconds": 600, "lines": lines})
}

fn with(mut json: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        json[name] = value.clone();
    }
    json
}

fn verb(verb: &str, id: &str) -> Value {
    json!({"type": verb, "id": id})
}

fn change(id: &str, lines: &[(u32, &str)]) -> Value {
    let lines: Vec<_> = lines.iter().map(|(line, quantity)| json!({"line": line, "quantity": quantity})).collect();
    json!({"type": "change_reservation", "id": id, "lines": lines})
}

fn policy(backorder: &str, limit: &str, safety: &str) -> Value {
    json!({"type": "define_stock_policy", "sku": "X", "location": "A", "backorder": backorder, "backorder_limit": limit,
        "safety_stock": safety})
}

fn expire(book: &mut Book, id: &str) {
    let expire = ExpireReservation { id: id.parse().unwrap(), ..Default::default() };
    book.run(vec![Action::ExpireReservation(expire)]).unwrap();
}

/// W1 has 6, W2 8 and W3 3; they came in the order W3, W1, W2; W2 is nearest to W1, W3 next.
fn places() -> Book {
    let mut book = Book::new("fifo", "forbid");
    for (code, x) in [("W1", 0), ("W2", 10), ("W3", -20)] {
        book.ok(json!({"type": "define_location", "code": "W"}));
        book.ok(json!({"type": "define_location", "code": code, "parent": "W", "x": x, "y": 0}));
    }
    for (seconds, code, quantity) in [(1, "W3", "3"), (2, "W1", "6"), (3, "W2", "8")] {
        book.at(seconds);
        book.receive("X", code, quantity, quantity);
    }
    book
}

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(code, units)| ((*code).to_owned(), *units)).collect()
}

#[test]
fn need_ten_over_locations_of_six_and_eight_takes_exactly_ten() {
    for (fields, expected) in [
        (json!({}), [("W1", 6), ("W2", 4)]),
        (json!({"strategy": "priority_list", "locations": ["W2", "W1"]}), [("W2", 8), ("W1", 2)]),
        (json!({"strategy": "nearest", "near": "W1"}), [("W1", 6), ("W2", 4)]),
        (json!({"strategy": "fewest_splits"}), [("W2", 8), ("W1", 2)]),
    ] {
        let mut book = places();
        book.ok(json!({"type": "issue", "sku": "X", "location": "W3", "quantity": "3"}));
        let events = book.ok(with(hold("R", json!([at("W", "10")])), fields.clone()));
        assert_eq!(book.placed("R"), pairs(&expected), "{fields}");
        // An auditor derives the choice again from what the event recorded.
        if let Event::ReservationOpened(opened) = &events[0].fact.event
            && let Some(choice) = &opened.choice
        {
            let again: Vec<_> = choice.derive().unwrap().into_iter().map(|(_, c, n)| (c.location.to_string(), n)).collect();
            assert_eq!(again, pairs(&expected));
        } else {
            assert_eq!(fields, json!({}), "a strategy leaves its choice in the event");
        }
    }
}

#[test]
fn greedy_split_forgets_what_it_took() {
    let mut book = places();
    // 17 in all: 10 and 7 fit, and every place gives what it has.
    book.ok(with(hold("R", json!([at("W", "10"), at("W", "7")])), json!({"strategy": "fewest_splits"})));
    let mut sums = std::collections::BTreeMap::new();
    book.placed("R").into_iter().for_each(|(code, units)| *sums.entry(code).or_insert(0) += units);
    assert_eq!(sums.into_iter().collect::<Vec<_>>(), pairs(&[("W1", 6), ("W2", 8), ("W3", 3)]));
    assert_eq!(shortage(&book.refused(hold("S", json!([at("W", "1")])))), ("1".into(), "0".into()));
}

#[test]
fn each_strategy_has_its_order() {
    for (fields, quantity, expected) in [
        (json!({"strategy": "fifo"}), "5", vec![("W3", 3), ("W1", 2)]),
        (json!({"strategy": "nearest", "near": "W2"}), "9", vec![("W2", 8), ("W1", 1)]),
        (json!({"strategy": "nearest", "near": "W3"}), "5", vec![("W3", 3), ("W1", 2)]),
        (json!({"strategy": "fewest_splits"}), "5", vec![("W1", 5)]),
        (json!({"strategy": "fewest_splits"}), "3", vec![("W3", 3)]),
        (json!({"strategy": "priority_list", "locations": ["W3", "W"]}), "4", vec![("W3", 3), ("W1", 1)]),
    ] {
        let mut book = places();
        let line = json!([{"sku": "X", "quantity": quantity}]);
        book.ok(with(hold("R", line), fields.clone()));
        assert_eq!(book.placed("R"), pairs(&expected), "{fields}");
    }
    let mut book = places();
    for (fields, code) in [
        (json!({}), "location_required"),
        (json!({"strategy": "priority_list"}), "strategy_incomplete"),
        (json!({"strategy": "nearest"}), "strategy_incomplete"),
        (json!({"near": "W1"}), "strategy_incomplete"),
        (json!({"strategy": "nearest", "near": "W"}), "location_without_coordinates"),
    ] {
        assert_eq!(book.code(with(hold("R", json!([{"sku": "X", "quantity": "1"}])), fields.clone())), code, "{fields}");
    }
}

#[test]
fn fefo_takes_the_lot_that_expires_next() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "L", "method": "fifo", "tracking": "lot"}));
    for (lot, days) in [("L0", 0), ("L1", 9), ("L2", 5)] {
        book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "4", "total_cost": "4", "lot": lot,
            "lot_expires_at": START.plus_seconds(days * 86_400).to_string()}));
    }
    book.ok(json!({"type": "receive", "sku": "L", "location": "A", "quantity": "4", "total_cost": "4", "lot": "L9"}));
    let line = json!([{"sku": "L", "location": "A", "quantity": "10"}]);
    book.ok(with(hold("R", line.clone()), json!({"strategy": "fefo"})));
    let lots: Vec<_> = book.held("R").into_iter().map(|(_, _, units, _, lot)| (lot, units)).collect();
    // L0 has expired; what never expires comes last.
    assert_eq!(lots, pairs(&[("L2", 4), ("L1", 4), ("L9", 2)]));
    assert_eq!(shortage(&book.refused(with(hold("S", line), json!({"strategy": "fefo"})))), ("10".into(), "2".into()));
}

#[test]
fn a_partial_hold_answers_line_by_line() {
    let mut book = places();
    let lines = json!([at("W1", "4"), at("W1", "4"), at("W3", "9"), at("B", "1")]);
    let events = book.ok(with(hold("R", lines), json!({"allow_partial": true})));
    assert_eq!(book.placed("R"), pairs(&[("W1", 4), ("W1", 2), ("W3", 3)]));
    let Event::ReservationOpened(opened) = &events[0].fact.event else { panic!("{events:?}") };
    let short: Vec<_> = opened.shortages.iter().flatten().map(|s| (s.line, s.requested.as_str(), s.available.as_str())).collect();
    assert_eq!(short, [(1, "4", "2"), (2, "9", "3"), (3, "1", "0")]);
    // Nothing at all is no hold.
    assert_eq!(book.code(with(hold("S", json!([at("W1", "1")])), json!({"allow_partial": true}))), "insufficient_stock");
}

#[test]
fn release_twice() {
    let mut book = places();
    book.ok(hold("R", json!([at("W1", "6")])));
    book.ok(verb("release_reservation", "R"));
    assert_eq!((book.code(verb("release_reservation", "R")), book.bin("X", "W1").available()), ("reservation_closed", 6));
}

#[test]
fn commit_after_expiry_and_extend_of_an_expired_hold() {
    let mut book = places();
    book.at(10);
    book.ok(hold("R", json!([at("W1", "6")])));
    book.at(610);
    assert_eq!(book.code(verb("commit_reservation", "R")), "reservation_expired");
    assert_eq!(book.code(json!({"type": "extend_reservation", "id": "R", "ttl_seconds": 60})), "reservation_expired");
    assert_eq!(book.bin("X", "W1").available(), 6);
    expire(&mut book, "R");
    assert_eq!(book.code(verb("commit_reservation", "R")), "reservation_expired");
}

#[test]
fn owners_own_hold_never_blocks_the_owner() {
    let mut book = places();
    let basket = |id: &str, quantity: &str| with(hold(id, json!([at("W1", quantity)])), json!({"owner": "cart-7"}));
    let anew = |id: &str, quantity: &str| with(basket(id, quantity), json!({"replace_own": true}));
    book.ok(basket("R1", "5"));
    assert_eq!(shortage(&book.refused(basket("R2", "6"))), ("6".into(), "1".into()));
    assert_eq!(shortage(&book.refused(anew("R2", "7"))), ("7".into(), "6".into()));
    book.ok(anew("R2", "6"));
    assert_eq!((book.level("X", "W1").1, book.code(verb("commit_reservation", "R1"))), (6, "reservation_closed"));
    // An order is not undone by a new basket.
    book.ok(verb("confirm_reservation", "R2"));
    assert_eq!(book.code(anew("R3", "1")), "insufficient_stock");
    assert_eq!(book.bin("X", "W1").allocated, 6);
    assert_eq!(book.code(with(hold("R3", json!([at("W2", "1")])), json!({"replace_own": true}))), "owner_required");
}

#[test]
fn holder_blocked_by_its_own_hold_or_owner_who_cannot_release() {
    let mut book = places();
    book.ok(with(hold("R", json!([at("W1", "6")])), json!({"owner": "ann"})));
    for of in ["commit_reservation", "release_reservation", "confirm_reservation"] {
        assert_eq!(book.code(with(verb(of, "R"), json!({"owner": "bob"}))), "reservation_owner_differs", "{of}");
    }
    book.ok(with(verb("release_reservation", "R"), json!({"owner": "ann"})));
    assert_eq!(book.bin("X", "W1").available(), 6);
}

#[test]
fn raising_a_hold_compares_only_the_difference() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "10", "10.00");
    book.ok(hold("R", json!([at("A", "3")])));
    assert_eq!(shortage(&book.refused(change("R", &[(0, "11")]))), ("11".into(), "10".into()));
    book.ok(change("R", &[(0, "10")]));
    assert_eq!(book.level("X", "A").1, 10);
}

#[test]
fn what_one_line_gives_up_is_there_for_another() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "8", "8.00");
    book.ok(hold("R", json!([at("A", "5"), at("A", "3")])));
    assert_eq!(shortage(&book.refused(change("R", &[(0, "3"), (1, "6")]))), ("6".into(), "5".into()));
    // Whichever line is named first.
    book.ok(change("R", &[(0, "2"), (1, "6")]));
    book.ok(change("R", &[(0, "7"), (1, "1")]));
    assert_eq!(book.placed("R"), pairs(&[("A", 7), ("A", 1)]));
    assert_eq!(book.code(change("R", &[(0, "1"), (0, "2")])), "unknown_line");
    // Lines keep their numbers: the first is given up, the second is still the second.
    book.ok(change("R", &[(0, "0")]));
    book.ok(json!({"type": "reduce_reservation", "id": "R", "lines": [{"line": 1, "quantity": "1"}]}));
    assert_eq!(
        book.code(json!({"type": "reduce_reservation", "id": "R", "lines": [{"line": 1, "quantity": "2"}]})),
        "line_too_small"
    );
    let events = book.ok(change("R", &[(1, "0")]));
    assert_eq!((events[0].fact.event.type_name(), book.bin("X", "A").available()), ("reservation_released", 8));
}

#[test]
fn a_hold_moves_to_where_there_is_enough() {
    let mut book = places();
    book.ok(hold("R", json!([at("W1", "6")])));
    let to = |location: &str| json!({"type": "move_reservation", "id": "R", "line": 0, "to": location});
    assert_eq!(shortage(&book.refused(to("W3"))), ("6".into(), "3".into()));
    book.ok(to("W2"));
    assert_eq!((book.bin("X", "W1").available(), book.bin("X", "W2").available()), (6, 2));
    // Where it is already, its own hold is not in its way.
    assert_eq!(book.ok(to("W2")).len(), 0);
}

#[test]
fn a_confirmed_hold_does_not_expire_and_ships_in_parts() {
    let mut book = places();
    book.ok(hold("R", json!([at("W1", "6"), at("W2", "2")])));
    book.ok(verb("confirm_reservation", "R"));
    assert_eq!(book.ok(verb("confirm_reservation", "R")).len(), 0);
    book.at(5_000);
    assert_eq!((book.bin("X", "W1").reserved, book.bin("X", "W1").allocated), (0, 6));
    assert_eq!(book.code(json!({"type": "extend_reservation", "id": "R", "ttl_seconds": 60})), "reservation_allocated");
    let ship = |line: u32, quantity: &str| json!({"type": "commit_reservation", "id": "R", "lines": [{"line": line, "quantity": quantity}]});
    assert_eq!(book.code(ship(0, "7")), "line_too_small");
    book.ok(ship(0, "4"));
    assert_eq!((book.bin("X", "W1").on_hand, book.bin("X", "W1").allocated, book.account("5000")), (2, 2, 400));
    book.ok(verb("commit_reservation", "R"));
    assert_eq!((book.bin("X", "W2").on_hand, book.account("5000"), book.code(ship(0, "1"))), (6, 800, "reservation_closed"));
}

#[test]
fn safety_stock_is_not_promised() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "5", "5.00");
    book.ok(policy("forbid", "0", "2"));
    assert_eq!(shortage(&book.refused(hold("R", json!([at("A", "4")])))), ("4".into(), "3".into()));
    book.ok(hold("R", json!([at("A", "3")])));
    // It is there to be used by whoever is at the shelf.
    book.ok(json!({"type": "issue", "sku": "X", "location": "A", "quantity": "2"}));
    assert_eq!(book.bin("X", "A").available(), -2);
}

#[test]
fn backorders_fill_by_priority_then_time_on_receipt() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(policy("allow", "0", "0"));
    book.receive("X", "A", "2", "2.00");
    for (id, quantity, priority) in [("R1", "5", 0), ("R2", "4", 9), ("R3", "3", 9)] {
        book.ok(with(hold(id, json!([at("A", quantity)])), json!({"priority": priority})));
    }
    let waiting = |book: &Book| ["R1", "R2", "R3"].map(|id| book.held(id)[0].3);
    assert_eq!((waiting(&book), book.bin("X", "A").available()), ([3, 4, 3], -10));
    assert_eq!(book.code(verb("commit_reservation", "R1")), "reservation_waiting");
    // 6 come in: R2 came before R3, both before R1.
    let filled = book.ok(json!({"type": "receive", "sku": "X", "location": "A", "quantity": "6", "unit_cost": "1.00"}));
    assert_eq!(
        filled.iter().map(|e| e.fact.event.type_name()).collect::<Vec<_>>(),
        ["stock_received", "reservation_filled", "reservation_filled"]
    );
    assert_eq!(waiting(&book), [3, 0, 1]);
    book.ok(verb("commit_reservation", "R2"));
    // A demand that comes later takes nothing from those who wait.
    assert_eq!(book.ok(hold("R4", json!([at("A", "1")])))[0].fact.event.type_name(), "reservation_opened");
    book.receive("X", "A", "2", "2.00");
    assert_eq!((waiting(&book)[0], waiting(&book)[2], book.held("R4")[0].3), (2, 0, 1));
}

#[test]
fn backorders_fill_on_release_expiry_and_a_new_policy() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(policy("allow", "0", "3"));
    book.receive("X", "A", "10", "10.00");
    book.ok(with(hold("R1", json!([at("A", "4")])), json!({"ttl_seconds": 60})));
    book.ok(with(hold("R2", json!([at("A", "3")])), json!({"ttl_seconds": 600})));
    book.ok(with(hold("R3", json!([at("A", "10")])), json!({"ttl_seconds": 6_000})));
    assert_eq!(book.held("R3")[0].3, 10);
    book.ok(verb("release_reservation", "R2"));
    assert_eq!(book.held("R3")[0].3, 7);
    // At the instant of expiry nobody else can have it; with the fact it is given.
    book.at(60);
    assert_eq!(book.code(json!({"type": "issue", "sku": "X", "location": "A", "quantity": "8"})), "insufficient_stock");
    expire(&mut book, "R1");
    assert_eq!(book.held("R3")[0].3, 3);
    book.ok(policy("allow", "0", "1"));
    assert_eq!(book.held("R3")[0].3, 1);
    // Goods that become sellable count as well as goods that come in.
    book.ok(
        json!({"type": "receive", "sku": "X", "location": "A", "quantity": "1", "unit_cost": "1", "status": "quality_control"}),
    );
    assert_eq!(book.held("R3")[0].3, 1);
    book.ok(json!({"type": "change_status", "sku": "X", "location": "A", "quantity": "1", "from": "quality_control", "to": "sellable"}));
    assert_eq!((book.held("R3")[0].3, book.ledger.waiting(0, 0).count()), (0, 0));
}

#[test]
fn what_waits_fills_at_its_own_place_and_gets_a_lot() {
    let mut book = Book::new("fifo", "forbid");
    book.ok(json!({"type": "define_item", "sku": "L", "method": "fifo", "tracking": "lot"}));
    book.ok(json!({"type": "define_stock_policy", "sku": "L", "location": "A", "backorder": "allow"}));
    book.ok(hold("R", json!([{"sku": "L", "location": "A", "quantity": "5"}])));
    let receive = |location: &str, lot: &str, quantity: &str| json!({"type": "receive", "sku": "L", "location": location, "quantity": quantity, "unit_cost": "1", "lot": lot});
    book.ok(receive("B", "L0", "9"));
    assert_eq!(book.held("R")[0].3, 5);
    book.ok(receive("A", "L1", "2"));
    book.ok(receive("A", "L2", "2"));
    let lots: Vec<_> = book.held("R").into_iter().map(|(_, _, units, waiting, lot)| (lot, units, waiting)).collect();
    assert_eq!(lots, [(String::new(), 1, 1), ("L1".to_owned(), 2, 0), ("L2".to_owned(), 2, 0)]);
    // What names a lot does not wait: nothing says that what comes in will be of it.
    let named = json!([{"sku": "L", "location": "A", "quantity": "1", "lot": "L1"}]);
    assert_eq!(shortage(&book.refused(hold("S", named))), ("1".into(), "0".into()));
}

#[test]
fn a_backorder_limit_counts_every_line_of_a_command() {
    for partial in [false, true] {
        let mut book = Book::new("fifo", "forbid");
        book.ok(policy("limited", "5", "0"));
        book.receive("X", "A", "2", "2.00");
        let two = |id: &str, first: &str, second: &str| {
            with(hold(id, json!([at("A", first), at("A", second)])), json!({"allow_partial": partial}))
        };
        // 7 of 2 with 5 beyond: exactly as far as it goes. One more is refused, or with partial holds left out.
        if partial {
            book.ok(two("R0", "6", "2"));
            assert_eq!((book.held("R0").len(), book.bin("X", "A").waiting), (1, 4));
            book.ok(verb("release_reservation", "R0"));
        } else {
            assert_eq!(shortage(&book.refused(two("R0", "6", "2"))), ("8".into(), "2".into()));
        }
        book.ok(two("R1", "4", "3"));
        assert_eq!((book.bin("X", "A").waiting, book.bin("X", "A").available()), (5, -5));
        assert_eq!(book.code(hold("R2", json!([at("A", "1")]))), "insufficient_stock");
    }
}
