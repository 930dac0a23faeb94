//! What an auditor relies on: replays, verification of everything stored, and bundles that are carried away.

mod bundle;
mod flips;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::client::fresh_key;
use crate::harness::{Client, Node, Parts, Tenant, World};

/// Business of every kind, with holds, transfers, foreign currency and late facts; answers the newest position.
pub(crate) async fn business(c: &Client, rounds: usize) -> i64 {
    for location in ["MAIN", "SHOP"] {
        c.put(&format!("/v1/locations/{location}"), &json!({"name": location})).await.expect(201);
    }
    for (sku, method) in [("A", "moving_average"), ("B", "fifo"), ("C", "moving_average")] {
        c.put(&format!("/v1/items/{sku}"), &json!({"name": sku, "method": method})).await.expect(201);
    }
    c.put("/v1/accounts/1930", &json!({"name": "Bank", "account_type": "asset"})).await.expect(201);
    c.put("/v1/accounts/3001", &json!({"name": "Sales", "account_type": "revenue"})).await.expect(201);
    let mut last = 0;
    for n in 0..rounds {
        for sku in ["A", "B", "C"] {
            let body = json!({"sku": sku, "location": "MAIN", "quantity": "10", "unit_cost": format!("{}.37", n + 1),
                "reference": format!("PO {n}"), "effective_at": format!("2026-11-{:02}T08:00:00Z", 1 + (n * 7) % 20)});
            c.post("/v1/stock/receipts", &body).await.expect(201);
            c.post("/v1/stock/issues", &json!({"sku": sku, "location": "MAIN", "quantity": "3"})).await.expect(201);
        }
        let moved = json!({"sku": "A", "from": "MAIN", "to": "SHOP", "quantity": "2"});
        c.post("/v1/stock/transfers", &moved).await.expect(201);
        c.reserve(&format!("R{n}"), "B", "1", 3_600).await.expect(201);
        let postings = json!([{"account": "1930", "debit": "12.50"}, {"account": "3001", "credit": "12.50"}]);
        let entry = json!({"id": format!("E{n}"), "postings": postings, "reference": format!("INV {n}")});
        last = c.post("/v1/journal/entries", &entry).await.expect(201).position();
        // Refused, so that there are answers without events.
        assert_eq!(c.issue("C", "100000").await.status, 409);
    }
    last
}

/// A node with a tenant that has done business; all that is derived from its log has caught up.
async fn busy(world: &World, code: &str, rounds: usize) -> (Node, Tenant, Client, i64) {
    let node = world.node().await;
    let tenant = world.tenant(code);
    let c = node.client(&tenant);
    let head = business(&c, rounds).await;
    c.get_at("/v1/stock/A", head).await.expect(200);
    (node, tenant, c, head)
}

fn replay(world: &World, args: &[&str]) -> Value {
    let (code, out, err) = world.ledgerd_any(&[&["replay"], args].concat());
    assert_eq!(code, 0, "replay {args:?}: {out}{err}");
    serde_json::from_str(&out).unwrap()
}

/// Stock and balances as the API answers them, with this query.
async fn asked(c: &Client, query: &str, head: i64) -> (Vec<Value>, Vec<Value>) {
    let (mut stock, mut accounts) = (Vec::new(), Vec::new());
    for sku in ["A", "B", "C"] {
        let body = c.get_at(&format!("/v1/stock/{sku}?{query}"), head).await.expect(200).json;
        let places: Vec<Value> = body["locations"].as_array().unwrap().iter().filter(|l| l["on_hand"] != "0").cloned().collect();
        stock.push(json!([sku, body["on_hand"], body["value"], places]));
    }
    let codes = c.get_at("/v1/accounts?limit=200", head).await.expect(200).json;
    for code in codes["data"].as_array().unwrap().iter().map(|a| a["code"].as_str().unwrap()) {
        let body = c.get_at(&format!("/v1/accounts/{code}/balance?{query}"), head).await.expect(200).json;
        accounts.push(json!([code, body["debits"], body["credits"], body["balance"]]));
    }
    accounts.sort_by_key(ToString::to_string);
    (stock, accounts)
}

/// The same of a replay; items and accounts that were not there yet have nothing.
fn replayed(then: &Value, (stock, accounts): &(Vec<Value>, Vec<Value>)) -> (Vec<Value>, Vec<Value>) {
    let of = |list: &str, key: &str, code: &Value| {
        let list = then[list].as_array().unwrap();
        list.iter().find(|entry| entry[key] == *code).cloned().unwrap_or(Value::Null)
    };
    let zero = |value: &Value, like: &Value| if value.is_null() { zero_like(like) } else { value.clone() };
    let stock = stock.iter().map(|row| {
        let item = of("stock", "sku", &row[0]);
        let places = item["locations"].as_array().cloned().unwrap_or_default().into_iter();
        let places = places
            .filter(|l| l["on_hand"] != "0")
            .map(|l| json!({"location": l["location"], "on_hand": l["on_hand"], "value": l["value"]}));
        json!([row[0], zero(&item["on_hand"], &row[1]), zero(&item["value"], &row[2]), places.collect::<Vec<_>>()])
    });
    let accounts = accounts.iter().map(|row| {
        let account = of("accounts", "code", &row[0]);
        let [debits, credits, balance] = ["debits", "credits", "balance"].map(|k| &account[k]);
        json!([row[0], zero(debits, &row[1]), zero(credits, &row[2]), zero(balance, &row[3])])
    });
    (stock.collect(), accounts.collect())
}

fn zero_like(text: &Value) -> Value {
    text.as_str().unwrap().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>().into()
}

/// A replay from events alone says of any past what the API says of it from its views.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_says_what_the_views_say_of_the_past() {
    let world = World::start(Parts::Database).await;
    let (_node, tenant, c, head) = busy(&world, "past", 6).await;
    let of = ["--tenant", &tenant.code];
    for position in [1, 7, head / 3, head / 2, head - 1, head] {
        let expected = asked(&c, &format!("as_of_position={position}"), head).await;
        let then = replay(&world, &[&of[..], &["--position", &position.to_string()]].concat());
        assert_eq!(replayed(&then, &expected), expected, "position {position}: {then:#}");
        assert_eq!(then["position"], json!(position));
    }
    for day in ["2026-10-31", "2026-11-08", "2026-11-20"] {
        let expected = asked(&c, &format!("as_of={day}T23:59:59.999999Z"), head).await;
        let then = replay(&world, &[&of[..], &["--effective", day]].concat());
        assert_eq!(replayed(&then, &expected), expected, "effective {day}: {then:#}");
    }
    let event = c.get_at(&format!("/v1/events?after={}&limit=1", head / 2 - 1), head).await.expect(200);
    let instant = event.json["data"][0]["recorded_at"].as_str().unwrap().to_owned();
    let expected = asked(&c, &format!("recorded_before={instant}"), head).await;
    let then = replay(&world, &[&of[..], &["--time", &instant]].concat());
    assert_eq!(replayed(&then, &expected), expected, "before {instant}: {then:#}");
    // The present holds too, which the past of the API does not tell.
    let now = replay(&world, &[&of[..], &["--sku", "B", "--stock"]].concat());
    assert_eq!(now["stock"][0]["locations"][0]["reserved"], "6", "{now:#}");
    assert!(now["accounts"].is_null() && now["stock"].as_array().unwrap().len() == 1);
    let all = replay(&world, &["--all"]);
    assert_eq!(all[0]["root"], now["root"]);
    let (code, _, err) = world.ledgerd_any(&["replay", "--tenant", &tenant.code, "--position", &(head + 1).to_string()]);
    assert_eq!(code, 1, "{err}");
}

/// The form to file: header, scope, what was compared, findings, verdict. One that is there is not written over.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_can_be_filed() {
    let world = World::start(Parts::Database).await;
    let (_node, tenant, _c, head) = busy(&world, "filed", 1).await;
    let dir = std::env::temp_dir().join(format!("ledgerd-filed-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("report.txt");
    let args = ["verify", "--tenant", &tenant.code, "--by", "A. Auditor", "--out", file.to_str().unwrap()];
    let (code, out, err) = world.ledgerd_any(&args);
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let root = report["root"].as_str().unwrap();
    let log = format!("positions 1 to {head}");
    for part in ["filed", "A. Auditor", root, &log, "debits_equal_credits", "everything that was looked at holds"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(world.ledgerd_any(&args).0, 1, "the report was written over");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Longest wait for a job, or for the sample to come round.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Asks for a verification and waits until it is done.
async fn verified(c: &Client) -> Value {
    let asked = c.post("/v1/audit/verifications", &Value::Null).await.expect(202);
    let path = asked.header("location").to_owned();
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let now = c.get(&path).await.expect(200).json;
        if now["status"] == "done" {
            return now;
        }
        assert!(now["status"] != "failed" && Instant::now() < deadline, "{now:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What health says of the audit, once this holds of it.
async fn health(c: &Client, holds: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        let health = c.get("/health/ready").await.expect(200).json;
        if holds(&health["audit"]) {
            return health;
        }
        assert!(Instant::now() < deadline, "{health:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asked for through the API, done in the background, filed for good; what the sample finds degrades health until a
/// verification finds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_asked_for_and_the_sample_finds_damage_by_itself() {
    let world = World::start(Parts::All).await;
    let (_node, tenant, c, head) = busy(&world, "asked", 2).await;
    let sound = verified(&c).await;
    let compared: Vec<&str> = sound["report"]["compared"].as_array().unwrap().iter().filter_map(|c| c["what"].as_str()).collect();
    assert_eq!((&sound["sound"], &sound["position"]), (&json!(true), &json!(head)), "{sound:#}");
    assert!(["views", "cache", "feed", "checkpoints"].iter().all(|what| compared.contains(what)), "{compared:?}");
    // The same key is the same verification, another tenant's is none, a key there must be.
    let key = fresh_key();
    let first = c.post_as("/v1/audit/verifications", &key, &Value::Null).await.expect(202);
    let again = c.post_as("/v1/audit/verifications", &key, &Value::Null).await.expect(202);
    assert!(again.is_replay() && again.json["id"] == first.json["id"], "{}", again.text);
    let path = format!("/v1/audit/verifications/{}", sound["id"].as_str().unwrap());
    c.send(c.request(reqwest::Method::POST, "/v1/audit/verifications")).await.refused(400, "idempotency_key_missing");
    let other = _node.client(&world.tenant("other"));
    other.get(&path).await.refused(404, "not_found");
    let form = c.send(c.request(reqwest::Method::GET, &path).header("accept", "text/plain")).await.expect(200);
    assert!(form.header("content-type").starts_with("text/plain") && form.text.contains("VERDICT"), "{}", form.text);
    let list = c.get("/v1/audit/verifications?limit=1").await.expect(200).json;
    let next = c.get(&format!("/v1/audit/verifications?limit=1&cursor={}", list["next_cursor"].as_str().unwrap())).await;
    assert_eq!((&list["data"][0]["id"], &next.json["data"][0]["id"]), (&first.json["id"], &sound["id"]), "{list:#}");
    let quiet = health(&c, |audit| audit["checked"].as_i64() > Some(0)).await;
    assert_eq!(quiet["audit"]["findings"], 0, "{quiet:#}");
    let mut owner = world.owner().await;
    let damage = "UPDATE view_stock_card SET quantity = quantity # 1 WHERE tenant_id = $1 AND position = \
                  (SELECT min(position) FROM view_stock_card WHERE tenant_id = $1)";
    sqlx::query(damage).bind(tenant.number).execute(&mut owner).await.unwrap();
    let hurt = health(&c, |audit| audit["findings"].as_i64() > Some(0)).await;
    assert_eq!(hurt["status"], "degraded", "{hurt:#}");
    let found = verified(&c).await;
    assert_eq!((&found["sound"], &found["report"]["findings"][0]["invariant"]), (&json!(false), &json!("views_equal_replay")));
    let undo = "UPDATE view_stock_card SET quantity = quantity # 1 WHERE tenant_id = $1 AND position = $2";
    let position = &found["report"]["findings"][0]["position"];
    sqlx::query(undo).bind(tenant.number).bind(position.as_i64()).execute(&mut owner).await.unwrap();
    assert_eq!(verified(&c).await["sound"], true);
    health(&c, |audit| audit["findings"] == 0).await;
}
