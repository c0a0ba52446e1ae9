//! Judges by survival: what the requests of each label and status keep, one group after the other and all together.

use rustc_hash::{FxHashMap, FxHashSet};

use super::Judge;
use super::by_time::before;
use crate::analysis::{Evidence, Verdict};
use crate::analyze::judged::{JudgedGroup, JudgedLabel};
use crate::ledger::{FinishedSite, Lives, MEASURES, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;
use crate::verdict::{
    self, Buffer, GroupEvidence, Growth, Series, is_steady, of_requests, survival,
};

impl Judge<'_> {
    /// What the requests of each label and status make of the site; the site has the worst verdict.
    pub(super) fn by_survival(
        &mut self,
        parts: &[(usize, FinishedSite)],
    ) -> (Verdict, Evidence, Vec<JudgedLabel>) {
        let reached = parts.iter().filter(|part| !part.1.labels.is_empty());
        let mut all = Vec::new();
        for (process, site) in reached {
            let labels: Vec<LabelId> = site.labels.iter().map(|label| label.0).collect();
            all.push(self.series(*process, site, &labels));
        }
        let mut sum = Series::default();
        all.iter().for_each(|series| sum.add(series));
        let is_steady = is_steady(&all, before(parts));
        let freed = self.freed(parts);
        let mut labels = self.retained_by_label(parts);
        let (mut verdict, mut figures) = self.each_group(parts, &mut labels, &freed, is_steady);
        // Where all allocate at one place, it tells of none that all together keep more and more.
        if verdict == Verdict::TooFewRequests
            && self.runtime.is_none()
            && let Some(together) = self.together(parts, &mut labels, &freed)
        {
            (verdict, figures) = (Verdict::Leak, together);
        }
        let mut evidence = verdict::evidence(&sum, verdict);
        evidence.text = figures.text(verdict);
        evidence.requests_needed = figures.needed;
        evidence.mature_requests = match figures.in_times {
            true => figures.mature.min(evidence.requests_retaining),
            false => figures.mature,
        };
        evidence.typical_life_requests = figures.typical;
        evidence.trend = figures.trend;
        evidence.is_sure = figures.is_sure();
        evidence.lives = self.lives(parts, &freed[0]);
        if let Some(buffer) = self.buffer(parts) {
            let (grows, needed) = self.growth(parts, &buffer);
            if grows < verdict {
                verdict = grows;
                evidence.text = buffer.text();
                evidence.requests_needed = needed;
                for label in labels.iter_mut().filter(|label| label.retains()) {
                    label.verdict = label.verdict.min(verdict);
                    let groups = label.groups.iter_mut();
                    groups.for_each(|group| group.verdict = group.verdict.min(verdict));
                }
            }
        }
        (verdict, evidence, labels)
    }

    /// Judges each group of the labels by itself; gives the worst verdict, and of those that have it the figures of the
    /// one that kept most often.
    fn each_group(
        &self,
        parts: &[(usize, FinishedSite)],
        labels: &mut [JudgedLabel],
        freed: &[Lives; MEASURES],
        is_steady: bool,
    ) -> (Verdict, GroupEvidence) {
        let mut worst: Option<(Verdict, u64, GroupEvidence)> = None;
        for label in labels {
            for group in self.groups(parts, label) {
                let judged = self.group(parts, label.label, group, freed, is_steady);
                let (verdict, mut figures) = judged.judge();
                figures.in_times = self.is_untold(label, group);
                if verdict == Verdict::Clean {
                    continue;
                }
                if verdict == Verdict::Leak {
                    let may_go: FxHashSet<RequestId> = judged.may_go().collect();
                    let kept = label.retained.iter_mut();
                    kept.for_each(|kept| kept.may_go |= may_go.contains(&kept.request));
                }
                label.groups.push(JudgedGroup {
                    status: group,
                    verdict,
                    is_sure: figures.is_sure(),
                    shared: false,
                    text: figures.text(verdict),
                });
                label.verdict = label.verdict.min(verdict);
                let kept = figures.retaining;
                if worst
                    .as_ref()
                    .is_none_or(|worst| (verdict, u64::MAX - kept) < (worst.0, u64::MAX - worst.1))
                {
                    worst = Some((verdict, kept, figures));
                }
            }
        }
        match worst {
            Some((verdict, _, figures)) => (verdict, figures),
            None => (Verdict::Clean, GroupEvidence::default()),
        }
    }

    /// What is to be thought of the site as a buffer, and how many more requests could tell.
    fn growth(&self, parts: &[(usize, FinishedSite)], buffer: &Buffer) -> (Verdict, Option<u64>) {
        let reallocates = parts.iter().any(|(_, site)| site.reallocations > 0);
        match buffer.growth {
            // What is replaced may wait for a collector; what is reallocated is in use.
            Growth::Grows if self.runtime.is_some() && !reallocates => {
                (Verdict::TooFewRequests, None)
            }
            Growth::Grows => (Verdict::GrowingBuffer, None),
            Growth::Untold => (Verdict::TooFewRequests, Some(buffer.needed())),
            Growth::Stopped => (Verdict::Clean, None),
        }
    }

    /// Groups of which none can be judged by itself, taken together: a leak that no label has is the one of all.
    fn together(
        &self,
        parts: &[(usize, FinishedSite)],
        labels: &mut [JudgedLabel],
        freed: &[Lives; MEASURES],
    ) -> Option<GroupEvidence> {
        let mut sum: Option<survival::Group<'_>> = None;
        let (mut taken, mut in_times) = (0, false);
        for label in labels.iter() {
            for judged in label
                .groups
                .iter()
                .filter(|group| group.verdict == Verdict::TooFewRequests)
            {
                let group = self.group(parts, label.label, judged.status, freed, false);
                taken += 1;
                in_times |= self.is_untold(label, judged.status);
                match &mut sum {
                    Some(sum) => sum.absorb(group),
                    None => sum = Some(group),
                }
            }
        }
        let (verdict, mut figures) = sum.filter(|_| taken > 1)?.judge();
        figures.in_times = in_times;
        if verdict != Verdict::Leak {
            return None;
        }
        for label in labels {
            let undecided = label.groups.iter_mut();
            for group in undecided.filter(|group| group.verdict == Verdict::TooFewRequests) {
                group.verdict = verdict;
                group.is_sure = figures.is_sure();
                group.shared = true;
                group.text = figures.text(verdict);
                label.verdict = verdict;
            }
        }
        Some(figures)
    }

    /// The buffer that the site is in one of the processes, the one that grows for sure.
    fn buffer(&self, parts: &[(usize, FinishedSite)]) -> Option<Buffer> {
        Buffer::of(parts.iter().map(|(process, site)| {
            let labels: Vec<LabelId> = site.labels.iter().map(|label| label.0).collect();
            (site, self.sequences[*process].of_labels(&labels))
        }))
    }

    fn series(
        &mut self,
        process: usize,
        site: &FinishedSite,
        labels: &[LabelId],
    ) -> crate::verdict::Series {
        let sequences = &mut self.sequences[process];
        of_requests(site, sequences, labels, self.records, &self.orders)
    }

    /// Whether it is not known of all which requests of a group kept them.
    fn is_untold(&self, label: &JudgedLabel, status: Option<u32>) -> bool {
        let untold = label.retained.iter();
        let mut untold = untold.filter(|kept| kept.untold && kept.is_used());
        untold.any(|kept| self.record_of_group(kept, (label.label, status)).is_some())
    }

    /// The labels whose requests left survivors, with what they retained.
    fn retained_by_label(&self, parts: &[(usize, FinishedSite)]) -> Vec<JudgedLabel> {
        let mut survivors: FxHashMap<LabelId, u64> = FxHashMap::default();
        let mut retained: FxHashMap<LabelId, Vec<Retained>> = FxHashMap::default();
        for (_, site) in parts {
            for (label, blocks) in &site.labels {
                *survivors.entry(*label).or_default() += blocks;
            }
            for kept in &site.retained {
                let record = self.records.get(kept.request as usize);
                if let Some(label) = record.and_then(|record| record.label) {
                    retained.entry(label).or_default().push(*kept);
                }
            }
        }
        survivors.retain(|_, blocks| *blocks > 0);
        let label = |label| JudgedLabel {
            label,
            verdict: Verdict::Clean,
            retained: retained.remove(&label).unwrap_or_default(),
            groups: Vec::new(),
        };
        let mut labels: Vec<JudgedLabel> = survivors.into_keys().map(label).collect();
        labels.sort_unstable_by_key(|judged| judged.label);
        labels
    }
}
