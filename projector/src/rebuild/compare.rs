//! Old rows against new ones, byte for byte.
//!
//! **Shape**: per view and tenant the number of rows and the sum of their hashes, on both sides; where these differ, the
//! rows themselves.
//! **Correctness**: one snapshot sees both sides at one position per tenant; rows are compared as the text the server makes
//! of all their columns.

use sqlx::postgres::PgPool;
use sqlx::{Postgres, Row, Transaction};

use crate::Error;

/// Rows told per view and side.
const ROWS_TOLD_MAX: i64 = 3;

/// A view whose rows were not what the log gives.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Difference {
    /// Its name.
    pub view: &'static str,
    /// Whose rows.
    pub tenants: Vec<i64>,
    /// Rows that the log does not give.
    pub wrong: i64,
    /// Rows that it gives and that were not there.
    pub lacking: i64,
    /// Some of the wrong ones.
    pub wrong_rows: Vec<String>,
    /// Some of the lacking ones.
    pub lacking_rows: Vec<String>,
}

/// The statements of one view.
struct Statements {
    view: &'static str,
    /// Tenants whose rows differ.
    tenants: &'static str,
    /// Rows of the tenants $1 that the view has and its copy has not: how many, and $2 of them.
    wrong: &'static str,
    /// The other way round.
    lacking: &'static str,
}

/// One list of names, because a table's name cannot be a parameter.
macro_rules! statements {
    ($($view:literal),* $(,)?) => {
        const STATEMENTS: &[Statements] = &[$(Statements {
            view: $view,
            tenants: concat!(
                "SELECT coalesce(a.tenant_id, b.tenant_id) FROM ",
                "(SELECT tenant_id, count(*) AS rows, sum(hashtextextended(t::text, 0)) AS hash FROM public.", $view,
                " t GROUP BY tenant_id) a FULL JOIN ",
                "(SELECT tenant_id, count(*) AS rows, sum(hashtextextended(t::text, 0)) AS hash FROM ledger_rebuild.", $view,
                " t GROUP BY tenant_id) b USING (tenant_id) ",
                "WHERE (a.rows, a.hash) IS DISTINCT FROM (b.rows, b.hash) ORDER BY 1"
            ),
            wrong: concat!(
                "WITH d AS (SELECT t::text AS row FROM public.", $view, " t WHERE tenant_id = ANY ($1) EXCEPT ALL ",
                "SELECT t::text FROM ledger_rebuild.", $view, " t WHERE tenant_id = ANY ($1)) ",
                "SELECT (SELECT count(*) FROM d), ARRAY(SELECT row FROM d ORDER BY row LIMIT $2)"
            ),
            lacking: concat!(
                "WITH d AS (SELECT t::text AS row FROM ledger_rebuild.", $view, " t WHERE tenant_id = ANY ($1) EXCEPT ALL ",
                "SELECT t::text FROM public.", $view, " t WHERE tenant_id = ANY ($1)) ",
                "SELECT (SELECT count(*) FROM d), ARRAY(SELECT row FROM d ORDER BY row LIMIT $2)"
            ),
        }),*];
    };
}
statements!(
    "view_account",
    "view_account_balance",
    "view_definition",
    "view_document",
    "view_entry",
    "view_hold",
    "view_item",
    "view_location",
    "view_lot",
    "view_pending",
    "view_posting",
    "view_reservation",
    "view_serial",
    "view_stock_card",
    "view_stock_cell",
    "view_stock_level",
);

/// Both sides as of a moment.
pub(super) struct Seen(Transaction<'static, Postgres>);

impl Seen {
    pub(super) async fn now(pool: &PgPool) -> Result<Self, Error> {
        let mut tx = pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        // The first look is the moment.
        sqlx::query("SELECT FROM view_cursor LIMIT 1").execute(&mut *tx).await?;
        Ok(Self(tx))
    }

    /// Views of these whose rows differ.
    pub(super) async fn differences(mut self, views: &[&'static str]) -> Result<Vec<Difference>, Error> {
        let mut found = Vec::new();
        for s in STATEMENTS.iter().filter(|s| views.contains(&s.view)) {
            let tenants: Vec<i64> = sqlx::query_scalar(s.tenants).fetch_all(&mut *self.0).await?;
            if tenants.is_empty() {
                continue;
            }
            let (wrong, wrong_rows) = self.rows(s.wrong, &tenants).await?;
            let (lacking, lacking_rows) = self.rows(s.lacking, &tenants).await?;
            found.push(Difference { view: s.view, tenants, wrong, lacking, wrong_rows, lacking_rows });
        }
        self.0.rollback().await?;
        Ok(found)
    }

    async fn rows(&mut self, sql: &'static str, tenants: &[i64]) -> Result<(i64, Vec<String>), Error> {
        let row = sqlx::query(sql).bind(tenants).bind(ROWS_TOLD_MAX).fetch_one(&mut *self.0).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_its_statements() {
        let views: Vec<&str> = ledger_core::view::version::VIEWS.iter().map(|(view, _)| *view).collect();
        assert_eq!(STATEMENTS.iter().map(|s| s.view).collect::<Vec<_>>(), views);
    }
}
