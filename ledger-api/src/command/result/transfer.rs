//! Transfers in two steps.

use ledger_core::domain::amount::Number;
use ledger_core::domain::id::{LocationCode, Sku, TransferId};
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;
use ledger_core::domain::transfer::event::{Arrival, TransferCancelled, TransferDispatched, TransferReceived};
use serde::Serialize;

use super::stock::{Goods, settlement};

/// A transfer after the command.
#[derive(Serialize)]
pub(super) struct Transfer<'a> {
    id: &'a TransferId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a LocationCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a LocationCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'a LocationCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    #[serde(flatten)]
    content: Content<'a>,
}

/// Where the goods are now, or what became of each line.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Goods(Goods<'a>),
    Arrivals {
        arrivals: Vec<Arrived<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        settlement: Option<Number>,
    },
}

impl<'a> Transfer<'a> {
    fn new(id: &'a TransferId, status: &'static str, content: Content<'a>) -> Self {
        Self { id, status, from: None, to: None, via: None, due_at: None, content }
    }
}

impl<'a> From<&'a TransferDispatched> for Transfer<'a> {
    fn from(e: &'a TransferDispatched) -> Self {
        let known = Self::new(&e.id, "dispatched", Content::Goods(Goods::arrived(&e.movements)));
        Self { from: Some(&e.from), to: Some(&e.to), via: Some(&e.via), due_at: e.due_at, ..known }
    }
}

impl<'a> From<&'a TransferReceived> for Transfer<'a> {
    fn from(e: &'a TransferReceived) -> Self {
        let status = if e.is_final { "received" } else { "partly_received" };
        let content = Content::Arrivals { arrivals: arrivals(e), settlement: settlement(&e.movements) };
        Self::new(&e.id, status, content)
    }
}

impl<'a> From<&'a TransferCancelled> for Transfer<'a> {
    fn from(e: &'a TransferCancelled) -> Self {
        Self::new(&e.id, "cancelled", Content::Goods(Goods::arrived(&e.movements)))
    }
}

/// What became of one line.
#[derive(Serialize)]
struct Arrived<'a> {
    line: u32,
    sku: &'a Sku,
    good: Number,
    damaged: Number,
    short: Number,
    over: Number,
    /// Of what arrived.
    value: Number,
}

/// An arrival counts in units; its movements say of which item. They stand in the arrivals' order: good and damaged
/// goods out of transit and in, what is short out only, what is too much in only. A line of which nothing was left has
/// none and is not shown.
fn arrivals(e: &TransferReceived) -> Vec<Arrived<'_>> {
    let mut movements = e.movements.iter().filter(|m| m.quantity != 0);
    let mut arrived = Vec::with_capacity(e.arrivals.len());
    for a in &e.arrivals {
        let of_line: Vec<&Movement> = movements.by_ref().take(movements_of(a)).collect();
        let Some(first) = of_line.first() else { continue };
        let shown = |units| Number::from_units(units, first.scale);
        let value = of_line.iter().filter(|m| m.quantity > 0).fold(0_i64, |sum, m| sum.saturating_add(m.value));
        arrived.push(Arrived {
            line: a.line,
            sku: &first.sku,
            good: shown(a.good),
            damaged: shown(a.damaged),
            short: shown(a.short),
            over: shown(a.over),
            value: Number::from_units(value, first.money),
        });
    }
    arrived
}

fn movements_of(a: &Arrival) -> usize {
    let ways = [(a.good, 2), (a.damaged, 2), (a.short, 1), (a.over, 1)];
    ways.into_iter().filter(|(units, _)| *units > 0).map(|(_, movements)| movements).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::movement;
    use super::*;

    #[test]
    fn arrivals_have_the_scale_of_their_item() {
        let other = Movement { sku: Sku::parse("B").unwrap(), scale: 0, ..movement(-7, -700) };
        let e = TransferReceived {
            id: TransferId::parse("t").unwrap(),
            arrivals: vec![
                Arrival { line: 0, good: 20, damaged: 5, short: 0, over: 3 },
                // Received before: nothing was left of it.
                Arrival { line: 1, ..Arrival::default() },
                Arrival { line: 2, short: 7, ..Arrival::default() },
            ],
            movements: vec![
                movement(0, -4),
                movement(-20, -200),
                movement(20, 200),
                movement(-5, -50),
                movement(5, 50),
                movement(3, 30),
                other,
            ],
            is_final: true,
        };
        assert_eq!(
            serde_json::to_value(Transfer::from(&e)).unwrap(),
            json!({
                "id": "t", "status": "received", "settlement": "-0.04",
                "arrivals": [
                    {"line": 0, "sku": "A", "good": "2.0", "damaged": "0.5", "short": "0.0", "over": "0.3", "value": "2.80"},
                    {"line": 2, "sku": "B", "good": "0", "damaged": "0", "short": "7", "over": "0", "value": "0.00"},
                ],
            })
        );
    }

    #[test]
    fn what_is_under_way_is_shown_once() {
        let code = |text| LocationCode::parse(text).unwrap();
        let e = TransferDispatched {
            id: TransferId::parse("t").unwrap(),
            from: code("L"),
            to: code("M"),
            via: code("T"),
            due_at: None,
            movements: vec![movement(-20, -200), Movement { location: code("T"), ..movement(20, 200) }],
        };
        assert_eq!(
            serde_json::to_value(Transfer::from(&e)).unwrap(),
            json!({
                "id": "t", "status": "dispatched", "from": "L", "to": "M", "via": "T",
                "movements": [{"sku": "A", "location": "T", "quantity": "2.0", "value": "2.00"}],
            })
        );
    }
}
