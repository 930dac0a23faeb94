//! Exact numbers. Quantities and amounts are whole units of a stated scale; nothing here rounds except
//! [`share`] and [`extend`], half to even (IEEE 754 roundTiesToEven), and they say so.

use std::fmt;

use rust_decimal::Decimal;

use super::limit::{NUMBER_DIGITS_MAX, NUMBER_UNITS_MAX, SCALE_MAX};

/// A decimal number as a caller wrote it, before its scale is known to be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Number(Decimal);

/// Why a text is no number of this ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not `-?(0|[1-9][0-9]*)(\.[0-9]+)?`.
    #[error("is not a plain decimal number such as \"12.50\"")]
    Syntax,
    /// More than [`NUMBER_DIGITS_MAX`] digits.
    #[error("has more than 18 digits")]
    Digits,
    /// More than [`SCALE_MAX`] decimals.
    #[error("has more than 9 decimals")]
    Decimals,
}

impl Number {
    /// Parses a plain decimal: no sign but `-`, no exponent, no leading zeros, no blanks.
    ///
    /// # Errors
    /// [`NumberError`].
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || fraction.is_some_and(|f| !all_digits(f)) {
            return Err(NumberError::Syntax);
        }
        let fraction = fraction.unwrap_or("");
        if fraction.len() > usize::from(SCALE_MAX) {
            return Err(NumberError::Decimals);
        }
        if whole.len().saturating_add(fraction.len()) > NUMBER_DIGITS_MAX as usize + usize::from(whole == "0") {
            return Err(NumberError::Digits);
        }
        let mut mantissa: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|m| m.checked_add(i64::from(digit.wrapping_sub(b'0'))))
                .ok_or(NumberError::Digits)?;
        }
        let signed = if negative { mantissa.checked_neg().ok_or(NumberError::Digits)? } else { mantissa };
        Ok(Self(Decimal::from_i128_with_scale(
            i128::from(signed),
            u32::try_from(fraction.len()).map_err(|_| NumberError::Decimals)?,
        )))
    }

    /// A whole number of units at `scale`, for answers and reports.
    #[must_use]
    pub fn from_units(units: i64, scale: u8) -> Self {
        Self(Decimal::from_i128_with_scale(i128::from(units), u32::from(scale)))
    }

    /// The number as units of `scale`; `None` when it was written with more decimals or is too large.
    #[must_use]
    pub fn units_at(self, scale: u8) -> Option<i64> {
        let missing = u32::from(scale).checked_sub(self.0.scale())?;
        let units = self.0.mantissa().checked_mul(10_i128.checked_pow(missing)?)?;
        i64::try_from(units).ok().filter(|u| u.checked_abs().is_some_and(|a| a <= NUMBER_UNITS_MAX))
    }

    /// True for zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// True below zero; minus zero is not.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// The decimal itself.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl serde::Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number as a string, or an integer")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                Number::parse(text).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Number, E> {
                if value.checked_abs().is_none_or(|a| a > NUMBER_UNITS_MAX) {
                    return Err(E::custom(NumberError::Digits));
                }
                Ok(Number::from_units(value, 0))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Number, E> {
                let value = i64::try_from(value).map_err(|_| E::custom(NumberError::Digits))?;
                self.visit_i64(value)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<C> minicbor::Encode<C> for Number {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let mantissa = i64::try_from(self.0.mantissa()).map_err(|_| minicbor::encode::Error::message("number out of range"))?;
        e.array(2)?.i64(mantissa)?.u32(self.0.scale())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Number {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.array()?;
        let (mantissa, scale) = (d.i64()?, d.u32()?);
        Decimal::try_from_i128_with_scale(i128::from(mantissa), scale)
            .map(Self)
            .map_err(|_| minicbor::decode::Error::message("number out of range"))
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for Number {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
        OneOfBuilder::new()
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some("^-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,9})?$"))
                    .description(Some("Exact decimal, at most 18 digits")),
            )
            .item(ObjectBuilder::new().schema_type(Type::Integer))
            .into()
    }
}
#[cfg(feature = "openapi")]
impl utoipa::ToSchema for Number {}

/// `numerator / denominator` rounded half to even; `None` on overflow or a zero denominator.
#[must_use]
pub fn divide_half_even(numerator: i128, denominator: i128) -> Option<i64> {
    let quotient = numerator.checked_div_euclid(denominator)?;
    let remainder = numerator.checked_rem_euclid(denominator)?;
    let twice = remainder.checked_mul(2)?;
    let size = denominator.checked_abs()?;
    let step = i128::from(denominator.signum() >= 0) * 2 - 1;
    let up = twice > size || (twice == size && quotient.checked_rem_euclid(2)? == 1);
    let rounded = if up { quotient.checked_add(step)? } else { quotient };
    i64::try_from(rounded).ok().filter(|r| r.checked_abs().is_some_and(|a| a <= NUMBER_UNITS_MAX))
}

/// `value × part ÷ whole`, half to even; all of `value` when `part = whole`, so the last unit takes the remainder.
#[must_use]
pub fn share(value: i64, part: i64, whole: i64) -> Option<i64> {
    if part == whole {
        return Some(value);
    }
    divide_half_even(i128::from(value).checked_mul(i128::from(part))?, i128::from(whole))
}

/// `quantity × unit_cost` in units of the currency, half to even. `quantity` has `quantity_scale` decimals.
#[must_use]
pub fn extend(quantity: i64, quantity_scale: u8, unit_cost: Number, currency_scale: u8) -> Option<i64> {
    let product = i128::from(quantity).checked_mul(unit_cost.0.mantissa())?;
    let scale = u32::from(quantity_scale).checked_add(unit_cost.0.scale())?;
    let currency_scale = u32::from(currency_scale);
    if scale >= currency_scale {
        divide_half_even(product, 10_i128.checked_pow(scale.checked_sub(currency_scale)?)?)
    } else {
        let factor = 10_i128.checked_pow(currency_scale.checked_sub(scale)?)?;
        divide_half_even(product.checked_mul(factor)?, 1)
    }
}

/// Adds within the ledger's range; `None` beyond 18 digits.
#[must_use]
pub fn add(a: i64, b: i64) -> Option<i64> {
    a.checked_add(b).filter(|sum| sum.checked_abs().is_some_and(|s| s <= NUMBER_UNITS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_strict() {
        for bad in
            ["", "-", ".5", "5.", "1e5", "+1", " 1", "01", "1_000", "NaN", "1.0000000000", "1234567890123456789", "0x1", "１"]
        {
            assert!(Number::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Number::parse("12.50").map(|n| n.to_string()), Ok("12.50".into()));
        assert_eq!(Number::parse("-0.0001").ok().and_then(|n| n.units_at(4)), Some(-1));
        assert_eq!(Number::parse("0.12345").ok().and_then(|n| n.units_at(4)), None);
        assert_eq!(Number::parse("999999999999999999").ok().and_then(|n| n.units_at(0)), Some(NUMBER_UNITS_MAX));
    }

    #[test]
    fn halves_go_to_even() {
        for (n, d, want) in
            [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (1, 3, 0), (2, 3, 1), (-2, 3, -1), (5, -2, -2), (7, -2, -4)]
        {
            assert_eq!(divide_half_even(n, d), Some(want), "{n}/{d}");
        }
        assert_eq!(divide_half_even(1, 0), None);
    }

    proptest! {
        #[test]
        fn shares_add_up(value in -1_000_000_000_i64..1_000_000_000, parts in prop::collection::vec(1_i64..1_000, 1..20)) {
            let mut whole: i64 = parts.iter().sum();
            let mut left = value;
            for part in parts {
                let taken = share(left, part, whole).unwrap_or(i64::MAX);
                left -= taken;
                whole -= part;
            }
            prop_assert_eq!((whole, left), (0, 0));
        }

        #[test]
        fn division_is_within_half(n in -1_000_000_000_000_i128..1_000_000_000_000, d in 1_i128..1_000_000) {
            let q = i128::from(divide_half_even(n, d).unwrap_or(i64::MAX));
            prop_assert!((q * d - n).abs() * 2 <= d);
        }
    }
}
