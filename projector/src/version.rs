//! Versions of the views' rows against those this program makes.

use ledger_core::view::version;
use sqlx::Row;
use sqlx::postgres::PgPool;

use crate::Error;

/// Views whose rows are not of this program's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Rows of an older version: `ledgerd rebuild` is due.
    pub older: Vec<String>,
    /// Rows of a newer version: this program must not write to them, and does not.
    pub newer: Vec<String>,
}

/// What the database's rows are.
///
/// # Errors
/// [`Error::Database`].
pub async fn compare(pool: &PgPool) -> Result<Versions, Error> {
    let (views, versions) = version::columns();
    let rows = sqlx::query(include_str!("version/differing.sql")).bind(views).bind(versions).fetch_all(pool).await?;
    let mut found = Versions::default();
    for row in &rows {
        let list = if row.try_get(1)? { &mut found.newer } else { &mut found.older };
        list.push(row.try_get(0)?);
    }
    Ok(found)
}

/// Where nothing was folded yet, what will be is of this program's version.
///
/// # Errors
/// [`Error::Database`].
pub(crate) async fn claim_empty(pool: &PgPool) -> Result<(), Error> {
    let (views, versions) = version::columns();
    sqlx::query(include_str!("version/claim_empty.sql")).bind(views).bind(versions).execute(pool).await?;
    Ok(())
}
