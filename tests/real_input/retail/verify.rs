//! The shop's figures as the ledger says them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use rust_decimal::Decimal;

use super::expected::Figures;
use super::input::Input;
use super::{receivable_account, revenue_account};
use crate::check::Report;
use crate::ledger::Ledger;

/// Reads every figure: each code, each receivable, each revenue account.
pub(super) async fn read(ledger: Ledger<'_>, input: &Input) -> Result<Figures> {
    let stock = ledger.stock(input.goods().into_keys()).await?;
    let customers: BTreeSet<&str> = input.invoices.iter().map(|i| i.customer.as_str()).collect();
    let balances = ledger.balances(customers.iter().map(|customer| receivable_account(customer))).await?;
    let receivables = customers.into_iter().map(|customer| {
        let balance = balances.get(&receivable_account(customer)).context("a receivable was not read")?;
        Ok((customer.to_owned(), *balance))
    });
    let receivables = receivables.collect::<Result<_>>()?;

    let markets: BTreeSet<(&str, &str)> = input.invoices.iter().map(|i| (i.country.as_str(), i.month())).collect();
    let balances = ledger.balances(markets.iter().map(|(country, month)| revenue_account(country, month))).await?;
    let (mut by_country, mut by_month) = (BTreeMap::new(), BTreeMap::new());
    for (country, month) in markets {
        let revenue = -*balances.get(&revenue_account(country, month)).context("a revenue was not read")?;
        *by_country.entry(country.to_owned()).or_insert(Decimal::ZERO) += revenue;
        *by_month.entry(month.to_owned()).or_insert(Decimal::ZERO) += revenue;
    }
    Ok(Figures {
        stock,
        receivables,
        revenue_by_country: by_country,
        revenue_by_month: by_month,
        received: -ledger.balance("2100").await?,
        cost_out_net: ledger.balance("5000").await? + ledger.balance("5100").await?,
    })
}

/// Stock against its account, and the ledger's own reports.
pub(super) async fn balanced(ledger: Ledger<'_>, expected: &Figures, found: &Figures, report: &mut Report) -> Result<()> {
    report.figure("inventory account", expected.stock_value(), ledger.balance("1300").await?);
    report.figure("receivables in all", expected.receivables.values().sum(), found.receivables.values().sum());
    report.figure("trial balance", Decimal::ZERO, ledger.trial_balance().await?);
    report.figure("stock value less inventory accounts", Decimal::ZERO, ledger.reconciliation().await?);
    Ok(())
}
