//! Checkpoints that this database keeps: each states a root, which the replay has to come to at its size, and is signed.

use ledger_core::audit::checkpoint::{Checkpoint, origin};
use ledger_core::audit::note::{self, NoteError};
use ledger_core::audit::replay::{Claim, Finding};
use ledger_core::store::tenant::Tenant;
use sqlx::Row;

use super::{Compared, Options, Report};
use crate::Error;

/// Reads a tenant's checkpoints and says what is wrong with each as it stands; answers what they state of the log.
///
/// # Errors
/// [`Error`].
pub(super) async fn read(options: &Options, tenant: &Tenant, report: &mut Report) -> Result<Vec<Claim>, Error> {
    let rows = sqlx::query("SELECT size, root, note FROM checkpoint WHERE tenant_id = $1 ORDER BY size")
        .bind(tenant.id.0)
        .fetch_all(&options.pool)
        .await?;
    let mut claims = Vec::with_capacity(rows.len());
    for row in &rows {
        let size: i64 = row.try_get(0)?;
        let (root, text): (&[u8], &str) = (row.try_get(1)?, row.try_get(2)?);
        match opened(options, tenant, text) {
            Ok(checkpoint) if (i64::try_from(checkpoint.size), &checkpoint.root[..]) == (Ok(size), root) => {}
            Ok(_) => {
                let what = format!("the stored checkpoint of size {size} does not state what its row says");
                report.found(Finding::new(size, "checkpoints_are_signed", what));
            }
            Err(why) => {
                let what = format!("the stored checkpoint of size {size} {why}");
                report.found(Finding::new(size, "checkpoints_are_signed", what));
            }
        }
        if let Ok(root) = root.try_into() {
            claims.push(Claim { size, root, by: format!("the stored checkpoint of size {size}") });
        }
    }
    let note = options.verifiers.is_empty().then(|| "their signatures not: no verifier key was given".to_owned());
    report.compared.push(Compared { what: "checkpoints", count: u64::try_from(rows.len()).ok(), position: None, note });
    Ok(claims)
}

/// What a note states; its signatures count as far as keys are known.
fn opened(options: &Options, tenant: &Tenant, text: &str) -> Result<Checkpoint, String> {
    let text = match note::open(text, &options.verifiers) {
        Ok(opened) => opened.text,
        Err(NoteError::Unverified) if options.verifiers.is_empty() => note::text(text).map_err(|e| e.to_string())?,
        Err(error) => return Err(error.to_string()),
    };
    let checkpoint = Checkpoint::parse(text).map_err(|e| e.to_string())?;
    let mut names = options.verifiers.iter().map(|v| &v.id().name).peekable();
    let is_ours = |name: &String| origin(name, &tenant.code) == checkpoint.origin;
    if names.peek().is_some() && !names.any(is_ours) {
        return Err(format!("is of {}", checkpoint.origin));
    }
    Ok(checkpoint)
}
