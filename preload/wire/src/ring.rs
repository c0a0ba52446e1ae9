//! A lane's words as a ring: the two halves of the single-producer protocol, over borrowed atomics.
//!
//! Positions are counts of words since the lane was claimed; they never wrap. The producer knows
//! `head` itself and reads `tail`; the consumer knows `tail` itself and reads `head`.

use core::sync::atomic::{AtomicU64, Ordering};

/// Writes one word at a position. Not visible to the consumer before [`publish`].
#[inline(always)]
pub fn put(words: &[AtomicU64], position: u64, word: u64) {
    let mask = words.len() - 1;
    if let Some(slot) = words.get(position as usize & mask) {
        // Relaxed: `publish` orders it before the consumer's read.
        slot.store(word, Ordering::Relaxed);
    }
}

/// Makes everything below `position` visible to the consumer.
#[inline(always)]
pub fn publish(head: &AtomicU64, position: u64) {
    // Release: pairs with the Acquire in `published`.
    head.store(position, Ordering::Release);
}

/// What the producer has published, if that is possible for a consumer at `tail` of a ring with
/// `capacity` words; `None`: the other side scribbled over it.
pub fn published(head: &AtomicU64, tail: u64, capacity: usize) -> Option<u64> {
    // Acquire: pairs with the Release in `publish`.
    let head = head.load(Ordering::Acquire);
    (head >= tail && head - tail <= capacity as u64).then_some(head)
}

/// Copies the words from `tail` to `head` (at most the ring's length) to the end of `out`.
pub fn copy(words: &[AtomicU64], tail: u64, head: u64, out: &mut impl Extend<u64>) {
    let start = tail as usize & (words.len() - 1);
    let (before, from) = words.split_at(start);
    let len = words.len().min((head - tail) as usize);
    let first = len.min(from.len());
    for part in [&from[..first], &before[..len - first]] {
        // Relaxed: `published` ordered the words before this read.
        out.extend(part.iter().map(|slot| slot.load(Ordering::Relaxed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn words_come_out_in_order_over_the_edge() {
        let words: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let head = AtomicU64::new(0);
        let mut tail = 0;
        for round in 0..10_u64 {
            (0..5).for_each(|index| put(&words, round * 5 + index, round * 5 + index));
            publish(&head, round * 5 + 5);
            let to = published(&head, tail, words.len()).unwrap();
            let mut out = Vec::new();
            copy(&words, tail, to, &mut out);
            assert_eq!(out, (tail..to).collect::<Vec<_>>());
            tail = to;
        }
        assert_eq!(tail, 50);
    }

    #[test]
    fn an_impossible_head_is_refused() {
        assert_eq!(published(&AtomicU64::new(9), 0, 8), None);
        assert_eq!(published(&AtomicU64::new(3), 4, 8), None);
        assert_eq!(published(&AtomicU64::new(8), 0, 8), Some(8));
    }
}
