//! Call sites of all processes, put together and judged.

mod by_survival;
mod by_time;
mod collectors;
mod curve;
mod group;
mod own_ways;
mod upgraded;

use rustc_hash::FxHashMap;

use super::judged::{Judged, JudgedLabel};
use super::open;
use super::ways::Line;
use crate::figures::counted;
use crate::ledger::{Finished, FinishedSite};
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::SiteId;
use crate::sites::runtimes::Runtime;
use crate::trace::Dropped;
use crate::verdict::Sequences;
use collectors::Collected;
use own_ways::OwnWays;
use upgraded::upgraded;

/// Judges all sites. `processes` are the ended ones, each with the most connections that it held. With
/// `dropped` events no block can be called a leak: its free may be among them. Call sites of one `line` may be ways to it.
/// What is allocated at a site for which
/// `may_be_garbage` holds may be garbage that waits for Python's collector, and for that of its `runtime`.
pub(super) fn judge(
    processes: Vec<(Finished, usize)>,
    (records, closes): (&[Record], &[(u32, u64)]),
    dropped: &Dropped,
    (line, may_be_garbage): (impl Fn(SiteId) -> Option<Line>, impl Fn(SiteId) -> bool),
    runtime: impl Fn(SiteId) -> Option<Runtime>,
) -> Vec<Judged> {
    let mut orders = vec![0u32; records.len()];
    let upgraded = upgraded(records, closes);
    let (mut sequences, mut collectors) = (Vec::new(), Vec::new());
    let mut parts: FxHashMap<SiteId, Vec<(usize, FinishedSite)>> = FxHashMap::default();
    for (process, (mut finished, connections)) in processes.into_iter().enumerate() {
        for (order, request) in (0..).zip(&finished.ends) {
            if let Some(place) = orders.get_mut(*request as usize) {
                *place = order;
            }
        }
        sequences.push(Sequences::new(&finished, records, connections));
        let sites = std::mem::take(&mut finished.sites);
        collectors.push(Collected::new(
            finished,
            &sequences[process],
            (records, &upgraded),
        ));
        for mut site in sites {
            if may_be_garbage(site.id) {
                collectors[process].judge(&mut site.retained, (records, &upgraded));
            }
            parts.entry(site.id).or_default().push((process, site));
        }
    }
    let served = sequences.iter().map(Sequences::served_until);
    let mut judge = Judge {
        served_until: served.max().unwrap_or(0),
        everywhere: everywhere(&sequences, records),
        own_ways: OwnWays::find(&parts, line, (records, &orders)),
        sequences,
        collectors,
        may_be_garbage: false,
        runtime: None,
        records,
        orders,
    };
    let judged = parts.into_iter().map(|(id, parts)| {
        judge.may_be_garbage = may_be_garbage(id);
        judge.runtime = runtime(id);
        judge.site(id, parts)
    });
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

/// A label's requests with one status.
type Group = (LabelId, Option<u32>);

/// The requests of each group in all processes, in order, where there are several processes.
fn everywhere(sequences: &[Sequences], records: &[Record]) -> FxHashMap<Group, Vec<RequestId>> {
    let mut all: FxHashMap<Group, Vec<RequestId>> = FxHashMap::default();
    let serving = sequences.iter().filter(|process| process.requests() > 0);
    if serving.count() > 1 {
        for (request, record) in (0..).zip(records) {
            if let Some(label) = record
                .label
                .filter(|_| !record.void && record.end.is_some())
            {
                let group = all.entry((label, record.status)).or_default();
                group.push(request);
            }
        }
    }
    all
}

struct Judge<'r> {
    /// When the last request of all processes ended.
    served_until: u64,
    sequences: Vec<Sequences>,
    collectors: Vec<Collected>,
    /// What is allocated at the site that is judged now may be garbage that waits for a collector.
    may_be_garbage: bool,
    /// So may it be for the one of this runtime.
    runtime: Option<Runtime>,
    everywhere: FxHashMap<Group, Vec<RequestId>>,
    own_ways: OwnWays,
    records: &'r [Record],
    orders: Vec<u32>,
}

impl Judge<'_> {
    fn site(&mut self, id: SiteId, parts: Vec<(usize, FinishedSite)>) -> Judged {
        let reached = parts.iter().any(|part| !part.1.labels.is_empty());
        let (outside, outside_evidence) = self.by_time(&parts);
        let (verdict, evidence, labels) = match reached {
            true => self.by_survival(&parts),
            false => (outside, outside_evidence.clone(), Vec::new()),
        };
        // Requests that come here and keep nothing say nothing of what is nobody's.
        let (verdict, evidence) = match labels.iter().any(JudgedLabel::retains) {
            false if outside < verdict => (outside, outside_evidence.clone()),
            _ => (verdict, evidence),
        };
        let open = open::judge(&parts, &self.sequences, self.records);
        Judged {
            outside,
            outside_evidence,
            id,
            verdict,
            evidence,
            open,
            labels,
            parts: parts.into_iter().map(|part| part.1).collect(),
        }
    }
}
