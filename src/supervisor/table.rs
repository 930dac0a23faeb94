//! The table of parts that `ledgerd up` prints: what runs, in which version, from where, and where its data lies.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use super::Part;

pub(crate) fn render(parts: &[Part]) -> String {
    let mut table = Table::new();
    // Never wrapped to the terminal's width: addresses and directories are there to be copied.
    table.load_style(UTF8_FULL_CONDENSED).set_header(["part", "version", "origin", "address", "data directory"]);
    for part in parts {
        let dir = part.data_dir.as_ref().map_or_else(|| "-".to_owned(), |dir| dir.display().to_string());
        let version = if part.version.is_empty() { "-" } else { &part.version };
        table.add_row([part.name.as_str(), version, part.origin.as_str(), &part.address, &dir]);
    }
    table.to_string()
}
