//! As few places as possible: the smallest one that has it all; if none has, the largest first, which for one demand
//! is the least number of places there can be.

use std::cmp::Reverse;

use super::{Candidate, Facts};

pub(super) const fn rank(_: &Facts) -> Option<i64> {
    Some(0)
}

pub(super) fn order(quantity: i64, candidates: &mut [Candidate]) {
    let is_enough = candidates.iter().any(|c| c.available >= quantity);
    if is_enough {
        // Those that have it all first, the smallest of them in front; the others can serve no better.
        candidates.sort_by(|a, b| {
            (a.available < quantity, a.available, &a.location, &a.lot).cmp(&(
                b.available < quantity,
                b.available,
                &b.location,
                &b.lot,
            ))
        });
    } else {
        candidates.sort_by(|a, b| (Reverse(a.available), &a.location, &a.lot).cmp(&(Reverse(b.available), &b.location, &b.lot)));
    }
}
