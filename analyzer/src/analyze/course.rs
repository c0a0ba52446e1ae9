//! Keeps the periods of the recorded time while a trace is read, and puts together what was noted of them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::judged::{Judged, JudgedLabel};
use crate::analysis::course::{Begins, Kept, Lived, PERIODS, period};
use crate::ledger::{Finished, Ledger, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::trace::{Clock, Facts};

/// Which period goes on; of those that nobody asked for, the first for ever.
#[derive(Debug)]
pub(super) struct Periods {
    begins: Option<Begins>,
    now: u8,
    /// The stamp at which it is over.
    until: u64,
}

impl Default for Periods {
    fn default() -> Self {
        Periods {
            begins: None,
            now: 0,
            until: u64::MAX,
        }
    }
}

impl Periods {
    /// Those of a trace: of equal length in time.
    pub(super) fn of(facts: &Facts) -> Periods {
        let begin = |at: usize| {
            let part = u128::from(facts.duration_ns) * (at as u128 + 1) / PERIODS as u128;
            stamp_of(&facts.clock, part as u64)
        };
        let begins: Begins = Arc::new(std::array::from_fn(begin));
        Periods {
            until: begins[0],
            begins: Some(begins),
            now: 0,
        }
    }

    /// Whether the period is over at `stamp`.
    #[inline]
    pub(super) fn is_over(&self, stamp: u64) -> bool {
        stamp >= self.until
    }

    /// Goes on to the period in which `stamp` lies.
    pub(super) fn advance(&mut self, stamp: u64) {
        if let Some(begins) = &self.begins {
            self.now = period(begins, stamp);
            let until = begins.get(usize::from(self.now));
            self.until = until.copied().unwrap_or(u64::MAX);
        }
    }

    /// Tells a process which one goes on.
    pub(super) fn tell(&self, ledger: &mut Ledger) {
        if let Some(begins) = &self.begins {
            ledger.period_begins(begins, self.now);
        }
    }

    /// When they begin, if anybody asked.
    pub(super) fn begins(&self) -> Option<&Begins> {
        self.begins.as_ref()
    }
}

/// The first stamp that is no earlier than so many nanoseconds after the start; of a clock that tells less, the last
/// that it tells of and as many after it.
fn stamp_of(clock: &Clock, ns: u64) -> u64 {
    let last = clock.points.last().map_or(0, |point| point.0);
    let (mut low, mut high) = (0, last.saturating_mul(2));
    while low < high {
        let middle = low + (high - low) / 2;
        match clock.ns(middle) < ns {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

/// When blocks came and went, over all processes.
pub(super) fn lived(ended: &mut [(Finished, usize)]) -> Vec<Lived> {
    let mut sums: FxHashMap<(SiteId, u8, u8), Amount> = FxHashMap::default();
    for (finished, _) in ended {
        for lived in std::mem::take(&mut finished.lived) {
            let key = (lived.site, lived.born, lived.died);
            *sums.entry(key).or_default() += lived.amount;
        }
    }
    let sums = sums.into_iter();
    let mut lived: Vec<Lived> = sums
        .map(|((site, born, died), amount)| Lived {
            site,
            born,
            died,
            amount,
        })
        .collect();
    lived.sort_unstable_by_key(|lived| (lived.site, lived.born, lived.died));
    lived
}

/// What requests left behind, by when they began.
pub(super) fn kept(
    begins: &Begins,
    sites: &[Judged],
    records: &[Record],
    endpoint_of: &FxHashMap<LabelId, u32>,
) -> Vec<Kept> {
    let mut all = Vec::new();
    for site in sites {
        for part in &site.labels {
            let Some(endpoint) = endpoint_of.get(&part.label) else {
                continue;
            };
            all.extend(kept_of(begins, (site.id, *endpoint), part, records));
        }
    }
    all.sort_unstable_by_key(|kept| (kept.site, kept.endpoint, kept.status, kept.period));
    all
}

/// The same of one call site and one endpoint.
fn kept_of(
    begins: &Begins,
    (site, endpoint): (SiteId, u32),
    part: &JudgedLabel,
    records: &[Record],
) -> Vec<Kept> {
    let mut sums: FxHashMap<(Option<u32>, u8), Kept> = FxHashMap::default();
    for kept in &part.retained {
        let record = records.get(kept.request as usize);
        let status = record.and_then(|record| record.status);
        // Which request it is is not known where only the label is.
        let began = record.filter(|_| !kept.untold).map(|record| record.start);
        let period = period(begins, began.unwrap_or(kept.born));
        let sum = sums.entry((status, period)).or_insert(Kept {
            site,
            endpoint,
            status,
            period,
            retained: Amount::default(),
            associated: Amount::default(),
            leaked: Amount::default(),
        });
        sum.retained += kept.amount();
        sum.associated += Retained::associated(kept);
        if part.leaks(kept, records) {
            sum.leaked += kept.used();
        }
    }
    sums.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_of_equal_length_in_time() {
        // The clock went faster later on.
        let clock = Clock {
            points: vec![(1_000, 0), (2_000, 24_000), (6_000, 48_000)],
        };
        let facts = Facts {
            clock,
            duration_ns: 48_000,
            ..Facts::default()
        };
        let mut periods = Periods::of(&facts);
        let begins = **periods.begins().unwrap();
        for (at, begin) in (1..).zip(begins) {
            let ns = facts.clock.ns(begin);
            assert!((at * 1000..at * 1000 + 48).contains(&ns), "{at}: {ns}");
        }
        assert!(!periods.is_over(begins[0] - 1) && periods.is_over(begins[0]));
        periods.advance(begins[4]);
        assert!(!periods.is_over(begins[5] - 1) && periods.is_over(begins[5]));
        periods.advance(u64::MAX);
        assert!(!periods.is_over(u64::MAX - 1));
    }
}
