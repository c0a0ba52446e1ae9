//! Which semaphores the thread has taken: those that it has are locks, as CPython's are. And which lock it waits with,
//! where a condition variable is made of two of them (CPython's `threading.Condition`): it takes a new semaphore, gives
//! the lock back, and takes the new one again, which only another thread can make possible; then the lock.

use core::cell::Cell;

/// So many semaphores are remembered: more locks than these are held at once by few.
const TAKEN: usize = 8;

/// Addresses of semaphores, 0: none. All zeros is valid.
pub struct Semaphores {
    /// Those that the thread took last and has not given back.
    taken: [Cell<usize>; TAKEN],
    /// How many it has taken.
    taken_count: Cell<usize>,
    /// The one that it gave back last, if it has taken none since.
    given: Cell<usize>,
    /// The lock that it waits with, until it has that again.
    waits_with: Cell<usize>,
}

impl Semaphores {
    /// The thread has taken the semaphore; whether it has waited with it, and so has it again.
    #[inline(always)]
    pub fn has_taken(&self, semaphore: usize) -> bool {
        let count = self.taken_count.get();
        self.taken[count % TAKEN].set(semaphore);
        self.taken_count.set(count.wrapping_add(1));
        self.given.set(0);
        let has_waited = self.waits_with.get() == semaphore;
        if has_waited {
            self.waits_with.set(0);
        }
        has_waited
    }

    /// The thread gives the semaphore back, or up; whether it had taken it.
    #[inline(always)]
    pub fn gives(&self, semaphore: usize) -> bool {
        let place = self.taken.iter().find(|taken| taken.get() == semaphore);
        let lock = place.map_or(0, |place| place.replace(0));
        self.given.set(lock);
        lock != 0
    }

    /// The thread waits for the semaphore; gives the lock that it waits with, if it does with one.
    #[inline(always)]
    pub fn waits_with(&self, semaphore: usize) -> Option<usize> {
        let lock = self.given.take();
        let is_own = self.taken.iter().any(|taken| taken.get() == semaphore);
        (is_own && lock != 0).then(|| {
            self.waits_with.set(lock);
            lock
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: usize = 0x1000;
    const OTHER: usize = 0x2000;
    const NEW: usize = 0x3000;

    fn none() -> Semaphores {
        Semaphores {
            taken: [const { Cell::new(0) }; TAKEN],
            taken_count: Cell::new(0),
            given: Cell::new(0),
            waits_with: Cell::new(0),
        }
    }

    #[test]
    fn a_condition_variable_of_two_semaphores_has_a_lock() {
        let known = none();
        for _ in 0..3 {
            assert!(!known.has_taken(LOCK));
            assert!(!known.has_taken(NEW));
            assert!(known.gives(LOCK));
            assert_eq!(known.waits_with(NEW), Some(LOCK));
            // Another thread has given it up; this one has the lock again, and gives that back.
            assert!(!known.has_taken(NEW));
            assert!(known.has_taken(LOCK));
            assert!(known.gives(LOCK));
        }
    }

    #[test]
    fn a_lock_that_another_thread_has_is_no_such_wait() {
        let known = none();
        known.has_taken(LOCK);
        known.has_taken(OTHER);
        known.gives(OTHER);
        known.gives(LOCK);
        assert_eq!(known.waits_with(OTHER), None, "it was given back");
        // Nor where something was taken since the lock was given back.
        known.has_taken(LOCK);
        known.has_taken(NEW);
        known.gives(LOCK);
        known.has_taken(OTHER);
        assert_eq!(known.waits_with(NEW), None);
    }

    #[test]
    fn what_was_not_taken_is_given_up() {
        let known = none();
        assert!(!known.gives(LOCK));
        known.has_taken(LOCK);
        assert!(known.gives(LOCK));
        assert!(!known.gives(LOCK));
    }
}
