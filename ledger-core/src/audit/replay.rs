//! Replaying a log from nothing, trusting no row of it.
//!
//! **Shape**: rows → [`Read`] (hashed and decoded, many at once) → in order: [`Replay::push`] → state, tree and findings;
//! [`Replay::finish`] compares with the head.
//! **Correctness**: 1. What is checked is listed in [`CHECKS`]; each [`Finding`] names a position, or the positions between
//! which it must lie. 2. A log that can no longer be folded is still hashed to its end, so that every damaged row is named
//! and not only the first. 3. Roots that others stated ([`Claim`]) are compared at exactly their size, so that where a
//! forger has mended all that is stored beside the events, the change lies after the last claim that holds.

use rustc_hash::{FxHashMap, FxHashSet};

use super::merkle::{Frontier, Hash};
use super::row::{Head, Raw, Read, Stored};
use crate::domain::allocation::Choice;
use crate::domain::event::{Event, Recorded, stream_key};
use crate::domain::id::{LocationCode, LotCode, Position, Sku};
use crate::domain::period::event::PeriodClosed;
use crate::domain::reservation::event::HeldLine;
use crate::domain::state::Ledger;

/// Findings kept; a damaged log would otherwise repeat itself a million times.
const FINDINGS_MAX: usize = 100;
/// The whole state is checked every so many events, and at the end.
const FULL_CHECK_EVERY: i64 = 100_000;
/// log2 of the leaves under a stored node of level 1, and of the nodes of one level under one of the next.
const LEVEL_BITS: u32 = 8;

/// What a replay checks of the log itself, by the word its findings have.
pub const CHECKS: [(&str, &str); 15] = [
    ("rows_are_as_written", "every row has the leaf check that was stored beside it when it was appended"),
    ("positions_have_no_gaps", "the rows stand at positions 1, 2, 3 …"),
    ("events_decode", "every row says something that this program understands"),
    ("stream_versions_have_no_gaps", "every stream counts its events 1, 2, 3 …"),
    ("streams_are_named", "every stream has one name, and no two have the same"),
    ("commands_are_whole", "every event belongs to a command, and every command has all of its events"),
    ("commands_act_once", "no command stands in the log twice"),
    ("debits_equal_credits", "the postings of every single event add up to nothing"),
    ("stock_value_equals_inventory_accounts", "what every single event adds to stock it adds to the inventory accounts"),
    ("movements_conserve", "what is moved and not made or used up arrives as it left"),
    ("allocations_can_be_derived", "what was held is what the strategy chooses from the candidates it had"),
    ("events_fit_the_state", "no event contradicts those before it: none sells, settles or ships what is not there"),
    ("state_is_sound", "totals, holds, layers and balances agree with one another"),
    ("seals_hold", "every seal of a closed period states the root of the log before it, and the balances at its end"),
    ("checkpoints_hold", "the log has, at the size of every checkpoint, the root that the checkpoint states"),
];

/// Something that must hold and does not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Where in the log; the last position for what concerns the log as a whole.
    pub position: Position,
    /// The last position it may be at, where it is only known to lie between two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Position>,
    /// Which invariant, as a stable word.
    pub invariant: &'static str,
    /// A sentence for the auditor.
    pub what: String,
}

impl Finding {
    /// At one position.
    #[must_use]
    pub fn new(position: Position, invariant: &'static str, what: impl Into<String>) -> Self {
        Self { position, until: None, invariant, what: what.into() }
    }
}

/// Somebody's statement of the tree's root at a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Events it is about: 1 to this.
    pub size: Position,
    /// The root it states.
    pub root: Hash,
    /// Who states it, as a noun phrase.
    pub by: String,
}

/// What came of a replay.
#[derive(Debug)]
pub struct Outcome {
    /// The fold, as far as it went.
    pub ledger: Ledger,
    /// Rows replayed.
    pub events: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// Roots of its complete subtrees over 256, 256² … leaves, from left to right.
    pub nodes: Vec<Vec<Hash>>,
    /// The largest size whose claim holds; `None` when there is no such claim.
    pub attested: Option<Position>,
    /// What does not hold.
    pub findings: Vec<Finding>,
}

/// A replay in progress.
#[derive(Debug, Default)]
pub struct Replay {
    /// The fold.
    pub ledger: Ledger,
    frontier: Frontier,
    nodes: Vec<Vec<Hash>>,
    /// Sizes whose roots are to be kept, the largest first.
    sizes: Vec<Position>,
    roots: FxHashMap<Position, Hash>,
    last: Position,
    streams: FxHashMap<i64, i64>,
    names: FxHashSet<[u8; 16]>,
    commands: FxHashSet<[u8; 16]>,
    command_events_left: u32,
    findings: Vec<Finding>,
    broken: bool,
    scratch: Vec<u8>,
}

impl Replay {
    /// A replay that keeps the tree's roots at these sizes, for [`Replay::finish`] to compare with what others stated.
    #[must_use]
    pub fn new(sizes: impl IntoIterator<Item = Position>) -> Self {
        let mut sizes: Vec<Position> = sizes.into_iter().collect();
        sizes.sort_unstable_by_key(|size| std::cmp::Reverse(*size));
        let mut replay = Self { sizes, ..Self::default() };
        replay.keep_root();
        replay
    }

    /// The tree's root over what was replayed.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// True when the state cannot be folded further.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// The position of the newest row.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.last
    }

    /// Whether anything is known not to hold.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, position: Position, invariant: &'static str, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding::new(position, invariant, what));
        }
    }

    /// The next row, as stored. Answers the event if it could be read and folded.
    pub fn push_raw(&mut self, raw: &Raw) -> Option<Stored> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = Read::new(&raw.row(), raw.leaf_check, &mut scratch);
        self.scratch = scratch;
        self.push(read)
    }

    /// The next row. Answers the event if it could be read and folded.
    pub fn push(&mut self, read: Read) -> Option<Stored> {
        let Read { position, stream_key, leaf, is_as_written, stored, .. } = read;
        if let Ok(Stored { recorded, .. }) = &stored
            && let Event::PeriodClosed(closed) = &recorded.fact.event
        {
            // The tree is still the one before it.
            self.check_seal(position, closed);
        }
        let nodes = &mut self.nodes;
        self.frontier.push_noting(leaf, |height, root| note_node(nodes, height, root));
        self.keep_root();
        if !is_as_written {
            self.find(position, "rows_are_as_written", "the row was changed after it was appended");
        }
        self.check_position(position);
        let stored = match stored {
            Ok(stored) if !self.broken => stored,
            Ok(_nothing_to_fold_it_into) => return None,
            Err(error) => {
                use std::error::Error as _;
                let source = error.source().map(ToString::to_string).unwrap_or_default();
                self.find(position, "events_decode", format!("{error}: {source}"));
                self.broken = true;
                return None;
            }
        };
        self.check_stream(stream_key, &stored.recorded);
        self.check_command(&stored, position);
        self.check_event(&stored.recorded);
        if let Err(misfit) = self.ledger.evolve(&stored.recorded) {
            self.find(position, "events_fit_the_state", misfit.to_string());
            self.broken = true;
            return None;
        }
        self.ledger.commit();
        if position.checked_rem(FULL_CHECK_EVERY) == Some(0) {
            self.check_state();
        }
        Some(stored)
    }

    fn check_position(&mut self, position: Position) {
        let before = std::mem::replace(&mut self.last, position);
        let next = before.saturating_add(1);
        if position == next {
            return;
        }
        self.broken = true;
        if self.findings.len() < FINDINGS_MAX {
            // What is missing, or from where to where it is out of order.
            let (first, last) = if position > next { (next, position.saturating_sub(1)) } else { (position, next) };
            let finding = Finding::new(first, "positions_have_no_gaps", format!("position {position} follows {before}"));
            self.findings.push(Finding { until: (last > first).then_some(last), ..finding });
        }
    }

    /// Keeps the present root if it was asked for.
    fn keep_root(&mut self) {
        let size = i64::try_from(self.frontier.size()).unwrap_or(i64::MAX);
        while self.sizes.pop_if(|wanted| *wanted <= size).is_some() {
            self.roots.insert(size, self.frontier.root());
        }
    }

    /// Compares what others stated of the tree with its roots at their sizes; answers the largest size that is right and
    /// has no wrong one before it.
    fn check_claims(&mut self, mut claims: Vec<Claim>) -> Option<Position> {
        claims.sort_by_key(|claim| claim.size);
        let end = i64::try_from(self.frontier.size()).unwrap_or(i64::MAX);
        let (mut attested, mut is_denied) = (None, false);
        for Claim { size, root, by } in claims {
            let first = attested.unwrap_or(0_i64).saturating_add(1);
            if size > end {
                let what = format!("{by} states {size} events, but there are only {end}");
                let first = end.saturating_add(1);
                self.findings.push(Finding { until: Some(size), ..Finding::new(first, "checkpoints_hold", what) });
            } else if self.roots.get(&size) == Some(&root) {
                attested = if is_denied { attested } else { Some(size) };
            } else if !std::mem::replace(&mut is_denied, true) {
                let what = format!(
                    "the first {size} events do not have the root that {by} states: of those from position {first} on, at \
                     least one was changed, added or removed"
                );
                self.findings.push(Finding { until: Some(size), ..Finding::new(first, "checkpoints_hold", what) });
            }
        }
        attested
    }

    /// A seal states the log up to the event before it: where it ends, and its root. That its balances are those of the
    /// log is for the fold to check.
    fn check_seal(&mut self, position: Position, closed: &PeriodClosed) {
        let Some(seal) = closed.seal else { return };
        let before = position.saturating_sub(1);
        if seal.position != before {
            let what = format!("the seal of {} is of position {}, not of {before}", closed.period, seal.position);
            self.find(position, "seals_hold", what);
        } else if seal.log_root.is_some_and(|root| root.0 != self.frontier.root()) {
            let what =
                format!("the log up to position {before} does not have the root that the seal of {} states", closed.period);
            self.find(position, "seals_hold", what);
        }
    }

    fn check_stream(&mut self, key_stored: Option<[u8; 16]>, recorded: &Recorded) {
        let position = recorded.position;
        let name = recorded.fact.event.subject().to_string();
        let version = self.streams.entry(recorded.stream).or_default();
        let next = version.saturating_add(1);
        *version = recorded.stream_version;
        if recorded.stream_version != next {
            let what = format!("stream {name} goes from version {} to {}", next.saturating_sub(1), recorded.stream_version);
            self.find(position, "stream_versions_have_no_gaps", what);
        }
        if recorded.stream_version == 1 {
            let key = stream_key(&name);
            if key_stored != Some(key) {
                self.find(position, "streams_are_named", format!("the first event of {name} has another stream's key"));
            }
            if !self.names.insert(key) {
                self.find(position, "streams_are_named", format!("there are two streams called {name}"));
            }
        }
    }

    fn check_command(&mut self, stored: &Stored, position: Position) {
        match (&stored.command, self.command_events_left) {
            (Some(command), left) => {
                if left != 0 {
                    self.find(position, "commands_are_whole", format!("the command before it lacks {left} events"));
                }
                if !self.commands.insert(command.id.0) {
                    self.find(position, "commands_act_once", "a command id stands in the log twice");
                }
                self.command_events_left = command.meta.events.saturating_sub(1);
            }
            (None, 0) => self.find(position, "commands_are_whole", "it belongs to no command"),
            (None, left) => self.command_events_left = left.saturating_sub(1),
        }
    }

    /// Debits equal credits, and what stock gains the inventory accounts gain, in every single event.
    fn check_event(&mut self, recorded: &Recorded) {
        let event = &recorded.fact.event;
        let debits_less_credits: i128 = event.postings().map(|(p, _)| i128::from(p.amount)).sum();
        if debits_less_credits != 0 {
            self.find(recorded.position, "debits_equal_credits", format!("the postings are off by {debits_less_credits} units"));
        }
        let stock: i128 = event.movements().map(|m| i128::from(m.value)).sum();
        let holds_inventory = |code: &str| self.ledger.account(code).is_some_and(|(_, a)| a.holds_inventory);
        let inventory: i128 =
            event.postings().filter(|(p, _)| holds_inventory(p.account.as_str())).map(|(p, _)| i128::from(p.amount)).sum();
        if stock != inventory {
            let what = format!("stock value changes by {stock} units, the inventory accounts by {inventory}");
            self.find(recorded.position, "stock_value_equals_inventory_accounts", what);
        }
        let quantity: i128 = event.movements().map(|m| i128::from(m.quantity)).sum();
        if event.conserves() && (quantity, stock) != (0, 0) {
            let what = format!("what left is not what arrived: {quantity} units worth {stock} are over");
            self.find(recorded.position, "movements_conserve", what);
        }
        if let Event::ReservationOpened(e) = event
            && let Some(choice) = &e.choice
            && !is_derived(choice, &e.lines)
        {
            let what = "its strategy does not choose the places that were held from the candidates it had";
            self.find(recorded.position, "allocations_can_be_derived", what);
        }
    }

    fn check_state(&mut self) {
        if let Err(what) = self.ledger.check() {
            self.find(self.ledger.position(), "state_is_sound", what);
        }
    }

    /// Compares with the head as stored, if there is one to compare with, and with what others stated at the sizes that
    /// [`Replay::new`] was told; answers everything found.
    #[must_use]
    pub fn finish(mut self, head: Option<&Head>, claims: Vec<Claim>) -> Outcome {
        let position = self.last;
        if self.command_events_left != 0 && !self.broken {
            self.find(position, "commands_are_whole", format!("the last command lacks {} events", self.command_events_left));
        }
        if !self.broken {
            self.check_state();
        }
        if let Some(head) = head {
            self.check_head(head);
        }
        let attested = self.check_claims(claims);
        Outcome {
            root: self.frontier.root(),
            events: self.frontier.size(),
            ledger: self.ledger,
            nodes: self.nodes,
            attested,
            findings: self.findings,
        }
    }

    fn check_head(&mut self, head: &Head) {
        let position = self.last;
        if !self.broken && self.ledger.recorded_at() != head.recorded_at && position == head.position {
            let what = format!("the head says {}, the last event {}", head.recorded_at, self.ledger.recorded_at());
            self.find(position, "head_is_as_written", what);
        }
        if position != head.position {
            let what = format!("the head stands at {}, the log ends at {position}", head.position);
            self.find(position, "log_reaches_its_head", what);
        } else if self.frontier != head.frontier {
            let what = "the events do not have the tree that the head recorded when they were appended";
            self.find(position, "tree_equals_head", what);
        }
    }
}

/// Keeps the roots of the subtrees that are stored as nodes.
fn note_node(nodes: &mut Vec<Vec<Hash>>, height: u32, root: &Hash) {
    if let (Some(level), Some(0)) = (height.checked_div(LEVEL_BITS), height.checked_rem(LEVEL_BITS)) {
        let at = usize::try_from(level).unwrap_or(usize::MAX).saturating_sub(1);
        if nodes.len() <= at {
            nodes.resize_with(at.saturating_add(1), Vec::new);
        }
        if let Some(level) = nodes.get_mut(at) {
            level.push(*root);
        }
    }
}

/// Whether what was held with stock behind it is what the strategy takes of the candidates.
fn is_derived(choice: &Choice, lines: &[HeldLine]) -> bool {
    let Some(chosen) = choice.derive() else { return false };
    let mut open: FxHashMap<(&Sku, &LocationCode, Option<&LotCode>), i64> = FxHashMap::default();
    for (sku, candidate, units) in chosen {
        let sum = open.entry((sku, &candidate.location, candidate.lot.as_ref())).or_default();
        *sum = sum.saturating_add(units);
    }
    for line in lines {
        let sum = open.entry((&line.sku, &line.location, line.lot.as_ref())).or_default();
        *sum = sum.saturating_sub(line.quantity.saturating_sub(line.waiting()));
    }
    open.values().all(|units| *units == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::leaf;
    use crate::audit::row::Meta;
    use crate::domain::catalogue::event::TenantOpened;
    use crate::domain::codec;
    use crate::domain::command::Context;
    use crate::domain::event::{Fact, Note};
    use crate::domain::id::TenantId;
    use crate::domain::period::event::{Digest, Seal};
    use crate::domain::time::Timestamp;

    /// A row as the store writes it: the first event of its stream, the only one of its command.
    fn raw(position: Position, event: Event) -> Raw {
        let fact = Fact { event, effective_at: None, note: Note::default() };
        let command = [u8::try_from(position).unwrap(); 16];
        let meta = Meta { events: 1, context: Context::default(), metadata: None };
        let mut row = Raw {
            tenant: TenantId(1),
            position,
            stream: position,
            stream_version: 1,
            recorded_at: Timestamp(1_800_000_000_000_000),
            effective_at: None,
            type_number: codec::type_number(&fact.event),
            schema_version: codec::SCHEMA_VERSION,
            leaf_check: 0,
            payload: codec::encode(&fact).unwrap(),
            command_id: Some(command),
            fingerprint: Some(command),
            stream_key: Some(stream_key(&fact.event.subject().to_string())),
            meta: Some(minicbor::to_vec(meta).unwrap()),
        };
        row.leaf_check = leaf::check(&row.leaf_hash(&mut Vec::new()));
        row
    }

    /// What is found of a log whose second event closes a period with this seal.
    fn findings(seal: impl FnOnce(Hash) -> Seal) -> Vec<&'static str> {
        let opened = TenantOpened {
            code: "t".parse().unwrap(),
            name: "T".parse().unwrap(),
            currency: "SEK".parse().unwrap(),
            currency_scale: 2,
        };
        let mut replay = Replay::default();
        assert!(replay.push_raw(&raw(1, Event::TenantOpened(opened))).is_some());
        let seal = Some(seal(replay.root()));
        let closed = PeriodClosed { period: "2026-11".parse().unwrap(), soft: false, seal };
        replay.push_raw(&raw(2, Event::PeriodClosed(closed)));
        replay.findings.iter().map(|f| f.invariant).collect()
    }

    #[test]
    fn a_seal_states_the_log_before_it() {
        let balances_root = Digest(Frontier::default().root());
        let sealed = |position, log_root: Option<Hash>| Seal { position, log_root: log_root.map(Digest), balances_root };
        assert_eq!(findings(|root| sealed(1, Some(root))), [""; 0]);
        assert_eq!(findings(|_| sealed(1, None)), [""; 0]);
        assert_eq!(findings(|_| sealed(1, Some([7; 32]))), ["seals_hold"]);
        assert_eq!(findings(|root| sealed(0, Some(root))), ["seals_hold"]);
        assert_eq!(findings(|root| sealed(2, Some(root))), ["seals_hold"]);
        let wrong_balances = |root| Seal { balances_root: Digest([7; 32]), ..sealed(1, Some(root)) };
        assert_eq!(findings(wrong_balances), ["events_fit_the_state"]);
    }
}
