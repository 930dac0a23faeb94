//! Any command of any verb, in any state that such commands lead to: it is decided or refused, never a misfit and never
//! a panic; `Book::run` checks the invariants at every position, the undo log and the reader's fold.

use std::collections::BTreeMap;

use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::*;
use crate::domain::reservation::command::ExpireReservation;

/// Small numbers that choose among few names, so that commands often meet.
#[derive(Clone, Copy, Debug)]
struct Dice {
    verb: u8,
    item: usize,
    from: usize,
    to: usize,
    units: i64,
    cents: i64,
    pick: usize,
    way: u8,
}

/// Rolls that mostly speak of one item.
fn rolls() -> impl Strategy<Value = Vec<Dice>> {
    let few = 0_usize..12;
    let dice =
        (0_u8..44, prop::option::weighted(0.15, 0_usize..7), few.clone(), few.clone(), 1_i64..9, 0_i64..900, few, 0_u8..12);
    (0_usize..7, prop::collection::vec(dice, 1..120)).prop_map(|(focus, rolls)| {
        let roll = |(verb, item, from, to, units, cents, pick, way): (u8, Option<usize>, usize, usize, i64, i64, usize, u8)| {
            Dice { verb, item: item.unwrap_or(focus), from, to, units, cents, pick, way }
        };
        rolls.into_iter().map(roll).collect()
    })
}

const ITEMS: [&str; 7] = ["fifo", "average", "standard", "tenant", "lots", "specific", "serials"];
const STORES: [&str; 4] = ["A", "A1", "A2", "B"];
const STATUSES: [&str; 4] = ["sellable", "sellable", "sellable", "damaged"];

fn shop() -> Book {
    let mut book = Book::new("fifo", "forbid");
    for (code, parent) in [("A1", "A"), ("A2", "A")] {
        book.ok(json!({"type": "define_location", "code": code, "parent": parent, "x": 1, "y": 2}));
    }
    book.ok(json!({"type": "define_location", "code": "T", "kind": "transit"}));
    let items = [
        json!({"sku": "fifo", "method": "fifo", "negative_stock": "allow"}),
        json!({"sku": "average"}),
        json!({"sku": "standard", "method": "standard", "standard_cost": "0.333", "negative_stock": "allow"}),
        json!({"sku": "tenant", "method": "fifo", "pool": "tenant"}),
        json!({"sku": "lots", "method": "fifo", "tracking": "lot"}),
        json!({"sku": "specific", "method": "specific", "tracking": "lot"}),
        json!({"sku": "serials", "method": "specific", "tracking": "serial", "pool": "tenant"}),
        json!({"sku": "kit", "components": [{"sku": "fifo", "quantity": "2"}, {"sku": "average", "quantity": "1"}]}),
    ];
    for mut item in items {
        item["type"] = "define_item".into();
        book.ok(item);
    }
    for sku in ["fifo", "average"] {
        book.receive(sku, "A", "30", "10.01");
    }
    book
}

/// The `pick`-th of what the log names in a way, newest first; a name that nobody has when there is none.
fn one_of(book: &Book, pick: usize, name: impl Fn(&Event) -> Option<String>) -> String {
    let found: Vec<String> = book.log.iter().rev().filter_map(|r| name(&r.fact.event)).take(3).collect();
    found.get(pick % found.len().max(1)).cloned().unwrap_or_else(|| "nobody".to_owned())
}

/// The position of one of the newest facts of an item that are of a kind.
fn earlier(book: &Book, d: Dice, is_one: fn(&Event) -> bool) -> Position {
    let of_item = |r: &&Recorded| is_one(&r.fact.event) && r.fact.event.movements().any(|m| m.sku.as_str() == ITEMS[d.item]);
    let found: Vec<Position> = book.log.iter().rev().filter(of_item).take(3).map(|r| r.position).collect();
    found.get(d.pick % found.len().max(1)).copied().unwrap_or(book.ledger.position())
}

/// Serials on hand at a place in a status.
fn there(book: &Book, location: &str, status: &str) -> Vec<String> {
    let at = book.ledger.location(location).unwrap().0;
    let (_, item) = book.ledger.item("serials").unwrap();
    let known = item.tracked.iter().flat_map(|t| &t.serials);
    let mut found: Vec<_> =
        known.filter(|(_, s)| s.location == at && s.status.as_str() == status).map(|(s, _)| s.to_string()).collect();
    found.sort();
    found
}

/// What a roll asks for. Serials and lots are said where the item wants them.
fn ask(d: Dice, book: &Book) -> Value {
    let sku = ITEMS[d.item];
    let (from, to) = (STORES[d.from % 4], STORES[d.to % 4]);
    let lot = format!("L{}", d.pick % 2);
    let (tracks_lots, tracks_serials) = (matches!(sku, "lots" | "specific"), sku == "serials");
    let status = STATUSES[d.way as usize % 4];
    let named = |mut json: Value| {
        json["sku"] = sku.into();
        if tracks_lots {
            json["lot"] = lot.clone().into();
        }
        json
    };
    // What comes in has new numbers, what leaves has those that are there.
    let goods = |mut json: Value, status: &str, serials: Option<Vec<String>>| {
        let mut units = d.units;
        if tracks_serials {
            let mut serials = serials.unwrap_or_else(|| there(book, from, status));
            serials.truncate(usize::try_from(d.units).unwrap());
            units = i64::try_from(serials.len()).unwrap();
            json["serials"] = serials.into();
        }
        json["quantity"] = units.to_string().into();
        named(json)
    };
    let fresh = || Some((0..9).map(|n| format!("S{}-{n}", book.ledger.position())).collect());
    let id = format!("N{}", book.ledger.position());
    let held = one_of(book, d.pick, |e| match e {
        Event::ReservationOpened(e) if book.ledger.reservation(e.id.as_str()).is_some_and(|r| r.status.holds()) => {
            Some(e.id.to_string())
        }
        _other => None,
    });
    let sent = one_of(book, d.pick, |e| match e {
        Event::TransferDispatched(e) if book.ledger.transfer(e.id.as_str()).is_some_and(|t| t.is_open) => Some(e.id.to_string()),
        _other => None,
    });
    let running = one_of(book, d.pick, |e| match e {
        Event::CountOpened(e) if book.ledger.count(e.id.as_str()).is_some_and(|c| c.is_open) => Some(e.id.to_string()),
        _other => None,
    });
    let quantity = d.units.to_string();
    match d.verb {
        0..=4 => {
            goods(json!({"type": "receive", "location": from, "total_cost": cents(d.cents), "status": status}), status, fresh())
        }
        5 | 6 => goods(json!({"type": "issue", "location": from, "status": status}), status, None),
        7 => goods(json!({"type": "issue", "location": from, "stated_cost": cents(d.cents)}), "sellable", None),
        8 | 9 => {
            let original = earlier(book, d, |e| matches!(e, Event::StockIssued(_) | Event::ReservationCommitted(_)));
            let issued = book.log.iter().find(|r| r.position == original).into_iter().flat_map(|r| r.fact.event.movements());
            let serials = issued.flat_map(|m| m.serials()).map(ToString::to_string).collect();
            goods(json!({"type": "return", "location": from, "original": original}), "sellable", Some(serials))
        }
        10 => goods(json!({"type": "return", "location": from}), "sellable", fresh()),
        11 => {
            let receipt = earlier(book, d, |e| matches!(e, Event::StockReceived(_)));
            goods(json!({"type": "return_to_supplier", "location": from, "receipt": receipt}), "sellable", None)
        }
        12 if tracks_serials => {
            json!({"type": "adjust", "sku": sku, "location": from, "difference": "1", "reason": "R", "serials": [id]})
        }
        12 => named(json!({"type": "adjust", "location": from, "difference": (d.units - 5).to_string(), "reason": "R"})),
        13 => goods(json!({"type": "scrap", "location": from, "reason": "R", "status": status}), status, None),
        14 | 15 => goods(json!({"type": "transfer", "from": from, "to": to, "status": status}), status, None),
        16 => {
            goods(json!({"type": "change_status", "location": from, "from": status, "to": (STATUSES[d.pick % 4])}), status, None)
        }
        17 => json!({"type": "revalue", "sku": sku, "location": from, "value_change": cents(d.cents - 450)}),
        18 => json!({"type": "revalue", "sku": "standard", "standard_cost": cents(d.cents)}),
        19 => json!({"type": "revalue", "sku": sku, "location": from, "net_realisable_value": format!("0.{:03}", d.cents)}),
        20 | 21 => {
            let receipt = earlier(book, d, |e| matches!(e, Event::StockReceived(_)));
            let kind = if d.way < 8 { "landed_cost" } else { "price_difference" };
            json!({"type": "add_cost", "receipt": receipt, "amount": cents(d.cents - 300), "kind": kind})
        }
        22 => json!({"type": if d.way < 7 { "assemble" } else { "disassemble" }, "sku": "kit", "location": "A", "quantity": "1"}),
        23..=25 => {
            let line = goods(json!({}), "sellable", None);
            json!({"type": "dispatch_transfer", "id": id, "from": from, "to": to, "lines": [line]})
        }
        26 | 27 => {
            let serials: Vec<_> = book
                .ledger
                .transfer(&sent)
                .iter()
                .flat_map(|t| &t.lines)
                .flat_map(|l| &l.serials)
                .map(ToString::to_string)
                .collect();
            let damaged = d.pick % 2;
            let (broken, good) = serials.split_at(damaged.min(serials.len()));
            let quantity = if serials.is_empty() { quantity } else { good.len().min(1).to_string() };
            let good = &good[..good.len().min(1)];
            let line = json!({"line": 0, "quantity": quantity, "damaged": damaged.to_string(), "serials": good, "damaged_serials": broken});
            json!({"type": "receive_transfer", "id": sent, "lines": [line], "is_final": d.way < 6})
        }
        28 => json!({"type": if d.way < 6 { "cancel_transfer" } else { "receive_transfer" }, "id": sent}),
        29 => json!({"type": "open_count", "id": id, "location": (STORES[d.from % 2])}),
        30 | 31 => {
            let line = named(json!({"location": from, "counted": quantity, "status": status}));
            json!({"type": "record_count", "id": running, "lines": [line]})
        }
        32 => json!({"type": if d.way < 9 { "post_count" } else { "cancel_count" }, "id": running}),
        33..=36 => {
            let strategy = ["given", "fefo", "fifo", "fewest_splits"][d.way as usize % 4];
            let wanted = if d.pick.is_multiple_of(4) { "kit" } else { sku };
            let lines =
                json!([{"sku": wanted, "location": from, "quantity": quantity}, {"sku": sku, "location": to, "quantity": "2"}]);
            json!({"type": "reserve", "id": id, "owner": format!("O{}", d.pick % 3), "ttl_seconds": d.units * 30, "lines": lines,
                "strategy": strategy, "priority": d.way, "allow_partial": d.cents < 500, "replace_own": d.cents % 5 == 0})
        }
        37 => {
            let line = |line: usize, units: i64| json!({"line": line, "quantity": units.to_string()});
            let two = json!([line(0, d.units), line(1, d.cents % 4)]);
            let verb = if d.way < 8 { "change_reservation" } else { "reduce_reservation" };
            json!({"type": verb, "id": held, "lines": if d.way.is_multiple_of(2) { two } else { json!([line(d.from % 3, d.units - 1)]) }})
        }
        38 => {
            let mut json = json!({"type": "move_reservation", "id": held, "line": d.from % 2, "to": to});
            if tracks_lots {
                json["lot"] = lot.into();
            }
            json
        }
        39 => json!({"type": if d.way < 7 { "confirm_reservation" } else { "release_reservation" }, "id": held}),
        40 if tracks_serials => {
            let line = json!({"line": 0, "quantity": "1", "serials": there(book, from, "sellable").into_iter().take(1).collect::<Vec<_>>()});
            json!({"type": "commit_reservation", "id": held, "lines": [line]})
        }
        40 if d.way < 6 => json!({"type": "commit_reservation", "id": held, "lines": [{"line": d.from % 3, "quantity": "1"}]}),
        40 => json!({"type": "commit_reservation", "id": held}),
        41 | 42 => json!({"type": "define_stock_policy", "sku": sku, "location": from,
            "backorder": (["forbid", "limited", "allow"][d.pick % 3]), "backorder_limit": "5", "safety_stock": (d.to % 3).to_string()}),
        _ => match d.way {
            0 | 1 => json!({"type": "define_item", "sku": "average", "method": "fifo"}),
            2 => json!({"type": "define_item", "sku": "average", "method": "standard", "standard_cost": "1.005"}),
            3 | 4 => json!({"type": "define_item", "sku": "average"}),
            5 | 6 => json!({"type": "define_item", "sku": "lots", "method": "moving_average", "tracking": "lot"}),
            7 | 8 => json!({"type": "define_item", "sku": "lots", "method": "fifo", "tracking": "lot"}),
            9 | 10 => {
                json!({"type": "expect", "id": id, "sku": sku, "location": from, "quantity": "3", "due_at": "2027-01-01T00:00:00Z"})
            }
            _ => json!({"type": "cancel_expectation", "id": one_of(book, d.pick, |e| match e {
                Event::StockExpected(e) => Some(e.id.to_string()),
                _other => None,
            })}),
        },
    }
}

/// What such commands must have led to somewhere, or the rolls have lost their aim.
const REACHED: [&str; 28] = [
    "stock_received",
    "stock_issued",
    "stock_returned",
    "stock_returned_to_supplier",
    "stock_adjusted",
    "stock_scrapped",
    "stock_revalued",
    "stock_settled",
    "stock_transferred",
    "stock_status_changed",
    "stock_assembled",
    "stock_disassembled",
    "stock_cost_added",
    "standard_cost_changed",
    "transfer_dispatched",
    "transfer_received",
    "transfer_cancelled",
    "count_recorded",
    "count_posted",
    "count_cancelled",
    "reservation_opened",
    "reservation_changed",
    "reservation_confirmed",
    "reservation_filled",
    "reservation_released",
    "reservation_expired",
    "reservation_committed",
    "item_changed",
];

#[test]
fn any_command_of_any_verb_is_decided_or_refused() {
    let mut reached: BTreeMap<&'static str, usize> = BTreeMap::new();
    let counted = std::cell::RefCell::new(&mut reached);
    let config = ProptestConfig { cases: 400, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&rolls(), |rolls| {
        let mut book = shop();
        let before = book.log.len();
        for roll in rolls {
            let json = ask(roll, &book);
            let _ = book.run(vec![action(json)]);
            if roll.cents % 7 == 0 {
                book.now = book.now.plus_seconds(i64::from(roll.way) * 5);
                for id in book.ledger.lapsed(3) {
                    let expire = ExpireReservation { id, ..Default::default() };
                    let _ = book.run(vec![Action::ExpireReservation(expire)]);
                }
            }
        }
        for recorded in &book.log[before..] {
            *counted.borrow_mut().entry(recorded.fact.event.type_name()).or_default() += 1;
        }
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
    let missing: Vec<_> = REACHED.iter().filter(|name| !reached.contains_key(**name)).collect();
    assert!(missing.is_empty(), "never reached: {missing:?} of {reached:?}");
}
