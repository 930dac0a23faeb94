//! Event ⇄ (type number, schema version, bytes).
//!
//! **Shape**: the payload is CBOR (RFC 8949), the event's fields as an array in index order, followed by the
//! [`Note`] when there is one (a CBOR sequence, RFC 8742). Type numbers are never reused.
//! **Correctness**: encoding is a function of the event alone, so the same fact always has the same bytes and the
//! same leaf hash. A field is only ever added, optional, at the end; anything else is a new schema version with an
//! upcast here. `tests/golden` holds bytes of every version ever written.

use super::event::{Event, Fact, Note};
use super::time::Timestamp;

/// Stored bytes that are no event of this program.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer program, or not by this one.
    #[error("unknown event type {type_number} with schema version {schema_version}")]
    Unknown {
        /// As stored.
        type_number: i16,
        /// As stored.
        schema_version: i16,
    },
    /// The bytes do not decode.
    #[error("event payload does not decode")]
    Payload(#[source] minicbor::decode::Error),
    /// Bytes are left over.
    #[error("event payload has {0} bytes too many")]
    Trailing(usize),
    /// A value that cannot be written.
    #[error("event does not encode")]
    Encode(#[source] minicbor::encode::Error<std::convert::Infallible>),
}

macro_rules! codec {
    ($($number:literal => $variant:ident),* $(,)?) => {
        /// The stored number of an event's type.
        #[must_use]
        pub const fn type_number(event: &Event) -> i16 {
            match event { $(Event::$variant(_) => $number,)* }
        }

        fn decode_event(type_number: i16, d: &mut minicbor::Decoder<'_>) -> Result<Option<Event>, minicbor::decode::Error> {
            Ok(Some(match type_number { $($number => Event::$variant(d.decode()?),)* _ => return Ok(None) }))
        }

        fn encode_event(event: &Event, out: &mut Vec<u8>) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
            match event { $(Event::$variant(e) => minicbor::encode(e, out),)* }
        }
    };
}

codec! {
    1 => TenantOpened,
    2 => ItemDefined,
    3 => ItemChanged,
    4 => LocationDefined,
    5 => LocationChanged,
    6 => AccountOpened,
    7 => AccountChanged,
    8 => PostingRuleDefined,
    9 => StockPolicyDefined,
    10 => AccountSetDefined,
    11 => DimensionDefined,
    12 => TaxCodeDefined,
    13 => CalendarDefined,
    20 => StockReceived,
    21 => StockIssued,
    22 => StockReturned,
    23 => StockAdjusted,
    24 => StockRevalued,
    25 => StockTransferred,
    26 => StockSettled,
    27 => StockReturnedToSupplier,
    28 => StockScrapped,
    29 => StockStatusChanged,
    30 => StockAssembled,
    31 => StockDisassembled,
    32 => StockCostAdded,
    33 => StandardCostChanged,
    34 => StockExpected,
    35 => ExpectationCancelled,
    40 => ReservationOpened,
    41 => ReservationExtended,
    42 => ReservationReleased,
    43 => ReservationExpired,
    44 => ReservationCommitted,
    45 => ReservationChanged,
    46 => ReservationConfirmed,
    47 => ReservationFilled,
    60 => JournalEntryPosted,
    61 => JournalEntryReversed,
    62 => JournalEntryHeld,
    63 => JournalEntrySettled,
    64 => JournalEntryVoided,
    65 => JournalEntryExpired,
    66 => CurrencyRevalued,
    67 => YearClosed,
    68 => PeriodClosed,
    69 => PeriodReopened,
    70 => PersonRecorded,
    71 => PersonErased,
    80 => TransferDispatched,
    81 => TransferReceived,
    82 => TransferCancelled,
    90 => CountOpened,
    91 => CountRecorded,
    92 => CountPosted,
    93 => CountCancelled,
}

/// Schema version written today, for every type.
pub const SCHEMA_VERSION: i16 = 1;

/// Canonical bytes of a fact; its type number and `effective_at` are stored beside them.
///
/// # Errors
/// [`CodecError::Encode`], which no value built by the domain causes.
pub fn encode(fact: &Fact) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::with_capacity(96);
    encode_event(&fact.event, &mut out).map_err(CodecError::Encode)?;
    if !fact.note.is_empty() {
        minicbor::encode(&fact.note, &mut out).map_err(CodecError::Encode)?;
    }
    Ok(out)
}

/// The fact in stored bytes.
///
/// # Errors
/// [`CodecError`] when the bytes were not written by this program or an older one.
pub fn decode(
    type_number: i16,
    schema_version: i16,
    effective_at: Option<Timestamp>,
    payload: &[u8],
) -> Result<Fact, CodecError> {
    if schema_version != SCHEMA_VERSION {
        return Err(CodecError::Unknown { type_number, schema_version });
    }
    let mut d = minicbor::Decoder::new(payload);
    let event = decode_event(type_number, &mut d)
        .map_err(CodecError::Payload)?
        .ok_or(CodecError::Unknown { type_number, schema_version })?;
    let note = if d.position() < payload.len() { d.decode::<Note>().map_err(CodecError::Payload)? } else { Note::default() };
    match payload.len().saturating_sub(d.position()) {
        0 => Ok(Fact { event, effective_at, note }),
        left => Err(CodecError::Trailing(left)),
    }
}

/// Document and reason in stored bytes, whatever the event: what is before them is skipped unread.
///
/// # Errors
/// As for [`decode`], of the note.
pub fn decode_note(payload: &[u8]) -> Result<Note, CodecError> {
    let mut d = minicbor::Decoder::new(payload);
    d.skip().map_err(CodecError::Payload)?;
    let note = if d.position() < payload.len() { d.decode::<Note>().map_err(CodecError::Payload)? } else { Note::default() };
    match payload.len().saturating_sub(d.position()) {
        0 => Ok(note),
        left => Err(CodecError::Trailing(left)),
    }
}
