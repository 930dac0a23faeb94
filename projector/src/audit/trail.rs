//! The tree's stored nodes and the mentions against the replay, as far as the trail has come.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher};

use futures::TryStreamExt;
use ledger_core::audit::merkle::Hash;
use ledger_core::audit::replay::Finding;
use ledger_core::audit::row::Stored;
use ledger_core::domain::command::Context;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::view::trail::{Mention, RUN, run_of, run_start, words};
use sqlx::Row;
use sqlx::postgres::PgPool;

use super::Report;
use crate::Error;

/// Words of a run: how many, and the sum of their hashes, so that neither has to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Words {
    count: u64,
    sum: u64,
}

impl Words {
    fn add(&mut self, kind: i16, word: &str) {
        let mut hasher = DefaultHasher::new();
        (kind, word).hash(&mut hasher);
        (self.count, self.sum) = (self.count.wrapping_add(1), self.sum.wrapping_add(hasher.finish()));
    }
}

/// What the trail has stored, and what the log says in the run it is read at.
pub(super) struct Trail {
    cursor: Position,
    /// The newest event that was folded.
    last: Position,
    nodes: BTreeMap<(i16, i64), Vec<u8>>,
    mentions: BTreeMap<i64, Words>,
    /// Of the command under way.
    context: Context,
    /// Of the run under way.
    words: BTreeSet<(Mention, String)>,
    findings: Vec<Finding>,
}

impl Trail {
    /// Every node of a tenant, and its mentions a digest per run.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn read(pool: &PgPool, tenant: TenantId) -> Result<Self, Error> {
        let mut tx = pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        let cursor: Option<i64> = sqlx::query_scalar("SELECT position FROM trail_cursor WHERE tenant_id = $1")
            .bind(tenant.0)
            .fetch_optional(&mut *tx)
            .await?;
        let mut nodes = BTreeMap::new();
        let rows = sqlx::query("SELECT level, index, hash FROM view_tree_node WHERE tenant_id = $1");
        let mut rows = rows.bind(tenant.0).fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            nodes.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
        }
        drop(rows);
        let mut mentions: BTreeMap<i64, Words> = BTreeMap::new();
        let rows = sqlx::query("SELECT kind, word, run FROM view_mention WHERE tenant_id = $1");
        let mut rows = rows.bind(tenant.0).fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            mentions.entry(row.try_get(2)?).or_default().add(row.try_get(0)?, row.try_get(1)?);
        }
        drop(rows);
        tx.rollback().await?;
        let (context, words, findings) = Default::default();
        Ok(Self { cursor: cursor.unwrap_or(0), last: 0, nodes, mentions, context, words, findings })
    }

    /// The next event.
    pub(super) fn fold(&mut self, stored: &Stored) {
        let position = stored.recorded.position;
        if position > self.cursor {
            return;
        }
        self.last = position;
        if let Some(command) = &stored.command {
            self.context.clone_from(&command.meta.context);
        }
        for (kind, word) in words(&self.context, &stored.recorded.fact.note) {
            self.words.insert((kind, word.to_owned()));
        }
        let run = run_of(position);
        if position != run_start(run).saturating_add(RUN) {
            return;
        }
        let mut expected = Words::default();
        std::mem::take(&mut self.words).iter().for_each(|(kind, word)| expected.add(kind.number(), word));
        if self.mentions.remove(&run).unwrap_or_default() != expected {
            self.differs(run, "view_mention does not name the words that these events mention");
        }
    }

    fn differs(&mut self, run: i64, what: &'static str) {
        let first = run_start(run).saturating_add(1);
        let finding = Finding::new(first, "trail_equals_replay", what);
        self.findings.push(Finding { until: Some(first.saturating_add(RUN - 1)), ..finding });
    }

    /// Compares the nodes with those of the replay, from level 1 upwards.
    pub(super) fn compare(mut self, replayed: &[Vec<Hash>], report: &mut Report) {
        let count = self.nodes.len();
        let runs = self.cursor.div_euclid(RUN);
        let mut leaves = RUN;
        for (level, nodes) in (1_i16..).zip(replayed) {
            for (index, node) in (0_i64..).zip(nodes).take_while(|(index, _)| (index + 1).saturating_mul(leaves) <= self.cursor) {
                let stored = self.nodes.remove(&(level, index));
                if stored.as_deref() != Some(node) {
                    let is = if stored.is_some() { "is not the root" } else { "is missing: the root" };
                    let first = index.saturating_mul(leaves).saturating_add(1);
                    let what = format!("node {index} of level {level} {is} of its {leaves} leaves");
                    let finding = Finding::new(first, "trail_equals_replay", what);
                    self.findings.push(Finding { until: Some(first.saturating_add(leaves - 1)), ..finding });
                }
            }
            leaves = leaves.saturating_mul(RUN);
        }
        for (level, index) in self.nodes.into_keys() {
            let what = format!("node {index} of level {level} is not of this log");
            self.findings.push(Finding::new(self.cursor, "trail_equals_replay", what));
        }
        // Of runs that could not be folded nothing is known.
        let not_come_to = self.mentions.into_keys().filter(|_| self.last == self.cursor);
        for run in not_come_to {
            let what = format!("view_mention names run {run}, which the trail has not come to");
            self.findings.push(Finding::new(self.cursor, "trail_equals_replay", what));
        }
        report.compared("tree nodes", count, Some(self.cursor));
        report.compared("mentions, by run of 256", usize::try_from(runs).unwrap_or(0), Some(self.cursor));
        self.findings.into_iter().for_each(|finding| report.found(finding));
    }
}
