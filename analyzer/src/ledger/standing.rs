//! What a process's resident memory was at a moment.

use rustc_hash::FxHashMap;

use super::pages::Held;
use crate::sites::SiteId;
use crate::trace::Resident;

/// Why a block is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Since {
    /// It came before the first request, or by fork.
    StartUp,
    /// It is a request's that had not ended.
    InUse,
    /// It came later, and is to be judged.
    Later,
}

/// Blocks of a call site that pin pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pin {
    /// Which.
    pub site: SiteId,
    /// How many.
    pub blocks: u64,
    /// Bytes that nobody uses, and that they keep.
    pub bytes: f64,
}

/// What a process's resident memory is at a moment. All sums together are what is resident.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// When.
    pub stamp: u64,
    /// What of live blocks is resident, of mappings too, by call site; none: what came by fork.
    pub live: Vec<(SiteId, Since, u64)>,
    /// Free bytes of pages that are filled less than a quarter.
    pub pinned: u64,
    /// Those of pages that are filled more.
    pub between: u64,
    /// Pages without live blocks that allocators hold.
    pub whole: u64,
    /// Stacks.
    pub stacks: u64,
    /// Files: code, data.
    pub files: u64,
    /// libleak's own.
    pub own: u64,
    /// What nobody is known to hold.
    pub rest: u64,
    /// Who pins pages.
    pub pins: Vec<Pin>,
}

impl Standing {
    pub(super) fn of(
        reading: &Resident,
        live: FxHashMap<(SiteId, Since), f64>,
        pins: FxHashMap<SiteId, Pin>,
        (held, stacks): (Held, u64),
    ) -> Standing {
        let live = live
            .into_iter()
            .map(|((site, since), bytes)| (site, since, bytes.round() as u64));
        let mut live: Vec<_> = live.filter(|(_, _, bytes)| *bytes > 0).collect();
        live.sort_unstable();
        let mut pins: Vec<Pin> = pins.into_values().collect();
        pins.sort_unstable_by_key(|pin| pin.site);
        let mut standing = Standing {
            stamp: reading.stamp,
            live,
            pinned: held.pinned,
            between: held.between,
            whole: held.whole,
            stacks: stacks + held.stacks,
            files: reading.files + held.data,
            own: reading.own,
            rest: 0,
            pins,
        };
        // What rounding leaves is there, too.
        standing.rest = reading.bytes().saturating_sub(standing.bytes());
        standing
    }

    /// Puts together the sites for which `site_of` gives the same one.
    pub fn merge(&mut self, site_of: impl Fn(SiteId) -> SiteId) {
        for (site, ..) in &mut self.live {
            *site = site_of(*site);
        }
        for pin in &mut self.pins {
            pin.site = site_of(pin.site);
        }
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        let live: u64 = self.live.iter().map(|(_, _, bytes)| bytes).sum();
        let held = self.pinned + self.between + self.whole;
        live + held + self.stacks + self.files + self.own + self.rest
    }
}
