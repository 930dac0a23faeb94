//! Movements and postings added up, as far as they count.

use std::collections::{BTreeMap, HashMap};

use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{AccountCode, CurrencyCode, LocationCode, Sku};
use ledger_core::domain::state::{Ledger, TENANT_POOL};
use ledger_core::domain::time::Timestamp;
use ledger_core::view::{Pooled, decimal, spread, wide_decimal};

/// Debits and credits in the base currency, then in the foreign one; in units.
type Sides = [i128; 4];

/// What is added up.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// What happened later does not count.
    effective: Option<Timestamp>,
    /// Units and value.
    places: HashMap<(Sku, LocationCode), [i64; 2]>,
    /// By account and foreign currency (empty: the base currency), with the decimals of that.
    accounts: HashMap<AccountCode, BTreeMap<CurrencyCode, (u8, Sides)>>,
}

/// An account's balance in one currency.
#[derive(Debug, serde::Serialize)]
struct Currency {
    currency: String,
    debits: String,
    credits: String,
    balance: String,
    base_balance: String,
}

/// An account's balance in the base currency, and in each currency by itself.
#[derive(Debug, serde::Serialize)]
pub(super) struct Account {
    code: String,
    debits: String,
    credits: String,
    balance: String,
    currencies: Vec<Currency>,
}

impl Account {
    pub(super) fn rows(&self) -> Vec<[String; 6]> {
        let row = |c: &Currency| [&self.code, &c.currency, &c.debits, &c.credits, &c.balance, &c.base_balance].map(Clone::clone);
        self.currencies.iter().map(row).collect()
    }
}

/// What was of an item at one place.
#[derive(Debug, serde::Serialize)]
struct Place {
    location: String,
    on_hand: String,
    /// Held until an instant; none where only what had happened by a time counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<String>,
    /// Held for confirmed orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocated: Option<String>,
    value: String,
}

/// What was of an item.
#[derive(Debug, serde::Serialize)]
pub(super) struct Stock {
    sku: String,
    on_hand: String,
    value: String,
    locations: Vec<Place>,
}

impl Stock {
    pub(super) fn rows(&self) -> Vec<[String; 6]> {
        let shown = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = |p: &Place| {
            let (sku, location, on_hand, value) = (self.sku.clone(), p.location.clone(), p.on_hand.clone(), p.value.clone());
            [sku, location, on_hand, shown(&p.reserved), shown(&p.allocated), value]
        };
        self.locations.iter().map(row).collect()
    }
}

/// A place whose value is still what was posted for it.
struct Posted<'a> {
    location: &'a LocationCode,
    pool: String,
    on_hand: i64,
    value: i64,
}

impl Pooled for Posted<'_> {
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

impl Sums {
    pub(super) fn new(effective: Option<Timestamp>) -> Self {
        Self { effective, ..Self::default() }
    }

    pub(super) fn fold(&mut self, recorded: &Recorded) {
        if self.effective.is_some_and(|by| recorded.effective_at() > by) {
            return;
        }
        let event = &recorded.fact.event;
        for m in event.movements() {
            let place = match self.places.get_mut(&(m.sku.clone(), m.location.clone())) {
                Some(place) => place,
                None => self.places.entry((m.sku.clone(), m.location.clone())).or_default(),
            };
            for (sum, part) in place.iter_mut().zip([m.quantity, m.value]) {
                // The replay has checked that no sum leaves the range.
                *sum = sum.saturating_add(part);
            }
        }
        for (p, money) in event.postings() {
            let (currency, units, scale) = p.foreign().map_or((None, 0, money), |(c, units, scale)| (Some(c), units, scale));
            let account = self.accounts.entry(p.account.clone()).or_default();
            let (decimals, sides) = account.entry(currency.cloned().unwrap_or_default()).or_default();
            *decimals = scale;
            let (amount, units) = (i128::from(p.amount), i128::from(units));
            for (sum, part) in sides.iter_mut().zip([amount.max(0), -amount.min(0), units.max(0), -units.min(0)]) {
                *sum = sum.saturating_add(part);
            }
        }
    }

    /// Every account that was opened, or these; by code.
    pub(super) fn accounts(&self, ledger: &Ledger, only: &[String]) -> Vec<Account> {
        let none = BTreeMap::new();
        let opened = ledger.accounts().iter().map(|a| &a.definition.code);
        let wanted = opened.filter(|code| only.is_empty() || only.iter().any(|o| o == code.as_str()));
        let mut accounts: Vec<Account> =
            wanted.map(|code| self.account(ledger, code, self.accounts.get(code).unwrap_or(&none))).collect();
        accounts.sort_by(|a, b| a.code.cmp(&b.code));
        accounts
    }

    fn account(&self, ledger: &Ledger, code: &AccountCode, rows: &BTreeMap<CurrencyCode, (u8, Sides)>) -> Account {
        let money = ledger.money();
        let base = ledger.tenant().map_or_else(String::new, |t| t.currency.to_string());
        let mut total: Sides = [0; 4];
        let mut currencies = Vec::new();
        for (currency, (scale, sides)) in rows {
            let [debits, credits, foreign_debits, foreign_credits] = *sides;
            total = [total[0].saturating_add(debits), total[1].saturating_add(credits), 0, 0];
            let is_base = currency.as_str().is_empty();
            let (debit, credit) = if is_base { (debits, credits) } else { (foreign_debits, foreign_credits) };
            currencies.push(Currency {
                currency: if is_base { base.clone() } else { currency.to_string() },
                debits: wide_decimal(debit, *scale),
                credits: wide_decimal(credit, *scale),
                balance: wide_decimal(debit.saturating_sub(credit), *scale),
                base_balance: wide_decimal(debits.saturating_sub(credits), money),
            });
        }
        Account {
            code: code.to_string(),
            debits: wide_decimal(total[0], money),
            credits: wide_decimal(total[1], money),
            balance: wide_decimal(total[0].saturating_sub(total[1]), money),
            currencies,
        }
    }

    /// Every item that ever moved, or these; by SKU.
    pub(super) fn stock(&self, ledger: &Ledger, only: &[String]) -> Vec<Stock> {
        let mut items: BTreeMap<&Sku, Vec<Posted<'_>>> = BTreeMap::new();
        for ((sku, location), [on_hand, value]) in &self.places {
            if only.is_empty() || only.iter().any(|o| o == sku.as_str()) {
                let posted = Posted { location, pool: pool(ledger, sku, location), on_hand: *on_hand, value: *value };
                items.entry(sku).or_default().push(posted);
            }
        }
        items.into_iter().map(|(sku, places)| self.item(ledger, sku, places)).collect()
    }

    fn item(&self, ledger: &Ledger, sku: &Sku, mut places: Vec<Posted<'_>>) -> Stock {
        let (scale, money) = (ledger.item(sku.as_str()).map_or(0, |(_, item)| item.definition.scale), ledger.money());
        places.sort_by(|a, b| a.location.cmp(b.location));
        spread(&mut places);
        let sum = |of: fn(&Posted<'_>) -> i64| places.iter().map(|p| i128::from(of(p))).sum::<i128>();
        let held = |location: &LocationCode| {
            let ((item, _), (at, _)) = (ledger.item(sku.as_str())?, ledger.location(location.as_str())?);
            ledger.bin(item, at).filter(|_| self.effective.is_none())
        };
        let place = |p: &Posted<'_>| Place {
            location: p.location.to_string(),
            on_hand: decimal(p.on_hand, scale),
            reserved: held(p.location).map(|bin| decimal(bin.reserved, scale)),
            allocated: held(p.location).map(|bin| decimal(bin.allocated, scale)),
            value: decimal(p.value, money),
        };
        Stock {
            sku: sku.to_string(),
            on_hand: wide_decimal(sum(|p| p.on_hand), scale),
            value: wide_decimal(sum(|p| p.value), money),
            locations: places.iter().map(place).collect(),
        }
    }
}

/// The cost pool of an item at a place: the code of its topmost location; empty for the tenant's one pool.
fn pool(ledger: &Ledger, sku: &Sku, location: &LocationCode) -> String {
    let key = match (ledger.item(sku.as_str()), ledger.location(location.as_str())) {
        (Some((_, item)), Some((at, _))) => ledger.pool_key(item, at),
        _unknown_to_a_broken_log => TENANT_POOL,
    };
    let root = usize::try_from(key).ok().and_then(|key| ledger.locations().get(key));
    root.map_or_else(String::new, |l| l.definition.code.to_string())
}
