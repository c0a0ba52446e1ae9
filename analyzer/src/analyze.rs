//! From a trace to its analysis: drives replay and requests over all steps, then has every call site
//! judged.

mod alike;
mod apart;
mod carved;
mod cells;
mod collected;
mod collecting;
mod company;
mod connected;
mod course;
mod crowd;
mod endpoints;
mod ends;
mod garbage;
mod judged;
mod known_caches;
mod late;
mod lent;
mod lists;
mod mappings;
mod merging;
mod open;
mod order;
mod outlook;
mod pool;
mod range;
mod request_list;
mod result;
mod reuse;
mod rows;
mod sampled;
mod site_list;
mod sites;
mod timeline;
mod totals;
mod types;
mod unseen;
mod verdicts;
mod views;
mod waned;
mod warnings;
mod ways;

use collecting::Collecting;
use course::Periods;
use leak_wire::free_list::{Change, List};
use rows::Looks;
use timeline::Timeline;
pub use views::views;

use crate::analysis::{Analysis, Site};
use crate::ledger::Finished;
use crate::ledger::pieces::Held;
use crate::ledger::standing::Standing;
use crate::requests::machine::Machine;
pub use crate::requests::options::{Boundary, Options, Scope};
use crate::sample::Sample;
use crate::sites::{SiteId, Sites};
use crate::trace::{Error, Facts, Origin, Passed, ProcessId, Reading, Run, Step, Trace, What};
use crate::types::{FREE_LIST, TypeId, TypeNames};

/// After so many events the one who waits is told how far it has come.
const TOLD_EVERY: u64 = 1 << 18;

/// Analyses a whole trace; call sites go into `sites`, which is emptied first. Now and then `told` gets
/// the part of the recorded time that was come through, from 0 to 1.
pub fn analyze(
    trace: &Trace,
    sites: &mut Sites,
    options: &Options,
    mut told: impl FnMut(f64),
) -> Result<Analysis, Error> {
    let mut options = options.clone();
    loop {
        *sites = Sites::default();
        let mut analyzer = Analyzer::new(trace.facts(), &options);
        let mut steps = trace.steps(sites);
        let mut by_marks = false;
        let mut told_at = 0;
        while let Some(step) = steps.next() {
            analyzer.step(&step?);
            if let Some(run) = steps.run() {
                analyzer.run(run);
            }
            analyzer.look_at(steps.sites());
            if analyzer.events >= told_at {
                told(analyzer.part());
                told_at = analyzer.events + TOLD_EVERY;
            }
            if analyzer.wants_marks() {
                by_marks = true;
                break;
            }
        }
        if !by_marks {
            drop(steps);
            let mut analysis = analyzer.finish(sites);
            count_python(&mut analysis, sites);
            return Ok(analysis);
        }
        // There are marks: they alone are the requests, from the beginning.
        options.boundary = Boundary::Mark;
    }
}

/// How much of what is live at the end is the Python interpreter's.
fn count_python(analysis: &mut Analysis, sites: &Sites) {
    let python = analysis
        .sites
        .iter()
        .filter(|site| sites.is_python(site.id));
    let add = |sum: (u64, u64), site: &Site| (sum.0 + site.live_blocks, sum.1 + site.live_bytes);
    let (blocks, bytes) = python.fold((0, 0), add);
    analysis.totals.python_live_blocks = blocks;
    analysis.totals.python_live_bytes = bytes;
}

/// What waits on each of CPython's free lists, and what is taken from there.
pub(crate) fn free_lists(types: &mut TypeNames) -> [(TypeId, TypeId); List::ALL.len()] {
    List::ALL.map(|list| {
        let name = list.type_name();
        (types.id(&format!("{name}{FREE_LIST}")), types.id(name))
    })
}

/// What is known of one process so far.
#[derive(Debug, Default)]
struct Process {
    timeline: Timeline,
    /// What it had mapped when its exit began, or at its end.
    mapped: Vec<(SiteId, Held)>,
    /// How things stood at readings of its resident memory.
    standings: Vec<Standing>,
    /// Its figures, once it has ended, and the most connections it held at once.
    ended: Option<(Finished, usize)>,
}

/// Takes a trace's steps in order.
#[derive(Debug)]
pub struct Analyzer<'f> {
    facts: &'f Facts,
    boundary: Boundary,
    scope: Scope,
    /// When the warm-up is over; 0 once it is.
    judge_from_ns: u64,
    machine: Machine,
    processes: Vec<Process>,
    types: TypeNames,
    events: u64,
    last: u64,
    periods: Periods,
    looks: Looks,
    collecting: Collecting,
}

impl<'f> Analyzer<'f> {
    /// Before the first step.
    pub fn new(facts: &'f Facts, options: &Options) -> Self {
        Analyzer {
            facts,
            boundary: options.boundary,
            scope: options.scope,
            judge_from_ns: options.judge_from_ns,
            machine: Machine::new(
                options,
                facts.threads.len(),
                Sample::every(facts.sample_bytes),
            ),
            processes: Vec::new(),
            types: TypeNames::default(),
            events: 0,
            last: 0,
            periods: match options.periods {
                true => Periods::of(facts),
                false => Periods::default(),
            },
            looks: Looks::of(facts),
            collecting: Collecting::new(options.phases_of),
        }
    }

    /// The part of the recorded time that was come through.
    fn part(&self) -> f64 {
        let whole = self.facts.duration_ns.max(1);
        self.facts.clock.ns(self.last) as f64 / whole as f64
    }

    /// Boundaries were to be chosen, and there are marks: start again with [`Boundary::Mark`].
    pub fn wants_marks(&self) -> bool {
        self.boundary == Boundary::Auto && self.machine.marks_seen
    }

    fn process(&mut self, process: ProcessId) -> &mut Process {
        let at = process as usize;
        if self.processes.len() <= at {
            self.processes.resize_with(at + 1, Process::default);
        }
        &mut self.processes[at]
    }

    /// The next step.
    pub fn step(&mut self, step: &Step<'_>) {
        self.last = self.last.max(step.stamp);
        if self.looks.are_due(step.stamp) {
            self.look(step.stamp);
        }
        if self.periods.is_over(step.stamp) {
            self.period_begins(step.stamp);
        }
        if self.judge_from_ns > 0 {
            self.warm_up(step.stamp);
        }
        match &step.what {
            What::ProcessBegins => self.process_begins(step.process, step.stamp),
            What::ProcessEnds => self.process_ends(step.process, step.stamp),
            What::ThreadBegins => self.machine.thread_begins(step.thread, step.process),
            What::ThreadEnds => {
                self.machine
                    .thread_ends(step.thread, step.process, step.stamp);
            }
            What::Types(reading) => self.types_read(step.process, reading),
            What::Event(event) => {
                self.note_time(step);
                self.events += 1;
                self.machine
                    .event(step.process, step.thread, step.stamp, event);
            }
            What::FreeLists { changes, sites } => {
                self.note_time(step);
                let types = free_lists(&mut self.types);
                let machine = &mut self.machine;
                machine.free_lists(
                    (step.process, step.thread, step.stamp),
                    Change::all(*changes),
                    |list| (sites + list as SiteId - 1, types[list as usize - 1]),
                );
            }
            What::Passed(passed) => {
                self.note_time(step);
                if let Passed::Blocks { blocks, .. } = passed {
                    // An allocation and a free each.
                    self.events = self.events.saturating_add(blocks.saturating_mul(2));
                }
                self.machine
                    .passed(step.process, step.thread, step.stamp, *passed);
            }
        }
    }

    /// Notes how things stand at the readings before `stamp`.
    #[cold]
    fn look(&mut self, stamp: u64) {
        while let Some(reading) = self.looks.take(self.facts, stamp) {
            if !self.machine.owners.runs(reading.process) {
                continue;
            }
            let mut requests = self.machine.records.iter();
            let first = requests.find(|record| !record.void);
            let from = first.map(|record| record.start);
            let ledger = self.machine.owners.ledger(reading.process);
            let standing = ledger.stands(reading, from);
            self.process(reading.process).standings.push(standing);
        }
    }

    /// After a step, whose call site may be new: it may tell that a collector runs.
    #[inline]
    pub(crate) fn look_at(&mut self, sites: &Sites) {
        if self.collecting.is_behind(sites) {
            self.look_at_new(sites);
        }
    }

    #[cold]
    fn look_at_new(&mut self, sites: &Sites) {
        let processes = 0..self.processes.len() as ProcessId;
        for (site, phase) in self.collecting.look(sites) {
            for process in processes.clone() {
                if self.machine.owners.runs(process) {
                    let ledger = self.machine.owners.ledger(process);
                    ledger.tells_phase(*site, *phase, self.last);
                }
            }
        }
    }

    /// Whether requests that come now are judged.
    fn warm_up(&mut self, stamp: u64) {
        let goes_on = self.facts.clock.ns(stamp) < self.judge_from_ns;
        self.machine.labels.set_warm_up(goes_on);
        if !goes_on {
            self.judge_from_ns = 0;
        }
    }

    /// What the thread of the last step goes on with.
    fn run(&mut self, mut run: Run<'_>) {
        let (process, thread, stamp) = (run.process, run.thread, run.stamp);
        let read = |out: &mut [_]| run.read(out);
        let events = self.machine.run(process, thread, stamp, read);
        self.events = self.events.saturating_add(events);
    }

    /// Adds to the timeline, when that is due, how things stand before the step: blocks that pass come
    /// after it.
    fn note_time(&mut self, step: &Step<'_>) {
        let process = self.processes.get(step.process as usize);
        if process.is_none_or(|process| process.timeline.is_due(step.stamp)) {
            let ledger = self.machine.owners.ledger(step.process);
            let (live, requests) = (ledger.live_bytes(), ledger.requests_ended());
            let timeline = &mut self.process(step.process).timeline;
            timeline.note(step.stamp, live, requests);
        }
    }

    fn types_read(&mut self, process: ProcessId, reading: &Reading) {
        if !self.machine.owners.runs(process) {
            return;
        }
        let names = reading.names.iter();
        let ids: Vec<TypeId> = names.map(|name| self.types.id(name)).collect();
        let ledger = self.machine.owners.ledger(process);
        if !reading.caches.is_empty() {
            ledger.caches_read(reading.begin, &reading.caches);
        }
        for (address, name) in &reading.blocks {
            if let Some(of_type) = ids.get(*name as usize) {
                ledger.set_type(*address, reading.begin, *of_type);
            }
        }
    }

    fn process_begins(&mut self, process: ProcessId, stamp: u64) {
        let facts = self.facts.processes.get(process as usize);
        let forked = facts.filter(|facts| facts.origin == Origin::Fork);
        let parent = forked.and_then(|facts| facts.parent);
        self.machine.process_begins(process, parent, stamp);
        if parent.is_none() {
            let ledger = self.machine.owners.ledger(process);
            for (site, phase) in self.collecting.telling() {
                ledger.tells_phase(*site, *phase, self.last);
            }
        }
        self.process(process);
        self.periods.tell(self.machine.owners.ledger(process));
    }

    /// All processes go on into the period in which `stamp` lies.
    fn period_begins(&mut self, stamp: u64) {
        self.periods.advance(stamp);
        for process in 0..self.processes.len() as ProcessId {
            if self.machine.owners.runs(process) {
                self.periods.tell(self.machine.owners.ledger(process));
            }
        }
    }

    fn process_ends(&mut self, process: ProcessId, stamp: u64) {
        if !self.machine.owners.runs(process) {
            return;
        }
        let ledger = self.machine.owners.ledger(process);
        ledger.close_mappings();
        let mapped = ledger.mapped().collect();
        let (live, requests) = (ledger.live_bytes(), ledger.requests_ended());
        let ended = self.machine.process_ends(process, stamp);
        let state = self.process(process);
        state.timeline.close(stamp, live, requests);
        state.ended = ended;
        if let Some((finished, _)) = &mut state.ended {
            finished.standings = std::mem::take(&mut state.standings);
        }
        state.mapped = mapped;
    }

    /// After the last step, of which call sites are `sites`.
    pub fn finish(mut self, sites: &Sites) -> Analysis {
        let count = self.processes.len().max(self.facts.processes.len());
        self.look(u64::MAX);
        for process in 0..count as ProcessId {
            self.process_ends(process, self.last);
        }
        result::build(self, sites)
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
