//! The same subscriber in Rust, Python and TypeScript: each run as a program against real servers, through duplicates, gaps
//! and losses, counts the stock that the ledger has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{jetstream, lose_broker_data, messages, published};
use crate::harness::{Client, LEDGERD, Node, Parts, Tenant, World};
use crate::supervisor::Name;

/// Longest run of a program.
const RUN_TIME_MAX: Duration = Duration::from_secs(90);

/// A language, and how its program is called.
#[derive(Clone, Debug)]
struct Program {
    name: &'static str,
    call: Vec<PathBuf>,
}

/// Where `deploy/install-subscribers` puts things.
fn installed(what: &str) -> PathBuf {
    let home = std::env::var("XDG_DATA_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.local/share")));
    let dirs = [Some("/var/lib".to_owned()), home.ok()].into_iter().flatten();
    let mut places = dirs.map(|dir| Path::new(&dir).join("ledgerd/subscribers").join(what));
    places.find(|place| place.exists()).unwrap_or_else(|| panic!("no {what}: run deploy/install-subscribers"))
}

fn programs() -> [Program; 3] {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("projector/subscriber");
    let rust = Path::new(LEDGERD).with_file_name("examples").join("stock");
    assert!(rust.exists(), "no {}: `cargo build --release --workspace --example stock` makes it", rust.display());
    let compiled = installed("typescript/stock.ts");
    let same = std::fs::read(&compiled).unwrap() == std::fs::read(sources.join("typescript/stock.ts")).unwrap();
    assert!(same, "{} is an older one: run deploy/install-subscribers", compiled.display());
    [
        Program { name: "rust", call: vec![rust] },
        Program { name: "python", call: vec![installed("venv/bin/python"), sources.join("python/stock.py")] },
        Program { name: "typescript", call: vec!["node".into(), installed("typescript/dist/stock.js")] },
    ]
}

/// What a program said at its end.
struct Report {
    program: &'static str,
    json: Value,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.program, self.json)
    }
}

impl Report {
    fn count(&self, name: &str) -> u64 {
        self.json[name].as_u64().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// It came to the end of the log and counts what the ledger has.
    fn agrees(&self, head: i64, stock: &BTreeMap<String, Decimal>) {
        let counted = self.json["stock"].as_object().unwrap();
        let counted: BTreeMap<String, Decimal> =
            counted.iter().map(|(sku, quantity)| (sku.clone(), quantity.as_str().unwrap().parse().unwrap())).collect();
        assert_eq!((self.json["position"].as_i64(), &counted), (Some(head), stock), "{self:?}");
    }
}

/// Programs, their files, and what they follow.
struct Followers {
    programs: [Program; 3],
    files: PathBuf,
    tenant: Tenant,
    url: String,
}

impl Drop for Followers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

impl Followers {
    fn new(node: &Node, tenant: Tenant) -> Self {
        let files = std::env::temp_dir().join(format!("ledgerd-subscribers-{}", std::process::id()));
        std::fs::create_dir_all(&files).unwrap();
        Self { programs: programs(), files, tenant, url: node.url.clone() }
    }

    /// Runs all of them until they have come to a position.
    async fn run(&self, world: &World, head: i64) -> Vec<Report> {
        let running: Vec<_> = self
            .programs
            .iter()
            .map(|program| {
                let [executable, arguments @ ..] = program.call.as_slice() else { panic!("{program:?}") };
                let mut command = Command::new(executable);
                command
                    .args(arguments)
                    .arg(&self.tenant.code)
                    .arg(self.files.join(format!("{}.json", program.name)))
                    .arg(head.to_string())
                    .env("NATS_URL", world.nats_url.as_deref().unwrap())
                    .env("LEDGER_URL", &self.url)
                    .env("LEDGER_KEY", &self.tenant.key)
                    .env("RUST_LOG", "warn")
                    .stdin(Stdio::null());
                let mut command = tokio::process::Command::from(command);
                (program.name, command.kill_on_drop(true).output())
            })
            .map(|(name, output)| tokio::spawn(async move { (name, tokio::time::timeout(RUN_TIME_MAX, output).await) }))
            .collect();
        let mut reports = Vec::new();
        for one in running {
            let (program, output) = one.await.unwrap();
            let output = output.unwrap_or_else(|_| panic!("{program} does not come to {head}")).unwrap();
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{program}: {err}{out}");
            reports.push(Report {
                program,
                json: serde_json::from_str(out.trim()).unwrap_or_else(|_| panic!("{program}: {err}{out}")),
            });
        }
        reports
    }
}

/// On hand over all locations, as the ledger says.
async fn stock(c: &Client, head: i64) -> BTreeMap<String, Decimal> {
    let mut stock = BTreeMap::new();
    for sku in ["X", "Y"] {
        let answer = c.get_at(&format!("/v1/stock/{sku}"), head).await.expect(200);
        stock.insert(sku.to_owned(), answer.json["on_hand"].as_str().unwrap().parse().unwrap());
    }
    stock
}

/// Movements of every shape: one, a pair, a list. Answers the last position.
async fn trade(c: &Client, turns: u32) -> i64 {
    let mut head = 0;
    for turn in 0..turns {
        c.receive("X", "7", "2").await;
        c.receive("Y", "3", "1.10").await;
        c.issue("X", "2").await.expect(201);
        let moved = json!({"sku": "X", "from": "MAIN", "to": "SHOP", "quantity": "2"});
        c.post("/v1/stock/transfers", &moved).await.expect(201);
        let id = format!("R-{}-{turn}", crate::harness::client::fresh_key());
        c.reserve(&id, "Y", "1", 600).await.expect(201);
        head = c.post(&format!("/v1/reservations/{id}/commit"), &json!({})).await.expect(201).position();
    }
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_in_three_languages_count_right_through_duplicates_gaps_and_losses() {
    let world = World::start(Parts::All).await;
    let node = world.node().await;
    let tenant = world.tenant("shop");
    let c = node.client(&tenant);
    c.catalogue(&["X", "Y"]).await;
    c.put("/v1/locations/SHOP", &json!({"name": "Shop"})).await.expect(201);
    let followers = Followers::new(&node, tenant.clone());

    // Messages came twice, long after the first time, and others are gone.
    let middle = trade(&c, 6).await;
    published(&world, tenant.number, middle).await;
    let context = jetstream(&world).await;
    let there = messages(&world, "shop").await;
    for (_, subject, headers, body) in [&there[2], &there[there.len() - 1]] {
        let mut headers = headers.clone();
        headers.insert("Nats-Msg-Id", format!("again-{}", body["sequence"]));
        context.publish_with_headers(subject.clone(), headers, body.to_string().into()).await.unwrap().await.unwrap();
    }
    let head = trade(&c, 2).await;
    published(&world, tenant.number, head).await;
    let stream = context.get_stream(projector::feed::STREAM).await.unwrap();
    for (sequence, ..) in &there[there.len() - 9..there.len() - 5] {
        stream.delete_message(*sequence).await.unwrap();
    }
    let stocked = stock(&c, head).await;
    for report in followers.run(&world, head).await {
        report.agrees(head, &stocked);
        assert_eq!((report.count("duplicates") >= 2, report.count("gaps")), (true, 1), "{report:?}");
        assert!(report.count("from_feed") > 0 && report.count("from_log") >= 4, "{report:?}");
    }

    // The broker lost everything, consumers included, and its newest message as well.
    lose_broker_data(&world).await;
    let head = trade(&c, 3).await;
    published(&world, tenant.number, head).await;
    let context = jetstream(&world).await;
    let stream = context.get_stream(projector::feed::STREAM).await.unwrap();
    let last = messages(&world, "shop").await.last().unwrap().0;
    stream.delete_message(last).await.unwrap();
    let stocked = stock(&c, head).await;
    for report in followers.run(&world, head).await {
        report.agrees(head, &stocked);
    }

    // No broker at all: the log alone will do.
    world.stop_part(Name::Nats).await;
    let head = trade(&c, 2).await;
    let stocked = stock(&c, head).await;
    for report in followers.run(&world, head).await {
        report.agrees(head, &stocked);
        assert!(report.count("failures") > 0 && report.count("from_feed") == 0, "{report:?}");
    }

    // And when it is back, it is followed again: what is new comes from it.
    world.start_part(Name::Nats).await;
    let known = head;
    published(&world, tenant.number, known).await;
    let reports = tokio::join!(followers.run(&world, known + 12), async {
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            trade(&c, 1).await;
        }
    });
    for report in reports.0 {
        assert!(report.count("from_feed") > 0, "{report:?}");
    }
}
