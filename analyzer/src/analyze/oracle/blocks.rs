//! Blocks, by scanning.

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

    /// Before this moment nobody knew that the block is a request's, and its end was no matter.
    pub(super) fn known_from(&self, block: &Block) -> usize {
        let id = self
            .blocks
            .iter()
            .position(|other| std::ptr::eq(other, block));
        id.and_then(|id| self.born_for.get(&id).copied())
            .unwrap_or(0)
    }

    /// Whose the block is, by proof.
    pub(super) fn owner(&self, block: &Block) -> Option<(usize, bool)> {
        let id = self
            .blocks
            .iter()
            .position(|other| std::ptr::eq(other, block))?;
        self.owners.get(&id).copied()
    }
}
