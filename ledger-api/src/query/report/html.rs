//! Tables as one page for people and printers: nothing fetched, nothing run, every text escaped.

use std::fmt::Write;

use super::table::{Kind, Table};

/// What may be on the page: its own style, nothing else.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What stands around every report.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Whose books.
    pub(super) tenant: String,
    /// The last event that is counted in.
    pub(super) position: i64,
    /// When it was made.
    pub(super) made_at: String,
}

impl Frame {
    /// Whose report, of what state, and when: the line at the foot of the page and of every sheet.
    fn line(&self, title: &str) -> String {
        format!("{} \u{b7} {title} \u{b7} position {} \u{b7} made {}", self.tenant, self.position, self.made_at)
    }
}

/// A table with more columns than this is printed on its side.
const UPRIGHT_COLUMNS_MAX: usize = 8;
/// Depth beyond which rows are indented no further.
const DEPTH_SHOWN_MAX: u8 = 8;

/// The whole page.
pub(super) fn render(table: &Table, frame: &Frame) -> Vec<u8> {
    let mut out = String::with_capacity(table.rows.len().saturating_mul(256).saturating_add(4_096));
    let (title, line) = (escape(table.title), frame.line(table.title));
    let tenant = escape(&frame.tenant);
    let side = if table.columns.len() > UPRIGHT_COLUMNS_MAX { "size: A4 landscape; " } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} \u{b7} {tenant}</title>\n<style>\n{}\n\
         @page {{ {side}@bottom-left {{ content: \"{}\"; }} }}\n</style>\n</head>\n<body>\n\
         <header>\n<p class=\"tenant\">{tenant}</p>\n<h1>{title}</h1>\n",
        include_str!("report.css").trim_end(),
        css_text(&line),
    );
    for text in &table.subtitle {
        let _ = writeln!(out, "<p>{}</p>", escape(text));
    }
    let _ = writeln!(out, "<p>Position {}, made {}</p>\n</header>", frame.position, escape(&frame.made_at));
    push_table(&mut out, table);
    if !table.notes.is_empty() {
        out.push_str("<section aria-label=\"Notes\">\n");
        for note in &table.notes {
            let _ = writeln!(out, "<p>{}</p>", escape(note));
        }
        out.push_str("</section>\n");
    }
    let _ = writeln!(out, "<footer>{}</footer>\n</body>\n</html>", escape(&line));
    out.into_bytes()
}

fn push_table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "<table>\n<caption>{}</caption>\n<thead>\n<tr>", escape(table.title));
    for column in &table.columns {
        let class = if column.is_number { " class=\"n\"" } else { "" };
        let _ = writeln!(out, "<th scope=\"col\"{class}>{}</th>", escape(&column.title));
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &table.rows {
        let _ = write!(out, "<tr class=\"{} d{}\">", row.kind.as_str(), row.depth.min(DEPTH_SHOWN_MAX));
        if row.kind == Kind::Group {
            let title = row.cells.first().map_or("", String::as_str);
            let _ = write!(out, "<th scope=\"rowgroup\" colspan=\"{}\">{}</th>", table.columns.len(), escape(title));
        } else {
            push_cells(out, table.cells(row));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

/// The first cell heads its row.
fn push_cells<'a>(out: &mut String, cells: impl Iterator<Item = (&'a super::table::Column, &'a str)>) {
    for (at, (column, cell)) in cells.enumerate() {
        let cell = escape(cell);
        let _ = match (at, column.is_number) {
            (0, _) => write!(out, "<th scope=\"row\">{cell}</th>"),
            (_, true) => write!(out, "<td class=\"n\">{cell}</td>"),
            (_, false) => write!(out, "<td>{cell}</td>"),
        };
    }
}

/// Text that is only text, between tags and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text in a string of a style sheet: whatever is no letter or digit is written by its number (CSS Syntax 3, §4.3.7).
fn css_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else {
            let _ = write!(out, "\\{:06x}", u32::from(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::report::table::{numbers, words};

    fn page(tenant: &str, cell: &str) -> String {
        let columns = vec![words("account", "Account"), words("name", "Name"), numbers("balance", "Balance")];
        let mut table = Table::new("Trial balance", vec![cell.to_owned()], columns);
        table.group(0, cell);
        table.line(1, ["1000".to_owned(), cell.to_owned(), "-5.00".to_owned()]);
        table.total(0, ["Total".to_owned(), String::new(), "0.00".to_owned()]);
        table.note(cell);
        let frame = Frame { tenant: tenant.to_owned(), position: 7, made_at: "2026-11-30T10:00:00Z".to_owned() };
        String::from_utf8(render(&table, &frame)).unwrap()
    }

    #[test]
    fn no_text_becomes_markup_or_style() {
        let hostile = "</style><script>alert(1)</script>\" onload='x' & {}*/";
        let page = page(hostile, hostile);
        assert!(!page.contains("<script") && !page.contains("onload='"));
        assert_eq!((page.matches("</style>").count(), page.matches("<style>").count()), (1, 1));
        assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&#39;x&#39; &amp; {}*/").count(), 7);
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        assert!(!style.contains("alert(") && style.contains("alert\\0000281\\000029"));
    }

    #[test]
    fn the_page_fetches_nothing_and_is_complete() {
        let page = page("Acme", "Bank");
        for part in [
            "<html lang=\"en\">",
            "<title>Trial balance \u{b7} Acme</title>",
            "<caption>Trial balance</caption>",
            "<th scope=\"col\" class=\"n\">Balance</th>",
            "<tr class=\"group d0\"><th scope=\"rowgroup\" colspan=\"3\">Bank</th></tr>",
            "<tr class=\"line d1\"><th scope=\"row\">1000</th><td>Bank</td><td class=\"n\">-5.00</td></tr>",
            "<tr class=\"total d0\"><th scope=\"row\">Total</th><td></td><td class=\"n\">0.00</td></tr>",
            "<footer>Acme \u{b7} Trial balance \u{b7} position 7 \u{b7} made 2026-11-30T10:00:00Z</footer>",
            "@media print",
            "tabular-nums",
        ] {
            assert!(page.contains(part), "{part}");
        }
        for fetched in ["src=", "href=", "url(", "@import", "http:", "https:", "<script", "<link", "<img"] {
            assert!(!page.contains(fetched), "{fetched}");
        }
    }
}
