//! A thread's state: one initial-exec TLS slot that points to mapped memory; and the section in which
//! a thread writes records, which knows when it was interrupted by a signal handler and when it was
//! left by `siglongjmp`.
//!
//! The state's pages are wiped in a forked child, so that it never writes into its parent's lane.

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence};

use leak_wire::{Asked, Event, Wait};

use crate::lane::Writer;
use crate::slot::{set_slot, slot};
use crate::stack::Bounds;
use crate::unwind::Registers;
use crate::{kernel, python, session, stack, unwind};

/// The caller of a hook: its stack pointer (at the return address) and frame pointer at the entry.
#[derive(Clone, Copy)]
pub struct Caller {
    /// rsp; the return address lies there.
    pub sp: u64,
    /// rbp.
    pub bp: u64,
}

/// What stays in a forked child.
pub struct Kept {
    next: Cell<*mut Thread>,
    /// The thread's stack.
    pub bounds: Cell<Bounds>,
    /// When the fork that is under way began.
    pub fork_stamp: Cell<u64>,
    /// Frames kept of a backtrace.
    depth: Cell<u32>,
    /// Its backtraces. Not wiped, because it owns mapped memory: reset with each lane.
    unwinder: UnsafeCell<unwind::State>,
    /// Its Python stacks. Stays for the same reason.
    stacks: python::Stacks,
    /// Memory for an environment, and how much.
    scratch: Cell<(*mut u8, usize)>,
    /// What a thread that starts is to run.
    pub start: Cell<Option<Start>>,
}

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
    /// Address of the cookie on the stack of the outermost writing section, 0: none.
    section: AtomicUsize,
    /// The cookie that must lie there.
    cookie: AtomicU64,
    /// The thread's tid; `RESERVED` while it is handed to a thread that starts; 0: free.
    owner: AtomicU32,
    /// What `Event::Enter` was recorded last with nothing since; see `repeats`.
    entered: Cell<Entered>,
    /// Events that found no lane, to try again now and then.
    laneless: Cell<u32>,
    /// A place on the stack of the call during which nothing is recorded, 0: none is under way.
    paused_at: Cell<usize>,
}

/// The last thing recorded, as far as `Event::Enter` goes. Zero: something else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entered {
    No = 0,
    Idle = 1,
}

/// A thread without a lane asks for one at every so manieth event.
const TRY_AGAIN: u32 = 256;
const RESERVED: u32 = u32::MAX;
const PAGE: usize = 4096;

#[repr(C)]
struct Memory {
    thread: Thread,
    kept: UnsafeCell<KeptPage>,
}

#[repr(C, align(4096))]
struct KeptPage(Kept);

/// All states ever mapped, linked through `Kept::next`; they are reused, never unmapped.
static ALL: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
/// Where the search for a state whose thread is gone goes on.
static SEARCH: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
/// How many states a starting thread looks at before it maps a new one.
const LOOKS: usize = 8;

/// This thread's state, ready to write; `None` while nothing is traced.
#[inline(always)]
pub fn current() -> Option<&'static Thread> {
    // SAFETY: the slot holds null or a state, which is never unmapped and valid for any bytes.
    if let Some(thread) = unsafe { slot().as_ref() }
        && thread.writer.is_open()
    {
        return Some(thread);
    }
    attach()
}

/// Whether events are recorded in this process.
#[inline(always)]
pub fn tracing() -> bool {
    session::is_tracing() || session::is_unstarted()
}

/// Writes `event` to this thread's lane, with its stamp. Does nothing when not tracing; leaves errno
/// alone; may be called in a signal handler that interrupted this very function.
#[inline(never)]
pub fn record(event: Event<'_>) {
    let Some(thread) = current() else {
        return;
    };
    if python::is_present() && by_whom_matters(&event) {
        thread.tell_task();
    }
    thread.record(event);
}

/// Whether it matters which task of an event loop did it.
fn by_whom_matters(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Enter { .. } | Event::Transferred { .. } | Event::MarkBegin { .. } | Event::MarkEnd
    )
}

#[cold]
#[inline(never)]
fn attach() -> Option<&'static Thread> {
    if !tracing() || kernel::is_confined() {
        return None;
    }
    // SAFETY: as in `current`.
    if let Some(thread) = unsafe { slot().as_ref() } {
        if thread.paused_at.get() != 0 {
            return thread.left_its_pause().then_some(thread);
        }
        if thread.laneless.get() % TRY_AGAIN != 0 {
            thread.count_laneless();
            return None;
        }
    }
    let _held = kernel::SignalsHeld::new();
    let session = session::ensure()?;
    let thread = own()?;
    if thread.writer.is_open() {
        return Some(thread);
    }
    let identity = session.identity(thread.kept().fork_stamp.replace(0))?;
    match session.claim_lane(identity, thread.owner.load(Ordering::Relaxed)) {
        Some(lane) => {
            thread.laneless.set(0);
            // Relaxed: the recorder's setting, made before the session.
            let depth = session.header().depth.load(Ordering::Relaxed);
            thread.kept().depth.set(depth);
            // SAFETY: without a lane this thread has no capture under way.
            unsafe { (*thread.kept().unwinder.get()).reset() };
            thread.kept().stacks.begin();
            thread.writer.open(lane);
            Some(thread)
        }
        None => {
            thread.count_laneless();
            None
        }
    }
}

/// This thread's state, with or without a lane.
pub fn own() -> Option<&'static Thread> {
    if kernel::is_confined() {
        // SAFETY: as in `current`.
        return unsafe { slot().as_ref() };
    }
    let tid = kernel::gettid();
    // SAFETY: as in `current`.
    if let Some(thread) = unsafe { slot().as_ref() } {
        // In a forked child it was wiped to 0; a vfork child leaves its parent's alone. Relaxed: no
        // other thread takes over a state before it has its own.
        if thread.owner.load(Ordering::Relaxed) == 0 {
            thread.owner.store(tid, Ordering::Relaxed);
        }
        return Some(thread);
    }
    let thread = reserve(tid)?;
    thread.kept().bounds.set(stack::bounds(None));
    set_slot(core::ptr::from_ref(thread).cast_mut());
    Some(thread)
}

/// A state for a thread that is about to be created.
pub fn reserve_for_new() -> Option<&'static Thread> {
    reserve(RESERVED)
}

/// Makes `thread`, which was reserved for it, the calling thread's state.
pub fn begin(thread: &'static Thread, stack_size: u64) {
    thread.kept().bounds.set(stack::bounds(Some(stack_size)));
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

/// A state for `owner`: one whose thread is gone, or a new one.
fn reserve(owner: u32) -> Option<&'static Thread> {
    if kernel::is_confined() {
        return None; // whose thread is gone can't be asked
    }
    for _ in 0..LOOKS {
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
            return Some(thread);
        }
    }
    map_new(owner)
}

fn map_new(owner: u32) -> Option<&'static Thread> {
    let memory = kernel::map(size_of::<Memory>())?;
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
    /// What stays in a forked child.
    pub fn kept(&self) -> &Kept {
        let memory = core::ptr::from_ref(self).cast::<Memory>();
        // SAFETY: every state is the first field of a `Memory`, and `Kept` is changed through cells
        // by its own thread only.
        unsafe { &(*(*memory).kept.get()).0 }
    }

    /// Memory of this thread for a moment, null if there is none. A later call gives the same again.
    pub fn scratch(&self, bytes: usize) -> *mut u8 {
        let scratch = &self.kept().scratch;
        let (memory, size) = scratch.get();
        if size >= bytes {
            return memory;
        }
        if size > 0 {
            // SAFETY: nobody uses it any more, by the contract above.
            unsafe { kernel::unmap(memory, size) };
        }
        let size = bytes.next_multiple_of(PAGE);
        let memory = kernel::map(size);
        scratch.set(memory.map_or((null_mut(), 0), |memory| (memory, size)));
        scratch.get().0
    }

    /// Takes this state over for `owner` if its thread is gone.
    fn take_over(&self, owner: u32) -> bool {
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

    /// Writes `event` to the lane, with its stamp. Inlined, so that a known kind folds.
    #[inline(always)]
    pub fn record(&self, event: Event<'_>) {
        if self.repeats(&event) {
            return;
        }
        let mut cookie = 0;
        let outermost = self.enter(&mut cookie);
        self.write(event, outermost);
        self.leave(&mut cookie, outermost);
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
        self.entered.set(Entered::No);
        let mut cookie = 0;
        let outermost = self.enter(&mut cookie);
        let mut site = self.site(caller, outermost);
        if python::is_present() {
            site = self.pair(caller, outermost, site, asked);
        }
        self.write(event(site), outermost);
        self.leave(&mut cookie, outermost);
    }

    /// The call site, with the nodes that are new written before.
    #[inline]
    fn site(&self, caller: Caller, outermost: bool) -> u32 {
        let kept = self.kept();
        let registers = Registers {
            // SAFETY: at a hook's entry the return address lies at rsp.
            pc: unsafe { *(caller.sp as *const u64) },
            sp: caller.sp,
            bp: caller.bp,
        };
        // SAFETY: only this thread and its handlers use the state; the hook's frame is live.
        unsafe {
            unwind::State::capture(
                kept.unwinder.get(),
                registers,
                kept.bounds.get(),
                kept.depth.get(),
                |event| self.write(event, outermost),
            )
        }
    }

    /// Tells which task of an event loop the thread runs, if it is another than before.
    #[cold]
    fn tell_task(&self) {
        let (task, stacks) = (python::task(), &self.kept().stacks);
        if !stacks.last_ran(task) {
            let mut cookie = 0;
            let outermost = self.enter(&mut cookie);
            stacks.runs(task, &mut |event| self.write(event, outermost));
            self.leave(&mut cookie, outermost);
        }
    }

    /// The call site `native` with the Python stack that led to it.
    #[inline(never)]
    fn pair(&self, caller: Caller, outermost: bool, native: u32, asked: Asked) -> u32 {
        let kept = self.kept();
        let pair = |native| {
            // SAFETY: only this thread and its handlers use the state.
            let found = unsafe {
                unwind::State::with_nodes(
                    kept.unwinder.get(),
                    caller.sp,
                    kept.bounds.get(),
                    |nodes| {
                        let mut tell = |event: Event<'_>| self.write(event, outermost);
                        let depth = kept.depth.get();
                        // The stacks are this thread's, and only reached through its nodes.
                        python::site(&kept.stacks, nodes, depth, native, asked, &mut tell)
                    },
                )
            };
            found.unwrap_or(Ok(native))
        };
        pair(native).unwrap_or_else(|python::Full| {
            // SAFETY: no capture is under way.
            unsafe { (*kept.unwinder.get()).distrust() };
            let native = self.site(caller, outermost);
            pair(native).unwrap_or(native)
        })
    }

    /// Runs `call`, an allocator's, during which nothing is recorded on this thread.
    #[inline(always)]
    pub fn paused<R>(&self, call: impl FnOnce() -> R) -> R {
        let mark = 0_u8;
        self.paused_at.set(&raw const mark as usize);
        self.writer.pause();
        let result = call();
        self.writer.resume();
        self.paused_at.set(0);
        result
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

    /// Writes an event from inside a section.
    #[inline(always)]
    pub fn write(&self, event: Event<'_>, outermost: bool) -> bool {
        self.writer.write(event, outermost)
    }

    /// Whether `event` tells nothing new: the thread is known to wait, and nothing came since. Also
    /// remembers it for the next time.
    #[inline(always)]
    fn repeats(&self, event: &Event<'_>) -> bool {
        let now = match event {
            Event::Enter { wait, .. } if *wait != Wait::Write => Entered::Idle,
            _ => Entered::No,
        };
        self.entered.replace(now) == now && now == Entered::Idle
    }

    /// Opens a section, in which this thread may write, and whose `cookie` stays where it is until it is
    /// left. Whether it is the outermost section of the thread: what an inner one writes (of a signal
    /// handler that interrupted the outer one) is published by the outermost.
    #[inline(always)]
    fn enter(&self, cookie: &mut u64) -> bool {
        let at = core::ptr::from_mut(cookie);
        // Relaxed, all in here: shared with this thread's own signal handlers only, hence the
        // compiler fences.
        if self.section.load(Ordering::Relaxed) != 0 && !self.was_abandoned(at as usize) {
            return false;
        }
        let value = self.cookie.load(Ordering::Relaxed).wrapping_add(1) | 1 << 63;
        self.cookie.store(value, Ordering::Relaxed);
        // SAFETY: the cookie is a live reference; volatile because it is read by address.
        unsafe { at.write_volatile(value) };
        self.section.store(at as usize, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        true
    }

    /// Leaves a section: the outermost publishes.
    #[inline(always)]
    fn leave(&self, cookie: &mut u64, outermost: bool) {
        if !outermost {
            return;
        }
        let at = core::ptr::from_mut(cookie);
        loop {
            compiler_fence(Ordering::SeqCst);
            let published = self.writer.publish();
            compiler_fence(Ordering::SeqCst);
            self.section.store(0, Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            // A handler may have written between the two: it was an inner section then.
            if self.writer.is_published(published) {
                break;
            }
            self.section.store(at as usize, Ordering::Relaxed);
        }
        // SAFETY: as above. Gone, so that nobody takes this dead frame for a live one.
        unsafe { at.write_volatile(0) };
    }

    /// A section is open: true if the frame that opened it was left without closing it
    /// (`siglongjmp` out of a signal handler, a cancelled thread); what it wrote is then void.
    #[cold]
    #[inline(never)]
    fn was_abandoned(&self, here: usize) -> bool {
        let section = self.section.load(Ordering::Relaxed);
        let bounds = self.kept().bounds.get();
        let both_on_stack = bounds.contain(section as u64) && bounds.contain(here as u64);
        let gone = both_on_stack && here > section || {
            let found = if bounds.contain(section as u64) {
                // SAFETY: `section` lay on this thread's own stack, which is mapped from there up.
                Some(unsafe { (section as *const u64).read_volatile() })
            } else {
                kernel::peek(section)
            };
            found != Some(self.cookie.load(Ordering::Relaxed))
        };
        if gone {
            self.writer.void();
            // SAFETY: whatever capture was under way was left with the section.
            unsafe { (*self.kept().unwinder.get()).distrust() };
            self.section.store(0, Ordering::Relaxed);
        }
        gone
    }

    fn count_laneless(&self) {
        self.laneless.set(self.laneless.get().wrapping_add(1));
        if let Some(session) = session::current() {
            // Relaxed: a counter.
            let header = session.header();
            header.laneless_events.fetch_add(1, Ordering::Relaxed);
        }
    }
}
