//! The document says what the program does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::document;

fn json() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Calls `see` with every object of a document.
fn walk(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            see(object);
            object.values().for_each(|v| walk(v, see));
        }
        Value::Array(list) => list.iter().for_each(|v| walk(v, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn operations(document: &Value) -> BTreeMap<String, Value> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| -> Vec<(String, Value)> {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, op)| (format!("{method} {path}"), op.clone())).collect()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_reference_leads_somewhere() {
    let document = json();
    let mut lost = BTreeSet::new();
    walk(&document, &mut |object| {
        if let Some(Value::String(reference)) = object.get("$ref")
            && reference.strip_prefix('#').is_none_or(|pointer| document.pointer(pointer).is_none())
        {
            lost.insert(reference.clone());
        }
    });
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn every_operation_is_complete() {
    let document = json();
    let mut ids = BTreeSet::new();
    for (name, op) in operations(&document) {
        assert!(ids.insert(op["operationId"].as_str().unwrap().to_owned()), "{name}: its operation id is taken");
        assert!(op["summary"].as_str().is_some_and(|s| !s.is_empty() && !s.ends_with('.')), "{name}: summary");
        assert_eq!(op["tags"].as_array().map(Vec::len), Some(1), "{name}: one tag");
        let responses = op["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}: a good answer");
        for (status, response) in responses {
            // Readiness answers 503 with what is wrong, part by part.
            let is_problem = status.starts_with(['4', '5']) && (name.as_str(), status.as_str()) != ("get /health/ready", "503");
            assert_eq!(response["content"]["application/problem+json"].is_object(), is_problem, "{name} {status}");
        }
        let is_public =
            op["security"].as_array().is_some_and(|s| s.iter().any(|r| r.as_object().is_some_and(serde_json::Map::is_empty)));
        assert_eq!(is_public, !name.contains("/v1/"), "{name}: credential");
        assert_eq!(responses.contains_key("401"), !is_public, "{name}: 401");
    }
}

#[test]
fn every_command_needs_a_key_and_every_path_parameter_is_described() {
    for (name, op) in operations(&json()) {
        let parameters = op["parameters"].as_array().cloned().unwrap_or_default();
        let has = |place: &str, field: &str| parameters.iter().any(|p| p["in"] == place && p["name"] == field);
        let is_beside = ["/v1/jobs", "/v1/webhooks", "/v1/audit"].iter().any(|path| name.contains(path));
        let is_command = !name.starts_with("get ") && !name.ends_with("/lookup") && !name.ends_with("/batches") && !is_beside;
        let has_key = is_command || ["post /v1/jobs", "post /v1/audit/verifications"].contains(&name.as_str());
        assert_eq!(has("header", "Idempotency-Key"), has_key, "{name}");
        let may_be_dry = is_command || name.ends_with("/batches");
        for (place, field) in [("header", "Dry-Run"), ("query", "dry_run")] {
            assert_eq!(has(place, field), may_be_dry, "{name}: {field}");
        }
        assert_eq!(op["responses"]["200"]["headers"]["Dry-Run"].is_object(), may_be_dry, "{name}");
        for field in name.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            assert!(has("path", field), "{name}: {field}");
        }
    }
}

#[test]
fn bodies_are_closed() {
    let document = json();
    for (name, op) in operations(&document) {
        let schema = &op["requestBody"]["content"]["application/json"]["schema"];
        if let Some(reference) = schema["$ref"].as_str() {
            let body = document.pointer(reference.trim_start_matches('#')).unwrap();
            assert_eq!(body["additionalProperties"], false, "{name}");
        } else {
            assert!(op["requestBody"].is_null(), "{name}: its body has no name");
        }
    }
}

#[test]
fn commands_among_others_have_their_type_and_their_id() {
    let document = json();
    let elements = document["components"]["schemas"]["BatchBody"]["properties"]["commands"]["items"]["oneOf"].as_array().unwrap();
    assert_eq!(elements.len(), crate::command::element::WORDS.len() + 1);
    for element in elements {
        let required: Vec<_> = element["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(required.contains(&"id") && required.contains(&"type"), "{element}");
        assert_eq!(element["additionalProperties"], false, "{element}");
    }
}

#[test]
fn what_the_document_adds_by_name_is_there() {
    let document = json();
    for code in super::CODES {
        assert_eq!(document["components"]["schemas"][code]["minLength"], 1, "{code}");
    }
    for path in super::BODY_OPTIONAL {
        assert_ne!(document["paths"][path]["post"]["requestBody"]["required"], true, "{path}");
    }
    assert_eq!(document["components"]["schemas"]["CurrencyCode"]["pattern"], super::CURRENCY_PATTERN);
    assert!(document["components"]["schemas"]["i64"].is_null(), "a number under an alias");
}
