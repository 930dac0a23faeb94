//! Background jobs and webhooks through the real process: what is asked for is done once and found again, what fails is tried
//! again and listed, what is killed goes on; and a real receiver gets every event, in order, signed.

mod receiver;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row;

use crate::harness::client::fresh_key;
use crate::harness::{Answer, Client, Node, Parts, World};
use receiver::Receiver;

/// Receivers of these tests are on this machine; what fails is tried again soon.
const INSIDE: [(&str, &str); 2] = [("LEDGERD_WEBHOOK_ALLOW", "127.0.0.1"), ("LEDGERD_WEBHOOK_PAUSE", "1")];

async fn node(world: &World) -> Node {
    Node::start_with(world, &INSIDE, &["--projector"]).await
}

/// Events 2 and following: locations, one each.
async fn define(c: &Client, from: usize, count: usize) -> i64 {
    let lines: String = (from..from + count)
        .map(|n| json!({"id": format!("define-{n}"), "type": "define_location", "code": format!("L{n}")}).to_string() + "\n")
        .collect();
    let request = c.request(Method::POST, "/v1/batches").header("content-type", "application/x-ndjson").body(lines);
    let answer = c.send(request).await.expect(200);
    let results = answer.json["results"].as_array().unwrap();
    assert!(results.iter().all(|r| r["status"] == 201), "{}", answer.text);
    results.iter().map(|r| r["answer"]["position"].as_i64().unwrap()).max().unwrap()
}

async fn put_hook(c: &Client, id: &str, url: &str, more: Value) -> Answer {
    let mut body = json!({"url": url, "after": 0});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    c.send(c.request(Method::PUT, &format!("/v1/webhooks/{id}")).json(&body)).await
}

async fn post(c: &Client, path: &str) -> Answer {
    c.send(c.request(Method::POST, path)).await
}

/// Polls until a read shows what is wanted.
async fn until(c: &Client, path: &str, seconds: u64, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let answer = c.get(path).await;
        if answer.status == 200 && wanted(&answer.json) {
            return answer.json;
        }
        assert!(Instant::now() < deadline, "{path}: {} {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

fn is_over(job: &Value) -> bool {
    ["done", "dead", "cancelled"].iter().any(|s| job["status"] == *s)
}

async fn ask(c: &Client, key: &str, body: &Value) -> Answer {
    c.post_as("/v1/jobs", key, body).await
}

/// Asks for a job and waits for its end.
async fn done(c: &Client, body: &Value) -> Value {
    let asked = ask(c, &fresh_key(), body).await.expect(202);
    until(c, asked.header("location"), 30, is_over).await
}

async fn upload(c: &Client, key: &str, lines: &str) -> Answer {
    let request = c.request(Method::POST, "/v1/jobs").header("idempotency-key", key);
    c.send(request.header("content-type", "application/x-ndjson").body(lines.to_owned())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_reports_and_imports_are_made_once_and_kept() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let (tenant, other) = (world.tenant("jobs"), world.tenant("other"));
    let c = node.client(&tenant);
    c.catalogue(&["TEA"]).await;
    let lines: String = (0..3_000)
        .map(|n| match n {
            1_500 => "{\"type\":\"issue\",\"sku\":\"TEA\",\"location\":\"NOWHERE\",\"quantity\":\"1\"}\n".to_owned(),
            1_501 => "no json\n".to_owned(),
            n => json!({"type": "receive", "sku": "TEA", "location": "MAIN", "quantity": "1", "unit_cost": "2", "reference": format!("R{n}")})
                .to_string() + "\n",
        })
        .collect();
    // The same key is the same job; the same key for something else is refused.
    let first = upload(&c, "import-1", &lines).await.expect(202);
    let again = upload(&c, "import-1", &lines).await.expect(202);
    assert_eq!((&first.json["id"], again.is_replay(), first.is_replay()), (&again.json["id"], true, false));
    upload(&c, "import-1", "{}").await.refused(422, "command_id_reused");
    ask(&c, "import-1", &json!({"kind": "export", "what": "events"})).await.refused(422, "command_id_reused");
    let path = first.header("location").to_owned();
    let imported = until(&c, &path, 60, is_over).await;
    let result = &imported["result"];
    assert_eq!(
        (&imported["status"], &result["accepted"], &result["refused"]),
        (&json!("done"), &json!(2_998), &json!(2)),
        "{imported}"
    );
    assert_eq!((&imported["progress"]["done"], &imported["progress"]["of"]), (&json!(3_000), &json!(3_000)));
    let refused = c.get(&format!("{path}/result")).await.expect(200);
    assert_eq!(refused.header("content-type"), "application/x-ndjson");
    let rows: BTreeSet<i64> =
        refused.text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["row"].as_i64().unwrap()).collect();
    assert_eq!(rows, BTreeSet::from([1_501, 1_502]));

    // A file is what the command line writes.
    for what in ["events", "stock", "valuation", "cards", "balances"] {
        let exported = done(&c, &json!({"kind": "export", "what": what})).await;
        assert_eq!(exported["status"], "done", "{exported}");
        let path = format!("/v1/jobs/{}/result", exported["id"].as_str().unwrap());
        let file = c.get(&path).await.expect(200);
        let printed = world.command(&["export", "--tenant", "jobs", what]).output().unwrap();
        assert!(printed.status.success() && !printed.stdout.is_empty());
        assert!(file.text.as_bytes() == printed.stdout, "{what} differs");
        assert_eq!(exported["result"]["bytes"], printed.stdout.len());
        node.client(&other).get(&path).await.refused(404, "not_found");
    }
    let events = c.get("/v1/events?after=0&limit=1000").await.json["data"].as_array().unwrap().len();
    let part = done(&c, &json!({"kind": "export", "what": "events", "after": 3_000})).await;
    let part = c.get(&format!("/v1/jobs/{}/result", part["id"].as_str().unwrap())).await;
    assert!(events == 1_000 && part.text.lines().next().unwrap().contains("\"position\":3001"), "{}", part.text);

    // A report is what the API answers.
    let query = "/v1/reports/trial-balance?format=csv&as_of=2035-01-01";
    let asked = json!({"kind": "report", "report": "trial-balance", "format": "csv", "parameters": {"as_of": "2035-01-01"}});
    let report = done(&c, &asked).await;
    let made = c.get(&format!("/v1/jobs/{}/result", report["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(made.text, c.get(query).await.expect(200).text, "{report}");
    assert!(made.header("content-type").starts_with("text/csv") && made.text.contains("5996.00"), "{}", made.text);

    // The list has them all, newest first, page by page; other tenants see none of it.
    let (mut ids, mut next) = (Vec::new(), "/v1/jobs?limit=3".to_owned());
    loop {
        let page = c.get(&next).await.expect(200);
        ids.extend(page.json["data"].as_array().unwrap().iter().map(|j| j["id"].as_str().unwrap().to_owned()));
        match page.json["next_cursor"].as_str() {
            Some(cursor) => next = format!("/v1/jobs?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(
        (ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), ids.last().unwrap().as_str()),
        (8, 8, first.json["id"].as_str().unwrap())
    );
    assert_eq!(c.get("/v1/jobs?kind=report").await.json["data"].as_array().unwrap().len(), 1);
    assert_eq!(node.client(&other).get("/v1/jobs").await.json["data"], json!([]));
    node.client(&other).get(&path).await.refused(404, "not_found");

    for bad in [
        json!({"kind": "export"}),
        json!({"kind": "export", "what": "stock", "after": 1}),
        json!({"kind": "export", "what": "events", "format": "csv"}),
        json!({"kind": "report"}),
        json!({"kind": "report", "report": "../stock"}),
        json!({"kind": "sweep"}),
        json!({"kind": "export", "what": "events", "more": 1}),
    ] {
        ask(&c, &fresh_key(), &bad).await.refused(400, "malformed");
    }
    c.send(c.request(Method::POST, "/v1/jobs").json(&json!({"kind": "export", "what": "events"})))
        .await
        .refused(400, "idempotency_key_missing");
    upload(&c, &fresh_key(), "\n \n").await.refused(400, "malformed");
    world.verify_clean("jobs");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_good_is_listed_until_somebody_sees_to_it() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("dead");
    let c = node.client(&tenant);
    assert_eq!(world.ledgerd_any(&["job", "dead"]).0, 0);
    let job = done(&c, &json!({"kind": "report", "report": "no-such-report"})).await;
    assert_eq!((&job["status"], &job["attempts"]), (&json!("dead"), &json!(1)), "{job}");
    assert!(job["last_error"].as_str().unwrap().contains("not_found"), "{job}");
    let id = job["id"].as_str().unwrap();
    c.get(&format!("/v1/jobs/{id}/result")).await.refused(404, "not_found");
    post(&c, &format!("/v1/jobs/{id}/cancel")).await.refused(409, "job_state");
    let (code, out, _) = world.ledgerd_any(&["job", "dead", "--tenant", "dead"]);
    assert!(code == 3 && out.contains(id), "{code}: {out}");
    assert_eq!(world.ledgerd_any(&["job", "show", "--tenant", "dead", id]).0, 3);
    until(&c, "/health/ready", 10, |ready| ready["jobs"]["dead"] == 1).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let line = "ledger_jobs{kind=\"report\",status=\"dead\"} 1";
    while !c.get("/metrics").await.text.contains(line) {
        assert!(Instant::now() < deadline, "{line}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Run again it is dead again, after one more attempt of a fresh count.
    world.ledgerd(&["job", "retry", "--tenant", "dead", id]);
    let again = until(&c, &format!("/v1/jobs/{id}"), 20, |j| is_over(j) && j["finished_at"] != job["finished_at"]).await;
    assert_eq!((&again["status"], &again["attempts"]), (&json!("dead"), &json!(1)), "{again}");
    world.ledgerd(&["job", "delete", "--tenant", "dead", id]);
    c.get(&format!("/v1/jobs/{id}")).await.refused(404, "not_found");
    assert_eq!(world.ledgerd_any(&["job", "retry", "--tenant", "dead", id]).0, 1);
    assert_eq!(world.ledgerd(&["job", "list"]), json!([]));
    // One that fails for a reason that may pass waits for its next attempt, a little longer each time.
    let mut owner = world.owner().await;
    sqlx::query("REVOKE SELECT ON event FROM ledger_service").execute(&mut owner).await.unwrap();
    let asked = ask(&c, &fresh_key(), &json!({"kind": "export", "what": "events"})).await.expect(202);
    let waiting = until(&c, asked.header("location"), 20, |j| j["attempts"] == 1 && j["status"] == "queued").await;
    assert!(waiting["last_error"].as_str().unwrap().contains("permission denied"), "{waiting}");
    assert!(waiting["run_at"].as_str() > waiting["created_at"].as_str(), "{waiting}");
    sqlx::query("GRANT SELECT ON event TO ledger_service").execute(&mut owner).await.unwrap();
    post(&c, &format!("{}/retry", asked.header("location"))).await.expect(200);
    assert_eq!(until(&c, asked.header("location"), 20, is_over).await["status"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_jobs_do_not_wait_for_background_ones_and_cancelled_ones_do_not_run() {
    let world = World::start(Parts::Database).await;
    let api = Node::start(&world, &[]).await;
    let tenant = world.tenant("queue");
    let c = api.client(&tenant);
    c.catalogue(&["TEA"]).await;
    // Nobody works yet.
    let export = |priority: &str| json!({"kind": "export", "what": "events", "priority": priority});
    for n in 0..30 {
        ask(&c, &format!("background-{n}"), &export("background")).await.expect(202);
    }
    let urgent = ask(&c, "urgent", &export("urgent")).await.expect(202);
    let unwanted = ask(&c, "unwanted", &export("normal")).await.expect(202);
    c.get(&format!("{}/result", urgent.header("location"))).await.refused(409, "job_state");
    let cancelled = post(&c, &format!("{}/cancel", unwanted.header("location"))).await.expect(200);
    assert_eq!(cancelled.json["status"], "cancelled");
    until(&c, "/health/ready", 5, |ready| ready["jobs"]["queued"] == 31).await;
    let _worker = Node::start(&world, &["--projector"]).await;
    let urgent = until(&c, urgent.header("location"), 30, is_over).await;
    until(&c, "/v1/jobs?status=done", 60, |page| page["data"].as_array().unwrap().len() == 31).await;
    let all = c.get("/v1/jobs?limit=100").await.json;
    let started: Vec<&str> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|j| j["started_at"].as_str())
        .map(|at| at.trim_end_matches('Z'))
        .collect();
    let before = started.iter().filter(|at| **at < urgent["started_at"].as_str().unwrap().trim_end_matches('Z')).count();
    assert_eq!((started.len(), before), (31, 0), "the urgent one, asked for last, began first");
    assert_eq!(c.get("/v1/jobs?status=cancelled").await.json["data"][0]["attempts"], 0);
    // No more may wait than a thousand.
    let mut owner = world.owner().await;
    sqlx::query(
        "INSERT INTO job (tenant_id, job_id, kind, priority, status, payload, run_at, attempts_max) \
         SELECT $1, gen_random_uuid(), 'export', 2, 'queued', '{}', now() + interval '1 day', 1 FROM generate_series(1, 1000)",
    )
    .bind(tenant.number)
    .execute(&mut owner)
    .await
    .unwrap();
    let full = ask(&c, "one-more", &export("normal")).await.refused(429, "too_many_jobs");
    assert_eq!(full.header("retry-after"), "60");
    assert_eq!(ask(&c, "urgent", &export("urgent")).await.expect(202).json["id"], urgent["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_is_killed_runs_again_and_does_everything_once() {
    let world = World::start(Parts::Database).await;
    let mut first = world.node().await;
    let tenant = world.tenant("killed");
    let c = first.client(&tenant);
    c.catalogue(&["TEA"]).await;
    let rows = 20_000;
    let lines: String = (0..rows)
        .map(|_| {
            json!({"type": "receive", "sku": "TEA", "location": "MAIN", "quantity": "1", "unit_cost": "1"}).to_string() + "\n"
        })
        .collect();
    let asked = upload(&c, "import", &lines).await.expect(202);
    let path = asked.header("location").to_owned();
    // In the middle of it.
    let events =
        |c: Client| async move { c.get("/v1/events?after=2000&limit=1").await.json["data"].as_array().map_or(0, Vec::len) };
    let deadline = Instant::now() + Duration::from_secs(30);
    while events(c.clone()).await == 0 {
        assert!(Instant::now() < deadline, "the import does not begin");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill();
    let second = world.node().await;
    let c = second.client(&tenant);
    let job = until(&c, &path, 90, is_over).await;
    let result = &job["result"];
    assert_eq!((&job["status"], &job["attempts"], &result["rows"]), (&json!("done"), &json!(2), &json!(rows)), "{job}");
    let (accepted, replayed) = (result["accepted"].as_i64().unwrap(), result["replayed"].as_i64().unwrap());
    assert!(accepted + replayed == rows && replayed > 1_000 && accepted > 0, "{job}");
    let level = c.get_at("/v1/stock/TEA/MAIN", rows + 3).await.expect(200);
    assert_eq!(level.json["on_hand"], json!(rows.to_string()));
    println!("killed after {replayed} of {rows} rows; the second run recorded the other {accepted}");
    world.verify_clean("killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_gives_its_job_back_and_old_things_are_forgotten() {
    let world = World::start(Parts::Database).await;
    let tenant = world.tenant("swept");
    let mut first = world.node().await;
    let c = first.client(&tenant);
    c.catalogue(&["TEA"]).await;
    let lines: String = (0..30_000)
        .map(|_| {
            json!({"type": "receive", "sku": "TEA", "location": "MAIN", "quantity": "1", "unit_cost": "1"}).to_string() + "\n"
        })
        .collect();
    let path = upload(&c, "import", &lines).await.expect(202).header("location").to_owned();
    until(&c, &path, 30, |j| j["status"] == "running" && j["progress"]["done"].as_i64() > Some(0)).await;
    assert_eq!(first.terminate(), Some(0));
    let mut owner = world.owner().await;
    let row = sqlx::query("SELECT status, attempts FROM job WHERE kind = 'import'").fetch_one(&mut owner).await.unwrap();
    assert_eq!((row.get::<&str, _>(0), row.get::<i32, _>(1)), ("queued", 0), "given back at once, no attempt counted");
    // What may be forgotten is, at a start: an old refusal and an old job, by a job of its own that leaves nothing.
    let refused = Node::start(&world, &[]).await;
    refused.client(&tenant).issue("NO-SUCH-ITEM", "1").await.refused(404, "unknown_item");
    drop(refused);
    for statement in [
        "UPDATE command_without_event SET recorded_at = recorded_at - 31::bigint * 24 * 3600 * 1000000",
        "INSERT INTO job (tenant_id, job_id, kind, priority, status, payload, run_at, attempts_max, expires_at) \
         SELECT tenant_id, gen_random_uuid(), 'export', 1, 'done', '{}', now(), 1, now() - interval '1 second' FROM tenant",
    ] {
        sqlx::query(statement).execute(&mut owner).await.unwrap();
    }
    let second = world.node().await;
    let c = second.client(&tenant);
    assert_eq!(until(&c, &path, 90, is_over).await["attempts"], 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    let left = "SELECT (SELECT count(*) FROM command_without_event), (SELECT count(*) FROM job WHERE kind <> 'import')";
    loop {
        let row = sqlx::query(left).fetch_one(&mut owner).await.unwrap();
        let left: (i64, i64) = (row.get(0), row.get(1));
        if left == (0, 0) {
            break;
        }
        assert!(Instant::now() < deadline, "refusals and jobs left: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.verify_clean("swept");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_gets_what_it_wants_in_order_and_signed() {
    let world = World::start(Parts::Database).await;
    let node = node(&world).await;
    let (tenant, other) = (world.tenant("hooks"), world.tenant("other"));
    let c = node.client(&tenant);
    let receiver = Receiver::start().await;
    let head = define(&c, 0, 700).await;
    let made = put_hook(&c, "shop", &receiver.url(), json!({"description": "the shop"})).await.expect(201);
    let secret = made.json["secret"].as_str().unwrap().to_owned();
    receiver.wait("everything", 30, |seen| seen.len() as i64 >= head).await;
    assert_eq!(receiver.taken(), (1..=head).collect::<Vec<_>>());
    let (messages, now) =
        (receiver.seen(), std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs());
    for m in &messages {
        assert_eq!((m.signed_by(&secret), m.signatures()), (1, 1), "{:?}", m.headers);
        assert_eq!(m.headers["content-type"], "application/cloudevents+json");
        assert_eq!(m.headers["webhook-id"], format!("{}:{}", tenant.number, m.position()));
        assert_eq!(m.headers["webhook-id"], m.json["id"].as_str().unwrap());
        assert!(now.abs_diff(m.headers["webhook-timestamp"].parse().unwrap()) < 60);
    }
    assert_eq!(messages[0].json["type"], "ledger.tenant_opened");
    let shown = until(&c, "/v1/webhooks/shop", 10, |hook| hook["position"] == head).await;
    assert!(shown["secret"].is_null() && shown["last_delivered_at"].is_string(), "{shown}");
    let listed = c.get("/v1/webhooks/shop/deliveries?limit=1000").await.expect(200).json;
    let positions: Vec<i64> = listed["data"].as_array().unwrap().iter().map(|d| d["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (head - 99..=head).collect::<Vec<_>>(), "the last hundred are listed");

    // Two secrets sign after one was replaced.
    let rotated = post(&c, "/v1/webhooks/shop/rotate-secret").await.expect(200);
    let fresh = rotated.json["secret"].as_str().unwrap();
    let head = define(&c, 1_000, 1).await;
    receiver.wait("one more", 20, |seen| seen.last().unwrap().position() == head).await;
    let last = receiver.seen().pop().unwrap();
    assert_eq!((last.signed_by(fresh), last.signed_by(&secret), last.signatures()), (1, 1, 2));

    // A narrow one gets only what it names, from where it begins; one that is off gets it when it is on.
    let narrow = json!({"after": head, "categories": ["stock"], "streams": ["item-TEA"], "enabled": false});
    let second = Receiver::start().await;
    put_hook(&c, "narrow", &second.url(), narrow.clone()).await.expect(201);
    c.catalogue(&["TEA", "RICE"]).await;
    c.receive("RICE", "1", "1").await;
    let wanted = c.receive("TEA", "1", "1").await.position();
    let after = c.receive("RICE", "1", "1").await.position();
    receiver.wait("all of it at the first", 20, |seen| seen.last().unwrap().position() == after).await;
    assert!(second.seen().is_empty());
    let mut on = narrow;
    on["enabled"] = json!(true);
    put_hook(&c, "narrow", &second.url(), on).await.expect(200);
    until(&c, "/v1/webhooks/narrow", 20, |hook| hook["position"] == after).await;
    assert_eq!(second.taken(), [wanted]);

    // Once more from the log, and a message that says nothing.
    let again =
        c.send(c.request(Method::POST, "/v1/webhooks/shop/replay").json(&json!({"after": 10, "to": 15}))).await.expect(202);
    assert_eq!(until(&c, again.header("location"), 20, is_over).await["status"], "done");
    let seen = receiver.taken();
    assert_eq!(seen[seen.len() - 5..], [11, 12, 13, 14, 15]);
    let tried = post(&c, "/v1/webhooks/shop/test").await.expect(202);
    let tried = until(&c, tried.header("location"), 20, is_over).await;
    assert_eq!((&tried["result"]["delivered"], &tried["result"]["status"]), (&json!(true), &json!(204)), "{tried}");
    assert_eq!(receiver.seen().last().unwrap().json["type"], "ledger.test");

    // Nobody else sees or moves them.
    let stranger = node.client(&other);
    assert_eq!(stranger.get("/v1/webhooks").await.json["data"], json!([]));
    for path in ["/v1/webhooks/shop", "/v1/webhooks/shop/deliveries"] {
        stranger.get(path).await.refused(404, "not_found");
    }
    for path in ["rotate-secret", "replay", "test", "deliveries/5/retry"] {
        post(&stranger, &format!("/v1/webhooks/shop/{path}")).await.refused(404, "not_found");
    }
    stranger.send(stranger.request(Method::DELETE, "/v1/webhooks/shop")).await.refused(404, "not_found");
    c.send(c.request(Method::DELETE, "/v1/webhooks/shop")).await.expect(204);
    c.get("/v1/webhooks/shop").await.refused(404, "not_found");
    assert_eq!(c.get("/v1/webhooks").await.json["data"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_down_gets_everything_in_order_when_it_is_back() {
    let world = World::start(Parts::Database).await;
    let node = node(&world).await;
    let tenant = world.tenant("down");
    let c = node.client(&tenant);
    let receiver = Receiver::start().await;
    let url = receiver.url();
    put_hook(&c, "shop", &url, json!({})).await.expect(201);
    let before = define(&c, 0, 20).await;
    until(&c, "/v1/webhooks/shop", 20, |hook| hook["position"] == before).await;
    assert_eq!(receiver.taken(), (1..=before).collect::<Vec<_>>());
    let port = receiver.port;
    drop(receiver);
    let head = define(&c, 100, 300).await;
    // It fails often enough that an event would be set aside, were another one taken.
    let failing = until(&c, "/v1/webhooks/shop", 40, |hook| hook["failures"].as_i64() >= Some(4)).await;
    assert_eq!((&failing["parked"], &failing["position"]), (&json!(0), &json!(before)), "{failing}");
    assert!(failing["next_attempt_at"].is_string() && failing["last_error"].is_string() && failing["failing_since"].is_string());
    let (_, listed, _) = world.ledgerd_any(&["webhook", "list"]);
    assert!(listed.contains("\"failures\""), "{listed}");
    let receiver = Receiver::start_at(port).await;
    world.ledgerd(&["webhook", "retry", "--tenant", "down", "shop"]);
    until(&c, "/v1/webhooks/shop", 40, |hook| hook["position"] == head && hook["failures"] == 0).await;
    assert_eq!(receiver.taken(), (before + 1..=head).collect::<Vec<_>>());
    // An endpoint that says it is gone is switched off, and told so.
    receiver.answer(|_| (410, ""));
    define(&c, 1_000, 1).await;
    let off = until(&c, "/v1/webhooks/shop", 20, |hook| hook["enabled"] == false).await;
    assert!(off["disabled_why"].as_str().unwrap().contains("410"), "{off}");
    until(&c, "/health/ready", 10, |ready| ready["jobs"]["webhooks_off"] == 1).await;
    assert_eq!(world.ledgerd_any(&["webhook", "dead"]).0, 3);
    receiver.answer(|_| (200, ""));
    put_hook(&c, "shop", &url, json!({})).await.expect(200);
    receiver.wait("the rest", 20, |seen| seen.last().is_some_and(|m| m.status == 200 && m.position() == head + 1)).await;
    // One that has taken nothing for a week is switched off too.
    receiver.answer(|_| (500, ""));
    define(&c, 1_001, 1).await;
    until(&c, "/v1/webhooks/shop", 20, |hook| hook["failures"] == 1).await;
    let mut owner = world.owner().await;
    let age = "UPDATE webhook SET failing_since = now() - interval '8 days', next_at = NULL";
    sqlx::query(age).execute(&mut owner).await.unwrap();
    let off = until(&c, "/v1/webhooks/shop", 20, |hook| hook["enabled"] == false).await;
    assert!(off["disabled_why"].as_str().unwrap().contains("took nothing"), "{off}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_alone_is_not_taken_is_set_aside_and_given_up_only_after_many_attempts() {
    let world = World::start(Parts::Database).await;
    let node = node(&world).await;
    let tenant = world.tenant("parked");
    let c = node.client(&tenant);
    let receiver = Receiver::start().await;
    receiver.answer(|m| if m.position() == 7 { (500, "") } else { (200, "") });
    let head = define(&c, 0, 30).await;
    put_hook(&c, "shop", &receiver.url(), json!({})).await.expect(201);
    let hook = until(&c, "/v1/webhooks/shop", 30, |hook| hook["position"] == head).await;
    assert_eq!((&hook["parked"], &hook["dead"], &hook["failures"]), (&json!(1), &json!(0), &json!(0)), "{hook}");
    assert_eq!(receiver.taken(), (1..=head).filter(|p| *p != 7).collect::<Vec<_>>(), "in order but for the one");
    let attempts = receiver.seen().iter().filter(|m| m.position() == 7).count();
    assert_eq!(attempts, 3, "three attempts while the others wait");
    let parked = c.get("/v1/webhooks/shop/deliveries?status=parked").await.expect(200).json;
    let parked = &parked["data"][0];
    assert_eq!((&parked["position"], &parked["attempts"], &parked["http_status"]), (&json!(7), &json!(3), &json!(500)));
    assert!(parked["next_attempt_at"].is_string(), "{parked}");
    post(&c, "/v1/webhooks/shop/deliveries/8/retry").await.refused(404, "not_found");
    // Its last attempt: then it is given up, and listed.
    let mut owner = world.owner().await;
    let last = "UPDATE webhook_delivery SET attempts = 13, next_at = now() WHERE status = 'parked'";
    sqlx::query(last).execute(&mut owner).await.unwrap();
    until(&c, "/v1/webhooks/shop", 20, |hook| hook["dead"] == 1 && hook["parked"] == 0).await;
    until(&c, "/health/ready", 10, |ready| ready["jobs"]["deliveries_dead"] == 1).await;
    let (code, out, _) = world.ledgerd_any(&["webhook", "dead", "--tenant", "parked"]);
    assert!(code == 3 && out.contains("\"position\":7"), "{code}: {out}");
    // Mended, it is taken when somebody says so.
    receiver.answer(|_| (200, ""));
    post(&c, "/v1/webhooks/shop/deliveries/7/retry").await.expect(204);
    until(&c, "/v1/webhooks/shop", 20, |hook| hook["dead"] == 0 && hook["parked"] == 0).await;
    assert_eq!(receiver.taken().last(), Some(&7));
    assert_eq!(world.ledgerd_any(&["webhook", "dead"]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_where_it_is_not_to_go() {
    let world = World::start(Parts::Database).await;
    let strict = Node::start(&world, &["--projector"]).await;
    let tenant = world.tenant("inside");
    let c = strict.client(&tenant);
    let receiver = Receiver::start().await;
    let port = receiver.port;
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://[::1]/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "http://example.org/".to_owned(),
        "https://user:secret@example.org/".to_owned(),
        "ftp://example.org/".to_owned(),
        "/hook".to_owned(),
        String::new(),
    ] {
        put_hook(&c, "shop", &url, json!({})).await.refused(422, "webhook_url_refused");
    }
    // A name that leads inside, and an address in a dress, are found out when something is to be sent.
    for url in [format!("https://localhost:{port}/"), format!("https://2130706433:{port}/")] {
        let made = put_hook(&c, "shop", &url, json!({})).await;
        assert!([200, 201].contains(&made.status), "{}", made.text);
        let refused = until(&c, "/v1/webhooks/shop", 20, |hook| {
            hook["last_error"].as_str().is_some_and(|e| e.contains("is not a public address"))
        });
        refused.await;
        let tried = post(&c, "/v1/webhooks/shop/test").await.expect(202);
        let tried = until(&c, tried.header("location"), 20, is_over).await;
        assert_eq!(tried["result"]["delivered"], json!(false), "{tried}");
        c.send(c.request(Method::DELETE, "/v1/webhooks/shop")).await.expect(204);
    }
    assert!(receiver.seen().is_empty());
    drop(strict);
    // Where it is allowed, a redirect still leads nowhere.
    let node = node(&world).await;
    let c = node.client(&tenant);
    let inner = Receiver::start().await;
    let location: &'static str = Box::leak(format!("location: {}\r\n", inner.url()).into_boxed_str());
    receiver.answer(move |_| (307, location));
    put_hook(&c, "shop", &receiver.url(), json!({})).await.expect(201);
    until(&c, "/v1/webhooks/shop", 20, |hook| hook["last_error"].as_str().is_some_and(|e| e.contains("307"))).await;
    assert!(inner.seen().is_empty() && receiver.taken().is_empty());
    for (id, body) in [
        ("a%20b", json!({"url": "https://example.org/"})),
        ("x", json!({"url": "https://example.org/", "types": ["no_such_type"]})),
        ("x", json!({"url": "https://example.org/", "categories": ["none"]})),
        ("x", json!({"url": "https://example.org/", "streams": [""]})),
        ("x", json!({"url": "https://example.org/", "secret": "mine"})),
        ("x", json!({})),
    ] {
        let answer = c.send(c.request(Method::PUT, &format!("/v1/webhooks/{id}")).json(&body)).await;
        assert_eq!(answer.status, 400, "{id} {body}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_while_it_sends_leaves_no_gap() {
    let world = World::start(Parts::Database).await;
    let tenant = world.tenant("gap");
    let receiver = Receiver::start().await;
    let mut first = node(&world).await;
    let head = define(&first.client(&tenant), 0, 3_000).await;
    put_hook(&first.client(&tenant), "shop", &receiver.url(), json!({})).await.expect(201);
    for kill in 1..=3_usize {
        // Between two places where the cursor is written down.
        let enough = kill * 523;
        receiver.wait("some of it", 60, |seen| seen.len() >= enough).await;
        first.kill();
        first = node(&world).await;
    }
    receiver.wait("all of it", 90, |seen| seen.last().is_some_and(|m| m.position() == head)).await;
    let (mut whole, mut repeated) = (0, 0);
    for position in receiver.taken() {
        assert!(position <= whole + 1, "{position} came after {whole}");
        if position == whole + 1 { whole = position } else { repeated += 1 }
    }
    assert_eq!(whole, head);
    assert!(repeated <= 3 * 51, "{repeated} repeated");
    println!("{head} events, three kills: no gap, {repeated} repeated");
}
