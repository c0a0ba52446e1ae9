//! Gathers events into the columns of a chunk.

mod blocks;
mod rare;

use std::ops::Range;

use leak_wire::{Bytes, Event, Order};

use super::filling::Filling;
use super::{
    ADDRESSES, At, COLUMNS, FRAMES, KINDS, NUMBERS, Previous, SITES, SIZES, STAMPS, TEXT, TURNS,
    kind,
};
use crate::trace::passed::Sum;
use crate::trace::varint::{put, zigzag};

/// How an address is coded that comes after `previous`.
#[inline(always)]
fn address_coded(previous: u64, address: u64) -> u64 {
    let step = address.wrapping_sub(previous) as i64;
    // Blocks lie 16 bytes apart as a rule: four bits less, and one bit that says so.
    match step & 15 {
        0 => zigzag(step >> 4) << 1,
        _ => zigzag(step) << 1 | 1,
    }
}

/// How a turn is coded that comes after `last` of its shard, and becomes the last.
#[inline(always)]
fn turn_coded(last: &mut u64, turn: u64) -> u64 {
    let step = turn.wrapping_sub(*last) as i64;
    *last = turn;
    zigzag(step)
}

/// Events being gathered for a chunk.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    columns: [Filling; COLUMNS],
    previous: Previous,
    count: u32,
    events: u32,
    first: u64,
    last: u64,
    /// The epoch or stamp told last, in this chunk or an earlier one.
    epoch: u64,
}

impl Columns {
    /// How many entries there are: events, and what orders them.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// How many of them are events.
    pub(crate) fn events(&self) -> u32 {
        self.events
    }

    /// The lowest and the highest stamp or epoch.
    pub(crate) fn span(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// Bytes gathered so far, before compression.
    pub(crate) fn len(&self) -> usize {
        self.columns.iter().map(Filling::len).sum()
    }

    /// What follows happened at this epoch.
    pub(crate) fn epoch(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            // Nobody needs it before an event; another one may come first.
            if self.count > 0 {
                self.kind(kind::EPOCH);
                self.stamp(epoch);
            }
        }
    }

    /// The epoch at which the next event happened.
    #[inline]
    pub(crate) fn told_epoch(&self) -> u64 {
        self.epoch
    }

    /// Nobody has this turn.
    pub(crate) fn skip(&mut self, shard: u8, turn: u64) {
        self.start(At::Epoch);
        self.kind(kind::SKIP);
        self.columns[TURNS].number(u64::from(shard));
        self.columns[TURNS].number(turn);
    }

    /// Blocks of a call site that passed, from here on.
    pub(in crate::trace) fn passed(&mut self, sum: Sum) {
        self.start(At::Epoch);
        // An allocation and a free each.
        self.events = self.events.saturating_add(sum.blocks as u32 * 2);
        self.kind(kind::PASSED);
        self.columns[SITES].number(u64::from(sum.site));
        self.columns[SIZES].number(sum.bytes);
        self.columns[NUMBERS].number(sum.blocks);
    }

    /// Live bytes were higher by so much here, by blocks that passed.
    pub(in crate::trace) fn peak(&mut self, bytes: u64) {
        self.start(At::Epoch);
        self.kind(kind::PEAK);
        self.columns[NUMBERS].number(bytes);
    }

    fn stamp(&mut self, stamp: u64) {
        self.first = self.first.min(stamp);
        self.last = self.last.max(stamp);
        let step = stamp.wrapping_sub(self.previous.stamp) as i64;
        self.columns[STAMPS].number(zigzag(step));
        self.previous.stamp = stamp;
    }

    /// A chunk begins with a stamp, or with the epoch that holds at its begin.
    #[inline]
    fn start(&mut self, at: At) {
        if self.count == 0 {
            self.begin(at);
        }
    }

    #[cold]
    fn begin(&mut self, at: At) {
        let At::Stamp(stamp) = at else {
            (self.first, self.last) = (self.epoch, self.epoch);
            self.kind(kind::EPOCH);
            self.stamp(self.epoch);
            return;
        };
        (self.first, self.last) = (stamp, stamp);
    }

    fn free(&mut self, at: At, address: u64) {
        if at == At::Epoch && self.previous.address == address && self.is_brief() {
            self.events += 1;
            return;
        }
        let flag = self.place(at, address);
        self.pointer(kind::FREE | flag, address);
    }

    /// Makes the last entry, if it is an allocation that is alone at its address, one of a block that is gone
    /// at once.
    fn is_brief(&mut self) -> bool {
        match self.columns[KINDS].last_mut() {
            Some(last) if *last == kind::ALLOCATION => {
                *last = kind::BRIEF;
                true
            }
            _ => false,
        }
    }

    /// Where the next event, about the block at `address`, has its place; the flag that its kind has by that.
    fn place(&mut self, at: At, address: u64) -> u8 {
        self.start(at);
        self.events += 1;
        match at {
            At::Epoch => 0,
            At::Stamp(stamp) => {
                self.epoch = stamp;
                self.stamp(stamp);
                kind::WITH_STAMP
            }
            At::Turn(turn) => {
                let coded = turn_coded(self.previous.turn(address), turn);
                self.columns[TURNS].number(coded);
                kind::WITH_TURN
            }
        }
    }

    /// Adds an event. A fact needs a stamp; what has its place only in the lane never has one.
    #[inline]
    pub(crate) fn push(&mut self, at: At, event: Event<'_>) {
        if let Event::Free { address } = event {
            return self.free(at, address);
        }
        let order = event.order();
        let (at, address) = match (order, at) {
            (Order::Block(address), at) => (at, address),
            (Order::Lane, _) => (At::Epoch, 0),
            (Order::Fact, At::Stamp(stamp)) => (At::Stamp(stamp), 0),
            (Order::Fact, _) => (At::Stamp(self.epoch), 0),
        };
        let flag = self.place(at, address);
        self.event(event);
        // Only blocks are told by three kinds of place.
        if let (Order::Block(_), Some(kind)) = (order, self.columns[KINDS].last_mut()) {
            *kind |= flag;
        }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Allocation {
                address,
                size,
                site,
            } => self.block(kind::ALLOCATION, address, size, site),
            Event::ReallocationEnd {
                address,
                size,
                site,
            } => self.block(kind::REALLOCATION_END, address, size, site),
            Event::ReallocationBegin { address } => self.pointer(kind::REALLOCATION_BEGIN, address),
            Event::Frame {
                id,
                parent,
                address,
            } => self.frame(id, parent, address),
            other => self.rare(other),
        }
    }

    #[inline(always)]
    fn kind(&mut self, kind: u8) {
        self.count += 1;
        self.columns[KINDS].byte(kind);
    }

    #[inline(always)]
    fn pointer(&mut self, kind: u8, address: u64) {
        self.kind(kind);
        self.columns[ADDRESSES].number(address_coded(self.previous.address, address));
        self.previous.address = address;
    }

    #[inline(always)]
    fn block(&mut self, kind: u8, address: u64, size: u64, site: u32) {
        self.pointer(kind, address);
        self.columns[SIZES].number(size);
        self.columns[SITES].number(u64::from(site));
    }

    fn frame(&mut self, id: u32, parent: u32, address: u64) {
        self.node(kind::FRAME, id, &[parent]);
        let step = address.wrapping_sub(self.previous.frame) as i64;
        self.columns[FRAMES].number(zigzag(step));
        self.previous.frame = address;
    }

    /// A node of the tree, and the nodes that it refers to.
    fn node(&mut self, kind: u8, id: u32, others: &[u32]) {
        self.kind(kind);
        let past = |from: u32| zigzag(i64::from(id) - i64::from(from));
        let column = &mut self.columns[FRAMES];
        column.number(past(self.previous.id));
        others.iter().for_each(|other| column.number(past(*other)));
        self.previous.id = id;
    }

    fn numbers(&mut self, kind: u8, numbers: &[u64]) {
        self.kind(kind);
        numbers
            .iter()
            .for_each(|number| self.columns[NUMBERS].number(*number));
    }

    fn text(&mut self, bytes: Bytes<'_>) {
        self.columns[NUMBERS].number(bytes.len() as u64);
        let mut room = self.columns[TEXT].room(bytes.len());
        bytes.iter().for_each(|byte| room.byte(byte));
    }

    /// Appends the chunk's bytes to `out`, of which it gives where the columns lie, and starts anew.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) -> [Range<usize>; COLUMNS] {
        for column in &self.columns {
            put(out, column.len() as u64);
        }
        let places = self.columns.each_mut().map(|column| {
            let start = out.len();
            column.take(out);
            start..out.len()
        });
        self.previous = Previous::default();
        self.count = 0;
        self.events = 0;
        places
    }
}
