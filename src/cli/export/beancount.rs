//! Books for Beancount (2.3 and 3).
//!
//! **Shape**: every account is opened on the day of the first fact, without lot matching (booking `NONE`): which goods left
//! was decided here. Goods are lots, `3 TEA {2.50 GBP, 2011-01-04, "layer 7"}`, and as Beancount's own documentation advises
//! each item has an account of its own below the one that holds its value, `Assets:1300-Inventory:TEA`: reports sum them up,
//! an item's value is there to read, and booking stays quick (with every transaction it copies all lots of its accounts).
//! **Correctness**: Beancount knows a lot's cost per unit only; even `{{10.00 GBP}}` for three is divided and multiplied
//! again, to 9.999…. So a layer keeps the unit cost it began with, cut to decimals that multiply exactly, for all its
//! life (what comes in and what goes out meet in one lot and leave nothing), and what a movement is worth beyond that
//! stands beside it in the account as plain currency: rounding, landed cost, revaluation. Goods without layers (averages,
//! standard cost, below zero) have no cost of their own: they are one lot `pool` at zero, and all their value stands beside
//! it; `@` shows the rate. So balances at cost are ours to the last digit.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use ledger_core::domain::catalogue::event::AccountDefinition;
use ledger_core::domain::event::Posting;
use ledger_core::domain::id::{AccountCode, CurrencyCode, Sku};
use ledger_core::domain::stock::event::Movement;
use ledger_core::view::decimal;

use super::journal::{self, COST_DECIMALS, Catalogue, Line, Part, Syntax, Transaction, facts, goods_facts, narration, shown};
use super::names::{self, Names};

/// Characters of a commodity in 2.3.
const COMMODITY_CHARS_MAX: usize = 24;
/// Characters of one part of an account's name: code and name of ours are longer only to bad purpose.
const PART_CHARS_MAX: usize = 80;
/// Decimals of quantity and unit cost together: with 28 digits (Python's decimal context) 16 stay for whole amounts.
const PRODUCT_DECIMALS_MAX: u8 = 12;
/// Digits of a lot's cost: one less than Python keeps.
const PRODUCT_DIGITS_MAX: u32 = 27;

/// Names, and the layers that are open.
#[derive(Debug)]
pub(super) struct Beancount {
    accounts: HashMap<AccountCode, String>,
    items: HashMap<Sku, Item>,
    currencies: BTreeMap<CurrencyCode, String>,
    base: String,
    first_day: String,
    layers: HashMap<Sku, BTreeMap<i64, Layer>>,
}

/// What an item is called.
#[derive(Debug)]
struct Item {
    commodity: String,
    /// Its part of an account's name.
    part: String,
}

/// A layer as a lot.
#[derive(Clone, Debug)]
struct Layer {
    /// `{2.50 GBP, 2011-01-04, "layer 7"}`; `None` for one that began inside the pool.
    lot: Option<String>,
    /// Units of `decimals`.
    cost: i128,
    decimals: u8,
    scale: u8,
    quantity: i64,
}

/// Value beside the lots of an item, with the decimals of quantity and unit cost together.
#[derive(Clone, Copy, Debug)]
struct Beside<'a> {
    account: &'a AccountCode,
    movement: &'a Movement,
    value: i128,
}

impl Syntax for Beancount {
    fn new(all: &Catalogue) -> Self {
        let mut commodities = Names::new('-', COMMODITY_CHARS_MAX);
        // Words that are no commodities.
        for word in ["TRUE", "FALSE", "NULL"] {
            commodities.take(word);
        }
        let base = commodities.take(&commodity(all.currency()));
        // Before the items: one that is called like a currency gives way.
        let currencies = all.currencies.keys().map(|c| (c.clone(), commodities.take(&commodity(c.as_str())))).collect();
        let mut parts = Names::new('-', PART_CHARS_MAX);
        let accounts = names::accounts(&all.accounts, &mut parts, account_part);
        let mut item = |sku: &Sku| {
            let commodity = commodities.take(&commodity(sku.as_str()));
            let part = parts.take(&commodity.replace(['.', '_', '\''], "-"));
            Item { commodity, part }
        };
        Self {
            accounts,
            items: all.items.iter().map(|i| (i.sku.clone(), item(&i.sku))).collect(),
            currencies,
            base,
            first_day: all.first_day(),
            layers: HashMap::new(),
        }
    }

    fn head(&self, out: &mut impl Write, all: &Catalogue) -> io::Result<()> {
        let first = &self.first_day;
        let title = all.tenant.as_ref().map_or("", |t| t.name.as_str());
        writeln!(out, "option \"title\" {}", quoted(title))?;
        writeln!(out, "option \"operating_currency\" {}", quoted(&self.base))?;
        writeln!(out, "\n{first} commodity {}", self.base)?;
        for (code, currency) in &self.currencies {
            writeln!(out, "{first} commodity {currency}")?;
            meta(out, 2, [("currency", code.to_string())])?;
        }
        for item in &all.items {
            writeln!(out, "{first} commodity {}", self.item(&item.sku))?;
            let known = [("sku", item.sku.as_str()), ("name", item.name.as_str()), ("unit", item.unit.as_str())];
            meta(out, 2, known.map(|(key, value)| (key, value.to_owned())))?;
        }
        writeln!(out)?;
        for account in &all.accounts {
            writeln!(out, "{first} open {} \"NONE\"", self.account(&account.code))?;
            meta(out, 2, [("code", account.code.to_string()), ("name", account.name.to_string())])?;
        }
        for (account, sku) in &all.held {
            writeln!(out, "{first} open {} \"NONE\"", self.holding(account, sku))?;
            meta(out, 2, [("code", account.to_string()), ("sku", sku.to_string())])?;
        }
        Ok(())
    }

    fn transaction(&mut self, out: &mut impl Write, t: &Transaction<'_>) -> io::Result<()> {
        let mut body = Vec::new();
        let mut beside: Option<Beside<'_>> = None;
        for line in &t.lines {
            match *line {
                Line::Goods { account, movement } => {
                    let more = self.goods(&mut body, &t.day, account, movement)?;
                    // What is carried from place to place inside an account leaves the account's value as it is.
                    let carried = |b: &Beside<'_>| (b.account, &b.movement.sku) == (account, &movement.sku);
                    beside = match beside.filter(|b| carried(b) && movement.postings.is_empty()) {
                        Some(b) => Some(Beside { value: b.value.saturating_add(more.value), ..b }),
                        None => {
                            self.beside(&mut body, beside)?;
                            Some(more)
                        }
                    };
                    if !movement.postings.is_empty() {
                        self.beside(&mut body, beside.take())?;
                    }
                }
                Line::Posting { posting, money } => self.posting(&mut body, posting, money)?,
                Line::Rest { account, amount, money } => {
                    writeln!(body, "  {}  {} {}", self.account(account), super::amount(amount, money), self.base)?;
                }
            }
        }
        self.beside(&mut body, beside)?;
        self.forget_empty(&t.lines);
        if let Some((account, sku)) = t.pooled {
            self.pool_layers(&mut body, account, sku)?;
        }
        if body.is_empty() {
            return Ok(());
        }
        let event = &t.recorded.fact.event;
        writeln!(out, "\n{} * {} #{}", t.day, quoted(&narration(event)), event.type_name())?;
        meta(out, 2, facts(t.recorded))?;
        out.write_all(&body)
    }

    fn price(&self, out: &mut impl Write, day: &str, sku: &Sku, cost: &str) -> io::Result<()> {
        writeln!(out, "{day} price {} {cost} {}", self.item(sku), self.base)
    }
}

impl Beancount {
    fn account(&self, code: &AccountCode) -> &str {
        self.accounts.get(code).map_or("", String::as_str)
    }

    fn item(&self, sku: &Sku) -> &str {
        self.items.get(sku).map_or("", |i| i.commodity.as_str())
    }

    /// An item's account below the one that holds its value.
    fn holding(&self, account: &AccountCode, sku: &Sku) -> String {
        format!("{}:{}", self.account(account), self.items.get(sku).map_or("", |i| i.part.as_str()))
    }

    /// A posting; one in a foreign currency as units at no cost beside their value, for which nothing is divided.
    fn posting(&self, out: &mut Vec<u8>, p: &Posting, money: u8) -> io::Result<()> {
        let (account, base) = (self.account(&p.account), &self.base);
        if let Some((code, units, scale)) = p.foreign().filter(|(_, units, _)| *units != 0) {
            let currency = self.currencies.get(code).map_or("", String::as_str);
            writeln!(
                out,
                "  {account}  {} {currency} {{0 {base}, {}, {}}}",
                decimal(units, scale),
                self.first_day,
                quoted(currency)
            )?;
        }
        if p.amount != 0 {
            writeln!(out, "  {account}  {} {base}", decimal(p.amount, money))?;
        }
        Ok(())
    }

    /// A movement's lots; answers what of its value they do not hold.
    fn goods<'a>(&mut self, out: &mut Vec<u8>, day: &str, account: &'a AccountCode, m: &'a Movement) -> io::Result<Beside<'a>> {
        let mut value = i128::from(m.value).saturating_mul(power(m.scale.saturating_add(COST_DECIMALS).saturating_sub(m.money)));
        let holding = self.holding(account, &m.sku);
        for part in journal::parts(m).iter().filter(|p| p.quantity != 0) {
            let (lot, worth) = self.lot(m, part, day);
            value = value.saturating_sub(worth);
            writeln!(out, "  {holding}  {} {} {lot}", decimal(part.quantity, m.scale), self.item(&m.sku))?;
            meta(out, 4, goods_facts(m))?;
        }
        if !m.serials().is_empty() && m.quantity != 0 {
            let serials: Vec<&str> = m.serials().iter().map(|s| s.as_str()).collect();
            meta(out, 4, [("serials", serials.join(", "))])?;
        }
        Ok(Beside { account, movement: m, value })
    }

    fn beside(&self, out: &mut Vec<u8>, beside: Option<Beside<'_>>) -> io::Result<()> {
        let Some(Beside { account, movement: m, value }) = beside.filter(|b| b.value != 0) else { return Ok(()) };
        let amount = shown(value, m.scale.saturating_add(COST_DECIMALS), m.money);
        writeln!(out, "  {}  {amount} {}", self.holding(account, &m.sku), self.base)?;
        meta(out, 4, [("location", m.location.to_string())])
    }

    /// The lot of a part, and what the part is worth in it.
    fn lot(&mut self, m: &Movement, part: &Part, day: &str) -> (String, i128) {
        let pool = self.pool(m, part);
        let Some(number) = part.layer else { return (pool, 0) };
        let base = &self.base;
        let layer = self.layers.entry(m.sku.clone()).or_default().entry(number).or_insert_with(|| {
            let lot = m.lot().map_or(String::new(), |lot| format!(", lot {lot}"));
            let label = quoted(&format!("layer {number}{lot}"));
            let scales = (m.money, m.scale);
            let cost = journal::unit_cost(part.value, part.quantity, scales, exact_decimals(part.value, scales));
            let (cost, decimals) = cost.unwrap_or((0, m.money));
            let lot = format!("{{{} {base}, {day}, {label}}}", shown(cost, decimals, m.money));
            // What leaves a layer that never began was in the pool when the item's method changed.
            Layer { lot: (part.quantity > 0).then_some(lot), cost, decimals, scale: m.scale, quantity: 0 }
        });
        layer.quantity = layer.quantity.saturating_add(part.quantity);
        match (&layer.lot, layer.worth(part.quantity)) {
            (Some(lot), Some(worth)) => (lot.clone(), worth),
            (None, _) | (_, None) => (pool, 0),
        }
    }

    /// The one lot of an item's goods that have no cost of their own.
    fn pool(&self, m: &Movement, part: &Part) -> String {
        let label = m.lot().map_or_else(|| "pool".to_owned(), |lot| format!("lot {lot}"));
        let (value, quantity) = (part.value.saturating_mul(part.quantity.signum()), part.quantity.saturating_abs());
        let rate = journal::unit_cost(value, quantity, (m.money, m.scale), COST_DECIMALS)
            .map_or(String::new(), |(cost, decimals)| format!(" @ {} {}", shown(cost, decimals, m.money), self.base));
        format!("{{0 {}, {}, {}}}{rate}", self.base, self.first_day, quoted(&label))
    }

    /// Layers of which nothing is left, here or elsewhere, will not be heard of again.
    fn forget_empty(&mut self, lines: &[Line<'_>]) {
        for line in lines {
            let Line::Goods { movement: m, .. } = line else { continue };
            let Some(open) = self.layers.get_mut(&m.sku) else { continue };
            for change in &m.layers {
                if open.get(&change.layer).is_some_and(|l| l.lot.is_some() && l.quantity == 0) {
                    open.remove(&change.layer);
                }
            }
        }
    }

    /// The item's lots become one pool, and their cost value beside it.
    fn pool_layers(&mut self, out: &mut Vec<u8>, account: &AccountCode, sku: &Sku) -> io::Result<()> {
        let layers = self.layers.remove(sku).unwrap_or_default();
        let (account, item, base) = (self.holding(account, sku), self.item(sku), &self.base);
        for layer in layers.values().filter(|l| l.quantity != 0) {
            let (Some(lot), Some(worth)) = (&layer.lot, layer.worth(layer.quantity)) else { continue };
            let (gone, there) = (layer.quantity.saturating_neg(), layer.quantity);
            writeln!(out, "  {account}  {} {item} {lot}", decimal(gone, layer.scale))?;
            writeln!(out, "  {account}  {} {item} {{0 {base}, {}, \"pool\"}}", decimal(there, layer.scale), self.first_day)?;
            writeln!(out, "  {account}  {} {base}", shown(worth, layer.scale.saturating_add(COST_DECIMALS), 0))?;
        }
        Ok(())
    }
}

impl Layer {
    /// What so many units are worth at the layer's cost, with the decimals of quantity and [`COST_DECIMALS`].
    fn worth(&self, quantity: i64) -> Option<i128> {
        let finer = power(COST_DECIMALS.saturating_sub(self.decimals));
        i128::from(quantity).checked_mul(self.cost)?.checked_mul(finer)
    }
}

/// Decimals a lot's unit cost may have so that Python multiplies it and adds it up without rounding.
fn exact_decimals(value: i64, (money, scale): (u8, u8)) -> u8 {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0).saturating_add(1).saturating_add(u32::from(scale));
    let fit = |decimals: &u8| digits.saturating_add(u32::from(decimals.saturating_sub(money))) <= PRODUCT_DIGITS_MAX;
    let most = PRODUCT_DECIMALS_MAX.saturating_sub(scale).min(COST_DECIMALS).max(money);
    (money..=most).rev().find(fit).unwrap_or(money)
}

fn power(decimals: u8) -> i128 {
    10_i128.saturating_pow(u32::from(decimals))
}

/// A code as a commodity: capitals, digits and `'._-`, a letter first, two characters at least.
fn commodity(code: &str) -> String {
    let clean: String = code
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '\'' | '.' | '_' | '-') { c.to_ascii_uppercase() } else { '-' })
        .collect();
    let clean = clean.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if clean.len() < 2 || !clean.starts_with(|c: char| c.is_ascii_uppercase()) {
        let dash = if clean.is_empty() { "" } else { "-" };
        return format!("SKU{dash}{clean}");
    }
    clean.to_owned()
}

/// Code and name as a part of an account's name: letters, digits and dashes, a capital or a digit first.
fn account_part(account: &AccountDefinition) -> String {
    let mut part = String::new();
    for c in account.code.as_str().chars().chain([' ']).chain(account.name.as_str().chars()) {
        if is_letter(c) || c.is_ascii_digit() {
            part.push(c);
        } else if !part.is_empty() && !part.ends_with('-') {
            part.push('-');
        }
    }
    let part = part.trim_end_matches('-');
    let mut rest = part.chars();
    match rest.next() {
        Some(first) if first.is_ascii_lowercase() => format!("{}{}", first.to_ascii_uppercase(), rest.as_str()),
        Some(first) if first.is_ascii_alphanumeric() => part.to_owned(),
        // Not every letter has a capital.
        Some(_) => format!("A-{part}"),
        None => "A".to_owned(),
    }
}

/// Letters by Unicode (general category L) of the scripts most names are in; Beancount takes no other signs.
const fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ƺ' | 'Α'..='Ρ' | 'Σ'..='ω' | 'Ѐ'..='ҁ' | 'א'..='ת' | 'ء'..='غ'
            | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='鿕' | '가'..='힣')
}

/// A string literal on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn meta(out: &mut impl Write, indent: usize, known: impl IntoIterator<Item = (&'static str, String)>) -> io::Result<()> {
    for (key, value) in known {
        writeln!(out, "{:indent$}{key}: {}", "", quoted(&value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::catalogue::command::AccountType;
    use ledger_core::domain::id::Text;

    use super::super::journal::tests::movement;
    use super::*;

    fn part(code: &str, name: &str) -> String {
        let (code, name) = (AccountCode::parse(code).unwrap(), Text::parse(name).unwrap());
        account_part(&AccountDefinition::new(code, name, AccountType::Asset))
    }

    #[test]
    fn codes_become_commodities() {
        let same = ["GBP", "SKU-X", "A.B_C'D-E"];
        assert_eq!(same.map(commodity), same);
        let changed = ["85123A", "85123a", "tea \"x\"; y", "X", "茶", "-_-", "a--", "ä1"];
        assert_eq!(changed.map(commodity), ["SKU-85123A", "SKU-85123A", "TEA--X---Y", "SKU-X", "SKU", "SKU", "SKU-A", "SKU-1"]);
    }

    #[test]
    fn accounts_are_named_by_code_and_name() {
        assert_eq!(part("1300", "Inventory"), "1300-Inventory");
        assert_eq!(part("bank", "a \"b\"; c:\n(d)"), "Bank-a-b-c-d");
        assert_eq!(part("ß", "Größe 日本"), "A-ß-Größe-日本");
        assert_eq!((part("#", "!"), part("€1", "٣")), ("A".into(), "1".into()));
    }

    #[test]
    fn strings_stay_on_one_line() {
        assert_eq!(quoted("a \"b\" \\n\n\tü;"), r#""a \"b\" \\n\n\tü;""#);
    }

    #[test]
    fn products_stay_within_the_digits_python_keeps() {
        assert_eq!(exact_decimals(1_000, (2, 0)), 9);
        assert_eq!(exact_decimals(1_000, (2, 3)), 9);
        assert_eq!(exact_decimals(1_000, (2, 9)), 3);
        assert_eq!(exact_decimals(999_999_999_999_999_999, (0, 9)), 0);
        assert_eq!(exact_decimals(999_999_999_999_999_999, (4, 9)), 4);
        assert_eq!(exact_decimals(999_999_999_999_999_999, (2, 3)), 8);
    }

    #[test]
    fn a_layer_keeps_its_cost_and_what_differs_stands_beside_it() {
        let mut books = Beancount {
            currencies: BTreeMap::new(),
            accounts: HashMap::new(),
            items: HashMap::new(),
            base: "GBP".into(),
            first_day: "2010-01-01".into(),
            layers: HashMap::new(),
        };
        let account = AccountCode::default();
        let mut see = |day: &str, m: &Movement| {
            let mut out = Vec::new();
            let beside = books.goods(&mut out, day, &account, m).unwrap();
            books.forget_empty(&[Line::Goods { account: &account, movement: m }]);
            let lots: Vec<String> = String::from_utf8(out)
                .unwrap()
                .lines()
                .filter_map(|l| l.split_once("  {"))
                .map(|(_, lot)| lot.to_owned())
                .collect();
            (lots, shown(beside.value, 9, 2), books.layers.values().map(BTreeMap::len).sum::<usize>())
        };
        let layer = || vec![r#"3.333333333 GBP, 2011-01-02, "layer 1"}"#.to_owned()];
        assert_eq!(see("2011-01-02", &movement(3, 1000, &[(1, 3, 1000)])), (layer(), "0.000000001".into(), 1));
        assert_eq!(see("2011-02-01", &movement(-1, -333, &[(1, -1, -333)])), (layer(), "0.003333333".into(), 1));
        assert_eq!(see("2011-02-02", &movement(-2, -667, &[(1, -2, -667)])), (layer(), "-0.003333334".into(), 0));
        // Nothing is known of a layer that only loses: its goods are the pool's.
        let pool = vec![r#"0 GBP, 2010-01-01, "pool"} @ 2.00 GBP"#.to_owned()];
        assert_eq!(see("2011-02-03", &movement(-2, -400, &[(9, -2, -400)])), (pool.clone(), "-4.00".into(), 1));
        assert_eq!(see("2011-02-03", &movement(2, 400, &[(9, 2, 400)])), (pool, "4.00".into(), 1));
        assert_eq!(see("2011-02-04", &movement(0, 5, &[])), (Vec::new(), "0.05".into(), 1));
    }
}
