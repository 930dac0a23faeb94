//! Stock counts.

use ledger_core::domain::count::event::{CountCancelled, CountOpened, CountPosted, CountRecorded, CountedLine};
use ledger_core::domain::id::{CountId, LocationCode};
use ledger_core::domain::time::Timestamp;
use serde::Serialize;

use super::stock::Goods;

/// A count after the command.
#[derive(Serialize)]
pub(super) struct Count<'a> {
    id: &'a CountId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a LocationCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<&'a [CountedLine]>,
    /// The differences.
    #[serde(flatten)]
    goods: Option<Goods<'a>>,
}

impl<'a> Count<'a> {
    fn new(id: &'a CountId, status: &'static str) -> Self {
        Self { id, status, location: None, counted_at: None, lines: None, goods: None }
    }
}

impl<'a> From<&'a CountOpened> for Count<'a> {
    fn from(e: &'a CountOpened) -> Self {
        Self { location: Some(&e.location), ..Self::new(&e.id, "open") }
    }
}

impl<'a> From<&'a CountRecorded> for Count<'a> {
    fn from(e: &'a CountRecorded) -> Self {
        Self { counted_at: Some(e.counted_at), lines: Some(&e.lines), ..Self::new(&e.id, "open") }
    }
}

impl<'a> From<&'a CountPosted> for Count<'a> {
    fn from(e: &'a CountPosted) -> Self {
        Self { goods: Some(e.movements.as_slice().into()), ..Self::new(&e.id, "posted") }
    }
}

impl<'a> From<&'a CountCancelled> for Count<'a> {
    fn from(e: &'a CountCancelled) -> Self {
        Self::new(&e.id, "cancelled")
    }
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::id::Sku;
    use ledger_core::domain::stock::status::StockStatus;
    use serde_json::json;

    use super::super::tests::movement;
    use super::*;

    #[test]
    fn a_count_shows_what_differs_and_what_was_adjusted() {
        let id = CountId::parse("c").unwrap();
        let line = CountedLine {
            sku: Sku::parse("A").unwrap(),
            location: LocationCode::parse("L").unwrap(),
            lot: None,
            status: StockStatus::Damaged,
            scale: 1,
            counted: 5,
            expected: 25,
        };
        let recorded = CountRecorded { id: id.clone(), counted_at: Timestamp(1_000_000), lines: vec![line] };
        assert_eq!(
            serde_json::to_value(Count::from(&recorded)).unwrap(),
            json!({
                "id": "c", "status": "open", "counted_at": "1970-01-01T00:00:01Z",
                "lines": [{"sku": "A", "location": "L", "status": "damaged", "counted": "0.5", "expected": "2.5", "difference": "-2.0"}],
            })
        );
        let posted = CountPosted { id, movements: vec![movement(-20, -200)] };
        assert_eq!(
            serde_json::to_value(Count::from(&posted)).unwrap(),
            json!({
                "id": "c", "status": "posted",
                "movements": [{"sku": "A", "location": "L", "quantity": "-2.0", "value": "-2.00"}],
            })
        );
    }
}
