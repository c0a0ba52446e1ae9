//! The requests that a server is sent, and what they leave behind.

use leak_tests::stated::Sum;

use crate::endpoint::{Endpoint, Family};

/// Of each endpoint: enough for statistics to tell.
const EACH: u64 = 300;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// To whom.
    pub(crate) endpoint: Endpoint,
    /// How many of that endpoint were before it.
    pub(crate) number: u64,
}

/// All requests, in the order in which they are sent.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Each.
    pub(crate) asks: Vec<Ask>,
    /// The endpoints that are asked.
    pub(crate) endpoints: Vec<Endpoint>,
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }
}

impl Traffic {
    /// All endpoints, `Publish` too where `publishes`: shuffled, or (`in_turn`) one after the other, again and again.
    pub(crate) fn new(seed: u64, in_turn: bool, publishes: bool) -> Traffic {
        let mut endpoints = Endpoint::ALL.to_vec();
        endpoints.extend(publishes.then_some(Endpoint::Publish));
        let mut random = Random(seed);
        let order = if in_turn {
            let mut turn = endpoints.clone();
            random.shuffle(&mut turn);
            turn.repeat(EACH as usize)
        } else {
            let mut order = endpoints.repeat(EACH as usize);
            random.shuffle(&mut order);
            order
        };
        Traffic {
            asks: numbered(&order),
            endpoints,
        }
    }

    /// How many requests each endpoint is sent.
    pub(crate) fn each(&self) -> u64 {
        EACH
    }

    /// What `endpoint` has kept once all are answered.
    pub(crate) fn kept(&self, endpoint: Endpoint, family: Family) -> Sum {
        let (requests, each) = (self.keeping(endpoint), endpoint.kept_each(family));
        Sum {
            blocks: requests * each.blocks,
            bytes: requests * each.bytes,
        }
    }

    /// How many of the endpoint's requests left something behind for ever.
    pub(crate) fn keeping(&self, endpoint: Endpoint) -> u64 {
        let keeps = |number: &u64| endpoint.keeps(*number);
        (0..EACH).filter(keeps).count() as u64
    }
}

fn numbered(order: &[Endpoint]) -> Vec<Ask> {
    let mut sent: Vec<(Endpoint, u64)> = Vec::new();
    let number = |endpoint: &Endpoint| {
        let place = sent.iter().position(|(one, _)| one == endpoint);
        let place = place.unwrap_or_else(|| {
            sent.push((*endpoint, 0));
            sent.len() - 1
        });
        let number = sent[place].1;
        sent[place].1 += 1;
        Ask {
            endpoint: *endpoint,
            number,
        }
    };
    order.iter().map(number).collect()
}
