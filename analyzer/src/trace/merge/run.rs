//! Blocks of one thread that follow each other, read without a look at the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use leak_wire::Common;

use super::{Entry, Item};
use crate::trace::columns::ColumnReader;
use crate::trace::resolve::Tree;
use crate::trace::turns::{Turn, Turns, Waiting};
use crate::trace::{ProcessId, ThreadId};

/// Allocations and frees of one thread that follow each other in one place. They are read without an
/// [`leak_wire::Event`] of each, whose copies would cost more than the reading.
pub struct Run<'s> {
    /// Where they are in the order of all events.
    pub stamp: u64,
    /// Whose.
    pub process: ProcessId,
    /// Which thread's.
    pub thread: ThreadId,
    pub(super) entry: (u64, Item),
    pub(super) raw: &'s [u8],
    pub(super) reader: &'s mut ColumnReader,
    pub(super) tree: &'s Tree,
    pub(super) turns: &'s mut Turns,
    pub(super) queue: &'s mut BinaryHeap<Entry>,
    pub(super) until: &'s mut (u64, Item),
}

impl Run<'_> {
    /// Reads the next events into `out`, which has room for some; gives their number, 0 at the end.
    #[inline(always)]
    pub fn read(&mut self, out: &mut [Common]) -> usize {
        let mut count = 0;
        // What is read at once needs room for two: the last place stays empty, unless it is the only one.
        let last = out.len().saturating_sub(1).max(1);
        while self.entry < *self.until && count < last {
            let (room, tree) = (&mut out[count..], self.tree);
            count += match self.reader.plain(self.raw, room, |node| tree.site(node)) {
                0 => match self.next() {
                    Some(event) => {
                        room[0] = event;
                        1
                    }
                    None => break,
                },
                read => read,
            };
        }
        count
    }

    /// The next event by itself.
    #[inline(always)]
    fn next(&mut self) -> Option<Common> {
        let (process, turns) = (self.process, &mut *self.turns);
        let (queue, until) = (&mut *self.queue, &mut *self.until);
        let takes = |shard, number| {
            let turn = Turn {
                process,
                shard,
                number,
            };
            let is_due = turns.is_due(turn);
            if is_due {
                resume(queue, until, turns.take(turn));
            }
            is_due
        };
        let mut common = self.reader.common(self.raw, takes)?;
        if let Common::Allocation { site, .. } = &mut common {
            *site = self.tree.site(*site);
        }
        Some(common)
    }
}

/// Puts a thread that has waited back into the queue.
pub(super) fn resume(
    queue: &mut BinaryHeap<Entry>,
    until: &mut (u64, Item),
    waiting: Option<Waiting>,
) {
    if let Some(waiting) = waiting {
        let entry = (waiting.position, Item::Event(waiting.thread));
        queue.push(Reverse(entry));
        *until = (*until).min(entry);
    }
}
