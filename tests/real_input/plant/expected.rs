//! What the store's books must say at the end: as published beside the data, or of a slice from the model.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use super::input::{Effect, Input, Item};
use crate::check::Report;
use crate::data::{document, number};
use crate::model::{Pool, Stock};
use crate::options::{Method, Mode};

/// Figures to compare, per item.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// On hand and value at the end.
    pub(super) stock: BTreeMap<String, Stock>,
    /// Cost of everything issued.
    pub(super) cost: BTreeMap<String, Decimal>,
}

#[derive(Deserialize)]
struct Document {
    items: BTreeMap<String, Value>,
}

impl Figures {
    /// The plant's own closing, or the published figures of costing again.
    pub(super) fn published(directory: &Path, input: &Input, mode: Mode) -> Result<Self> {
        let document: Document = document(directory, "plant_expected.json")?;
        let mut figures = Self::default();
        for item in &input.items {
            let (value, cost) = match mode.recosted() {
                None => (item.close.value, stated_cost(item)),
                Some(method) => {
                    let published = document.items.get(&item.code).and_then(|i| i.get(format!("{}_half_even", method.as_str())));
                    let figure = |name: &str| {
                        let text = published.and_then(|p| p.get(name)).and_then(Value::as_str);
                        number(text.with_context(|| format!("no {name} of {}", item.code))?)
                    };
                    (figure("ending_value")?, figure("cogs")?)
                }
            };
            figures.stock.insert(item.code.clone(), Stock { quantity: item.close.quantity, value });
            figures.cost.insert(item.code.clone(), cost);
        }
        Ok(figures)
    }

    /// The model's own account of the movements.
    pub(super) fn modelled(input: &Input, mode: Mode) -> Result<Self> {
        let mut figures = Self::default();
        for item in &input.items {
            let (stock, cost) = match mode.recosted() {
                None => (stated(item), stated_cost(item)),
                Some(method) => recosted(item, method).with_context(|| format!("item {}", item.code))?,
            };
            figures.stock.insert(item.code.clone(), stock);
            figures.cost.insert(item.code.clone(), cost);
        }
        Ok(figures)
    }

    /// Value of everything on hand.
    pub(super) fn stock_value(&self) -> Decimal {
        self.stock.values().map(|stock| stock.value).sum()
    }

    /// Compares `other` with these, figure by figure.
    pub(super) fn compare_with(&self, whose: &str, other: &Self, report: &mut Report) {
        report.compare(&format!("{whose}closing quantity and value per item"), &self.stock, &other.stock);
        report.compare(&format!("{whose}cost of goods per item"), &self.cost, &other.cost);
        report.figure(&format!("{whose}value at the end"), self.stock_value(), other.stock_value());
        report.figure(&format!("{whose}cost of goods"), self.cost.values().sum(), other.cost.values().sum());
    }
}

fn stated_cost(item: &Item) -> Decimal {
    item.movements.iter().filter(|m| m.effect == Effect::Out).map(|m| m.value).sum()
}

/// Every value as the file says it, below zero too.
fn stated(item: &Item) -> Stock {
    item.movements.iter().fold(item.open, |stock, m| {
        let (quantity, value) = match m.effect {
            Effect::In => (m.quantity, m.value),
            Effect::Out => (-m.quantity, -m.value),
            Effect::Value => (Decimal::ZERO, m.value),
        };
        Stock { quantity: stock.quantity + quantity, value: stock.value + value }
    })
}

fn recosted(item: &Item, method: Method) -> Result<(Stock, Decimal)> {
    let mut pool = Pool::new(method);
    pool.receive(item.open.quantity, item.open.value);
    let mut cost = Decimal::ZERO;
    for movement in &item.movements {
        match movement.effect {
            Effect::In => pool.receive(movement.quantity, movement.value),
            Effect::Out => cost += pool.issue(movement.quantity).with_context(|| format!("row {}", movement.seq))?,
            Effect::Value => pool.revalue(movement.value)?,
        }
    }
    Ok((pool.total(), cost))
}
