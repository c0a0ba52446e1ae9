//! The remembered chain on literal stacks.

use super::*;
use crate::stack::Bounds;
use crate::unwind::rule::Parts;
use crate::unwind::step::Step;
use std::boxed::Box;
use std::vec::Vec;

/// A stack of 64 words, and the chain of what was walked there.
struct Thread {
    words: Vec<u64>,
    chain: Box<Chain>,
    rules: Vec<Rule>,
}

fn rule(kind: Kind, offset: i64, bp: Saved) -> Rule {
    Rule::new(Parts {
        kind,
        offset,
        addend: 0,
        bp,
        bx: Saved::Kept,
    })
}

impl Thread {
    /// `rules` are those of the addresses 100, 101, ...; the word at `at` holds `value`.
    fn new(rules: &[Rule], stack: &[(usize, u64)]) -> Thread {
        let mut words = Vec::from([0; 64]);
        for (at, value) in stack {
            words[*at] = *value;
        }
        // SAFETY: all-zero is an empty chain.
        let chain = unsafe { Box::new_zeroed().assume_init() };
        Thread {
            words,
            chain,
            rules: rules.to_vec(),
        }
    }

    fn at(&self, word: usize) -> u64 {
        self.words.as_ptr() as u64 + 8 * word as u64
    }

    fn memory(&self) -> Memory {
        let (low, high) = (self.at(0), self.at(64));
        Memory::new(low, Bounds { low, high })
    }

    fn frame(&self, address: u64, word: usize, bp: u64) -> Cursor {
        Cursor {
            address,
            sp: self.at(word),
            bp,
            bx_slot: 0,
        }
    }

    /// Walks from `from` to the end and remembers that; node 1 is the outermost frame.
    fn remember(&mut self, from: Cursor) -> usize {
        let memory = self.memory();
        let (mut cursor, mut walked) = (from, Vec::new());
        let ended = loop {
            let rule = self.rules[cursor.address as usize - 100];
            walked.push(Walked::new(cursor, rule));
            match step::step(rule, &cursor, &memory) {
                Step::Caller(caller) => cursor = caller,
                Step::End => break Ended::Outermost,
                Step::Lost => break Ended::Lost,
                Step::Interrupted(_) => unreachable!(),
            }
        };
        self.chain.clear();
        for (index, frame) in walked.iter().rev().enumerate() {
            let node = index as u32 + 1;
            assert!(if index == 0 {
                self.chain.push_outermost(frame, node, ended, &memory)
            } else {
                self.chain.push(frame, node, &memory)
            });
        }
        walked.len()
    }

    fn meets(&self, cursor: Cursor) -> usize {
        let mut search = self.chain.search(&self.memory());
        self.chain.meets(&mut search, &cursor)
    }
}

/// Three frames of four words each, found by rsp, and a fourth that is the outermost.
fn by_stack_pointer() -> Thread {
    let plain = rule(Kind::Sp, 32, Saved::Kept);
    let rules = [plain, plain, plain, Rule::END];
    Thread::new(&rules, &[(5, 101), (9, 102), (13, 103)])
}

#[test]
fn what_still_holds_is_met() {
    let mut thread = by_stack_pointer();
    assert_eq!(thread.remember(thread.frame(100, 2, 0)), 4);
    assert_eq!(thread.meets(thread.frame(100, 2, 77)), 4, "rbp is not used");
    assert_eq!(thread.meets(thread.frame(101, 6, 0)), 3);
    assert_eq!(thread.chain.node(3), 3);
    assert_eq!(thread.meets(thread.frame(101, 2, 0)), 0, "another address");
    assert_eq!(thread.meets(thread.frame(101, 7, 0)), 0, "another place");
}

#[test]
fn a_changed_return_address_voids_the_frames_inside_of_it() {
    let mut thread = by_stack_pointer();
    thread.remember(thread.frame(100, 2, 0));
    thread.words[9] = 103;
    let mut search = thread.chain.search(&thread.memory());
    let chain = &thread.chain;
    assert_eq!(chain.meets(&mut search, &thread.frame(100, 2, 0)), 0);
    assert_eq!(chain.meets(&mut search, &thread.frame(101, 6, 0)), 0);
    assert_eq!(chain.meets(&mut search, &thread.frame(103, 10, 0)), 0);
    assert_eq!(chain.meets(&mut search, &thread.frame(103, 14, 0)), 1);
}

#[test]
fn rbp_counts_where_a_frame_further_out_uses_it() {
    // 100 keeps rbp, 101 is found by it and restores it, 102 does not use what was restored.
    let rules = [
        rule(Kind::Sp, 32, Saved::Kept),
        rule(Kind::Bp, 16, Saved::Cfa(-16)),
        rule(Kind::Sp, 32, Saved::Kept),
        Rule::END,
    ];
    let mut thread = Thread::new(&rules, &[(5, 101), (12, 55), (13, 102), (17, 103)]);
    let bp = thread.at(12);
    assert_eq!(thread.remember(thread.frame(100, 2, bp)), 4);
    assert_eq!(thread.meets(thread.frame(100, 2, bp)), 4);
    assert_eq!(thread.meets(thread.frame(100, 2, bp + 8)), 0);
    thread.words[12] = 56;
    assert_eq!(thread.meets(thread.frame(100, 2, bp)), 4, "saved, not used");

    // The same, but 102 is found by the restored rbp.
    thread.rules[2] = rule(Kind::Bp, 16, Saved::Kept);
    thread.words[12] = thread.at(16);
    assert_eq!(thread.remember(thread.frame(100, 2, bp)), 4);
    assert_eq!(thread.meets(thread.frame(100, 2, bp)), 4);
    thread.words[12] += 8;
    assert_eq!(thread.meets(thread.frame(100, 2, bp)), 0);
    assert_eq!(thread.meets(thread.frame(102, 14, thread.at(16))), 2);
}

#[test]
fn a_walk_that_ended_for_want_of_a_caller_ends_there_while_there_is_none() {
    let plain = rule(Kind::Sp, 32, Saved::Kept);
    let mut thread = Thread::new(&[plain, plain], &[(5, 101)]);
    assert_eq!(thread.remember(thread.frame(100, 2, 0)), 2);
    assert_eq!(thread.meets(thread.frame(100, 2, 0)), 2);
    thread.words[9] = 100;
    assert_eq!(thread.meets(thread.frame(100, 2, 0)), 0);
}

#[test]
fn a_cut_chain_serves_only_the_walk_of_the_same_length() {
    let mut thread = by_stack_pointer();
    thread.remember(thread.frame(100, 2, 0));
    assert!(thread.chain.fits(3, 1, 4) && thread.chain.fits(3, 1, 128));
    assert!(!thread.chain.fits(3, 2, 4));
    thread.chain.cut = true;
    assert!(thread.chain.fits(3, 1, 4));
    assert!(!thread.chain.fits(3, 1, 128) && !thread.chain.fits(2, 1, 4));
}
