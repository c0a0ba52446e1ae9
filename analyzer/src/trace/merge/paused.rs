//! The merge of a trace that is being written: it stops where the trace is not whole yet, and goes on there later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::thread::Open;
use super::{Entry, Item, LAST, Steps};
use crate::sites::Sites;
use crate::trace::codes::Codes;
use crate::trace::open::{Error, Trace};
use crate::trace::readings::Reading;
use crate::trace::resolve::Modules;
use crate::trace::turns::Turns;
use crate::trace::{ProcessId, ThreadId};

/// A merge between two parts of its trace.
#[derive(Debug, Default)]
pub(in crate::trace) struct Paused {
    queue: BinaryHeap<Entry>,
    schedule: Vec<Entry>,
    open: Vec<Option<Box<Open>>>,
    modules: Modules,
    codes: Codes,
    turns: Turns,
    position: u64,
}

impl Paused {
    fn plan(&mut self, stamp: u64, item: Item) {
        let entry = Reverse((stamp, item));
        let place = self.schedule.partition_point(|other| *other < entry);
        self.schedule.insert(place, entry);
    }

    /// A process begins.
    pub(in crate::trace) fn process_begins(&mut self, process: ProcessId, stamp: u64) {
        self.plan(stamp, Item::ProcessBegins(process));
    }

    /// A process has ended.
    pub(in crate::trace) fn process_ends(&mut self, process: ProcessId, stamp: u64) {
        self.plan(stamp, Item::ProcessEnds(process));
    }

    /// A thread begins.
    pub(in crate::trace) fn thread_begins(&mut self, thread: ThreadId, stamp: u64) {
        self.open
            .resize_with(self.open.len().max(thread as usize + 1), || None);
        // Another one may have had its number.
        self.open[thread as usize] = None;
        self.plan(stamp, Item::ThreadBegins(thread));
    }

    /// A thread has ended.
    pub(in crate::trace) fn thread_ends(&mut self, thread: ThreadId, stamp: u64) {
        self.plan(stamp, Item::ThreadEnds(thread));
    }

    /// Types were read: the reading with this index among the trace's.
    pub(in crate::trace) fn types(&mut self, number: u32, stamp: u64) {
        self.plan(stamp, Item::Types(number));
    }

    /// Whether readings wait for their turn.
    pub(in crate::trace) fn has_readings(&self) -> bool {
        let mut items = self.schedule.iter().map(|entry| entry.0.1);
        items.any(|item| matches!(item, Item::Types(_)))
    }

    /// The thread's chunks that were read may be forgotten: so many were.
    pub(in crate::trace) fn forget_chunks(&mut self, thread: ThreadId) -> usize {
        let open = self
            .open
            .get_mut(thread as usize)
            .and_then(Option::as_deref_mut);
        open.map_or(0, |open| std::mem::take(&mut open.next_chunk))
    }
}

impl<'t> Steps<'t> {
    /// Goes on with a trace that is whole up to `limit`, of which there are new chunks of the threads `fed`.
    ///
    /// # Errors
    /// [`Error`]: the file can't be read.
    pub(in crate::trace) fn go_on(
        trace: &'t Trace,
        sites: &'t mut Sites,
        paused: Paused,
        (limit, fed): (u64, &[ThreadId]),
    ) -> Result<Steps<'t>, Error> {
        let mut steps = Steps {
            trace,
            sites,
            queue: paused.queue,
            running: None,
            until: LAST,
            schedule: paused.schedule,
            open: paused.open,
            modules: paused.modules,
            codes: paused.codes,
            reading: Reading::default(),
            turns: paused.turns,
            position: paused.position,
            pending: None,
            limit: Some(limit),
            failed: false,
        };
        for thread in fed {
            steps.feed(*thread)?;
        }
        Ok(steps)
    }

    /// Stops: after the last step that there was.
    pub(in crate::trace) fn pause(self) -> Paused {
        let mut queue = self.queue;
        queue.extend(self.running.map(Reverse));
        Paused {
            queue,
            schedule: self.schedule,
            open: self.open,
            modules: self.modules,
            codes: self.codes,
            turns: self.turns,
            position: self.position,
        }
    }

    /// There is more of a thread. One that has not begun, or still has some, comes to it by itself.
    fn feed(&mut self, thread: ThreadId) -> Result<(), Error> {
        let open = self
            .open
            .get_mut(thread as usize)
            .and_then(Option::as_deref_mut);
        let Some(open) = open.filter(|open| open.reader.is_none()) else {
            return Ok(());
        };
        if open.advance(self.trace, thread)? {
            self.queue.push(Reverse(open.entry(thread)));
        }
        self.skip(thread);
        Ok(())
    }

    /// Whether the trace is whole up to this position.
    pub(super) fn is_told(&self, position: u64) -> bool {
        self.limit.is_none_or(|limit| position <= limit)
    }

    /// There is nothing more of the thread, up to now.
    pub(super) fn is_dry(&mut self, thread: ThreadId) {
        let Some(slot) = self.open.get_mut(thread as usize) else {
            return;
        };
        match slot {
            Some(open) if self.limit.is_some() => open.raw = Vec::new(),
            _ => *slot = None,
        }
    }

    /// The thread has ended.
    pub(super) fn is_over(&mut self, thread: ThreadId) {
        if let Some(slot) = self.open.get_mut(thread as usize)
            && slot.as_deref().is_some_and(|open| open.reader.is_none())
        {
            *slot = None;
        }
    }
}
