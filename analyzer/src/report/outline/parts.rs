//! What an endpoint has of the whole, and of a call site.

use crate::analysis::early::Early;
use crate::analysis::{Endpoint, Hidden, Site, SiteCell, Verdict};
use crate::sample::{Amount, SHOWN};

/// What requests of one label left behind: all of it, or at one call site.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The label.
    pub label: String,
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Requests of the label.
    pub requests: u64,
    /// How many leaked, at least and at most; of a sample as far as they are in it.
    pub leaking: [u64; 2],
    /// What a sample may hide of the endpoint.
    pub hidden: Option<Hidden>,
    /// So many leaked at most, those that a sample does not have among them.
    pub most: u64,
    /// What leaked.
    pub leaked: Amount,
    /// Of `leaked`'s bytes, those of which nothing proves that they are the label's.
    pub associated_bytes: u64,
    /// How many more requests are needed to tell, where that is known.
    pub needed: Option<u64>,
    /// By status.
    pub statuses: Vec<StatusPart>,
}

/// A part of one status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusPart {
    /// The status.
    pub status: Option<u32>,
    /// Requests of the label that have it.
    pub requests: u64,
    /// How many leaked.
    pub leaking: u64,
    /// What they leaked, bytes.
    pub leaked_bytes: u64,
    /// The sum over requests of the square of that.
    pub leaked_squares: f64,
    /// What the first so many of them leaked.
    pub early: Early,
    /// What they kept, whether that leaks or not: of a call site only.
    pub kept_early: Early,
}

/// What is left outside of requests at a call site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsidePart {
    /// What is to be thought of it.
    pub verdict: Verdict,
    /// Made while serving, and live when that ended.
    pub grown: Amount,
}

impl Part {
    /// Bytes that each leaking request left, at least and at most; `None` where none leaked.
    pub fn each(&self) -> Option<[u64; 2]> {
        let [low, high] = self.leaking;
        let known = high > 0 && self.leaked.blocks > 0;
        known.then(|| [self.leaked.bytes / high, self.leaked.bytes / low.max(1)])
    }

    /// How many leaked, at least and at most.
    pub fn leaking_range(&self) -> [u64; 2] {
        [self.leaking[0], self.most.max(self.leaking[1])]
    }

    /// What is said of it: what a sample may hide is undecided.
    pub fn told_verdict(&self) -> Verdict {
        match self.hidden {
            Some(hidden) if hidden.bytes_each > SHOWN => self.verdict.min(Verdict::TooFewRequests),
            _ => self.verdict,
        }
    }

    /// The same of [`Part::each`], of a sample with the requests that it does not have.
    pub fn each_range(&self) -> Option<[u64; 2]> {
        let [low, high] = self.each()?;
        match self.hidden {
            Some(_) => Some([self.leaked.bytes / self.leaking_range()[1].max(1), high]),
            None => Some([low, high]),
        }
    }

    /// Its requests of `status`, if there were any.
    pub fn status(&self, status: Option<u32>) -> Option<&StatusPart> {
        self.statuses.iter().find(|part| part.status == status)
    }

    /// What requests hold that have not ended: they have no status.
    fn add_open(&mut self, requests: u64, leaked: Amount) {
        if leaked.blocks == 0 {
            return;
        }
        self.leaked += leaked;
        let mut statuses = self.statuses.iter_mut();
        if let Some(of) = statuses.find(|of| of.status.is_none()) {
            of.leaking = (of.leaking + requests).min(of.requests);
            of.leaked_bytes += leaked.bytes;
            of.leaked_squares += (leaked.bytes as f64).powi(2) / requests.max(1) as f64;
        }
    }

    pub(super) fn add_site(&mut self, of: &Endpoint, endpoint: u32, site: &Site) {
        let groups = site
            .groups
            .iter()
            .filter(|group| group.endpoint == endpoint);
        let open = site.open.iter().filter(|open| open.endpoint == endpoint);
        let verdicts = groups
            .map(|group| group.verdict)
            .chain(open.clone().map(|open| open.verdict));
        self.verdict = verdicts.fold(self.verdict, Verdict::min);
        self.needed = self.needed.max(site.evidence.requests_needed);
        for cell in site.cells.iter().filter(|cell| cell.endpoint == endpoint) {
            add(self, cell);
            let mut statuses = self.statuses.iter_mut();
            if let Some(of) = statuses.find(|of| of.status == cell.status) {
                of.kept_early.merge(&cell.early);
                of.leaking = (of.leaking + cell.leaking_requests).min(of.requests);
            }
        }
        for open in open.filter(|open| open.verdict.leaks()) {
            self.add_open(open.requests, open.live);
        }
        let told: u64 = self.statuses.iter().map(|of| of.leaking).sum();
        self.leaking = match self.associated_bytes {
            0 => [told, told],
            // Which requests they are of is known as well as it is for the endpoint.
            _ => {
                let drawn = of.hidden.map(|hidden| hidden.leaking);
                let [low, high] = drawn.unwrap_or(of.leaking_requests_range);
                [told.min(low), told.max(high).min(of.requests)]
            }
        };
        self.most = match self.hidden {
            Some(_) if self.leaking[1] > 0 => of.leaking_requests_range[1].max(self.leaking[1]),
            _ => self.leaking[1],
        };
    }
}

/// Adds to a part what has leaked of a cell.
pub(super) fn add(part: &mut Part, cell: &SiteCell) {
    part.leaked += cell.leaked;
    if cell.leaked.blocks > 0 {
        part.associated_bytes += cell.associated.bytes.min(cell.leaked.bytes);
    }
    let mut statuses = part.statuses.iter_mut();
    if let Some(of) = statuses.find(|of| of.status == cell.status) {
        of.leaked_bytes += cell.leaked.bytes;
        // The root of a sum of squares is never more than the sum of the roots: what one request left at several
        // sites counts as if it had always come together.
        of.leaked_squares = (of.leaked_squares.sqrt() + cell.leaked_squares.sqrt()).powi(2);
        if cell.leaked.blocks > 0 {
            of.early.merge(&cell.early);
        }
    }
}

pub(super) fn endpoint(endpoint: &Endpoint) -> Part {
    let hidden = endpoint.hidden;
    let drawn = hidden.map(|hidden| (hidden.verdict, hidden.leaking));
    let told = (endpoint.verdict, endpoint.leaking_requests_range);
    let (verdict, [mut low, mut high]) = drawn.unwrap_or(told);
    if endpoint.open_leaked.blocks > 0 {
        (low, high) = (low + endpoint.open_requests, high + endpoint.open_requests);
    }
    let statuses = endpoint.statuses.iter().map(|of| StatusPart {
        status: of.status,
        requests: of.requests,
        leaking: of.leaking_requests,
        ..StatusPart::default()
    });
    let mut part = Part {
        label: endpoint.label.clone(),
        verdict,
        requests: endpoint.requests,
        leaking: [low.min(endpoint.requests), high.min(endpoint.requests)],
        hidden,
        most: high
            .max(endpoint.leaking_requests_range[1])
            .min(endpoint.requests),
        leaked: Amount::default(),
        associated_bytes: 0,
        needed: None,
        statuses: statuses.collect(),
    };
    part.add_open(endpoint.open_requests, endpoint.open_leaked);
    part
}

pub(super) fn empty(of: &Endpoint) -> Part {
    let statuses = of.statuses.iter().map(|of| StatusPart {
        status: of.status,
        requests: of.requests,
        ..StatusPart::default()
    });
    Part {
        label: of.label.clone(),
        verdict: Verdict::Clean,
        requests: of.requests,
        leaking: [0, 0],
        hidden: of.hidden,
        most: 0,
        leaked: Amount::default(),
        associated_bytes: 0,
        needed: None,
        statuses: statuses.collect(),
    }
}
