//! Where detours lead: for each shape of function a hook that records what it does, or which task runs until
//! it returns. The function itself comes in r11: code that runs the instructions which gave way to the
//! detour, and goes on behind them.
//!
//! What the allocator calls of its own entries while it serves a call is its own affair, and not
//! recorded; nor are the calls of an entry that only wraps the allocator which libleak sees anyway. So
//! it is with what it calls while it serves an exported hook.

use core::ffi::{c_int, c_void};

use leak_wire::Event;

use crate::thread::{self, Caller, Polled, Thread};
use crate::{dtv, real, sample};

type Block = *mut c_void;
type Function<R> = unsafe extern "C" fn(usize, usize, usize) -> R;

/// A naked entry that passes the arguments on, then the function, then the caller's rsp and rbp.
macro_rules! entry {
    ($name:ident => $implementation:ident) => {
        #[unsafe(naked)]
        pub(super) extern "C" fn $name() {
            core::arch::naked_asm!(
                "mov rcx, r11",
                "mov r8, rsp",
                "mov r9, rbp",
                "jmp {}",
                sym $implementation,
            )
        }
    };
}

entry!(allocate => allocate_from);
entry!(count => count_from);
entry!(aligned => aligned_from);
entry!(place => place_from);
entry!(resize => resize_from);
entry!(resize_count => resize_count_from);
entry!(free => free_from);

/// Calls what gives a block for an exported hook, which records it; `old` is the block that it takes the
/// place of, 0: none.
pub fn giving(old: usize, call: impl Fn() -> Block) -> Block {
    let Some(thread) = thread::current() else {
        return thread::pause_unrecorded(old, call);
    };
    let block = thread.paused(old, call);
    thread.make(block as usize);
    block
}

/// Calls what takes `block` back for an exported hook, which has recorded it.
pub fn taking(block: usize, call: impl Fn()) {
    let Some(thread) = thread::current() else {
        return thread::pause_unrecorded(block, call);
    };
    thread.unmake(block);
    thread.paused(block, call);
}

/// Records a new block, and remembers it.
#[inline(always)]
fn made(thread: &Thread, block: u64, size: usize, caller: Caller) {
    thread.make(block as usize);
    if thread.takes(block, size) {
        thread.record_at(caller, |site| Event::Allocation {
            address: block,
            size: size as u64,
            site,
        });
    }
}

/// Calls the function, and records the block of `size` that it gives.
#[inline(always)]
fn allocating(caller: Caller, size: usize, call: impl Fn() -> Block) -> Block {
    // While `dlsym` looks something up for us, it is served from a pool.
    if real::is_resolving() {
        return real::pool_allocate(size, 0);
    }
    let Some(thread) = thread::current() else {
        return thread::call_unrecorded(0, call, |block| block as usize);
    };
    let block = thread.paused(0, call);
    if !block.is_null() {
        made(thread, block as u64, size, caller);
    }
    block
}

extern "C" fn allocate_from(
    size: usize,
    b: usize,
    c: usize,
    function: Function<Block>,
    sp: u64,
    bp: u64,
) -> Block {
    // SAFETY: the caller's arguments, to the function that it called; so it is for all below.
    allocating(Caller { sp, bp }, size, || unsafe { function(size, b, c) })
}

extern "C" fn count_from(
    count: usize,
    size: usize,
    c: usize,
    function: Function<Block>,
    sp: u64,
    bp: u64,
) -> Block {
    let bytes = dtv::recorded_size(count, size, sp);
    // SAFETY: as above.
    allocating(Caller { sp, bp }, bytes, || unsafe {
        function(count, size, c)
    })
}

extern "C" fn aligned_from(
    alignment: usize,
    size: usize,
    c: usize,
    function: Function<Block>,
    sp: u64,
    bp: u64,
) -> Block {
    // SAFETY: as above.
    allocating(Caller { sp, bp }, size, || unsafe {
        function(alignment, size, c)
    })
}

extern "C" fn place_from(
    place: usize,
    alignment: usize,
    size: usize,
    function: Function<c_int>,
    sp: u64,
    bp: u64,
) -> c_int {
    // SAFETY: as above.
    let call = || unsafe { function(place, alignment, size) };
    let Some(thread) = thread::current() else {
        return thread::call_unrecorded(0, call, |result| usize::from(result == 0));
    };
    let result = thread.paused(0, call);
    if result == 0 {
        // SAFETY: on success the caller's pointer was just written.
        let block = unsafe { *(place as *const u64) };
        made(thread, block, size, Caller { sp, bp });
    }
    result
}

/// Calls the function, and records that `block` became one of `size`.
#[inline(always)]
fn resizing(caller: Caller, block: usize, size: usize, call: impl Fn() -> Block) -> Block {
    if block == 0 {
        return allocating(caller, size, call);
    }
    let Some(thread) = thread::current() else {
        return thread::call_unrecorded(block, call, |moved| moved as usize);
    };
    let begun = thread.reallocation_begins(block as u64);
    let moved = thread.paused(block, call);
    if !moved.is_null() && thread.takes(moved as u64, size) {
        thread.make(moved as usize);
        thread.reallocation_goes_on(begun);
        thread.record_at(caller, |site| Event::ReallocationEnd {
            address: moved as u64,
            size: size as u64,
            site,
        });
    } else if begun {
        thread.reallocation_gives_none(block as Block, moved, size);
    }
    moved
}

extern "C" fn resize_from(
    block: usize,
    size: usize,
    c: usize,
    function: Function<Block>,
    sp: u64,
    bp: u64,
) -> Block {
    if let Some(old) = real::pool_size(block as Block) {
        return out_of_pool(block, old, size, function);
    }
    // SAFETY: as above.
    resizing(Caller { sp, bp }, block, size, || unsafe {
        function(block, size, c)
    })
}

/// A block of the pool, which only the loader has, goes on as one of the allocator's.
#[cold]
fn out_of_pool(block: usize, old: usize, size: usize, function: Function<Block>) -> Block {
    // SAFETY: only realloc is ever given such a block, for which a null pointer is legal.
    let moved = unsafe { function(0, size, 0) };
    if !moved.is_null() {
        let block = block as *const u8;
        // SAFETY: both blocks have at least so many bytes, and they are different ones.
        unsafe {
            moved
                .cast::<u8>()
                .copy_from_nonoverlapping(block, old.min(size))
        };
    }
    moved
}

extern "C" fn resize_count_from(
    block: usize,
    count: usize,
    size: usize,
    function: Function<Block>,
    sp: u64,
    bp: u64,
) -> Block {
    // Where the product is too large, the function fails.
    let bytes = count.saturating_mul(size);
    // SAFETY: as above.
    resizing(Caller { sp, bp }, block, bytes, || unsafe {
        function(block, count, size)
    })
}

extern "C" fn free_from(block: usize, b: usize, c: usize, function: Function<()>) {
    if real::pool_size(block as Block).is_some() {
        return;
    }
    // SAFETY: as above.
    let call = || unsafe { function(block, b, c) };
    let Some(thread) = thread::current().filter(|_| block != 0) else {
        return thread::call_unrecorded(block, call, |()| 0);
    };
    thread.unmake(block);
    if sample::ends(block as u64) {
        thread.record(Event::Free {
            address: block as u64,
        });
    }
    thread.paused(block, call);
}

/// C++ `operator new`, which may throw, and may run the program's new-handler: so it is no pause, and
/// no Rust frame lies above it. Where it calls an entry that is detoured too, or an exported hook, the block
/// is recorded there.
#[unsafe(naked)]
pub(super) extern "C" fn operator() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 40",
        ".cfi_adjust_cfa_offset 40",
        "mov [rsp], rdi",
        "mov [rsp + 8], rsi",
        "mov [rsp + 16], rdx",
        "mov [rsp + 24], r11",
        "call {before}",
        "mov rdi, [rsp]",
        "mov rsi, [rsp + 8]",
        "mov rdx, [rsp + 16]",
        "call [rsp + 24]",
        "mov rdi, rax",
        "mov rsi, [rsp]",
        "lea rdx, [rsp + 40]",
        "mov rcx, rbp",
        "call {after}",
        "add rsp, 40",
        ".cfi_adjust_cfa_offset -40",
        "ret",
        ".cfi_endproc",
        before = sym before_operator,
        after = sym after_operator,
    )
}

extern "C" fn before_operator() {
    if let Some(thread) = thread::current() {
        thread.make(0);
    }
}

extern "C" fn after_operator(block: Block, size: usize, sp: u64, bp: u64) -> Block {
    if let Some(thread) = thread::current()
        && !block.is_null()
        && thread.made() != block as usize
    {
        made(thread, block as u64, size, Caller { sp, bp });
    }
    block
}

/// `poll(task) -> ..`. It runs the program's own code, of which backtraces are taken: so no Rust frame lies above it,
/// and unwinders find their way past this one.
#[unsafe(naked)]
pub(super) extern "C" fn poll() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 24",
        ".cfi_adjust_cfa_offset 24",
        "mov [rsp], rdi",
        "mov [rsp + 8], r11",
        "mov rsi, rsp",
        "call {begins}",
        "mov rdi, [rsp]",
        "mov [rsp], rax",
        "mov [rsp + 16], rdx",
        "call [rsp + 8]",
        "mov rdi, [rsp]",
        "mov rsi, [rsp + 16]",
        "mov [rsp], rax",
        "call {ends}",
        "mov rax, [rsp]",
        "add rsp, 24",
        ".cfi_adjust_cfa_offset -24",
        "ret",
        ".cfi_endproc",
        begins = sym begins_poll,
        ends = sym ends_poll,
    )
}

extern "C" fn begins_poll(task: u64, at: usize) -> Polled {
    thread::begins_poll(task, at)
}

extern "C" fn ends_poll(before: Polled) {
    thread::ends_poll(before);
}
