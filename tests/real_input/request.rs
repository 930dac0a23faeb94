//! One request to the ledger: built once, sent any number of times, the same each time.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};

/// What a request holds, which says where its answer has its verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One command (or one transaction) named by the `Idempotency-Key` header.
    Command,
    /// Commands that each carry their own id.
    Batch,
}

/// Which method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Put,
    Post,
}

/// A request with a key that depends on the run and on its place in the books alone.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) kind: Kind,
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) body: String,
    /// Numbers of the items whose order matters.
    pub(crate) touches: Vec<usize>,
    /// Single commands inside, those of a transaction counted one by one.
    pub(crate) commands: usize,
}

impl Request {
    /// Defines something at its own path.
    pub(crate) fn define(run: &str, what: &str, code: &str, definition: &Value) -> Result<Self> {
        Ok(Self {
            key: format!("{run}/{what}/{code}"),
            kind: Kind::Command,
            verb: Verb::Put,
            path: format!("/v1/{what}/{}", segment(code)),
            body: serde_json::to_string(definition)?,
            touches: Vec::new(),
            commands: 1,
        })
    }

    /// One command at its own path.
    pub(crate) fn command(key: String, path: &str, command: &Value, touches: Vec<usize>) -> Result<Self> {
        let (kind, verb, path) = (Kind::Command, Verb::Post, path.to_owned());
        Ok(Self { key, kind, verb, path, body: serde_json::to_string(command)?, touches, commands: 1 })
    }

    /// Commands that stand or fall together.
    pub(crate) fn transaction(key: String, commands: &[Value], touches: Vec<usize>) -> Result<Self> {
        let body = serde_json::to_string(&json!({ "commands": commands }))?;
        let (kind, verb, path) = (Kind::Command, Verb::Post, "/v1/transactions".to_owned());
        Ok(Self { key, kind, verb, path, body, touches, commands: commands.len() })
    }

    /// Commands with ids of their own; `key` only names the request in messages.
    pub(crate) fn batch(key: String, commands: &[Value], touches: Vec<usize>) -> Result<Self> {
        let body = serde_json::to_string(&json!({ "commands": commands }))?;
        let (kind, verb, path) = (Kind::Batch, Verb::Post, "/v1/batches".to_owned());
        Ok(Self { key, kind, verb, path, body, touches, commands: commands.len() })
    }
}

/// A code as one segment of a path (RFC 3986 §3.3).
pub(crate) fn segment(code: &str) -> String {
    let mut path = String::with_capacity(code.len());
    for byte in code.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
