//! Journal decisions.

use super::command::{EntryLine, PostEntry, ReverseEntry};
use super::event::{JournalEntryPosted, JournalEntryReversed};
use crate::domain::amount::Number;
use crate::domain::event::{Event, Posting};
use crate::domain::id::{EntryId, Text};
use crate::domain::limit::ENTRY_POSTINGS_MAX;
use crate::domain::rejection::{Rejection, sides};
use crate::domain::state::Ledger;
use crate::domain::stock::decide::units;

pub(crate) fn post_entry(ledger: &Ledger, c: &PostEntry, fresh: &EntryId) -> Result<Vec<Event>, Rejection> {
    let id = c.id.as_ref().unwrap_or(fresh);
    if c.postings.len() < 2 || c.postings.len() > ENTRY_POSTINGS_MAX {
        let lines_max = u32::try_from(ENTRY_POSTINGS_MAX).unwrap_or(u32::MAX);
        return Err(Rejection::LinesOutOfRange { lines_min: 2, lines_max });
    }
    let postings =
        (0_u32..).zip(&c.postings).map(|(number, line)| posting(ledger, number, line)).collect::<Result<Vec<_>, _>>()?;
    let (debits, credits) = sides(&postings);
    if debits != credits {
        return Err(unbalanced(debits, credits, ledger.money()));
    }
    if ledger.entry(id.as_str()).is_some() {
        return Err(Rejection::EntryExists { entry: id.clone() });
    }
    let description = c.description.clone();
    Ok(vec![Event::JournalEntryPosted(JournalEntryPosted { id: id.clone(), description, money: ledger.money(), postings })])
}

fn posting(ledger: &Ledger, number: u32, line: &EntryLine) -> Result<Posting, Rejection> {
    let unknown = || Rejection::UnknownAccount { account: line.account.clone() };
    let (_, account) = ledger.account(line.account.as_str()).filter(|(_, a)| !a.definition.retired).ok_or_else(unknown)?;
    if account.holds_inventory {
        return Err(Rejection::InventoryAccount { account: line.account.clone() });
    }
    let positive = |number: Number, field: &'static str| {
        let amount = units(number, ledger.money(), field)?;
        if amount > 0 { Ok(amount) } else { Err(Rejection::QuantityNotPositive { field: Text::trusted(field) }) }
    };
    let amount = match (line.debit, line.credit) {
        (Some(debit), None) => positive(debit, "debit")?,
        (None, Some(credit)) => positive(credit, "credit")?.saturating_neg(),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Rejection::PostingSideInvalid { line: number });
        }
    };
    Ok(Posting { account: line.account.clone(), amount })
}

fn unbalanced(debits: i128, credits: i128, money: u8) -> Rejection {
    // At most 1,000 postings of 18 digits: the sums have at most 21 digits, which a 28-digit decimal shows exactly.
    let show = |units: i128| Text::trusted(&rust_decimal::Decimal::from_i128_with_scale(units, u32::from(money)).to_string());
    Rejection::EntryUnbalanced { debits: show(debits), credits: show(credits), difference: show(debits.saturating_sub(credits)) }
}

pub(crate) fn reverse_entry(ledger: &Ledger, c: &ReverseEntry) -> Result<Vec<Event>, Rejection> {
    let entry = ledger.entry(c.id.as_str()).ok_or_else(|| Rejection::UnknownEntry { entry: c.id.clone() })?;
    if entry.reversed {
        return Err(Rejection::EntryAlreadyReversed { entry: c.id.clone() });
    }
    for p in &entry.postings {
        // A closed account takes no postings, not even a reversal: reopen it first.
        ledger
            .account(p.account.as_str())
            .filter(|(_, a)| !a.definition.retired)
            .ok_or_else(|| Rejection::UnknownAccount { account: p.account.clone() })?;
    }
    let postings =
        entry.postings.iter().map(|p| Posting { account: p.account.clone(), amount: p.amount.saturating_neg() }).collect();
    let (id, reverses, money) = (c.id.clone(), entry.stream.number, ledger.money());
    Ok(vec![Event::JournalEntryReversed(JournalEntryReversed { id, reverses, money, postings })])
}
