//! Stock in every state through HTTP: the verbs of lots, serials, transfers, counts, kits and backorders, what reads
//! say of them, and that replay agrees with every row.

use serde_json::{Value, json};

use crate::harness::{Client, Parts, World};

async fn ok(c: &Client, path: &str, body: Value) -> Value {
    c.post(path, &body).await.expect(201).json
}

fn at(answer: &Value) -> i64 {
    answer["position"].as_i64().unwrap()
}

/// Two warehouses of two bins each, and what is under way.
async fn places(c: &Client) {
    for (code, body) in [
        ("NORTH", json!({"x": 0, "y": 0})),
        ("N1", json!({"parent": "NORTH", "x": 1, "y": 0})),
        ("N2", json!({"parent": "NORTH", "x": 2, "y": 0})),
        ("SOUTH", json!({"x": 0, "y": 100})),
        ("S1", json!({"parent": "SOUTH", "x": 0, "y": 101})),
        ("TRUCK", json!({"kind": "transit"})),
    ] {
        c.put(&format!("/v1/locations/{code}"), &body).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lots_serials_transfers_and_counts_end_with_sound_books() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("stock");
    let c = node.client(&tenant);
    places(&c).await;
    c.put(
        "/v1/items/MILK",
        &json!({"unit": "litre", "tracking": "lot", "method": "fifo",
        "units": [{"code": "crate", "numerator": 12, "denominator": 1}]}),
    )
    .await
    .expect(201);
    c.put("/v1/items/PHONE", &json!({"tracking": "serial", "method": "specific"})).await.expect(201);

    let expected = json!({"id": "PO-1", "sku": "MILK", "location": "N1", "quantity": "2", "unit": "crate", "due_at": "2030-01-01T00:00:00Z"});
    ok(&c, "/v1/stock/expectations", expected).await;
    let receipt = json!({"sku": "MILK", "location": "N1", "quantity": "1", "unit": "crate", "unit_cost": "12", "lot": "L1",
        "lot_expires_at": "2030-06-01T00:00:00Z", "expectation": "PO-1"});
    ok(&c, "/v1/stock/receipts", receipt).await;
    let milk = |lot: &str, quantity: &str, cost: &str| json!({"sku": "MILK", "location": "N1", "quantity": quantity, "unit_cost": cost, "lot": lot});
    let mut early = milk("L2", "8", "2");
    early["lot_expires_at"] = json!("2030-03-01T00:00:00Z");
    let second = ok(&c, "/v1/stock/receipts", early).await;
    let level = c.get_at("/v1/stock/MILK/N1", at(&second)).await.expect(200).json;
    assert_eq!(
        (&level["on_hand"], &level["incoming"], &level["value"]),
        (&json!("20"), &json!("12"), &json!("28.00")),
        "{level}"
    );
    let due = c.get_at("/v1/stock/MILK/promise?quantity=30", at(&second)).await.expect(200).json;
    assert_eq!(
        (&due["promised"], &due["at"], &due["available"]),
        (&json!(true), &json!("2030-01-01T00:00:00Z"), &json!("20")),
        "{due}"
    );
    let late = c.get("/v1/stock/MILK/promise?quantity=30&by=2029-01-01T00:00:00Z").await.expect(200).json;
    assert_eq!(late["promised"], json!(false));

    // FEFO takes the lot that expires first, whatever the layers say.
    let order = json!({"id": "O1", "ttl_seconds": 600, "strategy": "fefo", "lines": [{"sku": "MILK", "quantity": "10"}]});
    let held = ok(&c, "/v1/reservations", order).await;
    assert_eq!(held["result"]["lines"][0]["lot"], json!("L2"), "{held}");
    let lots = c.get_at("/v1/lots?expires_before=2031-01-01T00:00:00Z", at(&held)).await.expect(200).json;
    let of = |at: usize, field: &str| lots["data"][at][field].clone();
    assert_eq!([of(0, "lot"), of(0, "held"), of(1, "lot"), of(1, "held")], [json!("L2"), json!("8"), json!("L1"), json!("2")]);
    let part = json!({"lines": [{"line": 0, "quantity": "5"}]});
    let shipped = ok(&c, "/v1/reservations/O1/commit", part).await;
    assert_eq!(shipped["result"]["cost"], json!("5.00"), "FIFO cost is that of the oldest layer: {shipped}");
    ok(&c, "/v1/reservations/O1/confirm", json!({})).await;
    let shown = c.get_at("/v1/reservations/O1", at(&shipped)).await.expect(200).json;
    assert_eq!(shown["lines"][0]["quantity"], json!("3"), "{shown}");

    // Two steps: what is under way is owned, valued and not sellable.
    let lines = json!([{"sku": "MILK", "quantity": "6", "lot": "L1"}]);
    let sent = ok(&c, "/v1/stock/transfers/T1/dispatch", json!({"from": "N1", "to": "S1", "lines": lines})).await;
    let transit = c.get_at("/v1/accounts/1310/balance", at(&sent)).await.expect(200).json;
    let under_way = transit["balance"].clone();
    assert_ne!(under_way, json!("0.00"), "{transit}");
    let arrived = json!({"lines": [{"line": 0, "quantity": "4", "damaged": "1"}], "is_final": true});
    let got = ok(&c, "/v1/stock/transfers/T1/receive", arrived).await;
    let transfer = c.get_at("/v1/transfers/T1", at(&got)).await.expect(200).json;
    let line = &transfer["lines"][0];
    assert_eq!(
        [&transfer["status"], &line["received"], &line["damaged"], &line["short"], &line["under_way"]],
        [&json!("closed"), &json!("4"), &json!("1"), &json!("1"), &json!("0")]
    );
    let transit = c.get_at("/v1/accounts/1310/balance", at(&got)).await.expect(200).json;
    assert_eq!(transit["balance"], json!("0.00"));
    c.post("/v1/stock/transfers/T1/receive", &json!({})).await.refused(409, "transfer_closed");

    // A count keeps what moved between counting and posting.
    ok(&c, "/v1/stock/counts", json!({"id": "C1", "location": "SOUTH"})).await;
    let line = json!({"sku": "MILK", "location": "S1", "lot": "L1", "counted": "3"});
    ok(&c, "/v1/stock/counts/C1/lines", json!({"lines": [line]})).await;
    ok(&c, "/v1/stock/issues", json!({"sku": "MILK", "location": "S1", "quantity": "2", "lot": "L1"})).await;
    let posted = ok(&c, "/v1/stock/counts/C1/post", json!({})).await;
    let level = c.get_at("/v1/stock/MILK/S1", at(&posted)).await.expect(200).json;
    assert_eq!((&level["sellable"], &level["on_hand"]), (&json!("1"), &json!("2")), "{level}");
    let count = c.get_at("/v1/counts/C1", at(&posted)).await.expect(200).json;
    assert_eq!((&count["status"], &count["lines"][0]["difference"]), (&json!("closed"), &json!("-1")));

    // Units with names, at what each cost.
    for (serials, cost) in [(json!(["P1", "P2"]), "300"), (json!(["P3"]), "400")] {
        let quantity = serials.as_array().unwrap().len().to_string();
        ok(
            &c,
            "/v1/stock/receipts",
            json!({"sku": "PHONE", "location": "N1", "quantity": quantity, "unit_cost": cost, "serials": serials}),
        )
        .await;
    }
    let sold =
        ok(&c, "/v1/stock/issues", json!({"sku": "PHONE", "location": "N1", "quantity": "2", "serials": ["P3", "P1"]})).await;
    assert_eq!(sold["result"]["value"], json!("-700.00"));
    let back = json!({"sku": "PHONE", "location": "N2", "quantity": "1", "serials": ["P3"], "original": at(&sold)});
    let back = ok(&c, "/v1/stock/returns", back).await;
    assert_eq!(back["result"]["value"], json!("400.00"), "it comes back at what it left with");
    let unit = c.get_at("/v1/serials/PHONE/P3", at(&back)).await.expect(200).json;
    assert_eq!((&unit["location"], &unit["status"]), (&json!("N2"), &json!("sellable")));
    c.get("/v1/serials/PHONE/P1").await.refused(404, "unknown_serial");

    let north = c.get_at("/v1/stock/MILK?within=NORTH", at(&back)).await.expect(200).json;
    assert_eq!(north["locations"].as_array().unwrap().len(), 1, "{north}");
    c.get("/v1/stock/MILK?within=NOWHERE").await.refused(404, "unknown_location");
    world.verify_clean("stock");
}

#[tokio::test(flavor = "multi_thread")]
async fn backorders_fill_by_priority_then_time_and_kits_are_held_whole() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("orders");
    let c = node.client(&tenant);
    c.catalogue(&["BOLT", "NUT"]).await;
    let kit = json!({"components": [{"sku": "BOLT", "quantity": "2"}, {"sku": "NUT", "quantity": "2"}]});
    c.put("/v1/items/SET", &kit).await.expect(201);
    c.put("/v1/stock/BOLT/MAIN/policy", &json!({"backorder": "limited", "backorder_limit": "10"})).await.expect(201);
    c.receive("BOLT", "4", "1").await;
    c.receive("NUT", "5", "1").await;
    let lines = |sku: &str, quantity: &str| json!([{"sku": sku, "location": "MAIN", "quantity": quantity}]);
    let refused = c.post("/v1/reservations", &json!({"id": "K1", "ttl_seconds": 600, "lines": lines("SET", "3")})).await;
    let refused = refused.refused(409, "insufficient_stock");
    assert_eq!(refused.json["shortages"][0]["item"], json!("NUT"), "{}", refused.text);
    let held = ok(&c, "/v1/reservations", json!({"id": "K2", "ttl_seconds": 600, "lines": lines("SET", "2")})).await;
    assert_eq!(held["result"]["lines"].as_array().unwrap().len(), 2);
    for (id, quantity, priority) in [("LATE", "3", 0), ("SOON", "2", 9)] {
        let order = json!({"id": id, "ttl_seconds": 600, "priority": priority, "lines": lines("BOLT", quantity)});
        let waits = ok(&c, "/v1/reservations", order).await;
        assert_eq!(waits["result"]["lines"][0]["waiting"], json!(quantity), "{waits}");
    }
    c.post("/v1/reservations", &json!({"ttl_seconds": 600, "lines": lines("BOLT", "6")}))
        .await
        .refused(409, "insufficient_stock");
    c.post("/v1/reservations/SOON/commit", &json!({})).await.refused(409, "reservation_waiting");
    let receipt = c.receive("BOLT", "3", "1").await;
    let types: Vec<_> = receipt.json["events"].as_array().unwrap().iter().map(|e| e["type"].clone()).collect();
    assert_eq!(types, ["stock_received", "reservation_filled", "reservation_filled"]);
    let waiting = async |id: &str| {
        let read = c.get_at(&format!("/v1/reservations/{id}"), receipt.position()).await.expect(200).json;
        read["lines"][0]["waiting"].clone()
    };
    assert_eq!((waiting("SOON").await, waiting("LATE").await), (Value::Null, json!("2")));
    let level = c.get_at("/v1/stock/BOLT/MAIN", receipt.position()).await.expect(200).json;
    assert_eq!((&level["available"], &level["backordered"]), (&json!("-2"), &json!("2")), "{level}");
    ok(&c, "/v1/reservations/SOON/commit", json!({})).await;
    let kits = json!({"sku": "SET", "location": "MAIN", "quantity": "1"});
    c.post("/v1/stock/assemblies", &kits).await.refused(409, "insufficient_stock");
    ok(&c, "/v1/reservations/K2/release", json!({})).await;
    c.receive("BOLT", "9", "2").await;
    let made = ok(&c, "/v1/stock/assemblies", kits.clone()).await;
    let set = c.get_at("/v1/stock/SET/MAIN", at(&made)).await.expect(200).json;
    assert_eq!(set["on_hand"], json!("1"));
    ok(&c, "/v1/stock/disassemblies", kits).await;
    world.verify_clean("orders");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_answered_as_known_now_and_as_known_then() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("past");
    let c = node.client(&tenant);
    c.catalogue(&["TEA"]).await;
    let receive = |day: u32, quantity: &str, cost: &str| {
        json!({"sku": "TEA", "location": "MAIN", "quantity": quantity, "unit_cost": cost,
            "effective_at": format!("2026-03-{day:02}T08:00:00Z")})
    };
    ok(&c, "/v1/stock/receipts", receive(1, "10", "1")).await;
    let issue = json!({"sku": "TEA", "location": "MAIN", "quantity": "4", "effective_at": "2026-03-10T08:00:00Z"});
    let issued = ok(&c, "/v1/stock/issues", issue).await;
    // Recorded last, happened before the issue.
    let late = ok(&c, "/v1/stock/receipts", receive(5, "6", "2")).await;
    let past = async |query: String| {
        let read = c.get_at(&format!("/v1/stock/TEA/MAIN?{query}"), at(&late)).await.expect(200).json;
        (read["on_hand"].clone(), read["value"].clone())
    };
    assert_eq!(past("as_of=2026-03-04T00:00:00Z".into()).await, (json!("10"), json!("10.00")));
    assert_eq!(past("as_of=2026-03-06T00:00:00Z".into()).await, (json!("16"), json!("22.00")));
    // The issue keeps the cost it was issued at.
    assert_eq!(past("as_of=2026-03-11T00:00:00Z".into()).await, (json!("12"), json!("18.00")));
    assert_eq!(past(format!("as_of_position={}", at(&issued))).await, (json!("6"), json!("6.00")));
    // Both axes: as of the 6th, as known before the late receipt.
    let both = format!("as_of=2026-03-06T00:00:00Z&as_of_position={}", at(&issued));
    assert_eq!(past(both).await, (json!("10"), json!("10.00")));
    assert_eq!(past("recorded_before=2020-01-01T00:00:00Z".into()).await, (json!("0"), json!("0.00")));
    assert_eq!(past("recorded_before=2040-01-01T00:00:00Z".into()).await, (json!("12"), json!("18.00")));
    let all = c.get_at("/v1/stock/TEA?as_of=2026-03-06T00:00:00Z", at(&late)).await.expect(200).json;
    assert_eq!((&all["on_hand"], all["locations"].as_array().unwrap().len()), (&json!("16"), 1));
    c.get("/v1/stock/TEA?as_of_position=1&recorded_before=2040-01-01T00:00:00Z").await.refused(400, "parameter_invalid");
    c.get("/v1/stock/NONE?as_of_position=1").await.refused(404, "unknown_item");
    c.get("/v1/stock/TEA?as_of=yesterday").await.refused(400, "parameter_invalid");
    world.verify_clean("past");
}

#[tokio::test(flavor = "multi_thread")]
async fn seventy_issues_of_a_tenth_from_seven_leave_nothing() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("tenths");
    let c = node.client(&tenant);
    c.put("/v1/locations/MAIN", &json!({})).await.expect(201);
    for method in ["fifo", "moving_average"] {
        c.put(&format!("/v1/items/{method}"), &json!({"scale": 1, "method": method})).await.expect(201);
        let receipt = json!({"sku": method, "location": "MAIN", "quantity": "7", "total_cost": "10.00"});
        ok(&c, "/v1/stock/receipts", receipt).await;
        let mut last = 0;
        for _ in 0..70 {
            last = at(&ok(&c, "/v1/stock/issues", json!({"sku": method, "location": "MAIN", "quantity": "0.1"})).await);
        }
        let level = c.get_at(&format!("/v1/stock/{method}"), last).await.expect(200).json;
        assert_eq!((&level["on_hand"], &level["value"]), (&json!("0.0"), &json!("0.00")));
        c.post("/v1/stock/issues", &json!({"sku": method, "location": "MAIN", "quantity": "0.1"}))
            .await
            .refused(409, "insufficient_stock");
    }
    world.verify_clean("tenths");
}

#[tokio::test(flavor = "multi_thread")]
async fn same_sku_in_two_tenants() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let (one, two) = (world.tenant("one"), world.tenant("two"));
    let (a, b) = (node.client(&one), node.client(&two));
    for (c, quantity, cost) in [(&a, "5", "1"), (&b, "7", "3")] {
        c.catalogue(&["TEA"]).await;
        c.receive("TEA", quantity, cost).await;
    }
    let held = a.reserve("R", "TEA", "5", 600).await.expect(201);
    // The other tenant's stock, holds and ids are its own.
    let sold = b.issue("TEA", "6").await.expect(201);
    b.reserve("R", "TEA", "1", 600).await.expect(201);
    let mine = a.get_at("/v1/stock/TEA", held.position()).await.expect(200).json;
    let yours = b.get_at("/v1/stock/TEA", sold.position()).await.expect(200).json;
    assert_eq!((&mine["on_hand"], &mine["available"], &mine["value"]), (&json!("5"), &json!("0"), &json!("5.00")));
    assert_eq!((&yours["on_hand"], &yours["value"]), (&json!("1"), &json!("3.00")));
    world.verify_clean("one");
    world.verify_clean("two");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_first_movement_of_a_new_item_location() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let (first, second) = (world.node().await, world.node().await);
    let tenant = world.tenant("first");
    let (a, b) = (first.client(&tenant), second.client(&tenant));
    a.catalogue(&["NEW"]).await;
    let body = json!({"sku": "NEW", "location": "MAIN", "quantity": "1", "unit_cost": "2"});
    let receipts = (0..40).map(|n| {
        let (c, body) = (if n % 2 == 0 { a.clone() } else { b.clone() }, body.clone());
        async move { c.post("/v1/stock/receipts", &body).await.expect(201).position() }
    });
    let last = futures::future::join_all(receipts).await.into_iter().max().unwrap();
    let level = a.get_at("/v1/stock/NEW/MAIN", last).await.expect(200).json;
    assert_eq!((&level["on_hand"], &level["value"]), (&json!("40"), &json!("80.00")));
    world.verify_clean("first");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_serials_in_one_command() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let tenant = world.tenant("serials");
    let c = node.client(&tenant);
    c.put("/v1/locations/MAIN", &json!({})).await.expect(201);
    c.put("/v1/items/PHONE", &json!({"tracking": "serial", "method": "specific"})).await.expect(201);
    let serials: Vec<String> = (0..10_000).map(|n| format!("IMEI-{n:011}")).collect();
    let receipt = |serials: &[String]| json!({"sku": "PHONE", "location": "MAIN", "quantity": serials.len().to_string(), "total_cost": "1000000.01", "serials": serials});
    let mut twice = serials.clone();
    twice[9_999] = twice[0].clone();
    c.post("/v1/stock/receipts", &receipt(&twice)).await.refused(409, "serial_exists");
    ok(&c, "/v1/stock/receipts", receipt(&serials)).await;
    let sold = json!({"sku": "PHONE", "location": "MAIN", "quantity": "9999", "serials": &serials[1..]});
    let sold = ok(&c, "/v1/stock/issues", sold).await;
    let left = c.get_at("/v1/stock/PHONE/MAIN", at(&sold)).await.expect(200).json;
    assert_eq!((&left["on_hand"], &left["value"]), (&json!("1"), &json!("100.00")));
    c.get_at(&format!("/v1/serials/PHONE/{}", serials[0]), at(&sold)).await.expect(200);
    world.verify_clean("serials");
}
