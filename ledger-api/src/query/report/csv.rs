//! Tables as CSV (RFC 4180): one head row, lines end with CR LF. `row` says what a row is, so that totals can be left out.

use super::table::Table;

/// The whole table.
pub(super) fn render(table: &Table) -> Vec<u8> {
    let mut out = String::with_capacity(table.rows.len().saturating_mul(96));
    let head = ["row", "depth"].into_iter().chain(table.columns.iter().map(|c| c.key.as_str()));
    push_record(&mut out, head.map(str::to_owned));
    for row in &table.rows {
        let place = [row.kind.as_str().to_owned(), row.depth.to_string()];
        let cells = table.cells(row).map(|(column, cell)| if column.is_number { cell.to_owned() } else { plain(cell) });
        push_record(&mut out, place.into_iter().chain(cells));
    }
    out.into_bytes()
}

fn push_record(out: &mut String, cells: impl Iterator<Item = String>) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_cell(out, &cell);
    }
    out.push_str("\r\n");
}

fn push_cell(out: &mut String, cell: &str) {
    let needs_quotes = cell.contains([',', '"', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ');
    if !needs_quotes {
        out.push_str(cell);
        return;
    }
    out.push('"');
    for c in cell.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

/// A cell that no spreadsheet takes for a formula (OWASP CSV injection).
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::report::table::{numbers, words};

    fn rendered(name: &str, amount: &str) -> String {
        let mut table = Table::new("T", Vec::new(), vec![words("name", "Name"), numbers("amount", "Amount")]);
        table.group(0, "G");
        table.line(1, [name.to_owned(), amount.to_owned()]);
        String::from_utf8(render(&table)).unwrap()
    }

    #[test]
    fn rows_say_what_they_are_and_all_have_every_column() {
        assert_eq!(rendered("Bank", "-5.00"), "row,depth,name,amount\r\ngroup,0,G,\r\nline,1,Bank,-5.00\r\n");
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cell = |name: &str| rendered(name, "1").lines().nth(2).unwrap().to_owned();
        assert_eq!(cell("a,b"), "line,1,\"a,b\",1");
        assert_eq!(cell("say \"hi\""), "line,1,\"say \"\"hi\"\"\",1");
        assert_eq!(cell(" a"), "line,1,\" a\",1");
        assert_eq!(cell("a b"), "line,1,a b,1");
        assert_eq!(rendered("a\r\nb", "1").matches("\"a\r\nb\"").count(), 1);
    }

    #[test]
    fn no_text_is_a_formula_and_every_number_stays_one() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            let text = rendered(bad, "-1.50");
            assert!(text.contains(&format!("'{bad}")), "{text}");
            assert!(text.ends_with(",-1.50\r\n"), "{text}");
        }
        assert!(rendered("a=1", "1").contains("line,1,a=1,1"));
    }
}
