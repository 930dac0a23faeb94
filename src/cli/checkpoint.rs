//! `ledgerd checkpoint`: keys, signed heads of the logs, and copies of them out of the database owner's reach.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use ledger_core::audit::checkpoint::{Checkpoint, origin};
use ledger_core::audit::keys::Keys;
use ledger_core::audit::merkle::hex;
use ledger_core::audit::note::Verifier;
use ledger_core::domain::id::TenantId;
use ledger_core::store::checkpoint::{self, Signed};
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};
use super::output;
use crate::checkpointer::differs;
use crate::signing::{self, Signing};
use crate::witness::{Place, Put};

/// Checkpoints read at once.
const PAGE_ROWS: i64 = 500;
/// Longest file with a note that is read.
const NOTE_FILE_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make, list and rotate the keys that sign checkpoints. No private key is ever printed.
    #[command(subcommand)]
    Key(KeyVerb),
    /// Print a tenant's newest checkpoint, or that of a size.
    #[command(after_help = "Example:\n  ledgerd checkpoint show --tenant acme > acme.checkpoint")]
    Show {
        #[arg(long)]
        tenant: String,
        /// Events in it; the newest one if absent.
        #[arg(long)]
        size: Option<u64>,
    },
    /// Hold a tenant's log against its checkpoints: signatures, sizes and roots. Exit code 3 when one does not hold.
    #[command(after_help = "Examples:\n  ledgerd checkpoint verify --tenant acme\n  \
                            ledgerd checkpoint verify --tenant acme --note acme.checkpoint --verifier-key 'ledgerd+…'\n  \
                            ledgerd checkpoint verify --tenant acme --from s3://audit/ledger")]
    Verify {
        #[arg(long)]
        tenant: String,
        /// File with a signed note; several are possible. All that the database keeps, if absent.
        #[arg(long)]
        note: Vec<PathBuf>,
        /// Place whose newest copy is compared.
        #[arg(long)]
        from: Option<String>,
        /// Key to open them with; several are possible. Those of the key file, if absent.
        #[arg(long)]
        verifier_key: Vec<Verifier>,
    },
    /// Sign the logs as they are and copy the checkpoints to a place.
    #[command(after_help = "Examples:\n  ledgerd checkpoint export --to /mnt/worm/ledger\n  \
                            ledgerd checkpoint export --tenant acme --to s3://audit/ledger --every")]
    Export {
        /// Code of the tenant; every tenant if absent.
        #[arg(long)]
        tenant: Option<String>,
        /// A directory, or s3://bucket/prefix; LEDGERD_WITNESS if absent.
        #[arg(long)]
        to: Option<String>,
        /// Every checkpoint there is, not the newest alone.
        #[arg(long)]
        every: bool,
    },
}

#[derive(Debug, clap::Subcommand)]
enum KeyVerb {
    /// Make a first key and print its public half.
    #[command(after_help = "Example:\n  ledgerd checkpoint key new --signing-keys /etc/ledgerd/signing.keys")]
    New,
    /// Print the public keys that sign, newest first, and the statements of rotation.
    #[command(after_help = "Example:\n  ledgerd checkpoint key list")]
    List,
    /// Add a key that signs first from now on; the older ones sign along. Prints the statement both signed.
    #[command(after_help = "Example:\n  ledgerd checkpoint key rotate --signing-keys /etc/ledgerd/signing.keys")]
    Rotate,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let Args { verb, signing, urls } = args;
    match verb {
        Verb::Key(verb) => key(&verb, &signing, &urls, json),
        Verb::Show { tenant, size } => {
            let pool = urls.resolve()?.pool().await?;
            show(&pool, &tenant, size, json).await
        }
        Verb::Verify { tenant, note, from, verifier_key } => {
            let known = if verifier_key.is_empty() { keys(&signing, &urls)?.known() } else { verifier_key };
            let pool = urls.resolve()?.pool().await?;
            verify(&pool, &tenant, Sources { notes: note, from }, &known, json).await
        }
        Verb::Export { tenant, to, every } => {
            let to = to.or_else(|| signing.witness.clone()).context("no place: --to or LEDGERD_WITNESS")?;
            let (place, keys) = (Place::parse(&to)?, keys(&signing, &urls)?);
            let pool = urls.resolve()?.pool().await?;
            export(&pool, tenant.as_deref(), &keys, &place, every, json).await
        }
    }
}

fn key_file(signing: &Signing, urls: &Urls) -> Result<PathBuf> {
    match &signing.signing_keys {
        Some(file) => Ok(file.clone()),
        None => signing::data_file(urls.data_dir.as_deref()),
    }
}

fn keys(signing: &Signing, urls: &Urls) -> Result<Keys> {
    let file = key_file(signing, urls)?;
    signing.load(&file).context("`ledgerd checkpoint key new` makes a key, LEDGERD_SIGNING_KEYS names its file")
}

fn key(verb: &KeyVerb, signing: &Signing, urls: &Urls, json: bool) -> Result<ExitCode> {
    let file = key_file(signing, urls)?;
    let keys = match verb {
        KeyVerb::New => signing::create(&file, signing.name())?,
        KeyVerb::List => signing.load(&file)?,
        KeyVerb::Rotate => signing::rotate(&file)?,
    };
    let verifiers: Vec<String> = keys.verifiers().map(ToString::to_string).collect();
    let statements: Vec<&str> = keys.statements().iter().map(|s| s.note.as_str()).collect();
    if json {
        output::print_json(&serde_json::json!({
            "file": file, "name": keys.name(), "verifier_keys": verifiers, "statements": statements,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    match verb {
        KeyVerb::New => output::print(verifiers.first().map_or("", String::as_str))?,
        KeyVerb::Rotate => output::print(statements.last().copied().unwrap_or_default().trim_end())?,
        KeyVerb::List => {
            let signs = |at: usize| if at == 0 { "signs first" } else { "signs along" }.to_owned();
            let rows = verifiers.iter().enumerate().map(|(at, key)| [key.clone(), signs(at)]);
            output::print(&output::table(["verifier key", "state"], rows))?;
            statements.iter().try_for_each(|statement| output::print(&format!("\n{}", statement.trim_end())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(pool: &PgPool, code: &str, size: Option<u64>, json: bool) -> Result<ExitCode> {
    let tenant = connect::tenant(pool, code).await?;
    let found = match size {
        Some(size) => checkpoint::find(pool, tenant, size).await?,
        None => checkpoint::newest(pool, tenant).await?,
    };
    let found = found.with_context(|| format!("there is no such checkpoint of {code}; `ledgerd checkpoint export` signs one"))?;
    if json {
        output::print_json(&shown(code, &found))?;
    } else {
        output::print(found.note.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(code: &str, signed: &Signed) -> serde_json::Value {
    serde_json::json!({
        "tenant": code, "size": signed.size, "root": hex(&signed.root), "signed_at": signed.signed_at, "note": signed.note,
    })
}

/// Where the notes come from.
struct Sources {
    notes: Vec<PathBuf>,
    from: Option<String>,
}

/// One note that was looked at.
#[derive(serde::Serialize)]
struct Looked {
    from: String,
    size: Option<u64>,
    signed_by: Vec<String>,
    /// Absent when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<String>,
}

async fn verify(pool: &PgPool, code: &str, sources: Sources, known: &[Verifier], json: bool) -> Result<ExitCode> {
    let tenant = connect::tenant(pool, code).await?;
    let mut looked = Vec::new();
    for file in &sources.notes {
        let text = read_note(file)?;
        looked.push(look(pool, (tenant, code), file.display().to_string(), &text, known).await?);
    }
    if let Some(from) = &sources.from {
        let copy = Place::parse(from)?.newest(code).await?.with_context(|| format!("{from} has no checkpoint of {code}"))?;
        looked.push(look(pool, (tenant, code), copy.name, &copy.note, known).await?);
    }
    if sources.notes.is_empty() && sources.from.is_none() {
        let mut below = None;
        loop {
            let page = checkpoint::list(pool, tenant, below, PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            below = Some(last.size);
            for signed in &page {
                let from = format!("the database, {} events", signed.size);
                looked.push(look(pool, (tenant, code), from, &signed.note, known).await?);
            }
        }
        ensure!(!looked.is_empty(), "there is no checkpoint of {code}; `ledgerd checkpoint export` signs one");
    }
    let holds = looked.iter().all(|l| l.finding.is_none());
    if json {
        output::print_json(&looked)?;
    } else {
        let size = |l: &Looked| l.size.map_or_else(String::new, |size| size.to_string());
        let verdict = |l: &Looked| l.finding.clone().unwrap_or_else(|| "holds".to_owned());
        let rows = looked.iter().map(|l| [l.from.clone(), size(l), l.signed_by.join(", "), verdict(l)]);
        output::print(&output::table(["checkpoint", "events", "signed by", "verdict"], rows))?;
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

fn read_note(file: &PathBuf) -> Result<String> {
    let length = std::fs::metadata(file).with_context(|| format!("opening {}", file.display()))?.len();
    ensure!(length <= NOTE_FILE_BYTES_MAX, "{} is no note: it has {length} bytes", file.display());
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

async fn look(pool: &PgPool, (tenant, code): (TenantId, &str), from: String, note: &str, known: &[Verifier]) -> Result<Looked> {
    let name = known.first().map_or("", |key| key.id().name.as_str());
    match Checkpoint::open(note, known, &origin(name, code)) {
        Err(error) => Ok(Looked { from, size: None, signed_by: Vec::new(), finding: Some(error.to_string()) }),
        Ok((checkpoint, signed_by)) => {
            let finding = differs(pool, tenant, &checkpoint).await?;
            let signed_by = signed_by.iter().map(ToString::to_string).collect();
            Ok(Looked { from, size: Some(checkpoint.size), signed_by, finding })
        }
    }
}

async fn export(pool: &PgPool, only: Option<&str>, keys: &Keys, place: &Place, every: bool, json: bool) -> Result<ExitCode> {
    let standings = checkpoint::standings(pool).await?;
    let wanted: Vec<_> = standings.iter().filter(|s| only.is_none_or(|code| code == s.code)).collect();
    if let (Some(code), true) = (only, wanted.is_empty()) {
        connect::tenant(pool, code).await?;
        bail!("the log of {code} is empty");
    }
    let mut rows = Vec::new();
    for standing in wanted {
        let signed = checkpoint::sign(pool, standing.tenant, &standing.code, keys).await?;
        let mut copied = put(place, &standing.code, &signed).await?;
        if every {
            copied += put_earlier(pool, place, (standing.tenant, &standing.code), signed.size).await?;
        }
        rows.push((standing.code.clone(), signed, copied));
    }
    if json {
        let of_row = |(code, signed, copied): &(String, Signed, u64)| {
            let mut row = shown(code, signed);
            row["copied"] = (*copied).into();
            row
        };
        output::print_json(&rows.iter().map(of_row).collect::<Vec<_>>())?;
    } else {
        let rows = rows.iter().map(|(code, s, copied)| [code.clone(), s.size.to_string(), hex(&s.root), copied.to_string()]);
        output::print(&output::table(["tenant", "events", "root", "copied"], rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies one; 1 if it was not there.
async fn put(place: &Place, code: &str, signed: &Signed) -> Result<u64> {
    Ok(u64::from(place.put(code, signed.size, &signed.note).await? == Put::Written))
}

async fn put_earlier(pool: &PgPool, place: &Place, (tenant, code): (TenantId, &str), below: u64) -> Result<u64> {
    let (mut below, mut copied) = (below, 0);
    loop {
        let page = checkpoint::list(pool, tenant, Some(below), PAGE_ROWS).await?;
        let Some(last) = page.last() else { return Ok(copied) };
        below = last.size;
        for signed in &page {
            copied += put(place, code, signed).await?;
        }
    }
}
