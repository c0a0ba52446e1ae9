//! The merge: all threads' events in one order, with the begins and ends of processes and threads
//! in their places.
//!
//! - Within a thread the order of recording counts. Its position is the highest stamp or epoch so far.
//! - Between threads the positions count, and the turns of events that have one. At equal positions
//!   the event that made the epoch comes before those that only saw it.
//! - In memory is one chunk for each thread that has begun and not ended.

mod change;
pub(super) mod paused;
mod run;
mod take;
mod thread;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::codes::Codes;
use super::open::{Error, Trace};
use super::readings::Reading;
use super::resolve::Modules;
use super::turns::{Turns, Waiting};
use super::{ProcessId, Step, ThreadId, What};
use crate::sites::Sites;

pub use run::Run;
use run::resume;
use thread::Open;

/// What can be next. At equal stamps the order of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    ProcessBegins(ProcessId),
    ThreadBegins(ThreadId),
    /// The reading with this index among the trace's.
    Types(u32),
    /// An event that made its epoch.
    First(ThreadId),
    Event(ThreadId),
    ThreadEnds(ThreadId),
    ProcessEnds(ProcessId),
}

type Entry = Reverse<(u64, Item)>;

/// No entry comes after this one.
const LAST: (u64, Item) = (u64::MAX, Item::ProcessEnds(ProcessId::MAX));

/// All steps of a trace, in order. Give it to one reading only: sites are interned as they come.
pub struct Steps<'t> {
    trace: &'t Trace,
    sites: &'t mut Sites,
    /// The next events of all threads that neither run nor wait for a turn.
    queue: BinaryHeap<Entry>,
    /// The next event of the thread that runs: as long as it comes before `until` no other thread's is
    /// looked at.
    running: Option<(u64, Item)>,
    until: (u64, Item),
    /// Begins and ends, last first.
    schedule: Vec<Entry>,
    open: Vec<Option<Box<Open>>>,
    modules: Modules,
    codes: Codes,
    /// The one that was given out last.
    reading: Reading,
    turns: Turns,
    /// The position of the step given out last: none after it has a lower one.
    position: u64,
    /// Its event was given out last and is still borrowed: it moves on with the next call.
    pending: Option<ThreadId>,
    /// The trace is being written, and whole up to here: what comes later is not looked at.
    limit: Option<u64>,
    failed: bool,
}

impl Trace {
    /// All steps in order; call sites go into `sites`.
    pub fn steps<'t>(&'t self, sites: &'t mut Sites) -> Steps<'t> {
        let mut schedule: Vec<Entry> = Vec::new();
        for (process, begun) in (0..).zip(&self.facts.processes) {
            schedule.push(Reverse((begun.start, Item::ProcessBegins(process))));
            if let Some(end) = begun.end {
                schedule.push(Reverse((end, Item::ProcessEnds(process))));
            }
        }
        for (thread, lane) in (0..).zip(&self.lanes) {
            schedule.push(Reverse((lane.start, Item::ThreadBegins(thread))));
            let last = lane.chunks.iter().map(|chunk| chunk.header.last).max();
            let process = self.facts.threads.get(thread as usize);
            let process = process.and_then(|of| self.facts.processes.get(of.process as usize));
            if let Some(end) = lane.end.or(process.and_then(|process| process.end)) {
                let end = end.max(last.unwrap_or(0)).max(lane.start);
                schedule.push(Reverse((end, Item::ThreadEnds(thread))));
            }
        }
        for (number, (_, chunk)) in (0..).zip(&self.readings) {
            schedule.push(Reverse((chunk.header.last, Item::Types(number))));
        }
        schedule.sort_unstable();
        let mut open = Vec::new();
        open.resize_with(self.lanes.len(), || None);
        Steps {
            trace: self,
            sites,
            queue: BinaryHeap::new(),
            running: None,
            until: LAST,
            schedule,
            open,
            modules: Modules::default(),
            codes: Codes::default(),
            reading: Reading::default(),
            turns: Turns::default(),
            position: 0,
            pending: None,
            limit: None,
            failed: false,
        }
    }
}

/// What the merge found next.
enum Turn {
    /// The begin or end of a process or thread.
    Change(Step<'static>),
    /// A reading of types in the process, as it lies in `Steps`.
    Types(ProcessId),
    /// The event that the thread's reader stands at.
    Event(u64, ThreadId),
}

/// Who goes on.
enum Chosen {
    /// A thread, whose event this is.
    Thread((u64, Item)),
    /// Not an event.
    Change(Turn),
    /// The trace is at its end.
    Nothing,
}

impl Steps<'_> {
    /// The next step; `None` at the end. After an error there are no more.
    #[expect(
        clippy::should_implement_trait,
        reason = "a step borrows from the reader"
    )]
    pub fn next(&mut self) -> Option<Result<Step<'_>, Error>> {
        if self.failed {
            return None;
        }
        match self.turn() {
            Ok(None) => None,
            Ok(Some(Turn::Change(step))) => Some(Ok(step)),
            Ok(Some(Turn::Types(process))) => Some(Ok(Step {
                stamp: self.reading.end,
                process,
                thread: 0,
                what: What::Types(&self.reading),
            })),
            Ok(Some(Turn::Event(stamp, thread))) => Some(self.event(stamp, thread)),
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }

    /// What the thread whose event was given out last goes on with in the same place, before anything
    /// else: nearly all events come so. What it leaves comes with the next step.
    #[inline]
    pub fn run(&mut self) -> Option<Run<'_>> {
        let thread = self.pending?;
        let open = self.open.get_mut(thread as usize)?.as_deref_mut()?;
        if let Some(turn) = open.shard_turn() {
            open.turn = None;
            let woken = self.turns.take(turn);
            resume(&mut self.queue, &mut self.until, woken);
        }
        let entry = self.running?;
        if entry.1 != Item::Event(thread) {
            return None;
        }
        Some(Run {
            stamp: self.position,
            process: open.process,
            thread,
            entry,
            raw: &open.raw,
            reader: open.reader.as_mut()?,
            tree: &open.tree,
            turns: &mut self.turns,
            queue: &mut self.queue,
            until: &mut self.until,
        })
    }

    /// The call sites so far.
    pub fn sites(&self) -> &Sites {
        self.sites
    }

    /// Goes on to the next step, through the events that only resolve call sites.
    fn turn(&mut self) -> Result<Option<Turn>, Error> {
        loop {
            if let Some(thread) = self.pending.take() {
                self.move_on(thread)?;
            }
            let entry = match self.running {
                Some(entry) if entry < self.until => entry,
                _ => match self.choose()? {
                    Chosen::Thread(entry) => entry,
                    Chosen::Change(turn) => return Ok(Some(turn)),
                    Chosen::Nothing => return Ok(None),
                },
            };
            let (position, Item::First(thread) | Item::Event(thread)) = entry else {
                return Ok(None);
            };
            if !self.is_due(thread) {
                continue;
            }
            let position = self.position.max(position);
            self.pending = Some(thread);
            self.position = position;
            if !self.resolves(position, thread)? {
                return Ok(Some(Turn::Event(position, thread)));
            }
        }
    }

    /// What comes next: a change, or the thread that runs from now on.
    fn choose(&mut self) -> Result<Chosen, Error> {
        self.queue.extend(self.running.take().map(Reverse));
        loop {
            let scheduled = self.schedule.last().map(|entry| entry.0);
            let event = self.queue.peek().map(|entry| entry.0);
            let next = [scheduled, event].into_iter().flatten().min();
            if self.has_waited_in_vain(next) {
                self.give_up();
                continue;
            }
            let Some((position, item)) = next.filter(|next| self.is_told(next.0)) else {
                return Ok(Chosen::Nothing);
            };
            if next == scheduled {
                self.schedule.pop();
                self.position = self.position.max(position);
                return self.change(self.position, item).map(Chosen::Change);
            }
            self.queue.pop();
            self.running = next;
            let event = self.queue.peek().map(|entry| entry.0);
            let vain = self.turns.patience();
            let vain = vain.map(|patience| (patience, Item::ThreadEnds(0)));
            let limit = self.limit.map(|limit| (limit, LAST.1));
            let others = [scheduled, event, vain, limit].into_iter().flatten();
            self.until = others.min().unwrap_or(LAST);
            return Ok(Chosen::Thread((position, item)));
        }
    }

    /// Whether somebody waits for a turn that nobody has, `next` being the next step otherwise.
    fn has_waited_in_vain(&self, next: Option<(u64, Item)>) -> bool {
        let Some(patience) = self.turns.patience() else {
            return false;
        };
        let next = match self.limit {
            Some(limit) => Some(next.unwrap_or(LAST).min((limit, LAST.1))),
            None => next,
        };
        next.is_none_or(|next| next > (patience, Item::Event(ThreadId::MAX)))
    }

    fn give_up(&mut self) {
        let open = &self.open;
        let waiting = self.turns.give_up(|thread, turn, missing| {
            let other = open.get(thread as usize).and_then(Option::as_deref);
            other.is_some_and(|other| {
                other.process == turn.process && other.holds(turn.shard, &missing)
            })
        });
        self.resume(waiting);
    }

    /// Whether the event of the running thread has its turn. If not, the thread does not run until then.
    #[inline]
    fn is_due(&mut self, thread: ThreadId) -> bool {
        let open = self.open.get(thread as usize).and_then(Option::as_deref);
        let Some((open, turn)) = open.and_then(|open| Some((open, open.shard_turn()?))) else {
            return true;
        };
        if self.turns.is_due(turn) {
            return true;
        }
        let waiting = Waiting {
            thread,
            position: open.position,
            seen_after: open.seen_after(self.trace, thread, self.limit),
        };
        self.turns.wait(turn, waiting);
        self.running = None;
        false
    }

    fn resume(&mut self, waiting: Option<Waiting>) {
        resume(&mut self.queue, &mut self.until, waiting);
    }

    /// Moves the running thread to its next event.
    #[inline]
    fn move_on(&mut self, thread: ThreadId) -> Result<(), Error> {
        let slot = self.open.get_mut(thread as usize);
        let Some(open) = slot.and_then(Option::as_deref_mut) else {
            return Ok(());
        };
        let given = open.shard_turn();
        let more = open.advance(self.trace, thread)?;
        self.running = more.then(|| open.entry(thread));
        if !open.skipped.is_empty() {
            self.skip(thread);
        }
        if !more {
            self.is_dry(thread);
        }
        if let Some(turn) = given {
            let woken = self.turns.take(turn);
            self.resume(woken);
        }
        Ok(())
    }
}

/// Bytes of what CPython maps for its frames, in powers of two: from the smallest to below its arenas, in which blocks
/// that are traced lie. Of such memory of its own nothing is told but by those blocks.
const CHUNKS: std::ops::Range<u64> = 16 << 10..256 << 10;

impl Trace {
    fn process_of(&self, thread: ThreadId) -> ProcessId {
        let known = self.facts.threads.get(thread as usize);
        known.map_or(0, |known| known.process)
    }
}
