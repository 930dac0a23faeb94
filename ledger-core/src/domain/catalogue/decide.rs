//! Catalogue decisions.

use super::command::{
    Component, CostPool, DefineAccount, DefineItem, DefineLocation, DefinePostingRule, DefineStockPolicy, LocationKind,
    NegativeStock, OpenTenant, Tracking, ValuationMethod,
};
use super::event::{
    AccountDefinition, ItemDefinition, LocationDefinition, PostingRuleDefinition, StockPolicyDefined, TenantOpened,
};
use crate::domain::amount::Number;
use crate::domain::event::Event;
use crate::domain::id::{AccountCode, PostingClass, Text};
use crate::domain::journal::decide::scale_of;
use crate::domain::limit::{
    COMPONENTS_MAX, CURRENCY_SCALE_MAX, DIMENSIONS_MAX, LOCATION_DEPTH_MAX, RATIO_MAX, SCALE_MAX, UNITS_MAX,
};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Item, Ledger};
use crate::domain::stock::bin::Bin;
use crate::domain::stock::place::{self, Place, Working, units};
use crate::domain::stock::value;
use crate::domain::unit::UnitOfMeasure;

use super::chart;

/// The class of items that name none.
pub(crate) const DEFAULT_CLASS: &str = "default";

pub(crate) fn open_tenant(ledger: &Ledger, c: &OpenTenant) -> Result<Vec<Event>, Rejection> {
    if ledger.tenant().is_some() {
        return Err(Rejection::TenantAlreadyOpen);
    }
    if c.currency_scale > CURRENCY_SCALE_MAX {
        return Err(Rejection::ScaleOutOfRange { scale_max: CURRENCY_SCALE_MAX });
    }
    // After this point it must succeed.
    let opened = TenantOpened {
        code: c.code.clone(),
        name: c.name.clone(),
        currency: c.currency.clone(),
        currency_scale: c.currency_scale,
    };
    let (accounts, rules) = chart::of(c.chart.unwrap_or_default());
    let accounts = accounts.map(|(code, name, account_type, parent)| {
        let mut account = AccountDefinition::new(AccountCode::trusted(code), Text::trusted(name), *account_type);
        account.parent = (!parent.is_empty()).then(|| AccountCode::trusted(parent));
        Event::AccountOpened(account)
    });
    let rules = rules.iter().map(|(movement, account)| {
        Event::PostingRuleDefined(PostingRuleDefinition {
            movement: *movement,
            class: PostingClass::trusted(DEFAULT_CLASS),
            account: AccountCode::trusted(account),
        })
    });
    Ok(std::iter::once(Event::TenantOpened(opened)).chain(accounts).chain(rules).collect())
}

pub(crate) fn define_item(ledger: &Ledger, c: &DefineItem) -> Result<Vec<Event>, Rejection> {
    if c.scale > SCALE_MAX {
        return Err(Rejection::ScaleOutOfRange { scale_max: SCALE_MAX });
    }
    let tracking = c.tracking.unwrap_or_default();
    if tracking == Tracking::Serial && c.scale != 0 {
        return Err(Rejection::ScaleNotWhole { sku: c.sku.clone() });
    }
    let is_specific = c.method == ValuationMethod::Specific;
    if is_specific && (tracking == Tracking::None || c.negative_stock == NegativeStock::Allow) {
        return Err(Rejection::MethodNeedsTracking { sku: c.sku.clone() });
    }
    let has_cost = c.standard_cost.is_some_and(|cost| !cost.is_negative());
    if (c.method == ValuationMethod::Standard && !has_cost) || c.standard_cost.is_some_and(Number::is_negative) {
        return Err(Rejection::StandardCostRequired { sku: c.sku.clone() });
    }
    let units = c.units.as_deref().unwrap_or(&[]);
    check_units(c, units)?;
    let components = c.components.as_deref().unwrap_or(&[]);
    check_components(ledger, c, components)?;
    let new = ItemDefinition {
        sku: c.sku.clone(),
        name: c.name.clone(),
        unit: c.unit.clone(),
        scale: c.scale,
        method: c.method,
        posting_class: c.posting_class.clone().unwrap_or_else(|| PostingClass::trusted(DEFAULT_CLASS)),
        negative_stock: c.negative_stock,
        retired: c.retired,
        tracking: c.tracking.filter(|t| *t != Tracking::None),
        pool: c.pool.filter(|p| *p != CostPool::Warehouse),
        standard_cost: c.standard_cost,
        units: (!units.is_empty()).then(|| units.to_vec()),
        components: (!components.is_empty()).then(|| components.to_vec()),
    };
    let Some((item_at, item)) = ledger.item(c.sku.as_str()) else {
        return Ok(vec![Event::ItemDefined(new)]);
    };
    if *item.definition == new {
        return Ok(Vec::new());
    }
    let in_use = is_in_use(item) || ledger.is_counted(|(counted, _, _, _)| *counted == item_at);
    // Earlier facts are in the old scale, and costs, policies and holds that have lapsed are remembered in it.
    let rescaled = (item.definition.scale != new.scale && !item.bins.is_empty()).then_some("scale");
    let fixed = || if in_use { fixed_field_changed(ledger, item_at, item, &new) } else { None };
    if let Some(field) = rescaled.or_else(fixed) {
        return Err(Rejection::ItemInUse { sku: c.sku.clone(), field: Text::trusted(field) });
    }
    if new.negative_stock == NegativeStock::Forbid && item.bins.iter().any(|(_, b)| b.free() < 0) {
        return Err(Rejection::ItemInUse { sku: c.sku.clone(), field: Text::trusted("negative_stock") });
    }
    let is_standard_now = new.method == ValuationMethod::Standard && item.definition.method != ValuationMethod::Standard;
    let to_standard = match new.standard_cost.filter(|_| is_standard_now) {
        Some(cost) => value::converted(ledger, item_at, cost)?,
        None => Vec::new(),
    };
    // The old method's stock comes to its standard value first; then the new method holds.
    Ok(to_standard.into_iter().chain([Event::ItemChanged(new)]).collect())
}

fn check_units(c: &DefineItem, units: &[UnitOfMeasure]) -> Result<(), Rejection> {
    if units.len() > UNITS_MAX {
        return Err(Rejection::LinesOutOfRange { lines_min: 0, lines_max: u32::try_from(UNITS_MAX).unwrap_or(u32::MAX) });
    }
    let in_range = |n: u64| (1..=RATIO_MAX).contains(&n);
    let is_bad = |(at, u): (usize, &UnitOfMeasure)| {
        let twice = units.iter().take(at).any(|other| other.code == u.code);
        twice || u.code.as_str() == c.unit.as_str() || !in_range(u.numerator) || !in_range(u.denominator)
    };
    match units.iter().enumerate().find(|u| is_bad(*u)) {
        Some((_, bad)) => Err(Rejection::UnitInvalid { unit: bad.code.clone() }),
        None => Ok(()),
    }
}

/// Components are items in use, each named once, and no kits themselves; nor is what is a component of another a kit.
fn check_components(ledger: &Ledger, c: &DefineItem, components: &[Component]) -> Result<(), Rejection> {
    if components.len() > COMPONENTS_MAX {
        return Err(Rejection::LinesOutOfRange { lines_min: 0, lines_max: u32::try_from(COMPONENTS_MAX).unwrap_or(u32::MAX) });
    }
    for (at, part) in components.iter().enumerate() {
        let invalid = || Rejection::ComponentInvalid { sku: part.sku.clone() };
        let (_, item) = ledger.item(part.sku.as_str()).filter(|(_, i)| !i.definition.retired).ok_or_else(invalid)?;
        let twice = components.iter().take(at).any(|other| other.sku == part.sku);
        let units = part.quantity.units_at(item.definition.scale).unwrap_or(0);
        if twice || part.sku == c.sku || units <= 0 || !item.definition.components().is_empty() {
            return Err(invalid());
        }
    }
    let is_part = |i: &Item| i.definition.components().iter().any(|part| part.sku == c.sku);
    match ledger.items().iter().find(|i| !components.is_empty() && is_part(i)) {
        Some(kit) => Err(Rejection::ComponentInvalid { sku: kit.definition.sku.clone() }),
        None => Ok(()),
    }
}

fn is_in_use(item: &Item) -> bool {
    let pools = item.pools.iter().any(|(_, p)| p.quantity != 0 || p.value != 0 || p.provisional != (0, 0));
    pools || item.bins.iter().any(|(_, b)| b.on_hand != 0 || b.reserved != 0 || b.allocated != 0 || b.incoming != 0)
}

/// The first field that may not change while there is stock or a hold.
fn fixed_field_changed(ledger: &Ledger, item_at: u32, item: &Item, new: &ItemDefinition) -> Option<&'static str> {
    let old = &item.definition;
    // What is under way brings along the value and the layers of the method it left by.
    let is_under_way = ledger.open_transfers().any(|t| t.lines.iter().any(|l| l.item == item_at && l.quantity != 0));
    let below_zero = item.pools.iter().any(|(_, p)| p.quantity < 0 || p.provisional != (0, 0));
    // Which layer belongs to which lot is only known from receipts; and below zero there is nothing to take over.
    let is_method_fixed = below_zero || is_under_way || new.method == ValuationMethod::Specific;
    // The value of what is on hand follows the standard cost, so that one changes by a revaluation.
    let is_cost_fixed = old.method == ValuationMethod::Standard && new.method == ValuationMethod::Standard;
    [
        (old.method != new.method && is_method_fixed, "method"),
        (old.tracking() != new.tracking(), "tracking"),
        (old.pool() != new.pool(), "pool"),
        (old.standard_cost != new.standard_cost && is_cost_fixed, "standard_cost"),
        (old.posting_class != new.posting_class, "posting_class"),
        (!old.retired && new.retired, "retired"),
    ]
    .into_iter()
    .find_map(|(changed, field)| changed.then_some(field))
}

pub(crate) fn define_location(ledger: &Ledger, c: &DefineLocation) -> Result<Vec<Event>, Rejection> {
    let new = LocationDefinition {
        code: c.code.clone(),
        name: c.name.clone(),
        kind: c.kind,
        retired: c.retired,
        parent: c.parent.clone(),
        x: c.x,
        y: c.y,
    };
    let parent = match &c.parent {
        None => None,
        Some(code) => {
            let found = ledger.location(code.as_str()).filter(|(_, l)| !l.definition.retired);
            Some(found.ok_or_else(|| Rejection::UnknownLocation { location: code.clone() })?.0)
        }
    };
    let own = ledger.location(c.code.as_str());
    if let Some(parent) = parent {
        check_kinds(ledger, c, parent)?;
        check_place_in_tree(ledger, c, own.map(|(at, _)| at), parent)?;
    }
    let Some((at, location)) = own else {
        return Ok(vec![Event::LocationDefined(new)]);
    };
    if location.definition == new {
        return Ok(Vec::new());
    }
    // A cost pool is what lies under one topmost location: its stock may not change pools, nor kinds, on paper.
    let root = parent.map_or(at, |parent| ledger.root(parent));
    let moves_pool = root != ledger.root(at);
    let retires = new.retired && !location.definition.retired;
    let changes_kind = new.kind != location.definition.kind;
    let has_parts = || ledger.locations().iter().any(|l| l.parent == Some(at));
    if (changes_kind && has_parts()) || ((retires || moves_pool || changes_kind) && holds_stock(ledger, at)) {
        return Err(Rejection::LocationInUse { location: c.code.clone() });
    }
    Ok(vec![Event::LocationChanged(new)])
}

/// A tree is of one kind: a cost pool lies in one inventory account, and goods under way in another.
fn check_kinds(ledger: &Ledger, c: &DefineLocation, parent: u32) -> Result<(), Rejection> {
    match ledger.locations().get(parent as usize).map(|l| &l.definition) {
        Some(outer) if outer.kind != c.kind => Err(match c.kind {
            LocationKind::Storage => Rejection::LocationNotStorage { location: outer.code.clone() },
            LocationKind::Transit => Rejection::LocationNotTransit { location: outer.code.clone() },
        }),
        Some(_) | None => Ok(()),
    }
}

/// The tree stays a tree of bounded depth.
fn check_place_in_tree(ledger: &Ledger, c: &DefineLocation, own: Option<u32>, parent: u32) -> Result<(), Rejection> {
    if own.is_some_and(|own| ledger.is_within(parent, own)) {
        return Err(Rejection::LocationCycle { location: c.code.clone() });
    }
    let above = ledger.ancestors(parent).count();
    // How deep the tree below goes: the furthest descendant's way up to here.
    let below = own.map_or(1, |own| {
        let ways = (0_u32..).take(ledger.locations().len()).map(|at| ledger.ancestors(at).position(|up| up == own));
        ways.flatten().max().unwrap_or(0).saturating_add(1)
    });
    if above.saturating_add(below) > LOCATION_DEPTH_MAX {
        return Err(Rejection::LocationTooDeep { depth_max: u32::try_from(LOCATION_DEPTH_MAX).unwrap_or(u32::MAX) });
    }
    Ok(())
}

/// Whether anything is at a location or inside of it, is held there or expected, is on its way from or to it, or was
/// counted there.
fn holds_stock(ledger: &Ledger, outer: u32) -> bool {
    let in_use = |b: &Bin| b.on_hand != 0 || b.reserved != 0 || b.allocated != 0 || b.incoming != 0;
    let is_inside = |at: u32| ledger.is_within(at, outer);
    ledger.items().iter().flat_map(|i| &i.bins).any(|(at, b)| in_use(b) && is_inside(*at))
        || ledger.open_transfers().any(|t| is_inside(t.from) || is_inside(t.to))
        || ledger.is_counted(|(_, at, _, _)| is_inside(*at))
}

pub(crate) fn define_stock_policy(ledger: &Ledger, c: &DefineStockPolicy) -> Result<Vec<Event>, Rejection> {
    let working = Working::new(ledger);
    let place = Place::storage(&working, &c.sku, &c.location)?;
    let positive = |number: Option<Number>, field| match number.map_or(Ok(0), |n| units(n, place.scale(), field))? {
        n if n >= 0 => Ok(n),
        _below_zero => Err(Rejection::QuantityNotPositive { field: Text::trusted(field) }),
    };
    let new = StockPolicyDefined {
        sku: c.sku.clone(),
        location: c.location.clone(),
        scale: place.scale(),
        backorder: c.backorder,
        backorder_limit: positive(c.backorder_limit, "backorder_limit")?,
        safety_stock: positive(c.safety_stock, "safety_stock")?,
    };
    let is = place.bin.policy();
    let same = (is.backorder, is.backorder_limit, is.safety_stock) == (new.backorder, new.backorder_limit, new.safety_stock);
    Ok(if same { Vec::new() } else { vec![Event::StockPolicyDefined(new)] })
}

pub(crate) fn define_account(ledger: &Ledger, c: &DefineAccount) -> Result<Vec<Event>, Rejection> {
    let mut above = c.parent.as_ref();
    for _ in 0..=ledger.accounts().len() {
        let Some(parent) = above else { break };
        if *parent == c.code {
            return Err(Rejection::AccountCycle { account: c.code.clone() });
        }
        let (_, account) =
            ledger.account(parent.as_str()).ok_or_else(|| Rejection::UnknownAccount { account: parent.clone() })?;
        above = account.definition.parent.as_ref();
    }
    let new = AccountDefinition {
        code: c.code.clone(),
        name: c.name.clone(),
        account_type: c.account_type,
        parent: c.parent.clone(),
        retired: c.retired,
        currency: c.currency.clone(),
        minimum: c.minimum,
        maximum: c.maximum,
        limit_on: c.limit_on,
        monetary: c.monetary,
        required_dimensions: c.required_dimensions.clone().filter(|d| !d.is_empty()),
    };
    check_money(ledger, &new)?;
    let Some((_, account)) = ledger.account(c.code.as_str()) else {
        return Ok(vec![Event::AccountOpened(new)]);
    };
    if account.definition == new {
        return Ok(Vec::new());
    }
    let posted = account.debits != 0 || account.credits != 0 || !account.pending.is_zero();
    let recurrency = new.currency.is_some() && account.definition.currency != new.currency;
    let retype = (account.definition.account_type != new.account_type || recurrency) && posted;
    // What a rule names goes on taking postings.
    let held = account.balance() != 0 || !account.pending.is_zero() || account.books().any(|b| b.sides.balance() != 0);
    let in_use = held || account.holds_inventory || ledger.is_posted_to_by_rule(&c.code);
    let retire = new.retired && !account.definition.retired && in_use;
    if retype || retire {
        return Err(Rejection::AccountInUse { account: c.code.clone() });
    }
    Ok(vec![Event::AccountChanged(new)])
}

/// Currency, limits and dimensions of an account make sense.
fn check_money(ledger: &Ledger, d: &AccountDefinition) -> Result<(), Rejection> {
    let scale = match &d.currency {
        Some(code) => scale_of(ledger, code)?,
        None => None,
    };
    let scale = scale.unwrap_or_else(|| ledger.money());
    let bound = |number: Option<Number>, field| number.map(|n| place::units(n, scale, field)).transpose();
    let (minimum, maximum) = (bound(d.minimum, "minimum")?, bound(d.maximum, "maximum")?);
    if minimum.zip(maximum).is_some_and(|(low, high)| low > high) {
        return Err(Rejection::LimitInvalid { account: d.code.clone() });
    }
    let required = d.required_dimensions.as_deref().unwrap_or(&[]);
    if required.len() > DIMENSIONS_MAX {
        return Err(Rejection::TooManyDimensions { dimensions_max: u32::try_from(DIMENSIONS_MAX).unwrap_or(u32::MAX) });
    }
    match required.iter().find(|code| ledger.dimension(code).is_none()) {
        Some(dimension) => Err(Rejection::UnknownDimension { dimension: dimension.clone() }),
        None => Ok(()),
    }
}

pub(crate) fn define_posting_rule(ledger: &Ledger, c: &DefinePostingRule) -> Result<Vec<Event>, Rejection> {
    let unknown = || Rejection::UnknownAccount { account: c.account.clone() };
    let (_, account) = ledger.account(c.account.as_str()).filter(|(_, a)| !a.definition.retired).ok_or_else(unknown)?;
    if ledger.rule(c.movement, &c.class).is_some_and(|r| r.account == c.account) {
        return Ok(Vec::new());
    }
    if c.movement.holds_inventory() {
        if !account.holds_inventory && !account.sides().is_zero() {
            return Err(Rejection::AccountInUse { account: c.account.clone() });
        }
        let has_stock =
            |i: &Item| i.definition.posting_class == c.class && i.pools.iter().any(|(_, p)| p.value != 0 || p.quantity != 0);
        if ledger.items().iter().any(has_stock) {
            return Err(Rejection::ClassHasStock { class: c.class.clone() });
        }
    } else if account.holds_inventory {
        return Err(Rejection::InventoryAccount { account: c.account.clone() });
    }
    Ok(vec![Event::PostingRuleDefined(PostingRuleDefinition {
        movement: c.movement,
        class: c.class.clone(),
        account: c.account.clone(),
    })])
}
