//! Inventory valuation: what is on hand of each item in each cost pool, what it is worth, and the accounts that show it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use ledger_core::domain::amount::divide_half_even;
use ledger_core::domain::catalogue::command::ValuationMethod;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::table::{Table, numbers, words};
use super::{Format, Report};
use crate::openapi::{ReadHeaders, ReportAnswer};
use crate::path::Asked;
use crate::problem::Problem;
use crate::query::balance::{Asked as Wanted, Fixed, Known, must_fit, rows_max};
use crate::query::moment::Until;
use crate::query::tenant::Book;
use crate::query::{Exact, Reading, corrupt};
use crate::state::Api;

/// Decimals of a unit cost.
const UNIT_COST_SCALE: u8 = 6;

/// An item in one cost pool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValuationLine {
    /// The item.
    sku: String,
    /// Display name.
    name: String,
    /// How its issues are costed.
    method: ValuationMethod,
    /// Topmost location of the pool; empty for the tenant's one pool.
    pool: String,
    /// Physically present.
    quantity: Exact,
    /// What it is worth.
    value: Exact,
    /// Value of one base unit, to six decimals, half to even; absent where nothing is on hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unit_cost: Option<Exact>,
}

/// Sums of the valuation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValuationTotals {
    /// Value of all stock.
    value: Exact,
    /// Balances of the inventory accounts.
    inventory_accounts: Exact,
    /// The one less the other: zero.
    difference: Exact,
}

/// What is on hand and what it is worth.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Valuation {
    /// The report includes every event up to here, and none after it.
    position: i64,
    /// The effective time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    as_of: Option<Timestamp>,
    /// The base currency.
    currency: String,
    /// By item and pool.
    lines: Vec<ValuationLine>,
    /// Sums.
    totals: ValuationTotals,
}

/// As of when.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ValuationQuery {
    /// Effective time: everything that had happened by then, as known now. Everything recorded if absent.
    #[param(nullable = false)]
    as_of: Option<Until>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// Everything recorded before this instant, as known then.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    recorded_before: Option<Timestamp>,
    /// What `Accept` names, or JSON, if absent.
    #[param(inline, nullable = false)]
    format: Option<Format>,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    sku: Option<String>,
    name: Option<String>,
    scale: Option<i16>,
    method: Option<String>,
    pool: Option<String>,
    on_hand: Option<String>,
    value: Option<String>,
}

/// Units of one base unit's value; `None` for nothing, or beyond the ledger's range.
fn unit_cost(value: i128, money: u8, quantity: i128, scale: u8) -> Option<Exact> {
    let power = |n: u8| 10_i128.checked_pow(u32::from(n));
    let numerator = value.checked_mul(power(UNIT_COST_SCALE)?)?.checked_mul(power(scale)?)?;
    let units = divide_half_even(numerator, quantity.checked_mul(power(money)?)?)?;
    Some(Exact::new(units, UNIT_COST_SCALE))
}

fn method(word: &str) -> Option<ValuationMethod> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

fn valuation(
    rows: Vec<Row>,
    accounts: i128,
    book: &Book,
    fixed: Fixed,
    as_of: Option<Timestamp>,
) -> Result<Valuation, store::Error> {
    let wrong = || corrupt("view_stock_level");
    let units = |text: Option<String>| text.and_then(|t| t.parse::<i128>().ok()).ok_or_else(wrong);
    let exact = |units: i128| Exact::new(units, book.scale);
    let (mut total, mut lines) = (0_i128, Vec::new());
    for row in rows {
        let Some(sku) = row.sku else { continue };
        let scale = row.scale.and_then(|s| u8::try_from(s).ok()).ok_or_else(wrong)?;
        let (quantity, value) = (units(row.on_hand)?, units(row.value)?);
        total = total.saturating_add(value);
        lines.push(ValuationLine {
            sku,
            name: row.name.unwrap_or_default(),
            method: row.method.as_deref().and_then(method).ok_or_else(wrong)?,
            pool: row.pool.unwrap_or_default(),
            quantity: Exact::new(quantity, scale),
            value: exact(value),
            unit_cost: unit_cost(value, book.scale, quantity, scale),
        });
    }
    let totals = ValuationTotals {
        value: exact(total),
        inventory_accounts: exact(accounts),
        difference: exact(total.saturating_sub(accounts)),
    };
    Ok(Valuation { position: fixed.upto, as_of, currency: book.currency.clone(), lines, totals })
}

/// The word of a method.
const fn method_word(method: ValuationMethod) -> &'static str {
    match method {
        ValuationMethod::MovingAverage => "moving_average",
        ValuationMethod::Fifo => "fifo",
        ValuationMethod::Standard => "standard",
        ValuationMethod::Specific => "specific",
    }
}

impl Valuation {
    fn table(&self) -> Table {
        let columns = vec![
            words("sku", "Item"),
            words("name", "Name"),
            words("method", "Method"),
            words("pool", "Pool"),
            numbers("quantity", "Quantity"),
            numbers("unit_cost", "Unit cost"),
            numbers("value", "Value"),
        ];
        let time = self.as_of.map_or_else(|| "Everything recorded".to_owned(), |at| format!("As of {}", Until(at)));
        let mut table = Table::new("Inventory valuation", vec![time], columns);
        for line in &self.lines {
            let cost = line.unit_cost.map_or(String::new(), |cost| cost.to_string());
            let (sku, name, pool) = (line.sku.clone(), line.name.clone(), line.pool.clone());
            let method = method_word(line.method).to_owned();
            table.line(0, [sku, name, method, pool, line.quantity.to_string(), cost, line.value.to_string()]);
        }
        let ValuationTotals { value, inventory_accounts, difference } = &self.totals;
        for (title, units) in
            [("Value of all stock", value), ("Inventory accounts", inventory_accounts), ("Difference", difference)]
        {
            let mut cells: [String; 7] = Default::default();
            (cells[0], cells[6]) = (title.to_owned(), units.to_string());
            table.total(0, cells);
        }
        table
    }
}

/// Inventory valuation
///
/// Quantity, value and unit cost of each item by cost pool, now or as of any past. The value of all stock is the balance of
/// the inventory accounts.
#[utoipa::path(get, path = "/v1/reports/inventory-valuation", tag = "Reports", operation_id = "get_inventory_valuation",
    params(ValuationQuery, ReadHeaders), responses(ReportAnswer<Valuation>))]
pub(crate) async fn get_inventory_valuation(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<ValuationQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let as_of = query.as_of.map(|until| until.0);
    let rows = api.detached(read(api.pool.clone(), reading.tenant.0, fixed.upto, as_of)).await?;
    must_fit(rows.len(), "items and pools")?;
    fixed.check(rows.first().map_or(0, |row| row.as_of))?;
    let found = fixed.at(&api, Wanted::all(reading.tenant), as_of.unwrap_or(Timestamp(i64::MAX))).await?;
    let inventory = found.accounts.iter().filter(|a| a.holds_inventory);
    let accounts = inventory.fold(0_i128, |sum, a| sum.saturating_add(a.sides().balance()));
    let report = Report::new((&api, &reading), "inventory-valuation", Format::of(query.format, &headers), fixed).await?;
    let body = valuation(rows, accounts, &report.book, fixed, as_of)?;
    report.answer(&body, || body.table())
}

async fn read(pool: PgPool, tenant: i64, upto: i64, as_of: Option<Timestamp>) -> Result<Vec<Row>, store::Error> {
    let rows = match as_of {
        None => {
            let query = sqlx::query_as(include_str!("../inventory_valuation_at_position.sql"));
            query.bind(tenant).bind(rows_max()).bind(upto).fetch_all(&pool).await?
        }
        Some(at) => {
            let query = sqlx::query_as(include_str!("../inventory_valuation_at_time.sql"));
            query.bind(tenant).bind(rows_max()).bind(upto).bind(at.0).fetch_all(&pool).await?
        }
    };
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_cost_has_six_decimals() {
        let cost = |value, money, quantity, scale| unit_cost(value, money, quantity, scale).map(|c| c.to_string());
        assert_eq!(cost(1_000, 2, 3, 0), Some("3.333333".into()));
        assert_eq!(cost(2_000, 2, 3, 0), Some("6.666667".into()));
        assert_eq!(cost(1_000, 2, 2_500, 3), Some("4.000000".into()));
        assert_eq!(cost(-1_000, 2, -4, 0), Some("2.500000".into()));
        assert_eq!(cost(700, 0, 2, 0), Some("350.000000".into()));
        assert_eq!([cost(0, 2, 0, 0), cost(5, 2, 0, 0)], [None, None]);
    }

    #[test]
    fn the_value_of_all_stock_is_compared_with_the_accounts() {
        let book = Book { currency: "EUR".into(), scale: 2, ..Book::default() };
        let row = |sku: &str, on_hand: &str, value: &str| Row {
            as_of: 9,
            sku: Some(sku.into()),
            name: Some("Name".into()),
            scale: Some(0),
            method: Some("fifo".into()),
            pool: Some("W1".into()),
            on_hand: Some(on_hand.into()),
            value: Some(value.into()),
        };
        let rows = || vec![row("A", "3", "1000"), row("B", "0", "-1")];
        let report = valuation(rows(), 999, &book, Fixed { as_of: 9, upto: 9 }, None).unwrap();
        assert_eq!((report.totals.value.to_string(), report.totals.difference.to_string()), ("9.99".into(), "0.00".into()));
        assert_eq!(report.lines.iter().map(|l| l.unit_cost.is_some()).collect::<Vec<_>>(), [true, false]);
        assert_eq!(report.table().rows[0].cells, ["A", "Name", "fifo", "W1", "3", "3.333333", "10.00"]);
        let other = valuation(rows(), 1_000, &book, Fixed { as_of: 9, upto: 9 }, None).unwrap();
        assert_eq!(other.totals.difference.to_string(), "-0.01");
    }
}
