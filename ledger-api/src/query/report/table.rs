//! A report as rows and columns: what CSV and the printed page are made of.

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Heads the rows below it.
    Group,
    /// One account, item or posting.
    Line,
    /// Part of the line above it: not to be added to it.
    Part,
    /// Sums the rows above it.
    Total,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Line => "line",
            Self::Part => "part",
            Self::Total => "total",
        }
    }
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name in CSV.
    pub(super) key: String,
    /// Its heading for people.
    pub(super) title: String,
    /// Exact decimals, which no program may take for text and no spreadsheet for a formula.
    pub(super) is_number: bool,
}

/// A column of words.
pub(super) fn words(key: &str, title: &str) -> Column {
    Column { key: key.to_owned(), title: title.to_owned(), is_number: false }
}

/// A column of exact decimals.
pub(super) fn numbers(key: &str, title: &str) -> Column {
    Column { key: key.to_owned(), title: title.to_owned(), is_number: true }
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) kind: Kind,
    /// How far below the topmost groups it stands.
    pub(super) depth: u8,
    /// One per column; those that are missing at the end are empty.
    pub(super) cells: Vec<String>,
}

/// A report to be read or printed.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    /// What it covers, a line each.
    pub(super) subtitle: Vec<String>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// What a reader must know.
    pub(super) notes: Vec<String>,
}

impl Table {
    pub(super) fn new(title: &'static str, subtitle: Vec<String>, columns: Vec<Column>) -> Self {
        Self { title, subtitle, columns, rows: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn group(&mut self, depth: u8, title: &str) {
        self.rows.push(Row { kind: Kind::Group, depth, cells: vec![title.to_owned()] });
    }

    pub(super) fn line(&mut self, depth: u8, cells: impl Into<Vec<String>>) {
        self.rows.push(Row { kind: Kind::Line, depth, cells: cells.into() });
    }

    pub(super) fn part(&mut self, depth: u8, cells: impl Into<Vec<String>>) {
        self.rows.push(Row { kind: Kind::Part, depth, cells: cells.into() });
    }

    pub(super) fn total(&mut self, depth: u8, cells: impl Into<Vec<String>>) {
        self.rows.push(Row { kind: Kind::Total, depth, cells: cells.into() });
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Each column with the row's cell.
    pub(super) fn cells<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = (&'a Column, &'a str)> {
        self.columns.iter().zip(row.cells.iter().map(String::as_str).chain(std::iter::repeat("")))
    }
}
