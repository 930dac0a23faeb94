//! Which fact posts where: one exhaustive match, nothing else in the domain names a side.

use super::amount::add;
use super::event::Posting;
use super::id::AccountCode;

/// The accounts one movement touches.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The class's inventory account.
    pub inventory: AccountCode,
    /// The counterpart: the rule's account, or the one the caller names.
    pub counter: AccountCode,
}

/// Postings of a value that comes into (+) or leaves (−) inventory; none when it is zero.
///
/// Into stock: Dr inventory, Cr counter. Out of stock: Dr counter, Cr inventory. Amounts are signed, debit +.
#[must_use]
pub fn post(accounts: &Accounts, value: i64) -> Vec<Posting> {
    if value == 0 {
        return Vec::new();
    }
    vec![Posting::new(accounts.inventory.clone(), value), Posting::new(accounts.counter.clone(), value.saturating_neg())]
}

/// Postings of an issue whose stated `cost` differs from what leaves inventory; the `residue` goes to `settlement`.
#[must_use]
pub fn post_with_residue(accounts: &Accounts, settlement: &AccountCode, cost: i64, residue: i64) -> Option<Vec<Posting>> {
    let inventory = add(cost, residue)?.checked_neg()?;
    Some(
        [(&accounts.inventory, inventory), (&accounts.counter, cost), (settlement, residue)]
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
            .map(|(account, amount)| Posting::new(account.clone(), amount))
            .collect(),
    )
}

/// Postings of goods that come in at `value` while their counterpart bears `cost`; the difference is a `variance`.
#[must_use]
pub fn post_with_variance(accounts: &Accounts, variance: &AccountCode, value: i64, cost: i64) -> Option<Vec<Posting>> {
    let difference = cost.checked_sub(value)?;
    let counter = cost.checked_neg()?;
    Some(
        [(&accounts.inventory, value), (&accounts.counter, counter), (variance, difference)]
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
            .map(|(account, amount)| Posting::new(account.clone(), amount))
            .collect(),
    )
}
