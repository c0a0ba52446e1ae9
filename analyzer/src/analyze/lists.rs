//! What libraries keep for later use, on lists of their own that nobody reads: a block that a request allocated comes to
//! the list when the request is done with it, and is then whose it is who takes it from there. Its call site still says
//! who allocated it.
//!
//! Such blocks are parts: an array hangs on to its buffer and its table of dimensions, a tree to its document, and those
//! are made anew each time. So who keeps a part keeps something else of his own, too. Requests that left such parts, and
//! nothing else that leaks, have not kept them: others did, or they wait for their next use. Which of the two can't be
//! told; it is no leak of theirs.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use super::types::kind;
use crate::figures::{count, counted};
use crate::ledger::Typed;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::Sites;
use crate::types::{FREE_LIST, TypeNames, UNKNOWN, not_cached};

/// Types, and what libraries' blocks of unknown types are called, of which some are kept so, beside those of which some
/// were seen on such a list (Cython's, whose lists hold 8 as a rule): up to 7 arrays' buffers of
/// each size and tables of dimensions of each length (NumPy 1.7 to 2.4), 8 or 16 objects (lxml 3.0 to 6.1), dictionaries
/// of headers and queries with their tables (multidict 7), 250 handles and heads of messages (uvloop, aiohttp), 255
/// iterators (asyncio), 1,000 callbacks (gevent). Where types could not be read, all objects that lxml or multidict asked
/// for count: who keeps a tree keeps libxml2's memory, too, and who keeps headers keeps their strings.
const PARTS: [&str; 24] = [
    "numpy array data",
    "NumPy",
    "lxml object",
    "lxml.etree._Document",
    "lxml.etree._Attrib",
    "lxml.etree._AttribIterator",
    "lxml.etree._LogEntry",
    "lxml.etree._FileWriterElement",
    "lxml.etree._MethodChanger",
    "lxml.etree._DTDElementContentDecl",
    "lxml.etree._DTDAttributeDecl",
    "lxml.etree._DTDElementDecl",
    "lxml.etree._DTDEntityDecl",
    "multidict",
    "multidict object",
    "multidict._multidict.MultiDict",
    "multidict._multidict.CIMultiDict",
    "multidict._multidict.MultiDictProxy",
    "multidict._multidict.CIMultiDictProxy",
    "aiohttp._http_parser.RawRequestMessage",
    "uvloop.loop.Handle",
    "uvloop.loop.TimerHandle",
    "_asyncio.FutureIter",
    "gevent.libev.corecext.callback",
];
/// They are smaller than this (NumPy's `NBUCKETS`).
const SMALL: u64 = 1024;
/// Requests keep parts of their own where at least one in so many has left something else that leaks, too.
const HOLDERS: u64 = 2;

/// Requests that leak nothing but such parts leak nothing for sure.
pub(super) fn correct(
    sites: &mut [Judged],
    places: &Sites,
    names: &mut TypeNames,
    records: &[Record],
) {
    let parts: FxHashSet<(usize, LabelId)> = (0..)
        .zip(&*sites)
        .flat_map(|(at, site)| {
            let leaking = site.labels.iter().filter(|part| part.verdict.leaks());
            let labels: Vec<LabelId> = leaking.map(|part| part.label).collect();
            labels.into_iter().map(move |label| (at, site, label))
        })
        .filter(|(_, site, label)| are_parts(site, *label, places, names))
        .map(|(at, _, label)| (at, label))
        .collect();
    if parts.is_empty() {
        return;
    }
    let mut holders: FxHashMap<LabelId, FxHashSet<RequestId>> = FxHashMap::default();
    for (at, site) in (0..).zip(&*sites) {
        let others = site.labels.iter();
        for part in others.filter(|part| !parts.contains(&(at, part.label))) {
            let of_label = holders.entry(part.label).or_default();
            of_label.extend(leaking(part, records));
        }
    }
    for (at, site) in (0..).zip(sites) {
        site.undecide(|part| {
            if !parts.contains(&(at, part.label)) {
                return None;
            }
            let all: FxHashSet<RequestId> = leaking(part, records).collect();
            let own = holders.get(&part.label);
            let hold = own.map_or(0, |own| all.intersection(own).count()) as u64;
            let all = all.len() as u64;
            (hold * HOLDERS < all).then(|| text(all, hold))
        });
    }
}

/// Whether what requests of the label left at the site are such parts: most of it, beside what a thread's first request
/// sets up. (Where a line makes trees that are kept, each document has an element.)
fn are_parts(site: &Judged, label: LabelId, places: &Sites, names: &mut TypeNames) -> bool {
    let typed = site.parts.iter().flat_map(|part| &part.types);
    let own = typed.filter(|typed| typed.retained_by.is_some_and(|of| of.0 == label));
    let own: Vec<&Typed> = own.collect();
    let (mut parts, mut others) = (0, 0);
    for typed in own {
        let of_type = match not_cached(typed.of_type) {
            UNKNOWN => kind(site.id, places, names),
            known => known,
        };
        let name = names.name(of_type);
        let name = name.strip_suffix(FREE_LIST).unwrap_or(name);
        let is_kept = PARTS.contains(&name) || names.is_kept_by_library(name);
        let is_part = typed.bytes < typed.blocks * SMALL && is_kept;
        match is_part {
            true => parts += typed.blocks,
            false => others += typed.blocks,
        }
    }
    others < parts
}

/// The requests of which what they retained here leaks.
fn leaking(part: &JudgedLabel, records: &[Record]) -> impl Iterator<Item = RequestId> {
    let kept = part.retained.iter();
    let kept = kept.filter(|kept| kept.is_used() && part.leaks(kept, records));
    kept.map(|kept| kept.request)
}

fn text(all: u64, hold: u64) -> String {
    let nothing_else = match hold {
        0 => "none of them anything else".to_owned(),
        hold => format!("{} of them anything else", count(hold)),
    };
    format!(
        "{} kept blocks that their library uses again, and {nothing_else}: others may hold them now",
        counted(all, "request")
    )
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn texts() {
        let end = ": others may hold them now";
        let [none, some] = [text(1, 0), text(1_200, 3)];
        assert_eq!(
            none,
            format!(
                "1 request kept blocks that their library uses again, and none of them anything else{end}"
            )
        );
        assert!(some.starts_with("1,200 requests kept"), "{some}");
        assert!(
            some.ends_with(&format!("and 3 of them anything else{end}")),
            "{some}"
        );
    }
}
