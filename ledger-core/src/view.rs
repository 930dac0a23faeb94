//! Shapes of answers that both sides of the cache share: the projector writes them, the API serves them.

pub mod document;
pub mod entry;
pub mod trail;
pub mod version;

use crate::domain::amount::{Number, share};
use crate::domain::id::{AccountCode, LocationCode, Position, Sku, StreamVersion};
use crate::domain::time::Timestamp;

/// Key of a tenant's cached value of one item.
#[must_use]
pub fn stock_cache_key(tenant: crate::domain::id::TenantId, sku: &Sku) -> String {
    format!("ledger:{{{tenant}}}:levels:{sku}")
}

/// Key of a tenant's cached value of one account.
#[must_use]
pub fn account_cache_key(tenant: crate::domain::id::TenantId, account: &AccountCode) -> String {
    format!("ledger:{{{tenant}}}:account:{account}")
}

/// A cached body with what its reader must check.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cached<T> {
    /// The body includes every event up to here.
    pub as_of: Position,
    /// The newest event that touched it.
    pub position: Position,
    /// At this instant (microseconds) some hold or pending entry lapses and the body is stale.
    pub next_expiry: Option<i64>,
    /// What a read answers.
    pub body: T,
    /// The key it was written under: a value that stands under another, a moved or a foreign one, answers nothing.
    #[serde(default)]
    pub key: String,
}

/// All states of one item. Numbers are whole units of `scale` (quantities) and `money` (values) decimals inside the
/// cache and decimal strings in answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StockView {
    /// The item.
    pub sku: Sku,
    /// Version of the item's stream.
    pub stream_version: StreamVersion,
    /// Newest event that touched any of its levels.
    pub position: Position,
    /// Decimals of quantities.
    pub scale: u8,
    /// Decimals of values.
    pub money: u8,
    /// Sorted by location.
    pub locations: Vec<StockAtLocation>,
}

/// One item at one location, in units.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StockAtLocation {
    /// Where.
    pub location: LocationCode,
    /// Topmost location of its cost pool; empty for the tenant's one pool.
    pub pool: String,
    /// Newest event that touched it.
    pub position: Position,
    /// Physically present.
    pub on_hand: i64,
    /// Of these, not sellable.
    pub unsellable: i64,
    /// Held by reservations that have not lapsed.
    pub reserved: i64,
    /// Held by confirmed reservations.
    pub allocated: i64,
    /// Of reserved and allocated: waits for stock.
    pub waiting: i64,
    /// Expected from suppliers.
    pub incoming: i64,
    /// Not promised.
    pub safety: i64,
    /// Posted for this place; the value of a pool is the sum over its places.
    pub value: i64,
}

impl StockAtLocation {
    /// Sellable on hand less reserved, allocated and safety stock.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand
            .saturating_sub(self.unsellable)
            .saturating_sub(self.reserved)
            .saturating_sub(self.allocated)
            .saturating_sub(self.safety)
    }
}

/// One place of a cost pool.
pub trait Pooled {
    /// Topmost location of its pool; empty for the tenant's one pool.
    fn pool(&self) -> &str;
    /// Units there.
    fn on_hand(&self) -> i64;
    /// Value shown for it.
    fn value(&mut self) -> &mut i64;
}

/// What is posted for a place becomes its share of the value of its cost pool, the last one with the remainder: the sum
/// over the pool's places stays. A place alone in its pool keeps what is posted for it.
pub fn spread<T: Pooled>(places: &mut [T]) {
    let mut pools: std::collections::BTreeMap<String, (usize, i64, i64)> = std::collections::BTreeMap::new();
    for place in places.iter_mut() {
        let (count, units, value) = pools.entry(place.pool().to_owned()).or_default();
        (*count, *units) = (count.saturating_add(1), units.saturating_add(place.on_hand()));
        *value = value.saturating_add(*place.value());
    }
    for place in places.iter_mut() {
        let Some((_, units, value)) = pools.get_mut(place.pool()).filter(|(count, _, _)| *count > 1) else { continue };
        let on_hand = place.on_hand();
        let part = if *units == 0 { *value } else { share(*value, on_hand, *units).unwrap_or(0) };
        (*units, *value) = (units.saturating_sub(on_hand), value.saturating_sub(part));
        *place.value() = part;
    }
}

impl Pooled for StockAtLocation {
    fn pool(&self) -> &str {
        &self.pool
    }

    fn on_hand(&self) -> i64 {
        self.on_hand
    }

    fn value(&mut self) -> &mut i64 {
        &mut self.value
    }
}

/// All balances of one account. Nothing that is pending here has lapsed: the body is stale before that.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AccountView {
    /// The account.
    pub code: AccountCode,
    /// Version of the account's stream.
    pub stream_version: StreamVersion,
    /// Newest event that posted to it; 0 where something was pending, but nothing was ever posted.
    pub position: Position,
    /// Decimals of amounts in the base currency.
    pub money: u8,
    /// Its balance grows with debits.
    pub normal_debit: bool,
    /// Lowest balance on the normal side.
    pub minimum: Option<String>,
    /// Highest balance on the normal side.
    pub maximum: Option<String>,
    /// One per currency ever posted or held, in their order; the base currency first if there is any in it.
    pub balances: Vec<CurrencyBalance>,
}

/// What an account holds in one currency, in units.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CurrencyBalance {
    /// The currency; empty for the base currency, whose foreign figures are zero.
    pub currency: String,
    /// Its decimals.
    pub scale: u8,
    /// Σ debits in the base currency.
    pub debits: i64,
    /// Σ credits in the base currency.
    pub credits: i64,
    /// Σ debits in the currency itself.
    pub currency_debits: i64,
    /// Σ credits in the currency itself.
    pub currency_credits: i64,
    /// Pending debits in the base currency.
    pub pending_debits: i64,
    /// Pending credits in the base currency.
    pub pending_credits: i64,
    /// Pending debits in the currency itself.
    pub currency_pending_debits: i64,
    /// Pending credits in the currency itself.
    pub currency_pending_credits: i64,
}

/// Decimal text of units, for answers.
#[must_use]
pub fn decimal(units: i64, scale: u8) -> String {
    Number::from_units(units, scale).to_string()
}

/// As [`decimal`], for sums over many.
#[must_use]
pub fn wide_decimal(units: i128, scale: u8) -> String {
    let digits = units.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let padded = format!("{digits:0>width$}", width = scale.saturating_add(1));
    let (whole, rest) = padded.split_at(padded.len().saturating_sub(scale));
    let sign = if units < 0 { "-" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// True when a cached body may be served at `now`.
#[must_use]
pub fn is_fresh<T>(cached: &Cached<T>, now: Timestamp, position_min: Option<Position>) -> bool {
    cached.next_expiry.is_none_or(|at| at > now.0) && position_min.is_none_or(|min| cached.as_of >= min)
}
