//! The AsyncAPI 3 document of the event feed over NATS, made of the same schemas as the OpenAPI document.
//!
//! **Shape**: one channel, one message and one operation per event type, because a subject names the type; all share the
//! headers and the CloudEvent they are wrapped in.

use ledger_core::domain::event::Category;
use ledger_core::domain::shown;
use serde_json::{Map, Value, json};

use crate::openapi::{named_schemas, references};

/// Where it says what a subscriber must know.
const DESCRIPTION: &str = include_str!("asyncapi/introduction.md");

/// The document.
#[must_use]
pub fn asyncapi() -> Value {
    let payloads = shown::payloads();
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for payload in &payloads {
        let name = payload.type_name;
        channels.insert(name.to_owned(), channel(name, payload.category));
        operations.insert(format!("publish_{name}"), operation(name));
        messages.insert(name.to_owned(), message(name, &payload.name));
    }
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:ledgerd:feed",
        "info": {
            "title": "Ledger event feed",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": {"nats": {
            "host": "nats.example.com:4222",
            "protocol": "nats",
            "description": "NATS with JetStream; the stream is LEDGER",
            "security": [{"$ref": "#/components/securitySchemes/password"}],
        }},
        "channels": channels,
        "operations": operations,
        "components": {
            "securitySchemes": {"password": {"type": "userPassword", "description": "As the broker is set up"}},
            "parameters": {"tenant": {
                "description": "The tenant's code; whatever has a meaning in subjects is written as = and two hexadecimal digits",
            }},
            "messages": messages,
            "schemas": schemas(&payloads),
        },
    })
}

fn channel(name: &str, category: Category) -> Value {
    json!({
        "address": format!("ledger.{{tenant}}.{}.{name}", category.as_str()),
        "title": name,
        "parameters": {"tenant": {"$ref": "#/components/parameters/tenant"}},
        "messages": {name: {"$ref": format!("#/components/messages/{name}")}},
    })
}

fn operation(name: &str) -> Value {
    json!({
        "action": "send",
        "channel": {"$ref": format!("#/channels/{name}")},
        "summary": format!("Publishes every {name}"),
        "messages": [{"$ref": format!("#/channels/{name}/messages/{name}")}],
    })
}

fn message(name: &str, schema: &str) -> Value {
    json!({
        "name": format!("ledger.{name}"),
        "title": name,
        "contentType": "application/cloudevents+json",
        "headers": {"$ref": "#/components/schemas/MessageHeaders"},
        "correlationId": {"description": "Tenant's number and position", "location": "$message.header#/Nats-Msg-Id"},
        "payload": {"allOf": [
            {"$ref": "#/components/schemas/CloudEvent"},
            {
                "type": "object",
                "properties": {
                    "type": {"const": format!("ledger.{name}")},
                    "data": {"type": "object", "properties": {"event": {"$ref": format!("#/components/schemas/{schema}")}}},
                },
            },
        ]},
    })
}

/// The envelope, the headers, and what events say with all that it refers to.
fn schemas(payloads: &[shown::Payload]) -> Map<String, Value> {
    let all = named_schemas();
    let mut used: Vec<String> = payloads.iter().map(|payload| payload.name.clone().into_owned()).collect();
    let mut schemas = Map::new();
    while let Some(name) = used.pop() {
        if let Some(schema) = all.get(&name).filter(|_| !schemas.contains_key(&name)) {
            used.extend(references(schema));
            schemas.insert(name, schema.clone());
        }
    }
    schemas.insert("MessageHeaders".to_owned(), headers());
    schemas.insert("CloudEvent".to_owned(), cloud_event());
    schemas
}

fn headers() -> Value {
    let position = |text: &str| json!({"type": "string", "pattern": "^(0|[1-9][0-9]*)$", "description": text});
    json!({
        "type": "object",
        "required": ["Nats-Msg-Id", "Ledger-Position", "Ledger-Previous-Position", "Content-Type"],
        "properties": {
            "Nats-Msg-Id": {"type": "string", "pattern": "^[1-9][0-9]*:[1-9][0-9]*$", "description": "Tenant's number and position: the broker drops what it had within its duplicate window"},
            "Ledger-Position": position("Place in the tenant's log"),
            "Ledger-Previous-Position": position("The one before it; 0 before the first"),
            "Content-Type": {"const": "application/cloudevents+json"},
        },
    })
}

fn cloud_event() -> Value {
    let text = |description: &str| json!({"type": "string", "minLength": 1, "description": description});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let positive = |description: &str| json!({"type": "integer", "minimum": 1, "description": description});
    json!({
        "type": "object",
        "description": "CloudEvents 1.0.2 in structured JSON, the one mode its NATS binding defines",
        "required": ["specversion", "id", "source", "type", "subject", "time", "sequence", "partitionkey"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": "^[1-9][0-9]*:[1-9][0-9]*$", "description": "Tenant's number and position"},
            "source": {"type": "string", "pattern": "^/tenants/.+$", "description": "The tenant, its code written as in the subject"},
            "type": {"type": "string", "pattern": "^ledger\\.[a-z_]+$", "description": "What happened"},
            "subject": text("The stream it belongs to, such as item-ABC"),
            "time": time("When the log accepted it; never runs backwards"),
            "sequence": {"type": "string", "pattern": "^[1-9][0-9]*$", "description": "Position: 1, 2, 3 … without gaps"},
            "partitionkey": text("The stream: what must stay in order"),
            "traceparent": text("W3C trace context of the command"),
            "datacontenttype": {"const": "application/json"},
            "dataref": {"type": "string", "pattern": "^/v1/events\\?after=[0-9]+&limit=1$", "description": "Instead of data, where the event is larger than the broker takes: read it there"},
            "data": {
                "type": "object",
                "required": ["position", "stream", "version", "effective_at", "reference", "reason", "event"],
                "properties": {
                    "position": positive("Place in the tenant's log"),
                    "stream": text("What it is about"),
                    "version": positive("Place in the stream"),
                    "effective_at": time("When it happened in the world"),
                    "reference": {"type": ["string", "null"], "description": "The caller's document"},
                    "reason": {"type": ["string", "null"], "description": "Why, as a code"},
                    "event": {"type": "object", "description": "What the fact says; the same as `data` in GET /v1/events"},
                },
            },
        },
        "oneOf": [{"required": ["data", "datacontenttype"]}, {"required": ["dataref"]}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_has_a_channel() {
        let document = asyncapi();
        for part in ["/channels", "/operations", "/components/messages"] {
            assert_eq!(document.pointer(part).unwrap().as_object().unwrap().len(), shown::payloads().len(), "{part}");
        }
    }
}
