//! Reports whose totals must be zero.

use axum::extract::State;
use axum::response::Response;
use ledger_core::store;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::account::units;
use super::{Exact, Reading, Version, corrupt};
use crate::limit::REPORT_ROWS_MAX;
use crate::openapi::{ReadHeaders, ReportAnswer};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// One account of the trial balance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialLine {
    /// The account.
    account: String,
    /// Display name.
    name: String,
    /// Asset, liability, equity, revenue or expense.
    account_type: String,
    /// Sum of the debits.
    debits: Exact,
    /// Sum of the credits.
    credits: Exact,
    /// Debits less credits.
    balance: Exact,
}

/// Every account with its sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialBalance {
    /// The report includes every event up to here.
    position: i64,
    /// By code.
    accounts: Vec<TrialLine>,
    /// Sums over all accounts.
    totals: TrialTotals,
}

/// Sums over all accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialTotals {
    /// Sum of all debits.
    debits: Exact,
    /// Sum of all credits.
    credits: Exact,
    /// Debits less credits: zero.
    difference: Exact,
    /// True when the difference is zero.
    balanced: bool,
}

#[derive(sqlx::FromRow)]
struct TrialRow {
    as_of: i64,
    code: Option<String>,
    name: Option<String>,
    account_type: Option<String>,
    money: i16,
    debits: String,
    credits: String,
}

fn rows_max() -> i64 {
    i64::try_from(REPORT_ROWS_MAX).unwrap_or(i64::MAX).saturating_add(1)
}

fn must_fit(rows: usize) -> Result<(), Problem> {
    if rows > REPORT_ROWS_MAX {
        return Err(Problem::new(Fault::ResultTooLarge, format!("more than {REPORT_ROWS_MAX} accounts")));
    }
    Ok(())
}

fn decimals(money: i16) -> Result<u8, store::Error> {
    u8::try_from(money).map_err(|_| corrupt("view_account_balance.money"))
}

fn trial_balance(rows: Vec<TrialRow>) -> Result<TrialBalance, store::Error> {
    let (position, money) = match rows.first() {
        Some(first) => (first.as_of, decimals(first.money)?),
        None => (0, 0),
    };
    let (mut debits, mut credits) = (0_i128, 0_i128);
    let mut accounts = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(account) = row.code else { continue };
        let (debit, credit, money) = (units(&row.debits)?, units(&row.credits)?, decimals(row.money)?);
        debits = debits.saturating_add(debit);
        credits = credits.saturating_add(credit);
        accounts.push(TrialLine {
            account,
            name: row.name.unwrap_or_default(),
            account_type: row.account_type.unwrap_or_default(),
            debits: Exact::new(debit, money),
            credits: Exact::new(credit, money),
            balance: Exact::new(debit.saturating_sub(credit), money),
        });
    }
    let difference = Exact::new(debits.saturating_sub(credits), money);
    let (debits, credits) = (Exact::new(debits, money), Exact::new(credits, money));
    Ok(TrialBalance { position, accounts, totals: TrialTotals { debits, credits, difference, balanced: difference.is_zero() } })
}

/// Trial balance
///
/// Every account with its debits and credits. The totals are equal at every position of the log.
#[utoipa::path(get, path = "/v1/reports/trial-balance", tag = "Reports", operation_id = "get_trial_balance",
    params(ReadHeaders), responses(ReportAnswer<TrialBalance>))]
pub(crate) async fn get_trial_balance(State(api): State<Api>, reading: Reading) -> Result<Response, Problem> {
    reading.settle(&api).await?;
    let rows: Vec<TrialRow> = api.detached(read(api.pool.clone(), reading.tenant.0, include_str!("trial_balance.sql"))).await?;
    must_fit(rows.len())?;
    let report = trial_balance(rows)?;
    reading.show(report.position, Version::None, &report)
}

async fn read<T>(pool: PgPool, tenant: i64, statement: &'static str) -> Result<Vec<T>, store::Error>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    Ok(sqlx::query_as(statement).bind(tenant).bind(rows_max()).fetch_all(&pool).await?)
}

/// One inventory account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoryLine {
    /// The account.
    account: String,
    /// Debits less credits.
    balance: Exact,
}

/// Stock beside the accounts that must show its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reconciliation {
    /// The report includes every event up to here.
    position: i64,
    /// Value of all stock.
    stock_value: Exact,
    /// By code.
    inventory_accounts: Vec<InventoryLine>,
    /// Sum of their balances.
    inventory_total: Exact,
    /// Stock value less inventory accounts: zero.
    difference: Exact,
    /// True when the difference is zero.
    reconciled: bool,
}

#[derive(sqlx::FromRow)]
struct InventoryRow {
    as_of: i64,
    stock_value: String,
    code: Option<String>,
    money: Option<i16>,
    balance: String,
}

fn reconciliation(rows: Vec<InventoryRow>) -> Result<Reconciliation, store::Error> {
    let (position, stock) = match rows.first() {
        Some(first) => (first.as_of, units(&first.stock_value)?),
        None => (0, 0),
    };
    let money = decimals(rows.iter().find_map(|row| row.money).unwrap_or(0))?;
    let mut total = 0_i128;
    let mut inventory_accounts = Vec::new();
    for row in rows {
        let Some(account) = row.code else { continue };
        let balance = units(&row.balance)?;
        total = total.saturating_add(balance);
        inventory_accounts.push(InventoryLine { account, balance: Exact::new(balance, money) });
    }
    let difference = Exact::new(stock.saturating_sub(total), money);
    Ok(Reconciliation {
        position,
        stock_value: Exact::new(stock, money),
        inventory_accounts,
        inventory_total: Exact::new(total, money),
        difference,
        reconciled: difference.is_zero(),
    })
}

/// Stock against accounts
///
/// The value of all stock beside the inventory accounts. The difference is zero at every position of the log.
#[utoipa::path(get, path = "/v1/reports/reconciliation", tag = "Reports", operation_id = "get_reconciliation",
    params(ReadHeaders), responses(ReportAnswer<Reconciliation>))]
pub(crate) async fn get_reconciliation(State(api): State<Api>, reading: Reading) -> Result<Response, Problem> {
    reading.settle(&api).await?;
    let rows: Vec<InventoryRow> =
        api.detached(read(api.pool.clone(), reading.tenant.0, include_str!("reconciliation.sql"))).await?;
    must_fit(rows.len())?;
    let report = reconciliation(rows)?;
    reading.show(report.position, Version::None, &report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_summed_exactly() {
        let row = |code: &str, debits: &str, credits: &str| TrialRow {
            as_of: 9,
            code: Some(code.into()),
            name: None,
            account_type: None,
            money: 2,
            debits: debits.into(),
            credits: credits.into(),
        };
        let big = "9".repeat(30);
        let report = trial_balance(vec![row("1", &big, "1"), row("2", "1", &big)]).unwrap();
        assert!(report.totals.balanced);
        assert_eq!(report.totals.debits.to_string(), format!("1{}.00", "0".repeat(28)));
        assert!(!trial_balance(vec![row("1", "2", "1")]).unwrap().totals.balanced);
    }

    #[test]
    fn stock_without_accounts_does_not_reconcile() {
        let row = |stock: &str, code: Option<&str>, balance: &str| InventoryRow {
            as_of: 9,
            stock_value: stock.into(),
            code: code.map(Into::into),
            money: Some(2),
            balance: balance.into(),
        };
        assert!(reconciliation(vec![row("150", Some("1300"), "100"), row("150", Some("1310"), "50")]).unwrap().reconciled);
        let report = reconciliation(vec![row("150", None, "0")]).unwrap();
        assert_eq!((report.reconciled, report.difference.to_string()), (false, "1.50".into()));
    }
}
