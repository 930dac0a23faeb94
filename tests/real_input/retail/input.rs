//! The files as invoices and receipts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::data::{money, number, rows};

/// Stock codes that are no goods.
const SERVICES: [&str; 12] = ["POST", "DOT", "D", "M", "m", "C2", "BANK CHARGES", "S", "AMAZONFEE", "CRUK", "B", "PADS"];

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Postage, fees, vouchers, bad debt: money only.
    MoneyOnly,
    Return,
    WriteOff,
    Found,
    Sale,
}

impl Class {
    /// The first rule that fits (README of the data).
    fn of(invoice: &str, code: &str, quantity: Decimal, price: Decimal) -> Self {
        let is_service = SERVICES.contains(&code) || code.starts_with("gift_0001");
        match () {
            () if is_service || invoice.starts_with('A') => Self::MoneyOnly,
            () if invoice.starts_with('C') => Self::Return,
            () if !price.is_zero() => Self::Sale,
            () if quantity < Decimal::ZERO => Self::WriteOff,
            () => Self::Found,
        }
    }
}

/// One line of an invoice.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) code: String,
    pub(super) description: String,
    pub(super) class: Class,
    /// Signed, as in the file.
    pub(super) quantity: Decimal,
    /// Rounded half to even per line.
    pub(super) amount: Decimal,
    /// What one unit that comes in costs in this line's month; `None` where nothing comes in.
    pub(super) unit_cost: Option<Decimal>,
}

/// Lines with one invoice number.
#[derive(Clone, Debug)]
pub(super) struct Invoice {
    pub(super) number: String,
    /// RFC 3339.
    pub(super) at: String,
    pub(super) customer: String,
    pub(super) country: String,
    pub(super) lines: Vec<Line>,
}

impl Invoice {
    /// Such as `2010-12`.
    pub(super) fn month(&self) -> &str {
        month(&self.at)
    }

    pub(super) fn amount(&self) -> Decimal {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

/// Goods that the shop bought.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) code: String,
    /// RFC 3339.
    pub(super) at: String,
    pub(super) quantity: Decimal,
    pub(super) unit_cost: Decimal,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    Received(&'a Receipt),
    Invoiced(&'a Invoice),
}

/// The shop's books.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) invoices: Vec<Invoice>,
    pub(super) receipts: Vec<Receipt>,
}

#[derive(Deserialize)]
struct LineRow {
    invoice_no: String,
    stock_code: String,
    description: String,
    quantity: String,
    invoice_ts: String,
    unit_price: String,
    customer_id: String,
    country: String,
}

#[derive(Deserialize)]
struct ReceiptRow {
    stock_code: String,
    ts: String,
    quantity: String,
    unit_cost: String,
}

#[derive(Deserialize)]
struct UnitCostRow {
    stock_code: String,
    month: String,
    unit_cost: String,
}

fn month(at: &str) -> &str {
    at.get(..7).unwrap_or(at)
}

/// `2010-12-01 08:26:00`, taken as UTC.
fn instant(text: &str) -> String {
    format!("{}Z", text.replace(' ', "T"))
}

impl Input {
    /// The whole books, or the first `limit` invoices with the receipts they need.
    pub(super) fn read(directory: &Path, limit: Option<usize>) -> Result<Self> {
        let unit_costs = rows::<UnitCostRow>(directory, "online_retail_unit_costs.csv.zst")?
            .into_iter()
            .map(|row| Ok(((row.stock_code, row.month), number(&row.unit_cost)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        let mut invoices = invoices(rows(directory, "online_retail.csv.zst")?, &unit_costs)?;
        let mut receipts = rows(directory, "online_retail_receipts.csv.zst")?
            .into_iter()
            .map(|row: ReceiptRow| {
                let (quantity, unit_cost) = (number(&row.quantity)?, number(&row.unit_cost)?);
                Ok(Receipt { code: row.stock_code, at: instant(&row.ts), quantity, unit_cost })
            })
            .collect::<Result<Vec<_>>>()?;
        if let Some(limit) = limit {
            invoices.truncate(limit);
            let last = invoices.last().map(|invoice| invoice.at.clone()).unwrap_or_default();
            let codes: BTreeSet<&str> = invoices.iter().flat_map(|i| &i.lines).map(|line| line.code.as_str()).collect();
            receipts.retain(|receipt| receipt.at <= last && codes.contains(receipt.code.as_str()));
        }
        Ok(Self { invoices, receipts })
    }

    /// Receipts and invoices as they happened. Both files are in the order of time; a receipt goes first.
    pub(super) fn history(&self) -> impl Iterator<Item = Step<'_>> {
        let mut receipts = self.receipts.iter().peekable();
        let mut invoices = self.invoices.iter().peekable();
        std::iter::from_fn(move || {
            let next_invoice = invoices.peek().map(|invoice| &invoice.at);
            let is_first = |receipt: &&Receipt| next_invoice.is_none_or(|at| receipt.at <= *at);
            match receipts.next_if(is_first) {
                Some(receipt) => Some(Step::Received(receipt)),
                None => invoices.next().map(Step::Invoiced),
            }
        })
    }

    /// Every code that is goods, with the first description found.
    pub(super) fn goods(&self) -> BTreeMap<&str, &str> {
        let mut goods: BTreeMap<&str, &str> = self.receipts.iter().map(|r| (r.code.as_str(), "")).collect();
        for line in self.invoices.iter().flat_map(|i| &i.lines).filter(|line| line.class != Class::MoneyOnly) {
            let name = goods.entry(&line.code).or_default();
            if name.is_empty() {
                *name = line.description.trim();
            }
        }
        goods
    }
}

fn invoices(rows: Vec<LineRow>, unit_costs: &HashMap<(String, String), Decimal>) -> Result<Vec<Invoice>> {
    let mut invoices: Vec<Invoice> = Vec::new();
    // Lines of one invoice need not stand together.
    let mut at_of: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let (quantity, price) = (number(&row.quantity)?, number(&row.unit_price)?);
        let class = Class::of(&row.invoice_no, &row.stock_code, quantity, price);
        let unit_cost = match class {
            Class::Return | Class::Found => {
                let key = (row.stock_code.clone(), month(&row.invoice_ts).to_owned());
                Some(*unit_costs.get(&key).with_context(|| format!("no unit cost of {key:?}"))?)
            }
            Class::MoneyOnly | Class::WriteOff | Class::Sale => None,
        };
        let amount = money(quantity * price);
        let line = Line { code: row.stock_code, description: row.description, class, quantity, amount, unit_cost };
        let at = *at_of.entry(row.invoice_no.clone()).or_insert(invoices.len());
        match invoices.get_mut(at) {
            Some(invoice) => invoice.lines.push(line),
            None => {
                let customer = if row.customer_id.is_empty() { "CASH".to_owned() } else { row.customer_id };
                let (number, at) = (row.invoice_no, instant(&row.invoice_ts));
                invoices.push(Invoice { number, at, customer, country: row.country, lines: vec![line] });
            }
        }
    }
    Ok(invoices)
}
