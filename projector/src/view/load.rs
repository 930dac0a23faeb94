//! Rows from the database: those a batch needs, by full key, or all of a tenant.

mod money;

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use ledger_core::domain::event::Recorded;
use ledger_core::domain::id::{EntryId, LocationCode, Position, ReservationId, Sku, TenantId};
use ledger_core::domain::stock::status::StockStatus;
use ledger_core::domain::time::Timestamp;
use ledger_core::view::document::{Document, DocumentStatus, Kind};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};

use super::appended::Digests;
use super::card::Card;
use super::document::DocumentRow;
use super::entry::PendingRow;
use super::fold::Wanted;
use super::row::{Account, Item, Level, Location, Lot, Reservation, Serial, Status};
use super::{Dirty, Tables, lane};
use crate::Error;

pub use money::postings_between;

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
            self.load_entries(db, tenant, &known.entries).await?;
            self.load_definitions(db, tenant, &known.definitions).await?;
            self.known.skus.extend(known.skus);
            self.known.accounts.extend(known.accounts);
            self.known.documents.extend(known.documents);
            self.known.reservations.extend(known.reservations);
            self.known.entries.extend(known.entries);
            self.known.definitions.extend(known.definitions);
        }
        Ok(())
    }

    async fn load_skus(&mut self, db: &mut PgConnection, tenant: TenantId, skus: &HashSet<Sku>) -> Result<(), Error> {
        if skus.is_empty() {
            return Ok(());
        }
        let keys: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let items = sqlx::query(
            "SELECT i.sku, i.stream_version, i.position, i.definition::text FROM view_item i \
             WHERE i.tenant_id = $1 AND i.sku = ANY ($2::text[])",
        );
        for row in items.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_item(&row)?;
        }
        let levels = sqlx::query(
            "SELECT l.sku, l.location, l.position, l.on_hand, l.reserved, l.value, l.scale, l.money, l.allocated, l.waiting, l.unsellable, \
             l.incoming, l.safety, l.pool, l.lanes FROM view_stock_level l \
             WHERE l.tenant_id = $1 AND l.sku = ANY ($2::text[])",
        );
        for row in levels.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_level(&row)?;
        }
        let holds = sqlx::query(
            "SELECT h.sku, h.expires_at, h.reservation_id, h.line FROM view_hold h \
             WHERE h.tenant_id = $1 AND h.sku = ANY ($2::text[])",
        );
        for row in holds.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_hold(&row)?;
        }
        let cells = sqlx::query(
            "SELECT c.sku, c.location, c.lot, c.status, c.on_hand FROM view_stock_cell c \
             WHERE c.tenant_id = $1 AND c.sku = ANY ($2::text[])",
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
            // The limit keeps the keys outside, whatever the statistics say.
            "SELECT d.* FROM unnest($2::text[], $3::text[]) AS k (kind, id) CROSS JOIN LATERAL (\
             SELECT d.kind, d.document_id, d.stream_version, d.position, d.status, d.body::text FROM view_document d \
             WHERE d.tenant_id = $1 AND d.kind = k.kind AND d.document_id = k.id LIMIT 1) AS d",
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
            "SELECT a.code, a.stream_version, a.position, a.definition::text, a.holds_inventory FROM view_account a \
             WHERE a.tenant_id = $1 AND a.code = ANY ($2::text[])",
        );
        for row in accounts.bind(tenant.0).bind(&keys).fetch_all(&mut *db).await? {
            self.take_account(&row)?;
        }
        self.load_balances(db, tenant, &keys).await
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
             FROM view_reservation r WHERE r.tenant_id = $1 AND r.reservation_id = ANY ($2::text[])",
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

const CARDS: &str = "SELECT sku, location, position, line, type, scale, money, effective_at, recorded_at, quantity, value, \
                     on_hand_after, value_after, reference, reason, lane, lane_on_hand, lane_value, status, lot \
                     FROM view_stock_card WHERE tenant_id = $1 AND position BETWEEN $2 AND $3";

/// A tenant's movements of some positions, as stored.
///
/// # Errors
/// [`Error`].
pub async fn cards_between(pool: &PgPool, tenant: TenantId, (first, last): (Position, Position)) -> Result<Vec<Card>, Error> {
    let rows = sqlx::query(CARDS).bind(tenant.0).bind(first).bind(last).fetch_all(pool).await?;
    rows.iter().map(card_from).collect()
}

/// A tenant's views as stored, as of one position.
#[derive(Debug)]
pub struct Stored {
    /// The cursor they stand at.
    pub position: Position,
    /// All rows but those of the three fields below.
    pub tables: Tables,
    /// The rows of `view_pending`, by entry and line.
    pub pending: HashMap<(EntryId, i32), PendingRow>,
    /// Of the rows of `view_stock_card`.
    pub cards: Digests,
    /// Of the rows of `view_posting`.
    pub postings: Digests,
}

/// Every view row of a tenant, as of one position. For `verify`.
///
/// # Errors
/// [`Error`].
pub async fn load_all(pool: &PgPool, tenant: TenantId) -> Result<Stored, Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    // Before the first look at anything: rebuilt tables that came in between would seem empty to this transaction.
    sqlx::query(include_str!("load/lock.sql")).execute(&mut *tx).await?;
    let position: Option<i64> = sqlx::query_scalar("SELECT position FROM view_cursor WHERE tenant_id = $1")
        .bind(tenant.0)
        .fetch_optional(&mut *tx)
        .await?;
    let mut tables = Tables::default();
    tables.load_stock(&mut tx, tenant).await?;
    tables.load_money(&mut tx, tenant).await?;
    let pending = money::pending(&mut tx, tenant).await?;
    let postings = money::digest_postings(&mut tx, tenant).await?;
    let cards = digest_cards(&mut tx, tenant).await?;
    tx.rollback().await?;
    tables.dirty = Dirty::default();
    Ok(Stored { position: position.unwrap_or(0), tables, pending, cards, postings })
}

async fn digest_cards(db: &mut PgConnection, tenant: TenantId) -> Result<Digests, Error> {
    let mut digests = Digests::default();
    let mut rows = sqlx::query(CARDS).bind(tenant.0).bind(Position::MIN).bind(Position::MAX).fetch(db);
    while let Some(row) = rows.try_next().await? {
        digests.add(&card_from(&row)?);
    }
    Ok(digests)
}

impl Tables {
    /// Every row about stock but the cards.
    async fn load_stock(&mut self, db: &mut PgConnection, tenant: TenantId) -> Result<(), Error> {
        let all = |sql| sqlx::query(sql).bind(tenant.0);
        let items = "SELECT sku, stream_version, position, definition::text FROM view_item WHERE tenant_id = $1";
        for row in all(items).fetch_all(&mut *db).await? {
            self.take_item(&row)?;
        }
        let levels = "SELECT sku, location, position, on_hand, reserved, value, scale, money, allocated, waiting, unsellable, \
                      incoming, safety, pool, lanes FROM view_stock_level WHERE tenant_id = $1";
        for row in all(levels).fetch_all(&mut *db).await? {
            self.take_level(&row)?;
        }
        let holds = "SELECT sku, expires_at, reservation_id, line FROM view_hold WHERE tenant_id = $1";
        for row in all(holds).fetch_all(&mut *db).await? {
            self.take_hold(&row)?;
        }
        self.load_locations(db, tenant).await?;
        let reservations = "SELECT reservation_id, stream_version, position, status, owner, expires_at, opened_at, lines::text, \
                            priority FROM view_reservation WHERE tenant_id = $1";
        for row in all(reservations).fetch_all(&mut *db).await? {
            self.take_reservation(&row)?;
        }
        let cells = "SELECT sku, location, lot, status, on_hand FROM view_stock_cell WHERE tenant_id = $1";
        for row in all(cells).fetch_all(&mut *db).await? {
            self.take_cell(&row)?;
        }
        let lots = "SELECT sku, lot, expires_at, position FROM view_lot WHERE tenant_id = $1";
        for row in all(lots).fetch_all(&mut *db).await? {
            self.take_lot(&row)?;
        }
        let serials = "SELECT sku, serial, location, status FROM view_serial WHERE tenant_id = $1";
        for row in all(serials).fetch_all(&mut *db).await? {
            self.take_serial(&row)?;
        }
        let documents =
            "SELECT kind, document_id, stream_version, position, status, body::text FROM view_document WHERE tenant_id = $1";
        for row in all(documents).fetch_all(&mut *db).await? {
            self.take_document(&row)?;
        }
        Ok(())
    }
}
