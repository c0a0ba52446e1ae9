//! Notes → [`Facts`]: numbers of the recorder become indices in order of start.

use rustc_hash::FxHashMap;

use super::notes::{Note, NotedEnd, NotedOrigin, NotedOutcome, Trailer};
use super::reader::Chunk;
use super::{
    Ended, Facts, Origin, Outcome, Process, ProcessId, Resident, Rss, Thread, Warning, areas,
};

/// Build-ids of each path, each from a stamp on.
pub(crate) type BuildIds = FxHashMap<String, Vec<(u64, Option<String>)>>;

/// A thread's place in the order, and its chunks.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    pub(crate) chunks: Vec<Chunk>,
}

/// Gathers what notes and chunk headers say.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    facts: Facts,
    processes: FxHashMap<u32, Noted>,
    threads: FxHashMap<u32, NotedThread>,
    rss: Vec<(u32, Rss)>,
    resident: Vec<(u32, Resident)>,
    build_ids: BuildIds,
    /// Chunks of types.
    pub(crate) readings: Vec<Chunk>,
}

#[derive(Debug, Default)]
struct Noted {
    process: Process,
    parent: u32,
}

#[derive(Debug, Default)]
struct NotedThread {
    image: u32,
    tid: u32,
    start: Option<u64>,
    lane: Lane,
}

impl Gathered {
    /// Takes in a note.
    pub(crate) fn note(&mut self, note: Note) {
        let facts = &mut self.facts;
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
            Note::Clock { stamp, ns } => {
                let last = facts.clock.points.last().copied();
                if last.is_none_or(|last| last.0 < stamp && last.1 <= ns) {
                    facts.clock.points.push((stamp, ns));
                }
            }
            Note::Rss {
                image,
                stamp,
                bytes,
                space,
            } => {
                let reading = Rss {
                    stamp,
                    process: 0,
                    bytes,
                    space,
                };
                self.rss.push((image, reading));
            }
            Note::Resident {
                image,
                stamp,
                calls,
                files,
                own,
                rest,
                areas,
            } => {
                let reading = Resident {
                    stamp,
                    process: 0,
                    calls,
                    files,
                    own,
                    rest,
                    areas: areas::from_note(&areas),
                };
                self.resident.push((image, reading));
            }
            Note::Limit { kind, bytes } => facts.limit = Some((kind, bytes)),
            Note::MemoryKill { image } => {
                let process = &mut self.processes.entry(image).or_default().process;
                process.killed_for_memory = true;
            }
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
            // Of use while the trace is being written.
            Note::Through { .. } => {}
            Note::Waited { ns } => facts.waited_ns = facts.waited_ns.saturating_add(ns),
            Note::Warning { code, text } => facts.warnings.push(Warning { code, text }),
            Note::BuildId {
                path,
                since,
                build_id,
            } => self
                .build_ids
                .entry(path)
                .or_default()
                .push((since, build_id)),
            Note::ThreadBegin { .. } | Note::ThreadEnd { .. } => self.thread_note(note),
            Note::ProcessBegin { .. } | Note::ProcessEnd { .. } => self.process_note(note),
        }
    }

    fn thread_note(&mut self, note: Note) {
        match note {
            Note::ThreadBegin {
                thread,
                image,
                tid,
                start,
            } => {
                let noted = self.threads.entry(thread).or_default();
                noted.image = image;
                noted.tid = tid;
                noted.start = Some(start);
            }
            Note::ThreadEnd { thread, stamp } => {
                self.threads.entry(thread).or_default().lane.end = Some(stamp);
            }
            _ => {}
        }
    }

    fn process_note(&mut self, note: Note) {
        match note {
            Note::ProcessBegin {
                image,
                pid,
                parent,
                origin,
                start,
                executable,
                arguments,
            } => {
                let noted = self.processes.entry(image).or_default();
                noted.parent = parent;
                noted.process = Process {
                    pid,
                    parent: None,
                    origin: match origin {
                        NotedOrigin::First => Origin::First,
                        NotedOrigin::Fork => Origin::Fork,
                        NotedOrigin::Exec => Origin::Exec,
                    },
                    executable,
                    arguments,
                    start,
                    end: noted.process.end,
                    outcome: noted.process.outcome,
                    killed_for_memory: noted.process.killed_for_memory,
                };
            }
            Note::ProcessEnd {
                image,
                stamp,
                outcome,
            } => {
                let process = &mut self.processes.entry(image).or_default().process;
                process.end = Some(stamp);
                process.outcome = match outcome {
                    NotedOutcome::Exit { code } => Outcome::Exit(code),
                    NotedOutcome::Exec => Outcome::Exec,
                    NotedOutcome::Killed { signal } => Outcome::Killed(signal),
                    NotedOutcome::Unknown => Outcome::Unknown,
                };
            }
            _ => {}
        }
    }

    /// Takes in a chunk of events. Where the notes about its thread are lost, its header tells enough.
    pub(crate) fn chunk(&mut self, chunk: Chunk) {
        let noted = self.threads.entry(chunk.header.thread).or_default();
        noted.image = chunk.header.image;
        noted.lane.chunks.push(chunk);
    }

    /// Takes in a chunk of types.
    pub(crate) fn reading(&mut self, chunk: Chunk) {
        self.readings.push(chunk);
    }

    /// Pids of the processes whose end isn't told.
    pub(crate) fn running(&self) -> impl Iterator<Item = u32> + '_ {
        let noted = self.processes.values().map(|noted| &noted.process);
        noted
            .filter(|process| process.end.is_none() && process.pid != 0)
            .map(|process| process.pid)
    }

    /// Puts everything in order; images are found by their numbers.
    pub(crate) fn finish(
        mut self,
        trailer: Option<&Trailer>,
    ) -> (Facts, Vec<Lane>, BuildIds, FxHashMap<u32, ProcessId>) {
        let (mut lanes, threads, images) = self.threads_in_order();
        let order = self.places(&lanes, &images);
        let index: FxHashMap<u32, ProcessId> = order
            .iter()
            .enumerate()
            .map(|(index, (_, image))| (*image, index as ProcessId))
            .collect();
        let mut facts = self.facts;
        for (start, image) in order {
            let mut noted = self.processes.remove(&image).unwrap_or_default();
            noted.process.start = start;
            noted.process.parent = index
                .get(&noted.parent)
                .copied()
                .filter(|_| noted.parent != image);
            facts.processes.push(noted.process);
        }
        facts.threads = threads;
        for (thread, image) in facts.threads.iter_mut().zip(&images) {
            thread.process = index.get(image).copied().unwrap_or(0);
        }
        cover_ends(&mut facts, &mut lanes);
        let known = |image: &u32| index.get(image).copied();
        facts.rss = self
            .rss
            .iter()
            .filter_map(|(image, reading)| {
                let process = known(image)?;
                Some(Rss {
                    process,
                    ..*reading
                })
            })
            .collect();
        facts.rss.sort_by_key(|reading| reading.stamp);
        let resident = std::mem::take(&mut self.resident).into_iter();
        facts.resident = resident
            .filter_map(|(image, reading)| {
                let process = known(&image)?;
                Some(Resident { process, ..reading })
            })
            .collect();
        facts.resident.sort_by_key(|reading| reading.stamp);
        facts.ended = ended(&facts, trailer);
        let last = lanes
            .iter()
            .flat_map(|lane| lane.chunks.iter().map(|chunk| chunk.header.last))
            .chain(facts.processes.iter().filter_map(|process| process.end))
            .chain(facts.clock.points.iter().map(|point| point.0))
            .max();
        facts.duration_ns = last.map_or(0, |stamp| facts.clock.ns(stamp));
        self.build_ids.values_mut().for_each(|ids| ids.sort());
        (facts, lanes, self.build_ids, index)
    }

    /// Threads in order of their start, with their images.
    fn threads_in_order(&mut self) -> (Vec<Lane>, Vec<Thread>, Vec<u32>) {
        let mut threads: Vec<NotedThread> = self
            .threads
            .drain()
            .map(|(_, mut thread)| {
                // In-lane order is the order of writing; the lane begins with its first event at the latest.
                thread.lane.chunks.sort_by_key(|chunk| chunk.at);
                let first = thread.lane.chunks.first().map(|chunk| chunk.header.first);
                let known = [thread.start, first].into_iter().flatten().min();
                thread.lane.start = known.unwrap_or(0);
                thread
            })
            .collect();
        threads.sort_by_key(|thread| (thread.lane.start, thread.image, thread.tid));
        let images = threads.iter().map(|thread| thread.image).collect();
        let facts = threads
            .iter()
            .map(|thread| Thread {
                process: 0,
                tid: thread.tid,
            })
            .collect();
        let lanes = threads.into_iter().map(|thread| thread.lane).collect();
        (lanes, facts, images)
    }

    /// (start, image) of every image, in order: none begins after its own events or its children.
    fn places(&mut self, lanes: &[Lane], images: &[u32]) -> Vec<(u64, u32)> {
        let mut starts: FxHashMap<u32, u64> = self
            .processes
            .iter()
            .filter(|(_, noted)| noted.process.start != 0)
            .map(|(image, noted)| (*image, noted.process.start))
            .collect();
        for (lane, image) in lanes.iter().zip(images) {
            let start = starts.entry(*image).or_insert(lane.start);
            *start = lane.start.min(*start);
        }
        let mut numbers: Vec<u32> = starts.keys().copied().collect();
        numbers.sort_unstable_by(|left, right| right.cmp(left));
        for image in numbers {
            let start = starts.get(&image).copied().unwrap_or(0);
            let parent = self.processes.get(&image).map(|noted| noted.parent);
            if let Some(parent) = parent.and_then(|parent| starts.get_mut(&parent)) {
                *parent = start.min(*parent);
            }
        }
        let mut order: Vec<(u64, u32)> = starts.iter().map(|(image, at)| (*at, *image)).collect();
        order.sort_unstable();
        order
    }
}

/// A process's end covers everything that was recorded before, and no thread of it ends later.
fn cover_ends(facts: &mut Facts, lanes: &mut [Lane]) {
    for (lane, thread) in lanes.iter().zip(&facts.threads) {
        let last = lane.chunks.iter().map(|chunk| chunk.header.last).max();
        let last = last.unwrap_or(0).max(lane.start);
        if let Some(process) = facts.processes.get_mut(thread.process as usize) {
            process.end = process.end.map(|end| end.max(last));
        }
    }
    for (lane, thread) in lanes.iter_mut().zip(&facts.threads) {
        let process = facts.processes.get(thread.process as usize);
        if let Some(latest) = process.and_then(|process| process.end) {
            lane.end = lane.end.map(|end| end.min(latest));
        }
    }
}

fn ended(facts: &Facts, trailer: Option<&Trailer>) -> Ended {
    let killed = |process: &Process| matches!(process.outcome, Outcome::Killed(_));
    match trailer.map(|trailer| trailer.ended) {
        None => Ended::Truncated,
        Some(NotedEnd::DiskFull) => Ended::DiskFull,
        Some(NotedEnd::Limit) => Ended::Limit,
        Some(NotedEnd::Complete) if facts.processes.iter().any(killed) => Ended::Killed,
        Some(NotedEnd::Complete) => Ended::Complete,
    }
}
