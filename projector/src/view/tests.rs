//! The folds, against figures worked out by hand.

mod money;

use ledger_core::domain::event::{Event, Fact, Note, Posting, Recorded};
use ledger_core::domain::reservation::event::{HeldLine, ReservationClosed, ReservationExtended, ReservationOpened};
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;

use super::*;

fn recorded(position: i64, event: Event) -> Recorded {
    let fact = Fact { event, effective_at: None, note: Note::default() };
    Recorded { position, stream: 1, stream_version: position, recorded_at: Timestamp(position * 1_000_000), fact }
}

fn moved(quantity: i64, value: i64) -> Movement {
    let posting = |account: &str, amount| Posting::new(account.parse().unwrap(), amount);
    Movement {
        sku: "X".parse().unwrap(),
        location: "A".parse().unwrap(),
        scale: 0,
        money: 2,
        quantity,
        value,
        postings: vec![posting("1300", value), posting("2100", -value)],
        layers: Vec::new(),
        provisional: None,
        detail: None,
    }
}

fn level(tables: &Tables) -> (i64, i64, i64) {
    let l = tables.levels.get("X").and_then(|l| l.get("A")).unwrap();
    (l.on_hand, l.reserved, l.value)
}

#[test]
fn levels_cards_holds_and_balances_follow_the_events() {
    let mut tables = Tables::default();
    let line = HeldLine {
        sku: "X".parse().unwrap(),
        location: "A".parse().unwrap(),
        scale: 0,
        quantity: 3,
        waiting: None,
        lot: None,
        kit: None,
    };
    let id: ReservationId = "R".parse().unwrap();
    let opened = ReservationOpened {
        id: id.clone(),
        owner: None,
        expires_at: Timestamp(50),
        lines: vec![line.clone()],
        priority: None,
        choice: None,
        shortages: None,
    };
    tables.fold(&recorded(1, Event::StockReceived(moved(10, 1_000)))).unwrap();
    tables.fold(&recorded(2, Event::StockIssued(moved(-4, -400)))).unwrap();
    tables.fold(&recorded(3, Event::ReservationOpened(opened))).unwrap();
    assert_eq!(level(&tables), (6, 3, 600));
    let after: Vec<_> = tables.cards.iter().map(|c| (c.quantity, c.on_hand_after, c.value_after)).collect();
    assert_eq!(after, [(10, 10, 1_000), (-4, 6, 600)]);
    let extended = ReservationExtended { id: id.clone(), expires_at: Timestamp(90) };
    tables.fold(&recorded(4, Event::ReservationExtended(extended))).unwrap();
    assert_eq!(tables.holds["X"].first().map(|h| h.0), Some(Timestamp(90)));
    tables.fold(&recorded(5, Event::ReservationReleased(ReservationClosed { id, lines: vec![line] }))).unwrap();
    assert_eq!(level(&tables), (6, 0, 600));
    assert!(tables.holds["X"].is_empty());
    assert_eq!(tables.balances["1300"][""].posted, [1_000, 400, 0, 0]);
}

#[test]
fn an_event_that_cannot_follow_is_refused() {
    let mut tables = Tables::default();
    let closed = ReservationClosed { id: "nobody".parse().unwrap(), lines: Vec::new() };
    assert!(tables.fold(&recorded(1, Event::ReservationReleased(closed))).is_err());
}
