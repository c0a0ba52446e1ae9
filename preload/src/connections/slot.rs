//! Where the states of connections lie: slots in blocks that are mapped when they are first needed.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use leak_framer::{Buffers, Connection};

use super::DESCRIPTORS;
use crate::table::Table;
use crate::{alternate_stack, kernel, session, thread};

const BLOCK: usize = 64;
const BLOCKS: usize = DESCRIPTORS / BLOCK;

// SAFETY: zeros are null pointers.
static SLOTS: Table<[AtomicPtr<Block>; BLOCKS]> = unsafe { Table::new() };
/// Slots that were ever used.
static USED: AtomicU32 = AtomicU32::new(0);
/// Free slots, linked through `Slot::next`: low half the first one's place, high half a count of
/// changes, so that a slot that went and came back is noticed.
static FREE: AtomicU64 = AtomicU64::new(0);

#[repr(C)]
struct Block {
    slots: [Slot; BLOCK],
    buffers: [UnsafeCell<Buffers>; BLOCK],
}

/// What is known of one connection. All zeros: none.
pub(super) struct Slot {
    /// The connection's number plus 1, and in the high half that of the session; 0: none. Changes under the lock.
    pub(super) connection: AtomicU64,
    /// Descriptors that refer to it.
    pub(super) descriptors: AtomicU32,
    /// 1: the bytes are of no use any more.
    pub(super) opaque: AtomicU32,
    /// 1: the raw bytes are ciphertext, whose plain text is seen elsewhere.
    pub(super) secured: AtomicU32,
    /// Transfers from the client, while they are framed.
    pub(super) reads: AtomicU32,
    /// Transfers to the client, while they are framed.
    pub(super) writes: AtomicU32,
    /// Calls that read from the client, and have not told yet what they read.
    pub(super) reading: AtomicU32,
    /// The same of calls that write.
    pub(super) writing: AtomicU32,
    /// Of `reading`, those whose bytes have moved.
    pub(super) telling_reads: AtomicU32,
    /// The same of `writing`.
    pub(super) telling_writes: AtomicU32,
    /// 1: a call took too long, or was left by a jump: no other waits for it any more.
    pub(super) impatient: AtomicU32,
    /// 1: that the client is gone was told.
    pub(super) gone: AtomicU32,
    /// The image that wrote to the client last; 0: none yet.
    pub(super) writer: AtomicU32,
    /// The tid of the thread that works on `state`; 0: none does.
    locked: AtomicU32,
    next: AtomicU32,
    state: UnsafeCell<Connection>,
}

/// A watched connection, as found by one of its descriptors.
#[derive(Clone, Copy)]
pub struct Watched {
    pub(super) slot: &'static Slot,
    buffers: *mut Buffers,
    /// The slot's place, counted from 1.
    pub(super) place: u32,
    /// The slot's connection when it was found.
    connection: u64,
}

/// The connection at a place, if there is one.
pub(super) fn find(place: u32) -> Option<Watched> {
    let index = (place as usize).checked_sub(1)?;
    // Acquire: pairs with the Release in `map`.
    let block = SLOTS.get()?.get(index / BLOCK)?.load(Ordering::Acquire);
    // SAFETY: null, or a block that is mapped for ever. It is all zeros at first, which is valid for
    // its atomics; states and buffers are reached through their cells, under the slot's lock only.
    let block = unsafe { block.as_ref() }?;
    let slot = block.slots.get(index % BLOCK)?;
    Some(Watched {
        slot,
        buffers: block.buffers.get(index % BLOCK)?.get(),
        place,
        // Relaxed: compared again under the lock.
        connection: slot.connection.load(Ordering::Relaxed),
    })
}

/// A slot for the connection `number`, which has one descriptor; `resumed`: it was accepted before it was watched.
pub(super) fn take(number: u32, resumed: bool) -> Option<Watched> {
    let watched = find(free_place()?)?;
    let slot = watched.slot;
    if !lock(&slot.locked) {
        return None;
    }
    // SAFETY: nobody else has the slot or its lock; what was there has nothing to drop.
    unsafe { slot.state.get().write(Connection::begin(resumed)) };
    // Relaxed, all: published by the Release below.
    slot.opaque.store(0, Ordering::Relaxed);
    slot.secured.store(0, Ordering::Relaxed);
    slot.gone.store(0, Ordering::Relaxed);
    slot.writer.store(0, Ordering::Relaxed);
    slot.reading.store(0, Ordering::Relaxed);
    slot.writing.store(0, Ordering::Relaxed);
    slot.telling_reads.store(0, Ordering::Relaxed);
    slot.telling_writes.store(0, Ordering::Relaxed);
    slot.impatient.store(0, Ordering::Relaxed);
    slot.descriptors.store(1, Ordering::Relaxed);
    let connection = u64::from(session::serial()) << 32 | u64::from(number.wrapping_add(1));
    slot.connection.store(connection, Ordering::Relaxed);
    // Release: pairs with the Acquire in `lock`.
    slot.locked.store(0, Ordering::Release);
    Some(Watched {
        connection,
        ..watched
    })
}

fn free_place() -> Option<u32> {
    // Acquire, here and below: pairs with the Release in `Watched::give_up_slot`.
    let mut free = FREE.load(Ordering::Acquire);
    while let Some(watched) = find(free as u32) {
        let next = u64::from(watched.slot.next.load(Ordering::Relaxed));
        let now = (free >> 32).wrapping_add(1) << 32 | next;
        match FREE.compare_exchange(free, now, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => return Some(watched.place),
            Err(other) => free = other,
        }
    }
    let slots = SLOTS.needed()?;
    // Relaxed: the counter alone decides who has which.
    let index = USED.fetch_add(1, Ordering::Relaxed) as usize;
    map(slots.get(index / BLOCK)?)?;
    Some(index as u32 + 1)
}

fn map(block: &AtomicPtr<Block>) -> Option<()> {
    // Acquire, both: pair with the Release below.
    if !block.load(Ordering::Acquire).is_null() {
        return Some(());
    }
    let fresh = kernel::map(size_of::<Block>())?;
    let mapped = block.compare_exchange(
        null_mut(),
        fresh.cast(),
        Ordering::Release,
        Ordering::Acquire,
    );
    if mapped.is_err() {
        // SAFETY: another thread was faster; nobody knows of ours.
        unsafe { kernel::unmap(fresh, size_of::<Block>()) };
    }
    Some(())
}

/// Rounds in which a lock is waited for: at first spinning, then for a millisecond each, as its owner may wait for
/// the recorder.
const ROUNDS: u32 = 3000;
const SPINS: u32 = 100;

/// Takes a lock; false where it can't be had: its owner is gone, or is the frame that this signal handler
/// interrupted, or takes three seconds.
fn lock(locked: &AtomicU32) -> bool {
    let own = thread::tid();
    for round in 0..ROUNDS {
        // Acquire: pairs with the Release of the owner before.
        match locked.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(owner) if owner == own => return false,
            Err(_) if round < SPINS => core::hint::spin_loop(),
            Err(owner) if !kernel::is_confined() && kernel::thread_gone(owner) => return false,
            // Nobody wakes us: a sleep that ends at once when the lock is free already.
            Err(owner) => kernel::futex_wait(locked, owner, Duration::from_millis(1)),
        }
    }
    false
}

impl Watched {
    /// The connection's number.
    pub(super) fn number(&self) -> u32 {
        self.connection.wrapping_sub(1) as u32
    }

    /// Whether it is one of the session that is recorded now.
    pub(super) fn is_of_session(&self) -> bool {
        (self.connection >> 32) as u32 == session::traced()
    }

    /// What tells it from every other connection; 0 where there was none.
    pub(super) fn connection(&self) -> u64 {
        self.connection
    }

    /// Whether the slot still is this connection's.
    pub(super) fn is_current(&self) -> bool {
        // Relaxed: a hint, except under the lock.
        self.slot.connection.load(Ordering::Relaxed) == self.connection
    }

    /// Runs `work` on the state, unless the connection is gone or the state can't be had in time.
    pub(super) fn with_state<R>(
        &self,
        work: impl FnOnce(&mut Connection, &mut Buffers) -> R,
    ) -> Option<R> {
        if !lock(&self.slot.locked) {
            return None;
        }
        let result = self.is_current().then(|| {
            // SAFETY: under the slot's lock nobody else refers to them. The state was written by
            // `take`; the buffers are plain bytes, zeros at first.
            let (state, buffers) = unsafe { (&mut *self.slot.state.get(), &mut *self.buffers) };
            alternate_stack::run(|| work(state, buffers))
        });
        // Release: pairs with the Acquire in `lock`.
        self.slot.locked.store(0, Ordering::Release);
        result
    }

    /// The connection is gone, and its slot may be another's. A slot whose lock can't be had is lost.
    pub(super) fn give_up_slot(self) {
        let slot = self.slot;
        if !lock(&slot.locked) {
            return;
        }
        slot.connection.store(0, Ordering::Relaxed);
        // Release: pairs with the Acquire in `lock`.
        slot.locked.store(0, Ordering::Release);
        let mut free = FREE.load(Ordering::Relaxed);
        loop {
            slot.next.store(free as u32, Ordering::Relaxed);
            let now = (free >> 32).wrapping_add(1) << 32 | u64::from(self.place);
            // Release: pairs with the Acquire in `free_place`.
            match FREE.compare_exchange(free, now, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => free = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_given_up_is_taken_again_and_the_old_connection_sees_nothing_of_it() {
        let old = take(7, false).unwrap();
        assert_eq!(old.number(), 7);
        assert_eq!(
            old.with_state(|connection, _| connection.is_opaque()),
            Some(false)
        );
        old.with_state(|connection, _| connection.give_up());
        old.give_up_slot();
        assert_eq!(old.with_state(|_, _| ()), None);
        // Other tests take slots, too: this one comes back sooner or later.
        let taken: std::vec::Vec<_> = (100..200)
            .map(|number| take(number, false).unwrap())
            .collect();
        let new = taken.iter().find(|new| new.place == old.place).unwrap();
        assert_eq!(
            new.with_state(|connection, _| connection.is_opaque()),
            Some(false)
        );
        assert_eq!(old.with_state(|_, _| ()), None);
        let mut places: std::vec::Vec<_> = taken.iter().map(|slot| slot.place).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), taken.len());
        taken.iter().for_each(|slot| slot.give_up_slot());
    }

    #[test]
    fn a_lock_whose_owner_is_gone_is_not_waited_for_long() {
        let slot = take(8, false).unwrap();
        let inner = slot.with_state(|_, _| slot.with_state(|_, _| ()));
        assert_eq!(inner, Some(None));
        assert_eq!(slot.with_state(|_, _| ()), Some(()));
        slot.give_up_slot();
    }

    #[test]
    fn places_that_are_none_lead_nowhere() {
        assert!(find(0).is_none());
        assert!(find(u32::MAX).is_none());
    }
}
