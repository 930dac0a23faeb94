//! Memory of a state with many items, each with stock: the fold alone, without servers.

use std::time::Instant;

use anyhow::{Context, Result};
use ledger_core::domain::catalogue::event::{ItemDefinition, LocationDefinition};
use ledger_core::domain::event::{Event, Fact, Note, Recorded};
use ledger_core::domain::state::Ledger;
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;

use super::{Bench, Line, rate};

pub(super) fn memory(bench: &mut Bench) -> Result<()> {
    if !bench.wants("memory") {
        return Ok(());
    }
    let items = bench.size.memory_items;
    let before = resident_kib()?;
    let started = Instant::now();
    let mut ledger = Ledger::default();
    let location = "MAIN".parse()?;
    let defined = LocationDefinition {
        code: location,
        name: "Main".parse()?,
        kind: Default::default(),
        retired: false,
        parent: None,
        x: None,
        y: None,
    };
    push(&mut ledger, Event::LocationDefined(defined.clone()), None)?;
    for item in 0..items {
        let sku = format!("SKU-{item:09}").parse()?;
        let definition = ItemDefinition {
            sku,
            name: format!("Item number {item}").parse()?,
            unit: "each".parse()?,
            scale: 0,
            method: Default::default(),
            posting_class: "default".parse()?,
            negative_stock: Default::default(),
            retired: false,
            tracking: None,
            pool: None,
            standard_cost: None,
            units: None,
            components: None,
        };
        let movement = Movement {
            sku: definition.sku.clone(),
            location: defined.code.clone(),
            scale: 0,
            money: 2,
            quantity: 100,
            value: 13_700,
            postings: Vec::new(),
            layers: Vec::new(),
            provisional: None,
            detail: None,
        };
        let stream = push(&mut ledger, Event::ItemDefined(definition), None)?;
        push(&mut ledger, Event::StockReceived(movement), Some(stream))?;
    }
    let took = started.elapsed();
    let grown = resident_kib()?.saturating_sub(before);
    let per_item = grown.saturating_mul(1_024) / u64::try_from(items)?.max(1);
    let note = format!("{items} items with stock: {} MiB resident, {per_item} B an item", grown / 1_024);
    bench.lines.push(Line::new("memory", rate(items * 2, took), note));
    drop(ledger);
    Ok(())
}

/// Folds one event in; answers its stream.
fn push(ledger: &mut Ledger, event: Event, stream: Option<i64>) -> Result<i64> {
    let position = ledger.position() + 1;
    let (stream, stream_version) = stream.map_or((position, 1), |s| (s, 2));
    let fact = Fact { event, effective_at: None, note: Note::default() };
    ledger.evolve(&Recorded { position, stream, stream_version, recorded_at: Timestamp(position), fact })?;
    ledger.commit();
    Ok(stream)
}

/// Resident memory of this process (Linux: proc(5)); 0 where there is no such file.
fn resident_kib() -> Result<u64> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok(0) };
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
