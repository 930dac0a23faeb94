//! Accounts under their parents.

use std::collections::HashMap;

/// An account's place below its parents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which one it is, in the order given.
    pub(super) at: usize,
    /// Which one it is summed into.
    pub(super) parent: Option<usize>,
    /// How many parents it is below.
    pub(super) depth: u8,
}

/// Accounts (code, parent) in an order in which every one stands after its parent and before its parent's next sibling.
/// One whose parent is not among them stands at the top.
pub(super) fn places<'a>(accounts: impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone) -> Vec<Place> {
    let index: HashMap<&str, usize> = accounts.clone().enumerate().map(|(at, (code, _))| (code, at)).collect();
    let count = index.len();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut stack: Vec<Place> = Vec::new();
    for (at, (_, parent)) in accounts.enumerate() {
        match parent.and_then(|parent| index.get(parent)).and_then(|parent| below.get_mut(*parent)) {
            Some(children) => children.push(at),
            None => stack.push(Place { at, parent: None, depth: 0 }),
        }
    }
    stack.reverse();
    let mut order = Vec::with_capacity(count);
    // Each account is pushed once, by its only parent, so this ends.
    while let Some(place) = stack.pop() {
        let depth = place.depth.saturating_add(1);
        let children = below.get(place.at).into_iter().flatten().rev();
        stack.extend(children.map(|at| Place { at: *at, parent: Some(place.at), depth }));
        order.push(place);
    }
    order
}

/// Adds what is below each account to it: `values` in the order given to [`places`].
pub(super) fn roll_up<T: Copy>(places: &[Place], values: &mut [T], plus: impl Fn(T, T) -> T) {
    for place in places.iter().rev() {
        let Some(value) = values.get(place.at).copied() else { continue };
        if let Some(parent) = place.parent.and_then(|parent| values.get_mut(parent)) {
            *parent = plus(*parent, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: [(&str, Option<&str>); 6] =
        [("10", None), ("11", Some("10")), ("12", Some("11")), ("20", Some("gone")), ("5", Some("10")), ("9", None)];

    #[test]
    fn children_stand_behind_their_parents() {
        let places = places(ACCOUNTS.into_iter());
        let shown: Vec<(&str, u8)> = places.iter().map(|p| (ACCOUNTS[p.at].0, p.depth)).collect();
        assert_eq!(shown, [("10", 0), ("11", 1), ("12", 2), ("5", 1), ("20", 0), ("9", 0)]);
    }

    #[test]
    fn parents_sum_what_is_below_at_any_depth() {
        let places = places(ACCOUNTS.into_iter());
        let mut values = [1, 20, 300, 4_000, 50_000, 600_000];
        roll_up(&places, &mut values, |a, b| a + b);
        assert_eq!(values, [50_321, 320, 300, 4_000, 50_000, 600_000]);
    }
}
