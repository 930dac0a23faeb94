//! One item at one location, as a decision sees it.
//!
//! **Shape**: [`Working`] is the state in the middle of a command: the ledger, and over it what earlier movements of the
//! same command left. [`Place`] is one item at one location of it; [`Selected`] the goods a command speaks of.

use std::borrow::Cow;

use rustc_hash::{FxHashMap, FxHashSet};

use super::bin::{Bin, Cell};
use super::event::{Detail, LayerChange, Movement};
use super::status::StockStatus;
use crate::domain::amount::{Number, add, extend};
use crate::domain::catalogue::command::{LocationKind, MovementKind, NegativeStock, Tracking, ValuationMethod};
use crate::domain::event::{Event, Posting};
use crate::domain::id::{AccountCode, ExpectationId, LocationCode, LotCode, Serial, Sku, Text, UnitCode};
use crate::domain::limit::SERIALS_MAX;
use crate::domain::posting_rule::{Accounts, post, post_with_residue, post_with_variance};
use crate::domain::rejection::{Rejection, Shortage};
use crate::domain::state::{Item, Ledger, TENANT_POOL, shown};
use crate::domain::time::Timestamp;
use crate::domain::unit::{Inexact, UnitOfMeasure};
use crate::domain::valuation::{Change, Outbound, Pick, Pool, average_cost, inbound, outbound};

/// The state in the middle of a command.
pub(crate) struct Working<'l> {
    pub(crate) ledger: &'l Ledger,
    bins: FxHashMap<(u32, u32), Bin>,
    pools: FxHashMap<(u32, u32), Pool>,
    next_layers: FxHashMap<u32, i64>,
    /// Units that left already.
    gone: FxHashSet<(u32, Serial)>,
}

impl<'l> Working<'l> {
    pub(crate) fn new(ledger: &'l Ledger) -> Self {
        let (bins, pools, next_layers, gone) = Default::default();
        Self { ledger, bins, pools, next_layers, gone }
    }

    pub(crate) fn bin(&self, item: u32, location: u32) -> Cow<'_, Bin> {
        match self.bins.get(&(item, location)).or_else(|| self.ledger.bin(item, location)) {
            Some(bin) => Cow::Borrowed(bin),
            None => Cow::Owned(Bin::default()),
        }
    }

    fn pool(&self, item_at: u32, item: &Item, location: u32) -> (u32, Cow<'_, Pool>) {
        let key = self.ledger.pool_key(item, location);
        let found = self.pools.get(&(item_at, key)).or_else(|| self.ledger.pool(item_at, location));
        (key, found.map_or_else(|| Cow::Owned(Pool::default()), Cow::Borrowed))
    }

    fn next_layer(&self, item_at: u32, item: &Item) -> i64 {
        self.next_layers.get(&item_at).copied().unwrap_or(item.next_layer)
    }

    /// What later movements of the same command see: this one done.
    pub(crate) fn apply(&mut self, m: &Movement) -> Result<(), Rejection> {
        let place = Place::of(self, &m.sku, &m.location)?;
        let (item_at, location_at, pool_at) = (place.item_at, place.location_at, place.pool_at);
        let lot = m.lot().and_then(|code| place.item.lot(code)).map_or(0, |(number, _)| number);
        let is_specific = place.item.definition.method == ValuationMethod::Specific;
        let (mut bin, mut pool) = (place.bin.into_owned(), place.pool.into_owned());
        bin.on_hand = add(bin.on_hand, m.quantity).ok_or_else(out_of_range)?;
        let status = m.status();
        if !status.is_sellable() {
            bin.unsellable = add(bin.unsellable, m.quantity).ok_or_else(out_of_range)?;
        }
        if lot != 0 || !status.is_sellable() {
            let old = bin.cell(lot, status).copied().unwrap_or(Cell { lot, status, on_hand: 0, held: 0 });
            bin.set_cell(Cell { on_hand: add(old.on_hand, m.quantity).ok_or_else(out_of_range)?, ..old });
        }
        self.bins.insert((item_at, location_at), bin);
        if !m.is_inside_pool() {
            // The time only matters to settlements, which read it from the ledger.
            pool.apply(m, if is_specific { lot } else { 0 }, Timestamp(0)).ok_or_else(out_of_range)?;
            self.pools.insert((item_at, pool_at), pool);
        }
        if m.quantity < 0 {
            self.gone.extend(m.serials().iter().map(|serial| (item_at, serial.clone())));
        }
        let newest = m.layers.iter().map(|l| l.layer).max().unwrap_or(0);
        let next = self
            .next_layers
            .entry(item_at)
            .or_insert_with(|| self.ledger.items().get(item_at as usize).map_or(1, |i| i.next_layer));
        *next = (*next).max(newest.saturating_add(1));
        Ok(())
    }

    /// Gives units back that a hold of this command's own subject has, so that they may be taken again.
    pub(crate) fn unhold(&mut self, item: u32, location: u32, lot: u32, units: i64) {
        let mut bin = self.bin(item, location).into_owned();
        bin.reserved = bin.reserved.saturating_sub(units);
        if let Some(old) = bin.cell(lot, StockStatus::Sellable).copied().filter(|_| lot != 0) {
            bin.set_cell(Cell { held: old.held.saturating_sub(units), ..old });
        }
        self.bins.insert((item, location), bin);
    }

    /// As [`Working::unhold`], for units that waited.
    pub(crate) fn unwait(&mut self, item: u32, location: u32, units: i64) {
        let mut bin = self.bin(item, location).into_owned();
        bin.reserved = bin.reserved.saturating_sub(units);
        bin.waiting = bin.waiting.saturating_sub(units);
        self.bins.insert((item, location), bin);
    }
}

/// One item at one location.
pub(crate) struct Place<'w> {
    pub(crate) ledger: &'w Ledger,
    pub(crate) item: &'w Item,
    pub(crate) item_at: u32,
    pub(crate) location_at: u32,
    pub(crate) location: &'w LocationCode,
    pub(crate) kind: LocationKind,
    pub(crate) pool_at: u32,
    pub(crate) bin: Cow<'w, Bin>,
    pub(crate) pool: Cow<'w, Pool>,
    next_layer: i64,
    gone: &'w FxHashSet<(u32, Serial)>,
}

/// The goods a command speaks of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selected {
    pub(crate) status: StockStatus,
    pub(crate) lot: Option<LotCode>,
    pub(crate) lot_at: u32,
    pub(crate) lot_expires_at: Option<Timestamp>,
    pub(crate) serials: Option<Vec<Serial>>,
    /// With specific cost by serial: units per layer, in the serials' order.
    pub(crate) groups: Vec<(i64, i64)>,
}

impl Selected {
    /// Goods of which nothing but item and status is known.
    pub(crate) fn of(status: StockStatus) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn detail(&self) -> Option<Box<Detail>> {
        let status = (!self.status.is_sellable()).then_some(self.status);
        let detail = Detail {
            status,
            lot: self.lot.clone(),
            lot_expires_at: self.lot_expires_at,
            serials: self.serials.clone(),
            ..Detail::default()
        };
        (detail != Detail::default()).then(|| Box::new(detail))
    }

    /// As [`Selected::detail`], against an expected receipt.
    pub(crate) fn detail_for(&self, expectation: Option<&ExpectationId>) -> Option<Box<Detail>> {
        let Some(id) = expectation else { return self.detail() };
        let known = self.detail().map(|d| *d).unwrap_or_default();
        Some(Box::new(Detail { expectation: Some(id.clone()), ..known }))
    }
}

/// What goods are said to be, as commands write it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'c> {
    pub(crate) lot: Option<&'c LotCode>,
    pub(crate) serials: Option<&'c [Serial]>,
    pub(crate) status: Option<StockStatus>,
    pub(crate) lot_expires_at: Option<Timestamp>,
}

/// Goods out of one pool and into another, or from place to place inside one.
pub(crate) struct Carried {
    pub(crate) settlement: Option<Movement>,
    pub(crate) outgoing: Movement,
    pub(crate) incoming: Movement,
}

impl<'w> Place<'w> {
    /// Item and location, both in use.
    pub(crate) fn find(working: &'w Working<'_>, sku: &Sku, location: &LocationCode) -> Result<Self, Rejection> {
        let place = Self::of(working, sku, location)?;
        if place.item.definition.retired {
            return Err(Rejection::UnknownItem { sku: sku.clone() });
        }
        match working.ledger.locations().get(place.location_at as usize) {
            Some(l) if !l.definition.retired => Ok(place),
            Some(_) | None => Err(Rejection::UnknownLocation { location: location.clone() }),
        }
    }

    /// As [`Place::find`], where goods may be put by any command.
    pub(crate) fn storage(working: &'w Working<'_>, sku: &Sku, location: &LocationCode) -> Result<Self, Rejection> {
        let place = Self::find(working, sku, location)?;
        match place.kind {
            LocationKind::Storage => Ok(place),
            LocationKind::Transit => Err(Rejection::LocationNotStorage { location: location.clone() }),
        }
    }

    /// Item and location, in use or not: what is held or under way outlives its retirement.
    pub(crate) fn of(working: &'w Working<'_>, sku: &Sku, location: &LocationCode) -> Result<Self, Rejection> {
        let (item_at, _) = working.ledger.item(sku.as_str()).ok_or_else(|| Rejection::UnknownItem { sku: sku.clone() })?;
        let (location_at, _) = working
            .ledger
            .location(location.as_str())
            .ok_or_else(|| Rejection::UnknownLocation { location: location.clone() })?;
        Self::at(working, item_at, location_at).ok_or_else(|| Rejection::UnknownLocation { location: location.clone() })
    }

    /// By indices.
    pub(crate) fn at(working: &'w Working<'_>, item_at: u32, location_at: u32) -> Option<Self> {
        let item = working.ledger.items().get(item_at as usize)?;
        let location = &working.ledger.locations().get(location_at as usize)?.definition;
        let (pool_at, pool) = working.pool(item_at, item, location_at);
        Some(Self {
            ledger: working.ledger,
            item,
            item_at,
            location_at,
            location: &location.code,
            kind: location.kind,
            pool_at,
            bin: working.bin(item_at, location_at),
            pool,
            next_layer: working.next_layer(item_at, item),
            gone: &working.gone,
        })
    }

    pub(crate) fn scale(&self) -> u8 {
        self.item.definition.scale
    }

    pub(crate) fn method(&self) -> ValuationMethod {
        self.item.definition.method
    }

    /// A quantity in base units at the item's scale, above zero.
    pub(crate) fn quantity(&self, number: Number, unit: Option<&UnitCode>) -> Result<i64, Rejection> {
        let quantity = self.signed(number, unit, "quantity")?;
        if quantity > 0 { Ok(quantity) } else { Err(Rejection::QuantityNotPositive { field: Text::trusted("quantity") }) }
    }

    /// A quantity in base units at the item's scale.
    pub(crate) fn signed(&self, number: Number, unit: Option<&UnitCode>, field: &'static str) -> Result<i64, Rejection> {
        let Some(unit) = self.unit(unit)? else { return units(number, self.scale(), field) };
        unit.to_base(number, self.scale()).map_err(|inexact| match inexact {
            Inexact::Ratio => Rejection::UnitInexact { field: Text::trusted(field), unit: unit.code.clone() },
            Inexact::Range => Rejection::NumberOutOfRange { field: Text::trusted(field) },
        })
    }

    fn unit(&self, code: Option<&UnitCode>) -> Result<Option<&UnitOfMeasure>, Rejection> {
        let definition = &self.item.definition;
        match code {
            None => Ok(None),
            Some(code) if code.as_str() == definition.unit.as_str() => Ok(None),
            Some(code) => {
                let found = definition.units.iter().flatten().find(|u| u.code == *code);
                found.map(Some).ok_or_else(|| Rejection::UnknownUnit { unit: code.clone() })
            }
        }
    }

    pub(crate) fn money(&self) -> u8 {
        self.ledger.money()
    }

    pub(crate) fn amount(&self, number: Number, field: &'static str) -> Result<i64, Rejection> {
        let amount = units(number, self.money(), field)?;
        if amount >= 0 { Ok(amount) } else { Err(Rejection::CostNegative { field: Text::trusted(field) }) }
    }

    /// The one cost the caller states; `None` when it states none. A unit cost is that of the unit `said` was given in.
    pub(crate) fn stated_cost(
        &self,
        said: (Number, Option<&UnitCode>),
        unit_cost: Option<Number>,
        total: Option<Number>,
    ) -> Result<Option<i64>, Rejection> {
        match (unit_cost, total) {
            (Some(_), Some(_)) => Err(Rejection::CostAmbiguous),
            (None, Some(total)) => self.amount(total, "total_cost").map(Some),
            (Some(cost), None) if cost.is_negative() => Err(Rejection::CostNegative { field: Text::trusted("unit_cost") }),
            (Some(cost), None) => {
                let (number, unit) = said;
                // In another unit the quantity has decimals of its own.
                let scale = if self.unit(unit)?.is_some() {
                    u8::try_from(number.decimal().scale()).map_err(|_| out_of_range())?
                } else {
                    self.scale()
                };
                let quantity = number.units_at(scale).ok_or_else(out_of_range)?;
                extend(quantity, scale, cost, self.money())
                    .map(Some)
                    .ok_or(Rejection::NumberOutOfRange { field: Text::trusted("unit_cost") })
            }
            (None, None) => Ok(None),
        }
    }

    /// What goods cost that come in without a stated cost: the standard, else the present average.
    pub(crate) fn present_cost(&self, quantity: i64) -> Result<i64, Rejection> {
        match self.standard(quantity)? {
            Some(cost) => Ok(cost),
            None => average_cost(&self.pool, quantity).ok_or_else(out_of_range),
        }
    }

    /// `quantity` at the standard cost, with that method.
    pub(crate) fn standard(&self, quantity: i64) -> Result<Option<i64>, Rejection> {
        match (self.method(), self.item.definition.standard_cost) {
            (ValuationMethod::Standard, Some(cost)) => {
                extend(quantity, self.scale(), cost, self.money()).map(Some).ok_or_else(out_of_range)
            }
            (ValuationMethod::Standard, None)
            | (ValuationMethod::Fifo | ValuationMethod::MovingAverage | ValuationMethod::Specific, _) => Ok(None),
        }
    }

    /// The accounts of a movement: the rule's, or the caller's counterpart.
    pub(crate) fn accounts(&self, movement: MovementKind, counter: Option<&AccountCode>) -> Result<Accounts, Rejection> {
        let counter = match counter {
            Some(account) => {
                let (_, found) = self
                    .ledger
                    .account(account.as_str())
                    .filter(|(_, a)| !a.definition.retired)
                    .ok_or_else(|| Rejection::UnknownAccount { account: account.clone() })?;
                if found.holds_inventory {
                    return Err(Rejection::InventoryAccount { account: account.clone() });
                }
                account.clone()
            }
            None => self.rule(movement)?,
        };
        Ok(Accounts { inventory: self.inventory()?, counter })
    }

    /// The account that holds the value of goods here.
    pub(crate) fn inventory(&self) -> Result<AccountCode, Rejection> {
        self.rule(match self.kind {
            // A pool of the whole tenant has one account, wherever its goods are.
            LocationKind::Transit if self.pool_at != TENANT_POOL => MovementKind::Transit,
            LocationKind::Storage | LocationKind::Transit => MovementKind::Inventory,
        })
    }

    pub(crate) fn rule(&self, movement: MovementKind) -> Result<AccountCode, Rejection> {
        let class = &self.item.definition.posting_class;
        let account = self.ledger.ruled_account(movement, class).cloned();
        account.ok_or_else(|| Rejection::PostingRuleMissing { movement, class: class.clone() })
    }

    pub(crate) fn movement(&self, change: Change, postings: Vec<Posting>, detail: Option<Box<Detail>>) -> Movement {
        Movement {
            sku: self.item.definition.sku.clone(),
            location: self.location.clone(),
            scale: self.scale(),
            money: self.money(),
            quantity: change.quantity,
            value: change.value,
            postings,
            layers: change.layers,
            provisional: change.provisional,
            detail,
        }
    }

    /// Units here stay in range: a pool sums places above and below zero, so its own range does not say it.
    fn must_stay_in_range(&self, change: i64) -> Result<(), Rejection> {
        add(self.bin.on_hand, change).map(|_| ()).ok_or_else(out_of_range)
    }

    pub(crate) fn allows_negative(&self) -> bool {
        match self.item.definition.negative_stock {
            NegativeStock::Allow => self.item.definition.tracking() == Tracking::None,
            NegativeStock::Forbid => false,
        }
    }

    pub(crate) fn shortage(&self, line: u32, requested: i64, available: i64) -> Shortage {
        let scale = self.scale();
        Shortage {
            line,
            sku: self.item.definition.sku.clone(),
            location: self.location.clone(),
            requested: shown(requested, scale),
            available: shown(available.max(0), scale),
        }
    }

    /// What the item's tracking wants to know of `quantity` units that are here.
    pub(crate) fn select(&self, quantity: i64, said: Said<'_>) -> Result<Selected, Rejection> {
        let status = said.status.unwrap_or_default();
        let mut selected = Selected::of(status);
        match self.tracked_by(said)? {
            Tracking::None => {}
            Tracking::Lot => {
                let code = said.lot.ok_or(Rejection::LotRequired)?;
                let (number, _) = self.item.lot(code).ok_or_else(|| Rejection::UnknownLot { lot: code.clone() })?;
                (selected.lot, selected.lot_at) = (Some(code.clone()), number);
            }
            Tracking::Serial => {
                let serials = self.as_many(quantity, said.serials)?;
                let mut with_layers = Vec::with_capacity(serials.len());
                for serial in serials {
                    let unknown = || Rejection::UnknownSerial { serial: serial.clone() };
                    let at = self.item.serial(serial).ok_or_else(unknown)?;
                    let is_gone = self.gone.contains(&(self.item_at, serial.clone()));
                    if is_gone || (at.location, at.status) != (self.location_at, status) {
                        return Err(unknown());
                    }
                    with_layers.push((at.layer, serial.clone()));
                }
                // By layer, so that serials and layers of a movement stand in one order.
                with_layers.sort_by_key(|(layer, _)| *layer);
                if self.method() == ValuationMethod::Specific {
                    selected.groups = grouped(with_layers.iter().map(|(layer, _)| *layer));
                }
                selected.serials = Some(with_layers.into_iter().map(|(_, serial)| serial).collect());
            }
        }
        Ok(selected)
    }

    /// What the item's tracking wants to know of `quantity` units that come in.
    pub(crate) fn admit(&self, quantity: i64, said: Said<'_>) -> Result<Selected, Rejection> {
        let mut selected = Selected::of(said.status.unwrap_or_default());
        match self.tracked_by(said)? {
            Tracking::None => {}
            Tracking::Lot => {
                let code = said.lot.ok_or(Rejection::LotRequired)?;
                selected.lot = Some(code.clone());
                match self.item.lot(code) {
                    Some((number, known)) => {
                        if said.lot_expires_at.is_some_and(|at| known.expires_at != Some(at)) {
                            return Err(Rejection::LotExpiryDiffers { lot: code.clone() });
                        }
                        selected.lot_at = number;
                    }
                    None => selected.lot_expires_at = said.lot_expires_at,
                }
            }
            Tracking::Serial => {
                let serials = self.as_many(quantity, said.serials)?;
                if let Some(there) = serials.iter().find(|s| self.item.serial(s).is_some()) {
                    return Err(Rejection::SerialExists { serial: there.clone() });
                }
                selected.serials = Some(serials.to_vec());
            }
        }
        Ok(selected)
    }

    /// With specific cost by serial: units per layer of these, in their order.
    pub(crate) fn layers_of(&self, serials: &[Serial]) -> Vec<(i64, i64)> {
        match self.method() {
            ValuationMethod::Specific => grouped(serials.iter().map(|s| self.item.serial(s).map_or(0, |at| at.layer))),
            ValuationMethod::Fifo | ValuationMethod::MovingAverage | ValuationMethod::Standard => Vec::new(),
        }
    }

    /// The item's tracking, when the command says nothing that does not belong to it.
    fn tracked_by(&self, said: Said<'_>) -> Result<Tracking, Rejection> {
        let tracking = self.item.definition.tracking();
        let mismatch = |field| Err(Rejection::TrackingMismatch { field: Text::trusted(field) });
        match tracking {
            Tracking::None | Tracking::Serial if said.lot.is_some() => mismatch("lot"),
            Tracking::None | Tracking::Serial if said.lot_expires_at.is_some() => mismatch("lot_expires_at"),
            Tracking::None | Tracking::Lot if said.serials.is_some() => mismatch("serials"),
            Tracking::None | Tracking::Lot | Tracking::Serial => Ok(tracking),
        }
    }

    /// One serial per unit, each once.
    fn as_many<'c>(&self, quantity: i64, serials: Option<&'c [Serial]>) -> Result<&'c [Serial], Rejection> {
        let serials = serials.unwrap_or(&[]);
        if serials.len() > SERIALS_MAX {
            return Err(Rejection::LinesOutOfRange { lines_min: 1, lines_max: u32::try_from(SERIALS_MAX).unwrap_or(u32::MAX) });
        }
        if i64::try_from(serials.len()).ok() != Some(quantity) {
            return Err(Rejection::SerialsRequired { quantity: shown(quantity, self.scale()) });
        }
        let mut seen = FxHashSet::default();
        match serials.iter().find(|s| !seen.insert(*s)) {
            Some(twice) => Err(Rejection::SerialExists { serial: twice.clone() }),
            None => Ok(serials),
        }
    }

    /// Units of the selected goods that nobody holds.
    pub(crate) fn free_of(&self, selected: &Selected) -> i64 {
        let of_them = self.bin.free_of(selected.lot_at, selected.status);
        if selected.status.is_sellable() { of_them.min(self.bin.free()) } else { of_them }
    }

    pub(crate) fn must_cover(&self, quantity: i64, selected: &Selected) -> Result<(), Rejection> {
        let free = self.free_of(selected);
        if quantity <= free || (selected.status.is_sellable() && self.allows_negative()) {
            return Ok(());
        }
        Err(Rejection::InsufficientStock { shortages: vec![self.shortage(0, quantity, free)] })
    }

    /// Sellable goods of a lot past its expiry do not leave for a customer.
    pub(crate) fn must_not_be_expired(&self, selected: &Selected) -> Result<(), Rejection> {
        let Some(lot) = self.item.lot_at(selected.lot_at).filter(|_| selected.status.is_sellable()) else { return Ok(()) };
        match lot.expires_at.filter(|at| *at <= self.ledger.now()) {
            Some(expired_at) => Err(Rejection::LotExpired { lot: lot.code.clone(), expired_at }),
            None => Ok(()),
        }
    }

    /// The movement of goods coming in at `cost`, after the settlement they cause below zero. With a standard cost, the
    /// difference to it is a variance.
    pub(crate) fn bring_in(
        &self,
        quantity: i64,
        cost: i64,
        accounts: &Accounts,
        detail: Option<Box<Detail>>,
        brought: &[LayerChange],
    ) -> Result<(Option<Movement>, Movement), Rejection> {
        self.must_stay_in_range(quantity)?;
        let value = self.standard(quantity)?.unwrap_or(cost);
        let i = inbound(&self.pool, self.method(), quantity, value, self.next_layer, brought).ok_or_else(out_of_range)?;
        let postings = if value == cost {
            post(accounts, cost)
        } else {
            post_with_variance(accounts, &self.rule(MovementKind::PriceVariance)?, value, cost).ok_or_else(out_of_range)?
        };
        let settlement = self.settled(i.settlement)?;
        Ok((settlement, self.movement(i.change, postings, detail)))
    }

    pub(crate) fn settled(&self, settlement: Option<Change>) -> Result<Option<Movement>, Rejection> {
        let Some(change) = settlement else {
            return Ok(None);
        };
        let accounts = self.accounts(MovementKind::Settlement, None)?;
        let postings = post(&accounts, change.value);
        Ok(Some(self.movement(change, postings, None)))
    }

    /// What leaves the pool. The caller has checked that stock covers it.
    pub(crate) fn outbound(
        &self,
        quantity: i64,
        stated: Option<i64>,
        selected: &Selected,
        first: Option<i64>,
    ) -> Result<Outbound, Rejection> {
        self.must_stay_in_range(quantity.saturating_neg())?;
        let pick = match (self.method(), first) {
            (ValuationMethod::Specific, _) if !selected.groups.is_empty() => Pick::Named(&selected.groups),
            (ValuationMethod::Specific, _) => Pick::Lot(selected.lot_at),
            (ValuationMethod::Fifo | ValuationMethod::MovingAverage | ValuationMethod::Standard, Some(layer)) => {
                Pick::First(layer)
            }
            (ValuationMethod::Fifo | ValuationMethod::MovingAverage | ValuationMethod::Standard, None) => Pick::Oldest,
        };
        // Below zero the standard is the cost, not what came in last.
        let stated = match stated {
            None if self.pool.quantity < quantity => self.standard(quantity)?,
            Some(_) | None => stated,
        };
        outbound(&self.pool, self.method(), quantity, stated, pick).ok_or_else(out_of_range)
    }

    /// The movement of goods going out at the computed cost. The caller has checked that stock covers it.
    pub(crate) fn take_out(
        &self,
        quantity: i64,
        movement: MovementKind,
        counter: Option<&AccountCode>,
        selected: &Selected,
    ) -> Result<Movement, Rejection> {
        let accounts = self.accounts(movement, counter)?;
        let o = self.outbound(quantity, None, selected, None)?;
        self.outgoing(o, &accounts, selected.detail())
    }

    pub(crate) fn outgoing(&self, o: Outbound, accounts: &Accounts, detail: Option<Box<Detail>>) -> Result<Movement, Rejection> {
        let postings = if o.residue == 0 {
            post(accounts, o.change.value)
        } else {
            let settlement = self.rule(MovementKind::Settlement)?;
            post_with_residue(accounts, &settlement, o.cost, o.residue).ok_or_else(out_of_range)?
        };
        Ok(self.movement(o.change, postings, detail))
    }

    /// Goods from here to another place of the item, with their value. The caller has checked that stock covers it.
    pub(crate) fn carry(
        &self,
        to: &Place<'_>,
        quantity: i64,
        selected: &Selected,
        arrives_as: StockStatus,
    ) -> Result<Carried, Rejection> {
        let left = selected.detail();
        let arrived = Selected { status: arrives_as, ..selected.clone() }.detail();
        if self.location_at != to.location_at {
            self.must_stay_in_range(quantity.saturating_neg())?;
            to.must_stay_in_range(quantity)?;
        }
        if self.pool_at == to.pool_at {
            let inside = |detail: Option<Box<Detail>>| {
                Some(Box::new(Detail { inside_pool: Some(true), ..detail.map(|d| *d).unwrap_or_default() }))
            };
            let change = |sign: i64| {
                let layers = selected.groups.iter().map(|(layer, units)| LayerChange {
                    layer: *layer,
                    quantity: units.saturating_mul(sign),
                    value: 0,
                });
                Change { quantity: quantity.saturating_mul(sign), layers: layers.collect(), ..Change::default() }
            };
            let outgoing = self.movement(change(-1), Vec::new(), inside(left));
            let incoming = to.movement(change(1), Vec::new(), inside(arrived));
            return Ok(Carried { settlement: None, outgoing, incoming });
        }
        let o = self.outbound(quantity, None, selected, None)?;
        self.carried(to, quantity, o, (left, arrived))
    }

    /// What left this pool arrives in another one: the same quantity, value and layers.
    pub(crate) fn carried(
        &self,
        to: &Place<'_>,
        quantity: i64,
        o: Outbound,
        (left, arrived): (Option<Box<Detail>>, Option<Box<Detail>>),
    ) -> Result<Carried, Rejection> {
        to.must_stay_in_range(quantity)?;
        let brought: Vec<_> = o
            .change
            .layers
            .iter()
            .map(|l| LayerChange { layer: l.layer, quantity: l.quantity.saturating_neg(), value: l.value.saturating_neg() })
            .collect();
        // Below zero the layers do not make up the quantity: what arrives is one layer of its own.
        let whole = brought.iter().map(|l| l.quantity).sum::<i64>() == quantity;
        let brought = if whole { brought } else { Vec::new() };
        let value = o.change.value.saturating_neg();
        let i = inbound(&to.pool, self.method(), quantity, value, to.next_layer, &brought).ok_or_else(out_of_range)?;
        // Inside the class's one inventory account nothing is posted; into and out of transit the account changes.
        let accounts = Accounts { inventory: self.inventory()?, counter: to.inventory()? };
        let postings = if accounts.inventory == accounts.counter { Vec::new() } else { post(&accounts, o.change.value) };
        let outgoing = self.movement(o.change, postings, left);
        let incoming = to.movement(i.change, Vec::new(), arrived);
        Ok(Carried { settlement: to.settled(i.settlement)?, outgoing, incoming })
    }
}

/// Runs of equal layers with their lengths.
fn grouped(layers: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    let mut groups: Vec<(i64, i64)> = Vec::new();
    for layer in layers {
        match groups.last_mut() {
            Some((last, units)) if *last == layer => *units = units.saturating_add(1),
            Some(_) | None => groups.push((layer, 1)),
        }
    }
    groups
}

/// A settlement and what caused it, in the order of the log.
pub(crate) fn settled_first(settlement: Option<Movement>, event: Event) -> Vec<Event> {
    settlement.map(Event::StockSettled).into_iter().chain([event]).collect()
}

/// A number at a scale, in units.
pub(crate) fn units(number: Number, scale: u8, field: &'static str) -> Result<i64, Rejection> {
    if number.decimal().scale() > u32::from(scale) {
        return Err(Rejection::ScaleExceeded { field: Text::trusted(field), scale });
    }
    number.units_at(scale).ok_or(Rejection::NumberOutOfRange { field: Text::trusted(field) })
}

pub(crate) fn out_of_range() -> Rejection {
    Rejection::NumberOutOfRange { field: Text::trusted("quantity") }
}
