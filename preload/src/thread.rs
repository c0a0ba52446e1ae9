//! A thread's state: one initial-exec TLS slot that points to mapped memory; and what it records.
//!
//! The state's pages are wiped in a forked child, so that it never writes into its parent's lane.

pub mod end;
mod states;

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use leak_wire::{Asked, Event, Wait, record};

use crate::alternate_stack::AlternateStack;
use crate::caller::window::Window;
pub use crate::lane::Kind;
use crate::lane::Writer;
use crate::sample::Countdown;
use crate::slot::slot;
use crate::stack::Bounds;
use crate::{alternate_stack, kernel, python, session, unwind, window};

pub use crate::unwind::Caller;
pub use states::{begin, give_back, has_lane_of, is_gone, own, reserve_for_new};

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
    /// When the fork that is under way began.
    pub fork_stamp: Cell<u64>,
    /// Frames kept of a backtrace.
    depth: Cell<u32>,
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
    /// Semaphores that it took last, as words, see [`Wait::word`]; 0: none.
    taken: [Cell<u32>; TAKEN],
    /// How many it has taken.
    taken_count: Cell<u32>,
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

/// So many semaphores are remembered: more locks than these are held at once by few.
const TAKEN: usize = 8;
/// A thread without a lane asks for one at every so manieth event.
const TRY_AGAIN: u32 = 256;
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

/// The same where it is not ready as it is.
#[inline(never)]
fn not_open() -> Option<&'static Thread> {
    match state() {
        // What the allocator of a call that pauses asks for is met at each such call.
        Some(thread) if thread.is_in_pause() => None,
        _ => attach(),
    }
}

/// How far before what it gives a debugging allocator asks for more, at most.
const DEBUG_HEAD: usize = 64;

/// This thread's state, if it is in a pause for another block than `block`: what the allocator does to
/// that is its own business, as it was before it was wrapped.
#[cold]
pub fn beside_pause(block: usize) -> Option<&'static Thread> {
    // SAFETY: as in `current`.
    let thread = unsafe { slot().as_ref() }?;
    let within = thread.paused_for.get().wrapping_sub(block) <= DEBUG_HEAD;
    (thread.paused_at.get() != 0 && !within).then_some(thread)
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

/// Writes `event` to this thread's lane, with its stamp. Does nothing when not tracing; leaves errno
/// alone; may be called in a signal handler that interrupted this very function.
#[inline(never)]
pub fn record(event: Event<'_>) {
    if window::is_shut() && (window::is_off() || !window::begins_by_itself()) {
        return;
    }
    let Some(thread) = current() else {
        return count_lost(Kind::of(&event));
    };
    match python::is_present() {
        true => record_with_python(thread, event),
        false => thread.record_any(event),
    }
}

#[inline(never)]
fn record_with_python(thread: &Thread, mut event: Event<'_>) {
    python::collector::look(|runs| thread.record_any(runs));
    if by_whom_matters(&event) {
        // What was done before is told before; a new task looks for itself.
        python::look(thread);
        thread.tell_task();
    }
    let requests = answered(&event);
    thread.record_any(event);
    if requests > 0 && python::collector::answered(thread, requests) {
        event = Event::CollectionAsked;
        thread.record_any(event);
    }
}

/// How many requests the event answers or ends.
fn answered(event: &Event<'_>) -> u32 {
    match event {
        Event::Answer { count, .. } => *count,
        Event::MarkEnd | Event::Mark { .. } => 1,
        _ => 0,
    }
}

/// Whether it matters which task of an event loop did it.
fn by_whom_matters(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Enter { .. }
            | Event::Transferred { .. }
            | Event::MarkBegin { .. }
            | Event::MarkEnd
            | Event::ThreadCreate { .. }
    )
}

#[cold]
#[inline(never)]
fn attach() -> Option<&'static Thread> {
    if !tracing() && !session::is_wanted() || kernel::is_confined() {
        return None;
    }
    if let Some(thread) = state() {
        if thread.paused_at.get() != 0 {
            return thread.left_its_pause().then_some(thread);
        }
        let is_same = thread.asked_in.get() == session::serial();
        if is_same && thread.laneless.get() % TRY_AGAIN != 0 {
            return thread.goes_without_lane();
        }
    }
    let held = kernel::SignalsHeld::new();
    let thread = own()?;
    alternate_stack::run_held(&held, thread, || open_lane(thread))
}

/// Gives the calling thread, which holds its signals back, a lane.
fn open_lane(thread: &'static Thread) -> Option<&'static Thread> {
    let session = session::ensure()?;
    let serial = session::serial();
    thread.asked_in.set(serial);
    if thread.writer.is_open() && thread.writer.serial() == serial {
        return Some(thread);
    }
    // One of an earlier session, which nobody reads any more.
    thread.writer.close();
    let identity = session.identity(thread.kept().fork_stamp.replace(0))?;
    let Some(lane) = session.claim_lane(identity, thread.owner.load(Ordering::Relaxed)) else {
        return thread.goes_without_lane();
    };
    thread.laneless.set(0);
    // Relaxed: the recorder's setting, made before the session.
    let depth = session.header().depth.load(Ordering::Relaxed);
    thread.kept().depth.set(depth);
    // SAFETY: without a lane this thread has no capture under way.
    unsafe { (*thread.kept().unwinder.get()).reset() };
    thread.kept().stacks.begin();
    thread.waits_from.set(0);
    thread.queue_from.set(0);
    end::arm();
    thread.writer.open(lane, thread.kept().bounds.get(), serial);
    if thread.kept().created.take() {
        thread.record(Event::ThreadCreated {
            thread: thread.number(),
        });
    }
    Some(thread)
}

/// Counts an event that was not recorded because [`current`] gives nobody to do it, if the calling thread is to be
/// traced and only has no lane.
#[cold]
#[inline(never)]
pub fn count_lost(kind: Kind) {
    if let Some(thread) = state()
        && !thread.writer.is_open()
        && thread.paused_at.get() == 0
        // What came just before a session began is no loss of its.
        && thread.asked_in.get() == session::serial()
        && let Some(session) = session::current()
    {
        let header = session.header();
        let counter = match kind {
            Kind::Allocation => &header.laneless_allocations,
            Kind::Free => &header.laneless_frees,
            Kind::Fact => &header.laneless_facts,
        };
        // Relaxed: a counter.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The same of the events of a block, given by `call` in the place of `old`; 0 stands for none, both times. What the
/// allocator asks for meanwhile is its own business, as in a pause.
#[cold]
#[inline(never)]
pub fn call_unrecorded<R: Copy>(
    old: usize,
    call: impl FnOnce() -> R,
    new: impl FnOnce(R) -> usize,
) -> R {
    let result = pause_unrecorded(old, call);
    if old != 0 {
        count_lost(Kind::Free);
    }
    if new(result) != 0 {
        count_lost(Kind::Allocation);
    }
    result
}

/// Runs `call`, an allocator's for `block`, of which nothing is recorded, with a pause if there is none.
#[cold]
#[inline(never)]
pub fn pause_unrecorded<R>(block: usize, call: impl FnOnce() -> R) -> R {
    match state().filter(|thread| thread.paused_at.get() == 0) {
        Some(thread) => thread.paused(block, call),
        None => call(),
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

    /// One event more finds no lane.
    fn goes_without_lane(&self) -> Option<&'static Thread> {
        self.laneless.set(self.laneless.get().wrapping_add(1));
        None
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

    /// The same where the kind is not known.
    fn record_any(&self, event: Event<'_>) {
        match event {
            Event::Enter { wait, .. } => self.record_wait(wait, event),
            _ => {
                self.writer.write_any(event);
            }
        }
    }

    fn record_wait(&self, wait: Wait, event: Event<'_>) {
        // After a wait, a queue's lock tells nothing more.
        let told = match wait {
            Wait::Write | Wait::Notify | Wait::NotifyAll => None,
            // Nothing was done since the last wait: no job is over.
            Wait::Wake if self.repeats(&self.waits_from) => return,
            Wait::Wake => None,
            Wait::Queue if self.repeats(&self.waits_from) => return,
            Wait::Queue => Some(&self.queue_from),
            _ => Some(&self.waits_from),
        };
        let anew = wait == Wait::Lock && self.woken.take();
        if !anew && told.is_some_and(|from| self.repeats(from)) {
            return;
        }
        if self.writer.write_any(event)
            && let Some(from) = told
        {
            from.set(self.writer.position().unwrap_or(0));
        }
    }

    /// The thread was woken from a wait for another one.
    #[inline(always)]
    pub fn has_woken(&self) {
        self.woken.set(true);
    }

    /// The thread has taken the semaphore of this word.
    #[inline(always)]
    pub fn has_taken(&self, word: u32) {
        let count = self.taken_count.get();
        self.taken[count as usize % TAKEN].set(word);
        self.taken_count.set(count.wrapping_add(1));
    }

    /// Whether it is one of those that the thread took last.
    #[inline(always)]
    pub fn took(&self, word: u32) -> bool {
        self.taken.iter().any(|taken| taken.get() == word)
    }

    /// Waits, if need be, for room for what is recorded while signals are held.
    #[inline(always)]
    pub fn await_room(&self) {
        self.writer.await_room();
    }

    /// Whether nothing came since the lane ended there.
    fn repeats(&self, from: &Cell<u64>) -> bool {
        let from = from.get();
        from != 0 && self.writer.position() == Some(from)
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

    /// The call site, with the nodes that are new written before.
    #[inline(never)]
    fn site(&self, caller: Caller) -> u32 {
        // A new call site is told with signals held.
        self.await_room();
        let kept = self.kept();
        // SAFETY: only this thread and its handlers use the state; the hook's frame is live.
        unsafe {
            unwind::State::capture(
                kept.unwinder.get(),
                caller,
                kept.bounds.get(),
                kept.depth.get(),
                |event| self.writer.write_any(event),
            )
        }
    }

    /// Tells which task of an event loop the thread runs, if it is another than before.
    #[cold]
    fn tell_task(&self) {
        let (task, stacks) = (python::task(), &self.kept().stacks);
        if !stacks.last_ran(task) {
            alternate_stack::run(|| stacks.runs(task, &mut |event| self.writer.write_any(event)));
        }
    }

    /// Writes a fact to the lane; whether it is there.
    pub fn write(&self, fact: Event<'_>) -> bool {
        self.writer.write_any(fact)
    }

    /// The call site with the Python stack that led to it. For the interpreter's own blocks the whole native backtrace
    /// is seldom needed.
    #[inline(always)]
    fn python_site(&self, caller: Caller, asked: Asked) -> u32 {
        let found = match asked {
            Asked::Interpreter => self.site_in_tree(caller, None, asked),
            Asked::Native => Ok(None),
        };
        if let Ok(Some(site)) = found {
            return site;
        }
        self.site_with_backtrace(caller, asked, found.is_err())
    }

    /// The same with the native backtrace; once more with a new tree if the old one is full, as `is_full` says that
    /// it is.
    #[inline(never)]
    fn site_with_backtrace(&self, caller: Caller, asked: Asked, is_full: bool) -> u32 {
        if is_full {
            return self.site_in_new_tree(caller, asked);
        }
        let native = self.site(caller);
        match self.site_in_tree(caller, Some(native), asked) {
            Ok(site) => site.unwrap_or(native),
            Err(python::Full) => self.site_in_new_tree(caller, asked),
        }
    }

    /// The call site whose native backtrace is `native`, where that is known. `None`: it has to be known.
    #[inline(never)]
    fn site_in_tree(
        &self,
        caller: Caller,
        native: Option<u32>,
        asked: Asked,
    ) -> Result<Option<u32>, python::Full> {
        let kept = self.kept();
        // SAFETY: only this thread and its handlers use the state.
        let found = unsafe {
            unwind::State::with_nodes(kept.unwinder.get(), caller, kept.bounds.get(), |nodes| {
                let mut tell = |event: Event<'_>| self.writer.write_any(event);
                let depth = kept.depth.get();
                // The stacks are this thread's, and only reached through its nodes.
                python::site(&kept.stacks, nodes, depth, native, asked, &mut tell)
            })
        };
        found.unwrap_or(Ok(native))
    }

    #[cold]
    #[inline(never)]
    fn site_in_new_tree(&self, caller: Caller, asked: Asked) -> u32 {
        // SAFETY: no capture is under way.
        unsafe { (*self.kept().unwinder.get()).distrust() };
        let native = self.site(caller);
        let site = self.site_in_tree(caller, Some(native), asked);
        site.ok().flatten().unwrap_or(native)
    }

    /// Runs `call`, an allocator's for `block` (0: a new one), during which nothing is recorded on this
    /// thread.
    #[inline(always)]
    pub fn paused<R>(&self, block: usize, call: impl FnOnce() -> R) -> R {
        let mark = 0_u8;
        self.paused_for.set(block);
        self.paused_at.set(&raw const mark as usize);
        self.writer.pause();
        let result = call();
        self.writer.resume();
        self.paused_at.set(0);
        result
    }

    /// Runs `call` in a pause as if there was none.
    pub fn resumed<R>(&self, call: impl FnOnce() -> R) -> R {
        let paused_at = self.paused_at.replace(0);
        self.writer.resume();
        let result = call();
        self.writer.pause();
        self.paused_at.set(paused_at);
        result
    }

    /// Remembers the block that a hook has just recorded; 0: none.
    #[inline(always)]
    pub fn make(&self, block: usize) {
        self.made.set(block);
    }

    /// That block is free again.
    #[inline(always)]
    pub fn unmake(&self, block: usize) {
        if self.made.get() == block {
            self.made.set(0);
        }
    }

    /// The block that a hook has recorded last, unless it was freed.
    pub fn made(&self) -> usize {
        self.made.get()
    }

    /// Whether this is called by the call that paused this thread, as far as the stack pointer tells: it is
    /// further down.
    #[inline(always)]
    fn is_in_pause(&self) -> bool {
        let here = 0_u8;
        (&raw const here as usize) < self.paused_at.get()
    }

    /// Whether the call that paused this thread was left by a jump out of a signal handler: the stack
    /// pointer is back above it. Then the pause is over.
    #[cold]
    fn left_its_pause(&self) -> bool {
        let (here, bounds) = (0_u8, self.kept().bounds.get());
        let (here, paused_at) = (&raw const here as u64, self.paused_at.get() as u64);
        let left = bounds.contain(here) && bounds.contain(paused_at) && here > paused_at;
        if left {
            self.paused_at.set(0);
            self.writer.resume();
        }
        left && self.writer.is_open()
    }
}
