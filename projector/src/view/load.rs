//! Rows from the database: those a batch needs, by full key, or all of a tenant.

use std::collections::HashSet;

use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{LocationCode, ReservationId, Sku, TenantId};
use ledger_core::domain::time::Timestamp;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};

use super::card::Card;
use super::fold::Wanted;
use super::row::{Account, Balance, Item, Level, Location, Reservation, Status};
use super::{Dirty, Tables};
use crate::Error;

fn bad(what: impl std::fmt::Display) -> Error {
    Error::Row(what.to_string())
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(bad)
}

fn small(number: i16) -> Result<u8, Error> {
    u8::try_from(number).map_err(bad)
}

impl Tables {
    /// Loads what folding these events needs and is not in memory.
    pub(crate) async fn load_for(&mut self, db: &mut PgConnection, tenant: TenantId, events: &[Recorded]) -> Result<(), Error> {
        // Twice: the lines of a reservation that is loaded name items.
        for _ in 0..2 {
            let mut wanted = Wanted::default();
            for recorded in events {
                self.wanted(recorded, &mut wanted);
            }
            let known = wanted.0;
            self.load_reservations(db, tenant, &known.reservations).await?;
            self.load_skus(db, tenant, &known.skus).await?;
            self.load_accounts(db, tenant, known.accounts.iter().map(|c| c.as_str().to_owned()).collect()).await?;
            self.known.skus.extend(known.skus);
            self.known.accounts.extend(known.accounts);
            self.known.locations.extend(known.locations);
            self.known.reservations.extend(known.reservations);
        }
        Ok(())
    }

    async fn load_skus(&mut self, db: &mut PgConnection, tenant: TenantId, skus: &HashSet<Sku>) -> Result<(), Error> {
        if skus.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let items = sqlx::query(
            "SELECT i.sku, i.stream_version, i.position, i.definition::text FROM unnest($2::text[]) AS k (sku) \
             JOIN view_item i ON i.tenant_id = $1 AND i.sku = k.sku",
        );
        for row in items.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_item(&row)?;
        }
        let levels = sqlx::query(
            "SELECT l.sku, l.location, l.position, l.on_hand, l.reserved, l.value, l.scale, l.money FROM unnest($2::text[]) AS k (sku) \
             JOIN view_stock_level l ON l.tenant_id = $1 AND l.sku = k.sku",
        );
        for row in levels.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_level(&row)?;
        }
        let holds = sqlx::query(
            "SELECT h.sku, h.expires_at, h.reservation_id, h.line FROM unnest($2::text[]) AS k (sku) \
             JOIN view_hold h ON h.tenant_id = $1 AND h.sku = k.sku",
        );
        for row in holds.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_hold(&row)?;
        }
        Ok(())
    }

    async fn load_accounts(&mut self, db: &mut PgConnection, tenant: TenantId, keys: Vec<String>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let accounts = sqlx::query(
            "SELECT a.code, a.stream_version, a.position, a.definition::text, a.holds_inventory FROM unnest($2::text[]) AS k (code) \
             JOIN view_account a ON a.tenant_id = $1 AND a.code = k.code",
        );
        for row in accounts.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_account(&row)?;
        }
        let balances = sqlx::query(
            "SELECT b.account, b.position, b.money, b.debits::text, b.credits::text FROM unnest($2::text[]) AS k (account) \
             JOIN view_account_balance b ON b.tenant_id = $1 AND b.account = k.account",
        );
        for row in balances.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_balance(&row)?;
        }
        Ok(())
    }

    async fn load_reservations(
        &mut self,
        db: &mut PgConnection,
        tenant: TenantId,
        ids: &HashSet<ReservationId>,
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = ids.iter().map(ReservationId::as_str).collect();
        let rows = sqlx::query(
            "SELECT r.reservation_id, r.stream_version, r.position, r.status, r.owner, r.expires_at, r.opened_at, r.lines::text \
             FROM unnest($2::text[]) AS k (id) JOIN view_reservation r ON r.tenant_id = $1 AND r.reservation_id = k.id",
        );
        for row in rows.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_reservation(&row)?;
        }
        Ok(())
    }

    fn take_item(&mut self, row: &PgRow) -> Result<(), Error> {
        let definition = serde_json::from_str(row.try_get(3)?).map_err(bad)?;
        let item = Item { stream_version: row.try_get(1)?, position: row.try_get(2)?, definition };
        self.items.insert(parse(row.try_get(0)?)?, item);
        Ok(())
    }

    fn take_level(&mut self, row: &PgRow) -> Result<(), Error> {
        let level = Level {
            position: row.try_get(2)?,
            on_hand: row.try_get(3)?,
            reserved: row.try_get(4)?,
            value: row.try_get(5)?,
            scale: small(row.try_get(6)?)?,
            money: small(row.try_get(7)?)?,
        };
        self.levels.entry(parse(row.try_get(0)?)?).or_default().insert(parse::<LocationCode>(row.try_get(1)?)?, level);
        Ok(())
    }

    fn take_hold(&mut self, row: &PgRow) -> Result<(), Error> {
        let hold = (Timestamp(row.try_get(1)?), parse(row.try_get(2)?)?, row.try_get(3)?);
        self.holds.entry(parse(row.try_get(0)?)?).or_default().insert(hold);
        Ok(())
    }

    fn take_location(&mut self, row: &PgRow) -> Result<(), Error> {
        let definition = serde_json::from_str(row.try_get(3)?).map_err(bad)?;
        let location = Location { stream_version: row.try_get(1)?, position: row.try_get(2)?, definition };
        self.locations.insert(parse(row.try_get(0)?)?, location);
        Ok(())
    }

    fn take_account(&mut self, row: &PgRow) -> Result<(), Error> {
        let account = Account {
            stream_version: row.try_get(1)?,
            position: row.try_get(2)?,
            definition: serde_json::from_str(row.try_get(3)?).map_err(bad)?,
            holds_inventory: row.try_get(4)?,
        };
        self.accounts.insert(parse(row.try_get(0)?)?, account);
        Ok(())
    }

    fn take_balance(&mut self, row: &PgRow) -> Result<(), Error> {
        let balance = Balance {
            position: row.try_get(1)?,
            money: small(row.try_get(2)?)?,
            debits: parse(row.try_get(3)?)?,
            credits: parse(row.try_get(4)?)?,
        };
        self.balances.insert(parse(row.try_get(0)?)?, balance);
        Ok(())
    }

    fn take_reservation(&mut self, row: &PgRow) -> Result<(), Error> {
        let status: &str = row.try_get(3)?;
        let reservation = Reservation {
            stream_version: row.try_get(1)?,
            position: row.try_get(2)?,
            status: Status::parse(status).ok_or_else(|| bad(status))?,
            owner: row.try_get::<Option<&str>, _>(4)?.map(parse).transpose()?,
            expires_at: Timestamp(row.try_get(5)?),
            opened_at: Timestamp(row.try_get(6)?),
            lines: serde_json::from_str(row.try_get(7)?).map_err(bad)?,
        };
        self.reservations.insert(parse(row.try_get(0)?)?, reservation);
        Ok(())
    }
}

fn card_from(row: &PgRow) -> Result<Card, Error> {
    Ok(Card {
        sku: parse(row.try_get(0)?)?,
        location: parse(row.try_get(1)?)?,
        position: row.try_get(2)?,
        line: row.try_get(3)?,
        type_number: row.try_get(4)?,
        scale: small(row.try_get(5)?)?,
        money: small(row.try_get(6)?)?,
        effective_at: Timestamp(row.try_get(7)?),
        recorded_at: Timestamp(row.try_get(8)?),
        quantity: row.try_get(9)?,
        value: row.try_get(10)?,
        on_hand_after: row.try_get(11)?,
        value_after: row.try_get(12)?,
        reference: row.try_get::<Option<&str>, _>(13)?.map(parse).transpose()?,
        reason: row.try_get::<Option<&str>, _>(14)?.map(parse).transpose()?,
    })
}

/// Every view row of a tenant, as of one position, which comes with it. For `verify`.
///
/// # Errors
/// [`Error`].
pub async fn load_all(pool: &PgPool, tenant: TenantId) -> Result<(i64, Tables), Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    let position: Option<i64> = sqlx::query_scalar("SELECT position FROM view_cursor WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_optional(&mut *tx)
        .await?;
    let mut tables = Tables::default();
    let t = tenant.0;
    let all = |sql| sqlx::query(sql).bind(t);
    for row in all("SELECT sku, stream_version, position, definition::text FROM view_item WHERE tenant_id = $1")
        .fetch_all(&mut *tx)
        .await?
    {
        tables.take_item(&row)?;
    }
    for row in
        all("SELECT sku, location, position, on_hand, reserved, value, scale, money FROM view_stock_level WHERE tenant_id = $1")
            .fetch_all(&mut *tx)
            .await?
    {
        tables.take_level(&row)?;
    }
    for row in all("SELECT sku, expires_at, reservation_id, line FROM view_hold WHERE tenant_id = $1").fetch_all(&mut *tx).await?
    {
        tables.take_hold(&row)?;
    }
    for row in all("SELECT code, stream_version, position, definition::text FROM view_location WHERE tenant_id = $1")
        .fetch_all(&mut *tx)
        .await?
    {
        tables.take_location(&row)?;
    }
    for row in
        all("SELECT code, stream_version, position, definition::text, holds_inventory FROM view_account WHERE tenant_id = $1")
            .fetch_all(&mut *tx)
            .await?
    {
        tables.take_account(&row)?;
    }
    for row in all("SELECT account, position, money, debits::text, credits::text FROM view_account_balance WHERE tenant_id = $1")
        .fetch_all(&mut *tx)
        .await?
    {
        tables.take_balance(&row)?;
    }
    let reservations = "SELECT reservation_id, stream_version, position, status, owner, expires_at, opened_at, lines::text \
                        FROM view_reservation WHERE tenant_id = $1";
    for row in all(reservations).fetch_all(&mut *tx).await? {
        tables.take_reservation(&row)?;
    }
    let cards = "SELECT sku, location, position, line, type, scale, money, effective_at, recorded_at, quantity, value, on_hand_after, \
                 value_after, reference, reason FROM view_stock_card WHERE tenant_id = $1 ORDER BY position, line";
    for row in all(cards).fetch_all(&mut *tx).await? {
        tables.cards.push(card_from(&row)?);
    }
    tx.rollback().await?;
    tables.dirty = Dirty::default();
    Ok((position.unwrap_or(0), tables))
}
