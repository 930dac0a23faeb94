//! The event feed and those who live from it: nothing is missed, nothing counted twice, whatever breaks.

mod chaos;
mod follower;
mod sse;
mod subscribers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::faults::stocked;
use crate::golden;
use crate::harness::{Node, Parts, World};
use crate::schemas::Contract;
use crate::supervisor::Name;

/// Longest wait for the feed to come somewhere.
const FEED_TIME_MAX: Duration = Duration::from_secs(60);

/// A connection to the broker's streams.
async fn jetstream(world: &World) -> async_nats::jetstream::Context {
    let client = projector::feed::connect(world.nats_url.as_deref().unwrap()).await.unwrap();
    async_nats::jetstream::new(client)
}

/// Waits until a tenant's feed has come to a position.
async fn published(world: &World, tenant: i64, position: i64) {
    let mut owner = world.owner().await;
    let deadline = Instant::now() + FEED_TIME_MAX;
    loop {
        let at: Option<i64> = sqlx::query_scalar("SELECT position FROM feed_cursor WHERE tenant_id = $1")
            .bind(tenant)
            .fetch_optional(&mut owner)
            .await
            .unwrap();
        if at >= Some(position) {
            return;
        }
        assert!(Instant::now() < deadline, "the feed is at {at:?}, not at {position}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Messages that the broker has of a tenant: sequence in the stream, subject, headers, body.
async fn messages(world: &World, code: &str) -> Vec<(u64, String, async_nats::HeaderMap, Value)> {
    let context = jetstream(world).await;
    let stream = context.get_stream(projector::feed::STREAM).await.unwrap();
    let config =
        async_nats::jetstream::consumer::pull::OrderedConfig { filter_subject: format!("ledger.{code}.>"), ..Default::default() };
    let consumer = stream.create_consumer(config).await.unwrap();
    let count = usize::try_from(consumer.cached_info().num_pending).unwrap();
    let messages = consumer.messages().await.unwrap();
    let read = |m: async_nats::jetstream::Message| {
        let sequence = m.info().unwrap().stream_sequence;
        (sequence, m.subject.to_string(), m.headers.clone().unwrap_or_default(), serde_json::from_slice(&m.payload).unwrap())
    };
    messages.take(count).map_ok(read).try_collect().await.unwrap()
}

/// The broker ends, its data is deleted, and it comes back empty.
async fn lose_broker_data(world: &World) {
    let dir = world.servers.parts.iter().find(|p| p.name == Name::Nats).unwrap().data_dir.clone().unwrap();
    world.stop_part(Name::Nats).await;
    std::fs::remove_dir_all(dir.join("store")).unwrap();
    world.start_part(Name::Nats).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_log_cannot_be_read_holds_up_no_other_feed() {
    let mut world = World::start(Parts::All).await;
    // Nothing is published while the log is spoilt.
    let nats_url = world.nats_url.take();
    let mut node = world.node().await;
    let (bad, good) = (world.tenant("bad"), world.tenant("good"));
    for tenant in [&bad, &good] {
        let c = node.client(tenant);
        c.catalogue(&["X"]).await;
        c.receive("X", "5", "1").await;
    }
    let head = node.client(&good).issue("X", "1").await.expect(201).position();
    node.kill();
    let mut owner = world.owner().await;
    let spoil = sqlx::query("UPDATE event SET type = 999 WHERE tenant_id = $1 AND position = $2");
    spoil.bind(bad.number).bind(5_i64).execute(&mut owner).await.unwrap();
    world.nats_url = nats_url;
    let node = world.node().await;
    published(&world, good.number, head).await;
    published(&world, bad.number, 4).await;
    let c = node.client(&good);
    let deadline = Instant::now() + FEED_TIME_MAX;
    let feed = loop {
        let health = c.get("/health/ready").await.expect(200).json;
        if health["feed"]["stopped"] == json!(1) {
            assert_eq!(health["status"], "degraded");
            break health["feed"].clone();
        }
        assert!(Instant::now() < deadline, "{health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // The server that the tests find decides which of them it is.
    assert!(["synced", "unsynced", "unknown"].contains(&feed["durability"].as_str().unwrap()), "{feed}");
    assert!(feed["events"].as_i64().unwrap() > 0, "{feed}");
    let metrics = c.get("/metrics").await.expect(200).text;
    assert!(metrics.contains("ledger_publish_stopped_tenants 1"), "{metrics}");
    // And the healthy one goes on at once.
    let next = c.issue("X", "1").await.expect(201).position();
    published(&world, good.number, next).await;
    let positions: Vec<_> =
        messages(&world, "bad").await.into_iter().map(|(_, _, _, body)| body["data"]["position"].clone()).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    // Mended, it goes on where it stopped.
    let mend = sqlx::query("UPDATE event SET type = 6 WHERE tenant_id = $1 AND position = $2");
    mend.bind(bad.number).bind(5_i64).execute(&mut owner).await.unwrap();
    let head = node.client(&bad).get("/v1/events?limit=1000").await.expect(200).json["next_after"].as_i64().unwrap();
    published(&world, bad.number, head).await;
    assert_eq!(messages(&world, "bad").await.len(), usize::try_from(head).unwrap());
}

/// Every form of every event ever stored goes out as the AsyncAPI document says, and is answered by the log as its schema says.
#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_as_the_asyncapi_document_says() {
    let world = World::start(Parts::All).await;
    let tenant = world.tenant("every-kind");
    let mut owner = world.owner().await;
    let head: i64 = sqlx::query_scalar("SELECT position FROM tenant_head WHERE tenant_id = $1")
        .bind(tenant.number)
        .fetch_one(&mut owner)
        .await
        .unwrap();
    // Written past the pipeline: no tenant has a life with all of these in it.
    let mut position = head;
    for line in golden::lines() {
        position += 1;
        let key = uuid::Uuid::from_u128(u128::try_from(position).unwrap());
        let insert = sqlx::query(
            "INSERT INTO event (tenant_id, position, stream, stream_version, recorded_at, type, schema_version, leaf_check, payload, stream_key) \
             VALUES ($1, $2, $2, 1, 1, $3, $4, 0, $5, $6)",
        );
        let number = |name: &str| i16::try_from(line[name].as_i64().unwrap()).unwrap();
        insert
            .bind(tenant.number)
            .bind(position)
            .bind(number("type"))
            .bind(number("schema"))
            .bind(golden::unhex(line["bytes"].as_str().unwrap()))
            .bind(key)
            .execute(&mut owner)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE tenant_head SET position = $2 WHERE tenant_id = $1")
        .bind(tenant.number)
        .bind(position)
        .execute(&mut owner)
        .await
        .unwrap();
    let node = world.node().await;
    published(&world, tenant.number, position).await;
    let contract = Contract::committed();
    let mut subjects = BTreeSet::new();
    let sent = messages(&world, "every-kind").await;
    assert_eq!(sent.len(), usize::try_from(position).unwrap());
    for (_, subject, headers, body) in &sent {
        let headers: serde_json::Map<String, Value> =
            headers.iter().map(|(name, values)| (name.to_string(), json!(values[0].as_str()))).collect();
        contract.check(subject, &headers.into(), body);
        subjects.insert(subject.clone());
    }
    assert_eq!(subjects.len(), contract.len(), "some channel had no message");
    // The log says the same of each.
    let schemas: BTreeMap<_, _> = ledger_api::event_schemas().into_iter().collect();
    let page = node.client(&tenant).get("/v1/events?limit=1000").await.expect(200).json;
    for (event, (_, _, _, body)) in page["data"].as_array().unwrap().iter().zip(&sent) {
        assert_eq!((&event["position"], &event["data"]), (&body["data"]["position"], &body["data"]["event"]));
        assert!(jsonschema::is_valid(&schemas[event["type"].as_str().unwrap()], &event["data"]), "{event}");
    }
}

/// Messages are made anew after each failure: they must be the same, whatever position that begins at.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_again_is_the_same_from_any_position() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let tenant = world.tenant("again");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let commands: Vec<Value> =
        (0..6).map(|_| json!({"type": "receive", "sku": "X", "location": "MAIN", "quantity": "1", "unit_cost": "2"})).collect();
    let traced = c
        .request(reqwest::Method::POST, "/v1/transactions")
        .header("idempotency-key", "traced")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .json(&json!({"commands": commands}));
    let head = c.send(traced).await.expect(201).position();
    published(&world, tenant.number, head).await;
    let first: Vec<Value> = messages(&world, "again").await.into_iter().map(|(_, _, _, body)| body).collect();
    assert_eq!(first.len(), usize::try_from(head).unwrap());
    assert_eq!(first.iter().filter(|body| body["traceparent"].is_string()).count(), 6);
    for after in [head - 3, 0] {
        lose_broker_data(&world).await;
        let done = world.ledgerd(&["republish", "--tenant", "again", "--after", &after.to_string(), "--follow"]);
        assert_eq!((&done["complete"], &done["messages"]), (&json!(true), &json!(head - after)), "{done}");
        let again: Vec<Value> = messages(&world, "again").await.into_iter().map(|(_, _, _, body)| body).collect();
        assert_eq!(again, first[usize::try_from(after).unwrap()..], "after {after}");
    }
    let (code, _, error) = world.ledgerd_any(&["republish", "--tenant", "again", "--after", &(head + 1).to_string()]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("there is nothing after"), "{error}");
    // A cursor beyond the head would skip what is to come.
    let next = c.receive("X", "1", "2").await.position();
    published(&world, tenant.number, next).await;
    assert_eq!(messages(&world, "again").await.len(), usize::try_from(next).unwrap());
}

/// What is purged within the broker's duplicate window cannot be sent again until it has passed: that is said, not hidden.
#[tokio::test(flavor = "multi_thread")]
async fn a_republication_that_the_broker_takes_for_duplicates_is_found_wanting() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let tenant = world.tenant("purged");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let head = c.receive("X", "1", "2").await.position();
    published(&world, tenant.number, head).await;
    jetstream(&world).await.get_stream(projector::feed::STREAM).await.unwrap().purge().await.unwrap();
    let (code, out, error) = world.ledgerd_any(&["republish", "--tenant", "purged", "--follow"]);
    assert_eq!(code, 3, "{out}{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["complete"], &report["messages"]), (&json!(false), &json!(0)), "{report}");
    let metrics = c.get("/metrics").await.expect(200).text;
    assert!(metrics.contains(&format!("ledger_redelivered_messages_total {head}")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_known_to_sync_is_refused_where_that_is_demanded() {
    let world = World::start(Parts::All).await;
    let (_, out, _) = world.ledgerd_any(&["doctor"]);
    let checks: Value = serde_json::from_str(&out).unwrap();
    let nats = checks.as_array().unwrap().iter().find(|c| c["part"] == "NATS").unwrap();
    let is_synced = nats["what"].as_str().unwrap().contains("is synced to disk before");
    assert_eq!(nats["ok"], true, "{nats}");
    let (_, out, _) = world.ledgerd_any(&["doctor", "--feed-require-sync"]);
    let checks: Value = serde_json::from_str(&out).unwrap();
    let nats = checks.as_array().unwrap().iter().find(|c| c["part"] == "NATS").unwrap();
    assert_eq!(nats["ok"], json!(is_synced), "{nats}");
    let node = Node::start(&world, &["--projector", "--feed-require-sync"]).await;
    let tenant = world.tenant("strict");
    let c = node.client(&tenant);
    let head = stocked(&world, &node, "other").await.issue("X", "1").await.expect(201).position();
    if is_synced {
        published(&world, tenant.number + 1, head).await;
        return;
    }
    let deadline = Instant::now() + FEED_TIME_MAX;
    loop {
        let health = c.get("/health/ready").await.expect(200).json;
        if health["feed"]["durability"] == "unsynced" {
            assert_eq!((&health["status"], &health["broker"]), (&json!("degraded"), &json!("down")));
            break;
        }
        assert!(Instant::now() < deadline, "{health}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nothing reached the broker: not even the stream was made.
    assert!(jetstream(&world).await.get_stream(projector::feed::STREAM).await.is_err());
}
