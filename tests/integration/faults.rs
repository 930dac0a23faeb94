//! What must hold when things break, with the real process and real servers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::json;
use sqlx::Connection;

use crate::harness::{Answer, Client, Node, Parts, World};
use crate::supervisor::Name;

/// 1,000 clients want one of 100 units each, and send every request twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_on_a_hundred_units_sell_exactly_a_hundred() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("flash");
    let c = node.client(&tenant);
    c.catalogue(&["SHOE"]).await;
    c.receive("SHOE", "100", "10").await;
    let buyers = (0..1_000).map(|buyer| {
        let c = c.clone();
        async move {
            let body = json!({"sku": "SHOE", "location": "MAIN", "quantity": "1"});
            let key = format!("buyer-{buyer}");
            let (a, b) = tokio::join!(c.post_as("/v1/stock/issues", &key, &body), c.post_as("/v1/stock/issues", &key, &body));
            // One may find the other still running; asking again tells.
            let settled = c.post_as("/v1/stock/issues", &key, &body).await;
            for answer in [a, b] {
                assert!(
                    answer.status == 409 && answer.code() == "command_in_progress" || answer.json == settled.json,
                    "{}",
                    answer.text
                );
            }
            settled
        }
    });
    let answers: Vec<Answer> = futures::stream::iter(buyers).buffer_unordered(256).collect().await;
    let sold = answers.iter().filter(|a| a.status == 200).count();
    let refused = answers.iter().filter(|a| a.code() == "insufficient_stock").count();
    assert_eq!((sold, refused), (100, 900));
    let position = answers.iter().filter_map(|a| a.json["position"].as_i64()).max().unwrap();
    let stock = c.get_at("/v1/stock/SHOE", position).await.expect(200);
    assert_eq!((&stock.json["on_hand"], &stock.json["value"]), (&json!("0"), &json!("0.00")));
    world.verify_clean("flash");
}

/// Clients that keep sending numbered commands and remember what was acknowledged.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<BTreeMap<String, i64>>>,
}

impl Load {
    pub(crate) fn start(client: &Client, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..clients).map(|n| tokio::spawn(Self::client(client.clone(), n, Arc::clone(&stop)))).collect();
        Self { stop, tasks }
    }

    /// Sends one command after another; each again with its key until it is answered.
    async fn client(c: Client, n: usize, stop: Arc<AtomicBool>) -> BTreeMap<String, i64> {
        let mut acknowledged = BTreeMap::new();
        for turn in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("load-{n}-{turn}");
            let body = json!({"sku": "X", "location": "MAIN", "quantity": "1", "reference": key});
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let answer = c.post_as("/v1/stock/issues", &key, &body).await;
                if answer.status == 201 || answer.status == 200 {
                    acknowledged.insert(key, answer.position());
                    break;
                }
                assert!(matches!(answer.status, 0 | 409 | 503), "{} {}", answer.status, answer.text);
                assert!(Instant::now() < deadline, "{key} is not answered: {}", answer.text);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        acknowledged
    }

    pub(crate) async fn finish(self) -> BTreeMap<String, i64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

/// Every acknowledged command stands in the log once, where its answer said; nothing else does.
async fn check_log(c: &Client, acknowledged: &BTreeMap<String, i64>) {
    let mut found: HashMap<String, Vec<i64>> = HashMap::new();
    let mut after = 0;
    loop {
        let page = c.get(&format!("/v1/events?after={after}&limit=1000")).await.expect(200);
        let events = page.json["data"].as_array().unwrap().clone();
        let Some(last) = events.last() else { break };
        after = last["position"].as_i64().unwrap();
        for e in events.iter().filter(|e| e["type"] == "stock_issued") {
            found.entry(e["reference"].as_str().unwrap().to_owned()).or_default().push(e["position"].as_i64().unwrap());
        }
    }
    assert!(acknowledged.len() > 100, "only {} commands were sent", acknowledged.len());
    for (key, position) in acknowledged {
        assert_eq!(found.get(key), Some(&vec![*position]), "{key}");
    }
    assert_eq!(found.len(), acknowledged.len());
}

pub(crate) async fn stocked(world: &World, node: &Node, code: &str) -> Client {
    let c = node.client(&world.tenant(code));
    c.catalogue(&["X"]).await;
    c.receive("X", "1000000", "1").await;
    c
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_ten_times_under_load_loses_and_doubles_nothing() {
    let world = World::start(Parts::Database).await;
    let mut node = world.node().await;
    let c = stocked(&world, &node, "killed").await;
    let address = node.address();
    let load = Load::start(&c, 16);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        node.kill();
        node = Node::start_at(&world, &address, &["--projector"]).await;
    }
    let acknowledged = load.finish().await;
    check_log(&c, &acknowledged).await;
    world.verify_clean("killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_killed_under_load_loses_and_doubles_nothing() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let c = stocked(&world, &node, "crashed").await;
    let load = Load::start(&c, 16);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.servers.kill_part(Name::Postgres).unwrap();
        world.start_part(Name::Postgres).await;
    }
    let acknowledged = load.finish().await;
    check_log(&c, &acknowledged).await;
    world.verify_clean("crashed");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_tenant_stay_correct() {
    let world = World::start(Parts::Database).await;
    let (one, two) = (world.node().await, world.node().await);
    let c = stocked(&world, &one, "both").await;
    let other = Client::new(&two.url, c.key());
    let (a, b) = (Load::start(&c, 4), Load::start_from(&other, 4, 100));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut acknowledged = a.finish().await;
    acknowledged.extend(b.finish().await);
    check_log(&c, &acknowledged).await;
    world.verify_clean("both");
}

impl Load {
    /// As [`Load::start`], with other keys than the clients before `first` have.
    fn start_from(client: &Client, clients: usize, first: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (first..first + clients).map(|n| tokio::spawn(Self::client(client.clone(), n, Arc::clone(&stop)))).collect();
        Self { stop, tasks }
    }
}

/// Cache flushed and broker away under load: answers stay right, and a subscriber ends with 1..N. The broker is away for
/// `LEDGER_OUTAGE_SECONDS`, two if nobody says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_cache_and_a_stopped_broker_lose_nothing() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let c = stocked(&world, &node, "feed").await;
    let load = Load::start(&c, 8);
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.stop_part(Name::Nats).await;
    let seconds = std::env::var("LEDGER_OUTAGE_SECONDS").map_or(2, |s| s.parse().unwrap());
    let back = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < back {
        let mut redis = redis::Client::open(world.redis_url.as_deref().unwrap()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").query::<()>(&mut redis).unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let sent = c.issue("X", "1").await.expect(201);
        let on_hand =
            c.get_at("/v1/stock/X", sent.position()).await.expect(200).json["on_hand"].as_str().unwrap().parse::<i64>().unwrap();
        assert!(on_hand < 1_000_000);
    }
    world.start_part(Name::Nats).await;
    let acknowledged = load.finish().await;
    let head = c.issue("X", "1").await.expect(201).position();
    assert!(!acknowledged.is_empty());
    assert_eq!(received(&world, head).await, (1..=head).collect::<BTreeSet<_>>());
    world.verify_clean("feed");
}

/// The positions a subscriber gets from the stream, once it has seen `head`; order is checked as they come.
pub(crate) async fn received(world: &World, head: i64) -> BTreeSet<i64> {
    let client = projector::feed::connect(world.nats_url.as_deref().unwrap()).await.unwrap();
    let context = async_nats::jetstream::new(client);
    let deadline = Instant::now() + Duration::from_secs(60);
    let stream = loop {
        match context.get_stream(projector::feed::STREAM).await {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let mut seen = BTreeSet::new();
    while !seen.contains(&head) {
        let message =
            tokio::time::timeout_at(deadline.into(), messages.next()).await.expect("the feed goes on").unwrap().unwrap();
        let headers = message.headers.as_ref().unwrap();
        let position: i64 = headers.get("Ledger-Position").unwrap().as_str().parse().unwrap();
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!((&event["specversion"], &event["data"]["position"]), (&json!("1.0"), &json!(position)));
        // A position may come again, never before its predecessor.
        assert!(position == 1 || seen.contains(&(position - 1)), "{position} came before {}", position - 1);
        seen.insert(position);
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_lapses_at_its_instant_in_views_too_and_is_recorded() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let c = node.client(&world.tenant("holds"));
    c.catalogue(&["X"]).await;
    c.receive("X", "5", "1").await;
    let held = c.reserve("R", "X", "5", 1).await.expect(201);
    c.issue("X", "1").await.refused(409, "insufficient_stock");
    let seen = c.get_at("/v1/stock/X", held.position()).await.expect(200);
    assert_eq!(seen.json["available"], "0");
    let deadline = Instant::now() + Duration::from_secs(10);
    while c.get("/v1/stock/X").await.json["available"] != "5" {
        assert!(Instant::now() < deadline, "the hold does not lapse");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    c.issue("X", "5").await.expect(201);
    while c.get("/v1/reservations/R").await.json["status"] != "expired" {
        assert!(Instant::now() < deadline, "the view does not say so");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let recorded = || async { c.get("/v1/streams/reservation-R").await.text.contains("reservation_expired") };
    while !recorded().await {
        assert!(Instant::now() < deadline, "the sweeper does not record it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.verify_clean("holds");
}

/// By someone with all rights in the database: a row changed, removed, swapped, added; a view and a cache value changed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_by_hand_is_found_and_named() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("audit");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    c.receive("X", "100", "1").await;
    for _ in 0..20 {
        c.issue("X", "1").await.expect(201);
    }
    let head = c.issue("X", "1").await.expect(201).position();
    c.get_at("/v1/stock/X", head).await.expect(200);
    world.verify_clean("audit");
    drop(node);
    let mut owner = world.owner().await;
    let edits = [
        (
            "UPDATE event SET payload = set_byte(payload, length(payload) - 1, 255 - get_byte(payload, length(payload) - 1)) WHERE tenant_id = $1 AND position = $2",
            head - 5,
            head - 5,
        ),
        ("UPDATE event SET recorded_at = recorded_at + 1 WHERE tenant_id = $1 AND position = $2", head - 3, head - 3),
        ("DELETE FROM event WHERE tenant_id = $1 AND position = $2", head - 7, head - 7),
        (
            "UPDATE event SET meta = NULL, command_id = NULL, fingerprint = NULL WHERE tenant_id = $1 AND position = $2",
            head - 2,
            head - 2,
        ),
    ];
    for (sql, position, found_at) in edits {
        let mut tx = owner.begin().await.unwrap();
        let backup = sqlx::query("CREATE TABLE backup AS SELECT * FROM event WHERE tenant_id = $1").bind(tenant.number);
        backup.execute(&mut *tx).await.unwrap();
        sqlx::query(sql).bind(tenant.number).bind(position).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let (code, report) = world.verify("audit");
        assert_eq!(code, 3, "{sql}");
        let positions: Vec<i64> =
            report["findings"].as_array().unwrap().iter().map(|f| f["position"].as_i64().unwrap()).collect();
        assert!(positions.contains(&found_at), "{sql}: {report:#}");
        let mut tx = owner.begin().await.unwrap();
        sqlx::query("DELETE FROM event WHERE tenant_id = $1").bind(tenant.number).execute(&mut *tx).await.unwrap();
        sqlx::query("INSERT INTO event SELECT * FROM backup").execute(&mut *tx).await.unwrap();
        sqlx::query("DROP TABLE backup").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        world.verify_clean("audit");
    }
    sqlx::query("UPDATE view_stock_level SET on_hand = on_hand + 1 WHERE tenant_id = $1")
        .bind(tenant.number)
        .execute(&mut owner)
        .await
        .unwrap();
    let (code, report) = world.verify("audit");
    assert_eq!((code, &report["findings"][0]["invariant"]), (3, &json!("views_equal_replay")));
    sqlx::query("UPDATE view_stock_level SET on_hand = on_hand - 1 WHERE tenant_id = $1")
        .bind(tenant.number)
        .execute(&mut owner)
        .await
        .unwrap();
    let mut redis = redis::Client::open(world.redis_url.as_deref().unwrap()).unwrap().get_connection().unwrap();
    let key = format!("ledger:{{{}}}:levels:X", tenant.number);
    let held: String = redis::cmd("GET").arg(&key).query(&mut redis).unwrap();
    redis::cmd("SET").arg(&key).arg(held.replace("\"on_hand\":79", "\"on_hand\":80")).query::<()>(&mut redis).unwrap();
    let (code, report) = world.verify("audit");
    assert_eq!((code, &report["findings"][0]["invariant"]), (3, &json!("cache_equals_replay")), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_role_cannot_change_events() {
    let world = World::start(Parts::Database).await;
    let tenant = world.tenant("t");
    let mut owner = world.owner().await;
    sqlx::query("SET ROLE ledger_service").execute(&mut owner).await.unwrap();
    for sql in ["UPDATE event SET type = 1 WHERE tenant_id = $1", "DELETE FROM event WHERE tenant_id = $1"] {
        let error = sqlx::query(sql).bind(tenant.number).execute(&mut owner).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{error}");
    }
}

/// The connection is cut after the commit was sent and before its answer came: each command is answered with what really
/// happened, and happened once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_commit_is_looked_up_not_guessed() {
    let mut world = World::start(Parts::Database).await;
    let direct = world.database_url.clone();
    let proxy = crate::harness::proxy::Proxy::start(&direct);
    world.database_url = proxy.url.clone();
    let node = world.node().await;
    let c = stocked(&world, &node, "cut").await;
    let load = Load::start(&c, 16);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.to_lose.store(1, Ordering::Relaxed);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.to_lose.store(0, Ordering::Relaxed);
    let acknowledged = load.finish().await;
    assert!(proxy.lost.load(Ordering::Relaxed) >= 10, "only {} answers were lost", proxy.lost.load(Ordering::Relaxed));
    check_log(&c, &acknowledged).await;
    world.verify_clean("cut");
}

/// Two nodes write while readers poll `position > last` as naively as can be: no reader ever skips, repeats or waits for
/// ever.
#[tokio::test(flavor = "multi_thread")]
async fn naive_pollers_see_every_position_once_and_in_order() {
    let world = World::start(Parts::Database).await;
    let (one, two) = (world.node().await, world.node().await);
    let c = stocked(&world, &one, "polled").await;
    let other = Client::new(&two.url, c.key());
    let done = Arc::new(AtomicBool::new(false));
    let pollers: Vec<_> = [c.clone(), other.clone()]
        .into_iter()
        .map(|c| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut last = 0;
                loop {
                    let is_last_look = done.load(Ordering::Relaxed);
                    let page = c.get(&format!("/v1/events?after={last}&limit=500")).await.expect(200);
                    let events = page.json["data"].as_array().unwrap();
                    for e in events {
                        assert_eq!(e["position"].as_i64(), Some(last + 1));
                        last += 1;
                    }
                    if events.is_empty() && is_last_look {
                        return last;
                    }
                }
            })
        })
        .collect();
    let (a, b) = (Load::start(&c, 4), Load::start_from(&other, 4, 100));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent = a.finish().await.len() + b.finish().await.len();
    let head = c.issue("X", "1").await.expect(201).position();
    done.store(true, Ordering::Relaxed);
    for poller in pollers {
        assert_eq!(poller.await.unwrap(), head);
    }
    assert!(sent > 100, "only {sent} commands were sent");
}

/// sqlx #4385: a cancelled `begin` leaves a transaction open in the pool, and writes made in it are lost. Ours rolls it
/// back before anyone gets the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_begin_swallows_no_later_write() {
    let world = World::start(Parts::Database).await;
    let options =
        ledger_core::store::pool::Options { url: world.database_url.clone(), connections_max: 1, application_name: "test" };
    let pool = ledger_core::store::pool::connect(&options).await.unwrap();
    for n in 0..20 {
        {
            let begin = pool.begin();
            // Polled until the statement is on its way, then dropped.
            let _ = tokio::time::timeout(Duration::from_micros(50 * n), begin).await;
        }
        ledger_core::store::tenant::register(&pool, &format!("t{n}")).await.unwrap();
    }
    let mut owner = world.owner().await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM tenant").fetch_one(&mut owner).await.unwrap();
    assert_eq!(kept, 20);
}
