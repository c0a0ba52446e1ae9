//! A list that only grows, of which what is old may be let go.
//!
//! Who follows a program for weeks can't keep all of its requests: those that ended long ago are *folded*, from the first
//! one on, and one stands for all of them. A report folds none.

use std::ops::{Deref, DerefMut, Index, IndexMut};

use rustc_hash::FxHashMap;

/// See the module's documentation. As a slice it is what comes after the folded ones: all, in a report.
#[derive(Debug)]
pub struct Folding<T> {
    /// So many are folded, or in `open`.
    before: usize,
    after: Vec<T>,
    /// Of those before, the ones that were not over.
    open: FxHashMap<usize, T>,
    /// Stands for each that is folded.
    folded: T,
    /// Takes what is written to any that is folded.
    lost: T,
}

impl<T: Clone> Folding<T> {
    /// Empty; `folded` will stand for what is folded.
    pub fn new(folded: T) -> Folding<T> {
        Folding {
            before: 0,
            after: Vec::new(),
            open: FxHashMap::default(),
            lost: folded.clone(),
            folded,
        }
    }

    /// How many there were, the folded ones too.
    pub fn len(&self) -> usize {
        self.before + self.after.len()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are after the folded ones.
    pub fn unfolded(&self) -> usize {
        self.after.len()
    }

    /// One more.
    pub fn push(&mut self, item: T) {
        self.after.push(item);
    }

    /// The one at `place`.
    pub fn get(&self, place: usize) -> Option<&T> {
        match place.checked_sub(self.before) {
            Some(after) => self.after.get(after),
            None => Some(self.open.get(&place).unwrap_or(&self.folded)),
        }
    }

    /// The same, to be changed; what is changed of a folded one is lost.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        match place.checked_sub(self.before) {
            Some(after) => self.after.get_mut(after),
            None => Some(self.open_or_lost(place)),
        }
    }

    fn open_or_lost(&mut self, place: usize) -> &mut T {
        self.lost = self.folded.clone();
        self.open.get_mut(&place).unwrap_or(&mut self.lost)
    }

    /// Folds those that `are_over`, all but the newest `most`; tells each that is folded.
    pub fn fold(
        &mut self,
        most: usize,
        are_over: impl Fn(&T) -> bool,
        mut tell: impl FnMut(usize, &T),
    ) {
        self.open.retain(|place, item| {
            if are_over(item) {
                tell(*place, item);
            }
            !are_over(item)
        });
        let old = self.after.len().saturating_sub(most);
        for (number, item) in self.after.drain(..old).enumerate() {
            let place = self.before + number;
            match are_over(&item) {
                true => tell(place, &item),
                false => drop(self.open.insert(place, item)),
            }
        }
        self.before += old;
    }

    /// All, of which none was folded.
    pub fn into_vec(self) -> Vec<T> {
        self.after
    }
}

impl<T> Deref for Folding<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.after
    }
}

impl<T> DerefMut for Folding<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.after
    }
}

impl<T> Index<usize> for Folding<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        match place.checked_sub(self.before) {
            Some(after) => &self.after[after],
            None => self.open.get(&place).unwrap_or(&self.folded),
        }
    }
}

impl<T: Clone> IndexMut<usize> for Folding<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        match place.checked_sub(self.before) {
            Some(after) => &mut self.after[after],
            None => self.open_or_lost(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_folded_and_what_is_open_stays() {
        // What is folded is 0; what is odd is over.
        let mut list = Folding::new(0);
        for item in [1, 3, 5, 6, 7, 9, 11, 13, 15, 17] {
            list.push(item);
        }
        let is_over = |item: &i32| item % 2 == 1;
        let mut told = Vec::new();
        list.fold(4, is_over, |place, item| told.push((place, *item)));
        assert_eq!(told, [(0, 1), (1, 3), (2, 5), (4, 7), (5, 9)]);
        assert_eq!((list.len(), list.unfolded(), list[3]), (10, 4, 6));
        assert_eq!((list[5], list[6], list.get(10)), (0, 11, None));
        // What is written to one that is folded is lost, and no other's.
        list[5] = 100;
        assert_eq!((list[4], list[5]), (0, 0));
        list[3] = 21;
        told.clear();
        list.fold(4, is_over, |place, item| told.push((place, *item)));
        assert_eq!((told.as_slice(), list[3]), (&[(3, 21)][..], 0));
    }
}
