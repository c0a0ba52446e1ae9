//! Collections that nobody tells of, by what dies at once.
//!
//! A collector with generations frees what is garbage among the young, and leaves alone what has survived a few of its
//! runs, until it goes over everything. So where much of what came since one run dies at once there was another run; and
//! a run in which things die that had survived more runs than the young do went over everything. What was there before
//! the run before that began, and is left, was in use then.
//!
//! What a program frees by itself looks the same only where it frees much of what its requests left, at once. Runs of
//! which little dies are not seen; what is not seen makes less of what is kept old enough to tell of.

use std::collections::VecDeque;

use super::tracing::Moment;

/// So many deaths at once, ...
const DEATHS: u64 = 8;
/// ... that are one in so many of what came since the last run and lives, tell of another run.
const PART: u64 = 8;
/// So many runs are survived by what is young, and one more, of which some may have come too late to be looked at.
const YOUNG: usize = 4;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Cycles {
    /// When the last runs were seen to begin, the newest last.
    runs: VecDeque<Moment>,
    /// What came since the last one, and lives.
    living: u64,
    /// Deaths at this moment: all, and of what came since the last run.
    at: Moment,
    young: u64,
    /// Deaths since the last run began of what is not young.
    old: u64,
    /// When the run before the last that went over everything was seen to begin.
    pub(super) told: Option<Moment>,
}

impl Cycles {
    /// Something outlives its request.
    #[inline]
    pub(super) fn born(&mut self) {
        self.living += 1;
    }

    /// Something dies now that was born when so many requests had ended.
    pub(super) fn dies(&mut self, born: u64, now: Moment) {
        if self.at.order != now.order {
            (self.at, self.young) = (now, 0);
        }
        let last = self.runs.back().map_or(0, |run| run.order);
        if born >= last {
            self.young += 1;
            self.living = self.living.saturating_sub(1);
        }
        if self.young >= DEATHS && self.young * PART >= self.living && last < now.order {
            self.begins(now);
        }
        if self.runs.len() > YOUNG && born < self.runs[0].order {
            self.old += 1;
            // The run that began before this one was over then.
            if self.old >= DEATHS {
                self.told = Some(self.runs[self.runs.len() - 2]);
            }
        }
    }

    /// A run was seen to begin.
    fn begins(&mut self, now: Moment) {
        self.runs.push_back(now);
        if self.runs.len() > YOUNG + 1 {
            self.runs.pop_front();
        }
        (self.living, self.young, self.old) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server each of whose requests leaves one thing. `dies` gives what dies after each, by its birth.
    fn told(requests: u64, dies: impl Fn(u64) -> Vec<u64>) -> Option<u64> {
        let mut cycles = Cycles::default();
        for order in 1..=requests {
            for born in dies(order) {
                cycles.dies(
                    born,
                    Moment {
                        stamp: order,
                        order,
                    },
                );
            }
            cycles.born();
        }
        cycles.told.map(|moment| moment.order)
    }

    /// All that came since the last run dies, but for one in ten; what `old` gives, too.
    fn runs_every(each: u64, old: impl Fn(u64) -> Vec<u64>) -> impl Fn(u64) -> Vec<u64> {
        move |order| {
            let is_run = order % each == 0;
            let young = (order - order.min(each)..order).filter(|born| is_run && born % 10 != 0);
            young.chain(old(order)).collect()
        }
    }

    #[test]
    fn runs_over_the_young_tell_nothing() {
        assert_eq!(told(1000, runs_every(50, |_| Vec::new())), None);
    }

    #[test]
    fn deaths_of_the_old_tell_of_the_run_before() {
        let old = |order| match order {
            600 => (0..200).step_by(10).collect(),
            _ => Vec::new(),
        };
        assert_eq!(told(1000, runs_every(50, old)), Some(550));
        // There were too few runs that they could have survived.
        let early = |order| match order {
            200 => (0..100).step_by(10).collect(),
            _ => Vec::new(),
        };
        assert_eq!(told(1000, runs_every(50, early)), None);
    }

    #[test]
    fn what_a_program_frees_by_itself_is_no_run() {
        // Of ten things that each request leaves the next one frees three, and a table of 16 old ones goes now and then.
        let mut cycles = Cycles::default();
        for order in 1..2000_u64 {
            let now = Moment {
                stamp: order,
                order,
            };
            (0..3).for_each(|_| cycles.dies(order - 1, now));
            if order % 100 == 0 {
                (order - 100..order - 84).for_each(|born| cycles.dies(born, now));
            }
            (0..10).for_each(|_| cycles.born());
        }
        assert_eq!(cycles.told, None);
    }
}
