//! The call sites of earlier captures, to be found again without a walk: a program that serves
//! requests allocates from the same few places again and again.
//!
//! An entry knows the innermost frames of a backtrace by the words of the stack that led through them,
//! and which frame of the chain they came to. Where the capture starts with the same caller, all
//! these words hold, the chain still has that frame, and what the chain knows of it holds, a full walk
//! would go the same way. So an entry that is found leaves the chain as it is.
//!
//! Captures from one place (the same rsp and return address) differ in words further out. Where two
//! did, a [`Fork`] knows which words decide where to look: all of them are read at once, and nothing
//! that hangs on them until the entry itself.

mod entry;
mod fork;
mod place;

use super::chain::Chain;
use super::{Caller, State};
use entry::{Entry, MAX_CHECKS};
use fork::{Fork, MAX_WORDS};
use place::{Place, mixed};

/// 384 KiB; a thread with few call sites touches few of them.
const ENTRIES: usize = 1 << 11;
/// 16 KiB.
const SETS: usize = 1 << SET_BITS;
const SET_BITS: u32 = 10;
/// Entries of one set.
const WAYS: usize = 4;
/// 64 KiB.
const FORKS: usize = 1 << FORK_BITS;
const FORK_BITS: u32 = 10;
/// A thread that walks less often remembers nothing here: thousands of threads may live, and each would touch some more
/// pages.
const FEW_WALKS: u32 = 64;
/// The most forks on the way to an entry.
const MAX_FORKS: usize = 6;

impl Place {
    #[inline(always)]
    fn new(caller: Caller, generation: u64) -> Place {
        Place {
            sp: caller.sp,
            address: caller.pc(),
            generation,
        }
    }
}

impl Entry {
    /// The call site, if it is proven; else 0. The entry is from this caller's place.
    #[inline(always)]
    fn proven(&self, caller: Caller, chain: &Chain, limit: usize) -> u32 {
        let join = usize::from(self.join);
        let Some(frame) = chain.held(join) else {
            return 0;
        };
        let same = frame.sp == self.join_sp
            && frame.node == self.join_node
            && frame.bp_matters() == self.join_bp_matters
            && (!self.join_bp_matters || frame.bp == self.join_bp)
            && (!self.bp_matters || caller.bp == self.bp);
        if same
            && self.holds()
            && chain.fits(join, usize::from(self.frames), limit)
            && chain.all_hold(frame.checks())
        {
            self.node
        } else {
            0
        }
    }
}

/// How an entry is come to.
struct Way {
    key: u64,
    /// The last fork.
    last: Option<usize>,
    /// How many there are.
    forks: usize,
}

/// All-zero is empty.
pub(super) struct Memo {
    forks: [Fork; FORKS],
    /// Where the entries lie: each set holds those whose keys begin alike.
    sets: [[Tag; WAYS]; SETS],
    entries: [Entry; ENTRIES],
    /// What is put there at the moment, and what makes way for it: not on the stack, which may be small.
    new: Entry,
    old: Entry,
    /// How many entries were made: the next makes room for the oldest.
    made: u32,
    /// How many forks found their place taken.
    crowded: u32,
}

/// More of an entry's key, and its number. All-zero is none's.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tag(u32);

const NUMBER: u32 = 0xffff;
const _: () = assert!(ENTRIES <= NUMBER as usize + 1);

impl Tag {
    #[inline(always)]
    fn new(key: u64, number: u32) -> Tag {
        Tag((key >> 16) as u32 & !NUMBER | number)
    }

    #[inline(always)]
    fn fits(self, key: u64) -> bool {
        (self.0 ^ Tag::new(key, 0).0) & !NUMBER == 0
    }

    #[inline(always)]
    fn number(self) -> usize {
        (self.0 & NUMBER) as usize
    }
}

impl State {
    /// The call site of the code that called the hook, if it is one of those that are remembered; else
    /// 0. The state is marked as busy, and its epoch known to be right.
    #[inline(never)]
    pub(super) fn recall(&self, caller: Caller) -> u32 {
        let place = Place::new(caller, self.generation);
        let found = self.memo.find(place);
        found.map_or(0, |entry| entry.proven(caller, &self.chain, self.limit))
    }

    /// Remembers the capture of `frames` frames that was pushed to the chain last. The entry takes in as
    /// many of them as it can: what hangs on few frames of the chain goes on when others change.
    #[inline(never)]
    pub(super) fn memorize(&mut self, caller: Caller, frames: usize) {
        if self.walks < FEW_WALKS {
            self.walks += 1;
            return;
        }
        let Some(innermost) = self.chain.held(frames) else {
            return;
        };
        let reaches = |join: usize| {
            let frame = self.chain.held(join);
            frame.filter(|frame| innermost.checks() - frame.checks() <= MAX_CHECKS)
        };
        let Some((join, joined)) = (1..frames)
            .rev()
            .map_while(|join| Some((join, reaches(join)?)))
            .last()
        else {
            return;
        };
        let new = &mut self.memo.new;
        new.place = Place::new(caller, self.generation);
        new.bp = innermost.bp;
        new.join_sp = joined.sp;
        new.join_bp = joined.bp;
        new.node = innermost.node;
        new.join_node = joined.node;
        new.join = join as u16;
        new.frames = (frames - join) as u16;
        new.bp_matters = innermost.bp_matters();
        new.join_bp_matters = joined.bp_matters();
        if new.set_checks(self.chain.checks_between(joined, innermost)) {
            self.memo.put();
        }
    }
}

/// One of the two entries that a memo is at.
#[derive(Clone, Copy)]
enum Which {
    New,
    Old,
}

impl Memo {
    /// The entry to try for a capture from `place`.
    #[inline(always)]
    fn find(&self, place: Place) -> Option<&Entry> {
        let mut key = place.key();
        for _ in 0..MAX_FORKS {
            let fork = self.forks.get(fork_index(key))?;
            if fork.key != key || fork.place != place {
                break;
            }
            key = fork.turn(key, place);
            if !fork.leads_on {
                break;
            }
        }
        self.entry(key, place)
    }

    #[inline(always)]
    fn entry(&self, key: u64, place: Place) -> Option<&Entry> {
        let mut number = 0;
        for tag in self.sets.get(set_index(key))? {
            number = if tag.fits(key) { tag.number() } else { number };
        }
        let entry = self.entries.get(number)?;
        (entry.key == key && entry.place == place).then_some(entry)
    }

    /// Puts the new entry, all of whose checks hold now, where `find` looks for it.
    fn put(&mut self) {
        let way = self.way();
        let old = self.entry(way.key, self.new.place);
        match old.and_then(|old| Some((*old, old.differs()?))) {
            Some((old, differs)) if way.forks < MAX_FORKS => {
                self.old = old;
                self.part(differs, way);
            }
            _ => self.place(Which::New, way.key),
        }
    }

    /// The way to the new entry, by forks of which each decides by words of it only.
    fn way(&mut self) -> Way {
        let place = self.new.place;
        let mut way = Way {
            key: place.key(),
            last: None,
            forks: 0,
        };
        while way.forks < MAX_FORKS {
            let index = fork_index(way.key);
            let Some(fork) = self.forks.get_mut(index) else {
                break;
            };
            if fork.key != way.key || fork.place != place {
                break;
            }
            fork.admit(&self.new);
            if fork.used == 0 {
                // It decides nothing any more.
                fork.key = 0;
                break;
            }
            way = Way {
                key: fork.turn(way.key, place),
                last: Some(index),
                forks: way.forks + 1,
            };
            if !fork.leads_on {
                break;
            }
        }
        way
    }

    /// The old entry and the new one, which came the same way, differ in a word, which held `value` in the old one:
    /// from now on it decides.
    fn part(&mut self, (word, value): (u16, u64), way: Way) {
        let (place, key) = (self.new.place, way.key);
        if let Some(fork) = way.last.and_then(|last| self.forks.get_mut(last)) {
            if !fork.mixed && fork.widen(word) {
                // What lies elsewhere now is put there when it comes again.
                let key = mixed(key, place.word(word));
                return self.place(Which::New, key);
            }
            fork.leads_on = true;
        }
        let Some(fork) = self.forks.get_mut(fork_index(key)) else {
            return;
        };
        let taken = fork.key != 0 && fork.place.generation == place.generation;
        self.crowded = self.crowded.wrapping_add(u32::from(taken));
        // Much hangs on a fork: one makes room only now and then.
        if taken && !self.crowded.is_multiple_of(16) {
            return self.place(Which::New, key);
        }
        let layout = self.new.layout();
        let mut words = [0; MAX_WORDS];
        words[0] = word;
        *fork = Fork {
            key,
            place,
            words,
            used: 1,
            leads_on: false,
            mixed: self.old.layout() != layout,
            layout,
        };
        self.place(Which::Old, mixed(key, value));
        self.place(Which::New, mixed(key, place.word(word)));
    }

    /// Keeps the entry under `key`.
    #[inline(never)]
    fn place(&mut self, which: Which, key: u64) {
        let entry = match which {
            Which::New => &self.new,
            Which::Old => &self.old,
        };
        let Some(set) = self.sets.get_mut(set_index(key)) else {
            return;
        };
        let is_of = |tag: &Tag, key: u64| {
            let old = self.entries.get(tag.number());
            old.is_some_and(|old| tag.fits(key) && old.key == key)
        };
        let made = self.made % ENTRIES as u32;
        let (number, way) = match set.iter().position(|tag| is_of(tag, key)) {
            Some(way) => (set.get(way).map_or(0, |tag| tag.number()), way),
            None => {
                self.made = self.made.wrapping_add(1);
                let is_left = |tag: &Tag| {
                    let old = self.entries.get(tag.number());
                    old.is_none_or(|old| {
                        !tag.fits(old.key) || old.place.generation != entry.place.generation
                    })
                };
                let way = set.iter().position(is_left);
                (made as usize, way.unwrap_or(made as usize % WAYS))
            }
        };
        if let (Some(tag), Some(place)) = (set.get_mut(way), self.entries.get_mut(number)) {
            *tag = Tag::new(key, number as u32);
            *place = *entry;
            place.key = key;
        }
    }
}

#[inline(always)]
fn set_index(key: u64) -> usize {
    (key >> (64 - SET_BITS)) as usize % SETS
}

#[inline(always)]
fn fork_index(key: u64) -> usize {
    (key >> (64 - FORK_BITS)) as usize % FORKS
}

#[cfg(test)]
mod tests;
