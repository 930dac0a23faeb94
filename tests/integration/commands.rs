//! The commands through HTTP: what they answer, exactly once, and what bad input gets.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::fresh_key;
use crate::harness::{Client, Parts, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_day_in_the_shop_ends_with_sound_books() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let tenant = world.tenant("shop");
    let c = node.client(&tenant);
    c.catalogue(&["TEA", "CUP"]).await;
    c.put("/v1/locations/BACK", &json!({"name": "Back room"})).await.expect(201);
    // The same definition again changes nothing and says so.
    let again = c.put("/v1/items/TEA", &json!({"name": "TEA"})).await.expect(200);
    assert_eq!(again.json["events"], json!([]));
    c.receive("TEA", "10", "1.00").await;
    c.receive("TEA", "10", "2.00").await;
    let issued = c.issue("TEA", "15").await.expect(201);
    assert_eq!(issued.json["events"][0]["type"], "stock_issued");
    c.post("/v1/stock/transfers", &json!({"sku": "TEA", "from": "MAIN", "to": "BACK", "quantity": "2"})).await.expect(201);
    c.post("/v1/stock/adjustments", &json!({"sku": "TEA", "location": "BACK", "difference": "-1", "reason": "BROKEN"}))
        .await
        .expect(201);
    c.post("/v1/stock/returns", &json!({"sku": "TEA", "location": "MAIN", "quantity": "1", "unit_cost": "1.50"}))
        .await
        .expect(201);
    c.post("/v1/stock/revaluations", &json!({"sku": "TEA", "location": "MAIN", "value_change": "-0.40"})).await.expect(201);
    c.receive("CUP", "3", "4.00").await;
    c.reserve("ORDER-1", "CUP", "2", 600).await.expect(201);
    let entry = |cents: &str| json!({"type": "post_entry", "id": "SALE-1", "postings": [{"account": "1100", "debit": cents}, {"account": "4000", "credit": cents}]});
    let sale = json!({"commands": [{"type": "commit_reservation", "id": "ORDER-1"}, entry("20.00")]});
    let sold = c.post("/v1/transactions", &sale).await.expect(201);
    assert_eq!(sold.json["events"].as_array().map(Vec::len), Some(2));
    let reversed = c.post("/v1/journal/entries/SALE-1/reverse", &json!({})).await.expect(201);

    let stock = c.get_at("/v1/stock/TEA", reversed.position()).await.expect(200);
    assert_eq!((&stock.json["on_hand"], &stock.json["value"]), (&json!("5"), &json!("7.10")));
    let card = c.get_at("/v1/stock/TEA/MAIN/card", reversed.position()).await.expect(200);
    let last = card.json["data"].as_array().and_then(|m| m.last()).cloned().unwrap_or_else(|| panic!("{}", card.text));
    assert_eq!(last["value"], json!("-0.40"), "{last}");
    let trial = c.get_at("/v1/reports/trial-balance", reversed.position()).await.expect(200);
    let balance = |code: &str| {
        let accounts = trial.json["accounts"].as_array().unwrap();
        accounts.iter().find(|a| a["account"] == code).map_or(Value::Null, |a| a["balance"].clone())
    };
    // Sold: 15 at 1.50 and 2 cups at 4.00, less the return; lost: 1 at 1.50; revalued 0.40.
    assert_eq!(
        [balance("5000"), balance("5100"), balance("5300"), balance("1300")],
        [json!("29.00"), json!("1.50"), json!("0.40"), json!("11.10")]
    );
    assert_eq!(balance("4000"), json!("0.00"));
    world.verify_clean("shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_happens_once() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let (a, b) = (world.tenant("a"), world.tenant("b"));
    let c = node.client(&a);
    c.catalogue(&["X"]).await;
    c.receive("X", "10", "1").await;
    let body = json!({"sku": "X", "location": "MAIN", "quantity": "4"});
    let first = c.post_as("/v1/stock/issues", "once", &body).await.expect(201);
    assert!(!first.is_replay());
    for _ in 0..3 {
        let again = c.post_as("/v1/stock/issues", "once", &body).await.expect(200);
        assert!(again.is_replay());
        assert_eq!(again.json, first.json);
    }
    let other = json!({"sku": "X", "location": "MAIN", "quantity": "5"});
    c.post_as("/v1/stock/issues", "once", &other).await.refused(422, "command_id_reused");
    // Refusals are remembered too, even when the world has changed.
    c.post_as("/v1/stock/issues", "refused", &json!({"sku": "X", "location": "MAIN", "quantity": "7"}))
        .await
        .refused(409, "insufficient_stock");
    c.receive("X", "10", "1").await;
    c.post_as("/v1/stock/issues", "refused", &json!({"sku": "X", "location": "MAIN", "quantity": "7"}))
        .await
        .refused(409, "insufficient_stock");
    // A process that was started since finds the same.
    let second = world.node().await;
    let again = second.client(&a).post_as("/v1/stock/issues", "once", &body).await.expect(200);
    assert_eq!(again.json, first.json);
    // Another tenant's key is another key, and its items are not to be found.
    second.client(&b).post_as("/v1/stock/issues", "once", &body).await.refused(404, "unknown_item");
    let request = c.request(Method::POST, "/v1/stock/issues").json(&body);
    c.send(request).await.refused(400, "idempotency_key_missing");
    world.verify_clean("a");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_positions_are_kept() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let received = c.receive("X", "10", "1").await;
    let stock = c.get_at("/v1/stock/X", received.position()).await.expect(200);
    assert!(stock.header("ledger-position").parse::<i64>().unwrap() >= received.position());
    let body = json!({"sku": "X", "location": "MAIN", "quantity": "1", "expected_version": 2});
    c.post("/v1/stock/issues", &body).await.expect(201);
    let stale = c.post("/v1/stock/issues", &body).await.refused(412, "version_mismatch");
    assert_eq!(stale.json["actual"], 3);
    let far = c.request(Method::GET, "/v1/stock/X").header("ledger-min-position", 1_000_000).header("prefer", "wait=0");
    c.send(far).await.refused(503, "behind");
    let log = c.get("/v1/events?after=0&limit=1000").await.expect(200);
    let positions: Vec<i64> = log.json["data"].as_array().unwrap().iter().map(|e| e["position"].as_i64().unwrap()).collect();
    assert_eq!(positions, (1..=i64::try_from(positions.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_command_of_a_batch_harms_no_other() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let c = node.client(&world.tenant("t"));
    c.catalogue(&["X"]).await;
    c.receive("X", "1000", "1").await;
    let mut commands: Vec<Value> = (0..500)
        .map(|n| json!({"id": format!("b-{n}"), "type": "issue", "sku": "X", "location": "MAIN", "quantity": "1"}))
        .collect();
    commands[400] = json!({"id": "b-400", "type": "issue", "sku": "nothing", "location": "MAIN", "quantity": "1"});
    commands[401] = json!({"id": "b-401", "type": "issue", "quantity": 1.5});
    let done = c.post("/v1/batches", &json!({"commands": commands})).await.expect(200);
    let verdicts = done.json["results"].as_array().unwrap_or_else(|| panic!("{:.300}", done.text)).clone();
    let statuses: Vec<i64> = verdicts.iter().map(|v| v["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 201).count(), 498);
    assert_eq!((statuses[400], statuses[401]), (404, 400));
    // In a transaction the same lines stand or fall together.
    let steps: Vec<Value> = commands
        .iter()
        .map(|c| {
            let mut step = c.clone();
            step.as_object_mut().unwrap().remove("id");
            step
        })
        .take(401)
        .collect();
    let refused = c.post("/v1/transactions", &json!({"commands": steps})).await.refused(404, "unknown_item");
    assert_eq!(refused.json["step"], 400);
}

/// Bad input as data: path, body, status, code. None of it may change anything.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer_and_changes_nothing() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    let before = c.receive("X", "10", "1").await.position();
    let receipt = |field: &str, value: Value| {
        let mut body = json!({"sku": "X", "location": "MAIN", "quantity": "1", "unit_cost": "1"});
        body[field] = value;
        body
    };
    let entry = |debit: Value, credit: Value| json!({"postings": [{"account": "1000", "debit": debit}, {"account": "3000", "credit": credit}]});
    let table = [
        ("/v1/stock/receipts", receipt("sku", json!("nothing")), 404, "unknown_item"),
        ("/v1/stock/receipts", receipt("location", json!("nowhere")), 404, "unknown_location"),
        ("/v1/stock/receipts", receipt("quantity", json!("1.5")), 422, "scale_exceeded"),
        ("/v1/stock/receipts", receipt("quantity", json!("-1")), 422, "quantity_not_positive"),
        ("/v1/stock/receipts", receipt("quantity", json!("0")), 422, "quantity_not_positive"),
        ("/v1/stock/receipts", receipt("quantity", json!(1.5)), 400, "malformed"),
        ("/v1/stock/receipts", receipt("quantity", json!("1e3")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("quantity", json!("NaN")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("quantity", json!("007")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("quantity", json!("1234567890123456789")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("quantity", json!(true)), 400, "malformed"),
        ("/v1/stock/receipts", receipt("unit_cost", json!("999999999999999999")), 422, "number_out_of_range"),
        ("/v1/stock/receipts", receipt("colour", json!("red")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("sku", json!("a\u{0}b")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("sku", json!("a\u{200b}b")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("effective_at", json!("yesterday")), 400, "malformed"),
        ("/v1/stock/receipts", receipt("effective_at", json!("2999-01-01T00:00:00Z")), 422, "effective_time_out_of_range"),
        ("/v1/stock/receipts", json!([]), 400, "malformed"),
        ("/v1/stock/receipts", json!({}), 400, "malformed"),
        ("/v1/stock/issues", json!({"sku": "X", "location": "MAIN", "quantity": "11"}), 409, "insufficient_stock"),
        (
            "/v1/reservations",
            json!({"ttl_seconds": 0, "lines": [{"sku": "X", "location": "MAIN", "quantity": "1"}]}),
            422,
            "ttl_out_of_range",
        ),
        ("/v1/reservations", json!({"ttl_seconds": 60, "lines": []}), 422, "lines_out_of_range"),
        ("/v1/reservations/nobody/commit", json!({}), 404, "unknown_reservation"),
        ("/v1/journal/entries", entry(json!("1.00"), json!("0.99")), 422, "entry_unbalanced"),
        ("/v1/journal/entries", entry(json!("1.001"), json!("1.001")), 422, "scale_exceeded"),
        (
            "/v1/journal/entries",
            json!({"postings": [{"account": "1300", "debit": "1"}, {"account": "3000", "credit": "1"}]}),
            422,
            "inventory_account",
        ),
        ("/v1/transactions", json!({"commands": []}), 422, "transaction_empty"),
        ("/v1/nothing", json!({}), 404, "not_found"),
    ];
    for (path, body, status, code) in table {
        let answer = c.post(path, &body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    let raw = |body: &'static str| {
        c.request(Method::POST, "/v1/stock/receipts")
            .header("idempotency-key", fresh_key())
            .header("content-type", "application/json")
            .body(body)
    };
    for body in [
        "{",
        "{} {}",
        "nonsense",
        "",
        r#"{"sku":"X","sku":"Y","location":"MAIN","quantity":"1","unit_cost":"1"}"#,
        r#"{"sku":"X","location":"MAIN","quantity":1e2,"unit_cost":"1"}"#,
    ] {
        c.send(raw(body)).await.refused(400, "malformed");
    }
    let text = c
        .request(Method::POST, "/v1/stock/receipts")
        .header("idempotency-key", fresh_key())
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(c.send(text).await.status, 415);
    let large = || {
        let request = c.request(Method::POST, "/v1/stock/receipts").header("idempotency-key", fresh_key());
        c.send(request.header("content-type", "application/json").body(vec![b' '; 10 << 20]))
    };
    // The server answers without reading it all. A client still writing may find the connection closed before it reads
    // the answer, and then asks again.
    let mut status = 0;
    for _ in 0..10 {
        status = large().await.status;
        if status != 0 {
            break;
        }
    }
    assert_eq!(status, 413);
    assert_eq!(c.send(c.request(Method::DELETE, "/v1/stock/receipts")).await.status, 405);
    for bad in ["", "lk_1_x_y", "Basic abc", "lk_999_abc_def"] {
        let stranger = Client::new(&node.url, bad);
        assert_eq!(stranger.get("/v1/stock/X").await.status, 401, "{bad:?}");
    }
    let log = c.get(&format!("/v1/events?after={before}")).await.expect(200);
    assert_eq!(log.json["data"], json!([]), "nothing was written");
    world.verify_clean("t");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_can_be_revoked_and_tenants_suspended() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("t");
    let c = node.client(&tenant);
    c.catalogue(&["X"]).await;
    world.ledgerd(&["tenant", "suspend", "t"]);
    wait_until("the suspension bites", async || c.get("/v1/items").await.status == 403).await;
    world.ledgerd(&["tenant", "resume", "t"]);
    wait_until("the suspension is lifted", async || c.get("/v1/items").await.status == 200).await;
    let keys = world.ledgerd(&["key", "list", "--tenant", "t"]);
    world.ledgerd(&["key", "revoke", "--tenant", "t", keys[0]["id"].as_str().unwrap()]);
    wait_until("the revocation bites", async || c.get("/v1/items").await.status == 401).await;
}

/// Servers cache keys for some seconds.
async fn wait_until(what: &str, done: impl AsyncFn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !done().await {
        assert!(std::time::Instant::now() < deadline, "{what} takes too long");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_describes_itself() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let c = node.client(&world.tenant("t"));
    let document = c.get("/openapi.json").await.expect(200);
    assert!(document.json["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in
        ["/v1/stock/receipts", "/v1/reservations/{id}/commit", "/v1/transactions", "/v1/batches", "/v1/reports/trial-balance"]
    {
        assert!(document.json["paths"].get(path).is_some(), "{path} is not described");
    }
    assert!(c.get("/docs").await.expect(200).text.contains("<html"));
    assert!(c.get("/metrics").await.expect(200).text.contains("ledger"));
    assert!(c.get("/problems/insufficient_stock").await.expect(200).text.len() > 40);
    c.get("/health/live").await.expect(200);
}
