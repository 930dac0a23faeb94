//! Events decode for ever: `tests/golden/events.ndjson` holds bytes of every type and schema version ever written,
//! with what they mean. Lines are only ever added.

use std::fmt::Write as _;
use std::path::Path;

use ledger_core::domain::codec;
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        write!(out, "{b:02x}").unwrap();
        out
    })
}

/// Every stored form.
pub(crate) fn lines() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events.ndjson");
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn stored_events_decode_and_encode_to_the_same_bytes() {
    let mut types = std::collections::BTreeSet::new();
    for golden in lines() {
        let number = i16::try_from(golden["type"].as_i64().unwrap()).unwrap();
        let version = i16::try_from(golden["schema"].as_i64().unwrap()).unwrap();
        let bytes = unhex(golden["bytes"].as_str().unwrap());
        let fact = codec::decode(number, version, None, &bytes).unwrap_or_else(|e| panic!("type {number}: {e}"));
        let meaning = json!({"event": fact.event, "reference": fact.note.reference, "reason": fact.note.reason});
        assert_eq!(meaning, golden["meaning"], "type {number}");
        assert_eq!(fact.event.type_name(), golden["name"], "type {number}");
        assert_eq!(codec::decode_note(&bytes).unwrap(), fact.note, "type {number}");
        if version == codec::SCHEMA_VERSION {
            assert_eq!(hex(&codec::encode(&fact).unwrap()), golden["bytes"], "type {number}");
        }
        types.insert(number);
    }
    let written_today = [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 40, 41, 42,
        43, 44, 45, 46, 47, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 80, 81, 82, 90, 91, 92, 93,
    ];
    for number in written_today {
        assert!(types.contains(&number), "type {number} has no golden bytes");
    }
}
