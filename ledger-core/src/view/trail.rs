//! What the trail keeps of a log beside the log: inner nodes of its tree, and which runs of it mention which words.
//!
//! **Shape**: the log is cut into runs of [`RUN`] events. Of every complete run the trail has its root (a level-1 node) and
//! one mention per word in it; [`words`] says which words an event mentions.
//! **Correctness**: a run that is not complete has neither, so whoever asks reads the events after the trail's cursor
//! themselves, fewer than [`RUN`] once the trail has caught up.

use crate::domain::command::Context;
use crate::domain::event::Note;
use crate::domain::id::Position;

/// Events of a run: leaves under one level-1 node, and nodes under one node of the next level.
pub const RUN: i64 = 256;

/// The run a position is in: run 0 is positions 1 to 256.
#[must_use]
pub const fn run_of(position: Position) -> i64 {
    position.saturating_sub(1).div_euclid(RUN)
}

/// The position before a run's first one.
#[must_use]
pub const fn run_start(run: i64) -> Position {
    run.saturating_mul(RUN)
}

/// What a word is to the event that mentions it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mention {
    /// Who asked.
    Actor,
    /// The caller's document.
    Reference,
    /// Why, as a code.
    Reason,
    /// What ties the commands of one conversation together.
    Correlation,
}

impl Mention {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Actor, Self::Reference, Self::Reason, Self::Correlation];

    /// The number in the table.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Actor => 1,
            Self::Reference => 2,
            Self::Reason => 3,
            Self::Correlation => 4,
        }
    }
}

/// The words of an event: those of its command, and its own.
pub fn words<'a>(command: &'a Context, note: &'a Note) -> impl Iterator<Item = (Mention, &'a str)> {
    let of_command = |kind, text: &'a Option<crate::domain::id::Text>| text.as_ref().map(|t| (kind, t.as_str()));
    [
        of_command(Mention::Actor, &command.actor),
        of_command(Mention::Reference, &note.reference),
        note.reason.as_ref().map(|r| (Mention::Reason, r.as_str())),
        of_command(Mention::Correlation, &command.correlation_id),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_begin_after_every_256th_position() {
        assert_eq!([1, 256, 257, 512, 513].map(run_of), [0, 0, 1, 1, 2]);
        assert_eq!([0, 1, 2].map(run_start), [0, 256, 512]);
    }
}
