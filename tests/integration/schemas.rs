//! What is promised of events in writing: a JSON Schema per type in `deploy/schemas`, the AsyncAPI document of the feed in
//! `deploy/asyncapi.json`. Both are made of the types that are written; both lie in the repository, because subscribers take
//! them from there and because a changed promise must be seen in a review. `LEDGER_WRITE_SCHEMAS=1` writes them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::golden;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The file holds this, or is made to on demand.
fn committed(path: &Path, value: &Value) {
    if std::env::var_os("LEDGER_WRITE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, serde_json::to_string_pretty(value).unwrap() + "\n").unwrap();
    }
    let there: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap_or_default()).unwrap_or_default();
    assert!(there == *value, "{} is not what the code says: run this test with LEDGER_WRITE_SCHEMAS=1", path.display());
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

fn expect_valid(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{} at {}", e, e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value}");
}

/// The same, refusing every field that is not described.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut out: serde_json::Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), strict(value))).collect();
            if out.get("type") == Some(&json!("object")) && out.contains_key("properties") {
                out.insert("additionalProperties".to_owned(), json!(false));
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(strict).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_schemas_of_all_events_are_committed() {
    let dir = root().join("deploy/schemas");
    let mut names = BTreeSet::new();
    for (name, schema) in ledger_api::event_schemas() {
        committed(&dir.join(format!("{name}.schema.json")), &schema);
        names.insert(format!("{name}.schema.json"));
    }
    let there: BTreeSet<String> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, names);
}

/// Every form of every event ever stored is as its schema says, and says nothing that its schema does not.
#[test]
fn every_stored_event_is_as_its_schema_says() {
    let schemas: std::collections::BTreeMap<_, _> =
        ledger_api::event_schemas().into_iter().map(|(name, schema)| (name, validator(&strict(&schema)))).collect();
    let mut seen = BTreeSet::new();
    for line in golden::lines() {
        let name = line["name"].as_str().unwrap().to_owned();
        expect_valid(&schemas[name.as_str()], &line["meaning"]["event"], &name);
        // And the schema does not take just anything.
        assert!(!schemas[name.as_str()].is_valid(&json!({})), "{name}");
        seen.insert(name);
    }
    assert_eq!(seen.len(), schemas.len(), "a type has no stored event");
}

#[test]
fn the_asyncapi_document_is_committed_and_is_one() {
    let document = ledger_api::asyncapi();
    committed(&root().join("deploy/asyncapi.json"), &document);
    // AsyncAPI's own schema of its documents (@asyncapi/specs 6.11.1, Apache-2.0), without descriptions and examples.
    let schema = std::fs::read_to_string(root().join("tests/golden/asyncapi-3.0.0.schema.json")).unwrap();
    let own = validator(&serde_json::from_str(&schema).unwrap());
    expect_valid(&own, &document, "asyncapi.json");
    let mut wrong = document.clone();
    wrong["operations"]["publish_stock_received"]["action"] = json!("shout");
    assert!(!own.is_valid(&wrong));
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let target = reference.split('"').next().unwrap();
        assert!(document.pointer(target).is_some(), "{target}");
    }
}

/// Channels, headers and bodies of the document as something to check messages with.
pub(crate) struct Contract {
    channels: Vec<(String, Validator)>,
    headers: Validator,
}

impl Contract {
    pub(crate) fn committed() -> Self {
        let text = std::fs::read_to_string(root().join("deploy/asyncapi.json")).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let of = |pointer: String| {
            let schema = json!({"$ref": format!("#{pointer}"), "components": document["components"]});
            validator(&schema)
        };
        let channels = document["channels"].as_object().unwrap();
        let channels = channels.iter().map(|(name, channel)| {
            (channel["address"].as_str().unwrap().to_owned(), of(format!("/components/messages/{name}/payload")))
        });
        Self { channels: channels.collect(), headers: of("/components/schemas/MessageHeaders".to_owned()) }
    }

    /// A message belongs to exactly one channel and is as that says.
    pub(crate) fn check(&self, subject: &str, headers: &Value, body: &Value) {
        let tokens: Vec<&str> = subject.split('.').collect();
        let is_at = |address: &str| {
            let address: Vec<&str> = address.split('.').collect();
            address.len() == tokens.len() && address.iter().zip(&tokens).all(|(a, t)| a.starts_with('{') || a == t)
        };
        let at: Vec<_> = self.channels.iter().filter(|(address, _)| is_at(address)).collect();
        let [(_, payload)] = at.as_slice() else { panic!("{subject} is at {} channels", at.len()) };
        expect_valid(&self.headers, headers, subject);
        expect_valid(payload, body, subject);
    }

    pub(crate) fn len(&self) -> usize {
        self.channels.len()
    }
}
