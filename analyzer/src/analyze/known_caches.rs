//! Caches that libraries of Python are known to keep, each with the most entries that it can have. They have no key that
//! the recorder could read, so that one which is not full yet looks like a leak: each request that comes with something
//! new leaves some more. What is left there counts as a leak only where it is more than the cache can have. Its keys are
//! made elsewhere: the text of a pattern, one for each request that has left something in the cache.
//!
//! sqlite3 keeps weak references to the last 200 cursors of each connection (CPython 3.8 to 3.13), dead or not.

use rustc_hash::{FxHashMap, FxHashSet};

use super::judged::{Judged, JudgedLabel};
use crate::figures::count;
use crate::ledger::{FinishedSite, Typed};
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;
use crate::sites::{Code, SiteId, Sites};
use crate::types::{TypeNames, not_cached};

/// A cache, and by which function it is filled.
#[derive(Clone, Copy, Debug)]
struct Cache {
    /// How the paths of its file end.
    files: &'static [&'static str],
    /// The last part of its qualified name.
    function: &'static str,
    /// Entries, at most.
    most: u64,
    /// What it keeps.
    of: &'static str,
}

/// `re._MAXCACHE` (CPython 3.7 to 3.14); `regex._MAXCACHE` (2016 to 2025); half more than `query_cache_size`, from where
/// SQLAlchemy (1.4 to 2.0) drops the oldest; `cache_size` of Jinja's environments (2.7 to 3.1).
const CACHES: [Cache; 4] = [
    Cache {
        files: &["/re.py", "/re/__init__.py"],
        function: "_compile",
        most: 512,
        of: "Python's re keeps 512 compiled patterns",
    },
    Cache {
        files: &["/regex/regex.py", "/regex/_main.py"],
        function: "_compile",
        most: 500,
        of: "regex keeps 500 compiled patterns",
    },
    Cache {
        files: &["/sqlalchemy/sql/elements.py"],
        function: "_compile_w_cache",
        most: 750,
        of: "SQLAlchemy keeps 750 compiled statements, if its size is the usual one,",
    },
    Cache {
        files: &["/jinja2/environment.py"],
        function: "_load_template",
        most: 400,
        of: "Jinja keeps 400 compiled templates, if its size is the usual one,",
    },
];

impl Cache {
    fn is_filled_by(&self, code: &Code) -> bool {
        let name = code.function.rsplit('.').next();
        let is_file = |end: &&str| code.file.ends_with(end);
        name == Some(self.function) && self.files.iter().any(is_file)
    }

    fn text(&self, entries: u64) -> String {
        format!(
            "{} at most for later use, and no more were left here so far ({})",
            self.of,
            count(entries),
        )
    }
}

/// What such caches can keep leaks nothing for sure.
pub(super) fn correct(sites: &mut [Judged], places: &Sites, names: &TypeNames) {
    cursors(sites, places, names);
    let fills = |code: &Code| CACHES.iter().find(|cache| cache.is_filled_by(code));
    let known: Vec<Option<&Cache>> = places.codes().iter().map(fills).collect();
    if known.iter().all(Option::is_none) {
        return;
    }
    let cache_at = |site: SiteId| {
        let mut codes = places.python_backtrace(site);
        codes.find_map(|frame| *known.get(frame.code? as usize)?)
    };
    let mut feeders: FxHashMap<LabelId, (&Cache, FxHashSet<RequestId>)> = FxHashMap::default();
    for site in sites.iter_mut() {
        let Some(cache) = cache_at(site.id) else {
            continue;
        };
        let entries = site.parts.iter().map(entries).max().unwrap_or(0);
        if entries <= cache.most {
            for part in &site.labels {
                let feeds = feeders
                    .entry(part.label)
                    .or_insert((cache, FxHashSet::default()));
                feeds.1.extend(used(part));
            }
            let text = cache.text(entries);
            site.undecide(|part| part.verdict.leaks().then(|| text.clone()));
            site.doubt(&text);
        }
    }
    for site in sites.iter_mut().filter(|site| is_of(site, names, &KEYS)) {
        site.undecide(|part| {
            let (cache, feeders) = feeders.get(&part.label)?;
            let blocks: u64 = part.retained.iter().map(|kept| kept.blocks).sum();
            let requests: FxHashSet<RequestId> = used(part).collect();
            let are_keys = requests.len() as u64 == blocks && requests.is_subset(feeders);
            (part.verdict.leaks() && are_keys).then(|| {
                format!("by requests that left something in a cache, where they may be keys: {} at most", cache.of)
            })
        });
    }
}

/// What keys of such caches are.
const KEYS: [&str; 4] = ["str", "bytes", "tuple", "int"];
/// What sqlite3 keeps of its cursors.
const REFERENCES: [&str; 1] = ["weakref.ReferenceType"];

/// References that 16 connections keep, at most.
const CURSORS: u64 = 16 * 200;

/// References to cursors leak nothing for sure.
fn cursors(sites: &mut [Judged], places: &Sites, names: &TypeNames) {
    let is_sqlite = |path: &str| {
        path.rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("_sqlite3."))
    };
    if !places
        .modules()
        .iter()
        .any(|module| is_sqlite(&module.path))
    {
        return;
    }
    // One line's blocks have several native backtraces, of which one is known.
    let of_cursors = |site: &&mut Judged| {
        is_of(site, names, &REFERENCES) && site.parts.iter().map(entries).max() <= Some(CURSORS)
    };
    for site in sites.iter_mut().filter(of_cursors) {
        let text = "sqlite3 keeps references to the last 200 cursors of each connection";
        site.undecide(|part| part.verdict.leaks().then(|| text.to_owned()));
        site.doubt(text);
    }
}

/// Whether most of the site's blocks are of these types.
fn is_of(site: &Judged, names: &TypeNames, types: &[&str]) -> bool {
    let (mut such, mut all) = (0, 0);
    for Typed {
        of_type, blocks, ..
    } in site.parts.iter().flat_map(|part| &part.types)
    {
        all += blocks;
        such += blocks * u64::from(types.contains(&names.name(not_cached(*of_type))));
    }
    such * 2 > all
}

/// Requests of the label that left something.
fn used(part: &JudgedLabel) -> impl Iterator<Item = RequestId> {
    let kept = part.retained.iter().filter(|kept| kept.is_used());
    kept.map(|kept| kept.request)
}

/// How many pieces of work left something in this process: each left an entry at least.
fn entries(part: &FinishedSite) -> u64 {
    let kept = part.retained.iter().filter(|kept| kept.is_used());
    let requests: FxHashSet<u32> = kept.map(|kept| kept.request).collect();
    (requests.len() + part.outside_births.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_known_by_file_and_function() {
        let of = |file: &str, function: &str| {
            let code = Code {
                file: file.to_owned(),
                function: function.to_owned(),
                first_line: 1,
            };
            let known = CACHES.iter().find(|cache| cache.is_filled_by(&code));
            known.map(|cache| cache.most)
        };
        assert_eq!(
            of("/usr/lib/python3.11/re/__init__.py", "_compile"),
            Some(512)
        );
        assert_eq!(of("/usr/lib/python3.9/re.py", "_compile"), Some(512));
        assert_eq!(of("/srv/app/re.py", "compile"), None);
        assert_eq!(of("/srv/app/score.py", "_compile"), None);
        let jinja = "/venv/lib/python3.11/site-packages/jinja2/environment.py";
        assert_eq!(of(jinja, "Environment._load_template"), Some(400));
        assert_eq!(of(jinja, "_load_template"), Some(400));
    }
}
