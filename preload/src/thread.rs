//! A thread's state: one initial-exec TLS slot that points to mapped memory; and what it records.
//!
//! The state's pages are wiped in a forked child, so that it never writes into its parent's lane.

mod attach;
pub mod end;
mod fact;
mod pause;
mod semaphores;
mod site;
mod states;
mod task;

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use leak_wire::{Asked, Event, record};

use crate::alternate_stack::AlternateStack;
use crate::caller::window::Window;
use crate::lane::Writer;
use crate::sample::Countdown;
use crate::slot::slot;
use crate::stack::Bounds;
use crate::{alternate_stack, kernel, python, session, stack, unwind};

pub use crate::lane::Kind;
pub use crate::unwind::Caller;
use attach::not_open;
use semaphores::Semaphores;

pub use attach::count_lost;
pub use fact::{begins_poll, ends_poll, record};
pub use pause::{beside_pause, call_unrecorded, pause_unrecorded};
pub use states::{begin, give_back, has_lane_of, is_gone, own, reserve_for_new};
pub use task::{Polled, Tasks};

/// What stays in a forked child.
#[repr(C)]
pub struct Kept {
    /// See [`alternate_stack`].
    stack: UnsafeCell<Stack>,
    next: Cell<*mut Thread>,
    /// Somebody takes the state over: its owner may be wiped at the moment, and it isn't free.
    taking: AtomicBool,
    /// The thread's stack.
    pub bounds: Cell<Bounds>,
    /// From there upwards it has plenty of it left, see [`stack::bounds`].
    plenty_from: Cell<u64>,
    /// When the fork that is under way began.
    pub fork_stamp: Cell<u64>,
    /// Frames kept of a backtrace.
    depth: Cell<u32>,
    /// The tasks that it runs.
    tasks: Tasks,
    /// Its Python stacks. Not wiped, because they own mapped memory.
    stacks: python::Stacks,
    /// Memory for an environment, and how much.
    scratch: Cell<(*mut u8, usize)>,
    /// For what its calls are given.
    pub window: Window,
    /// What a thread that starts is to run.
    pub start: Cell<Option<Start>>,
    /// Another thread has created this one, as it told, and this one has not told yet.
    pub created: Cell<bool>,
    /// Its backtraces. Not wiped, because it owns mapped memory: reset with each lane. The last, as it is long.
    unwinder: UnsafeCell<unwind::State>,
}

/// Bytes of an alternate stack.
#[repr(C, align(16))]
struct Stack([u8; alternate_stack::SIZE]);

/// What `pthread_create` was asked to run.
#[derive(Clone, Copy)]
pub struct Start {
    /// The function.
    pub routine: extern "C" fn(*mut c_void) -> *mut c_void,
    /// Its argument.
    pub argument: *mut c_void,
    /// The size of the new thread's stack.
    pub stack_size: u64,
}

/// One thread's state. All zeros is valid: no lane yet.
#[repr(C, align(4096))]
pub struct Thread {
    writer: Writer,
    /// The thread's tid; `states::RESERVED` while it is handed to a thread that starts; 0: free.
    owner: AtomicU32,
    /// Where the lane ended when it was told last that the thread waits; see `repeats`.
    waits_from: Cell<u64>,
    /// It was woken since: its next wait is told although nothing else may have been.
    woken: Cell<bool>,
    /// The same as `waits_from` of a queue's lock.
    queue_from: Cell<u64>,
    /// Semaphores that it has taken.
    pub semaphores: Semaphores,
    /// Events that found no lane, to try again now and then.
    laneless: Cell<u32>,
    /// The number of the session in which it asked for a lane last.
    asked_in: Cell<u32>,
    /// To the next block of a sample.
    pub countdown: Countdown,
    /// A place on the stack of the call during which nothing is recorded, 0: none is under way.
    paused_at: Cell<usize>,
    /// The block that this call is about, 0: a new one.
    paused_for: Cell<usize>,
    /// The block that a hook has recorded last, unless it was freed; 0: none.
    made: Cell<usize>,
    /// Work is done on the alternate stack.
    on_alternate_stack: AtomicBool,
}

const PAGE: usize = 4096;

#[repr(C)]
struct Memory {
    thread: Thread,
    kept: UnsafeCell<KeptPage>,
}

#[repr(C, align(4096))]
struct KeptPage(Kept);

/// This thread's state, ready to write; `None` while nothing is traced.
#[inline(always)]
pub fn current() -> Option<&'static Thread> {
    match state() {
        // A lane of an earlier session is none.
        Some(thread) if thread.writer.is_open() && thread.writer.serial() == session::serial() => {
            Some(thread)
        }
        _ => not_open(),
    }
}

/// Whether events are recorded in this process.
#[inline(always)]
pub fn tracing() -> bool {
    session::is_tracing() || session::is_unstarted()
}

/// The calling thread's tid. (A vfork child has its parent's.)
pub fn tid() -> u32 {
    // Relaxed: this thread's own. 0 in a forked child at first; only a thread that starts has another mark there.
    let known = state().map_or(0, |thread| thread.owner.load(Ordering::Relaxed));
    match known {
        0 => kernel::gettid(),
        tid => tid,
    }
}

/// The calling thread's state, traced or not; `None` before it has one.
#[inline(always)]
pub fn state() -> Option<&'static Thread> {
    // SAFETY: the slot holds null or a state, which is never unmapped and valid for any bytes.
    unsafe { slot().as_ref() }
}

impl Kept {
    fn set_bounds(&self, (bounds, plenty_from): (Bounds, u64)) {
        self.bounds.set(bounds);
        self.plenty_from.set(plenty_from);
    }

    /// Whether the thread runs on its own stack at `sp`, and has plenty of it left.
    #[inline(always)]
    fn has_plenty(&self, sp: u64) -> bool {
        (self.plenty_from.get()..self.bounds.get().high).contains(&sp) && stack::ends_as_found()
    }
}

impl Thread {
    /// What stays in a forked child.
    pub fn kept(&self) -> &Kept {
        // The reference is to the state alone; what was exposed when it was mapped is all of the memory.
        let address = core::ptr::from_ref(self).addr();
        let memory = core::ptr::with_exposed_provenance::<Memory>(address);
        // SAFETY: every state is the first field of a `Memory`, and `Kept` is changed through cells
        // by its own thread only.
        unsafe { &(*(*memory).kept.get()).0 }
    }

    /// The thread's alternate stack.
    pub fn alternate_stack(&self) -> AlternateStack<'_> {
        AlternateStack {
            top: self.kept().stack.get().wrapping_add(1).cast(),
            is_taken: &self.on_alternate_stack,
        }
    }

    /// The thread's number in its process, as [`Event::ThreadCreate`] has it.
    pub fn number(&self) -> u64 {
        core::ptr::from_ref(self) as u64
    }

    /// Memory of this thread for a moment, null if there is none. A later call gives the same again.
    pub fn scratch(&self, bytes: usize) -> *mut u8 {
        let scratch = &self.kept().scratch;
        let (memory, size) = scratch.get();
        if size >= bytes {
            return memory;
        }
        scratch.set((null_mut(), 0));
        if size > 0 {
            // SAFETY: nobody uses it any more, by the contract above.
            unsafe { kernel::unmap(memory, size) };
        }
        let size = bytes.next_multiple_of(PAGE);
        let memory = kernel::map(size);
        scratch.set(memory.map_or((null_mut(), 0), |memory| (memory, size)));
        scratch.get().0
    }

    /// Records a free in the common case, in a straight line. False: it is another one, and nothing was
    /// done.
    #[inline(always)]
    pub fn frees_as_usual(&self, address: u64) -> bool {
        self.writer.position().is_some_and(|position| {
            self.writer
                .write_alone(position, address, &record::free(address))
        })
    }

    /// The same of an allocation: its call site is known, too.
    #[inline(always)]
    pub fn allocates_as_usual(&self, caller: Caller, address: u64, size: usize) -> bool {
        let (Some(position), Ok(size)) = (self.writer.position(), u32::try_from(size)) else {
            return false;
        };
        if python::is_present() {
            return false;
        }
        // SAFETY: only this thread and its handlers use the state; the hook's frame is live.
        let site = unsafe { unwind::State::recalled(self.kept().unwinder.get(), caller) };
        site != 0
            && self
                .writer
                .write_alone(position, address, &record::allocation(address, size, site))
    }

    /// Writes `event` to the lane, with what orders it. Inlined, so that a known kind folds.
    #[inline(always)]
    pub fn record(&self, event: Event<'_>) {
        match event {
            Event::Enter { wait, .. } => self.record_wait(wait, event),
            _ => {
                self.writer.write(event);
            }
        }
    }

    /// Waits, if need be, for room for what is recorded while signals are held.
    #[inline(always)]
    pub fn await_room(&self) {
        self.writer.await_room();
    }

    /// Whether a new block is not in the sample, as most are not. Else it may be.
    #[inline(always)]
    pub fn passes(&self, size: usize) -> bool {
        self.writer.is_open() && !self.countdown.reaches(size)
    }

    /// Counts an allocation that could not be recorded.
    #[cold]
    pub fn count_dropped_allocation(&self) {
        self.writer.count_dropped_allocation();
    }

    /// Writes the event that `event` makes of the caller's call site.
    #[inline(always)]
    pub fn record_at<'a>(&self, caller: Caller, event: impl FnOnce(u32) -> Event<'a>) {
        self.record_asked(caller, Asked::Native, event);
    }

    /// The same for a block that the Python interpreter's own allocators gave.
    #[inline(always)]
    pub fn record_python<'a>(&self, caller: Caller, event: impl FnOnce(u32) -> Event<'a>) {
        self.record_asked(caller, Asked::Interpreter, event);
    }

    #[inline(always)]
    fn record_asked<'a>(&self, caller: Caller, asked: Asked, event: impl FnOnce(u32) -> Event<'a>) {
        let site = match python::is_present() {
            true => self.python_site(caller, asked),
            false => self.site(caller),
        };
        self.writer.write_any(event(site));
    }
}
