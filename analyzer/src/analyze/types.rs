//! What survivors are, by site, by endpoint and over all.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::judged::{Judged, JudgedLabel};
use crate::analysis::TypeRow;
use crate::ledger::{Retained, Typed};
use crate::requests::label::LabelId;
use crate::sites::{Memory, SiteId, Sites};
use crate::types::{TypeId, TypeNames, UNKNOWN, is_bounded, not_cached};

/// Blocks and bytes by type.
type Sums = FxHashMap<TypeId, (u64, u64)>;

/// The types of all sites, of all labels, and over all.
#[derive(Debug, Default)]
pub(super) struct Types {
    /// In the order of the sites.
    pub(super) of_sites: Vec<Vec<TypeRow>>,
    pub(super) of_labels: FxHashMap<LabelId, Vec<TypeRow>>,
    pub(super) all: Vec<TypeRow>,
}

/// Takes together what the processes' ledgers know.
pub(super) fn types(sites: &[Judged], places: &Sites, names: &mut TypeNames) -> Types {
    // Of a label that leaks, what it left where, and with what status, that is a leak: what a cache keeps of it is no
    // part of it.
    let [mut leaked, mut kept]: [FxHashMap<LabelId, Sums>; 2] = Default::default();
    let (mut all, mut of_sites) = (Sums::default(), Vec::new());
    for site in sites {
        let memory = places.memory(site.id);
        if memory == Memory::Stack {
            // In no label's sums: most of a stack is never touched.
            of_sites.push(Vec::new());
            continue;
        }
        let typed = || site.parts.iter().flat_map(|part| &part.types);
        // What was retained, else what was live before the exit, else what the tear-down made.
        let stands = |typed: &Typed| match typed.retained_by {
            Some(_) => 0,
            None => 1 + u8::from(typed.late),
        };
        let first = typed().map(stands).min();
        let mut sums = Sums::default();
        for typed in typed().filter(|typed| Some(stands(typed)) == first) {
            let typed = &match not_cached(typed.of_type) {
                UNKNOWN => Typed {
                    of_type: kind(site.id, places, names),
                    ..*typed
                },
                _ => *typed,
            };
            add(&mut sums, typed);
            add(&mut all, typed);
            if let Some((label, status)) = typed.retained_by {
                let mut parts = site.labels.iter().filter(|part| part.label == label);
                let leaks = |part: &JudgedLabel| {
                    part.verdict.leaks()
                        && part.verdict_of_status(status).leaks()
                        && !(is_bounded(typed.of_type) && keeps_bounded(part))
                };
                let labels = match parts.any(leaks) {
                    true => &mut leaked,
                    false => &mut kept,
                };
                add(labels.entry(label).or_default(), typed);
            }
        }
        // What a mapping is, its kind says.
        of_sites.push(match memory.apart() {
            Some(_) => Vec::new(),
            None => rows(sums, names),
        });
    }
    kept.extend(leaked);
    let of_labels = kept.into_iter();
    Types {
        of_sites,
        of_labels: of_labels
            .map(|(label, sums)| (label, rows(sums, names)))
            .collect(),
        all: rows(all, names),
    }
}

/// One of so many bounded blocks is none: of the request that made a cache's entry, what came to the entry in the same
/// instant can't be told from what the entry was made with.
const BY_CHANCE: u64 = 20;

/// Whether what is bounded is a part of what the label's requests keep at the site.
fn keeps_bounded(part: &JudgedLabel) -> bool {
    let sum = |of: fn(&Retained) -> u64| part.retained.iter().map(of).sum::<u64>();
    sum(|kept| kept.bounded_blocks) * BY_CHANCE > sum(|kept| kept.blocks)
}

/// What libraries' blocks are called whose types can't be read, by a part of the path.
const KINDS: [(&str, &str); 6] = [
    ("/libcrypto", "OpenSSL"),
    ("/libssl", "OpenSSL"),
    ("/libxml2", "libxml2"),
    ("/lxml/", "libxml2"),
    ("/multidict/", "multidict"),
    ("/numpy/", "NumPy"),
];

/// What an interpreter's objects are called whose types nobody could read (a program that was killed), by the library
/// that asked for them.
const OBJECTS: [(&str, &str); 2] = [
    ("/lxml/", "lxml object"),
    ("/multidict/", "multidict object"),
];

/// What blocks of unknown types at a site are: the library tells whose innermost frame that is, or behind the
/// interpreter's.
pub(super) fn kind(site: SiteId, places: &Sites, names: &mut TypeNames) -> TypeId {
    match places.memory(site) {
        Memory::Malloc | Memory::Python | Memory::Stack => {}
        Memory::Mapped | Memory::Arena => return names.id("mapped memory"),
        Memory::File => return names.id("mapped file"),
    }
    let mut paths = places.backtrace(site).map(|frame| {
        let module = places.modules().get(frame.module as usize);
        module.map_or("", |module| module.path.as_str())
    });
    let find = |path: &str, kinds: &[(&str, &'static str)]| {
        let mut kinds = kinds.iter();
        kinds
            .find(|(part, _)| path.contains(part))
            .map(|kind| kind.1)
    };
    let innermost = paths.next().unwrap_or_default();
    let kind = find(innermost, &KINDS).or_else(|| {
        let behind = paths.find(|path| !is_interpreter(path))?;
        find(behind, &OBJECTS).filter(|_| is_interpreter(innermost))
    });
    kind.map_or(UNKNOWN, |name| names.id(name))
}

fn is_interpreter(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.starts_with("python") || file.starts_with("libpython")
}

fn add(sums: &mut Sums, typed: &Typed) {
    let sum = sums.entry(not_cached(typed.of_type)).or_default();
    *sum = (sum.0 + typed.blocks, sum.1 + typed.bytes);
}

fn rows(sums: Sums, names: &TypeNames) -> Vec<TypeRow> {
    let row = |(of_type, (blocks, bytes))| TypeRow {
        name: names.name(of_type).to_owned(),
        blocks,
        bytes,
    };
    let mut rows: Vec<TypeRow> = sums.into_iter().map(row).collect();
    rows.sort_by(|left, right| {
        let key = |row: &TypeRow| (Reverse(row.bytes), Reverse(row.blocks));
        key(left)
            .cmp(&key(right))
            .then_with(|| left.name.cmp(&right.name))
    });
    rows
}
