//! By distance on the tenant's plan; places without coordinates come last.

use super::Facts;

pub(super) fn rank(facts: &Facts) -> Option<i64> {
    Some(facts.distance.unwrap_or(i64::MAX))
}

/// Squared distance in metres²; saturates.
pub(crate) fn distance(from: (i32, i32), to: (i32, i32)) -> i64 {
    let square = |a: i32, b: i32| {
        let d = i64::from(a).saturating_sub(i64::from(b));
        d.saturating_mul(d)
    };
    square(from.0, to.0).saturating_add(square(from.1, to.1))
}
