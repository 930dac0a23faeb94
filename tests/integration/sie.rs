//! Journals and opening balances from files: six real companies' books as SIE 4, and CSV. Expected figures are those of
//! the data, which were computed without this program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::harness::{Client, Node, Parts, Tenant, World};

/// Takes what an opening misses of zero; no book has such an account.
const BALANCE_TO: &str = "2069";

type Balances = BTreeMap<String, Decimal>;

/// The books; `None` where there is no data.
fn books() -> Option<Vec<(String, Value)>> {
    let data = std::env::var("LEDGER_DATA_DIR").unwrap_or_else(|_| "../shared/data".to_owned());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(data).join("sie");
    let Ok(files) = std::fs::read_dir(&dir) else {
        println!("no data in {}: not checked here", dir.display());
        return None;
    };
    let mut books = Vec::new();
    for file in files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let name = file.file_stem().unwrap().to_str().unwrap().replace('_', "-");
        books.push((name, serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()));
    }
    books.sort_by(|a: &(String, Value), b| a.0.cmp(&b.0));
    Some(books)
}

fn units(text: &Value) -> Decimal {
    text.as_str().unwrap().parse().unwrap()
}

fn balances(of: &Value) -> Balances {
    of.as_object().unwrap().iter().map(|(account, text)| (account.clone(), units(text))).collect()
}

/// A book as its program could have written it.
fn sie(book: &Value) -> String {
    let rows = || book["vouchers"].as_array().unwrap().iter().flat_map(|voucher| voucher["rows"].as_array().unwrap());
    let declared = ["opening", "declared_closing", "declared_result", "expected_trial_balance_from_balanced_vouchers"];
    let declared = declared.iter().flat_map(|part| book[*part].as_object().unwrap().keys().map(String::as_str));
    let accounts: BTreeSet<&str> = declared.chain(rows().map(|row| row[0].as_str().unwrap())).chain([BALANCE_TO]).collect();
    let year = &book["fiscal_year"];
    let mut out = format!(
        "#FLAGGA 0\r\n#PROGRAM {} 1\r\n#FORMAT PC8\r\n#GEN 20260101\r\n#SIETYP 4\r\n#FNAMN \"Bolaget på \\\"Ön\\\" AB\"\r\n\
         #RAR 0 {} {}\r\n#KPTYP EUBAS97\r\n\
         #DIM 1 \"Kostnadsställe\"\r\n#OBJEKT 1 \"100\" \"Norr\"\r\n",
        book["written_by"],
        year[0].as_str().unwrap(),
        year[1].as_str().unwrap(),
    );
    for account in accounts {
        writeln!(out, "#KONTO {account} \"Kontot {account} för övrigt å\"\r").unwrap();
    }
    for (label, part) in [("#IB", "opening"), ("#UB", "declared_closing"), ("#RES", "declared_result")] {
        for (account, amount) in book[part].as_object().unwrap() {
            writeln!(out, "{label} 0 {account} {}\r", amount.as_str().unwrap()).unwrap();
        }
    }
    for voucher in book["vouchers"].as_array().unwrap() {
        let word = |field: &str| voucher[field].as_str().unwrap();
        writeln!(out, "#VER \"{}\" {} {} \"Verifikat\"\r\n{{\r", word("series"), word("number"), word("date")).unwrap();
        for row in voucher["rows"].as_array().unwrap() {
            let (account, amount) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
            // Income is told apart by cost centre, with a text of its own.
            let (objects, text) = if account.starts_with('3') { ("1 \"100\"", " \"\" \"Försäljning\"") } else { ("", "") };
            writeln!(out, "   #TRANS {account} {{{objects}}} {amount}{text}\r").unwrap();
        }
        out.push_str("}\r\n");
    }
    out
}

/// Code page 437, as far as the text above needs it.
fn pc8(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        'å' => 0x86,
        'ä' => 0x84,
        'ö' => 0x94,
        'Ö' => 0x99,
        c => u8::try_from(c).ok().filter(u8::is_ascii).unwrap(),
    };
    text.chars().map(byte).collect()
}

struct Books<'a> {
    world: &'a World,
    client: Client,
    tenant: Tenant,
    file: PathBuf,
}

impl<'a> Books<'a> {
    fn open(world: &'a World, node: &Node, code: &str, currency: &str, file: PathBuf) -> Self {
        let created = world.ledgerd(&["tenant", "create", code, "--currency", currency]);
        let key = world.ledgerd(&["key", "create", "--tenant", code, "--name", "test"]);
        let (number, key) = (created["tenant"].as_i64().unwrap(), key["key"].as_str().unwrap().to_owned());
        let tenant = Tenant { code: code.to_owned(), number, key };
        Self { world, client: node.client(&tenant), tenant, file }
    }

    fn import(&self, extra: &[&str]) -> (i32, Value) {
        let mut args = vec!["import", "--tenant", &self.tenant.code, self.file.to_str().unwrap()];
        args.extend(extra);
        let (code, out, err) = self.world.ledgerd_any(&args);
        let summary = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{}: {out}{err}", self.file.display()));
        (code, summary)
    }

    /// The lines of the report.
    fn report(&self) -> Vec<Value> {
        let mut name = self.file.clone().into_os_string();
        name.push(".refused.ndjson");
        let text = std::fs::read_to_string(&name).unwrap_or_default();
        std::fs::remove_file(&name).ok();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn position(&self) -> i64 {
        let tenants = self.world.ledgerd(&["tenant", "list"]);
        let own = |t: &&Value| t["code"] == self.tenant.code.as_str();
        tenants.as_array().unwrap().iter().find(own).unwrap()["position"].as_i64().unwrap()
    }

    /// Every account's balance as the API says it.
    async fn trial_balance(&self) -> Balances {
        let report = self.client.get_at("/v1/reports/trial-balance", self.position()).await.expect(200).json;
        assert_eq!(report["totals"]["balanced"], true);
        let account = |a: &Value| (a["account"].as_str().unwrap().to_owned(), a["balance"].as_str().unwrap().parse().unwrap());
        report["accounts"].as_array().unwrap().iter().map(account).collect()
    }

    /// These balances to the last digit, and nothing on any other account; answers how many were compared.
    async fn assert_balances(&self, expected: &Balances) -> usize {
        let found = self.trial_balance().await;
        for (account, balance) in expected {
            assert_eq!(found.get(account), Some(balance), "{}: {account}", self.tenant.code);
        }
        for (account, balance) in found.iter().filter(|(account, _)| !expected.contains_key(*account)) {
            assert!(balance.is_zero(), "{}: {account} has {balance}", self.tenant.code);
        }
        expected.len()
    }
}

fn count(summary: &Value, field: &str) -> u64 {
    summary[field].as_u64().unwrap_or_else(|| panic!("no {field} in {summary}"))
}

/// Refused rows by the code they are refused with, and the difference they miss zero by.
fn refusals(report: &[Value]) -> Vec<(String, String)> {
    let refused = report.iter().filter(|line| !line["refused"].is_null());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    refused.map(|line| (word(&line["refused"]["code"]), word(&line["refused"]["difference"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn six_real_books_give_their_trial_balances() {
    let Some(all) = books() else { return };
    let dir = std::env::temp_dir().join(format!("ledgerd-sie-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let mut compared = 0;
    for (at, (name, book)) in all.iter().enumerate() {
        let file = dir.join(format!("{name}.{}", ["se", "SI", "sie"][at % 3]));
        let text = sie(book);
        std::fs::write(&file, if at % 2 == 0 { pc8(&text) } else { text.into_bytes() }).unwrap();
        compared += one_book(&Books::open(&world, &node, name, "SEK", file), book).await;
        world.verify_clean(name);
    }
    assert_eq!((all.len(), compared), (6, 303), "every account of every book");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// One book, tried dry, imported, balanced where it must be, imported again.
async fn one_book(books: &Books<'_>, book: &Value) -> usize {
    let name = &books.tenant.code;
    let mut expected = balances(&book["expected_trial_balance_from_balanced_vouchers"]);
    let missing = units(&book["opening_sum"]);
    let off = book["unbalanced_vouchers"].as_array().unwrap().iter().map(|v| v["off_by"].as_str().unwrap());
    let unbalanced = |by: &str| ("entry_unbalanced".to_owned(), by.to_owned());
    let of_vouchers: Vec<_> = off.map(unbalanced).collect();
    let mut of_all = of_vouchers.clone();
    if !missing.is_zero() {
        of_all.insert(0, unbalanced(&missing.to_string()));
    }
    let before = books.position();
    let (_, dry) = books.import(&["--dry-run"]);
    assert_eq!((refusals(&books.report()), books.position()), (of_all.clone(), before), "{name}: dry");
    let (code, first) = books.import(&[]);
    assert_eq!((refusals(&books.report()), code), (of_all.clone(), if of_all.is_empty() { 0 } else { 3 }), "{name}");
    for field in ["rows", "accepted", "refused", "skipped"] {
        assert_eq!(first[field], dry[field], "{name}: {field}");
    }
    let vouchers = count(&book["counts"], "vouchers");
    assert_eq!((count(&first["book"], "vouchers"), &first["book"]["closing_differs"]), (vouchers, &json!([])), "{name}");
    let is_nothing = |voucher: &&Value| voucher["rows"].as_array().unwrap().iter().all(|row| units(&row[1]).is_zero());
    let skipped = u64::try_from(book["vouchers"].as_array().unwrap().iter().filter(is_nothing).count()).unwrap();
    assert_eq!((&first["book"]["company"], count(&first, "skipped")), (&json!("Bolaget på \"Ön\" AB"), skipped));
    let mut options = vec![];
    if !missing.is_zero() {
        let mut movements = expected.clone();
        balances(&book["opening"]).iter().for_each(|(account, opening)| *movements.get_mut(account).unwrap() -= opening);
        books.assert_balances(&movements).await;
        options = vec!["--balance-opening-to", BALANCE_TO];
        let (_, balanced) = books.import(&options);
        assert_eq!((count(&balanced, "accepted"), refusals(&books.report())), (1, of_vouchers.clone()), "{name}");
        expected.insert(BALANCE_TO.to_owned(), -missing);
    }
    let compared = books.assert_balances(&expected).await;
    let before = books.position();
    let (_, again) = books.import(&options);
    let known = count(&again, "replayed") + count(&again, "unchanged") + skipped;
    assert_eq!((count(&again, "accepted"), known + count(&again, "refused")), (0, count(&again, "rows")), "{name}");
    assert_eq!((refusals(&books.report()), books.position()), (of_vouchers, before), "{name}: nothing more");
    let account = books.client.get("/v1/accounts/1910").await.expect(200).json;
    assert_eq!((&account["name"], &account["account_type"]), (&json!("Kontot 1910 för övrigt å"), &json!("asset")), "{name}");
    centres(books, book).await;
    compared - usize::from(!missing.is_zero())
}

/// What was posted to a cost centre is the income of the balanced vouchers.
async fn centres(books: &Books<'_>, book: &Value) {
    let sum = |voucher: &Value| voucher["rows"].as_array().unwrap().iter().map(|row| units(&row[1])).sum::<Decimal>();
    let vouchers = book["vouchers"].as_array().unwrap().iter().filter(|voucher| sum(voucher).is_zero());
    let rows = vouchers.flat_map(|voucher| voucher["rows"].as_array().unwrap());
    let income: Decimal = rows.filter(|row| row[0].as_str().unwrap().starts_with('3')).map(|row| units(&row[1])).sum();
    let path = "/v1/reports/trial-balance?dimension=kostnadsst%C3%A4lle:100";
    let report = books.client.get(path).await.expect(200).json;
    let of_it = |a: &Value| units(&a["balance"]);
    let found: Decimal = report["accounts"].as_array().unwrap().iter().map(of_it).sum();
    assert_eq!(found, income, "{}: {report}", books.tenant.code);
}

#[tokio::test(flavor = "multi_thread")]
async fn journals_and_openings_come_in_as_csv() {
    let dir = std::env::temp_dir().join(format!("ledgerd-journal-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let mut books = Books::open(&world, &node, "journal", "EUR", dir.join("journal.csv"));
    let journal = "entry,date,account,debit,credit,description,reference\n\
                   J1,2026-01-31,6000,80.00,0.00,Rent,R 1\n\
                   J1,,1000,0.00,80.00,,\n\
                   J2,2026-02-01,1100,12.10,,Sale,\n\
                   J2,,4000,,10.00,,\n\
                   J2,,2200,,2.10,,\n\
                   J3,2026-02-02,1100,5.00,,Wrong,\n\
                   J3,,4000,,4.50,,\n\
                   J4,2026-02-02,1100,0.005,,Too fine,\n\
                   J4,,4000,,0.005,,\n\
                   J5,2026-02-02,1300,1.00,,Stock,\n\
                   J5,,4000,,1.00,,\n\
                   J6,2026-02-02,1000,0.00,,Nothing,\n\
                   J6,,4000,,0.00,,\n";
    std::fs::write(&books.file, journal).unwrap();
    let summary = |accepted: u64, replayed: u64| json!({"rows": 6, "accepted": accepted, "replayed": replayed, "unchanged": 0, "skipped": 1, "refused": 3});
    assert_eq!(books.import(&["--dry-run"]), (3, summary(2, 0)));
    books.report();
    assert_eq!(books.import(&[]), (3, summary(2, 0)));
    let report = books.report();
    let codes: Vec<_> = report.iter().map(|l| (l["row"].as_u64().unwrap(), l["entry"].as_str().unwrap())).collect();
    assert_eq!(codes, [(12, "J6"), (6, "J3"), (8, "J4"), (10, "J5")], "what is never sent comes first");
    assert_eq!(refusals(&report)[0], ("entry_unbalanced".to_owned(), "0.50".to_owned()));
    assert_eq!(report[3]["refused"]["code"], "inventory_account");
    assert_eq!(books.import(&[]), (3, summary(0, 2)));
    books.report();
    let (_, events, _) = world.ledgerd_any(&["export", "--tenant", "journal", "events"]);
    let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rent = events.find(|event| event["data"]["id"] == "J1").unwrap();
    let said = [&rent["effective_at"], &rent["reference"], &rent["data"]["description"]];
    assert_eq!(said, ["2026-01-31T00:00:00Z", "R 1", "Rent"]);
    let figures = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), b.parse().unwrap())).collect::<Balances>();
    let moved = [("1000", "-80.00"), ("1100", "12.10"), ("2200", "-2.10"), ("4000", "-10.00"), ("6000", "80.00")];
    books.assert_balances(&figures(&moved)).await;
    books.file = dir.join("balances.csv");
    std::fs::write(&books.file, "account,balance\n1000,1000.00\n2000,-300.25\n").unwrap();
    assert_eq!(books.import(&["--opening", "2026-01-01"]).0, 3);
    assert_eq!(refusals(&books.report()), [("entry_unbalanced".to_owned(), "699.75".to_owned())]);
    books.assert_balances(&figures(&moved)).await;
    let balanced = ["--opening", "2026-01-01", "--balance-opening-to", "3000"];
    assert_eq!(count(&books.import(&balanced).1, "accepted"), 1);
    assert_eq!(count(&books.import(&balanced).1, "replayed"), 1);
    let opened = [("1000", "920.00"), ("2000", "-300.25"), ("3000", "-699.75")];
    books.assert_balances(&figures(&[&opened[..], &moved[1..]].concat())).await;
    books.file = dir.join("more.csv");
    std::fs::write(&books.file, "account,debit,credit\n1000,1.00,\n2000,,1.00\n").unwrap();
    assert_eq!(books.import(&["--opening", "2026-01-01"]).0, 3);
    assert_eq!(refusals(&books.report())[0].0, "entry_exists", "a ledger opens once on a day");
    world.verify_clean("journal");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Files and options that do not go together change nothing and say why.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_fit_are_refused_whole() {
    let dir = std::env::temp_dir().join(format!("ledgerd-unfit-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let world = World::start(Parts::Database).await;
    let tenant = world.tenant("unfit");
    let krona = "#FLAGGA 0\n#FORMAT PC8\n#SIETYP 4\n#KONTO 1910 Kassa\n";
    for (name, text, extra, why) in [
        ("krona.se", krona, vec![], "the book is kept in SEK, the tenant's ledger in EUR"),
        ("type1.se", "#FLAGGA 0\n#SIETYP 1\n", vec![], "a SIE file of type 1"),
        ("no.sie", "hello\n", vec![], "no SIE file"),
        ("a.txt", "", vec![], "the name must end in"),
        ("a.csv", "account,debit\n", vec![], "neither a column `type` nor a column `entry`"),
        ("b.csv", "account,debit\n", vec!["--opening", "2026-01-01"], "needs either `debit` and `credit` or `balance`"),
        ("c.csv", "entry,account,amount\n", vec!["--balance-opening-to", "1"], "goes with --opening or SIE books"),
        ("c.csv", "entry,account,amount\n", vec!["--without-opening"], "goes with SIE books"),
        ("d.se", krona, vec!["--opening", "2026-01-01"], "--opening takes a .csv"),
        ("e.ndjson", "", vec!["--prefix", "x"], "--prefix goes with"),
        ("f.csv", "type,code\n", vec!["--prefix", "x"], "--prefix goes with"),
    ] {
        let file = dir.join(name);
        std::fs::write(&file, text).unwrap();
        let mut args = vec!["import", "--tenant", tenant.code.as_str(), file.to_str().unwrap()];
        args.extend(extra);
        let (code, out, err) = world.ledgerd_any(&args);
        assert!(code == 1 && err.contains(why), "{name}: {code} {out}{err}");
    }
    let file = dir.join("g.csv");
    let args = ["import", "--tenant", "unfit", "--opening", "2026-02-30", file.to_str().unwrap()];
    let (code, _, err) = world.ledgerd_any(&args);
    assert!(code == 2 && err.contains("no day such as"), "{err}");
    world.verify_clean("unfit");
    std::fs::remove_dir_all(&dir).unwrap();
}
