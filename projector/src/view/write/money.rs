//! Balances, postings, entries and definitions into the database.

use ledger_core::domain::id::TenantId;
use ledger_core::view::entry::EntryStatus;
use sqlx::PgConnection;

use super::super::{Tables, lane};
use super::copy::{Copy, Value};
use super::json;
use crate::Error;

impl Tables {
    pub(super) async fn write_balances(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let row = |(account, currency)| Some((account, currency, self.balances.get(account)?.get(currency)?));
        let rows: Vec<_> = self.dirty.balances.iter().map(|(a, c)| (a, c)).filter_map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let posted = |at: usize| rows.iter().map(|(_, _, b)| b.posted.get(at).copied().unwrap_or(0)).collect::<Vec<_>>();
        let pending = |at: usize| rows.iter().map(|(_, _, b)| b.pending.get(at).copied().unwrap_or(0)).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO view_account_balance (tenant_id, account, currency, position, debits, credits, currency_debits, \
             currency_credits, pending_debits, pending_credits, currency_pending_debits, currency_pending_credits, money, scale, \
             lanes) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], \
             $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::smallint[], $14::smallint[], $15::text[]) AS k \
             ON CONFLICT (tenant_id, account, currency) DO UPDATE SET position = excluded.position, debits = excluded.debits, \
             credits = excluded.credits, currency_debits = excluded.currency_debits, \
             currency_credits = excluded.currency_credits, pending_debits = excluded.pending_debits, \
             pending_credits = excluded.pending_credits, currency_pending_debits = excluded.currency_pending_debits, \
             currency_pending_credits = excluded.currency_pending_credits, money = excluded.money, scale = excluded.scale, \
             lanes = excluded.lanes",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|(account, _, _)| account.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, currency, _)| currency.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, b)| b.position).collect::<Vec<_>>())
        .bind(posted(0))
        .bind(posted(1))
        .bind(posted(2))
        .bind(posted(3))
        .bind(pending(0))
        .bind(pending(1))
        .bind(pending(2))
        .bind(pending(3))
        .bind(rows.iter().map(|(_, _, b)| i16::from(b.money)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, b)| i16::from(b.scale)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, b)| lane::to_text(&b.lanes)).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    pub(super) async fn write_postings(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        if self.postings.is_empty() {
            return Ok(());
        }
        let mut copy = Copy::begin(
            db,
            "COPY view_posting (tenant_id, account, currency, lane, position, line, effective_at, recorded_at, debit, credit, \
             currency_debit, currency_credit, lane_debits, lane_credits, lane_currency_debits, lane_currency_credits, due_at, type, \
             money, scale, stream, reference, description, party, item, tax, memo, dimensions) FROM STDIN (FORMAT binary)",
        )
        .await?;
        let mut rows: Vec<_> = self.postings.iter().collect();
        rows.sort_unstable_by_key(|r| (&r.account, &r.currency, r.lane, r.position, r.line));
        for r in rows {
            let [debit, credit, currency_debit, currency_credit] = r.sides.map(Value::Long);
            let [lane_debits, lane_credits, lane_currency_debits, lane_currency_credits] = r.lane_sides.map(Value::Long);
            let dimensions = r.dimensions.as_ref().map(json).transpose()?;
            copy.row([
                Value::Long(tenant.0),
                Value::Text(r.account.as_str()),
                Value::Text(r.currency.as_str()),
                Value::Short(r.lane),
                Value::Long(r.position),
                Value::Int(r.line),
                Value::Long(r.effective_at.0),
                Value::Long(r.recorded_at.0),
                debit,
                credit,
                currency_debit,
                currency_credit,
                lane_debits,
                lane_credits,
                lane_currency_debits,
                lane_currency_credits,
                Value::MaybeLong(r.due_at.map(|at| at.0)),
                Value::Short(r.type_number),
                Value::Short(i16::from(r.money)),
                Value::Short(i16::from(r.scale)),
                Value::Text(&r.stream),
                Value::MaybeText(r.reference.as_ref().map(|t| t.as_str())),
                Value::MaybeText(r.description.as_ref().map(|t| t.as_str())),
                Value::MaybeText(r.party.as_ref().map(|p| p.as_str())),
                Value::MaybeText(r.item.as_ref().map(|t| t.as_str())),
                Value::MaybeText(r.tax.as_ref().map(|t| t.as_str())),
                Value::MaybeText(r.memo.as_ref().map(|t| t.as_str())),
                Value::MaybeJson(dimensions.as_deref()),
            ])
            .await?;
        }
        copy.finish().await
    }

    pub(super) async fn write_entries(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.entries.iter().filter_map(|k| self.entries.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let numbers = || rows.iter().map(|(_, e)| e.number.as_ref());
        sqlx::query(
            "INSERT INTO view_entry (tenant_id, entry_id, stream_version, opened_at_position, position, status, reversed, \
             effective_at, recorded_at, expires_at, series, number_year, number, body) \
             SELECT $1, k.id, k.stream_version, k.opened_at_position, k.position, k.status, k.reversed, k.effective_at, \
             k.recorded_at, k.expires_at, k.series, k.number_year, k.number, k.body::jsonb \
             FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::boolean[], $8::bigint[], $9::bigint[], \
             $10::bigint[], $11::text[], $12::integer[], $13::bigint[], $14::text[]) \
             AS k (id, stream_version, opened_at_position, position, status, reversed, effective_at, recorded_at, expires_at, \
             series, number_year, number, body) \
             ON CONFLICT (tenant_id, entry_id) DO UPDATE SET stream_version = excluded.stream_version, \
             position = excluded.position, status = excluded.status, reversed = excluded.reversed, series = excluded.series, \
             number_year = excluded.number_year, number = excluded.number, body = excluded.body",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.stream_version).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.opened_at_position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.status.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.reversed).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.effective_at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.recorded_at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, e)| e.expires_at.map(|at| at.0)).collect::<Vec<_>>())
        .bind(numbers().map(|n| n.map(|n| n.series.as_str())).collect::<Vec<_>>())
        .bind(numbers().map(|n| n.map(|n| n.year)).collect::<Vec<_>>())
        .bind(numbers().map(|n| n.map(|n| i64::try_from(n.number)).transpose()).collect::<Result<Vec<_>, _>>().map_err(|e| Error::Row(e.to_string()))?)
        .bind(rows.iter().map(|(_, e)| json(&e.body)).collect::<Result<Vec<_>, _>>()?)
        .execute(db)
        .await?;
        Ok(())
    }

    /// The pending postings of changed entries: gone, and there again as far as something is pending.
    pub(super) async fn write_pending(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let changed = self.dirty.entries.iter().filter_map(|k| self.entries.get_key_value(k));
        // What was posted at once was never pending.
        let rows: Vec<_> = changed.filter(|(_, e)| e.status != EntryStatus::Posted).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query("DELETE FROM view_pending WHERE tenant_id = $1 AND entry_id = ANY ($2::text[])")
            .bind(tenant.0)
            .bind(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
            .execute(&mut *db)
            .await?;
        let pending: Vec<_> = rows.iter().flat_map(|(id, e)| e.pending().map(move |(line, p)| (*id, line, p))).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let sides = |at: usize| pending.iter().map(|(_, _, p)| p.sides.get(at).copied().unwrap_or(0)).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO view_pending (tenant_id, entry_id, line, account, currency, expires_at, debit, credit, currency_debit, \
             currency_credit) \
             SELECT $1, k.* FROM unnest($2::text[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], \
             $9::bigint[], $10::bigint[]) AS k",
        )
        .bind(tenant.0)
        .bind(pending.iter().map(|(id, _, _)| id.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|(_, line, _)| *line).collect::<Vec<_>>())
        .bind(pending.iter().map(|(_, _, p)| p.account.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|(_, _, p)| p.currency.as_str()).collect::<Vec<_>>())
        .bind(pending.iter().map(|(_, _, p)| p.expires_at.map(|at| at.0)).collect::<Vec<_>>())
        .bind(sides(0))
        .bind(sides(1))
        .bind(sides(2))
        .bind(sides(3))
        .execute(db)
        .await?;
        Ok(())
    }

    pub(super) async fn write_definitions(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.definitions.iter().filter_map(|k| self.definitions.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_definition (tenant_id, kind, code, stream_version, position, body) \
             SELECT $1, k.kind, k.code, k.stream_version, k.position, k.body::jsonb \
             FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]) \
             AS k (kind, code, stream_version, position, body) \
             ON CONFLICT (tenant_id, kind, code) DO UPDATE SET stream_version = excluded.stream_version, \
             position = excluded.position, body = excluded.body",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|((kind, _), _)| kind.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|((_, code), _)| code.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.stream_version).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| json(&d.body)).collect::<Result<Vec<_>, _>>()?)
        .execute(db)
        .await?;
        Ok(())
    }
}
