//! What most have none of: a value that takes a word until it is another than the empty one.

use std::ops::{Deref, DerefMut};

/// A type with an empty value.
pub trait Empty: Clone + 'static {
    /// It.
    const EMPTY: &'static Self;
}

/// The value; its own memory is there once it was changed.
#[derive(Clone, Debug)]
pub struct Seldom<T>(Option<Box<T>>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Seldom(None)
    }
}

impl<T: Empty> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::EMPTY.clone()))
    }
}

impl<T: Empty + PartialEq> PartialEq for Seldom<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Empty + Eq> Eq for Seldom<T> {}

impl<T> Seldom<T> {
    /// The value, if it was ever changed.
    pub fn into_inner(self) -> Option<T> {
        self.0.map(|value| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Empty for Vec<u32> {
        const EMPTY: &'static Self = &Vec::new();
    }

    #[test]
    fn is_empty_until_it_is_changed() {
        let mut list: Seldom<Vec<u32>> = Seldom::default();
        assert!(list.is_empty() && list.0.is_none());
        assert_eq!(size_of_val(&list), 8);
        list.push(7);
        assert_eq!(*list, [7]);
        list.clear();
        assert_eq!(list, Seldom::default());
        assert_eq!(list.into_inner(), Some(Vec::new()));
    }
}
