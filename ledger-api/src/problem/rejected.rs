//! The one mapping from a business refusal to HTTP: status, title, the sentence for people.
//!
//! 404: something named is not there (another tenant's is not there either). 409: the state is against it and may
//! change. 412: the expected version is wrong. 422: a rule is against it whatever the state.

use ledger_core::domain::rejection::Rejection;

use super::Kind;

macro_rules! rejections {
    ($($variant:ident { $($field:ident),* } => $status:literal $code:literal $title:literal, $detail:literal;)*) => {
        /// Kinds of refusals, in the order of the domain's list.
        pub(super) static KINDS: &[Kind] = &[$(Kind {
            code: $code,
            status: $status,
            title: $title,
            page: include_str!(concat!($code, ".md")),
            retry_after: None,
        },)*];

        /// The kind of a refusal and the sentence that describes this one.
        pub(super) fn describe(rejection: &Rejection) -> (&'static Kind, String) {
            match rejection {
                $(Rejection::$variant { $($field,)* .. } => {
                    const KIND: &Kind = &Kind {
                        code: $code,
                        status: $status,
                        title: $title,
                        page: include_str!(concat!($code, ".md")),
                        retry_after: None,
                    };
                    (KIND, format!($detail))
                })*
            }
        }
    };
}

rejections! {
    UnknownItem { sku } => 404 "unknown_item" "Unknown item", "there is no item {sku} in use";
    UnknownLocation { location } => 404 "unknown_location" "Unknown location", "there is no location {location} in use";
    UnknownAccount { account } => 404 "unknown_account" "Unknown account", "there is no account {account} in use";
    UnknownReservation { reservation } => 404 "unknown_reservation" "Unknown reservation", "there is no reservation {reservation}";
    UnknownEntry { entry } => 404 "unknown_entry" "Unknown journal entry", "there is no journal entry {entry}";
    PostingRuleMissing { class } => 422 "posting_rule_missing" "Posting rule missing", "posting class {class} has no rule for this movement";
    QuantityNotPositive { field } => 422 "quantity_not_positive" "Quantity not positive", "{field} must be above zero";
    ScaleExceeded { field, scale } => 422 "scale_exceeded" "Too many decimals", "{field} may have at most {scale} decimals";
    NumberOutOfRange { field } => 422 "number_out_of_range" "Number out of range", "{field} is out of range, or leads to a number of more than 18 digits";
    CostRequired {} => 422 "cost_required" "Cost required", "state unit_cost or total_cost";
    CostAmbiguous {} => 422 "cost_ambiguous" "Cost ambiguous", "state one of unit_cost and total_cost, and neither for goods lost";
    CostNegative { field } => 422 "cost_negative" "Cost negative", "{field} must not be below zero";
    InsufficientStock {} => 409 "insufficient_stock" "Insufficient stock", "stock does not cover what is asked for; shortages lists each item and location";
    StatedCostExceedsValue { stated, value } => 422 "stated_cost_exceeds_value" "Stated cost exceeds value", "stated_cost {stated} is more than the {value} on hand";
    RevaluationWithoutStock {} => 409 "revaluation_without_stock" "Revaluation without stock", "nothing is on hand whose value could change";
    ValueBelowZero { value } => 422 "value_below_zero" "Value below zero", "the value of what is on hand would be {value}";
    SameLocation {} => 422 "same_location" "Same location", "a transfer needs two different locations";
    ReasonRequired {} => 422 "reason_required" "Reason required", "this must state its reason";
    ZeroChange { field } => 422 "zero_change" "Zero change", "{field} must not be zero";
    TtlOutOfRange { seconds_max } => 422 "ttl_out_of_range" "Time to live out of range", "ttl_seconds must be from 1 to {seconds_max}";
    LinesOutOfRange { lines_min, lines_max } => 422 "lines_out_of_range" "Number of lines out of range", "from {lines_min} to {lines_max} lines are taken";
    ReservationExists { reservation } => 409 "reservation_exists" "Reservation exists", "reservation {reservation} exists already";
    ReservationExpired { reservation, expired_at } => 409 "reservation_expired" "Reservation expired", "reservation {reservation} expired at {expired_at}";
    ReservationClosed { reservation, status } => 409 "reservation_closed" "Reservation closed", "reservation {reservation} is {status} already";
    ReservationNotExpired { reservation, expires_at } => 409 "reservation_not_expired" "Reservation not expired", "reservation {reservation} holds until {expires_at}";
    ExpiryNotLater { expires_at } => 409 "expiry_not_later" "Expiry not later", "the hold lasts until {expires_at} already";
    EntryUnbalanced { debits, credits, difference } => 422 "entry_unbalanced" "Entry unbalanced", "debits {debits} and credits {credits} differ by {difference}";
    EntryExists { entry } => 409 "entry_exists" "Journal entry exists", "journal entry {entry} exists already";
    EntryAlreadyReversed { entry } => 409 "entry_already_reversed" "Entry already reversed", "journal entry {entry} is reversed already";
    PostingSideInvalid { line } => 422 "posting_side_invalid" "Posting side invalid", "posting {line} must have either a debit or a credit";
    InventoryAccount { account } => 422 "inventory_account" "Inventory account", "account {account} takes postings from stock facts only";
    VersionMismatch { expected, actual } => 412 "version_mismatch" "Version mismatch", "expected version {expected}, the stream is at {actual}";
    EffectiveTimeOutOfRange {} => 422 "effective_time_out_of_range" "Effective time out of range", "effective_at is before 1970 or more than a year ahead";
    ItemInUse { sku, field } => 409 "item_in_use" "Item in use", "{field} of item {sku} cannot change while there is stock or a hold";
    LocationInUse { location } => 409 "location_in_use" "Location in use", "location {location} holds stock";
    AccountInUse { account } => 409 "account_in_use" "Account in use", "account {account} has postings or a balance that forbid this change";
    AccountCycle { account } => 422 "account_cycle" "Account cycle", "account {account} would be its own ancestor";
    ClassHasStock { class } => 409 "class_has_stock" "Class has stock", "items of class {class} have stock: their inventory account cannot change";
    ScaleOutOfRange { scale_max } => 422 "scale_out_of_range" "Scale out of range", "the scale may be from 0 to {scale_max}";
    TenantAlreadyOpen {} => 409 "tenant_already_open" "Tenant already open", "this tenant's log is open already";
    TransactionEmpty {} => 422 "transaction_empty" "Transaction empty", "a transaction needs at least one command";
    TransactionTooLong { steps_max } => 422 "transaction_too_long" "Transaction too long", "a transaction may have at most {steps_max} commands";
    MetadataTooLarge { pairs_max } => 422 "metadata_too_large" "Metadata too large", "metadata may have at most {pairs_max} pairs";
    CommandIdReused {} => 422 "command_id_reused" "Idempotency key reused", "this idempotency key was used for another command";
    UnknownUnit { unit } => 404 "unknown_unit" "Unknown unit", "the item has no unit {unit}";
    UnitInexact { field, unit } => 422 "unit_inexact" "Unit inexact", "{field} in {unit} is no whole number of base units at the item's scale";
    UnknownLot { lot } => 404 "unknown_lot" "Unknown lot", "the item has no lot {lot}";
    LotRequired {} => 422 "lot_required" "Lot required", "the item is tracked by lot: say which";
    LotExpired { lot, expired_at } => 409 "lot_expired" "Lot expired", "lot {lot} expired at {expired_at}";
    LotExpiryDiffers { lot } => 409 "lot_expiry_differs" "Lot expiry differs", "lot {lot} is known with another expiry";
    UnknownSerial { serial } => 404 "unknown_serial" "Unknown serial", "there is no unit {serial} here in this status";
    SerialExists { serial } => 409 "serial_exists" "Serial exists", "unit {serial} is on hand already, or named twice";
    SerialsRequired { quantity } => 422 "serials_required" "Serials required", "the item is tracked by serial: name one per unit, {quantity} of them";
    TrackingMismatch { field } => 422 "tracking_mismatch" "Tracking mismatch", "{field} does not belong to an item that is tracked otherwise";
    LocationNotStorage { location } => 422 "location_not_storage" "Location not storage", "location {location} is not of kind storage";
    LocationNotTransit { location } => 422 "location_not_transit" "Location not transit", "location {location} is not of kind transit";
    TransitLocationRequired {} => 422 "transit_location_required" "Transit location required", "say via which location of kind transit";
    LocationRequired { line } => 422 "location_required" "Location required", "line {line} must say where";
    LocationOutsideCount { location } => 422 "location_outside_count" "Location outside the count", "location {location} is not inside of what is counted";
    LocationWithoutCoordinates { location } => 422 "location_without_coordinates" "Location without coordinates", "location {location} has no x and y";
    LocationCycle { location } => 422 "location_cycle" "Location cycle", "location {location} would be inside of itself";
    LocationTooDeep { depth_max } => 422 "location_too_deep" "Location too deep", "locations nest at most {depth_max} deep";
    SameStatus {} => 422 "same_status" "Same status", "a change of status needs two different ones";
    UnknownMovement { position } => 404 "unknown_movement" "Unknown movement", "the event at position {position} has no one such movement of this item";
    ReturnExceedsIssue { returnable } => 409 "return_exceeds_issue" "Return exceeds what moved", "at most {returnable} can still come back";
    RevaluationAmbiguous {} => 422 "revaluation_ambiguous" "Revaluation ambiguous", "state one of value_change, standard_cost and net_realisable_value";
    NotStandardCost { sku } => 422 "not_standard_cost" "Not at standard cost", "item {sku} is not valued at a standard cost";
    StandardCostRequired { sku } => 422 "standard_cost_required" "Standard cost required", "item {sku} needs a standard cost, not below zero";
    MethodNeedsTracking { sku } => 422 "method_needs_tracking" "Method needs tracking", "item {sku} needs lots or serials that cannot go below zero";
    ScaleNotWhole { sku } => 422 "scale_not_whole" "Scale not whole", "item {sku} is tracked by serial and counts whole units only";
    UnitInvalid { unit } => 422 "unit_invalid" "Unit invalid", "unit {unit} is named twice, is the base unit, or its ratio is out of range";
    ComponentInvalid { sku } => 422 "component_invalid" "Component invalid", "component {sku} is unknown, named twice, a kit itself, or its quantity is not above zero at its scale";
    ComponentInexact { sku } => 422 "component_inexact" "Component inexact", "this many kits take no whole number of {sku} at its scale";
    NotAKit { sku } => 422 "not_a_kit" "Not a kit", "item {sku} has no components";
    UnknownExpectation { expectation } => 404 "unknown_expectation" "Unknown expected receipt", "there is no expected receipt {expectation} of this item here";
    ExpectationExists { expectation } => 409 "expectation_exists" "Expected receipt exists", "expected receipt {expectation} exists already";
    ExpectationClosed { expectation } => 409 "expectation_closed" "Expected receipt closed", "expected receipt {expectation} is complete or cancelled";
    DueTimeOutOfRange {} => 422 "due_time_out_of_range" "Due time out of range", "due_at is before 1970 or more than ten years ahead";
    UnknownTransfer { transfer } => 404 "unknown_transfer" "Unknown transfer", "there is no transfer {transfer}";
    TransferExists { transfer } => 409 "transfer_exists" "Transfer exists", "transfer {transfer} exists already";
    TransferClosed { transfer } => 409 "transfer_closed" "Transfer closed", "of transfer {transfer} nothing is under way any more";
    UnknownLine { line } => 404 "unknown_line" "Unknown line", "there is no line {line}, nothing is left of it, or it is named twice";
    UnknownCount { count } => 404 "unknown_count" "Unknown count", "there is no count {count}";
    CountExists { count } => 409 "count_exists" "Count exists", "count {count} exists already";
    CountClosed { count } => 409 "count_closed" "Count closed", "count {count} is posted or cancelled";
    CountedOutsideCount { opened_at } => 422 "counted_outside_count" "Counted outside the count", "the moment counted is before {opened_at} or ahead of now";
    CountedTooLate {} => 409 "counted_too_late" "Counted too late", "too much has moved since to know what was expected at that moment";
    StrategyIncomplete { field } => 422 "strategy_incomplete" "Strategy incomplete", "{field} and the strategy do not belong together";
    OwnerRequired {} => 422 "owner_required" "Owner required", "replace_own needs the owner";
    ReservationOwnerDiffers { reservation } => 409 "reservation_owner_differs" "Reservation of another owner", "reservation {reservation} is not this owner's";
    ReservationAllocated { reservation } => 409 "reservation_allocated" "Reservation allocated", "reservation {reservation} is confirmed and does not expire";
    ReservationWaiting { line, waiting } => 409 "reservation_waiting" "Reservation waits for stock", "{waiting} of line {line} wait for stock to come in";
    LineTooSmall { line, held } => 422 "line_too_small" "Line too small", "line {line} holds {held}";
    UnknownCurrency { currency } => 404 "unknown_currency" "Unknown currency", "{currency} is no foreign currency with a minor unit";
    RateRequired { currency } => 422 "rate_required" "Exchange rate required", "a rate of {currency} is needed, or base with every posting in it";
    RateNotPositive {} => 422 "rate_not_positive" "Exchange rate not positive", "a rate must be above zero, and base is for foreign currencies";
    RateUnused { currency } => 422 "rate_unused" "Exchange rate unused", "no posting is in {currency}, whose rate is stated";
    AccountCurrencyDiffers { account, currency } => 422 "account_currency_differs" "Account of another currency", "account {account} takes {currency} only";
    AccountClosed { account } => 409 "account_closed" "Account closed", "account {account} is closed to postings";
    LimitInvalid { account } => 422 "limit_invalid" "Limits invalid", "the minimum of account {account} is above its maximum";
    LimitExceeded { account, limit, bound, balance } => 409 "limit_exceeded" "Limit exceeded", "the balance of account {account} would be {balance}; its {limit} is {bound}";
    UnknownDimension { dimension } => 404 "unknown_dimension" "Unknown dimension", "there is no dimension {dimension} in use";
    UnknownDimensionValue { dimension, value } => 404 "unknown_dimension_value" "Unknown dimension value", "dimension {dimension} has no value {value}";
    DimensionRequired { account, dimension } => 422 "dimension_required" "Dimension required", "a posting to account {account} needs a value of {dimension}";
    TooManyDimensions { dimensions_max } => 422 "too_many_dimensions" "Too many dimensions", "at most {dimensions_max} dimensions are taken";
    UnknownTaxCode { tax } => 404 "unknown_tax_code" "Unknown tax code", "there is no tax code {tax} in use";
    UnknownAccountSet { account_set } => 404 "unknown_account_set" "Unknown account set", "there is no account set {account_set}";
    AccountSetCycle { account_set } => 422 "account_set_cycle" "Account set cycle", "account set {account_set} would be inside of itself";
    BalanceDiffers { account, expected, actual } => 412 "balance_differs" "Balance differs", "expected a balance of {expected} on account {account}, it is {actual}";
    AccountMoved { account, expected, actual } => 412 "account_moved" "Account moved", "expected {expected} as the last position that posted to account {account}, it is {actual}";
    BalancingNeedsTwo {} => 422 "balancing_needs_two" "Balancing needs two postings", "balancing takes one debit and one credit of one amount, in the base currency";
    NothingToBalance {} => 409 "nothing_to_balance" "Nothing to balance", "the balancing accounts have nothing left";
    TtlWithoutPending {} => 422 "ttl_without_pending" "Time to live without pending", "ttl_seconds is for pending entries";
    EntryNotPending { entry, status } => 409 "entry_not_pending" "Entry not pending", "journal entry {entry} is {status}, not pending";
    EntryNotPosted { entry, status } => 409 "entry_not_posted" "Entry not posted", "journal entry {entry} is {status}, not posted";
    EntryExpired { entry, expired_at } => 409 "entry_expired" "Entry expired", "journal entry {entry} timed out at {expired_at}";
    EntryNotExpired { entry } => 409 "entry_not_expired" "Entry not expired", "journal entry {entry} is pending still";
    SettlementExceedsPending { entry, pending } => 409 "settlement_exceeds_pending" "Settlement exceeds what is pending", "of journal entry {entry} only {pending} is pending";
    SettlementAmbiguous { entry } => 422 "settlement_ambiguous" "Settlement ambiguous", "the postings of journal entry {entry} are not all in one currency: settle it whole";
    PeriodIsClosed { period } => 409 "period_closed" "Period closed", "period {period} is closed";
    PeriodNotOver { period, ends_at } => 409 "period_not_over" "Period not over", "period {period} ends at {ends_at}";
    PeriodNotClosed { period } => 409 "period_not_closed" "Period not closed", "period {period} is open";
    LaterPeriodClosed { period, closed_through } => 409 "later_period_closed" "Later period closed", "periods are closed through {closed_through}, later than {period}";
    YearOutOfRange {} => 422 "year_out_of_range" "Year out of range", "the year is before 1970 or after 9990";
    CalendarFixed {} => 409 "calendar_fixed" "Calendar fixed", "a period is closed or a document numbered: the calendar cannot change";
    UnknownPerson { person } => 404 "unknown_person" "Unknown person", "nothing was ever recorded of a person {person}";
    PersonErased { person } => 409 "person_erased" "Person erased", "person {person} is erased";
}
