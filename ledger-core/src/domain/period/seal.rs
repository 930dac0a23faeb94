//! What a closed period rests on: the root of a tree (RFC 6962) over every account's balance at the period's end.
//!
//! One leaf per account that was ever posted to, in the order of codes, and after it one per foreign currency, in the
//! order of currencies. A leaf is the CBOR of `[account, currency or "", debits, credits, base]`: totals in units of that
//! currency as decimal texts, `base` its value in the base currency.

use crate::audit::merkle::{Frontier, Hash, leaf_hash};
use crate::domain::state::Ledger;

use super::Month;

/// One account's balance in one currency at a period's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// The account's code.
    pub account: &'a str,
    /// Empty for the account's totals in the base currency.
    pub currency: &'a str,
    /// Σ debits in units of the base currency; of a foreign currency the net balance, if it is above zero.
    pub debits: i128,
    /// Σ credits, or the net balance below zero without its sign.
    pub credits: i128,
    /// Its value in units of the base currency, debits less credits.
    pub base: i128,
}

impl<'a> Leaf<'a> {
    /// The leaf of an account's totals.
    #[must_use]
    pub const fn of_account(account: &'a str, debits: i128, credits: i128) -> Self {
        Self { account, currency: "", debits, credits, base: debits.saturating_sub(credits) }
    }

    /// The leaf of what an account holds in a foreign currency: `units` of it, carried at `base`.
    #[must_use]
    pub fn of_book(account: &'a str, currency: &'a str, units: i128, base: i128) -> Self {
        Self { account, currency, debits: units.max(0), credits: units.min(0).saturating_neg(), base }
    }

    /// What is hashed.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        let Self { account, currency, debits, credits, base } = self;
        let leaf = (account, currency, debits.to_string(), credits.to_string(), base.to_string());
        // Writing texts to a vector cannot fail.
        let _ = minicbor::encode(leaf, bytes);
    }
}

/// Every leaf of a period's seal, in its order.
pub fn leaves(ledger: &Ledger, period: Month, mut push: impl FnMut(Leaf<'_>)) {
    let mut accounts: Vec<_> = ledger.accounts().iter().collect();
    accounts.sort_unstable_by(|a, b| a.definition.code.cmp(&b.definition.code));
    for account in accounts {
        let sides = account.at(period);
        if sides.is_zero() {
            continue;
        }
        let code = account.definition.code.as_str();
        push(Leaf::of_account(code, sides.debits, sides.credits));
        let mut books: Vec<_> = account.books().collect();
        books.sort_unstable_by(|a, b| a.currency.cmp(&b.currency));
        for book in books {
            let (units, base) = book.at(period);
            push(Leaf::of_book(code, book.currency.as_str(), units, base));
        }
    }
}

/// The root for a period.
pub(crate) fn balances_root(ledger: &Ledger, period: Month) -> Hash {
    let mut tree = Frontier::default();
    let mut bytes = Vec::with_capacity(96);
    leaves(ledger, period, |leaf| {
        leaf.encode(&mut bytes);
        tree.push(leaf_hash(&bytes));
    });
    tree.root()
}
