//! Caches that libraries of Python are known to keep, each with the most entries that it can have. They have no key that
//! the recorder could read, so that one which is not full yet looks like a leak: each request that comes with something
//! new leaves some more. What is left there counts as a leak only where it is more than the cache can have.

use rustc_hash::FxHashSet;

use super::judged::Judged;
use crate::figures::count;
use crate::ledger::FinishedSite;
use crate::sites::{Code, SiteId, Sites};

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

/// What such a cache can keep leaks nothing for sure.
pub(super) fn correct(sites: &mut [Judged], places: &Sites) {
    let fills = |code: &Code| CACHES.iter().find(|cache| cache.is_filled_by(code));
    let known: Vec<Option<&Cache>> = places.codes().iter().map(fills).collect();
    if known.iter().all(Option::is_none) {
        return;
    }
    let cache_at = |site: SiteId| {
        let mut codes = places.python_backtrace(site);
        codes.find_map(|frame| *known.get(frame.code? as usize)?)
    };
    for site in sites {
        let Some(cache) = cache_at(site.id) else {
            continue;
        };
        let entries = site.parts.iter().map(entries).max().unwrap_or(0);
        if entries <= cache.most {
            let text = cache.text(entries);
            site.undecide(|part| part.verdict.leaks().then(|| text.clone()));
            site.doubt(&text);
        }
    }
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
