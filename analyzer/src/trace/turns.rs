//! Whose turn it is: the order of memory events in regions that several threads use.
//!
//! Each process has a count for each shard of its addresses, from 0. An event waits until its
//! predecessor in the shard was given out. A predecessor may be missing: its record was never finished,
//! or its part of the trace is lost. Then the waiting goes on until no other thread can have it any
//! more: all of them have come past an epoch that the waiting thread saw only after it took its turn.

use std::collections::BTreeMap;
use std::ops::Range;

use leak_wire::order::SHARDS;
use rustc_hash::FxHashSet;

use super::{ProcessId, ThreadId};

/// Turn `number` of a shard of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn {
    pub(crate) process: ProcessId,
    pub(crate) shard: u8,
    pub(crate) number: u64,
}

/// A thread that waits at an event for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) thread: ThreadId,
    /// The epoch of its event.
    pub(crate) position: u64,
    /// An epoch that the thread saw after it took the turn.
    pub(crate) seen_after: u64,
}

/// All counts, and who waits.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// By process; those whose threads share nothing have none.
    next: Vec<Option<Box<[u64; SHARDS]>>>,
    skipped: FxHashSet<Turn>,
    waiting: BTreeMap<Turn, Waiting>,
    /// A bit for each turn that somebody waits for ([`bit`]): hardly any that is taken is one of them.
    awaited: u64,
    /// The lowest `seen_after` of those who wait.
    patience: Option<u64>,
}

impl Turns {
    #[inline(always)]
    fn next(&mut self, turn: Turn) -> &mut u64 {
        let process = turn.process as usize;
        if self.next.len() <= process {
            self.next.resize_with(process + 1, || None);
        }
        let shards = self.next[process].get_or_insert_with(|| Box::new([0; SHARDS]));
        &mut shards[usize::from(turn.shard)]
    }

    /// Whether the event that has `turn` may be given out.
    #[inline]
    pub(crate) fn is_due(&mut self, turn: Turn) -> bool {
        // A lower one comes late, after it was given up.
        turn.number <= *self.next(turn)
    }

    /// The process has ended.
    pub(crate) fn forget(&mut self, process: ProcessId) {
        if let Some(shards) = self.next.get_mut(process as usize) {
            *shards = None;
        }
    }

    /// Makes a thread wait for its turn.
    pub(crate) fn wait(&mut self, turn: Turn, waiting: Waiting) {
        let patience = self.patience.unwrap_or(u64::MAX);
        self.patience = Some(patience.min(waiting.seen_after));
        self.awaited |= bit(turn);
        self.waiting.insert(turn, waiting);
    }

    /// Nobody has `turn`. Whose turn it is now if somebody waits for it.
    pub(crate) fn skip(&mut self, turn: Turn) -> Option<Waiting> {
        let next = self.next(turn);
        if turn.number == *next {
            return self.take(turn);
        }
        if turn.number > *next {
            self.skipped.insert(turn);
        }
        None
    }

    /// The event of `turn` is given out. Whose turn it is now if somebody waits for it.
    #[inline(always)]
    pub(crate) fn take(&mut self, turn: Turn) -> Option<Waiting> {
        let next = self.next(turn);
        if turn.number < *next {
            return None;
        }
        let number = turn.number.saturating_add(1);
        *next = number;
        if self.awaited & bit(Turn { number, ..turn }) == 0 && self.skipped.is_empty() {
            return None;
        }
        self.wake(turn)
    }

    /// Who waits for the turn after `turn`, past those that nobody has.
    #[cold]
    fn wake(&mut self, turn: Turn) -> Option<Waiting> {
        let mut number = turn.number.saturating_add(1);
        while self.skipped.remove(&Turn { number, ..turn }) {
            number = number.saturating_add(1);
        }
        *self.next(turn) = number;
        let woken = self.waiting.remove(&Turn { number, ..turn })?;
        self.no_longer_waits();
        Some(woken)
    }

    /// The lowest epoch past which somebody has waited in vain.
    #[inline]
    pub(crate) fn patience(&self) -> Option<u64> {
        self.patience
    }

    /// Gives up what is missing before a thread that waits: the one whose patience ends first. As all
    /// earlier turns of its shard have been come past, that is the one with the lowest turn there. Where
    /// several threads wait for a missing turn at once, it may be still to come behind another one of
    /// them, which `is_to_come` can tell: then that one has to go on first.
    pub(crate) fn give_up(
        &mut self,
        mut is_to_come: impl FnMut(ThreadId, Turn, Range<u64>) -> bool,
    ) -> Option<Waiting> {
        let mut lowest: Vec<(u64, u64, Turn)> = Vec::new();
        for (turn, waiting) in &self.waiting {
            let same = |last: &Turn| (last.process, last.shard) == (turn.process, turn.shard);
            match lowest.last_mut() {
                Some((patience, _, last)) if same(last) => {
                    *patience = waiting.seen_after.min(*patience);
                }
                _ => lowest.push((waiting.seen_after, waiting.position, *turn)),
            }
        }
        lowest.sort_unstable();
        let mut is_free = |turn: Turn| {
            let missing = *self.next(turn)..turn.number;
            let mut others = self.waiting.values();
            !others.any(|other| is_to_come(other.thread, turn, missing.clone()))
        };
        let free = lowest.iter().find(|(_, _, turn)| is_free(*turn));
        let turn = free.or(lowest.first())?.2;
        let waiting = self.waiting.remove(&turn);
        self.no_longer_waits();
        *self.next(turn) = turn.number;
        waiting
    }

    fn no_longer_waits(&mut self) {
        let seen = self.waiting.values().map(|waiting| waiting.seen_after);
        self.patience = seen.min();
        self.awaited = self.waiting.keys().fold(0, |bits, turn| bits | bit(*turn));
    }
}

/// The bit of `turn` among those of [`Turns::awaited`], which others may share.
#[inline]
fn bit(turn: Turn) -> u64 {
    1 << ((turn.number ^ u64::from(turn.shard)) & 63)
}
