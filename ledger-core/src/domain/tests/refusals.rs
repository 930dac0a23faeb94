//! Every refusal the domain knows, each with a scenario that produces it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::domain::journal::command::ExpireEntry;
use crate::domain::limit::TRANSACTION_STEPS_MAX;
use crate::domain::person::command::{ErasePerson, RecordPerson};
use crate::domain::reservation::command::ExpireReservation;

/// Codes that no command can produce in the domain.
const ELSEWHERE: &[&str] = &[
    // The pipeline knows which command ids there were, and with which bodies.
    "command_id_reused",
];

fn with(mut json: Value, field: &str, value: Value) -> Value {
    json[field] = value;
    json
}

/// A state in which everything that can be named is there, closed, held or used up.
fn prepared() -> (Book, Position, Position) {
    let mut book = Book::new("fifo", "forbid");
    book.receive("Y", "A", "1.5", "3.00");
    for code in ["T", "T2"] {
        book.ok(json!({"type": "define_location", "code": code, "kind": "transit"}));
    }
    for n in 1..=16 {
        let parent = if n == 1 { Value::Null } else { format!("G{}", n - 1).into() };
        let define = json!({"type": "define_location", "code": format!("G{n}")});
        book.ok(if n == 1 { define } else { with(define, "parent", parent) });
    }
    let units = json!([{"code": "third", "numerator": 1, "denominator": 3}]);
    for (sku, fields) in [
        ("U", json!({"units": units})),
        ("L", json!({"method": "fifo", "tracking": "lot"})),
        ("S", json!({"method": "fifo", "tracking": "serial"})),
        ("D", json!({"method": "standard", "standard_cost": "1"})),
        ("C", json!({"posting_class": "other"})),
        ("K", json!({"scale": 1, "components": [{"sku": "Y", "quantity": "0.1"}]})),
    ] {
        book.ok(with(with(fields, "type", "define_item".into()), "sku", sku.into()));
    }
    let into_a = |sku: &str| json!({"type": "receive", "sku": sku, "location": "A", "quantity": "1", "total_cost": "1"});
    let lot = with(with(into_a("L"), "lot", "L1".into()), "lot_expires_at", START.plus_seconds(1).to_string().into());
    book.ok(lot);
    book.ok(with(into_a("S"), "serials", json!(["S1"])));
    let receipt = book.ok(with(into_a("U"), "quantity", "9".into()))[0].position;
    let issued = book.ok(json!({"type": "issue", "sku": "U", "location": "A", "quantity": "1"}))[0].position;
    book.ok(json!({"type": "define_stock_policy", "sku": "D", "location": "A", "backorder": "allow"}));
    for (id, sku, ttl) in
        [("lapsed", "U", 1), ("held", "U", 600), ("allocated", "U", 600), ("released", "U", 600), ("waiting", "D", 600)]
    {
        book.ok(with(reserve(id, ttl, &[(sku, "1")]), "owner", "ann".into()));
    }
    book.ok(json!({"type": "confirm_reservation", "id": "allocated"}));
    book.ok(json!({"type": "release_reservation", "id": "released"}));
    for id in ["open", "closed"] {
        book.ok(json!({"type": "dispatch_transfer", "id": id, "from": "A", "to": "B", "via": "T", "lines": [{"sku": "U", "quantity": "1"}]}));
        book.ok(json!({"type": "open_count", "id": id, "location": "G1"}));
        book.ok(json!({"type": "expect", "id": id, "sku": "U", "location": "A", "quantity": "1", "due_at": START.to_string()}));
    }
    book.ok(json!({"type": "receive_transfer", "id": "closed"}));
    book.ok(json!({"type": "cancel_count", "id": "closed"}));
    book.ok(json!({"type": "cancel_expectation", "id": "closed"}));
    for id in ["E1", "E2"] {
        let postings = json!([{"account": "1000", "debit": "1"}, {"account": "3000", "credit": "1"}]);
        book.ok(json!({"type": "post_entry", "id": id, "postings": postings}));
    }
    book.ok(json!({"type": "reverse_entry", "id": "E2"}));
    prepare_money(&mut book);
    book.at(2);
    (book, receipt, issued)
}

fn catalogue() -> Vec<(Value, &'static str)> {
    let item = |fields: Value| with(with(fields, "type", "define_item".into()), "sku", "N".into());
    let place = |fields: Value| with(fields, "type", "define_location".into());
    vec![
        (json!({"type": "define_item", "sku": "Y", "scale": 3}), "item_in_use"),
        (item(json!({"scale": 10})), "scale_out_of_range"),
        (item(json!({"scale": 1, "tracking": "serial"})), "scale_not_whole"),
        (item(json!({"method": "specific"})), "method_needs_tracking"),
        (item(json!({"method": "standard"})), "standard_cost_required"),
        (item(json!({"units": [{"code": "u", "numerator": 0, "denominator": 1}]})), "unit_invalid"),
        (item(json!({"components": [{"sku": "K", "quantity": "1"}]})), "component_invalid"),
        (place(json!({"code": "A", "retired": true})), "location_in_use"),
        (place(json!({"code": "G1", "parent": "G2"})), "location_cycle"),
        (place(json!({"code": "G17", "parent": "G16"})), "location_too_deep"),
        (place(json!({"code": "N", "parent": "T"})), "location_not_storage"),
        (json!({"type": "define_account", "code": "1300", "account_type": "expense"}), "account_in_use"),
        (json!({"type": "define_account", "code": "77", "account_type": "asset", "parent": "77"}), "account_cycle"),
        (
            json!({"type": "define_posting_rule", "movement": "inventory", "class": "default", "account": "6000"}),
            "class_has_stock",
        ),
        (
            json!({"type": "define_posting_rule", "movement": "inventory", "class": "default", "account": "1000"}),
            "account_in_use",
        ),
    ]
}

fn receiving() -> Vec<(Value, &'static str)> {
    let receive = |field: &str, value: Value| {
        with(json!({"type": "receive", "sku": "X", "location": "A", "quantity": "1", "unit_cost": "1"}), field, value)
    };
    let pairs: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), "v".into())).collect();
    let lot = |field: &str, value: Value| with(receive("sku", "L".into()), field, value);
    vec![
        (receive("sku", "Z".into()), "unknown_item"),
        (receive("location", "Z".into()), "unknown_location"),
        (receive("location", "T".into()), "location_not_storage"),
        (receive("quantity", "0".into()), "quantity_not_positive"),
        (receive("quantity", "-1".into()), "quantity_not_positive"),
        (receive("quantity", "1.5".into()), "scale_exceeded"),
        (receive("total_cost", "1".into()), "cost_ambiguous"),
        (receive("unit_cost", "-1".into()), "cost_negative"),
        (receive("unit_cost", "999999999999999999".into()), "number_out_of_range"),
        (receive("unit", "third".into()), "unknown_unit"),
        (with(receive("sku", "U".into()), "unit", "third".into()), "unit_inexact"),
        (receive("counter_account", "9999".into()), "unknown_account"),
        (receive("counter_account", "1300".into()), "inventory_account"),
        (receive("expected_version", 7.into()), "version_mismatch"),
        (receive("effective_at", "2199-01-01T00:00:00Z".into()), "effective_time_out_of_range"),
        (receive("effective_at", "1969-12-31T23:59:59Z".into()), "effective_time_out_of_range"),
        (receive("metadata", pairs.into()), "metadata_too_large"),
        (receive("sku", "C".into()), "posting_rule_missing"),
        (receive("lot", "L1".into()), "tracking_mismatch"),
        (receive("sku", "L".into()), "lot_required"),
        (with(lot("lot", "L1".into()), "lot_expires_at", START.to_string().into()), "lot_expiry_differs"),
        (receive("sku", "S".into()), "serials_required"),
        (with(receive("sku", "S".into()), "serials", json!(["S1"])), "serial_exists"),
        (receive("expectation", "nobody".into()), "unknown_expectation"),
        (with(receive("sku", "U".into()), "expectation", "closed".into()), "expectation_closed"),
        (json!({"type": "receive", "sku": "X", "location": "A", "quantity": "1"}), "cost_required"),
    ]
}

fn stock(receipt: Position, issued: Position) -> Vec<(Value, &'static str)> {
    let of = |verb: &str, sku: &str| json!({"type": verb, "sku": sku, "location": "A", "quantity": "1"});
    let expect =
        |id: &str, due: &str| json!({"type": "expect", "id": id, "sku": "U", "location": "A", "quantity": "1", "due_at": due});
    vec![
        (with(of("issue", "L"), "lot", "L9".into()), "unknown_lot"),
        (with(of("issue", "L"), "lot", "L1".into()), "lot_expired"),
        (with(of("issue", "S"), "serials", json!(["S9"])), "unknown_serial"),
        (with(of("issue", "Y"), "stated_cost", "3.01".into()), "stated_cost_exceeds_value"),
        (json!({"type": "adjust", "sku": "X", "location": "A", "difference": "1"}), "reason_required"),
        (json!({"type": "adjust", "sku": "X", "location": "A", "difference": "0", "reason": "R"}), "zero_change"),
        (json!({"type": "adjust", "sku": "X", "location": "A", "difference": "-1", "reason": "R"}), "insufficient_stock"),
        (
            json!({"type": "change_status", "sku": "Y", "location": "A", "quantity": "1", "from": "damaged", "to": "damaged"}),
            "same_status",
        ),
        (json!({"type": "transfer", "sku": "Y", "from": "A", "to": "A", "quantity": "1"}), "same_location"),
        (with(of("return", "U"), "original", 1.into()), "unknown_movement"),
        (with(with(of("return", "U"), "original", issued.into()), "quantity", "2".into()), "return_exceeds_issue"),
        (with(of("return_to_supplier", "U"), "receipt", issued.into()), "unknown_movement"),
        (json!({"type": "revalue", "sku": "X", "location": "A", "value_change": "1"}), "revaluation_without_stock"),
        (json!({"type": "revalue", "sku": "Y", "location": "A", "value_change": "-3.01"}), "value_below_zero"),
        (json!({"type": "revalue", "sku": "Y", "location": "A"}), "revaluation_ambiguous"),
        (json!({"type": "revalue", "sku": "Y", "value_change": "1"}), "location_required"),
        (json!({"type": "revalue", "sku": "Y", "standard_cost": "1"}), "not_standard_cost"),
        (json!({"type": "add_cost", "receipt": receipt, "amount": "0", "kind": "landed_cost"}), "zero_change"),
        (of("assemble", "Y"), "not_a_kit"),
        (with(of("assemble", "K"), "quantity", "0.5".into()), "component_inexact"),
        (expect("open", "2027-01-01T00:00:00Z"), "expectation_exists"),
        (expect("new", "2099-01-01T00:00:00Z"), "due_time_out_of_range"),
        (json!({"type": "cancel_expectation", "id": "closed"}), "expectation_closed"),
    ]
}

fn documents() -> Vec<(Value, &'static str)> {
    let dispatch = |id: &str, via: Value| {
        let json =
            json!({"type": "dispatch_transfer", "id": id, "from": "A", "to": "B", "lines": [{"sku": "U", "quantity": "1"}]});
        if via.is_null() { json } else { with(json, "via", via) }
    };
    let count = |id: &str, location: &str, at: i64| {
        json!({"type": "record_count", "id": id, "effective_at": START.plus_seconds(at).to_string(),
            "lines": [{"sku": "U", "location": location, "counted": "1"}]})
    };
    let entry = |id: &str, debit: Value, credit: Value| json!({"type": "post_entry", "id": id, "postings": [{"account": "1000", "debit": debit}, {"account": "3000", "credit": credit}]});
    vec![
        (dispatch("new", Value::Null), "transit_location_required"),
        (dispatch("new", "B".into()), "location_not_transit"),
        (dispatch("open", "T".into()), "transfer_exists"),
        (json!({"type": "receive_transfer", "id": "nobody"}), "unknown_transfer"),
        (json!({"type": "receive_transfer", "id": "closed"}), "transfer_closed"),
        (json!({"type": "receive_transfer", "id": "open", "lines": [{"line": 1, "quantity": "1"}]}), "unknown_line"),
        (json!({"type": "open_count", "id": "open", "location": "A"}), "count_exists"),
        (count("nobody", "G1", 1), "unknown_count"),
        (count("closed", "G1", 1), "count_closed"),
        (count("open", "A", 1), "location_outside_count"),
        (count("open", "G1", -1), "counted_outside_count"),
        (count("open", "G1", 3), "counted_outside_count"),
        (entry("E3", "1".into(), "2".into()), "entry_unbalanced"),
        (entry("E1", "1".into(), "1".into()), "entry_exists"),
        (json!({"type": "reverse_entry", "id": "E2"}), "entry_already_reversed"),
        (json!({"type": "reverse_entry", "id": "nobody"}), "unknown_entry"),
        (json!({"type": "post_entry", "postings": [{"account": "1000", "debit": "1"}]}), "lines_out_of_range"),
        (
            json!({"type": "post_entry", "postings": [{"account": "1000", "debit": "1", "credit": "1"}, {"account": "1000"}]}),
            "posting_side_invalid",
        ),
    ]
}

/// An entry of 1 from `credit` to `debit`, with fields of it and of its first posting.
fn money_entry(debit: &str, credit: &str, fields: Value, of_posting: Value) -> Value {
    let mut first = json!({"account": debit, "debit": "1"});
    first.as_object_mut().unwrap().extend(of_posting.as_object().unwrap().clone());
    let mut entry = json!({"type": "post_entry", "postings": [first, {"account": credit, "credit": "1"}]});
    entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    entry
}

fn money() -> Vec<(Value, &'static str)> {
    let entry = |fields: Value, of_posting: Value| money_entry("1000", "4000", fields, of_posting);
    let none = || json!({});
    let account = |fields: Value| with(with(fields, "type", "define_account".into()), "account_type", "asset".into());
    let usd = || json!({"currency": "USD"});
    let dims: serde_json::Map<String, Value> = (0..9).map(|n| (format!("d{n}"), "v".into())).collect();
    let set = |code: &str, sets: Value| json!({"type": "define_account_set", "code": code, "sets": sets});
    let rate = |currency: &str, rate: &str| json!({"rates": [{"currency": currency, "rate": rate}]});
    let of = |verb: &str, id: &str| json!({"type": verb, "id": id});
    vec![
        (entry(none(), json!({"currency": "QQQ"})), "unknown_currency"),
        (entry(rate("USD", "0"), usd()), "rate_not_positive"),
        (entry(rate("USD", "1"), none()), "rate_unused"),
        (
            json!({"type": "post_entry", "postings": [{"account": "1000", "debit": "1", "currency": "USD"}, {"account": "4000", "credit": "1", "currency": "USD"}]}),
            "rate_required",
        ),
        (money_entry("dollars", "4000", none(), none()), "account_currency_differs"),
        (money_entry("retired", "4000", none(), none()), "account_closed"),
        (account(json!({"code": "new", "minimum": "2", "maximum": "1"})), "limit_invalid"),
        (money_entry("1000", "limited", none(), none()), "limit_exceeded"),
        (entry(none(), json!({"dimensions": {"nobody": "1"}})), "unknown_dimension"),
        (entry(none(), json!({"dimensions": {"centre": "9"}})), "unknown_dimension_value"),
        (money_entry("strict", "4000", none(), none()), "dimension_required"),
        (entry(none(), json!({"dimensions": dims})), "too_many_dimensions"),
        (entry(none(), json!({"tax": "nobody"})), "unknown_tax_code"),
        (set("new", json!(["nobody"])), "unknown_account_set"),
        (set("inner", json!(["outer"])), "account_set_cycle"),
        (entry(json!({"conditions": [{"account": "1000", "balance": "77"}]}), none()), "balance_differs"),
        (entry(json!({"conditions": [{"account": "1000", "position": 0}]}), none()), "account_moved"),
        (
            json!({"type": "post_entry", "balancing": "debit", "postings": [{"account": "1000", "debit": "2"}, {"account": "4000", "credit": "1"}, {"account": "4000", "credit": "1"}]}),
            "balancing_needs_two",
        ),
        (money_entry("wallet", "4000", json!({"balancing": "debit"}), none()), "nothing_to_balance"),
        (entry(json!({"ttl_seconds": 1}), none()), "ttl_without_pending"),
        (of("settle_entry", "E1"), "entry_not_pending"),
        (of("reverse_entry", "pending"), "entry_not_posted"),
        (of("settle_entry", "lapsed entry"), "entry_expired"),
        (with(of("settle_entry", "pending"), "amount", "2".into()), "settlement_exceeds_pending"),
        (with(of("settle_entry", "mixed"), "amount", "1".into()), "settlement_ambiguous"),
        (entry(json!({"effective_at": "2026-07-01T00:00:00Z"}), none()), "period_closed"),
        (json!({"type": "close_period", "period": "2099-01"}), "period_not_over"),
        (json!({"type": "reopen_period", "period": "2026-08", "reason": "R"}), "period_not_closed"),
        (json!({"type": "reopen_period", "period": "2026-06", "reason": "R"}), "later_period_closed"),
        (json!({"type": "close_year", "year": -1}), "year_out_of_range"),
        (json!({"type": "define_calendar", "year_starts_month": 4}), "calendar_fixed"),
    ]
}

/// What money's refusals need.
fn prepare_money(book: &mut Book) {
    for (code, fields) in [
        ("dollars", json!({"account_type": "asset", "currency": "USD"})),
        ("retired", json!({"account_type": "asset", "retired": true})),
        ("limited", json!({"account_type": "asset", "minimum": "0"})),
        ("wallet", json!({"account_type": "liability"})),
    ] {
        book.ok(with(with(fields, "type", "define_account".into()), "code", code.into()));
    }
    book.ok(json!({"type": "define_dimension", "code": "centre", "values": ["1", "2"]}));
    let strict =
        json!({"type": "define_account", "code": "strict", "account_type": "expense", "required_dimensions": ["centre"]});
    book.ok(strict);
    book.ok(json!({"type": "define_account_set", "code": "inner", "accounts": ["1000"]}));
    book.ok(json!({"type": "define_account_set", "code": "outer", "sets": ["inner"]}));
    book.ok(money_entry("1000", "4000", json!({"id": "pending", "pending": true}), json!({})));
    book.ok(money_entry("1000", "4000", json!({"id": "lapsed entry", "pending": true, "ttl_seconds": 1}), json!({})));
    let rates = json!([{"currency": "USD", "rate": "1"}]);
    book.ok(money_entry("1000", "4000", json!({"id": "mixed", "pending": true, "rates": rates}), json!({"currency": "USD"})));
    book.ok(json!({"type": "close_period", "period": "2026-07"}));
}

fn holds() -> Vec<(Value, &'static str)> {
    let of = |verb: &str, id: &str| json!({"type": verb, "id": id});
    let new = |field: &str, value: Value| with(reserve("new", 60, &[("U", "1")]), field, value);
    let nowhere = json!([{"sku": "U", "quantity": "1"}]);
    let line = |line: u32, quantity: &str| json!([{"line": line, "quantity": quantity}]);
    vec![
        (reserve("R", 0, &[("Y", "1")]), "ttl_out_of_range"),
        (reserve("R", u32::MAX, &[("Y", "1")]), "ttl_out_of_range"),
        (reserve("R", 60, &[]), "lines_out_of_range"),
        (reserve("held", 60, &[("U", "1")]), "reservation_exists"),
        (new("lines", nowhere), "location_required"),
        (new("strategy", "nearest".into()), "strategy_incomplete"),
        (with(new("strategy", "nearest".into()), "near", "A".into()), "location_without_coordinates"),
        (new("replace_own", true.into()), "owner_required"),
        (of("commit_reservation", "nobody"), "unknown_reservation"),
        (of("commit_reservation", "lapsed"), "reservation_expired"),
        (of("commit_reservation", "released"), "reservation_closed"),
        (of("commit_reservation", "waiting"), "reservation_waiting"),
        (with(of("release_reservation", "held"), "owner", "bob".into()), "reservation_owner_differs"),
        (with(of("extend_reservation", "held"), "ttl_seconds", 1.into()), "expiry_not_later"),
        (with(of("extend_reservation", "allocated"), "ttl_seconds", 900.into()), "reservation_allocated"),
        (with(of("reduce_reservation", "held"), "lines", line(0, "2")), "line_too_small"),
        (with(of("change_reservation", "held"), "lines", line(1, "2")), "unknown_line"),
    ]
}

/// What no single command in JSON asks for.
fn otherwise() -> Vec<&'static str> {
    let mut book = Book::new("fifo", "forbid");
    book.receive("X", "A", "1", "1");
    book.ok(reserve("held", 60, &[("X", "1")]));
    let open = Action::OpenTenant(OpenTenant { code: "t".parse().unwrap(), ..OpenTenant::default() });
    book.ok(money_entry("1000", "4000", json!({"id": "pending", "pending": true}), json!({})));
    let expire_entry = Action::ExpireEntry(ExpireEntry { id: "pending".parse().unwrap(), ..Default::default() });
    let expire = Action::ExpireReservation(ExpireReservation { id: "held".parse().unwrap(), ..Default::default() });
    let found =
        action(json!({"type": "adjust", "sku": "X", "location": "B", "difference": "1", "total_cost": "0", "reason": "R"}));
    let mut codes: Vec<_> =
        [vec![open], vec![expire], vec![expire_entry], Vec::new(), vec![found.clone(); TRANSACTION_STEPS_MAX + 1]]
            .into_iter()
            .map(|steps| book.run(steps).unwrap_err().code())
            .collect();
    assert_eq!(
        codes,
        ["tenant_already_open", "reservation_not_expired", "entry_not_expired", "transaction_empty", "transaction_too_long"]
    );
    let erase =
        || vec![Action::ErasePerson(ErasePerson { id: "p".parse().unwrap(), reason: "R".parse().ok(), ..Default::default() })];
    let record = || vec![Action::RecordPerson(RecordPerson { id: "p".parse().unwrap(), ..Default::default() })];
    codes.push(book.run(erase()).unwrap_err().code());
    book.run(record()).unwrap();
    book.run(erase()).unwrap();
    codes.push(book.run(record()).unwrap_err().code());
    assert_eq!(codes[codes.len() - 2..], ["unknown_person", "person_erased"]);
    // More movements than a running count remembers.
    book.ok(json!({"type": "open_count", "id": "C", "location": "B"}));
    book.at(1);
    for _ in 0..3 {
        book.run(vec![found.clone(); 3_334]).unwrap();
    }
    book.at(2);
    let lines = json!([{"sku": "X", "counted": "1"}]);
    codes.push(book.code(json!({"type": "record_count", "id": "C", "effective_at": START.to_string(), "lines": lines})));
    codes
}

#[test]
fn every_refusal_has_a_scenario_that_produces_it() {
    let (mut book, receipt, issued) = prepared();
    let mut seen: BTreeSet<&str> = otherwise().into_iter().collect();
    for (json, code) in [catalogue(), receiving(), stock(receipt, issued), documents(), holds(), money()].concat() {
        assert_eq!(book.refused(json.clone()).code(), code, "{json}");
        seen.insert(code);
    }
    let known: BTreeSet<&str> = Rejection::CODES.iter().copied().collect();
    assert_eq!(known.len(), Rejection::CODES.len(), "a code stands for one refusal");
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().copied().collect();
    assert_eq!(known.difference(&seen).copied().collect::<BTreeSet<_>>(), elsewhere, "codes without a scenario");
}

#[test]
fn a_code_is_what_json_shows() {
    for (json, code) in [
        (json!({"type": "commit_reservation", "id": "nobody"}), "unknown_reservation"),
        (reserve("R", 0, &[]), "lines_out_of_range"),
    ] {
        let refused = Book::new("fifo", "forbid").refused(json);
        assert_eq!(serde_json::to_value(&refused).unwrap()["code"], code);
    }
}
