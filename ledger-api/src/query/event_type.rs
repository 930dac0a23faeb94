//! Names of event types: what filters take and what the views store as a number.

/// Number and name of every event type.
const EVENT_TYPES: [(i16, &str); 22] = [
    (1, "tenant_opened"),
    (2, "item_defined"),
    (3, "item_changed"),
    (4, "location_defined"),
    (5, "location_changed"),
    (6, "account_opened"),
    (7, "account_changed"),
    (8, "posting_rule_defined"),
    (20, "stock_received"),
    (21, "stock_issued"),
    (22, "stock_returned"),
    (23, "stock_adjusted"),
    (24, "stock_revalued"),
    (25, "stock_transferred"),
    (26, "stock_settled"),
    (40, "reservation_opened"),
    (41, "reservation_extended"),
    (42, "reservation_released"),
    (43, "reservation_expired"),
    (44, "reservation_committed"),
    (60, "journal_entry_posted"),
    (61, "journal_entry_reversed"),
];

/// The name of a stored number.
pub(crate) fn name(number: i16) -> Option<&'static str> {
    EVENT_TYPES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// True for a name that exists.
pub(crate) fn is_known(name: &str) -> bool {
    EVENT_TYPES.iter().any(|(_, known)| *known == name)
}

/// Every name, for the document.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EVENT_TYPES.iter().map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::codec::type_number;
    use ledger_core::domain::event::Event;
    use ledger_core::domain::id::{EntryId, ReservationId};
    use ledger_core::domain::journal::event::JournalEntryPosted;
    use ledger_core::domain::reservation::event::{ReservationClosed, ReservationCommitted};

    use super::name;

    #[test]
    fn names_are_those_of_the_domain() {
        let closed = || ReservationClosed { id: ReservationId::default(), lines: Vec::new() };
        let events = [
            Event::ReservationReleased(closed()),
            Event::ReservationExpired(closed()),
            Event::ReservationCommitted(ReservationCommitted { id: ReservationId::default(), movements: Vec::new() }),
            Event::JournalEntryPosted(JournalEntryPosted {
                id: EntryId::default(),
                description: None,
                money: 2,
                postings: Vec::new(),
            }),
        ];
        for event in events {
            assert_eq!(name(type_number(&event)), Some(event.type_name()));
        }
    }
}
