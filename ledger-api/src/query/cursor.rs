//! Opaque cursors: where a list goes on. They carry a digest of what they belong to, so that one that was altered, or
//! came from another list, filter or tenant, is refused instead of answering something else.

use ledger_core::domain::id::digest16;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limit::CURSOR_BYTES_MAX;
use crate::problem::{Fault, Problem};

/// Bytes of the digest in front.
const CHECK_BYTES: usize = 8;

fn check(scope: &str, payload: &[u8]) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(scope.len().saturating_add(payload.len()).saturating_add(1));
    bytes.extend_from_slice(scope.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(payload);
    digest16(&bytes)
}

/// A cursor at `place` in the list that `scope` describes.
pub(crate) fn write<T: Serialize>(scope: &str, place: &T) -> Option<String> {
    let payload = serde_json::to_vec(place).ok()?;
    let digest = check(scope, &payload);
    Some(format!("{}{}", hex(digest.get(..CHECK_BYTES)?), hex(&payload)))
}

/// The place a cursor stands for.
///
/// # Errors
/// `cursor_invalid`.
pub(crate) fn read<T: DeserializeOwned>(scope: &str, cursor: &str) -> Result<T, Problem> {
    let invalid = || Problem::new(Fault::CursorInvalid, Fault::CursorInvalid.sentence());
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(invalid());
    }
    let bytes = unhex(cursor).ok_or_else(invalid)?;
    let (digest, payload) = bytes.split_at_checked(CHECK_BYTES).ok_or_else(invalid)?;
    if check(scope, payload).get(..CHECK_BYTES) != Some(digest) {
        return Err(invalid());
    }
    serde_json::from_slice(payload).map_err(|_| invalid())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes of hexadecimal digits; `None` for anything else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_lead_back_and_only_where_they_came_from() {
        let cursor = write("1:items", &("Ä/1", 7)).unwrap();
        assert_eq!(read::<(String, i64)>("1:items", &cursor).unwrap(), ("Ä/1".to_owned(), 7));
        assert!(read::<(String, i64)>("2:items", &cursor).is_err());
        for at in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            assert!(read::<(String, i64)>("1:items", &String::from_utf8(altered).unwrap()).is_err());
        }
        for bad in ["", "0", "zz", "ü", &cursor[2..], &"0".repeat(1_000)] {
            assert!(read::<(String, i64)>("1:items", bad).is_err(), "{bad}");
        }
    }
}
