//! Ends of a span of time, as a query names them: an instant, or a day (UTC) that stands for its first or last instant.

use std::fmt;

use ledger_core::domain::time::Timestamp;
use serde::{Deserialize, Deserializer};

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Where a span begins; this instant is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since(pub(crate) Timestamp);

/// Where a span ends; this instant is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Until(pub(crate) Timestamp);

/// The first instant of a day such as `2026-11-30`; `None` for what is no day.
fn day(text: &str) -> Option<Timestamp> {
    let is_day = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    is_day.then(|| Timestamp::parse(&format!("{text}T00:00:00Z")).ok())?
}

/// Days since 1970-01-01, UTC.
pub(crate) const fn day_number(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MICROS)
}

impl Since {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        day(text).or_else(|| Timestamp::parse(text).ok()).map(Self)
    }

    /// The last instant before it.
    pub(crate) const fn before(self) -> Timestamp {
        Timestamp(self.0.0.saturating_sub(1))
    }
}

impl Until {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let last = |first: Timestamp| Timestamp(first.0.saturating_add(DAY_MICROS).saturating_sub(1));
        day(text).map(last).or_else(|| Timestamp::parse(text).ok()).map(Self)
    }
}

/// A day where it is one, the instant otherwise.
fn show(f: &mut fmt::Formatter<'_>, at: Timestamp, is_whole: bool) -> fmt::Result {
    let text = at.to_string();
    match text.split_once('T') {
        Some((day, _)) if is_whole => f.write_str(day),
        _an_instant => f.write_str(&text),
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, self.0.0.rem_euclid(DAY_MICROS) == 0)
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.0, self.0.0.rem_euclid(DAY_MICROS) == DAY_MICROS - 1)
    }
}

macro_rules! from_text {
    ($name:ident, $which:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a day such as 2026-11-30 or an RFC 3339 time"))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type};
                let text = |format, what| {
                    let text = ObjectBuilder::new().schema_type(Type::String);
                    text.format(Some(SchemaFormat::KnownFormat(format))).description(Some(what))
                };
                OneOfBuilder::new()
                    .item(text(KnownFormat::Date, concat!("A day, UTC: its ", $which, " instant")))
                    .item(text(KnownFormat::DateTime, "RFC 3339 instant"))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

from_text!(Since, "first");
from_text!(Until, "last");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_whole() {
        let (since, until) = (Since::parse("2026-11-30").unwrap(), Until::parse("2026-11-30").unwrap());
        assert_eq!(
            (since.0.to_string(), until.0.to_string()),
            ("2026-11-30T00:00:00Z".into(), "2026-11-30T23:59:59.999999Z".into())
        );
        assert_eq!((since.to_string(), until.to_string()), ("2026-11-30".into(), "2026-11-30".into()));
        assert_eq!(since.before().to_string(), "2026-11-29T23:59:59.999999Z");
        assert_eq!(day_number(until.0), day_number(since.0));
        assert_eq!(day_number(since.before()) + 1, day_number(since.0));
    }

    #[test]
    fn an_instant_is_itself() {
        for text in ["2026-11-30T10:00:00Z", "2026-11-30T11:00:00+01:00"] {
            assert_eq!(Until::parse(text).unwrap().0, Since::parse("2026-11-30T10:00:00Z").unwrap().0);
        }
        assert_eq!(Until::parse("2026-11-30T10:00:00Z").unwrap().to_string(), "2026-11-30T10:00:00Z");
        for bad in ["", "2026-11", "2026-13-01", "2026-02-30", "20261130", "yesterday", "2026-11-30T10:00:00", "----------"] {
            assert!(Since::parse(bad).is_none() && Until::parse(bad).is_none(), "{bad}");
        }
    }
}
