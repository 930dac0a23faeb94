//! Currencies (ISO 4217) and exchange at a stated rate.

use super::amount::{Number, extend};
use super::id::CurrencyCode;
use super::limit::CURRENCY_SCALE_MAX;

/// Decimals of a currency's minor unit; `None` for a code that ISO 4217 does not list, or lists without a minor unit.
///
/// The number is stored with every amount, so that a later edition of the standard changes nothing that was posted.
#[must_use]
pub fn scale(currency: &CurrencyCode) -> Option<u8> {
    let exponent = iso_currency::Currency::from_code(currency.as_str())?.exponent()?;
    u8::try_from(exponent).ok().filter(|scale| *scale <= CURRENCY_SCALE_MAX)
}

/// `amount` units of a currency with `scale` decimals, at `rate` base units for one, in units of the base currency; half
/// to even.
#[must_use]
pub fn exchange(amount: i64, scale: u8, rate: Number, base_scale: u8) -> Option<i64> {
    extend(amount, scale, rate, base_scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_those_of_the_standard() {
        let of = |code: &str| CurrencyCode::parse(code).ok().and_then(|c| scale(&c));
        assert_eq!([of("EUR"), of("JPY"), of("KWD"), of("CLF"), of("SEK")], [Some(2), Some(0), Some(3), Some(4), Some(2)]);
        assert_eq!([of("QQQ"), of("XAU"), of("eur"), of("")], [None; 4]);
    }

    #[test]
    fn an_exchange_rounds_once_half_to_even() {
        let rate = Number::parse("1.0843").unwrap();
        assert_eq!(exchange(10_000, 2, rate, 2), Some(10_843));
        assert_eq!(exchange(-10_000, 2, rate, 2), Some(-10_843));
        assert_eq!(exchange(1_000, 0, Number::parse("0.00625").unwrap(), 2), Some(625));
        assert_eq!(exchange(1, 2, Number::parse("0.5").unwrap(), 2), Some(0));
        assert_eq!(exchange(3, 2, Number::parse("0.5").unwrap(), 2), Some(2));
    }
}
