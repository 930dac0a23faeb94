//! First expired, first out. What does not expire comes last.

use super::Facts;

pub(super) fn rank(facts: &Facts) -> Option<i64> {
    Some(facts.expires_at.map_or(i64::MAX, |at| at.0))
}
