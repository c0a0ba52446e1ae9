//! Servers whose memory waits for a collector with two generations: what is in use follows a law, what is not is freed
//! by the next run over its generation. How often is the verdict wrong?

use std::collections::VecDeque;

use super::super::told::Collection;
use super::*;
use crate::ledger::GroupLives;
use crate::ledger::Log;
use crate::sites::Module;

/// What the requests keep.
#[derive(Clone, Copy, Debug)]
enum Law {
    /// Nothing.
    Garbage,
    /// The newest so many.
    Newest(usize),
    /// So many, of which any may be replaced.
    Any(usize),
    /// Each for ever.
    Leak,
    /// Of each, one in so many.
    LeakOne(u64),
}

/// Numbers at random (D. H. Lehmer's generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        self.0 * limit / 0x7fff_ffff
    }
}

/// What a request left, and has not been freed.
#[derive(Clone, Copy, Debug)]
struct Left {
    order: u64,
    /// Runs that it has survived.
    runs: u32,
}

struct Server {
    law: Law,
    kept: VecDeque<u64>,
    left: Vec<Left>,
    freed: Lives,
    collection: Option<Collection>,
}

impl Server {
    fn serve(&mut self, order: u64, dice: &mut Dice) {
        self.left.push(Left { order, runs: 0 });
        match self.law {
            Law::Garbage => {}
            Law::Newest(most) => {
                self.kept.push_back(order);
                if self.kept.len() > most {
                    self.kept.pop_front();
                }
            }
            Law::Any(most) => {
                if self.kept.len() == most {
                    let gone = dice.below(most as u64) as usize;
                    self.kept.remove(gone);
                }
                self.kept.push_back(order);
            }
            Law::Leak => self.kept.push_back(order),
            Law::LeakOne(of) => {
                if dice.below(of) == 0 {
                    self.kept.push_back(order);
                }
            }
        }
    }

    /// A run: over all, or over what has survived fewer than two.
    fn collect(&mut self, now: u64, full: bool) {
        let (kept, freed) = (&self.kept, &mut self.freed);
        self.left.retain_mut(|left| {
            left.runs += 1;
            let stays = !full && left.runs > 2 || kept.contains(&left.order);
            if !stays {
                freed.add(now - left.order);
            }
            stays
        });
        if full {
            self.collection = Some(Collection { order: now, ago: 0 });
        }
    }

    fn verdict(&self, requests: u64) -> Verdict {
        let kept: Vec<Kept> = (0..)
            .zip(&self.left)
            .map(|(place, left)| Kept {
                request: left.order as RequestId,
                order: left.order,
                age: [Some(requests - 1 - left.order), None, None, None],
                first: place == 0,
                judged: Judged::InUse,
            })
            .collect();
        let mut births = Log::default();
        (0..requests).for_each(|order| births.add(order, 1));
        let mut freed: [Lives; MEASURES] = Default::default();
        freed[0] = self.freed.clone();
        let lives = GroupLives {
            label: 0,
            status: Some(200),
            births,
            keepings: requests,
            freed: freed.clone(),
        };
        let runtime = Runtime::of(&Module {
            path: "/usr/bin/node".to_owned(),
            build_id: None,
        });
        let group = Group {
            processes: vec![InProcess {
                orders: (0..requests).collect(),
                ended: requests,
                kept,
                lives: Some(&lives),
                collection: self.collection,
                ..InProcess::default()
            }],
            freed,
            runtime,
            survivors: requests,
            newest: 1,
            ..Group::default()
        };
        group.judge().0
    }
}

/// So many of a hundred servers, with runs at random, are called a leak, and are undecided.
fn called(law: Law, requests: u64, full: u64) -> (u32, u32) {
    let (mut leaks, mut undecided) = (0, 0);
    for seed in 1..=100 {
        let mut dice = Dice(seed * 7919);
        (0..10).for_each(|_| {
            dice.below(2);
        });
        let mut server = Server {
            law,
            kept: VecDeque::new(),
            left: Vec::new(),
            freed: Lives::default(),
            collection: None,
        };
        let each = 20 + dice.below(100);
        for order in 0..requests {
            server.serve(order, &mut dice);
            if dice.below(requests) < full {
                server.collect(order + 1, true);
            } else if dice.below(each) == 0 {
                server.collect(order + 1, false);
            }
        }
        match server.verdict(requests) {
            Verdict::Leak => leaks += 1,
            Verdict::TooFewRequests => undecided += 1,
            _ => {}
        }
    }
    (leaks, undecided)
}

/// Of 100 servers each, as docs/verdicts.md says.
#[test]
fn garbage_and_caches_are_no_leaks() {
    let small = [Law::Garbage, Law::Newest(20)];
    let large = [Law::Newest(100), Law::Any(50)];
    let mut all = 0;
    for full in [0, 1, 3, 10] {
        for law in small {
            all += called(law, 100, full).0;
        }
        // A cache that is not full can't be told from a leak.
        for law in small.into_iter().chain(large) {
            all += called(law, 300, full).0 + called(law, 2000, full).0;
        }
    }
    // Of 4,000.
    assert!(all <= 4, "{all}");
}

#[test]
fn what_no_collection_has_told_of_is_undecided() {
    for law in [Law::Leak, Law::LeakOne(10)] {
        let (leaks, undecided) = called(law, 1000, 0);
        assert_eq!(leaks, 0);
        assert!(undecided >= 97, "{law:?}: {undecided}");
    }
}

#[test]
fn leaks_are_found_where_everything_was_collected() {
    for (law, requests, found) in [
        (Law::Leak, 300, 95),
        (Law::Leak, 2000, 95),
        (Law::LeakOne(10), 2000, 90),
    ] {
        let (leaks, undecided) = called(law, requests, 10);
        assert!(leaks >= found, "{law:?}, {requests}: {leaks}");
        assert!(
            leaks + undecided >= 99,
            "{law:?}, {requests}: {leaks}, {undecided}"
        );
    }
}
