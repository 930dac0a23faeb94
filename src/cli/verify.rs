//! `ledgerd verify`: a tenant's log replayed from nothing, and everything else compared with the replay; with `--offline`
//! a bundle that was carried away, with nothing but the file and the keys.
//!
//! What is compared is in `projector::audit` and `ledger_core::audit::bundle`; here it is asked for and shown.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_core::audit::keys::Keys;
use ledger_core::audit::note::Verifier;
use ledger_core::store;
use ledger_core::store::tenant::Tenant;
use projector::audit::{self, Report};

use super::connect::Urls;
use super::{offline, output};

pub(super) const EXAMPLES: &str = "Examples:\n  ledgerd verify --tenant acme\n  ledgerd verify --tenant acme --by 'A. Auditor' --out acme.txt\n  \
     ledgerd verify --offline acme.bundle --verifier-key ledgerd+… --checkpoint witnessed.txt";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code of the tenant; every tenant if absent.
    #[arg(long)]
    tenant: Option<String>,
    /// Check the log alone, not the views, the cache and the feed.
    #[arg(long)]
    log_only: bool,
    /// Write the report to this file, as a form to file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Who wants to know: stands in the report.
    #[arg(long, default_value = "the operator, at the command line")]
    by: String,
    /// Verify this bundle (`ledgerd export audit`), without database and network.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tenant", "log_only"])]
    offline: Option<PathBuf>,
    /// A public key that checkpoints may be signed with, as its text; may be given several times.
    #[arg(long = "verifier-key", value_name = "KEY")]
    verifier_keys: Vec<Verifier>,
    /// A checkpoint that was kept elsewhere: the bundle must agree with it; may be given several times.
    #[arg(long = "checkpoint", value_name = "FILE", requires = "offline")]
    checkpoints: Vec<PathBuf>,
    /// File of the node's signing keys: their public halves are trusted too.
    #[arg(long, env = "LEDGERD_SIGNING_KEYS", value_name = "FILE")]
    signing_keys: Option<PathBuf>,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    if let Some(bundle) = &args.offline {
        let keys = args.verifier_keys.clone();
        return offline::run(bundle, keys, &args.checkpoints, args.out.as_deref(), json);
    }
    let urls = args.urls.clone().resolve()?;
    let pool = urls.pool().await?;
    let tenants = tenants(&pool, args.tenant.as_deref()).await?;
    let options = audit::Options {
        pool,
        redis_url: urls.redis_url.clone(),
        nats_url: urls.nats_url.clone(),
        is_log_only: args.log_only,
        tasks: std::thread::available_parallelism().map_or(2, usize::from),
        verifiers: verifiers(args.verifier_keys, args.signing_keys.as_deref())?,
        stop: tokio_util::sync::CancellationToken::new(),
        asked_by: args.by,
        program: env!("CARGO_PKG_VERSION"),
    };
    let mut reports = Vec::new();
    for tenant in &tenants {
        let bar = bar()?;
        let told = |at: i64, of: i64| {
            bar.set_length(of.unsigned_abs());
            bar.set_position(at.unsigned_abs());
        };
        reports.push(audit::verify(&options, tenant, told).await.with_context(|| format!("tenant {}", tenant.code))?);
        bar.finish_and_clear();
    }
    if let Some(file) = &args.out {
        let text: Vec<String> = reports.iter().map(Report::text).collect();
        write_report(file, &text.join("\n\n"))?;
    }
    match (json, reports.as_slice()) {
        (true, [one]) if args.tenant.is_some() => output::print_json(one)?,
        (true, many) => output::print_json(&many)?,
        (false, many) => many.iter().try_for_each(|report| output::print(&shown(report)))?,
    }
    let is_clean = reports.iter().all(Report::is_clean);
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

/// One tenant by its code, or all of them.
pub(super) async fn tenants(pool: &sqlx::PgPool, code: Option<&str>) -> Result<Vec<Tenant>> {
    let Some(code) = code else { return Ok(store::tenant::list(pool).await?) };
    let found = store::tenant::find_by_code(pool, code).await?;
    Ok(vec![found.with_context(|| format!("there is no tenant {code}; `ledgerd tenant list` shows them"))?])
}

/// The keys given, and the public halves of the node's own.
fn verifiers(mut given: Vec<Verifier>, signing_keys: Option<&Path>) -> Result<Vec<Verifier>> {
    if let Some(file) = signing_keys {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let own = Keys::parse(&text).with_context(|| format!("reading {}", file.display()))?;
        for key in own.known() {
            if !given.contains(&key) {
                given.push(key);
            }
        }
    }
    Ok(given)
}

/// A file that is there already is somebody's evidence and stays.
pub(super) fn write_report(file: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::fs::File::create_new(file).with_context(|| format!("writing the report to {}", file.display()))?;
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.sync_all()?)
}

fn shown(r: &Report) -> String {
    let mut text = format!(
        "tenant {}\n  events        {} replayed, {}/s\n  root          {}\n  stock value   {}\n  inventory     {}\n",
        r.tenant, r.events, r.events_per_second, r.root, r.stock_value, r.inventory_accounts
    );
    if let Some(at) = r.attested {
        text.push_str(&format!("  attested      by a checkpoint up to position {at}\n"));
    }
    for c in &r.compared {
        let count = c.count.map_or_else(|| "not compared".to_owned(), |n| n.to_string());
        let at = c.position.map_or_else(String::new, |at| format!(", at position {at}"));
        let note = c.note.as_ref().map_or_else(String::new, |note| format!(", {note}"));
        text.push_str(&format!("  compared      {}: {count}{at}{note}\n", c.what));
    }
    for f in &r.findings {
        let until = f.until.map_or_else(String::new, |until| format!(" to {until}"));
        text.push_str(&format!("  FOUND         position {}{until}: {}: {}\n", f.position, f.invariant, f.what));
    }
    text.push_str(if r.is_clean() { "  verdict       everything holds" } else { "  verdict       NOT SOUND" });
    text
}

/// Progress on a terminal.
pub(super) fn bar() -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(0).with_style(style))
}
