//! Proof at run time, for tests: with `LEAK_DEBUG_UNWIND=1` in the environment every capture is
//! compared with a full walk that uses nothing remembered, with `=2` that walk also with glibc's
//! `backtrace`. The sums are printed when the process exits.
//!
//! Costs nothing when off: the epoch that every capture compares has a bit that no state has.

use super::chain::Walked;
use super::memory::Memory;
use super::rules;
use super::step::{Cursor, Step, step};
use super::tree::At;
use super::{Caller, State};
use crate::alternate_stack;
use crate::stack::Bounds;
use core::ffi::{CStr, c_int, c_void};
use core::fmt::Write;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// In the epoch while captures are compared.
pub(super) const COMPARED: u64 = 1 << 62;

// Relaxed, all of them: sums, and a function pointer that is set before the first capture.
static CAPTURES: AtomicU64 = AtomicU64::new(0);
static DIFFERENT: AtomicU64 = AtomicU64::new(0);
static FOREIGN: AtomicU64 = AtomicU64::new(0);
static FOREIGN_DIFFERENT: AtomicU64 = AtomicU64::new(0);
static BACKTRACE: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

type Backtrace = unsafe extern "C" fn(*mut u64, c_int) -> c_int;

/// The epoch bit, if captures are to be compared. Allocates then.
pub(super) fn prepare() -> u64 {
    // SAFETY: C strings; called before other threads of the target run, as all of the start is.
    let (mode, backtrace) = unsafe {
        let mode = libc::getenv(c"LEAK_DEBUG_UNWIND".as_ptr());
        if mode.is_null() {
            return 0;
        }
        let backtrace = libc::dlsym(libc::RTLD_DEFAULT, c"backtrace".as_ptr());
        (CStr::from_ptr(mode).to_bytes(), backtrace)
    };
    if mode == b"2" && !backtrace.is_null() {
        BACKTRACE.store(backtrace, Ordering::Relaxed);
        // Loads its library now, and not inside a capture.
        foreign(&mut [0; 4]);
    }
    if mode == b"1" || mode == b"2" {
        COMPARED
    } else {
        0
    }
}

/// Compares `site`, which a capture has just given, with a full walk.
#[cold]
#[inline(never)]
pub(super) fn compare(state: &mut State, caller: Caller, bounds: Bounds, limit: usize, site: u32) {
    alternate_stack::run(|| compare_there(state, caller, bounds, limit, site));
}

fn compare_there(state: &mut State, caller: Caller, bounds: Bounds, limit: usize, site: u32) {
    let mut memory = Memory::new(caller.sp, bounds);
    let mut frames = 0;
    let mut cursor = Cursor {
        address: caller.pc(),
        sp: caller.sp + 8,
        bp: caller.bp,
        bx_slot: 0,
    };
    while let Some(walked) = state.walked.get_mut(frames).filter(|_| frames < limit) {
        let rule = rules::rule_for(cursor.address, |_| false);
        *walked = Walked::new(cursor, rule);
        frames += 1;
        cursor = match step(rule, &cursor, &memory) {
            Step::Caller(caller) => caller,
            Step::Interrupted(interrupted) => {
                memory.distrust();
                interrupted
            }
            Step::End | Step::Lost => break,
        };
    }
    let walked = state.walked.get(..frames).unwrap_or(&[]);
    let node = walked
        .iter()
        .rev()
        .try_fold(At::default(), |parent, walked| {
            state.tree.known(parent, walked.address())
        });
    let node = node.map(|at| at.node());
    CAPTURES.fetch_add(1, Ordering::Relaxed);
    if node != Some(site) {
        DIFFERENT.fetch_add(1, Ordering::Relaxed);
    }
    compare_foreign(walked, limit);
}

/// Compares a full walk with `backtrace`.
fn compare_foreign(walked: &[Walked], limit: usize) {
    let mut buffer = [0; 640];
    let all = foreign(&mut buffer);
    let first = walked.first().map_or(0, |first| first.address());
    // Ours are the innermost.
    let Some(own) = all.iter().position(|address| *address == first) else {
        return;
    };
    let theirs = all.get(own..).unwrap_or(&[]);
    let theirs = theirs.get(..limit).unwrap_or(theirs);
    FOREIGN.fetch_add(1, Ordering::Relaxed);
    let same = theirs.len() == walked.len()
        && theirs.iter().zip(walked).all(|(theirs, ours)| {
            // `backtrace` gives the pc itself where a signal interrupted a frame.
            *theirs == ours.address() || theirs + 1 == ours.address()
        });
    if same {
        return;
    }
    if FOREIGN_DIFFERENT.fetch_add(1, Ordering::Relaxed) < 3 {
        let mut line = Line::new();
        let _ = write!(line, "libleak: unwind check:");
        for walked in walked {
            let _ = write!(line, " {:x}", walked.address());
        }
        let _ = write!(line, " but backtrace():");
        for address in theirs {
            let _ = write!(line, " {address:x}");
        }
        line.print();
    }
}

/// What `backtrace` gives, where it is wanted.
fn foreign(buffer: &mut [u64]) -> &[u64] {
    let function = BACKTRACE.load(Ordering::Relaxed);
    if function.is_null() {
        return &[];
    }
    // SAFETY: `prepare` stored the symbol of that type; the buffer has the length given.
    let length = unsafe {
        core::mem::transmute::<*mut c_void, Backtrace>(function)(
            buffer.as_mut_ptr(),
            buffer.len() as c_int,
        )
    };
    buffer.get(..length.max(0) as usize).unwrap_or(&[])
}

#[used]
#[unsafe(link_section = ".fini_array")]
static AT_EXIT: extern "C" fn() = print_sums;

extern "C" fn print_sums() {
    if super::EPOCH.load(Ordering::Relaxed) & COMPARED == 0 {
        return;
    }
    let mut line = Line::new();
    let _ = write!(
        line,
        "libleak: unwind check: {} captures, {} differ from a full walk; {} compared with backtrace(), {} differ",
        CAPTURES.load(Ordering::Relaxed),
        DIFFERENT.load(Ordering::Relaxed),
        FOREIGN.load(Ordering::Relaxed),
        FOREIGN_DIFFERENT.load(Ordering::Relaxed),
    );
    line.print();
}

/// A line for stderr, put together without the heap; cut where it is too long.
struct Line {
    bytes: [u8; 2048],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line {
            bytes: [0; 2048],
            len: 0,
        }
    }

    fn print(mut self) {
        let len = self.len.min(self.bytes.len() - 1);
        self.bytes[len] = b'\n';
        // SAFETY: as many bytes as there are. Nothing can be done if it fails.
        unsafe { libc::write(2, self.bytes.as_ptr().cast(), len + 1) };
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(text.bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}
