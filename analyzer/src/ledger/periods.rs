//! When blocks came and went, in the periods of a course. A block that goes in the period in which it came is alive
//! at no period's end and is not noted: most are such, and one comparison tells. What is live when the process's exit
//! begins has outlived all periods; what the tear-down does is no part of this.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::analysis::course::{Begins, Lived, OUTLIVED, period};
use crate::sample::Amount;
use crate::sites::SiteId;

/// See the module's documentation. Does nothing until it is told of periods.
#[derive(Debug, Default)]
pub(super) struct Periods {
    begins: Option<Begins>,
    /// The one that goes on.
    now: u8,
    /// When it began: a block that was born before came in another one.
    began: u64,
    lived: FxHashMap<(SiteId, u8, u8), Amount>,
    closed: bool,
}

impl Periods {
    /// The period `now` of those that begin at `begins` has begun.
    pub(super) fn begins(&mut self, begins: &Begins, now: u8) {
        let began = usize::from(now)
            .checked_sub(1)
            .and_then(|at| begins.get(at));
        self.began = began.copied().unwrap_or(0);
        self.begins = Some(Arc::clone(begins));
        self.now = now;
    }

    /// Whether the end of a block that was born at `born` is worth a note.
    #[inline]
    pub(super) fn is_of_another(&self, born: u64) -> bool {
        born < self.began
    }

    /// A block that came in another period has ended.
    #[cold]
    pub(super) fn ends(&mut self, site: SiteId, born: u64, amount: Amount) {
        if let (Some(begins), false) = (&self.begins, self.closed) {
            let born = period(begins, born);
            *self.lived.entry((site, born, self.now)).or_default() += amount;
        }
    }

    /// The process's exit begins, or it ends without one: `live` blocks, each with its birth, have outlived all
    /// periods. Only the first time counts.
    pub(super) fn close(&mut self, live: impl Iterator<Item = (SiteId, u64, Amount)>) {
        let Some(begins) = self.begins.as_deref() else {
            return;
        };
        if !std::mem::replace(&mut self.closed, true) {
            for (site, born, amount) in live {
                let key = (site, period(begins, born), OUTLIVED);
                *self.lived.entry(key).or_default() += amount;
            }
        }
    }

    /// What was noted; the process has ended.
    pub(super) fn take(&mut self) -> Vec<Lived> {
        let lived = std::mem::take(&mut self.lived).into_iter();
        let lived = lived.map(|((site, born, died), amount)| Lived {
            site,
            born,
            died: match died {
                OUTLIVED => OUTLIVED + self.now,
                died => died,
            },
            amount,
        });
        lived.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::course::PERIODS;

    fn amount(bytes: u64) -> Amount {
        Amount { blocks: 1, bytes }
    }

    #[test]
    fn blocks_are_noted_by_birth_and_death() {
        let begins: Begins = Arc::new(std::array::from_fn(|at| (at as u64 + 1) * 100));
        assert_eq!(period(&begins, 99), 0);
        assert_eq!(period(&begins, 100), 1);
        assert_eq!(usize::from(period(&begins, u64::MAX)), PERIODS - 1);
        let mut periods = Periods::default();
        assert!(!periods.is_of_another(0));
        periods.begins(&begins, 0);
        assert!(!periods.is_of_another(0));
        periods.begins(&begins, 3);
        assert!(periods.is_of_another(299) && !periods.is_of_another(300));
        periods.ends(7, 150, amount(16));
        periods.ends(7, 199, amount(16));
        periods.close([(7, 20, amount(5))].into_iter());
        // The tear-down.
        periods.close([(7, 20, amount(5))].into_iter());
        periods.ends(7, 20, amount(5));
        periods.begins(&begins, 5);
        let mut lived = periods.take();
        lived.sort_by_key(|lived| lived.born);
        let rows = lived.iter().map(|l| (l.born, l.died, l.amount.bytes));
        assert_eq!(rows.collect::<Vec<_>>(), [(0, OUTLIVED + 5, 5), (1, 3, 32)]);
    }
}
