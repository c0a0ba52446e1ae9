//! What blocks a run made, and which were live when most was: a reading of the trace by itself, as nothing of it is
//! about requests. Its memory is that of live blocks and call sites.
//!
//! What was live at the peak is kept by call site without a copy of all at each new peak: a site takes its sum down when
//! it changes for the first time after one.

use leak_wire::{Common, Event};
use rustc_hash::FxHashMap;

use crate::analysis::views::{SiteView, Views, class_of};
use crate::sample::{Amount, Sample};
use crate::sites::{SiteId, Sites};
use crate::trace::{Error, Passed, ProcessId, ThreadId, Trace, What};

/// Reads a whole trace for them; call sites go into `sites`, which is emptied first. `told` gets the part of the
/// recorded time that was come through.
///
/// # Errors
/// What can't be read of the trace.
pub fn views(trace: &Trace, sites: &mut Sites, mut told: impl FnMut(f64)) -> Result<Views, Error> {
    *sites = Sites::default();
    let facts = trace.facts();
    let whole = facts.duration_ns.max(1) as f64;
    let mut gatherer = Gatherer::new(Sample::every(facts.sample_bytes));
    let mut steps = trace.steps(sites);
    let mut count = 0_u64;
    while let Some(step) = steps.next() {
        let step = step?;
        gatherer.stamp = step.stamp;
        gatherer.step(step.process, step.thread, &step.what);
        if let Some(mut run) = steps.run() {
            let of = (run.process, run.thread);
            let mut room = [Common::Free { address: 0 }; 64];
            loop {
                let taken = run.read(&mut room);
                if taken == 0 {
                    break;
                }
                for event in room.get(..taken).unwrap_or_default() {
                    gatherer.common(of, event);
                }
            }
        }
        count += 1;
        if count.is_multiple_of(1 << 16) {
            told(facts.clock.ns(gatherer.stamp) as f64 / whole);
        }
    }
    drop(steps);
    let mut views = gatherer.finish();
    views.peak_ns = facts.clock.ns(views.peak_ns);
    Ok(views)
}

/// A live block.
#[derive(Clone, Copy, Debug)]
struct Block {
    size: u64,
    site: SiteId,
    amount: Amount,
}

/// What is known of a call site so far.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    view: SiteView,
    live: Amount,
    /// The peak at which `view.at_peak` was taken down.
    peak: u64,
}

/// What a thread did last.
#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    /// The address that it allocated just now; 0: it did something else.
    fresh: u64,
    /// The block whose realloc has begun.
    moving: Option<Block>,
}

#[derive(Debug)]
struct Gatherer {
    sample: Sample,
    stamp: u64,
    blocks: FxHashMap<(ProcessId, u64), Block>,
    threads: FxHashMap<(ProcessId, ThreadId), Thread>,
    sites: FxHashMap<SiteId, Known>,
    views: Views,
    live: Amount,
    /// How many peaks there were.
    peak: u64,
}

impl Gatherer {
    fn new(sample: Sample) -> Gatherer {
        Gatherer {
            sample,
            stamp: 0,
            blocks: FxHashMap::default(),
            threads: FxHashMap::default(),
            sites: FxHashMap::default(),
            views: Views::default(),
            live: Amount::default(),
            peak: 0,
        }
    }

    fn step(&mut self, process: ProcessId, thread: ThreadId, what: &What<'_>) {
        let of = (process, thread);
        match what {
            What::Event(event) => self.event(of, event),
            What::Passed(Passed::Blocks {
                site,
                blocks,
                bytes,
            }) => self.pass(*site, *blocks, *bytes),
            What::ProcessEnds => self.ends(process),
            What::ProcessBegins
            | What::ThreadBegins
            | What::ThreadEnds
            | What::Types(_)
            | What::FreeLists { .. }
            | What::Passed(Passed::Peak { .. }) => {}
        }
    }

    fn event(&mut self, of: (ProcessId, ThreadId), event: &Event<'_>) {
        match *event {
            Event::Allocation {
                address,
                size,
                site,
            } => self.allocate(of, address, size, site),
            Event::Free { address } => self.free(of, address),
            Event::ReallocationBegin { address } => {
                let block = self.remove((of.0, address));
                let thread = self.threads.entry(of).or_default();
                thread.fresh = 0;
                // In two: it is live until its outcome is known.
                thread.moving = block;
            }
            Event::ReallocationEnd {
                address,
                size,
                site,
            } => {
                self.threads.entry(of).or_default().moving = None;
                if address != 0 {
                    self.allocate(of, address, size, site);
                }
            }
            Event::ReallocationFailed => {
                let moving = self.threads.entry(of).or_default().moving.take();
                if let Some(block) = moving {
                    self.add_live(block.site, block.amount);
                }
            }
            _ => self.threads.entry(of).or_default().fresh = 0,
        }
    }

    fn common(&mut self, of: (ProcessId, ThreadId), event: &Common) {
        match *event {
            Common::Allocation {
                address,
                size,
                site,
            } => self.allocate(of, address, size, site),
            Common::Free { address } => self.free(of, address),
        }
    }

    fn allocate(&mut self, of: (ProcessId, ThreadId), address: u64, size: u64, site: SiteId) {
        let amount = self.sample.amount(size, address ^ self.stamp);
        let block = Block { size, site, amount };
        if let Some(missed) = self.blocks.insert((of.0, address), block) {
            self.take_live(missed.site, missed.amount);
        }
        let known = self.site(site);
        known.view.allocated += amount;
        self.views.classes[class_of(size)].allocated += amount;
        self.add_live(site, amount);
        self.threads.entry(of).or_default().fresh = address;
    }

    fn free(&mut self, of: (ProcessId, ThreadId), address: u64) {
        let thread = self.threads.entry(of).or_default();
        let is_temporary = address != 0 && std::mem::take(&mut thread.fresh) == address;
        if let Some(block) = self.remove((of.0, address))
            && is_temporary
        {
            self.site(block.site).view.temporary += block.amount;
        }
    }

    fn remove(&mut self, at: (ProcessId, u64)) -> Option<Block> {
        let block = self.blocks.remove(&at)?;
        self.take_live(block.site, block.amount);
        Some(block)
    }

    fn pass(&mut self, site: SiteId, blocks: u64, bytes: u64) {
        let amount = Amount { blocks, bytes };
        let known = self.site(site);
        known.view.allocated += amount;
        known.view.temporary += amount;
        self.views.passed += amount;
        self.views.classes[class_of(bytes / blocks.max(1))].allocated += amount;
    }

    /// The site, with what was live at the last peak taken down.
    fn site(&mut self, site: SiteId) -> &mut Known {
        let known = self.sites.entry(site).or_default();
        if known.peak < self.peak {
            known.view.at_peak = known.live;
            known.peak = self.peak;
        }
        known
    }

    fn add_live(&mut self, site: SiteId, amount: Amount) {
        self.site(site).live += amount;
        self.live += amount;
        if self.live.bytes > self.views.peak.bytes {
            self.views.peak = self.live;
            self.views.peak_ns = self.stamp;
            self.peak += 1;
        }
    }

    fn take_live(&mut self, site: SiteId, amount: Amount) {
        self.site(site).live -= amount;
        self.live -= amount;
    }

    fn ends(&mut self, process: ProcessId) {
        let of = self.blocks.iter().filter(|(at, _)| at.0 == process);
        let left: Vec<(ProcessId, u64)> = of.map(|(at, _)| *at).collect();
        for at in left {
            if let Some(block) = self.remove(at) {
                self.views.classes[class_of(block.size)].left += block.amount;
            }
        }
        self.threads.retain(|of, _| of.0 != process);
    }

    fn finish(mut self) -> Views {
        let mut running: Vec<ProcessId> = self.blocks.keys().map(|at| at.0).collect();
        running.sort_unstable();
        running.dedup();
        running.into_iter().for_each(|process| self.ends(process));
        let all: Vec<SiteId> = self.sites.keys().copied().collect();
        for site in all {
            let view = SiteView {
                site,
                ..self.site(site).view
            };
            self.views.sites.push(view);
        }
        self.views
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_live_at_the_peak_is_told_by_site() {
        let mut all = Gatherer::new(Sample::every(0));
        let (one, other) = ((0, 1), (1, 2));
        all.allocate(one, 16, 100, 7);
        all.allocate(other, 16, 50, 8);
        all.stamp = 5;
        all.allocate(one, 32, 100, 7);
        // From here on it falls, and never comes so high again.
        all.free(one, 16);
        all.allocate(one, 48, 90, 9);
        all.free(one, 48);
        all.ends(1);
        all.event(one, &Event::ReallocationBegin { address: 32 });
        all.event(one, &Event::ReallocationFailed);
        let views = all.finish();
        assert_eq!(
            (views.peak.bytes, views.peak.blocks, views.peak_ns),
            (250, 3, 5)
        );
        let of = |site| {
            views
                .sites
                .iter()
                .find(|view| view.site == site)
                .copied()
                .unwrap()
        };
        assert_eq!(
            of(7).at_peak,
            Amount {
                blocks: 2,
                bytes: 200
            }
        );
        assert_eq!(
            of(8).at_peak,
            Amount {
                blocks: 1,
                bytes: 50
            }
        );
        assert_eq!(of(9).at_peak, Amount::default());
        assert_eq!(
            of(9).temporary,
            Amount {
                blocks: 1,
                bytes: 90
            }
        );
        assert_eq!(
            of(7).temporary,
            Amount::default(),
            "other events came between"
        );
        assert_eq!(
            of(7).allocated,
            Amount {
                blocks: 2,
                bytes: 200
            }
        );
        let classes = views.classes.iter().map(|class| class.allocated.blocks);
        assert_eq!(classes.sum::<u64>(), 4);
        assert_eq!(
            views.classes[class_of(50)].left,
            Amount {
                blocks: 1,
                bytes: 50
            }
        );
    }
}
