//! Accounts: the chart with balances, and one account's statement.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::Value;

use super::ROWS;
use crate::console::Console;
use crate::console::ask::{Fields, plain};
use crate::console::frame::{Section, Shown, View};
use crate::console::part::{
    Facts, Field, Form, Row, Show, Table, Tile, Tiles, account_link, code, encode, event_link, extra, figures, link, number,
    phrase, query, status, stream_link, text, time, words,
};
use crate::console::session::Session;

/// What lists take.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Asked {
    search: String,
    cursor: String,
}

pub(in crate::console) async fn list(session: Session, State(console): State<Console>, Query(asked): Query<Asked>) -> Response {
    let shown = view(&console, &session, &asked).await;
    session.show(&console, shown).await
}

async fn view(console: &Console, session: &Session, asked: &Asked) -> Shown {
    let asking = query(&[("limit", ROWS), ("search", asked.search.trim()), ("cursor", &asked.cursor)]);
    let found = console.get(session, &format!("/v1/accounts{asking}")).await?;
    let accounts = found.json.list("data");
    let paths: Vec<String> =
        accounts.iter().map(|account| format!("/v1/accounts/{}/balance", encode(&account.text("code")))).collect();
    let balances = join_all(paths.iter().map(|path| console.get(session, path))).await;
    let balances = balances.into_iter().collect::<Result<Vec<_>, _>>()?;
    let columns = [
        words("Account"),
        words("Name"),
        words("Type"),
        words("Below"),
        words("Currency"),
        figures("Debits"),
        figures("Credits"),
        figures("Balance"),
        figures("Pending"),
        words(""),
    ];
    let mut table = Table::new("accounts", "Accounts", columns)
        .quiet()
        .empty("No account has these words in its code or name.")
        .pages(&session.here, "cursor", &found.json.text("next_cursor"))
        .note("Balances are debits less credits, in the base currency, of each account alone.");
    table.rows.extend(accounts.iter().zip(&balances).map(|(account, balance)| account_row(account, &balance.json)));
    let form = Form {
        action: "/console/accounts".into(),
        fields: vec![Field::new("search", "search", "Search", asked.search.clone()).hint("Code or words of the name")],
        button: "Search",
        target: "accounts",
    };
    Ok(View::new(Section::Accounts, "Accounts").at(found.position).part(form).part(table))
}

fn account_row(account: &Value, balance: &Value) -> Row {
    let currency = account.text("currency");
    Row::of([
        account_link(&account.text("code")),
        text(account.text("name")),
        text(phrase(&account.text("account_type"))),
        account_link(&account.text("parent")),
        text(if currency.is_empty() { "any".to_owned() } else { currency }),
        number(balance.text("debits")),
        number(balance.text("credits")),
        number(balance.text("balance")),
        pending(balance),
        status(if account["retired"] == true { "retired" } else { "" }),
    ])
}

/// What is pending on either side; nothing where that is zero.
fn pending(balance: &Value) -> Show {
    let side = |field: &str, word: &str| {
        let amount = balance.text(field);
        let is_zero = amount.bytes().all(|b| matches!(b, b'0' | b'.'));
        if is_zero { text("") } else { Show::Many(vec![number(amount), text(word)]) }
    };
    let sides = [side("pending_debits", "Dr"), side("pending_credits", "Cr")];
    Show::Many(sides.into_iter().filter(|show| !show.html().is_empty()).collect())
}

/// Which postings.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::console) struct Span {
    from: String,
    to: String,
    order: String,
    cursor: String,
}

pub(in crate::console) async fn show(
    session: Session,
    State(console): State<Console>,
    Path(account): Path<String>,
    Query(span): Query<Span>,
) -> Response {
    let shown = one(&console, &session, &account, &span).await;
    session.show(&console, shown).await
}

async fn one(console: &Console, session: &Session, name: &str, span: &Span) -> Shown {
    let path = format!("/v1/accounts/{}", encode(name));
    let filter = [("limit", ROWS), ("from", &*span.from), ("to", &span.to), ("order", &span.order), ("cursor", &span.cursor)];
    let (balance, statement) = (format!("{path}/balance"), format!("{path}/statement{}", query(&filter)));
    let (account, balance, statement) =
        tokio::join!(console.get(session, &path), console.get(session, &balance), console.get(session, &statement));
    let (account, balance, statement) = (account?.json, balance?.json, statement?);
    let title = format!("{} {}", account.text("code"), account.text("name"));
    Ok(View::new(Section::Accounts, title.trim())
        .below("Accounts", "/console/accounts")
        .at(statement.position.clone())
        .part(tiles(&balance))
        .part(facts(name, &account, &balance))
        .part_if(currencies(&balance))
        .part(form(name, span))
        .part(statement_table(session, &statement.json)))
}

fn tiles(balance: &Value) -> Tiles {
    let tile = |label, field: &str| Tile { label, figure: number(balance.text(field)), beside: Vec::new(), href: None };
    Tiles {
        tiles: vec![
            tile("Balance", "normal_balance"),
            tile("Available", "available"),
            tile("Debits", "debits"),
            tile("Credits", "credits"),
            tile("Pending debits", "pending_debits"),
            tile("Pending credits", "pending_credits"),
        ],
    }
}

fn facts(name: &str, account: &Value, balance: &Value) -> Facts {
    let required = account.list("required_dimensions").iter().map(plain).collect::<Vec<_>>().join(", ");
    Facts::new(
        "",
        [
            ("Type", text(phrase(&account.text("account_type")))),
            ("Grows on", text(balance.text("normal_side"))),
            ("Below", account_link(&account.text("parent"))),
            ("Currency", text(account.text("currency"))),
            ("Lowest balance", number(account.text("minimum"))),
            ("Highest balance", number(account.text("maximum"))),
            ("Takes", text(if account["holds_inventory"] == true { "stock facts only" } else { "" })),
            ("Needs dimensions", text(required)),
            ("State", status(if account["retired"] == true { "retired" } else { "" })),
            ("Defined by", event_link(&account.text("position"))),
            ("History", link(super::event::stream_path(&format!("account-{name}")), text("Its events"))),
        ],
    )
}

/// What it holds in each currency, where that is more than the base currency.
fn currencies(balance: &Value) -> Option<Table> {
    let list = balance.list("currencies");
    let row = |c: &Value| {
        Row::of([
            text(c.text("currency")),
            number(c.text("debits")),
            number(c.text("credits")),
            number(c.text("balance")),
            number(c.text("base_balance")),
        ])
    };
    let columns =
        [words("Currency"), figures("Debits"), figures("Credits"), figures("Balance"), figures("Balance in the base currency")];
    (list.len() > 1).then(|| Table::new("currencies", "By currency", columns).fill(list, row))
}

fn form(name: &str, span: &Span) -> Form {
    let orders = [("", "By effective time"), ("recorded", "By recording")];
    Form {
        action: format!("/console/accounts/{}", encode(name)),
        fields: vec![
            Field::new("date", "from", "From", span.from.clone()),
            Field::new("date", "to", "To", span.to.clone()),
            Field::select("order", "Order", span.order.clone(), orders),
        ],
        button: "Show",
        target: "statement",
    }
}

/// The columns of postings with running balances.
pub(super) fn statement_columns() -> [crate::console::part::Column; 8] {
    [
        figures("Position"),
        words("Effective"),
        words("From"),
        words("Description"),
        extra("Party, item"),
        figures("Debit"),
        figures("Credit"),
        figures("Balance"),
    ]
}

/// A posting with the balance after it.
pub(super) fn statement_row(line: &Value) -> Row {
    let is_zero = |amount: &str| amount.bytes().all(|b| matches!(b, b'0' | b'.'));
    // The other side's zero says nothing.
    let amount = |field: &str| {
        let amount = line.text(field);
        if is_zero(&amount) { text("") } else { number(amount) }
    };
    let foreign = ["currency_debit", "currency_credit"].map(|field| line.text(field));
    let foreign = foreign.into_iter().find(|amount| !is_zero(amount));
    let foreign = foreign.map_or_else(String::new, |amount| format!("{amount} {}", line.text("currency")));
    let described = if line.has("description") { line.text("description") } else { phrase(&line.text("type")) };
    let words = [described, line.text("memo"), line.text("reference"), foreign];
    let words: Vec<String> = words.into_iter().filter(|w| !w.is_empty()).collect();
    Row::of([
        event_link(&line.text("position")),
        time(line.text("effective_at")),
        stream_link(&line.text("stream")),
        text(words.join(" · ")),
        Show::Many(vec![code(line.text("party")), code(line.text("item"))]),
        amount("debit"),
        amount("credit"),
        number(line.text("balance")),
    ])
}

/// A row that only has a balance.
pub(super) fn standing_row(words: &str, standing: &Value) -> Row {
    let mut cells = vec![text(""), text(""), text(words)];
    cells.extend(std::iter::repeat_n(text(""), 4));
    cells.push(number(standing.text("balance")));
    Row { kind: "total", depth: 0, cells }
}

fn statement_table(session: &Session, statement: &Value) -> Table {
    let list = statement.list("data");
    let mut table = Table::new("statement", "Statement", statement_columns()).empty("Nothing was posted in this span.");
    if !list.is_empty() {
        table.rows.push(standing_row("Before", &statement["opening"]));
        table.rows.extend(list.iter().map(statement_row));
        table.rows.push(standing_row("After", &statement["closing"]));
    }
    table
        .pages(&session.here, "cursor", &statement.text("next_cursor"))
        .note("Balances are debits less credits, in the base currency.")
}
