//! CPython: its stacks, and the blocks that its own allocators give.
//!
//! - `interpreter` finds it and its functions; `offsets` is where its structures have what.
//! - `wrap` puts itself around the allocators of the object and the memory domain, at the first
//!   allocation of a thread that holds the GIL: small blocks never reach malloc.
//! - `frames` walks the calling thread's Python stack, `codes` and `text` tell its code objects.
//!
//! A stack that was seen before costs the walk and one look into the thread's memory of stacks; only
//! a new one is taken apart. Versions that aren't known, and free-threaded builds, are left alone.

mod codes;
mod ending;
mod frames;
mod free_lists;
mod interpreter;
mod offsets;
mod text;
mod wrap;

use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, Ordering};

use leak_wire::{Asked, Event};

use crate::thread::{self, Thread};
use crate::unwind::{Nodes, Refused};
use crate::{kernel, sample};
use frames::Frame;
#[cfg(not(test))]
pub use interpreter::aside;
pub(crate) use interpreter::met;
use interpreter::{Interpreter, interpreter};
pub use interpreter::{describe, is_present, prepare};

/// Stacks that a thread remembers; of two with the same place the later one.
const REMEMBERED: usize = 1 << 12;
/// Frames of a Python stack, at most.
const MAX_FRAMES: usize = 512;

/// A remembered stack: its hash, and the pair of it with a native backtrace.
#[derive(Clone, Copy)]
struct Remembered {
    hash: u64,
    pair: u32,
}

#[repr(C)]
struct Memory {
    remembered: [Remembered; REMEMBERED],
    /// A new stack while it is taken apart.
    frames: [Frame; MAX_FRAMES],
}

/// What a thread knows of its Python stacks. All zeros: nothing.
pub struct Stacks {
    memory: Cell<*mut Memory>,
    /// The task that was told last.
    task: Cell<u64>,
}

/// Why there is no call site.
pub struct Full;

/// Where CPython's runtime object lies, and how long it is; 0: not there.
static RUNTIME: AtomicU64 = AtomicU64::new(0);
static RUNTIME_BYTES: AtomicU64 = AtomicU64::new(0);

/// The runtime object lies there, whether the interpreter is understood or not.
pub fn runtime_lies_at(start: u64, bytes: u64) {
    // Relaxed, both: the length comes last, and without it nothing lies in the runtime.
    RUNTIME.store(start, Ordering::Relaxed);
    RUNTIME_BYTES.store(bytes, Ordering::Relaxed);
}

/// Whether `address` lies in the runtime object.
#[inline(always)]
pub fn is_of_runtime(address: u64) -> bool {
    // Relaxed, both: see above.
    let start = RUNTIME.load(Ordering::Relaxed);
    address.wrapping_sub(start) < RUNTIME_BYTES.load(Ordering::Relaxed)
}

/// Forgets, in a forked child, what other threads of its parent were at.
pub fn in_forked_child() {
    codes::in_forked_child();
}

/// The call site of an allocation with the native backtrace `native`: a pair with the Python stack, or
/// `native` alone where no Python code led to it. Wraps the interpreter's allocators if that was not
/// done yet. `Full`: the tree has no room, it has to be started anew.
///
/// # Safety
/// `stacks` is the calling thread's.
#[inline(always)]
pub unsafe fn site(
    stacks: &Stacks,
    nodes: &mut Nodes<'_>,
    depth: u32,
    native: u32,
    asked: Asked,
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<u32, Full> {
    let Some(interpreter) = interpreter() else {
        return Ok(native);
    };
    let state = match asked {
        Asked::Interpreter => interpreter.attached(),
        Asked::Native => interpreter.attached_or_null(),
    };
    if asked == Asked::Native {
        if state.is_null() {
            return Ok(native);
        }
        // SAFETY: this thread holds the GIL.
        unsafe { wrap::once(interpreter) };
    }
    if !state.is_null() {
        // SAFETY: this thread holds the GIL.
        unsafe { free_lists::watch(state) };
    }
    // SAFETY: null, or mapped for ever, zeros are valid, and only the calling thread uses it: this is
    // not entered again on a thread, the mark on its nodes sees to it.
    let Some(memory) = (unsafe { stacks.memory().as_mut() }) else {
        return Ok(native);
    };
    let limit = (depth as usize).min(MAX_FRAMES);
    let seed = codes::epoch() << 32 ^ nodes.generation() << 16 ^ u64::from(native) << 1;
    // SAFETY: the thread's own state, or null, and it holds the GIL.
    let (hash, generator) = unsafe {
        frames::hash(
            &interpreter.offsets,
            state,
            limit,
            seed.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ asked as u64,
        )
    };
    if let Some(place) = interpreter.offsets.generator {
        // SAFETY: as above.
        let task = unsafe { frames::coroutine(place, generator, interpreter.coroutine_type) };
        if !stacks.last_ran(task) && !state.is_null() {
            // SAFETY: this thread holds the GIL.
            unsafe { free_lists::look(state, tell) };
        }
        stacks.runs(task, tell);
    }
    let Some(remembered) = memory.remembered.get_mut(hash as usize % REMEMBERED) else {
        return Ok(native);
    };
    if remembered.hash == hash && remembered.pair != 0 {
        return Ok(remembered.pair);
    }
    // SAFETY: as above.
    let pair = unsafe {
        let stack = Stack {
            interpreter,
            state,
            limit,
        };
        new_pair(stack, &mut memory.frames, nodes, (native, asked), tell)
    };
    match pair {
        Ok(Some(pair)) => {
            *remembered = Remembered { hash, pair };
            Ok(pair)
        }
        Ok(None) | Err(Refused::Untold) => Ok(native),
        Err(Refused::Full) => Err(Full),
    }
}

/// Where a stack is to be read.
struct Stack {
    interpreter: &'static Interpreter,
    state: *const u8,
    limit: usize,
}

/// The pair of a stack that is not remembered; `None` for a native block without Python frames.
///
/// # Safety
/// As for [`frames::walk`].
#[cold]
unsafe fn new_pair(
    stack: Stack,
    frames: &mut [Frame; MAX_FRAMES],
    nodes: &mut Nodes<'_>,
    (native, asked): (u32, Asked),
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<Option<u32>, Refused> {
    let offsets = &stack.interpreter.offsets;
    let mut count = 0;
    // SAFETY: the caller's promise.
    let found = unsafe {
        frames::walk(offsets, stack.state, stack.limit, |frame| {
            if let Some(place) = frames.get_mut(count) {
                *place = frame;
                count += 1;
            }
        })
    };
    if count == 0 && asked == Asked::Native {
        return Ok(None);
    }
    let mut python = 0;
    for frame in frames.iter().take(count).rev() {
        // SAFETY: a frame's code is alive as long as the frame.
        if unsafe { frames::is_of_interpreter(offsets, frame.code) } {
            continue;
        }
        // SAFETY: as above.
        let code = unsafe { codes::number(stack.interpreter, frame.code, tell) };
        let instruction = frame.offset(offsets);
        let parent = python;
        python = nodes.python(parent, code, instruction, |id| {
            tell(Event::PythonFrame {
                id,
                parent,
                code,
                instruction,
            })
        })?;
    }
    // Python's frames tell how the interpreter's loop came to run: of a block of its own allocators only
    // what the loop called is kept, so that one line makes one call site, whoever it was called by.
    let inside = match asked {
        Asked::Interpreter if python != 0 && !found.edge.is_null() => {
            nodes.inside(found.edge as u64, stack.limit, tell)?
        }
        _ => None,
    };
    let native = inside.unwrap_or(native);
    let pair = nodes.pair(native, python, asked as u32, |id| {
        tell(Event::Pair {
            id,
            native,
            python,
            asked,
        })
    })?;
    Ok(Some(pair))
}

/// Wraps the interpreter's allocators if the calling thread can and nobody has; whether it still is to
/// be done.
pub fn wants_wrapping() -> bool {
    let Some(interpreter) = interpreter() else {
        return false;
    };
    if wrap::is_outstanding() && !interpreter.attached_or_null().is_null() {
        // SAFETY: this thread holds the GIL.
        unsafe { wrap::once(interpreter) };
    }
    wrap::is_outstanding()
}

/// Whether the interpreter's lock is let go of, or taken, under this mutex.
#[inline(always)]
pub fn is_lock(mutex: u64) -> bool {
    free_lists::is_lock(mutex)
}

/// Tells what has changed on the interpreter's free lists, for a thread that has just locked that mutex, if it is about
/// to let go of the interpreter's lock.
///
/// # Safety
/// `is_lock(mutex)`, and the calling thread holds it.
#[cold]
pub unsafe fn lets_go(mutex: u64) {
    // SAFETY: the caller's promise.
    let holder = unsafe { free_lists::holder(mutex) };
    if let (Some(state), Some(thread)) = (holder, thread::current()) {
        // SAFETY: it holds the GIL until it gives it away with the mutex in hand.
        unsafe { free_lists::look(state, &mut |event| thread.write(event)) };
    }
}

/// The same for a thread that may hold the interpreter's lock.
pub fn look(thread: &Thread) {
    let state = interpreter().map_or(core::ptr::null(), Interpreter::attached_or_null);
    if !state.is_null() {
        // SAFETY: it holds the GIL.
        unsafe { free_lists::look(state, &mut |event| thread.write(event)) };
    }
}

/// The same for the last time: the interpreter takes itself apart.
fn look_once_more() {
    if let Some(thread) = thread::current() {
        look(thread);
    }
    free_lists::end();
}

/// The task of an event loop that the calling thread runs, as [`Event::Task`] names it: the outermost
/// generator on its stack, if that is a coroutine. 0: none, or a version without such frames.
pub fn task() -> u64 {
    let Some(interpreter) = interpreter() else {
        return 0;
    };
    let (offsets, own) = (&interpreter.offsets, interpreter.own());
    offsets.generator.map_or(0, |place| {
        // SAFETY: the thread's own state, inside a call that it made.
        unsafe {
            let found = frames::walk(offsets, own, MAX_FRAMES, |_| {});
            frames::coroutine(place, found.generator, interpreter.coroutine_type)
        }
    })
}

impl Stacks {
    /// Tells `task` unless it was told last.
    #[inline(always)]
    pub fn runs(&self, task: u64, tell: &mut impl FnMut(Event<'_>) -> bool) {
        if self.task.get() != task && tell(Event::Task { task }) {
            self.task.set(task);
            // It lasts until its block is freed.
            if task != 0 {
                sample::watch(task);
            }
        }
    }

    /// Whether `task` was told last.
    pub fn last_ran(&self, task: u64) -> bool {
        self.task.get() == task
    }

    /// A new lane begins: nothing was told in it.
    pub fn begin(&self) {
        self.task.set(0);
    }

    /// The memory, null if there is none to be had.
    fn memory(&self) -> *mut Memory {
        if self.memory.get().is_null() {
            let mapped = kernel::map(size_of::<Memory>());
            self.memory.set(mapped.map_or(null_mut(), <*mut u8>::cast));
        }
        self.memory.get()
    }
}
