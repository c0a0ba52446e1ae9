//! What is made at one call site in different amounts may have different causes: each amount is explained by
//! itself, where there are few of them.

use rustc_hash::FxHashMap;

use super::site::{Observation, Observed};
use crate::sample::Amount;

/// How many blocks were made at once, and their mean size.
pub(super) type Size = (u32, u64);

/// More sizes than these are no classes.
const MOST_SIZES: usize = 12;
/// A class has so many observations at least.
const FEWEST: usize = 15;

/// The size of what was made at once. More than four blocks are told apart by powers of two.
pub(super) fn size(amount: Amount) -> Size {
    let count = match amount.blocks {
        0..=4 => amount.blocks as u32,
        more => more.ilog2() + 3,
    };
    (count, amount.bytes / amount.blocks.max(1))
}

/// Whether so many blocks were not just made at once because what makes fewer came late: that is the rarer, the more
/// there are.
pub(super) fn is_apart((count, mean): Size, observed: &Observed) -> bool {
    let seen = |wanted: Size| {
        let all = observed.all.iter();
        all.filter(|seen| size(seen.amount) == wanted).count()
    };
    count < 2 || seen((count - 1, mean)) < seen((count, mean))
}

/// The observations by size; nothing where all are of one, or where there are too many.
pub(super) fn by_size(observed: &Observed) -> Vec<(Size, Observed)> {
    let mut classes: FxHashMap<Size, Vec<Observation>> = FxHashMap::default();
    for observation in &observed.all {
        classes
            .entry(size(observation.amount))
            .or_default()
            .push(observation.clone());
    }
    let mut classes: Vec<(Size, Observed)> = classes
        .into_iter()
        .filter(|(_, all)| all.len() >= FEWEST)
        .map(|(size, all)| {
            let observed = Observed {
                all,
                ..Observed::default()
            };
            (size, observed)
        })
        .collect();
    if !(1..=MOST_SIZES).contains(&classes.len()) || classes[0].1.all.len() == observed.all.len() {
        return Vec::new();
    }
    classes.sort_by_key(|(size, _)| *size);
    classes
}
