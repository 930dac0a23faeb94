//! What pages are made of: tables, facts, forms, charts. Each is a template of its own; pages only fill them.
//!
//! **Correctness**: figures are shown with the very characters the API gave. Thousands are set apart by style, not by
//! characters, so that what is copied from the page is the figure. Charts alone are drawn with rounded numbers, by the
//! browser or by [`bars`]; the figures beside them are exact.

use std::borrow::Cow;

use askama::Template;
use serde_json::Value;

use super::ask::{Fields, plain};
use crate::query::report::escape;

/// Something with a template.
pub(super) trait Part {
    /// Its markup.
    fn html(&self) -> String;
}

impl<T: Template> Part for T {
    fn html(&self) -> String {
        self.render().unwrap_or_else(|error| {
            // Writing to a string cannot fail, and the templates refuse nothing.
            tracing::error!(error = &error as &dyn std::error::Error, "a part of a page cannot be written");
            String::new()
        })
    }
}

/// What a cell, or a fact, shows.
#[derive(Clone, Debug)]
pub(super) enum Show {
    /// Words.
    Text(String),
    /// An exact decimal or whole number.
    Number(String),
    /// An instant, RFC 3339.
    Time(String),
    /// A code, hash or stream.
    Code(String),
    /// One of a few words that say how something stands.
    Status(String),
    /// Something that leads somewhere.
    Link(String, Box<Show>),
    /// Several, one after another.
    Many(Vec<Show>),
}

pub(super) fn text(text: impl Into<String>) -> Show {
    Show::Text(text.into())
}

pub(super) fn number(text: impl Into<String>) -> Show {
    Show::Number(text.into())
}

pub(super) fn time(text: impl Into<String>) -> Show {
    Show::Time(text.into())
}

pub(super) fn code(text: impl Into<String>) -> Show {
    Show::Code(text.into())
}

pub(super) fn status(text: impl Into<String>) -> Show {
    Show::Status(text.into())
}

/// A link, where there is anything to be linked.
pub(super) fn link(href: impl Into<String>, to: Show) -> Show {
    match &to {
        Show::Text(text) | Show::Code(text) | Show::Number(text) if text.is_empty() => to,
        _something => Show::Link(href.into(), Box::new(to)),
    }
}

impl Show {
    /// Its markup.
    pub(super) fn html(&self) -> String {
        match self {
            Self::Text(text) => escape(text),
            Self::Number(text) => grouped(text),
            Self::Time(text) => instant(text),
            Self::Code(text) if text.is_empty() => String::new(),
            Self::Code(text) => format!("<code>{}</code>", escape(text)),
            Self::Status(text) if text.is_empty() => String::new(),
            Self::Status(text) => {
                format!("<span class=\"chip {}\">{}</span>", tone(text), escape(&text.replace('_', " ")))
            }
            Self::Link(href, to) => format!("<a href=\"{}\">{}</a>", escape(href), to.html()),
            Self::Many(many) => many.iter().map(Self::html).collect::<Vec<_>>().join(" "),
        }
    }

    /// Whether figures stand below one another.
    fn is_number(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Link(_, to) => to.is_number(),
            Self::Text(_) | Self::Time(_) | Self::Code(_) | Self::Status(_) | Self::Many(_) => false,
        }
    }
}

/// The colour of a word that says how something stands.
fn tone(word: &str) -> &'static str {
    match word {
        "ready" | "up" | "posted" | "settled" | "committed" | "balanced" | "reconciled" | "clean" | "live" | "succeeded"
        | "done" | "delivered" | "passed" | "enabled" | "active" | "verified" | "completed" | "ok" => "good",
        "degraded" | "pending" | "held" | "allocated" | "behind" | "soft_closed" | "queued" | "running" | "retrying"
        | "parked" | "waiting" | "quarantine" | "blocked" => "warn",
        "down" | "unavailable" | "failed" | "dead" | "findings" | "unbalanced" | "differs" | "stopped" | "disabled"
        | "damaged" => "bad",
        _any_other => "plain",
    }
}

/// A decimal with its thousands set apart; anything else as text.
pub(super) fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let are_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !fraction.is_none_or(are_digits) {
        return escape(text);
    }
    let head = whole.len() % 3;
    let (first, rest) = whole.split_at_checked(head).unwrap_or((whole, ""));
    let mut out = String::from(if sign.is_empty() { "" } else { "<span class=\"neg\">-" });
    out.push_str(first);
    for at in (0..rest.len()).step_by(3) {
        let group = rest.get(at..at.saturating_add(3)).unwrap_or("");
        let class = if head == 0 && at == 0 { "" } else { " class=\"k\"" };
        if class.is_empty() { out.push_str(group) } else { out.push_str(&format!("<span{class}>{group}</span>")) }
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    if !sign.is_empty() {
        out.push_str("</span>");
    }
    out
}

/// An instant to the second, the whole of it for programs and on demand.
fn instant(text: &str) -> String {
    let whole = escape(text);
    match text.split_once('T') {
        Some((day, rest)) if rest.len() >= 8 => {
            let clock = escape(rest.get(..8).unwrap_or(rest));
            format!(
                "<time datetime=\"{whole}\" title=\"{whole}\"><span class=\"day\">{}</span> <span class=\"clock\">{clock}</span></time>",
                escape(day)
            )
        }
        _no_instant => whole,
    }
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) title: Cow<'static, str>,
    pub(super) is_number: bool,
    /// Left out where there is little room.
    pub(super) is_extra: bool,
}

/// A column of words.
pub(super) const fn words(title: &'static str) -> Column {
    Column { title: Cow::Borrowed(title), is_number: false, is_extra: false }
}

/// A column of figures.
pub(super) const fn figures(title: &'static str) -> Column {
    Column { title: Cow::Borrowed(title), is_number: true, is_extra: false }
}

/// A column of words that can be missed.
pub(super) const fn extra(title: &'static str) -> Column {
    Column { title: Cow::Borrowed(title), is_number: false, is_extra: true }
}

/// One row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// `group`, `total`, `part`, or nothing.
    pub(super) kind: &'static str,
    pub(super) depth: u8,
    pub(super) cells: Vec<Show>,
}

impl Row {
    pub(super) fn of(cells: impl Into<Vec<Show>>) -> Self {
        Self { cells: cells.into(), ..Self::default() }
    }

    pub(super) fn deep(depth: u8, cells: impl Into<Vec<Show>>) -> Self {
        Self { depth: depth.min(8), cells: cells.into(), ..Self::default() }
    }

    pub(super) fn total(cells: impl Into<Vec<Show>>) -> Self {
        Self { kind: "total", cells: cells.into(), ..Self::default() }
    }

    pub(super) fn group(title: &str) -> Self {
        Self { kind: "group", cells: vec![text(title)], ..Self::default() }
    }
}

/// A table.
#[derive(Template)]
#[template(path = "console/table.html")]
pub(super) struct Table {
    /// What scripts and links know it by.
    pub(super) id: &'static str,
    pub(super) caption: String,
    /// The page's title says the same: the caption is for those who do not see it.
    pub(super) is_quiet: bool,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// Shown where there are no rows.
    pub(super) empty: &'static str,
    pub(super) next: Option<String>,
    /// Leads to the first page, from another one.
    pub(super) first: Option<String>,
    /// What must be known about it.
    pub(super) note: Option<String>,
}

impl Table {
    pub(super) fn new(id: &'static str, caption: impl Into<String>, columns: impl Into<Vec<Column>>) -> Self {
        let (columns, caption) = (columns.into(), caption.into());
        Self {
            id,
            caption,
            is_quiet: false,
            columns,
            rows: Vec::new(),
            empty: "Nothing here.",
            next: None,
            first: None,
            note: None,
        }
    }

    pub(super) const fn quiet(mut self) -> Self {
        self.is_quiet = true;
        self
    }

    pub(super) const fn empty(mut self, words: &'static str) -> Self {
        self.empty = words;
        self
    }

    pub(super) fn fill<'a>(mut self, list: &'a [Value], row: impl Fn(&'a Value) -> Row) -> Self {
        self.rows.extend(list.iter().map(row));
        self
    }

    pub(super) fn note(mut self, words: impl Into<String>) -> Self {
        self.note = Some(words.into());
        self
    }

    /// Links to the page after this one, and to the first: `here` is this page's path and query, `name` the parameter that
    /// tells where a page begins, `next` its value for the page after this one.
    pub(super) fn pages(mut self, here: &str, name: &str, next: &str) -> Self {
        let (path, kept) = without(here, name);
        self.next = (!next.is_empty()).then(|| format!("{path}?{kept}{name}={}", encode(next)));
        let is_later = here.contains(&format!("?{name}=")) || here.contains(&format!("&{name}="));
        self.first = is_later.then(|| format!("{path}?{}", kept.trim_end_matches('&')));
        self
    }

    fn class(&self, row: &Row, at: &usize) -> &'static str {
        let extra = self.columns.get(*at).is_some_and(|c| c.is_extra);
        let is_number = self.columns.get(*at).is_some_and(|c| c.is_number) || row.cells.get(*at).is_some_and(Show::is_number);
        match (is_number, extra) {
            (true, _) => "n",
            (false, true) => "x",
            (false, false) => "",
        }
    }

    fn heading(&self, row: &Row) -> String {
        row.cells.first().map_or_else(String::new, Show::html)
    }
}

/// A path, and its query without one parameter, ready for another pair.
fn without<'a>(here: &'a str, name: &str) -> (&'a str, String) {
    let (path, query) = here.split_once('?').unwrap_or((here, ""));
    let is_kept = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(name) && !pair.ends_with('=');
    (path, query.split('&').filter(is_kept).map(|pair| format!("{pair}&")).collect())
}

/// Names with what they stand for.
#[derive(Template)]
#[template(path = "console/facts.html")]
pub(super) struct Facts {
    pub(super) title: String,
    pub(super) facts: Vec<(&'static str, Show)>,
}

impl Facts {
    /// Without those that are empty.
    pub(super) fn new(title: impl Into<String>, facts: impl Into<Vec<(&'static str, Show)>>) -> Self {
        let mut facts = facts.into();
        facts.retain(|(_, show)| !show.html().is_empty());
        Self { title: title.into(), facts }
    }
}

/// One figure that says how things are.
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) figure: Show,
    /// What goes with it.
    pub(super) beside: Vec<Show>,
    pub(super) href: Option<String>,
}

/// Figures side by side.
#[derive(Template)]
#[template(path = "console/tiles.html")]
pub(super) struct Tiles {
    pub(super) tiles: Vec<Tile>,
}

/// A field of a form.
pub(super) struct Field {
    pub(super) label: &'static str,
    pub(super) name: &'static str,
    /// `search`, `text`, `date`, `number`, `checkbox` or `select`.
    pub(super) kind: &'static str,
    pub(super) value: String,
    /// Of a `select`: value and words.
    pub(super) options: Vec<(String, String)>,
    pub(super) hint: &'static str,
}

impl Field {
    pub(super) fn new(kind: &'static str, name: &'static str, label: &'static str, value: impl Into<String>) -> Self {
        Self { label, name, kind, value: value.into(), options: Vec::new(), hint: "" }
    }

    pub(super) fn select<V: Into<String>, W: Into<String>>(
        name: &'static str,
        label: &'static str,
        value: impl Into<String>,
        options: impl IntoIterator<Item = (V, W)>,
    ) -> Self {
        let options = options.into_iter().map(|(value, words)| (value.into(), words.into())).collect();
        Self { options, ..Self::new("select", name, label, value) }
    }

    pub(super) const fn hint(mut self, words: &'static str) -> Self {
        self.hint = words;
        self
    }
}

/// A form that asks for another view of the page.
#[derive(Template)]
#[template(path = "console/form.html")]
pub(super) struct Form {
    pub(super) action: String,
    pub(super) fields: Vec<Field>,
    /// The button's word.
    pub(super) button: &'static str,
    /// The table that follows while one types, by its id; none if empty.
    pub(super) target: &'static str,
}

/// A title above several parts.
#[derive(Template)]
#[template(source = "<h2{% if !id.is_empty() %} id=\"{{ id }}\"{% endif %}>{{ title }}</h2>", ext = "html")]
pub(super) struct Heading {
    pub(super) id: &'static str,
    pub(super) title: String,
}

/// A paragraph: `good`, `warn`, `bad` or `plain`.
#[derive(Template)]
#[template(
    source = "<p class=\"note {{ tone }}\"{% if tone == \"bad\" %} role=\"alert\"{% endif %}>{{ words }}</p>",
    ext = "html"
)]
pub(super) struct Note {
    pub(super) tone: &'static str,
    pub(super) words: String,
}

/// Follows the log: a script puts new events on top of the table `events`.
#[derive(Template)]
#[template(path = "console/live.html")]
pub(super) struct Live {
    /// The stream of events.
    pub(super) source: String,
    /// The newest position shown.
    pub(super) after: String,
}

/// The one thing that a page may ask for beside reading.
#[derive(Template)]
#[template(path = "console/action.html")]
pub(super) struct Action {
    pub(super) action: String,
    pub(super) token: String,
    pub(super) button: &'static str,
    pub(super) words: String,
}

/// Links side by side.
#[derive(Template)]
#[template(path = "console/links.html")]
pub(super) struct Links {
    pub(super) label: &'static str,
    /// Words, where to, and whether this is it.
    pub(super) links: Vec<(String, String, bool)>,
}

/// Text to be read or copied as it is.
#[derive(Template)]
#[template(path = "console/code.html")]
pub(super) struct Verbatim {
    pub(super) title: String,
    pub(super) text: String,
    /// Behind a line that opens it.
    pub(super) is_folded: bool,
}

impl Verbatim {
    /// A value as JSON, indented.
    pub(super) fn json(title: impl Into<String>, value: &Value) -> Self {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| plain(value));
        Self { title: title.into(), text, is_folded: false }
    }

    pub(super) const fn folded(mut self) -> Self {
        self.is_folded = true;
        self
    }
}

/// A chart that a script draws from the table after it.
#[derive(Template)]
#[template(path = "console/chart.html")]
pub(super) struct Chart {
    pub(super) title: String,
    /// Points: instant, then the figures of each line.
    pub(super) rows: Vec<Vec<String>>,
    /// The lines' names; the first hangs on the left axis, the others on the right.
    pub(super) lines: Vec<&'static str>,
}

impl Chart {
    /// Of a list of points; the first field is the instant.
    pub(super) fn new(title: impl Into<String>, points: &[Value], fields: [&str; 3], lines: [&'static str; 2]) -> Self {
        let row = |point: &Value| fields.iter().map(|field| point.text(field)).collect();
        Self { title: title.into(), rows: points.iter().map(row).collect(), lines: lines.into() }
    }
}

/// Bars: counts one after another, drawn here.
#[derive(Template)]
#[template(path = "console/bars.html")]
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) beside: String,
    pub(super) bars: Vec<Bar>,
    /// The tallest one's count.
    pub(super) most: u64,
    /// Below the first bar, and below the last.
    pub(super) ends: (String, String),
}

/// One bar, in a drawing 100 high; counts that are zero have none.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
    pub(super) words: String,
}

/// Width of a bar with the gap beside it.
const BAR_STEP: usize = 10;
/// Height of the drawing.
const BARS_HEIGHT: u64 = 100;

/// Bars of counts with their words.
pub(super) fn bars(title: &str, beside: String, counts: &[(String, u64)], ends: (String, String)) -> Bars {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    let bar = |(at, (words, count)): (usize, &(String, u64))| {
        let height = count.saturating_mul(BARS_HEIGHT).div_ceil(most.max(1));
        let y = BARS_HEIGHT.saturating_sub(height);
        Bar { x: at.saturating_mul(BAR_STEP), y, height, words: format!("{words}: {count}") }
    };
    Bars { title: title.to_owned(), beside, bars: counts.iter().enumerate().map(bar).collect(), most, ends }
}

impl Bars {
    fn width(&self) -> usize {
        self.bars.len().saturating_mul(BAR_STEP)
    }
}

/// Text in a part of a path or query (RFC 3986, §2.3): whatever is not unreserved is written by its bytes.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // A path's part that is only dots would be taken for a step.
    if matches!(out.as_str(), "." | "..") { out.replace('.', "%2E") } else { out }
}

/// A query of the pairs that are not empty.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let text = pairs.map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&");
    if text.is_empty() { text } else { format!("?{text}") }
}

/// Where a stream's subject is shown.
pub(super) fn stream_link(stream: &str) -> Show {
    let shown = code(stream);
    let Some((kind, name)) = stream.split_once('-') else { return shown };
    let section = match kind {
        "item" => "stock",
        "location" => "locations",
        "account" => "accounts",
        "reservation" => "reservations",
        "entry" => "journal",
        _another => return shown,
    };
    link(format!("/console/{section}/{}", encode(name)), shown)
}

/// A position that leads to its event.
pub(super) fn event_link(position: &str) -> Show {
    link(format!("/console/events/{}", encode(position)), number(position))
}

/// An item.
pub(super) fn item_link(sku: &str) -> Show {
    link(format!("/console/stock/{}", encode(sku)), code(sku))
}

/// An item's stock card at a place.
pub(super) fn place_link(sku: &str, location: &str) -> Show {
    link(format!("/console/stock/{}/{}", encode(sku), encode(location)), code(location))
}

/// An account.
pub(super) fn account_link(account: &str) -> Show {
    link(format!("/console/accounts/{}", encode(account)), code(account))
}

/// A word of the API for people.
pub(super) fn phrase(word: &str) -> String {
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_characters() {
        let strip = |html: &str| {
            let mut out = String::new();
            let mut is_inside = false;
            for c in html.chars() {
                match c {
                    '<' => is_inside = true,
                    '>' => is_inside = false,
                    c if !is_inside => out.push(c),
                    _of_a_tag => {}
                }
            }
            out
        };
        for figure in ["0", "12", "123", "1234", "123456", "1234567.89", "-1234.5", "-0.000001", "99999999999999999999.99"] {
            assert_eq!(strip(&grouped(figure)), figure);
        }
        assert_eq!(grouped("1234567.8901"), "1<span class=\"k\">234</span><span class=\"k\">567</span>.8901");
        assert_eq!(grouped("123456"), "123<span class=\"k\">456</span>");
        for odd in ["", "-", "1e5", "1.", ".5", "1,000", "<b>", "--1", "١٢"] {
            assert_eq!(grouped(odd), escape(odd));
        }
    }

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "<script>alert(1)</script>\" onclick='x' &";
        let kinds: [fn(String) -> Show; 5] = [Show::Text, Show::Number, Show::Time, Show::Code, Show::Status];
        for kind in kinds {
            let shown = link(hostile, kind(hostile.to_owned())).html();
            assert!(!shown.contains("<script") && !shown.contains("onclick='"), "{shown}");
        }
        let mut table = Table::new("t", hostile, [words("A")]).note(hostile);
        table.rows.push(Row::of([text(hostile)]));
        table.next = Some(hostile.to_owned());
        let parts: [String; 6] = [
            table.html(),
            Facts::new(hostile, [("a", text(hostile))]).html(),
            Form { action: hostile.into(), fields: vec![Field::new("text", "a", "A", hostile)], button: "Go", target: "" }.html(),
            Verbatim { title: hostile.into(), text: hostile.into(), is_folded: false }.html(),
            Chart { title: hostile.into(), rows: vec![vec![hostile.into()]], lines: vec!["a"] }.html(),
            bars(hostile, hostile.into(), &[(hostile.to_owned(), 3)], (hostile.into(), hostile.into())).html(),
        ];
        for part in parts {
            assert!(!part.contains("<script") && !part.contains("onclick='") && !part.contains("\" onclick"), "{part}");
            assert!(part.contains("script&#62;") || part.contains("script&gt;"), "{part}");
        }
    }

    #[test]
    fn pages_keep_their_filters() {
        let pages = |here: &str, next: &str| {
            let table = Table::new("t", "", []).pages(here, "cursor", next);
            (table.next, table.first)
        };
        let (next, first) = pages("/console/stock", "a b");
        assert_eq!((next.as_deref(), first), (Some("/console/stock?cursor=a%20b"), None));
        let (next, first) = pages("/console/stock?search=x&cursor=1&empty=", "2");
        assert_eq!(next.as_deref(), Some("/console/stock?search=x&cursor=2"));
        assert_eq!(first.as_deref(), Some("/console/stock?search=x"));
        assert_eq!(pages("/console/stock?cursor=1", "").0, None);
    }

    #[test]
    fn names_are_encoded_in_paths() {
        assert_eq!(encode("A/B ü%"), "A%2FB%20%C3%BC%25");
        assert_eq!((encode(".."), encode("a.b")), ("%2E%2E".to_owned(), "a.b".to_owned()));
        assert_eq!(query(&[("a", ""), ("b", "x y"), ("c", "&")]), "?b=x%20y&c=%26");
        assert_eq!(query(&[]), "");
    }

    #[test]
    fn bars_are_as_tall_as_their_counts() {
        let bars = bars("T", String::new(), &[("a".into(), 0), ("b".into(), 5), ("c".into(), 10)], Default::default());
        let shape: Vec<_> = bars.bars.iter().map(|bar| (bar.x, bar.y, bar.height)).collect();
        assert_eq!(shape, [(0, 100, 0), (10, 50, 50), (20, 0, 100)]);
        assert_eq!((bars.width(), bars.most), (30, 10));
    }
}
