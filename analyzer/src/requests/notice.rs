//! Threads that wake each other: who is woken goes on with what the other one has given it, as a rule.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::trace::{ProcessId, ThreadId};

/// What threads wait for in each process, by its word, see [`Wait::word`](leak_wire::Wait::word). Who wakes one tells it
/// a `T`: for whom it works.
#[derive(Debug, Default)]
pub(super) struct Notices<T>(FxHashMap<(ProcessId, u32), Notice<T>>);

/// One semaphore, condition variable or futex.
#[derive(Debug)]
struct Notice<T> {
    /// Who waits.
    waiting: Vec<ThreadId>,
    /// For whom those work that have woken some of them, who have not done anything since, the oldest first.
    told: VecDeque<T>,
}

impl<T> Default for Notice<T> {
    fn default() -> Self {
        Notice {
            waiting: Vec::new(),
            told: VecDeque::new(),
        }
    }
}

impl<T: Copy> Notices<T> {
    /// The thread begins to wait for what has this word.
    pub(super) fn waits(&mut self, process: ProcessId, word: u32, thread: ThreadId) {
        self.0
            .entry((process, word))
            .or_default()
            .waiting
            .push(thread);
    }

    /// Whether anybody waits for it.
    pub(super) fn is_awaited(&self, process: ProcessId, word: u32) -> bool {
        self.0.contains_key(&(process, word))
    }

    /// One that waits for it, or `all`, is woken by a thread that tells it this.
    pub(super) fn tell(&mut self, (process, word): (ProcessId, u32), told: T, all: bool) {
        let Some(notice) = self.0.get_mut(&(process, word)) else {
            return;
        };
        let woken = match all {
            true => {
                notice.told.clear();
                notice.waiting.len()
            }
            false => 1,
        };
        notice.told.extend(std::iter::repeat_n(told, woken));
        // Who was not woken by what was told before has waited in vain.
        while notice.told.len() > notice.waiting.len() {
            notice.told.pop_front();
        }
    }

    /// The thread waits no more. Gives what the one has told it that has woken it, if any is known to have.
    pub(super) fn wakes(&mut self, process: ProcessId, word: u32, thread: ThreadId) -> Option<T> {
        let notice = self.0.get_mut(&(process, word))?;
        notice.waiting.retain(|waiting| *waiting != thread);
        let told = notice.told.pop_front();
        if notice.waiting.is_empty() {
            self.0.remove(&(process, word));
        }
        told
    }

    /// The process has ended.
    pub(super) fn forget(&mut self, process: ProcessId) {
        self.0.retain(|(of, _), _| *of != process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wakes_first_has_what_was_told_first() {
        let mut notices: Notices<Option<u32>> = Notices::default();
        notices.waits(0, 7, 1);
        notices.waits(0, 7, 2);
        notices.tell((0, 7), Some(10), false);
        notices.tell((0, 7), Some(11), false);
        assert_eq!(notices.wakes(0, 7, 2), Some(Some(10)));
        assert_eq!(notices.wakes(0, 7, 1), Some(Some(11)));
        assert!(!notices.is_awaited(0, 7));
    }

    #[test]
    fn nobody_is_told_twice() {
        let mut notices = Notices::default();
        notices.tell((0, 7), Some(10), false);
        notices.waits(0, 7, 1);
        assert_eq!(notices.wakes(0, 7, 1), None, "told before it waited");
        notices.waits(0, 7, 1);
        notices.tell((0, 7), Some(10), false);
        notices.tell((0, 7), None, false);
        assert_eq!(notices.wakes(0, 7, 1), Some(None), "one waits: the newest");
    }

    #[test]
    fn all_are_told_the_same() {
        let mut notices = Notices::default();
        notices.waits(0, 7, 1);
        notices.waits(0, 7, 2);
        notices.waits(1, 7, 3);
        notices.tell((0, 7), Some(10), true);
        assert_eq!(notices.wakes(0, 7, 1), Some(Some(10)));
        assert_eq!(notices.wakes(0, 7, 2), Some(Some(10)));
        assert_eq!(notices.wakes(1, 7, 3), None, "another process");
    }
}
