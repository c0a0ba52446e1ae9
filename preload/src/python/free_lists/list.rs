//! One free list: what it holds now, against what it held at the last look.

use leak_wire::free_list::Change;
use leak_wire::{Bytes, Event};

use super::layout::{self, Counted, Place, Shape};
use crate::kernel;

/// Entries of one list, at most.
pub const MOST: usize = 2000;
/// Where so many entries of a linked list in a row, from the newest one on, are what they were at the same height, all
/// below are taken to be, too. Not so where just as many were used in between and came back in their order, and what lay
/// below them did not: that is seen later.
const ENOUGH: usize = 16;
/// Words of one record.
const WORDS: usize = Bytes::MAX / 8;
/// Type → its flags, and the one that puts a head before its objects.
const FLAGS: u64 = 168;
const HAS_GC: u64 = 1 << 14;

/// Whether a list is believed.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Trust {
    /// It had no entry yet.
    Unproved = 0,
    Proved,
    /// It is not what it should be.
    Refuted,
}

/// Entries of a list as they were at the last look, and many more places.
pub type Entries = [u64; MOST];

/// One list, without its entries. All zeros: none.
pub struct Known {
    /// What is known of it.
    pub place: Option<&'static Place>,
    /// Its objects' type, 0: not to be seen.
    pub of_type: u64,
    /// Where its entries lie, or the pointer to the newest.
    pub entries_at: u64,
    /// Where its length lies, 0: nobody knows yet.
    pub length_at: u64,
    trust: Trust,
    /// Bytes of a block before its object.
    before: u64,
    /// At the last look.
    length: usize,
    newest: u64,
}

/// Entries that are new, and such as were there before: what a comparison needs room for.
pub struct Room {
    came: Entries,
    went: Entries,
}

/// Changes on their way into records.
pub struct Told<'a> {
    /// Where they are gathered.
    pub words: &'a mut [u8; Bytes::MAX],
    /// How many there are.
    pub used: usize,
    /// Takes a record.
    pub tell: &'a mut dyn FnMut(Event<'_>) -> bool,
}

impl Told<'_> {
    fn add(&mut self, change: Change) {
        if self.used == WORDS {
            self.write();
        }
        if let Some(place) = self.words.get_mut(self.used * 8..self.used * 8 + 8) {
            place.copy_from_slice(&change.word().to_le_bytes());
            self.used += 1;
        }
    }

    /// Writes what is left.
    pub fn write(&mut self) {
        if self.used > 0
            && let Some(words) = self.words.get(..self.used * 8)
        {
            (self.tell)(Event::FreeLists {
                changes: Bytes::Slice(words),
            });
        }
        self.used = 0;
    }
}

// For all of these the calling thread holds the GIL of the list's interpreter.
impl Known {
    /// How long the list is; `None`: it is not believed, or switched off.
    unsafe fn now(&mut self, place: &Place) -> Option<usize> {
        if self.trust == Trust::Refuted || self.length_at == 0 {
            return None;
        }
        // SAFETY: within the interpreter, as its version is laid out.
        let length = unsafe {
            match place.counted {
                Counted::Int => i64::from((self.length_at as *const i32).read()),
                Counted::Long => (self.length_at as *const i64).read(),
                Counted::Pointer => i64::from((self.length_at as *const u64).read() != 0),
            }
        };
        match usize::try_from(length) {
            Ok(length) if length <= usize::from(place.most) => Some(length),
            // At the end.
            _ if length == -1 => None,
            _ => {
                self.trust = Trust::Refuted;
                None
            }
        }
    }

    /// Gives the blocks that came on top since it had so many entries: those that another one was in place of, or none,
    /// at the last look.
    ///
    /// # Safety
    /// See above.
    pub unsafe fn deaths(&mut self, entries: &Entries, since: usize, mut each: impl FnMut(u64)) {
        let Some(place) = self.place.filter(|_| self.trust == Trust::Proved) else {
            return;
        };
        // SAFETY: the caller's promise.
        let Some(length) = (unsafe { self.now(place) }) else {
            return;
        };
        // SAFETY: as above.
        let mut walk = unsafe { Walk::from(place.shape, self.entries_at, length) };
        for height in (since..length).rev() {
            if height >= self.length || entries.get(height) != Some(&walk.at) {
                each(walk.at - self.before);
            }
            // SAFETY: there was an entry.
            unsafe { walk.go_on() };
        }
    }

    /// Tells what has changed since the last look, in which these `deaths` were seen.
    ///
    /// # Safety
    /// See above.
    pub unsafe fn look(
        &mut self,
        entries: &mut Entries,
        room: &mut Room,
        deaths: impl Iterator<Item = u64> + Clone,
        told: &mut Told<'_>,
    ) {
        let Some(place) = self.place else {
            return;
        };
        // SAFETY: the caller's promise.
        let Some(length) = (unsafe { self.now(place) }) else {
            return;
        };
        let quiet = deaths.clone().next().is_none();
        if length > 0 {
            // SAFETY: as above.
            let newest = unsafe { Walk::from(place.shape, self.entries_at, length) }.at;
            // A linked list is far apart in memory.
            let linked = place.shape != Shape::Array;
            if linked && quiet && length == self.length && newest == self.newest {
                return;
            }
            if self.trust == Trust::Unproved && !self.prove(place, newest) {
                return;
            }
            self.newest = newest;
        } else if quiet && self.length == 0 {
            return;
        }
        // SAFETY: the list is what it should be: its entries are objects.
        unsafe { self.compare(place, entries, length, room, told) };
        // What died and waits no more was taken again.
        let waiting = entries.get(..length).unwrap_or_default();
        for entry in deaths.map(|block| block + self.before) {
            if !waiting.contains(&entry) {
                told.add(self.change(place, entry, true));
                told.add(self.change(place, entry, false));
            }
        }
    }

    fn change(&self, place: &Place, entry: u64, waits: bool) -> Change {
        Change {
            address: entry - self.before,
            list: place.list,
            waits,
        }
    }

    /// Whether the newest entry is what it should be.
    #[cold]
    fn prove(&mut self, place: &Place, entry: u64) -> bool {
        let word = |offset: u64| {
            let at = entry.checked_add(offset)?;
            // SAFETY: aligned, and the kernel has just read there.
            (at.is_multiple_of(8) && kernel::is_mapped(at))
                .then(|| unsafe { (at as *const u64).read() })
        };
        let is = match (self.of_type, word(8)) {
            (_, None) => false,
            // A float's link, which is null or a float; a table's size: of eight places.
            (0, Some(second)) if place.shape == layout::OF_FLOATS => {
                word(0).is_some_and(|count| count as u32 == 0)
                    && (second == 0 || kernel::is_mapped(second))
            }
            (0, Some(second)) => second == 8 || second & 0xff == 3,
            (of_type, Some(second)) => second == of_type,
        };
        self.trust = if is { Trust::Proved } else { Trust::Refuted };
        if is && self.of_type != 0 {
            // SAFETY: a type of the interpreter's.
            let flags = unsafe { ((self.of_type + FLAGS) as *const u64).read() };
            self.before = if flags & HAS_GC != 0 { 16 } else { 0 };
        }
        is
    }

    /// Compares the list with what it was, tells the difference, and remembers it.
    ///
    /// # Safety
    /// The list has this length, and is what it should be.
    unsafe fn compare(
        &mut self,
        place: &Place,
        entries: &mut Entries,
        length: usize,
        room: &mut Room,
        told: &mut Told<'_>,
    ) {
        let was = entries.get(..self.length).unwrap_or_default();
        // SAFETY: the caller's promise.
        let (kept, count) = unsafe {
            match place.shape {
                Shape::Array => self.array(was, length, room),
                Shape::Linked(_) => self.linked(place, was, length, room),
            }
        };
        let before = was.get(kept..).unwrap_or_default();
        let (Some(came), Some(went)) = (
            room.came.get_mut(..count),
            room.went.get_mut(..before.len()),
        ) else {
            return;
        };
        went.copy_from_slice(before);
        let now = entries.get_mut(kept..length).unwrap_or_default();
        for (place, entry) in now.iter_mut().rev().zip(&*came) {
            *place = *entry;
        }
        self.length = length;
        if !came.is_empty() || !went.is_empty() {
            went.sort_unstable();
            came.sort_unstable();
            self.tell(place, went, came, told);
        }
    }

    /// How many of the oldest entries are what they were, and how many others there are, which come into the room, the
    /// newest first.
    ///
    /// # Safety
    /// As for `compare`; of an array.
    unsafe fn array(&self, was: &[u64], length: usize, room: &mut Room) -> (usize, usize) {
        // SAFETY: the caller's promise.
        let now = unsafe { core::slice::from_raw_parts(self.entries_at as *const u64, length) };
        let kept = now.iter().zip(was).take_while(|(now, was)| now == was);
        let kept = kept.count();
        let others = now.iter().skip(kept).rev();
        let places = room.came.iter_mut();
        (
            kept,
            places
                .zip(others)
                .map(|(place, entry)| *place = *entry)
                .count(),
        )
    }

    /// The same of a linked list.
    ///
    /// # Safety
    /// As for `compare`; of a linked list.
    unsafe fn linked(
        &self,
        place: &Place,
        was: &[u64],
        length: usize,
        room: &mut Room,
    ) -> (usize, usize) {
        let (mut height, mut same, mut count) = (length, 0, 0);
        // SAFETY: the caller's promise.
        let mut walk = unsafe { Walk::from(place.shape, self.entries_at, length) };
        while height > 0 && same < ENOUGH {
            height -= 1;
            same = if was.get(height) == Some(&walk.at) {
                same + 1
            } else {
                0
            };
            if let Some(room) = room.came.get_mut(count) {
                *room = walk.at;
                count += 1;
            }
            // SAFETY: there was an entry.
            unsafe { walk.go_on() };
        }
        (height + same, count - same)
    }

    /// Tells what is in one of two sorted lists only.
    fn tell(&self, place: &Place, mut went: &[u64], mut came: &[u64], told: &mut Told<'_>) {
        loop {
            match (went.split_first(), came.split_first()) {
                (Some((left, rest)), Some((right, after))) if left == right => {
                    (went, came) = (rest, after);
                }
                (Some((left, rest)), right) if right.is_none_or(|(right, _)| left < right) => {
                    told.add(self.change(place, *left, false));
                    went = rest;
                }
                (_, Some((right, rest))) => {
                    told.add(self.change(place, *right, true));
                    came = rest;
                }
                _ => return,
            }
        }
    }
}

/// A way through a list, from the newest entry on.
struct Walk {
    shape: Shape,
    /// Of an array: where the entry stands.
    place: u64,
    /// The entry.
    at: u64,
}

impl Walk {
    /// # Safety
    /// `entries` is where a list of that shape with `length` entries has them, or the pointer to the newest.
    unsafe fn from(shape: Shape, entries: u64, length: usize) -> Walk {
        let place = match shape {
            Shape::Array => entries + 8 * (length as u64).saturating_sub(1),
            Shape::Linked(_) => entries,
        };
        Walk {
            shape,
            place,
            // SAFETY: the caller's promise; an array has a word there also where it is empty.
            at: unsafe { (place as *const u64).read() },
        }
    }

    /// To the next older one.
    ///
    /// # Safety
    /// There was an entry at `at`, and the list is what it should be.
    unsafe fn go_on(&mut self) {
        let next = match self.shape {
            Shape::Array => {
                self.place -= 8;
                self.place
            }
            Shape::Linked(link) => self.at + u64::from(link),
        };
        // SAFETY: the caller's promise. Before an array's first entry lies a word of the interpreter.
        self.at = unsafe { (next as *const u64).read() };
    }
}

#[cfg(test)]
mod tests;
