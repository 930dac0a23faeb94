//! Decisions on what groups accounts and postings.

use super::command::{DefineAccountSet, DefineDimension, DefineTaxCode};
use super::event::{AccountSetDefined, DimensionDefined, TaxCodeDefined};
use crate::domain::event::Event;
use crate::domain::id::{AccountSetCode, Text};
use crate::domain::journal::decide::lines_in;
use crate::domain::limit::{DIMENSION_VALUES_MAX, SET_MEMBERS_MAX};
use crate::domain::rejection::Rejection;
use crate::domain::state::Ledger;

pub(crate) fn define_account_set(ledger: &Ledger, c: &DefineAccountSet) -> Result<Vec<Event>, Rejection> {
    lines_in(c.accounts.len().saturating_add(c.sets.len()), 0, SET_MEMBERS_MAX)?;
    for account in &c.accounts {
        ledger.account(account.as_str()).ok_or_else(|| Rejection::UnknownAccount { account: account.clone() })?;
    }
    let (mut inner, mut seen): (Vec<&AccountSetCode>, Vec<&AccountSetCode>) = (c.sets.iter().collect(), Vec::new());
    // Every set that is in this one, directly or not: this one may not be among them.
    while let Some(code) = inner.pop() {
        if *code == c.code {
            return Err(Rejection::AccountSetCycle { account_set: c.code.clone() });
        }
        if seen.contains(&code) {
            continue;
        }
        seen.push(code);
        let unknown = || Rejection::UnknownAccountSet { account_set: code.clone() };
        inner.extend(&ledger.account_set(code).ok_or_else(unknown)?.sets);
    }
    let new = AccountSetDefined {
        code: c.code.clone(),
        name: c.name.clone(),
        accounts: c.accounts.clone(),
        sets: c.sets.clone(),
        retired: c.retired,
    };
    let is_same = ledger.account_set(&c.code) == Some(&new);
    Ok(if is_same { Vec::new() } else { vec![Event::AccountSetDefined(new)] })
}

pub(crate) fn define_dimension(ledger: &Ledger, c: &DefineDimension) -> Result<Vec<Event>, Rejection> {
    lines_in(c.values.as_ref().map_or(0, Vec::len), 0, DIMENSION_VALUES_MAX)?;
    let new = DimensionDefined { code: c.code.clone(), name: c.name.clone(), values: c.values.clone(), retired: c.retired };
    let is_same = ledger.dimension(&c.code) == Some(&new);
    Ok(if is_same { Vec::new() } else { vec![Event::DimensionDefined(new)] })
}

pub(crate) fn define_tax_code(ledger: &Ledger, c: &DefineTaxCode) -> Result<Vec<Event>, Rejection> {
    let unknown = || Rejection::UnknownAccount { account: c.account.clone() };
    let (_, account) = ledger.account(c.account.as_str()).ok_or_else(unknown)?;
    if account.holds_inventory {
        return Err(Rejection::InventoryAccount { account: c.account.clone() });
    }
    if c.rate.is_negative() || c.rate.decimal() > rust_decimal::Decimal::ONE_HUNDRED {
        return Err(Rejection::NumberOutOfRange { field: Text::trusted("rate") });
    }
    let new = TaxCodeDefined {
        code: c.code.clone(),
        name: c.name.clone(),
        rate: c.rate,
        direction: c.direction,
        account: c.account.clone(),
        retired: c.retired,
    };
    let is_same = ledger.tax_code(&c.code) == Some(&new);
    Ok(if is_same { Vec::new() } else { vec![Event::TaxCodeDefined(new)] })
}
