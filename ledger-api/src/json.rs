//! Reading JSON bodies: strictly, straight from the bytes into the domain's types.
//!
//! **Correctness**: a body that parses here is exactly what the OpenAPI document allows. serde alone would also take
//! an array for an object, `null` for a field left out, `{"fifo": null}` for `"fifo"`, and the last of two equal map
//! keys; [`strict`] refuses all four. Good bodies are parsed once; a bad one is parsed again to find the place.

pub(crate) mod strict;

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::problem::{Flaw, Problem};

/// Parses a whole body.
///
/// # Errors
/// `malformed`, with a pointer to the place.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parse_seed(bytes, Whole(PhantomData)).map_err(Problem::malformed)
}

struct Whole<T>(PhantomData<T>);

impl<T> Clone for Whole<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Whole<T> {
    type Value = T;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(strict::Strict(deserializer))
    }
}

/// Parses bytes with a seed, which decides how strictly.
///
/// # Errors
/// The first flaw.
pub(crate) fn parse_seed<'de, S: DeserializeSeed<'de> + Clone>(bytes: &'de [u8], seed: S) -> Result<S::Value, Flaw> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    if let Ok(value) = seed.clone().deserialize(&mut json)
        && json.end().is_ok()
    {
        return Ok(value);
    }
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let found = seed.deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track));
    match found.and_then(|_trailing| json.end()) {
        Err(error) => Err(Flaw { pointer: pointer(&track.path()), detail: error.to_string() }),
        // Parsing is a function of the bytes, so what failed above fails here.
        Ok(()) => Err(Flaw { pointer: String::new(), detail: "cannot be read".into() }),
    }
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&escaped(key)),
            Segment::Enum { variant } => pointer.push_str(&escaped(variant)),
            // An error in a key: the place is the object.
            Segment::Unknown => {
                pointer.pop();
            }
        }
    }
    pointer
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// True when the text is an object, as far as its first character tells.
pub(crate) fn is_object(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::catalogue::command::DefineItem;
    use ledger_core::domain::reservation::command::Reserve;
    use ledger_core::domain::stock::command::Receive;

    use super::*;

    fn flaw<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> Flaw {
        parse_seed::<Whole<T>>(body.as_bytes(), Whole(PhantomData)).unwrap_err()
    }

    #[test]
    fn good_bodies_parse() {
        let receive: Receive =
            parse(br#"{"sku":"A","location":"L","quantity":"2.50","unit_cost":3,"metadata":{"a":"b"}}"#).unwrap();
        assert_eq!(receive.sku.as_str(), "A");
        let item: DefineItem = parse(b" {} ").unwrap();
        assert!(item.sku.is_unset());
    }

    #[test]
    fn bad_bodies_say_where() {
        for (body, pointer) in [
            (r#"{"ttl_seconds":1,"lines":[{"sku":"A","location":"L","quantity":1.5}]}"#, "/lines/0/quantity"),
            (r#"{"ttl_seconds":1,"lines":[{"sku":"A","location":"L","quantity":"1","x":1}]}"#, "/lines/0/x"),
            (r#"{"ttl_seconds":1,"lines":[["A","L","1"]]}"#, "/lines/0"),
            (r#"{"ttl_seconds":-1,"lines":[]}"#, "/ttl_seconds"),
            (r#"{"ttl_seconds":1.0,"lines":[]}"#, "/ttl_seconds"),
            (r#"{"ttl_seconds":1,"owner":null,"lines":[]}"#, "/owner"),
            // Of a field given twice, the object is the place.
            (r#"{"ttl_seconds":1,"ttl_seconds":1,"lines":[]}"#, ""),
            (r#"{"ttl_seconds":1,"lines":[],"metadata":{"a/b":"1","a/b":"2"}}"#, "/metadata"),
            (r#"{"ttl_seconds":1,"lines":[],"metadata":{"a/b":1}}"#, "/metadata/a~1b"),
        ] {
            let found = flaw::<Reserve>(body);
            assert_eq!(found.pointer, pointer, "{body}: {}", found.detail);
        }
    }

    #[test]
    fn shapes_that_serde_would_take_are_refused() {
        for body in
            ["[]", "null", "", "{}{}", "{} x", "{\"method\":{\"fifo\":null}}", "{\"name\":\"a\\u0000b\"}", "{\"scale\":\"1\"}"]
        {
            flaw::<DefineItem>(body);
        }
        assert!(parse_seed::<Whole<DefineItem>>(b"{\"name\":\"\xff\"}", Whole(PhantomData)).is_err());
    }
}
