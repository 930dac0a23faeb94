//! `result`: what a command's events mean to the caller. A function of the events and of nothing else.

mod count;
mod journal;
mod period;
mod person;
mod reservation;
mod stock;
mod transfer;

use ledger_core::domain::event::{Event, Recorded};
use ledger_core::domain::stock::event::Movement;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use self::count::Count;
use self::journal::{Entry, Revalued};
use self::period::{Period, Year};
use self::person::Person;
use self::reservation::Reservation;
use self::stock::{CostAdded, Expectation, Kit, Moved, StandardCost, StatusChanged, Transferred};
use self::transfer::Transfer;
use super::answer::Form;

/// One object, or one per event.
#[derive(Debug)]
pub(super) struct Result<'a> {
    pub(super) events: &'a [Recorded],
    pub(super) form: Form,
}

impl Serialize for Result<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match (self.form, main_event(self.events)) {
            (Form::Transaction, _) => {
                let mut list = serializer.serialize_seq(Some(self.events.len()))?;
                for recorded in self.events {
                    list.serialize_element(&One { event: &recorded.fact.event, settled: None })?;
                }
                list.end()
            }
            (Form::Single, None) => serializer.serialize_none(),
            (Form::Single, Some((main, before))) => {
                let settled = before.iter().find_map(|recorded| match &recorded.fact.event {
                    Event::StockSettled(movement) => Some(movement),
                    _another => None,
                });
                One { event: &main.fact.event, settled }.serialize(serializer)
            }
        }
    }
}

/// The event of the one action itself, with those before it. What has to be so first comes first in the log: a
/// settlement below zero, an own hold that is replaced, stock brought to its standard value. What comes after is of
/// others: backorders that the action's stock fills; or takes back at a later time: a revaluation in the next period.
fn main_event(events: &[Recorded]) -> Option<(&Recorded, &[Recorded])> {
    let is_own = |recorded: &Recorded| !matches!(recorded.fact.event, Event::ReservationFilled(_));
    let revaluation = events.iter().position(|recorded| matches!(recorded.fact.event, Event::CurrencyRevalued(_)));
    let (before, from_main) = events.split_at(revaluation.or_else(|| events.iter().rposition(is_own))?);
    Some((from_main.first()?, before))
}

struct One<'a> {
    event: &'a Event,
    settled: Option<&'a Movement>,
}

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.event {
            Event::TenantOpened(_)
            | Event::ItemDefined(_)
            | Event::ItemChanged(_)
            | Event::LocationDefined(_)
            | Event::LocationChanged(_)
            | Event::AccountOpened(_)
            | Event::AccountChanged(_)
            | Event::PostingRuleDefined(_)
            | Event::StockPolicyDefined(_)
            | Event::AccountSetDefined(_)
            | Event::DimensionDefined(_)
            | Event::TaxCodeDefined(_)
            | Event::CalendarDefined(_) => self.event.serialize(serializer),
            Event::JournalEntryPosted(e) => Entry::from(e).serialize(serializer),
            Event::JournalEntryHeld(e) => Entry::from(e).serialize(serializer),
            Event::JournalEntrySettled(e) => Entry::from(e).serialize(serializer),
            Event::JournalEntryVoided(e) => Entry::freed(e, "voided").serialize(serializer),
            Event::JournalEntryExpired(e) => Entry::freed(e, "expired").serialize(serializer),
            Event::JournalEntryReversed(e) => Entry::from(e).serialize(serializer),
            Event::CurrencyRevalued(e) => Revalued::from(e).serialize(serializer),
            Event::PeriodClosed(e) => Period::from(e).serialize(serializer),
            Event::PeriodReopened(e) => Period::from(e).serialize(serializer),
            Event::PersonRecorded(e) => Person { event: e, status: "recorded" }.serialize(serializer),
            Event::PersonErased(e) => Person { event: e, status: "erased" }.serialize(serializer),
            Event::YearClosed(e) => Year::from(e).serialize(serializer),
            Event::StockReceived(m)
            | Event::StockIssued(m)
            | Event::StockReturned(m)
            | Event::StockReturnedToSupplier(m)
            | Event::StockAdjusted(m)
            | Event::StockScrapped(m)
            | Event::StockRevalued(m)
            | Event::StockSettled(m) => Moved::new(m, self.settled).serialize(serializer),
            Event::StockTransferred(t) => Transferred::new(t, self.settled).serialize(serializer),
            Event::StockStatusChanged(t) => StatusChanged::from(t).serialize(serializer),
            Event::StockAssembled(e) | Event::StockDisassembled(e) => Kit::from(e).serialize(serializer),
            Event::StockCostAdded(e) => CostAdded::from(e).serialize(serializer),
            Event::StandardCostChanged(e) => StandardCost::from(e).serialize(serializer),
            Event::StockExpected(e) => Expectation::from(e).serialize(serializer),
            Event::ExpectationCancelled(e) => Expectation::from(e).serialize(serializer),
            Event::TransferDispatched(e) => Transfer::from(e).serialize(serializer),
            Event::TransferReceived(e) => Transfer::from(e).serialize(serializer),
            Event::TransferCancelled(e) => Transfer::from(e).serialize(serializer),
            Event::CountOpened(e) => Count::from(e).serialize(serializer),
            Event::CountRecorded(e) => Count::from(e).serialize(serializer),
            Event::CountPosted(e) => Count::from(e).serialize(serializer),
            Event::CountCancelled(e) => Count::from(e).serialize(serializer),
            Event::ReservationOpened(e) => Reservation::from(e).serialize(serializer),
            Event::ReservationExtended(e) => Reservation::from(e).serialize(serializer),
            Event::ReservationReleased(e) => Reservation::with_lines(&e.id, "released", &e.lines).serialize(serializer),
            Event::ReservationExpired(e) => Reservation::with_lines(&e.id, "expired", &e.lines).serialize(serializer),
            Event::ReservationChanged(e) => Reservation::with_lines(&e.id, "changed", &e.lines).serialize(serializer),
            Event::ReservationFilled(e) => Reservation::with_lines(&e.id, "filled", &e.lines).serialize(serializer),
            Event::ReservationConfirmed(e) => Reservation::new(&e.id, "allocated").serialize(serializer),
            Event::ReservationCommitted(e) => Reservation::from(e).serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::allocation::{Choice, Strategy, VERSION};
    use ledger_core::domain::catalogue::command::Backorder;
    use ledger_core::domain::catalogue::event::StockPolicyDefined;
    use ledger_core::domain::event::{Fact, Note, Posting};
    use ledger_core::domain::id::{AccountCode, EntryId, LocationCode, LotCode, ReservationId, Sku, Text};
    use ledger_core::domain::journal::command::ExchangeRate;
    use ledger_core::domain::journal::event::{CurrencyRevalued, JournalEntryReversed};
    use ledger_core::domain::rejection::Shortage;
    use ledger_core::domain::reservation::event::{
        HeldLine, ReservationClosed, ReservationCommitted, ReservationConfirmed, ReservationLines, ReservationOpened,
    };
    use ledger_core::domain::stock::event::{Detail, Origin, StockCostAdded, StockMoved, StockTransferred};
    use ledger_core::domain::stock::status::StockStatus;
    use ledger_core::domain::time::Timestamp;
    use serde_json::json;

    use super::super::answer::{Manner, Shown};
    use super::*;

    fn recorded(position: i64, event: Event) -> Recorded {
        let fact = Fact { event, effective_at: None, note: Note::default() };
        Recorded { position, stream: position, stream_version: 1, recorded_at: Timestamp(0), fact }
    }

    pub(super) fn movement(quantity: i64, value: i64) -> Movement {
        Movement {
            sku: Sku::parse("A").unwrap(),
            location: LocationCode::parse("L").unwrap(),
            scale: 1,
            money: 2,
            quantity,
            value,
            postings: Vec::new(),
            layers: Vec::new(),
            provisional: None,
            detail: None,
        }
    }

    fn held(quantity: i64) -> HeldLine {
        HeldLine {
            sku: Sku::parse("A").unwrap(),
            location: LocationCode::parse("L").unwrap(),
            scale: 0,
            quantity,
            waiting: None,
            lot: None,
            kit: None,
        }
    }

    fn opened(id: &ReservationId) -> ReservationOpened {
        ReservationOpened {
            id: id.clone(),
            owner: None,
            expires_at: Timestamp(1_000_000),
            lines: vec![held(3)],
            priority: None,
            choice: None,
            shortages: None,
        }
    }

    fn shown(events: &[Recorded], form: Form) -> serde_json::Value {
        serde_json::to_value(Shown::new(9, events, Manner { form, dry_run: false })).unwrap()
    }

    fn result(events: impl IntoIterator<Item = Event>) -> serde_json::Value {
        let events: Vec<Recorded> = (1..).zip(events).map(|(position, event)| recorded(position, event)).collect();
        shown(&events, Form::Single)["result"].take()
    }

    #[test]
    fn a_receipt_shows_what_it_settled() {
        let events = [recorded(8, Event::StockSettled(movement(0, -3))), recorded(9, Event::StockReceived(movement(25, 1_050)))];
        assert_eq!(
            shown(&events, Form::Single),
            json!({
                "position": 9,
                "events": [
                    {"type": "stock_settled", "stream": "item-A", "version": 1, "position": 8},
                    {"type": "stock_received", "stream": "item-A", "version": 1, "position": 9},
                ],
                "result": {"sku": "A", "location": "L", "quantity": "2.5", "value": "10.50", "settlement": "-0.03"},
            })
        );
    }

    #[test]
    fn backorders_that_are_filled_and_holds_that_are_replaced_are_not_the_result() {
        let id = ReservationId::parse("r").unwrap();
        let filled = || Event::ReservationFilled(ReservationLines { id: id.clone(), lines: vec![held(3)] });
        let received =
            result([Event::StockSettled(movement(0, -3)), Event::StockReceived(movement(25, 1_050)), filled(), filled()]);
        assert_eq!(received, json!({"sku": "A", "location": "L", "quantity": "2.5", "value": "10.50", "settlement": "-0.03"}));
        let own = ReservationId::parse("own").unwrap();
        let replaced = Event::ReservationReleased(ReservationClosed { id: own, lines: vec![held(1)] });
        assert_eq!(result([replaced, Event::ReservationOpened(opened(&id)), filled()])["id"], "r");
    }

    #[test]
    fn a_reservation_shows_its_lines_and_a_shipment_its_cost() {
        let id = ReservationId::parse("r").unwrap();
        let committed =
            ReservationCommitted { id: id.clone(), movements: vec![movement(-30, -100), movement(-10, -1)], remaining: None };
        let events = [recorded(1, Event::ReservationOpened(opened(&id))), recorded(2, Event::ReservationCommitted(committed))];
        assert_eq!(
            shown(&events, Form::Transaction)["result"],
            json!([
                {"id": "r", "status": "held", "expires_at": "1970-01-01T00:00:01Z",
                 "lines": [{"sku": "A", "location": "L", "quantity": "3"}]},
                {"id": "r", "status": "committed", "cost": "1.01", "lines": [
                    {"sku": "A", "location": "L", "quantity": "3.0", "cost": "1.00"},
                    {"sku": "A", "location": "L", "quantity": "1.0", "cost": "0.01"},
                ]},
            ])
        );
    }

    #[test]
    fn a_hold_says_how_it_was_chosen_and_what_is_missing() {
        let id = ReservationId::parse("r").unwrap();
        let lot = LotCode::parse("B1").unwrap();
        let shortage = Shortage {
            line: 1,
            sku: Sku::parse("B").unwrap(),
            location: LocationCode::parse("L").unwrap(),
            requested: Text::parse("5").unwrap(),
            available: Text::parse("2").unwrap(),
        };
        let opened = ReservationOpened {
            lines: vec![HeldLine { waiting: Some(1), lot: Some(lot), kit: Some(Sku::parse("K").unwrap()), ..held(3) }],
            priority: Some(7),
            choice: Some(Box::new(Choice { strategy: Strategy::Fefo, version: VERSION, demands: Vec::new() })),
            shortages: Some(vec![shortage]),
            ..opened(&id)
        };
        assert_eq!(
            result([Event::ReservationOpened(opened)]),
            json!({
                "id": "r", "status": "held", "expires_at": "1970-01-01T00:00:01Z", "priority": 7, "strategy": "fefo",
                "lines": [{"sku": "A", "location": "L", "quantity": "3", "waiting": "1", "lot": "B1", "kit": "K"}],
                "shortages": [{"line": 1, "item": "B", "location": "L", "requested": "5", "available": "2"}],
            })
        );
        assert_eq!(
            result([Event::ReservationConfirmed(ReservationConfirmed { id: id.clone() })]),
            json!({"id": "r", "status": "allocated"})
        );
        let part = ReservationCommitted { id, movements: vec![movement(-10, -50)], remaining: Some(vec![held(2)]) };
        assert_eq!(
            result([Event::ReservationCommitted(part)]),
            json!({
                "id": "r", "status": "partly_committed", "cost": "0.50",
                "lines": [{"sku": "A", "location": "L", "quantity": "1.0", "cost": "0.50"}],
                "remaining": [{"sku": "A", "location": "L", "quantity": "2"}],
            })
        );
    }

    #[test]
    fn a_change_of_status_says_from_what_to_what() {
        let detail = Detail { status: Some(StockStatus::Damaged), lot: LotCode::parse("B1").ok(), ..Detail::default() };
        let incoming = Movement { detail: Some(Box::new(detail)), ..movement(20, 0) };
        let changed = StockTransferred { outgoing: movement(-20, 0), incoming };
        assert_eq!(
            result([Event::StockStatusChanged(changed)]),
            json!({"sku": "A", "location": "L", "from": "sellable", "to": "damaged", "quantity": "2.0", "lot": "B1"})
        );
    }

    #[test]
    fn a_kit_stands_beside_its_components() {
        let kit = |quantity, value| Movement { sku: Sku::parse("K").unwrap(), scale: 0, ..movement(quantity, value) };
        let movements = vec![movement(-20, -200), kit(0, 5), kit(1, 200)];
        assert_eq!(
            result([Event::StockAssembled(StockMoved { sku: Sku::parse("K").unwrap(), movements })]),
            json!({
                "sku": "K", "settlement": "0.05", "movements": [
                    {"sku": "A", "location": "L", "quantity": "-2.0", "value": "-2.00"},
                    {"sku": "K", "location": "L", "quantity": "1", "value": "2.00"},
                ],
            })
        );
    }

    #[test]
    fn added_cost_goes_to_what_is_there_and_to_what_is_sold() {
        let posting = |account, amount| Posting::new(AccountCode::parse(account).unwrap(), amount);
        let halves = |there: i64, sold: i64| {
            let sides = [("1400", there), ("2150", -there), ("5000", sold), ("2150", -sold)];
            sides.into_iter().filter(|(_, amount)| *amount != 0).map(|(account, amount)| posting(account, amount)).collect()
        };
        for (there, sold, want) in [
            (60, 40, ("1.00", "0.60", "0.40")),
            (-60, -40, ("-1.00", "-0.60", "-0.40")),
            (60, 0, ("0.60", "0.60", "0.00")),
            (0, -40, ("-0.40", "0.00", "-0.40")),
        ] {
            let movements = vec![Movement { postings: halves(there, sold), ..movement(0, there) }];
            let receipt = Origin { position: 7, line: 0 };
            let shown = result([Event::StockCostAdded(StockCostAdded { receipt, movements })]);
            let told = (&shown["amount"], &shown["on_hand"], &shown["sold"]);
            assert_eq!(told, (&json!(want.0), &json!(want.1), &json!(want.2)));
            assert_eq!(
                (&shown["receipt"], shown["movements"].as_array().map(Vec::len)),
                (&json!(7), Some(usize::from(there != 0)))
            );
        }
    }

    #[test]
    fn a_policy_is_shown_as_defined() {
        let defined = StockPolicyDefined {
            sku: Sku::parse("A").unwrap(),
            location: LocationCode::parse("L").unwrap(),
            scale: 1,
            backorder: Backorder::Limited,
            backorder_limit: 50,
            safety_stock: 5,
        };
        assert_eq!(
            result([Event::StockPolicyDefined(defined)]),
            json!({"sku": "A", "location": "L", "backorder": "limited", "backorder_limit": "5.0", "safety_stock": "0.5"})
        );
    }

    #[test]
    fn a_revaluation_is_the_result_and_not_its_taking_back() {
        let posting = |amount| vec![Posting::new(AccountCode::parse("6110").unwrap(), amount)];
        let (id, money) = (EntryId::parse("e").unwrap(), 2);
        let rate = ExchangeRate::default();
        let period = "2026-11".parse().unwrap();
        let revalued = CurrencyRevalued { id: id.clone(), rate, period, money, postings: posting(-5) };
        let back = JournalEntryReversed { id, reverses: 1, money, postings: posting(5), number: None, exchange_difference: None };
        let shown = result([Event::CurrencyRevalued(revalued), Event::JournalEntryReversed(back.clone())]);
        assert_eq!(shown["period"], "2026-11");
        assert_eq!(result([Event::JournalEntryReversed(back)])["status"], "reversed");
    }

    #[test]
    fn a_dry_run_shows_its_events_whole() {
        let movement =
            Movement { postings: vec![Posting::new(AccountCode::parse("1300").unwrap(), 1_050)], ..movement(25, 1_050) };
        let events = [recorded(9, Event::StockReceived(movement))];
        let shown = serde_json::to_value(Shown::new(8, &events, Manner { form: Form::Single, dry_run: true })).unwrap();
        assert_eq!((&shown["dry_run"], &shown["position"]), (&json!(true), &json!(8)));
        assert_eq!(shown["events"][0]["effective_at"], "1970-01-01T00:00:00Z");
        assert_eq!(shown["events"][0]["data"], serde_json::to_value(&events[0].fact.event).unwrap());
        assert_eq!(shown["events"][0]["data"]["postings"], json!([{"account": "1300", "debit": "10.50"}]));
        assert_eq!(shown["result"]["value"], "10.50");
    }

    #[test]
    fn nothing_to_do_is_said() {
        assert_eq!(shown(&[], Form::Single), json!({"position": 9, "events": [], "result": null}));
    }
}
