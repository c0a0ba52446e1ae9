//! A call site in a line or two, where there is no whole report of it.

use super::frames::{Line, Stacks};
use crate::sites::{SiteId, Sites};
use crate::symbols::Symbolizer;
use crate::trace::Facts;

/// A call site as a person looks for it, escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The innermost function of the program's own.
    pub function: String,
    /// Its file and line.
    pub place: String,
    /// The backtrace from there outwards: functions and places.
    pub frames: Vec<(String, String)>,
}

/// The names of a call site.
pub fn named(facts: &Facts, sites: &Sites, symbolizer: &mut Symbolizer<'_>, site: SiteId) -> Named {
    let stack = Stacks::new(facts, sites, symbolizer).of(site);
    let frames = stack.lines.iter().skip(stack.head());
    let pair = |line: &Line| (line.name.clone(), line.place.clone());
    let frames: Vec<(String, String)> = frames.map(pair).collect();
    let (function, place) = frames.first().cloned().unwrap_or_default();
    Named {
        function,
        place,
        frames,
    }
}
