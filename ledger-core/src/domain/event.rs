//! Facts. An [`Event`] is what a tenant's log holds; it never changes and decodes for ever (see [`super::codec`]).

use std::collections::BTreeMap;
use std::fmt;

use minicbor::{Decode, Encode};

use super::account::event::{AccountSetDefined, DimensionDefined, TaxCodeDefined};
use super::amount::Number;
use super::catalogue::command::MovementKind;
use super::catalogue::event::{
    AccountDefinition, ItemDefinition, LocationDefinition, PostingRuleDefinition, StockPolicyDefined, TenantOpened,
};
use super::count::event::{CountCancelled, CountOpened, CountPosted, CountRecorded};
use super::id::{
    AccountCode, AccountSetCode, CountId, CurrencyCode, DimensionCode, DimensionValue, EntryId, ExpectationId, LocationCode,
    PartyCode, PersonId, Position, PostingClass, ReasonCode, ReservationId, Sku, StreamNumber, StreamVersion, TaxCode, Text,
    TransferId, digest16,
};
use super::journal::command::ExchangeRate;
use super::journal::event::{
    CurrencyRevalued, JournalEntryFreed, JournalEntryHeld, JournalEntryPosted, JournalEntryReversed, JournalEntrySettled,
};
use super::period::event::{CalendarDefined, PeriodClosed, PeriodReopened, YearClosed};
use super::person::event::{PersonErased, PersonRecorded};
use super::reservation::event::{
    ReservationClosed, ReservationCommitted, ReservationConfirmed, ReservationExtended, ReservationLines, ReservationOpened,
};
use super::stock::event::{
    ExpectationCancelled, Movement, StandardCostChanged, StockCostAdded, StockExpected, StockMoved, StockTransferred,
};
use super::time::Timestamp;
use super::transfer::event::{TransferCancelled, TransferDispatched, TransferReceived};

/// One fact. JSON shows amounts and quantities as decimal strings.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the variant's name says what happened; its payload is documented")]
pub enum Event {
    TenantOpened(TenantOpened),
    ItemDefined(ItemDefinition),
    ItemChanged(ItemDefinition),
    LocationDefined(LocationDefinition),
    LocationChanged(LocationDefinition),
    AccountOpened(AccountDefinition),
    AccountChanged(AccountDefinition),
    PostingRuleDefined(PostingRuleDefinition),
    StockReceived(Movement),
    StockIssued(Movement),
    StockReturned(Movement),
    StockAdjusted(Movement),
    StockRevalued(Movement),
    StockTransferred(StockTransferred),
    /// Provisional cost replaced by the real one, or the value left over when quantity reached zero.
    StockSettled(Movement),
    ReservationOpened(ReservationOpened),
    ReservationExtended(ReservationExtended),
    ReservationReleased(ReservationClosed),
    ReservationExpired(ReservationClosed),
    ReservationCommitted(ReservationCommitted),
    JournalEntryPosted(JournalEntryPosted),
    JournalEntryReversed(JournalEntryReversed),
    StockPolicyDefined(StockPolicyDefined),
    StockReturnedToSupplier(Movement),
    StockScrapped(Movement),
    /// Out of one status and into another, at one place.
    StockStatusChanged(StockTransferred),
    /// Components out, then the kits in.
    StockAssembled(StockMoved),
    /// Kits out, then the components in.
    StockDisassembled(StockMoved),
    StockCostAdded(StockCostAdded),
    StandardCostChanged(StandardCostChanged),
    StockExpected(StockExpected),
    ExpectationCancelled(ExpectationCancelled),
    ReservationChanged(ReservationLines),
    ReservationConfirmed(ReservationConfirmed),
    /// Stock came in for what waited.
    ReservationFilled(ReservationLines),
    TransferDispatched(TransferDispatched),
    TransferReceived(TransferReceived),
    TransferCancelled(TransferCancelled),
    CountOpened(CountOpened),
    CountRecorded(CountRecorded),
    CountPosted(CountPosted),
    CountCancelled(CountCancelled),
    AccountSetDefined(AccountSetDefined),
    DimensionDefined(DimensionDefined),
    TaxCodeDefined(TaxCodeDefined),
    CalendarDefined(CalendarDefined),
    JournalEntryHeld(JournalEntryHeld),
    JournalEntrySettled(JournalEntrySettled),
    JournalEntryVoided(JournalEntryFreed),
    JournalEntryExpired(JournalEntryFreed),
    CurrencyRevalued(CurrencyRevalued),
    YearClosed(YearClosed),
    PeriodClosed(PeriodClosed),
    PeriodReopened(PeriodReopened),
    PersonRecorded(PersonRecorded),
    PersonErased(PersonErased),
}

/// Part of the subject a message is published under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Definitions, and who is known.
    Catalogue,
    /// Movements.
    Stock,
    /// Holds.
    Reservation,
    /// Entries by hand.
    Journal,
    /// Accounting periods.
    Period,
}

impl Category {
    /// The word in the NATS subject.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Stock => "stock",
            Self::Reservation => "reservation",
            Self::Journal => "journal",
            Self::Period => "period",
        }
    }
}

/// What a stream is about; its name is `<noun>-<code>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant holds the code of what it names")]
pub enum Subject {
    Tenant,
    Item(Sku),
    Location(LocationCode),
    Account(AccountCode),
    PostingRule(MovementKind, PostingClass),
    Reservation(ReservationId),
    Entry(EntryId),
    Expectation(ExpectationId),
    Transfer(TransferId),
    Count(CountId),
    AccountSet(AccountSetCode),
    Dimension(DimensionCode),
    TaxCode(TaxCode),
    /// The calendar and the closing of periods: one stream, for they follow each other.
    Periods,
    Person(PersonId),
    /// What happened later to the goods of one event: returns, landed cost.
    Goods(Position),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("tenant"),
            Self::Item(sku) => write!(f, "item-{sku}"),
            Self::Location(code) => write!(f, "location-{code}"),
            Self::Account(code) => write!(f, "account-{code}"),
            Self::PostingRule(movement, class) => {
                write!(f, "posting_rule-{}-{class}", movement.as_str())
            }
            Self::Reservation(id) => write!(f, "reservation-{id}"),
            Self::Entry(id) => write!(f, "entry-{id}"),
            Self::Expectation(id) => write!(f, "expectation-{id}"),
            Self::Transfer(id) => write!(f, "transfer-{id}"),
            Self::Count(id) => write!(f, "count-{id}"),
            Self::AccountSet(code) => write!(f, "account_set-{code}"),
            Self::Dimension(code) => write!(f, "dimension-{code}"),
            Self::TaxCode(code) => write!(f, "tax_code-{code}"),
            Self::Periods => f.write_str("periods"),
            Self::Person(id) => write!(f, "person-{id}"),
            Self::Goods(position) => write!(f, "goods-{position}"),
        }
    }
}

/// 16 bytes of SHA-256 over a stream's name: unique in the database on a stream's first event.
#[must_use]
pub fn stream_key(name: &str) -> [u8; 16] {
    digest16(name.as_bytes())
}

impl Event {
    /// The event's name in documents, messages and filters.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::TenantOpened(_) => "tenant_opened",
            Self::ItemDefined(_) => "item_defined",
            Self::ItemChanged(_) => "item_changed",
            Self::LocationDefined(_) => "location_defined",
            Self::LocationChanged(_) => "location_changed",
            Self::AccountOpened(_) => "account_opened",
            Self::AccountChanged(_) => "account_changed",
            Self::PostingRuleDefined(_) => "posting_rule_defined",
            Self::StockReceived(_) => "stock_received",
            Self::StockIssued(_) => "stock_issued",
            Self::StockReturned(_) => "stock_returned",
            Self::StockAdjusted(_) => "stock_adjusted",
            Self::StockRevalued(_) => "stock_revalued",
            Self::StockTransferred(_) => "stock_transferred",
            Self::StockSettled(_) => "stock_settled",
            Self::ReservationOpened(_) => "reservation_opened",
            Self::ReservationExtended(_) => "reservation_extended",
            Self::ReservationReleased(_) => "reservation_released",
            Self::ReservationExpired(_) => "reservation_expired",
            Self::ReservationCommitted(_) => "reservation_committed",
            Self::JournalEntryPosted(_) => "journal_entry_posted",
            Self::JournalEntryReversed(_) => "journal_entry_reversed",
            Self::StockPolicyDefined(_) => "stock_policy_defined",
            Self::StockReturnedToSupplier(_) => "stock_returned_to_supplier",
            Self::StockScrapped(_) => "stock_scrapped",
            Self::StockStatusChanged(_) => "stock_status_changed",
            Self::StockAssembled(_) => "stock_assembled",
            Self::StockDisassembled(_) => "stock_disassembled",
            Self::StockCostAdded(_) => "stock_cost_added",
            Self::StandardCostChanged(_) => "standard_cost_changed",
            Self::StockExpected(_) => "stock_expected",
            Self::ExpectationCancelled(_) => "expectation_cancelled",
            Self::ReservationChanged(_) => "reservation_changed",
            Self::ReservationConfirmed(_) => "reservation_confirmed",
            Self::ReservationFilled(_) => "reservation_filled",
            Self::TransferDispatched(_) => "transfer_dispatched",
            Self::TransferReceived(_) => "transfer_received",
            Self::TransferCancelled(_) => "transfer_cancelled",
            Self::CountOpened(_) => "count_opened",
            Self::CountRecorded(_) => "count_recorded",
            Self::CountPosted(_) => "count_posted",
            Self::CountCancelled(_) => "count_cancelled",
            Self::AccountSetDefined(_) => "account_set_defined",
            Self::DimensionDefined(_) => "dimension_defined",
            Self::TaxCodeDefined(_) => "tax_code_defined",
            Self::CalendarDefined(_) => "calendar_defined",
            Self::JournalEntryHeld(_) => "journal_entry_held",
            Self::JournalEntrySettled(_) => "journal_entry_settled",
            Self::JournalEntryVoided(_) => "journal_entry_voided",
            Self::JournalEntryExpired(_) => "journal_entry_expired",
            Self::CurrencyRevalued(_) => "currency_revalued",
            Self::YearClosed(_) => "year_closed",
            Self::PeriodClosed(_) => "period_closed",
            Self::PeriodReopened(_) => "period_reopened",
            Self::PersonRecorded(_) => "person_recorded",
            Self::PersonErased(_) => "person_erased",
        }
    }

    /// Where it is published.
    #[must_use]
    pub const fn category(&self) -> Category {
        match self {
            Self::TenantOpened(_)
            | Self::ItemDefined(_)
            | Self::ItemChanged(_)
            | Self::LocationDefined(_)
            | Self::LocationChanged(_)
            | Self::AccountOpened(_)
            | Self::AccountChanged(_)
            | Self::PostingRuleDefined(_)
            | Self::StockPolicyDefined(_)
            | Self::AccountSetDefined(_)
            | Self::DimensionDefined(_)
            | Self::TaxCodeDefined(_)
            | Self::PersonRecorded(_)
            | Self::PersonErased(_) => Category::Catalogue,
            Self::StockReceived(_)
            | Self::StockIssued(_)
            | Self::StockReturned(_)
            | Self::StockAdjusted(_)
            | Self::StockRevalued(_)
            | Self::StockTransferred(_)
            | Self::StockSettled(_)
            | Self::StockReturnedToSupplier(_)
            | Self::StockScrapped(_)
            | Self::StockStatusChanged(_)
            | Self::StockAssembled(_)
            | Self::StockDisassembled(_)
            | Self::StockCostAdded(_)
            | Self::StandardCostChanged(_)
            | Self::StockExpected(_)
            | Self::ExpectationCancelled(_)
            | Self::TransferDispatched(_)
            | Self::TransferReceived(_)
            | Self::TransferCancelled(_)
            | Self::CountOpened(_)
            | Self::CountRecorded(_)
            | Self::CountPosted(_)
            | Self::CountCancelled(_) => Category::Stock,
            Self::ReservationOpened(_)
            | Self::ReservationExtended(_)
            | Self::ReservationReleased(_)
            | Self::ReservationExpired(_)
            | Self::ReservationCommitted(_)
            | Self::ReservationChanged(_)
            | Self::ReservationConfirmed(_)
            | Self::ReservationFilled(_) => Category::Reservation,
            Self::JournalEntryPosted(_)
            | Self::JournalEntryReversed(_)
            | Self::JournalEntryHeld(_)
            | Self::JournalEntrySettled(_)
            | Self::JournalEntryVoided(_)
            | Self::JournalEntryExpired(_)
            | Self::CurrencyRevalued(_) => Category::Journal,
            Self::CalendarDefined(_) | Self::YearClosed(_) | Self::PeriodClosed(_) | Self::PeriodReopened(_) => Category::Period,
        }
    }

    /// The stream it belongs to.
    #[must_use]
    pub fn subject(&self) -> Subject {
        // What undoes an earlier movement belongs to that one's stream, so that its history is read by one key.
        let goods = |m: &Movement| m.of().map_or_else(|| Subject::Item(m.sku.clone()), |of| Subject::Goods(of.position));
        match self {
            Self::TenantOpened(_) => Subject::Tenant,
            Self::ItemDefined(d) | Self::ItemChanged(d) => Subject::Item(d.sku.clone()),
            Self::LocationDefined(d) | Self::LocationChanged(d) => Subject::Location(d.code.clone()),
            Self::AccountOpened(d) | Self::AccountChanged(d) => Subject::Account(d.code.clone()),
            Self::PostingRuleDefined(d) => Subject::PostingRule(d.movement, d.class.clone()),
            Self::StockReceived(m)
            | Self::StockIssued(m)
            | Self::StockAdjusted(m)
            | Self::StockRevalued(m)
            | Self::StockScrapped(m)
            | Self::StockSettled(m) => Subject::Item(m.sku.clone()),
            Self::StockReturned(m) | Self::StockReturnedToSupplier(m) => goods(m),
            Self::StockTransferred(t) | Self::StockStatusChanged(t) => Subject::Item(t.outgoing.sku.clone()),
            Self::StockAssembled(e) | Self::StockDisassembled(e) => Subject::Item(e.sku.clone()),
            Self::StockCostAdded(e) => Subject::Goods(e.receipt.position),
            Self::StandardCostChanged(e) => Subject::Item(e.sku.clone()),
            Self::StockPolicyDefined(e) => Subject::Item(e.sku.clone()),
            Self::StockExpected(e) => Subject::Expectation(e.id.clone()),
            Self::ExpectationCancelled(e) => Subject::Expectation(e.id.clone()),
            Self::ReservationOpened(e) => Subject::Reservation(e.id.clone()),
            Self::ReservationExtended(e) => Subject::Reservation(e.id.clone()),
            Self::ReservationReleased(e) | Self::ReservationExpired(e) => Subject::Reservation(e.id.clone()),
            Self::ReservationCommitted(e) => Subject::Reservation(e.id.clone()),
            Self::ReservationChanged(e) | Self::ReservationFilled(e) => Subject::Reservation(e.id.clone()),
            Self::ReservationConfirmed(e) => Subject::Reservation(e.id.clone()),
            Self::JournalEntryPosted(e) => Subject::Entry(e.id.clone()),
            Self::JournalEntryReversed(e) => Subject::Entry(e.id.clone()),
            Self::JournalEntryHeld(e) => Subject::Entry(e.id.clone()),
            Self::JournalEntrySettled(e) => Subject::Entry(e.id.clone()),
            Self::JournalEntryVoided(e) | Self::JournalEntryExpired(e) => Subject::Entry(e.id.clone()),
            Self::CurrencyRevalued(e) => Subject::Entry(e.id.clone()),
            Self::AccountSetDefined(d) => Subject::AccountSet(d.code.clone()),
            Self::DimensionDefined(d) => Subject::Dimension(d.code.clone()),
            Self::TaxCodeDefined(d) => Subject::TaxCode(d.code.clone()),
            Self::CalendarDefined(_) | Self::YearClosed(_) | Self::PeriodClosed(_) | Self::PeriodReopened(_) => Subject::Periods,
            Self::TransferDispatched(e) => Subject::Transfer(e.id.clone()),
            Self::TransferReceived(e) => Subject::Transfer(e.id.clone()),
            Self::TransferCancelled(e) => Subject::Transfer(e.id.clone()),
            Self::CountOpened(e) => Subject::Count(e.id.clone()),
            Self::CountRecorded(e) => Subject::Count(e.id.clone()),
            Self::CountPosted(e) => Subject::Count(e.id.clone()),
            Self::CountCancelled(e) => Subject::Count(e.id.clone()),
            Self::PersonRecorded(e) => Subject::Person(e.id.clone()),
            Self::PersonErased(e) => Subject::Person(e.id.clone()),
        }
    }

    /// Every movement of goods or value in it, in the order they are applied.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        let (one, two, many): (Option<&Movement>, Option<&Movement>, &[Movement]) = match self {
            Self::StockReceived(m)
            | Self::StockIssued(m)
            | Self::StockReturned(m)
            | Self::StockReturnedToSupplier(m)
            | Self::StockAdjusted(m)
            | Self::StockScrapped(m)
            | Self::StockRevalued(m)
            | Self::StockSettled(m) => (Some(m), None, &[]),
            Self::StockTransferred(t) | Self::StockStatusChanged(t) => (Some(&t.outgoing), Some(&t.incoming), &[]),
            Self::ReservationCommitted(e) => (None, None, &e.movements),
            Self::StockAssembled(e) | Self::StockDisassembled(e) => (None, None, &e.movements),
            Self::StockCostAdded(e) => (None, None, &e.movements),
            Self::StandardCostChanged(e) => (None, None, &e.movements),
            Self::TransferDispatched(e) => (None, None, &e.movements),
            Self::TransferReceived(e) => (None, None, &e.movements),
            Self::TransferCancelled(e) => (None, None, &e.movements),
            Self::CountPosted(e) => (None, None, &e.movements),
            Self::TenantOpened(_)
            | Self::ItemDefined(_)
            | Self::ItemChanged(_)
            | Self::LocationDefined(_)
            | Self::LocationChanged(_)
            | Self::AccountOpened(_)
            | Self::AccountChanged(_)
            | Self::PostingRuleDefined(_)
            | Self::StockPolicyDefined(_)
            | Self::StockExpected(_)
            | Self::ExpectationCancelled(_)
            | Self::ReservationOpened(_)
            | Self::ReservationExtended(_)
            | Self::ReservationReleased(_)
            | Self::ReservationExpired(_)
            | Self::ReservationChanged(_)
            | Self::ReservationConfirmed(_)
            | Self::ReservationFilled(_)
            | Self::CountOpened(_)
            | Self::CountRecorded(_)
            | Self::CountCancelled(_)
            | Self::JournalEntryPosted(_)
            | Self::JournalEntryReversed(_)
            | Self::JournalEntryHeld(_)
            | Self::JournalEntrySettled(_)
            | Self::JournalEntryVoided(_)
            | Self::JournalEntryExpired(_)
            | Self::CurrencyRevalued(_)
            | Self::AccountSetDefined(_)
            | Self::DimensionDefined(_)
            | Self::TaxCodeDefined(_)
            | Self::CalendarDefined(_)
            | Self::YearClosed(_)
            | Self::PeriodClosed(_)
            | Self::PeriodReopened(_)
            | Self::PersonRecorded(_)
            | Self::PersonErased(_) => (None, None, &[]),
        };
        one.into_iter().chain(two).chain(many)
    }

    /// Goods neither come into the tenant's places nor leave them: quantities sum to zero.
    #[must_use]
    pub const fn conserves(&self) -> bool {
        match self {
            Self::StockTransferred(_)
            | Self::StockStatusChanged(_)
            | Self::TransferDispatched(_)
            | Self::TransferCancelled(_) => true,
            _goods_come_or_go_or_none_move => false,
        }
    }

    /// Every posting in it, with the decimals of its amount.
    pub fn postings(&self) -> impl Iterator<Item = (&Posting, u8)> {
        let entry: (&[Posting], u8) = match self {
            Self::JournalEntryPosted(e) => (&e.postings, e.money),
            Self::JournalEntryReversed(e) => (&e.postings, e.money),
            Self::JournalEntrySettled(e) => (&e.postings, e.money),
            Self::CurrencyRevalued(e) => (&e.postings, e.money),
            Self::YearClosed(e) => (&e.postings, e.money),
            _other_events_post_by_their_movements => (&[], 0),
        };
        let by_hand = entry.0.iter().map(move |p| (p, entry.1));
        self.movements().flat_map(|m| m.postings.iter().map(move |p| (p, m.money))).chain(by_hand)
    }

    /// What it makes pending, and what it makes no longer pending, with the decimals of the amounts.
    #[must_use]
    pub fn pending(&self) -> (&[Posting], &[Posting], u8) {
        match self {
            Self::JournalEntryHeld(e) => (&e.postings, &[], e.money),
            Self::JournalEntrySettled(e) => (&[], &e.freed, e.money),
            Self::JournalEntryVoided(e) | Self::JournalEntryExpired(e) => (&[], &e.freed, e.money),
            _another_moves_no_pending_balance => (&[], &[], 0),
        }
    }

    /// The currencies in which it need not balance, for it states their rates.
    #[must_use]
    pub fn rates(&self) -> &[ExchangeRate] {
        match self {
            Self::JournalEntryPosted(e) => e.rates.as_deref().unwrap_or(&[]),
            Self::JournalEntryHeld(e) => e.rates.as_deref().unwrap_or(&[]),
            Self::CurrencyRevalued(e) => std::slice::from_ref(&e.rate),
            _another_states_none => &[],
        }
    }
}

/// One line of a journal entry: `amount` in units of the currency, debit above zero, credit below.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Posting {
    /// The account.
    #[n(0)]
    pub account: AccountCode,
    /// Signed: debit +, credit −. Zero only beside a foreign amount that is worth less than a unit.
    #[n(1)]
    pub amount: i64,
    /// What more is said of it.
    #[n(2)]
    pub detail: Option<Box<PostingDetail>>,
}

impl Posting {
    /// A posting of which nothing more is said.
    #[must_use]
    pub const fn new(account: AccountCode, amount: i64) -> Self {
        Self { account, amount, detail: None }
    }

    /// A posting in a foreign currency: `units` of it with `scale` decimals, worth `amount` in the base currency.
    #[must_use]
    pub fn in_currency(account: AccountCode, amount: i64, currency: CurrencyCode, units: i64, scale: u8) -> Self {
        let detail = PostingDetail {
            currency: Some(currency),
            currency_amount: Some(units),
            currency_scale: Some(scale),
            ..PostingDetail::default()
        };
        Self { account, amount, detail: Some(Box::new(detail)) }
    }

    /// Its amount in a foreign currency: which, signed units, decimals.
    #[must_use]
    pub fn foreign(&self) -> Option<(&CurrencyCode, i64, u8)> {
        let detail = self.detail.as_ref()?;
        Some((detail.currency.as_ref()?, detail.currency_amount?, detail.currency_scale?))
    }

    /// The same with the other sign.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let detail = self.detail.clone().map(|mut d| {
            d.currency_amount = d.currency_amount.map(i64::saturating_neg);
            d
        });
        Self { account: self.account.clone(), amount: self.amount.saturating_neg(), detail }
    }
}

/// What may be said of a posting beside its account and its amount in the base currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct PostingDetail {
    /// A currency other than the base currency.
    #[n(0)]
    pub currency: Option<CurrencyCode>,
    /// Signed units of it: debit +, credit −. Zero where only the value in the base currency changes.
    #[n(1)]
    pub currency_amount: Option<i64>,
    /// Decimals of that currency.
    #[n(2)]
    pub currency_scale: Option<u8>,
    /// Values of dimensions.
    #[n(3)]
    pub dimensions: Option<BTreeMap<DimensionCode, DimensionValue>>,
    /// The customer or supplier.
    #[n(4)]
    pub party: Option<PartyCode>,
    /// The open item it begins or settles.
    #[n(5)]
    pub item: Option<Text>,
    /// When the open item is due.
    #[n(6)]
    pub due_at: Option<Timestamp>,
    /// The tax code.
    #[n(7)]
    pub tax: Option<TaxCode>,
    /// What for.
    #[n(8)]
    pub memo: Option<Text>,
}

/// Postings as JSON shows them: `{"account", "debit"}` or `{"account", "credit"}` with what more is said; a foreign amount
/// as `currency` and `currency_debit` or `currency_credit`.
pub(crate) struct ShownPostings<'a>(pub(crate) &'a [Posting], pub(crate) u8);

/// One of them. What is not said is left out.
struct ShownPosting<'a>(&'a Posting, u8);

impl serde::Serialize for ShownPosting<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let Self(p, money) = self;
        let side = |amount: i64, debit, credit| if amount >= 0 { debit } else { credit };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("account", &p.account)?;
        // A posting of nothing in the base currency stands on the side of its foreign amount.
        let foreign = p.foreign();
        let sign = if p.amount == 0 { foreign.map_or(0, |(_, units, _)| units) } else { p.amount };
        map.serialize_entry(side(sign, "debit", "credit"), &Number::from_units(p.amount.saturating_abs(), *money))?;
        if let Some((currency, units, scale)) = foreign {
            map.serialize_entry("currency", currency)?;
            let sign = if units == 0 { sign } else { units };
            let key = side(sign, "currency_debit", "currency_credit");
            map.serialize_entry(key, &Number::from_units(units.saturating_abs(), scale))?;
        }
        if let Some(d) = &p.detail {
            said(&mut map, "dimensions", d.dimensions.as_ref())?;
            said(&mut map, "party", d.party.as_ref())?;
            said(&mut map, "item", d.item.as_ref())?;
            said(&mut map, "due_at", d.due_at.as_ref())?;
            said(&mut map, "tax", d.tax.as_ref())?;
            said(&mut map, "memo", d.memo.as_ref())?;
        }
        map.end()
    }
}

fn said<M: serde::ser::SerializeMap, T: serde::Serialize>(map: &mut M, key: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

impl serde::Serialize for ShownPostings<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|p| ShownPosting(p, self.1)))
    }
}

/// Document and reason of a fact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Note {
    /// The caller's document.
    #[n(0)]
    pub reference: Option<Text>,
    /// Why, as a code.
    #[n(1)]
    pub reason: Option<ReasonCode>,
}

impl Note {
    /// True when there is nothing to store.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.reference.is_none() && self.reason.is_none()
    }
}

/// An event with what was said about it, before it has a place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What happened.
    pub event: Event,
    /// When it happened in the world, if not when it was recorded.
    pub effective_at: Option<Timestamp>,
    /// Document and reason.
    pub note: Note,
}

/// A fact with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Place in the tenant's log.
    pub position: Position,
    /// The stream's number: the position of its first event.
    pub stream: StreamNumber,
    /// Place in the stream.
    pub stream_version: StreamVersion,
    /// When the log accepted it; never runs backwards in a log.
    pub recorded_at: Timestamp,
    /// What it says.
    pub fact: Fact,
}

impl Recorded {
    /// When it happened in the world.
    #[must_use]
    pub fn effective_at(&self) -> Timestamp {
        self.fact.effective_at.unwrap_or(self.recorded_at)
    }
}
