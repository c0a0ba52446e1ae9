//! What the blocks of an image are: their types, read from its memory while it runs.
//!
//! A reading says: from stamp `begin` to stamp `end` the block at this address was of this type, if it
//! lived all that time. Whether it did, the analyzer knows.

mod classes;
mod fuzz;
mod look;
mod memory;
mod python;

use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use super::live::{Block, Extent, LiveBlocks, Look};
use crate::mapping::Mapping;
use crate::trace::Reading;
use crate::types::{FREE_LIST, may_change};
use classes::Classes;
pub(crate) use fuzz::fuzz;
use memory::Memory;
pub(crate) use memory::Unreadable;
use python::Python;

/// Blocks in one reading, at most: one or two milliseconds.
const LOT: usize = 2048;
/// The same while the image waits for its end: what is looked up for each reading is looked up less often.
const LOT_AT_THE_END: usize = 1 << 14;
/// From so many blocks on they are read, before more are looked for: to sort them takes as long.
const MANY: usize = 1 << 16;
/// Objects in caches that are looked at, at most, in one go: a tenth of a second's work, in which no lane is drained.
const CACHED: usize = 1 << 15;
/// The same while the image is busy: a few milliseconds.
const CACHED_IN_PASSING: usize = 1 << 12;
/// The same while the image waits for its end.
const CACHED_AT_THE_END: usize = 1 << 19;
/// Links of caches that are remembered, at most.
const MOST_LINKS: usize = 1 << 16;
/// What every program has in it that can name a class.
const CLASS_MARK: &[u8] = b"__cxxabiv1";

/// What is known of an image's types.
#[derive(Debug, Default)]
pub(crate) struct Types {
    /// Its blocks, once it may have types.
    pub(crate) live: Option<Box<LiveBlocks>>,
    /// Where its modules lie.
    modules: Vec<(u64, u64)>,
    classes: Classes,
    python: Option<Python>,
    /// The look for blocks that are due, until its end.
    look: Option<Look>,
    /// Those that it has found.
    found: Vec<u64>,
    /// Those of them that are read next, last first.
    queue: Vec<u64>,
    /// How many have a type.
    pub(crate) named: u64,
    /// Its memory can't be read.
    denied: bool,
    /// It waited in vain, when so many blocks were unread.
    pub(crate) left: Option<u64>,
    /// It waits for its last reading.
    pub(crate) ends: bool,
    /// The functions behind `functools.lru_cache` and the deques that were seen and may have a size.
    bounded: FxHashSet<u64>,
    /// Links of such caches that were seen since these were looked at: they lead to functions that were not, because
    /// the parent made them.
    links: Vec<u64>,
    /// What they keep may have changed since that was looked at.
    caches: Caches,
    /// What they keep is read before the blocks of the start-up, and again after them.
    before_start_up: bool,
}

/// Whether an image's caches are to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Caches {
    /// Nothing has changed.
    #[default]
    Seen,
    /// Something may have.
    Changed,
    /// They are, when everything else is read.
    Wanted,
    /// Some of them are, before anything else.
    InPassing,
}

/// What is known of a block before it has a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Known {
    /// Its first word at most.
    Nothing,
    /// The type of the object in it.
    Object,
    /// The same, and it is a string that only the cache of attributes refers to.
    Cached,
    /// The type of the dead object in it.
    Dead,
}

/// What a forked child has of its parent's.
#[derive(Clone, Debug)]
pub(crate) struct Forked {
    is_followed: bool,
    modules: Vec<(u64, u64)>,
    bounded: FxHashSet<u64>,
}

/// Whether objects of the Python of the version `PY_VERSION_HEX` are read.
pub(super) fn knows_python(version: u32) -> bool {
    python::is_known(version)
}

impl Types {
    /// What a child forked now begins with.
    pub(crate) fn to_child(&self) -> Forked {
        Forked {
            is_followed: self.live.is_some(),
            modules: self.modules.clone(),
            bounded: self.bounded.clone(),
        }
    }

    /// Of a forked child.
    pub(crate) fn of_child(forked: Forked) -> Types {
        let Forked {
            is_followed,
            modules,
            bounded,
        } = forked;
        Types {
            live: is_followed.then(|| Box::new(LiveBlocks::new())),
            modules,
            bounded,
            ..Types::default()
        }
    }

    /// A module was mapped into an image that runs `executable`.
    pub(crate) fn module_loaded(&mut self, (start, end): (u64, u64), path: &str, executable: &str) {
        self.modules.push((start, end));
        if self.live.is_some() || self.denied {
            return;
        }
        let name = Path::new(path).file_name().and_then(|name| name.to_str());
        let known = ["libstdc++", "libc++", "libpython", "python"];
        let named = name.is_some_and(|name| known.iter().any(|known| name.starts_with(known)));
        if named || path == executable && may_have_classes(path) {
            self.live = Some(Box::new(LiveBlocks::new()));
        }
    }

    /// The module at `start` is gone.
    pub(crate) fn module_unloaded(&mut self, start: u64) {
        self.modules.retain(|module| module.0 != start);
        self.classes.forget();
    }

    /// The image has an interpreter, as its slot tells; whether that is news.
    pub(crate) fn python(&mut self, runtime: u64, type_type: u64, version: u32) -> bool {
        let is_new = self.python.is_none() && type_type != 0;
        if is_new {
            self.python = Python::new(type_type, version, runtime);
            if self.live.is_none() && !self.denied {
                self.live = Some(Box::new(LiveBlocks::new()));
            }
        }
        is_new
    }

    /// Whether blocks may be due that are not queued; `rests`: there is time for those of the start-up.
    pub(crate) fn has_news(&self, rests: bool) -> bool {
        self.live.as_ref().is_some_and(|live| live.has_news(rests))
    }

    /// Begins to look for blocks.
    pub(crate) fn seek(&mut self, extent: Extent) {
        self.give_up();
        self.look = self.live.as_mut().map(|live| live.look(extent));
        self.caches = match extent {
            Extent::All => Caches::Wanted,
            Extent::Served | Extent::Due => Caches::Changed,
        };
    }

    /// Looks at caches of bounded size, where anything may have changed. For when there is time: all of each is read.
    pub(crate) fn seek_caches(&mut self) {
        if self.caches == Caches::Changed {
            self.caches = Caches::Wanted;
        }
    }

    /// The same where there is little time: what most of them keep is known if the image is killed.
    pub(crate) fn seek_caches_in_passing(&mut self) {
        if self.caches == Caches::Changed {
            self.caches = Caches::InPassing;
        }
    }

    /// Whether blocks wait to be found or read.
    pub(crate) fn has_work(&self) -> bool {
        self.look.is_some() || !self.queue.is_empty() || self.wants_caches()
    }

    /// Whether caches are to be looked at, and there may be any.
    fn wants_caches(&self) -> bool {
        let wanted = matches!(self.caches, Caches::Wanted | Caches::InPassing);
        wanted && !(self.bounded.is_empty() && self.links.is_empty())
    }

    /// Makes later looks short, where there is time.
    pub(crate) fn shrink(&mut self) {
        if let Some(live) = &mut self.live {
            live.shrink();
        }
    }

    /// How many blocks were not read.
    pub(crate) fn unread(&self) -> u64 {
        let live = self.live.as_ref();
        live.map_or(0, |live| live.unread())
    }

    /// Nothing is to be read: the process is gone, say.
    pub(crate) fn give_up(&mut self) {
        self.look = None;
        self.found = Vec::new();
        self.queue = Vec::new();
        self.before_start_up = false;
        self.caches = Caches::Seen;
    }

    /// Reads no more: what is live may be taken apart.
    pub(crate) fn leave(&mut self) {
        self.left = Some(self.unread());
        self.give_up();
        self.ends = false;
    }

    /// Reads no more: nobody lets us.
    pub(crate) fn deny(&mut self) {
        self.denied = true;
        self.live = None;
        self.give_up();
    }

    /// Does a few milliseconds of the work that there is: looks for blocks, or reads some in the memory of `pid`,
    /// between two stamps.
    pub(crate) fn work(
        &mut self,
        image: u32,
        pid: u32,
        stamp: impl Fn() -> u64,
    ) -> Result<Option<Reading>, Unreadable> {
        if self.caches == Caches::InPassing {
            self.caches = Caches::Changed;
            return self.read_caches(image, pid, CACHED_IN_PASSING, stamp);
        }
        if !self.queue.is_empty() {
            let reading = self.read(image, pid, stamp)?;
            return Ok((!reading.blocks.is_empty()).then_some(reading));
        }
        if std::mem::take(&mut self.before_start_up) {
            return self.read_caches(image, pid, CACHED, stamp);
        }
        if let (Some(look), Some(live)) = (&mut self.look, &self.live) {
            let had_served = look.has_found_served();
            let more = live.find(look, &mut self.found);
            // What requests left is read, and what caches keep of it, before what was there already.
            let has_served = look.has_found_served() && !had_served;
            if !more {
                self.look = None;
            } else if has_served && self.caches == Caches::Wanted {
                self.before_start_up = true;
            }
            if !more || has_served || self.found.len() >= MANY {
                self.queue = std::mem::take(&mut self.found);
                // Neighbours together, and small differences in the file.
                self.queue.sort_unstable_by(|left, right| right.cmp(left));
            }
            return Ok(None);
        }
        if self.caches == Caches::Wanted {
            self.caches = Caches::Seen;
            let most = if self.ends { CACHED_AT_THE_END } else { CACHED };
            return self.read_caches(image, pid, most, stamp);
        }
        Ok(None)
    }

    /// Reads what caches of bounded size keep, so many objects at most.
    fn read_caches(
        &mut self,
        image: u32,
        pid: u32,
        most: usize,
        stamp: impl Fn() -> u64,
    ) -> Result<Option<Reading>, Unreadable> {
        let has_any = !(self.bounded.is_empty() && self.links.is_empty());
        let Some(python) = self.python.as_mut().filter(|_| has_any) else {
            return Ok(None);
        };
        let (begin, memory) = (stamp(), Memory::of(pid)?);
        let links = std::mem::take(&mut self.links);
        let caches = python.caches(&memory, &mut self.bounded, &links, most)?;
        Ok((!caches.is_empty()).then(|| Reading {
            image,
            begin,
            end: stamp(),
            caches,
            ..Reading::default()
        }))
    }

    /// Reads the next blocks of the queue.
    fn read(
        &mut self,
        image: u32,
        pid: u32,
        stamp: impl Fn() -> u64,
    ) -> Result<Reading, Unreadable> {
        let lot = match self.ends {
            true => LOT_AT_THE_END,
            false => LOT,
        };
        let rest = self.queue.len().saturating_sub(lot);
        let queued = self.queue.split_off(rest);
        let mut reading = Reading {
            image,
            begin: stamp(),
            ..Reading::default()
        };
        let Some(live) = &mut self.live else {
            return Ok(reading);
        };
        let blocks: Vec<(u64, Block)> = queued
            .into_iter()
            .rev()
            .filter_map(|address| Some((address, live.take(address, self.ends)?)))
            .filter(|(_, block)| block.size >= 8)
            .collect();
        if blocks.is_empty() {
            return Ok(reading);
        }
        let done = self.look(pid, &blocks, &mut reading);
        reading.end = stamp();
        self.named += reading.blocks.len() as u64;
        self.take_back(blocks, &reading, &done);
        done.map(|_| reading)
    }

    /// Takes those of `blocks` back that have to be read again; `done` says what libraries may keep, by its names.
    fn take_back(
        &mut self,
        blocks: Vec<(u64, Block)>,
        reading: &Reading,
        done: &Result<FxHashSet<u32>, Unreadable>,
    ) {
        let Some(live) = &mut self.live else {
            return;
        };
        let named: FxHashMap<u64, u32> = reading.blocks.iter().copied().collect();
        let may_be_kept = done.as_ref().ok();
        let changes = |number: &u32| {
            let name = reading.names.get(*number as usize);
            // A deque comes to have more blocks.
            name.is_some_and(|name| {
                may_change(name.trim_end_matches(FREE_LIST)) || name == python::DEQUE
            }) || may_be_kept.is_some_and(|names| names.contains(number))
        };
        for (address, block) in blocks {
            match (named.get(&address), done) {
                // Another object may come to lie there, or none. What an interpreter that has ended takes
                // apart tells nothing any more.
                (Some(name), _) if !self.ends && changes(name) => live.may_change(address, block),
                (Some(_), _) => {}
                (None, Ok(_)) => live.again(address, block, self.python.is_some()),
                (None, Err(_)) => live.put_back(address, block),
            }
        }
    }
}

/// Whether the program at `path` brings the run-time part of C++ within itself.
fn may_have_classes(path: &str) -> bool {
    let file = Mapping::open(Path::new(path));
    file.is_ok_and(|bytes| memchr::memmem::find(&bytes, CLASS_MARK).is_some())
}
