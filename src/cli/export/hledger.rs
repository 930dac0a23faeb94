//! Books for hledger (1.25 and later).
//!
//! **Shape**: commodities and accounts are declared, so that `hledger check --strict` passes; then transactions and prices
//! in the order of the log, which hledger sorts by day itself. What is known of an event or of goods are tags.
//! **Correctness**: `3 "TEA" @@ 10.00 GBP` is a total, kept as it is: hledger's numbers are exact decimals and nothing is
//! divided. A total has no sign, so where quantity and value differ in theirs, the value is a posting of its own. Foreign
//! currencies stand the same way, at the value in the base currency that they were posted at.

use std::collections::HashMap;
use std::io::{self, Write};

use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::catalogue::event::AccountDefinition;
use ledger_core::domain::event::Posting;
use ledger_core::domain::id::{AccountCode, CurrencyCode, Sku};
use ledger_core::domain::stock::event::Movement;
use ledger_core::view::decimal;

use super::journal::{self, Catalogue, Line, Syntax, Transaction, facts, goods_facts, narration};
use super::names::{self, Names, percent};

/// Longer than any code of ours, so that none is cut.
const NAME_CHARS_MAX: usize = 512;

/// Names.
#[derive(Debug)]
pub(super) struct Hledger {
    accounts: HashMap<AccountCode, String>,
    /// In quotes.
    items: HashMap<Sku, String>,
    currencies: HashMap<CurrencyCode, String>,
    base: String,
}

impl Syntax for Hledger {
    fn new(all: &Catalogue) -> Self {
        let mut commodities = Names::new('~', NAME_CHARS_MAX);
        let base = quoted(&commodities.take(&commodity(all.currency())));
        // Before the items: one that is called like a currency gives way.
        let currencies = all.currencies.keys().map(|c| (c.clone(), quoted(&commodities.take(&commodity(c.as_str()))))).collect();
        Self {
            currencies,
            accounts: names::accounts(&all.accounts, &mut Names::new('~', NAME_CHARS_MAX), account_part),
            items: all.items.iter().map(|i| (i.sku.clone(), quoted(&commodities.take(&commodity(i.sku.as_str()))))).collect(),
            base,
        }
    }

    fn head(&self, out: &mut impl Write, all: &Catalogue) -> io::Result<()> {
        let title = all.tenant.as_ref().map_or("", |t| t.name.as_str());
        writeln!(out, "; {}", one_line(title))?;
        writeln!(out, "decimal-mark .\n\ncommodity {} {}", format_of(all.money()), self.base)?;
        for (code, scale) in &all.currencies {
            writeln!(out, "commodity {} {}", format_of(*scale), self.currencies.get(code).map_or("", String::as_str))?;
        }
        for item in &all.items {
            let known = [("sku", item.sku.as_str()), ("name", item.name.as_str()), ("unit", item.unit.as_str())];
            let known = tags(known.map(|(key, value)| (key, value.to_owned())));
            writeln!(out, "commodity {} {}  ; {known}", format_of(item.scale), self.item(&item.sku))?;
        }
        writeln!(out)?;
        for account in &all.accounts {
            let known = [
                ("type", letter(account.account_type).to_owned()),
                ("code", account.code.to_string()),
                ("name", account.name.to_string()),
            ];
            writeln!(out, "account {}  ; {}", self.account(&account.code), tags(known))?;
        }
        Ok(())
    }

    fn transaction(&mut self, out: &mut impl Write, t: &Transaction<'_>) -> io::Result<()> {
        if t.lines.is_empty() {
            return Ok(());
        }
        let (event, position) = (&t.recorded.fact.event, t.recorded.position);
        writeln!(out, "\n{} * ({position}) {}", t.day, one_line(&narration(event)))?;
        let known = [("type", event.type_name().to_owned())].into_iter().chain(facts(t.recorded));
        writeln!(out, "    ; {}", tags(known))?;
        for line in &t.lines {
            match *line {
                Line::Goods { account, movement } => self.goods(out, account, movement)?,
                Line::Posting { posting, money } => self.posting(out, posting, money)?,
                Line::Rest { account, amount, money } => {
                    writeln!(out, "    {}  {} {}", self.account(account), super::amount(amount, money), self.base)?;
                }
            }
        }
        Ok(())
    }

    fn price(&self, out: &mut impl Write, day: &str, sku: &Sku, cost: &str) -> io::Result<()> {
        writeln!(out, "\nP {day} {} {cost} {}", self.item(sku), self.base)
    }
}

impl Hledger {
    fn account(&self, code: &AccountCode) -> &str {
        self.accounts.get(code).map_or("", String::as_str)
    }

    fn item(&self, sku: &Sku) -> &str {
        self.items.get(sku).map_or("", String::as_str)
    }

    /// A posting; one in a foreign currency with the total it is carried at.
    fn posting(&self, out: &mut impl Write, p: &Posting, money: u8) -> io::Result<()> {
        let (account, base) = (self.account(&p.account), &self.base);
        let mut value = p.amount;
        if let Some((code, units, scale)) = p.foreign().filter(|(_, units, _)| *units != 0) {
            let currency = self.currencies.get(code).map_or("", String::as_str);
            let total = if units.signum() == value.signum() { std::mem::take(&mut value) } else { 0 };
            let (units, total) = (decimal(units, scale), decimal(total.saturating_abs(), money));
            writeln!(out, "    {account}  {units} {currency} @@ {total} {base}")?;
            if value == 0 {
                return Ok(());
            }
        }
        writeln!(out, "    {account}  {} {base}", decimal(value, money))
    }

    /// A movement, layer by layer.
    fn goods(&self, out: &mut impl Write, account: &AccountCode, m: &Movement) -> io::Result<()> {
        let (account, item, base) = (self.account(account), self.item(&m.sku), &self.base);
        // Once, wherever it stands: serials can be ten thousand.
        let mut serials = m.serials().iter().map(|s| ("serial", s.to_string())).collect::<Vec<_>>();
        for part in journal::parts(m) {
            let layer = part.layer.map(|number| ("layer", number.to_string()));
            let known = [("item", m.sku.to_string())].into_iter().chain(goods_facts(m)).chain(layer);
            let known = tags(known.chain(std::mem::take(&mut serials)));
            let agree = part.quantity.signum().saturating_mul(part.value.signum()) > 0;
            let total = if agree { part.value.saturating_abs() } else { 0 };
            if part.quantity != 0 {
                let (quantity, total) = (decimal(part.quantity, m.scale), decimal(total, m.money));
                writeln!(out, "    {account}  {quantity} {item} @@ {total} {base}  ; {known}")?;
            }
            if part.value != 0 && !agree {
                writeln!(out, "    {account}  {} {base}  ; {known}", decimal(part.value, m.money))?;
            }
        }
        Ok(())
    }
}

/// How amounts of a commodity look: the decimal mark always stands.
fn format_of(scale: u8) -> String {
    format!("1000.{:0<width$}", "", width = usize::from(scale))
}

const fn letter(account_type: AccountType) -> &'static str {
    match account_type {
        AccountType::Asset => "A",
        AccountType::Liability => "L",
        AccountType::Equity => "E",
        AccountType::Revenue => "R",
        AccountType::Expense => "X",
    }
}

/// A code as a commodity; quotes allow all but themselves and the comment sign.
fn commodity(code: &str) -> String {
    code.replace('"', "'").replace(';', ",")
}

fn quoted(commodity: &str) -> String {
    if !commodity.is_empty() && commodity.chars().all(|c| c.is_ascii_alphabetic()) {
        return commodity.to_owned();
    }
    format!("\"{commodity}\"")
}

/// Code and name as a part of an account's name: single blanks, no level and no comment begins inside.
fn account_part(account: &AccountDefinition) -> String {
    let both = format!("{} {}", account.code, account.name);
    let blanks: Vec<&str> = both.split_whitespace().collect();
    percent(&blanks.join(" "), |c| matches!(c, ':' | ';'))
}

/// Text where a comment may follow.
fn one_line(text: &str) -> String {
    percent(text, |c| c == ';' || c.is_control())
}

/// Tags of a comment. A value ends at a comma, and a bracket may begin a date.
fn tags(known: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let tag = |(key, value): (&str, String)| format!("{key}:{}", percent(&value, |c| matches!(c, ',' | '[') || c.is_control()));
    known.into_iter().map(tag).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::id::Text;

    use super::super::journal::tests::movement;
    use super::*;

    #[test]
    fn names_hold_nothing_the_syntax_reads_otherwise() {
        assert_eq!(
            ["GBP", "85123A", "a \"b\"; c", "tea"].map(|c| quoted(&commodity(c))),
            ["GBP", "\"85123A\"", "\"a 'b', c\"", "tea"]
        );
        let (code, name) = (AccountCode::parse("1:3").unwrap(), Text::parse("In  (x);\n\ty 5%").unwrap());
        let account = AccountDefinition::new(code, name, AccountType::Asset);
        assert_eq!(account_part(&account), "1%3A3 In (x)%3B y 5%");
        assert_eq!(one_line("a; b | c\n2"), "a%3B b | c%0A2");
        assert_eq!(tags([("lot", "a, [1/2]".to_owned()), ("of", "3.0".to_owned())]), "lot:a%2C %5B1/2], of:3.0");
    }

    #[test]
    fn a_value_of_the_other_sign_is_a_posting_of_its_own() {
        let sku = Sku::parse("X").unwrap();
        let accounts = HashMap::from([(AccountCode::default(), "Assets:S".to_owned())]);
        let (items, currencies) = (HashMap::from([(sku, "X".to_owned())]), HashMap::new());
        let books = Hledger { accounts, items, currencies, base: "GBP".into() };
        let see = |m: &Movement| {
            let mut out = Vec::new();
            books.goods(&mut out, &AccountCode::default(), m).unwrap();
            let text = String::from_utf8(out).unwrap();
            text.lines().filter_map(|l| l.split_once("  ;")).map(|(line, _)| line.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(see(&movement(-3, -1000, &[])), ["Assets:S  -3 X @@ 10.00 GBP"]);
        assert_eq!(see(&movement(3, 0, &[])), ["Assets:S  3 X @@ 0.00 GBP"]);
        assert_eq!(see(&movement(3, -5, &[])), ["Assets:S  3 X @@ 0.00 GBP", "Assets:S  -0.05 GBP"]);
        assert_eq!(
            see(&movement(-3, -7, &[(1, -2, -7), (2, 0, 3)])),
            ["Assets:S  -2 X @@ 0.07 GBP", "Assets:S  0.03 GBP", "Assets:S  -1 X @@ 0.03 GBP"]
        );
    }
}
