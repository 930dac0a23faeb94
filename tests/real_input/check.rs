//! Expected against read figures, and the report of it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::client::Counters;
use crate::dispatch::Sent;

/// One line of the table: how many figures were compared, and the first that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    what: String,
    compared: usize,
    differing: usize,
    first: Option<String>,
}

/// Everything one run has to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    title: String,
    checks: Vec<Check>,
    totals: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn new(title: String) -> Self {
        Self { title, ..Self::default() }
    }

    /// True when no figure differs.
    pub(crate) fn ties(&self) -> bool {
        self.checks.iter().all(|check| check.differing == 0)
    }

    /// Compares figure by figure; one that is on one side only differs.
    pub(crate) fn compare<T: PartialEq + Debug>(
        &mut self,
        what: &str,
        expected: &BTreeMap<String, T>,
        found: &BTreeMap<String, T>,
    ) {
        let missing = expected.keys().filter(|key| !found.contains_key(*key));
        let other = found.keys().filter(|key| expected.get(*key) != found.get(*key));
        let mut differing: Vec<&String> = missing.chain(other).collect();
        differing.sort();
        let first = differing.first().map(|key| format!("{key}: expected {:?}, found {:?}", expected.get(*key), found.get(*key)));
        self.checks.push(Check { what: what.to_owned(), compared: expected.len(), differing: differing.len(), first });
    }

    /// Compares one figure.
    pub(crate) fn figure(&mut self, what: &str, expected: Decimal, found: Decimal) {
        let one = |figure| BTreeMap::from([(String::from("total"), figure)]);
        self.compare(what, &one(expected), &one(found));
        self.total(what, found);
    }

    /// A figure to show, not to compare.
    pub(crate) fn total(&mut self, what: &str, figure: impl ToString) {
        self.totals.push((what.to_owned(), figure.to_string()));
    }

    /// How the sending went.
    pub(crate) fn sent(&mut self, sent: Sent, counters: &Counters) {
        self.total("requests", sent.requests);
        self.total("commands", sent.commands);
        self.total("seconds", format!("{}.{:03}", sent.time.as_secs(), sent.time.subsec_millis()));
        self.total("requests per second", per_second(sent.requests, sent.time));
        self.total("commands per second", per_second(sent.commands, sent.time));
        let counted: [(&str, &AtomicU64); 7] = [
            ("attempts", &counters.attempts),
            ("sent again after the answer", &counters.repeated_after),
            ("sent twice at once", &counters.repeated_together),
            ("told: in progress", &counters.in_progress),
            ("told: unavailable", &counters.unavailable),
            ("told: too many", &counters.rate_limited),
            ("connections broken", &counters.broken),
        ];
        for (what, counter) in counted {
            self.total(what, counter.load(Ordering::Relaxed));
        }
        self.total("last position", sent.position);
    }

    fn json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|c| json!({"check": c.what, "compared": c.compared, "differing": c.differing, "first": c.first}))
            .collect();
        let totals: BTreeMap<&str, &str> = self.totals.iter().map(|(what, figure)| (what.as_str(), figure.as_str())).collect();
        json!({"run": self.title, "ties": self.ties(), "checks": checks, "totals": totals})
    }

    fn table(&self) -> String {
        let mut lines = vec![String::new(), self.title.clone()];
        for c in &self.checks {
            let verdict = if c.differing == 0 { "ties" } else { "DIFFERS" };
            let ties = c.compared.saturating_sub(c.differing);
            lines.push(format!("  {verdict:8} {:44} {ties:>6} of {:>6}", c.what, c.compared));
            lines.extend(c.first.iter().map(|first| format!("           {first}")));
        }
        lines.push(String::new());
        lines.extend(self.totals.iter().map(|(what, figure)| format!("  {what:44} {figure:>20}")));
        lines.join("\n")
    }
}

fn per_second(count: usize, time: Duration) -> u128 {
    let millis = time.as_millis().max(1);
    u128::try_from(count).unwrap_or(u128::MAX).saturating_mul(1_000) / millis
}

/// Prints every report: tables for a person, one JSON document with `--json`.
pub(crate) fn show(reports: &[Report], as_json: bool) -> Result<()> {
    let text = if as_json {
        serde_json::to_string_pretty(&reports.iter().map(Report::json).collect::<Vec<_>>())?
    } else {
        let verdict = if reports.iter().all(Report::ties) { "all figures tie" } else { "FIGURES DIFFER" };
        let tables: Vec<String> = reports.iter().map(Report::table).collect();
        format!("{}\n\n{verdict}", tables.join("\n"))
    };
    writeln!(std::io::stdout(), "{text}").context("cannot write the report")
}
