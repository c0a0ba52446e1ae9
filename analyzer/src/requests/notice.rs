//! Threads that wake each other: who is woken goes on with what the other one has given it, as a rule.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::machine::{At, Machine};
use super::record::RequestId;
use crate::trace::{ProcessId, ThreadId};

/// What is waited for in each process, by its word, see [`Wait::word`](leak_wire::Wait::word).
pub(super) type Notices = FxHashMap<(ProcessId, u32), Notice>;

/// One semaphore, condition variable or futex.
#[derive(Debug, Default)]
pub(super) struct Notice {
    /// Who waits.
    waiting: Vec<ThreadId>,
    /// For whom those work that have woken some of them, who have not done anything since, the oldest first.
    told: VecDeque<Option<RequestId>>,
}

impl Machine {
    /// The thread begins to wait for what has this word.
    pub(super) fn waits_for(&mut self, at: At, word: u32) {
        self.threads[at.host as usize].waits_for = word;
        let notice = self.notices.entry((at.process, word)).or_default();
        notice.waiting.push(at.host);
    }

    /// The thread wakes one that waits for this word, or `all`.
    pub(super) fn notifies(&mut self, at: At, word: u32, all: bool) {
        let Some(notice) = self.notices.get_mut(&(at.process, word)) else {
            return;
        };
        let request = self.owners.hands_on(at.thread, &self.records);
        if all {
            notice.told.clear();
        }
        let woken = if all { notice.waiting.len() } else { 1 };
        notice.told.extend(std::iter::repeat_n(request, woken));
        // Who was not woken by what was told before has waited in vain.
        while notice.told.len() > notice.waiting.len() {
            notice.told.pop_front();
        }
    }

    /// The thread has waited, and goes on.
    pub(super) fn wakes_up(&mut self, at: At) {
        let word = std::mem::take(&mut self.threads[at.host as usize].waits_for);
        let key = (at.process, word);
        let Some(notice) = self.notices.get_mut(&key) else {
            return;
        };
        notice.waiting.retain(|waiting| *waiting != at.host);
        let woken_for = notice.told.pop_front();
        if notice.waiting.is_empty() {
            self.notices.remove(&key);
        }
        let thread = &mut self.threads[at.host as usize];
        let same = std::mem::replace(&mut thread.waited_for, word) == word;
        self.owners.goes_on(at.host, woken_for, same);
    }
}
