//! Every limit of the domain, each with its reason.

/// Digits of a quantity or an amount: the most that fit an `i64` whole (9.2 × 10^18) with every digit usable.
pub const NUMBER_DIGITS_MAX: u32 = 18;
/// Largest absolute quantity or amount, in units of its scale.
pub const NUMBER_UNITS_MAX: i64 = 1_000_000_000_000_000_000 - 1;
/// Decimals of a quantity or a unit cost: grams of tonnes, micro-units of a currency with three decimals.
pub const SCALE_MAX: u8 = 9;
/// Decimals of a currency: ISO 4217 knows 0 to 4.
pub const CURRENCY_SCALE_MAX: u8 = 4;
/// Bytes of a code (SKU, location, account …): fits every GS1 key and most ERP codes.
pub const CODE_BYTES_MAX: usize = 64;
/// Bytes of a free text (name, reference, description).
pub const TEXT_BYTES_MAX: usize = 256;
/// Pairs of a command's metadata.
pub const METADATA_PAIRS_MAX: usize = 16;
/// Pairs of what is recorded of one person: 64 of 512 bytes are 32 KiB at most.
pub const PERSON_PAIRS_MAX: usize = 64;
/// Lines of one reservation.
pub const RESERVATION_LINES_MAX: usize = 1_000;
/// Postings of one journal entry.
pub const ENTRY_POSTINGS_MAX: usize = 1_000;
/// Dimensions of one posting.
pub const DIMENSIONS_MAX: usize = 8;
/// Values of a dimension's closed list.
pub const DIMENSION_VALUES_MAX: usize = 1_000;
/// Accounts and sets named by one account set.
pub const SET_MEMBERS_MAX: usize = 1_000;
/// Exchange rates of one entry: as many currencies as a group of companies trades in.
pub const RATES_MAX: usize = 32;
/// Conditions of one entry.
pub const CONDITIONS_MAX: usize = 32;
/// Largest total of debits or of credits of one account, in units: 64 bits, so that views need no wider numbers.
pub const ACCOUNT_TOTAL_MAX: i128 = i64::MAX as i128;
/// Longest life of a pending entry: card schemes keep an authorisation for 31 days, escrow for a year.
pub const PENDING_TTL_SECONDS_MAX: u32 = 366 * 24 * 3_600;
/// Commands of one transaction: the largest real invoice seen has about 1,100 lines.
pub const TRANSACTION_STEPS_MAX: usize = 4_096;
/// Longest life of a reservation: 90 days covers made-to-order quotes.
pub const RESERVATION_TTL_SECONDS_MAX: u32 = 90 * 24 * 3_600;
/// A fact may be dated this far ahead of its recording.
pub const EFFECTIVE_AHEAD_SECONDS_MAX: i64 = 366 * 24 * 3_600;
/// Goods may be expected this far ahead.
pub const DUE_AHEAD_SECONDS_MAX: i64 = 10 * 366 * 24 * 3_600;
/// Alternate units of one item.
pub const UNITS_MAX: usize = 32;
/// Largest numerator or denominator of a unit's ratio: keeps every product with a quantity inside 128 bits.
pub const RATIO_MAX: u64 = 1_000_000_000;
/// Components of one kit.
pub const COMPONENTS_MAX: usize = 100;
/// Serials of one command: a pallet of phones, with room.
pub const SERIALS_MAX: usize = 10_000;
/// Levels of the location tree: tenant, site, building, hall, zone, aisle, rack, shelf, bin, and a few more.
pub const LOCATION_DEPTH_MAX: usize = 16;
/// Places an allocation considers and records per demand; beyond that the first ones in the strategy's order.
pub const CANDIDATES_MAX: usize = 1_024;
/// Locations of a priority list.
pub const PRIORITY_LOCATIONS_MAX: usize = 1_000;
/// Lines of one transfer or of one count's command.
pub const DOCUMENT_LINES_MAX: usize = 1_000;
/// Items and places of one count.
pub const COUNT_LINES_MAX: usize = 100_000;
/// Movements remembered at a location while it is counted, so that a count may be recorded later than it was made.
pub const COUNT_MOVEMENTS_KEPT_MAX: usize = 10_000;
/// Reservations that one command's incoming stock fills; the rest are filled by the next one there.
pub const FILLS_MAX: usize = 1_000;
/// Closed reservations and journal entries kept in memory per tenant; older ones are read back from the log when named.
pub const CLOSED_STREAMS_KEPT_MAX: usize = 65_536;

const _: () = assert!(10_i64.pow(NUMBER_DIGITS_MAX) - 1 == NUMBER_UNITS_MAX);
const _: () = assert!(SCALE_MAX as u32 <= NUMBER_DIGITS_MAX);
const _: () = assert!(TRANSACTION_STEPS_MAX >= RESERVATION_LINES_MAX);
