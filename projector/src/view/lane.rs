//! Running totals by effective time at a cost that does not grow with what was recorded later.
//!
//! **Shape**: changes of one thing (movements of an item at a place, postings to an account in a currency) are dealt into
//! lanes, as in patience sorting: each goes to the lane whose last change has the latest effective time that is not after
//! its own, or begins a new one. A lane keeps its own running totals, `N` of them.
//! **Correctness**: within a lane, order of position = order of effective time. So a lane's totals as of any effective
//! time, as of any position, or both, are those of one of its changes, found by one or two index look-ups; the thing's
//! totals are the sum over its lanes. A late change writes one row, whatever came after it. Facts that come in order need
//! one lane; beyond [`LANES_MAX`] the rest goes to [`UNORDERED`], which a read sums up.

/// Lanes of one thing: facts recorded late in 31 interleaved orders.
pub const LANES_MAX: usize = 32;
/// The lane of changes that fit no lane; their lane totals are their own.
pub const UNORDERED: i16 = -1;
/// The lane of what closes a fiscal year, so that an income statement can leave it out; their lane totals are their own.
pub const CLOSING: i16 = -2;

/// The last change of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane<const N: usize> {
    /// Its effective time.
    pub effective_at: i64,
    /// Sums over the lane, in units.
    pub totals: [i64; N],
}

/// Sums of two rows of totals; `None` on overflow.
pub(super) fn plus<const N: usize>(totals: [i64; N], change: [i64; N]) -> Option<[i64; N]> {
    let mut sums = totals;
    for (sum, part) in sums.iter_mut().zip(change) {
        *sum = sum.checked_add(part)?;
    }
    Some(sums)
}

/// Deals a change into its lane: the lane's number and its totals afterwards. `None` on overflow.
pub(super) fn deal<const N: usize>(lanes: &mut Vec<Lane<N>>, effective_at: i64, change: [i64; N]) -> Option<(i16, [i64; N])> {
    let fits = lanes.iter().enumerate().filter(|(_, l)| l.effective_at <= effective_at);
    let at = match fits.max_by_key(|(at, l)| (l.effective_at, std::cmp::Reverse(*at))).map(|(at, _)| at) {
        Some(at) => at,
        None if lanes.len() < LANES_MAX => {
            lanes.push(Lane { effective_at, totals: [0; N] });
            lanes.len() - 1
        }
        None => return Some((UNORDERED, change)),
    };
    let lane = lanes.get_mut(at)?;
    lane.effective_at = effective_at;
    lane.totals = plus(lane.totals, change)?;
    Some((i16::try_from(at).ok()?, lane.totals))
}

/// Lanes as the table holds them.
pub(super) fn to_text<const N: usize>(lanes: &[Lane<N>]) -> String {
    let shown = |l: &Lane<N>| {
        let totals = l.totals.iter().map(|n| format!(":{n}"));
        std::iter::once(l.effective_at.to_string()).chain(totals).collect::<String>()
    };
    lanes.iter().map(shown).collect::<Vec<_>>().join(",")
}

/// The inverse of [`to_text`]; `None` for a text that is none.
pub(super) fn from_text<const N: usize>(text: &str) -> Option<Vec<Lane<N>>> {
    let lane = |part: &str| {
        let mut numbers = part.split(':').map(|n| n.parse().ok());
        let mut lane = Lane { effective_at: numbers.next()??, totals: [0; N] };
        for total in &mut lane.totals {
            *total = numbers.next()??;
        }
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
            assert_eq!(deal(&mut lanes, at, [1, 10]).unwrap().0, 0);
        }
        assert_eq!(deal(&mut lanes, 3, [7, 70]), Some((1, [7, 70])));
        assert_eq!(deal(&mut lanes, 4, [1, 10]), Some((1, [8, 80])));
        assert_eq!(deal(&mut lanes, 6, [1, 10]), Some((0, [5, 50])));
        assert_eq!(to_text(&lanes), "6:5:50,4:8:80");
        assert_eq!(from_text(&to_text(&lanes)), Some(lanes));
        assert_eq!(from_text::<2>(""), Some(Vec::new()));
        assert_eq!(from_text::<2>("1:2"), None);
        assert_eq!(from_text::<4>("1:2:3"), None);
        assert_eq!(from_text::<2>("1:2:3:4"), None);
        assert_eq!(from_text::<4>("9:-1:2:3:4"), Some(vec![Lane { effective_at: 9, totals: [-1, 2, 3, 4] }]));
    }

    #[test]
    fn a_total_that_leaves_the_range_is_refused() {
        let mut lanes = Vec::new();
        assert!(deal(&mut lanes, 1, [i64::MAX, 0]).is_some());
        assert_eq!(deal(&mut lanes, 1, [1, 0]), None);
    }

    proptest! {
        #[test]
        fn any_time_is_the_sum_of_the_last_rows_of_the_lanes(moves in prop::collection::vec((0_i64..50, -9_i64..9), 0..120)) {
            let mut lanes = Vec::new();
            let mut rows: Vec<(i64, i16, i64)> = Vec::new();
            for (at, quantity) in &moves {
                let (lane, [total]) = deal(&mut lanes, *at, [*quantity]).unwrap();
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
