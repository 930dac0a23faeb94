//! Any interleaving of every command over a small world, beside a model that only counts.
//!
//! **Shape**: [`Plan`] generates what is asked, [`Step`] says it in small indices, [`Model`] makes a command of it (so that
//! collisions, shortages and exact fits are frequent), [`Trial`] decides it three times and compares ledger and model.
//! **Correctness**: the model folds and decides nothing with the product's code. What a command does to quantities it
//! says from the command alone; only what the domain is free to choose (costs, places of an allocation, who is filled)
//! it reads from the events, and checks that choice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

use super::{Book, START, action, command};
use crate::domain::allocation::Strategy as Allocation;
use crate::domain::amount::Number;
use crate::domain::catalogue::command::{
    Backorder, Component, CostPool, DefineItem, LocationKind, MovementKind, NegativeStock, OpenTenant, Tracking, ValuationMethod,
};
use crate::domain::codec;
use crate::domain::command::Action;
use crate::domain::decider::{Undecided, goods_named, handle};
use crate::domain::event::{Event, Recorded};
use crate::domain::id::{LotCode, Position, Serial, UnitCode};
use crate::domain::reservation::command::ExpireReservation;
use crate::domain::reservation::event::HeldLine;
use crate::domain::state::{Ledger, ReservationStatus};
use crate::domain::stock::event::Movement;
use crate::domain::stock::status::StockStatus;
use crate::domain::time::Timestamp;
use crate::domain::unit::UnitOfMeasure;

/// Cases without `PROPTEST_CASES`.
const CASES: u32 = 250;
/// In place of a number counted back: whatever comes first, open or not.
const ANY: u32 = u32::MAX;
const ITEMS: [&str; 8] = ["FIFO", "AVERAGE", "STANDARD", "LOT", "LOTCOST", "SERIAL", "KIT", "TENANT"];
const PLACES: [&str; 7] = ["W1A", "W1B", "W2A", "W1", "W2B", "W2", "T"];
const LOTS: [&str; 3] = ["L0", "L1", "L2"];
/// Seconds after the start at which a lot expires.
const LOT_LIVES: [Option<i64>; 3] = [None, Some(40), Some(160)];
const ACCOUNTS: [&str; 6] = ["1000", "1100", "2110", "4000", "5100", "6000"];
const INVENTORY: [&str; 3] = ["1300", "1310", "1320"];
const RULES: [(&str, &str, &str); 8] = [
    ("issue", "default", "6000"),
    ("issue", "default", "5000"),
    ("receipt", "other", "2000"),
    ("adjustment", "default", "6000"),
    ("transit", "default", "1320"),
    ("inventory", "default", "1320"),
    ("inventory", "other", "1300"),
    ("scrap", "other", "5500"),
];

/// Item, place and how many, as indices.
#[derive(Clone, Debug)]
struct Goods {
    item: usize,
    at: usize,
    units: i64,
    lot: usize,
    status: StockStatus,
    /// In the item's alternate unit, where it has one.
    boxed: bool,
    /// Other serials than those that fit.
    stray: bool,
    /// What leaves is brought down to what is there.
    fits: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Method(ValuationMethod),
    Negative(NegativeStock),
    Pool(CostPool),
    Tracking(Tracking),
    Retired(bool),
    Cost(i64),
    Class(bool),
}

#[derive(Clone, Debug)]
enum Shift {
    Retired(bool),
    Parent(Option<usize>),
    Kind(LocationKind),
}

#[derive(Clone, Debug)]
enum Revaluation {
    By(i64),
    Standard(i64),
    Worth(i64),
}

#[derive(Clone, Debug)]
struct Want {
    goods: Goods,
    is_placed: bool,
    has_lot: bool,
}

#[derive(Clone, Debug)]
struct Reserving {
    id: u32,
    wants: Vec<Want>,
    strategy: Option<Allocation>,
    listed: Vec<usize>,
    near: usize,
    partial: bool,
    priority: u8,
    owner: Option<u8>,
    replaces: bool,
    ttl: u32,
}

#[derive(Clone, Debug)]
enum Verb {
    Extend(u32),
    Change(Vec<(u32, i64)>),
    Reduce(Vec<(u32, i64)>),
    Move(u32, usize, usize),
    Confirm,
    Commit(Option<Vec<(u32, Option<i64>)>>),
    Release,
    Expire,
}

#[derive(Clone, Debug)]
enum What {
    Receive(Goods, i64, Option<u32>),
    Issue(Goods, Option<i64>),
    Return(Goods, Option<usize>),
    ToSupplier(Goods, Option<usize>),
    Adjust(Goods, bool, Option<i64>),
    ChangeStatus(Goods, StockStatus),
    Scrap(Goods),
    Transfer(Goods, usize),
    Dispatch(u32, usize, usize, Vec<Goods>),
    Arrive(u32, Option<Vec<(u32, i64, i64)>>, bool),
    CancelTransfer(u32),
    OpenCount(u32, usize),
    Count(u32, Vec<(Goods, i64)>),
    PostCount(u32),
    CancelCount(u32),
    Kit(bool, usize, i64),
    Expect(u32, Goods),
    CancelExpected(u32),
    Reserve(Reserving),
    Hold(u32, Verb),
    Revalue(usize, usize, Revaluation),
    AddCost(usize, i64, bool),
    Entry(u32, usize, usize, i64),
    Reverse(u32),
    Item(usize, Change),
    Policy(Goods, Backorder, i64, i64),
    Location(usize, Shift),
    Account(usize, bool),
    Rule(usize),
}

/// One step of a command; `ago` dates it so many seconds back.
#[derive(Clone, Debug)]
struct Step {
    what: What,
    ago: Option<i64>,
}

#[derive(Clone, Debug)]
enum Asked {
    Do(Step),
    /// As one transaction.
    Together(Vec<Step>),
    Wait(i64),
}

/// How many of each were opened so far, so that every one has an id of its own.
#[derive(Clone, Debug, Default)]
struct Plan {
    holds: u32,
    transfers: u32,
    counts: u32,
    expected: u32,
    entries: u32,
}

fn goods() -> impl Strategy<Value = Goods> + Clone {
    let status = prop_oneof![
        8 => Just(StockStatus::Sellable),
        2 => Just(StockStatus::Damaged),
        1 => Just(StockStatus::QualityControl),
    ];
    (
        0..ITEMS.len(),
        place(),
        1_i64..7,
        0..LOTS.len(),
        status,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.6),
    )
        .prop_map(|(item, at, units, lot, status, boxed, stray, fits)| Goods {
            item,
            at,
            units,
            lot,
            status,
            boxed,
            stray,
            fits,
        })
}

/// Some more often than others, so that things meet.
fn place() -> impl Strategy<Value = usize> + Clone {
    prop::sample::select(vec![0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5])
}

/// One that is open, counted back from the newest; the last number asks for one that may be closed or was never there.
fn known() -> impl Strategy<Value = u32> + Clone {
    prop::sample::select(vec![0, 0, 0, 0, 1, 1, 2, 3, ANY])
}

fn fresh(next: u32) -> impl Strategy<Value = u32> + Clone {
    prop::sample::select(vec![next, next, next, next, next, next, next, next, next.saturating_sub(1)])
}

fn verb() -> impl Strategy<Value = Verb> {
    let lines = prop::collection::vec((0_u32..3, 0_i64..8), 1..3);
    let parts = prop::option::of(prop::collection::vec((0_u32..3, prop::option::of(1_i64..4)), 0..3));
    prop_oneof![
        2 => (1_u32..60).prop_map(Verb::Extend),
        4 => lines.clone().prop_map(Verb::Change),
        1 => lines.prop_map(Verb::Reduce),
        3 => (0_u32..3, place(), 0..LOTS.len()).prop_map(|(line, to, lot)| Verb::Move(line, to, lot)),
        3 => Just(Verb::Confirm),
        6 => parts.prop_map(Verb::Commit),
        2 => Just(Verb::Release),
        3 => Just(Verb::Expire),
    ]
}

fn reserving(next: u32) -> impl Strategy<Value = Reserving> {
    let want = (goods(), prop::bool::weighted(0.8), prop::bool::weighted(0.2));
    let want = want.prop_map(|(goods, is_placed, has_lot)| Want { goods, is_placed, has_lot });
    let strategy = prop::sample::select(vec![
        None,
        None,
        None,
        Some(Allocation::Given),
        Some(Allocation::PriorityList),
        Some(Allocation::Nearest),
        Some(Allocation::Fefo),
        Some(Allocation::Fifo),
        Some(Allocation::FewestSplits),
    ]);
    let demand = (fresh(next), prop::collection::vec(want, 1..4), strategy, prop::collection::vec(place(), 1..3), place());
    let terms = (any::<bool>(), 0_u8..3, prop::option::of(0_u8..2), prop::bool::weighted(0.3), 1_u32..60);
    (demand, terms).prop_map(|((id, wants, strategy, listed, near), (partial, priority, owner, replaces, ttl))| Reserving {
        id,
        wants,
        strategy,
        listed,
        near,
        partial,
        priority,
        owner,
        replaces,
        ttl,
    })
}

fn changed_item() -> impl Strategy<Value = Change> {
    use ValuationMethod::{Fifo, MovingAverage, Specific, Standard};
    prop_oneof![
        4 => prop::sample::select(vec![Fifo, MovingAverage, Standard, Specific]).prop_map(Change::Method),
        2 => prop::sample::select(vec![NegativeStock::Allow, NegativeStock::Forbid]).prop_map(Change::Negative),
        1 => prop::sample::select(vec![CostPool::Warehouse, CostPool::Tenant]).prop_map(Change::Pool),
        1 => prop::sample::select(vec![Tracking::None, Tracking::Lot, Tracking::Serial]).prop_map(Change::Tracking),
        1 => prop::bool::weighted(0.3).prop_map(Change::Retired),
        1 => (0_i64..400).prop_map(Change::Cost),
        1 => any::<bool>().prop_map(Change::Class),
    ]
}

fn moving(plan: &Plan) -> impl Strategy<Value = What> + use<> {
    let cost = || 0_i64..2_000;
    let status = || prop::sample::select(StockStatus::ALL.to_vec());
    let expectation = prop::option::weighted(0.15, known());
    let other = || prop::option::weighted(0.6, 0_usize..5);
    prop_oneof![
        14 => (goods(), cost(), expectation).prop_map(|(g, c, e)| What::Receive(g, c, e)),
        9 => (goods(), prop::option::weighted(0.15, cost())).prop_map(|(g, c)| What::Issue(g, c)),
        3 => (goods(), other()).prop_map(|(g, o)| What::Return(g, o)),
        3 => (goods(), other()).prop_map(|(g, o)| What::ToSupplier(g, o)),
        4 => (goods(), any::<bool>(), prop::option::of(cost())).prop_map(|(g, f, c)| What::Adjust(g, f, c)),
        4 => (goods(), status()).prop_map(|(g, s)| What::ChangeStatus(g, s)),
        2 => goods().prop_map(What::Scrap),
        5 => (goods(), place()).prop_map(|(g, to)| What::Transfer(g, to)),
        3 => (any::<bool>(), place(), 1_i64..4).prop_map(|(a, at, n)| What::Kit(a, at, n)),
        3 => (fresh(plan.expected), goods()).prop_map(|(id, g)| What::Expect(id, g)),
        1 => known().prop_map(What::CancelExpected),
    ]
}

fn document(plan: &Plan) -> impl Strategy<Value = What> + use<> {
    let arrivals = prop::collection::vec((0_u32..3, 0_i64..8, 0_i64..3), 1..3);
    let lines = prop::collection::vec((goods(), 0_i64..9), 1..4);
    prop_oneof![
        6 => (fresh(plan.transfers), place(), place(), prop::collection::vec(goods(), 1..3))
            .prop_map(|(id, from, to, lines)| What::Dispatch(id, from, to, lines)),
        7 => (known(), prop::option::weighted(0.7, arrivals), prop::bool::weighted(0.4))
            .prop_map(|(id, lines, is_final)| What::Arrive(id, lines, is_final)),
        2 => known().prop_map(What::CancelTransfer),
        3 => (fresh(plan.counts), place()).prop_map(|(id, at)| What::OpenCount(id, at)),
        5 => (known(), lines).prop_map(|(id, lines)| What::Count(id, lines)),
        3 => known().prop_map(What::PostCount),
        1 => known().prop_map(What::CancelCount),
    ]
}

fn valuing(plan: &Plan) -> impl Strategy<Value = What> + use<> {
    let revaluation = prop_oneof![
        (-600_i64..600).prop_map(Revaluation::By),
        (0_i64..400).prop_map(Revaluation::Standard),
        (0_i64..200).prop_map(Revaluation::Worth),
    ];
    prop_oneof![
        4 => (0..ITEMS.len(), place(), revaluation).prop_map(|(i, at, r)| What::Revalue(i, at, r)),
        4 => (0_usize..5, -300_i64..300, any::<bool>()).prop_map(|(k, a, kind)| What::AddCost(k, a, kind)),
        2 => (fresh(plan.entries), 0..ACCOUNTS.len(), 0..ACCOUNTS.len(), 1_i64..500)
            .prop_map(|(id, a, b, n)| What::Entry(id, a, b, n)),
        1 => known().prop_map(What::Reverse),
    ]
}

fn defining() -> impl Strategy<Value = What> {
    let shift = prop_oneof![
        prop::bool::weighted(0.3).prop_map(Shift::Retired),
        prop::option::of(0..PLACES.len()).prop_map(Shift::Parent),
        prop::sample::select(vec![LocationKind::Storage, LocationKind::Transit]).prop_map(Shift::Kind),
    ];
    let backorder = prop::sample::select(vec![Backorder::Forbid, Backorder::Limited, Backorder::Allow]);
    prop_oneof![
        5 => (0..ITEMS.len(), changed_item()).prop_map(|(i, c)| What::Item(i, c)),
        5 => (goods(), backorder, 0_i64..6, 0_i64..3).prop_map(|(g, b, l, s)| What::Policy(g, b, l, s)),
        1 => (0..PLACES.len(), shift).prop_map(|(at, s)| What::Location(at, s)),
        1 => (0..ACCOUNTS.len(), any::<bool>()).prop_map(|(a, r)| What::Account(a, r)),
        1 => (0..RULES.len()).prop_map(What::Rule),
    ]
}

impl ReferenceStateMachine for Plan {
    type State = Self;
    type Transition = Asked;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(plan: &Self) -> BoxedStrategy<Asked> {
        let held = (known(), verb()).prop_map(|(id, verb)| What::Hold(id, verb));
        let what = prop_oneof![
            14 => moving(plan),
            8 => document(plan),
            8 => reserving(plan.holds).prop_map(What::Reserve),
            9 => held,
            2 => valuing(plan),
            3 => defining(),
        ];
        let step = (what, prop::option::weighted(0.15, 0_i64..40)).prop_map(|(what, ago)| Step { what, ago });
        let step = step.boxed();
        prop_oneof![
            16 => step.clone().prop_map(Asked::Do),
            2 => prop::collection::vec(step, 2..5).prop_map(Asked::Together),
            3 => (1_i64..20).prop_map(Asked::Wait),
        ]
        .boxed()
    }

    fn apply(mut plan: Self, asked: &Asked) -> Self {
        let steps = match asked {
            Asked::Do(step) => std::slice::from_ref(step),
            Asked::Together(steps) => steps,
            Asked::Wait(_) => &[],
        };
        for step in steps {
            match &step.what {
                What::Reserve(r) => plan.holds = plan.holds.max(r.id + 1),
                What::Dispatch(id, ..) => plan.transfers = plan.transfers.max(id + 1),
                What::OpenCount(id, _) => plan.counts = plan.counts.max(id + 1),
                What::Expect(id, _) => plan.expected = plan.expected.max(id + 1),
                What::Entry(id, ..) => plan.entries = plan.entries.max(id + 1),
                _opens_nothing => {}
            }
        }
        plan
    }
}

/// Item, place, lot, status.
type Key = (String, String, Option<String>, StockStatus);
type Delta = BTreeMap<Key, i64>;
type At = (String, String);
/// Line, item, units, place and lot that a reservation wants.
type Part = (usize, String, i64, Option<String>, Option<String>);
/// Item and place where a hold of this rank was filled.
type Filled = (String, String, (Reverse<u8>, Position));

#[derive(Clone, Debug)]
struct Thing {
    scale: u8,
    method: ValuationMethod,
    negative: NegativeStock,
    tracking: Tracking,
    pool: CostPool,
    retired: bool,
    class: String,
    cost: Option<Number>,
    parts: Vec<(String, i64)>,
}

#[derive(Clone, Debug)]
struct Spot {
    kind: LocationKind,
    retired: bool,
    parent: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Held {
    sku: String,
    place: String,
    lot: Option<String>,
    quantity: i64,
    waiting: i64,
}

impl Held {
    fn of(l: &HeldLine) -> Self {
        let lot = l.lot.as_ref().map(ToString::to_string);
        Self { sku: l.sku.to_string(), place: l.location.to_string(), lot, quantity: l.quantity, waiting: l.waiting() }
    }

    fn firm(&self) -> i64 {
        self.quantity - self.waiting
    }
}

#[derive(Clone, Debug)]
struct Hold {
    lines: Vec<Held>,
    expires_at: Timestamp,
    allocated: bool,
    open: bool,
    owner: Option<String>,
    rank: (Reverse<u8>, Position),
}

/// A transfer under way.
#[derive(Clone, Debug)]
struct Trip {
    from: String,
    to: String,
    via: String,
    open: bool,
    /// Item, lot, units.
    lines: Vec<(String, Option<String>, i64)>,
}

#[derive(Clone, Debug)]
struct Tally {
    open: bool,
    at: String,
    opened_at: Timestamp,
    differences: BTreeMap<Key, i64>,
}

/// What must come of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    Accept,
    /// Refused for want of stock.
    Lack,
    Refuse,
    /// The model does not know enough to say.
    Either,
}

/// Quantities, totals and nothing else.
#[derive(Clone, Debug, Default)]
struct Model {
    now: Timestamp,
    things: BTreeMap<String, Thing>,
    spots: BTreeMap<String, Spot>,
    policies: BTreeMap<At, (Backorder, i64, i64)>,
    stock: Delta,
    serials: BTreeMap<At, (String, StockStatus)>,
    expiries: BTreeMap<At, Option<Timestamp>>,
    holds: BTreeMap<String, Hold>,
    trips: BTreeMap<String, Trip>,
    expected: BTreeMap<String, (String, String, i64)>,
    tallies: BTreeMap<String, Tally>,
    /// Every movement with its effective time.
    moved: Vec<(Timestamp, Key, i64)>,
    /// Debits and credits.
    accounts: BTreeMap<String, (i128, i128)>,
    retired_accounts: BTreeSet<String>,
    values: BTreeMap<String, i128>,
    position: Position,
    /// Number and version by name.
    streams: BTreeMap<String, (Position, i64)>,
}

fn add(delta: &mut Delta, key: Key, units: i64) {
    let sum = delta.entry(key).or_default();
    *sum += units;
}

fn without_zeros(delta: &Delta) -> Delta {
    delta.iter().filter(|(_, n)| **n != 0).map(|(key, n)| (key.clone(), *n)).collect()
}

fn shown(units: i64, scale: u8) -> String {
    Number::from_units(units, scale).to_string()
}

fn text<T: ToString>(of: Option<&T>) -> Option<String> {
    of.map(ToString::to_string)
}

/// Questions to the model.
impl Model {
    fn thing(&self, sku: &str) -> &Thing {
        &self.things[sku]
    }

    fn on_hand(&self, key: &Key) -> i64 {
        self.stock.get(key).copied().unwrap_or(0)
    }

    fn at<'m>(&'m self, sku: &'m str, place: &'m str) -> impl Iterator<Item = (&'m Key, i64)> {
        self.stock.iter().filter(move |((s, p, _, _), _)| s == sku && p == place).map(|(key, n)| (key, *n))
    }

    fn sellable(&self, sku: &str, place: &str) -> i64 {
        self.at(sku, place).filter(|(key, _)| key.3.is_sellable()).map(|(_, n)| n).sum()
    }

    fn is_live(&self, hold: &Hold) -> bool {
        hold.open && (hold.allocated || hold.expires_at > self.now)
    }

    fn live(&self, id: &str) -> Option<&Hold> {
        self.holds.get(id).filter(|h| self.is_live(h))
    }

    fn lines<'m>(&'m self, sku: &'m str, place: &'m str) -> impl Iterator<Item = (&'m Hold, &'m Held)> {
        let live = self.holds.values().filter(|h| self.is_live(h));
        live.flat_map(|h| h.lines.iter().map(move |l| (h, l))).filter(move |(_, l)| l.sku == sku && l.place == place)
    }

    fn free(&self, sku: &str, place: &str) -> i64 {
        self.sellable(sku, place) - self.lines(sku, place).map(|(_, l)| l.firm()).sum::<i64>()
    }

    fn waiting(&self, sku: &str, place: &str) -> i64 {
        self.lines(sku, place).map(|(_, l)| l.waiting).sum()
    }

    fn policy(&self, sku: &str, place: &str) -> (Backorder, i64, i64) {
        self.policies.get(&(sku.to_owned(), place.to_owned())).copied().unwrap_or_default()
    }

    fn promisable(&self, sku: &str, place: &str) -> i64 {
        let held: i64 = self.lines(sku, place).map(|(_, l)| l.quantity).sum();
        (self.sellable(sku, place) - held - self.policy(sku, place).2).max(0)
    }

    fn is_within(&self, place: &str, outer: &str) -> bool {
        let mut at = Some(place.to_owned());
        while let Some(code) = at {
            if code == outer {
                return true;
            }
            at = self.spots[&code].parent.clone();
        }
        false
    }

    fn in_use(&self, sku: &str, place: &str) -> bool {
        let spot = &self.spots[place];
        !self.thing(sku).retired && !spot.retired && spot.kind == LocationKind::Storage
    }

    fn units(&self, sku: &str, number: Number, unit: Option<&UnitCode>) -> i64 {
        let units = number.units_at(self.thing(sku).scale).unwrap();
        if unit.is_some_and(|u| u.as_str() == "box") { units * 3 } else { units }
    }

    fn key(&self, sku: &str, place: &str, lot: Option<&LotCode>, status: Option<StockStatus>) -> Key {
        (sku.to_owned(), place.to_owned(), text(lot), status.unwrap_or_default())
    }

    /// Units of these goods that nobody holds.
    fn free_of(&self, key: &Key) -> i64 {
        let (sku, place, lot, status) = key;
        let there = self.on_hand(key);
        if !status.is_sellable() {
            return there;
        }
        let of_lot: i64 = self.lines(sku, place).filter(|(_, l)| l.lot.is_some() && l.lot == *lot).map(|(_, l)| l.firm()).sum();
        (there - of_lot).min(self.free(sku, place))
    }

    /// Whether goods may leave a place: those named, as far as they are free.
    fn leaves(&self, key: &Key, units: i64, serials: Option<&[Serial]>, may_go_below: bool) -> Must {
        let (sku, place, lot, status) = key;
        let thing = self.thing(sku);
        if !self.in_use(sku, place) {
            return Must::Refuse;
        }
        match (thing.tracking, lot, serials) {
            (Tracking::None, None, None) => {}
            (Tracking::Lot, Some(lot), None) if self.expiries.contains_key(&(sku.clone(), lot.clone())) => {}
            (Tracking::Serial, None, Some(serials)) => {
                let here = (place.clone(), *status);
                let named: BTreeSet<_> = serials.iter().collect();
                let is_here = |s: &&Serial| self.serials.get(&(sku.clone(), s.to_string())) == Some(&here);
                if i64::try_from(serials.len()).unwrap() != units
                    || named.len() != serials.len()
                    || !serials.iter().all(|s| is_here(&s))
                {
                    return Must::Refuse;
                }
            }
            _not_as_tracked => return Must::Refuse,
        }
        let below = may_go_below && status.is_sellable() && self.goes_below(sku);
        if units <= self.free_of(key) || below { Must::Accept } else { Must::Lack }
    }

    fn goes_below(&self, sku: &str) -> bool {
        let thing = self.thing(sku);
        thing.negative == NegativeStock::Allow && thing.tracking == Tracking::None
    }

    /// Whether goods may come to a place, whose cost is known.
    fn enters(&self, key: &Key, units: i64, serials: Option<&[Serial]>, expires_at: Option<Timestamp>) -> Must {
        let (sku, place, lot, _) = key;
        if !self.in_use(sku, place) {
            return Must::Refuse;
        }
        match (self.thing(sku).tracking, lot, serials) {
            (Tracking::None, None, None) => Must::Accept,
            (Tracking::Lot, Some(lot), None) => {
                let known = self.expiries.get(&(sku.clone(), lot.clone()));
                if known.is_some_and(|at| expires_at.is_some() && expires_at != *at) { Must::Refuse } else { Must::Accept }
            }
            (Tracking::Serial, None, Some(serials)) => {
                let named: BTreeSet<_> = serials.iter().collect();
                let is_new = |s: &&Serial| !self.serials.contains_key(&(sku.clone(), s.to_string()));
                let fits = i64::try_from(serials.len()).unwrap() == units && named.len() == serials.len();
                if fits && serials.iter().all(|s| is_new(&s)) { Must::Accept } else { Must::Refuse }
            }
            _not_as_tracked => Must::Refuse,
        }
    }

    fn is_expired(&self, key: &Key) -> bool {
        let Some(lot) = &key.2 else { return false };
        let at = self.expiries.get(&(key.0.clone(), lot.clone())).copied().flatten();
        key.3.is_sellable() && at.is_some_and(|at| at <= self.now)
    }

    /// A parent's place means every place inside of it; then a strategy chooses.
    fn is_leaf(&self, place: &str) -> bool {
        !self.spots.values().any(|s| s.parent.as_deref() == Some(place))
    }

    /// Items and units of a reservation's lines, kits exploded; with where, if a place was named.
    fn wanted(&self, c: &crate::domain::reservation::command::Reserve) -> Vec<Part> {
        let mut wanted = Vec::new();
        for (number, l) in c.lines.iter().enumerate() {
            let (sku, place) = (l.sku.to_string(), text(l.location.as_ref()));
            let units = self.units(&sku, l.quantity, l.unit.as_ref());
            if self.thing(&sku).parts.is_empty() {
                wanted.push((number, sku, units, place, text(l.lot.as_ref())));
            } else {
                for (part, per_kit) in &self.thing(&sku).parts {
                    wanted.push((number, part.clone(), per_kit * units, place.clone(), None));
                }
            }
        }
        wanted
    }

    /// What a new basket replaces: an order stays.
    fn owned(&self, owner: &str) -> BTreeSet<String> {
        let owned = self.holds.iter().filter(|(_, h)| self.is_live(h) && !h.allocated && h.owner.as_deref() == Some(owner));
        owned.map(|(id, _)| id.clone()).collect()
    }
}

/// What a command must do to quantities, from the command alone.
impl Model {
    fn parts(&self, hold: &Hold, c: &crate::domain::reservation::command::CommitReservation) -> Vec<(usize, i64)> {
        match c.lines.as_deref().filter(|said| !said.is_empty()) {
            None => hold.lines.iter().enumerate().filter(|(_, l)| l.quantity > 0).map(|(at, l)| (at, l.quantity)).collect(),
            Some(said) => {
                let units = |l: &Held, n: Option<Number>| n.map_or(l.quantity, |n| self.units(&l.sku, n, None));
                said.iter().map(|s| (s.line as usize, units(&hold.lines[s.line as usize], s.quantity))).collect()
            }
        }
    }

    /// Per line: good, damaged, short, over.
    fn arrivals(&self, trip: &Trip, c: &crate::domain::transfer::command::ReceiveTransfer) -> BTreeMap<u32, [i64; 4]> {
        let mut arrivals = BTreeMap::new();
        let said = c.lines.as_deref().filter(|said| !said.is_empty());
        for (number, (sku, _, sent)) in (0_u32..).zip(&trip.lines) {
            let units = |n: Option<Number>| n.map_or(0, |n| self.units(sku, n, None));
            let found = said.map(|said| said.iter().find(|l| l.line == number));
            let (good, damaged) = match found {
                None => (*sent, 0),
                Some(None) if c.is_final => (0, 0),
                Some(None) => continue,
                Some(Some(l)) => (units(Some(l.quantity)), units(l.damaged)),
            };
            if found.is_none() && *sent == 0 && !c.is_final {
                continue;
            }
            let of_sent = (good + damaged).min(*sent);
            let damaged = damaged.min(of_sent);
            let short = if c.is_final { sent - of_sent } else { 0 };
            let over = (good + units(found.flatten().and_then(|l| l.damaged)) - of_sent).max(0);
            arrivals.insert(number, [of_sent - damaged, damaged, short, over]);
        }
        arrivals
    }

    fn intent(&self, action: &Action) -> Delta {
        let mut delta = Delta::new();
        let mut put = |key: Key, units: i64| add(&mut delta, key, units);
        match action {
            Action::Receive(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status), units);
            }
            Action::Return(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status), units);
            }
            Action::Issue(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status), -units);
            }
            Action::ReturnToSupplier(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status), -units);
            }
            Action::Scrap(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status), -units);
            }
            Action::Adjust(c) => {
                let units = self.units(c.sku.as_str(), c.difference, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status), units);
            }
            Action::Transfer(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.from.as_str(), c.lot.as_ref(), c.status), -units);
                put(self.key(c.sku.as_str(), c.to.as_str(), c.lot.as_ref(), c.status), units);
            }
            Action::ChangeStatus(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), Some(c.from)), -units);
                put(self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), Some(c.to)), units);
            }
            Action::Assemble(c) => {
                let kits = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), None, None), kits);
                for (part, per_kit) in &self.thing(c.sku.as_str()).parts {
                    put(self.key(part, c.location.as_str(), None, None), -per_kit * kits);
                }
            }
            Action::Disassemble(c) => {
                let kits = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                put(self.key(c.sku.as_str(), c.location.as_str(), None, None), -kits);
                for (part, per_kit) in &self.thing(c.sku.as_str()).parts {
                    put(self.key(part, c.location.as_str(), None, None), per_kit * kits);
                }
            }
            Action::DispatchTransfer(c) => {
                let via = c.via.as_ref().unwrap();
                for l in &c.lines {
                    let units = self.units(l.sku.as_str(), l.quantity, l.unit.as_ref());
                    put(self.key(l.sku.as_str(), c.from.as_str(), l.lot.as_ref(), None), -units);
                    put(self.key(l.sku.as_str(), via.as_str(), l.lot.as_ref(), None), units);
                }
            }
            Action::ReceiveTransfer(c) => {
                let trip = &self.trips[c.id.as_str()];
                for (line, [good, damaged, short, over]) in self.arrivals(trip, c) {
                    let (sku, lot, _) = trip.lines[line as usize].clone();
                    put((sku.clone(), trip.via.clone(), lot.clone(), StockStatus::Sellable), -(good + damaged + short));
                    put((sku.clone(), trip.to.clone(), lot.clone(), StockStatus::Sellable), good + over);
                    put((sku, trip.to.clone(), lot, StockStatus::Damaged), damaged);
                }
            }
            Action::CancelTransfer(c) => {
                let trip = &self.trips[c.id.as_str()];
                for (sku, lot, units) in trip.lines.clone() {
                    put((sku.clone(), trip.via.clone(), lot.clone(), StockStatus::Sellable), -units);
                    put((sku, trip.from.clone(), lot, StockStatus::Sellable), units);
                }
            }
            Action::CommitReservation(c) => {
                let hold = &self.holds[c.id.as_str()];
                for (line, units) in self.parts(hold, c) {
                    let l = hold.lines[line].clone();
                    put((l.sku, l.place, l.lot, StockStatus::Sellable), -units);
                }
            }
            Action::PostCount(c) => {
                for (key, units) in &self.tallies[c.id.as_str()].differences {
                    put(key.clone(), *units);
                }
            }
            _moves_nothing => {}
        }
        delta
    }

    /// Whether a command must be accepted.
    fn must(&self, action: &Action) -> Must {
        let found = |ok: bool| if ok { Must::Accept } else { Must::Refuse };
        // What is asked beyond stock may be refused for its own reasons, but never accepted without stock.
        let at_least = |must: Must| if must == Must::Accept { Must::Either } else { Must::Refuse };
        match action {
            Action::Receive(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status);
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                let known = |id: &str| self.expected.get(id).is_some_and(|e| (&e.0, &e.1) == (&key.0, &key.1) && e.2 > 0);
                if c.expectation.as_ref().is_some_and(|id| !known(id.as_str())) {
                    return Must::Refuse;
                }
                let thing = self.thing(c.sku.as_str());
                if c.total_cost.is_none() && thing.method != ValuationMethod::Standard {
                    return Must::Refuse;
                }
                self.enters(&key, units, c.serials.as_deref(), c.lot_expires_at)
            }
            Action::Return(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status);
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                let must = self.enters(&key, units, c.serials.as_deref(), None);
                if c.original.is_some() { at_least(must) } else { must }
            }
            Action::Issue(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status);
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                let must = self.leaves(&key, units, c.serials.as_deref(), true);
                match must {
                    Must::Accept | Must::Lack if self.is_expired(&key) => Must::Refuse,
                    Must::Accept if c.stated_cost.is_some() => Must::Either,
                    _as_stock_says => must,
                }
            }
            Action::ReturnToSupplier(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status);
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                let must = self.leaves(&key, units, c.serials.as_deref(), true);
                if c.receipt.is_some() { at_least(must) } else { must }
            }
            Action::Scrap(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status);
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                self.leaves(&key, units, c.serials.as_deref(), true)
            }
            Action::Adjust(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), c.status);
                match self.units(c.sku.as_str(), c.difference, c.unit.as_ref()) {
                    lost if lost < 0 => self.leaves(&key, -lost, c.serials.as_deref(), true),
                    more => self.enters(&key, more, c.serials.as_deref(), c.lot_expires_at),
                }
            }
            Action::Transfer(c) => {
                let key = self.key(c.sku.as_str(), c.from.as_str(), c.lot.as_ref(), c.status);
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                if c.from == c.to || !self.in_use(c.sku.as_str(), c.to.as_str()) {
                    return Must::Refuse;
                }
                self.leaves(&key, units, c.serials.as_deref(), true)
            }
            Action::ChangeStatus(c) => {
                let key = self.key(c.sku.as_str(), c.location.as_str(), c.lot.as_ref(), Some(c.from));
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                if c.from == c.to { Must::Refuse } else { self.leaves(&key, units, c.serials.as_deref(), false) }
            }
            Action::DispatchTransfer(c) => self.must_dispatch(c),
            Action::ReceiveTransfer(c) => match self.trips.get(c.id.as_str()).filter(|t| t.open) {
                None => Must::Refuse,
                Some(_) if c.lines.is_none() => Must::Accept,
                Some(_) => Must::Either,
            },
            Action::CancelTransfer(c) => found(self.trips.get(c.id.as_str()).is_some_and(|t| t.open)),
            Action::Assemble(c) => {
                let (kit, at) = (c.sku.as_str(), c.location.as_str());
                let units = self.units(kit, c.quantity, None);
                self.must_build(kit, at, |model, part, per_kit| per_kit * units <= model.free(part, at), true)
            }
            Action::Disassemble(c) => {
                let (kit, at) = (c.sku.as_str(), c.location.as_str());
                let is_there = self.units(kit, c.quantity, None) <= self.free(kit, at);
                self.must_build(kit, at, |_, _, _| true, is_there)
            }
            Action::Expect(c) => {
                let id = c.id.as_ref().unwrap();
                found(self.in_use(c.sku.as_str(), c.location.as_str()) && !self.expected.contains_key(id.as_str()))
            }
            Action::CancelExpectation(c) => found(self.expected.get(c.id.as_str()).is_some_and(|e| e.2 > 0)),
            Action::OpenCount(c) => {
                let (id, spot) = (c.id.as_ref().unwrap(), &self.spots[c.location.as_str()]);
                found(!spot.retired && spot.kind == LocationKind::Storage && !self.tallies.contains_key(id.as_str()))
            }
            Action::CancelCount(c) => found(self.tallies.get(c.id.as_str()).is_some_and(|t| t.open)),
            Action::PostCount(c) => match self.tallies.get(c.id.as_str()).filter(|t| t.open) {
                None => Must::Refuse,
                Some(_) => Must::Either,
            },
            Action::Reserve(c) => self.must_reserve(c),
            Action::ExtendReservation(c) => {
                let until = self.now.plus_seconds(i64::from(c.ttl_seconds));
                found(self.live(c.id.as_str()).is_some_and(|h| !h.allocated && until > h.expires_at))
            }
            Action::ConfirmReservation(c) => found(self.live(c.id.as_str()).is_some()),
            Action::ReleaseReservation(c) => found(self.live(c.id.as_str()).is_some()),
            Action::ExpireReservation(c) => found(self.holds.get(c.id.as_str()).is_some_and(|h| !self.is_live(h) || h.allocated)),
            Action::ChangeReservation(c) => self.must_change(c.id.as_str(), &c.lines, true),
            Action::ReduceReservation(c) => self.must_change(c.id.as_str(), &c.lines, false),
            Action::MoveReservation(c) => match self.live(c.id.as_str()) {
                None => Must::Refuse,
                Some(_) => Must::Either,
            },
            Action::CommitReservation(c) => self.must_commit(c),
            _the_model_does_not_know => Must::Either,
        }
    }

    fn must_dispatch(&self, c: &crate::domain::transfer::command::DispatchTransfer) -> Must {
        let (via, to) = (&self.spots[c.via.as_ref().unwrap().as_str()], c.to.as_str());
        let goes = c.from != c.to && via.kind == LocationKind::Transit && !via.retired;
        if !goes || self.trips.contains_key(c.id.as_str()) || c.lines.iter().any(|l| !self.in_use(l.sku.as_str(), to)) {
            return Must::Refuse;
        }
        let mut demand = Delta::new();
        let mut must = Must::Accept;
        for l in &c.lines {
            let key = self.key(l.sku.as_str(), c.from.as_str(), l.lot.as_ref(), None);
            let units = self.units(l.sku.as_str(), l.quantity, l.unit.as_ref());
            add(&mut demand, key.clone(), units);
            match self.leaves(&key, units, l.serials.as_deref(), false) {
                Must::Refuse => return Must::Refuse,
                Must::Lack => must = Must::Lack,
                Must::Accept | Must::Either => {}
            }
        }
        // The same serial, or one place's stock, may be asked for twice.
        let is_twice = demand.len() < c.lines.len() || demand.keys().any(|k| demand.keys().any(|o| o.0 == k.0 && o.2 != k.2));
        match must {
            Must::Accept if is_twice => Must::Either,
            Must::Lack if is_twice => Must::Refuse,
            _as_it_is => must,
        }
    }

    fn must_build(&self, kit: &str, at: &str, is_enough: impl Fn(&Self, &str, i64) -> bool, is_there: bool) -> Must {
        let thing = self.thing(kit);
        let all = || thing.parts.iter().map(|(part, n)| (part.as_str(), *n)).chain([(kit, 0)]);
        if thing.parts.is_empty() || all().any(|(sku, _)| !self.in_use(sku, at) || self.thing(sku).tracking != Tracking::None) {
            return Must::Refuse;
        }
        let is_enough = thing.parts.iter().all(|(part, n)| is_enough(self, part, *n));
        if is_enough && is_there { Must::Accept } else { Must::Lack }
    }

    fn must_reserve(&self, c: &crate::domain::reservation::command::Reserve) -> Must {
        if self.holds.contains_key(c.id.as_ref().unwrap().as_str()) {
            return Must::Refuse;
        }
        if c.replace_own == Some(true) {
            let Some(owner) = &c.owner else { return Must::Refuse };
            let mut without = self.clone();
            for id in self.owned(owner.as_str()) {
                without.holds.remove(&id);
            }
            let plain = crate::domain::reservation::command::Reserve { replace_own: None, ..c.clone() };
            return without.must_reserve(&plain);
        }
        if c.allow_partial == Some(true) || !matches!(c.strategy, None | Some(Allocation::Given)) {
            return Must::Either;
        }
        let mut demand: BTreeMap<At, i64> = BTreeMap::new();
        for l in &c.lines {
            let Some(place) = &l.location else { return Must::Refuse };
            let is_lot = self.thing(l.sku.as_str()).tracking == Tracking::Lot;
            if !self.in_use(l.sku.as_str(), place.as_str()) || (l.lot.is_some() && !is_lot) {
                return Must::Refuse;
            }
        }
        let wanted = self.wanted(c);
        for (_, sku, units, place, _) in &wanted {
            let place = place.clone().unwrap();
            if self.thing(sku).tracking == Tracking::Lot || self.thing(sku).retired || !self.is_leaf(&place) {
                return Must::Either;
            }
            *demand.entry((sku.clone(), place)).or_default() += units;
        }
        let covers = |((sku, place), units): (&At, &i64)| {
            let missing = units - self.promisable(sku, place).min(*units);
            let (backorder, limit, _) = self.policy(sku, place);
            match backorder {
                _none if missing == 0 => true,
                Backorder::Forbid => false,
                Backorder::Limited => missing <= limit - self.waiting(sku, place),
                Backorder::Allow => true,
            }
        };
        if demand.iter().all(covers) { Must::Accept } else { Must::Lack }
    }

    fn must_change(&self, id: &str, lines: &[crate::domain::reservation::command::LineQuantity], may_grow: bool) -> Must {
        let Some(hold) = self.live(id) else { return Must::Refuse };
        if lines.iter().any(|l| hold.lines.len() <= l.line as usize) {
            return Must::Refuse;
        }
        let [one] = lines else { return Must::Either };
        let l = &hold.lines[one.line as usize];
        let more = self.units(&l.sku, one.quantity, None) - l.quantity;
        let thing = self.thing(&l.sku);
        match () {
            () if more <= 0 => Must::Accept,
            () if !may_grow => Must::Refuse,
            () if thing.retired || self.spots[&l.place].retired => Must::Either,
            // Nothing says of which lot more is held.
            () if thing.tracking == Tracking::Lot && l.lot.is_none() => Must::Refuse,
            () => {
                let key = (l.sku.clone(), l.place.clone(), l.lot.clone(), StockStatus::Sellable);
                if more <= self.promisable(&l.sku, &l.place).min(self.free_of(&key)) { Must::Accept } else { Must::Lack }
            }
        }
    }

    /// What is held firmly can always be shipped.
    fn must_commit(&self, c: &crate::domain::reservation::command::CommitReservation) -> Must {
        let Some(hold) = self.live(c.id.as_str()) else { return Must::Refuse };
        let mut seen = BTreeSet::new();
        for s in c.lines.iter().flatten() {
            if hold.lines.get(s.line as usize).is_none_or(|l| l.quantity == 0) || !seen.insert(s.line) {
                return Must::Refuse;
            }
        }
        let parts = self.parts(hold, c);
        for (line, units) in parts {
            let l = &hold.lines[line];
            let key = (l.sku.clone(), l.place.clone(), l.lot.clone(), StockStatus::Sellable);
            if units > l.firm() || self.is_expired(&key) {
                return Must::Refuse;
            }
            if self.thing(&l.sku).tracking == Tracking::Serial {
                return Must::Either;
            }
        }
        Must::Accept
    }
}

/// Facts into the model.
impl Model {
    fn take_in(&mut self, action: &Action, events: &[Recorded]) {
        let intent = self.intent(action);
        let mut delta = Delta::new();
        for recorded in events {
            self.record(recorded, &mut delta);
        }
        assert_eq!(without_zeros(&delta), without_zeros(&intent), "quantities moved, and asked to move, by {action:?}");
        self.follow(action, events);
        let mut filled = Vec::new();
        for recorded in events {
            if let Event::ReservationFilled(e) = &recorded.fact.event {
                self.fill(e.id.as_str(), &e.lines, &mut filled);
            }
        }
        for (sku, place, rank) in filled {
            // Who stands in front is filled first.
            let passed = self.lines(&sku, &place).find(|(h, l)| h.rank < rank && l.waiting > 0);
            assert!(passed.is_none(), "{sku} at {place}: {passed:?} still waits in front of what was filled");
        }
    }

    fn record(&mut self, recorded: &Recorded, delta: &mut Delta) {
        let event = &recorded.fact.event;
        self.position += 1;
        assert_eq!(recorded.position, self.position, "positions have no gaps");
        assert_eq!(recorded.recorded_at, self.now);
        let stream = self.streams.entry(event.subject().to_string()).or_insert((self.position, 0));
        stream.1 += 1;
        assert_eq!((recorded.stream, recorded.stream_version), *stream, "stream versions have no gaps");
        let mut balance = 0_i128;
        for (posting, _) in event.postings() {
            let amount = i128::from(posting.amount);
            assert_ne!(amount, 0, "a posting of nothing in {event:?}");
            balance += amount;
            let code = posting.account.to_string();
            assert!(!self.retired_accounts.contains(&code), "a retired account is posted to by {event:?}");
            let account = self.accounts.entry(code).or_default();
            if amount > 0 { account.0 += amount } else { account.1 -= amount }
        }
        assert_eq!(balance, 0, "debits are credits in {event:?}");
        let (mut units, mut value) = (0, 0);
        for m in event.movements() {
            units += m.quantity;
            value += m.value;
            self.moves(m, recorded.effective_at(), delta);
        }
        if event.conserves() {
            assert_eq!(units, 0, "{event:?} conserves quantity");
        }
        if matches!(event, Event::StockTransferred(_) | Event::StockStatusChanged(_) | Event::TransferDispatched(_)) {
            assert_eq!(value, 0, "{event:?} carries its value along");
        }
        self.catalogue(event);
    }

    fn moves(&mut self, m: &Movement, effective_at: Timestamp, delta: &mut Delta) {
        *self.values.entry(m.sku.to_string()).or_default() += i128::from(m.value);
        if m.quantity == 0 {
            return;
        }
        let (sku, place) = (m.sku.to_string(), m.location.to_string());
        let key = (sku.clone(), place.clone(), text(m.lot()), m.status());
        if let Some(lot) = &key.2 {
            let expires_at = m.detail.as_ref().and_then(|d| d.lot_expires_at);
            self.expiries.entry((sku.clone(), lot.clone())).or_insert(expires_at);
        }
        let tracking = self.thing(&sku).tracking;
        assert_eq!(key.2.is_some(), tracking == Tracking::Lot, "{m:?}");
        assert_eq!(!m.serials().is_empty(), tracking == Tracking::Serial, "{m:?}");
        for serial in m.serials() {
            let unit = (sku.clone(), serial.to_string());
            let here = (place.clone(), m.status());
            let was = if m.quantity > 0 { self.serials.insert(unit, here.clone()) } else { self.serials.remove(&unit) };
            assert_eq!(was, (m.quantity < 0).then_some(here), "{m:?}");
        }
        add(&mut self.stock, key.clone(), m.quantity);
        add(delta, key.clone(), m.quantity);
        self.moved.push((effective_at, key, m.quantity));
    }

    fn catalogue(&mut self, event: &Event) {
        match event {
            Event::ItemDefined(d) | Event::ItemChanged(d) => {
                let parts = d.components().iter().map(|c| (c.sku.to_string(), c.quantity.units_at(0).unwrap()));
                let thing = Thing {
                    scale: d.scale,
                    method: d.method,
                    negative: d.negative_stock,
                    tracking: d.tracking(),
                    pool: d.pool(),
                    retired: d.retired,
                    class: d.posting_class.to_string(),
                    cost: d.standard_cost,
                    parts: parts.collect(),
                };
                self.things.insert(d.sku.to_string(), thing);
            }
            Event::StandardCostChanged(e) => {
                self.things.get_mut(e.sku.as_str()).unwrap().cost = Some(e.standard_cost);
            }
            Event::LocationDefined(d) | Event::LocationChanged(d) => {
                let spot = Spot { kind: d.kind, retired: d.retired, parent: text(d.parent.as_ref()) };
                self.spots.insert(d.code.to_string(), spot);
            }
            Event::AccountOpened(d) | Event::AccountChanged(d) => {
                let code = d.code.to_string();
                if d.retired {
                    self.retired_accounts.insert(code)
                } else {
                    self.retired_accounts.remove(&code)
                };
            }
            Event::StockPolicyDefined(e) => {
                let policy = (e.backorder, e.backorder_limit, e.safety_stock);
                self.policies.insert((e.sku.to_string(), e.location.to_string()), policy);
            }
            _no_definition => {}
        }
    }

    /// What a command does to documents and holds.
    fn follow(&mut self, action: &Action, events: &[Recorded]) {
        match action {
            Action::Receive(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                if let Some(id) = &c.expectation {
                    let expected = self.expected.get_mut(id.as_str()).unwrap();
                    expected.2 -= units.min(expected.2);
                }
            }
            Action::Expect(c) => {
                let units = self.units(c.sku.as_str(), c.quantity, c.unit.as_ref());
                let expected = (c.sku.to_string(), c.location.to_string(), units);
                self.expected.insert(c.id.as_ref().unwrap().to_string(), expected);
            }
            Action::CancelExpectation(c) => self.expected.get_mut(c.id.as_str()).unwrap().2 = 0,
            Action::DispatchTransfer(c) => {
                let line = |l: &crate::domain::transfer::command::DispatchLine| {
                    (l.sku.to_string(), text(l.lot.as_ref()), self.units(l.sku.as_str(), l.quantity, l.unit.as_ref()))
                };
                let lines = c.lines.iter().map(line).collect();
                let via = c.via.as_ref().unwrap().to_string();
                let trip = Trip { from: c.from.to_string(), to: c.to.to_string(), via, open: true, lines };
                self.trips.insert(c.id.to_string(), trip);
            }
            Action::ReceiveTransfer(c) => {
                let arrivals = self.arrivals(&self.trips[c.id.as_str()], c);
                let trip = self.trips.get_mut(c.id.as_str()).unwrap();
                for (line, [good, damaged, short, _]) in &arrivals {
                    trip.lines[*line as usize].2 -= good + damaged + short;
                }
                trip.open = trip.lines.iter().any(|l| l.2 > 0);
                let Event::TransferReceived(e) = &events[0].fact.event else { panic!("{events:?}") };
                let said: BTreeMap<u32, _> = e.arrivals.iter().map(|a| (a.line, [a.good, a.damaged, a.short, a.over])).collect();
                assert_eq!(said, arrivals);
                assert_eq!(e.is_final, !trip.open);
            }
            Action::CancelTransfer(c) => {
                let trip = self.trips.get_mut(c.id.as_str()).unwrap();
                (trip.open, trip.lines) = (false, Vec::new());
            }
            Action::OpenCount(c) => {
                let tally = Tally { open: true, at: c.location.to_string(), opened_at: self.now, differences: BTreeMap::new() };
                self.tallies.insert(c.id.as_ref().unwrap().to_string(), tally);
            }
            Action::RecordCount(c) => self.counted(c.id.as_str(), events),
            Action::PostCount(c) => self.tallies.get_mut(c.id.as_str()).unwrap().open = false,
            Action::CancelCount(c) => self.tallies.get_mut(c.id.as_str()).unwrap().open = false,
            Action::DefineAccount(_) | Action::DefineItem(_) => {}
            _of_a_hold => self.follow_hold(action, events),
        }
    }

    fn counted(&mut self, id: &str, events: &[Recorded]) {
        let Event::CountRecorded(e) = &events[0].fact.event else { panic!("{events:?}") };
        let tally = &self.tallies[id];
        assert!(tally.opened_at <= e.counted_at && e.counted_at <= self.now);
        let mut differences = tally.differences.clone();
        for l in &e.lines {
            assert!(self.is_within(l.location.as_str(), &tally.at));
            let key = self.key(l.sku.as_str(), l.location.as_str(), l.lot.as_ref(), Some(l.status));
            let upto = self.moved.iter().filter(|(at, moved, _)| *moved == key && *at <= e.counted_at);
            assert_eq!(l.expected, upto.map(|(_, _, n)| n).sum::<i64>(), "on hand as of the moment counted: {l:?}");
            differences.insert(key, l.counted - l.expected);
        }
        self.tallies.get_mut(id).unwrap().differences = differences;
    }

    fn follow_hold(&mut self, action: &Action, events: &[Recorded]) {
        let now = self.now;
        match action {
            Action::Reserve(c) => self.opened(c, events),
            Action::ExtendReservation(c) => {
                self.holds.get_mut(c.id.as_str()).unwrap().expires_at = now.plus_seconds(i64::from(c.ttl_seconds));
            }
            Action::ConfirmReservation(c) => self.holds.get_mut(c.id.as_str()).unwrap().allocated = true,
            Action::ReleaseReservation(c) => self.holds.get_mut(c.id.as_str()).unwrap().open = false,
            Action::ExpireReservation(c) => {
                let hold = self.holds.get_mut(c.id.as_str()).unwrap();
                assert_eq!(!events.is_empty(), hold.open && !hold.allocated);
                hold.open &= hold.allocated;
            }
            Action::ChangeReservation(c) => self.changed(c.id.as_str(), &c.lines),
            Action::ReduceReservation(c) => self.changed(c.id.as_str(), &c.lines),
            Action::MoveReservation(c) => {
                let line = &mut self.holds.get_mut(c.id.as_str()).unwrap().lines[c.line as usize];
                (line.place, line.lot, line.waiting) = (c.to.to_string(), text(c.lot.as_ref()), 0);
            }
            Action::CommitReservation(c) => {
                let parts = self.parts(&self.holds[c.id.as_str()], c);
                let hold = self.holds.get_mut(c.id.as_str()).unwrap();
                for (line, units) in parts {
                    let l = &mut hold.lines[line];
                    l.quantity -= units;
                    assert!(l.waiting <= l.quantity, "what waits is not shipped: {l:?}");
                }
                hold.open = hold.lines.iter().any(|l| l.quantity > 0);
            }
            _holds_nothing => {}
        }
    }

    fn changed(&mut self, id: &str, lines: &[crate::domain::reservation::command::LineQuantity]) {
        for wanted in lines {
            let sku = self.holds[id].lines[wanted.line as usize].sku.clone();
            let quantity = self.units(&sku, wanted.quantity, None);
            let l = &mut self.holds.get_mut(id).unwrap().lines[wanted.line as usize];
            // What waits is given up first.
            l.waiting = (l.waiting - (l.quantity - quantity).max(0)).max(0);
            l.quantity = quantity;
        }
        let hold = self.holds.get_mut(id).unwrap();
        hold.open = hold.lines.iter().any(|l| l.quantity > 0);
    }

    fn opened(&mut self, c: &crate::domain::reservation::command::Reserve, events: &[Recorded]) {
        let mut released = BTreeSet::new();
        let mut opened = None;
        for recorded in events {
            match &recorded.fact.event {
                Event::ReservationReleased(e) => {
                    released.insert(e.id.to_string());
                }
                Event::ReservationOpened(e) => opened = Some((recorded.position, e)),
                _a_fill => {}
            }
        }
        let owner = text(c.owner.as_ref());
        let replaced = owner.as_deref().filter(|_| c.replace_own == Some(true)).map(|o| self.owned(o)).unwrap_or_default();
        assert_eq!(released, replaced);
        for id in &released {
            self.holds.get_mut(id).unwrap().open = false;
        }
        let (position, e) = opened.unwrap();
        let lines: Vec<Held> = e.lines.iter().map(Held::of).collect();
        self.must_be_what_was_wanted(c, &lines);
        if let Some(choice) = &e.choice {
            let mut derived: BTreeMap<(String, String, Option<String>), i64> = BTreeMap::new();
            for (sku, at, units) in choice.derive().expect("the recorded choice can be derived again") {
                *derived.entry((sku.to_string(), at.location.to_string(), text(at.lot.as_ref()))).or_default() += units;
            }
            let mut firm = BTreeMap::new();
            for l in lines.iter().filter(|l| l.firm() > 0) {
                *firm.entry((l.sku.clone(), l.place.clone(), l.lot.clone())).or_default() += l.firm();
            }
            assert_eq!(derived, firm, "an allocation holds what its recorded choice says");
        }
        let rank = (Reverse(c.priority.unwrap_or(0)), position);
        let expires_at = self.now.plus_seconds(i64::from(c.ttl_seconds));
        assert_eq!(e.expires_at, expires_at);
        let hold = Hold { lines, expires_at, allocated: false, open: true, owner, rank };
        self.holds.insert(e.id.to_string(), hold.clone());
        for l in hold.lines.iter().filter(|l| l.waiting > 0) {
            let (backorder, limit, _) = self.policy(&l.sku, &l.place);
            let waiting = self.waiting(&l.sku, &l.place);
            match backorder {
                Backorder::Forbid => panic!("{l:?} waits where nobody may"),
                Backorder::Limited => assert!(waiting <= limit, "{l:?}: {waiting} wait, the limit is {limit}"),
                Backorder::Allow => {}
            }
        }
    }

    /// Of each item what was asked for, or less where a part will do; where and of the lot that was asked for.
    fn must_be_what_was_wanted(&self, c: &crate::domain::reservation::command::Reserve, lines: &[Held]) {
        let wanted = self.wanted(c);
        let mut units: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, sku, n, _, _) in &wanted {
            *units.entry(sku).or_default() += n;
        }
        for (sku, n) in units {
            let held: i64 = lines.iter().filter(|l| l.sku == sku).map(|l| l.quantity).sum();
            let is_right = if c.allow_partial == Some(true) { held <= n } else { held == n };
            assert!(is_right, "{held} of {n} {sku} held");
        }
        for l in lines {
            assert!(l.quantity > 0 && l.waiting >= 0 && l.waiting <= l.quantity, "{l:?}");
            let fits = wanted.iter().any(|(_, sku, _, place, lot)| {
                let inside = place.as_ref().is_none_or(|outer| self.is_within(&l.place, outer));
                *sku == l.sku && inside && (lot.is_none() || *lot == l.lot)
            });
            assert!(fits, "{l:?} is not what was asked for");
        }
    }

    fn fill(&mut self, id: &str, lines: &[HeldLine], filled: &mut Vec<Filled>) {
        let hold = self.holds.get_mut(id).unwrap();
        let new: Vec<Held> = lines.iter().map(Held::of).collect();
        let sums = |lines: &[Held]| {
            let mut sums: BTreeMap<At, (i64, i64)> = BTreeMap::new();
            for l in lines {
                let sum = sums.entry((l.sku.clone(), l.place.clone())).or_default();
                *sum = (sum.0 + l.quantity, sum.1 + l.waiting);
            }
            sums
        };
        let (before, after) = (sums(&hold.lines), sums(&new));
        assert_eq!(before.len(), after.len());
        for ((at, (held, waited)), (still_held, waits)) in before.into_iter().zip(after.into_values()) {
            assert_eq!(held, still_held, "a fill changes only what waits");
            assert!(waits <= waited);
            if waits < waited {
                filled.push((at.0, at.1, hold.rank));
            }
        }
        hold.lines = new;
    }
}

/// Commands of steps.
impl Model {
    /// Item, place, quantity and what the item's tracking wants to know. Serials that are named here are not named again.
    fn named(&self, g: &Goods, is_incoming: bool, used: &mut BTreeSet<String>) -> Value {
        let (sku, place) = (ITEMS[g.item], PLACES[g.at]);
        let thing = self.thing(sku);
        let units = if thing.tracking == Tracking::Serial { g.units.min(3) } else { g.units };
        let mut named = json!({"sku": sku, "location": place, "quantity": shown(units, thing.scale)});
        match thing.tracking {
            Tracking::None if g.boxed && sku == "FIFO" => named["unit"] = "box".into(),
            Tracking::None => {}
            Tracking::Lot => {
                named["lot"] = LOTS[g.lot].into();
            }
            Tracking::Serial => named["serials"] = self.fitting(sku, place, g, units, is_incoming, used).into(),
        }
        if !g.status.is_sellable() {
            named["status"] = g.status.as_str().into();
        }
        named
    }

    /// One of the places, lots and statuses that the item is at, and no more than is free there.
    fn fitted(&self, g: &Goods) -> Goods {
        let there: Vec<&Key> =
            self.stock.iter().filter(|(key, n)| key.0 == ITEMS[g.item] && **n > 0).map(|(key, _)| key).collect();
        if !g.fits || there.is_empty() {
            return Goods { fits: false, ..g.clone() };
        }
        let key = there[(g.at + g.lot) % there.len()];
        let at = PLACES.iter().position(|p| *p == key.1).unwrap();
        let lot = key.2.as_ref().and_then(|lot| LOTS.iter().position(|l| l == lot)).unwrap_or(g.lot);
        let units = g.units.min(self.free_of(key)).max(1);
        Goods { at, lot, units, status: key.3, boxed: false, ..g.clone() }
    }

    fn fitting(
        &self,
        sku: &str,
        place: &str,
        g: &Goods,
        units: i64,
        is_incoming: bool,
        used: &mut BTreeSet<String>,
    ) -> Vec<String> {
        let fits = |serial: &String| {
            let at = self.serials.get(&(sku.to_owned(), serial.clone()));
            let is_right = if is_incoming { at.is_none() } else { at == Some(&(place.to_owned(), g.status)) };
            is_right && !used.contains(serial)
        };
        let all = (0..9).map(|n| format!("S{n}"));
        let mut fitting: Vec<String> = all.collect();
        fitting.sort_by_key(|serial| fits(serial) == g.stray);
        fitting.truncate(usize::try_from(units).unwrap());
        used.extend(fitting.iter().cloned());
        fitting
    }

    /// The `k`-th newest event with such a movement of an item: its position and the movement's place in it.
    fn earlier(&self, book: &Book, k: usize, is_right: impl Fn(&Movement) -> bool) -> Option<(Position, usize)> {
        let newest = book.log.iter().rev();
        newest.filter_map(|r| Some((r.position, r.fact.event.movements().position(&is_right)?))).nth(k)
    }

    fn resolve(&self, book: &Book, step: &Step) -> Option<Action> {
        let mut json = self.json(book, &step.what)?;
        if let Value::String(expired) = &json {
            let id = expired.parse().unwrap();
            return Some(Action::ExpireReservation(ExpireReservation { id, ..ExpireReservation::default() }));
        }
        if let Some(ago) = step.ago {
            json["effective_at"] = self.now.plus_seconds(-ago).to_string().into();
        }
        if let What::Item(item, change) = &step.what {
            return Some(self.redefined(ITEMS[*item], change));
        }
        Some(action(json))
    }

    fn json(&self, book: &Book, what: &What) -> Option<Value> {
        let typed = |of: &str, mut json: Value| {
            json["type"] = of.into();
            json
        };
        let none = &mut BTreeSet::new();
        let money = |n: i64| shown(n, 2);
        let of_sku = |sku: &'static str, incoming: bool| {
            move |m: &Movement| m.sku.as_str() == sku && if incoming { m.quantity > 0 } else { m.quantity < 0 }
        };
        Some(match what {
            What::Receive(g, cost, expectation) => {
                let (mut g, mut id) = (g.clone(), None);
                // Mostly what is expected comes.
                if let Some(e) = expectation.map(|back| one_of(&self.expected, |e| e.2 > 0, "E", back)) {
                    if let Some((sku, place, _)) = self.expected.get(&e) {
                        g.item = ITEMS.iter().position(|i| i == sku).unwrap();
                        g.at = PLACES.iter().position(|p| p == place).unwrap();
                    }
                    id = Some(e);
                }
                let mut json = typed("receive", self.named(&g, true, none));
                let thing = self.thing(ITEMS[g.item]);
                if thing.method != ValuationMethod::Standard || cost % 2 == 0 {
                    json["total_cost"] = money(*cost).into();
                }
                let lot_life = LOT_LIVES[g.lot].filter(|_| thing.tracking == Tracking::Lot);
                if let Some(life) = lot_life {
                    let at = START.plus_seconds(life + i64::from(g.stray));
                    json["lot_expires_at"] = at.to_string().into();
                }
                if let Some(id) = id {
                    json["expectation"] = id.into();
                }
                json
            }
            What::Issue(g, stated) => {
                let g = &self.fitted(g);
                let mut json = typed("issue", self.named(g, false, none));
                if let Some(stated) = stated {
                    json["stated_cost"] = money(*stated).into();
                }
                json
            }
            What::Return(g, original) => {
                let mut json = typed("return", self.named(g, true, none));
                if let Some(k) = original {
                    let (position, line) = self.earlier(book, *k, of_sku(ITEMS[g.item], false))?;
                    json["original"] = position.into();
                    json["line"] = line.into();
                    self.as_it_left(book, position, line, &mut json, g.stray);
                }
                json
            }
            What::ToSupplier(g, receipt) => {
                let g = &self.fitted(g);
                let mut json = typed("return_to_supplier", self.named(g, false, none));
                if let Some(k) = receipt {
                    let (position, line) = self.earlier(book, *k, of_sku(ITEMS[g.item], true))?;
                    json["receipt"] = position.into();
                    json["line"] = line.into();
                }
                json
            }
            What::Adjust(g, is_found, cost) => {
                let g = &if *is_found { g.clone() } else { self.fitted(g) };
                let mut json = typed("adjust", self.named(g, *is_found, none));
                let units = json["quantity"].as_str().unwrap().to_owned();
                json.as_object_mut().unwrap().remove("quantity");
                json["difference"] = if *is_found { units.into() } else { format!("-{units}").into() };
                json["reason"] = "FOUND".into();
                if let Some(cost) = cost.filter(|_| *is_found) {
                    json["total_cost"] = money(cost).into();
                }
                json
            }
            What::ChangeStatus(g, to) => {
                let g = &self.fitted(g);
                let mut json = typed("change_status", self.named(g, false, none));
                json.as_object_mut().unwrap().remove("status");
                json["from"] = g.status.as_str().into();
                json["to"] = to.as_str().into();
                json
            }
            What::Scrap(g) => {
                let g = &self.fitted(g);
                let mut json = typed("scrap", self.named(g, false, none));
                json["reason"] = "BROKEN".into();
                json
            }
            What::Transfer(g, to) => {
                let g = &self.fitted(g);
                let mut json = typed("transfer", self.named(g, false, none));
                json.as_object_mut().unwrap().remove("location");
                json["from"] = PLACES[g.at].into();
                json["to"] = PLACES[*to].into();
                json
            }
            What::Dispatch(id, from, to, lines) => {
                let mut used = BTreeSet::new();
                let lines: Vec<Goods> = lines.iter().map(|g| self.fitted(g)).collect();
                let from = &lines.first().filter(|g| g.fits).map_or(*from, |g| g.at);
                let line = |g: &Goods| {
                    let mut line = self.named(&Goods { at: *from, status: StockStatus::Sellable, ..g.clone() }, false, &mut used);
                    line.as_object_mut().unwrap().remove("location");
                    line
                };
                let lines: Vec<Value> = lines.iter().map(line).collect();
                let (from, to) = (PLACES[*from], PLACES[*to]);
                json!({"type": "dispatch_transfer", "id": format!("T{id}"), "from": from, "to": to, "via": "T", "lines": lines})
            }
            What::Arrive(id, lines, is_final) => {
                let id = one_of(&self.trips, |t| t.open, "T", *id);
                let mut json = json!({"type": "receive_transfer", "id": id, "is_final": is_final});
                if let (Some(lines), Some(trip)) = (lines, self.trips.get(&id)) {
                    let mut seen = BTreeSet::new();
                    let fresh = lines.iter().filter(|(line, _, _)| seen.insert(*line));
                    json["lines"] = fresh.map(|l| self.arriving(trip, l)).collect();
                }
                json
            }
            What::CancelTransfer(id) => json!({"type": "cancel_transfer", "id": one_of(&self.trips, |t| t.open, "T", *id)}),
            What::OpenCount(id, at) => json!({"type": "open_count", "id": format!("C{id}"), "location": PLACES[*at]}),
            What::Count(id, lines) => {
                let id = one_of(&self.tallies, |t| t.open, "C", *id);
                let inside = self.tallies.get(&id).map(|t| t.at.clone());
                let line = |(g, counted): &(Goods, i64)| {
                    let thing = self.thing(ITEMS[g.item]);
                    let place = if g.boxed { Some(PLACES[g.at].to_owned()) } else { inside.clone() };
                    let lot = (thing.tracking == Tracking::Lot).then_some(LOTS[g.lot]);
                    let mut line =
                        json!({"sku": ITEMS[g.item], "counted": shown(*counted, thing.scale), "status": g.status.as_str()});
                    if let Some(place) = place {
                        line["location"] = place.into();
                    }
                    if let Some(lot) = lot {
                        line["lot"] = lot.into();
                    }
                    line
                };
                let lines: Vec<Value> = lines.iter().filter(|(g, _)| ITEMS[g.item] != "SERIAL").map(line).collect();
                json!({"type": "record_count", "id": id, "lines": lines})
            }
            What::PostCount(id) => json!({"type": "post_count", "id": one_of(&self.tallies, |t| t.open, "C", *id)}),
            What::CancelCount(id) => json!({"type": "cancel_count", "id": one_of(&self.tallies, |t| t.open, "C", *id)}),
            What::Kit(builds, at, n) => {
                let verb = if *builds { "assemble" } else { "disassemble" };
                json!({"type": verb, "sku": "KIT", "location": PLACES[*at], "quantity": n.to_string()})
            }
            What::Expect(id, g) => {
                let (sku, at) = (ITEMS[g.item], PLACES[g.at]);
                let (quantity, due) = (shown(g.units, self.thing(sku).scale), self.now.plus_seconds(100).to_string());
                json!({"type": "expect", "id": format!("E{id}"), "sku": sku, "location": at, "quantity": quantity, "due_at": due})
            }
            What::CancelExpected(id) => {
                json!({"type": "cancel_expectation", "id": one_of(&self.expected, |e| e.2 > 0, "E", *id)})
            }
            What::Reserve(r) => self.reserve(r),
            What::Hold(id, verb) => {
                // Only what has lapsed expires.
                let is_right = |h: &Hold| h.open && self.is_live(h) != matches!(verb, Verb::Expire);
                self.held(&one_of(&self.holds, is_right, "R", *id), verb)
            }
            What::Revalue(item, at, how) => {
                let mut json = json!({"type": "revalue", "sku": ITEMS[*item], "location": PLACES[*at]});
                let (field, n) = match how {
                    Revaluation::By(n) => ("value_change", n),
                    Revaluation::Standard(n) => ("standard_cost", n),
                    Revaluation::Worth(n) => ("net_realisable_value", n),
                };
                json[field] = money(*n).into();
                json
            }
            What::AddCost(k, amount, is_price) => {
                let (receipt, line) = self.earlier(book, *k, |m| m.quantity > 0)?;
                let kind = if *is_price { "price_difference" } else { "landed_cost" };
                json!({"type": "add_cost", "receipt": receipt, "line": line, "amount": money(*amount), "kind": kind})
            }
            What::Entry(id, debit, credit, n) => {
                let (debit, credit) = (ACCOUNTS[*debit], ACCOUNTS[*credit]);
                json!({"type": "post_entry", "id": format!("J{id}"), "postings": [
                    {"account": debit, "debit": money(*n)}, {"account": credit, "credit": money(*n)}]})
            }
            What::Reverse(id) => json!({"type": "reverse_entry", "id": format!("J{}", id % 4)}),
            What::Item(..) => json!({}),
            What::Policy(g, backorder, limit, safety) => {
                let scale = self.thing(ITEMS[g.item]).scale;
                json!({"type": "define_stock_policy", "sku": ITEMS[g.item], "location": PLACES[g.at], "backorder": backorder,
                    "backorder_limit": shown(*limit, scale), "safety_stock": shown(*safety, scale)})
            }
            What::Location(at, shift) => {
                let mut spot = self.spots[PLACES[*at]].clone();
                match shift {
                    Shift::Retired(retired) => spot.retired = *retired,
                    Shift::Parent(parent) => spot.parent = parent.map(|p| PLACES[p].to_owned()),
                    Shift::Kind(kind) => spot.kind = *kind,
                }
                location(*at, &spot)
            }
            What::Account(at, retired) => {
                let kind = if *at < 2 { "asset" } else { "expense" };
                json!({"type": "define_account", "code": ACCOUNTS[*at], "account_type": kind, "retired": retired})
            }
            What::Rule(at) => {
                let (movement, class, account) = RULES[*at];
                json!({"type": "define_posting_rule", "movement": movement, "class": class, "account": account})
            }
        })
    }

    /// What comes back is what left: its lot and its serials, unless it is a stray.
    fn as_it_left(&self, book: &Book, position: Position, line: usize, json: &mut Value, is_stray: bool) {
        let event = &book.log[usize::try_from(position).unwrap() - 1].fact.event;
        let movement = event.movements().nth(line).unwrap();
        if is_stray {
            return;
        }
        if let Some(lot) = movement.lot().filter(|_| json.get("lot").is_some()) {
            json["lot"] = lot.as_str().into();
        }
        let wanted = json.get("serials").map_or(0, |s| s.as_array().unwrap().len());
        if wanted > 0 && !movement.serials().is_empty() {
            let serials: Vec<&str> = movement.serials().iter().rev().take(wanted).map(Serial::as_str).collect();
            json["quantity"] = serials.len().to_string().into();
            json["serials"] = serials.into();
        }
    }

    fn arriving(&self, trip: &Trip, (line, good, damaged): &(u32, i64, i64)) -> Value {
        let Some((sku, _, sent)) = trip.lines.get(*line as usize) else {
            return json!({"line": line, "quantity": "1"});
        };
        let thing = self.thing(sku);
        if thing.tracking != Tracking::Serial {
            return json!({"line": line, "quantity": shown(*good, thing.scale), "damaged": shown(*damaged, thing.scale)});
        }
        let good = (*good).min(*sent);
        let damaged = (*damaged).min(sent - good);
        let under_way = self.serials.iter().filter(|((s, _), (at, _))| s == sku && *at == trip.via).map(|((_, n), _)| n.clone());
        let mut under_way = under_way.collect::<Vec<_>>().into_iter();
        let mut take = |n: i64| under_way.by_ref().take(usize::try_from(n).unwrap()).collect::<Vec<_>>();
        let (first, second) = (take(good), take(damaged));
        json!({"line": line, "quantity": good.to_string(), "damaged": damaged.to_string(), "serials": first, "damaged_serials": second})
    }

    fn reserve(&self, r: &Reserving) -> Value {
        let line = |w: &Want| {
            let thing = self.thing(ITEMS[w.goods.item]);
            let mut line = json!({"sku": ITEMS[w.goods.item], "quantity": shown(w.goods.units, thing.scale)});
            if w.is_placed {
                line["location"] = PLACES[w.goods.at].into();
            }
            if w.has_lot && thing.tracking == Tracking::Lot {
                line["lot"] = LOTS[w.goods.lot].into();
            }
            line
        };
        let lines: Vec<Value> = r.wants.iter().map(line).collect();
        let mut json = json!({"type": "reserve", "id": format!("R{}", r.id), "ttl_seconds": r.ttl, "lines": lines,
            "allow_partial": r.partial, "priority": r.priority});
        if let Some(owner) = r.owner {
            json["owner"] = format!("owner {owner}").into();
            json["replace_own"] = r.replaces.into();
        }
        if let Some(strategy) = r.strategy {
            json["strategy"] = serde_json::to_value(strategy).unwrap();
        }
        if r.strategy == Some(Allocation::PriorityList) {
            json["locations"] = r.listed.iter().map(|at| PLACES[*at]).collect();
        }
        if r.strategy == Some(Allocation::Nearest) {
            json["near"] = PLACES[r.near].into();
        }
        json
    }

    fn held(&self, id: &str, verb: &Verb) -> Value {
        let none = Vec::new();
        let lines = self.holds.get(id).map_or(&none, |h| &h.lines);
        let scale = |line: u32| lines.get(line as usize).map_or(0, |l| self.thing(&l.sku).scale);
        let quantities = |said: &[(u32, i64)]| -> Vec<Value> {
            said.iter().map(|(line, n)| json!({"line": line, "quantity": shown(*n, scale(*line))})).collect()
        };
        match verb {
            Verb::Extend(ttl) => json!({"type": "extend_reservation", "id": id, "ttl_seconds": ttl}),
            Verb::Change(said) => json!({"type": "change_reservation", "id": id, "lines": quantities(said)}),
            Verb::Reduce(said) => json!({"type": "reduce_reservation", "id": id, "lines": quantities(said)}),
            Verb::Move(line, to, lot) => {
                let mut json = json!({"type": "move_reservation", "id": id, "line": line, "to": PLACES[*to]});
                if lines.get(*line as usize).is_some_and(|l| self.thing(&l.sku).tracking == Tracking::Lot) {
                    json["lot"] = LOTS[*lot].into();
                }
                json
            }
            Verb::Confirm => json!({"type": "confirm_reservation", "id": id}),
            Verb::Commit(said) => {
                let is_serial = |l: &Held| self.thing(&l.sku).tracking == Tracking::Serial;
                let all = || (0_u32..).zip(lines).filter(|(_, l)| l.quantity > 0).map(|(at, _)| (at, None)).collect();
                let said = if lines.iter().any(is_serial) && said.is_none() { Some(all()) } else { said.clone() };
                let mut used = BTreeSet::new();
                let part = |(line, n): &(u32, Option<i64>)| {
                    let mut part = json!({"line": line});
                    if let Some(n) = n {
                        part["quantity"] = shown(*n, scale(*line)).into();
                    }
                    if let Some(l) = lines.get(*line as usize).filter(|l| is_serial(l)) {
                        let g = Goods {
                            item: 0,
                            at: 0,
                            units: 0,
                            lot: 0,
                            status: StockStatus::Sellable,
                            boxed: false,
                            stray: false,
                            fits: false,
                        };
                        let units = n.unwrap_or(l.quantity);
                        part["serials"] = self.fitting(&l.sku, &l.place, &g, units.min(9), false, &mut used).into();
                    }
                    part
                };
                let mut json = json!({"type": "commit_reservation", "id": id});
                if let Some(said) = said {
                    json["lines"] = said.iter().map(part).collect();
                }
                json
            }
            Verb::Release => json!({"type": "release_reservation", "id": id}),
            // Only the sweeper sends it: it has no JSON.
            Verb::Expire => id.into(),
        }
    }

    fn redefined(&self, sku: &str, change: &Change) -> Action {
        let mut thing = self.thing(sku).clone();
        match change {
            Change::Method(method) => thing.method = *method,
            Change::Negative(negative) => thing.negative = *negative,
            Change::Pool(pool) => thing.pool = *pool,
            Change::Tracking(tracking) => thing.tracking = *tracking,
            Change::Retired(retired) => thing.retired = *retired,
            Change::Cost(cost) => thing.cost = Some(Number::from_units(*cost, 2)),
            Change::Class(is_other) => thing.class = if *is_other { "other" } else { "default" }.to_owned(),
        }
        // A method that needs a standard cost brings one.
        if thing.method == ValuationMethod::Standard && thing.cost.is_none() {
            thing.cost = Some(Number::from_units(130, 2));
        }
        Action::DefineItem(defined(sku, &thing))
    }
}

/// The open one that is `back` from the newest.
fn one_of<V>(all: &BTreeMap<String, V>, is_open: impl Fn(&V) -> bool, prefix: &str, back: u32) -> String {
    let mut ids: Vec<&String> = all.iter().filter(|(_, v)| back == ANY || is_open(v)).map(|(id, _)| id).collect();
    ids.sort_by_key(|id| (id.len(), *id));
    let found = if back == ANY { ids.first() } else { ids.iter().rev().nth(back as usize).or(ids.last()) };
    found.map_or_else(|| format!("{prefix}0"), ToString::to_string)
}

fn defined(sku: &str, thing: &Thing) -> DefineItem {
    let part = |(part, n): &(String, i64)| Component { sku: part.parse().unwrap(), quantity: Number::from_units(*n, 0) };
    DefineItem {
        sku: sku.parse().unwrap(),
        unit: "each".parse().unwrap(),
        scale: thing.scale,
        method: thing.method,
        posting_class: Some(thing.class.parse().unwrap()),
        negative_stock: thing.negative,
        retired: thing.retired,
        tracking: Some(thing.tracking),
        pool: Some(thing.pool),
        standard_cost: thing.cost,
        units: (sku == "FIFO").then(|| vec![UnitOfMeasure { code: "box".parse().unwrap(), numerator: 3, denominator: 1 }]),
        components: (!thing.parts.is_empty()).then(|| thing.parts.iter().map(part).collect()),
        ..DefineItem::default()
    }
}

fn location(at: usize, spot: &Spot) -> Value {
    let mut json = json!({"type": "define_location", "code": PLACES[at], "kind": spot.kind, "retired": spot.retired});
    if let Some(parent) = &spot.parent {
        json["parent"] = parent.clone().into();
    }
    // One bin has no place on the plan.
    if PLACES[at] != "W2B" {
        json["x"] = (at * 10).into();
        json["y"] = 0.into();
    }
    json
}

/// The ledger and its model.
struct Trial {
    book: Book,
    model: Model,
}

impl Trial {
    fn new() -> Self {
        let book = Book { ledger: Ledger::default(), now: START, log: Vec::new() };
        let mut trial = Self { book, model: Model { now: START, ..Model::default() } };
        let open = OpenTenant {
            code: "t".parse().unwrap(),
            name: "T".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
            currency_scale: 2,
            ..OpenTenant::default()
        };
        trial.ask(vec![Action::OpenTenant(open)]);
        trial.ask(vec![action(json!({"type": "define_account", "code": "1320", "account_type": "asset"}))]);
        for kind in MovementKind::ALL {
            let account = match kind {
                MovementKind::Inventory => "1320".to_owned(),
                _as_by_default => trial.book.ledger.rule(kind, &"default".parse().unwrap()).unwrap().account.to_string(),
            };
            let rule = json!({"type": "define_posting_rule", "movement": kind, "class": "other", "account": account});
            trial.ask(vec![action(rule)]);
        }
        // What others are inside of comes first.
        for at in [3, 5, 6, 0, 1, 2, 4] {
            let parent = match at {
                0 | 1 => Some("W1".to_owned()),
                2 | 4 => Some("W2".to_owned()),
                _on_top => None,
            };
            let kind = if PLACES[at] == "T" { LocationKind::Transit } else { LocationKind::Storage };
            trial.ask(vec![action(location(at, &Spot { kind, retired: false, parent }))]);
        }
        use ValuationMethod::{Fifo, MovingAverage, Specific, Standard};
        let plain = Thing {
            scale: 0,
            method: Fifo,
            negative: NegativeStock::Forbid,
            tracking: Tracking::None,
            pool: CostPool::Warehouse,
            retired: false,
            class: "default".to_owned(),
            cost: None,
            parts: Vec::new(),
        };
        let parts = vec![("FIFO".to_owned(), 2), ("TENANT".to_owned(), 1)];
        let cost = Some(Number::from_units(250, 2));
        let things = [
            ("FIFO", plain.clone()),
            ("AVERAGE", Thing { scale: 1, method: MovingAverage, negative: NegativeStock::Allow, ..plain.clone() }),
            ("STANDARD", Thing { method: Standard, cost, ..plain.clone() }),
            ("LOT", Thing { tracking: Tracking::Lot, ..plain.clone() }),
            ("LOTCOST", Thing { method: Specific, tracking: Tracking::Lot, ..plain.clone() }),
            ("SERIAL", Thing { method: Specific, tracking: Tracking::Serial, ..plain.clone() }),
            ("TENANT", Thing { pool: CostPool::Tenant, ..plain.clone() }),
            ("KIT", Thing { method: MovingAverage, parts, ..plain }),
        ];
        for (sku, thing) in things {
            trial.ask(vec![Action::DefineItem(defined(sku, &thing))]);
        }
        // Somebody may wait from the start, here and there.
        for (sku, at, backorder) in
            [("FIFO", "W1A", "limited"), ("LOT", "W1A", "allow"), ("AVERAGE", "W1B", "allow"), ("TENANT", "W1A", "limited")]
        {
            let policy = json!({"type": "define_stock_policy", "sku": sku, "location": at, "backorder": backorder, "backorder_limit": "4"});
            trial.ask(vec![action(policy)]);
        }
        for (item, units) in [(0, 6), (2, 4), (3, 4), (4, 4), (5, 3), (7, 5)] {
            let g = Goods { item, at: 0, units, lot: 1, status: StockStatus::Sellable, boxed: false, stray: false, fits: false };
            let step = Step { what: What::Receive(g, units * 100, None), ago: None };
            let receive = trial.model.resolve(&trial.book, &step).unwrap();
            trial.ask(vec![receive]);
        }
        trial
    }

    fn decide(&mut self, steps: Vec<Action>) -> Result<Vec<Recorded>, &'static str> {
        let number = self.book.log.len();
        match handle(&mut self.book.ledger, &command(steps, number), self.book.now) {
            Ok(events) => Ok(events),
            Err(Undecided::Refused(refusal)) => Err(refusal.rejection.code()),
            Err(Undecided::Misfit(misfit)) => panic!("{misfit}"),
        }
    }

    /// Decides step by step for nothing, then all as one, and tells the model.
    fn ask(&mut self, steps: Vec<Action>) {
        for position in steps.iter().filter_map(goods_named) {
            self.book.read_goods(position);
        }
        // Time passes whatever is asked.
        self.book.ledger.advance(self.book.now);
        self.book.ledger.commit();
        let before = self.book.ledger.fingerprint();
        let mut singly = Vec::new();
        let mut refused = None;
        for step in &steps {
            match self.decide(vec![step.clone()]) {
                Ok(events) => singly.push(events),
                Err(code) => {
                    refused = Some(code);
                    break;
                }
            }
        }
        self.book.ledger.rollback_all();
        assert_eq!(before, self.book.ledger.fingerprint(), "what is rolled back leaves no trace: {steps:?}");
        let together = self.decide(steps.clone());
        if together.is_err() {
            assert_eq!(before, self.book.ledger.fingerprint(), "what is refused leaves no trace: {steps:?}");
        }
        let expected = refused.map_or_else(|| Ok(singly.concat()), Err);
        assert_eq!(together, expected, "the same state and command make the same facts: {steps:?}");
        self.book.ledger.commit();
        let Ok(events) = together else {
            let mut model = self.model.clone();
            for (step, events) in steps.iter().zip(&singly) {
                model.take_in(step, events);
            }
            let must = model.must(&steps[singly.len()]);
            let code = refused.unwrap_or_default();
            assert_ne!(must, Must::Accept, "{:?} is refused: {code}", steps[singly.len()]);
            assert!(must != Must::Lack || code == "insufficient_stock", "{code} of {:?}", steps[singly.len()]);
            return;
        };
        self.book.log.extend(events);
        for (step, events) in steps.iter().zip(&singly) {
            let must = self.model.must(step);
            assert!(matches!(must, Must::Accept | Must::Either), "accepted, but {must:?}: {step:?}");
            self.model.take_in(step, events);
        }
    }

    /// The log alone, byte by byte, makes the same state.
    fn replay(&mut self) {
        let mut again = Ledger::default();
        for recorded in &self.book.log {
            let bytes = codec::encode(&recorded.fact).unwrap();
            let number = codec::type_number(&recorded.fact.event);
            let fact = codec::decode(number, codec::SCHEMA_VERSION, recorded.fact.effective_at, &bytes).unwrap();
            assert_eq!(fact, recorded.fact);
            again.evolve(&Recorded { fact, ..recorded.clone() }).unwrap();
        }
        again.advance(self.book.now);
        self.book.ledger.advance(self.book.now);
        assert_eq!(again.fingerprint(), self.book.ledger.fingerprint());
        // Goods that a command named are followed as well as they are read back.
        let mut later = Book { ledger: again, now: self.book.now, log: std::mem::take(&mut self.book.log) };
        for position in (1..).take(later.log.len()) {
            if let Some(goods) = self.book.ledger.goods(position) {
                later.read_goods(position);
                assert_eq!(Some(goods), later.ledger.goods(position));
            }
        }
    }
}

/// The ledger beside the model.
impl Model {
    fn compare(&self, ledger: &Ledger) {
        ledger.check().unwrap();
        for sku in self.things.keys() {
            self.compare_item(ledger, sku);
        }
        let inventory: i128 = INVENTORY.iter().filter_map(|code| self.accounts.get(*code)).map(|(d, c)| d - c).sum();
        assert_eq!(inventory, self.values.values().sum::<i128>(), "the inventory accounts are the value of stock");
        for a in ledger.accounts() {
            let totals = self.accounts.get(a.definition.code.as_str()).copied().unwrap_or_default();
            assert_eq!((a.debits, a.credits), totals, "{}", a.definition.code);
        }
        for (id, hold) in &self.holds {
            let r = ledger.reservation(id).unwrap();
            let status = match r.status {
                ReservationStatus::Held => hold.open && !hold.allocated && hold.expires_at > self.now,
                ReservationStatus::Allocated => hold.open && hold.allocated,
                ReservationStatus::Lapsed => hold.open && !self.is_live(hold),
                ReservationStatus::Released | ReservationStatus::Expired | ReservationStatus::Committed => !hold.open,
            };
            assert!(status, "{id} is {:?}, the model has {hold:?}", r.status);
            if hold.open {
                let lines = r.lines.iter().map(|l| {
                    let item = &ledger.items()[l.item as usize];
                    let place = ledger.locations()[l.location as usize].definition.code.to_string();
                    let lot = item.lot_at(l.lot).map(|l| l.code.to_string());
                    Held { sku: item.definition.sku.to_string(), place, lot, quantity: l.quantity, waiting: l.waiting }
                });
                assert_eq!(lines.collect::<Vec<_>>(), hold.lines, "{id}");
            }
        }
        for (id, (_, _, outstanding)) in &self.expected {
            assert_eq!(ledger.expectation(id).unwrap().outstanding, *outstanding, "{id}");
        }
    }

    fn compare_item(&self, ledger: &Ledger, sku: &str) {
        let thing = self.thing(sku);
        let (item_at, item) = ledger.item(sku).unwrap();
        let value: i128 = item.pools.iter().map(|(_, p)| i128::from(p.value)).sum();
        assert_eq!(value, self.values.get(sku).copied().unwrap_or(0), "value of {sku}");
        for (_, p) in &item.pools {
            assert!(p.quantity != 0 || p.value == 0, "{sku}: value {} without quantity", p.value);
        }
        let serials = self.serials.iter().filter(|((s, _), _)| s == sku);
        let mut there = item.tracked.as_ref().map_or(0, |t| t.serials.len());
        for ((_, serial), (place, status)) in serials {
            let at = item.serial(&serial.parse().unwrap()).unwrap();
            assert_eq!((ledger.location(place).unwrap().0, *status), (at.location, at.status));
            there -= 1;
        }
        assert_eq!(there, 0, "serials of {sku} that the model does not have");
        for place in self.spots.keys() {
            let at = ledger.location(place).unwrap().0;
            let bin = ledger.bin(item_at, at).cloned().unwrap_or_default();
            let named = format!("{sku} at {place}");
            assert_eq!(bin.on_hand, self.at(sku, place).map(|(_, n)| n).sum::<i64>(), "{named}");
            assert_eq!(bin.sellable(), self.sellable(sku, place), "{named}");
            for (key, n) in self.at(sku, place) {
                let lot = key.2.as_ref().map_or(0, |code| item.lot(&code.parse().unwrap()).unwrap().0);
                if lot != 0 || !key.3.is_sellable() {
                    assert_eq!(bin.cell(lot, key.3).map_or(0, |c| c.on_hand), n, "{key:?}");
                }
            }
            let held = |allocated: bool| {
                self.lines(sku, place).filter(|(h, _)| h.allocated == allocated).map(|(_, l)| l.quantity).sum::<i64>()
            };
            assert_eq!(
                (bin.reserved, bin.allocated, bin.waiting),
                (held(false), held(true), self.waiting(sku, place)),
                "{named}"
            );
            let incoming = self.expected.values().filter(|e| e.0 == sku && e.1 == *place).map(|e| e.2);
            assert_eq!(bin.incoming, incoming.sum::<i64>(), "{named}");
            let under_way = self.trips.values().filter(|t| t.open && t.via == *place).flat_map(|t| &t.lines);
            let under_way: i64 = under_way.filter(|l| l.0 == sku).map(|l| l.2).sum();
            assert!(self.spots[place].kind == LocationKind::Storage || bin.on_hand == under_way, "{named} under way");
            assert!(self.free(sku, place) >= 0 || self.goes_below(sku), "{named}: more is held firmly than there is");
            for (_, l) in self.lines(sku, place).filter(|(_, l)| thing.tracking == Tracking::Lot && l.firm() > 0) {
                assert!(l.lot.is_some(), "{named}: held firmly, but nothing says of which lot");
                let key = (sku.to_owned(), place.clone(), l.lot.clone(), StockStatus::Sellable);
                assert!(self.free_of(&key) >= 0, "{named}: more is held of {:?} than there is", l.lot);
            }
            self.nobody_waits_in_vain(sku, place);
        }
    }

    /// Unless a hold has lapsed that no fact has ended yet, nobody waits while there is something.
    fn nobody_waits_in_vain(&self, sku: &str, place: &str) {
        let lapsed = self.holds.values().filter(|h| h.open && !self.is_live(h)).flat_map(|h| &h.lines);
        if self.waiting(sku, place) == 0 || lapsed.into_iter().any(|l| l.sku == sku && l.place == place) {
            return;
        }
        let mut spare = self.free(sku, place) - self.policy(sku, place).2;
        if self.thing(sku).tracking == Tracking::Lot {
            let good = self.at(sku, place).filter(|(key, _)| key.3.is_sellable() && !self.is_expired(key));
            spare = spare.min(good.map(|(key, _)| self.free_of(key).max(0)).sum());
        }
        assert!(spare <= 0, "{spare} {sku} at {place} are free, and somebody waits");
    }
}

impl StateMachineTest for Trial {
    type SystemUnderTest = Self;
    type Reference = Plan;

    fn init_test(_: &Plan) -> Self {
        Self::new()
    }

    fn apply(mut trial: Self, _: &Plan, asked: Asked) -> Self {
        let steps = match asked {
            Asked::Do(step) => vec![step],
            Asked::Together(steps) => steps,
            Asked::Wait(seconds) => {
                trial.book.now = trial.book.now.plus_seconds(seconds);
                trial.model.now = trial.book.now;
                trial.book.ledger.advance(trial.book.now);
                return trial;
            }
        };
        let actions: Vec<Action> = steps.iter().filter_map(|step| trial.model.resolve(&trial.book, step)).collect();
        if !actions.is_empty() {
            trial.ask(actions);
        }
        trial
    }

    fn check_invariants(trial: &Self, _: &Plan) {
        trial.model.compare(&trial.book.ledger);
    }

    fn teardown(mut trial: Self, _: Plan) {
        trial.replay();
    }
}

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { CASES };
    // A seed says nothing once what is asked has changed.
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn any_interleaving_is_sound(sequential 1..100 => Trial);
}
