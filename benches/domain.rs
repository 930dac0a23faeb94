//! The domain's inner loop: decide and fold, encode and hash, one command at a time.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that cannot go on should stop")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use ledger_core::domain::catalogue::command::OpenTenant;
use ledger_core::domain::codec;
use ledger_core::domain::command::{Action, Command, Context};
use ledger_core::domain::decider::handle;
use ledger_core::domain::id::CommandId;
use ledger_core::domain::state::Ledger;
use ledger_core::domain::time::Timestamp;

fn command(json: serde_json::Value) -> Command {
    let steps = vec![serde_json::from_value(json).unwrap()];
    Command::new(CommandId::from_key("k"), Arc::new(Context::default()), steps, uuid::Uuid::nil())
}

/// A ledger with one item of `layers` open layers.
fn ledger(layers: usize) -> Ledger {
    let mut ledger = Ledger::default();
    let open = Action::OpenTenant(OpenTenant { currency_scale: 2, ..OpenTenant::default() });
    let open = Command::new(CommandId::from_key("o"), Arc::new(Context::default()), vec![open], uuid::Uuid::nil());
    handle(&mut ledger, &open, Timestamp(1)).unwrap();
    for json in [
        serde_json::json!({"type": "define_location", "code": "A"}),
        serde_json::json!({"type": "define_item", "sku": "X", "method": "fifo"}),
    ] {
        handle(&mut ledger, &command(json), Timestamp(1)).unwrap();
    }
    let receive =
        command(serde_json::json!({"type": "receive", "sku": "X", "location": "A", "quantity": "1000000", "unit_cost": "1.37"}));
    for _ in 0..layers {
        handle(&mut ledger, &receive, Timestamp(1)).unwrap();
    }
    ledger.commit();
    ledger
}

/// Decides and folds, then takes it back, so that every turn decides on the same state.
fn decide(c: &mut Criterion, name: &str, ledger: &mut Ledger, command: &Command) {
    ledger.commit();
    c.bench_function(name, |b| {
        b.iter(|| {
            black_box(handle(ledger, command, Timestamp(1)).unwrap());
            ledger.rollback_all();
        });
    });
}

fn run(ledger: &mut Ledger, json: serde_json::Value) {
    handle(ledger, &command(json), Timestamp(1)).unwrap();
}

/// One line and fifty, and shipping them.
fn reservations(c: &mut Criterion) {
    for lines in [1, 50] {
        let mut ledger = ledger(1);
        let mut held = Vec::new();
        for line in 0..lines {
            let sku = format!("X{line}");
            run(&mut ledger, serde_json::json!({"type": "define_item", "sku": sku, "method": "fifo"}));
            run(
                &mut ledger,
                serde_json::json!({"type": "receive", "sku": sku, "location": "A", "quantity": "1000", "unit_cost": "1"}),
            );
            held.push(serde_json::json!({"sku": sku, "location": "A", "quantity": "1"}));
        }
        let reserve = serde_json::json!({"type": "reserve", "id": "R", "ttl_seconds": 600, "lines": held});
        decide(c, &format!("reserve, {lines} lines"), &mut ledger, &command(reserve.clone()));
        run(&mut ledger, reserve);
        let commit = command(serde_json::json!({"type": "commit_reservation", "id": "R"}));
        decide(c, &format!("commit, {lines} lines"), &mut ledger, &commit);
    }
}

/// One demand over a thousand places, by each strategy that chooses.
fn allocation(c: &mut Criterion) {
    let mut ledger = ledger(1);
    let mut list = Vec::new();
    for place in 0..1_000 {
        let code = format!("L{place:04}");
        run(&mut ledger, serde_json::json!({"type": "define_location", "code": code, "x": place % 37, "y": place % 41}));
        run(&mut ledger, serde_json::json!({"type": "receive", "sku": "X", "location": code, "quantity": "5", "unit_cost": "1"}));
        list.push(code);
    }
    run(&mut ledger, serde_json::json!({"type": "define_location", "code": "A", "x": 0, "y": 0}));
    // More than the one full place has, so that the demand is split.
    let lines = serde_json::json!([{"sku": "X", "quantity": "1000100"}]);
    for strategy in ["priority_list", "nearest", "fefo", "fifo", "fewest_splits"] {
        let mut reserve =
            serde_json::json!({"type": "reserve", "id": "R", "ttl_seconds": 600, "strategy": strategy, "lines": lines});
        match strategy {
            "priority_list" => {
                let mut all = list.clone();
                all.truncate(999);
                all.push("A".into());
                reserve["locations"] = serde_json::json!(all);
            }
            "nearest" => reserve["near"] = serde_json::json!("A"),
            _others => {}
        }
        decide(c, &format!("allocate over 1,000 locations, {strategy}"), &mut ledger, &command(reserve));
    }
}

/// A receipt dated before everything, after few movements and after very many.
fn late_facts(c: &mut Criterion) {
    for movements in [10, 1_000_000] {
        let mut ledger = ledger(1);
        let issue = command(serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "1"}));
        for turn in 0..movements {
            if turn % 500_000 == 0 {
                run(
                    &mut ledger,
                    serde_json::json!({"type": "receive", "sku": "X", "location": "A", "quantity": "500000", "unit_cost": "1.37"}),
                );
            }
            handle(&mut ledger, &issue, Timestamp(1)).unwrap();
            ledger.commit();
        }
        let late = command(serde_json::json!({"type": "receive", "sku": "X", "location": "A", "quantity": "1", "unit_cost": "2",
            "effective_at": "1970-01-01T00:00:00Z"}));
        decide(c, &format!("late receipt, {movements} later movements"), &mut ledger, &late);
    }
}

fn domain(c: &mut Criterion) {
    let through = command(serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "10000000000"}));
    decide(c, "issue through 10,000 open layers", &mut ledger(10_000), &through);
    let issue = command(serde_json::json!({"type": "issue", "sku": "X", "location": "A", "quantity": "1"}));
    for layers in [1, 10_000] {
        let mut ledger = ledger(layers);
        c.bench_function(&format!("issue, {layers} open layers"), |b| {
            b.iter(|| {
                black_box(handle(&mut ledger, &issue, Timestamp(1)).unwrap());
                // Taken back, so that every turn decides on the same state.
                ledger.rollback_all();
            });
        });
    }
    let recorded = handle(&mut ledger(1), &issue, Timestamp(1)).unwrap().remove(0);
    c.bench_function("encode an issue", |b| b.iter(|| codec::encode(black_box(&recorded.fact)).unwrap()));
    let bytes = codec::encode(&recorded.fact).unwrap();
    let number = codec::type_number(&recorded.fact.event);
    c.bench_function("decode an issue", |b| {
        b.iter(|| codec::decode(number, codec::SCHEMA_VERSION, None, black_box(&bytes)).unwrap())
    });
}

criterion_group!(benches, domain, reservations, allocation, late_facts);
criterion_main!(benches);
