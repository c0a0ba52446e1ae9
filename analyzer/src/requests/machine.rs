//! The state machine that turns events into requests and owners; its rules stand in the parent module.

use leak_wire::free_list::{Change, List};
use leak_wire::{Common, Event, Protocol, Transfer, Wait};
use rustc_hash::{FxHashMap, FxHashSet};

use super::asked::{AskedSoFar, Head, NOTHING};
use super::connection::{Connection, Mode, Waiting};
use super::label::{LabelId, Labels};
use super::notice::Notices;
use super::owner::{Owners, Scope};
use super::record::{Records, RequestId, records};
use super::segments::{NO_VALUES, Segments};
use super::task::Tasks;
use crate::ledger::holding::AccountId;
use crate::ledger::{Ledger, Serving};
use crate::sample::Sample;
use crate::sites::SiteId;
use crate::sites::runtimes::PhasesOf;
use crate::trace::{Passed, ProcessId, ThreadId};
use crate::types::TypeId;

/// Where requests come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// Marks if there are any, else for each connection http, else turn.
    #[default]
    Auto,
    /// HTTP heads.
    Http,
    /// Reads and answers.
    Turn,
    /// Explicit marks.
    Mark,
    /// From accept to close.
    Connection,
}

/// How a trace is to be judged.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where requests come from.
    pub boundary: Boundary,
    /// Which blocks belong to them.
    pub scope: Scope,
    /// Globs of paths that are one label each.
    pub routes: Vec<String>,
    /// Whether to keep when blocks came and went, and what requests left behind when: for reports that show time.
    pub periods: bool,
    /// Whether the paths of requests are kept as they were.
    pub keep_paths: bool,
    /// Requests whose heads came before this are of the warm-up, nanoseconds from the trace's start.
    pub judge_from_ns: u64,
    /// Finds what tells when a runtime's collector runs; `None`: that is not seen.
    pub phases_of: Option<PhasesOf>,
}

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
    /// What it waits for, as a word, see [`Wait::word`]; 0: it does not wait, or nobody knows for what.
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

/// So many events of a run are read before the first of them is taken, while what they need comes from
/// memory.
const AHEAD: usize = 32;

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

    /// Events that follow each other on one thread at one stamp, as `read` puts them into its room, none at the end;
    /// gives their number.
    pub fn run(
        &mut self,
        process: ProcessId,
        thread: ThreadId,
        stamp: u64,
        mut read: impl FnMut(&mut [Common]) -> usize,
    ) -> u64 {
        let mut count = 0;
        let mut ahead = [Common::Free { address: 0 }; AHEAD];
        loop {
            let taken = read(&mut ahead);
            let events = ahead.get(..taken).unwrap_or_default();
            if events.is_empty() {
                return count;
            }
            let ledger = self.owners.ledger(process);
            for event in events {
                let (Common::Allocation { address, .. } | Common::Free { address }) = event;
                ledger.expect(*address);
            }
            count += taken as u64;
            self.common((process, thread, stamp), events);
        }
    }

    fn common(
        &mut self,
        (process, thread, stamp): (ProcessId, ThreadId, u64),
        mut events: &[Common],
    ) {
        while !events.is_empty() {
            let at = self.at(process, thread, stamp);
            self.comes(at, 0);
            self.owners.frees(at.process, at.thread, at.host);
            let account = self.owners.account(at.thread);
            let taken = self.blocks(at, account, events);
            events = &events[taken..];
            if self.was_carried(at) {
                continue;
            }
            // The task that ran may be the one that ended.
            if let Some((Common::Free { address }, rest)) = events.split_first() {
                self.freed(at, *address);
                events = rest;
            }
        }
    }

    /// The first of these events, up to the end of a task; gives their number.
    fn blocks(&mut self, at: At, account: AccountId, events: &[Common]) -> usize {
        let ledger = self.owners.ledger(at.process);
        let elsewhere = self.live_bytes - ledger.counts.live_bytes;
        let mut peak = self.peak_live_bytes;
        let mut left = events;
        while let Some((event, rest)) = left.split_first() {
            match *event {
                Common::Free { address } if self.tasks.is_task(at.process, address) => break,
                Common::Free { address } => {
                    ledger.free(address, false);
                    if ledger.freer.freed.is_some() {
                        left = rest;
                        break;
                    }
                }
                Common::Allocation {
                    address,
                    size,
                    site,
                } => {
                    // Every other block of many programs: the next thing is its end.
                    if let Some((Common::Free { address: freed }, after)) = rest.split_first()
                        && *freed == address
                        && !self.tasks.is_task(at.process, address)
                        && ledger.pass_one(account, address, size, site, at.stamp)
                    {
                        left = after;
                        let highest = ledger.counts.live_bytes.saturating_add(size);
                        peak = peak.max(elsewhere.saturating_add(highest));
                        continue;
                    }
                    ledger.allocate(account, address, size, site, at.stamp);
                    peak = peak.max(elsewhere + ledger.counts.live_bytes);
                }
            }
            left = rest;
        }
        self.live_bytes = elsewhere + ledger.counts.live_bytes;
        self.peak_live_bytes = peak;
        events.len() - left.len()
    }

    #[inline]
    fn allocated(&mut self, at: At, account: AccountId, block: (u64, u64, SiteId)) {
        let (address, size, site) = block;
        self.change(at, |ledger| {
            ledger.allocate(account, address, size, site, at.stamp);
        });
    }

    /// Whether the block was a task.
    #[inline]
    fn freed(&mut self, at: At, address: u64) -> bool {
        let was_task = self.task_freed(at, address);
        self.change(at, |ledger| ledger.free(address, was_task));
        self.was_carried(at);
        was_task
    }

    /// Whether what was freed last may tell whose job the thread does: then it was looked at.
    #[inline]
    fn was_carried(&mut self, at: At) -> bool {
        let freed = self.owners.ledger(at.process).freer.freed.take();
        if let Some(freed) = freed {
            self.owners.has_freed(at.thread, freed, &mut self.records);
        }
        freed.is_some()
    }

    /// CPython's free lists have changed. `of` gives the site that stands for a list, the type of what waits there and of
    /// what is taken from there.
    pub fn free_lists(
        &mut self,
        (process, thread, stamp): (ProcessId, ThreadId, u64),
        changes: impl Iterator<Item = Change>,
        of: impl Fn(List) -> (SiteId, (TypeId, TypeId)),
    ) {
        let at = self.at(process, thread, stamp);
        self.comes(at, 0);
        self.owners.frees(at.process, at.thread, at.host);
        let account = self.owners.account(at.thread);
        for Change {
            address,
            list,
            waits,
        } in changes
        {
            let (site, (waiting, taken)) = of(list);
            self.change(at, |ledger| match waits {
                true => ledger.waits(address, site, waiting, stamp),
                false => ledger.taken(account, address, site, taken, stamp),
            });
        }
    }

    /// Blocks came and went.
    pub fn passed(&mut self, process: ProcessId, thread: ThreadId, stamp: u64, passed: Passed) {
        let at = self.at(process, thread, stamp);
        match passed {
            Passed::Blocks {
                site,
                blocks,
                bytes,
            } => {
                self.comes(at, 0);
                let account = self.owners.account(at.thread);
                let ledger = self.owners.ledger(process);
                ledger.pass(account, site, stamp, blocks, bytes);
            }
            Passed::Peak { bytes } => {
                let live = self.live_bytes.saturating_add(bytes);
                self.peak_live_bytes = self.peak_live_bytes.max(live);
            }
        }
    }

    fn at(&self, process: ProcessId, thread: ThreadId, stamp: u64) -> At {
        At {
            stamp,
            process,
            thread: self.tasks.worker(thread),
            host: thread,
        }
    }

    /// Something comes from a thread: the head of a request on the connection `head`, or something else
    /// (0).
    fn comes(&mut self, at: At, head: u32) {
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

    fn memory(&mut self, at: At, event: &Event<'_>) {
        self.owners.frees(at.process, at.thread, at.host);
        match *event {
            Event::Allocation {
                address,
                size,
                site,
            } => {
                let account = self.owners.account(at.thread);
                self.allocated(at, account, (address, size, site));
            }
            Event::Free { address } => {
                self.freed(at, address);
            }
            Event::ReallocationBegin { address } => {
                self.owners.reallocation_begins(at.host, address);
            }
            Event::ReallocationEnd {
                address,
                size,
                site,
            } => self.reallocated(at, (address, size, site)),
            Event::ReallocationFailed => {
                if let Some((address, old)) = self.owners.reallocated(at.host) {
                    self.change(at, |ledger| ledger.reallocation_failed(address, old));
                }
            }
            Event::ReallocationFreed => {
                if let Some((address, old)) = self.owners.reallocated(at.host) {
                    self.change(at, |ledger| ledger.reallocation_freed(address, old));
                }
            }
            _ => {}
        }
    }

    fn reallocated(&mut self, at: At, (address, size, site): (u64, u64, SiteId)) {
        let old = self.owners.reallocated(at.host);
        let account = self.owners.account(at.thread);
        match old {
            Some(old) => self.change(at, |ledger| {
                ledger.reallocation_ends(old, account, address, size, site, at.stamp);
            }),
            // Its begin was lost: the new block is what is known.
            None if address != 0 => self.allocated(at, account, (address, size, site)),
            None => {}
        }
    }

    /// Changes the process's ledger, and with it what is live over all.
    #[inline]
    fn change(&mut self, at: At, act: impl FnOnce(&mut Ledger)) {
        let ledger = self.owners.ledger(at.process);
        let before = ledger.counts.live_bytes;
        act(ledger);
        self.live_bytes = self.live_bytes + ledger.counts.live_bytes - before;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }

    fn enter(&mut self, at: At, wait: Wait, connection: u32) {
        self.threads[at.thread as usize].writing = None;
        if wait.may_be_idle() || wait == Wait::Queue {
            self.owners.ledger(at.process).comes_to_wait(at.stamp);
        }
        match wait {
            Wait::Write if self.boundary != Boundary::Mark => self.write_begins(at, connection),
            Wait::Write => {}
            Wait::Read => {
                self.end_answered_by_all(at);
                self.owners.enters_read(at.host);
                if let Some(connection) = self.connections.get_mut(&connection) {
                    connection.reads += 1;
                }
            }
            Wait::Accept | Wait::Poll | Wait::Lock => {
                self.owners
                    .idle(at.host, wait == Wait::Poll, &mut self.records);
                self.end_answered_by_all(at);
                if wait == Wait::Lock && connection != 0 {
                    self.threads[at.host as usize].waits_for = connection;
                    self.notices.waits(at.process, connection, at.host);
                }
            }
            Wait::Notify => self.notifies(at, connection, false),
            Wait::NotifyAll => self.notifies(at, connection, true),
            Wait::Wake => self.owners.wakes(at.thread, &mut self.records),
            Wait::Queue => {
                self.owners.takes_lock(at.thread, &mut self.records);
                self.end_answered(at);
            }
        }
    }

    /// The thread wakes one that waits for this word, or `all`.
    fn notifies(&mut self, at: At, word: u32, all: bool) {
        if self.notices.is_awaited(at.process, word) {
            let request = self.owners.hands_on(at.thread, &self.records);
            self.notices.tell((at.process, word), request, all);
        }
    }

    /// The thread has waited, and goes on.
    pub(super) fn wakes_up(&mut self, at: At) {
        let thread = &mut self.threads[at.host as usize];
        let word = std::mem::take(&mut thread.waits_for);
        let same = std::mem::replace(&mut thread.waited_for, word) == word;
        let woken_for = self.notices.wakes(at.process, word, at.host);
        self.owners.goes_on(at.host, woken_for, same);
    }

    fn io(&mut self, at: At, event: &Event<'_>) {
        match *event {
            Event::Accept { connection, local } => {
                self.accept(at, connection, text(local));
            }
            Event::Transferred {
                connection,
                transfer,
                bytes,
            } if bytes > 0 => match transfer {
                Transfer::Read => self.was_read(at, connection, bytes),
                Transfer::Write => self.was_written(at, connection, bytes),
            },
            Event::Transferred { connection, .. } => self.client_is_gone(connection),
            Event::RequestBegun { connection } => self.head_begun(at, connection),
            Event::Request {
                connection,
                count,
                protocol,
                label,
            } if self.admits(connection, protocol) => {
                let (label, asked, values) = match protocol {
                    Protocol::Http => {
                        let head = text(label);
                        let label = self.labels.http(&head);
                        let values = self.segments.of(label, self.labels.names(), &head);
                        (label, self.asked.head(connection, &head), values)
                    }
                    _ => (self.verb(connection, &text(label)), NOTHING, NO_VALUES),
                };
                let head = Head {
                    label,
                    asked,
                    values,
                    protocol,
                    count,
                };
                self.head_read(at, connection, head);
            }
            Event::Answer {
                connection,
                count,
                status,
            } => self.answered(at, connection, count, status),
            Event::Upgraded { connection } => self.upgraded(connection),
            Event::Unseen { connection, reason } => self.uncut(connection, reason),
            Event::Close { connection } => {
                self.asked.closed(connection);
                if self.connections.contains_key(&connection)
                    && let Some(closes) = &mut self.closes
                {
                    closes.push((connection, at.stamp));
                }
                self.process(at.process).connections.remove(&connection);
                self.drop_holder(connection, at.process, at.stamp, true);
            }
            _ => {}
        }
    }

    fn verb(&mut self, connection: u32, verb: &str) -> LabelId {
        let local = self.connections.get(&connection);
        let local = local.map_or("", |connection| connection.local.as_str());
        match verb {
            "" => self.labels.intern(local),
            verb => self.labels.intern(&[local, " ", verb].concat()),
        }
    }

    /// How the connection is cut, if it is known.
    pub(super) fn mode(&self, connection: u32) -> Option<Mode> {
        self.connections
            .get(&connection)
            .map(|connection| connection.mode)
    }
}

/// Bytes of the target as text; what is no UTF-8 is replaced.
fn text(bytes: leak_wire::Bytes<'_>) -> String {
    let bytes: Vec<u8> = bytes.iter().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
