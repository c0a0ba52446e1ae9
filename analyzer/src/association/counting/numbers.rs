//! How many blocks each request of a label may have left, by how many there are in all.

use rustc_hash::FxHashMap;

use super::super::groups::{GroupId, Key};
use super::left::Left;
use super::requests::Requests;
use super::serve::Claim;
use crate::requests::label::LabelId;

/// Fewer requests than this tell nothing by their number.
pub(super) const LEAST: u64 = 12;
/// One request may be wrong at the end, and this part (in percent) for whatever reason.
pub(super) const FORGIVEN: u64 = 1;
/// Windows in which two labels' numbers are estimated.
const WINDOWS: usize = 64;

/// Labels and statuses by whose requests the blocks can be divided, and how many each would have left.
pub(super) fn of_one(requests: &Requests<'_>, left: &Left) -> Vec<(Key, u64)> {
    let mut keys: Vec<Key> = Vec::new();
    for group in 0..requests.groups.count() as GroupId {
        let label = requests.groups.label(group);
        if requests.groups.has_statuses(label) {
            keys.push(Key::Group(group));
        }
        keys.push(Key::Label(label));
    }
    keys.sort_unstable();
    keys.dedup();
    let number = |key: Key| {
        let (must, may) = requests.numbers(key);
        let slack = 1 + must * FORGIVEN / 100;
        let least = left.blocks.div_ceil(must + may + slack).max(1);
        let most = left.blocks / must.saturating_sub(slack).max(1);
        (must >= LEAST && least == most).then_some((key, least))
    };
    keys.into_iter().filter_map(number).collect()
}

/// How many blocks each of two labels' requests may have left: as many as are made at a time, or what is estimated.
pub(super) fn of_two(
    requests: &Requests<'_>,
    left: &Left,
    labels: [LabelId; 2],
) -> Vec<Vec<(Key, u64)>> {
    let [one, other] = labels.map(Key::Label);
    let lots = left.lots();
    let pairs = lots
        .iter()
        .flat_map(|first| lots.iter().map(move |second| (first, second)));
    let [(of_one, open_one), (of_other, open_other)] =
        [one, other].map(|key| requests.numbers(key));
    let fits = |(first, second): &(&u64, &u64)| {
        let least = *first * of_one + *second * of_other;
        let most = *first * (of_one + open_one) + *second * (of_other + open_other);
        let slack = *(*first).max(second) + least * FORGIVEN / 100;
        (least.saturating_sub(slack)..=most + slack).contains(&left.blocks)
    };
    let of_lots = pairs.filter(fits);
    let mut all: Vec<Vec<(Key, u64)>> = of_lots
        .map(|(first, second)| vec![(one, *first), (other, *second)])
        .collect();
    all.extend(estimated(requests, left, labels));
    all
}

/// Estimated by least squares over windows of time, and what is next to that.
fn estimated(requests: &Requests<'_>, left: &Left, labels: [LabelId; 2]) -> Vec<Vec<(Key, u64)>> {
    let keys = labels.map(Key::Label);
    let ends = keys.map(|key| {
        let claims = requests.claims(&[(key, 1)], None, &FxHashMap::default());
        let must = claims.into_iter().filter(|claim| claim.must);
        let middle = |claim: Claim| (claim.process, claim.from / 2 + claim.until / 2);
        let mut middles: Vec<(u32, u64)> = must.map(middle).collect();
        middles.sort_unstable();
        middles
    });
    // As many pieces in each window.
    let size = left.pieces.len().div_ceil(WINDOWS).max(1);
    let (mut aa, mut ab, mut bb, mut ay, mut by) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut passed = [0, 0];
    for window in left.pieces.chunks(size) {
        let last = window[window.len() - 1];
        let until = (last.process, last.born);
        let counts: Vec<f64> = (0..2)
            .map(|at| {
                let now = ends[at].partition_point(|end| *end <= until);
                let count = now - passed[at];
                passed[at] = now;
                count as f64
            })
            .collect();
        let (a, b) = (counts[0], counts[1]);
        let y = window.iter().map(|piece| piece.blocks).sum::<u64>() as f64;
        (aa, ab, bb) = (aa + a * a, ab + a * b, bb + b * b);
        (ay, by) = (ay + a * y, by + b * y);
    }
    let determinant = aa * bb - ab * ab;
    if determinant <= 0.0 {
        return Vec::new();
    }
    let one = ((ay * bb - by * ab) / determinant).round();
    let numbers = ends.map(|ends| ends.len() as f64);
    let tried = [0.0, 1.0, -1.0, 2.0, -2.0].map(|more| one + more);
    let parts = tried.into_iter().filter_map(|one| {
        let other = ((left.blocks as f64 - one * numbers[0]) / numbers[1]).round();
        let both = one >= 1.0 && other >= 1.0;
        both.then(|| vec![(keys[0], one as u64), (keys[1], other as u64)])
    });
    parts.collect()
}
