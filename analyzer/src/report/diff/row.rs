//! A call site in two traces.

use super::side::Lost;
use super::state::State;
use crate::report::outline::{Outline, OutlineSite};

/// A call site, for one label or outside of requests.
#[derive(Debug)]
pub struct SiteRow<'o> {
    /// The label; `None`: outside of requests.
    pub label: Option<&'o str>,
    /// What became of it.
    pub state: State,
    /// Why.
    pub reason: String,
    /// In the first; `None`: it was not seen to leave anything.
    pub before: Option<&'o OutlineSite>,
    /// In the second.
    pub after: Option<&'o OutlineSite>,
    /// Where both are not the same functions: how many of how many they share.
    pub likeness: Option<(usize, usize)>,
}

impl SiteRow<'_> {
    /// The site, in the newer trace where it is there.
    pub fn site(&self) -> Option<&OutlineSite> {
        self.after.or(self.before)
    }

    /// The function that a person looks for.
    pub fn name(&self) -> &str {
        self.site().map_or("", |site| site.head.name.as_str())
    }
}

/// What the recording may have missed.
pub(super) fn lost(outline: &Outline) -> Lost {
    Lost {
        events: outline.dropped_events,
        sample_bytes: outline.sample_bytes,
    }
}
