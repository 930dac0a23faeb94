//! Rows that are added and never changed, compared without holding all of them: postings and stock cards.
//!
//! **Shape**: the rows of [`RUN`] positions in a row have one [`Digest`]; the stored ones are read once, in no order.
//! **Correctness**: a digest is the number of rows and the sum of their hashes, so it does not depend on their order, and
//! a row that is missing, changed, or there twice makes another one. It finds faults, not forgeries: the log's own tree
//! is for those. Where digests differ, the rows are compared one by one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use ledger_core::domain::id::Position;

use super::{Card, PostingRow};

/// Positions of one digest.
pub const RUN: i64 = 256;

/// A row that is added once.
pub trait Appended: Hash {
    /// The event that added it.
    fn position(&self) -> Position;
}

impl Appended for Card {
    fn position(&self) -> Position {
        self.position
    }
}

impl Appended for PostingRow {
    fn position(&self) -> Position {
        self.position
    }
}

/// Of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    /// How many rows there are.
    #[must_use]
    pub const fn rows(self) -> u64 {
        self.rows
    }

    fn add(&mut self, row: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        row.hash(&mut hasher);
        (self.rows, self.sum) = (self.rows.wrapping_add(1), self.sum.wrapping_add(hasher.finish()));
    }
}

impl<'a, R: Appended + 'a> FromIterator<&'a R> for Digest {
    fn from_iter<I: IntoIterator<Item = &'a R>>(rows: I) -> Self {
        let mut digest = Self::default();
        rows.into_iter().for_each(|row| digest.add(row));
        digest
    }
}

/// Digests by run: positions 1 to [`RUN`] are run 0.
#[derive(Clone, Debug, Default)]
pub struct Digests(BTreeMap<i64, Digest>);

/// The run a position belongs to.
#[must_use]
pub const fn run_of(position: Position) -> i64 {
    position.saturating_sub(1).div_euclid(RUN)
}

/// First and last position of a run.
#[must_use]
pub const fn positions_of(run: i64) -> (Position, Position) {
    let first = run.saturating_mul(RUN).saturating_add(1);
    (first, first.saturating_add(RUN - 1))
}

impl Digests {
    pub(super) fn add(&mut self, row: &impl Appended) {
        self.0.entry(run_of(row.position())).or_default().add(row);
    }

    /// The digest of a run, which is not asked for again.
    pub fn take(&mut self, run: i64) -> Digest {
        self.0.remove(&run).unwrap_or_default()
    }

    /// Runs that nobody asked for.
    pub fn rest(&self) -> impl Iterator<Item = (i64, Digest)> {
        self.0.iter().map(|(run, digest)| (*run, *digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Hash, Clone, Copy)]
    struct Row(Position, i64);

    impl Appended for Row {
        fn position(&self) -> Position {
            self.0
        }
    }

    fn digest(rows: &[Row]) -> Digest {
        rows.iter().collect()
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_and_tells_what_is_wrong() {
        let rows = [Row(1, 10), Row(1, 11), Row(2, 10)];
        assert_eq!(digest(&rows), digest(&[rows[2], rows[0], rows[1]]));
        for other in [&rows[1..], &[rows[0], rows[1]], &[rows[0], rows[0], rows[1], rows[2]], &[rows[0], rows[1], Row(2, 9)]] {
            assert_ne!(digest(&rows), digest(other));
        }
    }

    #[test]
    fn a_run_has_its_positions_and_what_is_left_is_told() {
        assert_eq!([run_of(1), run_of(RUN), run_of(RUN + 1)], [0, 0, 1]);
        for run in [0, 1, 7] {
            let (first, last) = positions_of(run);
            assert_eq!([run_of(first), run_of(last), run_of(last + 1)], [run, run, run + 1]);
        }
        let mut digests = Digests::default();
        for row in [Row(1, 1), Row(RUN, 2), Row(RUN + 1, 3)] {
            digests.add(&row);
        }
        assert_eq!(digests.take(0), digest(&[Row(RUN, 2), Row(1, 1)]));
        assert_eq!(digests.take(5), Digest::default());
        assert_eq!(digests.rest().map(|(run, d)| (run, d.rows())).collect::<Vec<_>>(), [(1, 1)]);
    }
}
