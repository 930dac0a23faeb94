//! What is at one place: quantities of one item at one location, in every state.

use super::status::StockStatus;
use crate::domain::catalogue::command::Backorder;
use crate::domain::time::Timestamp;

/// What is kept back, and what may be promised beyond it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether more may be promised than there is.
    pub backorder: Backorder,
    /// Units below zero at the most, with `limited`.
    pub backorder_limit: i64,
    /// Units that are not promised.
    pub safety_stock: i64,
}

/// Goods of one lot and status at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The lot's number in its item; 0 for an item without lots.
    pub lot: u32,
    /// What may be done with them.
    pub status: StockStatus,
    /// Units.
    pub on_hand: i64,
    /// Units that open reservations hold of this lot.
    pub held: i64,
}

/// Quantities of one item at one location.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bin {
    /// Physically present, whatever the status.
    pub on_hand: i64,
    /// Of these, not sellable.
    pub unsellable: i64,
    /// In open reservations with an expiry that has not come.
    pub reserved: i64,
    /// In confirmed reservations.
    pub allocated: i64,
    /// Of reserved and allocated: waits for stock to come in.
    pub waiting: i64,
    /// Expected from suppliers.
    pub incoming: i64,
    /// Since when something is here.
    pub since: Timestamp,
    /// By lot and status, sorted; an item without lots has none for what is sellable.
    pub cells: Vec<Cell>,
    /// None: nothing kept back, no backorders.
    pub policy: Option<Box<Policy>>,
}

impl Bin {
    /// What may be promised at all.
    #[must_use]
    pub const fn sellable(&self) -> i64 {
        self.on_hand.saturating_sub(self.unsellable)
    }

    /// Held with stock behind it.
    #[must_use]
    pub const fn firm(&self) -> i64 {
        self.reserved.saturating_add(self.allocated).saturating_sub(self.waiting)
    }

    /// Sellable and held by nobody.
    #[must_use]
    pub const fn free(&self) -> i64 {
        self.sellable().saturating_sub(self.firm())
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy.as_deref().copied().unwrap_or_default()
    }

    /// Sellable less reserved, allocated and safety stock; below zero when there are backorders.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.sellable().saturating_sub(self.reserved).saturating_sub(self.allocated).saturating_sub(self.policy().safety_stock)
    }

    /// Units that a new demand may take now.
    #[must_use]
    pub fn promisable(&self) -> i64 {
        self.available().max(0)
    }

    /// Units that may still be put on backorder beyond what is there; `None` when there is no limit.
    #[must_use]
    pub fn backorder_room(&self) -> Option<i64> {
        let policy = self.policy();
        match policy.backorder {
            Backorder::Forbid => Some(0),
            Backorder::Limited => Some(policy.backorder_limit.saturating_sub(self.waiting).max(0)),
            Backorder::Allow => None,
        }
    }

    /// The cell of a lot and status.
    #[must_use]
    pub fn cell(&self, lot: u32, status: StockStatus) -> Option<&Cell> {
        let at = self.cells.binary_search_by_key(&(lot, status), |c| (c.lot, c.status)).ok()?;
        self.cells.get(at)
    }

    /// Puts a cell in its place; an empty one goes.
    pub fn set_cell(&mut self, cell: Cell) {
        let is_empty = cell.on_hand == 0 && cell.held == 0;
        match self.cells.binary_search_by_key(&(cell.lot, cell.status), |c| (c.lot, c.status)) {
            Ok(at) if is_empty => {
                self.cells.remove(at);
            }
            Ok(at) => {
                if let Some(slot) = self.cells.get_mut(at) {
                    *slot = cell;
                }
            }
            Err(_) if is_empty => {}
            Err(at) => self.cells.insert(at, cell),
        }
    }

    /// Units of a lot and status that nobody holds.
    #[must_use]
    pub fn free_of(&self, lot: u32, status: StockStatus) -> i64 {
        match self.cell(lot, status) {
            Some(cell) => cell.on_hand.saturating_sub(cell.held),
            None if lot == 0 && status.is_sellable() => self.free(),
            None => 0,
        }
    }
}
