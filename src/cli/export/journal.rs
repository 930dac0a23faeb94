//! The log as double-entry books for other programs.
//!
//! **Shape**: a first walk of the log learns the [`Catalogue`] (accounts, items, the day of the first fact); a second one
//! turns each event that posts or moves goods into a [`Transaction`] and hands it to a [`Syntax`]. Both read page by page:
//! memory holds the catalogue and one page.
//! **Correctness**: goods stand at the account that held their value at that moment (the posting rules are replayed
//! along). What an event posts there beyond the value of its movements, a [`Line::Rest`] shows, so that for every account
//! the lines of a transaction sum to the postings of its event, whatever the event.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, Result, ensure};
use ledger_core::domain::catalogue::command::{CostPool, LocationKind, MovementKind};
use ledger_core::domain::catalogue::event::{AccountDefinition, ItemDefinition, TenantOpened};
use ledger_core::domain::event::{Event, Posting, Recorded};
use ledger_core::domain::id::{AccountCode, CurrencyCode, LocationCode, Position, PostingClass, Sku, TenantId};
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;
use ledger_core::store::read;
use sqlx::postgres::PgPool;

use super::{PAGE_EVENTS, amount};

/// Decimals of a price: as many as a unit cost may have.
pub(super) const COST_DECIMALS: u8 = 9;

/// How a program writes books down.
pub(super) trait Syntax: Sized {
    /// Ready to write about what the whole log defines.
    fn new(all: &Catalogue) -> Self;
    /// What stands before the first transaction.
    fn head(&self, out: &mut impl Write, all: &Catalogue) -> io::Result<()>;
    /// One event's lines.
    fn transaction(&mut self, out: &mut impl Write, t: &Transaction<'_>) -> io::Result<()>;
    /// What one unit of an item cost on a day.
    fn price(&self, out: &mut impl Write, day: &str, sku: &Sku, cost: &str) -> io::Result<()>;
}

/// What one event does to the books.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    pub(super) recorded: &'a Recorded,
    /// The day it happened, UTC.
    pub(super) day: String,
    pub(super) lines: Vec<Line<'a>>,
    /// An item that keeps no layers from here on, and the account of its goods.
    pub(super) pooled: Option<(&'a AccountCode, &'a Sku)>,
}

/// One thing that happens to one account.
#[derive(Clone, Debug)]
pub(super) enum Line<'a> {
    /// Goods with their value.
    Goods { account: &'a AccountCode, movement: &'a Movement },
    /// A posting as it is, with the decimals of its amount.
    Posting { posting: &'a Posting, money: u8 },
    /// What the event posts to an account of goods beyond their value.
    Rest { account: &'a AccountCode, amount: i128, money: u8 },
}

/// A movement's share of one layer, or what is of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) layer: Option<i64>,
    pub(super) quantity: i64,
    pub(super) value: i64,
}

/// A movement layer by layer; last what the layers do not make up.
pub(super) fn parts(m: &Movement) -> Vec<Part> {
    let (mut quantity, mut value) = (m.quantity, m.value);
    let mut parts = Vec::with_capacity(m.layers.len().saturating_add(1));
    for l in &m.layers {
        quantity = quantity.saturating_sub(l.quantity);
        value = value.saturating_sub(l.value);
        parts.push(Part { layer: Some(l.layer), quantity: l.quantity, value: l.value });
    }
    if quantity != 0 || value != 0 {
        parts.push(Part { layer: None, quantity, value });
    }
    parts
}

/// Definitions as they are at some position.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) tenant: Option<TenantOpened>,
    /// In the order they were opened.
    pub(super) accounts: Vec<AccountDefinition>,
    /// In the order they were defined.
    pub(super) items: Vec<ItemDefinition>,
    /// Foreign currencies that anything was posted in, with their decimals.
    pub(super) currencies: BTreeMap<CurrencyCode, u8>,
    account_at: HashMap<AccountCode, usize>,
    item_at: HashMap<Sku, usize>,
    kinds: HashMap<LocationCode, LocationKind>,
    rules: HashMap<(MovementKind, PostingClass), AccountCode>,
    /// Which accounts ever held goods of which items; of the first walk only.
    pub(super) held: BTreeSet<(AccountCode, Sku)>,
    /// The earliest instant any fact speaks of.
    first: Option<Timestamp>,
    last: Position,
}

impl Catalogue {
    fn learn(&mut self, recorded: &Recorded) {
        self.last = recorded.position;
        let at = recorded.effective_at();
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        let foreign = recorded.fact.event.postings().filter_map(|(p, _)| p.foreign());
        self.currencies.extend(foreign.map(|(code, _, scale)| (code.clone(), scale)));
        match &recorded.fact.event {
            Event::TenantOpened(t) => self.tenant = Some(t.clone()),
            Event::AccountOpened(d) | Event::AccountChanged(d) => {
                put(&mut self.accounts, &mut self.account_at, d.code.clone(), d.clone());
            }
            Event::ItemDefined(d) | Event::ItemChanged(d) => put(&mut self.items, &mut self.item_at, d.sku.clone(), d.clone()),
            Event::LocationDefined(d) | Event::LocationChanged(d) => {
                self.kinds.insert(d.code.clone(), d.kind);
            }
            Event::PostingRuleDefined(d) => {
                self.rules.insert((d.movement, d.class.clone()), d.account.clone());
            }
            _nothing_is_defined => {}
        }
    }

    /// Notes where an event's goods are, before it is learned.
    fn note_goods(&mut self, event: &Event) -> Result<()> {
        let goods = |line| match line {
            Line::Goods { account, movement } => Some((account.clone(), movement.sku.clone())),
            Line::Posting { .. } | Line::Rest { .. } => None,
        };
        let held: Vec<(AccountCode, Sku)> = self.lines(event)?.into_iter().filter_map(goods).collect();
        self.held.extend(held);
        Ok(())
    }

    /// The base currency's code.
    pub(super) fn currency(&self) -> &str {
        self.tenant.as_ref().map_or("", |t| t.currency.as_str())
    }

    /// Decimals of the base currency.
    pub(super) fn money(&self) -> u8 {
        self.tenant.as_ref().map_or(0, |t| t.currency_scale)
    }

    /// The day of the first fact.
    pub(super) fn first_day(&self) -> String {
        day(self.first.unwrap_or_default())
    }

    fn item(&self, sku: &Sku) -> Option<&ItemDefinition> {
        self.items.get(*self.item_at.get(sku)?)
    }

    /// The account that holds the value of an item's goods at a place, as the domain chooses it.
    fn inventory(&self, sku: &Sku, kind: LocationKind) -> Option<&AccountCode> {
        let item = self.item(sku)?;
        let wanted = match kind {
            LocationKind::Transit if item.pool() != CostPool::Tenant => MovementKind::Transit,
            LocationKind::Storage | LocationKind::Transit => MovementKind::Inventory,
        };
        let mut kinds = std::iter::successors(Some(wanted), |kind| kind.otherwise());
        kinds.find_map(|kind| self.rules.get(&(kind, item.posting_class.clone())))
    }

    /// The books' lines for an event; none when it neither posts nor moves goods.
    fn lines<'a>(&'a self, event: &'a Event) -> Result<Vec<Line<'a>>> {
        let mut lines = Vec::new();
        // Per account of goods: what the event posts there, less the value of the goods.
        let mut rests: Vec<(&AccountCode, i128, u8)> = Vec::new();
        for m in event.movements().filter(|m| m.quantity != 0 || m.value != 0) {
            let kind = self.kinds.get(&m.location).copied().unwrap_or_default();
            let account = self.inventory(&m.sku, kind).with_context(|| format!("no account holds the value of {}", m.sku))?;
            lines.push(Line::Goods { account, movement: m });
            match rests.iter_mut().find(|(a, _, _)| *a == account) {
                Some((_, rest, _)) => *rest = rest.saturating_sub(i128::from(m.value)),
                None => rests.push((account, i128::from(m.value).saturating_neg(), m.money)),
            }
        }
        for (posting, money) in event.postings() {
            match rests.iter_mut().find(|(a, _, _)| **a == posting.account) {
                Some((_, rest, _)) => *rest = rest.saturating_add(i128::from(posting.amount)),
                None => lines.push(Line::Posting { posting, money }),
            }
        }
        let rests = rests.into_iter().filter(|(_, rest, _)| *rest != 0);
        lines.extend(rests.map(|(account, amount, money)| Line::Rest { account, amount, money }));
        Ok(lines)
    }

    /// When this event makes an item stop keeping layers: its goods' account.
    fn pooled<'a>(&'a self, event: &'a Event) -> Option<(&'a AccountCode, &'a Sku)> {
        let Event::ItemChanged(new) = event else { return None };
        let old = self.item(&new.sku)?;
        let stops = old.method.keeps_layers() && !new.method.keeps_layers();
        // Nothing is under way while a method changes.
        self.inventory(&new.sku, LocationKind::Storage).filter(|_| stops).map(|account| (account, &new.sku))
    }
}

fn put<K: Eq + std::hash::Hash, V>(list: &mut Vec<V>, index: &mut HashMap<K, usize>, key: K, value: V) {
    let at = *index.entry(key).or_insert(list.len());
    match list.get_mut(at) {
        Some(slot) => *slot = value,
        None => list.push(value),
    }
}

/// The UTC day of an instant.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// Writes a tenant's books.
pub(super) async fn export<S: Syntax>(pool: &PgPool, tenant: TenantId) -> Result<()> {
    let mut all = Catalogue::default();
    walk(pool, tenant, Position::MAX, |recorded| {
        all.note_goods(&recorded.fact.event).with_context(|| format!("event {}", recorded.position))?;
        all.learn(recorded);
        Ok(())
    })
    .await?;
    ensure!(all.tenant.is_some(), "the tenant's log is empty");
    let mut out = BufWriter::new(io::stdout().lock());
    let mut syntax = S::new(&all);
    syntax.head(&mut out, &all)?;
    let mut now = Catalogue::default();
    // What was recorded since the first walk may speak of what it has not seen.
    walk(pool, tenant, all.last, |recorded| {
        event(&mut syntax, &mut out, &now, recorded).with_context(|| format!("event {}", recorded.position))?;
        now.learn(recorded);
        Ok(())
    })
    .await?;
    Ok(out.flush()?)
}

async fn walk(pool: &PgPool, tenant: TenantId, to: Position, mut see: impl FnMut(&Recorded) -> Result<()>) -> Result<()> {
    let mut last = 0;
    loop {
        let page = read::page(pool, tenant, last, PAGE_EVENTS).await?;
        let Some(newest) = page.last() else { return Ok(()) };
        last = newest.recorded.position;
        for stored in page.iter().filter(|s| s.recorded.position <= to) {
            see(&stored.recorded)?;
        }
        if last >= to {
            return Ok(());
        }
    }
}

/// One event: its transaction, and the price a receipt tells.
fn event<S: Syntax>(syntax: &mut S, out: &mut impl Write, now: &Catalogue, recorded: &Recorded) -> Result<()> {
    let event = &recorded.fact.event;
    let (lines, pooled) = (now.lines(event)?, now.pooled(event));
    if !lines.is_empty() || pooled.is_some() {
        let day = day(recorded.effective_at());
        syntax.transaction(out, &Transaction { recorded, day, lines, pooled })?;
    }
    if let Event::StockReceived(m) = event
        && let Some((cost, decimals)) = unit_cost(m.value, m.quantity, (m.money, m.scale), COST_DECIMALS)
    {
        syntax.price(out, &day(recorded.effective_at()), &m.sku, &shown(cost, decimals, m.money))?;
    }
    Ok(())
}

/// What one unit cost, rounded to `decimals`; `None` where value and quantity are not both above zero.
pub(super) fn unit_cost(value: i64, quantity: i64, (money, scale): (u8, u8), decimals: u8) -> Option<(i128, u8)> {
    if value <= 0 || quantity <= 0 {
        return None;
    }
    // `value` has up to 18 digits, and 18 more fit.
    let places = u32::from(scale).checked_add(u32::from(decimals))?.checked_sub(u32::from(money))?;
    let value = i128::from(value).checked_mul(10_i128.checked_pow(places)?)?;
    let half = i128::from(quantity).checked_div(2)?;
    Some((value.checked_add(half)?.checked_div(i128::from(quantity))?, decimals))
}

/// A number with the decimals it needs, `least` at the fewest.
pub(super) fn shown(mut units: i128, mut decimals: u8, least: u8) -> String {
    while decimals > least && units.checked_rem(10) == Some(0) {
        units = units.checked_div(10).unwrap_or(0);
        decimals = decimals.saturating_sub(1);
    }
    amount(units, decimals)
}

/// What a reader sees first of a transaction.
pub(super) fn narration(event: &Event) -> String {
    match event {
        Event::JournalEntryPosted(e) if e.description.is_some() => e.description.as_ref().map_or("", |d| d.as_str()).to_owned(),
        _says_nothing => format!("{} {}", event.type_name().replace('_', " "), event.subject()),
    }
}

/// What is known of an event beyond its lines: key and value.
pub(super) fn facts(recorded: &Recorded) -> Vec<(&'static str, String)> {
    let fact = &recorded.fact;
    let mut facts = vec![
        ("position", recorded.position.to_string()),
        ("stream", fact.event.subject().to_string()),
        ("effective", recorded.effective_at().to_string()),
    ];
    if fact.effective_at.is_some() {
        facts.push(("recorded", recorded.recorded_at.to_string()));
    }
    facts.extend(fact.note.reference.iter().map(|r| ("reference", r.to_string())));
    facts.extend(fact.note.reason.iter().map(|r| ("reason", r.to_string())));
    if let Event::JournalEntryReversed(e) = &fact.event {
        facts.push(("reverses", e.reverses.to_string()));
    }
    facts
}

/// What is known of goods beyond account, item, quantity and value: key and value.
pub(super) fn goods_facts(m: &Movement) -> Vec<(&'static str, String)> {
    let mut facts = vec![("location", m.location.to_string())];
    if !m.status().is_sellable() {
        facts.push(("status", m.status().as_str().to_owned()));
    }
    facts.extend(m.lot().map(|lot| ("lot", lot.to_string())));
    if let Some(of) = m.of() {
        facts.push(("of", format!("{}.{}", of.position, of.line)));
    }
    facts
}

#[cfg(test)]
pub(super) mod tests {
    use ledger_core::domain::stock::event::LayerChange;

    use super::*;

    pub(in super::super) fn movement(quantity: i64, value: i64, layers: &[(i64, i64, i64)]) -> Movement {
        Movement {
            sku: Sku::parse("X").unwrap(),
            location: LocationCode::parse("MAIN").unwrap(),
            scale: 0,
            money: 2,
            quantity,
            value,
            postings: Vec::new(),
            layers: layers
                .iter()
                .map(|(layer, quantity, value)| LayerChange { layer: *layer, quantity: *quantity, value: *value })
                .collect(),
            provisional: None,
            detail: None,
        }
    }

    #[test]
    fn what_layers_do_not_make_up_is_a_part_of_its_own() {
        let whole = [Part { layer: Some(1), quantity: -2, value: -200 }, Part { layer: Some(2), quantity: -1, value: -50 }];
        assert_eq!(parts(&movement(-3, -250, &[(1, -2, -200), (2, -1, -50)])), whole);
        let below = Part { layer: None, quantity: -4, value: -200 };
        assert_eq!(parts(&movement(-7, -450, &[(1, -2, -200), (2, -1, -50)])), [whole[0], whole[1], below]);
        assert_eq!(parts(&movement(0, 7, &[])), [Part { layer: None, quantity: 0, value: 7 }]);
    }

    #[test]
    fn unit_costs_are_rounded_where_they_do_not_end() {
        let cost = |value, quantity, scales| unit_cost(value, quantity, scales, 9).map(|(units, d)| shown(units, d, scales.0));
        assert_eq!(cost(1000, 3, (2, 0)).as_deref(), Some("3.333333333"));
        assert_eq!(cost(1000, 4, (2, 0)).as_deref(), Some("2.50"));
        assert_eq!(cost(2000, 3, (2, 0)).as_deref(), Some("6.666666667"));
        assert_eq!(cost(500, 1250, (2, 3)).as_deref(), Some("4.00"));
        assert_eq!(cost(999_999_999_999_999_999, 1, (0, 9)).as_deref(), Some("999999999999999999000000000"));
        assert_eq!((cost(0, 3, (2, 0)), cost(-5, 3, (2, 0)), cost(5, 0, (2, 0))), (None, None, None));
    }

    #[test]
    fn lines_sum_to_the_postings_of_the_event_whatever_it_posts() {
        let account = |code: &str| AccountCode::parse(code).unwrap();
        let mut now = Catalogue::default();
        now.rules.insert((MovementKind::Inventory, PostingClass::default()), account("1300"));
        let item: ItemDefinition = serde_json::from_value(serde_json::json!({"sku": "X", "name": "", "unit": "each", "scale": 0,
            "method": "fifo", "posting_class": "c", "negative_stock": "forbid", "retired": false}))
        .unwrap();
        let item = ItemDefinition { posting_class: PostingClass::default(), ..item };
        put(&mut now.items, &mut now.item_at, item.sku.clone(), item);
        // The counterpart is the inventory account itself: goods come in, no value does.
        let both = [("1300", 500), ("1300", -500), ("2100", -3), ("1300", 3)];
        let postings = both.map(|(code, amount)| Posting::new(account(code), amount));
        let event = Event::StockReceived(Movement { postings: postings.to_vec(), ..movement(2, 500, &[]) });
        let lines = now.lines(&event).unwrap();
        let [Line::Goods { account: a, .. }, Line::Posting { posting, .. }, Line::Rest { amount, .. }] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!((a.as_str(), posting.amount, *amount), ("1300", -3, -497));
    }

    #[test]
    fn the_newest_definition_stands_where_the_first_one_did() {
        let (mut list, mut index) = (Vec::new(), HashMap::new());
        for (key, value) in [("a", 1), ("b", 2), ("a", 3)] {
            put(&mut list, &mut index, key, value);
        }
        assert_eq!(list, [3, 2]);
        assert_eq!(day(Timestamp(1_300_000_000_000_000)), "2011-03-13");
    }
}
