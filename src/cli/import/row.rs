//! What a file asks for: one JSON command per row of it, or why there is none.

use std::io::{BufRead, BufReader};

use anyhow::{Context as _, Result, ensure};
use ledger_core::domain::rejection::Rejection;
use serde_json::{Map, Value};

/// Bytes of one row: far more than any command needs.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Why a row asks for nothing.
#[derive(Debug)]
pub(super) enum Unsent {
    /// It cannot be read.
    Malformed(anyhow::Error),
    /// It says what the ledger would refuse.
    Refused(Box<Rejection>),
    /// It says nothing, and nothing is wrong with that.
    Skipped(&'static str),
    /// The ledger says so already.
    Unchanged,
}

impl From<anyhow::Error> for Unsent {
    fn from(error: anyhow::Error) -> Self {
        Self::Malformed(error)
    }
}

/// A row as it was read.
#[derive(Debug)]
pub(super) struct Draft {
    /// Where it begins in the file: the row of a table, the line of a book.
    pub(super) number: usize,
    /// Makes its identity, with the file's digest.
    pub(super) key: String,
    /// The entry it makes.
    pub(super) entry: Option<String>,
    /// The command with its `type`.
    pub(super) content: Result<Value, Unsent>,
}

impl Draft {
    pub(super) fn new(number: usize, content: Result<Value, Unsent>) -> Self {
        Self { number, key: number.to_string(), entry: None, content }
    }

    pub(super) fn of_entry(number: usize, entry: super::entry::Entry) -> Self {
        let id = entry.id.clone();
        Self { entry: Some(id), ..Self::new(number, entry.into_command()) }
    }
}

fn numbered(rows: impl Iterator<Item = Result<Value>>) -> Vec<Draft> {
    (1_usize..).zip(rows).map(|(number, row)| Draft::new(number, row.map_err(Unsent::Malformed))).collect()
}

/// One command per line.
pub(super) fn ndjson(bytes: &[u8]) -> Result<Vec<Draft>> {
    let mut rows = Vec::new();
    for line in BufReader::new(bytes).lines() {
        let line = line.context("the file is not UTF-8")?;
        ensure!(line.len() <= ROW_BYTES_MAX, "row {} is longer than {ROW_BYTES_MAX} bytes", rows.len() + 1);
        if !line.trim().is_empty() {
            rows.push(serde_json::from_str(&line).map_err(Into::into));
        }
    }
    Ok(numbered(rows.into_iter()))
}

/// A table whose heading names the fields.
pub(super) fn table(bytes: &[u8]) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes)
}

/// Fields that are not texts in JSON.
const INTEGERS: [&str; 9] = ["scale", "ttl_seconds", "expected_version", "x", "y", "original", "receipt", "line", "priority"];
/// Fields that are lists of texts in JSON; a cell holds them with `|` between.
const LISTS: [&str; 2] = ["serials", "locations"];

/// One command per row of a table with a column `type`.
pub(super) fn commands(mut reader: csv::Reader<&[u8]>) -> Result<Vec<Draft>> {
    let heading = reader.headers()?.clone();
    let row = |record: csv::Result<csv::StringRecord>| -> Result<Value> {
        let mut object = Map::new();
        for (field, text) in heading.iter().zip(record?.iter()).filter(|(_, text)| !text.is_empty()) {
            let value = match field {
                _ if INTEGERS.contains(&field) => Value::from(text.parse::<i64>().with_context(|| format!("{field}: {text}"))?),
                _ if LISTS.contains(&field) => text.split('|').map(str::trim).map(Value::from).collect(),
                "retired" => Value::from(text.parse::<bool>().with_context(|| format!("{field}: {text}"))?),
                _ => Value::from(text),
            };
            object.insert(field.to_owned(), value);
        }
        Ok(Value::Object(object))
    };
    Ok(numbered(reader.records().map(row)))
}
