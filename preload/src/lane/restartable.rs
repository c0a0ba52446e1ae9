//! Stores that a signal handler's return does not let go on.
//!
//! A handler that interrupts the writing of a record publishes its own where that one was to be; then the
//! rest of the interrupted one must not be written over it. No check before a store can ensure that: the
//! handler may run between the two. But the kernel can: threads of glibc 2.35 and later are registered for
//! restartable sequences (rseq), and when a signal is delivered within one, or the thread is moved, its return
//! leads out of it. So the check of the lane's head and the stores are such a sequence.
//!
//! Where there is none (an old kernel, `GLIBC_TUNABLES=glibc.pthread.rseq=0`), the check is all that can be
//! done: a handler that allocates within these few instructions damages the lane, which the recorder sees.

use core::arch::asm;
use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::null;
use core::sync::atomic::{AtomicIsize, Ordering, compiler_fence};

use super::Writer;
use crate::real;

/// What became of some words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// They lie there.
    All,
    /// Something else was published there, or there is no lane any more: nothing is to be written.
    Not,
    /// A signal, or another thread's turn on this core: it is to be tried again.
    Interrupted,
}

/// What glibc tells the kernel is the mark of an address to return to.
const SIGNATURE: u32 = 0x5305_3053;
/// `rseq_cs` in `struct rseq`.
const SEQUENCE: usize = 8;
/// Tries after which a debugger is thought to go step by step: each is an interruption.
const MOST_TRIES: u32 = 64;

/// Where glibc keeps each thread's `struct rseq`, from its thread pointer; 0: nowhere.
static OFFSET: AtomicIsize = AtomicIsize::new(0);

/// Asks glibc for it. Before the first lane is opened.
pub fn prepare() {
    // SAFETY: C strings; null or the addresses of glibc's constants, of these types.
    let (offset, size) = real::quietly(|| unsafe {
        (
            libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr())
                .cast::<isize>()
                .as_ref(),
            libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr())
                .cast::<u32>()
                .as_ref(),
        )
    });
    if let (Some(offset), Some(size)) = (offset, size)
        && *size > 0
    {
        // Relaxed, here and below: a number by itself, stored before there are lanes.
        OFFSET.store(*offset, Ordering::Relaxed);
    }
}

/// The calling thread's `rseq_cs`, null if there is none.
pub(super) fn place() -> *mut *const c_void {
    let offset = OFFSET.load(Ordering::Relaxed);
    if offset == 0 {
        return core::ptr::null_mut();
    }
    let pointer: *mut u8;
    // SAFETY: the word at fs:0 is the thread pointer itself, by the ABI of x86_64.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(nostack, preserves_flags, readonly));
    }
    pointer
        .wrapping_offset(offset)
        .wrapping_add(SEQUENCE)
        .cast()
}

/// Writes `words` at `at`, if the lane's head is `start` all the while.
#[inline(always)]
pub(super) fn write(writer: &Writer, start: u64, at: u64, words: &[u64], tries: u32) -> Written {
    let mut none = null();
    let mut sequence = writer.sequence.get();
    if sequence.is_null() || tries > MOST_TRIES {
        sequence = &raw mut none;
    }
    if words.is_empty() {
        return Written::All;
    }
    compiler_fence(Ordering::SeqCst);
    let result: u64;
    // SAFETY: the ring has mask + 1 words, and is looked up in the sequence, as a handler may have closed the
    // lane, or forked: then this is the child. `sequence` is the thread's own or a variable; what it points to
    // is a `struct rseq_cs` that stays for ever.
    unsafe {
        asm!(
            "lea {t}, [rip + 2f]",
            "mov qword ptr [{sequence}], {t}",
            "3:",
            "mov {t}, qword ptr [{writer} + {WORDS}]",
            "test {t}, {t}",
            "jz 5f",
            "mov {a}, qword ptr [{writer} + {HEAD}]",
            "cmp qword ptr [{a}], {start}",
            "jne 5f",
            "4:",
            "mov {a}, {at}",
            "and {a}, qword ptr [{writer} + {MASK}]",
            "mov {word}, qword ptr [{from}]",
            "mov qword ptr [{t} + 8 * {a}], {word}",
            "add {from}, 8",
            "inc {at}",
            "cmp {from}, {end}",
            "jne 4b",
            "6:",
            "mov {t:e}, 1",
            "jmp 8f",
            "5:",
            "xor {t:e}, {t:e}",
            // What the kernel is told: the sequence, and where to go instead.
            ".pushsection .data.rel.ro.leak_sequences, \"aw\"",
            ".balign 32",
            "2: .long 0, 0",
            ".quad 3b, 6b - 3b, 7f",
            ".popsection",
            ".pushsection .text.leak_sequences, \"ax\"",
            ".long {SIGNATURE}",
            "7:",
            "mov {t:e}, 2",
            "jmp 8f",
            ".popsection",
            "8:",
            writer = in(reg) core::ptr::from_ref(writer),
            sequence = in(reg) sequence,
            start = in(reg) start,
            end = in(reg) words.as_ptr_range().end,
            from = inout(reg) words.as_ptr() => _,
            at = inout(reg) at => _,
            t = out(reg) result,
            a = out(reg) _,
            word = out(reg) _,
            WORDS = const offset_of!(Writer, words),
            HEAD = const offset_of!(Writer, head),
            MASK = const offset_of!(Writer, mask),
            SIGNATURE = const SIGNATURE,
            options(nostack),
        );
    }
    match result {
        1 => Written::All,
        2 => Written::Interrupted,
        _ => Written::Not,
    }
}

/// A whole record of few words in one sequence, whose last instruction publishes it: so that takes no
/// exchange. `$store` are the instructions for the words.
macro_rules! publish {
    ($writer:ident, $start:ident, $count:literal, [$($store:literal),*], $($word:ident),*) => {{
        let sequence = $writer.sequence.get();
        compiler_fence(Ordering::SeqCst);
        // SAFETY: as in `write`, but `sequence` is the thread's own. Nobody else stores the lane's head; its
        // store is a Release, as all on this processor; pairs with the recorder's Acquire in
        // `ring::published`.
        unsafe {
            asm!(
                "lea {t}, [rip + 2f]",
                "mov qword ptr [{sequence}], {t}",
                "3:",
                "mov {t}, qword ptr [{writer} + {WORDS}]",
                "test {t}, {t}",
                "jz {not}",
                "mov {head}, qword ptr [{writer} + {HEAD}]",
                "cmp qword ptr [{head}], {start}",
                "jne {not}",
                $($store,)*
                concat!("lea {at}, [{start} + ", $count, "]"),
                "mov qword ptr [{head}], {at}",
                "6:",
                ".pushsection .data.rel.ro.leak_sequences, \"aw\"",
                ".balign 32",
                "2: .long 0, 0",
                ".quad 3b, 6b - 3b, 7f",
                ".popsection",
                ".pushsection .text.leak_sequences, \"ax\"",
                ".long {SIGNATURE}",
                "7:",
                "jmp {not}",
                ".popsection",
                writer = in(reg) core::ptr::from_ref($writer),
                sequence = in(reg) sequence,
                start = in(reg) $start,
                $($word = in(reg) $word,)*
                t = out(reg) _,
                head = out(reg) _,
                at = out(reg) _,
                not = label { return false; },
                WORDS = const offset_of!(Writer, words),
                HEAD = const offset_of!(Writer, head),
                MASK = const offset_of!(Writer, mask),
                SIGNATURE = const SIGNATURE,
                options(nostack),
            );
        }
        true
    }};
}

/// Writes and publishes a record, if the lane's head is `start`. False: it was not, or a signal or another
/// thread's turn on this core came in between, and nothing was done. There must be sequences.
#[inline(always)]
pub(super) fn publish_one(writer: &Writer, start: u64, [first]: [u64; 1]) -> bool {
    publish!(
        writer,
        start,
        "1",
        [
            "mov {at}, {start}",
            "and {at}, qword ptr [{writer} + {MASK}]",
            "mov qword ptr [{t} + 8 * {at}], {first}"
        ],
        first
    )
}

/// The same of two words.
#[inline(always)]
pub(super) fn publish_two(writer: &Writer, start: u64, [first, second]: [u64; 2]) -> bool {
    publish!(
        writer,
        start,
        "2",
        [
            "mov {at}, {start}",
            "and {at}, qword ptr [{writer} + {MASK}]",
            "mov qword ptr [{t} + 8 * {at}], {first}",
            "lea {at}, [{start} + 1]",
            "and {at}, qword ptr [{writer} + {MASK}]",
            "mov qword ptr [{t} + 8 * {at}], {second}"
        ],
        first,
        second
    )
}

/// The same of three words.
#[inline(always)]
pub(super) fn publish_three(writer: &Writer, start: u64, [first, second, third]: [u64; 3]) -> bool {
    publish!(
        writer,
        start,
        "3",
        [
            "mov {at}, {start}",
            "and {at}, qword ptr [{writer} + {MASK}]",
            "mov qword ptr [{t} + 8 * {at}], {first}",
            "lea {at}, [{start} + 1]",
            "and {at}, qword ptr [{writer} + {MASK}]",
            "mov qword ptr [{t} + 8 * {at}], {second}",
            "lea {at}, [{start} + 2]",
            "and {at}, qword ptr [{writer} + {MASK}]",
            "mov qword ptr [{t} + 8 * {at}], {third}"
        ],
        first,
        second,
        third
    )
}
