//! Call sites of all processes, put together and judged.

use rustc_hash::FxHashMap;

use crate::analysis::{Evidence, Verdict};
use crate::figures::counted;
use crate::ledger::{Finished, FinishedSite, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sites::SiteId;
use crate::trace::Dropped;
use crate::verdict::{Sequences, combine, of_requests, of_time};

/// A call site over all processes.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) id: SiteId,
    pub(super) verdict: Verdict,
    pub(super) evidence: Evidence,
    /// Its part in each process.
    pub(super) parts: Vec<FinishedSite>,
    /// Its part in each label whose requests left survivors.
    pub(super) labels: Vec<JudgedLabel>,
}

/// A call site's part in the requests of one label.
#[derive(Debug)]
pub(super) struct JudgedLabel {
    pub(super) label: LabelId,
    /// What the label's requests make of the site.
    pub(super) verdict: Verdict,
    /// What they retained.
    pub(super) retained: Vec<Retained>,
}

/// Judges all sites. `processes` are the ended ones, each with the most connections that it held. With
/// `dropped` events no block can be called a leak: its free may be among them.
pub(super) fn judge(
    processes: Vec<(Finished, usize)>,
    records: &[Record],
    dropped: &Dropped,
) -> Vec<Judged> {
    let mut orders = vec![0u32; records.len()];
    let mut sequences = Vec::new();
    let mut parts: FxHashMap<SiteId, Vec<(usize, FinishedSite)>> = FxHashMap::default();
    for (process, (mut finished, connections)) in processes.into_iter().enumerate() {
        for (order, request) in (0..).zip(&finished.ends) {
            if let Some(place) = orders.get_mut(*request as usize) {
                *place = order;
            }
        }
        sequences.push(Sequences::new(&finished, records, connections));
        for site in std::mem::take(&mut finished.sites) {
            parts.entry(site.id).or_default().push((process, site));
        }
    }
    let mut judge = Judge {
        sequences,
        records,
        orders,
    };
    let judged = parts.into_iter().map(|(id, parts)| judge.site(id, parts));
    let mut judged: Vec<Judged> = judged.collect();
    if let Some(text) = cannot_tell(dropped) {
        judged.iter_mut().for_each(|site| site.doubt(&text));
    }
    judged
}

/// Why nothing can be called a leak, if so. Losses are known for the session, not for each process.
fn cannot_tell(dropped: &Dropped) -> Option<String> {
    let what = match (dropped.frees, dropped.other) {
        (0, 0) => return None,
        (0, other) => format!("{} of unknown kind", counted(other, "event")),
        (frees, 0) => counted(frees, "free"),
        (frees, other) => format!(
            "{} and {} of unknown kind",
            counted(frees, "free"),
            counted(other, "event")
        ),
    };
    let verb = match dropped.frees.saturating_add(dropped.other) {
        1 => "was",
        _ => "were",
    };
    Some(format!(
        "{what} {verb} dropped: can't tell, its blocks may be freed; record with LEAK_FULL=wait"
    ))
}

impl Judged {
    /// A leak is none for sure, for the reason that `text` tells.
    fn doubt(&mut self, text: &str) {
        if self.verdict.leaks() {
            self.verdict = Verdict::TooFewRequests;
            self.evidence.text = text.to_owned();
        }
        let leaking = self.labels.iter_mut().filter(|label| label.verdict.leaks());
        leaking.for_each(|label| label.verdict = Verdict::TooFewRequests);
    }
}

impl JudgedLabel {
    /// Whether anything in use is left here.
    fn retains(&self) -> bool {
        self.retained.iter().any(Retained::is_used)
    }
}

struct Judge<'r> {
    sequences: Vec<Sequences>,
    records: &'r [Record],
    orders: Vec<u32>,
}

impl Judge<'_> {
    fn site(&mut self, id: SiteId, parts: Vec<(usize, FinishedSite)>) -> Judged {
        let reached = |part: &&(usize, FinishedSite)| !part.1.labels.is_empty();
        let (verdict, evidence) = if parts.iter().any(|part| reached(&part)) {
            let mut all = Vec::new();
            for (process, site) in parts.iter().filter(reached) {
                let labels: Vec<LabelId> = site.labels.iter().map(|label| label.0).collect();
                all.push(self.series(*process, site, &labels));
            }
            let judged = combine(&all);
            match judged.0 {
                Verdict::Leak => self.without_warm_ups(&parts).unwrap_or(judged),
                _ => judged,
            }
        } else {
            let over_time = parts.iter().map(|(process, site)| {
                let ended = self.sequences.get(*process);
                of_time(site, ended.map_or(0, Sequences::requests))
            });
            combine(&over_time.collect::<Vec<_>>())
        };
        let labels = self.labels(&parts, verdict);
        Judged {
            id,
            verdict,
            evidence,
            labels,
            parts: parts.into_iter().map(|part| part.1).collect(),
        }
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

    /// What the requests of each label make of the site. One label may leak where others, that share
    /// the call site, do not: a leak is judged again over the label's own requests.
    fn labels(&mut self, parts: &[(usize, FinishedSite)], verdict: Verdict) -> Vec<JudgedLabel> {
        let mut survivors: FxHashMap<LabelId, u64> = FxHashMap::default();
        let mut retained: FxHashMap<LabelId, Vec<Retained>> = FxHashMap::default();
        for (_, site) in parts {
            for (label, blocks) in &site.labels {
                *survivors.entry(*label).or_default() += blocks;
            }
            for kept in &site.retained {
                let label = self
                    .records
                    .get(kept.request as usize)
                    .and_then(|r| r.label);
                if let Some(label) = label {
                    retained.entry(label).or_default().push(*kept);
                }
            }
        }
        survivors.retain(|_, blocks| *blocks > 0);
        let shared = survivors.len() > 1;
        let mut labels: Vec<JudgedLabel> = survivors
            .into_keys()
            .map(|label| JudgedLabel {
                label,
                verdict,
                retained: retained.remove(&label).unwrap_or_default(),
            })
            .collect();
        labels.sort_unstable_by_key(|judged| judged.label);
        for judged in labels.iter_mut().filter(|_| shared) {
            judged.verdict = match verdict {
                Verdict::Bounded => verdict,
                _ if !judged.retains() => Verdict::FreedLater,
                Verdict::Leak => self.alone(parts, judged.label),
                _ => verdict,
            };
        }
        // A leak that no label has by itself is the one of all.
        if verdict == Verdict::Leak && labels.iter().all(|label| label.verdict != verdict) {
            for judged in labels.iter_mut().filter(|label| label.retains()) {
                judged.verdict = verdict;
            }
        }
        labels
    }

    /// A site that several labels share may be warmed up by each of them, one after the other. Those
    /// are set aside: gives the verdict on the others, or `None` where there are no such labels.
    fn without_warm_ups(&mut self, parts: &[(usize, FinishedSite)]) -> Option<(Verdict, Evidence)> {
        let mut labels: Vec<LabelId> = parts
            .iter()
            .flat_map(|(_, site)| site.labels.iter().filter(|label| label.1 > 0))
            .map(|label| label.0)
            .collect();
        labels.sort_unstable();
        labels.dedup();
        if labels.len() < 2 {
            return None;
        }
        let (mut warm, mut others) = (None, Vec::new());
        for label in labels {
            match self.of_labels(parts, &[label]) {
                judged if judged.0 == Verdict::WarmUp => warm = Some(judged),
                _ => others.push(label),
            }
        }
        let warm = warm.map(|(verdict, mut evidence)| {
            evidence.text = format!("for each label alone; for one of them, {}", evidence.text);
            (verdict, evidence)
        })?;
        let rest = self.of_labels(parts, &others);
        Some(if rest.0 < warm.0 { rest } else { warm })
    }

    fn alone(&mut self, parts: &[(usize, FinishedSite)], label: LabelId) -> Verdict {
        self.of_labels(parts, &[label]).0
    }

    /// The verdict on the requests of some of the site's labels.
    fn of_labels(
        &mut self,
        parts: &[(usize, FinishedSite)],
        labels: &[LabelId],
    ) -> (Verdict, Evidence) {
        let mut all = Vec::new();
        for (process, site) in parts {
            let known = site.labels.iter().filter(|known| labels.contains(&known.0));
            let (mut mine, mut survivors) = (Vec::new(), 0);
            for (label, blocks) in known {
                mine.push(*label);
                survivors += blocks;
            }
            if !mine.is_empty() {
                let mut series = self.series(*process, site, &mine);
                series.only_retained(survivors);
                all.push(series);
            }
        }
        combine(&all)
    }
}
