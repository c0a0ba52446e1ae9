//! Blocks of which nothing proves whose they are, as a process's end leaves them.

use rustc_hash::FxHashMap;

use super::Ledger;
use super::finish::Left;
use super::holding::{Hints, Kind, Proof};
use super::split::Part;
use super::types::is_loose;
use crate::replay::HoldingId;
use crate::requests::record::{Record, RequestId};
use crate::sample::Amount;
use crate::sites::SiteId;
use crate::types::{TypeId, is_bounded};

/// Blocks of one call site that were made by one worker at one time, and live when serving ended.
#[derive(Clone, Debug)]
pub struct Loose {
    /// Where.
    pub site: SiteId,
    /// They are stacks of threads: most of one is never touched, so that they count in no request's bytes.
    pub is_stack: bool,
    /// Stamp of the first one's birth.
    pub born: u64,
    /// Stamp of the last one's.
    pub last: u64,
    /// Others were made by the same worker in one piece of work before, while other requests were in flight.
    pub is_further: bool,
    /// Whose they may be more likely than others'.
    pub hints: Hints,
    /// Whose they are, where that is known although nothing proves it.
    pub known: Option<Known>,
    /// Live at the process's end.
    pub live: Amount,
    /// Live when serving ended.
    pub served: Amount,
    /// Live when the process's exit began; without one, at its end.
    pub before_exit: Amount,
    /// Most of it was gone before the collector's first full run after the serving was over.
    pub collected: bool,
    /// Of `served`, those that are bounded, as [`Retained::bounded_blocks`](super::Retained) are.
    pub bounded: Amount,
    /// What those of `served` are, where types were read.
    pub types: Vec<(TypeId, Amount)>,
}

/// Whose blocks are that nothing proves to be a request's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// This request's.
    Request(RequestId),
    /// No request's that has begun.
    Nobody,
}

impl Loose {
    fn of(
        part: Part,
        (site, is_stack): (SiteId, bool),
        (hints, known): (Hints, Option<Known>),
    ) -> Loose {
        let Part {
            born,
            last,
            is_further,
            left,
            types,
        } = part;
        let bounded = types.iter().filter(|(of_type, _)| is_bounded(*of_type));
        Loose {
            site,
            is_stack,
            born,
            last,
            is_further,
            hints,
            known,
            live: left.live,
            served: left.served,
            before_exit: left.before_exit,
            collected: left.is_mostly_collected(),
            bounded: bounded.fold(Amount::default(), |mut sum, (_, amount)| {
                sum += *amount;
                sum
            }),
            types,
        }
    }

    /// Takes so many of the blocks that were live when serving ended, as far as these are told apart: each with its part
    /// of everything.
    pub fn take(&mut self, blocks: u64) -> Loose {
        let of = self.served.blocks.max(1);
        let part = |amount: &mut Amount| {
            let taken = match blocks >= of {
                true => *amount,
                false => Amount {
                    blocks: amount.blocks * blocks / of,
                    bytes: amount.bytes * blocks / of,
                },
            };
            *amount -= taken;
            taken
        };
        Loose {
            live: part(&mut self.live),
            served: part(&mut self.served),
            before_exit: part(&mut self.before_exit),
            bounded: part(&mut self.bounded),
            types: (self.types.iter_mut())
                .map(|(of_type, amount)| (*of_type, part(amount)))
                .collect(),
            ..*self
        }
    }

    /// Whether all of it is bounded.
    pub fn is_bounded(&self) -> bool {
        self.bounded.blocks >= self.served.blocks
    }
}

impl Ledger {
    /// Those of this process, in order of their birth. Also what was proved in ways that `holds` denies.
    pub(super) fn loose(
        &self,
        left: &FxHashMap<HoldingId, Left>,
        records: &[Record],
        holds: &impl Fn(Proof) -> bool,
    ) -> Vec<Loose> {
        let mut types = self.types_of_loose(holds);
        let mut split = self.split(left, records, holds);
        let mut all = Vec::new();
        for (id, left) in left {
            let holding = &self.holdings[*id as usize];
            let hints = match holding.kind {
                Kind::Open(hints) => hints,
                Kind::Proved(request, proof) => {
                    let record = records.get(request as usize);
                    let real = record.is_some_and(|record| !record.void);
                    Hints {
                        last: Some(request).filter(|_| real),
                        answered: real && proof.is_tail(),
                        ..Hints::default()
                    }
                }
                Kind::Prepared(next) => Hints {
                    next,
                    ..Hints::default()
                },
                Kind::Outside | Kind::Pending(_) => Hints::default(),
            };
            // What was gone when serving ended, and what came later and is gone, is judged by nobody.
            if !is_loose(holding.kind, holds) || left.served.blocks == 0 {
                continue;
            }
            let mut whole = || Part {
                born: holding.born,
                last: holding.last,
                is_further: false,
                left: *left,
                types: types.remove(id).unwrap_or_default(),
            };
            let parts = split.remove(id).unwrap_or_else(|| vec![whole()]);
            let known = match holding.kind {
                Kind::Prepared(Some(next)) => Some(Known::Request(next)),
                Kind::Prepared(None) => Some(Known::Nobody),
                _ => None,
            };
            let site = (self.sites[holding.site as usize].id, holding.is_stack);
            let of_part = |part| Loose::of(part, site, (hints, known));
            all.extend(parts.into_iter().map(of_part));
        }
        all.sort_unstable_by_key(|loose| {
            (loose.born, loose.site, loose.hints.last, loose.hints.next)
        });
        all
    }
}
