use ledger_core::domain::command::Action;
use ledger_core::domain::state::Ledger;
use serde_json::{Value, json};

use super::super::row::Unsent;
use super::*;

const HEAD: &str = "#FLAGGA 0\r\n#FORMAT PC8\r\n#SIETYP 4\r\n#RAR 0 20110101 20111231\r\n#RAR -1 20100101 20101231\r\n";

fn book(text: &str) -> Book {
    parse(format!("{HEAD}{text}").as_bytes()).unwrap()
}

/// Line of the file and what is wrong, of everything that cannot be read. The text begins on line 6.
fn faults(book: &Book) -> Vec<String> {
    let vouchers = book.vouchers.iter().filter_map(|voucher| voucher.fault.as_ref());
    let opening = book.opening.iter().filter_map(|opening| opening.fault.as_ref());
    book.faults.iter().chain(opening).chain(vouchers).map(ToString::to_string).collect()
}

fn commands(book: &Book, balance_opening_to: Option<&str>) -> Vec<Value> {
    let ledger = Ledger::default();
    let digest = "0123456789abcdef";
    let plan = Plan { ledger: &ledger, digest, prefix: "sie-", balance_opening_to, without_opening: false };
    drafts(book, &plan).unwrap().into_iter().filter_map(|draft| draft.content.ok()).collect()
}

#[test]
fn a_book_is_read_whole() {
    let mut bytes = HEAD.as_bytes().to_vec();
    bytes.extend_from_slice(
        b"#PROGRAM \"Bokf\x94ring\" 1.0\r\n#GEN 20120102 KL\r\n#FNAMN \"\x8fkeriet \\\"Syd\\\" AB\"\r\n\
        #ORGNR 556000-0000\r\n#VALUTA SEK\r\n\
        #KPTYP EUBAS97\r\n\
        #NEW \"what nobody knows yet\"\r\n{\r\n#KONTO 1 x\r\n}\r\n#KONTO 1510 Kundfordringar\r\n#KTYP 1510 T\r\n\
        #KONTO\t3010\t\"F\x94rs\x84ljning\"\r\n#DIM 1 \"Kostnadsst\x84lle\"\r\n#UNDERDIM 21 \"Lag (inom st\x84lle)\" 1\r\n\
        #OBJEKT 1 10 \"Sj\x94\"\r\n#IB 0 1510 100.50 0\r\n#IB -1 1510 7\r\n#UB 0 1510 350.50\r\n#RES 0 3010 -250.00\r\n\
        #RES -1 3010 -1.00\r\n\r\n#VER A 1 20110131 \"Faktura 5\" 20110201 KL\r\n{\r\n\
        #TRANS 1510 {} 250.00 20110131 \"Kund 7\" 1 KL\r\n#BTRANS 1510 {} 240.00\r\n#RTRANS 3010 {1 10} -250.00\r\n\
        #TRANS 3010 {1 10 21 \"B 2\"} -250.00\r\n}\r\n\x1a",
    );
    let book = parse(&bytes).unwrap();
    assert_eq!(faults(&book), Vec::<String>::new());
    let said = serde_json::to_value(&book.about).unwrap();
    let about = json!({
        "company": "Åkeriet \"Syd\" AB", "organisation": "556000-0000", "program": "Bokföring", "written": "2012-01-02",
        "chart": "EUBAS97", "currency": "SEK",
    });
    assert_eq!(said, about);
    assert_eq!(book.year.as_ref().unwrap().end.to_string(), "2011-12-31");
    assert_eq!(book.accounts.keys().collect::<Vec<_>>(), ["1510", "3010"], "what stands in an unknown block is skipped");
    assert_eq!((book.accounts["3010"].name.as_str(), book.accounts["3010"].line), ("Försäljning", 18));
    assert_eq!(book.dimensions["1"].objects["10"], "Sjö");
    assert_eq!(book.opening.as_ref().unwrap().rows.len(), 1);
    assert_eq!(book.differences(), Vec::new());
    let commands = commands(&book, None);
    let by_type = |name: &str| commands.iter().filter(|c| c["type"] == name).cloned().collect::<Vec<_>>();
    let dimension = |code: &str, name: &str| json!({"type": "define_dimension", "code": code, "name": name});
    let dimensions = [dimension("kostnadsställe", "Kostnadsställe"), dimension("lag__inom_ställe_", "Lag (inom ställe)")];
    assert_eq!(by_type("define_dimension"), dimensions);
    let objects = json!({"kostnadsställe": "10", "lag__inom_ställe_": "B 2"});
    let voucher = json!({
        "type": "post_entry", "id": "sie-2011-01-01-A-1", "effective_at": "2011-01-31T00:00:00Z", "description": "Faktura 5",
        "reference": "A1",
        "postings": [
            {"account": "1510", "debit": "250.00", "memo": "Kund 7"},
            {"account": "3010", "credit": "250.00", "dimensions": objects},
        ],
    });
    assert_eq!(by_type("post_entry"), [voucher], "one opening balance alone misses zero and is no command");
}

#[test]
fn both_character_sets_give_one_book() {
    let text = format!("{HEAD}#KONTO 1910 \"Kassa på ön\"\r\n");
    let pc8: Vec<u8> = text
        .chars()
        .map(|c| match c {
            'å' => 0x86,
            'ö' => 0x94,
            c => u8::try_from(c).unwrap(),
        })
        .collect();
    assert_eq!(parse(&pc8).unwrap(), parse(text.as_bytes()).unwrap());
    let ansi = String::from_utf8_lossy(&pc8).replace("PC8", "ANSI").replace('\u{fffd}', "?").into_bytes();
    assert_eq!(parse(&ansi).unwrap().accounts.len(), 1, "plain letters are the same everywhere");
    let ansi = [b"#FLAGGA 0\n#FORMAT ANSI\n#KONTO 1 ".as_slice(), &[0xe5]].concat();
    assert!(parse(&ansi).unwrap_err().to_string().contains("but ANSI"));
}

#[test]
fn accounts_have_the_type_that_is_said_or_that_of_their_class() {
    let text = "#KTYP 1999 K\n#KONTO 1999 a\n#KONTO 1000\n#KONTO 2081 c\n#KONTO 2440 d\n#KONTO 3000 e\n#KONTO 4000 f\n\
                #KONTO 8999 g\n#KONTO 9301 h\n#KONTO 0351 i\n#KONTO 2099 j\n#KTYP 2099 S\n#KTYP 3000 S\n#KTYP 8999 I\n";
    let book = book(text);
    let types: Vec<_> = book.accounts.iter().map(|(code, account)| (code.as_str(), account.account_type)).collect();
    use AccountType::{Asset, Equity, Expense, Liability, Revenue};
    let expected = [
        ("0351", Expense),
        ("1000", Asset),
        ("1999", Expense),
        ("2081", Equity),
        ("2099", Equity),
        ("2440", Liability),
        ("3000", Liability),
        ("4000", Expense),
        ("8999", Revenue),
        ("9301", Expense),
    ];
    assert_eq!(types, expected);
    assert_eq!(book.accounts["1000"].name, "1000", "an account without a name goes by its number");
    let defined = json!({"type": "define_account", "code": "2440", "name": "d", "account_type": "liability"});
    let commands = commands(&book, None);
    assert!(commands.contains(&defined));
    for command in commands {
        assert!(serde_json::from_value::<Action>(command).is_ok());
    }
}

#[test]
fn each_bad_line_is_named_and_spoils_only_its_own() {
    let good = "#VER A 2 20110102\n{\n#TRANS 1 {} 5\n#TRANS 2 {} -5\n}\n";
    for (text, fault) in [
        ("nonsense\n", "line 6: does not begin with a label"),
        ("#KONTO\n", "line 6: the account is missing"),
        ("#KONTO 1 a\n#KONTO 1 b\n", "line 7: account 1 was defined on line 6"),
        ("#KTYP 1 X\n", "line 6: the type is `X`"),
        ("#RAR 0 20110101 20101231\n", "line 6: the year ends 2010-12-31"),
        ("#RAR x 20110101 20111231\n", "line 6: the year is `x`"),
        ("#GEN 2011-01-01\n", "line 6: `2011-01-01` is no day such as 20260131"),
        ("#FLAGGA 7\n", "line 6: the flag is `7`"),
        ("#OBJEKT 1\n", "line 6: the object is missing"),
        ("#DIM 1\n", "line 6: the name is missing"),
        ("#UB 0 1 1,50\n", "line 6: the amount `1,50`"),
        ("#IB 0 1 ten\n", "line 6: the amount `ten`"),
        ("#IB 0 \"1 5\n", "line 6: has a quote that nothing closes"),
        ("{\n", "line 6: a { that follows no #VER"),
        ("}\n", "line 6: a } that no { opened"),
        ("#TRANS 1 {} 5\n", "line 6: #TRANS stands outside of a voucher"),
        ("#VER A 1 20110230\n{\n#TRANS 1 {} 5\n}\n", "line 6: `20110230` is no day"),
        ("#VER A 1 \"2011\n{\n#TRANS 1 {} 5\n}\n", "line 6: has a quote that nothing closes"),
        ("#VER A 1\n{\n}\n", "line 6: the date is missing"),
        ("#VER A 1 20110101\n#TRANS 1 {} 5\n", "line 7: a { was due"),
        ("#VER A 1 20110101\n{\n#TRANS 1 {} 5\n", "line 9: a } was due"),
        ("#VER A 1 20110101\n{\n#TRANS 1 {}\n}\n", "line 8: the amount is missing"),
        ("#VER A 1 20110101\n{\n#TRANS 1 {1} 5\n}\n", "line 8: the object list is not pairs"),
        ("#VER A 1 20110101\n{\n#TRANS 1 {1 a 1 b} 5\n}\n", "line 8: the object list names a dimension twice"),
        ("#VER A 1 20110101\n{\n#TRANS 1 {1 a 5\n}\n", "line 8: has a { that nothing closes"),
        ("#VER A 1 20110101\n{\n#KONTO 1 a\n}\n", "line 8: #KONTO stands inside of a voucher"),
    ] {
        let book = book(&format!("{text}{good}"));
        let found = faults(&book);
        assert!(found.iter().any(|f| f.starts_with(fault)), "{text:?}: {found:?}");
        let last = book.vouchers.last().unwrap();
        assert_eq!((last.number.as_str(), last.rows.len(), &last.fault), ("2", 2, &None), "{text:?}");
    }
    let open = book("#VER A 1 20110101\n{\n#TRANS 1 {} 5\n");
    assert_eq!(faults(&open), ["line 6: the voucher is still open at the end of the file"]);
    assert!(commands(&open, None).is_empty());
}

#[test]
fn a_file_of_another_kind_is_refused() {
    for (text, why) in [
        ("", "no SIE file"),
        ("entry,account\n", "no SIE file"),
        ("#FLAGGA 0\n#SIETYP 1\n", "type 1"),
        ("#FLAGGA 0\n#SIETYP\n", "type unknown"),
    ] {
        let found = parse(text.as_bytes()).unwrap_err().to_string();
        assert!(found.contains(why), "{found}");
    }
}

#[test]
fn a_book_has_limits() {
    let many = |line: &str, count: usize| (0..count).map(|n| line.replace('?', &n.to_string())).collect::<String>();
    let text = format!("{HEAD}{}", many("#KONTO ? a\n", ACCOUNTS_MAX + 1));
    assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("100000 accounts"));
    let text = format!("{HEAD}{}", many("#DIM ? a\n", DIMENSIONS_MAX + 1));
    assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("1000 dimensions"));
    let rows = many("#TRANS ? {} 1\n", VOUCHER_ROWS_MAX + 1);
    let long = book(&format!("#VER A 1 20110101\n{{\n{rows}}}\n"));
    assert_eq!(faults(&long), ["line 10008: the voucher has more than 10000 rows"]);
}

#[test]
fn ids_are_the_vouchers_own_and_repeated_numbers_are_told_apart() {
    let ver = |head: &str| format!("#VER {head} 20110101\n{{\n#TRANS 1 {{}} 5\n#TRANS 2 {{}} -5\n}}\n");
    let text = [ver("# 1"), ver("# 1"), ver("\"\" 3"), ver("A \"\""), ver("\"\" \"\"")].concat();
    let found = commands(&book(&text), None);
    let ids: Vec<_> = found.iter().map(|c| c["id"].as_str().unwrap()).collect();
    let digest = "sie-0123456789ab";
    let unnumbered = [21, 26].map(|line| format!("{digest}-{line}"));
    let expected = ["sie-2011-01-01-#-1", "sie-2011-01-01-#-1~2", "sie-2011-01-01-3", &unnumbered[0], &unnumbered[1]];
    assert_eq!(ids, expected);
    let references: Vec<_> = found.iter().map(|c| c["reference"].as_str()).collect();
    assert_eq!(references, [Some("#1"), Some("#1"), Some("3"), Some("A"), None]);
    let without_year = parse(format!("#FLAGGA 0\n#SIETYP 4\n{}", ver("A 1")).as_bytes()).unwrap();
    assert_eq!(commands(&without_year, None)[0]["id"], format!("{digest}-3"));
}

#[test]
fn an_opening_is_of_this_year_whole_and_balanced_only_where_asked() {
    let text = "#IB 0 1510 100.00\n#IB 0 1910 0.00\n#IB 0 2440 -40.5\n#IB -1 1510 9\n";
    let opening = |book: &Book, to| commands(book, to).into_iter().find(|c| c["type"] == "post_entry");
    let found = opening(&book(text), None).unwrap();
    let postings = json!([{"account": "1510", "debit": "100.00"}, {"account": "2440", "credit": "40.5"}]);
    assert_eq!((&found["postings"], &found["id"]), (&postings, &json!("sie-opening-2011-01-01")));
    assert_eq!(found["effective_at"], "2011-01-01T00:00:00Z");
    let found = opening(&book(text), Some("2099")).unwrap();
    assert_eq!(found["postings"][2], json!({"account": "2099", "credit": "59.5"}));
    assert_eq!(found["description"], "Opening balances 2011-01-01; -59.5 on 2099 balances them");
    assert_eq!(opening(&book(&format!("{text}#IB 0 2650 x\n")), Some("2099")), None, "nothing is balanced over a gap");
    let no_year = parse(format!("#FLAGGA 0\n{text}").as_bytes()).unwrap();
    assert_eq!(opening(&no_year, None), None);
    assert!(faults(&no_year)[0].contains("no #RAR 0"));
}

#[test]
fn nothing_and_half_of_something_are_told_apart() {
    let text = "#VER A 1 20110101\n{\n}\n#VER A 2 20110101\n{\n#TRANS 1 {} 0.00\n}\n#VER A 3 20110101\n{\n#TRANS 1 {} -2.00\n}\n";
    let ledger = Ledger::default();
    let plan = Plan { ledger: &ledger, digest: "", prefix: "", balance_opening_to: None, without_opening: true };
    let found = drafts(&book(text), &plan).unwrap();
    let [none, zero, half] = found.as_slice() else { panic!("{found:?}") };
    assert!(matches!((&none.content, &zero.content), (Err(Unsent::Skipped(_)), Err(Unsent::Skipped(_)))));
    let Err(Unsent::Refused(why)) = &half.content else { panic!("{half:?}") };
    assert_eq!(serde_json::to_value(why).unwrap()["difference"], "-2.00");
    assert_eq!((half.number, half.entry.as_deref()), (13, Some("2011-01-01-A-3")));
}

#[test]
fn dimensions_that_share_a_name_keep_codes_of_their_own() {
    let row = |list: &str| format!("#TRANS 1 {{{list}}} 1\n#TRANS 2 {{{list}}} -1\n");
    let rows = row("1 a") + &row("6 b") + &row("30 c") + &row("31 d");
    let found = commands(&book(&format!("#DIM 30 Projekt\n#VER A 1 20110101\n{{\n{rows}}}\n")), None);
    let codes: Vec<_> = found.iter().filter(|c| c["type"] == "define_dimension").map(|c| c["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["kostnadsställe", "projekt", "dimension_31", "projekt_6"]);
    let entry = found.last().unwrap();
    assert_eq!(
        (&entry["postings"][2]["dimensions"], &entry["postings"][4]["dimensions"]),
        (&json!({"projekt_6": "b"}), &json!({"projekt": "c"}))
    );
}

#[test]
fn closing_balances_are_held_against_the_vouchers() {
    let text = "#IB 0 1 10\n#IB 0 3 4\n#UB 0 1 14.00\n#UB 0 2 1\n#RES 0 3 -5\n#RES 0 4 1\n\
                #VER A 1 20110101\n{\n#TRANS 1 {} 5\n#TRANS 3 {} -5\n}\n";
    let differences = book(text).differences();
    let shown: Vec<_> = differences.iter().map(|d| (d.account.as_str(), d.declared.as_str(), d.computed.as_str())).collect();
    assert_eq!(shown, [("1", "14.00", "15"), ("2", "1", "0"), ("4", "1", "0")]);
}
