//! The fold of one tenant's log: everything a decision needs to know.
//!
//! **Shape**: `Ledger` = catalogue + balances per item and location + accounts + open reservations, changed only by
//! [`Ledger::evolve`] (events) and [`Ledger::advance`] (time: holds lapse at their instant).
//! **Correctness**: 1. Every change pushes its inverse on the undo log, so a batch that the database refuses, or a
//! transaction whose last step is refused, is taken back exactly ([`Ledger::rollback`]). 2. `advance` only moves
//! forward, and evolving an event first advances to its recording time, so the state after position N is the same
//! whoever folds it. 3. Closed reservations and journal entries are dropped beyond a limit; the pipeline reads them
//! back from the log when a command names one ([`Ledger::absorb`]).

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::amount::Number;
use super::catalogue::command::MovementKind;
use super::catalogue::event::{AccountDefinition, ItemDefinition, LocationDefinition, TenantOpened};
use super::event::{Event, Posting, Recorded, Subject};
use super::id::{
    AccountCode, EntryId, LocationCode, Position, PostingClass, ReservationId, Sku, StreamNumber, StreamVersion, Text,
};
use super::limit::CLOSED_STREAMS_KEPT_MAX;
use super::stock::event::Movement;
use super::time::Timestamp;
use super::valuation::{Balance, Layer};

/// A stream's number and its newest version; (0, 0) before its first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The position of its first event.
    pub number: StreamNumber,
    /// How many events it has.
    pub version: StreamVersion,
}

/// An item and its balances.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Newest definition.
    pub definition: Box<ItemDefinition>,
    /// Its stream.
    pub stream: Stream,
    /// Number of its next cost layer.
    pub next_layer: i64,
    /// Per location that ever held it, keyed by the location's index.
    pub balances: SmallVec<[(u32, Box<Balance>); 1]>,
}

/// A location.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// Newest definition.
    pub definition: LocationDefinition,
    /// Its stream.
    pub stream: Stream,
}

/// An account and its totals in units of the base currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Newest definition.
    pub definition: AccountDefinition,
    /// Its stream.
    pub stream: Stream,
    /// Σ debits.
    pub debits: i128,
    /// Σ credits.
    pub credits: i128,
    /// Takes postings from stock facts only: it is, or was, some class's inventory account.
    pub holds_inventory: bool,
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationStatus {
    /// Holds stock.
    Held,
    /// Past its instant: holds nothing, not recorded as expired yet.
    Lapsed,
    /// Given back.
    Released,
    /// Recorded as expired.
    Expired,
    /// Shipped.
    Committed,
}

impl ReservationStatus {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Lapsed | Self::Expired => "expired",
            Self::Released => "released",
            Self::Committed => "committed",
        }
    }

    const fn is_open(self) -> bool {
        match self {
            Self::Held | Self::Lapsed => true,
            Self::Released | Self::Expired | Self::Committed => false,
        }
    }
}

/// A held line by indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Index of the item.
    pub item: u32,
    /// Index of the location.
    pub location: u32,
    /// Units.
    pub quantity: i64,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// Its stream.
    pub stream: Stream,
    /// Where it stands.
    pub status: ReservationStatus,
    /// For whom.
    pub owner: Option<Text>,
    /// Free at this instant.
    pub expires_at: Timestamp,
    /// What is held.
    pub lines: SmallVec<[Line; 1]>,
}

/// A journal entry posted by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its stream.
    pub stream: Stream,
    /// Reversed already.
    pub reversed: bool,
    /// As posted.
    pub postings: Vec<Posting>,
}

/// The inverse of one change.
#[derive(Debug)]
enum Undo {
    Head { position: Position, recorded_at: Timestamp },
    Now(Timestamp),
    Tenant,
    ItemAdded,
    ItemDefinition { item: u32, old: Box<ItemDefinition> },
    ItemStream { item: u32, stream: Stream, next_layer: i64 },
    BalanceAdded { item: u32 },
    Balance { item: u32, slot: usize, on_hand: i64, reserved: i64, value: i64, provisional: (i64, i64), last_cost: (i64, i64) },
    Layer { item: u32, slot: usize, number: i64, old: Option<Layer> },
    LocationAdded,
    Location { location: u32, old: Box<Location> },
    AccountAdded,
    AccountDefinition { account: u32, old: Box<Account> },
    AccountTotals { account: u32, debits: i128, credits: i128 },
    Rule { key: (MovementKind, PostingClass), old: Option<Rule> },
    Reservation { id: ReservationId, old: Option<Box<Reservation>> },
    Expiry { at: Timestamp, id: ReservationId, was_there: bool },
    Entry { id: EntryId, old: Option<Box<Entry>> },
}

/// Where a movement of a class posts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The account.
    pub account: AccountCode,
    /// Its stream.
    pub stream: Stream,
}

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
    entries: FxHashMap<EntryId, Entry>,
    expiries: BTreeSet<(Timestamp, ReservationId)>,
    /// Closed ones in the order they closed; the oldest go first.
    closed: VecDeque<ReservationId>,
    posted: VecDeque<EntryId>,
    undo: Vec<Undo>,
}

/// A place on the undo log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

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

    /// The pool of an item at a location; `None` when nothing ever moved there.
    #[must_use]
    pub fn balance(&self, item: u32, location: u32) -> Option<&Balance> {
        let item = self.items.get(item as usize)?;
        item.balances.iter().find(|(at, _)| *at == location).map(|(_, b)| &**b)
    }

    /// A reservation in memory: every open one, and closed ones up to a limit.
    #[must_use]
    pub fn reservation(&self, id: &str) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// A journal entry in memory, up to a limit.
    #[must_use]
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// Where a movement of a class posts.
    #[must_use]
    pub fn rule(&self, movement: MovementKind, class: &PostingClass) -> Option<&Rule> {
        self.rules.get(&(movement, class.clone()))
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
        }
    }

    /// Reservations that have lapsed and wait to be recorded as expired, oldest first, at most `limit`.
    #[must_use]
    pub fn lapsed(&self, limit: usize) -> Vec<ReservationId> {
        self.expiries.iter().take_while(|(at, _)| *at <= self.now).take(limit).map(|(_, id)| id.clone()).collect()
    }

    /// Here the undo log stands.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    /// Forgets how to undo: what was done is durable.
    pub fn commit(&mut self) {
        self.undo.clear();
        while self.closed.len() > CLOSED_STREAMS_KEPT_MAX {
            if let Some(id) = self.closed.pop_front()
                && self.reservations.get(&id).is_some_and(|r| !r.status.is_open())
            {
                self.reservations.remove(&id);
            }
        }
        while self.posted.len() > CLOSED_STREAMS_KEPT_MAX {
            if let Some(id) = self.posted.pop_front() {
                self.entries.remove(&id);
            }
        }
    }

    /// Holds whose instant has come are free from here on. Never moves backwards.
    pub fn advance(&mut self, now: Timestamp) {
        if now <= self.now {
            return;
        }
        self.undo.push(Undo::Now(self.now));
        let old = self.now;
        self.now = now;
        let due: Vec<ReservationId> = self
            .expiries
            .range((old, ReservationId::default())..)
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| id.clone())
            .collect();
        for id in due {
            if self.reservations.get(&id).is_some_and(|r| r.status == ReservationStatus::Held) {
                self.set_status(&id, ReservationStatus::Lapsed);
            }
        }
    }

    /// Folds one event in.
    ///
    /// # Errors
    /// [`Misfit`] when the event cannot follow this state; the state is then of no use.
    pub fn evolve(&mut self, recorded: &Recorded) -> Result<(), Misfit> {
        let misfit = |what| Misfit { position: recorded.position, what };
        if self.position.checked_add(1) != Some(recorded.position) {
            return Err(misfit("its position is not the next one"));
        }
        if recorded.recorded_at < self.recorded_at {
            return Err(misfit("it was recorded before its predecessor"));
        }
        self.advance(recorded.recorded_at);
        let stream = Stream { number: recorded.stream, version: recorded.stream_version };
        let known = self.stream(&recorded.fact.event.subject());
        // A closed reservation or an entry may have been dropped from memory; its next event carries its number.
        if known.version != 0 && (known.number != stream.number || known.version.checked_add(1) != Some(stream.version)) {
            return Err(misfit("its stream version is not the next one"));
        }
        if known.version == 0 && stream.version == 1 && stream.number != recorded.position {
            return Err(misfit("its stream is numbered otherwise than by its first position"));
        }
        self.undo.push(Undo::Head { position: self.position, recorded_at: self.recorded_at });
        self.position = recorded.position;
        self.recorded_at = recorded.recorded_at;
        self.fold(&recorded.fact.event, stream).map_err(misfit)
    }

    fn fold(&mut self, event: &Event, stream: Stream) -> Result<(), &'static str> {
        match event {
            Event::TenantOpened(e) => {
                self.undo.push(Undo::Tenant);
                self.tenant = Some(e.clone());
            }
            Event::ItemDefined(d) | Event::ItemChanged(d) => self.define_item(d, stream)?,
            Event::LocationDefined(d) | Event::LocationChanged(d) => self.define_location(d, stream)?,
            Event::AccountOpened(d) | Event::AccountChanged(d) => self.define_account(d, stream)?,
            Event::PostingRuleDefined(d) => {
                let key = (d.movement, d.class.clone());
                let old = self.rules.insert(key.clone(), Rule { account: d.account.clone(), stream });
                self.undo.push(Undo::Rule { key, old });
                if d.movement == MovementKind::Inventory {
                    let at = *self.account_index.get(&d.account).ok_or("its account is not defined")?;
                    let account = self.accounts.get_mut(at as usize).ok_or("its account is not defined")?;
                    self.undo.push(Undo::AccountDefinition { account: at, old: Box::new(account.clone()) });
                    account.holds_inventory = true;
                }
            }
            Event::StockReceived(m)
            | Event::StockIssued(m)
            | Event::StockReturned(m)
            | Event::StockAdjusted(m)
            | Event::StockRevalued(m)
            | Event::StockSettled(m) => {
                self.set_item_stream(&m.sku, stream)?;
                self.apply(m)?;
            }
            Event::StockTransferred(t) => {
                self.set_item_stream(&t.outgoing.sku, stream)?;
                self.apply(&t.outgoing)?;
                self.apply(&t.incoming)?;
            }
            Event::ReservationOpened(e) => {
                let mut lines = SmallVec::new();
                for l in &e.lines {
                    let item = *self.item_index.get(&l.sku).ok_or("its item is not defined")?;
                    let location = *self.location_index.get(&l.location).ok_or("its location is not defined")?;
                    lines.push(Line { item, location, quantity: l.quantity });
                }
                let status = ReservationStatus::Released;
                self.put_reservation(
                    &e.id,
                    Reservation { stream, status, owner: e.owner.clone(), expires_at: e.expires_at, lines },
                );
                self.set_status(&e.id, ReservationStatus::Held);
                self.set_expiry(e.expires_at, &e.id, true);
            }
            Event::ReservationExtended(e) => {
                let old = self.reservations.get(&e.id).ok_or("its reservation is not in memory")?;
                let (was, at) = (old.status, old.expires_at);
                self.touch_reservation(&e.id, |r| {
                    r.stream = stream;
                    r.expires_at = e.expires_at;
                });
                self.set_expiry(at, &e.id, false);
                self.set_expiry(e.expires_at, &e.id, true);
                if was == ReservationStatus::Lapsed {
                    self.set_status(&e.id, ReservationStatus::Held);
                }
            }
            Event::ReservationReleased(e) => self.close_reservation(&e.id, ReservationStatus::Released, stream)?,
            Event::ReservationExpired(e) => self.close_reservation(&e.id, ReservationStatus::Expired, stream)?,
            Event::ReservationCommitted(e) => {
                self.close_reservation(&e.id, ReservationStatus::Committed, stream)?;
                for m in &e.movements {
                    self.apply(m)?;
                }
            }
            Event::JournalEntryPosted(e) => {
                self.post(&e.postings)?;
                self.put_entry(&e.id, Entry { stream, reversed: false, postings: e.postings.clone() });
                self.posted.push_back(e.id.clone());
            }
            Event::JournalEntryReversed(e) => {
                self.post(&e.postings)?;
                let postings =
                    e.postings.iter().map(|p| Posting { account: p.account.clone(), amount: p.amount.saturating_neg() });
                self.put_entry(&e.id, Entry { stream, reversed: true, postings: postings.collect() });
            }
        }
        Ok(())
    }

    fn define_item(&mut self, d: &ItemDefinition, stream: Stream) -> Result<(), &'static str> {
        if let Some(&at) = self.item_index.get(&d.sku) {
            let item = self.items.get_mut(at as usize).ok_or("its item is not in memory")?;
            self.undo.push(Undo::ItemStream { item: at, stream: item.stream, next_layer: item.next_layer });
            let old = std::mem::replace(&mut item.definition, Box::new(d.clone()));
            item.stream = stream;
            self.undo.push(Undo::ItemDefinition { item: at, old });
        } else {
            let at = u32::try_from(self.items.len()).map_err(|_| "there are too many items")?;
            self.items.push(Item { definition: Box::new(d.clone()), stream, next_layer: 1, balances: SmallVec::new() });
            self.item_index.insert(d.sku.clone(), at);
            self.undo.push(Undo::ItemAdded);
        }
        Ok(())
    }

    fn define_location(&mut self, d: &LocationDefinition, stream: Stream) -> Result<(), &'static str> {
        let new = Location { definition: d.clone(), stream };
        if let Some(&at) = self.location_index.get(&d.code) {
            let location = self.locations.get_mut(at as usize).ok_or("its location is not in memory")?;
            let old = Box::new(std::mem::replace(location, new));
            self.undo.push(Undo::Location { location: at, old });
        } else {
            let at = u32::try_from(self.locations.len()).map_err(|_| "there are too many locations")?;
            self.locations.push(new);
            self.location_index.insert(d.code.clone(), at);
            self.undo.push(Undo::LocationAdded);
        }
        Ok(())
    }

    fn define_account(&mut self, d: &AccountDefinition, stream: Stream) -> Result<(), &'static str> {
        if let Some(&at) = self.account_index.get(&d.code) {
            let account = self.accounts.get_mut(at as usize).ok_or("its account is not in memory")?;
            self.undo.push(Undo::AccountDefinition { account: at, old: Box::new(account.clone()) });
            account.definition = d.clone();
            account.stream = stream;
        } else {
            let at = u32::try_from(self.accounts.len()).map_err(|_| "there are too many accounts")?;
            self.accounts.push(Account { definition: d.clone(), stream, debits: 0, credits: 0, holds_inventory: false });
            self.account_index.insert(d.code.clone(), at);
            self.undo.push(Undo::AccountAdded);
        }
        Ok(())
    }

    fn set_item_stream(&mut self, sku: &Sku, stream: Stream) -> Result<(), &'static str> {
        let at = *self.item_index.get(sku).ok_or("its item is not defined")?;
        let item = self.items.get_mut(at as usize).ok_or("its item is not in memory")?;
        self.undo.push(Undo::ItemStream { item: at, stream: item.stream, next_layer: item.next_layer });
        item.stream = stream;
        Ok(())
    }

    /// The slot of a balance, made if nothing ever moved there; its scalars are on the undo log afterwards.
    fn touch_balance(&mut self, item_at: u32, location: u32) -> Result<(&mut Balance, &mut Vec<Undo>, usize), &'static str> {
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        let slot = match item.balances.iter().position(|(at, _)| *at == location) {
            Some(slot) => slot,
            None => {
                item.balances.push((location, Box::default()));
                self.undo.push(Undo::BalanceAdded { item: item_at });
                item.balances.len().saturating_sub(1)
            }
        };
        let (_, b) = item.balances.get_mut(slot).ok_or("its balance is not in memory")?;
        self.undo.push(Undo::Balance {
            item: item_at,
            slot,
            on_hand: b.on_hand,
            reserved: b.reserved,
            value: b.value,
            provisional: b.provisional,
            last_cost: b.last_cost,
        });
        Ok((b, &mut self.undo, slot))
    }

    fn apply(&mut self, m: &Movement) -> Result<(), &'static str> {
        const RANGE: &str = "its figures leave the range, or a cost layer is overdrawn";
        let item_at = *self.item_index.get(&m.sku).ok_or("its item is not defined")?;
        let location = *self.location_index.get(&m.location).ok_or("its location is not defined")?;
        let (b, undo, slot) = self.touch_balance(item_at, location)?;
        let mut newest = 0;
        for change in &m.layers {
            undo.push(Undo::Layer { item: item_at, slot, number: change.layer, old: b.layer(change.layer) });
            newest = newest.max(change.layer);
        }
        b.apply(m).ok_or(RANGE)?;
        if b.on_hand == 0 && b.value != 0 {
            return Err("it leaves value without quantity");
        }
        let item = self.items.get_mut(item_at as usize).ok_or("its item is not in memory")?;
        if newest >= item.next_layer {
            self.undo.push(Undo::ItemStream { item: item_at, stream: item.stream, next_layer: item.next_layer });
            item.next_layer = newest.checked_add(1).ok_or(RANGE)?;
        }
        self.post(&m.postings)
    }

    fn post(&mut self, postings: &[Posting]) -> Result<(), &'static str> {
        let mut sum: i128 = 0;
        for p in postings {
            let at = *self.account_index.get(&p.account).ok_or("its account is not defined")?;
            let account = self.accounts.get_mut(at as usize).ok_or("its account is not in memory")?;
            self.undo.push(Undo::AccountTotals { account: at, debits: account.debits, credits: account.credits });
            let amount = i128::from(p.amount);
            let total = if amount >= 0 { &mut account.debits } else { &mut account.credits };
            *total = total.checked_add(amount.abs()).ok_or("its account's total leaves the range")?;
            sum = sum.checked_add(amount).ok_or("its postings leave the range")?;
        }
        if sum == 0 { Ok(()) } else { Err("its postings do not balance") }
    }

    fn put_reservation(&mut self, id: &ReservationId, reservation: Reservation) {
        let old = self.reservations.insert(id.clone(), reservation).map(Box::new);
        self.undo.push(Undo::Reservation { id: id.clone(), old });
    }

    fn touch_reservation(&mut self, id: &ReservationId, change: impl FnOnce(&mut Reservation)) {
        if let Some(r) = self.reservations.get_mut(id) {
            self.undo.push(Undo::Reservation { id: id.clone(), old: Some(Box::new(r.clone())) });
            change(r);
        }
    }

    fn put_entry(&mut self, id: &EntryId, entry: Entry) {
        let old = self.entries.insert(id.clone(), entry).map(Box::new);
        self.undo.push(Undo::Entry { id: id.clone(), old });
    }

    fn set_expiry(&mut self, at: Timestamp, id: &ReservationId, present: bool) {
        let key = (at, id.clone());
        let was_there = if present { !self.expiries.insert(key) } else { self.expiries.remove(&key) };
        self.undo.push(Undo::Expiry { at, id: id.clone(), was_there });
    }

    /// Changes where a reservation stands, and with it what is held.
    fn set_status(&mut self, id: &ReservationId, status: ReservationStatus) {
        let Some(r) = self.reservations.get(id) else {
            return;
        };
        let (was, lines) = (r.status == ReservationStatus::Held, r.lines.clone());
        let is = status == ReservationStatus::Held;
        self.touch_reservation(id, |r| r.status = status);
        if was == is {
            return;
        }
        for l in lines {
            if let Ok((b, _, _)) = self.touch_balance(l.item, l.location) {
                let change = if is { l.quantity } else { l.quantity.saturating_neg() };
                b.reserved = b.reserved.saturating_add(change);
            }
        }
    }

    fn close_reservation(&mut self, id: &ReservationId, status: ReservationStatus, stream: Stream) -> Result<(), &'static str> {
        let at = self.reservations.get(id).ok_or("its reservation is not in memory")?.expires_at;
        self.set_status(id, status);
        self.touch_reservation(id, |r| r.stream = stream);
        self.set_expiry(at, id, false);
        self.closed.push_back(id.clone());
        Ok(())
    }

    /// Takes a reservation or an entry, read back from the log, into memory: its events from the first to the newest,
    /// all of them at or before this state's position. Only closed ones are ever dropped, so no stock changes.
    ///
    /// # Errors
    /// [`Misfit`] when the stream is not closed or names what is not there.
    pub fn absorb(&mut self, events: &[Recorded]) -> Result<(), Misfit> {
        for recorded in events {
            let misfit = |what| Misfit { position: recorded.position, what };
            let stream = Stream { number: recorded.stream, version: recorded.stream_version };
            match &recorded.fact.event {
                Event::ReservationOpened(e) => {
                    let lines = e.lines.iter().filter_map(|l| {
                        let item = *self.item_index.get(&l.sku)?;
                        Some(Line { item, location: *self.location_index.get(&l.location)?, quantity: l.quantity })
                    });
                    let r = Reservation {
                        stream,
                        status: ReservationStatus::Released,
                        owner: e.owner.clone(),
                        expires_at: e.expires_at,
                        lines: lines.collect(),
                    };
                    self.reservations.insert(e.id.clone(), r);
                    self.closed.push_back(e.id.clone());
                }
                Event::ReservationExtended(e) => self.amend(&e.id, stream, |r| r.expires_at = e.expires_at),
                Event::ReservationReleased(e) => self.amend(&e.id, stream, |r| r.status = ReservationStatus::Released),
                Event::ReservationExpired(e) => self.amend(&e.id, stream, |r| r.status = ReservationStatus::Expired),
                Event::ReservationCommitted(e) => self.amend(&e.id, stream, |r| r.status = ReservationStatus::Committed),
                Event::JournalEntryPosted(e) => {
                    self.entries.insert(e.id.clone(), Entry { stream, reversed: false, postings: e.postings.clone() });
                    self.posted.push_back(e.id.clone());
                }
                Event::JournalEntryReversed(e) => {
                    if let Some(entry) = self.entries.get_mut(&e.id) {
                        entry.stream = stream;
                        entry.reversed = true;
                    }
                }
                _catalogue_and_stock => {
                    return Err(misfit("it belongs to a stream that is always in memory"));
                }
            }
        }
        Ok(())
    }

    fn amend(&mut self, id: &ReservationId, stream: Stream, change: impl FnOnce(&mut Reservation)) {
        if let Some(r) = self.reservations.get_mut(id) {
            r.stream = stream;
            change(r);
        }
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

    fn undo_one(&mut self, undo: Undo) {
        match undo {
            Undo::Head { position, recorded_at } => (self.position, self.recorded_at) = (position, recorded_at),
            Undo::Now(now) => self.now = now,
            Undo::Tenant => self.tenant = None,
            Undo::ItemAdded => {
                if let Some(item) = self.items.pop() {
                    self.item_index.remove(&item.definition.sku);
                }
            }
            Undo::ItemDefinition { item, old } => {
                if let Some(item) = self.items.get_mut(item as usize) {
                    item.definition = old;
                }
            }
            Undo::ItemStream { item, stream, next_layer } => {
                if let Some(item) = self.items.get_mut(item as usize) {
                    (item.stream, item.next_layer) = (stream, next_layer);
                }
            }
            Undo::BalanceAdded { item } => {
                if let Some(item) = self.items.get_mut(item as usize) {
                    item.balances.pop();
                }
            }
            Undo::Balance { item, slot, on_hand, reserved, value, provisional, last_cost } => {
                if let Some((_, b)) = self.items.get_mut(item as usize).and_then(|i| i.balances.get_mut(slot)) {
                    (b.on_hand, b.reserved, b.value, b.provisional, b.last_cost) =
                        (on_hand, reserved, value, provisional, last_cost);
                }
            }
            Undo::Layer { item, slot, number, old } => {
                if let Some((_, b)) = self.items.get_mut(item as usize).and_then(|i| i.balances.get_mut(slot)) {
                    b.set_layer(number, old);
                }
            }
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
            Undo::AccountDefinition { account, old } => {
                if let Some(account) = self.accounts.get_mut(account as usize) {
                    *account = *old;
                }
            }
            Undo::AccountTotals { account, debits, credits } => {
                if let Some(account) = self.accounts.get_mut(account as usize) {
                    (account.debits, account.credits) = (debits, credits);
                }
            }
            Undo::Rule { key, old } => match old {
                Some(rule) => {
                    self.rules.insert(key, rule);
                }
                None => {
                    self.rules.remove(&key);
                }
            },
            Undo::Reservation { id, old } => match old {
                Some(r) => {
                    self.reservations.insert(id, *r);
                }
                None => {
                    self.reservations.remove(&id);
                }
            },
            Undo::Expiry { at, id, was_there } => {
                if was_there {
                    self.expiries.insert((at, id));
                } else {
                    self.expiries.remove(&(at, id));
                }
            }
            Undo::Entry { id, old } => match old {
                Some(e) => {
                    self.entries.insert(id, *e);
                }
                None => {
                    self.entries.remove(&id);
                }
            },
        }
    }

    /// Σ value of all stock, and Σ balance of the inventory accounts; equal at every position.
    #[must_use]
    pub fn stock_and_inventory(&self) -> (i128, i128) {
        let stock = self.items.iter().flat_map(|i| &i.balances).map(|(_, b)| i128::from(b.value)).sum();
        let inventory = self.accounts.iter().filter(|a| a.holds_inventory).map(|a| a.debits.saturating_sub(a.credits)).sum();
        (stock, inventory)
    }

    /// Checks what must hold after every event (DOMAIN 6); names the first thing that does not.
    ///
    /// # Errors
    /// A sentence for the auditor.
    pub fn check(&self) -> Result<(), String> {
        let debits: i128 = self.accounts.iter().map(|a| a.debits).sum();
        let credits: i128 = self.accounts.iter().map(|a| a.credits).sum();
        if debits != credits {
            return Err(format!("debits {debits} differ from credits {credits}"));
        }
        let (stock, inventory) = self.stock_and_inventory();
        if stock != inventory {
            return Err(format!("stock value {stock} differs from the inventory accounts {inventory}"));
        }
        let mut held: FxHashMap<(u32, u32), i64> = FxHashMap::default();
        for r in self.reservations.values().filter(|r| r.status == ReservationStatus::Held) {
            for l in &r.lines {
                let sum = held.entry((l.item, l.location)).or_default();
                *sum = sum.saturating_add(l.quantity);
            }
        }
        for (at, item) in (0_u32..).zip(&self.items) {
            for (location, b) in &item.balances {
                let held = held.remove(&(at, *location)).unwrap_or(0);
                check_balance(item, b, held).map_err(|what| format!("item {}: {what}", item.definition.sku))?;
            }
        }
        match held.keys().next() {
            None => Ok(()),
            Some(_) => Err("a reservation holds an item where it never was".to_owned()),
        }
    }
}

fn check_balance(item: &Item, b: &Balance, held: i64) -> Result<(), String> {
    use super::catalogue::command::{NegativeStock, ValuationMethod};
    if b.on_hand == 0 && b.value != 0 {
        return Err(format!("value {} without quantity", b.value));
    }
    if b.reserved != held {
        return Err(format!("reserved {} differs from the open lines {held}", b.reserved));
    }
    if item.definition.negative_stock == NegativeStock::Forbid && b.available() < 0 {
        return Err(format!("available {} is below zero", b.available()));
    }
    if item.definition.method == ValuationMethod::Fifo && b.on_hand > 0 {
        let (quantity, value) = b.layers.iter().fold((0_i128, 0_i128), |(q, v), l| {
            (q.saturating_add(i128::from(l.quantity)), v.saturating_add(i128::from(l.value)))
        });
        if (quantity, value) != (i128::from(b.on_hand), i128::from(b.value)) {
            return Err(format!("layers hold {quantity} worth {value}, the pool {} worth {}", b.on_hand, b.value));
        }
    }
    Ok(())
}

/// A quantity or amount as text, for rejections.
pub(crate) fn shown(units: i64, scale: u8) -> Text {
    Text::trusted(&Number::from_units(units, scale).to_string())
}

#[cfg(test)]
impl Ledger {
    /// Everything a decision could see, in a fixed order.
    pub(crate) fn fingerprint(&self) -> String {
        let mut reservations: Vec<_> = self.reservations.iter().collect();
        reservations.sort_by_key(|(id, _)| (*id).clone());
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(id, _)| (*id).clone());
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|(key, _)| (*key).clone());
        format!(
            "{:?}",
            (
                (self.position, self.recorded_at, &self.tenant, &self.items, &self.locations, &self.accounts),
                (rules, reservations, entries, &self.expiries)
            )
        )
    }
}
