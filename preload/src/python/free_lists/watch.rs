//! Deaths between two looks: an object that was there at the last look may die, and its block may be taken again before
//! the next one, which then sees it alive as before. So the lengths of the lists that matter most are looked at with each
//! allocation of the interpreter's. One that has grown has a dead object on top.
//!
//! What dies and is taken between two allocations stays unseen. Where so many have died that there is no room for more,
//! the next look is due at once: a collection fills all lists, and who allocates next takes from them. What is taken and
//! then given back to the allocator has left the list for good: its death is forgotten.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

/// Lists that are watched, at most.
const MOST: usize = 16;
/// Deaths that are remembered between two looks.
const ROOM: usize = 128;

/// Words of the filter before them.
const FILTER: usize = 64;

/// A list that is watched. All zeros: none.
#[derive(Clone, Copy)]
struct Watched {
    /// Where its length lies: the low half of one of eight bytes.
    length_at: u64,
    last: u32,
    /// Which of all.
    list: u32,
}

/// Used under the GIL only.
pub struct Watch {
    watched: UnsafeCell<[Watched; MOST]>,
    /// Blocks, and the lists that they came to.
    deaths: UnsafeCell<[(u64, u32); ROOM]>,
    count: UnsafeCell<usize>,
    /// A bit for each death, and for many other blocks.
    filter: [AtomicU64; FILTER],
}

/// Where a block has its bit: which word, and which one of it.
#[inline(always)]
fn bit(block: u64) -> (usize, u64) {
    // Fibonacci hashing (Knuth, volume 3, 6.4).
    let hash = (block >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    (hash as usize / 64 % FILTER, 1 << (hash % 64))
}

// SAFETY: see `Watch`.
unsafe impl Sync for Watch {}

// For all of these the calling thread holds the GIL, and is not interrupted by another use.
impl Watch {
    /// Nothing is watched.
    pub const fn new() -> Watch {
        const NONE: Watched = Watched {
            length_at: 0,
            last: 0,
            list: 0,
        };
        Watch {
            watched: UnsafeCell::new([NONE; MOST]),
            deaths: UnsafeCell::new([(0, 0); ROOM]),
            count: UnsafeCell::new(0),
            filter: [const { AtomicU64::new(0) }; FILTER],
        }
    }

    /// Watches one more list, if there is room.
    ///
    /// # Safety
    /// See above; a length lies at `length_at`.
    pub unsafe fn add(&self, list: usize, length_at: u64) {
        // SAFETY: the caller's promise.
        let watched = unsafe { &mut *self.watched.get() };
        let mut free = watched.iter_mut().filter(|watched| watched.length_at == 0);
        if let Some(place) = free.next() {
            *place = Watched {
                length_at,
                last: 0,
                list: list as u32,
            };
        }
    }

    /// Gives the lists whose lengths have changed, with what they were.
    ///
    /// # Safety
    /// See above.
    #[inline(always)]
    pub unsafe fn each_changed(&self, mut changed: impl FnMut(usize, usize)) {
        // SAFETY: the caller's promise.
        for watched in unsafe { &mut *self.watched.get() } {
            if watched.length_at == 0 {
                return;
            }
            // SAFETY: as above.
            let length = unsafe { (watched.length_at as *const u32).read() };
            if length != watched.last {
                let last = core::mem::replace(&mut watched.last, length);
                if length > last {
                    changed(watched.list as usize, last as usize);
                }
            }
        }
    }

    /// Whether there is room for more deaths.
    ///
    /// # Safety
    /// See above.
    #[inline(always)]
    pub unsafe fn has_room(&self) -> bool {
        // SAFETY: the caller's promise.
        unsafe { *self.count.get() < ROOM }
    }

    /// The object in this block died and came to this list.
    ///
    /// # Safety
    /// See above.
    pub unsafe fn dies(&self, list: usize, block: u64) {
        // SAFETY: the caller's promise.
        let (deaths, count) = unsafe { (&mut *self.deaths.get(), &mut *self.count.get()) };
        let death = (block, list as u32);
        // One that comes and goes dies again and again.
        let known = deaths.get(..*count).unwrap_or_default();
        if self.may_have(block) && known.iter().rev().any(|known| *known == death) {
            return;
        }
        let Some(place) = deaths.get_mut(*count) else {
            return;
        };
        *place = death;
        *count += 1;
        let (word, bit) = bit(block);
        if let Some(word) = self.filter.get(word) {
            // Relaxed: under the GIL; who reads it without has no block that died here.
            word.store(word.load(Ordering::Relaxed) | bit, Ordering::Relaxed);
        }
    }

    /// Whether this block may be one of those.
    #[inline(always)]
    pub fn may_have(&self, block: u64) -> bool {
        let (word, bit) = bit(block);
        // Relaxed: as above.
        let word = self.filter.get(word);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// The block is given back to the allocator.
    ///
    /// # Safety
    /// See above.
    pub unsafe fn goes(&self, block: u64) {
        // SAFETY: the caller's promise.
        let (deaths, count) = unsafe { (&mut *self.deaths.get(), *self.count.get()) };
        let deaths = deaths.get_mut(..count).unwrap_or_default().iter_mut();
        deaths
            .filter(|death| death.0 == block)
            .for_each(|death| *death = (0, 0));
    }

    /// The deaths on this list since they were forgotten.
    ///
    /// # Safety
    /// See above.
    pub unsafe fn deaths(&self, list: usize) -> impl Iterator<Item = u64> + Clone + '_ {
        // SAFETY: the caller's promise.
        let (deaths, count) = unsafe { (&*self.deaths.get(), *self.count.get()) };
        let deaths = deaths.get(..count).unwrap_or_default().iter();
        let here = deaths.filter(move |death| death.1 as usize == list && death.0 != 0);
        here.map(|death| death.0)
    }

    /// All is as it is now.
    ///
    /// # Safety
    /// See above.
    pub unsafe fn forget(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            *self.count.get() = 0;
            self.each_changed(|_, _| {});
        }
        // Relaxed: as above.
        for word in &self.filter {
            word.store(0, Ordering::Relaxed);
        }
    }
}
