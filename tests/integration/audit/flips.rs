//! One bit, anywhere in what is stored: `verify` finds it and says where.

use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use ledger_core::audit::checkpoint::Checkpoint;
use ledger_core::audit::keys::Keys;
use ledger_core::audit::merkle::Frontier;
use ledger_core::audit::note::Signer;
use ledger_core::domain::id::TenantId;
use ledger_core::store::{pool, read};
use serde_json::Value;
use sqlx::PgConnection;

use super::busy;
use crate::harness::{Parts, World};

/// Longest wait for what follows the log.
const FOLLOW_MAX: Duration = Duration::from_secs(30);
/// Enough for an inner node of the tree, with some to spare.
const ROUNDS: usize = 32;

/// Something stored, one bit of which is flipped; again, and it is as before. `$1` is the tenant, `$2` the position.
struct Flip {
    sql: &'static str,
    invariant: &'static str,
    position: i64,
}

fn flip(sql: &'static str, invariant: &'static str, position: i64) -> Flip {
    Flip { sql, invariant, position }
}

fn verify(world: &World, tenant: &str, keys: &Path) -> (i32, Value) {
    let mut command = world.command(&["verify", "--json", "--tenant", tenant]);
    let output = command.env("LEDGERD_SIGNING_KEYS", keys).output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code().unwrap(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// A finding of this kind that names this position, exactly or within a span.
fn names(report: &Value, invariant: &str, position: i64) -> bool {
    report["findings"].as_array().unwrap().iter().any(|f| {
        let first = f["position"].as_i64().unwrap();
        let last = f["until"].as_i64().unwrap_or(first);
        f["invariant"] == invariant && first <= position && position <= last
    })
}

/// Stores a checkpoint of some size, as a node does.
async fn checkpoint(world: &World, tenant: i64, code: &str, size: i64, keys: &Keys) {
    let options = pool::Options { url: world.database_url.clone(), connections_max: 1, application_name: "test" };
    let pool = pool::connect(&options).await.unwrap();
    let mut frontier = Frontier::default();
    for raw in read::raw_page(&pool, TenantId(tenant), 0, size).await.unwrap() {
        frontier.push(raw.leaf_hash(&mut Vec::new()));
    }
    let checkpoint = Checkpoint { origin: format!("ledgerd/{code}"), size: frontier.size(), root: frontier.root() };
    sqlx::query("INSERT INTO checkpoint (tenant_id, size, root, note) VALUES ($1, $2, $3, $4)")
        .bind(tenant)
        .bind(size)
        .bind(&frontier.root()[..])
        .bind(keys.sign(&checkpoint.text()).unwrap())
        .execute(&pool)
        .await
        .unwrap();
}

/// The trail and the feed are as far as they come.
async fn follow(owner: &mut PgConnection, tenant: i64, head: i64) {
    let deadline = Instant::now() + FOLLOW_MAX;
    loop {
        let sql = "SELECT coalesce((SELECT position FROM trail_cursor WHERE tenant_id = $1), 0) >= $2 / 256 * 256 \
                   AND coalesce((SELECT position FROM feed_cursor WHERE tenant_id = $1), 0) >= $2";
        let is_there: bool = sqlx::query_scalar(sql).bind(tenant).bind(head).fetch_one(&mut *owner).await.unwrap();
        if is_there {
            return;
        }
        assert!(Instant::now() < deadline, "the trail or the feed does not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_anywhere_is_found_and_located() {
    let world = World::start(Parts::All).await;
    let (node, tenant, _c, head) = busy(&world, "flips", ROUNDS).await;
    assert!(head > 256, "only {head} events: there is no node");
    let mut owner = world.owner().await;
    follow(&mut owner, tenant.number, head).await;
    let dir = std::env::temp_dir().join(format!("ledgerd-flips-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let keys = Keys::first(Signer::from_seed("ledgerd", &[7; 32]).unwrap());
    let file = dir.join("keys");
    std::fs::write(&file, keys.to_text()).unwrap();
    for size in [head / 2, head] {
        checkpoint(&world, tenant.number, &tenant.code, size, &keys).await;
    }
    // Nothing mends, follows or refuses meanwhile.
    drop(node);
    let clean = |what: &str| {
        let (code, report) = verify(&world, &tenant.code, &file);
        assert_eq!(code, 0, "{what}: {report:#}");
        report
    };
    let report = clean("before");
    for what in ["views", "cache", "feed", "tree nodes", "mentions, by run of 256", "checkpoints", "answers without events"] {
        let compared = report["compared"].as_array().unwrap().iter().find(|c| c["what"] == what);
        assert!(compared.is_some_and(|c| c["count"].as_i64().unwrap() > 0), "{what}: {report:#}");
    }
    let number = tenant.number;
    for Flip { sql, invariant, position } in flips(&mut owner, number, head).await {
        let mut rows = 0;
        for is_back in [false, true] {
            rows = sqlx::query(sql).bind(number).bind(position).execute(&mut owner).await.unwrap().rows_affected();
            if !is_back {
                let (code, report) = verify(&world, &tenant.code, &file);
                assert!(code == 3 && names(&report, invariant, position), "{sql} at {position}: {code} {:#}", report["findings"]);
            }
        }
        assert!(rows >= 1, "{sql} changes nothing");
    }
    clean("after the database's");
    redis_values(&world, &tenant.code, number, &file);
    messages(&world, &tenant.code, head, &file).await;
    std::fs::remove_dir_all(&dir).unwrap();
}

async fn flips(owner: &mut PgConnection, tenant: i64, head: i64) -> Vec<Flip> {
    let mut one = async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).bind(tenant).fetch_one(&mut *owner).await.unwrap() };
    let first_of_command =
        one("SELECT max(position) FROM event WHERE tenant_id = $1 AND command_id IS NOT NULL AND position < 200").await;
    let card = one("SELECT max(position) FROM view_stock_card WHERE tenant_id = $1").await;
    let posting = one("SELECT max(position) FROM view_posting WHERE tenant_id = $1").await;
    let quiet = one("SELECT max(position) FROM command_without_event WHERE tenant_id = $1").await;
    vec![
        flip(
            "UPDATE event SET payload = set_bit(payload, 9, 1 - get_bit(payload, 9)) WHERE tenant_id = $1 AND position = $2",
            "rows_are_as_written",
            head / 3,
        ),
        flip(
            "UPDATE event SET meta = set_bit(meta, 17, 1 - get_bit(meta, 17)) WHERE tenant_id = $1 AND position = $2",
            "rows_are_as_written",
            first_of_command,
        ),
        flip(
            "UPDATE event SET recorded_at = recorded_at # 4 WHERE tenant_id = $1 AND position = $2",
            "rows_are_as_written",
            head - 1,
        ),
        flip("UPDATE event SET leaf_check = leaf_check # 1 WHERE tenant_id = $1 AND position = $2", "rows_are_as_written", 17),
        flip(
            "UPDATE tenant_head SET frontier = set_bit(frontier, 3, 1 - get_bit(frontier, 3)) WHERE tenant_id = $1 AND position = $2",
            "tree_equals_head",
            head,
        ),
        flip(
            "UPDATE tenant_head SET recorded_at = recorded_at # 1 WHERE tenant_id = $1 AND position = $2",
            "head_is_as_written",
            head,
        ),
        flip(
            "UPDATE checkpoint SET root = set_bit(root, 30, 1 - get_bit(root, 30)) WHERE tenant_id = $1 AND size = $2",
            "checkpoints_are_signed",
            head / 2,
        ),
        flip(
            "UPDATE checkpoint SET note = overlay(note placing chr(ascii(substr(note, 60, 1)) # 1) from 60) WHERE tenant_id = $1 AND size = $2",
            "checkpoints_are_signed",
            head,
        ),
        flip(
            "UPDATE command_without_event SET answer = set_bit(answer, length(answer) * 4, 1 - get_bit(answer, length(answer) * 4)) \
              WHERE tenant_id = $1 AND position = $2",
            "answers_are_as_given",
            quiet,
        ),
        flip(
            "UPDATE command_without_event SET recorded_at = recorded_at # 1 WHERE tenant_id = $1 AND position = $2",
            "answers_are_as_given",
            quiet,
        ),
        flip(
            "UPDATE view_stock_card SET value_after = value_after # 1 WHERE tenant_id = $1 AND position = $2",
            "views_equal_replay",
            card,
        ),
        flip(
            "UPDATE view_posting SET recorded_at = recorded_at # 1 WHERE tenant_id = $1 AND position = $2",
            "views_equal_replay",
            posting,
        ),
        flip(
            "UPDATE view_stock_level SET on_hand = on_hand # 1 WHERE tenant_id = $1 AND sku = 'A' AND $2 > 0",
            "views_equal_replay",
            head,
        ),
        flip(
            "UPDATE view_hold SET expires_at = expires_at # 1 WHERE tenant_id = $1 AND reservation_id = 'R3' AND $2 > 0",
            "views_equal_replay",
            head,
        ),
        flip(
            "UPDATE view_account_balance SET position = position # 1 WHERE tenant_id = $1 AND account = '1930' AND $2 > 0",
            "views_equal_replay",
            head,
        ),
        flip(
            "UPDATE view_tree_node SET hash = set_bit(hash, 77, 1 - get_bit(hash, 77)) WHERE tenant_id = $1 AND level = 1 AND index = 0 \
              AND $2 > 0",
            "trail_equals_replay",
            200,
        ),
        flip(
            "UPDATE view_mention SET word = overlay(word placing chr(ascii(substr(word, 3, 1)) # 1) from 3) WHERE tenant_id = $1 \
              AND kind = 2 AND word IN ('PO 3', 'PO!3') AND $2 > 0",
            "trail_equals_replay",
            200,
        ),
    ]
}

fn redis_values(world: &World, code: &str, tenant: i64, keys: &Path) {
    let mut redis = redis::Client::open(world.redis_url.as_deref().unwrap()).unwrap().get_connection().unwrap();
    for (key, part) in
        [(format!("ledger:{{{tenant}}}:levels:A"), "\"value\":"), (format!("ledger:{{{tenant}}}:account:1930"), "\"debits\":")]
    {
        let held: Vec<u8> = redis::cmd("GET").arg(&key).query(&mut redis).unwrap();
        let at = held.windows(part.len()).position(|w| w == part.as_bytes()).unwrap() + part.len() + 1;
        let mut flipped = held.clone();
        flipped[at] ^= 1;
        redis::cmd("SET").arg(&key).arg(&flipped).query::<()>(&mut redis).unwrap();
        let (exit, report) = verify(world, code, keys);
        let found = report["findings"].as_array().unwrap();
        let is_named =
            found.iter().any(|f| f["invariant"] == "cache_equals_replay" && f["what"].as_str().unwrap().contains(&key));
        assert!(exit == 3 && is_named, "{key}: {report:#}");
        redis::cmd("SET").arg(&key).arg(&held).query::<()>(&mut redis).unwrap();
    }
}

/// A message that was changed in the broker, and one that it lost.
async fn messages(world: &World, code: &str, head: i64, keys: &Path) {
    let client = async_nats::connect(world.nats_url.as_deref().unwrap()).await.unwrap();
    let context = jetstream::new(client);
    let stream = context.get_stream("LEDGER").await.unwrap();
    let lost = head / 2;
    for sequence in 1..=u64::try_from(head).unwrap() {
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        let position: i64 = message.headers.get("Ledger-Position").unwrap().as_str().parse().unwrap();
        if position == lost {
            stream.delete_message(sequence).await.unwrap();
        }
        if position == 7 {
            stream.delete_message(sequence).await.unwrap();
            let mut headers = message.headers.clone();
            headers.insert("Nats-Msg-Id", "another");
            let mut payload = message.payload.to_vec();
            let at = payload.len() / 2;
            payload[at] ^= 1;
            let sent = context.publish_with_headers(message.subject.clone(), headers, payload.into()).await.unwrap();
            sent.await.unwrap();
        }
    }
    let (exit, report) = verify(world, code, keys);
    assert!(exit == 3 && names(&report, "feed_equals_log", 7) && names(&report, "feed_equals_log", lost), "{report:#}");
    assert!(report["findings"].as_array().unwrap().iter().all(|f| f["invariant"] == "feed_equals_log"), "{report:#}");
}
