//! What the books must say at the end: as published beside the data, or of any part of it from the model.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::input::{Class, Input, Step};
use crate::check::Report;
use crate::data::{document, money, number, rows};
use crate::model::{Pool, Stock};
use crate::options::Method;

/// Figures to compare.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Per code.
    pub(super) stock: BTreeMap<String, Stock>,
    /// Per customer.
    pub(super) receivables: BTreeMap<String, Decimal>,
    pub(super) revenue_by_country: BTreeMap<String, Decimal>,
    pub(super) revenue_by_month: BTreeMap<String, Decimal>,
    /// Bought.
    pub(super) received: Decimal,
    /// Cost of what was sold and written off, less that of what came back and was found.
    pub(super) cost_out_net: Decimal,
}

#[derive(Deserialize)]
struct Document {
    revenue_by_country: BTreeMap<String, String>,
    revenue_by_month: BTreeMap<String, String>,
    totals: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ReceivableRow {
    customer: String,
    balance_gbp: String,
}

#[derive(Deserialize)]
struct StockRow {
    stock_code: String,
    on_hand: String,
    ma_value: String,
    fifo_value: String,
}

fn numbers(texts: BTreeMap<String, String>) -> Result<BTreeMap<String, Decimal>> {
    texts.into_iter().map(|(key, text)| Ok((key, number(&text)?))).collect()
}

impl Figures {
    /// The files beside the data.
    pub(super) fn published(directory: &Path, method: Method) -> Result<Self> {
        let document: Document = document(directory, "online_retail_expected.json")?;
        let mut stock = BTreeMap::new();
        for row in rows::<StockRow>(directory, "online_retail_expected_sku.csv")? {
            let value = match method {
                Method::MovingAverage => &row.ma_value,
                Method::Fifo => &row.fifo_value,
            };
            stock.insert(row.stock_code, Stock { quantity: number(&row.on_hand)?, value: number(value)? });
        }
        let receivables = rows::<ReceivableRow>(directory, "online_retail_expected_ar.csv")?
            .into_iter()
            .map(|row| Ok((row.customer, number(&row.balance_gbp)?)))
            .collect::<Result<_>>()?;
        let totals = numbers(document.totals)?;
        let total = |name: &str| totals.get(name).copied().with_context(|| format!("no total {name}"));
        let cost_out = match method {
            Method::MovingAverage => total("ma_cost_out")?,
            Method::Fifo => total("fifo_cost_out")?,
        };
        Ok(Self {
            stock,
            receivables,
            revenue_by_country: numbers(document.revenue_by_country)?,
            revenue_by_month: numbers(document.revenue_by_month)?,
            received: total("receipts_value")?,
            cost_out_net: cost_out - total("inbound_other_value")?,
        })
    }

    /// The model's own account of the history.
    pub(super) fn modelled(input: &Input, method: Method) -> Result<Self> {
        let mut pools: BTreeMap<&str, Pool> = input.goods().into_keys().map(|sku| (sku, Pool::new(method))).collect();
        let mut figures = Self::default();
        for step in input.history() {
            match step {
                Step::Received(receipt) => {
                    let cost = money(receipt.quantity * receipt.unit_cost);
                    figures.received += cost;
                    pools.get_mut(receipt.code.as_str()).context("no such code")?.receive(receipt.quantity, cost);
                }
                Step::Invoiced(invoice) => {
                    for line in invoice.lines.iter().filter(|line| line.class != Class::MoneyOnly) {
                        let pool = pools.get_mut(line.code.as_str()).context("no such code")?;
                        figures.cost_out_net += match line.unit_cost {
                            Some(unit_cost) => {
                                let cost = money(line.quantity.abs() * unit_cost);
                                pool.receive(line.quantity.abs(), cost);
                                -cost
                            }
                            None => {
                                pool.issue(line.quantity.abs()).with_context(|| format!("{} {}", invoice.number, line.code))?
                            }
                        };
                    }
                    let amount = invoice.amount();
                    *figures.receivables.entry(invoice.customer.clone()).or_default() += amount;
                    *figures.revenue_by_country.entry(invoice.country.clone()).or_default() += amount;
                    *figures.revenue_by_month.entry(invoice.month().to_owned()).or_default() += amount;
                }
            }
        }
        figures.stock = pools.into_iter().map(|(sku, pool)| (sku.to_owned(), pool.total())).collect();
        Ok(figures)
    }

    /// Value of everything on hand.
    pub(super) fn stock_value(&self) -> Decimal {
        self.stock.values().map(|stock| stock.value).sum()
    }

    /// Compares `other` with these, figure by figure.
    pub(super) fn compare_with(&self, whose: &str, other: &Self, report: &mut Report) {
        report.compare(&format!("{whose}on hand and value per code"), &self.stock, &other.stock);
        report.compare(&format!("{whose}receivable per customer"), &self.receivables, &other.receivables);
        report.compare(&format!("{whose}revenue per country"), &self.revenue_by_country, &other.revenue_by_country);
        report.compare(&format!("{whose}revenue per month"), &self.revenue_by_month, &other.revenue_by_month);
        report.figure(&format!("{whose}goods received"), self.received, other.received);
        report.figure(&format!("{whose}cost out, net of goods back"), self.cost_out_net, other.cost_out_net);
    }
}
