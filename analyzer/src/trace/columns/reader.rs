//! Reads the columns of a chunk back into events.

mod blocks;
mod rare;

pub(in crate::trace) use blocks::Taken;
use leak_wire::order::shard;
use leak_wire::{Bytes, Event};

use super::{
    ADDRESSES, COLUMNS, COLUMNS_1, FRAMES, KINDS, NUMBERS, Previous, SITES, SIZES, STAMPS, TEXT,
    TURNS, kind,
};
use crate::trace::Passed;
use crate::trace::varint::{Bad, Column, unzigzag};

/// In no file: the second event of a brief block's entry.
const BRIEF_END: u8 = 0;

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

/// The address that comes after `previous`, as it is coded.
#[inline(always)]
fn address_after(previous: u64, coded: u64) -> u64 {
    let step = match coded & 1 {
        0 => unzigzag(coded >> 1) << 4,
        _ => unzigzag(coded >> 1),
    };
    previous.wrapping_add(step as u64)
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
    /// That was an allocation whose block is freed with the next event, which is no entry of its own.
    is_brief: bool,
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
            is_brief: false,
            all_stamped: version == 1,
        })
    }

    /// Goes to the next event, or what else there is.
    #[inline]
    pub(crate) fn next(&mut self, raw: &[u8]) -> Result<Found, Bad> {
        if std::mem::take(&mut self.is_brief) {
            self.kind = BRIEF_END;
            return Ok(Found::Event {
                stamp: self.previous.stamp,
                first: false,
                turn: None,
            });
        }
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
            self.is_brief = self.kind == kind::BRIEF;
            match self.kind {
                BRIEF_END => return Err(Bad),
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
        let before = (self.columns[ADDRESSES].at(), self.previous.address);
        let own = self.address(raw)?;
        self.columns[ADDRESSES].go_to(before.0);
        self.previous.address = before.1;
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
        if self.is_brief {
            return Some(self.previous.stamp);
        }
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
        self.previous.address = address_after(self.previous.address, coded);
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
            kind::ALLOCATION | kind::BRIEF => Event::Allocation {
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
            BRIEF_END => Event::Free {
                address: self.previous.address,
            },
            rare => self.rare(rare, raw)?,
        })
    }
}
