//! What must hold after every event (DOMAIN 6).

use rustc_hash::FxHashMap;

use super::Ledger;
use super::row::{Item, Reservation};
use crate::domain::catalogue::command::NegativeStock;
use crate::domain::stock::bin::Bin;
use crate::domain::stock::status::StockStatus;
use crate::domain::valuation::Pool;

/// What open reservations hold of one item at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    reserved: i64,
    allocated: i64,
    waiting: i64,
}

/// By item and location.
type HeldAt = FxHashMap<(u32, u32), Held>;
/// By item, location and lot.
type HeldOfLots = FxHashMap<(u32, u32, u32), i64>;

impl Ledger {
    /// Σ value of all stock, and Σ balance of the inventory accounts; equal at every position.
    #[must_use]
    pub fn stock_and_inventory(&self) -> (i128, i128) {
        let stock = self.items.iter().flat_map(|i| &i.pools).map(|(_, p)| i128::from(p.value)).sum();
        let inventory = self.accounts.iter().filter(|a| a.holds_inventory).map(|a| a.debits.saturating_sub(a.credits)).sum();
        (stock, inventory)
    }

    /// Checks the invariants; names the first thing that does not hold.
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
        let (mut held, mut lots) = self.held();
        for (at, item) in (0_u32..).zip(&self.items) {
            let named = |what: String| format!("item {}: {what}", item.definition.sku);
            for (location, bin) in &item.bins {
                let held = held.remove(&(at, *location)).unwrap_or_default();
                check_bin(item, bin, held).map_err(named)?;
                for cell in &bin.cells {
                    let of_lot = lots.remove(&(at, *location, cell.lot)).unwrap_or(0);
                    let expected = if cell.status.is_sellable() { of_lot } else { 0 };
                    if cell.status.is_sellable() && (cell.held != expected || cell.held > cell.on_hand) {
                        return Err(named(format!("lot {}: {} held of {}, lines {expected}", cell.lot, cell.held, cell.on_hand)));
                    }
                }
            }
            for (key, pool) in &item.pools {
                check_pool(item, pool).map_err(named)?;
                let bins = item.bins.iter().filter(|(l, _)| self.pool_key(item, *l) == *key);
                let there: i128 = bins.map(|(_, b)| i128::from(b.on_hand)).sum();
                if there != i128::from(pool.quantity) {
                    return Err(named(format!("its cost pool has {}, its places {there}", pool.quantity)));
                }
            }
        }
        match (held.values().all(|h| *h == Held::default()), lots.values().all(|units| *units == 0)) {
            (true, true) => self.check_under_way(),
            (false, _) | (_, false) => Err("a reservation holds an item where it never was".to_owned()),
        }
    }

    /// Per item and place, and per item, place and lot.
    fn held(&self) -> (HeldAt, HeldOfLots) {
        use super::row::ReservationStatus;
        let mut held: FxHashMap<(u32, u32), Held> = FxHashMap::default();
        let mut lots: FxHashMap<(u32, u32, u32), i64> = FxHashMap::default();
        let open = |r: &&Reservation| r.status.holds();
        for r in self.reservations.values().filter(open) {
            for l in &r.lines {
                let sum = held.entry((l.item, l.location)).or_default();
                let total = if r.status == ReservationStatus::Allocated { &mut sum.allocated } else { &mut sum.reserved };
                *total = total.saturating_add(l.quantity);
                sum.waiting = sum.waiting.saturating_add(l.waiting);
                if l.lot != 0 {
                    let units = lots.entry((l.item, l.location, l.lot)).or_default();
                    *units = units.saturating_add(l.quantity.saturating_sub(l.waiting));
                }
            }
        }
        (held, lots)
    }

    /// What is at a place of kind transit is what open transfers have under way there.
    fn check_under_way(&self) -> Result<(), String> {
        let mut under_way: FxHashMap<(u32, u32), i64> = FxHashMap::default();
        let mut worth: FxHashMap<(u32, u32), i64> = FxHashMap::default();
        for t in self.transfers.values().filter(|t| t.is_open) {
            for l in &t.lines {
                let sum = under_way.entry((l.item, t.via)).or_default();
                *sum = sum.saturating_add(l.quantity);
                let layers: i64 = l.layers.iter().map(|layer| layer.value).fold(0, i64::saturating_add);
                if !l.layers.is_empty() && layers != l.value {
                    return Err(format!("a line under way is worth {}, its layers {layers}", l.value));
                }
                if !l.is_inside_pool {
                    let sum = worth.entry((l.item, self.root(t.via))).or_default();
                    *sum = sum.saturating_add(l.value);
                }
            }
        }
        for ((item, root), value) in worth {
            let pool = self.items.get(item as usize).and_then(|i| i.pool(root)).map_or(0, |p| p.value);
            if pool != value {
                return Err(format!("what is under way is worth {pool}, the transfers' lines {value}"));
            }
        }
        for (transit, _) in self.transit_locations() {
            for (at, item) in (0_u32..).zip(&self.items) {
                let there = item.bin(transit).map_or(0, |b| b.on_hand);
                let expected = under_way.get(&(at, transit)).copied().unwrap_or(0);
                if there != expected {
                    return Err(format!("item {}: {there} in transit, transfers have {expected}", item.definition.sku));
                }
            }
        }
        Ok(())
    }
}

fn check_bin(item: &Item, b: &Bin, held: Held) -> Result<(), String> {
    let is = Held { reserved: b.reserved, allocated: b.allocated, waiting: b.waiting };
    if is != held {
        return Err(format!("{is:?} differs from the open lines {held:?}"));
    }
    if item.definition.negative_stock == NegativeStock::Forbid && b.free() < 0 {
        return Err(format!("free is {}: more is held than there is", b.free()));
    }
    let unsellable: i64 = b.cells.iter().filter(|c| !c.status.is_sellable()).map(|c| c.on_hand).sum();
    if unsellable != b.unsellable || b.cells.iter().any(|c| c.on_hand < 0 || c.held < 0) {
        return Err(format!("its statuses {:?} do not add up to {}", b.cells, b.unsellable));
    }
    let in_lots: i64 = b.cells.iter().filter(|c| c.lot != 0 && c.status == StockStatus::Sellable).map(|c| c.on_hand).sum();
    if b.cells.iter().any(|c| c.lot != 0) && in_lots != b.sellable() {
        return Err(format!("its lots have {in_lots} sellable of {}", b.sellable()));
    }
    Ok(())
}

fn check_pool(item: &Item, p: &Pool) -> Result<(), String> {
    if p.quantity == 0 && p.value != 0 {
        return Err(format!("value {} without quantity", p.value));
    }
    if item.definition.method.keeps_layers() && p.quantity > 0 {
        let (quantity, value) = p.layers.iter().fold((0_i128, 0_i128), |(q, v), l| {
            (q.saturating_add(i128::from(l.quantity)), v.saturating_add(i128::from(l.value)))
        });
        if (quantity, value) != (i128::from(p.quantity), i128::from(p.value)) {
            return Err(format!("layers hold {quantity} worth {value}, the pool {} worth {}", p.quantity, p.value));
        }
    }
    Ok(())
}
