//! Writes a trace, chunk by chunk, each with one `write` so that a cut file ends between chunks as a rule.

mod events;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::compress::Packer;
use super::format::{self, CHUNK_HEADER, ChunkHeader, Kind};
use super::notes::{Note, NotedEnd, Trailer};
use super::readings::Reading;
pub(crate) use events::{Commons, ThreadEvents};

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
