//! Which holding is an account's of a call site.

use rustc_hash::FxHashMap;

use super::holding::AccountId;
use crate::replay::HoldingId;
use crate::sites::SiteId;

/// Entries of the last ones found, a power of two.
const RECENT: usize = 256;
/// An account and a site that are never asked for together.
const NOBODY: u64 = u64::MAX;

/// Holdings by account and site.
#[derive(Debug)]
pub(super) struct HoldingIndex {
    all: FxHashMap<u64, HoldingId>,
    /// Those found last, each at one place: programs allocate where they did just before.
    recent: Box<[(u64, HoldingId)]>,
}

impl Default for HoldingIndex {
    fn default() -> Self {
        HoldingIndex {
            all: FxHashMap::default(),
            recent: vec![(NOBODY, 0); RECENT].into(),
        }
    }
}

fn key(account: AccountId, site: SiteId) -> u64 {
    u64::from(account) << 32 | u64::from(site)
}

fn place(key: u64) -> usize {
    (key ^ key >> 32) as usize % RECENT
}

impl HoldingIndex {
    /// The account's holding of the site, if there is one.
    #[inline]
    pub(super) fn get(&mut self, account: AccountId, site: SiteId) -> Option<HoldingId> {
        let key = key(account, site);
        let recent = &mut self.recent[place(key)];
        if recent.0 != key || key == NOBODY {
            *recent = (key, *self.all.get(&key)?);
        }
        Some(recent.1)
    }

    /// The account has this holding of the site from now on.
    pub(super) fn insert(&mut self, account: AccountId, site: SiteId, holding: HoldingId) {
        let key = key(account, site);
        self.recent[place(key)] = (NOBODY, 0);
        self.all.insert(key, holding);
    }

    /// The account has none any more.
    pub(super) fn remove(&mut self, account: AccountId, site: SiteId) {
        let key = key(account, site);
        self.recent[place(key)] = (NOBODY, 0);
        self.all.remove(&key);
    }
}
