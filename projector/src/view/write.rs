//! Changed rows into the database: one statement per view; whole columns at once, or a COPY where rows are only
//! added. Many rows go in the order of their keys: neighbours share a page of the index.

mod copy;
mod money;

use ledger_core::domain::id::{Sku, TenantId};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::view::document::Document;
use sqlx::PgConnection;

use self::copy::{Copy, Value};
use super::document::DocumentRow;
use super::{CellKey, Tables, lane};
use crate::Error;

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Row(e.to_string()))
}

impl Tables {
    /// Writes every changed row.
    pub(crate) async fn write(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        self.write_catalogue(db, tenant).await?;
        self.write_levels(db, tenant).await?;
        self.write_cards(db, tenant).await?;
        self.write_balances(db, tenant).await?;
        self.write_reservations(db, tenant).await?;
        self.write_holds(db, tenant).await?;
        self.write_cells(db, tenant).await?;
        self.write_lots(db, tenant).await?;
        self.write_serials(db, tenant).await?;
        self.write_documents(db, tenant).await?;
        self.write_postings(db, tenant).await?;
        self.write_entries(db, tenant).await?;
        self.write_pending(db, tenant).await?;
        self.write_definitions(db, tenant).await
    }

    async fn write_catalogue(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let mut items: Vec<_> = self.dirty.items.iter().filter_map(|k| self.items.get_key_value(k)).collect();
        items.sort_unstable_by_key(|(sku, _)| *sku);
        if !items.is_empty() {
            sqlx::query(
                "INSERT INTO view_item (tenant_id, sku, stream_version, position, definition) \
                 SELECT $1, k.sku, k.stream_version, k.position, k.definition::jsonb \
                 FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS k (sku, stream_version, position, definition) \
                 ON CONFLICT (tenant_id, sku) DO UPDATE SET stream_version = excluded.stream_version, \
                 position = excluded.position, definition = excluded.definition",
            )
            .bind(tenant.0)
            .bind(items.iter().map(|(sku, _)| sku.as_str()).collect::<Vec<_>>())
            .bind(items.iter().map(|(_, i)| i.stream_version).collect::<Vec<_>>())
            .bind(items.iter().map(|(_, i)| i.position).collect::<Vec<_>>())
            .bind(items.iter().map(|(_, i)| json(&i.definition)).collect::<Result<Vec<_>, _>>()?)
            .execute(&mut *db)
            .await?;
        }
        self.write_item_versions(db, tenant).await?;
        let locations: Vec<_> = self.dirty.locations.iter().filter_map(|k| self.locations.get_key_value(k)).collect();
        if !locations.is_empty() {
            sqlx::query(
                "INSERT INTO view_location (tenant_id, code, stream_version, position, definition) \
                 SELECT $1, k.code, k.stream_version, k.position, k.definition::jsonb \
                 FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS k (code, stream_version, position, definition) \
                 ON CONFLICT (tenant_id, code) DO UPDATE SET stream_version = excluded.stream_version, \
                 position = excluded.position, definition = excluded.definition",
            )
            .bind(tenant.0)
            .bind(locations.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>())
            .bind(locations.iter().map(|(_, l)| l.stream_version).collect::<Vec<_>>())
            .bind(locations.iter().map(|(_, l)| l.position).collect::<Vec<_>>())
            .bind(locations.iter().map(|(_, l)| json(&l.definition)).collect::<Result<Vec<_>, _>>()?)
            .execute(&mut *db)
            .await?;
        }
        let accounts: Vec<_> = self.dirty.accounts.iter().filter_map(|k| self.accounts.get_key_value(k)).collect();
        if !accounts.is_empty() {
            sqlx::query(
                "INSERT INTO view_account (tenant_id, code, stream_version, position, definition, holds_inventory) \
                 SELECT $1, k.code, k.stream_version, k.position, k.definition::jsonb, k.holds_inventory \
                 FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::boolean[]) \
                 AS k (code, stream_version, position, definition, holds_inventory) \
                 ON CONFLICT (tenant_id, code) DO UPDATE SET stream_version = excluded.stream_version, position = excluded.position, \
                 definition = excluded.definition, holds_inventory = excluded.holds_inventory",
            )
            .bind(tenant.0)
            .bind(accounts.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>())
            .bind(accounts.iter().map(|(_, a)| a.stream_version).collect::<Vec<_>>())
            .bind(accounts.iter().map(|(_, a)| a.position).collect::<Vec<_>>())
            .bind(accounts.iter().map(|(_, a)| json(&a.definition)).collect::<Result<Vec<_>, _>>()?)
            .bind(accounts.iter().map(|(_, a)| a.holds_inventory).collect::<Vec<_>>())
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }

    /// Items that moved but are defined as before: their definitions, the most of a row, are left alone. It is an insertion
    /// that always finds its row, because it finds it by its key whatever the statistics say.
    async fn write_item_versions(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let moved = self.dirty.item_versions.difference(&self.dirty.items);
        let mut items: Vec<_> = moved.filter_map(|k| self.items.get_key_value(k)).collect();
        if items.is_empty() {
            return Ok(());
        }
        items.sort_unstable_by_key(|(sku, _)| *sku);
        let lacking: i64 = sqlx::query_scalar(include_str!("write/item_versions.sql"))
            .bind(tenant.0)
            .bind(items.iter().map(|(sku, _)| sku.as_str()).collect::<Vec<_>>())
            .bind(items.iter().map(|(_, i)| i.stream_version).collect::<Vec<_>>())
            .bind(items.iter().map(|(_, i)| i.position).collect::<Vec<_>>())
            .fetch_one(db)
            .await?;
        match lacking {
            0 => Ok(()),
            rows => Err(Error::Row(format!("view_item lacks {rows} rows that were there"))),
        }
    }

    async fn write_levels(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let level = |(sku, location)| Some((sku, location, self.levels.get(sku)?.get(location)?));
        let mut rows: Vec<_> = self.dirty.levels.iter().map(|(s, l)| (s, l)).filter_map(level).collect();
        rows.sort_unstable_by_key(|(sku, location, _)| (*sku, *location));
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_stock_level (tenant_id, sku, location, position, on_hand, reserved, value, scale, money, allocated, waiting, \
             unsellable, incoming, safety, pool, lanes) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::smallint[], \
             $9::smallint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::text[]) AS k \
             ON CONFLICT (tenant_id, sku, location) DO UPDATE SET position = excluded.position, on_hand = excluded.on_hand, \
             reserved = excluded.reserved, value = excluded.value, scale = excluded.scale, money = excluded.money, \
             allocated = excluded.allocated, waiting = excluded.waiting, unsellable = excluded.unsellable, \
             incoming = excluded.incoming, safety = excluded.safety, pool = excluded.pool, lanes = excluded.lanes",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|(sku, _, _)| sku.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, location, _)| location.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.on_hand).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.reserved).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.value).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| i16::from(l.scale)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| i16::from(l.money)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.allocated).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.waiting).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.unsellable).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.incoming).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.safety).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| l.pool.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, _, l)| lane::to_text(&l.lanes)).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_cards(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        if self.cards.is_empty() {
            return Ok(());
        }
        let mut copy = Copy::begin(
            db,
            "COPY view_stock_card (tenant_id, sku, location, position, line, type, scale, money, effective_at, recorded_at, \
             quantity, value, on_hand_after, value_after, reference, reason, lane, lane_on_hand, lane_value, status, lot) \
             FROM STDIN (FORMAT binary)",
        )
        .await?;
        let mut rows: Vec<_> = self.cards.iter().collect();
        rows.sort_unstable_by_key(|r| (&r.sku, &r.location, r.position, r.line));
        for r in rows {
            copy.row([
                Value::Long(tenant.0),
                Value::Text(r.sku.as_str()),
                Value::Text(r.location.as_str()),
                Value::Long(r.position),
                Value::Int(r.line),
                Value::Short(r.type_number),
                Value::Short(i16::from(r.scale)),
                Value::Short(i16::from(r.money)),
                Value::Long(r.effective_at.0),
                Value::Long(r.recorded_at.0),
                Value::Long(r.quantity),
                Value::Long(r.value),
                Value::Long(r.on_hand_after),
                Value::Long(r.value_after),
                Value::MaybeText(r.reference.as_ref().map(|t| t.as_str())),
                Value::MaybeText(r.reason.as_ref().map(|t| t.as_str())),
                Value::Short(r.lane),
                Value::Long(r.lane_on_hand),
                Value::Long(r.lane_value),
                Value::Short(number(r.status)),
                Value::MaybeText(r.lot.as_ref().map(|t| t.as_str())),
            ])
            .await?;
        }
        copy.finish().await
    }

    async fn write_reservations(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.reservations.iter().filter_map(|k| self.reservations.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_reservation (tenant_id, reservation_id, stream_version, position, status, owner, expires_at, opened_at, lines, priority) \
             SELECT $1, k.id, k.stream_version, k.position, k.status, k.owner, k.expires_at, k.opened_at, k.lines::jsonb, k.priority \
             FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], \
             $10::smallint[]) AS k (id, stream_version, position, status, owner, expires_at, opened_at, lines, priority) \
             ON CONFLICT (tenant_id, reservation_id) DO UPDATE SET stream_version = excluded.stream_version, \
             position = excluded.position, status = excluded.status, expires_at = excluded.expires_at, \
             lines = excluded.lines",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| r.stream_version).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| r.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| r.status.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| r.owner.as_ref().map(|t| t.as_str())).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| r.expires_at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| r.opened_at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, r)| json(&r.lines)).collect::<Result<Vec<_>, _>>()?)
        .bind(rows.iter().map(|(_, r)| i16::from(r.priority)).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    /// The lines of changed reservations: gone, and there again while it is held.
    async fn write_holds(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.reservations.iter().filter_map(|k| self.reservations.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query("DELETE FROM view_hold WHERE tenant_id = $1 AND reservation_id = ANY ($2::text[])")
            .bind(tenant.0)
            .bind(rows.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
            .execute(&mut *db)
            .await?;
        let held = rows.iter().filter(|(_, r)| r.status.holds());
        let numbered = held.flat_map(|(id, r)| (0_i32..).zip(&r.lines).map(move |(n, l)| (*id, r.lapses_at(), n, l)));
        let lines: Vec<_> = numbered.filter(|(_, _, _, l)| l.quantity > 0).collect();
        if lines.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_hold (tenant_id, sku, location, expires_at, reservation_id, line, quantity, waiting, lot) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[], \
             $9::text[]) AS k",
        )
        .bind(tenant.0)
        .bind(lines.iter().map(|(_, _, _, l)| l.sku.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, _, l)| l.location.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, at, _, _)| at.0).collect::<Vec<_>>())
        .bind(lines.iter().map(|(id, _, _, _)| id.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, n, _)| *n).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, _, l)| l.quantity).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, _, l)| l.waiting()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, _, l)| l.lot.as_ref().map(|t| t.as_str())).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_cells(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        if self.dirty.cells.is_empty() {
            return Ok(());
        }
        let units = |(sku, key): &(Sku, CellKey)| self.cells.get(sku).and_then(|c| c.get(key)).copied().unwrap_or(0);
        let (there, gone): (Vec<_>, Vec<_>) = self.dirty.cells.iter().map(|key| (key, units(key))).partition(|(_, n)| *n != 0);
        sqlx::query(
            "DELETE FROM view_stock_cell c USING unnest($2::text[], $3::text[], $4::text[], $5::smallint[]) AS k (sku, location, lot, status) \
             WHERE c.tenant_id = $1 AND c.sku = k.sku AND c.location = k.location AND c.lot = k.lot AND c.status = k.status",
        )
        .bind(tenant.0)
        .bind(gone.iter().map(|((sku, _), _)| sku.as_str()).collect::<Vec<_>>())
        .bind(gone.iter().map(|((_, (location, _, _)), _)| location.as_str()).collect::<Vec<_>>())
        .bind(gone.iter().map(|((_, (_, lot, _)), _)| lot.as_str()).collect::<Vec<_>>())
        .bind(gone.iter().map(|((_, (_, _, status)), _)| number(*status)).collect::<Vec<_>>())
        .execute(&mut *db)
        .await?;
        sqlx::query(
            "INSERT INTO view_stock_cell (tenant_id, sku, location, lot, status, on_hand) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[]) AS k \
             ON CONFLICT (tenant_id, sku, location, lot, status) DO UPDATE SET on_hand = excluded.on_hand",
        )
        .bind(tenant.0)
        .bind(there.iter().map(|((sku, _), _)| sku.as_str()).collect::<Vec<_>>())
        .bind(there.iter().map(|((_, (location, _, _)), _)| location.as_str()).collect::<Vec<_>>())
        .bind(there.iter().map(|((_, (_, lot, _)), _)| lot.as_str()).collect::<Vec<_>>())
        .bind(there.iter().map(|((_, (_, _, status)), _)| number(*status)).collect::<Vec<_>>())
        .bind(there.iter().map(|(_, units)| *units).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    /// A lot is what it was when it first came in.
    async fn write_lots(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        if self.lots.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = self.lots.iter().collect();
        sqlx::query(
            "INSERT INTO view_lot (tenant_id, sku, lot, expires_at, position) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS k \
             ON CONFLICT (tenant_id, sku, lot) DO NOTHING",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|((sku, _), _)| sku.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|((_, lot), _)| lot.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, l)| l.expires_at.map(|at| at.0)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, l)| l.position).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_serials(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        if self.serials.is_empty() {
            return Ok(());
        }
        let gone: Vec<_> = self.serials.iter().filter(|(_, there)| there.is_none()).map(|(key, _)| key).collect();
        sqlx::query(
            "DELETE FROM view_serial s USING unnest($2::text[], $3::text[]) AS k (sku, serial) \
             WHERE s.tenant_id = $1 AND s.sku = k.sku AND s.serial = k.serial",
        )
        .bind(tenant.0)
        .bind(gone.iter().map(|(sku, _)| sku.as_str()).collect::<Vec<_>>())
        .bind(gone.iter().map(|(_, serial)| serial.as_str()).collect::<Vec<_>>())
        .execute(&mut *db)
        .await?;
        let there: Vec<_> = self.serials.iter().filter_map(|(key, there)| Some((key, there.as_ref()?))).collect();
        sqlx::query(
            "INSERT INTO view_serial (tenant_id, sku, serial, location, status) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::text[], $5::smallint[]) AS k \
             ON CONFLICT (tenant_id, sku, serial) DO UPDATE SET location = excluded.location, status = excluded.status",
        )
        .bind(tenant.0)
        .bind(there.iter().map(|((sku, _), _)| sku.as_str()).collect::<Vec<_>>())
        .bind(there.iter().map(|((_, serial), _)| serial.as_str()).collect::<Vec<_>>())
        .bind(there.iter().map(|(_, s)| s.location.as_str()).collect::<Vec<_>>())
        .bind(there.iter().map(|(_, s)| number(s.status)).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_documents(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.documents.iter().filter_map(|k| self.documents.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let body = |row: &DocumentRow| match &row.document {
            Document::Expectation(view) => json(view),
            Document::Transfer(view) => json(view),
            Document::Count(view) => json(view),
        };
        sqlx::query(
            "INSERT INTO view_document (tenant_id, kind, document_id, stream_version, position, status, sku, due_at, body) \
             SELECT $1, k.kind, k.id, k.stream_version, k.position, k.status, k.sku, k.due_at, k.body::jsonb \
             FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $9::text[]) \
             AS k (kind, id, stream_version, position, status, sku, due_at, body) \
             ON CONFLICT (tenant_id, kind, document_id) DO UPDATE SET stream_version = excluded.stream_version, \
             position = excluded.position, status = excluded.status, body = excluded.body",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|((kind, _), _)| kind.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|((_, id), _)| id.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.stream_version).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.status.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.expected().map(|(sku, _)| sku.as_str())).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| d.expected().map(|(_, at)| at.0)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, d)| body(d)).collect::<Result<Vec<_>, _>>()?)
        .execute(db)
        .await?;
        Ok(())
    }
}

/// A status as the tables hold it: its place among all of them.
fn number(status: StockStatus) -> i16 {
    StockStatus::ALL.iter().zip(0_i16..).find(|(s, _)| **s == status).map_or(0, |(_, n)| n)
}
