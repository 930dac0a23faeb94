//! Answers of commands that made no event: they stand in no tree, so each carries a check of its own.

use ledger_core::audit::replay::Finding;
use ledger_core::domain::id::TenantId;
use ledger_core::store::command_log;
use sqlx::postgres::PgPool;

use super::Report;
use crate::Error;

/// Rows per page.
const PAGE_ROWS: i64 = 5_000;

pub(super) async fn compare(pool: &PgPool, tenant: TenantId, report: &mut Report) -> Result<(), Error> {
    let (mut after, mut count) = (None, 0);
    loop {
        let rows = command_log::quiet_page(pool, tenant, after, PAGE_ROWS).await?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.id);
        count += rows.len();
        for (row, answer) in &rows {
            if let Some(fault) = row.fault(answer) {
                let id = uuid::Uuid::from_bytes(row.id.0);
                let what = format!("the answer stored of command {id}, which made no event: {fault}");
                report.found(Finding::new(row.position, "answers_are_as_given", what));
            }
        }
    }
    report.compared("answers without events", count, None);
    Ok(())
}
