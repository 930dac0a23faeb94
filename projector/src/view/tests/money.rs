//! Postings, balances per currency, entries, definitions.

use ledger_core::domain::catalogue::command::{AccountType, MovementKind};
use ledger_core::domain::catalogue::event::{AccountDefinition, PostingRuleDefinition, TenantOpened};
use ledger_core::domain::event::PostingDetail;
use ledger_core::domain::journal::event::{
    DocumentNumber, JournalEntryFreed, JournalEntryHeld, JournalEntryPosted, JournalEntryReversed, JournalEntrySettled,
};
use ledger_core::domain::period::Month;
use ledger_core::domain::period::event::{CalendarDefined, PeriodClosed, PeriodReopened, YearClosed};
use ledger_core::domain::state::Ledger;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::*;

fn plain(account: &str, amount: i64) -> Posting {
    Posting::new(account.parse().unwrap(), amount)
}

fn euros(account: &str, amount: i64, units: i64) -> Posting {
    let detail = PostingDetail {
        currency: Some("EUR".parse().unwrap()),
        currency_amount: Some(units),
        currency_scale: Some(2),
        ..PostingDetail::default()
    };
    Posting { account: account.parse().unwrap(), amount, detail: Some(Box::new(detail)) }
}

fn posted(id: &str, postings: Vec<Posting>) -> Event {
    let description = Some("Rent".parse().unwrap());
    Event::JournalEntryPosted(JournalEntryPosted {
        id: id.parse().unwrap(),
        description,
        money: 2,
        postings,
        rates: None,
        number: None,
        exchange_difference: None,
    })
}

fn held(id: &str, postings: Vec<Posting>) -> Event {
    Event::JournalEntryHeld(JournalEntryHeld {
        id: id.parse().unwrap(),
        description: Some("Authorised".parse().unwrap()),
        money: 2,
        postings,
        expires_at: Some(Timestamp(90)),
        rates: None,
    })
}

fn settled(id: &str, postings: Vec<Posting>, freed: Vec<Posting>, number: Option<u64>) -> Event {
    let number = number.map(|number| DocumentNumber { series: "INV".parse().unwrap(), year: 2026, number });
    let is_open = postings == freed;
    Event::JournalEntrySettled(JournalEntrySettled {
        id: id.parse().unwrap(),
        money: 2,
        postings,
        freed,
        is_open,
        number,
        exchange_difference: None,
    })
}

fn freed(id: &str, freed: Vec<Posting>) -> JournalEntryFreed {
    JournalEntryFreed { id: id.parse().unwrap(), money: 2, freed }
}

fn opened(code: &str, account_type: AccountType) -> Event {
    Event::AccountOpened(AccountDefinition::new(code.parse().unwrap(), "Name".parse().unwrap(), account_type))
}

fn body(tables: &Tables, kind: DefinitionKind, code: &str) -> serde_json::Value {
    tables.definitions[&(kind, code.to_owned())].body.clone()
}

#[test]
fn a_posting_counts_in_its_currency_and_its_row_says_all_that_was_said() {
    let mut tables = Tables::default();
    tables.fold(&recorded(1, opened("1000", AccountType::Asset))).unwrap();
    let mut tagged = plain("1000", -1_000);
    tagged.detail = Some(Box::new(PostingDetail {
        party: Some("C1".parse().unwrap()),
        item: Some("INV 7".parse().unwrap()),
        due_at: Some(Timestamp(77)),
        tax: Some("VAT25".parse().unwrap()),
        memo: Some("a memo".parse().unwrap()),
        dimensions: Some([("cost_centre".parse().unwrap(), "100".parse().unwrap())].into()),
        ..PostingDetail::default()
    }));
    let mut fact = recorded(2, posted("E", vec![euros("1000", 1_100, 100), euros("1000", 0, -1), tagged, plain("2000", -100)]));
    fact.fact.effective_at = Some(Timestamp(5));
    fact.fact.note.reference = Some("PO 7".parse().unwrap());
    tables.fold(&fact).unwrap();

    let row = &tables.postings[2];
    assert_eq!((row.line, row.sides, row.due_at), (2, [0, 1_000, 0, 0], Some(Timestamp(77))));
    assert_eq!((&*row.stream, row.type_number, row.effective_at, row.lane), ("entry-E", 60, Timestamp(5), 0));
    let texts = [&row.reference, &row.description, &row.item, &row.memo].map(|t| t.as_ref().map(|t| t.as_str()));
    assert_eq!(texts, [Some("PO 7"), Some("Rent"), Some("INV 7"), Some("a memo")]);
    assert_eq!(row.party.as_ref().map(|t| t.as_str()), Some("C1"));
    assert_eq!(row.tax.as_ref().map(|t| t.as_str()), Some("VAT25"));
    assert_eq!(serde_json::to_value(&row.dimensions).unwrap(), json!({"cost_centre": "100"}));
    // Nothing in the base currency: it stands on the side of its foreign amount.
    assert_eq!((tables.postings[1].sides, tables.postings[1].scale), ([0, 0, 0, 1], 2));

    assert_eq!(tables.balances["1000"][""].posted, [0, 1_000, 0, 0]);
    assert_eq!(tables.balances["1000"]["EUR"].posted, [1_100, 0, 100, 1]);
    let view = tables.account(&"1000".parse().unwrap(), 2).unwrap().body;
    assert_eq!((view.position, view.money, view.normal_debit), (2, 2, true));
    let shown: Vec<_> = view.balances.iter().map(|b| (b.currency.as_str(), b.debits, b.credits, b.currency_debits)).collect();
    assert_eq!(shown, [("", 0, 1_000, 0), ("EUR", 1_100, 0, 100)]);
}

#[test]
fn a_pending_entry_is_settled_in_parts_and_reversed() {
    let mut tables = Tables::default();
    let halves = |n: i64| vec![euros("1000", n * 11, n), plain("2000", -n * 11)];
    tables.fold(&recorded(1, held("E", halves(100)))).unwrap();
    let row = |tables: &Tables| tables.entries["E"].clone();
    let pending = |tables: &Tables| row(tables).pending().map(|(line, p)| (line, p.sides)).collect::<Vec<_>>();
    assert_eq!(pending(&tables), [(0, [1_100, 0, 100, 0]), (1, [0, 1_100, 0, 0])]);
    assert_eq!(tables.balances["1000"]["EUR"].pending, [1_100, 0, 100, 0]);
    // It was held, not posted to.
    assert_eq!((tables.balances["1000"]["EUR"].position, tables.postings.len()), (0, 0));

    tables.fold(&recorded(2, settled("E", halves(30), halves(30), Some(1)))).unwrap();
    assert_eq!((row(&tables).status, row(&tables).number.map(|n| n.number)), (EntryStatus::Pending, Some(1)));
    assert_eq!(pending(&tables), [(0, [770, 0, 70, 0]), (1, [0, 770, 0, 0])]);
    assert_eq!(tables.balances["2000"][""].pending, [0, 770, 0, 0]);
    assert_eq!(tables.postings[0].description.as_ref().map(|t| t.as_str()), Some("Authorised"));

    tables.fold(&recorded(3, settled("E", halves(20), halves(70), Some(2)))).unwrap();
    let closed = row(&tables);
    assert_eq!((closed.status, closed.position, closed.opened_at_position), (EntryStatus::Settled, 3, 1));
    assert_eq!((closed.number.map(|n| n.number), pending(&tables)), (Some(1), Vec::new()));
    assert_eq!(tables.balances["1000"]["EUR"].pending, [0; 4]);
    assert_eq!(tables.balances["1000"]["EUR"].posted, [550, 0, 50, 0]);
    let shown = serde_json::to_value(&closed.body).unwrap();
    let postings = json!([
        {"account": "1000", "debit": "5.50", "currency": "EUR", "currency_debit": "0.50"},
        {"account": "2000", "credit": "5.50"},
    ]);
    assert_eq!((&shown["postings"], &shown["held"][1]["credit"]), (&postings, &json!("11.00")));
    assert_eq!(
        (&shown["steps"][1]["type"], &shown["steps"][1]["number"]["number"]),
        (&json!("journal_entry_settled"), &json!(2))
    );

    let reversed = JournalEntryReversed {
        id: "E".parse().unwrap(),
        reverses: 1,
        money: 2,
        postings: halves(-50),
        number: None,
        exchange_difference: None,
    };
    tables.fold(&recorded(4, Event::JournalEntryReversed(reversed))).unwrap();
    assert!(row(&tables).reversed);
    assert_eq!(tables.balances["2000"][""].posted, [550, 550, 0, 0]);
}

#[test]
fn voided_and_expired_entries_free_what_they_held() {
    for status in [EntryStatus::Voided, EntryStatus::Expired] {
        let mut tables = Tables::default();
        let postings = vec![plain("1000", 5), plain("2000", -5)];
        tables.fold(&recorded(1, held("E", postings.clone()))).unwrap();
        let event = match status {
            EntryStatus::Voided => Event::JournalEntryVoided(freed("E", postings.clone())),
            _expired => Event::JournalEntryExpired(freed("E", postings.clone())),
        };
        tables.fold(&recorded(2, event)).unwrap();
        let row = &tables.entries["E"];
        assert_eq!((row.status, row.pending().count(), row.body.freed.len()), (status, 0, 2));
        assert_eq!(tables.balances["1000"][""].pending, [0; 4]);
        assert!(tables.postings.is_empty());
    }
}

#[test]
fn what_does_not_follow_an_entry_is_refused() {
    let mut tables = Tables::default();
    let postings = |n| vec![plain("1000", n), plain("2000", -n)];
    assert!(tables.fold(&recorded(1, Event::JournalEntryVoided(freed("E", postings(5))))).is_err());
    tables.fold(&recorded(1, held("E", postings(5)))).unwrap();
    let in_euros = vec![euros("1000", 5, 5), plain("2000", -5)];
    for wrong in [postings(6), postings(-5), vec![plain("1000", 5)], vec![plain("1000", 5), plain("3000", -5)], in_euros] {
        let mut copy = Tables::default();
        copy.fold(&recorded(1, held("E", postings(5)))).unwrap();
        assert!(copy.fold(&recorded(2, settled("E", Vec::new(), wrong, None))).is_err());
    }
}

#[test]
fn the_close_of_a_year_has_a_lane_of_its_own_and_a_result() {
    let mut tables = Tables::default();
    for (position, code, kind) in
        [(1, "4000", AccountType::Revenue), (2, "5000", AccountType::Expense), (3, "3100", AccountType::Equity)]
    {
        tables.fold(&recorded(position, opened(code, kind))).unwrap();
    }
    tables.fold(&recorded(4, posted("A", vec![plain("5000", 300), plain("4000", -1_000), plain("3100", 700)]))).unwrap();
    let close = |n: i64| {
        Event::YearClosed(YearClosed {
            year: 2025,
            money: 2,
            postings: vec![plain("4000", 1_000 + n), plain("5000", -300), plain("3100", -700 - n)],
            result: 700 + n,
        })
    };
    tables.fold(&recorded(5, close(0))).unwrap();
    assert_eq!(body(&tables, DefinitionKind::Year, "2025")["result"], "7.00");
    let lanes: Vec<_> = tables.postings.iter().map(|p| (p.lane, p.lane_sides[1])).collect();
    assert_eq!(lanes, [(0, 0), (0, 1_000), (0, 0), (CLOSING, 0), (CLOSING, 300), (CLOSING, 700)]);
    assert_eq!(&*tables.postings[3].stream, "periods");
    assert_eq!(tables.balances["4000"][""].posted, [1_000, 1_000, 0, 0]);
    assert_eq!(tables.balances["4000"][""].lanes, [Lane { effective_at: 4_000_000, totals: [0, 1_000, 0, 0] }]);
    // Closed again after something was posted late.
    tables.fold(&recorded(6, close(-700))).unwrap();
    assert_eq!(
        body(&tables, DefinitionKind::Year, "2025"),
        json!({"closed_at": "1970-01-01T00:00:06Z", "position": 6, "result": "7.00"})
    );
    tables.fold(&recorded(7, close(50))).unwrap();
    assert_eq!(body(&tables, DefinitionKind::Year, "2025")["result"], "14.50");
}

#[test]
fn definitions_are_kept_by_kind_and_code() {
    let mut tables = Tables::default();
    tables.fold(&recorded(1, opened("6000", AccountType::Expense))).unwrap();
    let rule = PostingRuleDefinition {
        movement: MovementKind::Scrap,
        class: "default".parse().unwrap(),
        account: "6000".parse().unwrap(),
    };
    tables.fold(&recorded(2, Event::PostingRuleDefined(rule))).unwrap();
    tables.fold(&recorded(3, Event::CalendarDefined(CalendarDefined { year_starts_month: 7 }))).unwrap();
    assert_eq!(
        body(&tables, DefinitionKind::PostingRule, "scrap/default"),
        json!({"movement": "scrap", "class": "default", "account": "6000"})
    );
    assert_eq!(body(&tables, DefinitionKind::Calendar, "calendar"), json!({"year_starts_month": 7}));
}

/// The status of a month as a reader of the rows derives it.
fn derived(tables: &Tables, month: Month) -> &'static str {
    let from_here = tables
        .definitions
        .iter()
        .filter(|((kind, code), _)| *kind == DefinitionKind::Period && code.parse::<Month>().unwrap() >= month);
    let statuses: Vec<_> = from_here.map(|(_, row)| row.body["status"].as_str().unwrap().to_owned()).collect();
    let has = |word: &str| statuses.iter().any(|s| s == word);
    if has("closed") {
        "closed"
    } else if has("soft_closed") {
        "soft_closed"
    } else {
        "open"
    }
}

proptest! {
    #[test]
    fn a_months_status_is_the_strictest_of_its_row_and_later_ones(
        steps in prop::collection::vec((0_i32..8, any::<bool>(), any::<bool>()), 0..24)
    ) {
        let (mut ledger, mut tables) = (Ledger::default(), Tables::default());
        let tenant = TenantOpened {
            code: "t".parse().unwrap(),
            name: "T".parse().unwrap(),
            currency: "SEK".parse().unwrap(),
            currency_scale: 2,
        };
        ledger.evolve(&Recorded { stream_version: 1, ..recorded(1, Event::TenantOpened(tenant)) }).unwrap();
        let months: Vec<Month> = (0..8).map(|n| Month(2026 * 12 + n)).collect();
        let mut version = 0;
        for (at, soft, is_reopened) in steps {
            let (periods, month) = (*ledger.periods(), Month(2026 * 12 + at));
            let event = match periods.soft_through {
                Some(through) if is_reopened => Event::PeriodReopened(PeriodReopened { period: through }),
                _closed => {
                    let through = if soft { periods.soft_through } else { periods.closed_through };
                    if through >= Some(month) {
                        continue;
                    }
                    Event::PeriodClosed(PeriodClosed { period: month, soft, seal: None })
                }
            };
            version += 1;
            let fact = Recorded { stream: 2, stream_version: version, ..recorded(1 + version, event) };
            ledger.evolve(&fact).unwrap();
            tables.fold(&fact).unwrap();
            for month in &months {
                let periods = ledger.periods();
                let expected = if periods.closed_through >= Some(*month) {
                    "closed"
                } else if periods.soft_through >= Some(*month) {
                    "soft_closed"
                } else {
                    "open"
                };
                prop_assert_eq!(derived(&tables, *month), expected, "{}", month);
            }
        }
    }

    #[test]
    fn totals_as_of_any_position_and_time_are_the_sum_over_the_postings(
        mut facts in prop::collection::vec((0_i64..60, prop::collection::vec((-9_i64..9, prop::option::of(-9_i64..9)), 1..4), any::<bool>()), 0..100),
        is_backwards in any::<bool>(),
    ) {
        if is_backwards {
            // More lanes than there are.
            facts.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        }
        let mut tables = Tables::default();
        for (position, (at, amounts, is_closing)) in (1_i64..).zip(&facts) {
            let posting = |(amount, units): &(i64, Option<i64>)| match units {
                Some(units) => euros("1000", *amount, *units),
                None => plain("1000", *amount),
            };
            let postings = amounts.iter().map(posting).collect();
            let event = if *is_closing && at % 4 == 0 {
                Event::YearClosed(YearClosed { year: 2025, money: 2, postings, result: 0 })
            } else {
                posted(&position.to_string(), postings)
            };
            let mut fact = recorded(position, event);
            fact.fact.effective_at = Some(Timestamp(*at));
            tables.fold(&fact).unwrap();
        }
        let rows = &tables.postings;
        let end = i64::try_from(facts.len()).unwrap();
        for currency in ["", "EUR"] {
            let of_currency: Vec<_> = rows.iter().filter(|r| r.currency.as_str() == currency).collect();
            for (p, t) in (0..=end).flat_map(|p| [(p, 0), (p, 19), (p, 39), (p, 60)]) {
                let is_in = |r: &&&PostingRow| r.position <= p && r.effective_at.0 <= t;
                let expected = of_currency.iter().filter(is_in).fold([0; 4], |sum, r| lane::plus(sum, r.sides).unwrap());
                let mut total = [0; 4];
                for lane in 0..i16::try_from(LANES_MAX).unwrap() {
                    let of_lane: Vec<_> = of_currency.iter().filter(|r| r.lane == lane).collect();
                    let by_position = of_lane.iter().rposition(|r| r.position <= p);
                    // As the index has them: by effective time, then position, then line.
                    let by_time = of_lane.iter().rposition(|r| r.effective_at.0 <= t);
                    prop_assert!(of_lane.is_sorted_by_key(|r| (r.effective_at, r.position, r.line)));
                    if let Some(at) = by_position.zip(by_time).map(|(a, b)| a.min(b)) {
                        total = lane::plus(total, of_lane[at].lane_sides).unwrap();
                    }
                }
                let unordered = of_currency.iter().filter(|r| r.lane < 0).filter(is_in);
                total = unordered.fold(total, |sum, r| lane::plus(sum, r.sides).unwrap());
                prop_assert_eq!(total, expected, "currency {:?}, position {}, time {}", currency, p, t);
            }
            let whole = of_currency.iter().fold([0; 4], |sum, r| lane::plus(sum, r.sides).unwrap());
            let balance = tables.balances.get("1000").and_then(|b| b.get(currency)).map_or([0; 4], |b| b.posted);
            prop_assert_eq!(whole, balance);
        }
    }
}
