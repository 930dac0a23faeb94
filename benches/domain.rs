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

fn domain(c: &mut Criterion) {
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

criterion_group!(benches, domain);
criterion_main!(benches);
