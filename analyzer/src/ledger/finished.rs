//! How things stand at the end of a process: by call site and by request.

use rustc_hash::{FxBuildHasher, FxHashSet};

use super::Counts;
use super::collector::{Collector, Judged};
use super::exit::BeforeExit;
use super::holding::Moment;
use super::lives::{Age, Lives, MEASURES, SiteLives};
use super::log::Log;
use super::loose::Loose;
use super::open::Open;
use super::site::{TailEnd, survive};
use super::standing::Standing;
use super::tracing::{Moment as CollectionMoment, Tracing};
use super::types::Typed;
use crate::analysis::course::Lived;
use crate::requests::label::LabelId;
use crate::requests::record::RequestId;
use crate::sample::{Amount, Sample};
use crate::seldom::{Empty, Seldom};
use crate::sites::SiteId;

/// Into how many parts a process's life of serving is cut when it is judged.
pub const SLICES: usize = 8;

/// Into how many parts requests are cut that tell the time.
pub const PARTS: usize = 64;

/// A process's account of itself, complete.
#[derive(Debug, Default)]
pub struct Finished {
    /// What happened.
    pub counts: Counts,
    /// What was live when its exit began, where it ended by itself and that was seen.
    pub before_exit: Option<BeforeExit>,
    /// Inherited blocks still live, and their bytes.
    pub inherited: (u64, u64),
    /// Allocations that belong to no request.
    pub outside_allocations: u64,
    /// The requests that ended, in the order of their ends.
    pub ends: Vec<RequestId>,
    /// The most requests in flight at once.
    pub most_in_flight: usize,
    /// Call sites with survivors or live blocks.
    pub sites: Vec<FinishedSite>,
    /// Call sites where requests allocated.
    pub reached: Vec<Reached>,
    /// Blocks of which nothing proves whose they are.
    pub loose: Vec<Loose>,
    /// What was live of requests before the exit (without one, at the end) beside what they retained.
    pub beside: Vec<(RequestId, Amount)>,
    /// What a sample of its workers' zones was known by.
    pub moments: Vec<Moment>,
    /// Requests that had threads made which were there at its end, and whether those had worked for others.
    pub made_threads: Vec<(RequestId, bool)>,
    /// When it served.
    pub serving: Serving,
    /// Reads and writes of requests' connections, by stamp.
    pub touches: Log,
    /// When it ended.
    pub ended_at: u64,
    /// When its collector of cyclic garbage ran.
    pub collector: Collector,
    /// When a runtime's collector went over everything.
    pub tracing: Tracing,
    /// The same of one that nobody tells of: something before the last time.
    pub told_by_deaths: Option<CollectionMoment>,
    /// When blocks came and went, where that was asked for.
    pub lived: Vec<Lived>,
    /// How things stood at readings of its resident memory.
    pub standings: Vec<Standing>,
    /// How many entries the largest of its caches of bounded size can have, of those that keep anything.
    pub most_cached: u64,
}

/// From the begin of a process's first request to the end of its last that did end, in stamps. Of a process without
/// requests (a forking parent, a master of workers) that was there before: the same of all processes; of one that began
/// meanwhile (a pool's child): from its begin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serving {
    /// Its begin.
    pub from: Option<u64>,
    /// Its end.
    pub to: u64,
    /// Own bytes live at its begin.
    pub from_bytes: u64,
    /// The same at its end.
    pub to_bytes: u64,
    /// How many requests ended meanwhile: its own, or those of the whole tree.
    pub requests: u64,
    /// The process had none, and began while others served: if it ended before they did, it took all with it.
    pub is_passing: bool,
    /// Where requests, or what is read and written, tell the time: the ends of equal parts of those.
    pub by_requests: Option<[u64; PARTS]>,
}

impl Serving {
    /// The slice of the serving time in which `stamp` lies; `None`: it lies before, or there is no time.
    pub fn slice(&self, stamp: u64) -> Option<usize> {
        let slice = self.place(stamp, SLICES as u64)? as usize;
        Some(slice.min(SLICES - 1))
    }

    /// In which of so many places `stamp` lies, the last one's number at most being theirs; `None` as for slices.
    pub fn place(&self, stamp: u64, places: u64) -> Option<u64> {
        let start = self.from?;
        let span = self.to.saturating_sub(start);
        let since = stamp.checked_sub(start).filter(|_| span > 0)?;
        let (part, of) = match &self.by_requests {
            None => (u128::from(since), u128::from(span) + 1),
            Some(ends) => {
                let at = ends.partition_point(|end| *end <= stamp).min(PARTS - 1);
                let begin = at.checked_sub(1).map_or(start, |before| ends[before]);
                let length = u128::from(ends[at].saturating_sub(begin)) + 1;
                let within = u128::from(stamp.saturating_sub(begin)).min(length - 1);
                (at as u128 * length + within, PARTS as u128 * length)
            }
        };
        Some((part * u128::from(places) / of) as u64)
    }
}

impl Finished {
    /// It took all with it that it held, long before serving ended: nothing is judged that came meanwhile.
    pub fn passes(&mut self) {
        self.serving = Serving::default();
        for site in &mut self.sites {
            let series = &mut site.outside;
            if let Some(served) = std::mem::take(&mut series.served).into_inner() {
                series.before.0 += served.retained_blocks.iter().sum::<u64>();
                series.before.1 += served.retained_bytes.iter().sum::<u64>();
            }
            site.outside_births.clear();
        }
    }
}

/// Requests at a call site in one process.
#[derive(Clone, Debug)]
pub struct Reached {
    /// Which.
    pub site: SiteId,
    /// Requests that allocated here.
    pub requests: u64,
    /// Those besides that may go on in another process, or came from one.
    pub abroad: Vec<RequestId>,
}

/// What is outside requests at a call site: blocks and bytes live, the series, and births while it served.
pub(super) type OutsideOfSite = (u64, u64, OutsideSeries, Vec<u64>);

/// A call site in one process, at its end.
#[derive(Clone, Debug, Default)]
pub struct FinishedSite {
    /// Which.
    pub id: SiteId,
    /// How its blocks were counted.
    pub sample: Sample,
    /// Their labels, sorted, and how many blocks survived the requests of each.
    pub labels: Vec<(LabelId, u64)>,
    /// Alive at their request's end.
    pub survivor_blocks: u64,
    /// Their bytes.
    pub survivor_bytes: u64,
    /// Alive at the process's end.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Alive when the process's exit began; without one, at its end.
    pub before_exit: Amount,
    /// Of `live_blocks`, in no request.
    pub outside_blocks: u64,
    /// Their bytes.
    pub outside_bytes: u64,
    /// Of `before_exit`, in no request.
    pub outside_before_exit: Amount,
    /// Blocks that came by realloc.
    pub reallocations: u64,
    /// What each request retained.
    pub retained: Vec<Retained>,
    /// What its blocks are, where types were read.
    pub types: Vec<Typed>,
    /// Live bytes by the order of request ends.
    pub live_log: Log,
    /// Survivors' bytes by the order of their requests' ends.
    pub survivor_log: Seldom<Log>,
    /// Blocks in no request that were live when serving ended, by the slice of the serving time they
    /// were born in; those from before it apart.
    pub outside: OutsideSeries,
    /// Births of those, while it served: stamps, sorted, each once.
    pub outside_births: Vec<u64>,
    /// What requests hold that had not ended.
    pub open: Vec<Open>,
    /// How long blocks in no request lived that outlived a request's end, in requests and in time.
    pub outside_lives: Seldom<[Lives; MEASURES]>,
    /// How long survivors live.
    pub lives: Seldom<SiteLives>,
    /// Of blocks made after an answer that were freed after that request's end: see [`TailEnd`].
    pub tail_ends: Seldom<Vec<TailEnd>>,
    /// Requests that allocated here.
    pub visits: u64,
}

impl FinishedSite {
    /// Whether survivors were freed here.
    pub fn has_frees(&self) -> bool {
        let groups = self.lives.groups.iter().map(|group| &group.freed[0]);
        let mut all = groups.chain([&self.lives.unowned[0], &self.outside_lives[0]]);
        all.any(|lives| lives.count() > 0)
    }

    /// Requests of the label left so many survivors more.
    pub fn survives(&mut self, label: Option<LabelId>, survivors: u64) {
        survive(&mut self.labels, label, survivors);
    }
}

/// What is certain of whose blocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certain {
    /// The request.
    Request,
    /// That it is one of the label's in flight when they were made.
    Label,
    /// Neither: it is likely.
    Neither,
}

/// Survivors of one request that were live when serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    /// Whose.
    pub request: RequestId,
    /// How many.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its blocks live when its process's exit began; without one, at its end.
    pub before_exit: Amount,
    /// Stamp of the first block here.
    pub born: u64,
    /// Stamp of the last.
    pub last: u64,
    /// How things stood when its request ended, where that is known.
    pub birth: Option<Age>,
    /// Of `blocks`, those made after its answer.
    pub tail_blocks: u64,
    /// Nothing proves that they are the request's: its label was associated with them.
    pub associated: bool,
    /// It could also be another request of the label.
    pub untold: bool,
    /// What is certain of that.
    pub certain: Certain,
    /// Of `blocks`, those that are bounded: freed objects on a free list of CPython's, and what a cache of bounded
    /// size keeps.
    pub bounded_blocks: u64,
    /// Their bytes.
    pub bounded_bytes: u64,
    /// Most of it was gone before the collector's first full run after the serving was over.
    pub collected: bool,
    /// What the process's collector has told of it.
    pub judged: Judged,
    /// It may be freed yet, as what others of its label and status kept at the call site was at this age.
    pub may_go: bool,
}

impl Retained {
    /// Whether anything is left that is not bounded.
    pub fn is_used(&self) -> bool {
        self.blocks > self.bounded_blocks
    }

    /// How many, and their bytes.
    pub fn amount(&self) -> Amount {
        Amount {
            blocks: self.blocks,
            bytes: self.bytes,
        }
    }

    /// Those that nothing proves to be the request's.
    pub fn associated(&self) -> Amount {
        match self.associated {
            true => self.amount(),
            false => Amount::default(),
        }
    }

    /// Bytes that are not bounded.
    pub fn used_bytes(&self) -> u64 {
        self.bytes - self.bounded_bytes
    }

    /// What is not bounded.
    pub fn used(&self) -> Amount {
        Amount {
            blocks: self.blocks - self.bounded_blocks,
            bytes: self.used_bytes(),
        }
    }
}

/// A call site's blocks in no request, over equal slices of the serving time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutsideSeries {
    /// Born before the first request and never freed while serving, blocks and bytes.
    pub before: (u64, u64),
    /// Born while it served and bounded, as [`Retained::bounded_blocks`] are: in none of the others.
    pub bounded: Amount,
    /// What came while it served.
    pub served: Seldom<Served>,
}

impl OutsideSeries {
    /// Blocks that were born at `born` and live when serving ended.
    pub fn add(&mut self, serving: &Serving, born: u64, amount: Amount) {
        match serving.slice(born) {
            None if born < serving.from.unwrap_or(u64::MAX) => {
                self.before.0 += amount.blocks;
                self.before.1 += amount.bytes;
            }
            Some(slice) if born < serving.to => {
                self.served.retained_blocks[slice] += amount.blocks;
                self.served.retained_bytes[slice] += amount.bytes;
                self.served.births.add(born, amount.blocks);
            }
            _ => {}
        }
    }

    /// Whether there is anything in it.
    pub fn any(&self) -> bool {
        *self != OutsideSeries::default()
    }
}

/// See [`OutsideSeries`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Born in the slice and live when serving ended, blocks.
    pub retained_blocks: [u64; SLICES],
    /// Their bytes.
    pub retained_bytes: [u64; SLICES],
    /// Born in the slice, outlived a request's end, but freed while serving; bytes.
    pub freed_bytes: [u64; SLICES],
    /// Live bytes at the end of each slice.
    pub live_bytes: [u64; SLICES],
    /// Births of what was live when serving ended, by stamp.
    pub births: Log,
    /// Births of those that were gone before the collector's first full run after the serving was over.
    pub collected: FxHashSet<u64>,
}

impl Empty for Served {
    const EMPTY: &'static Self = &Served {
        retained_blocks: [0; SLICES],
        retained_bytes: [0; SLICES],
        freed_bytes: [0; SLICES],
        live_bytes: [0; SLICES],
        births: Log::NONE,
        collected: FxHashSet::with_hasher(FxBuildHasher),
    };
}

#[cfg(test)]
impl Retained {
    /// A block of 8 bytes that is proved to be the request's, made at `stamp`.
    pub(crate) fn block(request: RequestId, stamp: u64) -> Retained {
        Retained {
            request,
            blocks: 1,
            bytes: 8,
            before_exit: Amount::default(),
            born: stamp,
            last: stamp,
            birth: None,
            tail_blocks: 0,
            associated: false,
            untold: false,
            certain: Certain::Request,
            bounded_blocks: 0,
            bounded_bytes: 0,
            collected: false,
            judged: Judged::default(),
            may_go: false,
        }
    }
}
