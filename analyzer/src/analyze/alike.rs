//! Memory that requests of all labels keep alike, now and then: a runtime's heap, a table that is shared. Whose
//! request comes when it has to grow is chance, so none is to blame for it; that it grows is said. So it is, too, where
//! labels leak only when they are judged together, and few of the requests of each keep something: as those of others
//! do, by chance.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use crate::figures::{count, counted};
use crate::ledger::Retained;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};

/// A label keeps now and then where less than one in so many of its requests does.
const RARE: u64 = 10;
/// So many requests of so many other labels must do so, too.
const OTHER_REQUESTS: u64 = 3;
const OTHER_LABELS: usize = 2;
/// It keeps no more than others where each keeps at most so many times as many bytes, ...
const TIMES: u64 = 4;
/// ... and where as many requests do so by chance more often than once in a thousand.
const LEVEL: f64 = 1e-3;

/// What a label's requests keep at a call site.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    label: LabelId,
    /// Requests that keep something.
    keeping: u64,
    bytes: u64,
    /// All its requests.
    requests: u64,
}

/// Labels that are called leaking for what others keep alike are so no more.
pub(super) fn correct(sites: &mut [Judged], records: &[Record]) {
    let mut requests: FxHashMap<LabelId, u64> = FxHashMap::default();
    let ended = records
        .iter()
        .filter(|record| !record.void && record.end.is_some());
    for label in ended.filter_map(|record| record.label) {
        *requests.entry(label).or_default() += 1;
    }
    for site in sites.iter_mut().filter(|site| site.verdict.leaks()) {
        let parts: Vec<Part> = requests
            .iter()
            .map(|(label, requests)| {
                let kept = site.labels.iter().find(|kept| kept.label == *label);
                part(*label, *requests, kept)
            })
            .filter(|part| part.keeping * RARE < part.requests)
            .collect();
        let together = |label: LabelId| {
            let label = site.labels.iter().find(|kept| kept.label == label);
            label.is_some_and(JudgedLabel::leaks_only_together)
        };
        let alike: Vec<LabelId> = parts
            .iter()
            .filter(|part| part.keeping > 0 && (together(part.label) || is_alike(part, &parts)))
            .map(|part| part.label)
            .collect();
        site.undecide(|part| {
            let is_alike = part.verdict.leaks() && alike.contains(&part.label);
            is_alike.then(|| text(part.label, &parts))
        });
    }
}

fn part(label: LabelId, requests: u64, kept: Option<&JudgedLabel>) -> Part {
    let retained = kept.map_or(&[][..], |kept| kept.retained.as_slice());
    let used = retained.iter().filter(|kept| kept.is_used());
    let keeping: FxHashSet<RequestId> = used.clone().map(|kept| kept.request).collect();
    Part {
        label,
        keeping: keeping.len() as u64,
        bytes: used.map(Retained::used_bytes).sum(),
        requests,
    }
}

/// Whether what the others keep, per request and each, is as much.
fn is_alike(part: &Part, all: &[Part]) -> bool {
    let others = || all.iter().filter(|other| other.label != part.label);
    let keeping: u64 = others().map(|other| other.keeping).sum();
    let bytes: u64 = others().map(|other| other.bytes).sum();
    let requests: u64 = others().map(|other| other.requests).sum();
    let labels = others().filter(|other| other.keeping > 0).count();
    if keeping < OTHER_REQUESTS || labels < OTHER_LABELS {
        return false;
    }
    let as_large = part.bytes * keeping <= TIMES * bytes * part.keeping;
    let share = part.requests as f64 / (part.requests + requests) as f64;
    as_large && at_least(part.keeping, part.keeping + keeping, share) >= LEVEL
}

/// The probability that of `all` so many or more fall to a part of this share (binomial).
fn at_least(some: u64, all: u64, share: f64) -> f64 {
    let mut probability = (1.0 - share).powf(all as f64);
    let mut below = 0.0;
    for number in 0..some {
        below += probability;
        probability *= (all - number) as f64 / (number + 1) as f64 * share / (1.0 - share);
    }
    1.0 - below
}

fn text(label: LabelId, parts: &[Part]) -> String {
    let own = parts.iter().find(|part| part.label == label);
    let own = own.copied().unwrap_or_default();
    let others = || parts.iter().filter(|part| part.label != label);
    let keeping: u64 = others().map(|part| part.keeping).sum();
    let requests: u64 = others().map(|part| part.requests).sum();
    format!(
        "{} of {} kept blocks, and {} of {} of other labels: now and then, whoever comes, as where a heap or a table \
         that is shared grows",
        count(own.keeping),
        counted(own.requests, "request"),
        count(keeping),
        counted(requests, "request"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(all: &[(u64, u64, u64)]) -> Vec<Part> {
        let part = |(label, of): (u32, &(u64, u64, u64))| Part {
            label,
            keeping: of.0,
            bytes: of.1,
            requests: of.2,
        };
        (0..).zip(all).map(part).collect()
    }

    fn alike(all: &[(u64, u64, u64)]) -> Vec<bool> {
        let parts = parts(all);
        parts.iter().map(|part| is_alike(part, &parts)).collect()
    }

    #[test]
    fn what_all_keep_is_nobodys() {
        let even = [(4, 400, 300), (3, 300, 300), (1, 100, 300), (5, 500, 300)];
        assert_eq!(alike(&even), [true; 4]);
        // One of them keeps more often than chance lets expect, or more each time.
        let often = [
            (25, 2_500, 300),
            (3, 300, 300),
            (1, 100, 300),
            (5, 500, 300),
        ];
        assert_eq!(alike(&often), [false, true, true, true]);
        let much = [
            (4, 40_000, 300),
            (3, 300, 300),
            (1, 100, 300),
            (5, 500, 300),
        ];
        assert!(!alike(&much)[0]);
        // What one alone keeps is its own, and so is what two do: the other is too few to compare with.
        assert!(!alike(&[(4, 400, 300), (0, 0, 300), (0, 0, 300)])[0]);
        let two = [(4, 400, 300), (9, 900, 300), (0, 0, 300)];
        assert!(!alike(&two)[0]);
    }

    #[test]
    fn probabilities_are_the_binomials() {
        assert!((at_least(0, 10, 0.3) - 1.0).abs() < 1e-12);
        assert!((at_least(1, 2, 0.5) - 0.75).abs() < 1e-12);
        assert!((at_least(3, 3, 0.5) - 0.125).abs() < 1e-12);
    }
}
