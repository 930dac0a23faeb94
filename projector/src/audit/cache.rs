//! Redis against the replay: every value that is there must be what the replay gives.

use ledger_core::audit::replay::Finding;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::read;
use ledger_core::view::{Cached, account_cache_key, stock_cache_key};
use redis::aio::MultiplexedConnection;
use sqlx::postgres::PgPool;

use super::Report;
use crate::Error;
use crate::view::Tables;

/// Values asked for at once.
const KEYS_AT_ONCE: usize = 1_000;

/// A cache that is away is said and not counted.
///
/// # Errors
/// [`Error`] of the database.
pub(super) async fn compare(
    (pool, url): (&PgPool, &str),
    tenant: TenantId,
    folded: &Tables,
    at: Position,
    report: &mut Report,
) -> Result<(), Error> {
    match try_compare(url, tenant, folded, at, report).await {
        Ok(Seen { count, newer }) => {
            report.cached_values = u64::try_from(count).ok();
            report.compared("cache", count, Some(at));
            let head = read::last_position(pool, tenant).await?;
            for (key, as_of) in newer.into_iter().filter(|(_, as_of)| *as_of > head) {
                let what = format!("{key} says it is as of position {as_of}, but the log ends at {head}");
                report.found(Finding::new(at, "cache_equals_replay", what));
            }
        }
        Err(error) => report.skipped("cache", format!("it is away: {error}")),
    }
    Ok(())
}

/// Values that were there.
#[derive(Default)]
struct Seen {
    count: usize,
    /// Those that say to be newer than the views, and how new.
    newer: Vec<(String, Position)>,
}

async fn try_compare(
    url: &str,
    tenant: TenantId,
    folded: &Tables,
    at: Position,
    report: &mut Report,
) -> Result<Seen, redis::RedisError> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let expected = expected(tenant, folded, at);
    let mut seen = Seen::default();
    for chunk in expected.chunks(KEYS_AT_ONCE) {
        for ((key, expected), value) in chunk.iter().zip(values(&mut connection, chunk).await?) {
            let Some(value) = value else { continue };
            seen.count += 1;
            match difference(key, expected, &value, at) {
                Difference::None => {}
                Difference::Newer(as_of) => seen.newer.push((key.clone(), as_of)),
                Difference::Wrong(what) => report.found(Finding::new(at, "cache_equals_replay", what)),
            }
        }
    }
    Ok(seen)
}

/// A key, and the value it may have.
type Expected = (String, serde_json::Value);

fn expected(tenant: TenantId, folded: &Tables, at: Position) -> Vec<Expected> {
    let stock = folded
        .items
        .keys()
        .filter_map(|sku| Some((stock_cache_key(tenant, sku), serde_json::to_value(folded.stock(sku, at)?).ok()?)));
    let accounts = folded
        .balances
        .keys()
        .filter_map(|code| Some((account_cache_key(tenant, code), serde_json::to_value(folded.account(code, at)?).ok()?)));
    stock.chain(accounts).collect()
}

async fn values(connection: &mut MultiplexedConnection, chunk: &[Expected]) -> Result<Vec<Option<Vec<u8>>>, redis::RedisError> {
    let keys: Vec<&str> = chunk.iter().map(|(key, _)| key.as_str()).collect();
    redis::cmd("MGET").arg(&keys).query_async(connection).await
}

enum Difference {
    None,
    /// It includes events that the views that were compared do not.
    Newer(Position),
    Wrong(String),
}

fn difference(key: &str, expected: &serde_json::Value, value: &[u8], at: Position) -> Difference {
    let cached = match serde_json::from_slice::<Cached<serde_json::Value>>(value) {
        Ok(cached) if cached.as_of > at => return Difference::Newer(cached.as_of),
        Ok(cached) => cached,
        Err(error) => return Difference::Wrong(format!("{key} holds what is no value of ours: {error}")),
    };
    // When the first pending entry of an account lapses is not known to the fold.
    let is_stock = expected["body"].get("sku").is_some();
    let next_expiry = serde_json::to_value(cached.next_expiry).unwrap_or_default();
    for (name, held) in [("body", &cached.body), ("position", &cached.position.into()), ("next_expiry", &next_expiry)] {
        if expected[name] != *held && (is_stock || name != "next_expiry") {
            return Difference::Wrong(format!("{key} holds the {name} {held}, the replay gives {}", expected[name]));
        }
    }
    Difference::None
}
