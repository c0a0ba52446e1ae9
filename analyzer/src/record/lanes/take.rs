//! Takes what a lane holds, piece by piece, and puts each event where it belongs in time.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use leak_wire::layout::LaneHeader;
use leak_wire::{Entry, Malformed, Order, Prefix, Record};

use super::super::system;
use super::open_lane::OpenLane;
use crate::trace::{At, Commons};

/// What is done with the records of a lane.
pub(crate) trait Take<E> {
    /// Those of the two kinds that nearly all are. Gives the number of words that were taken: 0 for none.
    fn common(&mut self, lane: &mut OpenLane, commons: Commons<'_>) -> Result<usize, E>;

    /// Any other.
    fn record(&mut self, lane: &mut OpenLane, at: At, record: Record<'_>) -> Result<(), E>;
}

/// Words that are copied and taken at once: so few that they, and what is made of them, stay in the fastest cache.
pub(super) const PIECE: u64 = 1 << 10;

/// A record's stamp may lie this far in our future (ticks): clocks of other cores, and no more.
pub(super) const FUTURE: u64 = 1 << 40;

/// Takes the whole records that `words` begin with, the first of which is at `at`; gives the number of their words.
pub(super) fn take_piece<E>(
    lane: &mut OpenLane,
    at: &mut At,
    words: &[u64],
    latest: u64,
    takes: &mut impl Take<E>,
) -> Result<usize, E> {
    let mut rest = words;
    while !rest.is_empty() {
        // Blocks have a place wherever they are.
        let used = takes.common(lane, Commons::new(*at, rest))?;
        if used > 0 {
            *at = At::Epoch;
            rest = rest.get(used..).unwrap_or_default();
            continue;
        }
        let believed = Entry::decode(rest).and_then(|(entry, used)| {
            let next = placed(lane, *at, &entry, latest).ok_or(Malformed::Field(0))?;
            Ok((next, entry, used))
        });
        let (next, entry, used) = match believed {
            Ok(believed) => believed,
            Err(Malformed::Short { .. }) => break,
            Err(_) => {
                lane.broken = true;
                break;
            }
        };
        *at = next;
        if let Entry::Record(record) = entry {
            takes.record(lane, *at, record)?;
            *at = At::Epoch;
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    Ok(words.len() - rest.len())
}

/// The place of the entry, if it is a record, or of the one after it; `before` is what was told of that.
/// `None`: it can't be.
#[inline]
fn placed(lane: &mut OpenLane, before: At, entry: &Entry<'_>, latest: u64) -> Option<At> {
    let timely = |stamp: u64| (stamp <= latest).then_some(stamp);
    match *entry {
        Entry::Record(record) => match (record.event.order(), before) {
            (Order::Block(_), before) => Some(before),
            (Order::Lane, At::Epoch) => Some(At::Epoch),
            (Order::Fact, At::Epoch) => timely(record.stamp).map(At::Stamp),
            _ => None,
        },
        // A turn or stamp is followed by its event.
        Entry::Prefix(_) if before != At::Epoch => None,
        Entry::Prefix(prefix) => match prefix {
            Prefix::Turn(turn) => Some(At::Turn(turn)),
            Prefix::Stamp(stamp) => timely(stamp).map(At::Stamp),
            Prefix::Epoch(epoch) => {
                lane.events.epoch(timely(epoch)?);
                Some(At::Epoch)
            }
            Prefix::Skip { shard, turn } => {
                lane.events.skip(shard, turn);
                Some(At::Epoch)
            }
            Prefix::Nothing => Some(At::Epoch),
        },
    }
}

/// Tells the producer that everything below `tail` was read, and wakes it if it waits.
pub(crate) fn give_room(header: &LaneHeader, tail: u64) {
    // Release: pairs with the producer's Acquire; the words were read before.
    header.tail.store(tail, Ordering::Release);
    // SeqCst: pairs with the producer's fence between its store of `waiting` and its load of `tail`:
    // either we see that it waits, or it sees our tail.
    fence(Ordering::SeqCst);
    // Relaxed: ordered by the fence.
    if header.waiting.load(Ordering::Relaxed) == 1 {
        wake(&header.room);
    }
}

/// Takes a counter's value and leaves 0.
pub(crate) fn take_count(counter: &AtomicU64) -> u64 {
    // Relaxed: a counter by itself; `swap` loses none of what is added meanwhile.
    match counter.load(Ordering::Relaxed) {
        0 => 0,
        _ => counter.swap(0, Ordering::Relaxed),
    }
}

/// Changes a futex word and wakes who waits for it.
pub(crate) fn wake(word: &AtomicU32) {
    // Relaxed: what the woken look for was stored before, and the system call orders it.
    word.fetch_add(1, Ordering::Relaxed);
    system::futex_wake(word);
}
