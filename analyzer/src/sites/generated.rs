//! Call sites that are one and were recorded as several, because code that was made at run time (by V8, a JVM, ...)
//! lies between them and what called them: it is made again as it gets hot, elsewhere, and the runtime's own
//! frames beside it change with it. Nobody can name such frames either. What is left of a backtrace is what it has
//! inside of them: the native functions that were called from such code.

use rustc_hash::FxHashMap;

use super::{Frame, NO_MODULE, Node, SiteId, Sites};

/// A backtrace inside of code made at run time that has so many frames at least takes in those that go on with
/// more: hot code calls native functions directly, cold code through the runtime.
const TAKES_IN: usize = 3;

/// The call sites that are taken for one: of each, that which stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged(Vec<SiteId>);

impl Merged {
    /// The site that stands for `site`.
    pub fn of(&self, site: SiteId) -> SiteId {
        self.0.get(site as usize).copied().unwrap_or(site)
    }

    /// Of all `sites`, where for the first of each of `pairs` the second stands.
    pub(super) fn of_pairs(
        sites: &Sites,
        pairs: impl IntoIterator<Item = (SiteId, SiteId)>,
    ) -> Merged {
        let mut merged: Vec<SiteId> = (0..sites.len() as SiteId).collect();
        for (site, first) in pairs {
            merged[site as usize] = first;
        }
        Merged(merged)
    }

    /// Of all `sites`; those with the most `weight` stand for their like. `None`: no two with any weight are one.
    pub fn find(sites: &Sites, weights: &FxHashMap<SiteId, u64>) -> Option<Merged> {
        let insides = insides(sites);
        if insides.is_empty() {
            return None;
        }
        let classes = classes(&insides);
        // A pair is told apart by its Python frames, too.
        let key = |site: SiteId| {
            let (native, rest) = match sites.at(site) {
                Node::Pair(native, python, asked) => (native, Some((python, asked))),
                _ => (site, None),
            };
            let class = *classes.get(insides.get(&native)?.as_slice())?;
            Some((class, rest, sites.memory(site)))
        };
        let mut members: FxHashMap<_, Vec<SiteId>> = FxHashMap::default();
        for site in 0..sites.len() as SiteId {
            if let Some(key) = key(site) {
                members.entry(key).or_default().push(site);
            }
        }
        let weight = |site: &SiteId| weights.get(site).copied().unwrap_or(0);
        let mut merged: Vec<SiteId> = (0..sites.len() as SiteId).collect();
        let mut found = false;
        for all in members.values() {
            let weighty = all.iter().filter(|site| weights.contains_key(site));
            found |= weighty.count() > 1;
            let first = all.iter().rev().max_by_key(|site| weight(site));
            if let Some(first) = first {
                all.iter().for_each(|site| merged[*site as usize] = *first);
            }
        }
        found.then_some(Merged(merged))
    }
}

/// Of each native backtrace with code made at run time: the frames inside of that, the innermost first. One that
/// has none is not among them: its innermost frame is all that there is to tell it by.
fn insides(sites: &Sites) -> FxHashMap<SiteId, Vec<Frame>> {
    let mut insides = FxHashMap::default();
    for site in 0..sites.len() as SiteId {
        if !matches!(sites.at(site), Node::Native(..)) {
            continue;
        }
        let mut inside = Vec::new();
        let outer = sites.backtrace(site).find(|frame| {
            let made = frame.module == NO_MODULE;
            if !made {
                inside.push(*frame);
            }
            made
        });
        if outer.is_some() && !inside.is_empty() {
            insides.insert(site, inside);
        }
    }
    insides
}

/// The shortest backtrace that takes each one in, as a number.
fn classes(insides: &FxHashMap<SiteId, Vec<Frame>>) -> FxHashMap<&[Frame], usize> {
    let mut classes: FxHashMap<&[Frame], usize> = FxHashMap::default();
    let mut by_length: Vec<&[Frame]> = insides.values().map(Vec::as_slice).collect();
    by_length.sort_by_key(|inside| inside.len());
    for inside in by_length {
        let shorter = (TAKES_IN..inside.len()).find_map(|length| classes.get(&inside[..length]));
        let class = shorter.copied().unwrap_or(classes.len());
        classes.entry(inside).or_insert(class);
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::NO_SITE;

    /// The site of these frames, the innermost first; `!` is code made at run time.
    fn site(sites: &mut Sites, frames: &str) -> SiteId {
        frames.bytes().rev().fold(NO_SITE, |outer, name| {
            let made = name.is_ascii_digit();
            let frame = Frame {
                module: if made { NO_MODULE } else { 0 },
                file_address: u64::from(name),
            };
            sites.child(outer, frame)
        })
    }

    fn merged(frames: &[(&str, u64)]) -> Option<Vec<usize>> {
        let mut sites = Sites::default();
        let ids: Vec<SiteId> = frames
            .iter()
            .map(|(frames, _)| site(&mut sites, frames))
            .collect();
        let weights = ids.iter().copied().zip(frames.iter().map(|of| of.1));
        let merged = Merged::find(&sites, &weights.collect())?;
        let place = |id: &SiteId| ids.iter().position(|other| *other == merged.of(*id));
        ids.iter().map(place).collect()
    }

    #[test]
    fn code_made_again_elsewhere_is_the_same_code() {
        let sites = [("ab1m", 5), ("ab2m", 9), ("ab23xm", 1), ("ac2m", 20)];
        assert_eq!(merged(&sites), Some(vec![1, 1, 1, 3]));
    }

    #[test]
    fn cold_code_comes_through_the_runtime() {
        let sites = [("abcrs1m", 5), ("abc2m", 3), ("abd2m", 9), ("abdrs2m", 1)];
        assert_eq!(merged(&sites), Some(vec![0, 0, 2, 2]));
        // Two frames are too few to take others in.
        let sites = [("abrs1m", 5), ("ab2m", 3)];
        assert_eq!(merged(&sites), None);
    }

    #[test]
    fn backtraces_of_files_alone_are_left() {
        assert_eq!(merged(&[("abm", 5), ("abn", 3)]), None);
        // There is nothing inside to tell them by.
        assert_eq!(merged(&[("1m", 5), ("2m", 3)]), None);
        // Python's frames tell the pairs apart.
        let mut sites = Sites::default();
        let natives = ["ab1m", "ab2m"].map(|frames| site(&mut sites, frames));
        let frame = |line| crate::sites::PythonFrame {
            code: None,
            line: Some(line),
        };
        let lines = [1, 2].map(|line| sites.python_child(NO_SITE, frame(line)));
        let asked = leak_wire::Asked::Native;
        let pairs = [
            sites.pair(natives[0], lines[0], asked),
            sites.pair(natives[1], lines[0], asked),
            sites.pair(natives[1], lines[1], asked),
        ];
        let weights = pairs.into_iter().zip([1, 2, 3]).collect();
        let merged = Merged::find(&sites, &weights).unwrap();
        assert_eq!(
            pairs.map(|pair| merged.of(pair)),
            [pairs[1], pairs[1], pairs[2]]
        );
    }
}
