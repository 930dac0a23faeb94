//! Which places serve a demand. Pure and versioned: the event holds strategy, version and candidates, so that an auditor
//! derives the choice again ([`Choice::derive`]); replay does.
//!
//! **Shape**: demand + candidates → [`order`] puts the candidates into the strategy's order → [`take`] fills the demand.
//! **Correctness**: Σ taken = min(demand, Σ available), each ≤ its candidate's available; the candidates given do not
//! count what earlier demands of the same command took, so nothing is taken twice. Every order ends with the code of
//! the place, so it is total.

mod fefo;
mod fewest_splits;
mod fifo;
mod given;
pub(crate) mod nearest;
mod priority_list;

use minicbor::{Decode, Encode};
use serde::ser::SerializeStruct;

use super::amount::Number;
use super::id::{LocationCode, LotCode, Sku};
use super::time::Timestamp;

/// How places are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Strategy {
    /// The line's own location.
    #[default]
    #[n(0)]
    Given,
    /// The first of a list that has any, then the next.
    #[n(1)]
    PriorityList,
    /// By distance on the tenant's plan.
    #[n(2)]
    Nearest,
    /// First expired, first out: the lot that expires next.
    #[n(3)]
    Fefo,
    /// First in, first out: what has been lying there longest.
    #[n(4)]
    Fifo,
    /// As few places as possible.
    #[n(5)]
    FewestSplits,
}

/// The version of every strategy written today. A changed order is a new version beside the old one.
pub const VERSION: u8 = 1;

/// A place that could serve a demand.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Candidate {
    /// Where.
    #[n(0)]
    pub location: LocationCode,
    /// Which lot.
    #[n(1)]
    pub lot: Option<LotCode>,
    /// Units that may be promised.
    #[n(2)]
    pub available: i64,
    /// What the strategy orders by: place in the list, squared distance in metres², expiry or arrival in microseconds.
    #[n(3)]
    pub rank: i64,
}

/// One demand with the places that were considered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Demand {
    /// The item.
    #[n(0)]
    pub sku: Sku,
    /// Decimals of the quantities.
    #[n(1)]
    pub scale: u8,
    /// Units asked for.
    #[n(2)]
    pub quantity: i64,
    /// In the strategy's order; at most [`super::limit::CANDIDATES_MAX`].
    #[n(3)]
    pub candidates: Vec<Candidate>,
}

/// What an allocation chose from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Choice {
    /// How.
    #[n(0)]
    pub strategy: Strategy,
    /// Of the strategy.
    #[n(1)]
    pub version: u8,
    /// Per demand, in order of its first line.
    #[n(2)]
    pub demands: Vec<Demand>,
}

impl serde::Serialize for Demand {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Shown<'a> {
            location: &'a LocationCode,
            #[serde(skip_serializing_if = "Option::is_none")]
            lot: Option<&'a LotCode>,
            available: Number,
            rank: i64,
        }
        let shown = |c: &'_ Candidate| -> (Number, i64) { (Number::from_units(c.available, self.scale), c.rank) };
        let candidates: Vec<Shown<'_>> = self
            .candidates
            .iter()
            .map(|c| {
                let (available, rank) = shown(c);
                Shown { location: &c.location, lot: c.lot.as_ref(), available, rank }
            })
            .collect();
        let mut s = serializer.serialize_struct("Demand", 3)?;
        s.serialize_field("sku", &self.sku)?;
        s.serialize_field("quantity", &Number::from_units(self.quantity, self.scale))?;
        s.serialize_field("candidates", &candidates)?;
        s.end()
    }
}

/// What is known of a place when it is ranked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Place in the caller's list.
    pub(crate) listed: Option<usize>,
    /// Squared distance, where both ends have coordinates.
    pub(crate) distance: Option<i64>,
    /// When the lot expires.
    pub(crate) expires_at: Option<Timestamp>,
    /// Since when something is there.
    pub(crate) since: Timestamp,
}

/// The rank of a place; `None` leaves it out.
pub(crate) fn rank(strategy: Strategy, facts: &Facts) -> Option<i64> {
    match strategy {
        Strategy::Given => given::rank(facts),
        Strategy::PriorityList => priority_list::rank(facts),
        Strategy::Nearest => nearest::rank(facts),
        Strategy::Fefo => fefo::rank(facts),
        Strategy::Fifo => fifo::rank(facts),
        Strategy::FewestSplits => fewest_splits::rank(facts),
    }
}

/// Puts candidates into the strategy's order for a demand.
pub(crate) fn order(strategy: Strategy, quantity: i64, candidates: &mut [Candidate]) {
    match strategy {
        Strategy::FewestSplits => fewest_splits::order(quantity, candidates),
        Strategy::Given | Strategy::PriorityList | Strategy::Nearest | Strategy::Fefo | Strategy::Fifo => {
            candidates.sort_by(|a, b| (a.rank, &a.location, &a.lot).cmp(&(b.rank, &b.location, &b.lot)));
        }
    }
}

/// Fills a demand from ordered candidates: index and units of each that serves.
#[must_use]
pub fn take(quantity: i64, candidates: &[Candidate]) -> Vec<(usize, i64)> {
    let mut wanted = quantity;
    let mut taken = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        if wanted <= 0 {
            break;
        }
        let part = wanted.min(candidate.available);
        if part > 0 {
            taken.push((at, part));
            wanted = wanted.saturating_sub(part);
        }
    }
    taken
}

impl Choice {
    /// Derives the choice again: per demand the places and units. `None` for a version this program does not know, or
    /// when the candidates do not stand in the strategy's order.
    #[must_use]
    pub fn derive(&self) -> Option<Vec<(&Sku, &Candidate, i64)>> {
        if self.version != VERSION {
            return None;
        }
        let mut chosen = Vec::new();
        for demand in &self.demands {
            let mut ordered = demand.candidates.clone();
            order(self.strategy, demand.quantity, &mut ordered);
            if ordered != demand.candidates {
                return None;
            }
            let taken = take(demand.quantity, &demand.candidates);
            chosen.extend(taken.into_iter().filter_map(|(at, units)| Some((&demand.sku, demand.candidates.get(at)?, units))));
        }
        Some(chosen)
    }
}

#[cfg(test)]
mod tests;
