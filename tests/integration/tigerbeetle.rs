//! The command tables of TigerBeetle's own tests, through HTTP. What they expect is theirs; [`MAPPING`] says what we answer
//! where TigerBeetle answers a status, and [`EXCEPTIONS`] where one step's answer is another one, and why.
//!
//! **Shape**: a table is a tenant. An account is `PUT /v1/accounts/A…` with `expected_version` 0, for it creates and never
//! changes; a `ledger` is the currency that account takes, 1 the base currency. A transfer is an entry `T…` of two postings;
//! its second phase is that entry's settlement or void. A linked chain is a transaction. A command's id is its idempotency
//! key, user data and code are its metadata. `max` is the largest number of ours that serves (see each use).
//!
//! **Where the models differ**: 1. TigerBeetle keeps an id free when a command is malformed or breaks a rule, and spends it
//! when the state was against it; we spend the key on every decided refusal. So a step that TigerBeetle would let the caller
//! mend has a key of its own here. 2. Both name one flaw of many, in an order of their own: of a step that has many, all but
//! the one named are mended before it is sent ([`ALONE`]), and the problem must name that one ([`SAYS`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::harness::client::fresh_key;
use crate::harness::{Answer, Client, Parts, World};

/// What we answer where TigerBeetle answers a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// 201, with facts. What TigerBeetle refuses and we take is tried as a dry run: 200, and nothing stays.
    Accepted,
    /// The stored first answer: 200, `Idempotent-Replayed`.
    Replayed,
    /// A problem, and nothing is written.
    Refused(u16, &'static str),
    /// The problem names another command of the chain, and nothing of this one is there.
    Undone,
    /// There is nothing to be sent, because.
    NotMapped(&'static str),
}
use Ours::{Accepted, NotMapped, Refused, Replayed, Undone};

const REUSED: Ours = Refused(422, "command_id_reused");
const MALFORMED: Ours = Refused(400, "malformed");
const OUT_OF_RANGE: Ours = Refused(422, "number_out_of_range");
const OTHER_CURRENCY: Ours = Refused(422, "account_currency_differs");
const NO_LAST_ID: Ours = NotMapped("an id is a text; none is the largest, and none is reserved");
const NOT_RESTATED: Ours = NotMapped("a settlement or void names its entry and restates nothing of it that could differ");

/// Every status of the tables.
#[rustfmt::skip]
const MAPPING: &[(&str, Ours)] = &[
    ("created", Accepted),
    // Retries.
    ("exists", Replayed),
    ("exists_with_different_amount", REUSED),
    ("exists_with_different_code", REUSED),
    ("exists_with_different_credit_account_id", REUSED),
    ("exists_with_different_debit_account_id", REUSED),
    ("exists_with_different_flags", REUSED),
    ("exists_with_different_ledger", REUSED),
    ("exists_with_different_pending_id", REUSED),
    ("exists_with_different_timeout", REUSED),
    ("exists_with_different_user_data_128", REUSED),
    ("exists_with_different_user_data_32", REUSED),
    ("exists_with_different_user_data_64", REUSED),
    ("id_already_failed", REUSED),
    // Chains.
    ("linked_event_failed", Undone),
    ("linked_event_chain_open", NotMapped("a transaction is one body: it has an end")),
    // What a command may not say. Fields that we do not have are refused, not ignored.
    ("timestamp_must_be_zero", MALFORMED),
    ("reserved_field", MALFORMED),
    ("reserved_flag", MALFORMED),
    ("debits_pending_must_be_zero", MALFORMED),
    ("debits_posted_must_be_zero", MALFORMED),
    ("credits_pending_must_be_zero", MALFORMED),
    ("credits_posted_must_be_zero", MALFORMED),
    ("flags_are_mutually_exclusive", MALFORMED),
    ("pending_id_must_be_zero", MALFORMED),
    ("pending_transfer_has_different_amount", MALFORMED),
    ("timeout_reserved_for_pending_transfer", Refused(422, "ttl_without_pending")),
    // What it must say.
    ("id_must_not_be_zero", MALFORMED),
    ("code_must_not_be_zero", MALFORMED),
    ("debit_account_id_must_not_be_zero", MALFORMED),
    ("credit_account_id_must_not_be_zero", MALFORMED),
    ("pending_id_must_not_be_zero", MALFORMED),
    ("ledger_must_not_be_zero", Refused(404, "unknown_currency")),
    ("id_must_not_be_int_max", NO_LAST_ID),
    ("debit_account_id_must_not_be_int_max", NO_LAST_ID),
    ("credit_account_id_must_not_be_int_max", NO_LAST_ID),
    ("pending_id_must_not_be_int_max", NO_LAST_ID),
    ("pending_id_must_be_different", NotMapped("a settlement or void is no entry, so it has no id to be its own")),
    ("closing_transfer_must_be_pending", NotMapped("an account is closed by its definition, not by an entry")),
    // What it may be about. Within an account, value moves between parties, open items and dimensions: that is an entry.
    ("accounts_must_be_different", Accepted),
    ("debit_account_not_found", Refused(404, "unknown_account")),
    ("credit_account_not_found", Refused(404, "unknown_account")),
    ("accounts_must_have_the_same_ledger", OTHER_CURRENCY),
    ("transfer_must_have_the_same_ledger_as_accounts", OTHER_CURRENCY),
    // How much.
    ("exceeds_credits", Refused(409, "limit_exceeded")),
    ("exceeds_debits", Refused(409, "limit_exceeded")),
    ("overflows_debits_pending", OUT_OF_RANGE),
    ("overflows_credits_pending", OUT_OF_RANGE),
    ("overflows_debits_posted", OUT_OF_RANGE),
    ("overflows_credits_posted", OUT_OF_RANGE),
    ("overflows_debits", OUT_OF_RANGE),
    ("overflows_credits", OUT_OF_RANGE),
    ("overflows_timeout", Refused(422, "ttl_out_of_range")),
    // Second phase.
    ("exceeds_pending_transfer_amount", Refused(409, "settlement_exceeds_pending")),
    ("pending_transfer_not_found", Refused(404, "unknown_entry")),
    ("pending_transfer_not_pending", Refused(409, "entry_not_pending")),
    ("pending_transfer_already_posted", Refused(409, "entry_not_pending")),
    ("pending_transfer_already_voided", Refused(409, "entry_not_pending")),
    ("pending_transfer_expired", Refused(409, "entry_expired")),
    ("pending_transfer_has_different_code", NOT_RESTATED),
    ("pending_transfer_has_different_credit_account_id", NOT_RESTATED),
    ("pending_transfer_has_different_debit_account_id", NOT_RESTATED),
    ("pending_transfer_has_different_ledger", NOT_RESTATED),
];

/// The tables in the file's order: name and part.
const TESTS: [(&str, u64); 10] = [
    ("create_accounts", 0),
    ("linked accounts", 0),
    ("linked accounts", 1),
    ("linked_event_chain_open", 0),
    ("linked_event_chain_open for an already failed batch", 0),
    ("create_transfers/lookup_transfers", 0),
    ("create/lookup 2-phase transfers", 0),
    ("create_transfers: failed linked-chains are undone", 0),
    ("create_transfers: balancing_debit | balancing_credit (*_must_not_exceed_*)", 0),
    ("get_account_transfers: single-phase", 0),
];
const ACCOUNTS: usize = 0;
const LINKED: usize = 1;
const LINKED_AGAIN: usize = 2;
const OPEN_CHAIN: usize = 3;
const OPEN_FAILED_CHAIN: usize = 4;
const TRANSFERS: usize = 5;
const TWO_PHASE: usize = 6;
const BALANCING: usize = 8;

/// Table, steps, our answer there, why it is not the mapping's.
type Exception = (usize, &'static [usize], Ours, &'static str);
/// What is not there.
const NO_ACCOUNT: Ours = Refused(404, "unknown_account");
const NO_ENTRY: Ours = Refused(404, "unknown_entry");
const ONE_KEY: &str = "a chain has one key: what tells a second creation in it is its expected version";
const SAME_BODY: &str = "a retry is the same body: that another amount would come to the same is not looked at";
const ZERO: &str = "an entry of nothing is no entry";

const EXCEPTIONS: &[Exception] = &[
    (ACCOUNTS, &[23], Refused(400, "parameter_invalid"), "a code has a character at least: nothing can be asked for by none"),
    (LINKED, &[3, 6, 10], Refused(412, "version_mismatch"), ONE_KEY),
    (LINKED_AGAIN, &[3], Refused(412, "version_mismatch"), ONE_KEY),
    (OPEN_FAILED_CHAIN, &[2], Refused(412, "version_mismatch"), ONE_KEY),
    (OPEN_CHAIN, &[3], NotMapped("closed, its chain would be taken"), "the chain is open"),
    (TRANSFERS, &[11], NotMapped("the end of time is one longest time to live away from any moment"), "no clock is set"),
    (TRANSFERS, &[26], NotMapped("an account has a type, but an entry needs no code"), "a transfer's code is metadata"),
    (TRANSFERS, &[60], Refused(422, "quantity_not_positive"), ZERO),
    (TRANSFERS, &[68], NO_ENTRY, ZERO),
    (TWO_PHASE, &[41], MALFORMED, "a void has no time to live to be reserved"),
    (TWO_PHASE, &[50], MALFORMED, "a void is of all that is pending: it has no amount to exceed it"),
    (TWO_PHASE, &[62, 63, 71], REUSED, SAME_BODY),
    (TWO_PHASE, &[74, 75], Refused(422, "quantity_not_positive"), "to post nothing of a pending entry is to void it"),
    (BALANCING, &[6, 7], Refused(422, "balancing_needs_two"), "balancing is for the base currency, whatever the accounts"),
    (BALANCING, &[12, 13, 14, 15], Refused(409, "nothing_to_balance"), ZERO),
    (BALANCING, &[19, 20, 25, 26, 27], REUSED, SAME_BODY),
    (BALANCING, &[38, 39, 40, 41], NO_ENTRY, ZERO),
];

/// After this step the pending entry is voided, so that the balances are those that an entry of nothing leaves.
const VOIDED_INSTEAD: (usize, usize) = (TWO_PHASE, 74);

/// Statuses of steps that have other flaws too, and the fields that are the flaw named.
const ALONE: &[(&str, &[&str])] = &[
    ("timestamp_must_be_zero", &["timestamp"]),
    ("reserved_field", &["reserved"]),
    ("reserved_flag", &["padding"]),
    ("id_must_not_be_zero", &["id"]),
    ("ledger_must_not_be_zero", &["ledger"]),
    ("code_must_not_be_zero", &["code"]),
    ("debits_pending_must_be_zero", &["debits_pending"]),
    ("debits_posted_must_be_zero", &["debits_posted"]),
    ("credits_pending_must_be_zero", &["credits_pending"]),
    ("credits_posted_must_be_zero", &["credits_posted"]),
    ("flags_are_mutually_exclusive", FLAGS),
    ("debit_account_id_must_not_be_zero", &["debit_account_id"]),
    ("credit_account_id_must_not_be_zero", &["credit_account_id"]),
    ("accounts_must_be_different", &[]),
    ("pending_id_must_be_zero", &["pending_id", "pending"]),
    ("pending_id_must_not_be_zero", &["pending_id", "void_pending"]),
    ("timeout_reserved_for_pending_transfer", &["timeout_s", "void_pending"]),
];
const FLAGS: &[&str] = &[
    "debits_must_not_exceed_credits",
    "credits_must_not_exceed_debits",
    "pending",
    "post_pending",
    "void_pending",
    "balancing_debit",
    "balancing_credit",
];

/// Status, a place in its problem, and what must stand there (one of).
#[rustfmt::skip]
const SAYS: &[(&str, &str, &[&str])] = &[
    ("timestamp_must_be_zero", POINTER, &["/timestamp"]),
    ("reserved_field", POINTER, &["/reserved"]),
    ("reserved_flag", POINTER, &["/padding"]),
    ("debits_pending_must_be_zero", POINTER, &["/debits_pending"]),
    ("debits_posted_must_be_zero", POINTER, &["/debits_posted"]),
    ("credits_pending_must_be_zero", POINTER, &["/credits_pending"]),
    ("credits_posted_must_be_zero", POINTER, &["/credits_posted"]),
    ("flags_are_mutually_exclusive", POINTER, &["/account_type", "/pending", "/void_pending", "/balancing"]),
    ("pending_id_must_be_zero", POINTER, &["/pending_id"]),
    ("pending_transfer_has_different_amount", POINTER, &["/amount"]),
    ("id_must_not_be_zero", POINTER, &["/commands/0/code", "/id"]),
    ("code_must_not_be_zero", DETAIL, &["missing field `account_type`"]),
    ("debit_account_id_must_not_be_zero", POINTER, &["/postings/0/account"]),
    ("credit_account_id_must_not_be_zero", POINTER, &["/postings/1/account"]),
    ("pending_id_must_not_be_zero", POINTER, &["/commands/0/entry"]),
    ("ledger_must_not_be_zero", "/currency", &["XXX"]),
    ("debit_account_not_found", "/account", &["A8"]),
    ("credit_account_not_found", "/account", &["A9"]),
    ("accounts_must_have_the_same_ledger", "/account", &["A1"]),
    ("transfer_must_have_the_same_ledger_as_accounts", "/account", &["A1"]),
    ("exceeds_credits", "/account", &["A4"]),
    ("exceeds_credits", "/limit", &["minimum"]),
    ("exceeds_debits", "/account", &["A5"]),
    ("exceeds_debits", "/limit", &["minimum"]),
    ("overflows_debits_pending", "/field", &["debit"]),
    ("overflows_debits_posted", "/field", &["debit"]),
    ("overflows_debits", "/field", &["debit"]),
    ("exceeds_pending_transfer_amount", "/entry", &["T5", "T6"]),
    ("pending_transfer_not_found", "/entry", &["T103"]),
    ("pending_transfer_not_pending", "/entry_status", &["posted"]),
    ("pending_transfer_already_posted", "/entry_status", &["settled"]),
    ("pending_transfer_already_voided", "/entry_status", &["voided"]),
    ("pending_transfer_expired", "/entry", &["T4"]),
];
const POINTER: &str = "/errors/0/pointer";
const DETAIL: &str = "/errors/0/detail";

/// One second of the tables' clock, which stands still but for `advance_clock`: long enough for the steps in between.
const SECOND: u64 = 10;
/// What `max` is where balances are set up: the same headroom, from smaller numbers.
const SETUP_MAX: i64 = 1_200;
/// What `max` is in a transfer: 18 digits, the most there can be. In cents they are 20.
const TRANSFER_MAX: i64 = 999_999_999_999_999_999;
/// What `max` less something is in a settlement: the most that can be pending. `max` itself means all of it.
const SETTLEMENT_MAX: i64 = 9_999_999_999_999_999;
/// The longest time to live, in seconds.
const TTL_MAX: u64 = 366 * 24 * 3_600;
/// Takes the other side of balances that are set up.
const COUNTER_ACCOUNT: &str = "3000";

/// The currency that stands for a ledger; 0 is none (ISO 4217 has a code for that).
fn currency(ledger: u64) -> &'static str {
    match ledger {
        0 => "XXX",
        1 => "EUR",
        2 => "USD",
        3 => "GBP",
        6 => "SEK",
        9 => "CHF",
        other => panic!("ledger {other}"),
    }
}

fn flag(step: &Value, name: &str) -> bool {
    step[name] == true
}

fn count(step: &Value, field: &str) -> u64 {
    step[field].as_u64().unwrap_or(0)
}

fn status_of(step: &Value) -> &str {
    step["status"].as_str().unwrap()
}

/// A number, or `max-n` of some `max`.
fn number(value: &Value, max: i64) -> i64 {
    match value.as_str() {
        Some(text) => max - text.strip_prefix("max-").unwrap().parse::<i64>().unwrap(),
        None => value.as_i64().unwrap(),
    }
}

/// `A7` for account 7; nothing for 0.
fn name(letter: char, id: &Value) -> String {
    match (id.as_u64(), id.as_str()) {
        (None | Some(0), None) => String::new(),
        (Some(id), _) => format!("{letter}{id}"),
        (None, Some(text)) => format!("{letter}{text}"),
    }
}

/// What we call what a step creates.
fn id_of(step: &Value) -> String {
    name(if step["op"] == "create_account" { 'A' } else { 'T' }, &step["id"])
}

/// A command: its word, what it names, its other fields.
#[derive(Clone, Debug)]
struct Command {
    word: &'static str,
    name: String,
    fields: Value,
}

impl Command {
    fn of(step: &Value) -> Self {
        let mut command = if step["op"] == "create_account" {
            Self::account(step)
        } else if flag(step, "post_pending") {
            Self::second("settle_entry", step)
        } else if flag(step, "void_pending") {
            Self::second("void_entry", step)
        } else {
            Self::entry(step)
        };
        let mut data = vec!["user_data_128", "user_data_64", "user_data_32"];
        // A second phase has its entry's code, stated or not.
        if ["define_account", "post_entry"].contains(&command.word) {
            data.push("code");
        }
        let said = data.into_iter().filter(|field| count(step, field) > 0);
        let pairs: Map<String, Value> = said.map(|field| (field.to_owned(), count(step, field).to_string().into())).collect();
        command.fields["metadata"] = pairs.into();
        // What we have no field for is said in theirs.
        for field in ["timestamp", "reserved", "padding"] {
            if count(step, field) > 0 {
                command.fields[field] = step[field].clone();
            }
        }
        command
    }

    fn account(step: &Value) -> Self {
        let mut fields = json!({"expected_version": 0, "currency": currency(count(step, "ledger"))});
        let (debits, credits) = (flag(step, "debits_must_not_exceed_credits"), flag(step, "credits_must_not_exceed_debits"));
        match (debits, credits) {
            (true, true) => fields["account_type"] = json!(["liability", "asset"]),
            (true, false) => fields["account_type"] = json!("liability"),
            (false, _) => fields["account_type"] = json!("asset"),
        }
        if debits || credits {
            fields["minimum"] = json!("0");
        }
        // The code is the account's type to them.
        if count(step, "code") == 0 {
            fields.as_object_mut().unwrap().remove("account_type");
        }
        for balance in ["debits_pending", "debits_posted", "credits_pending", "credits_posted"] {
            if count(step, balance) > 0 {
                fields[balance] = step[balance].clone();
            }
        }
        Self { word: "define_account", name: id_of(step), fields }
    }

    fn entry(step: &Value) -> Self {
        let (currency, ledger) = (currency(count(step, "ledger")), count(step, "ledger"));
        let amount = number(&step["amount"], TRANSFER_MAX).to_string();
        let line = |account: &str, side: &str| json!({"account": name('A', &step[account]), side: amount, "currency": currency});
        let mut fields = json!({"postings": [line("debit_account_id", "debit"), line("credit_account_id", "credit")]});
        if ledger > 1 {
            fields["rates"] = json!([{"currency": currency, "rate": "1"}]);
        }
        if flag(step, "pending") {
            fields["pending"] = json!(true);
        }
        let seconds = match status_of(step) {
            "overflows_timeout" => TTL_MAX + count(step, "timeout_s"),
            _in_range => count(step, "timeout_s") * SECOND,
        };
        if seconds > 0 {
            fields["ttl_seconds"] = json!(seconds);
        }
        balancing(step, &mut fields);
        if count(step, "pending_id") > 0 {
            fields["pending_id"] = step["pending_id"].clone();
        }
        Self { word: "post_entry", name: id_of(step), fields }
    }

    /// A settlement or a void. Flags that exclude each other are fields that it does not have.
    fn second(word: &'static str, step: &Value) -> Self {
        let mut fields = json!({});
        let wrong_void = ["exceeds_pending_transfer_amount", "pending_transfer_has_different_amount"];
        let amount = match &step["amount"] {
            Value::Null => None,
            all if all == "max-0" => None,
            // A void is of all: an amount is said only where they refuse it.
            _all if word == "void_entry" && !wrong_void.contains(&status_of(step)) => None,
            some => Some(number(some, SETTLEMENT_MAX).to_string()),
        };
        if let Some(amount) = amount {
            fields["amount"] = amount.into();
        }
        if flag(step, "post_pending") && flag(step, "void_pending") {
            fields["void_pending"] = json!(true);
        }
        if flag(step, "pending") {
            fields["pending"] = json!(true);
        }
        if count(step, "timeout_s") > 0 {
            fields["ttl_seconds"] = json!(count(step, "timeout_s") * SECOND);
        }
        balancing(step, &mut fields);
        Self { word, name: name('T', &step["pending_id"]), fields }
    }

    /// As one of several: its type, and its name in the body.
    fn element(&self) -> Value {
        let mut body = self.fields.clone();
        body["type"] = self.word.into();
        body[if self.word == "define_account" { "code" } else { "entry" }] = self.name.clone().into();
        body
    }

    /// Method, path and body. A path cannot leave a name out, but one command among several can.
    fn request(&self) -> (Method, String, Value) {
        let name = &self.name;
        let (method, path) = match self.word {
            "post_entry" => {
                let mut body = self.fields.clone();
                body["id"] = name.clone().into();
                return (Method::POST, "/v1/journal/entries".into(), body);
            }
            _named_by_its_path if name.is_empty() => {
                return (Method::POST, "/v1/transactions".into(), json!({"commands": [self.element()]}));
            }
            "define_account" => (Method::PUT, format!("/v1/accounts/{name}")),
            "settle_entry" => (Method::POST, format!("/v1/journal/entries/{name}/settle")),
            "void_entry" => (Method::POST, format!("/v1/journal/entries/{name}/void")),
            other => panic!("{other}"),
        };
        (method, path, self.fields.clone())
    }

    /// What the same creation gets under another key: the object is there.
    fn again_elsewhere(&self) -> (u16, &'static str) {
        match self.word {
            "define_account" => (412, "version_mismatch"),
            "post_entry" if !self.fields["balancing"].is_null() => (409, "nothing_to_balance"),
            "post_entry" => (409, "entry_exists"),
            _second_phase => (409, "entry_not_pending"),
        }
    }
}

fn balancing(step: &Value, fields: &mut Value) {
    match (flag(step, "balancing_debit"), flag(step, "balancing_credit")) {
        (true, true) => fields["balancing"] = json!("both"),
        (true, false) => fields["balancing"] = json!("debit"),
        (false, true) => fields["balancing"] = json!("credit"),
        (false, false) => {}
    }
}

/// What was done over all tables.
#[derive(Default)]
struct Tally {
    /// Mapped statuses that a step produced.
    produced: BTreeSet<String>,
    driven: usize,
    compared: usize,
    left_out: Vec<String>,
    /// Exceptions that were met.
    excepted: BTreeSet<(usize, usize)>,
}

/// One table on its way.
struct Run<'a> {
    at: usize,
    steps: &'a [Value],
    client: Client,
    /// The newest event.
    position: i64,
    /// Of each settlement or void, the entry.
    second: BTreeMap<String, String>,
    /// When the entries with a time to live are gone at the latest.
    lapses: Vec<(u64, Instant)>,
    tally: &'a mut Tally,
}

impl Run<'_> {
    fn place(&self, no: usize) -> String {
        format!("{:?} step {no}: {}", TESTS[self.at], self.steps[no])
    }

    /// What we answer at a step, and whether that is an exception.
    fn ours(&mut self, no: usize, mapped: Ours) -> (Ours, bool) {
        match EXCEPTIONS.iter().find(|(at, steps, ..)| *at == self.at && steps.contains(&no)) {
            None => (mapped, false),
            Some((_, _, ours, why)) => {
                assert_ne!(mapped, *ours, "{}: no exception ({why})", self.place(no));
                self.tally.excepted.insert((self.at, no));
                (*ours, true)
            }
        }
    }

    fn leave_out(&mut self, no: usize, why: &str) {
        self.tally.left_out.push(format!("{why} - {}", self.place(no)));
    }

    async fn run(&mut self) {
        let mut no = 0;
        while no < self.steps.len() {
            let step = &self.steps[no];
            let next = match step["op"].as_str().unwrap() {
                "create_account" | "create_transfer" if flag(step, "linked") => self.chain(no).await,
                "create_account" | "create_transfer" => self.single(no).await,
                "setup_balance" => self.set_up(no).await,
                "advance_clock" => self.wait(no).await,
                "expect_account" => self.expect_account(no).await,
                "expect_transfer" => self.expect_transfer(no).await,
                "get_account_transfers" => self.statement(no).await,
                // Requests are answered one by one here.
                "commit" => no + 1,
                other => panic!("unknown step {other}"),
            };
            assert!(next > no);
            no = next;
        }
    }

    /// The step as it is sent: with the named flaw only, where it has others too.
    fn alone(&self, no: usize) -> Value {
        let step = &self.steps[no];
        let status = status_of(step);
        let Some((_, kept)) = ALONE.iter().find(|(alone, _)| *alone == status) else { return step.clone() };
        let mut sound = json!({"op": step["op"], "status": status, "id": 900 + no, "ledger": 1, "code": 1});
        if step["op"] == "create_transfer" {
            let is_other = |s: &&Value| s["op"] == "create_account" && s["ledger"] == 1 && s["id"] != 1;
            let other = self.steps.iter().find(is_other).unwrap();
            (sound["debit_account_id"], sound["credit_account_id"], sound["amount"]) = (1.into(), other["id"].clone(), 9.into());
            if kept.contains(&"void_pending") && (flag(step, "post_pending") || flag(step, "void_pending")) {
                sound["pending_id"] = 3.into();
            }
        }
        if status == "accounts_must_be_different" {
            sound["credit_account_id"] = sound["debit_account_id"].clone();
        }
        for field in *kept {
            if !step[*field].is_null() {
                sound[*field] = step[*field].clone();
            }
        }
        sound
    }

    /// The idempotency key: the id where TigerBeetle takes it as spent, one of its own where the id stays free.
    fn key(step: &Value) -> String {
        let spends = [
            "created",
            "id_already_failed",
            "debit_account_not_found",
            "credit_account_not_found",
            "pending_transfer_not_found",
            "exceeds_credits",
            "exceeds_debits",
        ];
        let status = status_of(step);
        if spends.contains(&status) || status.starts_with("exists") { id_of(step) } else { fresh_key() }
    }

    async fn send(&self, command: &Command, key: &str, is_dry: bool) -> Answer {
        let (method, path, body) = command.request();
        let mut request = self.client.request(method, &path).header("idempotency-key", key).json(&body);
        if is_dry {
            request = request.header("dry-run", "true");
        }
        self.client.send(request).await
    }

    /// One command by itself.
    async fn single(&mut self, no: usize) -> usize {
        let status = status_of(&self.steps[no]);
        let mapped = mapping(status);
        let (ours, is_exception) = self.ours(no, mapped);
        if let NotMapped(why) = ours {
            self.leave_out(no, why);
            return no + 1;
        }
        let step = self.alone(no);
        let (command, key) = (Command::of(&step), Self::key(&step));
        let is_dry = ours == Accepted && status != "created";
        let answer = self.send(&command, &key, is_dry).await;
        let place = format!("{}\n{command:?}\n{}", self.place(no), answer.text);
        match ours {
            Accepted if is_dry => assert_eq!((answer.status, &answer.json["dry_run"]), (200, &json!(true)), "{place}"),
            Accepted => self.accepted(&command, &key, &answer, &place).await,
            Replayed => self.replayed(&command, &answer, &place).await,
            Refused(status, code) => self.refused((&command, &key), &answer, (status, code), &place).await,
            Undone | NotMapped(_) => panic!("{place}"),
        }
        if !is_exception {
            says(status, &answer, &place);
            self.tally.produced.insert(status.to_owned());
        }
        self.note(&step, &command);
        if (self.at, no) == VOIDED_INSTEAD {
            let path = format!("/v1/journal/entries/{}/void", command.name);
            self.position = self.client.post(&path, &json!({})).await.expect(201).position();
        }
        self.tally.driven += 1;
        no + 1
    }

    /// Remembers what later steps ask for.
    fn note(&mut self, step: &Value, command: &Command) {
        if status_of(step) != "created" {
            return;
        }
        if ["settle_entry", "void_entry"].contains(&command.word) {
            self.second.insert(id_of(step), command.name.clone());
        }
        let seconds = count(step, "timeout_s");
        if seconds > 0 {
            self.lapses.push((seconds, Instant::now() + Duration::from_secs(seconds * SECOND)));
        }
    }

    /// Done, and once: the same again gets the same answer.
    async fn accepted(&mut self, command: &Command, key: &str, answer: &Answer, place: &str) {
        assert_eq!((answer.status, answer.is_replay()), (201, false), "{place}");
        self.position = answer.position();
        let again = self.send(command, key, false).await;
        assert_eq!((again.status, again.is_replay(), &again.json), (200, true, &answer.json), "{place}");
    }

    async fn replayed(&self, command: &Command, answer: &Answer, place: &str) {
        assert_eq!((answer.status, answer.is_replay()), (200, true), "{place}");
        let elsewhere = self.send(command, &fresh_key(), false).await;
        assert_eq!((elsewhere.status, elsewhere.code()), command.again_elsewhere(), "{place}\n{}", elsewhere.text);
        self.nothing_is_new(place).await;
    }

    /// Refused, with nothing written, and for good under this key.
    async fn refused(&self, (command, key): (&Command, &str), answer: &Answer, ours: (u16, &str), place: &str) {
        assert_eq!((answer.status, answer.code()), ours, "{place}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{place}");
        self.nothing_is_new(place).await;
        let again = self.send(command, key, false).await;
        assert_eq!((again.status, &again.json), (answer.status, &answer.json), "{place}");
        // What could not be read, and what came under another command's key, has no answer of its own to be stored.
        let is_stored = ours.1 != "malformed" && ours.1 != "command_id_reused";
        assert_eq!(again.is_replay(), is_stored, "{place}");
    }

    /// The log has nothing new, but what timed out by itself.
    async fn nothing_is_new(&self, place: &str) {
        let log = self.client.get(&format!("/v1/events?after={}", self.position)).await.expect(200);
        let new = log.json["data"].as_array().unwrap().iter().filter(|e| e["type"] != "journal_entry_expired");
        assert_eq!(new.count(), 0, "{place}\n{}", log.text);
    }

    /// A chain of commands as one transaction.
    async fn chain(&mut self, first: usize) -> usize {
        let is_command = |s: &Value| s["op"] == "create_account" || s["op"] == "create_transfer";
        let closing = (first..).find(|no| !flag(&self.steps[*no], "linked")).unwrap();
        let end = if is_command(&self.steps[closing]) { closing + 1 } else { closing };
        let statuses: Vec<&str> = self.steps[first..end].iter().map(status_of).collect();
        let is_cause = |status: &&str| !["created", "linked_event_failed", "linked_event_chain_open"].contains(status);
        let cause = statuses.iter().position(is_cause);
        if cause.is_none() && statuses.contains(&"linked_event_chain_open") {
            for no in first..end {
                let mapped = mapping(statuses[no - first]);
                match self.ours(no, mapped).0 {
                    NotMapped(why) => self.leave_out(no, why),
                    other => panic!("{}: {other:?}", self.place(no)),
                }
            }
            return end;
        }
        let commands: Vec<Command> = self.steps[first..end].iter().map(Command::of).collect();
        let body = json!({"commands": commands.iter().map(Command::element).collect::<Vec<_>>()});
        let answer = self.client.post("/v1/transactions", &body).await;
        for (no, command) in (first..end).zip(&commands) {
            self.link(no, command, cause.map(|c| c + first), first, &answer).await;
        }
        if cause.is_none() {
            self.position = answer.position();
        }
        end
    }

    /// What a chain's answer says of one of its commands.
    async fn link(&mut self, no: usize, command: &Command, cause: Option<usize>, first: usize, answer: &Answer) {
        let status = status_of(&self.steps[no]);
        let (ours, is_exception) = self.ours(no, mapping(status));
        let place = format!("{}\n{command:?}\n{}", self.place(no), answer.text);
        match ours {
            Accepted => assert_eq!((answer.status, cause), (201, None), "{place}"),
            Refused(status, code) => {
                assert_eq!((answer.status, answer.code()), (status, code), "{place}");
                assert_eq!((&answer.json["step"], cause), (&json!(no - first), Some(no)), "{place}");
                self.nothing_is_new(&place).await;
            }
            Undone => {
                assert_ne!(cause.unwrap(), no, "{place}");
                let path = match command.word {
                    "define_account" => format!("/v1/accounts/{}", command.name),
                    _an_entry => format!("/v1/journal/entries/{}", command.name),
                };
                let found = self.client.get_at(&path, self.position).await;
                assert_eq!(found.status, 404, "{place}\n{}", found.text);
            }
            NotMapped(why) => {
                self.leave_out(no, why);
                return;
            }
            Replayed => panic!("{place}"),
        }
        if !is_exception {
            self.tally.produced.insert(status.to_owned());
        }
        self.tally.driven += 1;
    }

    /// Brings an account's balances about, the larger posted side first: no limit is in its way.
    async fn set_up(&mut self, no: usize) -> usize {
        let step = &self.steps[no];
        let account = name('A', &step["account"]);
        let of = |field: &str| number(&step[field], SETUP_MAX);
        let (debits, credits) = (("debit", of("debits_posted"), false), ("credit", of("credits_posted"), false));
        let posted = if debits.1 >= credits.1 { [debits, credits] } else { [credits, debits] };
        let pending = [("debit", of("debits_pending"), true), ("credit", of("credits_pending"), true)];
        for (side, amount, is_pending) in posted.into_iter().chain(pending).filter(|(_, amount, _)| *amount > 0) {
            let (amount, other) = (amount.to_string(), if side == "debit" { "credit" } else { "debit" });
            let lines = json!([{"account": account, side: amount}, {"account": COUNTER_ACCOUNT, other: amount}]);
            let answer = self.client.post("/v1/journal/entries", &json!({"postings": lines, "pending": is_pending})).await;
            self.position = answer.expect(201).position();
        }
        self.tally.driven += 1;
        no + 1
    }

    /// Time goes on: what lapses by then has lapsed.
    async fn wait(&mut self, no: usize) -> usize {
        let seconds = match self.ours(no, Accepted).0 {
            NotMapped(why) => {
                self.leave_out(no, why);
                return no + 1;
            }
            _time_goes_on => count(&self.steps[no], "value"),
        };
        let gone: Vec<Instant> = self.lapses.iter().filter(|(after, _)| *after <= seconds).map(|(_, at)| *at).collect();
        tokio::time::sleep_until(*gone.iter().max().unwrap()).await;
        // What lapsed is void at its instant. Its answers are the same once that is recorded: the steps behind see it so.
        let deadline = Instant::now() + Duration::from_secs(20);
        let log = format!("/v1/events?after={}", self.position);
        while self.client.get(&log).await.expect(200).json["data"].as_array().unwrap().len() < gone.len() {
            assert!(Instant::now() < deadline, "{}: nobody records that it has lapsed", self.place(no));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.tally.driven += 1;
        no + 1
    }

    async fn expect_account(&mut self, no: usize) -> usize {
        let (step, place) = (&self.steps[no], self.place(no));
        let path = format!("/v1/accounts/{}", name('A', &step["id"]));
        let found = self.client.get_at(&format!("{path}/balance"), self.position).await;
        self.tally.driven += 1;
        if step["exists"] == false {
            match self.ours(no, NO_ACCOUNT).0 {
                Refused(status, code) => assert_eq!((found.status, found.code()), (status, code), "{place}\n{}", found.text),
                other => panic!("{place}: {other:?}"),
            }
            return no + 1;
        }
        assert_eq!(found.status, 200, "{place}\n{}", found.text);
        let fields = [
            ("debits_posted", "debits"),
            ("credits_posted", "credits"),
            ("debits_pending", "pending_debits"),
            ("credits_pending", "pending_credits"),
        ];
        for (theirs, ours) in fields {
            assert_eq!(units(&found.json[ours]), Decimal::from(count(step, theirs)), "{place}: {ours} of {}", found.text);
            self.tally.compared += 1;
        }
        let definition = self.client.get_at(&path, self.position).await.expect(200);
        assert_eq!(definition.json["retired"], step["closed"], "{place}\n{}", definition.text);
        no + 1
    }

    async fn expect_transfer(&mut self, no: usize) -> usize {
        let (step, place, id) = (&self.steps[no], self.place(no), id_of(&self.steps[no]));
        let (ours, _) = self.ours(no, if step["exists"] == false { NO_ENTRY } else { Accepted });
        let path = format!("/v1/journal/entries/{}", self.second.get(&id).unwrap_or(&id));
        let found = self.client.get_at(&path, self.position).await;
        match ours {
            Refused(status, code) => assert_eq!((found.status, found.code()), (status, code), "{place}\n{}", found.text),
            _it_is_there => assert_eq!(found.status, 200, "{place}\n{}", found.text),
        }
        if ours == Accepted && !step["amount"].is_null() {
            let lines = found.json["postings"].as_array().unwrap().iter();
            let debits: Decimal = lines.map(|line| &line["debit"]).filter(|debit| !debit.is_null()).map(units).sum();
            assert_eq!(debits, Decimal::from(count(step, "amount")), "{place}\n{}", found.text);
            self.tally.compared += 1;
        }
        self.tally.driven += 1;
        no + 1
    }

    /// An account's transfers are its statement, in the order of the log. What it cannot be asked for is left out.
    async fn statement(&mut self, no: usize) -> usize {
        let results = self.steps[no + 1..].iter().take_while(|s| s["op"] == "get_account_transfers_result");
        let wanted: Vec<String> = results.map(|s| format!("entry-{}", s["raw"][0].as_str().unwrap())).collect();
        let next = no + 1 + wanted.len();
        let raw: Vec<&str> = self.steps[no]["raw"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
        let &[account, data_128, data_64, data_32, code, from, to, limit, debits, credits, reversed] = raw.as_slice() else {
            panic!("{raw:?}")
        };
        let not_asked = [
            ([data_128, data_64, data_32, code].iter().any(|word| *word != "_"), "a statement has no filter by metadata"),
            (reversed != "_", "a statement has no order but the oldest first"),
            (debits == "_" || credits == "_", "a statement has no filter by side"),
        ];
        if let Some((_, why)) = not_asked.iter().find(|(is_wanted, _)| *is_wanted) {
            (no..next).for_each(|no| self.leave_out(no, why));
            return next;
        }
        let mut path = format!("/v1/accounts/{account}/statement?order=recorded&limit={limit}");
        for (parameter, id) in [("from", from), ("to", to)].into_iter().filter(|(_, id)| *id != "_") {
            let entry = self.client.get_at(&format!("/v1/journal/entries/{id}"), self.position).await.expect(200);
            path.push_str(&format!("&{parameter}={}", entry.json["recorded_at"].as_str().unwrap()));
        }
        let found = self.client.get_at(&path, self.position).await.expect(200);
        let rows: Vec<&str> = found.json["data"].as_array().unwrap().iter().map(|r| r["stream"].as_str().unwrap()).collect();
        assert_eq!(rows, wanted, "{}\n{}", self.place(no), found.text);
        self.tally.compared += rows.len();
        self.tally.driven += next - no;
        next
    }
}

fn units(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no amount")).parse().unwrap()
}

fn mapping(status: &str) -> Ours {
    MAPPING.iter().find(|(theirs, _)| *theirs == status).unwrap_or_else(|| panic!("{status} is not mapped")).1
}

/// The problem names the flaw that the status is about.
fn says(status: &str, answer: &Answer, place: &str) {
    for (_, pointer, wanted) in SAYS.iter().filter(|(said, ..)| *said == status) {
        let found = answer.json.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let is_said = |wanted: &&str| if *pointer == DETAIL { found.starts_with(wanted) } else { found == *wanted };
        assert!(wanted.iter().any(is_said), "{place}\n{pointer} is {found:?}, not one of {wanted:?}");
    }
}

fn vectors() -> Option<Value> {
    let data = std::env::var("LEDGER_DATA_DIR").unwrap_or_else(|_| "../shared/data".to_owned());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(data).join("vectors/tigerbeetle.json");
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            println!("{}: {error}: not checked here", file.display());
            None
        }
    }
}

/// Every status of the tables is mapped once, and nothing else is.
fn check_mapping(tests: &[Value]) {
    let steps = tests.iter().flat_map(|t| t["steps"].as_array().unwrap());
    let theirs: BTreeSet<&str> = steps.filter_map(|s| s["status"].as_str()).collect();
    let mapped: BTreeSet<&str> = MAPPING.iter().map(|(status, _)| *status).collect();
    assert_eq!(theirs, mapped);
    assert_eq!(mapped.len(), MAPPING.len(), "a status is mapped twice");
    for status in ALONE.iter().map(|(status, _)| status).chain(SAYS.iter().map(|(status, ..)| status)) {
        assert!(theirs.contains(status), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tigerbeetles_command_tables_get_the_answers_they_are_mapped_to() {
    let Some(vectors) = vectors() else { return };
    let tests = vectors["tests"].as_array().unwrap();
    check_mapping(tests);
    let world = World::start(Parts::DatabaseAndRedis).await;
    let node = world.node().await;
    let mut tally = Tally::default();
    let mut commands = 0;
    for (at, (test, (name, part))) in tests.iter().zip(TESTS).enumerate() {
        assert_eq!((&test["test"], &test["part"]), (&json!(name), &json!(part)));
        let tenant = world.tenant(&format!("table-{at}"));
        let steps = test["steps"].as_array().unwrap();
        let (client, second, lapses) = (node.client(&tenant), BTreeMap::new(), Vec::new());
        Run { at, steps, client, position: 0, second, lapses, tally: &mut tally }.run().await;
        commands += steps.iter().filter(|s| s["op"] != "commit").count();
        world.verify_clean(&tenant.code);
    }
    assert_eq!(tests.len(), TESTS.len());
    let mapped = MAPPING.iter().filter(|(_, ours)| !matches!(ours, NotMapped(_)));
    let wanted: BTreeSet<String> = mapped.map(|(status, _)| (*status).to_owned()).collect();
    assert_eq!(tally.produced, wanted, "mapped, but no step produced it");
    let listed: BTreeSet<(usize, usize)> =
        EXCEPTIONS.iter().flat_map(|(at, steps, ..)| steps.iter().map(|no| (*at, *no))).collect();
    assert_eq!(tally.excepted, listed, "listed as exceptions, but not met");
    assert_eq!(tally.driven + tally.left_out.len(), commands, "steps are driven or left out");
    for left_out in &tally.left_out {
        println!("left out: {left_out}");
    }
    let (produced, statuses) = (tally.produced.len(), MAPPING.len());
    println!("{produced} of {statuses} statuses are mapped and were produced by {} of {commands} steps", tally.driven);
    println!("{} figures compared, {} exceptions, {} left out", tally.compared, listed.len(), tally.left_out.len());
}

/// The most that one posting can be.
const LARGEST: &str = "9999999999999999.99";
/// So many of them fit the 64 bits of a total, and no more.
const LARGEST_FIT: usize = 9;

/// An entry of the largest amount, in one pair of postings or in several.
fn largest(account: &str, pairs: usize, is_pending: bool) -> Value {
    let pair = [json!({"account": account, "debit": LARGEST}), json!({"account": COUNTER_ACCOUNT, "credit": LARGEST})];
    json!({"postings": pair.iter().cycle().take(2 * pairs).collect::<Vec<_>>(), "pending": is_pending})
}

/// What the six overflows of totals are about, at our own bound: what would take a total of an account out of 64 bits is
/// refused before it is written, posted or pending, so that the views never meet it.
#[tokio::test(flavor = "multi_thread")]
async fn tigerbeetles_overflows_are_refused_at_our_bound_of_totals() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    for (case, is_pending, fill, pairs) in [
        ("posted", false, LARGEST_FIT, 1),
        ("pending", true, LARGEST_FIT, 1),
        ("posted-at-once", false, 0, LARGEST_FIT + 1),
        ("pending-at-once", true, 0, LARGEST_FIT + 1),
    ] {
        let c = node.client(&world.tenant(case));
        c.put("/v1/accounts/A1", &json!({"account_type": "asset"})).await.expect(201);
        for _ in 0..fill {
            c.post("/v1/journal/entries", &largest("A1", 1, is_pending)).await.expect(201);
        }
        c.post("/v1/journal/entries", &largest("A1", pairs, is_pending)).await.refused(422, "number_out_of_range");
        let small = json!({"postings": [{"account": "1000", "debit": "1"}, {"account": "3100", "credit": "1"}]});
        let position = c.post("/v1/journal/entries", &small).await.expect(201).position();
        let found = c.get_at("/v1/accounts/A1/balance", position).await.expect(200);
        let (total, none) = (units(&json!(LARGEST)) * Decimal::from(fill), Decimal::ZERO);
        let wanted = if is_pending { (none, total) } else { (total, none) };
        assert_eq!((units(&found.json["debits"]), units(&found.json["pending_debits"])), wanted, "{case}: {}", found.text);
        world.verify_clean(case);
    }
}

/// A pending entry counts until its instant for what may be posted, but until its expiry is recorded in the views: what is
/// held in between must fit those too.
#[tokio::test(flavor = "multi_thread")]
async fn tigerbeetles_overflows_count_what_has_lapsed_and_is_not_recorded() {
    let world = World::start(Parts::Database).await;
    let node = world.node().await;
    let c = node.client(&world.tenant("lapsed"));
    c.put("/v1/accounts/A1", &json!({"account_type": "asset"})).await.expect(201);
    let mut brief = largest("A1", 1, true);
    brief["ttl_seconds"] = json!(1);
    let commands: Vec<Value> = (0..LARGEST_FIT).map(|_| with_type(&brief)).collect();
    let held = c.post("/v1/transactions", &json!({"commands": commands})).await.expect(201).position();
    let deadline = Instant::now() + Duration::from_secs(20);
    let more = loop {
        let more = c.post("/v1/journal/entries", &largest("A1", 1, true)).await;
        match more.status {
            201 => break more.position(),
            _still_full => more.refused(422, "number_out_of_range"),
        };
        assert!(Instant::now() < deadline, "what was held until {held} does not lapse");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let found = c.get_at("/v1/accounts/A1/balance", more).await.expect(200);
    assert_eq!(units(&found.json["pending_debits"]), units(&json!(LARGEST)), "{}", found.text);
    world.verify_clean("lapsed");
}

/// As one of several commands.
fn with_type(entry: &Value) -> Value {
    let mut command = entry.clone();
    command["type"] = "post_entry".into();
    command
}
