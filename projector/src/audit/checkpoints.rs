//! Checkpoints that this database keeps: each states a root, which the replay has to come to at its size.

use ledger_core::audit::replay::Claim;
use ledger_core::store::tenant::Tenant;
use sqlx::Row;

use super::{Options, Report};
use crate::Error;

pub(super) async fn read(options: &Options, tenant: &Tenant, report: &mut Report) -> Result<Vec<Claim>, Error> {
    let rows = sqlx::query("SELECT size, root, note FROM checkpoint WHERE tenant_id = $1 ORDER BY size")
        .bind(tenant.id.0)
        .fetch_all(&options.pool)
        .await?;
    report.compared("checkpoints", rows.len(), None);
    let mut claims = Vec::with_capacity(rows.len());
    for row in &rows {
        let size: i64 = row.try_get(0)?;
        let root: &[u8] = row.try_get(1)?;
        claims.push(Claim { size, root: root.try_into().unwrap_or_default(), by: format!("the stored checkpoint of size {size}") });
    }
    Ok(claims)
}
