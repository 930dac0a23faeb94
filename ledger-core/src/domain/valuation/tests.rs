//! Scenario tables. Expected figures are worked out by hand from the policy in the module's documentation.

use super::*;
use crate::domain::catalogue::command::ValuationMethod;

/// Applies a change the way the fold does.
fn apply(balance: &mut Pool, change: &Change) {
    let movement = Movement {
        sku: Default::default(),
        location: Default::default(),
        scale: 0,
        money: 2,
        quantity: change.quantity,
        value: change.value,
        postings: Vec::new(),
        layers: change.layers.clone(),
        provisional: change.provisional.clone(),
        detail: None,
    };
    balance.apply(&movement, 0, crate::domain::time::Timestamp(0)).expect("in range");
}

/// Steps `(quantity, cost)`: in at that cost, out (negative) at the computed cost.
fn run(method: ValuationMethod, steps: &[(i64, i64)]) -> Pool {
    let mut balance = Pool::default();
    for (number, (quantity, cost)) in (0_i64..).zip(steps) {
        if *quantity > 0 {
            let i = inbound(&balance, method, *quantity, *cost, number, &[]).expect("in range");
            if let Some(s) = &i.settlement {
                apply(&mut balance, s);
            }
            apply(&mut balance, &i.change);
        } else {
            let o = outbound(&balance, method, -quantity, None, Pick::Oldest).expect("in range");
            assert_eq!(o.cost, *cost, "cost of step {number}");
            apply(&mut balance, &o.change);
        }
        assert!(balance.quantity != 0 || balance.value == 0, "quantity 0 means value 0");
        if method == ValuationMethod::Fifo && balance.quantity > 0 {
            assert_eq!(
                balance.layers.iter().map(|l| (l.quantity, l.value)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
                (balance.quantity, balance.value)
            );
        }
    }
    balance
}

#[test]
fn moving_average() {
    let b = run(ValuationMethod::MovingAverage, &[(10, 10_000), (10, 20_000), (-15, 22_500)]);
    assert_eq!((b.quantity, b.value), (5, 7_500));
}

#[test]
fn fifo() {
    let b = run(ValuationMethod::Fifo, &[(10, 10_000), (10, 20_000), (-15, 20_000)]);
    assert_eq!((b.quantity, b.value), (5, 10_000));
}

#[test]
fn seventy_issues_of_a_tenth_leave_nothing() {
    let mut steps = vec![(70, 1_000)];
    let mut left = 1_000;
    for n in (1..=70).rev() {
        let cost = crate::domain::amount::share(left, 1, n).expect("in range");
        left -= cost;
        steps.push((-1, cost));
    }
    for method in [ValuationMethod::MovingAverage, ValuationMethod::Fifo] {
        assert_eq!(run(method, &steps).value, 0);
    }
}

#[test]
fn negative_stock_is_settled_at_the_real_cost() {
    for method in [ValuationMethod::MovingAverage, ValuationMethod::Fifo] {
        // 10 at 1.00; 15 out: 10 at 10.00 and 5 provisionally at 5.00; 8 in at 16.00: 5 settled at 10.00, 3 stay at 6.00.
        let b = run(method, &[(10, 1_000), (-15, 1_500), (8, 1_600)]);
        assert_eq!((b.quantity, b.value, b.provisional), (3, 600, (0, 0)));
        // Settled in two receipts: exactly to zero.
        let b = run(method, &[(10, 1_000), (-13, 1_300), (1, 170), (2, 290)]);
        assert_eq!((b.quantity, b.value, b.provisional), (0, 0, (0, 0)));
    }
}

#[test]
fn a_stated_cost_that_empties_the_pool_leaves_no_value() {
    let balance = Pool { quantity: 6, value: 144_560, ..Pool::default() };
    let o = outbound(&balance, ValuationMethod::MovingAverage, 6, Some(145_859), Pick::Oldest).expect("in range");
    assert_eq!((o.cost, o.residue, o.change.value), (145_859, -1_299, -144_560));
}

#[test]
fn a_stated_cost_keeps_layers_equal_to_the_pool() {
    let mut b = run(ValuationMethod::Fifo, &[(10, 1_000), (10, 2_000)]);
    let o = outbound(&b, ValuationMethod::Fifo, 12, Some(1_000), Pick::Oldest).expect("in range");
    apply(&mut b, &o.change);
    assert_eq!((b.quantity, b.value), (8, 2_000));
    assert_eq!(b.layers.iter().map(|l| l.value).sum::<i64>(), 2_000);
}
