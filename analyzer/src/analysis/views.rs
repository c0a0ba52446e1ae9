//! What a whole run's blocks were, whatever requests made them: as data.

use crate::sample::Amount;
use crate::sites::SiteId;

/// Classes of sizes: up to 16 bytes, up to 32, and so on by powers of two; the last has all that are larger.
pub const CLASSES: usize = 24;

/// The largest size of a class; `None`: of the last.
pub fn class_end(class: usize) -> Option<u64> {
    (class + 1 < CLASSES).then(|| 16 << class)
}

/// The class of a size.
pub fn class_of(size: u64) -> usize {
    (0..CLASSES - 1)
        .find(|class| class_end(*class).is_some_and(|end| size <= end))
        .unwrap_or(CLASSES - 1)
}

/// Blocks of one call site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteView {
    /// Which.
    pub site: SiteId,
    /// Blocks that it made, by realloc, too.
    pub allocated: Amount,
    /// Of these, those that the same thread's next event freed.
    pub temporary: Amount,
    /// What was live when most was.
    pub at_peak: Amount,
}

/// Blocks of one class of sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassView {
    /// How many were made.
    pub allocated: Amount,
    /// How many were live when their processes ended.
    pub left: Amount,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Call sites, in no order.
    pub sites: Vec<SiteView>,
    /// Classes of sizes.
    pub classes: [ClassView; CLASSES],
    /// When most was live, in nanoseconds.
    pub peak_ns: u64,
    /// How much that was.
    pub peak: Amount,
    /// Blocks of which no more than the sum was written (`LEAK_KEEP=lasting`): they are in no peak, count as temporary,
    /// and lie in the class of their mean size.
    pub passed: Amount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_classes() {
        assert_eq!([0, 16, 17, 32, 33].map(class_of), [0, 0, 1, 1, 2]);
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
        assert_eq!((class_end(0), class_end(CLASSES - 1)), (Some(16), None));
    }
}
