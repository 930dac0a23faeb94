//! A bundle, altered in ten thousand ways.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use ledger_core::audit::bundle::{Header, Trust, verify, write_checkpoint};
use ledger_core::audit::checkpoint::Checkpoint;
use ledger_core::audit::keys::Keys;
use ledger_core::audit::leaf;
use ledger_core::audit::merkle::Frontier;
use ledger_core::audit::note::Signer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::busy;
use crate::harness::{LEDGERD, Parts, World};

/// Alterations of one run.
const ALTERATIONS: usize = 10_000;

/// A bundle in memory, as its lines; what is needed to alter it, and to sign it.
struct Bundle {
    header: Header,
    rows: Vec<String>,
    checkpoints: Vec<String>,
    keys: Keys,
}

/// What was done to a bundle, and which positions a finding must name.
struct Altered {
    what: String,
    text: Vec<u8>,
    at: (i64, i64),
}

fn b64(value: &Value) -> Option<Vec<u8>> {
    use base64::Engine as _;
    Some(base64::engine::general_purpose::STANDARD.decode(value.as_str()?).unwrap())
}

/// The leaf of a row's line.
fn leaf_of(row: &Value) -> [u8; 32] {
    let int = |name: &str| row[name].as_i64().unwrap();
    let small = |name: &str| i16::try_from(int(name)).unwrap();
    let id = |name: &str| b64(&row[name]).map(|b| <[u8; 16]>::try_from(b).unwrap());
    let (command_id, fingerprint, stream_key) = (id("command_id"), id("fingerprint"), id("stream_key"));
    let (payload, meta) = (b64(&row["payload"]).unwrap(), b64(&row["meta"]));
    let row = leaf::Row {
        tenant: int("tenant_id"),
        position: int("position"),
        stream: int("stream"),
        stream_version: int("stream_version"),
        recorded_at: int("recorded_at"),
        effective_at: row["effective_at"].as_i64(),
        type_number: small("type"),
        schema_version: small("schema_version"),
        payload: &payload,
        command_id: command_id.as_ref(),
        fingerprint: fingerprint.as_ref(),
        stream_key: stream_key.as_ref(),
        meta: meta.as_deref(),
    };
    row.hash(&mut Vec::new())
}

fn parsed(row: &str) -> Value {
    serde_json::from_str(row).unwrap()
}

/// A row's line with some columns changed, in the order it has them.
fn with(row: &str, changes: &[(&str, Value)]) -> String {
    let mut row = row.to_owned();
    for (name, value) in changes {
        let old = parsed(&row);
        let (from, to) = (format!("\"{name}\":{}", old[*name]), format!("\"{name}\":{value}"));
        assert!(row.contains(&from), "{row}: {from}");
        row = row.replacen(&from, &to, 1);
    }
    row
}

/// The same with a leaf check that fits.
fn mended(row: &str, changes: &[(&str, Value)]) -> String {
    let row = with(row, changes);
    let check = leaf::check(&leaf_of(&parsed(&row)));
    with(&row, &[("leaf_check", check.into())])
}

impl Bundle {
    /// From the plain text that the export wrote; signed at these sizes.
    fn read(text: &str, keys: Keys, sizes: &[i64]) -> Self {
        let mut lines = text.lines().map(str::to_owned);
        let header: Header = serde_json::from_str(&lines.next().unwrap()).unwrap();
        let rows: Vec<String> = lines.filter(|line| !line.starts_with("{\"checkpoint\"")).collect();
        assert_eq!(i64::try_from(rows.len()).unwrap(), header.position);
        let mut bundle = Self { header, rows, checkpoints: Vec::new(), keys };
        bundle.sign(sizes);
        bundle
    }

    fn frontier(&self, size: usize) -> Frontier {
        let mut frontier = Frontier::default();
        self.rows[..size].iter().for_each(|row| frontier.push(leaf_of(&parsed(row))));
        frontier
    }

    fn note(&self, size: i64) -> String {
        let at = usize::try_from(size).unwrap();
        let root = self.frontier(at).root();
        let checkpoint = Checkpoint { origin: self.header.origin.clone(), size: at as u64, root };
        self.keys.sign(&checkpoint.text()).unwrap()
    }

    fn sign(&mut self, sizes: &[i64]) {
        let line = |size: &i64| {
            let mut line = Vec::new();
            write_checkpoint(&mut line, &self.note(*size)).unwrap();
            String::from_utf8(line).unwrap().trim_end().to_owned()
        };
        self.checkpoints = sizes.iter().map(line).collect();
        self.header.checkpoints = sizes.to_vec();
    }

    /// The file, from rows that may have been altered and a header that a forger has made fit them.
    fn file(&self, rows: &[String]) -> Vec<u8> {
        let header = serde_json::to_string(&self.header).unwrap();
        let lines = std::iter::once(&header).chain(rows).chain(&self.checkpoints);
        lines.flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
    }

    /// A header that fits these rows, as a forger makes it.
    fn forged(&self, rows: Vec<String>) -> Self {
        let mut header = self.header.clone();
        let (checkpoints, keys) = (self.checkpoints.clone(), self.keys.clone());
        header.position = i64::try_from(rows.len()).unwrap();
        let mut forged = Self { header, rows, checkpoints, keys };
        let root = forged.frontier(forged.rows.len()).root();
        forged.header.root = ledger_core::audit::merkle::hex(&root);
        forged
    }

    /// The positions after the last checkpoint before one, up to the first checkpoint that includes it.
    fn between(&self, position: i64) -> (i64, i64) {
        let sizes = &self.header.checkpoints;
        let before = sizes.iter().rev().find(|size| **size < position).copied().unwrap_or(0);
        (before + 1, sizes.iter().find(|size| **size >= position).copied().unwrap())
    }

    fn alter(&self, rng: &mut StdRng) -> Altered {
        let count = self.rows.len();
        let at = rng.random_range(0..count);
        let position = i64::try_from(at).unwrap() + 1;
        let mut rows = self.rows.clone();
        match rng.random_range(0..12) {
            0..3 => self.damage(rng),
            3 => {
                rows.remove(at);
                let at = (position, position);
                Altered { what: format!("removed {position}"), text: self.file(&rows), at }
            }
            4 => {
                let other = (at + rng.random_range(1..count)) % count;
                rows.swap(at, other);
                let other = i64::try_from(other).unwrap() + 1;
                let what = format!("swapped {position} and {other}");
                Altered { what, text: self.file(&rows), at: (position.min(other), position.min(other)) }
            }
            5 => {
                let copy = rows[rng.random_range(0..count)].clone();
                rows.insert(at, copy);
                Altered { what: format!("inserted at {position}"), text: self.file(&rows), at: (position, position + 1) }
            }
            6 => {
                let (what, row) = edited(rng, &rows[at], with);
                rows[at] = row;
                Altered { what: format!("{what} of {position}"), text: self.file(&rows), at: (position, position) }
            }
            7 | 8 => {
                let (what, row) = edited(rng, &rows[at], mended);
                rows[at] = row;
                let forged = self.forged(rows);
                let text = forged.file(&forged.rows);
                Altered { what: format!("forged {what} of {position}"), text, at: self.between(position) }
            }
            9 => {
                rows.remove(at);
                for (row, position) in rows[at..].iter_mut().zip(position..) {
                    *row = mended(row, &[("position", position.into())]);
                }
                let forged = self.forged(rows);
                let text = forged.file(&forged.rows);
                Altered { what: format!("removed {position} and mended the rest"), text, at: self.between(position) }
            }
            10 => {
                let mut forged = self.forged(rows[..at].to_vec());
                let kept = forged.header.checkpoints.iter().filter(|size| **size < position).count();
                forged.checkpoints.truncate(kept);
                forged.header.checkpoints.truncate(kept);
                let text = forged.file(&forged.rows);
                Altered { what: format!("rolled back to before {position}"), text, at: (position, self.header.position) }
            }
            _ => {
                let mut text = self.file(&rows);
                text.truncate(rng.random_range(0..text.len()));
                let cut = i64::try_from(text.iter().filter(|b| **b == b'\n').count()).unwrap();
                let end = self.header.position;
                // Line 1 is the header, line n + 1 position n; after those, checkpoints.
                Altered { what: format!("cut at byte {}", text.len()), text, at: (cut.min(end).min(1), end) }
            }
        }
    }

    /// A bit flipped, a byte removed or added, anywhere; a checkpoint removed or moved.
    fn damage(&self, rng: &mut StdRng) -> Altered {
        if rng.random_range(0..8) == 0 {
            let mut damaged = Self { header: self.header.clone(), ..self.forged(self.rows.clone()) };
            let at = rng.random_range(0..damaged.checkpoints.len());
            if rng.random() {
                damaged.checkpoints.remove(at);
            } else {
                let other = (at + 1) % damaged.checkpoints.len();
                damaged.checkpoints.swap(at, other);
            }
            let text = damaged.file(&damaged.rows);
            return Altered { what: format!("checkpoint {at} removed or moved"), text, at: (0, self.header.position) };
        }
        let mut text = self.file(&self.rows);
        let at = rng.random_range(0..text.len());
        let line = i64::try_from(text[..at].iter().filter(|b| **b == b'\n').count()).unwrap();
        let what = match rng.random_range(0..3) {
            0 => {
                text[at] ^= 1 << rng.random_range(0..8);
                "bit flipped"
            }
            1 => {
                text.remove(at);
                "byte removed"
            }
            _ => {
                text.insert(at, rng.random_range(b' '..b'~'));
                "byte added"
            }
        };
        let end = self.header.position;
        // The header and the checkpoints have no position of their own.
        let at = if line == 0 || line > end { (0, end) } else { (line, line) };
        Altered { what: format!("{what} in line {}", line + 1), text, at }
    }
}

/// A row with one column changed.
fn edited(rng: &mut StdRng, row: &str, change: fn(&str, &[(&str, Value)]) -> String) -> (String, String) {
    use base64::Engine as _;
    let old = parsed(row);
    let columns = ["recorded_at", "effective_at", "payload", "stream", "stream_version", "type", "meta", "fingerprint"];
    let there: Vec<&str> = columns.into_iter().filter(|name| !old[*name].is_null()).collect();
    let name = there[rng.random_range(0..there.len())];
    let value: Value = match old[name].as_i64() {
        Some(number) => (number + 1).into(),
        None => {
            let mut bytes = b64(&old[name]).unwrap();
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
            base64::engine::general_purpose::STANDARD.encode(bytes).into()
        }
    };
    (name.to_owned(), change(row, &[(name, value)]))
}

fn keys(dir: &std::path::Path) -> (Keys, PathBuf) {
    let keys = Keys::first(Signer::from_seed("ledgerd", &[7; 32]).unwrap());
    std::fs::create_dir_all(dir).unwrap();
    let file = dir.join("keys");
    std::fs::write(&file, keys.to_text()).unwrap();
    rustix::fs::chmod(&file, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    (keys, file)
}

fn export(world: &World, tenant: &str, keys: &std::path::Path, extra: &[&str]) -> Vec<u8> {
    let args = [&["export", "--tenant", tenant, "audit"], extra].concat();
    let output = world.command(&args).env("LEDGERD_SIGNING_KEYS", keys).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every one of them is found, and its place is named: exactly, or between the last checkpoint that still holds and the
/// first that does not.
#[tokio::test(flavor = "multi_thread")]
async fn every_alteration_of_a_bundle_is_found_and_located() {
    let world = World::start(Parts::Database).await;
    let (_node, tenant, _c, head) = busy(&world, "carried", 4).await;
    let dir = std::env::temp_dir().join(format!("ledgerd-carried-{}", std::process::id()));
    let (keys, file) = keys(&dir);
    let text = String::from_utf8(export(&world, &tenant.code, &file, &["--plain"])).unwrap();
    let sizes: Vec<i64> = (1..=6).map(|n| head * n / 6).collect();
    let bundle = Bundle::read(&text, keys, &sizes);
    let trust = Trust { verifiers: bundle.keys.known(), witnessed: vec![("kept".to_owned(), bundle.note(head))] };
    let sound = verify(&bundle.file(&bundle.rows)[..], &trust, 0);
    assert!(sound.is_clean() && sound.attested == Some(head), "{sound:#?}");
    // The file as exported holds too, and so does it with threads.
    assert!(verify(text.as_bytes(), &trust, 2).is_clean());
    let seed = std::env::var("LEDGERD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| rand::rng().random());
    println!("{head} events, seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (started, mut altered) = (Instant::now(), 0);
    let original = bundle.file(&bundle.rows);
    while altered < ALTERATIONS {
        let Altered { what, text, at: (first, last) } = bundle.alter(&mut rng);
        if text == original {
            continue;
        }
        altered += 1;
        let report = verify(&text[..], &trust, 0);
        let names = |position: i64, until: Option<i64>| position <= last && until.unwrap_or(position) >= first;
        let is_located = report.findings.iter().any(|f| names(f.position, f.until));
        assert!(is_located, "seed {seed}, alteration {altered}: {what}, at {first} to {last}: {:#?}", report.findings);
    }
    println!("{altered} alterations of {head} events, all found and located, {:?}", started.elapsed());
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Where whoever altered the log has mended all that is stored beside it, what is named is no wider than the checkpoints
/// leave it.
#[tokio::test(flavor = "multi_thread")]
async fn the_offline_verifier_needs_the_file_and_the_key_alone() {
    let world = World::start(Parts::Database).await;
    let (_node, tenant, c, head) = busy(&world, "away", 2).await;
    let dir = std::env::temp_dir().join(format!("ledgerd-away-{}", std::process::id()));
    let (keys, file) = keys(&dir);
    let old = export(&world, &tenant.code, &file, &[]);
    business_goes_on(&c).await;
    let new = export(&world, &tenant.code, &file, &[]);
    let plain = String::from_utf8(export(&world, &tenant.code, &file, &["--plain"])).unwrap();
    let bundle = Bundle::read(&plain, keys, &[head, head + 3]);
    drop(world);
    let path = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = bundle.keys.known()[0].to_string();
    let offline = |args: &[&str]| {
        let output = Command::new(LEDGERD).args(["verify", "--json", "--offline"]).args(args).env_clear().output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code().unwrap(), report)
    };
    let (old, new) = (path("old", &old), path("new", &new));
    let (code, report) = offline(&[&new, "--verifier-key", &key]);
    assert_eq!((code, &report["attested"]), (0, &(head + 3).into()), "{report:#}");
    // An older bundle is sound by itself, and not beside a newer checkpoint that was kept elsewhere.
    assert_eq!(offline(&[&old, "--verifier-key", &key]).0, 0);
    let kept = path("kept", bundle.note(head + 3).as_bytes());
    let (code, report) = offline(&[&old, "--verifier-key", &key, "--checkpoint", &kept]);
    assert_eq!((code, &report["findings"][0]["invariant"]), (3, &"checkpoints_hold".into()), "{report:#}");
    assert_eq!(offline(&[&new, "--verifier-key", &key, "--checkpoint", &kept]).0, 0);
    // Another key signed nothing here.
    let other = Signer::from_seed("ledgerd", &[8; 32]).unwrap().verifier().to_string();
    assert_eq!(offline(&[&new, "--verifier-key", &other]).0, 3);
    // Without a key everything is checked but who signed.
    let (code, report) = offline(&[&new]);
    assert_eq!((code, report["attested"].is_null()), (0, true), "{report:#}");
    let mut rows = bundle.rows.clone();
    let at = usize::try_from(head).unwrap();
    rows[at] = mended(&rows[at], &[("recorded_at", 1.into())]);
    let forged = bundle.forged(rows);
    let forged = path("forged", &forged.file(&forged.rows));
    let (code, report) = offline(&[&forged, "--verifier-key", &key]);
    let finding = report["findings"].as_array().unwrap().iter().find(|f| f["invariant"] == "checkpoints_hold").unwrap();
    assert_eq!((code, &finding["position"], &finding["until"]), (3, &(head + 1).into(), &(head + 3).into()), "{report:#}");
    assert_eq!(offline(&[&path("nothing", b"")]).0, 3);
    assert_eq!(offline(&["/nowhere/to/be/found"]).0, 1);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Three more events.
async fn business_goes_on(c: &crate::harness::Client) {
    for _ in 0..3 {
        c.issue("A", "1").await.expect(201);
    }
}
