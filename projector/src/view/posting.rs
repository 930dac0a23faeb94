//! Postings one by one, and the balances they make per account and currency.
//!
//! **Correctness**: a posting counts in the currency it was made in: the base currency, or a foreign one with its base
//! value beside it. So an account's balance in the base currency is the sum over its rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger_core::domain::codec;
use ledger_core::domain::event::{Event, Posting, PostingDetail, Recorded, Subject};
use ledger_core::domain::id::{AccountCode, CurrencyCode, DimensionCode, DimensionValue, PartyCode, Position, TaxCode, Text};
use ledger_core::domain::time::Timestamp;

use super::Tables;
use super::lane::{CLOSING, Lane, deal, plus};

const RANGE: &str = "a total of its account leaves the range";

/// Debits and credits in the base currency, debits and credits in the foreign currency; in units.
pub type Sides = [i64; 4];

/// A row of `view_account_balance`, in units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Newest event that posted to it; 0 for none.
    pub position: Position,
    /// Decimals of the base currency.
    pub money: u8,
    /// Decimals of its currency.
    pub scale: u8,
    /// What was posted.
    pub posted: Sides,
    /// What is pending, lapsed entries included.
    pub pending: Sides,
    /// Running totals by effective time.
    pub lanes: Vec<Lane<4>>,
}

/// A row of `view_posting`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the columns of the view")]
pub struct PostingRow {
    pub account: AccountCode,
    /// Empty for the base currency.
    pub currency: CurrencyCode,
    pub lane: i16,
    pub position: Position,
    pub line: i32,
    pub effective_at: Timestamp,
    pub recorded_at: Timestamp,
    pub sides: Sides,
    pub lane_sides: Sides,
    pub due_at: Option<Timestamp>,
    pub type_number: i16,
    pub money: u8,
    pub scale: u8,
    pub stream: Arc<str>,
    pub reference: Option<Text>,
    pub description: Option<Text>,
    pub party: Option<PartyCode>,
    pub item: Option<Text>,
    pub tax: Option<TaxCode>,
    pub memo: Option<Text>,
    pub dimensions: Option<BTreeMap<DimensionCode, DimensionValue>>,
}

/// The currency a posting counts in, and its decimals; the base currency has no code here.
pub(super) fn currency_of(p: &Posting, money: u8) -> (CurrencyCode, u8) {
    p.foreign().map_or_else(|| (CurrencyCode::default(), money), |(currency, _, scale)| (currency.clone(), scale))
}

/// A posting's amounts, each on the side of its own sign; `None` for an amount that has no opposite.
pub(super) fn sides(p: &Posting) -> Option<Sides> {
    let units = p.foreign().map_or(0, |(_, units, _)| units);
    let credit = |amount: i64| amount.min(0).checked_neg();
    Some([p.amount.max(0), credit(p.amount)?, units.max(0), credit(units)?])
}

/// Totals without a part of them.
fn minus(totals: Sides, part: Sides) -> Option<Sides> {
    let mut rest = totals;
    for (total, part) in rest.iter_mut().zip(part) {
        *total = total.checked_sub(part)?;
    }
    Some(rest)
}

impl Tables {
    /// What was posted, and what became pending or is no longer pending.
    pub(super) fn fold_postings(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let event = &recorded.fact.event;
        if event.postings().next().is_some() {
            let subject = event.subject();
            let description = match &subject {
                Subject::Entry(id) => self.entries.get(id).and_then(|e| e.body.description.clone()),
                _no_entry => None,
            };
            let stream: Arc<str> = subject.to_string().into();
            for (line, (p, money)) in (0_i32..).zip(event.postings()) {
                self.fold_posting(recorded, (line, p, money), &stream, description.as_ref())?;
            }
        }
        let (held, freed, money) = event.pending();
        for p in held {
            let balance = self.balance(p, money);
            balance.pending = sides(p).and_then(|s| plus(balance.pending, s)).ok_or(RANGE)?;
        }
        for p in freed {
            let balance = self.balance(p, money);
            balance.pending = sides(p).and_then(|s| minus(balance.pending, s)).ok_or(RANGE)?;
        }
        Ok(())
    }

    fn fold_posting(
        &mut self,
        recorded: &Recorded,
        (line, p, money): (i32, &Posting, u8),
        stream: &Arc<str>,
        description: Option<&Text>,
    ) -> Result<(), &'static str> {
        let is_closing = matches!(recorded.fact.event, Event::YearClosed(_));
        let sides = sides(p).ok_or(RANGE)?;
        let balance = self.balance(p, money);
        balance.position = recorded.position;
        balance.posted = plus(balance.posted, sides).ok_or(RANGE)?;
        let (lane, lane_sides) = if is_closing {
            (CLOSING, sides)
        } else {
            deal(&mut balance.lanes, recorded.effective_at().0, sides).ok_or("a lane leaves the range")?
        };
        let (currency, scale) = currency_of(p, money);
        let detail = p.detail.as_deref().cloned().unwrap_or_default();
        let PostingDetail { dimensions, party, item, due_at, tax, memo, .. } = detail;
        self.postings.push(PostingRow {
            account: p.account.clone(),
            currency,
            lane,
            position: recorded.position,
            line,
            effective_at: recorded.effective_at(),
            recorded_at: recorded.recorded_at,
            sides,
            lane_sides,
            due_at,
            type_number: codec::type_number(&recorded.fact.event),
            money,
            scale,
            stream: Arc::clone(stream),
            reference: recorded.fact.note.reference.clone(),
            description: description.cloned(),
            party,
            item,
            tax,
            memo,
            dimensions,
        });
        Ok(())
    }

    /// The row a posting counts in, about to change.
    fn balance(&mut self, p: &Posting, money: u8) -> &mut Balance {
        let (currency, scale) = currency_of(p, money);
        self.dirty.balances.insert((p.account.clone(), currency.clone()));
        let balance = self.balances.entry(p.account.clone()).or_default().entry(currency).or_default();
        (balance.money, balance.scale) = (money, scale);
        balance
    }
}
