//! Balances, postings, entries and definitions from the database.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use ledger_core::domain::id::{AccountCode, CurrencyCode, EntryId, Position, TenantId};
use ledger_core::domain::journal::event::DocumentNumber;
use ledger_core::domain::time::Timestamp;
use ledger_core::view::entry::EntryStatus;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};

use super::super::appended::Digests;
use super::super::definition::{DefinitionKey, DefinitionKind, DefinitionRow};
use super::super::entry::{EntryRow, PendingRow};
use super::super::posting::{Balance, PostingRow};
use super::super::{Tables, lane};
use super::{bad, parse, small};
use crate::Error;

/// A currency as the tables hold it: nothing for the base currency.
fn currency(code: &str) -> Result<CurrencyCode, Error> {
    if code.is_empty() { Ok(CurrencyCode::default()) } else { parse(code) }
}

fn instant(row: &PgRow, at: usize) -> Result<Option<Timestamp>, Error> {
    Ok(row.try_get::<Option<i64>, _>(at)?.map(Timestamp))
}

/// A text that may be absent.
fn said<T: std::str::FromStr>(row: &PgRow, at: usize) -> Result<Option<T>, Error>
where
    T::Err: std::fmt::Display,
{
    row.try_get::<Option<&str>, _>(at)?.map(parse).transpose()
}

/// Four amounts in a row.
fn four(row: &PgRow, from: usize) -> Result<[i64; 4], Error> {
    let mut amounts = [0; 4];
    for (amount, at) in amounts.iter_mut().zip(from..) {
        *amount = row.try_get(at)?;
    }
    Ok(amounts)
}

impl Tables {
    /// All rows of some accounts: one per currency.
    pub(super) async fn load_balances(&mut self, db: &mut PgConnection, tenant: TenantId, keys: &[String]) -> Result<(), Error> {
        let rows = sqlx::query(
            "SELECT b.account, b.currency, b.position, b.money, b.scale, b.debits, b.credits, b.currency_debits, \
             b.currency_credits, b.pending_debits, b.pending_credits, b.currency_pending_debits, b.currency_pending_credits, \
             b.lanes FROM view_account_balance b WHERE b.tenant_id = $1 AND b.account = ANY ($2::text[])",
        );
        for row in rows.bind(tenant.0).bind(keys).fetch_all(db).await? {
            self.take_balance(&row)?;
        }
        Ok(())
    }

    pub(super) async fn load_entries(
        &mut self,
        db: &mut PgConnection,
        tenant: TenantId,
        ids: &HashSet<EntryId>,
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT e.entry_id, e.stream_version, e.opened_at_position, e.position, e.status, e.reversed, e.effective_at, \
             e.recorded_at, e.expires_at, e.series, e.number_year, e.number, e.body::text FROM view_entry e \
             WHERE e.tenant_id = $1 AND e.entry_id = ANY ($2::text[])",
        )
        .bind(tenant.0)
        .bind(ids.iter().map(EntryId::as_str).collect::<Vec<_>>());
        for row in rows.fetch_all(db).await? {
            self.take_entry(&row)?;
        }
        Ok(())
    }

    pub(super) async fn load_definitions(
        &mut self,
        db: &mut PgConnection,
        tenant: TenantId,
        keys: &HashSet<DefinitionKey>,
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            // The limit keeps the keys outside, whatever the statistics say.
            "SELECT d.* FROM unnest($2::text[], $3::text[]) AS k (kind, code) CROSS JOIN LATERAL (\
             SELECT d.kind, d.code, d.stream_version, d.position, d.body::text FROM view_definition d \
             WHERE d.tenant_id = $1 AND d.kind = k.kind AND d.code = k.code LIMIT 1) AS d",
        )
        .bind(tenant.0)
        .bind(keys.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, code)| code.as_str()).collect::<Vec<_>>());
        for row in rows.fetch_all(db).await? {
            self.take_definition(&row)?;
        }
        Ok(())
    }

    /// When the first pending entry of each changed account lapses, once its rows are written: one look-up in an index per
    /// account and currency, however many are pending.
    pub(crate) async fn load_expiries(&mut self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let changed = self.changed_accounts().into_iter().filter_map(|code| self.balances.get_key_value(code));
        let rows = changed.flat_map(|(code, rows)| rows.iter().map(move |(currency, b)| (code, currency, b)));
        let pending: Vec<_> = rows.filter(|(_, _, b)| b.pending != [0; 4]).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT k.account, (SELECT p.expires_at FROM view_pending p \
             WHERE p.tenant_id = $1 AND p.account = k.account AND p.currency = k.currency ORDER BY p.expires_at LIMIT 1) \
             FROM unnest($2::text[], $3::text[]) AS k (account, currency)",
        )
        .bind(tenant.0)
        .bind(pending.iter().map(|(code, _, _)| code.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|(_, currency, _)| currency.as_str()).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
        for row in &rows {
            let Some(at) = instant(row, 1)? else { continue };
            let first = self.expiries.entry(parse::<AccountCode>(row.try_get(0)?)?).or_insert(at);
            *first = at.min(*first);
        }
        Ok(())
    }

    /// Every row about money but postings and pending ones.
    pub(super) async fn load_money(&mut self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let all = |sql| sqlx::query(sql).bind(tenant.0);
        let accounts =
            "SELECT code, stream_version, position, definition::text, holds_inventory FROM view_account WHERE tenant_id = $1";
        for row in all(accounts).fetch_all(&mut *db).await? {
            self.take_account(&row)?;
        }
        let balances = "SELECT account, currency, position, money, scale, debits, credits, currency_debits, currency_credits, \
                        pending_debits, pending_credits, currency_pending_debits, currency_pending_credits, lanes \
                        FROM view_account_balance WHERE tenant_id = $1";
        for row in all(balances).fetch_all(&mut *db).await? {
            self.take_balance(&row)?;
        }
        let entries = "SELECT entry_id, stream_version, opened_at_position, position, status, reversed, effective_at, recorded_at, \
                       expires_at, series, number_year, number, body::text FROM view_entry WHERE tenant_id = $1";
        let mut rows = all(entries).fetch(&mut *db);
        while let Some(row) = rows.try_next().await? {
            self.take_entry(&row)?;
        }
        drop(rows);
        let definitions = "SELECT kind, code, stream_version, position, body::text FROM view_definition WHERE tenant_id = $1";
        for row in all(definitions).fetch_all(&mut *db).await? {
            self.take_definition(&row)?;
        }
        Ok(())
    }

    fn take_balance(&mut self, row: &PgRow) -> Result<(), Error> {
        let balance = Balance {
            position: row.try_get(2)?,
            money: small(row.try_get(3)?)?,
            scale: small(row.try_get(4)?)?,
            posted: four(row, 5)?,
            pending: four(row, 9)?,
            lanes: lane::from_text(row.try_get(13)?).ok_or_else(|| bad("view_account_balance.lanes"))?,
        };
        let of_account = self.balances.entry(parse(row.try_get(0)?)?).or_default();
        of_account.insert(currency(row.try_get(1)?)?, balance);
        Ok(())
    }

    fn take_entry(&mut self, row: &PgRow) -> Result<(), Error> {
        let word: &str = row.try_get(4)?;
        let status = EntryStatus::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| bad(word))?;
        let (year, number): (Option<i32>, Option<i64>) = (row.try_get(10)?, row.try_get(11)?);
        let number = match (said(row, 9)?, year, number) {
            (Some(series), Some(year), Some(number)) => {
                Some(DocumentNumber { series, year, number: u64::try_from(number).map_err(bad)? })
            }
            (None, None, None) => None,
            _some_of_them => return Err(bad("view_entry.number")),
        };
        let entry = EntryRow {
            stream_version: row.try_get(1)?,
            opened_at_position: row.try_get(2)?,
            position: row.try_get(3)?,
            status,
            reversed: row.try_get(5)?,
            effective_at: Timestamp(row.try_get(6)?),
            recorded_at: Timestamp(row.try_get(7)?),
            expires_at: instant(row, 8)?,
            number,
            body: serde_json::from_str(row.try_get(12)?).map_err(bad)?,
        };
        self.entries.insert(parse(row.try_get(0)?)?, entry);
        Ok(())
    }

    fn take_definition(&mut self, row: &PgRow) -> Result<(), Error> {
        let word: &str = row.try_get(0)?;
        let kind = DefinitionKind::ALL.into_iter().find(|k| k.as_str() == word).ok_or_else(|| bad(word))?;
        let body = serde_json::from_str(row.try_get(4)?).map_err(bad)?;
        let definition = DefinitionRow { stream_version: row.try_get(2)?, position: row.try_get(3)?, body };
        self.definitions.insert((kind, row.try_get(1)?), definition);
        Ok(())
    }
}

/// Every pending posting of a tenant.
pub(super) async fn pending(db: &mut PgConnection, tenant: TenantId) -> Result<HashMap<(EntryId, i32), PendingRow>, Error> {
    let rows = sqlx::query(
        "SELECT entry_id, line, account, currency, expires_at, debit, credit, currency_debit, currency_credit \
         FROM view_pending WHERE tenant_id = $1",
    );
    let mut pending = HashMap::new();
    for row in rows.bind(tenant.0).fetch_all(db).await? {
        let key = (parse(row.try_get(0)?)?, row.try_get(1)?);
        let (account, currency) = (parse(row.try_get(2)?)?, currency(row.try_get(3)?)?);
        pending.insert(key, PendingRow { account, currency, expires_at: instant(&row, 4)?, sides: four(&row, 5)? });
    }
    Ok(pending)
}

const POSTINGS: &str = "SELECT account, currency, lane, position, line, effective_at, recorded_at, debit, credit, currency_debit, \
                        currency_credit, lane_debits, lane_credits, lane_currency_debits, lane_currency_credits, due_at, type, \
                        money, scale, stream, reference, description, party, item, tax, memo, dimensions::text \
                        FROM view_posting WHERE tenant_id = $1 AND position BETWEEN $2 AND $3";

/// A tenant's postings of some positions, as stored.
///
/// # Errors
/// [`Error`].
pub async fn postings_between(
    pool: &PgPool,
    tenant: TenantId,
    (first, last): (Position, Position),
) -> Result<Vec<PostingRow>, Error> {
    let rows = sqlx::query(POSTINGS).bind(tenant.0).bind(first).bind(last).fetch_all(pool).await?;
    rows.iter().map(posting_from).collect()
}

pub(super) async fn digest_postings(db: &mut PgConnection, tenant: TenantId) -> Result<Digests, Error> {
    let mut digests = Digests::default();
    let mut rows = sqlx::query(POSTINGS).bind(tenant.0).bind(Position::MIN).bind(Position::MAX).fetch(db);
    while let Some(row) = rows.try_next().await? {
        digests.add(&posting_from(&row)?);
    }
    Ok(digests)
}

fn posting_from(row: &PgRow) -> Result<PostingRow, Error> {
    Ok(PostingRow {
        account: parse(row.try_get(0)?)?,
        currency: currency(row.try_get(1)?)?,
        lane: row.try_get(2)?,
        position: row.try_get(3)?,
        line: row.try_get(4)?,
        effective_at: Timestamp(row.try_get(5)?),
        recorded_at: Timestamp(row.try_get(6)?),
        sides: four(row, 7)?,
        lane_sides: four(row, 11)?,
        due_at: instant(row, 15)?,
        type_number: row.try_get(16)?,
        money: small(row.try_get(17)?)?,
        scale: small(row.try_get(18)?)?,
        stream: row.try_get::<&str, _>(19)?.into(),
        reference: said(row, 20)?,
        description: said(row, 21)?,
        party: said(row, 22)?,
        item: said(row, 23)?,
        tax: said(row, 24)?,
        memo: said(row, 25)?,
        dimensions: row.try_get::<Option<&str>, _>(26)?.map(serde_json::from_str).transpose().map_err(bad)?,
    })
}
