//! Reports, from the same answers that programs get, with links from every account and item to where its figures are from.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::ROWS;
use super::account::{standing_row, statement_columns, statement_row};
use crate::console::Console;
use crate::console::ask::{Fields, plain};
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Column, Field, Form, Links, Note, Row, Show, Table, account_link, code, encode, extra, figures, item_link, number, phrase,
    query, text, time, words,
};
use crate::console::session::Session;
use crate::problem::{Fault, Problem};

/// Rows of a report that are shown; the CSV has all.
const ROWS_SHOWN: usize = 500;

/// What of a form a report takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// One instant.
    AsOf,
    /// A span; all of it must be given.
    Span,
    /// Nothing.
    Nothing,
}

/// A report.
struct Kind {
    name: &'static str,
    title: &'static str,
    what: &'static str,
    takes: Takes,
    tables: fn(&Value, &Session) -> Vec<Table>,
}

const KINDS: [Kind; 10] = [
    Kind {
        name: "trial-balance",
        title: "Trial balance",
        what: "Every account with its debits and credits. The totals are equal.",
        takes: Takes::AsOf,
        tables: trial_balance,
    },
    Kind {
        name: "balance-sheet",
        title: "Balance sheet",
        what: "What is owned, what is owed, and what is left, at one instant.",
        takes: Takes::AsOf,
        tables: balance_sheet,
    },
    Kind {
        name: "income-statement",
        title: "Income statement",
        what: "What was earned and what it cost, in a span of time.",
        takes: Takes::Span,
        tables: income_statement,
    },
    Kind {
        name: "general-ledger",
        title: "General ledger",
        what: "Every account's postings in a span, with balances.",
        takes: Takes::Span,
        tables: general_ledger,
    },
    Kind {
        name: "aged-receivables",
        title: "Aged receivables",
        what: "What customers owe, by age.",
        takes: Takes::AsOf,
        tables: aged,
    },
    Kind {
        name: "aged-payables",
        title: "Aged payables",
        what: "What is owed to suppliers, by age.",
        takes: Takes::AsOf,
        tables: aged,
    },
    Kind {
        name: "vat",
        title: "VAT",
        what: "Tax owed and recoverable in a span, with what was expected.",
        takes: Takes::Span,
        tables: vat,
    },
    Kind {
        name: "inventory-valuation",
        title: "Inventory valuation",
        what: "Quantity, value and unit cost of each item by cost pool.",
        takes: Takes::AsOf,
        tables: valuation,
    },
    Kind {
        name: "reconciliation",
        title: "Stock against accounts",
        what: "The value of all stock beside the inventory accounts. The difference is zero.",
        takes: Takes::Nothing,
        tables: reconciliation,
    },
    Kind {
        name: "periods",
        title: "Accounting periods",
        what: "Months of the fiscal year: open or closed, with their seals.",
        takes: Takes::Nothing,
        tables: periods,
    },
];

pub(in crate::console) async fn list(session: Session, State(console): State<Console>) -> Response {
    let row = |kind: &Kind| {
        let path = format!("/console/reports/{}", kind.name);
        Row::of([crate::console::part::link(path, text(kind.title)), text(kind.what)])
    };
    let mut table = Table::new("reports", "Reports", [words("Report"), words("What it shows")]).quiet();
    table.rows.extend(KINDS.iter().map(row));
    session.show(&console, Ok(View::new(Section::Reports, "Reports").part(table))).await
}

/// As of when.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    as_of: String,
    from: String,
    to: String,
    compare_from: String,
    compare_to: String,
    account: String,
    rollup: String,
    dimension: String,
    cursor: String,
}

pub(in crate::console) async fn show(
    session: Session,
    State(console): State<Console>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let shown = view(&console, &session, &name, asked).await;
    session.show(&console, shown).await
}

/// The month that the clock is in: what a span is if nobody says.
fn this_month(console: &Console) -> (String, String) {
    let now = console.api.pipeline.now().to_string();
    let (month, day) = (now.get(..7).unwrap_or_default(), now.get(..10).unwrap_or_default());
    (format!("{month}-01"), day.to_owned())
}

async fn view(console: &Console, session: &Session, name: &str, mut asked: Asked) -> Shown {
    let unknown = || Problem::new(Fault::NotFound, "there is no such report");
    let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(unknown)?;
    if kind.takes == Takes::Span && asked.from.is_empty() && asked.to.is_empty() {
        (asked.from, asked.to) = this_month(console);
    }
    let filter = filter(kind, &asked);
    let path = match kind.name {
        "periods" => "/v1/periods".to_owned(),
        name => format!("/v1/reports/{name}{filter}"),
    };
    let view = View::new(Section::Reports, kind.title).below("Reports", "/console/reports").part(form(kind, &asked));
    // What is wrong with a span is said below the form that asks for another one.
    let found = match console.get(session, &path).await {
        Ok(found) => found,
        Err(problem) if problem.status().is_client_error() => {
            let words = problem.body(None).get("detail").map(plain).unwrap_or_default();
            return Ok(view.part(Note { tone: "bad", words }));
        }
        Err(problem) => return Err(problem),
    };
    let view = view.at(found.position).part(Note { tone: "lede", words: kind.what.to_owned() });
    let mut view = view.part_if(verdict(&found.json));
    for mut table in (kind.tables)(&found.json, session) {
        let rows = table.rows.len();
        if rows > ROWS_SHOWN {
            let rest = table.rows.split_off(ROWS_SHOWN);
            table.rows.extend(rest.into_iter().filter(|row| row.kind == "total"));
            table = table.note(format!("The first {ROWS_SHOWN} of {rows} rows, and the totals. The CSV has all of them."));
        }
        view = view.part(table);
    }
    Ok(view.part(downloads(kind, &filter)))
}

fn filter(kind: &Kind, asked: &Asked) -> String {
    let as_of = [("as_of", &*asked.as_of)];
    let span = [("from", &*asked.from), ("to", &asked.to)];
    let mut pairs: Vec<(&str, &str)> = match kind.takes {
        Takes::AsOf => as_of.into(),
        Takes::Span => span.into(),
        Takes::Nothing => Vec::new(),
    };
    match kind.name {
        "trial-balance" => pairs.extend([("rollup", &*asked.rollup), ("dimension", asked.dimension.trim())]),
        "income-statement" => pairs.extend([
            ("compare_from", &*asked.compare_from),
            ("compare_to", &asked.compare_to),
            ("dimension", asked.dimension.trim()),
        ]),
        "general-ledger" => {
            pairs.extend([("account", asked.account.trim()), ("limit", ROWS), ("cursor", &*asked.cursor)]);
        }
        _no_more => {}
    }
    query(&pairs)
}

fn form(kind: &Kind, asked: &Asked) -> Form {
    let mut fields = match kind.takes {
        Takes::AsOf => vec![Field::new("date", "as_of", "As of", asked.as_of.clone())],
        Takes::Span => {
            vec![Field::new("date", "from", "From", asked.from.clone()), Field::new("date", "to", "To", asked.to.clone())]
        }
        Takes::Nothing => Vec::new(),
    };
    let dimension = || Field::new("text", "dimension", "Only dimension", asked.dimension.clone()).hint("Such as cost_centre:100");
    match kind.name {
        "trial-balance" => {
            fields.push(dimension());
            fields.push(Field::new("checkbox", "rollup", "Accounts below their parents", asked.rollup.clone()));
        }
        "income-statement" => {
            fields.push(Field::new("date", "compare_from", "Compared with, from", asked.compare_from.clone()));
            fields.push(Field::new("date", "compare_to", "to", asked.compare_to.clone()));
            fields.push(dimension());
        }
        "general-ledger" => fields.push(Field::new("text", "account", "Account", asked.account.clone()).hint("All")),
        _no_more => {}
    }
    Form { action: format!("/console/reports/{}", kind.name), fields, button: "Show", target: "" }
}

/// The same for spreadsheets and for printers.
fn downloads(kind: &Kind, filter: &str) -> Links {
    let format =
        |words: &str, format: &str| (words.to_owned(), format!("/console/reports/{}/{format}{filter}", kind.name), false);
    match kind.name {
        "periods" => Links { label: "Downloads", links: Vec::new() },
        _report => Links { label: "Downloads", links: vec![format("CSV", "csv"), format("Page for printers", "html")] },
    }
}

/// What must be so, said in a word.
fn verdict(report: &Value) -> Option<Note> {
    let said = [
        (report["totals"].get("balanced"), "Balanced: debits and credits are equal.", "Not balanced."),
        (report.get("reconciled"), "Reconciled: stock and accounts are equal.", "Stock and accounts differ."),
    ];
    said.into_iter().find_map(|(value, yes, no)| match value {
        Some(Value::Bool(true)) => Some(Note { tone: "good", words: yes.to_owned() }),
        Some(Value::Bool(false)) => Some(Note { tone: "bad", words: no.to_owned() }),
        _not_said => None,
    })
}

fn depth(line: &Value) -> u8 {
    line["depth"].as_u64().and_then(|depth| u8::try_from(depth).ok()).unwrap_or(0)
}

fn trial_balance(report: &Value, _: &Session) -> Vec<Table> {
    let accounts = report.list("accounts");
    let is_rolled = accounts.iter().any(|line| line.has("rolled_up"));
    let mut columns =
        vec![words("Account"), words("Name"), words("Type"), figures("Debits"), figures("Credits"), figures("Balance")];
    if is_rolled {
        columns.push(figures("With accounts below"));
    }
    let mut table = Table::new("report", format!("Trial balance, {}", report.text("currency")), columns);
    for line in accounts {
        let mut cells = vec![
            account_link(&line.text("account")),
            text(line.text("name")),
            text(phrase(&line.text("account_type"))),
            number(line.text("debits")),
            number(line.text("credits")),
            number(line.text("balance")),
        ];
        if is_rolled {
            cells.push(number(line["rolled_up"].text("balance")));
        }
        table.rows.push(Row::deep(depth(line), cells));
        for c in line.list("currencies") {
            let cells = [
                code(c.text("currency")),
                text("of it, in this currency"),
                text(""),
                number(c.text("debits")),
                number(c.text("credits")),
                number(c.text("balance")),
            ];
            table.rows.push(Row { kind: "part", depth: depth(line).saturating_add(1), cells: cells.into() });
        }
    }
    let totals = &report["totals"];
    let mut cells = vec![text("Total"), text(""), text("")];
    cells.extend(["debits", "credits", "difference"].map(|field| number(totals.text(field))));
    table.rows.push(Row::total(cells));
    vec![table]
}

/// A section of a balance sheet or income statement.
fn push_section(table: &mut Table, title: &str, section: &Value, is_compared: bool) {
    table.rows.push(Row::group(title));
    for line in section.list("lines") {
        let mut cells = vec![
            account_link(&line.text("account")),
            text(line.text("name")),
            number(line.text("amount")),
            number(line.text("total")),
        ];
        if is_compared {
            cells.push(number(line.text("compared_total")));
        }
        table.rows.push(Row::deep(depth(line).saturating_add(1), cells));
    }
    let compared = is_compared.then(|| section.text("compared_total"));
    push_sum(table, &format!("Total {}", title.to_lowercase()), section.text("total"), compared);
}

fn push_sum(table: &mut Table, title: &str, sum: String, compared: Option<String>) {
    let mut cells = vec![text(title), text(""), text(""), number(sum)];
    cells.extend(compared.map(number));
    table.rows.push(Row::total(cells));
}

fn section_columns(is_compared: bool) -> Vec<Column> {
    let mut columns = vec![words("Account"), words("Name"), figures("Own"), figures("With accounts below")];
    if is_compared {
        columns.push(figures("Compared"));
    }
    columns
}

fn balance_sheet(report: &Value, _: &Session) -> Vec<Table> {
    let day = report.text("as_of");
    let title = format!("Balance sheet as of {}, {}", day.get(..10).unwrap_or(&day), report.text("currency"));
    let mut table = Table::new("report", title, section_columns(false));
    push_section(&mut table, "Assets", &report["assets"], false);
    push_section(&mut table, "Liabilities", &report["liabilities"], false);
    push_section(&mut table, "Equity", &report["equity"], false);
    let (result, totals) = (&report["result"], &report["totals"]);
    push_sum(&mut table, "Result of the year", result.text("of_the_year"), None);
    push_sum(&mut table, "Result of earlier years", result.text("of_earlier_years"), None);
    push_sum(&mut table, "Equity with results", totals.text("equity"), None);
    push_sum(&mut table, "Liabilities and equity", totals.text("liabilities_and_equity"), None);
    push_sum(&mut table, "Assets", totals.text("assets"), None);
    push_sum(&mut table, "Difference", totals.text("difference"), None);
    vec![table]
}

fn income_statement(report: &Value, _: &Session) -> Vec<Table> {
    let is_compared = report.has("compared");
    let title = format!("Income statement, {}", report.text("currency"));
    let mut table = Table::new("report", title, section_columns(is_compared));
    push_section(&mut table, "Revenue", &report["revenue"], is_compared);
    push_section(&mut table, "Expense", &report["expense"], is_compared);
    push_sum(&mut table, "Result", report.text("result"), is_compared.then(|| report.text("compared_result")));
    vec![table]
}

fn general_ledger(report: &Value, session: &Session) -> Vec<Table> {
    let mut table = Table::new("report", format!("General ledger, {}", report.text("currency")), statement_columns())
        .empty("Nothing was posted in this span.");
    for account in report.list("data") {
        let continued = if account["continued"] == true { ", continued" } else { "" };
        table.rows.push(Row::group(&format!("{} {}{continued}", account.text("account"), account.text("name"))));
        table.rows.push(standing_row("Before", &account["opening"]));
        table.rows.extend(account.list("postings").iter().map(statement_row));
        let after = if account["continues"] == true { "So far; more on the next page" } else { "After" };
        table.rows.push(standing_row(after, &account["closing"]));
    }
    vec![table.pages(&session.here, "cursor", &report.text("next_cursor"))]
}

/// A bucket's name.
fn bucket(bucket: &Value) -> String {
    match (bucket.text("from_days"), bucket.text("to_days")) {
        (from, _) if from.is_empty() => "Not due".to_owned(),
        (from, to) if to.is_empty() => format!("{from} days and more"),
        (from, to) => format!("{from} to {to} days"),
    }
}

fn aged(report: &Value, _: &Session) -> Vec<Table> {
    let buckets = report.list("buckets");
    let columns =
        [words("Party"), words("Account"), words("Open item"), words("Due"), words("Age"), words("Currency"), figures("Open")];
    let mut table = Table::new("report", "Open items", columns).empty("Nothing is open.");
    for party in report.list("parties") {
        for item in party.list("items") {
            let at = item["bucket"].as_u64().and_then(|at| usize::try_from(at).ok());
            let age = at.and_then(|at| buckets.get(at)).map_or_else(String::new, bucket);
            let paid = if item["unallocated"] == true { text("paid, not allocated") } else { code(item.text("item")) };
            table.rows.push(Row::of([
                code(party.text("party")),
                account_link(&party.text("account")),
                paid,
                time(item.text("due_at")),
                text(age),
                text(party.text("currency")),
                number(item.text("amount")),
            ]));
        }
    }
    vec![by_age(report, buckets), table]
}

/// What is open in each currency, by age.
fn by_age(report: &Value, buckets: &[Value]) -> Table {
    let ages = buckets.iter().map(|b| Column { title: bucket(b).into(), is_number: true, is_extra: false });
    let columns: Vec<Column> = std::iter::once(words("Currency")).chain(ages).chain([figures("All")]).collect();
    let row = |total: &Value| {
        let sums = total.list("buckets").iter().map(|sum| number(plain(sum)));
        let cells = std::iter::once(text(total.text("currency"))).chain(sums).chain([number(total.text("total"))]);
        Row::of(cells.collect::<Vec<_>>())
    };
    Table::new("ages", "By age", columns).empty("Nothing is open.").fill(report.list("totals"), row)
}

fn vat(report: &Value, _: &Session) -> Vec<Table> {
    let columns = [
        words("Code"),
        words("Name"),
        words("Direction"),
        figures("Rate %"),
        words("Account"),
        figures("Postings"),
        figures("Base"),
        figures("Tax"),
        figures("Expected"),
        figures("Difference"),
    ];
    let row = |line: &Value| {
        Row::of([
            code(line.text("code")),
            text(line.text("name")),
            text(line.text("direction")),
            number(line.text("rate")),
            account_link(&line.text("account")),
            number(line.text("postings")),
            number(line.text("base")),
            number(line.text("tax")),
            number(line.text("expected")),
            number(line.text("difference")),
        ])
    };
    let mut table = Table::new("report", format!("VAT, {}", report.text("currency")), columns)
        .empty("There are no tax codes.")
        .fill(report.list("lines"), row);
    let totals = &report["totals"];
    let sums = [("Output", "output_base", "output_tax"), ("Input", "input_base", "input_tax"), ("Net, to be paid", "", "net")];
    for (title, base, tax) in sums {
        let mut cells = vec![text(title)];
        cells.extend(std::iter::repeat_n(text(""), 5));
        cells.extend([number(totals.text(base)), number(totals.text(tax)), text(""), text("")]);
        table.rows.push(Row::total(cells));
    }
    vec![table]
}

fn valuation(report: &Value, _: &Session) -> Vec<Table> {
    let columns = [
        words("Item"),
        words("Name"),
        extra("Method"),
        words("Cost pool"),
        figures("Quantity"),
        figures("Unit cost"),
        figures("Value"),
    ];
    let row = |line: &Value| {
        Row::of([
            item_link(&line.text("sku")),
            text(line.text("name")),
            text(phrase(&line.text("method"))),
            code(line.text("pool")),
            number(line.text("quantity")),
            number(line.text("unit_cost")),
            number(line.text("value")),
        ])
    };
    let title = format!("Inventory valuation, {}", report.text("currency"));
    let mut table = Table::new("report", title, columns).fill(report.list("lines"), row);
    let sums = [("Value of all stock", "value"), ("Inventory accounts", "inventory_accounts"), ("Difference", "difference")];
    table.rows.extend(sums.map(|(title, field)| sum_row(title, 5, report["totals"].text(field))));
    vec![table]
}

/// A total with so many empty cells between its title and its figure.
fn sum_row(title: &str, between: usize, sum: String) -> Row {
    let mut cells: Vec<Show> = vec![text(title)];
    cells.extend(std::iter::repeat_n(text(""), between));
    cells.push(number(sum));
    Row::total(cells)
}

fn reconciliation(report: &Value, _: &Session) -> Vec<Table> {
    let columns = [words("Account"), words("Name"), figures("Balance")];
    let row =
        |line: &Value| Row::of([account_link(&line.text("account")), text(line.text("name")), number(line.text("balance"))]);
    let mut table = Table::new("report", "Inventory accounts", columns).fill(report.list("inventory_accounts"), row);
    let sums = [("Inventory accounts", "inventory_total"), ("Value of all stock", "stock_value"), ("Difference", "difference")];
    table.rows.extend(sums.map(|(title, field)| sum_row(title, 1, report.text(field))));
    vec![table]
}

fn periods(report: &Value, _: &Session) -> Vec<Table> {
    let columns = [
        words("Period"),
        words("Status"),
        words("Fiscal year"),
        words("Closed"),
        words("Reopened"),
        words("Reason"),
        figures("Seal at position"),
        extra("Root of the balances"),
    ];
    let row = |period: &Value| {
        let seal = &period["seal"];
        Row::of([
            code(period.text("id")),
            crate::console::part::status(period.text("status")),
            text(period.text("fiscal_year")),
            time(period.text("closed_at")),
            time(period.text("reopened_at")),
            text(period.text("reason")),
            crate::console::part::event_link(&seal.text("position")),
            code(seal.text("balances_root")),
        ])
    };
    vec![Table::new("report", "Accounting periods", columns).fill(report.list("data"), row)]
}

/// A report as a file or a page of its own, with the session's credential.
pub(in crate::console) async fn download(
    session: Session,
    State(console): State<Console>,
    Path((name, format)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let unknown = || Problem::new(Fault::NotFound, "there is no such report");
    let kind = KINDS.iter().find(|kind| kind.name == name && kind.name != "periods");
    let format = ["csv", "html"].into_iter().find(|known| *known == format);
    let (Some(kind), Some(format)) = (kind, format) else { return session.show(&console, Err(unknown())).await };
    // Files have all rows: pages are for JSON.
    let asked = Asked { cursor: String::new(), ..asked };
    let filter = filter(kind, &asked).replace(&format!("limit={ROWS}"), "").replace("&&", "&");
    let sign = if filter.is_empty() { "?" } else { "&" };
    let path = format!("/v1/reports/{}{filter}{sign}format={}", encode(kind.name), encode(format));
    let (none, empty) = (axum::http::HeaderMap::new(), axum::body::Body::empty());
    match console.send(&session, axum::http::Method::GET, &path, none, empty).await {
        Ok(response) => response,
        Err(problem) => session.show(&console, Err(problem)).await,
    }
}
