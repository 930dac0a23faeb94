//! What the state holds of each thing.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::domain::catalogue::event::{ItemDefinition, LocationDefinition};
use crate::domain::event::Posting;
use crate::domain::id::{AccountCode, LotCode, Serial, StreamNumber, StreamVersion, Text};
use crate::domain::period::event::Digest;
use crate::domain::stock::bin::Bin;
use crate::domain::stock::event::Movement;
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;
use crate::domain::valuation::{Layer, Pool};

/// In a line: no item.
pub const NO_ITEM: u32 = u32::MAX;

/// A stream's number and its newest version; (0, 0) before its first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The position of its first event.
    pub number: StreamNumber,
    /// How many events it has.
    pub version: StreamVersion,
}

/// An item, where it is and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Newest definition.
    pub definition: Box<ItemDefinition>,
    /// Its stream.
    pub stream: Stream,
    /// Number of its next cost layer.
    pub next_layer: i64,
    /// Per location that ever held it, keyed by the location's index.
    pub bins: SmallVec<[(u32, Box<Bin>); 1]>,
    /// Per cost pool, keyed by its topmost location's index or [`super::TENANT_POOL`].
    pub pools: SmallVec<[(u32, Box<Pool>); 1]>,
    /// Lots and serials, for an item that has any.
    pub tracked: Option<Box<Tracked>>,
}

impl Item {
    /// What is at a location.
    #[must_use]
    pub fn bin(&self, location: u32) -> Option<&Bin> {
        self.bins.iter().find(|(at, _)| *at == location).map(|(_, b)| &**b)
    }

    /// A cost pool.
    #[must_use]
    pub fn pool(&self, key: u32) -> Option<&Pool> {
        self.pools.iter().find(|(at, _)| *at == key).map(|(_, p)| &**p)
    }

    /// The number of a lot, with what is known of it.
    #[must_use]
    pub fn lot(&self, code: &LotCode) -> Option<(u32, &Lot)> {
        let tracked = self.tracked.as_ref()?;
        let number = *tracked.lot_index.get(code)?;
        Some((number, self.lot_at(number)?))
    }

    /// A lot by its number, from 1.
    #[must_use]
    pub fn lot_at(&self, number: u32) -> Option<&Lot> {
        self.tracked.as_ref()?.lots.get(number.checked_sub(1)? as usize)
    }

    /// Where a unit is.
    #[must_use]
    pub fn serial(&self, serial: &Serial) -> Option<&SerialAt> {
        self.tracked.as_ref()?.serials.get(serial)
    }
}

/// Lots and serials of one item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracked {
    /// In the order they first came in; number 1 is the first.
    pub lots: Vec<Lot>,
    /// By code.
    pub lot_index: FxHashMap<LotCode, u32>,
    /// Units on hand.
    pub serials: FxHashMap<Serial, SerialAt>,
}

/// A lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Its code.
    pub code: LotCode,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Where a unit is, in what state, and in which cost layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialAt {
    /// Index of the location.
    pub location: u32,
    /// What may be done with it.
    pub status: StockStatus,
    /// With specific cost: its layer; else 0.
    pub layer: i64,
}

/// A location.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// Newest definition.
    pub definition: LocationDefinition,
    /// Its stream.
    pub stream: Stream,
    /// Index of what it is inside of.
    pub parent: Option<u32>,
}

/// Where a movement of a class posts.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The account.
    pub account: AccountCode,
    /// Its stream.
    pub stream: Stream,
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationStatus {
    /// Holds stock until its instant.
    Held,
    /// Confirmed: holds stock for an order, without expiry.
    Allocated,
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
            Self::Allocated => "allocated",
            Self::Lapsed | Self::Expired => "expired",
            Self::Released => "released",
            Self::Committed => "committed",
        }
    }

    /// Whether it may still change.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Held | Self::Allocated | Self::Lapsed => true,
            Self::Released | Self::Expired | Self::Committed => false,
        }
    }

    /// Whether it holds stock.
    #[must_use]
    pub const fn holds(self) -> bool {
        match self {
            Self::Held | Self::Allocated => true,
            Self::Lapsed | Self::Released | Self::Expired | Self::Committed => false,
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
    /// Of these, units that wait for stock.
    pub waiting: i64,
    /// The lot's number; 0 for none.
    pub lot: u32,
    /// Index of the kit it is a component of, or [`NO_ITEM`].
    pub kit: u32,
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
    /// Free at this instant, while held.
    pub expires_at: Timestamp,
    /// Of what waits, when stock comes in.
    pub priority: u8,
    /// What is held; a line's number is its place.
    pub lines: SmallVec<[Line; 1]>,
}

/// Where a journal entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryStatus {
    /// Posted at once.
    Posted,
    /// Moves pending balances until its instant.
    Pending,
    /// Past its instant: moves nothing, not recorded as expired yet.
    Lapsed,
    /// Pending once, posted whole or in part.
    Settled,
    /// Pending once, set free.
    Voided,
    /// Recorded as expired.
    Expired,
}

impl EntryStatus {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Pending => "pending",
            Self::Lapsed | Self::Expired => "expired",
            Self::Settled => "settled",
            Self::Voided => "voided",
        }
    }

    /// Whether it may still be settled or recorded as expired.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Lapsed => true,
            Self::Posted | Self::Settled | Self::Voided | Self::Expired => false,
        }
    }
}

/// A journal entry posted by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its stream.
    pub stream: Stream,
    /// Where it stands.
    pub status: EntryStatus,
    /// Reversed already.
    pub reversed: bool,
    /// As posted.
    pub postings: Vec<Posting>,
    /// What is pending of it.
    pub pending: Vec<Posting>,
    /// While pending: void from this instant on.
    pub expires_at: Option<Timestamp>,
}

impl Entry {
    /// An entry that is posted at once.
    pub(super) const fn posted(stream: Stream, postings: Vec<Posting>) -> Self {
        Self { stream, status: EntryStatus::Posted, reversed: false, postings, pending: Vec::new(), expires_at: None }
    }
}

/// An expected receipt.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Its stream.
    pub stream: Stream,
    /// Index of the item.
    pub item: u32,
    /// Index of the location.
    pub location: u32,
    /// Units still to come.
    pub outstanding: i64,
    /// Neither complete nor cancelled.
    pub is_open: bool,
}

/// A transfer in two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// Its stream.
    pub stream: Stream,
    /// Something is still under way.
    pub is_open: bool,
    /// Index of where it came from.
    pub from: u32,
    /// Index of where it goes.
    pub to: u32,
    /// Index of where it is meanwhile.
    pub via: u32,
    /// What is still under way.
    pub lines: Vec<TransferLine>,
}

/// What of one line is still under way.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferLine {
    /// Index of the item.
    pub item: u32,
    /// The lot's number; 0 for none.
    pub lot: u32,
    /// Units.
    pub quantity: i64,
    /// Their value.
    pub value: i64,
    /// The layers they brought along.
    pub layers: Vec<Layer>,
    /// Units' serials.
    pub serials: Vec<Serial>,
    /// Transit belongs to the same cost pool: the value stayed where it was, and the line has none of its own.
    pub is_inside_pool: bool,
}

impl TransferLine {
    /// Units of a layer, or of all of it.
    #[must_use]
    pub fn units_of(&self, layer: Option<i64>) -> i64 {
        match layer {
            None => self.quantity,
            Some(number) => self.layers.iter().find(|l| l.number == number).map_or(0, |l| l.quantity),
        }
    }

    /// Adds to the value of a layer, and of all of it.
    #[must_use]
    pub fn revalue(&mut self, layer: Option<i64>, value: i64) -> Option<()> {
        self.value = self.value.checked_add(value)?;
        if let Some(layer) = self.layers.iter_mut().find(|l| Some(l.number) == layer) {
            layer.value = layer.value.checked_add(value)?;
        }
        Some(())
    }

    /// Takes what a movement out of transit took; `None` when the line does not have it.
    #[must_use]
    pub fn take(&mut self, m: &Movement) -> Option<()> {
        self.quantity = self.quantity.checked_add(m.quantity).filter(|n| *n >= 0)?;
        if !self.is_inside_pool {
            self.value = self.value.checked_add(m.value)?;
            for change in &m.layers {
                let layer = self.layers.iter_mut().find(|l| l.number == change.layer)?;
                layer.quantity = layer.quantity.checked_add(change.quantity).filter(|n| *n >= 0)?;
                layer.value = layer.value.checked_add(change.value)?;
            }
            self.layers.retain(|l| l.quantity != 0);
        }
        let gone: FxHashSet<&Serial> = m.serials().iter().collect();
        self.serials.retain(|s| !gone.contains(s));
        Some(())
    }
}

/// What was counted: item, location, lot, status.
pub type CountKey = (u32, u32, u32, StockStatus);

/// Somebody whose data lies beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its stream.
    pub stream: Stream,
    /// To the newest data; `None` once they are erased.
    pub commitment: Option<Digest>,
}

/// A stock count.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// Its stream.
    pub stream: Stream,
    /// Neither posted nor cancelled.
    pub is_open: bool,
    /// Index of where.
    pub location: u32,
    /// When the log learnt that it began: what moved since then is remembered.
    pub opened_at: Timestamp,
    /// Differences found so far.
    pub differences: BTreeMap<CountKey, i64>,
    /// Movements there since it began: effective time and units.
    pub moved: Vec<(Timestamp, CountKey, i64)>,
}

/// The movements of an earlier event, with what came back of them since.
#[derive(Clone, Debug, PartialEq)]
pub struct Goods {
    /// The stream of what happened since; (0, 0) when nothing did.
    pub stream: Stream,
    /// The event's movements; none when it moved nothing.
    pub movements: Vec<Movement>,
    /// Units and value that came back, by movement and layer; layer 0 is the whole movement.
    pub returned: FxHashMap<(u32, i64), (i64, i64)>,
}
