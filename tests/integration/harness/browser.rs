//! A real browser without a window: Chromium through its WebDriver (W3C WebDriver over plain HTTP).

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for anything on a page.
const WAIT_SECONDS_MAX: u64 = 20;
/// What WebDriver calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Chromium's own number for Enter and Escape among the keys of WebDriver.
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const ESCAPE: &str = "\u{e00c}";
pub(crate) const DOWN: &str = "\u{e015}";

/// A browser of its own, gone when dropped.
pub(crate) struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    /// The console's address.
    pub(crate) base: String,
}

impl Browser {
    /// Starts one; `deploy/install-browser` installs what is needed.
    pub(crate) async fn start(base: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = command.spawn().expect("chromedriver: deploy/install-browser installs it");
        let driver_url = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::new();
        let mut browser = Self { driver, http, session: driver_url.clone(), base: base.to_owned() };
        let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
        while browser.http.get(format!("{driver_url}/status")).send().await.is_err() {
            assert!(Instant::now() < deadline, "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Chromium refuses to sandbox itself as root.
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,800"];
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": args}}}});
        let started = browser.post("/session", &wanted).await;
        browser.session = format!("{driver_url}/session/{}", started["sessionId"].as_str().unwrap());
        browser
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Value {
        let text = request.send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("WebDriver said {text}"));
        assert!(answer["value"].get("error").is_none(), "WebDriver said {answer}");
        answer["value"].clone()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.answer(self.http.post(format!("{}{path}", self.session)).json(body)).await
    }

    /// Opens a page of the console and waits until its script has run.
    pub(crate) async fn open(&self, path: &str) {
        self.post("/url", &json!({"url": format!("{}{path}", self.base)})).await;
        self.until("return document.documentElement.dataset.ready === 'true'").await;
    }

    /// What a script answers.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// What a script answers, as text.
    pub(crate) async fn text(&self, script: &str) -> String {
        self.script(&format!("return String({script})")).await.as_str().unwrap().to_owned()
    }

    /// Waits until a script answers true. While a page is left there is none to ask, and the next one is asked.
    pub(crate) async fn until(&self, script: &str) {
        let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
        loop {
            let request = self.http.post(format!("{}/execute/sync", self.session));
            let answer = request.json(&json!({"script": script, "args": []})).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            if answer["value"] == true {
                return;
            }
            assert!(Instant::now() < deadline, "not so in time: {script}: {answer}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits for a page by its path.
    pub(crate) async fn until_at(&self, path: &str) {
        let script = format!(
            "return location.pathname + location.search === {} && document.documentElement.dataset.ready === 'true'",
            json!(path)
        );
        self.until(&script).await;
    }

    /// Presses keys one after another, wherever the focus is.
    pub(crate) async fn press(&self, keys: &[&str]) {
        let presses: Vec<Value> = keys
            .iter()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keys", "actions": presses}]})).await;
    }

    /// Types into the first element of a selector, key by key.
    pub(crate) async fn type_into(&self, selector: &str, text: &str) {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector})).await;
        let element = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/value"), &json!({"text": text})).await;
    }

    /// Clicks the first element of a selector as a person would: it must be visible and not covered.
    pub(crate) async fn click(&self, selector: &str) {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector})).await;
        let element = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{element}/click"), &json!({})).await;
    }

    /// What the browser complained of since it was asked last: scripts that failed, policies broken, files missing.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"})).await;
        let entries = log.as_array().unwrap().iter();
        let serious = entries.filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        serious.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, params: Value) {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": params})).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its driver's session, which ends with the driver; asked to end, the driver takes it along.
        if let Some(pid) = i32::try_from(self.driver.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.driver.wait();
    }
}
