//! What a verification found, as JSON and as a form to file.

use std::fmt::Write as _;
use std::time::Duration;

use ledger_core::audit::replay::{CHECKS, Finding, Outcome};
use ledger_core::domain::id::Position;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::store::tenant::Tenant;

use super::Options;

/// Findings kept of each kind of comparison; damage repeats itself.
pub(super) const FINDINGS_MAX: usize = 200;
/// Width of the form.
const WIDTH: usize = 100;

/// One thing that was compared with the replay.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// What.
    pub what: &'static str,
    /// How many rows, values or messages; none when it was not compared.
    pub count: Option<u64>,
    /// As of which position, where it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// What else is to be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was found of one tenant.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Its code.
    pub tenant: String,
    /// Its number.
    pub tenant_number: i64,
    /// Who wanted to know.
    pub asked_by: String,
    /// By the database's clock.
    pub started: Timestamp,
    /// By the database's clock.
    pub finished: Timestamp,
    /// Version of the program that looked.
    pub program: &'static str,
    /// The newest migration that program knows.
    pub schema: i64,
    /// Where the head stood.
    pub head: Position,
    /// Rows replayed.
    pub events: u64,
    /// Root of the tree over them.
    pub root: String,
    /// Replayed, folded and compared.
    pub events_per_second: u64,
    /// The largest size whose signed checkpoint holds.
    pub attested: Option<Position>,
    /// Value of all stock.
    pub stock_value: String,
    /// Balance of the inventory accounts.
    pub inventory_accounts: String,
    /// The position the views were compared at.
    pub views_at: Option<Position>,
    /// Cached values compared.
    pub cached_values: Option<u64>,
    /// What was compared with the replay.
    pub compared: Vec<Compared>,
    /// What does not hold.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(options: &Options, tenant: &Tenant, started: Timestamp) -> Self {
        Self {
            tenant: tenant.code.clone(),
            tenant_number: tenant.id.0,
            asked_by: options.asked_by.clone(),
            started,
            finished: started,
            program: options.program,
            schema: store::schema_version(),
            head: 0,
            events: 0,
            root: String::new(),
            events_per_second: 0,
            attested: None,
            stock_value: String::new(),
            inventory_accounts: String::new(),
            views_at: None,
            cached_values: None,
            compared: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Whether everything holds that was looked at.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn note_log(&mut self, outcome: &Outcome, took: Duration) {
        let (stock, inventory) = outcome.ledger.stock_and_inventory();
        let scale = outcome.ledger.money();
        self.events = outcome.events;
        self.root = super::root(&outcome.root);
        self.attested = outcome.attested;
        self.stock_value = super::money(stock, scale);
        self.inventory_accounts = super::money(inventory, scale);
        let per_second = u128::from(outcome.events).saturating_mul(1_000) / took.as_millis().max(1);
        self.events_per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
        self.findings.extend(outcome.findings.iter().cloned());
    }

    pub(super) fn found(&mut self, finding: Finding) {
        let of_its_kind = self.findings.iter().filter(|f| f.invariant == finding.invariant).count();
        if of_its_kind < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    pub(super) fn compared(&mut self, what: &'static str, count: usize, position: Option<Position>) {
        self.compared.push(Compared { what, count: u64::try_from(count).ok(), position, note: None });
    }

    pub(super) fn skipped(&mut self, what: &'static str, why: impl Into<String>) {
        self.compared.push(Compared { what, count: None, position: None, note: Some(why.into()) });
    }

    /// The form: header, scope, what was compared, findings, verdict.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let line = "=".repeat(WIDTH);
        let _ = writeln!(out, "{line}\nVERIFICATION OF A LEDGER\n{line}");
        let program = format!("ledgerd {}, schema {}", self.program, self.schema);
        for (name, value) in [
            ("tenant", format!("{} (number {})", self.tenant, self.tenant_number)),
            ("asked for by", self.asked_by.clone()),
            ("started", self.started.to_string()),
            ("finished", self.finished.to_string()),
            ("program", program),
        ] {
            let _ = writeln!(out, "{name:<16}{value}");
        }
        let _ = writeln!(out, "\nSCOPE\n{}", "-".repeat(WIDTH));
        let attested =
            self.attested.map_or_else(|| "by no checkpoint".to_owned(), |at| format!("by a checkpoint up to position {at}"));
        for (name, value) in [
            (
                "log",
                format!(
                    "positions 1 to {}, replayed from nothing ({} rows, {}/s)",
                    self.head, self.events, self.events_per_second
                ),
            ),
            ("root", self.root.clone()),
            ("attested", attested),
            ("stock value", self.stock_value.clone()),
            ("inventory", format!("{} on the inventory accounts", self.inventory_accounts)),
        ] {
            let _ = writeln!(out, "{name:<16}{value}");
        }
        let _ = writeln!(out, "\nCHECKED OF THE LOG\n{}", "-".repeat(WIDTH));
        for (word, sentence) in CHECKS {
            let _ = writeln!(out, "{}  {word}: {sentence}", self.mark(word));
        }
        let _ = writeln!(out, "\nCOMPARED WITH THE REPLAY\n{}", "-".repeat(WIDTH));
        for c in &self.compared {
            let _ = writeln!(out, "{:<26}{}", c.what, compared_text(c));
        }
        self.write_verdict(&mut out);
        out
    }

    fn mark(&self, word: &str) -> &'static str {
        if self.findings.iter().any(|f| f.invariant == word) { "NO " } else { "yes" }
    }

    fn write_verdict(&self, out: &mut String) {
        let _ = writeln!(out, "\nFINDINGS\n{}", "-".repeat(WIDTH));
        if self.is_clean() {
            let _ = writeln!(out, "none");
        }
        for f in &self.findings {
            let at = match f.until {
                None => format!("position {}", f.position),
                Some(until) => format!("positions {} to {until}", f.position),
            };
            let _ = writeln!(out, "tenant {}, {at}: {}: {}", self.tenant, f.invariant, f.what);
        }
        let verdict = if self.is_clean() { "everything that was looked at holds" } else { "NOT SOUND" };
        let _ = write!(out, "\nVERDICT\n{}\n{verdict}\n{}", "-".repeat(WIDTH), "=".repeat(WIDTH));
    }
}

fn compared_text(c: &Compared) -> String {
    let mut parts = Vec::new();
    parts.push(c.count.map_or_else(|| "not compared".to_owned(), |n| n.to_string()));
    parts.extend(c.position.map(|at| format!("as of position {at}")));
    parts.extend(c.note.clone());
    parts.join(", ")
}
