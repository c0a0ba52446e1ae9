//! Blocks and their owners, by scanning.

use std::collections::HashMap;

use leak_wire::Event;

use super::super::script::Told;
use super::{Block, Oracle};

impl Oracle<'_> {
    /// Blocks, by looking through all of them.
    pub(super) fn replay(&mut self) {
        let mut limbo: HashMap<u32, Vec<Option<usize>>> = HashMap::new();
        let live =
            |blocks: &[Block], limbo: &HashMap<u32, Vec<Option<usize>>>, process, address| {
                let held = |id: usize| limbo.values().flatten().any(|held| *held == Some(id));
                blocks
                    .iter()
                    .enumerate()
                    .rposition(|(id, block): (usize, &Block)| {
                        (block.process, block.address, block.ended) == (process, address, None)
                            && !held(id)
                    })
            };
        for step in 0..self.steps.len() {
            let (process, thread, told) = self.steps[step].clone();
            let new = |address, size, site, reallocated| Block {
                process,
                thread,
                site,
                address,
                size,
                born: step,
                ended: None,
                inherited: false,
                reallocated,
            };
            match told {
                Told::Begins => {
                    let Some(parent) = self.parents[process as usize] else {
                        continue;
                    };
                    let copies: Vec<Block> = (0..self.blocks.len())
                        .filter(|id| {
                            let block = &self.blocks[*id];
                            live(&self.blocks, &limbo, parent, block.address) == Some(*id)
                        })
                        .map(|id| Block {
                            process,
                            inherited: true,
                            ..self.blocks[id].clone()
                        })
                        .collect();
                    self.blocks.extend(copies);
                }
                Told::Event(Event::Allocation {
                    address,
                    size,
                    site,
                }) => {
                    if let Some(old) = live(&self.blocks, &limbo, process, address) {
                        self.blocks[old].ended = Some(step);
                    }
                    self.blocks.push(new(address, size, site, false));
                }
                Told::Event(Event::Free { address }) => {
                    match live(&self.blocks, &limbo, process, address) {
                        Some(id) => {
                            self.blocks[id].ended = Some(step);
                            *self.frees.entry(process).or_default() += 1;
                        }
                        None => self.unknown_frees += 1,
                    }
                }
                Told::Event(Event::ReallocationBegin { address }) => {
                    let old = live(&self.blocks, &limbo, process, address);
                    limbo.entry(thread).or_default().push(old);
                }
                Told::Event(Event::ReallocationEnd {
                    address,
                    size,
                    site,
                }) => {
                    let old = limbo.get_mut(&thread).and_then(Vec::pop);
                    if let Some(Some(id)) = old {
                        self.blocks[id].ended = Some(step);
                    }
                    if let Some(old) = live(&self.blocks, &limbo, process, address) {
                        self.blocks[old].ended = Some(step);
                    }
                    // Without its begin it is an allocation.
                    self.blocks.push(new(address, size, site, old.is_some()));
                }
                Told::ThreadEnds | Told::Event(Event::ReallocationFailed | Event::ThreadEnd) => {
                    let all = !matches!(told, Told::Event(Event::ReallocationFailed));
                    loop {
                        let held = limbo.entry(thread).or_default();
                        // The innermost failed; of a dead thread all are put back, the outermost first.
                        let old = match all {
                            true if held.is_empty() => None,
                            true => Some(held.remove(0)),
                            false => held.pop(),
                        };
                        if let Some(Some(id)) = old {
                            let address = self.blocks[id].address;
                            // As if this one were still held: is another there?
                            limbo.entry(u32::MAX).or_default().push(Some(id));
                            let other = live(&self.blocks, &limbo, process, address);
                            limbo.remove(&u32::MAX);
                            if other.is_some() {
                                // Another block is there by now: this one has ended.
                                self.blocks[id].ended = Some(step);
                            }
                        }
                        if !all || old.is_none() {
                            break;
                        }
                    }
                }
                Told::Event(Event::ReallocationFreed) => {
                    match limbo.get_mut(&thread).and_then(Vec::pop) {
                        Some(Some(id)) => {
                            self.blocks[id].ended = Some(step);
                            *self.frees.entry(process).or_default() += 1;
                        }
                        Some(None) => self.unknown_frees += 1,
                        None => {}
                    }
                }
                _ => {}
            }
        }
    }

    /// What `thread` serves just before `step`, and since when.
    fn serves(&self, thread: u32, step: usize) -> Option<(usize, usize)> {
        let mine = |touch: &&(usize, u32, usize)| touch.1 == thread && touch.0 < step;
        let (since, _, request) = *self.touches.iter().rev().find(mine)?;
        let place = self.touches.iter().rposition(|touch| mine(&touch))?;
        let taken = self.touches[place + 1..]
            .iter()
            .any(|touch| touch.2 == request && touch.1 != thread && touch.0 < step);
        let accepted = (since + 1..step).any(|at| {
            let (_, of, told) = &self.steps[at];
            *of == thread && matches!(told, Told::Accept(..))
        });
        let ended = self.requests[request].end.is_some_and(|end| end < step);
        (!taken && !accepted && !ended).then_some((request, since))
    }

    /// The request that serves a block, by the rules for direct ownership.
    fn direct(&self, block: &Block) -> Option<usize> {
        let mine = |step: &usize| self.steps[*step].1 == block.thread;
        let idle = |step: &usize| mine(step) && self.is_wait(*step, true);
        let from = (0..block.born).rev().find(|step| idle(step)).unwrap_or(0);
        let ends = |step: &usize| {
            let (process, thread, told) = &self.steps[*step];
            idle(step)
                || *thread == block.thread && matches!(told, Told::Event(Event::ThreadEnd))
                || *process == block.process && matches!(told, Told::Ends)
        };
        let until = (block.born..self.steps.len())
            .find(ends)
            .unwrap_or(self.steps.len());
        let served = self.serves(block.thread, block.born);
        if let Some((request, since)) = served
            && since > from
        {
            return Some(request);
        }
        let touch = |touch: &&(usize, u32, usize)| {
            touch.1 == block.thread && touch.0 > block.born && touch.0 < until
        };
        // An end of the request that the thread has served for longer decides first.
        let touched = self.touches.iter().find(touch);
        if let Some((request, _)) = served {
            let last = self.requests[request]
                .end
                .map_or(until, |end| end.min(until));
            let first = touched.map_or(usize::MAX, |touch| touch.0);
            if last < first
                && self.serves(block.thread, last).map(|served| served.0) == Some(request)
            {
                return Some(request);
            }
        }
        // A connection that was accepted in the period before, and that is another one's, keeps it away.
        let accepted = |before: usize| {
            let serving = |step: &usize| {
                self.touches
                    .iter()
                    .any(|touch| touch.1 == block.thread && touch.0 > *step && touch.0 < before)
            };
            let accept =
                (from..before)
                    .rev()
                    .filter(mine)
                    .find_map(|step| match &self.steps[step].2 {
                        Told::Accept(number, _) => Some((step, *number)),
                        _ => None,
                    });
            accept.filter(|(step, _)| !serving(step))
        };
        let (step, _, request) = *touched?;
        match accepted(step) {
            Some((_, number)) if !self.is_of(request, number) => None,
            _ => Some(request),
        }
    }

    fn is_of(&self, request: usize, connection: u32) -> bool {
        let prefix = format!("GET /c{connection}/");
        self.requests[request].label.starts_with(&prefix)
    }

    pub(super) fn in_flight(&self, process: u32, step: usize) -> Vec<usize> {
        let all = self.requests.iter().enumerate();
        let flying = all.filter(|(id, request)| {
            self.process_at(*id, step) == process
                && request.begin < step
                && request.end.is_none_or(|end| end > step)
        });
        flying.map(|(id, _)| id).collect()
    }

    /// Whose the block is, and whether by inference.
    pub(super) fn owner(&self, block: &Block) -> Option<(usize, bool)> {
        if let Some(request) = self.direct(block) {
            return Some((request, false));
        }
        let [request] = self.in_flight(block.process, block.born)[..] else {
            return None;
        };
        let idly = self.blocks.iter().any(|other| {
            !other.inherited
                && (other.thread, other.site) == (block.thread, block.site)
                && self.direct(other).is_none()
                && self.in_flight(other.process, other.born).is_empty()
        });
        (!idly).then_some((request, true))
    }
}
