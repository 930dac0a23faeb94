//! The files as items, each with its opening and its movements in order.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::data::{document, number, rows};
use crate::model::Stock;
use crate::options::Mode;

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Quantity and value come in.
    In,
    /// Quantity goes out; the value is what the plant says it cost.
    Out,
    /// Value alone, signed.
    Value,
}

/// One row that changes something.
#[derive(Clone, Debug)]
pub(super) struct Movement {
    pub(super) seq: u64,
    pub(super) date: String,
    pub(super) effect: Effect,
    pub(super) quantity: Decimal,
    pub(super) value: Decimal,
}

/// One item's year.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) code: String,
    pub(super) open_date: String,
    pub(super) open: Stock,
    pub(super) close: Stock,
    pub(super) movements: Vec<Movement>,
}

/// The store's books.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) items: Vec<Item>,
}

#[derive(Deserialize)]
struct BalanceRow {
    item: String,
    open_date: String,
    open_qty: String,
    open_value_brl: String,
    close_qty: String,
    close_value_brl: String,
}

#[derive(Deserialize)]
struct MovementRow {
    seq: u64,
    item: String,
    direction: String,
    date: String,
    quantity: String,
    value_brl: String,
}

#[derive(Deserialize)]
struct Document {
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    items_going_negative: Vec<String>,
}

impl Input {
    /// All items (of a mode that costs again: those that never go below zero) with the first `limit` rows of the file.
    pub(super) fn read(directory: &Path, mode: Mode, limit: Option<usize>) -> Result<Self> {
        let document: Document = document(directory, "plant_expected.json")?;
        let mut items = Vec::new();
        for row in rows::<BalanceRow>(directory, "plant_balances.csv")? {
            let open = Stock { quantity: number(&row.open_qty)?, value: number(&row.open_value_brl)? };
            let close = Stock { quantity: number(&row.close_qty)?, value: number(&row.close_value_brl)? };
            items.push(Item { code: row.item, open_date: row.open_date, open, close, movements: Vec::new() });
        }
        let at_of: HashMap<String, usize> = items.iter().map(|item| item.code.clone()).zip(0..).collect();
        let movements = rows::<MovementRow>(directory, "plant_movements.csv.zst")?;
        for row in movements.into_iter().take(limit.unwrap_or(usize::MAX)) {
            let at = at_of.get(&row.item).with_context(|| format!("no opening balance of {}", row.item))?;
            let item = items.get_mut(*at).context("no such item")?;
            item.movements.extend(movement(&row)?);
        }
        if mode.recosted().is_some() {
            items.retain(|item| !document.summary.items_going_negative.contains(&item.code));
        }
        Ok(Self { items })
    }
}

/// `None` for a row without quantity and value.
fn movement(row: &MovementRow) -> Result<Option<Movement>> {
    let (quantity, value) = (number(&row.quantity)?, number(&row.value_brl)?);
    let is_value_only = quantity.is_zero();
    let (effect, value) = match (row.direction.as_str(), is_value_only) {
        _ if is_value_only && value.is_zero() => return Ok(None),
        ("in", true) => (Effect::Value, value),
        ("out", true) => (Effect::Value, -value),
        ("in", false) => (Effect::In, value),
        ("out", false) => (Effect::Out, value),
        (other, _) => bail!("row {}: direction {other:?}", row.seq),
    };
    Ok(Some(Movement { seq: row.seq, date: row.date.clone(), effect, quantity, value }))
}
