//! The state machine that turns events into requests and owners; its rules stand in the parent module.

use leak_wire::Event;
use rustc_hash::{FxHashMap, FxHashSet};

use super::asked::AskedSoFar;
use super::connection::{Connection, Mode, Waiting};
use super::label::Labels;
use super::notice::Notices;
use super::options::{Boundary, Options};
use super::owner::Owners;
use super::record::{Records, RequestId, records};
use super::segments::Segments;
use super::task::Tasks;
use super::text::text;
use crate::ledger::Serving;
use crate::sample::Sample;
use crate::trace::{ProcessId, ThreadId};

/// When and where something happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) stamp: u64,
    pub(super) process: ProcessId,
    /// Who did it: the thread, or the task that it runs.
    pub(super) thread: ThreadId,
    /// The thread.
    pub(super) host: ThreadId,
}

/// What is known of a thread.
#[derive(Debug, Default)]
pub(super) struct Thread {
    /// Its number in its process; 0: nobody told.
    pub(super) number: u64,
    /// Requests that it has answered and that end with its next wait, and when it did.
    pub(super) answered: Vec<(RequestId, u64)>,
    /// Marked requests, the innermost last.
    pub(super) marks: Vec<RequestId>,
    /// It read from a connection with this request: that is touched, unless what it read turns out to be
    /// the head of another.
    pub(super) reading: Option<(u32, RequestId)>,
    /// The connection it has entered a write to, and the request that this answers.
    pub(super) writing: Option<(u32, Option<RequestId>)>,
    /// What it waits for, as a word, see [`leak_wire::Wait::word`]; 0: it does not wait, or nobody knows for what.
    pub(super) waits_for: u32,
    /// The same of its last wait that is over.
    pub(super) waited_for: u32,
}

/// What is known of a process.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) connections: FxHashSet<u32>,
    /// The most connections held at once.
    pub(super) most_connections: usize,
    /// Threads that ended without saying so; maybe the whole process did.
    pub(super) gone: Vec<(ThreadId, u64)>,
}

/// See the parent module.
#[derive(Debug)]
pub struct Machine {
    pub(super) boundary: Boundary,
    /// All requests, in order of their begin.
    pub records: Records,
    /// Their labels.
    pub labels: Labels,
    /// What they asked for.
    pub asked: AskedSoFar,
    /// What stands in their paths where labels fold it.
    pub segments: Segments,
    /// Connections that were closed, and when; `None` where that is not kept: there may be ever more of them.
    pub closes: Option<Vec<(u32, u64)>>,
    /// Who owns what.
    pub owners: Owners,
    pub(super) connections: FxHashMap<u32, Connection>,
    /// Tasks, too.
    pub(super) threads: Vec<Thread>,
    pub(super) tasks: Tasks,
    /// Who wakes whom, and for whom it works.
    pub(super) notices: Notices<Option<RequestId>>,
    pub(super) processes: Vec<Process>,
    /// Ports to which connections with heads were made.
    pub(super) framed_ports: FxHashSet<String>,
    /// Turns without an answer, by the port, of connections that closed after them.
    pub(super) strays: FxHashMap<String, Vec<RequestId>>,
    /// Closed connections that were not cut, by local end and code of the reason.
    pub(super) unseen: FxHashMap<(String, u8), u64>,
    /// When any process served: from the first begin to the last answer or end.
    pub(super) tree: Serving,
    /// There are marks.
    pub marks_seen: bool,
    /// Bytes live over all processes, own blocks only.
    pub live_bytes: u64,
    /// The most of them at once.
    pub peak_live_bytes: u64,
}

impl Machine {
    /// Nothing has happened yet, in a trace of `threads` threads whose blocks count so.
    pub fn new(options: &Options, threads: usize, sample: Sample) -> Self {
        Machine {
            boundary: options.boundary,
            records: records(),
            labels: Labels::new(options.routes.clone()),
            asked: AskedSoFar::new(options.keep_paths),
            segments: Segments::default(),
            closes: Some(Vec::new()),
            owners: Owners::new(options.scope, options.boundary == Boundary::Mark, sample),
            connections: FxHashMap::default(),
            threads: Vec::new(),
            tasks: Tasks::new(threads),
            notices: Notices::default(),
            processes: Vec::new(),
            framed_ports: FxHashSet::default(),
            strays: FxHashMap::default(),
            unseen: FxHashMap::default(),
            tree: Serving::default(),
            marks_seen: false,
            live_bytes: 0,
            peak_live_bytes: 0,
        }
    }

    /// The same, in a trace of which nobody knows how many threads it will have: they get even numbers.
    pub fn growing(options: &Options, sample: Sample) -> Self {
        Machine {
            tasks: Tasks::among_threads(),
            asked: AskedSoFar::nothing(),
            segments: Segments::nothing(),
            closes: None,
            ..Machine::new(options, 0, sample)
        }
    }

    /// Connections that were not cut, open ones too, by local end and code of the reason.
    pub fn unseen_connections(&self) -> FxHashMap<(String, u8), u64> {
        let mut all = self.unseen.clone();
        for connection in self.connections.values() {
            if let Some(reason) = connection.unseen {
                let key = (connection.local.clone(), reason as u8);
                *all.entry(key).or_default() += 1;
            }
        }
        all
    }

    /// An event.
    pub fn event(&mut self, process: ProcessId, thread: ThreadId, stamp: u64, event: &Event<'_>) {
        self.owners.comes(stamp);
        let at = self.at(process, thread, stamp);
        if let Event::Mark { label } = event {
            return self.interval(at, &text(*label));
        }
        let ledger = self.owners.ledger(process);
        match *event {
            Event::ExitBegins => {
                ledger.close_mappings();
                // What it frees from here on is no request's own tidying.
                self.end_answered(at);
                return self.owners.ledger(process).exit_begins(stamp);
            }
            Event::Collected {
                young,
                middle,
                full,
            } => return ledger.collected(stamp, [young, middle, full]),
            Event::CollectionAsked => return ledger.collection_asked(),
            // A part of the head that comes next.
            Event::Header {
                connection,
                length,
                text,
            } => return self.asked.header(connection, length, text),
            _ => {}
        }
        let head = match event {
            Event::Request { connection, .. } | Event::RequestBegun { connection } => *connection,
            _ => 0,
        };
        self.comes(at, head);
        match *event {
            Event::Allocation { .. }
            | Event::Free { .. }
            | Event::ReallocationBegin { .. }
            | Event::ReallocationEnd { .. }
            | Event::ReallocationFailed
            | Event::ReallocationFreed => self.memory(at, event),
            Event::Mapped { .. }
            | Event::Unmapped { .. }
            | Event::UnmapFailed
            | Event::Discarded { .. }
            | Event::ThreadStack { .. }
            | Event::ThreadReleased { .. } => self.mapped(at, event),
            Event::MarkBegin { label } => self.mark_begins(at, &text(label)),
            Event::MarkEnd => self.mark_ends(at),
            Event::ThreadCreate { thread } => {
                self.owners.creates(at.thread, thread, &self.records);
            }
            Event::ThreadCreated { thread } => self.was_created(at, thread),
            Event::ThreadEnd => self.thread_ended(at),
            Event::Task { task } => self.task_runs(at, task),
            Event::Enter { wait, connection } => self.enter(at, wait, connection),
            _ if self.boundary != Boundary::Mark => self.io(at, event),
            _ => {}
        }
    }

    pub(super) fn at(&self, process: ProcessId, thread: ThreadId, stamp: u64) -> At {
        At {
            stamp,
            process,
            thread: self.tasks.worker(thread),
            host: thread,
        }
    }

    /// Something comes from a thread: the head of a request on the connection `head`, or something else
    /// (0).
    pub(super) fn comes(&mut self, at: At, head: u32) {
        let (thread, process) = (at.host, at.process);
        if self.threads.len() <= thread as usize {
            self.thread_begins(thread, process);
        }
        if self
            .processes
            .get(process as usize)
            .is_some_and(|state| !state.gone.is_empty())
        {
            self.bury(process);
        }
        if self.threads[at.host as usize].waits_for != 0 {
            self.wakes_up(at);
        }
        if let Some((connection, request)) = self.threads[at.thread as usize].reading {
            self.take_over(at, connection, request, head);
        }
    }

    fn take_over(&mut self, at: At, read: u32, request: RequestId, head: u32) {
        self.threads[at.thread as usize].reading = None;
        let queue = self.connections.get(&read).map(|c| c.queue.iter());
        let waits = |mut queue: std::collections::vec_deque::Iter<'_, Waiting>| {
            queue.any(|waiting| waiting.request == Some(request))
        };
        if head != read && queue.is_some_and(waits) {
            self.touch(at, request, false);
        }
    }

    /// How the connection is cut, if it is known.
    pub(super) fn mode(&self, connection: u32) -> Option<Mode> {
        self.connections
            .get(&connection)
            .map(|connection| connection.mode)
    }
}
