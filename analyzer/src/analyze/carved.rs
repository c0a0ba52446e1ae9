//! Memory that one call maps for requests of several labels, to give out parts of it: a pool's, the heap of a language,
//! what an allocator within a library has. Who comes when it is full maps more, and who keeps what was there before may
//! be another one: Apache's prefork workers give the node of a pool that was cleared to the request that comes next, and
//! if that keeps it, the one after that maps a new one and is clean. So a mapping tells of no request that keeps it; that
//! such memory grows is said, and whose call it is.
//!
//! What a program maps for each of its requests is told from that by its regularity: of all labels that come to the call
//! each request keeps as many mappings, and what no request makes comes from elsewhere. And a label is to blame all the
//! same where its requests keep as many after one of their own as ever: what that one gave back was there for them.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::judged::Judged;
use super::mappings;
use crate::analysis::Carved;
use crate::requests::label::LabelId;
use crate::requests::record::{Record, RequestId};
use crate::sites::{Memory, ModuleId, NO_MODULE, PythonFrame, SiteId, Sites};
use crate::trace::{ProcessId, Warning};

/// A label keeps as many mappings in each request where so many in ten do.
const REGULAR: usize = 9;
/// So many requests that follow one of their own label tell of it.
const LEAST_FOLLOWING: usize = 12;

/// The call that maps, by its innermost frames.
type Call = (ModuleId, u64, Option<PythonFrame>);

/// What is kept of a call's mappings.
#[derive(Debug, Default)]
struct Kept {
    /// Mappings by label and request.
    labels: FxHashMap<LabelId, FxHashMap<RequestId, u64>>,
    /// Some are nobody's.
    outside: bool,
    /// Some label is said to leak them.
    leaks: bool,
}

/// Labels that are called leaking for what such a call mapped are so no more. Gives what grows of it, by module, the most
/// first.
pub(super) fn correct(sites: &mut [Judged], places: &Sites, records: &[Record]) -> Vec<Carved> {
    let ended = Ended::of(records);
    if ended.all.len() < 2 {
        return Vec::new();
    }
    let mut calls: FxHashMap<Call, Kept> = FxHashMap::default();
    for site in sites.iter() {
        if let Some(call) = call(places, site.id) {
            calls.entry(call).or_default().add(site);
        }
    }
    let path = |module: ModuleId| {
        let module = places.modules().get(module as usize);
        module.map_or("", |module| module.path.as_str())
    };
    calls.retain(|(module, ..), kept| kept.leaks && kept.is_carved(path(*module), &ended));
    let mut grown: BTreeMap<&str, Carved> = BTreeMap::new();
    for site in sites.iter_mut().filter(|site| site.verdict.leaks()) {
        let call = call(places, site.id);
        let Some((path, kept)) = call.and_then(|call| Some((path(call.0), calls.get(&call)?)))
        else {
            continue;
        };
        let found = settle(site, path, |label| kept.is_own(label, &ended), records);
        if found != (0, 0) {
            let sum = grown.entry(path).or_default();
            path.clone_into(&mut sum.path);
            sum.mappings += found.0;
            sum.bytes += found.1;
        }
    }
    let mut grown: Vec<Carved> = grown.into_values().collect();
    grown.sort_by_key(|of| std::cmp::Reverse(of.bytes));
    grown
}

/// Makes undecided what labels are said to leak here but those that do; gives how many mappings that are, and bytes.
fn settle(
    site: &mut Judged,
    path: &str,
    is_own: impl Fn(LabelId) -> bool,
    records: &[Record],
) -> (u64, u64) {
    let leaking = site.labels.iter().filter(|part| part.verdict.leaks());
    let others = leaking.filter(|part| !is_own(part.label));
    let kept = others.flat_map(|part| {
        let kept = part.retained.iter();
        kept.filter(|kept| part.leaks(kept, records))
    });
    let found = kept.fold((0, 0), |sum, kept| {
        (sum.0 + kept.blocks, sum.1 + kept.bytes)
    });
    let text = format!(
        "{} maps for requests of several endpoints and gives out parts: who comes when it is full maps more, whoever keeps \
         what was there",
        path.rsplit('/').next().unwrap_or(path)
    );
    site.undecide(|part| (part.verdict.leaks() && !is_own(part.label)).then(|| text.clone()));
    found
}

/// What is said of one.
pub(super) fn warning(carved: &Carved) -> Warning {
    Warning {
        code: "carved_mappings".to_owned(),
        text: format!(
            "{} maps memory and gives out parts of it: {} in {} came while serving and are left; which requests keep \
             that, mappings can't tell",
            carved.path,
            crate::figures::bytes(carved.bytes),
            crate::figures::counted(carved.mappings, "mapping"),
        ),
    }
}

/// The call that mapped what lies at a site; `None`: it is no memory, or not known.
fn call(places: &Sites, site: SiteId) -> Option<Call> {
    if !matches!(places.memory(site), Memory::Mapped | Memory::Arena) {
        return None;
    }
    let frame = places.backtrace(site).next()?;
    if frame.module == NO_MODULE {
        return None;
    }
    Some((
        frame.module,
        frame.file_address,
        places.python_backtrace(site).next(),
    ))
}

impl Kept {
    fn add(&mut self, site: &Judged) {
        self.outside |= site.parts.iter().any(|part| part.outside_blocks > 0);
        for part in &site.labels {
            self.leaks |= part.verdict.leaks();
            let used = part.retained.iter().filter(|kept| kept.is_used());
            for kept in used {
                let of_label = self.labels.entry(part.label).or_default();
                *of_label.entry(kept.request).or_default() += kept.blocks;
            }
        }
    }

    /// Whether parts of it are given out. `path` is the file that the call lies in.
    fn is_carved(&self, path: &str, ended: &Ended) -> bool {
        let name = path.rsplit('/').next();
        let is_library = name.is_some_and(|name| name.contains(".so"));
        let mut labels = self.labels.keys();
        let is_irregular = labels.any(|label| !self.is_regular(*label, &ended.all));
        self.outside
            || self.labels.len() > 1 && is_irregular
            || is_library && mappings::allocators(path).is_some()
    }

    /// Whether the label's requests keep as many after one of their own: they do themselves.
    fn is_own(&self, label: LabelId, ended: &Ended) -> bool {
        let following = ended.following.get(&label);
        let is_enough = following.is_some_and(|all| all.len() >= LEAST_FOLLOWING);
        is_enough && self.is_regular(label, &ended.following)
    }

    /// Whether most of these requests kept the same number.
    fn is_regular(&self, label: LabelId, requests: &FxHashMap<LabelId, Vec<RequestId>>) -> bool {
        let (Some(kept), Some(requests)) = (self.labels.get(&label), requests.get(&label)) else {
            return false;
        };
        let mut times: FxHashMap<u64, usize> = FxHashMap::default();
        for request in requests {
            if let Some(blocks) = kept.get(request) {
                *times.entry(*blocks).or_default() += 1;
            }
        }
        let most = times.values().max().copied().unwrap_or(0);
        most * 10 >= requests.len() * REGULAR
    }
}

/// Requests that have ended, by label.
#[derive(Debug, Default)]
struct Ended {
    all: FxHashMap<LabelId, Vec<RequestId>>,
    /// Those that began after one of the same label, of all in their process.
    following: FxHashMap<LabelId, Vec<RequestId>>,
}

impl Ended {
    fn of(records: &[Record]) -> Ended {
        let real = (0..).zip(records);
        let real = real.filter(|(_, record)| !record.void && record.end.is_some());
        let mut real: Vec<(RequestId, &Record)> = real.collect();
        real.sort_by_key(|(_, record)| record.start);
        let mut ended = Ended::default();
        let mut last: FxHashMap<ProcessId, LabelId> = FxHashMap::default();
        for (id, record) in real {
            let Some(label) = record.label else {
                continue;
            };
            ended.all.entry(label).or_default().push(id);
            if last.insert(record.process, label) == Some(label) {
                ended.following.entry(label).or_default().push(id);
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Verdict;
    use crate::analyze::judged::JudgedLabel;
    use crate::ledger::Retained;
    use crate::sites::{Frame, NO_SITE};

    /// A site of a module, two labels with 40 requests each, `turn` of one label before the other's turn, and what each keeps
    /// there: one mapping in one request of so many.
    fn judged(path: &str, every: [u32; 2], turn: u32) -> (Judged, Sites, Vec<Record>) {
        let mut places = Sites::default();
        let module = places.module(crate::sites::Module {
            path: path.to_owned(),
            build_id: None,
        });
        let frame = Frame {
            module,
            file_address: 0x1234,
        };
        let native = places.child(NO_SITE, frame);
        let site = places.mapped(native);
        let label_of = |request: u32| request / turn % 2;
        let record = |at: u32| {
            let at_ns = u64::from(10 * at);
            Record::answered(label_of(at), (at_ns, at_ns + 5))
        };
        let labels = (0..2).map(|label| {
            let requests = (0..80).filter(|request| label_of(*request) == label);
            let kept = requests.step_by(every[label as usize] as usize);
            let kept = kept.map(|request| Retained {
                bytes: 4096,
                ..Retained::block(request, 1)
            });
            let verdict = match every[label as usize] {
                1 => Verdict::Leak,
                _ => Verdict::WarmUp,
            };
            JudgedLabel::retaining(label, verdict, kept.collect())
        });
        let judged = Judged::of_labels(site, Verdict::Leak, labels.collect());
        (judged, places, (0..80).map(record).collect())
    }

    fn corrected(path: &str, every: [u32; 2], turn: u32) -> (Judged, Vec<Carved>) {
        let (judged, places, records) = judged(path, every, turn);
        let mut sites = [judged];
        let grown = correct(&mut sites, &places, &records);
        let [judged] = sites;
        (judged, grown)
    }

    #[test]
    fn who_maps_what_others_may_keep_is_not_accused() {
        let (judged, grown) = corrected("/usr/lib/libpool.so.1", [1, 10], 1);
        assert_eq!((grown[0].mappings, grown[0].bytes), (40, 40 * 4096));
        assert_eq!(judged.labels[0].verdict, Verdict::TooFewRequests);
        assert_eq!(judged.verdict, Verdict::TooFewRequests);
    }

    /// Nobody else kept what such a request gave back.
    #[test]
    fn who_maps_after_its_own_kind_keeps() {
        let (judged, grown) = corrected("/usr/lib/libpool.so.1", [1, 10], 2);
        assert_eq!(grown, []);
        assert_eq!(judged.labels[0].verdict, Verdict::Leak);
    }

    #[test]
    fn what_each_request_keeps_is_its_own() {
        let (judged, grown) = corrected("/srv/server", [1, 1], 1);
        assert_eq!(grown, []);
        assert_eq!(judged.labels[0].verdict, Verdict::Leak);
    }
}
