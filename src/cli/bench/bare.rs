//! The bare limit: the rows the pipeline wrote, written again by the shortest possible program.

use std::time::Instant;

use anyhow::Result;
use ledger_core::domain::id::TenantId;
use ledger_core::store::pool::connect_writer;
use ledger_core::store::read::{Raw, raw_page};
use sqlx::PgConnection;
use uuid::Uuid;

use super::load::CALLERS;
use super::{Bench, Line, percent, rate};

/// Tenant number that the copies are written under; no tenant has it, and nothing reads it.
const COPY: i64 = i64::MAX;
/// Setup events at the start of the log, which are not like the ones measured.
const ROWS_MAX: i64 = 100_000;

/// For each batch size that the callers make: the rate of bare inserts, and what part of it the pipeline reached.
pub(super) async fn limits(bench: &mut Bench, tenant: TenantId) -> Result<()> {
    let head = ledger_core::store::read::head(&bench.pool, tenant).await?.map_or(0, |h| h.position);
    let from = head.saturating_sub(ROWS_MAX).max(0);
    let mut offset = 0_i64;
    for callers in CALLERS {
        if !bench.wants("bare limit") {
            continue;
        }
        let rows = raw_page(&bench.pool, tenant, from, ROWS_MAX).await?;
        let mut connection = connect_writer(&bench.url).await?;
        let started = Instant::now();
        for chunk in rows.chunks(callers) {
            insert(&mut connection, chunk, offset).await?;
        }
        let bare = rate(rows.len(), started.elapsed());
        offset = offset.saturating_add(head.saturating_mul(4));
        bench.lines.push(Line::new(
            format!("bare limit, batches of {callers}"),
            bare,
            "same rows and indexes, one writer, no checks",
        ));
        let prefix = format!("pipeline, {callers} callers");
        for line in bench.lines.iter_mut().filter(|l| l.name.starts_with(&prefix) && l.ratio_percent.is_none()) {
            line.ratio_percent = percent(line.rate, bare);
            line.note.push_str("; ratio: of the bare limit");
        }
    }
    Ok(())
}

async fn insert(connection: &mut PgConnection, rows: &[Raw], offset: i64) -> Result<()> {
    // Other numbers, so that the unique keys hold; the same bytes otherwise.
    let shift = |n: i64| n.saturating_add(offset);
    let column = |f: fn(&Raw) -> i64| -> Vec<i64> { rows.iter().map(f).collect() };
    let shifted = |f: fn(&Raw) -> i64| -> Vec<i64> { rows.iter().map(f).map(shift).collect() };
    let salt = Uuid::from_u128(u128::from(offset.unsigned_abs()));
    let uuids = |f: fn(&Raw) -> Option<[u8; 16]>| -> Vec<Option<Uuid>> {
        rows.iter().map(|r| f(r).map(|u| Uuid::from_u128(Uuid::from_bytes(u).as_u128() ^ salt.as_u128()))).collect()
    };
    sqlx::query(
        "INSERT INTO event (tenant_id, position, stream, stream_version, recorded_at, effective_at, type, schema_version, leaf_check, \
         payload, command_id, fingerprint, stream_key, meta) \
         SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::smallint[], \
         $9::integer[], $10::bytea[], $11::uuid[], $12::uuid[], $13::uuid[], $14::bytea[])",
    )
    .bind(COPY)
    .bind(shifted(|r| r.position))
    .bind(shifted(|r| r.stream))
    .bind(column(|r| r.stream_version))
    .bind(column(|r| r.recorded_at.0))
    .bind(rows.iter().map(|r| r.effective_at.map(|t| t.0)).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.type_number).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.schema_version).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.leaf_check).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.payload.as_slice()).collect::<Vec<_>>())
    .bind(uuids(|r| r.command_id))
    .bind(uuids(|r| r.fingerprint))
    .bind(uuids(|r| r.stream_key))
    .bind(rows.iter().map(|r| r.meta.as_deref()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
