//! [`Book`] → commands: dimensions and accounts, the opening, the vouchers in the file's order.
//!
//! **Correctness**: an entry's id is made of the year and the voucher's own number, so the same voucher in a later file of
//! the same year is refused as known, not posted twice. What has no such number takes the file's digest and its line.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use ledger_core::domain::state::Ledger;
use serde_json::{Map, Value, json};

use super::super::entry::{Entry, Line};
use super::super::journal::opening_key;
use super::super::row::{Draft, Unsent};
use super::{Account, Book, Opening, Trans, Voucher, reserved};

/// The currency of a file that names none.
const CURRENCY: &str = "SEK";
/// Characters of the file's digest in an id.
const DIGEST_CHARS: usize = 12;

/// How the book comes into a ledger.
pub(in crate::cli::import) struct Plan<'a> {
    pub(in crate::cli::import) ledger: &'a Ledger,
    /// Of the file.
    pub(in crate::cli::import) digest: &'a str,
    /// Begins every entry's id.
    pub(in crate::cli::import) prefix: &'a str,
    pub(in crate::cli::import) balance_opening_to: Option<&'a str>,
    pub(in crate::cli::import) without_opening: bool,
}

/// Everything the book asks for, and what is wrong with it.
///
/// # Errors
/// A book in another currency than the ledger.
pub(in crate::cli::import) fn drafts(book: &Book, plan: &Plan<'_>) -> Result<Vec<Draft>> {
    let currency = book.about.currency.as_deref().unwrap_or(CURRENCY);
    let base = plan.ledger.tenant().map_or(currency, |tenant| tenant.currency.as_str());
    ensure!(currency == base, "the book is kept in {currency}, the tenant's ledger in {base}");
    let codes = dimension_codes(book);
    let mut drafts: Vec<Draft> =
        book.faults.iter().map(|fault| Draft::new(fault.line, Err(Unsent::Malformed(fault.clone().into())))).collect();
    drafts.extend(codes.iter().map(|(number, code)| dimension(book, number, code)));
    drafts.extend(book.accounts.iter().map(|(code, account)| define(plan.ledger, code, account)));
    if let (Some(opening), false) = (&book.opening, plan.without_opening) {
        drafts.push(opened(book, opening, plan));
    }
    let mut taken = BTreeMap::new();
    drafts.extend(book.vouchers.iter().map(|voucher| posted(book, voucher, plan, &codes, &mut taken)));
    Ok(drafts)
}

/// The dimensions that rows name, each with a code of its own.
fn dimension_codes(book: &Book) -> BTreeMap<String, String> {
    let named = book.vouchers.iter().flat_map(|voucher| &voucher.rows).flat_map(|row| &row.objects);
    let numbers: BTreeSet<&String> = named.map(|(dimension, _)| dimension).collect();
    let (mut codes, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for number in numbers {
        let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
        let mut code: String = name_of(book, number).to_lowercase().chars().map(plain).collect();
        if !taken.insert(code.clone()) {
            code = format!("{code}_{number}");
            taken.insert(code.clone());
        }
        codes.insert(number.clone(), code);
    }
    codes
}

fn name_of(book: &Book, number: &str) -> String {
    book.dimensions.get(number).map_or_else(|| reserved(number), |dimension| dimension.name.clone())
}

fn dimension(book: &Book, number: &str, code: &str) -> Draft {
    let line = book.dimensions.get(number).map_or(0, |dimension| dimension.line);
    let command = json!({"type": "define_dimension", "code": code, "name": name_of(book, number)});
    Draft { key: format!("dimension-{number}"), ..Draft::new(line, Ok(command)) }
}

/// What the tenant says of an account beyond its name and type stays as it is.
fn define(ledger: &Ledger, code: &str, account: &Account) -> Draft {
    let known = ledger.account(code).map(|(_, known)| &known.definition);
    if known.is_some_and(|k| k.name.as_str() == account.name && k.account_type == account.account_type) {
        return Draft::new(account.line, Err(Unsent::Unchanged));
    }
    let command = || -> Result<Value> {
        let mut command = known.map_or_else(|| Ok(json!({"code": code})), serde_json::to_value)?;
        command["type"] = "define_account".into();
        command["name"] = account.name.as_str().into();
        command["account_type"] = serde_json::to_value(account.account_type)?;
        Ok(command)
    };
    Draft::new(account.line, command().map_err(Unsent::Malformed))
}

fn opened(book: &Book, opening: &Opening, plan: &Plan<'_>) -> Draft {
    let (Some(year), None) = (&book.year, &opening.fault) else {
        let why = opening.fault.clone().map_or_else(|| anyhow::anyhow!("the year is not known"), Into::into);
        return Draft::new(opening.line, Err(Unsent::Malformed(why)));
    };
    let rows = opening.rows.iter().cloned();
    let lines = rows.map(|row| Line { account: row.account, amount: row.amount, detail: Map::new() }).collect();
    let draft = match Entry::opening(plan.prefix, &year.start, lines, plan.balance_opening_to) {
        Ok(entry) => Draft::of_entry(opening.line, entry),
        Err(why) => Draft::new(opening.line, Err(why.into())),
    };
    Draft { key: opening_key(&year.start, plan.balance_opening_to), ..draft }
}

fn posted(
    book: &Book,
    voucher: &Voucher,
    plan: &Plan<'_>,
    codes: &BTreeMap<String, String>,
    taken: &mut BTreeMap<String, u32>,
) -> Draft {
    let id = id_of(book, voucher, plan, taken);
    if let Some(fault) = &voucher.fault {
        let draft = Draft::new(voucher.line, Err(Unsent::Malformed(fault.clone().into())));
        return Draft { entry: Some(id), ..draft };
    }
    let reference = format!("{}{}", voucher.series, voucher.number);
    let entry = Entry {
        id,
        effective_at: voucher.date.as_ref().map(|day| day.midnight()),
        description: voucher.text.clone(),
        reference: Some(reference).filter(|reference| !reference.is_empty()),
        series: None,
        lines: voucher.rows.iter().map(|row| line(row, codes)).collect(),
    };
    Draft::of_entry(voucher.line, entry)
}

/// Programs repeat a number, some give none: the second of a number is told by its place among them.
fn id_of(book: &Book, voucher: &Voucher, plan: &Plan<'_>, taken: &mut BTreeMap<String, u32>) -> String {
    let prefix = plan.prefix;
    let id = match &book.year {
        Some(year) if !voucher.number.is_empty() => {
            let series = if voucher.series.is_empty() { String::new() } else { format!("-{}", voucher.series) };
            format!("{prefix}{}{series}-{}", year.start, voucher.number)
        }
        Some(_) | None => {
            let digest: String = plan.digest.chars().take(DIGEST_CHARS).collect();
            format!("{prefix}{digest}-{}", voucher.line)
        }
    };
    let times = taken.entry(id.clone()).or_default();
    *times = times.saturating_add(1);
    if *times == 1 { id } else { format!("{id}~{times}") }
}

fn line(row: &Trans, codes: &BTreeMap<String, String>) -> Line {
    let mut detail = Map::new();
    let code = |number: &String| codes.get(number).unwrap_or(number).clone();
    if !row.objects.is_empty() {
        let dimensions = row.objects.iter().map(|(number, object)| (code(number), object.as_str().into()));
        detail.insert("dimensions".to_owned(), Value::Object(dimensions.collect()));
    }
    if let Some(text) = &row.text {
        detail.insert("memo".to_owned(), text.as_str().into());
    }
    Line { account: row.account.clone(), amount: row.amount, detail }
}
