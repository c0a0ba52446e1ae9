//! `LEAK_START`: a program that records nothing until somebody wants it to.
//!
//! - The hooks of memory test one word, [`CONTROL`]'s gate, and go on to the real function while it says `Off`. There is
//!   no recorder then, no file, no shared memory, no descriptor and no thread.
//! - `leak-analyze start` writes `Wanted` there, through `/proc/PID/mem`: the next call that a hook sees begins a
//!   session, as the constructor would. When that ends, the gate says `Off` again.
//! - With a condition (`rss>70%`) the hooks that are no allocator's look now and then whether it has come true. The
//!   largest resident set that the kernel has seen is asked for first, as that takes no descriptor.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use leak_wire::build::BUILD;
use leak_wire::control::{Control, Gate, MAGIC};
use leak_wire::settings::{Amount, Start};

use crate::config::Environment;
use crate::{kernel, real};

/// What is written from outside. In the data of this library, which every process has for itself.
#[used]
pub static CONTROL: Control = Control {
    magic: MAGIC,
    build: BUILD,
    gate: AtomicU32::new(Gate::Open as u32),
    failed: AtomicU32::new(0),
    begun: AtomicU32::new(0),
    told: [const { AtomicU8::new(0) }; _],
};

/// The resident set at which recording begins, bytes; 0: it does not begin by itself.
static THRESHOLD: AtomicU64 = AtomicU64::new(0);
/// The tick at which the condition is looked at next.
static NEXT_LOOK: AtomicU64 = AtomicU64::new(0);
/// Ticks between two looks: a tenth of a second at 2.7 GHz.
const LOOK_TICKS: u64 = 1 << 28;

/// Whether nothing is recorded, nor to be with this call of an allocator.
#[inline(always)]
pub fn is_shut() -> bool {
    CONTROL.gate.load(Ordering::Relaxed) & Gate::SHUT != 0
}

/// Whether nothing is recorded, nor to be.
#[inline(always)]
pub fn is_off() -> bool {
    // Relaxed, here and below: a word by itself, and whoever goes on to use a session acquires it.
    CONTROL.gate.load(Ordering::Relaxed) == Gate::Off as u32
}

/// Whether recording is to begin with this call.
pub fn is_wanted() -> bool {
    CONTROL.gate.load(Ordering::Relaxed) == Gate::Wanted as u32
}

/// Nothing is recorded from now on.
pub fn shut() {
    real::settle();
    let gate = match THRESHOLD.load(Ordering::Relaxed) {
        0 => Gate::Off,
        _ => Gate::Watching,
    };
    // Release: the targets of the hooks are there.
    CONTROL.gate.store(gate as u32, Ordering::Release);
}

/// The same as a session ends, unless another one is wanted already.
pub fn shut_after_session() {
    shut_from(Gate::Open);
}

/// The same of a wish that was another process's, unless a session has begun since.
pub fn shut_wish() {
    shut_from(Gate::Wanted);
}

fn shut_from(gate: Gate) {
    real::settle();
    let (from, off) = (gate as u32, Gate::Off as u32);
    // Release: as above.
    let _ = CONTROL
        .gate
        .compare_exchange(from, off, Ordering::Release, Ordering::Relaxed);
}

/// The hooks find out themselves whether to record.
pub fn open() {
    CONTROL.gate.store(Gate::Open as u32, Ordering::Relaxed);
}

/// What was wanted was wanted of another process.
pub fn forget_wish() {
    if is_wanted() {
        open();
    }
}

/// Recording has begun.
pub fn begun() {
    // Release: whoever reads the count from outside finds a process that records.
    CONTROL.begun.fetch_add(1, Ordering::Release);
}

/// Recording was to begin, and can't.
pub fn failed() {
    // Release: whoever reads the count from outside finds the text.
    CONTROL.failed.fetch_add(1, Ordering::Release);
}

/// Keeps what the user was told last, for whoever asks from outside.
pub fn tells(parts: &[&[u8]]) {
    let mut bytes = parts.iter().flat_map(|part| part.iter());
    let (last, places) = match CONTROL.told.split_last() {
        Some(split) => split,
        None => return,
    };
    for place in places {
        place.store(bytes.next().copied().unwrap_or(0), Ordering::Relaxed);
    }
    last.store(0, Ordering::Relaxed);
}

/// The setting; `None`: it can't be used.
pub fn asked(environment: Environment) -> Option<Start> {
    Start::parse(environment.get(b"LEAK_START").unwrap_or_default())
}

/// Recording is to begin by itself past `amount`.
pub fn watch(amount: Amount) {
    let bytes = match amount {
        Amount::Bytes(bytes) => bytes,
        Amount::Percent(percent) => kernel::memory_limit() / 100 * percent,
    };
    THRESHOLD.store(bytes.max(1), Ordering::Relaxed);
}

/// Whether recording is to begin with this call because the condition has come true.
#[cold]
#[inline(never)]
pub fn begins_by_itself() -> bool {
    // SAFETY: rdtsc has no preconditions.
    let now = unsafe { core::arch::x86_64::_rdtsc() };
    let next = NEXT_LOOK.load(Ordering::Relaxed);
    let takes = now >= next
        && NEXT_LOOK
            .compare_exchange(next, now + LOOK_TICKS, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
    takes && has_come_true()
}

#[inline(never)]
fn has_come_true() -> bool {
    let threshold = THRESHOLD.load(Ordering::Relaxed);
    // The largest one may have been that of the program that this image replaced: so what is resident now is read where
    // it says yes.
    if kernel::largest_resident() <= threshold || kernel::resident() <= threshold {
        return false;
    }
    // Once: whoever ends this recording does not want the next one at once.
    THRESHOLD.store(0, Ordering::Relaxed);
    CONTROL.gate.store(Gate::Wanted as u32, Ordering::Relaxed);
    true
}
