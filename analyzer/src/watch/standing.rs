//! How things stand at a moment, and what has changed between two.

use rustc_hash::FxHashMap;

use crate::requests::label::Group;
use crate::requests::record::RequestId;
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::trace::Dropped;
use crate::types::TypeId;

/// Who holds blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Requests of this label and status that have ended; proved.
    Left(Group),
    /// The same, not proved: the only request that there is a hint of.
    Likely(Group),
    /// Nobody can tell.
    Untold,
    /// No request.
    Outside,
    /// Requests that go on.
    Flying,
}

/// What is told apart: whose, from where, what.
pub(super) type Key = (Owner, SiteId, TypeId);

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// When that was.
    pub(super) stamp: u64,
    /// Nanoseconds since the trace's start.
    pub(super) at_ns: u64,
    /// Requests that have ended.
    pub(super) requests: u64,
    /// Requests in flight.
    pub(super) flying: u64,
    /// Allocators' blocks that are live.
    pub(super) live: Amount,
    /// Memory that is mapped and no allocator's.
    pub(super) mapped: Amount,
    /// Bytes of resident memory, at its last reading.
    pub(super) resident: u64,
    /// Processes that run.
    pub(super) processes: usize,
    pub(super) dropped: Dropped,
    /// `LEAK_SAMPLE`; 0: every block was recorded.
    pub(super) sample_bytes: u64,
    /// Live blocks.
    pub(super) rows: FxHashMap<Key, Amount>,
    /// Requests that have ended, by label and status.
    pub(super) served: FxHashMap<Group, u64>,
    /// Those that still hold something that is proved to be theirs.
    pub(super) holding: FxHashMap<Group, u64>,
    /// What.
    pub(super) by_request: FxHashMap<RequestId, Amount>,
}

impl Standing {
    pub(super) fn add(&mut self, key: Key, amount: Amount) {
        *self.rows.entry(key).or_default() += amount;
    }

    /// `request` has ended and holds this.
    pub(super) fn hold(&mut self, request: RequestId, amount: Amount) {
        *self.by_request.entry(request).or_default() += amount;
    }

    pub(super) fn count_holding(&mut self, group: impl Fn(RequestId) -> Option<Group>) {
        self.holding.clear();
        for group in self.by_request.keys().filter_map(|request| group(*request)) {
            *self.holding.entry(group).or_default() += 1;
        }
    }

    /// It was told later of what type blocks of `owner` are that were live then. Whose they were then may have been another
    /// thing.
    fn retype(&mut self, owner: Owner, (site, from, to): (SiteId, TypeId, TypeId), amount: Amount) {
        let owners = [owner, Owner::Flying, Owner::Untold, Owner::Outside];
        for owner in owners {
            let known = self.rows.get_mut(&(owner, site, from));
            let has =
                |known: &&mut Amount| known.blocks >= amount.blocks && known.bytes >= amount.bytes;
            if let Some(known) = known.filter(has) {
                *known -= amount;
                return self.add((owner, site, to), amount);
            }
        }
    }

    /// As much as is needed to compare with it later.
    pub(super) fn to_compare(&self) -> Standing {
        Standing {
            by_request: FxHashMap::default(),
            ..self.clone()
        }
    }
}

/// Moments that are compared with.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    /// When the first request began.
    pub(super) start: Option<Standing>,
    /// The last mark.
    pub(super) marked: Option<Standing>,
    /// The first look, and the last one.
    pub(super) first: Option<Standing>,
    pub(super) before: Option<Standing>,
    /// Where the viewer wanted.
    pub(super) chosen: Option<Standing>,
}

impl Baselines {
    /// It is told now of what type a block of `owner` is that was born at `born`: it was that all the time. The last look
    /// stays what the viewer saw, to whom it is news.
    pub(super) fn retype(
        &mut self,
        (owner, born): (Owner, u64),
        types: (SiteId, TypeId, TypeId),
        amount: Amount,
    ) {
        let all = [
            &mut self.start,
            &mut self.marked,
            &mut self.first,
            &mut self.chosen,
        ];
        for standing in all.into_iter().flatten() {
            if standing.stamp >= born {
                standing.retype(owner, types, amount);
            }
        }
    }
}

/// A difference of two amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) blocks: i64,
    pub(super) bytes: i64,
}

impl Change {
    pub(super) fn is_none(self) -> bool {
        self == Change::default()
    }

    fn add(&mut self, amount: Amount, sign: i64) {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.blocks += sign * signed(amount.blocks);
        self.bytes += sign * signed(amount.bytes);
    }

    pub(super) fn plus(self, other: Change) -> Change {
        Change {
            blocks: self.blocks + other.blocks,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// What has changed since the moment that is compared with, and since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grown {
    pub(super) since: Change,
    pub(super) last: Change,
}

impl Grown {
    pub(super) fn plus(self, other: Grown) -> Grown {
        Grown {
            since: self.since.plus(other.since),
            last: self.last.plus(other.last),
        }
    }
}

/// By whatever `of` makes of a key, how much more is live `now` than in `base`, and than in `before`.
pub(super) fn grown<K: std::hash::Hash + Eq>(
    (now, base, before): (&Standing, Option<&Standing>, Option<&Standing>),
    of: impl Fn(&Key) -> Option<K>,
) -> FxHashMap<K, Grown> {
    let mut sums: FxHashMap<K, Grown> = FxHashMap::default();
    for (key, amount) in &now.rows {
        if let Some(of) = of(key) {
            let sum = sums.entry(of).or_default();
            sum.since.add(*amount, 1);
            sum.last.add(*amount, 1);
        }
    }
    for (key, amount) in base.iter().flat_map(|base| &base.rows) {
        if let Some(of) = of(key) {
            sums.entry(of).or_default().since.add(*amount, -1);
        }
    }
    for (key, amount) in before.iter().flat_map(|before| &before.rows) {
        if let Some(of) = of(key) {
            sums.entry(of).or_default().last.add(*amount, -1);
        }
    }
    sums
}
