//! Writes a trace, chunk by chunk, each with one `write` so that a cut file ends between chunks as a rule.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use leak_wire::{Common, Event, Prefix};

use super::columns::{At, Columns};
use super::compress::{Habits, Packer};
use super::format::{self, CHUNK_HEADER, ChunkHeader, Kind};
use super::notes::{Note, NotedEnd, Trailer};
use super::passed::Run;
use super::readings::Reading;

/// Events gathered before a chunk is written.
const CHUNK_EVENTS: u32 = 1 << 16;
/// Bytes gathered before a chunk is written.
const CHUNK_BYTES: usize = 2 << 20;
/// The most chunks that the trailer's index lists.
const MAX_INDEX: usize = 1 << 20;
/// Kept free below the limit for the notes and the trailer at the end.
const END_RESERVE: u64 = 64 << 10;

/// Why nothing more can be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The file has reached its largest size.
    Limit,
    /// The disk is full, or the file can't be written.
    Disk(io::Error),
}

/// The events of one thread on their way to the file.
#[derive(Debug)]
pub(crate) struct ThreadEvents {
    /// The thread's number in the trace.
    pub(crate) thread: u32,
    /// The image that it belongs to.
    pub(crate) image: u32,
    columns: Columns,
    habits: Habits,
    /// What is held back, where blocks that pass are only counted.
    run: Option<Box<Run>>,
    serial: u32,
    tree: u32,
    tree_before: u32,
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

    fn end_run(&mut self) {
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
    at: At,
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

/// A trace being written.
pub(crate) struct Writer {
    file: File,
    at: u64,
    limit: u64,
    chunks: Vec<u64>,
    events: u64,
    last: u64,
    notes: Vec<Note>,
    notes_serial: u32,
    readings: u32,
    raw: Vec<u8>,
    out: Vec<u8>,
    packer: Packer,
}

impl Writer {
    /// Starts a trace of at most `limit` bytes in the empty `file`.
    pub(crate) fn create(file: File, limit: u64) -> io::Result<Writer> {
        file.write_all_at(&format::file_header(format::VERSION), 0)?;
        Ok(Writer {
            file,
            at: format::FILE_HEADER as u64,
            limit,
            chunks: Vec::new(),
            events: 0,
            last: 0,
            notes: Vec::new(),
            notes_serial: 0,
            readings: 0,
            raw: Vec::new(),
            out: Vec::new(),
            packer: Packer::new()?,
        })
    }

    /// Events in the file.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The file's length.
    pub(crate) fn bytes(&self) -> u64 {
        self.at
    }

    /// Adds a note; written with the next chunk.
    pub(crate) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// The highest stamp or epoch that was written.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Writes what was gathered of `thread`, after the notes that it may need.
    pub(crate) fn write_events(&mut self, thread: &mut ThreadEvents) -> Result<(), WriteError> {
        self.write_notes()?;
        thread.end_run();
        if thread.is_empty() {
            return Ok(());
        }
        let (first, last) = thread.columns.span();
        let (count, events) = (thread.columns.count(), thread.columns.events());
        self.last = self.last.max(last);
        self.raw.clear();
        let columns = thread.columns.take(&mut self.raw);
        let header = ChunkHeader {
            kind: Kind::Events,
            thread: thread.thread,
            image: thread.image,
            serial: thread.serial,
            tree: thread.tree_before,
            count,
            raw: 0,
            stored: 0,
            first,
            last,
            crc: 0,
        };
        self.write_packed(header, |packer, raw, out| {
            packer.columns(raw, &columns, &mut thread.habits, out)
        })?;
        thread.serial += 1;
        thread.tree_before = thread.tree;
        self.events += u64::from(events);
        self.check_limit()
    }

    /// Writes the types of blocks.
    pub(crate) fn write_reading(&mut self, reading: &Reading) -> Result<(), WriteError> {
        self.write_notes()?;
        self.last = self.last.max(reading.end);
        self.raw.clear();
        reading.encode(&mut self.raw);
        let header = ChunkHeader {
            image: reading.image,
            serial: self.readings,
            count: reading.blocks.len() as u32,
            first: reading.begin,
            last: reading.end,
            ..self.bare(Kind::Types)
        };
        self.readings = self.readings.wrapping_add(1);
        self.write_chunk(header)?;
        self.check_limit()
    }

    fn check_limit(&self) -> Result<(), WriteError> {
        match self.at + END_RESERVE > self.limit {
            true => Err(WriteError::Limit),
            false => Ok(()),
        }
    }

    /// Writes the notes that were added.
    pub(crate) fn write_notes(&mut self) -> Result<(), WriteError> {
        // In lots, so that no chunk can grow past its bound: a note is at most some 10 KiB.
        while !self.notes.is_empty() {
            let lot = self.notes.len().min(500);
            self.raw.clear();
            serde_json::to_writer(&mut self.raw, &self.notes[..lot])
                .map_err(|error| WriteError::Disk(error.into()))?;
            let header = ChunkHeader {
                serial: self.notes_serial,
                count: lot as u32,
                ..self.bare(Kind::Notes)
            };
            self.write_chunk(header)?;
            self.notes.drain(..lot);
            self.notes_serial += 1;
        }
        Ok(())
    }

    fn bare(&self, kind: Kind) -> ChunkHeader {
        ChunkHeader {
            kind,
            thread: 0,
            image: 0,
            serial: 0,
            tree: 0,
            count: 0,
            raw: 0,
            stored: 0,
            first: self.last,
            last: self.last,
            crc: 0,
        }
    }

    /// Compresses `self.raw` and writes it under `header`.
    fn write_chunk(&mut self, header: ChunkHeader) -> Result<(), WriteError> {
        self.write_packed(header, Packer::whole)
    }

    /// The same, compressed by `pack`.
    fn write_packed(
        &mut self,
        mut header: ChunkHeader,
        pack: impl FnOnce(&mut Packer, &[u8], &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        self.out.clear();
        self.out.resize(CHUNK_HEADER, 0);
        pack(&mut self.packer, &self.raw, &mut self.out).map_err(WriteError::Disk)?;
        header.raw = self.raw.len() as u32;
        header.stored = (self.out.len() - CHUNK_HEADER) as u32;
        header.crc = crc32fast::hash(&self.out[CHUNK_HEADER..]);
        self.out[..CHUNK_HEADER].copy_from_slice(&header.encode());
        if header.kind == Kind::Trailer {
            self.out.extend_from_slice(&format::footer(self.at));
        }
        if let Err(error) = self.file.write_all_at(&self.out, self.at) {
            // What was half written goes again, so that the file ends with a whole chunk.
            let _ = self.file.set_len(self.at);
            return Err(WriteError::Disk(error));
        }
        if header.kind != Kind::Trailer {
            self.chunks.push(self.at);
        }
        self.at += self.out.len() as u64;
        Ok(())
    }

    /// Writes the remaining notes and the trailer. Where there is no room for them, the last chunks
    /// of events give way: a trace that knows its end is worth more.
    pub(crate) fn finish(&mut self, ended: NotedEnd, stamp: u64) -> Result<(), WriteError> {
        loop {
            let written = self.write_notes().and_then(|()| self.trailer(ended, stamp));
            let Err(WriteError::Disk(error)) = written else {
                return written;
            };
            let Some(chunk) = self.chunks.pop() else {
                return Err(WriteError::Disk(error));
            };
            self.at = chunk;
            self.file.set_len(chunk).map_err(WriteError::Disk)?;
        }
    }

    fn trailer(&mut self, ended: NotedEnd, stamp: u64) -> Result<(), WriteError> {
        let mut before = 0;
        // An index that no chunk could hold is left out; readers walk over the headers then.
        let indexed = match self.chunks.len() <= MAX_INDEX {
            true => self.chunks.as_slice(),
            false => &[],
        };
        let differences = indexed.iter().map(|at| {
            let step = at - before;
            before = *at;
            step
        });
        let trailer = Trailer {
            ended,
            stamp,
            events: self.events,
            chunks: differences.collect(),
        };
        self.raw.clear();
        serde_json::to_writer(&mut self.raw, &trailer)
            .map_err(|error| WriteError::Disk(error.into()))?;
        self.write_chunk(self.bare(Kind::Trailer))
    }
}
