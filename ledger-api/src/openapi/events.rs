//! What events say: in the OpenAPI document, and alone as JSON Schemas (2020-12, which OpenAPI 3.1 schemas are).

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Components, Ref, Schema};

use ledger_core::domain::shown;

/// Where a document keeps named schemas.
const NAMED: &str = "#/components/schemas/";

/// Makes the schemas of all events known by their names.
pub(super) fn add(components: &mut Components) {
    for payload in shown::payloads() {
        components.schemas.entry(payload.name.into_owned()).or_insert(payload.schema);
        for (name, schema) in payload.parts {
            components.schemas.entry(name).or_insert(schema);
        }
    }
}

/// What `data` of an event is: one of these, depending on its type.
pub(crate) fn data_schema() -> Schema {
    let mut names: Vec<_> = shown::payloads().into_iter().map(|payload| payload.name).collect();
    names.sort_unstable();
    names.dedup();
    let any = names.into_iter().fold(AnyOfBuilder::new(), |any, name| any.item(Ref::from_schema_name(name)));
    any.description(Some("What the fact says; its fields depend on the type. Quantities and amounts are decimal strings")).into()
}

/// Name and JSON Schema of every event type's data, as it is in messages and in answers.
#[must_use]
pub fn event_schemas() -> Vec<(&'static str, Value)> {
    let named = named_schemas();
    shown::payloads().into_iter().map(|payload| (payload.type_name, alone(payload.type_name, &payload.name, &named))).collect()
}

/// Every named schema of the document.
pub(crate) fn named_schemas() -> Map<String, Value> {
    let document = serde_json::to_value(super::document()).unwrap_or_default();
    match document.pointer("/components/schemas") {
        Some(Value::Object(schemas)) => schemas.clone(),
        _none => Map::new(),
    }
}

/// One schema with all that it refers to.
fn alone(type_name: &str, name: &str, named: &Map<String, Value>) -> Value {
    let mut used = vec![name.to_owned()];
    let mut at = 0;
    while let Some(next) = used.get(at).and_then(|name| named.get(name)) {
        for found in references(next) {
            if !used.contains(&found) {
                used.push(found);
            }
        }
        at = at.saturating_add(1);
    }
    let definitions: Map<String, Value> =
        used.iter().skip(1).filter_map(|name| Some((name.clone(), moved(named.get(name)?)))).collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:ledgerd:event:{type_name}"),
        "title": type_name,
    });
    if let (Value::Object(schema), Some(Value::Object(body))) = (&mut schema, named.get(name).map(moved)) {
        schema.extend(body);
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
    }
    schema
}

/// Names of the schemas that one refers to.
pub(crate) fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(NAMED)).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The same with its references to where a schema that stands alone keeps its parts.
fn moved(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match value.as_str().and_then(|target| target.strip_prefix(NAMED)) {
                Some(name) if key == "$ref" => (key.clone(), Value::String(format!("#/$defs/{name}"))),
                _another => (key.clone(), moved(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(moved).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_event_type_has_a_schema() {
        let described: BTreeSet<_> = shown::payloads().iter().map(|payload| payload.type_name).collect();
        assert_eq!(described, crate::query::event_type::names().collect());
        assert_eq!(described.len(), shown::payloads().len());
    }

    /// A name means one schema, whoever described it.
    #[test]
    fn names_are_not_taken_twice() {
        let mut named = BTreeMap::new();
        for payload in shown::payloads() {
            let own = (payload.name.into_owned(), payload.schema);
            for (name, schema) in std::iter::once(own).chain(payload.parts) {
                let schema = serde_json::to_value(schema).unwrap();
                let known = named.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*known, schema, "{name}");
            }
        }
        // Codes get their patterns later, for all of the document.
        let all = named_schemas();
        for (name, schema) in named.iter().filter(|(_, schema)| schema["type"] == "object") {
            assert_eq!(&all[name], schema, "{name}");
        }
    }

    #[test]
    fn a_schema_alone_has_all_it_refers_to() {
        for (name, schema) in event_schemas() {
            let text = schema.to_string();
            assert!(!text.contains(NAMED), "{name}");
            for reference in text.split("\"#/$defs/").skip(1) {
                let target = reference.split('"').next().unwrap();
                assert!(schema["$defs"][target].is_object(), "{name}: {target}");
            }
        }
    }
}
