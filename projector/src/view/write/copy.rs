//! Rows that are only ever added, into the database: binary COPY.
//!
//! **Shape**: [`Copy::begin`] → [`Copy::row`] per row → [`Copy::finish`], inside the caller's transaction. A statement with
//! an array per column takes the server two to three times as long: it walks through all arrays side by side.
//! **Correctness**: the format is that of the manual (COPY, "Binary Format"): a column's type must be the table's own, and
//! the server refuses what is not. A copy that is given up tells the server so, which fails the transaction.

use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

use crate::Error;

/// Signature, flags and the length of no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Instead of a row's number of columns.
const END: i16 = -1;
/// Instead of the length of a value.
const NULL: i32 = -1;
/// Version of the format of `jsonb`.
const JSONB: u8 = 1;
/// Sent at once.
const MESSAGE_BYTES: usize = 128 * 1024;

/// A value of a column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// `bigint`.
    Long(i64),
    /// `bigint`, or null.
    MaybeLong(Option<i64>),
    /// `integer`.
    Int(i32),
    /// `smallint`.
    Short(i16),
    /// `text`.
    Text(&'a str),
    /// `text`, or null.
    MaybeText(Option<&'a str>),
    /// `jsonb`, or null.
    MaybeJson(Option<&'a str>),
}

/// Rows on their way into a table.
pub(super) struct Copy<'c> {
    sink: PgCopyIn<&'c mut PgConnection>,
    bytes: Vec<u8>,
}

impl<'c> Copy<'c> {
    /// Begins a `COPY … FROM STDIN (FORMAT binary)`.
    pub(super) async fn begin(db: &'c mut PgConnection, statement: &'static str) -> Result<Self, Error> {
        let sink = db.copy_in_raw(statement).await?;
        Ok(Self { sink, bytes: HEADER.to_vec() })
    }

    /// Adds a row: the values of its columns, in the order of the statement.
    pub(super) async fn row<const N: usize>(&mut self, values: [Value<'_>; N]) -> Result<(), Error> {
        encode(&mut self.bytes, &values)?;
        if self.bytes.len() >= MESSAGE_BYTES {
            self.sink.send(self.bytes.as_slice()).await?;
            self.bytes.clear();
        }
        Ok(())
    }

    /// Ends it: the rows are there, for this transaction.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        self.bytes.extend(END.to_be_bytes());
        self.sink.send(self.bytes.as_slice()).await?;
        self.sink.finish().await?;
        Ok(())
    }
}

fn encode(bytes: &mut Vec<u8>, values: &[Value<'_>]) -> Result<(), Error> {
    let too_long = |e: std::num::TryFromIntError| Error::Row(e.to_string());
    bytes.extend(i16::try_from(values.len()).map_err(too_long)?.to_be_bytes());
    for value in values {
        match value {
            Value::Long(number) | Value::MaybeLong(Some(number)) => {
                bytes.extend(8_i32.to_be_bytes());
                bytes.extend(number.to_be_bytes());
            }
            Value::Int(number) => {
                bytes.extend(4_i32.to_be_bytes());
                bytes.extend(number.to_be_bytes());
            }
            Value::Short(number) => {
                bytes.extend(2_i32.to_be_bytes());
                bytes.extend(number.to_be_bytes());
            }
            Value::Text(text) | Value::MaybeText(Some(text)) => {
                bytes.extend(i32::try_from(text.len()).map_err(too_long)?.to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            Value::MaybeJson(Some(text)) => {
                bytes.extend(i32::try_from(text.len().saturating_add(1)).map_err(too_long)?.to_be_bytes());
                bytes.push(JSONB);
                bytes.extend(text.as_bytes());
            }
            Value::MaybeLong(None) | Value::MaybeText(None) | Value::MaybeJson(None) => bytes.extend(NULL.to_be_bytes()),
        }
    }
    Ok(())
}
