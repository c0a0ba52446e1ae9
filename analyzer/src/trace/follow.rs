//! A trace that is being written, read as it grows: what is new, and each chunk once.
//!
//! - What the recorder has told to be whole is merged, up to its last `through` note; what comes later waits.
//! - Where nobody writes (any more) all that is there is merged, and then the trace is at its end.
//! - Processes and threads are numbered as they come, which need not be the order of their starts.
//! - Numbers of threads that have ended are given again, to threads of the same process.
//! - In memory is what is not merged yet, what the merge needs of the processes and threads that run, and a few words
//!   of each process that has ended.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::facts::Lane;
use super::format::{self, CHUNK_HEADER, Kind};
use super::merge::Steps;
use super::merge::paused::Paused;
use super::notes::{self, Note, NotedEnd, NotedOrigin, NotedOutcome};
use super::open::{self, Error, Trace};
use super::reader::{self, Chunk};
use super::{Ended, Facts, Origin, Outcome, Process, ProcessId, Rss, Thread, ThreadId, Warning};
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

    fn note(&mut self, note: Note) {
        let facts = &mut self.trace.facts;
        match note {
            Note::Session {
                tool_version,
                host,
                started_at_ns,
                sample_bytes,
                ..
            } => {
                facts.tool_version = tool_version;
                facts.host = host;
                facts.started_at_ns = started_at_ns;
                facts.sample_bytes = sample_bytes;
            }
            Note::Clock { stamp, ns } => self.clock(stamp, ns),
            Note::Rss {
                image,
                stamp,
                bytes,
                space,
            } => {
                let process = self.process(image, stamp);
                self.resident(process, stamp, (bytes, space));
            }
            // What the parts of resident memory are, only reports tell.
            Note::Resident { .. } => {}
            Note::Limit { kind, bytes } => facts.limit = Some((kind, bytes)),
            Note::Lost {
                allocations,
                frees,
                other,
            } => {
                let dropped = &mut facts.dropped;
                dropped.allocations = dropped.allocations.saturating_add(allocations);
                dropped.frees = dropped.frees.saturating_add(frees);
                dropped.other = dropped.other.saturating_add(other);
            }
            Note::Waited { ns } => facts.waited_ns = facts.waited_ns.saturating_add(ns),
            Note::Through { stamp } => self.limit = self.limit.max(stamp),
            Note::Warning { code, text } => self.warn(&code, text),
            Note::BuildId {
                path,
                since,
                build_id,
            } => {
                let known = self.trace.build_ids.entry(path).or_default();
                known.push((since, build_id));
                known.sort();
            }
            Note::MemoryKill { image } => {
                let process = self.process(image, 0);
                self.trace.facts.processes[process as usize].killed_for_memory = true;
            }
            Note::ThreadBegin {
                thread,
                image,
                tid,
                start,
            } => {
                self.thread(thread, image, (tid, start));
            }
            Note::ThreadEnd { thread, stamp } => {
                if let Some(thread) = self.threads.remove(&thread) {
                    self.thread_ends(thread, stamp);
                }
            }
            Note::ProcessBegin { .. } => self.process_begins(note),
            Note::ProcessEnd {
                image,
                stamp,
                outcome,
            } => self.process_ends(image, stamp, outcome),
        }
    }

    fn process_begins(&mut self, note: Note) {
        let Note::ProcessBegin {
            image,
            pid,
            parent,
            origin,
            start,
            executable,
            arguments,
        } = note
        else {
            return;
        };
        let parent = self.images.get(&parent).copied();
        let processes = &self.trace.facts.processes;
        let before = parent.and_then(|parent| processes.get(parent as usize));
        let start = start.max(before.map_or(0, |parent| parent.start));
        let process = self.process(image, start);
        self.trace.facts.processes[process as usize] = Process {
            pid,
            parent: parent.filter(|parent| *parent != process),
            origin: match origin {
                NotedOrigin::First => Origin::First,
                NotedOrigin::Fork => Origin::Fork,
                NotedOrigin::Exec => Origin::Exec,
            },
            executable,
            arguments,
            start,
            ..Process::default()
        };
    }

    fn process_ends(&mut self, image: u32, stamp: u64, outcome: NotedOutcome) {
        let process = self.process(image, stamp);
        let threads = std::mem::take(&mut self.running[process as usize]);
        let last = threads.values().copied().max().unwrap_or(0).max(stamp);
        for (thread, seen) in threads {
            self.paused.thread_ends(thread, seen.max(stamp));
            if let Some(lane) = self.trace.lanes.get_mut(thread as usize) {
                lane.end = Some(seen.max(stamp));
            }
        }
        // Nobody comes to it any more.
        self.free.remove(&process);
        self.ending.retain(|(_, of, _)| *of != process);
        let known = &mut self.trace.facts.processes[process as usize];
        known.end = Some(last);
        known.outcome = match outcome {
            NotedOutcome::Exit { code } => Outcome::Exit(code),
            NotedOutcome::Exec => Outcome::Exec,
            NotedOutcome::Killed { signal } => Outcome::Killed(signal),
            NotedOutcome::Unknown => Outcome::Unknown,
        };
        self.paused.process_ends(process, last);
    }

    fn thread_ends(&mut self, thread: ThreadId, stamp: u64) {
        let process = self.trace.facts.threads[thread as usize].process;
        let Some(seen) = self.running[process as usize].remove(&thread) else {
            return;
        };
        let end = seen.max(stamp);
        if let Some(lane) = self.trace.lanes.get_mut(thread as usize) {
            lane.end = Some(end);
        }
        self.paused.thread_ends(thread, end);
        self.ending.push((end, process, thread));
    }

    fn clock(&mut self, stamp: u64, ns: u64) {
        let points = &mut self.trace.facts.clock.points;
        if points
            .last()
            .is_none_or(|last| last.0 < stamp && last.1 <= ns)
        {
            points.push((stamp, ns));
        }
        if points.len() > MOST_POINTS {
            let mut number = 0;
            points.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        self.trace.facts.duration_ns = ns.max(self.trace.facts.duration_ns);
    }

    fn resident(&mut self, process: ProcessId, stamp: u64, (bytes, space): (u64, u64)) {
        let reading = Rss {
            stamp,
            process,
            bytes,
            space,
        };
        let known = &mut self.trace.facts.rss;
        match known.iter_mut().find(|known| known.process == process) {
            Some(known) => *known = reading,
            None => {
                // Only those that run are of interest.
                let processes = &self.trace.facts.processes;
                known.retain(|of| processes[of.process as usize].end.is_none());
                known.push(reading);
            }
        }
    }

    fn warn(&mut self, code: &str, text: String) {
        if self.trace.facts.warnings.len() < MOST_WARNINGS {
            let code = code.to_owned();
            self.trace.facts.warnings.push(Warning { code, text });
        }
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
