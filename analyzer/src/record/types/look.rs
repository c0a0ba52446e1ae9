//! Reads in the target what blocks are, and names them.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::live::Block;
use super::memory::{Memory, Unreadable};
use super::python::{HEAD_WORDS, Looked};
use super::{Known, MOST_LINKS, Types, python};
use crate::trace::Reading;
use crate::types::{CACHED_NAME, FREE_LIST};

impl Types {
    /// Reads what `blocks` are, which stand by their addresses; the names of objects that their libraries may keep when
    /// they die.
    pub(super) fn look(
        &mut self,
        pid: u32,
        blocks: &[(u64, Block)],
        reading: &mut Reading,
    ) -> Result<FxHashSet<u32>, Unreadable> {
        let memory = &Memory::of(pid)?;
        let addresses: Vec<u64> = blocks.iter().map(|(address, _)| *address).collect();
        let heads = memory.words::<HEAD_WORDS>(&addresses)?;
        let sizes = blocks.iter().map(|(_, block)| u64::from(block.size));
        let blocks: Vec<(u64, [u64; HEAD_WORDS])> = sizes.zip(heads).collect();
        let objects = match &mut self.python {
            Some(python) => {
                python.lies_in(&self.modules);
                python.types_of(memory, &blocks)?
            }
            None => vec![None; blocks.len()],
        };
        let dead = match &mut self.python {
            Some(python) => python.dead(memory, &blocks, &objects)?,
            None => vec![None; blocks.len()],
        };
        let mut cached: Option<FxHashSet<u64>> = None;
        let mut numbers: FxHashMap<(Known, u64), u32> = FxHashMap::default();
        let mut owners = Vec::with_capacity(blocks.len());
        let mut may_be_kept = FxHashSet::default();
        let looked = addresses.iter().zip(&blocks).zip(objects.iter().zip(&dead));
        for ((address, (_, head)), (object, dead)) in looked {
            let mut key = match (object, dead) {
                (Some(object), _) => (Known::Object, *object),
                (None, Some(dead)) => (Known::Dead, *dead),
                (None, None) => (Known::Nothing, head[0]),
            };
            if let (Some(object), Some(python)) = (object, &self.python)
                && python.may_be_cached(*object, head)
            {
                let names = match cached.take() {
                    Some(names) => names,
                    None => python.cached_names(memory)?,
                };
                if names.contains(address) {
                    key.0 = Known::Cached;
                }
                cached = Some(names);
            }
            let mut number = numbers.get(&key).copied();
            if number.is_none() {
                let name = match (key.0, &mut self.python) {
                    (Known::Cached, Some(_)) => Some(CACHED_NAME.to_owned()),
                    (Known::Object, Some(python)) => Some(python.name(memory, key.1)?),
                    (Known::Dead, Some(python)) => Some(python.name(memory, key.1)? + FREE_LIST),
                    _ => self
                        .classes
                        .name(memory, &self.modules, head[0])?
                        .map(str::to_owned),
                };
                number = name.map(|name| reading.number(name));
                let is_object = matches!(key.0, Known::Object | Known::Dead);
                let python = self.python.as_ref().filter(|_| is_object);
                if python.is_some_and(|python| python.may_be_kept(key.1)) {
                    may_be_kept.extend(number);
                }
                numbers.extend(number.map(|number| (key, number)));
            }
            reading
                .blocks
                .extend(number.map(|number| (*address, number)));
            owners.push(number);
        }
        let looked = addresses.into_iter().zip(&blocks).zip(objects);
        let looked = looked.map(|((address, (_, head)), object)| Looked {
            address,
            head: *head,
            object,
        });
        let looked: Vec<Looked> = looked.collect();
        self.name_parts(memory, &looked, &owners, reading)?;
        Ok(may_be_kept)
    }

    /// Names what the objects in `blocks` keep in blocks of their own; `owners` are their names.
    fn name_parts(
        &mut self,
        memory: &Memory,
        blocks: &[Looked],
        owners: &[Option<u32>],
        reading: &mut Reading,
    ) -> Result<(), Unreadable> {
        let (Some(python), Some(live)) = (&self.python, &mut self.live) else {
            return Ok(());
        };
        let mut deques = Vec::new();
        for (block, of) in blocks.iter().zip(owners) {
            let named = of.filter(|_| block.object.is_some());
            let named = named.and_then(|of| reading.names.get(of as usize));
            match named.map(String::as_str) {
                Some(python::WRAPPER) => self.bounded.extend(python.object_in(block)),
                Some(python::DEQUE) => deques.extend(python.object_in(block)),
                Some(python::LINK) if self.links.len() < MOST_LINKS => {
                    self.links.extend(python.object_in(block));
                }
                _ => {}
            }
            if let Some((address, kind)) = named.and_then(|name| python::data(name, &block.head)) {
                let number = reading.number(kind.to_owned());
                live.take(address, true);
                reading.blocks.push((address, number));
            }
        }
        let (bounded, items) = python.deques(memory, &deques)?;
        self.bounded.extend(bounded);
        if !items.is_empty() {
            let number = reading.number(python::DEQUE_ITEMS.to_owned());
            for address in items {
                live.take(address, true);
                reading.blocks.push((address, number));
            }
        }
        let mut numbers: FxHashMap<(u32, &str), u32> = FxHashMap::default();
        for part in python.parts(memory, blocks)? {
            let Some(of) = owners.get(part.owner).copied().flatten() else {
                continue;
            };
            let owner = reading.names.get(of as usize).map_or("", String::as_str);
            let name = || format!("{owner} ({})", part.role);
            let number = match numbers.get(&(of, part.role)) {
                Some(known) => *known,
                None => {
                    let name = name();
                    let number = reading.number(name);
                    numbers.insert((of, part.role), number);
                    number
                }
            };
            // By itself it would show nothing.
            live.take(part.address, true);
            reading.blocks.push((part.address, number));
        }
        Ok(())
    }
}
