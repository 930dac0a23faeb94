//! Names of event types: what filters take and what the views store as a number.

/// Number and name of every event type.
const EVENT_TYPES: [(i16, &str); 56] = [
    (1, "tenant_opened"),
    (2, "item_defined"),
    (3, "item_changed"),
    (4, "location_defined"),
    (5, "location_changed"),
    (6, "account_opened"),
    (7, "account_changed"),
    (8, "posting_rule_defined"),
    (9, "stock_policy_defined"),
    (10, "account_set_defined"),
    (11, "dimension_defined"),
    (12, "tax_code_defined"),
    (13, "calendar_defined"),
    (20, "stock_received"),
    (21, "stock_issued"),
    (22, "stock_returned"),
    (23, "stock_adjusted"),
    (24, "stock_revalued"),
    (25, "stock_transferred"),
    (26, "stock_settled"),
    (27, "stock_returned_to_supplier"),
    (28, "stock_scrapped"),
    (29, "stock_status_changed"),
    (30, "stock_assembled"),
    (31, "stock_disassembled"),
    (32, "stock_cost_added"),
    (33, "standard_cost_changed"),
    (34, "stock_expected"),
    (35, "expectation_cancelled"),
    (40, "reservation_opened"),
    (41, "reservation_extended"),
    (42, "reservation_released"),
    (43, "reservation_expired"),
    (44, "reservation_committed"),
    (45, "reservation_changed"),
    (46, "reservation_confirmed"),
    (47, "reservation_filled"),
    (60, "journal_entry_posted"),
    (61, "journal_entry_reversed"),
    (62, "journal_entry_held"),
    (63, "journal_entry_settled"),
    (64, "journal_entry_voided"),
    (65, "journal_entry_expired"),
    (66, "currency_revalued"),
    (67, "year_closed"),
    (68, "period_closed"),
    (69, "period_reopened"),
    (70, "person_recorded"),
    (71, "person_erased"),
    (80, "transfer_dispatched"),
    (81, "transfer_received"),
    (82, "transfer_cancelled"),
    (90, "count_opened"),
    (91, "count_recorded"),
    (92, "count_posted"),
    (93, "count_cancelled"),
];

/// The name of a stored number.
pub(crate) fn name(number: i16) -> Option<&'static str> {
    EVENT_TYPES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

/// The number under which a name is stored.
pub(crate) fn number(name: &str) -> Option<i16> {
    EVENT_TYPES.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}

/// True for a name that exists.
pub(crate) fn is_known(name: &str) -> bool {
    EVENT_TYPES.iter().any(|(_, known)| *known == name)
}

/// Every name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    EVENT_TYPES.iter().map(|(_, name)| *name)
}

/// Every name, for the document.
pub(crate) fn schema() -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String).enum_values(Some(names())).build()
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::codec::type_number;
    use ledger_core::domain::count::event::{CountCancelled, CountOpened, CountPosted, CountRecorded};
    use ledger_core::domain::event::Event;
    use ledger_core::domain::id::{CountId, EntryId, ExpectationId, LocationCode, ReservationId, Sku, TransferId};
    use ledger_core::domain::journal::event::JournalEntryFreed;
    use ledger_core::domain::period::Month;
    use ledger_core::domain::period::event::{CalendarDefined, PeriodClosed, PeriodReopened};
    use ledger_core::domain::reservation::event::{
        ReservationClosed, ReservationCommitted, ReservationConfirmed, ReservationLines,
    };
    use ledger_core::domain::stock::event::{ExpectationCancelled, Origin, StockCostAdded, StockMoved};
    use ledger_core::domain::time::Timestamp;
    use ledger_core::domain::transfer::event::{TransferCancelled, TransferReceived};

    use super::name;

    #[test]
    fn names_are_those_of_the_domain() {
        let closed = || ReservationClosed { id: ReservationId::default(), lines: Vec::new() };
        let lines = || ReservationLines { id: ReservationId::default(), lines: Vec::new() };
        let moved = || StockMoved { sku: Sku::default(), movements: Vec::new() };
        let (transfer, count) = (TransferId::default, CountId::default);
        let committed = ReservationCommitted { id: ReservationId::default(), movements: Vec::new(), remaining: None };
        let freed = || JournalEntryFreed { id: EntryId::default(), money: 2, freed: Vec::new() };
        let received = TransferReceived { id: transfer(), arrivals: Vec::new(), movements: Vec::new(), is_final: true };
        let events = [
            Event::ReservationReleased(closed()),
            Event::ReservationExpired(closed()),
            Event::ReservationCommitted(committed),
            Event::ReservationChanged(lines()),
            Event::ReservationConfirmed(ReservationConfirmed { id: ReservationId::default() }),
            Event::ReservationFilled(lines()),
            Event::JournalEntryVoided(freed()),
            Event::JournalEntryExpired(freed()),
            Event::CalendarDefined(CalendarDefined { year_starts_month: 1 }),
            Event::PeriodClosed(PeriodClosed { period: Month::default(), soft: true, seal: None }),
            Event::PeriodReopened(PeriodReopened { period: Month::default() }),
            Event::StockAssembled(moved()),
            Event::StockDisassembled(moved()),
            Event::StockCostAdded(StockCostAdded { receipt: Origin { position: 1, line: 0 }, movements: Vec::new() }),
            Event::ExpectationCancelled(ExpectationCancelled { id: ExpectationId::default() }),
            Event::TransferReceived(received),
            Event::TransferCancelled(TransferCancelled { id: transfer(), movements: Vec::new() }),
            Event::CountOpened(CountOpened { id: count(), location: LocationCode::default() }),
            Event::CountRecorded(CountRecorded { id: count(), counted_at: Timestamp(0), lines: Vec::new() }),
            Event::CountPosted(CountPosted { id: count(), movements: Vec::new() }),
            Event::CountCancelled(CountCancelled { id: count() }),
        ];
        for event in events {
            assert_eq!(name(type_number(&event)), Some(event.type_name()));
        }
    }
}
