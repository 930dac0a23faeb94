//! Every day of every item: what was on hand at its end, asked for as of then.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::plan::{LOCATION, Plan};
use crate::check::Report;
use crate::data::{number, rows};
use crate::ledger::Ledger;
use crate::model::Stock;

#[derive(Deserialize)]
struct Row {
    item: String,
    date: String,
    close_qty: String,
    close_value: String,
}

/// Compares quantity and value of every published item-day with the ledger's as-of answers. While an item is owed value
/// (see the module above), that much stands elsewhere.
pub(super) async fn compare(directory: &Path, plan: &Plan, ledger: Ledger<'_>, report: &mut Report) -> Result<()> {
    let days: Vec<Row> = rows(directory, "plant_expected_daily.csv")?;
    let mut expected = BTreeMap::new();
    let mut asked = Vec::new();
    for day in &days {
        let owed = plan.owed_on(&day.item, &day.date);
        let stock = Stock { quantity: number(&day.close_qty)?, value: number(&day.close_value)? - owed };
        expected.insert(format!("{} {}", day.item, day.date), stock);
        asked.push((day.item.as_str(), day.date.as_str()));
    }
    let found = ledger.stock_as_of(&asked, LOCATION).await.context("as-of answers")?;
    let part = |stock: &BTreeMap<String, Stock>, of: fn(&Stock) -> Decimal| -> BTreeMap<String, Decimal> {
        stock.iter().map(|(key, stock)| (key.clone(), of(stock).normalize())).collect()
    };
    report.compare("quantity at the end of every item-day", &part(&expected, |s| s.quantity), &part(&found, |s| s.quantity));
    report.compare("value at the end of every item-day", &part(&expected, |s| s.value), &part(&found, |s| s.value));
    Ok(())
}
