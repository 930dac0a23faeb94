//! What an auditor carries away: one tenant's log and the checkpoints signed over it, as lines of JSON, and its verifier,
//! which needs no database and no network.
//!
//! **Shape**: a [`Header`], a line for each row of the table `event` with all of its columns, a line for each checkpoint.
//! [`verify`]: lines → [`Read`] (parsed, hashed and decoded, by several threads) → in order: [`Replay`] → roots compared
//! with the signed checkpoints and with those that were kept elsewhere → a [`Report`].
//! **Correctness**: 1. A line is what its values are written as, byte for byte, or it is a finding: nothing can be changed
//! that is not a value. 2. Whoever makes the file cannot be trusted with any of it: the header and the leaf checks only help
//! to say where damage is. What counts is that the roots computed from the rows are those that a key signed, and a key
//! counts only if the auditor named it. 3. A file that was cut, log and checkpoints alike, is sound by itself: only a newer
//! checkpoint that was kept elsewhere tells. 4. Events after the last checkpoint are attested by nobody; the report says how
//! far the signatures reach.

mod line;
mod workers;

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::merkle::{Hash, hex};
use super::note::{self, NoteError, Verifier};
use super::replay::{Claim, Finding, Outcome, Replay};
use super::row::{Raw, Read};
use crate::domain::event::Event;
use crate::domain::id::Position;
use crate::view::wide_decimal;
use line::{Lines, canonical};
use workers::in_order;

/// The form described here.
const FORM: u32 = 1;
/// Lines that are looked at together.
const LINES_AT_ONCE: usize = 4_096;
/// Findings kept of the file itself; those of the log have a limit of their own.
const FINDINGS_MAX: usize = 100;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The form of the file.
    pub bundle: u32,
    /// Code of the tenant.
    pub tenant: String,
    /// Its number: what its rows begin with.
    pub tenant_id: i64,
    /// The log's name in its checkpoints.
    pub origin: String,
    /// Rows that follow.
    pub position: Position,
    /// Root of the tree over them, in hex, as the head of the log had it.
    pub root: String,
    /// Sizes of the checkpoints that follow the rows.
    pub checkpoints: Vec<Position>,
    /// Keys that the log's owner says to sign with. Not to be believed.
    pub verifier_keys: Vec<String>,
}

impl Header {
    /// A header of the present form.
    #[must_use]
    pub fn new(tenant: (&str, i64), origin: String, (position, root): (Position, &Hash)) -> Self {
        let (checkpoints, verifier_keys) = Default::default();
        let root = hex(root);
        Self {
            bundle: FORM,
            tenant: tenant.0.to_owned(),
            tenant_id: tenant.1,
            origin,
            position,
            root,
            checkpoints,
            verifier_keys,
        }
    }

    /// Writes its line.
    ///
    /// # Errors
    /// [`io::Error`] of the writer.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_line(out, self)
    }
}

/// A row of the table `event`; bytes are in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLine {
    tenant_id: i64,
    position: i64,
    stream: i64,
    stream_version: i64,
    recorded_at: i64,
    effective_at: Option<i64>,
    r#type: i16,
    schema_version: i16,
    leaf_check: i32,
    payload: Bytes,
    command_id: Option<Bytes>,
    fingerprint: Option<Bytes>,
    stream_key: Option<Bytes>,
    meta: Option<Bytes>,
}

/// Bytes that are base64 in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A signed note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    checkpoint: String,
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Writes a row's line.
///
/// # Errors
/// [`io::Error`] of the writer.
pub fn write_row(out: &mut impl Write, raw: &Raw) -> io::Result<()> {
    let uuid = |bytes: Option<[u8; 16]>| bytes.map(|b| Bytes(b.to_vec()));
    let line = EventLine {
        tenant_id: raw.tenant.0,
        position: raw.position,
        stream: raw.stream,
        stream_version: raw.stream_version,
        recorded_at: raw.recorded_at.0,
        effective_at: raw.effective_at.map(|t| t.0),
        r#type: raw.type_number,
        schema_version: raw.schema_version,
        leaf_check: raw.leaf_check,
        payload: Bytes(raw.payload.clone()),
        command_id: uuid(raw.command_id),
        fingerprint: uuid(raw.fingerprint),
        stream_key: uuid(raw.stream_key),
        meta: raw.meta.clone().map(Bytes),
    };
    write_line(out, &line)
}

/// Writes a checkpoint's line.
///
/// # Errors
/// [`io::Error`] of the writer.
pub fn write_checkpoint(out: &mut impl Write, note: &str) -> io::Result<()> {
    write_line(out, &CheckpointLine { checkpoint: note.to_owned() })
}

/// What the auditor knows beside the file.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Keys that checkpoints may be signed with.
    pub verifiers: Vec<Verifier>,
    /// Checkpoints that were kept elsewhere: what to call each, and its note.
    pub witnessed: Vec<(String, String)>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Code of the tenant, as the file has it.
    pub tenant: String,
    /// The log's name, as the file has it.
    pub origin: String,
    /// Rows in the file.
    pub events: u64,
    /// Root of the tree over them.
    pub root: String,
    /// Checkpoints in the file and given beside it that a known key signed.
    pub checkpoints: usize,
    /// The largest size that a signed checkpoint attests; later events are attested by nobody.
    pub attested: Option<Position>,
    /// Value of all stock.
    pub stock_value: String,
    /// Balance of the inventory accounts.
    pub inventory_accounts: String,
    /// What does not hold.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether everything holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// A verification under way.
struct Work<'a> {
    trust: &'a Trust,
    header: Header,
    replay: Replay,
    claims: Vec<Claim>,
    signed: usize,
    /// Rows of the tenant that the header names.
    code: Option<String>,
    findings: Vec<Finding>,
}

/// Verifies a file, not compressed. `workers` is how many threads parse, hash and decode beside the one that folds; with
/// none, that one does it all.
#[must_use]
pub fn verify(input: impl BufRead, trust: &Trust, workers: usize) -> Report {
    let mut lines = Lines::new(input);
    let mut findings = Vec::new();
    let first = lines.next().unwrap_or_else(|| Err("the file is empty".to_owned()));
    let header = match first.and_then(|line| canonical::<Header>(&line)) {
        Ok(header) => header,
        Err(why) => {
            findings.push(Finding::new(0, "lines_are_as_written", format!("line 1 is no header of a bundle: {why}")));
            return Report::nothing(findings);
        }
    };
    let mut work = Work::new(trust, header, findings);
    work.check_header();
    let last = in_order(&mut lines, workers, &mut |batch| work.take(batch));
    work.check_checkpoints(last, &mut lines);
    work.finish()
}

impl Report {
    const fn nothing(findings: Vec<Finding>) -> Self {
        Self {
            tenant: String::new(),
            origin: String::new(),
            events: 0,
            root: String::new(),
            checkpoints: 0,
            attested: None,
            stock_value: String::new(),
            inventory_accounts: String::new(),
            findings,
        }
    }
}

/// A line where a row should be.
enum Row {
    Event(Box<Read>),
    /// It is none, and why.
    Bad(String),
}

/// Looks at a line by itself.
fn row(line: &str, scratch: &mut Vec<u8>) -> Row {
    let e = match canonical::<EventLine>(line) {
        Ok(line) => line,
        Err(why) => return Row::Bad(why),
    };
    let uuid = |bytes: Option<Bytes>| bytes.map(|b| <[u8; 16]>::try_from(b.0)).transpose();
    let (Ok(command_id), Ok(fingerprint), Ok(stream_key)) = (uuid(e.command_id), uuid(e.fingerprint), uuid(e.stream_key)) else {
        return Row::Bad("an id is not 16 bytes".to_owned());
    };
    let meta = e.meta.map(|m| m.0);
    let row = super::leaf::Row {
        tenant: e.tenant_id,
        position: e.position,
        stream: e.stream,
        stream_version: e.stream_version,
        recorded_at: e.recorded_at,
        effective_at: e.effective_at,
        type_number: e.r#type,
        schema_version: e.schema_version,
        payload: &e.payload.0,
        command_id: command_id.as_ref(),
        fingerprint: fingerprint.as_ref(),
        stream_key: stream_key.as_ref(),
        meta: meta.as_deref(),
    };
    Row::Event(Box::new(Read::new(&row, e.leaf_check, scratch)))
}

/// Whether a line is of a checkpoint, the part of the file after the rows.
fn is_checkpoint(line: &str) -> bool {
    line.starts_with("{\"checkpoint\"")
}

impl<'a> Work<'a> {
    fn new(trust: &'a Trust, header: Header, findings: Vec<Finding>) -> Self {
        let mut work = Self { trust, header, replay: Replay::default(), claims: Vec::new(), signed: 0, code: None, findings };
        for (name, text) in &trust.witnessed {
            match work.open(text) {
                Ok(checkpoint) => work.claim(&checkpoint, format!("the checkpoint {name}")),
                Err(why) => work.find(0, "checkpoints_are_signed", format!("the checkpoint {name}: {why}")),
            }
        }
        let sizes = work.claims.iter().map(|claim| claim.size).chain(work.header.checkpoints.iter().copied());
        work.replay = Replay::new(sizes.chain([work.header.position]));
        work
    }

    fn find(&mut self, position: Position, invariant: &'static str, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding::new(position, invariant, what));
        }
    }

    fn check_header(&mut self) {
        let h = &self.header;
        let mut wrong = Vec::new();
        if h.bundle != FORM {
            wrong.push(format!("the file has form {}, this program knows {FORM}", h.bundle));
        }
        if h.position < 0 || !h.checkpoints.is_sorted_by(|a, b| a < b) || h.checkpoints.first().is_some_and(|size| *size < 0) {
            wrong.push("sizes are not in order".to_owned());
        }
        let name = h.origin.strip_suffix(&h.tenant).and_then(|name| name.strip_suffix('/'));
        if name.is_none_or(str::is_empty) {
            wrong.push(format!("{} is not the origin of a tenant {}", h.origin, h.tenant));
        }
        for key in &h.verifier_keys {
            match key.parse::<Verifier>() {
                Ok(key) if Some(key.id().name.as_str()) == name => {}
                Ok(key) => wrong.push(format!("the key {} is not of {}", key.id(), h.origin)),
                Err(error) => wrong.push(format!("{key} is no verifier key: {error}")),
            }
        }
        wrong.into_iter().for_each(|what| self.find(0, "header_fits_the_log", what));
    }

    /// A note that a known key signed, of this log.
    fn open(&mut self, text: &str) -> Result<Checkpoint, String> {
        match Checkpoint::open(text, &self.trust.verifiers, &self.header.origin) {
            Ok((checkpoint, _)) => {
                self.signed = self.signed.saturating_add(1);
                Ok(checkpoint)
            }
            Err(super::checkpoint::CheckpointError::Note(NoteError::Unverified)) if self.trust.verifiers.is_empty() => {
                let text = note::text(text).map_err(|e| e.to_string())?;
                Checkpoint::parse(text).map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn claim(&mut self, checkpoint: &Checkpoint, by: String) {
        let size = Position::try_from(checkpoint.size).unwrap_or(Position::MAX);
        self.claims.push(Claim { size, root: checkpoint.root, by });
    }

    /// Rows, in order.
    fn take(&mut self, rows: Vec<Row>) {
        for row in rows {
            match row {
                Row::Event(read) => self.take_event(*read),
                Row::Bad(why) => {
                    let next = self.replay.position().saturating_add(1);
                    self.find(next, "lines_are_as_written", format!("the line of position {next} is not a row: {why}"));
                }
            }
        }
    }

    fn take_event(&mut self, read: Read) {
        let (position, tenant) = (read.position, read.tenant.0);
        if tenant != self.header.tenant_id {
            let what = format!("the row is of tenant {tenant}, the file of tenant {}", self.header.tenant_id);
            self.find(position, "rows_are_the_tenants", what);
        }
        if let Some(stored) = self.replay.push(read)
            && let Event::TenantOpened(opened) = &stored.recorded.fact.event
        {
            self.code = Some(opened.code.to_string());
        }
    }

    fn check_checkpoints(&mut self, first: Option<Result<String, String>>, lines: &mut Lines<impl BufRead>) {
        let end = self.replay.position();
        let mut sizes = self.header.checkpoints.clone().into_iter();
        for line in first.into_iter().chain(lines) {
            let expected = sizes.next();
            let at = expected.unwrap_or(end);
            let line = line.and_then(|line| canonical::<CheckpointLine>(&line));
            match line.and_then(|line| self.open(&line.checkpoint)) {
                Ok(checkpoint) if Position::try_from(checkpoint.size).ok() == expected => {
                    self.claim(&checkpoint, format!("its checkpoint of size {at}"));
                }
                Ok(checkpoint) => {
                    let what = format!("a checkpoint of size {} stands where the header does not name it", checkpoint.size);
                    self.find(at, "header_fits_the_log", what);
                }
                Err(why) => self.find(at, "checkpoints_are_signed", format!("the line of the checkpoint of size {at}: {why}")),
            }
        }
        let missing: Vec<Position> = sizes.collect();
        for size in missing {
            self.find(size, "header_fits_the_log", format!("the checkpoint of size {size}, which the header names, is missing"));
        }
    }

    fn finish(mut self) -> Report {
        let end = self.replay.position();
        if self.code.as_ref() != Some(&self.header.tenant) && end > 0 {
            let what =
                format!("the log is of tenant {}, the file of {}", self.code.as_deref().unwrap_or("?"), self.header.tenant);
            self.find(1, "header_fits_the_log", what);
        }
        let trusts_nobody = self.trust.verifiers.is_empty();
        let Outcome { ledger, events, root, attested, findings, .. } = self.replay.finish(None, self.claims);
        let mut all = self.findings;
        all.extend(findings);
        if Position::try_from(events) != Ok(self.header.position) {
            let what = format!("the header says {} rows, the file has {events}", self.header.position);
            let first = end.min(self.header.position).saturating_add(1);
            all.push(Finding {
                until: Some(first.max(self.header.position)),
                ..Finding::new(first, "header_fits_the_log", what)
            });
        } else if hex(&root) != self.header.root {
            let first = attested.unwrap_or(0).saturating_add(1);
            let what = "the rows do not have the root that the head of the log had";
            let until = Some(end.max(first));
            all.push(Finding { until, ..Finding::new(first, "header_fits_the_log", what) });
        }
        let (stock, inventory) = ledger.stock_and_inventory();
        Report {
            tenant: self.header.tenant,
            origin: self.header.origin,
            events,
            root: hex(&root),
            checkpoints: self.signed,
            attested: if trusts_nobody { None } else { attested },
            stock_value: wide_decimal(stock, ledger.money()),
            inventory_accounts: wide_decimal(inventory, ledger.money()),
            findings: all,
        }
    }
}
