//! A trace that is being written, read as it grows: what is new, and each chunk once.
//!
//! - What the recorder has told to be whole is merged, up to its last `through` note; what comes later waits.
//! - Where nobody writes (any more) all that is there is merged, and then the trace is at its end.
//! - Processes and threads are numbered as they come, which need not be the order of their starts.
//! - Numbers of threads that have ended are given again, to threads of the same process.
//! - In memory is what is not merged yet, what the merge needs of the processes and threads that run, and a few words
//!   of each process that has ended.

mod take_note;

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::facts::Lane;
use super::format::{self, CHUNK_HEADER, Kind};
use super::merge::Steps;
use super::merge::paused::Paused;
use super::notes::{self, NotedEnd};
use super::open::{self, Error, Trace};
use super::reader::{self, Chunk};
use super::{Ended, Facts, Outcome, Process, ProcessId, Thread, ThreadId};
use crate::sites::Sites;

/// So many points of the clock are kept.
const MOST_POINTS: usize = 4096;
/// So many warnings are kept.
const MOST_WARNINGS: usize = 100;
/// So many numbers wait before the first of them is given again: what threads leave behind is settled by then.
const QUARANTINE: usize = 256;
/// How long a file without a header is waited for.
const HEADER: Duration = Duration::from_secs(2);

/// What reading on has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grown {
    /// There is more to be merged, and maybe to be read.
    More,
    /// Nothing new; it is still being written.
    Waits,
    /// Nothing more will come: once that is merged which is there, all is.
    Ended,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Follow {
    trace: Trace,
    paused: Paused,
    /// Where the next chunk begins.
    at: u64,
    images: FxHashMap<u32, ProcessId>,
    threads: FxHashMap<u32, ThreadId>,
    /// Threads of each process that have not ended, with the last stamp of each.
    running: Vec<FxHashMap<ThreadId, u64>>,
    /// Ends of threads that were not merged, by process.
    ending: Vec<(u64, ProcessId, ThreadId)>,
    /// Numbers of threads that have ended, by process, the one that did first in front.
    free: FxHashMap<ProcessId, VecDeque<ThreadId>>,
    /// Threads with chunks that were not merged.
    fed: FxHashSet<ThreadId>,
    limit: u64,
    ended: bool,
}

impl Follow {
    /// Opens the trace at `path`, and reads nothing of it yet.
    ///
    /// # Errors
    /// [`Error`]: what the file is instead.
    pub fn open(path: &Path) -> Result<Follow, Error> {
        let failed = |error| Error::Io(path.to_path_buf(), error);
        let file = File::open(path).map_err(failed)?;
        let started = std::time::Instant::now();
        let (mut file, mut len) = (file, 0);
        while len < format::FILE_HEADER as u64 {
            let (same, locked) = open::is_locked(file).map_err(failed)?;
            file = same;
            len = file.metadata().map_err(failed)?.len();
            if !locked || started.elapsed() > HEADER {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let (version, _) = open::check_header(path, &file, len)?;
        let facts = Facts {
            ended: Ended::Recording,
            ..Facts::default()
        };
        Ok(Follow {
            trace: Trace {
                path: path.to_path_buf(),
                file,
                version,
                facts,
                lanes: Vec::new(),
                build_ids: FxHashMap::default(),
                readings: Vec::new(),
            },
            paused: Paused::default(),
            at: format::FILE_HEADER as u64,
            images: FxHashMap::default(),
            threads: FxHashMap::default(),
            running: Vec::new(),
            ending: Vec::new(),
            free: FxHashMap::default(),
            fed: FxHashSet::default(),
            limit: 0,
            ended: false,
        })
    }

    /// What is known so far. The clock has a bounded number of points, resident sets are the last ones.
    pub fn facts(&self) -> &Facts {
        &self.trace.facts
    }

    /// Nanoseconds since the start up to which all is here; `None`: the trace is at its end.
    pub fn whole_ns(&self) -> Option<u64> {
        (self.limit < u64::MAX).then(|| self.trace.facts.clock.ns(self.limit))
    }

    /// Bytes that were read, and the bytes that there are.
    pub fn progress(&self) -> (u64, u64) {
        let len = self.trace.file.metadata().map_or(self.at, |of| of.len());
        (self.at, len)
    }

    /// Reads on, until there is something to be merged.
    ///
    /// # Errors
    /// [`Error`]: the file can't be read.
    pub fn read(&mut self) -> Result<Grown, Error> {
        let mut raw = Vec::new();
        loop {
            if self.ended {
                return Ok(Grown::Ended);
            }
            let len = self.len()?;
            if let Some(chunk) = self.chunk_at(self.at, len)? {
                let before = self.limit;
                self.at = chunk.at + u64::from(chunk.header.stored);
                self.take(chunk, &mut raw)?;
                if self.limit > before {
                    return Ok(Grown::More);
                }
                continue;
            }
            if self.is_written()? {
                return Ok(Grown::Waits);
            }
            // Without a writer the length stays.
            let len = self.len()?;
            if self.chunk_at(self.at, len)?.is_some() {
                continue;
            }
            match reader::next_chunk(&self.trace.file, self.at.saturating_add(1), len) {
                Ok(Some(next)) => {
                    self.damaged(next - self.at);
                    self.at = next;
                }
                Ok(None) => self.cut(),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Merges what is whole: `take` goes through all steps.
    ///
    /// # Errors
    /// [`Error`]: the file can't be read.
    pub fn merge(
        &mut self,
        sites: &mut Sites,
        take: impl FnOnce(&mut Steps<'_>, &Facts) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let fed: Vec<ThreadId> = self.fed.iter().copied().collect();
        let paused = std::mem::take(&mut self.paused);
        let mut steps = Steps::go_on(&self.trace, sites, paused, (self.limit, &fed))?;
        take(&mut steps, &self.trace.facts)?;
        self.paused = steps.pause();
        self.forget();
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::Io(self.trace.path.clone(), error)
    }

    fn len(&self) -> Result<u64, Error> {
        let metadata = self.trace.file.metadata();
        Ok(metadata.map_err(|error| self.failed(error))?.len())
    }

    fn chunk_at(&self, at: u64, len: u64) -> Result<Option<Chunk>, Error> {
        if at >= len {
            return Ok(None);
        }
        let header = reader::header_at(&self.trace.file, at, len);
        let header = header.map_err(|error| self.failed(error))?;
        Ok(header.map(|header| Chunk {
            header,
            at: at + CHUNK_HEADER as u64,
        }))
    }

    /// Whether a recorder writes it.
    fn is_written(&self) -> Result<bool, Error> {
        // The lock belongs to the open file: of a copy of the descriptor as well.
        let file = self.trace.file.try_clone();
        let locked = file.and_then(open::is_locked);
        Ok(locked.map_err(|error| self.failed(error))?.1)
    }

    /// Forgets chunks that were read.
    fn forget(&mut self) {
        let (paused, lanes) = (&mut self.paused, &mut self.trace.lanes);
        self.fed.retain(|thread| {
            let read = paused.forget_chunks(*thread);
            let lane = lanes.get_mut(*thread as usize);
            lane.is_some_and(|lane| {
                lane.chunks.drain(..read);
                !lane.chunks.is_empty()
            })
        });
        if !self.paused.has_readings() {
            self.trace.readings.clear();
        }
        let (limit, fed, free) = (self.limit, &self.fed, &mut self.free);
        self.ending.retain(|(end, process, thread)| {
            let is_over = *end <= limit && !fed.contains(thread);
            if is_over {
                free.entry(*process).or_default().push_back(*thread);
            }
            !is_over
        });
    }

    /// Takes in a chunk.
    fn take(&mut self, chunk: Chunk, raw: &mut Vec<u8>) -> Result<(), Error> {
        let file = &self.trace.file;
        let whole = match chunk.header.kind {
            Kind::Events | Kind::Types => reader::is_whole(file, &chunk, raw),
            Kind::Notes | Kind::Trailer => reader::load(file, &chunk, raw),
        };
        if !whole.map_err(|error| self.failed(error))? {
            self.damaged(u64::from(chunk.header.stored));
            return Ok(());
        }
        match chunk.header.kind {
            Kind::Events => self.events(chunk),
            Kind::Types => {
                let process = self.process(chunk.header.image, chunk.header.first);
                let number = self.trace.readings.len() as u32;
                self.trace.readings.push((process, chunk));
                self.paused.types(number, chunk.header.last);
            }
            Kind::Notes => match notes::parse(raw) {
                Some(notes) => notes.into_iter().for_each(|note| self.note(note)),
                None => self.damaged(u64::from(chunk.header.stored)),
            },
            Kind::Trailer => self.trailer(raw),
        }
        Ok(())
    }

    fn events(&mut self, chunk: Chunk) {
        let header = &chunk.header;
        let thread = match self.threads.get(&header.thread) {
            Some(thread) => *thread,
            None => self.thread(header.thread, header.image, (0, header.first)),
        };
        let Some(lane) = self.trace.lanes.get_mut(thread as usize) else {
            return;
        };
        lane.chunks.push(chunk);
        let process = self.trace.facts.threads[thread as usize].process;
        if let Some(last) = self.running[process as usize].get_mut(&thread) {
            *last = header.last.max(*last);
        }
        self.fed.insert(thread);
    }

    /// The number of an image, which is new or known.
    fn process(&mut self, image: u32, start: u64) -> ProcessId {
        let next = self.trace.facts.processes.len() as ProcessId;
        let process = *self.images.entry(image).or_insert(next);
        if process == next {
            self.trace.facts.processes.push(Process {
                start,
                ..Process::default()
            });
            self.running.push(FxHashMap::default());
            self.paused.process_begins(process, start);
        }
        process
    }

    /// A thread comes.
    fn thread(&mut self, number: u32, image: u32, (tid, start): (u32, u64)) -> ThreadId {
        let process = self.process(image, start);
        let start = start.max(self.trace.facts.processes[process as usize].start);
        let lane = Lane {
            start,
            ..Lane::default()
        };
        let known = self.free.get_mut(&process);
        let known = known.filter(|free| free.len() > QUARANTINE);
        let thread = match known.and_then(VecDeque::pop_front) {
            Some(thread) => {
                self.trace.lanes[thread as usize] = lane;
                self.trace.facts.threads[thread as usize].tid = tid;
                thread
            }
            None => {
                self.trace.lanes.push(lane);
                self.trace.facts.threads.push(Thread { process, tid });
                self.trace.facts.threads.len() as ThreadId - 1
            }
        };
        self.threads.insert(number, thread);
        self.running[process as usize].insert(thread, start);
        self.paused.thread_begins(thread, start);
        thread
    }

    fn damaged(&mut self, bytes: u64) {
        self.trace.facts.damaged = true;
        self.warn(
            "damaged",
            format!("{bytes} bytes of the trace are damaged and were skipped"),
        );
    }

    /// Nobody writes it, and it has no end marker.
    fn cut(&mut self) {
        self.trace.facts.ended = Ended::Truncated;
        self.warn(
            "truncated",
            "the trace was cut short: the recorder was killed, or the file copied while it was written".to_owned(),
        );
        (self.limit, self.ended) = (u64::MAX, true);
    }

    fn trailer(&mut self, raw: &[u8]) {
        let trailer: Option<notes::Trailer> = serde_json::from_slice(raw).ok();
        let processes = &self.trace.facts.processes;
        let killed = |process: &Process| matches!(process.outcome, Outcome::Killed(_));
        self.trace.facts.ended = match trailer.map(|trailer| trailer.ended) {
            Some(NotedEnd::DiskFull) => Ended::DiskFull,
            Some(NotedEnd::Limit) => Ended::Limit,
            _ if processes.iter().any(killed) => Ended::Killed,
            _ => Ended::Complete,
        };
        (self.limit, self.ended) = (u64::MAX, true);
    }
}
