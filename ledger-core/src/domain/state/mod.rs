//! The fold of one tenant's log: everything a decision needs to know.
//!
//! **Shape**: `Ledger` = catalogue + places and cost pools per item + accounts + open reservations, transfers, counts and
//! expectations, changed only by [`Ledger::evolve`] (events, `fold.rs`) and [`Ledger::advance`] (time: holds lapse at
//! their instant).
//! **Correctness**: 1. Every change pushes its inverse on the undo log (`undo.rs`), so a batch that the database refuses,
//! or a transaction whose last step is refused, is taken back exactly ([`Ledger::rollback`]). 2. `advance` only moves
//! forward, and evolving an event first advances to its recording time, so the state after position N is the same
//! whoever folds it. 3. What is closed is dropped beyond a limit; the pipeline reads it back from the log when a command
//! names it ([`Ledger::absorb`]). 4. What must hold after every event is in `check.rs`; replay asserts it.

mod absorb;
mod account;
mod check;
mod fold;
mod goods;
mod hold;
mod money;
mod row;
mod undo;

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashMap;

pub use account::{Account, Book, Sides};
pub use money::{Money, Periods};
pub use row::{
    Count, CountKey, Entry, EntryStatus, Expectation, Goods, Item, Line, Location, Lot, NO_ITEM, Person, Reservation,
    ReservationStatus, Rule, SerialAt, Stream, Tracked, Transfer, TransferLine,
};
pub use undo::Mark;

use super::amount::Number;
use super::catalogue::command::{CostPool, LocationKind, MovementKind};
use super::catalogue::event::TenantOpened;
use super::event::Subject;
use super::id::{
    AccountCode, CountId, CurrencyCode, EntryId, ExpectationId, LocationCode, PersonId, Position, PostingClass, ReservationId,
    Sku, Text, TransferId,
};
use super::limit::{CLOSED_STREAMS_KEPT_MAX, LOCATION_DEPTH_MAX};
use super::stock::bin::Bin;
use super::time::Timestamp;
use super::valuation::Pool;
use crate::audit::merkle::Hash;
use undo::Undo;

/// The key of the one cost pool that a whole tenant shares.
pub const TENANT_POOL: u32 = u32::MAX;

/// Who waits for stock at a place: the highest priority first, then the oldest reservation.
type Waiting = BTreeSet<(Reverse<u8>, Position, ReservationId)>;

/// An event that does not fit the state it is folded into: the log is corrupt, or written by another program.
#[derive(Debug, thiserror::Error)]
#[error("event at position {position} does not fit the log before it: {what}")]
pub struct Misfit {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub what: &'static str,
}

/// The fold of one tenant's log.
#[derive(Debug, Default)]
pub struct Ledger {
    position: Position,
    recorded_at: Timestamp,
    now: Timestamp,
    tenant: Option<TenantOpened>,
    items: Vec<Item>,
    item_index: FxHashMap<Sku, u32>,
    locations: Vec<Location>,
    location_index: FxHashMap<LocationCode, u32>,
    accounts: Vec<Account>,
    account_index: FxHashMap<AccountCode, u32>,
    rules: FxHashMap<(MovementKind, PostingClass), Rule>,
    reservations: FxHashMap<ReservationId, Reservation>,
    /// Open ones by owner.
    owners: FxHashMap<Text, BTreeSet<ReservationId>>,
    /// By item and location; an entry is never left empty.
    waiting: FxHashMap<(u32, u32), Waiting>,
    /// Where stock may have become free for those who wait; the decider empties it after every action.
    freed: Vec<(u32, u32)>,
    expiries: BTreeSet<(Timestamp, ReservationId)>,
    entries: FxHashMap<EntryId, Entry>,
    money: Money,
    /// Root of the log's tree up to a position, told by whoever keeps the tree.
    log_root: Option<(Position, Hash)>,
    expectations: FxHashMap<ExpectationId, Expectation>,
    transfers: FxHashMap<TransferId, Transfer>,
    counts: FxHashMap<CountId, Count>,
    open_counts: Vec<CountId>,
    people: FxHashMap<PersonId, Person>,
    /// Earlier events that a command named, with what happened to their goods since.
    goods: FxHashMap<Position, Goods>,
    /// What is closed, in the order it closed; the oldest goes first.
    closed: VecDeque<Closed>,
    undo: Vec<Undo>,
}

/// Something that may be dropped from memory.
#[derive(Clone, Debug)]
enum Closed {
    Reservation(ReservationId),
    Entry(EntryId),
    Expectation(ExpectationId),
    Transfer(TransferId),
    Count(CountId),
    /// Any, erased or not: nothing but the next command about it asks for a person.
    Person(PersonId),
    Goods(Position),
}

impl Ledger {
    /// Position of the newest event folded in.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Recording time of the newest event.
    #[must_use]
    pub const fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// The instant holds have been lapsed to.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The tenant, once its log is open.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantOpened> {
        self.tenant.as_ref()
    }

    /// Decimals of the base currency.
    #[must_use]
    pub fn money(&self) -> u8 {
        self.tenant.as_ref().map_or(2, |t| t.currency_scale)
    }

    /// Whether a currency is the base currency.
    #[must_use]
    pub fn is_base(&self, currency: &CurrencyCode) -> bool {
        self.tenant.as_ref().is_some_and(|t| t.currency.as_str() == currency.as_str())
    }

    /// An item in use or retired, with its index.
    #[must_use]
    pub fn item(&self, sku: &str) -> Option<(u32, &Item)> {
        let at = *self.item_index.get(sku)?;
        Some((at, self.items.get(at as usize)?))
    }

    /// A location, with its index.
    #[must_use]
    pub fn location(&self, code: &str) -> Option<(u32, &Location)> {
        let at = *self.location_index.get(code)?;
        Some((at, self.locations.get(at as usize)?))
    }

    /// An account, with its index.
    #[must_use]
    pub fn account(&self, code: &str) -> Option<(u32, &Account)> {
        let at = *self.account_index.get(code)?;
        Some((at, self.accounts.get(at as usize)?))
    }

    /// Every item, in order of definition.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Every location, in order of definition.
    #[must_use]
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// Every account, in order of opening.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// Every reservation in memory.
    pub fn reservations(&self) -> impl Iterator<Item = (&ReservationId, &Reservation)> {
        self.reservations.iter()
    }

    /// Quantities of an item at a location; `None` when nothing ever happened there.
    #[must_use]
    pub fn bin(&self, item: u32, location: u32) -> Option<&Bin> {
        self.items.get(item as usize)?.bin(location)
    }

    /// The cost pool that an item at a location belongs to.
    #[must_use]
    pub fn pool_key(&self, item: &Item, location: u32) -> u32 {
        match item.definition.pool() {
            CostPool::Warehouse => self.root(location),
            CostPool::Tenant => TENANT_POOL,
        }
    }

    /// The cost pool of an item at a location; `None` when nothing ever moved in it.
    #[must_use]
    pub fn pool(&self, item: u32, location: u32) -> Option<&Pool> {
        let item = self.items.get(item as usize)?;
        item.pool(self.pool_key(item, location))
    }

    /// The topmost location that a location is inside of; itself when it is inside of none.
    #[must_use]
    pub fn root(&self, location: u32) -> u32 {
        self.ancestors(location).last().unwrap_or(location)
    }

    /// Whether a location is another one or inside of it.
    #[must_use]
    pub fn is_within(&self, location: u32, outer: u32) -> bool {
        self.ancestors(location).any(|at| at == outer)
    }

    /// A location and what it is inside of, innermost first.
    pub(crate) fn ancestors(&self, location: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(location), |at| self.locations.get(*at as usize)?.parent).take(LOCATION_DEPTH_MAX)
    }

    /// Locations of kind transit that are in use.
    pub(crate) fn transit_locations(&self) -> impl Iterator<Item = (u32, &Location)> {
        (0_u32..).zip(&self.locations).filter(|(_, l)| l.definition.kind == LocationKind::Transit && !l.definition.retired)
    }

    /// A reservation in memory: every open one, and closed ones up to a limit.
    #[must_use]
    pub fn reservation(&self, id: &str) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// The open reservations of an owner.
    pub(crate) fn owned_by(&self, owner: &Text) -> impl Iterator<Item = (&ReservationId, &Reservation)> {
        self.owners.get(owner).into_iter().flatten().filter_map(|id| self.reservations.get_key_value(id))
    }

    /// Who waits for an item at a location, in order.
    pub(crate) fn waiting(&self, item: u32, location: u32) -> impl Iterator<Item = (&ReservationId, &Reservation)> {
        let ids = self.waiting.get(&(item, location)).into_iter().flatten();
        ids.filter_map(|(_, _, id)| self.reservations.get_key_value(id))
    }

    /// A journal entry in memory, up to a limit.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// An expected receipt in memory: every open one, and closed ones up to a limit.
    #[must_use]
    pub fn expectation(&self, id: &str) -> Option<&Expectation> {
        self.expectations.get(id)
    }

    /// A transfer in memory: every open one, and closed ones up to a limit.
    #[must_use]
    pub fn transfer(&self, id: &str) -> Option<&Transfer> {
        self.transfers.get(id)
    }

    /// Transfers of which something is still under way.
    pub(crate) fn open_transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.values().filter(|t| t.is_open)
    }

    /// Whether an open count has found a difference at any such item, location, lot and status.
    pub(crate) fn is_counted(&self, is_one: impl Fn(&CountKey) -> bool) -> bool {
        let open = self.open_counts.iter().filter_map(|id| self.counts.get(id));
        open.flat_map(|c| &c.differences).any(|(key, difference)| *difference != 0 && is_one(key))
    }

    /// A count in memory: every open one, and closed ones up to a limit.
    #[must_use]
    pub fn count(&self, id: &str) -> Option<&Count> {
        self.counts.get(id)
    }

    /// A person in memory, up to a limit.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.get(id)
    }

    /// An earlier event's goods, when the pipeline has read them ([`Ledger::absorb_goods`]).
    #[must_use]
    pub fn goods(&self, position: Position) -> Option<&Goods> {
        self.goods.get(&position)
    }

    /// Where a movement of a class posts.
    #[must_use]
    pub fn rule(&self, movement: MovementKind, class: &PostingClass) -> Option<&Rule> {
        self.rules.get(&(movement, class.clone()))
    }

    /// The account that a movement of a class posts to, by its rule or the one that stands in for it.
    #[must_use]
    pub fn ruled_account(&self, movement: MovementKind, class: &PostingClass) -> Option<&AccountCode> {
        let mut kinds = std::iter::successors(Some(movement), |kind| kind.otherwise());
        kinds.find_map(|kind| self.rule(kind, class)).map(|r| &r.account)
    }

    /// Tells the root of the log's tree over the events 1 to `position`: what a period's seal states.
    pub const fn witness(&mut self, position: Position, root: Hash) {
        self.log_root = Some((position, root));
    }

    /// The root of the log's tree up to this state's position, if it was told.
    pub(crate) fn log_root(&self) -> Option<Hash> {
        self.log_root.filter(|(position, _)| *position == self.position).map(|(_, root)| root)
    }

    /// Whether some posting rule names an account.
    #[must_use]
    pub(crate) fn is_posted_to_by_rule(&self, account: &AccountCode) -> bool {
        self.rules.values().any(|r| r.account == *account)
    }

    /// The stream of a subject; (0, 0) when it has none in memory.
    #[must_use]
    pub fn stream(&self, subject: &Subject) -> Stream {
        match subject {
            Subject::Tenant => self.tenant.as_ref().map_or_else(Stream::default, |_| Stream { number: 1, version: 1 }),
            Subject::Item(sku) => self.item(sku.as_str()).map(|(_, i)| i.stream).unwrap_or_default(),
            Subject::Location(code) => self.location(code.as_str()).map(|(_, l)| l.stream).unwrap_or_default(),
            Subject::Account(code) => self.account(code.as_str()).map(|(_, a)| a.stream).unwrap_or_default(),
            Subject::PostingRule(movement, class) => self.rule(*movement, class).map(|r| r.stream).unwrap_or_default(),
            Subject::Reservation(id) => self.reservations.get(id).map(|r| r.stream).unwrap_or_default(),
            Subject::Entry(id) => self.entries.get(id).map(|e| e.stream).unwrap_or_default(),
            Subject::Expectation(id) => self.expectations.get(id).map(|e| e.stream).unwrap_or_default(),
            Subject::Transfer(id) => self.transfers.get(id).map(|t| t.stream).unwrap_or_default(),
            Subject::Count(id) => self.counts.get(id).map(|c| c.stream).unwrap_or_default(),
            Subject::AccountSet(code) => self.money.sets.get(code).map(|(_, stream)| *stream).unwrap_or_default(),
            Subject::Dimension(code) => self.money.dimensions.get(code).map(|(_, stream)| *stream).unwrap_or_default(),
            Subject::TaxCode(code) => self.money.taxes.get(code).map(|(_, stream)| *stream).unwrap_or_default(),
            Subject::Periods => self.money.periods.stream,
            Subject::Person(id) => self.people.get(id).map(|p| p.stream).unwrap_or_default(),
            Subject::Goods(position) => self.goods.get(position).map(|g| g.stream).unwrap_or_default(),
        }
    }

    /// Reservations that have lapsed and wait to be recorded as expired, oldest first, at most `limit`.
    #[must_use]
    pub fn lapsed(&self, limit: usize) -> Vec<ReservationId> {
        self.expiries.iter().take_while(|(at, _)| *at <= self.now).take(limit).map(|(_, id)| id.clone()).collect()
    }

    /// Forgets how to undo: what was done is durable. Drops what is closed beyond the limit.
    pub fn commit(&mut self) {
        self.undo.clear();
        while self.closed.len() > CLOSED_STREAMS_KEPT_MAX {
            match self.closed.pop_front() {
                Some(Closed::Reservation(id)) if self.reservations.get(&id).is_some_and(|r| !r.status.is_open()) => {
                    self.reservations.remove(&id);
                }
                Some(Closed::Entry(id)) if self.entries.get(&id).is_some_and(|e| !e.status.is_open()) => {
                    self.entries.remove(&id);
                }
                Some(Closed::Expectation(id)) if self.expectations.get(&id).is_some_and(|e| !e.is_open) => {
                    self.expectations.remove(&id);
                }
                Some(Closed::Transfer(id)) if self.transfers.get(&id).is_some_and(|t| !t.is_open) => {
                    self.transfers.remove(&id);
                }
                Some(Closed::Count(id)) if self.counts.get(&id).is_some_and(|c| !c.is_open) => {
                    self.counts.remove(&id);
                }
                Some(Closed::Person(id)) => {
                    self.people.remove(&id);
                }
                Some(Closed::Goods(position)) => {
                    self.goods.remove(&position);
                }
                Some(
                    Closed::Reservation(_) | Closed::Entry(_) | Closed::Expectation(_) | Closed::Transfer(_) | Closed::Count(_),
                )
                | None => {}
            }
        }
    }
}

/// A quantity or amount as text, for rejections.
pub(crate) fn shown(units: i64, scale: u8) -> Text {
    Text::trusted(&Number::from_units(units, scale).to_string())
}

#[cfg(test)]
impl Ledger {
    /// Everything a decision could see, in a fixed order.
    pub(crate) fn fingerprint(&self) -> String {
        let tracked = |i: &Item| i.tracked.as_ref().map(|t| (t.lots.clone(), sorted(&t.lot_index), sorted(&t.serials)));
        let items: Vec<_> =
            self.items.iter().map(|i| (&i.definition, i.stream, i.next_layer, &i.bins, &i.pools, tracked(i))).collect();
        let accounts = self.accounts.iter().map(|a| {
            let books: Vec<_> = a.books().map(|b| (&b.currency, b.sides, b.base, b.pending)).collect();
            let months: Vec<_> = a.months().collect();
            format!(
                "{:?}",
                (
                    &a.definition,
                    a.stream,
                    a.sides(),
                    (a.pending, a.recorded_pending),
                    a.position,
                    a.holds_inventory,
                    books,
                    months
                )
            )
        });
        let accounts: Vec<_> = accounts.collect();
        format!(
            "{:?}",
            (
                (self.position, self.recorded_at, &self.tenant, items, &self.locations, accounts),
                (sorted(&self.rules), sorted(&self.reservations), sorted(&self.entries), &self.expiries),
                (sorted(&self.owners), sorted(&self.waiting), sorted(&self.expectations), sorted(&self.transfers)),
                (sorted(&self.counts), &self.open_counts, sorted(&self.people)),
                (sorted(&self.money.sets), sorted(&self.money.dimensions), sorted(&self.money.taxes)),
                (sorted(&self.money.series), &self.money.periods, &self.money.expiries)
            )
        )
    }

    /// The earlier events in memory: not of the fold, but taken back with it.
    pub(crate) fn fingerprint_of_goods(&self) -> String {
        let goods = self.goods.iter().map(|(at, g)| (at, (g.stream, sorted(&g.returned))));
        let mut rows: Vec<_> = goods.collect();
        rows.sort_by_key(|(at, _)| **at);
        format!("{rows:?}")
    }
}

#[cfg(test)]
fn sorted<'a, K: Ord + std::fmt::Debug + 'a, V: std::fmt::Debug + 'a>(map: impl IntoIterator<Item = (&'a K, &'a V)>) -> String {
    let mut rows: Vec<_> = map.into_iter().collect();
    rows.sort_by_key(|(key, _)| *key);
    format!("{rows:?}")
}
