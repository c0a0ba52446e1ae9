//! What call sites were judged to be, whole and cut by label and status.

use super::open::JudgedOpen;
use crate::analysis::{Evidence, Verdict};
use crate::ledger::{FinishedSite, Retained};
use crate::requests::label::LabelId;
use crate::requests::record::Record;
use crate::sample::Amount;
use crate::sites::SiteId;

/// A call site over all processes.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) id: SiteId,
    /// What is to be thought of what requests retained, or where none did, of what belongs to none.
    pub(super) verdict: Verdict,
    /// Why.
    pub(super) evidence: Evidence,
    /// What is to be thought of its blocks that belong to no request.
    pub(super) outside: Verdict,
    /// Why.
    pub(super) outside_evidence: Evidence,
    /// Its part in requests that have not ended.
    pub(super) open: Vec<JudgedOpen>,
    /// Its part in each process.
    pub(super) parts: Vec<FinishedSite>,
    /// Its part in each label whose requests left survivors.
    pub(super) labels: Vec<JudgedLabel>,
}

impl Judged {
    /// The verdict on all that is held here, and why: that of requests, unless what belongs to none leaks, or what is
    /// held by some that had not ended.
    pub(super) fn whole(&self) -> (Verdict, Evidence) {
        let own = (self.verdict, self.evidence.clone());
        if self.verdict.leaks() {
            return own;
        }
        if self.outside.leaks() {
            return (self.outside, self.outside_evidence.clone());
        }
        let open = self.open.iter().min_by_key(|open| open.verdict);
        let Some(open) = open.filter(|open| open.verdict < self.verdict) else {
            return own;
        };
        let alone =
            self.labels.is_empty() && self.parts.iter().all(|part| part.outside_blocks == 0);
        if !open.verdict.leaks() && !alone {
            return own;
        }
        let evidence = Evidence {
            text: open.text.clone(),
            ..self.evidence.clone()
        };
        (open.verdict, evidence)
    }

    /// What it made while it served, for no request, and was live when that ended.
    pub(super) fn outside_grown(&self) -> Amount {
        let mut sum = Amount::default();
        for part in &self.parts {
            sum += Amount {
                blocks: part.outside.served.retained_blocks.iter().sum(),
                bytes: part.outside.served.retained_bytes.iter().sum(),
            };
        }
        sum
    }

    /// One label or another made what belongs to none here. That the keeping has died down may only tell that they were
    /// asked for no more, where nothing that was kept was ever freed.
    pub(super) fn doubt_end(&mut self) {
        let is_over = |verdict: Verdict, evidence: &Evidence| {
            matches!(verdict, Verdict::Bounded | Verdict::WarmUp)
                && evidence.typical_life_requests.is_none()
        };
        let text = "; one endpoint or another made them, which may be asked for no more";
        if is_over(self.outside, &self.outside_evidence) {
            self.outside = Verdict::TooFewRequests;
            self.outside_evidence.text += text;
            self.outside_evidence.is_sure = false;
        }
        if is_over(self.verdict, &self.evidence) && !self.labels.iter().any(JudgedLabel::retains) {
            self.verdict = Verdict::TooFewRequests;
            self.evidence.text += text;
            self.evidence.is_sure = false;
        }
    }

    /// Labels of which `why` gives a reason leak nothing for sure; nor does the call site, where no other one leaks.
    pub(super) fn undecide(&mut self, mut why: impl FnMut(&JudgedLabel) -> Option<String>) {
        let mut first = None;
        for part in &mut self.labels {
            let Some(text) = why(part) else {
                continue;
            };
            part.becomes(Verdict::TooFewRequests);
            let groups = part.groups.iter_mut();
            groups.for_each(|group| group.text.clone_from(&text));
            first.get_or_insert(text);
        }
        if let Some(text) = first
            && !self.labels.iter().any(|part| part.verdict.leaks())
        {
            self.verdict = Verdict::TooFewRequests;
            self.evidence.text = text;
            self.evidence.is_sure = false;
        }
    }

    /// A leak is none for sure, for the reason that `text` tells.
    pub(super) fn doubt(&mut self, text: &str) {
        if self.verdict.leaks() {
            self.verdict = Verdict::TooFewRequests;
            self.evidence.text = text.to_owned();
        }
        if self.outside.leaks() {
            self.outside = Verdict::TooFewRequests;
            self.outside_evidence.text = text.to_owned();
        }
        for open in self.open.iter_mut().filter(|open| open.verdict.leaks()) {
            open.verdict = Verdict::TooFewRequests;
            open.text = text.to_owned();
        }
        let leaking = self.labels.iter_mut().filter(|label| label.verdict.leaks());
        leaking.for_each(|label| label.becomes(Verdict::TooFewRequests));
    }
}

/// A call site's part in the requests of one label.
#[derive(Debug)]
pub(super) struct JudgedLabel {
    pub(super) label: LabelId,
    /// What the label's requests make of the site.
    pub(super) verdict: Verdict,
    /// What they retained.
    pub(super) retained: Vec<Retained>,
    /// What those with each status make of it.
    pub(super) groups: Vec<JudgedGroup>,
}

impl JudgedLabel {
    /// Whether anything in use is left here.
    pub(super) fn retains(&self) -> bool {
        self.retained.iter().any(Retained::is_used)
    }
}

impl JudgedLabel {
    /// Its leaks are none: they are this.
    pub(super) fn becomes(&mut self, verdict: Verdict) {
        let leaking = self.groups.iter_mut().filter(|group| group.verdict.leaks());
        leaking.for_each(|group| group.verdict = verdict);
        if self.verdict.leaks() {
            self.verdict = verdict;
        }
    }

    /// Whether its leaks are told only by what other groups kept as well.
    pub(super) fn leaks_only_together(&self) -> bool {
        let mut leaking = self.groups.iter().filter(|group| group.verdict.leaks());
        self.verdict.leaks() && leaking.all(|group| group.shared)
    }

    /// What is to be thought of what this request retained.
    pub(super) fn verdict_of(&self, kept: &Retained, records: &[Record]) -> Verdict {
        let record = records.get(kept.request as usize);
        self.verdict_of_status(record.and_then(|record| record.status))
    }

    /// What is to be thought of what the label's requests with this status retained.
    pub(super) fn verdict_of_status(&self, status: Option<u32>) -> Verdict {
        let group = self.groups.iter().find(|group| group.status == status);
        match group.map(|group| group.verdict) {
            // Too few without a status: they are as the label's others, one or another of them.
            Some(Verdict::TooFewRequests) | None if status.is_none() => self.verdict,
            verdict => verdict.unwrap_or(self.verdict),
        }
    }

    /// Whether what this request retained has leaked.
    pub(super) fn leaks(&self, kept: &Retained, records: &[Record]) -> bool {
        self.verdict.leaks() && self.verdict_of(kept, records).leaks()
    }
}

/// A call site's part in the requests of one label with one status.
#[derive(Clone, Debug)]
pub(super) struct JudgedGroup {
    pub(super) status: Option<u32>,
    pub(super) verdict: Verdict,
    /// The figures leave little room for another one.
    pub(super) is_sure: bool,
    /// Reached for several groups together.
    pub(super) shared: bool,
    pub(super) text: String,
}

#[cfg(test)]
impl Judged {
    /// A site at which nothing is held but by requests of these labels.
    pub(super) fn of_labels(id: SiteId, verdict: Verdict, labels: Vec<JudgedLabel>) -> Judged {
        Judged {
            id,
            verdict,
            evidence: Evidence::default(),
            outside: Verdict::Clean,
            outside_evidence: Evidence::default(),
            open: Vec::new(),
            parts: Vec::new(),
            labels,
        }
    }
}

#[cfg(test)]
impl JudgedLabel {
    /// What the label's requests retained.
    pub(super) fn retaining(
        label: LabelId,
        verdict: Verdict,
        retained: Vec<Retained>,
    ) -> JudgedLabel {
        JudgedLabel {
            label,
            verdict,
            retained,
            groups: Vec::new(),
        }
    }
}

#[cfg(test)]
impl JudgedGroup {
    /// Those with this status.
    pub(super) fn of_status(status: u32, verdict: Verdict) -> JudgedGroup {
        JudgedGroup {
            status: Some(status),
            verdict,
            is_sure: false,
            shared: false,
            text: String::new(),
        }
    }
}
