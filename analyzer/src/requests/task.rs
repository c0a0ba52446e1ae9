//! Tasks of an event loop, or of a runtime. Each is a worker as a thread is: what it serves and what it has allocated
//! stay with it while it waits and others run. So it gets a number among the threads, past the last real one.
//!
//! A task lasts until its block (an event loop's: that of its coroutine) is freed; its number is given again then. What it has
//! answered ends as a thread's: when the thread that it ran on enters its next wait.

use rustc_hash::FxHashMap;

use super::machine::{At, Machine};
use super::owner::Lineage;
use crate::trace::{ProcessId, ThreadId};

/// Which worker each thread is, and which workers there are.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// The first number of a task, and how far the next one is from it.
    numbers: (ThreadId, ThreadId),
    /// How many were given.
    given: ThreadId,
    /// To be given again.
    free: Vec<ThreadId>,
    /// By where the block of the coroutine starts.
    workers: FxHashMap<(ProcessId, u64), ThreadId>,
    /// What runs on the threads that have run tasks.
    running: FxHashMap<ThreadId, Running>,
}

/// What runs on a thread.
#[derive(Debug)]
struct Running {
    /// A task's number, or the thread's own.
    worker: ThreadId,
    /// Tasks that ran since the thread's last wait.
    ran: Vec<ThreadId>,
}

impl Tasks {
    /// None yet, in a trace of `threads` threads.
    pub(super) fn new(threads: usize) -> Tasks {
        Tasks {
            numbers: (threads as ThreadId, 1),
            ..Tasks::default()
        }
    }

    /// None yet; threads have even numbers, so that it need not be known how many there will be.
    pub(super) fn among_threads() -> Tasks {
        Tasks {
            numbers: (1, 2),
            ..Tasks::default()
        }
    }

    /// Who works on `thread`.
    pub(super) fn worker(&self, thread: ThreadId) -> ThreadId {
        if self.running.is_empty() {
            return thread;
        }
        let running = self.running.get(&thread);
        running.map_or(thread, |running| running.worker)
    }

    /// Whether the block at `address` is a task's.
    #[inline]
    pub(super) fn is_task(&self, process: ProcessId, address: u64) -> bool {
        !self.workers.is_empty() && self.workers.contains_key(&(process, address))
    }

    /// The thread runs nothing any more.
    pub(super) fn thread_is_gone(&mut self, thread: ThreadId) {
        self.running.remove(&thread);
    }

    fn number(&mut self) -> ThreadId {
        self.free.pop().unwrap_or_else(|| {
            self.given += 1;
            self.numbers.0 + (self.given - 1) * self.numbers.1
        })
    }

    fn run(&mut self, thread: ThreadId, worker: ThreadId) {
        let idle = || Running {
            worker: thread,
            ran: Vec::new(),
        };
        let running = self.running.entry(thread).or_insert_with(idle);
        running.worker = worker;
        if worker != thread && !running.ran.contains(&worker) {
            running.ran.push(worker);
        }
    }
}

impl Machine {
    /// The thread runs the task whose coroutine lies in the block at `task`, or none if that is 0.
    pub(super) fn task_runs(&mut self, at: At, task: u64) {
        let worker = match task {
            0 => at.host,
            _ => self.task(at.process, task),
        };
        self.tasks.run(at.host, worker);
    }

    fn task(&mut self, process: ProcessId, task: u64) -> ThreadId {
        if let Some(worker) = self.tasks.workers.get(&(process, task)) {
            return *worker;
        }
        let worker = self.tasks.number();
        self.tasks.workers.insert((process, task), worker);
        self.thread_begins(worker, process);
        self.owners
            .worker_begins(worker, process, Lineage::Task(task));
        worker
    }

    /// A block is freed: the task whose coroutine lay in it is over. Whether there was one.
    #[inline]
    pub(super) fn task_freed(&mut self, at: At, block: u64) -> bool {
        if self.tasks.workers.is_empty() {
            return false;
        }
        let Some(worker) = self.tasks.workers.remove(&(at.process, block)) else {
            return false;
        };
        // Its last answer ends with the thread's next wait.
        let ended = std::mem::take(&mut self.threads[worker as usize]);
        self.threads[at.host as usize]
            .answered
            .extend(ended.answered);
        self.owners.worker_ends(worker, &mut self.records);
        for (thread, running) in &mut self.tasks.running {
            running.ran.retain(|ran| *ran != worker);
            if running.worker == worker {
                running.worker = *thread;
            }
        }
        self.tasks.free.push(worker);
        true
    }

    /// The thread enters a wait: what it and its tasks have answered ends.
    pub(super) fn end_answered_by_all(&mut self, at: At) {
        if let Some(running) = self.tasks.running.get_mut(&at.host) {
            for worker in std::mem::take(&mut running.ran) {
                self.owners.rest(worker, &mut self.records);
                self.end_answered(At {
                    thread: worker,
                    ..at
                });
            }
        }
        self.end_answered(At {
            thread: at.host,
            ..at
        });
    }
}
