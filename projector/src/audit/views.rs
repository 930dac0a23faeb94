//! The tables of the views against a fold of the whole log.
//!
//! **Shape**: stored rows as of their cursor → [`Views::fold`], event by event up to it → [`Views::compare`]. Postings and
//! stock cards, which only ever grow, are compared a run of positions at a time ([`Digests`]) and not kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use ledger_core::audit::replay::Finding;
use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{LocationCode, Position, Sku, TenantId};
use sqlx::postgres::PgPool;

use super::Report;
use crate::Error;
use crate::view::{
    Appended, Balance, Card, CellKey, Digest, Digests, Level, PostingRow, Serial, Stored, Tables, cards_between, load_all,
    positions_of, postings_between, run_of,
};

/// Differences told per view.
const DIFFERENCES_MAX: usize = 10;
/// With so many findings, rows of postings and cards are not looked for one by one any more.
const APPENDED_FINDINGS_MAX: usize = 10 * DIFFERENCES_MAX;
/// Differing runs kept until they are looked at; those beyond are told as a whole.
const DIFFERING_RUNS_MAX: usize = 16;

/// A word for every finding here.
const INVARIANT: &str = "views_equal_replay";

/// What the log adds to the growing views in a run that the tables do not agree with.
struct Differing {
    last: Position,
    cards: Option<Vec<Card>>,
    postings: Option<Vec<PostingRow>>,
}

/// Stored views, and the fold they are compared with.
pub(super) struct Views {
    stored: Stored,
    folded: Tables,
    rows: usize,
    /// The newest event that was folded.
    last: Position,
    /// An event does not fit: there is nothing to compare with from there on.
    is_broken: bool,
    differing: Vec<Differing>,
    findings: Vec<Finding>,
}

impl Views {
    /// Every row of a tenant, as of one position.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn read(pool: &PgPool, tenant: TenantId) -> Result<Self, Error> {
        let stored = load_all(pool, tenant).await?;
        let (folded, differing, findings) = Default::default();
        Ok(Self { stored, folded, rows: 0, last: 0, is_broken: false, differing, findings })
    }

    /// The next event.
    pub(super) fn fold(&mut self, recorded: &Recorded) {
        let position = recorded.position;
        if position > self.stored.position || self.is_broken {
            return;
        }
        if let Err(error) = self.folded.fold(recorded) {
            self.findings.push(Finding::new(position, INVARIANT, error.to_string()));
            self.is_broken = true;
            return;
        }
        self.last = position;
        if position == self.stored.position || position == positions_of(run_of(position)).1 {
            self.compare_run(position);
        }
    }

    /// Compares what the events of one run added, and forgets it.
    fn compare_run(&mut self, last: Position) {
        let run = run_of(last);
        let cards = std::mem::take(&mut self.folded.cards);
        let postings = std::mem::take(&mut self.folded.postings);
        self.rows += cards.len() + postings.len();
        let cards = (self.stored.cards.take(run) != cards.iter().collect::<Digest>()).then_some(cards);
        let postings = (self.stored.postings.take(run) != postings.iter().collect::<Digest>()).then_some(postings);
        if cards.is_none() && postings.is_none() {
            return;
        }
        if self.differing.len() < DIFFERING_RUNS_MAX {
            self.differing.push(Differing { last, cards, postings });
        } else if self.findings.len() < APPENDED_FINDINGS_MAX {
            let (first, _) = positions_of(run);
            let what = "view_stock_card or view_posting differs from the replay in this run of positions";
            self.findings.push(Finding { until: Some(last), ..Finding::new(first, INVARIANT, what) });
        }
    }

    /// Finds which rows they are that differ.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn look_at_differences(&mut self, pool: &PgPool, tenant: TenantId) -> Result<(), Error> {
        for Differing { last, cards, postings } in std::mem::take(&mut self.differing) {
            let (first, _) = positions_of(run_of(last));
            if self.findings.len() >= APPENDED_FINDINGS_MAX {
                return Ok(());
            }
            if let Some(cards) = cards {
                let found = cards_between(pool, tenant, (first, last)).await?;
                let key = |c: &Card| (c.position, c.line, c.sku.clone(), c.location.clone());
                compare_appended("view_stock_card", cards, found, key, &mut self.findings);
            }
            if let Some(postings) = postings {
                let found = postings_between(pool, tenant, (first, last)).await?;
                let key = |p: &PostingRow| (p.position, p.line, p.account.clone(), p.currency.clone(), p.lane);
                compare_appended("view_posting", postings, found, key, &mut self.findings);
            }
        }
        Ok(())
    }

    /// Compares the rest; answers the fold and the position it stands at, if it came as far as the views.
    pub(super) fn compare(mut self, report: &mut Report) -> Option<(Tables, Position)> {
        let at = self.stored.position;
        let is_whole = !self.is_broken && self.last == at;
        if is_whole {
            compare_tables(&self.folded, &self.stored, &mut self.findings);
            report.views_at = Some(at);
            report.compared("views", self.rows + self.folded.rows_held(), Some(at));
        } else {
            report.skipped(
                "views",
                format!("they stand at position {at}, the log can be folded up to position {} only", self.last),
            );
        }
        self.findings.into_iter().for_each(|finding| report.found(finding));
        is_whole.then_some((self.folded, at))
    }
}

/// Rows by what the table has as their key, so that none stands for another; each finding names its row's own position.
fn compare_appended<R, K>(view: &'static str, folded: Vec<R>, found: Vec<R>, key: impl Fn(&R) -> K, findings: &mut Vec<Finding>)
where
    R: Appended + PartialEq + std::fmt::Debug,
    K: Eq + Hash + std::fmt::Debug,
{
    let by_position = |rows: Vec<R>| {
        let mut at: BTreeMap<Position, HashMap<K, R>> = BTreeMap::new();
        for row in rows {
            at.entry(row.position()).or_default().insert(key(&row), row);
        }
        at
    };
    let (mut folded, mut found) = (by_position(folded), by_position(found));
    let positions: BTreeSet<Position> = folded.keys().chain(found.keys()).copied().collect();
    for position in positions {
        let (folded, found) = (folded.remove(&position).unwrap_or_default(), found.remove(&position).unwrap_or_default());
        compare(view, &folded, &found, position, findings);
    }
}

/// Rows of events that the log does not have.
fn compare_rest(view: &'static str, rest: &Digests, findings: &mut Vec<Finding>) {
    for (run, digest) in rest.rest().take(DIFFERENCES_MAX) {
        let (first, last) = positions_of(run);
        let what = format!("{view} has {} rows of positions {first} to {last}, which the replay does not give", digest.rows());
        findings.push(Finding { until: Some(last), ..Finding::new(first, INVARIANT, what) });
    }
}

fn compare_tables(folded: &Tables, stored: &Stored, findings: &mut Vec<Finding>) {
    let at = stored.position;
    compare_rest("view_stock_card", &stored.cards, findings);
    compare_rest("view_posting", &stored.postings, findings);
    let pending: HashMap<_, _> =
        folded.entries.iter().flat_map(|(id, e)| e.pending().map(|(line, p)| ((id.clone(), line), p))).collect();
    compare("view_pending", &pending, &stored.pending, at, findings);
    let stored = &stored.tables;
    compare("view_item", &folded.items, &stored.items, at, findings);
    compare("view_stock_level", &flat(folded), &flat(stored), at, findings);
    compare("view_location", &folded.locations, &stored.locations, at, findings);
    compare("view_account", &folded.accounts, &stored.accounts, at, findings);
    compare("view_account_balance", &balances(folded), &balances(stored), at, findings);
    compare("view_entry", &folded.entries, &stored.entries, at, findings);
    compare("view_definition", &folded.definitions, &stored.definitions, at, findings);
    compare("view_reservation", &folded.reservations, &stored.reservations, at, findings);
    compare("view_hold", &holds(folded), &holds(stored), at, findings);
    compare("view_stock_cell", &cells(folded), &cells(stored), at, findings);
    compare("view_lot", &folded.lots, &stored.lots, at, findings);
    compare("view_serial", &on_hand(folded), &on_hand(stored), at, findings);
    compare("view_document", &folded.documents, &stored.documents, at, findings);
}

fn balances(tables: &Tables) -> HashMap<(String, String), Balance> {
    let rows = tables.balances.iter().flat_map(|(account, rows)| rows.iter().map(move |(currency, b)| (account, currency, b)));
    rows.map(|(account, currency, b)| ((account.to_string(), currency.to_string()), b.clone())).collect()
}

fn flat(tables: &Tables) -> HashMap<(String, String), Level> {
    let level = |(sku, levels): (&Sku, &BTreeMap<_, _>)| {
        let sku = sku.to_string();
        levels
            .iter()
            .map(move |(location, level): (&LocationCode, &Level)| ((sku.clone(), location.to_string()), level.clone()))
            .collect::<Vec<_>>()
    };
    tables.levels.iter().flat_map(level).collect()
}

fn cells(tables: &Tables) -> HashMap<(String, CellKey), i64> {
    let of_sku = |(sku, cells): (&Sku, &BTreeMap<CellKey, i64>)| {
        let sku = sku.to_string();
        cells.iter().map(move |(key, units)| ((sku.clone(), key.clone()), *units)).collect::<Vec<_>>()
    };
    tables.cells.iter().flat_map(of_sku).collect()
}

/// Units that are there; the fold also knows those that left.
fn on_hand(tables: &Tables) -> HashMap<(String, String), Serial> {
    let there = tables.serials.iter().filter_map(|((sku, serial), at)| Some((sku.to_string(), serial.to_string(), at.clone()?)));
    there.map(|(sku, serial, at)| ((sku, serial), at)).collect()
}

fn holds(tables: &Tables) -> HashMap<String, BTreeSet<(i64, String, i32)>> {
    let open = tables.holds.iter().filter(|(_, holds)| !holds.is_empty());
    open.map(|(sku, holds)| (sku.to_string(), holds.iter().map(|(at, id, line)| (at.0, id.to_string(), *line)).collect()))
        .collect()
}

fn compare<K, V>(view: &'static str, folded: &HashMap<K, V>, stored: &HashMap<K, V>, at: i64, findings: &mut Vec<Finding>)
where
    K: Eq + Hash + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    let differing = folded.iter().filter(|(key, row)| stored.get(*key) != Some(row)).map(|(key, row)| (key, Some(row)));
    let surplus = stored.keys().filter(|key| !folded.contains_key(*key)).map(|key| (key, None));
    for (key, row) in differing.chain(surplus).take(DIFFERENCES_MAX) {
        let what = match (row, stored.get(key)) {
            (Some(row), Some(stored)) => format!("{view} {key:?} holds {stored:?}, the replay gives {row:?}"),
            (Some(_), None) => format!("{view} lacks {key:?}"),
            (None, _) => format!("{view} has {key:?}, which the replay does not give"),
        };
        findings.push(Finding::new(at, INVARIANT, what));
    }
}
