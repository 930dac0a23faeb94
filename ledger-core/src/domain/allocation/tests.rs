use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;

fn candidate(code: usize, available: i64, rank: i64) -> Candidate {
    Candidate { location: LocationCode::trusted(&format!("L{code:04}")), lot: None, available, rank }
}

fn chosen(strategy: Strategy, quantity: i64, available: &[i64]) -> Vec<(String, i64)> {
    let mut candidates: Vec<_> = available.iter().enumerate().map(|(at, n)| candidate(at, *n, 0)).collect();
    order(strategy, quantity, &mut candidates);
    take(quantity, &candidates).into_iter().map(|(at, units)| (candidates[at].location.to_string(), units)).collect()
}

#[test]
fn need_ten_over_locations_of_six_and_eight_takes_exactly_ten() {
    for strategy in [Strategy::Given, Strategy::PriorityList, Strategy::Nearest, Strategy::Fefo, Strategy::Fifo] {
        assert_eq!(chosen(strategy, 10, &[6, 8]), [("L0000".to_owned(), 6), ("L0001".to_owned(), 4)]);
    }
    assert_eq!(chosen(Strategy::FewestSplits, 10, &[6, 8]), [("L0001".to_owned(), 8), ("L0000".to_owned(), 2)]);
}

#[test]
fn the_smallest_place_that_has_it_all_is_the_fewest() {
    assert_eq!(chosen(Strategy::FewestSplits, 5, &[9, 5, 7, 4]), [("L0001".to_owned(), 5)]);
}

proptest! {
    #[test]
    fn sums_meet_the_demand_and_no_place_gives_more_than_it_has(
        strategy in prop::sample::select(vec![Strategy::Given, Strategy::Fifo, Strategy::FewestSplits]),
        quantity in 1_i64..200,
        places in prop::collection::vec((0_i64..50, -5_i64..5), 0..12),
    ) {
        let mut candidates: Vec<_> = places.iter().enumerate().map(|(at, (n, rank))| candidate(at, *n, *rank)).collect();
        order(strategy, quantity, &mut candidates);
        let taken = take(quantity, &candidates);
        let sum: i64 = taken.iter().map(|(_, units)| units).sum();
        let there: i64 = places.iter().map(|(n, _)| n).sum();
        prop_assert_eq!(sum, quantity.min(there));
        for (at, units) in &taken {
            prop_assert!(*units > 0 && *units <= candidates[*at].available);
        }
        let mut seen: Vec<_> = taken.iter().map(|(at, _)| at).collect();
        seen.dedup();
        prop_assert_eq!(seen.len(), taken.len());
        if strategy == Strategy::FewestSplits {
            // No smaller set of places can cover it: the largest ones are the most that a number of places has.
            let mut sizes: Vec<i64> = places.iter().map(|(n, _)| *n).collect();
            sizes.sort_unstable_by(|a, b| b.cmp(a));
            let fewer: i64 = sizes.iter().take(taken.len().saturating_sub(1)).sum();
            prop_assert!(taken.is_empty() || fewer < sum);
        }
        // The order is a function of the set.
        let mut turned: Vec<_> = candidates.iter().rev().cloned().collect();
        order(strategy, quantity, &mut turned);
        prop_assert_eq!(turned, candidates);
    }
}
