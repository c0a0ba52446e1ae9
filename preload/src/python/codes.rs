//! The code objects that were told: address → number, for the whole process.
//!
//! A code object that is freed is forgotten: its address may be another's next. What threads remember of it is known
//! by its `version`, which changes then, and stacks as a whole by the `epoch`. So that a free costs next to
//! nothing, a bit for each address (many share one) says whether a code object may lie there.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use leak_wire::{Bytes, Event};

use super::interpreter::Interpreter;
use super::text;
use crate::kernel;
use crate::table as tables;

/// Changes when a known code object was freed.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Told apart by `bit`.
const BITS: usize = 1 << 16;
static KNOWN: [AtomicU64; BITS / 64] = [const { AtomicU64::new(0) }; BITS / 64];
/// For each bit: how many code objects were freed for which it stands. In pages of zeros where none was.
/// Mapped before the first code object is told.
// SAFETY: zeros are valid atomics.
static VERSIONS: tables::Table<[AtomicU32; BITS]> = unsafe { tables::Table::new() };
/// Changes when all are forgotten.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// At first so many, then doubled up to the bound.
const FIRST_SLOTS: usize = 1 << 12;
const MAX_SLOTS: usize = 1 << 22;

#[derive(Clone, Copy)]
struct Slot {
    /// Address of the code object; 0: free; `GONE`: freed.
    code: u64,
    number: u32,
}

const GONE: u64 = 1;

struct Table {
    slots: *mut Slot,
    capacity: usize,
    /// Slots that are not free.
    used: usize,
    /// The last number given; never given again.
    last: u32,
    text: [u8; Bytes::MAX],
}

struct Shared(UnsafeCell<Table>);

// SAFETY: reached only by who holds `LOCKED`.
unsafe impl Sync for Shared {}

static TABLE: Shared = Shared(UnsafeCell::new(Table {
    slots: null_mut(),
    capacity: 0,
    used: 0,
    last: 0,
    text: [0; Bytes::MAX],
}));
static LOCKED: AtomicBool = AtomicBool::new(false);
/// A code object was freed while the table was locked: all of it is to be forgotten.
static DISTRUSTED: AtomicBool = AtomicBool::new(false);

/// The GIL keeps others out as a rule; interpreters with a GIL of their own, and signal handlers,
/// may meet. Looks, at most, before giving up.
const LOOKS: u32 = 4096;

/// What stacks are known by: those of another epoch may have frames of code objects that are gone.
#[inline(always)]
pub fn epoch() -> u64 {
    // Acquire: pairs with the Release in `forget`.
    EPOCH.load(Ordering::Acquire)
}

/// What versions are known by: with another generation all code objects are forgotten.
pub fn generation() -> u64 {
    // Relaxed: changes before the epoch, which is looked at first.
    GENERATION.load(Ordering::Relaxed)
}

/// Changes when the known code object at `code` is freed.
#[inline(always)]
pub fn version(code: u64) -> u32 {
    // Relaxed: the memory of a code object comes to another thread by the GIL.
    let version = VERSIONS.get().and_then(|all| all.get(place(code)));
    version.map_or(0, |version| version.load(Ordering::Relaxed))
}

/// Runs `work` with the table; `None` where another one does.
fn locked<R>(work: impl FnOnce(&mut Table) -> R) -> Option<R> {
    let mut looks = 0;
    // Acquire: pairs with the Release below.
    while LOCKED.swap(true, Ordering::Acquire) {
        looks += 1;
        if looks > LOOKS {
            return None;
        }
        core::hint::spin_loop();
    }
    // SAFETY: locked.
    let table = unsafe { &mut *TABLE.0.get() };
    // Relaxed: the lock orders it, or the next one to lock sees it.
    if DISTRUSTED.swap(false, Ordering::Relaxed) {
        table.clear();
    }
    let result = work(table);
    // Release: pairs with the Acquire above.
    LOCKED.store(false, Ordering::Release);
    Some(result)
}

/// All code objects are forgotten: some may have been freed unseen, and none is told in a new session.
pub fn begin_anew() {
    // Relaxed, both: see `generation`.
    DISTRUSTED.store(true, Ordering::Relaxed);
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // Release: pairs with the Acquire in `epoch`.
    EPOCH.fetch_add(1, Ordering::Release);
}

/// In a forked child: who held the lock is not there.
pub fn in_forked_child() {
    LOCKED.store(false, Ordering::Relaxed);
}

/// The number of the code object at `code`, which is told to `tell` if it is new; 0: it could not be.
///
/// # Safety
/// `code` is a live object of `interpreter`, on the stack of the calling thread, which holds the GIL.
pub unsafe fn number(
    interpreter: &Interpreter,
    code: u64,
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> u32 {
    // SAFETY: the caller's promise.
    let told = locked(|table| unsafe { table.number(interpreter, code, tell) });
    told.flatten().unwrap_or(0)
}

/// The block at `address` is about to be freed.
#[inline(always)]
pub fn freed(address: u64) {
    let (word, mask) = bit(address);
    // Relaxed: whoever told the code object gave it away under the GIL since.
    let word = KNOWN
        .get(word)
        .map_or(0, |word| word.load(Ordering::Relaxed));
    if word & mask != 0 {
        forget(address);
    }
}

#[cold]
#[inline(never)]
fn forget(address: u64) {
    // Relaxed, all: see `version` and `generation`.
    match locked(|table| table.forget(address)) {
        Some(false) => return,
        Some(true) => {
            if let Some(version) = VERSIONS.get().and_then(|all| all.get(place(address))) {
                version.fetch_add(1, Ordering::Relaxed);
            }
        }
        None => {
            DISTRUSTED.store(true, Ordering::Relaxed);
            GENERATION.fetch_add(1, Ordering::Relaxed);
        }
    }
    // Release: pairs with the Acquire in `epoch`.
    EPOCH.fetch_add(1, Ordering::Release);
}

/// Which bit is an address's.
#[inline(always)]
fn place(address: u64) -> usize {
    (address >> 4) as usize % BITS
}

/// Where that bit lies.
#[inline(always)]
fn bit(address: u64) -> (usize, u64) {
    let place = place(address);
    (place / 64, 1 << (place % 64))
}

impl Table {
    fn slots(&mut self) -> &mut [Slot] {
        if self.slots.is_null() {
            return &mut [];
        }
        // SAFETY: `grow` mapped so many zeroed slots there, and the table is borrowed.
        unsafe { core::slice::from_raw_parts_mut(self.slots, self.capacity) }
    }

    /// The slot of `code`, or the free one where it belongs.
    fn find(&mut self, code: u64) -> Option<&mut Slot> {
        let slots = self.slots();
        let mask = slots.len().checked_sub(1)?;
        let mut index = (code >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> 32 & mask;
        for _ in 0..=mask {
            let slot = *slots.get(index)?;
            if slot.code == code || slot.code == 0 {
                return slots.get_mut(index);
            }
            index = (index + 1) & mask;
        }
        None
    }

    /// # Safety
    /// As for [`number`].
    unsafe fn number(
        &mut self,
        interpreter: &Interpreter,
        code: u64,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Option<u32> {
        if let Some(slot) = self.find(code)
            && slot.code == code
        {
            return Some(slot.number);
        }
        VERSIONS.needed()?;
        if self.used * 4 >= self.capacity * 3 && !self.grow() {
            return None;
        }
        let number = self.last + 1;
        // SAFETY: the caller's promise.
        if !unsafe { text::tell(interpreter, code, number, &mut self.text, tell) } {
            return None;
        }
        self.last = number;
        let slot = self.find(code)?;
        *slot = Slot { code, number };
        self.used += 1;
        let (word, mask) = bit(code);
        if let Some(word) = KNOWN.get(word) {
            // Relaxed: see `freed`.
            word.fetch_or(mask, Ordering::Relaxed);
        }
        Some(number)
    }

    /// Whether a code object was known there.
    fn forget(&mut self, code: u64) -> bool {
        match self.find(code) {
            Some(slot) if slot.code == code => {
                slot.code = GONE;
                true
            }
            _ => false,
        }
    }

    fn clear(&mut self) {
        self.slots().fill(Slot { code: 0, number: 0 });
        self.used = 0;
    }

    /// Makes room: without the slots of freed ones, and twice as large if that does not suffice.
    fn grow(&mut self) -> bool {
        let live = self.slots().iter().filter(|slot| slot.code > GONE).count();
        let capacity = match self.capacity {
            0 => FIRST_SLOTS,
            now if live * 2 < now => now,
            now => now * 2,
        };
        if capacity > MAX_SLOTS {
            return false;
        }
        let Some(mapped) = kernel::map(capacity * size_of::<Slot>()) else {
            return false;
        };
        let (old, old_capacity) = (self.slots, self.capacity);
        (self.slots, self.capacity, self.used) = (mapped.cast(), capacity, live);
        for word in &KNOWN {
            // Relaxed: see `freed`.
            word.store(0, Ordering::Relaxed);
        }
        for index in 0..old_capacity {
            // SAFETY: within the old slots, which are still mapped.
            let slot = unsafe { *old.add(index) };
            if slot.code > GONE {
                if let Some(place) = self.find(slot.code) {
                    *place = slot;
                }
                let (word, mask) = bit(slot.code);
                if let Some(word) = KNOWN.get(word) {
                    word.fetch_or(mask, Ordering::Relaxed);
                }
            }
        }
        if old_capacity > 0 {
            // SAFETY: mapped here as a whole, and nobody refers to it any more.
            unsafe { kernel::unmap(old.cast(), old_capacity * size_of::<Slot>()) };
        }
        true
    }
}
