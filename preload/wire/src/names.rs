//! Names that targets tell the whole session, each once, as far as there is room.

use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// Bytes of all names, each with its end.
const SIZE: usize = 1020;
/// Behind each name.
const END: u8 = b'\n';

/// Some names. All zeros: none.
#[repr(C)]
pub struct Names {
    /// Up to here bytes are taken; past the array, where names were left out.
    taken: AtomicU32,
    bytes: [AtomicU8; SIZE],
}

impl Names {
    /// Adds a name, which is not to be empty, if it isn't there yet and there is room.
    pub fn add(&self, name: &[u8]) {
        if name.is_empty() || name.len() >= SIZE || self.has(name) {
            return;
        }
        let length = name.len() as u32 + 1;
        // Relaxed: the bytes are published by themselves. No more than 4 million names overflow it.
        let start = self.taken.fetch_add(length, Ordering::Relaxed) as usize;
        let Some(places) = self.bytes.get(start..start + name.len() + 1) else {
            return;
        };
        let clean = name.iter().map(|byte| match byte {
            0 | b'\n' => b'?',
            other => *other,
        });
        for (place, byte) in places.iter().zip(clean.chain([END])) {
            // Release: pairs with the Acquire in `byte`: with its end the name is there.
            place.store(byte, Ordering::Release);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        // Relaxed: asked by those who got the mapping after names were added.
        self.taken.load(Ordering::Relaxed) == 0
    }

    /// Whether `name` is there; two who add the same name at once may both miss it.
    fn has(&self, name: &[u8]) -> bool {
        let length = name.len();
        let taken = (self.taken.load(Ordering::Relaxed) as usize).min(SIZE);
        let mut begins = true;
        (0..taken).any(|start| {
            let same = begins
                && name
                    .iter()
                    .zip(start..)
                    .all(|(byte, at)| self.byte(at) == *byte)
                && self.byte(start + length) == END;
            begins = self.byte(start) == END;
            same
        })
    }

    /// The byte at `at`; 0 where none is, or none yet.
    pub fn byte(&self, at: usize) -> u8 {
        let place = self.bytes.get(at);
        // Acquire: pairs with the Release in `add`.
        place.map_or(0, |place| place.load(Ordering::Acquire))
    }

    /// All bytes: names, each with a line feed behind; one that is being written has zeros, or no end.
    pub fn bytes(&self) -> impl Iterator<Item = u8> {
        (0..SIZE).map(|at| self.byte(at))
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    fn text(names: &Names) -> String {
        let bytes = names.bytes().take_while(|byte| *byte != 0).collect();
        String::from_utf8(bytes).unwrap()
    }

    fn empty() -> Names {
        Names {
            taken: AtomicU32::new(0),
            bytes: [const { AtomicU8::new(0) }; SIZE],
        }
    }

    #[test]
    fn each_name_is_there_once() {
        let names = empty();
        for name in [
            "/lib/a.so",
            "/lib/a",
            "a.so",
            "/lib/a.so",
            "",
            "x\ny",
            "a.so",
        ] {
            names.add(name.as_bytes());
        }
        assert_eq!(text(&names), "/lib/a.so\n/lib/a\na.so\nx?y\n");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let names = empty();
        names.add(&[b'x'; SIZE]);
        assert_eq!(text(&names), "");
        names.add(&[b'y'; SIZE - 10]);
        names.add(b"0123456789");
        names.add(b"z");
        assert_eq!(text(&names).len(), SIZE - 9);
        assert_eq!(names.byte(SIZE), 0);
    }
}
