//! What a closed period rests on: the root of a tree (RFC 6962) over every account's balance at the period's end.
//!
//! One leaf per account that was ever posted to, in the order of codes, and after it one per foreign currency, in the
//! order of currencies. A leaf is the CBOR of `[account, currency or "", debits, credits, base]`: totals in units of that
//! currency as decimal texts, `base` its value in the base currency.

use crate::audit::merkle::{Frontier, Hash, leaf_hash};
use crate::domain::state::Ledger;

use super::Month;

/// The root for a period.
pub(crate) fn balances_root(ledger: &Ledger, period: Month) -> Hash {
    let mut accounts: Vec<_> = ledger.accounts().iter().collect();
    accounts.sort_unstable_by(|a, b| a.definition.code.cmp(&b.definition.code));
    let mut tree = Frontier::default();
    let mut bytes = Vec::with_capacity(96);
    let mut push = |account: &str, currency: &str, debits: i128, credits: i128, base: i128| {
        bytes.clear();
        let leaf = (account, currency, debits.to_string(), credits.to_string(), base.to_string());
        // Writing texts to a vector cannot fail.
        let _ = minicbor::encode(leaf, &mut bytes);
        tree.push(leaf_hash(&bytes));
    };
    for account in accounts {
        let sides = account.at(period);
        if sides.is_zero() {
            continue;
        }
        let code = account.definition.code.as_str();
        push(code, "", sides.debits, sides.credits, sides.balance());
        let mut books: Vec<_> = account.books().collect();
        books.sort_unstable_by(|a, b| a.currency.cmp(&b.currency));
        for book in books {
            let (units, base) = book.at(period);
            push(code, book.currency.as_str(), units.max(0), units.min(0).saturating_neg(), base);
        }
    }
    tree.root()
}
