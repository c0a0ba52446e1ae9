//! Which task the thread runs: a coroutine of a Python event loop, or what a runtime polls.

use core::cell::Cell;

use leak_wire::Event;

/// What is known of the tasks of a thread. All zeros: it runs none.
pub struct Tasks {
    /// As the lane was told last, see [`Event::Task`].
    told: Cell<u64>,
    /// What a runtime polls on it, 0: nothing.
    polled: Cell<u64>,
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

    /// A runtime polls `task` from here on, 0: none; what it polled before.
    #[inline(always)]
    pub fn polls(&self, task: u64) -> u64 {
        self.polled.replace(task)
    }

    /// Whether `task` was told last.
    pub fn last_ran(&self, task: u64) -> bool {
        self.told.get() == self.or_polled(task)
    }

    /// A new lane begins: nothing was told in it.
    pub fn begin(&self) {
        self.told.set(0);
    }

    fn or_polled(&self, task: u64) -> u64 {
        match task {
            0 => self.polled.get(),
            task => task,
        }
    }
}
