//! Descriptors by which the threads of a program tell each other what to do: pipes, eventfds, pairs of sockets, timers and
//! signals that are read. Who reads from one of them takes its next job, as one who takes the lock of a queue.
//!
//! - A bit for each descriptor. Those past the end are not known, and reads of them tell nothing.
//! - A vfork child runs in its parent's memory: whoever calls for one changes nothing here.
//! - A channel that is closed where no hook sees it stays one until its number is closed again, or becomes a
//!   connection: what reads a file by that number meanwhile proves less than it could.

use core::sync::atomic::{AtomicU64, Ordering};

/// So many descriptors are known, the lowest.
const DESCRIPTORS: usize = 8_192;
const BITS: usize = u64::BITS as usize;

static CHANNELS: [AtomicU64; DESCRIPTORS / BITS] =
    [const { AtomicU64::new(0) }; DESCRIPTORS / BITS];

#[inline(always)]
fn place(descriptor: i32) -> Option<(&'static AtomicU64, u64)> {
    let descriptor = usize::try_from(descriptor).ok()?;
    let word = CHANNELS.get(descriptor / BITS)?;
    Some((word, 1 << (descriptor % BITS)))
}

/// Whether the descriptor is a channel.
#[inline(always)]
pub(super) fn has(descriptor: i32) -> bool {
    // Relaxed: whoever hands a descriptor to another thread orders what belongs to it.
    place(descriptor).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
}

/// The descriptor is a channel.
pub(super) fn add(descriptor: i32) {
    if let Some((word, bit)) = place(descriptor) {
        // Relaxed: as in `has`.
        word.fetch_or(bit, Ordering::Relaxed);
    }
}

/// The descriptor is none, or about to be closed.
#[inline(always)]
pub(super) fn remove(descriptor: i32) {
    if has(descriptor)
        && let Some((word, bit)) = place(descriptor)
    {
        // Relaxed: as in `has`.
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

/// All descriptors from `first` to `last` are about to be closed.
pub(super) fn remove_range(first: u32, last: u32) {
    let past = (last as usize).saturating_add(1).min(DESCRIPTORS);
    let mut descriptor = first as usize;
    while descriptor < past {
        // Relaxed: as in `has`. Most words have none.
        if CHANNELS[descriptor / BITS].load(Ordering::Relaxed) == 0 {
            descriptor = (descriptor / BITS + 1) * BITS;
            continue;
        }
        remove(descriptor as i32);
        descriptor += 1;
    }
}

/// `new` refers to what `old` refers to.
pub(super) fn duplicated(old: i32, new: i32) {
    match has(old) {
        true => add(new),
        false => remove(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_and_go() {
        // No descriptors of this process: nothing else touches these bits.
        let (one, other) = (7_000, 7_065);
        add(one);
        assert!(has(one) && !has(other) && !has(one + 1));
        duplicated(one, other);
        assert!(has(other));
        remove_range(6_990, 7_010);
        assert!(!has(one) && has(other));
        duplicated(one, other);
        assert!(!has(other));
        add(-1);
        add(i32::MAX);
        assert!(!has(-1) && !has(i32::MAX));
    }
}
