//! Processes and threads come and go.

use super::machine::{At, Machine, Process, Thread};
use super::owner::{Habits, Lineage};
use crate::ledger::{Finished, Ledger};
use crate::trace::{ProcessId, ThreadId};

impl Machine {
    /// The process's state, which begins with its first mention.
    pub(super) fn process(&mut self, process: ProcessId) -> &mut Process {
        let at = process as usize;
        if self.processes.len() <= at {
            self.processes.resize_with(at + 1, Process::default);
        }
        &mut self.processes[at]
    }

    /// A process begins; `parent` where it was forked.
    pub fn process_begins(&mut self, process: ProcessId, parent: Option<ProcessId>, stamp: u64) {
        self.owners.process_begins(process, parent);
        if self.tree.from.is_some() {
            self.owners.ledger(process).begins_meanwhile(stamp);
        }
        let Some(parent) = parent else {
            return;
        };
        let held = self.process(parent).connections.clone();
        for number in &held {
            if let Some(connection) = self.connections.get_mut(number) {
                connection.holders.push(process);
            }
        }
        let state = self.process(process);
        state.most_connections = held.len();
        state.connections = held;
    }

    /// A process has ended. Gives its figures, and the most connections it held at once.
    pub fn process_ends(&mut self, process: ProcessId, stamp: u64) -> Option<(Finished, usize)> {
        let (mut ledger, mut habits) = self.process_goes(process, stamp)?;
        ledger.serves_with(self.tree, &self.records);
        let requests_ended = ledger.requests_ended();
        let mut finished = ledger.finish(&mut self.records, |proof| habits.hold(proof));
        finished.made_threads = habits.made_threads(requests_ended);
        finished.moments = habits.moments();
        finished.ended_at = stamp;
        Some((finished, self.process(process).most_connections))
    }

    /// The same, where figures that only an end gives are of no interest.
    pub(crate) fn process_leaves(&mut self, process: ProcessId, stamp: u64) {
        self.process_goes(process, stamp);
    }

    fn process_goes(&mut self, process: ProcessId, stamp: u64) -> Option<(Ledger, Habits)> {
        let held = std::mem::take(&mut self.process(process).connections);
        for number in held {
            self.drop_holder(number, process, stamp, false);
        }
        self.end_all_answered(process);
        self.notices.forget(process);
        let (ledger, habits) = self.owners.process_ends(process, &mut self.records)?;
        self.live_bytes = self.live_bytes.saturating_sub(ledger.counts.live_bytes);
        Some((ledger, habits))
    }

    /// What was answered when the process ends, ends with it, as of its answer: what the process tore down
    /// since was live while it served.
    fn end_all_answered(&mut self, process: ProcessId) {
        if !self.owners.runs(process) {
            return;
        }
        let mut answered = Vec::new();
        for worker in self.owners.workers_of(process) {
            self.owners.put_back(worker);
            if let Some(thread) = self.threads.get_mut(worker as usize) {
                answered.append(&mut thread.answered);
            }
        }
        answered.sort_unstable_by_key(|(request, stamp)| (*stamp, *request));
        for (request, _) in &answered {
            let host = self.records[*request as usize].host;
            self.owners.ledger(process).tidied(host);
        }
        for (request, stamp) in answered {
            self.end_as(request, stamp, true);
        }
    }

    /// A thread begins to record.
    pub fn thread_begins(&mut self, thread: ThreadId, process: ProcessId) {
        self.owners.worker_begins(thread, process, Lineage::Thread);
        if self.threads.len() <= thread as usize {
            self.threads
                .resize_with(thread as usize + 1, Thread::default);
        }
    }

    /// A thread begins that may have the number of another one, which has ended: nothing of that is left.
    pub(crate) fn thread_begins_anew(&mut self, thread: ThreadId, process: ProcessId) {
        // Those that were gone before have ended by themselves.
        self.bury(process);
        if let Some(known) = self.threads.get_mut(thread as usize) {
            *known = Thread::default();
        }
        self.tasks.thread_is_gone(thread);
        self.owners.worker_is_gone(thread);
        self.thread_begins(thread, process);
    }

    /// A thread records no more. Whether it ended by itself or with its process shows later.
    pub fn thread_ends(&mut self, thread: ThreadId, process: ProcessId, stamp: u64) {
        self.process(process).gone.push((thread, stamp));
    }

    /// Threads of `process` that were gone before this event ended by themselves.
    pub(super) fn bury(&mut self, process: ProcessId) {
        for (thread, stamp) in std::mem::take(&mut self.process(process).gone) {
            let at = At {
                stamp,
                process,
                thread,
                host: thread,
            };
            self.thread_ended(at);
        }
    }

    pub(super) fn thread_ended(&mut self, at: At) {
        let number = std::mem::take(&mut self.threads[at.host as usize].number);
        if number != 0 {
            self.owners.ledger(at.process).thread_ended(number);
        }
        if self.threads[at.host as usize].waits_for != 0 {
            self.wakes_up(at);
        }
        self.owners.worker_ends(at.host, &mut self.records);
        self.end_answered_by_all(at);
        while let Some(request) = self.threads[at.host as usize].marks.pop() {
            self.end(request, at.stamp);
        }
        self.owners.leave(at.host);
    }
}
