//! Addresses that sessions of this process lay at. What a session leaves behind is never unmapped: a thread may be in a
//! call that began in it, and be stopped there for as long as it likes. In its place comes private memory without a
//! page, which says that recording has ended; and another session comes there once no thread is left that had a lane
//! of the one before.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// More are not remembered: their addresses are lost, not their memory.
const MOST: usize = 16;

struct Arena {
    start: AtomicUsize,
    bytes: AtomicUsize,
    serial: AtomicU32,
}

/// Changed by the one thread that begins or ends a session.
static ARENAS: [Arena; MOST] = [const {
    Arena {
        start: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        serial: AtomicU32::new(0),
    }
}; MOST];

/// The session `serial`, which lay there, has ended.
pub fn leave(start: usize, bytes: usize, serial: u32) {
    // Relaxed, all: ordered by the state of the session, which one thread changes at a time.
    let free = ARENAS
        .iter()
        .find(|arena| arena.start.load(Ordering::Relaxed) == 0);
    if let Some(arena) = free {
        arena.bytes.store(bytes, Ordering::Relaxed);
        arena.serial.store(serial, Ordering::Relaxed);
        arena.start.store(start, Ordering::Relaxed);
    }
}

/// How many bytes of addresses are kept.
pub fn bytes() -> usize {
    let kept = ARENAS
        .iter()
        // Relaxed, both: numbers by themselves.
        .filter(|arena| arena.start.load(Ordering::Relaxed) != 0);
    kept.map(|arena| arena.bytes.load(Ordering::Relaxed)).sum()
}

/// Where a session of that size can come, as `is_used` says of none of its threads that it is still there.
pub fn take(bytes: usize, is_used: impl Fn(u32) -> bool) -> Option<usize> {
    // Relaxed, all: as above.
    let arena = ARENAS.iter().find(|arena| {
        arena.start.load(Ordering::Relaxed) != 0
            && arena.bytes.load(Ordering::Relaxed) == bytes
            && !is_used(arena.serial.load(Ordering::Relaxed))
    })?;
    Some(arena.start.swap(0, Ordering::Relaxed))
}
