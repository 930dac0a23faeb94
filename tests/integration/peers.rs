//! Valuation and reservation cases of other products' tests, through HTTP. Expected figures are theirs.
//!
//! What they say and we do not, and how it is said here:
//! - A posted document is never edited: fewer shipped is a return along the issue, more shipped another issue, fewer
//!   received a return to the supplier along the receipt, more received another receipt. The figures are the same.
//! - A drop shipment is a receipt and an issue at its cost, in one transaction.
//!
//! Where we differ on purpose ([`DIFFERS`]): LIFO is not offered (IAS 2.25 rules it out), and layers of one cost are not
//! merged, so that each stays the receipt it came from; quantity and value of that case are compared all the same.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Client, Parts, World};

/// Case, and why its figures are not compared.
const DIFFERS: [(&str, &str); 1] = [("lifo_consumption", "LIFO is not offered")];
/// Case whose layers we keep apart.
const UNMERGED: &str = "fifo_merge_same_rate";

fn number(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn units(text: &Value) -> rust_decimal::Decimal {
    number(text).parse().unwrap()
}

/// One case's item: its code, and per step the position of its event and the value that changed.
struct Case<'a> {
    client: &'a Client,
    sku: String,
    steps: Vec<(i64, rust_decimal::Decimal)>,
}

impl Case<'_> {
    async fn post(&mut self, path: &str, mut body: Value) {
        body["sku"] = json!(self.sku);
        if path != "transfers" {
            body["location"] = json!("A");
        }
        let answer = self.client.post(&format!("/v1/stock/{path}"), &body).await.expect(201);
        let events = answer.json["events"].as_array().unwrap();
        let position = events.last().map_or(0, |e| e["position"].as_i64().unwrap());
        let value = answer.json["result"]["value"].as_str().map_or(Default::default(), |v| v.parse().unwrap());
        self.steps.push((position, value));
    }

    async fn step(&mut self, steps: &[Value], step: &Value) {
        let quantity = |at: usize| number(&step[at]);
        match step[0].as_str().unwrap() {
            "in" if step[2].is_null() => self.post("receipts", json!({"quantity": quantity(1)})).await,
            "in" => self.post("receipts", json!({"quantity": quantity(1), "unit_cost": number(&step[2])})).await,
            "out" => self.post("issues", json!({"quantity": quantity(1)})).await,
            "set_cost" => {
                let body = json!({"sku": self.sku, "standard_cost": number(&step[1])});
                self.client.post("/v1/stock/revaluations", &body).await.expect(201);
            }
            "dropship" => {
                let cost = units(&step[1]) * units(&step[2]);
                let at = json!({"sku": self.sku, "location": "A", "quantity": quantity(1)});
                let (mut receive, mut issue) = (at.clone(), at);
                (receive["type"], receive["unit_cost"]) = (json!("receive"), json!(number(&step[2])));
                (issue["type"], issue["stated_cost"]) = (json!("issue"), json!(cost.to_string()));
                self.client.post("/v1/transactions", &json!({"commands": [receive, issue]})).await.expect(201);
            }
            "return_of" => {
                let at = usize::try_from(step[1].as_u64().unwrap()).unwrap();
                self.back(steps, at, number(&step[2])).await;
            }
            "edit" => {
                let at = usize::try_from(step[1].as_u64().unwrap()).unwrap();
                let (was, is) = (units(&steps[at][1]), units(&step[2]));
                let more = is - was;
                match (steps[at][0].as_str().unwrap(), more.is_sign_positive()) {
                    ("in", true) => {
                        let body = json!({"quantity": more.to_string(), "unit_cost": number(&steps[at][2])});
                        self.post("receipts", body).await;
                    }
                    ("out", true) => self.post("issues", json!({"quantity": more.to_string()})).await,
                    (_, _) => self.back(steps, at, (-more).to_string()).await,
                }
            }
            "transfer" => {
                let body = json!({"from": step[1], "to": step[2], "quantity": number(&step[3])});
                self.post("transfers", body).await;
            }
            other => panic!("unknown step {other}"),
        }
    }

    /// Goods come back along a step: from the customer, or to the supplier.
    async fn back(&mut self, steps: &[Value], at: usize, quantity: String) {
        let position = self.steps[at].0;
        match steps[at][0].as_str().unwrap() {
            "out" => self.post("returns", json!({"quantity": quantity, "original": position})).await,
            "in" => self.post("supplier-returns", json!({"quantity": quantity, "receipt": position})).await,
            other => panic!("nothing comes back of {other}"),
        }
    }
}

fn vectors() -> Option<Value> {
    let data = std::env::var("LEDGER_DATA_DIR").unwrap_or_else(|_| "../shared/data".to_owned());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(data).join("vectors/peer_valuation_reservation.json");
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            println!("{}: {error}: not checked here", file.display());
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_valuation_cases_give_their_figures() {
    let Some(vectors) = vectors() else { return };
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("peers");
    let c = node.client(&tenant);
    for code in ["A", "B"] {
        c.put(&format!("/v1/locations/{code}"), &json!({})).await.expect(201);
    }
    let cases = vectors["valuation"].as_array().unwrap();
    let mut compared = 0;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        if DIFFERS.iter().any(|(differs, _)| *differs == name) {
            continue;
        }
        let (method, cost) = match case["method"].as_str().unwrap().split_once('@') {
            Some((method, cost)) => (method, Some(cost)),
            None => (case["method"].as_str().unwrap(), None),
        };
        let method = if method == "average" { "moving_average" } else { method };
        let mut item = json!({"name": name, "method": method});
        if let Some(cost) = cost {
            item["standard_cost"] = json!(cost);
        }
        c.put(&format!("/v1/items/{name}"), &item).await.expect(201);
        let mut run = Case { client: &c, sku: name.to_owned(), steps: Vec::new() };
        let steps = case["steps"].as_array().unwrap();
        for step in steps {
            run.step(steps, step).await;
        }
        let position = c.post("/v1/journal/entries", &nothing()).await.expect(201).position();
        let stock = c.get_at(&format!("/v1/stock/{name}"), position).await.expect(200).json;
        let expect = &case["expect"];
        for (field, ours) in [("qty", "on_hand"), ("value", "value")] {
            if !expect[field].is_null() {
                assert_eq!(units(&stock[ours]), units(&expect[field]), "{name}: {field} of {stock}");
                compared += 1;
            }
        }
        for (at, value) in expect["after"].as_object().into_iter().flatten() {
            let found = run.steps[at.parse::<usize>().unwrap()].1;
            assert_eq!(found, units(value), "{name}: value of step {at}");
            compared += 1;
        }
        if let (Some(_), false) = (expect["avg"].as_str(), units(&stock["on_hand"]).is_zero()) {
            assert_eq!(units(&stock["value"]) / units(&stock["on_hand"]), units(&expect["avg"]), "{name}: average");
            compared += 1;
        }
        if expect["value_moved_equal"] == true {
            let [a, b] = ["A", "B"].map(|l| format!("/v1/stock/{name}/{l}/card"));
            let a = c.get_at(&a, position).await.expect(200).json["data"].as_array().unwrap().last().unwrap()["value"].clone();
            let b = c.get_at(&b, position).await.expect(200).json["data"].as_array().unwrap().last().unwrap()["value"].clone();
            assert_eq!(units(&a), -units(&b), "{name}");
            compared += 1;
        }
        if !expect["layers"].is_null() {
            assert_eq!(name, UNMERGED, "only this case's layers are kept apart on purpose");
        }
    }
    assert!(compared >= 40, "{compared} figures of {} cases", cases.len());
    world.verify_clean("peers");
}

/// An entry that changes no stock: its position includes everything before it.
fn nothing() -> Value {
    json!({"postings": [{"account": "1000", "debit": "1"}, {"account": "3000", "credit": "1"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_reservation_cases_give_their_figures() {
    let Some(vectors) = vectors() else { return };
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("holds");
    let c = node.client(&tenant);
    for case in vectors["reservations"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        c.put(&format!("/v1/items/{name}"), &json!({"name": name})).await.expect(201);
        let mut position = 0;
        for (location, quantity) in case["setup"].as_object().unwrap() {
            let defined = c.put(&format!("/v1/locations/{location}"), &json!({})).await;
            assert!([200, 201].contains(&defined.status), "{}", defined.text);
            let body = json!({"sku": name, "location": location, "quantity": number(quantity), "unit_cost": "1"});
            position = c.post("/v1/stock/receipts", &body).await.expect(201).position();
        }
        let mut holds = Vec::new();
        for action in case["actions"].as_array().unwrap() {
            let is_refused = |said: &Value| said.as_str().unwrap().starts_with("refused");
            match action[0].as_str().unwrap() {
                "reserve" => {
                    let lines = json!([{"sku": name, "location": action[1], "quantity": number(&action[2])}]);
                    let id = format!("{name}-{}", holds.len());
                    let answer = c.post("/v1/reservations", &json!({"id": id, "ttl_seconds": 600, "lines": lines})).await;
                    if is_refused(&action[3]) {
                        assert!([404, 409].contains(&answer.status), "{name}: {}", answer.text);
                    } else {
                        position = answer.expect(201).position();
                        holds.push(id);
                    }
                }
                "update_reservation" => {
                    let at = usize::try_from(action[1].as_u64().unwrap()).unwrap();
                    let lines = json!([{"line": 0, "quantity": number(&action[2])}]);
                    let path = format!("/v1/reservations/{}/change", holds[at]);
                    position = c.post(&path, &json!({"lines": lines})).await.expect(201).position();
                }
                "adjust" => {
                    let body = json!({"sku": name, "location": action[1], "difference": number(&action[2]), "reason": "PEER"});
                    position = c.post("/v1/stock/adjustments", &body).await.expect(201).position();
                }
                "expect" => {
                    let path = format!("/v1/stock/{name}/{}", action[1].as_str().unwrap());
                    let level = c.get_at(&path, position).await.expect(200).json;
                    same(name, &level, &action[2]);
                }
                "expect_sum" => {
                    let stock = c.get_at(&format!("/v1/stock/{name}"), position).await.expect(200).json;
                    let mut sums = json!({});
                    for (field, _) in action[2].as_object().unwrap() {
                        let ours = ours(field);
                        let of = |l: &&Value| action[1].as_array().unwrap().contains(&l["location"]);
                        let sum: rust_decimal::Decimal =
                            stock["locations"].as_array().unwrap().iter().filter(of).map(|l| units(&l[ours])).sum();
                        sums[ours] = json!(sum.to_string());
                    }
                    same(name, &sums, &action[2]);
                }
                other => panic!("unknown action {other}"),
            }
        }
    }
    world.verify_clean("holds");
}

fn ours(field: &str) -> &str {
    if field == "stocked" { "on_hand" } else { field }
}

fn same(name: &str, found: &Value, expected: &Value) {
    for (field, figure) in expected.as_object().unwrap() {
        assert_eq!(units(&found[ours(field)]), units(figure), "{name}: {field} of {found}");
    }
}
