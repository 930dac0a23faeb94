//! A tenant's log with its checkpoints, for an auditor to carry away (`ledger_core::audit::bundle`).
//!
//! **Correctness**: the head is read first, and only what it includes is written, so commands may come in meanwhile. With
//! the node's signing keys at hand, the head itself is signed if no stored checkpoint is of its size.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use ledger_core::audit::bundle::{Header, write_checkpoint, write_row};
use ledger_core::audit::checkpoint::{Checkpoint, origin};
use ledger_core::audit::keys::Keys;
use ledger_core::domain::id::TenantId;
use ledger_core::store::read::{self, Head};
use sqlx::Row;
use sqlx::postgres::PgPool;

/// Rows per page.
const PAGE_ROWS: i64 = 5_000;
/// zstd's own default: twice the work hardly makes it smaller.
const LEVEL: i32 = 3;
/// The name of logs where no key says another.
const ORIGIN: &str = "ledgerd";

pub(super) async fn audit(
    pool: &PgPool,
    (tenant, code): (TenantId, &str),
    signing_keys: Option<&Path>,
    is_plain: bool,
) -> Result<()> {
    let keys = signing_keys.map(read_keys).transpose()?;
    let head = read::head(pool, tenant).await?.context("the tenant has no head")?;
    let notes = notes(pool, (tenant, code), &head, keys.as_ref()).await?;
    let name = keys.as_ref().map_or_else(|| stored_name(&notes, code), |keys| Some(keys.name().to_owned()));
    let origin = origin(name.as_deref().unwrap_or(ORIGIN), code);
    let mut header = Header::new((code, tenant.0), origin, (head.position, &head.frontier.root()));
    header.checkpoints = notes.iter().map(|(size, _)| *size).collect();
    header.verifier_keys = keys.iter().flat_map(Keys::known).map(|key| key.to_string()).collect();
    let out = std::io::stdout().lock();
    if is_plain {
        let mut out = BufWriter::new(out);
        write(pool, tenant, &header, &notes, &mut out).await?;
        return Ok(out.flush()?);
    }
    let mut out = zstd::stream::write::Encoder::new(BufWriter::new(out), LEVEL)?;
    write(pool, tenant, &header, &notes, &mut out).await?;
    Ok(out.finish()?.flush()?)
}

fn read_keys(file: &Path) -> Result<Keys> {
    let named = || format!("reading {}", file.display());
    Keys::parse(&std::fs::read_to_string(file).with_context(named)?).with_context(named)
}

/// The name of the keys that signed what is stored.
fn stored_name(notes: &[(i64, String)], code: &str) -> Option<String> {
    let (_, note) = notes.last()?;
    let origin = note.lines().next()?;
    Some(origin.strip_suffix(code)?.strip_suffix('/')?.to_owned())
}

/// Stored checkpoints that the head includes, by size, and one of the head itself.
async fn notes(pool: &PgPool, (tenant, code): (TenantId, &str), head: &Head, keys: Option<&Keys>) -> Result<Vec<(i64, String)>> {
    let rows = sqlx::query("SELECT size, note FROM checkpoint WHERE tenant_id = $1 AND size <= $2 ORDER BY size")
        .bind(tenant.0)
        .bind(head.position)
        .fetch_all(pool)
        .await?;
    let stored = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let mut notes: Vec<(i64, String)> = stored.collect::<Result<_, sqlx::Error>>()?;
    let is_signed = notes.last().is_some_and(|(size, _)| *size == head.position);
    if let (Some(keys), false) = (keys, is_signed) {
        let size = head.frontier.size();
        let checkpoint = Checkpoint { origin: origin(keys.name(), code), size, root: head.frontier.root() };
        notes.push((head.position, keys.sign(&checkpoint.text())?));
    }
    Ok(notes)
}

async fn write(pool: &PgPool, tenant: TenantId, header: &Header, notes: &[(i64, String)], out: &mut impl Write) -> Result<()> {
    header.write(out)?;
    let (mut last, mut rows) = (0, 0);
    while last < header.position {
        let page = read::raw_page(pool, tenant, last, PAGE_ROWS.min(header.position - last)).await?;
        let Some(newest) = page.last() else { break };
        last = newest.position;
        for raw in page.iter().filter(|raw| raw.position <= header.position) {
            write_row(out, raw)?;
            rows += 1;
        }
    }
    for (_, note) in notes {
        write_checkpoint(out, note)?;
    }
    if rows != header.position {
        bail!(
            "the log has {rows} rows where its head says {}: the bundle shows it as it is, `ledgerd verify` says more",
            header.position
        );
    }
    Ok(())
}
