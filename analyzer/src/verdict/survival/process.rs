//! A group's requests in one process: what they kept, and which of them are old enough to tell.

use super::super::told::Collection;
use crate::ledger::{GroupLives, Judged, Lives, MEASURES, MassDeath};
use crate::requests::record::RequestId;

/// Where a group has frees, a process tells of it if one in so many of its requests are old enough.
const WATCHED: usize = 4;
/// What has not died in the last mass death is mature when it is so many times as old as what did.
const AGAIN: u64 = 2;

/// What a request of the group retained.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// The request.
    pub request: RequestId,
    /// The place of the request among those of its process that ended.
    pub order: u64,
    /// How old its holding is, by measure; `None`: not known.
    pub age: [Option<u64>; MEASURES],
    /// The process's requests of the group up to here kept nothing.
    pub first: bool,
    /// What the process's collector has told of it.
    pub judged: Judged,
}

/// A group's requests in one process.
#[derive(Clone, Debug, Default)]
pub struct InProcess<'g> {
    /// The places of its requests among those of the process that ended, sorted.
    pub orders: Vec<u64>,
    /// Of these, those of which the process's collector has told nothing yet.
    pub untold: &'g [u64],
    /// How many requests ended in the process.
    pub ended: u64,
    /// It has ended itself, while others went on serving.
    pub gone: bool,
    /// Those that retained something, by their places.
    pub kept: Vec<Kept>,
    /// Its lives there.
    pub lives: Option<&'g GroupLives>,
    /// The last mass death at the site.
    pub mass_death: Option<MassDeath>,
    /// The last collection of everything by a runtime that the site's blocks may wait for.
    pub collection: Option<Collection>,
    /// Where what it kept is its own by association: lives of what was freed at the site and is nobody's for sure.
    pub unowned: Option<&'g [Lives; MEASURES]>,
}

impl InProcess<'_> {
    /// How many requests have ended since the one in this place.
    pub(super) fn age(&self, order: u64) -> u64 {
        self.ended.saturating_sub(1).saturating_sub(order)
    }

    /// Whether the requests in the places before this one are enough of all to tell if the keeping goes on.
    pub(super) fn is_watched(&self, until: u64) -> bool {
        let old = self.orders.partition_point(|order| *order < until);
        old * WATCHED >= self.orders.len()
    }

    /// Requests in the places before this one are old enough for what they kept to be mature. Ages fall from one
    /// to the next in every measure: what is kept after the first that is too young is so, too.
    pub(super) fn old_until(&self, limits: [u64; MEASURES]) -> u64 {
        let by_requests = match limits[0] {
            0 => u64::MAX,
            limit => self.ended.saturating_sub(1).saturating_sub(limit),
        };
        let outlived = |kept: &&Kept| {
            let mut ages = kept.age.iter().zip(limits);
            ages.all(|(age, limit)| limit == 0 || age.is_none_or(|age| age > limit))
        };
        let young = self.kept.iter().find(|kept| !outlived(kept));
        let by_kept = young.map_or(u64::MAX, |kept| kept.order);
        // What has come since may be waiting for the next, if it is not much older than what died became.
        let by_death = self.mass_death.map_or(u64::MAX, |mass| {
            let limit = AGAIN * mass.life;
            let overdue = self.ended.saturating_sub(1).saturating_sub(limit);
            mass.order.max(overdue)
        });
        by_requests.min(by_kept).min(by_death)
    }
}
