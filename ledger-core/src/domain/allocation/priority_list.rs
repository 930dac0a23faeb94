//! A list of locations, first choice first. What is not inside of any of them is left out.

use super::Facts;

pub(super) fn rank(facts: &Facts) -> Option<i64> {
    facts.listed.and_then(|at| i64::try_from(at).ok())
}
