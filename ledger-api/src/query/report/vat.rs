//! What a VAT return asks for: per tax code what was sold or bought, and the tax on it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use ledger_core::domain::account::command::TaxDirection;
use ledger_core::domain::amount::{Number, divide_half_even};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::table::{Table, numbers, words};
use super::{Format, Report, must_be_in_order};
use crate::openapi::{ReadHeaders, ReportAnswer};
use crate::path::Asked;
use crate::problem::{Fault, Problem};
use crate::query::balance::{Fixed, Known, must_fit, rows_max};
use crate::query::moment::{Since, Until};
use crate::query::tenant::Book;
use crate::query::{Exact, Reading, corrupt};
use crate::state::Api;

/// One tax code.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaxLine {
    /// The tax code.
    code: String,
    /// Display name.
    name: String,
    /// Whether the tax is owed or recoverable.
    direction: TaxDirection,
    /// Per cent, as defined now.
    #[schema(value_type = Exact)]
    rate: Number,
    /// Where the tax is posted, as defined now.
    account: String,
    /// Postings with the code in the span.
    postings: i64,
    /// Posted with the code on other accounts: credits less debits of what is sold, debits less credits of what is bought.
    base: Exact,
    /// Posted with the code on the code's own account, on the same side.
    tax: Exact,
    /// Base times rate, half to even.
    expected: Exact,
    /// Tax less what is expected: roundings per invoice, or something to look into.
    difference: Exact,
}

/// Sums over the tax codes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaxTotals {
    /// Base of what is sold.
    output_base: Exact,
    /// Tax on what is sold: owed.
    output_tax: Exact,
    /// Base of what is bought.
    input_base: Exact,
    /// Tax on what is bought: recoverable.
    input_tax: Exact,
    /// Output less input: to be paid; below zero to be refunded.
    net: Exact,
}

/// Tax of a span of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaxReport {
    /// The report includes every event up to here, and none after it.
    position: i64,
    /// First instant of the span.
    from: Timestamp,
    /// Last instant of the span.
    to: Timestamp,
    /// The base currency.
    currency: String,
    /// By code.
    lines: Vec<TaxLine>,
    /// Sums.
    totals: TaxTotals,
}

/// Which span.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaxQuery {
    /// From then on.
    from: Since,
    /// Until then.
    to: Until,
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
    code: Option<String>,
    name: Option<String>,
    rate: Option<String>,
    direction: Option<String>,
    account: Option<String>,
    postings: i64,
    base: String,
    tax: String,
}

/// Tax on a base, in units, half to even. `None` beyond the ledger's range.
fn tax_on(base: i128, rate: Number) -> Option<i64> {
    let rate = rate.decimal();
    let whole = 10_i128.checked_pow(rate.scale())?.checked_mul(100)?;
    divide_half_even(base.checked_mul(rate.mantissa())?, whole)
}

fn direction(word: &str) -> Result<TaxDirection, store::Error> {
    match word {
        "output" => Ok(TaxDirection::Output),
        "input" => Ok(TaxDirection::Input),
        _no_direction => Err(corrupt("view_definition.body.direction")),
    }
}

/// A line, with its base and tax in units.
fn line(row: Row, money: u8) -> Result<Option<(TaxLine, i128, i128)>, Problem> {
    let Some(code) = row.code else { return Ok(None) };
    let wrong = || corrupt("view_definition.body");
    let direction = direction(&row.direction.ok_or_else(wrong)?)?;
    let rate = row.rate.as_deref().and_then(|text| Number::parse(text).ok()).ok_or_else(wrong)?;
    let units = |text: &str| text.parse::<i128>().map_err(|_| corrupt("view_posting"));
    let side = |debit_balance: i128| match direction {
        TaxDirection::Output => debit_balance.saturating_neg(),
        TaxDirection::Input => debit_balance,
    };
    let (base, tax) = (side(units(&row.base)?), side(units(&row.tax)?));
    let expected = tax_on(base, rate)
        .ok_or_else(|| Problem::new(Fault::ResultTooLarge, format!("the tax of {code} leaves the range of 18 digits")))?;
    let exact = |units: i128| Exact::new(units, money);
    let line = TaxLine {
        code,
        name: row.name.unwrap_or_default(),
        direction,
        rate,
        account: row.account.unwrap_or_default(),
        postings: row.postings,
        base: exact(base),
        tax: exact(tax),
        expected: Exact::new(expected, money),
        difference: exact(tax.saturating_sub(i128::from(expected))),
    };
    Ok(Some((line, base, tax)))
}

fn tax_report(rows: Vec<Row>, book: &Book, fixed: Fixed, (from, to): (Since, Until)) -> Result<TaxReport, Problem> {
    let (mut output, mut input) = ((0_i128, 0_i128), (0_i128, 0_i128));
    let mut lines = Vec::new();
    for row in rows {
        let Some((line, base, tax)) = line(row, book.scale)? else { continue };
        let sums = match line.direction {
            TaxDirection::Output => &mut output,
            TaxDirection::Input => &mut input,
        };
        *sums = (sums.0.saturating_add(base), sums.1.saturating_add(tax));
        lines.push(line);
    }
    let exact = |units: i128| Exact::new(units, book.scale);
    let totals = TaxTotals {
        output_base: exact(output.0),
        output_tax: exact(output.1),
        input_base: exact(input.0),
        input_tax: exact(input.1),
        net: exact(output.1.saturating_sub(input.1)),
    };
    Ok(TaxReport { position: fixed.upto, from: from.0, to: to.0, currency: book.currency.clone(), lines, totals })
}

impl TaxReport {
    fn table(&self) -> Table {
        let columns = vec![
            words("code", "Code"),
            words("name", "Name"),
            numbers("rate", "Rate %"),
            words("account", "Account"),
            numbers("base", "Base"),
            numbers("tax", "Tax"),
            numbers("expected", "Expected"),
            numbers("difference", "Difference"),
        ];
        let span = format!("{} to {}", Since(self.from), Until(self.to));
        let mut table = Table::new("VAT", vec![span], columns);
        let totals = &self.totals;
        let halves = [
            ("Output", TaxDirection::Output, totals.output_base, totals.output_tax),
            ("Input", TaxDirection::Input, totals.input_base, totals.input_tax),
        ];
        for (title, direction, base, tax) in halves {
            table.group(0, title);
            for line in self.lines.iter().filter(|line| line.direction == direction) {
                let [base, tax, expected, difference] =
                    [line.base, line.tax, line.expected, line.difference].map(|n| n.to_string());
                let (code, name, account) = (line.code.clone(), line.name.clone(), line.account.clone());
                table.line(1, [code, name, line.rate.to_string(), account, base, tax, expected, difference]);
            }
            total(&mut table, 1, &format!("Total {}", title.to_lowercase()), &base.to_string(), tax);
        }
        total(&mut table, 0, "Net, to be paid", "", totals.net);
        table.note(
            "Expected is base times the code's present rate, half to even; tax that was rounded per invoice may differ by that.",
        );
        table
    }
}

fn total(table: &mut Table, depth: u8, title: &str, base: &str, tax: Exact) {
    let empty = String::new;
    table.total(depth, [title.to_owned(), empty(), empty(), empty(), base.to_owned(), tax.to_string()]);
}

/// VAT
///
/// Per tax code what was posted with it in a span of time: the base on other accounts, the tax on the code's own account, and
/// what the tax should be.
#[utoipa::path(get, path = "/v1/reports/vat", tag = "Reports", operation_id = "get_vat",
    params(TaxQuery, ReadHeaders), responses(ReportAnswer<TaxReport>))]
pub(crate) async fn get_vat(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<TaxQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    must_be_in_order(query.from, query.to)?;
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let (pool, tenant, span) = (api.pool.clone(), reading.tenant.0, (query.from, query.to));
    let read = async move {
        let statement = sqlx::query_as(include_str!("../vat.sql")).bind(tenant).bind(span.0.0.0).bind(span.1.0.0);
        Ok(statement.bind(fixed.upto).bind(rows_max()).fetch_all(&pool).await?)
    };
    let rows: Vec<Row> = api.detached(read).await?;
    must_fit(rows.len(), "tax codes")?;
    fixed.check(rows.first().map_or(0, |row| row.as_of))?;
    let report = Report::new((&api, &reading), "vat", Format::of(query.format, &headers), fixed).await?;
    let body = tax_report(rows, &report.book, fixed, span)?;
    report.answer(&body, || body.table())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(code: &str, direction: &str, rate: &str, base: &str, tax: &str) -> Row {
        Row {
            as_of: 9,
            code: Some(code.into()),
            name: None,
            rate: Some(rate.into()),
            direction: Some(direction.into()),
            account: Some("2200".into()),
            postings: 2,
            base: base.into(),
            tax: tax.into(),
        }
    }

    #[test]
    fn tax_is_rounded_half_to_even() {
        let on = |base: i128, rate: &str| tax_on(base, Number::parse(rate).unwrap());
        assert_eq!([on(10_000, "25"), on(999, "5.5"), on(-999, "5.5"), on(7, "0")], [Some(2_500), Some(55), Some(-55), Some(0)]);
        assert_eq!([on(2, "25"), on(6, "25"), on(10, "25"), on(-2, "25")], [Some(0), Some(2), Some(2), Some(0)]);
        assert_eq!(on(i128::MAX, "25"), None);
    }

    #[test]
    fn what_is_sold_stands_on_the_credit_side_and_what_is_bought_on_the_debit_side() {
        let book = Book { currency: "EUR".into(), scale: 2, ..Book::default() };
        let span = (Since(Timestamp(0)), Until(Timestamp(1)));
        let rows = vec![row("IN25", "input", "25", "4000", "1000"), row("OUT25", "output", "25", "-10000", "-2501")];
        let report = tax_report(rows, &book, Fixed { as_of: 9, upto: 9 }, span).unwrap();
        let shown = |at: usize| {
            let line = &report.lines[at];
            [line.base, line.tax, line.expected, line.difference].map(|n| n.to_string())
        };
        assert_eq!(shown(0), ["40.00", "10.00", "10.00", "0.00"]);
        assert_eq!(shown(1), ["100.00", "25.01", "25.00", "0.01"]);
        let totals = &report.totals;
        let sums = [totals.output_base, totals.output_tax, totals.input_base, totals.input_tax, totals.net];
        assert_eq!(sums.map(|n| n.to_string()), ["100.00", "25.01", "40.00", "10.00", "15.01"]);
        let table = report.table();
        assert_eq!(table.rows.first().map(|row| row.cells.clone()), Some(vec!["Output".to_owned()]));
        assert_eq!(table.rows.last().unwrap().cells[5], "15.01");
    }
}
