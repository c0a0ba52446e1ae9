//! The events of one thread as columns, each of one sort of number, so that neighbours are alike and
//! differences small. A compressor does the rest.
//!
//! Every chunk stands for itself: all differences start from 0 at its start.

use leak_wire::order::{SHARDS, shard};
use leak_wire::{Asked, Bytes, Event, Order, Protocol, Transfer, Unseen, Wait};

use super::Passed;
use super::passed::Sum;
use super::varint::{Bad, Column, put, unzigzag, zigzag};

/// How many columns there are; see FORMAT.md for what each holds.
const COLUMNS: usize = 9;
const KINDS: usize = 0;
const STAMPS: usize = 1;
const ADDRESSES: usize = 2;
const SIZES: usize = 3;
const SITES: usize = 4;
const FRAMES: usize = 5;
const NUMBERS: usize = 6;
const TEXT: usize = 7;
const TURNS: usize = 8;
/// Columns of version 1, which has no turns.
const COLUMNS_1: usize = 8;

/// The kinds of events in the file.
mod kind {
    pub(super) const ALLOCATION: u8 = 1;
    pub(super) const FREE: u8 = 2;
    pub(super) const REALLOCATION_BEGIN: u8 = 3;
    pub(super) const REALLOCATION_END: u8 = 4;
    pub(super) const REALLOCATION_FAILED: u8 = 5;
    pub(super) const REALLOCATION_FREED: u8 = 6;
    pub(super) const FRAME: u8 = 7;
    pub(super) const TREE_RESET: u8 = 8;
    pub(super) const MODULE_LOADED: u8 = 9;
    pub(super) const MODULE_UNLOADED: u8 = 10;
    pub(super) const EXEC: u8 = 11;
    pub(super) const EXEC_FAILED: u8 = 12;
    pub(super) const EXIT: u8 = 13;
    pub(super) const ACCEPT: u8 = 14;
    pub(super) const ENTER: u8 = 15;
    pub(super) const TRANSFERRED: u8 = 16;
    pub(super) const REQUEST_BEGUN: u8 = 17;
    pub(super) const REQUEST: u8 = 18;
    pub(super) const ANSWER: u8 = 19;
    pub(super) const UPGRADED: u8 = 20;
    pub(super) const UNSEEN: u8 = 21;
    pub(super) const CLOSE: u8 = 22;
    pub(super) const MARK_BEGIN: u8 = 23;
    pub(super) const MARK_END: u8 = 24;
    pub(super) const MARK: u8 = 25;
    pub(super) const THREAD_END: u8 = 26;
    pub(super) const PYTHON_FRAME: u8 = 27;
    pub(super) const PAIR: u8 = 28;
    pub(super) const PYTHON_CODE: u8 = 29;
    pub(super) const PYTHON_LINES: u8 = 30;
    pub(super) const TASK: u8 = 31;
    pub(super) const EPOCH: u8 = 32;
    pub(super) const SKIP: u8 = 33;
    pub(super) const PASSED: u8 = 34;
    pub(super) const PEAK: u8 = 35;
    /// Added to the kind of a memory event that has a turn, or a stamp.
    pub(super) const WITH_TURN: u8 = 0x40;
    pub(super) const WITH_STAMP: u8 = 0x80;
    pub(super) const FLAGS: u8 = WITH_TURN | WITH_STAMP;

    /// Whether an event of this kind is one of memory, with an address.
    pub(super) fn is_block(kind: u8) -> bool {
        (ALLOCATION..=REALLOCATION_END).contains(&kind)
    }

    /// Whether an entry of this kind begins with a stamp.
    pub(super) fn has_stamp(kind: u8) -> bool {
        match kind & !FLAGS {
            ALLOCATION..=TREE_RESET => kind & WITH_STAMP != 0,
            PYTHON_FRAME | PAIR | TASK | SKIP | PASSED | PEAK => false,
            _ => true,
        }
    }
}

/// How an event has its place among those of other threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// By its stamp: a fact, or a memory event that has one.
    Stamp(u64),
    /// By the epoch told last, and its turn in the shard of its address.
    Turn(u64),
    /// By the epoch told last.
    Epoch,
}

/// What the differences are taken from; the same on both sides.
#[derive(Clone, Copy, Debug)]
struct Previous {
    stamp: u64,
    address: u64,
    frame: u64,
    id: u32,
    turns: [u64; SHARDS],
}

impl Default for Previous {
    fn default() -> Previous {
        Previous {
            stamp: 0,
            address: 0,
            frame: 0,
            id: 0,
            turns: [0; SHARDS],
        }
    }
}

impl Previous {
    fn turn(&mut self, address: u64) -> &mut u64 {
        &mut self.turns[usize::from(shard(address))]
    }
}

/// Events being gathered for a chunk.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    columns: [Vec<u8>; COLUMNS],
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
        self.columns.iter().map(Vec::len).sum()
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
        put(&mut self.columns[TURNS], u64::from(shard));
        put(&mut self.columns[TURNS], turn);
    }

    /// Blocks of a call site that passed, from here on.
    pub(super) fn passed(&mut self, sum: Sum) {
        self.start(At::Epoch);
        // An allocation and a free each.
        self.events = self.events.saturating_add(sum.blocks as u32 * 2);
        self.kind(kind::PASSED);
        put(&mut self.columns[SITES], u64::from(sum.site));
        put(&mut self.columns[SIZES], sum.bytes);
        put(&mut self.columns[NUMBERS], sum.blocks);
    }

    /// Live bytes were higher by so much here, by blocks that passed.
    pub(super) fn peak(&mut self, bytes: u64) {
        self.start(At::Epoch);
        self.kind(kind::PEAK);
        put(&mut self.columns[NUMBERS], bytes);
    }

    fn stamp(&mut self, stamp: u64) {
        self.first = self.first.min(stamp);
        self.last = self.last.max(stamp);
        let step = stamp.wrapping_sub(self.previous.stamp) as i64;
        put(&mut self.columns[STAMPS], zigzag(step));
        self.previous.stamp = stamp;
    }

    /// A chunk begins with a stamp, or with the epoch that holds at its begin.
    fn start(&mut self, at: At) {
        if self.count > 0 {
            return;
        }
        let At::Stamp(stamp) = at else {
            (self.first, self.last) = (self.epoch, self.epoch);
            self.kind(kind::EPOCH);
            self.stamp(self.epoch);
            return;
        };
        (self.first, self.last) = (stamp, stamp);
    }

    /// Adds an allocation.
    #[inline]
    pub(crate) fn allocation(&mut self, at: At, address: u64, size: u64, site: u32) {
        let flag = self.place(at, address);
        self.block(kind::ALLOCATION | flag, address, size, site);
    }

    /// Adds a free.
    #[inline]
    pub(crate) fn free(&mut self, at: At, address: u64) {
        let flag = self.place(at, address);
        self.pointer(kind::FREE | flag, address);
    }

    /// Where the next event, about the block at `address`, has its place; the flag that its kind has by that.
    #[inline]
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
                let last = self.previous.turn(address);
                let step = turn.wrapping_sub(*last) as i64;
                *last = turn;
                put(&mut self.columns[TURNS], zigzag(step));
                kind::WITH_TURN
            }
        }
    }

    /// Adds an event. A fact needs a stamp; what has its place only in the lane never has one.
    #[inline]
    pub(crate) fn push(&mut self, at: At, event: Event<'_>) {
        let order = event.order();
        let (at, address) = match (order, at) {
            (Order::Block(address), at) => (at, address),
            (Order::Lane, _) => (At::Epoch, 0),
            (Order::Fact, At::Stamp(stamp)) => (At::Stamp(stamp), 0),
            (Order::Fact, _) => (At::Stamp(self.epoch), 0),
        };
        let flag = self.place(at, address);
        let entry = self.columns[KINDS].len();
        self.event(event);
        // Only blocks are told by three kinds of place.
        if let (Order::Block(_), Some(kind)) = (order, self.columns[KINDS].get_mut(entry)) {
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
            Event::Free { address } => self.pointer(kind::FREE, address),
            Event::ReallocationBegin { address } => self.pointer(kind::REALLOCATION_BEGIN, address),
            Event::Frame {
                id,
                parent,
                address,
            } => self.frame(id, parent, address),
            other => self.rare(other),
        }
    }

    fn kind(&mut self, kind: u8) {
        self.count += 1;
        self.columns[KINDS].push(kind);
    }

    fn pointer(&mut self, kind: u8, address: u64) {
        self.kind(kind);
        let step = address.wrapping_sub(self.previous.address) as i64;
        // Blocks lie 16 bytes apart as a rule: four bits less, and one bit that says so.
        let coded = match step & 15 {
            0 => zigzag(step >> 4) << 1,
            _ => zigzag(step) << 1 | 1,
        };
        put(&mut self.columns[ADDRESSES], coded);
        self.previous.address = address;
    }

    fn block(&mut self, kind: u8, address: u64, size: u64, site: u32) {
        self.pointer(kind, address);
        put(&mut self.columns[SIZES], size);
        put(&mut self.columns[SITES], u64::from(site));
    }

    fn frame(&mut self, id: u32, parent: u32, address: u64) {
        self.node(kind::FRAME, id, &[parent]);
        let step = address.wrapping_sub(self.previous.frame) as i64;
        put(&mut self.columns[FRAMES], zigzag(step));
        self.previous.frame = address;
    }

    /// A node of the tree, and the nodes that it refers to.
    fn node(&mut self, kind: u8, id: u32, others: &[u32]) {
        self.kind(kind);
        let past = |from: u32| zigzag(i64::from(id) - i64::from(from));
        let column = &mut self.columns[FRAMES];
        put(column, past(self.previous.id));
        others.iter().for_each(|other| put(column, past(*other)));
        self.previous.id = id;
    }

    fn numbers(&mut self, kind: u8, numbers: &[u64]) {
        self.kind(kind);
        numbers
            .iter()
            .for_each(|number| put(&mut self.columns[NUMBERS], *number));
    }

    fn text(&mut self, bytes: Bytes<'_>) {
        put(&mut self.columns[NUMBERS], bytes.len() as u64);
        self.columns[TEXT].extend(bytes.iter());
    }

    fn rare(&mut self, event: Event<'_>) {
        match event {
            Event::Allocation { .. }
            | Event::ReallocationEnd { .. }
            | Event::Free { .. }
            | Event::ReallocationBegin { .. }
            | Event::Frame { .. } => {}
            Event::ReallocationFailed => self.kind(kind::REALLOCATION_FAILED),
            Event::ReallocationFreed => self.kind(kind::REALLOCATION_FREED),
            Event::TreeReset => self.kind(kind::TREE_RESET),
            Event::Task { task } => self.numbers(kind::TASK, &[task]),
            Event::ModuleLoaded {
                start,
                end,
                bias,
                path,
            } => {
                self.numbers(kind::MODULE_LOADED, &[start, end, bias]);
                self.text(path);
            }
            Event::ModuleUnloaded { start } => self.numbers(kind::MODULE_UNLOADED, &[start]),
            Event::Exec => self.kind(kind::EXEC),
            Event::ExecFailed => self.kind(kind::EXEC_FAILED),
            Event::Exit { code } => self.numbers(kind::EXIT, &[code.into()]),
            Event::Accept { connection, local } => {
                self.numbers(kind::ACCEPT, &[connection.into()]);
                self.text(local);
            }
            Event::Enter { wait, connection } => {
                self.numbers(kind::ENTER, &[wait as u64, connection.into()]);
            }
            Event::Transferred {
                connection,
                transfer,
                bytes,
            } => self.numbers(
                kind::TRANSFERRED,
                &[connection.into(), transfer as u64, bytes],
            ),
            Event::RequestBegun { connection } => {
                self.numbers(kind::REQUEST_BEGUN, &[connection.into()]);
            }
            Event::Request {
                connection,
                count,
                protocol,
                label,
            } => {
                let numbers = [connection.into(), count.into(), protocol as u64];
                self.numbers(kind::REQUEST, &numbers);
                self.text(label);
            }
            Event::Answer {
                connection,
                count,
                status,
            } => self.numbers(
                kind::ANSWER,
                &[connection.into(), count.into(), status.into()],
            ),
            Event::Upgraded { connection } => self.numbers(kind::UPGRADED, &[connection.into()]),
            Event::Unseen { connection, reason } => {
                self.numbers(kind::UNSEEN, &[connection.into(), reason as u64]);
            }
            Event::Close { connection } => self.numbers(kind::CLOSE, &[connection.into()]),
            Event::MarkBegin { label } => {
                self.kind(kind::MARK_BEGIN);
                self.text(label);
            }
            Event::MarkEnd => self.kind(kind::MARK_END),
            Event::Mark { label } => {
                self.kind(kind::MARK);
                self.text(label);
            }
            Event::ThreadEnd => self.kind(kind::THREAD_END),
            Event::PythonFrame { .. }
            | Event::Pair { .. }
            | Event::PythonCode { .. }
            | Event::PythonLines { .. } => self.python(event),
        }
    }

    fn python(&mut self, event: Event<'_>) {
        match event {
            Event::PythonFrame {
                id,
                parent,
                code,
                instruction,
            } => {
                self.node(kind::PYTHON_FRAME, id, &[parent]);
                put(&mut self.columns[NUMBERS], code.into());
                put(&mut self.columns[NUMBERS], instruction.into());
            }
            Event::Pair {
                id,
                native,
                python,
                asked,
            } => {
                self.node(kind::PAIR, id, &[native, python]);
                put(&mut self.columns[NUMBERS], asked as u64);
            }
            Event::PythonCode {
                code,
                first_line,
                version,
                text,
            } => {
                let numbers = [code.into(), first_line.into(), version.into()];
                self.numbers(kind::PYTHON_CODE, &numbers);
                self.text(text);
            }
            Event::PythonLines {
                code,
                offset,
                bytes,
            } => {
                self.numbers(kind::PYTHON_LINES, &[code.into(), offset.into()]);
                self.text(bytes);
            }
            _ => {}
        }
    }

    /// Appends the chunk's bytes to `out` and starts anew.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) {
        for column in &self.columns {
            put(out, column.len() as u64);
        }
        for column in &mut self.columns {
            out.append(column);
        }
        self.previous = Previous::default();
        self.count = 0;
        self.events = 0;
    }
}

/// An entry that a reader came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An event, to be taken by [`ColumnReader::event`].
    Event {
        /// Its stamp, or the epoch.
        stamp: u64,
        /// It made the epoch: it comes before those that only saw it.
        first: bool,
        /// Its shard and turn there.
        turn: Option<(u8, u64)>,
    },
    /// Nobody has this turn of a shard.
    Skip(u8, u64),
    /// Blocks that are only counted, at this stamp or epoch.
    Passed(u64, Passed),
    /// The chunk's end.
    End,
}

/// Reads the events of a chunk, in order. The chunk's bytes are given anew to each call, so that a
/// reader can own both.
#[derive(Clone, Debug)]
pub(crate) struct ColumnReader {
    columns: [Column; COLUMNS],
    previous: Previous,
    left: u32,
    /// The kind of the event that was found last.
    kind: u8,
    /// Version 1: every event has a stamp, and no other entry is there.
    all_stamped: bool,
}

impl ColumnReader {
    /// A reader of the `count` entries in `raw`, of a file of `version`.
    pub(crate) fn new(raw: &[u8], count: u32, version: u32) -> Result<ColumnReader, Bad> {
        let mut head = Column::new(raw, 0, raw.len())?;
        let mut lengths = [0_usize; COLUMNS];
        let present = match version {
            1 => COLUMNS_1,
            _ => COLUMNS,
        };
        for length in &mut lengths[..present] {
            *length = head.small(raw)? as usize;
        }
        let mut start = head.run(0)?.start;
        let mut columns = [Column::default(); COLUMNS];
        for (column, length) in columns.iter_mut().zip(lengths) {
            *column = Column::new(raw, start, length)?;
            start = column.end();
        }
        if start != raw.len() || lengths[KINDS] != count as usize {
            return Err(Bad);
        }
        Ok(ColumnReader {
            columns,
            previous: Previous::default(),
            left: count,
            kind: 0,
            all_stamped: version == 1,
        })
    }

    /// Goes to the next event, or what else there is.
    #[inline]
    pub(crate) fn next(&mut self, raw: &[u8]) -> Result<Found, Bad> {
        loop {
            if self.left == 0 {
                return match self.columns.iter().all(Column::is_done) {
                    true => Ok(Found::End),
                    false => Err(Bad),
                };
            }
            self.left -= 1;
            let kind = self.columns[KINDS].byte(raw)?;
            let stamped = self.has_stamp(kind);
            if stamped {
                self.previous.stamp = self.stamp_after(raw)?;
                self.columns[STAMPS].number(raw)?;
            }
            self.kind = kind & !kind::FLAGS;
            let turn = match kind & kind::FLAGS {
                0 => None,
                kind::WITH_TURN if kind::is_block(self.kind) => Some(self.turn(raw)?),
                kind::WITH_STAMP if kind::is_block(self.kind) => None,
                _ => return Err(Bad),
            };
            match self.kind {
                kind::EPOCH if !self.all_stamped => {}
                kind::SKIP if !self.all_stamped => return self.skip(raw),
                kind::PASSED | kind::PEAK if !self.all_stamped => return self.passed(raw),
                _ => {
                    return Ok(Found::Event {
                        stamp: self.previous.stamp,
                        first: stamped && !self.all_stamped,
                        turn,
                    });
                }
            }
        }
    }

    /// Goes to the next event if it is one of memory in the place of the one before, with neither stamp
    /// nor turn; else it is left to [`ColumnReader::next`].
    #[inline]
    pub(crate) fn stays(&mut self, raw: &[u8]) -> bool {
        let kinds = &mut self.columns[KINDS];
        match kinds.peek(raw) {
            Some(kind) if kind::is_block(kind) && !self.all_stamped => {
                kinds.skip_byte();
                self.left = self.left.saturating_sub(1);
                self.kind = kind;
                true
            }
            _ => false,
        }
    }

    fn has_stamp(&self, kind: u8) -> bool {
        self.all_stamped || kind::has_stamp(kind)
    }

    /// The next stamp of the column, left where it is.
    #[inline]
    fn stamp_after(&self, raw: &[u8]) -> Result<u64, Bad> {
        let mut stamps = self.columns[STAMPS];
        let step = unzigzag(stamps.number(raw)?);
        Ok(self.previous.stamp.wrapping_add(step as u64))
    }

    fn turn(&mut self, raw: &[u8]) -> Result<(u8, u64), Bad> {
        // The address is read again with the event.
        let (addresses, address) = (self.columns[ADDRESSES], self.previous.address);
        let own = self.address(raw)?;
        (self.columns[ADDRESSES], self.previous.address) = (addresses, address);
        let step = unzigzag(self.columns[TURNS].number(raw)?);
        let turn = self.previous.turn(own);
        *turn = turn.wrapping_add(step as u64);
        Ok((shard(own), *turn))
    }

    fn skip(&mut self, raw: &[u8]) -> Result<Found, Bad> {
        let turns = &mut self.columns[TURNS];
        let shard = u8::try_from(turns.number(raw)?).map_err(|_| Bad)?;
        Ok(Found::Skip(shard, turns.number(raw)?))
    }

    fn passed(&mut self, raw: &[u8]) -> Result<Found, Bad> {
        let passed = match self.kind {
            kind::PEAK => Passed::Peak {
                bytes: self.number(raw)?,
            },
            _ => Passed::Blocks {
                site: self.columns[SITES].small(raw)?,
                bytes: self.columns[SIZES].number(raw)?,
                blocks: self.number(raw)?,
            },
        };
        Ok(Found::Passed(self.previous.stamp, passed))
    }

    /// The last epoch at which something else can have happened before the event that was found last,
    /// as the next entry tells: an epoch that the thread saw only then, or the one before its stamp.
    /// `None`: the chunk has no more.
    pub(crate) fn seen_after(&self, raw: &[u8]) -> Option<u64> {
        let kind = self.columns[KINDS].peek(raw)?;
        match self.has_stamp(kind) {
            true if kind == kind::EPOCH => self.stamp_after(raw).ok(),
            true => self
                .stamp_after(raw)
                .ok()
                .map(|stamp| stamp.saturating_sub(1)),
            false => Some(self.previous.stamp),
        }
    }

    fn address(&mut self, raw: &[u8]) -> Result<u64, Bad> {
        let coded = self.columns[ADDRESSES].number(raw)?;
        let step = match coded & 1 {
            0 => unzigzag(coded >> 1) << 4,
            _ => unzigzag(coded >> 1),
        };
        self.previous.address = self.previous.address.wrapping_add(step as u64);
        Ok(self.previous.address)
    }

    fn frame(&mut self, raw: &[u8]) -> Result<Event<'static>, Bad> {
        let id = self.id(raw)?;
        let parent = self.other(raw, id)?;
        let step = unzigzag(self.columns[FRAMES].number(raw)?);
        self.previous.frame = self.previous.frame.wrapping_add(step as u64);
        Ok(Event::Frame {
            id,
            parent,
            address: self.previous.frame,
        })
    }

    /// The number of a new node.
    fn id(&mut self, raw: &[u8]) -> Result<u32, Bad> {
        let step = unzigzag(self.columns[FRAMES].number(raw)?);
        let id = i64::from(self.previous.id).checked_add(step).ok_or(Bad)?;
        self.previous.id = u32::try_from(id).map_err(|_| Bad)?;
        Ok(self.previous.id)
    }

    /// The number of a node that the node `id` refers to.
    fn other(&mut self, raw: &[u8], id: u32) -> Result<u32, Bad> {
        let step = unzigzag(self.columns[FRAMES].number(raw)?);
        let other = i64::from(id).checked_sub(step).ok_or(Bad)?;
        u32::try_from(other).map_err(|_| Bad)
    }

    fn number(&mut self, raw: &[u8]) -> Result<u64, Bad> {
        self.columns[NUMBERS].number(raw)
    }

    fn small(&mut self, raw: &[u8]) -> Result<u32, Bad> {
        self.columns[NUMBERS].small(raw)
    }

    fn code(&mut self, raw: &[u8]) -> Result<u8, Bad> {
        u8::try_from(self.number(raw)?).map_err(|_| Bad)
    }

    fn text<'a>(&mut self, raw: &'a [u8]) -> Result<Bytes<'a>, Bad> {
        let len = self.small(raw)? as usize;
        if len > Bytes::MAX {
            return Err(Bad);
        }
        let range = self.columns[TEXT].run(len)?;
        raw.get(range).map(Bytes::Slice).ok_or(Bad)
    }

    /// Whether the event that was found last only tells of call sites and modules.
    #[inline]
    pub(crate) fn resolves(&self) -> bool {
        matches!(
            self.kind,
            kind::FRAME
                | kind::PYTHON_FRAME
                | kind::PAIR
                | kind::TREE_RESET
                | kind::MODULE_LOADED
                | kind::MODULE_UNLOADED
                | kind::PYTHON_CODE
                | kind::PYTHON_LINES
        )
    }

    /// The event that was found last.
    #[inline]
    pub(crate) fn event<'a>(&mut self, raw: &'a [u8]) -> Result<Event<'a>, Bad> {
        Ok(match self.kind {
            kind::ALLOCATION => Event::Allocation {
                address: self.address(raw)?,
                size: self.columns[SIZES].number(raw)?,
                site: self.columns[SITES].small(raw)?,
            },
            kind::FREE => Event::Free {
                address: self.address(raw)?,
            },
            kind::REALLOCATION_BEGIN => Event::ReallocationBegin {
                address: self.address(raw)?,
            },
            kind::REALLOCATION_END => Event::ReallocationEnd {
                address: self.address(raw)?,
                size: self.columns[SIZES].number(raw)?,
                site: self.columns[SITES].small(raw)?,
            },
            kind::FRAME => self.frame(raw)?,
            rare => self.rare(rare, raw)?,
        })
    }

    fn rare<'a>(&mut self, kind: u8, raw: &'a [u8]) -> Result<Event<'a>, Bad> {
        Ok(match kind {
            kind::REALLOCATION_FAILED => Event::ReallocationFailed,
            kind::REALLOCATION_FREED => Event::ReallocationFreed,
            kind::TREE_RESET => Event::TreeReset,
            kind::TASK => Event::Task {
                task: self.number(raw)?,
            },
            kind::MODULE_LOADED => Event::ModuleLoaded {
                start: self.number(raw)?,
                end: self.number(raw)?,
                bias: self.number(raw)?,
                path: self.text(raw)?,
            },
            kind::MODULE_UNLOADED => Event::ModuleUnloaded {
                start: self.number(raw)?,
            },
            kind::EXEC => Event::Exec,
            kind::EXEC_FAILED => Event::ExecFailed,
            kind::EXIT => Event::Exit {
                code: self.small(raw)?,
            },
            kind::ENTER => Event::Enter {
                wait: Wait::from_code(self.code(raw)?).ok_or(Bad)?,
                connection: self.small(raw)?,
            },
            kind::MARK_BEGIN => Event::MarkBegin {
                label: self.text(raw)?,
            },
            kind::MARK_END => Event::MarkEnd,
            kind::MARK => Event::Mark {
                label: self.text(raw)?,
            },
            kind::THREAD_END => Event::ThreadEnd,
            kind::PYTHON_FRAME | kind::PAIR | kind::PYTHON_CODE | kind::PYTHON_LINES => {
                self.python(kind, raw)?
            }
            connected => {
                let connection = self.small(raw)?;
                self.connected(connected, connection, raw)?
            }
        })
    }

    fn python<'a>(&mut self, kind: u8, raw: &'a [u8]) -> Result<Event<'a>, Bad> {
        Ok(match kind {
            kind::PYTHON_FRAME => {
                let id = self.id(raw)?;
                Event::PythonFrame {
                    id,
                    parent: self.other(raw, id)?,
                    code: self.small(raw)?,
                    instruction: self.small(raw)?,
                }
            }
            kind::PAIR => {
                let id = self.id(raw)?;
                Event::Pair {
                    id,
                    native: self.other(raw, id)?,
                    python: self.other(raw, id)?,
                    asked: Asked::from_code(self.code(raw)?).ok_or(Bad)?,
                }
            }
            kind::PYTHON_CODE => Event::PythonCode {
                code: self.small(raw)?,
                first_line: self.small(raw)?,
                version: self.small(raw)?,
                text: self.text(raw)?,
            },
            kind::PYTHON_LINES => Event::PythonLines {
                code: self.small(raw)?,
                offset: self.small(raw)?,
                bytes: self.text(raw)?,
            },
            _ => return Err(Bad),
        })
    }

    fn connected<'a>(
        &mut self,
        kind: u8,
        connection: u32,
        raw: &'a [u8],
    ) -> Result<Event<'a>, Bad> {
        Ok(match kind {
            kind::ACCEPT => Event::Accept {
                connection,
                local: self.text(raw)?,
            },
            kind::TRANSFERRED => Event::Transferred {
                connection,
                transfer: Transfer::from_code(self.code(raw)?).ok_or(Bad)?,
                bytes: self.number(raw)?,
            },
            kind::REQUEST_BEGUN => Event::RequestBegun { connection },
            kind::REQUEST => Event::Request {
                connection,
                count: self.small(raw)?,
                protocol: Protocol::from_code(self.code(raw)?).ok_or(Bad)?,
                label: self.text(raw)?,
            },
            kind::ANSWER => Event::Answer {
                connection,
                count: self.small(raw)?,
                status: self.small(raw)?,
            },
            kind::UPGRADED => Event::Upgraded { connection },
            kind::UNSEEN => Event::Unseen {
                connection,
                reason: Unseen::from_code(self.code(raw)?).ok_or(Bad)?,
            },
            kind::CLOSE => Event::Close { connection },
            _ => return Err(Bad),
        })
    }
}
