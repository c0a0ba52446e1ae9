//! Blocks that come and go in one place of the order of events, as nearly all events do: read many at once, without
//! an [`leak_wire::Event`] of each.

use leak_wire::Common;
use leak_wire::order::shard;

use super::super::{ADDRESSES, KINDS, SITES, SIZES, TURNS, kind};
use super::{ColumnReader, address_after};
use crate::trace::varint::{number, short, unzigzag, word_at};

const FREE_WITH_TURN: u8 = kind::FREE | kind::WITH_TURN;
const ALLOCATION_WITH_TURN: u8 = kind::ALLOCATION | kind::WITH_TURN;

/// What becomes of an event that has a turn.
pub(crate) enum Taken {
    /// It is its turn.
    Now,
    /// It is, and what follows has to wait for others.
    Last,
    /// It is not: it stays where it is.
    NotYet,
}

/// How far the columns of blocks were read.
#[derive(Clone, Copy)]
struct Place {
    addresses: usize,
    sizes: usize,
    sites: usize,
    turns: usize,
    kinds: usize,
    /// The address that came last.
    address: u64,
    /// Events so far.
    count: usize,
}

impl ColumnReader {
    /// Reads the next events into `out` while it has room for two, as far as they are allocations and frees in the
    /// place of the one before; gives their number. `site` knows the call site of a node, and `takes` is asked for
    /// each event that has a turn, which is a turn of a shard. What else comes, also what is damaged, is left to
    /// [`ColumnReader::next`].
    #[inline]
    pub(crate) fn blocks(
        &mut self,
        raw: &[u8],
        out: &mut [Common],
        site: impl Fn(u32) -> u32,
        takes: impl FnMut(u8, u64) -> Taken,
    ) -> usize {
        if self.all_stamped {
            return 0;
        }
        if self.is_brief
            && let Some(first) = out.first_mut()
        {
            self.is_brief = false;
            let address = self.previous.address;
            *first = Common::Free { address };
            return 1;
        }
        match self.columns[KINDS].peek(raw) {
            Some(FREE_WITH_TURN | ALLOCATION_WITH_TURN) => {
                self.alike::<true>(raw, out, site, takes)
            }
            Some(_) => self.alike::<false>(raw, out, site, takes),
            None => 0,
        }
    }

    /// The same, as far as they all have turns, or none has.
    ///
    /// What makes it fast: no state but in registers, which is why it is not inlined. So columns are read without a
    /// look at where they end, within the chunk, and what was read past an end is given back.
    #[inline(never)]
    fn alike<const HAVE_TURNS: bool>(
        &mut self,
        raw: &[u8],
        out: &mut [Common],
        site: impl Fn(u32) -> u32,
        mut takes: impl FnMut(u8, u64) -> Taken,
    ) -> usize {
        let mut place = self.place();
        let mut sure = place;
        for kind in self.columns[KINDS].rest(raw) {
            let Some([first, second, ..]) = out.get_mut(place.count..) else {
                break;
            };
            if (kind & kind::WITH_TURN != 0) != HAVE_TURNS {
                break;
            }
            let mut next = place;
            let Some(coded) = number_at(raw, &mut next.addresses, number) else {
                break;
            };
            next.address = address_after(place.address, coded);
            next.kinds += 1;
            next.count += 1;
            let free = Common::Free {
                address: next.address,
            };
            match *kind {
                kind::FREE | FREE_WITH_TURN => *first = free,
                kind::ALLOCATION | ALLOCATION_WITH_TURN | kind::BRIEF => {
                    let Some(size) = number_at(raw, &mut next.sizes, short) else {
                        break;
                    };
                    let Some(node) = number_at(raw, &mut next.sites, short) else {
                        break;
                    };
                    let Ok(node) = u32::try_from(node) else {
                        break;
                    };
                    *first = Common::Allocation {
                        address: next.address,
                        size,
                        site: site(node),
                    };
                    if *kind == kind::BRIEF {
                        *second = free;
                        next.count += 1;
                    }
                }
                _ => break,
            }
            if HAVE_TURNS {
                match self.take_turn(raw, &mut next, &mut takes) {
                    Taken::Now => sure = next,
                    Taken::Last => {
                        (place, sure) = (next, next);
                        break;
                    }
                    Taken::NotYet => break,
                }
            }
            place = next;
        }
        let read = if self.holds(&place) { place } else { sure };
        self.go_to(&read);
        read.count
    }

    /// Asks `takes` about the next turn, that of the block at the place's address. Nothing can be given back after
    /// that: a place outside of the columns is `NotYet`.
    #[inline(always)]
    fn take_turn(
        &mut self,
        raw: &[u8],
        next: &mut Place,
        takes: &mut impl FnMut(u8, u64) -> Taken,
    ) -> Taken {
        let step = number_at(raw, &mut next.turns, short);
        let Some(step) = step.filter(|_| self.holds(next)) else {
            return Taken::NotYet;
        };
        let shard = shard(next.address);
        let last = &mut self.previous.turns[usize::from(shard)];
        let turn = last.wrapping_add(unzigzag(step) as u64);
        let taken = takes(shard, turn);
        if !matches!(taken, Taken::NotYet) {
            *last = turn;
        }
        taken
    }

    fn place(&self) -> Place {
        let columns = &self.columns;
        Place {
            addresses: columns[ADDRESSES].at(),
            sizes: columns[SIZES].at(),
            sites: columns[SITES].at(),
            turns: columns[TURNS].at(),
            kinds: columns[KINDS].at(),
            address: self.previous.address,
            count: 0,
        }
    }

    /// Whether no column was read past its end.
    #[inline(always)]
    fn holds(&self, place: &Place) -> bool {
        let columns = &self.columns;
        place.addresses <= columns[ADDRESSES].end()
            && place.sizes <= columns[SIZES].end()
            && place.sites <= columns[SITES].end()
            && place.turns <= columns[TURNS].end()
    }

    fn go_to(&mut self, place: &Place) {
        let kinds = place.kinds - self.columns[KINDS].at();
        self.left = self.left.saturating_sub(kinds as u32);
        self.columns[ADDRESSES].go_to(place.addresses);
        self.columns[SIZES].go_to(place.sizes);
        self.columns[SITES].go_to(place.sites);
        self.columns[TURNS].go_to(place.turns);
        self.columns[KINDS].go_to(place.kinds);
        self.previous.address = place.address;
    }
}

/// The number at `at`, which goes to the next one. `None`: it is a very long one, or near the buffer's end.
#[inline(always)]
fn number_at(raw: &[u8], at: &mut usize, read: impl Fn(u64) -> (u64, usize)) -> Option<u64> {
    let (value, len) = read(word_at(raw, *at)?);
    *at += len;
    (len > 0).then_some(value)
}
