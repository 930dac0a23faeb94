//! Journal entries by hand as reads answer them. A posting has the JSON that events show, as values that can be read back:
//! every number is a decimal with the decimals of its currency.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::amount::Number;
use crate::domain::event::{Posting, PostingDetail};
use crate::domain::id::{
    AccountCode, CurrencyCode, DimensionCode, DimensionValue, PartyCode, Position, ReasonCode, TaxCode, Text,
};
use crate::domain::journal::command::ExchangeRate;
use crate::domain::journal::event::DocumentNumber;
use crate::domain::limit::NUMBER_UNITS_MAX;
use crate::domain::period::Month;
use crate::domain::time::Timestamp;

/// Where an entry stands. One whose instant has come is still pending here until it is recorded as expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EntryStatus {
    /// Posted at once.
    Posted,
    /// Moves pending balances.
    Pending,
    /// Was pending, and is posted.
    Settled,
    /// Was pending, and set free.
    Voided,
    /// Was pending, and set free by its instant.
    Expired,
}

impl EntryStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Posted, Self::Pending, Self::Settled, Self::Voided, Self::Expired];

    /// The word in the table and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Pending => "pending",
            Self::Settled => "settled",
            Self::Voided => "voided",
            Self::Expired => "expired",
        }
    }
}

/// One posting: a debit or a credit, and what more is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PostingView {
    /// The account.
    pub account: AccountCode,
    /// Amount on the debit side, in the base currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub debit: Option<Number>,
    /// Amount on the credit side, in the base currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub credit: Option<Number>,
    /// A currency other than the base currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub currency: Option<CurrencyCode>,
    /// Amount on the debit side, in that currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub currency_debit: Option<Number>,
    /// Amount on the credit side, in that currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub currency_credit: Option<Number>,
    /// Values of dimensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<BTreeMap<String, String>>))]
    pub dimensions: Option<BTreeMap<DimensionCode, DimensionValue>>,
    /// The customer or supplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub party: Option<PartyCode>,
    /// The open item it begins or settles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub item: Option<Text>,
    /// When the open item is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub due_at: Option<Timestamp>,
    /// The tax code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tax: Option<TaxCode>,
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub memo: Option<Text>,
}

/// Units of a number at its own scale, with that scale.
fn units(number: Number) -> Option<(i64, u8)> {
    let scale = u8::try_from(number.decimal().scale()).ok()?;
    Some((number.units_at(scale)?, scale))
}

/// Signed units of what stands on one of two sides.
fn signed(debit: Option<Number>, credit: Option<Number>) -> Option<(i64, u8)> {
    match (debit, credit) {
        (Some(debit), None) => units(debit),
        (None, Some(credit)) => units(credit).map(|(n, scale)| (n.saturating_neg(), scale)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// A number on the side of its sign; nothing stands on the side of `side`.
fn on_a_side(units: i64, side: i64, scale: u8) -> (Option<Number>, Option<Number>) {
    let number = Some(Number::from_units(units.saturating_abs(), scale));
    let side = if units == 0 { side } else { units };
    if side >= 0 { (number, None) } else { (None, number) }
}

impl PostingView {
    /// A posting whose amount has `money` decimals.
    #[must_use]
    pub fn new(p: &Posting, money: u8) -> Self {
        let foreign = p.foreign();
        let (debit, credit) = on_a_side(p.amount, foreign.map_or(0, |(_, units, _)| units), money);
        let side = if credit.is_some() { -1 } else { 1 };
        let (currency_debit, currency_credit) = foreign.map_or((None, None), |(_, units, scale)| on_a_side(units, side, scale));
        let detail = p.detail.as_deref().cloned().unwrap_or_default();
        let PostingDetail { currency, currency_amount: _, currency_scale: _, dimensions, party, item, due_at, tax, memo } =
            detail;
        let account = p.account.clone();
        Self { account, debit, credit, currency, currency_debit, currency_credit, dimensions, party, item, due_at, tax, memo }
    }

    /// Some postings.
    #[must_use]
    pub fn all(postings: &[Posting], money: u8) -> Vec<Self> {
        postings.iter().map(|p| Self::new(p, money)).collect()
    }

    /// The posting shown; `None` for what shows none.
    #[must_use]
    pub fn posting(&self) -> Option<Posting> {
        let (amount, _) = signed(self.debit, self.credit)?;
        let foreign = match &self.currency {
            Some(_) => Some(signed(self.currency_debit, self.currency_credit)?),
            None => None,
        };
        let detail = PostingDetail {
            currency: self.currency.clone(),
            currency_amount: foreign.map(|(units, _)| units),
            currency_scale: foreign.map(|(_, scale)| scale),
            dimensions: self.dimensions.clone(),
            party: self.party.clone(),
            item: self.item.clone(),
            due_at: self.due_at,
            tax: self.tax.clone(),
            memo: self.memo.clone(),
        };
        let detail = (detail != PostingDetail::default()).then(|| Box::new(detail));
        Some(Posting { account: self.account.clone(), amount, detail })
    }

    /// This posting with another's amounts added, where both say the same in all else; `None` where they do not, or where
    /// the sum would be no amount.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let (mut sum, other) = (self.posting()?, other.posting()?);
        let money = units(self.debit.or(self.credit)?)?.1;
        let same_side = |a: i64, b: i64| a.signum().checked_mul(b.signum()).is_some_and(|sign| sign >= 0);
        let add = |a: i64, b: i64| {
            let sum = a.checked_add(b).filter(|_| same_side(a, b));
            sum.filter(|sum| sum.saturating_abs() <= NUMBER_UNITS_MAX)
        };
        let mut rest = other.clone();
        rest.amount = sum.amount;
        if let (Some(own), Some(theirs)) = (&mut sum.detail, &mut rest.detail)
            && let (Some(units), Some(more)) = (own.currency_amount, theirs.currency_amount)
        {
            theirs.currency_amount = own.currency_amount;
            let is_same = own == theirs;
            own.currency_amount = Some(add(units, more).filter(|_| is_same)?);
            theirs.currency_amount = own.currency_amount;
        }
        if sum != rest {
            return None;
        }
        sum.amount = add(sum.amount, other.amount)?;
        Some(Self::new(&sum, money))
    }
}

/// What happened to an entry after its first event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryStep {
    /// The event's type.
    pub r#type: String,
    /// The event.
    #[cfg_attr(feature = "openapi", schema(value_type = i64))]
    pub position: Position,
    /// When it happened.
    pub effective_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The caller's document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reference: Option<Text>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reason: Option<ReasonCode>,
    /// The number it was given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub number: Option<DocumentNumber>,
}

/// What an entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryView {
    /// What for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub description: Option<Text>,
    /// The caller's document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reference: Option<Text>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reason: Option<ReasonCode>,
    /// Rates of the foreign currencies in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<ExchangeRate>,
    /// Of a revaluation: the month at whose end balances were restated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub period: Option<Month>,
    /// What it has posted. Parts of one pending posting that were settled one after another stand once.
    pub postings: Vec<PostingView>,
    /// What it made pending.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<PostingView>,
    /// What is still pending of that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PostingView>,
    /// What was set free without being posted when it was voided or expired.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freed: Vec<PostingView>,
    /// What happened to it later, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<EntryStep>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::ShownPostings;

    fn foreign(amount: i64, units: i64) -> Posting {
        let detail = PostingDetail {
            currency: Some("JPY".parse().unwrap()),
            currency_amount: Some(units),
            currency_scale: Some(0),
            party: Some("C1".parse().unwrap()),
            ..PostingDetail::default()
        };
        Posting { account: "1200".parse().unwrap(), amount, detail: Some(Box::new(detail)) }
    }

    #[test]
    fn a_posting_is_shown_as_events_show_it_and_read_back() {
        let plain = |amount| Posting::new("1200".parse().unwrap(), amount);
        for p in [plain(5), plain(-1_250), foreign(700, 5), foreign(-700, -5), foreign(0, -5), foreign(-3, 0), foreign(9, 0)] {
            let view = PostingView::new(&p, 2);
            let event = serde_json::to_value(ShownPostings(std::slice::from_ref(&p), 2)).unwrap();
            assert_eq!(serde_json::json!([view]), event);
            let back: PostingView = serde_json::from_value(serde_json::to_value(&view).unwrap()).unwrap();
            assert_eq!(back.posting(), Some(p));
        }
        assert_eq!(PostingView::default().posting(), None);
    }

    #[test]
    fn parts_of_one_posting_add_up_and_others_do_not() {
        let view = |p: Posting| PostingView::new(&p, 2);
        assert_eq!(view(foreign(700, 5)).plus(&view(foreign(140, 1))), Some(view(foreign(840, 6))));
        assert_eq!(view(foreign(0, -5)).plus(&view(foreign(-1, -2))), Some(view(foreign(-1, -7))));
        let plain = |account: &str, amount| view(Posting::new(account.parse().unwrap(), amount));
        assert_eq!(plain("1", 2).plus(&plain("1", 3)), Some(plain("1", 5)));
        assert_eq!(plain("1", 2).plus(&plain("2", 3)), None);
        assert_eq!(plain("1", 2).plus(&plain("1", -3)), None);
        assert_eq!(plain("1200", 2).plus(&view(foreign(1, 1))), None);
        assert_eq!(plain("1", NUMBER_UNITS_MAX).plus(&plain("1", 1)), None);
    }
}
