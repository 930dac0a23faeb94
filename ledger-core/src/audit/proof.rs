//! Inclusion and consistency proofs (RFC 6962 §2.1.1 and §2.1.2; checked as RFC 9162 §2.1.3.2 and §2.1.4.2 say).
//!
//! **Shape**: index and size → the spans a proof names ([`inclusion_spans`], [`consistency_spans`]) → their roots out of
//! [`Nodes`] → the path. The other way: path and roots → [`verify_inclusion`], [`verify_consistency`].
//! **Correctness**: the checks share no code with the building, and both are held against another implementation.

use super::merkle::{Hash, node_hash};
use super::tree::{Nodes, SIZE_MAX, Span};

/// Longest path: one hash per bit of a size, and one more for a consistency proof.
pub const PATH_MAX: usize = 64;

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The numbers contradict each other whatever the hashes are.
    #[error("there is no such proof: {0}")]
    Impossible(&'static str),
    /// The path has the wrong number of hashes for these sizes.
    #[error("the path is too short or too long for these sizes")]
    Length,
    /// It does not lead to the root.
    #[error("the path does not lead to the root")]
    Root,
}

/// Checks that the leaf with this hash is number `index` of the tree with this size and root.
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size || size > SIZE_MAX {
        return Err(ProofError::Impossible("the leaf is not in the tree"));
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        (_, _) => Err(ProofError::Length),
    }
}

/// Checks that the tree with size `to` and root `to_root` begins with that of size `from` and root `from_root`.
///
/// # Errors
/// [`ProofError`]; a proof from the empty tree says nothing and is refused.
pub fn verify_consistency(from: u64, to: u64, path: &[Hash], from_root: &Hash, to_root: &Hash) -> Result<(), ProofError> {
    if from == 0 || from > to || to > SIZE_MAX {
        return Err(ProofError::Impossible("the older tree is empty, or larger than the newer one"));
    }
    if from == to {
        return match (path.is_empty(), from_root == to_root) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    // A complete older tree is its own first node.
    let (first, rest) = match (from.is_power_of_two(), path.split_first()) {
        (true, _) => (from_root, path),
        (false, Some((first, rest))) => (first, rest),
        (false, None) => return Err(ProofError::Length),
    };
    let skip = (from - 1).trailing_ones();
    let (mut at, mut last) = ((from - 1) >> skip, (to - 1) >> skip);
    let (mut older, mut newer) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            older = node_hash(hash, &older);
            newer = node_hash(hash, &newer);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            newer = node_hash(&newer, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, older == *from_root && newer == *to_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        (_, _) => Err(ProofError::Length),
    }
}

/// The spans whose roots are the inclusion path of a leaf, nearest first. `index < size`, else none.
#[must_use]
pub fn inclusion_spans(index: u64, size: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    if index >= size || size > SIZE_MAX {
        return spans;
    }
    let mut whole = Span { start: 0, end: size };
    while let Some((left, right)) = split(whole) {
        let (inside, beside) = if index < left.end { (left, right) } else { (right, left) };
        spans.push(beside);
        whole = inside;
    }
    spans.reverse();
    spans
}

/// The spans whose roots are the consistency path between two sizes, in its order. `0 < from < to`, else none.
#[must_use]
pub fn consistency_spans(from: u64, to: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    if from == 0 || from >= to || to > SIZE_MAX {
        return spans;
    }
    let mut whole = Span { start: 0, end: to };
    // RFC 6962's SUBPROOF: down the edge of the older tree until it is a whole side.
    while from != whole.end {
        let Some((left, right)) = split(whole) else { break };
        let (inside, beside) = if from <= left.end { (left, right) } else { (right, left) };
        spans.push(beside);
        whole = inside;
    }
    // The verifier knows the older tree's root; any other node on its edge it must be told.
    if whole.start != 0 {
        spans.push(whole);
    }
    spans.reverse();
    spans
}

/// RFC 6962 splits at the largest power of two below the size. A single leaf has no sides.
fn split(whole: Span) -> Option<(Span, Span)> {
    let size = whole.end.checked_sub(whole.start).filter(|size| *size > 1)?;
    let middle = whole.start + (1 << (63 - (size - 1).leading_zeros()));
    Some((Span { start: whole.start, end: middle }, Span { start: middle, end: whole.end }))
}

/// The inclusion path of leaf `index` in the tree of this size; `None` when the nodes do not have what it takes.
#[must_use]
pub fn inclusion(nodes: &Nodes, index: u64, size: u64) -> Option<Vec<Hash>> {
    roots(nodes, &inclusion_spans(index, size))
}

/// The consistency path between two sizes; `None` when the nodes do not have what it takes.
#[must_use]
pub fn consistency(nodes: &Nodes, from: u64, to: u64) -> Option<Vec<Hash>> {
    roots(nodes, &consistency_spans(from, to))
}

fn roots(nodes: &Nodes, spans: &[Span]) -> Option<Vec<Hash>> {
    spans.iter().map(|span| nodes.root(*span)).collect()
}

#[cfg(test)]
mod tests;
