//! Units of measure: an alternate unit is an exact ratio of base units, never a decimal factor.

use minicbor::{Decode, Encode};

use super::amount::Number;
use super::id::UnitCode;

/// One `code` is `numerator / denominator` base units: a dozen is 12/1, a third of a box 1/3.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnitOfMeasure {
    /// Its name on documents.
    #[n(0)]
    pub code: UnitCode,
    /// Base units …
    #[n(1)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000_000))]
    pub numerator: u64,
    /// … per so many of this unit.
    #[n(2)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000_000))]
    pub denominator: u64,
}

/// Why a quantity cannot be expressed in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inexact {
    /// The product is no whole number of units at the item's scale.
    Ratio,
    /// It leaves the range.
    Range,
}

impl UnitOfMeasure {
    /// `quantity` of this unit in base units at `scale`; only when that is exact.
    ///
    /// # Errors
    /// [`Inexact`].
    pub fn to_base(&self, quantity: Number, scale: u8) -> Result<i64, Inexact> {
        let decimal = quantity.decimal();
        let product = decimal.mantissa().checked_mul(i128::from(self.numerator)).ok_or(Inexact::Range)?;
        let product = 10_i128.checked_pow(u32::from(scale)).and_then(|ten| product.checked_mul(ten)).ok_or(Inexact::Range)?;
        let divisor = 10_i128
            .checked_pow(decimal.scale())
            .and_then(|ten| ten.checked_mul(i128::from(self.denominator)))
            .ok_or(Inexact::Range)?;
        if product.checked_rem(divisor) != Some(0) {
            return Err(Inexact::Ratio);
        }
        let units = product.checked_div(divisor).ok_or(Inexact::Range)?;
        i64::try_from(units)
            .ok()
            .filter(|u| u.checked_abs().is_some_and(|a| a <= super::limit::NUMBER_UNITS_MAX))
            .ok_or(Inexact::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(numerator: u64, denominator: u64) -> UnitOfMeasure {
        UnitOfMeasure { code: UnitCode::trusted("u"), numerator, denominator }
    }

    #[test]
    fn thirds_and_ninths_are_exact_or_refused() {
        let n = |text: &str| Number::parse(text).unwrap();
        assert_eq!(unit(1, 3).to_base(n("3"), 0), Ok(1));
        assert_eq!(unit(1, 9).to_base(n("27"), 0), Ok(3));
        assert_eq!(unit(1, 9).to_base(n("4.5"), 1), Ok(5));
        for scale in 0..=9 {
            assert_eq!(unit(1, 3).to_base(n("1"), scale), Err(Inexact::Ratio));
            assert_eq!(unit(1, 9).to_base(n("3"), scale), Err(Inexact::Ratio));
        }
        assert_eq!(unit(12, 1).to_base(n("1.5"), 0), Ok(18));
        assert_eq!(unit(1_000_000_000, 1).to_base(n("999999999999999999"), 0), Err(Inexact::Range));
    }
}
