//! The inverse of every change, so that what is not durable can be taken back exactly.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::account::{Account, Pending};
use super::money::Periods;
use super::row::{
    Count, Entry, Expectation, Goods, Item, Location, Person, Reservation, Rule, SerialAt, Stream, Tracked, Transfer,
};
use super::{Closed, Ledger};
use crate::domain::account::event::{AccountSetDefined, DimensionDefined, TaxCodeDefined};
use crate::domain::catalogue::command::MovementKind;
use crate::domain::catalogue::event::ItemDefinition;
use crate::domain::event::Posting;
use crate::domain::id::{
    AccountSetCode, CountId, DimensionCode, EntryId, ExpectationId, PersonId, Position, PostingClass, ReservationId, Serial,
    SeriesCode, TaxCode as TaxCodeId, Text, TransferId,
};
use crate::domain::period::Month;
use crate::domain::stock::bin::{Bin, Cell, Policy};
use crate::domain::time::Timestamp;
use crate::domain::valuation::{Layer, Pool};

/// The scalars of a bin, in the order of its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct BinScalars(i64, i64, i64, i64, i64, i64, Timestamp);

impl BinScalars {
    pub(super) const fn of(b: &Bin) -> Self {
        Self(b.on_hand, b.unsellable, b.reserved, b.allocated, b.waiting, b.incoming, b.since)
    }

    fn put(self, b: &mut Bin) {
        (b.on_hand, b.unsellable, b.reserved, b.allocated, b.waiting, b.incoming, b.since) =
            (self.0, self.1, self.2, self.3, self.4, self.5, self.6);
    }
}

/// The scalars of a pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolScalars(i64, i64, (i64, i64), (i64, i64), Timestamp);

impl PoolScalars {
    pub(super) const fn of(p: &Pool) -> Self {
        Self(p.quantity, p.value, p.provisional, p.last_cost, p.effective_max)
    }

    fn put(self, p: &mut Pool) {
        (p.quantity, p.value, p.provisional, p.last_cost, p.effective_max) = (self.0, self.1, self.2, self.3, self.4);
    }
}

/// The inverse of one change.
#[derive(Debug)]
pub(super) enum Undo {
    Head { position: Position, recorded_at: Timestamp },
    Now(Timestamp),
    Tenant,
    ItemAdded,
    ItemDefinition { item: u32, old: Box<ItemDefinition> },
    ItemStream { item: u32, stream: Stream, next_layer: i64 },
    BinAdded { item: u32 },
    Bin { item: u32, slot: usize, old: BinScalars },
    Cell { item: u32, slot: usize, old: Cell },
    Policy { item: u32, slot: usize, old: Option<Box<Policy>> },
    PoolAdded { item: u32 },
    Pool { item: u32, slot: usize, old: PoolScalars },
    Layer { item: u32, slot: usize, number: i64, old: Option<Layer> },
    Layers { item: u32, slot: usize, old: VecDeque<Layer> },
    Tracked { item: u32 },
    LotAdded { item: u32 },
    Serial { item: u32, serial: Serial, old: Option<SerialAt> },
    LocationAdded,
    Location { location: u32, old: Box<Location> },
    AccountAdded,
    Account { account: u32, old: Box<Account> },
    Posted { account: u32, posting: Posting, month: Month, position: Position },
    Pended { account: u32, posting: Posting, sign: i128, what: Pending },
    Rule { key: (MovementKind, PostingClass), old: Option<Rule> },
    Reservation { id: ReservationId, old: Option<Box<Reservation>> },
    Owner { owner: Text, id: ReservationId, was_there: bool },
    Waiting { at: (u32, u32), key: (Reverse<u8>, Position, ReservationId), was_there: bool },
    Expiry { at: Timestamp, id: ReservationId, was_there: bool },
    Entry { id: EntryId, old: Option<Box<Entry>> },
    EntryExpiry { at: Timestamp, id: EntryId, was_there: bool },
    Series { key: (SeriesCode, i32), old: Option<u64> },
    Periods(Periods),
    AccountSet { code: AccountSetCode, old: Option<Box<(AccountSetDefined, Stream)>> },
    Dimension { code: DimensionCode, old: Option<Box<(DimensionDefined, Stream)>> },
    TaxCode { code: TaxCodeId, old: Option<Box<(TaxCodeDefined, Stream)>> },
    Expectation { id: ExpectationId, old: Option<Box<Expectation>> },
    Transfer { id: TransferId, old: Option<Box<Transfer>> },
    Count { id: CountId, old: Option<Box<Count>> },
    CountMoved { id: CountId },
    OpenCounts(Vec<CountId>),
    Person { id: PersonId, old: Option<Box<Person>> },
    Goods { position: Position, old: Box<Goods> },
}

/// A place on the undo log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// Puts an old value back where it was, or takes the new one away.
fn put_back<K: std::hash::Hash + Eq, V>(map: &mut rustc_hash::FxHashMap<K, V>, key: K, old: Option<Box<V>>) {
    match old {
        Some(old) => {
            map.insert(key, *old);
        }
        None => {
            map.remove(&key);
        }
    }
}

impl Ledger {
    /// Here the undo log stands.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    /// Takes everything back that was done since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        while self.undo.len() > mark.0 {
            if let Some(undo) = self.undo.pop() {
                self.undo_one(undo);
            }
        }
    }

    /// Takes everything back that is not committed.
    pub fn rollback_all(&mut self) {
        self.rollback(Mark(0));
    }

    fn item_mut(&mut self, item: u32) -> Option<&mut Item> {
        self.items.get_mut(item as usize)
    }

    fn bin_mut(&mut self, item: u32, slot: usize) -> Option<&mut Bin> {
        self.item_mut(item)?.bins.get_mut(slot).map(|(_, b)| &mut **b)
    }

    fn pool_mut(&mut self, item: u32, slot: usize) -> Option<&mut Pool> {
        self.item_mut(item)?.pools.get_mut(slot).map(|(_, p)| &mut **p)
    }

    fn tracked_mut(&mut self, item: u32) -> Option<&mut Tracked> {
        self.item_mut(item)?.tracked.as_deref_mut()
    }

    fn undo_one(&mut self, undo: Undo) {
        match undo {
            Undo::Head { position, recorded_at } => (self.position, self.recorded_at) = (position, recorded_at),
            Undo::Now(now) => self.now = now,
            Undo::Tenant => self.tenant = None,
            Undo::LocationAdded => {
                if let Some(location) = self.locations.pop() {
                    self.location_index.remove(&location.definition.code);
                }
            }
            Undo::Location { location, old } => {
                if let Some(location) = self.locations.get_mut(location as usize) {
                    *location = *old;
                }
            }
            Undo::AccountAdded => {
                if let Some(account) = self.accounts.pop() {
                    self.account_index.remove(&account.definition.code);
                }
            }
            Undo::Account { account, old } => {
                if let Some(account) = self.accounts.get_mut(account as usize) {
                    *account = *old;
                }
            }
            Undo::Posted { account, posting, month, position } => {
                if let Some(account) = self.accounts.get_mut(account as usize) {
                    // What was added can be taken away again.
                    let _ = account.apply(&posting, month, -1);
                    account.position = position;
                }
            }
            Undo::Pended { account, posting, sign, what } => {
                if let Some(account) = self.accounts.get_mut(account as usize) {
                    let _ = account.pend(&posting, sign.saturating_neg(), what);
                }
            }
            Undo::Series { key, old } => put_back(&mut self.money.series, key, old.map(Box::new)),
            Undo::Periods(old) => self.money.periods = old,
            Undo::AccountSet { code, old } => put_back(&mut self.money.sets, code, old),
            Undo::Dimension { code, old } => put_back(&mut self.money.dimensions, code, old),
            Undo::TaxCode { code, old } => put_back(&mut self.money.taxes, code, old),
            Undo::EntryExpiry { at, id, was_there } => self.place_entry_expiry(at, &id, was_there),
            Undo::Rule { key, old } => put_back(&mut self.rules, key, old.map(Box::new)),
            Undo::Reservation { id, old } => put_back(&mut self.reservations, id, old),
            Undo::Owner { owner, id, was_there } => self.place_owner(&owner, &id, was_there),
            Undo::Waiting { at, key, was_there } => self.place_waiting(at, key, was_there),
            Undo::Expiry { at, id, was_there } => {
                if was_there {
                    self.expiries.insert((at, id));
                } else {
                    self.expiries.remove(&(at, id));
                }
            }
            Undo::Entry { id, old } => put_back(&mut self.entries, id, old),
            Undo::Expectation { id, old } => put_back(&mut self.expectations, id, old),
            Undo::Transfer { id, old } => put_back(&mut self.transfers, id, old),
            Undo::Count { id, old } => put_back(&mut self.counts, id, old),
            Undo::CountMoved { id } => {
                if let Some(count) = self.counts.get_mut(&id) {
                    count.moved.pop();
                }
            }
            Undo::OpenCounts(old) => self.open_counts = old,
            Undo::Person { id, old } => put_back(&mut self.people, id, old),
            Undo::Goods { position, old } => {
                self.goods.insert(position, *old);
            }
            Undo::ItemAdded
            | Undo::ItemDefinition { .. }
            | Undo::ItemStream { .. }
            | Undo::BinAdded { .. }
            | Undo::Bin { .. }
            | Undo::Cell { .. }
            | Undo::Policy { .. }
            | Undo::PoolAdded { .. }
            | Undo::Pool { .. }
            | Undo::Layer { .. }
            | Undo::Layers { .. }
            | Undo::Tracked { .. }
            | Undo::LotAdded { .. }
            | Undo::Serial { .. } => {
                // Always `Some`: see there.
                let _ = self.undo_item(undo);
            }
        }
    }

    /// The changes of an item. What a change was made to is there: it is undone before it is taken away.
    fn undo_item(&mut self, undo: Undo) -> Option<()> {
        match undo {
            Undo::ItemAdded => {
                let item = self.items.pop()?;
                self.item_index.remove(&item.definition.sku);
            }
            Undo::ItemDefinition { item, old } => self.item_mut(item)?.definition = old,
            Undo::ItemStream { item, stream, next_layer } => {
                let item = self.item_mut(item)?;
                (item.stream, item.next_layer) = (stream, next_layer);
            }
            Undo::BinAdded { item } => {
                self.item_mut(item)?.bins.pop();
            }
            Undo::Bin { item, slot, old } => old.put(self.bin_mut(item, slot)?),
            Undo::Cell { item, slot, old } => self.bin_mut(item, slot)?.set_cell(old),
            Undo::Policy { item, slot, old } => self.bin_mut(item, slot)?.policy = old,
            Undo::PoolAdded { item } => {
                self.item_mut(item)?.pools.pop();
            }
            Undo::Pool { item, slot, old } => old.put(self.pool_mut(item, slot)?),
            Undo::Layer { item, slot, number, old } => self.pool_mut(item, slot)?.set_layer(number, old),
            Undo::Layers { item, slot, old } => self.pool_mut(item, slot)?.layers = old,
            Undo::Tracked { item } => self.item_mut(item)?.tracked = None,
            Undo::LotAdded { item } => {
                let tracked = self.tracked_mut(item)?;
                let lot = tracked.lots.pop()?;
                tracked.lot_index.remove(&lot.code);
            }
            Undo::Serial { item, serial, old } => {
                let tracked = self.tracked_mut(item)?;
                match old {
                    Some(at) => {
                        tracked.serials.insert(serial, at);
                    }
                    None => {
                        tracked.serials.remove(&serial);
                    }
                }
            }
            _another_thing => {}
        }
        Some(())
    }

    /// Remembers that something may be dropped from memory; a mention too many does no harm.
    pub(super) fn note_closed(&mut self, closed: Closed) {
        self.closed.push_back(closed);
    }
}
