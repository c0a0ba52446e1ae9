//! The replay of a trace as far as it was followed: what lives, whose it is, and which requests have ended.

mod types;

use std::collections::VecDeque;

use leak_wire::Event;
use leak_wire::free_list::Change;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::analyze::{self, Boundary, free_lists};
use crate::ledger::holding::Holder;
use crate::requests::label::Group;
use crate::requests::machine::Machine;
use crate::requests::record::{Record, RequestId};
use crate::sample::{Amount, Sample};
use crate::sites::SiteId;
use crate::trace::{Error, Facts, Origin, ProcessId, Run, Step, Steps, ThreadId, What};
use crate::types::{TypeId, TypeNames};
use crate::watch::standing::{Baselines, Owner, Standing};

/// So many requests are kept as they were: what comes to one after its end, comes soon.
const UNFOLDED: usize = 1 << 15;
/// So many of the requests that ended last are kept to be looked at.
const MOST_RECENT: usize = 500;

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    pub(super) request: RequestId,
    pub(super) group: Option<Group>,
    pub(super) start: u64,
    pub(super) end: u64,
    /// What it had left when it ended, as far as that is proved.
    pub(super) survivors: Amount,
}

/// What lives in a process: of whom, from where, what, how much.
type Rows = FxHashMap<(Holder, SiteId, TypeId), Amount>;

/// A process that is about to end, as it was when its last request ended: before it tore down what it had.
#[derive(Debug)]
struct Frozen {
    rows: Rows,
    live: Amount,
    mapped: Amount,
    ended: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) machine: Machine,
    pub(super) types: TypeNames,
    /// Marks of this label are moments to compare with, and no requests.
    mark: Option<String>,
    boundary: Boundary,
    /// There are marks that are requests.
    wants_marks: bool,
    /// The newest stamp.
    pub(super) last: u64,
    running: Vec<ProcessId>,
    frozen: FxHashMap<ProcessId, Frozen>,
    /// Requests up to here were looked at; those before that had not ended.
    looked_at: RequestId,
    unended: Vec<RequestId>,
    /// How many have.
    pub(super) ended: u64,
    served: FxHashMap<Group, u64>,
    /// Requests that were folded and hold something, or may: their labels and status; `None`: it was no request.
    folded: FxHashMap<RequestId, Option<Group>>,
    pub(super) recent: VecDeque<Recent>,
    pub(super) baselines: Baselines,
}

/// The number by which the machine knows a thread.
fn worker(thread: ThreadId) -> ThreadId {
    thread.saturating_mul(2)
}

impl Replay {
    /// Nothing has happened yet.
    pub(super) fn new(facts: &Facts, options: &analyze::Options, mark: Option<String>) -> Replay {
        Replay {
            machine: Machine::growing(options, Sample::every(facts.sample_bytes)),
            types: TypeNames::default(),
            mark,
            boundary: options.boundary,
            wants_marks: false,
            last: 0,
            running: Vec::new(),
            frozen: FxHashMap::default(),
            looked_at: 0,
            unended: Vec::new(),
            ended: 0,
            served: FxHashMap::default(),
            folded: FxHashMap::default(),
            recent: VecDeque::new(),
            baselines: Baselines::default(),
        }
    }

    /// Boundaries were to be chosen, and there are marks: start again with [`Boundary::Mark`].
    pub(super) fn wants_marks(&self) -> bool {
        self.boundary == Boundary::Auto && self.wants_marks
    }

    /// Takes all steps that there are.
    pub(super) fn take(&mut self, steps: &mut Steps<'_>, facts: &Facts) -> Result<(), Error> {
        while let Some(step) = steps.next() {
            self.step(&step?, facts);
            if let Some(run) = steps.run() {
                self.run(run);
            }
        }
        self.look_for_ends();
        if self.machine.records.unfolded() > 2 * UNFOLDED {
            self.fold();
        }
        Ok(())
    }

    /// Forgets what ended long ago and holds nothing.
    fn fold(&mut self) {
        let mut mentioned: FxHashSet<RequestId> = FxHashSet::default();
        for process in self.running.clone() {
            let rows = self.of_process(process, true).rows;
            mentioned.extend(rows.keys().filter_map(|row| row.0.request()));
        }
        let frozen = self.frozen.values().flat_map(|frozen| frozen.rows.keys());
        mentioned.extend(frozen.filter_map(|row| row.0.request()));
        self.folded.retain(|request, _| mentioned.contains(request));
        let folded = &mut self.folded;
        let owners = &self.machine.owners;
        // What was open when its process ended stays open, and nobody comes to it any more.
        let is_over =
            |record: &Record| record.void || record.end.is_some() || !owners.runs(record.process);
        self.machine
            .records
            .fold(UNFOLDED, is_over, |place, record| {
                let request = place as RequestId;
                if mentioned.contains(&request) {
                    let group = group(record).filter(|_| !record.void);
                    folded.insert(request, group);
                }
            });
        self.machine.owners.fold(UNFOLDED);
    }

    fn step(&mut self, step: &Step<'_>, facts: &Facts) {
        self.last = self.last.max(step.stamp);
        match &step.what {
            What::ProcessBegins => self.process_begins(step.process, step.stamp, facts),
            What::ProcessEnds => self.process_ends(step.process, step.stamp),
            What::ThreadBegins => {
                let thread = worker(step.thread);
                self.machine.thread_begins_anew(thread, step.process);
            }
            What::ThreadEnds => {
                let thread = worker(step.thread);
                self.machine.thread_ends(thread, step.process, step.stamp);
            }
            What::Types(reading) => self.types_read(step.process, reading),
            What::Event(event) => self.event(step, event, facts),
            What::FreeLists { changes, sites } => {
                let types = free_lists(&mut self.types);
                self.machine.free_lists(
                    (step.process, worker(step.thread), step.stamp),
                    Change::all(*changes),
                    |list| (sites + list as SiteId - 1, types[list as usize - 1]),
                );
            }
            What::Passed(passed) => {
                let thread = worker(step.thread);
                self.machine
                    .passed(step.process, thread, step.stamp, *passed);
            }
        }
        if self.baselines.start.is_none() && !self.machine.records.is_empty() {
            self.baselines.start = Some(self.standing(facts));
        }
    }

    fn event(&mut self, step: &Step<'_>, event: &Event<'_>, facts: &Facts) {
        if let Event::Mark { label } | Event::MarkBegin { label } = event {
            let label: Vec<u8> = label.iter().collect();
            let mark = self.mark.as_deref().map(str::as_bytes);
            if mark == Some(label.as_slice()) {
                self.baselines.marked = Some(self.standing(facts));
            } else {
                self.wants_marks = true;
            }
        }
        if matches!(event, Event::ExitBegins) {
            self.freeze(step.process);
        }
        let thread = worker(step.thread);
        self.machine.event(step.process, thread, step.stamp, event);
    }

    /// What the thread of the last step goes on with.
    fn run(&mut self, mut run: Run<'_>) {
        let (process, thread, stamp) = (run.process, worker(run.thread), run.stamp);
        let read = |out: &mut [_]| run.read(out);
        self.machine.run(process, thread, stamp, read);
    }

    fn process_begins(&mut self, process: ProcessId, stamp: u64, facts: &Facts) {
        let known = facts.processes.get(process as usize);
        let forked = known.filter(|known| known.origin == Origin::Fork);
        let parent = forked.and_then(|known| known.parent);
        self.machine.process_begins(process, parent, stamp);
        self.running.push(process);
        self.frozen.retain(|_, frozen| !frozen.ended);
    }

    fn process_ends(&mut self, process: ProcessId, stamp: u64) {
        if !self.machine.owners.runs(process) {
            return;
        }
        self.freeze(process);
        self.machine.process_leaves(process, stamp);
        self.running.retain(|running| *running != process);
        // What it left is of interest where it was the last.
        match self.running.is_empty() {
            true => {
                if let Some(frozen) = self.frozen.get_mut(&process) {
                    frozen.ended = true;
                }
            }
            false => drop(self.frozen.remove(&process)),
        }
    }

    /// The process tears down what it has from now on.
    fn freeze(&mut self, process: ProcessId) {
        if !self.frozen.contains_key(&process) {
            let frozen = self.of_process(process, true);
            self.frozen.insert(process, frozen);
        }
    }

    fn of_process(&mut self, process: ProcessId, as_served: bool) -> Frozen {
        let (mut rows, mut live) = (Rows::default(), Amount::default());
        let tell = |holder, site, of_type, amount| {
            live += amount;
            *rows.entry((holder, site, of_type)).or_default() += amount;
        };
        self.machine.owners.standing(process, as_served, tell);
        let counts = &self.machine.owners.ledger(process).counts;
        let mapped = counts.mapped();
        Frozen {
            rows,
            live,
            mapped,
            ended: false,
        }
    }

    /// Counts the requests that have ended since.
    fn look_for_ends(&mut self) {
        let mut unended = std::mem::take(&mut self.unended);
        let known = self.machine.records.len() as RequestId;
        unended.extend(self.looked_at..known);
        self.looked_at = known;
        unended.retain(|request| !self.has_ended(*request));
        self.unended = unended;
    }

    fn has_ended(&mut self, request: RequestId) -> bool {
        let record = &self.machine.records[request as usize];
        let Some(end) = record.end.filter(|_| !record.void) else {
            return record.void || !self.machine.owners.runs(record.process);
        };
        self.ended += u64::from(record.count);
        if let Some(group) = group(record) {
            *self.served.entry(group).or_default() += u64::from(record.count);
        }
        let figures = &record.figures;
        self.recent.push_back(Recent {
            request,
            group: group(record),
            start: record.start,
            end,
            survivors: Amount {
                blocks: figures.survivor_blocks,
                bytes: figures.survivor_bytes,
            },
        });
        if self.recent.len() > MOST_RECENT {
            self.recent.pop_front();
        }
        true
    }

    /// How things stand now.
    pub(super) fn standing(&mut self, facts: &Facts) -> Standing {
        self.look_for_ends();
        let mut standing = Standing {
            stamp: self.last,
            at_ns: facts.clock.ns(self.last),
            requests: self.ended,
            served: self.served.clone(),
            dropped: facts.dropped,
            sample_bytes: facts.sample_bytes,
            ..Standing::default()
        };
        let ended = self.frozen.iter().filter(|(_, frozen)| frozen.ended);
        let mut processes: Vec<ProcessId> = ended.map(|(process, _)| *process).collect();
        processes.extend(&self.running);
        for process in processes {
            if !self.frozen.contains_key(&process) {
                let now = self.of_process(process, false);
                self.add(&mut standing, &now);
            } else if let Some(frozen) = self.frozen.get(&process) {
                self.add(&mut standing, frozen);
            }
        }
        for process in self.running.clone() {
            let flight = &self.machine.owners.ledger(process).flight;
            standing.flying += flight.count() as u64;
        }
        standing.count_holding(|request| match self.folded.get(&request) {
            Some(group) => *group,
            None => self.machine.records.get(request as usize).and_then(group),
        });
        let rss = facts.rss.iter();
        // Of what has ended nobody takes readings: the last one stands, where nothing else runs.
        let runs = |process| self.running.is_empty() || self.running.contains(&process);
        let of_running = rss.filter(|rss| runs(rss.process));
        standing.resident = of_running.map(|rss| rss.bytes).sum();
        standing.processes = self.running.len();
        standing
    }

    fn add(&self, standing: &mut Standing, of: &Frozen) {
        standing.live += of.live;
        standing.mapped += of.mapped;
        for ((holder, site, of_type), amount) in &of.rows {
            let owner = self.owner(*holder);
            standing.add((owner, *site, *of_type), *amount);
            if let (Holder::Ended(request), Owner::Left(..)) = (holder, owner) {
                standing.hold(*request, *amount);
            }
        }
    }

    fn owner(&self, holder: Holder) -> Owner {
        let (request, is_proved) = match holder {
            Holder::Outside => return Owner::Outside,
            Holder::Untold(None) => return Owner::Untold,
            Holder::Ended(request) | Holder::Flying(request) => (request, true),
            Holder::Untold(Some(request)) => (request, false),
        };
        let record = self.machine.records.get(request as usize);
        let group = match (self.folded.get(&request), record) {
            (Some(None), _) => return none(is_proved),
            (Some(group), _) => *group,
            (None, Some(record)) if record.void => return none(is_proved),
            (None, Some(record)) if record.end.is_none() => return Owner::Flying,
            (None, record) => record.and_then(group),
        };
        match group {
            Some(group) if is_proved => Owner::Left(group),
            Some(group) => Owner::Likely(group),
            None => Owner::Untold,
        }
    }
}

/// Whose the blocks are of what turned out to be no request.
fn none(is_proved: bool) -> Owner {
    match is_proved {
        true => Owner::Outside,
        false => Owner::Untold,
    }
}

/// A request's label and status.
fn group(record: &Record) -> Option<Group> {
    Some((record.label?, record.status))
}
