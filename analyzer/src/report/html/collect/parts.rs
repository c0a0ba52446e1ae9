//! What rows of several kinds have in common, and how many there are at most.

use super::super::data::Type;
use super::super::names::Names;
use crate::analysis::{Site, TypeRow};
use crate::report::Input;
use crate::sites::{Memory, SiteId};

/// How much of what there may be very much of goes into the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Call sites, at most.
    pub(crate) sites: usize,
    /// Of these, with their evidence and their course.
    pub(crate) details: usize,
    /// Endpoints with their course.
    pub(crate) courses: usize,
    /// Leaking requests.
    pub(crate) requests: usize,
}

impl Limits {
    /// Of a page that may have its full size.
    pub(crate) const FULL: Limits = Limits {
        sites: 5_000,
        details: 5_000,
        courses: 1_000,
        requests: 4_000,
    };

    /// Those of a page that was too large with these: fewer of the least first. `None`: nothing is left to leave out.
    pub(crate) fn tighter(self) -> Option<Limits> {
        let least = |number: usize, least: usize| (number / 2).max(least);
        match self {
            Limits { details: 101.., .. } => Some(Limits {
                details: least(self.details, 100),
                requests: least(self.requests, 500),
                ..self
            }),
            Limits { sites: 101.., .. } => Some(Limits {
                sites: least(self.sites, 100),
                courses: least(self.courses, 100),
                ..self
            }),
            Limits { sites: 1.., .. } => Some(Limits {
                sites: 0,
                details: 0,
                courses: 0,
                requests: 0,
            }),
            _ => None,
        }
    }
}

pub(super) fn types(names: &mut Names, types: &[TypeRow]) -> Vec<Type> {
    let types = types.iter().take(MOST_TYPES);
    types
        .map(|row| Type(names.of(&row.name), row.blocks, row.bytes))
        .collect()
}

/// Whether a site's blocks are threads' stacks.
pub(super) fn is_stack(input: &Input<'_>, site: SiteId) -> bool {
    input.sites.memory(site) == Memory::Stack
}

/// What is live of a site at the moment that matters: before the exit, where there was one.
pub(super) fn live(input: &Input<'_>, site: &Site) -> (u64, u64) {
    match input.before_exit(site.before_exit) {
        Some(before) => (before.blocks, before.bytes),
        None => (site.live_blocks, site.live_bytes),
    }
}

/// Types of a row, at most.
pub(super) const MOST_TYPES: usize = 25;
