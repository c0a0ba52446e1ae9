//! All threads' states: who has one, and whose is free again.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::{Memory, Thread, state};
use crate::slot::set_slot;
use crate::{kernel, session, stack};

/// In `Thread::owner`, see there.
const RESERVED: u32 = u32::MAX;

/// All states ever mapped, linked through `Kept::next`; they are reused, never unmapped.
static ALL: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
/// Where the search for a state whose thread is gone goes on.
static SEARCH: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
/// How many states a starting thread looks at before it maps a new one: fewer with each that has looked in vain, as where
/// thousands of threads live.
const LOOKS: u32 = 8;
static LOOKS_NOW: AtomicU32 = AtomicU32::new(LOOKS);

/// This thread's state, with or without a lane.
pub fn own() -> Option<&'static Thread> {
    if kernel::is_confined() {
        return state();
    }
    let tid = kernel::gettid();
    if let Some(thread) = state() {
        // In a forked child it was wiped to 0; a vfork child leaves its parent's alone. Relaxed: no
        // other thread takes over a state before it has its own.
        if thread.owner.load(Ordering::Relaxed) == 0 {
            thread.owner.store(tid, Ordering::Relaxed);
        }
        return Some(thread);
    }
    let thread = reserve(tid)?;
    thread.kept().set_bounds(stack::bounds(None));
    thread.kept().created.set(false);
    thread.kept().window.begin();
    thread.kept().tasks.begin_anew();
    set_slot(core::ptr::from_ref(thread).cast_mut());
    Some(thread)
}

/// A state for a thread that is about to be created.
pub fn reserve_for_new() -> Option<&'static Thread> {
    reserve(RESERVED)
}

/// Makes `thread`, which was reserved for it, the calling thread's state.
pub fn begin(thread: &'static Thread, stack_size: u64) {
    thread.kept().set_bounds(stack::bounds(Some(stack_size)));
    thread.kept().created.set(true);
    thread.kept().window.begin();
    thread.kept().tasks.begin_anew();
    set_slot(core::ptr::from_ref(thread).cast_mut());
    // Release: pairs with the Acquire of whoever takes it over one day.
    thread.owner.store(kernel::gettid(), Ordering::Release);
}

/// Gives back a state that was reserved for a thread that could not be created.
pub fn give_back(thread: &'static Thread) {
    // Release: as above.
    thread.owner.store(0, Ordering::Release);
}

/// How many states are looked at for an owner of regions.
const OWNERS_LOOKED_AT: usize = 256;

/// Whether the thread that owns regions by the number `owner` is gone, as far as can be told quickly.
#[cold]
pub fn is_gone(owner: u32) -> bool {
    // Acquire: pairs with the Release that put a state into the list.
    let mut next = ALL.load(Ordering::Acquire);
    for _ in 0..OWNERS_LOOKED_AT {
        // SAFETY: null or a state of the list.
        let Some(thread) = (unsafe { next.as_ref() }) else {
            // Its state was wiped, which happens when its thread is gone.
            return true;
        };
        if thread.writer.owner() == owner {
            // Relaxed: the kernel is asked.
            let tid = thread.owner.load(Ordering::Relaxed);
            return tid != RESERVED && tid != 0 && kernel::thread_gone(tid);
        }
        next = thread.kept().next.get();
    }
    false
}

/// Whether a thread that lives has had a lane of this process's session `serial` last: it may be in a call that began
/// then.
pub fn has_lane_of(serial: u32) -> bool {
    // Acquire: pairs with the Release that put a state into the list.
    let mut next = ALL.load(Ordering::Acquire);
    // SAFETY: null or a state of the list.
    while let Some(thread) = unsafe { next.as_ref() } {
        // Relaxed: the kernel is asked.
        let tid = thread.owner.load(Ordering::Relaxed);
        if thread.writer.serial() == serial
            && tid != 0
            && tid != RESERVED
            && !kernel::thread_gone(tid)
        {
            return true;
        }
        next = thread.kept().next.get();
    }
    false
}

/// A state for `owner`: one whose thread is gone, or a new one.
fn reserve(owner: u32) -> Option<&'static Thread> {
    if kernel::is_confined() {
        return None; // whose thread is gone can't be asked
    }
    // Relaxed, all: a measure.
    let looks = LOOKS_NOW.load(Ordering::Relaxed);
    for _ in 0..looks {
        // Acquire, all: pairs with the Release that put a state into the list.
        let mut candidate = SEARCH.load(Ordering::Acquire);
        if candidate.is_null() {
            candidate = ALL.load(Ordering::Acquire);
        }
        // SAFETY: null or a state of the list.
        let Some(thread) = (unsafe { candidate.as_ref() }) else {
            break;
        };
        // Release: pairs with the Acquire above.
        SEARCH.store(thread.kept().next.get(), Ordering::Release);
        if thread.take_over(owner) {
            LOOKS_NOW.store(LOOKS, Ordering::Relaxed);
            return Some(thread);
        }
    }
    LOOKS_NOW.store((looks / 2).max(1), Ordering::Relaxed);
    map_new(owner)
}

fn map_new(owner: u32) -> Option<&'static Thread> {
    let memory = kernel::map(size_of::<Memory>())?;
    // For `Thread::kept`.
    memory.expose_provenance();
    // SAFETY: our fresh mapping; wiping is what the state's users expect. Where the kernel can't
    // (before 4.14), the fork hook does it.
    let _ = unsafe { kernel::advise(memory, size_of::<Thread>(), libc::MADV_WIPEONFORK) };
    let pointer = memory.cast::<Thread>();
    // SAFETY: mapped for ever, zeros are valid.
    let thread = unsafe { &*pointer };
    thread.owner.store(owner, Ordering::Relaxed);
    // Acquire and Release: pair with the loads in `reserve`.
    let mut first = ALL.load(Ordering::Acquire);
    loop {
        thread.kept().next.set(first);
        match ALL.compare_exchange(first, pointer, Ordering::Release, Ordering::Acquire) {
            Ok(_) => return Some(thread),
            Err(now) => first = now,
        }
    }
}

impl Thread {
    /// Takes this state over for `owner` if its thread is gone. No second taker comes in meanwhile: to it the
    /// owner that is wiped here would look like a free state's. (A child forked meanwhile never takes this
    /// one over.)
    fn take_over(&self, owner: u32) -> bool {
        let taking = &self.kept().taking;
        // Acquire: pairs with the Release below.
        if taking.swap(true, Ordering::Acquire) {
            return false;
        }
        let taken = self.take_over_alone(owner);
        taking.store(false, Ordering::Release);
        taken
    }

    fn take_over_alone(&self, owner: u32) -> bool {
        let before = self.owner.load(Ordering::Relaxed);
        let gone =
            before != RESERVED && (before == 0 || before == owner || kernel::thread_gone(before));
        // Acquire: whatever the gone thread wrote came before the kernel told that it is gone.
        if !gone
            || self
                .owner
                .compare_exchange(before, RESERVED, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        if let Some(lane) = self.writer.lane() {
            session::lane_is_gone(lane);
        }
        // SAFETY: our own pages, whose thread is gone: zeros are what the next one expects.
        let wiped = unsafe {
            kernel::advise(
                core::ptr::from_ref(self).cast(),
                size_of::<Thread>(),
                libc::MADV_DONTNEED,
            )
        };
        if wiped.is_err() {
            return false;
        }
        self.owner.store(owner, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_state_is_reserved_once() {
        let held = Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let state = reserve_for_new().unwrap();
                        let address = core::ptr::from_ref(state) as usize;
                        assert!(held.lock().unwrap().insert(address), "reserved twice");
                        held.lock().unwrap().remove(&address);
                        give_back(state);
                    }
                });
            }
        });
    }
}
