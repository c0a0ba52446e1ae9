//! Which task the thread runs: a coroutine of a Python event loop, or what a runtime polls.

use core::cell::Cell;

use leak_wire::Event;

/// What is known of the tasks of a thread. All zeros: it runs none.
pub struct Tasks {
    /// As the lane was told last, see [`Event::Task`].
    told: Cell<u64>,
    /// What a runtime polls on it, 0: nothing.
    polled: Cell<u64>,
    /// Where on the stack it does so.
    polled_at: Cell<usize>,
}

/// What a runtime polled when it began to poll another task.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Polled {
    task: u64,
    at: usize,
}

impl Tasks {
    /// Tells `task` unless it was told last; 0: none but what a runtime polls. The task that it told, if one: that one
    /// lasts until its block is freed, so the end of the block is to be recorded, see [`crate::sample::watch`].
    #[inline(always)]
    pub fn runs(&self, task: u64, tell: &mut impl FnMut(Event<'_>) -> bool) -> Option<u64> {
        let task = self.or_polled(task);
        let is_told = self.told.get() != task && tell(Event::Task { task });
        if is_told {
            self.told.set(task);
        }
        (is_told && task != 0).then_some(task)
    }

    /// A runtime polls `task` from here on, in a call at this place of the stack; what it polled before. A call that lay
    /// there or below has been left, if not by its end (a panic that went through it).
    #[inline(always)]
    pub fn begins_poll(&self, task: u64, at: usize) -> Polled {
        let before = Polled {
            task: self.polled.replace(task),
            at: self.polled_at.replace(at),
        };
        match before.at > at {
            true => before,
            false => Polled::default(),
        }
    }

    /// The call is over: the runtime goes on with what it polled `before`.
    #[inline(always)]
    pub fn ends_poll(&self, before: Polled) {
        self.polled.set(before.task);
        self.polled_at.set(before.at);
    }

    /// Whether `task` was told last.
    pub fn last_ran(&self, task: u64) -> bool {
        self.told.get() == self.or_polled(task)
    }

    /// A new lane begins: nothing was told in it.
    pub fn begin(&self) {
        self.told.set(0);
    }

    /// A thread begins: what the one before had in this place is nothing to it.
    pub fn begin_anew(&self) {
        self.begin();
        self.ends_poll(Polled::default());
    }

    fn or_polled(&self, task: u64) -> u64 {
        match task {
            0 => self.polled.get(),
            task => task,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_that_was_left_is_not_gone_back_to() {
        let tasks = Tasks {
            told: Cell::new(0),
            polled: Cell::new(0),
            polled_at: Cell::new(0),
        };
        let runs = |task| {
            let mut is_told = false;
            tasks.runs(0, &mut |event| {
                is_told = event == Event::Task { task };
                true
            });
            assert!(is_told, "{task}");
        };
        let outermost = tasks.begins_poll(1, 1000);
        runs(1);
        let outer = tasks.begins_poll(2, 900);
        runs(2);
        tasks.ends_poll(outer);
        runs(1);
        // This one is left by a panic, and what lay above it, too.
        tasks.begins_poll(3, 900);
        runs(3);
        let next = tasks.begins_poll(4, 1000);
        runs(4);
        tasks.ends_poll(next);
        runs(0);
        tasks.ends_poll(outermost);
        assert!(tasks.last_ran(0));
    }
}
