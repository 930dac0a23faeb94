//! Rows from the database: those a batch needs, by full key, or all of a tenant.

use std::collections::HashSet;

use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{LocationCode, ReservationId, Sku, TenantId};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::view::document::{Document, DocumentStatus, Kind};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};

use super::card::Card;
use super::document::DocumentRow;
use super::fold::Wanted;
use super::row::{Account, Balance, Item, Level, Location, Lot, Reservation, Serial, Status};
use super::{Dirty, Tables, lane};
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

fn status(number: i16) -> Result<StockStatus, Error> {
    let at = usize::try_from(number).ok().and_then(|at| StockStatus::ALL.get(at));
    at.copied().ok_or_else(|| bad(number))
}

impl Tables {
    /// Loads what folding these events needs and is not in memory.
    pub(crate) async fn load_for(&mut self, db: &mut PgConnection, tenant: TenantId, events: &[Recorded]) -> Result<(), Error> {
        if !self.known.all_locations {
            self.load_locations(db, tenant).await?;
            self.known.all_locations = true;
        }
        // Twice: the lines of a reservation that is loaded name items, and so does an expected receipt.
        for _ in 0..2 {
            let mut wanted = Wanted::default();
            for recorded in events {
                self.wanted(recorded, &mut wanted);
            }
            let known = wanted.0;
            self.load_reservations(db, tenant, &known.reservations).await?;
            self.load_documents(db, tenant, &known.documents).await?;
            self.load_skus(db, tenant, &known.skus).await?;
            self.load_accounts(db, tenant, known.accounts.iter().map(|c| c.as_str().to_owned()).collect()).await?;
            self.known.skus.extend(known.skus);
            self.known.accounts.extend(known.accounts);
            self.known.documents.extend(known.documents);
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
            "SELECT l.sku, l.location, l.position, l.on_hand, l.reserved, l.value, l.scale, l.money, l.allocated, l.waiting, l.unsellable, \
             l.incoming, l.safety, l.pool, l.lanes FROM unnest($2::text[]) AS k (sku) \
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
        let cells = sqlx::query(
            "SELECT c.sku, c.location, c.lot, c.status, c.on_hand FROM unnest($2::text[]) AS k (sku) \
             JOIN view_stock_cell c ON c.tenant_id = $1 AND c.sku = k.sku",
        );
        for row in cells.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_cell(&row)?;
        }
        Ok(())
    }

    async fn load_locations(&mut self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let rows = sqlx::query("SELECT code, stream_version, position, definition::text FROM view_location WHERE tenant_id = $1");
        for row in rows.bind(tenant.0).fetch_all(&mut *db).await? {
            self.take_location(&row)?;
        }
        Ok(())
    }

    async fn load_documents(
        &mut self,
        db: &mut PgConnection,
        tenant: TenantId,
        keys: &HashSet<(Kind, String)>,
    ) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query(
            "SELECT d.kind, d.document_id, d.stream_version, d.position, d.status, d.body::text \
             FROM unnest($2::text[], $3::text[]) AS k (kind, id) \
             JOIN view_document d ON d.tenant_id = $1 AND d.kind = k.kind AND d.document_id = k.id",
        )
        .bind(tenant.0)
        .bind(keys.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>());
        for row in rows.fetch_all(&mut *db).await? {
            self.take_document(&row)?;
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
            "SELECT r.reservation_id, r.stream_version, r.position, r.status, r.owner, r.expires_at, r.opened_at, r.lines::text, r.priority \
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
            allocated: row.try_get(8)?,
            waiting: row.try_get(9)?,
            unsellable: row.try_get(10)?,
            incoming: row.try_get(11)?,
            safety: row.try_get(12)?,
            pool: row.try_get(13)?,
            lanes: lane::from_text(row.try_get(14)?).ok_or_else(|| bad("view_stock_level.lanes"))?,
        };
        self.levels.entry(parse(row.try_get(0)?)?).or_default().insert(parse::<LocationCode>(row.try_get(1)?)?, level);
        Ok(())
    }

    fn take_hold(&mut self, row: &PgRow) -> Result<(), Error> {
        let hold = (Timestamp(row.try_get(1)?), parse(row.try_get(2)?)?, row.try_get(3)?);
        self.holds.entry(parse(row.try_get(0)?)?).or_default().insert(hold);
        Ok(())
    }

    fn take_cell(&mut self, row: &PgRow) -> Result<(), Error> {
        let key = (parse(row.try_get(1)?)?, row.try_get(2)?, status(row.try_get(3)?)?);
        self.cells.entry(parse(row.try_get(0)?)?).or_default().insert(key, row.try_get(4)?);
        Ok(())
    }

    fn take_document(&mut self, row: &PgRow) -> Result<(), Error> {
        let word: &str = row.try_get(0)?;
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == word).ok_or_else(|| bad(word))?;
        let word: &str = row.try_get(4)?;
        let status = DocumentStatus::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| bad(word))?;
        let body: &str = row.try_get(5)?;
        let document = match kind {
            Kind::Expectation => Document::Expectation(serde_json::from_str(body).map_err(bad)?),
            Kind::Transfer => Document::Transfer(serde_json::from_str(body).map_err(bad)?),
            Kind::Count => Document::Count(serde_json::from_str(body).map_err(bad)?),
        };
        let found = DocumentRow { stream_version: row.try_get(2)?, position: row.try_get(3)?, status, document };
        self.documents.insert((kind, row.try_get(1)?), found);
        Ok(())
    }

    fn take_lot(&mut self, row: &PgRow) -> Result<(), Error> {
        let lot = Lot { expires_at: row.try_get::<Option<i64>, _>(2)?.map(Timestamp), position: row.try_get(3)? };
        self.lots.insert((parse(row.try_get(0)?)?, parse(row.try_get(1)?)?), lot);
        Ok(())
    }

    fn take_serial(&mut self, row: &PgRow) -> Result<(), Error> {
        let serial = Serial { location: parse(row.try_get(2)?)?, status: status(row.try_get(3)?)? };
        self.serials.insert((parse(row.try_get(0)?)?, parse(row.try_get(1)?)?), Some(serial));
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
            priority: small(row.try_get(8)?)?,
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
        lane: row.try_get(15)?,
        lane_on_hand: row.try_get(16)?,
        lane_value: row.try_get(17)?,
        status: status(row.try_get(18)?)?,
        lot: row.try_get::<Option<&str>, _>(19)?.map(parse).transpose()?,
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
    let levels = "SELECT sku, location, position, on_hand, reserved, value, scale, money, allocated, waiting, unsellable, incoming, \
                  safety, pool, lanes FROM view_stock_level WHERE tenant_id = $1";
    for row in all(levels).fetch_all(&mut *tx).await? {
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
    let reservations = "SELECT reservation_id, stream_version, position, status, owner, expires_at, opened_at, lines::text, priority \
                        FROM view_reservation WHERE tenant_id = $1";
    for row in all(reservations).fetch_all(&mut *tx).await? {
        tables.take_reservation(&row)?;
    }
    for row in
        all("SELECT sku, location, lot, status, on_hand FROM view_stock_cell WHERE tenant_id = $1").fetch_all(&mut *tx).await?
    {
        tables.take_cell(&row)?;
    }
    for row in all("SELECT sku, lot, expires_at, position FROM view_lot WHERE tenant_id = $1").fetch_all(&mut *tx).await? {
        tables.take_lot(&row)?;
    }
    for row in all("SELECT sku, serial, location, status FROM view_serial WHERE tenant_id = $1").fetch_all(&mut *tx).await? {
        tables.take_serial(&row)?;
    }
    let documents =
        "SELECT kind, document_id, stream_version, position, status, body::text FROM view_document WHERE tenant_id = $1";
    for row in all(documents).fetch_all(&mut *tx).await? {
        tables.take_document(&row)?;
    }
    let cards = "SELECT sku, location, position, line, type, scale, money, effective_at, recorded_at, quantity, value, on_hand_after, \
                 value_after, reference, reason, lane, lane_on_hand, lane_value, status, lot FROM view_stock_card WHERE tenant_id = $1 ORDER BY position, line";
    for row in all(cards).fetch_all(&mut *tx).await? {
        tables.cards.push(card_from(&row)?);
    }
    tx.rollback().await?;
    tables.dirty = Dirty::default();
    Ok((position.unwrap_or(0), tables))
}
