//! First in, first out: by the instant since which something is there.

use super::Facts;

pub(super) const fn rank(facts: &Facts) -> Option<i64> {
    Some(facts.since.0)
}
