//! Blocks of one thread that follow each other, read without a look at the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use leak_wire::Common;

use super::{Entry, Item};
use crate::trace::columns::{ColumnReader, Taken};
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
    /// Reads the next events into `out`, which has room for two or more; gives their number, 0 at the end.
    #[inline(always)]
    pub fn read(&mut self, out: &mut [Common]) -> usize {
        let (entry, process, tree) = (self.entry, self.process, self.tree);
        if entry >= *self.until {
            return 0;
        }
        let (turns, queue, until) = (&mut *self.turns, &mut *self.queue, &mut *self.until);
        let takes = |shard, number| {
            let turn = Turn {
                process,
                shard,
                number,
            };
            if !turns.is_due(turn) {
                return Taken::NotYet;
            }
            resume(queue, until, turns.take(turn));
            match entry < *until {
                true => Taken::Now,
                false => Taken::Last,
            }
        };
        self.reader
            .blocks(self.raw, out, |node| tree.site(node), takes)
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
