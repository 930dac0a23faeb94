//! Money: two phases, limits, conditions, currencies, periods, numbers.

use serde_json::{Value, json};

use super::*;
use crate::domain::event::Event;
use crate::domain::id::CurrencyCode;
use crate::domain::journal::command::ExpireEntry;
use crate::domain::period::Month;
use crate::domain::state::EntryStatus;

/// 2026-09-21, in which every scenario begins.
const SEPTEMBER: &str = "2026-09";
/// Seconds from the start to the 1st of October.
const OCTOBER: i64 = 10 * 86_400;

fn book() -> Book {
    let mut book = Book::new("moving_average", "forbid");
    assert_eq!(Month::of(START).to_string(), SEPTEMBER);
    for (code, account_type, more) in [
        ("wallet", "liability", json!({"minimum": "0"})),
        ("other", "liability", json!({"minimum": "0"})),
        ("till", "asset", json!({"maximum": "100", "limit_on": "posted"})),
        ("usd", "asset", json!({"currency": "USD"})),
        ("usd2", "asset", json!({"currency": "USD"})),
        ("yen", "asset", json!({"currency": "JPY", "minimum": "0"})),
        ("debtors", "asset", json!({})),
    ] {
        let mut define = more;
        (define["type"], define["code"], define["account_type"]) = ("define_account".into(), code.into(), account_type.into());
        book.ok(define);
    }
    book
}

fn post(postings: &[(&str, &str, &str)]) -> Value {
    let lines: Vec<Value> = postings.iter().map(|(account, side, amount)| json!({"account": account, *side: amount})).collect();
    json!({"type": "post_entry", "postings": lines})
}

fn hold(id: &str, from: &str, to: &str, amount: &str) -> Value {
    with(with(post(&[(from, "debit", amount), (to, "credit", amount)]), "id", id.into()), "pending", true.into())
}

fn with(mut json: Value, field: &str, value: Value) -> Value {
    json[field] = value;
    json
}

/// Adds a currency to some postings.
fn in_currency(mut json: Value, currency: &str, lines: &[usize]) -> Value {
    for line in lines {
        json["postings"][*line]["currency"] = currency.into();
    }
    json
}

fn rated(json: Value, rates: &[(&str, &str)]) -> Value {
    let rates: Vec<Value> = rates.iter().map(|(currency, rate)| json!({"currency": currency, "rate": rate})).collect();
    with(json, "rates", rates.into())
}

impl Book {
    /// Posted, pending debits, pending credits.
    fn funds(&self, code: &str) -> (i128, i128, i128) {
        let (_, a) = self.ledger.account(code).unwrap();
        (a.balance(), a.pending.debits, a.pending.credits)
    }

    /// Units of a foreign currency, and what they are carried at.
    fn held_in(&self, code: &str, currency: &str) -> (i128, i128) {
        let currency: CurrencyCode = currency.parse().unwrap();
        self.ledger.account(code).unwrap().1.book(&currency).map_or((0, 0), |b| (b.sides.balance(), b.base))
    }

    fn expire(&mut self, id: &str) -> Result<Vec<Recorded>, Rejection> {
        self.run(vec![Action::ExpireEntry(ExpireEntry { id: id.parse().unwrap(), ..ExpireEntry::default() })])
    }
}

#[test]
fn a_pending_entry_is_settled_voided_or_timed_out_at_the_instant() {
    let mut book = book();
    book.ok(post(&[("1000", "debit", "100"), ("wallet", "credit", "100")]));
    book.ok(with(hold("h1", "wallet", "4000", "60"), "ttl_seconds", 10.into()));
    assert_eq!(book.funds("wallet"), (-10_000, 6_000, 0));
    assert_eq!(book.code(hold("h2", "wallet", "4000", "40.01")), "limit_exceeded");
    book.now = Timestamp(START.0 + 10_000_000 - 1);
    assert_eq!(book.code(hold("h2", "wallet", "4000", "40.01")), "limit_exceeded");
    // At its instant it moves nothing, though nobody has recorded that.
    book.now = Timestamp(START.0 + 10_000_000);
    assert_eq!(book.code(json!({"type": "settle_entry", "id": "h1"})), "entry_expired");
    assert_eq!(book.funds("wallet"), (-10_000, 0, 0));
    book.ok(hold("h2", "wallet", "4000", "100"));
    assert_eq!(book.ledger.lapsed_entries(9).len(), 1);
    book.expire("h1").unwrap();
    assert_eq!((book.ledger.lapsed_entries(9).len(), book.funds("wallet")), (0, (-10_000, 10_000, 0)));
    assert!(book.expire("h1").unwrap().is_empty(), "once");
    assert_eq!(book.code(json!({"type": "settle_entry", "id": "h1"})), "entry_expired", "recorded or not");
    assert_eq!(book.expire("h2").unwrap_err().code(), "entry_not_expired");
    book.ok(json!({"type": "settle_entry", "id": "h2", "amount": "30"}));
    assert_eq!((book.funds("wallet"), book.account("4000")), ((-7_000, 0, 0), -3_000));
    assert_eq!(book.code(json!({"type": "settle_entry", "id": "h2"})), "entry_not_pending");
    book.ok(hold("h3", "wallet", "4000", "70"));
    book.ok(json!({"type": "void_entry", "id": "h3"}));
    assert_eq!(book.code(json!({"type": "void_entry", "id": "h3"})), "entry_not_pending");
    assert_eq!(book.code(json!({"type": "reverse_entry", "id": "h3"})), "entry_not_posted");
    book.ok(json!({"type": "reverse_entry", "id": "h2"}));
    assert_eq!((book.funds("wallet"), book.account("4000")), ((-10_000, 0, 0), 0));
    assert_eq!(book.code(json!({"type": "reverse_entry", "id": "h2"})), "entry_already_reversed");
}

#[test]
fn a_hold_of_many_legs_settles_as_one_and_in_parts_to_the_last_cent() {
    let mut book = book();
    let legs =
        [("1000", "debit", "100.00"), ("4000", "credit", "33.33"), ("2200", "credit", "33.33"), ("2000", "credit", "33.34")];
    book.ok(with(with(post(&legs), "id", "h".into()), "pending", true.into()));
    for (amount, left) in [("33.00", 6_700), ("66.99", 1)] {
        book.ok(json!({"type": "settle_entry", "id": "h", "amount": amount, "keep_open": true}));
        assert_eq!(book.funds("1000").1, left);
    }
    assert_eq!(book.code(json!({"type": "settle_entry", "id": "h", "amount": "0.02"})), "settlement_exceeds_pending");
    book.ok(json!({"type": "settle_entry", "id": "h"}));
    let all = ["1000", "4000", "2200", "2000"].map(|code| book.funds(code));
    assert_eq!(all, [(10_000, 0, 0), (-3_333, 0, 0), (-3_333, 0, 0), (-3_334, 0, 0)]);
    assert_eq!(book.ledger.entry("h").unwrap().status, EntryStatus::Settled);
}

#[test]
fn limits_hold_for_what_moves_towards_them_only() {
    let mut book = book();
    book.ok(post(&[("till", "debit", "90"), ("3000", "credit", "90")]));
    let more = |amount| post(&[("till", "debit", amount), ("3000", "credit", amount)]);
    match book.refused(more("10.01")) {
        Rejection::LimitExceeded { account, limit, bound, balance } => {
            let said = (account.as_str(), limit.as_str(), bound.as_str(), balance.as_str());
            assert_eq!(said, ("till", "maximum", "100.00", "100.01"));
        }
        other => panic!("{other:?}"),
    }
    // Only what is posted counts here.
    book.ok(with(with(more("50"), "pending", true.into()), "id", "p".into()));
    assert_eq!(book.code(json!({"type": "settle_entry", "id": "p"})), "limit_exceeded");
    book.ok(json!({"type": "define_account", "code": "till", "account_type": "asset", "maximum": "50"}));
    book.ok(post(&[("till", "credit", "1"), ("3000", "debit", "1")]));
    assert_eq!(book.code(more("0.01")), "limit_exceeded");
    // Several lines of one entry, several entries of one transaction: their sum is tested.
    book.ok(post(&[("1000", "debit", "10"), ("wallet", "credit", "10")]));
    assert_eq!(
        book.code(post(&[("wallet", "debit", "6"), ("wallet", "debit", "6"), ("4000", "credit", "12")])),
        "limit_exceeded"
    );
    let take = action(post(&[("wallet", "debit", "6"), ("4000", "credit", "6")]));
    assert_eq!(book.run(vec![take.clone(), take]).unwrap_err().code(), "limit_exceeded");
    let balancing = with(post(&[("wallet", "debit", "99"), ("4000", "credit", "99")]), "balancing", "debit".into());
    book.ok(balancing.clone());
    assert_eq!((book.funds("wallet").0, book.account("4000")), (0, -1_000));
    assert_eq!(book.code(balancing), "nothing_to_balance");
}

#[test]
fn totals_stay_within_64_bits_whatever_one_action_adds() {
    let mut book = book();
    let much = "9999999999999999.99";
    let mut lines = vec![("1000", "debit", much); 12];
    lines.extend(vec![("4000", "credit", much); 12]);
    assert_eq!(book.code(post(&lines)), "number_out_of_range");
    assert_eq!(book.code(with(post(&lines), "pending", true.into())), "number_out_of_range");
    let nine: Vec<_> = lines.iter().enumerate().filter(|(n, _)| n % 12 < 9).map(|(_, line)| *line).collect();
    book.ok(post(&nine));
    assert_eq!(book.code(post(&[("1000", "debit", much), ("4000", "credit", much)])), "number_out_of_range");
    book.ok(with(with(post(&nine), "pending", true.into()), "ttl_seconds", 1.into()));
    // What has lapsed stays in the views until that is recorded.
    book.at(2);
    let more = with(post(&[("1000", "debit", much), ("4000", "credit", much)]), "pending", true.into());
    assert_eq!(book.code(more.clone()), "number_out_of_range");
    let lapsed = book.ledger.lapsed_entries(1)[0].to_string();
    book.expire(&lapsed).unwrap();
    book.ok(more);
    book.ok(post(&[("1000", "credit", "1"), ("4000", "debit", "1")]));
}

#[test]
fn an_entry_may_ask_for_a_balance_or_for_nothing_having_happened() {
    let mut book = book();
    let entry =
        |condition: Value| with(post(&[("1000", "debit", "1"), ("4000", "credit", "1")]), "conditions", json!([condition]));
    let at = book.ok(entry(json!({"account": "1000", "balance": "0", "position": 0})))[0].position;
    assert_eq!(book.code(entry(json!({"account": "1000", "balance": "0.99"}))), "balance_differs");
    assert_eq!(book.code(entry(json!({"account": "1000", "position": 0}))), "account_moved");
    book.ok(entry(json!({"account": "1000", "balance": "1.00", "position": at})));
}

#[test]
fn what_is_settled_in_another_currency_gains_or_loses_against_what_it_was_carried_at() {
    let mut book = book();
    let invoice = in_currency(post(&[("debtors", "debit", "100"), ("4000", "credit", "100")]), "USD", &[0, 1]);
    book.ok(rated(invoice.clone(), &[("USD", "0.90")]));
    book.ok(rated(invoice, &[("USD", "0.95")]));
    assert_eq!((book.held_in("debtors", "USD"), book.account("4000")), ((20_000, 18_500), -18_500));
    // 150 of 200 are paid at 0.80: they were carried at 138.75.
    let paid = in_currency(post(&[("usd", "debit", "150"), ("debtors", "credit", "150")]), "USD", &[0, 1]);
    let events = book.ok(rated(paid, &[("USD", "0.80")]));
    assert_eq!((book.held_in("debtors", "USD"), book.held_in("usd", "USD")), ((5_000, 4_625), (15_000, 12_000)));
    assert_eq!(book.account("6900"), 1_875);
    let Event::JournalEntryPosted(told) = &events[0].fact.event else { panic!() };
    assert_eq!((told.postings.len(), told.exchange_difference), (3, Some(-1_875)));
    // At the period's end the rest is restated, and taken back in the next instant.
    book.now = START.plus_seconds(OCTOBER);
    let restate = |id: &str, rate: &str| json!({"type": "revalue_currency", "id": id, "currency": "USD", "rate": rate, "period": SEPTEMBER});
    let events = book.ok(restate("r", "1.00"));
    let times: Vec<String> = events.iter().map(|e| e.effective_at().to_string()).collect();
    assert_eq!(times, ["2026-09-30T23:59:59.999999Z", "2026-10-01T00:00:00Z"]);
    let at_the_end = |book: &Book, code: &str| {
        let september = SEPTEMBER.parse().unwrap();
        let account = book.ledger.account(code).unwrap().1;
        (account.book(&"USD".parse().unwrap()).unwrap().at(september), account.at(september).balance())
    };
    assert_eq!((at_the_end(&book, "debtors").0, at_the_end(&book, "usd").0), ((5_000, 5_000), (15_000, 15_000)));
    assert_eq!(book.ledger.account("6910").unwrap().1.at(SEPTEMBER.parse().unwrap()).balance(), -375 - 3_000);
    assert!(book.ok(restate("r2", "1.00")).is_empty(), "restated already");
    book.ok(restate("r3", "0.90"));
    assert_eq!((at_the_end(&book, "usd").1, book.held_in("usd", "USD"), book.account("6910")), (13_500, (15_000, 12_000), 0));
    assert_eq!(book.code(json!({"type": "reverse_entry", "id": "r"})), "entry_already_reversed");
    // Exchanged into the base currency: the whole of what is left takes the whole of its value.
    let sell = |amount: &str, base: &str| {
        rated(in_currency(post(&[("1000", "debit", base), ("usd", "credit", amount)]), "USD", &[1]), &[("USD", "0.8333")])
    };
    book.ok(sell("100.01", "83.34"));
    book.ok(sell("49.99", "41.66"));
    assert_eq!(book.held_in("usd", "USD"), (0, 0));
    assert_eq!(book.account("6900"), 1_875 - (8_334 + 4_166 - 12_000));
}

#[test]
fn a_wrong_amount_is_not_hidden_in_an_exchange_gain() {
    let mut book = book();
    let sell = |base: &str| {
        rated(in_currency(post(&[("1000", "debit", base), ("usd", "credit", "100")]), "USD", &[1]), &[("USD", "0.9")])
    };
    match book.refused(sell("900")) {
        Rejection::EntryUnbalanced { difference, currency: None, .. } => assert_eq!(difference.as_str(), "810.00"),
        other => panic!("{other:?}"),
    }
    book.ok(sell("90.01"));
    // Without a rate a currency balances by itself.
    match book.refused(in_currency(post(&[("usd", "debit", "10"), ("debtors", "credit", "9.50")]), "USD", &[0, 1])) {
        Rejection::EntryUnbalanced { difference, currency, .. } => {
            assert_eq!((difference.as_str(), currency.unwrap().as_str()), ("0.50", "USD"));
        }
        other => panic!("{other:?}"),
    }
    let yen = in_currency(post(&[("yen", "debit", "10.5"), ("4000", "credit", "10.5")]), "JPY", &[0, 1]);
    assert_eq!(book.code(rated(yen, &[("JPY", "0.006")])), "scale_exceeded");
}

#[test]
fn a_currency_without_a_rate_carries_its_value_along() {
    let mut book = book();
    let into = in_currency(post(&[("usd", "debit", "3"), ("4000", "credit", "3")]), "USD", &[0, 1]);
    book.ok(rated(into, &[("USD", "0.3333")]));
    assert_eq!(book.held_in("usd", "USD"), (300, 100));
    let over = |amount| in_currency(post(&[("usd2", "debit", amount), ("usd", "credit", amount)]), "USD", &[0, 1]);
    book.ok(over("1"));
    book.ok(over("1"));
    assert_eq!((book.held_in("usd", "USD"), book.held_in("usd2", "USD")), ((100, 33), (200, 67)));
    book.ok(over("1"));
    assert_eq!((book.held_in("usd", "USD"), book.held_in("usd2", "USD"), book.account("6900")), ((0, 0), (300, 100), 0));
    assert_eq!(book.code(over("1")), "rate_required", "nothing is there to be carried");
}

#[test]
fn a_closed_period_takes_nothing_and_a_soft_closed_one_adjusting_entries() {
    let mut book = book();
    book.receive("X", "A", "10", "100");
    let late = START.plus_seconds(60).to_string();
    book.now = START.plus_seconds(OCTOBER + 60);
    let entry = with(post(&[("1000", "debit", "1"), ("4000", "credit", "1")]), "effective_at", late.clone().into());
    let issue = json!({"type": "issue", "sku": "X", "location": "A", "quantity": "1", "effective_at": late});
    let close = |soft: bool| json!({"type": "close_period", "period": SEPTEMBER, "soft": soft});
    book.ok(close(true));
    assert!(book.ok(close(true)).is_empty());
    assert_eq!([book.code(entry.clone()), book.code(issue.clone())], ["period_closed"; 2]);
    book.ok(with(entry.clone(), "adjusting", true.into()));
    let events = book.ok(close(false));
    let Event::PeriodClosed(closed) = &events[0].fact.event else { panic!() };
    assert_eq!(closed.seal.unwrap().position, events[0].position - 1);
    assert_eq!(book.code(with(entry.clone(), "adjusting", true.into())), "period_closed");
    assert_eq!(book.code(issue.clone()), "period_closed");
    // Reservations post nothing: they may be dated as they like.
    book.ok(with(reserve("R", 60, &[("X", "1")]), "effective_at", START.plus_seconds(60).to_string().into()));
    let reopen = json!({"type": "reopen_period", "period": SEPTEMBER});
    assert_eq!(book.code(reopen.clone()), "reason_required");
    assert_eq!(book.code(json!({"type": "reopen_period", "period": "2026-08", "reason": "AUDIT"})), "later_period_closed");
    assert_eq!(book.code(json!({"type": "close_period", "period": "2026-10"})), "period_not_over");
    book.ok(with(reopen, "reason", "AUDIT".into()));
    book.ok(issue);
    book.ok(entry);
}

#[test]
fn what_is_settled_late_is_dated_in_the_first_open_period() {
    let mut book = Book::new("fifo", "allow");
    book.ok(json!({"type": "issue", "sku": "X", "location": "A", "quantity": "1"}));
    book.now = START.plus_seconds(OCTOBER + 3_600);
    book.ok(json!({"type": "close_period", "period": SEPTEMBER}));
    let at = START.plus_seconds(OCTOBER + 60);
    let receipt = json!({"type": "receive", "sku": "X", "location": "A", "quantity": "2", "total_cost": "8", "effective_at": at.to_string()});
    for recorded in book.ok(receipt) {
        assert!(recorded.effective_at() >= Month::of(START).end(), "{}", recorded.fact.event.type_name());
    }
}

#[test]
fn a_year_is_carried_to_retained_earnings_once() {
    let mut book = book();
    book.ok(json!({"type": "define_calendar", "year_starts_month": 10}));
    book.ok(post(&[("1000", "debit", "100"), ("4000", "credit", "100")]));
    let in_dollars = in_currency(post(&[("6000", "debit", "10"), ("usd", "credit", "10")]), "USD", &[0, 1]);
    book.ok(rated(in_dollars, &[("USD", "0.9")]));
    book.now = START.plus_seconds(OCTOBER + 60);
    // Of the new year: stays.
    book.ok(post(&[("1000", "debit", "7"), ("4000", "credit", "7")]));
    assert_eq!(book.code(json!({"type": "close_year", "year": 2026})), "period_not_over");
    assert_eq!(book.code(json!({"type": "close_year", "year": 99_999})), "year_out_of_range");
    let close = json!({"type": "close_year", "year": 2025});
    let events = book.ok(close.clone());
    assert_eq!(events[0].effective_at().to_string(), "2026-09-30T23:59:59.999999Z");
    let Event::YearClosed(carried) = &events[0].fact.event else { panic!() };
    assert_eq!(carried.result, 9_100);
    assert_eq!([book.account("4000"), book.account("6000"), book.account("3100")], [-700, 0, -9_100]);
    assert_eq!(book.held_in("6000", "USD"), (0, 0));
    assert!(book.ok(close.clone()).is_empty());
    book.ok(json!({"type": "close_period", "period": SEPTEMBER}));
    assert!(book.ok(close.clone()).is_empty(), "a closed year has nothing left to carry");
    assert_eq!(book.code(json!({"type": "define_calendar", "year_starts_month": 1})), "calendar_fixed");
    // Reopened, corrected, closed again: only the correction is carried.
    book.ok(json!({"type": "reopen_period", "period": SEPTEMBER, "reason": "AUDIT"}));
    let late = with(post(&[("6000", "debit", "1"), ("1000", "credit", "1")]), "effective_at", START.to_string().into());
    book.ok(late);
    book.ok(close);
    assert_eq!([book.account("6000"), book.account("3100")], [0, -9_000]);
}

#[test]
fn documents_are_numbered_without_gaps_per_series_and_fiscal_year() {
    let mut book = book();
    let numbered = |series: &str, at: Timestamp| {
        let entry = post(&[("wallet", "debit", "1"), ("4000", "credit", "1")]);
        with(with(entry, "series", series.into()), "effective_at", at.to_string().into())
    };
    let number = |events: &[Recorded]| match &events[0].fact.event {
        Event::JournalEntryPosted(e) => e.number.clone().map(|n| (n.year, n.number)).unwrap(),
        Event::JournalEntrySettled(e) => e.number.clone().map(|n| (n.year, n.number)).unwrap(),
        Event::JournalEntryReversed(e) => e.number.clone().map(|n| (n.year, n.number)).unwrap(),
        other => panic!("{}", other.type_name()),
    };
    // Refused: it takes no number.
    assert_eq!(book.code(numbered("S", START)), "limit_exceeded");
    book.ok(post(&[("1000", "debit", "100"), ("wallet", "credit", "100")]));
    assert_eq!(number(&book.ok(numbered("S", START))), (2026, 1));
    assert_eq!(number(&book.ok(numbered("S", START.plus_seconds(-365 * 86_400)))), (2025, 1));
    assert_eq!(number(&book.ok(with(numbered("S", START), "id", "e".into()))), (2026, 2));
    assert_eq!(number(&book.ok(numbered("T", START))), (2026, 1));
    assert_eq!(number(&book.ok(json!({"type": "reverse_entry", "id": "e", "series": "S"}))), (2026, 3));
    book.ok(hold("h", "wallet", "4000", "1"));
    assert_eq!(number(&book.ok(json!({"type": "settle_entry", "id": "h", "series": "S"}))), (2026, 4));
    // A transaction whose last step is refused gives its numbers back.
    let bad = action(json!({"type": "settle_entry", "id": "h"}));
    assert_eq!(book.run(vec![action(numbered("S", START)), bad]).unwrap_err().code(), "entry_not_pending");
    assert_eq!(number(&book.ok(numbered("S", START))), (2026, 5));
}

#[test]
fn a_seal_is_a_function_of_the_balances_at_the_periods_end() {
    let sealed = |late: bool, beyond: bool| {
        let mut book = book();
        book.ok(post(&[("1000", "debit", "100"), ("4000", "credit", "100")]));
        book.now = START.plus_seconds(OCTOBER);
        if late {
            let entry = post(&[("1000", "debit", "1"), ("4000", "credit", "1")]);
            book.ok(with(entry, "effective_at", START.to_string().into()));
        }
        if beyond {
            book.ok(post(&[("1000", "debit", "5"), ("4000", "credit", "5")]));
        }
        match &book.ok(json!({"type": "close_period", "period": SEPTEMBER}))[0].fact.event {
            Event::PeriodClosed(e) => e.seal.unwrap().balances_root,
            other => panic!("{}", other.type_name()),
        }
    };
    assert_eq!(sealed(false, false), sealed(false, true), "what comes after the end is not of it");
    assert_ne!(sealed(false, false), sealed(true, false), "what is dated in it is");
}

#[test]
fn every_template_opens_a_chart_whose_rules_name_accounts_of_it() {
    for (word, accounts) in
        [("trading", 23), ("retail", 32), ("manufacturing", 31), ("services", 30), ("marketplace", 30), ("empty", 0)]
    {
        let mut book = Book { ledger: Ledger::default(), now: START, log: Vec::new() };
        let chart = serde_json::from_value(json!(word)).unwrap();
        let open = OpenTenant {
            code: "t".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
            currency_scale: 2,
            chart,
            ..Default::default()
        };
        book.run(vec![Action::OpenTenant(open)]).unwrap();
        assert_eq!(book.ledger.accounts().len(), accounts, "{word}");
        for kind in MovementKind::ALL {
            let rule = book.ledger.ruled_account(kind, &"default".parse().unwrap());
            assert_eq!(rule.is_some(), word != "empty", "{word} {}", kind.as_str());
        }
        let parents = book.ledger.accounts().iter().filter_map(|a| a.definition.parent.as_ref());
        assert!(parents.into_iter().all(|p| book.ledger.account(p.as_str()).is_some()), "{word}");
    }
}

/// One random thing to do with money.
fn doing() -> impl Strategy<Value = Value> {
    let account = prop::sample::select(vec!["1000", "wallet", "other", "debtors", "usd", "usd2", "4000", "6000"]);
    let lines = prop::collection::vec((account, 1_i64..5_000, any::<bool>()), 2..4);
    let id = (0_u8..12).prop_map(|n| format!("e{n}"));
    let rate = prop::option::of(1_i64..20_000);
    let days = -40_i64..30;
    (lines, id, rate, days, 0_u8..10, 1_i64..3_000).prop_map(|(lines, id, rate, days, verb, amount)| match verb {
        0 => json!({"type": "void_entry", "id": id}),
        1 => json!({"type": "reverse_entry", "id": id}),
        2 => json!({"type": "settle_entry", "id": id}),
        3 => json!({"type": "settle_entry", "id": id, "amount": cents(amount), "keep_open": amount % 2 == 0}),
        4 => json!({"type": "revalue_currency", "currency": "USD", "rate": "1.1", "period": SEPTEMBER}),
        5 if amount < 300 => json!({"type": "close_period", "period": "2026-08", "soft": amount % 2 == 0}),
        5 => json!({"type": "reopen_period", "period": "2026-08", "reason": "R"}),
        verb => {
            let usd = rate.is_some();
            let mut sum = 0;
            let mut postings: Vec<Value> = lines
                .iter()
                .map(|(account, units, debit)| {
                    sum += if *debit { *units } else { -units };
                    let side = if *debit { "debit" } else { "credit" };
                    let mut line = json!({"account": account, side: cents(*units)});
                    if usd {
                        line["currency"] = "USD".into();
                    }
                    line
                })
                .collect();
            if sum != 0 {
                let side = if sum > 0 { "credit" } else { "debit" };
                let mut line = json!({"account": "debtors", side: cents(sum.abs())});
                if usd {
                    line["currency"] = "USD".into();
                }
                postings.push(line);
            }
            let mut entry = json!({"type": "post_entry", "postings": postings, "id": id});
            entry["effective_at"] = START.plus_seconds(days * 86_400).to_string().into();
            if let Some(rate) = rate.filter(|r| r % 3 != 0) {
                entry["rates"] = json!([{"currency": "USD", "rate": format!("{}.{:04}", rate / 10_000, rate % 10_000)}]);
            }
            if verb == 6 {
                entry["pending"] = true.into();
                entry["ttl_seconds"] = (1 + amount / 100).into();
            }
            entry
        }
    })
}

fn cents(units: i64) -> String {
    format!("{}.{:02}", units / 100, units % 100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever is done: the books balance, an account without a currency has no value of it, what is pending is what
    /// open entries hold, limits hold, months add up to the totals, and a reader of the log comes to the same state.
    #[test]
    fn money_keeps_its_promises_over_any_history(doings in prop::collection::vec((doing(), 0_i64..4), 1..60)) {
        let mut book = book();
        book.ok(json!({"type": "define_account", "code": "wallet", "account_type": "liability", "minimum": "-20"}));
        let mut seconds = 0;
        for (doing, pause) in doings {
            seconds += pause;
            book.at(seconds);
            let _ = book.run(vec![action(doing)]);
            let mut pending = std::collections::BTreeMap::<String, (i128, i128)>::new();
            for n in 0..12 {
                let Some(entry) = book.ledger.entry(&format!("e{n}")).filter(|e| e.status == EntryStatus::Pending) else { continue };
                for p in &entry.pending {
                    let sum = pending.entry(p.account.to_string()).or_default();
                    let amount = i128::from(p.amount);
                    if amount >= 0 { sum.0 += amount } else { sum.1 -= amount }
                }
            }
            for account in book.ledger.accounts() {
                let (code, far) = (account.definition.code.to_string(), Month::new(2040, 1).unwrap());
                prop_assert_eq!(account.at(far), account.sides(), "months of {}", &code);
                prop_assert_eq!((account.pending.debits, account.pending.credits), pending.remove(&code).unwrap_or_default());
                for b in account.books() {
                    prop_assert_eq!(b.at(far), (b.sides.balance(), b.base));
                    let carried = account.definition.account_type.is_carried();
                    prop_assert!(!carried || b.sides.balance() != 0 || b.base == 0, "{} holds {} of no {}", &code, b.base, b.currency);
                }
            }
            let (_, wallet) = book.ledger.account("wallet").unwrap();
            prop_assert!(-wallet.balance() - wallet.pending.debits >= -2_000, "the limit of the wallet");
        }
        let mut reader = Ledger::default();
        for recorded in &book.log {
            reader.evolve(recorded).unwrap();
        }
        reader.advance(book.now);
        book.ledger.advance(book.now);
        reader.commit();
        prop_assert_eq!(reader.fingerprint(), book.ledger.fingerprint());
    }
}
