//! Books exported for Beancount and hledger, read by the real programs: no error, and every figure is ours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::cli::real_input;
use crate::harness::{Client, Parts, Tenant, World};

/// Every type of event that posts or moves goods.
const MOVING: [&str; 24] = [
    "stock_received",
    "stock_issued",
    "stock_returned",
    "stock_returned_to_supplier",
    "stock_adjusted",
    "stock_scrapped",
    "stock_revalued",
    "stock_settled",
    "stock_transferred",
    "stock_status_changed",
    "stock_assembled",
    "stock_disassembled",
    "stock_cost_added",
    "standard_cost_changed",
    "reservation_committed",
    "transfer_dispatched",
    "transfer_received",
    "transfer_cancelled",
    "count_posted",
    "journal_entry_posted",
    "journal_entry_reversed",
    "journal_entry_settled",
    "currency_revalued",
    "year_closed",
];

/// Figures by our codes; none that are zero.
type Figures = BTreeMap<String, Decimal>;

/// A program of the auditors': where `deploy/install-auditors` puts it, or on PATH.
fn auditor(name: &str, installed: &str) -> PathBuf {
    let home = std::env::var("XDG_DATA_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.local/share")));
    let dirs = [Some("/var/lib".to_owned()), home.ok()].into_iter().flatten();
    let installed = dirs.map(|dir| Path::new(&dir).join("ledgerd/auditors").join(installed));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = installed.chain(std::env::split_paths(&path).map(|dir| dir.join(name))).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run deploy/install-auditors"))
}

/// What a program that must succeed printed.
fn run(program: &Path, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).env("LC_ALL", "C.UTF-8").env("BEANCOUNT_DISABLE_LOAD_CACHE", "1").output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {args:?}: {err}{out}", program.display());
    out
}

fn add(figures: &mut Figures, key: &str, number: &str) {
    *figures.entry(key.to_owned()).or_default() += number.parse::<Decimal>().unwrap();
}

fn not_zero(mut figures: Figures) -> Figures {
    figures.retain(|_, number| !number.is_zero());
    figures
}

/// Two columns of a CSV, the second added up per value of the first.
fn column(csv: &str, key: &str, number: &str) -> Figures {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let heading = reader.headers().unwrap().clone();
    let at = |name: &str| heading.iter().position(|h| h == name).unwrap_or_else(|| panic!("no column {name}: {csv}"));
    let (key, number) = (at(key), at(number));
    let mut figures = Figures::new();
    for record in reader.records() {
        let record = record.unwrap();
        // The mark against formulas is of the CSV, not of the code.
        let code = record[key].strip_prefix('\'').filter(|c| c.starts_with(['=', '+', '-', '@'])).unwrap_or(&record[key]);
        add(&mut figures, code, &record[number]);
    }
    not_zero(figures)
}

fn export(world: &World, tenant: &str, what: &str) -> String {
    let (code, out, err) = world.ledgerd_any(&["export", "--tenant", tenant, what]);
    assert_eq!(code, 0, "export {what}: {err}");
    out
}

/// Beancount's own figures, after its checker has passed the file.
fn beancount(file: &Path) -> Value {
    let check = auditor("bean-check", "venv/bin/bean-check");
    run(&check, &[file.to_str().unwrap()]);
    // The checker's first line names the interpreter that has Beancount.
    let script = std::fs::read_to_string(&check).unwrap();
    let python = script.lines().next().and_then(|line| line.strip_prefix("#!")).expect("bean-check is a script").trim();
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/auditors.py");
    serde_json::from_str(&run(Path::new(python), &[reader.to_str().unwrap(), file.to_str().unwrap()])).unwrap()
}

fn figures(of: &Value) -> Figures {
    let mut figures = Figures::new();
    for (key, number) in of.as_object().unwrap() {
        add(&mut figures, key, number.as_str().unwrap());
    }
    not_zero(figures)
}

/// Units per item and layer, of the lots that are layers.
fn layers(of: &Value) -> Figures {
    let mut figures = Figures::new();
    for lot in of.as_array().unwrap() {
        let text = |at: usize| lot[at].as_str().unwrap();
        if let Some(layer) = text(1).strip_prefix("layer ") {
            let number = layer.split(',').next().unwrap();
            add(&mut figures, &format!("{} {number}", text(0)), text(2));
        }
    }
    not_zero(figures)
}

/// Names that a journal declares, with the code that the tag gives of each.
fn declared(journal: &str, directive: &str, tag: &str) -> BTreeMap<String, String> {
    let lines = journal.lines().filter_map(|line| line.strip_prefix(directive)?.split_once("  ; "));
    let decoded = |text: &str| {
        let bytes = text.as_bytes();
        let (mut at, mut out) = (0, Vec::new());
        while at < bytes.len() {
            let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
            out.push(code.unwrap_or(bytes[at]));
            at += if code.is_some() { 3 } else { 1 };
        }
        String::from_utf8(out).unwrap()
    };
    let names: BTreeMap<String, String> = lines
        .filter_map(|(name, tags)| {
            let code = tags.split(", ").find_map(|t| t.strip_prefix(tag))?;
            Some((
                name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').trim_matches('"').to_owned(),
                decoded(code),
            ))
        })
        .collect();
    let codes: std::collections::BTreeSet<&String> = names.values().collect();
    assert_eq!(codes.len(), names.len(), "{names:?}");
    names
}

/// hledger's balances at cost by account, its units by item, and of foreign currencies by account, after its strict check.
fn hledger(file: &Path) -> (Figures, Figures, Figures) {
    let (program, name) = (auditor("hledger", "bin/hledger"), file.to_str().unwrap());
    run(&program, &["-f", name, "check", "--strict"]);
    let journal = std::fs::read_to_string(file).unwrap();
    let (accounts, items) = (declared(&journal, "account ", "code:"), declared(&journal, "commodity ", "sku:"));
    let rows = |args: &[&str]| -> Vec<[String; 3]> {
        let common = ["-f", name, "balance", "--flat", "--no-total", "--layout=bare", "-O", "csv"];
        let csv = run(&program, &[common.as_slice(), args].concat());
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.headers().unwrap(), vec!["account", "commodity", "balance"]);
        reader.records().map(|r| r.unwrap()).map(|r| [r[0].to_owned(), r[1].to_owned(), r[2].to_owned()]).collect()
    };
    let (mut at_cost, mut units, mut foreign) = (Figures::new(), Figures::new(), Figures::new());
    for [account, commodity, number] in rows(&["--cost"]) {
        assert!(commodity == "EUR" || commodity.is_empty(), "{account}: {number} {commodity} at cost");
        add(&mut at_cost, &accounts[&account], &number);
    }
    for [account, commodity, number] in rows(&[]) {
        if let Some(sku) = items.get(&commodity) {
            add(&mut units, sku, &number);
        } else if commodity == "USD" || commodity == "JPY" {
            add(&mut foreign, &format!("{} {commodity}", accounts[&account]), &number);
        } else {
            assert!(commodity == "EUR" || commodity.is_empty(), "{number} {commodity}");
        }
    }
    (not_zero(at_cost), not_zero(units), not_zero(foreign))
}

/// Exports a tenant's books in both syntaxes and compares all that the programs say with our own exports; answers
/// Beancount's figures and both texts.
fn agrees(world: &World, tenant: &Tenant, dir: &Path) -> (Value, String, String) {
    let balances = column(&export(world, &tenant.code, "balances"), "account", "balance");
    let stock = column(&export(world, &tenant.code, "stock"), "sku", "on_hand");
    assert!(!balances.is_empty() && !stock.is_empty());
    let write = |what: &str| {
        let (text, file) = (export(world, &tenant.code, what), dir.join(format!("{}.{what}", tenant.code)));
        std::fs::write(&file, &text).unwrap();
        (text, file)
    };
    let (beans, file) = write("beancount");
    let read = beancount(&file);
    assert_eq!(figures(&read["accounts"]), balances, "Beancount's balances at cost");
    assert_eq!(figures(&read["items"]), stock, "Beancount's units");
    let (journal, file) = write("hledger");
    let (at_cost, units, foreign) = hledger(&file);
    assert_eq!(at_cost, balances, "hledger's balances at cost");
    assert_eq!(units, stock, "hledger's units");
    assert_eq!(foreign, figures(&read["foreign"]), "both programs' foreign currencies");
    (read, beans, journal)
}

fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("ledgerd-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

async fn ok(c: &Client, path: &str, body: Value) -> i64 {
    c.post(path, &body).await.expect(201).position()
}

/// Codes and names that mean something else in either syntax, and places.
async fn nasty_catalogue(c: &Client) {
    for (code, body) in [
        ("NORTH", json!({})),
        ("N1", json!({"parent": "NORTH"})),
        ("N2", json!({"parent": "NORTH"})),
        ("S; \"o\", [1/2]", json!({"name": "South\n\"; x"})),
        ("TRUCK", json!({"kind": "transit"})),
    ] {
        c.put(&format!("/v1/locations/{}", escaped(code)), &body).await.expect(201);
    }
    for (code, body) in [
        ("10", json!({"name": "Bank; \"main\":  (current)\n", "account_type": "asset"})),
        ("10 x", json!({"name": "", "account_type": "asset", "parent": "10"})),
        ("10-x", json!({"name": "", "account_type": "asset", "parent": "10"})),
        ("10:x", json!({"name": "Größe 日本 %3A", "account_type": "expense", "parent": "10 x"})),
        ("lower", json!({"name": "[virtual] ; no", "account_type": "revenue"})),
        ("(10)", json!({"name": "é", "account_type": "equity"})),
    ] {
        c.put(&format!("/v1/accounts/{}", escaped(code)), &body).await.expect(201);
    }
    for (sku, body) in [
        ("85123A", json!({"name": "White \"hanging\" heart; 100% cotton\n"})),
        ("85123a", json!({"method": "fifo", "scale": 3})),
        ("=TEA; \"fine\", 茶", json!({"method": "fifo"})),
        ("TRUE", json!({"pool": "tenant"})),
        ("EUR", json!({"method": "standard", "standard_cost": "3.333"})),
        ("X", json!({"negative_stock": "allow"})),
        ("Y", json!({"negative_stock": "allow", "method": "fifo"})),
        ("MILK", json!({"tracking": "lot", "method": "fifo"})),
        ("CREAM", json!({"tracking": "lot"})),
        ("PHONE", json!({"tracking": "serial", "method": "specific"})),
        ("TO-FIFO", json!({})),
        ("TO-AVERAGE", json!({"method": "fifo"})),
        ("SET", json!({"components": [{"sku": "X", "quantity": "2"}, {"sku": "85123A", "quantity": "1"}]})),
    ] {
        c.put(&format!("/v1/items/{}", escaped(sku)), &body).await.expect(201);
    }
}

/// A code as part of a path.
fn escaped(code: &str) -> String {
    code.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn line(sku: &str, location: &str, quantity: &str) -> Value {
    json!({"sku": sku, "location": location, "quantity": quantity})
}

fn with(mut body: Value, more: Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Receipts, sales, returns and changes of value that do not come out even.
async fn trade(c: &Client) {
    let nasty = json!({"reference": "PO \"7\"; a, b [1/2]\nline 2 \\n", "effective_at": "2026-02-03T23:59:59Z"});
    for (sku, quantity, total) in [
        ("85123A", "3", "10.00"),
        ("85123a", "1.250", "4.99"),
        ("85123a", "7.001", "0.01"),
        ("=TEA; \"fine\", 茶", "7", "20.00"),
        ("TRUE", "9", "10.00"),
        ("EUR", "7", "20.00"),
        ("X", "11", "1.00"),
        ("TO-FIFO", "7", "10.00"),
        ("TO-AVERAGE", "7", "10.00"),
    ] {
        let body = with(with(line(sku, "N1", quantity), json!({"total_cost": total})), nasty.clone());
        ok(c, "/v1/stock/receipts", body).await;
    }
    let receipt = ok(c, "/v1/stock/receipts", with(line("=TEA; \"fine\", 茶", "N1", "3"), json!({"total_cost": "10.00"}))).await;
    // Recorded late: it happened before anything else.
    let early = with(line("85123A", "N1", "3"), json!({"unit_cost": "0", "effective_at": "2025-12-31T00:00:00Z"}));
    ok(c, "/v1/stock/receipts", early).await;
    let sold = ok(c, "/v1/stock/issues", line("=TEA; \"fine\", 茶", "N1", "8")).await;
    for (sku, quantity) in
        [("85123A", "1"), ("85123a", "1.300"), ("TRUE", "2"), ("EUR", "2"), ("TO-FIFO", "2"), ("TO-AVERAGE", "2")]
    {
        ok(c, "/v1/stock/issues", line(sku, "N1", quantity)).await;
    }
    ok(c, "/v1/stock/issues", with(line("85123A", "N1", "1"), json!({"stated_cost": "0.77"}))).await;
    ok(c, "/v1/stock/returns", with(line("=TEA; \"fine\", 茶", "N1", "2"), json!({"original": sold}))).await;
    ok(c, "/v1/stock/supplier-returns", with(line("=TEA; \"fine\", 茶", "N1", "1"), json!({"receipt": receipt}))).await;
    for (receipt, amount, kind) in [(receipt, "1.01", "landed_cost"), (receipt, "-0.05", "price_difference")] {
        ok(c, "/v1/stock/added-costs", json!({"receipt": receipt, "amount": amount, "kind": kind})).await;
    }
    ok(c, "/v1/stock/adjustments", json!({"sku": "85123a", "location": "N1", "difference": "-0.1", "reason": "LOST"})).await;
    ok(c, "/v1/stock/adjustments", json!({"sku": "85123A", "location": "N1", "difference": "1", "reason": "FOUND"})).await;
    ok(c, "/v1/stock/scraps", with(line("85123A", "N1", "1"), json!({"reason": "BROKEN"}))).await;
    for body in [
        json!({"sku": "85123a", "location": "N1", "value_change": "0.07"}),
        json!({"sku": "TO-AVERAGE", "location": "N1", "value_change": "-0.50"}),
        json!({"sku": "TRUE", "location": "N1", "net_realisable_value": "0.50"}),
        json!({"sku": "EUR", "standard_cost": "3.34"}),
    ] {
        ok(c, "/v1/stock/revaluations", body).await;
    }
    // Methods change under what is on hand, and it goes on.
    c.put("/v1/items/TO-FIFO", &json!({"method": "fifo"})).await.expect(201);
    c.put("/v1/items/TO-AVERAGE", &json!({})).await.expect(201);
    for sku in ["TO-FIFO", "TO-AVERAGE"] {
        ok(c, "/v1/stock/receipts", with(line(sku, "N1", "3"), json!({"total_cost": "5.00"}))).await;
        ok(c, "/v1/stock/issues", line(sku, "N1", "6")).await;
    }
}

/// Stock below zero, settled whole and in part; one stays below.
async fn below_zero(c: &Client) {
    for (sku, left, comes) in [("X", "20", "30"), ("Y", "5", "4")] {
        if sku == "Y" {
            ok(c, "/v1/stock/receipts", with(line(sku, "N1", "3"), json!({"total_cost": "10.00"}))).await;
        }
        ok(c, "/v1/stock/issues", line(sku, "N1", left)).await;
        ok(c, "/v1/stock/receipts", with(line(sku, "N1", comes), json!({"total_cost": "7.00"}))).await;
    }
    ok(c, "/v1/stock/issues", line("Y", "N1", "3")).await;
}

/// Lots and serials, from place to place, counted, damaged, made into kits, held and sent.
async fn places(c: &Client) {
    let south = "S; \"o\", [1/2]";
    for (lot, sku, quantity, cost) in
        [("L; \"1\", [1/2]", "MILK", "6", "10.00"), ("L2", "MILK", "6", "5.00"), ("L2", "CREAM", "3", "1.00")]
    {
        ok(c, "/v1/stock/receipts", with(line(sku, "N1", quantity), json!({"total_cost": cost, "lot": lot}))).await;
    }
    let serials = json!({"serials": ["P; 1", "P,\"2\"", "P3"], "total_cost": "100.00"});
    ok(c, "/v1/stock/receipts", with(line("PHONE", "N1", "3"), serials)).await;
    let carried = [
        json!({"sku": "MILK", "from": "N1", "to": south, "quantity": "4", "lot": "L2"}),
        json!({"sku": "PHONE", "from": "N1", "to": "N2", "quantity": "1", "serials": ["P,\"2\""]}),
        json!({"sku": "PHONE", "from": "N1", "to": south, "quantity": "1", "serials": ["P; 1"]}),
        json!({"sku": "85123a", "from": "N1", "to": south, "quantity": "2.345"}),
        json!({"sku": "TO-FIFO", "from": "N1", "to": south, "quantity": "1"}),
        json!({"sku": "TRUE", "from": "N1", "to": south, "quantity": "3"}),
        json!({"sku": "CREAM", "from": "N1", "to": south, "quantity": "1", "lot": "L2"}),
    ];
    for body in carried {
        ok(c, "/v1/stock/transfers", body).await;
    }
    let lines = json!([line("MILK", "", "3"), line("TRUE", "", "2"), line("X", "", "2")]);
    let lines: Vec<Value> =
        lines.as_array().unwrap().iter().map(|l| json!({"sku": l["sku"], "quantity": l["quantity"]})).collect();
    let lines = [with(lines[0].clone(), json!({"lot": "L2"})), lines[1].clone(), lines[2].clone()];
    let send =
        |id: &str| (format!("/v1/stock/transfers/{id}/dispatch"), json!({"from": south, "to": "N2", "lines": &lines[..2]}));
    let (path, body) = send("T1");
    ok(c, &path, body).await;
    let part = json!({"lines": [{"line": 0, "quantity": "2", "damaged": "1"}], "is_final": true});
    ok(c, "/v1/stock/transfers/T1/receive", part).await;
    let back = json!({"from": "N1", "to": south, "lines": [lines[2]]});
    ok(c, "/v1/stock/transfers/T2/dispatch", back.clone()).await;
    ok(c, "/v1/stock/transfers/T2/cancel", json!({})).await;
    // Still under way at the end.
    ok(c, "/v1/stock/transfers/T3/dispatch", back).await;
    ok(c, "/v1/stock/status-changes", with(line("X", "N1", "1"), json!({"from": "sellable", "to": "damaged"}))).await;
    ok(c, "/v1/stock/assemblies", line("SET", "N1", "1")).await;
    ok(c, "/v1/stock/receipts", with(line("85123A", "N1", "2"), json!({"total_cost": "0.05"}))).await;
    ok(c, "/v1/stock/assemblies", line("SET", "N1", "1")).await;
    ok(c, "/v1/stock/disassemblies", line("SET", "N1", "1")).await;
    ok(c, "/v1/stock/counts", json!({"id": "C1", "location": "N1"})).await;
    let counted =
        json!({"lines": [{"sku": "X", "location": "N1", "counted": "5"}, {"sku": "85123a", "location": "N1", "counted": "9"}]});
    ok(c, "/v1/stock/counts/C1/lines", counted).await;
    ok(c, "/v1/stock/counts/C1/post", json!({})).await;
    let order = json!({"id": "O1", "ttl_seconds": 600, "lines": [line("TRUE", "N1", "1"), line("X", "N1", "2")]});
    ok(c, "/v1/reservations", order).await;
    ok(c, "/v1/reservations/O1/commit", json!({})).await;
}

async fn entries(c: &Client) {
    let postings = json!([{"account": "10", "debit": "12.34"}, {"account": "10 x", "debit": "0.01"}, {"account": "10-x", "debit": "2"},
        {"account": "10:x", "debit": "3"}, {"account": "lower", "credit": "17.00"}, {"account": "(10)", "credit": "0.35"}]);
    let text = "Sale; 5% \"off\" | payee\n(2) %41 \\";
    ok(c, "/v1/journal/entries", json!({"id": "E; 1", "description": text, "postings": postings})).await;
    let postings = json!([{"account": "10", "debit": "99999999999999.99"}, {"account": "(10)", "credit": "99999999999999.99"}]);
    ok(c, "/v1/journal/entries", json!({"id": "E2", "postings": postings})).await;
    ok(c, "/v1/journal/entries/E2/reverse", json!({"effective_at": "2026-04-01T00:00:00Z"})).await;
    ok(c, "/v1/journal/entries", json!({"id": "E3", "postings": postings})).await;
    currencies(c).await;
}

/// Dollars and yen: earned, paid at another rate, restated, carried to retained earnings.
async fn currencies(c: &Client) {
    let pair = |debit: &str, credit: &str, currency: &str, amount: &str, rate: &str, day: &str| {
        json!({"effective_at": format!("{day}T09:00:00Z"), "rates": [{"currency": currency, "rate": rate}], "postings": [
            {"account": debit, "debit": amount, "currency": currency}, {"account": credit, "credit": amount, "currency": currency}]})
    };
    for body in [
        pair("1100", "4000", "USD", "333.33", "0.9", "2025-12-31"),
        pair("1000", "1100", "USD", "111.11", "0.95", "2026-01-15"),
        pair("1100", "4000", "JPY", "1", "0.004", "2026-01-16"),
        pair("6000", "2000", "JPY", "12345", "0.00625", "2026-01-17"),
    ] {
        ok(c, "/v1/journal/entries", body).await;
    }
    let mut held = pair("1100", "4000", "USD", "10", "0.9", "2026-01-18");
    (held["id"], held["pending"]) = (json!("H"), json!(true));
    ok(c, "/v1/journal/entries", held).await;
    ok(c, "/v1/journal/entries/H/settle", json!({"amount": "3.33"})).await;
    ok(c, "/v1/journal/revaluations", json!({"currency": "USD", "rate": "1.01", "period": "2026-01"})).await;
    ok(c, "/v1/years/2025/close", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_of_every_kind_of_event_read_the_same_elsewhere() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("nasty");
    let c = node.client(&tenant);
    nasty_catalogue(&c).await;
    trade(&c).await;
    below_zero(&c).await;
    places(&c).await;
    entries(&c).await;
    world.verify_clean("nasty");
    let dir = directory("auditors");
    let (read, beans, journal) = agrees(&world, &tenant, &dir);
    assert_eq!(read["foreign"]["1100 USD"], json!("225.55"), "{}", read["foreign"]);
    // What had layers has them there; what was an average when its method changed stays one lot.
    let mut own = Figures::new();
    let valuation = export(&world, "nasty", "valuation");
    let mut rows = csv::Reader::from_reader(valuation.as_bytes());
    for row in rows.records().map(Result::unwrap).filter(|row| !row[3].is_empty() && &row[0] != "TO-FIFO") {
        add(&mut own, &format!("{} {}", row[0].trim_start_matches('\''), &row[3]), &row[5]);
    }
    let mut there = layers(&read["lots"]);
    there.retain(|key, _| !key.starts_with("TO-FIFO"));
    assert!(own.len() > 4 && there == not_zero(own.clone()), "{there:?} {own:?}");
    // Everything that happened is there once.
    let events = export(&world, "nasty", "events");
    let types: Vec<String> =
        events.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["type"].as_str().unwrap().to_owned()).collect();
    for name in MOVING {
        let happened = types.iter().filter(|t| *t == name).count();
        assert!(happened > 0, "no {name}");
        assert_eq!(beans.matches(&format!(" #{name}\n")).count(), happened, "{name} in Beancount");
        assert_eq!(journal.matches(&format!("; type:{name}, ")).count(), happened, "{name} in hledger");
    }
    assert!(!beans.contains("#item_defined") && !journal.contains("type:item_defined"), "what moves nothing is no transaction");
    for name in [r#""layer 1, lot L; \"1\", [1/2]"}"#, "commodity EUR-2\n", "commodity SKU-85123A-2\n", "commodity TRUE-2\n"] {
        assert!(beans.contains(name), "{name}");
    }
    assert!(beans.contains("2025-12-31 open Assets:1300-Inventory \"NONE\""), "opened on the day of the first fact");
    assert!(journal.contains("reference:PO \"7\"; a%2C b %5B1/2]%0Aline 2 \\n"), "{journal}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Slices of real books; the whole of them reads the same, by hand.
#[tokio::test(flavor = "multi_thread")]
async fn slices_of_real_books_read_the_same_elsewhere() {
    let Some((data, program)) = real_input() else { return };
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let dir = directory("auditors-real");
    for (code, args) in [
        ("retail-average", ["retail", "--method", "moving_average", "--limit-invoices", "300"]),
        ("retail-fifo", ["retail", "--method", "fifo", "--limit-invoices", "300"]),
        ("plant", ["plant", "--mode", "stated", "--limit-movements", "5000"]),
    ] {
        let tenant = world.tenant(code);
        let common = ["--url", &node.url, "--key", &tenant.key, "--data-dir", data.to_str().unwrap()];
        run(&program, &[common.as_slice(), &args].concat());
        let (read, _, _) = agrees(&world, &tenant, &dir);
        assert!(read["transactions"].as_i64().unwrap() > 1_000 && read["prices"].as_i64().unwrap() > 0);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
