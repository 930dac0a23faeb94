//! The Merkle tree over a tenant's events (RFC 6962 §2.1), kept as its frontier.
//!
//! **Shape**: leaf hash per event → [`Frontier::push`] → [`Frontier::root`]. The frontier holds the roots of the
//! complete subtrees, largest first: one hash per set bit of the size, at most 63 × 32 bytes.
//! **Correctness**: 1. Leaf and node hashes are separated by their first byte (0 and 1), so no node passes as a leaf.
//! 2. Pushing merges equal subtrees exactly where RFC 6962 splits at the largest power of two.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// RFC 6962: `SHA-256(0x00 ‖ leaf)`.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut h = Sha256::new();
    h.update([0]);
    h.update(leaf);
    h.finalize().into()
}

/// RFC 6962: `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut h = Sha256::new();
    h.update([1]);
    h.update(left);
    h.update(right);
    h.finalize().into()
}

/// Roots of the complete subtrees of the leaves so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

/// Stored bytes that are no frontier of the stated size.
#[derive(Debug, thiserror::Error)]
#[error("stored tree frontier has {bytes} bytes, which does not fit {size} events")]
pub struct FrontierError {
    size: u64,
    bytes: usize,
}

impl Frontier {
    /// From the stored bytes of the tree over `size` leaves.
    ///
    /// # Errors
    /// [`FrontierError`] when there are not as many hashes as the size has set bits.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, FrontierError> {
        let (roots, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || u32::try_from(roots.len()) != Ok(size.count_ones()) {
            return Err(FrontierError { size, bytes: bytes.len() });
        }
        Ok(Self { size, roots: roots.to_vec() })
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// The roots of the complete subtrees, largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_noting(leaf, |_, _| {});
    }

    /// Adds the next leaf and tells every subtree that it completes: its height (2^height leaves) and its root.
    pub fn push_noting(&mut self, leaf: Hash, mut note: impl FnMut(u32, &Hash)) {
        let mut hash = leaf;
        for height in 1..=self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
                note(height, &hash);
            }
        }
        self.roots.push(hash);
        self.size = self.size.wrapping_add(1);
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_small = self.roots.iter().rev();
        match from_small.next() {
            None => Sha256::digest([]).into(),
            Some(smallest) => from_small.fold(*smallest, |right, left| node_hash(left, &right)),
        }
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::with_capacity(hash.len().saturating_mul(2)), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1, written as the recursion it gives.
    fn reference(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => leaf_hash(one),
            many => {
                let k = (many.len() as u64).next_power_of_two() as usize / 2;
                let (left, right) = many.split_at(k);
                node_hash(&reference(left), &reference(right))
            }
        }
    }

    #[test]
    fn the_frontier_is_the_rfc_tree_at_every_size() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        for n in 0..=130_u32 {
            assert_eq!(frontier.root(), reference(&leaves), "size {n}");
            let stored = Frontier::from_bytes(frontier.size(), &frontier.to_bytes()).expect("round trip");
            assert_eq!(stored, frontier);
            leaves.push(n.to_be_bytes().to_vec());
            frontier.push(leaf_hash(&n.to_be_bytes()));
        }
    }

    #[test]
    fn known_roots() {
        // Certificate Transparency's own test vectors for sizes 0 and 1.
        assert_eq!(hex(&Frontier::default().root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let mut one = Frontier::default();
        one.push(leaf_hash(&[]));
        assert_eq!(hex(&one.root()), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }
}
