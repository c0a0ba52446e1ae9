//! Blocks that come and go, as nearly all events do: gathered many at once, with no state but in registers.

use leak_wire::Common;

use super::super::{ADDRESSES, At, KINDS, SITES, SIZES, TURNS, kind};
use super::{Columns, address_coded, turn_coded};
use crate::trace::Commons;

/// Entries that the columns get room for at once.
const MOST: usize = 256;

impl Columns {
    /// Adds the events that `commons` begin with, of which there is one at least and none has a stamp. Gives the
    /// number of their words: of all, or of as many as go at once.
    pub(in crate::trace) fn blocks(&mut self, mut commons: Commons<'_>) -> usize {
        let words = commons.words().len();
        self.start(At::Epoch);
        let some = [KINDS, ADDRESSES, SIZES, SITES, TURNS];
        let Ok([kinds, addresses, sizes, sites, turns]) = self.columns.get_disjoint_mut(some)
        else {
            return 0;
        };
        // Not yet written: an allocation becomes a brief one where the next event is its block's free.
        let mut last = kinds.pop().unwrap_or_default();
        let (mut kinds, mut addresses) = (kinds.room(MOST + 1), addresses.room(MOST));
        let (mut sizes, mut sites) = (sizes.room(MOST), sites.room(MOST));
        let mut previous = self.previous.address;
        let (mut entries, mut brief) = (0, 0);
        while entries < MOST as u32
            && let Some((at, common)) = commons.next()
        {
            let (kind, address) = match common {
                Common::Free { address }
                    if last == kind::ALLOCATION && address == previous && at == At::Epoch =>
                {
                    last = kind::BRIEF;
                    brief += 1;
                    continue;
                }
                Common::Free { address } => (kind::FREE, address),
                Common::Allocation {
                    address,
                    size,
                    site,
                } => {
                    sizes.short(size);
                    sites.short(site.into());
                    (kind::ALLOCATION, address)
                }
            };
            addresses.number(address_coded(previous, address));
            kinds.byte(last);
            (last, previous) = (kind, address);
            entries += 1;
            if let At::Turn(turn) = at {
                turns.number(turn_coded(self.previous.turn(address), turn));
                last |= kind::WITH_TURN;
            }
        }
        kinds.byte(last);
        self.previous.address = previous;
        self.count += entries;
        self.events += entries + brief;
        words - commons.words().len()
    }
}
