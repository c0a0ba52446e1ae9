//! Call sites that are found again, on literal stacks.

use super::super::chain::Check;
use super::*;
use std::boxed::Box;
use std::vec::Vec;

/// A stack whose words differ from site to site, but for the return address below them, and what is
/// remembered of the sites.
struct Sites {
    stack: Vec<u64>,
    memo: Box<Memo>,
}

impl Sites {
    fn new() -> Sites {
        Sites {
            stack: Vec::from([0; 9]),
            // SAFETY: all-zero is empty.
            memo: unsafe { Box::new_zeroed().assume_init() },
        }
    }

    fn caller(&self) -> Caller {
        Caller {
            sp: self.stack.as_ptr() as u64,
            bp: 0,
        }
    }

    fn place(&self, generation: u64) -> Place {
        Place::new(self.caller(), generation)
    }

    /// Remembers as site `node` that these words of the stack, outermost first, are as they are.
    fn put(&mut self, node: u32, words: &[usize]) {
        let checks: Vec<Check> = words.iter().map(|word| self.check(*word)).collect();
        self.memo.new = Entry {
            key: 0,
            place: self.place(1),
            bp: 0,
            join_sp: 0,
            join_bp: 0,
            node,
            join_node: 0,
            join: 1,
            frames: 1,
            used: 0,
            bp_matters: false,
            join_bp_matters: false,
            words: [0; MAX_CHECKS],
            values: [0; MAX_CHECKS],
        };
        assert!(self.memo.new.set_checks(&checks));
        self.memo.put();
    }

    fn check(&self, word: usize) -> Check {
        let word = &self.stack[1 + word];
        Check {
            slot: core::ptr::from_ref(word) as u64,
            value: *word,
        }
    }

    fn set(&mut self, word: usize, value: u64) {
        self.stack[1 + word] = value;
    }

    fn find(&self, generation: u64) -> Option<u32> {
        let found = self.memo.find(self.place(generation))?;
        Some(found.node)
    }
}

/// All words, outermost first.
const ALL: [usize; 8] = [7, 6, 5, 4, 3, 2, 1, 0];

#[test]
fn sites_of_one_place_are_told_apart_by_the_words_in_which_they_differ() {
    let mut sites = Sites::new();
    let mut lost = 0;
    // The first rounds make room.
    for _ in 0..20 {
        lost = 0;
        for node in 1..=512 {
            // They differ in one, two or three words.
            sites.set(1, u64::from(node % 8));
            sites.set(4, u64::from(node / 8 % 8));
            sites.set(7, u64::from(node / 64));
            if sites.find(1) != Some(node) {
                lost += 1;
                sites.put(node, &ALL);
            }
        }
    }
    // Now and then three lie where there is room for two.
    assert!(lost < 16, "{lost} of 512 lost");
}

#[test]
fn a_word_that_is_no_check_of_a_site_does_not_decide_about_it() {
    let mut sites = Sites::new();
    let mut lost = 0;
    for round in 0..20 {
        lost = 0;
        for node in 1..=64 {
            // Half of them have a frame more, where the others have a variable.
            let is_long = node % 2 == 0;
            sites.set(0, u64::from(is_long));
            sites.set(
                2,
                u64::from(if is_long { node % 4 } else { round * 64 + node }),
            );
            sites.set(5, u64::from(node / 4));
            sites.set(6, u64::from(node % 4));
            let words: &[usize] = if is_long { &ALL } else { &[6, 5, 4, 0] };
            if sites.find(1) != Some(node) {
                lost += 1;
                sites.put(node, words);
            }
        }
    }
    assert!(lost < 4, "{lost} of 64 lost");
}

#[test]
fn what_was_remembered_of_an_older_tree_is_not_found() {
    let mut sites = Sites::new();
    sites.put(1, &ALL);
    assert_eq!(sites.find(1), Some(1));
    assert_eq!(sites.find(2), None);
}

#[test]
fn nothing_is_proven_without_the_frame_that_it_came_to() {
    let mut sites = Sites::new();
    sites.put(1, &ALL);
    // SAFETY: all-zero is an empty chain.
    let chain: Box<Chain> = unsafe { Box::new_zeroed().assume_init() };
    let found = sites.memo.find(sites.place(1)).unwrap();
    assert_eq!(found.proven(sites.caller(), &chain, 128), 0);
}
