//! Tables of the process that are mapped when they are first needed: what a program doesn't use costs it a
//! pointer, and none of its limits.

use core::marker::PhantomData;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::kernel;

/// A `T` that is all zeros at first.
pub struct Table<T> {
    mapped: AtomicPtr<T>,
    shared: PhantomData<T>,
}

impl<T: Sync> Table<T> {
    /// A table that is not mapped yet.
    ///
    /// # Safety
    /// All zeros must be a valid `T`.
    pub const unsafe fn new() -> Table<T> {
        Table {
            mapped: AtomicPtr::new(null_mut()),
            shared: PhantomData,
        }
    }

    /// The table, if anybody has needed it.
    #[inline(always)]
    pub fn get(&self) -> Option<&'static T> {
        // Acquire: pairs with the AcqRel in `map`.
        // SAFETY: null, or a mapping that lasts for ever; it was zeros, which is valid, and is shared only.
        unsafe { self.mapped.load(Ordering::Acquire).as_ref() }
    }

    /// The table, mapped now if need be; `None`: there is no memory.
    #[inline(always)]
    pub fn needed(&self) -> Option<&'static T> {
        self.get().or_else(|| self.map())
    }

    #[cold]
    #[inline(never)]
    fn map(&self) -> Option<&'static T> {
        const { assert!(align_of::<T>() <= 4096) };
        let fresh = kernel::map(size_of::<T>())?;
        // AcqRel: pairs with the Acquire in `get`; whoever loses sees the winner's zeros.
        let mapped = self.mapped.compare_exchange(
            null_mut(),
            fresh.cast(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if mapped.is_err() {
            // SAFETY: another thread was faster, or a handler of this one; nobody knows of ours.
            unsafe { kernel::unmap(fresh, size_of::<T>()) };
        }
        self.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU64;
    use std::thread::spawn;
    use std::vec::Vec;

    #[test]
    fn all_threads_get_the_same() {
        // SAFETY: zeros are valid.
        static TABLE: Table<[AtomicU64; 1000]> = unsafe { Table::new() };
        assert!(TABLE.get().is_none());
        let threads: Vec<_> = (0..4)
            .map(|_| spawn(|| TABLE.needed().unwrap()[999].fetch_add(1, Ordering::Relaxed)))
            .collect();
        threads.into_iter().for_each(|thread| {
            thread.join().unwrap();
        });
        assert_eq!(TABLE.get().unwrap()[999].load(Ordering::Relaxed), 4);
        assert_eq!(TABLE.get().unwrap()[0].load(Ordering::Relaxed), 0);
    }
}
