//! Proofs over a tenant's log: what the tree's builder lacks is read here, and every proof is checked before it goes out.
//!
//! **Shape**: head → spans a proof takes → stored nodes, and leaves hashed from their rows (a tile of 256 by full key) →
//! path → checked against the head's root.
//! **Correctness**: 1. Nothing is given out that does not lead to the root that the head recorded when the events were
//! appended: for a smaller size the answer's root is itself proven to be a prefix of the head's tree. A changed row, node
//! or head is [`ProveError::Damaged`]. 2. Events and nodes never change, so the statements need no common snapshot.
//! 3. Where nodes are not there yet, the log is read instead, at most [`LEAVES_MAX`] events of it.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::postgres::PgPool;

use super::Error;
use super::read::{self, Raw, columns, raw};
use crate::audit::leaf;
use crate::audit::merkle::{Frontier, Hash};
use crate::audit::proof::{
    ProofError, consistency, consistency_spans, inclusion, inclusion_spans, verify_consistency, verify_inclusion,
};
use crate::audit::tree::{LEVEL_BITS, Nodes, Span, Subtree, TILE};
use crate::domain::id::{Position, TenantId};

/// Events read for one proof at most: 256 tiles. A proof in a tree whose nodes are there takes four tiles at most; this
/// is what a log may be ahead of its nodes.
pub const LEAVES_MAX: usize = 65_536;
/// Tiles of rows asked for at once: 4,096 rows.
const TILES_AT_ONCE: usize = 16;
/// Rows of a page where a whole log is hashed.
const PAGE_ROWS: i64 = 4_096;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The database said no, or could not be reached.
    #[error(transparent)]
    Store(#[from] Error),
    /// There is no such log.
    #[error("tenant {0} has no log")]
    NoLog(TenantId),
    /// Positions or sizes that this log does not have.
    #[error("{0}")]
    Impossible(String),
    /// The tree's nodes are being written, and too many are not there yet.
    #[error("the nodes of the tree are not there yet")]
    Behind,
    /// The log is not what was appended.
    #[error("tenant {tenant}: the log is damaged: {what}")]
    Damaged {
        /// Whose log.
        tenant: TenantId,
        /// What does not fit.
        what: String,
    },
}

impl From<sqlx::Error> for ProveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An event's place in the tree, proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Which event; its leaf's index is one less.
    pub position: Position,
    /// Size of the tree.
    pub size: u64,
    /// Size of the whole log, against which it was checked.
    pub head: u64,
    /// Root of that tree.
    pub root: Hash,
    /// The leaf's hash.
    pub leaf_hash: Hash,
    /// What is hashed for it, behind a zero byte ([`crate::audit::leaf`]).
    pub leaf: Vec<u8>,
    /// RFC 6962 §2.1.1, nearest first.
    pub path: Vec<Hash>,
}

/// Two sizes of a tree, the smaller proven to be the beginning of the larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Size of the older tree.
    pub from: u64,
    /// Its root.
    pub from_root: Hash,
    /// Size of the newer tree.
    pub to: u64,
    /// Its root.
    pub to_root: Hash,
    /// RFC 6962 §2.1.2.
    pub path: Vec<Hash>,
    /// Size of the whole log, against which it was checked.
    pub head: u64,
}

/// Proves that the event at a position is in the tree of a size, or in that of the whole log.
///
/// # Errors
/// [`ProveError`].
pub async fn prove_inclusion(
    pool: &PgPool,
    tenant: TenantId,
    position: Position,
    size: Option<u64>,
) -> Result<Inclusion, ProveError> {
    let mut tree = Tree::open(pool, tenant).await?;
    let size = tree.size_or_head(size)?;
    let index = position.checked_sub(1).and_then(|index| u64::try_from(index).ok()).filter(|index| *index < size);
    let index = index.ok_or_else(|| ProveError::Impossible(format!("position {position} is not among the first {size}")))?;
    tree.keep = Some(index);
    tree.gather(&[inclusion_spans(index, size), prefix_spans(size, tree.head.size())].concat()).await?;
    let root = tree.root(size)?;
    let (leaf_hash, leaf) = tree.kept.take().ok_or_else(|| tree.lacking())?;
    let path = inclusion(&tree.nodes, index, size).ok_or_else(|| tree.lacking())?;
    let what = |e: ProofError| tree.damaged(format!("position {position} or its neighbours are not what was appended: {e}"));
    verify_inclusion(&leaf_hash, index, size, &path, &root).map_err(what)?;
    Ok(Inclusion { position, size, head: tree.head.size(), root, leaf_hash, leaf, path })
}

/// Proves that the tree of one size is the beginning of that of another, or of the whole log.
///
/// # Errors
/// [`ProveError`].
pub async fn prove_consistency(pool: &PgPool, tenant: TenantId, from: u64, to: Option<u64>) -> Result<Consistency, ProveError> {
    let mut tree = Tree::open(pool, tenant).await?;
    let to = tree.size_or_head(to)?;
    if from == 0 || from > to {
        return Err(ProveError::Impossible(format!("from must be from 1 to {to}")));
    }
    let head = tree.head.size();
    tree.gather(&[consistency_spans(from, to), prefix_spans(from, head), prefix_spans(to, head)].concat()).await?;
    let (from_root, to_root) = (tree.root(from)?, tree.root(to)?);
    let path = consistency(&tree.nodes, from, to).ok_or_else(|| tree.lacking())?;
    let what = |e: ProofError| tree.damaged(format!("its first {from} events are not the beginning of its first {to}: {e}"));
    verify_consistency(from, to, &path, &from_root, &to_root).map_err(what)?;
    Ok(Consistency { from, from_root, to, to_root, path, head })
}

/// The root of the tree over the first `size` events, proven to be the beginning of the head's tree.
///
/// # Errors
/// [`ProveError`].
pub async fn root_at(pool: &PgPool, tenant: TenantId, size: u64) -> Result<Hash, ProveError> {
    let mut tree = Tree::open(pool, tenant).await?;
    let size = tree.size_or_head(Some(size))?;
    tree.gather(&prefix_spans(size, tree.head.size())).await?;
    tree.root(size)
}

/// As [`root_at`], from the log alone however long it is: for one-shot work where the nodes are not there yet.
///
/// # Errors
/// [`ProveError`].
pub async fn root_from_log(pool: &PgPool, tenant: TenantId, size: u64) -> Result<Hash, ProveError> {
    let mut tree = Frontier::default();
    let mut scratch = Vec::new();
    while tree.size() < size {
        let after = i64::try_from(tree.size()).unwrap_or(i64::MAX);
        let left = i64::try_from(size - tree.size()).unwrap_or(i64::MAX);
        let rows = read::raw_page(pool, tenant, after, left.min(PAGE_ROWS)).await?;
        if rows.is_empty() {
            return Err(ProveError::Impossible(format!("the log has {after} events, not {size}")));
        }
        for row in rows {
            if u64::try_from(row.position).ok() != Some(tree.size() + 1) {
                let what = format!("position {} follows {}", row.position, tree.size());
                return Err(ProveError::Damaged { tenant, what });
            }
            tree.push(row.leaf_hash(&mut scratch));
        }
    }
    Ok(tree.root())
}

/// What it takes to know a size's root and that it is a prefix of the head's tree.
fn prefix_spans(size: u64, head: u64) -> Vec<Span> {
    let mut spans = consistency_spans(size, head);
    spans.push(Span { start: 0, end: size });
    spans
}

/// A tenant's tree at its head, as far as it was read.
struct Tree<'a> {
    pool: &'a PgPool,
    tenant: TenantId,
    head: Frontier,
    nodes: Nodes,
    leaves_read: usize,
    /// Index of the leaf whose row is wanted, also where its hash is known.
    keep: Option<u64>,
    /// Hash and bytes of that row.
    kept: Option<(Hash, Vec<u8>)>,
}

impl<'a> Tree<'a> {
    async fn open(pool: &'a PgPool, tenant: TenantId) -> Result<Self, ProveError> {
        let head = read::head(pool, tenant).await?.filter(|head| head.position > 0).ok_or(ProveError::NoLog(tenant))?;
        let nodes = Nodes::of(&head.frontier);
        Ok(Self { pool, tenant, head: head.frontier, nodes, leaves_read: 0, keep: None, kept: None })
    }

    fn damaged(&self, what: impl Into<String>) -> ProveError {
        ProveError::Damaged { tenant: self.tenant, what: what.into() }
    }

    /// For what [`Tree::gather`] has made sure of.
    fn lacking(&self) -> ProveError {
        self.damaged("a node that was just read is not there")
    }

    fn size_or_head(&self, size: Option<u64>) -> Result<u64, ProveError> {
        let head = self.head.size();
        match size {
            None => Ok(head),
            Some(size) if (1..=head).contains(&size) => Ok(size),
            Some(size) => Err(ProveError::Impossible(format!("there is no tree of size {size}: the log has {head} events"))),
        }
    }

    /// The root at a size whose [`prefix_spans`] were gathered.
    fn root(&self, size: u64) -> Result<Hash, ProveError> {
        let head = self.head.size();
        let root = self.nodes.root(Span { start: 0, end: size }).ok_or_else(|| self.lacking())?;
        let path = consistency(&self.nodes, size, head).ok_or_else(|| self.lacking())?;
        verify_consistency(size, head, &path, &root, &self.head.root())
            .map_err(|e| self.damaged(format!("its first {size} events are not the beginning of what its head recorded: {e}")))?;
        Ok(root)
    }

    /// Reads what these spans take and is not there yet.
    async fn gather(&mut self, spans: &[Span]) -> Result<(), ProveError> {
        let mut wanted = self.nodes.missing(spans);
        let own = self.keep.map(Subtree::leaf).filter(|own| !wanted.contains(own));
        wanted.splice(0..0, own);
        let mut unwritten = Vec::new();
        while !wanted.is_empty() {
            let leaves = wanted.partition_point(|subtree| subtree.height == 0);
            let (leaves, stored) = wanted.split_at(leaves);
            self.read_leaves(leaves).await?;
            self.read_nodes(stored).await?;
            let absent: Vec<Subtree> = stored.iter().copied().filter(|node| !self.nodes.has(*node)).collect();
            if absent.len().saturating_mul(256).saturating_add(self.leaves_read) > LEAVES_MAX {
                return Err(ProveError::Behind);
            }
            wanted = absent.iter().flat_map(|node| children(*node)).filter(|node| !self.nodes.has(*node)).collect();
            wanted.sort_unstable();
            unwritten.extend(absent);
        }
        // From the leaves up.
        unwritten.sort_unstable();
        match unwritten.into_iter().find(|node| !self.nodes.merge(*node)) {
            Some(_) => Err(self.lacking()),
            None => Ok(()),
        }
    }

    async fn read_leaves(&mut self, leaves: &[Subtree]) -> Result<(), ProveError> {
        self.leaves_read = self.leaves_read.saturating_add(leaves.len());
        if self.leaves_read > LEAVES_MAX {
            return Err(ProveError::Behind);
        }
        let (mut scratch, runs) = (Vec::new(), runs(leaves));
        for runs in runs.chunks(TILES_AT_ONCE) {
            let (first, last): (Vec<i64>, Vec<i64>) =
                runs.iter().map(|run| (as_position(run.first), as_position(run.last))).unzip();
            // Each run by full key and in order, whatever the statistics say.
            let rows = sqlx::query(concat!(
                "SELECT ",
                columns!(),
                " FROM unnest($2::bigint[], $3::bigint[]) AS r (first_position, last_position) CROSS JOIN LATERAL ",
                "(SELECT * FROM event WHERE tenant_id = $1 AND position BETWEEN r.first_position AND r.last_position ",
                "ORDER BY position LIMIT 256) e"
            ))
            .bind(self.tenant.0)
            .bind(first)
            .bind(last)
            .fetch_all(self.pool)
            .await?;
            for row in &rows {
                self.take_leaf(&raw(row)?, &mut scratch)?;
            }
        }
        let is_absent = |leaf: &&Subtree| !self.nodes.has(**leaf) || (self.keep == Some(leaf.number) && self.kept.is_none());
        match leaves.iter().find(is_absent) {
            Some(leaf) => Err(self.damaged(format!("there is no event at position {}", as_position(leaf.number)))),
            None => Ok(()),
        }
    }

    fn take_leaf(&mut self, row: &Raw, scratch: &mut Vec<u8>) -> Result<(), ProveError> {
        let Some(index) = row.position.checked_sub(1).and_then(|index| u64::try_from(index).ok()) else { return Ok(()) };
        let hash = row.leaf_hash(scratch);
        if leaf::check(&hash) != row.leaf_check {
            return Err(self.damaged(format!("the event at position {} was changed after it was appended", row.position)));
        }
        // What the frontier knows of a last leaf stays: the proof is checked against it.
        if !self.nodes.has(Subtree::leaf(index)) {
            self.nodes.insert(Subtree::leaf(index), hash);
        }
        if self.keep == Some(index) {
            self.kept = Some((hash, scratch.clone()));
        }
        Ok(())
    }

    async fn read_nodes(&mut self, wanted: &[Subtree]) -> Result<(), ProveError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let (mut level, mut first, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for run in runs(wanted) {
            level.push(i16::from(run.height / LEVEL_BITS));
            first.push(i64::try_from(run.first).unwrap_or(i64::MAX));
            last.push(i64::try_from(run.last).unwrap_or(i64::MAX));
        }
        let rows = sqlx::query(
            "SELECT n.level, n.index, n.hash FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) \
             AS r (level, first_index, last_index) CROSS JOIN LATERAL \
             (SELECT * FROM view_tree_node WHERE tenant_id = $1 AND level = r.level \
              AND index BETWEEN r.first_index AND r.last_index ORDER BY index LIMIT 256) n",
        )
        .bind(self.tenant.0)
        .bind(level)
        .bind(first)
        .bind(last)
        .fetch_all(self.pool)
        .await?;
        for row in &rows {
            let (level, index): (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
            let hash: Option<Hash> = row.try_get::<&[u8], _>(2)?.try_into().ok();
            let (Ok(level), Ok(index), Some(hash)) = (u8::try_from(level), u64::try_from(index), hash) else {
                return Err(self.damaged("a node of its tree is none"));
            };
            self.nodes.insert(Subtree::stored(level, index), hash);
        }
        Ok(())
    }
}

fn as_position(index: u64) -> i64 {
    i64::try_from(index).map_or(i64::MAX, |index| index.saturating_add(1))
}

/// The 256 stored nodes, or leaves, below one.
fn children(node: Subtree) -> impl Iterator<Item = Subtree> {
    let height = node.height.saturating_sub(LEVEL_BITS);
    (0..TILE).map(move |at| Subtree { height, number: (node.number << LEVEL_BITS) | at })
}

/// Subtrees of one height and one tile, by their numbers.
struct Run {
    height: u8,
    first: u64,
    last: u64,
}

fn runs(subtrees: &[Subtree]) -> Vec<Run> {
    let mut tiles: BTreeMap<(u8, u64), Run> = BTreeMap::new();
    for s in subtrees {
        let run =
            tiles.entry((s.height, s.number >> LEVEL_BITS)).or_insert(Run { height: s.height, first: s.number, last: s.number });
        (run.first, run.last) = (run.first.min(s.number), run.last.max(s.number));
    }
    tiles.into_values().collect()
}
