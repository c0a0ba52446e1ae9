//! `LEAK_KEEP=lasting`: blocks that pass are counted, not written.
//!
//! A *run* is what one thread did between two entries that order it: facts, epochs, turns and stamps. No other
//! thread's fact lies within one, and no other thread's event at the addresses of its own regions. So a block
//! that was allocated and freed within a run outlived nothing, and of it only counts are left to tell:
//!
//! - how many there were at each call site, and their bytes, at the run's begin;
//! - how far live bytes rose by them, where they rose highest: the peak has to stay what it was.
//!
//! A pair is left out only where the block's address was free before, as the run's thread saw it: else the
//! allocation tells that the end of what lay there was missed.

use leak_wire::Event;
use rustc_hash::FxHashMap;

use super::columns::{At, Columns};

/// Events that are held back, at most.
const MOST: usize = 2048;
/// Addresses whose state is known, a power of two.
const PLACES: usize = 4096;

/// What a thread's last event at an address tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing.
    #[default]
    Unknown,
    /// There is no block.
    Free,
    /// There is one, held as this entry of this run.
    Live { run: u32, index: u16 },
}

/// An event that is held back.
#[derive(Clone, Copy, Debug)]
enum Held {
    Allocation {
        address: u64,
        size: u64,
        site: u32,
        /// The address was free before, as this thread saw it.
        sole: bool,
    },
    Free {
        address: u64,
        known: Option<u64>,
    },
    Begin {
        address: u64,
    },
    End {
        address: u64,
        size: u64,
        site: u32,
    },
    Failed,
    Freed,
    /// An allocation that is only counted.
    Came {
        size: u64,
        site: u32,
    },
    /// Its free.
    Went {
        size: u64,
    },
}

/// Blocks of one call site that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) site: u32,
    pub(super) blocks: u64,
    pub(super) bytes: u64,
}

/// The run that one thread is in.
#[derive(Debug, Default)]
pub(super) struct Run {
    number: u32,
    held: Vec<Held>,
    places: Vec<(u64, State)>,
    /// Blocks have passed in this run.
    passed: bool,
    sums: Vec<Sum>,
    sites: FxHashMap<u32, u32>,
    /// After which held event live bytes are higher by how much than what is written tells.
    peaks: Vec<(usize, u64)>,
}

impl Run {
    /// Whether nothing is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether it has to end before more is held.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= MOST
    }

    /// Holds an event of memory back; `false`: it is another one, or has its own place among other threads'.
    #[inline]
    pub(super) fn hold(&mut self, at: At, event: &Event<'_>) -> bool {
        if at != At::Epoch {
            return false;
        }
        match *event {
            Event::Allocation {
                address,
                size,
                site,
            } => self.allocation(address, size, site),
            Event::Free { address } => self.free(address),
            Event::ReallocationBegin { address } => {
                *self.place(address) = (address, State::Unknown);
                self.held.push(Held::Begin { address });
            }
            Event::ReallocationEnd {
                address,
                size,
                site,
            } => {
                *self.place(address) = (address, State::Unknown);
                self.held.push(Held::End {
                    address,
                    size,
                    site,
                });
            }
            Event::ReallocationFailed => self.held.push(Held::Failed),
            Event::ReallocationFreed => self.held.push(Held::Freed),
            _ => return false,
        }
        true
    }

    /// The run has ended, and this is written behind it: if it is an event of memory, others may have some there.
    pub(super) fn forget(&mut self, event: &Event<'_>) {
        if let Event::Allocation { address, .. }
        | Event::Free { address }
        | Event::ReallocationBegin { address }
        | Event::ReallocationEnd { address, .. } = *event
        {
            *self.place(address) = (address, State::Unknown);
        }
    }

    fn place(&mut self, address: u64) -> &mut (u64, State) {
        if self.places.is_empty() {
            self.places.resize(PLACES, (0, State::Unknown));
        }
        // Fibonacci hashing (Knuth, volume 3, 6.4).
        let hash = (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &mut self.places[(hash >> (u64::BITS - PLACES.ilog2())) as usize]
    }

    #[inline]
    fn allocation(&mut self, address: u64, size: u64, site: u32) {
        let (run, index) = (self.number, self.held.len() as u16);
        let place = self.place(address);
        let sole = *place == (address, State::Free);
        *place = (address, State::Live { run, index });
        self.held.push(Held::Allocation {
            address,
            size,
            site,
            sole,
        });
    }

    #[inline]
    fn free(&mut self, address: u64) {
        let run = self.number;
        let place = self.place(address);
        let before = std::mem::replace(place, (address, State::Free));
        let mut known = None;
        if let (there, State::Live { run: of, index }) = before
            && there == address
            && of == run
            && let Some(held) = self.held.get_mut(usize::from(index))
            && let Held::Allocation {
                address: same,
                size,
                site,
                sole,
            } = *held
            && same == address
        {
            if sole {
                *held = Held::Came { size, site };
                self.held.push(Held::Went { size });
                self.passed = true;
                return;
            }
            known = Some(size);
        }
        self.held.push(Held::Free { address, known });
    }

    /// The run ends: writes what is left of it.
    pub(super) fn end(&mut self, columns: &mut Columns) {
        if self.passed {
            self.count();
            self.sums.iter().for_each(|sum| columns.passed(*sum));
            self.find_peaks();
        }
        let mut peaks = self.peaks.iter().peekable();
        for (index, held) in self.held.iter().enumerate() {
            if let Some(event) = held.event() {
                columns.push(At::Epoch, event);
            }
            if let Some((_, rise)) = peaks.next_if(|peak| peak.0 == index) {
                columns.peak(*rise);
            }
        }
        self.held.clear();
        self.sums.clear();
        self.sites.clear();
        self.peaks.clear();
        self.passed = false;
        self.number = self.number.wrapping_add(1);
    }

    fn count(&mut self) {
        for held in &self.held {
            let Held::Came { size, site } = *held else {
                continue;
            };
            let next = self.sums.len() as u32;
            let index = *self.sites.entry(site).or_insert(next);
            if index == next {
                self.sums.push(Sum {
                    site,
                    blocks: 0,
                    bytes: 0,
                });
            }
            if let Some(sum) = self.sums.get_mut(index as usize) {
                sum.blocks += 1;
                sum.bytes = sum.bytes.saturating_add(size);
            }
        }
    }

    /// Where live bytes were higher than at any written event before, and than at the run's begin. How
    /// large a block was that an older run allocated is not known here, nor what lay where one was
    /// allocated: it is taken for an empty one. So levels after its end are too high, and a peak too
    /// many is found, never one too few. Between two such ends all differences are known, and one peak
    /// is enough.
    fn find_peaks(&mut self) {
        let (mut written, mut passing) = (0_u64, 0_u64);
        let mut told = 0;
        let mut highest = (0, 0, 0);
        for (index, held) in self.held.iter().enumerate() {
            match *held {
                Held::Allocation { sole: false, .. }
                | Held::Free { known: None, .. }
                | Held::End { .. }
                | Held::Failed
                | Held::Freed => {
                    tell_peak(&mut self.peaks, &mut told, highest);
                }
                _ => {}
            }
            match *held {
                Held::Allocation { size, .. } | Held::End { size, .. } => {
                    written = written.wrapping_add(size);
                }
                Held::Free { known, .. } => written = written.wrapping_sub(known.unwrap_or(0)),
                Held::Came { size, .. } => passing = passing.wrapping_add(size),
                Held::Went { size } => passing = passing.wrapping_sub(size),
                Held::Begin { .. } | Held::Failed | Held::Freed => {}
            }
            let level = written.wrapping_add(passing);
            if passing == 0 {
                told = level.max(told);
            } else if level > highest.2 {
                highest = (index, passing, level);
            }
        }
        tell_peak(&mut self.peaks, &mut told, highest);
    }
}

/// Adds the peak at an index, with its rise and level, if it is higher than all that was told.
fn tell_peak(peaks: &mut Vec<(usize, u64)>, told: &mut u64, (at, rise, level): (usize, u64, u64)) {
    if level > *told {
        *told = level;
        peaks.push((at, rise));
    }
}

impl Held {
    /// The event that is written.
    #[inline]
    fn event(&self) -> Option<Event<'static>> {
        Some(match *self {
            Held::Allocation {
                address,
                size,
                site,
                ..
            } => Event::Allocation {
                address,
                size,
                site,
            },
            Held::Free { address, .. } => Event::Free { address },
            Held::Begin { address } => Event::ReallocationBegin { address },
            Held::End {
                address,
                size,
                site,
            } => Event::ReallocationEnd {
                address,
                size,
                site,
            },
            Held::Failed => Event::ReallocationFailed,
            Held::Freed => Event::ReallocationFreed,
            Held::Came { .. } | Held::Went { .. } => return None,
        })
    }
}
