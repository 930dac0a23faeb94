//! The console as a browser sees it: a real Chromium on a real server; and its answers as bare HTTP.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::browser::{Browser, DOWN, ENTER, ESCAPE};
use crate::harness::{Answer, Client, Node, Parts, Tenant, World};

/// What an attacker would like to see run.
const HOSTILE: &str = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";

/// Something on every page.
async fn fill(c: &Client) -> i64 {
    c.catalogue(&["GRINDER", "KETTLE"]).await;
    c.put("/v1/locations/SHOP", &json!({"name": "Shop"})).await.expect(201);
    c.receive("GRINDER", "120", "61.25").await;
    c.receive("KETTLE", "1200000", "3").await;
    c.issue("GRINDER", "5").await.expect(201);
    let transfer = json!({"sku": "GRINDER", "from": "MAIN", "to": "SHOP", "quantity": "7", "reference": "TR-1"});
    c.post("/v1/stock/transfers", &transfer).await.expect(201);
    c.reserve("CART-1", "GRINDER", "2", 3_600).await.expect(201);
    for (code, name, kind) in [("7000", "Bank", "asset"), ("7100", "Fees", "expense")] {
        c.put(&format!("/v1/accounts/{code}"), &json!({"name": name, "account_type": kind})).await.expect(201);
    }
    let entry = json!({"id": "FEE-1", "description": "A fee", "postings": [{"account": "7100", "debit": "1234567.89"}, {"account": "7000", "credit": "1234567.89"}]});
    let last = c.post("/v1/journal/entries", &entry).await.expect(201).position();
    c.get_at("/v1/overview", last).await.expect(200);
    last
}

/// Every page, and words that must be on it.
const PAGES: [(&str, &str); 27] = [
    ("/console", "Events per minute"),
    ("/console/stock", "GRINDER"),
    ("/console/stock?search=grin", "GRINDER"),
    ("/console/stock/GRINDER", "On hand and value over time"),
    ("/console/stock/GRINDER/MAIN", "Stock card"),
    ("/console/stock/GRINDER/MAIN?order=oldest&type=stock_issued", "stock issued"),
    ("/console/locations", "Main"),
    ("/console/locations/MAIN", "Items that were ever here"),
    ("/console/reservations", "CART-1"),
    ("/console/reservations?show=all", "CART-1"),
    ("/console/reservations/CART-1", "GRINDER"),
    ("/console/journal", "A fee"),
    ("/console/journal/FEE-1", "1234567.89"),
    ("/console/accounts", "Fees"),
    ("/console/accounts/7000", "-1234567.89"),
    ("/console/reports", "Trial balance"),
    ("/console/reports/trial-balance?rollup=true", "Balanced: debits and credits are equal."),
    ("/console/reports/balance-sheet", "Total assets"),
    ("/console/reports/income-statement", "Total expense"),
    ("/console/reports/general-ledger", "7000 Bank"),
    ("/console/reports/aged-receivables", "Nothing is open."),
    ("/console/reports/vat", "Net, to be paid"),
    ("/console/reports/inventory-valuation", "GRINDER"),
    ("/console/reports/reconciliation", "Reconciled"),
    ("/console/events", "journal entry posted"),
    ("/console/audit", "Audit"),
    ("/console/background", "Background"),
];

struct Stage {
    world: World,
    node: Node,
    tenant: Tenant,
    browser: Browser,
    last: i64,
}

/// A server with something in it, and a browser that is signed in.
async fn stage() -> Stage {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("console");
    let last = fill(&node.client(&tenant)).await;
    let browser = Browser::start(&node.url).await;
    browser.open("/console").await;
    browser.until_at("/console/login?back=%2Fconsole").await;
    browser.type_into("input[name=key]", &format!("{}{ENTER}", tenant.key)).await;
    browser.until_at("/console").await;
    Stage { world, node, tenant, browser, last }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_without_a_complaint_with_light_and_dark_colours() {
    let stage = stage().await;
    let browser = &stage.browser;
    for system in ["light", "dark"] {
        browser
            .devtools("Emulation.setEmulatedMedia", json!({"features": [{"name": "prefers-color-scheme", "value": system}]}))
            .await;
        browser.open("/console").await;
        let paper = browser.text("getComputedStyle(document.body).backgroundColor").await;
        assert_eq!(paper, if system == "light" { "rgb(255, 255, 255)" } else { "rgb(20, 24, 28)" });
        for (path, expected) in PAGES {
            browser.open(path).await;
            let page = browser.text("document.querySelector('main').textContent").await;
            assert!(page.contains(expected), "{path} does not say {expected:?}: {page}");
            // One heading, every table with a caption, every field with a label: what a reader of screens needs.
            let sound = "document.querySelectorAll('h1').length === 1 \
                && [...document.querySelectorAll('table.ledger')].every(t => t.caption && t.caption.textContent) \
                && [...document.querySelectorAll('input:not([type=hidden]), select')].every(f => f.labels.length > 0) \
                && document.documentElement.scrollWidth <= window.innerWidth";
            assert_eq!(browser.text(sound).await, "true", "{path}");
            assert_eq!(browser.complaints().await, Vec::<String>::new(), "{path}");
        }
    }
    // An event has its neighbours, its stream and its command; each chart is drawn, from a table that has the figures.
    browser.open(&format!("/console/events/{}", stage.last)).await;
    let event = browser.text("document.querySelector('main').textContent").await;
    assert!(event.contains("entry-FEE-1") && event.contains("Previous event") && event.contains("key:"), "{event}");
    browser.open("/console/stock/GRINDER").await;
    assert_eq!(browser.text("document.querySelectorAll('[data-chart] canvas').length").await, "2");
    let last_point = browser.text("[...document.querySelectorAll('[data-chart] tbody tr')].pop().textContent").await;
    assert!(last_point.contains("115") && last_point.contains("7043.75"), "{last_point}");
    // The switch wins over the system, and is remembered.
    browser.click("#theme").await;
    browser.until("return document.documentElement.dataset.theme === 'dark'").await;
    browser.click("#theme").await;
    browser.until("return getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'").await;
    browser.open("/console/journal").await;
    assert_eq!(browser.text("document.documentElement.dataset.theme").await, "light");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_by_keys_alone_and_finds_while_one_types() {
    let Stage { browser, world: _world, node: _node, .. } = stage().await;
    for (key, path) in [
        ("s", "/console/stock"),
        ("j", "/console/journal"),
        ("r", "/console/reports"),
        ("a", "/console/audit"),
        ("e", "/console/events"),
    ] {
        browser.press(&["g", key]).await;
        browser.until_at(path).await;
    }
    browser.press(&["?"]).await;
    browser.until("return document.querySelector('#help').open").await;
    browser.press(&[ESCAPE]).await;
    browser.until("return !document.querySelector('#help').open").await;
    browser.press(&["g", "s"]).await;
    browser.until_at("/console/stock").await;
    assert_eq!(browser.text("document.querySelectorAll('#items tbody tr').length").await, "2");
    browser.press(&["/", "k", "E", "t"]).await;
    browser.until("return document.querySelectorAll('#items tbody tr').length === 1").await;
    browser.until("return location.search === '?search=kEt'").await;
    assert_eq!(browser.text("document.activeElement.name").await, "search");
    // Down leaves the field for the first row, Enter opens it.
    browser.press(&[DOWN]).await;
    browser.until("return document.querySelector('tr[aria-selected=true]') !== null").await;
    browser.press(&[ENTER]).await;
    browser.until_at("/console/stock/KETTLE").await;
    browser.open("/console/stock").await;
    browser.press(&["j", "j", "k", ENTER]).await;
    browser.until_at("/console/stock/GRINDER").await;
    // Keys are letters in a field.
    browser.open("/console/stock").await;
    browser.press(&["/", "g", "s"]).await;
    browser.until("return document.activeElement.value === 'gs'").await;
    browser.until("return document.querySelector('#items .empty') !== null").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn following_shows_events_as_they_are_recorded() {
    let stage = stage().await;
    let (browser, c) = (&stage.browser, stage.node.client(&stage.tenant));
    browser.open("/console/events?type=stock_issued").await;
    browser.click("#follow").await;
    browser.until("return document.querySelector('#live-state').dataset.state === 'open'").await;
    let issue = json!({"sku": "KETTLE", "location": "MAIN", "quantity": "1", "reference": HOSTILE});
    let position = c.post("/v1/stock/issues", &issue).await.expect(201).position();
    c.receive("KETTLE", "1", "3").await;
    let newest = c.issue("KETTLE", "2").await.expect(201).position();
    browser.until(&format!("return document.querySelector('#events tbody a').textContent === '{newest}'")).await;
    let rows = browser
        .text("[...document.querySelectorAll('#events tbody tr')].map(r => r.cells[0].textContent + r.cells[2].textContent)")
        .await;
    assert!(rows.starts_with(&format!("{newest}stock issued,{position}stock issued,")), "{rows}");
    // What is not of the type is not there, and what came as text is text.
    assert_eq!(browser.text("document.title").await, "Events · console · Ledger");
    assert_eq!(browser.text("document.querySelectorAll('#events tbody tr')[1].cells[4].textContent").await, HOSTILE);
    browser.click("#events tbody a").await;
    browser.until_at(&format!("/console/events/{newest}")).await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_the_ledger_becomes_markup() {
    let stage = stage().await;
    let (browser, c) = (&stage.browser, stage.node.client(&stage.tenant));
    c.put("/v1/items/EVIL", &json!({"name": HOSTILE, "unit": "each"})).await.expect(201);
    c.put("/v1/locations/HELL", &json!({"name": HOSTILE})).await.expect(201);
    c.put("/v1/accounts/6666", &json!({"name": HOSTILE, "account_type": "expense"})).await.expect(201);
    let receipt = json!({"sku": "EVIL", "location": "HELL", "quantity": "9", "unit_cost": "1", "reference": HOSTILE});
    c.post("/v1/stock/receipts", &receipt).await.expect(201);
    let hold = json!({"id": "EVIL-1", "owner": HOSTILE, "ttl_seconds": 900, "lines": [{"sku": "EVIL", "location": "HELL", "quantity": "1"}]});
    c.post("/v1/reservations", &hold).await.expect(201);
    let entry = json!({"id": "EVIL-2", "description": HOSTILE, "reference": HOSTILE,
        "postings": [{"account": "6666", "debit": "5", "memo": HOSTILE}, {"account": "7000", "credit": "5"}]});
    let last = c.post("/v1/journal/entries", &entry).await.expect(201).position();
    c.get_at("/v1/overview", last).await.expect(200);
    let event = format!("/console/events/{last}");
    let hostile_search = format!("/console/stock?search={}", urlencoded(HOSTILE));
    for path in [
        "/console",
        "/console/stock",
        "/console/stock/EVIL",
        "/console/stock/EVIL/HELL",
        "/console/locations",
        "/console/locations/HELL",
        "/console/reservations",
        "/console/reservations/EVIL-1",
        "/console/journal",
        "/console/journal/EVIL-2",
        "/console/accounts",
        "/console/accounts/6666",
        "/console/reports/trial-balance",
        "/console/reports/general-ledger",
        "/console/reports/inventory-valuation",
        "/console/events",
        &event,
        &hostile_search,
        "/console/nothing/<script>",
    ] {
        browser.open(path).await;
        let title = browser.text("document.title").await;
        assert!(title.ends_with("· console · Ledger"), "{path}: {title}");
        assert_eq!(browser.text("document.querySelectorAll('main script, main img').length").await, "0", "{path}");
        let complaints = browser.complaints().await;
        let others = complaints.iter().filter(|c| !c.contains("status of 404"));
        assert_eq!(others.count(), 0, "{path}: {complaints:?}");
    }
    browser.open("/console/stock/EVIL").await;
    assert!(browser.text("document.querySelector('main').textContent").await.contains(HOSTILE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_in_and_leaves_no_key_behind() {
    let Stage { browser, world, tenant, node: _node, .. } = stage().await;
    browser.click(".who button").await;
    browser.until_at("/console/login").await;
    browser.open("/console").await;
    browser.until_at("/console/login?back=%2Fconsole").await;
    browser.type_into("input[name=key]", &format!("lk_1_no_such_key{ENTER}")).await;
    browser
        .until("return document.querySelector('.note.bad') !== null && document.documentElement.dataset.ready === 'true'")
        .await;
    browser.open("/console/docs").await;
    browser.open(&format!("/console/login?back=%2Fconsole%2Fstock#{}", tenant.key)).await;
    browser.until_at("/console/stock").await;
    let traces = browser.text("[location.href, document.cookie, document.referrer, JSON.stringify(localStorage), document.documentElement.outerHTML].join()").await;
    assert!(!traces.contains(&tenant.key) && !traces.contains("ledger_console"), "{traces}");
    // A key that is taken back ends its sessions: what the browser has proves it no more.
    let id = tenant.key.split('_').nth(2).unwrap();
    world.ledgerd(&["key", "revoke", "--tenant", &tenant.code, id]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while browser.text("location.pathname").await != "/console/login" {
        assert!(Instant::now() < deadline, "the session goes on");
        browser.open("/console/journal").await;
    }
    assert!(browser.text("document.body.textContent").await.contains("Your session has ended"));
}

fn urlencoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// Bare HTTP without redirects being followed.
struct Bare {
    http: reqwest::Client,
    base: String,
}

impl Bare {
    fn new(node: &Node) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, base: node.url.clone() }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, json: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(Method::GET, path, &[("cookie", cookie)], None).await
    }

    async fn sign_in(&self, key: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, "/console/login", headers, Some(&format!("key={key}&back=%2Fconsole%2Fstock"))).await
    }
}

/// A session's cookie for a key, made as the server makes it, with an end of the caller's choice.
fn cookie(key: &str, until: i64) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};
    let mut parts = key.strip_prefix("lk_").unwrap().splitn(3, '_');
    let said = format!("{}.{}.{until}", parts.next().unwrap(), parts.next().unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(key.as_bytes())).unwrap();
    mac.update(b"ledger console session\0");
    mac.update(said.as_bytes());
    let proof: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("ledger_console={said}.{proof}")
}

fn now() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_proofs_that_end_and_read_only() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let (tenant, other) = (world.tenant("one"), world.tenant("two"));
    fill(&node.client(&tenant)).await;
    let bare = Bare::new(&node);

    let signed = bare.sign_in(&tenant.key, &[("origin", &node.url)]).await.expect(303);
    assert_eq!(signed.header("location"), "/console/stock");
    let set = signed.header("set-cookie").to_owned();
    for part in ["ledger_console=", "; Path=/console;", "; Max-Age=43200;", "; HttpOnly;", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains(tenant.key.rsplit('_').next().unwrap()), "{set}");
    let secure =
        bare.sign_in(&tenant.key, &[("sec-fetch-site", "same-origin"), ("x-forwarded-proto", "https")]).await.expect(303);
    assert!(secure.header("set-cookie").ends_with("; Secure"));
    let own = set.split(';').next().unwrap().to_owned();
    assert!(bare.get("/console/stock", &own).await.expect(200).text.contains("GRINDER"));
    assert!(bare.get("/console/stock", &cookie(&tenant.key, now() + 60)).await.expect(200).text.contains("GRINDER"));
    assert!(!bare.get("/console/stock", &cookie(&other.key, now() + 60)).await.expect(200).text.contains("GRINDER"));

    // Over, altered, of another key, or none: back to the form.
    let later = own.replacen(&own.split('.').nth(2).unwrap().to_owned(), &(now() + 999_999).to_string(), 1);
    let foreign = own.replacen(&format!("={}.", tenant.number), &format!("={}.", other.number), 1);
    for bad in [cookie(&tenant.key, now() - 1).as_str(), &later, &foreign, "ledger_console=1.2.3.4", "ledger_console=", "x=y"] {
        let answer = bare.get("/console/stock?search=a", bad).await.expect(303);
        assert!(answer.header("location").starts_with("/console/login?back=%2Fconsole%2Fstock%3Fsearch%3Da"), "{bad}");
        let scripted =
            bare.send(Method::GET, "/console/stock", &[("cookie", bad), ("hx-request", "true")], None).await.expect(401);
        assert!(scripted.header("hx-redirect").starts_with("/console/login"), "{bad}");
        bare.send(Method::GET, "/console/events/live", &[("cookie", bad), ("accept", "text/event-stream")], None)
            .await
            .expect(401);
    }
    // The proof is none to the API, and what the console can ask for on behalf of a session is fixed.
    bare.get("/v1/items", &own).await.refused(401, "unauthenticated");
    let bearer = format!("Bearer {}", own.trim_start_matches("ledger_console="));
    bare.send(Method::GET, "/v1/items", &[("authorization", &bearer)], None).await.refused(401, "unauthenticated");

    bare.sign_in("lk_1_abc_def", &[]).await.expect(401);
    bare.sign_in("%3Cscript%3E", &[]).await.expect(401);
    bare.sign_in(&"k".repeat(20_000), &[]).await.expect(413);
    for headers in [&[("origin", "https://evil.example")][..], &[("origin", "null")], &[("sec-fetch-site", "cross-site")]] {
        bare.sign_in(&tenant.key, headers).await.expect(403);
        bare.send(Method::POST, "/console/audit/verify", headers, Some("token=x")).await.expect(403);
    }
    // Forms carry a token of their session.
    for path in ["/console/logout", "/console/audit/verify"] {
        let answer = bare.send(Method::POST, path, &[("cookie", &own)], Some("token=0123")).await;
        assert_eq!(answer.status, 403, "{path}");
    }
    let page = bare.get("/console", &own).await.expect(200).text;
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let out = bare.send(Method::POST, "/console/logout", &[("cookie", &own)], Some(&format!("token={token}"))).await.expect(303);
    assert!(out.header("set-cookie").starts_with("ledger_console=; ") && out.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_what_a_browser_may_do_with_them() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("headers");
    fill(&node.client(&tenant)).await;
    let bare = Bare::new(&node);
    let own = cookie(&tenant.key, now() + 600);
    for path in ["/console", "/console/stock", "/console/login", "/console/nowhere", "/console/stock/NONE"] {
        let answer = bare.get(path, &own).await;
        assert_eq!(answer.status, if path.ends_with("NONE") || path.ends_with("nowhere") { 404 } else { 200 }, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';") && !policy.contains("unsafe"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cache-control"), "private, no-store");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        for fetched in [" style=\"", " onclick", "http://", "https://", "<style"] {
            assert!(!answer.text.contains(fetched), "{path}: {fetched}");
        }
    }
    // Whatever a page names of ours is there, for a year, under a name that changes with it.
    let page = bare.get("/console", &own).await.text;
    let assets: Vec<&str> = page.split('"').filter(|part| part.starts_with("/console/assets/")).collect();
    assert!(assets.len() >= 5, "{assets:?}");
    for asset in assets {
        let answer = bare.get(asset, "").await.expect(200);
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{asset}");
        let stale = bare.get(&format!("/console/assets/0/{}", asset.rsplit('/').next().unwrap()), "").await.expect(200);
        assert_eq!(stale.header("cache-control"), "no-store");
    }
    bare.get("/console/assets/0/..%2Fmod.rs", "").await.expect(404);
    // Figures are the API's characters, whatever stands between them for the eye.
    let account = bare.get("/console/accounts/7000", &own).await.expect(200).text;
    assert!(account.contains("-1<span class=\"k\">234</span><span class=\"k\">567</span>.89"));
    // Colours are chosen without a script too, and the way back stays here.
    let chosen = bare.get("/console/theme?to=dark&back=%2Fconsole%2Fstock", &own).await.expect(303);
    assert_eq!(chosen.header("location"), "/console/stock");
    assert!(chosen.header("set-cookie").starts_with("ledger_theme=dark; "));
    assert_eq!(bare.get("/console/theme?to=x&back=%2F%2Fevil.example", &own).await.expect(303).header("location"), "/console");
    assert!(bare.get("/console/stock", &format!("{own}; ledger_theme=dark")).await.text.contains("data-theme=\"dark\""));
    // Reports leave the console as files and as pages for printers, which have a policy of their own.
    let csv = bare.get("/console/reports/trial-balance/csv", &own).await.expect(200);
    assert!(csv.header("content-type").starts_with("text/csv") && csv.text.starts_with("row,"), "{}", csv.text);
    let html = bare.get("/console/reports/trial-balance/html", &own).await.expect(200);
    assert!(
        html.header("content-security-policy").contains("style-src 'unsafe-inline'")
            && !html.header("content-security-policy").contains("script")
    );
    bare.get("/console/reports/trial-balance/pdf", &own).await.expect(404);
}

/// What the console needed of the API, which has it for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_searches_and_looks_back_as_the_console_does() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let tenant = world.tenant("search");
    let c = node.client(&tenant);
    let last = fill(&c).await;
    c.put("/v1/items/100%_A", &json!({"name": "Blue Café mug"})).await.expect(201);
    let last = c.put("/v1/items/ZED", &json!({"name": "Red mug"})).await.expect(201).position().max(last);
    c.get_at("/v1/overview", last).await.expect(200);
    let found = async |search: &str| -> Vec<String> {
        let answer = c.get(&format!("/v1/items?search={}", urlencoded(search))).await.expect(200).json;
        answer["data"].as_array().unwrap().iter().map(|item| item["sku"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("MUG").await, ["100%_A", "ZED"]);
    assert_eq!(found("mug café").await, ["100%_A"]);
    assert_eq!(found("%").await, ["100%_A"]);
    assert_eq!(found("_").await, ["100%_A"]);
    assert_eq!(found("none").await, Vec::<String>::new());
    c.get(&format!("/v1/items?search={}", "a+".repeat(9))).await.refused(400, "parameter_invalid");
    let first = c.get("/v1/items?search=mug&limit=1").await.expect(200).json;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(c.get(&format!("/v1/items?search=mug&limit=1&cursor={cursor}")).await.expect(200).json["data"][0]["sku"], "ZED");
    c.get(&format!("/v1/items?search=other&cursor={cursor}")).await.refused(400, "cursor_invalid");
    assert_eq!(c.get("/v1/locations?search=shop").await.json["data"][0]["code"], "SHOP");
    assert_eq!(c.get("/v1/accounts?search=fee").await.json["data"][0]["code"], "7100");

    // At a place, item by item, as the item's own answer has it.
    let at_main = c.get("/v1/locations/MAIN/stock").await.expect(200).json;
    for level in at_main["data"].as_array().unwrap() {
        let own = c.get(&format!("/v1/stock/{}/MAIN", level["sku"].as_str().unwrap())).await.expect(200).json;
        for field in ["on_hand", "available", "reserved", "value", "position"] {
            assert_eq!(level[field], own[field], "{field} of {level}");
        }
    }
    assert_eq!(at_main["data"].as_array().unwrap().len(), 2);
    c.get("/v1/locations/NOWHERE/stock").await.refused(404, "unknown_location");

    // From either end the same events, movements and entries.
    let positions = |answer: &Answer| -> Vec<i64> {
        answer.json["data"].as_array().unwrap().iter().map(|e| e["position"].as_i64().unwrap()).collect()
    };
    let mut forwards = positions(&c.get("/v1/events?limit=1000").await.expect(200));
    forwards.reverse();
    let (mut backwards, mut before) = (Vec::new(), i64::MAX);
    loop {
        let page = c.get(&format!("/v1/events?order=newest&limit=3&before={before}")).await.expect(200);
        backwards.extend(positions(&page));
        before = page.json["next_before"].as_i64().unwrap();
        if page.json["more"] == false {
            break;
        }
        assert!(page.header("link").contains(&format!("before={before}")));
    }
    assert_eq!((backwards, forwards.first()), (forwards.clone(), Some(&last)));
    for filter in ["type=stock_received", "stream=item-GRINDER", "stream=item-GRINDER&type=stock_issued", "stream=none-such"] {
        let mut all = positions(&c.get(&format!("/v1/events?{filter}&limit=1000")).await.expect(200));
        all.reverse();
        let newest = c.get(&format!("/v1/events?{filter}&order=newest&limit=1000")).await.expect(200);
        assert_eq!(positions(&newest), all, "{filter}");
    }
    c.get("/v1/events?before=3").await.refused(400, "parameter_invalid");
    c.get("/v1/events?order=newest&after=3").await.refused(400, "parameter_invalid");
    let mut card = positions(&c.get("/v1/stock/GRINDER/MAIN/card").await.expect(200));
    let newest = c.get("/v1/stock/GRINDER/MAIN/card?order=newest&limit=2").await.expect(200);
    card.reverse();
    assert_eq!((positions(&newest).as_slice(), card.len()), (&card[..2], 3));
    let rest = newest.json["next_cursor"].as_str().unwrap();
    assert_eq!(
        positions(&c.get(&format!("/v1/stock/GRINDER/MAIN/card?order=newest&limit=2&cursor={rest}")).await.expect(200)),
        card[2..]
    );
    let issued = c.get("/v1/stock/GRINDER/MAIN/card?type=stock_issued").await.expect(200).json;
    assert_eq!((issued["data"].as_array().unwrap().len(), &issued["data"][0]["quantity"]), (1, &json!("-5")));
    assert_eq!(positions(&c.get("/v1/stock/GRINDER/MAIN/card?from=2100-01-01").await.expect(200)), Vec::<i64>::new());
    assert_eq!(positions(&c.get("/v1/stock/GRINDER/MAIN/card?to=2100-01-01&order=newest").await.expect(200)), card);
    c.get("/v1/stock/GRINDER/MAIN/card?type=eaten").await.refused(400, "parameter_invalid");

    // One event has its command, whichever of the command's events it is.
    let steps = json!({"commands": [{"type": "define_item", "sku": "T1", "name": "t"}, {"type": "define_item", "sku": "T2", "name": "t"}]});
    let done = c.post("/v1/transactions", &steps).await.expect(201).position();
    let (first, second) = (
        c.get(&format!("/v1/events/{}", done - 1)).await.expect(200).json,
        c.get(&format!("/v1/events/{done}")).await.expect(200).json,
    );
    assert_eq!((&second["command"]["id"], &second["command_position"]), (&first["command"]["id"], &json!(done - 1)));
    assert_eq!((&second["stream"], &second["command"]["events"]), (&json!("item-T2"), &json!(2)));
    c.get("/v1/events/999999").await.refused(404, "not_found");
    c.get("/v1/events/0").await.refused(404, "not_found");

    // Every point of a history is the as-of answer for its time.
    let history = c.get("/v1/items/GRINDER/history?points=5").await.expect(200).json;
    let points = history["points"].as_array().unwrap();
    assert_eq!(points.len(), 5);
    for point in points {
        let then = c.get(&format!("/v1/stock/GRINDER?as_of={}", point["at"].as_str().unwrap())).await.expect(200).json;
        assert_eq!((&point["on_hand"], &point["value"]), (&then["on_hand"], &then["value"]), "{point}");
    }
    let at_shop = c.get("/v1/items/GRINDER/history?location=SHOP&points=2").await.expect(200).json;
    assert_eq!(at_shop["points"][1]["on_hand"], "7");
    assert_eq!(c.get("/v1/items/ZED/history").await.expect(200).json["points"], json!([]));
    c.get("/v1/items/NONE/history").await.refused(404, "unknown_item");
    c.get("/v1/items/GRINDER/history?points=1").await.refused(400, "parameter_invalid");
    c.get("/v1/items/GRINDER/history?from=2030-01-02&to=2030-01-01").await.refused(400, "parameter_invalid");

    let overview = c.get_at("/v1/overview", done).await.expect(200).json;
    assert_eq!((&overview["head"]["position"], &overview["views"]), (&json!(done), &json!({"position": done, "behind": 0})));
    assert_eq!(overview["open_holds"], json!({"count": 1, "is_cut": false}));
    let counted: i64 = overview["activity"].as_array().unwrap().iter().map(|m| m["events"].as_i64().unwrap()).sum();
    assert_eq!(counted, done, "all of it was recorded within the hour: {overview}");
}
