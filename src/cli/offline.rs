//! `ledgerd verify --offline`: a bundle verified with nothing but the file, the keys and the checkpoints that were kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_core::audit::bundle::{Report, Trust, verify};
use ledger_core::audit::note::Verifier;
use ledger_core::audit::replay::CHECKS;

use super::output;
use super::verify::write_report;

/// What a zstd frame begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The report, and how it came about.
#[derive(serde::Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    report: &'a Report,
    file: &'a str,
    program: &'static str,
    verifier_keys: Vec<String>,
    events_per_second: u64,
}

pub(super) fn run(
    bundle: &Path,
    verifiers: Vec<Verifier>,
    checkpoints: &[PathBuf],
    out: Option<&Path>,
    json: bool,
) -> Result<ExitCode> {
    let witnessed = checkpoints.iter().map(|file| {
        let note = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Ok((file.display().to_string(), note))
    });
    let trust = Trust { verifiers, witnessed: witnessed.collect::<Result<_>>()? };
    let started = Instant::now();
    let (input, bar) = open(bundle)?;
    // This thread folds; the others parse and hash.
    let workers = std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1);
    let report = verify(input, &trust, workers);
    bar.finish_and_clear();
    let millis = started.elapsed().as_millis().max(1);
    let shown = Shown {
        report: &report,
        file: &bundle.display().to_string(),
        program: env!("CARGO_PKG_VERSION"),
        verifier_keys: trust.verifiers.iter().map(ToString::to_string).collect(),
        events_per_second: u64::try_from(u128::from(report.events).saturating_mul(1_000) / millis)?,
    };
    if let Some(file) = out {
        write_report(file, &text(&shown))?;
    }
    if json {
        output::print_json(&shown)?
    } else {
        output::print(&text(&shown))?
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

/// The file's lines, compressed or not, and progress over its bytes.
fn open(bundle: &Path) -> Result<(Box<dyn BufRead>, ProgressBar)> {
    let named = || format!("reading {}", bundle.display());
    let mut file = File::open(bundle).with_context(named)?;
    let bar = super::verify::bar()?;
    if !bar.is_hidden() {
        bar.set_style(ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}, {eta} left")?);
        bar.set_length(file.metadata().with_context(named)?.len());
    }
    let mut start = [0; 4];
    let is_compressed = std::io::Read::read_exact(&mut file, &mut start).is_ok() && start == ZSTD;
    file.rewind().with_context(named)?;
    let counted = bar.wrap_read(file);
    let input: Box<dyn BufRead> = if is_compressed {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::stream::read::Decoder::new(counted).with_context(named)?))
    } else {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, counted))
    };
    Ok((input, bar))
}

fn text(shown: &Shown<'_>) -> String {
    let r = shown.report;
    let attested = match r.attested {
        Some(at) if i64::try_from(r.events) == Ok(at) => format!("all of it, by {} checkpoints with a known key", r.checkpoints),
        Some(at) => format!("positions 1 to {at}, by {} checkpoints with a known key; later events by nobody", r.checkpoints),
        None => "by nobody: no signed checkpoint holds with the keys given".to_owned(),
    };
    let keys = if shown.verifier_keys.is_empty() { "none given".to_owned() } else { shown.verifier_keys.join(", ") };
    let mut lines = vec![
        format!("bundle {}", shown.file),
        format!("  program       ledgerd {}, offline", shown.program),
        format!("  tenant        {}", r.tenant),
        format!("  log           {}", r.origin),
        format!("  keys          {keys}"),
        format!("  events        {} replayed, {}/s", r.events, shown.events_per_second),
        format!("  root          {}", r.root),
        format!("  attested      {attested}"),
        format!("  stock value   {}", r.stock_value),
        format!("  inventory     {}", r.inventory_accounts),
    ];
    let is_broken = |word: &str| r.findings.iter().any(|f| f.invariant == word);
    lines.extend(CHECKS.iter().map(|(word, sentence)| {
        format!("  {}  {word}: {sentence}", if is_broken(word) { "NO         " } else { "holds      " })
    }));
    for f in &r.findings {
        let until = f.until.map_or_else(String::new, |until| format!(" to {until}"));
        lines.push(format!("  FOUND         position {}{until}: {}: {}", f.position, f.invariant, f.what));
    }
    lines.push(if r.is_clean() { "  verdict       everything holds" } else { "  verdict       NOT SOUND" }.to_owned());
    lines.join("\n")
}
