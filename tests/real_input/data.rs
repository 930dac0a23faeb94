//! Reads the files: CSV, plain or compressed with zstd, and JSON. Numbers stay text until [`number`] parses them,
//! because the CSV reader would take "2.55" for a float.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::de::DeserializeOwned;

/// Every row of a table.
pub(crate) fn rows<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<Vec<T>> {
    let path = directory.join(name);
    let file = BufReader::new(File::open(&path).with_context(|| format!("cannot open {}", path.display()))?);
    let source: Box<dyn Read> = if name.ends_with(".zst") { Box::new(zstd::Decoder::with_buffer(file)?) } else { Box::new(file) };
    let rows = csv::Reader::from_reader(source).into_deserialize().collect::<Result<_, _>>();
    rows.with_context(|| format!("in {}", path.display()))
}

/// A JSON document.
pub(crate) fn document<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<T> {
    let path = directory.join(name);
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file)).with_context(|| format!("in {}", path.display()))
}

/// An exact decimal.
pub(crate) fn number(text: &str) -> Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("{text:?} is no number"))
}

/// Two decimals, half to even: the rounding of every amount in these books.
pub(crate) fn money(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven)
}
