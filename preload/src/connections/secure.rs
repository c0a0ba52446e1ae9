//! Which TLS object belongs to which connection, where the object itself doesn't say: it has no
//! descriptor, because the program moves the ciphertext itself.
//!
//! Two ways of programs are known. Either the object calls back, and the program reads the socket
//! within the call (Apache); or the program reads first and hands the bytes over on the same thread
//! (event loops with memory BIOs). In both the first ciphertext of a connection tells.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::slot::{self, Watched};
use crate::table::Table;

global_asm!(
    ".pushsection .tbss.leak_secure, \"awT\", @nobits",
    ".balign 8",
    ".globl leak_secure_slot",
    ".hidden leak_secure_slot",
    ".type leak_secure_slot, @object",
    ".size leak_secure_slot, 16",
    "leak_secure_slot: .zero 16",
    ".popsection",
);

/// What this thread did last, in thread-local memory.
#[repr(C)]
struct Local {
    /// The object whose call is under way on this thread, 0 for none.
    object: AtomicUsize,
    /// The place of the connection that this thread read last.
    read: AtomicU32,
}

#[inline(always)]
fn local() -> &'static Local {
    let local: *const Local;
    // SAFETY: computes the address of this thread's own 16 bytes; initial-exec, so no call. They are
    // zeros at first, which is valid, live as long as the thread that asks, and never leave it.
    unsafe {
        asm!(
            "mov {0}, qword ptr fs:[0]",
            "add {0}, qword ptr [rip + leak_secure_slot@GOTTPOFF]",
            out(reg) local, options(nostack, readonly),
        );
        &*local
    }
}

const OBJECTS: usize = 8192;
const PROBES: usize = 16;

/// An object and the connection that it belongs to.
struct Object {
    address: AtomicUsize,
    place: AtomicU32,
    connection: AtomicU64,
}

// SAFETY: zeros are valid atomics.
static TABLE: Table<[Object; OBJECTS]> = unsafe { Table::new() };

fn candidates(
    table: Option<&'static [Object; OBJECTS]>,
    object: usize,
) -> impl Iterator<Item = &'static Object> {
    // Objects are at least 16 bytes long; the multiplication spreads what is left.
    let start = (object >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (start..start + PROBES).filter_map(move |index| table?.get(index % OBJECTS))
}

impl Object {
    /// The connection, if it is still there. Relaxed, all: an object is used by one thread at a time.
    fn connection(&self) -> Option<Watched> {
        let watched = slot::find(self.place.load(Ordering::Relaxed))?;
        let same = watched.connection() == self.connection.load(Ordering::Relaxed);
        (same && watched.connection() != 0).then_some(watched)
    }
}

/// The connection that `object` was bound to.
fn bound(object: usize) -> Option<Watched> {
    let is = |entry: &&Object| entry.address.load(Ordering::Relaxed) == object;
    candidates(TABLE.get(), object).find(is)?.connection()
}

/// From here on `object` belongs to the connection; a full neighbourhood of the table forgets it.
fn bind(object: usize, watched: Watched) {
    for entry in candidates(TABLE.needed(), object) {
        let before = entry.address.load(Ordering::Relaxed);
        if before != 0 && before != object && entry.connection().is_some() {
            continue;
        }
        // Relaxed, all: see `Object::connection`; who loses the race takes the next entry.
        let taken =
            entry
                .address
                .compare_exchange(before, object, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() {
            entry.place.store(watched.place, Ordering::Relaxed);
            entry
                .connection
                .store(watched.connection(), Ordering::Relaxed);
            return;
        }
    }
}

/// `object` is no more.
pub fn freed(object: usize) {
    for entry in candidates(TABLE.get(), object) {
        if entry.address.load(Ordering::Relaxed) == object {
            entry.place.store(0, Ordering::Relaxed);
        }
    }
}

/// The connection that `object`, which has no descriptor, belongs to. If it is not bound yet: the
/// connection that this thread read last, where that was the beginning of a TLS handshake.
#[inline(never)]
pub fn of_object(object: usize) -> Option<Watched> {
    if let Some(watched) = bound(object) {
        return Some(watched);
    }
    let watched = slot::find(local().read.load(Ordering::Relaxed))?;
    let secret = watched.with_state(|connection, _| connection.is_ciphertext());
    if secret != Some(true) {
        return None;
    }
    bind(object, watched);
    super::secure(watched);
    Some(watched)
}

/// A call of `object`, which has no descriptor, begins; gives what `leave` takes.
pub fn enter(object: usize) -> usize {
    local().object.swap(object, Ordering::Relaxed)
}

/// The call ends.
pub fn leave(before: usize) {
    local().object.store(before, Ordering::Relaxed);
}

/// The thread is about to read the connection. True: it does so for an object, and what it reads is
/// ciphertext.
#[inline(always)]
pub(super) fn reads_for_object(watched: Watched) -> bool {
    let local = local();
    local.read.store(watched.place, Ordering::Relaxed);
    let object = local.object.load(Ordering::Relaxed);
    if object == 0 {
        return false;
    }
    if bound(object).is_none() {
        bind(object, watched);
    }
    super::secure(watched);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_bound_until_it_is_freed_or_its_connection_is_closed() {
        let (first, second) = (
            slot::take(1000, false).unwrap(),
            slot::take(1001, false).unwrap(),
        );
        let object = 0x7f00_1230;
        assert!(bound(object).is_none());
        bind(object, first);
        assert_eq!(bound(object).map(|found| found.place), Some(first.place));
        bind(object, second);
        assert_eq!(bound(object).map(|found| found.place), Some(second.place));
        freed(object);
        assert!(bound(object).is_none());
        bind(object, first);
        first.give_up_slot();
        assert!(bound(object).is_none());
        second.give_up_slot();
    }

    #[test]
    fn a_read_within_a_call_of_an_object_binds_it() {
        let slot = slot::take(1002, false).unwrap();
        let object = 0x7f00_4560;
        assert!(!reads_for_object(slot));
        let before = enter(object);
        assert!(reads_for_object(slot));
        leave(before);
        assert!(!reads_for_object(slot));
        assert_eq!(bound(object).map(|found| found.place), Some(slot.place));
        slot.give_up_slot();
    }
}
