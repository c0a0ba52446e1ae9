//! Takes in notes: threads and processes that begin and end, and what was read of them.

use super::super::notes::{Note, NotedOrigin, NotedOutcome};
use super::super::{Origin, Outcome, Process, ProcessId, Rss, ThreadId, Warning};
use super::{Follow, MOST_POINTS, MOST_WARNINGS};

impl Follow {
    pub(super) fn note(&mut self, note: Note) {
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

    pub(super) fn process_begins(&mut self, note: Note) {
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

    pub(super) fn clock(&mut self, stamp: u64, ns: u64) {
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

    pub(super) fn warn(&mut self, code: &str, text: String) {
        if self.trace.facts.warnings.len() < MOST_WARNINGS {
            let code = code.to_owned();
            self.trace.facts.warnings.push(Warning { code, text });
        }
    }
}
