//! What went over a request's connection for it: a few bytes of memory, as there may be millions of requests.

/// What is known of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that were read with it: its head, its body.
    pub bytes_in: Octets,
    /// Bytes of its answer.
    pub bytes_out: Octets,
    /// Before its answer was complete, the server found that the client was gone.
    pub client_gone: bool,
}

/// A number of bytes, or that it is not known: exact up to 1 MiB, from there by less than a 500,000th too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octets([u8; 3]);

/// Bits of the part that counts.
const BITS: u32 = 19;
const UNKNOWN: u32 = 0xff_ffff;

impl Octets {
    /// It is not known.
    pub const UNKNOWN: Octets = Octets([0xff; 3]);

    /// So many.
    pub fn new(bytes: u64) -> Octets {
        // From 2^19 on the first bit is known, and what comes after the next 19 is let go.
        let past = (64 - bytes.leading_zeros()).saturating_sub(BITS);
        let code = match past.checked_sub(1) {
            None => bytes,
            Some(shift) => {
                let part = (bytes >> shift) & ((1 << BITS) - 1);
                (u64::from(past) << BITS | part).min(u64::from(UNKNOWN - 1))
            }
        };
        let [a, b, c, ..] = (code as u32).to_le_bytes();
        Octets([a, b, c])
    }

    /// How many.
    pub fn get(self) -> Option<u64> {
        let [a, b, c] = self.0;
        let code = u32::from_le_bytes([a, b, c, 0]);
        let part = u64::from(code & ((1 << BITS) - 1));
        match (code >> BITS).checked_sub(1) {
            _ if code == UNKNOWN => None,
            None => Some(part),
            Some(shift) => Some((1 << BITS | part) << shift),
        }
    }
}

impl Default for Octets {
    fn default() -> Self {
        Octets::UNKNOWN
    }
}

impl From<Option<u64>> for Octets {
    fn from(bytes: Option<u64>) -> Self {
        bytes.map_or(Octets::UNKNOWN, Octets::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        assert_eq!(Octets::default().get(), None);
        for exact in [0, 1, 77, (1 << 19) - 1, 1 << 19, (1 << 20) - 1, 1 << 20] {
            assert_eq!(Octets::new(exact).get(), Some(exact));
        }
        let mut before = 0;
        for bytes in (0..45).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + (1 << bit) / 3])
        {
            let back = Octets::new(bytes).get().expect("a number");
            assert!(back <= bytes && bytes - back <= bytes / 500_000, "{bytes}");
            assert!(back >= before || bytes < before);
            before = back.max(before);
        }
        // More than anything sends is no number that is not known.
        assert!(Octets::new(u64::MAX).get() > Some(1 << 49));
        assert_eq!(size_of::<Traffic>(), 7);
    }
}
