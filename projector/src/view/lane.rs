//! Running totals by effective time at a cost that does not grow with what was recorded later.
//!
//! **Shape**: movements of one item at one place are dealt into lanes, as in patience sorting: each goes to the lane
//! whose last movement has the latest effective time that is not after its own, or begins a new one. A lane keeps its
//! own running totals.
//! **Correctness**: within a lane, order of position = order of effective time. So a lane's total as of any effective
//! time, as of any position, or both, is that of one of its movements, found by one index look-up; the place's total is
//! the sum over its lanes. A late movement writes one row, whatever came after it. Facts that come in order need one
//! lane; beyond [`LANES_MAX`] the rest goes to [`UNORDERED`], which a read sums up.

/// Lanes of one item at one place: facts recorded late in 31 interleaved orders.
pub const LANES_MAX: usize = 32;
/// The lane of movements that fit no lane; their lane totals are their own.
pub const UNORDERED: i16 = -1;

/// The last movement of a lane, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its effective time.
    pub effective_at: i64,
    /// Σ quantity of the lane.
    pub on_hand: i64,
    /// Σ value of the lane.
    pub value: i64,
}

/// Deals a movement into its lane: the lane's number and its totals afterwards. `None` on overflow.
pub(super) fn deal(lanes: &mut Vec<Lane>, effective_at: i64, quantity: i64, value: i64) -> Option<(i16, i64, i64)> {
    let fits = lanes.iter().enumerate().filter(|(_, l)| l.effective_at <= effective_at);
    let at = match fits.max_by_key(|(at, l)| (l.effective_at, std::cmp::Reverse(*at))).map(|(at, _)| at) {
        Some(at) => at,
        None if lanes.len() < LANES_MAX => {
            lanes.push(Lane { effective_at, on_hand: 0, value: 0 });
            lanes.len() - 1
        }
        None => return Some((UNORDERED, quantity, value)),
    };
    let lane = lanes.get_mut(at)?;
    lane.effective_at = effective_at;
    lane.on_hand = lane.on_hand.checked_add(quantity)?;
    lane.value = lane.value.checked_add(value)?;
    Some((i16::try_from(at).ok()?, lane.on_hand, lane.value))
}

/// Lanes as the table holds them.
pub(super) fn to_text(lanes: &[Lane]) -> String {
    let shown: Vec<String> = lanes.iter().map(|l| format!("{}:{}:{}", l.effective_at, l.on_hand, l.value)).collect();
    shown.join(",")
}

/// The inverse of [`to_text`]; `None` for a text that is none.
pub(super) fn from_text(text: &str) -> Option<Vec<Lane>> {
    let lane = |part: &str| {
        let mut numbers = part.split(':').map(|n| n.parse().ok());
        let lane = Lane { effective_at: numbers.next()??, on_hand: numbers.next()??, value: numbers.next()?? };
        numbers.next().is_none().then_some(lane)
    };
    text.split(',').filter(|part| !part.is_empty()).map(lane).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn facts_in_order_need_one_lane_and_a_late_one_another() {
        let mut lanes = Vec::new();
        for at in [1, 2, 2, 5] {
            assert_eq!(deal(&mut lanes, at, 1, 10).unwrap().0, 0);
        }
        assert_eq!(deal(&mut lanes, 3, 7, 70), Some((1, 7, 70)));
        assert_eq!(deal(&mut lanes, 4, 1, 10), Some((1, 8, 80)));
        assert_eq!(deal(&mut lanes, 6, 1, 10), Some((0, 5, 50)));
        assert_eq!(from_text(&to_text(&lanes)), Some(lanes));
        assert_eq!(from_text(""), Some(Vec::new()));
        assert_eq!(from_text("1:2"), None);
    }

    proptest! {
        #[test]
        fn any_time_is_the_sum_of_the_last_rows_of_the_lanes(moves in prop::collection::vec((0_i64..50, -9_i64..9), 0..120)) {
            let mut lanes = Vec::new();
            let mut rows: Vec<(i64, i16, i64)> = Vec::new();
            for (at, quantity) in &moves {
                let (lane, total, _) = deal(&mut lanes, *at, *quantity, 0).unwrap();
                rows.push((*at, lane, total));
            }
            for asked in 0..50 {
                let expected: i64 = moves.iter().filter(|(at, _)| *at <= asked).map(|(_, q)| q).sum();
                let of_lane = |lane: usize| {
                    let lane = i16::try_from(lane).unwrap();
                    rows.iter().rev().find(|(at, l, _)| *l == lane && *at <= asked).map_or(0, |(_, _, total)| *total)
                };
                let ordered: i64 = (0..lanes.len()).map(of_lane).sum();
                let rest: i64 = rows.iter().filter(|(at, l, _)| *l == UNORDERED && *at <= asked).map(|(_, _, q)| q).sum();
                prop_assert_eq!(ordered + rest, expected);
            }
            prop_assert!(lanes.len() <= LANES_MAX);
        }
    }
}
