//! Changed rows into the database: one statement per view, whole columns at once.

use ledger_core::domain::id::TenantId;
use sqlx::PgConnection;

use super::Tables;
use super::row::Status;
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
        self.write_holds(db, tenant).await
    }

    async fn write_catalogue(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let items: Vec<_> = self.dirty.items.iter().filter_map(|k| self.items.get_key_value(k)).collect();
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

    async fn write_levels(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let level = |(sku, location)| Some((sku, location, self.levels.get(sku)?.get(location)?));
        let rows: Vec<_> = self.dirty.levels.iter().map(|(s, l)| (s, l)).filter_map(level).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_stock_level (tenant_id, sku, location, position, on_hand, reserved, value, scale, money) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::smallint[], \
             $9::smallint[]) AS k (sku, location, position, on_hand, reserved, value, scale, money) \
             ON CONFLICT (tenant_id, sku, location) DO UPDATE SET position = excluded.position, on_hand = excluded.on_hand, \
             reserved = excluded.reserved, value = excluded.value, scale = excluded.scale, money = excluded.money",
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
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_cards(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows = &self.cards;
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_stock_card (tenant_id, sku, location, position, line, type, scale, money, effective_at, recorded_at, \
             quantity, value, on_hand_after, value_after, reference, reason) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::integer[], $6::smallint[], $7::smallint[], \
             $8::smallint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], \
             $16::text[]) AS k",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|r| r.sku.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.location.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.line).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.type_number).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| i16::from(r.scale)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| i16::from(r.money)).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.effective_at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.recorded_at.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.quantity).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.value).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.on_hand_after).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.value_after).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.reference.as_ref().map(|t| t.as_str())).collect::<Vec<_>>())
        .bind(rows.iter().map(|r| r.reason.as_ref().map(|t| t.as_str())).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_balances(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.balances.iter().filter_map(|k| self.balances.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_account_balance (tenant_id, account, position, money, debits, credits) \
             SELECT $1, k.account, k.position, k.money, k.debits::numeric, k.credits::numeric \
             FROM unnest($2::text[], $3::bigint[], $4::smallint[], $5::text[], $6::text[]) AS k (account, position, money, debits, credits) \
             ON CONFLICT (tenant_id, account) DO UPDATE SET position = excluded.position, money = excluded.money, \
             debits = excluded.debits, credits = excluded.credits",
        )
        .bind(tenant.0)
        .bind(rows.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, b)| b.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, b)| i16::from(b.money)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, b)| b.debits.to_string()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, b)| b.credits.to_string()).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_reservations(&self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows: Vec<_> = self.dirty.reservations.iter().filter_map(|k| self.reservations.get_key_value(k)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_reservation (tenant_id, reservation_id, stream_version, position, status, owner, expires_at, opened_at, lines) \
             SELECT $1, k.id, k.stream_version, k.position, k.status, k.owner, k.expires_at, k.opened_at, k.lines::jsonb \
             FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[]) \
             AS k (id, stream_version, position, status, owner, expires_at, opened_at, lines) \
             ON CONFLICT (tenant_id, reservation_id) DO UPDATE SET stream_version = excluded.stream_version, \
             position = excluded.position, status = excluded.status, expires_at = excluded.expires_at",
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
        let held = rows.iter().filter(|(_, r)| r.status == Status::Held);
        let lines: Vec<_> =
            held.flat_map(|(id, r)| (0_i32..).zip(&r.lines).map(move |(n, l)| (*id, r.expires_at, n, l))).collect();
        if lines.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO view_hold (tenant_id, sku, location, expires_at, reservation_id, line, quantity) \
             SELECT $1, k.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::bigint[]) AS k",
        )
        .bind(tenant.0)
        .bind(lines.iter().map(|(_, _, _, l)| l.sku.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, _, l)| l.location.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, at, _, _)| at.0).collect::<Vec<_>>())
        .bind(lines.iter().map(|(id, _, _, _)| id.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, n, _)| *n).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, _, l)| l.quantity).collect::<Vec<_>>())
        .execute(db)
        .await?;
        Ok(())
    }
}
