//! Calendar months, UTC: the accounting periods.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::domain::time::Timestamp;

/// A month, counted from January of year 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Month(#[n(0)] pub i32);

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a month such as 2026-11")]
pub struct MonthError;

/// Years that a period may lie in.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9990;

impl Month {
    /// The month of a year, 1 to 12.
    ///
    /// # Errors
    /// [`MonthError`].
    pub fn new(year: i32, month: u8) -> Result<Self, MonthError> {
        if !YEARS.contains(&year) || !(1..=12).contains(&month) {
            return Err(MonthError);
        }
        Ok(Self(year.saturating_mul(12).saturating_add(i32::from(month)).saturating_sub(1)))
    }

    /// The month an instant lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let date = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC).date();
        let month = i32::from(date.month()).saturating_sub(1);
        Self(i32::from(date.year()).saturating_mul(12).saturating_add(month))
    }

    /// Year and month of the year, 1 to 12.
    #[must_use]
    pub const fn parts(self) -> (i32, u8) {
        // A remainder of 12 fits.
        (self.0.div_euclid(12), self.0.rem_euclid(12) as u8 + 1)
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let (year, month) = self.parts();
        let date = i16::try_from(year).ok().zip(i8::try_from(month).ok()).and_then(|(y, m)| jiff::civil::Date::new(y, m, 1).ok());
        let start = date.and_then(|d| d.to_zoned(jiff::tz::TimeZone::UTC).ok());
        Timestamp(start.map_or(i64::MAX, |z| z.timestamp().as_microsecond()))
    }

    /// The first instant after it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next().start()
    }

    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The month before it.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The calendar year in which the fiscal year begins that it belongs to; fiscal years begin with month `starts`.
    #[must_use]
    pub const fn fiscal_year(self, starts: u8) -> i32 {
        let (year, month) = self.parts();
        if month < starts { year.saturating_sub(1) } else { year }
    }

    /// The last month of a fiscal year.
    ///
    /// # Errors
    /// [`MonthError`] for a year out of range.
    pub fn last_of_year(year: i32, starts: u8) -> Result<Self, MonthError> {
        Ok(Self(Self::new(year, starts)?.0.saturating_add(11)))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.parts();
        write!(f, "{year:04}-{month:02}")
    }
}

impl std::str::FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(MonthError);
        }
        Self::new(year.parse().map_err(|_| MonthError)?, month.parse().map_err(|_| MonthError)?)
    }
}

impl serde::Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Month {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{4}-(0[1-9]|1[0-2])$"))
            .description(Some("A calendar month, UTC, such as `2026-11`"))
            .into()
    }
}
#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Month {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_and_end_where_the_calendar_says() {
        let month: Month = "2024-02".parse().unwrap();
        assert_eq!(month.start().to_string(), "2024-02-01T00:00:00Z");
        assert_eq!(month.end().to_string(), "2024-03-01T00:00:00Z");
        assert_eq!(Month::of(Timestamp(month.end().0 - 1)), month);
        assert_eq!(Month::of(month.end()), month.next());
        assert_eq!(month.to_string(), "2024-02");
        assert_eq!("2023-12".parse::<Month>().unwrap().next(), "2024-01".parse().unwrap());
        for bad in ["2024", "2024-13", "2024-00", "24-01", "2024-1", "2024-01-01", "", "-024-01", "1969-12"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fiscal_year_is_named_by_the_year_it_begins_in() {
        let year = |month: &str, starts| month.parse::<Month>().unwrap().fiscal_year(starts);
        assert_eq!([year("2026-01", 1), year("2026-06", 7), year("2026-07", 7), year("2026-12", 7)], [2026, 2025, 2026, 2026]);
        assert_eq!(Month::last_of_year(2009, 7).unwrap().to_string(), "2010-06");
        assert_eq!(Month::last_of_year(2026, 1).unwrap().to_string(), "2026-12");
    }
}
