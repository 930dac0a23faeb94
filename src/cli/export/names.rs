//! What other programs may call our accounts and items: names in their alphabet, each used once.
//!
//! **Correctness**: two of ours never get one name. Where cleaning makes two alike (`85123A` and `85123a` in capitals), the
//! one defined later gets a number. So names stay as the log grows; only of an item, an account opened later may take the
//! part of a name that both want.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::catalogue::event::AccountDefinition;
use ledger_core::domain::id::AccountCode;

/// Hands names out, none twice.
#[derive(Debug)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// Per name that was wanted again: the number to go on from.
    numbers: HashMap<String, usize>,
    /// Stands before the number.
    mark: char,
    chars_max: usize,
}

impl Names {
    pub(super) fn new(mark: char, chars_max: usize) -> Self {
        Self { taken: HashSet::new(), numbers: HashMap::new(), mark, chars_max }
    }

    /// The name wanted, or the first of `name-2`, `name-3` … that nobody has.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let wanted = cut(wanted, self.chars_max);
        if self.taken.insert(wanted.clone()) {
            return wanted;
        }
        let number = self.numbers.entry(wanted.clone()).or_insert(1);
        loop {
            *number = number.saturating_add(1);
            let suffix = format!("{}{number}", self.mark);
            let name = cut(&wanted, self.chars_max.saturating_sub(suffix.len())) + &suffix;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The first characters, not ending in a separator.
fn cut(text: &str, chars: usize) -> String {
    let cut: String = text.chars().take(chars).collect();
    cut.trim_end_matches(['-', '.', '_', '\'', ' ']).to_owned()
}

/// The five roots that both programs know.
pub(super) const fn root(account_type: AccountType) -> &'static str {
    match account_type {
        AccountType::Asset => "Assets",
        AccountType::Liability => "Liabilities",
        AccountType::Equity => "Equity",
        AccountType::Revenue => "Income",
        AccountType::Expense => "Expenses",
    }
}

/// Accounts as `Root:parents:own`. Each account's own part is used once in the whole chart, hence so is the whole.
pub(super) fn accounts(
    chart: &[AccountDefinition],
    names: &mut Names,
    part: impl Fn(&AccountDefinition) -> String,
) -> HashMap<AccountCode, String> {
    let parts: HashMap<&AccountCode, (String, &AccountDefinition)> =
        chart.iter().map(|a| (&a.code, (names.take(&part(a)), a))).collect();
    let full = |account: &AccountDefinition| {
        let mut way = Vec::new();
        let mut at = Some(&account.code);
        // No chart has cycles; the bound says so to whoever reads a broken one.
        while let Some((own, definition)) = at.and_then(|code| parts.get(code)).filter(|_| way.len() < chart.len()) {
            way.push(own.as_str());
            at = definition.parent.as_ref();
        }
        way.push(root(account.account_type));
        way.reverse();
        way.join(":")
    };
    chart.iter().map(|a| (a.code.clone(), full(a))).collect()
}

/// Text with `%XX` (RFC 3986) for each byte of a character the syntax cannot carry, and for a `%` that would read as one.
pub(super) fn percent(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_hex = |ahead: usize| text.as_bytes().get(at.saturating_add(ahead)).is_some_and(u8::is_ascii_hexdigit);
        if is_special(c) || (c == '%' && is_hex(1) && is_hex(2)) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_handed_out_twice() {
        let mut names = Names::new('-', 8);
        let got: Vec<String> =
            ["A", "A", "A-2", "A", "LONGNAME-X", "LONGNAME", "LONG-ME"].iter().map(|n| names.take(n)).collect();
        assert_eq!(got, ["A", "A-2", "A-2-2", "A-3", "LONGNAME", "LONGNA-2", "LONG-ME"]);
        // Cutting must not end in a separator, which Beancount refuses.
        let mut names = Names::new('-', 6);
        assert_eq!((names.take("ABCDE-F"), names.take("ABCDE")), ("ABCDE".into(), "ABCD-2".into()));
    }

    #[test]
    fn percent_codes_are_read_back_to_the_same_text() {
        let coded = percent("10% off; 50%3B, ä\n", |c| matches!(c, ';' | ',' | '\n' | 'ä'));
        assert_eq!(coded, "10% off%3B 50%253B%2C %C3%A4%0A");
    }

    #[test]
    fn accounts_roll_up_under_the_root_of_their_own_type() {
        let account = |code: &str, parent: Option<&str>, account_type| AccountDefinition {
            code: AccountCode::parse(code).unwrap_or_default(),
            parent: parent.and_then(|p| AccountCode::parse(p).ok()),
            account_type,
            ..account_of_nothing()
        };
        let chart = [
            account("1", None, AccountType::Asset),
            account("1 2", Some("1"), AccountType::Asset),
            account("1-2", Some("1 2"), AccountType::Expense),
        ];
        let names = accounts(&chart, &mut Names::new('-', 20), |a| a.code.as_str().replace(' ', "-"));
        let of = |code: &str| names.get(code).map(String::as_str);
        assert_eq!([of("1"), of("1 2"), of("1-2")], [Some("Assets:1"), Some("Assets:1:1-2"), Some("Expenses:1:1-2:1-2-2")]);
    }

    fn account_of_nothing() -> AccountDefinition {
        let (code, name) = (AccountCode::default(), ledger_core::domain::id::Text::default());
        AccountDefinition::new(code, name, AccountType::Asset)
    }
}
