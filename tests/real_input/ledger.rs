//! Reads of the ledger, each from a state that includes everything that was sent.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::stream::{StreamExt, TryStreamExt};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::client::Client;
use crate::data::number;
use crate::model::Stock;
use crate::request::segment;

/// The ledger as it stands at a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger<'a> {
    client: &'a Client,
    position: u64,
    at_once: usize,
}

impl<'a> Ledger<'a> {
    pub(crate) const fn at(client: &'a Client, position: u64, at_once: usize) -> Self {
        Self { client, position, at_once }
    }

    /// On hand and value of each item, over all its locations.
    pub(crate) async fn stock(self, skus: impl Iterator<Item = &str>) -> Result<BTreeMap<String, Stock>> {
        let reads = skus.map(|sku| async move {
            let path = format!("/v1/stock/{}", segment(sku));
            let body = self.client.read(&path, self.position).await?;
            let mut stock = Stock::default();
            for level in list(&body, "locations").with_context(|| path.clone())? {
                stock.quantity += decimal(level, "on_hand").with_context(|| path.clone())?;
                stock.value += decimal(level, "value").with_context(|| path.clone())?;
            }
            Ok((sku.to_owned(), stock))
        });
        futures::stream::iter(reads).buffer_unordered(self.at_once).try_collect().await
    }

    /// On hand and value of items at a place as of the end of days (UTC), by `item date`.
    pub(crate) async fn stock_as_of(self, asked: &[(&str, &str)], location: &str) -> Result<BTreeMap<String, Stock>> {
        let reads = asked.iter().map(|(sku, date)| async move {
            let path = format!("/v1/stock/{}/{}?as_of={date}T23:59:59.999999Z", segment(sku), segment(location));
            let body = self.client.read(&path, self.position).await?;
            let stock = Stock { quantity: decimal(&body, "on_hand")?, value: decimal(&body, "value")? };
            Ok((format!("{sku} {date}"), stock))
        });
        futures::stream::iter(reads).buffer_unordered(self.at_once).try_collect().await
    }

    /// Debits less credits of each account.
    pub(crate) async fn balances(self, accounts: impl Iterator<Item = String>) -> Result<BTreeMap<String, Decimal>> {
        let reads = accounts.map(|account| async move {
            let path = format!("/v1/accounts/{}/balance", segment(&account));
            let body = self.client.read(&path, self.position).await?;
            let balance = decimal(&body, "debits")? - decimal(&body, "credits")?;
            Ok((account, balance))
        });
        futures::stream::iter(reads).buffer_unordered(self.at_once).try_collect().await
    }

    /// Debits less credits of one account.
    pub(crate) async fn balance(self, account: &str) -> Result<Decimal> {
        let balances = self.balances(std::iter::once(account.to_owned())).await?;
        balances.get(account).copied().with_context(|| format!("no balance of {account}"))
    }

    /// Debits less credits of all accounts, added up here from the rows of the trial balance.
    pub(crate) async fn trial_balance(self) -> Result<Decimal> {
        let body = self.client.read("/v1/reports/trial-balance", self.position).await?;
        let mut sum = Decimal::ZERO;
        for row in list(&body, "accounts")? {
            sum += decimal(row, "debits")? - decimal(row, "credits")?;
        }
        let said = decimal(body.get("totals").context("no totals")?, "difference")?;
        ensure!(said == sum, "the trial balance says {said}, its rows give {sum}");
        Ok(sum)
    }

    /// Stock value less inventory accounts, as the ledger reports it.
    pub(crate) async fn reconciliation(self) -> Result<Decimal> {
        let body = self.client.read("/v1/reports/reconciliation", self.position).await?;
        decimal(&body, "difference")
    }
}

fn decimal(body: &Value, field: &str) -> Result<Decimal> {
    let text = body.get(field).and_then(Value::as_str).with_context(|| format!("no text {field:?} in {body}"))?;
    number(text)
}

fn list<'a>(body: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    body.get(field).and_then(Value::as_array).with_context(|| format!("no list {field:?} in {body}"))
}
