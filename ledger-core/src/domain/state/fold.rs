//! Events and time into the state.

use smallvec::SmallVec;

use super::account::Account;
use super::row::{EntryStatus, Item, Location, Person, Reservation, ReservationStatus, Rule, Stream};
use super::undo::Undo;
use super::{Closed, Ledger, Misfit};
use crate::domain::catalogue::event::{AccountDefinition, ItemDefinition, LocationDefinition, PostingRuleDefinition};
use crate::domain::event::{Event, Posting, Recorded};
use crate::domain::id::{PersonId, ReservationId, Sku};
use crate::domain::time::Timestamp;

impl Ledger {
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
        self.lapse_entries(old);
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
        // What is closed may have been dropped from memory; its next event carries its number.
        if known.version != 0 && (known.number != stream.number || known.version.checked_add(1) != Some(stream.version)) {
            return Err(misfit("its stream version is not the next one"));
        }
        if known.version == 0 && stream.version == 1 && stream.number != recorded.position {
            return Err(misfit("its stream is numbered otherwise than by its first position"));
        }
        self.undo.push(Undo::Head { position: self.position, recorded_at: self.recorded_at });
        self.position = recorded.position;
        self.recorded_at = recorded.recorded_at;
        self.fold(&recorded.fact.event, stream, recorded.effective_at()).map_err(misfit)
    }

    fn fold(&mut self, event: &Event, stream: Stream, effective_at: Timestamp) -> Result<(), &'static str> {
        match event {
            Event::TenantOpened(e) => {
                self.undo.push(Undo::Tenant);
                self.tenant = Some(e.clone());
            }
            Event::ItemDefined(d) | Event::ItemChanged(d) => self.define_item(d, stream)?,
            Event::LocationDefined(d) | Event::LocationChanged(d) => self.define_location(d, stream)?,
            Event::AccountOpened(d) | Event::AccountChanged(d) => self.define_account(d, stream)?,
            Event::PostingRuleDefined(d) => self.define_rule(d, stream)?,
            Event::StockPolicyDefined(d) => {
                self.set_item_stream(&d.sku, stream)?;
                self.define_policy(d)?;
            }
            Event::StockReceived(m)
            | Event::StockIssued(m)
            | Event::StockAdjusted(m)
            | Event::StockScrapped(m)
            | Event::StockRevalued(m)
            | Event::StockSettled(m) => self.set_item_stream(&m.sku, stream)?,
            Event::StockReturned(m) | Event::StockReturnedToSupplier(m) => match m.of() {
                Some(of) => self.note_returned(of, m, stream),
                None => self.set_item_stream(&m.sku, stream)?,
            },
            Event::StockTransferred(t) | Event::StockStatusChanged(t) => self.set_item_stream(&t.outgoing.sku, stream)?,
            Event::StockAssembled(e) | Event::StockDisassembled(e) => self.set_item_stream(&e.sku, stream)?,
            Event::StockCostAdded(e) => self.set_goods_stream(e.receipt.position, stream),
            Event::StandardCostChanged(e) => {
                self.set_item_stream(&e.sku, stream)?;
                self.set_standard_cost(&e.sku, e.standard_cost)?;
            }
            Event::StockExpected(e) => self.expect_goods(e, stream)?,
            Event::ExpectationCancelled(e) => self.cancel_expectation(&e.id, stream)?,
            Event::ReservationOpened(e) => {
                let lines = self.lines(&e.lines)?;
                let reservation = Reservation {
                    stream,
                    status: ReservationStatus::Released,
                    owner: e.owner.clone(),
                    expires_at: e.expires_at,
                    priority: e.priority.unwrap_or(0),
                    lines,
                };
                self.put_reservation(&e.id, reservation);
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
            Event::ReservationConfirmed(e) => {
                let at = self.reservations.get(&e.id).ok_or("its reservation is not in memory")?.expires_at;
                self.set_expiry(at, &e.id, false);
                self.set_status(&e.id, ReservationStatus::Allocated);
                self.touch_reservation(&e.id, |r| r.stream = stream);
            }
            Event::ReservationChanged(e) | Event::ReservationFilled(e) => self.set_lines(&e.id, &e.lines, stream)?,
            Event::ReservationReleased(e) => self.close_reservation(&e.id, ReservationStatus::Released, stream)?,
            Event::ReservationExpired(e) => self.close_reservation(&e.id, ReservationStatus::Expired, stream)?,
            Event::ReservationCommitted(e) => match &e.remaining {
                Some(remaining) => self.set_lines(&e.id, remaining, stream)?,
                None => self.close_reservation(&e.id, ReservationStatus::Committed, stream)?,
            },
            Event::JournalEntryPosted(e) => {
                self.number(e.number.as_ref())?;
                self.post_entry(&e.id, &e.postings, stream);
            }
            Event::JournalEntryReversed(e) => {
                self.number(e.number.as_ref())?;
                self.reverse_entry(&e.id, &e.postings, stream);
            }
            Event::JournalEntryHeld(e) => self.hold_entry(e, stream)?,
            Event::JournalEntrySettled(e) => {
                self.number(e.number.as_ref())?;
                self.settle_entry(e, stream)?;
            }
            Event::JournalEntryVoided(e) => self.free_entry(e, EntryStatus::Voided, stream)?,
            Event::JournalEntryExpired(e) => self.free_entry(e, EntryStatus::Expired, stream)?,
            Event::CurrencyRevalued(e) => self.post_entry(&e.id, &e.postings, stream),
            Event::YearClosed(_) => self.close_year(stream),
            Event::PeriodClosed(e) => self.close_period(e, stream)?,
            Event::PeriodReopened(e) => self.reopen_period(e.period, stream),
            Event::CalendarDefined(e) => self.define_calendar(e.year_starts_month, stream),
            Event::AccountSetDefined(d) => self.define_account_set(d, stream),
            Event::DimensionDefined(d) => self.define_dimension(d, stream),
            Event::TaxCodeDefined(d) => self.define_tax_code(d, stream),
            Event::TransferDispatched(e) => self.dispatch(e, stream)?,
            Event::TransferReceived(e) => self.receive_transfer(e, stream)?,
            Event::TransferCancelled(e) => self.cancel_transfer(&e.id, stream)?,
            Event::CountOpened(e) => self.open_count(e, stream)?,
            Event::CountRecorded(e) => self.record_count(e, stream)?,
            Event::CountPosted(e) => self.close_count(&e.id, stream)?,
            Event::CountCancelled(e) => self.close_count(&e.id, stream)?,
            Event::PersonRecorded(e) => self.put_person(&e.id, Person { stream, commitment: Some(e.commitment) }),
            Event::PersonErased(e) => self.put_person(&e.id, Person { stream, commitment: None }),
        }
        Self::check_currencies(event)?;
        let by_hand: &[Posting] = match event {
            Event::JournalEntryPosted(e) => &e.postings,
            Event::JournalEntryReversed(e) => &e.postings,
            Event::JournalEntrySettled(e) => &e.postings,
            Event::CurrencyRevalued(e) => &e.postings,
            Event::YearClosed(e) => &e.postings,
            _others_post_by_their_movements => &[],
        };
        self.post(by_hand, effective_at)?;
        self.apply_movements(event, effective_at)
    }

    fn define_item(&mut self, d: &ItemDefinition, stream: Stream) -> Result<(), &'static str> {
        let Some(&at) = self.item_index.get(&d.sku) else {
            let at = u32::try_from(self.items.len()).map_err(|_| "there are too many items")?;
            self.items.push(Item {
                definition: Box::new(d.clone()),
                stream,
                next_layer: 1,
                bins: SmallVec::new(),
                pools: SmallVec::new(),
                tracked: None,
            });
            self.item_index.insert(d.sku.clone(), at);
            self.undo.push(Undo::ItemAdded);
            return Ok(());
        };
        let item = self.items.get_mut(at as usize).ok_or("its item is not in memory")?;
        self.undo.push(Undo::ItemStream { item: at, stream: item.stream, next_layer: item.next_layer });
        let old = std::mem::replace(&mut item.definition, Box::new(d.clone()));
        item.stream = stream;
        let (had, has) = (old.method.keeps_layers(), d.method.keeps_layers());
        self.undo.push(Undo::ItemDefinition { item: at, old });
        if had != has {
            self.convert_layers(at, has)?;
        }
        Ok(())
    }

    fn define_location(&mut self, d: &LocationDefinition, stream: Stream) -> Result<(), &'static str> {
        let parent = match &d.parent {
            Some(code) => Some(*self.location_index.get(code).ok_or("its parent is not defined")?),
            None => None,
        };
        let new = Location { definition: d.clone(), stream, parent };
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
            self.undo.push(Undo::Account { account: at, old: Box::new(account.clone()) });
            account.definition = d.clone();
            account.stream = stream;
        } else {
            let at = u32::try_from(self.accounts.len()).map_err(|_| "there are too many accounts")?;
            self.accounts.push(Account::new(d.clone(), stream));
            self.account_index.insert(d.code.clone(), at);
            self.undo.push(Undo::AccountAdded);
        }
        Ok(())
    }

    fn define_rule(&mut self, d: &PostingRuleDefinition, stream: Stream) -> Result<(), &'static str> {
        let key = (d.movement, d.class.clone());
        let old = self.rules.insert(key.clone(), Rule { account: d.account.clone(), stream });
        self.undo.push(Undo::Rule { key, old });
        if d.movement.holds_inventory() {
            let at = *self.account_index.get(&d.account).ok_or("its account is not defined")?;
            let account = self.accounts.get_mut(at as usize).ok_or("its account is not defined")?;
            self.undo.push(Undo::Account { account: at, old: Box::new(account.clone()) });
            account.holds_inventory = true;
        }
        Ok(())
    }

    fn put_person(&mut self, id: &PersonId, person: Person) {
        let old = self.people.insert(id.clone(), person).map(Box::new);
        self.undo.push(Undo::Person { id: id.clone(), old });
        self.note_closed(Closed::Person(id.clone()));
    }

    fn set_item_stream(&mut self, sku: &Sku, stream: Stream) -> Result<(), &'static str> {
        let at = *self.item_index.get(sku).ok_or("its item is not defined")?;
        let item = self.items.get_mut(at as usize).ok_or("its item is not in memory")?;
        self.undo.push(Undo::ItemStream { item: at, stream: item.stream, next_layer: item.next_layer });
        item.stream = stream;
        Ok(())
    }
}
