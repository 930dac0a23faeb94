//! Money through HTTP: balances on both time axes against a replay, a year of a business with its reports, bad input.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::harness::{Client, Parts, World};

async fn ok(c: &Client, path: &str, body: Value) -> Value {
    c.post(path, &body).await.expect(201).json
}

fn at(answer: &Value) -> i64 {
    answer["position"].as_i64().unwrap()
}

/// Two postings of an amount.
fn entry(debit: &str, credit: &str, amount: &str) -> Value {
    json!({"postings": [{"account": debit, "debit": amount}, {"account": credit, "credit": amount}]})
}

fn with(mut json: Value, field: &str, value: Value) -> Value {
    json[field] = value;
    json
}

fn cents(text: &Value) -> i128 {
    let text = text.as_str().unwrap_or_else(|| panic!("no amount: {text}"));
    text.replace('.', "").parse().unwrap()
}

/// A posting as the log has it, with its place on both axes.
#[derive(Clone, Debug)]
struct Posting {
    position: i64,
    line: i64,
    effective_at: String,
    account: String,
    currency: String,
    amount: i128,
    currency_amount: i128,
}

/// Every posting of a log, read event by event.
async fn postings(c: &Client) -> Vec<Posting> {
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = c.get(&format!("/v1/events?after={after}&limit=1000")).await.expect(200).json;
        let events = page["data"].as_array().unwrap();
        let Some(last) = events.last() else { return found };
        after = last["position"].as_i64().unwrap();
        for event in events {
            let Some(lines) = event["data"]["postings"].as_array() else { continue };
            for (line, p) in (0..).zip(lines) {
                let side = |debit: &str, credit: &str| match (p.get(debit), p.get(credit)) {
                    (Some(amount), None) => cents(amount),
                    (None, Some(amount)) => -cents(amount),
                    _none => 0,
                };
                found.push(Posting {
                    position: after.min(event["position"].as_i64().unwrap()),
                    line,
                    effective_at: event["effective_at"].as_str().unwrap().to_owned(),
                    account: p["account"].as_str().unwrap().to_owned(),
                    currency: p["currency"].as_str().unwrap_or("").to_owned(),
                    amount: side("debit", "credit"),
                    currency_amount: side("currency_debit", "currency_credit"),
                });
            }
        }
    }
}

const ACCOUNTS: [&str; 5] = ["1000", "1100", "2000", "4000", "6000"];

/// One entry dated somewhere in 2025: mostly in order, sometimes anywhere; in euros or dollars; now and then held, settled
/// or reversed.
fn random_command(random: &mut StdRng, number: usize, total: usize) -> Value {
    let day = if random.random_bool(0.6) { 300 * number / total } else { random.random_range(0..300) };
    let effective_at = format!("2025-{:02}-{:02}T{:02}:00:00Z", 1 + day / 30, 1 + day % 28, random.random_range(0..24));
    let other = format!("e{}", random.random_range(0..number.max(1)));
    let verb = random.random_range(0..12);
    let named = |kind: &str| json!({"id": format!("k{number}"), "type": kind, "entry": other, "effective_at": effective_at});
    match verb {
        0 => named("reverse_entry"),
        1 => named("settle_entry"),
        2 => named("void_entry"),
        verb => {
            let (a, b) = (random.random_range(0..5), random.random_range(1..5));
            let amount = format!("{}.{:02}", random.random_range(0..90), random.random_range(1..100));
            let mut body = entry(ACCOUNTS[a], ACCOUNTS[(a + b) % 5], &amount);
            (body["id"], body["type"]) = (json!(format!("k{number}")), json!("post_entry"));
            (body["entry"], body["effective_at"]) = (json!(format!("e{number}")), json!(effective_at));
            if verb < 5 {
                for posting in 0..2 {
                    body["postings"][posting]["currency"] = json!("USD");
                }
                body["rates"] = json!([{"currency": "USD", "rate": format!("0.{}", random.random_range(700..999))}]);
            }
            if verb == 5 {
                body["pending"] = json!(true);
            }
            body
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_on_both_axes_and_statements_are_those_of_a_full_replay() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("axes");
    let c = node.client(&tenant);
    let mut random = StdRng::seed_from_u64(7);
    let total = 900;
    let commands: Vec<Value> = (0..total).map(|n| random_command(&mut random, n, total)).collect();
    let mut last = 0;
    for chunk in commands.chunks(300) {
        let answer = c.post("/v1/batches", &json!({"commands": chunk})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        last = answer.header("ledger-position").parse().unwrap_or(last);
    }
    // The first month is closed with the year before it: its closing postings lie on the axes too.
    let head = ok(&c, "/v1/years/2025/close", json!({})).await;
    last = last.max(at(&head));
    c.get_at("/v1/accounts/1000/balance", last).await.expect(200);
    let all = postings(&c).await;
    assert!(all.len() > 1_000, "{}", all.len());
    for _ in 0..250 {
        let account = ACCOUNTS[random.random_range(0..5)];
        let asked = format!("2025-{:02}-{:02}T12:00:00Z", random.random_range(1..13), random.random_range(1..29));
        let position = random.random_range(0..=last);
        let (by_time, by_position) = match random.random_range(0..3) {
            0 => (true, false),
            1 => (false, true),
            _ => (true, true),
        };
        let mut query = Vec::new();
        if by_time {
            query.push(format!("as_of={asked}"));
        }
        if by_position {
            query.push(format!("as_of_position={position}"));
        }
        let path = format!("/v1/accounts/{account}/balance?{}", query.join("&"));
        let body = c.get(&path).await.expect(200).json;
        let counts = |p: &&Posting| {
            p.account == account && (!by_time || p.effective_at <= asked) && (!by_position || p.position <= position)
        };
        let counted: Vec<&Posting> = all.iter().filter(counts).collect();
        let debits: i128 = counted.iter().map(|p| p.amount.max(0)).sum();
        let credits: i128 = counted.iter().map(|p| -p.amount.min(0)).sum();
        assert_eq!((cents(&body["debits"]), cents(&body["credits"])), (debits, credits), "{path}");
        let dollars: i128 = counted.iter().filter(|p| p.currency == "USD").map(|p| p.currency_amount).sum();
        let shown = body["currencies"].as_array().unwrap().iter().find(|c| c["currency"] == "USD");
        assert_eq!(shown.map_or(0, |c| cents(&c["balance"])), dollars, "{path}");
    }
    for account in ACCOUNTS {
        statement(&c, &all, account, last / 2).await;
        statement(&c, &all, account, last).await;
    }
    world.verify_clean("axes");
}

/// A statement, read page by page, is the account's postings by effective time with the running balance.
async fn statement(c: &Client, all: &[Posting], account: &str, upto: i64) {
    let (from, to) = ("2025-02-10T00:00:00Z", "2025-08-20T00:00:00Z");
    let known = all.iter().filter(|p| p.account == account && p.position <= upto);
    let mut wanted: Vec<&Posting> =
        known.clone().filter(|p| p.effective_at.as_str() >= from && p.effective_at.as_str() <= to).collect();
    wanted.sort_by(|a, b| (&a.effective_at, a.position, a.line).cmp(&(&b.effective_at, b.position, b.line)));
    let mut balance: i128 = known.filter(|p| p.effective_at.as_str() < from).map(|p| p.amount).sum();
    let mut path = format!("/v1/accounts/{account}/statement?from={from}&to={to}&as_of_position={upto}&limit=37");
    let mut wanted = wanted.into_iter();
    loop {
        let page = c.get(&path).await.expect(200).json;
        assert_eq!(cents(&page["opening"]["balance"]), balance, "{path}: {page}");
        for row in page["data"].as_array().unwrap() {
            let p = wanted.next().unwrap_or_else(|| panic!("{path}: a row too many: {row}"));
            balance += p.amount;
            let place = (row["position"].as_i64().unwrap(), row["line"].as_i64().unwrap(), cents(&row["balance"]));
            assert_eq!(place, (p.position, p.line, balance), "{path}");
        }
        assert_eq!(cents(&page["closing"]["balance"]), balance, "{path}");
        match page["next_cursor"].as_str() {
            Some(cursor) => {
                path = format!(
                    "/v1/accounts/{account}/statement?from={from}&to={to}&as_of_position={upto}&limit=37&cursor={cursor}"
                );
            }
            None => break,
        }
    }
    assert!(wanted.next().is_none(), "{path}: rows are missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_to_money_gets_a_clear_answer_and_changes_nothing() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("bad");
    let c = node.client(&tenant);
    c.put("/v1/accounts/9000", &json!({"name": "Closed", "account_type": "expense", "retired": true})).await.expect(201);
    c.put("/v1/accounts/wallet", &json!({"account_type": "liability", "minimum": "0"})).await.expect(201);
    ok(&c, "/v1/journal/entries", with(entry("1000", "4000", "10.00"), "id", "E1".into())).await;
    ok(&c, "/v1/journal/entries/E1/reverse", json!({})).await;
    let held = with(with(entry("1000", "4000", "5.00"), "id", "H1".into()), "pending", true.into());
    ok(&c, "/v1/journal/entries", held).await;
    ok(&c, "/v1/journal/entries/H1/settle", json!({})).await;
    let before = ok(&c, "/v1/periods/2026-01/close", json!({})).await;
    let position = at(&before);
    let lines: Vec<Value> =
        (0..1_001).map(|n| json!({"account": "1000", if n % 2 == 0 { "debit" } else { "credit" }: "1"})).collect();
    let dated = |body: Value| with(body, "effective_at", "2026-01-15T00:00:00Z".into());
    let usd = |amount: &str| json!({"postings": [{"account": "1000", "debit": "10", "currency": "USD"}, {"account": "4000", "credit": amount, "currency": "USD"}]});
    for (path, body, status, code) in [
        (
            "entries",
            entry("1000", "wallet", "1").pointer("/postings/0").map(|p| json!({"postings": [p]})).unwrap(),
            422,
            "lines_out_of_range",
        ),
        ("entries", json!({"postings": lines}), 422, "lines_out_of_range"),
        ("entries", entry("1000", "9000", "1"), 409, "account_closed"),
        ("entries", entry("1000", "nobody", "1"), 404, "unknown_account"),
        ("entries", entry("1000", "4000", "1.001"), 422, "scale_exceeded"),
        ("entries", entry("1000", "4000", "0"), 422, "quantity_not_positive"),
        ("entries", entry("1000", "1300", "1"), 422, "inventory_account"),
        ("entries", dated(entry("1000", "4000", "1")), 409, "period_closed"),
        ("entries", entry("wallet", "4000", "0.01"), 409, "limit_exceeded"),
        ("entries", usd("9"), 422, "entry_unbalanced"),
        ("entries", usd("10"), 422, "rate_required"),
        ("entries/E1/reverse", json!({}), 409, "entry_already_reversed"),
        ("entries/H1/settle", json!({}), 409, "entry_not_pending"),
        ("entries/H1/void", json!({}), 409, "entry_not_pending"),
        ("entries/nobody/settle", json!({}), 404, "unknown_entry"),
    ] {
        let answer = c.post(&format!("/v1/journal/{path}"), &body).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let page = c.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code} has no page");
    }
    let mut unbalanced = entry("1000", "4000", "10.00");
    unbalanced["postings"][1]["credit"] = json!("9.98");
    let refused = c.post("/v1/journal/entries", &unbalanced).await.refused(422, "entry_unbalanced").json;
    let said = ["debits", "credits", "difference"].map(|field| refused[field].as_str().unwrap_or("").to_owned());
    assert_eq!(said, ["10.00", "9.98", "0.02"]);
    c.post("/v1/periods/2099-01/close", &json!({})).await.refused(409, "period_not_over");
    c.post("/v1/periods/2026-01/reopen", &json!({})).await.refused(422, "reason_required");
    assert_eq!(c.post("/v1/periods/2026-13/close", &json!({})).await.status, 400);
    assert_eq!(c.post("/v1/years/soon/close", &json!({})).await.status, 400);
    for path in
        ["statement?from=yesterday", "balance?as_of=2026-02-30", "statement?limit=0", "statement?cursor=x", "balance?nothing=1"]
    {
        assert_eq!(c.get(&format!("/v1/accounts/1000/{path}")).await.status, 400, "{path}");
    }
    c.get("/v1/accounts/nobody/statement").await.refused(404, "unknown_account");
    c.get("/v1/journal/entries/nobody").await.refused(404, "unknown_entry");
    for path in ["trial-balance?format=pdf", "balance-sheet?as_of=x", "aged-receivables?days=x"] {
        assert_eq!(c.get(&format!("/v1/reports/{path}")).await.status, 400, "{path}");
    }
    let events = c.get(&format!("/v1/events?after={position}")).await.expect(200).json;
    assert_eq!(events["data"], json!([]), "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen_and_leaves_nothing() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("dry");
    let c = node.client(&tenant);
    c.catalogue(&["TEA"]).await;
    let position = c.receive("TEA", "10", "2.00").await.position();
    let dry = async |path: &str, body: &Value| {
        c.send(c.request(reqwest::Method::POST, path).header("dry-run", "true").json(body)).await
    };
    let issue = json!({"sku": "TEA", "location": "MAIN", "quantity": "3"});
    let shown = dry("/v1/stock/issues", &issue).await.expect(200);
    assert_eq!((shown.header("dry-run"), &shown.json["dry_run"]), ("true", &json!(true)));
    assert_eq!(shown.json["result"]["value"], json!("-6.00"));
    let postings = &shown.json["events"][0]["data"]["postings"];
    assert_eq!((&postings[0]["account"], &postings[1]["account"]), (&json!("1300"), &json!("5000")), "{}", shown.text);
    dry("/v1/stock/issues", &with(issue.clone(), "quantity", "11".into())).await.refused(409, "insufficient_stock");
    // A posting rule, seen before it is made: in one transaction with what it would post.
    let rule = json!({"type": "define_posting_rule", "movement": "issue", "class": "default", "account": "6000"});
    let steps = json!({"commands": [rule, with(issue.clone(), "type", "issue".into())]});
    let shown = dry("/v1/transactions", &steps).await.expect(200).json;
    let last = shown["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["data"]["postings"][1]["account"], json!("6000"), "{shown}");
    dry("/v1/journal/entries", &entry("1000", "4000", "1")).await.expect(200);
    let events = c.get(&format!("/v1/events?after={position}")).await.expect(200).json;
    assert_eq!(events["data"], json!([]), "a dry run leaves nothing");
    // A key that a dry run carried is not used up.
    let request = c.request(reqwest::Method::POST, "/v1/stock/issues").header("idempotency-key", "once").json(&issue);
    c.send(request.header("dry-run", "true")).await.expect(200);
    assert!(!c.post_as("/v1/stock/issues", "once", &issue).await.expect(201).is_replay());
}

/// What a report's line of an account says.
fn line<'a>(report: &'a Value, list: &str, account: &str) -> &'a Value {
    let lines = report[list].as_array().unwrap_or_else(|| panic!("no {list}: {report}"));
    lines.iter().find(|l| l["account"] == account).unwrap_or_else(|| panic!("no {account}: {report}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_a_business_is_told_by_its_reports() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("year");
    let c = node.client(&tenant);
    let dated = |body: Value, day: &str| with(body, "effective_at", format!("{day}T12:00:00Z").into());
    for (path, body) in [
        ("dimensions/cost_centre", json!({"name": "Cost centre", "values": ["north", "south"]})),
        ("tax-codes/S25", json!({"name": "Sales 25 %", "rate": "25", "direction": "output", "account": "2200"})),
        ("tax-codes/P25", json!({"name": "Purchases 25 %", "rate": "25", "direction": "input", "account": "1200"})),
        ("accounts/1101", json!({"name": "Export debtors", "account_type": "asset", "parent": "1100"})),
        ("account-sets/liquid", json!({"name": "Liquid funds", "accounts": ["1000", "1100", "1101"]})),
        ("account-sets/all", json!({"name": "All", "accounts": ["1000"], "sets": ["liquid"]})),
    ] {
        c.put(&format!("/v1/{path}"), &body).await.expect(201);
    }
    let sale = json!({"id": "INV-1", "series": "S", "description": "Beans", "postings": [
        {"account": "1100", "debit": "1250.00", "party": "ann", "item": "INV-1", "due_at": "2025-04-30T00:00:00Z"},
        {"account": "4000", "credit": "1000.00", "tax": "S25", "dimensions": {"cost_centre": "north"}},
        {"account": "2200", "credit": "250.00", "tax": "S25"}]});
    let posted = ok(&c, "/v1/journal/entries", dated(sale, "2025-03-31")).await;
    assert_eq!(posted["result"]["number"], json!({"series": "S", "year": 2025, "number": 1}), "{posted}");
    let rent = json!({"postings": [
        {"account": "6000", "debit": "400.00", "tax": "P25", "dimensions": {"cost_centre": "south"}},
        {"account": "1200", "debit": "100.00", "tax": "P25"},
        {"account": "2000", "credit": "500.00", "party": "landlord", "item": "R-1", "due_at": "2025-05-15T00:00:00Z"}]});
    ok(&c, "/v1/journal/entries", dated(rent, "2025-04-15")).await;
    let export = json!({"rates": [{"currency": "USD", "rate": "0.90"}], "postings": [
        {"account": "1101", "debit": "1000.00", "currency": "USD", "party": "bob", "item": "X-1", "due_at": "2025-06-30T00:00:00Z"},
        {"account": "4000", "credit": "1000.00", "currency": "USD", "dimensions": {"cost_centre": "south"}}]});
    ok(&c, "/v1/journal/entries", dated(export, "2025-05-31")).await;
    let paid =
        json!({"postings": [{"account": "1000", "debit": "750.00"}, {"account": "1100", "credit": "750.00", "party": "ann"}]});
    ok(&c, "/v1/journal/entries", dated(paid, "2025-06-01")).await;
    // Bob pays 600 dollars at another rate: a gain of 600 × (0.95 − 0.90).
    let paid = json!({"rates": [{"currency": "USD", "rate": "0.95"}], "postings": [
        {"account": "1000", "debit": "570.00"}, {"account": "1101", "credit": "600.00", "currency": "USD", "party": "bob", "item": "X-1"}]});
    let answer = ok(&c, "/v1/journal/entries", dated(paid, "2025-07-10")).await;
    assert_eq!(answer["result"]["exchange_difference"], json!("30.00"), "{answer}");
    let revalued = ok(&c, "/v1/journal/revaluations", json!({"currency": "USD", "rate": "1.00", "period": "2025-12"})).await;
    assert_eq!(revalued["result"]["total"], json!("40.00"), "{revalued}");

    let income = c.get_at("/v1/reports/income-statement?from=2025-01-01&to=2025-12-31", at(&revalued)).await.expect(200).json;
    let result = |report: &Value| report["result"].as_str().unwrap_or_else(|| panic!("no result: {report}")).to_owned();
    assert_eq!(result(&income), "1570.00", "{income}");
    let sheet = c.get("/v1/reports/balance-sheet?as_of=2025-12-31").await.expect(200).json;
    let totals = &sheet["totals"];
    assert_eq!((&totals["difference"], &totals["balanced"]), (&json!("0.00"), &json!(true)), "{sheet}");
    assert_eq!(sheet["result"]["of_the_year"], json!("1570.00"), "{sheet}");
    let trial = c.get("/v1/reports/trial-balance?as_of=2025-12-31").await.expect(200).json;
    assert_eq!(line(&trial, "accounts", "1101")["balance"], json!("400.00"), "400 dollars at 1.00: {trial}");
    assert_eq!(trial["totals"]["difference"], json!("0.00"));
    let trial = c.get("/v1/reports/trial-balance?as_of=2026-01-01").await.expect(200).json;
    assert_eq!(line(&trial, "accounts", "1101")["balance"], json!("360.00"), "taken back: {trial}");
    let south =
        c.get("/v1/reports/income-statement?from=2025-01-01&to=2025-12-31&dimension=cost_centre:south").await.expect(200).json;
    assert_eq!(result(&south), "500.00", "{south}");
    let vat = c.get("/v1/reports/vat?from=2025-01-01&to=2025-12-31").await.expect(200).json;
    let said = ["output_tax", "input_tax", "net"].map(|field| vat["totals"][field].as_str().unwrap_or("").to_owned());
    assert_eq!(said, ["250.00", "100.00", "150.00"], "{vat}");
    let aged = c.get("/v1/reports/aged-receivables?as_of=2025-07-15").await.expect(200).json;
    let totals: Vec<_> = aged["totals"].as_array().unwrap().iter().map(|t| (t["currency"].clone(), t["total"].clone())).collect();
    assert_eq!(totals, [(json!("EUR"), json!("500.00")), (json!("USD"), json!("400.00"))], "{aged}");
    let aged = c.get("/v1/reports/aged-payables?as_of=2025-07-15").await.expect(200).json;
    assert_eq!((&aged["totals"][0]["total"], &aged["parties"][0]["party"]), (&json!("500.00"), &json!("landlord")), "{aged}");
    let funds = c.get("/v1/account-sets/all/balance?as_of=2025-12-30").await.expect(200).json;
    assert_eq!(funds["balance"], json!("2180.00"), "each account once: {funds}");

    // The year is closed, its report still tells it; then nothing more goes into it.
    let closed = ok(&c, "/v1/years/2025/close", json!({})).await;
    assert_eq!(closed["result"]["result"], json!("1570.00"), "{closed}");
    let sealed = ok(&c, "/v1/periods/2025-12/close", json!({})).await;
    let seal = &sealed["result"]["seal"];
    assert_eq!(seal["position"].as_i64(), Some(at(&closed)), "{sealed}");
    assert_eq!(seal["log_root"].as_str().map(str::len), Some(64));
    let income = c.get_at("/v1/reports/income-statement?from=2025-01-01&to=2025-12-31", at(&sealed)).await.expect(200).json;
    assert_eq!(result(&income), "1570.00", "{income}");
    let trial = c.get("/v1/reports/trial-balance?as_of=2025-12-31").await.expect(200).json;
    assert_eq!(
        [&line(&trial, "accounts", "4000")["balance"], &line(&trial, "accounts", "3100")["balance"]],
        [&json!("0.00"), &json!("-1570.00")]
    );
    let period = c.get("/v1/periods/2025-11").await.expect(200).json;
    assert_eq!(period["status"], json!("closed"), "closed with the one after it: {period}");
    c.post("/v1/journal/entries", &dated(entry("1000", "4000", "1"), "2025-12-31")).await.refused(409, "period_closed");
    for report in [
        "trial-balance",
        "balance-sheet",
        "income-statement?from=2025-01-01&to=2025-12-31",
        "general-ledger?from=2025-01-01&to=2025-12-31",
        "aged-receivables",
        "aged-payables",
        "vat?from=2025-01-01&to=2025-12-31",
        "inventory-valuation",
        "reconciliation",
    ] {
        let as_type = async |accept: &str| {
            c.send(c.request(reqwest::Method::GET, &format!("/v1/reports/{report}")).header("accept", accept)).await
        };
        let csv = as_type("text/csv").await.expect(200);
        assert!(csv.header("content-type").starts_with("text/csv") && csv.text.lines().count() > 1, "{report}: {}", csv.text);
        let html = as_type("text/html").await.expect(200);
        assert!(
            html.text.starts_with("<!doctype html>") && html.text.contains("</table>") && !html.text.contains("<script"),
            "{report}"
        );
    }
    world.verify_clean("year");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_entry_is_void_at_its_instant_in_views_too_and_is_recorded() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("pend");
    let c = node.client(&tenant);
    let held = with(with(with(entry("1000", "4000", "5.00"), "id", "H".into()), "pending", true.into()), "ttl_seconds", 2.into());
    let position = at(&ok(&c, "/v1/journal/entries", held).await);
    let pending = async || c.get_at("/v1/accounts/1000/balance", position).await.expect(200).json["pending_debits"].clone();
    assert_eq!(pending().await, json!("5.00"));
    tokio::time::sleep(std::time::Duration::from_millis(2_050)).await;
    assert_eq!(pending().await, json!("0.00"));
    c.post("/v1/journal/entries/H/settle", &json!({})).await.refused(409, "entry_expired");
    let mut types = BTreeMap::new();
    for _ in 0..100 {
        let events = c.get("/v1/streams/entry-H").await.expect(200).json;
        types = events["data"].as_array().unwrap().iter().map(|e| (e["type"].as_str().unwrap().to_owned(), ())).collect();
        if types.contains_key("journal_entry_expired") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(types.contains_key("journal_entry_expired"), "the sweeper records it: {types:?}");
    world.verify_clean("pend");
}
