//! A thread of a trace while its events are being read: one chunk of them is in memory.

use std::ops::Range;

use super::Item;
use crate::trace::columns::{ColumnReader, Found};
use crate::trace::open::{Error, Trace};
use crate::trace::reader;
use crate::trace::resolve::Tree;
use crate::trace::turns::Turn;
use crate::trace::{Passed, ProcessId, ThreadId};

/// A thread whose events are being read.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) process: ProcessId,
    pub(super) next_chunk: usize,
    pub(super) chunk_at: u64,
    pub(super) raw: Vec<u8>,
    pub(super) reader: Option<ColumnReader>,
    pub(super) position: u64,
    /// The event that it stands at made its epoch.
    pub(super) first: bool,
    /// The turn of that event: shard and number.
    pub(super) turn: Option<(u8, u64)>,
    /// It stands at no event, but at blocks that are only counted.
    pub(super) passed: Option<Passed>,
    /// Turns that nobody has, found on the way to it.
    pub(super) skipped: Vec<(u8, u64)>,
    pub(super) tree: Tree,
}

impl Open {
    /// The turn of its event.
    #[inline]
    pub(super) fn shard_turn(&self) -> Option<Turn> {
        let (shard, number) = self.turn?;
        Some(Turn {
            process: self.process,
            shard,
            number,
        })
    }

    /// Where its event stands in the queue.
    pub(super) fn entry(&self, thread: ThreadId) -> (u64, Item) {
        match self.first {
            true => (self.position, Item::First(thread)),
            false => (self.position, Item::Event(thread)),
        }
    }

    /// An epoch that the thread saw only after its event.
    pub(super) fn seen_after(&self, trace: &Trace, thread: ThreadId, limit: Option<u64>) -> u64 {
        let reader = self.reader.as_ref();
        let here = reader.and_then(|reader| reader.seen_after(&self.raw));
        let lane = trace.lanes.get(thread as usize);
        let next = || lane.and_then(|lane| lane.chunks.get(self.next_chunk));
        let seen = here.or_else(|| next().map(|chunk| chunk.header.first));
        let seen = seen.or_else(|| lane.and_then(|lane| lane.end));
        // What is still to be written of a trace comes after all that is.
        let seen = seen.or(limit);
        seen.map_or(u64::MAX, |seen| seen.max(self.position))
    }

    /// Whether one of these turns is still to come in its chunk.
    pub(super) fn holds(&self, shard: u8, turns: &Range<u64>) -> bool {
        let Some(mut reader) = self.reader.clone() else {
            return false;
        };
        // The event that it stands at has another turn.
        let mut stands_at_event = self.passed.is_none();
        while !stands_at_event || reader.event(&self.raw).is_ok() {
            stands_at_event = match reader.next(&self.raw) {
                Ok(Found::Event { turn, .. }) => {
                    if turn.is_some_and(|(of, number)| of == shard && turns.contains(&number)) {
                        return true;
                    }
                    true
                }
                Ok(Found::Skip(..) | Found::Passed(..)) => false,
                Ok(Found::End) | Err(_) => return false,
            };
        }
        false
    }

    /// Goes to the next event, in the next chunk if need be; false: there is none.
    pub(super) fn advance(&mut self, trace: &Trace, thread: ThreadId) -> Result<bool, Error> {
        loop {
            let malformed = |at| Error::Malformed(trace.path.clone(), at);
            while let Some(reader) = &mut self.reader {
                let found = reader.next(&self.raw);
                match found.map_err(|_| malformed(self.chunk_at))? {
                    Found::Passed(epoch, passed) => {
                        self.position = self.position.max(epoch);
                        (self.first, self.turn) = (false, None);
                        self.passed = Some(passed);
                        return Ok(true);
                    }
                    Found::Event { stamp, first, turn } => {
                        self.passed = None;
                        // A stamp may only lie behind the position in a damaged trace, or of version 1.
                        self.first = first && stamp >= self.position;
                        self.position = self.position.max(stamp);
                        self.turn = turn;
                        return Ok(true);
                    }
                    Found::Skip(shard, number) => self.skipped.push((shard, number)),
                    Found::End => self.reader = None,
                }
            }
            let lane = trace.lanes.get(thread as usize);
            let Some(chunk) = lane.and_then(|lane| lane.chunks.get(self.next_chunk)) else {
                return Ok(false);
            };
            self.next_chunk += 1;
            self.chunk_at = chunk.at;
            let whole = reader::load(&trace.file, chunk, &mut self.raw)
                .map_err(|error| Error::Io(trace.path.clone(), error))?;
            if !whole {
                // Opening found its checksum right.
                return Err(malformed(chunk.at));
            }
            let reader = ColumnReader::new(&self.raw, chunk.header.count, trace.version);
            self.reader = Some(reader.map_err(|_| malformed(chunk.at))?);
            self.tree.expect(chunk.header.tree);
        }
    }
}
