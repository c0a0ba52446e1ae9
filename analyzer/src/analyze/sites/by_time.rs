//! Judges by the serving time: what belongs to no request, and does not wait for requests.

use super::Judge;
use crate::analysis::{Evidence, Verdict};
use crate::ledger::{self, FinishedSite, Lives, MEASURES};
use crate::verdict::{
    LEAK_REQUESTS, Sequences, Series, combine, is_steady, of_time, reaches_new_height, survival,
};

impl Judge<'_> {
    /// What is to be thought of the blocks that belong to no request, over the serving time.
    pub(super) fn by_time(&self, parts: &[(usize, FinishedSite)]) -> (Verdict, Evidence) {
        let over_time = parts.iter().map(|(process, site)| {
            let ended = self.sequences.get(*process);
            of_time(site, ended.map_or(0, Sequences::places))
        });
        let over_time: Vec<Series> = over_time.collect();
        let (verdict, mut evidence) = combine(&over_time);
        let group = self.outside(parts, is_steady(&over_time, before(parts)));
        let (survives, figures) = group.judge();
        let goes_on = self.has_outlived(parts, &group.freed);
        let verdict = match (verdict, survives) {
            (Verdict::GrowingBuffer, _) | (Verdict::Leak, Verdict::Clean) => verdict,
            (_, Verdict::Leak) if goes_on => Verdict::Leak,
            // Nothing was ever freed: that it comes unevenly is no doubt, unless it hardly comes any more.
            (Verdict::Leak, Verdict::TooFewRequests)
                if goes_on && group.freed[0].count() == 0 && !figures.hardly_goes_on() =>
            {
                verdict
            }
            (Verdict::Leak, Verdict::Leak | Verdict::FreedLater) => Verdict::TooFewRequests,
            (Verdict::Leak, _) => survives,
            // The newest may be the first of many: what is live has never been so much.
            (Verdict::FreedLater, _) if reaches_new_height(&over_time) => {
                evidence.text =
                    "the newest are more than ever were live here before: too early to tell".into();
                return (Verdict::TooFewRequests, evidence);
            }
            (verdict, Verdict::TooFewRequests) if figures.mature > 0 => {
                verdict.min(Verdict::TooFewRequests)
            }
            (verdict, _) => return (verdict, evidence),
        };
        evidence.text = figures.text_over_time(verdict);
        evidence.mature_requests = figures.mature;
        evidence.typical_life_requests = figures.typical;
        evidence.trend = figures.trend;
        evidence.requests_needed = figures.needed;
        evidence.is_sure = figures.is_sure();
        (verdict, evidence)
    }

    /// The history of what no request owns, in time: a thread that serves nobody does not wait for requests.
    fn outside<'s>(
        &'s self,
        parts: &'s [(usize, FinishedSite)],
        steady: bool,
    ) -> survival::Group<'s> {
        let mut group = survival::Group {
            freed: outside_freed(parts),
            steady,
            by_time: true,
            sampled: parts.iter().any(|(_, site)| site.sample.is_partial()),
            unwatched: parts
                .iter()
                .any(|(process, _)| self.sequences[*process].requests() == 0),
            ..survival::Group::default()
        };
        for (process, site) in parts {
            let sequences = &self.sequences[*process];
            let collector = Some(&self.collectors[*process].runs);
            let collector = collector.filter(|runs| self.may_be_garbage && runs.is_known());
            let births = site.outside.served.births.points();
            let mut kept: Vec<survival::Kept> = Vec::new();
            for (stamp, _) in births {
                let order = sequences.place_in_time(*stamp);
                let request = Some(sequences.places().saturating_sub(order + 1));
                let time = Some(sequences.served_until().saturating_sub(*stamp));
                if kept.last().is_none_or(|last| last.order < order) {
                    kept.push(survival::Kept {
                        request: 0,
                        order,
                        age: [request, None, None, time],
                        first: kept.is_empty(),
                        judged: collector.map_or(ledger::Judged::InUse, |runs| {
                            let freed = site.outside.served.collected.contains(stamp);
                            runs.judge(runs.has_told_fully(*stamp), freed)
                        }),
                    });
                }
            }
            group.newest += 1;
            group.survivors += kept.len() as u64 + site.outside_lives[0].count();
            group.processes.push(survival::InProcess {
                orders: (0..sequences.places()).collect(),
                untold: match collector {
                    Some(_) => &self.collectors[*process].untold_in_time,
                    None => &[],
                },
                ended: sequences.places(),
                kept,
                unowned: Some(&site.outside_lives),
                ..survival::InProcess::default()
            });
        }
        group
    }

    /// Whether in a process what no request owns was kept in enough parts of its serving time, and is twice as old
    /// as what was freed at the site became.
    fn has_outlived(&self, parts: &[(usize, FinishedSite)], freed: &[Lives; MEASURES]) -> bool {
        const TIME: usize = MEASURES - 1;
        let limit = 2 * freed[TIME].percentile(survival::TYPICAL);
        parts.iter().any(|(process, site)| {
            let old = self.sequences[*process].slices_older_than(limit);
            let kept = &site.outside.served.retained_blocks;
            let old = kept.iter().take(old).filter(|blocks| **blocks > 0);
            old.count() as u64 >= LEAK_REQUESTS
        })
    }
}

/// Lives of what was freed at the site and was no request's for sure, by measure.
fn outside_freed(parts: &[(usize, FinishedSite)]) -> [Lives; MEASURES] {
    let mut freed: [Lives; MEASURES] = Default::default();
    for (_, site) in parts {
        for of in [&*site.outside_lives, &site.lives.unowned] {
            for (sum, lives) in freed.iter_mut().zip(of) {
                sum.merge(lives);
            }
        }
    }
    freed
}

/// Bytes at the site from before the first request that stayed while the processes served.
pub(super) fn before(parts: &[(usize, FinishedSite)]) -> u64 {
    parts.iter().map(|(_, site)| site.outside.before.1).sum()
}
