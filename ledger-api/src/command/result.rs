//! `result`: what a command's events mean to the caller. A function of the events and of nothing else.

use ledger_core::domain::amount::Number;
use ledger_core::domain::event::{Event, Recorded};
use ledger_core::domain::reservation::event::{HeldLine, ReservationCommitted};
use ledger_core::domain::stock::event::{Movement, StockTransferred};
use serde::Serialize;
use serde::ser::{SerializeSeq, SerializeStruct, Serializer};

use super::answer::{Displayed, Form};

/// One object, or one per event.
#[derive(Debug)]
pub(super) struct Result<'a> {
    pub(super) events: &'a [Recorded],
    pub(super) form: Form,
}

impl Serialize for Result<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match (self.form, self.events) {
            (Form::Transaction, events) => {
                let mut list = serializer.serialize_seq(Some(events.len()))?;
                for recorded in events {
                    list.serialize_element(&One { event: &recorded.fact.event, settled: None })?;
                }
                list.end()
            }
            (Form::Single, []) => serializer.serialize_none(),
            // What follows the first event of one action is the settlement it caused.
            (Form::Single, [first, rest @ ..]) => {
                let settled = rest.iter().find_map(|recorded| match &recorded.fact.event {
                    Event::StockSettled(movement) => Some(movement),
                    _another => None,
                });
                One { event: &first.fact.event, settled }.serialize(serializer)
            }
        }
    }
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
            | Event::JournalEntryPosted(_)
            | Event::JournalEntryReversed(_) => self.event.serialize(serializer),
            Event::StockReceived(m)
            | Event::StockIssued(m)
            | Event::StockReturned(m)
            | Event::StockAdjusted(m)
            | Event::StockRevalued(m)
            | Event::StockSettled(m) => moved(m, self.settled, serializer),
            Event::StockTransferred(t) => transferred(t, self.settled, serializer),
            Event::ReservationOpened(e) => {
                let mut s = serializer.serialize_struct("Reservation", 5)?;
                s.serialize_field("id", &e.id)?;
                s.serialize_field("status", "held")?;
                match &e.owner {
                    Some(owner) => s.serialize_field("owner", owner)?,
                    None => s.skip_field("owner")?,
                }
                s.serialize_field("expires_at", &Displayed(e.expires_at))?;
                s.serialize_field("lines", &e.lines)?;
                s.end()
            }
            Event::ReservationExtended(e) => {
                let mut s = serializer.serialize_struct("Reservation", 3)?;
                s.serialize_field("id", &e.id)?;
                s.serialize_field("status", "held")?;
                s.serialize_field("expires_at", &Displayed(e.expires_at))?;
                s.end()
            }
            Event::ReservationReleased(e) => closed(&e.id, "released", &e.lines, serializer),
            Event::ReservationExpired(e) => closed(&e.id, "expired", &e.lines, serializer),
            Event::ReservationCommitted(e) => committed(e, serializer),
        }
    }
}

fn closed<S: Serializer>(
    id: &ledger_core::domain::id::ReservationId,
    status: &str,
    lines: &[HeldLine],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    let mut s = serializer.serialize_struct("Reservation", 3)?;
    s.serialize_field("id", id)?;
    s.serialize_field("status", status)?;
    s.serialize_field("lines", lines)?;
    s.end()
}

/// Quantity and value as they changed: below zero for what went out.
fn moved<S: Serializer>(m: &Movement, settled: Option<&Movement>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let mut s = serializer.serialize_struct("Moved", 5)?;
    s.serialize_field("sku", &m.sku)?;
    s.serialize_field("location", &m.location)?;
    s.serialize_field("quantity", &Number::from_units(m.quantity, m.scale))?;
    s.serialize_field("value", &Number::from_units(m.value, m.money))?;
    match settled {
        Some(m) => s.serialize_field("settlement", &Number::from_units(m.value, m.money))?,
        None => s.skip_field("settlement")?,
    }
    s.end()
}

/// Quantity and value as they arrived.
fn transferred<S: Serializer>(
    t: &StockTransferred,
    settled: Option<&Movement>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    let (from, to) = (&t.outgoing, &t.incoming);
    let mut s = serializer.serialize_struct("Transferred", 6)?;
    s.serialize_field("sku", &to.sku)?;
    s.serialize_field("from", &from.location)?;
    s.serialize_field("to", &to.location)?;
    s.serialize_field("quantity", &Number::from_units(to.quantity, to.scale))?;
    s.serialize_field("value", &Number::from_units(to.value, to.money))?;
    match settled {
        Some(m) => s.serialize_field("settlement", &Number::from_units(m.value, m.money))?,
        None => s.skip_field("settlement")?,
    }
    s.end()
}

#[derive(Serialize)]
struct Shipped<'a> {
    sku: &'a ledger_core::domain::id::Sku,
    location: &'a ledger_core::domain::id::LocationCode,
    quantity: Number,
    cost: Number,
}

impl<'a> From<&'a Movement> for Shipped<'a> {
    fn from(m: &'a Movement) -> Self {
        Self {
            sku: &m.sku,
            location: &m.location,
            quantity: Number::from_units(m.quantity.saturating_neg(), m.scale),
            cost: Number::from_units(m.value.saturating_neg(), m.money),
        }
    }
}

/// What was shipped, with its cost: both above zero, as a delivery note has them.
fn committed<S: Serializer>(e: &ReservationCommitted, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let lines: Vec<Shipped<'_>> = e.movements.iter().map(Shipped::from).collect();
    let cost = e.movements.iter().fold(0_i64, |sum, m| sum.saturating_sub(m.value));
    let money = e.movements.first().map_or(0, |m| m.money);
    let mut s = serializer.serialize_struct("Reservation", 4)?;
    s.serialize_field("id", &e.id)?;
    s.serialize_field("status", "committed")?;
    s.serialize_field("lines", &lines)?;
    s.serialize_field("cost", &Number::from_units(cost, money))?;
    s.end()
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::event::{Fact, Note};
    use ledger_core::domain::id::{LocationCode, ReservationId, Sku};
    use ledger_core::domain::reservation::event::ReservationOpened;
    use ledger_core::domain::time::Timestamp;
    use serde_json::json;

    use super::super::answer::Shown;
    use super::*;

    fn recorded(position: i64, event: Event) -> Recorded {
        let fact = Fact { event, effective_at: None, note: Note::default() };
        Recorded { position, stream: position, stream_version: 1, recorded_at: Timestamp(0), fact }
    }

    fn movement(quantity: i64, value: i64) -> Movement {
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
        }
    }

    fn shown(events: &[Recorded], form: Form) -> serde_json::Value {
        serde_json::to_value(Shown::new(9, events, form)).unwrap()
    }

    #[test]
    fn a_receipt_shows_what_it_settled() {
        let events = [recorded(8, Event::StockReceived(movement(25, 1_050))), recorded(9, Event::StockSettled(movement(0, -3)))];
        assert_eq!(
            shown(&events, Form::Single),
            json!({
                "position": 9,
                "events": [
                    {"type": "stock_received", "stream": "item-A", "version": 1, "position": 8},
                    {"type": "stock_settled", "stream": "item-A", "version": 1, "position": 9},
                ],
                "result": {"sku": "A", "location": "L", "quantity": "2.5", "value": "10.50", "settlement": "-0.03"},
            })
        );
    }

    #[test]
    fn a_reservation_shows_its_lines_and_a_shipment_its_cost() {
        let id = ReservationId::parse("r").unwrap();
        let lines =
            vec![HeldLine { sku: Sku::parse("A").unwrap(), location: LocationCode::parse("L").unwrap(), scale: 0, quantity: 3 }];
        let opened = ReservationOpened { id: id.clone(), owner: None, expires_at: Timestamp(1_000_000), lines };
        let committed = ReservationCommitted { id, movements: vec![movement(-30, -100), movement(-10, -1)] };
        let events = [recorded(1, Event::ReservationOpened(opened)), recorded(2, Event::ReservationCommitted(committed))];
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
    fn nothing_to_do_is_said() {
        assert_eq!(shown(&[], Form::Single), json!({"position": 9, "events": [], "result": null}));
    }
}
