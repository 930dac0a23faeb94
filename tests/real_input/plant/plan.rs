//! The store's items as requests: definitions, then batches of consecutive movements of one item.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::cost_account;
use super::input::{Effect, Input, Item, Movement};
use crate::options::{Method, Mode, PlantOptions};
use crate::request::Request;

/// Where the plant keeps its goods.
pub(super) const LOCATION: &str = "STORE";
/// Takes what a stated cost leaves over when it takes the last unit.
const SETTLEMENT: &str = "5200";

/// Value that an item is to get back as soon as it has stock again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owed {
    /// Left over at quantity zero; stands on the settlement account.
    pub(super) settlement: Decimal,
    /// Changes of value that fell on no stock; not sent yet.
    pub(super) revaluation: Decimal,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) setup: Vec<Request>,
    pub(super) requests: Vec<Request>,
    /// What is owed after the last movement: nothing, unless a slice ends there.
    pub(super) owed: BTreeMap<String, Owed>,
    pub(super) residues_returned: usize,
    pub(super) changes_delayed: usize,
    /// Per item: what was owed at the end of each day with movements.
    owed_by_day: BTreeMap<String, BTreeMap<String, Decimal>>,
}

impl Plan {
    /// What an item was owed at the end of a day.
    pub(super) fn owed_on(&self, item: &str, date: &str) -> Decimal {
        let days = self.owed_by_day.get(item);
        let last = days.and_then(|days| days.range(..=date.to_owned()).next_back());
        last.map_or(Decimal::ZERO, |(_, owed)| *owed)
    }

    pub(super) fn of(input: &Input, plant: &PlantOptions, run: &str) -> Result<Self> {
        let mut plan = Self { setup: setup(input, plant.mode, run)?, ..Self::default() };
        for (number, item) in input.items.iter().enumerate() {
            let commands = plan.commands(item, plant.mode, run)?;
            for (part, commands) in commands.chunks(usize::from(plant.batch)).enumerate() {
                plan.requests.push(Request::batch(format!("{run}/{}/part {part}", item.code), commands, vec![number])?);
            }
        }
        Ok(plan)
    }

    fn commands(&mut self, item: &Item, mode: Mode, run: &str) -> Result<Vec<Value>> {
        let mut book =
            Book { item, mode, run, quantity: Decimal::ZERO, value: Decimal::ZERO, owed: Owed::default(), commands: Vec::new() };
        if !item.open.quantity.is_zero() {
            book.open();
        }
        for movement in &item.movements {
            let delayed = book.take(movement)?;
            self.changes_delayed += usize::from(delayed);
            self.residues_returned += usize::from(book.give_back(movement));
            let owed = book.owed.settlement + book.owed.revaluation;
            self.owed_by_day.entry(item.code.clone()).or_default().insert(movement.date.clone(), owed);
        }
        if !(book.owed.settlement.is_zero() && book.owed.revaluation.is_zero()) {
            self.owed.insert(item.code.clone(), book.owed);
        }
        Ok(book.commands)
    }
}

fn setup(input: &Input, mode: Mode, run: &str) -> Result<Vec<Request>> {
    let method = mode.recosted().unwrap_or(Method::MovingAverage);
    let mut definitions = Vec::new();
    for Item { code, .. } in &input.items {
        definitions.push(json!({
            "id": format!("{run}/item/{code}"), "type": "define_item", "sku": code, "name": code, "unit": "unit", "scale": 4,
            "method": method.as_str(), "negative_stock": "allow",
        }));
        definitions.push(json!({
            "id": format!("{run}/account/{code}"), "type": "define_account", "code": cost_account(code),
            "name": format!("Cost of {code}"), "account_type": "expense", "parent": "5000",
        }));
    }
    let location = Request::define(run, "locations", LOCATION, &json!({"name": "Store"}))?;
    Ok(vec![location, Request::batch(format!("{run}/definitions"), &definitions, Vec::new())?])
}

/// One item's commands as they are made, with what the ledger will hold of it.
struct Book<'a> {
    item: &'a Item,
    mode: Mode,
    run: &'a str,
    /// On hand in the ledger.
    quantity: Decimal,
    /// Value in the ledger; kept in stated mode alone, where it is known without costing.
    value: Decimal,
    owed: Owed,
    commands: Vec<Value>,
}

impl Book<'_> {
    fn push(&mut self, name: &str, date: &str, mut command: Value) {
        command["id"] = json!(format!("{}/{}/{name}", self.run, self.item.code));
        command["sku"] = json!(self.item.code);
        command["location"] = json!(LOCATION);
        command["effective_at"] = json!(format!("{date}T12:00:00Z"));
        self.commands.push(command);
    }

    fn open(&mut self) {
        let Item { open, open_date, .. } = self.item;
        (self.quantity, self.value) = (open.quantity, open.value);
        let (quantity, cost) = (open.quantity.to_string(), open.value.to_string());
        let command = json!({"type": "receive", "quantity": quantity, "total_cost": cost, "counter_account": "3000", "reference": "opening"});
        self.push("opening", open_date, command);
    }

    /// Makes the command of a row; true when it is a change of value that must wait for stock.
    fn take(&mut self, movement: &Movement) -> Result<bool> {
        let reference = format!("row {}", movement.seq);
        let (quantity, value) = (movement.quantity.to_string(), movement.value.to_string());
        let command = match movement.effect {
            Effect::In => {
                self.quantity += movement.quantity;
                self.value += movement.value;
                json!({"type": "receive", "quantity": quantity, "total_cost": value})
            }
            Effect::Out => {
                self.quantity -= movement.quantity;
                self.value -= movement.value;
                let mut issue = json!({"type": "issue", "quantity": quantity, "counter_account": cost_account(&self.item.code)});
                if self.mode == Mode::Stated {
                    issue["stated_cost"] = json!(value);
                }
                issue
            }
            Effect::Value if self.quantity > Decimal::ZERO => {
                self.value += movement.value;
                json!({"type": "revalue", "value_change": value})
            }
            Effect::Value => {
                ensure!(self.mode == Mode::Stated, "row {} changes value without stock", movement.seq);
                self.owed.revaluation += movement.value;
                return Ok(true);
            }
        };
        self.push(&movement.seq.to_string(), &movement.date, command);
        if let Some(last) = self.commands.last_mut() {
            last["reference"] = json!(reference);
        }
        // In the other modes the ledger's own cost leaves nothing over.
        if self.mode == Mode::Stated && self.quantity.is_zero() {
            self.owed.settlement += std::mem::take(&mut self.value);
        }
        Ok(false)
    }

    /// Once there is stock again, the item gets what it is owed. True when a residue was given back.
    fn give_back(&mut self, after: &Movement) -> bool {
        if self.quantity <= Decimal::ZERO {
            return false;
        }
        let owed = std::mem::take(&mut self.owed);
        let parts = [("residue", owed.settlement, Some(SETTLEMENT)), ("delayed", owed.revaluation, None)];
        for (name, amount, counter_account) in parts.into_iter().filter(|(_, amount, _)| !amount.is_zero()) {
            self.value += amount;
            let reference = format!("{name} value at quantity 0, after row {}", after.seq);
            let mut command = json!({"type": "revalue", "value_change": amount.to_string(), "reference": reference});
            if let Some(account) = counter_account {
                command["counter_account"] = json!(account);
            }
            self.push(&format!("{name} {}", after.seq), &after.date, command);
        }
        !owed.settlement.is_zero()
    }
}
