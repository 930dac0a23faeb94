//! Balance sheet and income statement.
//!
//! **Correctness**: the balance sheet takes every account's balance at one instant, so what does not stand on it as an
//! asset, a liability or equity is revenue and expense not carried to retained earnings yet: the result. Since every event
//! balances, so does the sheet. The income statement leaves the closing of fiscal years out, so that a closed year still
//! shows its figures.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::table::{Table, numbers, words};
use super::tree::{places, roll_up};
use super::{Format, Report, must_be_in_order};
use crate::openapi::{ReadHeaders, ReportAnswer};
use crate::path::Asked;
use crate::problem::{Fault, Problem};
use crate::query::balance::{self, Asked as Wanted, Balance, Dimension, Fixed, Known, Sides};
use crate::query::moment::{Since, Until};
use crate::query::period::year_start;
use crate::query::tenant::Book;
use crate::query::{Exact, Reading};
use crate::state::Api;

/// One account of a section.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SectionLine {
    /// The account.
    account: String,
    /// Display name.
    name: String,
    /// How many accounts of the section it is below.
    depth: u8,
    /// Its own balance, on the section's normal side.
    amount: Exact,
    /// Its own and those of all accounts below it.
    total: Exact,
    /// `amount` in the span compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    compared_amount: Option<Exact>,
    /// `total` in the span compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    compared_total: Option<Exact>,
}

/// Accounts of one type, each below its parent; without those that have nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Section {
    /// The accounts.
    lines: Vec<SectionLine>,
    /// Their sum.
    total: Exact,
    /// Their sum in the span compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    compared_total: Option<Exact>,
}

/// An account with its amount on the normal side, and the one it is compared with.
struct Figure<'a> {
    account: &'a Balance,
    amount: i128,
    compared: Option<i128>,
}

/// A section's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    amount: i128,
    compared: i128,
}

impl Total {
    const fn plus(self, other: Self) -> Self {
        let (amount, compared) = (self.amount.saturating_add(other.amount), self.compared.saturating_add(other.compared));
        Self { amount, compared }
    }
}

/// The accounts of one type among figures, as a section, with its sum in units.
fn section(figures: &[Figure<'_>], account_type: AccountType, scale: u8) -> (Section, Total) {
    let of_type: Vec<&Figure<'_>> = figures.iter().filter(|f| f.account.account_type == account_type).collect();
    let tree = places(of_type.iter().map(|f| (f.account.code.as_str(), f.account.parent.as_deref())));
    let own: Vec<Total> = of_type.iter().map(|f| Total { amount: f.amount, compared: f.compared.unwrap_or(0) }).collect();
    let (mut totals, mut has_any) = (own.clone(), own.iter().map(|t| *t != Total::default()).collect::<Vec<bool>>());
    roll_up(&tree, &mut totals, Total::plus);
    roll_up(&tree, &mut has_any, |a, b| a || b);
    let is_compared = figures.iter().any(|f| f.compared.is_some());
    let exact = |units: i128| Exact::new(units, scale);
    let compared = |units: i128| is_compared.then(|| exact(units));
    let line = |place: &super::tree::Place| -> Option<SectionLine> {
        let (figure, total) = (of_type.get(place.at)?, totals.get(place.at)?);
        has_any.get(place.at).filter(|any| **any)?;
        Some(SectionLine {
            account: figure.account.code.clone(),
            name: figure.account.name.clone(),
            depth: place.depth,
            amount: exact(figure.amount),
            total: exact(total.amount),
            compared_amount: compared(figure.compared.unwrap_or(0)),
            compared_total: compared(total.compared),
        })
    };
    let sum = own.iter().fold(Total::default(), |sum, total| sum.plus(*total));
    let lines = tree.iter().filter_map(line).collect();
    (Section { lines, total: exact(sum.amount), compared_total: compared(sum.compared) }, sum)
}

fn push_section(table: &mut Table, title: &str, section: &Section) {
    table.group(0, title);
    push_lines(table, section);
    push_total(table, 1, &format!("Total {}", title.to_lowercase()), section.total, section.compared_total);
}

fn push_lines(table: &mut Table, section: &Section) {
    for line in &section.lines {
        let compared = line.compared_amount.map_or(String::new(), |n| n.to_string());
        let below = line.compared_total.map_or(String::new(), |n| n.to_string());
        let (amount, total) = (line.amount.to_string(), line.total.to_string());
        table.line(line.depth.saturating_add(1), [line.account.clone(), line.name.clone(), amount, total, compared, below]);
    }
}

fn push_total(table: &mut Table, depth: u8, title: &str, total: Exact, compared: Option<Exact>) {
    let compared = compared.map_or(String::new(), |n| n.to_string());
    table.total(depth, [title.to_owned(), String::new(), String::new(), total.to_string(), String::new(), compared]);
}

/// Revenue less expense that was not carried to retained earnings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResultLines {
    /// Of the fiscal year that the sheet's instant lies in.
    of_the_year: Exact,
    /// Of fiscal years before it that were not closed.
    of_earlier_years: Exact,
}

/// Sums of the sheet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SheetTotals {
    /// All assets.
    assets: Exact,
    /// All liabilities.
    liabilities: Exact,
    /// Equity accounts and results.
    equity: Exact,
    /// Liabilities and equity.
    liabilities_and_equity: Exact,
    /// Assets less liabilities and equity: zero.
    difference: Exact,
    /// True when the difference is zero.
    balanced: bool,
}

/// What is owned, what is owed, and what is left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceSheet {
    /// The report includes every event up to here, and none after it.
    position: i64,
    /// The instant of the sheet.
    as_of: Timestamp,
    /// First instant of the fiscal year it lies in.
    year_starts_at: Timestamp,
    /// The base currency.
    currency: String,
    /// Asset accounts, debits less credits.
    assets: Section,
    /// Liability accounts, credits less debits.
    liabilities: Section,
    /// Equity accounts, credits less debits, without the results.
    equity: Section,
    /// What the equity accounts do not have yet.
    result: ResultLines,
    /// Sums.
    totals: SheetTotals,
}

/// As of when.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SheetQuery {
    /// Effective time: everything that had happened by then, as known now. The present instant if absent.
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

/// Revenue less expense.
fn result(accounts: &[Balance]) -> i128 {
    let of_the_year = accounts.iter().filter(|a| a.account_type.is_of_the_year());
    of_the_year.fold(Sides::default(), |sum, a| sum.plus(a.sides())).normal(false)
}

/// Makes the sheet from the balances at its instant, and the result there was before its fiscal year began.
fn balance_sheet(
    accounts: &[Balance],
    earlier: i128,
    book: &Book,
    fixed: Fixed,
    (as_of, year_starts_at): (Timestamp, Timestamp),
) -> BalanceSheet {
    let figure = |account| -> Figure<'_> {
        let account: &Balance = account;
        Figure { account, amount: account.sides().normal(account.account_type.is_debit_normal()), compared: None }
    };
    let figures: Vec<Figure<'_>> = accounts.iter().map(figure).collect();
    let exact = |units: i128| Exact::new(units, book.scale);
    let (assets, owned) = section(&figures, AccountType::Asset, book.scale);
    let (liabilities, owed) = section(&figures, AccountType::Liability, book.scale);
    let (equity, left) = section(&figures, AccountType::Equity, book.scale);
    let result = result(accounts);
    let with_result = left.amount.saturating_add(result);
    let other_side = owed.amount.saturating_add(with_result);
    let difference = exact(owned.amount.saturating_sub(other_side));
    BalanceSheet {
        position: fixed.upto,
        as_of,
        year_starts_at,
        currency: book.currency.clone(),
        assets,
        liabilities,
        equity,
        result: ResultLines { of_the_year: exact(result.saturating_sub(earlier)), of_earlier_years: exact(earlier) },
        totals: SheetTotals {
            assets: exact(owned.amount),
            liabilities: exact(owed.amount),
            equity: exact(with_result),
            liabilities_and_equity: exact(other_side),
            difference,
            balanced: difference.is_zero(),
        },
    }
}

impl BalanceSheet {
    fn table(&self) -> Table {
        let columns = vec![
            words("account", "Account"),
            words("name", "Name"),
            numbers("amount", "Amount"),
            numbers("total", "With accounts below"),
        ];
        let mut table = Table::new("Balance sheet", vec![format!("As of {}", Until(self.as_of))], columns);
        push_section(&mut table, "Assets", &self.assets);
        push_section(&mut table, "Liabilities", &self.liabilities);
        table.group(0, "Equity");
        push_lines(&mut table, &self.equity);
        let mut line = |title: &str, amount: Exact| {
            table.line(1, [title.to_owned(), String::new(), amount.to_string(), amount.to_string()]);
        };
        if !self.result.of_earlier_years.is_zero() {
            line("Result of earlier years, not closed", self.result.of_earlier_years);
        }
        line("Result of the year", self.result.of_the_year);
        push_total(&mut table, 1, "Total equity", self.totals.equity, None);
        push_total(&mut table, 0, "Total liabilities and equity", self.totals.liabilities_and_equity, None);
        push_total(&mut table, 0, "Difference", self.totals.difference, None);
        table
    }
}

/// Balance sheet
///
/// Assets against liabilities and equity at an instant. What revenue and expense have not carried to retained earnings yet is
/// shown as the result of the year, and of earlier ones that were not closed.
#[utoipa::path(get, path = "/v1/reports/balance-sheet", tag = "Reports", operation_id = "get_balance_sheet",
    params(SheetQuery, ReadHeaders), responses(ReportAnswer<BalanceSheet>))]
pub(crate) async fn get_balance_sheet(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<SheetQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let as_of = query.as_of.map_or_else(|| api.pipeline.now(), |until| until.0);
    let starts = year_start(&api, reading.tenant, as_of).await?;
    let found = fixed.at(&api, Wanted::all(reading.tenant), as_of).await?;
    let of_the_year = found.accounts.iter().filter(|a| a.account_type.is_of_the_year()).map(|a| a.code.clone()).collect();
    let earlier = fixed.at(&api, Wanted::some(reading.tenant, of_the_year), Since(starts).before()).await?;
    let report = Report::new((&api, &reading), "balance-sheet", Format::of(query.format, &headers), fixed).await?;
    let body = balance_sheet(&found.accounts, result(&earlier.accounts), &report.book, fixed, (as_of, starts));
    report.answer(&body, || body.table())
}

/// A span of time.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Span {
    /// Its first instant.
    from: Timestamp,
    /// Its last instant.
    to: Timestamp,
}

/// What was earned, what it cost, and what is left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncomeStatement {
    /// The report includes every event up to here, and none after it.
    position: i64,
    #[serde(flatten)]
    span: Span,
    /// The span compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    compared: Option<Span>,
    /// The base currency.
    currency: String,
    /// Revenue accounts, credits less debits.
    revenue: Section,
    /// Expense accounts, debits less credits.
    expense: Section,
    /// Revenue less expense.
    result: Exact,
    /// The same in the span compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    compared_result: Option<Exact>,
}

/// Which span, and of what.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncomeQuery {
    /// From then on; the beginning of the fiscal year of `to` if absent.
    #[param(nullable = false)]
    from: Option<Since>,
    /// Until then; the present instant if absent.
    #[param(nullable = false)]
    to: Option<Until>,
    /// Another span beside it, from then on.
    #[param(nullable = false)]
    compare_from: Option<Since>,
    /// Another span beside it, until then.
    #[param(nullable = false)]
    compare_to: Option<Until>,
    /// Only postings with this value of a dimension, such as `cost_centre:100`. Reads every posting of the span.
    #[param(max_length = 160, nullable = false)]
    dimension: Option<String>,
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

/// What was posted in a span, by account, without the closing of fiscal years.
async fn moved(
    api: &Api,
    reading: &Reading,
    fixed: Fixed,
    dimension: Option<&Dimension>,
    span: Span,
) -> Result<Vec<(Balance, Sides)>, Problem> {
    let all = Wanted { with_closing: false, ..Wanted::all(reading.tenant) };
    let before = Since(span.from).before();
    if let Some(dimension) = dimension {
        let found = balance::with_dimension(api, all, dimension, (before, span.to), fixed.upto).await?;
        fixed.check(found.as_of)?;
        return Ok(differences(found.accounts, &[]));
    }
    let ends = fixed.at(api, all, span.to).await?.accounts;
    let is_of_the_year = |a: &Balance| a.account_type.is_of_the_year();
    let ends: Vec<Balance> = ends.into_iter().filter(is_of_the_year).collect();
    let codes = ends.iter().map(|a| a.code.clone()).collect();
    let wanted = Wanted { with_closing: false, ..Wanted::some(reading.tenant, codes) };
    let begins = fixed.at(api, wanted, before).await?.accounts;
    Ok(differences(ends, &begins))
}

/// What each account had at the end less what it had at the beginning; both by code.
fn differences(ends: Vec<Balance>, begins: &[Balance]) -> Vec<(Balance, Sides)> {
    let at = |code: &str| begins.binary_search_by(|b| b.code.as_str().cmp(code)).ok().and_then(|at| begins.get(at));
    let moved = |end: Balance| {
        let before = at(&end.code).map_or(Sides::default(), Balance::sides);
        let sides = end.sides().less(before);
        (end, sides)
    };
    ends.into_iter().map(moved).collect()
}

fn income_statement(
    moved: &[(Balance, Sides)],
    compared: Option<(&[(Balance, Sides)], Span)>,
    book: &Book,
    fixed: Fixed,
    span: Span,
) -> IncomeStatement {
    let other = |code: &str| -> Option<i128> {
        let (rows, _) = compared?;
        let at = rows.binary_search_by(|(account, _)| account.code.as_str().cmp(code)).ok();
        Some(at.and_then(|at| rows.get(at)).map_or(0, |(account, sides)| sides.normal(account.account_type.is_debit_normal())))
    };
    let figure = |(account, sides): &'_ (Balance, Sides)| -> i128 { sides.normal(account.account_type.is_debit_normal()) };
    let figures: Vec<Figure<'_>> =
        moved.iter().map(|row| Figure { account: &row.0, amount: figure(row), compared: other(&row.0.code) }).collect();
    let (revenue, earned) = section(&figures, AccountType::Revenue, book.scale);
    let (expense, spent) = section(&figures, AccountType::Expense, book.scale);
    IncomeStatement {
        position: fixed.upto,
        span,
        compared: compared.map(|(_, span)| span),
        currency: book.currency.clone(),
        revenue,
        expense,
        result: Exact::new(earned.amount.saturating_sub(spent.amount), book.scale),
        compared_result: compared.map(|_| Exact::new(earned.compared.saturating_sub(spent.compared), book.scale)),
    }
}

impl IncomeStatement {
    fn table(&self, dimension: Option<&str>) -> Table {
        let shown = |span: &Span| format!("{} to {}", Since(span.from), Until(span.to));
        let mut subtitle = vec![shown(&self.span)];
        subtitle.extend(self.compared.as_ref().map(|span| format!("Compared with {}", shown(span))));
        subtitle.extend(dimension.map(|d| format!("Only {d}")));
        let mut columns = vec![
            words("account", "Account"),
            words("name", "Name"),
            numbers("amount", "Amount"),
            numbers("total", "With accounts below"),
        ];
        if self.compared.is_some() {
            columns.push(numbers("compared_amount", "Compared"));
            columns.push(numbers("compared_total", "Compared, with accounts below"));
        }
        let mut table = Table::new("Income statement", subtitle, columns);
        push_section(&mut table, "Revenue", &self.revenue);
        push_section(&mut table, "Expense", &self.expense);
        push_total(&mut table, 0, "Result", self.result, self.compared_result);
        table.note("The closing of fiscal years is left out.");
        table
    }
}

/// Both ends of the span compared with, or none.
fn compared(query: &IncomeQuery) -> Result<Option<Span>, Problem> {
    match (query.compare_from, query.compare_to) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) => {
            must_be_in_order(from, to)?;
            Ok(Some(Span { from: from.0, to: to.0 }))
        }
        (Some(_), None) | (None, Some(_)) => {
            Err(Problem::new(Fault::ParameterInvalid, "compare_from and compare_to: both of them or none"))
        }
    }
}

/// Income statement
///
/// Revenue and expense of a span of time, beside those of another if asked for. The closing of fiscal years is left out: a
/// closed year shows the same figures as before.
#[utoipa::path(get, path = "/v1/reports/income-statement", tag = "Reports", operation_id = "get_income_statement",
    params(IncomeQuery, ReadHeaders), responses(ReportAnswer<IncomeStatement>))]
pub(crate) async fn get_income_statement(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<IncomeQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let dimension = query.dimension.as_deref().map(Dimension::parse).transpose()?;
    let other_span = compared(&query)?;
    let to = query.to.unwrap_or_else(|| Until(api.pipeline.now()));
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let from = match query.from {
        Some(from) => from,
        None => Since(year_start(&api, reading.tenant, to.0).await?),
    };
    must_be_in_order(from, to)?;
    let span = Span { from: from.0, to: to.0 };
    let rows = moved(&api, &reading, fixed, dimension.as_ref(), span).await?;
    let other = match other_span {
        Some(span) => Some((moved(&api, &reading, fixed, dimension.as_ref(), span).await?, span)),
        None => None,
    };
    let report = Report::new((&api, &reading), "income-statement", Format::of(query.format, &headers), fixed).await?;
    let other = other.as_ref().map(|(rows, span)| (rows.as_slice(), *span));
    let body = income_statement(&rows, other, &report.book, fixed, span);
    report.answer(&body, || body.table(query.dimension.as_deref()))
}

#[cfg(test)]
mod tests {
    use ledger_core::view::CurrencyBalance;

    use super::*;

    const FIXED: Fixed = Fixed { as_of: 9, upto: 9 };
    const SPAN: Span = Span { from: Timestamp(0), to: Timestamp(1) };

    fn book() -> Book {
        Book { currency: "EUR".into(), scale: 2, ..Book::default() }
    }

    fn account(code: &str, account_type: AccountType, parent: Option<&str>, debits: i64, credits: i64) -> Balance {
        Balance {
            code: code.into(),
            name: format!("Account {code}"),
            account_type,
            parent: parent.map(Into::into),
            holds_inventory: false,
            stream_version: 1,
            position: 1,
            minimum: None,
            maximum: None,
            currencies: vec![CurrencyBalance { debits, credits, ..CurrencyBalance::default() }],
        }
    }

    fn chart() -> Vec<Balance> {
        use AccountType::{Asset, Equity, Expense, Liability, Revenue};
        vec![
            account("1000", Asset, None, 9_000, 2_000),
            account("1010", Asset, Some("1000"), 500, 0),
            account("1900", Asset, None, 0, 0),
            account("2000", Liability, None, 100, 1_100),
            account("3000", Equity, None, 0, 4_000),
            account("4000", Revenue, None, 0, 5_000),
            account("5000", Expense, None, 2_500, 0),
        ]
    }

    #[test]
    fn the_sheet_balances_with_the_result() {
        let sheet = balance_sheet(&chart(), 700, &book(), FIXED, (Timestamp(1), Timestamp(0)));
        let shown = |n: &Exact| n.to_string();
        assert_eq!(
            (shown(&sheet.totals.assets), shown(&sheet.totals.liabilities), shown(&sheet.totals.equity)),
            ("75.00".into(), "10.00".into(), "65.00".into())
        );
        assert_eq!((shown(&sheet.totals.difference), sheet.totals.balanced), ("0.00".into(), true));
        assert_eq!((shown(&sheet.result.of_the_year), shown(&sheet.result.of_earlier_years)), ("18.00".into(), "7.00".into()));
        let lines: Vec<(&str, u8, String)> =
            sheet.assets.lines.iter().map(|l| (l.account.as_str(), l.depth, l.total.to_string())).collect();
        assert_eq!(lines, [("1000", 0, "75.00".to_owned()), ("1010", 1, "5.00".to_owned())]);
        let titles: Vec<String> = sheet.table().rows.iter().map(|r| r.cells.join("|")).collect();
        assert_eq!(titles.iter().filter(|t| t.starts_with("Equity")).count(), 1);
        assert!(titles.contains(&"Result of the year||18.00|18.00".to_owned()), "{titles:?}");
        assert!(titles.last().unwrap().starts_with("Difference|||0.00"));
    }

    #[test]
    fn a_sheet_that_does_not_balance_says_so() {
        let mut accounts = chart();
        accounts.push(account("1999", AccountType::Asset, None, 1, 0));
        let sheet = balance_sheet(&accounts, 0, &book(), FIXED, (Timestamp(1), Timestamp(0)));
        assert_eq!((sheet.totals.difference.to_string(), sheet.totals.balanced), ("0.01".into(), false));
    }

    #[test]
    fn income_is_what_was_posted_in_the_span() {
        let before =
            vec![account("4000", AccountType::Revenue, None, 0, 1_000), account("5000", AccountType::Expense, None, 400, 0)];
        let rows = differences(chart().into_iter().filter(|a| a.account_type.is_of_the_year()).collect(), &before);
        let statement = income_statement(&rows, None, &book(), FIXED, SPAN);
        assert_eq!((statement.revenue.total.to_string(), statement.expense.total.to_string()), ("40.00".into(), "21.00".into()));
        assert_eq!((statement.result.to_string(), statement.compared_result), ("19.00".into(), None));
        let other = differences(before, &[]);
        let statement = income_statement(&rows, Some((&other, SPAN)), &book(), FIXED, SPAN);
        assert_eq!(statement.compared_result.unwrap().to_string(), "6.00");
        assert_eq!(statement.revenue.lines[0].compared_amount.unwrap().to_string(), "10.00");
        assert_eq!(statement.table(None).columns.len(), 6);
    }
}
