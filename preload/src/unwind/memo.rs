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

use super::chain::{Chain, Check};
use super::{Caller, State};

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
/// Entries with more words are not kept.
const MAX_CHECKS: usize = 12;
/// Words that one fork looks at.
const MAX_WORDS: usize = 8;
/// A thread that walks less often remembers nothing here: thousands of threads may live, and each would touch some more
/// pages.
const FEW_WALKS: u32 = 64;
/// The most forks on the way to an entry.
const MAX_FORKS: usize = 6;

/// Where a capture starts, and in which tree of call sites.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    sp: u64,
    address: u64,
    /// [`State`]'s.
    generation: u64,
}

impl Place {
    #[inline(always)]
    fn new(caller: Caller, generation: u64) -> Place {
        Place {
            sp: caller.sp,
            address: caller.pc(),
            generation,
        }
    }

    /// The first key.
    #[inline(always)]
    fn key(&self) -> u64 {
        mixed(self.address, self.sp)
    }

    /// What lies so many words above rsp.
    #[inline(always)]
    fn word(&self, offset: u16) -> u64 {
        let slot = self.sp + 8 * u64::from(offset);
        // SAFETY: offsets are kept with the place, and were checks of a capture that started there: they
        // lie in the live part of the thread's own stack, which goes on above rsp as long as the
        // generation lasts.
        unsafe { (slot as *const u64).read_unaligned() }
    }
}

#[inline(always)]
fn mixed(key: u64, word: u64) -> u64 {
    (key.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Where captures from one place part. All-zero is none.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Fork {
    /// Of the way that led here.
    key: u64,
    place: Place,
    /// Which words decide: words of the stack, counted from rsp.
    words: [u16; MAX_WORDS],
    used: u8,
    /// Whether there are more behind it.
    leads_on: bool,
    /// Whether captures of several layouts came by. If not, all words of an entry may decide: none is
    /// any other's local variable.
    mixed: bool,
    layout: u32,
}

const _: () = assert!(size_of::<Fork>() == 64);

impl Fork {
    /// The key behind it.
    #[inline(always)]
    fn turn(&self, key: u64, place: Place) -> u64 {
        let words = self.words.get(..usize::from(self.used)).unwrap_or(&[]);
        words
            .iter()
            .fold(key, |key, word| mixed(key, place.word(*word)))
    }

    /// One word more decides. False: there is no room.
    fn widen(&mut self, word: u16) -> bool {
        let place = self.words.get_mut(usize::from(self.used));
        let room = place.is_some();
        if let Some(place) = place {
            *place = word;
            self.used += 1;
        }
        room
    }

    /// Captures like `entry` come by, too: what decides has to lie on their way.
    fn admit(&mut self, entry: &Entry) {
        if self.layout == entry.layout() {
            return;
        }
        self.mixed = true;
        let (words, mut used) = (self.words, 0);
        let words = words.get(..usize::from(self.used)).unwrap_or(&[]);
        for word in words.iter().filter(|word| entry.words().contains(word)) {
            if let Some(place) = self.words.get_mut(used) {
                *place = *word;
                used += 1;
            }
        }
        self.used = used as u8;
    }
}

/// What is known of one way from a place to a frame of the chain. All-zero is none.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Entry {
    /// Of the way that led here.
    key: u64,
    place: Place,
    bp: u64,
    join_sp: u64,
    join_bp: u64,
    node: u32,
    join_node: u32,
    /// The chain's frame, counted from the outermost.
    join: u16,
    /// Frames inside of that.
    frames: u16,
    used: u8,
    bp_matters: bool,
    join_bp_matters: bool,
    /// The words that led through these frames, outermost first, and what they held. Those that are not
    /// used repeat the first.
    words: [u16; MAX_CHECKS],
    values: [u64; MAX_CHECKS],
}

const _: () = assert!(size_of::<Entry>() == 192);

impl Entry {
    /// Makes these its checks. False: they don't fit.
    fn set_checks(&mut self, checks: &[Check]) -> bool {
        let Some(first) = checks.first() else {
            return false;
        };
        let padded = checks.iter().chain(core::iter::repeat(first));
        let places = self.words.iter_mut().zip(self.values.iter_mut());
        let mut fits = checks.len() <= MAX_CHECKS;
        for (check, (word, value)) in padded.zip(places) {
            let distance = check.slot.wrapping_sub(self.place.sp);
            let offset = u16::try_from(distance / 8);
            fits &= distance % 8 == 0 && offset.is_ok();
            (*word, *value) = (offset.unwrap_or(0), check.value);
        }
        self.used = checks.len() as u8;
        fits
    }

    fn words(&self) -> &[u16] {
        self.words.get(..usize::from(self.used)).unwrap_or(&[])
    }

    /// The same for all entries with the same words.
    fn layout(&self) -> u32 {
        let mix = |hash, word: &u16| mixed(hash, u64::from(*word));
        (self.words().iter().fold(0, mix) >> 32) as u32
    }

    /// Whether all hold.
    #[inline(always)]
    fn holds(&self) -> bool {
        let mut checks = usize::from(self.used);
        let words = self.words.as_chunks::<4>().0;
        let values = self.values.as_chunks::<4>().0;
        for ([a, b, c, d], values) in words.iter().zip(values) {
            let wrong = (self.place.word(*a) ^ values[0])
                | (self.place.word(*b) ^ values[1])
                | (self.place.word(*c) ^ values[2])
                | (self.place.word(*d) ^ values[3]);
            if wrong != 0 {
                return false;
            }
            checks = checks.saturating_sub(4);
            if checks == 0 {
                break;
            }
        }
        true
    }

    /// The innermost word that is another now, and what it was.
    fn differs(&self) -> Option<(u16, u64)> {
        let checks = self.words.iter().zip(&self.values);
        let mut checks = checks.take(usize::from(self.used)).rev();
        checks
            .find(|(word, value)| self.place.word(**word) != **value)
            .map(|(word, value)| (*word, *value))
    }

    /// The call site, if it is proven; else 0. The entry is from these caller' place.
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
