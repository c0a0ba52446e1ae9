//! The short way for what is read most.

use super::{OPERAND_BITS, OPERAND_MASK, high, kind, low};
use crate::Event;

/// The two records that nearly all are: read without the detour by an [`Entry`](super::Entry), whose size costs more than
/// the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// [`Event::Allocation`]; in a lane, one of less than 4 GiB.
    Allocation {
        /// Where it starts.
        address: u64,
        /// Bytes, as the program asked.
        size: u64,
        /// As the event's.
        site: u32,
    },
    /// [`Event::Free`].
    Free {
        /// Where it starts.
        address: u64,
    },
}

impl Common {
    /// Reads the record at the start of `words`; also says how many words it took. `None`: it is another one,
    /// or none, and [`Entry::decode`](super::Entry::decode) says which.
    #[inline(always)]
    pub fn decode(words: &[u64]) -> Option<(Common, usize)> {
        let first = *words.first()?;
        let address = first & OPERAND_MASK;
        match (first >> OPERAND_BITS) as u8 {
            kind::FREE => Some((Common::Free { address }, 1)),
            kind::ALLOCATION => {
                let second = *words.get(1)?;
                let (size, site) = (u64::from(low(second)), high(second));
                let allocation = Common::Allocation {
                    address,
                    size,
                    site,
                };
                Some((allocation, 2))
            }
            _ => None,
        }
    }

    /// The address in the first word of such a record.
    #[inline(always)]
    pub fn address_in(word: u64) -> Option<u64> {
        matches!((word >> OPERAND_BITS) as u8, kind::FREE | kind::ALLOCATION)
            .then_some(word & OPERAND_MASK)
    }

    /// The event that it is.
    pub fn event(self) -> Event<'static> {
        match self {
            Common::Allocation {
                address,
                size,
                site,
            } => Event::Allocation {
                address,
                size,
                site,
            },
            Common::Free { address } => Event::Free { address },
        }
    }
}
