//! Where captures from one place part.

use super::entry::Entry;
use super::place::{Place, mixed};

/// Words that one fork looks at.
pub(super) const MAX_WORDS: usize = 8;

/// Where captures from one place part. All-zero is none.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Fork {
    /// Of the way that led here.
    pub(super) key: u64,
    pub(super) place: Place,
    /// Which words decide: words of the stack, counted from rsp.
    pub(super) words: [u16; MAX_WORDS],
    pub(super) used: u8,
    /// Whether there are more behind it.
    pub(super) leads_on: bool,
    /// Whether captures of several layouts came by. If not, all words of an entry may decide: none is
    /// any other's local variable.
    pub(super) mixed: bool,
    pub(super) layout: u32,
}

const _: () = assert!(size_of::<Fork>() == 64);

impl Fork {
    /// The key behind it.
    #[inline(always)]
    pub(super) fn turn(&self, key: u64, place: Place) -> u64 {
        let words = self.words.get(..usize::from(self.used)).unwrap_or(&[]);
        words
            .iter()
            .fold(key, |key, word| mixed(key, place.word(*word)))
    }

    /// One word more decides. False: there is no room.
    pub(super) fn widen(&mut self, word: u16) -> bool {
        let place = self.words.get_mut(usize::from(self.used));
        let room = place.is_some();
        if let Some(place) = place {
            *place = word;
            self.used += 1;
        }
        room
    }

    /// Captures like `entry` come by, too: what decides has to lie on their way.
    pub(super) fn admit(&mut self, entry: &Entry) {
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
