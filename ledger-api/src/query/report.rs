//! Reports: JSON for programs, CSV for spreadsheets, a printable page for people.
//!
//! **Shape**: each report reads balances or postings up to one position, makes its body, and [`Report::answer`] shows that
//! as asked for. CSV and the page are two renderings of one [`table::Table`].
//! **Correctness**: what a report reads in several statements is bounded by one position. Totals are sums of units of any
//! size, never of what is shown.

pub(crate) mod aged;
mod csv;
pub(crate) mod financial;
pub(crate) mod general_ledger;
mod html;
mod table;
mod tree;
pub(crate) mod trial_balance;
pub(crate) mod valuation;
pub(crate) mod vat;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header as names};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::balance::Fixed;
use super::moment::{Since, Until};
use super::tenant::Book;
use super::{Reading, Version};
use crate::problem::{Fault, Problem};
use crate::state::Api;
pub(crate) use html::escape;
use table::Table;

/// How a report is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// For programs.
    #[default]
    Json,
    /// For spreadsheets.
    Csv,
    /// For people and printers.
    Html,
}

impl Format {
    /// What the query names; else what `Accept` likes best among what there is, else JSON.
    fn of(asked: Option<Self>, headers: &HeaderMap) -> Self {
        asked.unwrap_or_else(|| preferred(headers).unwrap_or_default())
    }

    fn named(media_type: &str) -> Option<Self> {
        match media_type.trim().to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            "text/csv" => Some(Self::Csv),
            "text/html" => Some(Self::Html),
            _another => None,
        }
    }
}

/// The best liked format; of equally liked ones the first.
fn preferred(headers: &HeaderMap) -> Option<Format> {
    let values = headers.get_all(names::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(','));
    let liked = ranges.filter_map(|range| {
        let mut parts = range.split(';');
        let format = Format::named(parts.next()?)?;
        let weight = parts.find_map(|p| p.trim().strip_prefix("q=")).map_or(1_000, thousandths);
        (weight > 0).then_some((format, weight))
    });
    liked.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(format, _)| format)
}

/// A weight such as `0.5` (RFC 9110, §12.4.2); what is none weighs nothing.
fn thousandths(text: &str) -> u32 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.len() <= 3 && s.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "1" if digits(fraction) => 1_000,
        "0" if digits(fraction) => format!("{fraction:0<3}").parse().unwrap_or(0),
        _no_weight => 0,
    }
}

/// A report about to be answered.
struct Report<'a> {
    api: &'a Api,
    reading: &'a Reading,
    book: Arc<Book>,
    fixed: Fixed,
    format: Format,
    /// The report's name in its path.
    name: &'static str,
}

impl<'a> Report<'a> {
    async fn new(
        (api, reading): (&'a Api, &'a Reading),
        name: &'static str,
        format: Format,
        fixed: Fixed,
    ) -> Result<Self, Problem> {
        let book = api.books.of(api, reading.tenant).await?;
        Ok(Self { api, reading, book, fixed, format, name })
    }

    /// Shows a body as asked for.
    fn answer<T: Serialize>(&self, body: &T, table: impl FnOnce() -> Table) -> Result<Response, Problem> {
        let as_of = self.fixed.as_of;
        let mut response = match self.format {
            Format::Json => self.reading.show(as_of, Version::Body, body)?,
            Format::Csv => {
                self.reading.send(as_of, Version::Body, "text/csv; charset=utf-8; header=present", csv::render(&table()))?
            }
            Format::Html => {
                let page = html::render(&table(), &self.frame());
                self.reading.send(as_of, Version::Body, "text/html; charset=utf-8", page)?
            }
        };
        let headers = response.headers_mut();
        headers.insert(names::VARY, HeaderValue::from_static("Authorization, Accept, Accept-Encoding"));
        match self.format {
            Format::Json => {}
            Format::Csv => {
                let file = format!("attachment; filename=\"{}.csv\"", self.name);
                headers.extend(HeaderValue::try_from(file).ok().map(|value| (names::CONTENT_DISPOSITION, value)));
            }
            Format::Html => {
                headers.insert(names::CONTENT_SECURITY_POLICY, HeaderValue::from_static(html::POLICY));
                headers.insert(names::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                headers.insert(names::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            }
        }
        Ok(response)
    }

    fn frame(&self) -> html::Frame {
        let Book { code, name, currency, .. } = &*self.book;
        let tenant = if name.is_empty() { code.clone() } else { format!("{name} ({code})") };
        let tenant = if currency.is_empty() { tenant } else { format!("{tenant}, in {currency}") };
        // To the second: nobody reads more of it.
        let now = self.api.pipeline.now();
        let made_at = ledger_core::domain::time::Timestamp(now.0.div_euclid(1_000_000).saturating_mul(1_000_000));
        html::Frame { tenant, position: self.fixed.upto, made_at: made_at.to_string() }
    }
}

/// A span must not end before it begins.
///
/// # Errors
/// `parameter_invalid`.
fn must_be_in_order(from: Since, to: Until) -> Result<(), Problem> {
    if from.0 > to.0 {
        return Err(Problem::new(Fault::ParameterInvalid, "from: must not be after to"));
    }
    Ok(())
}

/// Yes or no for people.
fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(accept: &str) -> Format {
        let mut headers = HeaderMap::new();
        headers.insert(names::ACCEPT, HeaderValue::from_str(accept).unwrap());
        Format::of(None, &headers)
    }

    #[test]
    fn the_best_liked_format_is_shown() {
        assert_eq!(accepting("text/csv"), Format::Csv);
        assert_eq!(accepting("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Format::Html);
        assert_eq!(accepting("text/csv;q=0.5, application/json;q=0.9"), Format::Json);
        assert_eq!(accepting("text/html;q=0.1, TEXT/CSV; charset=utf-8; q=0.25"), Format::Csv);
        for json in ["*/*", "application/json", "", "text/csv;q=0", "text/csv;q=2", "text/csv;q=x", "image/png"] {
            assert_eq!(accepting(json), Format::Json, "{json}");
        }
        assert_eq!(Format::of(Some(Format::Html), &HeaderMap::new()), Format::Html);
    }

    #[test]
    fn a_span_does_not_end_before_it_begins() {
        let (day, next) = ("2026-11-30", "2026-12-01");
        let order = |from: &str, to: &str| must_be_in_order(Since::parse(from).unwrap(), Until::parse(to).unwrap());
        assert!(order(day, day).is_ok() && order(day, next).is_ok());
        assert_eq!(order(next, day).unwrap_err().code(), "parameter_invalid");
    }
}
