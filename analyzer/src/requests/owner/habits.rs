//! How the workers of a process work, as far as proofs rest on it, and a sample of what they did.

use super::carriers::Carriers;
use crate::ledger::holding::{Hints, Moment, Proof};
use crate::ledger::site::SiteIndex;
use crate::requests::record::RequestId;

/// So many moments are kept of each process.
const MOMENTS: usize = 2048;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(in crate::requests) struct Habits {
    /// A thread that reads heads also answers requests that another one has read: tasks go from thread to
    /// thread, and what a thread does between two touches may be another request's work.
    pub(super) migrates: bool,
    /// A thread serves several requests at once, or does other work between them: what it does after a wait may
    /// be anything's.
    pub(super) multiplexes: bool,
    /// A task touches several connections: what it does after a wait may be another one's.
    pub(super) tasks_share: bool,
    /// A thread takes jobs without a wait, a queue's lock or a byte between, or several at once: what it does after an
    /// answer may be for the next one, and what it does before the first one for any of them.
    pub(super) takes_unseen: bool,
    /// A thread writes answers to heads that it has read together with one write: what it does before any answer may be
    /// for all of them.
    pub(super) answers_together: bool,
    /// A loop goes on with a request that streams although nothing was read: what it does after another's answer may be
    /// for one that it writes to next.
    pub(super) resumes: bool,
    /// Requests that had threads made which have ended, and whether those had worked for others; of those threads that
    /// have ended since a request has.
    made_threads: Vec<(RequestId, bool)>,
    /// How many requests had ended then.
    made_since: u64,
    /// Call sites that make blocks which carry jobs.
    pub(super) carriers: Carriers<SiteIndex>,
    moments: Vec<Moment>,
    seen: u64,
}

impl Habits {
    /// Whether such proofs hold in the process.
    pub(in crate::requests) fn hold(&self, proof: Proof) -> bool {
        !self.migrates
            && match proof {
                Proof::Touch => true,
                Proof::Tail | Proof::Handed => !self.takes_unseen,
                Proof::Waited => !self.multiplexes,
                Proof::Task => !self.tasks_share,
                Proof::Passed => !self.takes_unseen && !self.resumes,
                Proof::Alone => !self.answers_together,
            }
    }

    /// A zone ends. Of all, each is kept with the same probability (reservoir sampling, A. Waterman's
    /// algorithm R).
    pub(super) fn zone_ends(&mut self, stamp: u64, hints: Hints) {
        self.seen += 1;
        let moment = Moment {
            stamp: stamp.saturating_sub(1),
            hints,
        };
        if self.moments.len() < MOMENTS {
            return self.moments.push(moment);
        }
        let place = mix(self.seen) % self.seen;
        if let Some(kept) = self.moments.get_mut(place as usize) {
            *kept = moment;
        }
    }

    /// A thread has ended that `request` had made.
    pub(super) fn thread_ends(&mut self, made: (RequestId, bool), requests_ended: u64) {
        if requests_ended != self.made_since {
            self.made_threads.clear();
            self.made_since = requests_ended;
        }
        self.made_threads.push(made);
    }

    /// Requests that had threads made which were there when the last request ended, and whether those had worked for
    /// others.
    pub(in crate::requests) fn made_threads(
        &mut self,
        requests_ended: u64,
    ) -> Vec<(RequestId, bool)> {
        match requests_ended == self.made_since {
            true => std::mem::take(&mut self.made_threads),
            false => Vec::new(),
        }
    }

    /// The sample.
    pub(in crate::requests) fn moments(self) -> Vec<Moment> {
        self.moments
    }
}

/// Numbers in, numbers out that look random: splitmix64 (G. Steele, D. Lea, C. Flood, "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
