//! People: recorded beside the log, proven by it, and erased without a trace while log and proofs stay as they are.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::harness::client::fresh_key;
use crate::harness::{Answer, Client, Node, Parts, World};

/// A client's calls about people.
struct People(Client);

impl People {
    async fn put(&self, id: &str, key: &str, body: &Value) -> Answer {
        let request = self.0.request(Method::PUT, &format!("/v1/people/{id}")).header("idempotency-key", key);
        self.0.send(request.json(body)).await
    }

    async fn record(&self, id: &str, data: Value) -> Answer {
        self.put(id, &fresh_key(), &json!({"data": data})).await
    }

    async fn erase(&self, id: &str, key: &str, body: &Value) -> Answer {
        let request = self.0.request(Method::DELETE, &format!("/v1/people/{id}")).header("idempotency-key", key);
        self.0.send(request.json(body)).await
    }

    async fn get(&self, id: &str) -> Answer {
        self.0.get(&format!("/v1/people/{id}")).await
    }
}

async fn rows(owner: &mut PgConnection, tenant: i64) -> Vec<(bool, bool)> {
    sqlx::query_as("SELECT settled, data IS NOT NULL FROM person_data WHERE tenant_id = $1 ORDER BY stored_at")
        .bind(tenant)
        .fetch_all(owner)
        .await
        .unwrap()
}

/// Every row of the log as the database has it, in one hash, and the head's tree.
async fn log_as_it_is(owner: &mut PgConnection, upto: i64) -> (String, String) {
    let events = "SELECT md5(string_agg(e::text, '|' ORDER BY tenant_id, position)) FROM event e WHERE position <= $1";
    let heads = "SELECT string_agg(tenant_id || ':' || encode(frontier, 'hex'), '|' ORDER BY tenant_id) FROM tenant_head";
    let events = sqlx::query_scalar(events).bind(upto).fetch_one(&mut *owner).await.unwrap();
    (events, sqlx::query_scalar(heads).fetch_one(owner).await.unwrap())
}

/// The commitment as somebody who only reads the documentation computes it: CBOR by hand, SHA-256 by Postgres.
async fn by_hand(owner: &mut PgConnection, proof: &Value, id: &str, pairs: &[(&str, &str)]) -> String {
    let text = |t: &str| {
        assert!(t.len() < 24, "short texts only");
        [&[0x60 + u8::try_from(t.len()).unwrap()], t.as_bytes()].concat()
    };
    let tenant = u8::try_from(proof["tenant"].as_i64().unwrap()).unwrap();
    assert!(tenant < 24 && pairs.len() < 24);
    let mut bytes = [&[0x85][..], &text("ledgerd-person-1"), &[tenant], &text(id), &[0x58, 0x20]].concat();
    let salt = proof["salt"].as_str().unwrap();
    assert_eq!(salt.len(), 64);
    bytes.extend((0..64).step_by(2).map(|at| u8::from_str_radix(&salt[at..at + 2], 16).unwrap()));
    bytes.push(0xa0 + u8::try_from(pairs.len()).unwrap());
    bytes.extend(pairs.iter().flat_map(|(k, v)| [text(k), text(v)].concat()));
    sqlx::query_scalar("SELECT encode(sha256($1), 'hex')").bind(bytes).fetch_one(owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_recorded_proven_changed_and_erased() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let (tenant, other) = (world.tenant("shop"), world.tenant("other"));
    let mut owner = world.owner().await;
    let p = People(node.client(&tenant));
    p.get("p-1").await.refused(404, "unknown_person");

    let first = p.put("p-1", "k1", &json!({"data": {"name": "Ada", "town": "London"}})).await.expect(201);
    assert_eq!(
        (&first.json["events"][0]["type"], &first.json["events"][0]["stream"]),
        (&json!("person_recorded"), &json!("person-p-1"))
    );
    let shown = p.get("p-1").await.expect(200);
    assert_eq!((&shown.json["status"], &shown.json["data"]), (&json!("recorded"), &json!({"name": "Ada", "town": "London"})));
    assert_eq!((shown.header("etag"), shown.header("cache-control")), ("\"1\"", "no-store"));
    assert_eq!((shown.position(), shown.header("ledger-position")), (first.position(), first.position().to_string().as_str()));
    // The log has the commitment, and the data with the salt make it.
    let proof = &shown.json["proof"];
    let by_hand = by_hand(&mut owner, proof, "p-1", &[("name", "Ada"), ("town", "London")]).await;
    assert_eq!(proof["commitment"], json!(by_hand));
    let event = p.0.get(&format!("/v1/events?after={}&limit=1", first.position() - 1)).await.expect(200);
    assert_eq!(event.json["data"][0]["data"], json!({"id": "p-1", "commitment": by_hand}));
    assert_eq!(first.json["result"], json!({"id": "p-1", "commitment": by_hand, "status": "recorded"}));

    // The same again changes nothing; the same call is answered as it was; the key is for that call alone.
    let same = p.record("p-1", json!({"town": "London", "name": "Ada"})).await.expect(200);
    assert_eq!((&same.json["events"], &same.json["result"]), (&json!([]), &Value::Null));
    let changed = p.put("p-1", "k2", &json!({"data": {"name": "Ada", "town": "Paris"}, "expected_version": 1})).await.expect(201);
    assert_eq!(changed.json["events"][0]["version"], 2);
    for (key, town, answered) in [("k1", "London", &first), ("k2", "Paris", &changed)] {
        let mut body = json!({"data": {"name": "Ada", "town": town}});
        if key == "k2" {
            body["expected_version"] = 1.into();
        }
        let again = p.put("p-1", key, &body).await.expect(200);
        assert!(again.is_replay());
        assert_eq!(again.json, answered.json);
        body["data"]["town"] = "Rome".into();
        p.put("p-1", key, &body).await.refused(422, "command_id_reused");
        let body = json!({"data": {"name": "Ada", "town": town}, "metadata": {"a": "b"}});
        p.put("p-1", key, &body).await.refused(422, "command_id_reused");
        p.put("p-2", key, &json!({"data": {"name": "Ada", "town": town}})).await.refused(422, "command_id_reused");
    }
    // A refusal is remembered too, and what it wanted to record is not kept.
    let stale = json!({"data": {"name": "Eve"}, "expected_version": 1});
    p.put("p-1", "stale", &stale).await.refused(412, "version_mismatch");
    assert!(p.put("p-1", "stale", &stale).await.refused(412, "version_mismatch").is_replay());
    assert_eq!(p.get("p-1").await.json["data"]["town"], "Paris");
    // k1, the same again, k2, stale: with data are the two that the log has.
    let kept = rows(&mut owner, tenant.number).await;
    assert_eq!((kept.len(), kept.iter().filter(|r| r.1).count(), kept.iter().all(|r| r.0)), (4, 2, true), "{kept:?}");

    // A dry run keeps nothing, the other tenant sees nothing.
    let dry = p.0.request(Method::PUT, "/v1/people/p-9?dry_run=true").json(&json!({"data": {"name": "Zoe"}}));
    assert_eq!(p.0.send(dry).await.expect(200).json["dry_run"], true);
    p.get("p-9").await.refused(404, "unknown_person");
    let o = People(node.client(&other));
    o.get("p-1").await.refused(404, "unknown_person");
    o.erase("p-1", "x", &json!({"reason": "GDPR"})).await.refused(404, "unknown_person");
    assert_eq!(rows(&mut owner, tenant.number).await.len(), 4);

    for bad in [
        json!({"data": {}}),
        json!({}),
        json!({"data": {"name": 1}}),
        json!({"data": {"name": null}}),
        json!({"data": {"name": "x".repeat(257)}}),
        json!({"data": {"name": "a\u{0}b"}}),
        json!({"data": (0..65).map(|n| (format!("k{n}"), "v".into())).collect::<serde_json::Map<_, _>>()}),
        json!({"data": {"name": "Ada"}, "commitment": "00"}),
        json!({"data": {"name": "Ada"}, "x": 1}),
    ] {
        p.record("p-8", bad).await.refused(400, "malformed");
    }
    let raw = |body: &'static str| {
        let request = p.0.request(Method::PUT, "/v1/people/p-8").header("idempotency-key", fresh_key());
        p.0.send(request.header("content-type", "application/json").body(body))
    };
    raw(r#"{"data": {"name": "a", "name": "b"}}"#).await.refused(400, "malformed");
    p.put("p-8", &fresh_key(), &json!({"id": "p-7", "data": {"name": "a"}})).await.refused(400, "path_body_mismatch");

    p.erase("p-1", "e0", &json!({})).await.refused(422, "reason_required");
    let gone = p.erase("p-1", "e1", &json!({"reason": "GDPR"})).await.expect(201);
    assert_eq!(gone.json["result"], json!({"id": "p-1", "status": "erased"}));
    assert_eq!(rows(&mut owner, tenant.number).await, []);
    let again = p.erase("p-1", "e1", &json!({"reason": "GDPR"})).await.expect(200);
    assert!(again.is_replay() && again.json == gone.json);
    p.erase("p-1", "e2", &json!({"reason": "GDPR"})).await.refused(409, "person_erased");
    let shown = p.get("p-1").await.expect(200);
    assert_eq!((&shown.json["status"], &shown.json["reason"]), (&json!("erased"), &json!("GDPR")));
    assert!(shown.json.get("data").is_none() && shown.json.get("proof").is_none(), "{}", shown.text);
    // Not under the same id again, not by an old call either, and nothing of it is stored.
    p.record("p-1", json!({"name": "Ada"})).await.refused(409, "person_erased");
    p.put("p-1", "k1", &json!({"data": {"name": "Ada", "town": "London"}})).await.refused(409, "person_erased");
    assert_eq!(rows(&mut owner, tenant.number).await, []);
    world.verify_clean("shop");
}

/// What a search may find of somebody: in the database, the cache, the broker, and what is carried away.
fn found(haystack: &str, needles: &[String]) -> Vec<String> {
    needles.iter().filter(|n| haystack.contains(n.as_str())).cloned().collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_erased_person_is_left_and_the_log_is_as_it_was() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let tenant = world.tenant("shop");
    let mut owner = world.owner().await;
    let p = People(node.client(&tenant));
    let words = ["Quillon Featherstonehaugh", "Zymurgy Lane 7", "quillon@example.test"];
    let data = |town: &str| json!({"name": words[0], "street": words[1], "mail": words[2], "town": town});
    p.record("p-1", data("Xanadu")).await.expect(201);
    let salts = |answer: &Answer| answer.json["proof"]["salt"].as_str().unwrap().to_owned();
    let mut secrets = vec![salts(&p.get("p-1").await.expect(200))];
    p.record("p-1", data("Ulubar")).await.expect(201);
    secrets.push(salts(&p.get("p-1").await.expect(200)));
    // A refused one, and one that changes nothing, leave a salt too.
    p.put("p-1", &fresh_key(), &json!({"data": data("Ys"), "expected_version": 9})).await.refused(412, "version_mismatch");
    p.record("p-1", data("Ulubar")).await.expect(200);
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT encode(salt, 'hex') FROM person_data").fetch_all(&mut owner).await.unwrap();
    assert_eq!(kept.len(), 4);
    secrets.extend(kept);
    secrets.extend(words.iter().chain(&["Xanadu", "Ulubar"]).flat_map(|w| [(*w).to_owned(), hex(w)]));
    // Somebody else stays, so that the search has something that it can find.
    p.record("p-2", json!({"name": "Remaining Person"})).await.expect(201);
    let dump = || {
        let output = std::process::Command::new("pg_dump").arg(&world.database_url).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let before = dump();
    assert_eq!(found(&before, &[hex(words[0]), secrets[0].clone()]).len(), 2, "the search finds what is there");

    let last = p.get("p-2").await.position();
    let log = log_as_it_is(&mut owner, last).await;
    let gone = p.erase("p-1", &fresh_key(), &json!({"reason": "GDPR"})).await.expect(201);
    assert_eq!(log_as_it_is(&mut owner, last).await.0, log.0, "an event was changed");
    assert_eq!(gone.position(), last + 1);
    p.0.get_at("/v1/items", gone.position()).await.expect(200);
    world.verify_clean("shop");

    let after = dump();
    assert_eq!(found(&after, &secrets), Vec::<String>::new());
    assert_eq!(found(&after, &[hex("Remaining Person")]).len(), 1);
    // What auditors and subscribers carry away, and what lies in the cache.
    let (code, exported, err) = world.ledgerd_any(&["export", "--tenant", "shop", "events"]);
    assert!(code == 0 && exported.contains("person_erased"), "{err}");
    assert_eq!(found(&exported, &[&secrets[..], &["Remaining Person".to_owned()]].concat()), Vec::<String>::new());
    let published = messages(world.nats_url.as_deref().unwrap(), usize::try_from(gone.position()).unwrap()).await;
    assert!(published.contains("person_recorded") && published.contains("person_erased"), "{published}");
    assert_eq!(found(&published, &[&secrets[..], &["Remaining Person".to_owned()]].concat()), Vec::<String>::new());
    let cached = cached(world.redis_url.as_deref().unwrap());
    assert_eq!(found(&cached, &[&secrets[..], &["Remaining Person".to_owned()]].concat()), Vec::<String>::new());
    p.get("p-2").await.expect(200);
}

/// All messages of the broker, as text.
async fn messages(url: &str, count: usize) -> String {
    let context = async_nats::jetstream::new(projector::feed::connect(url).await.unwrap());
    let stream = context.get_stream("LEDGER").await.unwrap();
    let config = async_nats::jetstream::consumer::pull::OrderedConfig::default();
    let messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let all = messages.take(count).map(|m| {
        let m = m.unwrap();
        format!("{} {:?} {}\n", m.subject, m.headers, String::from_utf8_lossy(&m.payload))
    });
    tokio::time::timeout(Duration::from_secs(20), all.collect::<Vec<_>>()).await.unwrap().concat()
}

/// Everything in the cache, as text.
fn cached(url: &str) -> String {
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    let value = |key: &String| redis::cmd("DUMP").arg(key).query::<Vec<u8>>(&mut redis).unwrap_or_default();
    let values: Vec<Vec<u8>> = keys.iter().map(value).collect();
    keys.concat() + &values.iter().map(|v| String::from_utf8_lossy(v)).collect::<String>()
}

async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The node is killed when the log has the erasure and the table still has the data.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_cut_off_by_a_kill_is_carried_through() {
    let world = World::start(Parts::Database).await;
    // No projector here: nothing else would end what was begun.
    let mut node = Node::start(&world, &[]).await;
    let tenant = world.tenant("shop");
    let p = People(node.client(&tenant));
    p.record("p-1", json!({"name": "Ada"})).await.expect(201);
    p.record("p-2", json!({"name": "Eve"})).await.expect(201);

    let mut owner = world.owner().await;
    let mut lock = owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE person_data IN SHARE MODE").execute(&mut *lock).await.unwrap();
    let waiting = {
        let p = People(p.0.clone());
        tokio::spawn(async move { p.erase("p-1", "e", &json!({"reason": "GDPR"})).await })
    };
    until("the erasure is recorded", || async { p.get("p-1").await.json["status"] == "erased" }).await;
    node.kill();
    assert_eq!(waiting.await.unwrap().status, 0, "answered before the data were gone");
    lock.rollback().await.unwrap();
    assert_eq!(rows(&mut owner, tenant.number).await.len(), 2);

    let node = world.node().await;
    let mut watch = world.owner().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while rows(&mut watch, tenant.number).await.len() != 1 {
        assert!(Instant::now() < deadline, "the erasure was not ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let marks: i64 = sqlx::query_scalar("SELECT count(*) FROM person_erasure").fetch_one(&mut watch).await.unwrap();
    assert_eq!(marks, 0);
    let p = People(node.client(&tenant));
    assert!(p.erase("p-1", "e", &json!({"reason": "GDPR"})).await.expect(200).is_replay());
    assert_eq!(p.get("p-2").await.expect(200).json["data"]["name"], "Eve");
}

/// Rows whose command was cut off: what the log knows of it decides, and how long ago it was.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_makes_rows_what_the_log_says() {
    let world = World::start(Parts::Database).await;
    let mut node = world.node().await;
    let tenant = world.tenant("shop");
    let p = People(node.client(&tenant));
    let mut owner = world.owner().await;
    p.record("recorded", json!({"name": "Ada"})).await.expect(201);
    p.put("recorded", "refused", &json!({"data": {"name": "Eve"}, "expected_version": 9})).await.refused(412, "version_mismatch");
    p.record("erased", json!({"name": "Bob"})).await.expect(201);
    p.erase("erased", &fresh_key(), &json!({"reason": "GDPR"})).await.expect(201);
    assert_eq!(node.terminate(), Some(0));

    // As left behind by a process that was killed before it settled them.
    let unsettle =
        "UPDATE person_data SET settled = false, data = coalesce(data, '\\xa0'), stored_at = now() - interval '2 hours'";
    sqlx::query(unsettle).execute(&mut owner).await.unwrap();
    let plant = "INSERT INTO person_data (tenant_id, command_id, person_id, salt, data, stored_at, settled) \
                 VALUES ($1, gen_random_uuid(), $2, sha256($2::bytea), '\\xa0', now() - $3::interval, false)";
    for (person, age) in [("nobody", "2 hours"), ("under way", "50 minutes"), ("erased", "2 hours"), ("erased", "1 minute")] {
        sqlx::query(plant).bind(tenant.number).bind(person).bind(age).execute(&mut owner).await.unwrap();
    }
    let mark = "INSERT INTO person_erasure (tenant_id, person_id, begun_at) VALUES ($1, $2, now() - $3::interval)";
    for (person, age) in [("erased", "1 minute"), ("recorded", "2 hours"), ("under way", "1 minute")] {
        sqlx::query(mark).bind(tenant.number).bind(person).bind(age).execute(&mut owner).await.unwrap();
    }

    let node = world.node().await;
    let left = "SELECT person_id, settled, data IS NOT NULL FROM person_data WHERE tenant_id = $1 ORDER BY 1, 3";
    let want = [("recorded", true, false), ("recorded", true, true), ("under way", false, true)];
    let want: Vec<(String, bool, bool)> = want.iter().map(|(p, s, d)| ((*p).to_owned(), *s, *d)).collect();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let left: Vec<(String, bool, bool)> = sqlx::query_as(left).bind(tenant.number).fetch_all(&mut owner).await.unwrap();
        if left == want {
            break;
        }
        assert!(Instant::now() < deadline, "{left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let marks: Vec<String> = sqlx::query_scalar("SELECT person_id FROM person_erasure").fetch_all(&mut owner).await.unwrap();
    assert_eq!(marks, ["under way"]);
    let p = People(node.client(&tenant));
    assert_eq!(p.get("recorded").await.expect(200).json["data"]["name"], "Ada");
    assert!(p.put("recorded", "refused", &json!({"data": {"name": "Eve"}, "expected_version": 9})).await.is_replay());
    // What is beside the log and not what the log says is never shown.
    sqlx::query("UPDATE person_data SET data = '\\xa1646e616d6563457665' WHERE person_id = 'recorded' AND data IS NOT NULL")
        .execute(&mut owner)
        .await
        .unwrap();
    p.get("recorded").await.refused(500, "internal");
}

/// Recording and erasing at once, each call twice: whoever is not erased can be shown, whoever is has nothing left.
#[tokio::test(flavor = "multi_thread")]
async fn recording_and_erasing_at_once_leaves_no_one_half_known() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let second = Node::start(&world, &[]).await;
    let tenant = world.tenant("shop");
    let clients = [node.client(&tenant), second.client(&tenant)];
    let races = (0..120_usize).map(|n| {
        let (a, b) = (People(clients[n % 2].clone()), People(clients[(n + 1) % 2].clone()));
        async move {
            let id = format!("p-{n}");
            let (one, two) = (json!({"data": {"name": format!("one {n}")}}), json!({"data": {"name": format!("two {n}")}}));
            let (k1, k2, e) = (fresh_key(), fresh_key(), fresh_key());
            if n % 3 > 0 {
                a.record(&id, json!({"name": "zero"})).await.expect(201);
            }
            let reason = json!({"reason": "GDPR"});
            let answers = tokio::join!(
                a.put(&id, &k1, &one),
                b.put(&id, &k1, &one),
                b.put(&id, &k2, &two),
                a.erase(&id, &e, &reason),
                b.put(&id, &k1, &two),
            );
            let answers = [answers.0, answers.1, answers.2, answers.3, answers.4];
            for answer in &answers {
                assert!(matches!(answer.status, 200 | 201 | 404 | 409 | 422), "{} {}", answer.status, answer.text);
            }
            // One of the two bodies has the key; asking again tells the same unless the person is gone.
            let shown = a.get(&id).await.expect(200);
            let again = b.put(&id, &k1, &one).await;
            match shown.json["status"].as_str() {
                Some("erased") => drop(again.refused(409, "person_erased")),
                _ => assert!(matches!((again.status, again.code()), (200, "") | (422, "command_id_reused")), "{}", again.text),
            }
            shown.json["status"] == "erased"
        }
    });
    let erased: Vec<bool> = futures::stream::iter(races).buffer_unordered(24).collect().await;
    let erased = erased.into_iter().filter(|e| *e).count();
    assert!(erased > 20, "only {erased} were erased");
    let mut owner = world.owner().await;
    let half = "SELECT count(*) FROM person_data d WHERE NOT settled OR EXISTS (SELECT FROM event e WHERE e.tenant_id = d.tenant_id \
                AND e.type = 71 AND e.payload = '\\x81'::bytea || chr(96 + length(d.person_id))::bytea || d.person_id::bytea || '\\x82f66447445052'::bytea)";
    assert_eq!(sqlx::query_scalar::<_, i64>(half).fetch_one(&mut owner).await.unwrap(), 0);
    println!("{erased} of 120 erased");
    world.verify_clean("shop");
}
