//! A call site's history over slices of the requests, or of the time, that could have reached it.

use crate::ledger::SLICES;
use crate::sample::{Amount, Sample};

/// What a series is cut by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Requests, in the order of their ends.
    #[default]
    Requests,
    /// Equal parts of the serving time; "requests" are then slices.
    Time,
}

/// A call site's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// What it is cut by.
    pub unit: Unit,
    /// How its blocks were counted.
    pub sample: Sample,
    /// Processes that it is the sum of.
    pub processes: u64,
    /// Requests in the sequence: those that were read and answered together are one.
    pub judged: u64,
    /// How many they are one by one.
    pub served: u64,
    /// Of them, those that retained blocks here.
    pub retaining: u64,
    /// Of those, the ones after the first quarter.
    pub retaining_late: u64,
    /// Live bytes here at the end of each slice.
    pub live_bytes: [u64; SLICES],
    /// Bytes retained by the requests of each slice.
    pub retained_bytes: [u64; SLICES],
    /// Survivors.
    pub survivor_blocks: u64,
    /// Bytes of survivors of requests before the last slice.
    pub older_survivor_bytes: u64,
    /// Survivors still live when serving ended.
    pub retained_blocks: u64,
    /// Blocks that came by realloc.
    pub reallocations: u64,
    /// Blocks born before serving began (for time).
    pub before_blocks: u64,
    /// How many requests can be the newest of their kind: as many as there were at once.
    pub newest: u64,
}

impl Series {
    /// Bytes retained by requests before the last slice.
    pub fn older_retained_bytes(&self) -> u64 {
        self.retained_bytes[..SLICES - 1].iter().sum()
    }

    /// How many blocks, about, were recorded of what is retained.
    pub fn drawn(&self) -> u64 {
        self.sample.drawn(Amount {
            blocks: self.retained_blocks,
            bytes: self.retained_bytes.iter().sum(),
        })
    }

    /// Of a part of the site's requests little is known but what they retained and how many blocks
    /// survived them: so it is judged by that.
    pub fn only_retained(&mut self, survivor_blocks: u64) {
        self.survivor_blocks = survivor_blocks;
        self.older_survivor_bytes = self.older_retained_bytes();
        self.reallocations = 0;
        let mut live = 0;
        for (slice, retained) in self.retained_bytes.iter().enumerate() {
            live += retained;
            self.live_bytes[slice] = live;
        }
    }

    /// Takes in another process's.
    pub fn add(&mut self, other: &Series) {
        self.unit = other.unit;
        self.sample = other.sample;
        self.processes += other.processes;
        self.judged += other.judged;
        self.served += other.served;
        self.retaining += other.retaining;
        self.retaining_late += other.retaining_late;
        for slice in 0..SLICES {
            self.live_bytes[slice] += other.live_bytes[slice];
            self.retained_bytes[slice] += other.retained_bytes[slice];
        }
        self.survivor_blocks += other.survivor_blocks;
        self.older_survivor_bytes += other.older_survivor_bytes;
        self.retained_blocks += other.retained_blocks;
        self.reallocations += other.reallocations;
        self.before_blocks += other.before_blocks;
        self.newest += other.newest;
    }
}
