//! `ledgerd doctor`: what is reachable and set as it should be, and what is not.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use ledger_core::store;
use projector::feed::Durability;
use sqlx::Row;
use sqlx::postgres::PgPool;

use super::connect::Urls;
use super::output;

/// Longest wait for one part.
const PART_SECONDS_MAX: u64 = 5;
/// Tenants that stand still, told one by one.
const STOPS_TOLD_MAX: i64 = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    urls: Urls,
}

#[derive(Debug, serde::Serialize)]
struct Check {
    part: &'static str,
    ok: bool,
    what: String,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let mut checks = Vec::new();
    match args.urls.resolve() {
        Err(error) => checks.push(Check { part: "configuration", ok: false, what: format!("{error:#}") }),
        Ok(urls) => {
            match urls.pool().await {
                Err(error) => checks.push(Check { part: "Postgres", ok: false, what: format!("{error:#}") }),
                Ok(pool) => {
                    postgres(&pool, &mut checks).await;
                    projection(&pool, &mut checks).await;
                }
            }
            checks.push(redis(urls.redis_url.as_deref()).await);
            checks.push(nats(&urls).await);
        }
    }
    let all_well = checks.iter().all(|c| c.ok);
    if json {
        output::print_json(&checks)?;
    } else {
        let rows = checks.into_iter().map(|c| [c.part.to_owned(), if c.ok { "ok" } else { "LOOK" }.to_owned(), c.what]);
        output::print(&output::table(["part", "state", "what"], rows))?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::from(super::WANTING) })
}

/// Settings that durability and speed rest on: name, whether a value will do, what to do otherwise.
type Setting = (&'static str, fn(&str) -> bool, &'static str);
const SETTINGS: [Setting; 5] = [
    ("fsync", |v| v == "on", "a power cut loses acknowledged commands"),
    ("synchronous_commit", |v| v != "off", "a power cut loses acknowledged commands"),
    ("full_page_writes", |v| v == "on", "a power cut can tear pages"),
    ("data_checksums", |v| v == "on", "a flipped bit on disk reads as another number; make the cluster with initdb -k"),
    ("server_version_num", |v| v.parse::<u32>().is_ok_and(|v| v >= 150_000), "Postgres 15 is the oldest supported"),
];

async fn postgres(pool: &PgPool, checks: &mut Vec<Check>) {
    for (name, will_do, otherwise) in SETTINGS {
        let value = sqlx::query_scalar::<_, String>("SELECT current_setting($1)").bind(name).fetch_one(pool).await;
        checks.push(match value {
            Ok(value) if will_do(&value) => Check { part: "Postgres", ok: true, what: format!("{name} = {value}") },
            Ok(value) => Check { part: "Postgres", ok: false, what: format!("{name} = {value}: {otherwise}") },
            Err(error) => Check { part: "Postgres", ok: false, what: format!("{name}: {error}") },
        });
    }
    let role = sqlx::query(
        "SELECT has_table_privilege(current_user, 'event', 'UPDATE'), has_table_privilege(current_user, 'event', 'DELETE')",
    );
    checks.push(match role.fetch_one(pool).await {
        Ok(row) => {
            let may_change = row.try_get::<bool, _>(0).unwrap_or(true) || row.try_get::<bool, _>(1).unwrap_or(true);
            let what = if may_change { "the service role may change events" } else { "the service role cannot change events" };
            Check { part: "Postgres", ok: !may_change, what: what.to_owned() }
        }
        Err(error) => {
            Check { part: "Postgres", ok: false, what: format!("the schema is not there: {error}; run ledgerd migrate") }
        }
    });
    let tenants = store::tenant::list(pool).await.map(|t| t.len());
    if let Ok(tenants) = tenants {
        checks.push(Check { part: "Postgres", ok: true, what: format!("{tenants} tenants") });
    }
}

/// Who projects, what stands still, and whether the views' rows are of this version.
async fn projection(pool: &PgPool, checks: &mut Vec<Check>) {
    let part = "projector";
    match projectors(pool).await {
        Ok(rows) => checks.extend(rows.into_iter().map(|(ok, what)| Check { part, ok, what })),
        Err(error) => checks.push(Check { part, ok: false, what: format!("{error:#}") }),
    }
}

async fn projectors(pool: &PgPool) -> Result<Vec<(bool, String)>> {
    let row = sqlx::query(include_str!("doctor/projectors.sql")).fetch_one(pool).await?;
    let (running, shards): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let mut found = vec![match running {
        0 => (true, "none runs now: views stand still until one does".to_owned()),
        n => (true, format!("{n} running, {shards} of 64 shards in their hands")),
    }];
    let versions = projector::version::compare(pool).await?;
    if !versions.older.is_empty() {
        let views = versions.older.join(", ");
        found.push((false, format!("rows of an older version in {views}; run ledgerd rebuild all")));
    }
    if !versions.newer.is_empty() {
        found.push((false, format!("rows of a newer program in {}; this one does not project", versions.newer.join(", "))));
    }
    for row in sqlx::query(include_str!("doctor/stops.sql")).bind(STOPS_TOLD_MAX).fetch_all(pool).await? {
        let (code, part, why): (&str, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
        let (position, since): (i64, &str) = (row.try_get(2)?, row.try_get(3)?);
        found.push((false, format!("{part} of tenant {code} stand still before position {position} since {since}: {why}")));
    }
    Ok(found)
}

async fn redis(url: Option<&str>) -> Check {
    let part = "Redis";
    let Some(url) = url else { return Check { part, ok: true, what: "not configured: reads come from Postgres".to_owned() } };
    let ping = async {
        let client = ::redis::Client::open(url)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        ::redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    match tokio::time::timeout(Duration::from_secs(PART_SECONDS_MAX), ping).await {
        Ok(Ok(_)) => Check { part, ok: true, what: "answers".to_owned() },
        Ok(Err(error)) => Check { part, ok: false, what: error.to_string() },
        Err(_) => Check { part, ok: false, what: format!("no answer in {PART_SECONDS_MAX} s") },
    }
}

async fn nats(urls: &Urls) -> Check {
    let part = "NATS";
    let Some(url) = urls.nats_url.as_deref() else {
        return Check { part, ok: true, what: "not configured: the feed is GET /v1/events".to_owned() };
    };
    let look = async {
        let client = projector::feed::connect(url).await?;
        let version = client.server_info().version;
        let durability = projector::feed::look_at_durability(&client, urls.nats_monitor_url.as_deref()).await;
        // Read loosely: servers of different ages say different things of an account.
        let answer = client.request("$JS.API.INFO", "".into()).await?;
        let said: serde_json::Value = serde_json::from_slice(&answer.payload)?;
        anyhow::ensure!(said["error"].is_null(), "JetStream: {}", said["error"]);
        anyhow::Ok((version, durability))
    };
    match tokio::time::timeout(Duration::from_secs(PART_SECONDS_MAX), look).await {
        Ok(Ok((version, durability))) => Check {
            part,
            // A copy of the log may be lost and published again, unless whoever runs it says otherwise.
            ok: durability == Durability::Synced || !urls.feed_require_sync,
            what: format!("{version} with JetStream answers; {}", durability.sentence()),
        },
        Ok(Err(error)) => Check { part, ok: false, what: format!("{error:#}") },
        Err(_) => Check { part, ok: false, what: format!("no answer in {PART_SECONDS_MAX} s") },
    }
}
