//! Held against `ct-merkle`, which shares nothing with this crate: its proofs pass our checks, ours pass its.

use ct_merkle::digest::array::Array;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;
use sha2::Sha256;

use super::*;
use crate::audit::merkle::{Frontier, leaf_hash};
use crate::audit::tree::Subtree;

type Theirs = MemoryBackedTree<Sha256, Vec<u8>>;

/// Leaf data that differs with the seed.
fn data(seed: u64, index: u64) -> Vec<u8> {
    [seed.to_be_bytes(), index.to_be_bytes()].concat()
}

struct Trees {
    theirs: Vec<RootHash<Sha256>>,
    whole: Theirs,
    nodes: Nodes,
    seed: u64,
}

impl Trees {
    fn new(seed: u64, size: u64) -> Self {
        let (mut whole, mut nodes, mut theirs) = (Theirs::new(), Nodes::default(), vec![Theirs::new().root()]);
        for index in 0..size {
            nodes.insert(Subtree::leaf(index), leaf_hash(&data(seed, index)));
            if (index + 1).is_multiple_of(crate::audit::tree::TILE) {
                assert!(nodes.merge(Subtree::stored(1, index >> 8)));
            }
            whole.push(data(seed, index));
            theirs.push(whole.root());
        }
        Self { theirs, whole, nodes, seed }
    }

    fn root(&self, size: u64) -> Hash {
        (*self.theirs[usize::try_from(size).unwrap()].as_bytes()).into()
    }
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.to_vec()
}

/// Every way to be wrong by one: each must be refused.
fn mangled(path: &[Hash], at: usize) -> Vec<Vec<Hash>> {
    let mut ways = vec![[path, &[[7; 32]]].concat()];
    if !path.is_empty() {
        let at = at % path.len();
        let mut flipped = path.to_vec();
        flipped[at][at % 32] ^= 1;
        let mut shorter = path.to_vec();
        shorter.remove(at);
        ways.extend([flipped, shorter]);
        if path.len() > 1 && path[0] != path[path.len() - 1] {
            let mut swapped = path.to_vec();
            swapped.reverse();
            ways.push(swapped);
        }
    }
    ways
}

#[test]
fn every_proof_of_every_small_tree_passes_both_ways() {
    let size = 66;
    let trees = Trees::new(0, size);
    for size in 1..=size {
        for index in 0..size {
            let path = inclusion(&trees.nodes, index, size).unwrap();
            let leaf = leaf_hash(&data(0, index));
            assert_eq!(verify_inclusion(&leaf, index, size, &path, &trees.root(size)), Ok(()), "{index} of {size}");
            let theirs = InclusionProof::from_digests(path.iter().map(<&Array<u8, _>>::from));
            trees.theirs[size as usize].verify_inclusion(&data(0, index), index, &theirs).unwrap();
        }
        for from in 1..=size {
            let path = consistency(&trees.nodes, from, size).unwrap();
            assert_eq!(verify_consistency(from, size, &path, &trees.root(from), &trees.root(size)), Ok(()), "{from} to {size}");
            let theirs = ConsistencyProof::from_digests(path.iter().map(<&Array<u8, _>>::from));
            trees.theirs[size as usize].verify_consistency(&trees.theirs[from as usize], &theirs).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let (a, b) = ([1; 32], [2; 32]);
    let impossible = |done: Result<(), ProofError>| assert!(matches!(done, Err(ProofError::Impossible(_))), "{done:?}");
    impossible(verify_inclusion(&a, 0, 0, &[], &a));
    impossible(verify_inclusion(&a, 5, 5, &[], &a));
    impossible(verify_inclusion(&a, 0, u64::MAX, &[a; 64], &a));
    impossible(verify_consistency(0, 5, &[], &a, &b));
    impossible(verify_consistency(6, 5, &[], &a, &b));
    impossible(verify_consistency(1, u64::MAX, &[a; 64], &a, &b));
    assert_eq!(verify_consistency(5, 5, &[], &a, &a), Ok(()));
    assert_eq!(verify_consistency(5, 5, &[], &a, &b), Err(ProofError::Root));
    assert_eq!(verify_consistency(5, 5, &[a], &a, &a), Err(ProofError::Length));
    assert_eq!(verify_consistency(3, 5, &[], &a, &b), Err(ProofError::Length));
    assert_eq!(inclusion_spans(3, 3), []);
    assert_eq!(consistency_spans(0, 3), []);
    assert_eq!(consistency_spans(4, 3), []);
    // The longest there is.
    assert!(inclusion_spans(0, SIZE_MAX).len() <= PATH_MAX);
    assert!(consistency_spans(SIZE_MAX - 2, SIZE_MAX).len() <= PATH_MAX);
}

#[test]
fn nodes_that_are_not_there_give_no_proof() {
    assert_eq!(inclusion(&Nodes::default(), 0, 3), None);
    assert_eq!(consistency(&Nodes::default(), 1, 3), None);
    assert_eq!(inclusion(&Nodes::default(), 0, 1), Some(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn inclusion_agrees_with_another_implementation(seed: u64, size in 1_u64..900, pick: u64, cut: u64, at: usize) {
        let trees = Trees::new(seed, size);
        // Any smaller tree of the same log, too.
        let size = 1 + cut % size;
        let index = pick % size;
        let (leaf, root) = (leaf_hash(&data(seed, index)), trees.root(size));

        let path = inclusion(&trees.nodes, index, size).unwrap();
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &path, &root), Ok(()));
        let theirs = InclusionProof::from_digests(path.iter().map(<&Array<u8, _>>::from));
        let known = &trees.theirs[size as usize];
        prop_assert!(known.verify_inclusion(&data(seed, index), index, &theirs).is_ok());
        if size == trees.whole.len() {
            let made_by_them = trees.whole.prove_inclusion(usize::try_from(index).unwrap());
            prop_assert_eq!(&path, &hashes(made_by_them.as_bytes()));
        }

        for wrong in mangled(&path, at) {
            prop_assert!(verify_inclusion(&leaf, index, size, &wrong, &root).is_err());
        }
        let mut other = leaf;
        other[at % 32] ^= 1;
        prop_assert_eq!(verify_inclusion(&other, index, size, &path, &root), Err(ProofError::Root));
        if size > 1 {
            let next = (index + 1) % size;
            prop_assert!(verify_inclusion(&leaf, next, size, &path, &root).is_err());
        }
    }

    #[test]
    fn consistency_agrees_with_another_implementation(seed: u64, size in 1_u64..900, pick: u64, at: usize) {
        let trees = Trees::new(seed, size);
        let from = 1 + pick % size;
        let (older, newer) = (trees.root(from), trees.root(size));

        let path = consistency(&trees.nodes, from, size).unwrap();
        prop_assert_eq!(verify_consistency(from, size, &path, &older, &newer), Ok(()));
        let theirs = ConsistencyProof::from_digests(path.iter().map(<&Array<u8, _>>::from));
        prop_assert!(trees.whole.root().verify_consistency(&trees.theirs[from as usize], &theirs).is_ok());
        let made_by_them = trees.whole.prove_consistency(usize::try_from(size - from).unwrap());
        prop_assert_eq!(&path, &hashes(made_by_them.as_bytes()));

        for wrong in mangled(&path, at) {
            prop_assert!(verify_consistency(from, size, &wrong, &older, &newer).is_err());
        }
        let mut other = older;
        other[at % 32] ^= 1;
        prop_assert_eq!(verify_consistency(from, size, &path, &other, &newer), Err(ProofError::Root));
        prop_assert_eq!(trees.seed, seed);
    }

    /// The frontier of a head gives the right edge of every proof to it: no leaf of the last tile is read for those.
    #[test]
    fn a_frontier_is_a_source_of_nodes(size in 1_u64..2_000) {
        let mut frontier = Frontier::default();
        for index in 0..size {
            frontier.push(leaf_hash(&data(1, index)));
        }
        prop_assert_eq!(Nodes::of(&frontier).missing(&[Span { start: 0, end: size }]), []);
        prop_assert_eq!(Nodes::of(&frontier).root(Span { start: 0, end: size }), Some(frontier.root()));
    }
}
