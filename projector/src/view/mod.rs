//! Read models as folds over rows. The steady state and `verify` use the same ones.
//!
//! **Shape**: [`Tables`] holds rows by key; [`Tables::fold`] applies an event and notes which rows changed; `load.rs`
//! and `write.rs` move rows from and to the database, one statement per view.
//! **Correctness**: a row is a function of the events up to its position. Before folding, every row an event may touch is
//! loaded or known to be absent ([`Tables::wanted`]).

mod appended;
mod card;
mod definition;
mod document;
mod entry;
mod fold;
mod lane;
mod load;
mod posting;
mod row;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use ledger_core::domain::id::{
    AccountCode, CurrencyCode, EntryId, LocationCode, LotCode, ReservationId, Serial as SerialCode, Sku,
};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::view::document::{DocumentStatus, Kind};
use ledger_core::view::entry::EntryStatus;
use ledger_core::view::{AccountView, Cached, CurrencyBalance, StockAtLocation, StockView};

pub use appended::{Appended, Digest, Digests, RUN, positions_of, run_of};
pub use card::Card;
pub use definition::{DefinitionKey, DefinitionKind, DefinitionRow};
pub use document::DocumentRow;
pub use entry::{EntryRow, PendingRow};
pub use lane::{CLOSING, LANES_MAX, Lane, UNORDERED};
pub use load::{Stored, cards_between, load_all, postings_between};
pub use posting::{Balance, PostingRow, Sides};
pub use row::{Account, Item, Level, Location, Lot, Reservation, Serial, Status};

/// Rows of one tenant: all of them when folded from nothing, those touched lately in the steady state.
#[derive(Debug, Default)]
pub struct Tables {
    /// By SKU.
    pub items: HashMap<Sku, Item>,
    /// By SKU, then location.
    pub levels: HashMap<Sku, BTreeMap<LocationCode, Level>>,
    /// By SKU: location, lot (empty for none) and status; what is sellable and of no lot is the rest of its level.
    pub cells: HashMap<Sku, BTreeMap<CellKey, i64>>,
    /// Lots that came in for the first time; forgotten by the steady state once written.
    pub lots: HashMap<(Sku, LotCode), Lot>,
    /// Units on hand, `None` for one that left; forgotten by the steady state once written.
    pub serials: HashMap<(Sku, SerialCode), Option<Serial>>,
    /// By kind and id; closed ones are forgotten by the steady state once written.
    pub documents: HashMap<(Kind, String), DocumentRow>,
    /// By SKU: expiry, reservation and line of every open hold.
    pub holds: HashMap<Sku, BTreeSet<(Timestamp, ReservationId, i32)>>,
    /// By code.
    pub locations: HashMap<LocationCode, Location>,
    /// By code.
    pub accounts: HashMap<AccountCode, Account>,
    /// By account, then currency; the base currency has no code.
    pub balances: HashMap<AccountCode, BTreeMap<CurrencyCode, Balance>>,
    /// By id; those that are not pending are forgotten by the steady state once written.
    pub entries: HashMap<EntryId, EntryRow>,
    /// By kind and code; forgotten by the steady state once written.
    pub definitions: HashMap<DefinitionKey, DefinitionRow>,
    /// By id; closed ones are forgotten by the steady state once written.
    pub reservations: HashMap<ReservationId, Reservation>,
    /// Movements since the last write.
    pub cards: Vec<Card>,
    /// Postings since the last write.
    pub postings: Vec<PostingRow>,
    /// Of accounts changed since the last write: the instant at which the first of their pending entries lapses.
    expiries: HashMap<AccountCode, Timestamp>,
    /// Rows changed since the last write.
    pub dirty: Dirty,
    known: Known,
}

/// Keys of rows changed since the last write.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "one field per view")]
pub struct Dirty {
    /// Items of another definition, and with it another version.
    pub items: HashSet<Sku>,
    /// Items of another version.
    pub item_versions: HashSet<Sku>,
    pub levels: HashSet<(Sku, LocationCode)>,
    pub locations: HashSet<LocationCode>,
    pub accounts: HashSet<AccountCode>,
    pub balances: HashSet<(AccountCode, CurrencyCode)>,
    pub entries: HashSet<EntryId>,
    pub definitions: HashSet<DefinitionKey>,
    pub reservations: HashSet<ReservationId>,
    pub cells: HashSet<(Sku, CellKey)>,
    pub documents: HashSet<(Kind, String)>,
}

/// Location, lot (empty for none) and status.
pub type CellKey = (LocationCode, String, StockStatus);

/// Keys that were looked up, so that absence is knowledge.
#[derive(Debug, Default)]
struct Known {
    skus: HashSet<Sku>,
    /// All of them: which pool a place belongs to is a question about the tree.
    all_locations: bool,
    documents: HashSet<(Kind, String)>,
    accounts: HashSet<AccountCode>,
    reservations: HashSet<ReservationId>,
    entries: HashSet<EntryId>,
    definitions: HashSet<DefinitionKey>,
}

/// Rows kept in memory between batches per tenant; beyond that all of them go and are loaded again as needed.
const ROWS_KEPT_MAX: usize = 400_000;

impl Tables {
    /// Forgets what is written. Keeps the rows for the next batch, unless there are too many.
    pub(crate) fn written(&mut self) {
        for id in &self.dirty.reservations {
            if self.reservations.get(id).is_some_and(|r| !r.status.holds()) {
                self.reservations.remove(id);
                self.known.reservations.remove(id);
            }
        }
        for key in &self.dirty.documents {
            if self.documents.get(key).is_some_and(|d| d.status != DocumentStatus::Open) {
                self.documents.remove(key);
                self.known.documents.remove(key);
            }
        }
        for id in &self.dirty.entries {
            if self.entries.get(id).is_some_and(|e| e.status != EntryStatus::Pending) {
                self.entries.remove(id);
                self.known.entries.remove(id);
            }
        }
        self.dirty = Dirty::default();
        self.definitions.clear();
        self.known.definitions.clear();
        self.expiries.clear();
        self.cards.clear();
        self.postings.clear();
        self.lots.clear();
        self.serials.clear();
        if self.rows() > ROWS_KEPT_MAX {
            *self = Self::default();
        }
    }

    /// Rows in memory, about: an item counts for its levels and holds too, a reservation for its lines.
    pub(crate) fn rows(&self) -> usize {
        let Known { skus, documents, accounts, reservations, entries, definitions, all_locations: _ } = &self.known;
        let keys = skus.len() + documents.len() + accounts.len() + reservations.len() + entries.len() + definitions.len();
        let cells: usize = self.cells.values().map(BTreeMap::len).sum();
        let balances: usize = self.balances.values().map(BTreeMap::len).sum();
        let postings: usize = self.entries.values().map(|e| 1 + e.body.held.len() + e.body.pending.len()).sum();
        keys + cells
            + balances
            + postings
            + self.locations.len()
            + self.documents.len()
            + self.items.len()
            + self.levels.len()
            + self.holds.len()
            + self.accounts.len()
            + 2 * self.reservations.len()
    }

    /// Rows in memory, each view's counted.
    #[must_use]
    pub fn rows_held(&self) -> usize {
        let levels: usize = self.levels.values().map(BTreeMap::len).sum();
        let cells: usize = self.cells.values().map(BTreeMap::len).sum();
        let holds: usize = self.holds.values().map(BTreeSet::len).sum();
        let balances: usize = self.balances.values().map(BTreeMap::len).sum();
        let named = self.items.len() + self.locations.len() + self.accounts.len() + self.definitions.len();
        let documents = self.documents.len() + self.entries.len() + self.reservations.len() + self.lots.len();
        levels + cells + holds + balances + named + documents + self.serials.values().flatten().count()
    }

    /// What a read of an item answers, with what its reader must check.
    #[must_use]
    pub fn stock(&self, sku: &Sku, as_of: i64) -> Option<Cached<StockView>> {
        let item = self.items.get(sku)?;
        let levels = self.levels.get(sku);
        let money = levels.and_then(|l| l.values().next_back()).map_or(0, |l| l.money);
        let locations: Vec<_> = levels
            .into_iter()
            .flatten()
            .map(|(location, l)| StockAtLocation {
                location: location.clone(),
                pool: l.pool.clone(),
                position: l.position,
                on_hand: l.on_hand,
                unsellable: l.unsellable,
                reserved: l.reserved,
                allocated: l.allocated,
                waiting: l.waiting,
                incoming: l.incoming,
                safety: l.safety,
                value: l.value,
            })
            .collect();
        // Of the levels only, as the table answers it; the item's own newest event is no movement.
        let position = locations.iter().map(|l| l.position).fold(0, i64::max);
        let next_expiry = self.holds.get(sku).and_then(|h| h.first()).map(|(at, _, _)| at.0).filter(|at| *at != i64::MAX);
        let body = StockView {
            sku: sku.clone(),
            stream_version: item.stream_version,
            position,
            scale: item.definition.scale,
            money,
            locations,
        };
        Some(Cached { as_of, position: position.max(item.position), next_expiry, body, key: String::new() })
    }

    /// What a read of an account answers. It is stale from the first instant on at which a pending entry lapses, so a body
    /// that is served holds nothing that has lapsed.
    #[must_use]
    pub fn account(&self, code: &AccountCode, as_of: i64) -> Option<Cached<AccountView>> {
        let account = self.accounts.get(code)?;
        let rows = self.balances.get(code)?;
        let position = rows.values().map(|b| b.position).max()?;
        let balances = rows.iter().map(|(currency, b)| currency_balance(currency, b)).collect();
        let definition = &account.definition;
        let body = AccountView {
            code: code.clone(),
            stream_version: account.stream_version,
            position,
            money: rows.values().next_back().map_or(0, |b| b.money),
            normal_debit: definition.account_type.is_debit_normal(),
            minimum: definition.minimum.map(|n| n.to_string()),
            maximum: definition.maximum.map(|n| n.to_string()),
            balances,
        };
        let next_expiry = self.expiries.get(code).map(|at| at.0);
        Some(Cached { as_of, position: position.max(account.position), next_expiry, body, key: String::new() })
    }

    /// Accounts whose answer may have changed since the last write.
    #[must_use]
    pub fn changed_accounts(&self) -> HashSet<&AccountCode> {
        self.dirty.balances.iter().map(|(code, _)| code).chain(&self.dirty.accounts).collect()
    }

    /// Items whose answer may have changed since the last write.
    #[must_use]
    pub fn changed_skus(&self) -> HashSet<Sku> {
        let mut skus: HashSet<Sku> = self.dirty.items.union(&self.dirty.item_versions).cloned().collect();
        skus.extend(self.dirty.levels.iter().map(|(sku, _)| sku.clone()));
        for id in &self.dirty.reservations {
            skus.extend(self.reservations.get(id).into_iter().flat_map(|r| &r.lines).map(|l| l.sku.clone()));
        }
        skus
    }
}

fn currency_balance(currency: &CurrencyCode, b: &Balance) -> CurrencyBalance {
    let [debits, credits, currency_debits, currency_credits] = b.posted;
    let [pending_debits, pending_credits, currency_pending_debits, currency_pending_credits] = b.pending;
    CurrencyBalance {
        currency: currency.to_string(),
        scale: b.scale,
        debits,
        credits,
        currency_debits,
        currency_credits,
        pending_debits,
        pending_credits,
        currency_pending_debits,
        currency_pending_credits,
    }
}

#[cfg(test)]
mod tests;
