//! Blocks that come and go in one place of the order of events, as nearly all events do: read without an
//! [`leak_wire::Event`] of each.

use leak_wire::Common;
use leak_wire::order::shard;

use super::reader::{ColumnReader, address_after};
use super::{ADDRESSES, KINDS, SITES, SIZES, TURNS, kind};
use crate::trace::varint::{Column, number, short, unzigzag, word_at};

const FREE_WITH_TURN: u8 = kind::FREE | kind::WITH_TURN;
const ALLOCATION_WITH_TURN: u8 = kind::ALLOCATION | kind::WITH_TURN;

impl ColumnReader {
    /// Reads the next events into `out` while it has room for two, as far as they are common ones in the place of the
    /// one before, without turns; gives their number. `site` knows the call site of a node. What else comes, also
    /// what is damaged, is left to [`ColumnReader::common`].
    ///
    /// What makes it fast: no state but in registers, which is why it is not inlined. So columns are read without a
    /// look at where they end, within the chunk, and if one was read past its end nothing was read.
    #[inline(never)]
    pub(crate) fn plain(
        &mut self,
        raw: &[u8],
        out: &mut [Common],
        site: impl Fn(u32) -> u32,
    ) -> usize {
        if self.is_brief || self.all_stamped {
            return 0;
        }
        let columns = &self.columns;
        let mut at = Place {
            address: columns[ADDRESSES].at(),
            size: columns[SIZES].at(),
            site: columns[SITES].at(),
        };
        let mut address = self.previous.address;
        let (mut kinds, mut count) = (0, 0);
        for kind in columns[KINDS].rest(raw) {
            let Some([first, second, ..]) = out.get_mut(count..) else {
                break;
            };
            let mut next = at;
            let Some(coded) = number_at(raw, &mut next.address, number) else {
                break;
            };
            let here = address_after(address, coded);
            let free = Common::Free { address: here };
            let mut events = 1;
            match *kind {
                kind::FREE => *first = free,
                kind::ALLOCATION | kind::BRIEF => {
                    let Some(size) = number_at(raw, &mut next.size, short) else {
                        break;
                    };
                    let Some(node) = number_at(raw, &mut next.site, short) else {
                        break;
                    };
                    let Ok(node) = u32::try_from(node) else {
                        break;
                    };
                    *first = Common::Allocation {
                        address: here,
                        size,
                        site: site(node),
                    };
                    if *kind == kind::BRIEF {
                        *second = free;
                        events = 2;
                    }
                }
                _ => break,
            }
            (at, address, kinds, count) = (next, here, kinds + 1, count + events);
        }
        let inside = at.address <= columns[ADDRESSES].end()
            && at.size <= columns[SIZES].end()
            && at.site <= columns[SITES].end();
        if !inside {
            return 0;
        }
        self.columns[ADDRESSES].go_to(at.address);
        self.columns[SIZES].go_to(at.size);
        self.columns[SITES].go_to(at.site);
        let kinds_at = self.columns[KINDS].at();
        self.columns[KINDS].go_to(kinds_at + kinds);
        self.left = self.left.saturating_sub(kinds as u32);
        self.previous.address = address;
        count
    }

    /// The next event if it is a common one in the place of the one before: it has no stamp, and `takes`
    /// takes its shard and turn if it has these. All else is left to [`ColumnReader::next`].
    ///
    /// The columns are read in place: a copy of one would wait for the stores that went before it.
    #[inline(always)]
    pub(crate) fn common(
        &mut self,
        raw: &[u8],
        takes: impl FnOnce(u8, u64) -> bool,
    ) -> Option<Common> {
        if std::mem::take(&mut self.is_brief) {
            let address = self.previous.address;
            return Some(Common::Free { address });
        }
        let kind = self.columns[KINDS].peek(raw)?;
        let is_free = match kind {
            kind::FREE | FREE_WITH_TURN => true,
            kind::ALLOCATION | ALLOCATION_WITH_TURN | kind::BRIEF => false,
            _ => return None,
        };
        if self.all_stamped {
            return None;
        }
        let before = (self.columns[ADDRESSES].at(), self.previous.address);
        let address = self.address(raw).ok()?;
        if kind & kind::WITH_TURN != 0 && !self.takes_turn(raw, address, takes) {
            self.columns[ADDRESSES].go_to(before.0);
            self.previous.address = before.1;
            return None;
        }
        let common = match is_free {
            true => Some(Common::Free { address }),
            false => self.allocation(raw, address),
        };
        match common {
            Some(_) => {
                self.columns[KINDS].skip_byte();
                self.left = self.left.saturating_sub(1);
                self.is_brief = kind == kind::BRIEF;
            }
            // There are entries left and no kind: that is what `next` finds then.
            None => self.columns[KINDS] = Column::default(),
        }
        common
    }

    #[inline(always)]
    fn allocation(&mut self, raw: &[u8], address: u64) -> Option<Common> {
        Some(Common::Allocation {
            address,
            size: self.columns[SIZES].number(raw).ok()?,
            site: self.columns[SITES].small(raw).ok()?,
        })
    }

    /// Whether `takes` takes the next turn, that of the block at `address`. If not it is left.
    #[inline(always)]
    fn takes_turn(
        &mut self,
        raw: &[u8],
        address: u64,
        takes: impl FnOnce(u8, u64) -> bool,
    ) -> bool {
        let before = self.columns[TURNS].at();
        let Ok(step) = self.columns[TURNS].number(raw) else {
            return false;
        };
        let shard = shard(address);
        let last = &mut self.previous.turns[usize::from(shard)];
        let turn = last.wrapping_add(unzigzag(step) as u64);
        let taken = takes(shard, turn);
        match taken {
            true => *last = turn,
            false => self.columns[TURNS].go_to(before),
        }
        taken
    }
}

/// How far the columns of blocks were read.
#[derive(Clone, Copy)]
struct Place {
    address: usize,
    size: usize,
    site: usize,
}

/// The number at `at`, which goes to the next one. `None`: it is a very long one, or near the buffer's end.
#[inline(always)]
fn number_at(raw: &[u8], at: &mut usize, read: impl Fn(u64) -> (u64, usize)) -> Option<u64> {
    let (value, len) = read(word_at(raw, *at)?);
    *at += len;
    (len > 0).then_some(value)
}
