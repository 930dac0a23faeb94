//! Replaying a log from nothing, trusting no row of it.
//!
//! **Shape**: rows in order → [`Replay::push`] → state, tree and findings; [`Replay::finish`] compares with the head.
//! **Correctness**: what is checked is listed in [`Finding`]; each finding names a position, and none stops the replay
//! unless the state can no longer be folded.

use rustc_hash::{FxHashMap, FxHashSet};

use super::merkle::{Frontier, Hash};
use crate::domain::allocation::Choice;
use crate::domain::event::{Event, Fact, Recorded, stream_key};
use crate::domain::id::{LocationCode, LotCode, Position, Sku};
use crate::domain::period::event::PeriodClosed;
use crate::domain::reservation::event::HeldLine;
use crate::domain::state::Ledger;
use crate::store::read::{Head, Raw, Stored};

/// Findings kept; a damaged log would otherwise repeat itself a million times.
const FINDINGS_MAX: usize = 100;
/// The whole state is checked every so many events, and at the end.
const FULL_CHECK_EVERY: i64 = 100_000;

/// Something that must hold and does not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Where in the log; the last position for what concerns the log as a whole.
    pub position: Position,
    /// Which invariant, as a stable word.
    pub invariant: &'static str,
    /// A sentence for the auditor.
    pub what: String,
}

/// A replay in progress.
#[derive(Debug, Default)]
pub struct Replay {
    /// The fold.
    pub ledger: Ledger,
    frontier: Frontier,
    streams: FxHashMap<i64, i64>,
    names: FxHashSet<[u8; 16]>,
    commands: FxHashSet<[u8; 16]>,
    command_events_left: u32,
    findings: Vec<Finding>,
    broken: bool,
    scratch: Vec<u8>,
}

impl Replay {
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

    fn find(&mut self, position: Position, invariant: &'static str, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { position, invariant, what: what.into() });
        }
    }

    /// The next row. Answers the event if it could be read.
    pub fn push(&mut self, row: &Raw) -> Option<Stored> {
        let leaf_hash = row.leaf_hash(&mut self.scratch);
        let decoded = row.decode();
        if let Ok(Stored { recorded: Recorded { fact: Fact { event: Event::PeriodClosed(closed), .. }, .. }, .. }) = &decoded {
            // The tree is still the one before it.
            self.check_seal(row.position, closed);
        }
        self.frontier.push(leaf_hash);
        if super::leaf::check(&leaf_hash) != row.leaf_check {
            self.find(row.position, "rows_are_as_written", "the row was changed after it was appended");
        }
        let expected = self.ledger.position().saturating_add(1);
        if row.position != expected {
            self.find(
                row.position,
                "positions_have_no_gaps",
                format!("position {} follows {}", row.position, expected.saturating_sub(1)),
            );
            self.broken = true;
            return None;
        }
        let stored = match decoded {
            Ok(stored) => stored,
            Err(error) => {
                use std::error::Error as _;
                let source = error.source().map(ToString::to_string).unwrap_or_default();
                self.find(row.position, "events_decode", format!("{error}: {source}"));
                self.broken = true;
                return None;
            }
        };
        self.check_stream(row, &stored.recorded);
        self.check_command(&stored, row.position);
        self.check_event(&stored.recorded);
        if let Err(misfit) = self.ledger.evolve(&stored.recorded) {
            self.find(row.position, "events_fit_the_state", misfit.to_string());
            self.broken = true;
            return Some(stored);
        }
        self.ledger.commit();
        if row.position.checked_rem(FULL_CHECK_EVERY) == Some(0) {
            self.check_state();
        }
        Some(stored)
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

    fn check_stream(&mut self, row: &Raw, recorded: &Recorded) {
        let name = recorded.fact.event.subject().to_string();
        let version = self.streams.entry(recorded.stream).or_default();
        let next = version.saturating_add(1);
        *version = recorded.stream_version;
        if recorded.stream_version != next {
            let what = format!("stream {name} goes from version {} to {}", next.saturating_sub(1), recorded.stream_version);
            self.find(row.position, "stream_versions_have_no_gaps", what);
        }
        if recorded.stream_version == 1 {
            let key = stream_key(&name);
            if row.stream_key != Some(key) {
                self.find(row.position, "streams_are_named", format!("the first event of {name} has another stream's key"));
            }
            if !self.names.insert(key) {
                self.find(row.position, "streams_are_named", format!("there are two streams called {name}"));
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

    /// Compares with the head as stored and answers everything found.
    #[must_use]
    pub fn finish(mut self, head: &Head) -> (Ledger, Hash, Vec<Finding>) {
        let position = self.ledger.position();
        if self.command_events_left != 0 && !self.broken {
            self.find(position, "commands_are_whole", format!("the last command lacks {} events", self.command_events_left));
        }
        if !self.broken {
            self.check_state();
        }
        if position != head.position && !self.broken {
            self.find(
                position,
                "log_reaches_its_head",
                format!("the head stands at {}, the log ends at {position}", head.position),
            );
        } else if self.frontier != head.frontier {
            self.find(
                position,
                "tree_equals_head",
                "the events do not have the tree that the head recorded when they were appended",
            );
        }
        let root = self.frontier.root();
        (self.ledger, root, self.findings)
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
    use crate::domain::catalogue::event::TenantOpened;
    use crate::domain::codec;
    use crate::domain::command::Context;
    use crate::domain::event::Note;
    use crate::domain::id::TenantId;
    use crate::domain::period::event::{Digest, Seal};
    use crate::domain::time::Timestamp;
    use crate::store::read::Meta;

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
        assert!(replay.push(&raw(1, Event::TenantOpened(opened))).is_some());
        let seal = Some(seal(replay.root()));
        let closed = PeriodClosed { period: "2026-11".parse().unwrap(), soft: false, seal };
        replay.push(&raw(2, Event::PeriodClosed(closed)));
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
