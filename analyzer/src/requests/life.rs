//! Processes and threads come and go.

use super::machine::{At, Machine, Process, Thread};
use crate::ledger::Finished;
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
    pub fn process_begins(&mut self, process: ProcessId, parent: Option<ProcessId>) {
        self.owners.process_begins(process, parent);
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
        let held = std::mem::take(&mut self.process(process).connections);
        for number in held {
            self.drop_holder(number, process, stamp, false);
        }
        let ledger = self.owners.process_ends(process)?;
        self.live_bytes = self.live_bytes.saturating_sub(ledger.counts.live_bytes);
        let finished = ledger.finish(&mut self.records);
        Some((finished, self.process(process).most_connections))
    }

    /// A thread begins to record.
    pub fn thread_begins(&mut self, thread: ThreadId, process: ProcessId) {
        self.owners.thread_begins(thread, process);
        if self.threads.len() <= thread as usize {
            self.threads
                .resize_with(thread as usize + 1, Thread::default);
        }
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
        self.owners.put_back(at.host);
        self.end_answered_by_all(at);
        while let Some(request) = self.threads[at.host as usize].marks.pop() {
            self.end(request, at.stamp);
        }
        self.owners.thread_ends(at.host);
    }
}
