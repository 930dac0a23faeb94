//! Reads: replicas that lag, hang and die, strong reads through any node, tags, and a cache that holds what it should not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::fresh_key;
use crate::harness::replica::Replica;
use crate::harness::{Answer, Client, Node, Parts, Tenant, World};

/// Reads the database answered so far, by pool.
async fn reads(node: &Node, pool: &str) -> u64 {
    let text = reqwest::get(format!("{}/metrics", node.url)).await.unwrap().text().await.unwrap();
    let name = format!("ledger_reads_total{{pool=\"{pool}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

/// Waits until health tells of the first replica what is wanted.
async fn until_replica_is(node: &Node, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let health: Value = reqwest::get(format!("{}/health/ready", node.url)).await.unwrap().json().await.unwrap();
        if health["replicas"][0]["state"] == state {
            let expected = if state == "fresh" { "ready" } else { "degraded" };
            assert_eq!(health["status"], expected, "{health}");
            return;
        }
        assert!(Instant::now() < deadline, "{health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn on_hand(c: &Client) -> i64 {
    number(&c.get("/v1/stock/X/MAIN").await.expect(200))
}

fn number(stock: &Answer) -> i64 {
    stock.json["on_hand"].as_str().unwrap().parse().unwrap()
}

fn position_shown(answer: &Answer) -> i64 {
    answer.header("ledger-position").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_what_it_is_new_enough_for_and_nothing_else() {
    let world = World::start(Parts::Database).await;
    let replica = Replica::start(&world).await;
    let node = Node::start(&world, &["--projector", "--database-replica-url", &replica.url]).await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let first = c.receive("X", "10", "1").await.position();
    c.get_at("/v1/stock/X/MAIN", first).await.expect(200);
    until_replica_is(&node, "fresh").await;

    // It answers: by position, and where none is named.
    let deadline = Instant::now() + Duration::from_secs(10);
    while reads(&node, "replica").await == 0 {
        assert!(Instant::now() < deadline, "the replica is never asked");
        let stock = c.get_at("/v1/stock/X/MAIN", first).await.expect(200);
        assert_eq!((number(&stock), position_shown(&stock)), (10, first));
    }
    let before = (reads(&node, "replica").await, reads(&node, "primary").await);
    for path in ["/v1/stock/X/MAIN", "/v1/items", "/v1/accounts", "/v1/reports/trial-balance", "/v1/stock/X/MAIN/card"] {
        c.get(path).await.expect(200);
    }
    assert_eq!((reads(&node, "replica").await, reads(&node, "primary").await), (before.0 + 5, before.1));

    // Its replay halts: whatever it has not, the primary answers.
    replica.execute("SELECT pg_wal_replay_pause()").await;
    let paused = Instant::now();
    let mut last = first;
    for n in 1..=20 {
        last = c.receive("X", "1", "1").await.position();
        let stock = c.get_at("/v1/stock/X/MAIN", last).await.expect(200);
        assert_eq!(number(&stock), 10 + n);
        assert!(position_shown(&stock) >= last);
    }
    until_replica_is(&node, "stale").await;
    // Its age counts from the last look that found it up to date, which was a moment before.
    assert!(paused.elapsed() > Duration::from_millis(500), "it was given up before its time");
    for _ in 0..20 {
        assert_eq!(on_hand(&c).await, 30, "a stale replica answered");
    }
    // A position it has is still its to answer: and says so.
    let old = c.get_at("/v1/stock/X/MAIN", first).await.expect(200);
    assert_eq!((number(&old), position_shown(&old)), (10, first));
    // The log: pages that it has whole are the same there, the end is not.
    let before = reads(&node, "replica").await;
    let page = c.get("/v1/events?after=0&limit=2").await.expect(200);
    assert_eq!(page.json["data"].as_array().unwrap().len(), 2);
    assert_eq!(reads(&node, "replica").await, before + 1);
    let end = c.get(&format!("/v1/events?after={}&limit=1000", first - 1)).await.expect(200);
    assert_eq!(end.json["data"].as_array().unwrap().len(), 21, "the log ends where the replica does");
    let trail = c.get("/v1/audit/trail?stream=item-X&limit=1000").await.expect(200);
    assert_eq!(trail.json["data"][0]["position"], last);

    replica.execute("SELECT pg_wal_replay_resume()").await;
    until_replica_is(&node, "fresh").await;
    let before = reads(&node, "replica").await;
    let stock = c.get_at("/v1/stock/X/MAIN", last).await.expect(200);
    assert_eq!((number(&stock), reads(&node, "replica").await), (30, before + 1));
}

/// Writers that read what they wrote, and readers that read anything, until told to stop; how many answers there were.
async fn traffic(c: &Client, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<usize>> {
    let mut tasks = Vec::new();
    for n in 0..4 {
        let (c, stop, sku) = (c.clone(), Arc::clone(stop), format!("W{n}"));
        c.put(&format!("/v1/items/{sku}"), &json!({"name": sku})).await.expect(201);
        tasks.push(tokio::spawn(async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let position = c.receive(&sku, "1", "1").await.position();
                written += 1;
                let asked = Instant::now();
                let stock = c.get_at(&format!("/v1/stock/{sku}/MAIN"), position).await.expect(200);
                assert_eq!(stock.json["on_hand"], written.to_string());
                c.get(&format!("/v1/stock/{sku}/MAIN/card?limit=3")).await.expect(200);
                assert!(asked.elapsed() < Duration::from_secs(10), "two reads took {:?}", asked.elapsed());
            }
            written
        }));
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_a_replica_that_hangs_or_dies() {
    let world = World::start(Parts::Database).await;
    let mut replica = Replica::start(&world).await;
    let node = Node::start(&world, &["--projector", "--database-replica-url", &replica.url]).await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&[]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = traffic(&c, &stop).await;
    until_replica_is(&node, "fresh").await;
    let while_it_works = Duration::from_secs(1);
    for round in 0..3 {
        let before = reads(&node, "replica").await;
        tokio::time::sleep(while_it_works).await;
        assert!(reads(&node, "replica").await > before, "round {round}: the replica is not read");
        replica.freeze();
        until_replica_is(&node, "down").await;
        tokio::time::sleep(while_it_works).await;
        replica.thaw();
        until_replica_is(&node, "fresh").await;
        replica.kill();
        until_replica_is(&node, "down").await;
        replica.serve().await;
        until_replica_is(&node, "fresh").await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = 0;
    for task in tasks {
        written += task.await.unwrap();
    }
    assert!(written > 50, "{written}");
    println!("{written} writes, each read back, while the replica hung and died three times each");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_standby_of_the_primary_answers_nothing() {
    let world = World::start(Parts::Database).await;
    let other = World::start(Parts::Database).await;
    let of_another = Replica::start(&other).await;
    for url in [&world.database_url, &other.database_url, &of_another.url] {
        let node = Node::start(&world, &["--projector", "--database-replica-url", url]).await;
        let tenant = world.tenant(&format!("t{}", fresh_key()));
        let c = node.client(&tenant);
        c.catalogue(&["X"]).await;
        let position = c.receive("X", "10", "1").await.position();
        until_replica_is(&node, "down").await;
        for _ in 0..20 {
            c.get_at("/v1/stock/X/MAIN", position).await.expect(200);
            assert_eq!(on_hand(&c).await, 10);
        }
        assert_eq!(reads(&node, "replica").await, 0);
    }
}

async fn get_strongly(c: &Client, path: &str) -> Answer {
    let request = c.request(Method::GET, path).header("ledger-min-position", "head").header("prefer", "wait=20");
    c.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strong_read_through_any_node_sees_every_answered_write() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let replica = Replica::start(&world).await;
    let writing = Node::start(&world, &[]).await;
    let reading = Node::start(&world, &["--projector", "--database-replica-url", &replica.url]).await;
    let tenant = world.tenant("t");
    let (w, r) = (writing.client(&tenant), reading.client(&tenant));
    let skus = ["A", "B", "C", "D"];
    w.catalogue(&skus).await;
    let started = Instant::now();
    let tasks: Vec<_> = skus
        .map(|sku| {
            let (w, r) = (w.clone(), r.clone());
            tokio::spawn(async move {
                for n in 1..=250 {
                    w.receive(sku, "1", "1").await;
                    // Both ways: through the cache, and from the tables.
                    let path = if n % 2 == 0 { format!("/v1/stock/{sku}") } else { format!("/v1/stock/{sku}/MAIN") };
                    let stock = get_strongly(&r, &path).await.expect(200);
                    assert_eq!(stock.json["on_hand"], n.to_string(), "round {n}");
                }
            })
        })
        .into_iter()
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("1,000 strong reads after writes elsewhere in {:?}", started.elapsed());

    // Nobody projects: a strong read says that it cannot be had, and does not answer something else.
    drop(reading);
    let position = w.receive("A", "1", "1").await.position();
    let request = w.request(Method::GET, "/v1/stock/A").header("ledger-min-position", "head").header("prefer", "wait=0");
    w.send(request).await.refused(503, "behind");
    let log = get_strongly(&w, &format!("/v1/events?after={}", position - 1)).await.expect(200);
    assert_eq!(log.json["data"].as_array().unwrap().len(), 1);
    let odd = w.request(Method::GET, "/v1/stock/A").header("ledger-min-position", "newest");
    w.send(odd).await.refused(400, "header_invalid");
}

/// Paths of every kind of read that has a tag.
fn tagged() -> Vec<&'static str> {
    vec![
        "/v1/stock/X",
        "/v1/stock/X/MAIN",
        "/v1/stock/X?as_of=2030-01-01T00:00:00Z",
        "/v1/stock/X/MAIN?as_of_position=4",
        "/v1/stock/X/MAIN/card",
        "/v1/reservations/R",
        "/v1/reservations?item=X",
        "/v1/items",
        "/v1/items/X",
        "/v1/locations",
        "/v1/locations/MAIN",
        "/v1/accounts",
        "/v1/accounts/1300",
        "/v1/accounts/1300/balance",
        "/v1/accounts/1300/balance?as_of=2030-01-01",
        "/v1/accounts/1300/statement",
        "/v1/journal/entries",
        "/v1/periods",
        "/v1/reports/trial-balance?as_of=2030-01-01",
        "/v1/reports/balance-sheet?as_of=2030-01-01",
        "/v1/reports/inventory-valuation",
        "/v1/audit/trail",
    ]
}

async fn get_if_changed(c: &Client, path: &str, tag: &str) -> Answer {
    c.send(c.request(Method::GET, path).header("if-none-match", tag)).await
}

/// Waits until the views show everything.
async fn settled(c: &Client, tenant: &Tenant, world: &World) {
    use sqlx::Row;
    let row = sqlx::query("SELECT position FROM tenant_head WHERE tenant_id = $1").bind(tenant.number);
    let head: i64 = row.fetch_one(&mut world.owner().await).await.unwrap().get(0);
    c.get_at("/v1/items", head).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent_again() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    c.receive("X", "10", "1").await;
    c.reserve("R", "X", "2", 600).await.expect(201);
    settled(&c, &tenant, &world).await;
    let mut tags = BTreeMap::new();
    for path in tagged() {
        let first = c.get(path).await.expect(200);
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 2, "{path}: {tag}");
        assert!(position_shown(&first) > 0, "{path}");
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let again = get_if_changed(&c, path, &tags).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path} {tags}");
            assert_eq!(again.header("etag"), tag, "{path}");
            assert!(position_shown(&again) > 0, "{path}");
        }
        get_if_changed(&c, path, "\"other\"").await.expect(200);
        tags.insert(path, tag);
    }
    // Something of everything changes; of what did not change nothing is sent.
    c.receive("X", "5", "1").await;
    c.put("/v1/items/X", &json!({"name": "renamed"})).await.expect(201);
    c.post("/v1/reservations/R/extend", &json!({"ttl_seconds": 6_000})).await.expect(201);
    settled(&c, &tenant, &world).await;
    for (path, tag) in tags {
        let is_the_same = ["/v1/locations", "/v1/locations/MAIN", "/v1/accounts", "/v1/accounts/1300", "/v1/journal/entries"];
        let again = get_if_changed(&c, path, &tag).await;
        let is_past_or_still = is_the_same.contains(&path) || path.contains("as_of_position") || path == "/v1/periods";
        if is_past_or_still {
            assert_eq!(again.status, 304, "{path}");
        } else {
            assert_eq!(again.status, 200, "{path}");
            assert_ne!(again.header("etag"), tag, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_a_version_that_has_passed_changes_nothing() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    c.receive("X", "10", "1").await;
    c.reserve("R", "X", "2", 600).await.expect(201);
    settled(&c, &tenant, &world).await;
    let commands = [
        (Method::PUT, "/v1/items/X", "/v1/items/X", json!({"name": "again"})),
        (Method::PUT, "/v1/locations/MAIN", "/v1/locations/MAIN", json!({"name": "again"})),
        (Method::PUT, "/v1/accounts/6000", "/v1/accounts/6000", json!({"name": "again", "account_type": "expense"})),
        (Method::POST, "/v1/stock/issues", "/v1/stock/X", json!({"sku": "X", "location": "MAIN", "quantity": "1"})),
        (Method::POST, "/v1/reservations/R/extend", "/v1/reservations/R", json!({"ttl_seconds": 6_000})),
    ];
    for (method, command, read, body) in commands {
        settled(&c, &tenant, &world).await;
        let seen = c.get(read).await.expect(200);
        let (before, tag) = (seen.text.clone(), seen.header("etag").to_owned());
        let send = |header: &'static str, value: String| {
            let request =
                c.request(method.clone(), command).header("idempotency-key", fresh_key()).header(header, value).json(&body);
            c.send(request)
        };
        send("if-match", "\"999999\"".to_owned()).await.refused(412, "version_mismatch");
        send("if-none-match", "*".to_owned()).await.refused(412, "version_mismatch");
        send("if-match", "\"b00ff00ff00ff00ff\"".to_owned()).await.refused(400, "header_invalid");
        settled(&c, &tenant, &world).await;
        assert_eq!(c.get(read).await.expect(200).text, before, "{command}");
        // The tag of the read is what the command goes by; afterwards it has passed.
        let done = send("if-match", tag.clone()).await;
        assert!([200, 201].contains(&done.status), "{command}: {}", done.text);
        send("if-match", tag).await.refused(412, "version_mismatch");
    }
}

/// The cached value of an item.
fn cached(world: &World, tenant: &Tenant, sku: &str) -> (redis::Connection, String, Value) {
    let mut redis = redis::Client::open(world.redis_url.as_deref().unwrap()).unwrap().get_connection().unwrap();
    let key = format!("ledger:{{{}}}:levels:{sku}", tenant.number);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let held: Option<String> = redis::cmd("GET").arg(&key).query(&mut redis).unwrap();
        if let Some(held) = held {
            return (redis, key, serde_json::from_str(&held).unwrap());
        }
        assert!(Instant::now() < deadline, "{key} is never written");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_is_asked_and_never_believed() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let (tenant, stranger) = (world.tenant("t"), world.tenant("stranger"));
    let (c, other) = (node.client(&tenant), node.client(&stranger));
    for client in [&c, &other] {
        client.catalogue(&["X", "Y"]).await;
    }
    other.receive("X", "77", "1").await;
    c.receive("Y", "55", "1").await;
    let first = c.receive("X", "10", "1").await.position();
    c.get_at("/v1/stock/X", first).await.expect(200);
    let (mut redis, key, old) = cached(&world, &tenant, "X");
    assert_eq!((&old["key"], &old["body"]["locations"][0]["on_hand"]), (&json!(key), &json!(10)));
    let last = c.receive("X", "5", "1").await.position();
    assert_eq!(c.get_at("/v1/stock/X", last).await.expect(200).json["on_hand"], "15");

    let (_, _, of_stranger) = cached(&world, &stranger, "X");
    let (_, _, of_another_item) = cached(&world, &tenant, "Y");
    let mut lapsed = old.clone();
    lapsed["as_of"] = json!(last);
    lapsed["next_expiry"] = json!(1);
    let mut nameless = old.clone();
    nameless.as_object_mut().unwrap().remove("key");
    let mut plant = |value: String| redis::cmd("SET").arg(&key).arg(value).query::<()>(&mut redis).unwrap();
    // Foreign, lapsed, without a name, no value at all: nobody ever sees them.
    let rubbish = ["", "{", "null", "[]", "{\"as_of\":9}"].map(str::to_owned);
    let foreign = [of_stranger, of_another_item, lapsed, nameless].map(|value| value.to_string());
    for value in foreign.into_iter().chain(rubbish) {
        plant(value.clone());
        assert_eq!(c.get("/v1/stock/X").await.expect(200).json["on_hand"], "15", "{value}");
        assert_eq!(c.get_at("/v1/stock/X", last).await.expect(200).json["on_hand"], "15", "{value}");
    }
    // An old one is what a read without a position may get, and says which position it shows; no other read gets it.
    plant(old.to_string());
    let shown = c.get("/v1/stock/X").await.expect(200);
    assert_eq!((shown.json["on_hand"].as_str(), position_shown(&shown)), (Some("10"), old["as_of"].as_i64().unwrap()));
    assert_eq!(c.get_at("/v1/stock/X", last).await.expect(200).json["on_hand"], "15");
    assert_eq!(get_strongly(&c, "/v1/stock/X").await.expect(200).json["on_hand"], "15");
    // The next event of the item takes its place, and it has an end again.
    let newest = c.receive("X", "1", "1").await.position();
    assert_eq!(c.get_at("/v1/stock/X", newest).await.expect(200).json["on_hand"], "16");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (mut redis, key, value) = cached(&world, &tenant, "X");
        if value["as_of"].as_i64().unwrap() >= newest {
            let milliseconds: i64 = redis::cmd("PTTL").arg(&key).query(&mut redis).unwrap();
            assert!((1..=60_000).contains(&milliseconds), "{milliseconds}");
            break;
        }
        assert!(Instant::now() < deadline, "the old value stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.verify_clean("t");
}

#[tokio::test(flavor = "multi_thread")]
async fn emptying_the_cache_changes_nothing_but_the_speed() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&[]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = traffic(&c, &stop).await;
    let mut redis = redis::Client::open(world.redis_url.as_deref().unwrap()).unwrap().get_connection().unwrap();
    let mut emptied = 0;
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        redis::cmd("FLUSHALL").query::<()>(&mut redis).unwrap();
        emptied += 1;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        assert!(task.await.unwrap() > 5);
    }
    assert!(emptied > 20, "{emptied}");
    world.verify_clean("t");
}
