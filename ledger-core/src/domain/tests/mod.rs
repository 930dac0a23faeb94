//! Scenarios as tables, and properties over arbitrary histories.

use std::sync::Arc;

use proptest::prelude::*;

use super::catalogue::command::*;
use super::codec;
use super::command::{Action, Command, Context};
use super::decider::{Undecided, handle};
use super::event::{Event, Recorded, Subject};
use super::id::{CommandId, Position};
use super::rejection::Rejection;
use super::state::Ledger;
use super::stock::bin::Bin;
use super::time::Timestamp;

mod model;

mod count;
mod fuzz;
mod kit;
mod money;
mod person;
mod place;
mod refusals;
mod reservation;
mod stock;
mod value;
mod week;

const START: Timestamp = Timestamp(1_790_000_000_000_000);

/// A ledger with its own clock, fed with commands as JSON.
struct Book {
    ledger: Ledger,
    now: Timestamp,
    log: Vec<Recorded>,
}

fn command(steps: Vec<Action>, number: usize) -> Command {
    let fresh = uuid::Uuid::from_u128(number as u128);
    Command::new(CommandId::from_key(&number.to_string()), Arc::new(Context::default()), steps, fresh)
}

fn action(json: serde_json::Value) -> Action {
    serde_json::from_value(json).unwrap()
}

impl Book {
    fn new(method: &str, negative: &str) -> Self {
        let mut book = Self { ledger: Ledger::default(), now: START, log: Vec::new() };
        let open = OpenTenant {
            code: "t".parse().unwrap(),
            name: "T".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
            currency_scale: 2,
            ..OpenTenant::default()
        };
        book.run(vec![Action::OpenTenant(open)]).unwrap();
        for location in ["A", "B"] {
            book.ok(serde_json::json!({"type": "define_location", "code": location}));
        }
        for (sku, scale) in [("X", 0), ("Y", 1)] {
            book.ok(serde_json::json!({"type": "define_item", "sku": sku, "scale": scale, "method": method, "negative_stock": negative}));
        }
        book
    }

    fn run(&mut self, steps: Vec<Action>) -> Result<Vec<Recorded>, Rejection> {
        for position in steps.iter().filter_map(super::decider::goods_named) {
            self.read_goods(position);
        }
        self.ledger.advance(self.now);
        self.ledger.commit();
        let before = self.fingerprints();
        let done = handle(&mut self.ledger, &command(steps, self.log.len()), self.now);
        let decided = self.fingerprints();
        // A batch that the database refuses is taken back without a trace.
        self.ledger.rollback_all();
        assert_eq!(before, self.fingerprints(), "undo left a trace");
        match done {
            Ok(events) => {
                self.read(&events);
                assert_eq!(decided, self.fingerprints(), "a reader comes to another state than the decision");
                self.log.extend(events.clone());
                Ok(events)
            }
            Err(Undecided::Refused(refusal)) => Err(refusal.rejection),
            Err(Undecided::Misfit(misfit)) => panic!("{misfit}"),
        }
    }

    fn fingerprints(&self) -> (String, String) {
        (self.ledger.fingerprint(), self.ledger.fingerprint_of_goods())
    }

    /// Events survive their bytes, show themselves and are folded in one by one; the invariants hold at every position,
    /// not only where a command ends.
    fn read(&mut self, events: &[Recorded]) {
        for recorded in events {
            let (event, at) = (&recorded.fact.event, recorded.fact.effective_at);
            let bytes = codec::encode(&recorded.fact).unwrap();
            let fact = codec::decode(codec::type_number(event), codec::SCHEMA_VERSION, at, &bytes).unwrap();
            assert_eq!(fact, recorded.fact);
            serde_json::to_value(event).unwrap();
            self.ledger.evolve(&Recorded { fact, ..recorded.clone() }).unwrap();
            self.ledger.commit();
            self.ledger.check().unwrap_or_else(|what| panic!("after {}: {what}", event.type_name()));
        }
    }

    /// As new, with what most scenarios need beside A and B: one place of kind transit.
    fn with_transit(method: &str) -> Self {
        let mut book = Self::new(method, "forbid");
        book.ok(serde_json::json!({"type": "define_location", "code": "T", "kind": "transit"}));
        book
    }

    /// Sets the clock to so many seconds after the start.
    fn at(&mut self, seconds: i64) {
        self.now = START.plus_seconds(seconds);
    }

    fn code(&mut self, json: serde_json::Value) -> &'static str {
        self.refused(json).code()
    }

    fn bin(&self, sku: &str, location: &str) -> Bin {
        let (item, location) = (self.ledger.item(sku).unwrap().0, self.ledger.location(location).unwrap().0);
        self.ledger.bin(item, location).cloned().unwrap_or_default()
    }

    /// Units and value of the cost layers of the pool that a place belongs to, oldest first.
    fn layers(&self, sku: &str, location: &str) -> Vec<(i64, i64)> {
        let (item, location) = (self.ledger.item(sku).unwrap().0, self.ledger.location(location).unwrap().0);
        let pool = self.ledger.pool(item, location);
        pool.into_iter().flat_map(|p| &p.layers).map(|l| (l.quantity, l.value)).collect()
    }

    /// Item, place, units, of these waiting, lot of every line of a reservation that holds anything.
    fn held(&self, id: &str) -> Vec<(String, String, i64, i64, String)> {
        let r = self.ledger.reservation(id).unwrap();
        let lines = r.lines.iter().filter(|l| l.quantity > 0);
        lines
            .map(|l| {
                let item = &self.ledger.items()[l.item as usize];
                let location = self.ledger.locations()[l.location as usize].definition.code.to_string();
                let lot = item.lot_at(l.lot).map_or(String::new(), |lot| lot.code.to_string());
                (item.definition.sku.to_string(), location, l.quantity, l.waiting, lot)
            })
            .collect()
    }

    /// Place and units of every line that holds anything.
    fn placed(&self, id: &str) -> Vec<(String, i64)> {
        self.held(id).into_iter().map(|(_, location, units, _, _)| (location, units)).collect()
    }

    /// What the pipeline does before it decides a command that names an earlier event.
    fn read_goods(&mut self, position: Position) {
        if self.ledger.goods(position).is_none() {
            let later: Vec<_> = self.log.iter().filter(|r| r.fact.event.subject() == Subject::Goods(position)).cloned().collect();
            let event = self.log.iter().find(|r| r.position == position).cloned();
            self.ledger.absorb_goods(position, event.as_ref(), &later);
        }
    }

    fn ok(&mut self, json: serde_json::Value) -> Vec<Recorded> {
        self.run(vec![action(json.clone())]).unwrap_or_else(|r| panic!("{json} refused: {r:?}"))
    }

    fn refused(&mut self, json: serde_json::Value) -> Rejection {
        let before = self.ledger.position();
        let refused = self.run(vec![action(json.clone())]).err().unwrap_or_else(|| panic!("{json} was accepted"));
        assert_eq!(self.ledger.position(), before, "a refused command leaves no event");
        refused
    }

    fn receive(&mut self, sku: &str, location: &str, quantity: &str, total: &str) {
        self.ok(
            serde_json::json!({"type": "receive", "sku": sku, "location": location, "quantity": quantity, "total_cost": total}),
        );
    }

    /// On hand, reserved, value in units.
    fn level(&self, sku: &str, location: &str) -> (i64, i64, i64) {
        let item = self.ledger.item(sku).unwrap().0;
        let location = self.ledger.location(location).unwrap().0;
        let bin = self.ledger.bin(item, location).map_or((0, 0), |b| (b.on_hand, b.reserved));
        (bin.0, bin.1, self.ledger.pool(item, location).map_or(0, |p| p.value))
    }

    fn account(&self, code: &str) -> i128 {
        let (_, a) = self.ledger.account(code).unwrap();
        a.debits - a.credits
    }
}

fn reserve(id: &str, ttl: u32, lines: &[(&str, &str)]) -> serde_json::Value {
    let lines: Vec<_> = lines.iter().map(|(sku, q)| serde_json::json!({"sku": sku, "location": "A", "quantity": q})).collect();
    serde_json::json!({"type": "reserve", "id": id, "ttl_seconds": ttl, "lines": lines})
}

fn shortage(rejection: &Rejection) -> (String, String) {
    match rejection {
        Rejection::InsufficientStock { shortages } => (shortages[0].requested.to_string(), shortages[0].available.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_lines_of_one_sku_in_one_reserve_checked_one_by_one() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "5", "50");
    let refused = book.refused(reserve("R", 60, &[("X", "4"), ("X", "4")]));
    assert_eq!(shortage(&refused), ("8".into(), "5".into()));
    assert_eq!(book.level("X", "A"), (5, 0, 5_000));
}

#[test]
fn exact_fit_and_one_short() {
    let mut book = Book::new("moving_average", "forbid");
    book.receive("X", "A", "5", "50");
    assert_eq!(shortage(&book.refused(reserve("R1", 60, &[("X", "6")]))), ("6".into(), "5".into()));
    book.ok(reserve("R2", 60, &[("X", "5")]));
    assert_eq!(shortage(&book.refused(reserve("R3", 60, &[("X", "1")]))), ("1".into(), "0".into()));
    let issue = serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "1"});
    assert_eq!(shortage(&book.refused(issue)), ("1".into(), "0".into()));
}

#[test]
fn expiry_that_runs_minutes_late_or_only_in_a_sweeper() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "5", "50");
    book.ok(reserve("R1", 60, &[("X", "5")]));
    book.now = Timestamp(START.0 + 60_000_000 - 1);
    book.refused(reserve("R2", 60, &[("X", "1")]));
    book.now = Timestamp(START.0 + 60_000_000);
    book.ok(reserve("R2", 60, &[("X", "1")]));
    assert_eq!(book.level("X", "A"), (5, 1, 5_000));
    // The lapsed hold can do nothing any more.
    for verb in ["commit_reservation", "release_reservation"] {
        assert_eq!(book.refused(serde_json::json!({"type": verb, "id": "R1"})).code(), "reservation_expired");
    }
    assert_eq!(
        book.refused(serde_json::json!({"type": "extend_reservation", "id": "R1", "ttl_seconds": 600})).code(),
        "reservation_expired"
    );
    // The sweeper records it; nothing changes.
    assert_eq!(book.ledger.lapsed(10).len(), 1);
    let expire = |id: &str| {
        Action::ExpireReservation(super::reservation::command::ExpireReservation {
            id: id.parse().unwrap(),
            ..Default::default()
        })
    };
    assert_eq!(book.run(vec![expire("R1")]).unwrap().len(), 1);
    assert_eq!(book.run(vec![expire("R1")]).unwrap().len(), 0, "a second sweeper finds nothing to do");
    assert_eq!(book.run(vec![expire("R2")]).unwrap_err().code(), "reservation_not_expired");
    assert_eq!(book.level("X", "A"), (5, 1, 5_000));
}

#[test]
fn an_extended_hold_outlives_its_first_instant() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "5", "50");
    book.ok(reserve("R1", 60, &[("X", "5")]));
    book.now = Timestamp(START.0 + 30_000_000);
    assert_eq!(
        book.refused(serde_json::json!({"type": "extend_reservation", "id": "R1", "ttl_seconds": 20})).code(),
        "expiry_not_later"
    );
    book.ok(serde_json::json!({"type": "extend_reservation", "id": "R1", "ttl_seconds": 60}));
    book.now = Timestamp(START.0 + 70_000_000);
    book.refused(reserve("R2", 60, &[("X", "1")]));
    book.ok(serde_json::json!({"type": "commit_reservation", "id": "R1"}));
    assert_eq!(book.level("X", "A"), (0, 0, 0));
    assert_eq!(book.account("5000"), 5_000);
}

#[test]
fn a_hold_ends_once() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "5", "50");
    book.ok(reserve("R1", 60, &[("X", "5")]));
    book.ok(serde_json::json!({"type": "commit_reservation", "id": "R1"}));
    for verb in ["commit_reservation", "release_reservation"] {
        assert_eq!(book.refused(serde_json::json!({"type": verb, "id": "R1"})).code(), "reservation_closed");
    }
    assert_eq!(book.refused(reserve("R1", 60, &[("X", "1")])).code(), "reservation_exists");
}

#[test]
fn lines_of_one_item_are_costed_one_after_another() {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "2", "2.00");
    book.receive("X", "A", "2", "6.00");
    book.ok(reserve("R1", 60, &[("X", "3"), ("X", "1")]));
    let events = book.ok(serde_json::json!({"type": "commit_reservation", "id": "R1"}));
    let costs: Vec<i64> = events[0].fact.event.movements().map(|m| m.value).collect();
    assert_eq!(costs, [-500, -300]);
    assert_eq!(book.level("X", "A"), (0, 0, 0));
}

#[test]
fn negative_stock_then_receipt_at_another_cost() {
    for method in ["fifo", "moving_average"] {
        let mut book = Book::new(method, "allow");
        book.receive("X", "A", "10", "10.00");
        book.ok(serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "15"}));
        assert_eq!(book.level("X", "A"), (-5, 0, -500));
        let events =
            book.ok(serde_json::json!({"type": "receive", "sku": "X", "location": "A", "quantity": "8", "total_cost": "16.00"}));
        assert_eq!(events.iter().map(|e| e.fact.event.type_name()).collect::<Vec<_>>(), ["stock_settled", "stock_received"]);
        assert_eq!(book.level("X", "A"), (3, 0, 600));
        // 10 at 1.00 and 5 at 2.00 were sold: 15.00 as issued, 5.00 by the settlement.
        assert_eq!((book.account("5000"), book.account("5200")), (1_500, 500));
    }
}

#[test]
fn transfers_carry_their_value_and_conserve() {
    for method in ["fifo", "moving_average"] {
        let mut book = Book::new(method, "forbid");
        book.receive("X", "A", "3", "10.00");
        book.receive("X", "A", "3", "20.00");
        book.ok(serde_json::json!({"type": "transfer", "sku": "X", "from": "A", "to": "B", "quantity": "4"}));
        let (a, b) = (book.level("X", "A"), book.level("X", "B"));
        assert_eq!((a.0 + b.0, a.2 + b.2), (6, 3_000));
        assert_eq!(
            book.refused(serde_json::json!({"type": "transfer", "sku": "X", "from": "A", "to": "A", "quantity": "1"})).code(),
            "same_location"
        );
    }
}

#[test]
fn a_transaction_stands_or_falls_as_one() {
    let mut book = Book::new("fifo", "forbid");
    let receive = action(serde_json::json!({"type": "receive", "sku": "X", "location": "A", "quantity": "5", "total_cost": "5"}));
    let issue = action(serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "6"}));
    let before = book.ledger.position();
    assert!(book.run(vec![receive.clone(), issue]).is_err());
    assert_eq!((book.ledger.position(), book.level("X", "A")), (before, (0, 0, 0)));
    let issue = action(serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "5"}));
    assert_eq!(book.run(vec![receive, issue]).unwrap().len(), 2);
    assert_eq!(book.level("X", "A"), (0, 0, 0));
}

#[test]
fn entries_balance_and_are_reversed_once() {
    let mut book = Book::new("fifo", "forbid");
    let entry = |credit: &str| {
        serde_json::json!({"type": "post_entry", "id": "E1", "postings": [
            {"account": "1100", "debit": "10.00"}, {"account": "4000", "credit": credit}]})
    };
    match book.refused(entry("9.99")) {
        Rejection::EntryUnbalanced { difference, .. } => assert_eq!(difference.as_str(), "0.01"),
        other => panic!("{other:?}"),
    }
    book.ok(entry("10.00"));
    assert_eq!(book.refused(entry("10.00")).code(), "entry_exists");
    book.ok(serde_json::json!({"type": "reverse_entry", "id": "E1"}));
    assert_eq!((book.account("1100"), book.account("4000")), (0, 0));
    assert_eq!(book.refused(serde_json::json!({"type": "reverse_entry", "id": "E1"})).code(), "entry_already_reversed");
    let into_stock = serde_json::json!({"type": "post_entry", "postings": [
        {"account": "1300", "debit": "1"}, {"account": "3000", "credit": "1"}]});
    assert_eq!(book.refused(into_stock).code(), "inventory_account");
}

#[test]
fn the_same_definition_again_changes_nothing() {
    let mut book = Book::new("fifo", "forbid");
    assert_eq!(book.ok(serde_json::json!({"type": "define_item", "sku": "X", "method": "fifo"})).len(), 0);
    assert_eq!(book.ok(serde_json::json!({"type": "define_item", "sku": "X", "method": "fifo", "name": "new"})).len(), 1);
}

/// What may be asked, in numbers small enough to collide often.
#[derive(Clone, Debug)]
enum Asked {
    Receive(bool, bool, i64, i64),
    Issue(bool, bool, i64, Option<i64>),
    Return(bool, bool, i64),
    Adjust(bool, bool, i64),
    Revalue(bool, bool, i64),
    Transfer(bool, bool, i64),
    Reserve(u8, Vec<(bool, i64)>, u32),
    Verb(u8, u8),
    Wait(i64),
}

fn asked() -> impl Strategy<Value = Asked> {
    let (b, q) = (any::<bool>(), 1_i64..30);
    prop_oneof![
        4 => (b, b, q.clone(), 0_i64..5_000).prop_map(|(i, l, q, c)| Asked::Receive(i, l, q, c)),
        4 => (b, b, q.clone(), prop::option::of(0_i64..5_000)).prop_map(|(i, l, q, c)| Asked::Issue(i, l, q, c)),
        1 => (b, b, q.clone()).prop_map(|(i, l, q)| Asked::Return(i, l, q)),
        2 => (b, b, -30_i64..30).prop_map(|(i, l, q)| Asked::Adjust(i, l, q)),
        1 => (b, b, -2_000_i64..2_000).prop_map(|(i, l, v)| Asked::Revalue(i, l, v)),
        2 => (b, b, q.clone()).prop_map(|(i, l, q)| Asked::Transfer(i, l, q)),
        3 => (0_u8..6, prop::collection::vec((b, q), 1..4), 1_u32..20).prop_map(|(n, l, t)| Asked::Reserve(n, l, t)),
        3 => (0_u8..4, 0_u8..6).prop_map(|(verb, n)| Asked::Verb(verb, n)),
        1 => (1_i64..10).prop_map(Asked::Wait),
    ]
}

fn cents(value: i64) -> String {
    super::amount::Number::from_units(value, 2).to_string()
}

fn to_action(asked: &Asked) -> Option<Action> {
    let sku = |i: &bool| if *i { "X" } else { "Y" };
    let at = |l: &bool| if *l { "A" } else { "B" };
    let q = |q: &i64| q.to_string();
    Some(action(match asked {
        Asked::Receive(i, l, n, c) => {
            serde_json::json!({"type": "receive", "sku": sku(i), "location": at(l), "quantity": q(n), "total_cost": cents(*c)})
        }
        Asked::Issue(i, l, n, None) => serde_json::json!({"type": "issue", "sku": sku(i), "location": at(l), "quantity": q(n)}),
        Asked::Issue(i, l, n, Some(c)) => {
            serde_json::json!({"type": "issue", "sku": sku(i), "location": at(l), "quantity": q(n), "stated_cost": cents(*c)})
        }
        Asked::Return(i, l, n) => serde_json::json!({"type": "return", "sku": sku(i), "location": at(l), "quantity": q(n)}),
        Asked::Adjust(i, l, n) => {
            serde_json::json!({"type": "adjust", "sku": sku(i), "location": at(l), "difference": q(n), "reason": "COUNT"})
        }
        Asked::Revalue(i, l, v) => {
            serde_json::json!({"type": "revalue", "sku": sku(i), "location": at(l), "value_change": cents(*v)})
        }
        Asked::Transfer(i, l, n) => {
            serde_json::json!({"type": "transfer", "sku": sku(i), "from": at(l), "to": at(&!l), "quantity": q(n)})
        }
        Asked::Reserve(n, lines, ttl) => {
            let lines: Vec<_> =
                lines.iter().map(|(i, n)| serde_json::json!({"sku": sku(i), "location": "A", "quantity": q(n)})).collect();
            serde_json::json!({"type": "reserve", "id": format!("R{n}"), "ttl_seconds": ttl, "lines": lines})
        }
        Asked::Verb(3, n) => {
            return Some(Action::ExpireReservation(super::reservation::command::ExpireReservation {
                id: format!("R{n}").parse().unwrap(),
                ..Default::default()
            }));
        }
        Asked::Verb(verb, n) => {
            let id = format!("R{n}");
            match verb {
                0 => serde_json::json!({"type": "commit_reservation", "id": id}),
                1 => serde_json::json!({"type": "release_reservation", "id": id}),
                _ => serde_json::json!({"type": "extend_reservation", "id": id, "ttl_seconds": 15}),
            }
        }
        Asked::Wait(_) => return None,
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Any commands in any reachable state: the invariants hold after each (`Book::run` checks them), a refused
    /// transaction and a rolled-back batch leave the state as it was, events survive their bytes, and folding the log
    /// from nothing gives the state.
    #[test]
    fn any_history_is_sound(
        method in prop::sample::select(vec!["fifo", "moving_average"]),
        negative in prop::sample::select(vec!["forbid", "allow"]),
        history in prop::collection::vec(asked(), 1..60),
    ) {
        let mut book = Book::new(method, negative);
        for (number, asked) in history.iter().enumerate() {
            if let Asked::Wait(seconds) = asked {
                book.now = book.now.plus_seconds(*seconds);
            }
            let Some(action) = to_action(asked) else { continue };
            // Once for nothing: decided, folded in, taken back.
            book.ledger.advance(book.now);
            book.ledger.commit();
            let before = book.ledger.fingerprint();
            let _ = handle(&mut book.ledger, &command(vec![action.clone(), action.clone()], number), book.now);
            book.ledger.rollback_all();
            prop_assert_eq!(&before, &book.ledger.fingerprint());
            let _ = book.run(vec![action]);
        }
        let mut again = Ledger::default();
        for recorded in &book.log {
            let bytes = codec::encode(&recorded.fact).unwrap();
            let fact = codec::decode(codec::type_number(&recorded.fact.event), codec::SCHEMA_VERSION, recorded.fact.effective_at, &bytes).unwrap();
            prop_assert_eq!(&fact, &recorded.fact);
            again.evolve(&Recorded { fact, ..recorded.clone() }).unwrap();
        }
        again.advance(book.now);
        book.ledger.advance(book.now);
        prop_assert_eq!(again.fingerprint(), book.ledger.fingerprint());
        let shipped: i128 = book.log.iter().flat_map(|r| r.fact.event.movements()).map(|m| i128::from(m.value)).sum();
        prop_assert_eq!(shipped, book.ledger.stock_and_inventory().0);
        prop_assert!(book.log.iter().all(|r| !matches!(r.fact.event, Event::StockReceived(ref m) if m.quantity <= 0)));
    }
}
