//! CPython: its stacks, and the blocks that its own allocators give.
//!
//! - `interpreter` finds it and its functions; `offsets` is where its structures have what.
//! - `wrap` puts itself around the allocators of the object and the memory domain, at the first
//!   allocation of a thread that holds the GIL: small blocks never reach malloc.
//! - `collector` knows when cyclic garbage was collected, and asks for it; `ending` when the interpreter ends.
//! - `frames` reads the calling thread's Python stack, `codes` and `text` tell its code objects.
//! - `stack` remembers it, in `held`, so that only the frames that are new are looked for; `steps` knows most of those, and
//!   `numbers` their code objects.
//!
//! Versions that aren't known, and free-threaded builds, are left alone.

mod codes;
pub mod collector;
mod ending;
mod frames;
mod free_lists;
mod held;
mod interpreter;
mod numbers;
mod offsets;
mod stack;
mod steps;
mod text;
mod wrap;

use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, Ordering};

use leak_wire::{Asked, Event};

use crate::thread::{self, Tasks, Thread};
use crate::unwind::{At, Nodes, Refused};
use crate::{alternate_stack, kernel, sample};
use frames::{Frame, Innermost};
#[cfg(not(test))]
pub use interpreter::aside;
pub(crate) use interpreter::met;
use interpreter::{Interpreter, interpreter};
pub use interpreter::{describe, is_present, prepare};
use numbers::Numbers;
use offsets::Offsets;
use stack::Stack;
use steps::Steps;

/// Frames of a Python stack, at most.
const MAX_FRAMES: usize = leak_wire::layout::MAX_DEPTH;

/// Sets addresses of functions apart from other numbers.
const FUNCTION: u64 = 1 << 63;

#[repr(C)]
struct Memory {
    /// What all of it rests on: the tree of call sites, and the table of code objects.
    rests_on: (u64, u64),
    /// The epoch of the code objects that the stack rests on.
    epoch: u64,
    stack: Stack,
    steps: Steps,
    numbers: Numbers,
}

/// What a thread knows of its Python stacks. All zeros: nothing.
pub struct Stacks {
    memory: Cell<*mut Memory>,
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

/// A session begins in a process that had one before: nothing was told in it yet.
pub fn begins_anew() {
    codes::begin_anew();
    collector::begin_anew();
}

/// Forgets, in a forked child, what other threads of its parent were at.
pub fn in_forked_child() {
    codes::in_forked_child();
    collector::in_forked_child();
}

/// The call site of an allocation with the native backtrace `native`: a pair with the Python stack, or `native` alone
/// where no Python code led to it. Where `native` is not known, that may not matter: see [`whole`]. Wraps the
/// interpreter's allocators if that was not done yet. `Full`: the tree has no room, it has to be started anew.
///
/// # Safety
/// `stacks` and `tasks` are the calling thread's.
#[inline(always)]
pub unsafe fn site(
    (stacks, tasks): (&Stacks, &Tasks),
    nodes: &mut Nodes<'_>,
    depth: u32,
    native: Option<u32>,
    asked: Asked,
    has_plenty: impl FnOnce() -> bool,
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<Option<u32>, Full> {
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
    // SAFETY: this thread holds the GIL.
    if !state.is_null() && unsafe { free_lists::watch(state) } {
        // SAFETY: as above.
        unsafe { free_lists::look(state, tell) };
    }
    // SAFETY: null, or mapped for ever, zeros are valid, and only the calling thread uses it: this is
    // not entered again on a thread, the mark on its nodes sees to it.
    let Some(memory) = (unsafe { stacks.memory().as_mut() }) else {
        return Ok(native);
    };
    memory.trust(nodes.generation());
    let offsets = &interpreter.offsets;
    let limit = (depth as usize).min(MAX_FRAMES);
    // SAFETY: the thread's own state, or null, and it holds the GIL.
    let innermost = unsafe {
        let innermost = Innermost::of(offsets, state);
        let (steps, numbers) = (&memory.steps, &memory.numbers);
        memory
            .stack
            .update(offsets, innermost, limit, |parent, frame| {
                expect(offsets, (steps, numbers), nodes, parent, frame);
            });
        innermost
    };
    if let Some(place) = offsets.generator {
        let generator = memory.stack.generator();
        // SAFETY: a frame of the stack.
        let task = unsafe { frames::coroutine(place, generator, interpreter.coroutine_type) };
        if !tasks.last_ran(task) {
            alternate_stack::run(|| {
                if !state.is_null() {
                    // SAFETY: this thread holds the GIL.
                    unsafe { free_lists::look(state, tell) };
                }
                if let Some(told) = tasks.runs(task, tell) {
                    sample::watch_task(told);
                }
            });
        }
    }
    let edge = match innermost.edge {
        0 => memory.stack.of_c(),
        edge => edge,
    };
    let places = Places {
        native,
        edge,
        limit,
    };
    match memory.pair(interpreter, nodes, places, asked, has_plenty, tell) {
        Ok(pair) => Ok(pair),
        Err(Refused::Untold) => Ok(native),
        Err(Refused::Full) => Err(Full),
    }
}

/// Asks memory for what the innermost frame's call site will be looked up in, if `parent` is the node of those outside of
/// it: the waits for it overlap with the look at these.
#[inline(always)]
fn expect(
    offsets: &Offsets,
    (steps, numbers): (&Steps, &Numbers),
    nodes: &mut Nodes<'_>,
    parent: At,
    frame: &Frame,
) {
    let function = nodes.innermost();
    if let Some(step) = steps.step(parent, frame.code(), frame.instruction) {
        steps.expect_pair(FUNCTION | function, step.at.node());
    } else if let Some(code) = numbers.known(frame.code()) {
        let at = nodes.expect_python(parent, code, frame.offset(offsets));
        nodes.expect_pair(at, function);
    }
}

/// What a call site is made of, beside the Python frames.
#[derive(Clone, Copy)]
struct Places {
    /// The whole native backtrace, where it is known.
    native: Option<u32>,
    /// See [`Innermost`]; 0: unknown.
    edge: u64,
    /// Frames, at most.
    limit: usize,
}

impl Memory {
    /// Forgets what rests on things that are gone.
    #[inline(always)]
    fn trust(&mut self, tree: u64) {
        let epoch = codes::epoch();
        let rests_on = (tree.wrapping_add(1), codes::generation());
        if self.epoch != epoch || self.rests_on != rests_on {
            self.stack.clear();
            self.epoch = epoch;
        }
        if self.rests_on != rests_on {
            self.steps.clear();
            self.numbers.clear();
            self.rests_on = rests_on;
        }
    }

    /// The call site; `None`: the native backtrace has to be known, or is all that there is.
    #[inline(always)]
    fn pair(
        &mut self,
        interpreter: &'static Interpreter,
        nodes: &mut Nodes<'_>,
        places: Places,
        asked: Asked,
        has_plenty: impl FnOnce() -> bool,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<Option<u32>, Refused> {
        if let Some(known) = self.known_pair(nodes, places, asked) {
            return Ok(known);
        }
        // All that is new of it is told at once: to go to the alternate stack takes two system calls.
        alternate_stack::run_unless(has_plenty(), || {
            self.new_pair(interpreter, nodes, places, asked, tell)
        })
    }

    /// The same where all of it is known.
    #[inline(always)]
    fn known_pair(
        &mut self,
        nodes: &mut Nodes<'_>,
        places: Places,
        asked: Asked,
    ) -> Option<Option<u32>> {
        let steps = &mut self.steps;
        let python = self.stack.node(places.limit, |parent, frame| {
            let step = steps.step(parent, frame.code(), frame.instruction);
            step.ok_or(())
        });
        let python = python.ok()?;
        if python == At::default() && asked == Asked::Native {
            return Some(places.native);
        }
        let Some(key) = Key::of(nodes, places.native, python, asked) else {
            return Some(None);
        };
        nodes.expect_pair(key.parent, key.of_child);
        if let Some(pair) = steps.pair(key.number, python.node()) {
            return Some(Some(pair));
        }
        let pair = nodes.known_pair(key.parent, key.of_child)?;
        steps.set_pair(key.number, python.node(), pair);
        Some(Some(pair))
    }

    fn new_pair(
        &mut self,
        interpreter: &'static Interpreter,
        nodes: &mut Nodes<'_>,
        places: Places,
        asked: Asked,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<Option<u32>, Refused> {
        let (steps, numbers) = (&mut self.steps, &mut self.numbers);
        let python = self.stack.node(places.limit, |parent, frame| {
            steps.python(parent, frame.code(), frame.instruction, || {
                // SAFETY: the frame lies on the stack.
                unsafe { new_step(interpreter, numbers, nodes, parent, frame, tell) }
            })
        })?;
        if python == At::default() && asked == Asked::Native {
            return Ok(places.native);
        }
        let Some(key) = Key::of(nodes, places.native, python, asked) else {
            return Ok(None);
        };
        nodes.expect_pair(key.parent, key.of_child);
        // Python's frames tell how the interpreter's loop came to run: what it called since is enough.
        let by_function = key.is_by_function() && places.edge != 0;
        let place = self.stack.place();
        let mut example = by_function
            .then(|| steps.example(key.of_child, place))
            .flatten();
        if by_function && example.is_none() {
            example = match nodes.known_pair(key.parent, key.of_child) {
                // Its native frames were told.
                Some(pair) => {
                    steps.set_pair(key.number, python.node(), pair);
                    return Ok(Some(pair));
                }
                None => nodes.inside(places.edge, places.limit, tell)?,
            };
            steps.set_example(key.of_child, place, example);
        }
        let Some(native) = example.or(places.native) else {
            return Ok(nodes.known_pair(key.parent, key.of_child));
        };
        let pair = nodes.pair(key.parent, key.of_child, |id| {
            tell(Event::Pair {
                id,
                native,
                python: python.node(),
                asked,
            })
        })?;
        steps.set_pair(key.number, python.node(), pair);
        Ok(Some(pair))
    }
}

/// By what a pair is found.
///
/// Of the interpreter's own blocks, the Python frames and the function that allocates tell all that sets call sites
/// apart. What lies between is the interpreter's way from one to the other, which changes when it specialises an
/// instruction: it is told of one such block, as an example.
struct Key {
    /// In the steps, with its Python node.
    number: u64,
    /// In the tree: its parent, and what it is among the children of that.
    parent: At,
    of_child: u64,
}

impl Key {
    /// `None`: the native backtrace has to be known.
    #[inline(always)]
    fn of(nodes: &mut Nodes<'_>, native: Option<u32>, python: At, asked: Asked) -> Option<Key> {
        if asked == Asked::Interpreter && python != At::default() {
            let function = nodes.innermost();
            return Some(Key {
                number: FUNCTION | function,
                parent: python,
                of_child: function,
            });
        }
        native.map(|native| Key {
            number: u64::from(native) << 1 | asked as u64,
            parent: nodes.at(native),
            of_child: u64::from(python.node()) << 1 | asked as u64,
        })
    }

    fn is_by_function(&self) -> bool {
        self.number & FUNCTION != 0
    }
}

/// The node of a frame that is not remembered, and whether it may be.
///
/// # Safety
/// The frame lies on the calling thread's stack.
unsafe fn new_step(
    interpreter: &Interpreter,
    numbers: &mut Numbers,
    nodes: &mut Nodes<'_>,
    parent: At,
    frame: &Frame,
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<(At, bool), Refused> {
    // SAFETY: a frame's code is alive as long as the frame.
    let code = numbers.number(frame.code(), || unsafe {
        number(interpreter, frame.code(), tell)
    });
    if code == numbers::OF_INTERPRETER {
        return Ok((parent, parent != At::default()));
    }
    let instruction = frame.offset(&interpreter.offsets);
    let node = nodes.python(parent, code, instruction, |id| {
        tell(Event::PythonFrame {
            id,
            parent: parent.node(),
            code,
            instruction,
        })
    })?;
    Ok((node, code != 0))
}

/// The number of a code object, [`numbers::OF_INTERPRETER`], or 0: it could not be told.
///
/// # Safety
/// `code` is a live code object, and the calling thread holds the GIL.
#[cold]
unsafe fn number(
    interpreter: &Interpreter,
    code: u64,
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> u32 {
    // SAFETY: the caller's promise.
    if unsafe { frames::is_of_interpreter(&interpreter.offsets, code) } {
        return numbers::OF_INTERPRETER;
    }
    // With signals held: a handler that jumps away would leave the table locked.
    // SAFETY: as above.
    alternate_stack::run(|| unsafe { codes::number(interpreter, code, tell) })
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
            let generator = frames::outermost_generator(offsets, own);
            frames::coroutine(place, generator, interpreter.coroutine_type)
        }
    })
}

impl Stacks {
    /// The memory, null if there is none to be had.
    fn memory(&self) -> *mut Memory {
        if self.memory.get().is_null() {
            let mapped = kernel::map(size_of::<Memory>());
            self.memory.set(mapped.map_or(null_mut(), <*mut u8>::cast));
        }
        self.memory.get()
    }
}
