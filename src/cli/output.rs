//! What verbs print: a table for a person, JSON for a script.

use std::io::Write;

use anyhow::Result;
use comfy_table::{Table, presets};

/// One line or block on standard output; a closed pipe is no fault.
pub(crate) fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// JSON on one line.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(&serde_json::to_string(value)?)
}

/// A table with a heading row.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}
