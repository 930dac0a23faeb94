//! The command line: the first start, the clean stop, import, export, doctor, and real books.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{LEDGERD, Parts, World, install_tls};

/// The processes whose command line or environment names this directory.
fn processes_in(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(dir.to_str().unwrap()) {
            found.push(line);
        }
    }
    found
}

/// `up` as a newcomer starts it: demo, address, key; again beside it; stopped; started again; killed.
#[tokio::test(flavor = "multi_thread")]
async fn up_starts_everything_and_leaves_nothing_behind() {
    install_tls();
    // Not under a private directory: as root the servers run as another user.
    let dir = std::env::temp_dir().join(format!("ledgerd-up-{}", std::process::id()));
    let up = || {
        let mut command = Command::new(LEDGERD);
        command.args(["up", "--listen", "127.0.0.1:0", "--no-install", "--data-dir"]).arg(&dir);
        command.env_remove("DATABASE_URL").env_remove("REDIS_URL").env_remove("NATS_URL");
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    };
    let mut positions = Vec::new();
    for round in 0..2 {
        let mut child = up().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut screen = String::new();
        while !screen.contains("Ctrl-C stops everything") {
            screen.push_str(&lines.next().expect("the screen goes on").unwrap());
            screen.push('\n');
        }
        let word = |before: &str| screen.split(before).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let (url, key) = (word("API "), word("Key "));
        let c = crate::harness::Client::new(&url, &key);
        c.get("/health/ready").await.expect(200);
        assert_eq!(c.get("/docs").await.status, 200);
        positions.push(c.get("/v1/reports/trial-balance").await.expect(200).json["position"].as_i64().unwrap());
        let second = up().output().unwrap();
        assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
        assert!(String::from_utf8_lossy(&second.stdout).contains(&url), "the second start says where the first is");
        let verify = Command::new(LEDGERD)
            .args(["verify", "--tenant", "demo", "--data-dir"])
            .arg(&dir)
            .env_remove("DATABASE_URL")
            .output()
            .unwrap();
        assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
        if round == 0 {
            let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            assert!(child.wait().unwrap().success(), "Ctrl-C is a clean end");
            assert_eq!(processes_in(&dir), Vec::<String>::new());
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while !processes_in(&dir).is_empty() {
                assert!(Instant::now() < deadline, "left behind: {:?}", processes_in(&dir));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    assert!(positions[1] >= positions[0], "the data is kept: {positions:?}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_told_to_stop_ends_cleanly() {
    let world = World::start(Parts::Database).await;
    let mut node = world.node().await;
    let c = node.client(&world.tenant("t"));
    c.catalogue(&["X"]).await;
    let position = c.receive("X", "5", "1").await.position();
    assert_eq!(node.terminate(), Some(0));
    let again = world.node().await;
    let c = again.client(&world.tenant("t"));
    assert_eq!(c.get_at("/v1/stock/X", position).await.expect(200).json["on_hand"], "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn import_is_tried_dry_resumed_and_reported_and_export_shows_it() {
    let world = World::start(Parts::Database).await;
    let tenant = world.tenant("books");
    let dir = std::env::temp_dir().join(format!("ledgerd-import-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("rows.csv");
    let rows = "type,code,sku,scale,location,quantity,unit_cost\n\
                define_location,MAIN,,,,,\n\
                define_item,,=TEA,3,,,\n\
                receive,,=TEA,,MAIN,1.250,4.00\n\
                receive,,=TEA,,NOWHERE,1,4.00\n\
                receive,,=TEA,,MAIN,much,4.00\n";
    std::fs::write(&file, rows).unwrap();
    let run = |extra: &[&str]| {
        let mut args = vec!["import", "--tenant", tenant.code.as_str(), file.to_str().unwrap()];
        args.extend(extra);
        let (code, out, err) = world.ledgerd_any(&args);
        assert_eq!(code, 3, "{out}{err}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let counts = |accepted: u64, replayed: u64| json!({"rows": 5, "accepted": accepted, "replayed": replayed, "unchanged": 0, "skipped": 0, "refused": 2});
    assert_eq!(run(&["--dry-run"]), counts(3, 0));
    assert_eq!(run(&[]), counts(3, 0));
    assert_eq!(run(&[]), counts(0, 3), "the same file again finds its rows answered");
    let report = std::fs::read_to_string(dir.join("rows.csv.refused.ndjson")).unwrap();
    assert!(report.contains(r#""row":4"#) && report.contains("unknown_location") && report.contains(r#""row":5"#), "{report}");
    let (code, stock, _) = world.ledgerd_any(&["export", "--tenant", "books", "stock"]);
    let heading = "sku,location,on_hand,sellable,reserved,allocated,available,backordered,incoming,value";
    let row = "'=TEA,MAIN,1.250,1.250,0.000,0.000,1.250,0.000,0.000,5.00";
    assert_eq!((code, stock), (0, format!("{heading}\n{row}\n")));
    let (code, valuation, _) = world.ledgerd_any(&["export", "--tenant", "books", "valuation"]);
    let row = "'=TEA,moving_average,MAIN,,,1.250,5.00";
    assert_eq!((code, valuation), (0, format!("sku,method,pool,layer,lot,quantity,value\n{row}\n")));
    let (code, cards, _) = world.ledgerd_any(&["export", "--tenant", "books", "cards"]);
    let (code, lines): (i32, Vec<&str>) = (code, cards.lines().collect());
    assert!(code == 0 && lines.len() == 2 && lines[1].contains("stock_received,'=TEA,MAIN,,sellable"), "{cards}");
    let (code, events, _) = world.ledgerd_any(&["export", "--tenant", "books", "events"]);
    let last: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((code, &last["type"], &last["data"]["value"]), (0, &json!("stock_received"), &json!("5.00")));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_well_and_what_is_not() {
    let world = World::start(Parts::DatabaseAndRedis).await;
    let (code, out, _) = world.ledgerd_any(&["doctor"]);
    assert_eq!(code, 0, "{out}");
    world.stop_part(crate::supervisor::Name::Redis).await;
    let (code, out, _) = world.ledgerd_any(&["doctor"]);
    assert_eq!(code, 3, "{out}");
    let (code, _, err) = world.ledgerd_any(&["verify", "--tenant", "nobody"]);
    assert!(code == 1 && err.contains("there is no tenant nobody"), "{err}");
    assert_eq!(world.ledgerd_any(&["no-such-verb"]).0, 2);
}

/// A plant's year, whole: every movement through HTTP, and every item-day asked for as of then.
#[tokio::test(flavor = "multi_thread")]
async fn every_item_day_of_a_plant_is_answered_as_of_then() {
    let Some((data, program)) = real_input() else { return };
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let tenant = world.tenant("plant");
    let output = Command::new(&program)
        .args(["--url", &node.url, "--key", &tenant.key, "--data-dir", data.to_str().unwrap()])
        .args(["plant", "--mode", "stated"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("all figures tie") && said.contains("value at the end of every item-day"), "{said}");
    world.verify_clean(&tenant.code);
}

/// The data and the program that plays it; `None` where there is no data.
pub(crate) fn real_input() -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    let data = std::env::var("LEDGER_DATA_DIR").unwrap_or_else(|_| "../shared/data".to_owned());
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join(data);
    if !data.join("online_retail.csv.zst").exists() {
        println!("no data in {}: not checked here", data.display());
        return None;
    }
    let program = Path::new(LEDGERD).with_file_name("examples").join("real_input");
    assert!(program.exists(), "no {}: `cargo build --release --example real_input` makes it", program.display());
    Some((data, program))
}

/// A slice of a real retailer's books, both methods, through HTTP with repeated requests. The whole of them is checked by
/// the same program by hand.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_real_books_ties() {
    let Some((data, program)) = real_input() else { return };
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    for method in ["moving_average", "fifo"] {
        let tenant = world.tenant(&format!("retail-{}", method.replace('_', "-")));
        let output = Command::new(&program)
            .args(["--url", &node.url, "--key", &tenant.key, "--data-dir", data.to_str().unwrap()])
            .args(["retail", "--method", method, "--limit-invoices", "300"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(String::from_utf8_lossy(&output.stdout).contains("all figures tie"));
        world.verify_clean(&tenant.code);
    }
}
