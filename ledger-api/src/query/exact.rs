//! Numbers in answers: always decimal strings, exact at any size.

use std::fmt;

use serde::{Serialize, Serializer};

/// Whole units with a number of decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exact {
    units: i128,
    scale: u8,
}

impl Exact {
    /// `units` of `scale` decimals.
    pub(crate) fn new(units: impl Into<i128>, scale: u8) -> Self {
        Self { units: units.into(), scale }
    }

    /// True for zero.
    pub(crate) const fn is_zero(self) -> bool {
        self.units == 0
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale.saturating_add(1));
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl utoipa::PartialSchema for Exact {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$"))
            .description(Some("Exact decimal"))
            .examples(["12.50"])
            .into()
    }
}
impl utoipa::ToSchema for Exact {}

#[cfg(test)]
mod tests {
    use super::Exact;

    #[test]
    fn numbers_are_shown_exactly() {
        for (units, scale, shown) in [
            (0_i128, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (1_250, 2, "12.50"),
            (-1, 0, "-1"),
            (12, 9, "0.000000012"),
        ] {
            assert_eq!(Exact::new(units, scale).to_string(), shown);
        }
        assert_eq!(Exact::new(10_i128.pow(37), 2).to_string(), format!("1{}.00", "0".repeat(35)));
    }
}
