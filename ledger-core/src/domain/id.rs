//! Codes and texts that callers choose, parsed once and cheap to clone afterwards.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::limit::{CODE_BYTES_MAX, TEXT_BYTES_MAX};

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// No character at all.
    #[error("is empty")]
    Empty,
    /// Longer than the limit, in bytes of UTF-8.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// A control, formatting (zero-width), separator or private character, or blank at an end.
    #[error("holds a character that is not allowed")]
    Character,
}

/// Characters that cannot be seen or that reorder text: two codes that look alike could differ by them.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFD}'
            | '\u{E000}'..='\u{F8FF}' | '\u{E0000}'..='\u{E0FFF}')
}

fn parse_code(text: &str) -> Result<Arc<str>, CodeError> {
    if text.is_empty() {
        return Err(CodeError::Empty);
    }
    // Every NFC form is at most three times shorter than its source, so this bound cannot refuse a short code.
    if text.len() > CODE_BYTES_MAX * 3 {
        return Err(CodeError::TooLong(CODE_BYTES_MAX));
    }
    let allowed = |c: char| c == ' ' || (!c.is_whitespace() && !is_invisible(c));
    if text.starts_with(' ') || text.ends_with(' ') || text.contains("  ") || !text.chars().all(allowed) {
        return Err(CodeError::Character);
    }
    let code: Arc<str> = if text.is_ascii() { text.into() } else { text.nfc().collect::<String>().into() };
    if code.len() > CODE_BYTES_MAX {
        return Err(CodeError::TooLong(CODE_BYTES_MAX));
    }
    Ok(code)
}

fn parse_currency(text: &str) -> Result<Arc<str>, CodeError> {
    match text.len() {
        0 => Err(CodeError::Empty),
        3 if text.bytes().all(|b| b.is_ascii_uppercase()) => Ok(text.into()),
        _another_length_or_letter => Err(CodeError::Character),
    }
}

fn parse_text(text: &str) -> Result<Arc<str>, CodeError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(CodeError::TooLong(TEXT_BYTES_MAX));
    }
    if text.chars().any(|c| c == '\0' || (c.is_control() && c != '\n' && c != '\t')) {
        return Err(CodeError::Character);
    }
    Ok(text.into())
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $parse:ident, $bytes:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses and normalises (NFC).
            ///
            /// # Errors
            /// [`CodeError`] says what is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, CodeError> {
                $parse(text).map(Self)
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A code the caller has not given yet (a path parameter fills it).
            #[must_use]
            pub fn is_unset(&self) -> bool {
                self.0.is_empty()
            }

            /// A text that this program wrote itself and that therefore needs no check.
            pub(crate) fn trusted(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self("".into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = CodeError;

            fn from_str(text: &str) -> Result<Self, CodeError> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a text of at most {} bytes", $bytes)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self, e: &mut minicbor::Encoder<W>, _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                // Stored text was parsed when it came in; a rule made stricter later must not lock an old event out.
                d.str().map(Self::trusted)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                use utoipa::openapi::schema::{ObjectBuilder, Type};
                ObjectBuilder::new().schema_type(Type::String).max_length(Some($bytes)).into()
            }
        }
        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

code!(
    /// What is counted; case-sensitive.
    Sku, parse_code, CODE_BYTES_MAX
);
code!(
    /// A place of the tenant's.
    LocationCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// A line of the chart of accounts.
    AccountCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// Groups items that post to the same accounts.
    PostingClass, parse_code, CODE_BYTES_MAX
);
code!(
    /// Why an adjustment was made.
    ReasonCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// Names a reservation.
    ReservationId, parse_code, CODE_BYTES_MAX
);
code!(
    /// Names a journal entry.
    EntryId, parse_code, CODE_BYTES_MAX
);
code!(
    /// An item's alternate unit, such as `box`.
    UnitCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// A quantity of one item that shares origin and expiry.
    LotCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// The identity of one unit of an item.
    Serial, parse_code, CODE_BYTES_MAX
);
code!(
    /// Names a transfer in two steps.
    TransferId, parse_code, CODE_BYTES_MAX
);
code!(
    /// Names a stock count.
    CountId, parse_code, CODE_BYTES_MAX
);
code!(
    /// Names an expected receipt.
    ExpectationId, parse_code, CODE_BYTES_MAX
);
code!(
    /// A currency's three letters (ISO 4217).
    CurrencyCode, parse_currency, 3
);
code!(
    /// A set of accounts that a report sums.
    AccountSetCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// What postings are told apart by beside their account, such as `cost_centre`.
    DimensionCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// One value of a dimension.
    DimensionValue, parse_code, CODE_BYTES_MAX
);
code!(
    /// A customer or supplier.
    PartyCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// Names a person without telling who it is.
    PersonId, parse_code, CODE_BYTES_MAX
);
code!(
    /// A kind of tax at a rate, such as `VAT25`.
    TaxCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// Documents that are numbered together.
    SeriesCode, parse_code, CODE_BYTES_MAX
);
code!(
    /// Free text: stored and shown as it came in.
    Text, parse_text, TEXT_BYTES_MAX
);

/// A tenant's number; part of every key in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub i64);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a tenant's log: 1, 2, 3 … without gaps. 0 is the empty log.
pub type Position = i64;
/// An event's place in its stream: 1, 2, 3 …
pub type StreamVersion = i64;
/// A stream's number within its tenant: the position of its first event.
pub type StreamNumber = i64;

/// What makes a command the same command: 16 bytes of SHA-256 over the caller's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub [u8; 16]);

impl CommandId {
    /// From the caller's idempotency key.
    #[must_use]
    pub fn from_key(key: &str) -> Self {
        Self(digest16(key.as_bytes()))
    }
}

/// The first 16 bytes of SHA-256 (FIPS 180-4).
#[must_use]
pub fn digest16(bytes: &[u8]) -> [u8; 16] {
    use sha2::Digest;
    let full = sha2::Sha256::digest(bytes);
    let mut short = [0; 16];
    short.copy_from_slice(full.split_at(16).0);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_look_alike_are_one_or_refused() {
        let composed = Sku::parse("caf\u{e9}").ok();
        assert_eq!(composed, Sku::parse("cafe\u{301}").ok());
        for bad in ["", " a", "a ", "a  b", "a\u{200b}b", "a\0", "a\nb", "a\u{a0}b", "\u{202e}a"] {
            assert!(Sku::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Sku::parse(&"x".repeat(65)).is_err());
        assert!(Sku::parse("85123A").is_ok());
    }
}
