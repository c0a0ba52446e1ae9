//! Call sites that are one and were recorded as two, because CPython has specialised the instruction: its loop calls
//! another function then, or has the allocator's call in itself. At one Python line, what is of one type was made
//! by the same code, whichever function allocated it.

use leak_wire::Asked;
use rustc_hash::FxHashMap;

use super::generated::Merged;
use super::{Node, SiteId, Sites};
use crate::types::TypeId;

/// What the blocks of a site are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// All of one type.
    One(TypeId),
    /// Of several.
    Several,
}

impl Of {
    /// The same with blocks of `of_type`.
    pub fn and(self, of_type: TypeId) -> Of {
        match self {
            Of::One(known) if known == of_type => self,
            _ => Of::Several,
        }
    }
}

/// The call sites that are taken for one, of those that have blocks of the types `of`, and so many bytes of them; `None`:
/// no two are.
pub fn find(sites: &Sites, of: &FxHashMap<SiteId, (Of, u64)>) -> Option<Merged> {
    let mut heaviest: FxHashMap<(SiteId, TypeId), (u64, SiteId)> = FxHashMap::default();
    let key = |site: SiteId, of: Of| match (sites.at(site), of) {
        (Node::Pair(_, python, Asked::Interpreter), Of::One(of_type)) => Some((python, of_type)),
        _ => None,
    };
    for (site, (of, bytes)) in of {
        if let Some(key) = key(*site, *of) {
            let first = heaviest.entry(key).or_insert((*bytes, *site));
            *first = (*first).max((*bytes, *site));
        }
    }
    let stands_for = |(site, (of, _)): (&SiteId, &(Of, u64))| {
        let (_, first) = heaviest.get(&key(*site, *of)?)?;
        (first != site).then_some((*site, *first))
    };
    let others: Vec<(SiteId, SiteId)> = of.iter().filter_map(stands_for).collect();
    (!others.is_empty()).then(|| Merged::of_pairs(sites, others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::{Frame, NO_MODULE, NO_SITE, PythonFrame};

    #[test]
    fn one_type_at_one_line_is_one_site() {
        let mut sites = Sites::default();
        let mut pair = |function, line, asked| {
            let frame = Frame {
                module: NO_MODULE,
                file_address: function,
            };
            let native = sites.child(NO_SITE, frame);
            let frame = PythonFrame {
                code: None,
                line: Some(line),
            };
            let python = sites.python_child(NO_SITE, frame);
            sites.pair(native, python, asked)
        };
        let [cold, hot, list] = [1, 2, 3].map(|function| pair(function, 7, Asked::Interpreter));
        let elsewhere = pair(1, 8, Asked::Interpreter);
        let native = pair(4, 7, Asked::Native);
        let mixed = pair(5, 7, Asked::Interpreter);
        let of: FxHashMap<SiteId, (Of, u64)> = [
            (cold, (Of::One(1), 168)),
            (hot, (Of::One(1), 4632)),
            (list, (Of::One(2), 9000)),
            (elsewhere, (Of::One(1), 24)),
            (native, (Of::One(1), 24)),
            (mixed, (Of::One(1).and(1).and(2), 9000)),
        ]
        .into_iter()
        .collect();
        let merged = find(&sites, &of).expect("two of them are one");
        assert_eq!(merged.of(cold), hot);
        for site in [hot, list, elsewhere, native, mixed] {
            assert_eq!(merged.of(site), site);
        }
        let apart = of.into_iter().filter(|(site, _)| *site != cold);
        assert_eq!(find(&sites, &apart.collect()), None);
    }
}
