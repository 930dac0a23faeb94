//! A small HTTP client that shows everything of an answer.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null if the body is not JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }

    /// The problem's code, or "".
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or("")
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.header("idempotent-replayed") == "true"
    }

    pub(crate) fn position(&self) -> i64 {
        self.json["position"].as_i64().unwrap_or_else(|| panic!("no position: {}", self.text))
    }

    /// The answer must have this status.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The answer must be this refusal, as a problem.
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        self
    }
}

/// Keys that no other call of this process has used.
static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

pub(crate) fn fresh_key() -> String {
    format!("test-{}-{}", std::process::id(), NEXT_KEY.fetch_add(1, Ordering::Relaxed))
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.to_owned(), key: key.to_owned() }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// A request with nothing but the key, to be filled in.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    /// Sends a request; a connection error is an answer with status 0.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let failed =
            |error: &reqwest::Error| Answer { status: 0, headers: HeaderMap::new(), text: error.to_string(), json: Value::Null };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return failed(&error),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        match response.text().await {
            Ok(text) => Answer { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::Null), text },
            Err(error) => failed(&error),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// A read that includes a position.
    pub(crate) async fn get_at(&self, path: &str, position: i64) -> Answer {
        let request = self.request(Method::GET, path).header("ledger-min-position", position).header("prefer", "wait=20");
        self.send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as(path, &fresh_key(), body).await
    }

    pub(crate) async fn post_as(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).header("idempotency-key", fresh_key()).json(body)).await
    }

    /// One location MAIN and these items, moving average, scale 0.
    pub(crate) async fn catalogue(&self, skus: &[&str]) {
        self.put("/v1/locations/MAIN", &json!({"name": "Main"})).await.expect(201);
        for sku in skus {
            self.put(&format!("/v1/items/{sku}"), &json!({"name": sku})).await.expect(201);
        }
    }

    /// Goods come in at MAIN.
    pub(crate) async fn receive(&self, sku: &str, quantity: &str, unit_cost: &str) -> Answer {
        let body = json!({"sku": sku, "location": "MAIN", "quantity": quantity, "unit_cost": unit_cost});
        self.post("/v1/stock/receipts", &body).await.expect(201)
    }

    /// One unit, or more, out of MAIN.
    pub(crate) async fn issue(&self, sku: &str, quantity: &str) -> Answer {
        self.post("/v1/stock/issues", &json!({"sku": sku, "location": "MAIN", "quantity": quantity})).await
    }

    /// A hold at MAIN.
    pub(crate) async fn reserve(&self, id: &str, sku: &str, quantity: &str, ttl_seconds: u32) -> Answer {
        let lines = json!([{"sku": sku, "location": "MAIN", "quantity": quantity}]);
        self.post("/v1/reservations", &json!({"id": id, "ttl_seconds": ttl_seconds, "lines": lines})).await
    }
}
