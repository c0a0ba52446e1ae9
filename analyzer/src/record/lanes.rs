//! The lanes as the recorder sees them: which have memory, who writes into them, what was read.

mod open_lane;
mod take;

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use leak_wire::layout::{CLASSES, LaneHeader, claim};
use leak_wire::ring;

use super::mapping::Mapping;
use super::system;
use crate::trace::At;
pub(crate) use open_lane::OpenLane;
use take::{FUTURE, PIECE, take_piece};
pub(crate) use take::{Take, give_room, take_count, wake};

/// Lanes of each class that have memory before the first image starts: little, for a quick start.
const FIRST: [u32; CLASSES] = [2, 4, 4, 4];
/// Lanes of each class that are kept ready beyond those in use, at most this part of all; and more where many are in use:
/// one for so many.
const AHEAD: [u32; CLASSES] = [12, 32, 64, 64];
const AHEAD_PART: u32 = 4;
const IN_USE: u32 = 4;
/// The most that are made at once: before there are more, others are drained.
const AT_ONCE: [u32; CLASSES] = [8, 64, 256, 2048];

/// Gives the first lanes memory.
pub(crate) fn allocate_first(mapping: &Mapping) -> io::Result<()> {
    let mut first = 0;
    for (count, ready) in mapping.geometry().lanes.into_iter().zip(FIRST) {
        make_ready(mapping, first..first + count.min(ready) as usize)?;
        first += count as usize;
    }
    Ok(())
}

/// Gives lanes of one class memory, and makes them free.
fn make_ready(mapping: &Mapping, lanes: Range<usize>) -> io::Result<()> {
    mapping.allocate_lanes(lanes.clone())?;
    for header in mapping.lanes().get(lanes).unwrap_or_default() {
        // Release: pairs with the claimer's Acquire; the words have memory.
        let free = claim::pack(claim::FREE, 0);
        header.claim.store(free, Ordering::Release);
    }
    Ok(())
}

/// How many of these lanes are free, and where the first of them lies among them; past the last, if none is.
fn free_of(mapping: &Mapping, lanes: Range<usize>) -> (u32, u32) {
    let (mut count, mut first) = (0, lanes.len() as u32);
    let lanes = mapping.lanes().get(lanes).unwrap_or_default();
    for (number, lane) in lanes.iter().enumerate() {
        // Relaxed: a count, nothing follows from a single one.
        if claim::state(lane.claim.load(Ordering::Relaxed)) == claim::FREE {
            count += 1;
            first = first.min(number as u32);
        }
    }
    (count, first)
}

/// What a look at a lane's claim shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Nobody writes there.
    No,
    /// Somebody is about to.
    Half {
        /// Pid of the claimer, as it sees itself.
        own_pid: u32,
    },
    /// Somebody does.
    Live,
}

/// All lanes.
pub(crate) struct Lanes {
    /// Each lane's user, if known.
    pub(crate) open: Vec<Option<Box<OpenLane>>>,
    /// For each class: index of its first lane, how many have memory, how many there are.
    classes: [(usize, u32, u32); CLASSES],
    /// No more memory is to be had.
    exhausted: bool,
    words: Vec<u64>,
}

impl Lanes {
    /// The lanes of a mapping for which `allocate_first` was done.
    pub(crate) fn new(mapping: &Mapping) -> Lanes {
        let mut classes = [(0, 0, 0); CLASSES];
        let mut first = 0;
        for (class, count) in mapping.geometry().lanes.into_iter().enumerate() {
            classes[class] = (first, count.min(FIRST[class]), count);
            first += count as usize;
        }
        let mut open = Vec::new();
        open.resize_with(first, || None);
        Lanes {
            open,
            classes,
            exhausted: false,
            words: Vec::new(),
        }
    }

    /// Indices of all lanes with memory, in classes.
    pub(crate) fn ready(&self) -> impl Iterator<Item = usize> + use<> {
        let classes = self.classes;
        classes
            .into_iter()
            .flat_map(|(first, ready, _)| first..first + ready as usize)
    }

    /// Keeps lanes ready ahead of their use, and makes those that are waited for, a few for each call; true: there are
    /// no more to be had, and hardly any is free.
    pub(crate) fn replenish(&mut self, mapping: &Mapping) -> bool {
        let header = mapping.header();
        // Relaxed, all: counts and hints.
        let wanted = header.lanes_wanted.swap(0, Ordering::Relaxed);
        let (mut scarce, mut free_lanes) = (true, 0);
        for (number, class) in self.classes.iter_mut().enumerate() {
            let (first, ready, all) = *class;
            let (mut free, first_free) = free_of(mapping, first..first + ready as usize);
            let ahead = AHEAD[number].min((all / AHEAD_PART).max(1));
            let more = (ready - free) / IN_USE;
            let more = more.max(wanted.saturating_sub(free_lanes));
            let missing = ahead.max(more).saturating_sub(free).min(all - ready);
            let missing = missing.min(AT_ONCE[number]);
            if missing > 0 && !self.exhausted {
                let new = first + ready as usize..first + (ready + missing) as usize;
                self.exhausted = make_ready(mapping, new).is_err();
                if !self.exhausted {
                    class.1 += missing;
                    free += missing;
                }
            }
            header.first_free[number].store(first_free, Ordering::Relaxed);
            scarce &= free < (ahead / 4).max(1) && (self.exhausted || class.1 == all);
            free_lanes += free;
        }
        header
            .lanes_scarce
            .store(u32::from(scarce), Ordering::Relaxed);
        if wanted > 0 {
            header.lanes_looked.fetch_add(1, Ordering::Relaxed);
            system::futex_wake_some(&header.lanes_looked, free_lanes);
        }
        scarce
    }

    /// Whether threads wait for lanes.
    pub(crate) fn are_wanted(&self, mapping: &Mapping) -> bool {
        // Relaxed: a hint; it is taken to 0 with each look.
        mapping.header().lanes_wanted.load(Ordering::Relaxed) > 0
    }

    /// Whether something was published in lane `index` since it was drained.
    pub(crate) fn has_news(&self, mapping: &Mapping, index: usize) -> bool {
        let (Some(Some(lane)), Some(header)) = (self.open.get(index), mapping.lanes().get(index))
        else {
            return false;
        };
        // Relaxed: a hint; the drain looks again, and so does the next pass.
        header.head.load(Ordering::Relaxed) != lane.tail
    }

    /// How lane `index` is claimed. A use that is not ours any more has no `open` entry.
    pub(crate) fn look(header: &LaneHeader) -> Claimed {
        // Acquire: pairs with the claimer's Release; what it filled in is there.
        let seen = header.claim.load(Ordering::Acquire);
        match claim::state(seen) {
            claim::CLAIMED => Claimed::Half {
                own_pid: claim::pid(seen),
            },
            claim::LIVE | claim::GONE => Claimed::Live,
            _ => Claimed::No,
        }
    }

    /// Drains lane `index`: each record goes to `takes`. Says how full the lane was, in 256ths.
    /// A lane that breaks the rules is marked broken, and what it holds is let go.
    pub(crate) fn drain<E>(
        &mut self,
        mapping: &Mapping,
        index: usize,
        takes: &mut impl Take<E>,
    ) -> Result<u32, E> {
        let (Some(Some(lane)), Some(header)) =
            (self.open.get_mut(index), mapping.lanes().get(index))
        else {
            return Ok(0);
        };
        let ring = mapping.words(index);
        if lane.broken {
            // Relaxed: nothing is read; the producer must not wait for room that never comes.
            lane.tail = header.head.load(Ordering::Relaxed);
            give_room(header, lane.tail);
            return Ok(0);
        }
        let Some(head) = ring::published(&header.head, lane.tail, ring.len()) else {
            lane.broken = true;
            return Ok(0);
        };
        if head == lane.tail {
            return Ok(0);
        }
        let fill = ((head - lane.tail) * 256 / ring.len() as u64) as u32;
        let latest = mapping.stamp().saturating_add(FUTURE);
        let mut at = At::Epoch;
        self.words.clear();
        while lane.tail < head && !lane.broken {
            let end = head.min(lane.tail + PIECE);
            ring::copy(ring, lane.tail, end, &mut self.words);
            lane.tail = end;
            give_room(header, end);
            let used = take_piece(lane, &mut at, &self.words, latest, takes)?;
            self.words.drain(..used);
            // A record goes on in the next piece, if in any.
            lane.broken |= end == head && !self.words.is_empty();
        }
        Ok(fill.max(1))
    }

    /// Whether some lane asks for attention before our next sleep.
    pub(crate) fn is_pressing(&self, mapping: &Mapping) -> bool {
        if self.are_wanted(mapping) {
            return true;
        }
        let headers = mapping.lanes();
        self.open.iter().enumerate().any(|(index, lane)| {
            let (Some(lane), Some(header)) = (lane, headers.get(index)) else {
                return false;
            };
            // Relaxed: a hint only; the drain that follows looks again.
            let half = mapping.words(index).len() as u64 / 2;
            let head = header.head.load(Ordering::Relaxed);
            let held = head.wrapping_sub(lane.tail);
            // An empty lane never presses, whatever it says: it could keep us awake for ever.
            held > half || held > 0 && header.waiting.load(Ordering::Relaxed) == 1
        })
    }

    /// Makes lane `index` free for others.
    pub(crate) fn release(&mut self, mapping: &Mapping, index: usize) {
        if let Some(slot) = self.open.get_mut(index) {
            *slot = None;
        }
        if let Some(header) = mapping.lanes().get(index) {
            // Relaxed: ordered by the Release below.
            header.head.store(0, Ordering::Relaxed);
            header.tail.store(0, Ordering::Relaxed);
            header.waiting.store(0, Ordering::Relaxed);
            // Release: pairs with the claimer's Acquire; positions are reset.
            let free = claim::pack(claim::FREE, 0);
            header.claim.store(free, Ordering::Release);
        }
    }
}
