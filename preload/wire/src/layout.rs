//! Where things lie in the mapping.
//!
//! ```text
//! 0              SessionHeader       one page
//! PROCESSES_AT   ProcessSlot × PROCESS_SLOTS
//! LANES_AT       LaneHeader × lanes of all classes
//! then           the lanes' words, class by class, each lane page aligned
//! ```
//! The recorder makes the mapping and fills the header; a target checks it before use.

use core::sync::atomic::{AtomicU32, AtomicU64};

use crate::names::Names;
use crate::record::MAX_WORDS;

/// First word of the mapping.
pub const MAGIC: u64 = u64::from_le_bytes(*b"leakwire");
/// Alignment of the parts of the mapping, bytes.
pub const PAGE: usize = 4096;
/// How many processes may live at once in a session.
pub const PROCESS_SLOTS: usize = 4096;
/// Offset of the process slots, bytes.
pub const PROCESSES_AT: usize = PAGE;
/// Offset of the lane headers, bytes.
pub const LANES_AT: usize = PROCESSES_AT + PROCESS_SLOTS * size_of::<ProcessSlot>();
/// Frames kept of a backtrace, at most.
pub const MAX_DEPTH: usize = 512;
/// The environment variable that leads an exec'd image back to its session: `NAME:IMAGE`, the name of
/// the recorder's abstract Unix socket and the number of the image that it came from.
pub const SESSION_VARIABLE: &str = "LEAK_SESSION";
/// Prefix of the name of the recorder's abstract socket and of the mapping's memfd; 32 hex digits follow.
pub const SESSION_PREFIX: &str = "libleak-";

/// What the recorder says to all targets. Written by the recorder unless said otherwise.
#[repr(C, align(4096))]
pub struct SessionHeader {
    /// [`MAGIC`].
    pub magic: AtomicU64,
    /// [`BUILD`](crate::build::BUILD). It lies here in every build, behind the magic.
    pub build: AtomicU32,
    /// Not 0: targets record nothing any more; a [`Stop`] as number.
    pub stopped: AtomicU32,
    /// Lanes of each class, largest first, see [`Geometry`].
    pub class_lanes: [AtomicU32; CLASSES],
    /// Words of a lane of each class; a power of two.
    pub class_words: [AtomicU32; CLASSES],
    /// Rises with every pass over the lanes: the recorder's sign of life.
    pub progress: AtomicU64,
    /// Futex. A target adds 1 and wakes it when a lane is half full and `recorder_sleeps` is 1.
    pub doorbell: AtomicU32,
    /// 1 while the recorder waits for `doorbell`.
    pub recorder_sleeps: AtomicU32,
    /// Pid of the recorder in its own namespace.
    pub recorder_pid: AtomicU32,
    /// What a full lane does: 0 wait, 1 drop.
    pub full: AtomicU32,
    /// Frames kept of a backtrace.
    pub depth: AtomicU32,
    /// 1: follow forked and exec'd children.
    pub follow: AtomicU32,
    /// 1: trace the Python interpreter's own allocations.
    pub python: AtomicU32,
    /// Python's collector is asked to run after so many requests; 0: never.
    pub gc_every: AtomicU32,
    /// Not 0: no notices on stderr. The recorder stores 1 for `LEAK_QUIET=1`; targets add bits for
    /// what one of them has told, so that not every process of a tree tells it: 1 the end of
    /// recording, 2 an allocator that can't be seen, 4 programs that can't be traced.
    pub quiet: AtomicU32,
    /// Mean bytes between samples, 0 records every event.
    pub sample_bytes: AtomicU64,
    /// Added to by targets at each accepted connection; the value before is the connection's number.
    pub next_connection: AtomicU32,
    /// Added to by targets at each new image; the value before is the image's number. Starts at 1.
    pub next_image: AtomicU32,
    /// Added to by targets: threads that wait for a lane now. The recorder takes it to 0 with each look.
    pub lanes_wanted: AtomicU32,
    /// Futex. Rises with each look of the recorder for lanes that are wanted, or could be had again; those who wait are
    /// woken.
    pub lanes_looked: AtomicU32,
    /// 1: all lanes there can be are in use.
    pub lanes_scarce: AtomicU32,
    /// For each class, where the first free lane may lie, counted from the class's first: a hint.
    pub first_free: [AtomicU32; CLASSES],
    /// Added to by targets: allocations (and reallocations) of threads for which no lane was to be had.
    pub laneless_allocations: AtomicU64,
    /// The same of frees.
    pub laneless_frees: AtomicU64,
    /// The same of other events.
    pub laneless_facts: AtomicU64,
    /// Added to by targets: processes that found no slot and so are not traced.
    pub slotless_processes: AtomicU64,
    /// The processor's tick at which the session started: ticks count from there.
    pub first_tick: AtomicU64,
    /// Paths of libraries that call the C library's malloc or free directly ([`warning::BYPASSED`]).
    pub bypassing: Names,
    /// Names of the request headers whose values are recorded, lower case; see [`headers`].
    pub headers: Names,
    /// The last stamp taken, by any target or the recorder; see [`crate::order`].
    pub epoch: Line<AtomicU64>,
}

/// What is recorded of request headers, at most.
pub mod headers {
    /// Names.
    pub const MOST: usize = 8;
    /// Bytes of a name.
    pub const NAME: usize = 64;
    /// Bytes of all names, each with the byte behind it.
    pub const NAMES: usize = MOST * (NAME + 1);
}

/// A cache line of its own.
#[repr(C, align(64))]
pub struct Line<T>(pub T);

/// Why recording has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stop {
    /// The recorder left.
    RecorderGone = 1,
    /// `LEAK_MAX_TRACE` is reached.
    Limit = 2,
    /// The disk is full, or the trace can't be written.
    Disk = 3,
    /// Somebody asked for it: `leak-analyze stop`.
    Asked = 4,
}

/// One program image of one process. Claimed and filled by the target; ended by the recorder.
#[repr(C, align(64))]
pub struct ProcessSlot {
    /// [`claim`]: 0 free; low half a state, high half the pid that made it so.
    pub claim: AtomicU64,
    /// The interpreter's version as `PY_VERSION_HEX`, or 0.
    pub python_version: AtomicU32,
    /// How it came to be: 0 first, 1 fork, 2 exec.
    pub origin: AtomicU32,
    /// The stamp from which it exists; for a fork taken by the parent's thread before the call.
    pub start: AtomicU64,
    /// The image's number: from `SessionHeader::next_image`, never reused within a session.
    pub image: AtomicU32,
    /// The exit status plus 1, 0: not told.
    pub exit: AtomicU32,
    /// The image that forked this one, spawned it, or that was this process before exec; 0 for the first.
    pub parent_image: AtomicU32,
    /// Bits of [`warning`]: what this image could not trace.
    pub warnings: AtomicU32,
    /// `_PyRuntime`'s address, or 0: no interpreter was seen. Release, after the two others; pairs
    /// with the recorder's Acquire.
    pub python_runtime: AtomicU64,
    /// `PyType_Type`'s address, or 0 where the objects' layout is not known (unknown versions,
    /// free-threaded builds).
    pub python_type: AtomicU64,
    /// Futex: [`reading::WANTED`] while the process waits for the recorder to read the types of its
    /// blocks; the recorder makes it [`reading::NONE`] and wakes it.
    pub reading: AtomicU32,
    /// Room for later versions.
    pub reserved: AtomicU32,
}

/// Bits of `ProcessSlot::warnings`.
pub mod warning {
    /// The executable brings its own allocator, whose calls don't reach libleak.
    pub const OWN_ALLOCATOR: u32 = 1;
    /// Another library before libleak defines malloc.
    pub const PRELOADED_ALLOCATOR: u32 = 1 << 1;
    /// The interpreter's version is unknown: native only.
    pub const PYTHON_UNKNOWN: u32 = 1 << 3;
    /// The program installed a filter for system calls: its new threads and children are not traced.
    pub const CONFINED: u32 = 1 << 4;
    /// An allocator after libleak brings C++ operators, whose calls don't reach libleak.
    pub const OWN_OPERATORS: u32 = 1 << 5;
    /// The executable's own allocator, or one preloaded before libleak, is traced by detours.
    pub const DETOURED: u32 = 1 << 6;
    /// The interpreter is a free-threaded build: native only.
    pub const PYTHON_FREE_THREADED: u32 = 1 << 7;
    /// It ran programs (or tried to) from where the library can't be read.
    pub const UNREACHABLE: u32 = 1 << 8;
    /// It ran programs (or tried to) into which the loader loads nothing, as their user's rights are not their own.
    pub const BORROWED_RIGHTS: u32 = 1 << 9;
    /// Libraries of it called the C library's malloc or free directly.
    pub const BYPASSED: u32 = 1 << 10;
}

/// Values of `ProcessSlot::reading`.
pub mod reading {
    /// Nobody waits.
    pub const NONE: u32 = 0;
    /// The process waits for its last reading.
    pub const WANTED: u32 = 1;
    /// It waited in vain and goes on: what is live may be taken apart.
    pub const LEFT: u32 = 2;
}

/// States of a claim (the low half of `ProcessSlot::claim` and `LaneHeader::claim`; the high half is
/// the pid that claimed, as it sees itself, so that a claimer that dies half-way can be told).
pub mod claim {
    /// A lane whose words are not allocated yet.
    pub const ABSENT: u32 = 0;
    /// May be claimed (for a process slot, `ABSENT` may be, too).
    pub const FREE: u32 = 1;
    /// Being filled.
    pub const CLAIMED: u32 = 2;
    /// In use.
    pub const LIVE: u32 = 3;
    /// Its thread or process is gone; the recorder drains the rest and makes it free.
    pub const GONE: u32 = 4;

    /// Packs a state and a pid.
    pub const fn pack(state: u32, pid: u32) -> u64 {
        state as u64 | (pid as u64) << 32
    }

    /// The state of a packed claim.
    pub const fn state(packed: u64) -> u32 {
        packed as u32
    }

    /// The pid of a packed claim.
    pub const fn pid(packed: u64) -> u32 {
        (packed >> 32) as u32
    }
}

/// One lane. Four cache lines: who has it, the producer's, the consumer's, loss.
#[repr(C, align(256))]
pub struct LaneHeader {
    /// [`claim`].
    pub claim: AtomicU64,
    /// Index of the process slot that owns it.
    pub process: AtomicU32,
    /// Kernel thread id of the producer.
    pub thread: AtomicU32,
    /// Rises with every claim.
    pub generation: AtomicU32,
    /// `ProcessSlot::image` of the claimer: whose events these are.
    pub image: AtomicU32,
    /// Stamp of the claim.
    pub start: AtomicU64,
    /// Up to the line's end.
    pub pad0: [AtomicU64; 4],
    /// Words written since the claim. Producer: Release after the words; pairs with the recorder's Acquire.
    pub head: AtomicU64,
    /// Up to the line's end.
    pub pad1: [AtomicU64; 7],
    /// Words drained since the claim. Recorder: Release after copying; pairs with the producer's Acquire.
    pub tail: AtomicU64,
    /// Futex: the recorder adds 1 and wakes it after draining when `waiting` is 1.
    pub room: AtomicU32,
    /// 1 while the producer waits for room.
    pub waiting: AtomicU32,
    /// Up to the line's end.
    pub pad2: [AtomicU64; 6],
    /// Allocations (and reallocations) that were not recorded.
    pub dropped_allocations: AtomicU64,
    /// Frees that were not recorded.
    pub dropped_frees: AtomicU64,
    /// Other events that were not recorded.
    pub dropped_facts: AtomicU64,
    /// Nanoseconds that the producer waited for room.
    pub waited_ns: AtomicU64,
    /// Up to the line's end.
    pub pad3: [AtomicU64; 4],
}

const _: () = assert!(size_of::<SessionHeader>() == PAGE);
const _: () = assert!(size_of::<ProcessSlot>() == 64);
const _: () = assert!(size_of::<LaneHeader>() == 256);
const _: () = assert!(LANES_AT.is_multiple_of(PAGE));

/// Lanes come in this many sizes.
pub const CLASSES: usize = 4;

/// Bytes of the smallest lanes: a record and what places it fit in whole.
const SMALLEST: u64 = 8 << 10;
const _: () = assert!(MAX_WORDS < SMALLEST as usize / 8);

/// How many lanes there are and where each lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Lanes of each class, largest lanes first.
    pub lanes: [u32; CLASSES],
    /// Words of a lane of each class; a power of two, a page at least.
    pub words: [u32; CLASSES],
}

impl Geometry {
    /// The smallest budget, bytes: below it there is no lane of use.
    pub const MIN_BUDGET: u64 = 4 << 20;
    /// The largest budget, bytes.
    pub const MAX_BUDGET: u64 = 64 << 30;

    /// The geometry for a budget of bytes (clamped to the limits): half of it in lanes of 1 MiB, an eighth each in
    /// lanes of 128 KiB and 32 KiB, and a quarter in lanes of 8 KiB, for programs with thousands of threads.
    pub fn for_budget(bytes: u64) -> Geometry {
        let budget = bytes.clamp(Self::MIN_BUDGET, Self::MAX_BUDGET);
        let sizes: [u64; CLASSES] = [1 << 20, 128 << 10, 32 << 10, SMALLEST];
        let shares = [budget / 2, budget / 8, budget / 8, budget / 4];
        let mut geometry = Geometry {
            lanes: [0; CLASSES],
            words: [0; CLASSES],
        };
        for class in 0..CLASSES {
            geometry.lanes[class] = (shares[class] / sizes[class]).min(1 << 16) as u32;
            geometry.words[class] = (sizes[class] / 8) as u32;
        }
        geometry
    }

    /// The geometry that a header tells, or `None` where it can't be (hostile or of another version).
    pub fn checked(lanes: [u32; CLASSES], words: [u32; CLASSES]) -> Option<Geometry> {
        let plausible = lanes.iter().all(|count| *count <= 1 << 16)
            && words.iter().all(|count| {
                count.is_power_of_two() && (PAGE as u32 / 8..=1 << 24).contains(count)
            })
            && lanes.iter().any(|count| *count > 0);
        plausible.then_some(Geometry { lanes, words })
    }

    /// Lanes of all classes.
    pub fn lane_count(&self) -> usize {
        self.lanes.iter().map(|count| *count as usize).sum()
    }

    /// For each class, the index of its first lane and how many it has.
    pub fn classes(&self) -> [(usize, usize); CLASSES] {
        let mut first = 0;
        self.lanes.map(|count| {
            let class = (first, count as usize);
            first += class.1;
            class
        })
    }

    /// Words and byte offset of the lane `index`, or `None` past the last.
    pub fn lane(&self, index: usize) -> Option<(usize, usize)> {
        let mut offset = self.lanes_data_at();
        let mut before = 0;
        for class in 0..CLASSES {
            let (count, words) = (self.lanes[class] as usize, self.words[class] as usize);
            if index < before + count {
                return Some((words, offset + (index - before) * words * 8));
            }
            before += count;
            offset += count * words * 8;
        }
        None
    }

    /// Bytes of the whole mapping.
    pub fn total_bytes(&self) -> usize {
        let words: usize = (0..CLASSES)
            .map(|class| self.lanes[class] as usize * self.words[class] as usize)
            .sum();
        self.lanes_data_at() + words * 8
    }

    fn lanes_data_at(&self) -> usize {
        (LANES_AT + self.lane_count() * size_of::<LaneHeader>()).next_multiple_of(PAGE)
    }
}

#[cfg(test)]
mod tests;
