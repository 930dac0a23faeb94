//! The trail: the tree's nodes, and who did what, against what the log itself says.

use std::time::{Duration, Instant};

use ledger_core::audit::merkle::{Hash, node_hash};
use ledger_core::domain::command::Context;
use ledger_core::domain::id::TenantId;
use ledger_core::store::read::{self, Raw};
use ledger_core::view::trail::{RUN, run_of, run_start};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::harness::client::fresh_key;
use crate::harness::{Client, Node, Parts, Tenant, World};

const REFERENCES: [&str; 5] = ["PO-1", "PO-2", "Årsbokslut 2026", "common", "common"];
const REASONS: [&str; 2] = ["damage", "found"];
const CONVERSATIONS: [&str; 3] = ["order-1", "order-2", ""];

/// Waits until the trail has every complete run.
async fn followed(db: &mut PgConnection, tenant: &Tenant) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (cursor, head): (Option<i64>, i64) = sqlx::query_as(
            "SELECT c.position, h.position FROM tenant_head h LEFT JOIN trail_cursor c USING (tenant_id) WHERE h.tenant_id = $1",
        )
        .bind(tenant.number)
        .fetch_one(&mut *db)
        .await
        .unwrap();
        if cursor.unwrap_or(0) == run_start(run_of(head + 1)) {
            return;
        }
        assert!(Instant::now() < deadline, "the trail is at {cursor:?} of {head}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every row of a log.
async fn log(db: &mut PgConnection, tenant: &Tenant) -> Vec<Raw> {
    let mut rows = Vec::new();
    loop {
        let after = rows.last().map_or(0, |row: &Raw| row.position);
        let page = read::raw_page(&mut *db, TenantId(tenant.number), after, 20_000).await.unwrap();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
}

/// RFC 6962 over a power of two of leaves, as the recursion it is.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

type Node1 = (i16, i64, Vec<u8>);

async fn nodes(db: &mut PgConnection, tenant: &Tenant) -> Vec<Node1> {
    sqlx::query_as("SELECT level, index, hash FROM view_tree_node WHERE tenant_id = $1 ORDER BY level, index")
        .bind(tenant.number)
        .fetch_all(db)
        .await
        .unwrap()
}

fn expected_nodes(rows: &[Raw]) -> Vec<Node1> {
    let mut scratch = Vec::new();
    let leaves: Vec<Hash> = rows.iter().map(|row| row.leaf_hash(&mut scratch)).collect();
    let mut nodes = Vec::new();
    for (level, width) in [(1_i16, 256_usize), (2, 65_536), (3, 16_777_216)] {
        for (index, leaves) in leaves.chunks_exact(width).enumerate() {
            nodes.push((level, i64::try_from(index).unwrap(), root(leaves).to_vec()));
        }
    }
    nodes
}

async fn batch(c: &Client, conversation: &str, commands: &[Value]) {
    let mut request = c.request(Method::POST, "/v1/batches").json(&json!({"commands": commands}));
    if !conversation.is_empty() {
        request = request.header("x-correlation-id", conversation);
    }
    let answer = c.send(request).await.expect(200);
    let refused = answer.json["results"].as_array().unwrap().iter().find(|v| v["status"] != 201);
    assert!(refused.is_none(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_the_tree_is_kept_and_one_that_was_altered_is_put_right() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    // A level-2 node is complete at 65,536 events.
    for n in 0..9 {
        let receipts: Vec<Value> = (0..7_500)
            .map(|_| {
                json!({"id": fresh_key(), "type": "receive", "sku": "X", "location": "MAIN", "quantity": "1", "unit_cost": "1",
                "reference": format!("R{n}")})
            })
            .collect();
        batch(&c, "", &receipts).await;
    }
    let mut db = world.owner().await;
    followed(&mut db, &tenant).await;
    let expected = expected_nodes(&log(&mut db, &tenant).await);
    assert_eq!(expected.iter().filter(|(level, ..)| *level == 2).count(), 1);
    assert_eq!(nodes(&mut db, &tenant).await, expected);

    // From the beginning again, by two projectors at once, one node altered and one gone.
    sqlx::query("UPDATE view_tree_node SET hash = sha256('x') WHERE level = 2").execute(&mut db).await.unwrap();
    sqlx::query("DELETE FROM view_tree_node WHERE level = 1 AND index = 3").execute(&mut db).await.unwrap();
    sqlx::query("DELETE FROM view_mention").execute(&mut db).await.unwrap();
    sqlx::query("UPDATE trail_cursor SET position = 0").execute(&mut db).await.unwrap();
    let other = world.node().await;
    followed(&mut db, &tenant).await;
    assert_eq!(nodes(&mut db, &tenant).await, expected);
    let runs: Vec<i64> = sqlx::query_scalar("SELECT run FROM view_mention WHERE kind = 2 AND word = 'R1' ORDER BY run")
        .fetch_all(&mut db)
        .await
        .unwrap();
    // Positions 7,503 to 15,002: after the tenant, the location and the item come 7,500 receipts with R0.
    let first: i64 = 7_500 + 4;
    assert_eq!(runs, (run_of(first)..=run_of(first + 7_499)).collect::<Vec<_>>());
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_stops_its_own_trail_only() {
    let world = World::start(Parts::Database).await;
    let mut node = world.node().await;
    let (bad, good) = (world.tenant("bad"), world.tenant("good"));
    let clients = [node.client(&bad), node.client(&good)];
    let mut db = world.owner().await;
    for c in &clients {
        c.catalogue(&["X"]).await;
    }
    node.kill();
    let node = Node::start(&world, &[]).await;
    for tenant in [&bad, &good] {
        let receipts: Vec<Value> = (0..900)
            .map(|_| json!({"id": fresh_key(), "type": "receive", "sku": "X", "location": "MAIN", "quantity": "1", "unit_cost": "1"}))
            .collect();
        batch(&node.client(tenant), "", &receipts).await;
    }
    sqlx::query("UPDATE event SET recorded_at = recorded_at + 1 WHERE tenant_id = $1 AND position = 300")
        .bind(bad.number)
        .execute(&mut db)
        .await
        .unwrap();
    let projecting = world.node().await;
    followed(&mut db, &good).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while metric(&projecting, "ledger_trail_stops_total").await.is_none_or(|stops| stops < 1) {
        assert!(Instant::now() < deadline, "the bad tenant's trail does not stop");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let cursor: i64 = sqlx::query_scalar("SELECT position FROM trail_cursor WHERE tenant_id = $1")
        .bind(bad.number)
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(cursor, RUN, "the run before the changed row is there, its own is not");
}

async fn metric(node: &Node, name: &str) -> Option<u64> {
    let text = reqwest::get(format!("{}/metrics", node.url)).await.ok()?.text().await.ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// What the log says of one event, the slow way.
#[derive(Clone, Debug)]
struct Deed {
    json: Value,
    recorded_at: i64,
}

fn deeds(rows: &[Raw]) -> Vec<Deed> {
    let mut context = Context::default();
    let mut command = String::new();
    let mut deeds = Vec::new();
    for row in rows {
        let stored = row.decode().unwrap();
        if let Some(begun) = stored.command {
            context = begun.meta.context;
            command = uuid::Uuid::from_bytes(begun.id.0).to_string();
        }
        let recorded = stored.recorded;
        let fact = &recorded.fact;
        let mut json = json!({
            "position": recorded.position, "recorded_at": recorded.recorded_at, "effective_at": recorded.effective_at(),
            "type": fact.event.type_name(), "stream": fact.event.subject().to_string(), "version": recorded.stream_version,
            "command": command, "actor": context.actor, "reference": fact.note.reference, "reason": fact.note.reason,
            "correlation": context.correlation_id, "traceparent": context.traceparent,
        });
        json.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        deeds.push(Deed { json, recorded_at: recorded.recorded_at.0 });
    }
    deeds
}

/// A history of two actors: single commands and transactions, with and without document, reason and conversation.
async fn history(rng: &mut StdRng, clients: &[Client], batches: usize) {
    for _ in 0..batches {
        let commands: Vec<Value> = (0..rng.random_range(1..60))
            .map(|_| {
                let steps: Vec<Value> =
                    (0..*[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 300].choose(rng).unwrap()).map(|_| step(rng)).collect();
                let mut command = match steps.as_slice() {
                    [one] => one.clone(),
                    _many => json!({"type": "transaction", "commands": steps}),
                };
                command["id"] = fresh_key().into();
                command
            })
            .collect();
        let (client, conversation) = (clients.choose(rng).unwrap(), CONVERSATIONS.choose(rng).unwrap());
        batch(client, conversation, &commands).await;
    }
}

fn step(rng: &mut StdRng) -> Value {
    let (sku, reason) = (["X", "Y"].choose(rng), REASONS.choose(rng));
    let mut step =
        json!({"type": "adjust", "sku": sku, "location": "MAIN", "difference": "1", "unit_cost": "1", "reason": reason});
    if rng.random_bool(0.3) {
        step = json!({"type": "receive", "sku": "X", "location": "MAIN", "quantity": "1", "unit_cost": "1"});
    }
    if rng.random_bool(0.02) {
        step["reference"] = (*REFERENCES.choose(rng).unwrap()).into();
    }
    step
}

/// Every page of a search; each must say truly how far down it leaves nothing out.
async fn search(c: &Client, filter: &[(&str, String)], limit: usize) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut path = format!("/v1/audit/trail?limit={limit}");
        let fields = filter.iter().cloned().chain(cursor.take().map(|cursor| ("cursor", cursor)));
        fields.for_each(|(name, value)| path.push_str(&format!("&{name}={}", escaped(&value))));
        let page = c.get(&path).await.expect(200);
        let data = page.json["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        found.extend(data.iter().cloned());
        let looked_to = page.json["looked_to"].as_i64().unwrap();
        assert!(data.iter().all(|hit| hit["position"].as_i64().unwrap() > looked_to), "{looked_to}: {data:?}");
        match page.json["next_cursor"].as_str() {
            Some(next) => {
                assert!(page.header("link").contains(next));
                cursor = Some(next.to_owned());
            }
            None => return found,
        }
    }
}

/// As a query takes it.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b == b'-' { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// A filter at random, about one event of the log so that it finds something, and what it must find.
fn random_filter(rng: &mut StdRng, deeds: &[Deed]) -> (Vec<(&'static str, String)>, Vec<Value>) {
    let about = deeds.choose(rng).unwrap();
    let mut filter: Vec<(&'static str, String)> = Vec::new();
    for name in ["actor", "reference", "reason", "correlation", "type", "stream"] {
        if rng.random_bool(0.4)
            && let Some(word) = about.json[name].as_str()
        {
            filter.push((name, word.to_owned()));
        }
    }
    if rng.random_bool(0.2) {
        filter.push(("reference", REFERENCES.choose(rng).unwrap().to_string()));
        filter.dedup_by_key(|(name, _)| *name);
        if filter.iter().filter(|(name, _)| *name == "reference").count() > 1 {
            filter.pop();
        }
    }
    let mut span = (i64::MIN, i64::MAX);
    if rng.random_bool(0.3) {
        let ends = [deeds.choose(rng).unwrap().recorded_at, deeds.choose(rng).unwrap().recorded_at];
        span = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let text = |micros| ledger_core::domain::time::Timestamp(micros).to_string();
        filter.push(("from", text(span.0)));
        filter.push(("to", text(span.1)));
    }
    let fits = |deed: &&Deed| {
        let words = filter.iter().filter(|(name, _)| !["from", "to"].contains(name));
        words.into_iter().all(|(name, word)| deed.json[*name] == **word) && (span.0..=span.1).contains(&deed.recorded_at)
    };
    let found = deeds.iter().rev().filter(fits).map(|deed| deed.json.clone()).collect();
    (filter, found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_a_look_at_every_event_finds() {
    let world = World::start(Parts::Database).await;
    let mut node = world.node().await;
    let tenant = world.tenant("t");
    let second = world.ledgerd(&["key", "create", "--tenant", "t", "--name", "second"]);
    let second = Tenant { key: second["key"].as_str().unwrap().to_owned(), ..tenant.clone() };
    let stranger = world.tenant("stranger");
    let mut rng = StdRng::seed_from_u64(5);
    let mut db = world.owner().await;
    node.client(&tenant).catalogue(&["X", "Y"]).await;
    history(&mut rng, &[node.client(&tenant), node.client(&second)], 14).await;
    followed(&mut db, &tenant).await;
    // What comes now is not in the trail: this node does not project.
    node.kill();
    let node = Node::start(&world, &[]).await;
    let clients = [node.client(&tenant), node.client(&second)];
    history(&mut rng, &clients, 5).await;
    let rows = log(&mut db, &tenant).await;
    let deeds = deeds(&rows);
    let cursor: i64 = sqlx::query_scalar("SELECT position FROM trail_cursor").fetch_one(&mut db).await.unwrap();
    assert!(cursor > 2_000 && rows.last().unwrap().position > cursor + 500, "{cursor} {}", rows.len());

    let (mut hits, mut several) = (0, 0);
    for _ in 0..80 {
        let (filter, expected) = random_filter(&mut rng, &deeds);
        let pages = rng.random_range(1..8);
        let found = search(&clients[0], &filter, (expected.len() / pages).clamp(3, 1_000)).await;
        assert_eq!(found.len(), expected.len(), "{filter:?}");
        assert_eq!(found, expected, "{filter:?}");
        hits += usize::from(!found.is_empty());
        several += usize::from(filter.len() > 2 && !found.is_empty());
    }
    assert!(hits > 50 && several > 12, "{hits} {several}");
    // Nobody finds what others did.
    assert!(search(&node.client(&stranger), &[("reference", "common".to_owned())], 100).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_says_what_it_does_not_understand() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    for (query, code) in [
        ("type=stock_eaten", "parameter_invalid"),
        ("reason=", "parameter_invalid"),
        ("from=yesterday", "parameter_invalid"),
        ("limit=0", "parameter_invalid"),
        ("who=me", "parameter_invalid"),
        ("cursor=00", "cursor_invalid"),
    ] {
        c.get(&format!("/v1/audit/trail?{query}")).await.refused(400, code);
    }
    // A cursor belongs to its search.
    c.catalogue(&["X", "Y"]).await;
    let page = c.get("/v1/audit/trail?limit=1").await.expect(200);
    let next = page.json["next_cursor"].as_str().unwrap();
    c.get(&format!("/v1/audit/trail?limit=1&cursor={next}")).await.expect(200);
    c.get(&format!("/v1/audit/trail?limit=1&type=item_defined&cursor={next}")).await.refused(400, "cursor_invalid");
    let id = c.request(Method::PUT, "/v1/items/Z").header("idempotency-key", fresh_key()).json(&json!({"name": "Z"}));
    let refused = c.send(id.header("x-correlation-id", "x".repeat(300))).await;
    refused.refused(400, "header_invalid");
}
