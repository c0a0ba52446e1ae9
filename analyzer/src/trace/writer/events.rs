//! Events of a thread that wait to be written.

use leak_wire::{Common, Event, Prefix};

use super::super::columns::{At, Columns};
use super::super::compress::Habits;
use super::super::passed::Run;

/// Events gathered before a chunk is written.
const CHUNK_EVENTS: u32 = 1 << 16;
/// Bytes gathered before a chunk is written.
const CHUNK_BYTES: usize = 2 << 20;

/// The events of one thread on their way to the file.
#[derive(Debug)]
pub(crate) struct ThreadEvents {
    /// The thread's number in the trace.
    pub(crate) thread: u32,
    /// The image that it belongs to.
    pub(crate) image: u32,
    pub(super) columns: Columns,
    pub(super) habits: Habits,
    /// What is held back, where blocks that pass are only counted.
    run: Option<Box<Run>>,
    pub(super) serial: u32,
    pub(super) tree: u32,
    pub(super) tree_before: u32,
}

impl ThreadEvents {
    /// A thread that has no events yet.
    pub(crate) fn new(thread: u32, image: u32) -> ThreadEvents {
        ThreadEvents {
            thread,
            image,
            columns: Columns::default(),
            habits: Habits::default(),
            run: None,
            serial: 0,
            tree: 0,
            tree_before: 0,
        }
    }

    /// See [`At::order`].
    #[inline]
    pub(crate) fn order(&self, at: At) -> u64 {
        at.order(self.columns.told_epoch())
    }

    /// Blocks that pass are only counted from now on, see [`super::passed`].
    pub(crate) fn keep_lasting(&mut self) {
        self.run = Some(Box::default());
    }

    /// Adds an event; true: a chunk is full.
    #[inline]
    pub(crate) fn push(&mut self, at: At, event: Event<'_>) -> bool {
        if let Some(run) = &mut self.run {
            if run.is_full() {
                run.end(&mut self.columns);
            }
            if !run.hold(at, &event) && !names_site(&event) {
                run.end(&mut self.columns);
                run.forget(&event);
            } else if !names_site(&event) {
                return self.is_full();
            }
        }
        if event == Event::TreeReset {
            self.tree = self.tree.wrapping_add(1);
        }
        self.columns.push(at, event);
        self.is_full()
    }

    /// [`push`](Self::push) of what nearly all is. Gives the words that they took, too: where a chunk is full
    /// some may be left.
    pub(crate) fn common(&mut self, mut commons: Commons<'_>) -> (usize, bool) {
        let begin = commons.words.len();
        let mut full = false;
        while !full && let Some((at, common)) = commons.peek() {
            full = match (at, &self.run) {
                (At::Stamp(_), _) | (_, Some(_)) => {
                    commons.next();
                    self.push(at, common.event())
                }
                (At::Epoch | At::Turn(_), None) => {
                    let used = self.columns.blocks(commons);
                    commons = commons.after(used);
                    self.columns.count() >= CHUNK_EVENTS || self.columns.len() >= CHUNK_BYTES
                }
            };
        }
        (begin - commons.words.len(), full)
    }

    #[inline]
    fn is_full(&self) -> bool {
        let count = self.columns.count();
        count >= CHUNK_EVENTS || count.is_multiple_of(256) && self.columns.len() >= CHUNK_BYTES
    }

    /// What follows happened at this epoch.
    #[inline]
    pub(crate) fn epoch(&mut self, epoch: u64) {
        self.end_run();
        self.columns.epoch(epoch);
    }

    /// Nobody has this turn.
    pub(crate) fn skip(&mut self, shard: u8, turn: u64) {
        self.end_run();
        self.columns.skip(shard, turn);
    }

    pub(super) fn end_run(&mut self) {
        if let Some(run) = &mut self.run {
            run.end(&mut self.columns);
        }
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.count() == 0 && self.run.as_ref().is_none_or(|run| run.is_empty())
    }
}

/// Whether the event only names a call site, which those that come after it use.
fn names_site(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Frame { .. } | Event::PythonFrame { .. } | Event::Pair { .. }
    )
}

/// The allocations and frees that a lane's words begin with, each with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commons<'a> {
    /// The place of the next one, where that was told before it.
    pub(super) at: At,
    /// What is left of the words.
    words: &'a [u64],
}

impl<'a> Commons<'a> {
    /// Those of `words`, of which the first is at `at`.
    pub(crate) fn new(at: At, words: &'a [u64]) -> Commons<'a> {
        Commons { at, words }
    }

    /// Those within the first `len` words.
    pub(crate) fn within(self, len: usize) -> Commons<'a> {
        let words = self.words.get(..len).unwrap_or_default();
        Commons { words, ..self }
    }

    /// The next one, left where it is.
    #[inline(always)]
    fn peek(self) -> Option<(At, Common)> {
        let mut rest = self;
        rest.next()
    }

    /// Whether the next one frees the block at `address`.
    #[inline(always)]
    pub(crate) fn is_free_of(self, address: u64) -> bool {
        matches!(self.peek(), Some((_, Common::Free { address: freed })) if freed == address)
    }

    /// Those after the first `len` words.
    fn after(self, len: usize) -> Commons<'a> {
        Commons::new(At::Epoch, self.words.get(len..).unwrap_or_default())
    }

    /// What is left of the words.
    pub(crate) fn words(&self) -> &'a [u64] {
        self.words
    }
}

impl Iterator for Commons<'_> {
    type Item = (At, Common);

    #[inline(always)]
    fn next(&mut self) -> Option<(At, Common)> {
        let (mut at, mut words) = (self.at, self.words);
        let (first, last) = (Prefix::Turn(0).word(), Prefix::Turn(u64::MAX).word());
        if let Some((word, rest)) = words.split_first()
            && (first..=last).contains(word)
            && at == At::Epoch
        {
            (at, words) = (At::Turn(word - first), rest);
        }
        let (common, len) = Common::decode(words)?;
        self.words = words.get(len..)?;
        self.at = At::Epoch;
        Some((at, common))
    }
}
