//! When a process's collector of cyclic garbage ran, and so of what it has told whether it is garbage.
//!
//! CPython's has three generations. What is new is in the youngest, and moves to the next with each run over its
//! own that it outlives; a run over one goes over all younger ones, too. What outlives a run over its generation
//! can be reached from elsewhere, so it is no garbage then. What has come since the last such run may be, though it
//! lives: it waits.

use super::{CollectionMoment, Ledger};
use crate::sites::SiteId;
use crate::sites::runtimes::Phase;

/// The oldest generation: only a full run goes over it.
const OLDEST: u8 = 2;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    /// How often it had run over each generation when that was told last.
    told: Option<[u32; 3]>,
    /// Runs before the exit, in a forked process since the fork, by the oldest generation that they went over.
    pub runs: [u64; 3],
    /// Of those, the ones while it served; together as one where no request ended in between.
    passes: Vec<Pass>,
    /// The last of them over each generation.
    last: [Option<usize>; 3],
    /// How often it was asked to run.
    pub asked: u64,
    /// It has run over everything since the last request ended: what that left was in use.
    pub ran_last: bool,
}

/// Runs that were told together.
#[derive(Clone, Copy, Debug)]
struct Pass {
    stamp: u64,
    /// The oldest generation that they went over.
    oldest: u8,
    /// So many requests had ended.
    order: u64,
}

/// What a collector has told of what a request kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judged {
    /// It was in use after the request; or there is no collector that could tell.
    #[default]
    InUse,
    /// There was no run that could tell.
    Waits,
    /// There was none while the process served, and the first full one after that freed it: it was garbage, or what
    /// held it ended with the serving.
    Freed,
}

impl Collector {
    /// A forked child's: it goes on counting.
    pub(super) fn fork(&self) -> Collector {
        Collector {
            told: self.told,
            ..Collector::default()
        }
    }

    /// Whether it is known when this process's collector ran.
    pub fn is_known(&self) -> bool {
        self.told.is_some()
    }

    /// It has run so often by now; tells how often since it was told last, over each generation.
    fn told(&mut self, counts: [u32; 3]) -> [u32; 3] {
        let told = self.told.get_or_insert_default();
        let mut new = [0; 3];
        for (generation, now) in counts.into_iter().enumerate() {
            let runs = now.wrapping_sub(told[generation]);
            // A telling that comes late tells nothing.
            if runs <= u32::MAX / 2 {
                told[generation] = now;
                new[generation] = runs;
            }
        }
        new
    }

    /// It ran over this generation, and the younger ones, after `order` requests had ended.
    fn ran(&mut self, stamp: u64, oldest: u8, order: u64) {
        match self.passes.last_mut() {
            Some(pass) if pass.order == order => {
                pass.stamp = stamp;
                pass.oldest = pass.oldest.max(oldest);
            }
            _ => self.passes.push(Pass {
                stamp,
                oldest,
                order,
            }),
        }
        let last = Some(self.passes.len() - 1);
        self.last[..=usize::from(oldest)].fill(last);
    }

    /// Whether what was made between these stamps, and was to be gone after the second, has outlived a run that
    /// could have told that it is garbage.
    pub fn has_told(&self, from: u64, until: u64) -> bool {
        let first = self.passes.partition_point(|pass| pass.stamp <= from);
        let after = self.passes.partition_point(|pass| pass.stamp <= until);
        let within = self.passes.get(first..after).unwrap_or_default();
        let generation = match within.iter().map(|pass| pass.oldest).max() {
            None => 0,
            Some(0) => 1,
            Some(_) => OLDEST,
        };
        self.has_run_since(after, generation)
    }

    /// The same of what a request left that began and ended at these stamps, and made the last of it at `last`. What
    /// was made after its end, as its connection was closed, may have been in use for the next run, too.
    pub fn has_told_of(&self, start: u64, end: u64, last: u64) -> bool {
        if last <= end {
            return self.has_told(start, end);
        }
        let next = self.passes.partition_point(|pass| pass.stamp <= last);
        let next = self.passes.get(next);
        next.is_some_and(|next| self.has_told(start, next.stamp))
    }

    /// The same, where it is not known when it was to be gone: only a full run tells.
    pub fn has_told_fully(&self, born: u64) -> bool {
        let after = self.passes.partition_point(|pass| pass.stamp <= born);
        self.has_run_since(after, OLDEST)
    }

    /// The stamp of the last full run while it served.
    pub fn last_full(&self) -> Option<u64> {
        let last = self.last[usize::from(OLDEST)]?;
        self.passes.get(last).map(|pass| pass.stamp)
    }

    fn has_run_since(&self, pass: usize, generation: u8) -> bool {
        self.last[usize::from(generation)].is_some_and(|last| last >= pass)
    }

    /// What it has told of what was kept. `is_told`: it has outlived a run that could tell; `freed`: the first full
    /// run after the serving freed it.
    pub fn judge(&self, is_told: bool, freed: bool) -> Judged {
        match (self.ran_last, freed) {
            _ if is_told || !self.is_known() => Judged::InUse,
            (true, true) => Judged::Freed,
            (true, false) => Judged::InUse,
            (false, _) => Judged::Waits,
        }
    }

    /// The serving was over at this stamp: what came later tells only of what is left by then.
    pub(super) fn serving_ended(&mut self, stamp: u64) {
        while self.passes.last().is_some_and(|pass| pass.stamp > stamp) {
            self.passes.pop();
        }
        for (generation, last) in (0..).zip(&mut self.last) {
            *last = self
                .passes
                .iter()
                .rposition(|pass| pass.oldest >= generation);
        }
    }
}

impl Ledger {
    /// The process's collector has run so often by now, over each generation.
    pub fn collected(&mut self, stamp: u64, counts: [u32; 3]) {
        let order = self.order();
        let new = self.collector.told(counts);
        if !self.exit.has_begun() {
            for (sum, runs) in self.collector.runs.iter_mut().zip(new) {
                *sum += u64::from(runs);
            }
        }
        let oldest = (0..).zip(new).filter(|(_, runs)| *runs > 0).last();
        let Some((oldest, _)) = oldest else {
            return;
        };
        self.collector.ran(stamp, oldest, order);
        if oldest == OLDEST && !self.collector.ran_last {
            self.collector.ran_last = true;
            self.pending_collected = self.pending.len();
        }
    }

    /// What is allocated at this site tells that the collector does this; so has what was allocated there by now.
    pub fn tells_phase(&mut self, site: SiteId, phase: Phase, stamp: u64) {
        self.tracing.sites.push((site, phase));
        if let Some(index) = self.site_index.get(&site) {
            self.sites[*index as usize].phase = Some(phase);
            self.collector_seen(phase, stamp);
        }
    }

    /// A block was allocated at a site that tells this.
    #[cold]
    pub(super) fn collector_seen(&mut self, phase: Phase, stamp: u64) {
        let order = self.order();
        // What it does before the first request tells nothing.
        if order > 0 && !self.exit.has_begun() {
            self.tracing.seen(phase, CollectionMoment { stamp, order });
        }
    }

    /// The process's collector was asked to run.
    pub fn collection_asked(&mut self) {
        self.collector.asked += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs at these stamps, each after as many requests had ended.
    fn collector(runs: &[(u64, u8)]) -> Collector {
        let mut collector = Collector {
            told: Some([0; 3]),
            ..Collector::default()
        };
        for (stamp, oldest) in runs {
            collector.ran(*stamp, *oldest, *stamp);
        }
        collector
    }

    #[test]
    fn what_is_young_is_told_by_the_next_run() {
        let runs = collector(&[(10, 0), (20, 0)]);
        assert!(runs.has_told(11, 19));
        assert!(!runs.has_told(11, 21), "it has run before the end");
        assert!(!runs.has_told(21, 22), "it has not run since");
    }

    #[test]
    fn what_has_outlived_runs_waits_for_those_over_its_generation() {
        assert!(!collector(&[(10, 0), (20, 0)]).has_told(5, 15));
        assert!(collector(&[(10, 0), (20, 1)]).has_told(5, 15));
        assert!(!collector(&[(10, 1), (20, 1)]).has_told(5, 15));
        assert!(collector(&[(10, 1), (20, 2)]).has_told(5, 15));
        assert!(!collector(&[(10, 2), (20, 1)]).has_told(5, 15));
    }

    #[test]
    fn what_has_no_known_end_waits_for_a_full_run() {
        let runs = collector(&[(10, 2), (20, 1)]);
        assert!(runs.has_told_fully(9) && !runs.has_told_fully(10));
        assert_eq!(runs.last_full(), Some(10));
    }

    #[test]
    fn what_is_made_after_its_request_may_be_in_use_for_one_run_more() {
        assert!(collector(&[(10, 0)]).has_told_of(5, 7, 6));
        assert!(!collector(&[(10, 0), (20, 0)]).has_told_of(5, 7, 8));
        assert!(collector(&[(10, 0), (20, 1)]).has_told_of(5, 7, 8));
        assert!(!collector(&[(10, 1), (20, 1)]).has_told_of(5, 7, 8));
        assert!(!collector(&[(10, 2)]).has_told_of(5, 7, 8));
        assert!(!collector(&[(10, 2)]).has_told_of(5, 7, 11));
    }

    #[test]
    fn runs_without_a_request_between_them_are_one() {
        let mut runs = collector(&[(10, 1)]);
        runs.ran(12, 0, 10);
        assert_eq!(runs.passes.len(), 1);
        assert!(!runs.has_told(11, 13), "it may have been there for both");
        assert!(runs.has_told(5, 9));
    }

    #[test]
    fn tellings_add_up_and_late_ones_tell_nothing() {
        let mut collector = Collector::default();
        assert_eq!(collector.told([7, 1, 0]), [7, 1, 0]);
        assert_eq!(collector.told([9, 1, 1]), [2, 0, 1]);
        assert_eq!(collector.told([8, 1, 0]), [0; 3]);
        assert_eq!(collector.told([9, 2, 1]), [0, 1, 0]);
    }

    #[test]
    fn a_full_run_after_the_serving_tells_of_the_rest() {
        let mut runs = collector(&[(10, 0), (20, 2)]);
        runs.serving_ended(19);
        assert!(!runs.has_told(11, 12), "it may have freed it");
        assert_eq!(runs.judge(false, true), Judged::Waits);
        runs.ran_last = true;
        assert_eq!(runs.judge(false, true), Judged::Freed);
        assert_eq!(runs.judge(false, false), Judged::InUse);
        assert_eq!(runs.judge(true, true), Judged::InUse);
        assert_eq!(Collector::default().judge(false, true), Judged::InUse);
    }
}
