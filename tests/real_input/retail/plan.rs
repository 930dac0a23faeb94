//! The shop's history as requests.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::input::{Class, Input, Invoice, Line, Receipt, Step};
use super::{receivable_account, revenue_account};
use crate::options::Method;
use crate::request::Request;

/// Where the shop keeps its goods.
const LOCATION: &str = "SHOP";
/// Definitions in one batch.
const DEFINITIONS: usize = 500;

/// The place, the goods and the accounts.
pub(super) fn setup(input: &Input, method: Method, run: &str) -> Result<Vec<Request>> {
    let mut definitions = Vec::new();
    for (sku, name) in input.goods() {
        definitions.push(json!({
            "id": format!("{run}/item/{sku}"), "type": "define_item", "sku": sku, "name": name, "unit": "each", "scale": 0,
            "method": method.as_str(),
        }));
    }
    let mut define_account = |code: String, account_type: &str| {
        let id = format!("{run}/account/{code}");
        definitions.push(json!({"id": id, "type": "define_account", "code": code, "name": code, "account_type": account_type}));
    };
    let customers: BTreeSet<&str> = input.invoices.iter().map(|i| i.customer.as_str()).collect();
    let markets: BTreeSet<(&str, &str)> = input.invoices.iter().map(|i| (i.country.as_str(), i.month())).collect();
    customers.into_iter().for_each(|customer| define_account(receivable_account(customer), "asset"));
    markets.into_iter().for_each(|(country, month)| define_account(revenue_account(country, month), "revenue"));

    let mut requests = vec![Request::define(run, "locations", LOCATION, &json!({"name": "Shop"}))?];
    for (number, definitions) in definitions.chunks(DEFINITIONS).enumerate() {
        requests.push(Request::batch(format!("{run}/definitions/{number}"), definitions, Vec::new())?);
    }
    Ok(requests)
}

/// One request per receipt and per invoice, in the history's order.
pub(super) fn requests(input: &Input, run: &str) -> Result<Vec<Request>> {
    let numbers: BTreeMap<&str, usize> = input.goods().into_keys().zip(0..).collect();
    let mut requests = Vec::new();
    let mut receipts = 0_usize;
    for step in input.history() {
        match step {
            Step::Received(receipt) => {
                receipts += 1;
                let touches = numbers.get(receipt.code.as_str()).copied().into_iter().collect();
                requests.push(Request::command(
                    format!("{run}/receipt/{receipts}"),
                    "/v1/stock/receipts",
                    &receive(receipt),
                    touches,
                )?);
            }
            Step::Invoiced(invoice) => {
                let commands = transaction(invoice)?;
                // Nothing to say of an invoice of services that come to zero.
                if commands.is_empty() {
                    continue;
                }
                let goods = invoice.lines.iter().filter(|line| line.class != Class::MoneyOnly);
                let touches = goods.filter_map(|line| numbers.get(line.code.as_str()).copied()).collect();
                requests.push(Request::transaction(format!("{run}/invoice/{}", invoice.number), &commands, touches)?);
            }
        }
    }
    Ok(requests)
}

fn receive(receipt: &Receipt) -> Value {
    json!({
        "sku": receipt.code, "location": LOCATION, "quantity": receipt.quantity.to_string(),
        "unit_cost": receipt.unit_cost.to_string(), "effective_at": receipt.at,
    })
}

/// The goods line by line, then the money.
fn transaction(invoice: &Invoice) -> Result<Vec<Value>> {
    let mut commands = Vec::new();
    for line in invoice.lines.iter().filter(|line| line.class != Class::MoneyOnly) {
        commands.push(movement(invoice, line)?);
    }
    let amount = invoice.amount();
    if !amount.is_zero() {
        commands.push(entry(invoice, amount));
    }
    Ok(commands)
}

fn movement(invoice: &Invoice, line: &Line) -> Result<Value> {
    let unit_cost = || line.unit_cost.map(|cost| cost.to_string()).context("goods come in without a unit cost");
    let mut command = match line.class {
        Class::Sale => json!({"type": "issue", "quantity": line.quantity.abs().to_string()}),
        Class::Return => json!({"type": "return", "quantity": line.quantity.abs().to_string(), "unit_cost": unit_cost()?}),
        Class::WriteOff => json!({"type": "adjust", "difference": line.quantity.to_string(), "reason": "WRITE_OFF"}),
        Class::Found => {
            json!({"type": "adjust", "difference": line.quantity.to_string(), "unit_cost": unit_cost()?, "reason": "FOUND"})
        }
        Class::MoneyOnly => anyhow::bail!("{} moves no goods", line.code),
    };
    command["sku"] = json!(line.code);
    command["location"] = json!(LOCATION);
    command["effective_at"] = json!(invoice.at);
    command["reference"] = json!(invoice.number);
    Ok(command)
}

/// Receivable against revenue; the sides change with the sign.
fn entry(invoice: &Invoice, amount: Decimal) -> Value {
    let (receivable, revenue) = (receivable_account(&invoice.customer), revenue_account(&invoice.country, invoice.month()));
    let (debit, credit) = if amount > Decimal::ZERO { (receivable, revenue) } else { (revenue, receivable) };
    let amount = amount.abs().to_string();
    json!({
        "type": "post_entry", "entry": invoice.number, "effective_at": invoice.at, "reference": invoice.number,
        "postings": [{"account": debit, "debit": amount}, {"account": credit, "credit": amount}],
    })
}
