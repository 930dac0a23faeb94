//! Trial balance and the reconciliation of stock with its accounts: totals that must be zero.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::table::{Table, numbers, words};
use super::tree::{places, roll_up};
use super::{Format, Report, yes_no};
use crate::openapi::{ReadHeaders, ReportAnswer};
use crate::path::Asked;
use crate::problem::Problem;
use crate::query::balance::{
    self, Asked as Wanted, Balance, Balances, CurrencySums, Dimension, Fixed, Known, Sides, Sums, must_fit, rows_max, type_word,
};
use crate::query::moment::Until;
use crate::query::tenant::Book;
use crate::query::{Exact, Reading, corrupt};
use crate::state::Api;

/// One account of the trial balance.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialLine {
    /// The account.
    account: String,
    /// Display name.
    name: String,
    /// Asset, liability, equity, revenue or expense.
    account_type: AccountType,
    /// The account it is summed into.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parent: Option<String>,
    /// How many accounts it is below.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    depth: Option<u8>,
    /// Sum of the debits.
    debits: Exact,
    /// Sum of the credits.
    credits: Exact,
    /// Debits less credits.
    balance: Exact,
    /// With `rollup`: its own and those of all accounts below it. The totals count each posting once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rolled_up: Option<Sums>,
    /// What of it was posted in other currencies, each in itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    currencies: Vec<CurrencySums>,
}

/// Every account with its sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialBalance {
    /// The report includes every event up to here, and none after it.
    position: i64,
    /// The effective time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    as_of: Option<Timestamp>,
    /// The base currency.
    currency: String,
    /// By code; with `rollup`, each below its parent.
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
    /// Debits less credits: zero, unless only a dimension is shown.
    difference: Exact,
    /// True when the difference is zero.
    balanced: bool,
}

/// As of when, and of what.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrialQuery {
    /// Effective time: everything that had happened by then, as known now. Everything recorded if absent.
    #[param(nullable = false)]
    as_of: Option<Until>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// Everything recorded before this instant, as known then.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    recorded_before: Option<Timestamp>,
    /// Only postings with this value of a dimension, such as `cost_centre:100`. Reads every posting up to `as_of`.
    #[param(max_length = 160, nullable = false)]
    dimension: Option<String>,
    /// True shows accounts below their parents, which sum what is below them beside their own.
    #[param(nullable = false)]
    rollup: Option<bool>,
    /// What `Accept` names, or JSON, if absent.
    #[param(inline, nullable = false)]
    format: Option<Format>,
}

/// Makes the report.
fn trial_balance(found: Vec<Balance>, book: &Book, fixed: Fixed, query: &TrialQuery) -> TrialBalance {
    let own: Vec<Sides> = found.iter().map(Balance::sides).collect();
    let total = own.iter().fold(Sides::default(), |sum, sides| sum.plus(*sides));
    let tree = query.rollup.unwrap_or(false).then(|| places(found.iter().map(|a| (a.code.as_str(), a.parent.as_deref()))));
    let mut rolled = own.clone();
    roll_up(tree.as_deref().unwrap_or(&[]), &mut rolled, Sides::plus);
    let line = |at: usize, depth: Option<u8>| -> Option<TrialLine> {
        let (account, sides) = (found.get(at)?, own.get(at)?.shown(book.scale));
        Some(TrialLine {
            account: account.code.clone(),
            name: account.name.clone(),
            account_type: account.account_type,
            parent: account.parent.clone(),
            depth,
            debits: sides.debits,
            credits: sides.credits,
            balance: sides.balance,
            rolled_up: depth.and_then(|_| Some(rolled.get(at)?.shown(book.scale))),
            currencies: account.foreign(book),
        })
    };
    let accounts = match &tree {
        Some(places) => places.iter().filter_map(|place| line(place.at, Some(place.depth))).collect(),
        None => (0..found.len()).filter_map(|at| line(at, None)).collect(),
    };
    let sums = total.shown(book.scale);
    TrialBalance {
        position: fixed.upto,
        as_of: query.as_of.map(|until| until.0),
        currency: book.currency.clone(),
        accounts,
        totals: TrialTotals {
            debits: sums.debits,
            credits: sums.credits,
            difference: sums.balance,
            balanced: sums.balance.is_zero(),
        },
    }
}

impl TrialBalance {
    fn table(&self, query: &TrialQuery) -> Table {
        let mut columns = vec![
            words("account", "Account"),
            words("name", "Name"),
            words("type", "Type"),
            words("currency", "Currency"),
            numbers("debits", "Debits"),
            numbers("credits", "Credits"),
            numbers("balance", "Balance"),
        ];
        if query.rollup == Some(true) {
            columns.push(numbers("balance_with_below", "Balance with accounts below"));
        }
        let mut table = Table::new("Trial balance", subtitle(query.as_of, query.dimension.as_deref()), columns);
        for line in &self.accounts {
            let depth = line.depth.unwrap_or(0);
            let rolled = line.rolled_up.map_or(String::new(), |sums| sums.balance.to_string());
            table.line(
                depth,
                [
                    line.account.clone(),
                    line.name.clone(),
                    type_word(line.account_type).to_owned(),
                    self.currency.clone(),
                    line.debits.to_string(),
                    line.credits.to_string(),
                    line.balance.to_string(),
                    rolled,
                ],
            );
            for c in &line.currencies {
                let sums = [c.sums.debits, c.sums.credits, c.sums.balance].map(|n| n.to_string());
                let [debits, credits, balance] = sums;
                let name = format!("of it {}, {} in {}", c.currency, c.base_balance, self.currency);
                table.part(
                    depth.saturating_add(1),
                    [line.account.clone(), name, String::new(), c.currency.clone(), debits, credits, balance, String::new()],
                );
            }
        }
        let TrialTotals { debits, credits, difference, .. } = &self.totals;
        let sums = [debits, credits, difference].map(|n| n.to_string());
        let [debits, credits, difference] = sums;
        table.total(0, ["Total".to_owned(), String::new(), String::new(), self.currency.clone(), debits, credits, difference]);
        if self.accounts.iter().any(|line| !line.currencies.is_empty()) {
            table.note("Amounts in other currencies are part of their account's row and are not added to the total.");
        }
        table
    }
}

fn subtitle(as_of: Option<Until>, dimension: Option<&str>) -> Vec<String> {
    let time = as_of.map_or_else(|| "Everything recorded".to_owned(), |until| format!("As of {until}"));
    std::iter::once(time).chain(dimension.map(|d| format!("Only {d}"))).collect()
}

/// Trial balance
///
/// Every account with its debits and credits, now or as of any past. The totals are equal at every position of the log and
/// at every time.
#[utoipa::path(get, path = "/v1/reports/trial-balance", tag = "Reports", operation_id = "get_trial_balance",
    params(TrialQuery, ReadHeaders), responses(ReportAnswer<TrialBalance>))]
pub(crate) async fn get_trial_balance(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<TrialQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let dimension = query.dimension.as_deref().map(Dimension::parse).transpose()?;
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let all = Wanted::all(reading.tenant);
    let until = query.as_of.map_or(Timestamp(i64::MAX), |until| until.0);
    let (found, fixed) = match dimension {
        Some(dimension) => {
            let span = (Timestamp(i64::MIN), until);
            (balance::with_dimension(&api, all, &dimension, span, fixed.upto).await?, fixed)
        }
        None if query.as_of.is_some() || known.is_past() => (fixed.at(&api, all, until).await?, fixed),
        None => {
            let found = balance::now(&api, reading.tenant, None).await?;
            let as_of = found.as_of;
            (found, Fixed { as_of, upto: as_of })
        }
    };
    fixed.check(found.as_of)?;
    let Balances { accounts, .. } = found;
    let report = Report::new((&api, &reading), "trial-balance", Format::of(query.format, &headers), fixed).await?;
    let body = trial_balance(accounts, &report.book, fixed, &query);
    report.answer(&body, || body.table(&query))
}

/// One inventory account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoryLine {
    /// The account.
    account: String,
    /// Display name.
    name: String,
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
    name: Option<String>,
    balance: String,
}

fn reconciliation(rows: Vec<InventoryRow>, money: u8) -> Result<Reconciliation, store::Error> {
    let units = |text: &str| text.parse::<i128>().map_err(|_| corrupt("view_account_balance"));
    let (position, stock) = match rows.first() {
        Some(first) => (first.as_of, units(&first.stock_value)?),
        None => (0, 0),
    };
    let mut total = 0_i128;
    let mut inventory_accounts = Vec::new();
    for row in rows {
        let Some(account) = row.code else { continue };
        let balance = units(&row.balance)?;
        total = total.saturating_add(balance);
        let name = row.name.unwrap_or_default();
        inventory_accounts.push(InventoryLine { account, name, balance: Exact::new(balance, money) });
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

impl Reconciliation {
    fn table(&self) -> Table {
        let columns = vec![words("account", "Account"), words("name", "Name"), numbers("balance", "Balance")];
        let subtitle = vec![format!("Reconciled: {}", yes_no(self.reconciled))];
        let mut table = Table::new("Stock against inventory accounts", subtitle, columns);
        for line in &self.inventory_accounts {
            table.line(0, [line.account.clone(), line.name.clone(), line.balance.to_string()]);
        }
        let mut total = |title: &str, units: Exact| table.total(0, [title.to_owned(), String::new(), units.to_string()]);
        total("Inventory accounts", self.inventory_total);
        total("Value of all stock", self.stock_value);
        total("Difference", self.difference);
        table
    }
}

/// How a report is to be shown.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormatQuery {
    /// What `Accept` names, or JSON, if absent.
    #[param(inline, nullable = false)]
    format: Option<Format>,
}

/// Stock against accounts
///
/// The value of all stock beside the inventory accounts. The difference is zero at every position of the log.
#[utoipa::path(get, path = "/v1/reports/reconciliation", tag = "Reports", operation_id = "get_reconciliation",
    params(FormatQuery, ReadHeaders), responses(ReportAnswer<Reconciliation>))]
pub(crate) async fn get_reconciliation(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<FormatQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let rows = api.detached(inventory(api.pool.clone(), reading.tenant.0)).await?;
    must_fit(rows.len(), "accounts")?;
    let as_of = rows.first().map_or(0, |row| row.as_of);
    let fixed = Fixed { as_of, upto: as_of };
    let report = Report::new((&api, &reading), "reconciliation", Format::of(query.format, &headers), fixed).await?;
    let body = reconciliation(rows, report.book.scale)?;
    report.answer(&body, || body.table())
}

async fn inventory(pool: PgPool, tenant: i64) -> Result<Vec<InventoryRow>, store::Error> {
    let query = sqlx::query_as(include_str!("../reconciliation.sql")).bind(tenant).bind(rows_max());
    Ok(query.fetch_all(&pool).await?)
}

#[cfg(test)]
mod tests {
    use ledger_core::view::CurrencyBalance;

    use super::*;

    const FIXED: Fixed = Fixed { as_of: 9, upto: 9 };

    fn book() -> Book {
        Book { currency: "EUR".into(), scale: 2, ..Book::default() }
    }

    fn account(code: &str, parent: Option<&str>, debits: i64, credits: i64) -> Balance {
        Balance {
            code: code.into(),
            name: String::new(),
            account_type: AccountType::Asset,
            parent: parent.map(Into::into),
            holds_inventory: false,
            stream_version: 1,
            position: 1,
            minimum: None,
            maximum: None,
            currencies: vec![CurrencyBalance { debits, credits, ..CurrencyBalance::default() }],
        }
    }

    #[test]
    fn totals_are_summed_exactly() {
        let query = TrialQuery::default();
        let big = i64::MAX;
        let found = vec![account("1", None, big, 1), account("2", None, 1, big), account("3", None, big, big)];
        let report = trial_balance(found, &book(), FIXED, &query);
        assert!(report.totals.balanced);
        assert_eq!(report.totals.debits.to_string(), "184467440737095516.15");
        assert!(!trial_balance(vec![account("1", None, 2, 1)], &book(), FIXED, &query).totals.balanced);
    }

    #[test]
    fn parents_show_what_is_below_and_the_total_counts_it_once() {
        let query = TrialQuery { rollup: Some(true), ..TrialQuery::default() };
        let found = vec![account("10", None, 100, 0), account("11", Some("10"), 50, 20), account("12", Some("11"), 0, 130)];
        let report = trial_balance(found, &book(), FIXED, &query);
        let rolled: Vec<String> = report.accounts.iter().map(|a| a.rolled_up.unwrap().balance.to_string()).collect();
        assert_eq!(rolled, ["0.00", "-1.00", "-1.30"]);
        assert_eq!(report.accounts.iter().map(|a| a.depth).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
        assert_eq!((report.totals.debits.to_string(), report.totals.balanced), ("1.50".into(), true));
        let table = report.table(&query);
        assert_eq!(table.rows.len(), 4);
        assert_eq!(table.rows[3].cells, ["Total", "", "", "EUR", "1.50", "1.50", "0.00"]);
    }

    #[test]
    fn stock_without_accounts_does_not_reconcile() {
        let row = |stock: &str, code: Option<&str>, balance: &str| InventoryRow {
            as_of: 9,
            stock_value: stock.into(),
            code: code.map(Into::into),
            name: None,
            balance: balance.into(),
        };
        let rows = vec![row("150", Some("1300"), "100"), row("150", Some("1310"), "50")];
        assert!(reconciliation(rows, 2).unwrap().reconciled);
        let report = reconciliation(vec![row("150", None, "0")], 2).unwrap();
        assert_eq!((report.reconciled, report.difference.to_string()), (false, "1.50".into()));
        assert_eq!(report.table().rows.len(), 3);
    }
}
