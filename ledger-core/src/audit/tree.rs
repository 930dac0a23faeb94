//! The tree's inner nodes, by number: what a proof is made of.
//!
//! **Shape**: a span of leaves → its complete subtrees ([`cover`], exactly as RFC 6962 §2.1 splits) → hashes out of
//! [`Nodes`], which says what it lacks ([`Nodes::missing`]) in terms of what is stored: leaves and the roots of 256,
//! 256², … leaves. Whoever has them puts them in ([`Nodes::insert`]); nothing here reads anything.
//! **Correctness**: 1. A subtree of any height is the merge of at most 128 stored nodes of one tile of 256. 2. A stored
//! node that is not there is the merge of the 256 below it ([`Nodes::merge`]), so nodes are never needed, only faster.

use rustc_hash::{FxHashMap, FxHashSet};

use super::merkle::{Frontier, Hash, node_hash};

/// Nodes are stored at every eighth height: one level of the store is a factor of 256.
pub const LEVEL_BITS: u8 = 8;
/// Leaves, or nodes of one level, under one node of the next.
pub const TILE: u64 = 1 << LEVEL_BITS;
/// Largest tree: positions are `i64`.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// The complete subtree over the leaves `number · 2^height` up to, not including, `(number + 1) · 2^height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    /// 0 for a leaf.
    pub height: u8,
    /// From 0, among those of its height.
    pub number: u64,
}

impl Subtree {
    /// One leaf.
    #[must_use]
    pub const fn leaf(index: u64) -> Self {
        Self { height: 0, number: index }
    }

    /// The stored node of a level (0 for a leaf).
    #[must_use]
    pub const fn stored(level: u8, index: u64) -> Self {
        Self { height: level * LEVEL_BITS, number: index }
    }

    /// The level it is stored at, if it is.
    #[must_use]
    pub const fn level(self) -> Option<u8> {
        if self.height.is_multiple_of(LEVEL_BITS) { Some(self.height / LEVEL_BITS) } else { None }
    }

    /// Its first leaf.
    #[must_use]
    pub const fn first(self) -> u64 {
        self.number << self.height
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn leaves(self) -> u64 {
        1 << self.height
    }

    /// Its left and right halves; none of a leaf.
    #[must_use]
    pub const fn halves(self) -> Option<(Self, Self)> {
        let Some(height) = self.height.checked_sub(1) else { return None };
        let left = self.number << 1;
        Some((Self { height, number: left }, Self { height, number: left | 1 }))
    }
}

/// Leaves `start` up to, not including, `end`: one whole side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First leaf.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

/// The complete subtrees of a span, from its start. Where the span is a side of an RFC 6962 split they fall in size,
/// and its root is their fold from the right.
pub fn cover(span: Span) -> impl Iterator<Item = Subtree> {
    let mut at = span.start;
    std::iter::from_fn(move || {
        let left = span.end.checked_sub(at).filter(|left| *left > 0)?;
        let fits = 63 - left.leading_zeros();
        // trailing_zeros of 0 is 64: at the start everything fits.
        let height = fits.min(at.trailing_zeros());
        let subtree = Subtree { height: height.to_le_bytes()[0], number: at >> height };
        at += subtree.leaves();
        Some(subtree)
    })
}

/// Hashes of complete subtrees of one tree.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    hashes: FxHashMap<Subtree, Hash>,
}

impl Nodes {
    /// What a frontier knows: the complete subtrees of its size.
    #[must_use]
    pub fn of(frontier: &Frontier) -> Self {
        let subtrees = cover(Span { start: 0, end: frontier.size() });
        Self { hashes: subtrees.zip(frontier.roots().iter().copied()).collect() }
    }

    /// All there is of a tree that is at hand whole.
    #[must_use]
    pub fn of_leaves(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut nodes = Self::default();
        let mut size = 0;
        for (index, leaf) in (0..).zip(leaves) {
            nodes.insert(Subtree::leaf(index), leaf);
            size = index + 1;
            let mut node = Subtree::leaf(index);
            // Each level ends a tile where all of its low bits are ones.
            while node.number & (TILE - 1) == TILE - 1 {
                node = Subtree { height: node.height + LEVEL_BITS, number: node.number >> LEVEL_BITS };
                nodes.merge(node);
            }
        }
        debug_assert!(nodes.missing(&[Span { start: 0, end: size }]).is_empty(), "every tile was merged");
        nodes
    }

    /// Adds a subtree's root.
    pub fn insert(&mut self, subtree: Subtree, hash: Hash) {
        self.hashes.insert(subtree, hash);
    }

    /// Whether this very subtree is there.
    #[must_use]
    pub fn has(&self, subtree: Subtree) -> bool {
        self.hashes.contains_key(&subtree)
    }

    /// A subtree's root, as it is there or merged from the stored level below it.
    #[must_use]
    pub fn get(&self, subtree: Subtree) -> Option<Hash> {
        match (self.hashes.get(&subtree), subtree.level()) {
            (Some(hash), _) => Some(*hash),
            (None, Some(_stored_or_not_at_all)) => None,
            (None, None) => self.merged(subtree),
        }
    }

    fn merged(&self, subtree: Subtree) -> Option<Hash> {
        let (left, right) = subtree.halves()?;
        Some(node_hash(&self.get(left)?, &self.get(right)?))
    }

    /// Makes a stored node of the 256 below it; false when one of them is not there.
    pub fn merge(&mut self, subtree: Subtree) -> bool {
        let merged = self.merged(subtree);
        if let Some(hash) = merged {
            self.hashes.insert(subtree, hash);
        }
        merged.is_some()
    }

    /// RFC 6962's root of a span, if what it takes is there. An empty span has none.
    #[must_use]
    pub fn root(&self, span: Span) -> Option<Hash> {
        let roots: Option<Vec<Hash>> = cover(span).map(|subtree| self.get(subtree)).collect();
        roots?.into_iter().rev().reduce(|right, left| node_hash(&left, &right))
    }

    /// The stored nodes and leaves that these spans still take, in order, each once.
    #[must_use]
    pub fn missing(&self, spans: &[Span]) -> Vec<Subtree> {
        let mut missing = FxHashSet::default();
        for subtree in spans.iter().flat_map(|span| cover(*span)) {
            self.note_missing(subtree, &mut missing);
        }
        let mut missing: Vec<Subtree> = missing.into_iter().collect();
        missing.sort_unstable();
        missing
    }

    fn note_missing(&self, subtree: Subtree, missing: &mut FxHashSet<Subtree>) {
        if self.has(subtree) {
            return;
        }
        match (subtree.level(), subtree.halves()) {
            (None, Some((left, right))) => {
                self.note_missing(left, missing);
                self.note_missing(right, missing);
            }
            (Some(_), _) | (None, None) => {
                missing.insert(subtree);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle::leaf_hash;

    fn leaf(n: u64) -> Hash {
        leaf_hash(&n.to_be_bytes())
    }

    #[test]
    fn spans_split_where_the_frontier_does() {
        let mut frontier = Frontier::default();
        for size in 1..1_100 {
            frontier.push(leaf(size - 1));
            let subtrees: Vec<Subtree> = cover(Span { start: 0, end: size }).collect();
            assert_eq!(subtrees.iter().map(|s| s.leaves()).sum::<u64>(), size);
            assert!(subtrees.windows(2).all(|w| w[0].height > w[1].height && w[0].first() + w[0].leaves() == w[1].first()));
            assert_eq!(Nodes::of(&frontier).root(Span { start: 0, end: size }), Some(frontier.root()), "size {size}");
        }
        let aligned: Vec<Subtree> = cover(Span { start: 768, end: 771 }).collect();
        assert_eq!(aligned, [Subtree { height: 1, number: 384 }, Subtree::leaf(770)]);
        assert_eq!(cover(Span { start: 5, end: 5 }).count(), 0);
    }

    /// What is missing is asked for at stored levels only, and once it is there nothing is missing.
    #[test]
    fn what_is_missing_is_what_is_stored() {
        let size = 70_000;
        let span = Span { start: 0, end: size };
        let mut nodes = Nodes::default();
        // 70,000 = 65,536 (level 2) + 17 · 256 (level 1) + 112 leaves.
        let missing = nodes.missing(&[span, span]);
        let of_level = |level| missing.iter().filter(|s| s.level() == Some(level)).count();
        assert_eq!((missing.len(), of_level(2), of_level(1), of_level(0)), (1 + 17 + 112, 1, 17, 112));

        let mut frontier = Frontier::default();
        for index in 0..size {
            nodes.insert(Subtree::leaf(index), leaf(index));
            frontier.push(leaf(index));
        }
        assert_eq!(Nodes::of_leaves((0..size).map(leaf)).root(span), Some(frontier.root()));
        for tile in 0..size / TILE {
            assert!(nodes.merge(Subtree::stored(1, tile)));
        }
        assert!(nodes.merge(Subtree::stored(2, 0)));
        assert!(!nodes.merge(Subtree::stored(2, 1)), "a node that is not complete has no hash");
        assert_eq!(nodes.missing(&[span]), []);
        assert_eq!(nodes.root(span), Some(frontier.root()));
    }
}
